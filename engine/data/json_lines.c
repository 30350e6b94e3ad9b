// SPDX-License-Identifier: Apache-2.0
// json_lines.c: a corpus of millions of lines has odd ones. One of them must not end a run, and none may go in silence.
#include "engine/data/json_lines.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/data/json_scan.h"

#define HOPELESS 1000 // broken lines from the start on: the rest of a large file will not be better

static enum sy_status no_good_line(const struct sy_json_lines *j)
{
    return sy_fail(j->ctx, SY_FORMAT,
                   "%s, and no line around it is better; is this a file of JSON lines? --format text reads it as it is",
                   j->first_broken);
}

/// Skips a line, or ends the run. `broken`: so odd that the file may be another one than it was taken for.
static enum sy_status odd_line(struct sy_json_lines *j, bool broken, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static enum sy_status odd_line(struct sy_json_lines *j, bool broken, const char *format, ...)
{
    char said[sizeof j->first_broken];
    int n = snprintf(said, sizeof said, "%.200s:%llu: ", j->path, (unsigned long long)j->line);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(said + n, sizeof said - (size_t)n, format, arguments);
    va_end(arguments);
    if (j->reading->strict)
        return sy_fail(j->ctx, SY_FORMAT, "%s", said);
    if (broken && j->broken++ == 0)
        memcpy(j->first_broken, said, sizeof said);
    if (j->good == 0 && j->broken >= HOPELESS)
        return no_good_line(j);
    if (j->reading->skipped++ == 0)
        sy_log(j->ctx, SY_LOG_WARN, "%s; such lines are skipped and counted (--strict stops at the first)", said);
    return SY_OK;
}

/// The names of the object's keys, for a message: the key that was meant is among them.
static enum sy_status no_key(struct sy_json_lines *j, const char *key, const char *line, size_t bytes)
{
    char names[160] = "";
    struct sy_json_scan s = {.names = names, .names_room = sizeof names};
    (void)sy_json_scan(line, bytes, &s);
    return odd_line(j, true, "the object has no \"%.40s\", only %s%s", key, names[0] != '\0' ? names : "nothing at all",
                    j->text != NULL ? " (--text-key KEY names another)" : "");
}

/// Scans a line; *out_good: it is an object and has a string under every key.
static enum sy_status check_line(struct sy_json_lines *j, const char *line, size_t bytes, struct sy_json_scan *s,
                                 bool *out_good)
{
    const enum sy_json_extent extent = sy_json_scan(line, bytes, s);
    *out_good = false;
    if (extent == SY_JSON_CUT)
        return odd_line(j, true, "not valid JSON: the line ends inside it");
    if (extent == SY_JSON_WRONG)
        return odd_line(j, true, "not valid JSON: %s at byte %zu of the line", s->wrong, s->at + 1);
    for (size_t i = s->at; i < bytes; ++i)
        if (strchr(" \t\r", line[i]) == NULL || line[i] == '\0')
            return odd_line(j, true, "not valid JSON lines: more behind the value at byte %zu", i + 1);
    if (s->kind != SY_JSON_OBJECT)
        return odd_line(j, true, "expected an object {…}, found %s", sy_json_kind_name(s->kind));
    if (s->odd != NULL)
        return odd_line(j, false, "not valid JSON: %s, at byte %zu of the line", s->odd, s->odd_at + 1);
    for (int i = 0; i < SY_JSON_KEYS && s->keys[i] != NULL; ++i) {
        if (s->found[i].kind == SY_JSON_NONE)
            return no_key(j, s->keys[i], line, bytes);
        if (s->found[i].kind != SY_JSON_STRING)
            return odd_line(j, false, "\"%.40s\" is %s, expected a string", s->keys[i],
                            sy_json_kind_name(s->found[i].kind));
    }
    *out_good = true;
    return SY_OK;
}

static enum sy_status give(struct sy_json_lines *j, const struct sy_json_scan *s)
{
    size_t bytes[SY_JSON_KEYS] = {0};
    char *to = j->room;
    for (int i = 0; i < SY_JSON_KEYS && s->keys[i] != NULL; to += bytes[i++])
        if (!sy_json_unescape(s->found[i].raw, s->found[i].bytes, to, &bytes[i]))
            return odd_line(j, false,
                            "\"%.40s\" holds half a surrogate pair (\\ud800 to \\udfff), which is no character",
                            s->keys[i]);
    ++j->good;
    if (j->pair != NULL) {
        ++j->reading->documents;
        return j->pair(j->user, j->room, bytes[0], j->room + bytes[0], bytes[1]);
    }
    j->reading->documents += bytes[0] > 0;
    return bytes[0] > 0 ? j->text(j->user, j->room, bytes[0], true) : SY_OK;
}

static enum sy_status reserve(struct sy_json_lines *j, size_t bytes)
{
    if (bytes <= j->room_bytes)
        return SY_OK;
    char *bigger = realloc(j->room, 2 * bytes);
    if (bigger == NULL)
        return sy_fail(j->ctx, SY_NOMEM, "%s:%llu: out of memory for a line of %zu bytes", j->path,
                       (unsigned long long)j->line, bytes);
    j->room = bigger;
    j->room_bytes = 2 * bytes;
    return SY_OK;
}

static bool blank(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; ++i)
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r')
            return false;
    return true;
}

static enum sy_status add_line(struct sy_json_lines *j, const char *line, size_t bytes)
{
    struct sy_json_scan s = {.keys = {"inputs", "targets"}};
    bool good;
    if (j->pair == NULL) {
        s.keys[0] = j->reading->text_key != NULL ? j->reading->text_key : "text";
        s.keys[1] = NULL;
    }
    ++j->reading->lines;
    SY_TRY(check_line(j, line, bytes, &s, &good));
    if (!good)
        return SY_OK;
    SY_TRY(reserve(j, bytes));
    return give(j, &s);
}

enum sy_status sy_json_lines_add(struct sy_json_lines *j, const char *text, size_t bytes)
{
    while (bytes > 0) {
        const char *newline = memchr(text, '\n', bytes);
        size_t n = newline != NULL ? (size_t)(newline - text) : bytes;
        ++j->line;
        if (!blank(text, n))
            SY_TRY(add_line(j, text, n));
        n += newline != NULL;
        text += n;
        bytes -= n;
    }
    return SY_OK;
}

enum sy_status sy_json_lines_end(struct sy_json_lines *j)
{
    return j->good == 0 && j->broken > 0 ? no_good_line(j) : SY_OK;
}

void sy_json_lines_finish(struct sy_json_lines *j) { free(j->room); }
