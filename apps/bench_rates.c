// SPDX-License-Identifier: Apache-2.0
// bench_rates.c: what a device reaches, kernel by kernel, in a step of training: for switchyard-plan --rates.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "apps/bench.h"

/// All dispatches of a step, the shortest time of each.
struct rates {
    struct bench_op_time ops[SY_VARIANT_COUNT];
    double kernels, step, link; ///< Seconds; of a byte there and one back.
    double beside;              ///< Bytes of this process beside what it has on its device.
    size_t dispatches;
};

static enum sy_status profile(const struct bench *b, struct sy_session *s, enum sy_phase phase, struct rates *out)
{
    struct sy_runtime *rt = sy_session_runtime(s);
    struct sy_program *program = sy_runtime_program(rt, phase);
    const size_t count = program == NULL ? 0 : sy_runtime_dispatches(rt, phase);
    uint64_t *once = calloc(count + 1, sizeof *once), *least = calloc(count + 1, sizeof *least);
    enum sy_status status = once == NULL || least == NULL ? sy_fail(b->ctx, SY_NOMEM, "out of host memory") : SY_OK;
    for (uint64_t i = 0; i < b->o->repeat && count != 0 && status == SY_OK; ++i) {
        status = sy_program_profile(program, once);
        for (size_t k = 0; k < count; ++k)
            least[k] = i == 0 || once[k] < least[k] ? once[k] : least[k];
    }
    if (status == SY_OK && count != 0)
        out->kernels += 1e-3 * bench_add_up(s, phase, least, out->ops);
    out->dispatches += count;
    free(once);
    free(least);
    return status;
}

/// One by one dispatches take longer than in a row, and others may use this machine: together they take a step at most.
static void cut_to_step(struct rates *r)
{
    const double part = r->step < r->kernels ? r->step / r->kernels : 1.0;
    for (size_t i = 0; i < SY_VARIANT_COUNT; ++i)
        r->ops[i].ms *= part;
    r->kernels *= part;
}

/// What the kernels whose work is of one kind reach together.
static double together(const struct rates *r, bool bytes)
{
    double work = 0.0, ms = 0.0;
    for (size_t i = 0; i < SY_VARIANT_COUNT; ++i) {
        const struct bench_op_time *op = &r->ops[i];
        if ((op->flops < 2.0 * op->bytes) == bytes) {
            work += bytes ? op->bytes : op->flops;
            ms += op->ms;
        }
    }
    return ms > 0.0 ? 1e3 * work / ms : 0.0;
}

static json_t *kernels_of(const struct rates *r)
{
    json_t *list = json_object();
    for (size_t i = 0; i < SY_VARIANT_COUNT; ++i) {
        const struct bench_op_time *op = &r->ops[i];
        if (op->count == 0 || op->ms <= 0.0)
            continue;
        char name[96];
        const bool bytes = op->flops < 2.0 * op->bytes;
        snprintf(name, sizeof name, "%s:%s", sy_op_info(op->variant->op)->name, op->variant->name);
        json_object_set_new(list, name,
                            json_pack("{s:f, s:f, s:i}", bytes ? "bytes" : "flops",
                                      1e3 * (bytes ? op->bytes : op->flops) / op->ms, "ms", op->ms, "times",
                                      (int)op->count));
    }
    return list;
}

double bench_resident(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return 1024.0 * (double)usage.ru_maxrss;
}

/// Memory of this process beside what it allocated on its device, which may be the same memory.
static double beside(const struct bench *b)
{
    return bench_resident() - (b->caps->software ? (double)sy_device_allocated_bytes(b->device) : 0.0);
}

static enum sy_status print(const struct bench *b, const struct bench_training *t, const struct rates *r)
{
    const double rest = r->step - r->kernels;
    json_t *j = json_pack(
        "{s:s, s:s, s:s, s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:o}", "device", b->caps->id, "name",
        b->caps->name, "precision", sy_precision_name(t->params.precision), "clock",
        b->clock == CLOCK_MONOTONIC ? "the clock's" : "the processors'", "step", r->step, "flops", together(r, false),
        "memory", together(r, true), "link", 2.0 / r->link, "dispatch", rest > 0.0 ? rest / (double)r->dispatches : 0.0,
        "processors", b->caps->software ? (double)sysconf(_SC_NPROCESSORS_ONLN) : 0.0, "threads",
        b->caps->software ? (double)b->caps->compute_units : 0.0, "device_bytes",
        (double)sy_device_allocated_bytes(b->device), "resident_bytes", r->beside, "kernels", kernels_of(r));
    if (j == NULL)
        return sy_fail(b->ctx, SY_NOMEM, "out of host memory");
    json_dumpf(j, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(j);
    return SY_OK;
}

enum sy_status bench_rates(struct bench *b)
{
    static const enum sy_phase phases[] = {SY_PHASE_MICRO, SY_PHASE_UPDATE, SY_PHASE_REFRESH};
    struct bench_training t = {.times = NULL};
    struct rates r = {.kernels = 0.0};
    enum sy_status status = bench_training_open(b, &t);
    if (status == SY_OK)
        status = bench_time_steps(b, &t);
    if (status == SY_OK)
        r.step = bench_median(t.times, b->o->repeat);
    for (size_t i = 0; i < SY_COUNT(phases) && status == SY_OK; ++i)
        status = profile(b, t.session, phases[i], &r);
    cut_to_step(&r);
    r.beside = beside(b); // before more is allocated for the link
    if (status == SY_OK)
        status = bench_link(b, &r.link);
    if (status == SY_OK)
        status = print(b, &t, &r);
    bench_training_close(&t);
    return status;
}
