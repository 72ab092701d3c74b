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
 * The parent's side that groups see: sending, time, leadership, files.
 */

#ifndef PARENT_H
#define PARENT_H

#include "conf.h"
#include "msg.h"

struct event_base;
struct parent;
struct wire_key;

/* Start all workers and run until a signal ends it; the exit status. */
int parent_run(const struct conf *);

/*
 * Queue a message for a worker. A worker that is down gets everything anew
 * when it is back, so a failure is only counted.
 */
void
parent_send(struct parent *, unsigned proc, uint32_t type, const void *msg);
struct event_base *parent_base(const struct parent *);
/* The operator's key, that signs; NULL: not known yet. */
const struct wire_key *parent_key(const struct parent *);

/* ------------------------------------------------------ parent_files.c --- */

/*
 * Read a whole small file. Returns the length, or -1 with errno (EFBIG when
 * it has more than size bytes, EIO when it changed under the read).
 */
ssize_t file_read(const char *dir, const char *name, void *, size_t size);
/* The API server's CA bundle, PEM. */
int file_ca(const struct conf *, struct m_kube_conf *);
/* The ServiceAccount's token, trailing white space cut. */
int file_token(const struct conf *, struct secret *);
/* The namespace file, when POD_NAMESPACE was not set. */
int file_namespace(struct conf *);

#endif /* PARENT_H */
