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
 * Who is at the other end of a link: hellos, proofs, silence. Nothing that a
 * peer sends is decoded before its signature was found good, but its hello.
 */

#include <sys/random.h>

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "sidecar.h"

struct sc_conn *
sc_conn_find(struct sidecar *sc, uint64_t conn)
{
	struct sc_conn *c;

	TAILQ_FOREACH (c, &sc->conns, entry)
		if (c->conn == conn)
			return c;
	return NULL;
}

static void
conn_forget(struct sidecar *sc, struct sc_conn *c)
{
	TAILQ_REMOVE(&sc->conns, c, entry);
	sc->nconns--;
	free(c);
}

static void
conn_close(struct sidecar *sc, struct sc_conn *c, const char *reason)
{
	struct m_link_close m = { .conn = c->conn };

	(void)strlcpy(m.reason, reason, sizeof(m.reason));
	sc_send(sc, PROC_LINK, MSG_LINK_CLOSE, &m);
	if (c->trusted)
		log_ev(LL_INFO, "link ends",
		    KVS("peer", c->operator? "operator" : c->site),
		    KVS("address", c->peer), KVS("reason", reason));
	conn_forget(sc, c);
}

/* What strangers do is told now and then, what peers do at once. */
static void
conn_refuse(struct sidecar *sc, struct sc_conn *c, const char *what)
{
	int64_t now = sc_now_ms();
	const char *why = strerror(errno);

	sc->state.bad_frames++;
	if (c->trusted || now - sc->refused_log_ms >= SC_QUIET_LOG) {
		log_ev(LL_WARN, "link refused", KVS("reason", what),
		    KVS("error", why), KVS("address", c->peer),
		    KVS("saysToBe", c->operator? "operator" : c->site),
		    KVU("soFar", sc->state.bad_frames));
		sc->refused_log_ms = now;
	}
	conn_close(sc, c, what);
}

/* ----------------------------------------------------------------- sending --- */

static void
transmit(struct sidecar *sc, uint64_t conn, const uint8_t *frame, int len)
{
	static struct m_link_tx m;

	m.conn = conn;
	m.frame.len = (uint32_t)len;
	memcpy(m.frame.data, frame, (size_t)len);
	sc_send(sc, PROC_LINK, MSG_LINK_TX, &m);
}

void
sc_seal(struct sidecar *sc, struct sc_conn *c, uint32_t type, const void *msg)
{
	static uint8_t frame[WIRE_FRAME_MAX];
	int n;

	n = wire_seal(&c->wl, &sc->keys.key, type, msg, frame, sizeof(frame));
	if (n == -1)
		log_ev(LL_ERROR, "frame not made", KVS("type", wire_name(type)),
		    KVS("error", strerror(errno)));
	else
		transmit(sc, c->conn, frame, n);
}

static int
say_hello(struct sidecar *sc, struct sc_conn *c)
{
	static uint8_t frame[WIRE_FRAME_MAX];
	static struct w_hello h;
	int n;

	memset(&h, 0, sizeof(h));
	h.version = WIRE_VERSION;
	(void)strlcpy(h.group, sc->conf.group, sizeof(h.group));
	(void)strlcpy(h.site, sc->conf.site, sizeof(h.site));
	(void)strlcpy(h.pod_uid, sc->conf.pod_uid, sizeof(h.pod_uid));
	h.id = sc->voter.id;
	h.nonce.len = WIRE_NONCE_LEN;
	if (getrandom(h.nonce.data, h.nonce.len, 0) != WIRE_NONCE_LEN)
		fatal("getrandom");
	if ((n = wire_hello(&c->wl, &h, frame, sizeof(frame))) == -1)
		return -1;
	transmit(sc, c->conn, frame, n);
	return 0;
}

/* ------------------------------------------------------------------- hello --- */

/* NULL, or what is wrong with what it says to be. */
static const char *
judge_hello(
    const struct sidecar *sc, const struct sc_conn *c, const struct w_hello *h)
{
	size_t n;

	if (!sc->have_keys)
		return "no keys yet";
	if (strcmp(h->group, sc->conf.group) != 0)
		return "another group";
	if (h->operator!=(h->site[0] == '\0'))
		return "neither operator nor site";
	if (!h->operator&& strcmp(h->site, sc->conf.site) == 0)
		return "this site itself";
	if (!c->inbound && (h->operator|| strcmp(h->site, c->site) != 0))
		return "another site";
	(void)wire_trust_find(&sc->keys.trust, h->site, &n);
	return n == 0 ? "no key of that name" : NULL;
}

static void
got_hello(struct sidecar *sc, struct sc_conn *c, const uint8_t *p, size_t len)
{
	static struct w_hello h;
	const char *why;

	if (wire_heard(&c->wl, p, len, &h) == -1) {
		conn_refuse(sc, c, "malformed hello");
		return;
	}
	/* The Secret may have come after us. */
	if (!sc->have_keys && sc_now_ms() - sc->keys_ms >= SC_KEYS_MIN_MS)
		sc_keys_read(sc, false);
	errno = 0;
	if ((why = judge_hello(sc, c, &h)) != NULL) {
		conn_refuse(sc, c, why);
		return;
	}
	c->operator= h.operator;
	c->id = h.id;
	(void)strlcpy(c->site, h.site, sizeof(c->site));
	(void)strlcpy(c->pod_uid, h.pod_uid, sizeof(c->pod_uid));
	/* Who connected proves itself first: a stranger costs no signature. */
	if (!c->inbound)
		sc_report_to(sc, c);
	else if (say_hello(sc, c) == -1)
		conn_refuse(sc, c, "hello not made");
}

/* ------------------------------------------------------------------- proof --- */

/* One link each way with each: a newer one replaces what is half dead. */
static void
replace_older(struct sidecar *sc, const struct sc_conn *c)
{
	struct sc_conn *o, *next;

	for (o = TAILQ_FIRST(&sc->conns); o != NULL; o = next) {
		next = TAILQ_NEXT(o, entry);
		if (o != c && o->trusted && o->inbound == c->inbound &&
		    o->operator== c->operator&& strcmp(o->site, c->site) == 0 &&
		    (!c->operator|| strcmp(o->pod_uid, c->pod_uid) == 0))
			conn_close(sc, o, "replaced by a newer link");
	}
}

static void
prove(struct sidecar *sc, struct sc_conn *c)
{
	struct m_link_trust m = { .conn = c->conn };

	replace_older(sc, c);
	c->trusted = true;
	sc_send(sc, PROC_LINK, MSG_LINK_TRUST, &m);
	log_ev(LL_INFO, "link proved itself",
	    KVS("peer", c->operator? "operator" : c->site),
	    KVS("address", c->peer), KVB("inbound", c->inbound));
	if (c->inbound)
		sc_report_to(sc, c);
	sc_changed(sc);
}

/* ---------------------------------------------------------------- messages --- */

static bool
from_operator(struct sidecar *sc, struct sc_conn *c, uint32_t type,
    const union wire_any *any)
{
	switch ((enum wire_type)type) {
	case W_OPERATOR:
		c->leader = any->w_operator.leader;
		c->sight = any->w_operator.sight[0];
		c->sight_ms = sc_now_ms();
		if (!c->leader)
			return true;
		sc->state.leader_ns = monotime_now().ns;
		sc_tls_want(
		    sc, any->w_operator.tls.data, any->w_operator.tls.len);
		return true;
	case W_OFFER:
		return sc_offer(sc, &any->w_offer);
	case W_REVOCATION:
		return sc_revocation(sc, &any->w_revocation);
	case W_PROMISE_ASK:
		sc_promise_ask(sc, c, &any->w_promise_ask);
		return true;
	case W_YES:
		sc_yes(sc, &any->w_yes);
		return true;
	case WIRE_BEFORE_FIRST:
	case W_AUTHORITY:
	case W_REVOKE:
	case W_RENEWAL:
	case W_GUARD:
	case W_HELLO:
	case W_PROMISE:
	case W_ASK:
	case W_REPORT:
	case W_GUARD_ASK:
	case W_GUARD_SAYS:
	case WIRE_AFTER_LAST:
		break;
	}
	return false;
}

/* Who connects to us asks; whom we connect to answers. */
static bool
from_peer(struct sidecar *sc, struct sc_conn *c, uint32_t type,
    const union wire_any *any)
{
	if (type == W_REPORT)
		return true;
	if (type == W_ASK && c->inbound)
		return sc_ask(sc, c, &any->w_ask);
	if (type == W_YES && !c->inbound) {
		sc_yes(sc, &any->w_yes);
		return true;
	}
	return false;
}

/* A signature that was refused has changed nothing in c->wl. */
static int
open_frame(struct sidecar *sc, struct sc_conn *c, const uint8_t *p, size_t len,
    uint32_t *type, union wire_any *any)
{
	const struct wire_pub *pub;
	size_t n;

	do {
		pub = wire_trust_find(
		    &sc->keys.trust, c->operator? "" : c->site, &n);
		if (wire_open(&c->wl, pub, n, p, len, type, any) == 0)
			return 0;
	} while (sc_keys_again(sc));
	return -1;
}

static void
got_frame(struct sidecar *sc, struct sc_conn *c, const uint8_t *p, size_t len)
{
	static union wire_any any;
	uint32_t type;

	if (open_frame(sc, c, p, len, &type, &any) == -1) {
		conn_refuse(sc, c, "frame");
		return;
	}
	c->idle = 0;
	if (c->operator)
		sc->state.operator_ns = monotime_now().ns;
	else
		sc->state.peer_ns = monotime_now().ns;
	if (!c->trusted)
		prove(sc, c);
	errno = 0;
	if (!(c->operator? from_operator(sc, c, type, &any) :
			   from_peer(sc, c, type, &any)))
		conn_refuse(sc, c, "message not for us");
}

void
sc_link_rx(struct sidecar *sc, const struct m_link_rx *m)
{
	struct sc_conn *c;

	if (m->conn == sc->guard_conn) {
		if (sc_guard_rx(sc, m->frame.data, m->frame.len))
			return;
		log_ev(LL_ERROR, "malformed frame of the guard",
		    KVS("error", strerror(errno)));
		sc_guard_down(sc, m->conn);
	} else if ((c = sc_conn_find(sc, m->conn)) == NULL)
		return;
	else if (!c->wl.heard)
		got_hello(sc, c, m->frame.data, m->frame.len);
	else
		got_frame(sc, c, m->frame.data, m->frame.len);
}

void
sc_link_up(struct sidecar *sc, const struct m_link_up *m)
{
	struct sc_conn *c;

	if (m->local) {
		sc_guard_up(sc, m->conn);
		return;
	}
	if (sc->nconns >= SC_CONNS || (c = calloc(1, sizeof(*c))) == NULL) {
		struct m_link_close end = { .conn = m->conn };

		(void)strlcpy(end.reason, "too many", sizeof(end.reason));
		sc_send(sc, PROC_LINK, MSG_LINK_CLOSE, &end);
		return;
	}
	c->conn = m->conn;
	c->inbound = m->inbound;
	(void)strlcpy(c->site, m->site, sizeof(c->site));
	(void)strlcpy(c->peer, m->peer, sizeof(c->peer));
	TAILQ_INSERT_TAIL(&sc->conns, c, entry);
	sc->nconns++;
	if (!c->inbound && say_hello(sc, c) == -1)
		conn_refuse(sc, c, "hello not made");
}

void
sc_link_down(struct sidecar *sc, uint64_t conn, const char *error)
{
	struct sc_conn *c;

	if (conn == sc->guard_conn) {
		sc_guard_down(sc, conn);
		return;
	}
	if ((c = sc_conn_find(sc, conn)) == NULL)
		return;
	if (c->trusted) {
		log_ev(LL_INFO, "link ended",
		    KVS("peer", c->operator? "operator" : c->site),
		    KVS("address", c->peer), KVS("error", error));
		sc_changed(sc);
	}
	conn_forget(sc, c);
}

void
sc_link_lost(struct sidecar *sc)
{
	struct sc_conn *c;

	sc->link_up = false;
	while ((c = TAILQ_FIRST(&sc->conns)) != NULL)
		conn_forget(sc, c);
	if (sc->guard_conn != 0)
		sc_guard_down(sc, sc->guard_conn);
}

/*
 * Silence is counted in beats of our own: after we were stopped for a while,
 * what peers said meanwhile is read before it would count against them.
 */
void
sc_link_beat(struct sidecar *sc)
{
	int64_t check = sc_check_ms(sc);
	struct sc_conn *c, *next;

	for (c = TAILQ_FIRST(&sc->conns); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (!c->trusted)
			continue;
		if (++c->idle * BR_LINK_BEAT_MS(check) > BR_LINK_DEAD_MS(check))
			conn_close(sc, c, "silent");
	}
}
