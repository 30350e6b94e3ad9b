// SPDX-License-Identifier: Apache-2.0
#include "apps/plan_shares.h"

#include <stdio.h>
#include <stdlib.h>

#include "apps/cli.h"
#include "apps/share.h"

enum sy_status plan_shares_read(struct sy_ctx *ctx, const char *text, uint32_t micro_count, struct plan_shares *s,
                                struct sy_layout *layout)
{
    uint32_t *sequences;
    SY_TRY(share_read(ctx, text, SHARE_EXPERTS, layout->expert, &s->experts));
    layout->share = s->experts;
    SY_TRY(share_read(ctx, text, SHARE_SEQUENCES, layout->data, &sequences));
    if (sequences == NULL)
        return SY_OK;
    enum sy_status status = SY_OK;
    if (micro_count < 2)
        status =
            sy_fail(ctx, SY_INVALID,
                    "--share %s gives out micro-batches of sequences: say with --micro-batches how many a rank has "
                    "where shares are equal, at least 2",
                    text);
    else if ((s->turns = calloc((size_t)layout->data + 1, sizeof *s->turns)) == NULL)
        status = sy_fail(ctx, SY_NOMEM, "out of host memory");
    else
        share_give_out(sequences, layout->data, layout->data * micro_count, s->turns);
    layout->turns = s->turns;
    free(sequences);
    return status;
}

static enum sy_status make_one(struct sy_ctx *ctx, const struct plan_job *job, const struct sy_layout *layout,
                               struct plan_share *out)
{
    struct plan_step p;
    struct plan_traffic t;
    const enum sy_status status = plan_step_own(ctx, job, layout, &p);
    if (status == SY_OK) {
        plan_traffic_sum(p.graph, &p.segments, layout, plan_job_machine(job), SY_OP_COUNT, &t);
        *out = (struct plan_share){.rank = sy_layout_number(layout, layout->rank, 0),
                                   .experts = (uint32_t)p.own_experts,
                                   .sequences = (uint64_t)p.params.batch * sy_graph_micro_count(p.graph),
                                   .bytes = p.bytes,
                                   .sent = t.near.sent + t.far.sent,
                                   .seconds = p.time.total};
    }
    plan_step_finish(&p);
    return status;
}

enum sy_status plan_shares_make(struct sy_ctx *ctx, const struct plan_job *job, const struct sy_layout *layout,
                                struct plan_shares *s)
{
    struct sy_layout at = *layout;
    s->places = sy_layout_ranks(layout);
    s->list = calloc(s->places, sizeof *s->list);
    if (s->list == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    for (at.rank = 0; at.rank < s->places; ++at.rank)
        SY_TRY(make_one(ctx, job, &at, &s->list[at.rank]));
    return SY_OK;
}

void plan_shares_print(const struct plan_shares *s)
{
    const struct plan_share *list = s->list;
    double longest = 0.0;
    printf("shares               rank  experts a layer  sequences         memory  sent a step%s\n",
           list[0].seconds > 0.0 ? "      time" : "");
    for (uint32_t i = 0; i < s->places; ++i) {
        char sent[16];
        cli_human(list[i].sent, sent);
        printf("  %23u  %15u  %9llu  %9.1f MiB  %11s", list[i].rank, list[i].experts,
               (unsigned long long)list[i].sequences, (double)list[i].bytes / 0x1p20, sent);
        if (list[i].seconds > 0.0)
            printf("  %6.4f s", list[i].seconds);
        putchar('\n');
        longest = list[i].seconds > longest ? list[i].seconds : longest;
    }
    if (longest > 0.0)
        printf("  a step takes as long as the slowest: %.4f s\n", longest);
}

json_t *plan_shares_json(const struct plan_shares *s)
{
    json_t *all = json_array();
    for (uint32_t i = 0; i < s->places; ++i)
        json_array_append_new(
            all, json_pack("{s:I, s:I, s:I, s:I, s:f, s:f}", "rank", (json_int_t)s->list[i].rank, "experts",
                           (json_int_t)s->list[i].experts, "sequences", (json_int_t)s->list[i].sequences, "total_bytes",
                           (json_int_t)s->list[i].bytes, "sent", s->list[i].sent, "seconds", s->list[i].seconds));
    return all;
}

void plan_shares_finish(struct plan_shares *s)
{
    free(s->experts);
    free(s->turns);
    free(s->list);
}
