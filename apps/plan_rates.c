// SPDX-License-Identifier: Apache-2.0
// plan_rates.c: rates of devices and networks as the options give them, and as switchyard-bench measured them.
#include "apps/plan_rates.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// Reads "12.5GB/s": a number, a decimal prefix and `unit`; "Gb/s" is an eighth of "GB/s". False: it is something else,
/// or not positive.
static bool quantity(const char **at, const char *unit, double *out)
{
    static const char prefixes[] = "numkMGTP";
    static const double factors[] = {1e-9, 1e-6, 1e-3, 1e3, 1e6, 1e9, 1e12, 1e15};
    char *end;
    *out = strtod(*at, &end);
    if (end == *at)
        return false;
    const char *prefix = *end != '\0' ? strchr(prefixes, *end) : NULL;
    if (prefix != NULL) {
        *out *= factors[prefix - prefixes];
        ++end;
    }
    const size_t length = strlen(unit);
    if (strcmp(unit, "B/s") == 0 && strncmp(end, "b/s", 3) == 0)
        *out /= 8.0;
    else if (strncmp(end, unit, length) != 0)
        return false;
    *at = end + length;
    return *out > 0.0 && isfinite(*out);
}

static bool comma(const char **at) { return *(*at)++ == ','; }

bool plan_rates_parse(const char *text, struct plan_rates *out)
{
    *out = (struct plan_rates){.dispatch = 0.0};
    if (!quantity(&text, "FLOP/s", &out->flops) || !comma(&text) || !quantity(&text, "B/s", &out->memory))
        return false;
    out->link = out->memory; // a device that shares the host's memory
    return *text == '\0' || (comma(&text) && quantity(&text, "B/s", &out->link) && *text == '\0');
}

bool plan_network_parse(const char *text, struct plan_network *out)
{
    if (!quantity(&text, "s", &out->latency) || !comma(&text) || !quantity(&text, "B/s", &out->bandwidth))
        return false;
    out->machine = 1;
    if (*text == '\0')
        return true;
    if (!comma(&text) || *text < '0' || *text > '9')
        return false;
    char *end;
    const unsigned long ranks = strtoul(text, &end, 10);
    text = end;
    if (ranks == 0 || ranks > 1u << 16)
        return false;
    out->machine = (uint32_t)ranks;
    return comma(&text) && quantity(&text, "s", &out->near_latency) && comma(&text) &&
           quantity(&text, "B/s", &out->near_bandwidth) && *text == '\0';
}

/// A positive number of an object, or 0.
static double number(const json_t *object, const char *key)
{
    const double x = json_number_value(json_object_get(object, key));
    return x > 0.0 && isfinite(x) ? x : 0.0;
}

static void read_kernels(const json_t *file, struct plan_rates *out)
{
    for (size_t i = 0; i < SY_VARIANT_COUNT; ++i) {
        const struct sy_variant *v = sy_variant_get((enum sy_variant_id)i);
        char name[96];
        snprintf(name, sizeof name, "%s:%s", sy_op_info(v->op)->name, v->name);
        const json_t *rate = json_object_get(json_object_get(file, "kernels"), name);
        out->kernels[i] = (struct plan_kernel_rate){.flops = number(rate, "flops"), .bytes = number(rate, "bytes")};
    }
}

enum sy_status plan_rates_read(struct sy_ctx *ctx, const char *path, const char *precision, struct plan_rates *out)
{
    json_error_t error;
    json_t *file = json_load_file(path, 0, &error);
    if (file == NULL)
        return sy_fail(ctx, SY_IO, "--rates %s: line %d: %s", path, error.line, error.text);
    const char *of = json_string_value(json_object_get(file, "precision"));
    *out = (struct plan_rates){.flops = number(file, "flops"),
                               .memory = number(file, "memory"),
                               .link = number(file, "link"),
                               .dispatch = number(file, "dispatch"),
                               .processors = number(file, "processors"),
                               .threads = number(file, "threads"),
                               .resident = number(file, "resident_bytes"),
                               .measured = true};
    read_kernels(file, out);
    enum sy_status status = SY_OK;
    if (of == NULL || out->flops == 0.0 || out->memory == 0.0 || out->link == 0.0)
        status = sy_fail(ctx, SY_INVALID,
                         "--rates %s: no \"precision\", \"flops\", \"memory\" and \"link\": `switchyard-bench rates` "
                         "prints such a file",
                         path);
    else if (strcmp(of, precision) != 0)
        status =
            sy_fail(ctx, SY_INVALID, "--rates %s: measured with --precision %s, planned with %s", path, of, precision);
    json_decref(file);
    return status;
}
