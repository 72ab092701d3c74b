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
 * bloodraven-guard(8): PID 1 of the MySQL container. Shared by guard*.c only.
 *
 * Two processes. The *keeper* is mysqld's parent: it holds the write lease
 * (lease_guard.c), talks to the sidecar over a Unix socket and to mysqld over
 * another, fences, restarts, reports. The *killer* has one page of memory in
 * common with it and no I/O at all: when the deadline on that page has
 * passed it kills mysqld. Either does it when the other is stopped.
 *
 * Times are milliseconds of CLOCK_BOOTTIME, one `now` per turn of the loop.
 */

#ifndef GUARD_H
#define GUARD_H

#include <sys/types.h>

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lease.h"
#include "myc.h"
#include "wire.h"

/* -------------------------------------------------------------- limits --- */

/* Paths inside the Pod (kube_render.h). */
#define GUARD_DATA_DIR    "/var/lib/mysql"
#define GUARD_CONF_FILE   "/etc/mysql/conf.d/zz-bloodraven-read-only.cnf"
#define GUARD_CREDS_DIR   "/etc/mysql/creds/operator"
#define GUARD_KEYS_DIR    "/etc/bloodraven/keys"
#define GUARD_MYSQLD_SOCK "/var/run/mysqld/mysqld.sock"
#define GUARD_MYSQLX_SOCK "/var/run/mysqld/mysqlx.sock"
#define GUARD_SOCK        "/run/bloodraven/guard.sock"
/* terminationMessagePath of the container, which the kubelet makes. */
#define GUARD_TERM_LOG    "/dev/termination-log"
#define GUARD_ENTRYPOINT  "docker-entrypoint.sh"
#define GUARD_LOCK        ".bloodraven-lock"
#define GUARD_MARK        ".bloodraven-initialising"
#define GUARD_AUTO        "mysqld-auto.cnf" /* SET PERSIST */

#define GUARD_LOCK_MS     60000 /* another Pod of the volume may be ending */
#define GUARD_LOCK_FD     9     /* stays open in mysqld */
#define GUARD_ENDS        3     /* so many ends of the server ... */
#define GUARD_ENDS_MS     60000 /* ... within this: the kubelet's turn */
#define GUARD_EXIT_AGAIN  16    /* mysqld: RESTART, CLONE: start me again */
#define GUARD_ARGS_MAX    256   /* of the server's command line */

#define GUARD_BEAT_MS     1000 /* of the reports */
#define GUARD_HUNG_MS     1000 /* no local answer for so long */
#define GUARD_PROBE_MS    500  /* of the local session: under LEASE_LOOK_MS */
#define GUARD_FENCE_MS    100  /* the same while a fence is due */
#define GUARD_SQL_MS      3000 /* then a session is given up */
#define GUARD_LOGIN_MS    2000
#define GUARD_RETRY_MS    250   /* between attempts to connect */
#define GUARD_STOP_MS     2000  /* SIGTERM: the fence may take so long */
#define GUARD_END_MS      3000  /* and then: silence, or a keeper that stops */
#define GUARD_SWEEP_MS    10000 /* what the server left may take so long */
#define GUARD_SWEEP_NEXT  50
#define GUARD_PROPER_MS   10000 /* an entrypoint becomes the server, or never */
#define GUARD_KILLER_MS   100   /* the killer looks at its page so often */
#define GUARD_DEAD_MS     1000  /* a killer that did not look for so long */
#define GUARD_KEYS_MS     10000
#define GUARD_REFUSED_MS  1000 /* after a refused signature */
#define GUARD_DISK_MS     1000
#define GUARD_DISK_MIN    (1024 * 1024) /* free bytes: below is full */
#define GUARD_CHECK_MIN   100
#define GUARD_ASK_AGAIN   5 /* times as often until there is a quorum */
#define GUARD_FRAME_MAX   8192
#define GUARD_BURST       16 /* frames in one turn: a flood must not hold up */

/* -------------------------------------------------------- pure parts --- */

/* What kind of command the container was given. */
enum guard_cmd {
	GC_SERVER, /* mysqld */
	GC_OTHER   /* something else, or mysqld --help: run it, watch nothing */
};

/* As the entrypoints tell them apart. */
enum guard_cmd guard_cmd_of(char *const argv[]);
/*
 * The server's command line: entrypoint, argv, and what no earlier argument
 * may override. -1 with E2BIG.
 */
int guard_args(const char *out[GUARD_ARGS_MAX], const char *entrypoint,
    char *const argv[], bool read_only);

/* The last ends of the server. */
struct guard_ends {
	int64_t ms[GUARD_ENDS];
	unsigned n;
};

/* Note one; whether there have been too many. */
bool guard_ends_add(struct guard_ends *, int code, int64_t now);
/* 128 + signal, as shells say it. */
int guard_exit_code(int wstatus);

/* Questions under way: which nonce was sent when. */
#define GUARD_NONCES 64
struct guard_nonces {
	struct {
		uint64_t nonce, epoch;
		int64_t sent_ms;
	} q[GUARD_NONCES];
	unsigned next;
};

void guard_nonce_add(
    struct guard_nonces *, uint64_t nonce, uint64_t epoch, int64_t sent_ms);
/* When it was sent; LEASE_NEVER: it was not, or too long ago. */
int64_t
guard_nonce_find(const struct guard_nonces *, uint64_t nonce, uint64_t epoch);

/* ------------------------------------------------------------ killer --- */

/* All that keeper and killer share; on a page of its own. */
struct guard_page {
	_Atomic int64_t kill_ms;  /* LEASE_FOREVER: no */
	_Atomic pid_t target;     /* process group of the server; 0: none */
	_Atomic int64_t beat_ms;  /* the killer looked */
	_Atomic int64_t fired_ms; /* it killed; 0: never */
};

struct guard_killer {
	struct guard_page *page;
	pid_t pid; /* -1: none */
	int64_t born_ms;
	unsigned born; /* how many there were */
};

int guard_killer_init(struct guard_killer *);
/* Fork one. -1: no process could be made. */
int guard_killer_start(struct guard_killer *, int64_t now);
/* It was waited for. */
void guard_killer_ended(struct guard_killer *);
/* Replace one that is dead or stopped. Whether there is one that looks. */
bool guard_killer_watch(struct guard_killer *, int64_t now);

/* --------------------------------------------------------- local SQL --- */

enum guard_ask { GA_NONE, GA_SETUP, GA_PROBE, GA_FENCE };

struct guard_account {
	char user[USER_LEN + 1];
	struct secret password;
};

struct guard_conn {
	struct myc c;
	struct guard_account account; /* of the log-in that runs */
	unsigned nth;                 /* which one that is */
	uint8_t buf[2048];
	enum guard_ask ask;
	int64_t next_ms; /* connect not before */
	bool ready;      /* session set up */
	bool got;        /* a row of the probe */
};

/* What a probe said. */
struct guard_seen {
	bool read_only; /* at least that flag */
	bool both;      /* super_read_only, too */
	bool network;
	char server_uuid[UID_LEN + 1];
	int64_t start_ms;
};

struct guard_sql {
	struct guard_conn conn[2];
	const char *path;
	struct guard_account good; /* that let us in last */
	bool on;                   /* there is a server to talk to */
	bool fence;                /* due */
	int64_t probe_ms;          /* next probe */
	int64_t fence_ms;          /* next attempt */
	int64_t open_ms; /* since then a question is open; LEASE_NEVER */
	bool refused;    /* nobody listens */
	bool leaving;    /* it says that it shuts down */
	/* The newest answer; fresh: not yet taken by the caller. */
	bool fresh;
	int64_t sent_ms;
	struct guard_seen seen;
	bool known;      /* seen.server_uuid, start_ms are this server's */
	unsigned fences; /* sent since it was due */
	unsigned err;    /* last refusal of a fence or a log-in */
	char errtext[MYC_ERR_LEN + 1];
	bool complained;
};

void guard_sql_init(struct guard_sql *, const char *path);
/* A server was started, or ended. */
void guard_sql_reset(struct guard_sql *, bool on);
/* Drive it: connect, ask, fence, read. */
void guard_sql_turn(struct guard_sql *, int64_t now);
int64_t guard_sql_wake(const struct guard_sql *);
/* No answer for GUARD_HUNG_MS, of a server that had answered. */
bool guard_sql_hung(const struct guard_sql *, int64_t now);
/* It has ended our sessions and takes no other: it shuts down. */
bool guard_sql_closed(const struct guard_sql *);

/* --------------------------------------------------------------- link --- */

struct guard_link {
	const char *path;
	int fd; /* -1: down */
	int64_t next_ms;
	uint8_t in[2 + GUARD_FRAME_MAX];
	size_t in_len;
	uint8_t out[2 * (2 + GUARD_FRAME_MAX)];
	size_t out_len;
};

void guard_link_init(struct guard_link *, const char *path);
/* Connect when it is time. Whether it is up. */
bool guard_link_open(struct guard_link *, int64_t now);
void guard_link_close(struct guard_link *, const char *why, int64_t now);
/* Queue a frame; dropped when there is no room: the sidecar hangs. */
void guard_link_send(struct guard_link *, uint32_t type, const void *msg);
/* Write what can be written. */
void guard_link_flush(struct guard_link *, int64_t now);
/*
 * The next frame into *type, *msg: 1; none now: 0; closed: -1.
 */
int guard_link_next(
    struct guard_link *, uint32_t *type, union wire_any *msg, int64_t now);

/* ------------------------------------------------------------- keeper --- */

/* An epoch on offer or in force, as signed: each question carries it. */
struct guard_offer {
	struct w_authority a;
	struct w_signed raw;
};

struct guard {
	/* From the environment. */
	char group[NS_LEN + 1 + NAME_LEN + 1];
	const char *site, *pod_uid, *entrypoint;
	char *const *argv;
	enum guard_cmd cmd;
	sigset_t sigmask; /* as inherited */
	int sigfd;

	struct lease_guard lease;
	struct guard_killer killer;
	struct guard_sql sql;
	struct guard_link link;
	struct guard_ends ends;
	struct guard_nonces nonces;
	struct wire_keys keys;
	bool have_keys;
	int64_t keys_ms;    /* next reading */
	int64_t refused_ms; /* last reading for a refused signature */

	/* The server. */
	pid_t child;         /* 0: none */
	bool first;          /* it initialises the data directory */
	bool init;           /* and is still at it */
	int64_t unmarked_ms; /* its mark was found gone; 0: not yet */
	int stop;            /* signal that was asked for; 0 */
	bool stop_sent, given_up;
	bool stop_fenced; /* it was, when the signal was passed on */
	int64_t stop_ms;
	bool killed;       /* by us, this incarnation */
	bool reaped;       /* waited for, but not yet all that it left */
	bool leftovers;    /* and that was said */
	int64_t reaped_ms; /* since then */
	int reaped_code;
	bool finished;
	int exit_code;

	/* Lease. */
	struct guard_offer offer[2]; /* by epoch, see offer_of() */
	int64_t ask_ms;              /* next round */
	bool was_held;
	struct lease_hold last_hold; /* as it was when last in force */
	uint64_t told_revoked;       /* largest epoch that was revoked */
	bool fencing;                /* begun, not confirmed */
	uint32_t fences, fence_failures, kills;

	/* Reports. */
	struct w_guard said; /* the last one, without serial and left */
	bool say;            /* even if nothing changed */
	int64_t say_ms;      /* next heartbeat */
	uint64_t serial;
	uint32_t ended;
	int64_t ended_code;
	bool disk_full, killer_ok;
	int64_t disk_ms;
};

int64_t guard_now(void);
/* -i: this program to that path, atomically. Exit status. */
int guard_install(const char *path);

void guard_setup_log(void);
/* -1: logged. */
int guard_setup_conf(struct guard *, char *const argv[]);
/* All signals come by sigfd from here on. -1 with errno. */
int guard_setup_signals(struct guard *);
/* Leave the guard's id for the kubelet to tell with the container's end. */
void guard_setup_word(const char *path, uint64_t id);
/* Set-up is over. */
void guard_setup_done(void);

/*
 * Before the first start: lock, what a cut-short initialisation left, which
 * kind of boot this is. -1: logged, the container must end.
 */
int guard_boot(struct guard *, const char *datadir, const char *conf_file);
/* The mark of a first initialisation is still there. */
bool guard_boot_marked(const char *datadir);
/* Remove all but our own files and lost+found. -1 with errno. */
int guard_wipe(int dirfd);
/* 1: there are some that are not ours; 0; -1 with errno. */
int guard_foreign(int dirfd);

/*
 * Before each start of an initialised server: nothing that was persisted may
 * make it writable. -1: logged, it must not be started.
 */
int guard_auto_clean(const char *datadir);
/*
 * The file's text without the entries of both flags, in place. Returns how
 * many there were, -1: it is not JSON (the text is spoilt then); off: one of
 * them may not be ON.
 */
int guard_auto_strip(char *text, size_t *len, bool *off);
/* Whether it may have any. */
bool guard_auto_named(const char *text, size_t len);

/* Start the server (or the command). -1: logged. */
int guard_child_start(struct guard *, int64_t now);
void guard_child_kill(struct guard *);
/* The entrypoint has replaced itself by mysqld. */
bool guard_child_is_server(const struct guard *);
void guard_child_signal(struct guard *, int sig);
/* Wait for whoever ended. True: the server did; its code is set. */
bool guard_child_reap(struct guard *, int *code);
/* As PID 1: end what the last server left behind. Whether nothing is left. */
bool guard_child_sweep(struct guard *);

/* SIGTERM and its like: begin to stop. */
void guard_stop_begin(struct guard *, int sig, int64_t now);
void guard_stop_turn(struct guard *, int64_t now);
/* When the server is to be killed: the lease's word, but for an orderly end. */
int64_t guard_stop_kill_ms(const struct guard *, int64_t now);

/* A frame from the sidecar. */
void guard_lease_frame(
    struct guard *, uint32_t type, const union wire_any *, int64_t now);
/* Ask voters when it is time. */
void guard_lease_ask(struct guard *, int64_t now);
/* Say when an epoch came into force, or ended. */
void guard_lease_log(struct guard *, int64_t now);
/* guard_log.c: why the server is fenced. */
void guard_log_fencing(const struct guard *, int64_t now);
/* Report when something changed, or it is time. */
void guard_lease_report(struct guard *, int64_t now);
void guard_keys_turn(struct guard *, int64_t now);

#endif /* GUARD_H */
