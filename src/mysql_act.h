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
 * Between the life of an SQL action (mysql_sql.c) and what each kind of them
 * does (mysql_act.c).
 */

#ifndef MYSQL_ACT_H
#define MYSQL_ACT_H

#include "mysql_int.h"

enum maction_phase {
	MA_QUEUED,
	MA_CONNECT,
	MA_CHECK, /* whose process is this? */
	MA_RUN,
	MA_READBACK /* the last statement, with what it led to */
};

struct maction {
	TAILQ_ENTRY(maction) entry;
	struct msite *site;
	struct m_sql req;
	struct mconn *conn;
	struct event *limit;
	struct monotime deadline;
	enum maction_phase phase;
	unsigned step;
	bool in_flight;  /* a changing statement is out */
	bool changed;    /* one was carried out */
	bool superseded; /* a fence came after this grant */
	bool undo;       /* of a clone: answers nobody */

	/* As the server said, last. */
	char server_uuid[UID_LEN + 1];
	int64_t proc_start_ms;
	int64_t clock_us;
	struct monotime clock_at; /* its answer had come by then */
	bool read_only, super_read_only, offline_mode;
	bool gtid_too_big;

	/* For the kinds. */
	int64_t grant_limit_us;
	uint32_t count;
	bool has_repl, io_running, sql_running;
	bool set_offline;   /* it was off before */
	char *set;          /* received GTID set */
	unsigned long *ids; /* sessions to kill */
	unsigned nids;
	unsigned long clone_id; /* session of a clone that hangs */
	unsigned fail_errno;    /* of what is being undone */
	char fail_text[ERR_LEN + 1];
	struct maccounts *acc; /* mysql_accounts.c */
};

/* ------------------------------------------- mysql_sql.c, for the kinds --- */

/* Send a statement that changes nothing. */
void maction_read(struct maction *, const char *sql);
/* One that holds a password. */
void maction_read_secret(struct maction *, const char *sql);
/*
 * Send one that does, when all still holds; else the action ends. secret:
 * it holds a password.
 */
void maction_change(struct maction *, const char *sql, bool secret);
/* The last change: what the server then is, is read in the same breath. */
void maction_change_last(struct maction *, const char *sql);
/* No more changes: read what the server is now and end well. */
void maction_done(struct maction *);
/* Putting something back is allowed when the lease is gone. */
void maction_restore(struct maction *, const char *sql);
/* Answer and free. err and text: 0 and "" when there is nothing to say. */
void
maction_end(struct maction *, enum sql_end, unsigned err, const char *text);
/* Milliseconds to its deadline. */
int64_t maction_left(const struct maction *);
/* Queue the undoing of a clone whose session does not answer. */
void maction_undo(struct maction *);

/* ------------------------------------------- mysql_act.c, for the life --- */

/* The process was checked (step 0), or the last statement answered. */
void mkind_next(struct maction *);
/* It was refused by the server, or the connection is lost. True: handled. */
bool mkind_error(struct maction *);
/* The next change is not allowed any more. True: it was handled. */
bool mkind_abort(struct maction *, const char *why);
/* After the read back: did it work? */
void mkind_verdict(struct maction *, enum sql_end *, const char **why);
/* NULL, or why this may not be done to a server as it is now. */
const char *mkind_unfit(const struct maction *);

/*
 * malloc'd: the statement that clears one of the two flags while the server's
 * clock is below that limit (Unix us), and fails after it.
 */
char *mkind_clear_sql(const char *variable, int64_t limit_us);

/* Which threads of the default channel run, from SHOW REPLICA STATUS. */
void mkind_take_threads(struct maction *);

/* ------------------------------------------------------- mysql_accounts.c --- */

void maccounts_next(struct maction *);
bool maccounts_error(struct maction *);
void maccounts_free(struct maction *);
/* Some account has an old password that still counts. */
bool maccounts_retained(const struct maction *);
/* Who else could pass the fence ("": nobody); false: why it is not known. */
bool maccounts_excess(const struct maction *, char *, size_t);

/* --------------------------------------------------------- mysql_excess.c --- */

/* malloc'd. The name is that of the operator's own account. */
char *mexcess_sql(const char *quoted_operator);
/* The answer → text of at most size - 1 bytes, -1: it has another shape. */
int mexcess_text(struct mconn *, char *, size_t);

/* --------------------------------------------------------- mysql_source.c --- */

/* Account and TLS for CHANGE REPLICATION SOURCE; to be wiped. */
char *msource_options(struct maction *);
/* The CA by which a donor is checked, "": it is not. */
const char *msource_clone_ca(const struct maction *);
void mrefresh_next(struct maction *);
bool mrefresh_error(struct maction *);
/* Where servers have it, for tests. */
void msource_ca(const char *path);

/* ---------------------------------------------------------- mysql_clone.c --- */

void mclone_next(struct maction *);
bool mclone_error(struct maction *);
bool mclone_abort(struct maction *, const char *why);
/* On a session of its own: that of the clone does not answer. */
void mclone_undo(struct maction *);

#endif /* MYSQL_ACT_H */
