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
 * What an answer looks like: status, header fields, a body that several
 * answers may share.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "http_conn.h"
#include "json.h"

/* --------------------------------------------------------------- bodies --- */

struct http_body *
http_body_new(char *data, size_t len, struct http_alive *alive)
{
	struct http_body *b;

	if ((b = calloc(1, sizeof(*b))) == NULL) {
		free(data);
		return NULL;
	}
	b->refs = 1;
	b->data = data;
	b->len = len;
	if ((b->alive = alive) != NULL) {
		alive->n++;
		alive->bytes += len;
	}
	return b;
}

void
http_body_unref(struct http_body *b)
{
	if (b == NULL || --b->refs > 0)
		return;
	if (b->alive != NULL) {
		b->alive->n--;
		b->alive->bytes -= b->len;
	}
	free(b->data);
	free(b);
}

/* ---------------------------------------------------------------- heads --- */

static const struct status {
	int status;
	const char *reason;
	const char *fields; /* that go with it */
} statuses[] = {
	{ 101, "Switching Protocols", "" },
	{ 200, "OK", "" },
	{ 204, "No Content", "" },
	{ 400, "Bad Request", "" },
	{ 403, "Forbidden", "" },
	{ 404, "Not Found", "" },
	{ 405, "Method Not Allowed", "Allow: GET, HEAD\r\n" },
	{ 413, "Content Too Large", "" },
	/* RFC 9110 section 15.5.22, RFC 6455 section 4.4 */
	{ 426, "Upgrade Required",
	    "Upgrade: websocket\r\n"
	    "Connection: Upgrade\r\n"
	    "Sec-WebSocket-Version: 13\r\n" },
	{ 429, "Too Many Requests", "" },
	{ 431, "Request Header Fields Too Large", "" },
	{ 503, "Service Unavailable", "" },
	{ 505, "HTTP Version Not Supported", "" },
	/* the last one: any other */
	{ 500, "Internal Server Error", "" },
};

static const struct status *
status_of(int status)
{
	size_t i;

	for (i = 0; i < PS_NITEMS(statuses) - 1; i++)
		if (statuses[i].status == status)
			break;
	return &statuses[i];
}

int
http_date(int64_t s, char text[static HTTP_DATE_LEN])
{
	static const char days[][4] = { "Thu", "Fri", "Sat", "Sun", "Mon",
		"Tue", "Wed" };
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May",
		"Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	char t[RFC3339_LEN]; /* 2026-01-02T03:04:05Z */
	int month, n;

	if (s < 0 || rfc3339_ms(s * 1000, t) == -1)
		return -1;
	month = (t[5] - '0') * 10 + t[6] - '0';
	n = snprintf(text, HTTP_DATE_LEN, "%s, %.2s %s %.4s %.8s GMT",
	    days[s / 86400 % 7], t + 8, months[month - 1], t, t + 11);
	return n > 0 && n < HTTP_DATE_LEN ? 0 : -1;
}

/* A server that has a clock says the time (RFC 9110 section 6.6.1). */
static const char *
date_field(void)
{
	static char field[HTTP_DATE_LEN + 8];
	char date[HTTP_DATE_LEN];
	struct timespec now;

	if (clock_gettime(CLOCK_REALTIME, &now) == -1 ||
	    http_date(now.tv_sec, date) == -1)
		return "";
	snprintf(field, sizeof(field), "Date: %s\r\n", date);
	return field;
}

void
http_reply(
    struct http_conn *c, int status, const char *ctype, struct http_body *body)
{
	const struct status *st = status_of(status);
	char what[128] = "";
	int n;

	c->status = st->status;
	c->body = body;
	if (body != NULL)
		body->refs++;
	/* 204 has no content and must not speak of any (RFC 9110, 8.6). */
	if (status != 204)
		snprintf(what, sizeof(what),
		    "Content-Type: %s\r\nContent-Length: %zu\r\n", ctype,
		    body == NULL ? (size_t)0 : body->len);
	n = snprintf(c->head, sizeof(c->head),
	    "HTTP/1.1 %d %s\r\n"
	    "%s%s%s"
	    "Cache-Control: no-store\r\n"
	    "X-Content-Type-Options: nosniff\r\n"
	    "%s\r\n",
	    st->status, st->reason, date_field(), what, st->fields,
	    c->keep ? "" : "Connection: close\r\n");
	/* ctype is a literal of ours: it fits. */
	c->headlen = n > 0 && (size_t)n < sizeof(c->head) ? (size_t)n : 0;
	c->bodylen = body == NULL || c->no_body ? 0 : body->len;
	c->off = 0;
}

void
http_reply_upgrade(struct http_conn *c, const char *accept)
{
	int n;

	c->status = 101;
	c->body = NULL;
	n = snprintf(c->head, sizeof(c->head),
	    "HTTP/1.1 101 %s\r\n"
	    "Upgrade: websocket\r\n"
	    "Connection: Upgrade\r\n"
	    "Sec-WebSocket-Accept: %s\r\n"
	    "\r\n",
	    status_of(101)->reason, accept);
	c->headlen = n > 0 && (size_t)n < sizeof(c->head) ? (size_t)n : 0;
	c->bodylen = c->off = 0;
}
