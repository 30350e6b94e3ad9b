// SPDX-License-Identifier: Apache-2.0
// table.c: one column of tab-separated rows. There are no quotes: a cell is what is between two tabs.
#include <stdlib.h>
#include <string.h>

#include "engine/data/records.h"

struct cell {
    const char *text;
    size_t bytes;
};

/// The cell number `column` of a line without its newline.
static bool find_cell(const char *line, size_t bytes, size_t column, struct cell *out)
{
    for (; column > 0; --column) {
        const char *tab = bytes > 0 ? memchr(line, '\t', bytes) : NULL;
        if (tab == NULL)
            return false;
        bytes -= (size_t)(tab - line) + 1;
        line = tab + 1;
    }
    const char *tab = bytes > 0 ? memchr(line, '\t', bytes) : NULL;
    *out = (struct cell){line, tab != NULL ? (size_t)(tab - line) : bytes};
    return true;
}

/// Bytes of the first line without its end (\n, \r\n), and of what belongs to it.
static size_t line_bytes(const char *text, size_t bytes, size_t *out_used)
{
    const char *newline = memchr(text, '\n', bytes);
    size_t n = newline != NULL ? (size_t)(newline - text) : bytes;
    *out_used = n + (newline != NULL);
    return n > 0 && text[n - 1] == '\r' ? n - 1 : n;
}

static size_t utf8_mark(const char *text, size_t bytes)
{
    return bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

enum sy_status sy_table_begin(struct sy_records *r, const char *text, size_t bytes, const char *key)
{
    const size_t mark = utf8_mark(text, bytes);
    size_t used, n = bytes > mark ? line_bytes(text + mark, bytes - mark, &used) : 0;
    char *end;
    const unsigned long number = strtoul(key, &end, 10);
    if (*end == '\0' && key[0] >= '1' && key[0] <= '9') {
        r->column = number - 1;
        return SY_OK;
    }
    r->titles = 1;
    struct cell title;
    for (r->column = 0; n > 0 && find_cell(text + mark, n, r->column, &title); ++r->column)
        if (title.bytes == strlen(key) && memcmp(title.text, key, title.bytes) == 0)
            return SY_OK;
    r->column = 0;
    if (bytes == mark)
        return SY_OK; // an empty file, which others speak of
    return sy_fail(r->ctx, SY_FORMAT,
                   "%s has no column \"%.60s\"; its first line is \"%.*s\": give --text-key one of these titles, or a "
                   "number (from "
                   "1) when there are none",
                   r->path, key, (int)(n < 160 ? n : 160), text + mark);
}

static bool is_text(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes;) {
        const size_t n = text[i] == '\0' ? 0 : sy_utf8_length(text + i, bytes - i);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

static enum sy_status add_line(struct sy_records *r, const char *line, size_t bytes)
{
    struct cell cell;
    ++r->reading->lines;
    if (!find_cell(line, bytes, r->column, &cell))
        return sy_records_odd(r, true, "the row has no column %zu", r->column + 1);
    if (!is_text(cell.text, cell.bytes))
        return sy_records_odd(r, false, "column %zu is not UTF-8 text", r->column + 1);
    ++r->good;
    r->reading->documents += cell.bytes > 0;
    return cell.bytes > 0 ? r->text(r->user, cell.text, cell.bytes, true) : SY_OK;
}

enum sy_status sy_table_add(struct sy_records *r, const char *text, size_t bytes)
{
    while (bytes > 0) {
        size_t used, n = line_bytes(text, bytes, &used);
        if (++r->line > r->titles && n > 0)
            SY_TRY(add_line(r, text, n));
        text += used;
        bytes -= used;
    }
    return SY_OK;
}
