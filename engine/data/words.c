// SPDX-License-Identifier: Apache-2.0
#include "engine/data/words.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "engine/data/long_text.h"
#include "engine/data/reader.h"
#include "engine/data/tokenizer_state.h"

#define MOST_WORD 200u              // bytes; a longer one is no word
#define MOST_NORMAL (4 * MOST_WORD) // of what the normaliser makes of it
#define SLOTS (1u << 16)            // of the memory; it is emptied when three quarters are taken
#define MOST_TEXT ((size_t)2 << 20)
#define MOST_IDS ((size_t)1 << 18)

static const char space[] = "\xe2\x96\x81"; // U+2581

/// A piece of the vocabulary, found by its text.
struct piece {
    const char *text; ///< The model's; NULL: free.
    uint32_t bytes;
    int32_t id;
    float score;
};

struct word {
    uint64_t hash; ///< 0: free.
    uint32_t text, bytes, ids, count;
    uint32_t additions; ///< At most so many scores are added up along any way.
    double score;       ///< Of the best way, which is not above 0.
    double distance;    ///< To the second best; 0: not to be relied on.
};

struct sy_words {
    const struct sy_tokenizer *tokenizer;
    struct piece *pieces;
    size_t piece_mask;
    size_t longest; ///< Piece, in bytes.
    struct word *memory;
    uint32_t taken;
    char *texts;
    size_t text_bytes;
    int32_t *ids;
    size_t id_count;
    uint64_t lines, whole;
};

// ---- the vocabulary -------------------------------------------------------------------------------------------------

static struct piece *find_piece(const struct sy_words *w, const char *text, size_t bytes)
{
    size_t i = (size_t)XXH3_64bits(text, bytes) & w->piece_mask;
    while (w->pieces[i].text != NULL && (w->pieces[i].bytes != bytes || memcmp(w->pieces[i].text, text, bytes) != 0))
        i = (i + 1) & w->piece_mask;
    return &w->pieces[i];
}

/// A space is only where a piece begins, and no score is above 0, so that no way gains by going on.
static bool add_piece(struct sy_words *w, int32_t id)
{
    const struct sy_spm *spm = w->tokenizer->spm;
    const char *text = sy_spm_piece(spm, id);
    const size_t bytes = strlen(text);
    const float score = sy_spm_score(spm, id);
    if (!sy_spm_is_normal(spm, id))
        return true;
    if (!(score <= 0.0f) || bytes == 0 || strstr(text + 1, space) != NULL)
        return false;
    struct piece *p = find_piece(w, text, bytes);
    if (p->text != NULL)
        return false;
    *p = (struct piece){text, (uint32_t)bytes, id, score};
    w->longest = bytes > w->longest ? bytes : w->longest;
    return true;
}

static bool make_table(struct sy_words *w)
{
    const uint32_t count = w->tokenizer->pieces;
    size_t slots = 1024;
    while (slots < 2 * (size_t)count)
        slots *= 2;
    w->piece_mask = slots - 1;
    w->pieces = calloc(slots, sizeof *w->pieces);
    bool good = w->pieces != NULL;
    for (uint32_t i = 0; i < count && good; ++i)
        good = add_piece(w, (int32_t)i);
    return good;
}

struct sy_words *sy_words_create(const struct sy_tokenizer *tokenizer)
{
    const struct sy_tokenizer *t = tokenizer;
    if (t->spm == NULL || !sy_spm_plain(t->spm) || !sy_spm_words_alone(t->spm))
        return NULL;
    for (size_t i = 0; i < t->added.count; ++i)
        if (!t->added.items[i].silent) // found before words are
            return NULL;
    struct sy_words *w = calloc(1, sizeof *w);
    if (w == NULL)
        return NULL;
    w->tokenizer = t;
    w->memory = calloc(SLOTS, sizeof *w->memory);
    w->texts = malloc(MOST_TEXT);
    w->ids = malloc(MOST_IDS * sizeof *w->ids);
    if (w->memory == NULL || w->texts == NULL || w->ids == NULL || !make_table(w))
        sy_words_destroy(&w);
    return w;
}

void sy_words_destroy(struct sy_words **words)
{
    if (*words == NULL)
        return;
    free((*words)->pieces);
    free((*words)->memory);
    free((*words)->texts);
    free((*words)->ids);
    free(*words);
    *words = NULL;
}

// ---- a word ---------------------------------------------------------------------------------------------------------

/// The two best ways to a place in a word: scores, and the best one's last piece.
struct ways {
    double best, second;
    const struct piece *last;
};

static void offer(struct ways *to, double score, const struct piece *last)
{
    if (score > to->best) {
        to->second = to->best;
        to->best = score;
        to->last = last;
    } else if (score > to->second) {
        to->second = score;
    }
}

/// Whether `ids` are the best way through a text, by pieces alone; then how good it is and how much better.
static bool measure(const struct sy_words *w, const char *text, size_t bytes, const int32_t *ids, size_t count,
                    struct word *out)
{
    struct ways ways[MOST_NORMAL + 1];
    uint32_t characters = 0;
    for (size_t i = 0; i <= bytes; ++i)
        ways[i] = (struct ways){-INFINITY, -INFINITY, NULL};
    ways[0].best = 0.0;
    for (size_t i = 0, n; i < bytes; i += n, ++characters) {
        n = sy_utf8_length(text + i, bytes - i);
        if (n == 0 || find_piece(w, text + i, n)->text == NULL)
            return false; // the library would consider an unknown character there
        for (size_t length = n; i + length <= bytes && length <= w->longest; ++length) {
            const struct piece *p = find_piece(w, text + i, length);
            if (p->text == NULL)
                continue;
            offer(&ways[i + length], ways[i].best + p->score, p);
            offer(&ways[i + length], ways[i].second + p->score, p);
        }
    }
    size_t at = bytes;
    for (; at > 0 && count > 0 && ways[at].last->id == ids[count - 1]; --count)
        at -= ways[at].last->bytes;
    out->additions = characters;
    out->score = ways[bytes].best;
    out->distance = ways[bytes].best - ways[bytes].second;
    return at == 0 && count == 0;
}

/// What the normaliser made of a word, put together of its pieces; 0: it cannot be known, or is too long.
static size_t normal_text(const struct sy_words *w, const int32_t *ids, size_t count, char out[MOST_NORMAL])
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; ++i) {
        const char *text = sy_spm_piece(w->tokenizer->spm, ids[i]);
        const size_t n = strlen(text);
        if (!sy_spm_is_normal(w->tokenizer->spm, ids[i]) || bytes + n > MOST_NORMAL)
            return 0;
        memcpy(out + bytes, text, n);
        bytes += n;
    }
    return bytes;
}

static void forget(struct sy_words *w)
{
    memset(w->memory, 0, SLOTS * sizeof *w->memory);
    w->taken = 0;
    w->text_bytes = w->id_count = 0;
}

static enum sy_status learn(struct sy_ctx *ctx, struct sy_words *w, const char *text, size_t bytes, struct word *out)
{
    char normal[MOST_NORMAL];
    int32_t *ids;
    size_t count;
    SY_TRY(sy_spm_encode(ctx, w->tokenizer->spm, text, bytes, &ids, &count));
    const size_t normal_bytes = normal_text(w, ids, count, normal);
    if (count > MOST_WORD || normal_bytes == 0 || !measure(w, normal, normal_bytes, ids, count, out)) {
        count = 0;
        out->distance = 0.0;
    }
    memcpy(w->texts + w->text_bytes, text, bytes);
    memcpy(w->ids + w->id_count, ids, count * sizeof *ids);
    free(ids);
    out->text = (uint32_t)w->text_bytes;
    out->bytes = (uint32_t)bytes;
    out->ids = (uint32_t)w->id_count;
    out->count = (uint32_t)count;
    w->text_bytes += bytes;
    w->id_count += count;
    ++w->taken;
    return SY_OK;
}

static enum sy_status find_word(struct sy_ctx *ctx, struct sy_words *w, const char *text, size_t bytes,
                                const struct word **out)
{
    if (w->taken >= SLOTS / 4 * 3 || w->text_bytes + MOST_WORD > MOST_TEXT || w->id_count + MOST_WORD > MOST_IDS)
        forget(w);
    const uint64_t hash = XXH3_64bits(text, bytes) | 1;
    size_t i = (size_t)(hash >> 16) & (SLOTS - 1);
    for (; w->memory[i].hash != 0; i = (i + 1) & (SLOTS - 1))
        if (w->memory[i].hash == hash && w->memory[i].bytes == bytes &&
            memcmp(w->texts + w->memory[i].text, text, bytes) == 0)
            break;
    if (w->memory[i].hash == 0) {
        struct word word = {.hash = hash};
        SY_TRY(learn(ctx, w, text, bytes, &word));
        w->memory[i] = word;
    }
    *out = &w->memory[i];
    return SY_OK;
}

// ---- a line ---------------------------------------------------------------------------------------------------------

/// Whether rounding cannot have changed a word's way in a line whose words before it add up to `before`.
//
// Both ways' partial sums in float lie between 0 and the sum's end, and an addition errs by half of the last place
// there at most: together, the two ways by less than as many last places as either has additions. Twice that is taken.
static bool is_certain(const struct word *word, double before)
{
    const double largest = -(before + word->score);
    return word->distance > 2.0 * (word->additions + 1) * largest * FLT_EPSILON;
}

static enum sy_status encode_whole(struct sy_ctx *ctx, struct sy_words *w, const char *line, size_t bytes,
                                   struct sy_ids *ids, const char *name)
{
    int32_t *more;
    size_t count;
    ++w->whole;
    SY_TRY(sy_tokenizer_encode(ctx, w->tokenizer, line, bytes, 0, &more, &count));
    enum sy_status status = sy_ids_reserve(ctx, ids, count, name);
    if (status == SY_OK && count > 0) {
        memcpy(ids->data + ids->count, more, count * sizeof *more);
        ids->count += count;
    }
    free(more);
    return status;
}

/// *out_certain: all of the line's words were; else what was appended is not to be used.
static enum sy_status encode_words(struct sy_ctx *ctx, struct sy_words *w, const char *line, size_t bytes,
                                   struct sy_ids *ids, const char *name, bool *out_certain)
{
    double score = 0.0;
    *out_certain = false;
    for (size_t i = 0; i < bytes;) {
        const char *end = memchr(line + i, ' ', bytes - i);
        const size_t n = end != NULL ? (size_t)(end - line) - i : bytes - i;
        const struct word *word;
        if (n > MOST_WORD)
            return SY_OK;
        if (n > 0) { // the library makes one of many spaces, and none at the ends
            SY_TRY(find_word(ctx, w, line + i, n, &word));
            if (!is_certain(word, score))
                return SY_OK;
            score += word->score;
            SY_TRY(sy_ids_reserve(ctx, ids, word->count, name));
            memcpy(ids->data + ids->count, w->ids + word->ids, word->count * sizeof *ids->data);
            ids->count += word->count;
        }
        i += n + 1;
    }
    *out_certain = true;
    return SY_OK;
}

enum sy_status sy_words_encode(struct sy_ctx *ctx, struct sy_words *words, const char *line, size_t bytes,
                               struct sy_ids *ids, const char *name)
{
    const uint64_t before = ids->count;
    bool certain = false;
    ++words->lines;
    if (bytes <= SY_LONG_TEXT_BYTES) // beyond it is another rule
        SY_TRY(encode_words(ctx, words, line, bytes, ids, name, &certain));
    if (certain)
        return SY_OK;
    ids->count = before;
    return encode_whole(ctx, words, line, bytes, ids, name);
}

void sy_words_count(const struct sy_words *words, uint64_t *out_lines, uint64_t *out_whole)
{
    *out_lines = words->lines;
    *out_whole = words->whole;
}
