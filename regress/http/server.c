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
 * status-server in its real sandbox under a parent that says what standard
 * input tells it to, for attack.py:
 *
 *	state LEADER [MS]		the Lease holds so long
 *	site UID NAME STATE [N]		N bytes of GTID set
 *	group UID NS NAME EFFECTIVE SITE...
 *	gone UID
 *	bulk N				N groups' epochs, for a large /metrics
 *	every NS NAME SITE		a change of every family
 *
 * Prints "ready" when the worker is up, "done" behind each command; ends
 * with standard input. Arguments: how many WebSockets there may be, and whose
 * pages may open one.
 */

#include <err.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "metrics.h"
#include "procs.h"

#define WORDS 24

static struct ps *ps;
static const char *ws_max = "0", *ws_origins = "";
static struct event_base *base;
static bool ending;

static void
from_worker(
    struct ps *p, unsigned from, uint32_t type, void *msg, int fd, void *arg)
{
	errx(1, "status-server has nothing to say");
}

static void
on_setup(struct ps *p, unsigned id, void *arg)
{
	struct m_http_conf m;

	memset(&m, 0, sizeof(m));
	strlcpy(m.metrics_addr, "127.0.0.1:0", sizeof(m.metrics_addr));
	strlcpy(m.probe_addr, "127.0.0.1:0", sizeof(m.probe_addr));
	strlcpy(m.aux_addr, ":0", sizeof(m.aux_addr));
	strlcpy(m.ws_origins, ws_origins, sizeof(m.ws_origins));
	m.ws_max = (uint32_t)strtoul(ws_max, NULL, 10);
	if (ps_send(p, id, MSG_HTTP_CONF, &m, -1) == -1)
		err(1, "HTTP_CONF");
}

static void
on_ready(struct ps *p, unsigned id, void *arg)
{
}

static void
on_death(struct ps *p, unsigned id, int wstatus, void *arg)
{
	if (!ending || wstatus != 0)
		errx(1, "status-server died, wait status %#x",
		    (unsigned)wstatus);
}

static const struct ps_proc table[] = {
	{ .title = "status-server",
	    .id = PROC_HTTP,
	    .setup = http_setup,
	    .dispatch = http_dispatch,
	    .parent_dispatch = from_worker,
	    .sandbox = &http_sandbox,
	    .restart = PS_RESTART_NEVER,
	    .user = "nobody" },
};

static const struct ps_conf conf = {
	.procs = table,
	.nprocs = PS_NITEMS(table),
	.schema = &msg_schema,
#ifdef DISABLE_SANDBOX
	.no_sandbox = true,
#endif
	.level = LL_INFO,
	.on_setup = on_setup,
	.on_ready = on_ready,
	.on_death = on_death,
};

/* A full queue is waited for. */
static void
send_msg(uint32_t type, const void *msg)
{
	while (ps_send(ps, PROC_HTTP, type, msg, -1) == -1) {
		if (errno != ENOBUFS)
			err(1, "message %u", (unsigned)type);
		event_base_loop(base, EVLOOP_ONCE);
	}
}

static void
cmd_state(char **w, unsigned n)
{
	struct m_http_state m = { .ready = true, .leader = w[1][0] == '1' };
	int64_t ms = n > 2 ? strtoll(w[2], NULL, 10) : 3600000;

	m.leader_until_ns = monotime_add_ms(monotime_now(), ms).ns;

	send_msg(MSG_HTTP_STATE, &m);
}

static void
cmd_site(char **w, unsigned n)
{
	static struct m_site_status m;

	memset(&m, 0, sizeof(m));
	strlcpy(m.group, w[1], sizeof(m.group));
	strlcpy(m.name, w[2], sizeof(m.name));
	m.lag_s = -1;
	if (n > 4)
		memset(m.gtid, 'a', strtoul(w[4], NULL, 10) % sizeof(m.gtid));
	while (
	    m.state < SS_MAX - 1 && strcmp(site_state_name(m.state), w[3]) != 0)
		m.state++;
	send_msg(MSG_SITE_STATUS, &m);
}

static void
cmd_group(char **w, unsigned n)
{
	static struct m_group_status m;
	unsigned i;

	memset(&m, 0, sizeof(m));
	strlcpy(m.group, w[1], sizeof(m.group));
	if (strcmp(w[0], "gone") == 0) {
		m.gone = true;
		send_msg(MSG_GROUP_STATUS, &m);
		return;
	}
	strlcpy(m.ns, w[2], sizeof(m.ns));
	strlcpy(m.name, w[3], sizeof(m.name));
	strlcpy(m.effective_site, w[4], sizeof(m.effective_site));
	strlcpy(m.active_site, w[4], sizeof(m.active_site));
	m.poll_time_ms = 1767225600000;
	for (i = 5; i < n && m.n_sites < SITES_MAX; i++)
		strlcpy(
		    m.sites[m.n_sites++].name, w[i], sizeof(m.sites[0].name));
	send_msg(MSG_GROUP_STATUS, &m);
}

static void
sink_send(void *arg, const struct m_metric *m)
{
	send_msg(MSG_METRIC, m);
}

static void
cmd_bulk(char **w, unsigned n)
{
	static const struct metric_sink sink = { sink_send, NULL };
	char name[32];
	long i, count = strtol(w[1], NULL, 10);

	for (i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "bulk-%ld", i);
		if (metric_set(&sink, M_EPOCH, i, ML("attack", name)) == -1)
			err(1, "metric");
	}
}

/* The values of a label that every family could have. */
static const char *
label_value(const char *label, char **w)
{
	return strcmp(label, "namespace") == 0 ? w[1] :
	    strcmp(label, "group") == 0        ? w[2] :
	    strcmp(label, "site") == 0         ? w[3] :
	    strcmp(label, "target_site") == 0  ? w[3] :
						 "a \"\\value\"";
}

static void
cmd_every(char **w, unsigned n)
{
	static const struct metric_sink sink = { sink_send, NULL };
	const struct metric_family *f;
	const char *v[METRIC_LABELS_MAX + 1];
	unsigned i, k;
	int rc = 0;

	for (i = 0; (f = metric_family(i)) != NULL; i++) {
		for (k = 0; f->labels[k] != NULL; k++)
			v[k] = label_value(f->labels[k], w);
		v[k] = NULL;
		switch (f->type) {
		case MT_COUNTER:
			rc = metric_add(&sink, i, 1, v);
			break;
		case MT_GAUGE:
			rc = metric_set_us(&sink, i, 1500000, v);
			break;
		case MT_HISTOGRAM:
			rc = metric_observe_ms(&sink, i, 1500, v);
			break;
		}
		if (rc == -1)
			err(1, "%s", f->name);
	}
}

static const struct {
	const char *name;
	unsigned words; /* at least */
	void (*run)(char **, unsigned);
} cmds[] = {
	{ "state", 2, cmd_state },
	{ "site", 4, cmd_site },
	{ "group", 5, cmd_group },
	{ "gone", 2, cmd_group },
	{ "bulk", 2, cmd_bulk },
	{ "every", 4, cmd_every },
};

static void
command(char *line)
{
	char *w[WORDS];
	unsigned n = 0;
	size_t i;

	while (n < WORDS && (w[n] = strsep(&line, " \n")) != NULL)
		if (*w[n] != '\0')
			n++;
	for (i = 0; i < PS_NITEMS(cmds); i++)
		if (n >= cmds[i].words && strcmp(w[0], cmds[i].name) == 0) {
			cmds[i].run(w, n);
			printf("done\n");
			fflush(stdout);
			return;
		}
	errx(1, "what?");
}

static void
input(evutil_socket_t fd, short what, void *arg)
{
	event_base_loopbreak(base);
}

int
main(int argc, char **argv)
{
	static const unsigned order[] = { PROC_HTTP, 0 };
	struct event *ev;
	char line[4096];

	ps_worker_main(argc, argv, &conf);
	if (argc > 1)
		ws_max = argv[1];
	if (argc > 2)
		ws_origins = argv[2];
	log_init("parent", LL_INFO, STDERR_FILENO);
	/* One line at a time: the loop must not miss what stdio has read. */
	setvbuf(stdin, NULL, _IONBF, 0);
	if ((base = event_base_new()) == NULL)
		errx(1, "event_base_new");
	ps = ps_start(&conf, base);
	printf("ready\n");
	fflush(stdout);
	ev = event_new(base, STDIN_FILENO, EV_READ | EV_PERSIST, input, NULL);
	if (ev == NULL || event_add(ev, NULL) == -1)
		errx(1, "event_new");
	for (;;) {
		event_base_loop(base, 0);
		if (fgets(line, sizeof(line), stdin) == NULL)
			break;
		command(line);
	}
	event_free(ev);
	ending = true;
	ps_shutdown(ps, order, 5000);
	event_base_free(base);
	return 0;
}
