// SPDX-License-Identifier: Apache-2.0
// opencl/kernel.c: compiles one kernel from OpenCL C, or takes its binary from the cache.
#include "hostlib/opencl/opencl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hostlib/quirk.h"

#define CACHE_KIND "opencl"

/// One compilation.
struct build {
    struct sy_cl_device *device;
    const struct sy_kernel_params *params;
    char options[512];
    uint8_t key[SY_CACHE_KEY_BYTES];
};

static enum sy_status start_build(struct sy_cl_device *device, const struct sy_kernel_params *params, struct build *b)
{
    const bool narrow = device->base.caps.device_class == SY_CLASS_CPU && !device->base.caps.avx512;
    b->device = device;
    b->params = params;
    // No -cl-fast-relaxed-math nor -cl-mad-enable: results must not depend on a compiler's taste. -w: some drivers
    // write warnings to the terminal, and those of our kernels are about how drivers pass vectors to functions they
    // inline.
    char emulated[32] = "";
    if (device->base.caps.cores_emulated != 0)
        snprintf(emulated, sizeof emulated, " -DCORES_EMULATED=%u", device->base.caps.cores_emulated);
    const char *more = getenv("SY_CL_OPTIONS"); // for trials
    int n = snprintf(b->options, sizeof b->options, "-cl-std=CL1.2 -w -DWG=%u -DVEC=%u%s%s%s%s %s%s%s", params->wg,
                     params->vec, device->no_fma ? " -DNO_FMA" : "", narrow ? " -DNO_AVX512" : "",
                     device->base.caps.mma ? " -DPTX" : "", emulated, params->cl_defines,
                     more != NULL && *more != '\0' ? " " : "", more != NULL ? more : "");
    if (n < 0 || n >= (int)sizeof b->options)
        return sy_fail(device->base.ctx, SY_INVALID,
                       "kernel %s: cl_defines and SY_CL_OPTIONS are longer than %zu bytes together",
                       params->source.name, sizeof b->options - 96);
    const struct sy_cache_part parts[] = {
        {params->source.cl_text, strlen(params->source.cl_text)},
        {b->options, strlen(b->options)},
        {device->base.caps.key, strlen(device->base.caps.key)},
    };
    sy_cache_key(b->key, parts, SY_COUNT(parts));
    return SY_OK;
}

enum sy_status sy_cl_kernel_key(struct sy_device *device, const struct sy_kernel_params *params,
                                uint8_t out_key[SY_CACHE_KEY_BYTES])
{
    struct build b;
    SY_TRY(start_build((struct sy_cl_device *)device, params, &b));
    memcpy(out_key, b.key, sizeof b.key);
    return SY_OK;
}

// ---- cache -----------------------------------------------------------------------------------------------------

// The cached binary as a built program, or NULL. A driver may refuse a binary at any time: then it is compiled anew.
static cl_program from_cache(const struct build *b)
{
    void *data = NULL;
    size_t bytes = 0;
    if (b->params->inspect || sy_has_quirk(&b->device->base.caps, SY_QUIRK_OWN_CACHE) ||
        !sy_cache_load(b->device->base.ctx, CACHE_KIND, b->key, &data, &bytes))
        return NULL;
    const unsigned char *binary = data;
    cl_int error = CL_SUCCESS, status = CL_SUCCESS;
    cl_program program =
        clCreateProgramWithBinary(b->device->context, 1, &b->device->id, &bytes, &binary, &status, &error);
    free(data);
    if (error != CL_SUCCESS)
        return NULL;
    if (status == CL_SUCCESS && clBuildProgram(program, 1, &b->device->id, b->options, NULL, NULL) == CL_SUCCESS)
        return program;
    clReleaseProgram(program);
    return NULL;
}

static void to_cache(const struct build *b, cl_program program)
{
    size_t bytes = 0;
    if (b->params->inspect || sy_has_quirk(&b->device->base.caps, SY_QUIRK_OWN_CACHE) ||
        clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof bytes, &bytes, NULL) != CL_SUCCESS || bytes == 0)
        return;
    unsigned char *binary = malloc(bytes);
    if (binary != NULL && clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof binary, &binary, NULL) == CL_SUCCESS)
        sy_cache_store(b->device->base.ctx, CACHE_KIND, b->key, binary, bytes);
    free(binary);
}

// ---- compiling -------------------------------------------------------------------------------------------------

static char *build_log(const struct build *b, cl_program program)
{
    size_t bytes = 0;
    if (clGetProgramBuildInfo(program, b->device->id, CL_PROGRAM_BUILD_LOG, 0, NULL, &bytes) != CL_SUCCESS)
        return NULL;
    char *log = calloc(bytes + 1, 1);
    if (log != NULL)
        clGetProgramBuildInfo(program, b->device->id, CL_PROGRAM_BUILD_LOG, bytes, log, NULL);
    return log;
}

// The message holds the beginning of the compiler's log; all of it goes to the debug log, line by line.
static enum sy_status fail_build(const struct build *b, cl_program program, cl_int error)
{
    struct sy_ctx *ctx = b->device->base.ctx;
    char *log = build_log(b, program);
    for (const char *line = log; line != NULL && *line != '\0';) {
        const size_t length = strcspn(line, "\n");
        sy_log(ctx, SY_LOG_DEBUG, "%s: %.*s", b->params->source.name, (int)(length < 900 ? length : 900), line);
        line += length + (line[length] == '\n');
    }
    enum sy_status status =
        sy_fail(ctx, SY_DEVICE, "kernel %s does not compile on %s (%s) with \"%s\": %s (%d): %.600s",
                b->params->source.name, b->device->base.caps.id, b->device->base.caps.name, b->options,
                sy_cl_error_name(error), error, log != NULL && log[0] != '\0' ? log : "no log");
    free(log);
    return status;
}

// The program with our declarations of built-in functions in place of those the driver would read: clang skips a header
// whose guard is defined. NULL where that is not wanted or does not build; the driver's own declarations then decide.
static cl_program from_source_declared(const struct build *b)
{
    char options[sizeof b->options + 16];
    const char *const texts[] = {sy_cl_builtins, b->params->source.cl_text};
    if (!sy_has_quirk(&b->device->base.caps, SY_QUIRK_DECLARE))
        return NULL;
    snprintf(options, sizeof options, "-D_OPENCL_H_ %s", b->options);
    cl_program program =
        clCreateProgramWithSource(b->device->context, SY_COUNT(texts), (const char **)texts, NULL, NULL);
    if (program == NULL || clBuildProgram(program, 1, &b->device->id, options, NULL, NULL) == CL_SUCCESS)
        return program;
    clReleaseProgram(program);
    sy_log(b->device->base.ctx, SY_LOG_DEBUG, "kernel %s needs the driver's own declarations", b->params->source.name);
    return NULL;
}

static enum sy_status from_source(const struct build *b, cl_program *out)
{
    cl_int error = CL_SUCCESS;
    const char *text = b->params->source.cl_text;
    *out = from_source_declared(b);
    if (*out != NULL)
        return SY_OK;
    cl_program program = clCreateProgramWithSource(b->device->context, 1, &text, NULL, &error);
    if (error != CL_SUCCESS)
        return sy_fail(b->device->base.ctx, SY_DEVICE, "kernel %s on %s: clCreateProgramWithSource: %s (%d)",
                       b->params->source.name, b->device->base.caps.id, sy_cl_error_name(error), error);
    error = clBuildProgram(program, 1, &b->device->id, b->options, NULL, NULL);
    if (error != CL_SUCCESS) {
        enum sy_status status = fail_build(b, program, error);
        clReleaseProgram(program);
        return status;
    }
    *out = program;
    return SY_OK;
}

// ---- checking the result ---------------------------------------------------------------------------------------

static enum sy_status check_limits(const struct build *b, cl_kernel kernel)
{
    const struct sy_caps *caps = &b->device->base.caps;
    const char *name = b->params->source.name;
    cl_uint args = 0;
    cl_ulong local = 0;
    size_t wg = 0;
    if (clGetKernelInfo(kernel, CL_KERNEL_NUM_ARGS, sizeof args, &args, NULL) == CL_SUCCESS &&
        args != b->params->binding_count + 1)
        return sy_fail(b->device->base.ctx, SY_INVALID,
                       "kernel %s has %u parameters in OpenCL C; expected %u bindings and 1 struct", name, args,
                       b->params->binding_count);
    if (clGetKernelWorkGroupInfo(kernel, b->device->id, CL_KERNEL_LOCAL_MEM_SIZE, sizeof local, &local, NULL) ==
            CL_SUCCESS &&
        local > caps->shared_bytes)
        return sy_fail(b->device->base.ctx, SY_UNSUPPORTED,
                       "kernel %s wants %llu bytes of local memory, %s (%s) has %u", name, (unsigned long long)local,
                       caps->id, caps->name, caps->shared_bytes);
    if (clGetKernelWorkGroupInfo(kernel, b->device->id, CL_KERNEL_WORK_GROUP_SIZE, sizeof wg, &wg, NULL) ==
            CL_SUCCESS &&
        wg < b->params->wg)
        return sy_fail(b->device->base.ctx, SY_UNSUPPORTED,
                       "kernel %s runs at most %zu items of a work-group on %s (%s), not %u", name, wg, caps->id,
                       caps->name, b->params->wg);
    return SY_OK;
}

static enum sy_status check_entry(const struct build *b, cl_program program)
{
    cl_int error = CL_SUCCESS;
    cl_kernel kernel = clCreateKernel(program, b->params->source.name, &error);
    if (error != CL_SUCCESS)
        return sy_fail(b->device->base.ctx, SY_DEVICE, "kernel %s on %s: clCreateKernel: %s (%d)",
                       b->params->source.name, b->device->base.caps.id, sy_cl_error_name(error), error);
    enum sy_status status = check_limits(b, kernel);
    clReleaseKernel(kernel);
    return status;
}

enum sy_status sy_cl_kernel_create(struct sy_device *device, const struct sy_kernel_params *params,
                                   struct sy_kernel **out)
{
    struct build b;
    SY_TRY(start_build((struct sy_cl_device *)device, params, &b));
    struct sy_cl_kernel *kernel = calloc(1, sizeof *kernel);
    if (kernel == NULL)
        return sy_fail(device->ctx, SY_NOMEM, "out of host memory for kernel %s", params->source.name);
    enum sy_status status = SY_OK;
    kernel->program = from_cache(&b);
    const bool hit = kernel->program != NULL;
    if (!hit)
        status = from_source(&b, &kernel->program);
    if (status == SY_OK)
        status = check_entry(&b, kernel->program);
    if (status != SY_OK) {
        if (kernel->program != NULL)
            clReleaseProgram(kernel->program);
        free(kernel);
        return status;
    }
    if (!hit)
        to_cache(&b, kernel->program);
    *out = &kernel->base;
    return SY_OK;
}

void sy_cl_kernel_destroy(struct sy_kernel *base)
{
    clReleaseProgram(((struct sy_cl_kernel *)base)->program);
    free(base);
}
