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

/// Whether there is "equal", or numbers, at `*at`; goes on behind it.
static bool good(const char **at)
{
    if (strncmp(*at, "equal", 5) == 0) {
        *at += 5;
        return true;
    }
    for (; number(at) != 0; ++*at)
        if (**at != ',')
            return true;
    return false;
}

bool share_good(const char *text)
{
    return good(&text) && (*text == '\0' || (*text++ == '/' && good(&text) && *text == '\0'));
}

enum sy_status share_read(struct sy_ctx *ctx, const char *text, enum share_of of, uint32_t places, uint32_t **out)
{
    const bool experts = of == SHARE_EXPERTS;
    const char *slash = text != NULL ? strchr(text, '/') : NULL, *at = experts || slash == NULL ? text : slash + 1;
    uint32_t count = 1;
    *out = NULL;
    if (text == NULL || (slash == NULL && !experts) || strncmp(at, "equal", 5) == 0)
        return SY_OK;
    for (const char *c = at; *c != '\0' && *c != '/'; ++c)
        count += *c == ',';
    if (count != places)
        return sy_fail(ctx, SY_INVALID, "--share %s is for %u %s, but there are %u (%s): give one number for each",
                       text, count, experts ? "ranks that share the experts" : "groups that share the sequences",
                       places, experts ? "--expert-parallel" : "--data-parallel");
    uint32_t *share = calloc((size_t)places + 1, sizeof *share);
    if (share == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    for (uint32_t e = 0; e < places; ++e) {
        share[e + 1] = share[e] + number(&at);
        at += *at == ',';
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

void share_give_out(const uint32_t *share, uint32_t groups, uint32_t count, uint32_t *turns)
{
    const uint64_t all = share[groups];
    uint32_t given = groups;
    for (uint32_t d = 0; d < groups; ++d)
        turns[d + 1] = 1;
    for (; given < count; ++given) { // the next one goes where most is missing
        uint32_t to = 0;
        int64_t most = INT64_MIN;
        for (uint32_t d = 0; d < groups; ++d) {
            const int64_t missing =
                (int64_t)((share[d + 1] - share[d]) * (uint64_t)count) - (int64_t)(turns[d + 1] * all);
            to = missing > most ? d : to;
            most = missing > most ? missing : most;
        }
        ++turns[to + 1];
    }
    turns[0] = 0;
    for (uint32_t d = 0; d < groups; ++d)
        turns[d + 1] += turns[d];
}

/// How long a step takes, measured by that of exact shares.
static double step_time(const uint32_t *share, uint32_t groups, const uint32_t *turns)
{
    double longest = 0.0;
    for (uint32_t d = 0; d < groups; ++d) {
        const double part = (double)(turns[d + 1] - turns[d]) / turns[groups],
                     right = (double)(share[d + 1] - share[d]) / share[groups];
        longest = part / right > longest ? part / right : longest;
    }
    return longest;
}

static bool fits(const struct share_step *s, uint32_t count)
{
    const uint64_t each = s->sequences / count;
    return s->sequences % count == 0 && (s->micro == 0 || each == s->micro) && (s->slices == 0 || count <= s->slices) &&
           (s->group == 0 || (each * s->src_len % s->group == 0 && each * s->tgt_len % s->group == 0));
}

bool share_turns(const uint32_t *share, uint32_t groups, const struct share_step *step, uint32_t *turns)
{
    enum { FINEST = 8 }; // micro-batches of a group, where shares are equal and --micro-batch does not say
    double best = 0.0;
    uint32_t count = 0;
    for (uint32_t n = groups; n <= step->sequences && (n <= FINEST * groups || step->micro != 0); n *= 2) {
        if (!fits(step, n))
            continue;
        share_give_out(share, groups, n, turns);
        const double time = step_time(share, groups, turns);
        if (count == 0 || time < 0.95 * best) { // smaller ones cost something, too
            count = n;
            best = time;
        }
    }
    if (count != 0)
        share_give_out(share, groups, count, turns);
    bool equal = true;
    for (uint32_t d = 0; d < groups && count != 0; ++d)
        equal = equal && turns[d + 1] - turns[d] == turns[1];
    return !equal;
}
