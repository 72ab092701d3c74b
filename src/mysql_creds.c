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
 * The accounts of a group, and logging in with them.
 *
 * While a password is changed, servers have the new one, the old one, or
 * both: the primary first, a replica when it has executed the change. So
 * there are several ways in, and a site is asked with the one that it took
 * last; the others follow when that is denied.
 */

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "mysql_int.h"

static void
wipe(char **s)
{
	if (*s != NULL)
		freezero(*s, strlen(*s));
	*s = NULL;
}

static void
clear(struct maccount *a)
{
	wipe(&a->user);
	wipe(&a->password);
}

static void
set(struct maccount *a, const char *user, const char *password)
{
	struct maccount was = *a;

	/* The new may be a part of the old. */
	a->user = mysql_copy(user);
	a->password = mysql_copy(password);
	clear(&was);
}

static bool
same(const struct maccount *a, const char *user, const char *password)
{
	return a->user != NULL && strcmp(a->user, user) == 0 &&
	    strcmp(a->password, password) == 0;
}

static const char *
text(const struct secret *s)
{
	return (const char *)s->data;
}

/* Once more the same is no other way in; when all are taken, neither. */
static void
add(struct mcreds *c, const char *user, const char *password)
{
	if (user == NULL || *user == '\0' || *password == '\0' ||
	    c->ncand == MCONN_LOGINS)
		return;
	for (unsigned i = 0; i < c->ncand; i++)
		if (same(&c->cand[i], user, password))
			return;
	set(&c->cand[c->ncand++], user, password);
}

/* Where what a site took last is now. */
static unsigned
find(const struct mcreds *c, const struct maccount *a)
{
	for (unsigned i = 0; a->user != NULL && i < c->ncand; i++)
		if (same(&c->cand[i], a->user, a->password))
			return i;
	return 0;
}

/*
 * The list anew. What was first stays behind the new one for as long as it
 * may be needed: until CREDS says that the new one is in force everywhere, or
 * a third one comes.
 */
static void
set_candidates(struct mgroup *g, const struct m_creds *m)
{
	struct mcreds *c = &g->creds, old = *c;
	const struct maccount *first = &old.cand[0];
	struct msite *s;
	bool settled;

	memset(c->cand, 0, sizeof(c->cand));
	c->ncand = 0;
	c->serial++;
	settled = strcmp(m->prev_user, m->user) == 0 &&
	    secret_equal(&m->prev_password, &m->password);
	add(c, m->user, text(&m->password));
	if (!settled && old.ncand > 0) {
		add(c, first->user, first->password);
		/* Of the list before: what servers took until now. */
		TAILQ_FOREACH (s, &g->sites, entry)
			if (s->cand < old.ncand && c->ncand < MCONN_LOGINS - 2)
				add(c, old.cand[s->cand].user,
				    old.cand[s->cand].password);
	}
	add(c, m->prev_user, text(&m->prev_password));
	add(c, "root", text(&m->root_password));
	TAILQ_FOREACH (s, &g->sites, entry)
		s->cand = s->cand < old.ncand ? find(c, &old.cand[s->cand]) : 0;
	for (unsigned i = 0; i < old.ncand; i++)
		clear(&old.cand[i]);
}

/* Invalid ones leave the last valid ones in force; the problem is told. */
void
mcreds_set(struct mgroup *g, const struct m_creds *m)
{
	struct mcreds *c = &g->creds;

	c->known = true;
	if (!m->valid) {
		(void)strlcpy(c->problem, m->problem, sizeof(c->problem));
		for (unsigned i = 0; i < AC_MAX; i++)
			clear(&c->next[i]);
		return;
	}
	set_candidates(g, m);
	c->valid = true;
	c->problem[0] = '\0';
	c->gen = m->gen;
	set(&c->repl, m->repl_user, text(&m->repl_password));
	for (unsigned i = 0; i < AC_MAX; i++) {
		clear(&c->role[i]);
		c->role[i] = c->next[i];
	}
	memset(c->next, 0, sizeof(c->next));
	set(&c->role[AC_OPERATOR], m->user, text(&m->password));
	if (strcmp(m->repl_user, m->user) != 0)
		set(&c->role[AC_REPLICATION], m->repl_user,
		    text(&m->repl_password));
	/* As the operator root is seen to already. */
	if (m->root_password.len > 0 && strcmp(m->user, "root") != 0)
		set(&c->role[AC_ROOT], "root", text(&m->root_password));
}

void
mcreds_account(struct mgroup *g, const struct m_account *m)
{
	if (m->role != AC_OPERATOR && m->role != AC_ROOT)
		set(&g->creds.next[m->role], m->user, text(&m->password));
}

void
mcreds_clear(struct mcreds *c)
{
	for (unsigned i = 0; i < MCONN_LOGINS; i++)
		clear(&c->cand[i]);
	for (unsigned i = 0; i < AC_MAX; i++) {
		clear(&c->role[i]);
		clear(&c->next[i]);
	}
	clear(&c->repl);
	memset(c, 0, sizeof(*c));
}

/* -------------------------------------------------------------- log-ins --- */

const char *
mysql_unfit(const struct msite *s)
{
	size_t n;

	if (!s->group->creds.valid)
		return s->group->creds.problem;
	if (s->tls && mtls_trust(s->group, &n) == NULL)
		return "its certificate can't be checked: no CA is known";
	if (s->ip[0] == '\0')
		return "the site has no address";
	return NULL;
}

static void
target(const struct msite *s, struct mtarget *t)
{
	memset(t, 0, sizeof(*t));
	t->host = s->host;
	t->ip = s->ip;
	t->port = s->port;
	t->tls = s->tls;
	if (s->tls)
		t->ca = mtls_trust(s->group, &t->ca_len);
}

struct mconn *
mysql_connect(const struct msite *s, mconn_fn *done, void *arg)
{
	const struct mcreds *c = &s->group->creds;
	struct mtarget t;

	target(s, &t);
	t.nlogins = c->ncand;
	t.cookie = c->serial << 8 | s->cand;
	for (unsigned i = 0; i < c->ncand; i++) {
		const struct maccount *a = &c->cand[(s->cand + i) % c->ncand];

		t.login[i].user = a->user;
		t.login[i].password = a->password;
	}
	return mconn_open(mysql_base(), &t, done, arg);
}

void
mysql_accepted(struct msite *s, const struct mconn *conn)
{
	const struct mcreds *c = &s->group->creds;
	unsigned cookie = mconn_cookie(conn);

	/* Unless the list is another one since. */
	if (cookie >> 8 == (c->serial & UINT_MAX >> 8))
		s->cand = ((cookie & 0xff) + mconn_login(conn)) % c->ncand;
}

struct mconn *
mysql_connect_as(
    const struct msite *s, const struct maccount *a, mconn_fn *done, void *arg)
{
	struct mtarget t;

	target(s, &t);
	t.nlogins = 1;
	t.login[0].user = a->user;
	t.login[0].password = a->password;
	return mconn_open(mysql_base(), &t, done, arg);
}
