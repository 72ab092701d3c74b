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
 * What http_state.c and http_state_text.c share.
 */

#ifndef HTTP_STATE_H
#define HTTP_STATE_H

#include <sys/queue.h>
#include <sys/tree.h>

#include "http.h"

/* Two GTID sets and short text, each byte escaped at worst as \u00xx. */
#define HS_SITE_JSON_MAX  (UINT64_C(6) * (2 * GTID_LEN + 4096))
#define HS_GROUP_JSON_MAX (SITES_MAX * HS_SITE_JSON_MAX)

struct hs_site {
	TAILQ_ENTRY(hs_site) entry;
	char *name;
	char *pairs; /* inside of its object */
	size_t len;
	bool listed; /* in the last GROUP_STATUS */
	bool wanted;
};

struct hs_group {
	RB_ENTRY(hs_group) by_uid, by_key, by_seq;
	char uid[UID_LEN + 1];
	char key[NS_LEN + 1 + NAME_LEN + 1]; /* ns/name */
	char ns[NS_LEN + 1];
	char name[NAME_LEN + 1];
	char active[NAME_LEN + 1];    /* strict: of WebSocket messages */
	char effective[NAME_LEN + 1]; /* of /status and /active-site */
	bool shown;                   /* has had a GROUP_STATUS */
	char *pairs;                  /* the rest of its object */
	size_t len;
	uint64_t seq;              /* of its last change */
	struct http_body *message; /* made when a client wants it */
	TAILQ_HEAD(, hs_site) sites;
};
RB_HEAD(hs_uids, hs_group);
RB_HEAD(hs_keys, hs_group);
RB_HEAD(hs_seqs, hs_group);

struct http_state {
	const struct metric_sink *sink;
	struct hs_uids uids;
	struct hs_keys keys; /* those shown, by name, */
	struct hs_seqs seqs; /* and in the order of their changes */
	uint64_t seq;        /* of the last change of any */
	struct http_alive messages;
	bool ready, leader;
};

/* By key.key; by the smallest seq that is not below key.seq. */
struct hs_group *hs_by_key(const struct http_state *, struct hs_group *key);
struct hs_group *hs_by_seq(const struct http_state *, struct hs_group *key);
/* In the order of keys. */
struct hs_group *hs_first(const struct http_state *);
struct hs_group *hs_next(struct hs_group *);

#endif /* HTTP_STATE_H */
