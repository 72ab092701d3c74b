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
 * status of a MysqlFailoverGroup: api.md 1.7, and our status.authority
 * (fencing.md section 2). Only the CRD is made of it.
 */

#include <stddef.h>

#include "kube_schema.h"

#define I32               KF_I32
#define NUL               KF_NULL
#define UNU               KF_UNUSED

#define S(n, doc)         { n, KT_STR, 0, 0, 0, NULL, NULL, NULL, doc }
#define E(n, set, doc)    { n, KT_STR, 0, 0, 0, set, NULL, NULL, doc }
#define B(n, f, doc)      { n, KT_BOOL, f, 0, 0, NULL, NULL, NULL, doc }
#define I(n, f, doc)      { n, KT_INT, f, INT64_MIN, 0, NULL, NULL, NULL, doc }
#define T(n, doc)         { n, KT_TIME, 0, 0, 0, NULL, NULL, NULL, doc }
#define D(n, doc)         { n, KT_DUR, 0, 0, 0, NULL, NULL, NULL, doc }
#define OBJ(n, f, c, doc) { n, KT_OBJ, f, 0, 0, NULL, NULL, &c, doc }
#define LIST(n, c, doc)   { n, KT_LIST, 0, 0, 0, NULL, NULL, &c, doc }
#define MAPLIST(n, key, c, doc)                              \
	{ n, KT_LIST, KF_MAPLIST, 0, 0, key, NULL, &c, doc }
#define END { .name = NULL }

#define OBJECT(id, ...)                                                  \
	static const struct kfield id##_fields[] = { __VA_ARGS__, END }; \
	static const struct kobject id = { id##_fields, NULL }

static const struct kfield site_fields[] = {
	{ "name", KT_STR, KF_REQ, 0, 0, NULL, NULL, NULL, "As in spec" },
	E("role", "primary-candidate|dr-only|read-only", "As in spec"),
	E("state", "writable|read-only|unreachable|unknown",
	    "As the operator sees it"),
	T("lastSeen", "Last probe that was answered"),
	S("gtidExecuted", "gtid_executed, as of lastSeen or earlier"),
	B("replicating", 0, "Replication is healthy, debounced"),
	I("secondsBehindSource", NUL, "Absent while not replicating"),
	S("sourceHost", "As MySQL reports it"),
	S("sourceConvergenceState", "Converged, Pending or Blocked"),
	S("sourceConvergenceReason", "Why"),
	S("recoveryState", "RecoveryInProgress, RecoveryBlocked or empty"),
	S("divergentGtid", "Transactions that the active site has not"),
	I("divergentTransactionCount", NUL, "How many"), END
};
static const struct kobject site = { site_fields, NULL };

static const struct kfield condition_fields[] = {
	{ "type", KT_STR, KF_REQ, 1, 316, NULL, NULL, NULL, "Its name" },
	{ "status", KT_STR, KF_REQ, 0, 0, "True|False|Unknown", NULL, NULL,
	    "Does it hold" },
	I("observedGeneration", 0, "Generation that was judged"),
	{ "lastTransitionTime", KT_TIME, KF_REQ, 0, 0, NULL, NULL, NULL,
	    "When status changed" },
	{ "reason", KT_STR, KF_REQ, 1, 1024, NULL, NULL, NULL, "One word" },
	{ "message", KT_STR, KF_REQ, 0, 32768, NULL, NULL, NULL, "For people" },
	END
};
static const struct kobject condition = { condition_fields, NULL };

OBJECT(voter, S("id", "Of its memory, hexadecimal; 1: who leads"),
    S("site", "Whose sidecar it is; absent: the operator"));
OBJECT(epoch, I("epoch", 0, "The counter"), S("site", "Whose epoch it is"),
    S("podUID", "Of the Pod that was granted"),
    S("containerID", "Of its container mysql"),
    S("serverUUID", "Of its data directory"),
    S("processStart", "Start of the server process, on its own clock"),
    I("prev", 0, "The epoch of the same process that it succeeds"),
    S("guard",
	"The guard that holds its lease, hexadecimal; absent: it has none"),
    I("incarnation", 0, "Which of that guard's servers"),
    I("leaseMillis", 0, "Length of the lease"),
    I("fenceMillis", 0, "Time that the guard has to fence, then to kill"),
    I("quorum", 0, "How many voters must renew"),
    LIST("voters", voter, "Who may renew it"));
OBJECT(authority, I("version", 0, "Raised by one with each replacement"),
    I("epoch", 0, "Largest that was ever minted"),
    S("lease",
	"NAMESPACE/NAME of the Lease under which it was written: "
	"operators with another one leave the group alone"),
    S("activeSite", "Site of the newest epoch"),
    S("serverUUID", "Of the newest epoch's data directory"),
    LIST("unended", epoch,
	"Every epoch that is not proven ended; one leaves only with its "
	"proof"),
    S("grantGtid", "gtid_executed when the newest epoch was granted"),
    S("seenGtid", "Last gtid_executed seen at the active site"));

OBJECT(df_planned, B("enabled", 0, "Is the cache part of this run"),
    T("syncWaitStartTime", "Begin of the wait"),
    I("sourceOffsetAtDrain", NUL, "Offset when clients were drained"),
    B("offsetCaptureFailed", 0, "The offset could not be read"),
    I("targetOffsetAtPromotion", NUL, "Offset at promotion"),
    I("syncWaitSeconds", NUL, "Length of the wait"),
    B("sessionsPreserved", NUL, "Absent: unknown"),
    S("promotionMethod", "REPLTAKEOVER, REPLICAOF NO ONE or skipped"),
    S("reason", "One word"), S("message", "For people"));
OBJECT(planned, S("phase", "Phase of the latest run"),
    S("target", "Site that shall become primary"),
    S("sourcePrimary", "Site that was primary"),
    S("sourceGtidAtFence", "gtid_executed when it was fenced"),
    S("targetGtidAtPromotion", "gtid_executed when it was promoted"),
    T("startTime", "Begin"), T("completionTime", "End"),
    I("durationSeconds", NUL, "Length"), I("transactionsLost", NUL, "How many"),
    S("reason", "One word"), S("message", "For people"),
    D("maxLagWait", "As asked"), T("drainStartTime", "Begin of draining"),
    D("drainTimeout", "As configured"),
    T("lagWaitStartTime", "Begin of the wait for lag"),
    T("retryAfter", "A deferred run starts then"),
    OBJ("dragonfly", 0, df_planned, "The cache"));

OBJECT(restore, S("phase", "Phase of the backup"), S("jobName", "The Job"),
    S("targetSite", "Where it is restored"), T("startTime", "Begin"),
    T("completionTime", "End"), S("pitrStopDatetime", "As asked"),
    S("message", "For people"));
OBJECT(in_place, S("phase", "Phase of the latest run"), S("jobName", "The Job"),
    S("targetSite", "Where it is restored"), S("scope", "full or schema:<n>"),
    S("confirmTokenUsed", "Token of the latest run"), T("startTime", "Begin"),
    T("completionTime", "End"), S("message", "For people"));
OBJECT(schedule,
    { "name", KT_STR, KF_REQ, 0, 0, NULL, NULL, NULL, "Of the schedule" },
    S("cronJobName", "The CronJob"), T("lastScheduleTime", "Last run"),
    T("lastSuccessfulTime", "Last success"),
    S("lastBackupName", "Of the last run"),
    S("lastBackupPhase", "Of the last run"),
    S("lastSuccessfulBackupName", "Of the last success"),
    I("lastRetryAttempt", I32, "Tries of the last run"),
    T("nextRetryTime", "Next try"));
OBJECT(pitr, B("enabled", 0, "Are binary logs archived"),
    S("profileName", "Whose storage is used"),
    T("oldestArchivedTime", "Of all sites"),
    T("newestArchivedTime", "Of all sites"),
    I("archivedFileCount", I32, "Of all sites"),
    I("archivedBytes", 0, "Of all sites"),
    T("lastArchivedTime", "Of all sites"), S("message", "Errors by site"));

OBJECT(df_site,
    { "name", KT_STR, KF_REQ, 0, 0, NULL, NULL, NULL, "As in spec" },
    S("role", "As the cache reports it"), B("reachable", 0, "Does it answer"),
    S("serviceName", "Its Service"), S("podName", "Its Pod"),
    S("replicationState", "As the cache reports it"),
    S("linkStatus", "As the cache reports it"),
    B("syncInProgress", 0, "Full sync runs"),
    I("lastIOSecondsAgo", 0, "-1: never"), B("ready", 0, "May take over"),
    S("message", "For people"));
OBJECT(df_upgrade, S("phase", "Phase of the latest run"),
    S("sourceImage", "From"), S("targetImage", "To"),
    S("activeSite", "Site of the master"),
    S("snapshotDir", "Where the snapshot is"), T("startTime", "Begin"),
    T("snapshotTime", "Snapshot saved"), T("completionTime", "End"),
    S("reason", "One word"), S("message", "For people"));
OBJECT(dragonfly, B("enabled", 0, "As in spec"),
    S("activeSite", "Site of the master"), S("phase", "Of the caches"),
    S("message", "For people"), T("lastPromotionTime", "Last promotion"),
    S("lastPromotionTarget", "Of the last promotion"),
    B("replTakeoverSupported", NUL, "Absent before the first probe"),
    T("replTakeoverProbeTime", "Last probe"),
    S("replTakeoverProbeMessage", "For people"),
    LIST("sites", df_site, "In the order of spec"),
    OBJ("upgrade", 0, df_upgrade, "Snapshot upgrade"));

OBJECT(enc_coverage, B("keyringComponent", 0, "The component is active"),
    B("keyringReadOnly", 0, "The key file is read-only"),
    B("systemTablespaceEncrypted", 0, "The mysql tablespace"),
    I("unencryptedTablespaces", 0, "How many"),
    B("redoLogEncrypted", 0, "The redo log"),
    B("undoLogEncrypted", 0, "The undo logs"),
    B("binlogEncrypted", 0, "The binary logs"),
    T("lastCheckTime", "When it was looked at"));
OBJECT(enc_site,
    { "name", KT_STR, KF_REQ, 0, 0, NULL, NULL, NULL, "As in spec" },
    S("phase", "Of the keyring"),
    S("unsealReason", "Bootstrap, Clone, Rotation or empty"),
    S("keyringSecret", "Escrow Secret in use"),
    I("keyringVersion", I32, "Its version"), S("keyringDigest", "sha256:<hex>"),
    T("lastEscrowTime", "Last escrow"),
    T("unsealedSince", "Since when it is open"), S("message", "For people"),
    OBJ("coverage", 0, enc_coverage, "What is encrypted"));
OBJECT(encryption, B("sealed", 0, "Every site is sealed"),
    I("observedGeneration", 0, "Generation that was judged"),
    MAPLIST("sites", "name", enc_site, "By site"));

static const struct kfield status_fields[] = {
	S("activeSite", "The confirmed writable site, else empty"),
	LIST("sites", site, "In the order of spec"),
	S("siteSummary", "All of them in short; * is the active site"),
	S("summary", "What is the matter, in a sentence"),
	MAPLIST("conditions", "type", condition, "Conditions"),
	OBJ("authority", 0, authority,
	    "Who may write: the promotion record, the only authoritative "
	    "copy. Replaced by compare-and-swap on version; see "
	    "bloodraven-fencing(7) before editing it"),
	T("lastFailover", "Last promotion"),
	S("lastFailoverTarget", "Site of the last promotion"),
	S("promotionGtidExecuted", "Its gtid_executed before it was opened"),
	S("updatePhase", "Phase of the ordered update, empty when idle"),
	OBJ("plannedFailover", UNU, planned, "The latest planned failover"),
	I("topologyGeneration", 0, "Raised when another site may write"),
	OBJ("restore", UNU, restore, "initFromBackup"),
	OBJ("restoreInPlace", UNU, in_place, "restoreInPlace"),
	{ "backupSchedules", KT_LIST, UNU, 0, 0, NULL, NULL, &schedule,
	    "By schedule" },
	{ "lastBackupTime", KT_TIME, UNU, 0, 0, NULL, NULL, NULL,
	    "Newest successful backup of any profile" },
	OBJ("pitr", UNU, pitr, "Archive of binary logs"),
	OBJ("dragonfly", UNU, dragonfly, "The caches"),
	OBJ("encryptionAtRest", UNU, encryption, "The keyrings"), END
};

const struct kobject kschema_status = { status_fields, NULL };
