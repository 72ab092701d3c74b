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
 * The sidecar's environment (sidecar.md section 2).
 */

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dsn.h"
#include "sidecar.h"

#define CHECK_MIN_MS 1000
#define LEASE_MIN_MS 3000

extern char **environ;

/* Also on stderr as text: at this moment a person is looking. */
static int
complain(const char *what, const char *why)
{
	fprintf(stderr, "bloodraven-sidecar: %s: %s\n", what, why);
	return -1;
}

/* The variable's value, or the default. */
static int
get(const char *name, const char *def, char *out, size_t size)
{
	const char *v = getenv(name);

	if (v == NULL || *v == '\0')
		v = def;
	if (strlcpy(out, v, size) >= size)
		return complain(name, "too long");
	return 0;
}

static int
get_duration(const char *name, const char *def, int64_t *ms)
{
	const char *v = getenv(name);

	if (v == NULL || *v == '\0')
		v = def;
	if (duration_parse(v, ms) == -1)
		return complain(name, "not a duration such as 20s");
	return 0;
}

/* ----------------------------------------------------------------- account --- */

/* A small file, white space around it cut. The length, or -1. */
static ssize_t
slurp(const char *dir, const char *name, char *buf, size_t size, char **start)
{
	char path[HOST_LEN + 32];
	size_t have = 0;
	ssize_t n = 0;
	int fd, saved;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return -1;
	while (have < size && (n = read(fd, buf + have, size - have)) > 0)
		have += (size_t)n;
	saved = errno;
	close(fd);
	errno = saved;
	if (n == -1)
		return -1;
	if (have == size) {
		errno = EFBIG;
		return -1;
	}
	while (have > 0 && isspace((unsigned char)buf[have - 1]))
		have--;
	for (*start = buf; have > 0 && isspace((unsigned char)**start); have--)
		++*start;
	(*start)[have] = '\0';
	return (ssize_t)have;
}

/* A file with a DSN, in place of the other two. 0: there is none. */
static int
read_dsn(const struct sc_conf *c, struct m_sc_mysql_conf *m)
{
	char buf[SECRET_MAX], *s;
	ssize_t n = slurp(c->creds_dir, "dsn", buf, sizeof(buf), &s);
	int rc = 1, saved;

	if (n == -1 && errno == ENOENT)
		return 0;
	if (n == -1 || dsn_account(s, m->user, &m->password) == -1)
		rc = -1;
	saved = errno;
	explicit_bzero(buf, sizeof(buf));
	errno = saved;
	return rc;
}

int
sc_creds_read(
    const struct sc_conf *c, struct m_sc_mysql_conf *m, const char **name)
{
	char buf[SECRET_MAX], *s;
	ssize_t n;
	int rc = -1, saved;

	*name = "dsn";
	if ((saved = read_dsn(c, m)) != 0)
		return saved == 1 ? 0 : -1;
	*name = "username";
	n = slurp(c->creds_dir, *name, buf, sizeof(buf), &s);
	if (n == 0)
		errno = ENODATA;
	if (n <= 0)
		return -1;
	if (strlcpy(m->user, s, sizeof(m->user)) >= sizeof(m->user)) {
		errno = ERANGE;
		return -1;
	}
	*name = "password";
	n = slurp(c->creds_dir, *name, buf, sizeof(buf), &s);
	if (n != -1)
		rc = secret_set(&m->password, s, (size_t)n);
	saved = errno;
	explicit_bzero(buf, sizeof(buf));
	errno = saved;
	return rc;
}

/* The variable's text is in /proc/PID/environ for as long as we live. */
static void
forget(const char *name)
{
	char *v = getenv(name);

	if (v != NULL)
		explicit_bzero(v, strlen(v));
}

static int
account(struct sc_conf *c)
{
	static struct m_sc_mysql_conf m;
	const char *v, *file;
	int rc = 0;

	if ((v = getenv("MYSQL_DSN")) != NULL && *v != '\0') {
		if (dsn_account(v, c->user, &c->password) == -1)
			rc = complain("MYSQL_DSN", "not user:password@net/…");
	} else if (get("MYSQL_CREDS_DIR", "", c->creds_dir,
		       sizeof(c->creds_dir)) == -1)
		return -1;
	else if (c->creds_dir[0] != '\0') {
		if (sc_creds_read(c, &m, &file) == -1) {
			fprintf(stderr,
			    "bloodraven-sidecar: MYSQL_CREDS_DIR: %s/%s: %s\n",
			    c->creds_dir, file,
			    errno == ENODATA ? "empty" : strerror(errno));
			rc = -1;
		}
		secret_wipe(&m.password);
	} else if (get("MYSQL_USER", "", c->user, sizeof(c->user)) == -1)
		return -1;
	else if (c->user[0] == '\0')
		rc = complain("MYSQL_USER",
		    "no account: set MYSQL_CREDS_DIR, MYSQL_DSN or this");
	else if ((v = getenv("MYSQL_PASSWORD")) != NULL &&
	    secret_set(&c->password, v, strlen(v)) == -1)
		rc = complain("MYSQL_PASSWORD", "too long");
	forget("MYSQL_DSN");
	forget("MYSQL_PASSWORD");
	return rc;
}

/* -------------------------------------------------------------------- rest --- */

static int
identity(struct sc_conf *c)
{
	char ns[NS_LEN + 1], group[NAME_LEN + 1];

	if (get("POD_NAMESPACE", "", ns, sizeof(ns)) == -1 ||
	    get("FAILOVER_GROUP", "", group, sizeof(group)) == -1 ||
	    get("MY_SITE", "", c->site, sizeof(c->site)) == -1 ||
	    get("MY_POD_NAME", "unknown", c->pod_name, sizeof(c->pod_name)) ==
		-1 ||
	    get("MY_POD_UID", "", c->pod_uid, sizeof(c->pod_uid)) == -1)
		return -1;
	(void)snprintf(c->group, sizeof(c->group), "%s/%s", ns, group);
	c->identity = ns[0] != '\0' && group[0] != '\0' && c->site[0] != '\0';
	return 0;
}

#define CA_VAR   "BLOODRAVEN_MYSQL_TLS_CA_FILE"
#define CERT_VAR "BLOODRAVEN_MYSQL_TLS_CERT_FILE"

/* One directory, which is all of it that can be read later. */
static int
tls_files(struct sc_conf *c)
{
	size_t n;

	if (get(CA_VAR, "", c->ca_file, sizeof(c->ca_file)) == -1 ||
	    get(CERT_VAR, "", c->cert_file, sizeof(c->cert_file)) == -1)
		return -1;
	if (c->ca_file[0] == '\0' && c->cert_file[0] == '\0')
		return 0;
	if (c->ca_file[0] != '/')
		return complain(CA_VAR,
		    "not an absolute path; " CERT_VAR " is nothing without it");
	if (c->cert_file[0] != '/')
		return complain(CERT_VAR,
		    "not an absolute path; " CA_VAR " is nothing without it");
	n = (size_t)(strrchr(c->cert_file, '/') - c->cert_file);
	if (n == 0)
		return complain(CERT_VAR, "in the root directory");
	if (strncmp(c->ca_file, c->cert_file, n + 1) != 0 ||
	    strchr(c->ca_file + n + 1, '/') != NULL)
		return complain(CA_VAR, "not in the directory of " CERT_VAR);
	memcpy(c->tls_dir, c->cert_file, n);
	return 0;
}

static int
places(struct sc_conf *c)
{
	if (get("LISTEN_ADDR", ":8080", c->listen, sizeof(c->listen)) == -1 ||
	    get("BLOODRAVEN_LINK_ADDRESS", ":8090", c->link, sizeof(c->link)) ==
		-1 ||
	    get("BLOODRAVEN_RUN_DIR", "/run/bloodraven", c->run_dir,
		sizeof(c->run_dir)) == -1 ||
	    get("BLOODRAVEN_DATA_DIR", "/var/lib/mysql", c->data_dir,
		sizeof(c->data_dir)) == -1 ||
	    get("BLOODRAVEN_KEYS_DIR", "/etc/bloodraven/keys", c->keys_dir,
		sizeof(c->keys_dir)) == -1 ||
	    get("BLOODRAVEN_MYSQL_SOCKET", "/var/run/mysqld/mysqld.sock",
		c->mysql_sock, sizeof(c->mysql_sock)) == -1)
		return -1;
	return 0;
}

/*
 * Variables of the reference that belong to parts that are not built: told
 * once, not refused. PEER_ADDRESSES and BLOODRAVEN_ADDRESS, by which its
 * sidecar finds others, are not among them: our own operator sets them.
 */
static void
note_unused(struct sc_conf *c)
{
	static const char *const names[] = { "PEER_ADDRESS", "BLOODRAVEN_PITR_",
		"BLOODRAVEN_KEYRING_" };
	char name[128];
	size_t i, n;
	char **e;

	for (e = environ; e != NULL && *e != NULL; e++) {
		n = strcspn(*e, "=");
		if (n >= sizeof(name))
			continue;
		memcpy(name, *e, n);
		name[n] = '\0';
		for (i = 0; i < PS_NITEMS(names); i++)
			if (strcmp(name, names[i]) == 0 ||
			    (names[i][strlen(names[i]) - 1] == '_' &&
				strncmp(name, names[i], strlen(names[i])) == 0))
				break;
		if (i == PS_NITEMS(names) || (*e)[n] == '\0' ||
		    (*e)[n + 1] == '\0')
			continue;
		if (c->unused[0] != '\0')
			(void)strlcat(c->unused, " ", sizeof(c->unused));
		(void)strlcat(c->unused, name, sizeof(c->unused));
	}
}

static void
usage(void)
{
	fprintf(stderr, "usage: bloodraven-sidecar [-v]\n");
}

int
sc_conf_parse(struct sc_conf *c, int argc, char **argv)
{
	int opt;

	memset(c, 0, sizeof(*c));
	c->level = LL_INFO;
	while ((opt = getopt(argc, argv, "v")) != -1) {
		if (opt != 'v') {
			usage();
			return -1;
		}
		c->level = LL_DEBUG;
	}
	if (optind != argc) {
		usage();
		return -1;
	}
	if (get_duration("LEASE_TIMEOUT", "20s", &c->lease_ms) == -1 ||
	    get_duration("PEER_CHECK_INTERVAL", "5s", &c->check_ms) == -1 ||
	    identity(c) == -1 || places(c) == -1 || tls_files(c) == -1 ||
	    account(c) == -1)
		return -1;
	note_unused(c);
	return 0;
}

static void
clamp(const char *name, int64_t *ms, int64_t min)
{
	if (*ms >= min)
		return;
	log_ev(LL_WARN, "value clamped", KVS("variable", name),
	    KVMS("value", *ms), KVMS("used", min));
	*ms = min;
}

void
sc_conf_log(struct sc_conf *c)
{
	int64_t min;

	clamp("PEER_CHECK_INTERVAL", &c->check_ms, CHECK_MIN_MS);
	min = 3 * c->check_ms;
	clamp("LEASE_TIMEOUT", &c->lease_ms,
	    min > LEASE_MIN_MS ? min : LEASE_MIN_MS);
	if (c->unused[0] != '\0')
		log_ev(LL_WARN, "variables that are not acted on",
		    KVS("variables", c->unused));
	if (!c->identity)
		log_ev(LL_WARN,
		    "no identity: neither voter nor the guard's voice",
		    KVS("needed", "MY_SITE POD_NAMESPACE FAILOVER_GROUP"));
}
