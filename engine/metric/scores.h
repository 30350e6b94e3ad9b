// SPDX-License-Identifier: Apache-2.0
// scores.h: the metrics behind metric.h. Private to engine/metric.
//
// Each fills out[] from its first score on; false: out of memory.
#pragma once

#include "engine/metric/metric.h"

bool sy_score_accuracy(const struct sy_scoring *s, double *out);
bool sy_score_f1(const struct sy_scoring *s, double *out);
bool sy_score_macro_f1(const struct sy_scoring *s, double *out);
bool sy_score_matthews(const struct sy_scoring *s, double *out);
bool sy_score_pearson(const struct sy_scoring *s, double *out);
bool sy_score_spearman(const struct sy_scoring *s, double *out);
bool sy_score_squad(const struct sy_scoring *s, double *out);
bool sy_score_rouge(const struct sy_scoring *s, double *out);
bool sy_score_rouge_stem(const struct sy_scoring *s, double *out);
bool sy_score_bleu(const struct sy_scoring *s, double *out);
bool sy_score_chrf(const struct sy_scoring *s, double *out);

/// NLTK's Porter stemmer, in place, of lower-case letters and digits; the new length.
size_t sy_porter_stem(char *word, size_t length);
