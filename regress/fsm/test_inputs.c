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
 * The record of a decision has every input of it: in many states of a group
 * each byte of configuration and state is changed by its lowest bit, and where
 * the decision, or what an update does next, is another one then, the record
 * must be another, too.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "mk.h"

/* What is decided for a group of three sites. */
struct decided {
	struct fsm_decision d;
	uint8_t roll[3];
};

static struct mk m;
static char was[1 << 16], is[1 << 16];

static void
add(void *arg, const char *key, const char *value)
{
	char *to = arg;
	size_t n = strlen(to);

	n += (size_t)snprintf(to + n, sizeof(was) - n, "%s %s\n", key, value);
	assert_true(n < sizeof(was));
}

static void
record(char *to)
{
	to[0] = '\0';
	fsm_inputs(&m.c, &m.s, add, to);
}

static void
decide(struct decided *out)
{
	memset(out, 0, sizeof(*out));
	fsm_decide(&m.c, &m.s, &out->d);
	for (uint8_t i = 0; i < 3; i++)
		out->roll[i] = (uint8_t)fsm_roll_of(&m.c, &m.s, &out->d, i);
}

static bool
same(const struct decided *a, const struct decided *b)
{
	return a->d.verdict == b->d.verdict && a->d.site == b->d.site &&
	    a->d.site2 == b->d.site2 && a->d.step == b->d.step &&
	    a->d.epoch == b->d.epoch &&
	    memcmp(a->roll, b->roll, sizeof(a->roll)) == 0;
}

/* For people: which site's byte it is. */
static void
complain(const char *what, size_t at)
{
	size_t site = offsetof(struct fsm_state, site);

	if (strcmp(what, "state") == 0 && at >= site &&
	    at < site + sizeof(m.s.site))
		print_error("site %zu, byte %zu of struct fsm_site\n",
		    (at - site) / sizeof(struct fsm_site),
		    (at - site) % sizeof(struct fsm_site));
	else
		print_error("byte %zu of %s\n", at, what);
}

static unsigned silent, changed;

static void
flip(void *base, size_t at, const char *what, const struct decided *before)
{
	uint8_t *byte = (uint8_t *)base + at;
	struct decided after;

	*byte ^= 1;
	decide(&after);
	if (!same(before, &after)) {
		changed++;
		record(is);
		if (strcmp(was, is) == 0 && silent++ < 20)
			complain(what, at);
	}
	*byte ^= 1;
}

/* Each byte of what is there: the sites beyond the third are not. */
static void
flip_all(void)
{
	struct decided before;
	size_t from = offsetof(struct fsm_state, site[3]);
	size_t to = offsetof(struct fsm_state, site[SITES_MAX]);

	decide(&before);
	record(was);
	for (size_t at = 0; at < sizeof(m.c); at++)
		flip(&m.c, at, "conf", &before);
	for (size_t at = 0; at < sizeof(m.s); at++) {
		if (at == from)
			at = to;
		/* entries of the record that are not there */
		if (at == offsetof(struct fsm_state, rec.unended[3]))
			at = offsetof(struct fsm_state, rec.last_failover_s);
		flip(&m.s, at, "state", &before);
	}
}

/* ---------------------------------------------------- kinds of groups ---- */

static void
plain(void)
{
	mk_group(&m);
}

static void
guarded(void)
{
	mk_group(&m);
	mk_guarded(&m);
}

static void
updated(void)
{
	mk_group(&m);
	mk_update(&m);
	m.s.site[1].want = m.s.site[2].want = 7;
}

static void
unrecorded(void)
{
	guarded();
	memset(&m.s.rec, 0, sizeof(m.s.rec));
	m.s.rec.active = FSM_NONE;
	for (unsigned i = 0; i < 3; i++)
		m.s.site[i].g.held = 0;
	m.s.old_grants_ms = NOW - FSM_GRANT_TTL_MS - FSM_GRANT_MARGIN_MS - 100;
}

static void
fresh(void)
{
	unrecorded();
	for (unsigned i = 0; i < 3; i++) {
		m.s.site[i].p.has_repl = m.s.site[i].p.user_schemas = false;
		m.s.site[i].p.source = FSM_NONE;
	}
	m.s.rel.empty = 7;
}

static void
put_back(void)
{
	guarded();
	m.s.lost = 9;
	m.s.site[0].g.held = 9;
	for (unsigned i = 0; i < 3; i++) {
		m.s.site[i].prom_epoch = i > 0 ? 9 : 0;
		m.s.site[i].prom_memory = 100 + i;
		m.s.site[i].prom_ms = NOW - 100000;
	}
}

static void
ended_by_lease(void)
{
	guarded();
	m.s.auth[0].revoked = true;
	m.s.auth[0].promised = 7;
	m.s.auth[0].newest_ms = NOW - 60000;
}

static void
minted(void)
{
	guarded();
	m.s.my_epoch = 5;
	m.s.site[0].p.read_only = m.s.site[0].p.super_read_only = true;
}

static void
written(void)
{
	guarded();
	m.s.put_ok = true;
	m.s.put_base = 7;
	m.s.put_epoch = 6;
	m.s.put_why = V_PROMOTE;
	m.s.put_next_ms = NOW + 5000;
}

static void
demoted(void)
{
	guarded();
	m.c.site[0].role = ROLE_READER;
}

static void (*const kinds[])(void) = { plain, guarded, updated, unrecorded,
	fresh, put_back, ended_by_lease, minted, written, demoted };

/* ------------------------------------------------ and what befell them --- */

static void
nothing(void)
{
}

static void
word(void)
{
	mk_word(&m, 0);
}

static void
stopped(void)
{
	struct fsm_site *t = &m.s.site[1];

	mk_word(&m, 0);
	t->receiver_off_ms = NOW - 700;
	t->p.io = IO_NO;
	m.s.rel.drained = 1;
	t->drain_ms = NOW - FSM_DRAIN_MS;
}

static void
applier_error(void)
{
	stopped();
	m.s.site[1].p.sql = false;
	m.s.site[1].p.sql_errno = 1062;
}

static void
overridden(void)
{
	applier_error();
	m.s.override = 1;
}

static void
cooling(void)
{
	mk_word(&m, 0);
	m.s.rec.last_failover_s = WALL / 1000 - 60;
	m.s.rec.last_target = 0;
}

static void
apart(void)
{
	mk_word(&m, 0);
	mk_sets(&m, 1, 2);
}

static void
ahead(void)
{
	mk_word(&m, 0);
	mk_sets(&m, 2, 1);
}

static void
unread(void)
{
	m.s.rel.known = 5;
}

static void
preferred(void)
{
	mk_word(&m, 0);
	m.c.npri = 2;
	m.c.pri[0] = 2;
	m.c.pri[1] = 1;
}

static void
filled(void)
{
	mk_word(&m, 0);
	m.s.clone_phase = CL_CLONING;
	m.s.clone_to = 1;
	m.s.clone_from = 0;
}

static void
unheard(void)
{
	mk_silent(&m, 0);
	m.s.site[1].g.yes_epoch = 5;
	m.s.site[1].g.yes_age_ms = 300;
	m.s.site[1].p.sent_ms = NOW - 100;
}

/* A standby's probe is younger than the first of ours that failed. */
static void
seen_by_standby(void)
{
	struct fsm_sight *w = &m.s.site[1].g.sight;

	mk_silent(&m, 0);
	memcpy(w->pod_uid, m.s.site[0].p.pod_uid, sizeof(w->pod_uid));
	memcpy(
	    w->server_uuid, m.s.site[0].p.server_uuid, sizeof(w->server_uuid));
	w->start_ms = m.s.site[0].p.start_ms;
	w->age_ms = 300;
	m.s.site[1].p.io = IO_NO;
	m.s.site[1].g.yes_epoch = 5;
	m.s.site[1].g.yes_age_ms = 300;
}

static void
restarted(void)
{
	m.s.site[0].p.start_ms += 60000;
	m.s.site[0].g.start_ms += 60000;
	m.s.site[0].g.incarnation++;
	m.s.site[0].p.read_only = m.s.site[0].p.super_read_only = true;
	m.s.site[0].lead_read_ms = NOW - 50000;
}

static void (*const fates[])(void) = { nothing, word, stopped, applier_error,
	overridden, cooling, apart, ahead, unread, preferred, filled, unheard,
	seen_by_standby, restarted };

static void
test_each_input(void **state)
{
	static const enum site_state first[] = { SS_WRITABLE, SS_READ_ONLY,
		SS_UNREACHABLE };
	static const enum site_state last[] = { SS_READ_ONLY, SS_UNREACHABLE,
		SS_UNKNOWN };

	(void)state;
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
		for (size_t f = 0; f < sizeof(fates) / sizeof(fates[0]); f++)
			for (unsigned n = 0; n < 9; n++) {
				if (n % 3 != 0 && f > 1)
					continue;
				kinds[k]();
				mk_state(&m, 0, first[n / 3]);
				mk_state(&m, 2, last[n % 3]);
				fates[f]();
				flip_all();
			}
	assert_int_equal(silent, 0);
	/* It is a test: there is much that a decision hangs on. */
	assert_true(changed > 10000);
}

/* Nothing that it prints is cut, however much there is of it. */
static void
test_room(void **state)
{
	struct fsm_pod *p;
	const char *name;

	(void)state;
	updated();
	memset(m.c.site[0].name, 'x', NAME_LEN);
	for (unsigned k = 0; k < 3; k++) {
		p = &m.s.site[0].pod[k];
		memset(p->pod_uid, 'u', UID_LEN);
		memset(p->container_id, 'c', CID_LEN);
		p->nwords = WORDS_MAX;
		for (unsigned w = 0; w < WORDS_MAX; w++) {
			memset(p->word[w].container_id, 'w', CID_LEN);
			p->word[w].guard = k * WORDS_MAX + w + 1;
		}
	}
	record(is);
	assert_non_null(name = strstr(is, "guard=000000000000000c\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_input),
		cmocka_unit_test(test_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
