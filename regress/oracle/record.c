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
 * Files of records, see record.h.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "record.h"

#define MAGIC "#oracle1"

static int
write_line(int fd, const char *line, int len, size_t size)
{
	ssize_t n;

	if (len < 0 || (size_t)len >= size) {
		errno = ERANGE;
		return -1;
	}
	n = write(fd, line, (size_t)len);
	if (n != len) {
		if (n >= 0)
			errno = ENOSPC;
		return -1;
	}
	return 0;
}

int
record_create(const char *path, const char *writer, const char *site)
{
	char line[256];
	int fd, len;

	fd = open(
	    path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd == -1)
		return -1;
	len = snprintf(line, sizeof(line), MAGIC "\t%s\t%s\n", writer, site);
	if (write_line(fd, line, len, sizeof(line)) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

int
record_append(int fd, const struct record *r)
{
	char line[512];
	int len;

	len = snprintf(line, sizeof(line),
	    "%c\t%" PRIu64 "\t%" PRId64 "\t%" PRId64 "\t%u\t%s\t%s\n",
	    (char)r->out, r->seq, r->sent_ns, r->end_ns, r->err, r->server,
	    r->gtid);
	return write_line(fd, line, len, sizeof(line));
}

/* Cuts the next field off; NULL when there is none. */
static char *
field(char **rest)
{
	return strsep(rest, "\t");
}

static int
copy(char *dst, size_t size, const char *src)
{
	if (src == NULL || *src == '\0' || strlcpy(dst, src, size) >= size)
		return -1;
	return 0;
}

static int
number(const char *s, int64_t *v)
{
	const char *why;

	if (s == NULL)
		return -1;
	*v = strtonum(s, 0, INT64_MAX, &why);
	return why == NULL ? 0 : -1;
}

static int
parse_header(char *line, struct record_file *f)
{
	char *magic = field(&line);

	if (magic == NULL || strcmp(magic, MAGIC) != 0)
		return -1;
	if (copy(f->writer, sizeof(f->writer), field(&line)) == -1 ||
	    copy(f->site, sizeof(f->site), field(&line)) == -1)
		return -1;
	return line == NULL ? 0 : -1;
}

static int
parse_record(char *line, struct record *r)
{
	char *out = field(&line);
	int64_t seq, err;

	if (out == NULL || strlen(out) != 1 || strchr("AFUN", *out) == NULL)
		return -1;
	r->out = (enum outcome) * out;
	if (number(field(&line), &seq) == -1 ||
	    number(field(&line), &r->sent_ns) == -1 ||
	    number(field(&line), &r->end_ns) == -1 ||
	    number(field(&line), &err) == -1 || err > UINT16_MAX)
		return -1;
	r->seq = (uint64_t)seq;
	r->err = (unsigned)err;
	if (copy(r->server, sizeof(r->server), field(&line)) == -1 ||
	    copy(r->gtid, sizeof(r->gtid), field(&line)) == -1)
		return -1;
	return line == NULL && r->end_ns >= r->sent_ns ? 0 : -1;
}

static int
add(struct record_file *f, size_t *room, const struct record *r)
{
	struct record *p;

	if (f->n == *room) {
		*room = *room == 0 ? 1024 : *room * 2;
		p = reallocarray(f->recs, *room, sizeof(*p));
		if (p == NULL)
			return -1;
		f->recs = p;
	}
	f->recs[f->n++] = *r;
	return 0;
}

int
record_load(const char *path, struct record_file *f, unsigned *lineno)
{
	char *line = NULL;
	size_t size = 0, room = 0;
	struct record r;
	int ret = -1, bad;
	ssize_t len;
	FILE *fp;

	memset(f, 0, sizeof(*f));
	*lineno = 0;
	if ((fp = fopen(path, "re")) == NULL)
		return -1;
	while ((len = getline(&line, &size, fp)) > 0) {
		if (line[len - 1] != '\n')
			break;
		line[len - 1] = '\0';
		if (++*lineno == 1)
			bad = parse_header(line, f);
		else
			bad = parse_record(line, &r);
		if (bad == -1) {
			errno = EBADMSG;
			goto out;
		}
		if (*lineno > 1 && add(f, &room, &r) == -1)
			goto out;
	}
	if (*lineno == 0)
		errno = EBADMSG;
	else
		ret = 0;
out:
	free(line);
	fclose(fp);
	return ret;
}

void
record_free(struct record_file *f)
{
	free(f->recs);
	memset(f, 0, sizeof(*f));
}
