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

#include <bsd/string.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "internal.h"

int
secret_set(struct secret *s, const void *data, size_t len)
{
	secret_wipe(s);
	if (len > SECRET_MAX) {
		errno = ERANGE;
		return (-1);
	}
	if (len > 0)
		memcpy(s->data, data, len);
	s->len = (uint32_t)len;
	return (0);
}

void
secret_wipe(struct secret *s)
{
	explicit_bzero(s, sizeof(*s));
}

bool
secret_equal(const struct secret *a, const struct secret *b)
{
	volatile uint8_t diff = 0;
	uint32_t i;

	if (a->len != b->len || a->len > SECRET_MAX)
		return (false);
	for (i = 0; i < a->len; i++)
		diff |= a->data[i] ^ b->data[i];
	return (diff == 0);
}

uint64_t
fnv1a(uint64_t h, const void *data, size_t len)
{
	const uint8_t *p = data;
	size_t i;

	for (i = 0; i < len; i++)
		h = (h ^ p[i]) * 1099511628211ULL;
	return (h);
}

/* With the NUL, so that "ab","c" and "a","bc" differ. */
uint64_t
fnv1a_str(uint64_t h, const char *s)
{
	return (fnv1a(h, s, strlen(s) + 1));
}

int
fd_nonblock(int fd)
{
	int fl;

	if ((fl = fcntl(fd, F_GETFL)) == -1)
		return (-1);
	if (fl & O_NONBLOCK)
		return (0);
	return (fcntl(fd, F_SETFL, fl | O_NONBLOCK));
}

/* Returns 0 when ready, or -1 with ETIMEDOUT or poll's errno. */
int
poll_until(int fd, short events, struct monotime deadline)
{
	struct pollfd pfd = { .fd = fd, .events = events };
	int64_t left;
	int n;

	for (;;) {
		left = monotime_sub_ms(deadline, monotime_now()) + 1;
		if (left <= 0)
			left = 0;
		if (left > 60000)
			left = 60000;
		n = poll(&pfd, 1, (int)left);
		if (n == 1)
			return (0);
		if (n == -1 && errno != EINTR)
			return (-1);
		if (monotime_cmp(monotime_now(), deadline) >= 0) {
			errno = ETIMEDOUT;
			return (-1);
		}
	}
}
