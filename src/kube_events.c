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
 * Events on groups. The same one again within a while is counted in the
 * object that is there instead of making another. Best effort: what an Event
 * says is also in the log and in a condition.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kube.h"

#define REPEAT_MS (10 * 60 * 1000)

/* Outlives its group: the last Event of a group is about its end. */
struct sent {
	struct kube *k;
	uint64_t hash;
};

static struct kevent_seen *
slot_of(struct kube *k, uint64_t hash, int64_t now_ms)
{
	struct kevent_seen *oldest = &k->events[0];

	for (size_t i = 0; i < KEVENTS_MAX; i++) {
		struct kevent_seen *e = &k->events[i];

		if (e->hash == hash && now_ms - e->last_ms < REPEAT_MS)
			return e;
		if (e->last_ms < oldest->last_ms)
			oldest = e;
	}
	memset(oldest, 0, sizeof(*oldest));
	return oldest;
}

/* An Event that was not taken, or is gone, is made anew the next time. */
static void
event_done(void *arg, const struct kh_resp *p)
{
	struct sent *s = arg;

	if (p->status != 200 && p->status != 201) {
		for (size_t i = 0; i < KEVENTS_MAX; i++)
			if (s->k->events[i].hash == s->hash)
				s->k->events[i].hash = 0;
		if (!p->refused)
			log_ev(LL_WARN, "event not written",
			    KVI("status", p->status), KVS("error", p->error));
	}
	free(s);
}

static bool
event_may(void *arg)
{
	return kube_may_write(((struct sent *)arg)->k);
}

static void
event_first(struct kevent *v, struct kevent_seen *e, struct kcall *c,
    char path[static KH_PATH_MAX])
{
	char coll[KPATH_LEN];
	const char *name;

	c->method = KH_POST;
	c->type = KH_JSON;
	c->doc = kj_new();
	c->root = kevent_render(c->doc, v);
	name = yyjson_mut_get_str(yyjson_mut_obj_get(
	    yyjson_mut_obj_get(c->root, "metadata"), "name"));
	(void)snprintf(
	    coll, sizeof(coll), "/api/v1/namespaces/%s/events", v->ns);
	if (name == NULL ||
	    (size_t)snprintf(e->path, sizeof(e->path), "%s/%s", coll, name) >=
		sizeof(e->path))
		e->hash = 0; /* cannot be counted */
	(void)strlcpy(path, coll, KH_PATH_MAX);
}

static void
event_again(
    struct kevent_seen *e, struct kcall *c, char path[static KH_PATH_MAX])
{
	char when[KTIME_LEN];

	ktime_s(e->last_ms, when);
	c->method = KH_PATCH;
	c->type = KH_MERGE;
	c->doc = kj_new();
	c->root = yyjson_mut_obj(c->doc);
	yyjson_mut_obj_add_sint(c->doc, c->root, "count", e->count);
	yyjson_mut_obj_add_strcpy(c->doc, c->root, "lastTimestamp", when);
	(void)strlcpy(path, e->path, KH_PATH_MAX);
}

/* Of the object that v names. */
static void
emit(struct kube *k, struct kevent *v, bool warning, const char *reason,
    const char *message)
{
	char path[KH_PATH_MAX];
	struct kcall c = { .k = k,
		.path = path,
		.patient = true,
		.may = event_may,
		.done = event_done };
	struct m_event m = { .warning = warning };
	struct timespec ts;
	struct kevent_seen *e;
	struct sent *s;
	uint64_t hash;
	int64_t now;

	if (!kube_may_write(k))
		return;
	(void)clock_gettime(CLOCK_REALTIME, &ts);
	now = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
	(void)strlcpy(m.group, v->uid, sizeof(m.group));
	(void)strlcpy(m.reason, reason, sizeof(m.reason));
	(void)strlcpy(m.message, message, sizeof(m.message));
	hash = kj_hash(&m, sizeof(m)) | 1;
	e = slot_of(k, hash, now);
	e->last_ms = now;
	if ((s = calloc(1, sizeof(*s))) == NULL)
		fatal("calloc");
	s->k = k;
	s->hash = hash;
	c.arg = s;
	if (e->hash == hash) {
		e->count++;
		event_again(e, &c, path);
	} else {
		e->hash = hash;
		e->count = 1;
		v->event = &m;
		v->instance = k->conf.identity;
		v->now_ms = now;
		v->serial = k->serial++ ^ (uint64_t)now << 20;
		event_first(v, e, &c, path);
	}
	(void)kube_call(&c);
}

void
kevent_emit(
    struct kgroup *g, bool warning, const char *reason, const char *message)
{
	struct kevent v = {
		.ns = g->ns,
		.name = g->name,
		.uid = g->uid,
		.resource_version = g->rv,
	};

	emit(g->k, &v, warning, reason, message);
}

void
kevent_about(struct kube *k, const char *ns, const char *name, const char *uid,
    const char *reason, const char *message)
{
	struct kevent v = {
		.ns = ns,
		.name = name,
		.uid = uid,
	};

	emit(k, &v, true, reason, message);
}
