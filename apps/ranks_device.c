// SPDX-License-Identifier: Apache-2.0
// ranks_device.c: each rank's device: which it is, what the others know of it, how fast it is.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/ranks.h"
#include "apps/share.h"
#include "apps/speed.h"

/// This rank's piece of a list "opencl:0,vulkan:1,…", by its place on the host; one for all is given to all.
static enum sy_status pick(struct sy_ctx *ctx, const struct ranks *r, const char *list, char out[64])
{
    const char *at = list;
    uint32_t count = 1;
    for (const char *c = list; *c != '\0'; ++c)
        count += *c == ',';
    if (count > 1 && count < r->group.node_size)
        return sy_fail(ctx, SY_INVALID,
                       "--device names %u devices for the %u ranks of this host: name one for each, or "
                       "one for all",
                       count, r->group.node_size);
    for (uint32_t i = 0; count > 1 && i < r->group.node_rank; ++i)
        at = strchr(at, ',') + 1;
    const int length = (int)strcspn(at, ",");
    if (length == 0 || length >= 64)
        return sy_fail(ctx, SY_INVALID, "--device %s: an empty or overlong name in the list", list);
    snprintf(out, 64, "%.*s", length, at);
    return SY_OK;
}

static void host_name(char out[65])
{
    memset(out, 0, 65);
    if (gethostname(out, 64) != 0)
        out[0] = '\0';
}

enum sy_status ranks_name(struct sy_ctx *ctx, struct ranks *r, const char *device)
{
    char host[65], text[160];
    host_name(host);
    snprintf(text, sizeof text, "host %s%s%s", host, device[0] != '\0' ? ", " : "", device);
    return sy_group_name(ctx, &r->group, text);
}

/// The ranks of a place must choose the same expert for a token, so not even the last bit may differ.
static enum sy_status check_alike(struct sy_ctx *ctx, struct ranks *r, const struct sy_caps *caps)
{
    struct kind {
        char id[32], name[256], driver[256];
    } mine = {0};
    if (r->layout.model <= 1)
        return SY_OK;
    snprintf(mine.id, sizeof mine.id, "%s", caps->id);
    snprintf(mine.name, sizeof mine.name, "%s", caps->name);
    snprintf(mine.driver, sizeof mine.driver, "%s", caps->driver);
    struct kind *all = calloc(r->group.size, sizeof *all);
    if (all == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    enum sy_status status = sy_group_collect(ctx, &r->group, "the ranks' devices", &mine, sizeof mine, all);
    const bool heard = status == SY_OK;
    for (uint32_t i = 0; i < r->group.size && status == SY_OK; ++i) {
        const struct kind *a = &all[i - i % r->layout.model], *b = &all[i];
        if (strcmp(a->name, b->name) != 0 || strcmp(a->driver, b->driver) != 0)
            status = sy_fail(
                ctx, SY_INVALID,
                "ranks %u and %u share one place of --model-parallel %u, but their devices are %s (%s, %s) "
                "and %s (%s, %s): they must be alike; give other ones with --device",
                i - i % r->layout.model, i, r->layout.model, a->id, a->name, a->driver, b->id, b->name, b->driver);
    }
    free(all);
    r->failed |= heard && status != SY_OK; // all have seen the same
    return status;
}

// ---- how fast they are ---------------------------------------------------------------------------------------------

/// A rank's device: which, and of what kind (speed.h).
struct card {
    char host[65], id[32];
    uint8_t kind[SY_CACHE_KEY_BYTES];
};

/// What a rank's figure depends on, and the figure, FLOP/s; 0: not known yet.
struct figure {
    uint8_t key[SY_CACHE_KEY_BYTES];
    double rate;
};

/// Ranks of one host slow each other down, on one device or on one processor: so the figure's key is this rank's kind
/// of device among all kinds of its host, and how many ranks the device has.
static enum sy_status key_of(struct sy_ctx *ctx, const struct ranks *r, const struct card *all, uint8_t *out)
{
    const struct card *mine = &all[r->group.rank];
    uint32_t sharing = 0, count = 0;
    uint8_t *kinds = malloc((size_t)r->group.size * SY_CACHE_KEY_BYTES);
    if (kinds == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    for (uint32_t i = 0; i < r->group.size; ++i) {
        if (strcmp(all[i].host, mine->host) != 0)
            continue;
        sharing += strcmp(all[i].id, mine->id) == 0;
        memcpy(kinds + SY_CACHE_KEY_BYTES * (size_t)count++, all[i].kind, SY_CACHE_KEY_BYTES);
    }
    const struct sy_cache_part parts[] = {
        {mine->kind, sizeof mine->kind}, {&sharing, sizeof sharing}, {kinds, (size_t)count * SY_CACHE_KEY_BYTES}};
    sy_cache_key(out, parts, SY_COUNT(parts));
    free(kinds);
    return SY_OK;
}

/// Measures on all ranks at once.
static enum sy_status measure(struct sy_ctx *ctx, struct ranks *r, struct sy_device *device,
                              const struct sy_config *config, enum sy_precision precision, double *out_rate)
{
    struct speed speed;
    const enum sy_status opened = speed_open(ctx, device, config, precision, &speed);
    enum sy_status status = ranks_agree(ctx, r, opened);
    if (status == SY_OK)
        status = ranks_agree(ctx, r, speed_take(&speed, out_rate));
    speed_close(&speed);
    return status;
}

/// Every rank's key, and its figure; those of one key have one. `*alike`: there is one key, and no figure is needed.
static enum sy_status find_figures(struct sy_ctx *ctx, struct ranks *r, struct sy_device *device,
                                   const struct sy_config *config, enum sy_precision precision,
                                   const struct card *cards, struct figure *all, bool *alike)
{
    struct figure mine = {.rate = 0.0};
    SY_TRY(ranks_agree(ctx, r, key_of(ctx, r, cards, mine.key)));
    mine.rate = speed_kept(ctx, mine.key);
    SY_TRY(sy_group_collect(ctx, &r->group, "the devices' speeds", &mine, sizeof mine, all));
    bool known = true;
    *alike = true;
    for (uint32_t i = 0; i < r->group.size; ++i) {
        known = known && all[i].rate > 0.0;
        *alike = *alike && memcmp(all[i].key, all[0].key, sizeof all[0].key) == 0;
    }
    if (*alike)
        return SY_OK;
    if (!known) {
        SY_TRY(measure(ctx, r, device, config, precision, &mine.rate));
        SY_TRY(sy_group_collect(ctx, &r->group, "the devices' speeds", &mine, sizeof mine, all));
    }
    for (uint32_t i = 0; i < r->group.size; ++i)
        for (uint32_t k = 0; k < i; ++k)
            if (memcmp(all[i].key, all[k].key, sizeof all[i].key) == 0)
                all[i].rate = all[k].rate;
    if (!known)
        speed_keep(ctx, mine.key, all[r->group.rank].rate);
    return SY_OK;
}

static void say(struct sy_ctx *ctx, const struct ranks *r, const struct figure *all, uint32_t experts)
{
    enum { MOST = 16 };
    const bool unlike = r->share != NULL || r->sequences != NULL;
    sy_log(ctx, SY_LOG_INFO, "the devices are unlike, and were measured: %s (--share equal or A,B,… says otherwise)",
           unlike ? "the faster ones get more to do" : "no speed is a quarter above another, so shares are equal");
    for (uint32_t i = 0; i < r->group.size && i < MOST; ++i) {
        const uint32_t place = i / r->layout.model % r->layout.expert;
        char rate[16], own[60] = "";
        cli_human(all[i].rate, rate);
        if (experts != 0 && r->layout.expert > 1)
            snprintf(own, sizeof own, ": %u of the %u experts of a layer",
                     sy_layout_own_experts(&r->layout, place, experts), experts);
        sy_log(ctx, SY_LOG_INFO, "rank %u (%s): %sFLOP/s in an expert's products%s", i, r->group.names[i], rate, own);
    }
    if (r->group.size > MOST)
        sy_log(ctx, SY_LOG_INFO, "… and so on, to rank %u", r->group.size - 1);
}

/// Shares of the places along an axis, each as fast as its slowest rank; NULL where they are equal. The first rank
/// decides, for hosts might round differently.
static enum sy_status decide(struct sy_ctx *ctx, struct ranks *r, const struct figure *all, bool data, uint32_t **out)
{
    const struct sy_layout *l = &r->layout;
    const uint32_t places = data ? l->data : l->expert;
    uint32_t *share = calloc((size_t)places + 1, sizeof *share);
    double *rates = calloc(places, sizeof *rates);
    const bool room = share != NULL && rates != NULL;
    enum sy_status status = ranks_agree(ctx, r, room ? SY_OK : sy_fail(ctx, SY_NOMEM, "out of host memory"));
    for (uint32_t i = 0; i < r->group.size && status == SY_OK; ++i) {
        const uint32_t place = i / l->model;
        double *rate = &rates[data ? place / l->expert : place % l->expert];
        *rate = *rate == 0.0 || all[i].rate < *rate ? all[i].rate : *rate;
    }
    if (status == SY_OK) {
        share_of_rates(rates, places, share);
        status = sy_group_spread(ctx, &r->group, 0, share, (places + 1) * sizeof *share);
    }
    free(rates);
    if (status == SY_OK && share[places] != 0)
        *out = share;
    else
        free(share);
    return status;
}

/// Unlike devices share the experts, and the sequences, in proportion to their speeds.
static enum sy_status share_out(struct sy_ctx *ctx, struct ranks *r, struct sy_device *device,
                                const struct sy_config *config, enum sy_precision precision)
{
    bool alike = true;
    struct card mine = {.host = ""};
    struct card *cards = calloc(r->group.size, sizeof *cards);
    struct figure *all = calloc(r->group.size, sizeof *all);
    enum sy_status status = cards == NULL || all == NULL ? sy_fail(ctx, SY_NOMEM, "out of host memory") : SY_OK;
    host_name(mine.host);
    snprintf(mine.id, sizeof mine.id, "%s", sy_device_caps(device)->id);
    if (status == SY_OK)
        status = speed_kind(ctx, sy_device_caps(device), config, precision, mine.kind);
    status = ranks_agree(ctx, r, status);
    if (status == SY_OK)
        status = sy_group_collect(ctx, &r->group, "the ranks' devices", &mine, sizeof mine, cards);
    if (status == SY_OK)
        status = find_figures(ctx, r, device, config, precision, cards, all, &alike);
    if (status == SY_OK && !alike && config->experts != 0)
        status = decide(ctx, r, all, false, &r->share);
    r->layout.share = r->share;
    if (status == SY_OK && !alike && r->trains)
        status = decide(ctx, r, all, true, &r->sequences);
    if (status == SY_OK && !alike)
        say(ctx, r, all, config->experts);
    free(cards);
    free(all);
    return status;
}

enum sy_status ranks_open_device(struct sy_ctx *ctx, struct ranks *r, const char *list, bool results,
                                 const struct sy_config *config, enum sy_precision precision, struct sy_device **out)
{
    char id[64];
    enum sy_status status = pick(ctx, r, list, id);
    if (status == SY_OK)
        status = cli_device_open(ctx, id, results, out);
    SY_TRY(ranks_agree(ctx, r, status));
    if (r->group.size == 1)
        return SY_OK;
    SY_TRY(ranks_name(ctx, r, sy_device_caps(*out)->id));
    SY_TRY(check_alike(ctx, r, sy_device_caps(*out)));
    const bool matters = (r->layout.expert > 1 && config->experts != 0) || (r->layout.data > 1 && r->trains);
    return r->measured && matters ? share_out(ctx, r, *out, config, precision) : SY_OK;
}
