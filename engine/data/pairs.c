// SPDX-License-Identifier: Apache-2.0
// pairs.c: rows become examples.
#include "engine/data/pairs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/data/input.h"

struct loader {
    struct sy_ctx *ctx;
    const struct sy_form *form;
    struct sy_pairs *pairs;
};

static enum sy_status no_memory(const struct loader *l)
{
    return sy_fail(l->ctx, SY_NOMEM, "%s: out of host memory for its examples", l->pairs->path);
}

static enum sy_status wrong_label(const struct loader *l, const struct sy_row *row, const char *raw)
{
    char where[300], all[160] = "";
    for (size_t i = 0; i < l->form->label_count; ++i) {
        const size_t used = strlen(all);
        if (used + strlen(l->form->labels[i].raw) + 8 > sizeof all) {
            snprintf(all + used, sizeof all - used, ", …");
            break;
        }
        snprintf(all + used, sizeof all - used, "%s%s", i > 0 ? ", " : "", l->form->labels[i].raw);
    }
    sy_row_where(row, where);
    return sy_fail(l->ctx, SY_FORMAT, "%s: the label is '%.60s', expected one of %s", where, raw, all);
}

/// A raw label becomes its text; one that is such a text already stays.
static enum sy_status verbalise(const struct loader *l, const struct sy_row *row, char **text)
{
    const struct sy_form *f = l->form;
    for (size_t i = 0; i < f->label_count; ++i) {
        char *said;
        if (strcmp(f->labels[i].raw, *text) != 0)
            continue;
        SY_TRY(sy_template_fill(l->ctx, f->labels[i].text, row, &said));
        free(*text);
        *text = said;
        return SY_OK;
    }
    for (size_t i = 0; i < f->label_count; ++i) {
        char *said;
        SY_TRY(sy_template_fill(l->ctx, f->labels[i].text, row, &said));
        const bool same = strcmp(said, *text) == 0;
        free(said);
        if (same)
            return SY_OK;
    }
    return f->label_count == 0 ? SY_OK : wrong_label(l, row, *text);
}

static enum sy_status round_target(const struct loader *l, const struct sy_row *row, struct sy_pair *p)
{
    char where[300], number[64], *end;
    const double value = strtod(p->golds[0], &end), step = l->form->round;
    sy_row_where(row, where);
    if (end == p->golds[0] || *end != '\0' || !isfinite(value))
        return sy_fail(l->ctx, SY_FORMAT, "%s: the target is '%.60s', expected a number to round", where, p->golds[0]);
    const int digits = step < 1 ? (int)ceil(-log10(step) - 1e-9) : 0;
    snprintf(number, sizeof number, "%.*f", digits, round(value / step) * step);
    p->target = strdup(number);
    return p->target != NULL ? SY_OK : no_memory(l);
}

/// The texts of all options, each once, in their order.
static enum sy_status fill_options(const struct loader *l, const struct sy_row *row, struct sy_pair *p)
{
    const struct sy_form *f = l->form;
    if (f->option_count == 1)
        return sy_template_fill_each(l->ctx, f->options[0], row, &p->options, &p->option_count);
    const size_t count = f->option_count > 0 ? f->option_count : f->label_count;
    p->options = calloc(count, sizeof *p->options);
    if (p->options == NULL)
        return no_memory(l);
    for (size_t i = 0; i < count; ++i) {
        char *text;
        SY_TRY(sy_template_fill(l->ctx, f->option_count > 0 ? f->options[i] : f->labels[i].text, row, &text));
        bool again = false;
        for (size_t k = 0; k < p->option_count; ++k)
            again = again || strcmp(p->options[k], text) == 0;
        if (again)
            free(text);
        else
            p->options[p->option_count++] = text;
    }
    return SY_OK;
}

static enum sy_status check_options(const struct loader *l, const struct sy_row *row, const struct sy_pair *p)
{
    char where[300];
    sy_row_where(row, where);
    if (p->option_count < 2)
        return sy_fail(l->ctx, SY_FORMAT, "%s: there is but one option, '%.60s'", where, p->options[0]);
    for (size_t i = 0; i < p->option_count; ++i)
        if (strcmp(p->options[i], p->target) == 0)
            return SY_OK;
    return sy_fail(l->ctx, SY_FORMAT,
                   "%s: the target '%.60s' is none of the %zu options, the first of which is '%.60s'", where, p->target,
                   p->option_count, p->options[0]);
}

static enum sy_status make(const struct loader *l, const struct sy_row *row, struct sy_pair *p)
{
    const struct sy_form *f = l->form;
    p->number = row->number;
    SY_TRY(sy_template_fill(l->ctx, f->inputs, row, &p->inputs));
    SY_TRY(sy_template_fill_each(l->ctx, f->target, row, &p->golds, &p->gold_count));
    for (size_t i = 0; i < p->gold_count; ++i)
        SY_TRY(verbalise(l, row, &p->golds[i]));
    if (f->id != NULL && (!f->id_if_there || sy_template_fits(f->id, row)))
        SY_TRY(sy_template_fill(l->ctx, f->id, row, &p->id));
    if (f->round > 0)
        SY_TRY(round_target(l, row, p));
    else if ((p->target = strdup(p->golds[0])) == NULL)
        return no_memory(l);
    if (!f->rank)
        return SY_OK;
    SY_TRY(fill_options(l, row, p));
    return check_options(l, row, p);
}

static enum sy_status add(void *user, const struct sy_row *row)
{
    struct loader *l = user;
    struct sy_pairs *pairs = l->pairs;
    if (pairs->count == pairs->room) {
        const size_t room = 2 * pairs->room + 64;
        struct sy_pair *bigger = realloc(pairs->items, room * sizeof *bigger);
        if (bigger == NULL)
            return no_memory(l);
        pairs->items = bigger;
        pairs->room = room;
    }
    pairs->items[pairs->count] = (struct sy_pair){0};
    return make(l, row, &pairs->items[pairs->count++]);
}

static enum sy_status begin(struct sy_ctx *ctx, const struct sy_form *form, const char *name, struct sy_pairs *out)
{
    SY_TRY(sy_form_check(ctx, form));
    *out = (struct sy_pairs){.path = strdup(name)};
    return out->path != NULL ? SY_OK : sy_fail(ctx, SY_NOMEM, "%s: out of host memory", name);
}

enum sy_status sy_pairs_load(struct sy_ctx *ctx, const struct sy_form *form, const char *path, struct sy_pairs *out)
{
    SY_TRY(begin(ctx, form, sy_input_name(path), out));
    struct loader l = {.ctx = ctx, .form = form, .pairs = out};
    enum sy_status status = sy_rows_read(ctx, path, form->columns, add, &l);
    if (status != SY_OK)
        sy_pairs_finish(out);
    return status;
}

enum sy_status sy_pairs_parse(struct sy_ctx *ctx, const struct sy_form *form, const char *text, size_t bytes,
                              const char *name, struct sy_pairs *out)
{
    SY_TRY(begin(ctx, form, name, out));
    struct loader l = {.ctx = ctx, .form = form, .pairs = out};
    enum sy_status status = sy_rows_parse(ctx, text, bytes, name, form->columns, add, &l);
    if (status != SY_OK)
        sy_pairs_finish(out);
    return status;
}

static enum sy_status encode(struct sy_ctx *ctx, const struct sy_tokenizer *t, const char *text, int32_t **ids,
                             uint32_t *count)
{
    size_t n;
    free(*ids);
    *ids = NULL;
    SY_TRY(sy_tokenizer_encode(ctx, t, text, strlen(text), SY_ENCODE_SENTINELS | SY_ENCODE_EOS, ids, &n));
    *count = (uint32_t)n;
    return n <= INT32_MAX ? SY_OK : sy_fail(ctx, SY_INVALID, "a text of %zu tokens is too long for an example", n);
}

enum sy_status sy_pairs_encode(struct sy_ctx *ctx, const struct sy_tokenizer *tokenizer, struct sy_pairs *pairs)
{
    for (size_t i = 0; i < pairs->count; ++i) {
        struct sy_pair *p = &pairs->items[i];
        SY_TRY(encode(ctx, tokenizer, p->inputs, &p->input_ids, &p->input_count));
        SY_TRY(encode(ctx, tokenizer, p->target, &p->target_ids, &p->target_count));
        pairs->longest_input = p->input_count > pairs->longest_input ? p->input_count : pairs->longest_input;
        pairs->longest_target = p->target_count > pairs->longest_target ? p->target_count : pairs->longest_target;
    }
    return SY_OK;
}

void sy_pairs_finish(struct sy_pairs *pairs)
{
    for (size_t i = 0; i < pairs->count; ++i) {
        struct sy_pair *p = &pairs->items[i];
        free(p->id);
        free(p->inputs);
        free(p->target);
        sy_texts_free(p->golds, p->gold_count);
        sy_texts_free(p->options, p->option_count);
        free(p->input_ids);
        free(p->target_ids);
    }
    free(pairs->items);
    free(pairs->path);
    *pairs = (struct sy_pairs){0};
}
