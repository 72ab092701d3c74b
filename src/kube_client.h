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
 * A worker as a client of the API server.
 */

#ifndef KUBE_CLIENT_H
#define KUBE_CLIENT_H

#include "kube_http.h"
#include "msg.h"

struct kclient {
	const char *worker; /* label of its requests */
	/* Where METRIC and TOKEN_ASK go. */
	void (*send)(void *, uint32_t type, const void *msg);
	void *send_arg;
	/* Each request that ended, streams only when answered; or NULL. */
	void (*on_result)(void *, bool answered);
	void *result_arg;
	int64_t asked_ns;     /* for a newer token */
	uint64_t log_dropped; /* lines, as last reported */
};

/* Borrows the kclient, copies the rest. NULL: bad CA. */
struct kh *
kclient_open(struct kclient *, struct event_base *, const struct m_kube_conf *);

#endif /* KUBE_CLIENT_H */
