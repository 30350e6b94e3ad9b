// SPDX-License-Identifier: Apache-2.0
// bleu.c: BLEU of a corpus as sacrebleu computes it by default: tokenizer 13a, case kept, exponential smoothing.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/metric/scores.h"
#include "engine/metric/unicode.h"
#include "engine/metric/words.h"

#define ORDER 4

/// A text that is rewritten by one rule after the other, from one buffer into the other.
struct line {
    char *text, *next;
    size_t room;
    bool failed;
};

/// Room for `bytes` in both buffers.
static bool reserve(struct line *l, size_t bytes)
{
    if (bytes < l->room)
        return true;
    char *a = realloc(l->text, 2 * bytes), *b = a != NULL ? realloc(l->next, 2 * bytes) : NULL;
    l->text = a != NULL ? a : l->text;
    l->next = b != NULL ? b : l->next;
    l->room = b != NULL ? 2 * bytes : l->room;
    l->failed = l->failed || b == NULL;
    return b != NULL;
}

static void swap(struct line *l)
{
    char *text = l->text;
    l->text = l->next;
    l->next = text;
}

/// Replaces every occurrence by what is no longer.
static void replace(struct line *l, const char *what, const char *by)
{
    const size_t n = strlen(what);
    char *to = l->next;
    for (const char *at = l->text; *at != '\0';) {
        if (strncmp(at, what, n) == 0) {
            to = stpcpy(to, by);
            at += n;
        } else {
            *to++ = *at++;
        }
    }
    *to = '\0';
    swap(l);
}

static bool digit(char c) { return c >= '0' && c <= '9'; }
static bool point(char c) { return c == '.' || c == ','; }

/// ASCII punctuation but ' - . , and the space itself.
static bool apart(char c)
{
    return (c >= '{' && c <= '~') || (c >= '[' && c <= '`') || (c >= ' ' && c <= '&') || (c >= '(' && c <= '+') ||
           (c >= ':' && c <= '@') || c == '/';
}

/// The four rules of the language-dependent part, in order, each from left to right over what is not taken yet. Bytes
/// of other characters are neither digits nor points, so that bytes will do.
static void rule(struct line *l, int which)
{
    char *to = l->next;
    for (const char *at = l->text; *at != '\0';) {
        const char a = at[0], b = at[1];
        if (which == 0 && apart(a)) {
            *to++ = ' ';
            *to++ = a;
            *to++ = ' ';
            ++at;
        } else if ((which == 1 && !digit(a) && point(b)) || (which == 3 && digit(a) && b == '-')) {
            *to++ = a;
            *to++ = ' ';
            *to++ = b;
            *to++ = ' ';
            at += 2;
        } else if (which == 2 && point(a) && b != '\0' && !digit(b)) {
            *to++ = ' ';
            *to++ = a;
            *to++ = ' ';
            *to++ = b;
            at += 2;
        } else {
            *to++ = a;
            ++at;
        }
    }
    *to = '\0';
    swap(l);
}

static void tokenize(const char *text, struct line *l, struct sy_words *out)
{
    static const char *const entities[][2] = {{"&quot;", "\""}, {"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}};
    const char *end = text, *last = text, *stop = text + strlen(text);
    out->count = 0;
    while (end < stop) // without spaces at its end
        if (!sy_char_is_space(sy_char_next(&end, stop)))
            last = end;
    const size_t bytes = (size_t)(last - text);
    // The first rule makes of a character three at most, the others of two four.
    if (!reserve(l, 24 * (bytes + 4)))
        return;
    memcpy(l->text, text, bytes);
    l->text[bytes] = '\0';
    replace(l, "<skipped>", "");
    replace(l, "-\n", "");
    replace(l, "\n", " ");
    for (size_t i = 0; i < SY_COUNT(entities); ++i)
        replace(l, entities[i][0], entities[i][1]);
    memmove(l->text + 1, l->text, strlen(l->text) + 1);
    l->text[0] = ' ';
    strcat(l->text, " ");
    for (int i = 0; i < 4; ++i)
        rule(l, i);
    sy_words_split(out, l->text);
}

/// What the corpus adds up to.
struct sums {
    double hits[ORDER], said[ORDER], said_length, gold_length;
};

struct room {
    struct line line;
    struct sy_words said, gold, bag, gold_bag, all[ORDER];
};

static void add(const struct sy_answer *a, struct room *r, struct sums *s)
{
    size_t closest = 0, distance = SIZE_MAX;
    for (size_t n = 0; n < ORDER; ++n)
        r->all[n].count = 0;
    tokenize(a->said, &r->line, &r->said);
    for (size_t k = 0; k < a->gold_count; ++k) {
        tokenize(a->golds[k], &r->line, &r->gold);
        const size_t x = r->gold.count, y = r->said.count, far = x > y ? x - y : y - x;
        if (far < distance || (far == distance && x < closest)) {
            distance = far;
            closest = x;
        }
        for (size_t n = 0; n < ORDER; ++n) {
            sy_words_grams(&r->gold, n + 1, &r->gold_bag);
            sy_words_unite(&r->all[n], &r->gold_bag);
        }
    }
    s->said_length += (double)r->said.count;
    s->gold_length += (double)closest;
    for (size_t n = 0; n < ORDER; ++n) {
        sy_words_grams(&r->said, n + 1, &r->bag);
        s->said[n] += (double)r->bag.count;
        s->hits[n] += (double)sy_words_shared(&r->bag, &r->all[n]);
    }
}

static double bleu(const struct sums *s)
{
    double logs = 0.0, smooth = 1.0;
    bool any = false;
    for (size_t n = 0; n < ORDER; ++n)
        any = any || s->hits[n] > 0;
    if (!any)
        return 0.0;
    for (size_t n = 0; n < ORDER; ++n) {
        if (s->said[n] == 0) // no such n-gram was said
            return 0.0;
        smooth *= s->hits[n] > 0 ? 1 : 2;
        logs += log(s->hits[n] > 0 ? 100 * s->hits[n] / s->said[n] : 100 / (smooth * s->said[n]));
    }
    const double penalty = s->said_length < s->gold_length ? exp(1 - s->gold_length / s->said_length) : 1.0;
    return penalty * exp(logs / ORDER);
}

bool sy_score_bleu(const struct sy_scoring *s, double *out)
{
    struct room r = {0};
    struct sums sums = {0};
    bool good = true;
    for (size_t i = 0; i < s->count; ++i)
        add(&s->answers[i], &r, &sums);
    struct sy_words *words[] = {&r.said, &r.gold, &r.bag, &r.gold_bag, &r.all[0], &r.all[1], &r.all[2], &r.all[3]};
    for (size_t i = 0; i < SY_COUNT(words); ++i) {
        good = good && !words[i]->failed;
        sy_words_finish(words[i]);
    }
    free(r.line.text);
    free(r.line.next);
    *out = bleu(&sums);
    return good && !r.line.failed;
}
