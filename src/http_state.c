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

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_state.h"
#include "json.h"
#include "metrics.h"

/* Go's zero time: before the first poll. */
#define ZERO_TIME_MS INT64_C(-62135596800000)

static int
uid_cmp(const struct hs_group *a, const struct hs_group *b)
{
	return strcmp(a->uid, b->uid);
}

static int
key_cmp(const struct hs_group *a, const struct hs_group *b)
{
	return strcmp(a->key, b->key);
}

static int
seq_cmp(const struct hs_group *a, const struct hs_group *b)
{
	return (a->seq > b->seq) - (a->seq < b->seq);
}

/* libbsd's RB_GENERATE_STATIC needs a macro that it undefines on Linux. */
#define RB_STATIC static __attribute__((__unused__))
RB_GENERATE_INTERNAL(hs_uids, hs_group, by_uid, uid_cmp, RB_STATIC)
RB_GENERATE_INTERNAL(hs_keys, hs_group, by_key, key_cmp, RB_STATIC)
RB_GENERATE_INTERNAL(hs_seqs, hs_group, by_seq, seq_cmp, RB_STATIC)

struct hs_group *
hs_by_key(const struct http_state *st, struct hs_group *key)
{
	return RB_FIND(hs_keys, (struct hs_keys *)&st->keys, key);
}

struct hs_group *
hs_by_seq(const struct http_state *st, struct hs_group *key)
{
	return RB_NFIND(hs_seqs, (struct hs_seqs *)&st->seqs, key);
}

struct hs_group *
hs_first(const struct http_state *st)
{
	return RB_MIN(hs_keys, (struct hs_keys *)&st->keys);
}

struct hs_group *
hs_next(struct hs_group *g)
{
	return RB_NEXT(hs_keys, NULL, g);
}

struct http_state *
http_state_new(const struct metric_sink *sink)
{
	struct http_state *st;

	if ((st = calloc(1, sizeof(*st))) == NULL)
		return NULL;
	RB_INIT(&st->uids);
	RB_INIT(&st->keys);
	RB_INIT(&st->seqs);
	st->sink = sink;
	return st;
}

static void
site_free(struct hs_group *g, struct hs_site *s)
{
	TAILQ_REMOVE(&g->sites, s, entry);
	free(s->name);
	free(s->pairs);
	free(s);
}

static void
group_free(struct http_state *st, struct hs_group *g)
{
	struct hs_site *s;

	RB_REMOVE(hs_uids, &st->uids, g);
	if (g->shown) {
		RB_REMOVE(hs_keys, &st->keys, g);
		RB_REMOVE(hs_seqs, &st->seqs, g);
		st->seq++;
	}
	while ((s = TAILQ_FIRST(&g->sites)) != NULL)
		site_free(g, s);
	http_body_unref(g->message);
	free(g->pairs);
	free(g);
}

void
http_state_free(struct http_state *st)
{
	struct hs_group *g;

	if (st == NULL)
		return;
	while ((g = RB_MIN(hs_uids, &st->uids)) != NULL)
		group_free(st, g);
	free(st);
}

uint64_t
http_state_version(const struct http_state *st)
{
	return st->seq;
}

static struct hs_group *
group_find(struct http_state *st, const char *uid)
{
	struct hs_group key;

	if (strlcpy(key.uid, uid, sizeof(key.uid)) >= sizeof(key.uid))
		return NULL;
	return RB_FIND(hs_uids, &st->uids, &key);
}

static struct hs_group *
group_get(struct http_state *st, const char *uid)
{
	struct hs_group *g;

	if ((g = group_find(st, uid)) != NULL)
		return g;
	if ((g = calloc(1, sizeof(*g))) == NULL)
		return NULL;
	strlcpy(g->uid, uid, sizeof(g->uid));
	TAILQ_INIT(&g->sites);
	RB_INSERT(hs_uids, &st->uids, g);
	return g;
}

static struct hs_site *
site_find(struct hs_group *g, const char *name)
{
	struct hs_site *s;

	TAILQ_FOREACH (s, &g->sites, entry)
		if (strcmp(s->name, name) == 0)
			return s;
	return NULL;
}

static struct hs_site *
site_get(struct hs_group *g, const char *name)
{
	struct hs_site *s;

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

/* Takes the text of an object; kept is what is between its braces. */
static void
set_pairs(char **pairs, size_t *n, char *text, size_t len)
{
	memmove(text, text + 1, len - 2);
	free(*pairs);
	*pairs = text;
	*n = len - 2;
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
	/* Both threads as they are; the status of the object is debounced. */
	json_kbool(
	    j, "replicating", m->follower && m->io_running && m->sql_running);
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
	struct hs_group *g;
	struct hs_site *s;
	struct json j;
	char *text;
	size_t len;

	json_init(&j, HS_SITE_JSON_MAX);
	site_json(&j, m);
	if (json_finish(&j, &text, &len) == -1)
		return -1;
	if ((g = group_get(st, m->group)) == NULL ||
	    (s = site_get(g, m->name)) == NULL) {
		free(text);
		errno = ENOMEM;
		return -1;
	}
	set_pairs(&s->pairs, &s->len, text, len);
	return 0;
}

/* ---------------------------------------------------------------- groups --- */

static void
sites_json(struct json *j, struct hs_group *g, const struct m_group_status *m)
{
	struct hs_site *s;
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
group_json(struct json *j, struct hs_group *g, const struct m_group_status *m)
{
	json_obj(j);
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
    struct http_state *st, struct hs_group *g, const struct m_group_status *m)
{
	struct hs_site *s, *next;
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
group_gone(struct http_state *st, struct hs_group *g)
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
    struct http_state *st, struct hs_group *old, const struct m_group_status *m)
{
	prune_sites(st, old, m);
	group_free(st, old);
}

/* What was said of it before is old; who waits for messages gets a new one. */
static void
changed(struct http_state *st, struct hs_group *g)
{
	if (g->seq != 0)
		RB_REMOVE(hs_seqs, &st->seqs, g);
	g->seq = ++st->seq;
	RB_INSERT(hs_seqs, &st->seqs, g);
	http_body_unref(g->message);
	g->message = NULL;
}

/* Into the tree of names; one that was made again takes the old one's place. */
static void
group_show(
    struct http_state *st, struct hs_group *g, const struct m_group_status *m)
{
	struct hs_group *old;

	if (g->shown) {
		changed(st, g);
		return;
	}
	strlcpy(g->ns, m->ns, sizeof(g->ns));
	strlcpy(g->name, m->name, sizeof(g->name));
	snprintf(g->key, sizeof(g->key), "%s/%s", m->ns, m->name);
	if ((old = RB_FIND(hs_keys, &st->keys, g)) != NULL)
		group_replaced(st, old, m);
	g->shown = true;
	RB_INSERT(hs_keys, &st->keys, g);
	changed(st, g);
}

int
http_state_group(struct http_state *st, const struct m_group_status *m)
{
	struct hs_group *g;
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
	json_init(&j, HS_GROUP_JSON_MAX);
	group_json(&j, g, m);
	if (json_finish(&j, &text, &len) == -1)
		return -1;
	group_show(st, g, m);
	prune_sites(st, g, m);
	set_pairs(&g->pairs, &g->len, text, len);
	strlcpy(g->active, m->active_site, sizeof(g->active));
	strlcpy(g->effective, m->effective_site, sizeof(g->effective));
	return 0;
}

bool
http_state_operator(struct http_state *st, bool ready, bool leader)
{
	struct hs_group *g;

	st->ready = ready;
	if (st->leader == leader)
		return false;
	st->leader = leader;
	RB_FOREACH (g, hs_keys, &st->keys)
		changed(st, g);
	return true;
}
