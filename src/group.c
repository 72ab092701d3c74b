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
 * Registry of groups and the glue into the core: messages become events. See
 * group_act.c for the way out.
 */

#include <event2/event.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "group_int.h"

/* A step that wants more than FSM_ACTS_MAX actions is continued so often. */
#define TICK_MAX_MS 60000
#define LOOK_MS     3000 /* Pods are looked after again */
#define STEPS_MAX   8

int64_t
wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t
mono_ms(void)
{
	return monotime_now().ns / 1000000;
}

struct group *
groups_find(struct groups *gs, const char *uid)
{
	struct group *g;

	TAILQ_FOREACH (g, &gs->list, entry)
		if (strcmp(g->uid, uid) == 0)
			return g;
	return NULL;
}

int
group_site(const struct group *g, const char *name)
{
	for (unsigned i = 0; i < g->fc.nsites; i++)
		if (strcmp(g->fc.site[i].name, name) == 0)
			return (int)i;
	return -1;
}

/* ---------------------------------------------------------------- steps --- */

static void
timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct fsm_event ev = { .type = E_TICK };
	struct group *g = arg;

	group_step(g, &ev);
	group_look_after(g);
}

/*
 * Pods that the core does not keep are shown to it again and again, and one that
 * kube-watcher did not tell is asked for until it does: it may not have got the
 * last question.
 */
void
group_look_after(struct group *g)
{
	int64_t now = mono_ms();

	if (g->pods_due && now - g->pods_ms < LOOK_MS)
		return;
	g->pods_ms = now;
	g->pods_due = group_feed_slotless(g);
	g->pods_due |= g->all->synced && group_ask_pods(g);
}

static void
arm(struct group *g)
{
	int64_t now = mono_ms(), ms = g->view.wake_ms - now;
	struct timeval tv;

	if (ms > TICK_MAX_MS)
		ms = TICK_MAX_MS;
	/* Not later for all the steps in between. */
	if (g->pods_due && ms > g->pods_ms + LOOK_MS - now)
		ms = g->pods_ms + LOOK_MS - now;
	if (ms < 1)
		ms = 1;
	tv.tv_sec = ms / 1000;
	tv.tv_usec = ms % 1000 * 1000;
	evtimer_add(g->timer, &tv);
}

static void
keep_view(struct group *g, const struct fsm_view *v)
{
	g->view.verdict = v->verdict;
	g->view.active = v->active;
	g->view.effective = v->effective;
	g->view.dns = v->dns;
	g->view.wake_ms = v->wake_ms;
	memcpy(g->view.site, v->site, sizeof(g->view.site));
}

/* Known to have ended with its Pod, by its kubelet. */
static bool
has_ended(const struct fsm_pod *f)
{
	if (!f->deleting || f->ctr_state != CTR_TERMINATED || f->nwords == 0)
		return false;
	for (unsigned i = 0; i < f->nwords; i++)
		if (f->word[i].unknown)
			return false;
	return true;
}

static void
strangers(struct group *g)
{
	struct fsm_conf *c = &g->fc;
	const struct gpod *p;
	size_t n = 0;

	c->strangers = false;
	c->stranger[0] = '\0';
	TAILQ_FOREACH (p, &g->pods, entry) {
		if (group_site(g, p->site) != -1 || has_ended(&p->f))
			continue;
		c->strangers = true;
		if (n < sizeof(c->stranger))
			n += (size_t)snprintf(c->stranger + n,
			    sizeof(c->stranger) - n, "%sPod %s (site %s)",
			    n > 0 ? ", " : "", p->name, p->site);
	}
}

void
group_step(struct group *g, const struct fsm_event *ev)
{
	static struct fsm_out out;
	static struct fsm_view view;
	struct fsm_event tick = { .type = E_TICK };
	uint8_t was[SITES_MAX];

	if (!g->have_conf)
		return;
	for (unsigned i = 0; i < g->fc.nsites; i++)
		was[i] = g->fs.site[i].state;
	g->was = was;
	strangers(g);
	for (int n = 0; n < STEPS_MAX; n++) {
		fsm_step(&g->fc, &g->fs, ev, mono_ms(), wall_ms(), &out);
		group_act(g, &out);
		if (!out.overflow)
			break;
		ev = &tick;
	}
	for (unsigned i = 0; i < g->fc.nsites; i++)
		if (was[i] != g->fs.site[i].state)
			group_transition(
			    g, g->fc.site[i].name, was[i], g->fs.site[i].state);
	g->was = NULL;
	group_measure_step(g);
	group_trail_step(g);
	fsm_view(&g->fc, &g->fs, &view);
	keep_view(g, &view);
	group_publish(g, &view, false);
	group_access_turn(g);
	arm(g);
}

void
group_step_rel(struct group *g, struct fsm_event *ev)
{
	struct fsm_rel rel;

	group_relations(g, &rel);
	ev->rel = &rel;
	group_step(g, ev);
}

/* ----------------------------------------------------------------- conf --- */

static struct group *
group_new(struct groups *gs, const struct m_group_conf *m)
{
	struct group *g;

	if (gs->n >= GROUPS_MAX) {
		char fg[FG_LEN + 1];

		(void)snprintf(fg, sizeof(fg), "%s/%s", m->ns, m->name);
		log_ev(LL_ERROR, "group refused", KVS("fg", fg),
		    KVS("error", "too many groups"), KVU("limit", GROUPS_MAX));
		return NULL;
	}
	if ((g = sparse_new(sizeof(*g))) == NULL)
		fatal("group");
	g->parent = gs->parent;
	g->all = gs;
	TAILQ_INIT(&g->pods);
	TAILQ_INIT(&g->voices);
	/* All that there were had been told when the Lease was. */
	g->first = gs->lease.held && monotime_now().ns < gs->lease.deadline_ns;
	(void)strlcpy(g->uid, m->group, sizeof(g->uid));
	(void)snprintf(g->fg, sizeof(g->fg), "%s/%s", m->ns, m->name);
	if ((g->timer = evtimer_new(parent_base(gs->parent), timer_cb, g)) ==
	    NULL)
		fatal("group timer");
	TAILQ_INSERT_TAIL(&gs->list, g, entry);
	gs->n++;
	log_ev(LL_INFO, "starting topology manager", KVS("fg", g->fg));
	return g;
}

static void
group_free(struct group *g)
{
	struct gpod *p;

	while ((p = TAILQ_FIRST(&g->pods)) != NULL) {
		TAILQ_REMOVE(&g->pods, p, entry);
		free(p);
	}
	glink_group_gone(g);
	group_keys_free(g);
	group_access_free(g);
	for (unsigned i = 0; i < SITES_MAX; i++)
		gsite_clear(&g->site[i]);
	TAILQ_REMOVE(&g->all->list, g, entry);
	g->all->n--;
	event_free(g->timer);
	free(g->dns_error);
	sparse_free(g, sizeof(*g));
}

void
group_fill_conf(struct group *g)
{
	const struct m_group_conf *m = &g->conf;
	struct fsm_conf *c = &g->fc;

	memset(c->site, 0, sizeof(c->site));
	c->nsites = (uint8_t)m->n_sites;
	for (unsigned i = 0; i < m->n_sites; i++) {
		(void)strlcpy(
		    c->site[i].name, m->sites[i].name, sizeof(c->site[i].name));
		c->site[i].role = (uint8_t)m->sites[i].role;
	}
	c->creds = g->creds;
	c->deleting = g->deleting || g->all->quiesce;
	c->failure_threshold = m->failure_threshold;
	c->recovery_threshold = m->recovery_threshold;
	c->poll_ms = m->poll_ms;
	c->cooldown_ms = m->cooldown_ms;
	c->clone_ms = m->clone_ms;
	c->drain_ms = m->drain_ms;
	c->max_lag_s = m->max_lag_s;
	c->reader_max_lag_s = m->reader_max_lag_s;
	c->lease_ms = (uint32_t)m->lease_ms;
	c->check_ms = (uint32_t)m->check_ms;
	c->require_guard = true; /* every Pod that we render has one */
	c->recreate = m->recreate;
}

void
group_new_conf(struct group *g, const struct m_group_conf *m)
{
	struct fsm_conf *c = &g->fc;
	int k;

	sparse_copy(&g->conf, m, offsetof(struct m_group_conf, n_priorities));
	group_fill_conf(g);
	c->npri = 0;
	for (unsigned i = 0; i < m->n_priorities; i++)
		if ((k = group_site(g, m->priorities[i].name)) != -1)
			c->pri[c->npri++] = (uint8_t)k;
}

void
group_send_pods(struct group *g, bool force)
{
	group_send_probe(g, force);
	group_send_links(g, force);
	group_offer_refresh(g);
}

void
group_feed_lease(struct group *g)
{
	struct fsm_event ev = { .type = E_LEASE };

	ev.u.lease.held = g->all->lease.held;
	ev.u.lease.deadline_ms = g->all->lease.deadline_ns / 1000000;
	/* A moment later is as true. */
	ev.u.lease.quiet_ms = (g->all->lease.quiet_ns + 999999) / 1000000;
	ev.u.lease.first = g->first;
	group_step(g, &ev);
}

void
group_feed_synced(struct group *g)
{
	struct fsm_event ev = { .type = E_SYNCED };

	ev.u.synced = g->all->synced;
	group_step(g, &ev);
}

void
group_trim(struct group *g)
{
	/* Nothing was ever observed of sites beyond those. */
	memset(&g->fs.site[g->fc.nsites], 0,
	    (SITES_MAX - g->fc.nsites) * sizeof(g->fs.site[0]));
	sparse_trim(g, sizeof(*g));
}

/* A state of the core, and everything that is known told to it. */
static void
start_core(struct group *g)
{
	struct gpod *p;

	for (unsigned i = 0; i < SITES_MAX; i++)
		gsite_clear(&g->site[i]);
	fsm_init(&g->fs, mono_ms());
	group_trim(g);
	group_trail_reset(g);
	g->zeroed = false;
	TAILQ_FOREACH (p, &g->pods, entry)
		group_feed_pod(g, p);
	if (g->have_rec)
		group_feed_record(g, &g->rec);
	group_feed_synced(g);
	group_feed_lease(g);
	gvoices_feed(g);
	group_feed_requests(g);
}

/* Another one, or other numbers in it. */
static void
take_conf(struct group *g, const struct m_group_conf *m)
{
	struct fsm_event ev = { .type = E_CONF };

	if (!g->have_conf) {
		group_new_conf(g, m);
		g->have_conf = true;
		start_core(g);
	} else if (group_same_sites(g, m)) {
		group_roles(g, m);
		group_new_conf(g, m);
		group_step(g, &ev);
	} else {
		group_resite(g, m);
		group_resited(g);
	}
}

void
group_release(struct group *g)
{
	struct m_group_release m;

	if (!g->deleting || g->released || !g->all->lease.held)
		return;
	g->released = true;
	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.group, g->uid, sizeof(m.group));
	log_ev(LL_INFO, "starting graceful shutdown", KVS("fg", g->fg));
	parent_send(g->parent, PROC_KUBE, MSG_GROUP_RELEASE, &m);
}

void
groups_conf(struct groups *gs, const struct m_group_conf *m)
{
	struct group *g = groups_find(gs, m->group);
	struct fsm_event ev = { .type = E_CONF };

	if (g == NULL && (g = group_new(gs, m)) == NULL)
		return;
	g->told = true;
	g->deleting = m->deleting;
	if (!m->valid) {
		/* The last valid one goes on; nobody loses a primary to a typo */
		log_ev(LL_WARN, "invalid spec", KVS("fg", g->fg),
		    KVS("error", m->problem));
		if (g->have_conf) {
			group_fill_conf(g);
			group_step(g, &ev);
		}
		group_release(g);
		return;
	}
	take_conf(g, m);
	group_send_pods(g, false);
	group_release(g);
}

void
groups_gone(struct groups *gs, const char *uid)
{
	struct group *g = groups_find(gs, uid);

	if (g == NULL)
		return;
	log_ev(LL_INFO, "topology manager stopped", KVS("fg", g->fg));
	if (g->deleting)
		log_ev(LL_INFO,
		    "CR deleted — DNSEndpoint will be garbage-collected",
		    KVS("fg", g->fg));
	g->gone = true;
	group_send_pods(g, true);
	g->view.verdict = V_DELETING;
	g->deleting = true;
	group_publish(g, NULL, true);
	group_gauges_del(g);
	group_free(g);
}
