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
 * What several files of Bloodraven must agree on: limits, closed sets and
 * their names. Limits are named here, each with its reason.
 */

#ifndef BR_H
#define BR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BR_API_GROUP           "shipstream.io"
#define BR_API_VERSION         "v1alpha1"
#define BR_ANN                 "bloodraven.shipstream.io/"
#define BR_FINALIZER           "shipstream.io/graceful-shutdown" /* on groups */
#define BR_ANN_ACTS            BR_ANN "acts-milliseconds" /* on the Lease */
#define BR_POD_FINALIZER       "bloodraven.shipstream.io/fence" /* on Pods */
#define BR_FIELD_MANAGER       "bloodraven"
#define BR_LEASE               "bloodraven.shipstream.io"

/* In a container's termination message: the id of the guard that it had. */
#define BR_GUARD_WORD          "bloodraven-guard="

#define BR_LINK_PORT           8090 /* of a sidecar: the link (link.c) */
/*
 * Who says nothing new on a link says so this often (W_REPORT, W_OPERATOR),
 * by the group's peerCheckInterval; the other end closes a link on which it
 * heard nothing for BR_LINK_DEAD_MS.
 */
#define BR_LINK_BEAT_MS(check) ((check) < 2000 ? 500 : 1000)
#define BR_LINK_DEAD_MS(check) (2 * BR_LINK_BEAT_MS(check) + 500)
#define SITES_MAX              16 /* api.md 1.1: 2..16 items */
#define SITES_MIN              2
#define GROUPS_MAX             1024 /* roadmap 11 */
#define UID_LEN                36   /* a Kubernetes UID, a server_uuid */
#define NAME_LEN               253  /* DNS subdomain */
#define NS_LEN                 63   /* DNS label */
#define IP_LEN                 45   /* INET6_ADDRSTRLEN - 1 */
#define CID_LEN                127  /* "containerd://" and 64 hex digits */
#define USER_LEN               96   /* 32 characters of utf8mb3 */
#define HOST_LEN               255  /* MySQL's limit of a host name */
/*
 * Text of one GTID set. A star's set is some hundred bytes; a fragmented one
 * beyond this is refused with a report (never treated as empty).
 */
#define GTID_LEN               16383
#define ERR_LEN                511  /* an error text of a server or the API */
#define MSGTEXT_LEN            1023 /* an Event's message (Kubernetes' limit) */
#define UNENDED_MAX            16   /* epochs that are not proven ended */
#define LAST_BAD_LEN           63 /* why a copy of the last failover is none */
#define CONDS_MAX              12
#define ORIGINS_LEN            1023 /* BLOODRAVEN_WS_ALLOWED_ORIGINS */
#define WS_CLIENTS_MAX         512 /* status-server has a descriptor for each */
#define LABELS_LEN             511 /* Prometheus label text of one series */
#define WORDS_MAX              4   /* terminated containers told of one Pod */

#define BR_ROLES(X)                            \
	X(ROLE_CANDIDATE, "primary-candidate") \
	X(ROLE_DR_ONLY, "dr-only")             \
	X(ROLE_READER, "read-only")

#define BR_SITE_STATES(X)                \
	X(SS_UNKNOWN, "unknown")         \
	X(SS_WRITABLE, "writable")       \
	X(SS_READ_ONLY, "read-only")     \
	X(SS_UNREACHABLE, "unreachable")

/* Replica_IO_Running has three values. */
#define BR_IO_STATES(X)                                                \
	X(IO_NO, "No") X(IO_CONNECTING, "Connecting") X(IO_YES, "Yes")

/* What a container was last said to be by its kubelet. */
enum ctr_state { CTR_NONE, CTR_WAITING, CTR_RUNNING, CTR_TERMINATED, CTR_MAX };

/* shipstream.io/role of a MySQL Pod; RL_KEEP: its labels stay as they are. */
#define BR_ROLE_LABELS(X) \
	X(RL_REPLICA, "replica") X(RL_PRIMARY, "primary") X(RL_FENCED, "fenced")

/* What the nodes of a site shall do with its group's taint. */
#define BR_TAINT_WANTS(X) X(TW_KEEP, "keep") X(TW_ON, "on") X(TW_OFF, "off")

/* Why a probe failed; the text travels beside it. */
enum probe_err {
	PE_NONE,
	PE_NO_ADDRESS,
	PE_REFUSED, /* the connection */
	PE_TIMEOUT, /* the deadline has passed */
	PE_LOST,    /* the connection */
	PE_AUTH,    /* access denied */
	PE_SERVER,  /* another error of it */
	PE_TOO_BIG, /* an answer beyond capacity */
	PE_MAX
};

/*
 * The SQL actions of mysql-prober. Each is bounded, re-checks its deadline
 * and the identity of the server process before every statement that changes
 * something, and is safe to repeat.
 */
#define BR_SQL_KINDS(X)                                                   \
	/* super_read_only=ON, bounded lock wait, read back */            \
	X(SQL_FENCE, "fence")                                             \
	/* clear read_only before a limit on the server's clock */        \
	X(SQL_GRANT, "grant")                                             \
	/* STOP REPLICA IO_THREAD: what is received stays */              \
	X(SQL_STOP_RECEIVER, "stop-receiver")                             \
	X(SQL_START_APPLIER, "start-applier")                             \
	/* STOP REPLICA; RESET REPLICA ALL, only when all that was	\
	   received is executed (checked again there) */      \
	X(SQL_RESET_REPLICA, "reset-replica")                             \
	/* STOP REPLICA; CHANGE REPLICATION SOURCE TO; START REPLICA */   \
	X(SQL_SET_SOURCE, "set-source")                                   \
	X(SQL_START_REPLICA, "start-replica")                             \
	X(SQL_STOP_REPLICA, "stop-replica")                               \
	/* CLONE INSTANCE with offline_mode=ON around it */               \
	X(SQL_CLONE, "clone")                                             \
	/* KILL client sessions; replication and system threads spared */ \
	X(SQL_EVICT, "evict")                                             \
	/* RESET PERSIST read_only, super_read_only */                    \
	X(SQL_RESET_PERSIST, "reset-persist")                             \
	/* Not of the core's: group_creds.c asks for these. Accounts	\
	   and grants as the user's Secrets say */    \
	X(SQL_ACCOUNTS, "accounts")                                       \
	/* the source's account and TLS, without a change of source */    \
	X(SQL_REFRESH_SOURCE, "refresh-source")

/*
 * Accounts that come from Secrets (accounts.h has what each may do). The
 * operator's and the replication account are in CREDS, the others in ACCOUNT.
 */
#define BR_ACCOUNTS(X)                   \
	X(AC_OPERATOR, "operator")       \
	X(AC_REPLICATION, "replication") \
	X(AC_APP, "app")                 \
	X(AC_READONLY, "readonly")       \
	X(AC_MONITOR, "monitor")         \
	X(AC_BACKUP, "backup")           \
	X(AC_ROOT, "root")

/* How an SQL action ended. */
#define BR_SQL_ENDS(X)                                          \
	X(SE_DONE, "done")                                      \
	/* a pre-condition did not hold; nothing was changed */ \
	X(SE_REFUSED, "refused")                                \
	/* the server refused a statement */                    \
	X(SE_FAILED, "failed")                                  \
	/* sent, no answer: it may have been done */            \
	X(SE_UNKNOWN, "unknown")

/* A load of the certificate, between the sidecar's parent and mysql. */
enum tls_step {
	TL_BEGIN,   /* to mysql: log in, and look whether one is under way */
	TL_ASK,     /* from it: now? */
	TL_GO,      /* to it: now */
	TL_STOP,    /* to it: not now, and be done */
	TL_SLOW,    /* from it: no answer for a minute; it waits on */
	TL_LOADED,  /* mysqld says that it has it */
	TL_REFUSED, /* mysqld says why it has it not */
	TL_LOST,    /* it was sent, and no answer will come */
	TL_BUSY,    /* not sent: one is under way */
	TL_FAILED,  /* not sent: nobody was let in */
	TL_MAX
};

#define X(id, name) id,
enum br_role { BR_ROLES(X) ROLE_MAX };
enum site_state { BR_SITE_STATES(X) SS_MAX };
enum io_state { BR_IO_STATES(X) IO_MAX };
enum role_label { BR_ROLE_LABELS(X) RL_KEEP, RL_MAX };
enum taint_want { BR_TAINT_WANTS(X) TW_MAX };
enum sql_kind { BR_SQL_KINDS(X) SQL_MAX };
enum sql_end { BR_SQL_ENDS(X) SE_MAX };
enum account { BR_ACCOUNTS(X) AC_MAX };
#undef X

/* Names from the tables above; NULL beyond the set (names.c). */
const char *role_name(unsigned);
const char *site_state_name(unsigned);
const char *io_state_name(unsigned);
const char *role_label_name(unsigned);
const char *sql_kind_name(unsigned);
const char *sql_end_name(unsigned);
const char *account_name(unsigned);
/* The value of a role's name, -1 when it is none. */
int role_parse(const char *);

#endif /* BR_H */
