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
 * What a site's sidecar and guard say on their link becomes an event of the
 * core. A frame was opened with the site's keys; the guard's own statement in
 * it is checked here, by the same keys.
 */

#include <string.h>

#include "group_int.h"

/* A refused statement comes again with each report. */
#define BAD_LOG_MS 60000

/*
 * Is this voter known to be another site's? Its promise file may have been
 * copied with its volume, and who answers for a name is whose key signs.
 */
static bool
of_another(struct group *g, const char *site, uint64_t id)
{
	const struct gvoice *v;

	for (unsigned i = 0; i < g->rec.n_unended; i++) {
		const struct m_epoch *e = &g->rec.unended[i];

		for (unsigned k = 0; k < e->n_voters; k++)
			if (e->voters[k].id == id)
				return strcmp(e->voters[k].site, site) != 0;
	}
	TAILQ_FOREACH (v, &g->voices, entry)
		if (v->says.memory == id && strcmp(v->site, site) != 0)
			return true;
	return false;
}

static uint64_t
memory_of(struct glink *l, struct gvoice *v, uint64_t id)
{
	if (id <= LEASE_OPERATOR)
		return 0;
	if (!of_another(l->group, l->site, id))
		return id;
	if (v->claimed != id)
		log_ev(LL_ERROR, "voter of another site",
		    KVS("fg", l->group->fg), KVS("site", l->site),
		    KVU("voter", id),
		    KVS("error", "its volume is a copy: not a voter"));
	v->claimed = id;
	return 0;
}

/* ------------------------------------------------------------------ guards - */

static void
no_guard(struct fsm_guard *f)
{
	f->guard = 0;
	f->incarnation = f->ended = 0;
	f->running = f->initialising = f->hung = f->read_only = false;
	f->disk_full = false;
	f->server_uuid[0] = '\0';
	f->start_ms = 0;
	f->read_age_ms = -1;
	f->held = f->revoked = 0;
}

static void
fill_guard(struct fsm_guard *f, const struct w_guard *w)
{
	f->guard = w->guard;
	f->incarnation = w->incarnation;
	f->running = w->running;
	f->ended = w->ended;
	f->initialising = w->initialising;
	f->hung = w->hung;
	f->read_only = w->read_only;
	f->read_age_ms = w->read_age_ms;
	f->disk_full = w->disk_full;
	(void)strlcpy(f->server_uuid, w->server_uuid, sizeof(f->server_uuid));
	f->start_ms = w->start_ms;
	f->held = w->held;
	f->revoked = w->revoked;
}

/* NULL: it is what was expected. */
static const char *
guard_problem(const struct glink *l, const struct w_guard *w)
{
	if (strcmp(w->group, l->group->fg) != 0)
		return "of another group";
	if (strcmp(w->site, l->site) != 0)
		return "of another site";
	if (strcmp(w->pod_uid, l->pod_uid) != 0)
		return "of another Pod";
	if (w->guard == 0)
		return "without an id";
	return NULL;
}

/* A record of each change that a decision may hang on. */
static void
log_guard(
    const struct glink *l, const struct fsm_guard *was, const struct w_guard *w)
{
	if (was->guard == w->guard && was->incarnation == w->incarnation &&
	    was->running == w->running && was->ended == w->ended &&
	    was->initialising == w->initialising && was->hung == w->hung &&
	    was->read_only == w->read_only && was->held == w->held &&
	    was->revoked == w->revoked && was->disk_full == w->disk_full)
		return;
	log_ev(w->hung || w->disk_full || !w->running ? LL_WARN : LL_INFO,
	    "guard report", KVS("fg", l->group->fg), KVS("site", l->site),
	    KVS("podUID", l->pod_uid), KVU("guard", w->guard),
	    KVU("incarnation", w->incarnation), KVB("running", w->running),
	    KVU("ended", w->ended), KVI("exitCode", w->exit_code),
	    KVB("initialising", w->initialising), KVB("hung", w->hung),
	    KVB("readOnly", w->read_only), KVU("held", w->held),
	    KVMS("left", w->left_ms), KVU("revoked", w->revoked),
	    KVB("diskFull", w->disk_full), KVB("killer", w->killer));
}

static void
refused(struct glink *l, const char *why)
{
	int64_t now = mono_ms();

	l->bad++;
	if (l->bad > 1 && now - l->bad_ms < BAD_LOG_MS)
		return;
	l->bad_ms = now;
	log_ev(LL_WARN, "guard statement refused", KVS("fg", l->group->fg),
	    KVS("site", l->site), KVS("error", why), KVU("soFar", l->bad));
}

/*
 * The guard's statement, when it is news: one that was seen before is repeated
 * by a sidecar whose guard does not speak now.
 */
static bool
take_guard(struct glink *l, struct gvoice *v, const struct w_report *r)
{
	static struct w_guard w;
	const struct wire_pub *pub;
	const char *why = NULL;
	size_t n = 0;

	if (!r->have_guard || r->n_guard != 1)
		return false;
	pub = group_keys(l->group, l->site, &n);
	if (wire_check(&r->guard[0], pub, n, W_GUARD, &w) == -1)
		why = "bad statement";
	else
		why = guard_problem(l, &w);
	if (why != NULL) {
		refused(l, why);
		return false;
	}
	if (w.guard == v->guard && w.serial <= v->serial)
		return false;
	log_guard(l, &v->says, &w);
	v->guard = w.guard;
	v->serial = w.serial;
	v->guard_ms = v->says_ms;
	if (v->heard < w.heard)
		v->heard = w.heard;
	fill_guard(&v->says, &w);
	group_lease_gauge(l->group, v, w.held != 0 ? w.left_ms : 0);
	return true;
}

/* guard: with what it said last, else of the sidecar alone. */
static void
feed(struct group *g, const struct gvoice *v, bool guard)
{
	struct fsm_event ev = { .type = E_GUARD };
	struct fsm_guard f = v->says;
	int i = group_site(g, v->site);

	if (!g->have_conf || i == -1)
		return;
	if (!guard)
		no_guard(&f);
	/* It may be told again, and later. */
	f.late_ms = mono_ms() - (guard ? v->guard_ms : v->says_ms);
	ev.site = (uint8_t)i;
	ev.u.guard = &f;
	group_step(g, &ev);
}

/* A core that was begun anew has to hear them again. */
void
gvoices_feed(struct group *g)
{
	struct fsm_event ev = { .type = E_LINK };
	struct gvoice *v;
	int i;

	TAILQ_FOREACH (v, &g->voices, entry) {
		if (v->link == NULL || (i = group_site(g, v->site)) == -1)
			continue;
		ev.site = (uint8_t)i;
		ev.u.link_up = true;
		group_step(g, &ev);
		feed(g, v,
		    mono_ms() - v->guard_ms <=
			BR_LINK_BEAT_MS(g->conf.check_ms));
	}
}

static void
on_report(
    struct glink *l, struct gvoice *v, const struct w_report *r, int64_t at)
{
	struct fsm_guard *f = &v->says;
	bool guard;

	v->says_ms = at;
	(void)strlcpy(f->pod_uid, l->pod_uid, sizeof(f->pod_uid));
	f->memory = memory_of(l, v, r->id);
	f->promised = r->promised;
	f->yes_epoch = r->yes_age_ms < 0 ? 0 : r->yes_epoch;
	f->yes_age_ms = r->yes_age_ms < 0 ? -1 : r->yes_age_ms;
	v->keys = r->keys;
	guard = take_guard(l, v, r);
	f->heard = r->heard > v->heard ? r->heard : v->heard;
	group_sight_hear(&f->sight, r);
	feed(l->group, v, guard);
	/* Of now; a core that is begun anew waits for the next one. */
	memset(&f->sight, 0, sizeof(f->sight));
}

/* ---------------------------------------------------------------- promises - */

static void
on_promise(struct glink *l, struct gvoice *v, const struct w_promise *p)
{
	struct group *g = l->group;
	struct fsm_event ev = { .type = E_PROMISE };
	bool good = p->id != 0 && p->id == v->says.memory && p->age_ms >= 0;
	int i = group_site(g, l->site);

	log_ev(good ? LL_INFO : LL_WARN,
	    good ? "promise received" : "promise refused", KVS("fg", g->fg),
	    KVS("site", l->site), KVU("voter", p->id), KVU("epoch", p->epoch),
	    KVMS("age", p->age_ms));
	if (!good || !g->have_conf || i == -1)
		return;
	group_count(g, "bloodraven_lease_promises_total", l->site);
	ev.site = (uint8_t)i;
	ev.u.promise.voter = p->id;
	ev.u.promise.epoch = p->epoch;
	ev.u.promise.age_ms = p->age_ms;
	ev.u.promise.lease_ms = p->lease_ms;
	group_step(g, &ev);
}

/* --------------------------------------------------------------- questions - */

/* Whether that epoch is recorded for the process behind this very link. */
static bool
askable(const struct glink *l, const struct w_ask *a)
{
	const struct m_epoch *e = group_epoch(l->group, a->epoch);

	return e != NULL && strcmp(e->site, l->site) == 0 &&
	    strcmp(e->pod_uid, l->pod_uid) == 0;
}

/*
 * A guard asks whether it may go on. The core says A_RENEW within this very
 * step, or nothing: silence is the no. A standby is always silent.
 */
static void
on_ask(struct glink *l, struct gvoice *v, const struct w_ask *a)
{
	struct group *g = l->group;
	struct fsm_event ev = { .type = E_ASK };
	int i = group_site(g, l->site);

	if (!g->have_conf || i == -1 || !groups_leading(g->all))
		return;
	g->asked = (struct gasked) { .link = l,
		.epoch = a->epoch,
		.guard = a->guard,
		.incarnation = a->incarnation,
		.nonce = a->nonce };
	if (askable(l, a)) {
		ev.site = (uint8_t)i;
		ev.u.ask.epoch = a->epoch;
		ev.u.ask.guard = a->guard;
		ev.u.ask.incarnation = a->incarnation;
		ev.u.ask.nonce = a->nonce;
		group_step(g, &ev);
	}
	g->asked.link = NULL;
	group_count_renewal(g, l->site, g->asked.yes);
	if (v->said_no != !g->asked.yes)
		log_ev(LL_INFO,
		    g->asked.yes ? "lease renewed" : "lease not renewed",
		    KVS("fg", g->fg), KVS("site", l->site),
		    KVU("epoch", a->epoch), KVU("guard", a->guard),
		    KVU("incarnation", a->incarnation));
	v->said_no = !g->asked.yes;
}

bool
gvoice_frame(
    struct glink *l, uint32_t type, const union wire_any *a, int64_t at)
{
	struct gvoice *v = gvoice_find(l->group, l->site);

	switch (type) {
	case W_REPORT:
		on_report(l, v, &a->w_report, at);
		return true;
	case W_PROMISE:
		on_promise(l, v, &a->w_promise);
		return true;
	case W_ASK:
		on_ask(l, v, &a->w_ask);
		return true;
	default:
		return false;
	}
}
