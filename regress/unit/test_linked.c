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
 * What the programs are made of: the archives of libraries, and of libcurl only
 * HTTP.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/wait.h>

#include <curl/curl.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

#include "kube_http.h"
#include "mysql_conn.h"

/* Debian has no archives of the first two; the third is for tests alone. */
static const char *const shared[] = { "libyyjson.", "libwslay.", "libcmocka.",
	"libc.", "ld-linux-" };

static int
is_allowed(struct dl_phdr_info *info, size_t size, void *arg)
{
	const char *slash = strrchr(info->dlpi_name, '/');

	(void)size;
	if (slash == NULL) /* the program, the kernel's vDSO */
		return 0;
	for (size_t i = 0; i < PS_NITEMS(shared); i++)
		if (strncmp(slash + 1, shared[i], strlen(shared[i])) == 0)
			return 0;
	*(const char **)arg = info->dlpi_name;
	return 1;
}

static void
test_shared(void **state)
{
	const char *other = NULL;

	(void)state;
#ifdef __SANITIZE_ADDRESS__
	skip();
#endif
	maddr_begin(&(struct maddr) { 0 }); /* of libmysqlclient, too */
	(void)maddr_end();
	(void)dl_iterate_phdr(is_allowed, &other);
	if (other != NULL)
		fail_msg("%s is linked", other);
}

static void
test_schemes(void **state)
{
	static const char *const none[] = { "dict", "file", "ftp", "ftps",
		"gopher", "gophers", "imap", "imaps", "ldap", "ldaps", "mqtt",
		"pop3", "pop3s", "rtmp", "rtmpe", "rtmps", "rtmpt", "rtmpte",
		"rtmpts", "rtsp", "scp", "sftp", "smb", "smbs", "smtp", "smtps",
		"telnet", "tftp", "ws", "wss" };
	CURL *e = curl_easy_init();

	(void)state;
	assert_non_null(e);
	assert_int_equal(
	    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "https"), CURLE_OK);
	for (size_t i = 0; i < PS_NITEMS(none); i++)
		assert_int_equal(
		    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, none[i]),
		    CURLE_UNSUPPORTED_PROTOCOL);
	curl_easy_cleanup(e);
}

/* libcurl's own call; curl.lds says what becomes of it. */
unsigned gss_release_buffer(unsigned *, void *);

static void
test_left_out(void **state)
{
	void (*volatile own)(void) = kh_left_out;
	unsigned minor = 0;
	int status = 0;
	pid_t pid;

	(void)state;
	assert_non_null(own);
	if ((pid = fork()) == 0) {
		(void)gss_release_buffer(&minor, NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_schemes),
		cmocka_unit_test(test_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
