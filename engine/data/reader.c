// SPDX-License-Identifier: Apache-2.0
// reader.c: what a file is, and what becomes of its blocks of lines.
#include "engine/data/reader.h"

#include <stdlib.h>
#include <string.h>

#include "engine/data/text_file.h"

#define SMALL_BLOCK 1024 // below this a few wrong bytes are a large share by accident

size_t sy_utf8_length(const char *text, size_t bytes)
{
    const uint8_t *p = (const uint8_t *)text;
    if (bytes == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || bytes < n)
        return 0;
    // The second byte excludes overlong forms, surrogates, and what is beyond U+10FFFF.
    uint8_t low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    uint8_t high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < n; ++i)
        if (p[i] < 0x80 || p[i] > 0xbf)
            return 0;
    return n;
}

/// `offset`: of the block in its file.
static enum sy_status check_text(const struct sy_records *l, const char *text, size_t bytes, uint64_t offset)
{
    size_t wrong = 0, first = 0;
    const char *nul = memchr(text, '\0', bytes);
    if (nul != NULL)
        return sy_fail(l->ctx, SY_FORMAT,
                       "%s is not text: byte %llu is NUL; give text files, JSON lines or tables, packed with gzip or "
                       "zstd or not (UTF-16 "
                       "text: convert it with iconv -t UTF-8)",
                       l->path, (unsigned long long)(offset + (uint64_t)(nul - text)));
    for (size_t i = 0; i < bytes;) {
        size_t n = sy_utf8_length(text + i, bytes - i);
        first = n == 0 && wrong == 0 ? i : first;
        wrong += n == 0;
        i += n == 0 ? 1 : n;
    }
    unsigned long long at = offset + first;
    if (bytes >= SMALL_BLOCK ? wrong > bytes / 100 : wrong > bytes / 4)
        return sy_fail(
            l->ctx, SY_FORMAT,
            "%s is not UTF-8 text: %zu of %zu bytes are wrong, the first at byte %llu; convert it, for example with "
            "iconv -f LATIN1 -t UTF-8",
            l->path, wrong, bytes, at);
    if (wrong > 0 && l->reading->strict)
        return sy_fail(l->ctx, SY_FORMAT, "%s: byte %llu is not UTF-8", l->path, at);
    if (wrong > 0 && !l->reading->warned)
        sy_log(l->ctx, SY_LOG_WARN,
               "%s: %zu byte%s not UTF-8, the first at byte %llu; such bytes are read as they are (--strict stops)",
               l->path, wrong, wrong == 1 ? " is" : "s are", at);
    l->reading->warned = l->reading->warned || wrong > 0;
    return SY_OK;
}

static enum sy_status refuse_document(const struct sy_lines *l)
{
    return sy_fail(l->ctx, SY_FORMAT,
                   "%s is one JSON document, not one JSON object a line; make lines of it (an array: jq -c '.[]' FILE, "
                   "objects: jq -c . FILE), or read it as it is with --format text",
                   l->path);
}

enum sy_status sy_text_file_open(struct sy_records *rows, const char *path, struct sy_lines *lines)
{
    const struct sy_reading *reading = rows->reading;
    rows->path = sy_input_name(path);
    SY_TRY(sy_lines_open(rows->ctx, path, lines));
    SY_TRY(sy_lines_look(lines));
    SY_TRY(sy_content_refuse(rows->ctx, rows->path, lines->data, lines->bytes, "--data"));
    rows->content = SY_CONTENT_LINES;
    if (reading->format == SY_TEXT_PLAIN)
        rows->content = SY_CONTENT_TEXT;
    else if (reading->format == SY_TEXT_TABLE)
        rows->content = SY_CONTENT_TABLE;
    else if (reading->format == SY_TEXT_AUTO)
        rows->content = sy_content_of(path, lines->data, lines->bytes, lines->end);
    if (rows->content == SY_CONTENT_DOCUMENT)
        return refuse_document(lines);
    if (rows->pair != NULL)
        rows->content = SY_CONTENT_LINES;
    return rows->content == SY_CONTENT_TABLE
               ? sy_table_begin(rows, lines->data, lines->bytes, reading->text_key != NULL ? reading->text_key : "text")
               : SY_OK;
}

enum sy_status sy_text_file_block(struct sy_records *rows, const char *text, size_t bytes, uint64_t offset)
{
    const size_t mark = offset == 0 && bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    if (rows->content == SY_CONTENT_LINES)
        return sy_json_lines_add(rows, text + mark, bytes - mark);
    if (rows->content == SY_CONTENT_TABLE)
        return sy_table_add(rows, text + mark, bytes - mark);
    SY_TRY(check_text(rows, text, bytes, offset));
    if (bytes == mark)
        return SY_OK;
    rows->reading->documents += offset == 0;
    return rows->text(rows->user, text + mark, bytes - mark, offset == 0);
}

static enum sy_status read_blocks(struct sy_records *rows, struct sy_lines *lines, const char *path)
{
    SY_TRY(sy_text_file_open(rows, path, lines));
    for (;;) {
        SY_TRY(sy_lines_next(lines));
        if (lines->given == 0)
            return sy_records_end(rows);
        SY_TRY(sy_text_file_block(rows, lines->data, lines->given, lines->offset));
    }
}

enum sy_status sy_text_file_end(struct sy_ctx *ctx, struct sy_reading *reading, const char *name, uint64_t before)
{
    ++reading->files;
    reading->empty_files += reading->documents == before;
    if (reading->documents == before && reading->strict)
        return sy_fail(ctx, SY_FORMAT, "%s is empty", name);
    return SY_OK;
}

static enum sy_status read_file(const char *path, struct sy_records *rows)
{
    const uint64_t before = rows->reading->documents;
    struct sy_lines lines = {0};
    enum sy_status status = read_blocks(rows, &lines, path);
    sy_lines_close(&lines);
    sy_records_finish(rows);
    SY_TRY(status);
    return sy_text_file_end(rows->ctx, rows->reading, rows->path, before);
}

enum sy_status sy_text_read(struct sy_ctx *ctx, struct sy_reading *reading, const char *path, sy_text_fn fn, void *user)
{
    struct sy_records rows = {.ctx = ctx, .reading = reading, .text = fn, .user = user};
    return read_file(path, &rows);
}

enum sy_status sy_pairs_read(struct sy_ctx *ctx, struct sy_reading *reading, const char *path, sy_pair_fn fn,
                             void *user)
{
    struct sy_records rows = {.ctx = ctx, .reading = reading, .pair = fn, .user = user};
    return read_file(path, &rows);
}
