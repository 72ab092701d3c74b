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
 * A MysqlFailoverGroup → struct kspec, and from there what the parent is
 * told. Pure.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube_schema.h"

#define SERVER_ID_FIRST 101

static const char *
text(yyjson_val *v, const char *name)
{
	yyjson_val *m = yyjson_obj_get(v, name);

	/* Text with NUL inside is none of ours. */
	if (!yyjson_is_str(m) || yyjson_get_len(m) == 0 ||
	    strlen(yyjson_get_str(m)) != yyjson_get_len(m))
		return NULL;
	return yyjson_get_str(m);
}

/* A member of this shape, else NULL: renderers need not look again. */
static yyjson_val *
object(yyjson_val *v, const char *name)
{
	yyjson_val *m = yyjson_obj_get(v, name);

	return yyjson_is_obj(m) ? m : NULL;
}

static yyjson_val *
list(yyjson_val *v, const char *name)
{
	yyjson_val *m = yyjson_obj_get(v, name);

	return yyjson_is_arr(m) ? m : NULL;
}

static int
decode_meta(yyjson_val *meta, struct kspec *k, struct kproblems *p)
{
	yyjson_arr_iter it;
	yyjson_val *f;

	k->name = text(meta, "name");
	k->ns = text(meta, "namespace");
	k->resource_version = text(meta, "resourceVersion");
	k->generation = yyjson_get_sint(yyjson_obj_get(meta, "generation"));
	k->deleting = text(meta, "deletionTimestamp") != NULL;
	it = yyjson_arr_iter_with(yyjson_obj_get(meta, "finalizers"));
	while ((f = yyjson_arr_iter_next(&it)) != NULL)
		if (yyjson_equals_str(f, BR_FINALIZER))
			k->finalizer = true;
	if (k->name == NULL || k->ns == NULL || strlen(k->name) > NAME_LEN ||
	    strlen(k->ns) > NS_LEN || text(meta, "uid") == NULL ||
	    strlen(text(meta, "uid")) > UID_LEN) {
		kproblem(p, "metadata: has no usable name, namespace or uid");
		return -1;
	}
	k->uid = text(meta, "uid");
	return 0;
}

static void
decode_svc(const struct kobject *o, yyjson_val *v, struct ksvc *svc)
{
	svc->type = text(v, "type");
	svc->policy = text(v, "externalTrafficPolicy");
	svc->annotations = object(v, "annotations");
	svc->node_port = 0;
	if (o != NULL && yyjson_is_int(yyjson_obj_get(v, "nodePort")))
		svc->node_port = kget_int(o, v, "nodePort");
}

static void
decode_site(yyjson_val *v, unsigned i, struct ksite *s)
{
	const struct kobject *o = kschema_child(&kschema_spec, "sites");
	yyjson_val *storage = object(v, "storage");
	int role = -1;

	s->name = text(v, "name");
	if (s->name != NULL && strlen(s->name) > NAME_LEN)
		s->name = NULL;
	if (kget_str(o, v, "role") != NULL)
		role = role_parse(kget_str(o, v, "role"));
	/* An unknown role was reported; the least powerful stands for it. */
	s->role = role == -1 ? ROLE_READER : (unsigned)role;
	s->zone = text(v, "zone");
	s->lb_ip = text(v, "lbIP");
	s->storage_class = text(storage, "storageClassName");
	s->storage_size = yyjson_obj_get(storage, "size");
	s->resources = object(v, "resources");
	s->taint_selector = object(v, "taintNodeSelector");
	s->mysql_conf = object(v, "mysqlConf");
	decode_svc(kschema_child(o, "serviceTemplate"),
	    object(v, "serviceTemplate"), &s->svc);
	s->server_id = SERVER_ID_FIRST + i;
}

static void
decode_sites(yyjson_val *spec, struct kspec *k)
{
	yyjson_arr_iter it = yyjson_arr_iter_with(list(spec, "sites"));
	yyjson_val *e;

	while (
	    k->nsites < SITES_MAX && (e = yyjson_arr_iter_next(&it)) != NULL) {
		decode_site(e, k->nsites, &k->sites[k->nsites]);
		k->nsites++;
	}
	it = yyjson_arr_iter_with(
	    list(object(spec, "splitBrainPolicy"), "sitePriorities"));
	while (k->npriorities < SITES_MAX &&
	    (e = yyjson_arr_iter_next(&it)) != NULL)
		if (yyjson_is_str(e) && yyjson_get_len(e) <= NAME_LEN)
			k->priorities[k->npriorities++] = yyjson_get_str(e);
}

static void
decode_secrets(yyjson_val *spec, struct kspec *k)
{
	yyjson_val *c = object(spec, "credentials");

	k->secret_name = text(spec, "secretName");
	k->operator_secret = text(c, "operatorSecret");
	k->app_secret = text(c, "appSecret");
	k->readonly_secret = text(c, "readOnlySecret");
	k->monitor_secret = text(c, "monitorSecret");
	k->backup_secret = text(c, "backupSecret");
	k->tls_secret = text(object(spec, "tls"), "secretName");
	k->tls = k->tls_secret != NULL;
}

static void
decode_times(yyjson_val *spec, struct kspec *k)
{
	const struct kobject *o = &kschema_spec;
	const struct kobject *repl = kschema_child(o, "replication");
	yyjson_val *r = object(spec, "replication");

	k->poll_ms = kget_ms(o, spec, "pollInterval");
	k->failure_threshold = kget_int(o, spec, "failureThreshold");
	k->recovery_threshold = kget_int(o, spec, "recoveryThreshold");
	k->cooldown_ms = kget_ms(o, spec, "failoverCooldown");
	/* api.md 1.1: 0 is not "none" but the default. */
	if (k->cooldown_ms == 0)
		k->cooldown_ms = kget_ms(o, NULL, "failoverCooldown");
	if (k->poll_ms == 0)
		k->poll_ms = kget_ms(o, NULL, "pollInterval");
	k->drain_ms = kget_ms(o, spec, "connectionDrainTimeout");
	k->clone_s = kget_int(o, spec, "cloneTimeout");
	k->grace_s = kget_int(o, spec, "terminationGracePeriodSeconds");
	k->max_lag_s = kget_int(repl, r, "maxLagSeconds");
	k->reader_max_lag_s = k->max_lag_s;
	if (yyjson_is_int(yyjson_obj_get(r, "readOnlyMaxLagSeconds")))
		k->reader_max_lag_s =
		    kget_int(repl, r, "readOnlyMaxLagSeconds");
}

static void
decode_sidecar(yyjson_val *spec, struct kspec *k)
{
	const struct kobject *o = kschema_child(&kschema_spec, "sidecar");
	yyjson_val *v = object(spec, "sidecar");

	k->sidecar_image = kget_str(&kschema_spec, spec, "sidecarImage");
	k->sidecar_resources = object(spec, "sidecarResources");
	k->lease_ms = kget_ms(o, v, "leaseTimeout");
	k->peer_check_ms = kget_ms(o, v, "peerCheckInterval");
	k->lease_text = kget_str(o, v, "leaseTimeout");
	k->peer_check_text = kget_str(o, v, "peerCheckInterval");
	k->bloodraven_addr = text(v, "bloodravenAddress");
}

static void
decode_spec(yyjson_val *spec, struct kspec *k)
{
	const struct kobject *dns = kschema_child(&kschema_spec, "dns");

	k->image = kget_str(&kschema_spec, spec, "image");
	k->entrypoint = kget_str(&kschema_spec, spec, "entrypoint");
	decode_sites(spec, k);
	decode_secrets(spec, k);
	decode_times(spec, k);
	decode_sidecar(spec, k);
	k->dns_hostname = text(object(spec, "dns"), "hostname");
	k->dns_ttl = kget_int(dns, object(spec, "dns"), "ttl");
	k->mysql_conf = object(spec, "mysqlConf");
	k->pod_labels = object(spec, "podLabels");
	k->pod_annotations = object(spec, "podAnnotations");
	k->pod_security = object(spec, "podSecurityContext");
	k->ctr_security = object(spec, "containerSecurityContext");
	k->extra_containers = list(spec, "extraContainers");
	k->extra_init = list(spec, "extraInitContainers");
	k->recreate = yyjson_equals_str(
	    yyjson_obj_get(spec, "updateStrategy"), "Recreate");
	k->delete_data =
	    yyjson_equals_str(yyjson_obj_get(spec, "deletionPolicy"), "Delete");
	decode_svc(NULL, object(spec, "serviceTemplate"), &k->svc);
}

int
kspec_decode(yyjson_val *cr, struct kspec *k, struct kproblems *p)
{
	unsigned before = p->n;
	yyjson_val *spec = object(cr, "spec");

	memset(k, 0, sizeof(*k));
	if (decode_meta(object(cr, "metadata"), k, p) == -1) {
		errno = EBADMSG;
		return -1;
	}
	if (spec == NULL)
		kproblem(p, "spec: required");
	else
		kschema_check(&kschema_spec, spec, "spec", p, k->unused,
		    sizeof(k->unused));
	decode_spec(spec, k);
	krules_render(k, p);
	if (p->n == before)
		return 0;
	errno = EBADMSG;
	return -1;
}

/* ---------------------------------------------- what its status forbids -- */

/*
 * The active site cannot be taken away, or be given another name: nobody would
 * ask it any more what it has that the others have not, and whoever is
 * promoted then would do without.
 */
static void
check_active(yyjson_val *cr, const struct kspec *k, struct kproblems *p)
{
	const char *active =
	    text(object(object(cr, "status"), "authority"), "activeSite");

	if (active != NULL && k->nsites > 0 && kspec_site(k, active) == -1)
		kproblem(p,
		    "spec.sites: '%.64s' is the active site and must stay "
		    "until another one is",
		    active);
}

/*
 * What would be a loss if it were ignored. Whoever asks for his data gets no
 * group without them, and of whoever asks for encryption no plain data are
 * made; a server whose data the reference encrypted could not read them from
 * our template. What has a record goes on: a next leader would leave it alone,
 * without anybody to fail it over.
 */
static void
check_unbuilt(yyjson_val *cr, struct kproblems *p)
{
	yyjson_val *spec = object(cr, "spec"), *status = object(cr, "status");

	if (object(status, "authority") != NULL)
		return;
	if (yyjson_is_true(
		yyjson_obj_get(object(spec, "encryptionAtRest"), "enabled")))
		kproblem(p,
		    "spec.encryptionAtRest.enabled: this release encrypts "
		    "nothing, and runs no server whose data are");
	/* A group that the reference made had its first bootstrap. */
	if (object(spec, "initFromBackup") != NULL &&
	    text(status, "activeSite") == NULL)
		kproblem(p,
		    "spec.initFromBackup: this release restores nothing: "
		    "the group would be empty");
}

int
kspec_judge(yyjson_val *cr, struct kspec *k, struct kproblems *p)
{
	unsigned before = p->n;

	if (kspec_decode(cr, k, p) == -1 && k->uid == NULL)
		return -1;
	check_active(cr, k, p);
	check_unbuilt(cr, p);
	if (p->n == before)
		return 0;
	errno = EBADMSG;
	return -1;
}

/* ---------------------------------------------------------- server ids -- */

static uint32_t
id_of(const char *s)
{
	const char *err;

	return s == NULL ? 0 : (uint32_t)strtonum(s, 1, UINT32_MAX, &err);
}

/* Of a Deployment that the reference made: it has no such annotation. */
static uint32_t
argument_id(yyjson_val *deployment)
{
	static const char option[] = "--server-id=";
	yyjson_val *pod, *c, *a;
	yyjson_arr_iter it, args;

	pod = object(object(object(deployment, "spec"), "template"), "spec");
	it = yyjson_arr_iter_with(list(pod, "containers"));
	while ((c = yyjson_arr_iter_next(&it)) != NULL) {
		if (!yyjson_equals_str(yyjson_obj_get(c, "name"), "mysql"))
			continue;
		args = yyjson_arr_iter_with(list(c, "args"));
		while ((a = yyjson_arr_iter_next(&args)) != NULL)
			if (yyjson_is_str(a) &&
			    strncmp(yyjson_get_str(a), option,
				sizeof(option) - 1) == 0)
				return id_of(
				    yyjson_get_str(a) + sizeof(option) - 1);
	}
	return 0;
}

/* Of a live Deployment or PVC; 0 when it has none. */
static uint32_t
live_id(yyjson_val *obj)
{
	uint32_t id = id_of(text(
	    object(object(obj, "metadata"), "annotations"), KANN_SERVER_ID));

	return id != 0 ? id : argument_id(obj);
}

static bool
id_live(yyjson_val *items, uint32_t id)
{
	yyjson_arr_iter it = yyjson_arr_iter_with(items);
	yyjson_val *d;

	while ((d = yyjson_arr_iter_next(&it)) != NULL)
		if (live_id(d) == id)
			return true;
	return false;
}

static bool
id_used(const struct kspec *k, uint32_t id)
{
	for (unsigned i = 0; i < k->nsites; i++)
		if (k->sites[i].server_id == id)
			return true;
	return false;
}

/* Sites that have no id yet get what their objects say, but none twice. */
static void
take_ids(struct kspec *k, enum kobj_kind kind, yyjson_val *items)
{
	yyjson_arr_iter it = yyjson_arr_iter_with(items);
	yyjson_val *d;
	uint32_t id;
	int i;

	while ((d = yyjson_arr_iter_next(&it)) != NULL) {
		id = live_id(d);
		i = kspec_site_named(
		    k, kind, text(object(d, "metadata"), "name"));
		if (id != 0 && i != -1 && k->sites[i].server_id == 0 &&
		    !id_used(k, id))
			k->sites[i].server_id = id;
	}
}

void
kspec_server_ids(struct kspec *k, yyjson_val *deployments, yyjson_val *volumes)
{
	uint32_t id;

	for (unsigned n = 0; n < k->nsites; n++)
		k->sites[n].server_id = 0;
	take_ids(k, KO_DEPLOYMENT, deployments);
	take_ids(k, KO_PVC, volumes);
	for (unsigned n = 0; n < k->nsites; n++) {
		if (k->sites[n].server_id != 0)
			continue;
		id = SERVER_ID_FIRST + n;
		if (id_used(k, id) || id_live(deployments, id) ||
		    id_live(volumes, id))
			for (id = SERVER_ID_FIRST; id_used(k, id) ||
			    id_live(deployments, id) || id_live(volumes, id);)
				id++;
		k->sites[n].server_id = id;
	}
}

int
kspec_site(const struct kspec *k, const char *name)
{
	for (unsigned i = 0; i < k->nsites; i++)
		if (k->sites[i].name != NULL &&
		    strcmp(k->sites[i].name, name) == 0)
			return (int)i;
	return -1;
}

/* --------------------------------------------------------- for parents -- */

static void
conf_site(const struct kspec *k, const struct ksite *s, struct m_site *out)
{
	const char *name = s->name == NULL ? "" : s->name;

	strlcpy(out->name, name, sizeof(out->name));
	out->role = s->role;
	if (s->lb_ip != NULL)
		strlcpy(out->lb_ip, s->lb_ip, sizeof(out->lb_ip));
	snprintf(out->host, sizeof(out->host),
	    "mysql-%s-%s-internal.%s.svc.cluster.local", k->name, name, k->ns);
	snprintf(out->tls_name, sizeof(out->tls_name),
	    "mysql-%s-%s.%s.svc.cluster.local", k->name, name, k->ns);
	out->server_id = s->server_id;
}

void
kspec_conf(
    const struct kspec *k, const struct kproblems *p, struct m_group_conf *m)
{
	memset(m, 0, sizeof(*m));
	strlcpy(m->group, k->uid, sizeof(m->group));
	strlcpy(m->ns, k->ns, sizeof(m->ns));
	strlcpy(m->name, k->name, sizeof(m->name));
	m->generation = k->generation;
	m->deleting = k->deleting;
	m->valid = p == NULL || p->n == 0;
	if (p != NULL)
		kproblems_join(p, m->problem, sizeof(m->problem));
	strlcpy(m->unused_fields, k->unused, sizeof(m->unused_fields));
	m->recreate = k->recreate;
	m->poll_ms = k->poll_ms;
	m->failure_threshold = (uint32_t)k->failure_threshold;
	m->recovery_threshold = (uint32_t)k->recovery_threshold;
	m->cooldown_ms = k->cooldown_ms;
	m->drain_ms = k->drain_ms;
	m->clone_ms = k->clone_s * 1000;
	m->max_lag_s = k->max_lag_s;
	m->reader_max_lag_s = k->reader_max_lag_s;
	m->lease_ms = k->lease_ms;
	m->check_ms = k->peer_check_ms;
	m->tls = k->tls;
	if (k->dns_hostname != NULL)
		strlcpy(
		    m->dns_hostname, k->dns_hostname, sizeof(m->dns_hostname));
	m->dns_ttl = k->dns_ttl;
	for (unsigned i = 0; i < k->nsites; i++)
		conf_site(k, &k->sites[i], &m->sites[m->n_sites++]);
	for (unsigned i = 0; i < k->npriorities; i++)
		strlcpy(m->priorities[m->n_priorities++].name, k->priorities[i],
		    sizeof(m->priorities[0].name));
}

unsigned
kspec_secrets(const struct kspec *k, const char *names[KSECRETS_MAX])
{
	const char *all[] = { k->operator_secret != NULL ? k->operator_secret :
							   k->secret_name,
		k->app_secret, k->readonly_secret, k->monitor_secret,
		k->backup_secret, k->tls ? k->tls_secret : NULL };
	unsigned n = 0, j;

	for (size_t i = 0; i < PS_NITEMS(all); i++) {
		if (all[i] == NULL)
			continue;
		for (j = 0; j < n && strcmp(names[j], all[i]) != 0; j++)
			;
		if (j == n)
			names[n++] = all[i];
	}
	return n;
}
