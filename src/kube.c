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

#include "kube.h"
#include "kube_pods.h"
#include "procs.h"

static struct kube *kube; /* of this process */

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
	struct kgroup *g;

	/*
	 * A group that a watch brought: its Pods are listed once more, and
	 * its record is read.
	 */
	if (k->synced || k->w_pods == NULL || !kwatch_current(k->w_groups) ||
	    !kwatch_current(k->w_pods))
		return;
	RB_FOREACH (g, kgroups, &k->groups)
		if (!g->record_read)
			return;
	/* What waits for discovery is of no interest to the parent. */
	for (int i = 0; i < KW_MAX; i++)
		if (k->w_owned[i] != NULL && !kwatch_synced(k->w_owned[i]))
			return;
	k->synced = true;
	tell_synced(k);
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

	/* A server that starts says 503 and 10 s, and is there much sooner. */
	if (p != NULL && p->status == 429 && p->retry_after_ms > ms)
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
		.method = c->method,
		.path = c->path,
		.type = c->type,
		.may_send = c->may,
		.done = c->done,
		.arg = c->arg,
		.max_body = KH_BODY_MAX,
		.deadline_ms = c->deadline_ms,
		/* With a deadline of its own somebody waits for it. */
		.patient =
		    c->patient || (c->method == KH_GET && c->deadline_ms == 0),
	};
	struct kh_req *r;
	char *text = NULL;
	size_t len = 0;

	if (c->root != NULL) {
		text = kj_write(c->root, &len);
		o.body = text;
		o.len = len;
	} else if (c->doc != NULL)
		fatalx("JSON memory"); /* a renderer failed */
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
	struct kgroup *g;

	if (k->api_ok == answered)
		return;
	k->api_ok = answered;
	log_ev(answered ? LL_INFO : LL_WARN,
	    answered ? "API server answers" : "API server does not answer",
	    KVS("host", k->conf.host));
	tell_synced(k);
	/* What waits for its back-off need not wait any longer. */
	if (answered)
		RB_FOREACH (g, kgroups, &k->groups)
			kgroup_revive(g);
}

/* ---------------------------------------------------------------- messages */

static void
new_token(struct kube *k, const struct m_kube_token *m)
{
	kh_token(k->kh, &m->token);
	kwatch_kick(k->w_groups);
	if (k->w_pods != NULL)
		kwatch_kick(k->w_pods);
	if (k->w_keys != NULL)
		kwatch_kick(k->w_keys);
	if (k->w_op_key != NULL)
		kwatch_kick(k->w_op_key);
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
	const struct m_roll *o = msg;

	if (type == MSG_RECORD_PUT)
		kube_ack(k, r->group, r->seq, NULL, "no such group");
	else if (type == MSG_POD_DELETE)
		kube_ack(k, d->group, d->seq, NULL, "no such group");
	else if (type == MSG_POD_RELEASE)
		kube_ack(k, p->group, p->seq, NULL, "no such group");
	else if (type == MSG_ROLL)
		kube_ack(k, o->group, o->seq, NULL, "no such group");
}

static void
group_message(struct kube *k, struct kgroup *g, uint32_t type, const void *msg)
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
	case MSG_POD_CHECK:
		kpod_check(g, msg);
		break;
	case MSG_ROLL:
		kroll_put(g, msg);
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
	case MSG_TLS_STATE:
		kaccess_tls(g, msg);
		break;
	case MSG_ACCESS:
		kaccess_set(g, msg);
		break;
	default:
		fatalx("unexpected message %u", type);
	}
}

void
kube_message(struct kube *k, uint32_t type, const void *msg)
{
	const char *uid = msg; /* the first field of the rest */
	struct kgroup *g;

	if (type == MSG_KUBE_TOKEN) {
		new_token(k, msg);
		return;
	}
	if (type == MSG_LEASE_RELEASE) {
		kleader_release(k, msg);
		return;
	}
	if (type == MSG_KEY_PUT) {
		kkeys_put(k, msg);
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
    const struct secret *token, void (*send)(void *, uint32_t, const void *),
    void *arg)
{
	struct kube *k;

	if ((k = calloc(1, sizeof(*k))) == NULL)
		fatal("calloc");
	k->client.worker = "kube-watcher";
	k->client.send = send;
	k->client.send_arg = arg;
	k->client.on_result = on_result;
	k->client.result_arg = k;
	k->base = base;
	k->conf = *conf;
	k->conf.ca.len = 0;
	k->send = send;
	k->send_arg = arg;
	RB_INIT(&k->groups);
	TAILQ_INIT(&k->waiting);
	TAILQ_INIT(&k->secnss);
	if ((k->kh = kclient_open(&k->client, base, conf)) == NULL) {
		free(k);
		return NULL;
	}
	kh_token(k->kh, token);
	kleader_start(k);
	kforeign_start(k);
	knodes_start(k);
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
	kforeign_free(k);
	kkeys_stop(k);
	knodes_stop(k);
	kwatch_free(k->w_groups);
	if (k->w_pods != NULL)
		kwatch_free(k->w_pods);
	for (int i = 0; i < KW_MAX; i++)
		if (k->w_owned[i] != NULL)
			kwatch_free(k->w_owned[i]);
	klane_free(&k->token);
	klane_free(&k->orphans);
	kleader_free(k);
	kdiscovery_free(k);
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
	(void)mallopt(M_MMAP_THRESHOLD, 12 << 10);
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
