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
 * Files that the parent reads: token, CA, namespace. Nothing is parsed here;
 * the bytes go to the worker that needs them.
 */

#include <sys/stat.h>
#include <sys/types.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "parent.h"

ssize_t
file_read(const char *dir, const char *name, void *buf, size_t size)
{
	char path[HOST_LEN * 2];
	size_t have = 0;
	ssize_t n;
	int fd;

	n = snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (n < 0 || (size_t)n >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return -1;
	while ((n = read(fd, (char *)buf + have, size - have)) > 0)
		have += (size_t)n;
	close(fd);
	if (n == -1)
		return -1;
	if (have == size) {
		errno = EFBIG;
		return -1;
	}
	return (ssize_t)have;
}

/* The length without white space at the end. */
static ssize_t
chomp(const char *s, ssize_t n)
{
	while (n > 0 && isspace((unsigned char)s[n - 1]))
		n--;
	return n;
}

int
file_ca(const struct conf *c, struct m_kube_conf *m)
{
	ssize_t n;

	n = file_read(c->sa_dir, "ca.crt", m->ca.data, sizeof(m->ca.data));
	if (n == -1)
		return -1;
	m->ca.len = (uint32_t)n;
	return 0;
}

int
file_token(const struct conf *c, struct secret *s)
{
	char buf[SECRET_MAX];
	ssize_t n;
	int r;

	n = file_read(c->sa_dir, "token", buf, sizeof(buf));
	if (n == -1)
		return -1;
	n = chomp(buf, n);
	r = secret_set(s, buf, (size_t)n);
	explicit_bzero(buf, sizeof(buf));
	return r;
}

int
file_namespace(struct conf *c)
{
	ssize_t n;

	if (c->namespace[0] != '\0')
		return 0;
	n = file_read(
	    c->sa_dir, "namespace", c->namespace, sizeof(c->namespace));
	if (n == -1)
		return -1;
	c->namespace[chomp(c->namespace, n)] = '\0';
	return 0;
}
