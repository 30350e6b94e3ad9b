// SPDX-License-Identifier: Apache-2.0
// train_options.h: what switchyard-train can be told.
#pragma once

#include "apps/cli.h"
#include "apps/mix.h"
#include "apps/pairs.h"
#include "apps/ranks.h"
#include "apps/texts.h"

/// What the command line asked for. Counts and lengths in steps, tokens or sequences, as their options say.
struct train_options {
    struct cli_common common;
    const char *out, *batch_file, *pairs, *valid_pairs;
    const char *schedule; ///< NULL: constant with --pairs, else rsqrt.
    struct cli_list data, valid, *current;
    struct texts texts;
    struct pairs_options form;
    struct ranks_options ranks;
    /// src_len and tgt_len are 0 where nothing was said.
    uint64_t steps, batch_tokens, micro, slices, src_len, tgt_len, seed, save_every, keep, valid_every, valid_batches,
        valid_sequences, log_every, warmup;
    double lr, clip, decay;
    struct mix mix;
    uint64_t buckets;               ///< --length-buckets
    double dropout, expert_dropout; ///< Below 0: not given.
    bool resume, draw, recompute, have_lr, have_warmup, have_validation;
};

/// Reads the command line, from the defaults. A mistake in it ends the program with a line that says what it is.
void train_options_read(int argc, char **argv, struct train_options *out);
void train_options_free(struct train_options *o); ///< Its lists.
