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
 * Status and record live in one object and are written by this file alone.
 * One request at a time: read the object (a quorum read), then either replace
 * the record, if its version is still the expected one, or bring the rest of
 * the status to what the parent wants. Both patches carry the version of the
 * object that was read, and name only their own keys.
 */

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kube.h"
#include "kube_pods.h"

#define REFUSED_MS   15000
#define RETRY_MIN_MS 50
#define RETRY_MAX_MS 2000

static int64_t
wall_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ------------------------------------------------------------------ record */

enum krecord_step
krecord_step(const struct m_record *r, const struct m_record_put *p)
{
	/*
	 * Asked whatever was answered so far: a PATCH that was repeated on a
	 * new connection, because the old one broke, finds its own work and
	 * is told of a conflict.
	 */
	if (krecord_is(r, p))
		return KR_DONE;
	return r->version == p->base_version ? KR_SEND : KR_CONFLICT;
}

/* Decode into static memory (the struct is large); NULL: not understood. */
static const struct m_record *
record_of(struct kgroup *g, yyjson_val *obj)
{
	static struct m_record m;
	char why[ERR_LEN + 1] = "";

	memset(&m, 0, sizeof(m));
	if (krecord_decode(obj, g->doc != NULL ? &g->spec : NULL, wall_ms(), &m,
		why) == -1) {
		log_ev(LL_ERROR, "promotion record cannot be understood",
		    KVS("fg", g->fg), KVS("error", why));
		kevent_emit(g, true, "RecordUnreadable", why);
		return NULL;
	}
	(void)strlcpy(m.group, g->uid, sizeof(m.group));
	ksweep_record(g, &m);
	return &m;
}

static void
tell(struct kgroup *g, const struct m_record *m)
{
	g->record_version = m->version;
	kube_tell(g->k, MSG_RECORD, m);
}

void
krecord_tell(struct kgroup *g, yyjson_val *obj, bool listed)
{
	const struct m_record *m = record_of(g, obj);

	/* A list may have begun before our own write, which was answered. */
	bool old = m != NULL && listed && kube_may_write(g->k) &&
	    m->version < g->record_version;

	/* Never told as "none"; read again when somebody repairs it. */
	g->need_record = m == NULL || old;
	g->recorded = g->need_record || m->version > 0;
	g->record_read = true;
	if (!g->need_record)
		tell(g, m);
}

/*
 * A watch brought it: what a leader wrote, for a standby to see. No quorum
 * read, so nothing is ever decided by it.
 */
void
krecord_seen(struct kgroup *g, yyjson_val *obj)
{
	const struct m_record *m;

	if (g->need_record || kube_may_write(g->k) ||
	    (m = record_of(g, obj)) == NULL)
		return;
	kube_tell(g->k, MSG_RECORD, m);
}

static bool
put_in_time(const struct kput *p)
{
	return monotime_now().ns < p->msg.valid_until_ns;
}

/* What is left for one request of a put; 0 without a put: the usual. */
static int64_t
put_left_ms(const struct kgroup *g)
{
	int64_t ms;

	if (g->put == NULL)
		return 0;
	ms = (g->put->msg.valid_until_ns - monotime_now().ns) / 1000000 + 1;
	return ms < 1 ? 1 : ms < KH_DEADLINE_MS ? ms : KH_DEADLINE_MS;
}

/* The parent waits for the ACK: never beyond the put's own deadline. */
static void
lane_retry(struct kgroup *g, const struct kh_resp *p)
{
	klane_retry(&g->status, p);
	if (g->put != NULL && p->status == 429 &&
	    p->retry_after_ms > put_left_ms(g))
		klane_in(&g->status, put_left_ms(g));
}

static bool
put_may_send(void *arg)
{
	struct kgroup *g = arg;

	return g->put != NULL && put_in_time(g->put) && kube_may_write(g->k);
}

/* The put ended: error is NULL when the record is as it wanted. */
static void
put_end(struct kgroup *g, const struct kh_resp *p, const char *error)
{
	struct kput *put = g->put;
	struct kh_resp r = { 0 };

	g->put = NULL;
	if (p != NULL)
		r = *p;
	if (error != NULL && put->unknown) {
		r.status = 0;
		r.sent = true;
	} else
		r.sent = false;
	log_ev(error == NULL ? LL_INFO : LL_WARN,
	    error == NULL ? "promotion record written" :
			    "promotion record not written",
	    KVS("fg", g->fg), KVU("version", put->msg.base_version + 1),
	    KVU("epoch", put->msg.epoch), KVS("active", put->msg.active),
	    KVI("status", r.status), KVS("error", error));
	kube_ack(g->k, g->uid, put->msg.seq, &r, error);
	if (error == NULL && put->msg.promotion) {
		if (g->annotate == NULL &&
		    (g->annotate = malloc(sizeof(*g->annotate))) == NULL)
			fatal("malloc");
		*g->annotate = put->msg;
	}
	free(put);
}

static void
put_done(void *arg, const struct kh_resp *p)
{
	struct kgroup *g = arg;
	yyjson_doc *d;

	g->status.req = NULL;
	if (p->status == 200 && (d = kj_read(p->body, p->len)) != NULL) {
		put_end(g, p, NULL);
		(void)strlcpy(g->status_rv,
		    kj_meta(yyjson_doc_get_root(d), "resourceVersion"),
		    sizeof(g->status_rv));
		krecord_tell(g, yyjson_doc_get_root(d), false);
		yyjson_doc_free(d);
		klane_ok(&g->status);
		klane_in(&g->status, 0);
		return;
	}
	if (p->refused)
		put_end(g, p, "the leader's deadline has passed");
	else if (kh_definite(p->status))
		put_end(g, p, "refused by the API server");
	else if (p->status != 409 && (p->sent || p->status >= 500))
		g->put->unknown = true;
	/* Anything else: read again and see. A conflict is not a failure. */
	if (p->status == 409)
		klane_in(&g->status, 0);
	else
		lane_retry(g, p);
}

/* obj was just read. Returns true when a request is on its way. */
static bool
put_step(struct kgroup *g, yyjson_val *obj)
{
	const struct m_record *r = record_of(g, obj);
	char path[KH_PATH_MAX], lease[KLEASE_SIZE];
	struct kcall c = {
		.k = g->k,
		.method = KH_PATCH,
		.path = path,
		.type = KH_MERGE,
		.may = put_may_send,
		.done = put_done,
		.arg = g,
	};
	struct kh_resp conflict = { .status = 409, .sent = true };

	if (r == NULL) {
		put_end(g, NULL, "the record cannot be understood");
		return false;
	}
	switch (krecord_step(r, &g->put->msg)) {
	case KR_DONE:
		put_end(g, NULL, NULL);
		tell(g, r);
		return false;
	case KR_CONFLICT:
		/* A write of ours that landed would have been recognised. */
		g->put->unknown = false;
		put_end(g, &conflict, "the record has another version");
		tell(g, r);
		return false;
	case KR_SEND:
		break;
	}
	kgroup_path(g, "/status", path);
	kforeign_lease(g->k, lease);
	c.deadline_ms = put_left_ms(g);
	c.doc = kj_new();
	c.root = krecord_patch(c.doc, &g->put->msg, lease,
	    kj_meta(obj, "resourceVersion"), yyjson_obj_get(obj, "status"));
	kj_no_empty(c.doc, c.root);
	g->status.req = kube_call(&c);
	return true;
}

void
krecord_put(struct kgroup *g, const struct m_record_put *m)
{
	static const struct kh_resp unknown = { .sent = true };

	if (g->put != NULL) {
		/* Of that one it is not known whether it will land. */
		kube_ack(
		    g->k, g->uid, m->seq, &unknown, "another put is under way");
		return;
	}
	if ((g->put = calloc(1, sizeof(*g->put))) == NULL)
		fatal("calloc");
	g->put->msg = *m;
	backoff_reset(&g->status.backoff);
	klane_in(&g->status, 0);
}

/* ------------------------------------------------------------- annotations */

static void
annotate_done(void *arg, const struct kh_resp *p)
{
	struct kgroup *g = arg;
	char when[KTIME_LEN];

	g->status.req = NULL;
	if (p->status == 200 || p->status == 404) {
		free(g->annotate);
		g->annotate = NULL;
		klane_ok(&g->status);
		klane_in(&g->status, 0);
		return;
	}
	krecord_last_failover(g->annotate, when);
	log_ev(LL_ERROR,
	    "out-of-band anti-flap state write failed; retrying every poll",
	    KVS("fg", g->fg), KVS("target", g->annotate->last_failover_target),
	    KVS("lastFailover", when), KVS("error", p->error));
	klane_retry(&g->status, p);
}

static void
annotate_send(struct kgroup *g)
{
	char path[KH_PATH_MAX];
	struct kcall c = {
		.k = g->k,
		.method = KH_PATCH,
		.path = path,
		.type = KH_MERGE,
		.may = kgroup_may_write,
		.done = annotate_done,
		.arg = g,
	};

	kgroup_path(g, "", path);
	c.doc = kj_new();
	c.root = krecord_annotations(c.doc, g->annotate);
	g->status.req = kube_call(&c);
}

/* ------------------------------------------------------------------ status */

/* Nothing was told by the parent yet: our own conditions beside what is. */
static yyjson_mut_val *
bare_status(yyjson_mut_doc *d, yyjson_val *prev)
{
	yyjson_mut_val *s = yyjson_mut_obj(d);
	yyjson_val *conds = yyjson_obj_get(prev, "conditions");

	if (yyjson_is_arr(conds))
		yyjson_mut_obj_add_val(
		    d, s, "conditions", yyjson_val_mut_copy(d, conds));
	return s;
}

static yyjson_mut_val *
render_status(struct kgroup *g, yyjson_mut_doc *d, yyjson_val *prev)
{
	static struct m_group_status want;
	struct m_site_status *sites;
	yyjson_mut_val *s;
	unsigned n = 0;

	if (g->doc == NULL || !msg_kept(&g->group_status, &want))
		s = bare_status(d, prev);
	else {
		if ((sites = calloc(SITES_MAX, sizeof(*sites))) == NULL)
			fatal("calloc");
		for (unsigned i = 0; i < SITES_MAX; i++)
			if (msg_kept(&g->site_status[i], &sites[n]))
				n++;
		s = kstatus_render(
		    d, &g->spec, &want, sites, n, prev, wall_ms());
		free(sites);
	}
	if (s == NULL)
		fatalx("JSON memory");
	kconds_add(g, d, s);
	return s;
}

/* Nothing is in flight: go on with what waits. */
static void
lane_idle(struct kgroup *g)
{
	klane_ok(&g->status);
	if (g->status.again || g->put != NULL || g->annotate != NULL)
		klane_in(&g->status, 0);
	g->status.again = false;
}

static void
status_done(void *arg, const struct kh_resp *p)
{
	struct kgroup *g = arg;
	yyjson_doc *d;

	g->status.req = NULL;
	if (p->status == 200 && (d = kj_read(p->body, p->len)) != NULL) {
		(void)strlcpy(g->status_rv,
		    kj_meta(yyjson_doc_get_root(d), "resourceVersion"),
		    sizeof(g->status_rv));
		yyjson_doc_free(d);
		lane_idle(g);
		return;
	}
	g->status_dirty = true;
	if (p->status == 409) {
		klane_in(&g->status, 0); /* read again */
		return;
	}
	if (!p->refused) {
		log_ev(LL_WARN, "status not written", KVS("fg", g->fg),
		    KVI("status", p->status),
		    KVS("error", p->error != NULL ? p->error : p->body));
		/* What is refused for its content will be refused again. */
		if (p->status == 422 || p->status == 400)
			klane_in(&g->status, REFUSED_MS);
		else
			klane_retry(&g->status, p);
	}
}

/* obj was just read. */
static void
status_step(struct kgroup *g, yyjson_val *obj)
{
	yyjson_val *prev = yyjson_obj_get(obj, "status");
	yyjson_mut_doc *d = kj_new();
	yyjson_mut_val *root = yyjson_mut_obj(d), *meta, *s;
	char path[KH_PATH_MAX];
	struct kcall c = {
		.k = g->k,
		.method = KH_PATCH,
		.path = path,
		.type = KH_MERGE,
		.doc = d,
		.root = root,
		.may = kgroup_may_write,
		.done = status_done,
		.arg = g,
	};

	s = render_status(g, d, prev);
	g->status_dirty = false;
	/*
	 * What moves while nothing happens is no reason to write, however old
	 * it became: a healthy group causes no write at all. lastSeen of a
	 * healthy site is the time of the last write, then. When anything
	 * else changes, all of it is written fresh.
	 */
	if (kstatus_diff(prev, s) != KS_CHANGED) {
		yyjson_mut_doc_free(d);
		lane_idle(g);
		return;
	}
	meta = yyjson_mut_obj_add_obj(d, root, "metadata");
	yyjson_mut_obj_add_strcpy(
	    d, meta, "resourceVersion", kj_meta(obj, "resourceVersion"));
	kj_no_empty(d, s);
	yyjson_mut_obj_add_val(d, root, "status", s);
	kgroup_path(g, "/status", path);
	g->status.req = kube_call(&c);
}

/* -------------------------------------------------------------------- lane */

static void
get_done(void *arg, const struct kh_resp *p)
{
	struct kgroup *g = arg;
	yyjson_doc *d = NULL;
	yyjson_val *obj;

	g->status.req = NULL;
	if (p->status != 200 || (d = kj_read(p->body, p->len)) == NULL) {
		if (g->put != NULL &&
		    (!put_in_time(g->put) || p->status == 404))
			put_end(g, p, "the record could not be read in time");
		if (p->status != 404)
			lane_retry(g, p);
		return;
	}
	obj = yyjson_doc_get_root(d);
	if (strcmp(kj_meta(obj, "uid"), g->uid) != 0) {
		if (g->put != NULL)
			put_end(g, p, "the group was replaced");
	} else if (kforeign_is(g->k, obj)) {
		kgroup_leave(g);
	} else {
		if (g->need_record) {
			krecord_tell(g, obj, false);
			kube_check_synced(g->k);
		}
		if (g->put == NULL || !put_step(g, obj)) {
			if (kube_may_write(g->k))
				status_step(g, obj);
		}
	}
	yyjson_doc_free(d);
}

static void
on_status(int fd, short what, void *arg)
{
	struct kgroup *g = arg;
	char path[KH_PATH_MAX];
	struct kcall c = { .k = g->k,
		.method = KH_GET,
		.path = path,
		.done = get_done,
		.arg = g };

	(void)fd;
	(void)what;
	if (g->status.req != NULL) {
		g->status.again = true;
		return;
	}
	if (g->put != NULL && !put_may_send(g) && !g->put->unknown)
		put_end(g, NULL, "the leader's deadline has passed");
	if (g->put != NULL && g->put->unknown && !put_in_time(g->put))
		put_end(g, NULL, "no answer in time");
	if (g->put == NULL && !kube_may_write(g->k) && !g->need_record)
		return;
	/* What the world must know first: the record, then its copies. */
	if (g->put == NULL && g->annotate != NULL && kube_may_write(g->k)) {
		annotate_send(g);
		return;
	}
	kgroup_path(g, "", path);
	c.deadline_ms = put_left_ms(g);
	g->status.req = kube_call(&c);
}

void
kstatus_kick(struct kgroup *g)
{
	if (g->status.req != NULL)
		g->status.again = true;
	else if (g->status.backoff.cur_ms == 0)
		klane_in(&g->status, 0);
}

/* ------------------------------------------------------------- from parent */

void
kstatus_site(struct kgroup *g, const struct m_site_status *m)
{
	static struct m_site_status s;
	struct msg_kept *slot = NULL;

	for (unsigned i = 0; i < SITES_MAX; i++) {
		if (!msg_kept(&g->site_status[i], &s)) {
			slot = slot == NULL ? &g->site_status[i] : slot;
			continue;
		}
		if (strcmp(s.name, m->name) == 0) {
			slot = &g->site_status[i];
			break;
		}
		/* A site that is no more is older than the last status. */
		if (slot == NULL && g->want != NULL && s.rev < g->want->rev)
			slot = &g->site_status[i];
	}
	if (slot != NULL)
		msg_keep(slot, MSG_SITE_STATUS, m);
}

static uint64_t
site_hash(uint64_t h, const struct m_site_status *s)
{
	h = h * 31 + kj_hash(s->name, strlen(s->name)) + s->state +
	    (uint64_t)s->follower * 8 + (uint64_t)s->replicating * 16 +
	    (uint64_t)s->io_running * 32 + (uint64_t)s->sql_running * 64 +
	    (uint64_t)(s->lag_s < 0) + (uint64_t)(s->gtid[0] == '\0') * 128 +
	    (uint64_t)(s->last_seen_ms == 0) * 256;
	h = h * 31 + kj_hash(s->source_host, strlen(s->source_host));
	h = h * 31 + kj_hash(s->convergence, strlen(s->convergence));
	h = h * 31 +
	    kj_hash(s->convergence_reason, strlen(s->convergence_reason));
	h = h * 31 + kj_hash(s->recovery, strlen(s->recovery));
	return h * 31 + kj_hash(s->divergent_gtid, strlen(s->divergent_gtid));
}

/* Everything that is worth a write, as one number. */
static uint64_t
want_hash(const struct kgroup *g, const struct m_group_status *m)
{
	static struct m_group_status w;
	static struct m_site_status s;
	uint64_t h;

	w = *m;
	w.rev = 0;
	w.poll_time_ms = 0;
	h = kj_hash(&w, sizeof(w));
	for (unsigned i = 0; i < SITES_MAX; i++)
		if (msg_kept(&g->site_status[i], &s))
			h = site_hash(h, &s);
	return h;
}

static void
want_set(struct kgroup *g, const struct m_group_status *m)
{
	size_t n = m->n_sites * sizeof(m->sites[0]);
	struct kwant *w;

	if ((w = realloc(g->want, sizeof(*w) + n)) == NULL)
		fatal("realloc");
	w->rev = m->rev;
	w->n_sites = m->n_sites;
	memcpy(w->sites, m->sites, n);
	g->want = w;
	msg_keep(&g->group_status, MSG_GROUP_STATUS, m);
}

void
kstatus_group(struct kgroup *g, const struct m_group_status *m)
{
	uint64_t h = want_hash(g, m);

	want_set(g, m);
	kpods_kick(g);
	knodes_kick(g);
	if (h == g->status_hash && !g->status_dirty)
		return;
	g->status_hash = h;
	g->status_dirty = true;
	kstatus_kick(g);
}

void
kstatus_init(struct kgroup *g)
{
	klane_init(&g->status, g->k, on_status, g, RETRY_MIN_MS, RETRY_MAX_MS);
}

void
kstatus_free(struct kgroup *g)
{
	klane_free(&g->status);
	if (g->put != NULL)
		put_end(g, NULL, "the group is gone");
	free(g->annotate);
	free(g->want);
	msg_forget(&g->group_status);
	for (unsigned i = 0; i < SITES_MAX; i++)
		msg_forget(&g->site_status[i]);
}
