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
 * See certs.h.
 */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "certs.h"

struct authority {
	X509 *cert;
	EVP_PKEY *key;
	char pem[PEM_LEN];
};

static void
take(BIO *bio, char out[PEM_LEN])
{
	char *data;
	long n = BIO_get_mem_data(bio, &data);

	assert_true(n > 0 && n < PEM_LEN);
	memcpy(out, data, (size_t)n);
	out[n] = '\0';
	BIO_free(bio);
}

static void
pem(X509 *x, char out[PEM_LEN])
{
	BIO *bio = BIO_new(BIO_s_mem());

	assert_int_equal(PEM_write_bio_X509(bio, x), 1);
	take(bio, out);
}

static void
extend(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	assert_non_null(e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value));
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

static X509 *
begin(EVP_PKEY *key, const char *name, int64_t from, int64_t to)
{
	static long serial = 1;
	X509 *x = X509_new();

	assert_non_null(x);
	(void)X509_set_version(x, 2);
	(void)ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
	(void)X509_gmtime_adj(X509_getm_notBefore(x), (long)from);
	(void)X509_gmtime_adj(X509_getm_notAfter(x), (long)to);
	(void)X509_set_pubkey(x, key);
	(void)X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN",
	    MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	return x;
}

struct authority *
cert_authority(const char *name)
{
	struct authority *a = calloc(1, sizeof(*a));

	assert_non_null(a);
	assert_non_null(a->key = EVP_EC_gen("P-256"));
	a->cert = begin(a->key, name, -3600, 86400 * 365L);
	(void)X509_set_issuer_name(a->cert, X509_get_subject_name(a->cert));
	extend(a->cert, a->cert, NID_basic_constraints, "critical,CA:TRUE");
	extend(a->cert, a->cert, NID_subject_key_identifier, "hash");
	assert_true(X509_sign(a->cert, a->key, EVP_sha256()) > 0);
	pem(a->cert, a->pem);
	return a;
}

const char *
cert_ca(const struct authority *a)
{
	return a->pem;
}

void
cert_make(const struct authority *a, const char *names, int64_t from,
    int64_t to, struct cert *out)
{
	char san[1024] = "", list[512], *p = list, *name;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	BIO *bio = BIO_new(BIO_s_mem());
	X509 *x;

	assert_non_null(key);
	x = begin(key, "server", from, to);
	(void)X509_set_issuer_name(x, X509_get_subject_name(a->cert));
	(void)snprintf(list, sizeof(list), "%s", names);
	while ((name = strsep(&p, ",")) != NULL)
		(void)snprintf(san + strlen(san), sizeof(san) - strlen(san),
		    "%sDNS:%s", san[0] == '\0' ? "" : ",", name);
	extend(x, a->cert, NID_subject_alt_name, san);
	extend(x, a->cert, NID_authority_key_identifier, "keyid");
	assert_true(X509_sign(x, a->key, EVP_sha256()) > 0);
	pem(x, out->cert);
	assert_int_equal(
	    PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
	take(bio, out->key);
	X509_free(x);
	EVP_PKEY_free(key);
}

void
cert_lock(const struct cert *c, char out[PEM_LEN])
{
	static char word[] = "word";
	BIO *in = BIO_new_mem_buf(c->key, -1), *bio = BIO_new(BIO_s_mem());
	EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);

	assert_non_null(key);
	assert_int_equal(PEM_write_bio_PKCS8PrivateKey(
			     bio, key, EVP_aes_256_cbc(), NULL, 0, NULL, word),
	    1);
	take(bio, out);
	BIO_free(in);
	EVP_PKEY_free(key);
}
