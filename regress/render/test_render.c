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
 * Every renderer's output against golden/, byte for byte.
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

#define LEASE       "br/lease"
#define NOW_MS      INT64_C(1793707200000) /* 2026-11-03T12:00:00Z */
#define UID         "5f8f3f7e-0000-4000-8000-000000000001"
#define POD_UID     "5f8f3f7e-0000-4000-8000-00000000000a"
#define SERVER_UUID "b7f3c0de-0000-11f1-8000-0242ac110002"

static yyjson_doc *
group(const char *name, struct kspec *k)
{
	struct kproblems problems = { 0 };
	yyjson_doc *raw, *doc;
	yyjson_mut_doc *mut;
	yyjson_mut_val *meta;

	raw = golden_json(golden_path("regress/manifests/good/%s.yaml", name));
	mut = yyjson_doc_mut_copy(raw, NULL);
	meta = yyjson_mut_obj_get(yyjson_mut_doc_get_root(mut), "metadata");
	yyjson_mut_obj_add_str(mut, meta, "namespace", "shop");
	yyjson_mut_obj_add_str(mut, meta, "uid", UID);
	yyjson_mut_obj_add_int(mut, meta, "generation", 3);
	doc = yyjson_mut_doc_imut_copy(mut, NULL);
	yyjson_mut_doc_free(mut);
	yyjson_doc_free(raw);
	assert_int_equal(
	    kspec_decode(yyjson_doc_get_root(doc), k, &problems), 0);
	return doc;
}

/* As it comes back from the API server: through text. */
static yyjson_doc *
served(yyjson_mut_val *v)
{
	size_t len;
	char *text = yyjson_mut_val_write(v, 0, &len);
	yyjson_doc *doc;

	assert_non_null(text);
	doc = yyjson_read(text, len, 0);
	assert_non_null(doc);
	free(text);
	return doc;
}

static void
check(yyjson_mut_doc *doc, yyjson_mut_val *v, const char *file)
{
	size_t len;
	char *text;

	assert_non_null(v);
	text = yyjson_mut_val_write(v,
	    YYJSON_WRITE_PRETTY_TWO_SPACES | YYJSON_WRITE_NEWLINE_AT_END, &len);
	assert_non_null(text);
	golden_check(golden_path("regress/render/golden/%s", file), text, len);
	free(text);
	yyjson_mut_doc_free(doc);
}

/* Texts inside objects, so that a reader sees them as they are. */
static void
check_text(const char *text, const char *file)
{
	golden_check(
	    golden_path("regress/render/golden/%s", file), text, strlen(text));
}

static void
check_conf(const struct kspec *k, const char *name)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	char file[128];

	for (unsigned i = 0; i < k->nsites && i < 4; i++) {
		snprintf(
		    file, sizeof(file), "%s-%s.cnf", name, k->sites[i].name);
		check_text(
		    yyjson_mut_get_str(krender_mycnf(doc, k, &k->sites[i])),
		    file);
	}
	yyjson_mut_doc_free(doc);
}

static void
check_objects(const char *name, const char *file, bool tls)
{
	struct kspec k;
	struct kobj list[KOBJS_MAX];
	yyjson_doc *cr = group(name, &k);
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *arr = yyjson_mut_arr(doc), *e;
	unsigned n;
	char path[64];

	/* What TLS will look like once it is acted on. */
	k.tls = tls;
	/* Not before it is known which API there is. */
	assert_int_equal(kobjs(&k, list), 5 * k.nsites + 3);
	k.policy_api = tls ? "policy/v1beta1" : "policy/v1";
	n = kobjs(&k, list);
	assert_int_equal(n, 5 * k.nsites + 4);
	for (unsigned i = 0; i < n; i++) {
		e = yyjson_mut_arr_add_obj(doc, arr);
		yyjson_mut_obj_add_str(doc, e, "path", list[i].path);
		yyjson_mut_obj_add_str(doc, e, "how",
		    list[i].how == KA_APPLY      ? "apply" :
			list[i].how == KA_CREATE ? "create" :
						   "roll");
		yyjson_mut_obj_add_val(
		    doc, e, "object", kobj_render(doc, &k, &list[i]));
	}
	snprintf(path, sizeof(path), "%s.json", file);
	check(doc, arr, path);
	check_conf(&k, file);
	yyjson_doc_free(cr);
}

static void
objects(void **state)
{
	check_objects("minimal", "minimal", false);
	check_objects("legacy", "legacy", false);
	check_objects("full", "full", false);
	check_objects("full", "full-tls", true);
}

static void
scripts(void **state)
{
	check_text(kscript_init, "init.sh");
	check_text(kscript_stop, "stop.sh");
	check_text(kscript_users, "01-bloodraven-users.sh");
	check_text(kscript_read_only, "99-bloodraven-read-only.sh");
}

/* What rolls a Pod, and what does not. */
static void
hash(void **state)
{
	struct kspec k, changed;
	yyjson_doc *cr = group("full", &k);
	char a[KHASH_LEN + 1], b[KHASH_LEN + 1];

	assert_int_equal(kspec_hash(&k, 0, a), 0);
	assert_int_equal(strlen(a), KHASH_LEN);
	changed = k;
	changed.dns_ttl++;
	changed.svc.type = "ClusterIP";
	changed.generation++;
	assert_int_equal(kspec_hash(&changed, 0, b), 0);
	assert_string_equal(a, b);
	/* The lease's times come to a guard with its epoch. */
	changed.lease_text = "30s";
	changed.peer_check_text = "10s";
	changed.lease_ms = 30000;
	changed.bloodraven_addr = "elsewhere:8082";
	assert_int_equal(kspec_hash(&changed, 0, b), 0);
	assert_string_equal(a, b);
	changed.sidecar_image = "registry.example/sidecar:3";
	assert_int_equal(kspec_hash(&changed, 0, b), 0);
	assert_string_not_equal(a, b);
	changed = k;
	changed.entrypoint = "/entry";
	assert_int_equal(kspec_hash(&changed, 0, b), 0);
	assert_string_not_equal(a, b);
	/* One peer fewer: its address is no reason to restart the others. */
	changed = k;
	changed.nsites--;
	assert_int_equal(kspec_hash(&changed, 0, b), 0);
	assert_string_equal(a, b);
	changed = k;
	changed.grace_s++;
	assert_int_equal(kspec_hash(&changed, 0, b), 0);
	assert_string_not_equal(a, b);
	changed = k;
	changed.mysql_conf = NULL;
	assert_int_equal(kspec_hash(&changed, 0, b), 0);
	assert_string_not_equal(a, b);
	changed = k;
	changed.sites[0].server_id++;
	assert_int_equal(kspec_hash(&changed, 0, b), 0);
	assert_string_not_equal(a, b);
	assert_int_equal(kspec_hash(&changed, 1, b), 0);
	yyjson_doc_free(cr);
}

/* -------------------------------------------------------------- status -- */

static void
fill_status(struct m_group_status *g, struct m_site_status *s)
{
	(void)strlcpy(g->active_site, "a", sizeof(g->active_site));
	g->last_failover_s = NOW_MS / 1000 - 60;
	(void)strlcpy(
	    g->last_failover_target, "a", sizeof(g->last_failover_target));
	(void)strlcpy(
	    g->promotion_gtid, SERVER_UUID ":1-7", sizeof(g->promotion_gtid));
	strlcpy(g->update_phase, "WaitReplica", sizeof(g->update_phase));
	strlcpy(g->summary, "UpdateReplica: b: restarts", sizeof(g->summary));
	g->n_conditions = 2;
	(void)strlcpy(
	    g->conditions[0].type, "Ready", sizeof(g->conditions[0].type));
	g->conditions[0].status = true;
	(void)strlcpy(g->conditions[0].reason, "TopologyPolled",
	    sizeof(g->conditions[0].reason));
	(void)strlcpy(g->conditions[0].message, "caf\xc3\xa9, and cut: \xc3",
	    sizeof(g->conditions[0].message));
	(void)strlcpy(
	    g->conditions[1].type, "Degraded", sizeof(g->conditions[1].type));
	(void)strlcpy(g->conditions[1].reason, "Healthy",
	    sizeof(g->conditions[1].reason));
	(void)strlcpy(s[0].name, "b", sizeof(s[0].name));
	s[0].state = SS_READ_ONLY;
	s[0].last_seen_ms = NOW_MS;
	(void)strlcpy(s[0].gtid, SERVER_UUID ":1-9", sizeof(s[0].gtid));
	s[0].replicating = true;
	s[0].lag_s = 0;
	(void)strlcpy(
	    s[0].source_host, "mysql-db-a-internal", sizeof(s[0].source_host));
	(void)strlcpy(s[0].convergence, "Converged", sizeof(s[0].convergence));
	(void)strlcpy(s[0].convergence_reason, "DirectSource",
	    sizeof(s[0].convergence_reason));
	(void)strlcpy(s[1].name, "a", sizeof(s[1].name));
	s[1].state = SS_WRITABLE;
	s[1].last_seen_ms = NOW_MS;
	s[1].lag_s = -1;
	(void)strlcpy(s[1].recovery, "RecoveryBlocked", sizeof(s[1].recovery));
	(void)strlcpy(
	    s[1].divergent_gtid, SERVER_UUID ":8", sizeof(s[1].divergent_gtid));
	s[1].divergent_count = 1;
}

static const char prev_status[] =
    "{\"activeSite\":\"b\",\"conditions\":["
    "{\"type\":\"Ready\",\"status\":\"True\",\"reason\":\"TopologyPolled\","
    "\"message\":\"\",\"lastTransitionTime\":\"2026-11-01T00:00:00Z\"},"
    "{\"type\":\"Degraded\",\"status\":\"True\",\"reason\":\"NoPrimary\","
    "\"message\":\"\",\"lastTransitionTime\":\"2026-11-01T00:00:00Z\"},"
    "{\"type\":\"EncryptionAtRestReady\",\"status\":\"True\",\"reason\":"
    "\"x\",\"message\":\"\",\"lastTransitionTime\":"
    "\"2026-11-01T00:00:00Z\"}]}";

static void
status(void **state)
{
	struct m_group_status *g = calloc(1, sizeof(*g));
	struct m_site_status *s = calloc(3, sizeof(*s));
	struct kspec k;
	yyjson_doc *cr = group("full", &k), *prev, *now;
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *v;

	fill_status(g, s);
	prev = yyjson_read(prev_status, strlen(prev_status), 0);
	v = kstatus_render(doc, &k, g, s, 2, yyjson_doc_get_root(prev), NOW_MS);
	assert_int_equal(
	    kstatus_diff(yyjson_doc_get_root(prev), v), KS_CHANGED);
	assert_int_equal(kstatus_diff(NULL, v), KS_CHANGED);
	now = served(v);
	/* Written once, it is the same a minute later, seen anew or not. */
	v = kstatus_render(
	    doc, &k, g, s, 2, yyjson_doc_get_root(now), NOW_MS + 60000);
	assert_int_equal(kstatus_diff(yyjson_doc_get_root(now), v), KS_SAME);
	s[0].last_seen_ms += 60000;
	(void)strlcpy(s[0].gtid, SERVER_UUID ":1-10", sizeof(s[0].gtid));
	s[0].lag_s = 1;
	v = kstatus_render(
	    doc, &k, g, s, 2, yyjson_doc_get_root(now), NOW_MS + 60000);
	assert_int_equal(kstatus_diff(yyjson_doc_get_root(now), v), KS_MINOR);
	/* What was not there at all, or is no more, is news. */
	s[0].gtid[0] = '\0';
	v = kstatus_render(
	    doc, &k, g, s, 2, yyjson_doc_get_root(now), NOW_MS + 60000);
	assert_int_equal(kstatus_diff(yyjson_doc_get_root(now), v), KS_CHANGED);
	(void)strlcpy(s[0].gtid, SERVER_UUID ":1-10", sizeof(s[0].gtid));
	s[0].last_seen_ms = 0;
	v = kstatus_render(
	    doc, &k, g, s, 2, yyjson_doc_get_root(now), NOW_MS + 60000);
	assert_int_equal(kstatus_diff(yyjson_doc_get_root(now), v), KS_CHANGED);
	s[0].replicating = false;
	v = kstatus_render(
	    doc, &k, g, s, 2, yyjson_doc_get_root(now), NOW_MS + 60000);
	assert_int_equal(kstatus_diff(yyjson_doc_get_root(now), v), KS_CHANGED);
	yyjson_doc_free(now);
	fill_status(g, s);
	v = kstatus_render(doc, &k, g, s, 2, yyjson_doc_get_root(prev), NOW_MS);
	check(doc, v, "status.json");
	yyjson_doc_free(prev);
	yyjson_doc_free(cr);
	free(s);
	free(g);
}

/* -------------------------------------------------------------- bodies -- */

static void
fill_record(struct m_record_put *p)
{
	(void)strlcpy(p->group, UID, sizeof(p->group));
	p->base_version = 4;
	p->epoch = 12;
	(void)strlcpy(p->active, "b", sizeof(p->active));
	(void)strlcpy(p->server_uuid, SERVER_UUID, sizeof(p->server_uuid));
	p->n_unended = 2;
	p->unended[0].epoch = 11;
	(void)strlcpy(p->unended[0].site, "a", sizeof(p->unended[0].site));
	p->unended[1].epoch = 12;
	(void)strlcpy(p->unended[1].site, "b", sizeof(p->unended[1].site));
	(void)strlcpy(
	    p->unended[1].pod_uid, POD_UID, sizeof(p->unended[1].pod_uid));
	(void)strlcpy(p->unended[1].container_id, "containerd://0123abcd",
	    sizeof(p->unended[1].container_id));
	(void)strlcpy(p->unended[1].server_uuid, SERVER_UUID,
	    sizeof(p->unended[1].server_uuid));
	p->unended[1].proc_start_ms = NOW_MS + 250;
	p->unended[1].prev = 10;
	p->unended[1].guard = 0x0123456789abcdef;
	p->unended[1].incarnation = 3;
	p->unended[1].lease_ms = 20000;
	p->unended[1].fence_ms = 1000;
	p->unended[1].quorum = 1;
	p->unended[1].n_voters = 2;
	p->unended[1].voters[0].id = 1;
	p->unended[1].voters[1].id = UINT64_MAX;
	(void)strlcpy(p->unended[1].voters[1].site, "a",
	    sizeof(p->unended[1].voters[1].site));
	p->last_failover_s = NOW_MS / 1000;
	(void)strlcpy(
	    p->last_failover_target, "b", sizeof(p->last_failover_target));
	(void)strlcpy(
	    p->promotion_gtid, SERVER_UUID ":1-7", sizeof(p->promotion_gtid));
	(void)strlcpy(p->seen_gtid, SERVER_UUID ":1-9", sizeof(p->seen_gtid));
	p->promotion = true;
}

/* What is written is read again, the epochs' terms and all. */
static void
record_back(const struct m_record_put *p)
{
	struct m_record *m = calloc(1, sizeof(*m));
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *v = krecord_patch(doc, p, LEASE, "1", NULL);
	char why[ERR_LEN + 1];
	yyjson_doc *live;

	assert_non_null(v);
	assert_true(
	    kput_str(doc, yyjson_mut_obj_get(v, "metadata"), "uid", p->group));
	live = served(v);
	assert_int_equal(
	    krecord_decode(yyjson_doc_get_root(live), NULL, NOW_MS, m, why), 0);
	assert_int_equal(m->n_unended, p->n_unended);
	/* Field by field: they were zeroed, so that nothing else differs. */
	assert_memory_equal(m->unended, p->unended, sizeof(p->unended));
	assert_true(krecord_is(m, p));
	m->unended[1].voters[1].id--;
	assert_false(krecord_is(m, p));
	yyjson_doc_free(live);
	yyjson_mut_doc_free(doc);
	free(m);
}

/* Terms that nobody could read again. */
static void
record_refused(struct m_record_put *p)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);

	p->unended[1].quorum = 3;
	assert_null(krecord_patch(doc, p, LEASE, "1", NULL));
	p->unended[1].quorum = 1;
	p->unended[1].voters[0].id = 0;
	assert_null(krecord_patch(doc, p, LEASE, "1", NULL));
	p->unended[1].voters[0].id = 1;
	p->unended[1].lease_ms = 0;
	assert_null(krecord_patch(doc, p, LEASE, "1", NULL));
	yyjson_mut_doc_free(doc);
}

/* What becomes of the generation; 0: it is left as it is. */
static uint64_t
generation(const struct m_record_put *p, const char *status)
{
	yyjson_doc *prev = yyjson_read(status, strlen(status), 0);
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *v;
	uint64_t n;

	v = krecord_patch(doc, p, LEASE, "1", yyjson_doc_get_root(prev));
	assert_non_null(v);
	v = yyjson_mut_obj_get(
	    yyjson_mut_obj_get(v, "status"), "topologyGeneration");
	assert_true(v == NULL || yyjson_mut_is_uint(v));
	n = yyjson_mut_get_uint(v);
	yyjson_mut_doc_free(doc);
	yyjson_doc_free(prev);
	return n;
}

/* What nothing here writes is marked so, and nothing else is. */
static void
filled_in(void **state)
{
	struct m_group_status *g = calloc(1, sizeof(*g));
	struct m_site_status *s = calloc(2, sizeof(*s));
	struct m_record_put *p = calloc(1, sizeof(*p));
	struct kspec k;
	yyjson_doc *cr = group("full", &k);
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *told, *record;

	fill_status(g, s);
	fill_record(p);
	told = kstatus_render(doc, &k, g, s, 2, NULL, NOW_MS);
	record = yyjson_mut_obj_get(
	    krecord_patch(doc, p, LEASE, "1", NULL), "status");
	for (const struct kfield *f = kschema_status.fields; f->name != NULL;
	    f++) {
		bool written = yyjson_mut_obj_get(told, f->name) != NULL ||
		    yyjson_mut_obj_get(record, f->name) != NULL;

		if (written == ((f->flags & KF_UNUSED) != 0))
			fail_msg("status.%s is%s written", f->name,
			    written ? "" : " not");
	}
	yyjson_mut_doc_free(doc);
	yyjson_doc_free(cr);
	free(p);
	free(s);
	free(g);
}

/* It counts the changes of the site of the newest epoch, across everything. */
static void
topology_generation(void **state)
{
	struct m_record_put *p = calloc(1, sizeof(*p));

	fill_record(p); /* "b" */
	assert_int_equal(generation(p, "{}"), 1);
	assert_int_equal(generation(p,
			     "{\"activeSite\":\"b\",\"topologyGeneration\":4,"
			     "\"authority\":{\"activeSite\":\"a\"}}"),
	    5);
	/* For a moment nobody was confirmed writable: no change. */
	assert_int_equal(generation(p,
			     "{\"activeSite\":\"\",\"topologyGeneration\":4,"
			     "\"authority\":{\"activeSite\":\"b\"}}"),
	    0);
	/* The reference's goes on. */
	assert_int_equal(
	    generation(p, "{\"activeSite\":\"b\",\"topologyGeneration\":7}"),
	    0);
	assert_int_equal(
	    generation(p, "{\"activeSite\":\"a\",\"topologyGeneration\":7}"),
	    8);
	assert_int_equal(generation(p, "{\"topologyGeneration\":7}"), 8);
	/* What nobody can have counted. */
	assert_int_equal(generation(p, "{\"topologyGeneration\":-2}"), 1);
	p->active[0] = '\0';
	assert_int_equal(
	    generation(p,
		"{\"topologyGeneration\":7,\"authority\":{\"activeSite\":\"b\"}}"),
	    0);
	free(p);
}

static void
record(void **state)
{
	struct m_record_put *p = calloc(1, sizeof(*p));
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);

	fill_record(p);
	check(doc, krecord_patch(doc, p, LEASE, "4711", NULL), "record.json");
	doc = yyjson_mut_doc_new(NULL);
	check(doc, krecord_annotations(doc, p), "record-annotations.json");
	record_back(p);
	record_refused(p);
	doc = yyjson_mut_doc_new(NULL);
	p->n_unended = 0;
	p->last_failover_s = 0;
	p->base_version = 0;
	check(
	    doc, krecord_patch(doc, p, LEASE, "1", NULL), "record-first.json");
	/* More than the API server's integers hold is not cut. */
	doc = yyjson_mut_doc_new(NULL);
	p->epoch = UINT64_MAX;
	assert_null(krecord_patch(doc, p, LEASE, "1", NULL));
	yyjson_mut_doc_free(doc);
	free(p);
}

static void
dns(void **state)
{
	struct m_dns_want w = { .group = UID,
		.ns = "shop",
		.name = "db",
		.hostname = "db.example.com",
		.target = "192.0.2.11",
		.ttl = 60 };
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_doc *live;

	live = served(kdns_render(doc, &w));
	assert_string_equal(
	    kdns_live(yyjson_doc_get_root(live), &w), "192.0.2.11");
	assert_true(kdns_belongs(yyjson_doc_get_root(live), &w));
	w.group[0]++;
	assert_false(kdns_belongs(yyjson_doc_get_root(live), &w));
	w.group[0]--;
	assert_false(kdns_belongs(NULL, &w));
	w.ttl = 5;
	assert_null(kdns_live(yyjson_doc_get_root(live), &w));
	assert_null(kdns_live(NULL, &w));
	yyjson_doc_free(live);
	w.ttl = 60;
	check(doc, kdns_render(doc, &w), "dnsendpoint.json");
	doc = yyjson_mut_doc_new(NULL);
	(void)strlcpy(w.target, "2001:db8::1", sizeof(w.target));
	check(doc, kdns_render(doc, &w), "dnsendpoint-ipv6.json");
}

/* How long the holder acts is known of the renewal in the same object alone. */
static void
acts_of_another(const struct klease *l)
{
	static const char *const texts[] = {
		"3500", "3500 ", "x 2026-11-03",
		"-1 2026-11-03T12:00:00.123456Z",
		"0 2026-11-03T12:00:00.123456Z",
		"3500 2026-11-03T12:00:00.123455Z",
		"3500 2026-11-03T12:00:00.123456Z and more, as somebody likes"
	};
	struct klease back;

	for (size_t i = 0; i <= sizeof(texts) / sizeof(texts[0]); i++) {
		yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
		yyjson_mut_val *o, *ann;
		yyjson_doc *live;

		o = klease_render(doc, l);
		ann = yyjson_mut_obj_get(
		    yyjson_mut_obj_get(o, "metadata"), "annotations");
		if (i == 0) /* by who leaves annotations alone */
			(void)yyjson_mut_obj_put(yyjson_mut_obj_get(o, "spec"),
			    yyjson_mut_str(doc, "renewTime"),
			    yyjson_mut_str(doc, "2026-11-03T12:00:02.000000Z"));
		else
			(void)yyjson_mut_obj_put(ann,
			    yyjson_mut_str(doc, BR_ANN_ACTS),
			    yyjson_mut_str(doc, texts[i - 1]));
		live = served(o);
		assert_int_equal(
		    klease_decode(yyjson_doc_get_root(live), &back), 0);
		assert_int_equal(back.acts_ms, 0);
		yyjson_doc_free(live);
		yyjson_mut_doc_free(doc);
	}
}

static void
bodies(void **state)
{
	struct m_event *m = calloc(1, sizeof(*m));
	struct kevent e = { .ns = "shop",
		.name = "db",
		.uid = UID,
		.resource_version = "4711",
		.event = m,
		.instance = "bloodraven-0",
		.now_ms = NOW_MS,
		.serial = 0x1f };
	struct klease l = { .ns = "bloodraven-system",
		.name = BR_LEASE,
		.resource_version = "9",
		.holder = "bloodraven-0",
		.duration_s = 15,
		.acquire_us = NOW_MS * 1000,
		.renew_us = NOW_MS * 1000 + 123456,
		.transitions = 2,
		.acts_ms = 3500 },
		      back;
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_doc *live;

	m->warning = true;
	(void)strlcpy(m->reason, "PromotionBlocked", sizeof(m->reason));
	(void)strlcpy(
	    m->message, "NoProof: epoch 11 of site a", sizeof(m->message));
	check(doc, kevent_render(doc, &e), "event.json");
	doc = yyjson_mut_doc_new(NULL);
	live = served(klease_render(doc, &l));
	assert_int_equal(klease_decode(yyjson_doc_get_root(live), &back), 0);
	assert_string_equal(back.holder, l.holder);
	assert_int_equal(back.renew_us, l.renew_us);
	assert_int_equal(back.transitions, l.transitions);
	assert_int_equal(back.acts_ms, l.acts_ms);
	yyjson_doc_free(live);
	acts_of_another(&l);
	check(doc, klease_render(doc, &l), "lease.json");
	doc = yyjson_mut_doc_new(NULL);
	check(doc, ktoken_request(doc, 3600), "tokenrequest.json");
	doc = yyjson_mut_doc_new(NULL);
	check(doc, kpod_labels(doc, RL_PRIMARY, true), "pod-labels.json");
	doc = yyjson_mut_doc_new(NULL);
	assert_null(kpod_labels(doc, RL_MAX, true));
	yyjson_mut_doc_free(doc);
	free(m);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects),
		cmocka_unit_test(scripts),
		cmocka_unit_test(hash),
		cmocka_unit_test(status),
		cmocka_unit_test(record),
		cmocka_unit_test(topology_generation),
		cmocka_unit_test(filled_in),
		cmocka_unit_test(dns),
		cmocka_unit_test(bodies),
	};

	golden_init(argc, argv);
	return cmocka_run_group_tests_name("render", tests, NULL, NULL);
}
