// SPDX-License-Identifier: Apache-2.0
// devices_kernels.c: compiles every variant of every op that a device can run; shows what its compiler says about it.
#include "apps/devices_kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/file.h"
#include "engine/variant.h"

/// One kernel and what became of it.
struct subject {
    struct sy_device *device;
    const struct sy_variant *variant;
    char types; // 'F', 'B' or 'M'
    struct sy_kernel_params params;
    struct sy_kernel_stat *stats;
    size_t stat_count;
};

static enum sy_status write_assembly(const struct subject *s, const struct sy_kernel *kernel, const char *folder)
{
    struct sy_ctx *ctx = sy_device_ctx(s->device);
    char *text = NULL, name[96], path[SY_PATH_ROOM];
    snprintf(name, sizeof name, "%s.%c.txt", s->params.source.name, s->types);
    SY_TRY(sy_path_print(ctx, path, folder, name));
    SY_TRY(sy_kernel_assembly(kernel, &text));
    const enum sy_status status = sy_file_write(ctx, path, text, strlen(text));
    free(text);
    return status;
}

/// Compiles, asks and forgets the kernel. A compiler that tells nothing is no error, unless assembly was asked for.
static enum sy_status examine(struct subject *s, const char *assembly)
{
    struct sy_kernel *kernel = NULL;
    SY_TRY(sy_kernel_create(s->device, &s->params, &kernel));
    enum sy_status status = sy_kernel_statistics(kernel, &s->stats, &s->stat_count);
    if (status == SY_OK && assembly != NULL)
        status = write_assembly(s, kernel, assembly);
    sy_kernel_destroy(&kernel);
    return status;
}

static json_t *subject_json(const struct subject *s, enum sy_status status)
{
    json_t *figures = json_object();
    for (size_t i = 0; i < s->stat_count; ++i)
        json_object_set_new(figures, s->stats[i].name, json_real(s->stats[i].value));
    json_t *j =
        json_pack("{s:s, s:s, s:s, s:s%, s:i, s:i, s:s, s:o}", "op", sy_op_info(s->variant->op)->name, "variant",
                  s->variant->name, "source", s->variant->source, "types", &s->types, (size_t)1, "wg",
                  (int)s->params.wg, "vec", (int)s->params.vec, "defines", s->params.cl_defines, "statistics", figures);
    if (status != SY_OK)
        json_object_set_new(j, "error", json_string(sy_error(sy_device_ctx(s->device))));
    return j;
}

static void print_subject(const struct subject *s, enum sy_status status)
{
    printf("           %s.%c%*s WG %-3u VEC %-2u ", s->params.source.name, s->types,
           18 - (int)strlen(s->params.source.name), "", s->params.wg, s->params.vec);
    for (size_t i = 0; i < s->stat_count; ++i)
        printf("%s%s %.10g", i != 0 ? ", " : "", s->stats[i].name, s->stats[i].value);
    const char *gap = s->stat_count != 0 ? " " : "";
    printf("%s%s\n", status != SY_OK ? gap : "", status != SY_OK ? "FAILED" : s->stat_count == 0 ? "compiles" : "");
    fflush(stdout); // a compiler may take its time, or the program down
}

static bool wanted(const struct cli_list *only, const char *op)
{
    for (size_t i = 0; i < only->count; ++i)
        if (strcmp(only->items[i], op) == 0)
            return true;
    return only->count == 0;
}

/// A variant's kernel for one set of element types.
static enum sy_status one_kernel(struct sy_device *device, const struct sy_variant *v, enum sy_op_types types,
                                 char letter, const char *assembly, json_t *list)
{
    struct subject s = {.device = device, .variant = v, .types = letter};
    sy_variant_kernel_params(v, types, 0, sy_device_caps(device), &s.params);
    s.params.inspect = true;
    const enum sy_status status = examine(&s, assembly);
    if (list != NULL)
        json_array_append_new(list, subject_json(&s, status));
    else
        print_subject(&s, status);
    free(s.stats);
    return status;
}

static enum sy_status each_kernel(struct sy_device *device, const struct cli_list *only, const char *assembly,
                                  json_t *list)
{
    static const struct {
        enum sy_op_types types;
        char letter;
    } each[] = {{SY_TYPES_F, 'F'}, {SY_TYPES_B, 'B'}, {SY_TYPES_M, 'M'}};
    const struct sy_caps *caps = sy_device_caps(device);
    enum sy_status first = SY_OK;
    for (int i = 0; i < SY_VARIANT_COUNT; ++i) {
        const struct sy_variant *v = sy_variant_get((enum sy_variant_id)i);
        const struct sy_op_info *info = sy_op_info(v->op);
        for (size_t k = 0; k < SY_COUNT(each) && wanted(only, info->name); ++k) {
            bool killed = false;
            SY_TRY(sy_variant_killed(sy_device_ctx(device), v, &killed));
            const bool stored = each[k].types == SY_TYPES_F || caps->bf16;
            if ((info->types & each[k].types) == 0 || !stored || killed ||
                sy_variant_missing(v, each[k].types, caps) != NULL)
                continue;
            const enum sy_status status = one_kernel(device, v, each[k].types, each[k].letter, assembly, list);
            first = first != SY_OK ? first : status;
            if (assembly != NULL && (status == SY_UNSUPPORTED || status == SY_IO))
                return first; // no assembly here, or no room for it: the next one would say the same
        }
    }
    return first;
}

enum sy_status devices_kernels(struct sy_ctx *ctx, const struct sy_caps *caps, const struct cli_list *only,
                               const char *assembly, json_t *json)
{
    struct sy_device *device = NULL;
    enum sy_status status = sy_device_open(ctx, caps->id, &device);
    if (status != SY_OK) {
        if (json != NULL)
            json_object_set_new(json, "error", json_string(sy_error(ctx)));
        return status;
    }
    json_t *list = json != NULL ? json_array() : NULL;
    status = each_kernel(device, only, assembly, list);
    if (json != NULL)
        json_object_set_new(json, "kernels", list);
    const enum sy_status waited = sy_device_wait(device); // where validation reports its errors
    sy_device_close(&device);
    return status != SY_OK ? status : waited;
}
