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
 * Rules between fields (api.md 1.3), and limits that the schema cannot say
 * but that would break what is rendered. Each krule_*() is the C twin of one
 * CEL rule in kube_schema.c: -1 when it holds, else the index of the culprit
 * (0 where there is only one).
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube_schema.h"

/* Shorter polls only add load; probes have a deadline of min(poll, 1 s). */
#define POLL_MIN_MS  100
#define POLL_MAX_MS  (60 * 60 * 1000)
/* One year: no sum of two such times overflows anything. */
#define TIME_MAX_MS  (INT64_C(365) * 24 * 60 * 60 * 1000)
/* A lease's length goes over the wire as 32 bits of milliseconds. */
#define LEASE_MAX_MS (INT64_C(24) * 60 * 60 * 1000)

#define PATH_LEN     255

#define OK           (-1)

static const char *
str(yyjson_val *v, const char *name)
{
	yyjson_val *m = yyjson_obj_get(v, name);

	return yyjson_is_str(m) ? yyjson_get_str(m) : "";
}

static bool
has(yyjson_val *v, const char *name)
{
	yyjson_val *m = yyjson_obj_get(v, name);

	return m != NULL && !yyjson_is_null(m);
}

static bool
enabled(yyjson_val *v)
{
	return yyjson_is_true(yyjson_obj_get(v, "enabled"));
}

/* The default is applied before rules are. */
static const char *
role_of(yyjson_val *site)
{
	const char *role = str(site, "role");

	return *role == '\0' ? role_name(ROLE_CANDIDATE) : role;
}

static bool
is_role(yyjson_val *site, enum br_role role)
{
	return strcmp(role_of(site), role_name(role)) == 0;
}

/* A duration member, or def when absent or malformed (said elsewhere). */
static int64_t
ms_of(yyjson_val *v, const char *name, int64_t def)
{
	int64_t ms;

	return duration_parse(str(v, name), &ms) == 0 ? ms : def;
}

int
krule_one_credential(yyjson_val *spec)
{
	return (*str(spec, "secretName") != '\0') != has(spec, "credentials") ?
	    OK :
	    0;
}

int
krule_sites_unique(yyjson_val *spec)
{
	yyjson_val *sites = yyjson_obj_get(spec, "sites");
	size_t n = yyjson_arr_size(sites);

	for (size_t i = 1; i < n && i < SITES_MAX; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(str(yyjson_arr_get(sites, i), "name"),
				str(yyjson_arr_get(sites, j), "name")) == 0)
				return (int)i;
	return OK;
}

int
krule_two_candidates(yyjson_val *spec)
{
	yyjson_arr_iter it;
	yyjson_val *site;
	unsigned n = 0;

	it = yyjson_arr_iter_with(yyjson_obj_get(spec, "sites"));
	while ((site = yyjson_arr_iter_next(&it)) != NULL)
		n += is_role(site, ROLE_CANDIDATE);
	return n >= 2 ? OK : 0;
}

static bool
names_candidate(yyjson_val *spec, const char *name)
{
	yyjson_arr_iter it;
	yyjson_val *site;

	it = yyjson_arr_iter_with(yyjson_obj_get(spec, "sites"));
	while ((site = yyjson_arr_iter_next(&it)) != NULL)
		if (strcmp(str(site, "name"), name) == 0)
			return is_role(site, ROLE_CANDIDATE);
	return false;
}

int
krule_priorities(yyjson_val *spec)
{
	yyjson_val *list, *e;
	yyjson_arr_iter it;

	list = yyjson_obj_get(
	    yyjson_obj_get(spec, "splitBrainPolicy"), "sitePriorities");
	it = yyjson_arr_iter_with(list);
	for (int i = 0; (e = yyjson_arr_iter_next(&it)) != NULL; i++)
		if (!names_candidate(spec, yyjson_get_str(e)))
			return i;
	return OK;
}

int
krule_site_lbip(yyjson_val *site)
{
	return is_role(site, ROLE_READER) || *str(site, "lbIP") != '\0' ? OK :
									  0;
}

int
krule_site_taint(yyjson_val *site)
{
	return is_role(site, ROLE_READER) ||
		yyjson_obj_size(yyjson_obj_get(site, "taintNodeSelector")) > 0 ?
	    OK :
	    0;
}

static bool
external(const char *type)
{
	return strcmp(type, "NodePort") == 0 ||
	    strcmp(type, "LoadBalancer") == 0;
}

int
krule_group_policy(yyjson_val *svc)
{
	return *str(svc, "externalTrafficPolicy") == '\0' ||
		external(str(svc, "type")) ?
	    OK :
	    0;
}

/* First site whose template has this member without an external type. */
static int
needs_external(yyjson_val *spec, const char *member)
{
	yyjson_val *site, *svc;
	yyjson_arr_iter it;
	const char *type;

	it = yyjson_arr_iter_with(yyjson_obj_get(spec, "sites"));
	for (int i = 0; (site = yyjson_arr_iter_next(&it)) != NULL; i++) {
		svc = yyjson_obj_get(site, "serviceTemplate");
		if (!has(svc, member) ||
		    (yyjson_is_str(yyjson_obj_get(svc, member)) &&
			*str(svc, member) == '\0'))
			continue;
		type = str(svc, "type");
		if (*type == '\0')
			type = str(
			    yyjson_obj_get(spec, "serviceTemplate"), "type");
		if (!external(type))
			return i;
	}
	return OK;
}

int
krule_site_policy(yyjson_val *spec)
{
	return needs_external(spec, "externalTrafficPolicy");
}

int
krule_site_nodeport(yyjson_val *spec)
{
	return needs_external(spec, "nodePort");
}

int
krule_peer_interval(yyjson_val *sidecar)
{
	return ms_of(sidecar, "peerCheckInterval", 5000) >= 1000 ? OK : 0;
}

int
krule_lease_timeout(yyjson_val *sidecar)
{
	return ms_of(sidecar, "leaseTimeout", 20000) >= 3000 ? OK : 0;
}

int
krule_lease_ratio(yyjson_val *sidecar)
{
	int64_t lease = ms_of(sidecar, "leaseTimeout", 20000);

	return lease / 3 >= ms_of(sidecar, "peerCheckInterval", 5000) ? OK : 0;
}

int
krule_encryption_tls(yyjson_val *spec)
{
	return !enabled(yyjson_obj_get(spec, "encryptionAtRest")) ||
		has(spec, "tls") ?
	    OK :
	    0;
}

int
krule_keyring_dir(yyjson_val *keyring)
{
	const char *dir = str(keyring, "dataFileDir");
	size_t n = strlen("/var/lib/mysql");

	return strncmp(dir, "/var/lib/mysql", n) != 0 ||
		(dir[n] != '\0' && dir[n] != '/') ?
	    OK :
	    0;
}

int
krule_dragonfly_image(yyjson_val *df)
{
	const char *image = str(df, "image");
	size_t n = strlen(image), m = strlen(":latest");

	if (!enabled(df))
		return OK;
	return n > 0 && (n < m || strcmp(image + n - m, ":latest") != 0) ? OK :
									   0;
}

int
krule_storage_union(yyjson_val *storage)
{
	bool s3 = strcmp(str(storage, "type"), "S3") == 0;

	return has(storage, "s3") == s3 && has(storage, "pvc") != s3 ? OK : 0;
}

int
krule_source_union(yyjson_val *source)
{
	return has(source, "mysqlBackupRef") + has(source, "s3") +
		    has(source, "pvc") ==
		1 ?
	    OK :
	    0;
}

int
krule_pitr_profile(yyjson_val *pitr)
{
	return !enabled(pitr) || *str(pitr, "profileName") != '\0' ? OK : 0;
}

int
krule_cron_needed(yyjson_val *verification)
{
	return !enabled(verification) ||
		*str(verification, "schedule") != '\0' ?
	    OK :
	    0;
}

/* --------------------------------------------- what rendering demands --- */

/* "mysql-<g>-<s>-internal" is a Service name: a DNS label. */
static void
check_names(const struct kspec *k, struct kproblems *p)
{
	size_t g = strlen(k->name), s;

	/* The taint's key: "db-readonly-<g>" is at most 63 characters. */
	if (!ktext_dns_label(k->name) || g > NS_LEN - strlen("db-readonly-"))
		kproblem(p,
		    "metadata.name: must be a DNS label (no dots) of "
		    "at most 51 characters");
	for (unsigned i = 0; i < k->nsites; i++) {
		const char *name = k->sites[i].name;

		if (name == NULL)
			continue;
		s = strlen(name);
		if (!ktext_dns_label(name))
			kproblem(p,
			    "spec.sites[%u].name: '%.64s' must be a "
			    "DNS label: lower-case letters, digits and '-'",
			    i, name);
		else if (g + s + strlen("mysql--internal") + 1 > NS_LEN)
			kproblem(p,
			    "spec.sites[%u].name: mysql-%s-%s-internal"
			    " is longer than 63 characters",
			    i, k->name, name);
	}
}

/* Do two of the group's Services get one name? */
static void
check_clashes(const struct kspec *k, struct kproblems *p)
{
	static const char *const ours[] = { "primary", "replicas" };

	for (unsigned i = 0; i < k->nsites; i++) {
		const char *name = k->sites[i].name;

		if (name == NULL)
			continue;
		for (size_t o = 0; o < PS_NITEMS(ours); o++)
			if (strcmp(name, ours[o]) == 0)
				kproblem(p,
				    "spec.sites[%u].name: '%s' is "
				    "taken by Service mysql-%s-%s",
				    i, name, k->name, name);
		for (unsigned j = 0; j < k->nsites; j++) {
			size_t n;

			if (k->sites[j].name == NULL)
				continue;
			n = strlen(k->sites[j].name);
			if (strncmp(name, k->sites[j].name, n) == 0 &&
			    strcmp(name + n, "-internal") == 0)
				kproblem(p,
				    "spec.sites[%u].name: '%s' is "
				    "taken by the internal Service of site "
				    "'%s'",
				    i, name, k->sites[j].name);
		}
	}
}

static void
check_labels(
    yyjson_val *map, const char *path, bool values, struct kproblems *p)
{
	yyjson_obj_iter it = yyjson_obj_iter_with(map);
	yyjson_val *key, *val;

	while ((key = yyjson_obj_iter_next(&it)) != NULL) {
		val = yyjson_obj_iter_get_val(key);
		if (!ktext_label_key(yyjson_get_str(key)))
			kproblem(p, "%s: '%.80s' is not a valid key", path,
			    yyjson_get_str(key));
		else if (values && yyjson_is_str(val) &&
		    !ktext_label_value(yyjson_get_str(val)))
			kproblem(p,
			    "%s.%.80s: '%.80s' is not a valid label "
			    "value",
			    path, yyjson_get_str(key), yyjson_get_str(val));
	}
}

static void
check_conf(yyjson_val *map, const char *path, unsigned role, bool tls,
    struct kproblems *p)
{
	yyjson_obj_iter it = yyjson_obj_iter_with(map);
	yyjson_val *key, *val;
	const char *why;

	if (yyjson_obj_size(map) > KCONF_ENTRIES_MAX)
		kproblem(p, "%s: must have at most %d entries", path,
		    KCONF_ENTRIES_MAX);
	while ((key = yyjson_obj_iter_next(&it)) != NULL) {
		val = yyjson_obj_iter_get_val(key);
		if (!yyjson_is_str(val))
			continue;
		why = kconf_refused(
		    yyjson_get_str(key), yyjson_get_str(val), role, tls);
		if (why != NULL)
			kproblem(
			    p, "%s.%.64s: %s", path, yyjson_get_str(key), why);
	}
}

/*
 * ResourceRequirements are passed through. Some API servers answer 500 to a
 * list where a map is due, without a word about our field.
 */
static void
check_resources(yyjson_val *v, const char *path, struct kproblems *p)
{
	static const char *const maps[] = { "limits", "requests" };
	yyjson_val *m, *key;
	yyjson_obj_iter it;

	for (size_t i = 0; i < PS_NITEMS(maps); i++) {
		m = yyjson_obj_get(v, maps[i]);
		if (m != NULL && !yyjson_is_null(m) && !yyjson_is_obj(m))
			kproblem(p, "%s.%s: must be a map of quantities", path,
			    maps[i]);
		it = yyjson_obj_iter_with(m);
		while ((key = yyjson_obj_iter_next(&it)) != NULL)
			if (!ktext_quantity(
				yyjson_obj_iter_get_val(key), false))
				kproblem(p, "%s.%s.%.64s: must be a quantity",
				    path, maps[i], yyjson_get_str(key));
	}
}

static void
check_site(const struct kspec *k, unsigned i, struct kproblems *p)
{
	const struct ksite *s = &k->sites[i];
	char path[64];

	if (s->lb_ip != NULL && !ktext_ip(s->lb_ip))
		kproblem(p,
		    "spec.sites[%u].lbIP: '%.64s' is not an IP "
		    "address",
		    i, s->lb_ip);
	if (s->zone != NULL && !ktext_label_value(s->zone))
		kproblem(p,
		    "spec.sites[%u].zone: '%.80s' is not a valid "
		    "label value",
		    i, s->zone);
	if (s->storage_class != NULL && !ktext_dns_subdomain(s->storage_class))
		kproblem(p,
		    "spec.sites[%u].storage.storageClassName: '%.80s' "
		    "is not an object name",
		    i, s->storage_class);
	snprintf(path, sizeof(path), "spec.sites[%u].taintNodeSelector", i);
	check_labels(s->taint_selector, path, true, p);
	snprintf(path, sizeof(path), "spec.sites[%u].resources", i);
	check_resources(s->resources, path, p);
	snprintf(path, sizeof(path), "spec.sites[%u].mysqlConf", i);
	check_conf(s->mysql_conf, path, s->role, k->tls, p);
	snprintf(path, sizeof(path),
	    "spec.sites[%u].serviceTemplate.annotations", i);
	check_labels(s->svc.annotations, path, false, p);
}

static void
check_times(const struct kspec *k, struct kproblems *p)
{
	const struct {
		const char *path;
		int64_t ms;
	} longest[] = {
		{ "spec.failoverCooldown", k->cooldown_ms },
		{ "spec.connectionDrainTimeout", k->drain_ms },
	};

	if (k->poll_ms < POLL_MIN_MS || k->poll_ms > POLL_MAX_MS)
		kproblem(p, "spec.pollInterval: must be 100ms to 1h");
	for (size_t i = 0; i < PS_NITEMS(longest); i++)
		if (longest[i].ms > TIME_MAX_MS)
			kproblem(
			    p, "%s: must be at most 8760h", longest[i].path);
	/* Silence would not be a proof for as long as that. */
	if (k->lease_ms > LEASE_MAX_MS)
		kproblem(p, "spec.sidecar.leaseTimeout: must be at most 24h");
	if (k->clone_s > TIME_MAX_MS / 1000)
		kproblem(p, "spec.cloneTimeout: must be at most 31536000");
}

static void
check_secret(const char *name, const char *path, struct kproblems *p)
{
	if (name != NULL && !ktext_dns_subdomain(name))
		kproblem(p, "%s: '%.80s' is not an object name", path, name);
}

/* One of the first n of the list has that name. */
static bool
named_before(yyjson_val *list, size_t n, const char *name)
{
	yyjson_val *c;
	size_t i, max;

	yyjson_arr_foreach(list, i, max, c)
	{
		if (i < n && strcmp(str(c, "name"), name) == 0)
			return true;
	}
	return false;
}

/*
 * The name that a passed-through container must not have: one of ours, nor one
 * twice in a Pod, whose other list is before.
 */
static void
check_containers(
    yyjson_val *list, yyjson_val *before, const char *path, struct kproblems *p)
{
	static const char *const ours[] = { "mysql", "sidecar", "init", "guard",
		"keyring-init" };
	yyjson_arr_iter it = yyjson_arr_iter_with(list);
	yyjson_val *c;

	for (unsigned i = 0; (c = yyjson_arr_iter_next(&it)) != NULL; i++) {
		const char *name = str(c, "name");

		if (!ktext_dns_label(name))
			kproblem(
			    p, "%s[%u].name: must be a DNS label", path, i);
		for (size_t o = 0; o < PS_NITEMS(ours); o++)
			if (strcmp(name, ours[o]) == 0)
				kproblem(p, "%s[%u].name: '%s' is taken", path,
				    i, name);
		if (*name != '\0' &&
		    (named_before(list, i, name) ||
			named_before(before, yyjson_arr_size(before), name)))
			kproblem(p, "%s[%u].name: '%.64s' is there twice", path,
			    i, name);
	}
}

/* host:port, [v6]:port */
static bool
is_address(const char *s)
{
	char host[HOST_LEN + 3];
	const char *colon = strrchr(s, ':'), *err;
	size_t n;

	if (colon == NULL || (n = (size_t)(colon - s)) >= sizeof(host))
		return false;
	(void)strtonum(colon + 1, 1, 65535, &err);
	if (err != NULL)
		return false;
	memcpy(host, s, n);
	host[n] = '\0';
	if (host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = '\0';
		return ktext_ip(host + 1);
	}
	return ktext_hostname(host);
}

static void
check_sidecar(const struct kspec *k, struct kproblems *p)
{
	if (k->bloodraven_addr != NULL && !is_address(k->bloodraven_addr))
		kproblem(p,
		    "spec.sidecar.bloodravenAddress: '%.80s' is not "
		    "host:port",
		    k->bloodraven_addr);
	if (strlen(k->entrypoint) > PATH_LEN)
		kproblem(p, "spec.entrypoint: must be at most %d characters",
		    PATH_LEN);
}

void
krules_render(const struct kspec *k, struct kproblems *p)
{
	check_names(k, p);
	check_clashes(k, p);
	check_times(k, p);
	check_sidecar(k, p);
	if (k->dns_hostname != NULL && !ktext_hostname(k->dns_hostname))
		kproblem(p, "spec.dns.hostname: '%.80s' is not a host name",
		    k->dns_hostname);
	if (k->dns_ttl > INT32_MAX)
		kproblem(p, "spec.dns.ttl: must be at most 2147483647");
	check_secret(k->secret_name, "spec.secretName", p);
	check_secret(k->operator_secret, "spec.credentials.operatorSecret", p);
	check_secret(k->app_secret, "spec.credentials.appSecret", p);
	check_secret(k->readonly_secret, "spec.credentials.readOnlySecret", p);
	check_secret(k->monitor_secret, "spec.credentials.monitorSecret", p);
	check_secret(k->backup_secret, "spec.credentials.backupSecret", p);
	check_secret(k->tls_secret, "spec.tls.secretName", p);
	check_conf(k->mysql_conf, "spec.mysqlConf", ROLE_CANDIDATE, k->tls, p);
	check_labels(k->pod_labels, "spec.podLabels", true, p);
	check_labels(k->pod_annotations, "spec.podAnnotations", false, p);
	check_labels(
	    k->svc.annotations, "spec.serviceTemplate.annotations", false, p);
	check_resources(k->sidecar_resources, "spec.sidecarResources", p);
	check_containers(k->extra_containers, NULL, "spec.extraContainers", p);
	check_containers(
	    k->extra_init, k->extra_containers, "spec.extraInitContainers", p);
	for (unsigned i = 0; i < k->nsites; i++)
		check_site(k, i, p);
}
