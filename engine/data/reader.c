// SPDX-License-Identifier: Apache-2.0
// reader.c: text, JSON lines and pairs out of plain or gzipped files, block by block.
#include "engine/data/reader.h"

#include <stdlib.h>
#include <string.h>

#include "engine/data/input.h"
#include "engine/json.h"

#define BLOCK_BYTES ((size_t)1 << 20)
#define MAX_LINE_BYTES ((size_t)256 << 20)
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

// ---- blocks of whole lines ------------------------------------------------------------------------------------------

struct lines {
    struct sy_ctx *ctx;
    const char *path;
    struct sy_input *input;
    char *data;
    size_t bytes, room;
    size_t given;    ///< Bytes of `data` handed out last time: dropped at the next call.
    uint64_t offset; ///< Of data[0] in the (uncompressed) file.
    bool end, warned;
};

static enum sy_status check_text(struct lines *l, const char *text, size_t bytes)
{
    size_t wrong = 0, first = 0;
    const char *nul = memchr(text, '\0', bytes);
    if (nul != NULL)
        return sy_fail(
            l->ctx, SY_FORMAT,
            "%s is not text: byte %llu is NUL; give text files, JSON lines, or either of them gzipped (UTF-16 text: "
            "convert it with iconv -t UTF-8)",
            l->path, (unsigned long long)(l->offset + (uint64_t)(nul - text)));
    for (size_t i = 0; i < bytes;) {
        size_t n = sy_utf8_length(text + i, bytes - i);
        first = n == 0 && wrong == 0 ? i : first;
        wrong += n == 0;
        i += n == 0 ? 1 : n;
    }
    unsigned long long at = l->offset + first;
    if (bytes >= SMALL_BLOCK ? wrong > bytes / 100 : wrong > bytes / 4)
        return sy_fail(
            l->ctx, SY_FORMAT,
            "%s is not UTF-8 text: %zu of %zu bytes are wrong, the first at byte %llu; convert it, for example with "
            "iconv -f LATIN1 -t UTF-8",
            l->path, wrong, bytes, at);
    if (wrong > 0 && !l->warned)
        sy_log(l->ctx, SY_LOG_WARN, "%s: %zu bytes are not UTF-8, the first at byte %llu; they are read as they are",
               l->path, wrong, at);
    l->warned = l->warned || wrong > 0;
    return SY_OK;
}

static enum sy_status fill(struct lines *l)
{
    if (l->room - l->bytes < BLOCK_BYTES) {
        size_t room = l->room + (l->room > BLOCK_BYTES ? l->room : 2 * BLOCK_BYTES);
        if (l->bytes > MAX_LINE_BYTES)
            return sy_fail(l->ctx, SY_FORMAT, "%s: the line at byte %llu is longer than 256 MiB: is this text?",
                           l->path, (unsigned long long)l->offset);
        char *bigger = realloc(l->data, room);
        if (bigger == NULL)
            return sy_fail(l->ctx, SY_NOMEM, "%s: out of memory for a line of %zu bytes", l->path, room);
        l->data = bigger;
        l->room = room;
    }
    size_t got;
    SY_TRY(sy_input_read(l->input, l->data + l->bytes, BLOCK_BYTES, &got));
    l->end = got == 0;
    l->bytes += got;
    return SY_OK;
}

/// The next whole lines, at least one (the last may lack its newline); 0 bytes at the end.
static enum sy_status next_block(struct lines *l, const char **out_text, size_t *out_bytes)
{
    l->bytes -= l->given;
    if (l->given > 0 && l->bytes > 0)
        memmove(l->data, l->data + l->given, l->bytes);
    l->offset += l->given;
    l->given = 0;
    const char *newline = NULL;
    size_t searched = 0; // the rest of the last block has no newline
    while (newline == NULL && !l->end) {
        searched = l->bytes;
        SY_TRY(fill(l));
        newline = memrchr(l->data + searched, '\n', l->bytes - searched);
    }
    l->given = newline != NULL ? (size_t)(newline - l->data) + 1 : l->bytes;
    *out_text = l->data;
    *out_bytes = l->given;
    if (l->offset == 0 && l->given >= 3 && memcmp(l->data, "\xef\xbb\xbf", 3) == 0) {
        *out_text += 3;
        *out_bytes -= 3;
    }
    return check_text(l, l->data, l->given);
}

static enum sy_status read_blocks(struct lines *l, sy_text_fn fn, void *user)
{
    const char *text;
    size_t bytes;
    for (bool some = false;; some = true) {
        SY_TRY(next_block(l, &text, &bytes));
        if (l->given == 0)
            return some ? SY_OK
                        : sy_fail(l->ctx, SY_FORMAT, "%s is empty; give at least one file with text in it", l->path);
        if (bytes > 0)
            SY_TRY(fn(user, text, bytes));
    }
}

static enum sy_status read_file(struct sy_ctx *ctx, const char *path, sy_text_fn fn, void *user)
{
    struct lines l = {.ctx = ctx, .path = path};
    SY_TRY(sy_input_open(ctx, path, &l.input));
    enum sy_status status = read_blocks(&l, fn, user);
    free(l.data);
    sy_input_close(&l.input);
    return status;
}

// ---- JSON lines -----------------------------------------------------------------------------------------------------

struct json_lines {
    struct sy_ctx *ctx;
    const char *path;
    uint64_t line;
    uint64_t documents;
    sy_text_fn text; // one of the two
    sy_pair_fn pair;
    void *user;
};

static enum sy_status field(const struct json_lines *j, const json_t *object, const char *key, const char **out,
                            size_t *out_bytes)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value))
        return sy_fail(j->ctx, SY_FORMAT, "%s, line %llu: expected an object with a string \"%s\", found %s", j->path,
                       (unsigned long long)j->line, key, value == NULL ? "none of that name" : "another kind of value");
    *out = json_string_value(value);
    *out_bytes = json_string_length(value);
    return SY_OK;
}

static enum sy_status give_document(struct json_lines *j, const char *text, size_t bytes)
{
    if (bytes == 0)
        return SY_OK;
    ++j->documents;
    SY_TRY(j->text(j->user, text, bytes));
    return text[bytes - 1] == '\n' ? SY_OK : j->text(j->user, "\n", 1);
}

static enum sy_status json_line(struct json_lines *j, const json_t *object)
{
    const char *a, *b;
    size_t a_bytes, b_bytes;
    SY_TRY(field(j, object, j->pair != NULL ? "inputs" : "text", &a, &a_bytes));
    if (j->pair == NULL)
        return give_document(j, a, a_bytes);
    SY_TRY(field(j, object, "targets", &b, &b_bytes));
    ++j->documents;
    return j->pair(j->user, a, a_bytes, b, b_bytes);
}

static bool blank(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; ++i)
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r')
            return false;
    return true;
}

static enum sy_status json_block(void *user, const char *text, size_t bytes)
{
    struct json_lines *j = user;
    while (bytes > 0) {
        const char *newline = memchr(text, '\n', bytes);
        size_t n = newline != NULL ? (size_t)(newline - text) : bytes;
        ++j->line;
        if (!blank(text, n)) {
            json_error_t error;
            // json_line() reports what is no object: json_object_get() of anything else finds nothing.
            json_t *value = json_loadb(text, n, JSON_DECODE_ANY, &error);
            enum sy_status status = value != NULL
                                        ? json_line(j, value)
                                        : sy_fail(j->ctx, SY_FORMAT,
                                                  "%s, line %llu: not valid JSON: %s (column %d); "
                                                  "a .jsonl file holds one object a line",
                                                  j->path, (unsigned long long)j->line, error.text, error.column);
            json_decref(value);
            SY_TRY(status);
        }
        n += newline != NULL;
        text += n;
        bytes -= n;
    }
    return SY_OK;
}

static enum sy_status read_json_lines(struct json_lines *j)
{
    SY_TRY(read_file(j->ctx, j->path, json_block, j));
    if (j->documents == 0)
        return sy_fail(j->ctx, SY_FORMAT, "%s holds no text: every line is blank or its text is empty", j->path);
    return SY_OK;
}

static bool ends_with(const char *path, const char *end)
{
    size_t a = strlen(path), b = strlen(end);
    return a >= b && strcmp(path + a - b, end) == 0;
}

enum sy_status sy_text_read(struct sy_ctx *ctx, const char *path, sy_text_fn fn, void *user)
{
    struct json_lines j = {.ctx = ctx, .path = path, .text = fn, .user = user};
    if (ends_with(path, ".jsonl") || ends_with(path, ".jsonl.gz"))
        return read_json_lines(&j);
    return read_file(ctx, path, fn, user);
}

enum sy_status sy_pairs_read(struct sy_ctx *ctx, const char *path, sy_pair_fn fn, void *user)
{
    struct json_lines j = {.ctx = ctx, .path = path, .pair = fn, .user = user};
    return read_json_lines(&j);
}
