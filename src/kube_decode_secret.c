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
 * The user's Secrets → struct m_creds. No copy of a password stays behind.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kube_render.h"

#define NAME_CHARS    32 /* of a MySQL account */
#define REPL_PW_CHARS 32 /* SOURCE_PASSWORD; error 1470 above */

struct creds {
	const struct kspec *k;
	ksecret_lookup lookup;
	void *arg;
	struct m_creds *out;
	struct m_account *roles; /* NULL: only checked */
	bool bad;
};

/* The first problem counts; later ones are often its echo. */
static void
problem(struct creds *c, const char *fmt, ...)
{
	va_list ap;

	if (!c->bad) {
		va_start(ap, fmt);
		vsnprintf(c->out->problem, sizeof(c->out->problem), fmt, ap);
		va_end(ap);
	}
	c->bad = true;
}

static yyjson_val *
find(struct creds *c, const char *name, const char *field)
{
	yyjson_val *s = c->lookup(c->arg, name);

	if (s == NULL)
		problem(c, "SecretNotFound: Secret %s (%s) does not exist",
		    name, field);
	return yyjson_obj_get(s, "data");
}

static size_t
runes(const struct secret *s)
{
	size_t n = 0;

	for (uint32_t i = 0; i < s->len; i++)
		n += (s->data[i] & 0xc0) != 0x80;
	return n;
}

static bool
has_control(const struct secret *s)
{
	for (uint32_t i = 0; i < s->len; i++)
		if (s->data[i] < ' ' || s->data[i] == 0x7f)
			return true;
	return false;
}

/*
 * One key. Line ends behind the value are dropped (the first-boot script's
 * $(cat) drops them as well). A key that may be absent leaves out empty.
 */
static void
read_key(struct creds *c, yyjson_val *data, const char *name, const char *key,
    bool required, struct secret *out)
{
	static uint8_t buf[SECRET_MAX];
	yyjson_val *v = yyjson_obj_get(data, key);
	int n;

	secret_wipe(out);
	if (v == NULL || yyjson_get_len(v) == 0) {
		if (required && data != NULL)
			problem(c,
			    "SecretMissingKey: Secret %s has no key "
			    "%s",
			    name, key);
		else if (required)
			problem(
			    c, "SecretMissingKey: Secret %s is empty", name);
		return;
	}
	n = yyjson_is_str(v) ? ktext_base64(yyjson_get_str(v),
				   yyjson_get_len(v), buf, sizeof(buf)) :
			       -1;
	while (n > 0 && (buf[n - 1] == '\n' || buf[n - 1] == '\r'))
		n--;
	if (n == -1 || secret_set(out, buf, (size_t)n) == -1)
		problem(c,
		    "SecretInvalid: Secret %s, key %s: longer than %d "
		    "bytes or no base64",
		    name, key, SECRET_MAX);
	else if (n == 0 && required)
		problem(c, "SecretMissingKey: key %s of Secret %s is empty",
		    key, name);
	else if (has_control(out))
		problem(c,
		    "SecretInvalid: Secret %s, key %s: holds control "
		    "characters",
		    name, key);
	explicit_bzero(buf, sizeof(buf));
}

static void
set_user(struct creds *c, const char *name, const char *key,
    const struct secret *s, char out[USER_LEN + 1])
{
	if (s->len > USER_LEN || runes(s) > NAME_CHARS) {
		problem(c,
		    "SecretInvalid: Secret %s, key %s: an account name "
		    "has at most %d characters",
		    name, key, NAME_CHARS);
		return;
	}
	memcpy(out, s->data, s->len);
	out[s->len] = '\0';
}

/* The image's entrypoint puts it between quotes as it is. */
static void
read_root(struct creds *c, yyjson_val *data, const char *name, bool required)
{
	struct secret *s = &c->out->root_password;

	read_key(c, data, name, "MYSQL_ROOT_PASSWORD", required, s);
	if (memchr(s->data, '\'', s->len) != NULL ||
	    memchr(s->data, '\\', s->len) != NULL)
		problem(c,
		    "SecretInvalid: Secret %s, key MYSQL_ROOT_PASSWORD:"
		    " must not contain ' or \\",
		    name);
}

static void
read_replication(struct creds *c, yyjson_val *data, const char *name)
{
	struct m_creds *m = c->out;
	struct secret user = { 0 };

	read_key(c, data, name, "MYSQL_REPLICATION_USER", false, &user);
	read_key(c, data, name, "MYSQL_REPLICATION_PASSWORD", user.len > 0,
	    &m->repl_password);
	if (user.len > 0) {
		set_user(
		    c, name, "MYSQL_REPLICATION_USER", &user, m->repl_user);
	} else {
		strlcpy(m->repl_user, m->user, sizeof(m->repl_user));
		m->repl_password = m->password;
	}
	secret_wipe(&user);
	if (runes(&m->repl_password) > REPL_PW_CHARS)
		problem(c,
		    "SecretInvalid: Secret %s: the replication "
		    "password (without MYSQL_REPLICATION_USER, the operator's)"
		    " has more than %d characters",
		    name, REPL_PW_CHARS);
	if (strcmp(m->repl_user, m->user) == 0 &&
	    !secret_equal(&m->repl_password, &m->password))
		problem(c,
		    "SecretInvalid: Secret %s: "
		    "MYSQL_REPLICATION_USER is the operator's account but has "
		    "another password",
		    name);
}

/* An account that is created for others: never the operator's or root. */
static void
read_role(struct creds *c, unsigned role, const char *name, const char *field)
{
	static struct m_account scratch;
	struct m_account *m = c->roles != NULL ? &c->roles[role] : &scratch;
	yyjson_val *data;

	memset(m, 0, sizeof(*m));
	m->role = role;
	if (name == NULL || c->bad)
		return;
	data = find(c, name, field);
	read_key(c, data, name, "username", true, &m->password);
	set_user(c, name, "username", &m->password, m->user);
	read_key(c, data, name, "password", true, &m->password);
	if (!c->bad &&
	    (strcmp(m->user, c->out->user) == 0 ||
		strcmp(m->user, c->out->repl_user) == 0 ||
		strcmp(m->user, "root") == 0))
		problem(c,
		    "SecretInvalid: Secret %s (%s), key username: '%s' "
		    "is the operator's, the replication or the root account",
		    name, field, m->user);
	if (m == &scratch)
		explicit_bzero(m, sizeof(*m));
}

static void
read_operator(struct creds *c, const char *name)
{
	struct m_creds *m = c->out;
	yyjson_val *data;

	data = find(c, name, "spec.credentials.operatorSecret");
	if (c->bad)
		return;
	read_key(c, data, name, "username", true, &m->password);
	set_user(c, name, "username", &m->password, m->user);
	read_key(c, data, name, "password", true, &m->password);
	read_root(c, data, name, true);
	read_replication(c, data, name);
}

/*
 * Go's form of a DSN, user:password@tcp(host:port)/db?parameters, taken apart
 * as its driver does: the last '/', the last '@' before it, the first ':'.
 * Only the account is of interest, sites have their own addresses.
 */
static void
read_dsn(struct creds *c, const char *name)
{
	struct m_creds *m = c->out;
	struct secret dsn = { 0 };
	uint32_t at, colon = 0;
	yyjson_val *data;

	data = find(c, name, "spec.secretName");
	if (c->bad)
		return;
	read_key(c, data, name, "dsn", true, &dsn);
	for (at = dsn.len; at > 0 && dsn.data[at - 1] != '/'; at--)
		;
	for (; at > 0 && dsn.data[at - 1] != '@'; at--)
		;
	while (at > 0 && colon < at - 1 && dsn.data[colon] != ':')
		colon++;
	/* Neither an account nor a password may be empty. */
	if (!c->bad && (at == 0 || colon == 0 || colon + 2 >= at))
		problem(c,
		    "SecretInvalid: Secret %s, key dsn: is not "
		    "user:password@tcp(host:port)/",
		    name);
	if (!c->bad) {
		secret_set(&m->password, dsn.data, colon);
		set_user(c, name, "dsn", &m->password, m->user);
		secret_set(
		    &m->password, dsn.data + colon + 1, at - 1 - colon - 1);
		read_root(c, data, name, false);
		read_replication(c, data, name);
	}
	secret_wipe(&dsn);
}

void
kcreds_decode(const struct kspec *k, ksecret_lookup lookup, void *arg,
    struct m_creds *m, struct m_account *roles)
{
	struct creds c = {
		.k = k, .lookup = lookup, .arg = arg, .out = m, .roles = roles
	};

	memset(m, 0, sizeof(*m));
	strlcpy(m->group, k->uid, sizeof(m->group));
	if (k->operator_secret != NULL)
		read_operator(&c, k->operator_secret);
	else if (k->secret_name != NULL)
		read_dsn(&c, k->secret_name);
	else
		problem(&c, "SecretNotFound: the group names no Secret");
	read_role(&c, AC_APP, k->app_secret, "spec.credentials.appSecret");
	read_role(&c, AC_READONLY, k->readonly_secret,
	    "spec.credentials.readOnlySecret");
	read_role(&c, AC_MONITOR, k->monitor_secret,
	    "spec.credentials.monitorSecret");
	read_role(
	    &c, AC_BACKUP, k->backup_secret, "spec.credentials.backupSecret");
	m->valid = !c.bad;
	if (c.bad) {
		secret_wipe(&m->password);
		secret_wipe(&m->repl_password);
		secret_wipe(&m->root_password);
	}
}
