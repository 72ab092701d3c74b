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
 * Groups of another installation. Two that have a Lease each both lead, and to
 * a group's voters each of them is the operator: one would count its own
 * promise while the other one says yes. So each record names the Lease under
 * which it was written, and who has another one leaves the group alone: its
 * parent does not know it, so that nothing is asked, said or done. A leader
 * writes the record before it says yes to anything; the second one to do so
 * meets the name of the first.
 *
 * An annotation hands a group over: whom it names lets go of it, or is dead, or
 * is cut off and ends with its Lease. Who takes it waits for as long, and each
 * of its processes anew, since until the record is written nothing says so.
 */

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube.h"

void
kforeign_lease(const struct kube *k, char out[static KLEASE_SIZE])
{
	(void)snprintf(out, KLEASE_SIZE, "%s/%s", k->conf.namespace, BR_LEASE);
}

static bool
is_own(const struct kube *k, const char *lease)
{
	char own[KLEASE_SIZE];

	kforeign_lease(k, own);
	return strcmp(lease, own) == 0;
}

static struct kforeign *
find(struct kube *k, const char *uid)
{
	struct kforeign *f;

	TAILQ_FOREACH (f, &k->foreign, link)
		if (strcmp(f->uid, uid) == 0)
			return f;
	return NULL;
}

static struct kforeign *
add(struct kube *k, yyjson_val *obj)
{
	struct kforeign *f;

	if ((f = calloc(1, sizeof(*f))) == NULL)
		fatal("calloc");
	(void)strlcpy(f->uid, kj_meta(obj, "uid"), sizeof(f->uid));
	(void)strlcpy(f->ns, kj_meta(obj, "namespace"), sizeof(f->ns));
	(void)strlcpy(f->name, kj_meta(obj, "name"), sizeof(f->name));
	TAILQ_INSERT_TAIL(&k->foreign, f, link);
	return f;
}

/* Pods may have waited because of it: those of no group are let go now. */
static void
forget(struct kube *k, struct kforeign *f)
{
	TAILQ_REMOVE(&k->foreign, f, link);
	free(f);
	if (k->w_pods != NULL && kube_may_write(k))
		kwatch_relist(k->w_pods);
}

/* ------------------------------------------------------------------ saying */

static void
say(struct kube *k, const struct kforeign *f)
{
	bool own = is_own(k, f->lease);
	char msg[MSGTEXT_LEN + 1];

	if (f->due_ns != 0) {
		log_ev(LL_INFO, "group is handed over to us",
		    KVS("namespace", f->ns), KVS("name", f->name),
		    KVS("lease", f->lease));
		return;
	}
	if (own)
		(void)snprintf(msg, sizeof(msg),
		    "annotation " KFOREIGN_ANN " gives the group up to another "
		    "installation; take it off to keep the group here");
	else
		(void)snprintf(msg, sizeof(msg),
		    "led by another installation, Lease %s; one of the two is "
		    "too many, and to hand the group over to this one annotate "
		    "it with " KFOREIGN_ANN "=%s",
		    f->lease, f->lease);
	log_ev(own ? LL_WARN : LL_ERROR,
	    own ? "group is handed over" :
		  "group is led by another installation",
	    KVS("namespace", f->ns), KVS("name", f->name),
	    KVS("lease", f->lease), KVS("error", msg));
	kevent_about(k, f->ns, f->name, f->uid,
	    own ? "HandedOver" : "LedByAnother", msg);
}

/* Nobody heard of it when we were no leader. */
void
kforeign_lead(struct kube *k)
{
	struct kforeign *f;

	TAILQ_FOREACH (f, &k->foreign, link)
		if (f->due_ns == 0)
			say(k, f);
}

/* ------------------------------------------------------------ handing over */

/* The next group that is waited for. */
static void
arm(struct kube *k)
{
	int64_t now = monotime_now().ns, next = INT64_MAX;
	struct kforeign *f;
	struct timeval tv;

	TAILQ_FOREACH (f, &k->foreign, link)
		if (f->due_ns > now && f->due_ns < next)
			next = f->due_ns;
	if (next == INT64_MAX)
		return;
	next = (next - now) / 1000000 + 1;
	tv = (struct timeval) { next / 1000, next % 1000 * 1000 };
	event_add(k->foreign_timer, &tv);
}

/* It is read once more: the word may have been taken back. */
static void
on_due(int fd, short what, void *arg)
{
	struct kube *k = arg;

	(void)fd;
	(void)what;
	kwatch_relist(k->w_groups);
	arm(k);
}

/* -------------------------------------------------------------- from lists */

bool
kforeign_is(struct kube *k, yyjson_val *obj)
{
	const char *lease = yyjson_get_str(
	    yyjson_obj_get(kj_at(obj, "status", "authority"), "lease"));
	struct kforeign *f = find(k, kj_meta(obj, "uid"));
	int64_t now = monotime_now().ns;
	bool word, own;

	if (lease == NULL)
		lease = "";
	own = lease[0] == '\0' || is_own(k, lease);
	word = lease[0] != '\0' &&
	    yyjson_equals_str(
		yyjson_obj_get(
		    kj_at(obj, "metadata", "annotations"), KFOREIGN_ANN),
		lease);
	if (own && !word) {
		if (f != NULL)
			forget(k, f);
		return false;
	}
	if (f == NULL)
		f = add(k, obj);
	f->mark = k->mark;
	if (f->word != word ||
	    strncmp(f->lease, lease, sizeof(f->lease) - 1) != 0) {
		(void)strlcpy(f->lease, lease, sizeof(f->lease));
		f->word = word;
		f->due_ns =
		    own || !word ? 0 : now + k->lease.longest_ms * 1000000;
		say(k, f);
		arm(k);
	}
	return f->due_ns == 0 || now < f->due_ns;
}

void
kforeign_gone(struct kube *k, const char *uid)
{
	struct kforeign *f = find(k, uid);

	if (f != NULL)
		forget(k, f);
}

void
kforeign_listed(struct kube *k)
{
	struct kforeign *f, *next;

	TAILQ_FOREACH_SAFE (f, &k->foreign, link, next)
		if (f->mark != k->mark)
			forget(k, f);
}

bool
kforeign_in(const struct kube *k, const char *ns)
{
	const struct kforeign *f;

	TAILQ_FOREACH (f, &k->foreign, link)
		if (strcmp(f->ns, ns) == 0)
			return true;
	return false;
}

void
kforeign_start(struct kube *k)
{
	TAILQ_INIT(&k->foreign);
	if ((k->foreign_timer = evtimer_new(k->base, on_due, k)) == NULL)
		fatalx("evtimer_new");
}

void
kforeign_free(struct kube *k)
{
	struct kforeign *f;

	while ((f = TAILQ_FIRST(&k->foreign)) != NULL) {
		TAILQ_REMOVE(&k->foreign, f, link);
		free(f);
	}
	event_free(k->foreign_timer);
}
