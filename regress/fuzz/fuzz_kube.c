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
 * What the API server sends: objects of every kind that we decode, and the
 * splitter in front of them, fed in pieces.
 */

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "kube_spec.h"
#include "kube_split.h"

static yyjson_val *
no_secret(void *arg, const char *name)
{
	return NULL;
}

static void
decode(yyjson_val *v)
{
	static struct kproblems problems;
	static struct kspec spec;
	static struct m_group_conf conf;
	static struct m_record record;
	static struct m_pod pod;
	static struct m_creds creds;
	static struct m_tls tls;
	static struct m_keys keys;
	struct klease lease;
	char why[ERR_LEN + 1];
	const char *group;

	memset(&problems, 0, sizeof(problems));
	if (kspec_judge(v, &spec, &problems) == 0) {
		FUZZ_CHECK(
		    spec.nsites >= SITES_MIN && spec.nsites <= SITES_MAX);
		kspec_conf(&spec, NULL, &conf);
		FUZZ_CHECK(conf.valid && conf.n_sites == spec.nsites);
		kcreds_decode(&spec, no_secret, NULL, &creds, NULL);
		ktls_decode(&spec, no_secret, NULL, &tls);
		(void)krecord_decode(v, &spec, 0, &record, why);
	}
	(void)krecord_decode(v, NULL, 0, &record, why);
	(void)kpod_decode(v, &pod, &group);
	(void)klease_decode(v, &lease);
	memset(&keys, 0, sizeof(keys));
	strlcpy(keys.group, "u", sizeof(keys.group));
	kkeys_decode(v, &keys);
	FUZZ_CHECK(keys.seed.len == 0 || keys.seed.len == 64);
	FUZZ_CHECK(keys.other.len == 0 || keys.seed.len == 64);
}

static int
item(void *arg, char *text, size_t len)
{
	yyjson_doc *d = yyjson_read(text, len, 0);

	if (d != NULL)
		decode(yyjson_doc_get_root(d));
	yyjson_doc_free(d);
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct split s;
	size_t at = 0, n;

	split_init(&s, false, 1 << 20, item, NULL);
	while (at < len) {
		n = len - at > 7 ? 7 : len - at;
		if (split_feed(&s, (const char *)data + at, n) == -1)
			break;
		at += n;
	}
	split_free(&s);
	return 0;
}

size_t
fuzz_seed(unsigned i, uint8_t *buf, size_t size)
{
	static const char *const seeds[] = {
		"{\"metadata\":{\"name\":\"orders\",\"namespace\":\"db\","
		"\"uid\":\"11111111-1111-1111-1111-111111111111\","
		"\"generation\":1,\"annotations\":{"
		"\"bloodraven.shipstream.io/last-failover\":"
		"\"2026-01-01T00:00:00Z\","
		"\"bloodraven.shipstream.io/last-failover-target\":\"a\"}},"
		"\"spec\":{\"secretName\":\"s\",\"dns\":{\"hostname\":"
		"\"db.example.com\",\"ttl\":60},\"pollInterval\":\"2s\","
		"\"mysqlConf\":{\"max_connections\":\"10\"},\"sites\":["
		"{\"name\":\"a\",\"zone\":\"za\",\"lbIP\":\"192.0.2.1\","
		"\"taintNodeSelector\":{\"x\":\"y\"},\"storage\":{"
		"\"storageClassName\":\"c\",\"size\":\"1Gi\"}},"
		"{\"name\":\"b\",\"zone\":\"zb\",\"lbIP\":\"192.0.2.2\","
		"\"taintNodeSelector\":{\"x\":\"y\"},\"storage\":{"
		"\"storageClassName\":\"c\",\"size\":1}}]},\"status\":{"
		"\"authority\":{\"version\":3,\"epoch\":2,\"site\":\"a\","
		"\"unended\":[{\"epoch\":2,\"site\":\"a\"}]}}}",
		"{\"metadata\":{\"name\":\"p\",\"uid\":"
		"\"00000000-0000-0000-0000-00000000000a\",\"labels\":{"
		"\"shipstream.io/failover-group\":\"orders\","
		"\"shipstream.io/site\":\"a\"},\"finalizers\":["
		"\"bloodraven.shipstream.io/fence\"]},\"status\":{"
		"\"podIP\":\"10.0.0.1\",\"containerStatuses\":[{\"name\":"
		"\"mysql\",\"containerID\":\"containerd://ab\",\"state\":{"
		"\"running\":{\"startedAt\":\"2026-01-01T00:00:00Z\"}},"
		"\"lastState\":{\"terminated\":{\"containerID\":"
		"\"containerd://aa\",\"reason\":\"Error\",\"exitCode\":137,"
		"\"finishedAt\":\"2026-01-01T00:00:00Z\"}}}]}}",
		"{\"spec\":{\"holderIdentity\":\"x\",\"leaseDurationSeconds\""
		":15,\"renewTime\":\"2026-01-01T00:00:00.000000Z\"}}",
		"{\"metadata\":{\"resourceVersion\":\"7\",\"annotations\":{"
		"\"bloodraven.shipstream.io/lease-key-since\":\"7\"},"
		"\"ownerReferences\":[{\"uid\":\"u\"}]},\"data\":{"
		"\"generation\":\"Nwo=\",\"trust\":\"b3BlcmF0b3I=\",\"seed\":"
		"\"NWE1YTVhNWE1YTVhNWE1YTVhNWE1YTVhNWE1YTVhNWE1YTVhNWE1YTVhNWE1"
		"YTVhNWE1YTVhNWE1YTVhNWE1YTVhNWEK\"}}",
	};

	if (i >= sizeof(seeds) / sizeof(seeds[0]) || strlen(seeds[i]) > size)
		return 0;
	memcpy(buf, seeds[i], strlen(seeds[i]));
	return strlen(seeds[i]);
}
