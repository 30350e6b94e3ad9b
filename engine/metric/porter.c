// SPDX-License-Identifier: Apache-2.0
// porter.c: Porter's stemmer (1980) with the changes that NLTK makes to it, which rouge-score stems with.
#include <string.h>

#include "engine/metric/scores.h"

struct word {
    char *text;
    size_t length;
};

/// y is a consonant at the start and behind a vowel; all that is no letter counts as one, too.
static bool consonant(const char *text, size_t i)
{
    bool is = true;
    for (size_t k = i; k > 0 && text[k] == 'y'; --k) // of a run of y every other one
        is = !is;
    size_t first = i;
    while (first > 0 && text[first] == 'y')
        --first;
    const bool base = strchr("aeiou", text[first]) == NULL;
    return is ? base : !base;
}

/// How often a vowel is followed by a consonant in the first n characters.
static size_t measure(const char *text, size_t n)
{
    size_t m = 0;
    for (size_t i = 1; i < n; ++i)
        m += consonant(text, i) && !consonant(text, i - 1);
    return m;
}

static bool has_vowel(const char *text, size_t n)
{
    for (size_t i = 0; i < n; ++i)
        if (!consonant(text, i))
            return true;
    return false;
}

/// Consonant, vowel, consonant but w, x, y; NLTK: also a vowel and a consonant alone.
static bool ends_cvc(const char *t, size_t n)
{
    if (n == 2)
        return !consonant(t, 0) && consonant(t, 1);
    return n >= 3 && consonant(t, n - 3) && !consonant(t, n - 2) && consonant(t, n - 1) &&
           strchr("wxy", t[n - 1]) == NULL;
}

static bool ends(const struct word *w, const char *suffix)
{
    const size_t n = strlen(suffix);
    return n <= w->length && strncmp(w->text + w->length - n, suffix, n) == 0;
}

/// No step makes a word longer than it was.
static void replace(struct word *w, size_t stem, const char *ending)
{
    const size_t n = strlen(ending);
    memcpy(w->text + stem, ending, n);
    w->length = stem + n;
}

struct rule {
    const char *suffix, *ending;
};

/// The first rule whose suffix fits decides, whether or not the stem has the measure. True: it fitted.
static bool apply(struct word *w, const struct rule *rules, size_t count, size_t least)
{
    for (size_t i = 0; i < count; ++i) {
        if (!ends(w, rules[i].suffix))
            continue;
        const size_t stem = w->length - strlen(rules[i].suffix);
        if (measure(w->text, stem) >= least)
            replace(w, stem, rules[i].ending);
        return true;
    }
    return false;
}

static void step1a(struct word *w)
{
    if (ends(w, "ies") && w->length == 4)
        replace(w, w->length - 3, "ie");
    else if (ends(w, "sses") || ends(w, "ies"))
        w->length -= 2;
    else if (ends(w, "s") && !ends(w, "ss"))
        w->length -= 1;
}

static void step1b(struct word *w)
{
    if (ends(w, "ied")) {
        replace(w, w->length - 3, w->length == 4 ? "ie" : "i");
        return;
    }
    if (ends(w, "eed")) {
        w->length -= measure(w->text, w->length - 3) > 0;
        return;
    }
    const size_t cut = ends(w, "ed") ? 2 : ends(w, "ing") ? 3 : 0;
    if (cut == 0 || !has_vowel(w->text, w->length - cut))
        return;
    const size_t n = w->length -= cut;
    char *t = w->text;
    const bool doubled = n >= 2 && t[n - 1] == t[n - 2] && consonant(t, n - 1);
    if (ends(w, "at") || ends(w, "bl") || ends(w, "iz"))
        replace(w, n, "e");
    else if (doubled)
        w->length -= strchr("lsz", t[n - 1]) == NULL;
    else if (measure(t, n) == 1 && ends_cvc(t, n))
        replace(w, n, "e");
}

static void step1c(struct word *w)
{
    if (ends(w, "y") && w->length > 2 && consonant(w->text, w->length - 2))
        w->text[w->length - 1] = 'i';
}

static void step2(struct word *w)
{
    static const struct rule rules[] = {
        {"ational", "ate"}, {"tional", "tion"}, {"enci", "ence"}, {"anci", "ance"}, {"izer", "ize"},
        {"bli", "ble"},     {"alli", "al"},     {"entli", "ent"}, {"eli", "e"},     {"ousli", "ous"},
        {"ization", "ize"}, {"ation", "ate"},   {"ator", "ate"},  {"alism", "al"},  {"iveness", "ive"},
        {"fulness", "ful"}, {"ousness", "ous"}, {"aliti", "al"},  {"iviti", "ive"}, {"biliti", "ble"},
        {"fulli", "ful"},
    };
    while (ends(w, "alli") && measure(w->text, w->length - 4) > 0)
        w->length -= 2;
    if (!apply(w, rules, SY_COUNT(rules), 1) && ends(w, "logi") && measure(w->text, w->length - 3) > 0)
        w->length -= 1;
}

static void step3(struct word *w)
{
    static const struct rule rules[] = {{"icate", "ic"}, {"ative", ""}, {"alize", "al"}, {"iciti", "ic"},
                                        {"ical", "ic"},  {"ful", ""},   {"ness", ""}};
    (void)apply(w, rules, SY_COUNT(rules), 1);
}

static void step4(struct word *w)
{
    static const struct rule before[] = {{"al", ""},    {"ance", ""}, {"ence", ""}, {"er", ""},
                                         {"ic", ""},    {"able", ""}, {"ible", ""}, {"ant", ""},
                                         {"ement", ""}, {"ment", ""}, {"ent", ""}},
                             behind[] = {{"ou", ""},  {"ism", ""}, {"ate", ""}, {"iti", ""},
                                         {"ous", ""}, {"ive", ""}, {"ize", ""}};
    if (apply(w, before, SY_COUNT(before), 2))
        return;
    if (!ends(w, "ion")) {
        (void)apply(w, behind, SY_COUNT(behind), 2);
        return;
    }
    const size_t stem = w->length - 3;
    if (stem > 0 && measure(w->text, stem) > 1 && (w->text[stem - 1] == 's' || w->text[stem - 1] == 't'))
        w->length = stem;
}

static void step5(struct word *w)
{
    const size_t m = w->length > 0 ? measure(w->text, w->length - 1) : 0;
    if (ends(w, "e") && (m > 1 || (m == 1 && !ends_cvc(w->text, w->length - 1))))
        --w->length;
    if (ends(w, "ll") && measure(w->text, w->length - 1) > 1)
        --w->length;
}

size_t sy_porter_stem(char *text, size_t length)
{
    static const struct rule irregular[] = {
        {"sky", "sky"},        {"skies", "sky"},       {"dying", "die"},        {"lying", "lie"},
        {"tying", "tie"},      {"news", "news"},       {"innings", "inning"},   {"inning", "inning"},
        {"outings", "outing"}, {"outing", "outing"},   {"cannings", "canning"}, {"canning", "canning"},
        {"howe", "howe"},      {"proceed", "proceed"}, {"exceed", "exceed"},    {"succeed", "succeed"}};
    struct word w = {text, length};
    for (size_t i = 0; i < SY_COUNT(irregular); ++i)
        if (strlen(irregular[i].suffix) == length && strncmp(irregular[i].suffix, text, length) == 0) {
            replace(&w, 0, irregular[i].ending);
            return w.length;
        }
    if (length <= 2)
        return length;
    step1a(&w);
    step1b(&w);
    step1c(&w);
    step2(&w);
    step3(&w);
    step4(&w);
    step5(&w);
    return w.length;
}
