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
 * The pure part of node taints: whose wish counts, and a node's new list.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <stdio.h>

#include "kube_nodes.h"

#define KEY "shipstream.io/db-readonly-g"

static yyjson_doc *
doc(const char *text)
{
	yyjson_doc *d = yyjson_read(text, strlen(text), 0);

	assert_non_null(d);
	return d;
}

/* ------------------------------------------------------------------ labels */

static bool
not_c(void *arg, const char *key)
{
	(void)arg;
	return strcmp(key, "c") != 0;
}

static bool
matches(const char *selector, const char *labels)
{
	yyjson_doc *s = doc(selector), *l = doc(labels);
	char *text;
	size_t len = knode_labels(yyjson_doc_get_root(l), not_c, NULL, &text);
	bool r = knode_matches(yyjson_doc_get_root(s), text, len);

	free(text);
	yyjson_doc_free(s);
	yyjson_doc_free(l);
	return r;
}

static void
test_labels(void **state)
{
	static const char node[] =
	    "{\"a\":\"1\",\"b\":\"\",\"c\":\"3\",\"x/a\":\"b\"}";

	(void)state;
	assert_true(matches("{\"a\":\"1\"}", node));
	assert_true(matches("{\"a\":\"1\",\"b\":\"\"}", node));
	assert_true(matches("{\"x/a\":\"b\"}", node));
	/* Each pair counts; a value is no key; one that nobody asks for. */
	assert_false(matches("{\"a\":\"1\",\"b\":\"1\"}", node));
	assert_false(matches("{\"1\":\"\"}", node));
	assert_false(matches("{\"b\":\"c\"}", node));
	assert_false(matches("{\"c\":\"3\"}", node));
	assert_false(matches("{\"a\":1}", node));
	/* An empty selector would choose every node of the cluster. */
	assert_false(matches("{}", node));
	assert_false(matches("{\"a\":\"1\"}", "{}"));
	assert_false(matches("{\"a\":\"1\"}", "null"));
}

/* ------------------------------------------------------------------ wishes */

static void
test_site(void **state)
{
	static const struct {
		unsigned role;
		const char *selector;
		enum taint_want want;
		enum ktaint is;
	} t[] = {
		{ ROLE_CANDIDATE, "{\"a\":\"1\"}", TW_ON, KTN_ON },
		{ ROLE_CANDIDATE, "{\"a\":\"1\"}", TW_OFF, KTN_OFF },
		{ ROLE_CANDIDATE, "{\"a\":\"1\"}", TW_KEEP, KTN_KEEP },
		{ ROLE_DR_ONLY, "{\"a\":\"1\"}", TW_ON, KTN_ON },
		/* A reader may keep a selector; it chooses nothing. */
		{ ROLE_READER, "{\"a\":\"1\"}", TW_ON, KTN_NONE },
		{ ROLE_READER, "{\"a\":\"1\"}", TW_KEEP, KTN_NONE },
		{ ROLE_CANDIDATE, "{\"a\":\"2\"}", TW_ON, KTN_NONE },
		{ ROLE_CANDIDATE, "{}", TW_ON, KTN_NONE },
	};
	static const char labels[] = "a\0001";

	(void)state;
	for (size_t i = 0; i < PS_NITEMS(t); i++) {
		yyjson_doc *d = doc(t[i].selector);
		struct ksite s = { .role = t[i].role,
			.taint_selector = yyjson_doc_get_root(d) };

		assert_int_equal(
		    ktaint_site(&s, t[i].want, labels, sizeof(labels)),
		    t[i].is);
		yyjson_doc_free(d);
	}
}

/* Who wins among several, and what is then to be done. */
static void
test_order(void **state)
{
	static const bool due[][3] = {
		/* absent, exact, other */
		[KTN_NONE] = { false, true, true },
		[KTN_ON] = { true, false, true },
		[KTN_KEEP] = { false, false, false },
		[KTN_OFF] = { false, true, true },
	};

	(void)state;
	assert_true(
	    KTN_NONE < KTN_ON && KTN_ON < KTN_KEEP && KTN_KEEP < KTN_OFF);
	for (unsigned w = KTN_NONE; w <= KTN_OFF; w++)
		for (unsigned h = KTH_ABSENT; h <= KTH_OTHER; h++)
			assert_int_equal(
			    ktaint_differs((enum ktaint)w, (enum ktaint_have)h),
			    due[w][h]);
}

/* ------------------------------------------------------------------ taints */

static void
test_have(void **state)
{
	static const struct {
		const char *taints;
		enum ktaint_have is;
	} t[] = {
		{ "[]", KTH_ABSENT },
		{ "null", KTH_ABSENT },
		{ "[{\"key\":\"" KEY "x\",\"effect\":\"NoExecute\"}]",
		    KTH_ABSENT },
		{ "[{\"key\":\"" KEY "\",\"value\":\"true\","
		  "\"effect\":\"NoExecute\"}]",
		    KTH_EXACT },
		{ "[{\"key\":\"" KEY "\",\"effect\":\"NoExecute\"}]",
		    KTH_OTHER },
		{ "[{\"key\":\"" KEY "\",\"value\":\"true\","
		  "\"effect\":\"NoSchedule\"}]",
		    KTH_OTHER },
		{ "[{\"key\":\"" KEY "\",\"value\":\"true\","
		  "\"effect\":\"NoExecute\"},{\"key\":\"" KEY
		  "\",\"value\":\"true\",\"effect\":\"NoSchedule\"}]",
		    KTH_OTHER },
	};

	(void)state;
	for (size_t i = 0; i < PS_NITEMS(t); i++) {
		yyjson_doc *d = doc(t[i].taints);

		assert_int_equal(
		    ktaint_have(yyjson_doc_get_root(d), KEY), t[i].is);
		yyjson_doc_free(d);
	}
}

static void
list_is(const char *taints, bool on, const char *want)
{
	struct ktaint_change c = { .key = KEY, .on = on };
	yyjson_doc *d = doc(taints);
	yyjson_mut_doc *m = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *l = ktaint_list(m, yyjson_doc_get_root(d), &c, 1);
	char *text;

	assert_non_null(l);
	assert_non_null(text = yyjson_mut_val_write(l, 0, NULL));
	assert_string_equal(text, want);
	free(text);
	yyjson_mut_doc_free(m);
	yyjson_doc_free(d);
}

/* Fields that we don't know go along; so do other groups' taints. */
static void
test_list(void **state)
{
	static const char other[] =
	    "{\"key\":\"o\",\"effect\":\"NoSchedule\",\"timeAdded\":\"x\","
	    "\"new\":{\"a\":[1]}}";
	static const char ours[] = "{\"key\":\"" KEY "\",\"value\":\"true\","
				   "\"effect\":\"NoExecute\"}";
	static const char spoilt[] =
	    "{\"key\":\"" KEY "\",\"effect\":\"NoSchedule\"}";
	static const char sister[] =
	    "{\"key\":\"" KEY "2\",\"effect\":\"NoExecute\"}";
	char in[1024], want[1024];

	(void)state;
	list_is("null", false, "[]");
	(void)snprintf(want, sizeof(want), "[%s]", ours);
	list_is("null", true, want);
	list_is("[]", true, want);
	(void)snprintf(
	    in, sizeof(in), "[%s,%s,%s,%s]", spoilt, other, ours, sister);
	(void)snprintf(want, sizeof(want), "[%s,%s]", other, sister);
	list_is(in, false, want);
	(void)snprintf(want, sizeof(want), "[%s,%s,%s]", other, sister, ours);
	list_is(in, true, want);
}

/* --------------------------------------------------------------- selectors */

static void
common_is(const char *text, const char *want)
{
	yyjson_val *sel[8], *v;
	yyjson_doc *d = doc(text);
	char out[64] = "";
	size_t i, n, max;

	n = 0;
	yyjson_arr_foreach(yyjson_doc_get_root(d), i, max, v) sel[n++] = v;
	assert_int_equal(
	    ktaint_common(sel, n, out, sizeof(out)), want == NULL ? -1 : 0);
	if (want != NULL)
		assert_string_equal(out, want);
	yyjson_doc_free(d);
}

static void
test_common(void **state)
{
	char long_key[160];

	(void)state;
	common_is("[]", NULL);
	common_is("[{\"a\":\"1\",\"b\":\"2\"}]", "a=1");
	common_is(
	    "[{\"a\":\"1\",\"b\":\"2\"},{\"b\":\"2\",\"a\":\"3\"}]", "b=2");
	common_is(
	    "[{\"a\":\"1\"},{\"a\":\"3\"},{\"x\":\"1\",\"a\":\"3\"}]", "a");
	common_is("[{\"a\":\"1\"},{\"b\":\"1\"}]", NULL);
	/* What does not fit narrows nothing; it is never cut. */
	(void)snprintf(long_key, sizeof(long_key), "[{\"%0100d\":\"1\"}]", 0);
	common_is(long_key, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_site),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_have),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_common),
	};

	return cmocka_run_group_tests_name("nodes", tests, NULL, NULL);
}
