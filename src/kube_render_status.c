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
 * status of a MysqlFailoverGroup from what the parent says (api.md 1.7, 1.8).
 * lastSeen, gtidExecuted and secondsBehindSource are as of the last write, and
 * they alone never cause one: they may be old in a group that is healthy.
 */

#include <string.h>

#include "kube_render.h"

/* Empty text is left out of an entry: lists are replaced as a whole. */
static bool
put_text(yyjson_mut_doc *doc, yyjson_mut_val *o, const char *key, const char *s)
{
	return *s == '\0' || kput_str(doc, o, key, s);
}

static bool
put_time(yyjson_mut_doc *doc, yyjson_mut_val *o, const char *key, int64_t ms)
{
	char t[KTIME_LEN];

	if (ms <= 0)
		return true;
	ktime_s(ms, t);
	return kput_str(doc, o, key, t);
}

static yyjson_mut_val *
render_site(
    yyjson_mut_doc *doc, const struct ksite *s, const struct m_site_status *st)
{
	yyjson_mut_val *o = yyjson_mut_obj(doc);

	if (o == NULL || !kput_str(doc, o, "name", s->name) ||
	    !kput_str(doc, o, "role", role_name(s->role)))
		return NULL;
	if (st == NULL)
		return kput_str(doc, o, "state", site_state_name(SS_UNKNOWN)) ?
		    o :
		    NULL;
	if (!kput_str(doc, o, "state", site_state_name(st->state)) ||
	    !put_time(doc, o, "lastSeen", st->last_seen_ms) ||
	    !put_text(doc, o, "gtidExecuted", st->gtid) ||
	    !yyjson_mut_obj_add_bool(doc, o, "replicating", st->replicating) ||
	    (st->replicating && st->lag_s >= 0 &&
		!yyjson_mut_obj_add_int(
		    doc, o, "secondsBehindSource", st->lag_s)) ||
	    !put_text(doc, o, "sourceHost", st->source_host) ||
	    !put_text(doc, o, "sourceConvergenceState", st->convergence) ||
	    !put_text(
		doc, o, "sourceConvergenceReason", st->convergence_reason) ||
	    !put_text(doc, o, "recoveryState", st->recovery) ||
	    !put_text(doc, o, "divergentGtid", st->divergent_gtid))
		return NULL;
	if (*st->recovery != '\0' && st->divergent_count > 0 &&
	    !yyjson_mut_obj_add_int(
		doc, o, "divergentTransactionCount", st->divergent_count))
		return NULL;
	return o;
}

static bool
add_sites(yyjson_mut_doc *doc, yyjson_mut_val *status, const struct kspec *k,
    const struct m_site_status *sites, unsigned nsites)
{
	yyjson_mut_val *arr, *o;
	unsigned j;

	if ((arr = yyjson_mut_obj_add_arr(doc, status, "sites")) == NULL)
		return false;
	for (unsigned i = 0; i < k->nsites; i++) {
		for (j = 0; j < nsites; j++)
			if (strcmp(sites[j].name, k->sites[i].name) == 0)
				break;
		o = render_site(
		    doc, &k->sites[i], j < nsites ? &sites[j] : NULL);
		if (o == NULL || !yyjson_mut_arr_append(arr, o))
			return false;
	}
	return true;
}

/* ---------------------------------------------------------- conditions -- */

static yyjson_val *
prev_condition(yyjson_val *prev, const char *type)
{
	yyjson_arr_iter it;
	yyjson_val *c;

	it = yyjson_arr_iter_with(yyjson_obj_get(prev, "conditions"));
	while ((c = yyjson_arr_iter_next(&it)) != NULL)
		if (yyjson_equals_str(yyjson_obj_get(c, "type"), type))
			return c;
	return NULL;
}

/* Kubernetes wants ^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$, not empty. */
static const char *
reason_or_unknown(const char *reason)
{
	return *reason == '\0' ? "Unknown" : reason;
}

static yyjson_mut_val *
render_condition(yyjson_mut_doc *doc, const struct kspec *k,
    const struct m_condition *c, yyjson_val *old, int64_t now_ms)
{
	yyjson_mut_val *o = yyjson_mut_obj(doc);
	const char *status = c->status ? "True" : "False", *since;
	char now[KTIME_LEN];
	int64_t us;

	ktime_s(now_ms, now);
	since = now;
	if (yyjson_equals_str(yyjson_obj_get(old, "status"), status)) {
		since =
		    yyjson_get_str(yyjson_obj_get(old, "lastTransitionTime"));
		if (since == NULL || ktime_parse(since, &us) == -1)
			since = now;
	}
	if (o == NULL || !kput_str(doc, o, "type", c->type) ||
	    !kput_str(doc, o, "status", status) ||
	    !yyjson_mut_obj_add_int(
		doc, o, "observedGeneration", k->generation) ||
	    !kput_str(doc, o, "lastTransitionTime", since) ||
	    !kput_str(doc, o, "reason", reason_or_unknown(c->reason)) ||
	    !kput_str(doc, o, "message",
		*c->message == '\0' ? reason_or_unknown(c->reason) :
				      c->message))
		return NULL;
	return o;
}

static bool
names_type(const struct m_group_status *g, yyjson_val *type)
{
	for (unsigned i = 0; i < g->n_conditions; i++)
		if (yyjson_equals_str(type, g->conditions[i].type))
			return true;
	return false;
}

static bool
add_conditions(yyjson_mut_doc *doc, yyjson_mut_val *status,
    const struct kspec *k, const struct m_group_status *g, yyjson_val *prev,
    int64_t now_ms)
{
	yyjson_arr_iter it;
	yyjson_mut_val *arr, *o;
	yyjson_val *c;

	arr = yyjson_mut_obj_add_arr(doc, status, "conditions");
	if (arr == NULL)
		return false;
	for (unsigned i = 0; i < g->n_conditions; i++) {
		o = render_condition(doc, k, &g->conditions[i],
		    prev_condition(prev, g->conditions[i].type), now_ms);
		if (o == NULL || !yyjson_mut_arr_append(arr, o))
			return false;
	}
	it = yyjson_arr_iter_with(yyjson_obj_get(prev, "conditions"));
	while ((c = yyjson_arr_iter_next(&it)) != NULL) {
		if (!yyjson_is_obj(c) ||
		    names_type(g, yyjson_obj_get(c, "type")))
			continue;
		o = yyjson_val_mut_copy(doc, c);
		if (o == NULL || !yyjson_mut_arr_append(arr, o))
			return false;
	}
	return true;
}

/* "iad*:writable pdx:read-only/Blocked": all sites in one column. */
static bool
add_short(yyjson_mut_doc *doc, yyjson_mut_val *status, const struct kspec *k,
    const struct m_group_status *g, const struct m_site_status *sites,
    unsigned nsites)
{
	struct kbuf b = { 0 };
	yyjson_mut_val *v;
	unsigned j;

	for (unsigned i = 0; i < k->nsites; i++) {
		const struct m_site_status *st = NULL;

		for (j = 0; j < nsites; j++)
			if (strcmp(sites[j].name, k->sites[i].name) == 0)
				st = &sites[j];
		kbuf_addf(&b, "%s%s%s:%s", i > 0 ? " " : "", k->sites[i].name,
		    strcmp(k->sites[i].name, g->active_site) == 0 ? "*" : "",
		    site_state_name(st == NULL ? SS_UNKNOWN : st->state));
		if (st != NULL && st->state == SS_READ_ONLY &&
		    strcmp(st->convergence, "Converged") != 0)
			kbuf_addf(&b, "/%s",
			    *st->convergence == '\0' ? "NoSource" :
						       st->convergence);
	}
	return (v = kbuf_take(&b, doc)) != NULL &&
	    yyjson_mut_obj_add_val(doc, status, "siteSummary", v) &&
	    put_text(doc, status, "summary", g->summary);
}

yyjson_mut_val *
kstatus_render(yyjson_mut_doc *doc, const struct kspec *k,
    const struct m_group_status *g, const struct m_site_status *sites,
    unsigned nsites, yyjson_val *prev, int64_t now_ms)
{
	yyjson_mut_val *o = yyjson_mut_obj(doc);

	/*
	 * activeSite also when there is none: a merge patch leaves what it
	 * does not name. null, because some API servers take "" for a null
	 * that the schema forbids. What a promotion wrote is only ever
	 * replaced by another.
	 */
	if (o == NULL ||
	    !(*g->active_site == '\0' ?
		    yyjson_mut_obj_add_null(doc, o, "activeSite") :
		    kput_str(doc, o, "activeSite", g->active_site)) ||
	    !add_sites(doc, o, k, sites, nsites) ||
	    !add_short(doc, o, k, g, sites, nsites) ||
	    !add_conditions(doc, o, k, g, prev, now_ms) ||
	    !put_time(doc, o, "lastFailover",
		g->last_failover_s > 0 &&
			g->last_failover_s < INT64_MAX / 1000 ?
		    g->last_failover_s * 1000 :
		    0) ||
	    !put_text(doc, o, "lastFailoverTarget", g->last_failover_target) ||
	    !put_text(doc, o, "promotionGtidExecuted", g->promotion_gtid) ||
	    !(*g->update_phase == '\0' ?
		    yyjson_mut_obj_add_null(doc, o, "updatePhase") :
		    kput_str(doc, o, "updatePhase", g->update_phase)))
		return NULL;
	return o;
}

/* ---------------------------------------------------------------- diff -- */

/* What is different while nothing happens, unless it came or went. */
static bool
moves(const char *key, const yyjson_mut_val *other)
{
	if (other == NULL)
		return strcmp(key, "secondsBehindSource") == 0;

	return strcmp(key, "lastSeen") == 0 ||
	    strcmp(key, "gtidExecuted") == 0 ||
	    strcmp(key, "secondsBehindSource") == 0;
}

/* Every member of next is in prev; deep: also the other way round. */
static enum kstatus_diff
diff_obj(yyjson_mut_val *prev, yyjson_mut_val *next, bool both)
{
	enum kstatus_diff d = KS_SAME;
	yyjson_mut_obj_iter it = yyjson_mut_obj_iter_with(next);
	yyjson_mut_val *k, *was;
	const char *key;

	while ((k = yyjson_mut_obj_iter_next(&it)) != NULL) {
		key = yyjson_mut_get_str(k);
		was = yyjson_mut_obj_get(prev, key);
		if (yyjson_mut_equals(yyjson_mut_obj_iter_get_val(k), was))
			continue;
		if (!moves(key, was))
			return KS_CHANGED;
		d = KS_MINOR;
	}
	it = yyjson_mut_obj_iter_with(prev);
	while (both && (k = yyjson_mut_obj_iter_next(&it)) != NULL) {
		key = yyjson_mut_get_str(k);
		if (yyjson_mut_obj_get(next, key) != NULL)
			continue;
		if (!moves(key, NULL))
			return KS_CHANGED;
		d = KS_MINOR;
	}
	return d;
}

static enum kstatus_diff
diff_sites(yyjson_mut_val *prev, yyjson_mut_val *next)
{
	enum kstatus_diff d = KS_SAME, one;
	yyjson_mut_arr_iter pi = yyjson_mut_arr_iter_with(prev);
	yyjson_mut_arr_iter ni = yyjson_mut_arr_iter_with(next);
	yyjson_mut_val *p, *n;

	if (yyjson_mut_arr_size(prev) != yyjson_mut_arr_size(next))
		return KS_CHANGED;
	while ((p = yyjson_mut_arr_iter_next(&pi)) != NULL &&
	    (n = yyjson_mut_arr_iter_next(&ni)) != NULL) {
		one = diff_obj(p, n, true);
		if (one > d)
			d = one;
	}
	return d;
}

enum kstatus_diff
kstatus_diff(yyjson_val *prev, yyjson_mut_val *next)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *old, *was, *is, *k;
	yyjson_mut_obj_iter it = yyjson_mut_obj_iter_with(next);
	enum kstatus_diff d = KS_SAME, one;

	old =
	    prev == NULL || doc == NULL ? NULL : yyjson_val_mut_copy(doc, prev);
	/* When in doubt, write. */
	if (old == NULL)
		d = KS_CHANGED;
	while (d != KS_CHANGED && (k = yyjson_mut_obj_iter_next(&it)) != NULL) {
		is = yyjson_mut_obj_iter_get_val(k);
		was = yyjson_mut_obj_get(old, yyjson_mut_get_str(k));
		if (yyjson_mut_equals_str(k, "sites"))
			one = diff_sites(was, is);
		else if (yyjson_mut_equals(was, is) ||
		    ((was == NULL || yyjson_mut_equals_str(was, "")) &&
			yyjson_mut_is_null(is)))
			one = KS_SAME;
		else
			one = KS_CHANGED;
		if (one > d)
			d = one;
	}
	yyjson_mut_doc_free(doc);
	return d;
}
