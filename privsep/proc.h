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

/* The parent's view of its workers, shared by proc.c and proc_start.c. */

#ifndef PRIVSEP_PROC_H
#define PRIVSEP_PROC_H

#include "internal.h"

enum slot_state {
	SLOT_DOWN,  /* no process; perhaps a timer for the next */
	SLOT_SPAWN, /* asked for */
	SLOT_HELLO, /* its channel is open */
	SLOT_SETUP, /* HELLO came: on_setup may send */
	SLOT_GO,    /* it closes its sandbox */
	SLOT_RUN,
	SLOT_DYING /* its channel is closed, its exit not yet reported */
};

struct slot {
	struct ps *ps;
	const struct ps_proc *proc;
	enum slot_state state;
	struct chan chan;
	struct event *timer; /* set-up deadline, reaping, respawn */
	pid_t pid;
	int64_t backoff; /* ms, of the next respawn */
	struct monotime up_since;
	bool came_up;                      /* once at least */
	struct monotime deaths[PS_DEATHS]; /* ring */
	uint64_t ndeaths;
	uint64_t restarts;
};

struct ps {
	const struct ps_conf *conf;
	struct event_base *base;
	struct chan launcher;
	pid_t launcher_pid;
	uint64_t hash;
	bool starting; /* any death is fatal */
	bool stopping; /* nothing is respawned */
	void *msg;     /* decoded, max_size bytes */
	size_t nslots;
	struct slot slots[PS_IDS];
};

struct slot *slot_find(const struct ps *, unsigned);
void slot_spawn(struct slot *);
void slot_timer(int, short, void *);
void launcher_on_frame(struct chan *, const uint8_t *, size_t, int, void *);
void launcher_on_end(struct chan *, int, void *);
void launcher_ask(struct ps *, enum launch_op, unsigned);

#endif /* PRIVSEP_PROC_H */
