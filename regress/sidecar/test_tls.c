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
 * Whether and when the certificate is loaded: files of our own, answers that
 * mysql would give, and a clock that this test moves.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "../../src/sidecar_tls.c"

static struct sidecar sc;
static int64_t clock_ms;
static char base[] = "/tmp/test_tls.XXXXXX";
static struct m_sc_tls last;
static unsigned nsent;
static bool full;
static int log_fd;

int64_t
sc_now_ms(void)
{
	return clock_ms;
}

bool
sc_send(struct sidecar *s, unsigned proc, uint32_t type, const void *msg)
{
	assert_int_equal(proc, PROC_MYSQL);
	assert_int_equal(type, MSG_SC_TLS);
	if (full)
		return false;
	last = *(const struct m_sc_tls *)msg;
	nsent++;
	return true;
}

/* ------------------------------------------------------------------- play --- */

/* As the kubelet does it: another inode. */
static void
put(const char *name, const char *text, size_t len)
{
	char path[64], tmp[64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", base, name);
	snprintf(tmp, sizeof(tmp), "%s/new", base);
	f = fopen(tmp, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(rename(tmp, path), 0);
}

static void
mount(const char *text)
{
	put("ca.crt", text, strlen(text));
	put("tls.crt", text, strlen(text));
}

static void
want(const char *text)
{
	uint8_t digest[SC_DIGEST];
	crypto_hash_sha256_state h;

	crypto_hash_sha256_init(&h);
	crypto_hash_sha256_update(&h, (const uint8_t *)text, strlen(text));
	crypto_hash_sha256_update(&h, (const uint8_t *)"", 1);
	crypto_hash_sha256_update(&h, (const uint8_t *)text, strlen(text));
	crypto_hash_sha256_final(&h, digest);
	sc_tls_want(&sc, digest, sizeof(digest));
}

static void
turn(int64_t ms)
{
	clock_ms += ms;
	sc_tls_look(&sc);
}

static void
says(enum tls_step step)
{
	struct m_sc_tls_says m = { .nr = last.nr, .step = step };

	m.err = step == TL_REFUSED ? 3888 : 0;
	sc_tls_says(&sc, &m);
}

/* A load from its beginning, which was sent last, to its end. */
static void
load(enum tls_step end)
{
	assert_int_equal(last.step, TL_BEGIN);
	says(TL_ASK);
	assert_int_equal(last.step, TL_GO);
	says(end);
}

/* A session with a server that began then. */
static void
session(int64_t started_ms)
{
	static int64_t n;

	sc.mysql.session_ns = ++n;
	sc.mysql.start_ns = started_ms * 1000000;
}

/* What was logged since this was asked last. */
static const char *
news(void)
{
	static char text[65536];
	static off_t off;
	ssize_t n = pread(log_fd, text, sizeof(text) - 1, off);

	assert_true(n >= 0);
	off += n;
	text[n] = '\0';
	return text;
}

static void
guard(uint32_t incarnation)
{
	sc.have_guard = incarnation != 0;
	sc.said.running = true;
	sc.said.guard = 4711;
	sc.said.incarnation = incarnation;
}

static int
setup(void **state)
{
	memset(&sc, 0, sizeof(sc));
	memset(&last, 0, sizeof(last));
	nsent = 0;
	full = false;
	clock_ms = 1000000;
	snprintf(sc.conf.ca_file, sizeof(sc.conf.ca_file), "%s/ca.crt", base);
	snprintf(
	    sc.conf.cert_file, sizeof(sc.conf.cert_file), "%s/tls.crt", base);
	snprintf(sc.conf.tls_dir, sizeof(sc.conf.tls_dir), "%s", base);
	session(500000);
	return 0;
}

/* ------------------------------------------------------------------ tests --- */

/* Only what is wanted, and only when it is there, and once. */
static void
test_once(void **state)
{
	mount("bad");
	want("good");
	turn(1000);
	assert_int_equal(nsent, 0);
	assert_true(sc.state.tls_pending);
	mount("good");
	turn(1000);
	load(TL_LOADED);
	assert_false(sc.state.tls_pending);
	assert_non_null(strstr(news(), "\"certificate loaded\""));
	turn(1000000);
	/* A leader that does not know yet, and then says the same. */
	sc_tls_want(&sc, NULL, 0);
	turn(1000);
	want("good");
	/* Another session, and a mysql that was started anew. */
	session(500900);
	turn(1000);
	sc_tls_lost(&sc);
	session(499000);
	turn(1000);
	assert_int_equal(nsent, 2);
	/* Another server. */
	session(504000);
	turn(1000);
	load(TL_LOADED);
	/* One of which that can't be known. */
	session(0);
	turn(1000);
	load(TL_LOADED);
	turn(1000000);
	assert_int_equal(nsent, 6);
}

/* The guard knows best: also servers that end as soon as they begin. */
static void
test_guard_counts(void **state)
{
	mount("good");
	want("good");
	load(TL_LOADED);
	guard(1);
	turn(1000);
	session(0);
	turn(1000);
	assert_int_equal(nsent, 2);
	session(500000);
	guard(2);
	turn(1000);
	load(TL_LOADED);
	/* It is away for a while. */
	guard(0);
	turn(1000);
	guard(2);
	turn(1000);
	assert_int_equal(nsent, 4);
}

/* Between beat, question and answer anything may be mounted. */
static void
test_exchanged(void **state)
{
	mount("good");
	want("good");
	assert_int_equal(last.step, TL_BEGIN);
	mount("bad");
	says(TL_ASK);
	assert_int_equal(last.step, TL_STOP);
	turn(1000);
	assert_int_equal(nsent, 2);
	mount("good");
	turn(1000);
	says(TL_ASK);
	mount("bad");
	says(TL_LOADED);
	assert_non_null(strstr(news(), "exchanged while it was loaded"));
	assert_true(sc.state.tls_pending);
	turn(1000);
	assert_int_equal(nsent, 4);
	/* To and fro, so that it looks as before. */
	mount("good");
	turn(1000);
	says(TL_ASK);
	mount("bad");
	mount("good");
	says(TL_LOADED);
	assert_int_equal(last.step, TL_BEGIN);
	load(TL_LOADED);
	assert_int_equal(nsent, 8);
	assert_false(sc.state.tls_pending);
	/* What is wanted changed meanwhile: what was loaded is told. */
	mount("next");
	want("next");
	says(TL_ASK);
	want("after");
	says(TL_LOADED);
	assert_non_null(strstr(news(), "\"certificate loaded\""));
	assert_true(sc.state.tls_pending);
}

/* A refusal is written to mysqld's log, too: not each second. */
static void
test_refused(void **state)
{
	mount("good");
	want("good");
	load(TL_REFUSED);
	assert_non_null(strstr(news(), "\"errno\":3888"));
	turn(RETRY_MS - 1);
	assert_int_equal(nsent, 2);
	turn(1);
	load(TL_REFUSED);
	turn(2 * RETRY_MS - 1);
	assert_int_equal(nsent, 4);
	/* Its key came: the certificate is the same. */
	mount("good");
	turn(0);
	load(TL_REFUSED);
	for (int i = 0; i < 20; i++) {
		turn(RETRY_MAX_MS);
		load(TL_BUSY);
	}
	turn(RETRY_MAX_MS - 1);
	assert_int_equal(nsent, 46);
	/* Another one is another try. */
	mount("next");
	want("next");
	load(TL_LOADED);
}

/* It may be blocked in there until whenever: no second one beside it. */
static void
test_lost(void **state)
{
	mount("good");
	want("good");
	says(TL_ASK);
	says(TL_SLOW);
	assert_non_null(strstr(news(), "takes long"));
	turn(3600000);
	assert_int_equal(nsent, 2);
	sc_tls_lost(&sc);
	assert_non_null(strstr(news(), "perhaps loaded"));
	assert_true(sc.state.tls_pending);
	mount("next");
	want("next");
	turn(LOST_MS - 1);
	assert_int_equal(nsent, 2);
	turn(1);
	load(TL_LOST);
	turn(2 * LOST_MS - 1);
	assert_int_equal(nsent, 4);
	/* Another server has nothing that is blocked. */
	session(clock_ms);
	turn(0);
	load(TL_LOADED);
	/* It ended before it was sent: nothing is perhaps. */
	session(clock_ms + 100000);
	turn(1000);
	assert_int_equal(last.step, TL_BEGIN);
	sc_tls_lost(&sc);
	turn(0);
	load(TL_LOADED);
}

/* Queues that are full, answers that are late, a mysqld that is away. */
static void
test_unsent(void **state)
{
	uint64_t nr;

	mount("good");
	sc.mysql.session_ns = 0;
	want("good");
	turn(1000);
	assert_int_equal(nsent, 0);
	session(500000);
	full = true;
	turn(1000);
	full = false;
	turn(1000);
	assert_int_equal(last.step, TL_BEGIN);
	full = true;
	says(TL_ASK);
	full = false;
	says(TL_FAILED);
	turn(RETRY_MS);
	nr = last.nr--;
	says(TL_LOADED); /* of the one before */
	last.nr = nr;
	load(TL_LOADED);
	turn(1000);
	assert_false(sc.state.tls_pending);
}

/* A key of a Secret has at most 16 KiB. */
static void
test_unreadable(void **state)
{
	static char big[FILE_MAX + 1];
	char path[64];

	memset(big, 'x', sizeof(big));
	mount("good");
	want("good");
	load(TL_LOADED);
	put("ca.crt", big, FILE_MAX);
	turn(1000);
	assert_int_equal(sc.tls.err, 0);
	put("ca.crt", big, FILE_MAX + 1);
	turn(1000);
	assert_int_equal(sc.tls.err, EFBIG);
	put("ca.crt", "good", 4);
	snprintf(path, sizeof(path), "%s/tls.crt", base);
	assert_int_equal(unlink(path), 0);
	turn(1000);
	assert_int_equal(sc.tls.err, ENOENT);
	assert_non_null(strstr(news(), "\"certificate wanted\""));
	turn(1000);
	assert_string_equal(news(), "");
	assert_int_equal(nsent, 2);
	/* Empty files are none. */
	put("ca.crt", "", 0);
	put("tls.crt", "", 0);
	turn(1000);
	assert_int_equal(nsent, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_once, setup),
		cmocka_unit_test_setup(test_guard_counts, setup),
		cmocka_unit_test_setup(test_exchanged, setup),
		cmocka_unit_test_setup(test_refused, setup),
		cmocka_unit_test_setup(test_lost, setup),
		cmocka_unit_test_setup(test_unsent, setup),
		cmocka_unit_test_setup(test_unreadable, setup),
	};
	char path[64];
	int rc;

	if (sodium_init() == -1 || mkdtemp(base) == NULL ||
	    (log_fd = memfd_create("log", MFD_CLOEXEC)) == -1)
		return 1;
	log_init("test_tls", LL_INFO, log_fd);
	rc = cmocka_run_group_tests_name("tls", tests, NULL, NULL);
	snprintf(path, sizeof(path), "rm -r %s", base);
	return system(path) != 0 ? 1 : rc;
}
