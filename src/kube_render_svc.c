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
 * Services (resources.md 6). Applied by server-side apply: fields that are
 * not rendered (allocated addresses and node ports, others' annotations) stay
 * as they are.
 */

#include <stdlib.h>
#include <string.h>

#include "kube_render.h"

#define KANN_MANAGED "shipstream.io/managed-service-annotations"
#define MANAGED_MAX  256

static int
cmp_str(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The interface's list of the keys that are ours: a sorted JSON array. */
static bool
add_managed(yyjson_mut_doc *doc, yyjson_mut_val *ann)
{
	yyjson_mut_obj_iter it = yyjson_mut_obj_iter_with(ann);
	yyjson_mut_val *key;
	const char *keys[MANAGED_MAX];
	struct kbuf b = { 0 };
	size_t n = 0;

	while (n < MANAGED_MAX && (key = yyjson_mut_obj_iter_next(&it)) != NULL)
		keys[n++] = yyjson_mut_get_str(key);
	qsort(keys, n, sizeof(keys[0]), cmp_str);
	kbuf_add(&b, "[");
	/* Annotation keys hold nothing that JSON would escape. */
	for (size_t i = 0; i < n; i++)
		kbuf_addf(&b, "%s\"%s\"", i == 0 ? "" : ",", keys[i]);
	kbuf_add(&b, "]");
	key = kbuf_take(&b, doc);
	return key != NULL &&
	    yyjson_mut_obj_add_val(doc, ann, KANN_MANAGED, key);
}

static bool
add_map(yyjson_mut_doc *doc, yyjson_mut_val *ann, yyjson_val *map)
{
	yyjson_obj_iter it = yyjson_obj_iter_with(map);
	yyjson_val *key;

	while ((key = yyjson_obj_iter_next(&it)) != NULL)
		if (!kset_str(doc, ann, yyjson_get_str(key),
			yyjson_get_str(yyjson_obj_iter_get_val(key))))
			return false;
	return true;
}

static bool
add_annotations(yyjson_mut_doc *doc, yyjson_mut_val *obj,
    const struct ksvc *group, const struct ksvc *site)
{
	yyjson_mut_val *meta = yyjson_mut_obj_get(obj, "metadata"), *ann;

	if (yyjson_obj_size(group->annotations) == 0 &&
	    (site == NULL || yyjson_obj_size(site->annotations) == 0))
		return true;
	ann = yyjson_mut_obj_add_obj(doc, meta, "annotations");
	return ann != NULL && add_map(doc, ann, group->annotations) &&
	    (site == NULL || add_map(doc, ann, site->annotations)) &&
	    add_managed(doc, ann);
}

static bool
add_port(yyjson_mut_doc *doc, yyjson_mut_val *ports, const char *name, int port,
    int64_t node_port)
{
	yyjson_mut_val *p = yyjson_mut_arr_add_obj(doc, ports);

	return p != NULL && kput_str(doc, p, "name", name) &&
	    yyjson_mut_obj_add_int(doc, p, "port", port) &&
	    kput_str(doc, p, "protocol", "TCP") &&
	    yyjson_mut_obj_add_int(doc, p, "targetPort", port) &&
	    (node_port == 0 ||
		yyjson_mut_obj_add_int(doc, p, "nodePort", node_port));
}

static bool
add_selector(yyjson_mut_doc *doc, yyjson_mut_val *spec, const struct kspec *k,
    const struct kobj *o)
{
	const struct ksite *s = &k->sites[o->site];
	yyjson_mut_val *sel;

	sel = yyjson_mut_obj_add_obj(doc, spec, "selector");
	if (sel == NULL ||
	    !kput_str(doc, sel, "app.kubernetes.io/instance", k->name))
		return false;
	if (o->kind == KO_SVC_PRIMARY)
		return kput_str(doc, sel, KLABEL_ROLE, "primary");
	if (o->kind == KO_SVC_REPLICAS)
		return kput_str(doc, sel, KLABEL_ROLE, "replica") &&
		    kput_str(doc, sel, KLABEL_HEALTHY, "yes");
	return kput_str(doc, sel, "app.kubernetes.io/name", "mysql") &&
	    kput_str(doc, sel, KLABEL_SITE, s->name) &&
	    (o->kind != KO_SVC_SITE || s->role != ROLE_READER ||
		kput_str(doc, sel, KLABEL_HEALTHY, "yes"));
}

/* type and what depends on it. site is NULL but for a site's own Service. */
static bool
add_type(yyjson_mut_doc *doc, yyjson_mut_val *spec, const struct kspec *k,
    const struct ksite *site)
{
	const char *type = site != NULL && site->svc.type != NULL ?
	    site->svc.type :
	    k->svc.type;
	const char *policy = site != NULL && site->svc.policy != NULL ?
	    site->svc.policy :
	    k->svc.policy;

	if (type == NULL || strcmp(type, "ClusterIP") == 0)
		return kput_str(doc, spec, "type", "ClusterIP");
	return kput_str(doc, spec, "type", type) &&
	    kput_str(doc, spec, "externalTrafficPolicy",
		policy == NULL ? "Cluster" : policy) &&
	    (site == NULL || site->lb_ip == NULL ||
		strcmp(type, "LoadBalancer") != 0 ||
		kput_str(doc, spec, "loadBalancerIP", site->lb_ip));
}

/*
 * -primary publishes Pods that are not ready: the label that a promotion
 * moves steers it, and waiting for the kubelet's next probe would only make
 * the gap longer. -internal is how the operator and peers reach a site.
 */
yyjson_mut_val *
krender_service(
    yyjson_mut_doc *doc, const struct kspec *k, const struct kobj *o)
{
	bool of_site = o->kind == KO_SVC_SITE;
	bool internal = o->kind == KO_SVC_INTERNAL;
	const struct ksite *s = of_site || internal ? &k->sites[o->site] : NULL;
	yyjson_mut_val *obj, *spec, *ports;

	obj = krender_object(doc, k, "v1", "Service", o->name, s);
	if (obj == NULL ||
	    (!internal &&
		!add_annotations(
		    doc, obj, &k->svc, of_site ? &s->svc : NULL)) ||
	    (spec = yyjson_mut_obj_add_obj(doc, obj, "spec")) == NULL)
		return NULL;
	if (!(internal ? kput_str(doc, spec, "type", "ClusterIP") :
			 add_type(doc, spec, k, of_site ? s : NULL)) ||
	    !add_selector(doc, spec, k, o) ||
	    !yyjson_mut_obj_add_bool(doc, spec, "publishNotReadyAddresses",
		internal || o->kind == KO_SVC_PRIMARY) ||
	    (ports = yyjson_mut_obj_add_arr(doc, spec, "ports")) == NULL ||
	    !add_port(doc, ports, "mysql", KMYSQL_PORT,
		of_site ? s->svc.node_port : 0) ||
	    (internal &&
		(!add_port(doc, ports, "sidecar", KSIDECAR_PORT, 0) ||
		    !add_port(doc, ports, "lease", BR_LINK_PORT, 0))))
		return NULL;
	return obj;
}

/*
 * In one step with the type: the API server refuses a type with what only
 * another may have, and server-side apply takes away only what it put there.
 */
yyjson_mut_val *
kservice_clear(yyjson_mut_doc *doc, const struct kspec *k, const struct kobj *o)
{
	static const char *const lb_only[] = { "loadBalancerIP",
		"loadBalancerSourceRanges", "loadBalancerClass",
		"allocateLoadBalancerNodePorts", "healthCheckNodePort" };
	const struct ksite *s =
	    o->kind == KO_SVC_SITE ? &k->sites[o->site] : NULL;
	yyjson_mut_val *root = yyjson_mut_obj(doc), *spec;
	const char *type;

	if (root == NULL ||
	    (spec = yyjson_mut_obj_add_obj(doc, root, "spec")) == NULL ||
	    !(o->kind == KO_SVC_INTERNAL ?
		    kput_str(doc, spec, "type", "ClusterIP") :
		    add_type(doc, spec, k, s)))
		return NULL;
	type = yyjson_mut_get_str(yyjson_mut_obj_get(spec, "type"));
	if (strcmp(type, "ClusterIP") == 0 &&
	    !yyjson_mut_obj_add_null(doc, spec, "externalTrafficPolicy"))
		return NULL;
	if (strcmp(type, "LoadBalancer") == 0)
		return root;
	for (size_t i = 0; i < PS_NITEMS(lb_only); i++)
		if (!yyjson_mut_obj_add_null(doc, spec, lb_only[i]))
			return NULL;
	return root;
}

unsigned
kservice_node_port(yyjson_val *service)
{
	yyjson_val *ports =
		       yyjson_obj_get(yyjson_obj_get(service, "spec"), "ports"),
		   *p;
	yyjson_arr_iter it = yyjson_arr_iter_with(ports);

	while ((p = yyjson_arr_iter_next(&it)) != NULL)
		if (yyjson_equals_str(yyjson_obj_get(p, "name"), "mysql"))
			return (unsigned)yyjson_get_uint(
			    yyjson_obj_get(p, "nodePort"));
	return 0;
}

bool
kservice_keep(yyjson_mut_doc *doc, yyjson_mut_val *rendered, unsigned port)
{
	yyjson_mut_val *spec = yyjson_mut_obj_get(rendered, "spec"), *p;

	p = yyjson_mut_arr_get_first(yyjson_mut_obj_get(spec, "ports"));
	if (port == 0 ||
	    yyjson_mut_equals_str(
		yyjson_mut_obj_get(spec, "type"), "ClusterIP") ||
	    yyjson_mut_obj_get(p, "nodePort") != NULL)
		return true;
	return yyjson_mut_obj_add_int(doc, p, "nodePort", (int64_t)port);
}
