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
 * The guard's pure parts, for regress/guard/test_guard.c.
 */

#include <sys/wait.h>

#include <errno.h>
#include <string.h>

#include "guard.h"

/* Options on which mysqld prints something and ends. */
static bool
is_help(const char *arg)
{
	static const char *const help[] = { "-?", "--help", "--print-defaults",
		"-V", "--version" };

	for (size_t i = 0; i < PS_NITEMS(help); i++)
		if (strcmp(arg, help[i]) == 0)
			return true;
	return false;
}

enum guard_cmd
guard_cmd_of(char *const argv[])
{
	/* An option alone: the entrypoint puts mysqld before it. */
	if (argv[0] == NULL ||
	    (argv[0][0] != '-' && strcmp(argv[0], "mysqld") != 0))
		return GC_OTHER;
	for (unsigned i = 0; argv[i] != NULL; i++)
		if (is_help(argv[i]))
			return GC_OTHER;
	return GC_SERVER;
}

int
guard_args(const char *out[GUARD_ARGS_MAX], const char *entrypoint,
    char *const argv[], bool read_only)
{
	static const char *const last[] = { "--socket=" GUARD_MYSQLD_SOCK,
		"--read-only=ON", "--super-read-only=ON" };
	unsigned n = 0, more = 0;

	if (guard_cmd_of(argv) == GC_SERVER)
		more = read_only ? 3 : 1;
	out[n++] = entrypoint;
	for (; *argv != NULL; argv++) {
		if (n + more + 1 >= GUARD_ARGS_MAX) {
			errno = E2BIG;
			return -1;
		}
		out[n++] = *argv;
	}
	/* mysqld takes the last of two. */
	for (unsigned i = 0; i < more; i++)
		out[n++] = last[i];
	out[n] = NULL;
	return 0;
}

bool
guard_ends_add(struct guard_ends *e, int code, int64_t now)
{
	/* It was asked for. */
	if (code == GUARD_EXIT_AGAIN)
		return false;
	if (e->n == GUARD_ENDS)
		memmove(e->ms, e->ms + 1, sizeof(e->ms) - sizeof(e->ms[0]));
	else
		e->n++;
	e->ms[e->n - 1] = now;
	return e->n == GUARD_ENDS && now - e->ms[0] < GUARD_ENDS_MS;
}

int
guard_exit_code(int wstatus)
{
	return WIFSIGNALED(wstatus) ? 128 + WTERMSIG(wstatus) :
				      WEXITSTATUS(wstatus);
}

void
guard_nonce_add(
    struct guard_nonces *t, uint64_t nonce, uint64_t epoch, int64_t sent_ms)
{
	t->q[t->next].nonce = nonce;
	t->q[t->next].epoch = epoch;
	t->q[t->next].sent_ms = sent_ms;
	t->next = (t->next + 1) % GUARD_NONCES;
}

int64_t
guard_nonce_find(const struct guard_nonces *t, uint64_t nonce, uint64_t epoch)
{
	for (unsigned i = 0; i < GUARD_NONCES; i++)
		if (t->q[i].epoch != 0 && t->q[i].nonce == nonce &&
		    t->q[i].epoch == epoch)
			return t->q[i].sent_ms;
	return LEASE_NEVER;
}
