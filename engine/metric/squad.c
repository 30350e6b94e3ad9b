// SPDX-License-Identifier: Apache-2.0
// squad.c: exact match and overlap of words as SQuAD v1.1 has them.
#include <stdlib.h>
#include <string.h>

#include "engine/metric/scores.h"
#include "engine/metric/unicode.h"
#include "engine/metric/words.h"

static bool is_article(const char *word, size_t n)
{
    return (n == 1 && *word == 'a') || (n == 2 && strncmp(word, "an", 2) == 0) ||
           (n == 3 && strncmp(word, "the", 3) == 0);
}

static bool is_punctuation(char c) { return strchr("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", c) != NULL; }

/// Spaces in place of words that are articles.
static void blank_articles(char *text, const char *end)
{
    char *word = NULL;
    for (const char *at = text, *before = text; before < end; before = at) {
        const bool inside = at < end && sy_char_is_word(sy_char_next(&at, end));
        if (inside && word == NULL)
            word = text + (before - text);
        if (inside && at < end)
            continue;
        const size_t n = word != NULL ? (size_t)((inside ? at : before) - word) : 0;
        if (n > 0 && is_article(word, n))
            memset(word, ' ', n);
        word = NULL;
    }
}

/// Lower case, without ASCII punctuation and articles: the words of what is left.
static void normalise(const char *text, struct sy_words *out)
{
    char *low = sy_text_lower(text), *to = low;
    out->count = 0;
    if (low == NULL) {
        out->failed = true;
        return;
    }
    for (const char *from = low; *from != '\0'; ++from)
        if (!is_punctuation(*from))
            *to++ = *from;
    *to = '\0';
    blank_articles(low, to);
    sy_words_split(out, low);
    free(low);
}

struct room {
    struct sy_words said, gold, said_bag, gold_bag;
};

/// The two scores of one gold answer, from 0 to 1.
static void compare(const char *gold, struct room *r, double *em, double *f1)
{
    normalise(gold, &r->gold);
    sy_words_grams(&r->gold, 1, &r->gold_bag);
    const double shared = (double)sy_words_shared(&r->said_bag, &r->gold_bag);
    const size_t n = r->said.count;
    *em = n == r->gold.count && (n == 0 || memcmp(r->said.ids, r->gold.ids, n * sizeof *r->said.ids) == 0);
    *f1 = shared > 0 ? 2 * shared / (double)(n + r->gold.count) : 0.0;
}

bool sy_score_squad(const struct sy_scoring *s, double *out)
{
    struct room r = {0};
    out[0] = out[1] = 0.0;
    for (size_t i = 0; i < s->count; ++i) {
        const struct sy_answer *a = &s->answers[i];
        double best_em = 0.0, best_f1 = 0.0, em, f1;
        normalise(a->said, &r.said);
        sy_words_grams(&r.said, 1, &r.said_bag);
        for (size_t k = 0; k < a->gold_count; ++k) {
            compare(a->golds[k], &r, &em, &f1);
            best_em = em > best_em ? em : best_em;
            best_f1 = f1 > best_f1 ? f1 : best_f1;
        }
        out[0] += 100 * best_em / (double)s->count;
        out[1] += 100 * best_f1 / (double)s->count;
    }
    const bool good = !r.said.failed && !r.gold.failed && !r.said_bag.failed && !r.gold_bag.failed;
    sy_words_finish(&r.said);
    sy_words_finish(&r.gold);
    sy_words_finish(&r.said_bag);
    sy_words_finish(&r.gold_bag);
    return good;
}
