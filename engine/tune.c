// SPDX-License-Identifier: Apache-2.0
// tune.c: the list of choices, and what they are for.
#include "engine/tune.h"

#include <stdlib.h>
#include <string.h>

#include "engine/graph_private.h"

/// About what it costs: a device computes some twenty operations while it moves a byte.
static double cost_of(const struct sy_work *w)
{
    const struct sy_op_info *info = sy_op_info(w->variant->op);
    return info->impl->flops(w->args) + 20.0 * sy_op_bytes(info, w->types, w->args);
}

static bool same(const struct sy_work *a, const struct sy_work *b)
{
    return a->variant == b->variant && a->types == b->types &&
           memcmp(a->args, b->args, sy_op_info(a->variant->op)->args_bytes) == 0;
}

/// What is kept of that work, or of the nearest: that costs half to twice as much.
static const struct sy_choice *nearest(const struct sy_choices *choices, const struct sy_work *work)
{
    const struct sy_choice *found = NULL;
    double least = 1.0;
    for (size_t i = 0; i < choices->count; ++i) {
        const struct sy_choice *c = &choices->list[i];
        if (c->work.variant != work->variant || c->work.types != work->types)
            continue;
        if (same(&c->work, work))
            return c;
        const double distance = fabs(log2(cost_of(&c->work) / cost_of(work)));
        if (distance <= least && (found == NULL || distance < least)) {
            found = c;
            least = distance;
        }
    }
    return found;
}

uint32_t sy_choices_find(const struct sy_choices *choices, const struct sy_work *work)
{
    if (choices->forced != 0)
        return choices->forced < sy_variant_choices(work->variant) ? choices->forced : 0;
    const struct sy_choice *found = nearest(choices, work);
    return found != NULL ? found->choice : 0;
}

bool sy_choices_know(const struct sy_choices *choices, const struct sy_work *work)
{
    return nearest(choices, work) != NULL;
}

bool sy_choices_have(const struct sy_choices *choices, const struct sy_work *work)
{
    const struct sy_choice *found = nearest(choices, work);
    return found != NULL && same(&found->work, work);
}

enum sy_status sy_choices_put(struct sy_ctx *ctx, struct sy_choices *choices, const struct sy_choice *c)
{
    for (size_t i = 0; i < choices->count; ++i)
        if (same(&choices->list[i].work, &c->work)) {
            choices->list[i] = *c;
            return SY_OK;
        }
    if (choices->count == choices->room) {
        const size_t room = choices->room == 0 ? 32 : 2 * choices->room;
        struct sy_choice *bigger = realloc(choices->list, room * sizeof *bigger);
        if (bigger == NULL)
            return sy_fail(ctx, SY_NOMEM, "out of host memory");
        choices->list = bigger;
        choices->room = room;
    }
    choices->list[choices->count++] = *c;
    return SY_OK;
}

void sy_choices_destroy(struct sy_choices *choices)
{
    if (choices != NULL)
        free(choices->list);
    free(choices);
}

static struct sy_work work_of(const struct sy_node *n)
{
    struct sy_work w = {.variant = n->variant, .types = n->types};
    memcpy(w.args, n->args, sizeof w.args);
    return w;
}

static bool has_choices(const struct sy_node *n)
{
    return !sy_op_is_message(n->op) && n->variant != NULL && sy_variant_choices(n->variant) > 1;
}

void sy_tune_apply(struct sy_graph *g, const struct sy_caps *caps)
{
    for (size_t i = 0; i < g->node_count; ++i) {
        struct sy_node *n = &g->nodes[i];
        n->choice = 0;
        if (caps->choices == NULL || !has_choices(n))
            continue;
        const struct sy_work work = work_of(n);
        const uint32_t choice = sy_choices_find(caps->choices, &work);
        n->choice = sy_variant_can(n->variant, choice, caps) ? (uint8_t)choice : 0;
    }
}

static bool can_choose(const struct sy_variant *v, const struct sy_caps *caps)
{
    bool any = false;
    for (uint32_t c = 1; c < sy_variant_choices(v); ++c)
        any |= sy_variant_can(v, c, caps);
    return any;
}

static int most_first(const void *a, const void *b)
{
    const struct sy_choice *x = a, *y = b;
    const double of_x = x->count * cost_of(&x->work), of_y = y->count * cost_of(&y->work);
    return (of_x < of_y) - (of_x > of_y);
}

enum sy_status sy_tune_collect(const struct sy_graph *g, const struct sy_caps *caps, struct sy_choice **out,
                               size_t *out_count)
{
    struct sy_choices found = {0};
    for (size_t i = 0; i < g->node_count; ++i) {
        const struct sy_node *n = &g->nodes[i];
        if (!has_choices(n) || !can_choose(n->variant, caps) || sy_variant_groups(n->variant, 0, n->args, caps) == 0)
            continue;
        struct sy_choice c = {.work = work_of(n), .count = 1};
        for (size_t k = 0; k < found.count; ++k)
            if (same(&found.list[k].work, &c.work))
                c.count = found.list[k].count + 1;
        const enum sy_status status = sy_choices_put(g->ctx, &found, &c);
        if (status != SY_OK) {
            free(found.list);
            return status;
        }
    }
    if (found.count != 0)
        qsort(found.list, found.count, sizeof *found.list, most_first);
    *out = found.list;
    *out_count = found.count;
    return SY_OK;
}
