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
 * The message schema: every message survives a round trip at its limits,
 * fits a frame, and names a sender and a receiver.
 */

#include <stdarg.h>
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

#include "msg.h"

static uint8_t frame[PS_FRAME_MAX];

/* Every field at its limit; strings of 'x', numbers at their largest. */
static void
fill(const struct codec_desc *d, void *base)
{
	for (size_t i = 0; i < d->nfields; i++) {
		const struct codec_field *f = &d->fields[i];
		uint8_t *p = (uint8_t *)base + f->off;

		switch (f->type) {
		case CT_BOOL:
			*(bool *)p = true;
			break;
		case CT_I64:
			*(int64_t *)p = INT64_MIN + (int64_t)i;
			break;
		case CT_U32:
			*(uint32_t *)p = f->param != 0 ? f->param : UINT32_MAX;
			break;
		case CT_U64:
			*(uint64_t *)p = UINT64_MAX - i;
			break;
		case CT_STR:
			memset(p, 'x', f->param);
			p[f->param] = '\0';
			break;
		case CT_BYTES:
			*(uint32_t *)p = f->param;
			memset(p + sizeof(uint32_t), 0xff, f->param);
			break;
		case CT_SECRET:
			((struct secret *)p)->len = SECRET_MAX;
			memset(((struct secret *)p)->data, 0xfe, SECRET_MAX);
			break;
		case CT_ARRAY:
			*(uint32_t *)p = f->param;
			for (uint32_t j = 0; j < f->param; j++)
				fill(f->elem(),
				    (uint8_t *)base + f->off2 +
					j * f->elem()->size);
			break;
		}
	}
}

static void
test_round_trip(void **state)
{
	for (size_t i = 0; i < msg_schema.nmsgs; i++) {
		const struct ps_msg *m = &msg_schema.msgs[i];
		const struct codec_desc *d = m->desc();
		uint8_t *a = test_calloc(1, d->size),
			*b = test_calloc(1, d->size);
		uint32_t type;
		int len;

		fill(d, a);
		len = codec_encode(d, m->type, a, frame, sizeof(frame));
		assert_true(len > 0);
		assert_int_equal(codec_peek(frame, (size_t)len, &type), 0);
		assert_int_equal(type, m->type);
		assert_int_equal(codec_decode(d, frame, (size_t)len, b), 0);
		assert_memory_equal(a, b, d->size);
		/* one byte short is refused, wherever it is cut */
		assert_int_equal(codec_peek(frame, (size_t)len - 1, &type), -1);
		test_free(a);
		test_free(b);
	}
}

/* Any message can be kept, replaced by a shorter one, and forgotten. */
static void
test_kept(void **state)
{
	struct msg_kept k = { 0 };

	for (size_t i = 0; i < msg_schema.nmsgs; i++) {
		const struct ps_msg *m = &msg_schema.msgs[i];
		const struct codec_desc *d = m->desc();
		uint8_t *a = test_calloc(1, d->size), *b = test_malloc(d->size);

		memset(b, 0x55, d->size);
		assert_false(msg_kept(&k, b));
		assert_int_equal(b[0], 0x55);
		fill(d, a);
		msg_keep(&k, m->type, a);
		assert_true(msg_kept(&k, b));
		assert_memory_equal(a, b, d->size);
		memset(a, 0, d->size);
		msg_keep(&k, m->type, a);
		assert_true(k.len < 300);
		memset(b, 0x55, d->size);
		assert_true(msg_kept(&k, b));
		assert_memory_equal(a, b, d->size);
		msg_forget(&k);
		test_free(a);
		test_free(b);
	}
}

static void
test_directions(void **state)
{
	for (size_t i = 0; i < msg_schema.nmsgs; i++) {
		const struct ps_msg *m = &msg_schema.msgs[i];

		assert_int_equal(m->type, PS_MSG_FIRST + i);
		assert_string_equal(msg_name(m->type), m->name);
		assert_int_not_equal(m->from, 0);
		assert_int_not_equal(m->to, 0);
		/* the star: one end is always the parent */
		assert_true(((m->from | m->to) & P_PARENT) != 0);
		assert_int_not_equal(m->phases, 0);
		assert_true(m->desc()->size <= msg_schema.max_size);
	}
	assert_null(msg_name(PS_MSG_FIRST - 1));
	assert_null(msg_name(MSG_AFTER_LAST));
}

static void
test_names(void **state)
{
	for (int i = 0; i < ROLE_MAX; i++)
		assert_int_equal(role_parse(role_name((unsigned)i)), i);
	assert_int_equal(role_parse("primary"), -1);
	assert_null(role_name(ROLE_MAX));
	assert_string_equal(site_state_name(SS_READ_ONLY), "read-only");
	assert_null(sql_kind_name(SQL_MAX));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_directions),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
