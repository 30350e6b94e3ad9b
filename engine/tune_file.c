// SPDX-License-Identifier: Apache-2.0
// tune_file.c: the choices of a device as a text in the cache folder.
#include "engine/tune.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/file.h"
#include "hostlib/names.h"

#define MAX_BYTES (UINT64_C(1) << 20)
static const char head[] = "switchyard choices 1\n";

// ---- what the file is of -------------------------------------------------------------------------------------------

static const char *types_name(enum sy_op_types types)
{
    return types == SY_TYPES_F ? "f32" : types == SY_TYPES_B ? "bf16" : "bf16-f32";
}

/// Device, driver, and every kernel that has settings, with their names.
static bool key_of(const struct sy_caps *caps, uint8_t out[SY_CACHE_KEY_BYTES])
{
    enum { FIRST = 5, EACH = 3 * (2 + SY_MAX_SETTINGS) };
    const bool shader = caps->backend == SY_BACKEND_VULKAN;
    struct sy_cache_part *parts = calloc(FIRST + (size_t)SY_VARIANT_COUNT * EACH, sizeof *parts);
    char(*names)[48] = calloc((size_t)SY_VARIANT_COUNT * EACH, sizeof *names);
    size_t count = 0, named = 0;
    const char *texts[FIRST] = {head, caps->id, caps->name, caps->driver, caps->key};
    for (size_t i = 0; parts != NULL && names != NULL && i < FIRST; ++i) {
        const bool numbered = i == 1; // opencl:0 and opencl:1 may be the same device twice
        parts[count++] = (struct sy_cache_part){texts[i], numbered ? strcspn(texts[i], ":") : strlen(texts[i])};
    }
    for (unsigned i = 0; parts != NULL && names != NULL && i < SY_VARIANT_COUNT; ++i) {
        const struct sy_variant *v = sy_variant_get((enum sy_variant_id)i);
        if (sy_variant_choices(v) == 1)
            continue;
        for (unsigned types = SY_TYPES_F; types <= SY_TYPES_M; types *= 2) {
            struct sy_kernel_params p;
            sy_variant_kernel_params(v, (enum sy_op_types)types, 0, caps, &p);
            if (shader)
                parts[count++] = (struct sy_cache_part){p.source.spirv, p.source.spirv_bytes};
            else if (p.source.cl_text != NULL)
                parts[count++] = (struct sy_cache_part){p.source.cl_text, strlen(p.source.cl_text)};
        }
        for (uint32_t c = 0; c < sy_variant_choices(v); ++c, ++named) {
            sy_variant_choice_name(v, c, names[named]);
            parts[count++] = (struct sy_cache_part){names[named], strlen(names[named])};
        }
    }
    if (parts != NULL && names != NULL)
        sy_cache_key(out, parts, count);
    const bool good = parts != NULL && names != NULL;
    free(names);
    free(parts);
    return good;
}

bool sy_tune_path(const struct sy_caps *caps, char out[SY_CACHE_PATH_ROOM])
{
    uint8_t key[SY_CACHE_KEY_BYTES];
    return key_of(caps, key) && sy_cache_text_path(out, "tune", key);
}

// ---- reading -------------------------------------------------------------------------------------------------------

/// "matmul:base" → its variant, or NULL.
static const struct sy_variant *variant_named(char *text)
{
    char *colon = strchr(text, ':');
    if (colon == NULL)
        return NULL;
    *colon = '\0';
    const enum sy_op_id op = sy_op_find(text);
    return op == SY_OP_COUNT ? NULL : sy_variant_find(op, colon + 1);
}

static bool read_args(const char *text, const struct sy_op_info *info, uint32_t *args)
{
    for (uint32_t i = 0; i < info->args_bytes / 4; ++i) {
        char *end;
        errno = 0;
        const bool point = memchr(text, '.', strcspn(text, ",")) != NULL;
        const float real = strtof(text, &end);
        const unsigned long value = point ? 0 : strtoul(text, &end, 0);
        const bool last = i + 1 == info->args_bytes / 4;
        if (end == text || errno != 0 || value > UINT32_MAX || *end != (last ? '\0' : ','))
            return false;
        args[i] = (uint32_t)value;
        if (point)
            memcpy(&args[i], &real, sizeof real);
        text = end + 1;
    }
    return true;
}

/// One line: "matmul:base f32 64,32,… : wg 128 : 51.2 40.3".
static bool read_line(const char *line, struct sy_choice *out)
{
    char name[64], types[16], args[640], choice[48], known[48];
    *out = (struct sy_choice){.count = 0};
    if (sscanf(line, "%63s %15s %639s : %47[^:] : %lf %lf", name, types, args, choice, &out->before, &out->after) != 6)
        return false;
    struct sy_work *w = &out->work;
    w->variant = variant_named(name);
    w->types = strcmp(types, "f32") == 0 ? SY_TYPES_F : strcmp(types, "bf16") == 0 ? SY_TYPES_B : SY_TYPES_M;
    if (w->variant == NULL || strcmp(types, types_name(w->types)) != 0 ||
        !read_args(args, sy_op_info(w->variant->op), w->args))
        return false;
    choice[strcspn(choice, "\n") - (choice[0] != '\0' && choice[strlen(choice) - 1] == ' ')] = '\0';
    out->before /= 1e6;
    out->after /= 1e6;
    for (out->choice = 0; out->choice < sy_variant_choices(w->variant); ++out->choice)
        if (strcmp(sy_variant_choice_name(w->variant, out->choice, known), choice) == 0)
            return out->before > 0.0 && out->after > 0.0;
    return false;
}

/// What stands above the lines: the text that write_head() makes.
static int print_head(const struct sy_caps *caps, const char *path, char *out, size_t room)
{
    const char *name = strrchr(path, '/');
    return snprintf(out, room,
                    "%s# How kernels are launched on this device, where another way than the usual one was measured to "
                    "be\n# faster (docs/tuning.md). It changes speed only. May be deleted at any time.\n"
                    "file %s\ndevice %s\ndriver %s\n# variant, element types, arguments : choice : microseconds as "
                    "usual, and so\n",
                    head, name != NULL ? name + 1 : path, caps->name, caps->driver);
}

static bool read_text(struct sy_ctx *ctx, const struct sy_caps *caps, const char *path, char *text,
                      struct sy_choices *out)
{
    char above[1024];
    const int length = print_head(caps, path, above, sizeof above);
    if (length <= 0 || length >= (int)sizeof above || strncmp(text, above, (size_t)length) != 0)
        return false;
    char *line = text + length;
    for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        struct sy_choice c;
        *end = '\0';
        if (strcmp(line, "end") == 0)
            return end[1] == '\0';
        if (!read_line(line, &c) || sy_choices_put(ctx, out, &c) != SY_OK)
            return false;
    }
    return false; // its end is missing
}

/// Adds what the file has; false when it is there and cannot be used.
static bool read_file(struct sy_ctx *ctx, const struct sy_caps *caps, const char *path, struct sy_choices *out)
{
    char *text = NULL;
    size_t bytes = 0;
    if (access(path, F_OK) != 0)
        return true;
    struct sy_choices found = {0};
    sy_ctx_attempt(ctx, true);
    bool good = sy_file_read(ctx, path, MAX_BYTES, &text, &bytes) == SY_OK && strlen(text) == bytes &&
                read_text(ctx, caps, path, text, &found);
    for (size_t i = 0; i < found.count && good; ++i)
        if (!sy_choices_have(out, &found.list[i].work)) // what was measured here is newer
            good = sy_choices_put(ctx, out, &found.list[i]) == SY_OK;
    sy_ctx_attempt(ctx, false);
    free(found.list);
    free(text);
    return good;
}

enum sy_status sy_tune_open(struct sy_device *device)
{
    struct sy_ctx *ctx = sy_device_ctx(device);
    const struct sy_caps *caps = sy_device_caps(device);
    char path[SY_CACHE_PATH_ROOM];
    struct sy_choices *choices = calloc(1, sizeof *choices);
    if (choices == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    sy_device_set_choices(device, choices, sy_choices_destroy);
    if (sy_tune_path(caps, path) && !read_file(ctx, caps, path, choices))
        sy_log(ctx, SY_LOG_WARN,
               "%s is damaged, or of something else: ignored; `switchyard-bench tune --device %s` writes it anew", path,
               caps->id);
    return SY_OK;
}

enum sy_status sy_tune_begin(struct sy_device *device)
{
    static const double first_seconds = 2.0;
    const struct sy_caps *caps = sy_device_caps(device);
    const bool gpu = caps->device_class == SY_CLASS_SIMT && !caps->software;
    SY_TRY(sy_env_check(sy_device_ctx(device), "SY_TUNE"));
    if (!sy_env_switch("SY_TUNE", true))
        return SY_OK;
    SY_TRY(sy_tune_open(device));
    sy_device_choices(device)->first_seconds = sy_env_switch("SY_TUNE", gpu) ? first_seconds : 0.0;
    return SY_OK;
}

// ---- writing -------------------------------------------------------------------------------------------------------

void sy_tune_print_args(const struct sy_op_info *info, const uint32_t *args, char *out, size_t room)
{
    for (uint32_t i = 0; i < info->args_bytes / 4; ++i) {
        char text[40];
        float real;
        memcpy(&real, &args[i], sizeof real);
        const bool is_real = args[i] >= 1u << 23 && fabsf(real) >= 1e-4f && fabsf(real) < 1e6f;
        snprintf(text, sizeof text, is_real ? "%.9g" : "%.0f", is_real ? (double)real : (double)args[i]);
        const size_t used = i == 0 ? 0 : strlen(out);
        snprintf(out + used, room - used, "%s%s%s", i == 0 ? "" : ",", text,
                 is_real && strchr(text, '.') == NULL ? ".0" : "");
    }
}

static enum sy_status write_lines(struct sy_file *file, const struct sy_choices *choices)
{
    for (size_t i = 0; i < choices->count; ++i) {
        const struct sy_choice *c = &choices->list[i];
        const struct sy_op_info *info = sy_op_info(c->work.variant->op);
        char args[640], name[48], line[896];
        sy_tune_print_args(info, c->work.args, args, sizeof args);
        const int n =
            snprintf(line, sizeof line, "%s:%s %s %s : %s : %.6g %.6g\n", info->name, c->work.variant->name,
                     types_name(c->work.types), args, sy_variant_choice_name(c->work.variant, c->choice, name),
                     1e6 * c->before, 1e6 * c->after);
        SY_TRY(sy_file_append(file, line, (uint64_t)n));
    }
    return sy_file_append(file, "end\n", 4);
}

static enum sy_status write_file(struct sy_ctx *ctx, const struct sy_caps *caps, const char *path,
                                 const struct sy_choices *choices)
{
    struct sy_file *file = NULL;
    char above[1024], folder[SY_CACHE_PATH_ROOM];
    const int length = print_head(caps, path, above, sizeof above);
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash != NULL && slash != folder) {
        *slash = '\0';
        SY_TRY(sy_dir_create(ctx, folder));
    }
    SY_TRY(sy_file_create(ctx, path, &file));
    enum sy_status status = sy_file_append(file, above, (uint64_t)length);
    if (status == SY_OK)
        status = write_lines(file, choices);
    if (status == SY_OK)
        return sy_file_commit(&file);
    sy_file_abort(&file);
    return status;
}

bool sy_tune_keep(struct sy_device *device, char why[256])
{
    struct sy_ctx *ctx = sy_device_ctx(device);
    const struct sy_caps *caps = sy_device_caps(device);
    struct sy_choices *choices = sy_device_choices(device);
    char path[SY_CACHE_PATH_ROOM];
    if (!sy_tune_path(caps, path)) {
        snprintf(why, 256, "there is no cache folder");
        return false;
    }
    (void)read_file(ctx, caps, path, choices); // what is damaged is replaced
    sy_ctx_attempt(ctx, true);
    const bool good = write_file(ctx, caps, path, choices) == SY_OK;
    sy_ctx_attempt(ctx, false);
    snprintf(why, 256, "%s", good ? "" : sy_error(ctx));
    return good;
}

enum sy_status sy_tune_forget(struct sy_ctx *ctx, const struct sy_caps *caps, bool *out_found)
{
    char path[SY_CACHE_PATH_ROOM];
    *out_found = sy_tune_path(caps, path) && access(path, F_OK) == 0;
    if (*out_found && unlink(path) != 0)
        return sy_fail(ctx, SY_IO, "%s: %s", path, strerror(errno));
    return SY_OK;
}
