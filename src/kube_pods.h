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
 * Pods, shared by the files of kube_pod*.c.
 *
 *	kube_pods.c	facts to the parent, labels, deletion
 *	kube_podfix.c	a finalizer that somebody took off a Pod
 *	kube_podlost.c	labels that say whose it is, and were taken off
 */

#ifndef KUBE_PODS_H
#define KUBE_PODS_H

#include <sys/queue.h>

#include "kube.h"

struct kpod {
	TAILQ_ENTRY(kpod) link;
	char uid[UID_LEN + 1];
	char name[NAME_LEN + 1];
	char site[NAME_LEN + 1];
	int64_t created_ms;
	uint64_t told; /* hash of the POD that was sent */
	uint32_t mark;
	/* How often a watch told of it: so far, as each lane asked last. */
	uint32_t news, label_news, look_news;
	int role;       /* live label, -1: none of ours, or not known */
	int healthy;    /* live label, -1: neither */
	int asked_role; /* by the patch in flight */
	bool asked_healthy, deleting;
	bool lacks, fixing; /* our finalizer, which it should have */
	bool lost;          /* no watch tells of it; is it gone? */
	bool stripped;      /* not all the labels that say whose it is */
};

/* ----------------------------------------------------------- kube_pods.c - */

void kpods_init(struct kgroup *);
void kpods_free(struct kgroup *);
void kpods_start(struct kube *);
void kpods_kick(struct kgroup *);
/* NULL: there is none. */
struct kpod *kpod_find(struct kgroup *, const char *uid);
/* Of this UID, name and site, otherwise unknown. */
struct kpod *kpod_new(struct kgroup *, const struct m_pod *);
/*
 * Merges root, which has metadata, of doc, which is taken over, into that very
 * Pod: one of the same name but another UID answers 409.
 */
struct kh_req *
kpod_patch(struct kgroup *, const struct kpod *, yyjson_mut_doc *doc,
    yyjson_mut_val *root, void (*done)(void *, const struct kh_resp *));
/* As the API server has it. */
void kpod_update(struct kgroup *, struct kpod *, yyjson_val *, struct m_pod *);
/* The API server has no such Pod any more; p is freed. */
void kpod_gone(struct kgroup *, struct kpod *p);
void kpod_delete(struct kube *, const struct m_pod_delete *);
void kpod_release(struct kube *, const struct m_pod_release *);

/* --------------------------------------------------------- kube_podfix.c - */

/* A Pod as the API server has it; p->deleting is known. */
void kpodfix_seen(
    struct kgroup *, struct kpod *, yyjson_val *pod, const struct m_pod *);
/* We lead now. */
void kpodfix_kick(struct kgroup *);

/* -------------------------------------------------------- kube_podlost.c - */

/*
 * Whose Pod that is: the group, NULL: none, or a Pod of somebody else's; *p is
 * what is known of it, or NULL. *m is filled, m->pod_uid is empty when it is
 * no Pod of ours at all.
 */
struct kgroup *
kpod_whose(struct kube *, yyjson_val *pod, struct m_pod *m, struct kpod **p);
/* A list or a watch does not have it any more. */
void kpod_lost(struct kgroup *, struct kpod *);
/* Its labels as the API server has them. */
void kpod_labelled(struct kgroup *, struct kpod *, yyjson_val *pod);
void kpod_check(struct kgroup *, const struct m_pod_check *);
void kpodlost_init(struct kgroup *);
void kpodlost_free(struct kgroup *);
/* We lead now. */
void kpodlost_kick(struct kgroup *);

/* One Pod's labels for the choice of the next patch. */
struct klabel {
	unsigned want_role; /* enum role_label */
	bool want_healthy;
	int role, healthy; /* live, -1: other or none */
};
/*
 * Pure: the Pod to relabel next, -1 when none may be. The primary comes
 * last, and never while another Pod carries its label.
 */
int klabel_next(const struct klabel *, unsigned n);

#endif /* KUBE_PODS_H */
