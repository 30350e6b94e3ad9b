// SPDX-License-Identifier: Apache-2.0
// form.c: what a task is, from a file or from options.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/data/pairs.h"
#include "engine/json.h"

static enum sy_status replace(struct sy_ctx *ctx, char **slot, const char *text, const char *what)
{
    char *own = strdup(text);
    if (own == NULL)
        return sy_fail(ctx, SY_NOMEM, "%s: out of host memory", what);
    free(*slot);
    *slot = own;
    return SY_OK;
}

static enum sy_status replace_template(struct sy_ctx *ctx, struct sy_template **slot, const char *text,
                                       const char *what)
{
    struct sy_template *own;
    SY_TRY(sy_template_parse(ctx, what, text, false, &own));
    sy_template_free(slot);
    *slot = own;
    return SY_OK;
}

static void drop_labels(struct sy_form *f)
{
    for (size_t i = 0; i < f->label_count; ++i) {
        free(f->labels[i].raw);
        sy_template_free(&f->labels[i].text);
    }
    free(f->labels);
    f->labels = NULL;
    f->label_count = 0;
}

static void drop_options(struct sy_form *f)
{
    for (size_t i = 0; i < f->option_count; ++i)
        sy_template_free(&f->options[i]);
    free(f->options);
    f->options = NULL;
    f->option_count = 0;
    f->rank = false;
}

static enum sy_status add_label(struct sy_ctx *ctx, struct sy_form *f, const char *raw, const char *text,
                                const char *what)
{
    for (size_t i = 0; i < f->label_count; ++i)
        if (strcmp(f->labels[i].raw, raw) == 0)
            return sy_fail(ctx, SY_INVALID, "%s: the label '%.60s' is there twice", what, raw);
    struct sy_label *bigger = realloc(f->labels, (f->label_count + 1) * sizeof *bigger), label = {0};
    if (bigger != NULL)
        f->labels = bigger;
    if (bigger == NULL || (label.raw = strdup(raw)) == NULL)
        return sy_fail(ctx, SY_NOMEM, "%s: out of host memory", what);
    const enum sy_status status = *text != '\0'
                                      ? sy_template_parse(ctx, what, text, true, &label.text)
                                      : sy_fail(ctx, SY_INVALID, "%s: the label '%.60s' has no text", what, raw);
    if (status == SY_OK)
        f->labels[f->label_count++] = label;
    else
        free(label.raw);
    return status;
}

static enum sy_status add_option(struct sy_ctx *ctx, struct sy_form *f, const char *text, const char *what)
{
    struct sy_template **bigger = realloc(f->options, (f->option_count + 1) * sizeof *bigger);
    if (bigger == NULL)
        return sy_fail(ctx, SY_NOMEM, "%s: out of host memory", what);
    f->options = bigger;
    if (*text == '\0')
        return sy_fail(ctx, SY_INVALID, "%s: an option is empty", what);
    SY_TRY(sy_template_parse(ctx, what, text, true, &f->options[f->option_count]));
    ++f->option_count;
    f->rank = true;
    return SY_OK;
}

/// Calls for each text between commas.
static enum sy_status each_piece(struct sy_ctx *ctx, struct sy_form *f, const char *list, const char *what,
                                 enum sy_status (*fn)(struct sy_ctx *, struct sy_form *, const char *, const char *))
{
    char *own = strdup(list);
    enum sy_status status = own != NULL ? SY_OK : sy_fail(ctx, SY_NOMEM, "%s: out of host memory", what);
    for (char *at = own; status == SY_OK && at != NULL;) {
        char *comma = strchr(at, ',');
        if (comma != NULL)
            *comma = '\0';
        status = fn(ctx, f, at, what);
        at = comma != NULL ? comma + 1 : NULL;
    }
    free(own);
    return status;
}

static enum sy_status label_piece(struct sy_ctx *ctx, struct sy_form *f, const char *piece, const char *what)
{
    const char *equals = strchr(piece, '=');
    char *raw = equals != NULL ? strndup(piece, (size_t)(equals - piece)) : NULL;
    if (raw == NULL)
        return sy_fail(ctx, SY_INVALID, "%s: '%.60s' is no RAW=TEXT, as in 0=entailment,1=neutral", what, piece);
    enum sy_status status = add_label(ctx, f, raw, equals + 1, what);
    free(raw);
    return status;
}

enum sy_status sy_form_set(struct sy_ctx *ctx, struct sy_form *f, const char *key, const char *text, const char *what)
{
    const struct {
        const char *key;
        char **text;
        struct sy_template **template;
    } slots[] = {{"template", NULL, &f->inputs}, {"target", NULL, &f->target},  {"id", NULL, &f->id},
                 {"columns", &f->columns, NULL}, {"metric", &f->metrics, NULL}, {"positive", &f->positive, NULL},
                 {"name", &f->name, NULL}};
    if (strcmp(key, "id") == 0)
        f->id_if_there = false;
    for (size_t i = 0; i < SY_COUNT(slots); ++i)
        if (strcmp(key, slots[i].key) == 0)
            return slots[i].text != NULL ? replace(ctx, slots[i].text, text, what)
                                         : replace_template(ctx, slots[i].template, text, what);
    if (strcmp(key, "labels") == 0) {
        drop_labels(f);
        return each_piece(ctx, f, text, what, label_piece);
    }
    if (strcmp(key, "options") != 0)
        return sy_fail(ctx, SY_INVALID, "%s: a task has no key '%s'", what, key);
    drop_options(f);
    f->rank = strcmp(text, "labels") == 0;
    return f->rank ? SY_OK : each_piece(ctx, f, text, what, add_option);
}

// ---- files ----------------------------------------------------------------------------------------------------------

static enum sy_status wrong_value(struct sy_ctx *ctx, const char *what, const char *expected)
{
    return sy_fail(ctx, SY_FORMAT, "%s: expected %s", what, expected);
}

static enum sy_status take_labels(struct sy_ctx *ctx, struct sy_form *f, const json_t *labels, const char *what)
{
    const char *raw;
    json_t *text;
    drop_labels(f);
    if (json_object_size(labels) == 0)
        return wrong_value(ctx, what, "at least one label");
    json_object_foreach((json_t *)(uintptr_t)labels, raw, text)
    {
        if (!json_is_string(text))
            return wrong_value(ctx, what, "an object of texts");
        SY_TRY(add_label(ctx, f, raw, json_string_value(text), what));
    }
    return SY_OK;
}

static enum sy_status take_options(struct sy_ctx *ctx, struct sy_form *f, const json_t *options, const char *what)
{
    const json_t *text;
    size_t i;
    drop_options(f);
    if (json_array_size(options) == 0)
        return wrong_value(ctx, what, "at least one option");
    json_array_foreach(options, i, text)
    {
        if (!json_is_string(text))
            return wrong_value(ctx, what, "a list of texts");
        SY_TRY(add_option(ctx, f, json_string_value(text), what));
    }
    return SY_OK;
}

static enum sy_status take_number(struct sy_ctx *ctx, struct sy_form *f, const char *key, const json_t *value,
                                  const char *what)
{
    const double x = json_number_value(value);
    if (strcmp(key, "round") == 0) {
        f->round = x;
        return x > 0 && isfinite(x) ? SY_OK : wrong_value(ctx, what, "a number above 0");
    }
    uint32_t *slot = strcmp(key, "max_tokens") == 0 ? &f->max_tokens : strcmp(key, "src_len") == 0 ? &f->src_len : NULL;
    if (slot == NULL)
        return wrong_value(ctx, what, "a text");
    if (!json_is_integer(value) || x < 2 || x > 1 << 20)
        return wrong_value(ctx, what, "a whole number from 2 to 2^20");
    *slot = (uint32_t)x;
    return SY_OK;
}

static enum sy_status take_keys(struct sy_ctx *ctx, const char *path, const json_t *root, struct sy_form *f)
{
    const char *key;
    json_t *value;
    char what[400];
    json_object_foreach((json_t *)(uintptr_t)root, key, value)
    {
        snprintf(what, sizeof what, "%.300s: \"%.60s\"", path, key);
        if (strcmp(key, "about") == 0)
            continue;
        if (json_is_string(value)) {
            SY_TRY(sy_form_set(ctx, f, key, json_string_value(value), what));
            f->id_if_there = f->id_if_there || strcmp(key, "id") == 0;
        } else if (json_is_object(value) && strcmp(key, "labels") == 0)
            SY_TRY(take_labels(ctx, f, value, what));
        else if (json_is_array(value) && strcmp(key, "options") == 0)
            SY_TRY(take_options(ctx, f, value, what));
        else if (json_is_number(value))
            SY_TRY(take_number(ctx, f, key, value, what));
        else
            return wrong_value(ctx, what, "a text (labels: an object, options: a list)");
    }
    return SY_OK;
}

enum sy_status sy_form_load(struct sy_ctx *ctx, const char *path, struct sy_form *form)
{
    json_t *root;
    SY_TRY(sy_json_load(ctx, path, &root));
    enum sy_status status = take_keys(ctx, path, root, form);
    json_decref(root);
    return status;
}

enum sy_status sy_form_parse(struct sy_ctx *ctx, const char *text, size_t bytes, const char *name, struct sy_form *form)
{
    json_t *root;
    SY_TRY(sy_json_parse(ctx, text, bytes, name, &root));
    enum sy_status status = take_keys(ctx, name, root, form);
    json_decref(root);
    return status;
}

/// Whether a text may be among these; one that names a column may be anything.
static bool may_be(const struct sy_template *t, const char *text)
{
    const char *constant = sy_template_constant(t);
    return constant == NULL || strcmp(constant, text) == 0;
}

/// F1 of a class that nothing is would be 0, whatever the answers.
static enum sy_status check_positive(struct sy_ctx *ctx, const struct sy_form *f)
{
    bool found = f->positive == NULL || f->label_count + f->option_count == 0;
    for (size_t i = 0; i < f->label_count && !found; ++i)
        found = may_be(f->labels[i].text, f->positive);
    for (size_t i = 0; i < f->option_count && !found; ++i)
        found = may_be(f->options[i], f->positive);
    return found ? SY_OK
                 : sy_fail(ctx, SY_INVALID, "positive: '%.60s' is neither the text of a label nor an option",
                           f->positive);
}

enum sy_status sy_form_check(struct sy_ctx *ctx, const struct sy_form *f)
{
    if (f->inputs == NULL || f->target == NULL)
        return sy_fail(ctx, SY_INVALID,
                       "pairs need %s: give --task FILE (configs/tasks has ready ones), or --template 'nli hypothesis: "
                       "{b} premise: {a}' and --target '{label}'",
                       f->inputs == NULL ? "a template for the inputs" : "a template for the target");
    if (f->rank && f->option_count == 0 && f->label_count == 0)
        return sy_fail(ctx, SY_INVALID, "the options are those of the labels, but there are none: give --labels");
    return check_positive(ctx, f);
}

void sy_form_finish(struct sy_form *f)
{
    char *texts[] = {f->name, f->columns, f->metrics, f->positive};
    for (size_t i = 0; i < SY_COUNT(texts); ++i)
        free(texts[i]);
    sy_template_free(&f->inputs);
    sy_template_free(&f->target);
    sy_template_free(&f->id);
    drop_labels(f);
    drop_options(f);
    *f = (struct sy_form){0};
}
