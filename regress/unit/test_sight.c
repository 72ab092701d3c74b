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
 * What standbys see of a primary, told and heard; and a leader that alone does
 * not see it (test_link.c plays all others).
 */

#include "test_link.h"

/* A standby tells what it sees of the active site, and a leader does not. */
void
test_sight_told(void **state)
{
	const struct w_operator *o = &side[IAD].last.w_operator;
	const struct w_sight *w = &o->sight[0];
	struct fsm_site *t = &group()->fs.site[IAD];

	alarm(30);
	link_site(IAD);
	t->ever = true;
	t->state = SS_WRITABLE;
	strlcpy(t->p.pod_uid, pods[IAD], sizeof(t->p.pod_uid));
	strlcpy(t->p.server_uuid, UUID, sizeof(t->p.server_uuid));
	t->p.start_ms = 1000000;
	t->p.sent_ms = mono_ms() - 300;
	assert_int_equal(o->n_sight, 0);
	tell_lease(false);
	RB_ROOT(&gs->links)->beat_ms += 3600000;
	while (side[IAD].n[W_OPERATOR] < 2)
		event_base_loop(base, EVLOOP_ONCE);
	assert_false(o->leader);
	assert_int_equal(o->n_sight, 1);
	assert_string_equal(w->pod_uid, pods[IAD]);
	assert_string_equal(w->server_uuid, UUID);
	assert_int_equal(w->start_ms, 1000000);
	assert_in_range(w->age_ms, 300, 5000);
	/* that it grows older is no news, that it is over is */
	RB_ROOT(&gs->links)->beat_ms += 3600000;
	for (int64_t end = mono_ms() + 600; mono_ms() < end;)
		event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(side[IAD].n[W_OPERATOR], 2);
	t->suspect = true;
	while (side[IAD].n[W_OPERATOR] < 3)
		event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(o->n_sight, 0);
	t->suspect = false;
	tell_lease(true);
	while (side[IAD].n[W_OPERATOR] < 4)
		event_base_loop(base, EVLOOP_ONCE);
	assert_true(o->leader);
	assert_int_equal(o->n_sight, 0);
	alarm(0);
}

/* A report of PDX's sidecar: another operator sees IAD. */
static void
fill_sight(struct w_report *r, int64_t age)
{
	struct w_sight *w = &r->sight[0];

	fill_report(PDX, r);
	r->n_sight = 1;
	strlcpy(w->pod_uid, pods[IAD], sizeof(w->pod_uid));
	strlcpy(w->server_uuid, UUID, sizeof(w->server_uuid));
	w->start_ms = 1000000;
	w->age_ms = age;
}

/* What another operator has told that sidecar; who says it may lie. */
void
test_sight_heard(void **state)
{
	const struct fsm_sight *f = &group()->fs.site[PDX].g.sight;
	static struct w_report r;
	struct w_sight *w = &r.sight[0];

	link_site(PDX);
	assert_int_equal(f->pod_uid[0], 0);
	fill_sight(&r, 700);
	say(PDX, W_REPORT, &r);
	assert_string_equal(f->pod_uid, pods[IAD]);
	assert_string_equal(f->server_uuid, UUID);
	assert_int_equal(f->start_ms, 1000000);
	assert_int_equal(f->age_ms, 700);
	/* a core that is begun anew does not take it for one of now */
	gvoices_feed(group());
	assert_int_equal(f->pod_uid[0], 0);
	say(PDX, W_REPORT, &r);
	assert_int_equal(f->age_ms, 700);
	w->age_ms = -1;
	say(PDX, W_REPORT, &r);
	assert_int_equal(f->pod_uid[0], 0);
	w->age_ms = INT64_MAX;
	say(PDX, W_REPORT, &r);
	assert_int_equal(f->pod_uid[0], 0);
	w->age_ms = WIRE_SIGHT_MS - 1;
	say(PDX, W_REPORT, &r);
	assert_int_equal(f->age_ms, WIRE_SIGHT_MS - 1);
	w->start_ms = INT64_MIN;
	say(PDX, W_REPORT, &r);
	assert_int_equal(f->pod_uid[0], 0);
	/* a sidecar of before says none */
	w->start_ms = 1000000;
	say(PDX, W_REPORT, &r);
	r.n_sight = 0;
	say(PDX, W_REPORT, &r);
	assert_int_equal(f->pod_uid[0], 0);
}

/* What hand_over() below changes in the core. */
static struct fsm_state *
blind(void)
{
	struct fsm_state *s = &group()->fs;
	static struct w_report r;

	link_site(PDX);
	fill_sight(&r, 100);
	say(PDX, W_REPORT, &r);
	memset(&s->put, 0, sizeof(s->put));
	s->verdict = V_OBSERVER_ISOLATED;
	s->old_grants_ms = 0;
	s->site[IAD].fail_since_ms = 1;
	return s;
}

static bool
news(bool held, uint64_t term)
{
	struct m_lease m = { .held = held, .term = term };

	return groups_lease_news(gs, &m);
}

/* Term 5: asked until it is answered, and nothing older is an answer. */
static void
given_up(void)
{
	unsigned n = releases;

	for (int i = 1; i < 4; i++) {
		assert_true(groups_give_up(gs));
		assert_int_equal(releases, n + (unsigned)i);
		assert_int_equal(release.term, 5);
		assert_int_equal(release.leave_ms, 2 * HANDOVER_TERM_MS);
		assert_false(news(true, 5));
	}
	assert_true(news(false, 5));
	assert_false(groups_give_up(gs));
	assert_true(news(true, 5));
	/* it was lost, and another term has begun */
	gs->handover.term = 5;
	assert_false(news(true, 5));
	assert_true(news(true, 6));
	assert_false(groups_give_up(gs));
	/* who was asked is no more */
	gs->handover.term = 5;
	groups_kube_died(gs);
	assert_false(groups_give_up(gs));
	assert_int_equal(releases, n + 3);
}

/* A leader that alone is blind says it and hands over, when it may. */
void
test_hand_over(void **state)
{
	struct handover *h = &gs->handover;
	struct fsm_state *s = blind();

	assert_int_equal(fsm_sees(&group()->fc, s), FSM_SEES_OTHER);
	assert_false(groups_hand_over(gs, false));
	assert_int_equal(h->since_ms, 0);
	assert_false(groups_hand_over(gs, true));
	assert_true(h->since_ms != 0 && h->led_ms != 0);
	h->since_ms -= 4 * HANDOVER_BLIND_MS;
	assert_false(groups_hand_over(gs, true));
	assert_false(h->said);
	h->led_ms -= HANDOVER_TERM_MS;
	assert_false(groups_hand_over(gs, true));
	assert_string_equal(event.reason, "LeaderHandsOver");
	assert_non_null(strstr(event.message, "site iad"));
	assert_int_equal(handovers, 0);
	assert_false(groups_give_up(gs));
	gs->lease.term = 5;
	assert_true(groups_hand_over(gs, true));
	assert_int_equal(handovers, 1);
	assert_int_equal(releases, 0);
	given_up();
	/* not what it sees itself, nor for one that does not lead */
	s->verdict = V_HEALTHY;
	assert_false(groups_hand_over(gs, true));
	assert_int_equal(h->since_ms, 0);
	s->verdict = V_OBSERVER_ISOLATED;
	assert_false(groups_hand_over(gs, true));
	assert_true(h->since_ms != 0);
	tell_lease(false);
	s->verdict = V_OBSERVER_ISOLATED;
	assert_false(groups_hand_over(gs, true));
	assert_true(h->since_ms == 0 && h->led_ms == 0);
}
