// SPDX-License-Identifier: Apache-2.0
// ops_main.c: the op test: every op × variant × element types × case on every device, against `ref:0`.
//
// Prints one TAP line per variant and device that can run it, then a coverage table, then "N passed, N failed, N
// skipped", which count op × variant × types × case × device. Fails when anything failed or when nothing ran.
#include <getopt.h>
#include <stdlib.h>

#include "tests/ops_run.h"

#define SY_OP(name, bindings, args, types) extern const struct sy_op_cases sy_cases_##name;
#include "engine/ops.def"
#undef SY_OP
static const struct sy_op_cases *const all_cases[SY_OP_COUNT] = {
#define SY_OP(name, bindings, args, types) [SY_OP_##name] = &sy_cases_##name,
#include "engine/ops.def"
#undef SY_OP
};

/// One variant on one device.
struct tally {
    bool ran; ///< The device can run it.
    unsigned passed, failed, skipped;
    double worst;
    char reason[256]; ///< Why something was skipped.
};

struct column {
    struct sy_ctx *ctx;
    struct sy_device *device; ///< NULL: could not be opened.
    struct sy_caps caps;
    struct tally tallies[SY_VARIANT_COUNT];
};

struct runner {
    const char *only_device, *only_op, *only_variant;
    long only_case;
    double most_work; ///< Of a case, where kernels are interpreted; each then runs once. 0: any.
    struct sy_ctx *ctx;
    struct sy_device *reference;
    struct column *columns;
    size_t column_count;
    unsigned tap_lines;
};

static void log_as_comment(void *user, enum sy_log_level level, const char *text)
{
    (void)user;
    printf("# %s%s\n", level == SY_LOG_ERROR ? "error: " : "", text);
}

static struct tally *tally_of(struct column *column, const struct sy_variant *v)
{
    return &column->tallies[sy_variant_index(v)];
}

/// "relu", "matmul:packed"
static const char *name_of(const struct sy_variant *v, char out[64])
{
    const bool base = strcmp(v->name, "base") == 0;
    snprintf(out, 64, "%s%s%s", sy_op_info(v->op)->name, base ? "" : ":", base ? "" : v->name);
    return out;
}

// ---- one case ------------------------------------------------------------------------------------------------------

static void report(const struct column *column, const struct ops_case *test, const struct sy_variant *v,
                   const char *message)
{
    char name[64];
    printf("# FAIL %s %s on %s, case %zu: %s\n", name_of(v, name), ops_types_name(test->types), column->caps.id,
           test->index, message);
    ops_print_args(test);
    printf("#   again: test_ops --op %s --variant %s --device %s --case %zu\n", test->info->name, v->name,
           column->caps.id, test->index);
}

/// `ref` stores bf16 of what it computes: its f32 run on the same inputs must agree. Checks the reference itself.
static struct ops_verdict compare_with_f32(const struct runner *runner, const struct ops_case *test,
                                           const struct ops_kernel *by, const struct ops_result *got)
{
    struct ops_verdict verdict = {.good = false, .message = "the f32 reference did not run"};
    struct ops_kernel kernel;
    struct ops_result wide = {0};
    if (ops_kernel_create(runner->reference, by->variant, SY_TYPES_F, &kernel) == SY_OK &&
        ops_run(test, &kernel, &wide) == SY_OK)
        verdict = ops_compare(test, by, got, SY_TYPES_F, &wide, 0x1p-8);
    ops_result_destroy(&wide);
    ops_kernel_destroy(&kernel);
    return verdict;
}

/// Runs the case twice on the column's device (an interpreter gives the same bits by its nature: once) and judges.
/// False when it failed (and said so).
static bool run_case(const struct runner *runner, struct column *column, const struct ops_case *test,
                     const struct ops_kernel *kernel, const struct ops_result *want)
{
    struct tally *tally = tally_of(column, kernel->variant);
    struct ops_result first = {0}, second = {0};
    struct ops_verdict verdict = {.good = false};
    if (ops_run(test, kernel, &first) != SY_OK || (runner->most_work == 0 && ops_run(test, kernel, &second) != SY_OK)) {
        snprintf(verdict.message, sizeof verdict.message, "%s", sy_error(column->ctx));
        goto out;
    }
    verdict = ops_check_integrity(test, &first);
    if (verdict.good) {
        verdict = ops_compare(test, kernel, &first, test->types, want, 0.0);
        tally->worst = verdict.worst > tally->worst ? verdict.worst : tally->worst;
    }
    if (verdict.good && runner->most_work == 0)
        verdict = ops_same_bits(test, &first, &second);
    if (verdict.good && column->caps.backend == SY_BACKEND_REF && test->types != SY_TYPES_F &&
        (test->info->types & SY_TYPES_F))
        verdict = compare_with_f32(runner, test, kernel, &first);
out:
    if (!verdict.good)
        report(column, test, kernel->variant, verdict.message);
    ops_result_destroy(&first);
    ops_result_destroy(&second);
    return verdict.good;
}

// ---- one variant × element types -----------------------------------------------------------------------------------

/// What a case computes and touches, in operations and elements.
static double work_of(const struct sy_op_cases *cases, size_t index)
{
    const struct sy_op_info *info = sy_op_info(cases->op);
    const void *args = (const char *)cases->args + index * cases->args_bytes;
    double work = info->impl->flops(args);
    for (uint32_t i = 0; i < info->binding_count; ++i)
        work += i != info->const_binding ? (double)info->impl->elements(args, i) : 0;
    return work;
}

static bool wanted_case(const struct runner *runner, const struct sy_variant *v, size_t index)
{
    const struct sy_op_cases *cases = all_cases[v->op];
    if (!sy_variant_suits(v, (const char *)cases->args + index * cases->args_bytes))
        return false;
    if (runner->only_case >= 0)
        return (size_t)runner->only_case == index;
    return runner->most_work == 0 || work_of(cases, index) <= runner->most_work;
}

static unsigned wanted_count(const struct runner *runner, const struct sy_variant *v)
{
    unsigned count = 0;
    for (size_t i = 0; i < all_cases[v->op]->count; ++i)
        count += wanted_case(runner, v, i);
    return count;
}

/// Compiles for one device. False when that is impossible; the cases are then counted as skipped or failed, unless the
/// variant is not for this device.
static bool prepare(const struct runner *runner, struct column *column, const struct sy_variant *v,
                    enum sy_op_types types, struct ops_kernel *out)
{
    struct tally *tally = tally_of(column, v);
    const unsigned count = wanted_count(runner, v);
    char name[64];
    bool killed = false;
    if (column->device == NULL) {
        tally->ran = true;
        tally->failed += count;
        return false;
    }
    enum sy_status status = sy_variant_killed(column->ctx, v, &killed);
    if (sy_variant_missing(v, types, &column->caps) != NULL)
        return false;
    tally->ran = true;
    if (status == SY_OK && !killed)
        status = ops_kernel_create(column->device, v, types, out);
    if (status == SY_UNSUPPORTED || killed) {
        tally->skipped += count;
        snprintf(tally->reason, sizeof tally->reason, "%.255s", killed ? "SY_NO_VARIANT" : sy_error(column->ctx));
    } else if (status != SY_OK) {
        tally->failed += count;
        printf("# FAIL %s %s on %s: cannot be compiled: %s\n", name_of(v, name), ops_types_name(types), column->caps.id,
               sy_error(column->ctx));
    }
    return status == SY_OK && !killed;
}

/// Whether a device, which may be an imagined one (SY_FORCE_MAX_ALLOC), can hold the largest tensor of a case.
static bool holds(const struct sy_caps *caps, const struct ops_case *test)
{
    uint64_t most = 0;
    for (uint32_t i = 0; i < test->info->binding_count; ++i)
        if (i != test->info->const_binding && test->elements[i] > most)
            most = test->elements[i];
    return most * sizeof(float) <= caps->max_alloc_bytes;
}

/// Computes what is wanted on the reference, then runs the case on every column that has a kernel.
static void run_everywhere(struct runner *runner, const struct ops_case *test, const struct ops_kernel *reference,
                           const struct ops_kernel *kernels)
{
    struct ops_result want = {0};
    const bool small = holds(sy_device_caps(runner->reference), test);
    const bool known = small && ops_run(test, reference, &want) == SY_OK;
    for (size_t d = 0; d < runner->column_count; ++d) {
        struct column *column = &runner->columns[d];
        if (kernels[d].kernel == NULL)
            continue;
        bool good = false;
        if (!small || !holds(&column->caps, test)) {
            struct tally *tally = tally_of(column, kernels[d].variant);
            ++tally->skipped;
            snprintf(tally->reason, sizeof tally->reason, "larger than one allocation may be");
            continue;
        }
        if (known)
            good = run_case(runner, column, test, &kernels[d], &want);
        else
            report(column, test, kernels[d].variant, sy_error(runner->ctx));
        tally_of(column, kernels[d].variant)->passed += good;
        tally_of(column, kernels[d].variant)->failed += !good;
    }
    ops_result_destroy(&want);
}

/// Counts as a failure of the first column, if it fails. Gives how many elements it saw change.
static double check_epilogue(struct runner *runner, struct ops_case *test, const struct ops_kernel *reference)
{
    const struct ops_verdict verdict = ops_check_epilogue(test, reference);
    if (!verdict.good) {
        ++tally_of(&runner->columns[0], reference->variant)->failed;
        report(&runner->columns[0], test, reference->variant, verdict.message);
    }
    return verdict.worst;
}

static bool run_types(struct runner *runner, const struct sy_variant *v, enum sy_op_types types)
{
    double changes = 0.0;
    const struct sy_op_cases *cases = all_cases[v->op];
    struct ops_kernel *kernels = calloc(runner->column_count + 1, sizeof *kernels), reference = {0};
    if (kernels == NULL)
        return false;
    bool any = false;
    for (size_t d = 0; d < runner->column_count; ++d)
        any |= prepare(runner, &runner->columns[d], v, types, &kernels[d]);
    bool ok = !any || ops_kernel_create(runner->reference, sy_variant_find(v->op, "base"), types, &reference) == SY_OK;
    for (size_t i = 0; i < cases->count && any && ok; ++i) {
        struct ops_case test;
        if (!wanted_case(runner, v, i))
            continue;
        ok = ops_case_create(cases, types, i, &test);
        if (ok)
            run_everywhere(runner, &test, &reference, kernels);
        if (ok && types == SY_TYPES_F && v->impl == NULL && test.info->impl->epilogue != SY_EPILOGUE_NONE)
            changes += check_epilogue(runner, &test, &reference);
        ops_case_destroy(&test);
    }
    if (types == SY_TYPES_F && any && v->impl == NULL && runner->only_case < 0 && changes == 0.0 &&
        sy_op_info(v->op)->impl->epilogue != SY_EPILOGUE_NONE) {
        ++tally_of(&runner->columns[0], v)->failed;
        printf("# FAIL %s: no input changes an output, so its epilogue class is not tested\n", sy_op_info(v->op)->name);
    }
    for (size_t d = 0; d < runner->column_count; ++d)
        ops_kernel_destroy(&kernels[d]);
    ops_kernel_destroy(&reference);
    free(kernels);
    return ok;
}

static bool wanted_variant(const struct runner *runner, const struct sy_variant *v)
{
    return (runner->only_op == NULL || strcmp(runner->only_op, sy_op_info(v->op)->name) == 0) &&
           (runner->only_variant == NULL || strcmp(runner->only_variant, v->name) == 0);
}

static bool run_variant(struct runner *runner, const struct sy_variant *v)
{
    const struct sy_op_info *info = sy_op_info(v->op);
    char name[64];
    for (unsigned types = SY_TYPES_F; types <= SY_TYPES_M; types *= 2)
        if ((info->types & types) && !run_types(runner, v, (enum sy_op_types)types))
            return false;
    for (size_t d = 0; d < runner->column_count; ++d) {
        const struct tally *tally = tally_of(&runner->columns[d], v);
        if (tally->ran)
            printf("%s %u - %s on %s: %u cases, worst error %.3g of the tolerance%s%s\n",
                   tally->failed == 0 ? "ok" : "not ok", ++runner->tap_lines, name_of(v, name),
                   runner->columns[d].caps.id, tally->passed + tally->failed, tally->worst,
                   tally->skipped != 0 ? " # SKIP " : "", tally->reason);
    }
    fflush(stdout);
    return true;
}

// ---- the whole run -------------------------------------------------------------------------------------------------

/// Opens every listed device (or the one asked for), each with a context of its own.
static bool open_columns(struct runner *runner)
{
    struct sy_caps *list = NULL;
    size_t count = 0, present[SY_BACKEND_COUNT] = {0};
    if (sy_device_list(runner->ctx, &list, &count) != SY_OK)
        return false;
    runner->columns = calloc(count + 1, sizeof *runner->columns);
    for (size_t i = 0; i < count && runner->columns != NULL; ++i) {
        ++present[list[i].backend];
        if (runner->only_device != NULL && strcmp(runner->only_device, list[i].id) != 0)
            continue;
        struct column *column = &runner->columns[runner->column_count++];
        column->caps = list[i];
        column->ctx = sy_ctx_create(log_as_comment, NULL, SY_LOG_WARN);
        if (column->ctx == NULL || sy_device_open(column->ctx, list[i].id, &column->device) != SY_OK)
            printf("# FAIL %s (%s): cannot be opened\n", list[i].id, list[i].name);
        else
            column->caps = *sy_device_caps(column->device);
        printf("# %s: %s, %s\n", column->caps.id, column->caps.name, column->caps.driver);
    }
    for (int backend = 0; backend < SY_BACKEND_COUNT && runner->only_device == NULL; ++backend)
        if (present[backend] == 0)
            printf("# SKIP %s: no device, or not in this build\n", sy_backend_name((enum sy_backend_id)backend));
    free(list);
    return runner->columns != NULL;
}

static void print_table(const struct runner *runner, struct tally *total)
{
    printf("# %-18s", "coverage");
    for (size_t d = 0; d < runner->column_count; ++d)
        printf(" %12s", runner->columns[d].caps.id);
    printf("\n");
    for (unsigned i = 0; i < SY_VARIANT_COUNT; ++i) {
        const struct sy_variant *v = sy_variant_get((enum sy_variant_id)i);
        char name[64];
        if (!wanted_variant(runner, v))
            continue;
        printf("# %-18s", name_of(v, name));
        for (size_t d = 0; d < runner->column_count; ++d) {
            const struct tally *tally = tally_of(&runner->columns[d], v);
            char cell[32];
            snprintf(cell, sizeof cell,
                     !tally->ran           ? "-"
                     : tally->failed != 0  ? "%u FAIL"
                     : tally->skipped != 0 ? "%u+SKIP"
                                           : "%u",
                     tally->failed != 0 ? tally->failed : tally->passed);
            printf(" %12s", cell);
            total->passed += tally->passed;
            total->failed += tally->failed;
            total->skipped += tally->skipped;
        }
        printf("\n");
    }
}

static int run_all(struct runner *runner)
{
    bool ok = true;
    for (unsigned i = 0; i < SY_VARIANT_COUNT && ok; ++i)
        if (wanted_variant(runner, sy_variant_get((enum sy_variant_id)i)))
            ok = run_variant(runner, sy_variant_get((enum sy_variant_id)i));
    printf("1..%u\n", runner->tap_lines);
    struct tally total = {0};
    print_table(runner, &total);
    if (!ok)
        printf("# FAIL: the run stopped early: %s\n", sy_error(runner->ctx));
    else if (total.passed == 0)
        printf("# FAIL: nothing ran\n");
    for (size_t d = 0; d < runner->column_count; ++d)
        ok = ok && runner->columns[d].device != NULL;
    printf("%u passed, %u failed, %u skipped\n", total.passed, total.failed, total.skipped);
    return ok && total.failed == 0 && total.passed != 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int list_cases(void)
{
    for (unsigned op = 0; op < SY_OP_COUNT; ++op) {
        const struct sy_op_info *info = sy_op_info((enum sy_op_id)op);
        printf("%s:", info->name);
        for (unsigned types = SY_TYPES_F; types <= SY_TYPES_M; types *= 2)
            if (info->types & types)
                printf(" %s", ops_types_name((enum sy_op_types)types));
        printf(", %zu cases; %s\n", all_cases[op]->count, all_cases[op]->reason);
    }
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"device", required_argument, NULL, 'd'},
                                            {"op", required_argument, NULL, 'o'},
                                            {"variant", required_argument, NULL, 'v'},
                                            {"case", required_argument, NULL, 'c'},
                                            {"work", required_argument, NULL, 'w'},
                                            {"list", no_argument, NULL, 'l'},
                                            {0}};
    struct runner runner = {.only_case = -1};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 'd': runner.only_device = optarg; break;
        case 'o': runner.only_op = optarg; break;
        case 'v': runner.only_variant = optarg; break;
        case 'c': runner.only_case = strtol(optarg, NULL, 10); break;
        case 'w': runner.most_work = strtod(optarg, NULL); break;
        case 'l': return list_cases();
        default:
            fprintf(stderr,
                    "usage: test_ops [--device ID] [--op NAME [--variant NAME]] [--case N | --work MOST] [--list]\n");
            return 2;
        }
    }
    if (runner.only_op != NULL && sy_op_find(runner.only_op) == SY_OP_COUNT) {
        fprintf(stderr, "test_ops: no op is called \"%s\"; --list shows all\n", runner.only_op);
        return 2;
    }
    int code = EXIT_FAILURE;
    runner.ctx = sy_ctx_create(log_as_comment, NULL, SY_LOG_WARN);
    if (runner.ctx != NULL && sy_device_open(runner.ctx, "ref:0", &runner.reference) == SY_OK && open_columns(&runner))
        code = run_all(&runner);
    for (size_t d = 0; d < runner.column_count; ++d) {
        if (runner.columns[d].device != NULL)
            sy_device_close(&runner.columns[d].device);
        sy_ctx_destroy(&runner.columns[d].ctx);
    }
    free(runner.columns);
    if (runner.reference != NULL)
        sy_device_close(&runner.reference);
    sy_ctx_destroy(&runner.ctx);
    return code;
}
