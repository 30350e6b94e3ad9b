// SPDX-License-Identifier: Apache-2.0
// mix.h: how much each of several corpora is seen: by size, by weight, at a temperature. docs/data.md explains.
#pragma once

#include "apps/cli.h"

struct mix {
    const char *weights; ///< "NAME=WEIGHT,…"; NULL: sizes.
    double exponent;     ///< Shares ∝ weight^exponent.
    bool exponent_given, temperature_given;
};
#define MIX_NOTHING_GIVEN ((struct mix){.exponent = 1.0})

enum { MIX_WEIGHTS = 0x4d00, MIX_EXPONENT, MIX_TEMPERATURE };

/// Rows of an argp table, in its group `group`.
#define MIX_OPTIONS(group)                                                                                              \
    {"mix",                                                                                                             \
     MIX_WEIGHTS,                                                                                                       \
     "NAME=W,…",                                                                                                        \
     0,                                                                                                                 \
     "share of each file or corpus of --data ∝ W; NAME is its path, or the last part of it, also without its ending",   \
     group},                                                                                                            \
        {"mix-exponent",                                                                                                \
         MIX_EXPONENT,                                                                                                  \
         "X",                                                                                                           \
         0,                                                                                                             \
         "share of a file or corpus ∝ size^X (with --mix W^X): 1 as it is (default), 0.3 as mT5; other than 1, each " \
         "file is a stream of its own",                                                                                 \
         group},                                                                                                        \
    {                                                                                                                   \
        "mix-temperature", MIX_TEMPERATURE, "T", 0, "the same with X = 1/T", group                                      \
    }

/// Whether `key` is one of these options; it is then in `m`.
bool mix_parse(struct argp_state *state, int key, const char *arg, struct mix *m);
/// Whether each file is a source of its own.
bool mix_apart(const struct mix *m);
/// With --mix: the rates of the files (malloc'ed), one for each; else NULL. Errors: INVALID a name that is none's, or
/// several's; a file without a weight.
enum sy_status mix_rates(struct sy_ctx *ctx, const struct mix *m, const struct cli_list *files, double **out_rates);
/// Prints what share each source has, when there are several.
void mix_print(const struct sy_dataset *data);
