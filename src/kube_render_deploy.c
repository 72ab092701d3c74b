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
 * The Deployment of a site (resources.md 3), and the hash of what restarts it
 * (3.5): its Pod as it is rendered, and my.cnf. Pure.
 */

#include <openssl/evp.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube_render.h"

static int
digest(const char *a, size_t na, const char *b, size_t nb,
    uint8_t md[static EVP_MAX_MD_SIZE])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok = ctx != NULL;

	/* The length keeps the two parts apart. */
	ok = ok && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) &&
	    EVP_DigestUpdate(ctx, &na, sizeof(na)) &&
	    EVP_DigestUpdate(ctx, a, na) && EVP_DigestUpdate(ctx, b, nb) &&
	    EVP_DigestFinal_ex(ctx, md, NULL);
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -1;
}

int
kspec_hash(const struct kspec *k, unsigned site, char out[static KHASH_LEN + 1])
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *pod = NULL, *conf = NULL;
	uint8_t md[EVP_MAX_MD_SIZE];
	char *text = NULL;
	size_t len;
	int ret = -1;

	if (doc != NULL) {
		pod = krender_pod(doc, k, site, true);
		conf = krender_mycnf(doc, k, &k->sites[site]);
	}
	if (pod != NULL && conf != NULL)
		text = yyjson_mut_val_write(pod, 0, &len);
	if (text != NULL &&
	    digest(text, len, yyjson_mut_get_str(conf),
		yyjson_mut_get_len(conf), md) == 0) {
		ktext_hex(md, KHASH_LEN / 2, out);
		ret = 0;
	}
	free(text);
	yyjson_mut_doc_free(doc);
	if (ret == -1)
		errno = ENOMEM;
	return ret;
}

/* Hash on the Deployment and on its Pods. */
static bool
add_hash(const struct kbuild *b, yyjson_mut_val *meta, const char *hash)
{
	yyjson_mut_val *ann = yyjson_mut_obj_get(meta, "annotations");
	char id[16];

	if (ann == NULL &&
	    (ann = yyjson_mut_obj_add_obj(b->doc, meta, "annotations")) == NULL)
		return false;
	snprintf(id, sizeof(id), "%u", b->s->server_id);
	return kset_str(b->doc, ann, KANN_HASH, hash) &&
	    kset_str(b->doc, ann, KANN_SERVER_ID, id);
}

/* The template's own: what it was made from, whatever the object says. */
const char *
kobj_live_hash(yyjson_val *deployment)
{
	yyjson_val *v = yyjson_obj_get(deployment, "spec");
	const char *s;

	v = yyjson_obj_get(yyjson_obj_get(v, "template"), "metadata");
	s = yyjson_get_str(
	    yyjson_obj_get(yyjson_obj_get(v, "annotations"), KANN_HASH));
	return s == NULL || strlen(s) != KHASH_LEN ? KHASH_OTHER : s;
}

yyjson_mut_val *
krender_deployment(yyjson_mut_doc *doc, const struct kspec *k, unsigned site)
{
	const struct kbuild b = { doc, k, &k->sites[site], false };
	char name[2 * NAME_LEN], hash[KHASH_LEN + 1];
	yyjson_mut_val *obj, *spec, *pod, *v;

	snprintf(name, sizeof(name), "mysql-%s-%s", k->name, b.s->name);
	if (kspec_hash(k, site, hash) == -1 ||
	    (obj = krender_object(
		 doc, k, "apps/v1", "Deployment", name, b.s)) == NULL ||
	    !add_hash(&b, yyjson_mut_obj_get(obj, "metadata"), hash) ||
	    (spec = yyjson_mut_obj_add_obj(doc, obj, "spec")) == NULL ||
	    !yyjson_mut_obj_add_int(doc, spec, "replicas", 1) ||
	    (v = yyjson_mut_obj_add_obj(doc, spec, "strategy")) == NULL ||
	    !kput_str(doc, v, "type", "Recreate") ||
	    (v = yyjson_mut_obj_add_obj(doc, spec, "selector")) == NULL ||
	    (v = yyjson_mut_obj_add_obj(doc, v, "matchLabels")) == NULL ||
	    !kput_str(doc, v, "app.kubernetes.io/name", "mysql") ||
	    !kput_str(doc, v, "app.kubernetes.io/instance", k->name) ||
	    !kput_str(doc, v, KLABEL_SITE, b.s->name) ||
	    (pod = krender_pod(doc, k, site, false)) == NULL ||
	    !add_hash(&b, yyjson_mut_obj_get(pod, "metadata"), hash) ||
	    !yyjson_mut_obj_add_val(doc, spec, "template", pod))
		return NULL;
	return obj;
}
