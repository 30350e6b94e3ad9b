// SPDX-License-Identifier: Apache-2.0
#include "apps/prompts.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_TOKENS (1u << 16)
#define MOST_PROMPTS (1u << 24)

/// Room for one more at the end.
static enum sy_status grow(struct sy_ctx *ctx, struct prompts *p)
{
    const size_t room = p->count; // doubled when it is a power of two
    if (p->count == MOST_PROMPTS)
        return sy_fail(ctx, SY_INVALID, "more than %u prompts: give them in several runs", MOST_PROMPTS);
    if ((room & (room - 1)) == 0) {
        struct prompt *bigger = realloc(p->items, (room != 0 ? 2 * room : 1) * sizeof *bigger);
        if (bigger == NULL)
            return sy_fail(ctx, SY_NOMEM, "out of host memory: prompts");
        p->items = bigger;
    }
    return SY_OK;
}

enum sy_status prompts_add(struct sy_ctx *ctx, const char *text, struct prompts *p)
{
    SY_TRY(grow(ctx, p));
    struct prompt *new = &p->items[p->count];
    *new = (struct prompt){.text = strdup(text)};
    if (new->text == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory: prompts");
    ++p->count;
    return SY_OK;
}

/// A place that prompts come from.
struct source {
    const char *path;  ///< As messages call it.
    const char *field; ///< NULL: lines are prompts.
    FILE *file;
    size_t number, room;
    char *line;
};

static enum sy_status add_ids(struct sy_ctx *ctx, const struct source *s, const json_t *ids, struct prompts *p)
{
    const size_t count = json_array_size(ids);
    for (size_t i = 0; i < count; ++i) {
        const json_t *id = json_array_get(ids, i);
        if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > INT32_MAX)
            return sy_fail(ctx, SY_INVALID, "%s: line %zu: entry %zu of \"%s\" is no id, a whole number below 2^31",
                           s->path, s->number, i + 1, s->field);
    }
    SY_TRY(grow(ctx, p));
    struct prompt *new = &p->items[p->count];
    *new = (struct prompt){.count = (uint32_t)count, .ids = malloc((count + 1) * sizeof *new->ids)};
    if (new->ids == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory: prompts");
    ++p->count;
    for (size_t i = 0; i < count; ++i)
        new->ids[i] = (int32_t)json_integer_value(json_array_get(ids, i));
    return SY_OK;
}

static enum sy_status add_object(struct sy_ctx *ctx, const struct source *s, size_t bytes, struct prompts *p)
{
    json_error_t error;
    const char *text = s->line;
    if (s->number == 1 && bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3; // a byte order mark
    if (text[strspn(text, " \t")] == '\0')
        return SY_OK;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    const json_t *value = json_object_get(root, s->field);
    enum sy_status status;
    if (root == NULL)
        status = sy_fail(ctx, SY_INVALID, "%s: line %zu is not JSON: %s", s->path, s->number, error.text);
    else if (json_is_string(value))
        status = prompts_add(ctx, json_string_value(value), p);
    else if (json_is_array(value))
        status = add_ids(ctx, s, value, p);
    else
        status = sy_fail(ctx, SY_INVALID,
                         "%s: line %zu %s \"%s\"; expected an object that has there a text or an array of ids (--field "
                         "names another key)",
                         s->path, s->number, value != NULL ? "has something else under" : "has no", s->field);
    json_decref(root);
    return status;
}

/// Adds a line; false: there is none.
static bool read_line(struct sy_ctx *ctx, struct source *s, struct prompts *p, enum sy_status *status)
{
    errno = 0;
    ssize_t n = getline(&s->line, &s->room, s->file);
    if (n < 0) {
        if (!feof(s->file))
            *status = sy_fail(ctx, SY_IO, "cannot read %s: %s", s->path, strerror(errno));
        return false;
    }
    ++s->number;
    n -= n > 0 && s->line[n - 1] == '\n';
    n -= n > 0 && s->line[n - 1] == '\r';
    s->line[n] = '\0';
    if (strlen(s->line) != (size_t)n)
        *status =
            sy_fail(ctx, SY_INVALID, "%s: line %zu holds a NUL byte; expected one prompt a line", s->path, s->number);
    else
        *status = s->field != NULL ? add_object(ctx, s, (size_t)n, p) : prompts_add(ctx, s->line, p);
    return true;
}

static enum sy_status read_all(struct sy_ctx *ctx, struct source *s, struct prompts *p)
{
    enum sy_status status = SY_OK;
    while (status == SY_OK && read_line(ctx, s, p, &status))
        ;
    free(s->line);
    if (status == SY_OK && s->number == 0)
        status = sy_fail(ctx, SY_INVALID, "%s is empty; expected one prompt a line", s->path);
    return status;
}

enum sy_status prompts_read(struct sy_ctx *ctx, const char *path, const char *field, struct prompts *p)
{
    const bool standard = strcmp(path, "-") == 0;
    struct source s = {.path = standard ? "standard input" : path, .field = field};
    s.file = standard ? stdin : fopen(path, "re");
    if (s.file == NULL)
        return sy_fail(ctx, SY_IO, "cannot open %s: %s", path, strerror(errno));
    enum sy_status status = read_all(ctx, &s, p);
    if (!standard)
        fclose(s.file);
    return status;
}

enum sy_status prompts_next(struct sy_ctx *ctx, const char *field, struct prompts *p, bool *out_more)
{
    struct source s = {.path = "standard input", .field = field, .file = stdin, .number = p->lines};
    enum sy_status status = SY_OK;
    prompts_finish(p);
    do
        *out_more = read_line(ctx, &s, p, &status);
    while (*out_more && status == SY_OK && p->count == 0);
    p->lines = s.number;
    free(s.line);
    return status;
}

const char *prompts_field(const char *path)
{
    const size_t n = path != NULL ? strlen(path) : 0;
    return n > 6 && strcmp(path + n - 6, ".jsonl") == 0 ? "prompt" : NULL;
}

/// A mark that the vocabulary lacks is read as plain text, and its gap stays empty.
static void warn_unknown_marks(struct sy_ctx *ctx, const struct sy_tokenizer *tokenizer, const char *text)
{
    const uint32_t known = sy_tokenizer_sentinels(tokenizer);
    for (const char *at = strstr(text, "<extra_id_"); at != NULL; at = strstr(at + 1, "<extra_id_")) {
        char *end;
        const unsigned long n = strtoul(at + strlen("<extra_id_"), &end, 10);
        if (n >= known && *end == '>')
            sy_log(ctx, SY_LOG_WARN, "<extra_id_%lu> is read as plain text: the vocabulary has %u of them, from 0", n,
                   known);
    }
}

/// Ids that were given.
static enum sy_status check_ids(struct sy_ctx *ctx, const struct sy_tokenizer *tokenizer, const struct prompt *x,
                                size_t number)
{
    const uint32_t vocab = sy_tokenizer_vocab(tokenizer);
    if (x->count == 0)
        return sy_fail(ctx, SY_INVALID, "prompt %zu has no ids; expected at least one", number);
    for (uint32_t i = 0; i < x->count; ++i)
        if (x->ids[i] < 0 || (uint32_t)x->ids[i] >= vocab)
            return sy_fail(ctx, SY_INVALID, "prompt %zu: id %d is outside the vocabulary of %u (place %u)", number,
                           x->ids[i], vocab, i + 1);
    return SY_OK;
}

enum sy_status prompts_encode(struct sy_ctx *ctx, const struct sy_tokenizer *tokenizer, struct prompts *p)
{
    for (size_t i = 0; i < p->count; ++i) {
        struct prompt *x = &p->items[i];
        size_t count = x->count;
        if (x->text == NULL) {
            SY_TRY(check_ids(ctx, tokenizer, x, i + 1));
        } else {
            warn_unknown_marks(ctx, tokenizer, x->text);
            SY_TRY(sy_tokenizer_encode(ctx, tokenizer, x->text, strlen(x->text), SY_ENCODE_SENTINELS | SY_ENCODE_EOS,
                                       &x->ids, &count));
        }
        if (count > MOST_TOKENS)
            return sy_fail(ctx, SY_INVALID, "prompt %zu has %zu tokens; at most %u are possible", i + 1, count,
                           MOST_TOKENS);
        x->count = (uint32_t)count;
    }
    return SY_OK;
}

uint32_t prompts_longest(const struct prompts *p)
{
    uint32_t most = 0;
    for (size_t i = 0; i < p->count; ++i)
        most = p->items[i].count > most ? p->items[i].count : most;
    return most;
}

void prompts_finish(struct prompts *p)
{
    for (size_t i = 0; i < p->count; ++i) {
        free(p->items[i].text);
        free(p->items[i].ids);
    }
    free(p->items);
    *p = (struct prompts){0};
}

/// The piece of `output` that belongs to <extra_id_n>: from behind that mark to the next one.
static const char *piece(const char *output, unsigned n, size_t *length)
{
    char mark[32];
    snprintf(mark, sizeof mark, "<extra_id_%u>", n);
    const char *from = strstr(output, mark);
    if (from == NULL)
        return NULL;
    from += strlen(mark);
    const char *to = strstr(from, "<extra_id_");
    *length = to != NULL ? (size_t)(to - from) : strlen(from);
    return from;
}

char *prompts_fill(const char *prompt, const char *output)
{
    char *text = NULL;
    size_t bytes;
    FILE *to = open_memstream(&text, &bytes);
    if (to == NULL)
        return NULL;
    for (const char *at = prompt; *at != '\0';) {
        unsigned n;
        int used = 0;
        size_t length = 0;
        if (sscanf(at, "<extra_id_%u>%n", &n, &used) == 1 && used > 0) {
            const char *words = piece(output, n, &length);
            fprintf(to, "[%.*s]", words != NULL ? (int)length : 1, words != NULL ? words : "?");
            at += used;
        } else {
            putc(*at++, to);
        }
    }
    const bool good = fclose(to) == 0;
    if (!good)
        free(text);
    return good ? text : NULL;
}
