// SPDX-License-Identifier: Apache-2.0
// buckets.h: rows of about one length in each step, so that short rows do not pay for the padding of long ones.
//
// Rows that fit half of the longest length (a quarter) are a bucket of their own, whose steps have twice (four times)
// as many sequences. Which bucket a step takes is drawn from (seed, step), each as often as its rows need; its rows
// come in passes, like those of a dataset. Each bucket has a session; all share weights, gradients and the optimizer's
// state.
#pragma once

#include "apps/pairs.h"

enum { BUCKETS = 3 };

struct bucket {
    uint32_t src_len, tgt_len;
    uint32_t scale; ///< So many times the sequences of bucket 0.
    double share;   ///< Of steps.
    struct sy_dataset *data;
    struct sy_session *session;
    struct sy_batch *micro;
    uint64_t taken; ///< Steps that were drawn from it.
};

/// A zeroed struct has none.
struct buckets {
    struct bucket list[BUCKETS]; ///< The longest first.
    uint32_t count;
    uint64_t seed;
};

/// Sorts the rows into at most `most` buckets, and opens a dataset of each. `params` has the longest lengths;
/// `sequences`: of a step of them. A bucket with rows for less than two steps joins the next longer one. Errors: those
/// of datasets.
SY_MUST_CHECK enum sy_status buckets_open(struct sy_ctx *ctx, const struct sy_pairs *pairs, uint32_t most,
                                          uint32_t sequences, const struct sy_dataset_params *params,
                                          struct buckets *out);
/// The bucket of step t = 1, 2, …
uint32_t buckets_of(const struct buckets *b, uint64_t t);
/// What decides the examples of a run.
uint64_t buckets_fingerprint(const struct buckets *b);
uint64_t buckets_rows(const struct buckets *b);
void buckets_close(struct buckets *b, uint32_t micro_count); ///< Sessions are the caller's.
