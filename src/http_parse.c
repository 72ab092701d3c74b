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
 * Requests of HTTP/1.0 and 1.1 without a body; nothing is allocated.
 */

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "http.h"

/* State of http_head_end: within a line, after its LF, after LF CR. */
enum { HE_LINE, HE_START, HE_CR };

size_t
http_head_end(const char *buf, size_t len, size_t *scan, unsigned *state)
{
	for (; *scan < len; (*scan)++) {
		char c = buf[*scan];

		if (c == '\n' && *state != HE_LINE)
			return ++*scan;
		if (c == '\n')
			*state = HE_START;
		else if (c == '\r' && *state == HE_START)
			*state = HE_CR;
		else
			*state = HE_LINE;
	}
	return 0;
}

/* RFC 9110 section 5.6.2. */
static bool
token_char(char c)
{
	return isalnum((unsigned char)c) ||
	    (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Returns 0, or -1 when it is malformed or stands for a NUL. */
static int
decode_path(char *s)
{
	char *out = s;
	int hi, lo;

	for (; *s != '\0'; s++) {
		if (*s != '%') {
			*out++ = *s;
			continue;
		}
		if ((hi = hex(s[1])) == -1 || (lo = hex(s[2])) == -1 ||
		    hi + lo == 0)
			return -1;
		*out++ = (char)(hi * 16 + lo);
		s += 2;
	}
	*out = '\0';
	return 0;
}

/* Cut the next line off; NULL at the end. CR before LF is cut as well. */
static char *
next_line(char **cursor)
{
	char *line = *cursor, *nl;

	if (*line == '\0')
		return NULL;
	if ((nl = strchr(line, '\n')) == NULL)
		nl = line + strlen(line);
	else
		*nl++ = '\0';
	*cursor = nl;
	if ((nl = strchr(line, '\r')) != NULL && nl[1] == '\0')
		*nl = '\0';
	return line;
}

static int
parse_target(char *target, struct http_req *req)
{
	char *p;

	/* absolute-form (RFC 9112 section 3.2.2) */
	if (strncasecmp(target, "http://", 7) == 0) {
		if ((p = strchr(target + 7, '/')) == NULL)
			return -1;
		target = p;
	}
	if (*target != '/' && strcmp(target, "*") != 0)
		return -1;
	for (p = target; *p != '\0'; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f)
			return -1;
	req->query = target + strlen(target);
	if ((p = strchr(target, '?')) != NULL) {
		*p = '\0';
		req->query = p + 1;
	}
	req->path = target;
	return decode_path(target);
}

/* "GET /path HTTP/1.1" */
static int
parse_request_line(char *line, struct http_req *req, bool *http11)
{
	char *target, *version;
	size_t n;

	for (n = 0; token_char(line[n]); n++)
		continue;
	if (n == 0 || n > HTTP_METHOD_MAX || line[n] != ' ')
		return -1;
	memcpy(req->method, line, n);
	req->method[n] = '\0';
	req->head = strcmp(req->method, "HEAD") == 0;
	target = line + n + 1;
	if ((version = strrchr(target, ' ')) == NULL)
		return -1;
	*version++ = '\0';
	if (strncmp(version, "HTTP/", 5) != 0 || strlen(version) != 8 ||
	    version[6] != '.')
		return -1;
	if (version[5] != '1' || (version[7] != '0' && version[7] != '1')) {
		req->status = 505;
		return -1;
	}
	*http11 = version[7] == '1';
	return parse_target(target, req);
}

/* Is the token among those of a comma list? */
static bool
has_token(const char *list, const char *token)
{
	size_t n = strlen(token);

	while (*list != '\0') {
		list += strspn(list, ", \t");
		if (strncasecmp(list, token, n) == 0 &&
		    strchr(", \t", list[n]) != NULL)
			return true;
		list += strcspn(list, ",");
	}
	return false;
}

struct header_facts {
	char *host;
	bool close, upgrade, websocket;
	bool http11;
};

/* A field that may come once; -1 when it came before. */
static int
once(char **field, char *value)
{
	if (*field != NULL)
		return -1;
	*field = value;
	return 0;
}

/* There is no body: -1 with the status. */
static int
no_body(const char *length, struct http_req *req)
{
	if (*length == '\0' || length[strspn(length, "0123456789")] != '\0')
		return -1;
	if (length[strspn(length, "0")] == '\0')
		return 0;
	req->status = 413;
	return -1;
}

static int
take_field(const char *name, char *value, struct http_req *req,
    struct header_facts *facts)
{
	if (strcasecmp(name, "Host") == 0)
		return once(&facts->host, value);
	if (strcasecmp(name, "Origin") == 0)
		return once(&req->origin, value);
	if (strcasecmp(name, "Sec-WebSocket-Key") == 0)
		return once(&req->ws_key, value);
	if (strcasecmp(name, "Sec-WebSocket-Version") == 0)
		return once(&req->ws_version, value);
	if (strcasecmp(name, "Content-Length") == 0)
		return no_body(value, req);
	if (strcasecmp(name, "Transfer-Encoding") == 0) {
		req->status = 413;
		return -1;
	}
	if (strcasecmp(name, "Connection") == 0) {
		facts->close |= has_token(value, "close");
		facts->upgrade |= has_token(value, "Upgrade");
	} else if (strcasecmp(name, "Upgrade") == 0)
		facts->websocket |= has_token(value, "websocket");
	return 0;
}

/* One header line; -1 refuses the request. */
static int
parse_header(char *line, struct http_req *req, struct header_facts *facts)
{
	char *value;
	size_t n;

	for (n = 0; token_char(line[n]); n++)
		continue;
	/* Also refuses folded lines and a space before the colon. */
	if (n == 0 || line[n] != ':')
		return -1;
	line[n] = '\0';
	value = line + n + 1;
	/* One that ends no line (RFC 9112 section 2.2). */
	if (strchr(value, '\r') != NULL)
		return -1;
	value += strspn(value, " \t");
	for (n = strlen(value);
	    n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t'); n--)
		value[n - 1] = '\0';
	return take_field(line, value, req, facts);
}

int
http_parse(char *buf, size_t len, struct http_req *req)
{
	struct header_facts facts = { .host = NULL };
	char *line;

	memset(req, 0, sizeof(*req));
	req->status = 400;
	if (len == 0 || memchr(buf, '\0', len) != NULL)
		return -1;
	buf[len - 1] = '\0';
	/* An empty line too many after the last request is forgiven. */
	buf += strspn(buf, "\r\n");
	if ((line = next_line(&buf)) == NULL ||
	    parse_request_line(line, req, &facts.http11) == -1)
		return -1;
	while ((line = next_line(&buf)) != NULL && *line != '\0')
		if (parse_header(line, req, &facts) == -1)
			return -1;
	if (facts.http11 && facts.host == NULL)
		return -1;
	req->keep = facts.http11 && !facts.close;
	/* RFC 9110 section 7.8: HTTP/1.0 has no Upgrade. */
	req->upgrade = facts.http11 && facts.upgrade && facts.websocket;
	req->status = 200;
	return 0;
}

/* Decode one value of a query, up to its end. */
static int
decode_value(const char *s, size_t n, char *out, size_t size)
{
	size_t i, len = 0;
	int hi, lo;

	for (i = 0; i < n; i++) {
		char c = s[i];

		if (c == '+')
			c = ' ';
		else if (c == '%') {
			if (n - i < 3 || (hi = hex(s[i + 1])) == -1 ||
			    (lo = hex(s[i + 2])) == -1 || hi + lo == 0) {
				errno = EBADMSG;
				return -1;
			}
			c = (char)(hi * 16 + lo);
			i += 2;
		}
		if (len + 1 >= size) {
			errno = ERANGE;
			return -1;
		}
		out[len++] = c;
	}
	out[len] = '\0';
	return len > 0 ? 1 : 0;
}

int
http_query(const char *query, const char *key, char *out, size_t size)
{
	size_t n, keylen = strlen(key);

	while (*query != '\0') {
		n = strcspn(query, "&");
		if (n > keylen && query[keylen] == '=' &&
		    strncmp(query, key, keylen) == 0)
			return decode_value(
			    query + keylen + 1, n - keylen - 1, out, size);
		query += n;
		query += strspn(query, "&");
	}
	return 0;
}
