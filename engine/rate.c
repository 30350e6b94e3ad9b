// SPDX-License-Identifier: Apache-2.0
#include "engine/rate.h"

#include <math.h>
#include <string.h>

static const char *const names[] = {"rsqrt", "constant", "linear", "cosine"};

const char *sy_rate_name(enum sy_rate_kind kind) { return names[kind]; }

double sy_rate_at(const struct sy_rate *r, uint64_t t)
{
    double at = (double)t, warmup = (double)r->warmup;
    switch (r->kind) {
    case SY_RATE_RSQRT: return r->peak / sqrt(at > warmup ? at : warmup > 1.0 ? warmup : 1.0);
    case SY_RATE_CONSTANT: return r->warmup > t ? r->peak * at / warmup : r->peak;
    default: break;
    }
    if (t <= r->warmup)
        return r->peak * at / warmup;
    double left = r->steps > r->warmup ? (at - warmup) / ((double)r->steps - warmup) : 1.0;
    left = left < 1.0 ? left : 1.0;
    return r->kind == SY_RATE_LINEAR ? r->peak * (1.0 - left) : r->peak * 0.5 * (1.0 + cos(3.141592653589793 * left));
}

enum sy_status sy_rate_parse(struct sy_ctx *ctx, const char *name, enum sy_rate_kind *out)
{
    for (size_t i = 0; i < SY_COUNT(names); ++i) {
        if (strcmp(name, names[i]) == 0) {
            *out = (enum sy_rate_kind)i;
            return SY_OK;
        }
    }
    return sy_fail(ctx, SY_INVALID, "unknown schedule '%s': choose rsqrt, constant, linear or cosine", name);
}
