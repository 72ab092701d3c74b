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
 * A MysqlFailoverGroup as the operator understands it, and what is rendered
 * from it. Everything here is pure: JSON in, structs and diagnostics, JSON
 * out. No I/O, no clock, no state; kube.c does the talking.
 *
 * Lifetime: strings and yyjson_val pointers in a struct kspec are borrowed
 * from the object's document (or static), which must outlive the kspec.
 * Renderers build in the caller's yyjson_mut_doc and copy what they take
 * from the kspec by reference: the kspec's document must also outlive the
 * rendered one. They return NULL only when the doc's allocator fails.
 */

#ifndef KUBE_SPEC_H
#define KUBE_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <yyjson.h>

#include "br.h"
#include "msg.h"

/* ---------------------------------------------------------- diagnostics - */

#define KPROBLEMS_MAX 16 /* kept; the rest is only counted */
#define KPROBLEM_LEN  383

/* Each text is "path: what is wrong", e.g. "spec.sites[1].lbIP: …". */
struct kproblems {
	unsigned n; /* found, may exceed the kept */
	char text[KPROBLEMS_MAX][KPROBLEM_LEN + 1];
};

void kproblem(struct kproblems *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* All kept texts, "; " between them, cut to size; always NUL-terminated. */
void kproblems_join(const struct kproblems *, char *, size_t);

/* ------------------------------------------------------------- the spec - */

struct ksvc {               /* a serviceTemplate */
	const char *type;   /* NULL: not said */
	const char *policy; /* externalTrafficPolicy, NULL */
	yyjson_val *annotations;
	int64_t node_port; /* 0: not said; sites only */
};

struct ksite {
	const char *name;
	unsigned role; /* enum br_role */
	const char *zone;
	const char *lb_ip; /* NULL: none (readers) */
	const char *storage_class;
	yyjson_val *storage_size; /* quantity: string or number */
	yyjson_val *resources;    /* NULL: none */
	yyjson_val *taint_selector;
	yyjson_val *mysql_conf;
	struct ksvc svc;
	uint32_t server_id; /* see kspec_server_ids() */
};

#define KSECRETS_MAX 6 /* Secrets that a group refers to now */

struct kspec {
	/* metadata */
	const char *name;
	const char *ns;
	const char *uid;
	const char *resource_version; /* opaque */
	int64_t generation;
	bool deleting;
	bool finalizer; /* BR_FINALIZER is on it */

	/* spec, defaults applied */
	const char *image;
	const char *sidecar_image;
	const char *entrypoint; /* of image, for the guard */
	unsigned nsites;
	struct ksite sites[SITES_MAX];
	unsigned npriorities;
	const char *priorities[SITES_MAX];
	const char *secret_name;     /* legacy mode, or NULL */
	const char *operator_secret; /* credentials mode, or NULL */
	const char *app_secret, *readonly_secret, *monitor_secret,
	    *backup_secret;     /* NULL: none */
	bool tls;               /* spec.tls is said */
	const char *tls_secret; /* spec.tls.secretName, NULL */
	const char *dns_hostname;
	int64_t dns_ttl;
	int64_t poll_ms;
	int64_t failure_threshold;
	int64_t recovery_threshold;
	int64_t cooldown_ms;
	int64_t drain_ms;
	int64_t clone_s;
	int64_t max_lag_s;
	int64_t reader_max_lag_s;
	int64_t lease_ms; /* sidecar.leaseTimeout */
	int64_t peer_check_ms;
	const char *lease_text, *peer_check_text; /* as they were written */
	/*
	 * sidecar.bloodravenAddress; NULL: not said. aux_addr is what then
	 * counts: the operator's default, which the caller sets, or NULL.
	 */
	const char *bloodraven_addr, *aux_addr;
	int64_t grace_s;
	yyjson_val *sidecar_resources; /* NULL: none */
	yyjson_val *mysql_conf;
	yyjson_val *pod_labels, *pod_annotations;
	/* What they leave unset is ours to say (kube_render_sec.c). */
	yyjson_val *pod_security, *ctr_security; /* or NULL */
	yyjson_val *extra_containers, *extra_init;
	struct ksvc svc;
	bool recreate;    /* updateStrategy */
	bool delete_data; /* deletionPolicy: volumes go with the group */
	/*
	 * "policy/v1" or "policy/v1beta1", which the caller sets from what
	 * the API server has; NULL: not known yet.
	 */
	const char *policy_api;
	/* What is set but not acted on yet, "spec.backup, spec.tls, …". */
	char unused[MSGTEXT_LEN + 1];
};

/*
 * Decode a whole MysqlFailoverGroup and check every rule, since old API
 * servers enforce only the structural ones. out is filled as far as possible
 * in any case, but may be rendered only when 0 is returned. Returns 0, or -1
 * with EBADMSG: problems were found (appended), or the object has no name,
 * namespace or UID (then out->uid is NULL).
 */
int kspec_decode(yyjson_val *cr, struct kspec *out, struct kproblems *);
/* Likewise; and what the group's status forbids its spec to say now. */
int kspec_judge(yyjson_val *cr, struct kspec *out, struct kproblems *);

/*
 * Server ids. A site that already has a Deployment keeps the id that is in
 * it (annotation bloodraven.shipstream.io/server-id; in one that the
 * reference made, mysqld's argument), so that re-ordering spec.sites changes
 * none and no two servers ever share one during a roll. One whose Deployment
 * is not there keeps that of its data volume (the same annotation). Others
 * get 101 + their index, or the smallest id from 101 that nobody has or had.
 * kspec_decode assigned by index alone. The "items" arrays of the group's live
 * Deployments and PersistentVolumeClaims, those of removed sites too, or NULL.
 */
void
kspec_server_ids(struct kspec *, yyjson_val *deployments, yyjson_val *volumes);

/* The message for the parent. problems: NULL or empty means valid. */
void kspec_conf(
    const struct kspec *, const struct kproblems *, struct m_group_conf *);

/* Names of the Secrets that it refers to, deduplicated; how many. */
unsigned kspec_secrets(const struct kspec *, const char *[KSECRETS_MAX]);

/* The site's index by name, -1 when there is none. */
int kspec_site(const struct kspec *, const char *name);

/* ---------------------------------------------------- objects to apply -- */

/*
 * KA_CREATE: created (POST) when nothing bears its name, never again: size
 * edits of a PVC are not acted on; what its metadata shall be is kvol_patch().
 * KA_ROLL: a changed template would restart all sites together, so an
 * existing one is applied only when the live template has the hash that
 * kspec_hash() gives (what drifted is put back), or when the core said so.
 */
enum kobj_how { KA_APPLY, KA_CREATE, KA_ROLL };

/*
 *	X(id, API prefix, plural, how)
 * In the order in which they must be applied: what a Pod mounts comes first.
 * The prefix of a PodDisruptionBudget is policy_api's.
 */
#define KOBJS(X)                                                  \
	X(KO_SITE_CONFIG, "/api/v1", "configmaps", KA_APPLY)      \
	X(KO_INIT_USERS, "/api/v1", "configmaps", KA_APPLY)       \
	X(KO_PVC, "/api/v1", "persistentvolumeclaims", KA_CREATE) \
	X(KO_SVC_SITE, "/api/v1", "services", KA_APPLY)           \
	X(KO_SVC_INTERNAL, "/api/v1", "services", KA_APPLY)       \
	X(KO_SVC_PRIMARY, "/api/v1", "services", KA_APPLY)        \
	X(KO_SVC_REPLICAS, "/api/v1", "services", KA_APPLY)       \
	X(KO_PDB, "", "poddisruptionbudgets", KA_APPLY)           \
	X(KO_DEPLOYMENT, "/apis/apps/v1", "deployments", KA_ROLL)

#define X(id, prefix, plural, how) id,
enum kobj_kind { KOBJS(X) KO_MAX };
#undef X

#define KOBJS_MAX (5 * SITES_MAX + 4)
#define KPATH_LEN (NS_LEN + 2 * NAME_LEN)

struct kobj {
	enum kobj_kind kind;
	unsigned site; /* index; per-site kinds only */
	enum kobj_how how;
	char name[NAME_LEN + 1];
	char collection[KPATH_LEN + 1]; /* URL path to POST */
	char path[KPATH_LEN + 1];       /* URL path of it */
};

/* The site whose object bears that name; labels of one that lives may lie. */
int kspec_site_named(const struct kspec *, enum kobj_kind, const char *object);
/* All objects of a group, in order; how many. */
unsigned kobjs(const struct kspec *, struct kobj[KOBJS_MAX]);
/* The complete object, with apiVersion, kind, labels and owner. */
yyjson_mut_val *
kobj_render(yyjson_mut_doc *, const struct kspec *, const struct kobj *);
/*
 * A rendered Deployment with what the hash leaves out as the live one has it:
 * applied, it changes nothing but what drifted. False: out of memory.
 */
bool kobj_keep(yyjson_mut_doc *, yyjson_mut_val *rendered, yyjson_val *live);
/*
 * Hash of a live Deployment's template; of one that has none what no hash is,
 * so that it counts as another template.
 */
#define KHASH_OTHER "ffffffffffffffff"
const char *kobj_live_hash(yyjson_val *deployment);
/*
 * Merge patch of a Service that our apply was refused for: it leaves a type,
 * and somebody set what only that type may have (resources.md 6).
 */
yyjson_mut_val *
kservice_clear(yyjson_mut_doc *, const struct kspec *, const struct kobj *);

/*
 * Merge patch that takes out of a live selector what somebody added to it:
 * it would choose no Pod at all. NULL: nothing to do, or it has none.
 */
yyjson_mut_val *kobj_strip(yyjson_mut_doc *, const struct kspec *,
    const struct kobj *, yyjson_val *live);

/* Of a live Service's port mysql; 0: none. */
unsigned kservice_node_port(yyjson_val *service);
/* Nobody says which: the one that was allocated stays. */
bool kservice_keep(yyjson_mut_doc *, yyjson_mut_val *rendered, unsigned port);

/* The name of a per-site object of any site, configured or not. */
int kobj_site_name(const char *group, const char *site, enum kobj_kind,
    char[static NAME_LEN + 1]);

/* ------------------------------------------------------- data volumes -- */

/*
 * What a live PVC's metadata lacks or has too much, as a merge patch with its
 * resourceVersion; NULL when it is as wanted: our labels and the server id
 * when its site is configured, and our owner reference just when own is true.
 * adopt: add the reference, too, if it is missing.
 */
struct kvol {
	const struct kspec *spec; /* NULL: the owner reference alone */
	const char *group, *uid;
	bool own, adopt;
};
yyjson_mut_val *
kvol_patch(yyjson_mut_doc *, const struct kvol *, yyjson_val *pvc);
/*
 * Is it being deleted, or owned by a group other than uid, whose end it would
 * not survive? Nothing new may be put on it.
 */
bool kvol_going(yyjson_val *pvc, const char *uid);

#define KANN_HASH      "shipstream.io/spec-hash"
#define KANN_SERVER_ID BR_ANN "server-id"
#define KLABEL_GROUP   "shipstream.io/failover-group"
#define KLABEL_SITE    "shipstream.io/site"
#define KLABEL_KEYS    "shipstream.io/lease-key" /* our Secrets */
#define KLABEL_ROLE    "shipstream.io/role"
#define KLABEL_HEALTHY "shipstream.io/healthy"
#define KHASH_LEN      16

/*
 * SHA-256, first 16 hex digits, over the site's rendered Pod template and its
 * my.cnf: whatever would change what runs. Without the hash itself, and
 * without what spec.sidecar says: its times come to a guard signed, with the
 * epoch, and changing them must not restart a server (resources.md 3.5). Nor
 * the other sites' addresses. It is no interface: only equality counts.
 * Returns -1 with ENOMEM.
 */
int kspec_hash(const struct kspec *, unsigned site, char[static KHASH_LEN + 1]);

/* --------------------------------------------------------------- status - */

/*
 * The status that the group shall have (without status.authority, which
 * belongs to the record; no key of it is rendered). For a merge patch of the
 * status subresource as {"status": result}. sites: those that the parent
 * reported, in any order; the result follows spec.sites. prev: the live
 * object's "status", or NULL. lastTransitionTime moves only when a
 * condition's status flips; conditions of prev whose type the parent does not
 * name are kept.
 */
yyjson_mut_val *kstatus_render(yyjson_mut_doc *, const struct kspec *,
    const struct m_group_status *, const struct m_site_status *sites,
    unsigned nsites, yyjson_val *prev, int64_t now_ms);

/*
 * What would writing it change? KS_MINOR: only what moves all the time
 * (lastSeen, gtidExecuted, secondsBehindSource), never worth a write of its
 * own, however old it is: it rides along with the next KS_CHANGED.
 */
enum kstatus_diff { KS_SAME, KS_MINOR, KS_CHANGED };
enum kstatus_diff kstatus_diff(yyjson_val *prev, yyjson_mut_val *next);

/*
 * status.authority and the copies beside it → m_record (group is the UID).
 * spec may be NULL (then site names are not checked). The later of status
 * and annotations wins for lastFailover, ties go to the status; malformed,
 * unpaired, unknown-site and future (> 5 min) annotations are ignored.
 * Returns 0, also when there is no record (version 0); -1 with EBADMSG when
 * a record exists but cannot be understood or does not fit: it must then
 * never be taken for "none", and why[] says what is wrong.
 */
int krecord_decode(yyjson_val *cr, const struct kspec *, int64_t now_ms,
    struct m_record *, char why[static ERR_LEN + 1]);
/*
 * Merge patch of the status subresource that replaces the record by version
 * base_version + 1. resource_version makes it a compare-and-swap: it is that
 * of the object whose record was just read and had base_version, and prev is
 * its "status", or NULL. Another active site raises topologyGeneration. lease:
 * under which it is written (kube_foreign.c).
 */
yyjson_mut_val *krecord_patch(yyjson_mut_doc *, const struct m_record_put *,
    const char *lease, const char *resource_version, yyjson_val *prev);
/* Does the record say what this put wanted? */
bool krecord_is(const struct m_record *, const struct m_record_put *);
/* Merge patch of the object with the two annotations. */
yyjson_mut_val *
krecord_annotations(yyjson_mut_doc *, const struct m_record_put *);

/* ------------------------------------------------- what comes from Pods - */

/*
 * A MySQL Pod → m_pod; group stays empty (the caller knows its UID from the
 * namespace and label KLABEL_GROUP, which *group_name borrows). Returns -1
 * with EBADMSG when it has no UID, name, or our labels.
 */
int kpod_decode(yyjson_val *pod, struct m_pod *, const char **group_name);
/* The same without its labels: neither group nor site. */
int kpod_facts(yyjson_val *pod, struct m_pod *);
/* Of the volume of keys, NULL: not made from a template of ours. Borrowed. */
const char *kpod_keys(yyjson_val *pod);

/* Merge patch of a Pod's labels. */
yyjson_mut_val *
kpod_labels(yyjson_mut_doc *, unsigned role_label, bool healthy);
/* Does the Pod carry these labels already? */
bool kpod_labels_match(yyjson_val *pod, unsigned role_label, bool healthy);

/* ------------------------------------------------------------- Secrets -- */

/*
 * The accounts of the Secrets that the spec names → m_creds, and the other
 * roles' → roles[] (by enum account; user is empty where there is none; NULL:
 * they are only checked). lookup finds a live Secret of the group's namespace
 * by name; it is called for each name of kspec_secrets(). Every referenced
 * Secret is checked for its keys. valid and problem ("SecretNotFound: …",
 * "SecretMissingKey: …", "SecretInvalid: …") are set; gen and prev_* are not.
 * Wipe all of it after use.
 */
typedef yyjson_val *(*ksecret_lookup)(void *arg, const char *name);
void kcreds_decode(const struct kspec *, ksecret_lookup, void *arg,
    struct m_creds *, struct m_account *roles);
/*
 * The TLS Secret: its three keys are there, or problem says what is missing.
 * What is in them only mysql-prober looks at.
 */
void
ktls_decode(const struct kspec *, ksecret_lookup, void *arg, struct m_tls *);

/*
 * What was last in force at all sites, in a Secret of our own: the operator's
 * account and the CA. For an operator that begins while a site does not have
 * the new ones yet, and the user's Secrets have no old ones any more.
 */
int ksaved_name(const struct kspec *, char[static NAME_LEN + 1]);
/*
 * Sets prev_user, prev_password, prev_ca; what is not there stays empty. -1:
 * it is somebody else's.
 */
int ksaved_decode(yyjson_val *secret, struct m_creds *, struct m_tls *);
/* NULL for what shall stay as it is. resource_version "": it is made. */
yyjson_mut_val *ksaved_render(yyjson_mut_doc *, const struct kspec *,
    const char *resource_version, const struct m_creds *, const struct m_tls *);

/* ------------------------------------------------------- other bodies --- */

/* Server-side apply body of a DNSEndpoint (want->target is not empty). */
yyjson_mut_val *kdns_render(yyjson_mut_doc *, const struct m_dns_want *);
/* The first target of a live DNSEndpoint's record, NULL when it differs in
 * shape (hostname, TTL, number of targets) from what is wanted. */
const char *kdns_live(yyjson_val *endpoint, const struct m_dns_want *);
/* Has it our labels, and is the group its owner? */
bool kdns_belongs(yyjson_val *endpoint, const struct m_dns_want *);
/* Name of the DNSEndpoint: bloodraven-<group>. -1 with ERANGE. */
int kdns_name(const char *group, char[static NAME_LEN + 1]);

/* A core/v1 Event on the group; serial makes the name unique. */
struct kevent {
	const char *ns, *name, *uid;  /* the group */
	const char *resource_version; /* or NULL */
	const struct m_event *event;
	const char *instance; /* reporting Pod */
	int64_t now_ms;
	uint64_t serial;
};
yyjson_mut_val *kevent_render(yyjson_mut_doc *, const struct kevent *);

struct klease {
	const char *ns, *name;
	const char *resource_version; /* NULL: create */
	const char *holder;           /* "": released */
	int64_t duration_s;
	int64_t acquire_us, renew_us; /* Unix µs */
	uint64_t transitions;
	/* The holder acts so long after it sent a renewal; 0: not known. */
	int64_t acts_ms;
};
yyjson_mut_val *klease_render(yyjson_mut_doc *, const struct klease *);
/* Strings of out are borrowed. -1 with EBADMSG. */
int klease_decode(yyjson_val *, struct klease *);

/* TokenRequest for dns-writer's ServiceAccount, default audience. */
yyjson_mut_val *ktoken_request(yyjson_mut_doc *, int64_t seconds);

/* ---------------------------------------------------------- lease keys - */

/* One Secret's place (kube_keys.c). */
struct kkey_place {
	const char *ns, *name;
	const char *group, *site; /* NULL: the operator's */
	const char *rv;           /* version that it replaces, "": new */
};
/* m->group is set: whose it should be. */
void kkeys_decode(yyjson_val *, struct m_keys *);
yyjson_mut_val *kkeys_render(
    yyjson_mut_doc *, const struct kkey_place *, const struct m_key_put *);

/* ----------------------------------------------------------------- text - */

/* RFC 3339 → Unix µs. -1 with EBADMSG. */
int ktime_parse(const char *, int64_t *us);
#define KTIME_LEN 32
/* Unix ms → "2026-11-26T12:00:00Z" (seconds; what metav1.Time takes). */
void ktime_s(int64_t ms, char[static KTIME_LEN]);
/* The last failover, as status, annotation and log have it. */
void krecord_last_failover(const struct m_record_put *, char[static KTIME_LEN]);
/* Unix µs → "2026-11-26T12:00:00.123456Z" (metav1.MicroTime). */
void ktime_us(int64_t us, char[static KTIME_LEN]);

#endif /* KUBE_SPEC_H */
