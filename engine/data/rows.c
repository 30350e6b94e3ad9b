// SPDX-License-Identifier: Apache-2.0
#include "engine/data/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/data/content.h"
#include "engine/data/input.h"
#include "engine/data/reader.h"

#define MAX_BYTES ((size_t)4 << 30)
#define MAX_COLUMNS 4096

struct rows {
    struct sy_ctx *ctx;
    struct sy_row row;
    json_t **names; ///< TSV: strings.
    size_t columns;
    uint64_t count;
    sy_row_fn fn;
    void *user;
};

void sy_row_where(const struct sy_row *row, char out[300])
{
    snprintf(out, 300, row->document ? "%.250s, row %llu" : "%.250s:%llu", row->path, (unsigned long long)row->number);
}

static enum sy_status give(struct rows *r, const json_t *values)
{
    r->row.values = values;
    ++r->count;
    return r->fn(r->user, &r->row);
}

// ---- lines ----------------------------------------------------------------------------------------------------------

/// What no text has, in any format.
static enum sy_status check_line(const struct rows *r, const char *line, size_t bytes)
{
    const unsigned long long number = r->row.number;
    const char *nul = memchr(line, '\0', bytes);
    if (nul != NULL)
        return sy_fail(r->ctx, SY_FORMAT, "%s:%llu: byte %zu of the line is NUL: this is not text", r->row.path, number,
                       (size_t)(nul - line) + 1);
    for (size_t i = 0, n; i < bytes; i += n)
        if ((n = sy_utf8_length(line + i, bytes - i)) == 0)
            return sy_fail(r->ctx, SY_FORMAT,
                           "%s:%llu: byte %zu of the line is not UTF-8; convert the file, for example with iconv -f "
                           "LATIN1 -t UTF-8",
                           r->row.path, number, i + 1);
    return SY_OK;
}

typedef enum sy_status (*line_fn)(struct rows *r, const char *line, size_t bytes);

static enum sy_status each_line(struct rows *r, const char *text, size_t bytes, line_fn fn)
{
    while (bytes > 0) {
        const char *newline = memchr(text, '\n', bytes);
        const size_t all = newline != NULL ? (size_t)(newline - text) + 1 : bytes;
        size_t n = all - (newline != NULL);
        n -= n > 0 && text[n - 1] == '\r';
        ++r->row.number;
        SY_TRY(check_line(r, text, n));
        if (n > 0)
            SY_TRY(fn(r, text, n));
        text += all;
        bytes -= all;
    }
    return SY_OK;
}

// ---- TSV ------------------------------------------------------------------------------------------------------------

static enum sy_status no_memory(const struct rows *r)
{
    return sy_fail(r->ctx, SY_NOMEM, "%s: out of host memory for its rows", r->row.path);
}

/// Takes the names between separators; no two may be the same, but for nameless ones, which nobody can ask for.
static enum sy_status take_names(struct rows *r, const char *line, size_t bytes, char separator)
{
    char where[300] = "--columns";
    if (r->row.number != 0)
        sy_row_where(&r->row, where);
    json_t *seen = json_object();
    enum sy_status status = seen != NULL ? SY_OK : no_memory(r);
    for (const char *end = line + bytes; status == SY_OK && line <= end;) {
        const char *stop = memchr(line, separator, (size_t)(end - line));
        const size_t n = (size_t)((stop != NULL ? stop : end) - line);
        json_t *name = json_stringn(line, n), **bigger = realloc(r->names, (r->columns + 1) * sizeof *bigger);
        if (bigger != NULL)
            r->names = bigger;
        if (name == NULL || bigger == NULL)
            status = no_memory(r);
        else if (n > 0 && json_object_get(seen, json_string_value(name)) != NULL)
            status = sy_fail(r->ctx, SY_FORMAT, "%s: two columns are called \"%.60s\"", where, json_string_value(name));
        else if (r->columns == MAX_COLUMNS)
            status = sy_fail(r->ctx, SY_FORMAT, "%s: more than %d columns", where, MAX_COLUMNS);
        if (status == SY_OK && json_object_set_new(seen, json_string_value(name), json_true()) == 0)
            r->names[r->columns++] = name;
        else
            json_decref(name);
        line += n + 1;
    }
    json_decref(seen);
    return status;
}

static enum sy_status tsv_line(struct rows *r, const char *line, size_t bytes)
{
    if (r->columns == 0)
        return take_names(r, line, bytes, '\t');
    size_t values = 1;
    for (size_t i = 0; i < bytes; ++i)
        values += line[i] == '\t';
    if (values != r->columns)
        return sy_fail(r->ctx, SY_FORMAT,
                       "%s:%llu: %zu value%s between tabs, expected %zu, one for each column (TSV knows no quotes)",
                       r->row.path, (unsigned long long)r->row.number, values, values == 1 ? "" : "s", r->columns);
    json_t *row = json_object();
    bool good = row != NULL;
    for (size_t i = 0; good && i < values; ++i) {
        const char *tab = memchr(line, '\t', bytes);
        const size_t n = tab != NULL ? (size_t)(tab - line) : bytes;
        good = json_object_set_new(row, json_string_value(r->names[i]), json_stringn(line, n)) == 0;
        line += n + 1;
        bytes -= tab != NULL ? n + 1 : n;
    }
    enum sy_status status = good ? give(r, row) : no_memory(r);
    json_decref(row);
    return status;
}

// ---- JSON -----------------------------------------------------------------------------------------------------------

static const char *reason(const json_error_t *error)
{
    return strstr(error->text, "JSON_ALLOW_NUL") != NULL ? "\\u0000 in a string" : error->text;
}

static enum sy_status json_line(struct rows *r, const char *line, size_t bytes)
{
    json_error_t error;
    json_t *row = json_loadb(line, bytes, JSON_REJECT_DUPLICATES, &error);
    if (row == NULL &&
        json_error_code(&error) == json_error_numeric_overflow) // an id of more than 64 bits, of no use here
        row = json_loadb(line, bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error);
    if (row == NULL)
        return sy_fail(r->ctx, SY_FORMAT, "%s:%llu: not valid JSON: %s (column %d)", r->row.path,
                       (unsigned long long)r->row.number, reason(&error), error.column);
    enum sy_status status = json_is_object(row) ? give(r, row)
                                                : sy_fail(r->ctx, SY_FORMAT, "%s:%llu: expected an object {…}",
                                                          r->row.path, (unsigned long long)r->row.number);
    json_decref(row);
    return status;
}

/// A question with what stands above it. Its answers become their texts.
static json_t *squad_row(const json_t *article, const json_t *paragraph, const json_t *question)
{
    json_t *row = json_object(), *texts = json_array(), *answer;
    const json_t *answers = json_object_get(question, "answers");
    size_t i;
    json_object_set(row, "title", json_object_get(article, "title"));
    json_object_set(row, "context", json_object_get(paragraph, "context"));
    json_object_update(row, (json_t *)(uintptr_t)question);
    json_array_foreach(answers, i, answer) json_array_append(texts, json_object_get(answer, "text"));
    json_object_set_new(row, "answers", texts);
    return row;
}

static enum sy_status squad_rows(struct rows *r, const json_t *articles)
{
    json_t *article, *paragraph, *question;
    size_t i, k, n;
    json_array_foreach(articles, i, article)
    {
        json_array_foreach(json_object_get(article, "paragraphs"), k, paragraph)
        {
            json_array_foreach(json_object_get(paragraph, "qas"), n, question)
            {
                ++r->row.number;
                json_t *row = squad_row(article, paragraph, question);
                enum sy_status status = row != NULL ? give(r, row) : no_memory(r);
                json_decref(row);
                SY_TRY(status);
            }
        }
    }
    return SY_OK;
}

static enum sy_status array_rows(struct rows *r, const json_t *rows)
{
    json_t *row;
    size_t i;
    json_array_foreach(rows, i, row)
    {
        ++r->row.number;
        if (!json_is_object(row))
            return sy_fail(r->ctx, SY_FORMAT, "%s: element %zu of the array is no object {…}", r->row.path, i + 1);
        SY_TRY(give(r, row));
    }
    return SY_OK;
}

/// One JSON value over the whole file. False: it is none, so these are lines.
static bool is_document(const char *text, size_t bytes)
{
    const char *newline = memchr(text, '\n', bytes);
    size_t line = newline != NULL ? (size_t)(newline - text) : bytes;
    if (*text == '[')
        return true;
    while (line > 0 && strchr(" \t\r", text[line - 1]) != NULL && text[line - 1] != '\0')
        --line;
    return line == 1 || (newline == NULL && bytes > 9 && strncmp(text, "{\"data\":", 8) == 0) ||
           (newline != NULL && memchr(text, '}', line) == NULL);
}

static enum sy_status document(struct rows *r, const char *text, size_t bytes)
{
    json_error_t error;
    json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        return sy_fail(r->ctx, SY_FORMAT, "%s:%d: not valid JSON: %s (column %d)", r->row.path, error.line,
                       reason(&error), error.column);
    const json_t *articles = json_object_get(root, "data");
    r->row.document = true;
    enum sy_status status = json_is_array(root)       ? array_rows(r, root)
                            : json_is_array(articles) ? squad_rows(r, articles)
                                                      : sy_fail(r->ctx, SY_FORMAT,
                                                                "%s is one JSON object, expected an object a line, an "
                                                                "array of them, or SQuAD's data[].paragraphs[].qas[]",
                                                                r->row.path);
    json_decref(root);
    return status;
}

static enum sy_status parse(struct rows *r, const char *text, size_t bytes, const char *columns)
{
    size_t space = 0;
    SY_TRY(sy_content_refuse(r->ctx, r->row.path, text, bytes, "--pairs"));
    if (bytes >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0))
        return sy_fail(r->ctx, SY_FORMAT, "%s is UTF-16: convert it, for example with iconv -f UTF-16 -t UTF-8",
                       r->row.path);
    if (bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        bytes -= 3;
    }
    while (space < bytes && strchr(" \t\r\n", text[space]) != NULL && text[space] != '\0')
        ++space;
    const bool json = space < bytes && (text[space] == '{' || text[space] == '[');
    if (json && is_document(text + space, bytes - space))
        return document(r, text + space, bytes - space);
    if (json)
        return each_line(r, text, bytes, json_line);
    if (columns != NULL)
        SY_TRY(take_names(r, columns, strlen(columns), ','));
    return each_line(r, text, bytes, tsv_line);
}

enum sy_status sy_rows_parse(struct sy_ctx *ctx, const char *text, size_t bytes, const char *name, const char *columns,
                             sy_row_fn fn, void *user)
{
    struct rows r = {.ctx = ctx, .row = {.path = name}, .fn = fn, .user = user};
    enum sy_status status = parse(&r, text, bytes, columns);
    for (size_t i = 0; i < r.columns; ++i)
        json_decref(r.names[i]);
    free(r.names);
    if (status == SY_OK && r.count == 0)
        return sy_fail(ctx, SY_FORMAT, "%s holds no row%s", name,
                       r.columns > 0 && columns == NULL ? ", only the names of columns" : "");
    return status;
}

static enum sy_status read_all(struct sy_ctx *ctx, struct sy_input *input, const char *name, char **out, size_t *bytes)
{
    size_t room = 1 << 16, got = 1;
    for (*bytes = 0; got > 0; *bytes += got) {
        char *bigger = *out == NULL || *bytes == room ? realloc(*out, room *= 2) : *out;
        if (bigger == NULL || *bytes > MAX_BYTES)
            return sy_fail(ctx, SY_NOMEM, "%s: no host memory for a table of more than %zu bytes", name, *bytes);
        *out = bigger;
        SY_TRY(sy_input_read(input, *out + *bytes, room - *bytes, &got));
    }
    return SY_OK;
}

enum sy_status sy_rows_read(struct sy_ctx *ctx, const char *path, const char *columns, sy_row_fn fn, void *user)
{
    struct sy_input *input;
    char *text = NULL;
    size_t bytes;
    SY_TRY(sy_input_open(ctx, path, &input));
    enum sy_status status = read_all(ctx, input, sy_input_name(path), &text, &bytes);
    sy_input_close(&input);
    if (status == SY_OK)
        status = sy_rows_parse(ctx, text, bytes, sy_input_name(path), columns, fn, user);
    free(text);
    return status;
}
