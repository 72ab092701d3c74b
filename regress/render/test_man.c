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
 * mysqlfailovergroup(5) has every field of the CustomResourceDefinition, with
 * its type, limits and default, and none that is not there: the heads of its
 * items come from the tables. With --update they are written anew, and what is
 * missing gets the table's own words.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "golden.h"
#include "kube_schema.h"

#define WANTS_MAX 512
#define PATH_SIZE 160
#define LINE_SIZE 320

/* One item, or, with an empty name, the head of a section. */
struct want {
	char path[PATH_SIZE];
	char name[64];
	char line[LINE_SIZE];
	const char *doc;
	bool seen;
};

static struct want wants[WANTS_MAX];
static unsigned nwants;
static struct {
	const struct kobject *o;
	char path[PATH_SIZE];
} seen[WANTS_MAX];
static unsigned nseen;

/* ----------------------------------------------------------- what shall be */

static void
add(char *line, const char *fmt, ...)
{
	size_t n = strlen(line);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line + n, LINE_SIZE - n, fmt, ap);
	va_end(ap);
	assert_true(strlen(line) < LINE_SIZE - 1);
}

static void
put_enum(char *line, const char *set)
{
	bool first = true;

	while (*set != '\0') {
		size_t n = strcspn(set, "|");

		add(line, first ? "Li %.*s" : " , %.*s", (int)n, set);
		first = false;
		set += n + (set[n] == '|');
	}
}

static void
put_string(char *line, const struct kfield *f)
{
	if (f->type == KT_STR && f->arg != NULL)
		put_enum(line, f->arg);
	else if (f->type == KT_PAT)
		add(line, "string of a certain form");
	else if (f->hi != 0)
		add(line, "string of %lld to %lld characters", (long long)f->lo,
		    (long long)f->hi);
	else
		add(line, f->lo > 0 ? "string, not empty" : "string");
}

static void
put_integer(char *line, const struct kfield *f)
{
	add(line, "integer");
	if (f->hi != 0 && f->hi != INT32_MAX)
		add(line, ", %lld to %lld", (long long)f->lo, (long long)f->hi);
	else if (f->lo > INT32_MIN)
		add(line, ", at least %lld", (long long)f->lo);
}

static void
put_list(char *line, const struct kfield *f)
{
	if (f->type == KT_STRS && f->arg != NULL)
		add(line, "list of at most %s strings", f->arg);
	else if (f->type == KT_STRS)
		add(line, "list of strings");
	else if (f->type == KT_LIST && f->hi != 0 && f->lo == 0)
		add(line, "list of at most %lld", (long long)f->hi);
	else if (f->type == KT_LIST && f->hi != 0)
		add(line, "list of %lld to %lld", (long long)f->lo,
		    (long long)f->hi);
	else
		add(line, "list");
}

static void
put_type(char *line, const struct kfield *f)
{
	switch (f->type) {
	case KT_STR:
	case KT_PAT:
		put_string(line, f);
		break;
	case KT_BOOL:
		add(line, "boolean");
		break;
	case KT_INT:
		put_integer(line, f);
		break;
	case KT_DUR:
		add(line, "duration");
		break;
	case KT_QTY:
		add(line, "quantity");
		break;
	case KT_TIME:
		add(line, "time");
		break;
	case KT_MAP:
		add(line, "map of strings");
		break;
	case KT_ANY:
		add(line, "object of Kubernetes");
		break;
	case KT_ANYS:
		add(line, "list of objects of Kubernetes");
		break;
	case KT_OBJ:
		add(line, "object");
		break;
	case KT_STRS:
	case KT_LIST:
		put_list(line, f);
		break;
	}
}

static const char *
where(const struct kobject *o)
{
	for (unsigned i = 0; i < nseen; i++)
		if (seen[i].o == o)
			return seen[i].path;
	return NULL;
}

static struct want *
want(const char *path, const char *name)
{
	struct want *w = &wants[nwants++];

	assert_true(nwants <= WANTS_MAX);
	assert_true(strlcpy(w->path, path, PATH_SIZE) < PATH_SIZE);
	assert_true(strlcpy(w->name, name, sizeof(w->name)) < sizeof(w->name));
	return w;
}

static void
want_field(const char *path, const struct kfield *f)
{
	struct want *w = want(path, f->name);
	const char *other = f->child == NULL ? NULL : where(f->child);

	w->doc = f->doc;
	add(w->line, ".It Li %s Pq ", f->name);
	put_type(w->line, f);
	if (other != NULL)
		add(w->line, "; as Sx %s", other);
	if (f->flags & KF_REQ)
		add(w->line, "; required");
	if (f->def != NULL)
		add(w->line, "; default Li %s", f->def);
	if (f->flags & KF_UNUSED)
		add(w->line,
		    strncmp(path, "status", 6) == 0 ? "; Em not filled in yet" :
						      "; Em not acted on yet");
}

/* The depth is the tables'. */
static void
want_object(const char *path, const struct kobject *o)
{
	char sub[PATH_SIZE];
	struct want *w = want(path, "");

	snprintf(w->line, sizeof(w->line), ".Ss %s", path);
	seen[nseen].o = o;
	(void)strlcpy(seen[nseen++].path, path, PATH_SIZE);
	for (const struct kfield *f = o->fields; f->name != NULL; f++)
		want_field(path, f);
	for (const struct kfield *f = o->fields; f->name != NULL; f++) {
		if (f->child == NULL || where(f->child) != NULL)
			continue;
		snprintf(sub, sizeof(sub), "%s.%s", path, f->name);
		want_object(sub, f->child);
	}
}

static void
want_all(void)
{
	nwants = nseen = 0;
	want_object("spec", &kschema_spec);
	want_object("status", &kschema_status);
}

/* -------------------------------------------------------------- what there is */

static struct want *
find(const char *path, const char *name)
{
	for (unsigned i = 0; i < nwants; i++)
		if (strcmp(wants[i].path, path) == 0 &&
		    strcmp(wants[i].name, name) == 0)
			return &wants[i];
	return NULL;
}

/* Lines of the page in pieces: each ends before the next head. */
struct piece {
	char path[PATH_SIZE], name[64];
	char *text; /* after the head */
	size_t len;
};

static struct piece pieces[WANTS_MAX];
static unsigned npieces;
static char *page;
static size_t page_len;
static size_t fields_at, fields_end; /* of the page: all sections of fields */

static bool
starts(const char *line, const char *prefix)
{
	return strncmp(line, prefix, strlen(prefix)) == 0;
}

static bool
is_section(const char *line)
{
	return starts(line, ".Ss spec") || starts(line, ".Ss status");
}

static void
piece(const char *line, size_t len, const char *path)
{
	struct piece *p = &pieces[npieces++];
	const char *name = line + strlen(".It Li ");

	assert_true(npieces <= WANTS_MAX);
	memset(p, 0, sizeof(*p));
	if (is_section(line))
		snprintf(
		    p->path, sizeof(p->path), "%.*s", (int)(len - 4), line + 4);
	else {
		(void)strlcpy(p->path, path, sizeof(p->path));
		snprintf(p->name, sizeof(p->name), "%.*s",
		    (int)strcspn(name, " \n"), name);
	}
}

/* Also says what is there and not as it shall be; how many. */
static unsigned
read_page(void)
{
	const char *path = "";
	unsigned wrong = 0;
	char *line, *next;
	struct want *w;

	npieces = 0;
	for (line = page; *line != '\0'; line = next) {
		size_t len = strcspn(line, "\n");

		next = line + len + (line[len] == '\n');
		if (is_section(line) && npieces == 0)
			fields_at = (size_t)(line - page);
		if (npieces > 0 && fields_end == 0 && starts(line, ".Sh"))
			fields_end = (size_t)(line - page);
		if (fields_end != 0)
			break;
		if (!is_section(line) &&
		    (npieces == 0 || !starts(line, ".It Li "))) {
			if (npieces > 0)
				pieces[npieces - 1].len =
				    (size_t)(next - pieces[npieces - 1].text);
			continue;
		}
		piece(line, len, path);
		path = pieces[npieces - 1].path;
		pieces[npieces - 1].text = next;
		w = find(path, pieces[npieces - 1].name);
		if (w == NULL || w->seen || strlen(w->line) != len ||
		    strncmp(w->line, line, len) != 0) {
			print_message("not so: %.*s\nbut:    %s\n", (int)len,
			    line, w == NULL ? "(no such field)" : w->line);
			wrong++;
		}
		if (w != NULL)
			w->seen = true;
	}
	for (unsigned i = 0; i < nwants; i++)
		if (!wants[i].seen) {
			print_message(
			    "missing: %s: %s\n", wants[i].path, wants[i].line);
			wrong++;
		}
	return wrong;
}

static void
write_body(FILE *f, const struct want *w)
{
	for (unsigned i = 0; i < npieces; i++)
		if (strcmp(pieces[i].path, w->path) == 0 &&
		    strcmp(pieces[i].name, w->name) == 0) {
			size_t len = pieces[i].len;

			/* The list's end belongs to no item. */
			if (len >= 4 &&
			    memcmp(pieces[i].text + len - 4, ".El\n", 4) == 0)
				len -= 4;
			fwrite(pieces[i].text, 1, len, f);
			return;
		}
	if (w->name[0] == '\0')
		fputs(".Bl -tag -width Ds\n", f);
	else
		fprintf(f, "%s.\n", w->doc);
}

static void
write_page(const char *file)
{
	FILE *f = fopen(file, "w");
	bool open = false;

	assert_non_null(f);
	fwrite(page, 1, fields_at, f);
	for (unsigned i = 0; i < nwants; i++) {
		if (wants[i].name[0] == '\0' && open)
			fputs(".El\n", f);
		open = true;
		fprintf(f, "%s\n", wants[i].line);
		write_body(f, &wants[i]);
	}
	fputs(".El\n", f);
	fwrite(page + fields_end, 1, page_len - fields_end, f);
	assert_int_equal(fclose(f), 0);
	print_message("wrote %s\n", file);
}

static void
page_has_every_field(void **state)
{
	const char *file = golden_path("man/mysqlfailovergroup.5");
	unsigned wrong;

	page = golden_read(file, &page_len);
	assert_non_null(page);
	want_all();
	wrong = read_page();
	if (wrong > 0 && golden_update)
		write_page(file);
	else if (wrong > 0)
		fail_msg("%u items of %s (--update rewrites their heads)",
		    wrong, file);
	free(page);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(page_has_every_field),
	};

	golden_init(argc, argv);
	return cmocka_run_group_tests_name("man", tests, NULL, NULL);
}
