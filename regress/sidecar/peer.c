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
 * One end of a link, or the guard, with the real wire.c, for sidecar.py:
 *
 *	peer keys DIR SITE [KEY]	make that site's Secret; KEY is another
 *					one of the operator's
 *	peer operator ADDR POD [KEY]	an operator; proves itself, beats
 *	peer site NAME ADDR		another site's sidecar that asks
 *	peer voter NAME ADDR ID		one that listens, and says yes
 *	peer guard PATH SITE		the guard of this Pod
 *
 * What comes is printed, a line each. Commands on standard input:
 *
 *	offer EPOCH SITE POD GUARD INC CHECK VOTER:SITE[:IP]...
 *	revoke EPOCH | promise EPOCH | yes 0|1 | leader 0|1 | quiet
 *	tls DIGEST			certificate to be loaded
 *	sees POD AGE			the active site's process was seen
 *	ask EPOCH NONCE [GUARD INC]	with the authority of the last offer
 *	says HELD INC REVOKED [0]	the guard's report; 0: its server ended
 *	forge | replay | skip		a bad frame
 *
 * Ends with standard input, or when the link does ("closed").
 */

#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "link.h"
#include "wire.h"

#define GROUP   "ns/g"
#define BEAT_MS 300
#define WORDS   24

enum role { R_OPERATOR, R_SITE, R_VOTER, R_GUARD };

static enum role role;
static int sock = -1;
static struct wire_link wl;
static struct wire_key key;
static struct wire_trust trust;
static char self[NAME_LEN + 1]; /* our site */
static char pod[UID_LEN + 1];
static char their[NAME_LEN + 1]; /* site at the other end */
static uint64_t self_id;
static uint32_t lease_ms = 3000; /* of terms that are offered */
static bool proved, leader = true, answer = true, quiet_now;
static uint8_t tls[32];      /* digest of a certificate, */
static uint32_t tls_len;     /* 0: none */
static struct w_sight sight; /* no Pod: none */
static struct w_offer offer; /* made, or taken */
static struct w_authority terms;
static uint8_t in[2 * (LINK_HEAD + LINK_FRAME_MAX)];
static size_t have;
static uint8_t last[LINK_HEAD + LINK_FRAME_MAX]; /* frame sent */
static size_t lastlen;
static uint64_t serial, held, revoked;
static uint32_t inc = 1;
static bool runs = true; /* the guard's server */

static void
key_of(const char *name, struct wire_key *k)
{
	uint8_t seed[WIRE_KEY_LEN];
	size_t i, n = strlen(name);

	for (i = 0; i < sizeof(seed); i++)
		seed[i] = (uint8_t)((n > 0 ? name[i % n] : 'O') + i);
	wire_key_from_seed(k, seed);
}

/* ------------------------------------------------------------------- keys --- */

static void
write_file(const char *dir, const char *name, const char *text)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if ((f = fopen(path, "w")) == NULL || fputs(text, f) == EOF ||
	    fclose(f) == EOF || chmod(path, 0644) == -1)
		err(1, "%s", path);
}

static size_t
trust_text(char *text, size_t size, const char *op)
{
	static const char *const names[] = { "a", "b", "c" };
	char hex[WIRE_HEX_LEN + 1];
	struct wire_key k;
	int n;

	key_of("", &k);
	wire_hex(k.pub.b, hex);
	n = snprintf(text, size, "operator %s\n", hex);
	if (op != NULL) {
		key_of(op, &k);
		wire_hex(k.pub.b, hex);
		n += snprintf(text + n, size - (size_t)n, "operator %s\n", hex);
	}
	for (size_t i = 0; i < PS_NITEMS(names); i++) {
		key_of(names[i], &k);
		wire_hex(k.pub.b, hex);
		n += snprintf(
		    text + n, size - (size_t)n, "site %s %s\n", names[i], hex);
	}
	return (size_t)n;
}

static int
make_keys(const char *dir, const char *site, const char *op)
{
	char text[1024], hex[WIRE_HEX_LEN + 1];
	struct wire_key k;

	key_of(site, &k);
	wire_hex(k.secret, hex); /* its first half is the seed */
	write_file(dir, "seed", hex);
	write_file(dir, "generation", op == NULL ? "1\n" : "2\n");
	(void)trust_text(text, sizeof(text), op);
	write_file(dir, "trust", text);
	return 0;
}

/* ---------------------------------------------------------------- sending --- */

static void
put(const uint8_t *frame, size_t len)
{
	last[0] = (uint8_t)(len >> 8);
	last[1] = (uint8_t)len;
	memcpy(last + LINK_HEAD, frame, len);
	lastlen = LINK_HEAD + len;
	if (send(sock, last, lastlen, MSG_NOSIGNAL) != (ssize_t)lastlen)
		printf("send failed\n");
}

static void
say(uint32_t type, const void *m)
{
	static uint8_t frame[WIRE_FRAME_MAX];
	int n;

	if (role == R_GUARD)
		n = wire_encode(type, m, frame, sizeof(frame));
	else
		n = wire_seal(&wl, &key, type, m, frame, sizeof(frame));
	if (n == -1)
		err(1, "%s", wire_name(type));
	put(frame, (size_t)n);
}

static void
hello(void)
{
	static uint8_t frame[WIRE_FRAME_MAX];
	static struct w_hello h;
	int n;

	memset(&h, 0, sizeof(h));
	h.version = WIRE_VERSION;
	h.operator= role == R_OPERATOR;
	strlcpy(h.group, GROUP, sizeof(h.group));
	strlcpy(h.site, self, sizeof(h.site));
	strlcpy(h.pod_uid, pod, sizeof(h.pod_uid));
	h.id = self_id;
	h.nonce.len = WIRE_NONCE_LEN;
	if (getrandom(h.nonce.data, h.nonce.len, 0) != WIRE_NONCE_LEN)
		err(1, "getrandom");
	if ((n = wire_hello(&wl, &h, frame, sizeof(frame))) == -1)
		err(1, "hello");
	put(frame, (size_t)n);
}

static void
beat(void)
{
	static struct w_operator o;
	static struct w_report r;

	if (!wl.heard || quiet_now)
		return;
	if (role == R_OPERATOR) {
		o.leader = leader;
		o.tls.len = tls_len;
		memcpy(o.tls.data, tls, sizeof(tls));
		o.n_sight = sight.pod_uid[0] != '\0';
		o.sight[0] = sight;
		say(W_OPERATOR, &o);
	} else if (role != R_GUARD) {
		r.id = self_id;
		r.yes_age_ms = -1;
		say(W_REPORT, &r);
	}
}

static void
yes(const struct w_ask *a)
{
	static struct w_yes m;
	struct w_renewal r = { .epoch = a->epoch,
		.guard = a->guard,
		.incarnation = a->incarnation,
		.nonce = a->nonce,
		.voter = self_id };

	strlcpy(r.group, GROUP, sizeof(r.group));
	m.voter = self_id;
	m.n_renewal = 1;
	if (wire_sign(W_RENEWAL, &r, &key, &m.renewal[0]) == -1)
		err(1, "renewal");
	say(W_YES, &m);
}

static void
guard_says(void)
{
	static struct w_guard_says m;
	static struct w_guard g;

	memset(&g, 0, sizeof(g));
	strlcpy(g.group, GROUP, sizeof(g.group));
	strlcpy(g.site, self, sizeof(g.site));
	strlcpy(g.pod_uid, pod, sizeof(g.pod_uid));
	g.guard = 4711;
	g.serial = ++serial;
	g.incarnation = inc;
	g.running = runs;
	g.killer = true;
	g.held = held;
	g.revoked = revoked;
	g.left_ms = held != 0 ? 3000 : 0;
	g.fences = revoked != 0;
	m.n_guard = 1;
	if (wire_sign(W_GUARD, &g, &key, &m.guard[0]) == -1)
		err(1, "report");
	say(W_GUARD_SAYS, &m);
}

/* -------------------------------------------------------------- receiving --- */

static void
show_report(const struct w_report *r)
{
	static struct w_guard g;

	printf("report id=%" PRIu64 " promised=%" PRIu64 " heard=%" PRIu64
	       " informed=%d yes=%" PRIu64 " keys=%" PRIu64
	       " mysql=%d guard=%d",
	    r->id, r->promised, r->heard, r->informed, r->yes_epoch, r->keys,
	    r->mysql_ok, r->have_guard);
	if (r->n_guard == 1 &&
	    codec_decode(wire_desc(W_GUARD), r->guard[0].body.data,
		r->guard[0].body.len, &g) == 0)
		printf(" serial=%" PRIu64 " held=%" PRIu64, g.serial, g.held);
	if (r->n_sight == 1)
		printf(" sight=%s age=%" PRId64, r->sight[0].pod_uid,
		    r->sight[0].age_ms);
	printf("\n");
}

static void
show_yes(const struct w_yes *y)
{
	static struct w_renewal r;
	const struct wire_pub *pub;
	const char *site = "";
	size_t n;

	/* Whoever of the voters it says to be must have signed it. */
	for (uint32_t i = 0; i < terms.n_voters; i++)
		if (terms.voters[i].id == y->voter)
			site = terms.voters[i].site;
	pub = wire_trust_find(&trust, site, &n);
	if (wire_check(&y->renewal[0], pub, n, W_RENEWAL, &r) == -1)
		printf("badyes voter=%" PRIu64 "\n", y->voter);
	else
		printf("yes voter=%" PRIu64 " epoch=%" PRIu64 " nonce=%" PRIu64
		       "\n",
		    y->voter, r.epoch, r.nonce);
}

static void
take_offer(const struct w_offer *o)
{
	const struct wire_pub *pub;
	size_t n;

	pub = wire_trust_find(&trust, "", &n);
	if (o->n_authority != 1 ||
	    wire_check(&o->authority[0], pub, n, W_AUTHORITY, &terms) == -1) {
		printf("badoffer\n");
		return;
	}
	offer = *o;
	printf("offer epoch=%" PRIu64 " site=%s\n", terms.epoch, terms.site);
}

static void
show(uint32_t type, const union wire_any *m)
{
	static struct w_revoke r;
	const struct wire_pub *pub;
	size_t n;

	if (type == W_REPORT)
		show_report(&m->w_report);
	else if (type == W_PROMISE)
		printf("promise epoch=%" PRIu64 " id=%" PRIu64 " age=%" PRId64
		       " lease=%" PRIu32 "\n",
		    m->w_promise.epoch, m->w_promise.id, m->w_promise.age_ms,
		    m->w_promise.lease_ms);
	else if (type == W_ASK) {
		printf("ask epoch=%" PRIu64 " nonce=%" PRIu64 "\n",
		    m->w_ask.epoch, m->w_ask.nonce);
		if (answer)
			yes(&m->w_ask);
	} else if (type == W_YES)
		show_yes(&m->w_yes);
	else if (type == W_OFFER)
		take_offer(&m->w_offer);
	else if (type == W_REVOCATION) {
		pub = wire_trust_find(&trust, "", &n);
		if (wire_check(
			&m->w_revocation.revoke[0], pub, n, W_REVOKE, &r) == 0)
			printf("revoke epoch=%" PRIu64 "\n", r.epoch);
	} else if (type == W_GUARD_ASK) {
		if (!quiet_now)
			guard_says();
	} else
		printf("other %s\n", wire_name(type));
}

static void
got(const uint8_t *p, size_t len)
{
	static union wire_any any;
	static struct w_hello h;
	const struct wire_pub *pub;
	uint32_t type;
	size_t n;

	if (role == R_GUARD) {
		if (wire_decode(p, len, &type, &any) == -1)
			err(1, "from the sidecar");
		show(type, &any);
		return;
	}
	if (!wl.heard) {
		if (wire_heard(&wl, p, len, &h) == -1)
			err(1, "hello");
		strlcpy(their, h.site, sizeof(their));
		printf("hello site=%s id=%" PRIu64 "\n", h.site, h.id);
		if (role == R_VOTER)
			hello();
		else
			beat();
		return;
	}
	pub = wire_trust_find(&trust, their, &n);
	if (wire_open(&wl, pub, n, p, len, &type, &any) == -1)
		err(1, "frame");
	if (!proved) {
		proved = true;
		printf("proved\n");
		if (role == R_VOTER)
			beat();
	}
	show(type, &any);
}

static void
hang_up(void)
{
	printf("closed\n");
	fflush(stdout);
	if (role != R_VOTER)
		exit(0);
	close(sock);
	sock = -1;
	memset(&wl, 0, sizeof(wl));
	proved = false;
	have = 0;
}

static void
read_sock(void)
{
	size_t off = 0, len;
	ssize_t n;
	int rc;

	n = read(sock, in + have, sizeof(in) - have);
	if (n <= 0) {
		hang_up();
		return;
	}
	have += (size_t)n;
	while ((rc = link_frame(in + off, have - off, &len)) == 1) {
		got(in + off + LINK_HEAD, len);
		off += LINK_HEAD + len;
	}
	if (rc == -1)
		errx(1, "no frame");
	memmove(in, in + off, have - off);
	have -= off;
}

/* --------------------------------------------------------------- commands --- */

static uint64_t
num(const char *s)
{
	return strtoull(s, NULL, 10);
}

/* VOTER:SITE[:IP]; the operator is "1:". */
static void
add_voter(struct w_authority *a, char *s)
{
	struct w_voter *v = &a->voters[a->n_voters++];
	struct w_addr *w;
	char *site, *ip;

	site = strchr(s, ':');
	*site++ = '\0';
	if ((ip = strchr(site, ':')) != NULL)
		*ip++ = '\0';
	v->id = num(s);
	strlcpy(v->site, site, sizeof(v->site));
	if (ip == NULL)
		return;
	w = &offer.addrs[offer.n_addrs++];
	w->id = v->id;
	strlcpy(w->ip, ip, sizeof(w->ip));
	w->port = BR_LINK_PORT;
}

static void
cmd_offer(char **w, unsigned n)
{
	const struct wire_key *by = &key;
	struct wire_key k;

	memset(&terms, 0, sizeof(terms));
	memset(&offer, 0, sizeof(offer));
	strlcpy(terms.group, GROUP, sizeof(terms.group));
	terms.epoch = num(w[1]);
	strlcpy(terms.site, w[2], sizeof(terms.site));
	strlcpy(terms.pod_uid, w[3], sizeof(terms.pod_uid));
	terms.guard = num(w[4]);
	terms.incarnation = (uint32_t)num(w[5]);
	terms.check_ms = (uint32_t)num(w[6]);
	terms.lease_ms = lease_ms;
	terms.fence_ms = lease_fence_ms(terms.lease_ms);
	for (unsigned i = 7; i < n; i++)
		add_voter(&terms, w[i]);
	terms.quorum = lease_quorum((uint8_t)terms.n_voters);
	if (role != R_OPERATOR) {
		key_of("", &k);
		by = &k;
	}
	offer.n_authority = 1;
	if (wire_sign(W_AUTHORITY, &terms, by, &offer.authority[0]) == -1)
		err(1, "authority");
	/* Whoever else is told to make one only shows it in its questions. */
	if (role == R_OPERATOR)
		say(W_OFFER, &offer);
}

static void
cmd_revoke(char **w, unsigned n)
{
	static struct w_revocation m;
	static struct w_revoke r;

	strlcpy(r.group, GROUP, sizeof(r.group));
	r.epoch = num(w[1]);
	m.n_revoke = 1;
	if (wire_sign(W_REVOKE, &r, &key, &m.revoke[0]) == -1)
		err(1, "revoke");
	say(W_REVOCATION, &m);
}

static void
cmd_promise(char **w, unsigned n)
{
	struct w_promise_ask m = { .epoch = num(w[1]) };

	say(W_PROMISE_ASK, &m);
}

static void
cmd_ask(char **w, unsigned n)
{
	static struct w_ask m;

	m.epoch = num(w[1]);
	m.nonce = num(w[2]);
	m.guard = n > 4 ? num(w[3]) : terms.guard;
	m.incarnation = n > 4 ? (uint32_t)num(w[4]) : terms.incarnation;
	m.n_authority = 1;
	m.authority[0] = offer.authority[0];
	say(W_ASK, &m);
}

static void
cmd_says(char **w, unsigned n)
{
	held = num(w[1]);
	inc = (uint32_t)num(w[2]);
	revoked = num(w[3]);
	runs = n < 5 || num(w[4]) != 0;
	guard_says();
}

static void
cmd_set(char **w, unsigned n)
{
	if (strcmp(w[0], "yes") == 0)
		answer = w[1][0] == '1';
	else if (strcmp(w[0], "lease") == 0)
		lease_ms = (uint32_t)num(w[1]);
	else
		leader = w[1][0] == '1';
}

static void
cmd_tls(char **w, unsigned n)
{
	char byte[3] = "";

	tls_len = 0;
	while (tls_len < sizeof(tls) && strlen(w[1]) == 2 * sizeof(tls)) {
		memcpy(byte, w[1] + 2 * tls_len, 2);
		tls[tls_len++] = (uint8_t)strtoul(byte, NULL, 16);
	}
}

static void
cmd_sees(char **w, unsigned n)
{
	memset(&sight, 0, sizeof(sight));
	if (strcmp(w[1], "none") != 0)
		strlcpy(sight.pod_uid, w[1], sizeof(sight.pod_uid));
	strlcpy(sight.server_uuid, "uuid", sizeof(sight.server_uuid));
	sight.start_ms = 1;
	sight.age_ms = (int64_t)num(w[2]);
	beat();
}

static void
cmd_bad(char **w, unsigned n)
{
	struct w_promise_ask m = { .epoch = 1 };

	if (strcmp(w[0], "quiet") == 0) {
		quiet_now = true;
		return;
	}
	if (strcmp(w[0], "forge") == 0)
		last[LINK_HEAD] ^= 1;
	else if (strcmp(w[0], "skip") == 0) {
		wl.tx++;
		say(W_PROMISE_ASK, &m);
		return;
	}
	if (send(sock, last, lastlen, MSG_NOSIGNAL) != (ssize_t)lastlen)
		printf("send failed\n");
}

static const struct {
	const char *name;
	unsigned words;
	void (*run)(char **, unsigned);
} cmds[] = {
	{ "offer", 8, cmd_offer },
	{ "revoke", 2, cmd_revoke },
	{ "promise", 2, cmd_promise },
	{ "ask", 3, cmd_ask },
	{ "says", 4, cmd_says },
	{ "yes", 2, cmd_set },
	{ "leader", 2, cmd_set },
	{ "lease", 2, cmd_set },
	{ "tls", 2, cmd_tls },
	{ "sees", 3, cmd_sees },
	{ "quiet", 1, cmd_bad },
	{ "forge", 1, cmd_bad },
	{ "replay", 1, cmd_bad },
	{ "skip", 1, cmd_bad },
};

static void
command(void)
{
	char line[4096], *s = line, *w[WORDS];
	unsigned n = 0;

	if (fgets(line, sizeof(line), stdin) == NULL)
		exit(0);
	while (n < WORDS && (w[n] = strsep(&s, " \n")) != NULL)
		if (*w[n] != '\0')
			n++;
	for (size_t i = 0; i < PS_NITEMS(cmds); i++)
		if (n >= cmds[i].words && strcmp(w[0], cmds[i].name) == 0) {
			cmds[i].run(w, n);
			return;
		}
	errx(1, "what?");
}

/* ------------------------------------------------------------------ start --- */

static struct sockaddr_in
address(const char *ip)
{
	struct sockaddr_storage ss;
	struct sockaddr_in sin;

	if (net_addr(ip, BR_LINK_PORT, &ss) != sizeof(sin))
		errx(1, "%s", ip);
	memcpy(&sin, &ss, sizeof(sin));
	return sin;
}

static int
dial(const char *where)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct sockaddr_in sin;
	int s;

	if (role == R_GUARD) {
		strlcpy(sun.sun_path, where, sizeof(sun.sun_path));
		s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (s == -1 ||
		    connect(s, (struct sockaddr *)&sun, sizeof(sun)) == -1)
			err(1, "%s", where);
		return s;
	}
	sin = address(where);
	s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s == -1 || connect(s, (struct sockaddr *)&sin, sizeof(sin)) == -1)
		err(1, "%s", where);
	return s;
}

static int
listen_at(const char *where)
{
	struct sockaddr_in sin = address(where);
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (s == -1 ||
	    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1 ||
	    bind(s, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    listen(s, 4) == -1)
		err(1, "%s", where);
	return s;
}

static void
loop(int lfd)
{
	struct pollfd p[3];
	int64_t next = 0, now;

	for (;;) {
		fflush(stdout);
		now = monotime_now().ns / 1000000;
		if (now >= next && sock != -1) {
			beat();
			next = now + BEAT_MS;
		}
		p[0] = (struct pollfd) { STDIN_FILENO, POLLIN, 0 };
		p[1] = (struct pollfd) { sock, POLLIN, 0 };
		p[2] = (struct pollfd) { sock == -1 ? lfd : -1, POLLIN, 0 };
		if (poll(p, 3, BEAT_MS) == -1)
			err(1, "poll");
		if (p[1].revents != 0)
			read_sock();
		if (p[2].revents != 0)
			sock = accept4(lfd, NULL, NULL, SOCK_CLOEXEC);
		if (p[0].revents != 0)
			command();
	}
}

int
main(int argc, char **argv)
{
	char text[1024], why[128];
	int lfd = -1;

	if (argc < 3 || wire_init() == -1)
		errx(2, "see the head of peer.c");
	setvbuf(stdin, NULL, _IONBF, 0);
	if (strcmp(argv[1], "keys") == 0 && (argc == 4 || argc == 5))
		return make_keys(argv[2], argv[3], argv[4]);
	if (wire_trust_parse(text, trust_text(text, sizeof(text), "next"),
		&trust, why, sizeof(why)) == -1)
		errx(1, "%s", why);
	if (strcmp(argv[1], "operator") == 0 && (argc == 4 || argc == 5)) {
		role = R_OPERATOR;
		self_id = LEASE_OPERATOR;
		strlcpy(pod, argv[3], sizeof(pod));
		sock = dial(argv[2]);
	} else if (strcmp(argv[1], "site") == 0 && argc == 4) {
		role = R_SITE;
		strlcpy(self, argv[2], sizeof(self));
		self_id = 7;
		sock = dial(argv[3]);
	} else if (strcmp(argv[1], "voter") == 0 && argc == 5) {
		role = R_VOTER;
		strlcpy(self, argv[2], sizeof(self));
		self_id = num(argv[4]);
		lfd = listen_at(argv[3]);
	} else if (strcmp(argv[1], "guard") == 0 && argc == 4) {
		role = R_GUARD;
		strlcpy(self, argv[3], sizeof(self));
		sock = dial(argv[2]);
	} else
		errx(2, "see the head of peer.c");
	key_of(role == R_OPERATOR && argc == 5 ? argv[4] : self, &key);
	printf("ready\n");
	if (role == R_OPERATOR || role == R_SITE)
		hello();
	loop(lfd);
	return 0;
}
