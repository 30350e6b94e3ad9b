// SPDX-License-Identifier: Apache-2.0
#include "apps/prompts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_TOKENS (1u << 16)
#define MOST_PROMPTS (1u << 24)

enum sy_status prompts_add(struct sy_ctx *ctx, const char *text, struct prompts *p)
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
    struct prompt *new = &p->items[p->count];
    *new = (struct prompt){.text = strdup(text)};
    if (new->text == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory: prompts");
    ++p->count;
    return SY_OK;
}

static enum sy_status read_lines(struct sy_ctx *ctx, const char *path, FILE *file, struct prompts *p)
{
    char *line = NULL;
    size_t room = 0, number = 0;
    enum sy_status status = SY_OK;
    errno = 0;
    for (ssize_t n; status == SY_OK && (n = getline(&line, &room, file)) >= 0;) {
        ++number;
        n -= n > 0 && line[n - 1] == '\n';
        n -= n > 0 && line[n - 1] == '\r';
        line[n] = '\0';
        if (strlen(line) != (size_t)n)
            status =
                sy_fail(ctx, SY_INVALID, "%s: line %zu holds a NUL byte; expected one prompt a line", path, number);
        else
            status = prompts_add(ctx, line, p);
    }
    free(line);
    if (status == SY_OK && !feof(file))
        status = sy_fail(ctx, SY_IO, "cannot read %s: %s", path, strerror(errno));
    if (status == SY_OK && number == 0)
        status = sy_fail(ctx, SY_INVALID, "%s is empty; expected one prompt a line", path);
    return status;
}

enum sy_status prompts_read(struct sy_ctx *ctx, const char *path, struct prompts *p)
{
    if (strcmp(path, "-") == 0)
        return read_lines(ctx, "standard input", stdin, p);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return sy_fail(ctx, SY_IO, "cannot open %s: %s", path, strerror(errno));
    enum sy_status status = read_lines(ctx, path, file, p);
    fclose(file);
    return status;
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

enum sy_status prompts_encode(struct sy_ctx *ctx, const struct sy_tokenizer *tokenizer, struct prompts *p)
{
    for (size_t i = 0; i < p->count; ++i) {
        struct prompt *x = &p->items[i];
        size_t count;
        warn_unknown_marks(ctx, tokenizer, x->text);
        SY_TRY(sy_tokenizer_encode(ctx, tokenizer, x->text, strlen(x->text), SY_ENCODE_SENTINELS | SY_ENCODE_EOS,
                                   &x->ids, &count));
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
