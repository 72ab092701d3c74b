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
 * What is said of the groups: /status, /active-site, and the messages of
 * /ws/status.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_state.h"
#include "http_ws.h"
#include "json.h"

/* A standby sees them, too, and answers from that. */
static bool
runs_groups(const struct http_state *st)
{
	return hs_first(st) != NULL;
}

/* --------------------------------------------------------------- /status --- */

static void
group_json(struct json *j, const struct http_state *st, struct hs_group *g)
{
	json_obj(j);
	json_kstr(j, "activeSite", g->effective);
	json_raw_pairs(j, g->pairs, g->len);
	json_kbool(j, "leader", st->leader);
	json_obj_end(j);
}

int
http_state_render(const struct http_state *st, char **text, size_t *len)
{
	struct hs_group *g;
	struct json j;

	json_init(&j, HTTP_STATUS_MAX);
	json_obj(&j);
	if (!runs_groups(st))
		json_kstr(&j, "status", "no active failover groups");
	for (g = hs_first(st); g != NULL; g = hs_next(g)) {
		json_key(&j, g->key);
		group_json(&j, st, g);
	}
	json_obj_end(&j);
	return json_finish(&j, text, len);
}

/* ---------------------------------------------------------- /active-site --- */

static int
active_error(struct json *j, int status, const char *error)
{
	json_kstr(j, "error", error);
	return status;
}

static int
active_group(const struct http_state *st, struct json *j, const char *ns,
    const char *name)
{
	struct hs_group key, *g;

	snprintf(key.key, sizeof(key.key), "%s/%s", ns, name);
	if ((g = hs_by_key(st, &key)) == NULL)
		return 0;
	json_kstr(j, "namespace", g->ns);
	json_kstr(j, "group", g->name);
	json_kstr(j, "activeSite", g->effective);
	json_kbool(j, "leader", st->leader);
	return 200;
}

static int
active_json(const struct http_state *st, struct json *j, const char *query)
{
	char ns[NS_LEN + 1], name[NAME_LEN + 1];
	int rcns, rcname;
	bool toolong = false;

	rcns = http_query(query, "namespace", ns, sizeof(ns));
	toolong |= rcns == -1 && errno == ERANGE;
	rcname = http_query(query, "group", name, sizeof(name));
	toolong |= rcname == -1 && errno == ERANGE;
	if (!toolong && (rcns != 1 || rcname != 1))
		return active_error(j, 400,
		    "namespace and group query parameters are required");
	if (!runs_groups(st))
		return active_error(j, 503, "no active failover groups");
	if (!toolong && active_group(st, j, ns, name) == 200)
		return 200;
	/* Until all are listed nobody knows which ones there are not. */
	if (!st->ready)
		return active_error(j, 503, "groups are not listed yet");
	return active_error(j, 404, "failover group not found");
}

int
http_state_active(const struct http_state *st, const char *query, int *status,
    char **text, size_t *len)
{
	struct json j;

	json_init(&j, 8192);
	json_obj(&j);
	*status = active_json(st, &j, query);
	json_obj_end(&j);
	return json_finish(&j, text, len);
}

/* ------------------------------------------------------------ /ws/status --- */

/* Is there memory for one more? Those that no client holds can go. */
static bool
messages_fit(struct http_state *st)
{
	struct hs_group *g;

	if (st->messages.bytes < HTTP_WS_BYTES)
		return true;
	for (g = hs_first(st); g != NULL; g = hs_next(g))
		if (g->message != NULL && g->message->refs == 1) {
			http_body_unref(g->message);
			g->message = NULL;
		}
	return st->messages.bytes < HTTP_WS_BYTES;
}

static int
message_make(struct http_state *st, struct hs_group *g)
{
	struct json j;
	char *text;
	size_t len;

	if (!messages_fit(st)) {
		errno = EAGAIN;
		return -1;
	}
	json_init(&j, HS_GROUP_JSON_MAX);
	json_obj(&j);
	json_kstr(&j, "namespace", g->ns);
	json_kstr(&j, "group", g->name);
	json_kstr(&j, "activeSite", g->active);
	json_raw_pairs(&j, g->pairs, g->len);
	json_kbool(&j, "leader", st->leader);
	json_obj_end(&j);
	if (json_finish(&j, &text, &len) == -1)
		return -1;
	g->message = http_body_new(text, len, &st->messages);
	if (g->message == NULL) {
		errno = ENOMEM;
		return -1;
	}
	return 0;
}

static struct hs_group *
next_group(const struct http_state *st, uint64_t seen)
{
	struct hs_group key = { .seq = seen + 1 };

	return hs_by_seq(st, &key);
}

int
http_state_next(
    struct http_state *st, uint64_t *seen, struct http_body **message)
{
	struct hs_group *g = next_group(st, *seen);

	if (g == NULL)
		return 0;
	if (g->message == NULL && message_make(st, g) == -1) {
		if (errno != EAGAIN)
			*seen = g->seq;
		return -1;
	}
	*seen = g->seq;
	*message = g->message;
	g->message->refs++;
	return 1;
}

bool
http_state_news(const struct http_state *st, uint64_t seen)
{
	return next_group(st, seen) != NULL;
}
