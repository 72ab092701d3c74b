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
 * sim_mutants [--seeds A-B] [--scenario-seeds N] [--guard NAME]... [--jobs N]
 *
 * The simulator with guards of the core switched off, first some that stand
 * behind each other together, then each alone. One that nothing here notices
 * must be among those below, which say what else is in the way; test_guards
 * holds each guard by itself. As many at once as there are processors.
 */

#include <sys/mman.h>
#include <sys/wait.h>

#include <err.h>
#include <getopt.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim.h"

uint64_t fsm_mutants[2];

/* Killed by together(), with those that stand beside it. */
#define TOGETHER "others of the same proof: killed together"
/* Nothing that is known: the plans just don't come there. */
#define UNIT     "no plan comes to where it decides, test_guards does"

static const struct {
	enum fsm_guard_id guard;
	const char *why;
} explained[] = {
	{ G_RECORD_FRESH,
	    "a write on an old record is refused by its version" },
	{ G_FENCE_OLD_GRANTS, TOGETHER },
	{ G_WORD_CONTAINER, TOGETHER },
	{ G_ASSERT_CURRENT, "who asserts here names what the record says" },
	{ G_WORD_SEEN, TOGETHER },
	{ G_SUCCESSOR_LATER, UNIT },
	{ G_SUCCESSOR_GUARD, UNIT },
	{ G_INHERIT_FENCED, UNIT },
	{ G_GRANT_PROCESS, TOGETHER },
	{ G_NO_OTHER_WRITER, UNIT },
	{ G_REGRANT_SELF, TOGETHER },
	{ G_FRESH, UNIT },
	{ G_ADOPT_ALL, UNIT },
	{ G_CLONE_DONOR,
	    "the recipient must answer, be empty and be let in by the donor" },
	{ G_POD_DELETE_LOST, "a guard that answers is told instead" },
	{ G_POD_RELEASE, "the lease proves what the lost word would have" },
	{ G_UNKNOWN_SETS, "sets are always read here" },
	{ G_GUARD_NEEDED, "without a guard there are no terms to be minted" },
	{ G_GUARD_MATCH, "a guard takes terms of its own server only" },
	{ G_GUARD_WORD, UNIT },
	{ G_SUPERSEDED, "G_SUPERSEDED_LISTED" },
	{ G_LEASE_GRANTS, "the limit of a grant on the server's clock" },
	{ G_VOTER_ONCE, "no two sidecars share a memory here" },
	{ G_EPOCH_ABOVE, "the explorer: counter-backwards" },
	{ G_KEEP_UNENDED, "the explorer: successor-drops-old" },
	{ G_YES_ACTIVE, UNIT },
	{ G_YES_ENDED, "what is revoked is not renewed (lease_auth.c)" },
	{ G_MINT_LAST, "the explorer: grants-while-minting" },
	{ G_LOST_STRANGERS, UNIT },
	{ G_TERM_WRITTEN, "the explorer: renews-before-writing" },
	{ G_QUIET_OWN, UNIT },
	{ G_PROMISE_SITE, "no sidecar speaks for another one's memory here" },
	{ G_PROMISE_LOST, UNIT },
	{ G_RECORD_WHOLE, UNIT },
	{ G_GATED_OPEN, UNIT },
	{ G_GUARD_READ, "the explorer: word-before-late-grant" },
	{ G_GRANT_REPORT, UNIT },
	{ G_ADOPT_LEASES, UNIT },
	{ G_ADOPT_READERS, UNIT },
	{ G_ADOPT_RENEWED, UNIT },
	{ G_ADOPT_GRANTS, UNIT },
	{ G_UPDATE_VOTERS, "G_UPDATE_ONE: the others are well" },
};

static const char *
why_alive(unsigned g)
{
	unsigned i;

	for (i = 0; i < sizeof(explained) / sizeof(explained[0]); i++)
		if (explained[i].guard == g)
			return explained[i].why;
	return NULL;
}

static bool
killed(const struct args *a)
{
	return campaign(a->from, a->to, NULL, false, true) > 0;
}

/* Those that stand behind each other: alone each may stay alive. */
static const struct {
	const char *name;
	enum fsm_guard_id guard[3];
} sets[] = {
	{ "old words count", { G_WORD_CONTAINER, G_WORD_START, G_WORD_SEEN } },
	{ "grant before the record",
	    { G_MINT_FIRST, G_GRANT_PROCESS, G_GRANT_PROCESS } },
	{ "lost volume", { G_REGRANT_SELF, G_REGRANT_DATA, G_REGRANT_DATA } },
	{ "any fence proves",
	    { G_FENCE_PROCESS, G_FENCE_OWN_GRANTS, G_FENCE_OLD_GRANTS } },
};
#define NSETS (sizeof(sets) / sizeof(sets[0]))

static bool
together(unsigned i, const struct args *a)
{
	unsigned k;
	bool dead;

	memset(fsm_mutants, 0, sizeof(fsm_mutants));
	for (k = 0; k < 3; k++)
		fsm_mutants[sets[i].guard[k] / 64] |= 1ULL
		    << sets[i].guard[k] % 64;
	dead = killed(a);
	printf("%s - sim: mutants together, %s: %s\n", dead ? "ok" : "not ok",
	    sets[i].name, dead ? "killed" : "ALIVE");
	return dead;
}

static bool
alone(unsigned g, const struct args *a)
{
	const char *why = why_alive(g);
	bool dead;

	memset(fsm_mutants, 0, sizeof(fsm_mutants));
	fsm_mutants[g / 64] = 1ULL << g % 64;
	dead = killed(a);
	printf("%s - sim: mutant %s: %s%s%s\n",
	    dead || why != NULL ? "ok" : "not ok", fsm_guard_name(g),
	    dead ? "killed" : "ALIVE", why != NULL ? ", behind it: " : "",
	    why != NULL ? why : "");
	return dead || why != NULL;
}

/* One job: the next that is left, until none is. What each says is whole. */
static int
work(const struct args *a, atomic_uint *next)
{
	unsigned i;
	int bad = 0;

	while ((i = atomic_fetch_add(next, 1)) < NSETS + G_MAX) {
		if (i < NSETS)
			bad += !a->some && !together(i, a);
		else if (!a->some || a->guard[i - NSETS])
			bad += !alone(i - NSETS, a);
		fflush(stdout);
	}
	return bad > 0;
}

static const struct option opts[] = { { "seeds", required_argument, NULL, 's' },
	{ "scenario-seeds", required_argument, NULL, 'k' },
	{ "guard", required_argument, NULL, 'g' },
	{ "jobs", required_argument, NULL, 'j' }, { NULL, 0, NULL, 0 } };

int
main(int argc, char **argv)
{
	atomic_uint *next;
	struct args a;
	unsigned i;
	int status, bad = 0;

	if (!args_parse(argc, argv, opts, &a))
		return 2;
	next = mmap(NULL, sizeof(*next), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (next == MAP_FAILED)
		err(1, "mmap");
	atomic_init(next, 0);
	for (i = 0; i < a.jobs; i++)
		switch (fork()) {
		case -1:
			err(1, "fork");
		case 0:
			exit(work(&a, next));
		default:
			break;
		}
	while (wait(&status) != -1)
		bad |= status != 0;
	return bad;
}
