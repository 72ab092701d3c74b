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
 * Voters of our guard's epochs: whom link holds connections to. Who they are
 * is signed in the authority; where they are is the leader's word, and a
 * wrong address is found out by the key of whoever answers there.
 */

#include <stdio.h>
#include <string.h>

#include "sidecar.h"

/* A voter in the note: id, port, address; all big-endian, fixed length. */
#define NOTE_LEN (8 + 2 + IP_LEN + 1)

static struct sc_peer *
peer_find(struct sidecar *sc, uint64_t id)
{
	for (unsigned i = 0; i < sc->npeers; i++)
		if (sc->peers[i].id == id)
			return &sc->peers[i];
	return NULL;
}

/* The one that was unwanted longest makes room. */
static struct sc_peer *
peer_get(struct sidecar *sc, uint64_t id)
{
	struct sc_peer *p = peer_find(sc, id);

	if (p != NULL)
		return p;
	if (sc->npeers < SC_PEERS)
		p = &sc->peers[sc->npeers++];
	else {
		p = &sc->peers[0];
		for (unsigned i = 1; i < sc->npeers; i++)
			if (sc->peers[i].wanted_ms < p->wanted_ms)
				p = &sc->peers[i];
	}
	memset(p, 0, sizeof(*p));
	p->id = id;
	return p;
}

static void
put_be(uint8_t *p, uint64_t v, unsigned n)
{
	while (n-- > 0) {
		p[n] = (uint8_t)v;
		v >>= 8;
	}
}

static uint64_t
get_be(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | *p++;
	return v;
}

void
sc_peers_remember(struct sidecar *sc)
{
	struct m_sc_note m;
	uint8_t *p = m.note.data;

	memset(&m, 0, sizeof(m));
	_Static_assert(sizeof(m.note.data) >= (size_t)SC_PEERS * NOTE_LEN,
	    "the note holds all peers");
	for (unsigned i = 0; i < sc->npeers; i++, p += NOTE_LEN) {
		put_be(p, sc->peers[i].id, 8);
		put_be(p + 8, sc->peers[i].port, 2);
		memcpy(p + 10, sc->peers[i].ip, IP_LEN + 1);
	}
	m.note.len = (uint32_t)(p - m.note.data);
	sc_send(sc, PROC_MEMORY, MSG_SC_NOTE, &m);
}

void
sc_peers_note(struct sidecar *sc, const uint8_t *p, size_t len)
{
	struct sc_peer *peer;

	for (; len >= NOTE_LEN; p += NOTE_LEN, len -= NOTE_LEN) {
		peer = peer_get(sc, get_be(p, 8));
		peer->port = (uint32_t)get_be(p + 8, 2);
		memcpy(peer->ip, p + 10, IP_LEN);
		peer->wanted_ms = sc_now_ms();
	}
}

/* Of one site's voters the newest: an older one has lost its memory. */
static bool
newest_of_site(const struct sidecar *sc, const struct sc_peer *p)
{
	const struct sc_peer *o;

	for (unsigned i = 0; i < sc->npeers; i++) {
		o = &sc->peers[i];
		if (o != p && o->ip[0] != '\0' &&
		    strcmp(o->site, p->site) == 0 &&
		    (o->wanted_ms > p->wanted_ms ||
			(o->wanted_ms == p->wanted_ms && o > p)))
			return false;
	}
	return true;
}

void
sc_peers_send(struct sidecar *sc)
{
	static struct m_link_sites m;
	const struct sc_peer *p;
	struct m_link_site *s;

	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.group, "peers", sizeof(m.group));
	for (unsigned i = 0; i < sc->npeers; i++) {
		p = &sc->peers[i];
		if (p->site[0] == '\0' || p->ip[0] == '\0' ||
		    !newest_of_site(sc, p) || m.n_sites == SITES_MAX)
			continue;
		s = &m.sites[m.n_sites++];
		(void)strlcpy(s->name, p->site, sizeof(s->name));
		(void)strlcpy(s->ip, p->ip, sizeof(s->ip));
		s->port = p->port;
	}
	sc_send(sc, PROC_LINK, MSG_LINK_SITES, &m);
}

bool
sc_peers_want(struct sidecar *sc, const struct w_authority *a)
{
	int64_t now = sc_now_ms();
	bool changed = false;
	struct sc_peer *p;

	for (uint32_t i = 0; i < a->n_voters; i++) {
		if (a->voters[i].id == LEASE_OPERATOR ||
		    strcmp(a->voters[i].site, sc->conf.site) == 0)
			continue;
		p = peer_get(sc, a->voters[i].id);
		p->wanted_ms = now;
		if (strcmp(p->site, a->voters[i].site) == 0)
			continue;
		(void)strlcpy(p->site, a->voters[i].site, sizeof(p->site));
		changed = true;
	}
	return changed;
}

bool
sc_peers_addrs(struct sidecar *sc, const struct w_offer *m)
{
	bool changed = false;
	struct sc_peer *p;

	for (uint32_t i = 0; i < m->n_addrs; i++) {
		const struct w_addr *a = &m->addrs[i];

		if ((p = peer_find(sc, a->id)) == NULL ||
		    (strcmp(p->ip, a->ip) == 0 && p->port == a->port))
			continue;
		(void)strlcpy(p->ip, a->ip, sizeof(p->ip));
		p->port = a->port;
		changed = true;
	}
	return changed;
}

void
sc_peers_drop(struct sidecar *sc)
{
	int64_t now = sc_now_ms();
	unsigned i, left = 0;

	for (i = 0; i < sc->npeers; i++)
		if (now - sc->peers[i].wanted_ms < SC_PEER_IDLE_MS)
			sc->peers[left++] = sc->peers[i];
	if (left == sc->npeers)
		return;
	sc->npeers = left;
	sc_peers_send(sc);
}
