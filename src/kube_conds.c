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
 * Conditions of a group that kube-watcher itself knows, beside the parent's;
 * and what of all of them status.summary begins with.
 */

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "kube.h"
#include "kube_render.h"

/* Replace or append one of our own conditions in the rendered array. */
static void
condition(yyjson_mut_doc *d, yyjson_mut_val *arr, const struct kcond *c,
    int64_t generation)
{
	char now[KTIME_LEN];
	struct timespec ts;
	yyjson_mut_val *v, *old = NULL;
	const char *since = now, *status = c->status ? "True" : "False";
	size_t i, n;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	ktime_s((int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000, now);
	yyjson_mut_arr_foreach(arr, i, n, v)
	{
		if (yyjson_mut_equals_str(
			yyjson_mut_obj_get(v, "type"), c->type)) {
			old = v;
			break;
		}
	}
	if (old != NULL &&
	    yyjson_mut_equals_str(yyjson_mut_obj_get(old, "status"), status) &&
	    yyjson_mut_is_str(yyjson_mut_obj_get(old, "lastTransitionTime")))
		since = yyjson_mut_get_str(
		    yyjson_mut_obj_get(old, "lastTransitionTime"));
	v = yyjson_mut_obj(d);
	yyjson_mut_obj_add_strcpy(d, v, "type", c->type);
	yyjson_mut_obj_add_strcpy(d, v, "status", status);
	yyjson_mut_obj_add_strcpy(d, v, "reason", c->reason);
	/* It may have been cut in the middle of a character; see below. */
	if (!kput_str(d, v, "message", c->message))
		fatalx("JSON memory");
	yyjson_mut_obj_add_strcpy(d, v, "lastTransitionTime", since);
	yyjson_mut_obj_add_sint(d, v, "observedGeneration", generation);
	if (old != NULL)
		yyjson_mut_arr_replace(arr, i, v);
	else
		yyjson_mut_arr_append(arr, v);
}

/* What kube-watcher itself knows and the parent need not repeat. */
static void
own_conditions(struct kgroup *g, yyjson_mut_doc *d, yyjson_mut_val *status)
{
	yyjson_mut_val *arr = yyjson_mut_obj_get(status, "conditions");
	struct kcond valid = { "SpecValid", "Valid", "", true },
		     unused = { "FieldsIgnored", "AllUsed", "", false },
		     drift = { "DeploymentsDiffer", "AsSpecified", "", false },
		     names = { "NamesTaken", "NoneTaken", "", false }, creds,
		     tls, applied, excess;

	if (!yyjson_mut_is_arr(arr)) {
		yyjson_mut_obj_remove_key(status, "conditions");
		arr = yyjson_mut_obj_add_arr(d, status, "conditions");
	}
	if (!g->valid)
		valid = (struct kcond) { "SpecValid", "InvalidSpec", g->problem,
			false };
	if (g->unused[0] != '\0')
		unused = (struct kcond) { "FieldsIgnored", "NotImplementedYet",
			g->unused, true };
	if (g->drift[0] != '\0')
		drift = (struct kcond) { "DeploymentsDiffer", "SpecHashDiffers",
			g->drift, true };
	if (g->clash[0] != '\0')
		names = (struct kcond) { "NamesTaken", "OfAnotherGroup",
			g->clash, true };
	kaccess_creds_cond(g, &creds);
	condition(d, arr, &valid, g->generation);
	condition(d, arr, &unused, g->generation);
	condition(d, arr, &drift, g->generation);
	/* What a pass found out is of the spec that it went through. */
	if (g->clash_known)
		condition(d, arr, &names, g->clash_generation);
	if (krefused_cond(g, &applied))
		condition(d, arr, &applied, g->refused_generation);
	if (g->creds_known || g->creds_unread[0] != '\0')
		condition(d, arr, &creds, g->generation);
	if (kaccess_excess_cond(g, &excess))
		condition(d, arr, &excess, g->generation);
	if (kaccess_tls_cond(g, &tls))
		condition(d, arr, &tls, g->generation);
	else if (!g->spec.tls)
		kaccess_no_tls(arr);
}

/*
 * A condition must have a message, and API servers built by some compilers
 * take "" for none.
 */
static void
say_something(yyjson_mut_doc *d, yyjson_mut_val *conds)
{
	yyjson_mut_val *c;
	size_t i, n;

	yyjson_mut_arr_foreach(conds, i, n, c)
	{
		if (!yyjson_mut_equals_str(
			yyjson_mut_obj_get(c, "message"), ""))
			continue;
		yyjson_mut_obj_put(c, yyjson_mut_strcpy(d, "message"),
		    yyjson_mut_val_mut_copy(
			d, yyjson_mut_obj_get(c, "reason")));
	}
}

/* ----------------------------------------------------------------- summary */

/*
 * What makes the rest of the status old, or keeps it from becoming so, comes
 * first in status.summary. The first one that is bad speaks for them.
 */
static const struct {
	const char *type, *bad;
} before[] = {
	{ "SpecValid", "False" },
	{ "CredentialsValid", "False" },
	{ "TLSValid", "False" },
	{ "NamesTaken", "True" },
	{ "ObjectsApplied", "False" },
	{ "DNSUpdated", "False" },
};

static const char *
text_of(yyjson_mut_val *o, const char *key)
{
	const char *s = yyjson_mut_get_str(yyjson_mut_obj_get(o, key));

	return s != NULL ? s : "";
}

static yyjson_mut_val *
first_bad(yyjson_mut_val *conds)
{
	yyjson_mut_val *c;
	size_t i, n;

	for (size_t k = 0; k < PS_NITEMS(before); k++)
		yyjson_mut_arr_foreach(conds, i, n, c)
		{
			if (yyjson_mut_equals_str(yyjson_mut_obj_get(c, "type"),
				before[k].type) &&
			    yyjson_mut_equals_str(
				yyjson_mut_obj_get(c, "status"), before[k].bad))
				return c;
		}
	return NULL;
}

/*
 * Without a word of the parent's only a group that is not managed at all, for
 * want of a valid spec, has one: anything else of it would be of the past.
 */
static void
summary(const struct kgroup *g, yyjson_mut_doc *d, yyjson_mut_val *status)
{
	yyjson_mut_val *c = first_bad(yyjson_mut_obj_get(status, "conditions"));
	const char *rest = text_of(status, "summary");
	char text[2 * MSGTEXT_LEN];

	if (c == NULL || (rest[0] == '\0' && g->doc != NULL))
		return;
	(void)snprintf(text, sizeof(text), "%s: %.600s%s%s",
	    text_of(c, "reason"), text_of(c, "message"),
	    rest[0] != '\0' ? "; " : "", rest);
	yyjson_mut_obj_remove_key(status, "summary");
	if (!kput_str(d, status, "summary", text))
		fatalx("JSON memory");
}

void
kconds_add(struct kgroup *g, yyjson_mut_doc *d, yyjson_mut_val *status)
{
	own_conditions(g, d, status);
	say_something(d, yyjson_mut_obj_get(status, "conditions"));
	summary(g, d, status);
}
