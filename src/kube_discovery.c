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
 * What this API server knows: the version of PodDisruptionBudgets, DNSEndpoints.
 * It is asked again and again, rarely: what is absent may be installed later, and
 * an upgraded server may serve another version of what it had.
 */

#include <event2/event.h>
#include <string.h>

#include "kube.h"

#define DISCOVERY_S 60

static bool
serves(yyjson_val *group, const char *name, const char *version)
{
	yyjson_val *v;
	size_t i, n;

	if (!yyjson_equals_str(yyjson_obj_get(group, "name"), name))
		return false;
	if (version == NULL)
		return true;
	yyjson_arr_foreach(yyjson_obj_get(group, "versions"), i, n,
	    v) if (yyjson_equals_str(yyjson_obj_get(v, "version"),
		       version)) return true;
	return false;
}

static void
discovered(struct kube *k, const char *policy, bool dns)
{
	bool other = policy != NULL &&
	    (k->policy_api == NULL || strcmp(k->policy_api, policy) != 0);

	if (!other && dns == k->externaldns)
		return;
	log_ev(LL_INFO, "API discovery", KVS("policy", policy),
	    KVB("externalDNS", dns));
	k->externaldns = dns;
	if (!other)
		return;
	k->policy_api = policy;
	kowned_policy(k);
}

static void
discovery_done(void *arg, const struct kh_resp *p)
{
	struct kube *k = arg;
	struct timeval tv = { p->status == 200 ? DISCOVERY_S : 2, 0 };
	bool dns = false;
	yyjson_doc *d;
	yyjson_val *g;
	const char *policy = NULL;
	size_t i, n;

	k->discovery = NULL;
	if (p->status == 200 && (d = kj_read(p->body, p->len)) != NULL) {
		yyjson_arr_foreach(
		    yyjson_obj_get(yyjson_doc_get_root(d), "groups"), i, n, g)
		{
			if (serves(g, "policy", "v1"))
				policy = "policy/v1";
			else if (serves(g, "policy", "v1beta1"))
				policy = "policy/v1beta1";
			dns |= serves(g, "externaldns.k8s.io", NULL);
		}
		yyjson_doc_free(d);
		discovered(k, policy, dns);
	}
	event_add(k->discovery_timer, &tv);
}

void
kdiscovery_again(struct kube *k)
{
	struct timeval tv = { 0, 0 };

	if (k->discovery == NULL)
		event_add(k->discovery_timer, &tv);
}

static void
on_discovery(int fd, short what, void *arg)
{
	struct kube *k = arg;
	struct kcall c = { .k = k,
		.method = KH_GET,
		.path = "/apis",
		.done = discovery_done,
		.arg = k };

	(void)fd;
	(void)what;
	k->discovery = kube_call(&c);
}

void
kdiscovery_start(struct kube *k)
{
	struct timeval tv = { 0, 0 };

	k->discovery_timer = evtimer_new(k->base, on_discovery, k);
	if (k->discovery_timer == NULL)
		fatalx("evtimer_new");
	event_add(k->discovery_timer, &tv);
}

void
kdiscovery_free(struct kube *k)
{
	if (k->discovery != NULL)
		kh_cancel(k->discovery);
	event_free(k->discovery_timer);
}
