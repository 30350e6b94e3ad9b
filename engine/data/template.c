// SPDX-License-Identifier: Apache-2.0
#include "engine/data/template.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum filter { SPACES, LINES, LETTERS };

struct part {
    char *literal; // or
    char *name, *index;
    enum filter filter;
};

struct sy_template {
    char *what;
    struct part *parts;
    size_t count;
};

// ---- parsing --------------------------------------------------------------------------------------------------------

static char *copy(const char *text, size_t bytes)
{
    char *out = malloc(bytes + 1);
    if (out != NULL) {
        memcpy(out, text, bytes);
        out[bytes] = '\0';
    }
    return out;
}

static struct part *add_part(struct sy_template *t)
{
    struct part *bigger = realloc(t->parts, (t->count + 1) * sizeof *bigger);
    if (bigger == NULL)
        return NULL;
    t->parts = bigger;
    t->parts[t->count] = (struct part){0};
    return &t->parts[t->count++];
}

static enum sy_status no_memory(struct sy_ctx *ctx, const char *what)
{
    return sy_fail(ctx, SY_NOMEM, "%s: out of host memory", what);
}

/// Text up to the next column; doubled braces are single ones.
static enum sy_status parse_literal(struct sy_ctx *ctx, struct sy_template *t, const char **at)
{
    const char *p = *at;
    struct part *part = add_part(t);
    char *to = part != NULL ? part->literal = malloc(strlen(p) + 1) : NULL;
    if (to == NULL)
        return no_memory(ctx, t->what);
    for (; *p != '\0' && (*p != '{' || p[1] == '{'); ++p) {
        if (*p == '}' && p[1] != '}')
            return sy_fail(ctx, SY_INVALID, "%s: '%.80s' closes what no { opened; a brace itself is written }}",
                           t->what, p);
        p += *p == '{' || *p == '}';
        *to++ = *p;
    }
    *to = '\0';
    *at = p;
    return SY_OK;
}

/// What is between the braces: name[index]|filter.
static enum sy_status parse_column(struct sy_ctx *ctx, struct sy_template *t, const char *text, size_t bytes)
{
    static const char *const filters[] = {"", "lines", "letters"};
    const char *bar = memchr(text, '|', bytes);
    const size_t path = bar != NULL ? (size_t)(bar - text) : bytes;
    const char *open = memchr(text, '[', path);
    const size_t name = open != NULL ? (size_t)(open - text) : path;
    struct part *part = add_part(t);
    if (part == NULL || (part->name = copy(text, name)) == NULL)
        return no_memory(ctx, t->what);
    if (name == 0)
        return sy_fail(ctx, SY_INVALID, "%s: {%.*s} names no column", t->what, (int)(bytes < 60 ? bytes : 60), text);
    if (open != NULL) {
        if (text[path - 1] != ']' || path - name < 3)
            return sy_fail(ctx, SY_INVALID, "%s: {%.*s}: expected {name[number]} or {name[column]}", t->what,
                           (int)(bytes < 60 ? bytes : 60), text);
        if ((part->index = copy(open + 1, path - name - 2)) == NULL)
            return no_memory(ctx, t->what);
    }
    if (bar == NULL)
        return SY_OK;
    for (int i = 1; i < (int)SY_COUNT(filters); ++i)
        if (bytes - path - 1 == strlen(filters[i]) && strncmp(bar + 1, filters[i], bytes - path - 1) == 0) {
            part->filter = (enum filter)i;
            return SY_OK;
        }
    return sy_fail(ctx, SY_INVALID, "%s: {%.*s}: what follows | is lines or letters", t->what,
                   (int)(bytes < 60 ? bytes : 60), text);
}

static enum sy_status parse(struct sy_ctx *ctx, struct sy_template *t, const char *text, bool constant)
{
    bool names = constant;
    const char *p = text;
    while (*p != '\0') {
        if (*p != '{' || p[1] == '{') {
            SY_TRY(parse_literal(ctx, t, &p));
            continue;
        }
        const char *end = strchr(p, '}');
        if (end == NULL || memchr(p + 1, '{', (size_t)(end - p) - 1) != NULL)
            return sy_fail(ctx, SY_INVALID, "%s: '%.80s' has no closing }; a brace itself is written {{", t->what, p);
        SY_TRY(parse_column(ctx, t, p + 1, (size_t)(end - p) - 1));
        names = true;
        p = end + 1;
    }
    return names ? SY_OK
                 : sy_fail(ctx, SY_INVALID,
                           "%s: '%.80s' names no column, so that all examples would be the same; "
                           "{name} stands for the value of a column",
                           t->what, text);
}

enum sy_status sy_template_parse(struct sy_ctx *ctx, const char *what, const char *text, bool constant,
                                 struct sy_template **out)
{
    struct sy_template *t = calloc(1, sizeof *t);
    if (t == NULL || (t->what = copy(what, strlen(what))) == NULL) {
        free(t);
        return no_memory(ctx, what);
    }
    enum sy_status status = parse(ctx, t, text, constant);
    if (status != SY_OK)
        sy_template_free(&t);
    *out = t;
    return status;
}

const char *sy_template_constant(const struct sy_template *t) { return t->count == 1 ? t->parts[0].literal : NULL; }

void sy_template_free(struct sy_template **template)
{
    struct sy_template *t = *template;
    if (t == NULL)
        return;
    for (size_t i = 0; i < t->count; ++i) {
        free(t->parts[i].literal);
        free(t->parts[i].name);
        free(t->parts[i].index);
    }
    free(t->parts);
    free(t->what);
    free(t);
    *template = NULL;
}

// ---- filling --------------------------------------------------------------------------------------------------------

struct filling {
    struct sy_ctx *ctx;
    const struct sy_template *t;
    const struct sy_row *row;
    FILE *to;
};

static enum sy_status odd(const struct filling *f, const char *name, const char *format, const char *more)
{
    char where[300], said[300];
    sy_row_where(f->row, where);
    snprintf(said, sizeof said, format, more);
    return sy_fail(f->ctx, SY_FORMAT, "%s: %s names {%.60s}: %s", where, f->t->what, name, said);
}

/// Whether the only column has the commas of several.
static const char *like_csv(const json_t *values)
{
    const char *only = json_object_iter_key(json_object_iter((json_t *)(uintptr_t)values));
    return json_object_size(values) == 1 && strpbrk(only, ",;") != NULL
               ? "; is this CSV? Columns are parted by tabs, or write JSON lines"
               : "";
}

static enum sy_status no_column(const struct filling *f, const char *name)
{
    char names[200] = "";
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)f->row->values, key, value)
    {
        const size_t used = strlen(names);
        if (used + strlen(key) + 8 > 140) {
            snprintf(names + used, sizeof names - used, ", …");
            break;
        }
        snprintf(names + used, sizeof names - used, "%s%s", used > 0 ? ", " : "", key);
    }
    strcat(names, names[0] != '\0' ? like_csv(f->row->values) : "nothing at all");
    return odd(f, name, "there is no such column, only %s", names);
}

/// The value under "a.b", or under b in the object under a; NULL: none.
static const json_t *look_up(const json_t *values, const char *name)
{
    const json_t *found = json_object_get(values, name);
    const char *dot = found == NULL ? strchr(name, '.') : NULL;
    if (dot == NULL)
        return found;
    char *head = copy(name, (size_t)(dot - name));
    const json_t *below = head != NULL ? json_object_get(values, head) : NULL;
    free(head);
    return below != NULL ? look_up(below, dot + 1) : NULL;
}

/// Whether there is a column of the name before the first dot.
static bool has_head(const json_t *values, const char *name)
{
    char *head = copy(name, strcspn(name, "."));
    const bool found = head != NULL && json_object_get(values, head) != NULL;
    free(head);
    return found;
}

/// A whole number that is written in full, in a string or as a number; −1: none.
static long long as_index(const json_t *value)
{
    const char *text = json_string_value(value);
    char *end;
    if (json_is_integer(value))
        return json_integer_value(value);
    if (text == NULL || *text < '0' || *text > '9')
        return -1;
    const long long n = strtoll(text, &end, 10);
    return *end == '\0' ? n : -1;
}

static enum sy_status find(const struct filling *f, const struct part *p, const json_t **out)
{
    const json_t *value = look_up(f->row->values, p->name);
    if (value == NULL && strchr(p->name, '.') != NULL && has_head(f->row->values, p->name))
        return odd(f, p->name, "the column is there, but has no such key%s", "");
    if (value == NULL)
        return no_column(f, p->name);
    *out = value;
    if (p->index == NULL)
        return SY_OK;
    json_t *own = json_string(p->index);
    long long i = as_index(own);
    json_decref(own);
    if (i < 0) {
        const json_t *other = look_up(f->row->values, p->index);
        if (other == NULL)
            return no_column(f, p->index);
        i = as_index(other);
        if (i < 0)
            return odd(f, p->index, "it holds no number of an element%s", "");
    }
    if (!json_is_array(value))
        return odd(f, p->name, "its value is no list, so it has no element%s", "");
    if ((*out = json_array_get(value, (size_t)i)) == NULL) {
        char number[24];
        snprintf(number, sizeof number, "%lld", i);
        return odd(f, p->name, "the list has no element %s", number);
    }
    return SY_OK;
}

static enum sy_status put_scalar(const struct filling *f, const char *name, const json_t *value)
{
    char number[40];
    switch (json_typeof(value)) {
    case JSON_STRING:
        if (json_string_length(value) == 0)
            return odd(f, name, "its value is empty%s", "");
        fputs(json_string_value(value), f->to);
        return SY_OK;
    case JSON_INTEGER: fprintf(f->to, "%lld", (long long)json_integer_value(value)); return SY_OK;
    case JSON_REAL:
        for (int digits = 1; digits <= 17; ++digits) {
            snprintf(number, sizeof number, "%.*g", digits, json_real_value(value));
            if (strtod(number, NULL) == json_real_value(value))
                break;
        }
        fputs(number, f->to);
        return SY_OK;
    case JSON_TRUE: fputs("true", f->to); return SY_OK;
    case JSON_FALSE: fputs("false", f->to); return SY_OK;
    case JSON_NULL: return odd(f, name, "its value is null%s", "");
    default: return odd(f, name, "its value is an object or a list in a list%s", "");
    }
}

static enum sy_status put_value(const struct filling *f, const struct part *p, const json_t *value)
{
    const json_t *element;
    size_t i;
    if (!json_is_array(value))
        return put_scalar(f, p->name, value);
    if (json_array_size(value) == 0)
        return odd(f, p->name, "its list is empty%s", "");
    json_array_foreach(value, i, element)
    {
        if (i > 0)
            fputc(p->filter == LINES ? '\n' : ' ', f->to);
        if (p->filter == LETTERS)
            fprintf(f->to, "(%c) ", (char)('A' + i % 26));
        SY_TRY(put_scalar(f, p->name, element));
    }
    return SY_OK;
}

static enum sy_status fill(struct filling *f, const json_t *instead, char **out)
{
    size_t bytes;
    *out = NULL;
    f->to = open_memstream(out, &bytes);
    if (f->to == NULL)
        return no_memory(f->ctx, f->t->what);
    enum sy_status status = SY_OK;
    for (size_t i = 0; i < f->t->count && status == SY_OK; ++i) {
        const struct part *p = &f->t->parts[i];
        const json_t *value = instead;
        if (p->literal != NULL) {
            fputs(p->literal, f->to);
            continue;
        }
        if (instead == NULL)
            status = find(f, p, &value);
        if (status == SY_OK)
            status = put_value(f, p, value);
    }
    if (fclose(f->to) != 0 && status == SY_OK)
        status = no_memory(f->ctx, f->t->what);
    if (status != SY_OK) {
        free(*out);
        *out = NULL;
    }
    return status;
}

bool sy_template_fits(const struct sy_template *t, const struct sy_row *row)
{
    bool fits = true;
    for (size_t i = 0; i < t->count && fits; ++i)
        fits = t->parts[i].name == NULL || look_up(row->values, t->parts[i].name) != NULL;
    return fits;
}

enum sy_status sy_template_fill(struct sy_ctx *ctx, const struct sy_template *t, const struct sy_row *row, char **out)
{
    struct filling f = {.ctx = ctx, .t = t, .row = row};
    return fill(&f, NULL, out);
}

enum sy_status sy_template_fill_each(struct sy_ctx *ctx, const struct sy_template *t, const struct sy_row *row,
                                     char ***out, size_t *out_count)
{
    struct filling f = {.ctx = ctx, .t = t, .row = row};
    const json_t *list = NULL;
    const bool alone = t->count == 1 && t->parts[0].name != NULL && t->parts[0].filter == SPACES;
    if (alone)
        SY_TRY(find(&f, &t->parts[0], &list));
    const bool each = json_is_array(list);
    const size_t count = each ? json_array_size(list) : 1;
    if (count == 0)
        return odd(&f, t->parts[0].name, "its list is empty%s", "");
    char **texts = calloc(count, sizeof *texts);
    enum sy_status status = texts != NULL ? SY_OK : no_memory(ctx, t->what);
    for (size_t i = 0; i < count && status == SY_OK; ++i)
        status = fill(&f, each ? json_array_get(list, i) : NULL, &texts[i]);
    if (status != SY_OK) {
        sy_texts_free(texts, count);
        return status;
    }
    *out = texts;
    *out_count = count;
    return SY_OK;
}

void sy_texts_free(char **texts, size_t count)
{
    for (size_t i = 0; texts != NULL && i < count; ++i)
        free(texts[i]);
    free(texts);
}
