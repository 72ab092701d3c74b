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
 * A path in words. Within a state sites and operators have no names; here they
 * keep those they had at first, through every change of places.
 */

#include <stdio.h>
#include <string.h>

#include "explore.h"

static const char *const words[] = {
#define X(id, text) text,
	X_KINDS(X)
#undef X
};

struct names {
	uint8_t site[X_SITES]; /* the name of who stands at that place */
	uint8_t op[X_OPS];
	unsigned nsites;
	const struct world *w;
};

static void
put_voters(const struct names *n, unsigned mask)
{
	unsigned i;

	fputs("operator", stdout);
	for (i = 0; i < n->nsites; i++)
		if ((mask & 1U << i) != 0)
			printf("+%c", 'A' + n->site[i]);
}

static void
put_party(const struct names *n, unsigned p)
{
	if (p < n->nsites)
		printf("site %c", 'A' + n->site[p]);
	else
		printf("operator %d", 1 + n->op[p - n->nsites]);
}

/*
 * %o operator a, %s site (b if an operator was named before), %v voters c, %e
 * epoch b, %w voter c, %p party a.
 */
static void
say(const struct names *n, struct action a)
{
	const char *p;
	unsigned site = a.a;

	if (a.kind == K_PROMISE || a.kind == K_REVOKE_GUARD ||
	    a.kind == K_REVOKE)
		site = a.b;
	for (p = words[a.kind]; *p != '\0'; p++) {
		if (*p != '%') {
			putchar(*p);
			continue;
		}
		switch (*++p) {
		case 'o':
			printf("operator %d", 1 + n->op[a.a]);
			site = a.b;
			break;
		case 's':
			printf("%c", 'A' + n->site[site]);
			break;
		case 'v':
			put_voters(n, a.c);
			break;
		case 'e':
			printf("%u of %c", a.b + 1U,
			    'A' + n->site[n->w->e[a.b].site]);
			break;
		case 'w':
			if (a.c == X_SITES)
				fputs("the operator", stdout);
			else
				printf("%c", 'A' + n->site[a.c]);
			break;
		case 'p':
			put_party(n, a.a);
			break;
		}
	}
	putchar('\n');
}

static void
say_site(const struct names *n, unsigned i)
{
	const struct world *w = n->w;
	const struct x_site *s = &w->site[i];
	int cur = world_epoch(w, s->g.cur.t.epoch);
	unsigned k;

	printf("      %c:%s%s%s%s%s%s", 'A' + n->site[i],
	    s->alive ? "" : " dead", s->writable ? " WRITES" : "",
	    s->hung ? " hung" : "", s->stopped ? " stopped" : "",
	    s->frozen ? " frozen" : "", s->g.held ? " holds" : "");
	if (cur != -1)
		printf(" epoch %d", cur + 1);
	if (s->g.held)
		printf(" until %+ld",
		    (long)(lease_guard_deadline(&s->g) - s->now) / X_TICK);
	if (lease_guard_kill_ms(&s->g) != LEASE_FOREVER)
		printf(" kill %+ld",
		    (long)(lease_guard_kill_ms(&s->g) - s->now) / X_TICK);
	if (s->g.revoked != 0)
		printf(" revoked %lu", (unsigned long)s->g.revoked / 10);
	if (s->v.promised != 0)
		printf(" promised %lu", (unsigned long)s->v.promised / 10);
	for (k = 0; k < X_GRANTS; k++)
		if (w->grant[k].on && w->grant[k].site == i)
			fputs(" (a grant comes)", stdout);
	putchar('\n');
}

static void
say_state(const struct names *n)
{
	const struct world *w = n->w;
	const struct x_op *p;
	unsigned i, k;

	for (i = 0; i < w->nsites; i++)
		say_site(n, i);
	for (k = 0; k < w->ne; k++) {
		printf("      epoch %u: %c%s%s, voters operator", k + 1,
		    'A' + n->site[w->e[k].site], w->e[k].live ? "" : " ended",
		    w->e[k].unended ? " unended" : "");
		for (i = 0; i < w->nsites; i++)
			if (w->e[k].vot[i] != VOT_NONE)
				printf("+%c%s", 'A' + n->site[i],
				    w->e[k].vot[i] == VOT_LOST ? "(lost)" : "");
		putchar('\n');
	}
	for (i = 0; i < X_OPS; i++) {
		p = &w->op[i];
		if (!p->leads)
			continue;
		printf("      operator %d leads until %+ld, mine %d",
		    1 + n->op[i], (long)(p->until - p->now) / X_TICK,
		    p->mine + 1);
		for (k = 0; k < w->ne; k++)
			if (p->auth[k].revoked)
				printf(", revokes %u (promised %x)", k + 1,
				    (unsigned)p->auth[k].promised);
		putchar('\n');
	}
}

static void
follow(struct names *n, const uint8_t *perm, bool swapped)
{
	struct names was = *n;
	unsigned i;

	for (i = 0; i < n->nsites; i++)
		n->site[i] = was.site[perm[i]];
	for (i = 0; i < X_OPS; i++)
		n->op[i] = was.op[i ^ (unsigned)swapped];
}

void
text_path(const struct action *a, unsigned n, unsigned nsites, unsigned faults,
    bool states)
{
	struct names names = { { 0, 1, 2 }, { 0, 1 }, nsites, NULL };
	struct world w;
	uint8_t buf[X_PACKED], perm[X_SITES];
	bool swapped;
	unsigned i;

	world_init(&w, nsites, faults);
	names.w = &w;
	for (i = 0; i <= n; i++) {
		(void)world_pack(&w, buf, perm, &swapped);
		follow(&names, perm, swapped);
		world_unpack(&w, buf, nsites);
		if (states || i == n)
			say_state(&names);
		if (i == n)
			break;
		printf("%4u  ", i + 1);
		say(&names, a[i]);
		(void)keep_long(&w, a[i].waits);
		world_apply(&w, a[i]);
	}
}
