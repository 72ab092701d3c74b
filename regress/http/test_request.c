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
 * Requests as bytes, queries, and the answers of the status API.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "http.h"
#include "metrics.h"

static unsigned deletes;
static char deleted[LABELS_LEN + 1];

static void
note_delete(void *arg, const struct m_metric *m)
{
	assert_int_equal(m->op, MO_DEL);
	assert_int_equal(m->family, M_MAX);
	deletes++;
	strlcpy(deleted, m->labels, sizeof(deleted));
}

static const struct metric_sink sink = { note_delete, NULL };

/* ---------------------------------------------------------------- parser --- */

static char buf[HTTP_HEAD_MAX];
static struct http_req req;

/* The status of one request; the head must end where the text does. */
static int
parse(const char *text)
{
	size_t len = strlen(text), scan = 0, end = 0, i;
	unsigned st = 0;

	memcpy(buf, text, len);
	/* byte by byte, as a slow client sends it */
	for (i = 1; i <= len && end == 0; i++)
		end = http_head_end(buf, i, &scan, &st);
	assert_int_equal(end, len);
	http_parse(buf, len, &req);
	return req.status;
}

static void
requests(void **state)
{
	assert_int_equal(
	    parse("GET /a%2fb?x=1 HTTP/1.1\r\nHost: h\r\n\r\n"), 200);
	assert_string_equal(req.method, "GET");
	assert_string_equal(req.path, "/a/b");
	assert_string_equal(req.query, "x=1");
	assert_true(req.keep);
	assert_false(req.head);
	assert_int_equal(parse("HEAD / HTTP/1.0\n\n"), 200);
	assert_true(req.head);
	assert_false(req.keep);
	assert_string_equal(req.query, "");
	assert_int_equal(parse("GET http://h:80/x HTTP/1.1\r\nhost: h\r\n"
			       "connection: foo, Close\r\n\r\n"),
	    200);
	assert_string_equal(req.path, "/x");
	assert_false(req.keep);
	assert_int_equal(parse("POST /x HTTP/1.1\r\nHost:h\r\n"
			       "Content-Length: 0\r\n\r\n"),
	    200);
	assert_false(req.upgrade);
	assert_int_equal(parse("GET / HTTP/1.1\r\nHost: h\r\n"
			       "Connection: keep-alive,UPGRADE\r\n"
			       "Upgrade: h2c , WebSocket\r\n"
			       "Sec-WebSocket-Key:  k \r\n"
			       "sec-websocket-version: 13\r\n"
			       "Origin: http://o\r\n\r\n"),
	    200);
	assert_true(req.upgrade);
	assert_string_equal(req.ws_key, "k");
	assert_string_equal(req.ws_version, "13");
	assert_string_equal(req.origin, "http://o");
	assert_int_equal(parse("GET / HTTP/1.0\r\nConnection: upgrade\r\n"
			       "Upgrade: websocket\r\n\r\n"),
	    200);
	assert_false(req.upgrade);
	assert_int_equal(parse("OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n"), 200);
	assert_int_equal(parse("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
}

static void
malformed(void **state)
{
	static const struct {
		int status;
		const char *text;
	} rows[] = {
		{ 400, "\r\n\r\n" },
		{ 400, "GET\r\n\r\n" },
		{ 400, "GET /\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" },
		{ 400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "G\x01T / HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "ABCDEFGHIJKLMNOPQ / HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET / FTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET / HTTP/1.11\r\nHost: a\r\n\r\n" },
		{ 400, "GET x HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET http://h HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET /% HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET /%0 HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: a\r\nnocolon\r\n\r\n" },
		{ 400,
		    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n" },
		{ 413,
		    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n" },
		{ 413,
		    "GET / HTTP/1.1\r\nHost: a\r\n"
		    "Transfer-Encoding: chunked\r\n\r\n" },
		{ 400,
		    "GET / HTTP/1.1\r\nHost: a\r\nOrigin: a\r\n"
		    "Origin: a\r\n\r\n" },
		{ 400,
		    "GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: a\r\n"
		    "Sec-WebSocket-Key: a\r\n\r\n" },
		{ 400,
		    "GET / HTTP/1.1\r\nHost: a\r\n"
		    "Sec-WebSocket-Version: 13\r\n"
		    "Sec-WebSocket-Version: 13\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n" },
		{ 505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n" },
		{ 505, "GET / HTTP/1.2\r\nHost: a\r\n\r\n" },
	};
	size_t i;

	for (i = 0; i < PS_NITEMS(rows); i++)
		assert_int_equal(parse(rows[i].text), rows[i].status);
	memcpy(buf, "GET /\0 HTTP/1.0\n\n", 17);
	assert_int_equal(http_parse(buf, 17, &req), -1);
	assert_int_equal(req.status, 400);
}

static void
dates(void **state)
{
	char text[HTTP_DATE_LEN];

	/* RFC 9110 section 5.6.7 */
	assert_int_equal(http_date(784111777, text), 0);
	assert_string_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT");
	assert_int_equal(http_date(0, text), 0);
	assert_string_equal(text, "Thu, 01 Jan 1970 00:00:00 GMT");
	assert_int_equal(http_date(951868799, text), 0);
	assert_string_equal(text, "Tue, 29 Feb 2000 23:59:59 GMT");
	assert_int_equal(http_date(-1, text), -1);
	assert_int_equal(http_date(INT64_C(253402300800), text), -1);
}

static void
queries(void **state)
{
	char out[8];

	assert_int_equal(http_query("a=1&b=2", "b", out, sizeof(out)), 1);
	assert_string_equal(out, "2");
	assert_int_equal(
	    http_query("ab=1&&a=%41+%2B", "a", out, sizeof(out)), 1);
	assert_string_equal(out, "A +");
	assert_int_equal(http_query("a=&b", "a", out, sizeof(out)), 0);
	assert_int_equal(http_query("a=&b", "b", out, sizeof(out)), 0);
	assert_int_equal(http_query("", "a", out, sizeof(out)), 0);
	assert_int_equal(http_query("a=1&a=2", "a", out, sizeof(out)), 1);
	assert_string_equal(out, "1");
	assert_int_equal(http_query("a=1234567", "a", out, sizeof(out)), 1);
	assert_int_equal(http_query("a=12345678", "a", out, sizeof(out)), -1);
	assert_int_equal(errno, ERANGE);
	assert_int_equal(http_query("a=%4", "a", out, sizeof(out)), -1);
	assert_int_equal(http_query("a=%00", "a", out, sizeof(out)), -1);
	assert_int_equal(errno, EBADMSG);
}

/* ----------------------------------------------------------------- state --- */

static struct http_state *st;
static struct m_site_status site;
static struct m_group_status group;

static int
new_state(void **state)
{
	deletes = 0;
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
send_site(const char *uid, const char *name, enum site_state ss)
{
	memset(&site, 0, sizeof(site));
	strlcpy(site.group, uid, sizeof(site.group));
	strlcpy(site.name, name, sizeof(site.name));
	site.state = ss;
	site.lag_s = -1;
	assert_int_equal(http_state_site(st, &site), 0);
}

static void
send_group(const char *uid, const char *name, const char *active,
    const char *one, const char *two)
{
	memset(&group, 0, sizeof(group));
	strlcpy(group.group, uid, sizeof(group.group));
	strlcpy(group.ns, "ns", sizeof(group.ns));
	strlcpy(group.name, name, sizeof(group.name));
	strlcpy(group.effective_site, active, sizeof(group.effective_site));
	strlcpy(group.sites[0].name, one, sizeof(group.sites[0].name));
	group.n_sites = 1;
	if (two != NULL) {
		strlcpy(group.sites[1].name, two, sizeof(group.sites[1].name));
		group.n_sites = 2;
	}
	assert_int_equal(http_state_group(st, &group), 0);
}

static void
status_is(const char *want)
{
	char *text;
	size_t len;

	assert_int_equal(http_state_render(st, &text, &len), 0);
	assert_string_equal(text, want);
	free(text);
}

static void
active_is(const char *query, int want_status, const char *want)
{
	char *text;
	size_t len;
	int status;

	assert_int_equal(http_state_active(st, query, &status, &text, &len), 0);
	assert_int_equal(status, want_status);
	assert_string_equal(text, want);
	free(text);
}

#define NONE       "{\"status\":\"no active failover groups\"}"
#define NO_GROUPS  "{\"error\":\"no active failover groups\"}"
#define NOT_LISTED "{\"error\":\"groups are not listed yet\"}"
#define UNKNOWN    "{\"error\":\"failover group not found\"}"
#define MISSING                                                  \
	"{\"error\":\"namespace and group query parameters are " \
	"required\"}"

static void
before_the_first_group(void **state)
{
	status_is(NONE);
	active_is("namespace=ns&group=g", 503, NO_GROUPS);
	active_is("group=g", 400, MISSING);
	/* a site alone is no group yet */
	send_site("u", "iad", SS_WRITABLE);
	status_is(NONE);
}

static void
active_site(void **state)
{
	char query[1024] = "namespace=ns&group=";

	send_group("u", "g", "iad", "iad", "pdx");
	/* until all are listed it may be one that is to come */
	active_is("namespace=ns&group=h", 503, NOT_LISTED);
	http_state_operator(st, true, false);
	active_is("namespace=ns&group=g", 200,
	    "{\"namespace\":\"ns\",\"group\":\"g\",\"activeSite\":\"iad\",\"leader\":false}");
	send_group("u", "g", "", "iad", "pdx");
	active_is("group=g&namespace=ns", 200,
	    "{\"namespace\":\"ns\",\"group\":\"g\",\"activeSite\":\"\",\"leader\":false}");
	active_is("namespace=ns&group=h", 404, UNKNOWN);
	active_is("namespace=ns", 400, MISSING);
	active_is("namespace=&group=g", 400, MISSING);
	active_is("namespace=%&group=g", 400, MISSING);
	memset(query + strlen(query), 'x', 600);
	active_is(query, 404, UNKNOWN);
}

static void
status_of_a_group(void **state)
{
	send_site("u", "iad", SS_WRITABLE);
	send_site("u", "pdx", SS_READ_ONLY);
	site.follower = site.io_running = site.sql_running = true;
	site.lag_s = 3;
	site.last_seen_ms = 1000;
	strlcpy(site.gtid, "a:1-2", sizeof(site.gtid));
	strlcpy(site.source_host, "h", sizeof(site.source_host));
	strlcpy(site.convergence, "Pending", sizeof(site.convergence));
	strlcpy(site.recovery, "DivergentTransactions", sizeof(site.recovery));
	strlcpy(site.divergent_gtid, "b:1", sizeof(site.divergent_gtid));
	site.divergent_count = 1;
	assert_int_equal(http_state_site(st, &site), 0);
	send_group("u", "g", "iad", "iad", "pdx");
	status_is(
	    "{\"ns/g\":{\"activeSite\":\"iad\",\"sites\":["
	    "{\"name\":\"iad\",\"role\":\"primary-candidate\","
	    "\"state\":\"writable\",\"replicating\":false,"
	    "\"servingHealthy\":false},"
	    "{\"name\":\"pdx\",\"role\":\"primary-candidate\","
	    "\"state\":\"read-only\",\"lastSeen\":\"1970-01-01T00:00:01Z\","
	    "\"replicating\":true,\"secondsBehindSource\":3,"
	    "\"gtidExecuted\":\"a:1-2\",\"sourceHost\":\"h\","
	    "\"sourceConvergenceState\":\"Pending\","
	    "\"recoveryState\":\"DivergentTransactions\","
	    "\"divergentGtid\":\"b:1\",\"divergentTransactionCount\":1,"
	    "\"servingHealthy\":false}],"
	    "\"pollTime\":\"0001-01-01T00:00:00Z\",\"leader\":false}}");
}

/* No half of a change: a site's word waits for its group's. */
static void
site_waits_for_group(void **state)
{
#define BEFORE                                                         \
	"{\"ns/g\":{\"activeSite\":\"\",\"sites\":[{\"name\":\"iad\"," \
	"\"role\":\"primary-candidate\",\"state\":\"unknown\","        \
	"\"replicating\":false,\"servingHealthy\":false}],"            \
	"\"pollTime\":\"0001-01-01T00:00:00Z\",\"leader\":false}}"
	send_site("u", "iad", SS_UNKNOWN);
	send_group("u", "g", "", "iad", NULL);
	status_is(BEFORE);
	send_site("u", "iad", SS_WRITABLE);
	status_is(BEFORE);
}

static void
sites_and_groups_go(void **state)
{
	send_site("u", "iad", SS_WRITABLE);
	send_site("u", "pdx", SS_WRITABLE);
	send_group("u", "g", "iad", "iad", "pdx");
	assert_int_equal(deletes, 0);
	send_group("u", "g", "iad", "iad", NULL);
	assert_int_equal(deletes, 1);
	assert_string_equal(
	    deleted, "namespace=\"ns\",group=\"g\",site=\"pdx\"");
	group.gone = true;
	assert_int_equal(http_state_group(st, &group), 0);
	assert_int_equal(deletes, 2);
	assert_string_equal(deleted, "namespace=\"ns\",group=\"g\"");
	status_is(NONE);
	/* gone twice is gone */
	assert_int_equal(http_state_group(st, &group), 0);
	assert_int_equal(deletes, 2);
}

/* Deleted and made again before the old one's end was heard of. */
static void
group_made_again(void **state)
{
	send_site("u1", "iad", SS_WRITABLE);
	send_site("u1", "pdx", SS_WRITABLE);
	send_group("u1", "g", "iad", "iad", "pdx");
	send_group("u2", "g", "pdx", "pdx", NULL);
	/* what both have may be the new one's already */
	assert_int_equal(deletes, 1);
	assert_string_equal(
	    deleted, "namespace=\"ns\",group=\"g\",site=\"iad\"");
	active_is("namespace=ns&group=g", 200,
	    "{\"namespace\":\"ns\",\"group\":\"g\",\"activeSite\":\"pdx\",\"leader\":false}");
	strlcpy(group.group, "u1", sizeof(group.group));
	group.gone = true;
	deletes = 0;
	assert_int_equal(http_state_group(st, &group), 0);
	assert_int_equal(deletes, 0);
	active_is("namespace=ns&group=g", 200,
	    "{\"namespace\":\"ns\",\"group\":\"g\",\"activeSite\":\"pdx\",\"leader\":false}");
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, new_state, free_state)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests),
		cmocka_unit_test(malformed),
		cmocka_unit_test(queries),
		cmocka_unit_test(dates),
		T(before_the_first_group),
		T(active_site),
		T(status_of_a_group),
		T(site_waits_for_group),
		T(sites_and_groups_go),
		T(group_made_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
