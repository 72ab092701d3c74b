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
 * Secrets that groups name. One watch for each of them, by its name, so that
 * other people's Secrets are never sent to this process; it only says that
 * something changed. Then all of the group's are read, decoded, told as CREDS
 * and forgotten.
 */

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube.h"

/* Several Secrets changed by one hand are read together. */
#define SETTLE_MS 20

struct ksecret {
	struct kgroup *g;
	char name[NAME_LEN + 1];
	struct kwatch *watch;
	yyjson_doc *doc; /* while all are being read */
};

static void read_next(struct kgroup *);

static void
forget(struct kgroup *g)
{
	for (unsigned i = 0; i < g->nsecrets; i++) {
		/* kube_json.c wipes what it frees. */
		yyjson_doc_free(g->secrets[i]->doc);
		g->secrets[i]->doc = NULL;
	}
}

static yyjson_val *
lookup(void *arg, const char *name)
{
	struct kgroup *g = arg;

	for (unsigned i = 0; i < g->nsecrets; i++)
		if (strcmp(g->secrets[i]->name, name) == 0)
			return yyjson_doc_get_root(g->secrets[i]->doc);
	return NULL;
}

void
kcreds_event(struct kgroup *g)
{
	char reason[64];
	size_t n = strcspn(g->creds_problem, ":");

	if (!g->creds_known || g->creds_valid || n >= sizeof(reason))
		return;
	memcpy(reason, g->creds_problem, n);
	reason[n] = '\0';
	kevent_emit(g, true, reason, g->creds_problem);
}

static void
tell(struct kgroup *g)
{
	static struct m_creds m;
	uint64_t h;
	bool was = g->creds_valid, changed;

	memset(&m, 0, sizeof(m));
	kcreds_decode(&g->spec, lookup, g, &m);
	(void)strlcpy(m.group, g->uid, sizeof(m.group));
	h = kj_hash(&m, sizeof(m));
	changed = strcmp(g->creds_problem, m.problem) != 0;
	g->creds_valid = m.valid;
	g->creds_known = true;
	(void)strlcpy(g->creds_problem, m.problem, sizeof(g->creds_problem));
	if (h != g->creds_told || g->creds_force)
		kube_tell(g->k, MSG_CREDS, &m);
	g->creds_told = h;
	g->creds_force = false;
	explicit_bzero(&m, sizeof(m));
	if (changed) {
		if (!g->creds_valid)
			log_ev(LL_WARN, "credentials incomplete",
			    KVS("fg", g->fg), KVS("problem", g->creds_problem));
		kcreds_event(g);
		g->status_dirty = true;
		kstatus_kick(g);
	}
	if (g->creds_valid && !was)
		kapply_kick(g);
}

static void
got(void *arg, const struct kh_resp *p)
{
	struct kgroup *g = arg;
	struct ksecret *s = g->secrets[g->secret_i];

	g->creds.req = NULL;
	if (p->status == 200)
		s->doc = kj_read(p->body, p->len);
	if (p->status != 404 && s->doc == NULL) {
		/* Unreadable is not absent. */
		forget(g);
		klane_retry(&g->creds, p);
		return;
	}
	g->secret_i++;
	read_next(g);
}

static void
read_next(struct kgroup *g)
{
	char path[KH_PATH_MAX];
	struct kcall c = {
		.k = g->k, .method = KH_GET, .path = path, .done = got, .arg = g
	};

	if (g->secret_i < g->nsecrets) {
		(void)snprintf(path, sizeof(path),
		    "/api/v1/namespaces/%s/secrets/%s", g->ns,
		    g->secrets[g->secret_i]->name);
		g->creds.req = kube_call(&c);
		return;
	}
	tell(g);
	forget(g);
	klane_ok(&g->creds);
	if (g->creds.again)
		klane_in(&g->creds, SETTLE_MS);
	g->creds.again = false;
}

static void
on_creds(int fd, short what, void *arg)
{
	struct kgroup *g = arg;

	(void)fd;
	(void)what;
	if (g->creds.req != NULL) {
		g->creds.again = true;
		return;
	}
	if (g->doc == NULL)
		return;
	g->secret_i = 0;
	read_next(g);
}

/* ------------------------------------------------------------------ watches */

static void
on_begin(void *arg)
{
	(void)arg;
}

static void
on_object(void *arg, yyjson_val *obj, bool deleted)
{
	struct ksecret *s = arg;

	(void)obj;
	(void)deleted;
	klane_in(&s->g->creds, SETTLE_MS);
}

static void
on_listed(void *arg)
{
	struct ksecret *s = arg;

	klane_in(&s->g->creds, SETTLE_MS);
}

static struct ksecret *
secret_new(struct kgroup *g, const char *name)
{
	char path[KH_PATH_MAX], query[KH_PATH_MAX], esc[3 * NAME_LEN + 1];
	struct kwatch_conf c = {
		.name = "secrets",
		.path = path,
		.query = query,
		.limit = 1,
		.begin = on_begin,
		.object = on_object,
		.listed = on_listed,
	};
	struct ksecret *s;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		fatal("calloc");
	s->g = g;
	(void)strlcpy(s->name, name, sizeof(s->name));
	(void)kh_escape(esc, sizeof(esc), name);
	(void)snprintf(
	    path, sizeof(path), "/api/v1/namespaces/%s/secrets", g->ns);
	(void)snprintf(
	    query, sizeof(query), "fieldSelector=metadata.name%%3D%s", esc);
	c.arg = s;
	s->watch = kwatch_new(g->k->kh, g->k->base, &c);
	return s;
}

static void
secrets_free(struct kgroup *g)
{
	forget(g);
	for (unsigned i = 0; i < g->nsecrets; i++) {
		kwatch_free(g->secrets[i]->watch);
		free(g->secrets[i]);
	}
	g->nsecrets = 0;
}

static bool
same_names(const struct kgroup *g, const char *const *names, unsigned n)
{
	if (n != g->nsecrets)
		return false;
	for (unsigned i = 0; i < n; i++)
		if (strcmp(names[i], g->secrets[i]->name) != 0)
			return false;
	return true;
}

void
kcreds_spec(struct kgroup *g)
{
	const char *names[KSECRETS_MAX];
	unsigned n = kspec_secrets(&g->spec, names);

	if (!same_names(g, names, n)) {
		if (g->creds.req != NULL)
			kh_cancel(g->creds.req);
		g->creds.req = NULL;
		secrets_free(g);
		for (unsigned i = 0; i < n; i++)
			g->secrets[g->nsecrets++] = secret_new(g, names[i]);
	}
	klane_in(&g->creds, SETTLE_MS);
}

void
kcreds_ask(struct kgroup *g)
{
	g->creds_force = true;
	klane_in(&g->creds, 0);
}

void
kcreds_init(struct kgroup *g)
{
	klane_init(&g->creds, g->k, on_creds, g, 100, 2000);
}

void
kcreds_free(struct kgroup *g)
{
	klane_free(&g->creds);
	secrets_free(g);
}
