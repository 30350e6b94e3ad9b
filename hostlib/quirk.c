// SPDX-License-Identifier: Apache-2.0
#include "hostlib/quirk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct sy_quirk_info table[SY_QUIRK_COUNT] = {
    [SY_QUIRK_OWN_CACHE] =
        {"own_cache", "asking for binaries of kernels doubles the cold start, and giving them back has crashed it; "
                      "its own cache is used"},
    [SY_QUIRK_DRAIN_FILL] = {"drain_fill",
                             "a non-blocking write overtook an earlier fill of the same in-order queue; each fill is "
                             "waited for"},
};

const struct sy_quirk_info *sy_quirk_info(enum sy_quirk quirk) { return &table[quirk]; }

bool sy_has_quirk(const struct sy_caps *caps, enum sy_quirk quirk) { return (caps->quirks >> quirk & 1u) != 0; }

static enum sy_status unknown(struct sy_ctx *ctx, const char *name, size_t length)
{
    char known[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < SY_QUIRK_COUNT && used < sizeof known; ++i)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? ", " : "", table[i].name);
    return sy_fail(ctx, SY_INVALID, "SY_NO_QUIRK: unknown work-around \"%.*s\"; known: %s", (int)length, name, known);
}

enum sy_status sy_quirks_switch_off(struct sy_ctx *ctx, struct sy_caps *caps)
{
    const char *text = getenv("SY_NO_QUIRK");
    while (text != NULL && *text != '\0') {
        const size_t length = strcspn(text, ",");
        size_t i = 0;
        while (i < SY_QUIRK_COUNT && (strlen(table[i].name) != length || memcmp(table[i].name, text, length) != 0))
            ++i;
        if (i < SY_QUIRK_COUNT)
            caps->quirks &= ~(1u << i);
        else if (length != 0)
            return unknown(ctx, text, length);
        text += length + (text[length] == ',');
    }
    return SY_OK;
}
