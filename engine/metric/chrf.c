// SPDX-License-Identifier: Apache-2.0
// chrf.c: chrF2 of a corpus as sacrebleu computes it by default: characters without spaces, 1 to 6 of them.
#include <stdlib.h>
#include <string.h>

#include "engine/metric/scores.h"
#include "engine/metric/unicode.h"
#include "engine/metric/words.h"

#define ORDER 6

struct sums {
    double said[ORDER], gold[ORDER], hits[ORDER];
};

static double f_of(const struct sums *s)
{
    double p = 0, r = 0;
    int orders = 0;
    for (int n = 0; n < ORDER; ++n)
        if (s->said[n] > 0 && s->gold[n] > 0) {
            p += s->hits[n] / s->said[n];
            r += s->hits[n] / s->gold[n];
            ++orders;
        }
    return p + r > 0 ? 100 * 5 * p * r / orders / (4 * p + r) : 0.0;
}

static void characters(const char *text, struct sy_words *out)
{
    const char *end = text + strlen(text);
    out->count = 0;
    while (text < end) {
        const uint32_t c = sy_char_next(&text, end);
        if (!sy_char_is_space(c))
            sy_words_put(out, c);
    }
}

struct room {
    struct sy_words said, gold, said_bag, gold_bag;
};

/// Said n-grams do not count where the gold has none of that length.
static struct sums compare(struct room *r)
{
    struct sums s;
    for (size_t n = 0; n < ORDER; ++n) {
        sy_words_grams(&r->said, n + 1, &r->said_bag);
        sy_words_grams(&r->gold, n + 1, &r->gold_bag);
        s.gold[n] = (double)r->gold_bag.count;
        s.said[n] = r->gold_bag.count > 0 ? (double)r->said_bag.count : 0.0;
        s.hits[n] = (double)sy_words_shared(&r->said_bag, &r->gold_bag);
    }
    return s;
}

bool sy_score_chrf(const struct sy_scoring *s, double *out)
{
    struct room r = {0};
    struct sums all = {0};
    for (size_t i = 0; i < s->count; ++i) {
        const struct sy_answer *a = &s->answers[i];
        struct sums best = {0};
        characters(a->said, &r.said);
        for (size_t k = 0; k < a->gold_count; ++k) {
            characters(a->golds[k], &r.gold);
            const struct sums one = compare(&r);
            if (k == 0 || f_of(&one) > f_of(&best))
                best = one;
        }
        for (size_t n = 0; n < ORDER; ++n) {
            all.said[n] += best.said[n];
            all.gold[n] += best.gold[n];
            all.hits[n] += best.hits[n];
        }
    }
    *out = f_of(&all);
    const bool good = !r.said.failed && !r.gold.failed && !r.said_bag.failed && !r.gold_bag.failed;
    sy_words_finish(&r.said);
    sy_words_finish(&r.gold);
    sy_words_finish(&r.said_bag);
    sy_words_finish(&r.gold_bag);
    return good;
}
