// SPDX-License-Identifier: Apache-2.0
// classes.c: texts as classes, compared to the byte.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/metric/scores.h"
#include "engine/metric/words.h"

/// The gold that was said, else the first.
static const char *gold_of(const struct sy_answer *a)
{
    for (size_t i = 0; i < a->gold_count; ++i)
        if (strcmp(a->golds[i], a->said) == 0)
            return a->golds[i];
    return a->golds[0];
}

static bool right(const struct sy_answer *a) { return strcmp(gold_of(a), a->said) == 0; }

bool sy_score_accuracy(const struct sy_scoring *s, double *out)
{
    size_t hits = 0;
    for (size_t i = 0; i < s->count; ++i)
        hits += right(&s->answers[i]);
    *out = (double)hits / (double)s->count;
    return true;
}

/// How often a class was right, said, and meant.
struct counts {
    uint64_t id;
    double hits, said, gold;
};

static double f1_of(const struct counts *c) { return c->said + c->gold > 0 ? 2 * c->hits / (c->said + c->gold) : 0.0; }

bool sy_score_f1(const struct sy_scoring *s, double *out)
{
    struct counts c = {0};
    const char *positive = s->positive != NULL  ? s->positive
                           : s->class_count > 0 ? s->classes[s->class_count - 1]
                                                : "1";
    for (size_t i = 0; i < s->count; ++i) {
        const bool said = strcmp(s->answers[i].said, positive) == 0;
        const bool gold = strcmp(gold_of(&s->answers[i]), positive) == 0;
        c.said += said;
        c.gold += gold;
        c.hits += said && gold;
    }
    *out = f1_of(&c);
    return true;
}

static struct counts *entry(struct counts *table, size_t *count, uint64_t id)
{
    for (size_t i = 0; i < *count; ++i)
        if (table[i].id == id)
            return &table[i];
    table[*count] = (struct counts){.id = id};
    return &table[(*count)++];
}

static uint64_t id_of(const char *text)
{
    uint64_t id = 0;
    struct sy_words w = {.ids = &id, .room = 1};
    sy_words_add(&w, text, strlen(text));
    return id;
}

/// One row for each class, those of `classes` first; malloc'ed. NULL when out of memory.
static struct counts *count_classes(const struct sy_scoring *s, size_t *out_count)
{
    struct counts *table = malloc((2 * s->count + s->class_count) * sizeof *table);
    *out_count = 0;
    for (size_t i = 0; table != NULL && i < s->class_count; ++i)
        (void)entry(table, out_count, id_of(s->classes[i]));
    for (size_t i = 0; table != NULL && i < s->count; ++i) {
        const struct sy_answer *a = &s->answers[i];
        ++entry(table, out_count, id_of(a->said))->said;
        struct counts *gold = entry(table, out_count, id_of(gold_of(a)));
        ++gold->gold;
        gold->hits += right(a);
    }
    return table;
}

bool sy_score_macro_f1(const struct sy_scoring *s, double *out)
{
    size_t count, used;
    struct counts *table = count_classes(s, &count);
    if (table == NULL)
        return false;
    used = s->class_count > 0 ? s->class_count : count;
    used = used < count ? used : count;
    *out = 0.0;
    for (size_t i = 0; i < used; ++i)
        *out += f1_of(&table[i]) / (double)used;
    free(table);
    return true;
}

bool sy_score_matthews(const struct sy_scoring *s, double *out)
{
    size_t count;
    struct counts *table = count_classes(s, &count);
    if (table == NULL)
        return false;
    const double n = (double)s->count;
    double hits = 0, both = 0, said = 0, gold = 0;
    for (size_t i = 0; i < count; ++i) {
        hits += table[i].hits;
        both += table[i].said * table[i].gold;
        said += table[i].said * table[i].said;
        gold += table[i].gold * table[i].gold;
    }
    const double below = (n * n - said) * (n * n - gold);
    *out = below > 0 ? (hits * n - both) / sqrt(below) : 0.0;
    free(table);
    return true;
}
