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
 * drive kube|dns: the worker's code without privsep. Messages to the parent
 * are written to stdout, one JSON object a line; lines from stdin are messages
 * from the parent in the same form, or {"type":"_stats"}. For the tests of
 * this folder, which play the parent.
 *
 * Of a field valid_for_ms it makes valid_until_ns.
 */

#include <err.h>
#include <event2/event.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dns.h"
#include "kube.h"
#include "procs.h"

#define LINE_MAX_BYTES (1 << 20)

static struct event_base *base;
static struct kube *kube;
static struct dns *dns;
static int rollup = -1; /* opened before the sandbox closes */
static char line[LINE_MAX_BYTES];
static size_t have;

/* ----------------------------------------------------------- struct → JSON */

static void put_fields(yyjson_mut_doc *, yyjson_mut_val *,
    const struct codec_desc *, const char *);

static yyjson_mut_val *
put_array(yyjson_mut_doc *d, const struct codec_field *f, const char *p)
{
	yyjson_mut_val *arr = yyjson_mut_arr(d);
	const struct codec_desc *e = f->elem();
	uint32_t n = *(const uint32_t *)(const void *)(p + f->off);

	for (uint32_t i = 0; i < n; i++)
		put_fields(d, yyjson_mut_arr_add_obj(d, arr), e,
		    p + f->off2 + i * e->size);
	return arr;
}

static void
put_field(yyjson_mut_doc *d, yyjson_mut_val *o, const struct codec_field *f,
    const char *p)
{
	const void *v = p + f->off;
	const struct secret *s = v;

	switch (f->type) {
	case CT_BOOL:
		yyjson_mut_obj_add_bool(d, o, f->name, *(const bool *)v);
		break;
	case CT_I64:
		yyjson_mut_obj_add_sint(d, o, f->name, *(const int64_t *)v);
		break;
	case CT_U32:
		yyjson_mut_obj_add_uint(d, o, f->name, *(const uint32_t *)v);
		break;
	case CT_U64:
		yyjson_mut_obj_add_uint(d, o, f->name, *(const uint64_t *)v);
		break;
	case CT_STR:
		yyjson_mut_obj_add_strcpy(d, o, f->name, v);
		break;
	case CT_BYTES:
		yyjson_mut_obj_add_uint(d, o, f->name, *(const uint32_t *)v);
		break;
	case CT_SECRET:
		yyjson_mut_obj_add_strncpy(
		    d, o, f->name, (const char *)s->data, s->len);
		break;
	case CT_ARRAY:
		yyjson_mut_obj_add_val(d, o, f->name, put_array(d, f, p));
		break;
	}
}

static void
put_fields(yyjson_mut_doc *d, yyjson_mut_val *o, const struct codec_desc *c,
    const char *p)
{
	for (size_t i = 0; i < c->nfields; i++)
		put_field(d, o, &c->fields[i], p);
}

static void
print(yyjson_mut_doc *d)
{
	char *text = yyjson_mut_write(d, 0, NULL);

	printf("%s\n", text);
	fflush(stdout);
	free(text);
	yyjson_mut_doc_free(d);
}

static void
to_parent(void *arg, uint32_t type, const void *msg)
{
	const struct ps_msg *m = &msg_schema.msgs[type - PS_MSG_FIRST];
	yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *o = yyjson_mut_obj(d);

	(void)arg;
	yyjson_mut_doc_set_root(d, o);
	yyjson_mut_obj_add_str(d, o, "type", m->name);
	yyjson_mut_obj_add_sint(d, o, "at_ns", monotime_now().ns);
	put_fields(d, o, m->desc(), msg);
	print(d);
}

/* ----------------------------------------------------------- JSON → struct */

static void get_fields(yyjson_val *, const struct codec_desc *, char *);

static void
get_array(yyjson_val *v, const struct codec_field *f, char *p)
{
	const struct codec_desc *e = f->elem();
	uint32_t *n = (uint32_t *)(void *)(p + f->off);
	yyjson_val *x;
	size_t i, max;

	yyjson_arr_foreach(v, i, max, x)
	{
		if (i >= f->param)
			errx(1, "%s: too many", f->name);
		get_fields(x, e, p + f->off2 + i * e->size);
		*n = (uint32_t)i + 1;
	}
}

static void
get_field(yyjson_val *v, const struct codec_field *f, char *p)
{
	void *to = p + f->off;

	switch (f->type) {
	case CT_BOOL:
		*(bool *)to = yyjson_get_bool(v);
		break;
	case CT_I64:
		*(int64_t *)to = yyjson_get_sint(v);
		break;
	case CT_U32:
		*(uint32_t *)to = (uint32_t)yyjson_get_uint(v);
		break;
	case CT_U64:
		*(uint64_t *)to = yyjson_get_uint(v);
		break;
	case CT_STR:
		if (strlcpy(to, yyjson_get_str(v), f->param + 1) > f->param)
			errx(1, "%s: too long", f->name);
		break;
	case CT_BYTES:
		if (yyjson_get_len(v) > f->param)
			errx(1, "%s: too long", f->name);
		*(uint32_t *)to = (uint32_t)yyjson_get_len(v);
		memcpy(p + f->off + sizeof(uint32_t), yyjson_get_str(v),
		    yyjson_get_len(v));
		break;
	case CT_SECRET:
		if (secret_set(to, yyjson_get_str(v), yyjson_get_len(v)) == -1)
			errx(1, "%s: too long", f->name);
		break;
	case CT_ARRAY:
		get_array(v, f, p);
		break;
	}
}

static void
get_fields(yyjson_val *o, const struct codec_desc *c, char *p)
{
	yyjson_val *v;

	for (size_t i = 0; i < c->nfields; i++) {
		v = yyjson_obj_get(o, c->fields[i].name);
		if (v != NULL)
			get_field(v, &c->fields[i], p);
	}
	v = yyjson_obj_get(o, "valid_for_ms");
	for (size_t i = 0; v != NULL && i < c->nfields; i++)
		if (strcmp(c->fields[i].name, "valid_until_ns") == 0)
			*(int64_t *)(void *)(p + c->fields[i].off) =
			    monotime_add_ms(monotime_now(), yyjson_get_sint(v))
				.ns;
}

/* What this process alone costs: private pages, and its part of shared ones. */
static long
rollup_kib(const char *key)
{
	char buf[4096], *p;
	ssize_t n;
	long v;

	if (lseek(rollup, 0, SEEK_SET) == -1 ||
	    (n = read(rollup, buf, sizeof(buf) - 1)) <= 0)
		return -1;
	buf[n] = '\0';
	if ((p = strstr(buf, key)) == NULL ||
	    sscanf(p + strlen(key), ": %ld", &v) != 1)
		return -1;
	return v;
}

static void
stats(void)
{
	yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *o = yyjson_mut_obj(d);
	uint64_t reads = 0, writes = 0;

	yyjson_mut_doc_set_root(d, o);
	yyjson_mut_obj_add_str(d, o, "type", "_stats");
	yyjson_mut_obj_add_sint(d, o, "pssKiB", rollup_kib("\nPss"));
	yyjson_mut_obj_add_sint(d, o, "anonKiB", rollup_kib("\nAnonymous"));
	yyjson_mut_obj_add_uint(
	    d, o, "heapBytes", mallinfo2().uordblks + mallinfo2().hblkhd);
	yyjson_mut_obj_add_uint(d, o, "jsonBytes", kj_mem());
	if (kube != NULL) {
		const struct kwatch_stats *s = kwatch_stats(kube->w_groups);

		kh_counts(kube->kh, &reads, &writes);
		yyjson_mut_obj_add_uint(
		    d, o, "inflight", kh_inflight(kube->kh));
		yyjson_mut_obj_add_uint(d, o, "writing", kh_writing(kube->kh));
		yyjson_mut_obj_add_uint(d, o, "reads", reads);
		yyjson_mut_obj_add_uint(d, o, "writes", writes);
		yyjson_mut_obj_add_uint(d, o, "lists", s->lists);
		yyjson_mut_obj_add_uint(d, o, "watches", s->watches);
		yyjson_mut_obj_add_uint(d, o, "bookmarks", s->bookmarks);
		yyjson_mut_obj_add_uint(d, o, "gone", s->gone);
		yyjson_mut_obj_add_uint(d, o, "silent", s->silent);
	}
	print(d);
}

static void
one_line(const char *text, size_t len)
{
	yyjson_doc *d = yyjson_read(text, len, 0);
	const char *type =
	    yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(d), "type"));
	void *msg;

	if (type == NULL)
		errx(1, "not a message: %.*s", (int)len, text);
	if (strcmp(type, "_stats") == 0)
		stats();
	for (size_t i = 0; i < msg_schema.nmsgs; i++) {
		const struct ps_msg *m = &msg_schema.msgs[i];

		if (strcmp(m->name, type) != 0)
			continue;
		if ((msg = calloc(1, msg_schema.max_size)) == NULL)
			err(1, NULL);
		get_fields(yyjson_doc_get_root(d), m->desc(), msg);
		if (kube != NULL)
			kube_message(kube, m->type, msg);
		else
			dns_message(dns, m->type, msg);
		free(msg);
	}
	yyjson_doc_free(d);
}

static void
on_stdin(int fd, short what, void *arg)
{
	ssize_t n = read(fd, line + have, sizeof(line) - have);
	char *nl;

	(void)what;
	(void)arg;
	if (n <= 0) {
		event_base_loopbreak(base);
		return;
	}
	have += (size_t)n;
	while ((nl = memchr(line, '\n', have)) != NULL) {
		one_line(line, (size_t)(nl - line));
		have -= (size_t)(nl - line) + 1;
		memmove(line, nl + 1, have);
	}
}

/* ------------------------------------------------------------------- main */

static const char *
env(const char *name, const char *dflt)
{
	const char *s = getenv(name);

	return s == NULL ? dflt : s;
}

static size_t
slurp(const char *path, void *buf, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = fd == -1 ? -1 : read(fd, buf, size);

	if (n <= 0)
		err(1, "%s", path);
	close(fd);
	return (size_t)n;
}

static void
configure(struct m_kube_conf *c, struct secret *token)
{
	char buf[SECRET_MAX];

	(void)strlcpy(c->host, env("API_HOST", "127.0.0.1"), sizeof(c->host));
	(void)strlcpy(c->ip, env("API_IP", c->host), sizeof(c->ip));
	c->port = (uint32_t)strtonum(env("API_PORT", "6443"), 1, 65535, NULL);
	c->ca.len = (uint32_t)slurp(
	    env("API_CA", "ca.crt"), c->ca.data, sizeof(c->ca.data));
	(void)strlcpy(
	    c->namespace, env("NAMESPACE", "br"), sizeof(c->namespace));
	(void)strlcpy(c->identity, env("IDENTITY", "one"), sizeof(c->identity));
	(void)strlcpy(c->image, env("IMAGE", ""), sizeof(c->image));
	(void)strlcpy(c->watch_namespace, env("WATCH_NAMESPACE", ""),
	    sizeof(c->watch_namespace));
	(void)strlcpy(c->dns_sa, env("DNS_SA", ""), sizeof(c->dns_sa));
	(void)strlcpy(
	    c->aux_addr, "bloodraven.br.svc:8082", sizeof(c->aux_addr));
	c->lease_ms = strtonum(env("LEASE_MS", "3000"), 0, 600000, NULL);
	c->renew_ms = strtonum(env("RENEW_MS", "2000"), 0, 600000, NULL);
	c->retry_ms = strtonum(env("RETRY_MS", "400"), 0, 600000, NULL);
	c->leader_elect = strcmp(env("LEADER_ELECT", "1"), "1") == 0;
	if (getenv("API_TOKEN") != NULL)
		(void)secret_set(
		    token, buf, slurp(getenv("API_TOKEN"), buf, sizeof(buf)));
}

int
main(int argc, char **argv)
{
	static struct m_kube_conf conf;
	static struct secret token;
	struct event *in;

	if (argc != 2)
		errx(2, "usage: drive kube|dns");
	(void)signal(SIGPIPE, SIG_IGN);
	kube_memory();
	log_init("drive", LL_DEBUG, 2);
	base = event_base_new();
	configure(&conf, &token);
	kwatch_times(strtonum(env("WATCH_S", "0"), 0, 3600, NULL),
	    strtonum(env("WATCH_IDLE_MS", "0"), 0, 3600000, NULL));
	if (strcmp(argv[1], "kube") == 0)
		kube = kube_new(base, &conf, &token, to_parent, NULL);
	else {
		struct m_kube_token t = { .token = token };

		dns = dns_new(base, &conf, to_parent, NULL);
		if (dns != NULL)
			dns_message(dns, MSG_KUBE_TOKEN, &t);
	}
	if (kube == NULL && dns == NULL)
		errx(1, "set-up");
	if ((rollup = open("/proc/self/smaps_rollup", O_RDONLY)) == -1)
		err(1, "smaps_rollup");
	if (strcmp(env("SANDBOX", "0"), "1") == 0 &&
	    sandbox_enter(kube != NULL ? &kube_sandbox : &dns_sandbox, argv[1],
		true) == -1)
		err(1, "sandbox");
	in = event_new(base, 0, EV_READ | EV_PERSIST, on_stdin, NULL);
	event_add(in, NULL);
	event_base_dispatch(base);
	event_free(in);
	if (kube != NULL)
		kube_free(kube);
	if (dns != NULL)
		dns_free(dns);
	event_base_free(base);
	return 0;
}
