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

/* Who sees the primary, and what an observer that sees nobody holds against it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "handover.h"
#include "mk.h"

static struct mk m;

static void
test_isolated(void **state)
{
	struct fsm_view v;
	uint8_t i;

	(void)state;
	mk_group(&m);
	mk_guarded(&m);
	mk_state(&m, 0, SS_UNREACHABLE);
	mk_step(&m, NULL);
	assert_int_equal(m.s.verdict, V_OBSERVER_ISOLATED);
	assert_null(mk_act(&m, A_PROMISE_ASK, -1));
	assert_false(m.s.auth[0].revoked);
	fsm_view(&m.c, &m.s, &v);
	assert_string_equal(fsm_verdict_block(v.verdict), "ObserverIsolated");
	/* the link is down as well, but b has renewed it just now */
	mk_silent(&m, 0);
	assert_int_equal(mk_verdict(&m), V_NO_PROOF);
	m.s.site[1].g.yes_epoch = 5;
	m.s.site[1].g.yes_age_ms = 10400;
	assert_int_equal(mk_verdict(&m), V_OBSERVER_ISOLATED);
	m.s.site[1].g.yes_age_ms++;
	assert_int_equal(mk_verdict(&m), V_NO_PROOF);
	/* a voter that is not heard has not said no */
	for (i = 1; i < m.c.nsites; i++)
		mk_silent(&m, i);
	assert_int_equal(mk_verdict(&m), V_OBSERVER_ISOLATED);
	/* what the replicas say is older than the loss */
	mk_guarded(&m);
	m.s.site[0].fail_since_ms = NOW - 500;
	assert_int_equal(mk_verdict(&m), V_NO_PROOF);
}

/* What another operator saw of that process, told at site i just now. */
static void
told_at(uint8_t i, int64_t age)
{
	const struct fsm_proc *p = &m.s.rec.unended[0].proc;
	struct fsm_sight *w = &m.s.site[i].g.sight;

	m.s.site[i].g_ms = NOW;
	memcpy(w->pod_uid, p->pod_uid, sizeof(w->pod_uid));
	memcpy(w->server_uuid, p->server_uuid, sizeof(w->server_uuid));
	w->start_ms = p->start_ms;
	w->age_ms = age;
}

static void
blind_group(void)
{
	uint8_t i;

	mk_group(&m);
	mk_guarded(&m);
	mk_state(&m, 0, SS_UNREACHABLE);
	for (i = 1; i < m.c.nsites; i++)
		m.s.site[i].p.io = IO_CONNECTING;
}

/* No replica receives, and another operator reaches the active site. */
static void
test_standby_sees(void **state)
{
	struct fsm_sight *w = &m.s.site[1].g.sight;
	int64_t life;

	(void)state;
	blind_group();
	assert_int_equal(mk_verdict(&m), V_NO_PROOF);
	blind_group();
	life = 2 * (m.c.poll_ms + BR_LINK_BEAT_MS(m.c.check_ms)) + 500;
	m.s.site[0].fail_since_ms = NOW - 2 * life;
	told_at(1, life - 1);
	assert_int_equal(mk_verdict(&m), V_OBSERVER_ISOLATED);
	assert_false(m.s.auth[0].revoked);
	/* its age */
	w->age_ms = life;
	assert_int_equal(mk_verdict(&m), V_NO_PROOF);
	blind_group();
	told_at(1, 300);
	m.s.site[0].fail_since_ms = NOW - 300;
	assert_int_equal(mk_verdict(&m), V_NO_PROOF);
	/* another process, by each of its parts */
	blind_group();
	m.s.site[0].fail_since_ms = NOW - life;
	told_at(1, 300);
	w->start_ms += FSM_START_TOL_MS;
	assert_int_equal(mk_verdict(&m), V_NO_PROOF);
	blind_group();
	m.s.site[0].fail_since_ms = NOW - life;
	told_at(1, 300);
	w->server_uuid[0] ^= 1;
	assert_int_equal(mk_verdict(&m), V_NO_PROOF);
	blind_group();
	m.s.site[0].fail_since_ms = NOW - life;
	told_at(1, 300);
	w->pod_uid[0] ^= 1;
	assert_int_equal(mk_verdict(&m), V_NO_PROOF);
	/* the active site's own sidecar carries it as well */
	blind_group();
	m.s.site[0].fail_since_ms = NOW - life;
	told_at(0, 300);
	assert_int_equal(mk_verdict(&m), V_OBSERVER_ISOLATED);
	/* not against the guard's word, nor the kubelet's */
	m.s.site[0].g.held = 0;
	assert_int_equal(mk_verdict(&m), V_NO_PROOF);
	blind_group();
	m.s.site[0].fail_since_ms = NOW - life;
	told_at(1, 300);
	m.s.ended[0] = P_TERMINATED;
	assert_int_not_equal(mk_verdict(&m), V_OBSERVER_ISOLATED);
}

/* What a standby tells: a writable active site that has answered lately. */
static void
test_sight(void **state)
{
	struct fsm_sight w;
	int64_t life;

	(void)state;
	mk_group(&m);
	mk_guarded(&m);
	m.s.site[0].p.sent_ms = NOW - 700;
	m.s.lease_held = false;
	life = 2 * (m.c.poll_ms + BR_LINK_BEAT_MS(m.c.check_ms)) + 500;
	assert_true(fsm_sight(&m.c, &m.s, NOW, &w));
	assert_string_equal(w.pod_uid, m.s.site[0].p.pod_uid);
	assert_string_equal(w.server_uuid, m.s.site[0].p.server_uuid);
	assert_int_equal(w.start_ms, m.s.site[0].p.start_ms);
	assert_int_equal(w.age_ms, 700);
	assert_true(fsm_sight(&m.c, &m.s, NOW - 701 + life, &w));
	assert_false(fsm_sight(&m.c, &m.s, NOW - 700 + life, &w));
	assert_int_equal(w.pod_uid[0], 0);
	m.s.site[0].suspect = true;
	assert_false(fsm_sight(&m.c, &m.s, NOW, &w));
	m.s.site[0].suspect = false;
	m.s.site[0].p.read_only = true;
	assert_false(fsm_sight(&m.c, &m.s, NOW, &w));
	m.s.site[0].p.read_only = false;
	m.s.lease_held = true;
	assert_false(fsm_sight(&m.c, &m.s, NOW, &w));
	m.s.lease_held = false;
	m.s.rec.active = FSM_NONE;
	assert_false(fsm_sight(&m.c, &m.s, NOW, &w));
}

/* Who sees the active site, and when is no time to change the leader. */
static void
test_sees(void **state)
{
	struct fsm_req *const reqs[] = { &m.s.put, &m.s.foreign_req,
		&m.s.site[2].sql, &m.s.site[2].fence, &m.s.site[2].pod_req,
		&m.s.site[2].roll };
	size_t k;

	(void)state;
	mk_group(&m);
	mk_guarded(&m);
	mk_step(&m, NULL);
	assert_int_equal(m.s.verdict, V_HEALTHY);
	assert_int_equal(fsm_sees(&m.c, &m.s), FSM_SEES_MINE);
	told_at(1, 300);
	assert_int_equal(fsm_sees(&m.c, &m.s), FSM_SEES_BOTH);
	m.s.site[1].g.sight.start_ms += FSM_START_TOL_MS;
	assert_int_equal(fsm_sees(&m.c, &m.s), FSM_SEES_MINE);
	/* no epoch, so no word about it can be known */
	m.s.rec.n = 0;
	assert_int_equal(fsm_sees(&m.c, &m.s), FSM_SEES_MINE);
	m.s.rec.active = FSM_NONE;
	assert_int_equal(fsm_sees(&m.c, &m.s), FSM_SEES_NONE);
	/* alone in not seeing it: only while that holds up a failover */
	blind_group();
	m.s.site[0].fail_since_ms = NOW - 1000;
	told_at(1, 300);
	mk_step(&m, NULL);
	assert_int_equal(m.s.verdict, V_OBSERVER_ISOLATED);
	assert_int_equal(fsm_sees(&m.c, &m.s), FSM_SEES_OTHER);
	for (k = 0; k < sizeof(reqs) / sizeof(reqs[0]); k++) {
		reqs[k]->seq = 77;
		assert_int_equal(fsm_sees(&m.c, &m.s), FSM_SEES_BUSY);
		reqs[k]->seq = 0;
	}
	m.s.site[2].grant_open = true;
	m.s.site[2].grant_valid_ms = m.s.now_ms;
	assert_int_equal(fsm_sees(&m.c, &m.s), FSM_SEES_BUSY);
	m.s.site[2].grant_open = false;
	m.s.clone_phase = CL_RESTART;
	assert_int_equal(fsm_sees(&m.c, &m.s), FSM_SEES_BUSY);
	m.s.clone_phase = CL_IDLE;
	/* what the next leader would have to prove anew */
	m.s.ended[0] = P_LEASE;
	assert_int_equal(fsm_sees(&m.c, &m.s), FSM_SEES_BUSY);
	m.s.ended[0] = P_NONE;
	lease_auth_revoke(
	    &m.s.auth[0], &m.s.rec.unended[0].terms, m.now, m.now);
	m.s.auth[0].promised = 7;
	assert_int_equal(fsm_sees(&m.c, &m.s), FSM_SEES_BUSY);
	lease_auth_init(&m.s.auth[0]);
	assert_int_equal(fsm_sees(&m.c, &m.s), FSM_SEES_OTHER);
	m.s.verdict = V_PROMOTE;
	assert_int_equal(fsm_sees(&m.c, &m.s), FSM_SEES_BUSY);
	m.s.verdict = V_WAIT_THRESHOLD;
	assert_int_equal(fsm_sees(&m.c, &m.s), FSM_SEES_NONE);
	m.s.verdict = V_OBSERVER_ISOLATED;
	/* a replica sees it, the other operator does not */
	m.s.site[1].g.sight.pod_uid[0] = '\0';
	assert_int_equal(fsm_sees(&m.c, &m.s), FSM_SEES_NONE);
	/* a short lease that hangs on this leader's yes */
	told_at(1, 300);
	m.s.rec.unended[0].terms.lease_ms = 3000;
	m.c.check_ms = 1000;
	m.s.site[0].fail_since_ms = NOW - 1000;
	for (k = 1; k < m.c.nsites; k++)
		m.s.site[k].g.yes_age_ms = -1;
	assert_int_equal(fsm_sees(&m.c, &m.s), FSM_SEES_BUSY);
	for (k = 1; k < m.c.nsites; k++) {
		m.s.site[k].g.yes_epoch = m.s.rec.unended[0].epoch;
		m.s.site[k].g.yes_age_ms = 300;
	}
	assert_int_equal(fsm_sees(&m.c, &m.s), FSM_SEES_OTHER);
}

/* How many looks, two a second, until it goes; up to so many. */
static int
goes_after(
    struct handover *h, const struct handover_sees *n, int64_t *now, int looks)
{
	bool said = false;
	int i;

	for (i = 1; i <= looks; i++, *now += 500)
		switch (handover_look(h, n, true, *now)) {
		case HANDOVER_STAY:
			break;
		case HANDOVER_SAY:
			assert_false(said);
			said = true;
			break;
		case HANDOVER_GO:
			assert_true(said);
			return i;
		}
	return 0;
}

/* The rule itself: what is seen, for how long, and how often before. */
static void
test_handover(void **state)
{
	static const struct {
		struct handover_sees n;
		int64_t led_ms;
		unsigned before;
		int after_ms; /* 0: never */
	} rows[] = {
		{ { 1, 0, 0, 6000 }, 3600000, 0, 18500 },
		{ { 1, 0, 0, 1500 }, 3600000, 0, 15500 },
		{ { 3, 0, 0, 1500 }, 3600000, 0, 15500 },
		/* it sees something that the other one may not */
		{ { 1, 1, 0, 1500 }, 3600000, 0, 0 },
		{ { 0, 0, 0, 0 }, 3600000, 0, 0 },
		{ { 0, 2, 0, 0 }, 3600000, 0, 0 },
		/* something is under way */
		{ { 1, 0, 1, 1500 }, 3600000, 0, 0 },
		/* it leads since now, or did so before */
		{ { 1, 0, 0, 1500 }, 0, 0, 60500 },
		{ { 1, 0, 0, 1500 }, 50000, 0, 15500 },
		{ { 1, 0, 0, 1500 }, 0, 1, 120500 },
		{ { 1, 0, 0, 1500 }, 0, 3, 480500 },
		{ { 1, 0, 0, 1500 }, 0, 4, 960500 },
		{ { 1, 0, 0, 1500 }, 0, 9, 960500 },
	};
	const struct handover_sees none = { 0 }, blind = { 1, 0, 0, 1500 };
	struct handover h;
	int64_t now, t;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memset(&h, 0, sizeof(h));
		now = 5000000;
		h.n = rows[i].before;
		h.last_ms = h.n != 0 ? now - 1000 : 0;
		h.led_ms = now - rows[i].led_ms;
		assert_int_equal(
		    500 * (goes_after(&h, &rows[i].n, &now, 4000) - 1),
		    rows[i].after_ms != 0 ? rows[i].after_ms : -500);
	}
	/* an interruption, or another one's term, begins it anew */
	memset(&h, 0, sizeof(h));
	now = 5000000;
	h.led_ms = 1;
	assert_int_equal(goes_after(&h, &blind, &now, 30), 0);
	assert_int_equal(handover_look(&h, &none, true, now), HANDOVER_STAY);
	assert_int_equal(goes_after(&h, &blind, &now, 30), 0);
	assert_int_equal(handover_look(&h, &blind, false, now), HANDOVER_STAY);
	t = now;
	assert_true(goes_after(&h, &blind, &now, 400) > 0);
	assert_int_equal(now - t, 60500);
	/* what was long ago does not count */
	now += HANDOVER_FORGET_MS;
	assert_int_equal(h.n, 1);
	assert_int_equal(handover_term(&h, now), 60000);
	assert_true(goes_after(&h, &blind, &now, 400) > 0);
	assert_int_equal(h.n, 1);
	assert_int_equal(handover_term(&h, now), 120000);
}

/* A guard's word is a failed probe that nobody had to wait for. */
static void
test_push(void **state)
{
	struct fsm_guard g;
	unsigned k;

	(void)state;
	mk_group(&m);
	mk_guarded(&m);
	m.s.site[0].counted_ms = NOW - 2000;
	g = m.s.site[0].g;
	g.hung = true;
	mk_says(&m, 0, &g);
	assert_int_equal(m.s.site[0].fails, 1);
	assert_non_null(mk_act(&m, A_PROBE_NOW, -1));
	assert_non_null(mk_act(&m, A_LOG, T_GUARD_HUNG));
	assert_int_equal(m.s.verdict, V_WAIT_THRESHOLD);
	for (k = 0; k < 10; k++) {
		m.now += 400;
		mk_says(&m, 0, &g);
	}
	assert_int_equal(m.s.site[0].state, SS_UNREACHABLE);
	/* the disk is full: said, no more */
	mk_group(&m);
	mk_guarded(&m);
	g = m.s.site[0].g;
	g.disk_full = true;
	mk_says(&m, 0, &g);
	assert_non_null(mk_act(&m, A_EVENT, T_DISK_FULL));
	assert_int_equal(m.s.verdict, V_HEALTHY);
}

/* A probe of site i, sent now, is answered or missed. */
static void
looked(uint8_t i, bool ok)
{
	struct fsm_probe p = m.s.site[i].p;
	struct fsm_event ev = { .type = E_PROBE, .site = i, .u.probe = &p };

	p.ok = ok;
	p.err = ok ? PE_NONE : PE_TIMEOUT;
	p.sent_ms = m.now;
	mk_step(&m, &ev);
}

static void
look(bool a, bool b, bool c)
{
	m.now += 2000;
	m.s.lease_deadline_ms = m.now + 10000;
	looked(1, b);
	looked(2, c);
	looked(0, a);
}

/* Nobody sees anything of a, or of what it does, but by probes. */
static void
blind(void)
{
	mk_group(&m);
	mk_guarded(&m);
	mk_silent(&m, 0);
	m.s.site[1].p.io = m.s.site[2].p.io = IO_CONNECTING;
}

/* What was missed while nobody answered is not held against the primary. */
static void
test_blind(void **state)
{
	unsigned k;

	(void)state;
	blind();
	for (k = 0; k < 8; k++)
		look(false, false, false);
	assert_int_equal(mk_verdict(&m), V_TOTAL_LOSS);
	for (k = 0; k < 2; k++) {
		look(false, true, true);
		assert_int_equal(mk_verdict(&m), V_WAIT_THRESHOLD);
		assert_null(mk_act(&m, A_REVOKE, -1));
	}
	look(false, true, true);
	assert_int_equal(mk_verdict(&m), V_NO_PROOF);

	/* Shorter than a threshold: one was missed with the others there. */
	blind();
	look(false, true, true);
	look(false, false, false);
	look(false, false, false);
	assert_int_equal(m.s.site[0].state, SS_UNREACHABLE);
	look(false, true, true);
	assert_int_equal(mk_verdict(&m), V_WAIT_THRESHOLD);
	look(false, true, true);
	assert_int_equal(mk_verdict(&m), V_NO_PROOF);
	look(true, true, true);
	assert_int_equal(m.s.site[0].owed, 0);

	/* One of the others is enough. */
	blind();
	for (k = 0; k < 3; k++)
		look(false, false, true);
	assert_int_equal(mk_verdict(&m), V_NO_PROOF);
}

/* Its sidecar is heard first after a silence: no voter is left out for that. */
static void
test_hears_again(void **state)
{
	struct fsm_guard g[3];
	uint8_t i;

	(void)state;
	mk_group(&m);
	mk_guarded(&m);
	for (i = 0; i < 3; i++) {
		g[i] = m.s.site[i].g;
		mk_silent(&m, i);
	}
	m.now += 40000;
	for (i = 0; i < 3; i++)
		looked(i, true);
	m.s.lease_deadline_ms = m.now + 10000;
	m.s.site[0].link_up = true;
	mk_says(&m, 0, &g[0]);
	assert_int_equal(mk_verdict(&m), V_HEALTHY);
	assert_null(mk_act(&m, A_RECORD_PUT, -1));
	m.s.site[1].link_up = m.s.site[2].link_up = true;
	m.now += 4000;
	mk_says(&m, 1, &g[1]);
	mk_says(&m, 0, &g[0]);
	assert_null(mk_act(&m, A_RECORD_PUT, -1));
	mk_says(&m, 2, &g[2]);
	m.now += 4000;
	for (i = 0; i < 3; i++)
		mk_says(&m, i, &g[i]);
	assert_null(mk_act(&m, A_RECORD_PUT, -1));
	/* One of them stays away: now it is. */
	m.s.site[2].link_up = false;
	m.now += 400;
	mk_says(&m, 0, &g[0]);
	assert_non_null(mk_act(&m, A_RECORD_PUT, -1));
	assert_int_equal(m.o.put.unended[1].terms.n, 2);
}

/*
 * A grant rests on no word that is older than its time, however late it was
 * heard of; one that came a moment ago leaves the rest of it.
 */
static void
test_late_word(void **state)
{
	struct fsm_guard g;
	const struct fsm_act *a;
	int64_t late;

	for (late = 0; late <= FSM_GRANT_REPORT_MS; late += 1000) {
		mk_group(&m);
		mk_guarded(&m);
		mk_state(&m, 0, SS_READ_ONLY);
		m.s.my_epoch = m.s.rec.epoch;
		m.s.site[0].guard_ms = NOW - FSM_GRANT_REPORT_MS;
		g = m.s.site[0].g;
		g.late_ms = late;
		mk_says(&m, 0, &g);
		assert_int_equal(m.s.site[0].guard_ms, m.s.now_ms - late);
		assert_int_equal(m.s.site[0].g_ms, m.s.now_ms - late);
		a = mk_act(&m, A_SQL, SQL_GRANT);
		if (late == FSM_GRANT_REPORT_MS) {
			assert_null(a);
			continue;
		}
		assert_non_null(a);
		assert_int_equal(
		    a->valid_until_ms, m.s.now_ms - late + FSM_GRANT_REPORT_MS);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_isolated),
		cmocka_unit_test(test_standby_sees),
		cmocka_unit_test(test_sight),
		cmocka_unit_test(test_sees),
		cmocka_unit_test(test_handover),
		cmocka_unit_test(test_push),
		cmocka_unit_test(test_blind),
		cmocka_unit_test(test_hears_again),
		cmocka_unit_test(test_late_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
