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
 * The MysqlFailoverGroup schema as tables (api.md 1.1 to 1.7). They are the
 * only place where a field, its limits and its default are written down: the
 * operator checks objects against them, takes defaults from them, and the
 * CustomResourceDefinition in crds/ is generated from them
 * (regress/render/crdgen).
 */

#ifndef KUBE_SCHEMA_H
#define KUBE_SCHEMA_H

#include "kube_spec.h"

enum ktype {
	KT_STR, /* lo..hi characters; arg: "A|B" or NULL */
	KT_PAT, /* string; arg: regular expression (CRD and check) */
	KT_BOOL,
	KT_INT,  /* lo..hi */
	KT_DUR,  /* Go duration text; empty means the default */
	KT_QTY,  /* Kubernetes quantity, string or number */
	KT_TIME, /* RFC 3339 */
	KT_MAP,  /* string → string */
	KT_ANY,  /* an upstream Kubernetes object, passed through */
	KT_ANYS, /* list of such */
	KT_STRS, /* list of strings; lo..hi characters, arg: max items */
	KT_OBJ,  /* child */
	KT_LIST  /* lo..hi children */
};

#define KF_REQ     0x01 /* required */
#define KF_UNUSED  0x02 /* not acted on yet, and told; of a status: empty */
#define KF_I32     0x04 /* format int32 */
#define KF_MAPLIST 0x08 /* list-map by arg */
#define KF_ATOMIC  0x10 /* list of type atomic */
#define KF_NULL    0x20 /* null is a value of its own (status) */

struct kobject;

struct kfield {
	const char *name;
	enum ktype type;
	unsigned flags;
	int64_t lo, hi; /* hi 0: no upper limit */
	const char *arg;
	const char *def; /* default, as text; or NULL */
	const struct kobject *child;
	const char *doc; /* description in the CRD */
};

/* A rule between fields. */
struct krule {
	const char *cel; /* for API servers that know CEL */
	/* What the problem names; "[]" gets the index that bad() returned. */
	const char *field;
	const char *message;
	/* The same in C: -1 when it holds, else the index (or 0). */
	int (*bad)(yyjson_val *self);
};

struct kobject {
	const struct kfield *fields; /* ends with a NULL name */
	const struct krule *rules;   /* ends with a NULL cel; or NULL */
};

extern const struct kobject kschema_spec;
extern const struct kobject kschema_status;

/*
 * Check a value against its table, rules included; path is its name in
 * problems ("spec"). Names what is set but not acted on, and what is not
 * known at all, in unused (", " between them).
 */
void kschema_check(const struct kobject *, yyjson_val *, const char *path,
    struct kproblems *, char *unused, size_t size);

/* A member with the table's default; unusable values give the default. */
int64_t kget_int(const struct kobject *, yyjson_val *, const char *);
int64_t kget_ms(const struct kobject *, yyjson_val *, const char *);
/* NULL when neither set nor defaulted; empty counts as not set. */
const char *kget_str(const struct kobject *, yyjson_val *, const char *);
/* The table of a child object. */
const struct kobject *kschema_child(const struct kobject *, const char *);

/* --- kube_rules.c: rules between fields, beyond what one table row says - */

int krule_one_credential(yyjson_val *);
int krule_sites_unique(yyjson_val *);
int krule_two_candidates(yyjson_val *);
int krule_priorities(yyjson_val *);
int krule_site_lbip(yyjson_val *);
int krule_site_taint(yyjson_val *);
int krule_group_policy(yyjson_val *);
int krule_site_policy(yyjson_val *);
int krule_site_nodeport(yyjson_val *);
int krule_peer_interval(yyjson_val *);
int krule_lease_timeout(yyjson_val *);
int krule_lease_ratio(yyjson_val *);
int krule_encryption_tls(yyjson_val *);
int krule_keyring_dir(yyjson_val *);
int krule_dragonfly_image(yyjson_val *);
int krule_storage_union(yyjson_val *);
int krule_source_union(yyjson_val *);
int krule_pitr_profile(yyjson_val *);
int krule_cron_needed(yyjson_val *);

/* Everything else that would break rendering: names, IPs, mysqlConf, … */
void krules_render(const struct kspec *, struct kproblems *);

/* --- kube_conf.c: mysqlConf keys ---------------------------------------- */

/* Of one mysqlConf map; more is no configuration. */
#define KCONF_ENTRIES_MAX 512

/*
 * Why this key (as the user wrote it) cannot be set to this value, NULL when
 * it can. role is the site's; tls: spec.tls is there.
 */
const char *
kconf_refused(const char *key, const char *value, unsigned role, bool tls);
/* '_' → '-'. Returns -1 when it does not fit or is no option name. */
int kconf_key(const char *, char *, size_t);

/* --- kube_text.c ---------------------------------------------------------*/

bool ktext_label_value(const char *); /* 1..63 of a label value */
bool ktext_label_key(const char *);   /* prefix/name */
bool ktext_dns_label(const char *);
bool ktext_dns_subdomain(const char *);
bool ktext_hostname(const char *);
bool ktext_ip(const char *);
bool ktext_quantity(yyjson_val *, bool positive);
/* Standard base64 → bytes; the length or -1 with EBADMSG or ERANGE. */
int ktext_base64(const char *, size_t, uint8_t *, size_t);
bool ktext_utf8(const char *);
/*
 * '?' for what is no UTF-8 (texts are cut at bytes; a JSON writer refuses
 * them whole), and for control characters when asked.
 */
void ktext_clean(char *, bool controls);
void ktext_hex(const uint8_t *, size_t, char *);

#endif /* KUBE_SCHEMA_H */
