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
 * A small client of the API server: curl multi inside libevent. Used by
 * kube-watcher and dns-writer, each with its own token.
 *
 * After kh_new() nothing blocks, no file is opened and no thread starts: the
 * server is reached by address, its CA came as bytes.
 */

#ifndef KUBE_HTTP_H
#define KUBE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "br.h"
#include "privsep.h"

struct event_base;
struct kh;
struct kh_req;

/* An answer that is collected, not streamed, may have this many bytes. */
#define KH_BODY_MAX    (8u << 20)
/* One object; etcd's own limit is 1.5 MiB. */
#define KH_OBJECT_MAX  (2u << 20)
/* Every request is answered or given up within this, unless it says else. */
#define KH_DEADLINE_MS 5000
#define KH_PATH_MAX    2048
/*
 * Many groups may want the same at the same moment, and each request of its
 * own connection has 100 KB of TLS and a handshake: what nobody waits for takes
 * turns. Its deadline runs from its turn.
 */
#define KH_PATIENT_MAX 8

enum kh_method { KH_GET, KH_POST, KH_PUT, KH_PATCH, KH_DELETE };

/* Content types of bodies. */
#define KH_JSON      "application/json"
#define KH_MERGE     "application/merge-patch+json"
#define KH_JSONPATCH "application/json-patch+json"
#define KH_APPLY     "application/apply-patch+yaml"
/* Of answers: rows with the columns that kubectl shows. */
#define KH_TABLE     "application/json;as=Table;g=meta.k8s.io;v=v1"

struct kh_conf {
	const char *host; /* name in the certificate */
	const char *ip;   /* where to connect */
	uint32_t port;
	const void *ca; /* PEM; copied */
	size_t ca_len;
	/*
	 * Every request that ended, streams only when they were answered.
	 * May be NULL.
	 */
	void (*on_result)(void *, bool answered);
	/* For the metric: each request that was sent. May be NULL. */
	void (*on_request)(
	    void *, const char *verb, const char *resource, long status);
	/* An answer was 401: a newer token is needed. May be NULL. */
	void (*on_401)(void *);
	void *arg;
};

/* How a request ended. Borrowed for the call. */
struct kh_resp {
	long status;            /* HTTP status, 0: no answer */
	bool sent;              /* false: the server never saw it */
	bool refused;           /* the may_send() said no */
	bool too_big;           /* the answer was beyond max_body */
	bool silent;            /* ended by idle_ms or head_ms */
	bool headless;          /* no header ever came */
	int64_t sent_ns;        /* struct monotime of sending, or 0 */
	int64_t retry_after_ms; /* 0: not told */
	const char *body;       /* NUL after len */
	size_t len;
	const char *error; /* of the transport, when status is 0 */
};

/*
 * Is this HTTP status the server's last word: will it refuse the very same
 * request again? What is not, and worth a repeat:
 *
 *	401	the token ran out; a newer one is asked for (on_401)
 *	408	somebody on the way lost patience with the connection; whether
 *		the server saw the request is not known
 *	409	something else stands there than was thought: who looks again
 *		may succeed. A POST whose object is there ("AlreadyExists") is
 *		never made, which its caller must know
 *	429	too many requests just now; Retry-After says when
 *	5xx	the server, etcd or a webhook cannot at the moment
 *
 * All other 4xx are about the request or what it names: 400 is malformed, 403
 * not allowed by a rule or a policy, 404 not there, 405, 406 and 415 not
 * offered, 410 too old, 413 too big, 422 invalid.
 */
bool kh_definite(long status);
/* That, or what lasts as a rule: worth being told to a human. */
bool kh_lasts(long status);
/* The server's own words, or the client's; "" when there are none. */
void kh_why(const struct kh_resp *, char why[static ERR_LEN + 1]);

typedef void kh_done_fn(void *, const struct kh_resp *);
/* A piece of a streamed 200 answer. -1 ends the request as broken. */
typedef int kh_data_fn(void *, const char *, size_t);
/* Asked when the connection stands and the request is about to be written. */
typedef bool kh_may_fn(void *);

struct kh_opts {
	enum kh_method method;
	const char *path;   /* with query; copied */
	const char *accept; /* static; NULL: objects as JSON */
	const char *type;   /* content type of body */
	const char *body;   /* copied */
	size_t len;
	int64_t deadline_ms; /* 0: KH_DEADLINE_MS */
	int64_t idle_ms;     /* streams: longest silence, 0: any */
	int64_t head_ms;     /* the same until headers come, 0 */
	size_t max_body;     /* 0: KH_OBJECT_MAX */
	bool multiplex;      /* HTTP/2, one connection for many */
	bool patient;        /* no more than KH_PATIENT_MAX such at once */
	kh_may_fn *may_send; /* NULL: always */
	kh_data_fn *data;    /* NULL: collect */
	kh_done_fn *done;
	void *arg;
};

/*
 * Loads what OpenSSL and curl read from files and checks the CA. NULL with
 * a log line when the CA is unusable.
 */
struct kh *kh_new(struct event_base *, const struct kh_conf *);
/* Requests that are left are done() as refused. */
void kh_free(struct kh *);
void kh_token(struct kh *, const struct secret *);
/*
 * Start a request; done() is called exactly once from the event loop, never
 * from within this call, and not at all after kh_cancel().
 */
struct kh_req *kh_send(struct kh *, const struct kh_opts *);
void kh_cancel(struct kh_req *);
/* Requests in flight, watches included. */
unsigned kh_inflight(const struct kh *);
/* Those of them that may change something. */
unsigned kh_writing(const struct kh *);
/* Requests that were sent, by whether they can change something. */
void kh_counts(const struct kh *, uint64_t *reads, uint64_t *writes);

/* Kerberos, cookies and the like, for libcurl (curl.lds): ends the process. */
_Noreturn void kh_left_out(void);

/* ------------------------------------------------------------ back-off --- */

/* Doubling from min to max, each taken between 75 and 100 %. */
struct backoff {
	int64_t min_ms, max_ms;
	int64_t cur_ms; /* 0: no failure yet */
};

/* rnd: any 32 random bits. */
int64_t backoff_next(struct backoff *, uint32_t rnd);
void backoff_reset(struct backoff *);

#define KH_RESOURCE_LEN 63
/* "pods" of "/api/v1/namespaces/x/pods/y?…"; the last segment of others. */
void kh_resource(const char *path, char[static KH_RESOURCE_LEN + 1]);
/* The path of a collection, of one namespace or of all (""). */
void kh_collection(char[static KH_PATH_MAX], const char *api, const char *ns,
    const char *plural);

/* Percent-encode for a query or a path segment; -1 with ERANGE. */
int kh_escape(char *, size_t, const char *);

#endif /* KUBE_HTTP_H */
