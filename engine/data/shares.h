// SPDX-License-Identifier: Apache-2.0
// shares.h: whole shares of a block of examples out of weights. Private to engine/data.
#pragma once

#include "hostlib/status.h"

/// `shares` add up to `block`, are as near to the weights as whole numbers can be, and at least 1 where the weight is
/// above 0; where it is 0 they are 0. Some weight is above 0, all are finite, and there are no more of them than
/// `block`. Errors: NOMEM.
SY_MUST_CHECK enum sy_status sy_shares_of(struct sy_ctx *ctx, const double *weights, size_t count, uint64_t block,
                                          uint64_t *shares);
