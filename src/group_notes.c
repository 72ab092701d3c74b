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
 * What the status says beyond the core's words, and nothing decides by: why a
 * container waits, what MySQL says of its replication, and whether the DNS
 * record is as it should be. As everything of a status these texts stay as
 * they are while nothing changes.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "group_int.h"

#define TEXT_LEN 300

/* -------------------------------------------------------------------- Pods */

/*
 * A container that ends again and again waits in between, and an image is asked
 * for again and again: that it does so just now is no news.
 */
void
group_notes_pod(struct gpod *p, const struct m_pod *m)
{
	const char *now = m->waiting_reason;

	if ((strcmp(p->waits, "CrashLoopBackOff") == 0 && *now == '\0' &&
		!m->ready) ||
	    (strcmp(p->waits, "ImagePullBackOff") == 0 &&
		strcmp(now, "ErrImagePull") == 0))
		return;
	(void)strlcpy(p->waits, now, sizeof(p->waits));
}

/* Of the newest one that stays. */
static const char *
waits(const struct group *g, const char *site)
{
	const struct gpod *p, *best = NULL;

	TAILQ_FOREACH (p, &g->pods, entry)
		if (strcmp(p->site, site) == 0 && !p->f.gone &&
		    !p->f.deleting &&
		    (best == NULL || p->created_ms >= best->created_ms))
			best = p;
	return best != NULL ? best->waits : "";
}

/* ------------------------------------------------------------- replication */

/* Take out what is between two texts, both included but for what is put in. */
static void
take_out(char *s, const char *from, const char *to, const char *put)
{
	char *a = strstr(s, from), *b;
	char rest[ERR_LEN + 1];

	if (a == NULL || (b = strstr(a + strlen(from), to)) == NULL)
		return;
	(void)strlcpy(rest, b + strlen(to), sizeof(rest));
	(void)snprintf(a, ERR_LEN + 1 - (size_t)(a - s), "%s%s", put, rest);
}

/*
 * MySQL's own words without what is somebody's data, a statement, which may
 * hold a password, or a key's value; and without what it counts.
 */
static void
clean(const char *text, char out[static TEXT_LEN + 1])
{
	char s[ERR_LEN + 1], *q;

	(void)strlcpy(s, text, sizeof(s));
	if ((q = strstr(s, " Query: '")) != NULL)
		*q = '\0';
	if ((q = strstr(s, "Duplicate entry '")) != NULL &&
	    strstr(q, "' for key") == NULL)
		*q = '\0';
	take_out(
	    s, "Duplicate entry '", "' for key", "Duplicate entry for key");
	take_out(s, "This was attempt ", " between attempts. ", "");
	(void)strlcpy(out, s, TEXT_LEN + 1);
}

void
group_notes_probe(struct gsite *s, const struct m_probe *m)
{
	uint32_t no = m->sql_errno != 0 ? m->sql_errno : m->io_errno;
	char text[TEXT_LEN + 1];

	if (!m->has_repl || no == 0 || m->repl_error[0] == '\0') {
		free(s->repl_error);
		s->repl_error = NULL;
		return;
	}
	/* A receiver tries on, and says each time what differs a little. */
	if (s->repl_error != NULL && m->sql_errno == 0 && s->repl_errno == no)
		return;
	clean(m->repl_error, text);
	if (s->repl_error != NULL && strcmp(s->repl_error, text) == 0)
		return;
	free(s->repl_error);
	if ((s->repl_error = strdup(text)) == NULL)
		fatal("strdup");
	s->repl_errno = no;
}

/* --------------------------------------------------------------------- DNS */

void
group_notes_dns(struct group *g, const struct m_dns_state *m)
{
	/* "write: 500": what follows may have a port or a number of its own. */
	size_t n = strcspn(m->error, ":") + strlen(": 500");

	if (m->ok) {
		g->dns_known = true;
		free(g->dns_error);
		g->dns_error = NULL;
		return;
	}
	/* What passes by itself is no news of this record. */
	if (m->error[0] == '\0' || !m->lasts ||
	    (g->dns_error != NULL && strncmp(g->dns_error, m->error, n) == 0))
		return;
	g->dns_known = true;
	g->dns_said = false;
	free(g->dns_error);
	if ((g->dns_error = strdup(m->error)) == NULL)
		fatal("strdup");
}

static void
dns_condition(struct group *g, struct m_group_status *m)
{
	char text[MSGTEXT_LEN + 1];

	if (!g->dns_known)
		return;
	if (g->dns_error == NULL) {
		group_condition(m, "DNSUpdated", true, "AsWanted", "");
		return;
	}
	(void)snprintf(text, sizeof(text), "%s%s%s%s%s: %s",
	    g->conf.dns_hostname, g->dns.target[0] != '\0' ? " for site " : "",
	    g->dns.site, g->dns.target[0] != '\0' ? ", " : "", g->dns.target,
	    g->dns_error);
	group_condition(m, "DNSUpdated", false,
	    strncmp(g->dns_error, "read", 4) == 0 ? "ReadFailed" :
						    "WriteFailed",
	    text);
	if (g->dns_said || !groups_leading(g->all))
		return;
	g->dns_said = true;
	group_event(g, true, "DNSUpdateFailed", text);
}

/* ------------------------------------------------------------------ status */

/* "; iad: its container waits: ImagePullBackOff". */
static void
of_sites(const struct group *g, char *buf, size_t len)
{
	const char *name, *why;
	size_t n = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < g->fc.nsites && n < len; i++) {
		const struct gsite *s = &g->site[i];
		unsigned state = g->view.site[i].state;

		name = g->fc.site[i].name;
		if (state == SS_READ_ONLY && s->repl_error != NULL)
			n += (size_t)snprintf(buf + n, len - n,
			    "; %s: MySQL says: %s", name, s->repl_error);
		else if (state != SS_READ_ONLY && state != SS_WRITABLE &&
		    *(why = waits(g, name)) != '\0')
			n += (size_t)snprintf(buf + n, len - n,
			    "; %s: its container waits: %s", name, why);
	}
}

/* To what the core says, where it says that something is wrong. */
void
group_notes(struct group *g, struct m_group_status *m)
{
	char text[MSGTEXT_LEN + 1];
	bool wrong = false;

	of_sites(g, text, sizeof(text));
	for (unsigned i = 0; i < m->n_conditions; i++) {
		struct m_condition *c = &m->conditions[i];

		if (strcmp(c->type, "Ready") == 0 ?
			!c->status :
			strcmp(c->type, "Degraded") == 0 && c->status) {
			wrong = true;
			(void)strlcat(c->message,
			    text +
				(c->message[0] == '\0' && text[0] != '\0' ? 2 :
									    0),
			    sizeof(c->message));
		}
	}
	if (wrong)
		(void)strlcat(m->summary, text, sizeof(m->summary));
	dns_condition(g, m);
}
