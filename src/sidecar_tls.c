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
 * A new certificate comes to mysqld: the user changes a Secret, mysql-prober
 * finds it good, the leader tells us which one that is, the kubelet brings it,
 * and mysqld loads it. Only that one: what was mounted in between, or comes
 * after, may lack a name, and would keep every operator out. This side needs
 * no TLS to talk to mysqld, so it is here that a server which came up with a
 * bad one is cured.
 *
 * mysqld reads the files itself, so what it gets can't be handed to it. It is
 * told to at the moment at which they were looked at, and they are looked at
 * again when it is done: what was exchanged in between does not count as
 * loaded.
 *
 * It is loaded once for each server process. mysqld exchanges it first, and
 * then waits until no client is in its log-in, one who stalls there included,
 * and nothing ends that wait: so there is never more than one load under way,
 * it is given all the time that it takes, and one of which nobody knows how it
 * ended is not repeated at once.
 *
 * The files are bytes here; nothing in them is parsed.
 */

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sidecar.h"

#define FILE_MAX     16384 /* of a key of the Secret (msg.def, TLS) */
#define RETRY_MS     10000 /* mysqld refused it; nobody was let in */
#define RETRY_MAX_MS 300000
#define LOST_MS      60000 /* perhaps loaded */
#define LOST_MAX_MS  900000
/* Uptime has whole seconds at both ends, and its answer takes a while. */
#define START_MS     3000
#define HEX_LEN      8 /* of a digest, in the log */

_Static_assert(crypto_hash_sha256_BYTES == SC_DIGEST,
    "the digest of W_OPERATOR is a SHA-256");

static const char *
hex(const uint8_t *digest, char out[static HEX_LEN + 1])
{
	for (size_t i = 0; i < HEX_LEN / 2; i++)
		(void)snprintf(out + 2 * i, 3, "%02x", digest[i]);
	return out;
}

/* ------------------------------------------------------------------- files --- */

static void
stamp_of(const struct stat *st, struct sc_stamp *s)
{
	s->dev = (uint64_t)st->st_dev;
	s->ino = (uint64_t)st->st_ino;
	s->size = (uint64_t)st->st_size;
	s->ctime_ns =
	    st->st_ctim.tv_sec * INT64_C(1000000000) + st->st_ctim.tv_nsec;
}

/* The descriptor, or -1. */
static int
open_stamped(const char *path, struct sc_stamp *s)
{
	struct stat st;
	int fd, saved;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) == -1)
		return -1;
	if (fstat(fd, &st) == -1) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	stamp_of(&st, s);
	return fd;
}

static int
add_file(crypto_hash_sha256_state *h, int fd)
{
	static uint8_t buf[FILE_MAX + 1];
	size_t have = 0;
	ssize_t n = 0;

	while (have < sizeof(buf) &&
	    (n = read(fd, buf + have, sizeof(buf) - have)) > 0)
		have += (size_t)n;
	if (n == -1)
		return -1;
	if (have == sizeof(buf)) {
		errno = EFBIG;
		return -1;
	}
	(void)crypto_hash_sha256_update(h, buf, have);
	return 0;
}

/* 0, or why: err of the one that is not open. *bad: the file. */
static int
digest_of(struct sidecar *sc, const int fd[static 2], int err, const char **bad)
{
	crypto_hash_sha256_state h;

	(void)crypto_hash_sha256_init(&h);
	*bad = sc->conf.ca_file;
	if (fd[0] == -1)
		return err;
	if (add_file(&h, fd[0]) == -1)
		return errno;
	(void)crypto_hash_sha256_update(&h, (const uint8_t *)"", 1);
	*bad = sc->conf.cert_file;
	if (fd[1] == -1)
		return err;
	if (add_file(&h, fd[1]) == -1)
		return errno;
	(void)crypto_hash_sha256_final(&h, sc->tls.have);
	return 0;
}

/* Take what was opened, or why it can't be. */
static void
take_files(struct sidecar *sc, const int fd[static 2], int err)
{
	struct sc_tls *t = &sc->tls;
	uint8_t old[SC_DIGEST];
	const char *bad;
	int before = t->err;

	memcpy(old, t->have, sizeof(old));
	memset(t->have, 0, sizeof(t->have));
	t->err = digest_of(sc, fd, err, &bad);
	if (t->err != before || memcmp(old, t->have, sizeof(old)) != 0)
		t->logged = false;
	if (t->err != 0 && t->err != before)
		log_ev(LL_WARN, "certificate is not readable", KVS("file", bad),
		    KVS("error", strerror(t->err)));
}

/*
 * What is mounted; afresh: whatever the inodes say. A half-way exchange is
 * nothing that anybody wants. True: it was exchanged.
 */
static bool
read_files(struct sidecar *sc, bool afresh)
{
	const char *const path[2] = { sc->conf.ca_file, sc->conf.cert_file };
	struct sc_tls *t = &sc->tls;
	struct sc_stamp s[2];
	int fd[2] = { -1, -1 }, err = 0;
	bool other;

	memset(s, 0, sizeof(s));
	for (size_t i = 0; i < 2 && err == 0; i++)
		if ((fd[i] = open_stamped(path[i], &s[i])) == -1)
			err = errno;
	other = err != t->open_err || memcmp(s, t->stamp, sizeof(s)) != 0;
	if (other || afresh) {
		memcpy(t->stamp, s, sizeof(s));
		t->open_err = err;
		take_files(sc, fd, err);
	}
	for (size_t i = 0; i < 2; i++)
		if (fd[i] != -1)
			close(fd[i]);
	return other;
}

/* ------------------------------------------------------------------ server --- */

static bool
guard_known(const struct sidecar *sc)
{
	return sc->have_guard && sc->said.running;
}

static void
server_now(const struct sidecar *sc, struct sc_server *s)
{
	memset(s, 0, sizeof(*s));
	s->session_ns = sc->mysql.session_ns;
	s->start_ns = sc->mysql.start_ns;
	if (!guard_known(sc))
		return;
	s->guard = sc->said.guard;
	s->incarnation = sc->said.incarnation;
}

/*
 * The guard counts its servers. Without it, a session that stands says so, and
 * else the server's own uptime: rather one load too many than one too few.
 */
static bool
same_server(struct sidecar *sc, struct sc_server *s)
{
	struct sc_server now;
	int64_t diff;

	server_now(sc, &now);
	if (now.guard != 0 && s->guard != 0) {
		if (now.guard != s->guard || now.incarnation != s->incarnation)
			return false;
	} else if (now.session_ns != s->session_ns) {
		diff = (now.start_ns - s->start_ns) / 1000000;
		if (now.start_ns == 0 || s->start_ns == 0 || diff > START_MS ||
		    diff < -START_MS)
			return false;
	}
	s->session_ns = now.session_ns;
	if (now.guard != 0) {
		s->guard = now.guard;
		s->incarnation = now.incarnation;
	}
	return true;
}

/* -------------------------------------------------------------------- load --- */

static void
later(struct sc_tls *t, int64_t first_ms, int64_t max_ms)
{
	t->wait_ms = t->wait_ms < first_ms ? first_ms : t->wait_ms * 2;
	if (t->wait_ms > max_ms)
		t->wait_ms = max_ms;
	t->due_ms = sc_now_ms() + t->wait_ms;
}

static void
at_once(struct sc_tls *t)
{
	t->due_ms = t->wait_ms = 0;
}

static bool
tell(struct sidecar *sc, enum tls_step step)
{
	struct m_sc_tls m = { .nr = sc->tls.nr, .step = step };

	return sc_send(sc, PROC_MYSQL, MSG_SC_TLS, &m);
}

static bool
mounted(const struct sc_tls *t)
{
	return t->wanted && t->err == 0 &&
	    memcmp(t->have, t->want, SC_DIGEST) == 0;
}

static void
log_wanted(struct sc_tls *t)
{
	char want[HEX_LEN + 1], have[HEX_LEN + 1];

	if (t->logged || !t->wanted)
		return;
	t->logged = true;
	log_ev(LL_INFO, "certificate wanted", KVS("wanted", hex(t->want, want)),
	    KVS("mounted", t->err != 0 ? "" : hex(t->have, have)));
}

void
sc_tls_look(struct sidecar *sc)
{
	struct sc_tls *t = &sc->tls;

	if (sc->conf.tls_dir[0] == '\0')
		return;
	/* Other files are another try; but one may still be blocked. */
	if (read_files(sc, false) && !t->perhaps)
		at_once(t);
	log_wanted(t);
	if ((t->loaded || t->perhaps) && sc->mysql.session_ns != 0 &&
	    t->state == SCT_IDLE && !same_server(sc, &t->server)) {
		t->loaded = t->perhaps = false;
		at_once(t);
	}
	sc->state.tls_pending = t->wanted &&
	    !(t->loaded && memcmp(t->sent, t->want, SC_DIGEST) == 0);
	if (t->state != SCT_IDLE || !sc->state.tls_pending || !mounted(t) ||
	    sc->mysql.session_ns == 0 || sc_now_ms() < t->due_ms)
		return;
	t->nr++;
	if (tell(sc, TL_BEGIN))
		t->state = SCT_BEGUN;
}

/* The session stands: the files are what they shall be, now? */
static void
permit(struct sidecar *sc)
{
	struct sc_tls *t = &sc->tls;

	(void)read_files(sc, true);
	if (!mounted(t)) {
		t->state = SCT_IDLE;
		(void)tell(sc, TL_STOP);
		return;
	}
	if (!tell(sc, TL_GO))
		return; /* its own deadline ends it */
	t->state = SCT_SENT;
	t->loaded = t->perhaps = false;
	memcpy(t->sent, t->have, SC_DIGEST);
	memcpy(t->sent_stamp, t->stamp, sizeof(t->stamp));
	server_now(sc, &t->server);
}

static void
loaded(struct sidecar *sc)
{
	struct sc_tls *t = &sc->tls;
	char sent[HEX_LEN + 1], have[HEX_LEN + 1];

	(void)read_files(sc, true);
	t->loaded = t->err == 0 && memcmp(t->sent, t->have, SC_DIGEST) == 0 &&
	    memcmp(t->sent_stamp, t->stamp, sizeof(t->stamp)) == 0;
	at_once(t);
	if (t->loaded)
		log_ev(LL_INFO, "certificate loaded",
		    KVS("digest", hex(t->sent, sent)));
	else
		log_ev(LL_WARN, "certificate exchanged while it was loaded",
		    KVS("digest", hex(t->sent, sent)),
		    KVS("mounted", t->err != 0 ? "" : hex(t->have, have)));
}

static void
perhaps(struct sc_tls *t, const char *why)
{
	char sent[HEX_LEN + 1];

	t->perhaps = true;
	later(t, LOST_MS, LOST_MAX_MS);
	log_ev(LL_WARN, "certificate perhaps loaded",
	    KVS("digest", hex(t->sent, sent)), KVS("error", why),
	    KVMS("againIn", t->wait_ms));
}

static void
not_loaded(struct sc_tls *t, const struct m_sc_tls_says *m)
{
	char want[HEX_LEN + 1];

	later(t, RETRY_MS, RETRY_MAX_MS);
	log_ev(LL_WARN, "certificate not loaded",
	    KVS("digest", hex(t->want, want)), KVU("errno", m->err),
	    KVS("error", m->error), KVMS("againIn", t->wait_ms));
}

void
sc_tls_says(struct sidecar *sc, const struct m_sc_tls_says *m)
{
	struct sc_tls *t = &sc->tls;
	char sent[HEX_LEN + 1];

	if (m->nr != t->nr || t->state == SCT_IDLE)
		return; /* it crossed our TL_STOP */
	if ((m->step == TL_ASK && t->state != SCT_BEGUN) ||
	    ((m->step == TL_LOADED || m->step == TL_LOST) &&
		t->state != SCT_SENT))
		fatalx("step %u of a load at %u", m->step, t->state);
	switch ((enum tls_step)m->step) {
	case TL_ASK:
		permit(sc);
		return;
	case TL_SLOW:
		log_ev(LL_WARN, "certificate takes long to load",
		    KVS("digest", hex(t->sent, sent)));
		return;
	case TL_LOADED:
		loaded(sc);
		break;
	case TL_LOST:
		perhaps(t, m->error);
		break;
	case TL_REFUSED:
	case TL_BUSY:
	case TL_FAILED:
		not_loaded(t, m);
		break;
	case TL_BEGIN:
	case TL_GO:
	case TL_STOP:
	case TL_MAX:
		fatalx("step %u of a load", m->step);
	}
	t->state = SCT_IDLE;
	sc_tls_look(sc);
}

void
sc_tls_lost(struct sidecar *sc)
{
	struct sc_tls *t = &sc->tls;

	if (t->state == SCT_SENT)
		perhaps(t, "worker mysql died");
	t->state = SCT_IDLE;
}

/*
 * The last word counts. One operator leads at a time, and repeats it with each
 * beat; a frame of the one before it that comes late is put right by the next
 * beat of the new one, and until then loads nothing but what is mounted and was
 * good a moment ago. None is the word of a leader whose prober has not judged
 * the Secret yet: what this server has stays known, so that the same word later
 * is no reason to load it again.
 */
void
sc_tls_want(struct sidecar *sc, const uint8_t *digest, size_t len)
{
	struct sc_tls *t = &sc->tls;
	bool wanted = len == SC_DIGEST;

	if (wanted == t->wanted &&
	    (!wanted || memcmp(digest, t->want, SC_DIGEST) == 0))
		return;
	t->wanted = wanted;
	if (wanted && memcmp(digest, t->want, SC_DIGEST) != 0) {
		memcpy(t->want, digest, SC_DIGEST);
		t->logged = false;
		if (!t->perhaps)
			at_once(t);
	}
	sc_tls_look(sc);
}
