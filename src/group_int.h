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

#include "fsm.h"
#include "group.h"
#include "parent.h"

#define FG_LEN     (NS_LEN + 1 + NAME_LEN)
#define MYSQL_PORT 3306

struct event;

/* A MySQL Pod of the group, of any site, also while it is being deleted. */
struct gpod {
	TAILQ_ENTRY(gpod) entry;
	char site[NAME_LEN + 1];
	char name[NAME_LEN + 1];
	char ip[IP_LEN + 1];
	int64_t created_ms;
	bool told; /* by the present kube-watcher */
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
	char *divergent; /* its set minus the active site's */
	int64_t divergent_n;
	int64_t last_seen_ms; /* Unix ms */
	int64_t lag_s;
	bool has_repl, io, sql;
	/* gauges as they were last sent; -2: never */
	int m_state, m_conv, m_io, m_sql;
	int64_t m_lag, m_divergent;
};

struct group {
	TAILQ_ENTRY(group) entry;
	struct parent *parent;
	struct groups *all;
	char uid[UID_LEN + 1];
	char fg[FG_LEN + 1];
	bool have_conf; /* conf holds a valid one */
	bool told;      /* by the present kube-watcher */
	bool deleting;
	bool released;
	bool foreign; /* Pods of sites that are configured no more */
	bool creds;
	struct m_group_conf conf;
	struct fsm_conf fc;
	struct fsm_state fs;
	struct gsite site[SITES_MAX];
	TAILQ_HEAD(, gpod) pods;
	/* the record's part that the core does not keep */
	bool have_rec;
	struct m_record rec;
	/* requests as they stand in the annotations */
	char assert_dead[MSGTEXT_LEN + 1];
	char override[MSGTEXT_LEN + 1];
	struct event *timer;
	/* last sent, so that nothing is sent twice */
	struct m_probe_group probe;
	struct m_dns_want dns;
	struct fsm_view view;
	uint64_t rev;
	int64_t published_ms;
	uint64_t published_hash;
	int64_t m_epoch, m_unended;
	/* monotonic ms: the active site was judged lost; this step began */
	int64_t lost_ms, step_ms;
	uint8_t step;
	uint8_t m_block;
};

struct groups {
	TAILQ_HEAD(, group) list;
	struct parent *parent;
	size_t n;
	bool synced;
	bool quiesce;
	struct m_lease lease;
};

/* group.c: run one event through the core and carry out what it decides. */
void group_step(struct group *, const struct fsm_event *);
/* With relations, after something that may have changed them. */
void group_step_rel(struct group *, struct fsm_event *);
void group_fill_conf(struct group *);
struct group *groups_find(struct groups *, const char *uid);
int64_t mono_ms(void);
/* group_in.c: tell the core again what is kept here. */
void group_feed_record(struct group *, const struct m_record *);
void group_feed_requests(struct group *);
/* Pods of sites that are configured no more; whether there are any. */
bool group_feed_foreign(struct group *);
void group_pod_gone(struct group *, struct gpod *);
void group_feed_pod(struct group *, const struct gpod *);
/* The site's index by name, -1 when it is not configured. */
int group_site(const struct group *, const char *name);
int64_t wall_ms(void);

/* group_act.c */
void group_act(struct group *, const struct fsm_out *);
/* Tell mysql-prober whom to probe, when that changed (or force). */
void group_send_probe(struct group *, bool force);

/* group_rel.c: relations of all GTID sets known now. */
void group_relations(struct group *, struct fsm_rel *);
/* Set site i's divergent text and count against the active site's set. */
void group_divergence(struct group *, unsigned i, unsigned active);

/* group_view.c: status, labels, DNS and gauges from the core's view. */
void group_publish(struct group *, bool force);

/* group_metrics.c */
void group_count(struct group *, const char *family, const char *site);
void group_observe_probe(struct group *, const char *site, int64_t us);
void
group_transition(struct group *, const char *site, unsigned from, unsigned to);
/* Durations, from what the core tells in passing. */
void group_measure(struct group *, const struct fsm_act *);
void group_measure_step(struct group *);
void group_dns_flipped(struct group *, const char *site);
void group_gauges(struct group *, bool force);
void group_gauges_del(struct group *);

#endif /* GROUP_INT_H */
