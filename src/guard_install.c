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
 * -i: the init container puts this program where the MySQL container finds
 * it. Its own image may have no cp(1).
 */

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "guard.h"

static int
copy(int from, int to)
{
	char buf[65536];
	ssize_t n, w, off;

	while ((n = read(from, buf, sizeof(buf))) > 0) {
		for (off = 0; off < n; off += w)
			if ((w = write(to, buf + off, (size_t)(n - off))) == -1)
				return -1;
	}
	return n == -1 ? -1 : 0;
}

int
guard_install(const char *path)
{
	char tmp[4096];
	int from = -1, to = -1, rc = 1;

	if ((size_t)snprintf(tmp, sizeof(tmp), "%s.tmp", path) >= sizeof(tmp)) {
		errno = ENAMETOOLONG;
		log_warn("%s", path);
		return 1;
	}
	if ((from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC)) == -1 ||
	    (to = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755)) ==
		-1 ||
	    fchmod(to, 0755) == -1 || copy(from, to) == -1)
		goto out;
	/* Closed first: a program that is open for writing can't be run. */
	rc = close(to);
	to = -1;
	if (rc == 0)
		rc = rename(tmp, path);
	rc = rc == -1;
out:
	if (rc != 0)
		log_warn("%s", path);
	if (from != -1)
		close(from);
	if (to != -1)
		close(to);
	return rc;
}
