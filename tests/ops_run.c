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

/// `elements` poisoned elements of type t at a multiple of `align`, between guards. bytes: free().
static bool image_between_guards(uint64_t elements, enum sy_dtype t, uint32_t align, struct ops_image *out)
{
    const size_t size = sy_dtype_bytes(t);
    out->offset = align > GUARD_BYTES ? align : sy_ceil_div(GUARD_BYTES, align) * align;
    out->data_bytes = elements * size;
    out->total = out->offset + sy_ceil_div(out->data_bytes + DUMMY_BYTES, 4) * 4 + GUARD_BYTES;
    out->bytes = malloc(out->total);
    if (out->bytes == NULL)
        return false;
    memset(out->bytes, OPS_GUARD_BYTE, out->total);
    for (uint64_t j = 0; j < elements; ++j)
        store_poison(out->bytes + out->offset + j * size, t);
    return true;
}

bool ops_image_create(const struct ops_case *test, uint32_t i, enum sy_dtype t, uint32_t align, struct ops_image *out)
{
    const struct sy_op_info *info = test->info;
    if (!image_between_guards(test->elements[i], t, align, out))
        return false;
    const struct sy_ref_tensor tensor = ops_tensor_of(out, t);
    if (i == info->const_binding)
        memcpy(out->bytes + out->offset, &test->step, sizeof test->step);
    else if (info->read_mask >> i & 1u)
        for (uint64_t j = 0; j < test->elements[i]; ++j)
            sy_st(&tensor, j, test->values[i][j]);
    return true;
}

// ---- running -------------------------------------------------------------------------------------------------------

enum sy_status ops_kernel_create(struct sy_device *device, const struct sy_variant *v, enum sy_op_types types,
                                 struct ops_kernel *out)
{
    return ops_kernel_create_as(device, sy_device_caps(device), v, types, 0, out);
}

enum sy_status ops_kernel_create_as(struct sy_device *device, const struct sy_caps *caps, const struct sy_variant *v,
                                    enum sy_op_types types, uint32_t choice, struct ops_kernel *out)
{
    struct sy_kernel_params params;
    *out = (struct ops_kernel){.device = device, .caps = caps, .variant = v, .types = types, .choice = choice};
    sy_variant_kernel_params(v, types, choice, caps, &params);
    SY_TRY(sy_kernel_create(device, &params, &out->kernel));
    if (v->before == SY_OP_COUNT)
        return SY_OK;
    out->before_types = types == SY_TYPES_M ? SY_TYPES_B : types; // what is prepared is an input
    enum sy_status status =
        sy_variant_choose(sy_device_ctx(device), v->before, out->before_types, caps, &out->before_variant);
    if (status == SY_OK) {
        sy_variant_kernel_params(out->before_variant, out->before_types, 0, caps, &params);
        status = sy_kernel_create(device, &params, &out->before);
    }
    if (status != SY_OK)
        ops_kernel_destroy(out);
    return status;
}

void ops_kernel_destroy(struct ops_kernel *k)
{
    sy_kernel_destroy(&k->kernel);
    sy_kernel_destroy(&k->before);
}

/// One run: what is dispatched, and the buffers it needs.
struct launch {
    const struct ops_case *test;
    const struct ops_kernel *k;
    struct sy_dispatch dispatches[2]; ///< The op that runs before, then the op.
    uint32_t count;
    struct ops_image prepared; ///< What the op before writes, between guards, poisoned.
};

static struct sy_dispatch dispatch_of(const struct ops_kernel *k, struct sy_kernel *kernel, const struct sy_variant *v,
                                      const void *args)
{
    const struct sy_op_info *info = sy_op_info(v->op);
    struct sy_dispatch d = {.kernel = kernel,
                            .write_mask = info->write_mask,
                            .groups = sy_variant_groups(v, v == k->variant ? k->choice : 0, args, k->caps),
                            .label = info->name,
                            .flops = info->impl->flops(args)};
    memcpy(d.args, args, info->args_bytes);
    return d;
}

static enum sy_status upload(struct sy_device *device, const char *name, const struct ops_image *image,
                             struct sy_binding *binding)
{
    binding->offset_bytes = image->offset;
    binding->bytes = image->data_bytes != 0 ? sy_ceil_div(image->data_bytes, 4) * 4 : DUMMY_BYTES;
    SY_TRY(sy_buffer_create(device, name, image->total, &binding->buffer));
    return sy_buffer_write(binding->buffer, 0, image->bytes, image->total);
}

static uint32_t alignment(const struct ops_kernel *k)
{
    const uint32_t align = sy_device_caps(k->device)->offset_align;
    return align != 0 ? align : 4;
}

/// Puts the op that the variant wants run before in front, writing a tensor of its own.
static enum sy_status put_before(struct launch *l, const struct sy_before *before)
{
    const struct ops_kernel *k = l->k;
    const struct sy_op_info *info = sy_op_info(before->op);
    struct sy_dispatch own = l->dispatches[0], *first = &l->dispatches[0];
    const enum sy_dtype t = sy_op_dtype(info, 1, k->before_types);
    if (!image_between_guards(info->impl->elements(before->args, 1), t, alignment(k), &l->prepared))
        return sy_fail(sy_device_ctx(k->device), SY_NOMEM, "test data: out of host memory");
    *first = dispatch_of(k, k->before, k->before_variant, before->args);
    first->bindings[0] = own.bindings[before->binding];
    l->count = 2;
    const enum sy_status status = upload(k->device, "prepared", &l->prepared, &first->bindings[1]);
    own.bindings[before->binding] = first->bindings[1];
    l->dispatches[1] = own;
    return status;
}

/// Reads every tensor of the op back, and the guards of the prepared one.
static enum sy_status read_back(struct launch *l, const struct sy_binding *bindings, struct ops_result *out)
{
    for (uint32_t i = 0; i < l->test->info->binding_count; ++i)
        SY_TRY(sy_buffer_read(bindings[i].buffer, 0, out->images[i].bytes, out->images[i].total));
    if (l->count == 1)
        return SY_OK;
    int64_t at;
    SY_TRY(sy_buffer_read(l->dispatches[0].bindings[1].buffer, 0, l->prepared.bytes, l->prepared.total));
    if (ops_guard_damage(&l->prepared, &at))
        return sy_fail(sy_device_ctx(l->k->device), SY_INTERNAL, "%s wrote outside of its output: byte %lld",
                       l->dispatches[0].label, (long long)at);
    return SY_OK;
}

static enum sy_status submit(struct sy_device *device, const char *name, const struct launch *l)
{
    struct sy_program *program = NULL;
    enum sy_status status = sy_program_create(device, name, l->dispatches, l->count, &program);
    if (status == SY_OK)
        status = sy_program_submit(program);
    const enum sy_status waited = sy_device_wait(device);
    sy_program_destroy(&program);
    return status != SY_OK ? status : waited;
}

enum sy_status ops_run(const struct ops_case *test, const struct ops_kernel *k, struct ops_result *out)
{
    const struct sy_op_info *info = test->info;
    struct launch l = {.test = test, .k = k, .count = 1};
    struct sy_binding bindings[SY_MAX_BINDINGS] = {0};
    struct sy_before before;
    *out = (struct ops_result){0};
    enum sy_status status = SY_OK;
    for (uint32_t i = 0; i < info->binding_count && status == SY_OK; ++i) {
        if (ops_image_create(test, i, sy_op_dtype(info, i, k->types), alignment(k), &out->images[i]))
            status = upload(k->device, info->binding_names[i], &out->images[i], &bindings[i]);
        else
            status = sy_fail(sy_device_ctx(k->device), SY_NOMEM, "test data: out of host memory");
    }
    l.dispatches[0] = dispatch_of(k, k->kernel, k->variant, test->args);
    memcpy(l.dispatches[0].bindings, bindings, sizeof bindings);
    if (status == SY_OK && sy_variant_before(k->variant, test->args, &before))
        status = put_before(&l, &before);
    if (status == SY_OK)
        status = submit(k->device, info->name, &l);
    if (status == SY_OK)
        status = read_back(&l, bindings, out);
    if (l.count == 2)
        sy_buffer_destroy(&l.dispatches[0].bindings[1].buffer);
    for (uint32_t i = 0; i < info->binding_count; ++i)
        sy_buffer_destroy(&bindings[i].buffer);
    free(l.prepared.bytes);
    return status;
}

void ops_result_destroy(struct ops_result *result)
{
    for (uint32_t i = 0; i < SY_MAX_BINDINGS; ++i)
        free(result->images[i].bytes);
    *result = (struct ops_result){0};
}
