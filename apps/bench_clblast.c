// SPDX-License-Identifier: Apache-2.0
// bench_clblast.c: CLBlast in a context of its own, on the device that has the name of the one that is measured.
#define CL_TARGET_OPENCL_VERSION 120
#include "apps/bench_blas.h"

#include <clblast_c.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/cli.h"

struct bench_clblast {
    uint32_t n;
    cl_context context;
    cl_command_queue queue;
    cl_mem a, b, c;
};

enum { MOST_PLATFORMS = 16, MOST_DEVICES = 64 };

static cl_device_id find_device(const char *name)
{
    cl_platform_id platforms[MOST_PLATFORMS];
    cl_uint count = 0;
    if (clGetPlatformIDs(MOST_PLATFORMS, platforms, &count) != CL_SUCCESS)
        return NULL;
    for (cl_uint p = 0; p < count && p < MOST_PLATFORMS; ++p) {
        cl_device_id devices[MOST_DEVICES];
        cl_uint found = 0;
        if (clGetDeviceIDs(platforms[p], CL_DEVICE_TYPE_ALL, MOST_DEVICES, devices, &found) != CL_SUCCESS)
            continue;
        for (cl_uint d = 0; d < found && d < MOST_DEVICES; ++d) {
            char text[256] = "";
            if (clGetDeviceInfo(devices[d], CL_DEVICE_NAME, sizeof text, text, NULL) == CL_SUCCESS &&
                strcmp(text, name) == 0)
                return devices[d];
        }
    }
    return NULL;
}

double bench_clblast_seconds(struct bench_clblast *r)
{
    double from = cli_seconds();
    cl_event done = NULL;
    if (CLBlastSgemm(CLBlastLayoutRowMajor, CLBlastTransposeNo, CLBlastTransposeYes, r->n, r->n, r->n, 1.0f, r->a, 0,
                     r->n, r->b, 0, r->n, 0.0f, r->c, 0, r->n, &r->queue, &done) != CLBlastSuccess)
        return -1.0;
    cl_int error = clWaitForEvents(1, &done);
    clReleaseEvent(done);
    return error == CL_SUCCESS ? cli_seconds() - from : -1.0;
}

// Small whole numbers, whose sums are exact in f32 below 2^24.
static float value(size_t row, size_t column) { return (float)((row * 7 + column * 3) % 5) - 2.0f; }

/// Whether c = a · bᵀ in every element of the rows that are looked at: first, last and some between.
static bool right(const struct bench_clblast *r, const float *c)
{
    for (size_t i = 0; i < r->n; i += i + 1 < r->n && i + 1 + r->n / 8 >= r->n ? r->n - 1 - i : 1 + r->n / 8) {
        for (size_t j = 0; j < r->n; ++j) {
            double sum = 0.0;
            for (size_t k = 0; k < r->n; ++k)
                sum += (double)value(i, k) * (double)value(j, k);
            if (fabs((double)c[i * r->n + j] - sum) > 0.0)
                return false;
        }
        if (i == r->n - 1)
            break;
    }
    return true;
}

static enum sy_status prepare(struct sy_ctx *ctx, const struct sy_caps *caps, struct bench_clblast *r)
{
    cl_device_id device = find_device(caps->name);
    if (device == NULL)
        return sy_fail(ctx, SY_DEVICE, "CLBlast: no OpenCL device is called \"%s\"", caps->name);
    cl_int error = CL_SUCCESS;
    r->context = clCreateContext(NULL, 1, &device, NULL, NULL, &error);
    if (error == CL_SUCCESS)
        r->queue = clCreateCommandQueue(r->context, device, 0, &error);
    size_t bytes = (size_t)r->n * r->n * sizeof(float);
    cl_mem *buffers[] = {&r->a, &r->b, &r->c};
    for (size_t i = 0; i < SY_COUNT(buffers) && error == CL_SUCCESS; ++i)
        *buffers[i] = clCreateBuffer(r->context, CL_MEM_READ_WRITE, bytes, NULL, &error);
    if (error != CL_SUCCESS)
        return sy_fail(ctx, SY_DEVICE, "CLBlast: %s refused a context, a queue or %zu bytes (OpenCL error %d)",
                       caps->id, bytes, (int)error);
    float *host = malloc(bytes);
    if (host == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    for (size_t i = 0; i < r->n; ++i)
        for (size_t j = 0; j < r->n; ++j)
            host[i * r->n + j] = value(i, j);
    bool good = clEnqueueWriteBuffer(r->queue, r->a, CL_TRUE, 0, bytes, host, 0, NULL, NULL) == CL_SUCCESS &&
                clEnqueueWriteBuffer(r->queue, r->b, CL_TRUE, 0, bytes, host, 0, NULL, NULL) == CL_SUCCESS &&
                bench_clblast_seconds(r) >= 0.0 &&
                clEnqueueReadBuffer(r->queue, r->c, CL_TRUE, 0, bytes, host, 0, NULL, NULL) == CL_SUCCESS;
    bool known = good && right(r, host);
    free(host);
    if (!good)
        return sy_fail(ctx, SY_DEVICE, "CLBlast failed on %s", caps->id);
    return known ? SY_OK
                 : sy_fail(ctx, SY_DEVICE,
                           "CLBlast's product on %s is wrong (its GEMM is, before 1.6.3, with some tunings): no rival",
                           caps->id);
}

enum sy_status bench_clblast_open(struct sy_ctx *ctx, const struct sy_caps *caps, uint32_t n,
                                  struct bench_clblast **out)
{
    *out = NULL;
    if (strncmp(caps->id, "opencl:", strlen("opencl:")) != 0)
        return SY_OK;
    struct bench_clblast *r = calloc(1, sizeof *r);
    if (r == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    r->n = n;
    enum sy_status status = prepare(ctx, caps, r);
    if (status != SY_OK)
        bench_clblast_close(&r);
    *out = r;
    return status;
}

void bench_clblast_close(struct bench_clblast **rival)
{
    struct bench_clblast *r = *rival;
    if (r == NULL)
        return;
    cl_mem buffers[] = {r->a, r->b, r->c};
    for (size_t i = 0; i < SY_COUNT(buffers); ++i)
        if (buffers[i] != NULL)
            clReleaseMemObject(buffers[i]);
    if (r->queue != NULL)
        clReleaseCommandQueue(r->queue);
    if (r->context != NULL)
        clReleaseContext(r->context);
    free(r);
    *rival = NULL;
}
