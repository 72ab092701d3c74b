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
 * memory: makes promises durable.
 *
 * Rights: writes to one file that was opened before, the promise file. A
 * process of its own because fdatasync(2) of a busy volume takes its time,
 * and questions of guards must not wait for it. Holds no key. Who takes it
 * over can forget promises at the next restart of the sidecar, which makes
 * revocations worth less than they say, but can't say yes to anybody.
 */

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <unistd.h>

#include "promise.h"
#include "sidecar.h"

/*
 * Without a file there is nothing to do, but it may come (the disk was full,
 * another sidecar ended): end, and be started again. Longer than a death a
 * quarter of a minute would end the parent, too.
 */
#define NO_FILE_S 20

const struct sandbox sc_mem_sandbox = {
	.allow = SB_WRITEFD,
	.max_files = 16,
};

static struct promise file = { .fd = -1 };

static void
no_file_cb(evutil_socket_t fd, short what, void *arg)
{
	ps_worker_stop(arg);
}

static int
wait_for_file(struct ps_worker *w)
{
	struct timeval tv = { NO_FILE_S, 0 };

	return event_base_once(ps_base(w), -1, EV_TIMEOUT, no_file_cb, w, &tv);
}

int
sc_mem_setup(struct ps_worker *w)
{
	static struct m_sc_memory_conf conf;
	static struct m_sc_memory m;
	int fd = -1, out = -1, rc;

	if (ps_worker_recv(w, MSG_SC_MEMORY_CONF, &conf, &fd) == -1) {
		log_warn("no configuration");
		return -1;
	}
	if (conf.dir[0] == '\0')
		return 0;
	if (conf.have_fd)
		rc = promise_adopt(&file, fd, conf.owner);
	else if ((rc = promise_open(&file, conf.dir, conf.owner, &m.fresh)) ==
	    0)
		out = dup(file.fd);
	if (rc == 0) {
		m.id = file.id;
		m.promised = file.promised;
		m.heard = file.heard;
		m.lease_ms = file.lease_ms;
		m.note.len = (uint32_t)promise_note_get(&file, m.note.data);
	} else {
		(void)strlcpy(m.problem,
		    errno == EWOULDBLOCK ? "another sidecar holds it" :
					   strerror(errno),
		    sizeof(m.problem));
		if (wait_for_file(w) == -1)
			return -1;
	}
	return ps_worker_send(w, MSG_SC_MEMORY, &m, out);
}

void
sc_mem_dispatch(struct ps_worker *w, uint32_t type, void *msg, int fd)
{
	const struct m_sc_put *put = msg;
	const struct m_sc_note *note = msg;
	struct m_sc_durable m = { 0 };

	if (fd != -1)
		fatalx("unexpected descriptor with message %u", type);
	if (file.fd == -1)
		return;
	switch (type) {
	case MSG_SC_PUT:
		if (promise_put(&file, put->promised, put->heard,
			put->lease_ms) == -1) {
			(void)strlcpy(
			    m.error, strerror(errno), sizeof(m.error));
		} else {
			m.promised = file.promised;
			m.heard = file.heard;
			m.lease_ms = file.lease_ms;
		}
		if (ps_worker_send(w, MSG_SC_DURABLE, &m, -1) == -1 &&
		    errno != ENOTCONN)
			fatal("send");
		break;
	case MSG_SC_NOTE:
		if (promise_note_put(&file, note->note.data, note->note.len) ==
		    -1)
			log_warn("addresses of voters not noted");
		break;
	default:
		fatalx("unexpected message %u", type);
	}
}
