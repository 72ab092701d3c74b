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
 * dns-writer: keeps the DNSEndpoint of each group as the parent wants it,
 * until it is seen so, and puts it back when somebody changes it.
 *
 * Rights: TCP to the API server, with a ServiceAccount whose rights end at
 * DNSEndpoint objects. It holds that token and nothing else.
 */

#include <sys/queue.h>
#include <sys/tree.h>

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns.h"
#include "kube.h"
#include "procs.h"

#define DNS_API      "/apis/externaldns.k8s.io/v1alpha1"
/* How soon drift is noticed. */
#define LOOK_MS      5000
/* How soon a write is tried again: it heals by itself when allowed. */
#define RETRY_MIN_MS 200
#define RETRY_MAX_MS 5000
/*
 * Requests at once: each of them may need a connection, and many groups look
 * for drift at the same moment. What is to be written goes first. Looks go
 * one by one over one connection: more of them would sleep and be made again,
 * each time with a handshake.
 */
#define BUSY_MAX     4
#define LOOKS_MAX    1

/* One group's record. */
struct zone {
	RB_ENTRY(zone) node;
	TAILQ_ENTRY(zone) turn;
	struct dns *d;
	struct m_dns_want want;
	struct m_dns_state told;
	bool told_any;
	bool belongs;          /* what is live has our labels and our owner */
	char live[IP_LEN + 1]; /* as last seen, "" none */
	char putting[IP_LEN + 1];
	struct kh_req *req;
	struct event *timer;
	struct backoff backoff;
	bool again;
	bool waiting; /* for its turn */
};
RB_HEAD(zones, zone);
TAILQ_HEAD(zone_queue, zone);

struct dns {
	struct event_base *base;
	struct kh *kh;
	struct zones zones;
	struct zone_queue waiting;
	unsigned busy; /* zones with a request */
	void (*send)(void *, uint32_t, const void *);
	void *send_arg;
	struct kclient client;
	bool has_token; /* else it waits for the first */
};

static struct dns *dns; /* of this process */

const struct sandbox dns_sandbox = {
	.allow = SB_INET,
	.max_files = 64,
};

static void get_done(void *, const struct kh_resp *);
static void put_done(void *, const struct kh_resp *);

static int
zone_cmp(const struct zone *a, const struct zone *b)
{
	return strcmp(a->want.group, b->want.group);
}

RB_PROTOTYPE(zones, zone, node, zone_cmp)
RB_GENERATE(zones, zone, node, zone_cmp)

/* -------------------------------------------------------------- reporting */

#define FG_LEN (NS_LEN + NAME_LEN + 2)

/* The group as every record names it. */
static const char *
fg_of(const struct zone *z, char fg[static FG_LEN])
{
	(void)snprintf(fg, FG_LEN, "%s/%s", z->want.ns, z->want.name);
	return fg;
}

static void
tell(struct zone *z, bool ok, bool flipped, long status, const char *error)
{
	struct m_dns_state m = {
		.ok = ok, .flipped = flipped, .lasts = kh_lasts(status)
	};
	char fg[FG_LEN];

	(void)strlcpy(m.group, z->want.group, sizeof(m.group));
	(void)strlcpy(m.site, z->want.site, sizeof(m.site));
	(void)strlcpy(m.live, z->live, sizeof(m.live));
	if (error != NULL)
		(void)strlcpy(m.error, error, sizeof(m.error));
	if (z->told_any && !flipped && memcmp(&m, &z->told, sizeof(m)) == 0)
		return;
	if (m.error[0] != '\0' && strcmp(m.error, z->told.error) != 0)
		log_ev(LL_WARN, "DNS record not as wanted",
		    KVS("fg", fg_of(z, fg)), KVS("site", z->want.site),
		    KVS("hostname", z->want.hostname),
		    KVS("target", z->want.target), KVS("live", z->live),
		    KVS("error", m.error));
	z->told = m;
	z->told.flipped = false;
	z->told_any = true;
	z->d->send(z->d->send_arg, MSG_DNS_STATE, &m);
}

static void
look_in(struct zone *z, int64_t ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	event_add(z->timer, &tv);
}

/* What the server said, or why it said nothing. */
static void
failed(struct zone *z, const char *what, const struct kh_resp *p)
{
	char text[ERR_LEN + 1], why[ERR_LEN + 1];
	int64_t ms = backoff_next(&z->backoff, arc4random());

	kh_why(p, why);
	(void)snprintf(
	    text, sizeof(text), "%s: %ld %.480s", what, p->status, why);
	tell(z, false, false, p->status, text);
	look_in(z, z->again ? 0 : ms);
	z->again = false;
}

/* --------------------------------------------------------------- requests */

static void
path_of(const struct zone *z, const char *query, char *path, size_t size)
{
	char name[NAME_LEN + 1] = "";

	(void)kdns_name(z->want.name, name);
	(void)snprintf(path, size, DNS_API "/namespaces/%s/dnsendpoints/%s%s",
	    z->want.ns, name, query);
}

static bool
may_write(void *arg)
{
	const struct zone *z = arg;

	/* 0, no limit is known, has passed, too. */
	return z->want.write && z->want.target[0] != '\0' &&
	    monotime_now().ns < z->want.valid_until_ns;
}

/* Not a look for drift: there is something to be written. */
static bool
to_write(struct zone *z)
{
	return may_write(z) && strcmp(z->live, z->want.target) != 0;
}

static void
look(struct zone *z)
{
	char path[KH_PATH_MAX];
	struct kh_opts o = {
		.method = KH_GET, .path = path, .done = get_done, .arg = z
	};

	path_of(z, "", path, sizeof(path));
	z->req = kh_send(z->d->kh, &o);
	z->d->busy++;
}

/* A request ended: z's own next one, if any, comes before the others'. */
static void
next(struct dns *d)
{
	struct zone *z;

	while ((z = TAILQ_FIRST(&d->waiting)) != NULL &&
	    d->busy < (to_write(z) ? BUSY_MAX : LOOKS_MAX)) {
		TAILQ_REMOVE(&d->waiting, z, turn);
		z->waiting = false;
		look(z);
	}
}

static void
on_look(int fd, short what, void *arg)
{
	struct zone *z = arg;

	(void)fd;
	(void)what;
	if (!z->d->has_token)
		return;
	if (z->req != NULL) {
		z->again = true;
		return;
	}
	if (z->waiting)
		TAILQ_REMOVE(&z->d->waiting, z, turn);
	z->waiting = true;
	if (to_write(z))
		TAILQ_INSERT_HEAD(&z->d->waiting, z, turn);
	else
		TAILQ_INSERT_TAIL(&z->d->waiting, z, turn);
	next(z->d);
}

static void
put(struct zone *z)
{
	char path[KH_PATH_MAX], *text;
	struct kh_opts o = {
		.method = KH_PATCH,
		.path = path,
		.type = KH_APPLY,
		.may_send = may_write,
		.done = put_done,
		.arg = z,
	};
	yyjson_mut_doc *d = kj_new();
	yyjson_mut_val *root;
	size_t len;

	if ((root = kdns_render(d, &z->want)) == NULL)
		fatalx("JSON memory");
	text = kj_write(root, &len);
	yyjson_mut_doc_free(d);
	o.body = text;
	o.len = len;
	path_of(z, "?fieldManager=" BR_FIELD_MANAGER "&force=true", path,
	    sizeof(path));
	(void)strlcpy(z->putting, z->want.target, sizeof(z->putting));
	z->req = kh_send(z->d->kh, &o);
	z->d->busy++;
	kj_free(text, len);
}

/*
 * Take what is there. Returns true when its value is what is wanted: z->belongs
 * says whether its metadata is, without which it would outlive its group.
 */
static bool
observe(struct zone *z, const struct kh_resp *p)
{
	yyjson_doc *d = p->status == 404 ? NULL : kj_read(p->body, p->len);
	const char *live = NULL;
	bool same;

	if (d != NULL)
		live = kdns_live(yyjson_doc_get_root(d), &z->want);
	same = live != NULL && strcmp(live, z->want.target) == 0;
	z->belongs =
	    d != NULL && kdns_belongs(yyjson_doc_get_root(d), &z->want);
	(void)strlcpy(z->live, live != NULL ? live : "", sizeof(z->live));
	yyjson_doc_free(d);
	return same;
}

static void
looked(struct zone *z, const struct kh_resp *p)
{
	bool same;

	if (p->status != 200 && p->status != 404) {
		failed(z, "read", p);
		return;
	}
	same = observe(z, p);
	/*
	 * A 404 without the resource type looks like one without the object:
	 * the write then says so.
	 */
	if ((!same || !z->belongs) && may_write(z)) {
		put(z);
		return;
	}
	backoff_reset(&z->backoff);
	tell(z, same || z->want.target[0] == '\0', false, 0, NULL);
	look_in(z, z->again ? 0 : LOOK_MS);
	z->again = false;
}

static void
written(struct zone *z, const struct kh_resp *p)
{
	bool flipped, same;
	char fg[FG_LEN];
	int64_t ms;

	if (p->refused) {
		look_in(z, 0);
		return;
	}
	if (p->status != 200 && p->status != 201) {
		failed(z, "write", p);
		return;
	}
	flipped = strcmp(z->live, z->putting) != 0;
	same = observe(z, p);
	if (flipped)
		log_ev(LL_INFO, "DNS record updated", KVS("fg", fg_of(z, fg)),
		    KVS("hostname", z->want.hostname),
		    KVS("target", z->putting), KVS("site", z->want.site));
	tell(z, same, flipped, 0, NULL);
	/* Somebody else changes it at once: it is not written without a pause. */
	if (same && z->belongs) {
		backoff_reset(&z->backoff);
		ms = LOOK_MS;
	} else
		ms = backoff_next(&z->backoff, arc4random());
	look_in(z, z->again ? 0 : ms);
	z->again = false;
}

static void
get_done(void *arg, const struct kh_resp *p)
{
	struct zone *z = arg;

	z->req = NULL;
	z->d->busy--;
	looked(z, p);
	next(z->d);
}

static void
put_done(void *arg, const struct kh_resp *p)
{
	struct zone *z = arg;

	z->req = NULL;
	z->d->busy--;
	written(z, p);
	next(z->d);
}

/* --------------------------------------------------------------- messages */

static struct zone *
zone_find(struct dns *d, const char *group)
{
	struct zone key;

	(void)strlcpy(key.want.group, group, sizeof(key.want.group));
	return RB_FIND(zones, &d->zones, &key);
}

static void
zone_free(struct zone *z)
{
	struct dns *d = z->d;

	RB_REMOVE(zones, &d->zones, z);
	if (z->waiting)
		TAILQ_REMOVE(&d->waiting, z, turn);
	if (z->req != NULL) {
		kh_cancel(z->req);
		d->busy--;
	}
	event_free(z->timer);
	free(z);
	next(d);
}

/* The same wish, good for longer: no reason to look, unless it was over. */
static bool
only_longer(struct zone *z, const struct m_dns_want *m)
{
	struct m_dns_want w = *m;
	bool could = may_write(z);

	w.valid_until_ns = z->want.valid_until_ns;
	if (memcmp(&z->want, &w, sizeof(w)) != 0)
		return false;
	z->want.valid_until_ns = m->valid_until_ns;
	return could == may_write(z);
}

static void
want(struct dns *d, const struct m_dns_want *m)
{
	struct zone *z = zone_find(d, m->group);

	if (m->gone) {
		if (z != NULL)
			zone_free(z);
		return;
	}
	if (z == NULL) {
		if ((z = calloc(1, sizeof(*z))) == NULL)
			fatal("calloc");
		z->d = d;
		z->want = *m;
		z->backoff.min_ms = RETRY_MIN_MS;
		z->backoff.max_ms = RETRY_MAX_MS;
		if ((z->timer = evtimer_new(d->base, on_look, z)) == NULL)
			fatalx("evtimer_new");
		RB_INSERT(zones, &d->zones, z);
	} else if (only_longer(z, m))
		return;
	z->want = *m;
	backoff_reset(&z->backoff);
	look_in(z, 0);
}

void
dns_message(struct dns *d, uint32_t type, const void *msg)
{
	const struct m_kube_token *t = msg;
	struct zone *z;

	switch (type) {
	case MSG_KUBE_TOKEN:
		kh_token(d->kh, &t->token);
		d->has_token = true;
		RB_FOREACH (z, zones, &d->zones) {
			backoff_reset(&z->backoff);
			look_in(z, 0);
		}
		break;
	case MSG_DNS_WANT:
		want(d, msg);
		break;
	default:
		fatalx("unexpected message %u", type);
	}
}

void
dns_dispatch(struct ps_worker *w, uint32_t type, void *msg, int fd)
{
	(void)w;
	if (fd != -1)
		fatalx("unexpected descriptor with message %u", type);
	dns_message(dns, type, msg);
}

struct dns *
dns_new(struct event_base *base, const struct m_kube_conf *conf,
    void (*send)(void *, uint32_t, const void *), void *arg)
{
	struct dns *d;

	if ((d = calloc(1, sizeof(*d))) == NULL)
		fatal("calloc");
	d->base = base;
	d->send = send;
	d->send_arg = arg;
	RB_INIT(&d->zones);
	TAILQ_INIT(&d->waiting);
	d->client.worker = "dns-writer";
	d->client.send = send;
	d->client.send_arg = arg;
	if ((d->kh = kclient_open(&d->client, base, conf)) == NULL) {
		free(d);
		return NULL;
	}
	return d;
}

void
dns_free(struct dns *d)
{
	struct zone *z;

	/* Nobody's turn comes any more. */
	RB_FOREACH (z, zones, &d->zones)
		z->waiting = false;
	TAILQ_INIT(&d->waiting);
	while ((z = RB_MIN(zones, &d->zones)) != NULL)
		zone_free(z);
	kh_free(d->kh);
	free(d);
}

static void
to_parent(void *arg, uint32_t type, const void *msg)
{
	if (ps_worker_send(arg, type, msg, -1) == -1)
		fatal("message %s", msg_name(type));
}

/* The token comes later: kube-watcher must ask for it first. */
int
dns_setup(struct ps_worker *w)
{
	static struct m_kube_conf conf;

	kube_memory();
	(void)signal(SIGPIPE, SIG_IGN);
	if (ps_worker_recv(w, MSG_KUBE_CONF, &conf, NULL) == -1) {
		log_warn("configuration");
		return -1;
	}
	if (kube_address(&conf) == -1)
		return -1;
	dns = dns_new(ps_base(w), &conf, to_parent, w);
	return dns == NULL ? -1 : 0;
}
