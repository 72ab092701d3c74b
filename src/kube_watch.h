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
 * List and watch one kind of object, narrowed by a selector.
 */

#ifndef KUBE_WATCH_H
#define KUBE_WATCH_H

#include <stdbool.h>
#include <yyjson.h>

#include "kube_http.h"

struct kwatch;

struct kwatch_conf {
	const char *name;  /* for log lines; static */
	const char *path;  /* "/api/v1/pods"; copied */
	const char *query; /* encoded selector or ""; copied */
	unsigned limit;    /* objects in one chunk of a list */
	/*
	 * Nothing of an object but its name is sent, as rows of a Table: they
	 * are what object() gets. The list is asked for its version alone, so
	 * after listed() each object may be another one than before.
	 */
	bool names;
	/* A list begins; objects that come until listed() belong to it. */
	void (*begin)(void *);
	/* obj is borrowed for the call. */
	void (*object)(void *, yyjson_val *obj, bool deleted);
	/* The list is complete: what it did not have is gone. */
	void (*listed)(void *);
	void *arg;
};

/* The name in such a row; NULL: not to be understood. */
const char *kwatch_name(yyjson_val *table);

/* Begins at once. Lists are quorum reads (no resourceVersion is sent). */
struct kwatch *
kwatch_new(struct kh *, struct event_base *, const struct kwatch_conf *);
void kwatch_free(struct kwatch *);
/* Throw away what is known and list anew; listed() says when. */
void kwatch_relist(struct kwatch *);
/* Retry at once what waits for its back-off (a new token, API back). */
void kwatch_kick(struct kwatch *);
/* Has a list been completed, ever? */
bool kwatch_synced(const struct kwatch *);
/* The same, and no other list is under way or asked for. */
bool kwatch_current(const struct kwatch *);

struct kwatch_stats {
	uint64_t lists, watches, bookmarks, events, gone, silent;
};
const struct kwatch_stats *kwatch_stats(const struct kwatch *);

/* For tests with short times; 0 leaves the default. */
void kwatch_times(int64_t timeout_s, int64_t idle_ms);

#endif /* KUBE_WATCH_H */
