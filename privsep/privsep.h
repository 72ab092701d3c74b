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
 * libprivsep: a parent, its launcher and its sandboxed workers.
 *
 * Knows no MySQL and no Kubernetes. This header is its whole API.
 */

#ifndef PRIVSEP_H
#define PRIVSEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;

#define PS_NITEMS(a) (sizeof(a) / sizeof((a)[0]))

/* ---------------------------------------------------------------- time --- */

/*
 * Monotonic time, in a type of its own so that wall clock cannot slip in.
 * CLOCK_BOOTTIME: a deadline must also pass while the machine is suspended.
 * Comparable between the processes of one machine, never across machines.
 */
struct monotime {
	int64_t ns;
};

struct monotime monotime_now(void);
struct monotime monotime_add_ms(struct monotime, int64_t);
/* a - b, in milliseconds, rounded towards minus infinity. */
int64_t monotime_sub_ms(struct monotime, struct monotime);
/* -1, 0, 1. */
int monotime_cmp(struct monotime, struct monotime);

/* RFC 3339 UTC with nanoseconds of the wall clock, for the edge only. */
#define WALLTIME_LEN 40
void walltime_now(char[static WALLTIME_LEN]);

/*
 * Go duration text ("300ms", "1m30s", "2h") to milliseconds; the one parser
 * of durations. Rounds towards zero, but what is not zero stays at least one
 * millisecond. Returns -1 with EINVAL (malformed) or ERANGE.
 */
int duration_parse(const char *, int64_t *ms);
/* Milliseconds to Go duration text. Returns -1 with ERANGE when it is cut. */
int duration_format(int64_t ms, char *, size_t);

/* ----------------------------------------------------------------- log --- */

#define LOG_LEVELS(X)                                              \
	X(LL_DEBUG, "DEBUG")                                       \
	X(LL_INFO, "INFO") X(LL_WARN, "WARN") X(LL_ERROR, "ERROR")
#define X(id, name) id,
enum log_level { LOG_LEVELS(X) LL_MAX };
#undef X

enum kv_type { KV_END, KV_STR, KV_I64, KV_U64, KV_BOOL, KV_MS };

/* One key and its value; the strings are borrowed for the call. */
struct kv {
	const char *key;
	enum kv_type type;
	union {
		const char *s;
		int64_t i;
		uint64_t u;
	} v;
};

#define KVS(k, val)  { .key = (k), .type = KV_STR, .v.s = (val) }
#define KVI(k, val)  { .key = (k), .type = KV_I64, .v.i = (val) }
#define KVU(k, val)  { .key = (k), .type = KV_U64, .v.u = (val) }
#define KVB(k, val)  { .key = (k), .type = KV_BOOL, .v.i = (val) }
/* A duration in milliseconds, written as Go duration text. */
#define KVMS(k, val) { .key = (k), .type = KV_MS, .v.i = (val) }

/*
 * One JSON object per line, at most 4096 bytes, one non-blocking write(2):
 * time, level, msg, proc, then the pairs. A value that does not fit goes as
 * {"digest","len"} in the record and follows in continuation records
 * (msg "cont", same digest, part numbers). Lines that the reader does not
 * take are counted; the next line that is written reports them as
 * "droppedLines". NULL strings are written as null.
 */
void log_kv(enum log_level, const char *msg, const struct kv *);
#define log_ev(level, msg, ...)                                  \
	log_kv((level), (msg),                                   \
	    (const struct kv[]) {                                \
		__VA_ARGS__ __VA_OPT__(, ) { .type = KV_END } })

/* proc: name of this process in each record. fd: open; made O_NONBLOCK. */
void log_init(const char *proc, enum log_level threshold, int fd);
void log_setlevel(enum log_level);
/*
 * Pairs of every further record of this process and of the workers that it
 * starts, behind "proc". What is longer than LOG_CONTEXT_MAX in all is left
 * out.
 */
#define LOG_CONTEXT_MAX 700
void log_context(const struct kv *);
/*
 * Plain text, as record "warning" with "text" and "error": strerror(errno),
 * of log_warnx null.
 */
void log_warn(const char *, ...) __attribute__((format(printf, 1, 2)));
void log_warnx(const char *, ...) __attribute__((format(printf, 1, 2)));
/*
 * For set-up, out of memory and a peer's protocol violation: record "fatal
 * error" with "error", exit status 1.
 */
void fatal(const char *, ...) __attribute__((format(printf, 1, 2), noreturn));
void fatalx(const char *, ...) __attribute__((format(printf, 1, 2), noreturn));
/* Lines dropped so far, for the metric. */
uint64_t log_dropped(void);

/* -------------------------------------------------------------- secret --- */

/* Large enough for service account tokens and PEM keys. */
#define SECRET_MAX 8192

struct secret {
	uint32_t len;
	uint8_t data[SECRET_MAX + 1]; /* always NUL after len */
};

/* Returns -1 with ERANGE; the old value is wiped first either way. */
int secret_set(struct secret *, const void *, size_t);
void secret_wipe(struct secret *);
/* Constant time in the content. */
bool secret_equal(const struct secret *, const struct secret *);

/* -------------------------------------------------------------- sparse --- */

/*
 * A large struct, most of which stays zero: its pages cost memory when they
 * are first written. sparse_new: zeroed, NULL with ENOMEM. sparse_copy writes
 * only pages that differ. sparse_trim gives pages of zeros back, p is what
 * sparse_new returned; the content does not change.
 */
void *sparse_new(size_t);
void sparse_free(void *, size_t);
void sparse_copy(void *dst, const void *src, size_t);
void sparse_trim(void *p, size_t);

/* --------------------------------------------------------------- codec --- */

/* One frame is one msgpack array [type, field...]. */
#define PS_FRAME_MAX 65536

/*
 * Is this one complete, bounded msgpack value? Depth, breadth, no ext types,
 * no maps, no trailing bytes; allocates nothing. Returns 0, or -1 with
 * EBADMSG. To be called on peer bytes before msgpack-c sees them.
 */
int mpscan(const uint8_t *, size_t, unsigned max_depth, unsigned max_breadth);

enum codec_type {
	CT_BOOL,   /* bool */
	CT_I64,    /* int64_t */
	CT_U32,    /* uint32_t, at most param when param != 0 */
	CT_U64,    /* uint64_t */
	CT_STR,    /* char[param + 1], valid UTF-8 not demanded, no NUL */
	CT_BYTES,  /* struct { uint32_t len; uint8_t data[param]; } */
	CT_SECRET, /* struct secret */
	CT_ARRAY   /* uint32_t n_x at offset, elements at offset2; nests at
			 * most four deep, at most 16384 elements */
};

struct codec_desc;

struct codec_field {
	const char *name;
	enum codec_type type;
	size_t off;
	size_t off2;                            /* CT_ARRAY: first element */
	uint32_t param;                         /* limit */
	const struct codec_desc *(*elem)(void); /* CT_ARRAY */
};

struct codec_desc {
	const char *name;
	const struct codec_field *fields;
	size_t nfields;
	size_t size;   /* sizeof the struct */
	size_t nlater; /* of its fields: an older peer's frame lacks them */
};

/*
 * Encode a struct as [type, field...]. Returns the length, or -1 with ERANGE
 * (a count or string exceeds its limit) or ENOBUFS.
 */
int codec_encode(const struct codec_desc *, uint32_t type, const void *,
    uint8_t *buf, size_t size);
/* The type of a frame. Returns -1 with EBADMSG. Runs mpscan. */
int codec_peek(const uint8_t *, size_t, uint32_t *type);
/*
 * Decode a frame that codec_peek accepted into a zeroed struct. Every length
 * is compared with the destination. Returns 0, or -1 with EBADMSG (shape) or
 * ERANGE (a value beyond its limit).
 */
int codec_decode(const struct codec_desc *, const uint8_t *, size_t, void *);
/*
 * The same for frames of another build. Of the last nlater fields those at the
 * end that are zero or empty are not written, so that one who does not know
 * them yet reads it; when missing, they are zero. What follows the last one
 * that is known is skipped.
 */
int codec_encode_peer(const struct codec_desc *, uint32_t type, const void *,
    uint8_t *buf, size_t size);
int
codec_decode_peer(const struct codec_desc *, const uint8_t *, size_t, void *);
/* FNV-1a over names, types and limits: both ends must agree. */
uint64_t codec_hash(const struct codec_desc *, uint64_t seed);
/* Wipe every CT_SECRET of a decoded or encoded struct, arrays included. */
void codec_wipe(const struct codec_desc *, void *);

/* ----------------------------------------------------------- processes --- */

enum ps_phase { PS_SETUP = 1, PS_RUN = 2 };

/* Id 0 is the parent. Types below PS_MSG_FIRST belong to libprivsep. */
#define PS_PARENT    0
#define PS_MSG_FIRST 16

/* One message of the application's schema. */
struct ps_msg {
	uint32_t type;
	const char *name;
	uint32_t from, to; /* bit masks of 1 << process id */
	unsigned phases;   /* mask of enum ps_phase */
	const struct codec_desc *(*desc)(void);
};

struct ps_schema {
	const struct ps_msg *msgs;
	size_t nmsgs;
	size_t max_size; /* largest struct */
};

struct ps_worker; /* a worker's own view of its channel */
struct ps;        /* the parent's view of all */

/*
 * What a worker may do after it closed its sandbox. The allow-list is the
 * common base (memory, time, epoll, its channel, exit) plus these bits.
 */
#define SB_INET      0x0001 /* socket(2): AF_INET, AF_INET6, TCP, connect */
#define SB_LISTEN    0x0002 /* accept4(2) on sockets opened before */
#define SB_THREADS   0x0004 /* clone(2) with CLONE_THREAD only */
#define SB_READFILES 0x0008 /* openat(2) O_RDONLY below sb_paths[] */
/* socket(2): AF_UNIX, SOCK_STREAM; connect. Keeps the root directory. */
#define SB_UNIX      0x0010
#define SB_WRITEFD   0x0020 /* pwrite64(2), fdatasync(2): files opened before */

struct sandbox {
	unsigned allow; /* SB_* */
	/* SB_READFILES: NULL-terminated; must exist when the sandbox closes.
	 * Without Landlock any file that the user may read can be read. */
	const char *const *paths;
	const uint16_t *connect_ports; /* 0-terminated; NULL: any */
	uint64_t max_as;               /* RLIMIT_AS in bytes, 0: leave */
	unsigned max_files;            /* RLIMIT_NOFILE */
};

enum ps_restart { PS_RESTART_ALWAYS, PS_RESTART_NEVER };

/* procs[]: this table is the design document. */
struct ps_proc {
	const char *title; /* "mysql-prober"; argument of -T */
	unsigned id;       /* 1..31 */
	/*
	 * Runs in the worker with the channel in phase PS_SETUP: may block,
	 * open files and load libraries. Everything that a sandbox forbids
	 * later is done here. Registers its events on ps_base(). Returns 0,
	 * or -1: the worker exits and is respawned with back-off. May be NULL.
	 * Must leave no thread behind: Landlock would not bind it.
	 */
	int (*setup)(struct ps_worker *);
	/* Runs in the worker: one decoded message from the parent. The fd is
	 * owned by the callee, -1 when none came. */
	void (*dispatch)(struct ps_worker *, uint32_t type, void *msg, int fd);
	/* Runs in the parent: one decoded message from this worker. */
	void (*parent_dispatch)(struct ps *, unsigned from, uint32_t type,
	    void *msg, int fd, void *arg);
	const struct sandbox *sandbox;
	enum ps_restart restart;
	const char *user; /* setresuid target when root; or NULL */
	/*
	 * Program beside the running one that holds this worker, so that the
	 * others never map its libraries; NULL: the running one. Its main()
	 * calls ps_worker_main() with a table of its own workers.
	 */
	const char *exe;
};

struct ps_conf {
	const struct ps_proc *procs;
	size_t nprocs;
	const struct ps_schema *schema;
	bool no_sandbox; /* --disable-sandbox builds */
	enum log_level level;
	int64_t setup_ms; /* set-up deadline; 0: 10 s */
	void *arg;        /* for the callbacks */
	/*
	 * A worker has come up (its channel is in PS_SETUP: the messages sent
	 * from here reach setup() through ps_worker_recv()); then ps sends
	 * GO, the worker closes its sandbox and answers READY.
	 */
	void (*on_setup)(struct ps *, unsigned id, void *arg);
	void (*on_ready)(struct ps *, unsigned id, void *arg);
	/* A worker died: no observation, never a site failure. Not called
	 * for those that ps_shutdown() ends. */
	void (*on_death)(struct ps *, unsigned id, int wstatus, void *arg);
};

/*
 * Called first thing in main(): if argv holds -T title this process is a
 * worker; the call runs it and never returns. Otherwise returns at once.
 */
void ps_worker_main(int argc, char **argv, const struct ps_conf *);

/*
 * Parent: fork the launcher (before any secret is read), then spawn all
 * workers through it, each set up synchronously with a 10 s deadline
 * (HELLO with the schema's hash, on_setup messages, GO, READY). Fatal when
 * one fails. Afterwards the caller closes the parent's own sandbox with
 * ps_sandbox_parent().
 */
struct ps *ps_start(const struct ps_conf *, struct event_base *);
/* readdirs: NULL-terminated list of what the parent may still read. */
void ps_sandbox_parent(struct ps *, const char *const *readdirs);
/*
 * Queue a message. fd, when not -1, is passed and closed here, also when this
 * fails. Returns 0, or -1 with ENOBUFS (queue full: 256 frames or 4 MiB),
 * ENOTCONN (worker is down, or in another phase), ERANGE (see codec_encode,
 * or longer than a frame), EINVAL (not in the schema). Secrets in the struct
 * stay the caller's.
 */
int ps_send(struct ps *, unsigned id, uint32_t type, const void *msg, int fd);
bool ps_is_up(const struct ps *, unsigned id);
/* Respawns of this worker so far, for the metric. */
uint64_t ps_restarts(const struct ps *, unsigned id);
/*
 * Staged shutdown: closes the channels in the order given (0-terminated
 * ids, then those not named), waits for each exit up to ms, then kills. Ends
 * the launcher and frees ps: not to be called from a callback of ps.
 */
void ps_shutdown(struct ps *, const unsigned *order, int64_t ms);

/* Worker side. */
struct event_base *ps_base(struct ps_worker *);
/*
 * As ps_send, to the parent. A full queue towards the parent is fatal, and so
 * is a message that the schema does not let this worker send now.
 */
int ps_worker_send(struct ps_worker *, uint32_t type, const void *msg, int fd);
/*
 * Phase PS_SETUP only: wait for the next message of this type, up to the
 * set-up deadline; out is the message's struct. Messages of other types that
 * come before it go to dispatch(), as do those that set-up never asks for.
 * Returns 0, or -1 with ETIMEDOUT, or ENOMSG: the parent has sent all it had.
 */
int ps_worker_recv(struct ps_worker *, uint32_t type, void *out, int *fd);
/*
 * Frames that the parent has not taken yet. For workers that pass on what
 * others send: a full queue is fatal, so they stop reading long before.
 */
size_t ps_worker_queued(const struct ps_worker *);
/* Leave the loop and exit 0 after the queue was flushed. */
void ps_worker_stop(struct ps_worker *);

/*
 * For regress/sandbox: close this profile in the calling process. EBUSY when
 * it has more than one thread: Landlock binds the calling one only. Calls
 * that are denied softly return EACCES and are logged; others end the process
 * with status SANDBOX_EXIT and one log line.
 */
#define SANDBOX_EXIT 159 /* 128 + SIGSYS */
int sandbox_enter(const struct sandbox *, const char *title, bool use_landlock);
/* A process ended by a forbidden call: the wait(2) status of that. A call of a
 * foreign architecture is the kernel's own to end, with SIGSYS. */
bool sandbox_violated(int wstatus);
/* Landlock's ABI on this kernel, 0 when absent. */
int sandbox_landlock_abi(void);

#endif /* PRIVSEP_H */
