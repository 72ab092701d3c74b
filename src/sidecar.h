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
 * bloodraven-sidecar(8) from the inside: the guard's voice towards operator
 * and peers, and a voter of other sites' epochs (bloodraven-fencing(7)).
 *
 * The parent holds the keys, signs and verifies, and has the voter's state.
 * Its workers: link (link.c, frames), memory (the promise file), mysql (what
 * mysqld says), http (endpoints). None of them holds a key; the death of
 * mysql and http delays no renewal.
 */

#ifndef SIDECAR_H
#define SIDECAR_H

#include <sys/queue.h>

#include "conf.h"
#include "msg.h"
#include "wire.h"

struct event;
struct event_base;

/* -------------------------------------------------------------- limits --- */

#define SC_CONNS        160   /* of link: trusted, strangers, outbound, local */
#define SC_PEERS        32    /* voters of two epochs */
#define SC_PENDING      16    /* promises that wait for the disk */
#define SC_KEYS_MS      10000 /* keys and account are read again */
#define SC_KEYS_MIN_MS  1000  /* at most so often, whoever is refused */
#define SC_RETRY_MS     1000  /* a promise that the disk refused */
#define SC_REPORT_MS    100 /* the guard's answer to a beat, else without it */
#define SC_QUIET_LOG    10000 /* refused frames: a line at most so often */
/* A voter that no question names any more. */
#define SC_PEER_IDLE_MS 60000

/* ---------------------------------------------------- sidecar_conf.c --- */

#define SC_OWNER_LEN    (NS_LEN + NAME_LEN + NAME_LEN + 2)

struct sc_conf {
	enum log_level level;
	char group[NS_LEN + 1 + NAME_LEN + 1]; /* "namespace/name" */
	char site[NAME_LEN + 1];
	char pod_uid[UID_LEN + 1];
	char pod_name[NAME_LEN + 1];
	bool identity; /* namespace, group and site are known */
	int64_t lease_ms, check_ms;
	char listen[HOST_LEN + 1]; /* http */
	char link[HOST_LEN + 1];
	char run_dir[HOST_LEN - 15]; /* guard.sock */
	char data_dir[HOST_LEN + 1]; /* the promise file */
	char keys_dir[HOST_LEN + 1];
	char mysql_sock[HOST_LEN + 1];
	char ca_file[HOST_LEN + 1], cert_file[HOST_LEN + 1]; /* or empty, */
	char tls_dir[HOST_LEN + 1];   /* where both are */
	char creds_dir[HOST_LEN + 1]; /* empty: the next two */
	char user[USER_LEN + 1];
	struct secret password;
	char unused[MSGTEXT_LEN + 1]; /* variables that are not acted on */
};

/*
 * From the environment. Returns 0, or -1 after it wrote to stderr what is
 * wrong and which variable it is about; what was clamped is logged later by
 * sc_conf_log().
 */
int sc_conf_parse(struct sc_conf *, int argc, char **argv);
void sc_conf_log(struct sc_conf *);
/* The account of creds_dir: its dsn, or username and password. -1 with errno, *name the file. */
int sc_creds_read(
    const struct sc_conf *, struct m_sc_mysql_conf *, const char **name);

/* --------------------------------------------------------- sidecar.c --- */

struct sc_peer;

/* A connection that link has told of. */
struct sc_conn {
	TAILQ_ENTRY(sc_conn) entry;
	uint64_t conn;
	bool inbound, trusted, operator, leader;
	char site[NAME_LEN + 1]; /* whom it must be, or says to be */
	char pod_uid[UID_LEN + 1];
	char peer[HOST_LEN + 1];
	uint64_t id;          /* voter id it says to have */
	struct w_sight sight; /* of an operator that stands by; or none */
	int64_t sight_ms;     /* when it came */
	struct wire_link wl;
	unsigned idle; /* beats since it was heard */
};
TAILQ_HEAD(sc_conns, sc_conn);

/* A voter of our guard's epochs: where it is, by the leader's word. */
struct sc_peer {
	uint64_t id;
	char site[NAME_LEN + 1]; /* empty: not known yet (from the note) */
	char ip[IP_LEN + 1];
	uint32_t port;
	int64_t wanted_ms; /* a question or an offer named it */
};

#define SC_DIGEST 32

/* By which a server process is known again (sidecar_tls.c). 0: not known. */
struct sc_server {
	int64_t session_ns, start_ns;
	uint64_t guard;
	uint32_t incarnation;
};

/* A file that was not exchanged meanwhile. */
struct sc_stamp {
	uint64_t dev, ino, size;
	int64_t ctime_ns;
};

/* The certificate: what shall be, what is mounted, what mysqld has. */
struct sc_tls {
	bool wanted;
	uint8_t want[SC_DIGEST]; /* by the leader's word */
	/* as it is mounted: ca.crt, tls.crt */
	struct sc_stamp stamp[2];
	uint8_t have[SC_DIGEST];
	int err, open_err; /* errno: they can't be read; opened */
	bool logged;
	/* the load that is under way */
	enum { SCT_IDLE, SCT_BEGUN, SCT_SENT } state;
	uint64_t nr;
	struct sc_stamp sent_stamp[2];
	/* of the last one that was sent */
	uint8_t sent[SC_DIGEST];
	struct sc_server server;
	bool loaded;  /* it has this one */
	bool perhaps; /* nobody knows */
	/* the next one */
	int64_t due_ms, wait_ms;
};

/* An authority of our guard, whose signature was found good. */
struct sc_authority {
	struct w_signed s;
	struct w_authority a;
};

struct sidecar {
	struct sc_conf conf;
	struct event_base *base;
	struct ps *ps;
	struct event *beat, *report, *keys_ev, *retry;
	struct event *sigs[3];
	/* keys */
	struct wire_keys keys;
	bool have_keys;
	int64_t keys_ms; /* when they were read */
	/* links */
	struct sc_conns conns;
	unsigned nconns;
	uint64_t guard_conn; /* 0: none */
	bool link_up;
	int64_t refused_log_ms;
	/* the voter */
	struct lease_voter voter; /* id 0: no memory */
	int memory_fd;            /* keeps the file locked */
	uint32_t lease_ms;        /* the longest of all it heard of */
	struct m_sc_durable durable;
	struct m_sc_put put; /* asked of memory */
	struct {
		uint64_t conn, epoch;
	} pending[SC_PENDING];
	unsigned npending;
	uint64_t yes_epoch;
	int64_t yes_ms;
	int64_t view_check_ms; /* the group's, by the newest authority */
	/* the guard */
	struct w_signed guard; /* its last report */
	bool have_guard;
	struct w_guard said; /* decoded */
	uint64_t ask_serial;
	bool awaiting;                /* an answer to W_GUARD_ASK */
	bool dirty;                   /* a report is due */
	uint64_t revoked_seen;        /* by the operator's word */
	struct sc_authority known[2]; /* newest first */
	struct sc_peer peers[SC_PEERS];
	unsigned npeers;
	struct sc_tls tls;
	/* for the endpoints */
	struct m_sc_state state;
	struct m_sc_mysql mysql;
	uint64_t violations[32]; /* of sandboxes, by worker */
};

int64_t sc_now_ms(void);
/* The interval of the newest authority, or the environment's. */
int64_t sc_check_ms(const struct sidecar *);
/* false: it was not sent. */
bool sc_send(struct sidecar *, unsigned proc, uint32_t type, const void *);
/* Tell http, and, soon, the operators. */
void sc_changed(struct sidecar *);
void sc_state_send(struct sidecar *);
/* Read the keys; when they can't be read, the old ones stay. */
void sc_keys_read(struct sidecar *, bool at_start);
/*
 * A signature was refused (errno EACCES): its key may be newer than our file
 * of keys was. True: it was read again, so try again.
 */
bool sc_keys_again(struct sidecar *);
/* wire_check by the keys of a site (empty: the operator's), with that. */
int sc_check(struct sidecar *, const struct w_signed *, const char *site,
    uint32_t type, void *out);
int sc_run(const struct sc_conf *);

/* ---------------------------------------------------- sidecar_link.c --- */

void sc_link_up(struct sidecar *, const struct m_link_up *);
void sc_link_down(struct sidecar *, uint64_t conn, const char *error);
void sc_link_rx(struct sidecar *, const struct m_link_rx *);
/* link died: all its connections with it. */
void sc_link_lost(struct sidecar *);
/* To one that has proved itself. */
void sc_seal(struct sidecar *, struct sc_conn *, uint32_t type, const void *);
struct sc_conn *sc_conn_find(struct sidecar *, uint64_t conn);
/* Each beat: who is silent too long is closed. */
void sc_link_beat(struct sidecar *);

/* --------------------------------------------------- sidecar_voter.c --- */

void sc_memory(struct sidecar *, const struct m_sc_memory *, int fd);
void sc_durable(struct sidecar *, const struct m_sc_durable *);
/* Ask memory again for what it has not confirmed. */
void sc_memory_put(struct sidecar *, bool again);
/* An authority was seen, signed: how long its lease is. */
void sc_lease(struct sidecar *, uint32_t lease_ms);
/* A peer's guard asks. false: it may not; close. */
bool sc_ask(struct sidecar *, struct sc_conn *, const struct w_ask *);
void sc_promise_ask(
    struct sidecar *, struct sc_conn *, const struct w_promise_ask *);
/* An authority was seen, signed: what /peer/active-site says. */
void sc_view(struct sidecar *, const struct w_authority *);

/* --------------------------------------------------- sidecar_guard.c --- */

void sc_guard_up(struct sidecar *, uint64_t conn);
void sc_guard_down(struct sidecar *, uint64_t conn);
/* A frame of the guard's. false: it is none of its; close. */
bool sc_guard_rx(struct sidecar *, const uint8_t *, size_t);
/* A voter's or the leader's answer: to the guard. */
void sc_yes(struct sidecar *, const struct w_yes *);
/* false: not signed by the operator, or not of this group; close. */
bool sc_offer(struct sidecar *, const struct w_offer *);
bool sc_revocation(struct sidecar *, const struct w_revocation *);
/* W_REPORT to one, or to all that have proved themselves. */
void sc_report_to(struct sidecar *, struct sc_conn *);
void sc_report_all(struct sidecar *);
void sc_guard_beat(struct sidecar *);

/* ----------------------------------------------------- sidecar_tls.c --- */

/* The certificate that the leader says is good; 32 bytes, or none. */
void sc_tls_want(struct sidecar *, const uint8_t *digest, size_t len);
/* Each beat, and when mysqld answers: what is to be done? */
void sc_tls_look(struct sidecar *);
void sc_tls_says(struct sidecar *, const struct m_sc_tls_says *);
/* mysql died. */
void sc_tls_lost(struct sidecar *);

/* --------------------------------------------------- sidecar_peers.c --- */

/* Voters of an authority of our guard. true: one is new. */
bool sc_peers_want(struct sidecar *, const struct w_authority *);
/* Where they are. true: one is elsewhere now. */
bool sc_peers_addrs(struct sidecar *, const struct w_offer *);
/* Whom to connect to: to link. */
void sc_peers_send(struct sidecar *);
/*
 * Through memory, for the next sidecar: it asks at once whom this one asked,
 * also when no operator is there to say where they are.
 */
void sc_peers_remember(struct sidecar *);
void sc_peers_note(struct sidecar *, const uint8_t *, size_t);
/* Those that no question names any more. */
void sc_peers_drop(struct sidecar *);

/* ----------------------------------------------------------- workers --- */

int sc_mem_setup(struct ps_worker *);
void sc_mem_dispatch(struct ps_worker *, uint32_t type, void *msg, int fd);
extern const struct sandbox sc_mem_sandbox;
int sc_mysql_setup(struct ps_worker *);
void sc_mysql_dispatch(struct ps_worker *, uint32_t type, void *msg, int fd);
extern const struct sandbox sc_mysql_sandbox;
/*
 * sidecar_reload.c: a session of its own, with the newest account, or with the
 * one that was let in last.
 */
int sc_reload_setup(struct ps_worker *);
void sc_reload_dispatch(const struct m_sc_tls *,
    const struct m_sc_mysql_conf *account, const struct m_sc_mysql_conf *good);
int sc_http_setup(struct ps_worker *);
void sc_http_dispatch(struct ps_worker *, uint32_t type, void *msg, int fd);
extern const struct sandbox sc_http_sandbox;

/* sidecar_main.c: the table. */
extern const struct ps_conf sc_procs_conf;
void sc_dispatch(
    struct ps *, unsigned from, uint32_t type, void *msg, int fd, void *arg);
void sc_on_setup(struct ps *, unsigned id, void *arg);
void sc_on_ready(struct ps *, unsigned id, void *arg);
void sc_on_death(struct ps *, unsigned id, int wstatus, void *arg);

#endif /* SIDECAR_H */
