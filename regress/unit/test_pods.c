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

/* Pods that come and go, and of sites that are no more (see test_group.c). */

#include "test_group.h"

/* Asked now and then, by the group's timer, whatever happens in between. */
static void
asked_again(struct group *g)
{
	unsigned checks = nsent[MSG_POD_CHECK];
	struct fsm_event tick = { .type = E_TICK };
	struct timeval left, now;

	group_look_after(g);
	assert_int_equal(nsent[MSG_POD_CHECK], checks);
	for (unsigned n = 1; n < 3; n++) {
		g->pods_ms -= 3000;
		group_step(g, &tick);
		assert_int_equal(nsent[MSG_POD_CHECK], checks + n - 1);
		assert_true(evtimer_pending(g->timer, &left));
		evutil_gettimeofday(&now, NULL);
		evutil_timersub(&left, &now, &left);
		assert_true(left.tv_sec * 1000000 + left.tv_usec < 50000);
		group_look_after(g);
		assert_int_equal(nsent[MSG_POD_CHECK], checks + n);
		assert_string_equal(check.pod_uid, POD_B);
	}
}

/*
 * A Pod that a new kube-watcher does not tell is looked for: it may lack a
 * label. It is gone when that is told, and not before.
 */
void
test_sweep(void **state)
{
	struct group *g = groups_find(gs, UID_G);
	unsigned checks = nsent[MSG_POD_CHECK];
	static struct m_pod m;

	groups_synced(gs, false);
	groups_kube_died(gs);
	tell_conf();
	tell_pod("iad", POD_A, "10.0.0.1");
	groups_synced(gs, true);
	assert_int_equal(nsent[MSG_POD_CHECK], checks + 1);
	assert_string_equal(check.group, UID_G);
	assert_string_equal(check.site, "pdx");
	assert_string_equal(check.pod_uid, POD_B);
	assert_string_equal(check.pod_name, "mysql-orders-pdx-x");
	assert_non_null(group_site_pod(g, "pdx"));
	asked_again(g);
	/* It is there, it is not. */
	tell_pod("pdx", POD_B, "10.0.0.2");
	assert_non_null(group_site_pod(g, "pdx"));
	checks = nsent[MSG_POD_CHECK];
	g->pods_ms -= 3000;
	group_look_after(g);
	assert_false(g->pods_due);
	assert_int_equal(nsent[MSG_POD_CHECK], checks);
	memset(&m, 0, sizeof(m));
	strlcpy(m.group, UID_G, sizeof(m.group));
	strlcpy(m.pod_uid, POD_B, sizeof(m.pod_uid));
	m.gone = true;
	groups_pod(gs, &m);
	assert_string_equal(probe_group.sites[0].ip, "10.0.0.1");
	assert_string_equal(probe_group.sites[1].ip, "");
	assert_string_equal(TAILQ_FIRST(&g->pods)->f.pod_uid, POD_A);
	assert_null(TAILQ_NEXT(TAILQ_FIRST(&g->pods), entry));
}

/* All Pods of a site that has more than the core keeps are told it in turn. */
void
test_many_pods(void **state)
{
	static const char uid[] = "00000000-0000-4000-8000-0000000000e0";
	struct group *g = groups_find(gs, UID_G);
	struct fsm_site *t = &g->fs.site[1];
	char each[UID_LEN + 1];
	static struct m_pod m;

	strlcpy(each, uid, sizeof(each));
	for (int n = 0; n <= FSM_SITE_PODS; n++) {
		each[UID_LEN - 1] = (char)('0' + n);
		assert_false(g->pods_due);
		tell_pod("pdx", each, "10.0.0.2");
		g->pods_ms -= 3000;
		group_look_after(g);
	}
	assert_true(g->pods_due);
	memset(t->pod, 0, sizeof(t->pod));
	group_look_after(g);
	assert_string_equal(t->pod[0].pod_uid, "");
	g->pods_ms -= 3000;
	group_look_after(g);
	for (int n = 0; n < FSM_SITE_PODS; n++)
		assert_string_not_equal(t->pod[n].pod_uid, "");
	strlcpy(m.group, UID_G, sizeof(m.group));
	m.gone = true;
	for (int n = 0; n <= FSM_SITE_PODS; n++) {
		each[UID_LEN - 1] = (char)('0' + n);
		strlcpy(m.pod_uid, each, sizeof(m.pod_uid));
		groups_pod(gs, &m);
	}
	g->pods_ms -= 3000;
	group_look_after(g);
	assert_false(g->pods_due);
}

/*
 * What a kube-watcher that died did not answer is decided anew when the next
 * one has told what there is, not when any answer would be too late.
 */
void
test_unanswered(void **state)
{
	struct fsm_state *s = &groups_find(gs, UID_G)->fs;
	struct fsm_req open = { .seq = 1000000, .until_ms = INT64_MAX };
	struct fsm_req *r[] = { &s->put, &s->foreign_req, &s->site[0].pod_req,
		&s->site[1].roll };
	int64_t next = s->put_next_ms;
	bool maybe = s->put_maybe;

	for (size_t k = 0; k < PS_NITEMS(r); k++) {
		*r[k] = open;
		open.seq++;
	}
	groups_synced(gs, false);
	groups_kube_died(gs);
	tell_conf();
	tell_pod("iad", POD_A, "10.0.0.1");
	for (size_t k = 0; k < PS_NITEMS(r); k++)
		assert_int_not_equal(r[k]->seq, 0);
	groups_synced(gs, true);
	for (size_t k = 0; k < PS_NITEMS(r); k++)
		assert_int_equal(r[k]->seq, 0);
	assert_true(s->put_maybe);
	s->put_maybe = maybe;
	s->put_next_ms = next;
}

/* A Pod of no configured site counts until its kubelet told its end. */
void
test_strangers(void **state)
{
	static const char uid[] = "00000000-0000-4000-8000-0000000000fa";
	struct group *g = groups_find(gs, UID_G);
	struct m_word *w;
	static struct m_pod m;
	unsigned k;

	assert_false(g->fc.strangers);
	tell_pod("fra", uid, "10.0.0.3");
	assert_true(g->fc.strangers);
	assert_string_equal(
	    g->fc.stranger, "Pod mysql-orders-fra-x (site fra)");
	strlcpy(m.group, UID_G, sizeof(m.group));
	strlcpy(m.site, "fra", sizeof(m.site));
	strlcpy(m.pod_uid, uid, sizeof(m.pod_uid));
	strlcpy(m.pod_name, "mysql-orders-fra-x", sizeof(m.pod_name));
	m.finalizer = m.deleting = true;
	/* it runs; nothing is known of its end; the kubelet knows nothing */
	for (k = 0; k < 4; k++) {
		m.ctr_state = k == 0 ? CTR_RUNNING : CTR_TERMINATED;
		m.n_words = k < 2 ? 0 : 1;
		w = &m.words[0];
		strlcpy(w->container_id, CID, sizeof(w->container_id));
		w->started_ms = 1000000;
		w->finished_ms = 2000000;
		strlcpy(w->reason, k == 2 ? "ContainerStatusUnknown" : "Error",
		    sizeof(w->reason));
		groups_pod(gs, &m);
		assert_int_equal(g->fc.strangers, k < 3);
	}
	m.gone = true;
	groups_pod(gs, &m);
	assert_false(g->fc.strangers);
	assert_string_equal(g->fc.stranger, "");
}
