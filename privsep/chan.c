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
 * Channels: SOCK_SEQPACKET socketpairs, so that boundaries, EOF and fd
 * passing come free. Nothing here blocks.
 */

#include <sys/socket.h>
#include <sys/uio.h>

#include <bsd/stdlib.h>
#include <bsd/sys/queue.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "internal.h"

union cmsg_fd {
	struct cmsghdr hdr;
	char buf[CMSG_SPACE(sizeof(int))];
};

static void chan_on_write(evutil_socket_t, short, void *);
static void chan_on_read(evutil_socket_t, short, void *);

int
chan_pair(int sv[2])
{
	return (socketpair(
	    AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv));
}

void
chan_init(struct chan *c)
{
	memset(c, 0, sizeof(*c));
	c->fd = -1;
	TAILQ_INIT(&c->queue);
}

void
chan_open(struct chan *c, int fd)
{
	(void)fd_nonblock(fd);
	c->fd = fd;
	c->dead = false;
}

int
chan_attach(struct chan *c, struct event_base *base)
{
	c->rd = event_new(base, c->fd, EV_READ | EV_PERSIST, chan_on_read, c);
	c->wr = event_new(base, c->fd, EV_WRITE | EV_PERSIST, chan_on_write, c);
	if (c->rd == NULL || c->wr == NULL || event_add(c->rd, NULL) == -1 ||
	    (c->nframes > 0 && event_add(c->wr, NULL) == -1)) {
		chan_detach(c);
		errno = ENOMEM;
		return (-1);
	}
	return (0);
}

void
chan_detach(struct chan *c)
{
	if (c->rd != NULL)
		event_free(c->rd);
	if (c->wr != NULL)
		event_free(c->wr);
	c->rd = c->wr = NULL;
}

static void
frame_drop(struct chan *c, struct chan_frame *f)
{
	TAILQ_REMOVE(&c->queue, f, entry);
	c->nframes--;
	c->nbytes -= f->len;
	if (f->fd != -1)
		close(f->fd);
	freezero(f, sizeof(*f) + f->len);
}

static void
queue_drop(struct chan *c)
{
	struct chan_frame *f;

	while ((f = TAILQ_FIRST(&c->queue)) != NULL)
		frame_drop(c, f);
}

void
chan_close(struct chan *c)
{
	chan_detach(c);
	queue_drop(c);
	if (c->fd != -1)
		close(c->fd);
	c->fd = -1;
}

static int
send_frame(int sock, const uint8_t *data, size_t len, int fd)
{
	struct iovec iov = { (void *)(uintptr_t)data, len };
	union cmsg_fd u = { .buf = { 0 } };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cm;
	ssize_t n;

	if (fd != -1) {
		mh.msg_control = u.buf;
		mh.msg_controllen = sizeof(u.buf);
		cm = CMSG_FIRSTHDR(&mh);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(cm), &fd, sizeof(fd));
	}
	while ((n = sendmsg(sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL)) == -1 &&
	    errno == EINTR)
		;
	return (n == -1 ? -1 : 0);
}

/*
 * The kernel's buffers are full, for now. ENOBUFS and ENOMEM pass too, and
 * ETOOMANYREFS when the peer has taken the fds in flight.
 */
static bool
transient(int err)
{
	return (err == EAGAIN || err == ENOBUFS || err == ENOMEM ||
	    err == ETOOMANYREFS);
}

int
chan_flush(struct chan *c)
{
	struct chan_frame *f;

	while ((f = TAILQ_FIRST(&c->queue)) != NULL) {
		if (send_frame(c->fd, f->data, f->len, f->fd) == -1) {
			if (transient(errno)) {
				errno = EAGAIN;
				return (-1);
			}
			/* The reading side will meet the EOF and report it. */
			c->dead = true;
			queue_drop(c);
			errno = EPIPE;
			return (-1);
		}
		frame_drop(c, f);
	}
	return (0);
}

static int
enqueue(struct chan *c, const uint8_t *data, size_t len, int fd)
{
	struct chan_frame *f;

	if (c->nframes >= CHAN_QFRAMES || len > CHAN_QBYTES - c->nbytes) {
		errno = ENOBUFS;
		return (-1);
	}
	if ((f = malloc(sizeof(*f) + len)) == NULL)
		fatal("malloc");
	f->len = len;
	f->fd = fd;
	memcpy(f->data, data, len);
	TAILQ_INSERT_TAIL(&c->queue, f, entry);
	c->nframes++;
	c->nbytes += len;
	if (c->wr != NULL)
		event_add(c->wr, NULL);
	return (0);
}

int
chan_send(struct chan *c, const uint8_t *data, size_t len, int fd)
{
	int rc = 0, saved;

	if (c->fd == -1 || c->dead) {
		errno = ENOTCONN;
		rc = -1;
	} else if (len == 0 || len > PS_FRAME_MAX) {
		errno = EMSGSIZE;
		rc = -1;
	} else if (c->nframes == 0 &&
	    (rc = send_frame(c->fd, data, len, fd)) == -1 &&
	    !transient(errno)) {
		c->dead = true;
		errno = ENOTCONN;
	} else if (c->nframes > 0 || rc == -1) {
		if ((rc = enqueue(c, data, len, fd)) == 0)
			return (0); /* the fd is the queue's now */
	}
	saved = errno;
	if (fd != -1)
		close(fd);
	errno = saved;
	return (rc);
}

/* At most one fd may come; any other control data is a violation. */
static int
take_fds(struct msghdr *mh, int *fdp)
{
	struct cmsghdr *cm;
	size_t i, n;
	int fd, rc = 0;

	for (cm = CMSG_FIRSTHDR(mh); cm != NULL; cm = CMSG_NXTHDR(mh, cm)) {
		if (cm->cmsg_level != SOL_SOCKET ||
		    cm->cmsg_type != SCM_RIGHTS) {
			rc = -1;
			continue;
		}
		n = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(cm) + i * sizeof(fd), sizeof(fd));
			if (*fdp == -1)
				*fdp = fd;
			else {
				close(fd);
				rc = -1;
			}
		}
	}
	if (rc == -1 || mh->msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		if (*fdp != -1)
			close(*fdp);
		*fdp = -1;
		errno = EPROTO;
		return (-1);
	}
	return (0);
}

enum chan_read
chan_read(struct chan *c, uint8_t *buf, size_t size, size_t *len, int *fd)
{
	struct iovec iov = { buf, size };
	union cmsg_fd u = { .buf = { 0 } };
	struct msghdr mh = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = u.buf,
		.msg_controllen = sizeof(u.buf) };
	ssize_t n;

	*fd = -1;
	/*
	 * A peer that died with our frames unread leaves ECONNRESET before
	 * its own last frames: it is reported once, then they follow.
	 */
	while (
	    (n = recvmsg(c->fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)) == -1 &&
	    (errno == EINTR || errno == ECONNRESET))
		;
	if (n == -1)
		return (errno == EAGAIN ? CHAN_AGAIN : CHAN_END);
	if (take_fds(&mh, fd) == -1)
		return (CHAN_END);
	if (n == 0) {
		if (*fd != -1)
			close(*fd);
		*fd = -1;
		errno = 0;
		return (CHAN_END);
	}
	*len = (size_t)n;
	return (CHAN_FRAME);
}

void
chan_drain(struct chan *c, unsigned max)
{
	static uint8_t buf[PS_FRAME_MAX];
	size_t len;
	int fd;

	while (max-- > 0 && c->fd != -1) {
		switch (chan_read(c, buf, sizeof(buf), &len, &fd)) {
		case CHAN_AGAIN:
			return;
		case CHAN_END:
			c->on_end(c, errno, c->arg);
			return;
		case CHAN_FRAME:
			c->on_frame(c, buf, len, fd, c->arg);
			explicit_bzero(buf, len);
			break;
		}
	}
}

static void
chan_on_read(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	chan_drain(arg, CHAN_BURST);
}

static void
chan_on_write(evutil_socket_t fd, short what, void *arg)
{
	struct chan *c = arg;

	(void)fd;
	(void)what;
	if (chan_flush(c) == 0 || errno == EPIPE)
		event_del(c->wr);
}
