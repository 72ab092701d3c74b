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
 * Leadership: the machine of kube_lease.c with the API server, and what
 * begins and ends with it.
 */

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kube.h"

/* How long a release waits for answers, in steps of 20 ms. */
#define RELEASE_WAITS 50

bool
kube_may_write(const struct kube *k)
{
	if (!k->leader)
		return false;
	return !k->conf.leader_elect ||
	    lease_valid(&k->lease, monotime_now().ns);
}

bool
kube_may_write_fn(void *arg)
{
	return kube_may_write(arg);
}

bool
kgroup_may_write(void *arg)
{
	return kube_may_write(((struct kgroup *)arg)->k);
}

static void
deadline_arm(struct kube *k)
{
	int64_t ms =
	    (lease_deadline(&k->lease) - monotime_now().ns) / 1000000 + 1;
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	if (ms < 0)
		tv = (struct timeval) { 0, 0 };
	event_add(k->deadline_timer, &tv);
}

static void
tell_lease(struct kube *k)
{
	struct m_lease m = { .held = k->leader };

	m.deadline_ns = !k->leader ? 0 :
	    k->conf.leader_elect   ? lease_deadline(&k->lease) :
				     INT64_MAX;
	m.quiet_ns = k->leader ? lease_quiet(&k->lease) : 0;
	(void)strlcpy(m.holder, k->lease.holder, sizeof(m.holder));
	m.transitions = k->lease.transitions;
	m.term = k->term;
	kube_tell(k, MSG_LEASE, &m);
	if (!k->leader || !k->conf.leader_elect)
		event_del(k->deadline_timer);
	else
		deadline_arm(k);
}

static void
lead(struct kube *k)
{
	struct kgroup *g;

	k->leader = true;
	k->term++;
	log_ev(LL_INFO, "became leader", KVS("identity", k->conf.identity));
	tell_lease(k);
	RB_FOREACH (g, kgroups, &k->groups) {
		kgroup_kick(g);
		if (!g->valid)
			kevent_emit(g, true, "InvalidSpec", g->problem);
	}
	kforeign_lead(k);
	kkeys_lead(k);
	knodes_lead(k);
	/* Pods that a predecessor left waiting, of groups that are no more. */
	if (k->w_pods != NULL)
		kwatch_relist(k->w_pods);
}

static void
unlead(struct kube *k, const char *why)
{
	k->leader = false;
	(void)lease_begin(&k->lease, monotime_now().ns);
	log_ev(LL_WARN, "leadership ended", KVS("reason", why),
	    KVS("holder", k->lease.holder));
	tell_lease(k);
}

/*
 * Leading begins when the groups, and with them the records, were read by a
 * quorum read that began after the Lease was taken: nothing is decided on
 * what a predecessor may have replaced.
 */
void
kube_groups_listed(struct kube *k)
{
	int64_t now = monotime_now().ns;
	bool records = false;
	struct kgroup *g;

	if (k->leader)
		return;
	RB_FOREACH (g, kgroups, &k->groups)
		records |= g->recorded;
	lease_listed(&k->lease, now, records);
	if (!k->conf.leader_elect || lease_lead(&k->lease, now))
		lead(k);
	else if (k->lease.listed)
		log_ev(LL_INFO,
		    "the Lease was absent: waiting out who may have held it",
		    KVS("identity", k->conf.identity));
}

static void
lease_changed(struct kube *k)
{
	int64_t now = monotime_now().ns;
	bool relist = lease_begin(&k->lease, now);
	bool valid = lease_valid(&k->lease, now);

	if (k->handing && !k->lease.handing) {
		k->handing = false;
		tell_lease(k);
		return;
	}
	if (k->lease.releasing) {
		if (!k->lease.held)
			tell_lease(k);
		return;
	}
	if (k->leader && !valid)
		unlead(k, "lease lost");
	else if (k->leader)
		tell_lease(k);
	else if (relist)
		kwatch_relist(k->w_groups);
	else if (lease_lead(&k->lease, now))
		lead(k);
}

static void
lease_arm(struct kube *k)
{
	int64_t ms = lease_wait(&k->lease, monotime_now().ns, arc4random());
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	/* Given up: it is the last that we do. */
	if (!k->lease.releasing || k->lease.held)
		event_add(k->lease_timer, &tv);
}

static void
lease_answer(struct kube *k, bool wrote, const struct kh_resp *p)
{
	int64_t now = monotime_now().ns;
	struct klease o;
	yyjson_doc *d;

	if (p->status == 404 && !wrote) {
		lease_seen(&k->lease, now, NULL);
		return;
	}
	if ((p->status != 200 && p->status != 201) ||
	    (d = kj_read(p->body, p->len)) == NULL) {
		lease_unsure(&k->lease);
		return;
	}
	if (klease_decode(yyjson_doc_get_root(d), &o) == -1)
		lease_unsure(&k->lease);
	else if (wrote)
		lease_written(&k->lease, p->sent_ns, &o);
	else
		lease_seen(&k->lease, now, &o);
	yyjson_doc_free(d);
}

static void
lease_done(struct kube *k, bool wrote, const struct kh_resp *p)
{
	struct klease b;

	k->lease_req = NULL;
	lease_answer(k, wrote, p);
	lease_changed(k);
	/* What was just found to be free, or deleted, is taken at once. */
	if (!wrote && p->status != 0 && (!k->lease.held || k->lease.absent) &&
	    lease_next(&k->lease, monotime_now().ns, 0, &b) != LD_GET)
		event_active(k->lease_timer, EV_TIMEOUT, 0);
	else
		lease_arm(k);
}

static void
lease_got(void *arg, const struct kh_resp *p)
{
	lease_done(arg, false, p);
}

static void
lease_put(void *arg, const struct kh_resp *p)
{
	lease_done(arg, true, p);
}

static int64_t
wall_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void
lease_send(struct kube *k)
{
	char path[KH_PATH_MAX], coll[KPATH_LEN];
	struct klease b;
	struct kcall c = { .k = k, .path = path, .done = lease_put, .arg = k };

	(void)snprintf(coll, sizeof(coll),
	    "/apis/coordination.k8s.io/v1/namespaces/%s/leases",
	    k->conf.namespace);
	(void)snprintf(path, sizeof(path), "%s/%s", coll, BR_LEASE);
	switch (lease_next(&k->lease, monotime_now().ns, wall_us(), &b)) {
	case LD_GET:
		c.method = KH_GET;
		c.done = lease_got;
		break;
	case LD_CREATE:
		c.method = KH_POST;
		c.path = coll;
		break;
	case LD_UPDATE:
		c.method = KH_PUT;
		break;
	}
	c.deadline_ms = lease_patience(&k->lease);
	if (c.method != KH_GET) {
		b.ns = k->conf.namespace;
		b.name = BR_LEASE;
		c.doc = kj_new();
		c.root = klease_render(c.doc, &b);
		c.type = KH_JSON;
	}
	k->lease_req = kube_call(&c);
}

/* What was sent before must not arrive after a successor began. */
static bool
release_waits(struct kube *k)
{
	struct timeval tv = { 0, 20 * 1000 };

	if (!k->lease.releasing || kh_writing(k->kh) == 0 ||
	    k->release_waits++ > RELEASE_WAITS)
		return false;
	event_add(k->lease_timer, &tv);
	return true;
}

static void
version_done(void *arg, const struct kh_resp *p)
{
	struct kube *k = arg;

	(void)p;
	k->lease_req = NULL;
	lease_arm(k);
}

static void
on_lease(int fd, short what, void *arg)
{
	struct kube *k = arg;
	struct kcall c = { .k = k,
		.method = KH_GET,
		.path = "/version",
		.done = version_done,
		.arg = k };

	(void)fd;
	(void)what;
	if (k->lease_req != NULL || release_waits(k))
		return;
	if (!k->conf.leader_elect)
		k->lease_req = kube_call(&c); /* is the API server there? */
	else
		lease_send(k);
}

/* The deadline passes without any answer, too. */
static void
on_deadline(int fd, short what, void *arg)
{
	struct kube *k = arg;

	(void)fd;
	(void)what;
	if (!k->leader)
		return;
	if (kube_may_write(k))
		deadline_arm(k);
	else
		unlead(k, "not renewed in time");
}

/*
 * Nothing is written from now on. The parent hears of it when the Lease is
 * free: it ends us then, or we stand by.
 */
void
kleader_release(struct kube *k, const struct m_lease_release *m)
{
	int64_t now = monotime_now().ns;
	bool stand_by = m->leave_ms > 0;

	/* It is asked until it is answered: what was begun goes on. */
	if (k->lease.releasing && (stand_by || !k->lease.handing))
		return;
	/* A term that is over is told as ever, if it was not; so is another. */
	if (stand_by && (m->term != k->term || !kube_may_write(k))) {
		if (k->leader && !kube_may_write(k))
			unlead(k, "not renewed in time");
		else
			tell_lease(k);
		return;
	}
	if (stand_by)
		lease_hand_over(&k->lease, now + m->leave_ms * 1000000);
	else
		lease_release(&k->lease);
	k->handing = stand_by;
	k->release_waits = 0;
	k->leader = false;
	if (k->handing)
		(void)lease_begin(&k->lease, now);
	log_ev(
	    LL_INFO, "giving the Lease up", KVS("identity", k->conf.identity));
	if (!k->lease.held)
		tell_lease(k);
	event_active(k->lease_timer, EV_TIMEOUT, 0);
}

void
kleader_start(struct kube *k)
{
	lease_init(&k->lease, k->conf.identity, k->conf.lease_ms,
	    k->conf.renew_ms, k->conf.retry_ms);
	if ((k->lease_timer = evtimer_new(k->base, on_lease, k)) == NULL ||
	    (k->deadline_timer = evtimer_new(k->base, on_deadline, k)) == NULL)
		fatalx("evtimer_new");
	event_active(k->lease_timer, EV_TIMEOUT, 0);
}

void
kleader_free(struct kube *k)
{
	if (k->lease_req != NULL)
		kh_cancel(k->lease_req);
	event_free(k->lease_timer);
	event_free(k->deadline_timer);
}
