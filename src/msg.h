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
 * The message schema as C: structs, ids and ps_schema, all from msg.def.
 */

#ifndef MSG_H
#define MSG_H

#include "br.h"
#include "privsep.h"

/* Process ids; the masks say who may send and receive. */
enum {
	PROC_PARENT = PS_PARENT,
	PROC_KUBE,
	PROC_MYSQL,
	PROC_DNS,
	PROC_HTTP,
	PROC_LINK,
	PROC_MEMORY
};
#define P_PARENT  (1u << PROC_PARENT)
#define P_KUBE    (1u << PROC_KUBE)
#define P_MYSQL   (1u << PROC_MYSQL)
#define P_DNS     (1u << PROC_DNS)
#define P_HTTP    (1u << PROC_HTTP)
#define P_LINK    (1u << PROC_LINK)
#define P_MEMORY  (1u << PROC_MEMORY) /* bloodraven-sidecar(8) only */

#define DEFS_FILE "msg.def"
#define DEFS_LIST
#define DEFS_ITEM(id, n, from, to, ph) MSG_##id,
enum msg_type {
	MSG_BEFORE_FIRST = PS_MSG_FIRST - 1,
#include "defs.h"
	MSG_AFTER_LAST
};

#define DEFS_FILE "msg.def"
#define DEFS_STRUCTS
#include "defs.h"

extern const struct ps_schema msg_schema;

/* The name of a message type, NULL when there is none. */
const char *msg_name(uint32_t type);

/* A message that is kept in little room; zeroed: none. Not for secrets. */
struct msg_kept {
	uint8_t *bytes;
	size_t len;
	uint32_t type;
};

void msg_keep(struct msg_kept *, uint32_t type, const void *msg);
/* Into the message's struct. False: there is none, and nothing was written. */
bool msg_kept(const struct msg_kept *, void *msg);
void msg_forget(struct msg_kept *);

#endif /* MSG_H */
