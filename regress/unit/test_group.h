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

/* Shared by test_group.c, which plays the workers, and test_pods.c. */

#ifndef TEST_GROUP_H
#define TEST_GROUP_H

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
#include "orders.h"

#define UID_G   "11111111-1111-1111-1111-111111111111"
#define UID_NEW "22222222-1111-1111-1111-111111111111"
#define UUID_A  "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"
#define UUID_B  "bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb"
#define POD_A   "00000000-0000-0000-0000-00000000000a"
#define POD_B   "00000000-0000-0000-0000-00000000000b"
#define CID                                                                \
	"containerd://"                                                    \
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

extern struct groups *gs;
extern unsigned nsent[MSG_AFTER_LAST];
extern struct m_probe_group probe_group;
extern struct m_pod_check check;

void tell_conf(void);
void tell_pod(const char *site, const char *uid, const char *ip);

/* test_pods.c */
void test_sweep(void **);
void test_many_pods(void **);
void test_unanswered(void **);
void test_strangers(void **);

#endif /* TEST_GROUP_H */
