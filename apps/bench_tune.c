// SPDX-License-Identifier: Apache-2.0
// bench_tune.c: which launch of each kernel of a model is fastest on a device: measures, shows, keeps, forgets.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/bench.h"
#include "engine/tune.h"

/// The numbers of a work, as `op --args` takes them.
static const char *args_of(const struct sy_work *w, char *out, size_t room)
{
    sy_tune_print_args(sy_op_info(w->variant->op), w->args, out, room);
    return out;
}

static void print_lines(const struct sy_choice *list, size_t count)
{
    printf("%5s %12s %12s %6s  %-12s %s\n", "times", "as usual, us", "chosen, us", "ratio", "chosen",
           "kernel, types, arguments");
    for (size_t i = 0; i < count; ++i) {
        const struct sy_choice *c = &list[i];
        char name[48], args[640], times[16] = "";
        if (c->before <= 0.0)
            continue;
        if (c->count != 0)
            snprintf(times, sizeof times, "%u", c->count);
        printf("%5s %12.1f %12.1f %6.2f  %-12s %s:%s %s %s\n", times, 1e6 * c->before, 1e6 * c->after,
               c->before / c->after, sy_variant_choice_name(c->work.variant, c->choice, name),
               sy_op_info(c->work.variant->op)->name, c->work.variant->name, bench_types_name(c->work.types),
               args_of(&c->work, args, sizeof args));
    }
}

static json_t *choice_json(const struct sy_choice *c)
{
    const struct sy_op_info *info = sy_op_info(c->work.variant->op);
    char name[48], args[640];
    return json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:f, s:f}", "op", info->name, "variant", c->work.variant->name,
                     "types", bench_types_name(c->work.types), "args", args_of(&c->work, args, sizeof args), "times",
                     (int)c->count, "choice", sy_variant_choice_name(c->work.variant, c->choice, name), "usual_us",
                     1e6 * c->before, "chosen_us", 1e6 * c->after);
}

static enum sy_status print_json(const struct bench *b, const char *path, const struct sy_choice *list, size_t count,
                                 double seconds)
{
    json_t *choices = json_array();
    for (size_t i = 0; i < count; ++i)
        if (list[i].before > 0.0)
            json_array_append_new(choices, choice_json(&list[i]));
    json_t *j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:f, s:o}", "bench", "tune", "device", b->caps->id, "name",
                          b->caps->name, "driver", b->caps->driver, "file", path, "works", (int)count, "seconds",
                          seconds, "choices", choices);
    if (j == NULL)
        return sy_fail(b->ctx, SY_NOMEM, "out of host memory");
    json_dumpf(j, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(j);
    return SY_OK;
}

// ---- what is to be measured ----------------------------------------------------------------------------------------

static enum sy_status works_of(const struct bench *b, const struct sy_graph *g, struct sy_choices *works)
{
    struct sy_choice *list = NULL;
    size_t count = 0;
    SY_TRY(sy_tune_collect(g, b->caps, &list, &count));
    enum sy_status status = SY_OK;
    for (size_t i = 0; i < count && status == SY_OK; ++i)
        status = sy_choices_put(b->ctx, works, &list[i]);
    free(list);
    return status;
}

/// The graph of a training step, without its memory.
static enum sy_status step_works(const struct bench *b, struct sy_choices *works)
{
    struct sy_bundle bundle = {0};
    struct sy_graph *graph = NULL;
    struct sy_loss loss;
    struct sy_optimizer_outputs outputs;
    struct sy_model *model = calloc(1, sizeof *model);
    struct sy_session_params params = {.kind = SY_SESSION_TRAIN, .config = &bundle.config};
    if (model == NULL)
        return sy_fail(b->ctx, SY_NOMEM, "out of host memory");
    enum sy_status status = sy_bundle_open(b->ctx, b->o->common.model, SY_WEIGHTS_IF_ANY, &bundle);
    if (status == SY_OK) {
        bench_shape(b, &params);
        status = sy_assemble(b->ctx, b->caps, &params, &graph, model, &loss, &outputs);
    }
    if (status == SY_OK)
        status = works_of(b, graph, works);
    sy_graph_destroy(&graph);
    sy_bundle_close(&bundle);
    free(model);
    return status;
}

/// One square product.
static enum sy_status product_works(const struct bench *b, enum sy_op_types types, struct sy_choices *works)
{
    const uint32_t n = (uint32_t)b->o->size;
    const struct sy_variant *variant;
    struct bench_entrant e = {0};
    SY_TRY(bench_variant(b, SY_OP_matmul, types, NULL, &variant));
    enum sy_status status = bench_product(b, types, n, n, n, variant, &e);
    if (status == SY_OK)
        status = works_of(b, e.graph, works);
    bench_entrant_close(&e);
    return status;
}

// ---- the subcommand ------------------------------------------------------------------------------------------------

static double share_of_step(const struct sy_choices *works, double *after)
{
    double before = *after = 0.0;
    for (size_t i = 0; i < works->count; ++i) {
        before += works->list[i].count * works->list[i].before;
        *after += works->list[i].count * works->list[i].after;
    }
    return before;
}

static enum sy_status report(const struct bench *b, const char *path, const struct sy_choices *works, double took)
{
    size_t measured = 0;
    double after;
    if (b->o->json)
        return print_json(b, path, works->list, works->count, took);
    for (size_t i = 0; i < works->count; ++i)
        measured += works->list[i].before > 0.0;
    print_lines(works->list, works->count);
    const double before = share_of_step(works, &after);
    printf("%zu of %zu measured in %.1f s%s; all their dispatches: %.3f ms as usual, %.3f ms as chosen\n", measured,
           works->count, took, measured < works->count ? " (a longer --budget measures more)" : "", 1e3 * before,
           1e3 * after);
    if (path[0] != '\0')
        printf("kept in %s\n", path);
    return SY_OK;
}

static enum sy_status measure(const struct bench *b, struct sy_choices *works, const char *path)
{
    char why[256];
    const double from = cli_seconds(), budget = b->o->budget;
    sy_log(b->ctx, SY_LOG_INFO, "%zu kernels with their arguments have a choice; measuring for at most %.0f s",
           works->count, budget);
    SY_TRY(sy_tune_weigh(b->device, works->list, works->count, budget / 4));
    SY_TRY(sy_tune_measure(b->device, works->list, works->count, budget - (cli_seconds() - from)));
    const bool kept = sy_tune_keep(b->device, why);
    if (!kept)
        sy_log(b->ctx, SY_LOG_WARN, "not kept: %s", why);
    return report(b, kept ? path : "", works, cli_seconds() - from);
}

static enum sy_status show(const struct bench *b, const char *path)
{
    const struct sy_choices *choices = sy_device_choices(b->device);
    if (b->o->json)
        return print_json(b, path, choices->list, choices->count, 0.0);
    if (choices->count == 0) {
        printf("nothing is kept of %s: every kernel is launched as usual\n", b->caps->id);
        return SY_OK;
    }
    printf("from %s\n", path);
    print_lines(choices->list, choices->count);
    return SY_OK;
}

static enum sy_status forget(const struct bench *b, const char *path)
{
    bool found = false;
    SY_TRY(sy_tune_forget(b->ctx, b->caps, &found));
    if (!b->o->json)
        printf(found ? "removed %s\n" : "nothing is kept of %s\n", found ? path : b->caps->id);
    return SY_OK;
}

enum sy_status bench_tune(struct bench *b)
{
    struct sy_choices works = {0};
    char path[SY_CACHE_PATH_ROOM] = "";
    if (!sy_tune_path(b->caps, path))
        path[0] = '\0';
    if (b->o->forget)
        return forget(b, path);
    SY_TRY(sy_tune_open(b->device)); // whatever SY_TUNE says
    if (b->o->show)
        return show(b, path);
    enum sy_status status = SY_OK;
    if (b->o->common.model != NULL)
        status = step_works(b, &works);
    else if (b->o->dtype != NULL)
        status = product_works(b, bench_types(b), &works);
    else {
        status = product_works(b, SY_TYPES_F, &works);
        if (status == SY_OK && b->caps->bf16)
            status = product_works(b, SY_TYPES_B, &works);
    }
    if (status == SY_OK && works.count == 0) {
        if (b->o->json)
            status = print_json(b, path, NULL, 0, 0.0);
        else
            printf("nothing to choose on %s: its kernels have one launch each\n", b->caps->id);
    } else if (status == SY_OK) {
        status = measure(b, &works, path);
    }
    free(works.list);
    return status;
}
