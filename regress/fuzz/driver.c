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
 * driver [-n rounds] [-s seed] [-w directory]: mutates every seed of the
 * target so often, or writes the seeds as files for libFuzzer.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

#define INPUT_MAX 70000
#define ROUNDS    2000

static uint64_t rng;

static uint32_t
rnd(uint32_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)(rng >> 32) % n;
}

/* One to eight of: flip, overwrite, insert, remove, duplicate, cut. */
static size_t
mutate(uint8_t *b, size_t len)
{
	for (uint32_t k = rnd(8) + 1; k > 0 && len > 0; k--) {
		size_t at = rnd((uint32_t)len), n = rnd(8) + 1;

		switch (rnd(6)) {
		case 0:
			b[at] ^= (uint8_t)(1u << rnd(8));
			break;
		case 1:
			b[at] = (uint8_t)rnd(256);
			break;
		case 2:
			if (len + 1 < INPUT_MAX) {
				memmove(b + at + 1, b + at, len - at);
				b[at] = (uint8_t)rnd(256);
				len++;
			}
			break;
		case 3:
			if (n > len - at)
				n = len - at;
			memmove(b + at, b + at + n, len - at - n);
			len -= n;
			break;
		case 4:
			if (n > len - at)
				n = len - at;
			if (len + n < INPUT_MAX) {
				memmove(b + at + n, b + at, len - at);
				len += n;
			}
			break;
		case 5:
			len = at;
			break;
		}
	}
	return len;
}

/* A copy of exactly that size, so that a read past its end is seen. */
static void
run(const uint8_t *b, size_t len)
{
	uint8_t *p = malloc(len > 0 ? len : 1);

	if (p == NULL)
		abort();
	memcpy(p, b, len);
	(void)LLVMFuzzerTestOneInput(p, len);
	free(p);
}

static int
write_seed(const char *dir, unsigned i, const uint8_t *b, size_t len)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/seed-%u", dir, i);
	if ((f = fopen(path, "wb")) == NULL || fwrite(b, 1, len, f) != len ||
	    fclose(f) == EOF) {
		perror(path);
		return -1;
	}
	return 0;
}

int
main(int argc, char **argv)
{
	static uint8_t seed[INPUT_MAX], b[INPUT_MAX];
	unsigned long rounds = ROUNDS, start = 1;
	const char *dir = NULL;
	unsigned i;
	size_t len;
	int opt;

	while ((opt = getopt(argc, argv, "n:s:w:")) != -1) {
		if (opt == 'n')
			rounds = strtoul(optarg, NULL, 10);
		else if (opt == 's')
			start = strtoul(optarg, NULL, 10);
		else if (opt == 'w')
			dir = optarg;
		else
			return 2;
	}
	for (i = 0; (len = fuzz_seed(i, seed, sizeof(seed))) != 0; i++) {
		if (dir != NULL) {
			if (write_seed(dir, i, seed, len) == -1)
				return 1;
			continue;
		}
		run(seed, len);
		rng = start * 0x9e3779b97f4a7c15ULL + i + 1;
		for (unsigned long r = 0; r < rounds; r++) {
			memcpy(b, seed, len);
			run(b, mutate(b, len));
		}
	}
	printf("ok - %s: %u seeds, %lu mutations each, seed %lu\n",
	    strrchr(argv[0], '/') != NULL ? strrchr(argv[0], '/') + 1 : argv[0],
	    i, rounds, start);
	return i == 0;
}
