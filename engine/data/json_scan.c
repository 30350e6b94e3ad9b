// SPDX-License-Identifier: Apache-2.0
// json_scan.c: one pass over a JSON value.
#include "engine/data/json_scan.h"

#include <stdio.h>
#include <string.h>

#include "engine/data/reader.h"

#define MAX_DEPTH 2048 // of arrays and objects within each other: the C stack is finite

struct cursor {
    const char *begin, *at, *end;
    struct sy_json_scan *scan;
};

/// Leaves the calling function with what stopped it.
#define STOPPED(call)                        \
    do {                                     \
        enum sy_json_extent extent = (call); \
        if (extent != SY_JSON_WHOLE)         \
            return extent;                   \
    } while (0)

static enum sy_json_extent wrong(const struct cursor *c, const char *what)
{
    c->scan->wrong = what;
    return SY_JSON_WRONG;
}

static void odd(const struct cursor *c, const char *what)
{
    if (c->scan->odd != NULL)
        return;
    c->scan->odd = what;
    c->scan->odd_at = (size_t)(c->at - c->begin);
}

static void skip_space(struct cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
        ++c->at;
}

// ---- strings --------------------------------------------------------------------------------------------------------

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    const char low = (char)(digit | 0x20);
    return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

static enum sy_json_extent pass_escape(struct cursor *c)
{
    ++c->at;
    if (c->at == c->end)
        return SY_JSON_CUT;
    if (*c->at == '\0' || strchr("\"\\/bfnrtu", *c->at) == NULL)
        return wrong(c, "an unknown escape in a string");
    if (*c->at++ != 'u')
        return SY_JSON_WHOLE;
    for (int i = 0; i < 4; ++i, ++c->at) {
        if (c->at == c->end)
            return SY_JSON_CUT;
        if (hex_digit(*c->at) < 0)
            return wrong(c, "\\u without four hexadecimal digits");
    }
    return SY_JSON_WHOLE;
}

/// At the opening quote.
static enum sy_json_extent pass_string(struct cursor *c, struct sy_json_found *out)
{
    const char *first = ++c->at;
    while (c->at < c->end) {
        const uint8_t byte = (uint8_t)*c->at;
        if (byte == '"') {
            *out = (struct sy_json_found){SY_JSON_STRING, first, (size_t)(c->at++ - first)};
            return SY_JSON_WHOLE;
        }
        if (byte == '\\') {
            STOPPED(pass_escape(c));
        } else if (byte == '\n') {
            return wrong(c, "a string without its closing quote");
        } else if (byte < 0x20) {
            odd(c, "a control character that is not escaped");
            ++c->at;
        } else {
            const size_t n = byte < 0x80 ? 1 : sy_utf8_length(c->at, (size_t)(c->end - c->at));
            if (n == 0)
                odd(c, "a byte that is not UTF-8");
            c->at += n == 0 ? 1 : n;
        }
    }
    return SY_JSON_CUT;
}

static uint32_t four_digits(const char *digits)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; ++i)
        value = value << 4 | (uint32_t)hex_digit(digits[i]);
    return value;
}

static size_t put_utf8(uint32_t code, char *out)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    const size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; --i, code >>= 6)
        out[i] = (char)(0x80 | (code & 63));
    out[0] = (char)((0xf00u >> n & 0xf0u) | code);
    return n;
}

/// Unescapes one character of a string that pass_string() passed; the bytes written to `out`, 0: half a surrogate pair.
static size_t unescape_one(const char **at, const char *end, char out[4])
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *p = *at;
    if (*p != '\\') {
        out[0] = *p;
        *at = p + 1;
        return 1;
    }
    *at = p + 2;
    if (p[1] != 'u') {
        out[0] = to[strchr(from, p[1]) - from];
        return 1;
    }
    *at = p + 6;
    uint32_t code = four_digits(p + 2);
    if (code >= 0xd800 && code < 0xe000) {
        const uint32_t low = code < 0xdc00 && end - p >= 12 && p[6] == '\\' && p[7] == 'u' ? four_digits(p + 8) : 0;
        if (low < 0xdc00 || low >= 0xe000)
            return 0;
        *at = p + 12;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    return put_utf8(code, out);
}

bool sy_json_unescape(const char *raw, size_t bytes, char *out, size_t *out_bytes)
{
    const char *end = raw + bytes;
    char *to = out;
    while (raw < end) {
        char one[4];
        const size_t n = unescape_one(&raw, end, one);
        if (n == 0)
            return false;
        memcpy(to, one, n);
        to += n;
    }
    *out_bytes = (size_t)(to - out);
    return true;
}

// ---- keys -----------------------------------------------------------------------------------------------------------

/// How much of `path` the key is: 0 nothing, else the bytes up to its end or up to a dot.
static size_t match_key(const struct sy_json_found *key, const char *path)
{
    const char *at = key->raw, *end = key->raw + key->bytes;
    size_t used = 0;
    while (at < end) {
        char one[4];
        const size_t n = unescape_one(&at, end, one);
        if (n == 0 || strncmp(path + used, one, n) != 0 || memchr(one, '\0', n) != NULL)
            return 0;
        used += n;
    }
    return path[used] == '\0' || path[used] == '.' ? used : 0;
}

static void note_name(struct sy_json_scan *s, const struct sy_json_found *key)
{
    static const char more[] = ", …";
    const size_t used = strlen(s->names);
    if (used >= sizeof more && strcmp(s->names + used + 1 - sizeof more, more) == 0)
        return;                                               // full
    if (used + key->bytes + sizeof more + 5 <= s->names_room) // with quotes, comma, space, and room for more
        snprintf(s->names + used, s->names_room - used, "%s\"%.*s\"", used > 0 ? ", " : "", (int)key->bytes, key->raw);
    else
        memcpy(s->names + used, more, sizeof more);
}

// ---- values ---------------------------------------------------------------------------------------------------------

static enum sy_json_extent pass_value(struct cursor *c, unsigned depth, const char *const *paths,
                                      struct sy_json_found *out);

static enum sy_json_extent pass_word(struct cursor *c, const char *word)
{
    for (; *word != '\0'; ++word, ++c->at) {
        if (c->at == c->end)
            return SY_JSON_CUT;
        if (*c->at != *word)
            return wrong(c, "an unknown word");
    }
    return SY_JSON_WHOLE;
}

static bool pass_digits(struct cursor *c)
{
    const char *first = c->at;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9')
        ++c->at;
    return c->at > first;
}

static enum sy_json_extent digits_missing(const struct cursor *c)
{
    return c->at == c->end ? SY_JSON_CUT : wrong(c, "a number that is none");
}

static enum sy_json_extent pass_number(struct cursor *c)
{
    if (*c->at == '-')
        ++c->at;
    if (c->at < c->end && (*c->at == 'I' || *c->at == 'N')) {
        odd(c, "NaN and Infinity are not JSON");
        return pass_word(c, *c->at == 'I' ? "Infinity" : "NaN");
    }
    const char *first = c->at;
    if (!pass_digits(c))
        return digits_missing(c);
    if (*first == '0' && c->at - first > 1)
        return wrong(c, "a number with a leading zero");
    if (c->at < c->end && *c->at == '.') {
        ++c->at;
        if (!pass_digits(c))
            return digits_missing(c);
    }
    if (c->at < c->end && (*c->at == 'e' || *c->at == 'E')) {
        ++c->at;
        if (c->at < c->end && (*c->at == '+' || *c->at == '-'))
            ++c->at;
        if (!pass_digits(c))
            return digits_missing(c);
    }
    return SY_JSON_WHOLE;
}

/// Passes the comma or the closing bracket behind an element; `*out_more`: it was a comma.
static enum sy_json_extent pass_comma(struct cursor *c, char close, bool *out_more)
{
    skip_space(c);
    if (c->at == c->end)
        return SY_JSON_CUT;
    if (*c->at != ',' && *c->at != close)
        return wrong(c, close == '}' ? "expected , or }" : "expected , or ]");
    *out_more = *c->at++ == ',';
    return SY_JSON_WHOLE;
}

/// Whether nothing is inside the brackets; passes the closing one.
static bool pass_empty(struct cursor *c, char close)
{
    ++c->at;
    skip_space(c);
    if (c->at == c->end || *c->at != close)
        return false;
    ++c->at;
    return true;
}

static enum sy_json_extent pass_array(struct cursor *c, unsigned depth)
{
    static const char *const no_paths[SY_JSON_KEYS] = {NULL};
    struct sy_json_found element;
    bool more = !pass_empty(c, ']');
    while (more) {
        STOPPED(pass_value(c, depth, no_paths, &element));
        STOPPED(pass_comma(c, ']', &more));
    }
    return SY_JSON_WHOLE;
}

static enum sy_json_extent pass_member(struct cursor *c, unsigned depth, const char *const *paths)
{
    struct sy_json_found key, member;
    const char *below[SY_JSON_KEYS] = {NULL};
    bool hit[SY_JSON_KEYS] = {false};
    skip_space(c);
    if (c->at == c->end)
        return SY_JSON_CUT;
    if (*c->at != '"')
        return wrong(c, "expected a key in double quotes");
    STOPPED(pass_string(c, &key));
    for (int i = 0; i < SY_JSON_KEYS; ++i) {
        const size_t used = paths[i] != NULL ? match_key(&key, paths[i]) : 0;
        hit[i] = used > 0 && paths[i][used] == '\0';
        below[i] = used > 0 && paths[i][used] == '.' ? paths[i] + used + 1 : NULL;
    }
    if (depth == 1 && c->scan->names != NULL)
        note_name(c->scan, &key);
    skip_space(c);
    if (c->at == c->end)
        return SY_JSON_CUT;
    if (*c->at != ':')
        return wrong(c, "expected : behind a key");
    ++c->at;
    STOPPED(pass_value(c, depth, below, &member));
    for (int i = 0; i < SY_JSON_KEYS; ++i)
        if (hit[i])
            c->scan->found[i] = member;
    return SY_JSON_WHOLE;
}

static enum sy_json_extent pass_object(struct cursor *c, unsigned depth, const char *const *paths)
{
    bool more = !pass_empty(c, '}');
    while (more) {
        STOPPED(pass_member(c, depth, paths));
        STOPPED(pass_comma(c, '}', &more));
    }
    return SY_JSON_WHOLE;
}

static enum sy_json_extent pass_value(struct cursor *c, unsigned depth, const char *const *paths,
                                      struct sy_json_found *out)
{
    skip_space(c);
    if (c->at == c->end)
        return SY_JSON_CUT;
    if (depth == MAX_DEPTH)
        return wrong(c, "arrays and objects more than 2048 deep");
    *out = (struct sy_json_found){.kind = SY_JSON_NUMBER};
    switch (*c->at) {
    case '{': out->kind = SY_JSON_OBJECT; return pass_object(c, depth + 1, paths);
    case '[': out->kind = SY_JSON_ARRAY; return pass_array(c, depth + 1);
    case '"': return pass_string(c, out);
    case 't': out->kind = SY_JSON_BOOL; return pass_word(c, "true");
    case 'f': out->kind = SY_JSON_BOOL; return pass_word(c, "false");
    case 'n': out->kind = SY_JSON_NULL; return pass_word(c, "null");
    default:
        return *c->at == '\0' || strchr("-0123456789NI", *c->at) == NULL ? wrong(c, "expected a value")
                                                                         : pass_number(c);
    }
}

enum sy_json_extent sy_json_scan(const char *text, size_t bytes, struct sy_json_scan *scan)
{
    struct cursor c = {text, text, text + bytes, scan};
    struct sy_json_found value = {.kind = SY_JSON_NONE};
    const enum sy_json_extent extent = pass_value(&c, 0, scan->keys, &value);
    scan->kind = value.kind;
    scan->at = (size_t)(c.at - text);
    return extent;
}

const char *sy_json_kind_name(enum sy_json_kind kind)
{
    static const char *const names[] = {"nothing",       "a string", "null",     "a number",
                                        "true or false", "an array", "an object"};
    return names[kind];
}
