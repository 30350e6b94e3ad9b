// SPDX-License-Identifier: Apache-2.0
// opencl/survey.c: which devices the installed drivers offer, and what each can do.
#include "hostlib/opencl/survey.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hostlib/cache.h"
#include "hostlib/memory.h"
#include "hostlib/names.h"
#include "hostlib/quirk.h"

#define PLATFORM_NOT_FOUND (-1001) // CL_PLATFORM_NOT_FOUND_KHR: a loader without any driver
#define MIN_OFFSET_ALIGN 256u      // one plan for all devices: the largest alignment Vulkan may ask for

#ifndef CL_DEVICE_COMPUTE_CAPABILITY_MAJOR_NV // of cl_nv_device_attribute_query
#define CL_DEVICE_COMPUTE_CAPABILITY_MAJOR_NV 0x4000
#endif

#define POCL "Portable Computing Language" // the platform's name

static void get_platform_text(cl_platform_id platform, cl_platform_info what, char *out, size_t room);

/// PoCL without a place for its kernels hides its devices and says nothing.
static void explain_empty(struct sy_ctx *ctx, cl_platform_id platform)
{
    char name[256];
    const char *folder = getenv("POCL_CACHE_DIR");
    get_platform_text(platform, CL_PLATFORM_NAME, name, sizeof name);
    if (strcmp(name, POCL) == 0)
        sy_log(ctx, SY_LOG_WARN,
               "PoCL offers no device: most likely it can write its kernels nowhere (%s%s). Set POCL_CACHE_DIR to a "
               "folder that can be written",
               folder != NULL ? "POCL_CACHE_DIR is " : "POCL_CACHE_DIR is not set",
               folder != NULL ? folder : "; it then takes XDG_CACHE_HOME or HOME");
}

static enum sy_status add_platform(struct sy_ctx *ctx, cl_platform_id platform, struct sy_cl_found **found,
                                   size_t *count)
{
    cl_device_id ids[64];
    cl_uint n = 0;
    cl_int error = clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, SY_COUNT(ids), ids, &n);
    if (error != CL_SUCCESS && error != CL_DEVICE_NOT_FOUND)
        sy_log(ctx, SY_LOG_WARN, "an OpenCL platform is skipped: clGetDeviceIDs: %s (%d)", sy_cl_error_name(error),
               error);
    if (error == CL_DEVICE_NOT_FOUND || (error == CL_SUCCESS && n == 0))
        explain_empty(ctx, platform);
    if (error != CL_SUCCESS || n == 0)
        return SY_OK;
    n = n < SY_COUNT(ids) ? n : (cl_uint)SY_COUNT(ids);
    struct sy_cl_found *grown = realloc(*found, (*count + n) * sizeof **found);
    if (grown == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory listing OpenCL devices");
    for (cl_uint i = 0; i < n; ++i)
        grown[(*count)++] = (struct sy_cl_found){.platform = platform, .device = ids[i]};
    *found = grown;
    return SY_OK;
}

enum sy_status sy_cl_find(struct sy_ctx *ctx, struct sy_cl_found **out, size_t *out_count)
{
    cl_platform_id platforms[32];
    cl_uint n = 0;
    *out = NULL;
    *out_count = 0;
    cl_int error = clGetPlatformIDs(SY_COUNT(platforms), platforms, &n);
    if (error == PLATFORM_NOT_FOUND)
        return SY_OK;
    if (error != CL_SUCCESS)
        return sy_fail(ctx, SY_DEVICE, "clGetPlatformIDs: %s (%d); check the installed OpenCL drivers",
                       sy_cl_error_name(error), error);
    for (cl_uint i = 0; i < n && i < SY_COUNT(platforms); ++i) {
        enum sy_status status = add_platform(ctx, platforms[i], out, out_count);
        if (status != SY_OK) {
            free(*out);
            *out = NULL;
            return status;
        }
    }
    return SY_OK;
}

// ---- queries ---------------------------------------------------------------------------------------------------

// A question a driver cannot answer counts as 0 or "".
static cl_uint get_uint(cl_device_id device, cl_device_info what)
{
    cl_uint value = 0;
    return clGetDeviceInfo(device, what, sizeof value, &value, NULL) == CL_SUCCESS ? value : 0;
}

static cl_ulong get_ulong(cl_device_id device, cl_device_info what)
{
    cl_ulong value = 0;
    return clGetDeviceInfo(device, what, sizeof value, &value, NULL) == CL_SUCCESS ? value : 0;
}

static size_t get_size(cl_device_id device, cl_device_info what)
{
    size_t value = 0;
    return clGetDeviceInfo(device, what, sizeof value, &value, NULL) == CL_SUCCESS ? value : 0;
}

// Some drivers pad their names with spaces.
static void copy_trimmed(char *out, size_t room, const char *text)
{
    while (*text == ' ')
        ++text;
    size_t length = strlen(text);
    while (length > 0 && text[length - 1] == ' ')
        --length;
    snprintf(out, room, "%.*s", (int)(length < room ? length : room - 1), text);
}

static void get_text(cl_device_id device, cl_device_info what, char *out, size_t room)
{
    size_t bytes = 0;
    out[0] = '\0';
    if (clGetDeviceInfo(device, what, 0, NULL, &bytes) != CL_SUCCESS)
        return;
    char *text = calloc(bytes + 1, 1);
    if (text != NULL && clGetDeviceInfo(device, what, bytes, text, NULL) == CL_SUCCESS)
        copy_trimmed(out, room, text);
    free(text);
}

static void get_platform_text(cl_platform_id platform, cl_platform_info what, char *out, size_t room)
{
    char text[512] = "";
    if (clGetPlatformInfo(platform, what, sizeof text - 1, text, NULL) != CL_SUCCESS)
        text[0] = '\0';
    copy_trimmed(out, room, text);
}

static bool has_extension(const char *list, const char *name)
{
    const size_t length = strlen(name);
    for (const char *at = list; (at = strstr(at, name)) != NULL; at += length)
        if ((at == list || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return true;
    return false;
}

static uint32_t clamp32(uint64_t value) { return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX; }

// ---- capabilities ----------------------------------------------------------------------------------------------

/// Texts that go into names, decisions and the cache key.
struct texts {
    char platform[256], platform_version[256], vendor[256], device_version[128], driver_version[128];
    char extensions[8192];
};

static void get_texts(const struct sy_cl_found *f, struct texts *t)
{
    get_platform_text(f->platform, CL_PLATFORM_NAME, t->platform, sizeof t->platform);
    get_platform_text(f->platform, CL_PLATFORM_VERSION, t->platform_version, sizeof t->platform_version);
    get_text(f->device, CL_DEVICE_VENDOR, t->vendor, sizeof t->vendor);
    get_text(f->device, CL_DEVICE_VERSION, t->device_version, sizeof t->device_version);
    get_text(f->device, CL_DRIVER_VERSION, t->driver_version, sizeof t->driver_version);
    get_text(f->device, CL_DEVICE_EXTENSIONS, t->extensions, sizeof t->extensions);
}

// A CPU driver that compiles whole work-groups wants one item per group. Software GPUs (llvmpipe behind rusticl,
// the Oclgrind simulator) report themselves as CPUs too, but are best treated as the GPUs they imitate.
static void classify(cl_device_id device, const struct texts *t, struct sy_caps *caps)
{
    cl_device_type type = 0;
    if (clGetDeviceInfo(device, CL_DEVICE_TYPE, sizeof type, &type, NULL) != CL_SUCCESS)
        type = 0;
    const bool imitated = strstr(t->platform, "rusticl") != NULL || strstr(caps->name, "llvmpipe") != NULL ||
                          strstr(t->platform, "Oclgrind") != NULL || strstr(caps->name, "Oclgrind") != NULL;
    const bool cpu = (type & CL_DEVICE_TYPE_CPU) != 0;
    caps->device_class = cpu && !imitated ? SY_CLASS_CPU : SY_CLASS_SIMT;
    caps->software = cpu || strstr(caps->name, "llvmpipe") != NULL || strstr(t->platform, "Oclgrind") != NULL;
}

// PoCL 3.1: asking it for a binary compiles a second, general form of each kernel (twice the cold start, measured), and
// handing that binary back while its own cache was warm crashed it. Intel's CPU runtime 2026.2: see quirk.c.
static uint32_t quirks_of(const struct texts *t, const struct sy_caps *caps)
{
    uint32_t quirks = 0;
    if (strcmp(t->platform, POCL) == 0)
        quirks |= 1u << SY_QUIRK_OWN_CACHE | 1u << SY_QUIRK_DECLARE;
    if (strcmp(t->platform, "Intel(R) OpenCL") == 0 && caps->device_class == SY_CLASS_CPU)
        quirks |= 1u << SY_QUIRK_DRAIN_FILL;
    if (strcmp(t->platform, "Oclgrind") == 0)
        quirks |= 1u << SY_QUIRK_WRITE_ZEROS;
    return quirks;
}

static void make_key(const struct texts *t, struct sy_caps *caps, cl_uint address_bits)
{
    const char *parts[] = {t->platform,       t->platform_version, t->vendor,
                           t->device_version, t->driver_version,   caps->name};
    struct sy_cache_part slices[SY_COUNT(parts) + 1];
    for (size_t i = 0; i < SY_COUNT(parts); ++i)
        slices[i] = (struct sy_cache_part){parts[i], strlen(parts[i])};
    slices[SY_COUNT(parts)] = (struct sy_cache_part){&address_bits, sizeof address_bits};
    uint8_t key[SY_CACHE_KEY_BYTES];
    sy_cache_key(key, slices, SY_COUNT(slices));
    sy_cache_hex(caps->key, key);
}

static void fill_limits(cl_device_id device, struct sy_caps *caps)
{
    const size_t parameter_bytes = get_size(device, CL_DEVICE_MAX_PARAMETER_SIZE);
    const uint32_t align = get_uint(device, CL_DEVICE_MEM_BASE_ADDR_ALIGN) / 8;
    size_t items[3] = {0};
    uint64_t max_wg = get_size(device, CL_DEVICE_MAX_WORK_GROUP_SIZE);
    if (clGetDeviceInfo(device, CL_DEVICE_MAX_WORK_ITEM_SIZES, sizeof items, items, NULL) == CL_SUCCESS &&
        items[0] < max_wg)
        max_wg = items[0];
    caps->unified_memory = get_uint(device, CL_DEVICE_HOST_UNIFIED_MEMORY) != 0;
    caps->memory_bytes = get_ulong(device, CL_DEVICE_GLOBAL_MEM_SIZE);
    caps->max_alloc_bytes = get_ulong(device, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
    caps->max_binding_bytes = caps->max_alloc_bytes;
    // Pointers and the struct share the space of parameters; each side leaves room for the largest other.
    caps->max_args_bytes = parameter_bytes > 8 * SY_MAX_BINDINGS ? clamp32(parameter_bytes - 8 * SY_MAX_BINDINGS) : 0;
    caps->max_bindings = parameter_bytes > SY_MAX_ARGS_BYTES ? clamp32((parameter_bytes - SY_MAX_ARGS_BYTES) / 8) : 0;
    caps->shared_bytes = clamp32(get_ulong(device, CL_DEVICE_LOCAL_MEM_SIZE));
    caps->max_wg = clamp32(max_wg);
    caps->max_groups[0] = UINT32_MAX; // 1-D global sizes are size_t: kernels never see a folded grid
    caps->max_groups[1] = caps->max_groups[2] = 1;
    if (get_uint(device, CL_DEVICE_ADDRESS_BITS) == 32 && caps->max_wg > 0)
        caps->max_groups[0] = UINT32_MAX / caps->max_wg;
    caps->offset_align = align > MIN_OFFSET_ALIGN ? align : MIN_OFFSET_ALIGN;
    caps->cache_bytes = get_ulong(device, CL_DEVICE_GLOBAL_MEM_CACHE_SIZE);
    caps->compute_units = get_uint(device, CL_DEVICE_MAX_COMPUTE_UNITS);
}

/// A driver that computes on the CPU says what the machine has, not what is free. PoCL says less than that (hwloc's
/// count of the machine, less 2 GiB) and holds nobody to it, but to its users' own limit.
static void choose_memory(const struct texts *t, struct sy_caps *caps)
{
    const char *limit = getenv("POCL_MEMORY_LIMIT");
    const bool pocl = strcmp(t->platform, POCL) == 0, limited = pocl && limit != NULL && limit[0] != '\0';
    const struct sy_host_memory host = sy_host_memory("");
    snprintf(caps->memory_from, sizeof caps->memory_from, "%s",
             limited ? "the driver's; POCL_MEMORY_LIMIT is set" : "the driver's");
    if (!caps->software || (host.bytes >= caps->memory_bytes && (!pocl || limited)))
        return;
    caps->memory_bytes = host.bytes;
    snprintf(caps->memory_from, sizeof caps->memory_from, "%s%s", host.from,
             pocl ? "; POCL_MEMORY_LIMIT=GiB lowers it" : "");
    caps->max_alloc_bytes = caps->max_alloc_bytes < host.bytes ? caps->max_alloc_bytes : host.bytes;
    caps->max_binding_bytes = caps->max_alloc_bytes;
}

static bool host_has_avx512(void)
{
#ifdef __x86_64__
    return __builtin_cpu_supports("avx512f") != 0;
#else
    return false;
#endif
}

// The kinds of kernels/cores.cl.h, whose built-ins Intel's compiler has with the extension and AMD's with the
// architecture.
static bool has_cores(const struct texts *t, const struct sy_caps *caps)
{
    static const char *const architectures[] = {"gfx90a", "gfx940", "gfx941", "gfx942", "gfx110"};
    if (has_extension(t->extensions, "cl_intel_subgroup_matrix_multiply_accumulate"))
        return true;
    for (size_t i = 0; strstr(t->platform, "AMD") != NULL && i < SY_COUNT(architectures); ++i)
        if (strncmp(caps->name, architectures[i], strlen(architectures[i])) == 0)
            return true;
    return false;
}

void sy_cl_fill_caps(const struct sy_cl_found *found, struct sy_caps *caps)
{
    struct texts t;
    get_texts(found, &t);
    *caps = (struct sy_caps){.backend = SY_BACKEND_OPENCL};
    get_text(found->device, CL_DEVICE_NAME, caps->name, sizeof caps->name);
    snprintf(caps->driver, sizeof caps->driver, "%.120s %.120s", t.platform, t.driver_version);
    // "OpenCL 3.0 vendor's words" → "OpenCL 3.0"
    const char *space = strchr(t.device_version, ' ');
    const size_t length = space != NULL ? (size_t)(space + 1 - t.device_version) + strcspn(space + 1, " ") : 0;
    snprintf(caps->api, sizeof caps->api, "%.*s", (int)length, t.device_version);
    classify(found->device, &t, caps);
    fill_limits(found->device, caps);
    choose_memory(&t, caps);
    caps->bf16 = true; // as ushort: OpenCL C has had 16-bit pointers from the start
    caps->fp16 = has_extension(t.extensions, "cl_khr_fp16");
    caps->command_buffers = has_extension(t.extensions, "cl_khr_command_buffer");
    caps->avx512 = caps->device_class == SY_CLASS_CPU && host_has_avx512();
    caps->avx512_bf16 = caps->avx512 && strcmp(t.platform, POCL) == 0 && sy_cl_avx512_bf16();
    caps->amx = caps->device_class == SY_CLASS_CPU && strcmp(t.platform, POCL) == 0 && sy_cl_amx();
    // Only on request while no GPU has been seen to run it.
    caps->mma = sy_env_switch("SY_MMA", false) && has_extension(t.extensions, "cl_nv_device_attribute_query") &&
                get_uint(found->device, CL_DEVICE_COMPUTE_CAPABILITY_MAJOR_NV) >= 8;
    caps->cores = sy_env_switch("SY_MMA", false) && has_cores(&t, caps);
    caps->mma_emulated = !caps->mma && sy_env_switch("SY_EMULATE_MMA", false);
    caps->quirks = quirks_of(&t, caps);
    make_key(&t, caps, get_uint(found->device, CL_DEVICE_ADDRESS_BITS));
}

const char *sy_cl_missing(const struct sy_cl_found *found)
{
    char version[128];
    unsigned major = 0, minor = 0;
    get_text(found->device, CL_DEVICE_VERSION, version, sizeof version);
    if (sscanf(version, "OpenCL %u.%u", &major, &minor) != 2 || major * 10 + minor < 12)
        return "OpenCL 1.2";
    if (get_uint(found->device, CL_DEVICE_AVAILABLE) == 0)
        return "being available (another program may hold it)";
    if (get_uint(found->device, CL_DEVICE_COMPILER_AVAILABLE) == 0)
        return "a compiler for OpenCL C";
    if (get_uint(found->device, CL_DEVICE_ENDIAN_LITTLE) == 0)
        return "little-endian memory";
    return NULL;
}

bool sy_cl_has_fma(const struct sy_cl_found *found)
{
    cl_device_fp_config config = 0;
    return clGetDeviceInfo(found->device, CL_DEVICE_SINGLE_FP_CONFIG, sizeof config, &config, NULL) == CL_SUCCESS &&
           (config & CL_FP_FMA) != 0;
}
