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
 * Objects against the tables of kube_schema.c. Depth is the tables' depth,
 * never the input's.
 */

#include <errno.h>
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube_schema.h"

#define PATH_LEN 255

struct check {
	struct kproblems *problems;
	char *unused;
	size_t unused_size;
	char path[PATH_LEN + 1];
};

void
kproblem(struct kproblems *p, const char *fmt, ...)
{
	va_list ap;

	if (p->n < KPROBLEMS_MAX) {
		va_start(ap, fmt);
		vsnprintf(p->text[p->n], sizeof(p->text[0]), fmt, ap);
		va_end(ap);
		ktext_clean(p->text[p->n], true);
	}
	p->n++;
}

void
kproblems_join(const struct kproblems *p, char *out, size_t size)
{
	out[0] = '\0';
	for (unsigned i = 0; i < p->n && i < KPROBLEMS_MAX; i++) {
		if (i > 0)
			strlcat(out, "; ", size);
		strlcat(out, p->text[i], size);
	}
	if (p->n > KPROBLEMS_MAX) {
		char more[32];

		snprintf(
		    more, sizeof(more), "; and %u more", p->n - KPROBLEMS_MAX);
		strlcat(out, more, size);
	}
	ktext_clean(out, true);
}

/* ".name" or "[i]" behind the path; returns the old length. */
static size_t
path_push(struct check *c, const char *name, size_t index)
{
	size_t len = strlen(c->path);

	if (name != NULL)
		snprintf(c->path + len, sizeof(c->path) - len, ".%s", name);
	else
		snprintf(c->path + len, sizeof(c->path) - len, "[%zu]", index);
	return len;
}

/* The path with "[]" for every index, once. */
static void
add_unused(struct check *c)
{
	char name[PATH_LEN + 1], *out = name;
	const char *p, *hit = c->unused;

	for (p = c->path; *p != '\0'; p++)
		if (out == name || out[-1] != '[' || *p == ']')
			*out++ = *p;
	*out = '\0';
	while ((hit = strstr(hit, name)) != NULL) {
		size_t n = strlen(name);

		if ((hit == c->unused || hit[-1] == ' ') &&
		    (hit[n] == ',' || hit[n] == '\0'))
			return;
		hit += n;
	}
	if (c->unused[0] != '\0')
		strlcat(c->unused, ", ", c->unused_size);
	strlcat(c->unused, name, c->unused_size);
}

static bool object_is_set(const struct kobject *, yyjson_val *);

/* Is there more here than absence or the default says? */
static bool
is_set(const struct kfield *f, yyjson_val *v)
{
	char num[24];

	if (f->type == KT_OBJ)
		return object_is_set(f->child, v);
	if (yyjson_is_ctn(v))
		return yyjson_get_len(v) > 0;
	if (yyjson_is_str(v))
		return f->def == NULL ? yyjson_get_len(v) > 0 :
					!yyjson_equals_str(v, f->def);
	if (yyjson_is_bool(v))
		return f->def == NULL ||
		    strcmp(f->def, yyjson_get_bool(v) ? "true" : "false") != 0;
	if (yyjson_is_int(v)) {
		snprintf(
		    num, sizeof(num), "%lld", (long long)yyjson_get_sint(v));
		return f->def == NULL || strcmp(f->def, num) != 0;
	}
	return !yyjson_is_null(v);
}

static bool
object_is_set(const struct kobject *o, yyjson_val *v)
{
	const struct kfield *f;
	yyjson_val *m;

	if (!yyjson_is_obj(v) || yyjson_is_false(yyjson_obj_get(v, "enabled")))
		return false;
	for (f = o->fields; f->name != NULL; f++)
		if ((m = yyjson_obj_get(v, f->name)) != NULL && is_set(f, m))
			return true;
	return false;
}

/* Characters of UTF-8 text, as the API server counts them. */
static int64_t
runes(const char *s)
{
	int64_t n = 0;

	for (; *s != '\0'; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static bool
in_set(const char *set, const char *s)
{
	size_t n = strlen(s);

	for (;;) {
		size_t len = strcspn(set, "|");

		if (len == n && strncmp(set, s, n) == 0)
			return true;
		if (set[len] == '\0')
			return false;
		set += len + 1;
	}
}

static bool
matches(const char *re, const char *s)
{
	regex_t r;
	bool ok;

	if (regcomp(&r, re, REG_EXTENDED | REG_NOSUB) != 0)
		return false;
	ok = regexec(&r, s, 0, NULL, 0) == 0;
	regfree(&r);
	return ok;
}

/* An upper limit of 0 is none. */
static bool
within(const struct kfield *f, int64_t n)
{
	return n >= f->lo && (f->hi == 0 || n <= f->hi);
}

static void
limits(struct check *c, const struct kfield *f, const char *what)
{
	if (f->hi == 0)
		kproblem(c->problems, "%s: must %s at least %lld", c->path,
		    what, (long long)f->lo);
	else
		kproblem(c->problems, "%s: must %s %lld to %lld", c->path, what,
		    (long long)f->lo, (long long)f->hi);
}

static void
check_str(struct check *c, const struct kfield *f, yyjson_val *v)
{
	const char *s = yyjson_get_str(v);
	int64_t ms;

	if (s == NULL) {
		kproblem(c->problems, "%s: must be a string", c->path);
		return;
	}
	if (strlen(s) != yyjson_get_len(v)) {
		kproblem(c->problems, "%s: must not contain NUL", c->path);
		return;
	}
	if (f->type == KT_DUR) {
		if (*s != '\0' && (duration_parse(s, &ms) == -1 || ms < 0))
			kproblem(c->problems,
			    "%s: '%.64s' is not a duration "
			    "like 300ms, 2s or 1m30s",
			    c->path, s);
	} else if (f->type == KT_PAT) {
		if (!matches(f->arg, s))
			kproblem(c->problems, "%s: '%.64s' does not match %s",
			    c->path, s, f->arg);
	} else if (f->type == KT_STR && f->arg != NULL) {
		/* Empty means absent, as Go clients send it. */
		if ((*s != '\0' || (f->flags & KF_REQ)) && !in_set(f->arg, s))
			kproblem(c->problems, "%s: '%.64s' is none of %s",
			    c->path, s, f->arg);
	} else if (!within(f, runes(s)))
		limits(c, f, "have a length of");
}

static void
check_int(struct check *c, const struct kfield *f, yyjson_val *v)
{
	if (!yyjson_is_int(v) ||
	    (yyjson_is_uint(v) && yyjson_get_uint(v) > INT64_MAX))
		kproblem(c->problems, "%s: must be an integer", c->path);
	else if (!within(f, yyjson_get_sint(v)))
		limits(c, f, "be");
}

static void
check_map(struct check *c, yyjson_val *v)
{
	yyjson_obj_iter it = yyjson_obj_iter_with(v);
	yyjson_val *key, *val;

	if (!yyjson_is_obj(v)) {
		kproblem(c->problems, "%s: must be a map of strings", c->path);
		return;
	}
	while ((key = yyjson_obj_iter_next(&it)) != NULL) {
		val = yyjson_obj_iter_get_val(key);
		if (!yyjson_is_str(val))
			kproblem(c->problems, "%s.%.64s: must be a string",
			    c->path, yyjson_get_str(key));
		else if (strlen(yyjson_get_str(val)) != yyjson_get_len(val) ||
		    strlen(yyjson_get_str(key)) != yyjson_get_len(key))
			kproblem(c->problems, "%s.%.64s: must not contain NUL",
			    c->path, yyjson_get_str(key));
	}
}

static void check_object(struct check *, const struct kobject *, yyjson_val *);

static void
check_items(struct check *c, const struct kfield *f, yyjson_val *v)
{
	struct kfield item = *f;
	yyjson_arr_iter it = yyjson_arr_iter_with(v);
	yyjson_val *e;
	size_t len;

	if (!yyjson_is_arr(v)) {
		kproblem(c->problems, "%s: must be a list", c->path);
		return;
	}
	if (f->type == KT_LIST && !within(f, (int64_t)yyjson_arr_size(v)))
		limits(c, f, "have a number of entries of");
	if (f->type == KT_STRS && f->arg != NULL &&
	    yyjson_arr_size(v) > strtoul(f->arg, NULL, 10))
		kproblem(c->problems, "%s: must have at most %s entries",
		    c->path, f->arg);
	item.type = KT_STR;
	item.arg = NULL;
	for (size_t i = 0; (e = yyjson_arr_iter_next(&it)) != NULL; i++) {
		len = path_push(c, NULL, i);
		if (f->type == KT_LIST)
			check_object(c, f->child, e);
		else if (f->type == KT_STRS)
			check_str(c, &item, e);
		else if (!yyjson_is_obj(e))
			kproblem(c->problems, "%s: must be an object", c->path);
		c->path[len] = '\0';
	}
}

static void
check_value(struct check *c, const struct kfield *f, yyjson_val *v)
{
	int64_t us;

	switch (f->type) {
	case KT_STR:
	case KT_PAT:
	case KT_DUR:
		check_str(c, f, v);
		break;
	case KT_TIME:
		if (!yyjson_is_str(v) ||
		    ktime_parse(yyjson_get_str(v), &us) == -1)
			kproblem(c->problems, "%s: must be an RFC 3339 time",
			    c->path);
		break;
	case KT_BOOL:
		if (!yyjson_is_bool(v))
			kproblem(
			    c->problems, "%s: must be true or false", c->path);
		break;
	case KT_INT:
		check_int(c, f, v);
		break;
	case KT_QTY:
		if (!ktext_quantity(v, true))
			kproblem(c->problems,
			    "%s: must be a positive "
			    "quantity like 10Gi",
			    c->path);
		break;
	case KT_MAP:
		check_map(c, v);
		break;
	case KT_ANY:
		if (!yyjson_is_obj(v))
			kproblem(c->problems, "%s: must be an object", c->path);
		break;
	case KT_ANYS:
	case KT_STRS:
	case KT_LIST:
		check_items(c, f, v);
		break;
	case KT_OBJ:
		check_object(c, f->child, v);
		break;
	}
}

/* Fields that the table has not: a newer CRD than this operator. */
static void
check_unknown(struct check *c, const struct kobject *o, yyjson_val *v)
{
	yyjson_obj_iter it = yyjson_obj_iter_with(v);
	yyjson_val *key;
	const struct kfield *f;
	size_t len;
	char name[65];

	while ((key = yyjson_obj_iter_next(&it)) != NULL) {
		for (f = o->fields; f->name != NULL; f++)
			if (yyjson_equals_str(key, f->name))
				break;
		if (f->name != NULL)
			continue;
		strlcpy(name, yyjson_get_str(key), sizeof(name));
		len = path_push(c, name, 0);
		add_unused(c);
		c->path[len] = '\0';
	}
}

static void
check_rules(struct check *c, const struct kobject *o, yyjson_val *v)
{
	const struct krule *r;
	const char *star;
	int i;

	for (r = o->rules; r != NULL && r->cel != NULL; r++) {
		if ((i = r->bad(v)) == -1)
			continue;
		star = strstr(r->field, "[]");
		if (star == NULL)
			kproblem(c->problems, "%s.%s: %s", c->path, r->field,
			    r->message);
		else
			kproblem(c->problems, "%s.%.*s[%d]%s: %s", c->path,
			    (int)(star - r->field), r->field, i, star + 2,
			    r->message);
	}
}

static void
check_object(struct check *c, const struct kobject *o, yyjson_val *v)
{
	const struct kfield *f;
	yyjson_val *m;
	unsigned before = c->problems->n;
	size_t len;

	if (!yyjson_is_obj(v)) {
		kproblem(c->problems, "%s: must be an object", c->path);
		return;
	}
	for (f = o->fields; f->name != NULL; f++) {
		m = yyjson_obj_get(v, f->name);
		len = path_push(c, f->name, 0);
		if (m == NULL || yyjson_is_null(m)) {
			if ((f->flags & KF_REQ) && f->def == NULL)
				kproblem(c->problems, "%s: required", c->path);
		} else {
			check_value(c, f, m);
			if ((f->flags & KF_UNUSED) && is_set(f, m))
				add_unused(c);
		}
		c->path[len] = '\0';
	}
	check_unknown(c, o, v);
	/* As in the API server: rules see only what has the right shape. */
	if (c->problems->n == before)
		check_rules(c, o, v);
}

void
kschema_check(const struct kobject *o, yyjson_val *v, const char *path,
    struct kproblems *problems, char *unused, size_t size)
{
	struct check c = {
		.problems = problems, .unused = unused, .unused_size = size
	};

	unused[0] = '\0';
	strlcpy(c.path, path, sizeof(c.path));
	check_object(&c, o, v);
	ktext_clean(unused, true);
}

/* ------------------------------------------------------------- getters -- */

static const struct kfield *
field(const struct kobject *o, const char *name)
{
	const struct kfield *f = o->fields;

	while (f->name != NULL && strcmp(f->name, name) != 0)
		f++;
	return f;
}

const struct kobject *
kschema_child(const struct kobject *o, const char *name)
{
	return field(o, name)->child;
}

int64_t
kget_int(const struct kobject *o, yyjson_val *v, const char *name)
{
	const struct kfield *f = field(o, name);
	yyjson_val *m = yyjson_obj_get(v, name);

	if (yyjson_is_int(m) && within(f, yyjson_get_sint(m)))
		return yyjson_get_sint(m);
	return f->def == NULL ? 0 : strtoll(f->def, NULL, 10);
}

int64_t
kget_ms(const struct kobject *o, yyjson_val *v, const char *name)
{
	const struct kfield *f = field(o, name);
	const char *s = kget_str(o, v, name);
	int64_t ms;

	if (s != NULL && duration_parse(s, &ms) == 0 && ms >= 0)
		return ms;
	return f->def != NULL && duration_parse(f->def, &ms) == 0 ? ms : 0;
}

const char *
kget_str(const struct kobject *o, yyjson_val *v, const char *name)
{
	yyjson_val *m = yyjson_obj_get(v, name);

	if (yyjson_is_str(m) && yyjson_get_len(m) > 0)
		return yyjson_get_str(m);
	return field(o, name)->def;
}
