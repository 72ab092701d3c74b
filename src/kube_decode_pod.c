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
 * MySQL Pods: what the kubelet says about container "mysql", and the two
 * labels that steer Services.
 */

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kube_render.h"

#define CONTAINER "mysql"

static const char *
text(yyjson_val *o, const char *key)
{
	const char *s = yyjson_get_str(yyjson_obj_get(o, key));

	return s == NULL ? "" : s;
}

/* Unix ms; 0 when absent or no time. */
static int64_t
time_ms(yyjson_val *o, const char *key)
{
	int64_t us;

	return ktime_parse(text(o, key), &us) == 0 ? us / 1000 : 0;
}

/* Too long is not cut: half an identity is none. */
static int
take(char *out, size_t size, const char *s)
{
	return strlcpy(out, s, size) < size ? 0 : -1;
}

static yyjson_val *
find_status(yyjson_val *status)
{
	yyjson_arr_iter it;
	yyjson_val *c;

	it = yyjson_arr_iter_with(yyjson_obj_get(status, "containerStatuses"));
	while ((c = yyjson_arr_iter_next(&it)) != NULL)
		if (yyjson_equals_str(yyjson_obj_get(c, "name"), CONTAINER))
			return c;
	return NULL;
}

/* The guard that the container had, if its message names one and only one. */
static uint64_t
guard_of(const char *msg)
{
	const char *p = strstr(msg, BR_GUARD_WORD);
	unsigned long long id;

	if (p == NULL || strstr(p + 1, BR_GUARD_WORD) != NULL)
		return 0;
	p += strlen(BR_GUARD_WORD);
	if (!isdigit((unsigned char)*p))
		return 0;
	errno = 0;
	id = strtoull(p, NULL, 10);
	return errno == 0 ? id : 0;
}

/*
 * A word counts only with the ID of the container that it is about: inside
 * state.terminated, or that of the status while it is about this container.
 */
static void
add_word(struct m_pod *m, yyjson_val *t, const char *fallback_id)
{
	struct m_word *w = &m->words[m->n_words];
	yyjson_val *code = yyjson_obj_get(t, "exitCode");
	const char *id = text(t, "containerID");

	if (!yyjson_is_obj(t) || m->n_words == WORDS_MAX)
		return;
	if (*id == '\0')
		id = fallback_id;
	memset(w, 0, sizeof(*w));
	if (*id == '\0' ||
	    take(w->container_id, sizeof(w->container_id), id) == -1)
		return;
	strlcpy(w->reason, text(t, "reason"), sizeof(w->reason));
	w->exit_code = yyjson_is_int(code) ? yyjson_get_sint(code) : -1;
	w->started_ms = time_ms(t, "startedAt");
	w->finished_ms = time_ms(t, "finishedAt");
	w->guard = guard_of(text(t, "message"));
	m->n_words++;
}

/*
 * Why it does not run: of a container that waits for the one before it the
 * reason is that one's; of a Pod that no node takes the scheduler's.
 */
static const char *
earlier(yyjson_val *status)
{
	yyjson_arr_iter it = yyjson_arr_iter_with(
	    yyjson_obj_get(status, "initContainerStatuses"));
	yyjson_val *c;
	const char *s;

	while ((c = yyjson_arr_iter_next(&it)) != NULL) {
		s = text(yyjson_obj_get(yyjson_obj_get(c, "state"), "waiting"),
		    "reason");
		if (*s != '\0' && strcmp(s, "PodInitializing") != 0)
			return s;
	}
	return "";
}

static const char *
unscheduled(yyjson_val *status)
{
	yyjson_arr_iter it =
	    yyjson_arr_iter_with(yyjson_obj_get(status, "conditions"));
	yyjson_val *c;

	while ((c = yyjson_arr_iter_next(&it)) != NULL)
		if (strcmp(text(c, "type"), "PodScheduled") == 0 &&
		    strcmp(text(c, "status"), "False") == 0)
			return text(c, "reason");
	return "";
}

static void
decode_container(yyjson_val *c, struct m_pod *m)
{
	yyjson_val *state = yyjson_obj_get(c, "state");
	yyjson_val *running = yyjson_obj_get(state, "running");
	yyjson_val *waiting = yyjson_obj_get(state, "waiting");
	yyjson_val *ended = yyjson_obj_get(state, "terminated");

	m->ready = yyjson_is_true(yyjson_obj_get(c, "ready"));
	if (take(m->container_id, sizeof(m->container_id),
		text(c, "containerID")) == -1)
		m->container_id[0] = '\0';
	if (yyjson_is_obj(running)) {
		m->ctr_state = CTR_RUNNING;
		m->started_ms = time_ms(running, "startedAt");
	} else if (yyjson_is_obj(ended)) {
		m->ctr_state = CTR_TERMINATED;
		m->started_ms = time_ms(ended, "startedAt");
	} else if (yyjson_is_obj(waiting)) {
		m->ctr_state = CTR_WAITING;
		strlcpy(m->waiting_reason, text(waiting, "reason"),
		    sizeof(m->waiting_reason));
	}
	add_word(m, ended, m->container_id);
	add_word(m,
	    yyjson_obj_get(yyjson_obj_get(c, "lastState"), "terminated"), "");
}

/* The element of an array with this name, NULL: there is none. */
static yyjson_val *
named(yyjson_val *arr, const char *name)
{
	yyjson_arr_iter it = yyjson_arr_iter_with(arr);
	yyjson_val *v;

	while ((v = yyjson_arr_iter_next(&it)) != NULL)
		if (yyjson_equals_str(yyjson_obj_get(v, "name"), name))
			return v;
	return NULL;
}

/*
 * The user's certificate, as the renderer mounts it. Sidecars of Pods that
 * were made by the first builds don't have it.
 */
static void
decode_tls(yyjson_val *spec, struct m_pod *m)
{
	yyjson_val *c = named(yyjson_obj_get(spec, "containers"), "sidecar");

	m->tls = named(yyjson_obj_get(spec, "volumes"), "tls") != NULL;
	m->tls_loads =
	    m->tls && named(yyjson_obj_get(c, "volumeMounts"), "tls") != NULL;
}

static bool
has_finalizer(yyjson_val *meta)
{
	yyjson_arr_iter it;
	yyjson_val *f;

	it = yyjson_arr_iter_with(yyjson_obj_get(meta, "finalizers"));
	while ((f = yyjson_arr_iter_next(&it)) != NULL)
		if (yyjson_equals_str(f, BR_POD_FINALIZER))
			return true;
	return false;
}

const char *
kpod_keys(yyjson_val *pod)
{
	yyjson_val *v = named(
	    yyjson_obj_get(yyjson_obj_get(pod, "spec"), "volumes"), "keys");

	return yyjson_get_str(
	    yyjson_obj_get(yyjson_obj_get(v, "secret"), "secretName"));
}

int
kpod_decode(yyjson_val *pod, struct m_pod *m, const char **group_name)
{
	yyjson_val *labels =
	    yyjson_obj_get(yyjson_obj_get(pod, "metadata"), "labels");

	*group_name = text(labels, KLABEL_GROUP);
	if (kpod_facts(pod, m) == -1)
		return -1;
	if (take(m->site, sizeof(m->site), text(labels, KLABEL_SITE)) == -1 ||
	    m->site[0] == '\0' || **group_name == '\0' ||
	    strcmp(text(labels, "app.kubernetes.io/name"), "mysql") != 0) {
		errno = EBADMSG;
		return -1;
	}
	return 0;
}

int
kpod_facts(yyjson_val *pod, struct m_pod *m)
{
	yyjson_val *meta = yyjson_obj_get(pod, "metadata");
	yyjson_val *status = yyjson_obj_get(pod, "status"), *c;

	memset(m, 0, sizeof(*m));
	if (take(m->pod_uid, sizeof(m->pod_uid), text(meta, "uid")) == -1 ||
	    take(m->pod_name, sizeof(m->pod_name), text(meta, "name")) == -1 ||
	    m->pod_uid[0] == '\0' || m->pod_name[0] == '\0') {
		errno = EBADMSG;
		return -1;
	}
	if (ktext_ip(text(status, "podIP")))
		strlcpy(m->ip, text(status, "podIP"), sizeof(m->ip));
	strlcpy(m->node, text(yyjson_obj_get(pod, "spec"), "nodeName"),
	    sizeof(m->node));
	m->deleting = text(meta, "deletionTimestamp")[0] != '\0';
	m->finalizer = has_finalizer(meta);
	decode_tls(yyjson_obj_get(pod, "spec"), m);
	m->created_ms = time_ms(meta, "creationTimestamp");
	if (take(m->hash, sizeof(m->hash),
		text(yyjson_obj_get(meta, "annotations"), KANN_HASH)) == -1)
		m->hash[0] = '\0';
	m->ctr_state = CTR_NONE;
	if ((c = find_status(status)) != NULL)
		decode_container(c, m);
	else
		strlcpy(m->waiting_reason, unscheduled(status),
		    sizeof(m->waiting_reason));
	if (strcmp(m->waiting_reason, "PodInitializing") == 0 &&
	    *earlier(status) != '\0')
		strlcpy(m->waiting_reason, earlier(status),
		    sizeof(m->waiting_reason));
	return 0;
}

yyjson_mut_val *
kpod_labels(yyjson_mut_doc *doc, unsigned role_label, bool healthy)
{
	yyjson_mut_val *o = yyjson_mut_obj(doc), *meta, *labels;
	const char *role = role_label_name(role_label);

	if (o == NULL || role == NULL ||
	    (meta = yyjson_mut_obj_add_obj(doc, o, "metadata")) == NULL ||
	    (labels = yyjson_mut_obj_add_obj(doc, meta, "labels")) == NULL ||
	    !kput_str(doc, labels, KLABEL_ROLE, role) ||
	    !kput_str(doc, labels, KLABEL_HEALTHY, healthy ? "yes" : "no"))
		return NULL;
	return o;
}

bool
kpod_labels_match(yyjson_val *pod, unsigned role_label, bool healthy)
{
	yyjson_val *labels;
	const char *role = role_label_name(role_label);

	labels = yyjson_obj_get(yyjson_obj_get(pod, "metadata"), "labels");
	return role != NULL && strcmp(text(labels, KLABEL_ROLE), role) == 0 &&
	    strcmp(text(labels, KLABEL_HEALTHY), healthy ? "yes" : "no") == 0;
}
