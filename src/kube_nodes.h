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
 * Node taints, shared by the files of kube_nodes*.c (resources.md 9).
 *
 *	kube_nodes.c		the watch, the queue, hooks of the others
 *	kube_nodes_keep.c	what is kept of nodes, and what is due there
 *	kube_nodes_op.c		one node read, changed, and read back
 *	kube_nodes_rule.c	pure: who wants what of a node, and its new list
 */

#ifndef KUBE_NODES_H
#define KUBE_NODES_H

#include <sys/queue.h>
#include <sys/tree.h>

#include "kube.h"

/* ---------------------------------------------------- kube_nodes_rule.c -- */

/*
 * What becomes of one group's taint on one node. Of several sites that choose
 * the node, and of groups of one name, which share the key, the later in this
 * order wins: writers stay where one of them may be.
 */
enum ktaint {
	KTN_NONE, /* nobody chooses the node: lifted */
	KTN_ON,
	KTN_KEEP, /* whatever is there, stays: not known yet */
	KTN_OFF
};

/* As a node has our key; other effects and values are not as wanted. */
enum ktaint_have { KTH_ABSENT, KTH_EXACT, KTH_OTHER };

/*
 * Labels of a node, "key\0value\0key\0value\0", those alone that asked() is
 * true for. Returns the length; text is to be freed. NULL labels: none.
 */
size_t knode_labels(yyjson_val *labels, bool (*asked)(void *, const char *),
    void *arg, char **text);
/* Does the text have each pair of the selector? An empty one: never. */
bool knode_matches(yyjson_val *selector, const char *text, size_t len);
/* What this site wants of a node with these labels. */
enum ktaint ktaint_site(
    const struct ksite *, enum taint_want, const char *text, size_t len);
/* Must something be done? */
bool ktaint_differs(enum ktaint, enum ktaint_have);
/* How a node's spec.taints has this key. */
enum ktaint_have ktaint_have(yyjson_val *taints, const char *key);
#define KTAINT_KEY_LEN 316 /* prefix, "/", name of a label */
void ktaint_key(const char *group, char[static KTAINT_KEY_LEN + 1]);

/* One taint to set or to lift. */
struct ktaint_change {
	char key[KTAINT_KEY_LEN + 1];
	bool on;
	char ns[NS_LEN + 1]; /* for whom: log line and metric */
	char group[NAME_LEN + 1];
	char site[NAME_LEN + 1]; /* or empty */
};
/*
 * spec.taints with the changes; entries of other keys as they were. NULL when
 * the document's memory is out.
 */
yyjson_mut_val *ktaint_list(yyjson_mut_doc *, yyjson_val *taints,
    const struct ktaint_change *, unsigned n);

/*
 * "key=value" or "key" that every selector has, so that a list by it has all
 * nodes that any of them chooses; -1 with ENOENT when there is none.
 */
int
ktaint_common(yyjson_val *const *selectors, size_t n, char *out, size_t size);

/* ------------------------------------------------------------ kube_nodes.c */

struct kntaint { /* a taint of ours that a node has */
	uint64_t key;
	enum ktaint_have have;
};

/* A node that some site chooses, or that has a taint of ours. */
struct knode {
	RB_ENTRY(knode) entry;
	TAILQ_ENTRY(knode) queue;
	struct kube *k;
	char *name;
	char *labels;
	size_t nlabels;
	struct kntaint *taints;
	unsigned ntaints;
	uint32_t mark;
	bool queued;
	bool look;     /* read it, whatever is known */
	uint64_t seen; /* hash of the version that was told meanwhile, or 0 */
	bool gone;
	bool failing, said; /* that it can't be changed */

	/* kube_nodes_op.c */
	struct kh_req *req;
	struct ktaint_change *changes; /* under way */
	unsigned nchanges;
	struct backoff backoff;
	int64_t due_ms, done_ms;
};

RB_HEAD(knode_tree, knode);
RB_PROTOTYPE(knode_tree, knode, entry, knode_cmp)
TAILQ_HEAD(knode_queue, knode);

/* A group that is gone while nodes may still have its taint. */
struct kretired {
	TAILQ_ENTRY(kretired) entry;
	uint64_t key;
	char ns[NS_LEN + 1];
	char name[NAME_LEN + 1];
};
TAILQ_HEAD(kretireds, kretired);

struct knamed {
	struct kgroup *g;
	uint64_t key; /* hash of its taint's */
};

struct knodes {
	struct kube *k;
	struct knode_tree tree;
	struct knode_queue work;
	unsigned inflight;
	struct kwatch *watch; /* NULL: not wanted, or we don't lead */
	bool narrow;          /* it has but what selectors choose */
	char query[1024];     /* what it may be narrowed to, or "" */
	int64_t begun_ms;
	bool listed; /* all nodes, since then */
	bool relist; /* the sites choose others than it was begun for */
	bool stale;  /* groups changed: the next two are old */
	struct knamed *order; /* by name, then namespace */
	uint64_t *asked;      /* sorted hashes of keys */
	unsigned norder;
	size_t nasked;
	struct kretireds retired;
	uint32_t mark;
	struct event *timer, *restart;
};

/* Look at this node again. */
void knodes_check(struct knodes *, struct knode *);
void knodes_queue(struct knodes *, struct knode *, int64_t ms);
/* A node is as wanted, or nothing more is tried: who waits for that? */
void knodes_settled(struct knodes *);

/* ------------------------------------------------------- kube_nodes_keep.c */

uint64_t knodes_hash(const char *);
/* Of the group's taint. */
uint64_t knodes_key(const char *group);
bool knodes_chooses(const struct ksite *);
/* order and asked, if groups changed. The next four rely on it. */
void knodes_refresh(struct knodes *);
/* The first group that has this key, or norder. */
unsigned knodes_first(const struct knodes *, uint64_t key);
enum ktaint_have knode_has(const struct knode *, uint64_t key);
/*
 * The groups order[*at..] of one name, together: is something due for their
 * key? *at moves past them.
 */
bool knodes_decide_name(struct knodes *, unsigned *at, const struct knode *,
    struct ktaint_change **changes, unsigned *n);
/* Is anything due? With what, where changes is not NULL (to be freed). */
bool knodes_decide(struct knodes *, const struct knode *,
    struct ktaint_change **changes, unsigned *n);
struct knode *knodes_find(struct knodes *, const char *name);
struct knode *knodes_add(struct knodes *, const char *name);
/* obj is what it is now. False: nobody cares, n is freed. */
bool knodes_update(struct knodes *, struct knode *, yyjson_val *obj);
/* Freed, once its request is answered. */
void knodes_forget(struct knodes *, struct knode *);

/* --------------------------------------------------------- kube_nodes_op.c */

/* Read it, and do what is due. */
void knode_run(struct knode *);

#endif /* KUBE_NODES_H */
