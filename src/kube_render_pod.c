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
 * The Pod of a site (resources.md 3). What comes with the sidecar's
 * image is in kube_render_sidecar.c. Pure.
 */

#include <stdio.h>
#include <string.h>

#include "kube_render.h"

static bool
add_labels(const struct kbuild *b, yyjson_mut_val *meta)
{
	yyjson_obj_iter it = yyjson_obj_iter_with(b->k->pod_labels);
	yyjson_mut_val *labels;
	yyjson_val *key;

	labels = yyjson_mut_obj_add_obj(b->doc, meta, "labels");
	if (labels == NULL)
		return false;
	while ((key = yyjson_obj_iter_next(&it)) != NULL)
		if (!kset_str(b->doc, labels, yyjson_get_str(key),
			yyjson_get_str(yyjson_obj_iter_get_val(key))))
			return false;
	/*
	 * The last two never depend on the status: each change of it would
	 * roll the Pod. They are moved on the Pod itself.
	 */
	return krender_labels(b->doc, labels, b->k->name, b->s->name) &&
	    kset_str(
		b->doc, labels, KLABEL_ROLE, role_label_name(RL_REPLICA)) &&
	    kset_str(b->doc, labels, KLABEL_HEALTHY, "no");
}

static bool
add_meta(const struct kbuild *b, yyjson_mut_val *pod)
{
	yyjson_mut_val *meta, *fin;

	meta = yyjson_mut_obj_add_obj(b->doc, pod, "metadata");
	if (meta == NULL || !add_labels(b, meta) ||
	    !kput_copy(b->doc, meta, "annotations", b->k->pod_annotations))
		return false;
	/* Keeps the object until the word about its server's end was read. */
	fin = yyjson_mut_obj_add_arr(b->doc, meta, "finalizers");
	return fin != NULL &&
	    yyjson_mut_arr_add_str(b->doc, fin, BR_POD_FINALIZER);
}

/* role: the folder below KCREDS_DIR. */
struct cred {
	const char *role;
	const char *secret;
	const char *user_key, *password_key;
	bool optional;
};

#define CREDS_MAX 6

/* Which account comes from which Secret; how many. */
static unsigned
creds(const struct kspec *k, struct cred out[CREDS_MAX])
{
	const struct cred all[CREDS_MAX] = {
		{ "operator",
		    k->operator_secret != NULL ? k->operator_secret :
						 k->secret_name,
		    k->operator_secret != NULL ? "username" : NULL, "password",
		    k->operator_secret == NULL },
		{ "app", k->app_secret, "username", "password", false },
		{ "readonly", k->readonly_secret, "username", "password",
		    false },
		{ "monitor", k->monitor_secret, "username", "password", false },
		{ "backup", k->backup_secret, "username", "password", false },
		{ "replication",
		    k->operator_secret != NULL ? k->operator_secret :
						 k->secret_name,
		    "MYSQL_REPLICATION_USER", "MYSQL_REPLICATION_PASSWORD",
		    true },
	};
	unsigned n = 0;

	for (size_t i = 0; i < CREDS_MAX; i++)
		if (all[i].secret != NULL)
			out[n++] = all[i];
	return n;
}

/* The guard's file is only written where it comes from, and by the sidecar. */
static bool
add_mounts(const struct kbuild *b, yyjson_mut_val *ctr)
{
	struct cred c[CREDS_MAX];
	unsigned n = creds(b->k, c);
	char name[64], path[64];
	yyjson_mut_val *m;

	m = yyjson_mut_obj_add_arr(b->doc, ctr, "volumeMounts");
	if (m == NULL || !kpart_mount(b, m, "data", KDATA_DIR, false) ||
	    !kpart_mount(b, m, "conf", KCONF_DIR, false) ||
	    !kpart_mount(b, m, "bloodraven", KRUN_DIR, true) ||
	    !kpart_mount(b, m, "mysql-run", KSOCK_DIR, false) ||
	    !kpart_mount(b, m, "keys", KKEYS_DIR, true) ||
	    !kpart_mount(b, m, "init-users", KINITDB_DIR, true) ||
	    (b->k->tls && !kpart_mount(b, m, "tls", KTLS_DIR, true)))
		return false;
	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "creds-%s", c[i].role);
		snprintf(path, sizeof(path), KCREDS_DIR "/%s", c[i].role);
		if (!kpart_mount(b, m, name, path, true))
			return false;
	}
	return true;
}

static yyjson_mut_val *
add_volume(const struct kbuild *b, yyjson_mut_val *vols, const char *name,
    const char *source)
{
	yyjson_mut_val *v = yyjson_mut_arr_add_obj(b->doc, vols);

	if (v == NULL || !kput_str(b->doc, v, "name", name))
		return NULL;
	return yyjson_mut_obj_add_obj(b->doc, v, source);
}

static bool
add_item(const struct kbuild *b, yyjson_mut_val *items, const char *key,
    const char *path)
{
	yyjson_mut_val *i = yyjson_mut_arr_add_obj(b->doc, items);

	return i != NULL && kput_str(b->doc, i, "key", key) &&
	    kput_str(b->doc, i, "path", path);
}

/*
 * World-readable inside the Pod: mysqld's uid is the image's own affair, and
 * without an fsGroup nothing else can read root's files.
 */
static bool
add_cred(const struct kbuild *b, yyjson_mut_val *vols, const struct cred *c)
{
	char name[64];
	yyjson_mut_val *v, *items;

	snprintf(name, sizeof(name), "creds-%s", c->role);
	v = add_volume(b, vols, name, "secret");
	if (v == NULL || !kput_str(b->doc, v, "secretName", c->secret) ||
	    !yyjson_mut_obj_add_int(b->doc, v, "defaultMode", 0444) ||
	    (items = yyjson_mut_obj_add_arr(b->doc, v, "items")) == NULL)
		return false;
	/* One Secret for all: the account is in its DSN. */
	if (c->user_key == NULL) {
		if (!add_item(b, items, "dsn", "dsn") ||
		    !add_item(b, items, "MYSQL_ROOT_PASSWORD", "root-password"))
			return false;
	} else if (!add_item(b, items, c->user_key, "username") ||
	    !add_item(b, items, c->password_key, "password"))
		return false;
	return !c->optional ||
	    yyjson_mut_obj_add_bool(b->doc, v, "optional", true);
}

/*
 * In memory: a full or failing disk of the node must keep neither the guard
 * nor mysqld from starting again.
 */
static bool
add_memory(const struct kbuild *b, yyjson_mut_val *vols, const char *name)
{
	yyjson_mut_val *v = add_volume(b, vols, name, "emptyDir");

	return v != NULL && kput_str(b->doc, v, "medium", "Memory") &&
	    kput_str(b->doc, v, "sizeLimit", "16Mi");
}

/* Group-readable: by fsGroup, whoever our containers run as. */
static bool
add_keys(const struct kbuild *b, yyjson_mut_val *vols)
{
	yyjson_mut_val *v = add_volume(b, vols, "keys", "secret");

	return v != NULL &&
	    kput_fmt(b->doc, v, "secretName", "mysql-%s-%s-lease", b->k->name,
		b->s->name) &&
	    yyjson_mut_obj_add_int(b->doc, v, "defaultMode", 0440);
}

static bool
add_volumes(const struct kbuild *b, yyjson_mut_val *spec)
{
	struct cred c[CREDS_MAX];
	unsigned n = creds(b->k, c);
	yyjson_mut_val *vols, *v;

	vols = yyjson_mut_obj_add_arr(b->doc, spec, "volumes");
	if (vols == NULL ||
	    (v = add_volume(b, vols, "data", "persistentVolumeClaim")) ==
		NULL ||
	    !kput_fmt(b->doc, v, "claimName", "mysql-%s-%s-data", b->k->name,
		b->s->name) ||
	    add_volume(b, vols, "conf", "emptyDir") == NULL ||
	    !add_memory(b, vols, "bloodraven") ||
	    !add_memory(b, vols, "mysql-run") || !add_keys(b, vols) ||
	    (v = add_volume(b, vols, "config", "configMap")) == NULL ||
	    !kput_fmt(b->doc, v, "name", "mysql-%s-%s-config", b->k->name,
		b->s->name) ||
	    (v = add_volume(b, vols, "init-users", "configMap")) == NULL ||
	    !kput_fmt(b->doc, v, "name", "mysql-%s-init-users", b->k->name) ||
	    !yyjson_mut_obj_add_int(b->doc, v, "defaultMode", 0555))
		return false;
	if (b->k->tls &&
	    ((v = add_volume(b, vols, "tls", "secret")) == NULL ||
		!kput_str(b->doc, v, "secretName", b->k->tls_secret)))
		return false;
	for (unsigned i = 0; i < n; i++)
		if (!add_cred(b, vols, &c[i]))
			return false;
	return true;
}

static bool
add_shell(const struct kbuild *b, yyjson_mut_val *obj, const char *script,
    const char *name)
{
	yyjson_mut_val *cmd;

	cmd = yyjson_mut_obj_add_arr(b->doc, obj, "command");
	return cmd != NULL && yyjson_mut_arr_add_str(b->doc, cmd, "/bin/sh") &&
	    yyjson_mut_arr_add_str(b->doc, cmd, "-c") &&
	    yyjson_mut_arr_add_str(b->doc, cmd, script) &&
	    yyjson_mut_arr_add_str(b->doc, cmd, name);
}

static bool
add_args(const struct kbuild *b, yyjson_mut_val *ctr)
{
	static const char *const fixed[] = {
		"--gtid-mode=ON",
		"--enforce-gtid-consistency=ON",
		"--log-bin=" KDATA_DIR "/mysql-bin",
		"--relay-log=" KDATA_DIR "/mysql-relay-bin",
		"--relay-log-index=" KDATA_DIR "/mysql-relay-bin.index",
		"--log-replica-updates=ON",
		"--skip-replica-start=ON",
	};
	static const char *const tls[] = {
		"--ssl-ca=" KTLS_DIR "/ca.crt",
		"--ssl-cert=" KTLS_DIR "/tls.crt",
		"--ssl-key=" KTLS_DIR "/tls.key",
		"--require-secure-transport=ON",
	};
	char id[32];
	yyjson_mut_val *args;
	bool ok;

	snprintf(id, sizeof(id), "--server-id=%u", b->s->server_id);
	args = yyjson_mut_obj_add_arr(b->doc, ctr, "args");
	ok = args != NULL && yyjson_mut_arr_add_str(b->doc, args, "mysqld") &&
	    yyjson_mut_arr_add_strcpy(b->doc, args, id);
	for (size_t i = 0; ok && i < PS_NITEMS(fixed); i++)
		ok = yyjson_mut_arr_add_str(b->doc, args, fixed[i]);
	for (size_t i = 0; ok && b->k->tls && i < PS_NITEMS(tls); i++)
		ok = yyjson_mut_arr_add_str(b->doc, args, tls[i]);
	return ok;
}

/*
 * Whole Secrets are not taken over: MYSQL_DATABASE would fill fresh sites. In
 * secretName mode only a first boot needs the password: the image says so.
 */
static bool
add_env(const struct kbuild *b, yyjson_mut_val *ctr)
{
	const struct kspec *k = b->k;
	bool legacy = k->operator_secret == NULL;
	yyjson_mut_val *env = yyjson_mut_obj_add_arr(b->doc, ctr, "env");

	return env != NULL &&
	    kpart_env_secret(b, env, "MYSQL_ROOT_PASSWORD",
		legacy ? k->secret_name : k->operator_secret,
		"MYSQL_ROOT_PASSWORD", legacy) &&
	    /* The rest is for the guard. */
	    kpart_env(b, env, "BLOODRAVEN_ENTRYPOINT", k->entrypoint) &&
	    kpart_env(b, env, "MY_SITE", b->s->name) &&
	    kpart_env(b, env, "FAILOVER_GROUP", k->name) &&
	    kpart_env_field(b, env, "MY_POD_UID", "metadata.uid") &&
	    kpart_env_field(b, env, "POD_NAMESPACE", "metadata.namespace");
}

static bool
add_probe(const struct kbuild *b, yyjson_mut_val *ctr, const char *name,
    int delay, int period, int failures)
{
	yyjson_mut_val *p, *tcp;

	if ((p = yyjson_mut_obj_add_obj(b->doc, ctr, name)) == NULL ||
	    (tcp = yyjson_mut_obj_add_obj(b->doc, p, "tcpSocket")) == NULL ||
	    !yyjson_mut_obj_add_int(b->doc, tcp, "port", KMYSQL_PORT))
		return false;
	return (delay == 0 ||
		   yyjson_mut_obj_add_int(
		       b->doc, p, "initialDelaySeconds", delay)) &&
	    yyjson_mut_obj_add_int(b->doc, p, "periodSeconds", period) &&
	    (failures == 0 ||
		yyjson_mut_obj_add_int(
		    b->doc, p, "failureThreshold", failures));
}

/*
 * Liveness alone would kill a long crash recovery or first initialisation
 * after a minute, for ever; it begins when the server listens. The guard
 * restarts mysqld in place: a recovery may come at any time, and gets the
 * same hour.
 */
static bool
add_probes(const struct kbuild *b, yyjson_mut_val *ctr)
{
	return add_probe(b, ctr, "startupProbe", 0, 5, 720) &&
	    add_probe(b, ctr, "livenessProbe", 30, 10, 360) &&
	    add_probe(b, ctr, "readinessProbe", 5, 5, 0);
}

static bool
add_prestop(const struct kbuild *b, yyjson_mut_val *ctr)
{
	yyjson_mut_val *v;

	return (v = yyjson_mut_obj_add_obj(b->doc, ctr, "lifecycle")) != NULL &&
	    (v = yyjson_mut_obj_add_obj(b->doc, v, "preStop")) != NULL &&
	    (v = yyjson_mut_obj_add_obj(b->doc, v, "exec")) != NULL &&
	    add_shell(b, v, kscript_stop, "stop");
}

static bool
add_mysql(const struct kbuild *b, yyjson_mut_val *ctrs)
{
	static const char *const command[] = { KRUN_DIR "/guard", NULL };
	yyjson_mut_val *c = yyjson_mut_arr_add_obj(b->doc, ctrs), *p;

	return c != NULL && kput_str(b->doc, c, "name", "mysql") &&
	    kput_str(b->doc, c, "image", b->k->image) &&
	    kpart_argv(b, c, "command", command) && add_args(b, c) &&
	    add_env(b, c) &&
	    (p = yyjson_mut_obj_add_arr(b->doc, c, "ports")) != NULL &&
	    kpart_port(b, p, "mysql", KMYSQL_PORT) &&
	    kput_copy(b->doc, c, "resources", b->s->resources) &&
	    kpart_security(b, c, false) && add_probes(b, c) &&
	    add_prestop(b, c) && add_mounts(b, c);
}

static bool
add_init(const struct kbuild *b, yyjson_mut_val *ctrs)
{
	yyjson_mut_val *c = yyjson_mut_arr_add_obj(b->doc, ctrs), *v;
	char id[16];

	snprintf(id, sizeof(id), "%u", b->s->server_id);
	if (c == NULL || !kput_str(b->doc, c, "name", "init") ||
	    !kput_str(b->doc, c, "image", b->k->image) ||
	    !add_shell(b, c, kscript_init, "init") ||
	    (v = yyjson_mut_obj_add_arr(b->doc, c, "args")) == NULL ||
	    !yyjson_mut_arr_add_strcpy(b->doc, v, id) ||
	    (v = yyjson_mut_obj_add_obj(b->doc, c, "resources")) == NULL ||
	    (v = yyjson_mut_obj_add_obj(b->doc, v, "requests")) == NULL ||
	    !kput_str(b->doc, v, "cpu", "100m") ||
	    !kput_str(b->doc, v, "memory", "128Mi") ||
	    !kpart_security(b, c, false) ||
	    (v = yyjson_mut_obj_add_arr(b->doc, c, "volumeMounts")) == NULL)
		return false;
	return kpart_mount(b, v, "config", KMAP_DIR, true) &&
	    kpart_mount(b, v, "conf", KCONF_DIR, false);
}

/*
 * Ports are told apart by number and protocol: API servers before 1.20 refuse
 * to apply one that leaves the latter to its default.
 */
static bool
name_protocols(const struct kbuild *b, yyjson_mut_val *ctr)
{
	yyjson_mut_val *ports = yyjson_mut_obj_get(ctr, "ports"), *p;
	size_t i, n;

	yyjson_mut_arr_foreach(ports, i, n, p)
	{
		if (yyjson_mut_is_obj(p) &&
		    yyjson_mut_obj_get(p, "protocol") == NULL &&
		    !kput_str(b->doc, p, "protocol", "TCP"))
			return false;
	}
	return true;
}

static bool
add_all(const struct kbuild *b, yyjson_mut_val *arr, yyjson_val *list)
{
	yyjson_arr_iter it = yyjson_arr_iter_with(list);
	yyjson_val *e;
	yyjson_mut_val *copy;

	while ((e = yyjson_arr_iter_next(&it)) != NULL) {
		copy = yyjson_val_mut_copy(b->doc, e);
		if (copy == NULL || !name_protocols(b, copy) ||
		    !yyjson_mut_arr_append(arr, copy))
			return false;
	}
	return true;
}

static bool
add_placement(const struct kbuild *b, yyjson_mut_val *spec)
{
	yyjson_mut_val *v;

	if ((v = yyjson_mut_obj_add_obj(b->doc, spec, "nodeSelector")) ==
		NULL ||
	    !kput_str(b->doc, v, "topology.kubernetes.io/zone", b->s->zone) ||
	    (v = yyjson_mut_obj_add_arr(b->doc, spec, "tolerations")) == NULL ||
	    (v = yyjson_mut_arr_add_obj(b->doc, v)) == NULL)
		return false;
	return kput_fmt(b->doc, v, "key", KTAINT_PREFIX "%s", b->k->name) &&
	    kput_str(b->doc, v, "operator", "Exists");
}

static bool
add_containers(const struct kbuild *b, yyjson_mut_val *spec)
{
	yyjson_mut_val *arr;

	return (arr = yyjson_mut_obj_add_arr(b->doc, spec, "initContainers")) !=
	    NULL &&
	    krender_guard(b, arr) && add_init(b, arr) &&
	    add_all(b, arr, b->k->extra_init) &&
	    (arr = yyjson_mut_obj_add_arr(b->doc, spec, "containers")) !=
	    NULL &&
	    add_mysql(b, arr) && krender_sidecar(b, arr) &&
	    add_all(b, arr, b->k->extra_containers);
}

yyjson_mut_val *
krender_pod(
    yyjson_mut_doc *doc, const struct kspec *k, unsigned site, bool for_hash)
{
	const struct kbuild b = { doc, k, &k->sites[site], for_hash };
	yyjson_mut_val *pod = yyjson_mut_obj(doc), *spec;

	if (pod == NULL || !add_meta(&b, pod) ||
	    (spec = yyjson_mut_obj_add_obj(doc, pod, "spec")) == NULL ||
	    !add_placement(&b, spec) ||
	    /* No API rights, and no MYSQL_* variables from Services. */
	    !yyjson_mut_obj_add_bool(
		doc, spec, "automountServiceAccountToken", false) ||
	    !yyjson_mut_obj_add_bool(doc, spec, "enableServiceLinks", false) ||
	    !yyjson_mut_obj_add_int(
		doc, spec, "terminationGracePeriodSeconds", k->grace_s) ||
	    !kpart_pod_security(&b, spec) || !add_containers(&b, spec) ||
	    !add_volumes(&b, spec))
		return NULL;
	return pod;
}
