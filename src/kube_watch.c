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
 * List and watch: chunked lists, bookmarks, an opaque resourceVersion, 410 →
 * list again, a bound on silence (a half-open watch hangs for ever).
 */

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube_json.h"
#include "kube_split.h"
#include "kube_watch.h"

#define RV_LEN           127
/* A continue token is the encoded start key: name and namespace. */
#define CONTINUE_LEN     1023
/* The server ends the watch after this; spread, so that not all end together. */
#define TIMEOUT_S        270
#define TIMEOUT_SPREAD_S 60
/*
 * Bookmarks come about once a minute, but in a watch that begins at the newest
 * version none until there is a newer one. So a watch that follows one without
 * is ended by its server well before silence means that nobody is there.
 */
#define IDLE_MS          90000
#define BRIEF_MS(idle)   ((idle) * 2 / 3)
#define BRIEF_SPREAD(ms) ((ms) / 4)
#define GRACE_MS         15000
/* A watch that is not even begun in this time is replaced by a list. */
#define HEAD_MS          2000
#define LIST_MS          60000
/* The patience with a list begins small, for a server that just started. */
#define LIST_IDLE_MIN_MS 1500
#define LIST_IDLE_MAX_MS 30000
/* What comes and goes is said so often. */
#define COMPLAIN_MS      30000
/* It must act soon after the API server's return. */
#define RETRY_MIN_MS     100
#define RETRY_MAX_MS     2000

struct kwatch {
	struct kh *kh;
	struct event *retry;
	struct kwatch_conf c;
	char *path, *query;
	struct kh_req *req;
	struct split split;
	bool splitting;
	char rv[RV_LEN + 1]; /* "": list first */
	char cont[CONTINUE_LEN + 1];
	bool listing, synced, relist, complained;
	bool brief;  /* this watch */
	bool marked; /* it has brought a bookmark */
	bool marks;  /* the one before did, and was ended by its server */
	struct backoff backoff;
	int64_t list_idle_ms;
	struct monotime begun; /* the watch */
	struct monotime said;  /* the last complaint, 0: none yet */
	struct kwatch_stats stats;
};

static int64_t timeout_s = TIMEOUT_S, idle_ms = IDLE_MS;

static void watch_next(struct kwatch *);
static void list_done(void *, const struct kh_resp *);
static void watch_done(void *, const struct kh_resp *);

void
kwatch_times(int64_t t, int64_t idle)
{
	if (t != 0)
		timeout_s = t;
	if (idle != 0)
		idle_ms = idle;
}

/* -------------------------------------------------------------- helpers --- */

static void
retry_in(struct kwatch *w, int64_t ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	event_add(w->retry, &tv);
}

static void
retry_later(struct kwatch *w, const struct kh_resp *p)
{
	int64_t ms = backoff_next(&w->backoff, arc4random());

	/* A server that starts says 503 and 10 s, and is there much sooner. */
	if (p != NULL && p->status == 429 && p->retry_after_ms > ms)
		ms = p->retry_after_ms < 30000 ? p->retry_after_ms : 30000;
	retry_in(w, ms);
}

/*
 * Say once, not at each retry, what keeps this watch from working; and of one
 * that works for a moment at each retry so often and no more.
 */
static void
complain(struct kwatch *w, const char *what, const struct kh_resp *p)
{
	struct monotime now = monotime_now();
	char why[ERR_LEN + 1];

	if (w->complained ||
	    (w->said.ns != 0 && monotime_sub_ms(now, w->said) < COMPLAIN_MS))
		return;
	w->complained = true;
	w->said = now;
	kh_why(p, why);
	log_ev(LL_WARN, "watch interrupted", KVS("kind", w->c.name),
	    KVS("stage", what), KVI("status", p->status), KVS("error", why));
}

/* A list or an event came, or a watch ended as it should. */
static void
works(struct kwatch *w)
{
	if (w->complained)
		log_ev(LL_INFO, "watch works again", KVS("kind", w->c.name));
	w->complained = false;
}

static bool
was_silent(struct kwatch *w, const struct kh_resp *p)
{
	if (!p->silent)
		return false;
	w->stats.silent++;
	return true;
}

static void
start_split(struct kwatch *w, bool list, int (*item)(void *, char *, size_t))
{
	if (w->splitting)
		split_free(&w->split);
	split_init(&w->split, list, KH_OBJECT_MAX, item, w);
	w->splitting = true;
}

static void
end_split(struct kwatch *w)
{
	if (w->splitting)
		split_free(&w->split);
	w->splitting = false;
}

static int
on_data(void *arg, const char *p, size_t n)
{
	struct kwatch *w = arg;

	return split_feed(&w->split, p, n);
}

/* ----------------------------------------------------------------- list --- */

static const char *
accepted(const struct kwatch *w)
{
	return w->c.names ? KH_TABLE : NULL;
}

/* With '&' before it. */
static const char *
columns(const struct kwatch *w)
{
	return w->c.names ? "&includeObject=None" : "";
}

const char *
kwatch_name(yyjson_val *table)
{
	yyjson_val *row = yyjson_arr_get_first(yyjson_obj_get(table, "rows"));

	return yyjson_get_str(
	    yyjson_arr_get_first(yyjson_obj_get(row, "cells")));
}

static int
list_item(void *arg, char *text, size_t len)
{
	struct kwatch *w = arg;
	yyjson_doc *d;

	if ((d = kj_read(text, len)) == NULL)
		return -1;
	w->c.object(w->c.arg, yyjson_doc_get_root(d), false);
	yyjson_doc_free(d);
	return 0;
}

static void
list_start(struct kwatch *w)
{
	char path[KH_PATH_MAX], cont[3 * CONTINUE_LEN + 1] = "";
	struct kh_opts o = {
		.method = KH_GET,
		.path = path,
		.accept = accepted(w),
		.deadline_ms = LIST_MS,
		.idle_ms = w->list_idle_ms,
		.multiplex = true,
		.data = on_data,
		.done = list_done,
		.arg = w,
	};
	int n;

	if (!w->listing) {
		w->listing = true;
		w->relist = false;
		w->cont[0] = '\0';
		w->c.begin(w->c.arg);
	}
	(void)kh_escape(cont, sizeof(cont), w->cont);
	n = snprintf(path, sizeof(path), "%s?limit=%u%s%s%s%s%s", w->path,
	    w->c.limit, w->query[0] != '\0' ? "&" : "", w->query, columns(w),
	    cont[0] != '\0' ? "&continue=" : "", cont);
	if (n < 0 || (size_t)n >= sizeof(path))
		fatalx("path of a list is too long");
	start_split(w, true, list_item);
	w->stats.lists++;
	w->req = kh_send(w->kh, &o);
}

/* The list's metadata. Returns -1 when the answer was not a whole list. */
static int
list_meta(struct kwatch *w)
{
	const char *rv, *cont;
	yyjson_doc *d;
	char *frame;
	size_t len;
	int r = -1;

	if ((frame = split_frame(&w->split, &len)) == NULL ||
	    (d = kj_read(frame, len)) == NULL)
		return -1;
	rv = kj_meta(yyjson_doc_get_root(d), "resourceVersion");
	cont = kj_meta(yyjson_doc_get_root(d), "continue");
	if (rv[0] != '\0' &&
	    strlcpy(w->rv, rv, sizeof(w->rv)) < sizeof(w->rv) &&
	    strlcpy(w->cont, cont, sizeof(w->cont)) < sizeof(w->cont))
		r = 0;
	else
		w->rv[0] = '\0';
	yyjson_doc_free(d);
	return r;
}

static void
list_done(void *arg, const struct kh_resp *p)
{
	struct kwatch *w = arg;
	bool ok = p->status == 200 && list_meta(w) == 0;

	w->req = NULL;
	end_split(w);
	if (!ok) {
		complain(w, "list", p);
		if (was_silent(w, p) && w->list_idle_ms <= LIST_IDLE_MAX_MS / 2)
			w->list_idle_ms *= 2;
		w->rv[0] = '\0';
		/* Also a 410: the continue token is too old, begin again. */
		w->listing = false;
		retry_later(w, p);
		return;
	}
	if (w->cont[0] != '\0' && !w->c.names) {
		list_start(w);
		return;
	}
	w->listing = false;
	works(w);
	backoff_reset(&w->backoff);
	w->list_idle_ms = LIST_IDLE_MIN_MS;
	w->synced = true;
	w->c.listed(w->c.arg);
	/* listed() may have asked for another list. */
	if (w->req == NULL && !evtimer_pending(w->retry, NULL))
		watch_next(w);
}

/* ---------------------------------------------------------------- watch --- */

/* An ERROR in the stream holds a Status: 410 means that our version is old. */
static int
watch_error(struct kwatch *w, yyjson_val *status)
{
	int64_t code = yyjson_get_sint(yyjson_obj_get(status, "code"));

	if (code == 410)
		w->stats.gone++;
	w->rv[0] = '\0';
	return -1;
}

static int
watch_event(struct kwatch *w, yyjson_val *ev)
{
	const char *type = yyjson_get_str(yyjson_obj_get(ev, "type"));
	yyjson_val *obj = yyjson_obj_get(ev, "object");
	const char *rv;

	if (type == NULL || obj == NULL)
		return -1;
	if (strcmp(type, "ERROR") == 0)
		return watch_error(w, obj);
	rv = kj_meta(obj, "resourceVersion");
	if (rv[0] == '\0' ||
	    strlcpy(w->rv, rv, sizeof(w->rv)) >= sizeof(w->rv)) {
		w->rv[0] = '\0';
		return -1;
	}
	if (strcmp(type, "BOOKMARK") == 0) {
		w->stats.bookmarks++;
		w->marked = true;
		return 0;
	}
	w->stats.events++;
	w->c.object(w->c.arg, obj, strcmp(type, "DELETED") == 0);
	return 0;
}

static int
watch_item(void *arg, char *text, size_t len)
{
	struct kwatch *w = arg;
	yyjson_doc *d;
	int r;

	if ((d = kj_read(text, len)) == NULL) {
		w->rv[0] = '\0';
		return -1;
	}
	r = watch_event(w, yyjson_doc_get_root(d));
	yyjson_doc_free(d);
	if (r == 0) {
		works(w);
		backoff_reset(&w->backoff);
	}
	return r;
}

/* When the server shall end the next watch, in seconds. */
static int64_t
watch_s(const struct kwatch *w)
{
	int64_t brief = BRIEF_MS(idle_ms) / 1000;
	int64_t spread = BRIEF_SPREAD(BRIEF_MS(idle_ms)) / 1000;

	if (w->marks || brief >= timeout_s) {
		brief = timeout_s;
		spread = TIMEOUT_SPREAD_S * timeout_s / TIMEOUT_S;
	}
	return (brief > 0 ? brief : 1) +
	    arc4random_uniform((uint32_t)spread + 1);
}

static void
watch_start(struct kwatch *w)
{
	char path[KH_PATH_MAX], rv[3 * RV_LEN + 1];
	int64_t t = watch_s(w);
	struct kh_opts o = {
		.method = KH_GET,
		.path = path,
		.accept = accepted(w),
		.deadline_ms = t * 1000 + GRACE_MS,
		.idle_ms = idle_ms,
		.head_ms = HEAD_MS,
		.multiplex = true,
		.data = on_data,
		.done = watch_done,
		.arg = w,
	};
	int n;

	(void)kh_escape(rv, sizeof(rv), w->rv);
	n = snprintf(path, sizeof(path),
	    "%s?watch=1&allowWatchBookmarks=true"
	    "&timeoutSeconds=%lld&resourceVersion=%s%s%s%s",
	    w->path, (long long)t, rv, w->query[0] != '\0' ? "&" : "", w->query,
	    columns(w));
	if (n < 0 || (size_t)n >= sizeof(path))
		fatalx("path of a watch is too long");
	start_split(w, false, watch_item);
	w->brief = !w->marks;
	w->marked = false;
	w->stats.watches++;
	w->begun = monotime_now();
	w->req = kh_send(w->kh, &o);
}

/*
 * Did it end as it should? Also one that is silent where no bookmark is sure:
 * another server may have taken over that sends none. The next is brief.
 */
static bool
is_over(const struct kwatch *w, const struct kh_resp *p)
{
	return p->status == 200 ||
	    (p->silent && !p->headless && !w->brief && !w->marked);
}

static void
watch_done(void *arg, const struct kh_resp *p)
{
	struct kwatch *w = arg;

	w->req = NULL;
	end_split(w);
	w->marks = w->marked && p->status == 200;
	if (was_silent(w, p) && p->headless)
		w->rv[0] = '\0';
	if (p->status == 410) {
		w->stats.gone++;
		w->rv[0] = '\0';
	} else if (p->status != 200 && p->status != 0)
		w->rv[0] = '\0';
	if (is_over(w, p) && w->rv[0] != '\0') {
		works(w);
		/* Its time was over; the back-off bounds one that ends at once. */
		if (monotime_sub_ms(monotime_now(), w->begun) > RETRY_MAX_MS)
			backoff_reset(&w->backoff);
		retry_in(w,
		    w->backoff.cur_ms == 0 ?
			0 :
			backoff_next(&w->backoff, arc4random()));
		if (w->backoff.cur_ms == 0)
			w->backoff.cur_ms = RETRY_MIN_MS;
		return;
	}
	if (p->status != 410 && p->status != 200)
		complain(w, "watch", p);
	retry_later(w, p);
}

static void
watch_next(struct kwatch *w)
{
	if (w->relist || w->rv[0] == '\0' || w->listing)
		list_start(w);
	else
		watch_start(w);
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	watch_next(arg);
}

/* ------------------------------------------------------------------ API --- */

struct kwatch *
kwatch_new(struct kh *kh, struct event_base *base, const struct kwatch_conf *c)
{
	struct kwatch *w;

	if ((w = calloc(1, sizeof(*w))) == NULL ||
	    (w->path = strdup(c->path)) == NULL ||
	    (w->query = strdup(c->query)) == NULL)
		fatal("calloc");
	w->kh = kh;
	w->c = *c;
	w->list_idle_ms = LIST_IDLE_MIN_MS;
	w->backoff.min_ms = RETRY_MIN_MS;
	w->backoff.max_ms = RETRY_MAX_MS;
	if ((w->retry = evtimer_new(base, on_retry, w)) == NULL)
		fatalx("evtimer_new");
	retry_in(w, 0);
	return w;
}

void
kwatch_free(struct kwatch *w)
{
	if (w->req != NULL)
		kh_cancel(w->req);
	end_split(w);
	event_free(w->retry);
	free(w->path);
	free(w->query);
	free(w);
}

void
kwatch_relist(struct kwatch *w)
{
	if (w->req != NULL)
		kh_cancel(w->req);
	w->req = NULL;
	w->listing = false;
	w->relist = true;
	retry_in(w, 0);
}

void
kwatch_kick(struct kwatch *w)
{
	if (w->req == NULL)
		retry_in(w, 0);
}

bool
kwatch_synced(const struct kwatch *w)
{
	return w->synced;
}

bool
kwatch_current(const struct kwatch *w)
{
	return w->synced && !w->listing && !w->relist;
}

const struct kwatch_stats *
kwatch_stats(const struct kwatch *w)
{
	return &w->stats;
}
