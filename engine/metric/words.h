// SPDX-License-Identifier: Apache-2.0
// words.h: tokens as numbers, and multisets of their n-grams. Private to engine/metric.
//
// A token is known by a 64-bit hash: among the millions of a corpus two that share one are not to be expected.
#pragma once

#include "hostlib/status.h"

/// A growing list. A zeroed struct is empty; `failed`: out of memory, and what was added is not all.
struct sy_words {
    uint64_t *ids;
    size_t count, room;
    bool failed;
};
void sy_words_add(struct sy_words *w, const char *text, size_t bytes);
void sy_words_put(struct sy_words *w, uint64_t id);
void sy_words_finish(struct sy_words *w);
/// What str.split() leaves.
void sy_words_split(struct sy_words *w, const char *text);

/// The n-grams of `from` in ascending order, in place of what `out` held; of one token it is the token's number.
void sy_words_grams(const struct sy_words *from, size_t n, struct sy_words *out);
/// How many elements two sorted multisets share.
size_t sy_words_shared(const struct sy_words *a, const struct sy_words *b);
/// `a` becomes the union: each element as often as where it is more often.
void sy_words_unite(struct sy_words *a, const struct sy_words *b);
