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
 * Writes into a server as fast as it acknowledges, and records each
 * acknowledgement with the times (CLOCK_BOOTTIME, ms) at which its statement
 * was sent and its answer came:
 *
 *	write SOCKET USER PASSWORD TABLE FILE
 *
 * Reconnects for ever; ends by a signal.
 */

#include <err.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "wire.h"
#include "myc.h"

#define STEP_MS 20000

static int64_t
now_ms(void)
{
	return monotime_now().ns / 1000000;
}

/* Until the next event; MYC_LOST when it is no more. */
static enum myc_event
await(struct myc *c)
{
	struct pollfd pfd;
	enum myc_event ev;

	while ((ev = myc_io(c, now_ms())) == MYC_MORE) {
		pfd = (struct pollfd) { .fd = myc_fd(c),
			.events = myc_events(c) };
		(void)poll(&pfd, 1, 1000);
	}
	return ev;
}

static void
pause_ms(int ms)
{
	(void)poll(NULL, 0, ms);
}

int
main(int argc, char *argv[])
{
	static struct secret pw;
	static uint8_t buf[4096];
	struct myc c;
	char sql[256], line[96];
	int64_t sent;
	FILE *f;
	int n;

	if (argc != 6)
		errx(2, "usage: write SOCKET USER PASSWORD TABLE FILE");
	if (wire_init() == -1 ||
	    secret_set(&pw, argv[3], strlen(argv[3])) == -1)
		errx(1, "password");
	if ((f = fopen(argv[5], "a")) == NULL)
		err(1, "%s", argv[5]);
	setvbuf(f, NULL, _IONBF, 0);
	snprintf(sql, sizeof(sql), "INSERT INTO %s VALUES (NULL)", argv[4]);
	myc_init(&c, buf, sizeof(buf));
	for (;;) {
		if (c.state == MYC_CLOSED) {
			if (myc_connect(&c, argv[1], argv[2], &pw, now_ms(),
				now_ms() + STEP_MS) == -1 ||
			    await(&c) != MYC_READY) {
				pause_ms(5);
				continue;
			}
		}
		sent = now_ms();
		if (myc_query(&c, sql, sent, sent + STEP_MS) == -1)
			errx(1, "query");
		if (await(&c) != MYC_DONE)
			continue;
		if (c.err != 0) {
			pause_ms(5);
			continue;
		}
		/* One write, whole lines: who reads may come at any time. */
		n = snprintf(line, sizeof(line), "%" PRId64 " %" PRId64 "\n",
		    sent, now_ms());
		if (fwrite(line, 1, (size_t)n, f) != (size_t)n)
			err(1, "%s", argv[5]);
	}
}
