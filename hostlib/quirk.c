// SPDX-License-Identifier: Apache-2.0
#include "hostlib/quirk.h"

#include <stdio.h>

#include "hostlib/names.h"

static const struct sy_quirk_info table[SY_QUIRK_COUNT] = {
    [SY_QUIRK_OWN_CACHE] =
        {"own_cache", "asking for binaries of kernels doubles the cold start, and giving them back has crashed it; "
                      "its own cache is used"},
    [SY_QUIRK_DRAIN_FILL] = {"drain_fill",
                             "a non-blocking write overtook an earlier fill of the same in-order queue; each fill is "
                             "waited for"},
    [SY_QUIRK_WRITE_ZEROS] = {"write_zeros", "its check for uninitialised reads does not see that a fill initialises; "
                                             "zeros are written instead"},
    [SY_QUIRK_DECLARE] = {"declare",
                          "it reads 900 kB of declarations for every kernel, most of the time that a small one "
                          "takes; the few that kernels use are declared instead"},
};

const struct sy_quirk_info *sy_quirk_info(enum sy_quirk quirk) { return &table[quirk]; }

bool sy_has_quirk(const struct sy_caps *caps, enum sy_quirk quirk) { return (caps->quirks >> quirk & 1u) != 0; }

static bool switch_off(void *user, const char *name, size_t length)
{
    struct sy_caps *caps = user;
    for (size_t i = 0; i < SY_QUIRK_COUNT; ++i) {
        if (sy_name_is(name, length, table[i].name)) {
            caps->quirks &= ~(1u << i);
            return true;
        }
    }
    return false;
}

enum sy_status sy_quirks_switch_off(struct sy_ctx *ctx, struct sy_caps *caps)
{
    char known[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < SY_QUIRK_COUNT && used < sizeof known; ++i)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? ", " : "", table[i].name);
    return sy_names_each(ctx, "SY_NO_QUIRK", "work-around", known, switch_off, caps);
}
