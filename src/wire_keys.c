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

/* Keys as text: what a Pod's Secret and the operator's hold. */

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "wire.h"

/* 16 sites and the operator, four keys each, names of 253 characters. */
#define TRUST_FILE_MAX 24576
#define SEED_FILE_MAX  160 /* two lines */
#define GEN_FILE_MAX   24

static int complain(char *, size_t, int e, const char *, ...)
    __attribute__((format(printf, 4, 5)));

static int
complain(char *err, size_t size, int e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, size, fmt, ap);
	va_end(ap);
	errno = e;
	return -1;
}

void
wire_key_from_seed(struct wire_key *k, const uint8_t seed[static WIRE_KEY_LEN])
{
	crypto_sign_seed_keypair(k->pub.b, k->secret, seed);
}

void
wire_hex(
    const uint8_t b[static WIRE_KEY_LEN], char hex[static WIRE_HEX_LEN + 1])
{
	sodium_bin2hex(hex, WIRE_HEX_LEN + 1, b, WIRE_KEY_LEN);
}

int
wire_seed_parse(const char *s, size_t len, uint8_t seed[static WIRE_KEY_LEN])
{
	size_t n;

	if (len != WIRE_HEX_LEN ||
	    sodium_hex2bin(seed, WIRE_KEY_LEN, s, len, NULL, &n, NULL) != 0 ||
	    n != WIRE_KEY_LEN) {
		explicit_bzero(seed, WIRE_KEY_LEN);
		errno = EBADMSG;
		return -1;
	}
	return 0;
}

/* --------------------------------------------------------------- trust --- */

/* A line's words, borrowed. */
struct words {
	const char *s[4];
	size_t len[4];
	unsigned n; /* 4: too many */
};

static void
split(const char *s, size_t len, struct words *w)
{
	size_t i = 0, start;

	w->n = 0;
	while (w->n < PS_NITEMS(w->s)) {
		while (i < len && (s[i] == ' ' || s[i] == '\t'))
			i++;
		if (i == len)
			return;
		for (start = i; i < len && s[i] != ' ' && s[i] != '\t'; i++)
			continue;
		w->s[w->n] = s + start;
		w->len[w->n++] = i - start;
	}
}

static bool
word_is(const struct words *w, unsigned i, const char *s)
{
	return w->len[i] == strlen(s) && memcmp(w->s[i], s, w->len[i]) == 0;
}

/* The site's entry, made when there is none; NULL: no place. */
static struct wire_trust_site *
trust_site(struct wire_trust *t, const char *name, size_t len)
{
	struct wire_trust_site *s;

	for (uint32_t i = 0; i < t->n_sites; i++) {
		s = &t->sites[i];
		if (strlen(s->name) == len && memcmp(s->name, name, len) == 0)
			return s;
	}
	if (t->n_sites == SITES_MAX)
		return NULL;
	s = &t->sites[t->n_sites++];
	memcpy(s->name, name, len);
	s->name[len] = '\0';
	s->n = 0;
	return s;
}

/*
 * -1 with errno. A key of small order would accept signatures that nobody
 * made; such a one is no key.
 */
static int
add_key(struct wire_pub *pub, uint32_t *n, const char *hex, size_t len)
{
	uint8_t b[WIRE_KEY_LEN];

	if (wire_seed_parse(hex, len, b) == -1)
		return -1;
	if (crypto_core_ed25519_is_valid_point(b) != 1) {
		errno = EBADMSG;
		return -1;
	}
	for (uint32_t i = 0; i < *n; i++)
		if (memcmp(pub[i].b, b, sizeof(b)) == 0)
			return 0;
	if (*n == WIRE_PUBS_MAX) {
		errno = ERANGE;
		return -1;
	}
	memcpy(pub[(*n)++].b, b, sizeof(b));
	return 0;
}

/* NULL, or what is wrong (errno). */
static const char *
trust_line(struct wire_trust *t, const struct words *w)
{
	struct wire_trust_site *s;
	int r;

	if (w->n == 2 && word_is(w, 0, "operator"))
		r = add_key(t->operator, & t->n_operator, w->s[1], w->len[1]);
	else if (w->n == 3 && word_is(w, 0, "site")) {
		errno = ERANGE;
		if (w->len[1] > NAME_LEN)
			return "the site's name is too long";
		if (memchr(w->s[1], '\0', w->len[1]) != NULL) {
			errno = EBADMSG;
			return "a NUL in the site's name";
		}
		if ((s = trust_site(t, w->s[1], w->len[1])) == NULL)
			return "too many sites";
		r = add_key(s->pub, &s->n, w->s[2], w->len[2]);
	} else {
		errno = EBADMSG;
		return "expected \"operator KEY\" or \"site NAME KEY\"";
	}
	if (r == 0)
		return NULL;
	return errno == ERANGE ? "too many keys of one name" :
				 "not a public key of 64 hex digits";
}

int
wire_trust_parse(const char *text, size_t len, struct wire_trust *t, char *err,
    size_t errsize)
{
	const char *end = text + len, *eol, *why;
	struct words w;
	unsigned line = 0;

	memset(t, 0, sizeof(*t));
	for (; text < end; text = eol + 1) {
		line++;
		if ((eol = memchr(text, '\n', (size_t)(end - text))) == NULL)
			eol = end;
		split(text, (size_t)(eol - text), &w);
		if (w.n == 0 || w.s[0][0] == '#')
			continue;
		if ((why = trust_line(t, &w)) != NULL)
			return complain(
			    err, errsize, errno, "line %u: %s", line, why);
	}
	if (t->n_operator == 0)
		return complain(err, errsize, EBADMSG,
		    "line %u: the end, and no line \"operator KEY\"", line);
	return 0;
}

const struct wire_pub *
wire_trust_find(const struct wire_trust *t, const char *site, size_t *n)
{
	*n = 0;
	if (site[0] == '\0') {
		*n = t->n_operator;
		return t->operator;
	}
	for (uint32_t i = 0; i < t->n_sites; i++)
		if (strcmp(t->sites[i].name, site) == 0) {
			*n = t->sites[i].n;
			return t->sites[i].pub;
		}
	return NULL;
}

/* --------------------------------------------------------------- files --- */

/* The whole file; its length, or -1. It may be the seed: see wire_keys_read. */
static ssize_t
slurp(int dir, const char *name, char *buf, size_t size, char *err,
    size_t errsize)
{
	size_t len = 0;
	ssize_t n = -1;
	int fd, saved;

	if ((fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) == -1)
		return complain(
		    err, errsize, errno, "%s: %s", name, strerror(errno));
	while (len < size && (n = read(fd, buf + len, size - len)) > 0)
		len += (size_t)n;
	saved = errno;
	close(fd);
	if (n == -1)
		return complain(
		    err, errsize, saved, "%s: %s", name, strerror(saved));
	if (n != 0)
		return complain(
		    err, errsize, EFBIG, "%s: larger than a key's", name);
	return (ssize_t)len;
}

static int
read_seed(int dir, struct wire_key *key, char *err, size_t errsize)
{
	char buf[SEED_FILE_MAX];
	uint8_t seed[WIRE_KEY_LEN];
	const char *eol;
	ssize_t n;
	int r = -1;

	if ((n = slurp(dir, "seed", buf, sizeof(buf), err, errsize)) == -1)
		goto out;
	if ((eol = memchr(buf, '\n', (size_t)n)) == NULL)
		eol = buf + n;
	r = wire_seed_parse(buf, (size_t)(eol - buf), seed);
	if (r == 0)
		wire_key_from_seed(key, seed);
	else
		complain(err, errsize, EBADMSG,
		    "seed: line 1: not a seed of 64 hex digits");
out:
	explicit_bzero(buf, sizeof(buf));
	explicit_bzero(seed, sizeof(seed));
	return r;
}

static int
read_generation(int dir, uint64_t *gen, char *err, size_t errsize)
{
	char buf[GEN_FILE_MAX];
	ssize_t i, n;

	if ((n = slurp(dir, "generation", buf, sizeof(buf), err, errsize)) ==
	    -1)
		return -1;
	if (n > 0 && buf[n - 1] == '\n')
		n--;
	*gen = 0;
	for (i = 0; i < n && buf[i] >= '0' && buf[i] <= '9'; i++) {
		if (*gen > (UINT64_MAX - 9) / 10)
			break;
		*gen = *gen * 10 + (uint64_t)(buf[i] - '0');
	}
	if (i != n || *gen == 0)
		return complain(err, errsize, EBADMSG,
		    "generation: line 1: not a number above 0");
	return 0;
}

static int
read_trust(int dir, struct wire_trust *t, char *err, size_t errsize)
{
	static char buf[TRUST_FILE_MAX];
	char why[ERR_LEN + 1];
	ssize_t n;

	if ((n = slurp(dir, "trust", buf, sizeof(buf), err, errsize)) == -1)
		return -1;
	if (wire_trust_parse(buf, (size_t)n, t, why, sizeof(why)) == -1)
		return complain(err, errsize, errno, "trust: %s", why);
	return 0;
}

int
wire_keys_read(
    const char *dir, struct wire_keys *keys, char *err, size_t errsize)
{
	static struct wire_keys k;
	int base, fd, r = -1, saved;

	if ((base = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		return complain(
		    err, errsize, errno, "%s: %s", dir, strerror(errno));
	/* Held open, so that all three are of the same exchange. */
	fd = openat(base, "..data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1 && errno == ENOENT)
		fd = dup(base);
	saved = errno;
	close(base);
	if (fd == -1)
		return complain(
		    err, errsize, saved, "%s: %s", dir, strerror(saved));
	if (read_generation(fd, &k.generation, err, errsize) == 0 &&
	    read_trust(fd, &k.trust, err, errsize) == 0 &&
	    read_seed(fd, &k.key, err, errsize) == 0) {
		*keys = k;
		r = 0;
	}
	saved = errno;
	close(fd);
	explicit_bzero(&k, sizeof(k));
	errno = saved;
	return r;
}
