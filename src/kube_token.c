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
 * The token of dns-writer, which is another ServiceAccount's.
 */

#include <stdio.h>
#include <string.h>

#include "kube.h"

#define TOKEN_S     3600
#define TOKEN_MIN_S 60

static void
token_done(void *arg, const struct kh_resp *p)
{
	static struct m_dns_token m;
	struct kube *k = arg;
	const char *t = NULL;
	yyjson_doc *d = NULL;
	yyjson_val *root;
	int64_t life = TOKEN_S;

	k->token.req = NULL;
	if (p->status == 201 && (d = kj_read(p->body, p->len)) != NULL) {
		root = yyjson_doc_get_root(d);
		t = yyjson_get_str(kj_at(root, "status", "token"));
		/* The server may have shortened it. */
		life =
		    yyjson_get_sint(kj_at(root, "spec", "expirationSeconds"));
	}
	if (t == NULL || secret_set(&m.token, t, strlen(t)) == -1) {
		log_ev(LL_WARN, "no token for dns-writer",
		    KVS("serviceAccount", k->conf.dns_sa),
		    KVI("status", p->status), KVS("error", p->error));
		klane_retry(&k->token, p);
	} else {
		if (life < TOKEN_MIN_S)
			life = TOKEN_MIN_S;
		kube_tell(k, MSG_DNS_TOKEN, &m);
		klane_ok(&k->token);
		klane_in(&k->token, life * 800); /* 80 %, in ms */
	}
	secret_wipe(&m.token);
	yyjson_doc_free(d);
}

static void
on_token(int fd, short what, void *arg)
{
	struct kube *k = arg;
	char path[KH_PATH_MAX];
	struct kcall c = { .k = k,
		.method = KH_POST,
		.path = path,
		.type = KH_JSON,
		.done = token_done,
		.arg = k };

	(void)fd;
	(void)what;
	if (k->token.req != NULL)
		return;
	(void)snprintf(path, sizeof(path),
	    "/api/v1/namespaces/%s/serviceaccounts/%s/token", k->conf.namespace,
	    k->conf.dns_sa);
	c.doc = kj_new();
	c.root = ktoken_request(c.doc, TOKEN_S);
	k->token.req = kube_call(&c);
}

void
ktoken_start(struct kube *k)
{
	klane_init(&k->token, k, on_token, k, 250, 30000);
	if (k->conf.dns_sa[0] != '\0')
		klane_in(&k->token, 0);
}

void
ktoken_ask(struct kube *k)
{
	if (k->conf.dns_sa[0] != '\0')
		klane_in(&k->token, 0);
}
