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
 * Metrics of one group. Gauges are sent when they change, and all again when
 * status-server came back. What the sites are is told by the leader alone:
 * dashboards and alerts count series, and a primary that two operators tell of
 * would be two (observability.md sections 1 and 7.1).
 */

#include <string.h>

#include "group_int.h"
#include "metrics.h"

static void
sink_send(void *arg, const struct m_metric *m)
{
	struct group *g = arg;

	parent_send(g->parent, PROC_HTTP, MSG_METRIC, m);
}

static struct metric_sink
sink_of(struct group *g)
{
	return (struct metric_sink) { sink_send, g };
}

void
group_count(struct group *g, const char *family, const char *site)
{
	struct metric_sink s = sink_of(g);

	for (unsigned i = 0; metric_family(i) != NULL; i++)
		if (strcmp(metric_family(i)->name, family) == 0)
			(void)metric_add(
			    &s, i, 1, ML(g->conf.ns, g->conf.name, site));
}

void
group_observe_probe(struct group *g, const char *site, int64_t us)
{
	struct metric_sink s = sink_of(g);

	(void)metric_observe_us(
	    &s, M_POLL_LATENCY, us, ML(g->conf.ns, g->conf.name, site));
}

void
group_transition(struct group *g, const char *site, unsigned from, unsigned to)
{
	struct metric_sink s = sink_of(g);

	if (!groups_leading(g->all))
		return;
	(void)metric_add(&s, M_STATE_TRANSITIONS, 1,
	    ML(g->conf.ns, g->conf.name, site, site_state_name(from),
		site_state_name(to)));
}

void
group_measure(struct group *g, const struct fsm_act *a)
{
	struct metric_sink s = sink_of(g);
	int64_t since = g->lost_ms == 0 ? 0 : mono_ms() - g->lost_ms;

	/* A standby sees all of it, too: one of them tells. */
	if (!g->all->lease.held)
		return;
	if (a->text == T_GUARD_FENCED)
		group_count(g, "bloodraven_self_fences_total",
		    group_site_name(g, a->site));
	/* 0: it was proven before the loss was judged. */
	if (a->text == T_EPOCH_ENDED)
		(void)metric_observe_ms(&s, M_PROOF_WAIT, since,
		    ML(g->conf.ns, g->conf.name, fsm_proof_name(a->proof)));
	if (a->text == T_FAILOVER && a->site < g->fc.nsites)
		(void)metric_observe_ms(&s, M_FAILOVER_DURATION, since,
		    ML(g->conf.ns, g->conf.name, g->fc.site[a->site].name));
}

/* After each step of the core: when was the active site lost, and how long
 * did the step before this one take? */
void
group_measure_step(struct group *g)
{
	struct metric_sink s = sink_of(g);
	uint8_t active = g->fs.rec.active;
	bool lost =
	    active < g->fc.nsites && g->fs.site[active].state == SS_UNREACHABLE;

	/* The record names the next one long before it is writable. */
	if (g->fs.verdict == V_HEALTHY)
		g->lost_ms = 0;
	else if ((lost || g->fs.verdict == V_PROMOTE) && g->lost_ms == 0)
		g->lost_ms = mono_ms();
	if (g->fs.step == g->step)
		return;
	if (g->step != ST_NONE && g->all->lease.held)
		(void)metric_observe_ms(&s, M_STEP_DURATION,
		    mono_ms() - g->step_ms,
		    ML(g->conf.ns, g->conf.name, fsm_step_name(g->step)));
	g->step = g->fs.step;
	g->step_ms = mono_ms();
}

void
group_dns_flipped(struct group *g, const char *site)
{
	struct metric_sink s = sink_of(g);

	(void)metric_add(
	    &s, M_DNS_FLIPS, 1, ML(g->conf.ns, g->conf.name, site));
}

void
group_link_gauge(struct group *g, const char *site, bool up)
{
	struct metric_sink s = sink_of(g);

	(void)metric_set(&s, M_LINK_UP, up, ML(g->conf.ns, g->conf.name, site));
}

void
group_lease_gauge(struct group *g, struct gvoice *v, int64_t left_ms)
{
	struct metric_sink s = sink_of(g);

	if (v->m_left_ms == left_ms)
		return;
	v->m_left_ms = left_ms;
	(void)metric_set_us(&s, M_LEASE_LEFT, left_ms * 1000,
	    ML(g->conf.ns, g->conf.name, v->site));
}

void
group_count_renewal(struct group *g, const char *site, bool yes)
{
	struct metric_sink s = sink_of(g);

	(void)metric_add(&s, M_RENEWALS, 1,
	    ML(g->conf.ns, g->conf.name, site, yes ? "yes" : "no"));
}

static void
parent_sink_send(void *arg, const struct m_metric *m)
{
	struct groups *gs = arg;

	parent_send(gs->parent, PROC_HTTP, MSG_METRIC, m);
}

void
groups_key_age(
    struct groups *gs, struct group *g, const char *site, int64_t age_s)
{
	struct metric_sink s = { parent_sink_send, gs };

	(void)metric_set(&s, M_KEY_AGE, age_s,
	    ML(g != NULL ? g->conf.ns : "", g != NULL ? g->conf.name : "",
		site));
}

void
group_count_handover(struct groups *gs)
{
	struct metric_sink s = { parent_sink_send, gs };

	(void)metric_add(&s, M_HANDOVERS, 1, ML());
}

/* A gauge, when it is not what was last sent; -2: never sent. */
static void
gauge(struct group *g, enum metric m, int64_t value, int64_t *last,
    const char *const *labels)
{
	struct metric_sink s = sink_of(g);

	if (*last == value)
		return;
	*last = value;
	(void)metric_set(&s, m, value, labels);
}

static void
thread_gauge(struct group *g, const struct fsm_site_conf *c, const char *thread,
    bool on, int *last)
{
	int64_t was = *last;

	gauge(g, M_REPL_RUNNING, on, &was,
	    ML(g->conf.ns, g->conf.name, c->name, role_name(c->role), thread));
	*last = (int)was;
}

/* A site that follows nobody has no follower's gauges. */
static void
follower_gone(struct group *g, struct gsite *s, const char *site)
{
	static const enum metric of_followers[] = { M_REPL_LAG, M_REPL_RUNNING,
		M_SOURCE_STATE };
	struct metric_sink k = sink_of(g);

	if (s->m_lag == -2 && s->m_io == -2 && s->m_conv == -2)
		return;
	s->m_lag = s->m_io = s->m_sql = s->m_conv = -2;
	for (size_t i = 0; i < PS_NITEMS(of_followers); i++)
		(void)metric_del(&k, of_followers[i],
		    METRIC_MATCH("namespace", g->conf.ns, "group", g->conf.name,
			"site", site));
}

static void
follower_gauges(struct group *g, unsigned i)
{
	static const char *const states[] = { "converged", "pending",
		"blocked" };
	const struct fsm_site_conf *c = &g->fc.site[i];
	struct gsite *s = &g->site[i];
	struct metric_sink k = sink_of(g);
	int conv = g->view.site[i].conv;
	unsigned n;

	gauge(g, M_REPL_LAG, s->lag_s, &s->m_lag,
	    ML(g->conf.ns, g->conf.name, c->name, role_name(c->role)));
	thread_gauge(g, c, "io", s->io, &s->m_io);
	thread_gauge(g, c, "sql", s->sql, &s->m_sql);
	if (conv == s->m_conv)
		return;
	s->m_conv = conv;
	n = conv == CV_CONVERGED ? 0 : conv == CV_BLOCKED ? 2 : 1;
	(void)metric_state(&k, M_SOURCE_STATE,
	    ML(g->conf.ns, g->conf.name, c->name), states, PS_NITEMS(states),
	    conv == CV_NONE ? NULL : states[n]);
}

static void
site_gauges(struct group *g, unsigned i)
{
	static const char *const states[] = { "unknown", "writable",
		"read-only", "unreachable" };
	const struct fsm_site_conf *c = &g->fc.site[i];
	struct gsite *s = &g->site[i];
	struct metric_sink k = sink_of(g);
	int state = g->view.site[i].state;

	if (state != s->m_state) {
		s->m_state = state;
		(void)metric_state(&k, M_SITE_STATE,
		    ML(g->conf.ns, g->conf.name, c->name, role_name(c->role)),
		    states, PS_NITEMS(states), states[state]);
	}
	gauge(g, M_DIVERGENT, s->divergent_n, &s->m_divergent,
	    ML(g->conf.ns, g->conf.name, c->name));
	if (g->view.site[i].follower)
		follower_gauges(g, i);
	else
		follower_gone(g, s, c->name);
}

/* Each operator has its own links, and keys that it knows. */
static void
links_again(struct group *g)
{
	struct gvoice *v;

	TAILQ_FOREACH (v, &g->voices, entry) {
		v->m_left_ms = -2;
		group_link_gauge(g, v->site, v->link != NULL);
	}
	group_keys_forget(g);
}

static void
forget_sent(struct group *g)
{
	for (unsigned i = 0; i < g->fc.nsites; i++) {
		struct gsite *s = &g->site[i];

		s->m_state = s->m_conv = s->m_io = s->m_sql = -2;
		s->m_lag = s->m_divergent = -2;
	}
	g->m_epoch = g->m_unended = -2;
	g->m_block = V_MAX;
}

static void
block_gauge(struct group *g)
{
	const char *reasons[V_MAX];
	struct metric_sink k = sink_of(g);
	unsigned n = 0;

	if (g->m_block == g->view.verdict)
		return;
	g->m_block = g->view.verdict;
	for (unsigned v = 0; v < V_MAX; v++)
		if (fsm_verdict_block(v) != NULL)
			reasons[n++] = fsm_verdict_block(v);
	(void)metric_state(&k, M_PROMOTION_BLOCKED,
	    ML(g->conf.ns, g->conf.name), reasons, n,
	    fsm_verdict_block(g->view.verdict));
}

/*
 * Counters begin at 0, not with their first event: increase() over a series
 * that was not there misses the one failover that matters.
 */
static void
zero_counters(struct group *g)
{
	static const enum metric of_sites[] = { M_DNS_FLIPS, M_FENCES,
		M_SELF_FENCES, M_CLONES, M_PROMISES, M_SITE_UPDATES,
		M_SITE_UPDATE_FAILURES };
	static const enum metric of_candidates[] = { M_FAILOVERS, M_SPLIT_BRAIN,
		M_REASSERT };
	struct metric_sink s = sink_of(g);

	for (unsigned i = 0; i < g->fc.nsites; i++) {
		const char *const *l =
		    ML(g->conf.ns, g->conf.name, g->fc.site[i].name);

		for (size_t k = 0; k < PS_NITEMS(of_sites); k++)
			(void)metric_add(&s, of_sites[k], 0, l);
		if (g->fc.site[i].role != ROLE_CANDIDATE)
			continue;
		for (size_t k = 0; k < PS_NITEMS(of_candidates); k++)
			(void)metric_add(&s, of_candidates[k], 0, l);
	}
}

/* It does not lead any more: another one tells. */
static void
gauges_end(struct group *g)
{
	static const enum metric of_leader[] = { M_SITE_STATE, M_REPL_LAG,
		M_REPL_RUNNING, M_SOURCE_STATE, M_DIVERGENT,
		M_PROMOTION_BLOCKED, M_EPOCH, M_UNENDED };
	struct metric_sink k = sink_of(g);

	if (!g->telling)
		return;
	g->telling = false;
	for (size_t i = 0; i < PS_NITEMS(of_leader); i++)
		(void)metric_del(&k, of_leader[i],
		    METRIC_MATCH(
			"namespace", g->conf.ns, "group", g->conf.name));
}

void
group_gauges(struct group *g, bool force)
{
	if (force || !g->zeroed) {
		g->zeroed = true;
		zero_counters(g);
	}
	if (force)
		links_again(g);
	if (!groups_leading(g->all)) {
		gauges_end(g);
		return;
	}
	if (force || !g->telling)
		forget_sent(g);
	g->telling = true;
	for (unsigned i = 0; i < g->fc.nsites; i++)
		site_gauges(g, i);
	gauge(g, M_EPOCH, (int64_t)g->rec.epoch, &g->m_epoch,
	    ML(g->conf.ns, g->conf.name));
	gauge(g, M_UNENDED, g->rec.n_unended, &g->m_unended,
	    ML(g->conf.ns, g->conf.name));
	block_gauge(g);
}

void
group_gauges_del(struct group *g)
{
	struct metric_sink k = sink_of(g);

	(void)metric_del(&k, M_MAX,
	    METRIC_MATCH("namespace", g->conf.ns, "group", g->conf.name));
}

void
group_site_gauges_del(struct group *g, const char *site)
{
	static const enum metric of_sites[] = { M_SITE_STATE, M_REPL_LAG,
		M_REPL_RUNNING, M_SOURCE_STATE, M_DIVERGENT, M_LEASE_LEFT,
		M_LINK_UP, M_KEY_AGE };
	struct metric_sink k = sink_of(g);

	for (size_t i = 0; i < PS_NITEMS(of_sites); i++)
		(void)metric_del(&k, of_sites[i],
		    METRIC_MATCH("namespace", g->conf.ns, "group", g->conf.name,
			"site", site));
}

void
group_role_gauges_del(struct group *g, unsigned i)
{
	struct metric_sink k = sink_of(g);

	follower_gone(g, &g->site[i], g->fc.site[i].name);
	(void)metric_del(&k, M_SITE_STATE,
	    METRIC_MATCH("namespace", g->conf.ns, "group", g->conf.name, "site",
		g->fc.site[i].name));
	g->site[i].m_state = -2;
}
