// SPDX-License-Identifier: Apache-2.0
// content.c: text that begins with a brace is not JSON yet, and JSON lines come under many names and through pipes.
#include "engine/data/content.h"

#include <string.h>
#include <strings.h>

#include "engine/data/json_scan.h"

#define LINES 10 // looked at: enough that one odd line among them does not decide

static bool ends_with(const char *path, size_t bytes, const char *end)
{
    const size_t n = strlen(end);
    return bytes >= n && strncasecmp(path + bytes - n, end, n) == 0;
}

static bool named_json(const char *path)
{
    static const char *const ends[] = {".jsonl", ".ndjson", ".json", ".jsonlines"};
    size_t bytes = strlen(path);
    bytes -= ends_with(path, bytes, ".gz") ? 3 : 0;
    for (size_t i = 0; i < SY_COUNT(ends); ++i)
        if (ends_with(path, bytes, ends[i]))
            return true;
    return false;
}

static size_t spaces(const char *text, size_t bytes)
{
    size_t n = 0;
    while (n < bytes && (text[n] == ' ' || text[n] == '\t' || text[n] == '\r' || text[n] == '\n'))
        ++n;
    return n;
}

/// Whether the text is a value that goes on behind its line, or is in a list: no line of it can be read alone.
static bool one_document(const char *text, size_t bytes, bool end, bool named)
{
    struct sy_json_scan s = {0};
    const enum sy_json_extent extent = sy_json_scan(text, bytes, &s);
    const bool several = memchr(text, '\n', s.at) != NULL;
    if (extent == SY_JSON_WRONG)
        return false;
    if (*text == '[') { // "[1]" and "[[x]]" begin texts too
        const size_t first = 1 + spaces(text + 1, bytes - 1);
        const bool likely = named || (first < bytes && strchr("{\"", text[first]) != NULL && text[first] != '\0');
        const bool nothing_behind = s.at + spaces(text + s.at, bytes - s.at) == bytes;
        return likely && (extent == SY_JSON_CUT || (nothing_behind && (end || several)));
    }
    if (extent == SY_JSON_CUT)
        return several;
    const size_t behind = s.at + spaces(text + s.at, bytes - s.at);
    const bool same_line = memchr(text + s.at, '\n', behind - s.at) == NULL;
    return behind == bytes ? several : text[behind] == '{' && (several || same_line);
}

/// Whether at least half of the first lines are objects; a line that goes on behind the text may become one.
static bool mostly_objects(const char *text, size_t bytes, bool end)
{
    unsigned lines = 0, objects = 0;
    while (bytes > 0 && lines < LINES) {
        const char *newline = memchr(text, '\n', bytes);
        const size_t n = newline != NULL ? (size_t)(newline - text) : bytes, first = spaces(text, n);
        if (newline == NULL && !end && lines > 0)
            break; // part of a line: there are whole ones
        if (first < n) {
            struct sy_json_scan s = {0};
            const enum sy_json_extent extent = sy_json_scan(text + first, n - first, &s);
            const bool cut = extent == SY_JSON_CUT && newline == NULL && !end;
            const bool whole =
                extent == SY_JSON_WHOLE && first + s.at + spaces(text + first + s.at, n - first - s.at) == n;
            ++lines;
            objects += (whole || cut) && text[first] == '{';
        }
        text += n + (newline != NULL);
        bytes -= n + (newline != NULL);
    }
    return objects > 0 && 2 * objects >= lines;
}

enum sy_content sy_content_of(const char *path, const char *text, size_t bytes, bool end)
{
    const bool named = named_json(path);
    const char *nul = bytes > 0 ? memchr(text, '\0', bytes < 4 ? bytes : 4) : NULL;
    if (nul != NULL || (bytes >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0)))
        return SY_CONTENT_TEXT; // UTF-16 or no text: the reader of text says so
    const size_t mark = bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    const size_t first = mark + spaces(text + mark, bytes - mark);
    text += first;
    bytes -= first;
    if (bytes > 0 && (*text == '{' || *text == '[') && one_document(text, bytes, end, named))
        return SY_CONTENT_DOCUMENT;
    return named || mostly_objects(text, bytes, end) ? SY_CONTENT_LINES : SY_CONTENT_TEXT;
}

enum sy_status sy_content_refuse(struct sy_ctx *ctx, const char *name, const char *text, size_t bytes,
                                 const char *option)
{
    static const struct {
        const char *bytes;
        size_t count;
        const char *name, *program;
    } kinds[] = {
        {"\xfd"
         "7zXZ\0",
         6, "compressed with xz", "xzcat"},
        {"BZh91AY&SY", 10, "compressed with bzip2", "bzcat"},
        {"PK\3\4", 4, "a zip archive", "unzip -p"},
        {"PAR1", 4, "a Parquet table", NULL},
    };
    for (size_t i = 0; i < SY_COUNT(kinds); ++i)
        if (bytes >= kinds[i].count && memcmp(text, kinds[i].bytes, kinds[i].count) == 0)
            return kinds[i].program != NULL
                       ? sy_fail(ctx, SY_FORMAT, "%s is %s, which is not read here: %s FILE | … %s -", name,
                                 kinds[i].name, kinds[i].program, option)
                       : sy_fail(ctx, SY_FORMAT, "%s is %s, which is not read here: write its texts as JSON lines",
                                 name, kinds[i].name);
    return SY_OK;
}
