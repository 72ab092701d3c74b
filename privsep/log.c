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

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"
#include "log_json.h"

/* PIPE_BUF: up to here a write to a pipe is whole or not at all. */
#define LOG_LINE_MAX  4096
#define LOG_PAIRS_MAX 64   /* bits of a mask; more are not written */
#define LOG_MSG_MAX   1024 /* of the msg itself, escaped */
#define LOG_TAIL      64   /* droppedLines, truncated, brace, newline */
#define LOG_CONT_DATA 3600 /* escaped bytes of data in one record */
#define LOG_CONT_MAX  256  /* records of one value: 900 KiB */

static struct {
	char proc[32];
	enum log_level threshold;
	int fd;
	char context[sizeof(LOG_ENV) + 1 + LOG_CONTEXT_MAX]; /* LOG_ENV=… */
	bool torn;         /* the last write was cut */
	uint64_t dropped;  /* in all */
	uint64_t reported; /* of these, reported */
} lg = { .proc = "-", .threshold = LL_INFO, .fd = STDERR_FILENO };

static void inherit(void);

static const char *const level_names[] = {
#define X(id, name) [id] = name,
	LOG_LEVELS(X)
#undef X
};

void
log_init(const char *proc, enum log_level threshold, int fd)
{
	snprintf(lg.proc, sizeof(lg.proc), "%s", proc);
	lg.threshold = threshold;
	lg.fd = fd;
	(void)fd_nonblock(fd);
	inherit();
}

void
log_setlevel(enum log_level level)
{
	lg.threshold = level;
}

enum log_level
log_getlevel(void)
{
	return (lg.threshold);
}

int
log_fd(void)
{
	return (lg.fd);
}

uint64_t
log_dropped(void)
{
	return (lg.dropped);
}

static void
put_u64(struct lbuf *b, const char *key, uint64_t u)
{
	char num[24];

	lbuf_key(b, key);
	snprintf(num, sizeof(num), "%" PRIu64, u);
	lbuf_lit(b, num);
}

static void
put_str(struct lbuf *b, const char *key, const char *s)
{
	lbuf_key(b, key);
	lbuf_str(b, s, strlen(s));
}

static void
begin(struct lbuf *b, char *buf, enum log_level level, const char *msg)
{
	char now[WALLTIME_LEN];
	size_t len = strlen(msg);

	*b = (struct lbuf) { buf, 0, LOG_LINE_MAX - LOG_TAIL, false };
	/* A torn line is ended first, so that this one can be parsed. */
	if (lg.torn)
		lbuf_raw(b, "\n", 1);
	walltime_now(now);
	lbuf_lit(b, "{\"time\":\"");
	lbuf_lit(b, now);
	lbuf_raw(b, "\"", 1);
	put_str(b, "level", level_names[level]);
	lbuf_key(b, "msg");
	lbuf_str(b, msg, json_fit(msg, len, LOG_MSG_MAX));
	put_str(b, "proc", lg.proc);
	if (lg.context[0] != '\0')
		lbuf_lit(b, lg.context + sizeof(LOG_ENV));
}

/* Close the record and hand it to the reader, once. */
static void
finish(struct lbuf *b, bool truncated)
{
	uint64_t owed = lg.dropped - lg.reported;
	ssize_t n;

	b->over = false;
	b->max = LOG_LINE_MAX;
	if (truncated)
		lbuf_lit(b, ",\"truncated\":true");
	if (owed > 0)
		put_u64(b, "droppedLines", owed);
	lbuf_raw(b, "}\n", 2);
	while ((n = write(lg.fd, b->buf, b->len)) == -1 && errno == EINTR)
		;
	if (n == (ssize_t)b->len) {
		lg.torn = false;
		lg.reported += owed;
		return;
	}
	if (n > 0)
		lg.torn = true;
	lg.dropped++;
}

static void
put_digest(struct lbuf *b, const char *s, size_t len)
{
	char hex[24];

	lbuf_lit(b, "{\"digest\":\"");
	snprintf(hex, sizeof(hex), "%016" PRIx64, fnv1a(FNV_SEED, s, len));
	lbuf_lit(b, hex);
	lbuf_lit(b, "\",\"len\":");
	snprintf(hex, sizeof(hex), "%zu", len);
	lbuf_lit(b, hex);
	lbuf_raw(b, "}", 1);
}

static void
put_pair(struct lbuf *b, const struct kv *kv, bool digest)
{
	char num[40];

	lbuf_key(b, kv->key);
	switch (kv->type) {
	case KV_STR:
		if (kv->v.s == NULL)
			lbuf_lit(b, "null");
		else if (digest)
			put_digest(b, kv->v.s, strlen(kv->v.s));
		else
			lbuf_str(b, kv->v.s, strlen(kv->v.s));
		return;
	case KV_I64:
		snprintf(num, sizeof(num), "%" PRId64, kv->v.i);
		break;
	case KV_U64:
		snprintf(num, sizeof(num), "%" PRIu64, kv->v.u);
		break;
	case KV_BOOL:
		snprintf(num, sizeof(num), "%s", kv->v.i ? "true" : "false");
		break;
	case KV_MS:
		if (duration_format(kv->v.i, num, sizeof(num)) == -1)
			num[0] = '\0';
		lbuf_str(b, num, strlen(num));
		return;
	case KV_END:
		return;
	}
	lbuf_lit(b, num);
}

/* An upper bound of what put_pair() writes. */
static size_t
pair_size(const struct kv *kv, bool digest)
{
	size_t key = json_escaped_len(kv->key, strlen(kv->key)) + 4;

	if (kv->type != KV_STR || kv->v.s == NULL)
		return (key + 40);
	if (digest)
		return (key + 64);
	return (key + json_escaped_len(kv->v.s, strlen(kv->v.s)) + 2);
}

/*
 * Which strings must go as digests so that the record fits? The longest
 * first, so that as few as possible do. Returns a mask of pairs.
 */
static uint64_t
choose_digests(const struct kv *kv, size_t n, size_t room)
{
	size_t full[LOG_PAIRS_MAX], total = 0, i, big;
	uint64_t mask = 0;

	for (i = 0; i < n; i++)
		total += full[i] = pair_size(&kv[i], false);
	while (total > room) {
		big = n;
		for (i = 0; i < n; i++) {
			if (kv[i].type != KV_STR || mask & 1ULL << i ||
			    full[i] <= pair_size(&kv[i], true))
				continue;
			if (big == n || full[i] > full[big])
				big = i;
		}
		if (big == n)
			break;
		mask |= 1ULL << big;
		total -= full[big] - pair_size(&kv[big], true);
	}
	return (mask);
}

/* The value itself, in records that are joined by their digest. */
static void
continuation(enum log_level level, const char *s)
{
	char buf[LOG_LINE_MAX], hex[24];
	struct lbuf b;
	size_t len = strlen(s), off, n;
	unsigned part = 0, parts = 0;

	for (off = 0; off < len; parts++)
		off += json_fit(s + off, len - off, LOG_CONT_DATA);
	snprintf(hex, sizeof(hex), "%016" PRIx64, fnv1a(FNV_SEED, s, len));
	for (off = 0; off < len && part < LOG_CONT_MAX; off += n) {
		n = json_fit(s + off, len - off, LOG_CONT_DATA);
		begin(&b, buf, level, "cont");
		put_str(&b, "digest", hex);
		put_u64(&b, "part", ++part);
		put_u64(&b, "parts", parts);
		lbuf_key(&b, "data");
		lbuf_str(&b, s + off, n);
		finish(&b, part == LOG_CONT_MAX && off + n < len);
	}
}

/* As JSON, so that a worker can take it as it is. */
void
log_context(const struct kv *kv)
{
	struct lbuf b = { lg.context, 0, sizeof(lg.context) - 1, false };

	lbuf_lit(&b, LOG_ENV "=");
	for (; kv->type != KV_END; kv++)
		put_pair(&b, kv, false);
	lg.context[b.over ? 0 : b.len] = '\0';
}

char *
log_context_env(void)
{
	return (lg.context[0] != '\0' ? lg.context : NULL);
}

/* From the process that started this one. */
static void
inherit(void)
{
	const char *v = getenv(LOG_ENV);
	int n;

	if (v == NULL || v[0] != ',')
		return;
	n = snprintf(lg.context, sizeof(lg.context), LOG_ENV "=%s", v);
	if (n < 0 || (size_t)n >= sizeof(lg.context))
		lg.context[0] = '\0';
}

void
log_kv(enum log_level level, const char *msg, const struct kv *kv)
{
	char buf[LOG_LINE_MAX];
	struct lbuf b;
	uint64_t mask;
	size_t n, i, mark;
	int saved = errno;
	bool cut = false;

	if (level < lg.threshold || level >= LL_MAX)
		return;
	for (n = 0; n < LOG_PAIRS_MAX && kv[n].type != KV_END; n++)
		;
	begin(&b, buf, level, msg);
	mask = choose_digests(kv, n, b.max - b.len);
	for (i = 0; i < n && !cut; i++) {
		mark = b.len;
		put_pair(&b, &kv[i], mask >> i & 1);
		if (b.over) {
			b.len = mark;
			cut = true;
		}
	}
	finish(&b, cut || kv[n].type != KV_END);
	for (i = 0; i < n; i++)
		if (mask >> i & 1)
			continuation(level, kv[i].v.s);
	errno = saved;
}

/* The text, and for those that know errno what it says. */
#define TEXT(buf, error)                                     \
	do {                                                 \
		va_list ap;                                  \
                                                             \
		va_start(ap, fmt);                           \
		vtext((buf), sizeof(buf), (error), fmt, ap); \
		va_end(ap);                                  \
	} while (0)

static void
vtext(char *buf, size_t size, int error, const char *fmt, va_list ap)
{
	int n = vsnprintf(buf, size, fmt, ap);

	if (error != 0 && n >= 0 && (size_t)n < size)
		(void)snprintf(
		    buf + n, size - (size_t)n, ": %s", strerror(error));
}

void
log_warn(const char *fmt, ...)
{
	char text[LOG_MSG_MAX];
	int saved = errno;

	TEXT(text, 0);
	log_ev(LL_WARN, "warning", KVS("text", text),
	    KVS("error", strerror(saved)));
	errno = saved;
}

void
log_warnx(const char *fmt, ...)
{
	char text[LOG_MSG_MAX];

	TEXT(text, 0);
	log_ev(LL_WARN, "warning", KVS("text", text), KVS("error", NULL));
}

void
fatal(const char *fmt, ...)
{
	char text[LOG_MSG_MAX];
	int saved = errno;

	TEXT(text, saved);
	log_ev(LL_ERROR, "fatal error", KVS("error", text));
	_exit(1);
}

void
fatalx(const char *fmt, ...)
{
	char text[LOG_MSG_MAX];

	TEXT(text, 0);
	log_ev(LL_ERROR, "fatal error", KVS("error", text));
	_exit(1);
}
