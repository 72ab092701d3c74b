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
 * The HTTP client of kube-watcher and dns-writer: see kube_http.h.
 *
 * Callbacks of curl only note what happened; the caller's functions run after
 * curl_multi_socket_action() has returned, so that they may start and cancel
 * requests (curl refuses both from inside a callback).
 */

#include <sys/queue.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <curl/curl.h>
#include <errno.h>
#include <event2/event.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kube_http.h"

/* Connecting and the TLS handshake; the server is near or away. */
#define CONNECT_MS      2500
/* Unanswered bytes or keep-alives for this long: the peer is gone. */
#define USER_TIMEOUT_MS 10000
#define KEEP_IDLE_S     5L
#define KEEP_INTVL_S    2L
#define IDLE_CONNS      8L
/* A burst's connections are not kept for the next: each has 100 KB of TLS. */
#define IDLE_S          10L
/* After a request that was never answered, idle connections are suspect. */
#define SUSPECT_MS      15000

TAILQ_HEAD(kh_reqs, kh_req);

struct kh {
	struct event_base *base;
	CURLM *multi;
	struct event *timer;
	struct kh_conf c;
	char *host, *ip, *origin;
	struct curl_slist *connect_to;
	struct curl_blob ca;
	struct secret token;
	struct kh_reqs all, dirty, waiting;
	unsigned inflight, patients;
	uint64_t reads, writes;
	struct monotime suspect_until;
	bool draining;
};

struct kh_req {
	TAILQ_ENTRY(kh_req) link, dlink, wlink;
	struct kh *kh;
	CURL *easy;
	struct curl_slist *hdr;
	struct kh_opts o;
	char *body;
	char *buf; /* received, not delivered */
	size_t len, cap;
	struct event *idle;
	int64_t begun_ns, sent_ns;
	bool sent, refused, too_big, silent, headed;
	bool dirty, ended, waits;
	CURLcode res;
	char resource[KH_RESOURCE_LEN + 1];
	char err[CURL_ERROR_SIZE];
};

static const char *const methods[] = { "GET", "POST", "PUT", "PATCH",
	"DELETE" };

/* A curl socket and its libevent watch. */
struct kh_sock {
	struct kh *kh;
	struct event *ev;
};

static void kh_drain(struct kh *);
static void req_free(struct kh_req *);

/* ------------------------------------------------------ curl ↔ libevent --- */

static void
check_ended(struct kh *kh)
{
	struct kh_req *r;
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(kh->multi, &left)) != NULL) {
		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &r);
		r->ended = true;
		r->res = m->data.result;
		if (!r->dirty) {
			r->dirty = true;
			TAILQ_INSERT_TAIL(&kh->dirty, r, dlink);
		}
	}
}

static void
socket_action(struct kh *kh, curl_socket_t fd, int what)
{
	int running;

	curl_multi_socket_action(kh->multi, fd, what, &running);
	check_ended(kh);
	kh_drain(kh);
}

static void
on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct kh_sock *s = arg;

	socket_action(s->kh, fd,
	    (what & EV_READ ? CURL_CSELECT_IN : 0) |
		(what & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct kh *kh = arg;

	(void)fd;
	(void)what;
	socket_action(kh, CURL_SOCKET_TIMEOUT, 0);
}

static int
curl_timer(CURLM *multi, long ms, void *arg)
{
	struct kh *kh = arg;
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	(void)multi;
	if (ms < 0)
		event_del(kh->timer);
	else
		event_add(kh->timer, &tv);
	return 0;
}

static int
curl_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *sockp)
{
	struct kh *kh = arg;
	struct kh_sock *s = sockp;
	short ev = EV_PERSIST;

	(void)easy;
	if (s != NULL) {
		event_free(s->ev);
		s->ev = NULL;
	}
	if (what == CURL_POLL_REMOVE) {
		free(s);
		curl_multi_assign(kh->multi, fd, NULL);
		return 0;
	}
	if (s == NULL) {
		if ((s = calloc(1, sizeof(*s))) == NULL)
			fatal("calloc");
		s->kh = kh;
		curl_multi_assign(kh->multi, fd, s);
	}
	if (what & CURL_POLL_IN)
		ev |= EV_READ;
	if (what & CURL_POLL_OUT)
		ev |= EV_WRITE;
	s->ev = event_new(kh->base, fd, ev, on_socket, s);
	if (s->ev == NULL || event_add(s->ev, NULL) == -1)
		fatalx("event_new");
	return 0;
}

/* A peer that vanished without a FIN must not be waited for. */
static int
curl_sockopt(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	unsigned ms = USER_TIMEOUT_MS;

	(void)arg;
	(void)purpose;
	if (setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms)) ==
	    -1)
		log_warn("TCP_USER_TIMEOUT");
	return CURL_SOCKOPT_OK;
}

/* 33 KB of a connection that has nothing to read or write. */
static CURLcode
curl_ssl(CURL *easy, void *ctx, void *arg)
{
	(void)easy;
	(void)arg;
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	return CURLE_OK;
}

static int
curl_prereq(void *arg, char *pip, char *lip, int pport, int lport)
{
	struct kh_req *r = arg;

	(void)pip;
	(void)lip;
	(void)pport;
	(void)lport;
	if (r->o.may_send != NULL && !r->o.may_send(r->o.arg)) {
		r->refused = true;
		return CURL_PREREQFUNC_ABORT;
	}
	r->sent = true;
	r->sent_ns = monotime_now().ns;
	if (r->o.method == KH_GET)
		r->kh->reads++;
	else
		r->kh->writes++;
	return CURL_PREREQFUNC_OK;
}

static bool
is_stream(struct kh_req *r)
{
	long status = 0;

	if (r->o.data == NULL)
		return false;
	curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
	return status == 200;
}

static void
arm_idle(struct kh_req *r, int64_t ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	if (r->idle != NULL && event_add(r->idle, &tv) == -1)
		fatalx("event_add");
}

static size_t
curl_header(char *p, size_t size, size_t n, void *arg)
{
	struct kh_req *r = arg;

	(void)p;
	if (!r->headed)
		arm_idle(r, r->o.idle_ms);
	r->headed = true;
	return size * n;
}

static size_t
curl_write(char *p, size_t size, size_t n, void *arg)
{
	struct kh_req *r = arg;
	size_t cap;
	char *buf;

	n *= size;
	if (!is_stream(r) && n > r->o.max_body - r->len) {
		r->too_big = true;
		return 0;
	}
	if (n >= r->cap - r->len) {
		for (cap = r->cap + 4096; n >= cap - r->len; cap *= 2)
			;
		if ((buf = realloc(r->buf, cap)) == NULL)
			fatal("realloc");
		r->buf = buf;
		r->cap = cap;
	}
	memcpy(r->buf + r->len, p, n);
	r->len += n;
	if (r->o.data != NULL && !r->dirty) {
		r->dirty = true;
		TAILQ_INSERT_TAIL(&r->kh->dirty, r, dlink);
	}
	return n;
}

/* ------------------------------------------------------------ delivery --- */

static void
req_result(struct kh_req *r, struct kh_resp *p)
{
	curl_off_t after = 0;

	memset(p, 0, sizeof(*p));
	curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &p->status);
	curl_easy_getinfo(r->easy, CURLINFO_RETRY_AFTER, &after);
	p->sent = r->sent;
	p->sent_ns = r->sent_ns;
	p->refused = r->refused;
	p->too_big = r->too_big;
	p->silent = r->silent;
	p->headless = !r->headed;
	p->retry_after_ms = after > 0 ? (int64_t)after * 1000 : 0;
	/* A cut answer is no answer; a stream's end may come as a cut. */
	if (r->res != CURLE_OK) {
		p->status = 0;
		p->error = r->silent  ? "silent for too long" :
		    r->refused        ? "not allowed any more" :
		    r->err[0] != '\0' ? r->err :
					curl_easy_strerror(r->res);
	}
	if (r->buf != NULL) {
		r->buf[r->len] = '\0';
		p->body = r->buf;
		p->len = r->len;
	} else
		p->body = "";
}

static void
req_done(struct kh_req *r)
{
	struct kh *kh = r->kh;
	struct kh_resp p;

	req_result(r, &p);
	if (p.status == 0 && !p.refused && !p.too_big) {
		kh->suspect_until = monotime_add_ms(monotime_now(), SUSPECT_MS);
	}
	/* Off the lists before the callback: it may free its owner. */
	TAILQ_REMOVE(&kh->all, r, link);
	kh->inflight--;
	/* A watch that breaks says nothing about the server as a whole. */
	if (kh->c.on_result != NULL && !p.refused &&
	    (p.status != 0 || p.too_big || r->o.data == NULL))
		kh->c.on_result(kh->c.arg, p.status != 0 || p.too_big);
	log_ev(LL_DEBUG, "API request", KVS("method", methods[r->o.method]),
	    KVS("resource", r->resource), KVI("status", p.status),
	    KVMS("took", (monotime_now().ns - r->begun_ns) / 1000000),
	    KVB("stream", r->o.data != NULL), KVS("error", p.error));
	if (kh->c.on_request != NULL && r->sent)
		kh->c.on_request(
		    kh->c.arg, methods[r->o.method], r->resource, p.status);
	if (p.status == 401 && kh->c.on_401 != NULL)
		kh->c.on_401(kh->c.arg);
	r->o.done(r->o.arg, &p);
	req_free(r);
}

static void
req_break(struct kh_req *r, const char *why)
{
	r->ended = true;
	r->res = CURLE_WRITE_ERROR;
	(void)snprintf(r->err, sizeof(r->err), "%s", why);
}

/* Hand the streamed bytes over. Returns false when the request is gone. */
static bool
req_data(struct kh_req *r)
{
	struct kh *kh = r->kh;
	struct kh_req *t;
	char *buf = r->buf;
	size_t len = r->len, cap = r->cap;
	int rc;

	r->buf = NULL;
	r->len = r->cap = 0;
	arm_idle(r, r->o.idle_ms);
	rc = r->o.data(r->o.arg, buf, len);
	freezero(buf, cap);
	/* The callback may have cancelled its own request. */
	TAILQ_FOREACH (t, &kh->all, link)
		if (t == r)
			break;
	if (t == NULL)
		return false;
	if (rc == -1)
		req_break(r, "unexpected bytes in the stream");
	return true;
}

static void
kh_drain(struct kh *kh)
{
	struct kh_req *r;

	if (kh->draining)
		return;
	kh->draining = true;
	while ((r = TAILQ_FIRST(&kh->dirty)) != NULL) {
		TAILQ_REMOVE(&kh->dirty, r, dlink);
		r->dirty = false;
		if (r->len > 0 && is_stream(r) && !req_data(r))
			continue;
		if (r->ended)
			req_done(r);
	}
	kh->draining = false;
}

static void
on_idle(evutil_socket_t fd, short what, void *arg)
{
	struct kh_req *r = arg;

	(void)fd;
	(void)what;
	r->silent = true;
	req_break(r, "");
	if (!r->dirty) {
		r->dirty = true;
		TAILQ_INSERT_TAIL(&r->kh->dirty, r, dlink);
	}
	kh_drain(r->kh);
}

/* ------------------------------------------------------------ requests --- */

static void
req_begin(struct kh_req *r)
{
	r->begun_ns = monotime_now().ns;
	if (curl_multi_add_handle(r->kh->multi, r->easy) != CURLM_OK)
		fatalx("curl_multi_add_handle");
}

static void
next_patient(struct kh *kh)
{
	struct kh_req *r;

	while (kh->patients < KH_PATIENT_MAX &&
	    (r = TAILQ_FIRST(&kh->waiting)) != NULL) {
		TAILQ_REMOVE(&kh->waiting, r, wlink);
		r->waits = false;
		kh->patients++;
		req_begin(r);
	}
}

static void
req_free(struct kh_req *r)
{
	struct curl_slist *h;

	if (r->dirty)
		TAILQ_REMOVE(&r->kh->dirty, r, dlink);
	if (r->waits)
		TAILQ_REMOVE(&r->kh->waiting, r, wlink);
	else {
		curl_multi_remove_handle(r->kh->multi, r->easy);
		if (r->o.patient)
			r->kh->patients--;
	}
	next_patient(r->kh);
	curl_easy_cleanup(r->easy);
	for (h = r->hdr; h != NULL; h = h->next)
		explicit_bzero(h->data, strlen(h->data));
	curl_slist_free_all(r->hdr);
	if (r->idle != NULL)
		event_free(r->idle);
	/* Bodies and answers may hold Secrets and tokens. */
	if (r->buf != NULL)
		freezero(r->buf, r->cap);
	if (r->body != NULL)
		freezero(r->body, r->o.len);
	free(r);
}

static void
req_header(struct kh_req *r, const char *line)
{
	struct curl_slist *l = curl_slist_append(r->hdr, line);

	if (l == NULL)
		fatalx("curl_slist_append");
	r->hdr = l;
}

static void
req_headers(struct kh_req *r)
{
	static const char bearer[] = "Authorization: Bearer ";
	char line[sizeof(bearer) + SECRET_MAX], type[128];

	(void)snprintf(type, sizeof(type), "Accept: %s",
	    r->o.accept != NULL ? r->o.accept : KH_JSON);
	req_header(r, type);
	req_header(r, "Expect:");
	if (r->kh->token.len > 0) {
		(void)snprintf(line, sizeof(line), "%s%s", bearer,
		    (const char *)r->kh->token.data);
		req_header(r, line);
		explicit_bzero(line, sizeof(line));
	}
	if (r->o.body != NULL) {
		(void)snprintf(
		    type, sizeof(type), "Content-Type: %s", r->o.type);
		req_header(r, type);
	}
	curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, r->hdr);
}

static void
req_method(struct kh_req *r)
{
	CURL *e = r->easy;

	if (r->o.body != NULL) {
		if ((r->body = malloc(r->o.len + 1)) == NULL)
			fatal("malloc");
		memcpy(r->body, r->o.body, r->o.len);
		curl_easy_setopt(e, CURLOPT_POSTFIELDS, r->body);
		curl_easy_setopt(
		    e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->o.len);
	} else if (r->o.method == KH_GET)
		curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
	curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, methods[r->o.method]);
}

static void
req_options(struct kh_req *r)
{
	struct kh *kh = r->kh;
	CURL *e = r->easy;
	bool suspect = monotime_cmp(monotime_now(), kh->suspect_until) < 0;

	curl_easy_setopt(e, CURLOPT_PRIVATE, r);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, r->err);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(e, CURLOPT_PROXY, "");
	curl_easy_setopt(e, CURLOPT_CONNECT_TO, kh->connect_to);
	curl_easy_setopt(e, CURLOPT_CAINFO_BLOB, &kh->ca);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(e, CURLOPT_SSL_CTX_FUNCTION, curl_ssl);
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION,
	    r->o.multiplex ? (long)CURL_HTTP_VERSION_2TLS :
			     (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(e, CURLOPT_PIPEWAIT, r->o.multiplex ? 1L : 0L);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)r->o.deadline_ms);
	curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, IDLE_S);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPIDLE, KEEP_IDLE_S);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPINTVL, KEEP_INTVL_S);
	curl_easy_setopt(e, CURLOPT_SOCKOPTFUNCTION, curl_sockopt);
	curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, curl_prereq);
	curl_easy_setopt(e, CURLOPT_PREREQDATA, r);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, curl_write);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, r);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, curl_header);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, r);
	curl_easy_setopt(e, CURLOPT_USERAGENT, "bloodraven");
	/* A multiplexed one would then never share a connection. */
	if (suspect && !r->o.multiplex)
		curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L);
}

static void
req_start_idle(struct kh_req *r)
{
	if (r->o.idle_ms == 0)
		return;
	r->idle = evtimer_new(r->kh->base, on_idle, r);
	if (r->idle == NULL)
		fatalx("evtimer_new");
	arm_idle(r, r->o.head_ms != 0 ? r->o.head_ms : r->o.idle_ms);
}

struct kh_req *
kh_send(struct kh *kh, const struct kh_opts *o)
{
	struct kh_req *r;
	char *url = NULL;

	if ((r = calloc(1, sizeof(*r))) == NULL)
		fatal("calloc");
	r->kh = kh;
	r->o = *o;
	if (r->o.deadline_ms == 0)
		r->o.deadline_ms = KH_DEADLINE_MS;
	if (r->o.max_body == 0)
		r->o.max_body = KH_OBJECT_MAX;
	if ((r->easy = curl_easy_init()) == NULL)
		fatalx("curl_easy_init");
	if (asprintf(&url, "%s%s", kh->origin, o->path) == -1)
		fatal("asprintf");
	curl_easy_setopt(r->easy, CURLOPT_URL, url);
	free(url);
	kh_resource(o->path, r->resource);
	r->o.path = NULL;
	req_options(r);
	req_method(r);
	req_headers(r);
	r->o.body = r->o.type = NULL;
	req_start_idle(r);
	TAILQ_INSERT_TAIL(&kh->all, r, link);
	kh->inflight++;
	if (r->o.patient) {
		r->waits = true;
		TAILQ_INSERT_TAIL(&kh->waiting, r, wlink);
		next_patient(kh);
	} else
		req_begin(r);
	return r;
}

void
kh_cancel(struct kh_req *r)
{
	TAILQ_REMOVE(&r->kh->all, r, link);
	r->kh->inflight--;
	req_free(r);
}

unsigned
kh_inflight(const struct kh *kh)
{
	return kh->inflight;
}

unsigned
kh_writing(const struct kh *kh)
{
	const struct kh_req *r;
	unsigned n = 0;

	TAILQ_FOREACH (r, &kh->all, link)
		if (r->o.method != KH_GET)
			n++;
	return n;
}

void
kh_counts(const struct kh *kh, uint64_t *reads, uint64_t *writes)
{
	*reads = kh->reads;
	*writes = kh->writes;
}

void
kh_token(struct kh *kh, const struct secret *s)
{
	secret_wipe(&kh->token);
	kh->token = *s;
}

/* -------------------------------------------------------------- set-up --- */

/* In the place of what curl.lds leaves out. */
void
kh_left_out(void)
{
	fatalx("libcurl calls what it was linked without");
}

/*
 * What a first TLS connection would load from files is loaded here, and a CA
 * bundle that cannot work is told now instead of at each connection.
 */
static int
warm_up(const void *ca, size_t len)
{
	SSL_CTX *ctx = NULL;
	BIO *bio = NULL;
	X509 *x = NULL;
	int r = -1;

	if ((ctx = SSL_CTX_new(TLS_client_method())) == NULL ||
	    (bio = BIO_new_mem_buf(ca, (int)len)) == NULL)
		goto out;
	if ((x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) == NULL) {
		log_warnx("the API server's CA is not a PEM certificate");
		goto out;
	}
	r = 0;
out:
	X509_free(x);
	BIO_free(bio);
	SSL_CTX_free(ctx);
	return r;
}

static void
kh_multi(struct kh *kh)
{
	if ((kh->multi = curl_multi_init()) == NULL)
		fatalx("curl_multi_init");
	curl_multi_setopt(kh->multi, CURLMOPT_SOCKETFUNCTION, curl_socket);
	curl_multi_setopt(kh->multi, CURLMOPT_SOCKETDATA, kh);
	curl_multi_setopt(kh->multi, CURLMOPT_TIMERFUNCTION, curl_timer);
	curl_multi_setopt(kh->multi, CURLMOPT_TIMERDATA, kh);
	curl_multi_setopt(kh->multi, CURLMOPT_MAXCONNECTS, IDLE_CONNS);
	curl_multi_setopt(
	    kh->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
}

static void
kh_address(struct kh *kh)
{
	bool six = strchr(kh->host, ':') != NULL;
	char *to = NULL;

	if (asprintf(&kh->origin, "https://%s%s%s:%u", six ? "[" : "", kh->host,
		six ? "]" : "", kh->c.port) == -1)
		fatal("asprintf");
	six = strchr(kh->ip, ':') != NULL;
	if (asprintf(&to, "::%s%s%s:%u", six ? "[" : "", kh->ip, six ? "]" : "",
		kh->c.port) == -1)
		fatal("asprintf");
	kh->connect_to = curl_slist_append(NULL, to);
	free(to);
}

struct kh *
kh_new(struct event_base *base, const struct kh_conf *c)
{
	struct kh *kh;

	tzset();
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		fatalx("curl_global_init");
	if (warm_up(c->ca, c->ca_len) == -1)
		return NULL;
	if ((kh = calloc(1, sizeof(*kh))) == NULL ||
	    (kh->ca.data = malloc(c->ca_len)) == NULL ||
	    (kh->host = strdup(c->host)) == NULL ||
	    (kh->ip = strdup(c->ip)) == NULL)
		fatal("malloc");
	kh->base = base;
	kh->c = *c;
	memcpy(kh->ca.data, c->ca, c->ca_len);
	kh->ca.len = c->ca_len;
	kh->ca.flags = CURL_BLOB_NOCOPY;
	TAILQ_INIT(&kh->all);
	TAILQ_INIT(&kh->dirty);
	TAILQ_INIT(&kh->waiting);
	if ((kh->timer = evtimer_new(base, on_timer, kh)) == NULL)
		fatalx("evtimer_new");
	kh_multi(kh);
	kh_address(kh);
	return kh;
}

void
kh_free(struct kh *kh)
{
	struct kh_req *r;

	/* Owners free what belongs to their requests. */
	while ((r = TAILQ_FIRST(&kh->all)) != NULL) {
		r->refused = true;
		r->res = CURLE_ABORTED_BY_CALLBACK;
		req_done(r);
	}
	curl_multi_cleanup(kh->multi);
	event_free(kh->timer);
	curl_slist_free_all(kh->connect_to);
	secret_wipe(&kh->token);
	free(kh->ca.data);
	free(kh->origin);
	free(kh->host);
	free(kh->ip);
	free(kh);
}
