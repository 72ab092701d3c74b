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
 * Names of the closed sets of br.h.
 */

#include <string.h>

#include "br.h"

#define X(id, name) name,
static const char *const roles[] = { BR_ROLES(X) };
static const char *const site_states[] = { BR_SITE_STATES(X) };
static const char *const io_states[] = { BR_IO_STATES(X) };
static const char *const role_labels[] = { BR_ROLE_LABELS(X) };
static const char *const sql_kinds[] = { BR_SQL_KINDS(X) };
static const char *const sql_ends[] = { BR_SQL_ENDS(X) };
static const char *const accounts[] = { BR_ACCOUNTS(X) };
#undef X

#define NAME_FN(fn, table, max)                       \
	const char *fn(unsigned v)                    \
	{                                             \
		return v < (max) ? (table)[v] : NULL; \
	}

NAME_FN(role_name, roles, ROLE_MAX)
NAME_FN(site_state_name, site_states, SS_MAX)
NAME_FN(io_state_name, io_states, IO_MAX)
NAME_FN(role_label_name, role_labels, RL_KEEP)
NAME_FN(sql_kind_name, sql_kinds, SQL_MAX)
NAME_FN(sql_end_name, sql_ends, SE_MAX)
NAME_FN(account_name, accounts, AC_MAX)

int
role_parse(const char *s)
{
	for (int i = 0; i < ROLE_MAX; i++)
		if (strcmp(s, roles[i]) == 0)
			return i;
	return -1;
}
