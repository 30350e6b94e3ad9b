// SPDX-License-Identifier: Apache-2.0
// ops_judge.c: is the result of one case right: guards, inputs, unwritten elements, values, determinism.
#include "tests/ops_run.h"

#include <inttypes.h>
#include <stdlib.h>

static bool left_alone(const struct ops_case *test, uint32_t i, uint64_t element)
{
    const bool output = test->info->write_mask >> i & 1u;
    return output && test->cases->left_alone != NULL && test->cases->left_alone(test->args, i, element, test->values);
}

static bool carries_meaning(const struct ops_case *test, uint32_t i, uint64_t element)
{
    return !left_alone(test, i, element) &&
           (test->cases->compare == NULL || test->cases->compare(test->args, i, element, test->values));
}

SY_PRINTF(2, 3) static void bad(struct ops_verdict *verdict, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(verdict->message, sizeof verdict->message, format, args);
    va_end(args);
    verdict->good = false;
}

bool ops_guard_damage(const struct ops_image *image, int64_t *out_at)
{
    for (uint64_t j = 0; j < image->total; ++j) {
        const bool inside = j >= image->offset && j < image->offset + image->data_bytes;
        *out_at = (int64_t)j - (int64_t)image->offset;
        if (!inside && image->bytes[j] != OPS_GUARD_BYTE)
            return true;
    }
    return false;
}

/// Compares an input's bytes with what was uploaded, and looks for poison left in an output.
static void check_content(const struct ops_case *test, uint32_t i, const struct ops_image *image,
                          struct ops_verdict *verdict)
{
    const struct sy_op_info *info = test->info;
    const enum sy_dtype t = sy_op_dtype(info, i, test->types);
    const size_t size = sy_dtype_bytes(t);
    struct ops_image fresh = {0};
    if (!ops_image_create(test, i, t, (uint32_t)image->offset, &fresh)) {
        bad(verdict, "out of host memory");
        return;
    }
    const uint8_t *now = image->bytes + image->offset, *before = fresh.bytes + fresh.offset;
    for (uint64_t j = 0; j < test->elements[i] && verdict->good; ++j)
        if (!(info->write_mask >> i & 1u) && memcmp(now + j * size, before + j * size, size) != 0)
            bad(verdict, "input %s[%" PRIu64 "] was changed", info->binding_names[i], j);
        else if (left_alone(test, i, j) && memcmp(now + j * size, before + j * size, size) != 0)
            bad(verdict, "output %s[%" PRIu64 "] was to be left alone", info->binding_names[i], j);
        else if (!(info->read_mask >> i & 1u) && ops_is_poison(now + j * size, t) && carries_meaning(test, i, j))
            bad(verdict, "output %s[%" PRIu64 "] of %" PRIu64 " was never written", info->binding_names[i], j,
                test->elements[i]);
    free(fresh.bytes);
}

struct ops_verdict ops_check_integrity(const struct ops_case *test, const struct ops_result *result)
{
    struct ops_verdict verdict = {.good = true};
    for (uint32_t i = 0; i < test->info->binding_count && verdict.good; ++i) {
        int64_t at = 0;
        if (ops_guard_damage(&result->images[i], &at))
            bad(&verdict, "wrote outside of %s: byte %" PRId64 " of a tensor of %" PRIu64 " bytes",
                test->info->binding_names[i], at, result->images[i].data_bytes);
        else
            check_content(test, i, &result->images[i], &verdict);
    }
    return verdict;
}

/// What is wanted, as the type of `got` would store it: an f32 close to the largest becomes infinite in bf16.
static double wanted(const struct sy_ref_tensor *want, uint64_t j, enum sy_dtype got)
{
    const double w = sy_ld(want, j);
    return got == SY_BF16 && want->dtype != SY_BF16 ? sy_bf16_to_f32(sy_f32_to_bf16((float)w)) : w;
}

/// |got − want|, or infinity when one is NaN or infinite and the other differs.
static double error_of(double got, double want)
{
    if (isnan(got) || isnan(want))
        return isnan(got) && isnan(want) ? 0.0 : (double)INFINITY;
    if (isinf(got) || isinf(want))
        return got == want ? 0.0 : (double)INFINITY;
    return fabs(got - want);
}

static void compare_tensor(const struct ops_case *test, uint32_t i, const struct sy_ref_tensor *got,
                           const struct sy_ref_tensor *want, double tolerance, struct ops_verdict *verdict)
{
    double scale = 1e-6, largest = 0.0, first_got = 0.0, first_want = 0.0;
    uint64_t first = UINT64_MAX, wrong = 0;
    for (uint64_t j = 0; j < test->elements[i]; ++j) {
        const double w = fabs(wanted(want, j, got->dtype));
        if (isfinite(w) && w > scale && carries_meaning(test, i, j))
            scale = w;
    }
    const double bound = ops_is_float(want->dtype) ? tolerance * scale : 0.0;
    for (uint64_t j = 0; j < test->elements[i]; ++j) {
        const double g = sy_ld(got, j), w = wanted(want, j, got->dtype), error = error_of(g, w);
        if (error > largest && carries_meaning(test, i, j))
            largest = error;
        if (error <= bound || !carries_meaning(test, i, j))
            continue;
        ++wrong;
        if (first == UINT64_MAX) {
            first = j;
            first_got = g;
            first_want = w;
        }
    }
    if (bound > 0.0 && largest / bound > verdict->worst)
        verdict->worst = largest / bound;
    if (wrong != 0)
        bad(verdict,
            "%s: %" PRIu64 " of %" PRIu64 " elements differ; first [%" PRIu64
            "] got %.9g want %.9g; largest error %.3g, allowed %.3g (%.3g × largest value %.3g)",
            test->info->binding_names[i], wrong, test->elements[i], first, first_got, first_want, largest, bound,
            tolerance, scale);
}

/// What a variant may add to the tolerances of its op: a factor, and a bound that is always allowed.
static const struct {
    double factor, least;
    const char *reason;
} errors[SY_ERRORS_COUNT] = {
    [SY_ERRORS_chain] = {1.0, 0.0, "rounds as the op's own kernel does"},
    [SY_ERRORS_reordered] = {2.0, 0.0, "partial sums in another order: at most as many roundings again"},
    [SY_ERRORS_weights] = {2.0, 0.0, "each weight is off by 2^-9 of itself, as a result stored as bf16 is once more"},
    [SY_ERRORS_bf16] = {1.0, 0x1p-7,
                        "each factor is off by up to 2^-9 of itself, a product by 2^-8; sums double it at most"},
};

struct ops_verdict ops_compare(const struct ops_case *test, const struct ops_kernel *by, const struct ops_result *got,
                               enum sy_op_types want_types, const struct ops_result *want, double loosest)
{
    struct ops_verdict verdict = {.good = true};
    for (uint32_t i = 0; i < test->info->binding_count && verdict.good; ++i) {
        if (!(test->info->write_mask >> i & 1u))
            continue;
        const enum sy_dtype t = sy_op_dtype(test->info, i, by->types);
        const struct sy_ref_tensor g = ops_tensor_of(&got->images[i], t);
        const struct sy_ref_tensor w = ops_tensor_of(&want->images[i], sy_op_dtype(test->info, i, want_types));
        const double own = t == SY_BF16 ? test->cases->tolerance_bf16 : test->cases->tolerance_f32;
        const double tolerance = fmax(own * errors[by->variant->errors].factor, errors[by->variant->errors].least);
        compare_tensor(test, i, &g, &w, tolerance > loosest ? tolerance : loosest, &verdict);
    }
    return verdict;
}

struct ops_verdict ops_same_bits(const struct ops_case *test, const struct ops_result *a, const struct ops_result *b)
{
    struct ops_verdict verdict = {.good = true};
    for (uint32_t i = 0; i < test->info->binding_count && verdict.good; ++i) {
        const size_t size = sy_dtype_bytes(sy_op_dtype(test->info, i, test->types));
        const uint8_t *x = a->images[i].bytes + a->images[i].offset, *y = b->images[i].bytes + b->images[i].offset;
        for (uint64_t j = 0; j < test->elements[i] && verdict.good; ++j)
            if (memcmp(x + j * size, y + j * size, size) != 0 && carries_meaning(test, i, j))
                bad(&verdict, "not deterministic: %s[%" PRIu64 "] differs between two runs of the same dispatch",
                    test->info->binding_names[i], j);
    }
    return verdict;
}

void ops_print_args(const struct ops_case *test)
{
    printf("#   args:");
    for (uint32_t i = 0; i < test->info->args_bytes / 4; ++i) {
        uint32_t word;
        float f;
        memcpy(&word, (const char *)test->args + 4 * i, 4);
        memcpy(&f, &word, 4);
        printf(word >= 0x30000000u && isfinite(f) ? " %" PRIu32 "(%g)" : " %" PRIu32, word, (double)f);
    }
    printf("\n");
}
