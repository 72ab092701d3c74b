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
 * Which step a change of accounts or of the certificate takes next: by the
 * answers that mysql-prober would give, on a clock of our own.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../src/group_access.c"

#define UID_G "11111111-1111-1111-1111-111111111111"

static int64_t clock_ms;
static struct groups all;
static struct group g;
static struct gpod pod[2];
static unsigned nsql, nannotation;
static struct m_sql sql, accounts;
static struct m_access access_m;

/* ------------------------------------------------------ the group's others - */

int64_t
mono_ms(void)
{
	return clock_ms;
}

bool
groups_leading(const struct groups *gs)
{
	return gs->lease.held;
}

struct group *
groups_find(struct groups *gs, const char *uid)
{
	return strcmp(uid, UID_G) == 0 ? &g : NULL;
}

int
group_site(const struct group *p, const char *name)
{
	for (int i = 0; i < 2; i++)
		if (strcmp(p->fc.site[i].name, name) == 0)
			return i;
	return -1;
}

const struct gpod *
group_site_pod(const struct group *p, const char *site)
{
	struct gpod *q = &pod[group_site(p, site)];

	return q->ip[0] != '\0' ? q : NULL;
}

bool
group_site_tls(const struct group *p, const char *site)
{
	return group_site_pod(p, site) != NULL && group_site_pod(p, site)->tls;
}

void
group_fill_conf(struct group *p)
{
}

void
group_step(struct group *p, const struct fsm_event *ev)
{
}

uint64_t
group_hash(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint64_t h = 14695981039346656037u;

	while (n-- > 0)
		h = (h ^ *b++) * 1099511628211u;
	return h;
}

void
parent_send(struct parent *p, unsigned proc, uint32_t type, const void *msg)
{
	if (type == MSG_SQL) {
		sql = *(const struct m_sql *)msg;
		nsql++;
		if (sql.kind == SQL_ACCOUNTS)
			accounts = sql;
	} else if (type == MSG_ACCESS)
		access_m = *(const struct m_access *)msg;
	else if (type == MSG_ANNOTATION_DEL)
		nannotation++;
}

/* --------------------------------------------------------------- the play --- */

static int
setup(void **state)
{
	static const char *const names[] = { "iad", "pdx" };

	memset(&all, 0, sizeof(all));
	group_access_free(&g);
	memset(&g, 0, sizeof(g));
	memset(pod, 0, sizeof(pod));
	memset(&access_m, 0, sizeof(access_m));
	nsql = nannotation = 0;
	clock_ms = 1000000;
	all.lease.held = true;
	all.lease.deadline_ns = INT64_MAX;
	g.all = &all;
	strlcpy(g.uid, UID_G, sizeof(g.uid));
	g.fc.nsites = 2;
	g.conf.n_sites = 2;
	g.view.verdict = V_HEALTHY;
	for (unsigned i = 0; i < 2; i++) {
		struct fsm_probe *p = &g.fs.site[i].p;

		strlcpy(g.fc.site[i].name, names[i], NAME_LEN + 1);
		strlcpy(g.conf.sites[i].name, names[i], NAME_LEN + 1);
		strlcpy(g.conf.sites[i].host, names[i], HOST_LEN + 1);
		snprintf(
		    pod[i].f.pod_uid, sizeof(pod[i].f.pod_uid), "pod-%u", i);
		strlcpy(pod[i].ip, "192.0.2.1", sizeof(pod[i].ip));
		pod[i].tls = pod[i].tls_loads = true;
		*p = (struct fsm_probe) { .ok = true, .read_only = i == 1 };
		strlcpy(p->pod_uid, pod[i].f.pod_uid, sizeof(p->pod_uid));
		g.fs.site[i].ever = true;
		g.fs.site[i].state = i == 0 ? SS_WRITABLE : SS_READ_ONLY;
	}
	g.fs.site[1].p.has_repl = g.fs.site[1].p.sql = true;
	g.fs.site[1].p.io = IO_YES;
	g.fs.site[1].p.source = 0;
	return 0;
}

static void
turn(int64_t ms)
{
	clock_ms += ms;
	group_access_turn(&g);
}

static void
creds(uint64_t gen)
{
	static struct m_creds m;

	memset(&m, 0, sizeof(m));
	strlcpy(m.group, UID_G, sizeof(m.group));
	m.gen = gen;
	m.valid = true;
	groups_creds(&all, &m);
	turn(1);
}

static void
tls_wanted(bool wanted)
{
	static struct m_tls m;

	memset(&m, 0, sizeof(m));
	strlcpy(m.group, UID_G, sizeof(m.group));
	m.wanted = wanted;
	groups_tls(&all, &m);
}

static void
tls(uint64_t gen, bool ok)
{
	static struct m_tls_state m;

	memset(&m, 0, sizeof(m));
	strlcpy(m.group, UID_G, sizeof(m.group));
	m.gen = gen;
	m.ok = ok;
	m.digest.len = ok ? sizeof(m.digest.data) : 0;
	m.digest.data[0] = (uint8_t)gen;
	groups_tls_state(&all, &m);
}

static void
seen(unsigned i, uint64_t creds_gen, uint64_t tls_gen)
{
	static struct m_site_access m;

	memset(&m, 0, sizeof(m));
	strlcpy(m.group, UID_G, sizeof(m.group));
	strlcpy(m.site, g.fc.site[i].name, sizeof(m.site));
	strlcpy(m.pod_uid, pod[i].f.pod_uid, sizeof(m.pod_uid));
	m.creds_gen = creds_gen;
	m.tls_gen = tls_gen;
	groups_site_access(&all, &m);
}

static void
answer(unsigned end, bool retained, const char *error)
{
	static struct m_sql_done m;

	memset(&m, 0, sizeof(m));
	strlcpy(m.site, sql.site, sizeof(m.site));
	m.seq = sql.seq;
	m.kind = sql.kind;
	m.end = end;
	m.retained = retained;
	strlcpy(m.error, error, sizeof(m.error));
	assert_true(group_access_done(&g, &m));
}

/* The n-th statement of all, at this site. */
static void
asked(unsigned n, unsigned kind, const char *site)
{
	assert_int_equal(nsql, n);
	assert_int_equal(sql.kind, kind);
	assert_string_equal(sql.site, site);
}

/* ----------------------------------------------------------------- tests --- */

/* Primary first, replicas then, in force when all take it; then quiet. */
static void
order(void **state)
{
	creds(5);
	asked(1, SQL_ACCOUNTS, "iad");
	turn(1000);
	assert_int_equal(nsql, 1);
	answer(SE_DONE, true, "");
	asked(2, SQL_REFRESH_SOURCE, "pdx");
	assert_string_equal(sql.source_host, "iad");
	assert_true(sql.source_tls);
	answer(SE_DONE, false, "");
	seen(0, 5, 0);
	assert_false(access_m.creds_applied);
	seen(1, 0, 0);
	turn(20000);
	assert_non_null(strstr(access_m.creds_pending, "pdx"));
	assert_null(strstr(access_m.creds_pending, "iad"));
	seen(1, 5, 0);
	assert_true(access_m.creds_applied);
	assert_int_equal(access_m.creds_gen, 5);
	assert_string_equal(access_m.creds_pending, "");
	assert_int_equal(nsql, 2);
	/* After a while all is looked at again. */
	turn(AGAIN_MS);
	asked(4, SQL_REFRESH_SOURCE, "pdx");
}

/* A failure is told, and tried again, less and less often. */
static void
again(void **state)
{
	creds(5);
	answer(SE_FAILED, false, "app account: no");
	assert_string_equal(access_m.creds_problem, "app account: no");
	turn(RETRY_MS - 1);
	assert_int_equal(nsql, 1);
	turn(1);
	asked(2, SQL_ACCOUNTS, "iad");
	answer(SE_REFUSED, false, "the leader's deadline has passed");
	/* That says nothing about accounts. */
	assert_string_equal(access_m.creds_problem, "app account: no");
	turn(RETRY_MS);
	assert_int_equal(nsql, 2);
	turn(RETRY_MS);
	asked(3, SQL_ACCOUNTS, "iad");
	/* No answer at all: a new prober, or a lost one. */
	turn(LOST_MS);
	asked(4, SQL_ACCOUNTS, "iad");
	answer(SE_DONE, false, "");
	assert_string_equal(access_m.creds_problem, "");
	/* Another Secret does not wait. */
	creds(6);
	assert_int_equal(sql.kind, SQL_ACCOUNTS);
}

static void
excess(bool known, const char *text)
{
	static struct m_sql_done m;

	memset(&m, 0, sizeof(m));
	strlcpy(m.site, accounts.site, sizeof(m.site));
	m.seq = accounts.seq;
	m.kind = SQL_ACCOUNTS;
	m.end = SE_DONE;
	m.excess_known = known;
	strlcpy(m.excess, text, sizeof(m.excess));
	assert_true(group_access_done(&g, &m));
}

/* Who could pass the fence: as last seen, and nothing before it was. */
static void
others(void **state)
{
	creds(5);
	assert_false(access_m.excess_known);
	excess(true, "app@%: SUPER");
	assert_true(access_m.excess_known);
	assert_string_equal(access_m.excess, "app@%: SUPER");
	/* A server that doesn't tell has not lost them. */
	turn(AGAIN_MS + LOST_MS);
	excess(false, "no such table");
	assert_true(access_m.excess_known);
	assert_string_equal(access_m.excess, "app@%: SUPER");
	turn(AGAIN_MS + LOST_MS);
	excess(true, "");
	assert_true(access_m.excess_known);
	assert_string_equal(access_m.excess, "");
}

/* Another primary has its own accounts; nobody else is asked. */
static void
failed_over(void **state)
{
	creds(5);
	answer(SE_DONE, false, "");
	answer(SE_DONE, false, "");
	assert_int_equal(nsql, 2);
	g.view.verdict = V_MAX - 1;
	turn(1000);
	g.view.active = 1;
	g.view.verdict = V_HEALTHY;
	turn(1000);
	assert_int_equal(nsql, 2); /* it is read-only still */
	g.fs.site[1].p.read_only = false;
	g.fs.site[1].p.has_repl = false;
	turn(1000);
	asked(3, SQL_ACCOUNTS, "pdx");
	all.lease.held = false;
	turn(LOST_MS);
	assert_int_equal(nsql, 3);
}

/* What the core does to a replica comes first. */
static void
busy(void **state)
{
	creds(5);
	g.fs.site[1].sql.seq = 77;
	answer(SE_DONE, false, "");
	turn(1000);
	assert_int_equal(nsql, 1);
	g.fs.site[1].sql.seq = 0;
	g.fs.site[1].p.sql = false;
	turn(1000);
	assert_int_equal(nsql, 1);
	g.fs.site[1].p.sql = true;
	turn(1000);
	asked(2, SQL_REFRESH_SOURCE, "pdx");
}

/* What is under way ends well. */
static void
settle(void)
{
	struct gaccess_site *s;

	if (g.access->accounts.seq != 0) {
		sql = accounts;
		answer(SE_DONE, true, "");
	}
	SLIST_FOREACH (s, &g.access->sites, entry)
		if (s->source.seq != 0)
			finish(&s->source, true, clock_ms);
}

/* Old passwords: an hour later, or when that is asked for. */
static void
discard(void **state)
{
	creds(5);
	answer(SE_DONE, true, "");
	answer(SE_DONE, false, "");
	for (int64_t t = 0; t < DISCARD_MS - 1000; t += 1000) {
		turn(1000);
		settle();
		assert_false(accounts.discard);
	}
	turn(2000);
	assert_true(accounts.discard);
	sql = accounts;
	answer(SE_DONE, false, "");
	settle();
	nsql = 0;
	turn(1000);
	assert_int_equal(nsql, 0);
	creds(6);
	answer(SE_DONE, true, "");
	answer(SE_DONE, false, "");
	group_access_discard(&g, "now");
	assert_true(accounts.discard);
	assert_int_equal(nannotation, 0);
	answer(SE_DONE, false, "");
	assert_int_equal(nannotation, 1);
}

/* A certificate: only one that is good, and in force when all show it. */
static void
certificate(void **state)
{
	g.view.verdict = V_MAX - 1; /* no primary is needed for it */
	tls_wanted(true);
	seen(0, 0, 0);
	seen(1, 0, 0);
	tls(3, false);
	assert_null(group_access_tls(&g));
	tls(4, true);
	assert_int_equal(group_access_tls(&g)[0], 4);
	turn(60000);
	seen(1, 0, 4);
	assert_false(access_m.tls_applied);
	assert_non_null(strstr(access_m.tls_pending, "iad"));
	assert_null(strstr(access_m.tls_pending, "pdx"));
	seen(0, 0, 4);
	assert_true(access_m.tls_applied);
	assert_int_equal(access_m.tls_gen, 4);
	assert_string_equal(access_m.tls_pending, "");
	/* A bad one changes nothing: what is good still is. */
	tls(5, false);
	assert_int_equal(group_access_tls(&g)[0], 4);
	assert_true(access_m.tls_applied);
	turn(600000);
	assert_int_equal(nsql, 0);
	/* None is wanted any more; a word of it was under way. */
	tls_wanted(false);
	assert_null(group_access_tls(&g));
	tls(4, true);
	assert_null(group_access_tls(&g));
	assert_false(access_m.tls_applied);
	tls_wanted(true);
	tls(4, true);
	assert_int_equal(group_access_tls(&g)[0], 4);
}

/* Who is silent is named once it can't be starting any more; and why. */
static void
certificate_behind(void **state)
{
	tls_wanted(true);
	tls(4, true);
	seen(0, 0, 4);
	g.fs.site[1].state = SS_UNREACHABLE;
	g.fs.site[1].p.ok = false;
	turn(20000);
	assert_false(access_m.tls_applied);
	assert_string_equal(access_m.tls_pending, "");
	turn(SILENT_MS);
	assert_non_null(
	    strstr(access_m.tls_pending, ": pdx (does not answer)"));
	g.fs.site[1].state = SS_READ_ONLY;
	g.fs.site[1].p.ok = true;
	seen(1, 0, 4);
	assert_true(access_m.tls_applied);
	assert_string_equal(access_m.tls_pending, "");
	/* Another Pod of it starts, and was made before sidecars loaded it. */
	strlcpy(pod[1].f.pod_uid, "pod-2", sizeof(pod[1].f.pod_uid));
	pod[1].tls_loads = false;
	g.fs.site[1].state = SS_UNREACHABLE;
	g.fs.site[1].p.ok = false;
	turn(SILENT_MS - 1);
	assert_string_equal(access_m.tls_pending, "");
	seen(1, 0, 0);
	g.fs.site[1].state = SS_READ_ONLY;
	g.fs.site[1].p.ok = true;
	turn(0);
	assert_non_null(
	    strstr(access_m.tls_pending, ": pdx (its Pod is of an older make"));
}

#define T(name) cmocka_unit_test_setup(name, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(order),
		T(again),
		T(others),
		T(failed_over),
		T(busy),
		T(discard),
		T(certificate),
		T(certificate_behind),
	};

	log_init("test_access", LL_ERROR, 2);
	return cmocka_run_group_tests_name("access", tests, NULL, NULL);
}
