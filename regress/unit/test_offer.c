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
 * What the leader tells guards and voters, as it arrives at the other end:
 * offers, revocations, a yes.
 */

#include "test_link.h"

void
test_offer(void **state)
{
	static struct w_authority a;
	const struct w_offer *o;
	struct lease_terms t;

	link_site(IAD);
	act(A_OFFER, IAD);
	assert_int_equal(side[IAD].type, W_OFFER);
	o = &side[IAD].last.w_offer;
	assert_int_equal(o->n_authority, 1);
	assert_int_equal(
	    wire_check(&o->authority[0], &op_key.pub, 1, W_AUTHORITY, &a), 0);
	assert_string_equal(a.group, FG);
	assert_string_equal(a.site, "iad");
	assert_string_equal(a.pod_uid, pods[IAD]);
	assert_int_equal(a.check_ms, 5000);
	assert_int_equal(wire_terms(&a, &t), 0);
	assert_true(lease_terms_valid(&t));
	assert_int_equal(t.guard, GUARD);
	assert_int_equal(t.incarnation, 2);
	assert_int_equal(t.lease_ms, 20000);
	assert_int_equal(t.n, 2);
	assert_int_equal(t.voter[1], MEM_B);
	assert_string_equal(a.voters[0].site, "");
	assert_string_equal(a.voters[1].site, "pdx");
	assert_int_equal(o->n_addrs, 1);
	assert_int_equal(o->addrs[0].id, MEM_B);
	assert_string_equal(o->addrs[0].ip, "10.0.0.2");
	assert_int_equal(o->addrs[0].port, BR_LINK_PORT);
	/* who comes anew hears it, and who moves is told to all */
	link_site(PDX);
	assert_int_equal(side[PDX].n[W_OFFER], 1);
	tell_pod(PDX, "10.0.0.9");
	assert_int_equal(side[IAD].n[W_OFFER], 2);
	assert_int_equal(side[PDX].n[W_OFFER], 2);
	assert_string_equal(side[IAD].last.w_offer.addrs[0].ip, "10.0.0.9");
	tell_pod(PDX, "10.0.0.9");
	assert_int_equal(side[IAD].n[W_OFFER], 2);
	/* never after the Lease */
	tell_lease(false);
	act(A_OFFER, IAD);
	link_site(PDX);
	assert_int_equal(side[IAD].n[W_OFFER], 2);
	assert_int_equal(side[PDX].n[W_OFFER], 0);
	assert_false(side[PDX].last.w_operator.leader);
}

static uint64_t
offered(const struct side *s, const struct wire_key *key)
{
	static struct w_authority a;

	assert_int_equal(s->type, W_OFFER);
	assert_int_equal(wire_check(&s->last.w_offer.authority[0], &key->pub, 1,
			     W_AUTHORITY, &a),
	    0);
	return a.epoch;
}

/*
 * Until the successor has its quorum the epoch before it is in force: what is
 * told of one is told of both, the newest last.
 */
void
test_offer_both(void **state)
{
	struct wire_key was = op_key;

	link_site(IAD);
	act(A_OFFER, IAD);
	assert_int_equal(side[IAD].n[W_OFFER], 1);
	tell_epochs(2);
	act_epoch(A_OFFER, IAD, EPOCH + 1);
	assert_int_equal(side[IAD].n[W_OFFER], 3);
	assert_int_equal(offered(&side[IAD], &op_key), EPOCH + 1);
	/* to a voter that is linked anew, and with another key */
	link_site(PDX);
	assert_int_equal(side[PDX].n[W_OFFER], 2);
	op_key = other_key;
	group_offer_again(group());
	assert_int_equal(side[IAD].n[W_OFFER], 5);
	assert_int_equal(side[PDX].n[W_OFFER], 4);
	assert_int_equal(offered(&side[PDX], &other_key), EPOCH + 1);
	/* what is revoked is not told any more */
	group()->fs.auth[0].revoked = true;
	group_offer_again(group());
	assert_int_equal(side[IAD].n[W_OFFER], 6);
	op_key = was;
}

/* Several hundred groups at once are more than guard-link's queue holds. */
void
test_portions(void **state)
{
	link_site(IAD);
	link_site(PDX);
	gs->room = 0;
	act(A_OFFER, IAD);
	assert_int_equal(side[IAD].n[W_OFFER], 0);
	assert_true(group()->offer.due);
	/* one that is linked meanwhile does not go before it */
	link_site(IAD);
	assert_int_equal(side[IAD].n[W_OFFER], 0);
	event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(side[IAD].n[W_OFFER], 1);
	assert_int_equal(side[PDX].n[W_OFFER], 1);
	assert_false(group()->offer.due);
	assert_true(gs->room > 0);
}

/* Nor are revocations all sent at once: in their order, before offers. */
void
test_portions_revoke(void **state)
{
	link_site(IAD);
	link_site(PDX);
	gs->room = 0;
	act(A_PROMISE_ASK, PDX);
	act(A_REVOKE, IAD);
	act(A_REVOKE, IAD); /* repeated: one frame, and at its place */
	assert_int_equal(side[IAD].n[W_REVOCATION], 0);
	assert_int_equal(side[PDX].n[W_PROMISE_ASK], 0);
	assert_ptr_equal(TAILQ_FIRST(&gs->waits), gvoice_find(group(), "pdx"));
	/* What there is room for. */
	gs->room = 1;
	groups_revoke_due(gs);
	assert_int_equal(side[PDX].n[W_PROMISE_ASK], 1);
	assert_int_equal(side[IAD].n[W_REVOCATION], 0);
	event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(side[IAD].n[W_REVOCATION], 1);
	assert_true(TAILQ_EMPTY(&gs->waits));
	event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(side[IAD].n[W_REVOCATION], 1);
	/* The Lease ends while it waits: nothing is said. */
	gs->room = 0;
	act(A_REVOKE, IAD);
	tell_lease(false);
	event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(side[IAD].n[W_REVOCATION], 1);
	assert_true(TAILQ_EMPTY(&gs->waits));
	/* It goes with its group. */
	tell_lease(true);
	gs->room = 0;
	act(A_REVOKE, IAD);
	assert_false(TAILQ_EMPTY(&gs->waits));
	glink_group_gone(group());
	assert_true(TAILQ_EMPTY(&gs->waits));
}

void
test_revoke(void **state)
{
	static struct w_revoke r;

	link_site(IAD);
	link_site(PDX);
	act(A_OFFER, IAD);
	act(A_REVOKE, IAD);
	assert_int_equal(side[IAD].type, W_REVOCATION);
	assert_int_equal(side[PDX].n[W_REVOCATION], 0);
	assert_int_equal(wire_check(&side[IAD].last.w_revocation.revoke[0],
			     &op_key.pub, 1, W_REVOKE, &r),
	    0);
	assert_string_equal(r.group, FG);
	assert_int_equal(r.epoch, EPOCH);
	/* what is over is offered no more */
	link_site(PDX);
	assert_int_equal(side[PDX].n[W_OFFER], 0);
	act(A_PROMISE_ASK, PDX);
	assert_int_equal(side[PDX].type, W_PROMISE_ASK);
	assert_int_equal(side[PDX].last.w_promise_ask.epoch, EPOCH);
	assert_int_equal(side[IAD].n[W_PROMISE_ASK], 0);
}

static void
ask(int i, uint64_t epoch, uint64_t nonce)
{
	static struct w_ask a;

	memset(&a, 0, sizeof(a));
	a.epoch = epoch;
	a.guard = GUARD;
	a.incarnation = 2;
	a.nonce = nonce;
	a.n_authority = 1;
	say(i, W_ASK, &a);
}

void
test_renewal(void **state)
{
	static struct w_renewal r;
	const struct w_yes *y;

	link_site(IAD);
	link_site(PDX);
	ask(IAD, EPOCH, 4711);
	/* within the same call */
	assert_int_equal(side[IAD].type, W_YES);
	y = &side[IAD].last.w_yes;
	assert_int_equal(y->voter, LEASE_OPERATOR);
	assert_int_equal(
	    wire_check(&y->renewal[0], &op_key.pub, 1, W_RENEWAL, &r), 0);
	assert_string_equal(r.group, FG);
	assert_int_equal(r.epoch, EPOCH);
	assert_int_equal(r.guard, GUARD);
	assert_int_equal(r.incarnation, 2);
	assert_int_equal(r.nonce, 4711);
	assert_int_equal(r.voter, LEASE_OPERATOR);
	/* another epoch, another site: silence */
	ask(IAD, EPOCH + 1, 1);
	ask(PDX, EPOCH, 2);
	assert_int_equal(side[IAD].n[W_YES], 1);
	assert_int_equal(side[PDX].n[W_YES], 0);
	/* a standby is silent, and one that gives the Lease up */
	tell_lease(false);
	ask(IAD, EPOCH, 3);
	assert_int_equal(side[IAD].n[W_YES], 1);
	tell_lease(true);
	ask(IAD, EPOCH, 4);
	assert_int_equal(side[IAD].n[W_YES], 2);
	while (!groups_quiesce(gs))
		;
	ask(IAD, EPOCH, 5);
	assert_int_equal(side[IAD].n[W_YES], 2);
}

/* The deadline passes without a word from kube-watcher. */
void
test_deadline(void **state)
{
	struct m_lease m = { .held = true };

	link_site(IAD);
	m.deadline_ns = monotime_now().ns;
	groups_lease(gs, &m);
	ask(IAD, EPOCH, 1);
	act(A_OFFER, IAD);
	act(A_REVOKE, IAD);
	act(A_PROMISE_ASK, PDX);
	assert_int_equal(side[IAD].n[W_YES] + side[IAD].n[W_OFFER] +
		side[IAD].n[W_REVOCATION] + side[IAD].n[W_PROMISE_ASK],
	    0);
}
