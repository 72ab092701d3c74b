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
 * See dsn.h.
 */

#include <errno.h>
#include <string.h>

#include "dsn.h"

int
dsn_account(
    const char *dsn, char user[static USER_LEN + 1], struct secret *password)
{
	const char *end, *at = NULL, *colon, *p;
	size_t n;

	errno = EBADMSG;
	/* As go-sql-driver/mysql: the last slash, then the last @ before it. */
	if ((end = strrchr(dsn, '/')) == NULL)
		return -1;
	for (p = dsn; p < end; p++)
		if (*p == '@')
			at = p;
	if (at == NULL || at == dsn)
		return -1;
	if ((colon = memchr(dsn, ':', (size_t)(at - dsn))) == NULL)
		colon = at;
	n = (size_t)(colon - dsn);
	if (n == 0)
		return -1;
	errno = ERANGE;
	if (n >= USER_LEN + 1)
		return -1;
	memcpy(user, dsn, n);
	user[n] = '\0';
	if (colon == at)
		return secret_set(password, "", 0);
	return secret_set(password, colon + 1, (size_t)(at - colon) - 1);
}
