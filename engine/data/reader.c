// SPDX-License-Identifier: Apache-2.0
// reader.c: files as blocks of whole lines, and what becomes of these.
#include "engine/data/reader.h"

#include <stdlib.h>
#include <string.h>

#include "engine/data/content.h"
#include "engine/data/input.h"
#include "engine/data/json_lines.h"

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
    const char *path; ///< As messages call it.
    struct sy_reading *reading;
    struct sy_input *input;
    char *data;
    size_t bytes, room;
    size_t given;    ///< Bytes of `data` handed out last time: dropped at the next call.
    uint64_t offset; ///< Of data[0] in the (uncompressed) file.
    bool end;
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
    if (wrong > 0 && l->reading->strict)
        return sy_fail(l->ctx, SY_FORMAT, "%s: byte %llu is not UTF-8", l->path, at);
    if (wrong > 0 && !l->reading->warned)
        sy_log(l->ctx, SY_LOG_WARN,
               "%s: %zu byte%s not UTF-8, the first at byte %llu; such bytes are read as they are (--strict stops)",
               l->path, wrong, wrong == 1 ? " is" : "s are", at);
    l->reading->warned = l->reading->warned || wrong > 0;
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
    const char *newline = l->bytes > 0 ? memrchr(l->data, '\n', l->bytes) : NULL;
    while (newline == NULL && !l->end) {
        const size_t searched = l->bytes;
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
    return SY_OK;
}

/// Enough of the beginning to tell what the file is; a pipe may give it in small pieces.
static enum sy_status fill_first(struct lines *l)
{
    while (!l->end && l->bytes < BLOCK_BYTES)
        SY_TRY(fill(l));
    return SY_OK;
}

static enum sy_status read_plain(struct lines *l, sy_text_fn fn, void *user)
{
    const char *text;
    size_t bytes;
    bool begins = true;
    for (;;) {
        SY_TRY(next_block(l, &text, &bytes));
        if (l->given == 0)
            return SY_OK;
        SY_TRY(check_text(l, l->data, l->given));
        if (bytes == 0)
            continue;
        l->reading->documents += begins;
        SY_TRY(fn(user, text, bytes, begins));
        begins = false;
    }
}

static enum sy_status read_json(struct lines *l, struct sy_json_lines *j)
{
    const char *text;
    size_t bytes;
    for (;;) {
        SY_TRY(next_block(l, &text, &bytes));
        if (l->given == 0)
            return sy_json_lines_end(j);
        SY_TRY(sy_json_lines_add(j, text, bytes));
    }
}

/// Files that are known by their first bytes and are no text before somebody unpacks them.
static enum sy_status refuse_packed(const struct lines *l)
{
    static const struct {
        const char *bytes;
        size_t count;
        const char *name, *remedy;
    } kinds[] = {
        {"\x28\xb5\x2f\xfd", 4, "compressed with zstd", "zstdcat FILE | … --data -"},
        {"\xfd"
         "7zXZ\0",
         6, "compressed with xz", "xzcat FILE | … --data -"},
        {"BZh91AY&SY", 10, "compressed with bzip2", "bzcat FILE | … --data -"},
        {"PK\3\4", 4, "a zip archive", "unzip -p FILE | … --data -"},
        {"PAR1", 4, "a Parquet table", "write its texts as JSON lines"},
    };
    for (size_t i = 0; i < SY_COUNT(kinds); ++i)
        if (l->bytes >= kinds[i].count && memcmp(l->data, kinds[i].bytes, kinds[i].count) == 0)
            return sy_fail(l->ctx, SY_FORMAT, "%s is %s, which is not read here: %s", l->path, kinds[i].name,
                           kinds[i].remedy);
    return SY_OK;
}

static enum sy_status refuse_document(const struct lines *l)
{
    return sy_fail(l->ctx, SY_FORMAT,
                   "%s is one JSON document, not one JSON object a line; make lines of it (an array: jq -c '.[]' FILE, "
                   "objects: jq -c . FILE), or read it as it is with --format text",
                   l->path);
}

static enum sy_status read_lines(struct lines *l, const char *path, struct sy_json_lines *j)
{
    SY_TRY(fill_first(l));
    SY_TRY(refuse_packed(l));
    enum sy_content content = SY_CONTENT_LINES;
    if (l->reading->format == SY_TEXT_PLAIN)
        content = SY_CONTENT_TEXT;
    else if (l->reading->format == SY_TEXT_AUTO)
        content = sy_content_of(path, l->data, l->bytes, l->end);
    if (content == SY_CONTENT_DOCUMENT)
        return refuse_document(l);
    if (content == SY_CONTENT_TEXT && j->pair == NULL)
        return read_plain(l, j->text, j->user);
    return read_json(l, j);
}

static enum sy_status read_file(const char *path, struct sy_json_lines *j)
{
    struct sy_reading *r = j->reading;
    const uint64_t before = r->documents;
    struct lines l = {.ctx = j->ctx, .path = j->path, .reading = r};
    SY_TRY(sy_input_open(j->ctx, path, &l.input));
    enum sy_status status = read_lines(&l, path, j);
    free(l.data);
    sy_input_close(&l.input);
    sy_json_lines_finish(j);
    SY_TRY(status);
    ++r->files;
    r->empty_files += r->documents == before;
    if (r->documents == before && r->strict)
        return sy_fail(j->ctx, SY_FORMAT, "%s is empty", j->path);
    return SY_OK;
}

enum sy_status sy_text_read(struct sy_ctx *ctx, struct sy_reading *reading, const char *path, sy_text_fn fn, void *user)
{
    struct sy_json_lines j = {.ctx = ctx, .path = sy_input_name(path), .reading = reading, .text = fn, .user = user};
    return read_file(path, &j);
}

enum sy_status sy_pairs_read(struct sy_ctx *ctx, struct sy_reading *reading, const char *path, sy_pair_fn fn,
                             void *user)
{
    struct sy_json_lines j = {.ctx = ctx, .path = sy_input_name(path), .reading = reading, .pair = fn, .user = user};
    return read_file(path, &j);
}
