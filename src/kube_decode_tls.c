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
 * The user's TLS Secret → struct m_tls, and the Secret of our own that
 * remembers what was in force at all sites. PEM is bytes here: this process
 * has rights that its parsers should not meet strangers' texts with.
 */

#include <openssl/evp.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kube_render.h"

#define CA     "ca.crt"
#define CERT   "tls.crt"
#define KEY    "tls.key"
#define CA_MAX sizeof(((struct m_tls *)0)->ca.data)

static void problem(struct m_tls *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The first one counts. */
static void
problem(struct m_tls *m, const char *fmt, ...)
{
	va_list ap;

	if (m->problem[0] != '\0')
		return;
	va_start(ap, fmt);
	(void)vsnprintf(m->problem, sizeof(m->problem), fmt, ap);
	va_end(ap);
}

/* Its length; -1: not there, too long or no base64. */
static int
bytes(yyjson_val *data, const char *key, uint8_t *out, size_t size)
{
	yyjson_val *v = yyjson_obj_get(data, key);

	if (!yyjson_is_str(v))
		return -1;
	return ktext_base64(yyjson_get_str(v), yyjson_get_len(v), out, size);
}

static uint32_t
take(struct m_tls *m, yyjson_val *data, const char *key, uint8_t *out,
    size_t size)
{
	int n = bytes(data, key, out, size);

	if (yyjson_obj_get(data, key) == NULL)
		problem(m, "SecretMissingKey: Secret %s has no key %s",
		    m->secret, key);
	else if (n <= 0)
		problem(m,
		    "SecretInvalid: Secret %s, key %s: empty, longer than "
		    "%zu bytes or no base64",
		    m->secret, key, size);
	return n > 0 ? (uint32_t)n : 0;
}

void
ktls_decode(
    const struct kspec *k, ksecret_lookup lookup, void *arg, struct m_tls *m)
{
	yyjson_val *s, *data;

	memset(m, 0, sizeof(*m));
	(void)strlcpy(m->group, k->uid, sizeof(m->group));
	if (!k->tls)
		return;
	m->wanted = true;
	(void)strlcpy(m->secret, k->tls_secret, sizeof(m->secret));
	if ((s = lookup(arg, k->tls_secret)) == NULL) {
		problem(m,
		    "SecretNotFound: Secret %s (spec.tls.secretName) does not "
		    "exist",
		    k->tls_secret);
		return;
	}
	data = yyjson_obj_get(s, "data");
	m->ca.len = take(m, data, CA, m->ca.data, sizeof(m->ca.data));
	m->cert.len = take(m, data, CERT, m->cert.data, sizeof(m->cert.data));
	m->key.len = take(m, data, KEY, m->key.data, SECRET_MAX);
	m->key.data[m->key.len] = '\0';
	if (m->problem[0] == '\0')
		return;
	m->cert.len = 0;
	secret_wipe(&m->key);
}

/* ------------------------------------------------------------- our own --- */

int
ksaved_name(const struct kspec *k, char out[static NAME_LEN + 1])
{
	int n = snprintf(out, NAME_LEN + 1, "mysql-%s-accounts", k->name);

	return n > 0 && n <= NAME_LEN ? 0 : -1;
}

/* Not one that somebody else made by this name. */
static bool
is_ours(yyjson_val *s)
{
	yyjson_val *labels =
	    yyjson_obj_get(yyjson_obj_get(s, "metadata"), "labels");

	return yyjson_equals_str(
	    yyjson_obj_get(labels, "app.kubernetes.io/managed-by"),
	    "bloodraven");
}

int
ksaved_decode(yyjson_val *s, struct m_creds *m, struct m_tls *t)
{
	yyjson_val *data = yyjson_obj_get(s, "data");
	static uint8_t buf[SECRET_MAX];
	int n;

	if (s != NULL && !is_ours(s))
		return -1;
	n = bytes(data, "username", buf, USER_LEN);
	if (n > 0 && memchr(buf, '\0', (size_t)n) == NULL) {
		memcpy(m->prev_user, buf, (size_t)n);
		m->prev_user[n] = '\0';
	}
	n = bytes(data, "password", buf, sizeof(buf));
	if (n > 0 && memchr(buf, '\0', (size_t)n) == NULL)
		(void)secret_set(&m->prev_password, buf, (size_t)n);
	explicit_bzero(buf, sizeof(buf));
	n = bytes(data, CA, t->prev_ca.data, sizeof(t->prev_ca.data));
	t->prev_ca.len = n > 0 ? (uint32_t)n : 0;
	return 0;
}

/* Base64: passwords and PEM need not be text. */
static bool
put_bytes(yyjson_mut_doc *d, yyjson_mut_val *o, const char *key,
    const uint8_t *bytes, size_t len)
{
	static unsigned char buf[4 * (CA_MAX / 3 + 1) + 1];
	bool ok;

	if (len > CA_MAX)
		return false;
	(void)EVP_EncodeBlock(buf, bytes, (int)len);
	ok = yyjson_mut_obj_add_strcpy(d, o, key, (const char *)buf);
	explicit_bzero(buf, sizeof(buf));
	return ok;
}

yyjson_mut_val *
ksaved_render(yyjson_mut_doc *d, const struct kspec *k, const char *rv,
    const struct m_creds *m, const struct m_tls *t)
{
	char name[NAME_LEN + 1];
	yyjson_mut_val *root, *meta, *o;

	if (ksaved_name(k, name) == -1 ||
	    (root = krender_object(d, k, "v1", "Secret", name, NULL)) == NULL ||
	    (*rv == '\0' && !kput_str(d, root, "type", "Opaque")) ||
	    (meta = yyjson_mut_obj_get(root, "metadata")) == NULL ||
	    /* Another write since then makes this one fail. */
	    (*rv != '\0' && !kput_str(d, meta, "resourceVersion", rv)) ||
	    (o = yyjson_mut_obj_add_obj(d, root, "data")) == NULL ||
	    (m != NULL &&
		(!put_bytes(d, o, "username", (const uint8_t *)m->user,
		     strlen(m->user)) ||
		    !put_bytes(d, o, "password", m->password.data,
			m->password.len))) ||
	    (t != NULL && !put_bytes(d, o, CA, t->ca.data, t->ca.len)))
		return NULL;
	return root;
}
