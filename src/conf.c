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
 * Command line and environment; see bloodraven(8).
 */

#include <sys/random.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"

/*
 * Kubernetes' defaults of leader election are 15, 10 and 2 s. A standby shall
 * take over within 6 s of a crash; three renewals may fail meanwhile.
 */
#define LEASE_MS       5000
#define RENEW_MS       3500
#define RETRY_MS       500
/* Of a lease key; a rotation takes some minutes. */
#define KEY_AGE_MS     (90LL * 24 * 3600 * 1000)
#define KEY_AGE_MIN_MS (3600 * 1000)
#define WS_CLIENTS     100

enum {
	OPT_LEADER_ELECT = 256,
	OPT_METRICS_ADDR,
	OPT_PROBE_ADDR,
	OPT_AUX_ADDR,
	OPT_NAMESPACE,
	OPT_SA_DIR,
	OPT_LEASE,
	OPT_RENEW,
	OPT_RETRY,
	OPT_KEY_AGE
};

static const struct option options[] = { { "leader-elect", optional_argument,
					     NULL, OPT_LEADER_ELECT },
	{ "metrics-bind-address", required_argument, NULL, OPT_METRICS_ADDR },
	{ "health-probe-bind-address", required_argument, NULL,
	    OPT_PROBE_ADDR },
	{ "auxiliary-bind-address", required_argument, NULL, OPT_AUX_ADDR },
	{ "watch-namespace", required_argument, NULL, OPT_NAMESPACE },
	{ "service-account-dir", required_argument, NULL, OPT_SA_DIR },
	{ "lease-duration", required_argument, NULL, OPT_LEASE },
	{ "lease-renew-deadline", required_argument, NULL, OPT_RENEW },
	{ "lease-retry-period", required_argument, NULL, OPT_RETRY },
	{ "lease-key-age", required_argument, NULL, OPT_KEY_AGE },
	{ NULL, 0, NULL, 0 } };

static int
complain(const char *what, const char *value, const char *why)
{
	fprintf(stderr, "bloodraven: %s: \"%s\": %s\n", what, value, why);
	return -1;
}

static int
set(char *dst, size_t size, const char *what, const char *value)
{
	if (strlcpy(dst, value, size) >= size)
		return complain(what, value, "too long");
	return 0;
}

static int
set_duration(int64_t *ms, const char *what, const char *value)
{
	if (duration_parse(value, ms) == -1 || *ms <= 0)
		return complain(
		    what, value, "not a positive duration such as 15s");
	return 0;
}

static int
set_key_age(int64_t *ms, const char *value)
{
	if (duration_parse(value, ms) == -1 ||
	    (*ms != 0 && *ms < KEY_AGE_MIN_MS))
		return complain("--lease-key-age", value,
		    "neither 0 nor a duration of at least 1h");
	return 0;
}

static int
set_bool(bool *b, const char *what, const char *value)
{
	if (value == NULL || strcmp(value, "true") == 0)
		*b = true;
	else if (strcmp(value, "false") == 0)
		*b = false;
	else
		return complain(what, value, "neither true nor false");
	return 0;
}

static void
usage(void)
{
	fprintf(stderr,
	    "usage: bloodraven [-nv] [--leader-elect[=true|false]]\n"
	    "                  [--watch-namespace namespace]\n"
	    "                  [--metrics-bind-address addr]\n"
	    "                  [--health-probe-bind-address addr]\n"
	    "                  [--auxiliary-bind-address addr]\n"
	    "                  [--lease-duration d] "
	    "[--lease-renew-deadline d]\n"
	    "                  [--lease-retry-period d] "
	    "[--lease-key-age d]\n"
	    "                  [--service-account-dir dir]\n");
}

static int
option(struct conf *c, int opt)
{
	switch (opt) {
	case 'n':
		c->check_only = true;
		return 0;
	case 'v':
		c->level = LL_DEBUG;
		return 0;
	case OPT_LEADER_ELECT:
		return set_bool(&c->leader_elect, "--leader-elect", optarg);
	case OPT_METRICS_ADDR:
		return set(c->metrics_addr, sizeof(c->metrics_addr),
		    "--metrics-bind-address", optarg);
	case OPT_PROBE_ADDR:
		return set(c->probe_addr, sizeof(c->probe_addr),
		    "--health-probe-bind-address", optarg);
	case OPT_AUX_ADDR:
		return set(c->aux_addr, sizeof(c->aux_addr),
		    "--auxiliary-bind-address", optarg);
	case OPT_NAMESPACE:
		return set(c->watch_namespace, sizeof(c->watch_namespace),
		    "--watch-namespace", optarg);
	case OPT_SA_DIR:
		return set(c->sa_dir, sizeof(c->sa_dir),
		    "--service-account-dir", optarg);
	case OPT_LEASE:
		return set_duration(&c->lease_ms, "--lease-duration", optarg);
	case OPT_RENEW:
		return set_duration(
		    &c->renew_ms, "--lease-renew-deadline", optarg);
	case OPT_RETRY:
		return set_duration(
		    &c->retry_ms, "--lease-retry-period", optarg);
	case OPT_KEY_AGE:
		return set_key_age(&c->key_age_ms, optarg);
	default:
		usage();
		return -1;
	}
}

static int
ws_environment(struct conf *c)
{
	const char *v, *e;

	if ((v = getenv("BLOODRAVEN_WS_ALLOWED_ORIGINS")) != NULL &&
	    set(c->ws_origins, sizeof(c->ws_origins),
		"BLOODRAVEN_WS_ALLOWED_ORIGINS", v) == -1)
		return -1;
	if ((v = getenv("BLOODRAVEN_WS_MAX_CLIENTS")) == NULL || *v == '\0')
		return 0;
	c->ws_max = (uint32_t)strtonum(v, 0, WS_CLIENTS_MAX, &e);
	return e == NULL ? 0 : complain("BLOODRAVEN_WS_MAX_CLIENTS", v, e);
}

static int
environment(struct conf *c)
{
	const char *v, *e;

	if ((v = getenv("KUBERNETES_SERVICE_HOST")) == NULL)
		return complain("KUBERNETES_SERVICE_HOST", "",
		    "not set: bloodraven runs inside a Pod");
	if (set(c->api_host, sizeof(c->api_host), "KUBERNETES_SERVICE_HOST",
		v) == -1)
		return -1;
	if ((v = getenv("KUBERNETES_SERVICE_PORT")) == NULL)
		v = "443";
	c->api_port = (uint32_t)strtonum(v, 1, 65535, &e);
	if (e != NULL)
		return complain("KUBERNETES_SERVICE_PORT", v, e);
	if ((v = getenv("POD_NAMESPACE")) != NULL &&
	    set(c->namespace, sizeof(c->namespace), "POD_NAMESPACE", v) == -1)
		return -1;
	if ((v = getenv("BLOODRAVEN_DEFAULT_AUXILIARY_ADDRESS")) != NULL &&
	    set(c->sidecar_aux_addr, sizeof(c->sidecar_aux_addr),
		"BLOODRAVEN_DEFAULT_AUXILIARY_ADDRESS", v) == -1)
		return -1;
	if ((v = getenv("BLOODRAVEN_OPERATOR_IMAGE")) != NULL &&
	    set(c->image, sizeof(c->image), "BLOODRAVEN_OPERATOR_IMAGE", v) ==
		-1)
		return -1;
	if ((v = getenv("BLOODRAVEN_DNS_SERVICE_ACCOUNT")) != NULL &&
	    set(c->dns_sa, sizeof(c->dns_sa), "BLOODRAVEN_DNS_SERVICE_ACCOUNT",
		v) == -1)
		return -1;
	return ws_environment(c);
}

/*
 * The Lease holder's name. Random at the end: a restarted container of the
 * same Pod is another leader and must wait for the old one's Lease.
 */
static int
identity(struct conf *c)
{
	const char *v = getenv("POD_NAME");
	uint32_t r;
	int n;

	if (v == NULL)
		v = "bloodraven";
	if (getrandom(&r, sizeof(r), 0) != sizeof(r))
		return complain("identity", v, "no random number");
	n = snprintf(c->identity, sizeof(c->identity), "%s_%08x", v, r);
	if (n < 0 || (size_t)n >= sizeof(c->identity))
		return complain("POD_NAME", v, "too long");
	return 0;
}

int
conf_parse(struct conf *c, int argc, char **argv)
{
	int opt;

	memset(c, 0, sizeof(*c));
	c->leader_elect = true;
	c->level = LL_INFO;
	c->lease_ms = LEASE_MS;
	c->renew_ms = RENEW_MS;
	c->retry_ms = RETRY_MS;
	c->key_age_ms = KEY_AGE_MS;
	c->ws_max = WS_CLIENTS;
	(void)strlcpy(c->sa_dir, SA_DIR, sizeof(c->sa_dir));
	(void)strlcpy(c->dns_sa, "bloodraven-dns", sizeof(c->dns_sa));
	(void)strlcpy(c->metrics_addr, ":8080", sizeof(c->metrics_addr));
	(void)strlcpy(c->probe_addr, ":8081", sizeof(c->probe_addr));
	(void)strlcpy(c->aux_addr, ":8082", sizeof(c->aux_addr));
	while ((opt = getopt_long(argc, argv, "nv", options, NULL)) != -1)
		if (option(c, opt) == -1)
			return -1;
	if (optind != argc) {
		usage();
		return -1;
	}
	if (c->renew_ms >= c->lease_ms || c->retry_ms >= c->renew_ms)
		return complain("--lease-duration", "",
		    "must be longer than --lease-renew-deadline, and that "
		    "longer than --lease-retry-period");
	if (environment(c) == -1)
		return -1;
	return identity(c);
}
