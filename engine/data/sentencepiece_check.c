// SPDX-License-Identifier: Apache-2.0
// sentencepiece_check.c: refuses SentencePiece models that would lead the library outside its own tables.
//
// The library trusts the normalisation table inside a model: a double-array trie whose offsets are followed without
// bounds, and strings that are read up to a NUL. A model is a downloaded file, so both are proven here first:
// every step from every node stays in the array, no way leads in a circle, and strings end inside.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/data/sentencepiece.h"

// Fields of the model's protobuf messages.
enum { MODEL_PIECE = 1, MODEL_TRAINER = 2, MODEL_NORMALIZER = 3, MODEL_DENORMALIZER = 5 };
enum { PIECE_TEXT = 1, PIECE_SCORE = 2, PIECE_TYPE = 3, TYPE_USER_DEFINED = 4, TYPE_BYTE = 6 };
enum { TRAINER_KIND = 3, KIND_UNIGRAM = 1 };
enum { NORMALIZER_NAME = 1, NORMALIZER_TABLE = 2 };
enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

// The library keeps this many matches of one position in arrays of fixed size.
#define MAX_TABLE_MATCHES 32
#define MAX_USER_MATCHES 64
#define MAX_DEPTH 256 // bytes of one rule of the table; real ones have a dozen

struct message {
    const uint8_t *at, *end;
};

struct field {
    uint64_t number, value; // value: of varints
    unsigned wire;
    struct message bytes; // payload of all other kinds
};

static bool read_varint(struct message *m, uint64_t *out)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && m->at < m->end; shift += 7) {
        uint8_t byte = *m->at++;
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) {
            *out = value;
            return true;
        }
    }
    return false;
}

/// False at damage; call only while m->at < m->end.
static bool next_field(struct message *m, struct field *f)
{
    uint64_t tag, length = 0;
    *f = (struct field){0};
    if (!read_varint(m, &tag))
        return false;
    f->number = tag >> 3;
    f->wire = tag & 7;
    switch (f->wire) {
    case WIRE_VARINT: return read_varint(m, &f->value);
    case WIRE_64: length = 8; break;
    case WIRE_32: length = 4; break;
    case WIRE_BYTES:
        if (!read_varint(m, &length))
            return false;
        break;
    default: return false; // groups: no model has them
    }
    if (length > (uint64_t)(m->end - m->at))
        return false;
    f->bytes = (struct message){m->at, m->at + length};
    m->at += length;
    return true;
}

// ---- the normalisation table ----------------------------------------------------------------------------------------

static uint32_t unit_at(const uint8_t *trie, uint32_t i)
{
    uint32_t unit;
    memcpy(&unit, trie + 4 * (size_t)i, sizeof unit);
    return unit;
}

// The layout of a double-array unit: bits 0–7 label, 8 has a value, 9 the offset is shifted, 10–30 offset, 31 is a
// value.
static uint32_t unit_offset(uint32_t unit) { return (unit >> 10) << ((unit & 512u) >> 6); }
static bool unit_has_value(uint32_t unit) { return (unit >> 8) & 1u; }
static bool unit_is_value(uint32_t unit) { return unit >> 31; }

struct node {
    uint32_t place, label; // label: the next one to follow
    uint32_t matches;      // most of any way down seen so far
};

// Nodes may be shared (the table is a graph of words), so a node's state is kept: 0 new, 1 on the stack, else
// 2 + the most matches on any way down from it.
enum { NEW, OPEN, DONE };

static const char *enter(const uint8_t *trie, uint32_t units, uint32_t strings, uint32_t place)
{
    uint32_t unit = unit_at(trie, place), base = place ^ unit_offset(unit);
    if ((base | 255u) >= units)
        return "its normalisation table points outside itself";
    if (unit_has_value(unit) && (unit_at(trie, base) & 0x7fffffffu) >= strings)
        return "its normalisation table has a rule that leads nowhere";
    return NULL;
}

/// Follows every way down from the root, depth first; `state` has `units` zeroed entries.
static const char *walk_trie(const uint8_t *trie, uint32_t units, uint32_t strings, uint8_t *state)
{
    struct node stack[MAX_DEPTH];
    uint32_t depth = 1;
    const char *wrong = enter(trie, units, strings, 0);
    stack[0] = (struct node){0, 0, 0};
    state[0] = OPEN;
    while (depth > 0 && wrong == NULL) {
        struct node *node = &stack[depth - 1];
        uint32_t unit = unit_at(trie, node->place), base = node->place ^ unit_offset(unit);
        if (node->label == 256) { // all ways from here are known
            uint32_t matches = node->matches + unit_has_value(unit);
            if (matches > MAX_TABLE_MATCHES)
                return "its normalisation table has too many rules at one place";
            state[node->place] = (uint8_t)(DONE + matches);
            if (--depth > 0)
                stack[depth - 1].matches = matches > stack[depth - 1].matches ? matches : stack[depth - 1].matches;
            continue;
        }
        uint32_t label = node->label++, child = base ^ label, next = unit_at(trie, child);
        if (unit_is_value(next) || (next & 255u) != label)
            continue;
        if (state[child] == OPEN)
            return "its normalisation table runs in a circle";
        if (state[child] >= DONE) {
            uint32_t matches = state[child] - DONE;
            node->matches = matches > node->matches ? matches : node->matches;
            continue;
        }
        if (depth == MAX_DEPTH)
            return "its normalisation table has a rule that is too long";
        wrong = enter(trie, units, strings, child);
        state[child] = OPEN;
        stack[depth++] = (struct node){child, 0, 0};
    }
    return wrong;
}

/// NULL when the table is sound, else what is wrong. The table: u32 size of the trie, trie, strings.
static const char *check_table(struct message table)
{
    size_t bytes = (size_t)(table.end - table.at);
    uint32_t size;
    if (bytes == 0)
        return NULL;
    if (bytes < sizeof size)
        return "its normalisation table is cut off";
    memcpy(&size, table.at, sizeof size);
    if (size < 1024 || size % 4 != 0 || size >= bytes - sizeof size || bytes > INT32_MAX)
        return "its normalisation table has an impossible size";
    if (table.end[-1] != 0)
        return "the strings of its normalisation table do not end";
    uint32_t units = size / 4, strings = (uint32_t)(bytes - sizeof size - size);
    uint8_t *state = calloc(units, 1);
    const char *wrong = "there is no memory to check its normalisation table";
    if (state != NULL)
        wrong = walk_trie(table.at + sizeof size, units, strings, state);
    free(state);
    return wrong;
}

static const char *check_normalizer(struct message m)
{
    struct field f;
    while (m.at < m.end) {
        if (!next_field(&m, &f))
            return "its normaliser is damaged";
        const char *wrong = f.number == NORMALIZER_TABLE && f.wire == WIRE_BYTES ? check_table(f.bytes) : NULL;
        if (wrong != NULL)
            return wrong;
    }
    return NULL;
}

// ---- pieces ---------------------------------------------------------------------------------------------------------

struct user_pieces {
    uint32_t count;
    size_t longest;
};

static const char *check_piece(struct message m, struct user_pieces *user)
{
    struct field f;
    size_t text = 0;
    uint64_t type = 0;
    while (m.at < m.end) {
        if (!next_field(&m, &f))
            return "a piece is damaged";
        if (f.number == PIECE_TEXT && f.wire == WIRE_BYTES)
            text = (size_t)(f.bytes.end - f.bytes.at);
        if (f.number == PIECE_TYPE && f.wire == WIRE_VARINT)
            type = f.value;
        float score = 0;
        if (f.number == PIECE_SCORE && f.wire == WIRE_32)
            memcpy(&score, f.bytes.at, sizeof score);
        if (!isfinite(score))
            return "a piece's score is not finite";
    }
    if (text == 0)
        return "a piece has no text";
    if (type == TYPE_USER_DEFINED) {
        ++user->count;
        user->longest = text > user->longest ? text : user->longest;
    }
    return NULL;
}

static const char *check_model(struct message m)
{
    struct user_pieces user = {0};
    struct field f;
    uint32_t pieces = 0;
    while (m.at < m.end) {
        if (!next_field(&m, &f))
            return "it is damaged or no SentencePiece model";
        const char *wrong = NULL;
        if (f.wire == WIRE_BYTES && f.number == MODEL_PIECE) {
            wrong = check_piece(f.bytes, &user);
            ++pieces;
        } else if (f.wire == WIRE_BYTES && (f.number == MODEL_NORMALIZER || f.number == MODEL_DENORMALIZER)) {
            wrong = check_normalizer(f.bytes);
        }
        if (wrong != NULL)
            return wrong;
    }
    if (pieces == 0)
        return "it has no pieces";
    // At most min(count, longest) user-defined pieces can match at one position.
    return user.count > MAX_USER_MATCHES && user.longest > MAX_USER_MATCHES ? "a user-defined piece is too long" : NULL;
}

enum sy_status sy_spm_check(struct sy_ctx *ctx, const void *data, size_t bytes, const char *name)
{
    const char *wrong = check_model((struct message){data, (const uint8_t *)data + bytes});
    return wrong == NULL ? SY_OK : sy_fail(ctx, SY_FORMAT, "%s: not a usable SentencePiece model: %s", name, wrong);
}

// ---- what kind it is ------------------------------------------------------------------------------------------------

/// A whole number among a message's fields, the last of its number; `otherwise` when there is none.
static uint64_t number_of(struct message m, uint64_t number, uint64_t otherwise)
{
    struct field f;
    while (m.at < m.end && next_field(&m, &f))
        if (f.number == number && f.wire == WIRE_VARINT)
            otherwise = f.value;
    return otherwise;
}

static bool is_own_normalizer(struct message m)
{
    static const char *const names[] = {"nmt_nfkc", "nfkc"};
    struct field f;
    bool own = false;
    while (m.at < m.end && next_field(&m, &f))
        for (size_t i = 0; f.number == NORMALIZER_NAME && f.wire == WIRE_BYTES && i < SY_COUNT(names); ++i)
            own = own || ((size_t)(f.bytes.end - f.bytes.at) == strlen(names[i]) &&
                          memcmp(f.bytes.at, names[i], strlen(names[i])) == 0);
    return own;
}

bool sy_spm_says_plain(const void *data, size_t bytes)
{
    struct message m = {data, (const uint8_t *)data + bytes};
    struct field f;
    bool unigram = true, own = false, pieces = true;
    while (m.at < m.end && next_field(&m, &f)) {
        if (f.wire != WIRE_BYTES)
            continue;
        const uint64_t type = f.number == MODEL_PIECE ? number_of(f.bytes, PIECE_TYPE, 1) : 1;
        pieces = pieces && type != TYPE_USER_DEFINED && type != TYPE_BYTE;
        if (f.number == MODEL_TRAINER)
            unigram = number_of(f.bytes, TRAINER_KIND, KIND_UNIGRAM) == KIND_UNIGRAM;
        if (f.number == MODEL_NORMALIZER)
            own = is_own_normalizer(f.bytes);
    }
    return unigram && own && pieces;
}
