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
 * What the sidecar's image brings into a MySQL Pod (resources.md 3.3): the
 * guard, copied by an init container to where container mysql starts it, and
 * the sidecar. Pure.
 */

#include <stdio.h>
#include <string.h>

#include "kube_render.h"

/*
 * The init container's own place and name are in the image; the copy is one
 * file without libraries, for an image that has neither.
 */
bool
krender_guard(const struct kbuild *b, yyjson_mut_val *ctrs)
{
	static const char *const command[] = { "bloodraven-guard", "-i",
		KRUN_DIR "/guard", NULL };
	yyjson_mut_val *c = yyjson_mut_arr_add_obj(b->doc, ctrs), *v;

	if (c == NULL || !kput_str(b->doc, c, "name", "guard") ||
	    !kput_str(b->doc, c, "image", b->k->sidecar_image) ||
	    !kpart_argv(b, c, "command", command) ||
	    (v = yyjson_mut_obj_add_obj(b->doc, c, "resources")) == NULL ||
	    (v = yyjson_mut_obj_add_obj(b->doc, v, "requests")) == NULL ||
	    !kput_str(b->doc, v, "cpu", "10m") ||
	    !kput_str(b->doc, v, "memory", "16Mi") ||
	    !kpart_security(b, c, true) ||
	    (v = yyjson_mut_obj_add_arr(b->doc, c, "volumeMounts")) == NULL)
		return false;
	return kpart_mount(b, v, "bloodraven", KRUN_DIR, false);
}

/*
 * Every other site's sidecar, in the order of the spec, for who reads it in the
 * Pod. Not hashed: ours takes addresses from signed offers, and a site that is
 * added or removed must not make all others restart.
 */
static bool
add_peers(const struct kbuild *b, yyjson_mut_val *env)
{
	yyjson_mut_val *e, *v;
	struct kbuf buf = { 0 };

	if (b->hash)
		return true;
	e = yyjson_mut_arr_add_obj(b->doc, env);
	for (unsigned i = 0; i < b->k->nsites; i++) {
		const struct ksite *s = &b->k->sites[i];

		if (s == b->s)
			continue;
		kbuf_addf(&buf,
		    "%smysql-%s-%s-internal.%s.svc.cluster.local:%d",
		    buf.len == 0 ? "" : ",", b->k->name, s->name, b->k->ns,
		    KSIDECAR_PORT);
	}
	v = kbuf_take(&buf, b->doc);
	return e != NULL && v != NULL &&
	    kput_str(b->doc, e, "name", "PEER_ADDRESSES") &&
	    yyjson_mut_obj_add_val(b->doc, e, "value", v);
}

/* spec.sidecar: not hashed, see kspec_hash(). */
static bool
add_knobs(const struct kbuild *b, yyjson_mut_val *env)
{
	const struct kspec *k = b->k;
	const char *addr = k->bloodraven_addr;
	char own[HOST_LEN + 1];

	if (b->hash)
		return true;
	snprintf(
	    own, sizeof(own), "bloodraven.%s.svc.cluster.local:8082", k->ns);
	if (addr == NULL)
		addr = k->aux_addr != NULL ? k->aux_addr : own;
	return kpart_env(b, env, "BLOODRAVEN_ADDRESS", addr) &&
	    kpart_env(b, env, "LEASE_TIMEOUT", k->lease_text) &&
	    kpart_env(b, env, "PEER_CHECK_INTERVAL", k->peer_check_text);
}

/*
 * The local socket is how it talks to mysqld: of TLS it only sees to it that
 * mysqld has what is mounted.
 */
static bool
add_env(const struct kbuild *b, yyjson_mut_val *ctr)
{
	const struct kspec *k = b->k;
	yyjson_mut_val *env = yyjson_mut_obj_add_arr(b->doc, ctr, "env");

	if (env == NULL)
		return false;
	/* Files, in both modes: an environment does not follow a Secret. */
	return kpart_env(b, env, "MYSQL_CREDS_DIR", KCREDS_DIR "/operator") &&
	    (!k->tls ||
		(kpart_env(b, env, "BLOODRAVEN_MYSQL_TLS_CA_FILE",
		     KTLS_DIR "/ca.crt") &&
		    kpart_env(b, env, "BLOODRAVEN_MYSQL_TLS_CERT_FILE",
			KTLS_DIR "/tls.crt"))) &&
	    kpart_env_field(b, env, "MY_POD_NAME", "metadata.name") &&
	    kpart_env_field(b, env, "MY_POD_UID", "metadata.uid") &&
	    kpart_env_field(b, env, "POD_NAMESPACE", "metadata.namespace") &&
	    kpart_env(b, env, "LISTEN_ADDR", ":8080") && add_peers(b, env) &&
	    kpart_env(b, env, "MY_SITE", b->s->name) &&
	    kpart_env(b, env, "FAILOVER_GROUP", k->name) && add_knobs(b, env);
}

static bool
add_probe(const struct kbuild *b, yyjson_mut_val *ctr, const char *name,
    const char *path, int delay, int period)
{
	yyjson_mut_val *p, *get;

	return (p = yyjson_mut_obj_add_obj(b->doc, ctr, name)) != NULL &&
	    (get = yyjson_mut_obj_add_obj(b->doc, p, "httpGet")) != NULL &&
	    kput_str(b->doc, get, "path", path) &&
	    yyjson_mut_obj_add_int(b->doc, get, "port", KSIDECAR_PORT) &&
	    yyjson_mut_obj_add_int(b->doc, p, "initialDelaySeconds", delay) &&
	    yyjson_mut_obj_add_int(b->doc, p, "periodSeconds", period) &&
	    /* Longer than its own deadline for a question to MySQL. */
	    yyjson_mut_obj_add_int(b->doc, p, "timeoutSeconds", 3);
}

/*
 * Liveness does not ask MySQL: a sidecar that is restarted because its mysqld
 * hangs could carry nothing of the guard's just when that matters.
 */
static bool
add_probes(const struct kbuild *b, yyjson_mut_val *ctr)
{
	return add_probe(b, ctr, "livenessProbe", "/livez", 5, 10) &&
	    add_probe(b, ctr, "readinessProbe", "/health", 3, 5);
}

/* The data volume for one file: what this voter promised lives with it. */
static bool
add_mounts(const struct kbuild *b, yyjson_mut_val *ctr)
{
	yyjson_mut_val *m;

	m = yyjson_mut_obj_add_arr(b->doc, ctr, "volumeMounts");
	return m != NULL && kpart_mount(b, m, "data", KDATA_DIR, false) &&
	    kpart_mount(b, m, "bloodraven", KRUN_DIR, false) &&
	    kpart_mount(b, m, "mysql-run", KSOCK_DIR, true) &&
	    kpart_mount(b, m, "keys", KKEYS_DIR, true) &&
	    kpart_mount(b, m, "creds-operator", KCREDS_DIR "/operator", true) &&
	    (!b->k->tls || kpart_mount(b, m, "tls", KTLS_DIR, true));
}

/* What add_peers() and add_knobs() leave out of the hash. */
static const char *const unhashed[] = { "PEER_ADDRESSES", "BLOODRAVEN_ADDRESS",
	"LEASE_TIMEOUT", "PEER_CHECK_INTERVAL" };

static bool
is_unhashed(const char *name)
{
	for (size_t i = 0; i < PS_NITEMS(unhashed); i++)
		if (name != NULL && strcmp(name, unhashed[i]) == 0)
			return true;
	return false;
}

static yyjson_val *
live_env(yyjson_val *live)
{
	yyjson_val *v = yyjson_obj_get(live, "spec"), *c;
	yyjson_arr_iter it;

	v = yyjson_obj_get(yyjson_obj_get(v, "template"), "spec");
	it = yyjson_arr_iter_with(yyjson_obj_get(v, "containers"));
	while ((c = yyjson_arr_iter_next(&it)) != NULL)
		if (yyjson_equals_str(yyjson_obj_get(c, "name"), "sidecar"))
			return yyjson_obj_get(c, "env");
	return NULL;
}

static yyjson_val *
env_by_name(yyjson_val *env, const char *name)
{
	yyjson_arr_iter it = yyjson_arr_iter_with(env);
	yyjson_val *e;

	while ((e = yyjson_arr_iter_next(&it)) != NULL)
		if (yyjson_equals_str(yyjson_obj_get(e, "name"), name))
			return e;
	return NULL;
}

static bool
keep_env(yyjson_mut_doc *doc, yyjson_mut_val *env, yyjson_val *live)
{
	yyjson_mut_val *e;
	yyjson_val *was;
	size_t i = 0;

	while ((e = yyjson_mut_arr_get(env, i)) != NULL) {
		const char *name =
		    yyjson_mut_get_str(yyjson_mut_obj_get(e, "name"));

		if (!is_unhashed(name)) {
			i++;
			continue;
		}
		if ((was = env_by_name(live, name)) == NULL) {
			yyjson_mut_arr_remove(env, i);
			continue;
		}
		if ((e = yyjson_val_mut_copy(doc, was)) == NULL)
			return false;
		yyjson_mut_arr_replace(env, i++, e);
	}
	return true;
}

bool
kobj_keep(yyjson_mut_doc *doc, yyjson_mut_val *rendered, yyjson_val *live)
{
	yyjson_mut_val *v = yyjson_mut_obj_get(rendered, "spec"), *c;
	size_t i, n;

	v = yyjson_mut_obj_get(yyjson_mut_obj_get(v, "template"), "spec");
	yyjson_mut_arr_foreach(yyjson_mut_obj_get(v, "containers"), i, n, c)
	{
		if (yyjson_mut_equals_str(
			yyjson_mut_obj_get(c, "name"), "sidecar") &&
		    !keep_env(
			doc, yyjson_mut_obj_get(c, "env"), live_env(live)))
			return false;
	}
	return true;
}

bool
krender_sidecar(const struct kbuild *b, yyjson_mut_val *ctrs)
{
	static const char *const command[] = { "bloodraven-sidecar", NULL };
	yyjson_mut_val *c = yyjson_mut_arr_add_obj(b->doc, ctrs), *p;

	return c != NULL && kput_str(b->doc, c, "name", "sidecar") &&
	    kput_str(b->doc, c, "image", b->k->sidecar_image) &&
	    kpart_argv(b, c, "command", command) && add_env(b, c) &&
	    (p = yyjson_mut_obj_add_arr(b->doc, c, "ports")) != NULL &&
	    kpart_port(b, p, "sidecar", KSIDECAR_PORT) &&
	    kpart_port(b, p, "lease", BR_LINK_PORT) &&
	    kput_copy(b->doc, c, "resources", b->k->sidecar_resources) &&
	    kpart_security(b, c, true) && add_probes(b, c) && add_mounts(b, c);
}
