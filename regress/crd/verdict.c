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
 * What the operator says of groups: one object a line on standard input, one
 * answer a line, {"problems":[…],"more":0}. regress/crd/run holds it against
 * what an API server says of the same objects.
 */

#include <err.h>
#include <stdio.h>
#include <stdlib.h>

#include "kube_spec.h"

static void
judge(char *line, size_t len)
{
	struct kproblems problems = { 0 };
	struct kspec spec;
	yyjson_doc *doc = yyjson_read(line, len, 0);
	yyjson_mut_doc *out = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root, *list;
	char *text;
	unsigned i;
	int rc;

	if (doc == NULL)
		errx(1, "no JSON: %.80s", line);
	rc = kspec_judge(yyjson_doc_get_root(doc), &spec, &problems);
	/* The caller gives every object a name, a namespace and a UID. */
	if ((rc == -1) != (problems.n > 0))
		errx(1, "refused without a reason: %.80s", line);
	root = yyjson_mut_obj(out);
	yyjson_mut_doc_set_root(out, root);
	list = yyjson_mut_obj_add_arr(out, root, "problems");
	for (i = 0; i < problems.n && i < KPROBLEMS_MAX; i++)
		yyjson_mut_arr_add_str(out, list, problems.text[i]);
	yyjson_mut_obj_add_uint(out, root, "more", problems.n - i);
	text = yyjson_mut_write(out, 0, NULL);
	if (text == NULL)
		errx(1, "out of memory");
	puts(text);
	free(text);
	yyjson_mut_doc_free(out);
	yyjson_doc_free(doc);
}

int
main(void)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t n;

	while ((n = getline(&line, &size, stdin)) > 0)
		judge(line, (size_t)n);
	if (ferror(stdin))
		err(1, "standard input");
	free(line);
	return 0;
}
