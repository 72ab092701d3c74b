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
 * Groups in the parent: what workers told, and the glue between messages and
 * the pure core. Data flows one way: message → fsm event → fsm_step() →
 * fsm action → message.
 */

#ifndef GROUP_H
#define GROUP_H

#include "msg.h"

struct parent;
struct wire_key;
struct groups;

struct groups *groups_new(struct parent *);

/* Observations, one function a message. Unknown groups are ignored. */
void groups_conf(struct groups *, const struct m_group_conf *);
void groups_gone(struct groups *, const char *uid);
void groups_record(struct groups *, const struct m_record *);
void groups_pod(struct groups *, const struct m_pod *);
void groups_rollout(struct groups *, const struct m_rollout *);
void groups_account(struct groups *, struct m_account *);
void groups_creds(struct groups *, struct m_creds *);
void groups_tls(struct groups *, struct m_tls *);
void groups_tls_state(struct groups *, const struct m_tls_state *);
void groups_site_access(struct groups *, const struct m_site_access *);
void groups_annotation(struct groups *, const struct m_annotation *);
void groups_ack(struct groups *, const struct m_ack *);
void groups_probe(struct groups *, const struct m_probe *);
void groups_conn_lost(struct groups *, const struct m_conn_lost *);
void groups_sql_done(struct groups *, const struct m_sql_done *);
void groups_dns_state(struct groups *, const struct m_dns_state *);
/* Leadership: valid until deadline while held. */
void groups_lease(struct groups *, const struct m_lease *);
/* All watches have listed once: what is absent does not exist. */
void groups_synced(struct groups *, bool synced);

/* Keys of the write lease (group_keys.c). */
void groups_keys_start(struct groups *, int64_t age_s);
void groups_keys_stop(struct groups *);
void groups_keys(struct groups *, struct m_keys *);
/* That signs; NULL: not known yet. */
const struct wire_key *groups_key(const struct groups *);

/* Links to sidecars (group_link.c). */
void groups_link_up(struct groups *, const struct m_link_up *);
void groups_link_down(struct groups *, const struct m_link_down *);
void groups_link_rx(struct groups *, const struct m_link_rx *);
/* guard-link died, and all its connections with it. */
void groups_link_died(struct groups *);

/* kube-watcher died: what its successor does not tell by SYNCED is gone. */
void groups_kube_died(struct groups *);
/* A worker came back knowing nothing: tell it all again. */
void groups_resend(struct groups *, unsigned proc);

/*
 * Start nothing new (the operator is ending). True when no write grant is
 * outstanding any more, so that the Lease may be given up.
 */
bool groups_quiesce(struct groups *);
/*
 * To be called every so often; may: the operator could hand over. True: it
 * shall, now, for nothing is under way. It ends to act as if the Lease was lost
 * and begins to give it up.
 */
bool groups_hand_over(struct groups *, bool may);
/*
 * Ask for what is being given up, once more until LEASE says what became of
 * it: who is asked may have had no room for it. False: nothing is.
 */
bool groups_give_up(struct groups *);
/* False: what LEASE says is older than that it was asked to give it up. */
bool groups_lease_news(struct groups *, const struct m_lease *);

#endif /* GROUP_H */
