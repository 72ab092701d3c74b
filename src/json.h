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
 * Writing JSON into memory with a bound. Errors are sticky: write
 * everything, then look at the result of json_finish() once. Commas and
 * nesting are kept by the writer.
 */

#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH 16 /* deeper than any object of ours */

struct json {
	char *buf;
	size_t len;
	size_t size;  /* allocated, or the caller's */
	size_t limit; /* len never goes beyond */
	bool fixed;   /* buf is the caller's */
	int error;    /* first errno, 0: none */
	unsigned depth;
	char open[JSON_DEPTH];     /* '{' or '[' */
	bool some[JSON_DEPTH + 1]; /* a comma goes first */
	bool keyed;                /* a key waits for its value */
};

/* Allocates as it grows, never more than limit bytes. */
void json_init(struct json *, size_t limit);
/* Writes into the caller's buffer; allocates nothing. */
void json_init_fixed(struct json *, char *buf, size_t size);
/* Free what json_init's writer holds; harmless after json_finish. */
void json_free(struct json *);

/*
 * The text, NUL-terminated, and its length (either may be NULL). An
 * allocated buffer becomes the caller's, to be freed by free(3). Returns 0,
 * or -1 with ENOBUFS (beyond the limit), ENOMEM, or EINVAL (keys, values and
 * brackets do not match); the buffer is freed then.
 */
int json_finish(struct json *, char **text, size_t *len);

void json_obj(struct json *);
void json_obj_end(struct json *);
void json_arr(struct json *);
void json_arr_end(struct json *);
void json_key(struct json *, const char *);
/* NULL is written as null; each byte that is not UTF-8 as U+FFFD. */
void json_str(struct json *, const char *);
void json_strn(struct json *, const char *, size_t);
void json_i64(struct json *, int64_t);
void json_u64(struct json *, uint64_t);
void json_bool(struct json *, bool);
void json_null(struct json *);
/* Unix milliseconds as RFC 3339 in UTC. */
void json_time_ms(struct json *, int64_t);
/* The inside of an object that a writer wrote before. */
void json_raw_pairs(struct json *, const char *, size_t);

/* A key and its value. */
void json_kstr(struct json *, const char *key, const char *);
void json_ki64(struct json *, const char *key, int64_t);
void json_kbool(struct json *, const char *key, bool);
void json_ktime_ms(struct json *, const char *key, int64_t);

/* "2026-01-02T03:04:05.678Z"; trailing zeros of the fraction are cut. */
#define RFC3339_LEN 32
/*
 * Unix milliseconds to RFC 3339 in UTC, by arithmetic: gmtime_r(3) may read
 * the zone's file, which no worker can open. Returns -1 with ERANGE outside
 * of the years 1 to 9999.
 */
int rfc3339_ms(int64_t ms, char[static RFC3339_LEN]);

#endif /* JSON_H */
