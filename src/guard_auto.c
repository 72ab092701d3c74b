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
 * mysqld-auto.cnf: what SET PERSIST wrote. Its read_only and super_read_only
 * beat the command line, from the first connection that the server takes: so
 * they are taken out before each start. Everything else stays.
 *
 * Only what the file says is judged, as mysqld's own reader would: names
 * regardless of case and of escapes. The result is a compact form of the same
 * JSON, which mysqld takes.
 */

#include <sys/stat.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guard.h"

#define AUTO_MAX   (1024 * 1024)
#define AUTO_DEPTH 32
#define AUTO_TMP   ".bloodraven-auto.tmp"

/* The result is written over the text: it is never longer than what was read. */
struct scan {
	char *p;
	size_t len, in, out;
	unsigned depth, removed;
	bool off; /* one that was removed was not plainly ON */
};

static bool value(struct scan *);

static void
space(struct scan *s)
{
	while (s->in < s->len && strchr(" \t\r\n", s->p[s->in]) != NULL &&
	    s->p[s->in] != '\0')
		s->in++;
}

/* The next byte, if it is that one. */
static bool
take(struct scan *s, char c)
{
	space(s);
	if (s->in >= s->len || s->p[s->in] != c)
		return false;
	s->p[s->out++] = s->p[s->in++];
	return true;
}

/* The same, but it is not kept. */
static bool
skip(struct scan *s, char c)
{
	space(s);
	if (s->in >= s->len || s->p[s->in] != c)
		return false;
	s->in++;
	return true;
}

/* As it stands, quotes and escapes with it. */
static bool
string(struct scan *s)
{
	bool esc = false;
	char c;

	if (!take(s, '"'))
		return false;
	while (s->in < s->len) {
		c = s->p[s->in++];
		if ((unsigned char)c < 0x20)
			return false;
		s->p[s->out++] = c;
		if (c == '"' && !esc)
			return true;
		esc = c == '\\' && !esc;
	}
	return false;
}

/* One character of a string, escapes undone; 0: none that is in a name. */
static int
letter(const char **p, const char *end)
{
	char hex[5] = "", *stop;
	long u;
	int c = (unsigned char)*(*p)++;

	if (c == '\\') {
		c = *p < end ? (unsigned char)*(*p)++ : 0;
		if (c != 'u' || end - *p < 4)
			return 0;
		memcpy(hex, *p, 4);
		*p += 4;
		u = strtol(hex, &stop, 16);
		c = *stop == '\0' && u > 0 && u < 0x80 ? (int)u : 0;
	}
	if (c >= 'A' && c <= 'Z')
		c += 'a' - 'A';
	return c;
}

/* Whether the string from `at` to `to` says that. */
static bool
says(const struct scan *s, size_t at, size_t to, const char *what)
{
	const char *p = s->p + at + 1, *end = s->p + to - 1;

	while (p < end)
		if (*what == '\0' || letter(&p, end) != *what++)
			return false;
	return *what == '\0';
}

static bool
is_flag(const struct scan *s, size_t at, size_t to)
{
	return says(s, at, to, "read_only") ||
	    says(s, at, to, "super_read_only");
}

/* Whether the object at `at`, just taken, is one of a variable that is ON. */
static bool
is_on(const struct scan *s, size_t at)
{
	static const char on[] = "{\"Value\":\"ON\"";

	return s->out - at > sizeof(on) &&
	    memcmp(s->p + at, on, sizeof(on) - 1) == 0;
}

static bool
members(struct scan *s)
{
	size_t mark, key, val;
	bool some = false;

	do {
		mark = s->out;
		if (some)
			s->p[s->out++] = ',';
		key = s->out;
		if (!string(s) || !take(s, ':'))
			return false;
		val = s->out;
		if (!value(s))
			return false;
		/* The name ends before the colon. */
		if (!is_flag(s, key, val - 1)) {
			some = true;
			continue;
		}
		s->removed++;
		s->off |= !is_on(s, val);
		s->out = mark;
	} while (skip(s, ','));
	return true;
}

static bool
elements(struct scan *s)
{
	do {
		if (!value(s))
			return false;
	} while (take(s, ','));
	return true;
}

/* Numbers and words: whether they are some is mysqld's to say. */
static bool
word(struct scan *s)
{
	size_t from = s->in;

	while (s->in < s->len &&
	    (isalnum((unsigned char)s->p[s->in]) || s->p[s->in] == '-' ||
		s->p[s->in] == '+' || s->p[s->in] == '.'))
		s->p[s->out++] = s->p[s->in++];
	return s->in > from;
}

static bool
value(struct scan *s)
{
	bool ok;

	space(s);
	if (s->in >= s->len || s->depth >= AUTO_DEPTH)
		return false;
	s->depth++;
	if (take(s, '{'))
		ok = take(s, '}') || (members(s) && take(s, '}'));
	else if (take(s, '['))
		ok = take(s, ']') || (elements(s) && take(s, ']'));
	else
		ok = s->p[s->in] == '"' ? string(s) : word(s);
	s->depth--;
	return ok;
}

int
guard_auto_strip(char *text, size_t *len, bool *off)
{
	struct scan s = { .p = text, .len = *len };

	if (!value(&s))
		return -1;
	space(&s);
	if (s.in != s.len)
		return -1;
	*len = s.out;
	*off = s.off;
	return (int)s.removed;
}

/* Whether either may be named at all: most files are let be. */
bool
guard_auto_named(const char *text, size_t len)
{
	static const char name[] = "read_only";

	for (size_t i = 0; i + sizeof(name) - 1 <= len; i++)
		if (strncasecmp(text + i, name, sizeof(name) - 1) == 0)
			return true;
	/* Written with escapes. */
	return memmem(text, len, "\\u", 2) != NULL;
}

/* ---------------------------------------------------------------- files --- */

/* All of it, to be freed. NULL with errno: ENOENT, or no good. */
static char *
slurp(int dir, const char *name, size_t *len, mode_t *mode)
{
	struct stat st;
	char *buf = NULL;
	ssize_t n;
	int fd, saved;

	fd = openat(dir, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd == -1)
		return NULL;
	if (fstat(fd, &st) == -1)
		goto out;
	errno = EFBIG;
	if (!S_ISREG(st.st_mode) || st.st_size > AUTO_MAX)
		goto out;
	/* One more, to see that it has not grown. */
	*mode = st.st_mode & 07777;
	if ((buf = malloc((size_t)st.st_size + 1)) == NULL)
		goto out;
	n = read(fd, buf, (size_t)st.st_size + 1);
	if (n != st.st_size) {
		if (n != -1)
			errno = EIO;
		free(buf);
		buf = NULL;
	} else
		*len = (size_t)n;
out:
	saved = errno;
	close(fd);
	errno = saved;
	return buf;
}

/* Another file in its place, whole or not at all, also after a power cut. */
static int
replace(int dir, const char *name, const char *text, size_t len, mode_t mode)
{
	int fd, saved;

	fd = openat(dir, AUTO_TMP,
	    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1)
		return -1;
	errno = ENOSPC;
	if (write(fd, text, len) == (ssize_t)len && fchmod(fd, mode) == 0 &&
	    fsync(fd) == 0 && renameat(dir, AUTO_TMP, dir, name) == 0 &&
	    fsync(dir) == 0) {
		close(fd);
		return 0;
	}
	saved = errno;
	close(fd);
	(void)unlinkat(dir, AUTO_TMP, 0);
	errno = saved;
	return -1;
}

/* -1: mysqld must not be started with it. */
static int
clean(int dir, const char *name)
{
	size_t len;
	mode_t mode;
	bool off = true;
	int n, rc = -1;
	char *text = slurp(dir, name, &len, &mode);

	if (text == NULL && errno == ENOENT)
		return 0;
	if (text == NULL) {
		log_ev(LL_ERROR, "persistedUnreadable", KVS("file", name),
		    KVS("error", strerror(errno)));
		return -1;
	}
	if (!guard_auto_named(text, len) ||
	    (n = guard_auto_strip(text, &len, &off)) == 0)
		rc = 0;
	else if (n == -1)
		log_ev(LL_ERROR, "persistedUnreadable", KVS("file", name),
		    KVS("error", "not JSON, and it may name read_only"));
	else if (replace(dir, name, text, len, mode) == 0) {
		rc = 0;
		log_ev(LL_WARN, "persistedRemoved", KVS("file", name),
		    KVI("entries", n), KVB("wasOff", off));
	} else {
		rc = off ? -1 : 0;
		log_ev(off ? LL_ERROR : LL_WARN, "persistedNotRemoved",
		    KVS("file", name), KVB("isOff", off),
		    KVS("error", strerror(errno)));
	}
	free(text);
	return rc;
}

int
guard_auto_clean(const char *datadir)
{
	int dir, rc = -1;

	dir = open(datadir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir == -1) {
		log_warn("%s", datadir);
		return -1;
	}
	/* mysqld reads either: a copy is made before the file is changed. */
	if (clean(dir, GUARD_AUTO) == 0 &&
	    clean(dir, GUARD_AUTO ".backup") == 0)
		rc = 0;
	close(dir);
	return rc;
}
