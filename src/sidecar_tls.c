/*
 * Copyright (c) 2026 The Bloodraven authors
 *
 * Permission to use, copy, modify, and distribute this software for any
 * purpose with or without fee is hereby granted, provided that the above
 * copyright notice and this permission notice appear in all copies.
 *
 * THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES
 * WITH REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF
 * MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR
 * ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES
 * WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN
 * ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF
 * OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.
 */

/*
 * A new certificate comes to mysqld: the user changes a Secret, mysql-prober
 * finds it good, the leader tells us which one that is, the kubelet brings it,
 * and mysqld loads it. Only that one: what was mounted in between, or comes
 * after, may lack a name, and would keep every operator out. This side needs
 * no TLS to talk to mysqld, so it is here that a server which came up with a
 * bad one is cured.
 *
 * The files are bytes here; nothing in them is parsed.
 */

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "sidecar.h"

#define FILE_MAX 16384 /* of a key of the Secret (msg.def, TLS) */

_Static_assert(
    crypto_hash_sha256_BYTES == 32, "the digest of SC_TLS is a SHA-256");

const char *
sc_tls_dir(const struct sc_conf *c, char dir[static HOST_LEN + 1])
{
	char *slash;

	(void)strlcpy(dir, c->cert_file, HOST_LEN + 1);
	if (c->ca_file[0] == '\0' || (slash = strrchr(dir, '/')) == NULL)
		return NULL;
	*slash = '\0';
	return dir;
}

static int
add_file(crypto_hash_sha256_state *h, const char *path)
{
	static uint8_t buf[FILE_MAX + 1];
	size_t have = 0;
	ssize_t n = 0;
	int fd;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return -1;
	while (have < sizeof(buf) &&
	    (n = read(fd, buf + have, sizeof(buf) - have)) > 0)
		have += (size_t)n;
	close(fd);
	if (n == -1 || have == sizeof(buf))
		return -1;
	(void)crypto_hash_sha256_update(h, buf, have);
	return 0;
}

/* Is what is mounted what is wanted? A half-way exchange is not. */
static bool
mounted(const struct sidecar *sc)
{
	crypto_hash_sha256_state h;
	uint8_t digest[crypto_hash_sha256_BYTES];

	(void)crypto_hash_sha256_init(&h);
	if (add_file(&h, sc->conf.ca_file) == -1)
		return false;
	(void)crypto_hash_sha256_update(&h, (const uint8_t *)"", 1);
	if (add_file(&h, sc->conf.cert_file) == -1)
		return false;
	(void)crypto_hash_sha256_final(&h, digest);
	return memcmp(digest, sc->tls_want.digest.data, sizeof(digest)) == 0;
}

void
sc_tls_look(struct sidecar *sc, bool again)
{
	struct m_sc_tls m;

	if (sc->conf.cert_file[0] == '\0' || sc->conf.ca_file[0] == '\0')
		return;
	memset(&m, 0, sizeof(m));
	if (sc->tls_want.digest.len != 0 && mounted(sc))
		m = sc->tls_want;
	if (!again && memcmp(&m, &sc->tls_told, sizeof(m)) == 0)
		return;
	sc->tls_told = m;
	sc_send(sc, PROC_MYSQL, MSG_SC_TLS, &m);
}

void
sc_tls_want(struct sidecar *sc, const uint8_t *digest, size_t len)
{
	struct m_sc_tls m;

	memset(&m, 0, sizeof(m));
	if (len == sizeof(m.digest.data)) {
		m.digest.len = (uint32_t)len;
		memcpy(m.digest.data, digest, len);
	}
	if (memcmp(&m, &sc->tls_want, sizeof(m)) == 0)
		return;
	sc->tls_want = m;
	sc_tls_look(sc, false);
}
