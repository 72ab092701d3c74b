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
 * The client side of MySQL's protocol (dev.mysql.com, "MySQL Server
 * Internals: Client/Server Protocol"), as much of it as a local session
 * needs. Nothing that the server says is trusted: a length is compared with
 * what is there before it is used, and what is not expected closes.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "myc_int.h"

#define HEADER            4 /* of a packet: length 3, number 1 */
#define NONCE_LEN         20
#define HASH_LEN          32
#define PLUGIN            "caching_sha2_password"
#define CHARSET_UTF8MB4   255

/* Capabilities. Without DEPRECATE_EOF: rows end with EOF, as ever. */
#define CAP_LONG_PASSWORD 0x00000001U
#define CAP_PROTOCOL_41   0x00000200U
#define CAP_SECURE        0x00008000U
#define CAP_PLUGIN_AUTH   0x00080000U
#define CAPS                                                                 \
	(CAP_LONG_PASSWORD | CAP_PROTOCOL_41 | CAP_SECURE | CAP_PLUGIN_AUTH)

#define COM_QUERY        3
#define FULL_AUTH_DONE   3 /* fast_auth_success */
#define FULL_AUTH_WANTED 4 /* perform_full_authentication */

/* A cursor; bad: something was read that is not there. */
struct cur {
	const uint8_t *p;
	size_t left;
	bool bad;
};

static const uint8_t *
take(struct cur *c, size_t n)
{
	const uint8_t *p = c->p;

	if (c->bad || n > c->left) {
		c->bad = true;
		return NULL;
	}
	c->p += n;
	c->left -= n;
	return p;
}

static uint32_t
take_int(struct cur *c, unsigned bytes)
{
	const uint8_t *p = take(c, bytes);
	uint32_t v = 0;

	for (unsigned i = 0; p != NULL && i < bytes; i++)
		v |= (uint32_t)p[i] << (8 * i);
	return v;
}

/* A string that ends with NUL; without it. */
static const char *
take_cstr(struct cur *c)
{
	const uint8_t *nul, *p = c->p;

	if (c->bad || (nul = memchr(c->p, '\0', c->left)) == NULL) {
		c->bad = true;
		return NULL;
	}
	(void)take(c, (size_t)(nul - p) + 1);
	return (const char *)p;
}

/* Length-encoded; what does not fit 32 bits fits no buffer either. */
static uint32_t
take_len(struct cur *c)
{
	uint32_t v = take_int(c, 1), hi;

	if (v < 251)
		return v;
	if (v == 252)
		return take_int(c, 2);
	if (v == 253)
		return take_int(c, 3);
	if (v == 254) {
		v = take_int(c, 4);
		hi = take_int(c, 4);
		if (hi == 0)
			return v;
	}
	c->bad = true;
	return 0;
}

/* ------------------------------------------------------------- sending --- */

static void
put(struct myc *c, const void *data, size_t len)
{
	/* Callers have compared. */
	memcpy(c->out + c->out_len, data, len);
	c->out_len += len;
}

static void
put_int(struct myc *c, uint32_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		c->out[c->out_len++] = (uint8_t)(v >> (8 * i));
}

static size_t
out_room(const struct myc *c)
{
	return sizeof(c->out) - c->out_len;
}

static void
packet_begin(struct myc *c)
{
	c->out_len = HEADER;
	c->out_off = 0;
}

static void
packet_end(struct myc *c)
{
	size_t len = c->out_len - HEADER;

	for (unsigned i = 0; i < 3; i++)
		c->out[i] = (uint8_t)(len >> (8 * i));
	c->out[3] = c->seq++;
}

/*
 * A statement, whose length the caller has compared. It is the only command:
 * a session that is over is closed.
 */
void
myc_put_query(struct myc *c, const char *sql, size_t len)
{
	packet_begin(c);
	put_int(c, COM_QUERY, 1);
	put(c, sql, len);
	packet_end(c);
}

/* -------------------------------------------------------------- ending --- */

static enum myc_event
malformed(struct myc *c)
{
	errno = EBADMSG;
	return myc_lost(c, "not MySQL's protocol");
}

/* ERR: 0xff, code 2, "#" and SQLSTATE 5 (not in a greeting), text. */
static bool
take_err(struct myc *c, struct cur *k)
{
	size_t n;

	(void)take(k, 1);
	c->err = take_int(k, 2);
	if (k->bad || c->err == 0)
		return false;
	if (k->left >= 6 && k->p[0] == '#')
		(void)take(k, 6);
	n = k->left < MYC_ERR_LEN ? k->left : MYC_ERR_LEN;
	memcpy(c->errtext, k->p, n);
	c->errtext[n] = '\0';
	return true;
}

/* -------------------------------------------------------------- log-in --- */

/* SHA256(pw) XOR SHA256(SHA256(SHA256(pw)) nonce). */
static void
scramble(const struct secret *pw, const uint8_t nonce[NONCE_LEN],
    uint8_t out[HASH_LEN])
{
	uint8_t one[HASH_LEN], buf[HASH_LEN + NONCE_LEN], two[HASH_LEN];

	crypto_hash_sha256(one, pw->data, pw->len);
	crypto_hash_sha256(buf, one, sizeof(one));
	memcpy(buf + HASH_LEN, nonce, NONCE_LEN);
	crypto_hash_sha256(two, buf, sizeof(buf));
	for (unsigned i = 0; i < HASH_LEN; i++)
		out[i] = one[i] ^ two[i];
	explicit_bzero(one, sizeof(one));
	explicit_bzero(buf, sizeof(buf));
	explicit_bzero(two, sizeof(two));
}

static void
put_proof(struct myc *c)
{
	uint8_t h[HASH_LEN];

	scramble(c->password, c->scramble, h);
	put(c, h, sizeof(h));
	explicit_bzero(h, sizeof(h));
}

static enum myc_event
send_response(struct myc *c)
{
	static const uint8_t zeros[23];
	size_t user = strlen(c->user);

	packet_begin(c);
	if (user + 128 > out_room(c)) {
		errno = ERANGE;
		return myc_lost(c, "user name too long");
	}
	put_int(c, CAPS, 4);
	put_int(c, MYC_QUERY_MAX, 4);
	put_int(c, CHARSET_UTF8MB4, 1);
	put(c, zeros, sizeof(zeros));
	put(c, c->user, user + 1);
	if (c->password->len == 0)
		put_int(c, 0, 1);
	else {
		put_int(c, HASH_LEN, 1);
		put_proof(c);
	}
	put(c, PLUGIN, sizeof(PLUGIN));
	packet_end(c);
	c->state = MYC_AUTH;
	return MYC_MORE;
}

static enum myc_event
on_greeting(struct myc *c, struct cur *k)
{
	const uint8_t *a, *b;
	uint32_t lo, hi, data_len;

	if (k->left > 0 && k->p[0] == 0xff)
		return take_err(c, k) ? myc_lost(c, NULL) : malformed(c);
	if (take_int(k, 1) != 10)
		return malformed(c);
	(void)take_cstr(k); /* its version */
	(void)take(k, 4);   /* thread id */
	a = take(k, 8);
	(void)take(k, 1);
	lo = take_int(k, 2);
	(void)take(k, 3); /* character set, status */
	hi = take_int(k, 2);
	data_len = take_int(k, 1);
	(void)take(k, 10);
	b = take(k, NONCE_LEN - 8);
	if (k->bad || data_len < NONCE_LEN + 1 ||
	    ((lo | hi << 16) & CAPS) != CAPS)
		return malformed(c);
	memcpy(c->scramble, a, 8);
	memcpy(c->scramble + 8, b, NONCE_LEN - 8);
	return send_response(c);
}

/* Given a number, so that it is logged like a refusal. */
static enum myc_event
other_plugin(struct myc *c, const char *plugin)
{
	snprintf(c->errtext, sizeof(c->errtext),
	    "the account uses %.64s, not " PLUGIN, plugin);
	c->err = MYC_ERR_PLUGIN;
	errno = EPROTONOSUPPORT;
	return myc_lost(c, NULL);
}

/* The account has another method, or the server another nonce for us. */
static enum myc_event
on_switch(struct myc *c, struct cur *k)
{
	const char *plugin;
	const uint8_t *nonce;

	(void)take(k, 1);
	plugin = take_cstr(k);
	if (k->bad)
		return malformed(c);
	if (strcmp(plugin, PLUGIN) != 0)
		return other_plugin(c, plugin);
	if ((nonce = take(k, NONCE_LEN)) == NULL)
		return malformed(c);
	memcpy(c->scramble, nonce, NONCE_LEN);
	packet_begin(c);
	if (c->password->len > 0)
		put_proof(c);
	packet_end(c);
	return MYC_MORE;
}

static enum myc_event
on_auth_more(struct myc *c, struct cur *k)
{
	uint32_t what;

	(void)take(k, 1);
	what = take_int(k, 1);
	if (k->bad || k->left != 0)
		return malformed(c);
	if (what == FULL_AUTH_DONE)
		return MYC_MORE; /* OK follows */
	if (what != FULL_AUTH_WANTED || c->full_auth)
		return malformed(c);
	packet_begin(c);
	if (c->password->len + 1 > out_room(c)) {
		errno = ERANGE;
		return myc_lost(c, "password too long");
	}
	/* In the clear: nobody but the server reads a Unix socket. */
	put(c, c->password->data, c->password->len + 1);
	packet_end(c);
	c->full_auth = true;
	return MYC_MORE;
}

static enum myc_event
on_auth(struct myc *c, struct cur *k)
{
	if (k->left == 0)
		return malformed(c);
	switch (k->p[0]) {
	case 0x00:
		c->state = MYC_IDLE;
		c->deadline_ms = INT64_MAX;
		c->user = NULL;
		c->password = NULL;
		return MYC_READY;
	case 0x01:
		return on_auth_more(c, k);
	case 0xfe:
		return on_switch(c, k);
	case 0xff:
		return take_err(c, k) ? myc_lost(c, NULL) : malformed(c);
	default:
		return malformed(c);
	}
}

/* ------------------------------------------------------------- answers --- */

static enum myc_event
done(struct myc *c)
{
	c->state = MYC_IDLE;
	c->deadline_ms = INT64_MAX;
	return MYC_DONE;
}

static enum myc_event
on_first(struct myc *c, struct cur *k)
{
	uint32_t n;

	if (k->left == 0)
		return malformed(c);
	switch (k->p[0]) {
	case 0x00:
		return done(c);
	case 0xff:
		return take_err(c, k) ? done(c) : malformed(c);
	case 0xfb: /* LOCAL INFILE: it wants a file of ours */
		return malformed(c);
	default:
		break;
	}
	n = take_len(k);
	if (k->bad || k->left != 0 || n == 0)
		return malformed(c);
	if (n > MYC_COLS_MAX) {
		errno = ERANGE;
		return myc_lost(c, "too many columns");
	}
	c->ncols = n;
	c->defs_left = n;
	c->state = MYC_COLUMNS;
	return MYC_MORE;
}

static bool
is_eof(const struct cur *k)
{
	return k->left >= 1 && k->left < 9 && k->p[0] == 0xfe;
}

/* What the columns are called is of no interest. */
static enum myc_event
on_column(struct myc *c, struct cur *k)
{
	if (c->defs_left > 0) {
		c->defs_left--;
		return MYC_MORE;
	}
	if (!is_eof(k))
		return malformed(c);
	c->state = MYC_ROWS;
	return MYC_MORE;
}

/*
 * Values are made strings where they stand: the byte behind each is the next
 * one's length, which was read by then. The last one's is the next packet's,
 * or beyond what came: it is put back by the next step.
 */
static enum myc_event
on_row(struct myc *c, struct cur *k)
{
	uint8_t *end = c->in + (k->p - c->in) + k->left;

	if (k->left > 0 && k->p[0] == 0xff)
		return take_err(c, k) ? done(c) : malformed(c);
	if (is_eof(k))
		return done(c);
	for (unsigned i = 0; i < c->ncols; i++) {
		c->col[i] = NULL;
		c->len[i] = 0;
		if (k->left > 0 && k->p[0] == 0xfb) {
			(void)take(k, 1);
			continue;
		}
		c->len[i] = take_len(k);
		c->col[i] = (const char *)take(k, c->len[i]);
		if (k->bad)
			return malformed(c);
	}
	if (k->left != 0)
		return malformed(c);
	c->saved_at = end;
	c->saved = *end;
	for (unsigned i = 0; i < c->ncols; i++)
		if (c->col[i] != NULL)
			c->in[(const uint8_t *)c->col[i] - c->in + c->len[i]] =
			    '\0';
	return MYC_ROW;
}

static enum myc_event
on_packet(struct myc *c, struct cur *k)
{
	switch (c->state) {
	case MYC_GREETING:
		return on_greeting(c, k);
	case MYC_AUTH:
		return on_auth(c, k);
	case MYC_SENT:
		return on_first(c, k);
	case MYC_COLUMNS:
		return on_column(c, k);
	case MYC_ROWS:
		return on_row(c, k);
	case MYC_IDLE:
		/* Before it ends a session the server may say why. */
		if (k->left > 0 && k->p[0] == 0xff && take_err(c, k))
			return myc_lost(c, NULL);
		return malformed(c);
	case MYC_CLOSED:
		break;
	}
	return MYC_MORE;
}

/* Forget the packet that the caller has seen. */
void
myc_consume(struct myc *c)
{
	if (c->saved_at != NULL)
		*c->saved_at = c->saved;
	c->saved_at = NULL;
	if (c->in_used == 0)
		return;
	memmove(c->in, c->in + c->in_used, c->in_len - c->in_used);
	c->in_len -= c->in_used;
	c->in_used = 0;
}

enum myc_event
myc_step(struct myc *c)
{
	struct cur k;
	enum myc_event ev = MYC_MORE;
	uint32_t len;

	while (ev == MYC_MORE && c->state != MYC_CLOSED) {
		myc_consume(c);
		k = (struct cur) { c->in, c->in_len, false };
		if (k.left < HEADER)
			break;
		len = take_int(&k, 3);
		/* One byte is kept for the last value's terminator. */
		if (len + HEADER + 1 > c->in_size) {
			errno = EMSGSIZE;
			return myc_lost(c, "answer beyond capacity");
		}
		if (take_int(&k, 1) != c->seq && c->state != MYC_IDLE)
			return malformed(c);
		if (k.left < len)
			break;
		c->seq++;
		k.left = len;
		c->in_used = HEADER + len;
		ev = on_packet(c, &k);
	}
	return ev;
}
