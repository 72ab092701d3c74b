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
 * The closed sets of the core with their names, as X-macros. Only fsm.h
 * includes it.
 */

#ifndef FSM_NAMES_H
#define FSM_NAMES_H

/* -------------------------------------------------------------- names --- */

/*
 * What the group decision says. One is always true; the order is that of the
 * decision (fsm_decide.c). name, and the PromotionBlocked reason or NULL.
 */
#define FSM_VERDICTS(X)                                              \
	X(V_STARTING, "starting", NULL)                              \
	X(V_DELETING, "deleting", NULL)                              \
	X(V_HEALTHY, "healthy", NULL)                                \
	X(V_SPLIT_BRAIN, "split brain", "SplitBrain")                \
	X(V_TOTAL_LOSS, "total loss", NULL)                          \
	X(V_WAIT_SITES, "waiting for sites", NULL)                   \
	X(V_WAIT_THRESHOLD, "waiting for the threshold", NULL)       \
	X(V_WAIT_RECORD, "waiting for the written record", NULL)     \
	X(V_BOOTSTRAP, "fresh group", NULL)                          \
	X(V_ADOPT, "adopt writable site", NULL)                      \
	X(V_ADOPT_GRANT, "adopt read-only site", NULL)               \
	X(V_REGRANT, "grant active site again", NULL)                \
	X(V_PROMOTE, "promote", NULL)                                \
	X(V_NO_CANDIDATE, "no candidate", "NoCandidate")             \
	X(V_COOLDOWN, "cooldown", "Cooldown")                        \
	X(V_NO_PROOF, "no proof", "NoProof")                         \
	X(V_DIVERGENCE, "divergence", "Divergence")                  \
	X(V_GTID_UNKNOWN, "GTID set unknown", "GTIDUnknown")         \
	X(V_DATA_MISSING, "data missing", "DataMissing")             \
	X(V_APPLIER_ERROR, "applier error", "ApplierError")          \
	X(V_DRAIN_TIMEOUT, "drain takes long", "DrainTimeout")       \
	X(V_FENCING, "another site may be writable", "NoProof")      \
	X(V_STRANGERS, "a Pod of no site may write", "NoProof")      \
	X(V_RECORD_FULL, "too many unended epochs", "RecordFull")    \
	X(V_OBSERVER_ISOLATED, "others see the active site",         \
	    "ObserverIsolated")                                      \
	X(V_NO_LEASE, "no lease", "NoLease")                         \
	X(V_STOP_TIMEOUT, "receiver does not stop", "ReceiverHangs")

/* Which proof of an unended epoch is missing, or which one there is. */
#define FSM_PROOFS(X)                                                  \
	X(P_NONE, "none")                                              \
	X(P_FENCED, "fence confirmed")                                 \
	X(P_TERMINATED, "kubelet: terminated")                         \
	X(P_ASSERTED, "asserted dead")                                 \
	/* a later process of the same Pod holds its data directory */ \
	X(P_SUCCEEDED, "later process of the Pod seen")                \
	X(P_LEASE, "lease run out")                                    \
	X(P_GUARD, "guard waited for its end")                         \
	X(P_GUARD_FENCED, "guard fenced it")                           \
	X(P_SUPERSEDED, "its guard holds a later epoch")

/* Steps towards a grant to one site, each from what was last observed. */
#define FSM_STEPS(X)                         \
	X(ST_NONE, "none")                   \
	X(ST_STOP_RECEIVER, "stop receiver") \
	X(ST_DRAIN, "drain")                 \
	X(ST_RESET, "reset replica")         \
	X(ST_MINT, "write record")           \
	X(ST_LEASE, "wait for the lease")    \
	X(ST_GRANT, "grant")                 \
	X(ST_CONFIRM, "confirm")

/* The clone sequence of the group's one running clone. */
#define FSM_CLONE_PHASES(X)                \
	X(CL_IDLE, "Idle")                 \
	X(CL_CLONING, "Cloning")           \
	X(CL_RESTART, "WaitingForRestart") \
	X(CL_SETUP, "SetupReplication")    \
	X(CL_DONE, "Done")                 \
	X(CL_FAILED, "Failed")

/* What an update does at one site now (fsm_update.c). */
#define FSM_ROLLS(X)                                                    \
	X(RO_CURRENT, "as specified")                                   \
	X(RO_ROLL, "is given its new template")                         \
	X(RO_LEAVING, "restarts")                                       \
	X(RO_AWAIT, "has restarted and is not well yet")                \
	X(RO_FAILED, "has restarted and is not well: the update stops") \
	X(RO_REFUSED, "the API server refused its new template")        \
	X(RO_ACTIVE, "active, waits for a planned failover")            \
	X(RO_GROUP, "waits until the group is healthy")                 \
	X(RO_OTHERS, "waits until every other follower is well")        \
	X(RO_VOTERS, "waits until the write lease can do without it")   \
	X(RO_SILENT, "waits until it answers")

/* Convergence of one follower; status.sites[].convergence, its reason. */
#define FSM_CONVERGENCES(X)                                \
	X(CV_NONE, "", "")                                 \
	X(CV_CONVERGED, "Converged", "DirectSource")       \
	X(CV_PENDING, "Pending", "SourceMismatch")         \
	X(CV_PROBE_FAILED, "Pending", "ProbeFailed")       \
	X(CV_MUTATION_FAILED, "Pending", "MutationFailed") \
	X(CV_BLOCKED, "Blocked", "GTIDDiverged")

/*
 * Guards: the only form in which safety conditions exist. A build with
 * FSM_MUTANTS can switch each off (regress/sim kills the mutants).
 */
#define FSM_GUARDS(X)                                                          \
	X(G_LEASE, "nothing is sent without enough Lease")                     \
	X(G_RECORD_FRESH, "no decision before the record was read")            \
	X(G_PROMOTABLE, "only primary-candidates get a grant")                 \
	X(G_PROOF, "every unended epoch of others is proven ended")            \
	X(G_LOST_IS_ACTIVE, "only the loss of the active site promotes")       \
	X(G_THRESHOLD, "failureThreshold probes before a site is lost")        \
	X(G_FENCE_PROCESS, "a fence proves for that very process")             \
	X(G_FENCE_OWN_GRANTS, "no grant of ours is outstanding")               \
	X(G_FENCE_OLD_GRANTS, "grants of earlier leaders have passed")         \
	X(G_READ_AFTER_GRANT, "flags count when read after the last grant")    \
	X(G_WORD_CONTAINER, "terminated names the recorded container")         \
	X(G_WORD_GUARD, "terminated is of the container of that guard")        \
	X(G_WORD_REASON, "ContainerStatusUnknown proves nothing")              \
	X(G_WORD_START, "the process began within that container")             \
	X(G_ASSERT_CURRENT, "assert-dead names a current epoch")               \
	X(G_WORD_SEEN, "the process was not seen after its container's end")   \
	X(G_SUCCESSOR, "another process in the same Pod, on the same data")    \
	X(G_SUCCESSOR_LATER, "it answered a probe of this leader")             \
	X(G_SUCCESSOR_GUARD, "its guard says that it is another process")      \
	X(G_ASSERT_QUIET, "nobody saw the process for 60 s")                   \
	X(G_SUPERSET, "the promoted site has all that was received")           \
	X(G_INHERIT_FENCED, "a demoted site is read after it was fenced")      \
	X(G_DRAINED, "received transactions are applied first")                \
	X(G_DRAIN_FRESH, "drained is read after the receiver stopped")         \
	X(G_NO_CHANNEL, "no replication channel when granted")                 \
	X(G_MINT_FIRST, "no grant before its epoch is recorded")               \
	X(G_GRANT_PROCESS, "a grant goes to the recorded process")             \
	X(G_NO_OTHER_WRITER, "no grant while another site is writable")        \
	X(G_REGRANT_DATA, "the active site still has its data")                \
	X(G_REGRANT_SELF, "the active site's server_uuid is the recorded one") \
	X(G_COOLDOWN, "promotions are a cooldown apart")                       \
	X(G_FRESH, "only an untouched group is bootstrapped")                  \
	X(G_ADOPT_ALL, "adoption sees every core site")                        \
	X(G_CLONE_EMPTY, "only an empty site is cloned over")                  \
	X(G_CLONE_DONOR, "the donor is the confirmed active site")             \
	X(G_REJOIN_CONTAINED, "a source has all that the replica has")         \
	X(G_POD_DELETE_LOST, "only a lost site's Pod is deleted")              \
	X(G_POD_RELEASE, "a Pod is released when nothing is unended")          \
	X(G_UNKNOWN_SETS, "an unknown GTID set proves nothing")                \
	X(G_GUARD_NEEDED, "no new epoch for a server without a guard")         \
	X(G_GUARD_FRESH, "its guard was heard just now")                       \
	X(G_GUARD_MATCH, "the guard speaks of the process that was probed")    \
	X(G_GUARD_HELD, "no grant before the guard holds the epoch")           \
	X(G_GUARD_WORD, "a guard speaks of its own servers only")              \
	X(G_SUPERSEDED, "superseded by an epoch of the same process")          \
	X(G_LEASE_GRANTS, "a lost lease proves when no grant is ahead")        \
	X(G_VOTERS_FRESH, "voters are chosen of those heard just now")         \
	X(G_VOTER_ONCE, "one memory is one voter")                             \
	X(G_EPOCH_ABOVE, "a new epoch is above every one heard of")            \
	X(G_KEEP_UNENDED, "epochs of the same process stay until proven")      \
	X(G_YES_ACTIVE, "yes to epochs of the active process only")            \
	X(G_YES_ENDED, "yes to no epoch that has ended")                       \
	X(G_MINT_LAST, "no older epoch is granted once a mint was sent")       \
	X(G_TERM_WRITTEN, "each leader writes the record before it says yes")  \
	X(G_TERM_PROOF, "a lost lease is proven anew by each leader")          \
	X(G_NEWEST_KEPT,                                                       \
	    "the newest epoch goes when its process has no other")             \
	X(G_QUIET_OWN, "its own earlier terms are not quiet before they end")  \
	X(G_PROMISE_SITE, "a promise counts for the site's own voter")         \
	X(G_REVOKE_NEEDED, "nothing is revoked before a proof is missing")     \
	X(G_NO_STRAY_LEASE, "no grant while a guard may hold a lost epoch")    \
	X(G_SUPERSEDED_LISTED, "superseded by an epoch that is recorded")      \
	X(G_PROMISE_LOST, "a promise covers the lost epochs, too")             \
	X(G_LOST_STRANGERS,                                                    \
	    "nor may a Pod of a removed site hold a lost epoch")               \
	X(G_LOST_VOTERS, "every possible voter of a lost epoch promised")      \
	X(G_RECORD_WHOLE,                                                      \
	    "silence of a record is of one that was written here")             \
	X(G_GATED_OPEN, "the proof gate speaks of epochs not ended")           \
	X(G_GUARD_READ, "a guard read the flags after the last grant")         \
	X(G_GRANT_REPORT, "a grant dies soon after the guard's word")          \
	X(G_ADOPT_LEASES, "nothing is adopted while a guard may hold a lease") \
	X(G_ADOPT_READERS, "nor while a reader's guard was not heard")         \
	X(G_ADOPT_RENEWED, "nor while a voter's last yes may count yet")       \
	X(G_ADOPT_GRANTS, "nor while an unknown leader's grant is ahead")      \
	X(G_ISOLATED, "alone in not seeing the active site: no failover")      \
	X(G_UPDATE_ACTIVE, "an ordered update restarts no active site")        \
	X(G_UPDATE_ONE, "a follower is restarted when the others are well")    \
	X(G_UPDATE_VOTERS, "and when the lease lives without its vote")

/* Texts for log records and Events: level/type, Event reason, format. */
#define FSM_TEXTS(X)                                                           \
	X(T_DECISION, "", false, "group decision")                             \
	X(T_SITE_STATE, "", false, "state transition")                         \
	X(T_NO_PROOF, "PromotionBlocked", true, "NoProof")                     \
	X(T_BLOCKED, "PromotionBlocked", true, "promotion blocked")            \
	X(T_UNBLOCKED, "", false, "promotion no longer blocked")               \
	X(T_PROMOTING, "", false, "initiating failover")                       \
	X(T_MINTED, "", false, "epoch minted")                                 \
	X(T_FAILOVER, "FailoverExecuted", false, "failover complete")          \
	X(T_REGRANTED, "PrimaryRegranted", false, "active site granted again") \
	X(T_ADOPTED, "PrimaryAdopted", false, "writable site adopted")         \
	X(T_BOOTSTRAPPED, "GroupBootstrapped", false, "first primary granted") \
	X(T_EPOCH_ENDED, "", false, "epoch ended")                             \
	X(T_FENCING, "", true, "fencing writable site")                        \
	X(T_POD_DELETE, "PodDeleted", true, "deleting Pod of lost site")       \
	X(T_EVICT_LATE, "", true,                                              \
	    "post-fence application connection drain timed out")               \
	X(T_ASSERT_OK, "AssertDeadAccepted", true, "assert-dead accepted")     \
	X(T_ASSERT_REFUSED, "AssertDeadRefused", true, "assert-dead refused")  \
	X(T_OVERRIDE, "ApplierErrorOverridden", true,                          \
	    "received transactions dropped by request")                        \
	X(T_OVERRIDE_MAYBE, "ApplierErrorOverridden", true,                    \
	    "received transactions may have been dropped by request, "         \
	    "before this operator led")                                        \
	X(T_OVERRIDE_NO, "ApplierErrorOverrideRefused", true,                  \
	    "override-applier-error refused")                                  \
	X(T_SPLIT_BRAIN, "SplitBrainDetected", true, "split brain")            \
	X(T_NO_PRIMARY, "NoPrimaryDetected", true, "no primary")               \
	X(T_TOTAL_LOSS, "TotalLossDetected", true, "total loss")               \
	X(T_DEGRADED, "", true, "the group is degraded")                       \
	/* its Event comes with the count (group_view.c) */                    \
	X(T_DIVERGED, "", true, "divergence detected")                         \
	X(T_RECOVERED, "RecoveryComplete", false, "site rejoined")             \
	X(T_CLONE, "", false, "clone phase")                                   \
	X(T_CLONE_FAILED, "CloneFailed", true, "clone failed")                 \
	X(T_PERSISTED, "PersistedReadOnlyReset", true,                         \
	    "persisted read_only setting removed")                             \
	X(T_ACTION_FAILED, "", true, "action failed")                          \
	X(T_REVOKING, "WriteLeaseRevoked", true, "revoking the write lease")   \
	X(T_LOST, "", true, "the record does not know an epoch that exists")   \
	X(T_GUARD_ENDED, "", true, "guard: mysqld has ended")                  \
	X(T_GUARD_HUNG, "", true, "guard: mysqld does not answer")             \
	X(T_GUARD_FENCED, "WriteLeaseLost", true, "guard: the lease was lost") \
	X(T_DISK_FULL, "DiskFull", true, "guard: the disk is full")            \
	X(T_ROLL, "SiteUpdating", false, "applying the newest template")       \
	X(T_ROLLED, "SiteUpdated", false, "site runs the newest template")     \
	X(T_ROLL_FAILED, "UpdateFailed", true,                                 \
	    "site is not well after its update: the update stops")             \
	X(T_ROLL_WAITS, "UpdateWaiting", false,                                \
	    "the active site's update waits for a planned failover")           \
	X(T_SITE_RECOVERED, "SiteRecovered", false,                            \
	    "the group is no longer degraded")

/* Why a person's word was refused; true: it says how long ago that was. */
#define FSM_WHYS(X)                                                         \
	X(Y_NONE, false, "")                                                \
	X(Y_MALFORMED, false, "it is not SITE/POD_UID/EPOCH")               \
	X(Y_EPOCH, false, "that site has no such unended epoch")            \
	X(Y_POD, false, "that epoch is of another Pod UID")                 \
	X(Y_PROBE, true, "it answered a probe")                             \
	X(Y_KUBELET, true, "its kubelet said that it runs")                 \
	X(Y_GUARD, true, "its guard said that it runs")                     \
	X(Y_VOTER, true, "a voter renewed its lease")                       \
	X(Y_REPLICA, true, "a replica was connected to it")                 \
	X(Y_NO_SITE, false, "no site has that name")                        \
	X(Y_ACTIVE, false, "it is the active site")                         \
	X(Y_NOT_BLOCKED, false,                                             \
	    "no promotion of it is blocked with ApplierError")              \
	X(Y_OVER, false,                                                    \
	    "ApplierError does not block it any more, nothing was dropped")

/* Counters the core moves; label is the site. */
#define FSM_METRICS(X)                                                    \
	X(FM_FAILOVERS, "bloodraven_failovers_total")                     \
	X(FM_REGRANTS, "bloodraven_primary_reassert_total")               \
	X(FM_FENCES, "bloodraven_fences_total")                           \
	X(FM_CLONES, "bloodraven_clones_total")                           \
	X(FM_ROLLS, "bloodraven_site_updates_total")                      \
	X(FM_ROLL_FAILS, "bloodraven_site_update_failures_total")         \
	X(FM_SPLIT_RESOLVED, "bloodraven_split_brain_auto_resolve_total")

#define X(id, ...) id,
enum fsm_verdict { FSM_VERDICTS(X) V_MAX };
enum fsm_proof { FSM_PROOFS(X) P_MAX };
enum fsm_step { FSM_STEPS(X) ST_MAX };
enum fsm_clone_phase { FSM_CLONE_PHASES(X) CL_MAX };
enum fsm_convergence { FSM_CONVERGENCES(X) CV_MAX };
enum fsm_roll_step { FSM_ROLLS(X) RO_MAX };
enum fsm_guard_id { FSM_GUARDS(X) G_MAX };
enum fsm_text { FSM_TEXTS(X) T_MAX };
enum fsm_why { FSM_WHYS(X) Y_MAX };
enum fsm_metric { FSM_METRICS(X) FM_MAX };
#undef X

#endif /* FSM_NAMES_H */
