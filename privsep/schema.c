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

/* The library's own frames, and look-ups in the application's schema. */

#include <errno.h>
#include <string.h>

#include "internal.h"

#define F(s, m, t) { .name = #m, .type = t, .off = offsetof(struct s, m) }
#define DESC(fn, s, f)                                                    \
	const struct codec_desc *fn(void)                                 \
	{                                                                 \
		static const struct codec_desc d = { #s, f, PS_NITEMS(f), \
			sizeof(struct s), 0 };                            \
		return (&d);                                              \
	}

static const struct codec_field hello_fields[] = {
	F(ps_hello, hash, CT_U64),
};
static const struct codec_field welcome_fields[] = {
	F(ps_welcome, level, CT_U32),
};
static const struct codec_field empty_fields[] = {
	F(ps_empty, unused, CT_BOOL),
};
static const struct codec_field launch_fields[] = {
	F(launch, id, CT_U32),
	F(launch, pid, CT_I64),
	F(launch, status, CT_I64),
};

DESC(ps_hello_desc, ps_hello, hello_fields)
DESC(ps_welcome_desc, ps_welcome, welcome_fields)
DESC(ps_empty_desc, ps_empty, empty_fields)
DESC(launch_desc, launch, launch_fields)

const struct ps_msg *
schema_find(const struct ps_schema *sc, uint32_t type)
{
	size_t i;

	for (i = 0; i < sc->nmsgs; i++)
		if (sc->msgs[i].type == type)
			return (&sc->msgs[i]);
	return (NULL);
}

uint64_t
schema_hash(const struct ps_schema *sc)
{
	const struct ps_msg *m;
	uint64_t h = FNV_SEED;
	size_t i;

	for (i = 0; i < sc->nmsgs; i++) {
		m = &sc->msgs[i];
		h = fnv1a(h, &m->type, sizeof(m->type));
		h = fnv1a_str(h, m->name);
		h = fnv1a(h, &m->from, sizeof(m->from));
		h = fnv1a(h, &m->to, sizeof(m->to));
		h = fnv1a(h, &m->phases, sizeof(m->phases));
		h = codec_hash(m->desc(), h);
	}
	return (h);
}

const struct ps_proc *
ps_proc_find(const struct ps_conf *conf, unsigned id)
{
	size_t i;

	for (i = 0; i < conf->nprocs; i++)
		if (conf->procs[i].id == id)
			return (&conf->procs[i]);
	return (NULL);
}

int64_t
setup_ms(const struct ps_conf *conf)
{
	return (conf->setup_ms != 0 ? conf->setup_ms : PS_SETUP_MS);
}
