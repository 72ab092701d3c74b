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
 * The findings of the oracle, see judge.h. Reads no files.
 */

#include <stdlib.h>
#include <string.h>

#include "judge.h"

static int
row_cmp(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int c = strcmp(x->writer, y->writer);

	if (c != 0)
		return c;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

void
rows_sort(struct rows *t)
{
	if (t->n > 0)
		qsort(t->r, t->n, sizeof(*t->r), row_cmp);
}

bool
rows_have(const struct rows *t, const char *writer, uint64_t seq)
{
	struct row key = { .seq = seq };

	if (t->n == 0)
		return false;
	strlcpy(key.writer, writer, sizeof(key.writer));
	return bsearch(&key, t->r, t->n, sizeof(*t->r), row_cmp) != NULL;
}

static bool
in_window(const struct judge *j, const struct record *r)
{
	return r->sent_ns >= j->from_ns && r->sent_ns <= j->to_ns;
}

static bool
through_service(const struct record_file *f)
{
	return strcmp(f->site, "-") == 0;
}

static struct server *
server(struct judge *j, const char *uuid)
{
	struct server *s;

	for (s = j->servers; s < j->servers + j->nservers; s++)
		if (strcmp(s->uuid, uuid) == 0)
			return s;
	if (j->nservers == SERVERS_MAX)
		return NULL;
	j->nservers++;
	strlcpy(s->uuid, uuid, sizeof(s->uuid));
	return s;
}

/*
 * A writer that is pinned to a site tells which servers are that site's,
 * also when it was only refused there.
 */
static int
learn_servers(struct judge *j)
{
	for (size_t f = 0; f < j->nfiles; f++)
		for (size_t i = 0; i < j->files[f].n; i++) {
			const struct record *r = &j->files[f].recs[i];
			struct server *s;

			if (strcmp(r->server, "-") == 0)
				continue;
			if ((s = server(j, r->server)) == NULL)
				return -1;
			if (!through_service(&j->files[f]))
				strlcpy(
				    s->site, j->files[f].site, sizeof(s->site));
		}
	return 0;
}

static bool
at_site(struct judge *j, const struct record *r, const char *site)
{
	return site != NULL && strcmp(server(j, r->server)->site, site) == 0;
}

static void
count_attempt(struct judge *j, const struct record *r)
{
	struct server *s;

	j->attempts++;
	switch (r->out) {
	case OUT_REFUSED:
		j->refused++;
		return;
	case OUT_UNKNOWN:
		j->unknown++;
		return;
	case OUT_UNSENT:
		j->unsent++;
		return;
	case OUT_ACKED:
		break;
	}
	j->acked++;
	s = server(j, r->server);
	if (s->site[0] == '\0')
		j->unmapped++;
	if (s->acked++ == 0 || r->end_ns < s->first_ns)
		s->first_ns = r->end_ns;
	if (r->end_ns > s->last_ns)
		s->last_ns = r->end_ns;
	if (at_site(j, r, j->new_site) &&
	    (j->first_new_ns == 0 || r->end_ns < j->first_new_ns))
		j->first_new_ns = r->end_ns;
}

static void
find_gap(struct judge *j, const struct record_file *f)
{
	int64_t last = 0, end = 0;

	for (size_t i = 0; i < f->n; i++) {
		const struct record *r = &f->recs[i];

		if (!in_window(j, r))
			continue;
		end = r->end_ns;
		if (r->out != OUT_ACKED)
			continue;
		if (last != 0 && r->end_ns - last > j->gap_ns) {
			j->gap_ns = r->end_ns - last;
			j->gap_from_ns = last;
			j->gap_to_ns = r->end_ns;
		}
		last = r->end_ns;
	}
	if (last != 0 && end - last > j->open_gap_ns)
		j->open_gap_ns = end - last;
}

static void
example(struct judge *j, const struct record *r)
{
	if (j->example == NULL)
		j->example = r;
}

static void
judge_lost(struct judge *j, const struct record_file *f, const struct record *r)
{
	bool failure = false;

	j->lost++;
	if (j->have_received && gset_has(&j->received, r->gtid)) {
		j->lost_received++;
		failure = true;
	}
	if (j->have_divergent) {
		if (gset_has(&j->divergent, r->gtid)) {
			j->lost_reported++;
		} else {
			j->lost_unreported++;
			failure = true;
		}
	}
	if (j->have_old && !rows_have(&j->old, f->writer, r->seq)) {
		j->lost_nowhere++;
		failure = true;
	}
	if (failure)
		example(j, r);
}

/*
 * Sent when the client of the new site had its first acknowledgement already:
 * whatever the clocks of the nodes say, two sites acknowledged at once.
 */
static void
judge_overlap(struct judge *j, const struct record *r)
{
	if (j->first_new_ns == 0 || r->sent_ns <= j->first_new_ns ||
	    at_site(j, r, j->new_site))
		return;
	if (at_site(j, r, j->old_site))
		j->overlapping++;
	else
		j->stale++;
	example(j, r);
}

static void
judge_record(
    struct judge *j, const struct record_file *f, const struct record *r)
{
	bool there = rows_have(&j->survivor, f->writer, r->seq);

	if (r->out == OUT_REFUSED && there) {
		j->refused_present++;
		example(j, r);
	}
	if (r->out != OUT_ACKED)
		return;
	if (!there)
		judge_lost(j, f, r);
	if (in_window(j, r))
		judge_overlap(j, r);
}

int
judge_run(struct judge *j)
{
	if (learn_servers(j) == -1)
		return -1;
	for (size_t f = 0; f < j->nfiles; f++) {
		for (size_t i = 0; i < j->files[f].n; i++)
			if (in_window(j, &j->files[f].recs[i]))
				count_attempt(j, &j->files[f].recs[i]);
		if (through_service(&j->files[f]))
			find_gap(j, &j->files[f]);
	}
	/* only now is the first acknowledgement of the new site known */
	for (size_t f = 0; f < j->nfiles; f++)
		for (size_t i = 0; i < j->files[f].n; i++)
			judge_record(j, &j->files[f], &j->files[f].recs[i]);
	return 0;
}

/* Without a failover only one site may have acknowledged anything. */
static bool
unexpected_site(const struct judge *j)
{
	const char *site = NULL;

	if (j->new_site != NULL)
		return false;
	for (size_t i = 0; i < j->nservers; i++) {
		if (j->servers[i].acked == 0)
			continue;
		if (site != NULL && strcmp(site, j->servers[i].site) != 0)
			return true;
		site = j->servers[i].site;
	}
	return false;
}

unsigned
judge_failures(const struct judge *j, const char **names, size_t room)
{
	const struct {
		bool failed;
		const char *name;
	} all[] = {
		{ j->overlapping > 0, "overlappingWrites" },
		{ j->stale > 0, "acknowledgedByThirdSite" },
		{ j->lost_received > 0, "lostThoughReceived" },
		{ j->lost_unreported > 0, "lostAndNotReported" },
		{ j->lost_nowhere > 0, "lostEverywhere" },
		{ j->refused_present > 0, "refusedButPresent" },
		{ j->unmapped > 0, "acknowledgedByUnknownServer" },
		{ j->new_site != NULL && j->first_new_ns == 0,
		    "noWriteAtNewSite" },
		{ unexpected_site(j), "acknowledgedByTwoSites" },
		{ j->acked == 0, "nothingAcknowledged" },
	};
	unsigned n = 0;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].failed) {
			if (names != NULL && n < room)
				names[n] = all[i].name;
			n++;
		}
	return n;
}
