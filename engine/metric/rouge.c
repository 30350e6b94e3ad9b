// SPDX-License-Identifier: Apache-2.0
// rouge.c: ROUGE-1, -2, -L and -Lsum as rouge-score computes them: F of ASCII words, summaries split at line ends.
#include <stdlib.h>
#include <string.h>

#include "engine/metric/scores.h"
#include "engine/metric/unicode.h"
#include "engine/metric/words.h"

/// A text's words, and where its lines end among them.
struct summary {
    struct sy_words words, bags[2];
    size_t *ends;
    size_t lines, room;
    bool failed;
};

static void end_line(struct summary *t)
{
    if (t->lines == t->room) {
        const size_t room = 2 * t->room + 8;
        size_t *bigger = realloc(t->ends, room * sizeof *bigger);
        if (bigger == NULL) {
            t->failed = true;
            return;
        }
        t->ends = bigger;
        t->room = room;
    }
    t->ends[t->lines++] = t->words.count;
}

static void end_word(struct summary *t, char *word, size_t length, bool stem)
{
    if (length > 3 && stem)
        length = sy_porter_stem(word, length);
    if (length > 0)
        sy_words_add(&t->words, word, length);
}

/// Words are runs of a–z and 0–9 in lower-case text.
static void tokenize(const char *text, bool stem, struct summary *t)
{
    char *low = sy_text_lower(text), *word = NULL;
    t->words.count = t->lines = 0;
    if (low == NULL) {
        t->failed = true;
        return;
    }
    for (char *at = low;; ++at) {
        const bool inside = (*at >= 'a' && *at <= 'z') || (*at >= '0' && *at <= '9');
        const char here = *at;
        if (inside && word == NULL)
            word = at;
        if (!inside && word != NULL) {
            end_word(t, word, (size_t)(at - word), stem);
            word = NULL;
        }
        if (here == '\n' || here == '\0')
            end_line(t);
        if (here == '\0')
            break;
    }
    free(low);
    for (size_t n = 0; n < 2; ++n)
        sy_words_grams(&t->words, n + 1, &t->bags[n]);
}

static double f_of(double hits, double said, double gold)
{
    const double p = said > 0 ? hits / said : 0.0, r = gold > 0 ? hits / gold : 0.0;
    return p + r > 0 ? 2 * p * r / (p + r) : 0.0;
}

/// The table of longest common subsequences of ref[0…n) and can[0…m): row i, column k.
static uint32_t *lcs_table(const uint64_t *ref, size_t n, const uint64_t *can, size_t m)
{
    uint32_t *t = calloc((n + 1) * (m + 1), sizeof *t);
    for (size_t i = 1; t != NULL && i <= n; ++i)
        for (size_t k = 1; k <= m; ++k) {
            const uint32_t up = t[(i - 1) * (m + 1) + k], left = t[i * (m + 1) + k - 1];
            t[i * (m + 1) + k] = ref[i - 1] == can[k - 1] ? t[(i - 1) * (m + 1) + k - 1] + 1 : up > left ? up : left;
        }
    return t;
}

/// Marks the places of ref that one of the longest common subsequences takes.
static void mark_lcs(const uint32_t *t, const uint64_t *ref, size_t n, const uint64_t *can, size_t m, bool *marks)
{
    size_t i = n, k = m;
    while (i > 0 && k > 0) {
        if (ref[i - 1] == can[k - 1]) {
            marks[--i] = true;
            --k;
        } else if (t[i * (m + 1) + k - 1] > t[(i - 1) * (m + 1) + k]) {
            --k;
        } else {
            --i;
        }
    }
}

static double score_l(struct summary *said, const struct summary *gold)
{
    const size_t n = gold->words.count, m = said->words.count;
    uint32_t *t = lcs_table(gold->words.ids, n, said->words.ids, m);
    said->failed = said->failed || t == NULL;
    const double f = t != NULL ? f_of(t[(n + 1) * (m + 1) - 1], (double)m, (double)n) : 0.0;
    free(t);
    return f;
}

/// How often a word is left among the sorted ones of a bag; takes one.
static bool take(const struct sy_words *bag, uint32_t *left, uint64_t id)
{
    size_t low = 0, high = bag->count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (bag->ids[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == bag->count || bag->ids[low] != id || left[low] == 0)
        return false;
    --left[low];
    return true;
}

/// How often each word of a bag is there, at its first place.
static uint32_t *count_bag(const struct sy_words *bag)
{
    uint32_t *left = calloc(bag->count + 1, sizeof *left);
    for (size_t i = 0, first = 0; left != NULL && i < bag->count; ++i) {
        first = bag->ids[i] != bag->ids[first] ? i : first;
        ++left[first];
    }
    return left;
}

/// Hits of one line of the gold: the union of what it shares with each line that was said, each word counted once.
static size_t line_hits(struct summary *said, const struct summary *gold, size_t first, size_t end, uint32_t *left_said,
                        uint32_t *left_gold)
{
    const uint64_t *ref = gold->words.ids + first;
    const size_t n = end - first;
    bool *marks = calloc(n + 1, sizeof *marks);
    size_t hits = 0;
    for (size_t i = 0, from = 0; marks != NULL && n > 0 && i < said->lines; from = said->ends[i++]) {
        const size_t m = said->ends[i] - from;
        uint32_t *t = m > 0 ? lcs_table(ref, n, said->words.ids + from, m) : NULL;
        said->failed = said->failed || (m > 0 && t == NULL);
        if (t != NULL)
            mark_lcs(t, ref, n, said->words.ids + from, m, marks);
        free(t);
    }
    for (size_t i = 0; marks != NULL && i < n; ++i)
        if (marks[i] && take(&said->bags[0], left_said, ref[i])) {
            const bool there = take(&gold->bags[0], left_gold, ref[i]);
            hits += there;
        }
    said->failed = said->failed || marks == NULL;
    free(marks);
    return hits;
}

static double score_lsum(struct summary *said, const struct summary *gold)
{
    uint32_t *left_said = count_bag(&said->bags[0]), *left_gold = count_bag(&gold->bags[0]);
    size_t hits = 0;
    for (size_t i = 0, first = 0; left_said != NULL && left_gold != NULL && i < gold->lines; first = gold->ends[i++])
        hits += line_hits(said, gold, first, gold->ends[i], left_said, left_gold);
    said->failed = said->failed || left_said == NULL || left_gold == NULL;
    free(left_said);
    free(left_gold);
    return f_of((double)hits, (double)said->words.count, (double)gold->words.count);
}

static void finish(struct summary *t)
{
    sy_words_finish(&t->words);
    sy_words_finish(&t->bags[0]);
    sy_words_finish(&t->bags[1]);
    free(t->ends);
}

static bool failed(const struct summary *t)
{
    return t->failed || t->words.failed || t->bags[0].failed || t->bags[1].failed;
}

static bool score(const struct sy_scoring *s, bool stem, double *out)
{
    struct summary said = {0}, gold = {0};
    memset(out, 0, SY_SCORES * sizeof *out);
    for (size_t i = 0; i < s->count; ++i) {
        const struct sy_answer *a = &s->answers[i];
        double best[SY_SCORES] = {0};
        tokenize(a->said, stem, &said);
        for (size_t k = 0; k < a->gold_count; ++k) {
            tokenize(a->golds[k], stem, &gold);
            double f[SY_SCORES];
            for (size_t n = 0; n < 2; ++n)
                f[n] = f_of((double)sy_words_shared(&said.bags[n], &gold.bags[n]), (double)said.bags[n].count,
                            (double)gold.bags[n].count);
            f[2] = score_l(&said, &gold);
            f[3] = score_lsum(&said, &gold);
            for (size_t n = 0; n < SY_SCORES; ++n)
                best[n] = f[n] > best[n] ? f[n] : best[n];
        }
        for (size_t n = 0; n < SY_SCORES; ++n)
            out[n] += best[n] / (double)s->count;
    }
    const bool good = !failed(&said) && !failed(&gold);
    finish(&said);
    finish(&gold);
    return good;
}

bool sy_score_rouge(const struct sy_scoring *s, double *out) { return score(s, false, out); }
bool sy_score_rouge_stem(const struct sy_scoring *s, double *out) { return score(s, true, out); }
