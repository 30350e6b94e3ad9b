// SPDX-License-Identifier: Apache-2.0
#include "engine/schedule.h"

#include <math.h>
#include <string.h>

static const char *const names[] = {"rsqrt", "constant", "linear", "cosine"};

double sy_schedule_lr(const struct sy_schedule *s, uint64_t t)
{
    double at = (double)t, warmup = (double)s->warmup;
    switch (s->kind) {
    case SY_SCHEDULE_RSQRT: return s->peak / sqrt(at > warmup ? at : warmup > 1.0 ? warmup : 1.0);
    case SY_SCHEDULE_CONSTANT: return s->warmup > t ? s->peak * at / warmup : s->peak;
    default: break;
    }
    if (t <= s->warmup)
        return s->peak * at / warmup;
    double left = s->steps > s->warmup ? (at - warmup) / ((double)s->steps - warmup) : 1.0;
    left = left < 1.0 ? left : 1.0;
    return s->kind == SY_SCHEDULE_LINEAR ? s->peak * (1.0 - left)
                                         : s->peak * 0.5 * (1.0 + cos(3.141592653589793 * left));
}

enum sy_status sy_schedule_parse(struct sy_ctx *ctx, const char *name, enum sy_schedule_kind *out)
{
    for (size_t i = 0; i < SY_COUNT(names); ++i) {
        if (strcmp(name, names[i]) == 0) {
            *out = (enum sy_schedule_kind)i;
            return SY_OK;
        }
    }
    return sy_fail(ctx, SY_INVALID, "unknown schedule '%s': choose rsqrt, constant, linear or cosine", name);
}
