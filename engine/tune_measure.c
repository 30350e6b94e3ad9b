// SPDX-License-Identifier: Apache-2.0
// tune_measure.c: times the settings of kernels in turns, on made-up numbers.
//
// A kernel runs alone, on tensors of its own: nothing of a model is touched, no other rank is waited for. All settings
// of one work have the same tensors; each has a program that does the work a few times. In every turn each program
// runs once; one that is far behind drops out. Another setting than the usual one is chosen where its median is
// clearly better.
#include "engine/tune.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_TURNS = 9, MOST_COPIES = 32, BLOCK = 1 << 16, CHOICES = 1 + SY_MAX_SETTINGS, HEAVIEST = 8 };
static const double enough = 0.002;  // seconds of a program that a clock can be trusted with
static const double hopeless = 1.25; // times the best: out
static const double clearly = 0.97;  // of the usual one's time

/// One work being measured.
struct trial {
    struct sy_device *device;
    const struct sy_choice *of;
    struct sy_binding bindings[SY_MAX_BINDINGS];
    struct sy_kernel *kernels[CHOICES]; ///< NULL: cannot run here, or does not compile.
    struct sy_program *programs[CHOICES];
    uint32_t copies;
    double times[CHOICES][MOST_TURNS];
    uint32_t turns;
    bool out[CHOICES];
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static const struct sy_op_info *info_of(const struct trial *t) { return sy_op_info(t->of->work.variant->op); }

// ---- tensors -------------------------------------------------------------------------------------------------------

static uint64_t bytes_of(const struct trial *t, uint32_t i)
{
    const struct sy_op_info *info = info_of(t);
    const uint64_t elements =
        i == info->const_binding ? sizeof(struct sy_step) / 4 : info->impl->elements(t->of->work.args, i);
    const uint64_t bytes = elements * sy_dtype_bytes(sy_op_dtype(info, i, t->of->work.types));
    return bytes < 16 ? 16 : sy_ceil_div(bytes, 4) * 4;
}

/// Random numbers in [−1, 1), one block again and again.
static enum sy_status fill_random(const struct trial *t, struct sy_buffer *buffer, enum sy_dtype type, uint64_t bytes)
{
    float *values = malloc(BLOCK * sizeof *values);
    if (values == NULL)
        return sy_fail(sy_device_ctx(t->device), SY_NOMEM, "out of host memory");
    uint32_t state = 1;
    for (size_t i = 0; i < BLOCK; ++i) {
        state = state * 1664525u + 1013904223u;
        values[i] = (float)(int32_t)state / 2147483648.0f;
        if (type == SY_BF16)
            ((uint16_t *)values)[i] = sy_f32_to_bf16(values[i]);
    }
    const uint64_t block = BLOCK * sy_dtype_bytes(type);
    enum sy_status status = SY_OK;
    for (uint64_t at = 0; at < bytes && status == SY_OK; at += block)
        status = sy_buffer_write(buffer, at, values, bytes - at < block ? bytes - at : block);
    free(values);
    return status;
}

static enum sy_status fill_whole(const struct trial *t, struct sy_buffer *buffer, uint32_t i, uint64_t bytes)
{
    const struct sy_op_info *info = info_of(t);
    int32_t *values = calloc(bytes / 4 + 1, sizeof *values);
    if (values == NULL)
        return sy_fail(sy_device_ctx(t->device), SY_NOMEM, "out of host memory");
    if (info->impl->elements(t->of->work.args, i) != 0)
        info->impl->sample(t->of->work.args, i, values);
    const enum sy_status status = sy_buffer_write(buffer, 0, values, bytes);
    free(values);
    return status;
}

static enum sy_status tensors_create(struct trial *t)
{
    const struct sy_op_info *info = info_of(t);
    const struct sy_caps *caps = sy_device_caps(t->device);
    uint64_t all = 0;
    for (uint32_t i = 0; i < info->binding_count; ++i)
        all += bytes_of(t, i);
    if (caps->memory_bytes != 0 && all > (caps->memory_bytes - sy_device_allocated_bytes(t->device)) / 2)
        return sy_fail(sy_device_ctx(t->device), SY_NOMEM, "%s: too little memory to measure it", info->name);
    for (uint32_t i = 0; i < info->binding_count; ++i) {
        struct sy_binding *b = &t->bindings[i];
        const enum sy_dtype type = sy_op_dtype(info, i, t->of->work.types);
        b->bytes = bytes_of(t, i);
        SY_TRY(sy_buffer_create(t->device, info->binding_names[i], b->bytes, &b->buffer));
        if (i == info->const_binding)
            SY_TRY(sy_buffer_zero(b->buffer, 0, b->bytes));
        else if (type == SY_I32)
            SY_TRY(fill_whole(t, b->buffer, i, b->bytes));
        else
            SY_TRY(fill_random(t, b->buffer, type, b->bytes));
    }
    return SY_OK;
}

// ---- programs ------------------------------------------------------------------------------------------------------

/// All at once; where one of them does not compile, one by one, and that one is left out.
static enum sy_status kernels_create(struct trial *t, uint32_t choices)
{
    const struct sy_work *w = &t->of->work;
    const struct sy_caps *caps = sy_device_caps(t->device);
    struct sy_kernel_params params[CHOICES];
    struct sy_kernel *made[CHOICES] = {NULL};
    uint32_t choice_of[CHOICES], count = 0;
    for (uint32_t c = 0; c < choices; ++c) {
        if (!sy_variant_can(w->variant, c, caps))
            continue;
        sy_variant_kernel_params(w->variant, w->types, c, caps, &params[count]);
        choice_of[count++] = c;
    }
    if (sy_kernels_create(t->device, params, count, made) != SY_OK)
        for (uint32_t i = 0; i < count; ++i)
            if (sy_kernel_create(t->device, &params[i], &made[i]) != SY_OK && i == 0)
                return SY_UNSUPPORTED;
    for (uint32_t i = 0; i < count; ++i)
        t->kernels[choice_of[i]] = made[i];
    return SY_OK;
}

static enum sy_status program_create(struct trial *t, uint32_t choice)
{
    const struct sy_work *w = &t->of->work;
    const struct sy_op_info *info = info_of(t);
    struct sy_dispatch list[MOST_COPIES] = {0};
    for (uint32_t i = 0; i < t->copies; ++i) {
        struct sy_dispatch *d = &list[i];
        d->kernel = t->kernels[choice];
        memcpy(d->bindings, t->bindings, sizeof d->bindings);
        memcpy(d->args, w->args, info->args_bytes);
        d->write_mask = info->write_mask;
        d->groups = sy_variant_groups(w->variant, choice, w->args, sy_device_caps(t->device));
        d->label = info->name;
        d->flops = info->impl->flops(w->args);
    }
    return sy_program_create(t->device, "tune", list, t->copies, &t->programs[choice]);
}

/// Seconds of one dispatch.
static enum sy_status run(struct trial *t, uint32_t choice, double *out)
{
    uint64_t ns[MOST_COPIES], sum = 0;
    SY_TRY(sy_program_profile(t->programs[choice], ns));
    for (uint32_t i = 0; i < t->copies; ++i)
        sum += ns[i];
    *out = 1e-9 * (double)sum / t->copies;
    return SY_OK;
}

/// As often as takes long enough, and each once, to be warm.
static enum sy_status programs_create(struct trial *t)
{
    double once;
    t->copies = 1;
    SY_TRY(program_create(t, 0));
    SY_TRY(run(t, 0, &once));
    SY_TRY(run(t, 0, &once));
    if (once < enough) {
        sy_program_destroy(&t->programs[0]);
        t->copies = once * MOST_COPIES < enough ? MOST_COPIES : 1 + (uint32_t)(enough / once);
        SY_TRY(program_create(t, 0));
    }
    for (uint32_t c = 0; c < CHOICES; ++c) {
        if (t->kernels[c] == NULL)
            continue;
        if (c != 0)
            SY_TRY(program_create(t, c));
        SY_TRY(run(t, c, &once));
    }
    return SY_OK;
}

// ---- turns ---------------------------------------------------------------------------------------------------------

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const struct trial *t, uint32_t choice)
{
    double sorted[MOST_TURNS];
    memcpy(sorted, t->times[choice], sizeof sorted);
    qsort(sorted, t->turns, sizeof *sorted, ascending);
    return sorted[t->turns / 2];
}

static bool takes_part(const struct trial *t, uint32_t choice)
{
    return t->programs[choice] != NULL && !t->out[choice];
}

/// The usual one stays: the others are compared with it.
static void drop_losers(struct trial *t)
{
    double best = median(t, 0);
    for (uint32_t c = 1; c < CHOICES; ++c)
        if (takes_part(t, c) && median(t, c) < best)
            best = median(t, c);
    for (uint32_t c = 1; c < CHOICES; ++c)
        t->out[c] |= takes_part(t, c) && median(t, c) > hopeless * best;
}

static bool alone(const struct trial *t)
{
    for (uint32_t c = 1; c < CHOICES; ++c)
        if (takes_part(t, c))
            return false;
    return true;
}

/// Until `until` in any case, and from three turns on only as long as others can wait and there is a question left.
static enum sy_status take_turns(struct trial *t, double others, double until)
{
    while (t->turns < MOST_TURNS && (t->turns == 0 || now() < (t->turns < 3 ? until : others)) &&
           (t->turns < 3 || !alone(t))) {
        for (uint32_t c = 0; c < CHOICES; ++c)
            if (takes_part(t, c))
                SY_TRY(run(t, c, &t->times[c][t->turns]));
        ++t->turns;
        if (t->turns >= 2)
            drop_losers(t);
    }
    return SY_OK;
}

static void decide(const struct trial *t, struct sy_choice *out)
{
    out->choice = 0;
    out->before = out->after = median(t, 0);
    for (uint32_t c = 1; c < CHOICES; ++c)
        if (takes_part(t, c) && median(t, c) < clearly * out->before && median(t, c) < out->after) {
            out->choice = c;
            out->after = median(t, c);
        }
}

static void trial_finish(struct trial *t)
{
    for (uint32_t i = 0; i < CHOICES; ++i) {
        sy_program_destroy(&t->programs[i]);
        sy_kernel_destroy(&t->kernels[i]);
    }
    for (uint32_t i = 0; i < SY_MAX_BINDINGS; ++i)
        sy_buffer_destroy(&t->bindings[i].buffer);
}

static enum sy_status measure(struct sy_device *device, struct sy_choice *c, double others, double until)
{
    struct trial t = {.device = device, .of = c};
    enum sy_status status = tensors_create(&t);
    if (status == SY_OK)
        status = kernels_create(&t, sy_variant_choices(c->work.variant));
    if (status == SY_OK)
        status = programs_create(&t);
    if (status == SY_OK)
        status = take_turns(&t, others, until);
    if (status == SY_OK)
        decide(&t, c);
    trial_finish(&t);
    return status;
}

static int longest_first(const void *a, const void *b)
{
    const struct sy_choice *x = a, *y = b;
    const double of_x = x->count * x->before, of_y = y->count * y->before;
    return (of_x < of_y) - (of_x > of_y);
}

/// Seconds of one dispatch as usual.
static enum sy_status weigh(struct sy_device *device, struct sy_choice *c)
{
    struct trial t = {.device = device, .of = c, .copies = 1};
    enum sy_status status = tensors_create(&t);
    if (status == SY_OK)
        status = kernels_create(&t, 1);
    for (int i = 0; i < 3 && status == SY_OK; ++i)
        status = i == 0 ? program_create(&t, 0) : run(&t, 0, &c->before);
    trial_finish(&t);
    return status;
}

enum sy_status sy_tune_weigh(struct sy_device *device, struct sy_choice *works, size_t count, double seconds)
{
    struct sy_ctx *ctx = sy_device_ctx(device);
    const double until = now() + seconds;
    size_t weighed = 0;
    for (; weighed < count && now() < until; ++weighed) {
        sy_ctx_attempt(ctx, true);
        const enum sy_status status = weigh(device, &works[weighed]);
        sy_ctx_attempt(ctx, false);
        if (status == SY_DEVICE)
            return sy_fail(ctx, status, "%s", sy_error(ctx));
    }
    qsort(works, weighed, sizeof *works, longest_first);
    for (size_t i = 0; i < weighed; ++i)
        works[i].before = 0.0;
    return SY_OK;
}

enum sy_status sy_tune_measure(struct sy_device *device, struct sy_choice *works, size_t count, double seconds)
{
    struct sy_ctx *ctx = sy_device_ctx(device);
    const double from = now();
    double longest = 0.0; // what one of them took, with the compiler's work
    for (size_t i = 0; i < count; ++i) {
        const double began = now();
        if (i != 0 && began - from + longest > seconds)
            break;
        sy_ctx_attempt(ctx, true);
        const double left = from + seconds - began;
        const enum sy_status status = measure(device, &works[i], began + left / 4, began + left);
        sy_ctx_attempt(ctx, false);
        if (status == SY_DEVICE)
            return sy_fail(ctx, status, "%s", sy_error(ctx));
        if (status == SY_OK)
            SY_TRY(sy_choices_put(ctx, sy_device_choices(device), &works[i]));
        longest = now() - began > longest ? now() - began : longest;
    }
    return SY_OK;
}

// ---- before a first step -------------------------------------------------------------------------------------------

/// Those of the heaviest that nothing is known of come first; gives how many.
static size_t unknown_first(const struct sy_choices *choices, struct sy_choice *works, size_t count)
{
    size_t unknown = 0;
    for (size_t i = 0; i < count && i < HEAVIEST; ++i)
        if (!sy_choices_know(choices, &works[i].work))
            works[unknown++] = works[i];
    return unknown;
}

static void tell_first_use(struct sy_device *device, const struct sy_choice *works, size_t count, double took)
{
    char found[512] = "", why[256], name[48];
    size_t measured = 0;
    for (size_t i = 0; i < count; ++i) {
        const struct sy_choice *c = &works[i];
        const size_t used = strlen(found);
        measured += c->before > 0.0;
        if (c->choice != 0)
            snprintf(found + used, sizeof found - used, "%s%s %s (%.2f times as fast)", used != 0 ? ", " : ": ",
                     sy_op_info(c->work.variant->op)->name, sy_variant_choice_name(c->work.variant, c->choice, name),
                     c->before / c->after);
    }
    const bool kept = sy_tune_keep(device, why);
    sy_log(sy_device_ctx(device), SY_LOG_INFO, "tuned %zu kernels for %s in %.1f s%s; %s%s", measured,
           sy_device_caps(device)->id, took, found[0] != '\0' ? found : ": all stay as usual",
           kept ? "kept for the next start (SY_TUNE=0: as usual)" : "not kept: ", kept ? "" : why);
}

void sy_tune_first_use(struct sy_device *device, const struct sy_graph *g)
{
    struct sy_choices *choices = sy_device_choices(device);
    struct sy_choice *works = NULL;
    size_t count = 0;
    if (choices == NULL || choices->first_seconds <= 0.0 ||
        sy_tune_collect(g, sy_device_caps(device), &works, &count) != SY_OK)
        return;
    const double from = now();
    count = unknown_first(choices, works, count);
    if (count != 0) {
        // A device that fails here fails the next call, too, which says so.
        if (sy_tune_measure(device, works, count, choices->first_seconds) == SY_OK)
            tell_first_use(device, works, count, now() - from);
        choices->first_seconds -= now() - from;
    }
    free(works);
}
