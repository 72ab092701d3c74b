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

#define FENCE "is the operator's fence and cannot be set"
#define OURS  "is set by the operator and cannot be overridden"
#define KEEPS                                                 \
	"would lose transactions that this site received; a " \
	"primary-candidate cannot override it"
#define BREAKS "would keep the operator out of the server and cannot be set"

/* value: what may be said all the same, because it changes nothing. */
static const struct {
	const char *key;
	const char *value;
	const char *why;
	bool candidates; /* free on other sites */
} refused[] = {
	{ "super-read-only", NULL, FENCE, false },
	{ "read-only", NULL, FENCE, false },
	{ "init-file", NULL,
	    "could undo the operator's fence and cannot be "
	    "set",
	    false },
	{ "offline-mode", NULL, BREAKS, false },
	{ "gtid-mode", "ON", OURS, false },
	{ "enforce-gtid-consistency", "ON", OURS, false },
	{ "log-bin", BINLOG, OURS, false },
	{ "log-bin-index", NULL, OURS, false },
	{ "log-replica-updates", "ON", OURS, false },
	{ "log-slave-updates", "ON", OURS, false },
	{ "skip-replica-start", "ON", OURS, false },
	{ "skip-slave-start", "ON", OURS, false },
	{ "plugin-load-add", "mysql_clone.so", OURS, false },
	{ "plugin-load", NULL, OURS, false },
	{ "server-id", NULL, OURS, false },
	{ "relay-log", NULL, OURS, false },
	{ "relay-log-index", NULL, OURS, false },
	{ "relay-log-recovery", "OFF", KEEPS, true },
	{ "sync-relay-log", "1", KEEPS, true },
	{ "report-host", NULL, OURS, false },
	{ "report-port", "3306", OURS, false },
	{ "port", "3306", OURS, false },
	{ "datadir", KDATA_DIR, OURS, false },
	{ "partial-revokes", "ON", OURS, false },
	{ "socket", NULL, OURS, false },
	{ "user", NULL, OURS, false },
	{ "chroot", NULL, BREAKS, false },
	{ "daemonize", NULL, BREAKS, false },
	{ "initialize", NULL, BREAKS, false },
	{ "initialize-insecure", NULL, BREAKS, false },
	{ "skip-networking", "OFF", BREAKS, false },
	{ "skip-grant-tables", "OFF", BREAKS, false },
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
	if (strcmp(ours, "ON") == 0)
		return is_on(value);
	if (strcmp(ours, "OFF") == 0)
		return is_off(value);
	return strcmp(ours, value) == 0;
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

static const char *
refused_name(const char *key, const char *value, unsigned role, bool negates)
{
	for (size_t i = 0; i < PS_NITEMS(refused); i++) {
		if (strcasecmp(key, refused[i].key) != 0 ||
		    (refused[i].candidates && role != ROLE_CANDIDATE))
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
kconf_refused(const char *raw, const char *value, unsigned role)
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
		if ((why = refused_name(p, value, role, negates)) != NULL)
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
