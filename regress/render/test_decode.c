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
 * Groups that must be refused, each with the words for it, and groups that
 * must not. The lab applies the same files to a real API server.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <dirent.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "golden.h"
#include "kube_schema.h"

#define BAD_MIN 60

/* What the API server adds to an object. */
static yyjson_doc *
from_server(const char *path)
{
	yyjson_doc *raw = golden_json(path), *doc;
	yyjson_mut_doc *mut = yyjson_doc_mut_copy(raw, NULL);
	yyjson_mut_val *meta;

	assert_non_null(mut);
	meta = yyjson_mut_obj_get(yyjson_mut_doc_get_root(mut), "metadata");
	yyjson_mut_obj_add_str(mut, meta, "namespace", "lab");
	yyjson_mut_obj_add_str(
	    mut, meta, "uid", "00000000-0000-4000-8000-000000000001");
	yyjson_mut_obj_add_str(mut, meta, "resourceVersion", "7");
	yyjson_mut_obj_add_int(mut, meta, "generation", 1);
	doc = yyjson_mut_doc_imut_copy(mut, NULL);
	yyjson_mut_doc_free(mut);
	yyjson_doc_free(raw);
	assert_non_null(doc);
	return doc;
}

/* Replace the line "# message:". */
static void
update(const char *path, const char *message)
{
	size_t len;
	char *old = golden_read(path, &len), *line, *out;
	int n;

	line = old;
	while (*line == '#' && strncmp(line, "# message: ", 11) != 0)
		line += strcspn(line, "\n") + 1;
	n = asprintf(&out, "%.*s# message: %s\n%s", (int)(line - old), old,
	    message, *line == '#' ? line + strcspn(line, "\n") + 1 : line);
	assert_true(n > 0);
	golden_check(path, out, (size_t)n);
	free(out);
	free(old);
}

static void
one_bad(const char *path)
{
	struct kproblems problems = { 0 };
	struct kspec k;
	char text[MSGTEXT_LEN + 1];
	yyjson_doc *doc = from_server(path);
	const char *note;
	regex_t re;

	if (kspec_judge(yyjson_doc_get_root(doc), &k, &problems) == 0)
		fail_msg("%s was accepted", path);
	kproblems_join(&problems, text, sizeof(text));
	if (golden_update)
		update(path, text);
	note = golden_note(path, "message");
	if (note == NULL || strcmp(note, text) != 0)
		fail_msg("%s: '%s'", path, text);
	note = golden_note(path, "expect");
	assert_non_null(note);
	assert_int_equal(regcomp(&re, note, REG_EXTENDED | REG_NOSUB), 0);
	if (regexec(&re, text, 0, NULL, 0) != 0)
		fail_msg("%s: '%s' does not match '%s'", path, text, note);
	regfree(&re);
	yyjson_doc_free(doc);
}

static int
is_yaml(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return n > 5 && strcmp(d->d_name + n - 5, ".yaml") == 0;
}

static unsigned
each(const char *dir, void (*fn)(const char *))
{
	struct dirent **names;
	int n = scandir(golden_path("%s", dir), &names, is_yaml, alphasort);

	assert_true(n > 0);
	for (int i = 0; i < n; i++) {
		char path[4096];

		snprintf(path, sizeof(path), "%s",
		    golden_path("%s/%s", dir, names[i]->d_name));
		fn(path);
		free(names[i]);
	}
	free(names);
	return (unsigned)n;
}

static void
bad_manifests(void **state)
{
	assert_true(each("regress/manifests/bad", one_bad) >= BAD_MIN);
}

static void
one_good(const char *path)
{
	struct kproblems problems = { 0 };
	struct kspec k;
	char text[MSGTEXT_LEN + 1];
	const char *note = golden_note(path, "unused");
	yyjson_doc *doc = from_server(path);

	if (kspec_judge(yyjson_doc_get_root(doc), &k, &problems) == -1) {
		kproblems_join(&problems, text, sizeof(text));
		fail_msg("%s: %s", path, text);
	}
	assert_string_equal(k.unused, note == NULL ? "" : note);
	yyjson_doc_free(doc);
}

static void
good_manifests(void **state)
{
	assert_true(each("regress/manifests/good", one_good) >= 4);
}

/* --------------------------------------------------------- conf, ids ---- */

static void
defaults(void **state)
{
	struct kproblems problems = { 0 };
	struct kspec k;
	struct m_group_conf *m = calloc(1, sizeof(*m));
	yyjson_doc *doc =
	    from_server(golden_path("regress/manifests/good/minimal.yaml"));

	assert_int_equal(
	    kspec_decode(yyjson_doc_get_root(doc), &k, &problems), 0);
	kspec_conf(&k, &problems, m);
	assert_true(m->valid);
	assert_string_equal(m->problem, "");
	assert_string_equal(m->ns, "lab");
	assert_int_equal(m->poll_ms, 2000);
	assert_int_equal(m->failure_threshold, 3);
	assert_int_equal(m->recovery_threshold, 2);
	assert_int_equal(m->cooldown_ms, 300000);
	assert_int_equal(m->drain_ms, 30000);
	assert_int_equal(m->clone_ms, 3600000);
	assert_int_equal(m->max_lag_s, 300);
	assert_int_equal(m->reader_max_lag_s, 300);
	assert_int_equal(m->dns_ttl, 60);
	assert_int_equal(m->lease_ms, 20000);
	assert_int_equal(m->check_ms, 5000);
	assert_string_equal(k.entrypoint, "docker-entrypoint.sh");
	assert_int_equal(m->n_sites, 2);
	assert_int_equal(m->sites[0].role, ROLE_CANDIDATE);
	assert_int_equal(m->sites[1].server_id, 102);
	assert_string_equal(
	    m->sites[1].host, "mysql-db-b-internal.lab.svc.cluster.local");
	assert_string_equal(
	    m->sites[1].tls_name, "mysql-db-b.lab.svc.cluster.local");
	free(m);
	yyjson_doc_free(doc);
}

static yyjson_doc *
deployments(const char *json)
{
	yyjson_doc *doc = yyjson_read(json, strlen(json), 0);

	assert_non_null(doc);
	return doc;
}

#define DEPLOYED(site, id)                                              \
	"{\"metadata\":{\"name\":\"mysql-db-" site "\","                \
	"\"annotations\":{\"bloodraven.shipstream.io/server-id\":\"" id \
	"\"}}}"

static void
server_ids(void **state)
{
	struct kspec k = { .name = "db", .nsites = 3 };
	yyjson_doc *doc;

	k.sites[0].name = "c";
	k.sites[1].name = "a";
	k.sites[2].name = "b";
	kspec_server_ids(&k, NULL, NULL);
	assert_int_equal(k.sites[0].server_id, 101);
	assert_int_equal(k.sites[2].server_id, 103);
	/* Re-ordered: c is new, its index's id is a's. */
	doc =
	    deployments("[" DEPLOYED("a", "101") "," DEPLOYED("b", "102") "]");
	kspec_server_ids(&k, yyjson_doc_get_root(doc), NULL);
	assert_int_equal(k.sites[0].server_id, 103);
	assert_int_equal(k.sites[1].server_id, 101);
	assert_int_equal(k.sites[2].server_id, 102);
	yyjson_doc_free(doc);
	/* A removed site that still runs keeps its id to itself. */
	doc = deployments("[" DEPLOYED("gone", "101") "," DEPLOYED(
	    "a", "7") "," DEPLOYED("b", "x") "]");
	kspec_server_ids(&k, yyjson_doc_get_root(doc), NULL);
	assert_int_equal(k.sites[0].server_id, 102);
	assert_int_equal(k.sites[1].server_id, 7);
	assert_int_equal(k.sites[2].server_id, 103);
	yyjson_doc_free(doc);
}

/* Long: a table of cases. */
static void
conf_keys(void **state)
{
	static const struct {
		const char *key, *value;
		unsigned role;
		bool refused;
	} cases[] = {
		{ "innodb_buffer_pool_size", "1G", ROLE_CANDIDATE, false },
		{ "innodb-flush-log-at-trx-commit", "2", ROLE_CANDIDATE,
		    false },
		{ "validate_password.policy", "LOW", ROLE_CANDIDATE, false },
		{ "skip-name-resolve", "", ROLE_CANDIDATE, false },
		{ "gtid_mode", "on", ROLE_CANDIDATE, false },
		{ "skip_replica_start", "", ROLE_CANDIDATE, false },
		{ "skip_slave_start", "1", ROLE_CANDIDATE, false },
		{ "skip_replica_start", "OFF", ROLE_CANDIDATE, true },
		{ "transaction_read_only", "ON", ROLE_CANDIDATE, false },
		{ "read_only", "ON", ROLE_READER, true },
		{ "READ_ONLY", "ON", ROLE_CANDIDATE, true },
		{ "loose_read_only", "OFF", ROLE_CANDIDATE, true },
		{ "loose-enable_super-read_only", "OFF", ROLE_CANDIDATE, true },
		{ "skip-loose-super-read-only", "", ROLE_CANDIDATE, true },
		{ "maximum-read_only", "0", ROLE_CANDIDATE, true },
		{ "relay_log_recovery", "ON", ROLE_CANDIDATE, true },
		{ "relay_log_recovery", "ON", ROLE_READER, false },
		{ "skip-relay-log-recovery", "", ROLE_CANDIDATE, true },
		{ "loose-gtid_mode", "ON", ROLE_CANDIDATE, false },
		{ "skip-gtid-mode", "ON", ROLE_CANDIDATE, true },
		{ "tls-version", "TLSv1.3", ROLE_CANDIDATE, false },
		{ "init_connect", "SET @a=1", ROLE_CANDIDATE, false },
		{ "init-replica", "SET @a=1", ROLE_READER, true },
		{ "loose_init_slave", "", ROLE_CANDIDATE, true },
		{ "binlog_ignore_db", "shop", ROLE_CANDIDATE, true },
		{ "BINLOG-DO-DB", "shop", ROLE_CANDIDATE, true },
		{ "binlog_error_action", "ignore_error", ROLE_CANDIDATE, true },
		{ "binlog_error_action", "abort_server", ROLE_CANDIDATE,
		    false },
		{ "binlog_error_action", "ABORT", ROLE_CANDIDATE, true },
		{ "binlog_error_action", "", ROLE_CANDIDATE, true },
		{ "binlog_format", "statement", ROLE_CANDIDATE, true },
		{ "binlog_format", "1", ROLE_CANDIDATE, true },
		{ "binlog_format", "row", ROLE_CANDIDATE, false },
		{ "binlog-format", "MIXED", ROLE_CANDIDATE, false },
		{ "binlog-format", "ROW|MIXED", ROLE_CANDIDATE, true },
		{ "datadir", "/var/lib/MYSQL", ROLE_CANDIDATE, true },
		{ "replicate_do_db", "a", ROLE_READER, true },
		{ "replicate-do-table", "a.b", ROLE_READER, true },
		{ "replicate_ignore_db", "a", ROLE_READER, true },
		{ "replicate_ignore-table", "a.b", ROLE_READER, true },
		{ "replicate_rewrite_db", "a->b", ROLE_READER, true },
		{ "replicate_wild_do_table", "a.%", ROLE_READER, true },
		{ "loose-replicate_wild_ignore_table", "a.%", ROLE_READER,
		    true },
		{ "replicate_same_server_id", "ON", ROLE_CANDIDATE, true },
		{ "enable-replicate_same_server_id", "", ROLE_CANDIDATE, true },
		{ "replica_skip_errors", "all", ROLE_CANDIDATE, true },
		{ "slave_skip_errors", "1062", ROLE_CANDIDATE, true },
		{ "slave_skip_errors", "off", ROLE_CANDIDATE, false },
		{ "replica_exec_mode", "IDEMPOTENT", ROLE_CANDIDATE, true },
		{ "slave_exec_mode", "strict", ROLE_CANDIDATE, false },
		{ "clone", "OFF", ROLE_CANDIDATE, true },
		{ "skip-clone", "", ROLE_CANDIDATE, true },
		{ "clone", "FORCE", ROLE_CANDIDATE, false },
		{ "clone_max_concurrency", "4", ROLE_CANDIDATE, false },
		{ "bind_address", "127.0.0.1", ROLE_CANDIDATE, true },
		{ "bind_address", "0.0.0.0", ROLE_CANDIDATE, false },
		{ "bind_address", "::", ROLE_CANDIDATE, false },
		{ "bind-address", "*", ROLE_CANDIDATE, false },
		{ "bind-address", "*,127.0.0.1", ROLE_CANDIDATE, true },
		{ "bind-address", "0.0.0", ROLE_CANDIDATE, true },
		{ "innodb_read_only", "1", ROLE_CANDIDATE, true },
		{ "default_password_lifetime", "90", ROLE_CANDIDATE, false },
		{ "replica_type_conversions", "ALL_LOSSY", ROLE_READER, true },
		{ "slave-type-conversions", "ALL_LOSSY,ALL_NON_LOSSY",
		    ROLE_CANDIDATE, true },
		{ "replica-type-conversions", "ALL_NON_LOSSY", ROLE_CANDIDATE,
		    false },
		{ "default-storage-engine", "MyISAM", ROLE_CANDIDATE, true },
		{ "default_storage_engine", "innodb", ROLE_CANDIDATE, false },
		{ "require_secure_transport", "ON", ROLE_CANDIDATE, true },
		{ "require_secure_transport", "OFF", ROLE_CANDIDATE, false },
		{ "ssl_ca", "/x", ROLE_CANDIDATE, false },
		{ "", "x", ROLE_CANDIDATE, true },
		{ "-x", "x", ROLE_CANDIDATE, true },
		{ "a b", "x", ROLE_CANDIDATE, true },
		{ "x", "a\rb", ROLE_CANDIDATE, true },
		{ "x", "\tb", ROLE_CANDIDATE, true },
	};

	for (size_t i = 0; i < PS_NITEMS(cases); i++) {
		const char *why = kconf_refused(
		    cases[i].key, cases[i].value, cases[i].role, false);

		if ((why != NULL) != cases[i].refused)
			fail_msg("%s=%s", cases[i].key, cases[i].value);
	}
}

/* What spec.tls sets is its own, and only it allows to demand TLS. */
static void
conf_tls(void **state)
{
	static const char *const tls[] = { "ssl_ca", "loose-ssl-cert",
		"ssl-key" };

	for (size_t i = 0; i < PS_NITEMS(tls); i++) {
		assert_null(kconf_refused(tls[i], "/x", ROLE_CANDIDATE, false));
		assert_non_null(
		    kconf_refused(tls[i], "/x", ROLE_CANDIDATE, true));
		assert_non_null(
		    kconf_refused(tls[i], "", ROLE_CANDIDATE, true));
	}
	assert_null(kconf_refused(
	    "ssl_ca", "/etc/mysql/tls/ca.crt", ROLE_CANDIDATE, true));
	assert_null(
	    kconf_refused("require_secure_transport", "ON", ROLE_READER, true));
	assert_non_null(kconf_refused(
	    "loose-require_secure_transport", "1", ROLE_READER, false));
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_manifests),
		cmocka_unit_test(good_manifests),
		cmocka_unit_test(defaults),
		cmocka_unit_test(server_ids),
		cmocka_unit_test(conf_keys),
		cmocka_unit_test(conf_tls),
	};

	golden_init(argc, argv);
	return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
