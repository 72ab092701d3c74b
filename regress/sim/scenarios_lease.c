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
 * Named runs of groups whose servers have guards. Times are seconds after the
 * group became ready; a lease is 20 s, F 1 s, the margin 0.4 s, unless H_FAST.
 */

#include <stddef.h>

#include "sim.h"

#define C                  ROLE_CANDIDATE
#define D                  ROLE_DR_ONLY
#define R                  ROLE_READER
#define ACTIVE(t, name)    { t, 0, F_CHECK_ACTIVE, 0, name }
#define BLOCK(t, why)      { t, 0, F_CHECK_BLOCK, 0, why }
#define CLOCK(t, by)       { t, 0, F_CLOCK, S_ACTIVE, by }
#define OP_CLOCK(t, o, by) { t, 0, F_OP_CLOCK, o, by }

const struct scenario lease_scenarios[] = {
	/* silence ends by itself: L + F + margin, and no human */
	{ "lease-node-power-cut", 2, { C, C }, 70,
	    { { 5, 60, F_POWER, S_ACTIVE, NULL }, BLOCK(20, "NoProof"),
		ACTIVE(33, "pdx") },
	    NULL, 0 },
	{ "lease-node-partition", 2, { C, C }, 70,
	    { { 5, 60, F_ISOLATE, S_ACTIVE, NULL }, BLOCK(20, "NoProof"),
		ACTIVE(33, "pdx") },
	    NULL, 0 },
	{ "lease-node-partition-fast", 2, { C, C }, 60,
	    { { 5, 50, F_ISOLATE, S_ACTIVE, NULL }, ACTIVE(11, "pdx") }, NULL,
	    H_FAST },
	{ "lease-node-partition-three", 3, { C, C, C }, 70,
	    { { 5, 60, F_ISOLATE, S_ACTIVE, NULL }, ACTIVE(33, "pdx") }, NULL,
	    0 },
	{ "lease-short-partition", 2, { C, C }, 60,
	    { { 5, 12, F_ISOLATE, S_ACTIVE, NULL }, ACTIVE(40, "iad") }, NULL,
	    0 },
	/* its fence can't be confirmed: killed after F */
	{ "lease-partition-fence-blocks", 2, { C, C }, 90,
	    { { 4, 70, F_STUCK, S_ACTIVE, NULL },
		{ 5, 60, F_ISOLATE, S_ACTIVE, NULL }, ACTIVE(33, "pdx") },
	    NULL, 0 },
	{ "lease-leader-cut-off-too", 2, { C, C }, 90,
	    { { 5, 60, F_OP_CUT_API, S_LEADER, NULL },
		{ 5, 60, F_ISOLATE, S_ACTIVE, NULL }, ACTIVE(50, "pdx") },
	    NULL, 0 },
	{ "hung", 2, { C, C }, 60,
	    { { 5, 40, F_FREEZE, S_ACTIVE, NULL }, ACTIVE(14, "pdx") }, NULL,
	    0 },
	{ "hung-fast", 2, { C, C }, 60,
	    { { 5, 40, F_FREEZE, S_ACTIVE, NULL }, ACTIVE(9, "pdx") }, NULL,
	    H_FAST },
	{ "hung-three", 3, { C, C, C }, 60,
	    { { 5, 40, F_FREEZE, S_ACTIVE, NULL }, ACTIVE(14, "pdx") }, NULL,
	    0 },
	{ "container-killed-thrice", 2, { C, C }, 90,
	    { { 5, 0, F_KILL_CTR, S_ACTIVE, NULL },
		{ 15, 0, F_KILL_CTR, S_ACTIVE, NULL },
		{ 25, 0, F_KILL_CTR, S_ACTIVE, NULL }, ACTIVE(40, "iad") },
	    NULL, 0 },
	/* the operators alone can't see it */
	{ "observer-isolated", 2, { C, C }, 70,
	    { { 5, 50, F_CUT_OP, S_ACTIVE, NULL },
		BLOCK(30, "ObserverIsolated"), ACTIVE(68, "iad") },
	    NULL, H_STEADY },
	{ "observer-isolated-sql-only", 2, { C, C }, 70,
	    { { 5, 50, F_CUT_SQL, S_ACTIVE, NULL },
		BLOCK(30, "ObserverIsolated"), ACTIVE(68, "iad") },
	    NULL, H_STEADY },
	{ "observer-isolated-fast", 3, { C, C, C }, 70,
	    { { 5, 50, F_CUT_SQL, S_ACTIVE, NULL },
		BLOCK(30, "ObserverIsolated"), ACTIVE(68, "iad") },
	    NULL, H_STEADY | H_FAST },
	/* blips */
	{ "sidecar-restarts", 2, { C, C }, 60,
	    { { 5, 0, F_CAR_RESTART, S_ACTIVE, NULL },
		{ 15, 0, F_CAR_RESTART, S_OTHER, NULL },
		{ 25, 0, F_CAR_RESTART, S_ACTIVE, NULL },
		{ 25, 0, F_CAR_RESTART, S_OTHER, NULL }, ACTIVE(58, "iad") },
	    NULL, H_STEADY },
	{ "peer-away", 2, { C, C }, 90,
	    { { 5, 70, F_POWER, S_OTHER, NULL }, ACTIVE(60, "iad") }, NULL,
	    H_STEADY },
	{ "peer-away-three-fast", 3, { C, C, C }, 90,
	    { { 5, 70, F_POWER, S_OTHER, NULL }, ACTIVE(60, "iad") }, NULL,
	    H_STEADY | H_FAST },
	{ "peer-evicted", 3, { C, C, C }, 60,
	    { { 5, 0, F_POD_DELETE, S_OTHER, NULL }, ACTIVE(40, "iad") }, NULL,
	    H_STEADY },
	{ "peer-forgets", 2, { C, C }, 120,
	    { { 5, 0, F_MEM_LOST, S_OTHER, NULL },
		{ 30, 70, F_ISOLATE, S_ACTIVE, NULL }, ACTIVE(60, "pdx") },
	    NULL, 0 },
	{ "two-peers-down", 3, { C, C, C }, 120,
	    { { 5, 100, F_POWER, 1, NULL }, { 5, 100, F_POWER, 2, NULL },
		ACTIVE(100, "iad") },
	    NULL, H_STEADY },
	{ "two-peers-down-fast", 3, { C, C, C }, 120,
	    { { 5, 100, F_POWER, 1, NULL }, { 6, 100, F_POWER, 2, NULL },
		ACTIVE(100, "iad") },
	    NULL, H_STEADY | H_FAST },
	/* three sites, one left */
	{ "primary-and-peer-dead", 3, { C, C, C }, 120,
	    { { 5, 100, F_POWER, 0, NULL }, { 5, 100, F_POWER, 1, NULL },
		ACTIVE(34, "fra") },
	    NULL, 0 },
	{ "peer-dead-then-primary", 3, { C, C, C }, 150,
	    { { 5, 130, F_POWER, 1, NULL }, { 40, 100, F_POWER, 0, NULL },
		ACTIVE(70, "fra") },
	    NULL, 0 },
	{ "lease-timeout-changed", 3, { C, C, C }, 90,
	    { { 5, 40, F_LEASE_MS, 0, NULL }, ACTIVE(80, "iad") }, NULL,
	    H_STEADY },
	{ "lease-timeout-changed-then-partition", 2, { C, C }, 120,
	    { { 5, 90, F_LEASE_MS, 0, NULL },
		{ 20, 80, F_ISOLATE, S_ACTIVE, NULL }, ACTIVE(36, "pdx") },
	    NULL, 0 },
	/* other epochs, the same memories: nobody refuses for ever */
	{ "group-recreated", 2, { C, C }, 120,
	    { { 5, 30, F_POWER, S_ACTIVE, NULL }, ACTIVE(33, "pdx"),
		{ 60, 0, F_RECREATE, 0, NULL }, ACTIVE(90, "pdx") },
	    NULL, 0 },
	/* the record is put back when nobody remembers: the guard holds 2 */
	{ "lease-record-restored", 2, { C, C }, 120,
	    { { 2, 0, F_MEM_LOST, S_OTHER, NULL },
		{ 20, 6, F_OPS_DOWN, 0, NULL }, { 22, 0, F_REC_OLD, 0, NULL },
		ACTIVE(60, "iad") },
	    NULL, H_STEADY },
	{ "lease-record-restored-partition", 2, { C, C }, 120,
	    { { 2, 110, F_LEASE_MS, 0, NULL }, { 20, 6, F_OPS_DOWN, 0, NULL },
		{ 22, 0, F_REC_OLD, 0, NULL },
		{ 23, 70, F_ISOLATE, S_ACTIVE, NULL }, BLOCK(40, "NoProof"),
		ACTIVE(75, "pdx") },
	    NULL, 0 },
	/* the third one may be all the voters that it has */
	{ "lease-record-restored-two-silent", 3, { C, C, C }, 200,
	    { { 2, 190, F_LEASE_MS, 0, NULL }, { 20, 6, F_OPS_DOWN, 0, NULL },
		{ 22, 0, F_REC_OLD, 0, NULL }, { 23, 150, F_ISOLATE, 0, NULL },
		{ 23, 80, F_POWER, 2, NULL }, BLOCK(95, "NoProof"),
		ACTIVE(150, "pdx") },
	    NULL, 0 },
	/* it names a primary of long ago, and the present one can't be seen */
	{ "lease-record-restored-other", 2, { C, C }, 200,
	    { { 5, 20, F_HOLD, 0, NULL }, ACTIVE(20, "pdx"),
		{ 50, 6, F_OPS_DOWN, 0, NULL }, { 52, 0, F_REC_OLD, 0, NULL },
		{ 53, 40, F_ISOLATE, 1, NULL } },
	    NULL, 0 },
	/* nobody but the peers renews */
	{ "operators-away", 2, { C, C }, 120,
	    { { 5, 80, F_OPS_DOWN, 0, NULL }, ACTIVE(110, "iad") }, NULL,
	    H_STEADY },
	{ "operators-away-fast", 3, { C, C, C }, 120,
	    { { 5, 80, F_OPS_DOWN, 0, NULL }, ACTIVE(110, "iad") }, NULL,
	    H_STEADY | H_FAST },
	{ "operators-and-peer-away", 2, { C, C }, 150,
	    { { 5, 80, F_OPS_DOWN, 0, NULL }, { 10, 70, F_POWER, 1, NULL },
		ACTIVE(120, "iad") },
	    NULL, 0 },
	{ "api-away", 2, { C, C }, 90,
	    { { 5, 60, F_API_DOWN, 0, NULL }, ACTIVE(85, "iad") }, NULL,
	    H_STEADY },
	{ "operator-restarts", 2, { C, C }, 90,
	    { { 5, 0, F_OP_CRASH, S_LEADER, NULL },
		{ 25, 0, F_OP_CRASH, S_LEADER, NULL }, ACTIVE(60, "iad") },
	    NULL, H_STEADY },
	{ "operator-restarts-fast", 2, { C, C }, 90,
	    { { 5, 0, F_OP_CRASH, S_LEADER, NULL },
		{ 25, 0, F_OP_CRASH, S_LEADER, NULL }, ACTIVE(60, "iad") },
	    NULL, H_STEADY | H_FAST },
	{ "slow-network", 3, { C, C, C }, 90,
	    { { 5, 60, F_SLOW_NET, 0, NULL }, ACTIVE(60, "iad") }, NULL,
	    H_STEADY },
	{ "slow-network-fast", 2, { C, C }, 90,
	    { { 5, 60, F_SLOW_NET, 0, NULL }, ACTIVE(60, "iad") }, NULL,
	    H_STEADY | H_FAST },
	{ "links-cut", 2, { C, C }, 90,
	    { { 5, 60, F_CUT_LINK, S_ACTIVE, NULL }, ACTIVE(60, "iad") }, NULL,
	    H_STEADY },
	{ "peers-cut", 3, { C, C, C }, 120,
	    { { 5, 90, F_CUT_PEERS, S_ACTIVE, NULL }, ACTIVE(90, "iad") }, NULL,
	    H_STEADY },
	/* nobody renews it, and it can't be granted again: another one is */
	{ "links-and-peers-cut", 2, { C, C }, 150,
	    { { 5, 90, F_CUT_PEERS, S_ACTIVE, NULL },
		{ 5, 90, F_CUT_LINK, S_ACTIVE, NULL }, ACTIVE(60, "pdx") },
	    NULL, 0 },
	{ "sidecar-dead", 2, { C, C }, 150,
	    { { 5, 90, F_CAR_DEAD, S_ACTIVE, NULL }, ACTIVE(60, "pdx") }, NULL,
	    0 },
	{ "keeper-stopped", 2, { C, C }, 120,
	    { { 5, 90, F_KEEPER, S_ACTIVE, NULL }, ACTIVE(60, "pdx") }, NULL,
	    0 },
	{ "container-frozen", 2, { C, C }, 120,
	    { { 5, 70, F_FREEZE_CTR, S_ACTIVE, NULL }, ACTIVE(50, "pdx") },
	    NULL, 0 },
	/* a grant that is under way as the lease is lost */
	{ "lease-cut-as-grant-is-sent", 2, { C, C }, 120,
	    { { 4, 80, F_CUT_ON_GRANT, 0, NULL }, { 5, 15, F_DENY, 0, NULL },
		{ 6, 0, F_FENCE, S_ACTIVE, NULL },
		{ 7, 40, F_LOSSY, 0, NULL } },
	    NULL, 0 },
	{ "lease-late-grant", 2, { C, C }, 120,
	    { { 4, 60, F_STALL, 0, NULL }, { 5, 0, F_KILL, S_ACTIVE, NULL },
		{ 7, 60, F_ISOLATE, 0, NULL } },
	    NULL, 0 },
	{ "lease-late-grant-fast", 2, { C, C }, 120,
	    { { 4, 60, F_STALL, 0, NULL }, { 5, 0, F_KILL, S_ACTIVE, NULL },
		{ 7, 60, F_ISOLATE, 0, NULL } },
	    NULL, H_FAST },
	/* the operators saw nothing, and hear the other sites first again */
	{ "blind-candidate-heard-first", 2, { C, C }, 90,
	    { { 5, 45, F_CUT_OP, 0, NULL }, { 5, 40, F_CUT_OP, 1, NULL },
		ACTIVE(70, "iad") },
	    NULL, H_STEADY },
	/* its link comes after it */
	{ "blind-candidate-unheard", 2, { C, C }, 90,
	    { { 5, 45, F_CUT_OP, 0, NULL }, { 5, 40, F_CUT_OP, 1, NULL },
		{ 5, 44, F_CUT_LINK, 1, NULL }, ACTIVE(70, "iad") },
	    NULL, H_STEADY },
	/* nor does it receive: what was missed meanwhile counts for nothing */
	{ "blind-candidate-receives-nothing", 2, { C, C }, 60,
	    { { 5, 9, F_CUT_OP, 0, NULL }, { 5, 7, F_CUT_OP, 1, NULL },
		{ 5, 9, F_CUT_REPL, 0, NULL }, ACTIVE(50, "iad") },
	    NULL, H_STEADY },
	{ "blind-three", 3, { C, C, C }, 60,
	    { { 5, 9, F_CUT_OP, 0, NULL }, { 5, 7, F_CUT_OP, 1, NULL },
		{ 5, 8, F_CUT_OP, 2, NULL }, { 5, 9, F_CUT_REPL, 0, NULL },
		ACTIVE(50, "iad") },
	    NULL, H_STEADY },
	/* not for as long as it takes to find all of them lost */
	{ "blind-shortly", 2, { C, C }, 60,
	    { { 5, 6, F_CUT_OP, 0, NULL }, { 5, 5, F_CUT_OP, 1, NULL },
		{ 5, 9, F_CUT_REPL, 0, NULL }, ACTIVE(50, "iad") },
	    NULL, H_STEADY },
	/* it was lost meanwhile: that is seen in no more than a threshold */
	{ "blind-and-lost-meanwhile", 2, { C, C }, 90,
	    { { 5, 40, F_CUT_OP, 0, NULL }, { 5, 40, F_CUT_OP, 1, NULL },
		{ 10, 60, F_HOLD, 0, NULL }, ACTIVE(56, "pdx") },
	    NULL, 0 },
	/* who is not heard yet stays a voter: the operators go again at once */
	{ "blind-voters-heard-last", 3, { C, C, C }, 150,
	    { { 5, 40, F_CUT_OP, 0, NULL }, { 5, 44, F_CUT_OP, 1, NULL },
		{ 5, 44, F_CUT_OP, 2, NULL }, { 49, 40, F_OPS_DOWN, 0, NULL },
		ACTIVE(130, "iad") },
	    NULL, H_STEADY },
	{ "blind-voter-heard-last", 2, { C, C }, 150,
	    { { 5, 40, F_CUT_OP, 0, NULL }, { 5, 44, F_CUT_OP, 1, NULL },
		{ 49, 40, F_OPS_DOWN, 0, NULL }, ACTIVE(130, "iad") },
	    NULL, H_STEADY },
	/* clocks of nodes and operators are stepped */
	{ "clock-steps", 2, { C, C }, 60,
	    { CLOCK(5, "3600"), CLOCK(15, "-3600"), CLOCK(25, "3"),
		CLOCK(35, "-3"), ACTIVE(58, "iad") },
	    NULL, H_STEADY },
	{ "clock-back-below-the-start", 2, { C, C }, 60,
	    { CLOCK(5, "-3600"), CLOCK(25, "-3"), ACTIVE(58, "iad") }, NULL,
	    H_STEADY },
	{ "clock-steps-of-operators", 2, { C, C }, 90,
	    { OP_CLOCK(5, S_LEADER, "3600"), OP_CLOCK(15, S_LEADER, "-3600"),
		OP_CLOCK(25, 0, "-3600"), OP_CLOCK(25, 1, "3"),
		{ 35, 0, F_OP_CRASH, S_LEADER, NULL }, ACTIVE(80, "iad") },
	    NULL, H_STEADY },
	{ "clock-ahead-restart", 2, { C, C }, 90,
	    { CLOCK(5, "3600"), { 8, 0, F_KILL, S_ACTIVE, NULL },
		ACTIVE(25, "iad"), { 40, 0, F_KILL_CTR, S_ACTIVE, NULL },
		ACTIVE(60, "iad") },
	    NULL, 0 },
	{ "clock-back-restart", 2, { C, C }, 90,
	    { CLOCK(5, "-3600"), { 8, 0, F_KILL, S_ACTIVE, NULL },
		ACTIVE(25, "iad"), { 40, 0, F_KILL_CTR, S_ACTIVE, NULL },
		ACTIVE(60, "iad") },
	    NULL, 0 },
	/* the later process has the earlier one's start, or nearly */
	{ "clock-back-as-it-restarts", 2, { C, C }, 90,
	    { CLOCK(20, "-20"), { 20, 0, F_KILL, S_ACTIVE, NULL },
		CLOCK(40, "-3"), { 42, 0, F_KILL, S_ACTIVE, NULL },
		CLOCK(62, "-3"), { 65, 0, F_KILL_CTR, S_ACTIVE, NULL },
		ACTIVE(85, "iad") },
	    NULL, 0 },
	{ "clock-ahead-then-partition", 2, { C, C }, 90,
	    { CLOCK(5, "3600"), { 6, 70, F_ISOLATE, S_ACTIVE, NULL },
		BLOCK(20, "NoProof"), ACTIVE(36, "pdx") },
	    NULL, 0 },
	{ "clock-back-then-partition", 2, { C, C }, 90,
	    { CLOCK(5, "-3600"), { 6, 70, F_ISOLATE, S_ACTIVE, NULL },
		BLOCK(20, "NoProof"), ACTIVE(36, "pdx") },
	    NULL, 0 },
	/*
	 * A container restarts unseen, its site is promoted, and then the
	 * kubelet says when it ended: after the start of what was promoted.
	 */
	{ "clock-back-as-the-container-restarts", 2, { C, C }, 200,
	    { { 65, 42, F_CUT_KUBELET, 1, NULL },
		{ 66, 0, F_KILL_CTR, 1, NULL }, { 66, 0, F_CLOCK, 1, "-60" },
		{ 70, 15, F_HOLD, 0, NULL }, ACTIVE(85, "pdx"),
		{ 105, 50, F_CUT_OP, 1, NULL },
		{ 105, 50, F_CUT_REPL, 1, NULL } },
	    NULL, 0 },
	/*
	 * Who leads next has seen an earlier process last, which began later:
	 * that proves nothing about the one that it doesn't reach.
	 */
	{ "clock-back-takeover", 2, { C, C }, 120,
	    { { 5, 90, F_CUT_STANDBY, 0, NULL }, CLOCK(7, "-3600"),
		{ 8, 0, F_KILL, 0, NULL }, ACTIVE(25, "iad"),
		{ 26, 60, F_CUT_REPL, 0, NULL },
		{ 27, 60, F_OP_CUT_API, S_LEADER, NULL } },
	    NULL, 0 },
	/* dr-only sites vote, readers do not */
	{ "roles", 4, { C, C, D, R }, 120,
	    { { 5, 90, F_POWER, 0, NULL }, ACTIVE(34, "pdx") }, NULL, 0 },
};
const int lease_nscenarios =
    sizeof(lease_scenarios) / sizeof(lease_scenarios[0]);
