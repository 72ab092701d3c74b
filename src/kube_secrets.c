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
 * Secrets that groups name. One watch for each namespace that has groups, of
 * nothing but names, so that other people's Secrets are never sent to this
 * process; it only says which of them changed. Then all of the group's are
 * read, decoded, told as ACCOUNT, CREDS and TLS, and forgotten.
 *
 * One more is our own (ksaved_name): what was in force at all sites when that
 * was last so. It is read with the others, and written by a leader whose
 * parent says that what was told is now in force; what is written is read
 * anew for that, since nothing was kept.
 */

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kube.h"

/* Several Secrets changed by one hand are read together. */
#define SETTLE_MS 20

struct ksecret {
	char name[NAME_LEN + 1];
	bool saved;      /* our own, nobody else writes it */
	yyjson_doc *doc; /* while all are being read */
};

/* The Secrets of one namespace, for all of its groups. */
struct ksecns {
	TAILQ_ENTRY(ksecns) link;
	struct kube *k;
	char ns[NS_LEN + 1];
	struct kwatch *watch;
	unsigned groups;
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

	if (g->creds_unread[0] != '\0')
		kevent_emit(g, true, "SecretUnreadable", g->creds_unread);
	if (!g->creds_known || g->creds_valid || n >= sizeof(reason))
		return;
	memcpy(reason, g->creds_problem, n);
	reason[n] = '\0';
	kevent_emit(g, true, reason, g->creds_problem);
}

/* All that was read, until it is told. */
struct found {
	struct m_creds creds;
	struct m_account roles[AC_MAX];
	struct m_tls tls;
	bool foreign;        /* somebody else's Secret bears our name */
	char rv[RV_LEN + 1]; /* of our own, "": there is none */
};

/* Says that something is another one than before, and nothing of what. */
static uint64_t
next_gen(uint64_t was)
{
	struct timespec ts;
	uint64_t now;

	clock_gettime(CLOCK_REALTIME, &ts);
	now = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
	return now > was ? now : was + 1;
}

static void
decode(struct kgroup *g, struct found *f)
{
	yyjson_val *own = NULL;
	uint64_t h, ht;

	memset(f, 0, sizeof(*f));
	kcreds_decode(&g->spec, lookup, g, &f->creds, f->roles);
	ktls_decode(&g->spec, lookup, g, &f->tls);
	(void)strlcpy(f->creds.group, g->uid, sizeof(f->creds.group));
	(void)strlcpy(f->tls.group, g->uid, sizeof(f->tls.group));
	h = kj_hash(&f->creds, sizeof(f->creds)) ^
	    kj_hash(f->roles, sizeof(f->roles));
	ht = kj_hash(&f->tls, sizeof(f->tls));
	if (h != g->creds_hash)
		g->creds_gen = next_gen(g->creds_gen);
	if (ht != g->tls_hash)
		g->tls_gen = next_gen(g->tls_gen);
	g->creds_hash = h;
	g->tls_hash = ht;
	f->creds.gen = g->creds_gen;
	f->tls.gen = g->tls_gen;
	for (unsigned i = 0; i < g->nsecrets; i++)
		if (g->secrets[i]->saved)
			own = yyjson_doc_get_root(g->secrets[i]->doc);
	f->foreign = ksaved_decode(own, &f->creds, &f->tls) == -1;
	if (own != NULL)
		(void)strlcpy(
		    f->rv, kj_meta(own, "resourceVersion"), sizeof(f->rv));
}

static void
tell_creds(struct kgroup *g, struct found *f)
{
	uint64_t h = kj_hash(&f->creds, sizeof(f->creds)) ^
	    kj_hash(f->roles, sizeof(f->roles));

	if (h == g->creds_told && !g->creds_force)
		return;
	g->creds_told = h;
	for (unsigned i = 0; f->creds.valid && i < AC_MAX; i++) {
		if (f->roles[i].user[0] == '\0')
			continue;
		(void)strlcpy(
		    f->roles[i].group, g->uid, sizeof(f->roles[i].group));
		kube_tell(g->k, MSG_ACCOUNT, &f->roles[i]);
	}
	kube_tell(g->k, MSG_CREDS, &f->creds);
}

static void
tell_tls(struct kgroup *g, const struct found *f)
{
	uint64_t h = kj_hash(&f->tls, sizeof(f->tls));

	if (h == g->tls_told && !g->creds_force)
		return;
	/* Without one there is nothing to say, but once that there is none. */
	if (!f->tls.wanted && g->tls_told == 0 && f->tls.prev_ca.len == 0)
		return;
	g->tls_told = h;
	kube_tell(g->k, MSG_TLS, &f->tls);
}

static void
tell(struct kgroup *g)
{
	static struct found f;
	bool was = g->creds_valid, changed;

	decode(g, &f);
	changed = strcmp(g->creds_problem, f.creds.problem) != 0;
	g->creds_valid = f.creds.valid;
	g->creds_known = true;
	sparse_copy(
	    g->creds_problem, f.creds.problem, sizeof(g->creds_problem));
	/* First who may be believed, then the passwords for them. */
	tell_tls(g, &f);
	tell_creds(g, &f);
	g->creds_force = false;
	kaccess_save(g, f.foreign, f.rv, &f.creds, &f.tls);
	explicit_bzero(&f, sizeof(f));
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

/* Said once for each Secret and status, not for each attempt. */
static void
unreadable(struct kgroup *g, const char *name, const struct kh_resp *p)
{
	char why[ERR_LEN + 1], text[ERR_LEN + 1], begins[NAME_LEN + 32];

	/* What passes by itself is no news of this Secret. */
	if (!kh_lasts(p->status))
		return;
	(void)snprintf(
	    begins, sizeof(begins), "Secret %s: %ld ", name, p->status);
	if (strncmp(g->creds_unread, begins, strlen(begins)) == 0)
		return;
	kh_why(p, why);
	(void)snprintf(text, sizeof(text), "%s%.350s", begins, why);
	sparse_copy(g->creds_unread, text, sizeof(g->creds_unread));
	log_ev(LL_WARN, "Secret can't be read", KVS("fg", g->fg),
	    KVS("secret", name), KVI("status", p->status), KVS("error", why));
	kcreds_event(g);
	g->status_dirty = true;
	kstatus_kick(g);
}

static void
readable(struct kgroup *g)
{
	if (g->creds_unread[0] == '\0')
		return;
	g->creds_unread[0] = '\0';
	log_ev(LL_INFO, "Secrets can be read again", KVS("fg", g->fg));
	g->status_dirty = true;
	kstatus_kick(g);
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
		unreadable(g, s->name, p);
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
	readable(g);
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

static bool
names(const struct kgroup *g, const char *name)
{
	for (unsigned i = 0; i < g->nsecrets; i++)
		if (!g->secrets[i]->saved &&
		    strcmp(g->secrets[i]->name, name) == 0)
			return true;
	return false;
}

/* Read what groups name, those that name this one; NULL: any. */
static void
changed(struct ksecns *n, const char *name)
{
	struct kgroup *g;

	RB_FOREACH (g, kgroups, &n->k->groups)
		if (g->secns == n && (name == NULL || names(g, name)))
			klane_in(&g->creds, SETTLE_MS);
}

static void
on_begin(void *arg)
{
	(void)arg;
}

static void
on_object(void *arg, yyjson_val *row, bool deleted)
{
	(void)deleted;
	changed(arg, kwatch_name(row));
}

static void
on_listed(void *arg)
{
	changed(arg, NULL);
}

static struct ksecns *
secns_get(struct kube *k, const char *ns)
{
	char path[KH_PATH_MAX];
	struct kwatch_conf c = {
		.name = "secrets",
		.path = path,
		.query = "",
		.limit = 1,
		.names = true,
		.begin = on_begin,
		.object = on_object,
		.listed = on_listed,
	};
	struct ksecns *n;

	TAILQ_FOREACH (n, &k->secnss, link)
		if (strcmp(n->ns, ns) == 0)
			break;
	if (n == NULL) {
		if ((n = calloc(1, sizeof(*n))) == NULL)
			fatal("calloc");
		n->k = k;
		(void)strlcpy(n->ns, ns, sizeof(n->ns));
		kh_collection(path, "/api/v1", ns, "secrets");
		c.arg = n;
		n->watch = kwatch_new(k->kh, k->base, &c);
		TAILQ_INSERT_TAIL(&k->secnss, n, link);
	}
	n->groups++;
	return n;
}

static void
secns_put(struct ksecns *n)
{
	if (n == NULL || --n->groups > 0)
		return;
	TAILQ_REMOVE(&n->k->secnss, n, link);
	kwatch_free(n->watch);
	free(n);
}

static struct ksecret *
secret_new(const char *name, const char *saved)
{
	struct ksecret *s;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		fatal("calloc");
	(void)strlcpy(s->name, name, sizeof(s->name));
	s->saved = strcmp(name, saved) == 0;
	return s;
}

static void
secrets_free(struct kgroup *g)
{
	forget(g);
	for (unsigned i = 0; i < g->nsecrets; i++)
		free(g->secrets[i]);
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
	const char *names[KSECRETS_MAX + 1];
	char own[NAME_LEN + 1] = "";
	unsigned n = kspec_secrets(&g->spec, names);

	if (ksaved_name(&g->spec, own) == 0)
		names[n++] = own;

	if (!same_names(g, names, n)) {
		if (g->creds.req != NULL)
			kh_cancel(g->creds.req);
		g->creds.req = NULL;
		secrets_free(g);
		for (unsigned i = 0; i < n; i++)
			g->secrets[g->nsecrets++] = secret_new(names[i], own);
	}
	if (g->secns == NULL)
		g->secns = secns_get(g->k, g->ns);
	klane_in(&g->creds, SETTLE_MS);
}

void
kcreds_ask(struct kgroup *g)
{
	g->creds_force = true;
	kcreds_kick(g);
}

void
kcreds_kick(struct kgroup *g)
{
	klane_in(&g->creds, 0);
}

void
kcreds_init(struct kgroup *g)
{
	klane_init(&g->creds, g->k, on_creds, g, 100, 2000);
	kaccess_init(g);
}

void
kcreds_free(struct kgroup *g)
{
	klane_free(&g->creds);
	kaccess_free(g);
	secrets_free(g);
	secns_put(g->secns);
	g->secns = NULL;
}
