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
 * The user's certificate: whether servers may load it, whose certificates are
 * believed, and which one servers shall show. This process looks into PEM so
 * that neither the parent nor kube-watcher has to: it has OpenSSL's parser in
 * front of every server anyway, and no right at the API server. The private
 * key is here for one comparison, in the message that brought it.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "mysql_int.h"

/* Dates are looked at again: at the next one, but not less often than this. */
#define LOOK_MAX_MS 3600000
/* So long before its end a certificate is complained about. */
#define SOON_S      (7 * 24 * 3600LL)
#define CHAIN_MAX   32

struct mtls {
	struct mgroup *group;
	struct event *timer;
	bool wanted;
	uint64_t gen; /* of the Secret */
	char secret[NAME_LEN + 1];
	char reason[64]; /* what is wrong with the PEM, or "" */
	char message[MSGTEXT_LEN + 1];
	X509 *seen; /* the Secret's, NULL: unreadable */
	char *ca;   /* newest that has any certificate */
	size_t ca_len;
	char *trust; /* with those before it */
	size_t trust_len;
	X509 *good; /* what servers shall show, or NULL */
	uint8_t digest[MCONN_DIGEST];
	uint64_t good_gen;
	uint8_t files[MCONN_DIGEST]; /* of the Secret's */
	struct m_tls_state said;
};

/* ------------------------------------------------------------------ PEM --- */

static void fault(struct mtls *t, const char *reason, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
fault(struct mtls *t, const char *reason, const char *fmt, ...)
{
	va_list ap;
	int n;

	(void)strlcpy(t->reason, reason, sizeof(t->reason));
	n = snprintf(t->message, sizeof(t->message), "Secret %s, ", t->secret);
	va_start(ap, fmt);
	(void)vsnprintf(
	    t->message + n, sizeof(t->message) - (size_t)n, fmt, ap);
	va_end(ap);
}

/* Nobody is asked for a passphrase. */
static int
no_passphrase(char *buf, int size, int rwflag, void *arg)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)arg;
	return -1;
}

/* All certificates of a text; NULL: none, or memory. */
static STACK_OF(X509) * read_certs(const uint8_t *pem, size_t len)
{
	STACK_OF(X509) *all = sk_X509_new_null();
	BIO *bio = BIO_new_mem_buf(pem, (int)len);
	X509 *x;

	if (all == NULL || bio == NULL)
		fatalx("OpenSSL has no memory");
	while (sk_X509_num(all) < CHAIN_MAX &&
	    (x = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL)
		if (sk_X509_push(all, x) == 0)
			fatalx("OpenSSL has no memory");
	BIO_free(bio);
	/* The end of the text is an error, too. */
	ERR_clear_error();
	if (sk_X509_num(all) > 0)
		return all;
	sk_X509_free(all);
	return NULL;
}

static bool
key_fits(struct mtls *t, const struct m_tls *m, X509 *leaf)
{
	BIO *bio = BIO_new_mem_buf(m->key.data, (int)m->key.len);
	EVP_PKEY *key;
	bool ok = false;

	if (bio == NULL)
		fatalx("OpenSSL has no memory");
	key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	if (key == NULL)
		fault(t, "TLSNotPEM",
		    "key tls.key: is not a PEM private key without a "
		    "passphrase");
	else if (X509_check_private_key(leaf, key) != 1)
		fault(t, "TLSKeyMismatch",
		    "key tls.key: does not belong to the certificate in "
		    "tls.crt");
	else
		ok = true;
	EVP_PKEY_free(key);
	/* It has its own copy of the text's tail. */
	BIO_free(bio);
	ERR_clear_error();
	return ok;
}

/* As servers' clients do it, but for dates. */
static bool
chain_ok(struct mtls *t, STACK_OF(X509) * ca, STACK_OF(X509) * chain)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	bool ok;

	if (store == NULL || ctx == NULL)
		fatalx("OpenSSL has no memory");
	for (int i = 0; i < sk_X509_num(ca); i++)
		(void)X509_STORE_add_cert(store, sk_X509_value(ca, i));
	if (X509_STORE_CTX_init(ctx, store, sk_X509_value(chain, 0), chain) !=
	    1)
		fatalx("OpenSSL has no memory");
	(void)X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_SERVER);
	X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_NO_CHECK_TIME);
	ok = X509_verify_cert(ctx) == 1;
	if (!ok)
		fault(t, "TLSNotTrusted",
		    "key tls.crt: is not signed by ca.crt for a server: %s",
		    X509_verify_cert_error_string(
			X509_STORE_CTX_get_error(ctx)));
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	ERR_clear_error();
	return ok;
}

/* ---------------------------------------------------------------- trust --- */

static void
append(char *buf, size_t *len, const void *pem, size_t n)
{
	if (n == 0)
		return;
	memcpy(buf + *len, pem, n);
	*len += n;
	buf[(*len)++] = '\n';
}

/*
 * Who signs now, who did until now, and who did when all servers were last
 * seen to agree: a server goes on showing what the old one signed until it
 * has loaded the new, and its operator may have begun in between.
 */
static void
set_trust(struct mtls *t, const struct m_tls *m, bool readable)
{
	bool settled = m->ca.len == m->prev_ca.len &&
	    memcmp(m->ca.data, m->prev_ca.data, m->ca.len) == 0;
	size_t n = 0, size = (size_t)m->ca.len + m->prev_ca.len + t->ca_len + 3;
	char *trust = malloc(size), *ca;

	if (trust == NULL)
		fatal("malloc");
	if (readable)
		append(trust, &n, m->ca.data, m->ca.len);
	if (!readable || !settled)
		append(trust, &n, t->ca, t->ca_len);
	if (!readable || !settled)
		append(trust, &n, m->prev_ca.data, m->prev_ca.len);
	free(t->trust);
	t->trust = trust;
	t->trust_len = n;
	if (!readable)
		return;
	if ((ca = malloc(m->ca.len)) == NULL)
		fatal("malloc");
	memcpy(ca, m->ca.data, m->ca.len);
	free(t->ca);
	t->ca = ca;
	t->ca_len = m->ca.len;
}

const char *
mtls_trust(const struct mgroup *g, size_t *len)
{
	if (g->tls == NULL || g->tls->trust_len == 0)
		return NULL;
	*len = g->tls->trust_len;
	return g->tls->trust;
}

/* ---------------------------------------------------------------- state --- */

static int64_t
seconds(const ASN1_TIME *at)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(at, &tm) != 1)
		return 0;
	return (int64_t)timegm(&tm);
}

static bool
has_name(X509 *x, const char *name)
{
	return X509_check_host(x, name, 0, 0, NULL) == 1;
}

/* Names of sites that it lacks, " a, b"; how many. */
static unsigned
missing(const struct mtls *t, bool internal, char *out, size_t size)
{
	const struct msite *s;
	const char *name;
	unsigned n = 0;

	out[0] = '\0';
	TAILQ_FOREACH (s, &t->group->sites, entry) {
		name = internal ? s->internal : s->host;
		if (name[0] == '\0' || has_name(t->seen, name))
			continue;
		(void)strlcat(out, n++ == 0 ? " " : ", ", size);
		(void)strlcat(out, name, size);
	}
	return n;
}

static void
say(struct mtls *t, struct m_tls_state *m, bool ok, const char *reason,
    const char *fmt, ...) __attribute__((format(printf, 5, 6)));

static void
say(struct mtls *t, struct m_tls_state *m, bool ok, const char *reason,
    const char *fmt, ...)
{
	va_list ap;
	int n;

	m->ok = ok;
	(void)strlcpy(m->reason, reason, sizeof(m->reason));
	n = snprintf(m->message, sizeof(m->message),
	    "Secret %s, key tls.crt: ", t->secret);
	va_start(ap, fmt);
	(void)vsnprintf(
	    m->message + n, sizeof(m->message) - (size_t)n, fmt, ap);
	va_end(ap);
}

/* What depends on the day, and on the sites' names. */
static void
judge(struct mtls *t, struct m_tls_state *m, int64_t now)
{
	int64_t from = seconds(X509_get0_notBefore(t->seen));
	int64_t to = seconds(X509_get0_notAfter(t->seen));
	char names[MSGTEXT_LEN / 2], day[32];
	struct tm tm;
	time_t at = (time_t)(now < from ? from : to);

	m->not_after_s = to;
	if (gmtime_r(&at, &tm) == NULL ||
	    strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		(void)strlcpy(day, "?", sizeof(day));
	if (now >= to)
		say(t, m, false, "TLSExpired", "expired at %s", day);
	else if (now < from)
		say(t, m, false, "TLSNotYetValid", "is valid from %s on", day);
	else if (missing(t, false, names, sizeof(names)) > 0)
		say(t, m, false, "TLSNamesMissing",
		    "lacks DNS names of sites:%s", names);
	else if (to - now < SOON_S)
		say(t, m, true, "TLSExpiresSoon", "expires at %s", day);
	else if (missing(t, true, names, sizeof(names)) > 0)
		say(t, m, true, "TLSInternalNamesMissing",
		    "lacks DNS names by which replicas know their source, who "
		    "check the CA only:%s",
		    names);
	else
		say(t, m, true, "Valid", "good until %s", day);
}

static void
adopt(struct mtls *t)
{
	unsigned n = 0;

	X509_free(t->good);
	t->good = t->seen;
	(void)X509_up_ref(t->good);
	t->good_gen = t->gen;
	if (X509_digest(t->good, EVP_sha256(), t->digest, &n) != 1)
		fatalx("SHA-256 of a certificate");
}

static void
look(struct mtls *t)
{
	static struct m_tls_state m;
	int64_t now = (int64_t)time(NULL), ms = LOOK_MAX_MS, left;
	struct msite *s;

	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.group, t->group->uid, sizeof(m.group));
	m.gen = t->gen;
	(void)strlcpy(m.reason, t->reason, sizeof(m.reason));
	(void)strlcpy(m.message, t->message, sizeof(m.message));
	/* A group of which no site is known yet has no names. */
	if (t->reason[0] == '\0' && TAILQ_EMPTY(&t->group->sites))
		return;
	if (t->reason[0] == '\0') {
		judge(t, &m, now);
		left = (m.not_after_s - now) * 1000 + 1000;
		if (left > 0 && left < ms)
			ms = left;
	}
	if (m.ok && t->good_gen != t->gen) {
		adopt(t);
		TAILQ_FOREACH (s, &t->group->sites, entry)
			mfresh_kick(s, false);
	}
	if (m.ok) {
		m.digest.len = sizeof(t->files);
		memcpy(m.digest.data, t->files, sizeof(t->files));
	}
	mysql_arm(t->timer, ms);
	if (memcmp(&m, &t->said, sizeof(m)) == 0)
		return;
	t->said = m;
	mysql_send(MSG_TLS_STATE, &m);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct mtls *t = arg;

	(void)fd;
	(void)what;
	if (t->wanted)
		look(t);
}

/* --------------------------------------------------------------- secret --- */

/* By which a sidecar knows that they have come to its Pod. */
static void
digest_files(struct mtls *t, const struct m_tls *m)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (ctx == NULL || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1 ||
	    EVP_DigestUpdate(ctx, m->ca.data, m->ca.len) != 1 ||
	    EVP_DigestUpdate(ctx, "", 1) != 1 ||
	    EVP_DigestUpdate(ctx, m->cert.data, m->cert.len) != 1 ||
	    EVP_DigestFinal_ex(ctx, t->files, NULL) != 1)
		fatalx("SHA-256 of files");
	EVP_MD_CTX_free(ctx);
}

/* What does not depend on names and days. */
static void
inspect(struct mtls *t, const struct m_tls *m)
{
	STACK_OF(X509) * ca, *chain = NULL;

	X509_free(t->seen);
	t->seen = NULL;
	t->reason[0] = t->message[0] = '\0';
	ca = read_certs(m->ca.data, m->ca.len);
	set_trust(t, m, ca != NULL);
	if (m->problem[0] != '\0') {
		(void)snprintf(t->reason, sizeof(t->reason), "%.*s",
		    (int)strcspn(m->problem, ":"), m->problem);
		(void)strlcpy(t->message, m->problem, sizeof(t->message));
	} else if (ca == NULL)
		fault(t, "TLSNotPEM", "key ca.crt: has no PEM certificate");
	else if ((chain = read_certs(m->cert.data, m->cert.len)) == NULL)
		fault(t, "TLSNotPEM", "key tls.crt: has no PEM certificate");
	else if (key_fits(t, m, sk_X509_value(chain, 0)) &&
	    chain_ok(t, ca, chain)) {
		t->seen = sk_X509_value(chain, 0);
		(void)X509_up_ref(t->seen);
	}
	sk_X509_pop_free(ca, X509_free);
	sk_X509_pop_free(chain, X509_free);
}

void
mtls_set(struct mgroup *g, const struct m_tls *m)
{
	struct mtls *t = g->tls;

	if (t == NULL) {
		if ((t = calloc(1, sizeof(*t))) == NULL ||
		    (t->timer = evtimer_new(mysql_base(), on_timer, t)) == NULL)
			fatal("mtls_set");
		t->group = g;
		g->tls = t;
	}
	t->wanted = m->wanted;
	t->gen = m->gen;
	(void)strlcpy(t->secret, m->secret, sizeof(t->secret));
	if (!m->wanted) {
		/* Servers may still have what it was. */
		set_trust(t, m, false);
		memset(&t->said, 0, sizeof(t->said));
		return;
	}
	digest_files(t, m);
	inspect(t, m);
	look(t);
}

void
mtls_names(struct mgroup *g)
{
	if (g->tls != NULL && g->tls->wanted)
		look(g->tls);
}

uint64_t
mtls_gen(const struct mgroup *g)
{
	return g->tls != NULL && g->tls->wanted ? g->tls->good_gen : 0;
}

bool
mtls_is(const struct mgroup *g, const uint8_t *digest)
{
	return mtls_gen(g) != 0 && digest != NULL &&
	    memcmp(digest, g->tls->digest, MCONN_DIGEST) == 0;
}

bool
mtls_has_name(const struct mgroup *g, const char *name)
{
	return g->tls != NULL && g->tls->good != NULL &&
	    has_name(g->tls->good, name);
}

void
mtls_free(struct mgroup *g)
{
	struct mtls *t = g->tls;

	if (t == NULL)
		return;
	event_free(t->timer);
	X509_free(t->seen);
	X509_free(t->good);
	free(t->ca);
	free(t->trust);
	free(t);
	g->tls = NULL;
}
