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
 * The guard's pure parts, and the wiping of a data directory.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guard.h"

/* guard.c has the program's main(); its clock is not needed here. */
int64_t
guard_now(void)
{
	return monotime_now().ns / 1000000;
}

static void
test_cmd(void **state)
{
	static const struct {
		const char *argv[4];
		enum guard_cmd want;
	} t[] = {
		{ { "mysqld", NULL }, GC_SERVER },
		{ { "mysqld", "--server-id=1", NULL }, GC_SERVER },
		{ { "--server-id=1", NULL }, GC_SERVER },
		{ { "mysqld", "--help", NULL }, GC_OTHER },
		{ { "mysqld", "--verbose", "-?", NULL }, GC_OTHER },
		{ { "mysqld", "-V", NULL }, GC_OTHER },
		{ { "bash", NULL }, GC_OTHER },
		{ { "mysqldump", "x", NULL }, GC_OTHER },
		{ { NULL }, GC_OTHER },
	};

	for (size_t i = 0; i < PS_NITEMS(t); i++)
		assert_int_equal(
		    guard_cmd_of((char *const *)(uintptr_t)t[i].argv),
		    t[i].want);
}

static void
test_args(void **state)
{
	char word[] = "mysqld", off[] = "--read-only=OFF", sh[] = "sh";
	char *argv[] = { word, off, NULL };
	char *other[] = { sh, NULL };
	char *many[GUARD_ARGS_MAX + 1];
	const char *out[GUARD_ARGS_MAX];

	assert_int_equal(guard_args(out, "e.sh", argv, true), 0);
	assert_string_equal(out[0], "e.sh");
	assert_string_equal(out[1], "mysqld");
	assert_string_equal(out[2], "--read-only=OFF");
	assert_string_equal(out[3], "--socket=" GUARD_MYSQLD_SOCK);
	/* The last of two counts. */
	assert_string_equal(out[4], "--read-only=ON");
	assert_string_equal(out[5], "--super-read-only=ON");
	assert_null(out[6]);
	assert_int_equal(guard_args(out, "e.sh", argv, false), 0);
	assert_null(out[4]);
	assert_int_equal(guard_args(out, "e.sh", other, true), 0);
	assert_string_equal(out[1], "sh");
	assert_null(out[2]);

	for (int i = 0; i < GUARD_ARGS_MAX; i++)
		many[i] = argv[0];
	many[GUARD_ARGS_MAX] = NULL;
	assert_int_equal(guard_args(out, "e.sh", many, true), -1);
	assert_int_equal(errno, E2BIG);
	/* entrypoint, three of ours and the end have their places */
	many[GUARD_ARGS_MAX - 5] = NULL;
	assert_int_equal(guard_args(out, "e.sh", many, true), 0);
	many[GUARD_ARGS_MAX - 5] = argv[0];
	many[GUARD_ARGS_MAX - 4] = NULL;
	assert_int_equal(guard_args(out, "e.sh", many, true), -1);
}

static void
test_ends(void **state)
{
	struct guard_ends e = { .n = 0 };

	assert_false(guard_ends_add(&e, 1, 1000));
	assert_false(guard_ends_add(&e, 137, 2000));
	/* RESTART and CLONE are no failures. */
	assert_false(guard_ends_add(&e, GUARD_EXIT_AGAIN, 2500));
	assert_true(guard_ends_add(&e, 0, 60999));
	memset(&e, 0, sizeof(e));
	assert_false(guard_ends_add(&e, 1, 1000));
	assert_false(guard_ends_add(&e, 1, 2000));
	assert_false(guard_ends_add(&e, 1, 61000));
	assert_true(guard_ends_add(&e, 1, 61999));
	assert_false(guard_ends_add(&e, 1, 200000));
}

static void
test_exit_code(void **state)
{
	assert_int_equal(guard_exit_code(0), 0);
	assert_int_equal(guard_exit_code(16 << 8), 16);
	assert_int_equal(guard_exit_code(SIGKILL), 137);
}

static void
test_nonces(void **state)
{
	static struct guard_nonces t;

	assert_int_equal(guard_nonce_find(&t, 0, 0), LEASE_NEVER);
	for (uint64_t i = 1; i <= GUARD_NONCES + 2; i++)
		guard_nonce_add(&t, i, 5, (int64_t)i * 10);
	assert_int_equal(guard_nonce_find(&t, 2, 5), LEASE_NEVER);
	assert_int_equal(guard_nonce_find(&t, 3, 5), 30);
	assert_int_equal(
	    guard_nonce_find(&t, GUARD_NONCES + 2, 5), (GUARD_NONCES + 2) * 10);
	assert_int_equal(guard_nonce_find(&t, 3, 6), LEASE_NEVER);
	assert_int_equal(guard_nonce_find(&t, 99, 5), LEASE_NEVER);
}

/* ---------------------------------------------------- mysqld-auto.cnf --- */

#define META          "\"Metadata\":{\"Host\":\"read_only\",\"User\":\"r\"}"
#define VAR(name, v)  "\"" name "\": {\"Value\": \"" v "\", " META "}"
#define KEPT(name, v) "\"" name "\":{\"Value\":\"" v "\"," META "}"
#define HEAD          "{\"Version\": 2, \"mysql_dynamic_variables\": {"
#define LEFT          "{\"Version\":2,\"mysql_dynamic_variables\":{"

static void
test_strip(void **state)
{
	static const struct {
		const char *in, *out;
		int n;
		bool off;
	} t[] = {
		{ HEAD VAR("read_only", "OFF") "}}", LEFT "}}", 1, true },
		{ HEAD VAR("read_only", "ON") "}}", LEFT "}}", 1, false },
		{ HEAD VAR("super_read_only", "ON") "," VAR(
		      "Read_Only", "0") "}}",
		    LEFT "}}", 2, true },
		{ HEAD VAR("a", "1") " , " VAR(
		      "super_read_only", "OFF") ",\n" VAR("b",
		      "x\\\"}") "}, \"mysql_static_variables\": {" VAR("rea\\u0064_only",
		      "OFF") "}}\n",
		    LEFT KEPT("a", "1") "," KEPT(
			"b", "x\\\"}") "},\"mysql_static_variables\":{}}",
		    2, true },
		{ HEAD VAR("read_only", "ON") "," VAR("c", "2") "}}",
		    LEFT KEPT("c", "2") "}}", 1, false },
		{ HEAD VAR("transaction_read_only", "OFF") "}}",
		    LEFT KEPT("transaction_read_only", "OFF") "}}", 0, false },
		{ "{\"read_only\": [true, {\"x\": -1.5e3}]}", "{}", 1, true },
		{ "{\"x\": [true, null, [], {}]}", "{\"x\":[true,null,[],{}]}",
		    0, false },
		{ "", NULL, -1, false },
		{ "{", NULL, -1, false },
		{ "{}}", NULL, -1, false },
		{ HEAD VAR("read_only", "OFF") ",}}", NULL, -1, false },
		{ HEAD VAR("read_only", "OFF") "}", NULL, -1, false },
		{ "{\"read_only\" \"OFF\"}", NULL, -1, false },
		{ "{\"a\": \"x\ny\"}", NULL, -1, false },
		{ "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", NULL, -1, false },
	};
	char buf[1024];
	size_t len;
	bool off;

	for (size_t i = 0; i < PS_NITEMS(t); i++) {
		len = strlen(t[i].in);
		memcpy(buf, t[i].in, len);
		off = false;
		assert_int_equal(guard_auto_strip(buf, &len, &off), t[i].n);
		if (t[i].n == -1)
			continue;
		assert_int_equal(len, strlen(t[i].out));
		assert_memory_equal(buf, t[i].out, len);
		assert_int_equal(off, t[i].off);
		/* Cut short anywhere it is no JSON, and nothing is overrun. */
		for (size_t cut = 0; cut < strlen(t[i].in) - 2; cut++) {
			len = cut;
			memcpy(buf, t[i].in, cut);
			assert_int_equal(guard_auto_strip(buf, &len, &off), -1);
		}
	}
	assert_true(guard_auto_named("x SUPER_READ_ONLY", 17));
	assert_true(guard_auto_named("\\u0072", 6));
	assert_false(guard_auto_named("read_onl", 8));
}

/* ------------------------------------------------------ data directory --- */

static char top[] = "/tmp/test_guard.XXXXXX";

static void
put(const char *name)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", top, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(name, f);
	fclose(f);
}

static void
put_dir(const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", top, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

static bool
there(const char *name)
{
	char path[512];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", top, name);
	return lstat(path, &st) == 0;
}

static void
test_wipe(void **state)
{
	char name[64], deep[512] = "d", outside[64], link[512];
	int dir;

	snprintf(outside, sizeof(outside), "%s.outside", top);
	assert_int_equal(mkdir(outside, 0700), 0);
	dir = open(top, O_RDONLY | O_DIRECTORY);
	assert_int_not_equal(dir, -1);
	assert_int_equal(guard_foreign(dir), 0);
	put(GUARD_LOCK);
	put(GUARD_MARK);
	put(".bloodraven-promise");
	put_dir("lost+found");
	assert_int_equal(guard_foreign(dir), 0);
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "file%d", i);
		put(name);
	}
	assert_int_equal(guard_foreign(dir), 1);
	for (int i = 0; i < 14; i++) {
		put_dir(deep);
		snprintf(name, sizeof(name), "/%c", 'a' + i);
		strncat(deep, name, sizeof(deep) - strlen(deep) - 1);
	}
	/* Links are removed, never followed. */
	snprintf(link, sizeof(link), "%s/link", top);
	assert_int_equal(symlink(outside, link), 0);
	assert_int_equal(guard_wipe(dir), 0);
	assert_int_equal(guard_foreign(dir), 0);
	assert_false(there("d"));
	assert_false(there("link"));
	assert_true(there(GUARD_MARK));
	assert_true(there(".bloodraven-promise"));
	assert_true(there("lost+found"));
	assert_int_equal(rmdir(outside), 0);

	/* Too deep for a data directory. */
	snprintf(deep, sizeof(deep), "d");
	for (int i = 0; i < 20; i++) {
		put_dir(deep);
		snprintf(name, sizeof(name), "/%c", 'a' + i);
		strncat(deep, name, sizeof(deep) - strlen(deep) - 1);
	}
	assert_int_equal(guard_wipe(dir), -1);
	assert_int_equal(errno, ELOOP);
	close(dir);
}

static void
put_text(const char *name, const char *text)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", top, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void
test_auto(void **state)
{
	char path[512], buf[256] = "";
	struct stat st;
	FILE *f;

	assert_int_equal(guard_auto_clean(top), 0);
	put_text(GUARD_AUTO, HEAD VAR("read_only", "OFF") "}}");
	snprintf(path, sizeof(path), "%s/" GUARD_AUTO, top);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(guard_auto_clean(top), 0);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(fgets(buf, sizeof(buf), f));
	fclose(f);
	assert_string_equal(buf, LEFT "}}");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	/* No JSON: mysqld's affair, unless it may hold one of them. */
	put_text(GUARD_AUTO, "{ nonsense");
	assert_int_equal(guard_auto_clean(top), 0);
	put_text(GUARD_AUTO, "{ read_only");
	assert_int_equal(guard_auto_clean(top), -1);
	put_text(GUARD_AUTO, "{}");
	put_text(GUARD_AUTO ".backup", "{ \\u0072");
	assert_int_equal(guard_auto_clean(top), -1);
	assert_int_equal(unlink(path), 0);
	snprintf(path, sizeof(path), "%s/" GUARD_AUTO ".backup", top);
	assert_int_equal(unlink(path), 0);
	/* It can't be replaced. */
	put_dir(".bloodraven-auto.tmp");
	put_text(GUARD_AUTO, HEAD VAR("read_only", "OFF") "}}");
	assert_int_equal(guard_auto_clean(top), -1);
	put_text(GUARD_AUTO, HEAD VAR("read_only", "ON") "}}");
	assert_int_equal(guard_auto_clean(top), 0);
	snprintf(path, sizeof(path), "%s/" GUARD_AUTO, top);
	assert_int_equal(unlink(path), 0);
	put_dir(GUARD_AUTO);
	assert_int_equal(guard_auto_clean(top), -1);
}

/* For the kubelet: in the file that it made, and in no other. */
static void
test_word(void **state)
{
	char path[128], link[128], buf[64];
	ssize_t n;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/termination-log", top);
	snprintf(link, sizeof(link), "%s/link", top);
	guard_setup_word(path, 1);
	assert_int_equal(access(path, F_OK), -1);
	fd = open(path, O_RDWR | O_CREAT, 0644);
	assert_int_equal(write(fd, "of one before", 13), 13);
	guard_setup_word(path, UINT64_MAX);
	n = pread(fd, buf, sizeof(buf) - 1, 0);
	assert_true(n > 0);
	buf[n] = '\0';
	assert_string_equal(buf, "bloodraven-guard=18446744073709551615\n");
	assert_int_equal(symlink(path, link), 0);
	guard_setup_word(link, 7);
	assert_int_equal(pread(fd, buf, sizeof(buf) - 1, 0), n);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cmd),
		cmocka_unit_test(test_args),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_exit_code),
		cmocka_unit_test(test_nonces),
		cmocka_unit_test(test_strip),
		cmocka_unit_test(test_wipe),
		cmocka_unit_test(test_auto),
		cmocka_unit_test(test_word),
	};
	char cmd[128];
	int rc;

	if (mkdtemp(top) == NULL)
		return 1;
	rc = cmocka_run_group_tests_name("guard", tests, NULL, NULL);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", top);
	if (system(cmd) != 0)
		return 1;
	return rc;
}
