// SPDX-License-Identifier: Apache-2.0
// metric.h: what answers are worth, as the scorers of the field say it.
//
//   accuracy, f1, macro_f1, matthews   of texts as classes (scikit-learn); 0 to 1
//   pearson, spearman                  of texts as numbers, −1 where there is none (scipy)
//   squad                              em, squad_f1: SQuAD v1.1's script; 0 to 100
//   rouge, rouge_stem                  rouge1, rouge2, rougeL, rougeLsum: means of F (rouge-score; with its stemmer
//   they
//                                      end in _stem); 0 to 1
//   bleu, chrf                         of the corpus (sacrebleu: 13a, exp; chrF2); 0 to 100
// Where several answers are right, each example counts with the one that scores best (bleu: all at once).
// Layer: engine; knows texts only.
#pragma once

#include "hostlib/status.h"

struct sy_answer {
    const char *said;
    const char *const *golds;
    size_t gold_count; ///< At least 1.
};

struct sy_scoring {
    const struct sy_answer *answers;
    size_t count;
    const char *const *classes; ///< macro_f1: over these; NULL: over all that occur.
    size_t class_count;
    const char *positive; ///< f1: of this class; NULL: the last of `classes`, or "1".
};

struct sy_score {
    const char *name;
    double value; ///< NaN where it is not defined.
};

enum { SY_SCORES = 4 }; ///< At most, of one metric.

/// Errors: INVALID no such metric (the message lists them), no answer · NOMEM.
SY_MUST_CHECK enum sy_status sy_metric_score(struct sy_ctx *ctx, const char *metric, const struct sy_scoring *s,
                                             struct sy_score out[SY_SCORES], size_t *out_count);
/// Whether each name between commas is a metric. Errors: INVALID.
SY_MUST_CHECK enum sy_status sy_metric_check(struct sy_ctx *ctx, const char *metrics);
/// The name of the first of several between commas.
void sy_metric_first(const char *metrics, char out[24]);
