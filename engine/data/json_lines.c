// SPDX-License-Identifier: Apache-2.0
// json_lines.c: documents and pairs out of lines of JSON objects.
#include <stdlib.h>
#include <string.h>

#include "engine/data/json_scan.h"
#include "engine/data/records.h"

/// The names of the object's keys, for a message: the key that was meant is among them.
static enum sy_status no_key(struct sy_records *r, const char *key, const char *line, size_t bytes)
{
    char names[160] = "";
    struct sy_json_scan s = {.names = names, .names_room = sizeof names};
    (void)sy_json_scan(line, bytes, &s);
    return sy_records_odd(r, true, "the object has no \"%.40s\", only %s%s", key,
                          names[0] != '\0' ? names : "nothing at all",
                          r->text != NULL ? " (--text-key KEY names another)" : "");
}

/// Scans a line; *out_good: it is an object and has a string under every key.
static enum sy_status check_line(struct sy_records *r, const char *line, size_t bytes, struct sy_json_scan *s,
                                 bool *out_good)
{
    const enum sy_json_extent extent = sy_json_scan(line, bytes, s);
    *out_good = false;
    if (extent == SY_JSON_CUT)
        return sy_records_odd(r, true, "not valid JSON: the line ends inside it");
    if (extent == SY_JSON_WRONG)
        return sy_records_odd(r, true, "not valid JSON: %s at byte %zu of the line", s->wrong, s->at + 1);
    for (size_t i = s->at; i < bytes; ++i)
        if (strchr(" \t\r", line[i]) == NULL || line[i] == '\0')
            return sy_records_odd(r, true, "not valid JSON lines: more behind the value at byte %zu", i + 1);
    if (s->kind != SY_JSON_OBJECT)
        return sy_records_odd(r, true, "expected an object {…}, found %s", sy_json_kind_name(s->kind));
    if (s->odd != NULL)
        return sy_records_odd(r, false, "not valid JSON: %s, at byte %zu of the line", s->odd, s->odd_at + 1);
    for (int i = 0; i < SY_JSON_KEYS && s->keys[i] != NULL; ++i) {
        if (s->found[i].kind == SY_JSON_NONE)
            return no_key(r, s->keys[i], line, bytes);
        if (s->found[i].kind != SY_JSON_STRING)
            return sy_records_odd(r, false, "\"%.40s\" is %s, expected a string", s->keys[i],
                                  sy_json_kind_name(s->found[i].kind));
    }
    *out_good = true;
    return SY_OK;
}

static enum sy_status give(struct sy_records *r, const struct sy_json_scan *s)
{
    size_t bytes[SY_JSON_KEYS] = {0};
    char *to = r->room;
    for (int i = 0; i < SY_JSON_KEYS && s->keys[i] != NULL; to += bytes[i++])
        if (!sy_json_unescape(s->found[i].raw, s->found[i].bytes, to, &bytes[i]))
            return sy_records_odd(r, false,
                                  "\"%.40s\" holds half a surrogate pair (\\ud800 to \\udfff), which is no character",
                                  s->keys[i]);
    ++r->good;
    if (r->pair != NULL) {
        ++r->reading->documents;
        return r->pair(r->user, r->room, bytes[0], r->room + bytes[0], bytes[1]);
    }
    r->reading->documents += bytes[0] > 0;
    return bytes[0] > 0 ? r->text(r->user, r->room, bytes[0], true) : SY_OK;
}

static enum sy_status reserve(struct sy_records *r, size_t bytes)
{
    if (bytes <= r->room_bytes)
        return SY_OK;
    char *bigger = realloc(r->room, 2 * bytes);
    if (bigger == NULL)
        return sy_fail(r->ctx, SY_NOMEM, "%s:%llu: out of memory for a line of %zu bytes", r->path,
                       (unsigned long long)r->line, bytes);
    r->room = bigger;
    r->room_bytes = 2 * bytes;
    return SY_OK;
}

static bool blank(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; ++i)
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r')
            return false;
    return true;
}

static enum sy_status add_line(struct sy_records *r, const char *line, size_t bytes)
{
    struct sy_json_scan s = {.keys = {"inputs", "targets"}};
    bool good;
    if (r->pair == NULL) {
        s.keys[0] = r->reading->text_key != NULL ? r->reading->text_key : "text";
        s.keys[1] = NULL;
    }
    ++r->reading->lines;
    SY_TRY(check_line(r, line, bytes, &s, &good));
    if (!good)
        return SY_OK;
    SY_TRY(reserve(r, bytes));
    return give(r, &s);
}

enum sy_status sy_json_lines_add(struct sy_records *r, const char *text, size_t bytes)
{
    while (bytes > 0) {
        const char *newline = memchr(text, '\n', bytes);
        size_t n = newline != NULL ? (size_t)(newline - text) : bytes;
        ++r->line;
        if (!blank(text, n))
            SY_TRY(add_line(r, text, n));
        n += newline != NULL;
        text += n;
        bytes -= n;
    }
    return SY_OK;
}
