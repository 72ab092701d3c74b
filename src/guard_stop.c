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
 * The orderly end: fence, pass the signal on, wait.
 */

#include "guard.h"

void
guard_stop_begin(struct guard *g, int sig, int64_t now)
{
	log_ev(LL_INFO, "stop", KVI("signal", sig),
	    KVU("held", lease_guard_held(&g->lease, now)));
	g->stop = sig;
	g->stop_ms = now;
	/* Nobody writes to a server without network, or to none of ours. */
	if (g->cmd != GC_SERVER || g->init || g->child == 0) {
		guard_child_signal(g, sig);
		g->stop_sent = true;
	}
}

/*
 * Fenced first: what a client was told is committed is in the binary log when
 * the server ends, and the operator has its proof at once. Then its epochs are
 * given up, and the flags are read once more: true. Bounded: a server that
 * can't be fenced is ended by the signal, or by its lease.
 */
static bool
stop_fenced(struct guard *g, int64_t now)
{
	struct lease_guard *l = &g->lease;

	g->sql.fence = true;
	if (!g->sql.seen.both || l->local_ms <= g->stop_ms)
		return false;
	if (!g->given_up) {
		g->given_up = true;
		g->sql.probe_ms = now;
		lease_guard_revoke(l, l->heard, now);
		guard_lease_log(g, now);
		g->say = true;
		return false;
	}
	return l->kill_ms == LEASE_FOREVER;
}

void
guard_stop_turn(struct guard *g, int64_t now)
{
	bool fenced;

	if (g->stop == 0 || g->stop_sent)
		return;
	fenced = stop_fenced(g, now);
	if (!fenced && now < g->stop_ms + GUARD_STOP_MS && g->child != 0)
		return;
	log_ev(
	    LL_INFO, "stopSent", KVI("signal", g->stop), KVB("fenced", fenced));
	guard_child_signal(g, g->stop);
	g->stop_sent = true;
	g->stop_fenced = fenced;
	g->say = true;
}

/*
 * Without a lease, but with a grant that may be under way, silence kills soon.
 * Not so a server that shuts down (a stop, RESTART, the end of a CLONE): until
 * it has heard the signal a grant may meet it, then it ends every session and
 * answers nobody, maybe for minutes. So its silence is borne longer, and once
 * it has gone from its socket no grant can reach it, and its end is waited
 * for; yet only by a keeper that runs, as long as one may be under way at all.
 */
int64_t
guard_stop_kill_ms(const struct guard *g, int64_t now)
{
	const struct lease_guard *l = &g->lease;
	int64_t at = lease_guard_kill_ms(l);

	if (at == LEASE_FOREVER || l->held || l->kill_ms != LEASE_FOREVER)
		return at;
	if (guard_sql_closed(&g->sql))
		return now - l->lost_ms < LEASE_LATE_MS ? now + GUARD_END_MS :
							  LEASE_FOREVER;
	return g->stop_fenced || g->sql.leaving ? at + GUARD_END_MS : at;
}
