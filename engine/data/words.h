// SPDX-License-Identifier: Apache-2.0
// words.h: the ids that SentencePiece gives a line, out of those that it gave the line's words before. Private to
// engine/data.
//
// A corpus is few words, repeated. A unigram model's best way through a line is the best through each word, if no
// piece spans a space, but the library adds scores of a whole line in float, and rounding may decide between two ways
// of nearly the same score. So a word is remembered with the distance between its best way and the next; where that is
// not beyond all rounding of its line, or anything else is unusual, the library gets the whole line. The ids are
// the library's, always (tests/words.c). One thread's at a time.
#pragma once

#include "engine/data/ids.h"

/// The vocabulary's pieces, by their texts; read-only, so threads may share it. NULL: it is not of the kind for which
/// this is proven, or there is no memory; encode without.
struct sy_pieces;
struct sy_pieces *sy_pieces_create(const struct sy_tokenizer *tokenizer);
void sy_pieces_destroy(struct sy_pieces **pieces);

/// `pieces` must outlive it. NULL: there are none, or there is no memory.
struct sy_words;
struct sy_words *sy_words_create(const struct sy_pieces *pieces);
void sy_words_destroy(struct sy_words **words);

/// Appends what sy_tokenizer_encode() gives for a line without its newline. Errors: as that.
SY_MUST_CHECK enum sy_status sy_words_encode(struct sy_ctx *ctx, struct sy_words *words, const char *line, size_t bytes,
                                             struct sy_ids *ids, const char *name);
/// Lines so far, and how many of them the library got whole.
void sy_words_count(const struct sy_words *words, uint64_t *out_lines, uint64_t *out_whole);
