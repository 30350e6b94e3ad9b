// SPDX-License-Identifier: Apache-2.0
// ops_run.c: one case of one op: fill and run. ops_judge.c looks at the result.
#include "tests/ops_run.h"

#include <stdlib.h>

enum { GUARD_BYTES = 64, DUMMY_BYTES = 16 };
#define POISON_F32 0x7fc0dea1u // quiet NaNs, and an integer no op produces
#define POISON_BF16 0x7fdeu
#define POISON_I32 0x7f7f7f7fu

uint32_t sy_rng_u32(struct sy_rng *rng)
{
    uint64_t z = rng->state += 0x9e3779b97f4a7c15u; // splitmix64
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ (z >> 31)) >> 32);
}

double sy_rng_uniform(struct sy_rng *rng) { return sy_rng_u32(rng) * 0x1p-32; }

double sy_rng_normal(struct sy_rng *rng)
{
    const double u = (sy_rng_u32(rng) + 1.0) * 0x1p-32, v = sy_rng_uniform(rng);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

const char *ops_types_name(enum sy_op_types types)
{
    return types == SY_TYPES_F ? "f32" : types == SY_TYPES_B ? "bf16" : types == SY_TYPES_M ? "bf16→f32" : "f64";
}

// ---- filling -------------------------------------------------------------------------------------------------------

static struct sy_step default_step(void)
{
    return (struct sy_step){
        .step = 3,
        .seed_lo = 0x5eed1234u,
        .seed_hi = 0x0badcafeu,
        .lr = 0.01f,
        .beta2 = (float)(1.0 - pow(3.0, -0.8)),
        .adam_c1 = (float)(1.0 / (1.0 - pow(0.9, 3.0))),
        .adam_c2 = (float)(1.0 / (1.0 - pow(0.999, 3.0))),
        .inv_labels = 1.0f / 64.0f,
        .inv_tokens_enc = 1.0f / 48.0f,
        .inv_tokens_dec = 1.0f / 40.0f,
        .inv_groups_enc = 1.0f / 4.0f,
        .inv_groups_dec = 1.0f / 3.0f,
        .row_enc = 24,
        .row_dec = 40,
        .sequence = 3,
    };
}

bool ops_case_create(const struct sy_op_cases *cases, enum sy_op_types types, size_t index, struct ops_case *out)
{
    *out = (struct ops_case){.cases = cases, .info = sy_op_info(cases->op), .types = types, .index = index};
    out->args = (const char *)cases->args + index * cases->args_bytes;
    out->step = default_step();
    struct sy_rng rng = {.state = 1000u * index + 17u};
    for (const char *letter = out->info->name; *letter != '\0'; ++letter)
        rng.state = rng.state * 31u + (unsigned char)*letter;

    uint64_t counts[SY_MAX_BINDINGS] = {0};
    for (uint32_t i = 0; i < out->info->binding_count; ++i) {
        out->elements[i] =
            i == out->info->const_binding ? sizeof(struct sy_step) / 4 : out->info->impl->elements(out->args, i);
        counts[i] = out->elements[i] != 0 ? out->elements[i] : 1;
        out->values[i] = calloc(counts[i], sizeof(double));
        if (out->values[i] == NULL)
            return false;
        if (ops_is_float(sy_op_dtype(out->info, i, types)))
            for (uint64_t j = 0; j < counts[i]; ++j)
                out->values[i][j] = sy_rng_normal(&rng);
    }
    if (cases->fill != NULL)
        cases->fill(out->args, out->values, counts, &out->step, &rng);
    for (uint32_t i = 0; i < out->info->binding_count; ++i) {
        const enum sy_dtype t = sy_op_dtype(out->info, i, types);
        for (uint64_t j = 0; j < counts[i] && ops_is_float(t); ++j)
            out->values[i][j] = t == SY_BF16 ? sy_bf16_to_f32(sy_f32_to_bf16((float)out->values[i][j]))
                                             : (double)(float)out->values[i][j];
    }
    return true;
}

void ops_case_destroy(struct ops_case *test)
{
    for (uint32_t i = 0; i < SY_MAX_BINDINGS; ++i)
        free(test->values[i]);
    *test = (struct ops_case){0};
}

static void store_poison(uint8_t *at, enum sy_dtype t)
{
    const uint16_t half = POISON_BF16;
    const uint32_t word = t == SY_F32 ? POISON_F32 : POISON_I32;
    if (t == SY_BF16)
        memcpy(at, &half, sizeof half);
    else
        memcpy(at, &word, sizeof word);
}

bool ops_is_poison(const uint8_t *at, enum sy_dtype t)
{
    uint8_t poison[sizeof(double)] = {0};
    store_poison(poison, t);
    return memcmp(at, poison, sy_dtype_bytes(t)) == 0;
}

bool ops_image_create(const struct ops_case *test, uint32_t i, enum sy_dtype t, uint32_t align, struct ops_image *out)
{
    const struct sy_op_info *info = test->info;
    const size_t size = sy_dtype_bytes(t);
    out->offset = align > GUARD_BYTES ? align : sy_ceil_div(GUARD_BYTES, align) * align;
    out->data_bytes = test->elements[i] * size;
    out->total = out->offset + sy_ceil_div(out->data_bytes + DUMMY_BYTES, 4) * 4 + GUARD_BYTES;
    out->bytes = malloc(out->total);
    if (out->bytes == NULL)
        return false;
    memset(out->bytes, OPS_GUARD_BYTE, out->total);
    if (i == info->const_binding) {
        memcpy(out->bytes + out->offset, &test->step, sizeof test->step);
        return true;
    }
    const struct sy_ref_tensor tensor = ops_tensor_of(out, t);
    for (uint64_t j = 0; j < test->elements[i]; ++j)
        if (info->read_mask >> i & 1u)
            sy_st(&tensor, j, test->values[i][j]);
        else
            store_poison(out->bytes + out->offset + j * size, t);
    return true;
}

// ---- running -------------------------------------------------------------------------------------------------------

static enum sy_status submit_and_read(struct sy_device *device, const char *name, const struct sy_dispatch *dispatch,
                                      uint32_t count, struct ops_result *out)
{
    struct sy_program *program = NULL;
    enum sy_status status = sy_program_create(device, name, dispatch, 1, &program);
    if (status == SY_OK)
        status = sy_program_submit(program);
    for (uint32_t i = 0; i < count && status == SY_OK; ++i)
        status = sy_buffer_read(dispatch->bindings[i].buffer, 0, out->images[i].bytes, out->images[i].total);
    const enum sy_status waited = sy_device_wait(device);
    sy_program_destroy(&program);
    return status != SY_OK ? status : waited;
}

enum sy_status ops_run(const struct ops_case *test, enum sy_op_types types, struct sy_device *device,
                       struct sy_kernel *kernel, struct ops_result *out)
{
    const struct sy_op_info *info = test->info;
    const struct sy_caps *caps = sy_device_caps(device);
    const struct sy_knobs knobs = sy_op_knobs(test->cases->op, caps);
    struct sy_dispatch dispatch = {.kernel = kernel,
                                   .write_mask = info->write_mask,
                                   .groups = info->impl->groups(test->args, &knobs),
                                   .label = info->name,
                                   .flops = info->impl->flops != NULL ? info->impl->flops(test->args) : 0.0};
    memcpy(dispatch.args, test->args, info->args_bytes);
    *out = (struct ops_result){0};
    enum sy_status status = SY_OK;
    for (uint32_t i = 0; i < info->binding_count && status == SY_OK; ++i) {
        struct ops_image *image = &out->images[i];
        struct sy_binding *binding = &dispatch.bindings[i];
        const uint32_t align = caps->offset_align != 0 ? caps->offset_align : 4;
        if (!ops_image_create(test, i, sy_op_dtype(info, i, types), align, image)) {
            status = sy_fail(sy_device_ctx(device), SY_NOMEM, "test data: out of host memory");
            break;
        }
        binding->offset_bytes = image->offset;
        binding->bytes = image->data_bytes != 0 ? sy_ceil_div(image->data_bytes, 4) * 4 : DUMMY_BYTES;
        status = sy_buffer_create(device, info->binding_names[i], image->total, &binding->buffer);
        if (status == SY_OK)
            status = sy_buffer_write(binding->buffer, 0, image->bytes, image->total);
    }
    if (status == SY_OK)
        status = submit_and_read(device, info->name, &dispatch, info->binding_count, out);
    for (uint32_t i = 0; i < info->binding_count; ++i)
        sy_buffer_destroy(&dispatch.bindings[i].buffer);
    return status;
}

void ops_result_destroy(struct ops_result *result)
{
    for (uint32_t i = 0; i < SY_MAX_BINDINGS; ++i)
        free(result->images[i].bytes);
    *result = (struct ops_result){0};
}
