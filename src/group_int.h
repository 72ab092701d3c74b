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
 * What the files of the glue (group*.c) share about one group.
 */

#ifndef GROUP_INT_H
#define GROUP_INT_H

#include <sys/types.h>

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>

#include "fsm.h"
#include "group.h"
#include "handover.h"
#include "parent.h"
#include "wire.h"

#define FG_LEN        (NS_LEN + 1 + NAME_LEN)
#define MYSQL_PORT    3306
/* Deadlines of the Lease are passed on when they moved by this. */
#define LEASE_NEWS_NS 1000000000LL

struct event;

/* A MySQL Pod of the group, of any site, also while it is being deleted. */
struct gpod {
	TAILQ_ENTRY(gpod) entry;
	char site[NAME_LEN + 1];
	char name[NAME_LEN + 1];
	char ip[IP_LEN + 1];
	int64_t created_ms;
	bool told;      /* by the present kube-watcher */
	bool tls;       /* it has a certificate of the user's, */
	bool tls_loads; /* and its sidecar has mysqld load a new one */
	char waits[64]; /* why its container doesn't run, by the kubelet */
	struct fsm_pod f;
};

/*
 * What was last observed of a site beyond what the core keeps. Texts are
 * allocated: a group of three sites must not cost three times 32 KiB.
 */
struct gsite {
	char *gtid; /* executed; NULL: never read */
	char *retrieved;
	char *source_host;
	char *repl_error; /* what MySQL says of its replication; NULL: fine */
	uint32_t repl_errno;
	char *divergent; /* its set minus the active site's */
	int64_t divergent_n;
	int64_t divergent_said; /* in an Event, and one; 0: in none */
	int64_t divergent_ms;   /* when */
	int64_t last_seen_ms;   /* Unix ms */
	int64_t lag_s;
	bool has_repl, io, sql;
	/* gauges as they were last sent; -2: never */
	int m_state, m_conv, m_io, m_sql;
	int64_t m_lag, m_divergent;
};

/* One connection of guard-link to a sidecar (group_link.c). */
struct glink {
	RB_ENTRY(glink) node;
	uint64_t conn;
	struct group *group;
	char site[NAME_LEN + 1];
	char pod_uid[UID_LEN + 1];
	char peer[HOST_LEN + 1];
	char why[ERR_LEN + 1]; /* it ended */
	struct wire_link wire;
	bool trusted;     /* a frame of it opened with its site's keys */
	int64_t heard_ms; /* its last frame */
	int64_t beat_ms;  /* our last W_OPERATOR, and what it said */
	uint64_t said;    /* hash of the last beat */
	uint64_t bad;     /* statements of a guard that were refused, */
	int64_t bad_ms;   /* and when that was logged */
};
RB_HEAD(glink_tree, glink);

/*
 * What a site's sidecar and guard said, whatever became of their links and
 * of the spec (group_voice.c).
 */
struct gvoice {
	TAILQ_ENTRY(gvoice) entry;
	char site[NAME_LEN + 1];
	struct glink *link; /* the trusted one, NULL: none */
	struct fsm_guard says;
	uint64_t keys;     /* generation that it has read */
	uint64_t guard;    /* whose statement was last taken, */
	uint64_t serial;   /* its number, */
	int64_t guard_ms;  /* and when it came; */
	int64_t says_ms;   /* when the last report did */
	uint64_t heard;    /* largest epoch that it heard of */
	uint64_t claimed;  /* another site's voter id, for the log */
	uint64_t said_ask; /* epoch whose promise was asked for, for the log */
	int64_t m_left_ms;
	bool said_no;
	/* A revocation and a request that wait for room; epochs, 0: none. */
	TAILQ_ENTRY(gvoice) wait;
	bool waits;
	uint64_t revoke_due, promise_due;
};

/* The epoch whose terms this leader tells (group_offer.c). */
struct goffer {
	uint64_t epoch;
	uint64_t hash;    /* of the addresses that were told */
	unsigned sent_to; /* frames, and one; 0: never */
	bool due;         /* there was no room for it */
};

/* The question that the core is judging just now. */
struct gasked {
	struct glink *link; /* NULL: none */
	uint64_t epoch, guard, nonce;
	uint32_t incarnation;
	bool yes;
};

/* Where a failover is, for its log (group_trail.c). */
struct gtrail {
	uint8_t old;     /* the primary that was replaced, until it is back */
	uint8_t confirm; /* promoted, not probed writable since */
	uint8_t verdict; /* of the last decision that was told */
	bool draining, dns_due, dns_failing;
	char clone_error[ERR_LEN + 1];
	/* what was said of the copies of the last failover */
	char bad_annotations[LAST_BAD_LEN + 1], bad_status[LAST_BAD_LEN + 1];
};

/* What the last step came to, without its texts: see fsm_view. */
struct gview {
	uint8_t verdict, active, effective, dns;
	int64_t wake_ms;
	struct fsm_site_view site[SITES_MAX];
};

struct group {
	/*
	 * With room for the worst case, as others below: pages that hold nothing
	 * cost nothing (sparse_new). Of two sites it has two pages from here.
	 */
	struct fsm_state fs;
	TAILQ_ENTRY(group) entry;
	struct parent *parent;
	struct groups *all;
	char uid[UID_LEN + 1];
	char fg[FG_LEN + 1];
	bool have_conf; /* conf holds a valid one */
	bool told;      /* by the present kube-watcher */
	bool first;     /* made since we lead: nobody else led it */
	bool deleting;
	bool gone; /* about to be freed */
	bool released;
	bool pods_due;   /* Pods have to be looked after, and when */
	int64_t pods_ms; /* that was done last (group_look_after) */
	bool creds;
	uint32_t resend;    /* bit per worker: it is to be told all again */
	const uint8_t *was; /* states of the sites before this step */
	struct gtrail trail;
	struct gsite site[SITES_MAX];
	TAILQ_HEAD(, gpod) pods;
	bool have_rec;
	struct event *timer;
	/* links (group_link.c, group_voice.c, group_offer.c) */
	TAILQ_HEAD(, gvoice) voices;
	struct goffer offer;
	struct gasked asked;
	struct gkeys *keys;     /* group_keys.c; NULL: none was told */
	struct gaccess *access; /* group_access.c; NULL: nothing was told */
	uint64_t links_hash;
	uint64_t said_revoke; /* for the log: epoch and whether it went */
	int64_t refused_ms;
	uint64_t rev;
	bool looked;      /* all sites were looked at: the status may be ours */
	int64_t begun_ms; /* monotonic: the first that could be said */
	int64_t published_ms;
	int64_t polled_ms; /* Unix: the last probe, whatever its end; 0: none */
	uint64_t published_hash;
	int64_t m_epoch, m_unended;
	/* monotonic ms: the active site was judged lost; this step began */
	int64_t lost_ms, step_ms;
	uint8_t step;
	uint8_t m_block;
	bool zeroed;           /* its counters were begun */
	bool telling;          /* its gauges are told: this operator leads */
	char *dns_error;       /* the record can't be read or written */
	bool dns_known;        /* it was looked at */
	bool dns_said;         /* an Event said that error */
	struct m_dns_want dns; /* last sent, so that nothing is sent twice */
	uint64_t probe_hash;   /* of the PROBE_GROUP last sent, 0: none */
	struct gview view;
	/* The other large ones; nothing small is between. */
	struct m_group_conf conf; /* but for its priorities: fc has them */
	struct fsm_conf fc;
	struct m_record rec; /* its part that the core does not keep */
	/* requests as they stand in the annotations */
	char assert_dead[MSGTEXT_LEN + 1];
	char override[MSGTEXT_LEN + 1];
};

struct groups {
	TAILQ_HEAD(, group) list;
	struct parent *parent;
	size_t n;
	bool synced;
	bool quiesce;
	bool released; /* the Lease is being given up: no more yes */
	struct m_lease lease;
	struct m_lease told_lease; /* to all groups */
	char self[UID_LEN + 1];    /* this process, to sidecars */
	struct gkeyring *keyring;  /* group_keys.c */
	struct glink_tree links;
	struct event *link_timer;
	int64_t tick_ms;
	struct handover handover;
	int room;       /* frames that guard-link can take until its timer */
	bool hurry;     /* that timer is set to the next portion */
	bool resending; /* group_all.c: a portion is to come */
	TAILQ_HEAD(, gvoice) waits; /* in the order in which they came */
};

/* group.c: run one event through the core and carry out what it decides. */
void group_step(struct group *, const struct fsm_event *);
/* With relations, after something that may have changed them. */
void group_step_rel(struct group *, struct fsm_event *);
void group_fill_conf(struct group *);
/* The same with another configuration. */
void group_new_conf(struct group *, const struct m_group_conf *);
/* Give back the pages of sites that are not configured. */
void group_trim(struct group *);
void group_feed_lease(struct group *);
void group_feed_synced(struct group *);
void group_look_after(struct group *);
/* The group may go, when it shall. */
void group_release(struct group *);
/* Where the Pods are now: to those that talk to them. */
void group_send_pods(struct group *, bool force);
struct group *groups_find(struct groups *, const char *uid);
int64_t mono_ms(void);
/* group_record.c */
void group_feed_record(struct group *, const struct m_record *);
void
act_record_put(struct group *, const struct fsm_act *, const struct fsm_out *);
/* group_in.c: tell the core again what is kept here. */
void group_feed_requests(struct group *);
/* Pods of sites that are configured no more; whether there are any. */
bool group_feed_slotless(struct group *);
/* Ask kube-watcher for Pods that it did not tell; were there any? */
bool group_ask_pods(struct group *);
void group_feed_pod(struct group *, const struct gpod *);
/* The site's index by name, -1 when it is not configured. */
int group_site(const struct group *, const char *name);
/* The same for the core: FSM_NONE for no name, FSM_FOREIGN for others. */
uint8_t group_site_or_foreign(const struct group *, const char *name);
/* Its name by index, "" when it is not configured. */
const char *group_site_name(const struct group *, uint8_t);
int64_t wall_ms(void);

/* group_log.c: what the core tells. */
void group_log(struct group *, const struct fsm_act *);

/* group_trail.c: the same in the reference's words. */
void group_trail_reset(struct group *);
void group_trail(struct group *, const struct fsm_act *);
void group_trail_sent(struct group *, const struct fsm_act *);
void
group_trail_answer(struct group *, uint8_t site, const struct m_sql_done *);
void group_trail_step(struct group *);
void group_trail_probe(struct group *, uint8_t site, const struct m_probe *);
void group_trail_dns(struct group *, const struct m_dns_state *);
void group_trail_record(struct group *, const struct m_record *);
void group_trail_copies(struct group *, const struct m_record *);

/* group_sites.c: another list of sites, or other roles. */
void gsite_clear(struct gsite *);
bool group_same_sites(const struct group *, const struct m_group_conf *);
void group_roles(struct group *, const struct m_group_conf *);
void group_resite(struct group *, const struct m_group_conf *);
void group_resited(struct group *);

/* group_act.c */
void group_act(struct group *, const struct fsm_out *);
/*
 * The Pod of a site to talk to: the newest one that has an address and is
 * not going away; one that is going away is better than none, since it may
 * still have to be fenced.
 */
const struct gpod *group_site_pod(const struct group *, const char *site);
/* Has that Pod the user's certificate? */
bool group_site_tls(const struct group *, const char *site);
/* Tell mysql-prober whom to probe, when that changed (or force). */
void group_send_probe(struct group *, bool force);

/* group_rel.c: relations of all GTID sets known now. */
void group_relations(struct group *, struct fsm_rel *);
/* Set site i's divergent text and count against the active site's set. */
void group_divergence(struct group *, unsigned i, unsigned active);

/*
 * group_view.c: status, labels, DNS and gauges from the core's view. NULL: of
 * the state as it is.
 */
void group_publish(struct group *, const struct fsm_view *, bool force);

/* group_notes.c: what status adds to the core's words. */
void group_notes_pod(struct gpod *, const struct m_pod *);
void group_notes_probe(struct gsite *, const struct m_probe *);
void group_notes_dns(struct group *, const struct m_dns_state *);
void group_notes(struct group *, struct m_group_status *);
void group_condition(struct m_group_status *, const char *type, bool status,
    const char *reason, const char *message);

/* group_act.c: an Event of the group's. */
void
group_event(struct group *, bool warning, const char *reason, const char *text);

/* A hash for "the same as last time". */
uint64_t group_hash(const void *, size_t);

/*
 * Keys that speak for a site: two while one is exchanged. NULL or *n 0: none
 * is known yet.
 */
const struct wire_pub *
group_keys(const struct group *, const char *site, size_t *n);
/* Annotation rotate-lease-keys; "" when it is taken back. */
void group_keys_rotate(struct group *, const char *token);
void group_keys_free(struct group *);
/* Status-server came back: ages of keys are to be set anew. */
void group_keys_forget(struct group *);

/* group_access.c: accounts and certificate follow the user's Secrets. */
void group_access_turn(struct group *);
/* An answer to what was asked here; false: to the core. */
bool group_access_done(struct group *, const struct m_sql_done *);
/* Digest of the files that servers shall load (W_OPERATOR), NULL: none. */
const uint8_t *group_access_tls(const struct group *);
/* Annotation discard-old-passwords; "" when it is taken back. */
void group_access_discard(struct group *, const char *value);
/* mysql-prober or kube-watcher came back: all is asked and told again. */
void group_access_forget(struct group *);
void group_access_free(struct group *);

/* group_link.c */
void glinks_start(struct groups *);
/* Leadership changed: say so now. */
void glinks_beat(struct groups *);
/*
 * Whether guard-link's queue has room for what can wait. False: the timer
 * comes back to it soon (groups_offer_due).
 */
bool glinks_room(struct groups *);
/* Of what waits: revocations first, then offers. */
void groups_revoke_due(struct groups *);
void gvoice_forget(struct groups *, struct gvoice *);
/* Whom guard-link shall hold a connection to. */
void group_send_links(struct group *, bool force);
void glink_group_gone(struct group *);
/* False: it was not queued. The link stays as it is. */
bool glink_send(struct glink *, uint32_t type, const void *msg);
/* Frees it. */
void glink_close(struct glink *, const char *why);
struct gvoice *gvoice_find(struct group *, const char *site);

/* group_voice.c */
/*
 * An opened frame that came at that time (monotonic); false: nothing that a
 * sidecar says.
 */
bool gvoice_frame(
    struct glink *, uint32_t type, const union wire_any *, int64_t at_ms);
void gvoices_feed(struct group *);

/* group_sight.c */
/* What a standby sees of the active site, for the leader. */
void group_sight_tell(const struct group *, struct w_operator *);
/* What another operator sees, by the word of a sidecar. */
void group_sight_hear(struct fsm_sight *, const struct w_report *);

/* group_offer.c */
/* Leading now, and not giving it up. */
bool groups_leading(const struct groups *);
/* The unended epoch as it is recorded, NULL: not unended. */
const struct m_epoch *group_epoch(const struct group *, uint64_t epoch);
void act_offer(struct group *, const struct fsm_act *);
void act_revoke(struct group *, const struct fsm_act *);
void act_promise_ask(struct group *, const struct fsm_act *);
void act_renew(struct group *, const struct fsm_act *);
void group_offer_refresh(struct group *);
void group_offer_again(struct group *);
void groups_offer_due(struct groups *);
void glink_offer(struct glink *);

/* group_metrics.c */
void group_count(struct group *, const char *family, const char *site);
void group_observe_probe(struct group *, const char *site, int64_t us);
void
group_transition(struct group *, const char *site, unsigned from, unsigned to);
/* Durations, from what the core tells in passing. */
void group_measure(struct group *, const struct fsm_act *);
void group_measure_step(struct group *);
void group_dns_flipped(struct group *, const char *site);
void group_link_gauge(struct group *, const char *site, bool up);
void group_lease_gauge(struct group *, struct gvoice *, int64_t left_ms);
/* Of a site's key; "": of the operator's. */
void groups_key_age(
    struct groups *, struct group *, const char *site, int64_t age_s);
void group_count_renewal(struct group *, const char *site, bool yes);
void group_gauges(struct group *, bool force);
void group_gauges_del(struct group *);
void group_count_handover(struct groups *);
/* It is no site any more; its role is another one. */
void group_site_gauges_del(struct group *, const char *site);
void group_role_gauges_del(struct group *, unsigned i);

#endif /* GROUP_INT_H */
