// SPDX-License-Identifier: Apache-2.0
// plan_pairs.h: the steps that train --pairs would make of a table's rows: their lengths, how many rows each has, and
// what the sessions of the shorter ones add to the memory.
#pragma once

#include "apps/buckets.h"

struct plan_bucket {
    uint32_t src_len, tgt_len, batch;
    uint64_t rows;
    double share;   ///< Of steps.
    uint64_t bytes; ///< That its session adds; of the longest 0.
};

struct plan_pairs {
    const char *file; ///< NULL: no rows are planned for.
    struct pairs_options form;
    uint64_t batch_tokens, buckets;
    struct plan_bucket list[BUCKETS];
    uint32_t count;
    uint64_t extra; ///< Bytes of all of them.
};
#define PLAN_PAIRS_NONE ((struct plan_pairs){.batch_tokens = 4096, .buckets = BUCKETS})

enum { PLAN_PAIRS_FILE = 0x5100, PLAN_PAIRS_TOKENS, PLAN_PAIRS_BUCKETS };
#define PLAN_PAIRS_OPTIONS(group)                                                                             \
    {"pairs",                                                                                                 \
     PLAN_PAIRS_FILE,                                                                                         \
     "FILE",                                                                                                  \
     0,                                                                                                       \
     "plan for training on these rows (one rank): lengths are those of the longest, --batch follows from "    \
     "--batch-tokens; validation comes on top",                                                               \
     group},                                                                                                  \
        {"batch-tokens", PLAN_PAIRS_TOKENS, "N", 0, "source tokens of a step (default 4096)", group},         \
    {                                                                                                         \
        "length-buckets", PLAN_PAIRS_BUCKETS, "N", 0, "as in training (default 3; 1: all steps alike)", group \
    }

/// Whether `key` is one of these options, or of those for rows; it is then in `o`.
bool plan_pairs_parse(struct argp_state *state, int key, const char *arg, struct plan_pairs *o);
/// Reads the rows. Lengths and batch that are 0 in `params` are filled, and `o` is. Errors: those of rows, lengths and
/// plans.
SY_MUST_CHECK enum sy_status plan_pairs_read(struct sy_ctx *ctx, const struct cli_common *common,
                                             struct sy_bundle *model, const struct sy_caps *caps,
                                             struct sy_session_params *params, struct plan_pairs *o);
void plan_pairs_print(const struct plan_pairs *o, uint64_t bytes); ///< `bytes`: of the longest's session.
