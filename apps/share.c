// SPDX-License-Identifier: Apache-2.0
#include "apps/share.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// Reads the number at `*at`, and goes on behind it. 0: there is none from 1 to SHARE_MOST.
static uint32_t number(const char **at)
{
    uint32_t value = 0;
    while (**at >= '0' && **at <= '9' && value <= SHARE_MOST)
        value = 10 * value + (uint32_t)(*(*at)++ - '0');
    return value <= SHARE_MOST ? value : 0;
}

bool share_good(const char *text)
{
    if (strcmp(text, "equal") == 0)
        return true;
    while (number(&text) != 0) {
        if (*text == '\0')
            return true;
        if (*text++ != ',')
            return false;
    }
    return false;
}

enum sy_status share_read(struct sy_ctx *ctx, const char *text, uint32_t places, uint32_t **out)
{
    uint32_t count = 1;
    *out = NULL;
    if (text == NULL || strcmp(text, "equal") == 0)
        return SY_OK;
    for (const char *c = text; *c != '\0'; ++c)
        count += *c == ',';
    if (count != places)
        return sy_fail(ctx, SY_INVALID,
                       "--share %s is for %u ranks that share the experts, but there are %u (--expert-parallel): give "
                       "one number for each",
                       text, count, places);
    uint32_t *share = calloc((size_t)places + 1, sizeof *share);
    if (share == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    for (uint32_t e = 0; e < places; ++e) {
        share[e + 1] = share[e] + number(&text);
        text += *text == ',';
    }
    *out = share;
    return SY_OK;
}

bool share_of_rates(const double *rates, uint32_t places, uint32_t *share)
{
    double least = rates[0], most = rates[0];
    for (uint32_t e = 1; e < places; ++e) {
        least = rates[e] < least ? rates[e] : least;
        most = rates[e] > most ? rates[e] : most;
    }
    const bool unlike = most > 1.25 * least;
    share[0] = 0;
    for (uint32_t e = 0; e < places; ++e) {
        const uint32_t own = (uint32_t)(SHARE_MOST * rates[e] / most + 0.5);
        share[e + 1] = unlike ? share[e] + (own != 0 ? own : 1) : 0;
    }
    return unlike;
}

void share_log(struct sy_ctx *ctx, const struct sy_layout *layout, uint32_t experts)
{
    char text[200] = "";
    for (uint32_t e = 0; e < layout->expert && strlen(text) + 16 < sizeof text; ++e)
        snprintf(text + strlen(text), 16, "%s%u", e == 0 ? "" : ", ", sy_layout_own_experts(layout, e, experts));
    sy_log(ctx, SY_LOG_INFO, "shares of the %u experts of a layer: %s%s", experts, text,
           strlen(text) + 16 < sizeof text ? "" : " …");
}
