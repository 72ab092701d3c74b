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
 * Text forms, Pods, Secrets and the record as they come from the API server.
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

static yyjson_doc *
json(const char *text)
{
	yyjson_doc *doc = yyjson_read(text, strlen(text), 0);

	if (doc == NULL)
		fail_msg("no JSON: %s", text);
	return doc;
}

static void
times(void **state)
{
	static const struct {
		const char *text;
		int64_t us;
	} good[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "2026-11-03T12:00:00Z", 1793707200000000 },
		{ "2026-11-03T12:00:00.5Z", 1793707200500000 },
		{ "2026-11-03T12:00:00.123456789Z", 1793707200123456 },
		{ "2026-11-03t13:30:00+01:30", 1793707200000000 },
		{ "2026-11-03T07:00:00-05:00", 1793707200000000 },
		{ "2024-02-29T00:00:00Z", 1709164800000000 },
		{ "1969-12-31T23:59:59Z", -1000000 },
	};
	static const char *const bad[] = { "", "2026", "2026-11-03",
		"2026-11-03 12:00:00Z", "2026-13-03T12:00:00Z",
		"2026-02-30T12:00:00Z", "2025-02-29T12:00:00Z",
		"2026-11-03T24:00:00Z", "2026-11-03T12:60:00Z",
		"2026-11-03T12:00:00", "2026-11-03T12:00:00.Z",
		"2026-11-03T12:00:00Zx", "2026-11-03T12:00:00+1:00",
		"0000-01-01T00:00:00Z", "+026-11-03T12:00:00Z" };
	char out[KTIME_LEN];
	int64_t us;

	for (size_t i = 0; i < PS_NITEMS(good); i++) {
		assert_int_equal(ktime_parse(good[i].text, &us), 0);
		assert_int_equal(us, good[i].us);
		ktime_us(us, out);
		assert_int_equal(ktime_parse(out, &us), 0);
		assert_int_equal(us, good[i].us);
	}
	for (size_t i = 0; i < PS_NITEMS(bad); i++)
		if (ktime_parse(bad[i], &us) != -1)
			fail_msg("'%s' is a time", bad[i]);
	ktime_s(1793707200999, out);
	assert_string_equal(out, "2026-11-03T12:00:00Z");
	ktime_us(-1, out);
	assert_string_equal(out, "1969-12-31T23:59:59.999999Z");
	ktime_s(INT64_MAX, out);
	ktime_us(INT64_MIN, out);
	assert_string_equal(out, "1970-01-01T00:00:00.000000Z");
}

static void
quantities(void **state)
{
	static const char *const good[] = { "1", "10Gi", "1.5G", "0.5Ti",
		"100m", "1e3", "1E-2", "+1", ".5", "5.", "5E" };
	static const char *const bad[] = { "", "Gi", "10Gb", "10 Gi", "1e", "-",
		"1.2.3", "1ki", "0", "0Gi", "-1", "1e1234", "0x10" };
	yyjson_mut_doc *m = yyjson_mut_doc_new(NULL);
	yyjson_doc *d;

	for (size_t i = 0; i < PS_NITEMS(good) + PS_NITEMS(bad); i++) {
		bool ok = i < PS_NITEMS(good);
		const char *s = ok ? good[i] : bad[i - PS_NITEMS(good)];

		yyjson_mut_doc_set_root(m, yyjson_mut_str(m, s));
		d = yyjson_mut_doc_imut_copy(m, NULL);
		if (ktext_quantity(yyjson_doc_get_root(d), true) != ok)
			fail_msg("quantity '%s'", s);
		yyjson_doc_free(d);
	}
	yyjson_mut_doc_free(m);
}

static void
base64(void **state)
{
	uint8_t out[8];

	assert_int_equal(ktext_base64("", 0, out, sizeof(out)), 0);
	assert_int_equal(ktext_base64("Zg==", 4, out, sizeof(out)), 1);
	assert_int_equal(ktext_base64("Zm8=", 4, out, sizeof(out)), 2);
	assert_int_equal(ktext_base64("Zm9vYmFy", 8, out, sizeof(out)), 6);
	assert_memory_equal(out, "foobar", 6);
	assert_int_equal(ktext_base64("+/8=", 4, out, sizeof(out)), 2);
	assert_memory_equal(out, "\xfb\xff", 2);
	assert_int_equal(ktext_base64("Zm9vYmFyZm9v", 12, out, 8), -1);
	assert_int_equal(ktext_base64("Zg=", 3, out, sizeof(out)), -1);
	assert_int_equal(ktext_base64("Zg\n=", 4, out, sizeof(out)), -1);
	assert_int_equal(ktext_base64("Z===", 4, out, sizeof(out)), -1);
}

static void
names(void **state)
{
	char s[] = "a\xc3\xa9\xc3 \xff\x01\xed\xa0\x80";

	assert_true(ktext_dns_label("a-1"));
	assert_false(ktext_dns_label("-a"));
	assert_false(ktext_dns_label(""));
	assert_true(ktext_dns_subdomain("a.b-c.d"));
	assert_false(ktext_dns_subdomain("a..b"));
	assert_false(ktext_dns_subdomain("a."));
	assert_true(ktext_label_key("example.com/a.b_c"));
	assert_false(ktext_label_key("Example.com/a"));
	assert_false(ktext_label_key("a/"));
	assert_true(ktext_label_value(""));
	assert_false(ktext_label_value("a/b"));
	assert_true(ktext_hostname("DB_1.example.com."));
	assert_false(ktext_hostname("."));
	assert_false(ktext_hostname("a..b"));
	assert_true(ktext_ip("2001:db8::1"));
	assert_false(ktext_ip("192.0.2.1/24"));
	assert_false(ktext_utf8(s));
	ktext_clean(s, true);
	assert_string_equal(s,
	    "a\xc3\xa9? ??"
	    "???");
	assert_true(ktext_utf8(s));
}

/* ---------------------------------------------------------------- Pods -- */

static const char pod_json[] =
    "{\"metadata\":{\"uid\":\"u-1\",\"name\":\"mysql-db-a-x\",\"labels\":{"
    "\"app.kubernetes.io/name\":\"mysql\",\"shipstream.io/site\":\"a\","
    "\"shipstream.io/failover-group\":\"db\",\"shipstream.io/role\":"
    "\"replica\",\"shipstream.io/healthy\":\"no\"},\"finalizers\":["
    "\"other/x\",\"bloodraven.shipstream.io/fence\"],"
    "\"creationTimestamp\":\"2026-11-03T11:00:00Z\","
    "\"deletionTimestamp\":\"2026-11-03T12:00:00Z\"},"
    "\"spec\":{\"nodeName\":\"n1\"},\"status\":{\"podIP\":\"10.0.0.1\","
    "\"containerStatuses\":[{\"name\":\"exporter\",\"containerID\":\"x\"},"
    "{\"name\":\"mysql\",\"ready\":true,\"containerID\":\"containerd://bb\","
    "\"state\":{\"running\":{\"startedAt\":\"2026-11-03T11:30:00Z\"}},"
    "\"lastState\":{\"terminated\":{\"containerID\":\"containerd://aa\","
    "\"exitCode\":137,\"reason\":\"OOMKilled\",\"startedAt\":"
    "\"2026-11-03T11:00:05Z\",\"finishedAt\":\"2026-11-03T11:29:59Z\"}}}]}}";

static void
pods(void **state)
{
	struct m_pod *m = calloc(1, sizeof(*m));
	yyjson_doc *doc = json(pod_json);
	const char *group;

	assert_int_equal(kpod_decode(yyjson_doc_get_root(doc), m, &group), 0);
	assert_string_equal(group, "db");
	assert_string_equal(m->site, "a");
	assert_string_equal(m->ip, "10.0.0.1");
	assert_string_equal(m->node, "n1");
	assert_true(m->finalizer && m->deleting && m->ready && !m->gone);
	assert_int_equal(m->ctr_state, CTR_RUNNING);
	assert_string_equal(m->container_id, "containerd://bb");
	assert_int_equal(m->started_ms, 1793705400000);
	assert_int_equal(m->n_words, 1);
	assert_string_equal(m->words[0].container_id, "containerd://aa");
	assert_string_equal(m->words[0].reason, "OOMKilled");
	assert_int_equal(m->words[0].exit_code, 137);
	assert_int_equal(m->words[0].finished_ms, 1793705399000);
	assert_true(
	    kpod_labels_match(yyjson_doc_get_root(doc), RL_REPLICA, false));
	assert_false(
	    kpod_labels_match(yyjson_doc_get_root(doc), RL_PRIMARY, false));
	yyjson_doc_free(doc);
	doc = json("{\"metadata\":{\"uid\":\"u\",\"name\":\"n\"}}");
	assert_int_equal(kpod_decode(yyjson_doc_get_root(doc), m, &group), -1);
	assert_int_equal(kpod_decode(NULL, m, &group), -1);
	yyjson_doc_free(doc);
	free(m);
}

/* Whether a new certificate is mounted, and by whom. */
static void
pod_tls(const char *sidecar_mounts, bool tls, bool loads)
{
	struct m_pod *m = calloc(1, sizeof(*m));
	yyjson_doc *doc;
	const char *group;
	char text[1024];

	snprintf(text, sizeof(text),
	    "{\"metadata\":{\"uid\":\"u\",\"name\":\"n\",\"labels\":{"
	    "\"app.kubernetes.io/name\":\"mysql\",\"shipstream.io/site\":"
	    "\"a\",\"shipstream.io/failover-group\":\"db\"}},\"spec\":{"
	    "\"volumes\":[{\"name\":\"data\"},{\"name\":\"%s\"}],"
	    "\"containers\":[{\"name\":\"mysql\",\"volumeMounts\":[{"
	    "\"name\":\"tls\"}]},{\"name\":\"sidecar\",\"volumeMounts\":[%s]}"
	    "]}}",
	    tls ? "tls" : "keys", sidecar_mounts);
	doc = json(text);
	assert_int_equal(kpod_decode(yyjson_doc_get_root(doc), m, &group), 0);
	assert_int_equal(m->tls, tls);
	assert_int_equal(m->tls_loads, loads);
	yyjson_doc_free(doc);
	free(m);
}

static void
certificates(void **state)
{
	pod_tls("{\"name\":\"keys\"},{\"name\":\"tls\"}", true, true);
	pod_tls("{\"name\":\"keys\"}", true, false);
	pod_tls("", false, false);
	pod_tls("{\"name\":\"tls\"}", false, false);
}

/* A word without the ID of the container that it is about is none. */
static void
words(void **state)
{
	static const char text[] =
	    "{\"metadata\":{\"uid\":\"u\",\"name\":\"n\",\"labels\":{"
	    "\"app.kubernetes.io/name\":\"mysql\",\"shipstream.io/site\":"
	    "\"a\",\"shipstream.io/failover-group\":\"db\"}},\"status\":{"
	    "\"containerStatuses\":[{\"name\":\"mysql\",\"containerID\":"
	    "\"containerd://bb\",\"state\":{\"terminated\":{\"exitCode\":0,"
	    "\"finishedAt\":null}},\"lastState\":{\"terminated\":{"
	    "\"exitCode\":1}}}]}}";
	struct m_pod *m = calloc(1, sizeof(*m));
	yyjson_doc *doc = json(text);
	const char *group;

	assert_int_equal(kpod_decode(yyjson_doc_get_root(doc), m, &group), 0);
	assert_int_equal(m->ctr_state, CTR_TERMINATED);
	assert_int_equal(m->n_words, 1);
	assert_string_equal(m->words[0].container_id, "containerd://bb");
	assert_int_equal(m->words[0].finished_ms, 0);
	assert_true(m->words[0].guard == 0);
	yyjson_doc_free(doc);
	free(m);
}

/* Which guard the container had, by the message that it left. */
static void
word_guard(void **state)
{
	static const struct {
		const char *message;
		uint64_t guard;
	} t[] = {
		{ "bloodraven-guard=42\\n", 42 },
		{ "OOM: bloodraven-guard=18446744073709551615\\n", UINT64_MAX },
		{ "bloodraven-guard=18446744073709551616\\n", 0 },
		{ "bloodraven-guard=-1", 0 },
		{ "bloodraven-guard=", 0 },
		{ "bloodraven-guard=1\\nbloodraven-guard=2\\n", 0 },
		{ "", 0 },
	};
	struct m_pod *m = calloc(1, sizeof(*m));
	yyjson_doc *doc;
	const char *group;
	char text[512];
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		(void)snprintf(text, sizeof(text),
		    "{\"metadata\":{\"uid\":\"u\",\"name\":\"n\",\"labels\":{"
		    "\"app.kubernetes.io/name\":\"mysql\","
		    "\"shipstream.io/site\":\"a\","
		    "\"shipstream.io/failover-group\":\"db\"}},\"status\":{"
		    "\"containerStatuses\":[{\"name\":\"mysql\",\"lastState\":"
		    "{\"terminated\":{\"exitCode\":1,\"containerID\":\"c\","
		    "\"message\":\"%s\"}}}]}}",
		    t[i].message);
		doc = json(text);
		assert_int_equal(
		    kpod_decode(yyjson_doc_get_root(doc), m, &group), 0);
		assert_int_equal(m->n_words, 1);
		assert_true(m->words[0].guard == t[i].guard);
		yyjson_doc_free(doc);
	}
	free(m);
}

/* ------------------------------------------------------------- Secrets -- */

static yyjson_val *
by_name(void *arg, const char *name)
{
	return yyjson_obj_get(yyjson_doc_get_root(arg), name);
}

/* Keys and values that are base64: "b3A=" op, "cHc=" pw, "cm9vdA==" root. */
#define OPERATOR(more)                                                    \
	"{\"op\":{\"data\":{\"username\":\"b3A=\",\"password\":\"cHcK\"," \
	"\"MYSQL_ROOT_PASSWORD\":\"cm9vdA==\"" more "}}"

static void
one_creds(struct kspec *k, const char *secrets, struct m_creds *m,
    const char *problem)
{
	yyjson_doc *doc = json(secrets);

	kcreds_decode(k, by_name, doc, m, NULL);
	yyjson_doc_free(doc);
	assert_string_equal(m->problem, problem);
	assert_int_equal(m->valid, *problem == '\0');
	if (!m->valid)
		assert_int_equal(m->password.len + m->repl_password.len, 0);
}

static void
credentials(void **state)
{
	struct kspec k = { .uid = "u", .operator_secret = "op" };
	struct m_creds *m = calloc(1, sizeof(*m));

	one_creds(&k, OPERATOR("") "}", m, "");
	assert_string_equal(m->user, "op");
	assert_string_equal((char *)m->password.data, "pw");
	assert_string_equal(m->repl_user, "op");
	assert_string_equal((char *)m->repl_password.data, "pw");
	one_creds(&k,
	    OPERATOR(",\"MYSQL_REPLICATION_USER\":\"cmVwbA==\","
		     "\"MYSQL_REPLICATION_PASSWORD\":\"czNjcmV0\"") "}",
	    m, "");
	assert_string_equal(m->repl_user, "repl");
	assert_string_equal((char *)m->repl_password.data, "s3cret");
	one_creds(&k, "{}", m,
	    "SecretNotFound: Secret op "
	    "(spec.credentials.operatorSecret) does not exist");
	one_creds(&k, "{\"op\":{\"data\":{\"username\":\"b3A=\"}}}", m,
	    "SecretMissingKey: Secret op has no key password");
	one_creds(&k, "{\"op\":{}}", m, "SecretMissingKey: Secret op is empty");
	one_creds(&k,
	    "{\"op\":{\"data\":{\"username\":\"b3A=\",\"password\":"
	    "\"?\"}}}",
	    m,
	    "SecretInvalid: Secret op, key password: longer "
	    "than 8192 bytes or no base64");
	one_creds(&k,
	    "{\"op\":{\"data\":{\"username\":\"b3A=\",\"password\":"
	    "\"YQpi\"}}}",
	    m,
	    "SecretInvalid: Secret op, key password: holds "
	    "control characters");
	one_creds(&k,
	    "{\"op\":{\"data\":{\"username\":\"b3A=\",\"password\":"
	    "\"cHc=\",\"MYSQL_ROOT_PASSWORD\":\"YSdi\"}}}",
	    m,
	    "SecretInvalid: Secret op, key MYSQL_ROOT_PASSWORD: must not "
	    "contain ' or \\");
	one_creds(&k, OPERATOR(",\"MYSQL_REPLICATION_USER\":\"cmVwbA==\"") "}",
	    m,
	    "SecretMissingKey: Secret op has no key "
	    "MYSQL_REPLICATION_PASSWORD");
	k.app_secret = "app";
	one_creds(&k, OPERATOR("") "}", m,
	    "SecretNotFound: Secret app "
	    "(spec.credentials.appSecret) does not exist");
	one_creds(&k,
	    OPERATOR("") ",\"app\":{\"data\":{\"username\":\"b3A=\","
			 "\"password\":\"cHc=\"}}}",
	    m,
	    "SecretInvalid: Secret app "
	    "(spec.credentials.appSecret), key username: 'op' is the "
	    "operator's, the replication or the root account");
	one_creds(&k,
	    OPERATOR("") ",\"app\":{\"data\":{\"username\":\"YXBw\","
			 "\"password\":\"cHc=\"}}}",
	    m, "");
	free(m);
}

/* dsn texts, and the account in them; NULL: refused. */
static void
dsn(void **state)
{
	static const struct {
		const char *base64, *user, *password;
	} cases[] = {
		/* root:pw@tcp(db:3306)/ */
		{ "cm9vdDpwd0B0Y3AoZGI6MzMwNikv", "root", "pw" },
		/* u:p@ss:w/rd@tcp(h)/db?tls=true */
		{ "dTpwQHNzOncvcmRAdGNwKGgpL2RiP3Rscz10cnVl", "u",
		    "p@ss:w/rd" },
		/* root@tcp(db)/ */
		{ "cm9vdEB0Y3AoZGIpLw==", NULL, NULL },
		/* root:pw */
		{ "cm9vdDpwdw==", NULL, NULL },
		/* :pw@/ */
		{ "OnB3QC8=", NULL, NULL },
		/* @/ */
		{ "QC8=", NULL, NULL },
		/* / */
		{ "Lw==", NULL, NULL },
	};
	struct kspec k = { .uid = "u", .secret_name = "s" };
	struct m_creds *m = calloc(1, sizeof(*m));
	char text[256];

	for (size_t i = 0; i < PS_NITEMS(cases); i++) {
		snprintf(text, sizeof(text),
		    "{\"s\":{\"data\":{\"dsn\":\"%s\""
		    "}}}",
		    cases[i].base64);
		one_creds(&k, text, m,
		    cases[i].user != NULL ?
			"" :
			"SecretInvalid: Secret s, key dsn: is not "
			"user:password@tcp(host:port)/");
		if (cases[i].user == NULL)
			continue;
		assert_string_equal(m->user, cases[i].user);
		assert_string_equal(
		    (char *)m->password.data, cases[i].password);
	}
	one_creds(&k, "{\"s\":{\"data\":{}}}", m,
	    "SecretMissingKey: Secret s has no key dsn");
	free(m);
}

/* -------------------------------------------------------------- record -- */

#define AUTHORITY                                                         \
	"\"authority\":{\"version\":5,\"epoch\":12,\"activeSite\":\"b\"," \
	"\"serverUUID\":\"s\",\"unended\":[{\"epoch\":12,\"site\":\"b\"," \
	"\"podUID\":\"p\",\"containerID\":\"c\",\"serverUUID\":\"s\","    \
	"\"processStart\":\"2026-11-03T12:00:00.250000Z\"}],"             \
	"\"grantGtid\":\"g:1\",\"seenGtid\":\"g:1-2\"}"
#define UNENDED(members)                                         \
	"\"authority\":{\"version\":1,\"epoch\":9,\"unended\":[" \
	"{\"epoch\":9,\"site\":\"a\"," members "}]}"
#define TERMS                                                   \
	"\"guard\":\"00000000000000ff\",\"incarnation\":2,"     \
	"\"leaseMillis\":3000,\"fenceMillis\":300,\"quorum\":1"
#define VOTERS "\"voters\":[{\"id\":\"0000000000000001\"}]"
#define OBJECT(annotations, status)                                        \
	"{\"metadata\":{\"uid\":\"u\",\"annotations\":{" annotations "}}," \
	"\"status\":{" status "}}"
#define ANN(time, site)                                                  \
	"\"bloodraven.shipstream.io/last-failover\":\"" time "\","       \
	"\"bloodraven.shipstream.io/last-failover-target\":\"" site "\""
#define LAST(time, site)                                                    \
	"\"lastFailover\":\"" time "\",\"lastFailoverTarget\":\"" site "\""

static int
decode_record(const char *text, struct m_record *m)
{
	struct kspec k = { .nsites = 2 };
	yyjson_doc *doc = json(text);
	char why[ERR_LEN + 1];
	int ret;

	k.sites[0].name = "a";
	k.sites[1].name = "b";
	ret =
	    krecord_decode(yyjson_doc_get_root(doc), &k, 1793707200000, m, why);
	yyjson_doc_free(doc);
	if ((ret == -1) != (why[0] != '\0'))
		fail_msg("%d '%s'", ret, why);
	return ret;
}

static void
record_read(void **state)
{
	struct m_record *m = calloc(1, sizeof(*m));

	assert_int_equal(decode_record(OBJECT("", AUTHORITY), m), 0);
	assert_int_equal(m->version, 5);
	assert_int_equal(m->epoch, 12);
	assert_string_equal(m->active, "b");
	assert_int_equal(m->n_unended, 1);
	assert_string_equal(m->unended[0].container_id, "c");
	assert_int_equal(m->unended[0].proc_start_ms, 1793707200250);
	assert_string_equal(m->promotion_gtid, "g:1");
	assert_string_equal(m->seen_gtid, "g:1-2");
	/* None was ever written. */
	assert_int_equal(decode_record(OBJECT("", ""), m), 0);
	assert_int_equal(m->version, 0);
	assert_int_equal(decode_record("{\"metadata\":{\"uid\":\"u\"}}", m), 0);
	free(m);
}

static void
record_terms(void **state)
{
	struct m_record *m = calloc(1, sizeof(*m));
	const struct m_epoch *e = &m->unended[0];

	/* An operator that knew no guards wrote this. */
	assert_int_equal(decode_record(OBJECT("", AUTHORITY), m), 0);
	assert_int_equal(e->guard, 0);
	assert_int_equal(e->n_voters, 0);
	assert_int_equal(
	    decode_record(OBJECT("", UNENDED(TERMS "," VOTERS)), m), 0);
	assert_int_equal(e->prev, 0);
	assert_int_equal(e->guard, 0xff);
	assert_int_equal(e->incarnation, 2);
	assert_int_equal(e->lease_ms, 3000);
	assert_int_equal(e->fence_ms, 300);
	assert_int_equal(e->quorum, 1);
	assert_int_equal(e->n_voters, 1);
	assert_int_equal(e->voters[0].id, 1);
	assert_string_equal(e->voters[0].site, "");
	free(m);
}

static void
record_last(void **state)
{
	static const struct {
		const char *text;
		int64_t s;
		const char *target;
		bool annotations;
	} cases[] = {
		{ OBJECT("", LAST("2026-11-03T11:00:00Z", "a")), 1793703600,
		    "a", false },
		{ OBJECT(ANN("2026-11-03T11:00:01Z", "b"),
		      LAST("2026-11-03T11:00:00Z", "a")),
		    1793703601, "b", true },
		{ OBJECT(ANN("2026-11-03T11:00:00Z", "b"),
		      LAST("2026-11-03T11:00:00Z", "a")),
		    1793703600, "a", false },
		/* Malformed, unpaired, unknown, from the future. */
		{ OBJECT(ANN("yesterday", "b"), ""), 0, "", false },
		{ OBJECT(ANN("2026-11-03T11:00:01Z", ""), ""), 0, "", false },
		{ OBJECT(ANN("2026-11-03T11:00:01Z", "z"), ""), 0, "", false },
		{ OBJECT(ANN("2026-11-03T12:05:01Z", "b"), ""), 0, "", false },
		{ OBJECT(ANN("2026-11-03T12:05:00Z", "b"), ""), 1793707500, "b",
		    true },
	};
	struct m_record *m = calloc(1, sizeof(*m));

	for (size_t i = 0; i < PS_NITEMS(cases); i++) {
		assert_int_equal(decode_record(cases[i].text, m), 0);
		assert_int_equal(m->last_failover_s, cases[i].s);
		assert_string_equal(m->last_failover_target, cases[i].target);
		assert_int_equal(m->from_annotations, cases[i].annotations);
		/* a copy that is none is told of, as which one */
		assert_int_equal(
		    m->bad_annotations[0] != '\0', cases[i].s == 0);
		assert_string_equal(m->bad_status, "");
	}
	assert_int_equal(
	    decode_record(OBJECT("", LAST("yesterday", "a")), m), 0);
	assert_string_equal(m->bad_status, "the time is missing or none");
	assert_string_equal(m->bad_annotations, "");
	assert_int_equal(decode_record(OBJECT("", ""), m), 0);
	assert_string_equal(m->bad_status, "");
	assert_int_equal(decode_record(OBJECT(ANN("2026-11-03T11:00:01Z", "b"),
					   LAST("2026-11-03T11:00:00Z", "a")),
			     m),
	    0);
	assert_string_equal(m->status_target, "a");
	assert_int_equal(m->status_failover_s, 1793703600);
	free(m);
}

/* A record that cannot be understood is never "none". */
static void
record_broken(void **state)
{
	static const char *const bad[] = {
		OBJECT("", "\"authority\":7"),
		OBJECT("", "\"authority\":{}"),
		OBJECT("", "\"authority\":{\"version\":0,\"epoch\":1}"),
		OBJECT("", "\"authority\":{\"version\":-1,\"epoch\":1}"),
		OBJECT("", "\"authority\":{\"version\":\"1\",\"epoch\":1}"),
		OBJECT("", "\"authority\":{\"version\":1}"),
		OBJECT("",
		    "\"authority\":{\"version\":1,\"epoch\":1,"
		    "\"unended\":{}}"),
		OBJECT("",
		    "\"authority\":{\"version\":1,\"epoch\":1,"
		    "\"unended\":[1]}"),
		OBJECT("",
		    "\"authority\":{\"version\":1,\"epoch\":1,"
		    "\"unended\":[{}]}"),
		OBJECT("",
		    "\"authority\":{\"version\":1,\"epoch\":1,"
		    "\"unended\":[{\"epoch\":1,\"processStart\":\"x\"}]}"),
		OBJECT("",
		    "\"authority\":{\"version\":1,\"epoch\":1,"
		    "\"activeSite\":1}"),
		OBJECT("",
		    "\"authority\":{\"version\":1,\"epoch\":1,"
		    "\"serverUUID\":\"0123456789012345678901234567890123456789"
		    "\"}"),
		OBJECT("",
		    "\"authority\":{\"version\":1,\"epoch\":1,"
		    "\"unended\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}"),
		/* Terms without voters, or that are none. */
		OBJECT("", UNENDED(TERMS)),
		OBJECT("", UNENDED(TERMS ",\"voters\":[]")),
		OBJECT("", UNENDED(TERMS ",\"voters\":[{}]")),
		OBJECT("", UNENDED(TERMS ",\"voters\":[1]")),
		OBJECT("", UNENDED(TERMS ",\"voters\":[{\"id\":\"1\"}]")),
		OBJECT("", UNENDED("\"guard\":\"00000000000000FF\"," VOTERS)),
		OBJECT("", UNENDED("\"guard\":255," VOTERS)),
		OBJECT("", UNENDED("\"guard\":\"00000000000000ff\"," VOTERS)),
		OBJECT("", UNENDED("\"prev\":-1")),
		OBJECT("",
		    UNENDED("\"guard\":\"00000000000000ff\","
			    "\"leaseMillis\":1,\"fenceMillis\":1,"
			    "\"quorum\":2," VOTERS)),
		"{}",
	};
	struct m_record *m = calloc(1, sizeof(*m));

	for (size_t i = 0; i < PS_NITEMS(bad); i++)
		if (decode_record(bad[i], m) != -1)
			fail_msg("%s", bad[i]);
	free(m);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times),
		cmocka_unit_test(quantities),
		cmocka_unit_test(base64),
		cmocka_unit_test(names),
		cmocka_unit_test(pods),
		cmocka_unit_test(certificates),
		cmocka_unit_test(words),
		cmocka_unit_test(word_guard),
		cmocka_unit_test(credentials),
		cmocka_unit_test(dsn),
		cmocka_unit_test(record_read),
		cmocka_unit_test(record_terms),
		cmocka_unit_test(record_last),
		cmocka_unit_test(record_broken),
	};

	golden_init(argc, argv);
	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
