// SPDX-License-Identifier: Apache-2.0
// json_scan.h: proves that a text begins with a JSON value and finds strings in it, without a tree. Private to
// engine/data.
//
// Lines of a downloaded corpus hold what a tree cannot: integers beyond 64 bits, reals beyond double, NUL in strings.
// RFC 8259 allows all of them, and under a key that nobody reads they harm nobody. What it does not allow and writers
// still write (NaN, Infinity, raw control characters, bytes that are not UTF-8) is named and passed over, so that the
// caller can tell such a line from one that is no JSON at all.
#pragma once

#include "hostlib/status.h"

#define SY_JSON_KEYS 2

enum sy_json_extent {
    SY_JSON_WHOLE, ///< A value, ending before `at`.
    SY_JSON_CUT,   ///< The text ends inside a value.
    SY_JSON_WRONG, ///< No JSON: `wrong` says why, at byte `at`.
};

enum sy_json_kind {
    SY_JSON_NONE,
    SY_JSON_STRING,
    SY_JSON_NULL,
    SY_JSON_NUMBER,
    SY_JSON_BOOL,
    SY_JSON_ARRAY,
    SY_JSON_OBJECT
};

struct sy_json_found {
    enum sy_json_kind kind;
    const char *raw; ///< Of a string: what is between its quotes, still escaped.
    size_t bytes;
};

struct sy_json_scan {
    /// Sought in the outermost object; NULL: not. "a.b" is the key b in the object under a, or the key "a.b" itself.
    /// Of a key that comes twice the last counts.
    const char *keys[SY_JSON_KEYS];
    struct sy_json_found found[SY_JSON_KEYS];
    enum sy_json_kind kind; ///< Of the value itself.
    size_t at, odd_at;
    const char *wrong, *odd; ///< odd: the first thing that JSON does not allow but was passed over; NULL: none.
    char *names;             ///< The outermost object's keys for a message, quoted and cut to names_room; NULL: not.
    size_t names_room;
};

/// `scan` holds the keys and is otherwise zeroed. Spaces before the value are passed over.
enum sy_json_extent sy_json_scan(const char *text, size_t bytes, struct sy_json_scan *scan);

/// Unescapes what is between a string's quotes into `out` (room for `bytes`). False: it holds half a surrogate pair.
bool sy_json_unescape(const char *raw, size_t bytes, char *out, size_t *out_bytes);

/// "a number", "null", … for messages.
const char *sy_json_kind_name(enum sy_json_kind kind);
