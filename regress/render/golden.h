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
 * Files that a test's output is compared with, byte for byte; --update
 * writes them instead.
 */

#ifndef GOLDEN_H
#define GOLDEN_H

#include <stdbool.h>
#include <stddef.h>
#include <yyjson.h>

#include "kube_spec.h"

extern bool golden_update;

/* Sets golden_update from the arguments, and finds the source tree. */
void golden_init(int argc, char **argv);
/* A path below the top of the source tree, in a static buffer. */
const char *
golden_path(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The whole file, malloc()ed and NUL-terminated; NULL when it is missing. */
char *golden_read(const char *path, size_t *len);
/* Fails the test when the file does not say exactly this. */
void golden_check(const char *path, const char *text, size_t len);
/* A document as the operator would get it: lines from '#' are comments. */
yyjson_doc *golden_json(const char *path);
/* The value of "# name: " in a file, into a static buffer; NULL: none. */
const char *golden_note(const char *path, const char *name);

#endif /* GOLDEN_H */
