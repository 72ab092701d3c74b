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
 * What the guard says of a fence, by its cause. The prefix "SELF-FENCING:" and
 * the words where the reference has them are what pipelines and people look
 * for (bloodraven-log(5)): mysqld is fenced without its operator.
 */

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "guard.h"

/* What was said, in the wall clock's time; "": never. */
static const char *
when(int64_t ms, int64_t now, char buf[static WALLTIME_LEN])
{
	struct timespec ts;
	struct tm tm;
	time_t t;

	buf[0] = '\0';
	if (ms == LEASE_NEVER || clock_gettime(CLOCK_REALTIME, &ts) == -1)
		return buf;
	t = ts.tv_sec - (time_t)((now - ms) / 1000);
	if (gmtime_r(&t, &tm) != NULL)
		(void)strftime(buf, WALLTIME_LEN, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return buf;
}

/* The sites that the epoch's terms name as voters. */
static const char *
peers(const struct guard *g, uint64_t epoch, char *buf, size_t size)
{
	buf[0] = '\0';
	for (unsigned i = 0; i < PS_NITEMS(g->offer); i++) {
		const struct w_authority *a = &g->offer[i].a;

		if (a->epoch != epoch)
			continue;
		for (uint32_t v = 0; v < a->n_voters; v++) {
			if (a->voters[v].id == LEASE_OPERATOR)
				continue;
			if (buf[0] != '\0')
				(void)strlcat(buf, ",", size);
			(void)strlcat(buf, a->voters[v].site, size);
		}
	}
	return buf;
}

static void
ran_out(const struct guard *g, int64_t now)
{
	const struct lease_hold *h = &g->last_hold;
	int64_t leader = LEASE_NEVER, peer = LEASE_NEVER;
	char leader_at[WALLTIME_LEN], peer_at[WALLTIME_LEN], sites[512];

	for (unsigned i = 0; i < h->t.n; i++) {
		int64_t *at = h->t.voter[i] == LEASE_OPERATOR ? &leader : &peer;

		if (h->sent_ms[i] > *at)
			*at = h->sent_ms[i];
	}
	log_ev(LL_ERROR,
	    "SELF-FENCING: Bloodraven and every peer unreachable beyond lease "
	    "timeout, setting super_read_only=ON",
	    KVS("site", g->site), KVU("epoch", h->t.epoch),
	    KVU("incarnation", g->lease.incarnation),
	    KVS("bloodravenLastOk", when(leader, now, leader_at)),
	    KVS("latestPeerOk", when(peer, now, peer_at)),
	    KVS("peers", peers(g, h->t.epoch, sites, sizeof(sites))),
	    KVU("quorum", h->t.r), KVMS("leaseTimeout", h->t.lease_ms),
	    KVB("sidecar", g->link.fd != -1),
	    KVMS("killIn", lease_guard_kill_ms(&g->lease) - now),
	    KVS("error", "too few voters renewed the write lease in time"));
}

void
guard_log_fencing(const struct guard *g, int64_t now)
{
	uint64_t lost = g->last_hold.t.epoch;
	int64_t kill_ms = lease_guard_kill_ms(&g->lease) - now;

	if (lost == 0)
		log_ev(LL_ERROR,
		    "SELF-FENCING: mysqld is writable without a write lease, "
		    "setting super_read_only=ON",
		    KVS("site", g->site),
		    KVU("incarnation", g->lease.incarnation),
		    KVU("revoked", g->lease.revoked), KVMS("killIn", kill_ms),
		    KVS("error", "no epoch is held by this server"));
	else if (g->told_revoked >= lost)
		log_ev(LL_ERROR,
		    "SELF-FENCING: the operator revoked the write lease, "
		    "setting super_read_only=ON",
		    KVS("site", g->site), KVU("epoch", lost),
		    KVU("incarnation", g->lease.incarnation),
		    KVU("revoked", g->told_revoked), KVMS("killIn", kill_ms),
		    KVS("error", "the epoch of this server is over"));
	else
		ran_out(g, now);
}
