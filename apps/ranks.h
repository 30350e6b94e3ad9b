// SPDX-License-Identifier: Apache-2.0
// ranks.h: a program's part in a run of several processes: options, who does what, which device, errors said once.
#pragma once

#include "apps/cli.h"
#include "engine/layout.h"

struct ranks_options {
    uint64_t data, expert, model; ///< 0: not given.
    const char *share;            ///< NULL: not given.
    bool two_level;
    double patience;
};

#define RANKS_NOTHING_GIVEN \
    {                       \
        .patience = 10.0    \
    }

enum {
    OPT_DATA_PARALLEL = 0x4600,
    OPT_EXPERT_PARALLEL,
    OPT_COMM_TIMEOUT,
    OPT_MODEL_PARALLEL,
    OPT_SHARE,
    OPT_TWO_LEVEL
};

/// Rows of an argp table, in its group `group`.
#define RANKS_OPTIONS(group)                                                                                     \
    {"expert-parallel",                                                                                          \
     OPT_EXPERT_PARALLEL,                                                                                        \
     "E",                                                                                                        \
     0,                                                                                                          \
     "spread each layer's experts over E ranks (default: all that mpirun started, / M)",                         \
     group},                                                                                                     \
        {"data-parallel",                                                                                        \
         OPT_DATA_PARALLEL,                                                                                      \
         "D",                                                                                                    \
         0,                                                                                                      \
         "D groups of such ranks, each with all experts and sequences of its own (default: ranks / (E M))",      \
         group},                                                                                                 \
        {"model-parallel",                                                                                       \
         OPT_MODEL_PARALLEL,                                                                                     \
         "M",                                                                                                    \
         0,                                                                                                      \
         "split attention heads and d_ff over M ranks, which work on the same sequences (default 1)",            \
         group},                                                                                                 \
        {"share",                                                                                                \
         OPT_SHARE,                                                                                              \
         "E1,E2,…[/D1,…]",                                                                                       \
         0,                                                                                                      \
         "how much of the experts each of the E ranks has, and, behind a slash, of the sequences each of the D " \
         "groups: 3,1 for a device three times as fast as the other, equal/3,1; --share equal: no device is "    \
         "measured (default: unlike devices are, at the start)",                                                 \
         group},                                                                                                 \
        {"two-level",                                                                                            \
         OPT_TWO_LEVEL,                                                                                          \
         0,                                                                                                      \
         0,                                                                                                      \
         "rows for experts on other hosts are first collected inside each host: fewer messages between hosts, "  \
         "for many ranks and few rows (docs/ranks.md); the same bits",                                           \
         group},                                                                                                 \
    {                                                                                                            \
        "comm-timeout", OPT_COMM_TIMEOUT, "SECONDS", 0,                                                          \
            "end the run when an awaited rank is not heard of for so long; a busy one answers (default 10; 0 = " \
            "never)",                                                                                            \
            group                                                                                                \
    }
/// Handles their keys; false: not one of them.
bool ranks_parse(struct argp_state *state, int key, const char *arg, struct ranks_options *o);

struct ranks {
    struct sy_group group;
    struct sy_layout layout;
    char name[64];               ///< Of the program, for messages.
    uint32_t *share;             ///< Of the experts: what the layout's points to; malloc'ed.
    uint32_t *sequences, *turns; ///< [data + 1] shares of a step's sequences, added up from 0, and what follows of them
                                 ///< (ranks_cut()); malloc'ed. NULL: equal ones.
    bool trains;                 ///< The program can share out sequences unequally.
    bool measured;               ///< No --share was given: it follows from the devices' speeds.
    bool failed;                 ///< All ranks know, and rank 0 has said it.
};

/// Joins the run that mpirun started, if any, and lays it out. With several ranks `*ctx` becomes one that knows the
/// rank: only rank 0 logs, and ranks_agree() says the others' errors. Standard output of the others goes nowhere.
/// Errors: INVALID a layout that does not fit the number of ranks.
SY_MUST_CHECK enum sy_status ranks_open(struct ranks *r, const struct ranks_options *o, const char *program,
                                        struct sy_ctx **ctx);
/// "2 data × 4 expert", with the model axis where there is one.
void ranks_describe(const struct ranks *r, char out[64]);
/// Ranks with sequences of their own (layout.h).
uint32_t ranks_places(const struct ranks *r);
/// The layout for sessions: NULL when there is one rank.
const struct sy_layout *ranks_layout(const struct ranks *r);
/// What all ranks must have the same of, checked by rank 0's: a difference is an error that names rank, item and both.
SY_MUST_CHECK enum sy_status ranks_compare(struct sy_ctx *ctx, struct ranks *r, const char *item, const char *value);
/// The same for a model's config: the error names the key.
SY_MUST_CHECK enum sy_status ranks_compare_config(struct sy_ctx *ctx, struct ranks *r, const struct sy_config *config);
/// Whether all ranks are well. Each message that rank 0 has not logged is printed once, with its rank.
SY_MUST_CHECK enum sy_status ranks_agree(struct sy_ctx *ctx, struct ranks *r, enum sy_status status);
/// Errors name this rank by its host and `device` from here on; all ranks call it.
SY_MUST_CHECK enum sy_status ranks_name(struct sy_ctx *ctx, struct ranks *r, const char *device);
/// Opens this rank's device: its piece of `list` "opencl:0,vulkan:1,…", by its place on the host; one for all is given
/// to all. Where --share says nothing and devices are of several kinds, they are measured, or their figures found in
/// the cache, and the layout's shares of the experts follow. All ranks call it, and know of each other's errors:
/// INVALID unlike devices in the ranks of one place, which must have the same bits of what they do alike (layout.h).
SY_MUST_CHECK enum sy_status ranks_open_device(struct sy_ctx *ctx, struct ranks *r, const char *list, bool results,
                                               const struct sy_config *config, enum sy_precision precision,
                                               struct sy_device **out);
/// Shares out the sequences of a step in micro-batches, where the groups along the data axis have unequal shares: then
/// the layout has turns, and the micro-batches have `*micro` sequences. Errors: NOMEM.
struct share_step;
SY_MUST_CHECK enum sy_status ranks_cut(struct sy_ctx *ctx, struct ranks *r, const struct share_step *step,
                                       uint32_t *micro);
/// Leaves. A `status` that the others do not know of ends them, too, after one of the ranks has said it.
void ranks_close(struct ranks *r, struct sy_ctx *ctx, enum sy_status status);
