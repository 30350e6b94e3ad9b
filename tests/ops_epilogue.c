// SPDX-License-Identifier: Apache-2.0
// ops_epilogue.c: is an op as local as its epilogue class says: one element of an input changes, what else does?
#include <inttypes.h>
#include <stdlib.h>

#include "tests/ops_run.h"

enum { TRIES = 5 };

/// How many elements of the outputs differ, and the index of the last one.
static uint64_t changed(const struct ops_case *test, const struct ops_result *a, const struct ops_result *b,
                        uint64_t *at)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < test->info->binding_count; ++i) {
        const struct sy_ref_tensor x = ops_tensor_of(&a->images[i], sy_op_dtype(test->info, i, test->types));
        const struct sy_ref_tensor y = ops_tensor_of(&b->images[i], sy_op_dtype(test->info, i, test->types));
        for (uint64_t j = 0; (test->info->write_mask >> i & 1u) && j < test->elements[i]; ++j)
            if (memcmp((char *)x.data + j * sy_dtype_bytes(x.dtype), (char *)y.data + j * sy_dtype_bytes(y.dtype),
                       sy_dtype_bytes(x.dtype)) != 0) {
                *at = j;
                ++count;
            }
    }
    return count;
}

/// Element j of input i gets another value for one run.
static bool local(struct ops_case *test, const struct ops_kernel *kernel, const struct ops_result *before, uint32_t i,
                  uint64_t j, struct ops_verdict *verdict)
{
    const enum sy_epilogue class = test->info->impl->epilogue;
    const double was = test->values[i][j];
    struct ops_result after = {0};
    uint64_t at = 0;
    test->values[i][j] = (float)(1.25 - 1.5 * (isfinite(was) ? was : 0.0));
    const bool ran = ops_run(test, kernel, &after) == SY_OK;
    test->values[i][j] = was;
    const uint64_t count = ran ? changed(test, before, &after, &at) : 0;
    ops_result_destroy(&after);
    const bool good = ran && (class == SY_EPILOGUE_ELEMENT ? count == 0 || (count == 1 && at == j) : count <= 2);
    if (!good)
        snprintf(verdict->message, sizeof verdict->message,
                 "not as local as its epilogue class: %s[%" PRIu64 "] changes %" PRIu64 " elements, [%" PRIu64 "] too",
                 test->info->binding_names[i], j, count, at);
    verdict->worst += (double)count;
    return good;
}

struct ops_verdict ops_check_epilogue(struct ops_case *test, const struct ops_kernel *kernel)
{
    struct ops_verdict verdict = {.good = true};
    struct ops_result before = {0};
    if (ops_run(test, kernel, &before) != SY_OK)
        verdict.good = false;
    for (uint32_t i = 0; i < test->info->input_count && verdict.good; ++i)
        for (uint64_t n = 0; n < TRIES && verdict.good; ++n)
            if (ops_is_float(sy_op_dtype(test->info, i, test->types)) && test->elements[i] != 0)
                verdict.good = local(test, kernel, &before, i, (n * 7919 + 3) % test->elements[i], &verdict);
    ops_result_destroy(&before);
    return verdict;
}
