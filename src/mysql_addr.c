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
 * What libmysqlclient asks of the system, answered for it.
 *
 * The library resolves the name that it is given, which blocks, and checks
 * the certificate against that same name. So it is given the name, and
 * getaddrinfo answers the address that kube-watcher told us: no DNS on the
 * path of a failover, and the check of the name stays whole. The library
 * takes the CA as a file name only; the sandbox has no files, so the call
 * that reads it is ours as well.
 *
 * While TCP connects, the library does not tell its socket, and each of its
 * calls waits for a millisecond: with many silent sites that adds up. So we
 * see the connect, and the wait is none.
 *
 * These definitions are seen by the whole program, its libraries included:
 * they are linked from archives. They change nothing in processes that never
 * call maddr_close(), and outside of begin and end only names and files are
 * refused.
 */

#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "mysql_conn.h"

/* The linker's --wrap: who calls name() comes here, the other is the real one. */
#define WRAPPED(name, ...)              \
	int __real_##name(__VA_ARGS__); \
	int __wrap_##name(__VA_ARGS__)
WRAPPED(connect, int, const struct sockaddr *, socklen_t);
WRAPPED(getaddrinfo, const char *, const char *, const struct addrinfo *,
    struct addrinfo **);
WRAPPED(
    ppoll, struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
WRAPPED(SSL_CTX_load_verify_locations, SSL_CTX *, const char *, const char *);

static struct {
	bool closed;
	struct maddr a;
	int fd;
} now = { .fd = -1 };

void
maddr_close(void)
{
	now.closed = true;
}

void
maddr_begin(const struct maddr *a)
{
	now.a = *a;
	now.fd = -1;
}

int
maddr_end(void)
{
	memset(&now.a, 0, sizeof(now.a));
	return now.fd;
}

/*
 * With AI_NUMERICHOST and AI_NUMERICSERV libc's own function reads no file
 * and asks nobody, and its freeaddrinfo fits the result.
 */
int
__wrap_getaddrinfo(const char *node, const char *service,
    const struct addrinfo *hints, struct addrinfo **res)
{
	struct addrinfo h;

	if (!now.closed)
		return __real_getaddrinfo(node, service, hints, res);
	if (node == NULL || now.a.host == NULL || now.a.ip == NULL ||
	    strcmp(node, now.a.host) != 0)
		return EAI_NONAME;
	memset(&h, 0, sizeof(h));
	if (hints != NULL) {
		h.ai_socktype = hints->ai_socktype;
		h.ai_protocol = hints->ai_protocol;
	}
	h.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
	return __real_getaddrinfo(now.a.ip, service, &h, res);
}

/*
 * The chain as usual, but for dates: a certificate that has run out is said
 * to have (mysql_tls.c), and must not blind the operator at the very moment
 * at which others can't connect. Which certificate it was is kept.
 */
static int
on_verify(X509_STORE_CTX *ctx, void *arg)
{
	X509 *leaf = X509_STORE_CTX_get0_cert(ctx);
	unsigned n = 0;

	(void)arg;
	if (leaf != NULL && now.a.digest != NULL)
		*now.a.digested =
		    X509_digest(leaf, EVP_sha256(), now.a.digest, &n) == 1 &&
		    n == MCONN_DIGEST;
	(void)X509_VERIFY_PARAM_set_flags(
	    X509_STORE_CTX_get0_param(ctx), X509_V_FLAG_NO_CHECK_TIME);
	return X509_verify_cert(ctx);
}

static int
load_from_memory(SSL_CTX *ctx)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	BIO *bio;
	X509 *x;
	int n = 0;

	if ((bio = BIO_new_mem_buf(now.a.ca, (int)now.a.ca_len)) == NULL)
		return 0;
	while ((x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		if (X509_STORE_add_cert(store, x) == 1)
			n++;
		X509_free(x);
	}
	BIO_free(bio);
	/* The end of the text is an error to PEM_read. */
	ERR_clear_error();
	SSL_CTX_set_cert_verify_callback(ctx, on_verify, NULL);
	return n > 0;
}

int
__wrap_SSL_CTX_load_verify_locations(
    SSL_CTX *ctx, const char *file, const char *dir)
{
	if (now.a.ca != NULL && file != NULL && strcmp(file, MADDR_CA) == 0)
		return load_from_memory(ctx);
	if (now.closed)
		return 0;
	return __real_SSL_CTX_load_verify_locations(ctx, file, dir);
}

int
__wrap_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	if (now.a.host != NULL)
		now.fd = fd;
	return __real_connect(fd, sa, len);
}

int
__wrap_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
    const sigset_t *mask)
{
	static const struct timespec none = { 0, 0 };

	return __real_ppoll(fds, n, now.a.host != NULL ? &none : timeout, mask);
}
