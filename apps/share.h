// SPDX-License-Identifier: Apache-2.0
// share.h: --share: experts for unlike devices, more for the faster ones.
#pragma once

#include "engine/layout.h"

enum { SHARE_MOST = 1000 }; ///< Of one place.

/// Whether `text` is "equal" or numbers like "3,1".
bool share_good(const char *text);
/// The places' shares, added up from 0 (layout.h), malloc'ed; NULL where they are equal: `text` is NULL or says so.
/// Errors: INVALID not as many as `places` · NOMEM.
SY_MUST_CHECK enum sy_status share_read(struct sy_ctx *ctx, const char *text, uint32_t places, uint32_t **out);
/// The places' shares, added up from 0, in proportion to their `rates`. False, and all 0: no rate is a quarter above
/// another, so shares are equal.
bool share_of_rates(const double *rates, uint32_t places, uint32_t *share);
/// Says who has how many of `experts`.
void share_log(struct sy_ctx *ctx, const struct sy_layout *layout, uint32_t experts);
