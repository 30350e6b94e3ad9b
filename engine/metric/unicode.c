// SPDX-License-Identifier: Apache-2.0
#include "engine/metric/unicode.h"

#include <stdlib.h>
#include <string.h>

#include "engine/data/reader.h"
#include "engine/metric/unicode_tables.h"

#define SIGMA 0x3a3u
#define DOTTED_I 0x130u

uint32_t sy_char_next(const char **at, const char *end)
{
    const unsigned char *p = (const unsigned char *)*at;
    const size_t n = sy_utf8_length(*at, (size_t)(end - *at));
    *at += n > 0 ? n : 1;
    switch (n) {
    case 1: return p[0];
    case 2: return (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu);
    case 3: return (p[0] & 0xfu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
    case 4: return (p[0] & 7u) << 18 | (p[1] & 0x3fu) << 12 | (p[2] & 0x3fu) << 6 | (p[3] & 0x3fu);
    default: return 0xfffd;
    }
}

size_t sy_char_put(uint32_t c, char out[4])
{
    const size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n; i-- > 1; c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(lead[n] | c);
    return n;
}

uint32_t sy_char_lower(uint32_t c)
{
    if (c < 0x80)
        return c >= 'A' && c <= 'Z' ? c + 32 : c;
    size_t low = 0, high = SY_COUNT(sy_lower_runs);
    while (low < high) {
        const size_t middle = (low + high) / 2;
        const struct sy_lower_run *r = &sy_lower_runs[middle];
        if (c < r->first)
            high = middle;
        else if (c > r->last)
            low = middle + 1;
        else
            return (c - r->first) % r->step == 0 ? (uint32_t)((int32_t)c + r->add) : c;
    }
    return c;
}

bool sy_char_is_word(uint32_t c)
{
    if (c < 0x80)
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    size_t low = 0, high = SY_COUNT(sy_word_runs);
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (c < sy_word_runs[middle].first)
            high = middle;
        else if (c > sy_word_runs[middle].last)
            low = middle + 1;
        else
            return true;
    }
    return false;
}

bool sy_char_is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

/// Whether a letter stands before (or behind) a sigma: between letters and the end of a word it has a form of its own.
static bool letter_at(const char *at, const char *end) { return at < end && sy_char_is_word(sy_char_next(&at, end)); }

char *sy_text_lower(const char *text)
{
    const char *end = text + strlen(text);
    char *out = malloc(2 * (size_t)(end - text) + 1), *to = out; // of two bytes three may become
    bool inside = false;
    if (out == NULL)
        return NULL;
    while (text < end) {
        const uint32_t c = sy_char_next(&text, end);
        uint32_t low = sy_char_lower(c);
        if (c == SIGMA && inside && !letter_at(text, end))
            low = 0x3c2;
        to += sy_char_put(c == DOTTED_I ? 'i' : low, to);
        if (c == DOTTED_I)
            to += sy_char_put(0x307, to);
        inside = sy_char_is_word(c);
    }
    *to = '\0';
    return out;
}
