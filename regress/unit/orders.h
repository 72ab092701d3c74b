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

/* The group that the tests of the parent's glue have. */

#ifndef ORDERS_H
#define ORDERS_H

#include <string.h>

#include "group_int.h"

/* What all of them need; the caller adds what its test is about. */
static inline void
orders_conf(struct m_group_conf *m, const char *uid, const char *const names[],
    unsigned n)
{
	memset(m, 0, sizeof(*m));
	strlcpy(m->group, uid, sizeof(m->group));
	strlcpy(m->ns, "db", sizeof(m->ns));
	strlcpy(m->name, "orders", sizeof(m->name));
	m->valid = true;
	m->poll_ms = 2000;
	m->failure_threshold = 3;
	m->recovery_threshold = 2;
	m->lease_ms = 20000;
	m->check_ms = 5000;
	m->n_sites = n;
	for (unsigned i = 0; i < n; i++)
		strlcpy(m->sites[i].name, names[i], sizeof(m->sites[i].name));
}

/* And what a failover goes by. */
static inline void
orders_failover(struct m_group_conf *m)
{
	m->cooldown_ms = 300000;
	m->clone_ms = 3600000;
	m->max_lag_s = 300;
	strlcpy(m->dns_hostname, "db.example.com", sizeof(m->dns_hostname));
}

#endif /* ORDERS_H */
