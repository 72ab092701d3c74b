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
 * kube-watcher: the only process that talks to the API server with the
 * operator's own token.
 *
 * Rights: TCP to the API server. No file after set-up, no MySQL, no listening
 * socket. It holds the token and, while they pass through, the passwords of
 * the groups' Secrets.
 */

#include <sys/socket.h>

#include <arpa/inet.h>
#include <event2/event.h>
#include <malloc.h>
#include <netdb.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kube.h"
#include "metrics.h"
#include "procs.h"

static struct kube *kube;		/* of this process */

const struct sandbox kube_sandbox = {
	.allow = SB_INET,
	.max_files = 256,
};

/* ----------------------------------------------------------- to the parent */

void
kube_tell(struct kube *k, uint32_t type, const void *msg)
{
	k->send(k->send_arg, type, msg);
}

void
kube_ack(struct kube *k, const char *group, uint64_t seq,
    const struct kh_resp *p, const char *error)
{
	struct m_ack m = { .seq = seq };

	(void)strlcpy(m.group, group, sizeof(m.group));
	m.ok = error == NULL;
	if (p != NULL) {
		m.code = (uint32_t)p->status;
		m.unknown = p->status == 0 && p->sent;
	}
	if (error != NULL)
		(void)strlcpy(m.error, error, sizeof(m.error));
	kube_tell(k, MSG_ACK, &m);
}

static void
tell_synced(struct kube *k)
{
	struct m_synced m = { k->synced, k->api_ok };

	if (k->api_ok == k->api_told && k->synced == k->synced_told)
		return;
	k->api_told = k->api_ok;
	k->synced_told = k->synced;
	kube_tell(k, MSG_SYNCED, &m);
}

void
kube_check_synced(struct kube *k)
{
	if (k->synced || k->w_pods == NULL || !kwatch_synced(k->w_groups) ||
	    !kwatch_synced(k->w_pods))
		return;
	for (int i = 0; i < KW_MAX; i++)
		if (!kwatch_synced(k->w_owned[i]))
			return;
	k->synced = true;
	tell_synced(k);
}

/* -------------------------------------------------------------- leadership */

bool
kube_may_write(const struct kube *k)
{
	if (!k->leader)
		return false;
	return !k->conf.leader_elect ||
	    lease_valid(&k->lease, monotime_now().ns);
}

bool
kube_may_write_fn(void *arg)
{
	return kube_may_write(arg);
}

bool
kgroup_may_write(void *arg)
{
	return kube_may_write(((struct kgroup *)arg)->k);
}

static void
deadline_arm(struct kube *k)
{
	int64_t ms = (lease_deadline(&k->lease) - monotime_now().ns) /
	    1000000 + 1;
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	if (ms < 0)
		tv = (struct timeval){ 0, 0 };
	event_add(k->deadline_timer, &tv);
}

static void
tell_lease(struct kube *k)
{
	struct m_lease m = { .held = k->leader };

	m.deadline_ns = !k->leader ? 0 : k->conf.leader_elect ?
	    lease_deadline(&k->lease) : INT64_MAX;
	(void)strlcpy(m.holder, k->lease.holder, sizeof(m.holder));
	m.transitions = k->lease.transitions;
	kube_tell(k, MSG_LEASE, &m);
	if (!k->leader || !k->conf.leader_elect)
		event_del(k->deadline_timer);
	else
		deadline_arm(k);
}

static void
lead(struct kube *k)
{
	struct kgroup *g;

	k->leader = true;
	log_ev(LL_INFO, "became leader", KVS("identity", k->conf.identity));
	tell_lease(k);
	RB_FOREACH(g, kgroups, &k->groups) {
		kgroup_kick(g);
		if (!g->valid)
			kevent_emit(g, true, "InvalidSpec", g->problem);
	}
}

static void
unlead(struct kube *k, const char *why)
{
	k->leader = false;
	log_ev(LL_WARN, "leadership ended", KVS("reason", why),
	    KVS("holder", k->lease.holder));
	tell_lease(k);
}

/*
 * Leading begins when the groups, and with them the records, were read by a
 * quorum read that began after the Lease was taken: nothing is decided on
 * what a predecessor may have replaced.
 */
void
kube_groups_listed(struct kube *k)
{
	if (k->leader)
		return;
	k->taking = false;
	if (!k->conf.leader_elect || lease_valid(&k->lease,
	    monotime_now().ns))
		lead(k);
}

static void
lease_changed(struct kube *k)
{
	bool valid = lease_valid(&k->lease, monotime_now().ns);

	if (k->leader && !valid)
		unlead(k, k->lease.releasing ? "released" : "lease lost");
	else if (k->leader)
		tell_lease(k);
	else if (valid && !k->taking) {
		k->taking = true;
		kwatch_relist(k->w_groups);
	}
}

static void
lease_arm(struct kube *k)
{
	int64_t ms = lease_wait(&k->lease, monotime_now().ns, arc4random());
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	event_add(k->lease_timer, &tv);
}

static void
lease_answer(struct kube *k, bool wrote, const struct kh_resp *p)
{
	int64_t now = monotime_now().ns;
	struct klease o;
	yyjson_doc *d;

	if (p->status == 404 && !wrote) {
		lease_seen(&k->lease, now, NULL);
		return;
	}
	if ((p->status != 200 && p->status != 201) ||
	    (d = kj_read(p->body, p->len)) == NULL) {
		lease_unsure(&k->lease);
		return;
	}
	if (klease_decode(yyjson_doc_get_root(d), &o) == -1)
		lease_unsure(&k->lease);
	else if (wrote)
		lease_written(&k->lease, p->sent_ns, &o);
	else
		lease_seen(&k->lease, now, &o);
	yyjson_doc_free(d);
}

static void
lease_done(struct kube *k, bool wrote, const struct kh_resp *p)
{
	struct klease b;

	k->lease_req = NULL;
	lease_answer(k, wrote, p);
	lease_changed(k);
	/* What was just found to be free is taken at once. */
	if (!wrote && p->status != 0 && !k->lease.held &&
	    lease_next(&k->lease, monotime_now().ns, 0, &b) != LD_GET)
		event_active(k->lease_timer, EV_TIMEOUT, 0);
	else
		lease_arm(k);
}

static void
lease_got(void *arg, const struct kh_resp *p)
{
	lease_done(arg, false, p);
}

static void
lease_put(void *arg, const struct kh_resp *p)
{
	lease_done(arg, true, p);
}

static int64_t
wall_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void
lease_send(struct kube *k)
{
	char path[KH_PATH_MAX], coll[KPATH_LEN];
	struct klease b;
	struct kcall c = { .k = k, .path = path, .done = lease_put, .arg = k };

	(void)snprintf(coll, sizeof(coll),
	    "/apis/coordination.k8s.io/v1/namespaces/%s/leases",
	    k->conf.namespace);
	(void)snprintf(path, sizeof(path), "%s/%s", coll, BR_LEASE);
	switch (lease_next(&k->lease, monotime_now().ns, wall_us(), &b)) {
	case LD_GET:
		c.method = KH_GET;
		c.done = lease_got;
		break;
	case LD_CREATE:
		c.method = KH_POST;
		c.path = coll;
		break;
	case LD_UPDATE:
		c.method = KH_PUT;
		break;
	}
	if (c.method != KH_GET) {
		b.ns = k->conf.namespace;
		b.name = BR_LEASE;
		c.doc = kj_new();
		c.root = klease_render(c.doc, &b);
		c.type = KH_JSON;
	}
	k->lease_req = kube_call(&c);
}

static void
version_done(void *arg, const struct kh_resp *p)
{
	struct kube *k = arg;

	(void)p;
	k->lease_req = NULL;
	lease_arm(k);
}

static void
on_lease(int fd, short what, void *arg)
{
	struct kube *k = arg;
	struct kcall c = { .k = k, .method = KH_GET, .path = "/version",
	    .done = version_done, .arg = k };

	(void)fd;
	(void)what;
	if (k->lease_req != NULL)
		return;
	if (!k->conf.leader_elect)
		k->lease_req = kube_call(&c);	/* is the API server there? */
	else
		lease_send(k);
}

/* The deadline passes without any answer, too. */
static void
on_deadline(int fd, short what, void *arg)
{
	struct kube *k = arg;

	(void)fd;
	(void)what;
	if (!k->leader)
		return;
	if (kube_may_write(k))
		deadline_arm(k);
	else
		unlead(k, "not renewed in time");
}

static void
release(struct kube *k)
{
	lease_release(&k->lease);
	if (k->leader)
		unlead(k, "released");
	event_active(k->lease_timer, EV_TIMEOUT, 0);
}

/* ---------------------------------------------------------------- requests */

void
klane_init(struct klane *l, struct kube *k, void (*run)(int, short, void *),
    void *arg, int64_t min_ms, int64_t max_ms)
{
	if ((l->timer = evtimer_new(k->base, run, arg)) == NULL)
		fatalx("evtimer_new");
	l->backoff.min_ms = min_ms;
	l->backoff.max_ms = max_ms;
}

void
klane_free(struct klane *l)
{
	if (l->req != NULL)
		kh_cancel(l->req);
	l->req = NULL;
	if (l->timer != NULL)
		event_free(l->timer);
	l->timer = NULL;
}

void
klane_in(struct klane *l, int64_t ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	event_add(l->timer, &tv);
}

void
klane_retry(struct klane *l, const struct kh_resp *p)
{
	int64_t ms = backoff_next(&l->backoff, arc4random());

	if (p != NULL && p->retry_after_ms > ms)
		ms = p->retry_after_ms < 30000 ? p->retry_after_ms : 30000;
	klane_in(l, ms);
}

void
klane_ok(struct klane *l)
{
	backoff_reset(&l->backoff);
}

struct kh_req *
kube_call(const struct kcall *c)
{
	struct kh_opts o = {
		.method = c->method, .path = c->path, .type = c->type,
		.may_send = c->may, .done = c->done, .arg = c->arg,
		.max_body = KH_BODY_MAX,
	};
	struct kh_req *r;
	char *text = NULL;
	size_t len = 0;

	if (c->root != NULL) {
		text = kj_write(c->root, &len);
		o.body = text;
		o.len = len;
	} else if (c->doc != NULL)
		fatalx("JSON memory");		/* a renderer failed */
	r = kh_send(c->k->kh, &o);
	if (text != NULL)
		kj_free(text, len);
	if (c->doc != NULL)
		yyjson_mut_doc_free(c->doc);
	return r;
}

static void
on_result(void *arg, bool answered)
{
	struct kube *k = arg;

	if (k->api_ok == answered)
		return;
	k->api_ok = answered;
	log_ev(answered ? LL_INFO : LL_WARN, answered ?
	    "API server answers" : "API server does not answer",
	    KVS("host", k->conf.host));
	tell_synced(k);
}

static void
send_metric(void *arg, const struct m_metric *m)
{
	kube_tell(arg, MSG_METRIC, m);
}

static void
on_request(void *arg, const char *verb, const char *resource, long status)
{
	struct metric_sink sink = { send_metric, arg };
	char code[8];

	(void)snprintf(code, sizeof(code), "%ld", status);
	(void)metric_add(&sink, M_API_REQUESTS, 1, ML("kube-watcher", verb,
	    resource, code));
}

static void
on_401(void *arg)
{
	struct kube *k = arg;
	struct m_token_ask m = { .refused = true };
	int64_t now = monotime_now().ns;

	/* Once for the burst that one stale token causes. */
	if (now < k->asked_ns + INT64_C(1000000000))
		return;
	k->asked_ns = now;
	log_ev(LL_WARN, "API server refused the token");
	kube_tell(k, MSG_TOKEN_ASK, &m);
}

/* ---------------------------------------------------------------- messages */

static void
new_token(struct kube *k, const struct m_kube_token *m)
{
	kh_token(k->kh, &m->token);
	kwatch_kick(k->w_groups);
	if (k->w_pods != NULL)
		kwatch_kick(k->w_pods);
	for (int i = 0; i < KW_MAX; i++)
		if (k->w_owned[i] != NULL)
			kwatch_kick(k->w_owned[i]);
}

/* Messages about a group that is gone meanwhile are answered, if at all. */
static void
refuse(struct kube *k, uint32_t type, const void *msg)
{
	const struct m_record_put *r = msg;
	const struct m_pod_delete *d = msg;
	const struct m_pod_release *p = msg;

	if (type == MSG_RECORD_PUT)
		kube_ack(k, r->group, r->seq, NULL, "no such group");
	else if (type == MSG_POD_DELETE)
		kube_ack(k, d->group, d->seq, NULL, "no such group");
	else if (type == MSG_POD_RELEASE)
		kube_ack(k, p->group, p->seq, NULL, "no such group");
}

static void
group_message(struct kube *k, struct kgroup *g, uint32_t type,
    const void *msg)
{
	const struct m_event *e = msg;

	switch (type) {
	case MSG_SITE_STATUS:
		kstatus_site(g, msg);
		break;
	case MSG_GROUP_STATUS:
		kstatus_group(g, msg);
		break;
	case MSG_RECORD_PUT:
		krecord_put(g, msg);
		break;
	case MSG_POD_DELETE:
		kpod_delete(k, msg);
		break;
	case MSG_POD_RELEASE:
		kpod_release(k, msg);
		break;
	case MSG_EVENT:
		kevent_emit(g, e->warning, e->reason, e->message);
		break;
	case MSG_ANNOTATION_DEL:
		kannotation_del(g, msg);
		break;
	case MSG_GROUP_RELEASE:
		g->release = true;
		kgroup_finalizer(g);
		break;
	case MSG_CREDS_ASK:
		kcreds_ask(g);
		break;
	default:
		fatalx("unexpected message %u", type);
	}
}

void
kube_message(struct kube *k, uint32_t type, const void *msg)
{
	const char *uid = msg;		/* the first field of the rest */
	struct kgroup *g;

	if (type == MSG_KUBE_TOKEN) {
		new_token(k, msg);
		return;
	}
	if (type == MSG_LEASE_RELEASE) {
		release(k);
		return;
	}
	if (type == MSG_CREDS_ASK && uid[0] == '\0') {
		ktoken_ask(k);
		return;
	}
	if ((g = kgroup_by_uid(k, uid)) != NULL)
		group_message(k, g, type, msg);
	else
		refuse(k, type, msg);
}

void
kube_dispatch(struct ps_worker *w, uint32_t type, void *msg, int fd)
{
	(void)w;
	if (fd != -1)
		fatalx("unexpected descriptor with message %u", type);
	kube_message(kube, type, msg);
}

/* ------------------------------------------------------------------ set-up */

struct kube *
kube_new(struct event_base *base, const struct m_kube_conf *conf,
    const struct secret *token,
    void (*send)(void *, uint32_t, const void *), void *arg)
{
	struct kube *k;
	struct kh_conf c = {
		.host = conf->host, .ip = conf->ip, .port = conf->port,
		.ca = conf->ca.data, .ca_len = conf->ca.len,
		.on_result = on_result, .on_request = on_request,
		.on_401 = on_401,
	};

	if ((k = calloc(1, sizeof(*k))) == NULL)
		fatal("calloc");
	c.arg = k;
	k->base = base;
	k->conf = *conf;
	k->conf.ca.len = 0;
	k->send = send;
	k->send_arg = arg;
	RB_INIT(&k->groups);
	TAILQ_INIT(&k->waiting);
	if ((k->kh = kh_new(base, &c)) == NULL) {
		free(k);
		return NULL;
	}
	kh_token(k->kh, token);
	lease_init(&k->lease, conf->identity, conf->lease_ms, conf->renew_ms,
	    conf->retry_ms);
	if ((k->lease_timer = evtimer_new(base, on_lease, k)) == NULL ||
	    (k->deadline_timer = evtimer_new(base, on_deadline, k)) == NULL)
		fatalx("evtimer_new");
	event_active(k->lease_timer, EV_TIMEOUT, 0);
	kgroups_start(k);
	ktoken_start(k);
	kdiscovery_start(k);
	return k;
}

void
kube_free(struct kube *k)
{
	struct kgroup *g;

	while ((g = RB_MIN(kgroups, &k->groups)) != NULL)
		kgroup_free(g);
	kwatch_free(k->w_groups);
	if (k->w_pods != NULL)
		kwatch_free(k->w_pods);
	for (int i = 0; i < KW_MAX; i++)
		if (k->w_owned[i] != NULL)
			kwatch_free(k->w_owned[i]);
	klane_free(&k->token);
	event_free(k->lease_timer);
	event_free(k->deadline_timer);
	event_free(k->discovery_timer);
	kh_free(k->kh);
	free(k);
}

static void
to_parent(void *arg, uint32_t type, const void *msg)
{
	if (ps_worker_send(arg, type, msg, -1) == -1)
		fatal("message %s", msg_name(type));
}

static bool
is_address(const char *s)
{
	struct in6_addr a;

	return inet_pton(AF_INET, s, &a) == 1 ||
	    inet_pton(AF_INET6, s, &a) == 1;
}

/* A name is looked up now, while blocking is allowed, and never again. */
int
kube_address(struct m_kube_conf *c)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *ai;
	const char *name = c->ip[0] != '\0' ? c->ip : c->host;
	int r;

	if (is_address(c->ip))
		return 0;
	if ((r = getaddrinfo(name, NULL, &hints, &ai)) == 0) {
		r = getnameinfo(ai->ai_addr, ai->ai_addrlen, c->ip,
		    sizeof(c->ip), NULL, 0, NI_NUMERICHOST);
		freeaddrinfo(ai);
	}
	if (r != 0)
		log_warnx("%s: %s", name, gai_strerror(r));
	return r == 0 ? 0 : -1;
}

/* Objects are large and short-lived: give their memory back. */
void
kube_memory(void)
{
	(void)mallopt(M_MMAP_THRESHOLD, 64 << 10);
	(void)mallopt(M_TRIM_THRESHOLD, 128 << 10);
	(void)mallopt(M_ARENA_MAX, 1);
}

int
kube_setup(struct ps_worker *w)
{
	static struct m_kube_conf conf;
	static struct m_kube_token token;

	kube_memory();
	(void)signal(SIGPIPE, SIG_IGN);
	if (ps_worker_recv(w, MSG_KUBE_CONF, &conf, NULL) == -1 ||
	    ps_worker_recv(w, MSG_KUBE_TOKEN, &token, NULL) == -1) {
		log_warn("configuration");
		return -1;
	}
	if (kube_address(&conf) == -1)
		return -1;
	kube = kube_new(ps_base(w), &conf, &token.token, to_parent, w);
	secret_wipe(&token.token);
	return kube == NULL ? -1 : 0;
}
