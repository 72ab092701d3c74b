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

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "golden.h"

bool golden_update;
static const char *top;

void
golden_init(int argc, char **argv)
{
	golden_update = argc > 1 && strcmp(argv[1], "--update") == 0;
	/* Automake tells where the sources are; by hand: from the top. */
	top = getenv("srcdir");
	if (top == NULL)
		top = ".";
}

const char *
golden_path(const char *fmt, ...)
{
	static char path[4096];
	size_t n;
	va_list ap;

	n = (size_t)snprintf(path, sizeof(path), "%s/", top);
	va_start(ap, fmt);
	vsnprintf(path + n, sizeof(path) - n, fmt, ap);
	va_end(ap);
	return path;
}

char *
golden_read(const char *path, size_t *len)
{
	FILE *f = fopen(path, "r");
	char *p = NULL;
	size_t size = 0;

	*len = 0;
	if (f == NULL)
		return NULL;
	do {
		if (size - *len < 2)
			p = realloc(p, size = size == 0 ? 8192 : size * 2);
		assert_non_null(p);
		*len += fread(p + *len, 1, size - *len - 1, f);
	} while (!feof(f) && !ferror(f));
	p[*len] = '\0';
	fclose(f);
	return p;
}

void
golden_check(const char *path, const char *text, size_t len)
{
	size_t n;
	char *old = golden_read(path, &n);
	FILE *f;

	if (old != NULL && n == len && memcmp(old, text, n) == 0) {
		free(old);
		return;
	}
	free(old);
	if (!golden_update)
		fail_msg(
		    "%s is not what was rendered (--update rewrites it)", path);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	print_message("wrote %s\n", path);
}

yyjson_doc *
golden_json(const char *path)
{
	size_t len;
	char *p = golden_read(path, &len), *json = p;
	yyjson_doc *doc;

	if (p == NULL)
		fail_msg("%s is missing", path);
	while (*json == '#')
		json += strcspn(json, "\n") + 1;
	doc = yyjson_read(json, strlen(json), 0);
	if (doc == NULL)
		fail_msg("%s is no JSON", path);
	free(p);
	return doc;
}

const char *
golden_note(const char *path, const char *name)
{
	static char out[1024];
	char want[64];
	size_t len;
	char *p = golden_read(path, &len), *line = p;

	snprintf(want, sizeof(want), "# %s: ", name);
	out[0] = '\0';
	for (; line != NULL && *line == '#'; line = strchr(line, '\n') + 1)
		if (strncmp(line, want, strlen(want)) == 0) {
			line += strlen(want);
			snprintf(out, sizeof(out), "%.*s",
			    (int)strcspn(line, "\n"), line);
			break;
		}
	free(p);
	return out[0] == '\0' ? NULL : out;
}
