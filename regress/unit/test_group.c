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
 * The glue between messages and the core, with workers that this test plays:
 * a fresh group is bootstrapped, its primary found read-only and granted
 * again. What the core decides is tested in regress/fsm; here it is that
 * every field arrives on the other side.
 */

#include "test_group.h"

/* ------------------------------------------------------- a played parent --- */

static struct event_base *base;
struct groups *gs;
unsigned nsent[MSG_AFTER_LAST];
static struct m_record_put put;
static struct m_sql sql;
static struct m_dns_want dns;
struct m_probe_group probe_group;
static struct m_group_status status;
static struct m_roll roll;
struct m_pod_check check;
static struct m_event event; /* the last one about DNS */
static unsigned no_primary;  /* statuses in which no site is labelled so */
static unsigned unwell;      /* those in which the active one isn't healthy */

void
parent_send(struct parent *p, unsigned proc, uint32_t type, const void *msg)
{
	nsent[type]++;
	if (type == MSG_RECORD_PUT)
		put = *(const struct m_record_put *)msg;
	else if (type == MSG_SQL)
		sql = *(const struct m_sql *)msg;
	else if (type == MSG_DNS_WANT)
		dns = *(const struct m_dns_want *)msg;
	else if (type == MSG_PROBE_GROUP)
		probe_group = *(const struct m_probe_group *)msg;
	else if (type == MSG_EVENT &&
	    strncmp(((const struct m_event *)msg)->reason, "DNS", 3) == 0)
		event = *(const struct m_event *)msg;
	else if (type == MSG_POD_CHECK)
		check = *(const struct m_pod_check *)msg;
	else if (type == MSG_ROLL)
		roll = *(const struct m_roll *)msg;
	else if (type == MSG_GROUP_STATUS && proc == PROC_KUBE) {
		status = *(const struct m_group_status *)msg;
		unwell += status.active_site[0] == '\0';
		for (unsigned i = 0; i < status.n_sites; i++)
			if (status.sites[i].role_label == RL_PRIMARY) {
				unwell += !status.sites[i].healthy;
				return;
			}
		no_primary++;
	}
}

struct event_base *
parent_base(const struct parent *p)
{
	return base;
}

const struct wire_key *
parent_key(const struct parent *p)
{
	return NULL;
}

/* -------------------------------------------------------- what is observed - */

static void
tell_sites(const char *const names[], unsigned n)
{
	static struct m_group_conf m;

	orders_conf(&m, UID_G, names, n);
	orders_failover(&m);
	m.dns_ttl = 60;
	for (unsigned i = 0; i < n; i++) {
		snprintf(m.sites[i].lb_ip, sizeof(m.sites[i].lb_ip),
		    "192.0.2.%u", i + 1);
		snprintf(m.sites[i].host, sizeof(m.sites[i].host),
		    "mysql-orders-%s-internal.db.svc.cluster.local", names[i]);
	}
	groups_conf(gs, &m);
}

static const char *const two[] = { "iad", "pdx" };

void
tell_conf(void)
{
	tell_sites(two, 2);
}

void
tell_pod(const char *site, const char *uid, const char *ip)
{
	static struct m_pod m;

	memset(&m, 0, sizeof(m));
	strlcpy(m.group, UID_G, sizeof(m.group));
	strlcpy(m.site, site, sizeof(m.site));
	strlcpy(m.pod_uid, uid, sizeof(m.pod_uid));
	snprintf(m.pod_name, sizeof(m.pod_name), "mysql-orders-%s-x", site);
	strlcpy(m.ip, ip, sizeof(m.ip));
	m.finalizer = m.ready = true;
	m.ctr_state = CTR_RUNNING;
	strlcpy(m.container_id, CID, sizeof(m.container_id));
	m.started_ms = 1000000;
	groups_pod(gs, &m);
}

static void
tell_record(uint64_t version)
{
	static struct m_record m;

	memset(&m, 0, sizeof(m));
	strlcpy(m.group, UID_G, sizeof(m.group));
	m.version = version;
	if (version != 0) {
		m.epoch = put.epoch;
		strlcpy(m.active, put.active, sizeof(m.active));
		strlcpy(m.server_uuid, put.server_uuid, sizeof(m.server_uuid));
		m.n_unended = put.n_unended;
		memcpy(m.unended, put.unended, sizeof(m.unended));
		m.last_failover_s = put.last_failover_s;
		strlcpy(m.last_failover_target, put.last_failover_target,
		    sizeof(m.last_failover_target));
		strlcpy(m.promotion_gtid, put.promotion_gtid,
		    sizeof(m.promotion_gtid));
		strlcpy(m.seen_gtid, put.seen_gtid, sizeof(m.seen_gtid));
	}
	groups_record(gs, &m);
}

static void
tell_probe(const char *site, bool writable)
{
	static struct m_probe m;
	bool a = strcmp(site, "iad") == 0;

	memset(&m, 0, sizeof(m));
	strlcpy(m.group, UID_G, sizeof(m.group));
	strlcpy(m.site, site, sizeof(m.site));
	strlcpy(m.pod_uid, a ? POD_A : POD_B, sizeof(m.pod_uid));
	strlcpy(m.server_uuid, a ? UUID_A : UUID_B, sizeof(m.server_uuid));
	m.ok = true;
	m.sent_ns = monotime_now().ns;
	m.proc_start_ms = 1001000;
	m.server_clock_us = 2000000000;
	m.read_only = m.super_read_only = !writable;
	m.lag_s = -1;
	groups_probe(gs, &m);
}

/* What a link would bring (test_link.c): site pdx's sidecar is a voter. */
static void
tell_guard(const char *site, uint64_t held)
{
	static struct fsm_guard f;
	struct fsm_event link = { .type = E_LINK }, ev = { .type = E_GUARD };
	struct group *g = groups_find(gs, UID_G);
	bool a = strcmp(site, "iad") == 0;

	memset(&f, 0, sizeof(f));
	strlcpy(f.pod_uid, a ? POD_A : POD_B, sizeof(f.pod_uid));
	f.memory = a ? 0xa : 0xb;
	f.yes_age_ms = -1;
	f.running = f.read_only = true;
	f.guard = a ? 0xaa : 0xbb;
	f.incarnation = 3;
	strlcpy(f.server_uuid, a ? UUID_A : UUID_B, sizeof(f.server_uuid));
	f.start_ms = 1001000;
	f.held = held;
	link.site = ev.site = a ? 0 : 1;
	link.u.link_up = true;
	ev.u.guard = &f;
	group_step(g, &link);
	group_step(g, &ev);
}

static void
tell_ack(uint64_t seq)
{
	struct m_ack m;

	memset(&m, 0, sizeof(m));
	strlcpy(m.group, UID_G, sizeof(m.group));
	m.seq = seq;
	m.ok = true;
	groups_ack(gs, &m);
}

static void
tell_sql_done(bool writable)
{
	static struct m_sql_done m;

	memset(&m, 0, sizeof(m));
	strlcpy(m.group, UID_G, sizeof(m.group));
	m.seq = sql.seq;
	strlcpy(m.site, sql.site, sizeof(m.site));
	m.kind = sql.kind;
	m.end = SE_DONE;
	strlcpy(m.pod_uid, sql.pod_uid, sizeof(m.pod_uid));
	strlcpy(m.server_uuid, sql.server_uuid, sizeof(m.server_uuid));
	m.proc_start_ms = 1001000;
	m.server_clock_us = 2000100000;
	m.grant_limit_us = 2002000000;
	m.flags_read = true;
	m.read_only = m.super_read_only = !writable;
	groups_sql_done(gs, &m);
}

/* An operator that leads, and what it finds written of the group. */
static void
begin(uint64_t version)
{
	struct m_lease lease = { .held = true };
	static struct m_creds creds;

	gs = groups_new(NULL);
	groups_keys_start(gs, 0);
	tell_conf();
	strlcpy(creds.group, UID_G, sizeof(creds.group));
	creds.valid = true;
	strlcpy(creds.repl_user, "repl", sizeof(creds.repl_user));
	groups_creds(gs, &creds);
	tell_record(version);
	groups_synced(gs, true);
	lease.deadline_ns = monotime_now().ns + 3600LL * 1000000000;
	groups_lease(gs, &lease);
}

static int
setup(void **state)
{
	log_init("test_group", LL_ERROR, STDERR_FILENO);
	base = event_base_new();
	begin(0);
	return 0;
}

/* ----------------------------------------------------------------- tests --- */

static void
test_probe_group(void **state)
{
	tell_pod("iad", POD_A, "10.0.0.1");
	tell_pod("pdx", POD_B, "10.0.0.2");
	assert_string_equal(probe_group.group, UID_G);
	assert_string_equal(probe_group.fg, "db/orders");
	assert_int_equal(probe_group.deadline_ms, 1000);
	assert_int_equal(probe_group.n_sites, 2);
	assert_string_equal(probe_group.sites[1].ip, "10.0.0.2");
	assert_string_equal(probe_group.sites[1].pod_uid, POD_B);
	assert_int_equal(probe_group.sites[1].port, 3306);
}

static void
test_bootstrap(void **state)
{
	struct group *g = groups_find(gs, UID_G);
	unsigned puts = nsent[MSG_RECORD_PUT];

	/* The term began a minute ago: no earlier grant is under way. */
	g->fs.lease_since_ms -= 60000;
	g->fs.old_grants_ms -= 60000;
	g->fs.lease_len_ms = 5000;
	tell_guard("iad", 0);
	tell_guard("pdx", 0);
	for (int i = 0; i < 3; i++) {
		tell_probe("iad", false);
		tell_probe("pdx", false);
	}
	/* the record comes first, and names the process */
	assert_int_equal(nsent[MSG_RECORD_PUT], puts + 1);
	assert_int_equal(put.base_version, 0);
	assert_int_equal(put.epoch, 1);
	assert_string_equal(put.active, "iad");
	assert_string_equal(put.server_uuid, UUID_A);
	assert_int_equal(put.n_unended, 1);
	assert_string_equal(put.unended[0].site, "iad");
	assert_string_equal(put.unended[0].pod_uid, POD_A);
	assert_string_equal(put.unended[0].container_id, CID);
	assert_int_equal(put.unended[0].proc_start_ms, 1001000);
	/* and the terms of its lease */
	assert_int_equal(put.unended[0].guard, 0xaa);
	assert_int_equal(put.unended[0].incarnation, 3);
	assert_int_equal(put.unended[0].lease_ms, 20000);
	assert_int_equal(put.unended[0].fence_ms, 1000);
	assert_int_equal(put.unended[0].quorum, 1);
	assert_int_equal(put.unended[0].n_voters, 2);
	assert_int_equal(put.unended[0].voters[0].id, LEASE_OPERATOR);
	assert_string_equal(put.unended[0].voters[0].site, "");
	assert_int_equal(put.unended[0].voters[1].id, 0xb);
	assert_string_equal(put.unended[0].voters[1].site, "pdx");
	assert_int_equal(nsent[MSG_SQL], 0);
	/* Until then Pods keep the labels that they were made with. */
	assert_int_equal(status.sites[0].role_label, RL_KEEP);
	assert_int_equal(status.sites[1].role_label, RL_KEEP);

	tell_ack(put.seq);
	tell_record(1);
	/* its guard has the lease before it may write */
	assert_int_equal(nsent[MSG_SQL], 0);
	assert_int_equal(groups_find(gs, UID_G)->offer.epoch, 1);
	tell_guard("iad", 1);
	assert_int_equal(nsent[MSG_SQL], 1);
	assert_int_equal(sql.kind, SQL_GRANT);
	assert_string_equal(sql.site, "iad");
	assert_string_equal(sql.server_uuid, UUID_A);
	assert_string_equal(sql.pod_uid, POD_A);
	assert_int_equal(sql.epoch, 1);
	assert_true(sql.valid_until_ns > monotime_now().ns);
	assert_true(sql.grant_ttl_ms > 0);
	/* not before it is confirmed */
	assert_string_equal(dns.target, "");

	tell_sql_done(true);
	tell_probe("iad", true);
	tell_probe("iad", true);
	assert_string_equal(dns.target, "192.0.2.1");
	assert_string_equal(dns.hostname, "db.example.com");
	assert_true(dns.write);
	assert_string_equal(status.active_site, "iad");
	assert_int_equal(status.sites[0].role_label, RL_PRIMARY);
	assert_int_equal(status.sites[1].role_label, RL_REPLICA);
	/* then the other one is cloned from it */
	assert_int_equal(sql.kind, SQL_CLONE);
	assert_string_equal(sql.site, "pdx");
	assert_string_equal(
	    sql.source_host, "mysql-orders-iad-internal.db.svc.cluster.local");
}

/* A read from before our last write that comes late replaces nothing. */
static void
test_older_record(void **state)
{
	struct group *g = groups_find(gs, UID_G);

	tell_record(3);
	assert_int_equal(g->rec.version, 3);
	tell_record(2);
	assert_int_equal(g->rec.version, 3);
	assert_int_equal(g->fs.rec.version, 3);
}

/* What the prober was asked and did not answer is not waited for. */
static void
test_prober_died(void **state)
{
	struct group *g = groups_find(gs, UID_G);
	int open = 0;

	for (unsigned i = 0; i < g->fc.nsites; i++)
		open += g->fs.site[i].sql.seq != 0;
	assert_int_not_equal(open, 0);
	nsent[MSG_PROBE_GROUP] = nsent[MSG_CREDS_ASK] = 0;
	groups_resend(gs, PROC_MYSQL);
	for (unsigned i = 0; i < g->fc.nsites; i++)
		assert_int_equal(g->fs.site[i].sql.seq, 0);
	assert_int_equal(nsent[MSG_PROBE_GROUP], 1);
	assert_int_equal(nsent[MSG_CREDS_ASK], 1);
}

/* Hundreds of groups are told to a new worker in portions. */
static void
test_resend(void **state)
{
	static struct m_group_conf m;
	struct group *g = groups_find(gs, UID_G);
	unsigned n = 0;

	m = g->conf;
	for (unsigned i = 0; i < 300; i++) {
		snprintf(m.group, sizeof(m.group), "group-%u", i);
		snprintf(m.name, sizeof(m.name), "orders-%u", i);
		groups_conf(gs, &m);
	}
	nsent[MSG_PROBE_GROUP] = 0;
	groups_resend(gs, PROC_MYSQL);
	assert_in_range(nsent[MSG_PROBE_GROUP], 1, 64);
	while (nsent[MSG_PROBE_GROUP] < 301) {
		n = nsent[MSG_PROBE_GROUP];
		event_base_loop(base, EVLOOP_ONCE);
		assert_in_range(nsent[MSG_PROBE_GROUP], n, n + 64);
	}
	assert_int_equal(nsent[MSG_PROBE_GROUP], 301);
	for (unsigned i = 0; i < 300; i++) {
		snprintf(m.group, sizeof(m.group), "group-%u", i);
		groups_gone(gs, m.group);
	}
}

/*
 * The list of sites changes: the primary keeps its label and its place in
 * status and DNS, and nothing is done to anybody.
 */
static void
test_sites(void **state)
{
	static const char *const three[] = { "fra", "pdx", "iad" };
	static const char *const moved[] = { "pdx", "iad" };
	struct group *g = groups_find(gs, UID_G);
	unsigned sqls = nsent[MSG_SQL], puts = nsent[MSG_RECORD_PUT];

	assert_string_equal(status.active_site, "iad");
	no_primary = 0;
	tell_sites(three, 3);
	assert_int_equal(no_primary, 0);
	assert_int_equal(status.n_sites, 3);
	assert_string_equal(status.active_site, "iad");
	assert_string_equal(status.sites[2].name, "iad");
	assert_int_equal(status.sites[2].role_label, RL_PRIMARY);
	assert_int_equal(status.sites[0].state, SS_UNKNOWN);
	assert_string_equal(probe_group.sites[2].pod_uid, POD_A);
	assert_string_equal(probe_group.sites[0].ip, "");
	assert_string_equal(dns.site, "iad");
	assert_int_equal(g->fs.rec.unended[0].site, 2);
	assert_int_equal(g->fs.rec.unended[0].voter_site[1], 1);
	tell_sites(moved, 2);
	assert_int_equal(no_primary, 0);
	assert_string_equal(status.active_site, "iad");
	assert_int_equal(status.sites[1].role_label, RL_PRIMARY);
	/* one that leaves and comes back is known by the record's names */
	tell_sites(&two[1], 1);
	assert_int_equal(g->fs.rec.active, FSM_FOREIGN);
	tell_conf();
	assert_int_equal(g->fs.rec.active, 0);
	assert_int_equal(g->fs.rec.unended[0].site, 0);
	assert_int_equal(nsent[MSG_SQL], sqls);
	assert_int_equal(nsent[MSG_RECORD_PUT], puts);
	tell_guard("iad", 1);
	tell_guard("pdx", 0);
	tell_probe("iad", true);
	tell_probe("pdx", false);
	assert_string_equal(status.active_site, "iad");
}

/* What differs goes to the core by its hash, and its word to kube-watcher. */
static void
test_rollout(void **state)
{
	static struct fsm_out out;
	static struct m_rollout m;
	struct group *g = groups_find(gs, UID_G);

	memset(&m, 0, sizeof(m));
	strlcpy(m.group, UID_G, sizeof(m.group));
	m.n_sites = 3;
	strlcpy(m.sites[0].name, "pdx", sizeof(m.sites[0].name));
	strlcpy(m.sites[0].want, "fedcba9876543210", sizeof(m.sites[0].want));
	strlcpy(m.sites[0].have, "00000000000000ff", sizeof(m.sites[0].have));
	strlcpy(m.sites[1].name, "gone", sizeof(m.sites[1].name));
	strlcpy(m.sites[2].name, "iad", sizeof(m.sites[2].name));
	groups_rollout(gs, &m);
	assert_true(g->fs.site[1].want == 0xfedcba9876543210);
	assert_int_equal(g->fs.site[1].have, 0xff);
	assert_int_equal(g->fs.site[0].want, 0);
	out.n = 1;
	memset(&out.act[0], 0, sizeof(out.act[0]));
	out.act[0].type = A_ROLL;
	out.act[0].site = 1;
	out.act[0].seq = 77;
	out.act[0].hash = 0xff;
	out.act[0].valid_until_ms = 5000;
	group_act(g, &out);
	assert_string_equal(roll.group, UID_G);
	assert_string_equal(roll.site, "pdx");
	assert_string_equal(roll.hash, "00000000000000ff");
	assert_int_equal(roll.seq, 77);
	assert_int_equal(roll.valid_until_ns, 5000000000);
	memset(&m.sites[0].want, 0, sizeof(m.sites[0].want));
	memset(&m.sites[0].have, 0, sizeof(m.sites[0].have));
	groups_rollout(gs, &m);
}

/* Nobody led it before us; of those told before the Lease somebody may have. */
static void
test_first(void **state)
{
	static struct m_group_conf c;
	struct m_lease lease = { .held = true };
	struct group *g;

	assert_false(groups_find(gs, UID_G)->first);
	strlcpy(c.group, UID_NEW, sizeof(c.group));
	groups_conf(gs, &c);
	g = groups_find(gs, UID_NEW);
	assert_true(g->first);
	lease.deadline_ns = gs->lease.deadline_ns + 1;
	groups_lease(gs, &lease);
	assert_true(g->first);
	/* It had run out: another one may have led meanwhile. */
	gs->lease.deadline_ns = monotime_now().ns;
	groups_lease(gs, &lease);
	assert_false(g->first);
	groups_gone(gs, UID_NEW);
}

/* ------------------------------------------------------- notes in status --- */

static struct m_group_status *
notes(struct group *g, bool ready)
{
	static struct m_group_status m;

	memset(&m, 0, sizeof(m));
	group_condition(&m, "Ready", ready, "TopologyPolled", "as it is");
	group_condition(&m, "Degraded", false, "Healthy", "");
	strlcpy(m.summary, "in short", sizeof(m.summary));
	group_notes(g, &m);
	return &m;
}

static const struct m_condition *
condition(const struct m_group_status *m, const char *type)
{
	for (unsigned i = 0; i < m->n_conditions; i++)
		if (strcmp(m->conditions[i].type, type) == 0)
			return &m->conditions[i];
	return NULL;
}

/* Why a container waits; that it tries just now is no other text. */
static void
test_waits(void **state)
{
	struct group *g = groups_find(gs, UID_G);
	struct gview was = g->view;
	static struct m_pod m;
	struct gpod *p;
	unsigned i;

	tell_pod("pdx", POD_B, "10.0.0.2");
	p = TAILQ_FIRST(&g->pods);
	while (p != NULL && strcmp(p->site, "pdx") != 0)
		p = TAILQ_NEXT(p, entry);
	assert_non_null(p);
	i = (unsigned)group_site(g, "pdx");
	g->view.site[i].state = SS_UNREACHABLE;
	strlcpy(m.waiting_reason, "ImagePullBackOff", sizeof(m.waiting_reason));
	group_notes_pod(p, &m);
	strlcpy(m.waiting_reason, "ErrImagePull", sizeof(m.waiting_reason));
	group_notes_pod(p, &m);
	assert_string_equal(condition(notes(g, false), "Ready")->message,
	    "as it is; pdx: its container waits: ImagePullBackOff");
	assert_string_equal(notes(g, false)->summary,
	    "in short; pdx: its container waits: ImagePullBackOff");
	assert_string_equal(notes(g, true)->summary, "in short");
	strlcpy(m.waiting_reason, "CrashLoopBackOff", sizeof(m.waiting_reason));
	group_notes_pod(p, &m);
	m.waiting_reason[0] = '\0';
	m.ctr_state = CTR_RUNNING;
	group_notes_pod(p, &m);
	assert_string_equal(notes(g, false)->summary,
	    "in short; pdx: its container waits: CrashLoopBackOff");
	m.ready = true;
	group_notes_pod(p, &m);
	assert_string_equal(notes(g, false)->summary, "in short");
	g->view = was;
}

static void
tell_error(struct gsite *s, uint32_t io, uint32_t sql_no, const char *text)
{
	static struct m_probe m;

	m.has_repl = true;
	m.io_errno = io;
	m.sql_errno = sql_no;
	strlcpy(m.repl_error, text, sizeof(m.repl_error));
	group_notes_probe(s, &m);
}

/* MySQL's own words, without counts, statements and values of keys. */
static void
test_repl_error(void **state)
{
	struct group *g = groups_find(gs, UID_G);
	struct gview was = g->view;
	unsigned i = (unsigned)group_site(g, "pdx");
	struct gsite *s = &g->site[i];

	g->view.site[i].state = SS_READ_ONLY;
	tell_error(s, 2003, 0,
	    "Error connecting to source 'repl@h:3306'. This was attempt 1/86400, "
	    "with a delay of 10 seconds between attempts. Message: no (111)");
	tell_error(s, 2003, 0, "attempt 2");
	assert_string_equal(notes(g, false)->summary,
	    "in short; pdx: MySQL says: Error connecting to source "
	    "'repl@h:3306'. Message: no (111)");
	tell_error(s, 0, 1396,
	    "Error 'CREATE USER failed' on query. Default database: ''. Query: "
	    "'CREATE USER x IDENTIFIED WITH y AS 'secret''");
	assert_string_equal(s->repl_error,
	    "Error 'CREATE USER failed' on query. Default database: ''.");
	tell_error(s, 0, 1062,
	    "on table db.t; Duplicate entry 'me@example.net' for key 't.mail', "
	    "Error_code: 1062");
	assert_string_equal(s->repl_error,
	    "on table db.t; Duplicate entry for key 't.mail', "
	    "Error_code: 1062");
	tell_error(s, 0, 1062, "Duplicate entry 'me@exam");
	assert_string_equal(s->repl_error, "");
	tell_error(s, 0, 0, "");
	assert_null(s->repl_error);
	assert_string_equal(notes(g, false)->summary, "in short");
	g->view = was;
}

/* A record that can't be written; what passes by itself is no news. */
static void
test_dns_state(void **state)
{
	struct group *g = groups_find(gs, UID_G);
	struct m_dns_state m = { .lasts = true };
	const struct m_condition *c;

	assert_null(condition(notes(g, true), "DNSUpdated"));
	strlcpy(m.group, UID_G, sizeof(m.group));
	strlcpy(m.error, "write: 403 it is forbidden", sizeof(m.error));
	groups_dns_state(gs, &m);
	c = condition(notes(g, true), "DNSUpdated");
	assert_false(c->status);
	assert_string_equal(c->reason, "WriteFailed");
	assert_non_null(strstr(c->message, ": write: 403 it is forbidden"));
	assert_string_equal(event.reason, "DNSUpdateFailed");
	assert_string_equal(event.message, c->message);
	memset(&event, 0, sizeof(event));
	groups_dns_state(gs, &m);
	m.lasts = false;
	strlcpy(m.error, "read: 503 later", sizeof(m.error));
	groups_dns_state(gs, &m);
	c = condition(notes(g, true), "DNSUpdated");
	assert_string_equal(c->reason, "WriteFailed");
	assert_string_equal(event.reason, "");
	m.ok = true;
	m.error[0] = '\0';
	groups_dns_state(gs, &m);
	c = condition(notes(g, true), "DNSUpdated");
	assert_true(c->status);
	assert_string_equal(c->reason, "AsWanted");
}

static void
test_lease_lost(void **state)
{
	struct m_lease lease = { .held = false };
	unsigned before = nsent[MSG_SQL];

	groups_lease(gs, &lease);
	tell_probe("iad", false);
	tell_probe("iad", false);
	assert_int_equal(nsent[MSG_SQL], before);
	assert_false(dns.write);
}

/*
 * The next operator writes nothing of a group before it has looked at all of
 * it, and not that the active site were not healthy.
 */
static void
test_cold(void **state)
{
	begin(4);
	unwell = no_primary = 0;
	memset(&status, 0, sizeof(status));
	tell_pod("iad", POD_A, "10.0.0.1");
	tell_pod("pdx", POD_B, "10.0.0.2");
	for (int i = 0; i < 3; i++)
		tell_probe("iad", true);
	assert_int_equal(status.n_sites, 0);
	tell_probe("pdx", false);
	tell_guard("pdx", 0);
	assert_int_equal(status.n_sites, 0);
	tell_guard("iad", 1);
	tell_probe("iad", true);
	assert_int_equal(status.n_sites, 2);
	assert_string_equal(status.active_site, "iad");
	assert_int_equal(unwell + no_primary, 0);
}

/* One that hears nothing says so after a while. */
static void
test_cold_and_silent(void **state)
{
	struct fsm_event ev = { .type = E_TICK };

	begin(4);
	memset(&status, 0, sizeof(status));
	tell_pod("iad", POD_A, "10.0.0.1");
	assert_int_equal(status.n_sites, 0);
	groups_find(gs, UID_G)->begun_ms -= 30000;
	group_step(groups_find(gs, UID_G), &ev);
	assert_int_equal(status.n_sites, 2);
	assert_string_equal(status.active_site, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_probe_group),
		cmocka_unit_test(test_bootstrap),
		cmocka_unit_test(test_older_record),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_sites),
		cmocka_unit_test(test_rollout),
		cmocka_unit_test(test_prober_died),
		cmocka_unit_test(test_resend),
		cmocka_unit_test(test_sweep),
		cmocka_unit_test(test_many_pods),
		cmocka_unit_test(test_unanswered),
		cmocka_unit_test(test_first),
		cmocka_unit_test(test_waits),
		cmocka_unit_test(test_repl_error),
		cmocka_unit_test(test_dns_state),
		cmocka_unit_test(test_lease_lost),
		cmocka_unit_test(test_cold),
		cmocka_unit_test(test_cold_and_silent),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
