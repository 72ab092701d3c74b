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
 * WebSockets of status-server without a network: who may open one, and which
 * messages there are for whom. How clients behave is ws.py's business.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_ws.h"
#include "metrics.h"

/* ------------------------------------------------------------- handshake --- */

#define KEY "dGhlIHNhbXBsZSBub25jZQ==" /* RFC 6455 section 1.3 */

static char key[] = KEY, short_key[] = "c2hvcnQ=", long_key[] = KEY KEY,
	    no_key[] = "", bad_key[] = "dGhlIHNhbXBsZSBub25jZ!==", v13[] = "13",
	    v8[] = "8", a[] = "https://a.example",
	    upper[] = "HTTPS://A.Example", c[] = "https://a.example.c.example",
	    star[] = "*", empty[] = "";

static int
ask(struct http_req *req, const char *origins)
{
	char accept[HTTP_WS_ACCEPT_LEN + 1] = "";
	int status = http_handshake(req, origins, accept);

	if (status == 101 && req->ws_key == key)
		assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	else if (status != 101)
		assert_string_equal(accept, "");
	return status;
}

static struct http_req
good(void)
{
	struct http_req req = { .method = "GET",
		.upgrade = true,
		.ws_key = key,
		.ws_version = v13 };

	return req;
}

static void
handshakes(void **state)
{
	struct http_req req = good();
	char *const keys[] = { short_key, long_key, no_key, bad_key, NULL };
	size_t i;

	assert_int_equal(ask(&req, ""), 101);
	for (i = 0; i < PS_NITEMS(keys); i++) {
		req.ws_key = keys[i];
		assert_int_equal(ask(&req, ""), 400);
	}
	req = good();
	req.upgrade = false;
	assert_int_equal(ask(&req, ""), 426);
	req = good();
	req.ws_version = v8;
	assert_int_equal(ask(&req, ""), 426);
	req.ws_version = NULL;
	assert_int_equal(ask(&req, ""), 426);
	req = good();
	strlcpy(req.method, "PUT", sizeof(req.method));
	assert_int_equal(ask(&req, ""), 400);
	req = good();
	req.more = true;
	assert_int_equal(ask(&req, ""), 400);
}

static void
origins(void **state)
{
	static const struct {
		int status;
		char *origin;
		const char *list;
	} rows[] = {
		{ 101, NULL, "" },
		{ 101, NULL, " , " },
		{ 101, NULL, "*" },
		{ 101, c, "https://x.example,*" },
		{ 101, a, "https://a.example" },
		{ 101, upper, "https://x.example, https://a.example" },
		{ 403, NULL, "https://a.example" },
		{ 403, empty, "https://a.example" },
		{ 403, c, "https://a.example" },
		{ 403, star, "https://a.example" },
		{ 403, a, "https://a.exampl" },
		{ 403, a, "https://a.example.c.example" },
	};
	struct http_req req = good();
	size_t i;

	for (i = 0; i < PS_NITEMS(rows); i++) {
		req.origin = rows[i].origin;
		assert_int_equal(ask(&req, rows[i].list), rows[i].status);
	}
}

/* -------------------------------------------------------------- messages --- */

static struct http_state *st;

static void
ignore(void *arg, const struct m_metric *m)
{
}

static const struct metric_sink sink = { ignore, NULL };

static int
new_state(void **state)
{
	st = http_state_new(&sink);
	return st == NULL ? -1 : 0;
}

static int
free_state(void **state)
{
	http_state_free(st);
	return 0;
}

static void
group(const char *name, const char *active, const char *effective)
{
	static struct m_group_status m;

	memset(&m, 0, sizeof(m));
	strlcpy(m.group, name, sizeof(m.group));
	strlcpy(m.ns, "ns", sizeof(m.ns));
	strlcpy(m.name, name, sizeof(m.name));
	strlcpy(m.active_site, active, sizeof(m.active_site));
	strlcpy(m.effective_site, effective, sizeof(m.effective_site));
	m.gone = *active == '-';
	assert_int_equal(http_state_group(st, &m), 0);
}

/* The next message, or NULL. */
static const char *
next(uint64_t *seen)
{
	static char text[4096];
	struct http_body *b;
	bool news = http_state_news(st, *seen);
	int rc = http_state_next(st, seen, &b);

	assert_int_equal(rc, news ? 1 : 0);
	if (rc != 1)
		return NULL;
	assert_in_range(b->len, 1, sizeof(text) - 1);
	memcpy(text, b->data, b->len);
	text[b->len] = '\0';
	http_body_unref(b);
	return text;
}

#define WORD(name, active, leader)                               \
	"{\"namespace\":\"ns\",\"group\":\"" name                \
	"\",\"activeSite\":\"" active                            \
	"\",\"sites\":[],\"pollTime\":\"0001-01-01T00:00:00Z\"," \
	"\"leader\":" leader "}"

static void
newest_word_only(void **state)
{
	uint64_t fast = 0, slow = 0;

	assert_null(next(&fast));
	group("g", "iad", "iad");
	group("h", "iad", "iad");
	assert_string_equal(next(&fast), WORD("g", "iad", "false"));
	assert_string_equal(next(&fast), WORD("h", "iad", "false"));
	assert_null(next(&fast));
	/* the strict word is the message's, the other one is /active-site's */
	group("g", "", "pdx");
	assert_string_equal(next(&fast), WORD("g", "", "false"));
	group("g", "pdx", "pdx");
	assert_string_equal(next(&fast), WORD("g", "pdx", "false"));
	assert_null(next(&fast));
	/* who was away hears each group once, the longest unchanged first */
	assert_string_equal(next(&slow), WORD("h", "iad", "false"));
	assert_string_equal(next(&slow), WORD("g", "pdx", "false"));
	assert_null(next(&slow));
}

static void
leader_is_told(void **state)
{
	uint64_t seen = 0;
	char *text;
	size_t len;
	int status;

	group("g", "iad", "iad");
	(void)next(&seen);
	http_state_operator(st, true, false);
	assert_null(next(&seen));
	http_state_operator(st, true, true);
	assert_string_equal(next(&seen), WORD("g", "iad", "true"));
	assert_int_equal(
	    http_state_active(st, "namespace=ns&group=g", &status, &text, &len),
	    0);
	assert_string_equal(text,
	    "{\"namespace\":\"ns\",\"group\":\"g\","
	    "\"activeSite\":\"iad\",\"leader\":true}");
	free(text);
}

static void
gone_is_silent(void **state)
{
	uint64_t seen = 0;

	group("g", "iad", "iad");
	group("h", "iad", "iad");
	group("g", "-", "");
	assert_string_equal(next(&seen), WORD("h", "iad", "false"));
	assert_null(next(&seen));
	group("h", "-", "");
	assert_null(next(&seen));
}

/* Held messages are bounded; those that nobody holds are no hindrance. */
static void
memory_is_bounded(void **state)
{
	static struct m_site_status s;
	static struct m_group_status m;
	static struct http_body *held[1 << 16];
	size_t n = 0, i;
	uint64_t seen = 0;

	memset(&s, 0, sizeof(s));
	memset(&m, 0, sizeof(m));
	strlcpy(s.group, "g", sizeof(s.group));
	strlcpy(m.group, "g", sizeof(m.group));
	strlcpy(m.ns, "ns", sizeof(m.ns));
	strlcpy(m.name, "g", sizeof(m.name));
	memset(s.gtid, 'a', sizeof(s.gtid) - 1);
	for (i = 0; i < SITES_MAX; i++) {
		snprintf(s.name, sizeof(s.name), "s%zu", i);
		strlcpy(m.sites[i].name, s.name, sizeof(m.sites[i].name));
		assert_int_equal(http_state_site(st, &s), 0);
	}
	m.n_sites = SITES_MAX;
	assert_int_equal(http_state_group(st, &m), 0);
	while (http_state_next(st, &seen, &held[n]) == 1) {
		assert_in_range(++n, 1, PS_NITEMS(held) - 1);
		assert_int_equal(http_state_group(st, &m), 0);
	}
	assert_int_equal(errno, EAGAIN);
	assert_in_range(
	    n, HTTP_WS_BYTES / held[0]->len, HTTP_WS_BYTES / held[0]->len + 1);
	/* it is not lost */
	assert_true(http_state_news(st, seen));
	http_body_unref(held[--n]);
	assert_int_equal(http_state_next(st, &seen, &held[n]), 1);
	for (i = 0; i <= n; i++)
		http_body_unref(held[i]);
	/* a group's own copy goes first */
	assert_int_equal(http_state_group(st, &m), 0);
	assert_int_equal(http_state_next(st, &seen, &held[0]), 1);
	http_body_unref(held[0]);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, new_state, free_state)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handshakes),
		cmocka_unit_test(origins),
		T(newest_word_only),
		T(leader_is_told),
		T(gone_is_silent),
		T(memory_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
