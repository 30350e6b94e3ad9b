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
#define SLOTS (1u << 17)            // of the memory; it is emptied when three quarters are taken
#define MOST_TEXT ((size_t)2 << 20)
#define MOST_IDS ((size_t)1 << 19)

#define UNKNOWN_PENALTY 10.0f // the library's, below the lowest score

static const char space[] = "\xe2\x96\x81"; // U+2581

/// The beginning of a piece of the vocabulary, or all of one.
struct piece {
    uint64_t hash;    ///< 0: free.
    const char *text; ///< The model's.
    uint32_t bytes;
    int32_t id; ///< −1: only a beginning.
    float score;
};

struct sy_pieces {
    const struct sy_tokenizer *tokenizer;
    struct piece *slots;
    size_t count, mask;
    float unknown; ///< The score of a character that is no piece.
};

struct word {
    uint64_t hash;  ///< 0: free.
    double score;   ///< Of the best way, which is not above 0.
    float distance; ///< To the second best; 0: not to be relied on.
    uint32_t text, ids;
    uint16_t additions; ///< At most so many scores are added up along any way.
    uint8_t bytes, count;
};

struct sy_words {
    const struct sy_pieces *pieces;
    const struct sy_tokenizer *tokenizer;
    struct word *memory;
    uint32_t taken;
    char *texts;
    size_t text_bytes;
    int32_t *ids;
    size_t id_count;
    uint64_t lines, whole;
};

// ---- the vocabulary -------------------------------------------------------------------------------------------------

#define FIRST_HASH UINT64_C(0xcbf29ce484222325)

/// The hash of a text and one more byte (FNV-1a, never 0).
static uint64_t go_on(uint64_t hash, char byte) { return ((hash ^ (uint8_t)byte) * UINT64_C(0x100000001b3)) | 1; }

static struct piece *find_piece(const struct sy_pieces *p, uint64_t hash)
{
    size_t i = (size_t)(hash ^ hash >> 29) & p->mask;
    while (p->slots[i].hash != 0 && p->slots[i].hash != hash)
        i = (i + 1) & p->mask;
    return &p->slots[i];
}

static bool make_room(struct sy_pieces *p)
{
    if (2 * (p->count + 1) <= p->mask)
        return true;
    const struct sy_pieces old = *p;
    p->mask = 2 * old.mask + 1;
    p->slots = calloc(p->mask + 1, sizeof *p->slots);
    if (p->slots == NULL) {
        p->slots = old.slots;
        p->mask = old.mask;
        return false;
    }
    for (size_t i = 0; i <= old.mask && old.slots != NULL; ++i)
        if (old.slots[i].hash != 0)
            *find_piece(p, old.slots[i].hash) = old.slots[i];
    free(old.slots);
    return true;
}

/// A space is only where a piece begins, and no score is above 0, so that no way gains by going on.
static bool add_piece(struct sy_pieces *p, int32_t id)
{
    const struct sy_spm *spm = p->tokenizer->spm;
    const char *text = sy_spm_piece(spm, id);
    const uint32_t bytes = (uint32_t)strlen(text);
    const float score = sy_spm_score(spm, id);
    uint64_t hash = FIRST_HASH;
    if (!sy_spm_is_normal(spm, id))
        return true;
    if (!(score <= 0.0f) || bytes == 0 || strstr(text + 1, space) != NULL)
        return false;
    p->unknown = score < p->unknown ? score : p->unknown;
    for (uint32_t i = 1; i <= bytes; ++i) {
        hash = go_on(hash, text[i - 1]);
        if (!make_room(p))
            return false;
        struct piece *slot = find_piece(p, hash);
        if (slot->hash != 0 && (slot->bytes != i || memcmp(slot->text, text, i) != 0 || (i == bytes && slot->id >= 0)))
            return false; // two texts of one hash, or a piece twice
        p->count += slot->hash == 0;
        if (slot->hash == 0)
            *slot = (struct piece){hash, text, i, -1, 0.0f};
        if (i == bytes)
            *slot = (struct piece){hash, text, i, id, score};
    }
    return true;
}

struct sy_pieces *sy_pieces_create(const struct sy_tokenizer *tokenizer)
{
    const struct sy_tokenizer *t = tokenizer;
    if (t->spm == NULL || !sy_spm_plain(t->spm) || !sy_spm_words_alone(t->spm))
        return NULL;
    for (size_t i = 0; i < t->added.count; ++i)
        if (!t->added.items[i].silent) // found before words are
            return NULL;
    struct sy_pieces *p = calloc(1, sizeof *p);
    bool good = p != NULL;
    if (good) {
        p->tokenizer = t;
        p->mask = 511;
        p->slots = calloc(p->mask + 1, sizeof *p->slots);
        good = p->slots != NULL;
    }
    for (uint32_t i = 0; good && i < t->pieces; ++i)
        good = add_piece(p, (int32_t)i);
    if (!good)
        sy_pieces_destroy(&p);
    else
        p->unknown -= UNKNOWN_PENALTY;
    return p;
}

void sy_pieces_destroy(struct sy_pieces **pieces)
{
    if (*pieces == NULL)
        return;
    free((*pieces)->slots);
    free(*pieces);
    *pieces = NULL;
}

struct sy_words *sy_words_create(const struct sy_pieces *pieces)
{
    struct sy_words *w = pieces != NULL ? calloc(1, sizeof *w) : NULL;
    if (w == NULL)
        return NULL;
    w->pieces = pieces;
    w->tokenizer = pieces->tokenizer;
    w->memory = calloc(SLOTS, sizeof *w->memory);
    w->texts = malloc(MOST_TEXT);
    w->ids = malloc(MOST_IDS * sizeof *w->ids);
    if (w->memory == NULL || w->texts == NULL || w->ids == NULL)
        sy_words_destroy(&w);
    return w;
}

void sy_words_destroy(struct sy_words **words)
{
    if (*words == NULL)
        return;
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
    uint32_t bytes;
    int32_t id;
};

static void offer(struct ways *to, double score, uint32_t bytes, int32_t id)
{
    if (score > to->best)
        *to = (struct ways){score, to->best, bytes, id};
    else if (score > to->second)
        to->second = score;
}

/// Offers all pieces that begin at text[at], or an unknown character where that is no piece. False: no UTF-8.
static bool offer_pieces(const struct sy_words *w, const char *text, size_t bytes, size_t at, struct ways *ways)
{
    const size_t character = sy_utf8_length(text + at, bytes - at);
    uint64_t hash = FIRST_HASH;
    bool single = false;
    for (size_t n = 1; at + n <= bytes; ++n) {
        hash = go_on(hash, text[at + n - 1]);
        const struct piece *p = find_piece(w->pieces, hash);
        if (p->hash == 0)
            break;
        if (p->id < 0 || p->bytes != n || memcmp(p->text, text + at, n) != 0)
            continue;
        offer(&ways[at + n], ways[at].best + p->score, (uint32_t)n, p->id);
        offer(&ways[at + n], ways[at].second + p->score, (uint32_t)n, p->id);
        single = single || n == character;
    }
    if (!single && character > 0) {
        struct ways *to = &ways[at + character];
        offer(to, ways[at].best + w->pieces->unknown, (uint32_t)character, w->tokenizer->unk);
        offer(to, ways[at].second + w->pieces->unknown, (uint32_t)character, w->tokenizer->unk);
    }
    return character > 0;
}

/// Whether `ids` are the best way through a text; then how good it is and how much better than any other.
static bool measure(const struct sy_words *w, const char *text, size_t bytes, const int32_t *ids, size_t count,
                    struct word *out)
{
    struct ways ways[MOST_NORMAL + 1];
    uint32_t characters = 0;
    for (size_t i = 0; i <= bytes; ++i)
        ways[i] = (struct ways){-INFINITY, -INFINITY, 0, -1};
    ways[0].best = 0.0;
    for (size_t i = 0; i < bytes; i += sy_utf8_length(text + i, bytes - i), ++characters)
        if (!offer_pieces(w, text, bytes, i, ways))
            return false;
    size_t at = bytes;
    bool unknown = false; // unknown characters beside each other are one id
    while (at > 0) {
        const struct ways *way = &ways[at];
        const bool again = unknown && way->id == w->tokenizer->unk;
        if (!again && (count == 0 || ids[--count] != way->id))
            return false;
        unknown = way->id == w->tokenizer->unk;
        at -= way->bytes;
    }
    out->additions = (uint16_t)characters;
    out->score = ways[bytes].best;
    out->distance = (float)(ways[bytes].best - ways[bytes].second);
    return count == 0;
}

/// What the normaliser makes of a word: itself when it is plain ASCII, else what its pieces are together. 0: that
/// cannot be known, or is too long.
static size_t normal_text(const struct sy_words *w, const char *word, size_t word_bytes, const int32_t *ids,
                          size_t count, char out[MOST_NORMAL])
{
    size_t bytes = 0, plain = 0;
    while (plain < word_bytes && word[plain] > ' ' && word[plain] < 0x7f)
        ++plain;
    if (plain == word_bytes) {
        memcpy(out, space, strlen(space));
        memcpy(out + strlen(space), word, word_bytes);
        return strlen(space) + word_bytes;
    }
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
    const size_t normal_bytes = normal_text(w, text, bytes, ids, count, normal);
    if (count > MOST_WORD || normal_bytes == 0 || !measure(w, normal, normal_bytes, ids, count, out)) {
        count = 0;
        out->distance = 0.0f;
    }
    memcpy(w->texts + w->text_bytes, text, bytes);
    memcpy(w->ids + w->id_count, ids, count * sizeof *ids);
    free(ids);
    out->text = (uint32_t)w->text_bytes;
    out->bytes = (uint8_t)bytes;
    out->ids = (uint32_t)w->id_count;
    out->count = (uint8_t)count;
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
    ++words->whole;
    return sy_ids_add_line(ctx, ids, words->tokenizer, line, bytes, name);
}

void sy_words_count(const struct sy_words *words, uint64_t *out_lines, uint64_t *out_whole)
{
    *out_lines = words->lines;
    *out_whole = words->whole;
}
