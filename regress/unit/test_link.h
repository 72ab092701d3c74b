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
 * Shared by test_link.c, which plays parent and sidecars, and the tests of what
 * the leader tells them.
 */

#ifndef TEST_LINK_H
#define TEST_LINK_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "group_int.h"

#define UID_G "11111111-1111-1111-1111-111111111111"
#define UUID  "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"
#define FG    "db/orders"
#define EPOCH 7
#define GUARD 0xabcdef01
#define MEM_A 0x1111
#define MEM_B 0x2222

enum { IAD, PDX, NSITES };

/* Frames to the connection that a played sidecar has. */
struct side {
	uint64_t conn;
	struct wire_link wire;
	unsigned nframes;
	uint32_t type; /* of the last one */
	union wire_any last;
	unsigned n[WIRE_AFTER_LAST];
};

extern struct event_base *base;
extern struct groups *gs;
extern struct wire_key op_key, other_key;
extern const char *const pods[NSITES];
extern struct side side[NSITES];
extern struct m_event event; /* the last one */
extern unsigned handovers;   /* counted */
extern struct m_lease_release release;
extern unsigned releases;

struct group *group(void);
void tell_pod(int site, const char *ip);
/* Epoch 7, and n - 1 after it, of the same process. */
void tell_epochs(unsigned n);
void tell_lease(bool held);
/* A frame of a site's sidecar. */
void say(int site, uint32_t type, const void *);
void fill_report(int i, struct w_report *r);
/* A new connection that proves itself. */
void link_site(int site);
void act(enum fsm_act_type, uint8_t site);
void act_epoch(enum fsm_act_type, uint8_t site, uint64_t epoch);

/* test_offer.c */
void test_offer(void **);
void test_offer_both(void **);
void test_portions(void **);
void test_portions_revoke(void **);
void test_revoke(void **);
void test_renewal(void **);
void test_deadline(void **);

/* test_sight.c */
void test_sight_told(void **);
void test_sight_heard(void **);
void test_hand_over(void **);

#endif /* TEST_LINK_H */
