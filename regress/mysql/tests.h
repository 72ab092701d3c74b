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
 * Tests of the other files, in the order in which probertest.c runs them.
 */

#ifndef TESTS_H
#define TESTS_H

void t_fence_and_grant(void **);
void t_late_grant(void **);
void t_grant_to_stopped(void **);
void t_not_that_process(void **);
void t_fence_that_waits(void **);
void t_follow(void **);
void t_evict(void **);
void t_clone_site(void **);
void t_clone_hangs(void **);
void t_clone_without_lease(void **);
void t_dies_in_flight(void **);
void t_group_goes(void **);
void t_partial(void **);
void t_too_big(void **);
void t_clock_steps(void **);
void t_start_text(void **);
void t_tls_secrets(void **);
void t_tls_reload(void **);
void t_tls_source(void **);
void t_accounts(void **);
void t_accounts_revokes(void **);
void t_accounts_ages(void **);
void t_accounts_cut_short(void **);
void t_accounts_excess(void **);
void t_refresh_source(void **);

#endif /* TESTS_H */
