// SPDX-License-Identifier: Apache-2.0
#include "apps/mix.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN 12 // sources that are named on the line about shares

bool mix_parse(struct argp_state *state, int key, const char *arg, struct mix *m)
{
    switch (key) {
    case MIX_WEIGHTS: cli_once(state, "--mix", arg, &m->weights); break;
    case MIX_EXPONENT:
        m->exponent = cli_real(state, "--mix-exponent", arg, 0.0, 1.0);
        m->exponent_given = true;
        break;
    case MIX_TEMPERATURE:
        m->exponent = 1.0 / cli_real(state, "--mix-temperature", arg, 1.0, 1e6);
        m->temperature_given = true;
        break;
    default: return false;
    }
    if (m->exponent_given && m->temperature_given)
        argp_error(state, "--mix-exponent X and --mix-temperature 1/X say the same: give one of them");
    return true;
}

bool mix_apart(const struct mix *m) { return m->weights != NULL || m->exponent != 1.0; }

/// Whether a name means a path: all of it, its last part, or that without its ending.
static bool means(const char *name, size_t bytes, const char *path)
{
    size_t end = strlen(path);
    if (end == bytes && memcmp(name, path, bytes) == 0)
        return true;
    while (end > 1 && path[end - 1] == '/')
        --end;
    size_t first = end;
    while (first > 0 && path[first - 1] != '/')
        --first;
    if (end - first < bytes || memcmp(name, path + first, bytes) != 0)
        return false;
    return end - first == bytes || path[first + bytes] == '.';
}

static enum sy_status take_weight(struct sy_ctx *ctx, const struct mix *m, const char *item, size_t bytes,
                                  const struct cli_list *files, double *rates)
{
    const char *equals = memrchr(item, '=', bytes); // a path may hold one, too
    const size_t name = equals != NULL ? (size_t)(equals - item) : bytes;
    char *end = NULL;
    const double weight = equals != NULL ? strtod(equals + 1, &end) : 0.0;
    if (equals == NULL || end != item + bytes || end == equals + 1 || !(weight > 0.0) || !isfinite(weight))
        return sy_fail(ctx, SY_INVALID, "--mix: '%.*s' is not NAME=WEIGHT with a weight above 0", (int)bytes, item);
    size_t found = files->count;
    for (size_t i = 0; i < files->count; ++i) {
        if (!means(item, name, files->items[i]))
            continue;
        if (found < files->count)
            return sy_fail(ctx, SY_INVALID, "--mix: '%.*s' may be %s or %s: give more of its path", (int)name, item,
                           files->items[found], files->items[i]);
        found = i;
    }
    if (found == files->count)
        return sy_fail(ctx, SY_INVALID, "--mix: nothing of --data is called '%.*s'", (int)name, item);
    if (rates[found] > 0.0)
        return sy_fail(ctx, SY_INVALID, "--mix: %s has two weights", files->items[found]);
    rates[found] = pow(weight, m->exponent);
    return SY_OK;
}

static enum sy_status take_weights(struct sy_ctx *ctx, const struct mix *m, const struct cli_list *files, double *rates)
{
    for (const char *at = m->weights, *comma; at != NULL; at = comma != NULL ? comma + 1 : NULL) {
        comma = strchr(at, ',');
        SY_TRY(take_weight(ctx, m, at, comma != NULL ? (size_t)(comma - at) : strlen(at), files, rates));
    }
    for (size_t i = 0; i < files->count; ++i)
        if (!(rates[i] > 0.0))
            return sy_fail(ctx, SY_INVALID, "--mix gives no weight to %s", files->items[i]);
    return SY_OK;
}

enum sy_status mix_rates(struct sy_ctx *ctx, const struct mix *m, const struct cli_list *files, double **out_rates)
{
    *out_rates = NULL;
    if (m->weights == NULL)
        return SY_OK;
    double *rates = calloc(files->count, sizeof *rates);
    enum sy_status status =
        rates != NULL ? take_weights(ctx, m, files, rates) : sy_fail(ctx, SY_NOMEM, "out of host memory");
    if (status != SY_OK)
        free(rates);
    else
        *out_rates = rates;
    return status;
}

void mix_print(const struct sy_dataset *data)
{
    const size_t count = sy_dataset_sources(data);
    if (count < 2)
        return;
    printf("mixture:");
    for (size_t i = 0; i < count && i < SHOWN; ++i)
        printf("%s %.60s %.2f %%", i > 0 ? "," : "", sy_dataset_source_name(data, i),
               100.0 * sy_dataset_share(data, i));
    if (count > SHOWN)
        printf(", and %zu more", count - SHOWN);
    printf("\n");
}
