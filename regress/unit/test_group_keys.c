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
 * Keys in the parent: what it has stored, whom it believes, what it makes
 * again. The order of a rotation is test_keys.c's.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>

#include "group_int.h"
#include "keys.h"
#include "metrics.h"
#include "orders.h"

#define UID_G "11111111-2222-3333-4444-555555555555"

static struct event_base *base;
static struct groups *gs;
static struct m_key_put put[8]; /* sent and not looked at */
static unsigned nput;
static struct m_metric age[8];
static unsigned nage;
static const char *const names[] = { "iad", "pdx" };

void
parent_send(struct parent *p, unsigned proc, uint32_t type, const void *msg)
{
	const struct m_metric *m = msg;

	if (type == MSG_METRIC && m->family == M_KEY_AGE) {
		assert_true(nage < PS_NITEMS(age));
		age[nage++] = *m;
	}
	if (type != MSG_KEY_PUT)
		return;
	assert_int_equal(proc, PROC_KUBE);
	assert_true(nput < PS_NITEMS(put));
	put[nput++] = *(const struct m_key_put *)msg;
}

struct event_base *
parent_base(const struct parent *p)
{
	return base;
}

const struct wire_key *
parent_key(const struct parent *p)
{
	return groups_key(gs);
}

static void
run(void)
{
	nput = 0;
	event_base_loop(base, EVLOOP_ONCE);
}

static void
tell_conf(void)
{
	static struct m_group_conf m;

	orders_conf(&m, UID_G, names, 2);
	groups_conf(gs, &m);
}

static void
lead(bool held)
{
	struct m_lease m = { .held = held };

	m.deadline_ns = held ? monotime_now().ns + 3600LL * 1000000000 : 0;
	groups_lease(gs, &m);
}

/* As kube-watcher tells what it has written. */
static void
tell_put(const struct m_key_put *p)
{
	static struct m_keys m;

	memset(&m, 0, sizeof(m));
	memcpy(m.group, p->group, sizeof(m.group));
	memcpy(m.site, p->site, sizeof(m.site));
	m.generation = p->generation;
	m.since = p->since;
	m.made_s = p->made_s;
	m.done = p->done;
	m.seed = p->seed;
	m.other = p->other;
	m.trust.len = p->trust.len;
	memcpy(m.trust.data, p->trust.data, p->trust.len);
	groups_keys(gs, &m);
	/* Not kept where nobody looks after it. */
	assert_int_equal(m.seed.len, 0);
}

/* There is none of ours; taken: but another group's. */
static void
tell_none(const char *site, bool taken)
{
	static struct m_keys m;

	memset(&m, 0, sizeof(m));
	if (site[0] != '\0')
		strlcpy(m.group, UID_G, sizeof(m.group));
	strlcpy(m.site, site, sizeof(m.site));
	m.taken = taken;
	groups_keys(gs, &m);
}

static void
tell_absent(const char *site)
{
	tell_none(site, false);
}

static int
setup(void **state)
{
	nage = 0;
	base = event_base_new();
	gs = groups_new(NULL);
	groups_keys_start(gs, 0);
	tell_conf();
	groups_synced(gs, true);
	lead(true);
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
	nput = 0;
	return 0;
}

static struct group *
group(void)
{
	return groups_find(gs, UID_G);
}

/* The public key of a seed as it was put. */
static struct wire_pub
pub_of(const struct secret *s)
{
	uint8_t seed[WIRE_KEY_LEN];
	struct wire_key k;

	assert_int_equal(
	    wire_seed_parse((const char *)s->data, s->len, seed), 0);
	wire_key_from_seed(&k, seed);
	return k.pub;
}

/* All Secrets are made; what was put last is in put[]. */
static void
make_all(void)
{
	static struct m_key_put p[2];

	tell_absent("");
	tell_absent("iad");
	tell_absent("pdx");
	run();
	assert_int_equal(nput, 1);
	assert_string_equal(put[0].group, "");
	assert_null(groups_key(gs));
	tell_put(&put[0]);
	assert_non_null(groups_key(gs));
	run();
	assert_int_equal(nput, 2);
	p[0] = put[0];
	p[1] = put[1];
	tell_put(&p[0]);
	tell_put(&p[1]);
	run();
	assert_int_equal(nput, 0);
	put[0] = p[0];
	put[1] = p[1];
}

static void
test_made(void **state)
{
	static struct wire_trust t;
	const struct wire_pub *k;
	struct wire_pub pub;
	char err[256];
	size_t n;

	make_all();
	assert_int_equal(put[0].base, 0);
	assert_int_equal(put[0].other.len, 0);
	assert_memory_equal(
	    put[0].trust.data, put[1].trust.data, put[0].trust.len);
	assert_int_equal(wire_trust_parse((char *)put[0].trust.data,
			     put[0].trust.len, &t, err, sizeof(err)),
	    0);
	assert_int_equal(t.n_operator, 1);
	assert_memory_equal(
	    &t.operator[0], &groups_key(gs)->pub, sizeof(struct wire_pub));
	for (unsigned i = 0; i < 2; i++) {
		assert_string_equal(put[i].site, names[i]);
		pub = pub_of(&put[i].seed);
		k = wire_trust_find(&t, names[i], &n);
		assert_int_equal(n, 1);
		assert_memory_equal(k, &pub, sizeof(pub));
		k = group_keys(group(), names[i], &n);
		assert_int_equal(n, 1);
		assert_memory_equal(k, &pub, sizeof(pub));
	}
	assert_null(group_keys(group(), "nowhere", &n));
	assert_int_equal(n, 0);
}

/* Nothing before all is told; a standby never writes. */
static void
test_waits(void **state)
{
	tell_absent("iad");
	run();
	assert_int_equal(nput, 0);
	lead(false);
	tell_absent("");
	tell_absent("pdx");
	run();
	assert_int_equal(nput, 0);
}

/* Deleted, or spoilt: with the same seeds, and a number above. */
static void
test_made_again(void **state)
{
	static struct m_key_put was;
	static struct m_keys m;

	make_all();
	was = put[1];
	tell_absent("pdx");
	run();
	assert_int_equal(nput, 1);
	assert_string_equal(put[0].site, "pdx");
	assert_int_equal(put[0].base, 0);
	assert_true(put[0].generation > was.generation);
	assert_memory_equal(&put[0].seed, &was.seed, sizeof(was.seed));
	was = put[0];
	tell_put(&was);
	run();
	assert_int_equal(nput, 0);
	/* Somebody wrote into it. */
	memset(&m, 0, sizeof(m));
	strlcpy(m.group, UID_G, sizeof(m.group));
	strlcpy(m.site, "pdx", sizeof(m.site));
	m.generation = was.generation;
	strlcpy(m.problem, "seed: not one", sizeof(m.problem));
	groups_keys(gs, &m);
	run();
	assert_int_equal(nput, 1);
	assert_int_equal(put[0].base, was.generation);
	assert_memory_equal(&put[0].seed, &was.seed, sizeof(was.seed));
	/* The operator's, too. */
	tell_put(&put[0]);
	tell_absent("");
	assert_null(groups_key(gs));
	run();
	assert_int_equal(nput, 1);
	assert_string_equal(put[0].group, "");
	tell_put(&put[0]);
	assert_non_null(groups_key(gs));
}

/* Puts of one site in this turn. */
static unsigned
puts_of(const char *site)
{
	unsigned n = 0;

	for (unsigned i = 0; i < nput; i++)
		n += strcmp(put[i].site, site) == 0;
	return n;
}

/* While the Secret is another group's none is made, and one when it is not. */
static void
test_taken(void **state)
{
	static struct m_key_put was;

	tell_absent("");
	tell_absent("iad");
	tell_none("pdx", true);
	run();
	tell_put(&put[0]);
	run();
	assert_int_equal(puts_of("iad"), 1);
	assert_int_equal(puts_of("pdx"), 0);
	tell_put(&put[0]);
	run();
	assert_int_equal(nput, 0);
	tell_absent("pdx");
	run();
	assert_int_equal(puts_of("pdx"), 1);
	was = put[strcmp(put[0].site, "pdx") == 0 ? 0 : 1];
	/* Another group made its own in that moment. */
	tell_none("pdx", true);
	run();
	assert_int_equal(puts_of("pdx"), 0);
	tell_absent("pdx");
	run();
	assert_int_equal(puts_of("pdx"), 1);
	for (unsigned i = 0; i < nput; i++)
		if (strcmp(put[i].site, "pdx") == 0)
			assert_memory_equal(
			    &put[i].seed, &was.seed, sizeof(was.seed));
}

/* Told when it changes, and to a new status-server. */
static void
test_age(void **state)
{
	static struct m_key_put p;
	unsigned n = 0;

	make_all();
	p = put[1];
	/* what made_s says, not when we heard of it */
	p.made_s -= 2 * 86400 + 7;
	tell_put(&p);
	nage = 0;
	run();
	assert_int_equal(nage, 1);
	assert_non_null(strstr(age[0].labels, "site=\"pdx\""));
	assert_int_equal(age[0].value / METRIC_UNIT, 2 * 86400);
	tell_put(&p);
	run();
	assert_int_equal(nage, 1);
	nage = 0;
	group_keys_forget(group());
	tell_put(&p);
	run();
	assert_int_equal(nage, 3);
	for (unsigned i = 0; i < nage; i++)
		n += strstr(age[i].labels, "site=\"\"") != NULL;
	assert_int_equal(n, 1);
}

/* A first seed of another leader: its word counts, ours is forgotten. */
static void
test_other_leader(void **state)
{
	static struct m_key_put p;
	struct wire_pub pub;
	const struct wire_pub *k;
	size_t n;

	make_all();
	p = put[0];
	memset(p.seed.data, '7', p.seed.len);
	p.generation++;
	p.since = p.generation;
	pub = pub_of(&p.seed);
	lead(false);
	tell_put(&p);
	k = group_keys(group(), "iad", &n);
	/* What all Secrets still list is believed, until its Pod has read. */
	assert_int_equal(n, 2);
	assert_true(memcmp(&k[0], &pub, sizeof(pub)) == 0 ||
	    memcmp(&k[1], &pub, sizeof(pub)) == 0);
	run();
	assert_int_equal(nput, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_made, setup, teardown),
		cmocka_unit_test_setup_teardown(test_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_made_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_age, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_other_leader, setup, teardown),
	};

	log_init("test_group_keys", LL_ERROR, 2);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
