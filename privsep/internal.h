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

/* What the files of libprivsep tell each other; not part of the API. */

#ifndef PRIVSEP_INTERNAL_H
#define PRIVSEP_INTERNAL_H

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <sys/types.h>
#include <sys/queue.h>

#include "privsep.h"

struct event;

/* -------------------------------------------------------------- limits --- */

#define PS_CHAN_FD     3     /* a worker's channel */
#define PS_IDS         32    /* process ids are bits of a mask */
#define PS_SETUP_MS    10000 /* spawn to READY */
#define PS_BACKOFF_MIN 100   /* first respawn, then doubled */
#define PS_BACKOFF_MAX 30000
#define PS_WELL_MS     60000 /* a worker up this long ran well */
#define PS_DEATHS      5     /* so many within PS_DEATHS_MS: give up */
#define PS_DEATHS_MS   60000
#define PS_LAUNCHER_MS 5000 /* its own end, at shutdown */
#define PS_REAP_MS     1000 /* channel EOF to exit, then SIGKILL */

#define CHAN_QFRAMES   256
#define CHAN_QBYTES    (4 * 1024 * 1024)
#define CHAN_BURST     64 /* frames read in one turn of the loop */

#define MP_DEPTH_MAX   16 /* bound of mpscan's own stack */
#define CODEC_DEPTH    9  /* frame, then four levels of CT_ARRAY */
#define CODEC_BREADTH  16384

/* ------------------------------------------------------------- msgpack --- */

enum mp_type {
	MP_NIL,
	MP_BOOL,
	MP_UINT,
	MP_NEGINT,
	MP_FLOAT,
	MP_STR,
	MP_BIN,
	MP_ARRAY
};

/* A cursor over borrowed bytes. */
struct mp {
	const uint8_t *p;
	size_t left;
};

struct mp_val {
	enum mp_type type;
	uint64_t u;          /* MP_BOOL, MP_UINT */
	int64_t i;           /* MP_NEGINT */
	uint32_t len;        /* bytes; MP_ARRAY: elements */
	const uint8_t *data; /* MP_STR, MP_BIN */
};

/* The next value, of an array its header only. -1 with EBADMSG. */
int mp_next(struct mp *, struct mp_val *);

/* ------------------------------------------------------------- channel --- */

struct chan_frame {
	TAILQ_ENTRY(chan_frame) entry;
	size_t len;
	int fd;
	uint8_t data[];
};

struct chan {
	int fd;                /* -1: closed */
	struct event *rd, *wr; /* NULL: not attached */
	TAILQ_HEAD(, chan_frame) queue;
	size_t nframes, nbytes;
	bool dead; /* nobody reads at the other end */
	/* The fd (or -1) is the callee's; buf is wiped afterwards. */
	void (*on_frame)(struct chan *, const uint8_t *, size_t, int, void *);
	/* EOF (err 0), EPROTO (not a frame), or another errno of recvmsg. */
	void (*on_end)(struct chan *, int err, void *);
	void *arg;
};

enum chan_read { CHAN_FRAME, CHAN_AGAIN, CHAN_END };

int chan_pair(int[2]);
void chan_init(struct chan *);
/* Takes the fd; it is made non-blocking. */
void chan_open(struct chan *, int fd);
int chan_attach(struct chan *, struct event_base *);
void chan_detach(struct chan *);
void chan_close(struct chan *);
/* The fd is closed here in every case. -1: ENOBUFS, ENOTCONN, EMSGSIZE. */
int chan_send(struct chan *, const uint8_t *, size_t, int fd);
/* Write what can be written. 0: the queue is empty; -1 with EAGAIN, EPIPE. */
int chan_flush(struct chan *);
/* One frame, without blocking. CHAN_END: errno is 0, EPROTO or another. */
enum chan_read chan_read(struct chan *, uint8_t *, size_t, size_t *, int *);
/* Deliver frames up to max; the channel may be closed by the callbacks. */
void chan_drain(struct chan *, unsigned max);

/* -------------------------------------------------- own frames --- */

enum ps_own { PS_HELLO = 1, PS_WELCOME, PS_GO, PS_READY };

struct ps_hello {
	uint64_t hash;
};
struct ps_welcome {
	uint32_t level;
};
struct ps_empty {
	bool unused;
};

/* Parent to launcher, and back. */
enum launch_op {
	LAUNCH_SPAWN = 1,
	LAUNCH_KILL, /* requests */
	LAUNCH_SPAWNED,
	LAUNCH_FAILED,
	LAUNCH_EXIT /* answers */
};

struct launch {
	uint32_t id;
	int64_t pid;
	int64_t status; /* wait status, signal or errno */
};

const struct codec_desc *ps_hello_desc(void);
const struct codec_desc *ps_welcome_desc(void);
const struct codec_desc *ps_empty_desc(void);
const struct codec_desc *launch_desc(void);

const struct ps_msg *schema_find(const struct ps_schema *, uint32_t);
uint64_t schema_hash(const struct ps_schema *);
const struct ps_proc *ps_proc_find(const struct ps_conf *, unsigned);
int poll_until(int fd, short events, struct monotime);

/* The launcher's life; sock is its end of the socketpair. */
void launcher_main(const struct ps_conf *, int sock) __attribute__((noreturn));

/* ------------------------------------------------------------- sandbox --- */

bool sandbox_disabled(const struct ps_conf *);
int64_t setup_ms(const struct ps_conf *);
/* Worker as root: chroot, setgroups, setresgid, setresuid; no capability. */
int sandbox_drop(const char *user, bool keep_root_dir);
/* -1 with EBUSY when there are more threads. Without /proc: 0. */
int sandbox_single_threaded(void);
int sandbox_rlimits(const struct sandbox *);
/* The deny-list that every process below the launcher inherits. */
int sandbox_launcher(const struct ps_conf *);
int sandbox_parent(const char *const *readdirs);

#define SB_WAIT 0x8000 /* wait4(2), waitid(2): the parent */

int seccomp_allow_list(unsigned allow);
int seccomp_deny_list(void);
int landlock_enter(const struct sandbox *);
int landlock_exec_only(const struct ps_conf *);
/* Path of the program that holds a worker. -1 with ENAMETOOLONG. */
int worker_program(const struct ps_proc *, char *, size_t);
/* The SIGSYS handler: one log line, then exit or EACCES. */
int seccomp_trap_init(const char *title);

/* ---------------------------------------------------------------- util --- */

#define FNV_SEED 14695981039346656037ULL

uint64_t fnv1a(uint64_t, const void *, size_t);
uint64_t fnv1a_str(uint64_t, const char *);
int fd_nonblock(int);
int log_fd(void);
/* Environment of a worker: the pairs of log_context(); NULL: none. */
#define LOG_ENV "BLOODRAVEN_LOG_CONTEXT"
char *log_context_env(void);
enum log_level log_getlevel(void);
/* Fields of a wall clock time, without locks: for signal handlers too. */
size_t walltime_format(int64_t sec, long nsec, char[static WALLTIME_LEN]);

/* -------------------------------------------------------------- memory --- */

/* Give back what is not in use (memory.c): once, and now and ever after. */
void memory_settle(void);
void memory_settle_on(struct event_base *);

#endif /* PRIVSEP_INTERNAL_H */
