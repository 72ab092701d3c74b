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
 * kube-watcher's pure parts: splitting lists and watches, the order of labels,
 * when a record is ours, and a group, back-off. The Lease: test_lease.c.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>

#include "kube.h"
#include "kube_pods.h"
#include "kube_split.h"

/* ------------------------------------------------------------------- adopt */

#define ENTRY(m, op, v, more, f)                                              \
	"{\"manager\":\"" m "\",\"operation\":\"" op "\",\"apiVersion\":\"" v \
	"\"," more "\"fieldsV1\":{" f "}}"
#define OBJECT(list)                                \
	"{\"metadata\":{\"resourceVersion\":\"7\"," \
	"\"managedFields\":[" list "]}}"
#define HUMAN ENTRY("kubectl-edit", "Update", "v1", "", "\"f:x\":{}")
#define STATUS                                                             \
	ENTRY("bloodraven", "Update", "v1", "\"subresource\":\"status\",", \
	    "\"f:status\":{}")
#define OURS_A ENTRY("bloodraven", "Apply", "v1", "", "\"f:a\":{\"f:b\":{}}")
#define REF_1  ENTRY("bloodraven", "Update", "v1", "", "\"f:c\":{\".\":{}}")
#define REF_2                                                        \
	ENTRY("bloodraven", "Update", "v1", "",                      \
	    "\"f:a\":{\"f:d\":{}},\"f:c\":{\"k:{\\\"n\\\":1}\":{}}")
#define REF_OLD ENTRY("bloodraven", "Update", "v1beta1", "", "\"f:z\":{}")
#define REF_NONE                                                \
	"{\"manager\":\"bloodraven\",\"operation\":\"Update\"," \
	"\"apiVersion\":\"v1\"}"

static void
adopted(const char *in, const char *want)
{
	yyjson_doc *d = yyjson_read(in, strlen(in), 0);
	yyjson_doc *w = yyjson_read(want, strlen(want), 0);
	yyjson_mut_doc *m = yyjson_mut_doc_new(NULL);
	yyjson_doc *out;
	yyjson_mut_val *v;

	assert_non_null(d);
	v = kadopt_patch(m, yyjson_doc_get_root(d));
	if (want[0] == '\0')
		assert_null(v);
	else {
		assert_non_null(v);
		assert_non_null(w);
		yyjson_mut_doc_set_root(m, v);
		out = yyjson_mut_doc_imut_copy(m, NULL);
		assert_true(yyjson_equals(
		    yyjson_doc_get_root(out), yyjson_doc_get_root(w)));
		yyjson_doc_free(out);
	}
	yyjson_mut_doc_free(m);
	yyjson_doc_free(w);
	yyjson_doc_free(d);
}

/* The reference's entries become ours, and nobody else's changes. */
static void
test_adopt(void **state)
{
	(void)state;
	adopted("{\"metadata\":{}}", "");
	adopted(OBJECT(HUMAN "," OURS_A "," STATUS), "");
	adopted(OBJECT(HUMAN "," REF_1),
	    OBJECT(HUMAN "," ENTRY(
		"bloodraven", "Apply", "v1", "", "\"f:c\":{\".\":{}}")));
	adopted(
	    OBJECT(REF_1 "," HUMAN "," OURS_A "," STATUS "," REF_OLD "," REF_2),
	    OBJECT(HUMAN "," ENTRY("bloodraven", "Apply", "v1", "",
		"\"f:a\":{\"f:b\":{},\"f:d\":{}},"
		"\"f:c\":{\".\":{},\"k:{\\\"n\\\":1}\":{}}") "," STATUS
							     "," REF_OLD));
	/* Of another version alone: not once more at each apply. */
	adopted(OBJECT(OURS_A "," REF_OLD), "");
	/* No fields are none. */
	adopted(OBJECT(REF_NONE),
	    OBJECT(ENTRY("bloodraven", "Apply", "v1", "", "")));
	adopted(OBJECT(OURS_A "," REF_NONE), OBJECT(OURS_A));
	adopted(OBJECT(REF_1 "," REF_NONE),
	    OBJECT(
		ENTRY("bloodraven", "Apply", "v1", "", "\"f:c\":{\".\":{}}")));
}

/* ------------------------------------------------------------------- clash */

#define OWNED(kind, name)                                                     \
	"{\"metadata\":{\"labels\":{\"shipstream.io/failover-group\":\"a\"}," \
	"\"ownerReferences\":[{\"kind\":\"" kind "\",\"name\":\"" name        \
	"\"}]}}"

/* The owner says whose it is; without one of our kind the label. */
static void
test_clash_owner(void **state)
{
	static const struct {
		const char *obj, *group, *owner;
	} t[] = {
		{ "{\"metadata\":{}}", "a", NULL },
		{ OWNED("MysqlFailoverGroup", "b"), "b", NULL },
		{ OWNED("MysqlFailoverGroup", "b"), "a", "b" },
		{ OWNED("Other", "b"), "a", NULL },
		{ OWNED("Other", "b"), "b", "a" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		yyjson_doc *d = yyjson_read(t[i].obj, strlen(t[i].obj), 0);
		const char *s =
		    kclash_owner(yyjson_doc_get_root(d), t[i].group);

		if (t[i].owner == NULL)
			assert_null(s);
		else
			assert_string_equal(s, t[i].owner);
		yyjson_doc_free(d);
	}
}

/* ------------------------------------------------------------------- split */

struct got {
	char text[16][64];
	int n, stop_at;
};

static int
item(void *arg, char *text, size_t len)
{
	struct got *g = arg;

	assert_int_equal(strlen(text), len);
	assert_true(g->n < 16);
	assert_true(strlcpy(g->text[g->n++], text, 64) < 64);
	return g->n == g->stop_at ? -1 : 0;
}

/* However the bytes are cut, the same objects come out. */
static void
split_at(bool list, const char *in, size_t cut, struct got *g, char *frame,
    size_t size)
{
	struct split s;
	size_t len = strlen(in), flen;
	char *f;

	memset(g, 0, sizeof(*g));
	split_init(&s, list, 64, item, g);
	for (size_t i = 0; i < len; i += cut)
		assert_int_equal(
		    split_feed(&s, in + i, i + cut > len ? len - i : cut), 0);
	if (list) {
		assert_non_null(f = split_frame(&s, &flen));
		assert_true(strlcpy(frame, f, size) < size);
		assert_int_equal(strlen(f), flen);
	}
	split_free(&s);
}

static void
test_split_watch(void **state)
{
	static const char in[] = "{\"a\":{\"b\":[1,2]}}\n{\"s\":\"}\\\"{\"}\n"
				 "{}\r\n {\"u\":\"\\\\\"}";
	struct got g;

	(void)state;
	for (size_t cut = 1; cut < sizeof(in); cut++) {
		split_at(false, in, cut, &g, NULL, 0);
		assert_int_equal(g.n, 4);
		assert_string_equal(g.text[0], "{\"a\":{\"b\":[1,2]}}");
		assert_string_equal(g.text[1], "{\"s\":\"}\\\"{\"}");
		assert_string_equal(g.text[2], "{}");
		assert_string_equal(g.text[3], "{\"u\":\"\\\\\"}");
	}
}

static void
test_split_list(void **state)
{
	static const char typed[] =
	    "{\"kind\":\"PodList\",\"metadata\":"
	    "{\"resourceVersion\":\"7\",\"continue\":\"x\"},\"items\":"
	    "[{\"n\":1,\"items\":[{}]},{\"n\":2}]}\n";
	static const char sorted[] =
	    "{\"items\": [ {\"n\":1,\"items\":[{}]} ,\n"
	    "{\"n\":2} ], \"metadata\":{\"resourceVersion\":\"7\"}}";
	char frame[256];
	struct got g;

	(void)state;
	for (size_t cut = 1; cut < sizeof(typed); cut++) {
		split_at(true, typed, cut, &g, frame, sizeof(frame));
		assert_int_equal(g.n, 2);
		assert_string_equal(g.text[0], "{\"n\":1,\"items\":[{}]}");
		assert_string_equal(g.text[1], "{\"n\":2}");
		assert_string_equal(frame,
		    "{\"kind\":\"PodList\",\"metadata\":"
		    "{\"resourceVersion\":\"7\",\"continue\":\"x\"},"
		    "\"items\":[]}");
	}
	for (size_t cut = 1; cut < sizeof(sorted); cut++) {
		split_at(true, sorted, cut, &g, frame, sizeof(frame));
		assert_int_equal(g.n, 2);
		assert_string_equal(frame,
		    "{\"items\": [], "
		    "\"metadata\":{\"resourceVersion\":\"7\"}}");
	}
	split_at(true, "{\"items\":[],\"metadata\":{}}", 3, &g, frame,
	    sizeof(frame));
	assert_int_equal(g.n, 0);
	split_at(true, "{\"metadata\":{},\"items\":null}", 3, &g, frame,
	    sizeof(frame));
	assert_int_equal(g.n, 0);
	assert_string_equal(frame, "{\"metadata\":{},\"items\":null}");
}

static int
feed(bool list, const char *in, int stop_at)
{
	struct got g = { .stop_at = stop_at };
	struct split s;
	size_t len;
	int r;

	split_init(&s, list, 16, item, &g);
	r = split_feed(&s, in, strlen(in));
	if (r == 0 && list && split_frame(&s, &len) == NULL)
		r = -1;
	split_free(&s);
	return r;
}

static void
test_split_refuses(void **state)
{
	static const struct {
		bool list;
		const char *in;
		int error;
	} bad[] = {
		{ false, "<html>", EBADMSG },
		{ false, "]", EBADMSG },
		{ false, "[{}]", EBADMSG },
		{ false, "{\"a\":\"0123456789abcdef\"}", ERANGE },
		{ true, "{\"items\":[{\"a\":\"0123456789abcdef\"}]}", ERANGE },
		{ true, "{\"items\":[{\"a\":1}", EBADMSG }, /* cut */
		{ true, "{\"items\":[[1]]}", EBADMSG },
		{ true, "{\"items\":[]}}", EBADMSG },
		{ true, "", EBADMSG },
	};

	(void)state;
	for (size_t i = 0; i < PS_NITEMS(bad); i++) {
		errno = 0;
		assert_int_equal(feed(bad[i].list, bad[i].in, 0), -1);
		assert_int_equal(errno, bad[i].error);
	}
	errno = 0;
	assert_int_equal(feed(false, "{}{}{}", 2), -1);
	assert_int_equal(errno, ECANCELED);
}

/* ------------------------------------------------------------------ labels */

#define P RL_PRIMARY
#define R RL_REPLICA
#define F RL_FENCED

static void
test_labels(void **state)
{
	static const struct {
		struct klabel l[3];
		int next;
	} t[] = {
		/* want role, healthy; live role, healthy */
		{ { { P, 1, P, 1 }, { R, 1, R, 1 }, { R, 1, R, 1 } }, -1 },
		{ { { P, 1, R, 0 }, { R, 1, R, 1 }, { R, 1, R, 1 } }, 0 },
		/* The old primary first, wherever it stands. */
		{ { { P, 1, R, 1 }, { R, 0, P, 1 }, { R, 1, R, 1 } }, 1 },
		{ { { R, 0, P, 1 }, { P, 1, R, 1 }, { R, 1, R, 1 } }, 0 },
		{ { { P, 1, R, 1 }, { R, 1, R, 0 }, { R, 1, R, 1 } }, 1 },
		/* Fenced counts as not primary. */
		{ { { F, 1, P, 1 }, { R, 1, R, 1 }, { R, 1, R, 1 } }, 0 },
		/* A Pod without labels of ours. */
		{ { { R, 0, -1, -1 }, { P, 1, P, 1 }, { R, 1, R, 1 } }, 0 },
	};

	(void)state;
	for (size_t i = 0; i < PS_NITEMS(t); i++)
		assert_int_equal(klabel_next(t[i].l, 3), t[i].next);
	assert_int_equal(klabel_next(NULL, 0), -1);
}

/* From any labels to any wanted ones, never two primaries on the way. */
static void
test_labels_never_two(void **state)
{
	(void)state;
	for (unsigned c = 0; c < 4 * 4 * 4 * 4; c++) {
		struct klabel l[3];
		unsigned primaries, steps = 0;
		int i;

		for (unsigned k = 0; k < 3; k++) {
			unsigned live = c >> (2 * k) & 3;

			l[k] = (struct klabel) { k == c >> 6 ? P : R, true,
				live == 3 ? -1 : (int)live, 0 };
		}
		primaries =
		    (l[0].role == P) + (l[1].role == P) + (l[2].role == P);
		while ((i = klabel_next(l, 3)) != -1) {
			unsigned now;

			l[i].role = (int)l[i].want_role;
			l[i].healthy = l[i].want_healthy;
			now = (l[0].role == P) + (l[1].role == P) +
			    (l[2].role == P);
			assert_true(now <= 1 || now <= primaries);
			assert_true(now <= primaries || now == 1);
			primaries = now;
			assert_true(++steps <= 3);
		}
		for (unsigned k = 0; k < 3; k++)
			assert_int_equal(l[k].role, l[k].want_role);
	}
}

/* ------------------------------------------------------------- record, own */

static void
test_record_is(void **state)
{
	static struct m_record_put p;
	static struct m_record r;

	(void)state;
	p.base_version = 4;
	p.epoch = r.epoch = 9;
	r.version = 5;
	(void)strlcpy(p.active, "iad", sizeof(p.active));
	(void)strlcpy(r.active, "iad", sizeof(r.active));
	p.n_unended = r.n_unended = 1;
	p.unended[0].epoch = r.unended[0].epoch = 9;
	assert_true(krecord_is(&r, &p));
	assert_int_equal(krecord_step(&r, &p), KR_DONE);
	r.active[0] = 'X'; /* somebody else's */
	assert_int_equal(krecord_step(&r, &p), KR_CONFLICT);
	r.version = 4;
	assert_int_equal(krecord_step(&r, &p), KR_SEND);
	r.active[0] = 'i';
	r.version = 6;
	assert_false(krecord_is(&r, &p));
	r.version = 5;
	r.unended[0].proc_start_ms = 1;
	assert_false(krecord_is(&r, &p));
	r.unended[0].proc_start_ms = 0;
	(void)strlcpy(r.seen_gtid, "x", sizeof(r.seen_gtid));
	assert_false(krecord_is(&r, &p));
}

static void
test_own_differs(void **state)
{
	struct kown o = {
		.exists = true, .wanted = 1, .applied = 2, .live = 2
	};

	(void)state;
	assert_false(kown_differs(&o, 1));
	assert_true(kown_differs(&o, 3));
	o.live = 7;
	assert_true(kown_differs(&o, 1));
	o.exists = false;
	assert_true(kown_differs(&o, 1));
}

/* An answer of ours; between the request and it a watch told something. */
static void
test_own_told(void **state)
{
	static const char text[] = "{\"data\":{\"a\":\"as applied\"}}";
	yyjson_doc *d = yyjson_read(text, strlen(text), 0);
	yyjson_val *obj = yyjson_doc_get_root(d);
	uint64_t c = kown_content(KW_CONFIGMAPS, obj);
	struct kown o = { .wanted = 1, .live = 7 };

	(void)state;
	kown_answered(&o, obj, true);
	assert_true(o.exists && o.live == c && o.applied == c);
	assert_false(kown_differs(&o, 1));
	/* Of another content. */
	o.live = 7;
	o.told = true;
	kown_answered(&o, obj, true);
	assert_true(o.live == 7 && o.applied == c);
	assert_true(kown_differs(&o, 1));
	/* Of its end. */
	o.live = c;
	o.exists = false;
	kown_answered(&o, obj, true);
	assert_true(kown_differs(&o, 1));
	/* A look, which may be as old. */
	o.exists = true;
	o.live = 7;
	kown_answered(&o, obj, false);
	assert_true(kown_differs(&o, 1));
	yyjson_doc_free(d);
}

static void
test_backoff(void **state)
{
	struct backoff b = { 100, 1000, 0 };
	static const int64_t most[] = { 100, 200, 400, 800, 1000, 1000 };

	(void)state;
	for (size_t i = 0; i < PS_NITEMS(most); i++) {
		uint32_t rnd = (uint32_t)i * 51;
		int64_t ms = backoff_next(&b, rnd);

		assert_true(ms <= most[i] && ms >= most[i] * 3 / 4);
	}
	backoff_reset(&b);
	assert_int_equal(backoff_next(&b, 0), 100);
}

static void
test_definite(void **state)
{
	static const struct {
		long status;
		bool definite;
	} t[] = {
		{ 0, false }, /* no answer */
		{ 200, false },
		{ 201, false },
		{ 304, false },
		{ 399, false },
		{ 400, true },
		{ 401, false }, /* an old token */
		{ 403, true },
		{ 404, true },
		{ 405, true },
		{ 406, true },
		{ 408, false }, /* lost on the way, perhaps */
		{ 409, false }, /* looked at again */
		{ 410, true },
		{ 413, true },
		{ 415, true },
		{ 422, true },
		{ 429, false }, /* later */
		{ 499, true },
		{ 500, false },
		{ 503, false },
		{ 504, false },
	};

	(void)state;
	for (size_t i = 0; i < PS_NITEMS(t); i++)
		if (kh_definite(t[i].status) != t[i].definite)
			fail_msg("status %ld", t[i].status);
}

/* Rows of a Table: what a watch of names brings. */
static void
test_name(void **state)
{
	static const struct {
		const char *text, *name;
	} t[] = {
		{ "{\"kind\":\"Table\",\"rows\":[{\"cells\":[\"a\",\"Opaque\",3,"
		  "\"5d\"],\"object\":null}]}",
		    "a" },
		{ "{\"rows\":[{\"cells\":[\"b\"]}]}", "b" },
		{ "{\"rows\":[{\"cells\":[7,\"c\"]}]}", NULL },
		{ "{\"rows\":[{\"cells\":[]}]}", NULL },
		{ "{\"rows\":[{}]}", NULL },
		{ "{\"rows\":[]}", NULL },
		{ "{\"rows\":\"d\"}", NULL },
		{ "{\"metadata\":{\"name\":\"e\"}}", NULL },
		{ "[]", NULL },
	};
	const char *name;
	yyjson_doc *d;

	(void)state;
	for (size_t i = 0; i < PS_NITEMS(t); i++) {
		assert_non_null(
		    d = yyjson_read(t[i].text, strlen(t[i].text), 0));
		name = kwatch_name(yyjson_doc_get_root(d));
		if (t[i].name == NULL)
			assert_null(name);
		else
			assert_string_equal(name, t[i].name);
		yyjson_doc_free(d);
	}
}

static void
test_escape(void **state)
{
	char out[16];

	(void)state;
	assert_int_equal(kh_escape(out, sizeof(out), "a=b,c/~"), 0);
	assert_string_equal(out, "a%3Db%2Cc%2F~");
	errno = 0;
	assert_int_equal(kh_escape(out, sizeof(out), "======"), -1);
	assert_int_equal(errno, ERANGE);
}

static void
test_resource(void **state)
{
	static const char *const t[][2] = {
		{ "/api/v1/namespaces/db/pods/a?b=/c", "pods" },
		{ "/api/v1/pods?limit=1", "pods" },
		{ "/apis/apps/v1/namespaces/db/deployments", "deployments" },
		{ "/apis/shipstream.io/v1alpha1/mysqlfailovergroups?x",
		    "mysqlfailovergroups" },
		{ "/apis", "apis" },
		{ "/version", "version" },
	};
	char out[KH_RESOURCE_LEN + 1];
	static char path[KH_PATH_MAX];

	(void)state;
	for (size_t i = 0; i < PS_NITEMS(t); i++) {
		kh_resource(t[i][0], out);
		assert_string_equal(out, t[i][1]);
	}
	kh_collection(path, "/api/v1", "", "pods");
	assert_string_equal(path, "/api/v1/pods");
	kh_collection(path, "/apis/a.io/v1", "ns", "things");
	assert_string_equal(path, "/apis/a.io/v1/namespaces/ns/things");
}

static void
test_image_tag(void **state)
{
	static const char *const t[][2] = {
		{ "bloodraven:1.0.0", "1.0.0" },
		{ "ghcr.io/x/bloodraven-sidecar:1.0.0-rc.1", "1.0.0-rc.1" },
		{ "registry:5000/x/bloodraven", NULL },
		{ "registry:5000/x/bloodraven:lab", "lab" },
		{ "bloodraven", NULL },
		{ "bloodraven:", NULL },
		{ "", NULL },
		{ "x/bloodraven:1@sha256:0123", NULL },
		{ "x/bloodraven@sha256:0123", NULL },
	};

	(void)state;
	for (size_t i = 0; i < PS_NITEMS(t); i++) {
		const char *tag = kskew_tag(t[i][0]);

		if (t[i][1] == NULL)
			assert_null(tag);
		else
			assert_string_equal(tag, t[i][1]);
	}
}

/* ------------------------------------------------- other installations --- */

#define GROUP_OF(lease, word)                                               \
	"{\"metadata\":{\"uid\":\"u\",\"namespace\":\"db\",\"name\":\"g\"," \
	"\"annotations\":{\"" KFOREIGN_ANN "\":" word "}},"                 \
	"\"status\":{\"authority\":{\"version\":1" lease "}}}"
#define LED_BY(ns) ",\"lease\":\"" ns "/" BR_LEASE "\""
#define WORD(ns)   "\"" ns "/" BR_LEASE "\""

static bool
left_alone(struct kube *k, const char *text)
{
	yyjson_doc *d = yyjson_read(text, strlen(text), 0);
	bool r;

	assert_non_null(d);
	r = kforeign_is(k, yyjson_doc_get_root(d));
	yyjson_doc_free(d);
	return r;
}

/* Whose group it is, by the record and a person's word. */
static void
test_foreign(void **state)
{
	static const char ours[] = GROUP_OF(LED_BY("br"), "null");
	static const char theirs[] = GROUP_OF(LED_BY("old"), "null");
	static const char to_us[] = GROUP_OF(LED_BY("old"), WORD("old"));
	static struct kube k;

	(void)state;
	assert_non_null(k.base = event_base_new());
	(void)strlcpy(k.conf.namespace, "br", sizeof(k.conf.namespace));
	k.lease.longest_ms = 3600 * 1000;
	kforeign_start(&k);
	/* No name, as of an earlier release; ours, whatever is said of others. */
	assert_false(left_alone(&k, GROUP_OF("", "null")));
	assert_false(left_alone(&k, GROUP_OF(",\"lease\":\"\"", "\"\"")));
	assert_false(left_alone(&k, ours));
	assert_false(left_alone(&k, GROUP_OF(LED_BY("br"), WORD("old"))));
	assert_false(kforeign_in(&k, "db"));
	/* Theirs, whatever is said of us. */
	assert_true(left_alone(&k, theirs));
	assert_true(kforeign_in(&k, "db"));
	assert_false(kforeign_in(&k, "other"));
	assert_true(left_alone(&k, GROUP_OF(LED_BY("old"), WORD("br"))));
	/* Handed over to us, after a while, and taken back. */
	assert_true(left_alone(&k, to_us));
	TAILQ_FIRST(&k.foreign)->due_ns = 1;
	assert_false(left_alone(&k, to_us));
	assert_true(left_alone(&k, theirs));
	assert_true(left_alone(&k, to_us));
	TAILQ_FIRST(&k.foreign)->due_ns = 1;
	/* Another one was faster; its word is waited for anew. */
	assert_true(left_alone(&k, GROUP_OF(LED_BY("third"), WORD("third"))));
	/* Our record was written. */
	assert_false(left_alone(&k, ours));
	assert_true(TAILQ_EMPTY(&k.foreign));
	/* Given up. */
	assert_true(left_alone(&k, GROUP_OF(LED_BY("br"), WORD("br"))));
	assert_int_equal(TAILQ_FIRST(&k.foreign)->due_ns, 0);
	/* It went while no watch ran. */
	kforeign_listed(&k);
	assert_true(kforeign_in(&k, "db"));
	k.mark++;
	kforeign_listed(&k);
	assert_false(kforeign_in(&k, "db"));
	kforeign_free(&k);
	event_base_free(k.base);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_adopt),
		cmocka_unit_test(test_clash_owner),
		cmocka_unit_test(test_split_watch),
		cmocka_unit_test(test_split_list),
		cmocka_unit_test(test_split_refuses),
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_labels_never_two),
		cmocka_unit_test(test_record_is),
		cmocka_unit_test(test_own_differs),
		cmocka_unit_test(test_own_told),
		cmocka_unit_test(test_backoff),
		cmocka_unit_test(test_definite),
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_resource),
		cmocka_unit_test(test_image_tag),
		cmocka_unit_test(test_foreign),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
