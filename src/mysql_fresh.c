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
 * A fresh log-in at each site, after accounts or the certificate changed.
 *
 * The connection of the probe stays open for weeks and says nothing of it: it
 * was let in with what was good then. So somebody knocks anew, until the
 * server takes the newest account and shows the newest certificate; then no
 * more. What is seen is told to the parent, who leads the change.
 */

#include <string.h>

#include <event2/event.h>
#include <mysqld_error.h>

#include "mysql_int.h"

#define LIMIT_MS     2000
#define AGAIN_MIN_MS 200
#define AGAIN_MAX_MS 5000

static void on_answer(struct mconn *, void *);

static bool
done(const struct msite *s)
{
	const struct mgroup *g = s->group;

	return s->fresh.creds_gen == g->creds.gen &&
	    (!s->tls || s->fresh.tls_gen == mtls_gen(g));
}

static void
tell(struct msite *s, uint64_t creds_gen, uint64_t tls_gen, const char *error)
{
	static struct m_site_access m;
	struct mfresh *f = &s->fresh;

	if (f->told && f->creds_gen == creds_gen && f->tls_gen == tls_gen)
		return;
	f->told = true;
	f->creds_gen = creds_gen;
	f->tls_gen = tls_gen;
	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.group, s->group->uid, sizeof(m.group));
	(void)strlcpy(m.site, s->name, sizeof(m.site));
	(void)strlcpy(m.pod_uid, s->pod_uid, sizeof(m.pod_uid));
	m.creds_gen = creds_gen;
	m.tls_gen = tls_gen;
	(void)strlcpy(m.error, error, sizeof(m.error));
	mysql_send(MSG_SITE_ACCESS, &m);
}

static void
rest(struct msite *s)
{
	struct mfresh *f = &s->fresh;

	(void)event_del(f->limit);
	mconn_close(f->conn);
	f->conn = NULL;
	if (f->again) {
		f->again = false;
		f->wait_ms = AGAIN_MIN_MS;
		mysql_arm(f->tick, 0);
		return;
	}
	if (done(s))
		return;
	mysql_arm(f->tick, f->wait_ms);
	f->wait_ms =
	    f->wait_ms * 2 < AGAIN_MAX_MS ? f->wait_ms * 2 : AGAIN_MAX_MS;
}

static void
answered(struct msite *s)
{
	const struct mgroup *g = s->group;
	struct mfresh *f = &s->fresh;
	unsigned err = mconn_errno(f->conn);
	uint64_t creds_gen = f->creds_gen, tls_gen = 0;

	/* What was asked with is the newest still: else it would be again. */
	if (f->again) {
		rest(s);
		return;
	}
	if (err == 0) {
		creds_gen = g->creds.gen;
		if (s->cand != 0 && mconn_login(f->conn) == 0)
			s->cand = 0;
	} else if (err == ER_ACCESS_DENIED_ERROR)
		creds_gen = 0;
	if (mtls_is(g, mconn_cert(f->conn)))
		tls_gen = mtls_gen(g);
	/* A server that does not answer said nothing. */
	if (err == 0 || err == ER_ACCESS_DENIED_ERROR ||
	    mconn_cert(f->conn) != NULL)
		tell(s, creds_gen, tls_gen, mconn_error(f->conn));
	rest(s);
}

static void
on_answer(struct mconn *c, void *arg)
{
	(void)c;
	answered(arg);
}

static void
on_limit(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	rest(arg);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct msite *s = arg;
	struct mfresh *f = &s->fresh;

	(void)fd;
	(void)what;
	if (f->conn != NULL)
		return;
	if (mysql_unfit(s) != NULL) {
		rest(s);
		return;
	}
	f->conn = mysql_connect_as(s, &s->group->creds.cand[0], on_answer, s);
	mysql_arm(f->limit, LIMIT_MS);
}

void
mfresh_init(struct msite *s)
{
	struct mfresh *f = &s->fresh;

	f->tick = evtimer_new(mysql_base(), on_tick, s);
	f->limit = evtimer_new(mysql_base(), on_limit, s);
	if (f->tick == NULL || f->limit == NULL)
		fatalx("evtimer_new");
	mfresh_kick(s, true);
}

void
mfresh_kick(struct msite *s, bool forget)
{
	struct mfresh *f = &s->fresh;

	if (forget) {
		f->told = false;
		f->creds_gen = f->tls_gen = 0;
	}
	f->wait_ms = AGAIN_MIN_MS;
	if (f->conn != NULL)
		f->again = true;
	else if (!done(s))
		mysql_arm(f->tick, 0);
}

void
mfresh_free(struct msite *s)
{
	struct mfresh *f = &s->fresh;

	mconn_close(f->conn);
	event_free(f->tick);
	event_free(f->limit);
	memset(f, 0, sizeof(*f));
}
