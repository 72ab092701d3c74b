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
 * The operator's own configuration: command line and environment. What a
 * group wants is in its MysqlFailoverGroup, not here.
 */

#ifndef CONF_H
#define CONF_H

#include "br.h"
#include "privsep.h"

#define SA_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

struct conf {
	bool leader_elect;
	bool check_only; /* -n: parse and exit */
	enum log_level level;
	char api_host[HOST_LEN + 1];
	uint32_t api_port;
	char sa_dir[HOST_LEN + 1]; /* token, ca.crt, namespace */
	char namespace[NS_LEN + 1];
	char identity[NAME_LEN + 1];
	char watch_namespace[NS_LEN + 1];
	char dns_sa[NAME_LEN + 1];
	char sidecar_aux_addr[HOST_LEN + 1];
	char image[HOST_LEN + 1]; /* the operator's own, "": not known */
	char metrics_addr[HOST_LEN + 1];
	char probe_addr[HOST_LEN + 1];
	char aux_addr[HOST_LEN + 1];
	char ws_origins[ORIGINS_LEN + 1];
	uint32_t ws_max;
	int64_t lease_ms, renew_ms, retry_ms;
	int64_t key_age_ms; /* of a lease key; 0: no limit */
};

/*
 * Fill in from argv and the environment. Returns 0, or -1 after it wrote to
 * stderr what is wrong and which flag or variable it is about.
 */
int conf_parse(struct conf *, int argc, char **argv);

#endif /* CONF_H */
