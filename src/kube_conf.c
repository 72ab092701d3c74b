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
 * my.cnf: what mysqlConf may say, and the merge (resources.md 5).
 */

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "kube_render.h"

#define KEY_LEN   127
#define VALUE_LEN 8191

#define BINLOG    KDATA_DIR "/mysql-bin"

/* The reason goes as a comment before the line. */
struct def {
	const char *key;
	const char *value; /* "": bare key */
	const char *why;
};

/* resources.md 5 step 1, and ours (design.md 3, fencing.md 4, 6 and 7). */
static const struct def defaults[] = {
	{ "gtid-mode", "ON", NULL },
	{ "enforce-gtid-consistency", "ON", NULL },
	{ "log-bin", BINLOG, NULL },
	{ "log-bin-trust-function-creators", "1", NULL },
	{ "log-replica-updates", "ON", NULL },
	{ "skip-replica-start", "ON", NULL },
	{ "sync-binlog", "1", NULL },
	{ "binlog-expire-logs-seconds", "1209600", NULL },
	{ "plugin-load-add", "mysql_clone.so", NULL },
	{ "default-storage-engine", "InnoDB", NULL },
	{ "innodb-flush-method", "O_DIRECT", NULL },
	{ "innodb-flush-log-at-trx-commit", "1",
	    "2 can lose rows whose GTIDs the binary log keeps" },
	{ "innodb-file-per-table", "1", NULL },
	{ "max-allowed-packet", "64M", NULL },
	{ "max-connect-errors", "1000000", NULL },
	{ "skip-name-resolve", "", NULL },
	{ "max-connections", "500", NULL },
	{ "thread-cache-size", "50", NULL },
	{ "character-set-server", "utf8mb4", NULL },
	{ "collation-server", "utf8mb4_unicode_ci", NULL },
	{ "partial-revokes", "ON",
	    "the application's account has no rights in schema mysql" },
	{ "replica-net-timeout", "5",
	    "receivers are witnesses of the source: the default is 60 s" },
};

/* Sites that may be promoted keep what they received. */
static const struct def candidate_defaults[] = {
	{ "relay-log-recovery", "OFF",
	    "ON throws received, unapplied transactions away at a restart" },
	{ "sync-relay-log", "1",
	    "what was received survives a crash of the machine" },
};

static const struct def tls_defaults[] = {
	{ "ssl-ca", KTLS_DIR "/ca.crt", NULL },
	{ "ssl-cert", KTLS_DIR "/tls.crt", NULL },
	{ "ssl-key", KTLS_DIR "/tls.key", NULL },
	{ "require-secure-transport", "ON", NULL },
};

#define FENCE  "is the operator's fence and cannot be set"
#define OURS   "is set by the operator and cannot be overridden"
#define UNDOES "could undo the operator's fence and cannot be set"
#define KEEPS                                                 \
	"would lose transactions that this site received; a " \
	"primary-candidate cannot override it"
#define BREAKS  "would keep the operator out of the server and cannot be set"
#define FILTERS "would keep transactions from other sites and cannot be set"
#define APART                                                            \
	"would let sites differ in what they hold under the same GTIDs " \
	"and cannot be set"

enum when { ALWAYS, CANDIDATES, WITH_TLS, WITHOUT_TLS };

/*
 * value: what may be said all the same, because it changes nothing; several
 * have a '|' between. A filter, an error that is skipped or a binary log that
 * may be given up leave GTID sets as if nothing were missing: proofs compare
 * these sets (fencing.md 3).
 */
static const struct {
	const char *key;
	const char *value;
	const char *why;
	enum when when;
} refused[] = {
	{ "super-read-only", NULL, FENCE, ALWAYS },
	{ "read-only", NULL, FENCE, ALWAYS },
	{ "init-file", NULL, UNDOES, ALWAYS },
	{ "init-replica", NULL, UNDOES, ALWAYS },
	{ "init-slave", NULL, UNDOES, ALWAYS },
	{ "offline-mode", NULL, BREAKS, ALWAYS },
	{ "gtid-mode", "ON", OURS, ALWAYS },
	{ "enforce-gtid-consistency", "ON", OURS, ALWAYS },
	{ "log-bin", BINLOG, OURS, ALWAYS },
	{ "log-bin-index", NULL, OURS, ALWAYS },
	{ "log-replica-updates", "ON", OURS, ALWAYS },
	{ "log-slave-updates", "ON", OURS, ALWAYS },
	{ "skip-replica-start", "ON", OURS, ALWAYS },
	{ "skip-slave-start", "ON", OURS, ALWAYS },
	{ "plugin-load-add", "mysql_clone.so", OURS, ALWAYS },
	{ "plugin-load", NULL, OURS, ALWAYS },
	{ "clone", "ON|FORCE|FORCE_PLUS_PERMANENT", OURS, ALWAYS },
	{ "server-id", NULL, OURS, ALWAYS },
	{ "relay-log", NULL, OURS, ALWAYS },
	{ "relay-log-index", NULL, OURS, ALWAYS },
	{ "relay-log-recovery", "OFF", KEEPS, CANDIDATES },
	{ "sync-relay-log", "1", KEEPS, CANDIDATES },
	{ "report-host", NULL, OURS, ALWAYS },
	{ "report-port", "3306", OURS, ALWAYS },
	{ "port", "3306", OURS, ALWAYS },
	{ "datadir", KDATA_DIR, OURS, ALWAYS },
	{ "partial-revokes", "ON", OURS, ALWAYS },
	{ "socket", NULL, OURS, ALWAYS },
	{ "user", NULL, OURS, ALWAYS },
	{ "chroot", NULL, BREAKS, ALWAYS },
	{ "daemonize", NULL, BREAKS, ALWAYS },
	{ "initialize", NULL, BREAKS, ALWAYS },
	{ "initialize-insecure", NULL, BREAKS, ALWAYS },
	{ "skip-networking", "OFF", BREAKS, ALWAYS },
	{ "skip-grant-tables", "OFF", BREAKS, ALWAYS },
	{ "bind-address", "*|0.0.0.0|::", BREAKS, ALWAYS },
	{ "innodb-read-only", "OFF", BREAKS, ALWAYS },
	{ "require-secure-transport", "OFF",
	    "needs spec.tls: operator and replicas would be kept out of the "
	    "server",
	    WITHOUT_TLS },
	{ "ssl-ca", KTLS_DIR "/ca.crt", OURS, WITH_TLS },
	{ "ssl-cert", KTLS_DIR "/tls.crt", OURS, WITH_TLS },
	{ "ssl-key", KTLS_DIR "/tls.key", OURS, WITH_TLS },
	{ "binlog-do-db", NULL, FILTERS, ALWAYS },
	{ "binlog-ignore-db", NULL, FILTERS, ALWAYS },
	{ "binlog-error-action", "ABORT_SERVER", FILTERS, ALWAYS },
	{ "replicate-do-db", NULL, APART, ALWAYS },
	{ "replicate-do-table", NULL, APART, ALWAYS },
	{ "replicate-ignore-db", NULL, APART, ALWAYS },
	{ "replicate-ignore-table", NULL, APART, ALWAYS },
	{ "replicate-rewrite-db", NULL, APART, ALWAYS },
	{ "replicate-same-server-id", "OFF", APART, ALWAYS },
	{ "replicate-wild-do-table", NULL, APART, ALWAYS },
	{ "replicate-wild-ignore-table", NULL, APART, ALWAYS },
	{ "replica-skip-errors", "OFF", APART, ALWAYS },
	{ "slave-skip-errors", "OFF", APART, ALWAYS },
	{ "replica-exec-mode", "STRICT", APART, ALWAYS },
	{ "slave-exec-mode", "STRICT", APART, ALWAYS },
	{ "binlog-format", "ROW|MIXED", APART, ALWAYS },
	/* Lossy ones change values without a word. */
	{ "replica-type-conversions", "ALL_NON_LOSSY", APART, ALWAYS },
	{ "slave-type-conversions", "ALL_NON_LOSSY", APART, ALWAYS },
	/* Of other engines a clone has the tables, but no row. */
	{ "default-storage-engine", "InnoDB", APART, ALWAYS },
};

static bool
is_on(const char *s)
{
	return *s == '\0' || strcasecmp(s, "ON") == 0 ||
	    strcasecmp(s, "TRUE") == 0 || strcmp(s, "1") == 0;
}

static bool
is_off(const char *s)
{
	return strcasecmp(s, "OFF") == 0 || strcasecmp(s, "FALSE") == 0 ||
	    strcmp(s, "0") == 0;
}

static bool
same_value(const char *ours, const char *value)
{
	size_t n = strlen(value);

	if (strcmp(ours, "ON") == 0)
		return is_on(value);
	if (strcmp(ours, "OFF") == 0)
		return is_off(value);
	for (const char *p = ours; p != NULL; p = strchr(p, '|')) {
		p += *p == '|';
		if (n == strcspn(p, "|") &&
		    (*p == '/' ? strncmp(p, value, n) :
				 strncasecmp(p, value, n)) == 0)
			return true;
	}
	return false;
}

/*
 * One of mysqld's prefixes; they nest and go with '-' and '_' alike (tried
 * on 9.7: --enable-loose-super_read_only works, unique abbreviations do not).
 */
static const char *
skip_prefix(const char *key, bool *negates)
{
	static const struct {
		const char *text;
		bool negates;
	} prefixes[] = {
		{ "loose-", false },
		{ "enable-", false },
		{ "skip-", true },
		{ "disable-", true },
		{ "maximum-", true },
	};

	for (size_t i = 0; i < PS_NITEMS(prefixes); i++) {
		size_t n = strlen(prefixes[i].text);

		if (strncasecmp(key, prefixes[i].text, n) == 0) {
			*negates |= prefixes[i].negates;
			return key + n;
		}
	}
	return NULL;
}

static bool
applies(enum when when, unsigned role, bool tls)
{
	switch (when) {
	case ALWAYS:
		return true;
	case CANDIDATES:
		return role == ROLE_CANDIDATE;
	case WITH_TLS:
		return tls;
	case WITHOUT_TLS:
		return !tls;
	}
	return true;
}

static const char *
refused_name(
    const char *key, const char *value, unsigned role, bool tls, bool negates)
{
	for (size_t i = 0; i < PS_NITEMS(refused); i++) {
		if (strcasecmp(key, refused[i].key) != 0 ||
		    !applies(refused[i].when, role, tls))
			continue;
		if (!negates && refused[i].value != NULL &&
		    same_value(refused[i].value, value))
			return NULL;
		return refused[i].why;
	}
	return NULL;
}

int
kconf_key(const char *raw, char *out, size_t size)
{
	size_t n = strlen(raw);

	if (n == 0 || n >= size || !isalpha((unsigned char)raw[0])) {
		errno = EBADMSG;
		return -1;
	}
	for (size_t i = 0; i <= n; i++) {
		unsigned char c = (unsigned char)raw[i];

		if (c != '\0' && !isalnum(c) && c != '-' && c != '_' &&
		    c != '.') {
			errno = EBADMSG;
			return -1;
		}
		out[i] = c == '_' ? '-' : (char)c;
	}
	return 0;
}

const char *
kconf_refused(const char *raw, const char *value, unsigned role, bool tls)
{
	char key[KEY_LEN + 1];
	const char *p = key, *why;
	bool negates = false;

	if (kconf_key(raw, key, sizeof(key)) == -1)
		return "is not the name of a server option";
	if (strlen(value) > VALUE_LEN)
		return "is longer than 8191 bytes";
	for (const char *c = value; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return "must not contain control characters or line "
			       "breaks";
	/* mysqld takes the rest of the line for a comment, silently. */
	if (strchr(value, '#') != NULL)
		return "must not contain '#'";
	do {
		if ((why = refused_name(p, value, role, tls, negates)) != NULL)
			return why;
	} while ((p = skip_prefix(p, &negates)) != NULL);
	return NULL;
}

/* ------------------------------------------------------------- merging -- */

/* Set or replace. The strings must live as long as the document. */
static bool
put(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key,
    const char *value)
{
	yyjson_mut_val *k = yyjson_mut_strcpy(doc, key);
	yyjson_mut_val *v = yyjson_mut_strcpy(doc, value);

	return k != NULL && v != NULL && yyjson_mut_obj_put(obj, k, v);
}

static bool
put_all(yyjson_mut_doc *doc, yyjson_mut_val *obj, const struct def *d, size_t n)
{
	bool ok = true;

	for (size_t i = 0; i < n; i++)
		ok &= put(doc, obj, d[i].key, d[i].value);
	return ok;
}

static int
cmp_str(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* In the order of the raw keys, so that of two spellings the later wins. */
static bool
put_user(yyjson_mut_doc *doc, yyjson_mut_val *obj, yyjson_val *map)
{
	const char *raw[KCONF_ENTRIES_MAX];
	char key[KEY_LEN + 1];
	yyjson_obj_iter it = yyjson_obj_iter_with(map);
	yyjson_val *k, *v;
	size_t n = 0;
	bool ok = true;

	while (n < KCONF_ENTRIES_MAX && (k = yyjson_obj_iter_next(&it)) != NULL)
		raw[n++] = yyjson_get_str(k);
	qsort(raw, n, sizeof(raw[0]), cmp_str);
	for (size_t i = 0; i < n; i++) {
		v = yyjson_obj_get(map, raw[i]);
		/* kspec_decode() reported these. */
		if (kconf_key(raw[i], key, sizeof(key)) == -1 ||
		    !yyjson_is_str(v))
			continue;
		ok &= put(doc, obj, key, yyjson_get_str(v));
	}
	return ok;
}

static const char *
reason(const char *key, const char *value)
{
	for (size_t i = 0; i < PS_NITEMS(defaults); i++)
		if (strcmp(defaults[i].key, key) == 0 &&
		    strcmp(defaults[i].value, value) == 0)
			return defaults[i].why;
	for (size_t i = 0; i < PS_NITEMS(candidate_defaults); i++)
		if (strcmp(candidate_defaults[i].key, key) == 0)
			return candidate_defaults[i].why;
	return NULL;
}

static yyjson_mut_val *
print(yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
	struct kbuf b = { 0 };
	yyjson_mut_obj_iter it = yyjson_mut_obj_iter_with(obj);
	yyjson_mut_val *k;
	size_t n = yyjson_mut_obj_size(obj), i = 0;
	const char **keys = calloc(n + 1, sizeof(*keys));

	if (keys == NULL)
		return NULL;
	while ((k = yyjson_mut_obj_iter_next(&it)) != NULL)
		keys[i++] = yyjson_mut_get_str(k);
	qsort(keys, n, sizeof(*keys), cmp_str);
	kbuf_add(&b, "[mysqld]\n");
	for (i = 0; i < n; i++) {
		const char *v, *why;

		v = yyjson_mut_get_str(yyjson_mut_obj_get(obj, keys[i]));
		why = reason(keys[i], v);
		if (why != NULL)
			kbuf_addf(&b, "# %s\n", why);
		kbuf_addf(&b, "%s%s%s\n", keys[i], *v == '\0' ? "" : "=", v);
	}
	free(keys);
	return kbuf_take(&b, doc);
}

yyjson_mut_val *
krender_mycnf(yyjson_mut_doc *doc, const struct kspec *k, const struct ksite *s)
{
	/* What nobody may override, whatever was let through. */
	static const struct def asserted[] = {
		{ "gtid-mode", "ON", NULL },
		{ "enforce-gtid-consistency", "ON", NULL },
		{ "log-bin", BINLOG, NULL },
		{ "log-replica-updates", "ON", NULL },
		{ "skip-replica-start", "ON", NULL },
		{ "plugin-load-add", "mysql_clone.so", NULL },
		{ "partial-revokes", "ON", NULL },
	};
	yyjson_mut_val *obj = yyjson_mut_obj(doc);
	char host[HOST_LEN + 1];
	bool ok;

	snprintf(host, sizeof(host),
	    "mysql-%s-%s-internal.%s.svc.cluster."
	    "local",
	    k->name, s->name, k->ns);
	ok = obj != NULL && put_all(doc, obj, defaults, PS_NITEMS(defaults));
	if (ok && s->role == ROLE_CANDIDATE)
		ok = put_all(doc, obj, candidate_defaults,
		    PS_NITEMS(candidate_defaults));
	if (ok && k->tls)
		ok = put_all(doc, obj, tls_defaults, PS_NITEMS(tls_defaults));
	if (!ok || !put(doc, obj, "report-host", host) ||
	    !put_user(doc, obj, k->mysql_conf) ||
	    !put_user(doc, obj, s->mysql_conf) ||
	    !put_all(doc, obj, asserted, PS_NITEMS(asserted)))
		return NULL;
	return print(doc, obj);
}
