// SPDX-License-Identifier: Apache-2.0
// share.h: --share: experts and sequences for unlike devices, more for the faster ones.
#pragma once

#include "engine/layout.h"

enum { SHARE_MOST = 1000 }; ///< Of one place.
/// Which part of "EXPERTS/SEQUENCES" is meant.
enum share_of { SHARE_EXPERTS, SHARE_SEQUENCES };

/// Whether `text` is "equal" or numbers like "3,1", or two of that kind with a slash between them.
bool share_good(const char *text);
/// The places' shares, added up from 0 (layout.h), malloc'ed; NULL where they are equal: `text` is NULL, says so or
/// says nothing of it. Errors: INVALID not as many as `places` · NOMEM.
SY_MUST_CHECK enum sy_status share_read(struct sy_ctx *ctx, const char *text, enum share_of of, uint32_t places,
                                        uint32_t **out);
/// The places' shares, added up from 0, in proportion to their `rates`. False, and all 0: no rate is a quarter above
/// another, so shares are equal.
bool share_of_rates(const double *rates, uint32_t places, uint32_t *share);
/// Says who has how many of `experts`.
void share_log(struct sy_ctx *ctx, const struct sy_layout *layout, uint32_t experts);

/// What the micro-batches of a step must be.
struct share_step {
    uint32_t sequences;               ///< Of a step, for each place of the expert axis.
    uint32_t micro;                   ///< Sequences of a micro-batch; 0: any.
    uint32_t slices;                  ///< There are no more micro-batches; 0: any number.
    uint32_t group, src_len, tgt_len; ///< A micro-batch is whole groups of so many tokens; 0: any.
};

/// Gives out `count` micro-batches, at least one to each of `groups`: `turns` [groups + 1], added up from 0.
void share_give_out(const uint32_t *share, uint32_t groups, uint32_t count, uint32_t *turns);
/// Cuts a step into as many micro-batches, a power of two, as it takes to give each of `groups` about its share, and at
/// least one. False: no cut is better than equal shares.
bool share_turns(const uint32_t *share, uint32_t groups, const struct share_step *step, uint32_t *turns);
