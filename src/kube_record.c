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
 * status.authority, the promotion record (fencing.md section 2), and its
 * reference-compatible copies: status.lastFailover*, promotionGtidExecuted
 * and two annotations (api.md 1.9).
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kube_render.h"

#define ANN_TIME     BR_ANN "last-failover"
#define ANN_TARGET   BR_ANN "last-failover-target"
/* A time further ahead than any clock is wrong was not written by us. */
#define FUTURE_MAX_S 300
/* Hexadecimal digits of a guard's or voter's id. */
#define ID_LEN       16

struct reader {
	char *why; /* ERR_LEN + 1 */
	bool bad;
};

static void
complain(struct reader *r, const char *fmt, ...)
{
	va_list ap;

	if (!r->bad) {
		va_start(ap, fmt);
		vsnprintf(r->why, ERR_LEN + 1, fmt, ap);
		va_end(ap);
	}
	r->bad = true;
}

static uint64_t
read_u64(struct reader *r, yyjson_val *o, const char *key)
{
	yyjson_val *v = yyjson_obj_get(o, key);

	if (yyjson_is_int(v) && yyjson_get_sint(v) >= 0)
		return (uint64_t)yyjson_get_sint(v);
	complain(r, "status.authority: %s is not a number", key);
	return 0;
}

static void
read_str(
    struct reader *r, yyjson_val *o, const char *key, char *out, size_t size)
{
	yyjson_val *v = yyjson_obj_get(o, key);
	size_t n = yyjson_get_len(v);

	out[0] = '\0';
	if (v == NULL || yyjson_is_null(v))
		return;
	if (!yyjson_is_str(v) || n >= size || strlen(yyjson_get_str(v)) != n) {
		complain(r,
		    "status.authority: %s is not text of at most %zu "
		    "bytes",
		    key, size - 1);
		return;
	}
	memcpy(out, yyjson_get_str(v), n + 1);
}

/* Absent is 0. */
static uint32_t
read_u32(struct reader *r, yyjson_val *o, const char *key)
{
	uint64_t n = 0;

	if (yyjson_obj_get(o, key) != NULL)
		n = read_u64(r, o, key);
	if (n > UINT32_MAX)
		complain(r, "status.authority: %s is out of range", key);
	return (uint32_t)n;
}

/* Ids use all 64 bits, which the API server's integers do not have. */
static uint64_t
read_id(struct reader *r, yyjson_val *o, const char *key)
{
	char text[ID_LEN + 1];
	uint64_t id = 0;

	read_str(r, o, key, text, sizeof(text));
	if (text[0] == '\0')
		return 0;
	for (size_t i = 0; i < ID_LEN; i++) {
		const char *hex = "0123456789abcdef", *c;

		/* strchr() finds the end, too. */
		if (text[i] == '\0' || (c = strchr(hex, text[i])) == NULL) {
			complain(r,
			    "status.authority: %s is not %d "
			    "hexadecimal digits",
			    key, ID_LEN);
			return 0;
		}
		id = id << 4 | (uint64_t)(c - hex);
	}
	return id;
}

static void
read_voters(struct reader *r, yyjson_val *list, struct m_epoch *e)
{
	yyjson_arr_iter it = yyjson_arr_iter_with(list);
	yyjson_val *v;

	if (!yyjson_is_arr(list) || yyjson_arr_size(list) == 0 ||
	    yyjson_arr_size(list) > PS_NITEMS(e->voters)) {
		complain(r,
		    "status.authority: voters is not a list of 1 to %zu",
		    PS_NITEMS(e->voters));
		return;
	}
	while ((v = yyjson_arr_iter_next(&it)) != NULL) {
		struct m_voter *out = &e->voters[e->n_voters++];

		out->id = read_id(r, v, "id");
		read_str(r, v, "site", out->site, sizeof(out->site));
		if (out->id == 0)
			complain(r, "status.authority: a voter has no id");
	}
}

/*
 * The terms of its lease. What an operator without guards wrote has none: it
 * then needs another proof. Half of them are no record.
 */
static void
read_terms(struct reader *r, yyjson_val *v, struct m_epoch *e)
{
	if (yyjson_obj_get(v, "prev") != NULL)
		e->prev = read_u64(r, v, "prev");
	if ((e->guard = read_id(r, v, "guard")) == 0)
		return;
	e->incarnation = read_u32(r, v, "incarnation");
	e->lease_ms = read_u32(r, v, "leaseMillis");
	e->fence_ms = read_u32(r, v, "fenceMillis");
	e->quorum = read_u32(r, v, "quorum");
	read_voters(r, yyjson_obj_get(v, "voters"), e);
	if (!r->bad && (e->lease_ms == 0 || e->fence_ms == 0))
		complain(r, "status.authority: a lease has no length");
	if (!r->bad && (e->quorum == 0 || e->quorum > e->n_voters))
		complain(r,
		    "status.authority: quorum is not 1 to the number of "
		    "voters");
}

static void
read_epoch(struct reader *r, yyjson_val *v, struct m_epoch *e)
{
	char start[KTIME_LEN + 16];
	int64_t us;

	if (!yyjson_is_obj(v)) {
		complain(r, "status.authority: an unended epoch is no object");
		return;
	}
	e->epoch = read_u64(r, v, "epoch");
	read_terms(r, v, e);
	read_str(r, v, "site", e->site, sizeof(e->site));
	read_str(r, v, "podUID", e->pod_uid, sizeof(e->pod_uid));
	read_str(r, v, "containerID", e->container_id, sizeof(e->container_id));
	read_str(r, v, "serverUUID", e->server_uuid, sizeof(e->server_uuid));
	read_str(r, v, "processStart", start, sizeof(start));
	if (start[0] == '\0')
		return;
	if (ktime_parse(start, &us) == -1)
		complain(r, "status.authority: processStart is no time");
	else
		e->proc_start_ms = us / 1000;
}

static void
read_unended(struct reader *r, yyjson_val *list, struct m_record *m)
{
	yyjson_arr_iter it = yyjson_arr_iter_with(list);
	yyjson_val *e;

	if (list == NULL || yyjson_is_null(list))
		return;
	if (!yyjson_is_arr(list) || yyjson_arr_size(list) > UNENDED_MAX) {
		complain(r,
		    "status.authority: unended is not a list of at "
		    "most %d epochs",
		    UNENDED_MAX);
		return;
	}
	while ((e = yyjson_arr_iter_next(&it)) != NULL)
		read_epoch(r, e, &m->unended[m->n_unended++]);
}

static void
read_authority(struct reader *r, yyjson_val *a, struct m_record *m)
{
	if (a == NULL || yyjson_is_null(a))
		return;
	if (!yyjson_is_obj(a)) {
		complain(r, "status.authority: is no object");
		return;
	}
	m->version = read_u64(r, a, "version");
	m->epoch = read_u64(r, a, "epoch");
	read_str(r, a, "activeSite", m->active, sizeof(m->active));
	read_str(r, a, "serverUUID", m->server_uuid, sizeof(m->server_uuid));
	read_str(
	    r, a, "grantGtid", m->promotion_gtid, sizeof(m->promotion_gtid));
	read_str(r, a, "seenGtid", m->seen_gtid, sizeof(m->seen_gtid));
	read_unended(r, yyjson_obj_get(a, "unended"), m);
	/* 0 means "none" to everybody; a record never has it. */
	if (m->version == 0)
		complain(r, "status.authority: version is 0");
}

/*
 * Unix seconds of a valid pair of time and target, 0 when there is none; why
 * says what is wrong with one that cannot be used.
 */
static int64_t
read_failover(yyjson_val *o, const char *tkey, const char *skey,
    const char **target, char *why)
{
	yyjson_val *tv = yyjson_obj_get(o, tkey), *sv = yyjson_obj_get(o, skey);
	const char *t = yyjson_get_str(tv), *bad = NULL;
	int64_t us = 0;

	*target = yyjson_get_str(sv);
	why[0] = '\0';
	if ((tv == NULL || yyjson_is_null(tv)) &&
	    (sv == NULL || yyjson_is_null(sv)))
		return 0;
	if (t == NULL || ktime_parse(t, &us) == -1 || us <= 0)
		bad = "the time is missing or none";
	else if (*target == NULL || **target == '\0' ||
	    strlen(*target) > NAME_LEN)
		bad = "the target is missing or no name";
	if (bad == NULL)
		return us / 1000000;
	(void)strlcpy(why, bad, LAST_BAD_LEN + 1);
	return 0;
}

static int64_t
read_annotations(yyjson_val *cr, const struct kspec *k, int64_t now_ms,
    const char **target, char *why)
{
	yyjson_val *ann =
	    yyjson_obj_get(yyjson_obj_get(cr, "metadata"), "annotations");
	int64_t a = read_failover(ann, ANN_TIME, ANN_TARGET, target, why);

	if (a > now_ms / 1000 + FUTURE_MAX_S)
		(void)strlcpy(
		    why, "the time is in the future", LAST_BAD_LEN + 1);
	else if (a != 0 && k != NULL && kspec_site(k, *target) == -1)
		(void)strlcpy(why, "the target is no site of the group",
		    LAST_BAD_LEN + 1);
	return why[0] == '\0' ? a : 0;
}

static void
read_last(yyjson_val *cr, yyjson_val *status, const struct kspec *k,
    int64_t now_ms, struct m_record *m)
{
	const char *st, *at;
	int64_t s, a;

	s = read_failover(
	    status, "lastFailover", "lastFailoverTarget", &st, m->bad_status);
	a = read_annotations(cr, k, now_ms, &at, m->bad_annotations);
	if (s == 0 && a == 0)
		return;
	m->from_annotations = a > s;
	m->last_failover_s = a > s ? a : s;
	strlcpy(m->last_failover_target, a > s ? at : st,
	    sizeof(m->last_failover_target));
	if (s == 0)
		return;
	m->status_failover_s = s;
	strlcpy(m->status_target, st, sizeof(m->status_target));
}

int
krecord_decode(yyjson_val *cr, const struct kspec *k, int64_t now_ms,
    struct m_record *m, char why[static ERR_LEN + 1])
{
	struct reader r = { .why = why };
	yyjson_val *status = yyjson_obj_get(cr, "status");
	const char *uid;

	memset(m, 0, sizeof(*m));
	why[0] = '\0';
	uid = yyjson_get_str(
	    yyjson_obj_get(yyjson_obj_get(cr, "metadata"), "uid"));
	if (uid == NULL || strlen(uid) > UID_LEN)
		complain(&r, "metadata.uid: missing");
	else
		strlcpy(m->group, uid, sizeof(m->group));
	read_authority(&r, yyjson_obj_get(status, "authority"), m);
	read_last(cr, status, k, now_ms, m);
	if (!r.bad)
		return 0;
	errno = EBADMSG;
	return -1;
}

/* -------------------------------------------------------------- encode -- */

static bool
put_u64(yyjson_mut_doc *doc, yyjson_mut_val *o, const char *key, uint64_t v)
{
	/* The API server's integers are signed. */
	return v <= INT64_MAX && yyjson_mut_obj_add_uint(doc, o, key, v);
}

/*
 * Empty text is no member: some API servers' validation (1.20 built with a
 * newer go-openapi) takes "" for null. In a merge patch null removes one.
 */
static bool
put_or_null(
    yyjson_mut_doc *doc, yyjson_mut_val *o, const char *key, const char *s)
{
	return *s == '\0' ? yyjson_mut_obj_add_null(doc, o, key) :
			    kput_str(doc, o, key, s);
}

static bool
put_text(yyjson_mut_doc *doc, yyjson_mut_val *o, const char *key, const char *s)
{
	return *s == '\0' || kput_str(doc, o, key, s);
}

static bool
put_id(yyjson_mut_doc *doc, yyjson_mut_val *o, const char *key, uint64_t id)
{
	return kput_fmt(doc, o, key, "%016llx", (unsigned long long)id);
}

static bool
add_terms(yyjson_mut_doc *doc, yyjson_mut_val *o, const struct m_epoch *e)
{
	yyjson_mut_val *list, *v;

	if (e->prev != 0 && !put_u64(doc, o, "prev", e->prev))
		return false;
	if (e->guard == 0)
		return true;
	/* What read_terms() would not take is never written. */
	if (e->n_voters > PS_NITEMS(e->voters) || e->quorum == 0 ||
	    e->quorum > e->n_voters || e->lease_ms == 0 || e->fence_ms == 0 ||
	    !put_id(doc, o, "guard", e->guard) ||
	    !put_u64(doc, o, "incarnation", e->incarnation) ||
	    !put_u64(doc, o, "leaseMillis", e->lease_ms) ||
	    !put_u64(doc, o, "fenceMillis", e->fence_ms) ||
	    !put_u64(doc, o, "quorum", e->quorum) ||
	    (list = yyjson_mut_obj_add_arr(doc, o, "voters")) == NULL)
		return false;
	for (unsigned i = 0; i < e->n_voters; i++)
		if (e->voters[i].id == 0 ||
		    (v = yyjson_mut_arr_add_obj(doc, list)) == NULL ||
		    !put_id(doc, v, "id", e->voters[i].id) ||
		    !put_text(doc, v, "site", e->voters[i].site))
			return false;
	return true;
}

static bool
add_epoch(yyjson_mut_doc *doc, yyjson_mut_val *list, const struct m_epoch *e)
{
	yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, list);
	char start[KTIME_LEN];

	/* Six digits are more than needed; one format fewer. */
	if (e->proc_start_ms > INT64_MAX / 1000 || e->proc_start_ms < 0)
		return false;
	ktime_us(e->proc_start_ms * 1000, start);
	return o != NULL && put_u64(doc, o, "epoch", e->epoch) &&
	    put_text(doc, o, "site", e->site) &&
	    put_text(doc, o, "podUID", e->pod_uid) &&
	    put_text(doc, o, "containerID", e->container_id) &&
	    put_text(doc, o, "serverUUID", e->server_uuid) &&
	    (e->proc_start_ms == 0 ||
		kput_str(doc, o, "processStart", start)) &&
	    add_terms(doc, o, e);
}

static bool
add_authority(yyjson_mut_doc *doc, yyjson_mut_val *status,
    const struct m_record_put *p, const char *lease)
{
	yyjson_mut_val *a, *list;

	a = yyjson_mut_obj_add_obj(doc, status, "authority");
	if (a == NULL || p->base_version >= INT64_MAX ||
	    p->n_unended > UNENDED_MAX ||
	    !put_u64(doc, a, "version", p->base_version + 1) ||
	    !put_u64(doc, a, "epoch", p->epoch) ||
	    !kput_str(doc, a, "lease", lease) ||
	    !put_or_null(doc, a, "activeSite", p->active) ||
	    !put_or_null(doc, a, "serverUUID", p->server_uuid) ||
	    (list = yyjson_mut_obj_add_arr(doc, a, "unended")) == NULL)
		return false;
	for (unsigned i = 0; i < p->n_unended; i++)
		if (!add_epoch(doc, list, &p->unended[i]))
			return false;
	/* All members, always: a merge patch keeps what it does not name. */
	return put_or_null(doc, a, "grantGtid", p->promotion_gtid) &&
	    put_or_null(doc, a, "seenGtid", p->seen_gtid);
}

void
krecord_last_failover(const struct m_record_put *p, char out[static KTIME_LEN])
{
	ktime_s(p->last_failover_s < INT64_MAX / 1000 ?
		p->last_failover_s * 1000 :
		0,
	    out);
}

/*
 * The site that may write becomes another one: with the record, so that it
 * can't be counted twice or not at all. What the reference counted goes on,
 * and the site that was active under it is no change.
 */
static bool
raise_generation(yyjson_mut_doc *doc, yyjson_mut_val *status,
    const struct m_record_put *p, yyjson_val *prev)
{
	yyjson_val *a = yyjson_obj_get(prev, "authority");
	yyjson_val *n = yyjson_obj_get(prev, "topologyGeneration");
	int64_t was = yyjson_is_int(n) ? yyjson_get_sint(n) : 0;
	const char *site =
	    yyjson_get_str(yyjson_obj_get(a == NULL ? prev : a, "activeSite"));

	if (p->active[0] == '\0' ||
	    (site != NULL && strcmp(site, p->active) == 0))
		return true;
	if (was < 0 || was == INT64_MAX)
		was = 0;
	return put_u64(doc, status, "topologyGeneration", (uint64_t)was + 1);
}

yyjson_mut_val *
krecord_patch(yyjson_mut_doc *doc, const struct m_record_put *p,
    const char *lease, const char *resource_version, yyjson_val *prev)
{
	yyjson_mut_val *o = yyjson_mut_obj(doc), *meta, *status;
	char t[KTIME_LEN];

	krecord_last_failover(p, t);
	if (o == NULL ||
	    (meta = yyjson_mut_obj_add_obj(doc, o, "metadata")) == NULL ||
	    !kput_str(doc, meta, "resourceVersion", resource_version) ||
	    (status = yyjson_mut_obj_add_obj(doc, o, "status")) == NULL ||
	    !add_authority(doc, status, p, lease) ||
	    !raise_generation(doc, status, p, prev))
		return NULL;
	if (p->last_failover_s > 0 &&
	    (!kput_str(doc, status, "lastFailover", t) ||
		!kput_str(doc, status, "lastFailoverTarget",
		    p->last_failover_target) ||
		!kput_str(
		    doc, status, "promotionGtidExecuted", p->promotion_gtid)))
		return NULL;
	return o;
}

yyjson_mut_val *
krecord_annotations(yyjson_mut_doc *doc, const struct m_record_put *p)
{
	yyjson_mut_val *o = yyjson_mut_obj(doc), *meta, *ann;
	char t[KTIME_LEN];

	krecord_last_failover(p, t);
	if (o == NULL ||
	    (meta = yyjson_mut_obj_add_obj(doc, o, "metadata")) == NULL ||
	    (ann = yyjson_mut_obj_add_obj(doc, meta, "annotations")) == NULL ||
	    !kput_str(doc, ann, ANN_TIME, t) ||
	    !kput_str(doc, ann, ANN_TARGET, p->last_failover_target))
		return NULL;
	return o;
}

/* -------------------------------------------------------------- compare - */

static bool
same_terms(const struct m_epoch *a, const struct m_epoch *b)
{
	if (a->prev != b->prev || a->guard != b->guard ||
	    a->incarnation != b->incarnation || a->lease_ms != b->lease_ms ||
	    a->fence_ms != b->fence_ms || a->quorum != b->quorum ||
	    a->n_voters != b->n_voters)
		return false;
	for (uint32_t i = 0; i < a->n_voters; i++)
		if (a->voters[i].id != b->voters[i].id ||
		    strcmp(a->voters[i].site, b->voters[i].site) != 0)
			return false;
	return true;
}

bool
krecord_is(const struct m_record *r, const struct m_record_put *p)
{
	if (r->version != p->base_version + 1 || r->epoch != p->epoch ||
	    strcmp(r->active, p->active) != 0 ||
	    strcmp(r->server_uuid, p->server_uuid) != 0 ||
	    strcmp(r->promotion_gtid, p->promotion_gtid) != 0 ||
	    strcmp(r->seen_gtid, p->seen_gtid) != 0 ||
	    r->n_unended != p->n_unended)
		return false;
	for (uint32_t i = 0; i < r->n_unended; i++) {
		const struct m_epoch *a = &r->unended[i], *b = &p->unended[i];

		if (a->epoch != b->epoch || strcmp(a->site, b->site) != 0 ||
		    strcmp(a->pod_uid, b->pod_uid) != 0 ||
		    strcmp(a->container_id, b->container_id) != 0 ||
		    strcmp(a->server_uuid, b->server_uuid) != 0 ||
		    a->proc_start_ms != b->proc_start_ms || !same_terms(a, b))
			return false;
	}
	return true;
}
