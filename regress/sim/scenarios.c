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

/* Named runs. Times are seconds after the group became ready. */

#include <stddef.h>

#include "sim.h"

#define C               ROLE_CANDIDATE
#define D               ROLE_DR_ONLY
#define R               ROLE_READER
#define ACTIVE(t, name) { t, 0, F_CHECK_ACTIVE, 0, name }
#define BLOCK(t, why)   { t, 0, F_CHECK_BLOCK, 0, why }

static const struct scenario scenarios[] = {
	{ "restart-in-place", 2, { C, C }, 30,
	    { { 5, 0, F_KILL, S_ACTIVE, NULL }, ACTIVE(14, "iad") }, NULL, 0 },
	{ "killed-and-held-down", 2, { C, C }, 60,
	    { { 5, 40, F_HOLD, S_ACTIVE, NULL }, ACTIVE(16, "pdx") }, NULL, 0 },
	{ "pod-deleted", 2, { C, C }, 60,
	    { { 5, 0, F_POD_DELETE, S_ACTIVE, NULL } }, NULL, 0 },
	/* nobody speaks for the node: no promotion; it comes back */
	{ "node-power-cut", 2, { C, C }, 60,
	    { { 5, 40, F_POWER, S_ACTIVE, NULL }, BLOCK(30, "NoProof") }, NULL,
	    H_BARE },
	{ "node-partition", 2, { C, C }, 60,
	    { { 5, 40, F_ISOLATE, S_ACTIVE, NULL }, BLOCK(30, "NoProof"),
		ACTIVE(58, "iad") },
	    NULL, H_BARE },
	/* the old word of the kubelet must not count for the new grant */
	{ "crash-regrant-node-cut", 2, { C, C }, 90,
	    { { 5, 0, F_KILL, S_ACTIVE, NULL }, ACTIVE(15, "iad"),
		{ 20, 50, F_ISOLATE, S_ACTIVE, NULL }, BLOCK(45, "NoProof"),
		BLOCK(69, "NoProof") },
	    NULL, H_BARE },
	{ "power-cut-assert-dead", 2, { C, C }, 150,
	    { { 5, 140, F_POWER, S_ACTIVE, NULL },
		{ 30, 0, F_ASSERT, 0, NULL }, /* too early: refused */
		BLOCK(40, "NoProof"), { 80, 0, F_ASSERT, 0, NULL },
		ACTIVE(90, "pdx") },
	    NULL, H_BARE },
	/* its end is before its start, by its node's clock: a human's word */
	{ "clock-back-pod-deleted", 2, { C, C }, 60,
	    { { 5, 0, F_CLOCK, S_ACTIVE, "-3600" },
		{ 20, 0, F_POD_DELETE, S_ACTIVE, NULL }, BLOCK(50, "NoProof") },
	    NULL, H_BARE },
	/* the same where an update takes all of it at once */
	{ "clock-back-update-recreate", 3, { C, C, C }, 75,
	    { { 5, 0, F_CLOCK, S_ACTIVE, "-3600" },
		{ 70, 0, F_UPDATE, 0, NULL },
		{ 71, 0, F_OP_CRASH, S_LEADER, NULL } },
	    NULL, H_BARE | H_RECREATE },
	/* the operator alone cannot see it, replicas and clients can */
	{ "operator-cut-from-primary", 2, { C, C }, 60,
	    { { 5, 40, F_CUT_OP, S_ACTIVE, NULL }, BLOCK(30, "NoProof"),
		ACTIVE(58, "iad") },
	    NULL, H_BARE },
	{ "primary-frozen", 2, { C, C }, 60,
	    { { 5, 40, F_FREEZE, S_ACTIVE, NULL }, BLOCK(30, "NoProof"),
		ACTIVE(58, "iad") },
	    NULL, H_BARE },
	{ "replica-killed", 2, { C, C }, 40,
	    { { 5, 20, F_HOLD, S_OTHER, NULL }, ACTIVE(20, "iad") }, NULL, 0 },
	{ "rogue-fence-of-primary", 2, { C, C }, 30,
	    { { 5, 0, F_FENCE, S_ACTIVE, NULL }, ACTIVE(12, "iad") }, NULL, 0 },
	{ "volume-lost", 2, { C, C }, 60,
	    { { 5, 0, F_WIPE, S_ACTIVE, NULL }, BLOCK(20, "DataMissing") },
	    "DataMissing", 0 },
	{ "replica-volume-lost", 2, { C, C }, 60,
	    { { 5, 0, F_WIPE, S_OTHER, NULL }, ACTIVE(20, "iad") }, NULL, 0 },
	{ "slow-drain", 2, { C, C }, 120,
	    { { 2, 20, F_SLOW, 1, NULL }, { 12, 60, F_HOLD, S_ACTIVE, NULL },
		ACTIVE(60, "pdx") },
	    NULL, 0 },
	{ "drain-timeout", 2, { C, C }, 120,
	    { { 2, 80, F_SLOW, 1, NULL }, { 22, 90, F_HOLD, S_ACTIVE, NULL },
		BLOCK(75, "DrainTimeout"), ACTIVE(100, "pdx") },
	    NULL, 0 },
	{ "applier-error", 2, { C, C }, 120,
	    { { 2, 70, F_BAD, 1, NULL }, { 12, 100, F_HOLD, S_ACTIVE, NULL },
		BLOCK(60, "ApplierError"), ACTIVE(100, "pdx") },
	    NULL, 0 },
	{ "applier-error-overridden", 2, { C, C }, 120,
	    { { 2, 100, F_BAD, 1, NULL }, { 12, 100, F_HOLD, S_ACTIVE, NULL },
		BLOCK(40, "ApplierError"), { 45, 0, F_OVERRIDE, 1, NULL },
		ACTIVE(60, "pdx") },
	    NULL, 0 },
	/* a word for a block that is not there yet is none for the one to come */
	{ "applier-error-overridden-early", 2, { C, C }, 120,
	    { { 2, 100, F_BAD, 1, NULL }, { 6, 0, F_OVERRIDE, 1, NULL },
		{ 12, 100, F_HOLD, S_ACTIVE, NULL },
		BLOCK(60, "ApplierError") },
	    NULL, 0 },
	{ "api-away-during-failover", 2, { C, C }, 90,
	    { { 8, 25, F_API_DOWN, 0, NULL }, { 5, 80, F_HOLD, S_ACTIVE, NULL },
		ACTIVE(60, "pdx") },
	    NULL, 0 },
	{ "status-denied", 2, { C, C }, 90,
	    { { 4, 25, F_DENY, 0, NULL }, { 5, 80, F_HOLD, S_ACTIVE, NULL },
		ACTIVE(45, "pdx") },
	    NULL, 0 },
	{ "operator-dies-in-failover", 2, { C, C }, 90,
	    { { 5, 80, F_HOLD, S_ACTIVE, NULL },
		{ 11, 0, F_OP_CRASH, S_LEADER, NULL }, ACTIVE(50, "pdx") },
	    NULL, 0 },
	{ "second-failure-in-cooldown", 2, { C, C }, 120,
	    { { 5, 20, F_HOLD, S_ACTIVE, NULL }, ACTIVE(18, "pdx"),
		{ 30, 80, F_HOLD, S_ACTIVE, NULL }, BLOCK(37, "Cooldown"),
		ACTIVE(70, "iad") },
	    NULL, 0 },
	{ "three-sites", 3, { C, C, C }, 90,
	    { { 5, 80, F_HOLD, S_ACTIVE, NULL }, { 2, 30, F_SLOW, 1, NULL },
		ACTIVE(80, "pdx") },
	    NULL, 0 },
	/* declared order is no reason to lose what another one received */
	{ "three-sites-freshest-wins", 3, { C, C, C }, 90,
	    { { 2, 86, F_CUT_REPL, 1, NULL }, { 8, 80, F_HOLD, S_ACTIVE, NULL },
		ACTIVE(80, "fra") },
	    NULL, 0 },
	{ "dr-only-has-more", 3, { C, C, D }, 90,
	    { { 2, 86, F_CUT_REPL, 1, NULL }, { 8, 80, F_HOLD, S_ACTIVE, NULL },
		ACTIVE(80, "pdx") },
	    "Divergence", 0 },
	{ "older-volume", 2, { C, C }, 120,
	    { { 2, 110, F_HOLD, 1, NULL },
		{ 40, 0, F_ROLLBACK, S_ACTIVE, NULL },
		BLOCK(60, "DataMissing") },
	    "DataMissing", 0 },
	/* fenced long enough to look proven, then granted out of sight */
	{ "cut-as-grant-is-sent", 2, { C, C }, 90,
	    { { 4, 50, F_CUT_ON_GRANT, 0, NULL }, { 5, 15, F_DENY, 0, NULL },
		{ 6, 0, F_FENCE, S_ACTIVE, NULL }, { 7, 40, F_LOSSY, 0, NULL },
		BLOCK(40, "NoProof") },
	    NULL, H_BARE },
	/* answered, but the flags in hand are older; then nothing gets there */
	{ "cut-after-the-grant", 2, { C, C }, 90,
	    { { 4, 50, F_CUT_DONE, 0, NULL }, { 5, 0, F_FENCE, S_ACTIVE, NULL },
		BLOCK(40, "NoProof") },
	    NULL, H_BARE },
	/* so late after the loss that its Pod is not deleted for its word */
	{ "kubelet-loses-track", 2, { C, C }, 90,
	    { { 5, 80, F_CUT_OP, S_ACTIVE, NULL },
		{ 40, 40, F_CONFUSED, S_ACTIVE, NULL }, BLOCK(38, "NoProof"),
		BLOCK(70, "NoProof") },
	    NULL, H_BARE },
	/* it has spoken since the loss: deleted, the Pod ends with a word */
	{ "lost-pod-is-deleted", 2, { C, C }, 90,
	    { { 5, 60, F_CUT_OP, S_ACTIVE, NULL },
		{ 8, 70, F_CONFUSED, S_ACTIVE, NULL }, ACTIVE(40, "pdx") },
	    NULL, H_BARE },
	/* the one lie that is believed: two write, and that is reported */
	{ "assert-dead-lie", 2, { C, C }, 150,
	    { { 5, 110, F_ISOLATE, S_ACTIVE, NULL },
		{ 30, 0, F_LIE, 0, NULL }, /* too early: refused */
		BLOCK(60, "NoProof"), { 80, 0, F_LIE, 0, NULL },
		ACTIVE(95, "pdx") },
	    NULL, H_BARE },
	/* a site leaves, takes its voter along, and is cloned no more after */
	{ "site-removed", 3, { C, C, C }, 200,
	    { { 5, 80, F_REMOVE, 0, NULL }, { 20, 40, F_HOLD, 0, NULL },
		ACTIVE(50, "pdx") },
	    NULL, 0 },
	{ "rogue-site-vanishes", 2, { C, C }, 120,
	    { { 4, 16, F_STALL, 0, NULL }, { 5, 0, F_ROGUE, 1, NULL },
		{ 7, 60, F_CUT_OP, 1, NULL },
		{ 20, 0, F_KILL, S_ACTIVE, NULL } },
	    NULL, 0 },
	{ "dr-only-is-never-promoted", 3, { C, C, D }, 90,
	    { { 4, 80, F_HOLD, 1, NULL }, { 5, 80, F_HOLD, S_ACTIVE, NULL },
		ACTIVE(60, "-"), BLOCK(60, "NoCandidate") },
	    NULL, 0 },
	/* its last writes are not with the other one yet */
	{ "active-site-demoted", 2, { C, C }, 120,
	    { { 2, 40, F_CUT_REPL, 1, NULL }, { 10, 0, F_DEMOTE, 0, NULL },
		{ 12, 0, F_KILL, 1, NULL }, ACTIVE(38, "-"),
		ACTIVE(70, "pdx") },
	    NULL, 0 },
	{ "record-wiped", 2, { C, C }, 120,
	    { { 5, 0, F_REC_WIPE, 0, NULL }, { 8, 80, F_HOLD, S_ACTIVE, NULL },
		ACTIVE(40, "pdx") },
	    NULL, 0 },
	/* the epoch in it has ended long ago, not the one since */
	{ "record-restored", 2, { C, C }, 150,
	    { { 2, 0, F_KILL, S_ACTIVE, NULL }, { 15, 0, F_REC_OLD, 0, NULL },
		{ 18, 40, F_ISOLATE, S_ACTIVE, NULL }, BLOCK(50, "NoProof"),
		ACTIVE(75, "iad"), { 80, 60, F_HOLD, S_ACTIVE, NULL },
		ACTIVE(120, "pdx") },
	    NULL, H_BARE },
	{ "rogue-reader", 3, { C, C, R }, 60,
	    { { 5, 0, F_ROGUE, 2, NULL }, ACTIVE(20, "iad") }, NULL, 0 },
	/* one follower after the other, the active site not at all */
	{ "update", 3, { C, C, R }, 200,
	    { { 70, 0, F_UPDATE, 0, NULL }, ACTIVE(190, "iad") }, NULL,
	    H_STEADY },
	{ "update-two", 2, { C, C }, 200,
	    { { 70, 0, F_UPDATE, 0, NULL }, ACTIVE(150, "iad") }, NULL,
	    H_STEADY },
	{ "update-four", 4, { C, C, D, R }, 300,
	    { { 5, 0, F_UPDATE, 0, NULL }, { 80, 0, F_UPDATE, 0, NULL } }, NULL,
	    H_STEADY },
	/* nobody else is taken down, and the corrected one goes on */
	{ "update-bad", 3, { C, C, C }, 400,
	    { { 70, 200, F_BAD_UPDATE, 0, NULL }, ACTIVE(390, "iad") }, NULL,
	    H_STEADY },
	{ "update-new-leader", 3, { C, C, C }, 300,
	    { { 70, 0, F_UPDATE, 0, NULL },
		{ 71, 0, F_OP_CRASH, S_LEADER, NULL },
		{ 140, 0, F_OP_CRASH, S_LEADER, NULL } },
	    NULL, H_STEADY },
	{ "update-lossy", 3, { C, C, C }, 300,
	    { { 60, 200, F_LOSSY, 0, NULL }, { 70, 0, F_UPDATE, 0, NULL },
		{ 90, 0, F_OP_CUT_API, S_LEADER, NULL },
		{ 120, 20, F_OP_CUT_API, S_LEADER, NULL } },
	    NULL, H_STEADY },
	/* the primary is lost while its only candidate restarts */
	{ "update-primary-lost", 2, { C, C }, 300,
	    { { 70, 0, F_UPDATE, 0, NULL }, { 71, 60, F_HOLD, 0, NULL },
		ACTIVE(125, "pdx") },
	    NULL, 0 },
	{ "update-recreate", 3, { C, C, D }, 200,
	    { { 70, 0, F_UPDATE, 0, NULL } }, NULL, H_RECREATE },
	{ "update-recreate-bad", 2, { C, C }, 400,
	    { { 70, 150, F_BAD_UPDATE, 0, NULL } }, NULL, H_RECREATE },
	{ "update-down-follower", 3, { C, C, C }, 400,
	    { { 60, 200, F_HOLD, 1, NULL }, { 70, 0, F_UPDATE, 0, NULL } },
	    NULL, H_STEADY },
	{ "late-grant", 2, { C, C }, 120,
	    { { 4, 30, F_STALL, 0, NULL }, { 5, 0, F_KILL, S_ACTIVE, NULL },
		{ 12, 60, F_LOSSY, 0, NULL }, { 20, 40, F_CUT_OP, 0, NULL } },
	    NULL, 0 },
};

const struct scenario *
scenario_at(int n)
{
	int here = sizeof(scenarios) / sizeof(scenarios[0]);

	if (n < here)
		return &scenarios[n];
	return n - here < lease_nscenarios ? &lease_scenarios[n - here] : NULL;
}
