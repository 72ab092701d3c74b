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
 * Bodies of the remaining requests: DNSEndpoint (resources.md 8), Event,
 * Lease, TokenRequest.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube_render.h"
#include "lease.h"

int
kdns_name(const char *group, char out[static NAME_LEN + 1])
{
	int n = snprintf(out, NAME_LEN + 1, "bloodraven-%s", group);

	if (n >= 0 && n <= NAME_LEN)
		return 0;
	errno = ERANGE;
	return -1;
}

static const char *
record_type(const char *ip)
{
	return strchr(ip, ':') != NULL ? "AAAA" : "A";
}

static bool
add_endpoint(
    yyjson_mut_doc *doc, yyjson_mut_val *list, const struct m_dns_want *w)
{
	yyjson_mut_val *e = yyjson_mut_arr_add_obj(doc, list), *t;

	return e != NULL && kput_str(doc, e, "dnsName", w->hostname) &&
	    kput_str(doc, e, "recordType", record_type(w->target)) &&
	    yyjson_mut_obj_add_int(doc, e, "recordTTL", w->ttl) &&
	    (t = yyjson_mut_obj_add_arr(doc, e, "targets")) != NULL &&
	    yyjson_mut_arr_add_strcpy(doc, t, w->target);
}

yyjson_mut_val *
kdns_render(yyjson_mut_doc *doc, const struct m_dns_want *w)
{
	yyjson_mut_val *o = yyjson_mut_obj(doc), *meta, *labels, *spec, *list;
	struct kspec k = { .name = w->name };
	char name[NAME_LEN + 1];

	if (o == NULL || kdns_name(w->name, name) == -1 ||
	    !kput_str(doc, o, "apiVersion", "externaldns.k8s.io/v1alpha1") ||
	    !kput_str(doc, o, "kind", "DNSEndpoint") ||
	    (meta = yyjson_mut_obj_add_obj(doc, o, "metadata")) == NULL ||
	    !kput_str(doc, meta, "name", name) ||
	    !kput_str(doc, meta, "namespace", w->ns) ||
	    (labels = yyjson_mut_obj_add_obj(doc, meta, "labels")) == NULL ||
	    !krender_labels(doc, labels, k.name, NULL) ||
	    !krender_owner(doc, meta, w->name, w->group, false) ||
	    (spec = yyjson_mut_obj_add_obj(doc, o, "spec")) == NULL ||
	    (list = yyjson_mut_obj_add_arr(doc, spec, "endpoints")) == NULL ||
	    !add_endpoint(doc, list, w))
		return NULL;
	return o;
}

const char *
kdns_live(yyjson_val *endpoint, const struct m_dns_want *w)
{
	yyjson_val *list, *e, *targets, *ttl;
	const char *t;

	list = yyjson_obj_get(yyjson_obj_get(endpoint, "spec"), "endpoints");
	e = yyjson_arr_get_first(list);
	targets = yyjson_obj_get(e, "targets");
	ttl = yyjson_obj_get(e, "recordTTL");
	t = yyjson_get_str(yyjson_arr_get_first(targets));
	if (yyjson_arr_size(list) != 1 || yyjson_arr_size(targets) != 1 ||
	    t == NULL || !yyjson_is_int(ttl) ||
	    yyjson_get_sint(ttl) != w->ttl ||
	    !yyjson_equals_str(yyjson_obj_get(e, "dnsName"), w->hostname) ||
	    !yyjson_equals_str(yyjson_obj_get(e, "recordType"), record_type(t)))
		return NULL;
	return t;
}

/* Each of ours, as it is rendered; others stay. */
static bool
has_labels(yyjson_mut_val *want, yyjson_val *have)
{
	yyjson_mut_obj_iter it = yyjson_mut_obj_iter_with(want);
	yyjson_mut_val *k;

	while ((k = yyjson_mut_obj_iter_next(&it)) != NULL)
		if (!yyjson_equals_str(
			yyjson_obj_get(have, yyjson_mut_get_str(k)),
			yyjson_mut_get_str(yyjson_mut_obj_iter_get_val(k))))
			return false;
	return true;
}

bool
kdns_belongs(yyjson_val *endpoint, const struct m_dns_want *w)
{
	yyjson_val *meta = yyjson_obj_get(endpoint, "metadata"), *o;
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *want = doc == NULL ? NULL : kdns_render(doc, w);
	bool owned = false, labels;
	size_t i, n;

	yyjson_arr_foreach(yyjson_obj_get(meta, "ownerReferences"), i, n, o)
	{
		owned |= yyjson_equals_str(yyjson_obj_get(o, "uid"), w->group);
	}
	labels = want != NULL &&
	    has_labels(yyjson_mut_obj_get(
			   yyjson_mut_obj_get(want, "metadata"), "labels"),
		yyjson_obj_get(meta, "labels"));
	yyjson_mut_doc_free(doc);
	return owned && labels;
}

/* --------------------------------------------------------------- Event -- */

static bool
add_involved(yyjson_mut_doc *doc, yyjson_mut_val *o, const struct kevent *e)
{
	yyjson_mut_val *ref;

	ref = yyjson_mut_obj_add_obj(doc, o, "involvedObject");
	return ref != NULL &&
	    kput_str(doc, ref, "apiVersion", BR_API_GROUP "/" BR_API_VERSION) &&
	    kput_str(doc, ref, "kind", "MysqlFailoverGroup") &&
	    kput_str(doc, ref, "name", e->name) &&
	    kput_str(doc, ref, "namespace", e->ns) &&
	    kput_str(doc, ref, "uid", e->uid) &&
	    kput_str(doc, ref, "resourceVersion", e->resource_version);
}

yyjson_mut_val *
kevent_render(yyjson_mut_doc *doc, const struct kevent *e)
{
	yyjson_mut_val *o = yyjson_mut_obj(doc), *meta, *src;
	char t[KTIME_LEN], name[NAME_LEN + 1];

	ktime_s(e->now_ms, t);
	/* The suffix must survive a long name. */
	snprintf(name, sizeof(name), "%.*s.%llx",
	    (int)(NAME_LEN - 1 - 2 * sizeof(e->serial)), e->name,
	    (unsigned long long)e->serial);
	if (o == NULL || !kput_str(doc, o, "apiVersion", "v1") ||
	    !kput_str(doc, o, "kind", "Event") ||
	    (meta = yyjson_mut_obj_add_obj(doc, o, "metadata")) == NULL ||
	    !kput_str(doc, meta, "name", name) ||
	    !kput_str(doc, meta, "namespace", e->ns) ||
	    !add_involved(doc, o, e) ||
	    !kput_str(doc, o, "reason", e->event->reason) ||
	    !kput_str(doc, o, "message", e->event->message) ||
	    !kput_str(
		doc, o, "type", e->event->warning ? "Warning" : "Normal") ||
	    (src = yyjson_mut_obj_add_obj(doc, o, "source")) == NULL ||
	    !kput_str(doc, src, "component", "bloodraven") ||
	    !kput_str(doc, o, "firstTimestamp", t) ||
	    !kput_str(doc, o, "lastTimestamp", t) ||
	    !yyjson_mut_obj_add_int(doc, o, "count", 1) ||
	    !kput_str(doc, o, "reportingComponent", "bloodraven") ||
	    !kput_str(doc, o, "reportingInstance", e->instance))
		return NULL;
	return o;
}

/* --------------------------------------------------------------- Lease -- */

#define ACTS_LEN (24 + KTIME_LEN)

static bool
put_time(yyjson_mut_doc *doc, yyjson_mut_val *o, const char *key, int64_t us)
{
	char t[KTIME_LEN];

	ktime_us(us, t);
	return us == 0 || kput_str(doc, o, key, t);
}

/*
 * With the renewal that it speaks of: a client that sends back what it does not
 * know may renew the Lease for another time.
 */
static void
acts_text(int64_t ms, int64_t renew_us, char out[static ACTS_LEN])
{
	char t[KTIME_LEN];

	ktime_us(renew_us, t);
	(void)snprintf(out, ACTS_LEN, "%lld %s", (long long)ms, t);
}

/* A PUT without it takes it away: so does an older release. */
static bool
put_acts(yyjson_mut_doc *doc, yyjson_mut_val *meta, const struct klease *l)
{
	yyjson_mut_val *ann;
	char text[ACTS_LEN];

	if (l->acts_ms == 0)
		return true;
	acts_text(l->acts_ms, l->renew_us, text);
	ann = yyjson_mut_obj_add_obj(doc, meta, "annotations");
	return ann != NULL && kput_str(doc, ann, BR_ANN_ACTS, text);
}

yyjson_mut_val *
klease_render(yyjson_mut_doc *doc, const struct klease *l)
{
	yyjson_mut_val *o = yyjson_mut_obj(doc), *meta, *spec;

	if (o == NULL ||
	    !kput_str(doc, o, "apiVersion", "coordination.k8s.io/v1") ||
	    !kput_str(doc, o, "kind", "Lease") ||
	    (meta = yyjson_mut_obj_add_obj(doc, o, "metadata")) == NULL ||
	    !kput_str(doc, meta, "name", l->name) ||
	    !kput_str(doc, meta, "namespace", l->ns) ||
	    !kput_str(doc, meta, "resourceVersion", l->resource_version) ||
	    !put_acts(doc, meta, l) ||
	    (spec = yyjson_mut_obj_add_obj(doc, o, "spec")) == NULL ||
	    !kput_str(doc, spec, "holderIdentity", l->holder) ||
	    !yyjson_mut_obj_add_int(
		doc, spec, "leaseDurationSeconds", l->duration_s) ||
	    !put_time(doc, spec, "acquireTime", l->acquire_us) ||
	    !put_time(doc, spec, "renewTime", l->renew_us) ||
	    !yyjson_mut_obj_add_int(
		doc, spec, "leaseTransitions", (int64_t)l->transitions))
		return NULL;
	return o;
}

static int64_t
time_us(yyjson_val *o, const char *key)
{
	const char *s = yyjson_get_str(yyjson_obj_get(o, key));
	int64_t us;

	return s != NULL && ktime_parse(s, &us) == 0 ? us : 0;
}

/* What is no such text, or of another renewal, is not known. */
static int64_t
acts_ms(yyjson_val *meta, int64_t renew_us)
{
	const char *s = yyjson_get_str(
	    yyjson_obj_get(yyjson_obj_get(meta, "annotations"), BR_ANN_ACTS));
	char n[ACTS_LEN], text[ACTS_LEN];
	const char *e = NULL;
	int64_t ms;

	if (s == NULL || strlcpy(n, s, sizeof(n)) >= sizeof(n))
		return 0;
	n[strcspn(n, " ")] = '\0';
	ms = strtonum(n, 1, LEASE_MAX_MS, &e);
	if (e != NULL)
		return 0;
	acts_text(ms, renew_us, text);
	return strcmp(s, text) == 0 ? ms : 0;
}

int
klease_decode(yyjson_val *v, struct klease *l)
{
	yyjson_val *meta = yyjson_obj_get(v, "metadata");
	yyjson_val *spec = yyjson_obj_get(v, "spec"), *n;

	memset(l, 0, sizeof(*l));
	l->ns = yyjson_get_str(yyjson_obj_get(meta, "namespace"));
	l->name = yyjson_get_str(yyjson_obj_get(meta, "name"));
	l->resource_version =
	    yyjson_get_str(yyjson_obj_get(meta, "resourceVersion"));
	if (l->ns == NULL || l->name == NULL || l->resource_version == NULL) {
		errno = EBADMSG;
		return -1;
	}
	l->holder = yyjson_get_str(yyjson_obj_get(spec, "holderIdentity"));
	if (l->holder == NULL)
		l->holder = "";
	n = yyjson_obj_get(spec, "leaseDurationSeconds");
	l->duration_s = yyjson_is_int(n) ? yyjson_get_sint(n) : 0;
	n = yyjson_obj_get(spec, "leaseTransitions");
	l->transitions = yyjson_is_int(n) && yyjson_get_sint(n) > 0 ?
	    (uint64_t)yyjson_get_sint(n) :
	    0;
	l->acquire_us = time_us(spec, "acquireTime");
	l->renew_us = time_us(spec, "renewTime");
	l->acts_ms = acts_ms(meta, l->renew_us);
	return 0;
}

yyjson_mut_val *
ktoken_request(yyjson_mut_doc *doc, int64_t seconds)
{
	yyjson_mut_val *o = yyjson_mut_obj(doc), *spec;

	/* No audiences: the API server's own. */
	if (o == NULL ||
	    !kput_str(doc, o, "apiVersion", "authentication.k8s.io/v1") ||
	    !kput_str(doc, o, "kind", "TokenRequest") ||
	    (spec = yyjson_mut_obj_add_obj(doc, o, "spec")) == NULL ||
	    !yyjson_mut_obj_add_int(doc, spec, "expirationSeconds", seconds))
		return NULL;
	return o;
}
