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
 * The session's socket in a loop of libevent. A file of its own: the guard has
 * the rest, and no libevent.
 */

#include <event2/event.h>
#include <poll.h>

#include "myc.h"

void
myc_watch(const struct myc *c, struct event *io)
{
	short what = EV_READ | EV_PERSIST;

	event_del(io);
	if (myc_fd(c) == -1)
		return;
	if ((myc_events(c) & POLLOUT) != 0)
		what |= EV_WRITE;
	event_assign(io, event_get_base(io), myc_fd(c), what,
	    event_get_callback(io), event_get_callback_arg(io));
	event_add(io, NULL);
}
