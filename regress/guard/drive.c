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
 * Plays the sidecar, the operator and the voters for regress/guard/run:
 *
 *	drive keys DIR			make the Pod's Secret
 *	drive serve SOCKET STATE	serve one guard; commands on stdin
 *
 * STATE is a line of key=value, exchanged as a whole at each report; STATE.told
 * has a line for each, so that who looks late finds what held for a moment.
 * Commands:
 *
 *	offer EPOCH PREV L CHECK [other]   terms for this process (or another)
 *	revoke EPOCH
 *	sign 0|1                           with which of the operator's keys
 *	yes none|operator|b|forged|replay  how questions are answered
 *	forge offer|revoke|garbage EPOCH   signed by the site's own key
 *	flood N                            forged answers
 *	drop                               close the connection
 */

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wire.h"

#define GROUP   "ns/g"
#define POD_UID "00000000-0000-4000-8000-000000000001"
#define VOTER_B 77

enum mode { M_NONE, M_OPERATOR, M_B, M_FORGED, M_REPLAY };

static struct wire_key op[2], site_a, site_b;
static unsigned signer; /* op[] that signs offers */
/* What the authority in the guard's last question says. */
static struct w_authority shown;
static int shown_key = -1; /* op[] that signed it */
static struct w_guard said;
static struct w_yes first_yes; /* to be replayed */
static enum mode mode;
static int conn = -1;
static uint8_t in[65536];
static size_t have; /* in in[], of this connection */
static uint64_t asks, reports, conns;
static int64_t last_yes_ms; /* arrival of the question last said yes to */
static const char *state_path;

static int64_t
now_ms(void)
{
	return monotime_now().ns / 1000000;
}

static void
make_keys(void)
{
	uint8_t seed[WIRE_KEY_LEN];

	memset(seed, 0x11, sizeof(seed));
	wire_key_from_seed(&op[0], seed);
	memset(seed, 0x44, sizeof(seed));
	wire_key_from_seed(&op[1], seed);
	memset(seed, 0x22, sizeof(seed));
	wire_key_from_seed(&site_a, seed);
	memset(seed, 0x33, sizeof(seed));
	wire_key_from_seed(&site_b, seed);
}

static void
write_file(const char *dir, const char *name, const char *text)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if ((f = fopen(path, "w")) == NULL || fputs(text, f) == EOF ||
	    fclose(f) == EOF)
		err(1, "%s", path);
}

static int
keys(const char *dir)
{
	char text[512], hex[4][WIRE_HEX_LEN + 1], seed[WIRE_HEX_LEN + 2];

	wire_hex(op[0].pub.b, hex[0]);
	wire_hex(site_a.pub.b, hex[1]);
	wire_hex(site_b.pub.b, hex[2]);
	wire_hex(op[1].pub.b, hex[3]);
	memset(seed, '2', WIRE_HEX_LEN);
	seed[WIRE_HEX_LEN] = '\n';
	seed[WIRE_HEX_LEN + 1] = '\0';
	write_file(dir, "seed", seed);
	write_file(dir, "generation", "1\n");
	snprintf(text, sizeof(text),
	    "operator %s\nsite a %s\nsite b %s\noperator %s\n", hex[0], hex[1],
	    hex[2], hex[3]);
	write_file(dir, "trust", text);
	return 0;
}

/* --------------------------------------------------------------- frames --- */

static void
hang_up(void)
{
	if (conn != -1)
		close(conn);
	conn = -1;
	have = 0;
}

static void
send_raw(const uint8_t *p, size_t len)
{
	uint8_t head[2] = { (uint8_t)(len >> 8), (uint8_t)len };

	/* One that is gone may have left its last report to be read. */
	if (conn != -1 && send(conn, head, 2, MSG_NOSIGNAL) == 2)
		(void)send(conn, p, len, MSG_NOSIGNAL);
}

static void
send_frame(uint32_t type, const void *msg)
{
	uint8_t buf[WIRE_FRAME_MAX];
	int n = wire_encode(type, msg, buf, sizeof(buf));

	if (n == -1)
		err(1, "encode");
	send_raw(buf, (size_t)n);
}

static void
put_state(FILE *f)
{
	fprintf(f,
	    "t=%" PRId64 " conn=%d conns=%" PRIu64 " reports=%" PRIu64
	    " asks=%" PRIu64 " lastyes=%" PRId64 " guard=%" PRIu64
	    " serial=%" PRIu64 " inc=%u running=%d ended=%u exit=%" PRId64
	    " init=%d hung=%d ro=%d uuid=%s start=%" PRId64 " held=%" PRIu64
	    " left=%" PRId64 " revoked=%" PRIu64 " heard=%" PRIu64
	    " full=%d killer=%d shown=%" PRIu64 " check=%u key=%d"
	    " age=%" PRId64 " fences=%u fails=%u kills=%u\n",
	    now_ms(), conn != -1, conns, reports, asks, last_yes_ms, said.guard,
	    said.serial, said.incarnation, said.running, said.ended,
	    said.exit_code, said.initialising, said.hung, said.read_only,
	    said.server_uuid, said.start_ms, said.held, said.left_ms,
	    said.revoked, said.heard, said.disk_full, said.killer, shown.epoch,
	    shown.check_ms, shown_key, said.read_age_ms, said.fences,
	    said.fence_failures, said.kills);
}

static void
write_state(void)
{
	char tmp[512];
	FILE *f;

	snprintf(tmp, sizeof(tmp), "%s.tmp", state_path);
	if ((f = fopen(tmp, "w")) == NULL)
		err(1, "%s", tmp);
	put_state(f);
	if (fclose(f) == EOF || rename(tmp, state_path) == -1)
		err(1, "%s", state_path);
}

/* One write, a whole line: who reads may come at any time. */
static void
write_told(void)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s.told", state_path);
	if ((f = fopen(path, "a")) == NULL)
		err(1, "%s", path);
	put_state(f);
	if (fclose(f) == EOF)
		err(1, "%s", path);
}

/* ------------------------------------------------------------- commands --- */

static void
offer(uint64_t epoch, uint64_t prev, uint32_t lease, uint32_t check, bool other,
    const struct wire_key *key)
{
	static struct w_offer o;
	static struct w_authority a;

	memset(&o, 0, sizeof(o));
	memset(&a, 0, sizeof(a));
	snprintf(a.group, sizeof(a.group), GROUP);
	snprintf(a.site, sizeof(a.site), "a");
	snprintf(a.pod_uid, sizeof(a.pod_uid), POD_UID);
	a.epoch = epoch;
	a.prev = prev;
	a.guard = said.guard + other;
	a.incarnation = said.incarnation;
	a.lease_ms = lease;
	a.fence_ms = lease_fence_ms(lease);
	a.check_ms = check;
	a.quorum = lease_quorum(2);
	a.n_voters = 2;
	a.voters[0].id = LEASE_OPERATOR;
	a.voters[1].id = VOTER_B;
	snprintf(a.voters[1].site, sizeof(a.voters[1].site), "b");
	o.n_authority = 1;
	if (wire_sign(W_AUTHORITY, &a, key, &o.authority[0]) == -1)
		err(1, "sign");
	send_frame(W_OFFER, &o);
}

static void
say_revoke(uint64_t epoch, const struct wire_key *key)
{
	struct w_revoke r = { .group = GROUP, .epoch = epoch };
	static struct w_revocation v;

	memset(&v, 0, sizeof(v));
	v.n_revoke = 1;
	if (wire_sign(W_REVOKE, &r, key, &v.revoke[0]) == -1)
		err(1, "sign");
	send_frame(W_REVOCATION, &v);
}

static void
flood(unsigned n)
{
	static struct w_yes y;

	memset(&y, 0x5a, sizeof(y));
	y.n_renewal = 1;
	y.voter = VOTER_B;
	y.renewal[0].body.len = 200;
	y.renewal[0].sig.len = 64;
	while (n-- > 0 && conn != -1)
		send_frame(W_YES, &y);
}

static void
set_mode(const char *s)
{
	static const char *const names[] = { "none", "operator", "b", "forged",
		"replay" };

	for (unsigned i = 0; i < PS_NITEMS(names); i++)
		if (strcmp(s, names[i]) == 0)
			mode = (enum mode)i;
}

static void
command(const char *line)
{
	uint64_t e = 0, prev = 0;
	uint32_t l = 0, check = 0;
	char word[32] = "";
	static const uint8_t garbage[40] = { 0x93, 0xdd, 0xff, 0xff };

	if (sscanf(line,
		"offer %" SCNu64 " %" SCNu64 " %" SCNu32 " %" SCNu32 " %31s",
		&e, &prev, &l, &check, word) >= 4)
		offer(e, prev, l, check, word[0] != '\0', &op[signer]);
	else if (sscanf(line, "revoke %" SCNu64, &e) == 1)
		say_revoke(e, &op[0]);
	else if (sscanf(line, "sign %" SCNu64, &e) == 1)
		signer = e != 0;
	else if (sscanf(line, "yes %31s", word) == 1)
		set_mode(word);
	else if (sscanf(line, "forge offer %" SCNu64, &e) == 1)
		offer(e, 0, 3000, 200, false, &site_a);
	else if (sscanf(line, "forge revoke %" SCNu64, &e) == 1)
		say_revoke(e, &site_b);
	else if (strncmp(line, "forge garbage", 13) == 0)
		send_raw(garbage, sizeof(garbage));
	else if (sscanf(line, "flood %" SCNu64, &e) == 1)
		flood((unsigned)e);
	else if (strncmp(line, "drop", 4) == 0)
		hang_up();
	else
		warnx("unknown command: %s", line);
	write_state();
}

/* --------------------------------------------------------------- guard --- */

static void
look_at(const struct w_signed *s)
{
	for (shown_key = 1; shown_key >= 0; shown_key--)
		if (wire_check(s, &op[shown_key].pub, 1, W_AUTHORITY, &shown) ==
		    0)
			return;
	errx(1, "the guard shows what no operator signed");
}

static void
on_ask(const struct w_ask *q)
{
	struct w_renewal r = { .group = GROUP,
		.epoch = q->epoch,
		.guard = q->guard,
		.incarnation = q->incarnation,
		.nonce = q->nonce };
	static struct w_yes y;
	const struct wire_key *key = &op[0];

	asks++;
	if (q->n_authority != 1)
		errx(1, "a question without authority");
	look_at(&q->authority[0]);
	if (mode == M_NONE)
		return;
	memset(&y, 0, sizeof(y));
	r.voter = LEASE_OPERATOR;
	if (mode == M_B) {
		r.voter = VOTER_B;
		key = &site_b;
	} else if (mode == M_FORGED)
		key = &site_b; /* for the operator */
	y.voter = r.voter;
	y.n_renewal = 1;
	if (wire_sign(W_RENEWAL, &r, key, &y.renewal[0]) == -1)
		err(1, "sign");
	if (first_yes.n_renewal == 0)
		first_yes = y;
	if (mode == M_REPLAY)
		y = first_yes;
	if (mode == M_OPERATOR || mode == M_B)
		last_yes_ms = now_ms();
	send_frame(W_YES, &y);
}

static void
on_frame(const uint8_t *p, size_t len)
{
	static union wire_any m;
	uint32_t type;

	if (wire_decode(p, len, &type, &m) == -1)
		errx(1, "the guard sent a malformed frame");
	if (type == W_ASK)
		on_ask(&m.w_ask);
	else if (type == W_GUARD_SAYS) {
		if (wire_check(&m.w_guard_says.guard[0], &site_a.pub, 1,
			W_GUARD, &said) == -1)
			err(1, "the guard's signature");
		reports++;
		write_told();
	} else
		errx(1, "the guard sent %s", wire_name(type));
	write_state();
}

static void
on_readable(void)
{
	ssize_t n;
	size_t len;

	n = recv(conn, in + have, sizeof(in) - have, 0);
	if (n <= 0) {
		hang_up();
		write_state();
		return;
	}
	have += (size_t)n;
	while (have >= 2 && have >= (len = 2 + ((size_t)in[0] << 8 | in[1]))) {
		on_frame(in + 2, len - 2);
		have -= len;
		memmove(in, in + len, have);
	}
}

static int
serve(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct pollfd pfd[3];
	char line[256];
	int lfd;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	unlink(path);
	lfd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (lfd == -1 ||
	    bind(lfd, (struct sockaddr *)&sun, sizeof(sun)) == -1 ||
	    listen(lfd, 4) == -1)
		err(1, "%s", path);
	if (chmod(path, 0666) == -1)
		err(1, "%s", path);
	write_state();
	for (;;) {
		pfd[0] = (struct pollfd) { .fd = 0, .events = POLLIN };
		pfd[1] = (struct pollfd) { .fd = lfd, .events = POLLIN };
		pfd[2] = (struct pollfd) { .fd = conn, .events = POLLIN };
		if (poll(pfd, 3, -1) == -1)
			err(1, "poll");
		if (pfd[2].revents != 0)
			on_readable();
		if (pfd[1].revents != 0) {
			hang_up();
			conn = accept(lfd, NULL, NULL);
			conns++;
			write_state();
		}
		if (pfd[0].revents != 0) {
			if (fgets(line, sizeof(line), stdin) == NULL)
				return 0;
			command(line);
		}
	}
}

int
main(int argc, char *argv[])
{
	if (wire_init() == -1)
		errx(1, "libsodium");
	make_keys();
	setvbuf(stdin, NULL, _IONBF, 0);
	if (argc == 3 && strcmp(argv[1], "keys") == 0)
		return keys(argv[2]);
	if (argc == 4 && strcmp(argv[1], "serve") == 0) {
		state_path = argv[3];
		return serve(argv[2]);
	}
	errx(2, "see the head of drive.c");
}
