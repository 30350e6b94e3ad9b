// SPDX-License-Identifier: Apache-2.0
// scores.c: metrics against the field's own scorers, whose scores tests/peers/scores.py wrote down.
// Usage: scores TEST_DATA_DIRECTORY|FILE
#include <math.h>

#include "engine/file.h"
#include "engine/json.h"
#include "engine/metric/metric.h"
#include "engine/metric/scores.h"
#include "tests/io.h"

/// The strings of an array, borrowed; the array is malloc'ed.
static const char **strings(const json_t *array)
{
    const size_t n = json_array_size(array);
    const char **out = calloc(n + 1, sizeof *out);
    if (out == NULL)
        abort();
    for (size_t i = 0; i < n; ++i)
        out[i] = json_string_value(json_array_get(array, i));
    return out;
}

static void check_score(struct io *t, const json_t *wanted, const char *what, const struct sy_score *got)
{
    const double value = json_number_value(json_object_get(wanted, got->name));
    const bool there = json_is_number(json_object_get(wanted, got->name));
    io_check(t, there && fabs(got->value - value) <= 1e-6 * fmax(1.0, fabs(value)), "%s, %s: %.6f, wanted %.6f", what,
             got->name, got->value, value);
}

static void test_case(struct io *t, const json_t *c)
{
    const json_t *answers = json_object_get(c, "answers"), *classes = json_object_get(c, "classes");
    const size_t n = json_array_size(answers);
    struct sy_answer *list = calloc(n, sizeof *list);
    struct sy_score scores[SY_SCORES];
    size_t count = 0;
    if (list == NULL)
        abort();
    for (size_t i = 0; i < n; ++i) {
        const json_t *a = json_array_get(answers, i), *golds = json_object_get(a, "golds");
        list[i] =
            (struct sy_answer){json_string_value(json_object_get(a, "said")), strings(golds), json_array_size(golds)};
    }
    const struct sy_scoring s = {.answers = list,
                                 .count = n,
                                 .classes = strings(classes),
                                 .class_count = json_array_size(classes),
                                 .positive = json_string_value(json_object_get(c, "positive"))};
    const char *metric, *name = json_string_value(json_object_get(c, "name"));
    json_t *wanted;
    json_object_foreach(json_object_get(c, "metrics"), metric, wanted)
    {
        const bool good =
            sy_metric_score(t->ctx, metric, &s, scores, &count) == SY_OK && count == json_object_size(wanted);
        io_check(t, good, "%s of %s: %zu answers", metric, name, n);
        for (size_t i = 0; good && i < count; ++i)
            check_score(t, wanted, name, &scores[i]);
    }
    for (size_t i = 0; i < n; ++i)
        free((void *)(uintptr_t)list[i].golds);
    free((void *)(uintptr_t)s.classes);
    free(list);
}

static void test_stems(struct io *t)
{
    // Step by step, and where NLTK leaves the paper: dying, enjoy, spied, by.
    static const char *const words[][2] = {{"caresses", "caress"},  {"ponies", "poni"},     {"ties", "tie"},
                                           {"agreed", "agre"},      {"feed", "feed"},       {"plastered", "plaster"},
                                           {"hopping", "hop"},      {"falling", "fall"},    {"filing", "file"},
                                           {"happy", "happi"},      {"enjoy", "enjoy"},     {"spied", "spi"},
                                           {"died", "die"},         {"dying", "die"},       {"skies", "sky"},
                                           {"relational", "relat"}, {"radically", "radic"}, {"geologi", "geolog"},
                                           {"hopefulness", "hope"}, {"adoption", "adopt"},  {"controlling", "control"},
                                           {"probate", "probat"},   {"cease", "ceas"},      {"rate", "rate"},
                                           {"yyyying", "yyyi"}};
    for (size_t i = 0; i < SY_COUNT(words); ++i) {
        char word[32];
        const size_t n = sy_porter_stem(strcpy(word, words[i][0]), strlen(words[i][0]));
        io_check(t, n == strlen(words[i][1]) && strncmp(word, words[i][1], n) == 0, "%s: %.*s, wanted %s", words[i][0],
                 (int)n, word, words[i][1]);
    }
}

int main(int argc, char **argv)
{
    struct io t = {0};
    char *text = NULL, path[SY_PATH_ROOM];
    size_t bytes, i;
    json_error_t error;
    json_t *c;
    t.ctx = sy_ctx_create(io_log, &t, SY_LOG_WARN);
    const char *from = argc > 1 ? argv[1] : "tests/data";
    if (t.ctx == NULL || sy_path_print(t.ctx, path, from, sy_dir_exists(from) ? "scores.json" : "") != SY_OK)
        return 2;
    if (!sy_dir_exists(from))
        path[strlen(from)] = '\0';
    if (sy_file_read(t.ctx, path, 1u << 30, &text, &bytes) != SY_OK) {
        printf("# %s\n", sy_error(t.ctx));
        return 2;
    }
    json_t *cases = json_loadb(text, bytes, 0, &error);
    json_array_foreach(cases, i, c) test_case(&t, c);
    io_check(&t, json_array_size(cases) > 0, "there were cases: %zu", json_array_size(cases));
    struct sy_score scores[SY_SCORES];
    const struct sy_scoring none = {0};
    io_fails(&t, sy_metric_check(t.ctx, "accuracy,meteor"), SY_INVALID, "'meteor' is no metric; there are accuracy, f1",
             "an unknown metric");
    io_fails(&t, sy_metric_score(t.ctx, "bleu", &none, scores, &i), SY_INVALID, "no answer", "no answer");
    test_stems(&t);
    json_decref(cases);
    free(text);
    return io_end(&t);
}
