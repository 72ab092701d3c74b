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
 * Operator and sidecar of one release (api.md 1.11): a sidecar of another one
 * is told, once for each pair, and hinders nothing: what they say to each other
 * only grows (wire.def), so each update passes through such pairs.
 */

#include <stdio.h>
#include <string.h>

#include "kube.h"

/* Behind the last ':' after the last '/'; NULL: a digest, or no tag. */
const char *
kskew_tag(const char *image)
{
	const char *name = strrchr(image, '/'), *tag;

	name = name == NULL ? image : name + 1;
	if (strchr(name, '@') != NULL || (tag = strrchr(name, ':')) == NULL ||
	    tag[1] == '\0')
		return NULL;
	return tag + 1;
}

void
kskew_check(struct kgroup *g)
{
	const char *own = g->k->conf.image, *their, *tag, *own_tag;
	char msg[MSGTEXT_LEN + 1];
	uint64_t h;

	if (g->doc == NULL || !kube_may_write(g->k))
		return;
	their = g->spec.sidecar_image;
	h = kj_hash(their, strlen(their));
	own_tag = kskew_tag(own);
	tag = kskew_tag(their);
	if (own_tag == NULL || tag == NULL || strcmp(own_tag, tag) == 0 ||
	    h == g->skew_said)
		return;
	g->skew_said = h;
	log_ev(LL_INFO, "sidecar image version differs from the operator",
	    KVS("fg", g->fg), KVS("operatorImage", own),
	    KVS("sidecarImage", their), KVS("operatorTag", own_tag),
	    KVS("sidecarTag", tag));
	(void)snprintf(msg, sizeof(msg),
	    "sidecarImage has the tag %.200s, the operator %.200s", tag,
	    own_tag);
	kevent_emit(g, true, "SidecarVersionSkew", msg);
}
