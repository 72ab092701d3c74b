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
#define KRUN_DIR      "/run/bloodraven"      /* guard, and its socket */
#define KSOCK_DIR     "/var/run/mysqld"      /* mysqld's socket */
#define KKEYS_DIR     "/etc/bloodraven/keys" /* of the write lease */
#define KCONF_KEY     "bloodraven.cnf"
#define KMYSQL_PORT   3306
#define KSIDECAR_PORT 8080

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

const char *kobj_plural(enum kobj_kind);
/* apiVersion, kind and metadata (name, namespace, labels, owner). */
yyjson_mut_val *krender_object(yyjson_mut_doc *, const struct kspec *,
    const char *api, const char *kind, const char *name, const struct ksite *);
/* The common labels (resources.md 1) into an object. */
bool krender_labels(
    yyjson_mut_doc *, yyjson_mut_val *, const char *group, const char *site);
/* Has a live object all these labels, or annotations? */
bool krender_within(yyjson_mut_val *want, yyjson_val *have);
bool krender_owner(yyjson_mut_doc *, yyjson_mut_val *meta, const char *name,
    const char *uid, bool controller);

/* The site's my.cnf (kube_conf.c). NULL without memory. */
yyjson_mut_val *
krender_mycnf(yyjson_mut_doc *, const struct kspec *, const struct ksite *);
/* Scripts (kube_script.c). */
extern const char kscript_users[];
extern const char kscript_read_only[];
extern const char kscript_init[];
extern const char kscript_stop[];

/* Members of a container or Pod that is being built. */
struct kbuild {
	yyjson_mut_doc *doc;
	const struct kspec *k;
	const struct ksite *s;
	bool hash; /* without what does not roll a Pod */
};

/* Parts of a Pod (kube_render_part.c); false: out of memory. */
bool kpart_mount(const struct kbuild *, yyjson_mut_val *mounts,
    const char *name, const char *path, bool ro);
bool kpart_env(const struct kbuild *, yyjson_mut_val *env, const char *name,
    const char *value);
bool kpart_env_field(const struct kbuild *, yyjson_mut_val *env,
    const char *name, const char *field);
bool kpart_env_secret(const struct kbuild *, yyjson_mut_val *env,
    const char *name, const char *secret, const char *key, bool optional);
bool kpart_port(
    const struct kbuild *, yyjson_mut_val *ports, const char *name, int port);
bool kpart_argv(const struct kbuild *, yyjson_mut_val *obj, const char *member,
    const char *const *argv);
/*
 * securityContext of one of our containers: the user's, and ours where it
 * and the Pod's leave something unset. ours: the image is ours, too.
 */
bool kpart_security(const struct kbuild *, yyjson_mut_val *ctr, bool ours);
bool kpart_pod_security(const struct kbuild *, yyjson_mut_val *spec);

/* Init container guard and container sidecar (kube_render_sidecar.c). */
bool krender_guard(const struct kbuild *, yyjson_mut_val *ctrs);
bool krender_sidecar(const struct kbuild *, yyjson_mut_val *ctrs);

/* spec.template of a site's Deployment, without the hash. */
yyjson_mut_val *krender_pod(
    yyjson_mut_doc *, const struct kspec *, unsigned site, bool for_hash);
yyjson_mut_val *
krender_deployment(yyjson_mut_doc *, const struct kspec *, unsigned site);
yyjson_mut_val *
krender_pdb(yyjson_mut_doc *, const struct kspec *, const struct kobj *);
/* PVC with its spec, as it is created. */
yyjson_mut_val *
krender_pvc(yyjson_mut_doc *, const struct kspec *, const struct kobj *);
yyjson_mut_val *
krender_service(yyjson_mut_doc *, const struct kspec *, const struct kobj *);

#endif /* KUBE_RENDER_H */
