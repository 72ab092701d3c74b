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
 * The local socket to the sidecar: frames of a u16 length and a payload. A
 * sidecar that is away, hangs or lies costs renewals, nothing else.
 */

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guard.h"

void
guard_link_init(struct guard_link *l, const char *path)
{
	l->path = path;
	l->fd = -1;
	l->next_ms = 0;
	l->in_len = l->out_len = 0;
}

void
guard_link_close(struct guard_link *l, const char *why, int64_t now)
{
	if (l->fd == -1)
		return;
	close(l->fd);
	l->fd = -1;
	l->in_len = l->out_len = 0;
	l->next_ms = now + GUARD_RETRY_MS;
	log_ev(LL_WARN, "sidecarLost", KVS("error", why));
}

bool
guard_link_open(struct guard_link *l, int64_t now)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	if (l->fd != -1)
		return true;
	if (now < l->next_ms)
		return false;
	l->next_ms = now + GUARD_RETRY_MS;
	if ((size_t)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s",
		l->path) >= sizeof(sun.sun_path))
		return false;
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd == -1)
		return false;
	if (connect(l->fd, (struct sockaddr *)&sun, sizeof(sun)) == -1) {
		close(l->fd);
		l->fd = -1;
		return false;
	}
	log_ev(LL_INFO, "sidecarFound");
	return true;
}

void
guard_link_send(struct guard_link *l, uint32_t type, const void *msg)
{
	uint8_t *p = l->out + l->out_len;
	size_t room = sizeof(l->out) - l->out_len;
	int n;

	if (l->fd == -1)
		return;
	if (room > 2 + GUARD_FRAME_MAX)
		room = 2 + GUARD_FRAME_MAX;
	if (room <= 2 || (n = wire_encode(type, msg, p + 2, room - 2)) == -1)
		return;
	p[0] = (uint8_t)(n >> 8);
	p[1] = (uint8_t)n;
	l->out_len += 2 + (size_t)n;
}

void
guard_link_flush(struct guard_link *l, int64_t now)
{
	ssize_t n;

	while (l->fd != -1 && l->out_len > 0) {
		n = send(
		    l->fd, l->out, l->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			if (errno != EAGAIN)
				guard_link_close(l, strerror(errno), now);
			return;
		}
		l->out_len -= (size_t)n;
		memmove(l->out, l->out + n, l->out_len);
	}
}

/* A whole frame at the front of in; its length with the head, 0: not yet. */
static size_t
whole(const struct guard_link *l)
{
	size_t len;

	if (l->in_len < 2)
		return 0;
	len = 2 + ((size_t)l->in[0] << 8 | l->in[1]);
	return l->in_len >= len ? len : 0;
}

int
guard_link_next(
    struct guard_link *l, uint32_t *type, union wire_any *msg, int64_t now)
{
	size_t len;
	ssize_t n;
	int rc;

	while (l->fd != -1 && (len = whole(l)) == 0) {
		if (l->in_len >= 2 &&
		    ((size_t)l->in[0] << 8 | l->in[1]) > GUARD_FRAME_MAX) {
			guard_link_close(l, "frame too long", now);
			return -1;
		}
		n = recv(l->fd, l->in + l->in_len, sizeof(l->in) - l->in_len,
		    MSG_DONTWAIT);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN)
			return 0;
		if (n <= 0) {
			guard_link_close(
			    l, n == 0 ? "closed" : strerror(errno), now);
			return -1;
		}
		l->in_len += (size_t)n;
	}
	if (l->fd == -1)
		return -1;
	rc = wire_decode(l->in + 2, len - 2, type, msg);
	l->in_len -= len;
	memmove(l->in, l->in + len, l->in_len);
	if (rc == -1) {
		guard_link_close(l, "malformed frame", now);
		return -1;
	}
	return 1;
}
