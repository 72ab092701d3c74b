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
 * spec of a MysqlFailoverGroup, field by field: api.md 1.1 to 1.6.
 */

#include <stddef.h>

#include "kube_schema.h"

#define REQ   KF_REQ
#define NYI   KF_UNUSED
#define I32   KF_I32
#define MAX32 INT32_MAX
#define LBL   "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
/* No shell sees it, but nothing that a shell would take apart either. */
#define ENTRYPOINT                        \
	"^([A-Za-z0-9_][A-Za-z0-9._+-]*|" \
	"(/[A-Za-z0-9._+-]+)+)$"

/* name, flags, …, default, description */
#define S(n, f, lo, hi, d, doc) { n, KT_STR, f, lo, hi, NULL, d, NULL, doc }
#define E(n, f, set, d, doc)    { n, KT_STR, f, 0, 0, set, d, NULL, doc }
#define PAT(n, f, re, d, doc)   { n, KT_PAT, f, 0, 0, re, d, NULL, doc }
#define B(n, f, d, doc)         { n, KT_BOOL, f, 0, 0, NULL, d, NULL, doc }
#define I(n, f, lo, hi, d, doc) { n, KT_INT, f, lo, hi, NULL, d, NULL, doc }
#define DUR(n, f, d, doc)       { n, KT_DUR, f, 0, 0, NULL, d, NULL, doc }
#define QTY(n, f, doc)          { n, KT_QTY, f, 0, 0, NULL, NULL, NULL, doc }
#define MAP(n, f, doc)          { n, KT_MAP, f, 0, 0, NULL, NULL, NULL, doc }
#define ANY(n, f, doc)          { n, KT_ANY, f, 0, 0, NULL, NULL, NULL, doc }
#define ANYS(n, f, doc)         { n, KT_ANYS, f, 0, 0, NULL, NULL, NULL, doc }
#define STRS(n, f, doc)         { n, KT_STRS, f, 0, 0, NULL, NULL, NULL, doc }
#define OBJ(n, f, c, doc)       { n, KT_OBJ, f, 0, 0, NULL, NULL, &c, doc }
#define LIST(n, f, lo, hi, c, doc)                     \
	{ n, KT_LIST, f, lo, hi, NULL, NULL, &c, doc }
#define END               { .name = NULL }
#define RULE(c, f, m, fn) { c, f, m, fn }
#define RULES_END         { .cel = NULL }

#define OBJECT(id, rules, ...)                                           \
	static const struct kfield id##_fields[] = { __VA_ARGS__, END }; \
	static const struct kobject id = { id##_fields, rules }

/* ------------------------------------------------------------ sites ----- */

OBJECT(site_storage, NULL,
    S("storageClassName", REQ, 1, 0, NULL, "StorageClass of the data volume"),
    QTY("size", REQ, "Request of the data volume; read at creation only"));

OBJECT(svc_group,
    ((const struct krule[]) {
	RULE("!has(self.externalTrafficPolicy) || "
	     "self.externalTrafficPolicy == '' || (has(self.type) && "
	     "self.type in ['NodePort', 'LoadBalancer'])",
	    "externalTrafficPolicy",
	    "allowed only when type is NodePort or LoadBalancer",
	    krule_group_policy),
	RULES_END }),
    E("type", 0, "ClusterIP|LoadBalancer|NodePort", NULL,
	"Type of the client Services; ClusterIP when absent"),
    E("externalTrafficPolicy", 0, "Cluster|Local", NULL,
	"Only with NodePort and LoadBalancer"),
    MAP("annotations", 0, "Annotations of the client Services"));

OBJECT(svc_site, NULL,
    E("type", 0, "ClusterIP|LoadBalancer|NodePort", NULL,
	"Overrides the group's"),
    E("externalTrafficPolicy", 0, "Cluster|Local", NULL,
	"Overrides the group's"),
    MAP("annotations", 0, "Merged over the group's"),
    I("nodePort", I32, 1, 65535, NULL, "Of the port named mysql"));

OBJECT(site,
    ((const struct krule[]) {
	RULE("self.role == 'read-only' || "
	     "(has(self.lbIP) && size(self.lbIP) > 0)",
	    "lbIP", "required unless role is read-only", krule_site_lbip),
	RULE("self.role == 'read-only' || "
	     "(has(self.taintNodeSelector) && "
	     "size(self.taintNodeSelector) > 0)",
	    "taintNodeSelector", "required unless role is read-only",
	    krule_site_taint),
	RULES_END }),
    S("name", REQ, 1, NAME_LEN, NULL,
	"Site id; part of object names and label values"),
    E("role", 0, "primary-candidate|dr-only|read-only", "primary-candidate",
	"What the site may become"),
    S("zone", REQ, 1, 0, NULL,
	"Value of node label topology.kubernetes.io/zone for its Pods"),
    MAP("taintNodeSelector", 0,
	"Nodes that get the group's read-only taint for this site"),
    S("lbIP", 0, 0, 0, NULL,
	"Address published in DNS while the site is active"),
    OBJ("storage", REQ, site_storage, "The data volume"),
    ANY("resources", 0, "ResourceRequirements of container mysql"),
    MAP("mysqlConf", 0, "my.cnf settings of this site, after the group's"),
    OBJ("serviceTemplate", 0, svc_site,
	"Overrides for this site's client Service"));

/* ------------------------------------------------------ small blocks ---- */

OBJECT(credentials, NULL,
    S("operatorSecret", REQ, 1, 0, NULL,
	"Secret: username, password, MYSQL_ROOT_PASSWORD; optionally "
	"MYSQL_REPLICATION_USER and MYSQL_REPLICATION_PASSWORD"),
    S("appSecret", 0, 0, 0, NULL, "Secret: username, password"),
    S("readOnlySecret", 0, 0, 0, NULL, "Secret: username, password"),
    S("monitorSecret", 0, 0, 0, NULL, "Secret: username, password"),
    S("backupSecret", 0, 0, 0, NULL, "Secret: username, password"));

OBJECT(dns, NULL,
    S("hostname", REQ, 1, 0, NULL, "Name of the A record that is steered"),
    I("ttl", 0, 1, 0, "60", "Seconds"));

OBJECT(issuer, NULL, S("name", REQ, 1, 0, NULL, "Name of the issuer"),
    E("kind", REQ, "Issuer|ClusterIssuer", NULL, "Kind of the issuer"));
OBJECT(tls, NULL, OBJ("issuerRef", REQ, issuer, "Carried, not used"),
    S("secretName", REQ, 1, 0, NULL,
	"Existing Secret with ca.crt, tls.crt and tls.key"));

OBJECT(sidecar,
    ((const struct krule[]) {
	/* Empty means the default, as everywhere; duration('') is an error. */
	RULE("!has(self.peerCheckInterval) || self.peerCheckInterval == '' || "
	     "duration(self.peerCheckInterval) >= duration('1s')",
	    "peerCheckInterval", "must be at least 1s", krule_peer_interval),
	RULE("!has(self.leaseTimeout) || self.leaseTimeout == '' || "
	     "duration(self.leaseTimeout) >= duration('3s')",
	    "leaseTimeout", "must be at least 3s", krule_lease_timeout),
	/* getMilliseconds() is not the same in all CEL versions. */
	RULE("[duration(has(self.peerCheckInterval) && "
	     "self.peerCheckInterval != '' ? self.peerCheckInterval : '5s')]"
	     ".all(c, duration(has(self.leaseTimeout) && "
	     "self.leaseTimeout != '' ? self.leaseTimeout : '20s') >= "
	     "c + c + c)",
	    "leaseTimeout", "must be at least three times peerCheckInterval",
	    krule_lease_ratio),
	RULES_END }),
    DUR("leaseTimeout", 0, "20s", "Length of the write lease"),
    DUR("peerCheckInterval", 0, "5s", "Time between renewals"),
    S("bloodravenAddress", 0, 0, 0, NULL,
	"host:port at which sidecars reach the operator"));

OBJECT(replication, NULL,
    I("maxLagSeconds", 0, 0, 0, "300",
	"Lag above which Degraded says ReplicationLagging"),
    I("readOnlyMaxLagSeconds", 0, 0, 0, NULL,
	"Lag above which a reader gets no clients; maxLagSeconds when "
	"absent"));

static const struct kfield split_brain_fields[] = {
	{ "sitePriorities", KT_STRS, KF_ATOMIC, 0, NAME_LEN, "16", NULL, NULL,
	    "Candidates, the preferred first; empty: split brain only alerts" },
	END
};
static const struct kobject split_brain = { split_brain_fields, NULL };

OBJECT(planned, NULL,
    DUR("maxLagWait", 0, "5m", "Longest wait for the target to catch up"),
    DUR("drainTimeout", 0, "30s", "Longest wait for sessions to end"),
    E("onCooldown", 0, "reject|defer", "reject",
	"What a request within the cooldown gets"));

/* -------------------------------------------------------------- backup -- */

OBJECT(name_ref, NULL,
    S("name", REQ, 1, 0, NULL, "Name, in the group's namespace"));
OBJECT(passphrase, NULL, S("name", REQ, 1, 0, NULL, "Name of the Secret"),
    S("key", 0, 0, 0, "passphrase", "Its key"));
OBJECT(decryption, NULL,
    OBJ("passphraseSecret", REQ, passphrase, "Passphrase of the dump"));
OBJECT(encryption, NULL,
    E("algorithm", 0, "AES-256-GCM", "AES-256-GCM", "The only one"),
    OBJ("passphraseSecret", REQ, passphrase, "Passphrase of the dumps"));

OBJECT(s3, NULL, S("bucket", REQ, 1, 0, NULL, "Name of the bucket"),
    S("prefix", 0, 0, 0, NULL, "Prefix of all keys"),
    S("region", 0, 0, 0, NULL, "Region"),
    S("endpointURL", 0, 0, 0, NULL, "For stores other than AWS"),
    S("credentialsSecret", REQ, 1, 0, NULL,
	"Secret: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY; optionally "
	"AWS_SESSION_TOKEN, AWS_REGION"),
    S("storageClass", 0, 0, 0, NULL, "Informational"));
OBJECT(pvc, NULL,
    S("claimName", 0, 0, 0, NULL,
	"Empty: mysql-<group>-backup-<profile> is made"),
    S("storageClassName", 0, 0, 0, NULL, "Of the claim that is made"),
    QTY("size", 0, "Of the claim that is made"),
    S("subPath", 0, 0, 0, NULL, "Folder in the volume"));
OBJECT(backup_storage,
    ((const struct krule[]) {
	RULE("self.type == 'S3' ? has(self.s3) && !has(self.pvc) : "
	     "has(self.pvc) && !has(self.s3)",
	    "type", "exactly the block that type names must be present",
	    krule_storage_union),
	RULES_END }),
    E("type", REQ, "S3|PVC", NULL, "Which of the two blocks is used"),
    OBJ("s3", 0, s3, "An object store"), OBJ("pvc", 0, pvc, "A volume"));

OBJECT(dump, NULL, I("threads", I32, 1, MAX32, "4", "Threads of the dump"),
    S("bytesPerChunk", 0, 0, 0, "64M", "Size of one file"),
    E("compression", 0, "none|gzip|zstd", "zstd", "Of the files"),
    STRS("includeSchemas", 0, "Only these"),
    STRS("excludeSchemas", 0, "All but these"),
    B("consistent", 0, "true", "One snapshot for all threads"),
    B("ocimds", 0, "false", "Check for MySQL HeatWave Service"));
OBJECT(retention, NULL,
    I("count", I32, 0, MAX32, "0", "Keep this many; 0: off"),
    I("maxAgeDays", I32, 0, MAX32, "0", "Keep this long; 0: off"),
    I("minKeep", I32, 0, MAX32, "1", "Always kept"),
    I("maxFailedKeep", I32, 0, MAX32, "10", "Failed ones that are kept"));

OBJECT(sanity_expect, NULL,
    I("minRows", 0, 0, 0, NULL, "Smallest value of the scalar"),
    I("maxDurationSeconds", 0, 0, 0, NULL, "Longest run of the query"));
OBJECT(sanity, NULL, S("query", 0, 0, 0, NULL, "Must yield one scalar"),
    OBJ("expect", 0, sanity_expect, "What it must yield"));
OBJECT(verify_pit, NULL,
    E("mode", 0, "none|latest|timestamp", "none", "How far to replay"),
    S("timestamp", 0, 0, 0, NULL, "RFC 3339, with mode timestamp"));
OBJECT(verify_storage, NULL,
    S("storageClassName", 0, 0, 0, NULL, "Cluster default when absent"),
    QTY("size", 0, "Derived from the backup when absent"));
OBJECT(verify_retention, NULL,
    I("keepSuccessful", I32, 0, MAX32, "30", "Per group and profile"),
    I("keepFailures", I32, 0, MAX32, "10", "Per group and profile"));
OBJECT(verification,
    ((const struct krule[]) {
	RULE("!self.enabled || (has(self.schedule) && "
	     "size(self.schedule) > 0)",
	    "schedule", "required when enabled", krule_cron_needed),
	RULES_END }),
    B("enabled", 0, "false", "Restore backups to see that they work"),
    S("schedule", 0, 0, 0, NULL, "Five fields of cron"),
    S("timeZone", 0, 0, 0, "Etc/UTC", "IANA name"),
    B("suspend", 0, "false", "No new runs"),
    E("concurrencyPolicy", 0, "Forbid|Replace", "Forbid", "Of the CronJob"),
    I("startingDeadlineSeconds", 0, 0, 0, NULL, "Of the CronJob"),
    I("successfulJobsHistoryLimit", I32, 0, MAX32, "3", "Of the CronJob"),
    I("failedJobsHistoryLimit", I32, 0, MAX32, "3", "Of the CronJob"),
    OBJ("storage", 0, verify_storage, "Volume of the run"),
    B("keepOnFailure", 0, "true", "Keep Pod and volume of a failed run"),
    I("ttlSecondsAfterFinished", I32, 0, MAX32, "0", "After a success"),
    OBJ("pointInTime", 0, verify_pit, "Replay of binary logs"),
    OBJ("sanityCheck", 0, sanity, "A query on the restored data"),
    OBJ("retentionPolicy", 0, verify_retention, "Of its objects"));

OBJECT(profile, NULL, PAT("name", REQ, LBL, NULL, "Name of the profile"),
    OBJ("storage", REQ, backup_storage, "Where dumps go"),
    OBJ("dump", 0, dump, "How dumps are made"),
    I("retention", I32, 0, MAX32, "7",
	"Successful backups that are kept; 0: all. Ignored beside "
	"retentionPolicy"),
    OBJ("retentionPolicy", 0, retention, "What is kept"),
    OBJ("verification", 0, verification, "Scheduled test restores"),
    OBJ("encryption", 0, encryption, "Of the dumps"));
OBJECT(schedule, NULL, PAT("name", REQ, LBL, NULL, "Name of the schedule"),
    S("profileName", REQ, 1, 0, NULL, "Name of a profile"),
    S("schedule", REQ, 1, 0, NULL, "Five fields of cron"),
    S("timeZone", 0, 0, 0, "Etc/UTC", "IANA name"),
    B("suspend", 0, "false", "No new runs"),
    I("startingDeadlineSeconds", 0, 0, 0, NULL, "Of the CronJob"),
    E("concurrencyPolicy", 0, "Allow|Forbid|Replace", "Forbid",
	"Of the CronJob"),
    I("successfulJobsHistoryLimit", I32, 0, MAX32, "3", "Of the CronJob"),
    I("failedJobsHistoryLimit", I32, 0, MAX32, "3", "Of the CronJob"));
OBJECT(retry, NULL,
    I("maxAttempts", I32, 1, 10, "1", "All tries, the first included"),
    I("initialBackoffSeconds", I32, 1, MAX32, "60", "Doubles per retry"),
    I("maxBackoffSeconds", I32, 1, MAX32, "1800", "Cap"));
OBJECT(pitr,
    ((const struct krule[]) {
	RULE("!self.enabled || (has(self.profileName) && "
	     "size(self.profileName) > 0)",
	    "profileName", "required when enabled", krule_pitr_profile),
	RULES_END }),
    B("enabled", 0, "false", "Archive binary logs"),
    S("profileName", 0, 1, 0, NULL, "Profile whose storage is used"),
    S("maxBinlogSize", 0, 0, 0, "100M", "max_binlog_size"),
    DUR("archivePollInterval", 0, "60s", "Rescan of the archiver"));
OBJECT(backup, NULL,
    S("image", 0, 0, 0,
	"container-registry.oracle.com/mysql/community-server:9.7",
	"Image with mysqlsh"),
    ANYS("imagePullSecrets", 0, "LocalObjectReferences"),
    /* A limit, or its rules' cost would come near what API servers admit. */
    LIST("profiles", 0, 0, 256, profile, "Named configurations"),
    LIST("schedules", 0, 0, 0, schedule, "One CronJob each"),
    I("maxLagSecondsForSource", 0, 0, 0, "300",
	"A replica that lags more is not dumped from"),
    ANY("resources", 0, "ResourceRequirements of the Jobs"),
    I("activeDeadlineSeconds", 0, 60, 0, "7200", "Longest run of a Job"),
    I("backoffLimit", I32, 0, MAX32, "2", "Of the Jobs"),
    OBJ("retry", 0, retry, "Of scheduled backups"),
    OBJ("pitr", 0, pitr, "Point-in-time recovery"),
    ANY("podSecurityContext", 0, "Merged over the hardened default"),
    ANY("containerSecurityContext", 0, "Merged over the hardened default"),
    QTY("stagingVolumeSizeLimit", 0, "Of the plain-text staging volume"));

OBJECT(restore_pvc, NULL, S("claimName", REQ, 1, 0, NULL, "Existing claim"),
    S("subPath", 0, 0, 0, NULL, "Folder in the volume"));
OBJECT(restore_source,
    ((const struct krule[]) {
	RULE("[has(self.mysqlBackupRef), has(self.s3), has(self.pvc)]"
	     ".filter(x, x).size() == 1",
	    "mysqlBackupRef",
	    "exactly one of mysqlBackupRef, s3 and pvc is required",
	    krule_source_union),
	RULES_END }),
    OBJ("mysqlBackupRef", 0, name_ref, "A MysqlBackup"),
    OBJ("s3", 0, s3, "A dump in an object store"),
    OBJ("pvc", 0, restore_pvc, "A dump on a volume"));
OBJECT(load_options, NULL,
    I("threads", I32, 1, MAX32, "4", "Threads of the load"),
    B("resetProgress", 0, "true", "Begin anew"),
    B("skipBinlog", 0, "true", "Do not log the load"),
    B("loadIndexes", 0, "true", "Load secondary indexes"),
    STRS("includeSchemas", 0, "Only these"),
    STRS("excludeSchemas", 0, "All but these"));
OBJECT(point_in_time, NULL,
    S("stopDatetime", REQ, 1, 0, NULL, "RFC 3339 or YYYY-MM-DD hh:mm:ss"),
    S("excludeGtids", 0, 0, 0, NULL, "Given to mysqlbinlog as it is"));
OBJECT(init_from_backup, NULL,
    OBJ("source", REQ, restore_source, "What is restored"),
    OBJ("loadOptions", 0, load_options, "How"),
    OBJ("pointInTime", 0, point_in_time, "Up to when"),
    OBJ("decryption", 0, decryption, "Of an encrypted dump"));
OBJECT(restore_in_place, NULL,
    OBJ("source", REQ, restore_source, "What is restored"),
    OBJ("loadOptions", 0, load_options, "How"),
    OBJ("pointInTime", 0, point_in_time, "Up to when"),
    OBJ("decryption", 0, decryption, "Of an encrypted dump"),
    S("confirm", REQ, 1, 0, NULL,
	"RFC 3339 instant, later than the last token that was used"));

/* ----------------------------------------------------------- dragonfly -- */

OBJECT(df_auth, NULL,
    S("secretName", REQ, 1, 0, NULL, "Secret with the password"),
    S("passwordKey", 0, 0, 0, "password", "Its key"));
OBJECT(df_planned, NULL,
    DUR("maxSyncWait", 0, "30s", "Also the timeout of REPLTAKEOVER"),
    E("onSyncTimeout", 0, "proceed|fail", "proceed", "What follows it"));
OBJECT(df_snapshot, NULL, S("dir", 0, 0, 0, NULL, "--dir; may be s3://..."),
    S("serviceAccountName", 0, 0, 0, NULL, "Of the Pods"),
    S("credentialsSecretName", 0, 0, 0, NULL, "AWS_* keys"),
    S("s3Endpoint", 0, 0, 0, NULL, "--s3_endpoint"),
    B("s3UseHTTPS", 0, NULL, "--s3_use_https"),
    B("s3SignPayload", 0, NULL, "--s3_sign_payload"));
OBJECT(dragonfly,
    ((const struct krule[]) {
	RULE("!self.enabled || (has(self.image) && "
	     "size(self.image) > 0 && !self.image.endsWith(':latest'))",
	    "image", "required when enabled, and not :latest",
	    krule_dragonfly_image),
	RULES_END }),
    B("enabled", 0, "false", "Run a cache beside each site"),
    S("image", 0, 0, 0, NULL, "Image of Dragonfly"),
    I("port", I32, 1, 65535, "6379", "Client port"),
    I("adminPort", I32, 1, 65535, "9999", "Administrative port"),
    I("maxMemoryMb", I32, 0, MAX32, "0", "0: not said"),
    I("proactorThreads", I32, 0, MAX32, "0", "0: not said"),
    STRS("args", 0, "More arguments"), OBJ("auth", 0, df_auth, "Password"),
    ANY("resources", 0, "ResourceRequirements"),
    OBJ("plannedFailover", 0, df_planned, "Planned failover"),
    OBJ("snapshot", 0, df_snapshot, "Snapshots"),
    ANY("podSecurityContext", 0, "Copied as it is"),
    ANY("containerSecurityContext", 0, "Copied as it is"));

/* ---------------------------------------------------------- encryption -- */

OBJECT(coverage, NULL, B("tables", 0, "true", "default_table_encryption"),
    B("privilegeCheck", 0, "true", "table_encryption_privilege_check"),
    B("redoLog", 0, "true", "innodb_redo_log_encrypt"),
    B("undoLog", 0, "true", "innodb_undo_log_encrypt"),
    B("binaryLog", 0, "true", "binlog_encryption"),
    B("systemTablespace", 0, "true", "The mysql tablespace"));
OBJECT(keyring,
    ((const struct krule[]) {
	RULE("!has(self.dataFileDir) || "
	     "(self.dataFileDir != '/var/lib/mysql' && "
	     "!self.dataFileDir.startsWith('/var/lib/mysql/'))",
	    "dataFileDir", "must not be /var/lib/mysql or below",
	    krule_keyring_dir),
	RULES_END }),
    PAT("dataFileDir", 0, "^/.*[^/]$", "/run/mysql-keyring",
	"Where the key file is"),
    PAT("mysqldDir", 0, "^/.*[^/]$", "/usr/sbin", "Where mysqld is"),
    PAT("pluginDir", 0, "^/.*[^/]$", "/usr/lib64/mysql/plugin",
	"Where plugins are"),
    I("retainVersions", I32, 2, 50, "5", "Escrow Secrets that are kept"),
    I("escrowTimeoutSeconds", I32, 30, MAX32, "600", "Longest wait"));
OBJECT(encryption_at_rest, NULL,
    B("enabled", REQ, "false", "Encrypt what InnoDB and binlogs write"),
    OBJ("coverage", 0, coverage, "What is encrypted"),
    OBJ("keyring", 0, keyring, "The key file"));

/* ---------------------------------------------------------------- spec -- */

static const struct krule spec_rules[] = {
	RULE("(has(self.secretName) && size(self.secretName) > 0) != "
	     "has(self.credentials)",
	    "credentials",
	    "exactly one of credentials and a non-empty secretName is "
	    "required",
	    krule_one_credential),
	RULE("self.sites.all(s, self.sites.exists_one(t, t.name == s.name))",
	    "sites[].name", "is used twice; names must be distinct",
	    krule_sites_unique),
	RULE("self.sites.filter(s, s.role == 'primary-candidate').size() >= 2",
	    "sites", "at least two primary-candidate sites are required",
	    krule_two_candidates),
	RULE("!has(self.splitBrainPolicy) || "
	     "!has(self.splitBrainPolicy.sitePriorities) || "
	     "self.splitBrainPolicy.sitePriorities.all(p, self.sites.exists(s,"
	     " s.name == p && s.role == 'primary-candidate'))",
	    "splitBrainPolicy.sitePriorities[]",
	    "must name a primary-candidate site", krule_priorities),
	RULE("self.sites.all(s, !has(s.serviceTemplate) || "
	     "!has(s.serviceTemplate.externalTrafficPolicy) || "
	     "s.serviceTemplate.externalTrafficPolicy == '' || "
	     "((has(s.serviceTemplate.type) && s.serviceTemplate.type != '') ?"
	     " s.serviceTemplate.type : (has(self.serviceTemplate) && "
	     "has(self.serviceTemplate.type)) ? self.serviceTemplate.type : "
	     "'ClusterIP') in ['NodePort', 'LoadBalancer'])",
	    "sites[].serviceTemplate.externalTrafficPolicy",
	    "allowed only when the site's effective type is NodePort or "
	    "LoadBalancer",
	    krule_site_policy),
	RULE("self.sites.all(s, !has(s.serviceTemplate) || "
	     "!has(s.serviceTemplate.nodePort) || "
	     "((has(s.serviceTemplate.type) && s.serviceTemplate.type != '') ?"
	     " s.serviceTemplate.type : (has(self.serviceTemplate) && "
	     "has(self.serviceTemplate.type)) ? self.serviceTemplate.type : "
	     "'ClusterIP') in ['NodePort', 'LoadBalancer'])",
	    "sites[].serviceTemplate.nodePort",
	    "allowed only when the site's effective type is NodePort or "
	    "LoadBalancer",
	    krule_site_nodeport),
	RULE("!has(self.encryptionAtRest) || !self.encryptionAtRest.enabled "
	     "|| has(self.tls)",
	    "encryptionAtRest.enabled", "requires tls", krule_encryption_tls),
	RULES_END
};

static const struct kfield spec_fields[] = { S("image", 0, 0, 0, "mysql:9.7",
						 "Image of mysqld"),
	S("sidecarImage", 0, 1, 0,
	    "ghcr.io/shipstream/bloodraven-sidecar:1.0.0",
	    "Image of the sidecar and of the guard, which runs the image's "
	    "entrypoint"),
	PAT("entrypoint", 0, ENTRYPOINT, "docker-entrypoint.sh",
	    "Entrypoint of image: a program's name or its whole path. The "
	    "guard starts it with mysqld and its arguments"),
	LIST("sites", REQ, SITES_MIN, SITES_MAX, site, "The sites, in order"),
	S("secretName", 0, 0, 0, NULL,
	    "One Secret with key dsn; excludes credentials"),
	OBJ("credentials", 0, credentials,
	    "One Secret per role; excludes secretName"),
	OBJ("dns", REQ, dns, "The record that follows the primary"),
	OBJ("tls", 0, tls, "TLS of MySQL"),
	DUR("pollInterval", 0, "2s", "Time between probes of a site"),
	I("failureThreshold", I32, 1, MAX32, "3",
	    "Failed probes in a row that make a site unreachable"),
	I("recoveryThreshold", I32, 1, MAX32, "2",
	    "Probes in a row that make a site writable"),
	DUR("failoverCooldown", 0, "5m",
	    "Shortest time between automatic failovers; 0 means 5m"),
	DUR("connectionDrainTimeout", 0, "30s",
	    "How long sessions of a fenced former primary are evicted"),
	OBJ("sidecar", 0, sidecar, "The write lease"),
	ANY("sidecarResources", 0, "ResourceRequirements of the sidecar"),
	I("cloneTimeout", 0, 60, 0, "3600", "Seconds that CLONE may take"),
	MAP("mysqlConf", 0, "my.cnf settings of all sites"),
	OBJ("replication", 0, replication, "Limits of lag"),
	E("updateStrategy", 0, "OrderedUpdate|Recreate", "OrderedUpdate",
	    "How changes reach the sites"),
	I("terminationGracePeriodSeconds", 0, 1, 0, "60", "Of MySQL Pods"),
	MAP("podLabels", 0, "More labels of MySQL Pods; ours win"),
	MAP("podAnnotations", 0, "More annotations of MySQL Pods; ours win"),
	OBJ("serviceTemplate", 0, svc_group, "Of the client Services"),
	ANYS("extraContainers", 0, "Containers after ours"),
	ANYS("extraInitContainers", 0, "Init containers after ours"),
	E("deletionPolicy", 0, "Retain|Delete", "Retain",
	    "What becomes of the data volumes when the group is deleted"),
	OBJ("splitBrainPolicy", 0, split_brain, "Who wins a split brain"),
	ANY("podSecurityContext", 0, "Of MySQL Pods, copied as it is"),
	ANY("containerSecurityContext", 0,
	    "Of our containers in MySQL Pods, copied as it is"),
	OBJ("plannedFailover", NYI, planned, "Planned failover"),
	OBJ("backup", NYI, backup, "Backups and point-in-time recovery"),
	OBJ("initFromBackup", NYI, init_from_backup,
	    "A restore before the first bootstrap"),
	OBJ("restoreInPlace", NYI, restore_in_place,
	    "A destructive restore of a running group"),
	OBJ("dragonfly", NYI, dragonfly, "A cache beside each site"),
	OBJ("encryptionAtRest", NYI, encryption_at_rest,
	    "Encryption of what is on disk"),
	END };

const struct kobject kschema_spec = { spec_fields, spec_rules };
