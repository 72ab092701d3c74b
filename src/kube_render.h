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
 * Shared by the renderers (kube_render*.c), used by nobody else.
 */

#ifndef KUBE_RENDER_H
#define KUBE_RENDER_H

#include "kube_schema.h"

/* Paths inside a MySQL Pod; an interface of the images (resources.md 3). */
#define KDATA_DIR     "/var/lib/mysql"
#define KCONF_DIR     "/etc/mysql/conf.d"
#define KMAP_DIR      "/etc/mysql/config-map"
#define KTLS_DIR      "/etc/mysql/tls"
#define KCREDS_DIR    "/etc/mysql/creds"
#define KINITDB_DIR   "/docker-entrypoint-initdb.d"
#define KCONF_KEY     "bloodraven.cnf"
#define KMYSQL_PORT   3306

#define KTAINT_PREFIX "shipstream.io/db-readonly-"

/* A growing text; failed once malloc() did. */
struct kbuf {
	char *p;
	size_t len, size;
	bool failed;
};

void kbuf_add(struct kbuf *, const char *);
void kbuf_addf(struct kbuf *, const char *, ...)
    __attribute__((format(printf, 2, 3)));
/* As a string of the document; frees the buffer. NULL when it failed. */
yyjson_mut_val *kbuf_take(struct kbuf *, yyjson_mut_doc *);

/*
 * Members, values copied into the document; a NULL or absent value adds
 * nothing. All return false only when out of memory.
 */
bool kput_str(yyjson_mut_doc *, yyjson_mut_val *, const char *, const char *);
bool kput_fmt(yyjson_mut_doc *, yyjson_mut_val *, const char *key,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
bool kput_copy(yyjson_mut_doc *, yyjson_mut_val *, const char *, yyjson_val *);
/* Like kput_str() for a key that is not a literal. */
bool kset_str(yyjson_mut_doc *, yyjson_mut_val *, const char *, const char *);

/* apiVersion, kind and metadata (name, namespace, labels, owner). */
yyjson_mut_val *krender_object(yyjson_mut_doc *, const struct kspec *,
    const char *api, const char *kind, const char *name, const struct ksite *);
/* The common labels (resources.md 1) into an object. */
bool krender_labels(yyjson_mut_doc *, yyjson_mut_val *, const struct kspec *,
    const struct ksite *);
bool krender_owner(yyjson_mut_doc *, yyjson_mut_val *meta, const char *name,
    const char *uid, bool controller);

/* The site's my.cnf (kube_conf.c). NULL without memory. */
yyjson_mut_val *
krender_mycnf(yyjson_mut_doc *, const struct kspec *, const struct ksite *);
/* Scripts (kube_script.c). */
extern const char kscript_users[];
extern const char kscript_read_only[];
extern const char kscript_init[];
extern const char kscript_start[];
extern const char kscript_stop[];

/* spec.template of a site's Deployment, without the hash. */
yyjson_mut_val *
krender_pod(yyjson_mut_doc *, const struct kspec *, unsigned site);
yyjson_mut_val *
krender_deployment(yyjson_mut_doc *, const struct kspec *, unsigned site);
yyjson_mut_val *
krender_service(yyjson_mut_doc *, const struct kspec *, const struct kobj *);

#endif /* KUBE_RENDER_H */
