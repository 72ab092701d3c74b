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
 * What kube-watcher and dns-writer have in common as clients of the API
 * server: the connection made from KUBE_CONF, requests counted, a newer token
 * asked for.
 */

#include <stdio.h>
#include <string.h>

#include "kube_client.h"
#include "metrics.h"

/* One stale token is refused many times at once. */
#define ASK_NS INT64_C(1000000000)

static void
send_metric(void *arg, const struct m_metric *m)
{
	struct kclient *c = arg;

	c->send(c->send_arg, MSG_METRIC, m);
}

static void
on_request(void *arg, const char *verb, const char *resource, long status)
{
	struct kclient *c = arg;
	struct metric_sink sink = { send_metric, c };
	char code[8];

	(void)snprintf(code, sizeof(code), "%ld", status);
	(void)metric_add(
	    &sink, M_API_REQUESTS, 1, ML(c->worker, verb, resource, code));
	(void)metric_log_dropped(&sink, c->worker, &c->log_dropped);
}

static void
on_401(void *arg)
{
	struct kclient *c = arg;
	struct m_token_ask m = { .refused = true };
	int64_t now = monotime_now().ns;

	if (now < c->asked_ns + ASK_NS)
		return;
	c->asked_ns = now;
	log_ev(LL_WARN, "API server refused the token");
	c->send(c->send_arg, MSG_TOKEN_ASK, &m);
}

static void
on_result(void *arg, bool answered)
{
	struct kclient *c = arg;

	if (c->on_result != NULL)
		c->on_result(c->result_arg, answered);
}

struct kh *
kclient_open(
    struct kclient *c, struct event_base *base, const struct m_kube_conf *conf)
{
	struct kh_conf h = {
		.host = conf->host,
		.ip = conf->ip,
		.port = conf->port,
		.ca = conf->ca.data,
		.ca_len = conf->ca.len,
		.on_result = on_result,
		.on_request = on_request,
		.on_401 = on_401,
		.arg = c,
	};

	return kh_new(base, &h);
}
