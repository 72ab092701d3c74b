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
 * Inside kube-watcher: its state, and what its files ask of each other.
 *
 *	kube.c		the worker: set-up, dispatch, requests, health
 *	kube_leader.c	the Lease; what begins and ends with it
 *	kube_group.c	groups as they come, change and go
 *	kube_foreign.c	groups that another installation leads
 *	kube_clash.c	groups that would have objects of one name
 *	kube_apply.c	a group's objects, applied until they are as wanted
 *	kube_object.c	one object of such a pass
 *	kube_adopt.c	fields of objects that the reference made
 *	kube_own.c	what is known of live objects, and their watches
 *	kube_named.c	objects that no list by labels has
 *	kube_volume.c	data volumes: metadata, and whom they belong to
 *	kube_sweep.c	what removed sites leave behind
 *	kube_roll.c	a newer template, when the core says so
 *	kube_refused.c	what of a pass the API server refused
 *	kube_conds.c	what kube-watcher itself adds to a status
 *	kube_write.c	status and record: one writer for both
 *	kube_pods.c	Pods: facts to the parent, labels, deletion
 *	kube_podfix.c	a finalizer that somebody took off a Pod
 *	kube_secrets.c	Secrets that groups name → ACCOUNT, CREDS, TLS
 *	kube_access.c	what became of them: conditions, what is in force
 *	kube_keys.c	Secrets with keys of the write lease ↔ KEYS, KEY_PUT
 *	kube_events.c	Events, repeats counted
 *	kube_finalizer.c	of groups, and of other objects
 *	kube_annotation.c	those that were dealt with are removed
 *	kube_token.c	dns-writer's
 *	kube_discovery.c	what this API server knows
 *	kube_nodes*.c	taints of nodes
 *
 * Everything that changes something is desired state, sent only while the
 * Lease is held: kube_may_write() is asked again when the connection stands
 * and the request is about to be written.
 */

#ifndef KUBE_H
#define KUBE_H

#include <sys/queue.h>
#include <sys/tree.h>

#include "kube_client.h"
#include "kube_http.h"
#include "kube_json.h"
#include "kube_lease.h"
#include "kube_spec.h"
#include "kube_watch.h"
#include "msg.h"

struct event;
struct event_base;
struct kube;

#define RV_LEN  127
#define KGROUPS "/apis/shipstream.io/v1alpha1"
#define OURS    "app.kubernetes.io%2Fmanaged-by%3Dbloodraven"

/*
 * The kinds whose live objects are watched for drift. The last one's API is
 * policy/v1 or v1beta1: it is begun when discovery has said which.
 */
#define KOWNED(X)                                         \
	X(KW_CONFIGMAPS, "configmaps", "/api/v1")         \
	X(KW_PVCS, "persistentvolumeclaims", "/api/v1")   \
	X(KW_SERVICES, "services", "/api/v1")             \
	X(KW_DEPLOYMENTS, "deployments", "/apis/apps/v1") \
	X(KW_PDBS, "poddisruptionbudgets", NULL)
#define X(id, plural, prefix) id,
enum kowned { KOWNED(X) KW_MAX };
#undef X

/* What is remembered of one applied object: hashes, never the object. */
struct kown {
	uint64_t id;      /* of plural/name */
	uint64_t wanted;  /* of the body that was applied */
	uint64_t applied; /* content that our apply left */
	uint64_t live;    /* content that was last seen */
	uint32_t mark;    /* of the list that had it */
	enum kowned kind;
	bool exists;
	bool told;          /* by the watch, since a request was sent */
	int64_t refused_ms; /* an Event said that it was refused */
	bool going; /* a PVC that is being deleted, or is another group's */
	uint16_t node_port; /* of a Service's port mysql, as last seen */
};

struct kpod; /* kube_pods.h */
TAILQ_HEAD(kpods, kpod);

/* An annotation that asks for something, as it was forwarded. */
struct kann {
	uint64_t key, value;
	bool seen;
};
#define KANNS_MAX 16

struct knodes;
struct kgroup;
struct kkey; /* one of our Secrets (kube_keys.c) */
TAILQ_HEAD(kkeyq, kkey);

typedef void kvol_fn(struct kgroup *, const struct kh_resp *);

/* One chain of requests with its retry; at most one is in flight. */
struct klane {
	struct kh_req *req;
	struct event *timer;
	struct backoff backoff;
	bool again; /* something changed meanwhile */
};

/* A deletion of an annotation that was not done yet. */
struct kanndel {
	TAILQ_ENTRY(kanndel) link;
	struct m_annotation_del msg;
};
TAILQ_HEAD(kanndels, kanndel);

/* Hashes of one site's template (kube_roll.c); empty: not known, or none. */
struct krollout {
	char want[KHASH_LEN + 1], have[KHASH_LEN + 1];
};

/* What of the last GROUP_STATUS is looked at often. */
struct kwant {
	uint64_t rev;
	uint32_t n_sites;
	struct m_site_view sites[];
};

struct kput { /* a RECORD_PUT under way */
	struct m_record_put msg;
	bool unknown; /* a write of it may have landed */
};

struct kgroup {
	RB_ENTRY(kgroup) node;
	TAILQ_ENTRY(kgroup) waiting; /* for a turn to apply */
	struct kube *k;
	char uid[UID_LEN + 1];
	char ns[NS_LEN + 1];
	char name[NAME_LEN + 1];
	char fg[NS_LEN + NAME_LEN + 2];
	char rv[RV_LEN + 1]; /* last seen */
	uint32_t mark;
	yyjson_doc *doc; /* the last valid one, stripped; spec is its own */
	bool valid;      /* the newest one is */
	bool deleting, release;
	bool delete_data; /* deletionPolicy of the newest one, valid or not */
	bool orphan;      /* deleted so that what it owns shall stay */
	int64_t generation;
	int64_t adopted; /* generation of doc */
	uint64_t told;   /* hash of the GROUP_CONF sent */
	struct kann anns[KANNS_MAX];

	/* kube_apply.c */
	struct klane apply;
	bool apply_queued, apply_running;
	unsigned apply_i, apply_n;
	bool apply_failed, apply_stale;
	int64_t apply_generation; /* of the spec whose names it looked for */
	bool apply_looked, apply_cleared, apply_stripped, apply_adopted;
	struct kobj *objs; /* while a pass runs */
	yyjson_doc *deps;  /* live Deployments, likewise */

	/* kube_volume.c */
	struct kh_req *vol_req;
	yyjson_doc *vols; /* live PVCs, while they are looked at */
	size_t vol_i;
	bool vol_failed;
	kvol_fn *vol_done;

	/* kube_named.c */
	struct kh_req *named_req;
	enum kobj_kind named_kind;
	yyjson_doc **named_list;
	unsigned named_site;
	kvol_fn *named_done;

	/* kube_sweep.c */
	struct klane sweep;
	bool left; /* a removed site may have left something */
	bool sweep_waits, sweep_said;
	unsigned sweep_kind;
	yyjson_doc *swept; /* one kind of what is left */
	size_t sweep_i;
	unsigned nsweep_sites;        /* of sweep_sites */
	char legacy_uid[UID_LEN + 1]; /* of ConfigMap mysql-<group>-config */
	bool legacy_used;
	uint64_t held[UNENDED_MAX]; /* hashes of sites with unended epochs */
	unsigned nheld;

	/* kube_roll.c */
	struct klane roll;
	TAILQ_HEAD(, kroll) rolls;
	struct krollout rollout[SITES_MAX];
	uint64_t rollout_told;

	uint64_t skew_said; /* of the sidecar's image (kube_skew.c) */

	/* kube_write.c */
	struct klane status;
	struct kput *put;
	struct m_record_put *annotate; /* its annotations are not written */
	struct kwant *want;            /* NULL: nothing was told yet */
	struct msg_kept group_status, site_status[SITES_MAX];
	bool status_dirty;
	bool need_record;           /* no quorum read was understood yet */
	bool record_read;           /* tried once at least */
	bool recorded;              /* there is one, readable or not */
	uint64_t record_version;    /* told last */
	uint64_t status_hash;       /* of the last that was in place */
	char status_rv[RV_LEN + 1]; /* our own last write */

	/* kube_pods.c */
	struct kpods pods;
	struct klane label;
	struct kpod *labelled; /* in flight */
	struct klane lost;
	struct kpod *asked; /* in flight, of lane lost */

	/* kube_secrets.c */
	struct klane creds;
	struct ksecret *secrets[KSECRETS_MAX + 1];
	struct ksecns *secns; /* of its namespace, once there was a spec */
	unsigned nsecrets, secret_i;
	bool creds_valid, creds_known, creds_force;
	uint64_t creds_told, creds_hash, creds_gen;
	uint64_t tls_told, tls_hash, tls_gen;

	/* kube_access.c */
	struct kaccess *access; /* NULL: nothing was said yet */

	/* kube_keys.c */
	struct kkeyq keys;

	/* kube_nodes.c */
	uint64_t taint_view;   /* hash of what the sites' nodes shall be */
	uint64_t taint_choice; /* and of the sites' selectors */
	int64_t lift_ms;       /* being deleted: no longer waited for */
	bool lifted;

	/* kube_finalizer.c */
	struct klane fin;
	bool fin_running;
	bool fin_said;    /* GracefulShutdown */
	bool vol_settled; /* its volumes are as its deletion shall find them */

	/* kube_annotation.c */
	struct klane anndel;
	struct kanndels anndels;

	/* kube_refused.c */
	bool refused_known; /* a pass ended */
	int64_t refused_generation, list_refused_ms;

	bool clash_known; /* a pass went through all objects */
	int64_t clash_generation;
	unsigned nown;

	/*
	 * Last what is empty mostly or to its end: pages that were never
	 * written cost nothing (sparse_new).
	 */
	struct kspec spec; /* of doc */
	/* kube_own.c */
	struct kown own[KOBJS_MAX];
	uint64_t sweep_sites[SITES_MAX]; /* have a Deployment yet */
	char problem[MSGTEXT_LEN + 1];
	char unused[MSGTEXT_LEN + 1];
	char drift[MSGTEXT_LEN + 1]; /* Deployments that differ */
	char creds_problem[ERR_LEN + 1];
	char creds_unread[ERR_LEN + 1]; /* a Secret that may not be read */
	/* kube_refused.c: what is refused; of the pass */
	char refused[MSGTEXT_LEN + 1], refused_now[MSGTEXT_LEN + 1];
	/* kube_clash.c: names that are another group's; of the pass */
	char clash[MSGTEXT_LEN + 1], clash_now[MSGTEXT_LEN + 1];
};

RB_HEAD(kgroups, kgroup);
RB_PROTOTYPE(kgroups, kgroup, node, kgroup_cmp)
TAILQ_HEAD(kgroup_q, kgroup);

#define KEVENTS_MAX 64 /* remembered, to count repeats */
struct kevent_seen {
	uint64_t hash;
	char path[KPATH_LEN + 64];
	uint32_t count;
	int64_t last_ms;
};

struct kube {
	struct event_base *base;
	struct kh *kh;
	struct m_kube_conf conf; /* ca emptied after set-up */
	/* Where messages to the parent go. */
	void (*send)(void *, uint32_t type, const void *msg);
	void *send_arg;
	struct kclient client;

	struct lease lease;
	struct event *lease_timer, *deadline_timer;
	struct kh_req *lease_req;
	bool leader;   /* told the parent so */
	uint64_t term; /* how often it began to be */
	bool handing;  /* the Lease, to whoever takes it */
	unsigned release_waits;
	bool api_ok, api_told, synced, synced_told;

	struct kgroups groups;
	unsigned ngroups;
	struct kwatch *w_groups, *w_pods, *w_owned[KW_MAX];
	struct kwatch *w_keys, *w_op_key;
	TAILQ_HEAD(, kforeign) foreign; /* kube_foreign.c */
	struct event *foreign_timer;
	TAILQ_HEAD(, ksecns) secnss; /* kube_secrets.c */
	struct knodes *nodes;
	struct kkey *op_key;
	uint32_t key_mark, op_key_mark;
	struct kown_ctx {
		struct kube *k;
		enum kowned kind;
	} octx[KW_MAX];
	uint32_t mark, pod_mark, own_mark[KW_MAX];
	bool listing; /* groups, just now */

	struct kgroup_q waiting; /* for apply */
	unsigned applying;

	struct kevent_seen events[KEVENTS_MAX];
	uint64_t serial;
	struct klane token, orphans;
	struct kh_req *discovery;
	struct event *discovery_timer;
	const char *policy_api; /* "policy/v1" or v1beta1; NULL: not known */
	bool externaldns;
};

/* ---------------------------------------------------------------- kube.c - */

/* As kube_setup() does, without privsep: for the tests. NULL: bad CA. */
struct kube *kube_new(struct event_base *, const struct m_kube_conf *,
    const struct secret *token, void (*send)(void *, uint32_t, const void *),
    void *arg);
void kube_message(struct kube *, uint32_t type, const void *msg);
void kube_free(struct kube *);

void kube_tell(struct kube *, uint32_t type, const void *msg);
void kube_ack(struct kube *, const char *group, uint64_t seq,
    const struct kh_resp *, const char *error);
/* A watch completed its first list, perhaps the last one to do so. */
void kube_check_synced(struct kube *);

/* Lanes: one request at a time, retried with back-off. */
void klane_init(struct klane *, struct kube *, void (*run)(int, short, void *),
    void *arg, int64_t min_ms, int64_t max_ms);
void klane_free(struct klane *);
void klane_in(struct klane *, int64_t ms);
/* After a failure; honours Retry-After. */
void klane_retry(struct klane *, const struct kh_resp *);
/* Ran as wanted: forget the back-off. */
void klane_ok(struct klane *);

/*
 * Send a JSON body. root is written and doc freed; either may be NULL.
 * write: only while kube_may_write(). arg must begin with a struct kube *.
 */
struct kcall {
	struct kube *k;
	enum kh_method method;
	const char *path, *type;
	yyjson_mut_doc *doc;
	yyjson_mut_val *root;
	int64_t deadline_ms; /* 0: the usual */
	bool patient;        /* a write that takes turns, as reads do */
	kh_may_fn *may;
	kh_done_fn *done;
	void *arg;
};
struct kh_req *kube_call(const struct kcall *);
/* What set-up of both workers needs: an address, and memory given back. */
int kube_address(struct m_kube_conf *);
void kube_memory(void);

/* --------------------------------------------------------- kube_leader.c - */

void kleader_start(struct kube *);
void kleader_free(struct kube *);
/* Write nothing any more, wait for answers, empty the Lease, tell. */
void kleader_release(struct kube *, const struct m_lease_release *);
/* Are we the leader, and not past the deadline, right now? */
bool kube_may_write(const struct kube *);
/* Groups were listed by a quorum read. */
void kube_groups_listed(struct kube *);
/* For .may of calls whose arg is the group, or the kube itself. */
bool kgroup_may_write(void *);
bool kube_may_write_fn(void *);

/* ---------------------------------------------------------- kube_group.c - */

void kgroups_start(struct kube *);
void kgroup_free(struct kgroup *);
struct kgroup *kgroup_by_uid(struct kube *, const char *);
/* It is another installation's: let go of it, as if it were gone. */
void kgroup_leave(struct kgroup *);
struct kgroup *kgroup_by_name(struct kube *, const char *ns, const char *name);
/* Everything that only a leader does, anew. */
void kgroup_kick(struct kgroup *);
/* The API server is back: no more waiting. */
void kgroup_revive(struct kgroup *);
/* Path of the group's object, with a subresource or "". */
void
kgroup_path(const struct kgroup *, const char *sub, char[static KH_PATH_MAX]);

/* ---------------------------------------------------------- kube_clash.c - */

/* Is there a group some of whose names could be equal? */
bool kclash_near(const struct kgroup *);
/* Is a pass of one under way? */
bool kclash_busy(const struct kgroup *);
/* Pure: the other group whose this live object is; NULL: none. */
const char *kclash_owner(yyjson_val *obj, const char *group);
/* What a pass finds; told when it went through all objects. */
void kclash_begin(struct kgroup *);
void kclash_found(struct kgroup *, const struct kobj *, const char *owner);
void kclash_end(struct kgroup *);

/* ---------------------------------------------------------- kube_apply.c - */

void kapply_init(struct kgroup *);
void kapply_free(struct kgroup *);
void kapply_kick(struct kgroup *);
/* Another spec is in force: a pass of the old one ends. */
void kapply_spec(struct kgroup *);
/* What may be wanted is another thing now: begin anew. */
void kapply_again(struct kgroup *);
/* The pass goes on: with the same object, with the next; or it is over. */
void kapply_step(struct kgroup *);
void kapply_next(struct kgroup *);
void kapply_end(struct kgroup *, const struct kh_resp *);

/* --------------------------------------------------------- kube_object.c - */

/*
 * One object of the pass. True: a request is on its way, and one of the three
 * above will be called.
 */
bool kobject_step(struct kgroup *, const struct kobj *);

/* -------------------------------------------------------- kube_refused.c - */

/* The Event, at most once a minute of what said_ms belongs to. */
void krefused_say(struct kgroup *, const char *text, int64_t *said_ms);
void krefused_begin(struct kgroup *);
/* name may be ""; an Event is made, if none was lately. */
void krefused_add(struct kgroup *, const char *plural, const char *name,
    const char *why, int64_t *said_ms);
void krefused_end(struct kgroup *);

/* ---------------------------------------------------------- kube_adopt.c - */

/*
 * Pure: merge patch that makes what the reference owns of a live object ours,
 * with its resourceVersion. NULL: it owns nothing.
 */
yyjson_mut_val *kadopt_patch(yyjson_mut_doc *, yyjson_val *live);
void kadopt_said(const struct kgroup *, const char *plural, const char *name);

/* ------------------------------------------------------------ kube_own.c - */

void kowned_start(struct kube *);
/* The watch that waited for discovery; or another version is served now. */
void kowned_policy(struct kube *);
/* The objects of the spec in force: others are forgotten. */
void kown_spec(struct kgroup *);
/* NULL: not one of the spec's. */
struct kown *kown_find(struct kgroup *, const char *plural, const char *name);
/* What of a live object is ours to watch over, as a hash. */
uint64_t kown_content(enum kowned, yyjson_val *obj);
/* A live object was seen; answered: what was told since that was asked stays. */
void kown_seen(struct kown *, yyjson_val *obj);
void kown_answered(struct kown *, yyjson_val *obj, bool applied);
/* Pure: must this object be written? */
bool kown_differs(const struct kown *, uint64_t wanted);

/* ---------------------------------------------------------- kube_named.c - */

/*
 * Adds to a list what of that kind is there under the names of the spec's
 * sites and is not in it. done is called at the end with the last answer, 200
 * when all went well. One at a time, of a pass or of the group's end.
 */
void knamed_add(struct kgroup *, enum kobj_kind, yyjson_doc **list, kvol_fn *);
void knamed_end(struct kgroup *);

/* --------------------------------------------------------- kube_volume.c - */

/*
 * List the group's volumes, configured sites or not, into g->vols; then bring
 * their metadata to what the spec says. done is called at the end of each with
 * the last answer, 200 when all went well. One at a time.
 */
void kvol_list(struct kgroup *, kvol_fn *);
void kvol_fix(struct kgroup *, kvol_fn *);
void kvol_end(struct kgroup *);

/* ---------------------------------------------------------- kube_sweep.c - */

void ksweep_init(struct kgroup *);
void ksweep_free(struct kgroup *);
/* Something may be left, or what was waited for is over. */
void ksweep_kick(struct kgroup *);
/* The record as it was read. */
void ksweep_record(struct kgroup *, const struct m_record *);

/* ---------------------------------------------------------- kube_roll.c - */

void kroll_init(struct kgroup *);
void kroll_free(struct kgroup *);
void kroll_spec(struct kgroup *);
void kroll_put(struct kgroup *, const struct m_roll *);
/* All live Deployments; the spec's server ids are known. */
void kroll_listed(struct kgroup *, yyjson_val *items);
void kroll_seen(struct kgroup *, yyjson_val *deployment);
/* It belongs to a template that its site has not got yet: leave it. */
bool kroll_holds(const struct kgroup *, const struct kobj *);

/* ---------------------------------------------------------- kube_skew.c - */

/* An image's tag, NULL when it has none. */
const char *kskew_tag(const char *image);
/* Sidecar and operator are of one release? Once for each image. */
void kskew_check(struct kgroup *);

/* -------------------------------------------------------- kube_write.c - */

void kstatus_init(struct kgroup *);
void kstatus_free(struct kgroup *);
void kstatus_kick(struct kgroup *);
void kstatus_site(struct kgroup *, const struct m_site_status *);
void kstatus_group(struct kgroup *, const struct m_group_status *);
void krecord_put(struct kgroup *, const struct m_record_put *);
/* Decode and tell RECORD; obj is from a quorum read, of all groups if listed. */
void krecord_tell(struct kgroup *, yyjson_val *obj, bool listed);
/* The same of what a watch brought, while somebody else leads. */
void krecord_seen(struct kgroup *, yyjson_val *obj);
/* Pure: what to do for it when this record was just read. */
enum krecord_step { KR_DONE, KR_SEND, KR_CONFLICT };
enum krecord_step
krecord_step(const struct m_record *, const struct m_record_put *);

/* -------------------------------------------------------- kube_secrets.c - */

void kcreds_init(struct kgroup *);
void kcreds_free(struct kgroup *);
/* The spec changed: watch what it refers to now, and read it. */
void kcreds_spec(struct kgroup *);
/* Read and tell again, changed or not. */
void kcreds_ask(struct kgroup *);
/* Say what is wrong with them in an Event (a new leader). */
void kcreds_event(struct kgroup *);

void kcreds_kick(struct kgroup *);

/* --------------------------------------------------------- kube_access.c - */

struct kcond {
	const char *type, *reason, *message;
	bool status;
};
/* False: no pass has ended yet. */
bool krefused_cond(const struct kgroup *, struct kcond *);
/* To a rendered status. */
void kconds_add(struct kgroup *, yyjson_mut_doc *, yyjson_mut_val *status);
void kaccess_init(struct kgroup *);
void kaccess_free(struct kgroup *);
void kaccess_set(struct kgroup *, const struct m_access *);
void kaccess_tls(struct kgroup *, const struct m_tls_state *);
void kaccess_event(struct kgroup *);
/* Is there a certificate with which servers may be made? */
bool kaccess_ready(const struct kgroup *);
void kaccess_creds_cond(const struct kgroup *, struct kcond *);
/* Who else could pass the fence. False: not known. */
bool kaccess_excess_cond(const struct kgroup *, struct kcond *);
/* False: the group has no TLS, or nothing is known of it. */
bool kaccess_tls_cond(const struct kgroup *, struct kcond *);
/* Of a group without TLS: what it says from before goes. */
void kaccess_no_tls(yyjson_mut_val *conds);
/* Write what the parent said is in force, if this is that. */
void kaccess_save(struct kgroup *, bool foreign, const char *rv,
    const struct m_creds *, const struct m_tls *);

/* ----------------------------------------------------------- kube_keys.c - */

void kkeys_init(struct kgroup *);
void kkeys_free(struct kgroup *);
/* The spec changed: its sites may be others. */
void kkeys_spec(struct kgroup *);
/* Are the Secrets there that the group's Pods mount? */
bool kkeys_ready(const struct kgroup *);
/* The group whose Secret stands where this site's should; NULL: none. */
const char *kkeys_owner(const struct kgroup *, const char *site);
void kkeys_put(struct kube *, const struct m_key_put *);
/* We lead now. */
void kkeys_lead(struct kube *);
void kkeys_start(struct kube *);
void kkeys_stop(struct kube *);

/* ---------------------------------------------------------- kube_nodes.c - */

void knodes_start(struct kube *);
void knodes_stop(struct kube *);
/* We lead now. */
void knodes_lead(struct kube *);
/* The spec in force is another. */
void knodes_spec(struct kgroup *);
/* What the parent wants, or that the group goes, may be new. */
void knodes_kick(struct kgroup *);
/* kept: it is another operator's from now on, and so are its taints. */
void knodes_gone(struct kgroup *, bool kept);
/*
 * Has no node the taint of this group, which is being deleted? Also true when
 * that was waited for long enough; kgroup_finalizer() is called when it may
 * have become true.
 */
bool knodes_lifted(struct kgroup *);

/* --------------------------------------------------------- kube_events.c - */

void kevent_emit(
    struct kgroup *, bool warning, const char *reason, const char *message);
/* Of a group that is not ours. */
void kevent_about(struct kube *, const char *ns, const char *name,
    const char *uid, const char *reason, const char *message);

/* ----------------------------------------------------- kube_foreign.c - */

/* Its value: the Lease whose installation gives the group up, or is gone. */
#define KFOREIGN_ANN BR_ANN "hand-over-from"
#define KLEASE_SIZE  (NS_LEN + 1 + NAME_LEN + 1)

struct kforeign {
	TAILQ_ENTRY(kforeign) link;
	char uid[UID_LEN + 1];
	char ns[NS_LEN + 1];
	char name[NAME_LEN + 1];
	char lease[KLEASE_SIZE]; /* that its record names */
	bool word;               /* the annotation names it, too */
	int64_t due_ns;          /* from then on it is ours; 0: never */
	uint32_t mark;
};

/* "NAMESPACE/NAME" of our own Lease, as records have it. */
void kforeign_lease(const struct kube *, char out[static KLEASE_SIZE]);
/* Is this group, as it was read, to be left alone? Said once. */
bool kforeign_is(struct kube *, yyjson_val *obj);
/* Is there one in this namespace that we may know nothing else of? */
bool kforeign_in(const struct kube *, const char *ns);
void kforeign_gone(struct kube *, const char *uid);
void kforeign_listed(struct kube *);
void kforeign_lead(struct kube *);
void kforeign_start(struct kube *);
void kforeign_free(struct kube *);

/* ------------------------------------------------------ kube_finalizer.c - */

/* Add or remove a finalizer by read, conditional patch, read again. */
struct kfin {
	struct kube *k;
	char path[KH_PATH_MAX];
	char uid[UID_LEN + 1];
	const char *finalizer;
	bool want;              /* else remove */
	int64_t valid_until_ns; /* 0: the Lease alone decides */
	unsigned tries;
	/* resp is the last answer; the object is as wanted when it is 200. */
	void (*done)(void *, const struct kh_resp *);
	void *arg;
};
void kfin_run(const struct kfin *);
void kgroup_finalizer(struct kgroup *);
void kfin_init(struct kgroup *);
void kfin_free(struct kgroup *);

/* ----------------------------------------------------- kube_annotation.c - */

void kannotation_init(struct kgroup *);
void kannotation_free(struct kgroup *);
void kannotation_del(struct kgroup *, const struct m_annotation_del *);

/* ---------------------------------------------------------- kube_token.c - */

void ktoken_start(struct kube *);
void ktoken_ask(struct kube *);

/* ------------------------------------------------------ kube_discovery.c - */

void kdiscovery_start(struct kube *);
void kdiscovery_free(struct kube *);
/* Something that was served is served no more. */
void kdiscovery_again(struct kube *);

#endif /* KUBE_H */
