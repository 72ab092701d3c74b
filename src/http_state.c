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
 * What status-server knows of the groups, kept as the JSON that it answers
 * with: a site's part when SITE_STATUS comes, the whole group's when the
 * GROUP_STATUS behind it does, so that no reader sees half of a change.
 */

#include <sys/queue.h>
#include <sys/tree.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http.h"
#include "json.h"
#include "metrics.h"

/* Two GTID sets and short text, each byte escaped at worst as \u00xx. */
#define SITE_JSON_MAX  (UINT64_C(6) * (2 * GTID_LEN + 4096))
#define GROUP_JSON_MAX (SITES_MAX * SITE_JSON_MAX)
/* Go's zero time: before the first poll. */
#define ZERO_TIME_MS   INT64_C(-62135596800000)

struct site {
	TAILQ_ENTRY(site) entry;
	char *name;
	char *pairs; /* inside of its object */
	size_t len;
	bool listed; /* in the last GROUP_STATUS */
	bool wanted;
};

struct group {
	RB_ENTRY(group) by_uid, by_key;
	char uid[UID_LEN + 1];
	char key[NS_LEN + 1 + NAME_LEN + 1]; /* ns/name */
	char ns[NS_LEN + 1];
	char name[NAME_LEN + 1];
	char active[NAME_LEN + 1];
	bool shown; /* has had a GROUP_STATUS */
	char *json;
	size_t len;
	TAILQ_HEAD(, site) sites;
};
RB_HEAD(uid_tree, group);
RB_HEAD(key_tree, group);

struct http_state {
	const struct metric_sink *sink;
	struct uid_tree uids;
	struct key_tree keys; /* those shown */
	bool dirty;
};

static int
uid_cmp(const struct group *a, const struct group *b)
{
	return strcmp(a->uid, b->uid);
}

static int
key_cmp(const struct group *a, const struct group *b)
{
	return strcmp(a->key, b->key);
}

/* libbsd's RB_GENERATE_STATIC needs a macro that it undefines on Linux. */
#define RB_STATIC static __attribute__((__unused__))
RB_GENERATE_INTERNAL(uid_tree, group, by_uid, uid_cmp, RB_STATIC)
RB_GENERATE_INTERNAL(key_tree, group, by_key, key_cmp, RB_STATIC)

struct http_state *
http_state_new(const struct metric_sink *sink)
{
	struct http_state *st;

	if ((st = calloc(1, sizeof(*st))) == NULL)
		return NULL;
	RB_INIT(&st->uids);
	RB_INIT(&st->keys);
	st->sink = sink;
	st->dirty = true;
	return st;
}

static void
site_free(struct group *g, struct site *s)
{
	TAILQ_REMOVE(&g->sites, s, entry);
	free(s->name);
	free(s->pairs);
	free(s);
}

static void
group_free(struct http_state *st, struct group *g)
{
	struct site *s;

	RB_REMOVE(uid_tree, &st->uids, g);
	if (g->shown)
		RB_REMOVE(key_tree, &st->keys, g);
	while ((s = TAILQ_FIRST(&g->sites)) != NULL)
		site_free(g, s);
	free(g->json);
	free(g);
	st->dirty = true;
}

void
http_state_free(struct http_state *st)
{
	struct group *g;

	if (st == NULL)
		return;
	while ((g = RB_MIN(uid_tree, &st->uids)) != NULL)
		group_free(st, g);
	free(st);
}

bool
http_state_dirty(struct http_state *st, bool clear)
{
	bool dirty = st->dirty;

	if (clear)
		st->dirty = false;
	return dirty;
}

static struct group *
group_find(struct http_state *st, const char *uid)
{
	struct group key;

	if (strlcpy(key.uid, uid, sizeof(key.uid)) >= sizeof(key.uid))
		return NULL;
	return RB_FIND(uid_tree, &st->uids, &key);
}

static struct group *
group_get(struct http_state *st, const char *uid)
{
	struct group *g;

	if ((g = group_find(st, uid)) != NULL)
		return g;
	if ((g = calloc(1, sizeof(*g))) == NULL)
		return NULL;
	strlcpy(g->uid, uid, sizeof(g->uid));
	TAILQ_INIT(&g->sites);
	RB_INSERT(uid_tree, &st->uids, g);
	return g;
}

static struct site *
site_find(struct group *g, const char *name)
{
	struct site *s;

	TAILQ_FOREACH (s, &g->sites, entry)
		if (strcmp(s->name, name) == 0)
			return s;
	return NULL;
}

static struct site *
site_get(struct group *g, const char *name)
{
	struct site *s;

	if ((s = site_find(g, name)) != NULL)
		return s;
	if ((s = calloc(1, sizeof(*s))) == NULL)
		return NULL;
	if ((s->name = strdup(name)) == NULL) {
		free(s);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&g->sites, s, entry);
	return s;
}

/* ----------------------------------------------------------------- sites --- */

static void
kstr_some(struct json *j, const char *key, const char *value)
{
	if (*value != '\0')
		json_kstr(j, key, value);
}

static void
site_json(struct json *j, const struct m_site_status *m)
{
	json_obj(j);
	json_kstr(j, "name", m->name);
	json_kstr(j, "role", role_name(m->role));
	json_kstr(j, "state", site_state_name(m->state));
	if (m->last_seen_ms != 0)
		json_ktime_ms(j, "lastSeen", m->last_seen_ms);
	json_kbool(j, "replicating", m->replicating);
	if (m->follower && m->lag_s >= 0)
		json_ki64(j, "secondsBehindSource", m->lag_s);
	kstr_some(j, "gtidExecuted", m->gtid);
	kstr_some(j, "sourceHost", m->source_host);
	kstr_some(j, "sourceConvergenceState", m->convergence);
	kstr_some(j, "sourceConvergenceReason", m->convergence_reason);
	kstr_some(j, "recoveryState", m->recovery);
	if (m->divergent_gtid[0] != '\0') {
		json_kstr(j, "divergentGtid", m->divergent_gtid);
		json_ki64(j, "divergentTransactionCount", m->divergent_count);
	}
	json_obj_end(j);
}

int
http_state_site(struct http_state *st, const struct m_site_status *m)
{
	struct group *g;
	struct site *s;
	struct json j;
	char *text;
	size_t len;

	json_init(&j, SITE_JSON_MAX);
	site_json(&j, m);
	if (json_finish(&j, &text, &len) == -1)
		return -1;
	if ((g = group_get(st, m->group)) == NULL ||
	    (s = site_get(g, m->name)) == NULL) {
		free(text);
		errno = ENOMEM;
		return -1;
	}
	/* Without the braces. */
	memmove(text, text + 1, len - 2);
	free(s->pairs);
	s->pairs = text;
	s->len = len - 2;
	return 0;
}

/* ---------------------------------------------------------------- groups --- */

static void
sites_json(struct json *j, struct group *g, const struct m_group_status *m)
{
	struct site *s;
	uint32_t i;

	json_key(j, "sites");
	json_arr(j);
	for (i = 0; i < m->n_sites; i++) {
		s = site_find(g, m->sites[i].name);
		json_obj(j);
		if (s != NULL && s->pairs != NULL)
			json_raw_pairs(j, s->pairs, s->len);
		else {
			json_kstr(j, "name", m->sites[i].name);
			json_kstr(
			    j, "state", site_state_name(m->sites[i].state));
		}
		json_kbool(j, "servingHealthy", m->sites[i].healthy);
		json_obj_end(j);
	}
	json_arr_end(j);
}

static void
group_json(struct json *j, struct group *g, const struct m_group_status *m)
{
	json_obj(j);
	json_kstr(j, "activeSite", m->effective_site);
	sites_json(j, g, m);
	if (m->last_failover_s > 0)
		json_ktime_ms(j, "lastFailover", m->last_failover_s * 1000);
	kstr_some(j, "lastFailoverTarget", m->last_failover_target);
	kstr_some(j, "alert", m->alert);
	json_ktime_ms(j, "pollTime",
	    m->poll_time_ms > 0 ? m->poll_time_ms : ZERO_TIME_MS);
	kstr_some(j, "promotionGtidExecuted", m->promotion_gtid);
	json_obj_end(j);
}

/* Sites that are no longer listed go, and their series with them. */
static void
prune_sites(
    struct http_state *st, struct group *g, const struct m_group_status *m)
{
	struct site *s, *next;
	uint32_t i;

	TAILQ_FOREACH (s, &g->sites, entry)
		s->wanted = false;
	for (i = 0; i < m->n_sites; i++)
		if ((s = site_find(g, m->sites[i].name)) != NULL)
			s->wanted = true;
	for (s = TAILQ_FIRST(&g->sites); s != NULL; s = next) {
		next = TAILQ_NEXT(s, entry);
		if (s->wanted) {
			s->listed = true;
			continue;
		}
		if (s->listed)
			metric_del(st->sink, M_MAX,
			    METRIC_MATCH("namespace", g->ns, "group", g->name,
				"site", s->name));
		site_free(g, s);
	}
}

static void
group_gone(struct http_state *st, struct group *g)
{
	if (g->shown)
		metric_del(st->sink, M_MAX,
		    METRIC_MATCH("namespace", g->ns, "group", g->name));
	group_free(st, g);
}

/*
 * Another group of the same name: its series may have come already, so those
 * that both have stay; sites that only the old one had go.
 */
static void
group_replaced(
    struct http_state *st, struct group *old, const struct m_group_status *m)
{
	prune_sites(st, old, m);
	group_free(st, old);
}

/* Into the tree of names; one that was made again takes the old one's place. */
static void
group_show(
    struct http_state *st, struct group *g, const struct m_group_status *m)
{
	struct group *old;

	if (g->shown)
		return;
	strlcpy(g->ns, m->ns, sizeof(g->ns));
	strlcpy(g->name, m->name, sizeof(g->name));
	snprintf(g->key, sizeof(g->key), "%s/%s", m->ns, m->name);
	if ((old = RB_FIND(key_tree, &st->keys, g)) != NULL)
		group_replaced(st, old, m);
	g->shown = true;
	RB_INSERT(key_tree, &st->keys, g);
}

int
http_state_group(struct http_state *st, const struct m_group_status *m)
{
	struct group *g;
	struct json j;
	char *text;
	size_t len;

	if (m->gone) {
		if ((g = group_find(st, m->group)) != NULL)
			group_gone(st, g);
		return 0;
	}
	if ((g = group_get(st, m->group)) == NULL)
		return -1;
	json_init(&j, GROUP_JSON_MAX);
	group_json(&j, g, m);
	if (json_finish(&j, &text, &len) == -1)
		return -1;
	group_show(st, g, m);
	prune_sites(st, g, m);
	free(g->json);
	g->json = text;
	g->len = len;
	strlcpy(g->active, m->effective_site, sizeof(g->active));
	st->dirty = true;
	return 0;
}

/* --------------------------------------------------------------- answers --- */

/* A standby sees them, too, and answers from that. */
static bool
runs_groups(const struct http_state *st)
{
	return !RB_EMPTY(&st->keys);
}

int
http_state_render(const struct http_state *st, char **text, size_t *len)
{
	struct group *g;
	struct json j;

	json_init(&j, HTTP_STATUS_MAX);
	json_obj(&j);
	if (runs_groups(st)) {
		RB_FOREACH (g, key_tree, (struct key_tree *)&st->keys) {
			json_key(&j, g->key);
			json_raw(&j, g->json, g->len);
		}
	} else
		json_kstr(&j, "status", "no active failover groups");
	json_obj_end(&j);
	return json_finish(&j, text, len);
}

static int
active_error(struct json *j, int status, const char *error)
{
	json_kstr(j, "error", error);
	return status;
}

static int
active_json(const struct http_state *st, struct json *j, const char *query)
{
	struct group key, *g;
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
	if (!toolong) {
		snprintf(key.key, sizeof(key.key), "%s/%s", ns, name);
		g = RB_FIND(key_tree, (struct key_tree *)&st->keys, &key);
		if (g != NULL) {
			json_kstr(j, "namespace", g->ns);
			json_kstr(j, "group", g->name);
			json_kstr(j, "activeSite", g->active);
			return 200;
		}
	}
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
