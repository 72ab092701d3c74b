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
 * The parent's side of the links, with sidecars that this test plays by the
 * real wire.c: who is believed, what becomes an event of the core, and what
 * an offer, a revocation and a yes look like at the other end.
 */

#include "metrics.h"
#include "test_link.h"
#include "orders.h"

static const char *const names[NSITES] = { "iad", "pdx" };
const char *const pods[NSITES] = { "00000000-0000-0000-0000-00000000000a",
	"00000000-0000-0000-0000-00000000000b" };

/* ------------------------------------------------------- a played parent --- */

/* The operator's, two sites', a stranger's. */
static const uint8_t seeds[4][WIRE_KEY_LEN] = { { 1 }, { 2 }, { 3 }, { 4 } };

struct event_base *base;
struct groups *gs;
struct wire_key op_key, other_key;
static struct wire_key site_key[NSITES];
static bool have_key = true;
static struct m_link_sites sites;
static uint64_t trusted, closed; /* last connection */
static char reason[64];

struct side side[NSITES];

static void
side_rx(struct side *s, const struct m_link_tx *m)
{
	static struct w_hello h;

	s->nframes++;
	if (s->nframes == 1) {
		assert_int_equal(
		    wire_heard(&s->wire, m->frame.data, m->frame.len, &h), 0);
		assert_true(h.operator);
		assert_string_equal(h.group, FG);
		assert_int_equal(h.id, LEASE_OPERATOR);
		return;
	}
	assert_int_equal(wire_open(&s->wire, &op_key.pub, 1, m->frame.data,
			     m->frame.len, &s->type, &s->last),
	    0);
	s->n[s->type]++;
}

struct m_event event;
struct m_lease_release release;
unsigned handovers, releases;
static unsigned promises; /* counted */

void
parent_send(struct parent *p, unsigned proc, uint32_t type, const void *msg)
{
	const struct m_link_tx *tx = msg;
	const struct m_link_close *c = msg;
	const struct m_metric *k = msg;

	if (type == MSG_LINK_SITES)
		sites = *(const struct m_link_sites *)msg;
	else if (type == MSG_EVENT)
		event = *(const struct m_event *)msg;
	else if (type == MSG_LEASE_RELEASE) {
		release = *(const struct m_lease_release *)msg;
		releases++;
	} else if (type == MSG_METRIC) {
		handovers += k->family == M_HANDOVERS;
		promises += k->family == M_PROMISES && k->value > 0;
	} else if (type == MSG_LINK_TRUST)
		trusted = ((const struct m_link_trust *)msg)->conn;
	else if (type == MSG_LINK_CLOSE) {
		closed = c->conn;
		strlcpy(reason, c->reason, sizeof(reason));
	} else if (type == MSG_LINK_TX)
		for (int i = 0; i < NSITES; i++)
			if (side[i].conn == tx->conn)
				side_rx(&side[i], tx);
}

struct event_base *
parent_base(const struct parent *p)
{
	return base;
}

const struct wire_key *
parent_key(const struct parent *p)
{
	return have_key ? &op_key : NULL;
}

/* ------------------------------------------------------ what is observed --- */

static void
tell_conf(void)
{
	static struct m_group_conf m;

	orders_conf(&m, UID_G, names, NSITES);
	groups_conf(gs, &m);
}

static void
tell_keys(void)
{
	static struct m_keys m;
	char hex[WIRE_HEX_LEN + 1];

	for (int i = 0; i < NSITES; i++) {
		memset(&m, 0, sizeof(m));
		strlcpy(m.group, UID_G, sizeof(m.group));
		strlcpy(m.site, names[i], sizeof(m.site));
		m.generation = m.since = 1;
		wire_hex(seeds[1 + i], hex);
		secret_set(&m.seed, hex, WIRE_HEX_LEN);
		groups_keys(gs, &m);
	}
}

void
tell_pod(int i, const char *ip)
{
	static struct m_pod m;

	memset(&m, 0, sizeof(m));
	strlcpy(m.group, UID_G, sizeof(m.group));
	strlcpy(m.site, names[i], sizeof(m.site));
	strlcpy(m.pod_uid, pods[i], sizeof(m.pod_uid));
	snprintf(m.pod_name, sizeof(m.pod_name), "mysql-%s", names[i]);
	strlcpy(m.ip, ip, sizeof(m.ip));
	m.ctr_state = CTR_RUNNING;
	m.tls = m.tls_loads = i == IAD;
	groups_pod(gs, &m);
}

/* Epoch 7, and the ones after it, of the same process. */
void
tell_epochs(unsigned n)
{
	static struct m_record m;
	struct m_epoch *e = &m.unended[0];

	memset(&m, 0, sizeof(m));
	strlcpy(m.group, UID_G, sizeof(m.group));
	m.version = 2 + n;
	m.epoch = EPOCH + n - 1;
	strlcpy(m.active, "iad", sizeof(m.active));
	strlcpy(m.server_uuid, UUID, sizeof(m.server_uuid));
	m.n_unended = 1;
	e->epoch = EPOCH;
	strlcpy(e->site, "iad", sizeof(e->site));
	strlcpy(e->pod_uid, pods[IAD], sizeof(e->pod_uid));
	strlcpy(e->server_uuid, UUID, sizeof(e->server_uuid));
	e->proc_start_ms = 1000000;
	e->guard = GUARD;
	e->incarnation = 2;
	e->lease_ms = 20000;
	e->fence_ms = 1000;
	e->quorum = 1;
	e->n_voters = 2;
	e->voters[0].id = LEASE_OPERATOR;
	e->voters[1].id = MEM_B;
	strlcpy(e->voters[1].site, "pdx", sizeof(e->voters[1].site));
	for (m.n_unended = 1; m.n_unended < n; m.n_unended++) {
		m.unended[m.n_unended] = *e;
		m.unended[m.n_unended].epoch = EPOCH + m.n_unended;
		m.unended[m.n_unended].prev = EPOCH;
	}
	groups_record(gs, &m);
}

void
tell_lease(bool held)
{
	struct m_lease m = { .held = held };

	m.deadline_ns = held ? monotime_now().ns + 3600LL * 1000000000 : 0;
	groups_lease(gs, &m);
	/* The term's first write: nobody answers it here. */
	if (held && group() != NULL)
		group()->fs.put_term = true;
}

struct group *
group(void)
{
	return groups_find(gs, UID_G);
}

/* ------------------------------------------------------- played sidecars --- */

static int64_t came_ago_ms; /* how long it waited for the parent */

static void
send_frame(int i, const uint8_t *frame, int n)
{
	static struct m_link_rx m;

	assert_true(n > 0);
	m.conn = side[i].conn;
	m.at_ns = monotime_add_ms(monotime_now(), -came_ago_ms).ns;
	m.frame.len = (uint32_t)n;
	memcpy(m.frame.data, frame, (size_t)n);
	groups_link_rx(gs, &m);
}

void
say(int i, uint32_t type, const void *msg)
{
	static uint8_t frame[WIRE_FRAME_MAX];

	send_frame(i, frame,
	    wire_seal(
		&side[i].wire, &site_key[i], type, msg, frame, sizeof(frame)));
}

/* A new connection to site i; it says hello as Pod `pod`. */
static void
connect_as(int i, const char *site, const char *pod)
{
	static uint64_t conn;
	static uint8_t frame[WIRE_FRAME_MAX];
	static struct m_link_up up;
	static struct w_hello h;

	memset(&side[i], 0, sizeof(side[i]));
	side[i].conn = ++conn;
	memset(&up, 0, sizeof(up));
	up.conn = conn;
	strlcpy(up.group, UID_G, sizeof(up.group));
	strlcpy(up.site, names[i], sizeof(up.site));
	strlcpy(up.pod_uid, pods[i], sizeof(up.pod_uid));
	groups_link_up(gs, &up);
	/* Who connects speaks first. */
	assert_int_equal(side[i].nframes, 1);
	memset(&h, 0, sizeof(h));
	h.version = WIRE_VERSION;
	strlcpy(h.group, FG, sizeof(h.group));
	strlcpy(h.site, site, sizeof(h.site));
	strlcpy(h.pod_uid, pod, sizeof(h.pod_uid));
	h.nonce.len = WIRE_NONCE_LEN;
	h.nonce.data[0] = (uint8_t)conn;
	send_frame(
	    i, frame, wire_hello(&side[i].wire, &h, frame, sizeof(frame)));
}

void
fill_report(int i, struct w_report *r)
{
	memset(r, 0, sizeof(*r));
	r->id = i == IAD ? MEM_A : MEM_B;
	r->heard = EPOCH;
	r->yes_age_ms = -1;
	r->mysql_ok = true;
	r->keys = 1;
}

static void
fill_statement(int i, uint64_t serial, struct w_guard *w)
{
	memset(w, 0, sizeof(*w));
	strlcpy(w->group, FG, sizeof(w->group));
	strlcpy(w->site, names[i], sizeof(w->site));
	strlcpy(w->pod_uid, pods[i], sizeof(w->pod_uid));
	strlcpy(w->server_uuid, UUID, sizeof(w->server_uuid));
	w->guard = GUARD;
	w->serial = serial;
	w->incarnation = 2;
	w->running = true;
	w->start_ms = 1000000;
	w->held = EPOCH;
	w->left_ms = 19000;
	w->exit_code = -1;
}

static void
say_guard(int i, const struct w_guard *w, const struct wire_key *key)
{
	static struct w_report r;

	fill_report(i, &r);
	r.have_guard = true;
	r.n_guard = 1;
	assert_int_equal(wire_sign(W_GUARD, w, key, &r.guard[0]), 0);
	say(i, W_REPORT, &r);
}

void
link_site(int i)
{
	static struct w_report r;

	connect_as(i, names[i], pods[i]);
	fill_report(i, &r);
	say(i, W_REPORT, &r);
	assert_int_equal(trusted, side[i].conn);
}

void
act_epoch(enum fsm_act_type type, uint8_t site, uint64_t epoch)
{
	struct fsm_out out;

	memset(&out, 0, sizeof(out));
	out.n = 1;
	out.act[0].type = (uint8_t)type;
	out.act[0].site = site;
	out.act[0].epoch = epoch;
	group_act(group(), &out);
}

void
act(enum fsm_act_type type, uint8_t site)
{
	act_epoch(type, site, EPOCH);
}

static int
setup(void **state)
{
	log_init("test_link", LL_ERROR, STDERR_FILENO);
	assert_int_equal(wire_init(), 0);
	wire_key_from_seed(&op_key, seeds[0]);
	wire_key_from_seed(&site_key[IAD], seeds[1]);
	wire_key_from_seed(&site_key[PDX], seeds[2]);
	wire_key_from_seed(&other_key, seeds[3]);
	memset(side, 0, sizeof(side));
	memset(&sites, 0, sizeof(sites));
	have_key = true;
	trusted = closed = 0;
	base = event_base_new();
	gs = groups_new(NULL);
	groups_keys_start(gs, 0);
	tell_conf();
	tell_pod(IAD, "10.0.0.1");
	tell_pod(PDX, "10.0.0.2");
	/* Nobody could prove to be there. */
	assert_int_equal(sites.n_sites, 0);
	tell_keys();
	tell_epochs(1);
	groups_synced(gs, true);
	tell_lease(true);
	return 0;
}

static int
teardown(void **state)
{
	groups_gone(gs, UID_G);
	event_free(gs->link_timer);
	groups_keys_stop(gs);
	free(gs);
	event_base_free(base);
	return 0;
}

/* ----------------------------------------------------------------- tests --- */

static void
test_sites(void **state)
{
	assert_string_equal(sites.group, UID_G);
	assert_int_equal(sites.n_sites, 2);
	assert_string_equal(sites.sites[1].name, "pdx");
	assert_string_equal(sites.sites[1].ip, "10.0.0.2");
	assert_string_equal(sites.sites[1].pod_uid, pods[PDX]);
	assert_int_equal(sites.sites[1].port, BR_LINK_PORT);
	/* an empty one knows nobody: it is told all again */
	memset(&sites, 0, sizeof(sites));
	groups_resend(gs, PROC_LINK);
	assert_int_equal(sites.n_sites, 2);
}

/* Proof comes first, on both sides. */
static void
test_trust(void **state)
{
	struct group *g = group();
	static struct w_report r;

	connect_as(IAD, "iad", pods[IAD]);
	assert_int_equal(side[IAD].n[W_OPERATOR], 1);
	assert_true(side[IAD].last.w_operator.leader);
	assert_int_equal(trusted, 0);
	assert_false(g->fs.site[IAD].link_up);
	fill_report(IAD, &r);
	say(IAD, W_REPORT, &r);
	assert_int_equal(trusted, side[IAD].conn);
	assert_true(g->fs.site[IAD].link_up);
	assert_int_equal(g->fs.site[IAD].g.memory, MEM_A);
	assert_int_equal(g->fs.site[IAD].g.guard, 0);
	/* the worker died: all links are down, and made again */
	groups_link_died(gs);
	assert_false(g->fs.site[IAD].link_up);
	link_site(IAD);
	assert_true(g->fs.site[IAD].link_up);
	/* the new Pod's link takes the place of the old one */
	link_site(IAD);
	assert_true(g->fs.site[IAD].link_up);
	assert_int_equal(closed, side[IAD].conn - 1);
}

/*
 * The parent stood still: what came meanwhile is as old as it is, and a grant
 * rests on no word of that age. A stamp of the future is one of now.
 */
static void
test_late(void **state)
{
	const struct fsm_site *t = &group()->fs.site[IAD];
	struct w_guard w;
	int64_t now;

	link_site(IAD);
	fill_statement(IAD, 1, &w);
	w.read_age_ms = 200;
	came_ago_ms = 2500;
	say_guard(IAD, &w, &site_key[IAD]);
	now = mono_ms();
	assert_int_equal(t->g.guard, GUARD);
	assert_in_range(now - t->guard_ms, 2500, 3500);
	assert_in_range(now - t->g_ms, 2500, 3500);
	assert_int_equal(t->g.read_age_ms, 200);
	came_ago_ms = -60000;
	fill_statement(IAD, 2, &w);
	say_guard(IAD, &w, &site_key[IAD]);
	came_ago_ms = 0;
	assert_true(t->guard_ms <= mono_ms());
}

static void
test_strangers(void **state)
{
	static uint8_t frame[WIRE_FRAME_MAX];
	static struct w_report r;
	struct group *g = group();
	int n;

	connect_as(IAD, "pdx", pods[IAD]);
	assert_int_equal(closed, side[IAD].conn);
	connect_as(IAD, "iad", pods[PDX]);
	assert_int_equal(closed, side[IAD].conn);
	assert_int_equal(side[IAD].n[W_OPERATOR], 0);
	/* signed by another site's key */
	connect_as(IAD, "iad", pods[IAD]);
	assert_int_not_equal(closed, side[IAD].conn);
	fill_report(IAD, &r);
	n = wire_seal(&side[IAD].wire, &site_key[PDX], W_REPORT, &r, frame,
	    sizeof(frame));
	send_frame(IAD, frame, n);
	assert_int_equal(closed, side[IAD].conn);
	assert_string_equal(reason, "bad signature");
	assert_int_equal(trusted, 0);
	assert_false(g->fs.site[IAD].link_up);
	/* a frame that is shown twice ends the link */
	link_site(IAD);
	n = wire_seal(&side[IAD].wire, &site_key[IAD], W_REPORT, &r, frame,
	    sizeof(frame));
	send_frame(IAD, frame, n);
	assert_true(g->fs.site[IAD].link_up);
	send_frame(IAD, frame, n);
	assert_int_equal(closed, side[IAD].conn);
	assert_false(g->fs.site[IAD].link_up);
	/* what an operator says is nothing that a sidecar may */
	link_site(IAD);
	memset(&r, 0, sizeof(r));
	say(IAD, W_PROMISE_ASK, &(struct w_promise_ask) { EPOCH });
	assert_int_equal(closed, side[IAD].conn);
}

static void
test_guard(void **state)
{
	struct group *g = group();
	const struct fsm_guard *f = &g->fs.site[IAD].g;
	struct w_guard w;

	link_site(IAD);
	fill_statement(IAD, 5, &w);
	say_guard(IAD, &w, &site_key[IAD]);
	assert_string_equal(f->pod_uid, pods[IAD]);
	assert_int_equal(f->guard, GUARD);
	assert_int_equal(f->incarnation, 2);
	assert_true(f->running);
	assert_int_equal(f->start_ms, 1000000);
	assert_string_equal(f->server_uuid, UUID);
	assert_int_equal(f->held, EPOCH);
	/* an older one that comes late changes nothing */
	fill_statement(IAD, 4, &w);
	w.held = 0;
	say_guard(IAD, &w, &site_key[IAD]);
	assert_int_equal(f->held, EPOCH);
	fill_statement(IAD, 6, &w);
	w.hung = w.disk_full = true;
	w.held = 0;
	w.revoked = EPOCH;
	w.heard = EPOCH + 3;
	say_guard(IAD, &w, &site_key[IAD]);
	assert_int_equal(f->held, 0);
	assert_int_equal(f->revoked, EPOCH);
	assert_int_equal(f->heard, EPOCH + 3);
	assert_true(f->hung && f->disk_full);
}

/* Statements of others, carried by whoever: no guard is there. */
static void
test_guard_forged(void **state)
{
	struct group *g = group();
	const struct fsm_guard *f = &g->fs.site[IAD].g;
	struct w_guard w;

	link_site(IAD);
	for (int k = 0; k < 5; k++) {
		fill_statement(IAD, 10, &w);
		if (k == 1)
			strlcpy(w.group, "db/other", sizeof(w.group));
		else if (k == 2)
			strlcpy(w.site, "pdx", sizeof(w.site));
		else if (k == 3)
			strlcpy(w.pod_uid, pods[PDX], sizeof(w.pod_uid));
		else if (k == 4)
			w.guard = 0;
		say_guard(IAD, &w, k == 0 ? &other_key : &site_key[IAD]);
		assert_int_equal(f->guard, 0);
		assert_int_equal(f->held, 0);
	}
	fill_statement(IAD, 10, &w);
	say_guard(IAD, &w, &site_key[IAD]);
	assert_int_equal(f->guard, GUARD);
}

/* It comes with each report, but is not worth a line each time. */
static void
test_guard_refused(void **state)
{
	FILE *f = tmpfile();
	char line[4096];
	struct w_guard w;
	unsigned n = 0;

	assert_non_null(f);
	link_site(IAD);
	log_init("test_link", LL_WARN, fileno(f));
	fill_statement(IAD, 10, &w);
	for (int k = 0; k < 100; k++)
		say_guard(IAD, &w, &other_key);
	group()->voices.tqh_first->link->bad_ms -= 60000;
	say_guard(IAD, &w, &other_key);
	log_init("test_link", LL_ERROR, STDERR_FILENO);
	rewind(f);
	while (fgets(line, sizeof(line), f) != NULL)
		if (strstr(line, "guard statement refused") != NULL)
			n++;
	assert_int_equal(n, 2);
	assert_int_equal(group()->voices.tqh_first->link->bad, 101);
	fclose(f);
}

/* A volume's copy brings the promise file of another site along. */
static void
test_copied_memory(void **state)
{
	struct group *g = group();
	static struct w_report r;

	link_site(IAD);
	fill_report(IAD, &r);
	r.id = MEM_B;
	say(IAD, W_REPORT, &r);
	assert_int_equal(g->fs.site[IAD].g.memory, 0);
	link_site(PDX);
	assert_int_equal(g->fs.site[PDX].g.memory, MEM_B);
}

/* A beat says who leads; a link on which nothing comes is not up. */
static void
test_beat(void **state)
{
	struct glink *l;

	link_site(IAD);
	l = RB_ROOT(&gs->links);
	l->beat_ms -= 5000;
	while (side[IAD].n[W_OPERATOR] < 2)
		event_base_loop(base, EVLOOP_ONCE);
	tell_lease(false);
	while (side[IAD].n[W_OPERATOR] < 3)
		event_base_loop(base, EVLOOP_ONCE);
	assert_false(side[IAD].last.w_operator.leader);
	assert_true(group()->fs.site[IAD].link_up);
	l->heard_ms -= 5000;
	while (closed == 0)
		event_base_loop(base, EVLOOP_ONCE);
	assert_string_equal(reason, "silent");
	assert_false(group()->fs.site[IAD].link_up);
	assert_true(RB_EMPTY(&gs->links));
}

static void
tell_tls(bool wanted, uint64_t gen, bool ok)
{
	static struct m_tls_state m;
	static struct m_tls t;

	memset(&t, 0, sizeof(t));
	strlcpy(t.group, UID_G, sizeof(t.group));
	t.wanted = wanted;
	t.gen = gen;
	groups_tls(gs, &t);
	memset(&m, 0, sizeof(m));
	strlcpy(m.group, UID_G, sizeof(m.group));
	m.gen = gen;
	m.ok = ok;
	m.digest.len = ok ? sizeof(m.digest.data) : 0;
	memset(m.digest.data, (int)gen, m.digest.len);
	groups_tls_state(gs, &m);
}

/* The n-th beat says 0: none, or the digest of that generation; at once. */
static void
names_tls(unsigned n, uint8_t gen)
{
	const struct w_operator *o = &side[IAD].last.w_operator;

	/* Whatever else is due is late today. */
	RB_ROOT(&gs->links)->beat_ms += 3600000;
	while (side[IAD].n[W_OPERATOR] < n)
		event_base_loop(base, EVLOOP_ONCE);
	RB_ROOT(&gs->links)->beat_ms = mono_ms();
	assert_int_equal(side[IAD].n[W_OPERATOR], n);
	assert_int_equal(o->tls.len, gen != 0 ? sizeof(o->tls.data) : 0);
	assert_int_equal(o->tls.data[0], gen);
	assert_int_equal(o->tls.data[31], gen);
}

/* Which certificate: the leader's word alone, of one that was found good. */
static void
test_certificate(void **state)
{
	alarm(30);
	link_site(IAD);
	names_tls(1, 0);
	tell_tls(true, 3, true);
	names_tls(2, 3);
	/* A bad one after it: what is good still is; then a better one. */
	tell_tls(true, 4, false);
	tell_tls(true, 5, true);
	names_tls(3, 5);
	tell_lease(false);
	names_tls(4, 0);
	assert_false(side[IAD].last.w_operator.leader);
	tell_lease(true);
	names_tls(5, 5);
	tell_tls(false, 0, false);
	names_tls(6, 0);
	assert_true(side[IAD].last.w_operator.leader);
	/* Nor to one that has none mounted. */
	tell_tls(true, 7, true);
	link_site(PDX);
	assert_int_equal(side[PDX].n[W_OPERATOR], 1);
	assert_int_equal(side[PDX].last.w_operator.tls.len, 0);
	alarm(0);
}

static void
promise(int i, uint64_t id, int64_t age)
{
	struct w_promise p = { EPOCH, id, age, 60000 };

	say(i, W_PROMISE, &p);
}

static void
test_promise(void **state)
{
	struct group *g = group();

	link_site(IAD);
	link_site(PDX);
	/* of itself only, and of a past that can be */
	promise(IAD, MEM_B, 100);
	promise(PDX, MEM_B, -1);
	assert_int_equal(g->fs.auth[0].promised, 0);
	assert_int_equal(promises, 0);
	promise(PDX, MEM_B, 100);
	assert_int_equal(g->fs.auth[0].promised, 1 << 1);
	assert_int_equal(g->fs.site[PDX].prom_lease_ms, 60000);
	assert_int_equal(promises, 1);
}

/* Terms go through the core and back as they are. */
static void
test_terms(void **state)
{
	const struct fsm_epoch *e = &group()->fs.rec.unended[0];

	assert_int_equal(e->terms.guard, GUARD);
	assert_int_equal(e->terms.incarnation, 2);
	assert_int_equal(e->terms.r, 1);
	assert_int_equal(e->terms.n, 2);
	assert_int_equal(e->terms.voter[0], LEASE_OPERATOR);
	assert_int_equal(e->voter_site[0], FSM_NONE);
	assert_int_equal(e->terms.voter[1], MEM_B);
	assert_int_equal(e->voter_site[1], PDX);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_sites),
		T(test_trust),
		T(test_late),
		T(test_strangers),
		T(test_guard),
		T(test_guard_forged),
		T(test_copied_memory),
		T(test_guard_refused),
		T(test_offer),
		T(test_offer_both),
		T(test_portions),
		T(test_portions_revoke),
		T(test_revoke),
		T(test_renewal),
		T(test_deadline),
		T(test_beat),
		T(test_sight_told),
		T(test_sight_heard),
		T(test_hand_over),
		T(test_certificate),
		T(test_promise),
		T(test_terms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
