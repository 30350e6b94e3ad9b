// SPDX-License-Identifier: Apache-2.0
#include "engine/metric/words.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "engine/metric/unicode.h"

void sy_words_put(struct sy_words *w, uint64_t id)
{
    if (w->count == w->room) {
        const size_t room = 2 * w->room + 32;
        uint64_t *bigger = w->failed ? NULL : realloc(w->ids, room * sizeof *bigger);
        if (bigger == NULL) {
            w->failed = true;
            return;
        }
        w->ids = bigger;
        w->room = room;
    }
    w->ids[w->count++] = id;
}

void sy_words_add(struct sy_words *w, const char *text, size_t bytes) { sy_words_put(w, XXH3_64bits(text, bytes)); }

void sy_words_finish(struct sy_words *w)
{
    free(w->ids);
    *w = (struct sy_words){0};
}

void sy_words_split(struct sy_words *w, const char *text)
{
    const char *end = text + strlen(text), *word = NULL;
    while (text < end) {
        const char *before = text;
        const bool space = sy_char_is_space(sy_char_next(&text, end));
        if (space && word != NULL)
            sy_words_add(w, word, (size_t)(before - word));
        word = space ? NULL : word != NULL ? word : before;
    }
    if (word != NULL)
        sy_words_add(w, word, (size_t)(end - word));
}

static int ascending(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

void sy_words_grams(const struct sy_words *from, size_t n, struct sy_words *out)
{
    out->count = 0;
    out->failed = out->failed || from->failed;
    for (size_t i = 0; i + n <= from->count; ++i)
        sy_words_put(out, n == 1 ? from->ids[i] : XXH3_64bits(from->ids + i, n * sizeof *from->ids));
    if (out->count > 1)
        qsort(out->ids, out->count, sizeof *out->ids, ascending);
}

size_t sy_words_shared(const struct sy_words *a, const struct sy_words *b)
{
    size_t i = 0, k = 0, shared = 0;
    while (i < a->count && k < b->count) {
        const uint64_t x = a->ids[i], y = b->ids[k];
        shared += x == y;
        i += x <= y;
        k += y <= x;
    }
    return shared;
}

void sy_words_unite(struct sy_words *a, const struct sy_words *b)
{
    struct sy_words both = {.failed = a->failed || b->failed};
    size_t i = 0, k = 0;
    while (i < a->count || k < b->count) {
        const bool mine = i < a->count && (k == b->count || a->ids[i] <= b->ids[k]);
        const bool theirs = k < b->count && (i == a->count || b->ids[k] <= a->ids[i]);
        sy_words_put(&both, mine ? a->ids[i] : b->ids[k]);
        i += mine;
        k += theirs;
    }
    sy_words_finish(a);
    *a = both;
}
