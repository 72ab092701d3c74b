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
 * How far accounts and certificate are: what the parent and mysql-prober say
 * of them becomes conditions and Events; and what is in force at all sites is
 * written to a Secret of our own (kube_secrets.c has why).
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube.h"

struct kaccess {
	struct m_access m;
	struct m_tls_state tls;
	bool settled;        /* the account was in force at all sites */
	bool good;           /* servers may load it, or an earlier one */
	bool save, save_tls; /* what m says is to be written */
	struct kh_req *req;
};

static void written(void *, const struct kh_resp *);

static struct kaccess *
access_of(struct kgroup *g)
{
	if (g->access == NULL &&
	    (g->access = calloc(1, sizeof(*g->access))) == NULL)
		fatal("calloc");
	return g->access;
}

/* ---------------------------------------------------------- conditions --- */

static void
changed(struct kgroup *g)
{
	g->status_dirty = true;
	kstatus_kick(g);
}

void
kaccess_set(struct kgroup *g, const struct m_access *m)
{
	struct kaccess *a = access_of(g);

	if (m->creds_problem[0] != '\0' &&
	    strcmp(m->creds_problem, a->m.creds_problem) != 0)
		kevent_emit(
		    g, true, "CredentialReconcileFailed", m->creds_problem);
	if (m->excess[0] != '\0' && strcmp(m->excess, a->m.excess) != 0)
		kevent_emit(g, true, "ExcessPrivileges", m->excess);
	a->m = *m;
	a->save = m->creds_applied;
	a->save_tls = m->tls_applied;
	if ((a->save || a->save_tls) && kube_may_write(g->k))
		kcreds_kick(g);
	changed(g);
}

static void
tls_event(struct kgroup *g)
{
	const struct m_tls_state *t = &g->access->tls;

	if (t->gen == g->tls_gen && strcmp(t->reason, "Valid") != 0)
		kevent_emit(g, true, t->reason, t->message);
}

void
kaccess_tls(struct kgroup *g, const struct m_tls_state *m)
{
	struct kaccess *a = access_of(g);
	bool was = a->good;

	if (m->gen != g->tls_gen)
		return;
	a->tls = *m;
	a->good |= m->ok;
	log_ev(m->ok ? LL_INFO : LL_WARN, "certificate checked",
	    KVS("fg", g->fg), KVS("reason", m->reason),
	    KVS("message", m->message));
	tls_event(g);
	changed(g);
	if (a->good && !was)
		kapply_kick(g);
}

void
kaccess_event(struct kgroup *g)
{
	if (g->access == NULL)
		return;
	if (g->access->m.creds_problem[0] != '\0')
		kevent_emit(g, true, "CredentialReconcileFailed",
		    g->access->m.creds_problem);
	if (g->spec.tls && g->access->tls.reason[0] != '\0')
		tls_event(g);
}

bool
kaccess_ready(const struct kgroup *g)
{
	return !g->spec.tls || (g->access != NULL && g->access->good);
}

void
kaccess_creds_cond(const struct kgroup *g, struct kcond *c)
{
	const struct kaccess *a = g->access;

	*c = (struct kcond) { "CredentialsValid", "Valid", "", true };
	if (g->creds_unread[0] != '\0')
		*c = (struct kcond) { "CredentialsValid", "SecretUnreadable",
			g->creds_unread, false };
	else if (!g->creds_valid)
		*c = (struct kcond) { "CredentialsValid", "SecretProblem",
			g->creds_problem, false };
	else if (a == NULL || a->m.creds_gen != g->creds_gen)
		return;
	else if (a->m.creds_problem[0] != '\0')
		*c = (struct kcond) { "CredentialsValid", "ReconcileFailed",
			a->m.creds_problem, false };
	/* A site that is down has them if all sites ever had. */
	else if (a->m.creds_pending[0] != '\0' && !a->settled)
		*c = (struct kcond) { "CredentialsValid", "RotationPending",
			a->m.creds_pending, true };
}

bool
kaccess_excess_cond(const struct kgroup *g, struct kcond *c)
{
	const struct kaccess *a = g->access;

	if (a == NULL || !a->m.excess_known)
		return false;
	*c = (struct kcond) { "ExcessPrivileges", "NoneFound", "", false };
	if (a->m.excess[0] != '\0')
		*c = (struct kcond) { "ExcessPrivileges", "CanPassFence",
			a->m.excess, true };
	return true;
}

bool
kaccess_tls_cond(const struct kgroup *g, struct kcond *c)
{
	const struct kaccess *a = g->access;

	if (!g->spec.tls || a == NULL || a->tls.reason[0] == '\0')
		return false;
	*c = (struct kcond) { "TLSValid", a->tls.reason, a->tls.message,
		a->tls.ok };
	if (a->tls.ok && a->m.tls_gen == a->tls.gen &&
	    a->m.tls_pending[0] != '\0') {
		c->reason = "ReloadPending";
		c->message = a->m.tls_pending;
	}
	return true;
}

void
kaccess_no_tls(yyjson_mut_val *conds)
{
	yyjson_mut_arr_iter it = yyjson_mut_arr_iter_with(conds);
	yyjson_mut_val *c;

	while ((c = yyjson_mut_arr_iter_next(&it)) != NULL)
		if (yyjson_mut_equals_str(
			yyjson_mut_obj_get(c, "type"), "TLSValid"))
			(void)yyjson_mut_arr_iter_remove(&it);
}

/* ---------------------------------------------------------------- save --- */

static bool
same_account(const struct m_creds *m)
{
	return strcmp(m->user, m->prev_user) == 0 &&
	    secret_equal(&m->password, &m->prev_password);
}

static bool
same_ca(const struct m_tls *t)
{
	return t->ca.len == t->prev_ca.len &&
	    memcmp(t->ca.data, t->prev_ca.data, t->ca.len) == 0;
}

void
kaccess_save(struct kgroup *g, bool foreign, const char *rv,
    const struct m_creds *m, const struct m_tls *t)
{
	struct kaccess *a = access_of(g);
	char path[KH_PATH_MAX], name[NAME_LEN + 1];
	struct kcall c = { .k = g->k,
		.method = *rv == '\0' ? KH_POST : KH_PATCH,
		.path = path,
		.type = *rv == '\0' ? KH_JSON : KH_MERGE,
		.may = kgroup_may_write,
		.done = written,
		.arg = g };
	bool creds, tls;

	a->settled = same_account(m);
	if (foreign || g->deleting || a->req != NULL || !kube_may_write(g->k) ||
	    ksaved_name(&g->spec, name) == -1)
		return;
	creds =
	    a->save && m->valid && a->m.creds_gen == m->gen && !same_account(m);
	tls = a->save_tls && t->ca.len > 0 && a->m.tls_gen == t->gen &&
	    !same_ca(t);
	if (!creds && !tls)
		return;
	(void)snprintf(path, sizeof(path), "/api/v1/namespaces/%s/secrets%s%s",
	    g->ns, *rv == '\0' ? "" : "/", *rv == '\0' ? "" : name);
	c.doc = kj_new();
	c.root = ksaved_render(
	    c.doc, &g->spec, rv, creds ? m : NULL, tls ? t : NULL);
	if (c.root == NULL)
		fatalx("JSON memory");
	a->req = kube_call(&c);
}

/* Read again: what was written is told as such, what failed is tried anew. */
static void
written(void *arg, const struct kh_resp *p)
{
	struct kgroup *g = arg;

	g->access->req = NULL;
	if (p->status == 200 || p->status == 201) {
		log_ev(
		    LL_INFO, "accounts in force remembered", KVS("fg", g->fg));
		kcreds_kick(g);
		return;
	}
	if (p->refused)
		return; /* somebody else leads */
	log_ev(LL_WARN, "accounts in force not remembered", KVS("fg", g->fg),
	    KVI("status", p->status), KVS("error", p->error));
	klane_retry(&g->creds, p);
}

void
kaccess_init(struct kgroup *g)
{
	g->access = NULL;
}

void
kaccess_free(struct kgroup *g)
{
	if (g->access == NULL)
		return;
	if (g->access->req != NULL)
		kh_cancel(g->access->req);
	free(g->access);
	g->access = NULL;
}
