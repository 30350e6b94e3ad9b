// SPDX-License-Identifier: Apache-2.0
// device.c: names, choice, opening and closing of devices; the imagined limits of the environment.
#include "hostlib/check.h"
#include "hostlib/names.h"
#include "hostlib/quirk.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const backend_names[SY_BACKEND_COUNT] = {"ref", "opencl", "vulkan"};

const char *sy_backend_name(enum sy_backend_id backend)
{
    return (unsigned)backend < SY_BACKEND_COUNT ? backend_names[backend] : "unknown";
}

const struct sy_backend *sy_backend_get(enum sy_backend_id id)
{
    switch (id) {
    case SY_BACKEND_REF: return &sy_backend_ref;
    case SY_BACKEND_OPENCL: return &sy_backend_opencl;
    case SY_BACKEND_VULKAN: return &sy_backend_vulkan;
    case SY_BACKEND_COUNT: break;
    }
    return NULL;
}

struct sy_caps sy_caps_imagined(enum sy_device_class device_class)
{
    struct sy_caps caps = {.backend = SY_BACKEND_REF, .device_class = device_class, .bf16 = true, .max_wg = 256};
    if (device_class != SY_CLASS_REF)
        caps.backend = device_class == SY_CLASS_CPU ? SY_BACKEND_OPENCL : SY_BACKEND_VULKAN;
    snprintf(caps.id, sizeof caps.id, "imagined");
    snprintf(caps.name, sizeof caps.name, "no device: only planned");
    return caps;
}

// ---- imagined limits (docs/env.md) -----------------------------------------------------------------------------

// Reads a whole number with an optional K, M or G (powers of 1024). Absent leaves *value alone.
static enum sy_status env_number(struct sy_ctx *ctx, const char *name, bool *present, uint64_t *value)
{
    const char *text = getenv(name);
    *present = text != NULL && text[0] != '\0';
    if (!*present)
        return SY_OK;
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (shift != 0)
        ++end;
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number == 0 || number > UINT64_MAX >> shift)
        return sy_fail(ctx, SY_INVALID, "%s=\"%s\": expected a whole number above 0, such as 65536, 64K or 1G", name,
                       text);
    *value = (uint64_t)number << shift;
    return SY_OK;
}

static enum sy_status lower64(struct sy_ctx *ctx, const char *name, uint64_t *limit)
{
    bool present;
    uint64_t value = 0;
    SY_TRY(env_number(ctx, name, &present, &value));
    if (present && value < *limit)
        *limit = value;
    return SY_OK;
}

static enum sy_status lower32(struct sy_ctx *ctx, const char *name, uint32_t *limit)
{
    uint64_t value = *limit;
    SY_TRY(lower64(ctx, name, &value));
    *limit = (uint32_t)value;
    return SY_OK;
}

// A larger alignment is the stricter one.
static enum sy_status raise_align(struct sy_ctx *ctx, const char *name, uint32_t *align)
{
    bool present;
    uint64_t value = 0;
    SY_TRY(env_number(ctx, name, &present, &value));
    if (!present)
        return SY_OK;
    if ((value & (value - 1)) != 0 || value > UINT32_C(1) << 30)
        return sy_fail(ctx, SY_INVALID, "%s=%llu: expected a power of two, at most 1G", name,
                       (unsigned long long)value);
    if (value > *align)
        *align = (uint32_t)value;
    return SY_OK;
}

// SY_DISABLE=fp16,coopmat: switches optional features off.
static bool disable(void *user, const char *name, size_t length)
{
    struct sy_caps *caps = user;
    if (sy_name_is(name, length, "fp16"))
        caps->fp16 = false;
    else if (sy_name_is(name, length, "bf16"))
        caps->bf16 = false;
    else if (sy_name_is(name, length, "coopmat"))
        caps->coopmat = false, caps->coop_bf16.m = caps->coop_f16.m = 0;
    else if (sy_name_is(name, length, "command_buffers"))
        caps->command_buffers = false;
    else if (sy_name_is(name, length, "avx512"))
        caps->avx512 = false;
    else if (sy_name_is(name, length, "avx512_bf16"))
        caps->avx512_bf16 = false;
    else if (sy_name_is(name, length, "amx"))
        caps->amx = false;
    else if (sy_name_is(name, length, "mma"))
        caps->mma = false;
    else if (sy_name_is(name, length, "cores"))
        caps->cores = false;
    else if (sy_name_is(name, length, "subgroups"))
        caps->subgroup_min = caps->subgroup_max = 0;
    else
        return false;
    return true;
}

// In the order of their numbers in kernels/cores.cl.h.
static bool emulate(void *user, const char *name, size_t length)
{
    static const char *const kinds[] = {"xe-hpg", "xe-hpc", "wmma", "mfma"};
    struct sy_caps *caps = user;
    for (size_t i = 0; i < SY_COUNT(kinds); ++i)
        if (sy_name_is(name, length, kinds[i])) {
            caps->cores_emulated = caps->backend == SY_BACKEND_OPENCL ? (uint32_t)i + 1 : 0;
            return true;
        }
    return false;
}

// The one place where the environment makes a device smaller than it is; but for what tests emulate, nothing here can
// make it larger.
static enum sy_status limit_caps(struct sy_ctx *ctx, struct sy_caps *caps)
{
    const uint64_t memory = caps->memory_bytes;
    SY_TRY(lower64(ctx, "SY_FORCE_MEMORY", &caps->memory_bytes));
    if (caps->memory_bytes < memory)
        snprintf(caps->memory_from, sizeof caps->memory_from, "SY_FORCE_MEMORY");
    SY_TRY(lower64(ctx, "SY_FORCE_MAX_ALLOC", &caps->max_alloc_bytes));
    SY_TRY(lower64(ctx, "SY_FORCE_MAX_BINDING", &caps->max_binding_bytes));
    SY_TRY(lower32(ctx, "SY_FORCE_MAX_BINDINGS", &caps->max_bindings));
    SY_TRY(lower32(ctx, "SY_FORCE_MAX_ARGS", &caps->max_args_bytes));
    SY_TRY(lower32(ctx, "SY_FORCE_SHARED", &caps->shared_bytes));
    SY_TRY(lower32(ctx, "SY_FORCE_MAX_WG", &caps->max_wg));
    if (caps->max_groups[1] > 1) // elsewhere a grid has one dimension and nothing to fold into
        SY_TRY(lower32(ctx, "SY_FORCE_MAX_GROUPS", &caps->max_groups[0]));
    bool present;
    SY_TRY(env_number(ctx, "SY_LOGITS_BYTES", &present, &caps->logits_bytes));
    SY_TRY(raise_align(ctx, "SY_FORCE_OFFSET_ALIGN", &caps->offset_align));
    SY_TRY(sy_names_each(ctx, "SY_DISABLE", "feature",
                         "fp16, bf16, coopmat, command_buffers, avx512, avx512_bf16, amx, mma, cores, subgroups",
                         disable, caps));
    SY_TRY(sy_names_each(ctx, "SY_EMULATE_CORES", "kind of matrix cores", "xe-hpg, xe-hpc, wmma, mfma", emulate, caps));
    SY_TRY(sy_quirks_switch_off(ctx, caps));
    if (caps->max_alloc_bytes > caps->memory_bytes)
        caps->max_alloc_bytes = caps->memory_bytes;
    if (caps->max_binding_bytes > caps->max_alloc_bytes)
        caps->max_binding_bytes = caps->max_alloc_bytes;
    return SY_OK;
}

// What a submission shall take (pace.h). A CPU has no watchdog, and PoCL compiles each kernel that starts elsewhere
// than at its first work-group a second time.
static enum sy_status read_submit_ms(struct sy_ctx *ctx, enum sy_device_class device_class, double *out_seconds)
{
    const char *text = getenv("SY_SUBMIT_MS");
    char *end = NULL;
    *out_seconds = device_class == SY_CLASS_CPU ? 86400.0 : 0.035;
    if (text == NULL || text[0] == '\0')
        return SY_OK;
    *out_seconds = strtod(text, &end) / 1000.0;
    if (*end != '\0' || !isfinite(*out_seconds) || *out_seconds <= 0.0)
        return sy_fail(ctx, SY_INVALID, "SY_SUBMIT_MS=\"%s\": expected milliseconds, a number above 0 such as 35",
                       text);
    return SY_OK;
}

// ---- listing and choosing --------------------------------------------------------------------------------------

// Appends one backend's devices, named and limited.
static enum sy_status list_backend(struct sy_ctx *ctx, enum sy_backend_id id, struct sy_caps **list, size_t *count)
{
    const size_t first = *count;
    if (sy_backend_get(id)->list(ctx, list, count) != SY_OK) {
        sy_log(ctx, SY_LOG_WARN, "%s devices are skipped: %s", sy_backend_name(id), sy_error(ctx));
        *count = first;
        return SY_OK;
    }
    for (size_t i = first; i < *count; ++i) {
        struct sy_caps *caps = &(*list)[i];
        caps->backend = id;
        snprintf(caps->id, sizeof caps->id, "%s:%zu", sy_backend_name(id), i - first);
        SY_TRY(limit_caps(ctx, caps));
    }
    return SY_OK;
}

enum sy_status sy_device_list(struct sy_ctx *ctx, struct sy_caps **out_list, size_t *out_count)
{
    struct sy_caps *list = NULL;
    size_t count = 0;
    for (int id = 0; id < SY_BACKEND_COUNT; ++id) {
        enum sy_status status = list_backend(ctx, (enum sy_backend_id)id, &list, &count);
        if (status != SY_OK) {
            free(list);
            return status;
        }
    }
    *out_list = list;
    *out_count = count;
    return SY_OK;
}

// Smaller is better; see device.h. A software GPU behind OpenCL is never a good choice: last.
static int auto_rank(const struct sy_caps *caps)
{
    if (caps->backend == SY_BACKEND_VULKAN)
        return caps->software ? 3 : 0;
    if (caps->backend == SY_BACKEND_OPENCL)
        return !caps->software ? 1 : caps->device_class == SY_CLASS_CPU ? 2 : 5;
    return 4;
}

static enum sy_status fail_unknown(struct sy_ctx *ctx, const char *id)
{
    struct sy_caps *list = NULL;
    size_t count = 0;
    SY_TRY(sy_device_list(ctx, &list, &count));
    char known[768] = "";
    size_t used = 0;
    for (size_t i = 0; i < count && used < sizeof known; ++i) {
        int n =
            snprintf(known + used, sizeof known - used, "%s%s (%.60s)", i == 0 ? "" : ", ", list[i].id, list[i].name);
        used += n > 0 ? (size_t)n : 0;
    }
    free(list);
    return sy_fail(ctx, SY_INVALID, "no device \"%.64s\"; choose auto or one of: %s", id, known);
}

static enum sy_status open_index(struct sy_ctx *ctx, enum sy_backend_id backend, uint32_t index, struct sy_device **out)
{
    struct sy_device *device = NULL;
    SY_TRY(sy_backend_get(backend)->open(ctx, index, &device));
    device->backend = sy_backend_get(backend);
    device->ctx = ctx;
    device->caps.backend = backend;
    snprintf(device->caps.id, sizeof device->caps.id, "%s:%u", sy_backend_name(backend), index);
    enum sy_status status = limit_caps(ctx, &device->caps);
    if (status == SY_OK)
        status = read_submit_ms(ctx, device->caps.device_class, &device->submit_seconds);
    if (status != SY_OK) {
        device->backend->close(device);
        return status;
    }
    *out = device;
    return SY_OK;
}

// A GPU that is there and may not be opened looks like one that is not there: only its device file says so.
static const char *closed_gpu(char path[32])
{
    for (int i = 128; i < 128 + 64; ++i) {
        snprintf(path, 32, "/dev/dri/renderD%d", i);
        if (access(path, F_OK) == 0 && access(path, R_OK | W_OK) != 0)
            return path;
    }
    return NULL;
}

// Whoever says auto expects the best device of the machine; when it is a poor one, they want to know why.
static void explain_choice(struct sy_ctx *ctx, const struct sy_caps *caps)
{
    char path[32], why[160] = "no driver of a GPU is installed here, and none that makes kernels for CPUs";
    const char *closed = closed_gpu(path);
    if (closed != NULL)
        snprintf(why, sizeof why, "%s is a GPU, but this user may not open it (its group may: ls -l %s)", closed,
                 closed);
    if (caps->backend == SY_BACKEND_REF)
        sy_log(ctx, SY_LOG_WARN,
               "auto: ref:0 computes, plain C on one core, slow: %s. Install one (Debian, for CPUs: pocl-opencl-icd), "
               "or say --device ref:0",
               why);
    else if (caps->software && caps->device_class == SY_CLASS_SIMT)
        sy_log(ctx, SY_LOG_WARN,
               "auto: %s (%s) computes, a GPU in software, slow: %s. Install one (Debian, for CPUs: pocl-opencl-icd), "
               "or say --device %s",
               caps->id, caps->name, why, caps->id);
    else if (caps->software && closed != NULL)
        sy_log(ctx, SY_LOG_WARN, "auto: %s (%s) computes, on the CPU: %s", caps->id, caps->name, why);
}

// Takes the best device. One that lacks a mandatory feature is passed over, with a warning.
static enum sy_status open_auto(struct sy_ctx *ctx, struct sy_device **out)
{
    struct sy_caps *list = NULL;
    size_t count = 0;
    SY_TRY(sy_device_list(ctx, &list, &count));
    enum sy_status status = SY_UNSUPPORTED;
    for (int rank = 0; rank <= 5 && status == SY_UNSUPPORTED; ++rank) {
        for (size_t i = 0; i < count && status == SY_UNSUPPORTED; ++i) {
            if (auto_rank(&list[i]) != rank)
                continue;
            uint32_t index = (uint32_t)strtoul(strchr(list[i].id, ':') + 1, NULL, 10);
            status = open_index(ctx, list[i].backend, index, out);
            if (status == SY_OK)
                explain_choice(ctx, &list[i]);
            if (status == SY_UNSUPPORTED)
                sy_log(ctx, SY_LOG_WARN, "auto: passing over %s (%s)", list[i].id, list[i].name);
        }
    }
    free(list);
    return status;
}

// "opencl:12" → backend and index.
static bool parse_id(const char *id, enum sy_backend_id *backend, uint32_t *index)
{
    const char *colon = strchr(id, ':');
    if (colon == NULL || colon[1] < '0' || colon[1] > '9')
        return false;
    char *end = NULL;
    errno = 0;
    unsigned long number = strtoul(colon + 1, &end, 10);
    if (*end != '\0' || errno != 0 || number > UINT32_MAX)
        return false;
    for (int i = 0; i < SY_BACKEND_COUNT; ++i) {
        if (strlen(backend_names[i]) == (size_t)(colon - id) &&
            memcmp(backend_names[i], id, (size_t)(colon - id)) == 0) {
            *backend = (enum sy_backend_id)i;
            *index = (uint32_t)number;
            return true;
        }
    }
    return false;
}

enum sy_status sy_device_open(struct sy_ctx *ctx, const char *id, struct sy_device **out_device)
{
    if (id == NULL)
        return sy_fail(ctx, SY_INVALID,
                       "sy_device_open: the device id is NULL; pass \"auto\" or an id such as \"opencl:0\"");
    SY_TRY(sy_env_check(ctx, "SY_NO_CACHE"));
    SY_TRY(sy_env_check(ctx, "SY_COMPILE_ALONE"));
    SY_TRY(sy_env_check(ctx, "SY_MMA"));
    SY_TRY(sy_env_check(ctx, "SY_EMULATE_MMA"));
    SY_TRY(sy_env_check(ctx, "SY_EMULATE_AMX"));
    if (strcmp(id, "auto") == 0)
        return open_auto(ctx, out_device);
    enum sy_backend_id backend;
    uint32_t index;
    if (!parse_id(id, &backend, &index))
        return fail_unknown(ctx, id);
    if (sy_backend_get(backend)->close == NULL) // compiled out: it explains itself
        return sy_backend_get(backend)->open(ctx, index, out_device);
    struct sy_caps *list = NULL;
    size_t count = 0;
    enum sy_status status = list_backend(ctx, backend, &list, &count);
    free(list);
    SY_TRY(status);
    return index < count ? open_index(ctx, backend, index, out_device) : fail_unknown(ctx, id);
}

// ---- an open device --------------------------------------------------------------------------------------------

static void name_leftovers(const struct sy_device *device)
{
    char names[512] = "";
    size_t used = 0, count = 0;
    for (const struct sy_buffer *b = device->buffers; b != NULL; b = b->next, ++count) {
        int n = used < sizeof names ? snprintf(names + used, sizeof names - used, " '%s'", b->name) : 0;
        used += n > 0 ? (size_t)n : 0;
    }
    if (count + device->kernel_count + device->program_count + device->event_count != 0)
        sy_log(device->ctx, SY_LOG_WARN,
               "%s closed before %zu buffers, %u kernels, %u programs and %u reads of it were destroyed:%s",
               device->caps.id, count, device->kernel_count, device->program_count, device->event_count, names);
}

void sy_device_set_refused(struct sy_device *device, uint64_t refused)
{
    device->caps.refused = refused;
    device->caps.proved = true;
}

void sy_device_set_choices(struct sy_device *device, struct sy_choices *choices,
                           void (*destroy)(struct sy_choices *choices))
{
    if (device->choices != NULL && device->choices != choices)
        device->destroy_choices(device->choices);
    device->choices = choices;
    device->caps.choices = choices;
    device->destroy_choices = destroy;
}

struct sy_choices *sy_device_choices(struct sy_device *device) { return device->choices; }

void sy_device_close(struct sy_device **device)
{
    if (device == NULL || *device == NULL)
        return;
    if (!(*device)->lost && (*device)->backend->wait(*device) != SY_OK)
        sy_log((*device)->ctx, SY_LOG_WARN, "%s: unfinished work failed while closing: %s", (*device)->caps.id,
               sy_error((*device)->ctx));
    name_leftovers(*device);
    sy_device_set_choices(*device, NULL, NULL);
    (*device)->backend->close(*device);
    *device = NULL;
}

const struct sy_caps *sy_device_caps(const struct sy_device *device) { return &device->caps; }

struct sy_ctx *sy_device_ctx(const struct sy_device *device) { return device->ctx; }

uint64_t sy_device_allocated_bytes(const struct sy_device *device) { return device->allocated_bytes; }

enum sy_status sy_device_wait(struct sy_device *device)
{
    SY_TRY(sy_device_usable(device));
    return device->backend->wait(device);
}

enum sy_status sy_device_usable(struct sy_device *device)
{
    if (device->lost)
        return sy_fail(device->ctx, SY_DEVICE, "%s (%s) was lost by an earlier failure; close and reopen it",
                       device->caps.id, device->caps.name);
    return SY_OK;
}
