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
 * What goes between operator, sidecars and guards (wire.def), and how it is
 * signed: Ed25519 (RFC 8032) by libsodium. No I/O but wire_keys_read(), no
 * malloc, no log, so that it links into the static guard. Not reentrant: one
 * scratch buffer, one thread.
 *
 * A *statement* is signed over "bloodraven-statement-1\0" || body, and means
 * the same whoever carries it: it names its group, site and process itself.
 *
 * A *frame* of a link is signature (64), number (8, big-endian), payload. The
 * signature is over "bloodraven-link-1\0" || H(receiver's W_HELLO) ||
 * H(sender's W_HELLO) || number || payload. Each W_HELLO has its side's nonce,
 * group, site and Pod: a frame is worth something on this one connection
 * alone, at this one place in it, between these two. A relay that shows one
 * side another W_HELLO than the other sent gets nothing accepted, so it
 * can't carry a W_PROMISE_ASK to a site that it was not meant for.
 */

#ifndef WIRE_H
#define WIRE_H

#include "br.h"
#include "lease.h"
#include "privsep.h"

#define DEFS_FILE "wire.def"
#define DEFS_LIST
#define DEFS_ITEM(id, n) id,
enum wire_type {
	WIRE_BEFORE_FIRST = 0,
#include "defs.h"
	WIRE_AFTER_LAST
};

#define DEFS_FILE "wire.def"
#define DEFS_STRUCTS
#include "defs.h"

/* Any of them, decoded: a member per struct, with the struct's name. */
#define DEFS_FILE "wire.def"
#define DEFS_LIST
#define DEFS_ITEM(id, n) struct n n;
union wire_any {
#include "defs.h"
};

#define WIRE_VERSION     1
#define WIRE_KEY_LEN     32
#define WIRE_SIG_LEN     64
#define WIRE_NONCE_LEN   16
#define WIRE_HEAD_LEN    (WIRE_SIG_LEN + 8)
#define WIRE_FRAME_MAX   8192 /* without its u16 length; as in LINK_RX, _TX */
#define WIRE_PAYLOAD_MAX (WIRE_FRAME_MAX - WIRE_HEAD_LEN)
#define WIRE_PUBS_MAX    4 /* keys accepted for one name: two, and slack */
/* What was seen so long ago is no news to anybody. */
#define WIRE_SIGHT_MS    600000

struct wire_pub {
	uint8_t b[WIRE_KEY_LEN];
};

/* A key pair. To be wiped with explicit_bzero when it is replaced. */
struct wire_key {
	struct wire_pub pub;
	uint8_t secret[64]; /* libsodium's form: seed and public key */
};

/* Once, before the sandbox closes. -1: the library can't work here. */
int wire_init(void);
/* Of a process, and of lately. Its sender may say anything. */
bool wire_sight_ok(const struct w_sight *);
/* NULL when there is none. */
const char *wire_name(uint32_t type);
const struct codec_desc *wire_desc(uint32_t type);

/* ---------------------------------------------------------------- keys --- */

void wire_key_from_seed(struct wire_key *, const uint8_t[static WIRE_KEY_LEN]);
/* 64 hex digits, nothing else. -1 with EBADMSG. */
int wire_seed_parse(const char *, size_t, uint8_t[static WIRE_KEY_LEN]);
#define WIRE_HEX_LEN (2 * WIRE_KEY_LEN)
void
wire_hex(const uint8_t[static WIRE_KEY_LEN], char[static WIRE_HEX_LEN + 1]);

/* Who is believed: the file "trust". */
struct wire_trust_site {
	char name[NAME_LEN + 1];
	uint32_t n;
	struct wire_pub pub[WIRE_PUBS_MAX];
};

struct wire_trust {
	uint32_t n_operator;
	struct wire_pub operator[WIRE_PUBS_MAX];
	uint32_t n_sites;
	struct wire_trust_site sites[SITES_MAX];
};

/*
 * Lines "operator <hex>" and "site <name> <hex>", several per name allowed;
 * empty lines and those that begin with # are skipped. -1 with EBADMSG or
 * ERANGE, err says which line and why; the struct is not to be used then.
 */
int wire_trust_parse(
    const char *, size_t, struct wire_trust *, char *err, size_t errsize);
/* Its keys; *n is 0 when it is not known. Empty name: the operator. */
const struct wire_pub *
wire_trust_find(const struct wire_trust *, const char *site, size_t *n);

/* All that a Pod's Secret holds. 7 KiB: not for the stack. */
struct wire_keys {
	uint64_t generation;
	struct wire_key key; /* signs */
	struct wire_trust trust;
};

/*
 * The mounted Secret: files seed, generation, trust, all of one generation
 * (kubelet exchanges them as one). The struct is changed only when all of it
 * is good. -1 with errno; err says which file, which line and why, and holds
 * nothing of the seed. To be called at start, each 10 s, and, at most once a
 * second, when a signature was refused.
 */
int
wire_keys_read(const char *dir, struct wire_keys *, char *err, size_t errsize);

/* ---------------------------------------------------------- statements --- */

/* -1 with ENOBUFS or ERANGE: it does not fit. */
int wire_sign(
    uint32_t type, const void *, const struct wire_key *, struct w_signed *);
/*
 * out: the struct of that type. -1 with EACCES (signed by none of them),
 * EPROTO (another statement), EBADMSG, ERANGE (decoded, not well formed).
 * Nothing is decoded before the signature was found good.
 */
int wire_check(const struct w_signed *, const struct wire_pub *, size_t n,
    uint32_t type, void *out);
/* The terms that an authority carries; -1 with ERANGE. See lease_terms_valid. */
int wire_terms(const struct w_authority *, struct lease_terms *);

/* --------------------------------------------------------------- links --- */

/* One side's view of a connection; all zero when it begins. */
struct wire_link {
	uint8_t mine[32], theirs[32]; /* H of the W_HELLO sent, received */
	bool said, heard;
	uint64_t tx, rx; /* numbers of the last frames */
};

/*
 * The first frame of each direction. The nonce is drawn by the caller, anew
 * for each connection (getrandom). Returns the frame's length, or -1.
 */
int wire_hello(
    struct wire_link *, const struct w_hello *, uint8_t *frame, size_t size);
/*
 * The other side's. Unsigned: what it says is proven by the first frame that
 * opens with the keys of whom it names. -1 with EBADMSG, EPROTO (no W_HELLO,
 * a second one, our own come back), EPROTONOSUPPORT (version).
 */
int wire_heard(
    struct wire_link *, const uint8_t *frame, size_t len, struct w_hello *);
/* A frame. Returns its length, or -1 with ENOTCONN, ENOBUFS, ERANGE. */
int wire_seal(struct wire_link *, const struct wire_key *, uint32_t type,
    const void *, uint8_t *frame, size_t size);
/*
 * -1: the connection is to be closed. EACCES (signature), EBADMSG, ERANGE,
 * EPROTO (number, unknown type, no W_HELLO before).
 */
int wire_open(struct wire_link *, const struct wire_pub *, size_t n,
    const uint8_t *frame, size_t len, uint32_t *type, union wire_any *);

/* Inside the Pod: payload alone. Returns the length, or -1. */
int wire_encode(uint32_t type, const void *, uint8_t *, size_t);
/* -1 with EBADMSG, ERANGE, EPROTO (no such type). */
int wire_decode(const uint8_t *, size_t, uint32_t *type, union wire_any *);

#endif /* WIRE_H */
