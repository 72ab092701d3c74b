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
 * Objects that nobody would write: seeded random changes of good groups are
 * decoded, and rendered when they were accepted. Nothing may crash, what is
 * rendered must be JSON, and a refusal must say why.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "golden.h"
#include "kube_render.h"

#define RUNS 4000

static uint64_t rng;

static unsigned
pick(unsigned n)
{
	/* xorshift64*: the same sequence everywhere. */
	rng ^= rng >> 12;
	rng ^= rng << 25;
	rng ^= rng >> 27;
	return (unsigned)((rng * UINT64_C(2685821657736338717)) >> 33) % n;
}

static yyjson_mut_val *
odd_value(yyjson_mut_doc *doc)
{
	static char big[4096];
	static const char *const texts[] = { "", "x", "ON", "-1s", "10Gi",
		"read-only", "192.0.2.1", "\xc3\xa9\xc3\xa9", "a\nb", "1h",
		"a.b", "-", "/", "mysql-x", big };

	memset(big, 'a', sizeof(big) - 1);
	switch (pick(9)) {
	case 0:
		return yyjson_mut_null(doc);
	case 1:
		return yyjson_mut_bool(doc, pick(2));
	case 2:
		return yyjson_mut_sint(doc, (int64_t)pick(20) - 10);
	case 3:
		return yyjson_mut_uint(doc, UINT64_MAX);
	case 4:
		return yyjson_mut_real(doc, 1.5);
	case 5:
		return yyjson_mut_arr(doc);
	case 6:
		return yyjson_mut_obj(doc);
	case 7:
		return yyjson_mut_strn(doc, "a\0b", 3);
	default:
		return yyjson_mut_str(doc, texts[pick(PS_NITEMS(texts))]);
	}
}

/* Somewhere below v: one member replaced, removed, doubled or added. */
static void
mutate(yyjson_mut_doc *doc, yyjson_mut_val *v)
{
	size_t n = yyjson_mut_get_len(v), i;
	yyjson_mut_val *e;

	for (unsigned depth = 0; depth < 8; depth++) {
		if (!yyjson_mut_is_ctn(v) || n == 0)
			return;
		i = pick((unsigned)n);
		if (yyjson_mut_is_arr(v)) {
			e = yyjson_mut_arr_get(v, i);
		} else {
			yyjson_mut_obj_iter it;

			it = yyjson_mut_obj_iter_with(v);
			for (size_t j = 0; j < i; j++)
				yyjson_mut_obj_iter_next(&it);
			e = yyjson_mut_obj_iter_next(&it);
			e = yyjson_mut_obj_iter_get_val(e);
		}
		if (yyjson_mut_is_ctn(e) && yyjson_mut_get_len(e) > 0 &&
		    pick(4) != 0) {
			v = e;
			n = yyjson_mut_get_len(v);
			continue;
		}
		if (yyjson_mut_is_arr(v) && pick(3) == 0)
			yyjson_mut_arr_append(
			    v, yyjson_mut_val_mut_copy(doc, e));
		else if (yyjson_mut_is_arr(v) && pick(2) == 0)
			yyjson_mut_arr_remove(v, i);
		else if (yyjson_mut_is_arr(v))
			yyjson_mut_arr_replace(v, i, odd_value(doc));
		else if (pick(4) == 0)
			yyjson_mut_obj_add_val(doc, v, "extra", odd_value(doc));
		else {
			yyjson_mut_obj_iter it;
			yyjson_mut_val *key = NULL;

			it = yyjson_mut_obj_iter_with(v);
			for (size_t j = 0; j <= i; j++)
				key = yyjson_mut_obj_iter_next(&it);
			key = yyjson_mut_val_mut_copy(doc, key);
			yyjson_mut_obj_put(
			    v, key, pick(4) == 0 ? NULL : odd_value(doc));
		}
		return;
	}
}

static void
render_all(const struct kspec *k)
{
	static struct kobj list[KOBJS_MAX];
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	unsigned n = kobjs(k, list);
	char *text;

	for (unsigned i = 0; i < n; i++) {
		yyjson_mut_val *v = kobj_render(doc, k, &list[i]);

		assert_non_null(v);
		text = yyjson_mut_val_write(v, 0, NULL);
		assert_non_null(text);
		free(text);
	}
	yyjson_mut_doc_free(doc);
}

static void
one(yyjson_doc *good, unsigned *accepted)
{
	static struct kproblems problems;
	static struct kspec k;
	static struct m_group_conf conf;
	static struct m_record record;
	static char why[ERR_LEN + 1];
	yyjson_mut_doc *mut = yyjson_doc_mut_copy(good, NULL);
	yyjson_doc *doc;

	for (unsigned i = 0; i < 1 + pick(3); i++)
		mutate(mut, yyjson_mut_doc_get_root(mut));
	doc = yyjson_mut_doc_imut_copy(mut, NULL);
	memset(&problems, 0, sizeof(problems));
	if (kspec_decode(yyjson_doc_get_root(doc), &k, &problems) == 0) {
		assert_int_equal(problems.n, 0);
		render_all(&k);
		(*accepted)++;
	} else
		assert_true(problems.n > 0);
	if (k.uid != NULL) {
		kspec_conf(&k, &problems, &conf);
		assert_true(ktext_utf8(conf.problem));
		assert_true(ktext_utf8(conf.unused_fields));
	}
	krecord_decode(yyjson_doc_get_root(doc), NULL, 0, &record, why);
	yyjson_doc_free(doc);
	yyjson_mut_doc_free(mut);
}

static void
mutations(void **state)
{
	static const char *const files[] = { "minimal", "legacy", "full" };
	const char *seed = getenv("SEED");
	unsigned accepted = 0;
	yyjson_doc *good[3];

	rng = seed == NULL ? 1 : strtoull(seed, NULL, 0) | 1;
	print_message("seed %llu\n", (unsigned long long)rng);
	for (unsigned i = 0; i < 3; i++) {
		yyjson_doc *raw = golden_json(
		    golden_path("regress/manifests/good/%s.yaml", files[i]));
		yyjson_mut_doc *mut = yyjson_doc_mut_copy(raw, NULL);
		yyjson_mut_val *meta;

		meta = yyjson_mut_obj_get(
		    yyjson_mut_doc_get_root(mut), "metadata");
		yyjson_mut_obj_add_str(mut, meta, "namespace", "shop");
		yyjson_mut_obj_add_str(mut, meta, "uid", "u");
		good[i] = yyjson_mut_doc_imut_copy(mut, NULL);
		yyjson_mut_doc_free(mut);
		yyjson_doc_free(raw);
	}
	for (unsigned i = 0; i < RUNS; i++)
		one(good[i % 3], &accepted);
	/* Both ways out were taken. */
	assert_true(accepted > RUNS / 50 && accepted < RUNS * 4 / 5);
	for (unsigned i = 0; i < 3; i++)
		yyjson_doc_free(good[i]);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mutations),
	};

	golden_init(argc, argv);
	return cmocka_run_group_tests_name("mutate", tests, NULL, NULL);
}
