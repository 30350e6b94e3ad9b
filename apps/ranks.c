// SPDX-License-Identifier: Apache-2.0
#include "apps/ranks.h"

#include "apps/share.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

bool ranks_parse(struct argp_state *state, int key, const char *arg, struct ranks_options *o)
{
    switch (key) {
    case OPT_EXPERT_PARALLEL: o->expert = cli_count(state, "--expert-parallel", arg, 1, 1u << 16, false); break;
    case OPT_DATA_PARALLEL: o->data = cli_count(state, "--data-parallel", arg, 1, 1u << 16, false); break;
    case OPT_MODEL_PARALLEL: o->model = cli_count(state, "--model-parallel", arg, 1, 1u << 16, false); break;
    case OPT_TWO_LEVEL: o->two_level = true; break;
    case OPT_COMM_TIMEOUT: o->patience = cli_real(state, "--comm-timeout", arg, 0.0, 1e6); break;
    case OPT_SHARE:
        o->share = arg;
        if (!share_good(arg))
            argp_error(state, "--share: '%s' is neither equal nor whole numbers from 1 to %d like 3,1 or equal/3,1",
                       arg, SHARE_MOST);
        break;
    default: return false;
    }
    return true;
}

/// Sizes of the axes from what was given and the number of ranks.
static enum sy_status lay_out(struct sy_ctx *ctx, struct ranks *r, const struct ranks_options *o)
{
    const uint32_t size = r->group.size;
    uint64_t expert = o->expert, data = o->data;
    const uint64_t model = o->model != 0 ? o->model : 1, places = size > model ? size / model : 1;
    if (expert == 0)
        expert = data == 0 ? places : places > data ? places / data : 1;
    if (data == 0)
        data = places > expert ? places / expert : 1;
    const uint64_t all = data * expert * model;
    char layout[120];
    snprintf(layout, sizeof layout, "--data-parallel %llu × --expert-parallel %llu", (unsigned long long)data,
             (unsigned long long)expert);
    if (model > 1)
        snprintf(layout + strlen(layout), sizeof layout - strlen(layout), " × --model-parallel %llu",
                 (unsigned long long)model);
    if (all != size)
        return sy_fail(ctx, SY_INVALID,
                       "%s need %llu ranks, but mpirun started %u: start as many, or leave one of the options away",
                       layout, (unsigned long long)all, size);
    if ((all & (all - 1)) != 0)
        return sy_fail(ctx, SY_INVALID,
                       "%u ranks as %s: all must be powers of two, because sums go by a pairwise tree over ranks", size,
                       layout);
    r->layout = (struct sy_layout){.group = &r->group,
                                   .data = (uint32_t)data,
                                   .expert = (uint32_t)expert,
                                   .model = (uint32_t)model,
                                   .rank = (uint32_t)(r->group.rank / model),
                                   .part = (uint32_t)(r->group.rank % model)};
    SY_TRY(share_read(ctx, o->share, SHARE_EXPERTS, r->layout.expert, &r->share));
    SY_TRY(share_read(ctx, o->share, SHARE_SEQUENCES, r->layout.data, &r->sequences));
    r->layout.share = r->share;
    r->measured = o->share == NULL;
    return SY_OK;
}

void ranks_describe(const struct ranks *r, char out[64])
{
    const int n = snprintf(out, 64, "%u data × %u expert", r->layout.data, r->layout.expert);
    if (r->layout.model > 1)
        snprintf(out + n, 64 - (size_t)n, " × %u model", r->layout.model);
}

uint32_t ranks_places(const struct ranks *r) { return sy_layout_ranks(&r->layout); }

/// An error, for people who look at the output of all ranks: whose it is, where, and in which step.
static void say_error(const struct ranks *r, uint32_t rank, const char *text)
{
    const struct sy_group *g = &r->group;
    fprintf(stderr, "%s: rank %u", r->name, rank);
    if (!g->over && g->names != NULL) // else it is about another rank, and says that itself
        fprintf(stderr, " (%s)", g->names[rank]);
    if (!g->over && g->step != 0)
        fprintf(stderr, ", step %llu", (unsigned long long)g->step);
    fprintf(stderr, ": error: %s\n", text);
}

/// Rank 0's log.
static void log_first(void *user, enum sy_log_level level, const char *text)
{
    struct ranks *r = user;
    if (level == SY_LOG_ERROR && r->group.size > 1)
        say_error(r, 0, text);
    else
        sy_log_stderr(r->name, level, text);
}

enum sy_status ranks_open(struct ranks *r, const struct ranks_options *o, const char *program, struct sy_ctx **ctx)
{
    SY_TRY(sy_group_open(*ctx, &r->group));
    r->group.patience_s = o->patience;
    snprintf(r->name, sizeof r->name, "%s", program);
    if (r->group.size > 1) {
        const bool first = r->group.rank == 0;
        struct sy_ctx *own = sy_ctx_create(first ? log_first : NULL, r, SY_LOG_INFO);
        if (own == NULL || (!first && freopen("/dev/null", "w", stdout) == NULL))
            return sy_fail(*ctx, SY_NOMEM, "rank %u could not start", r->group.rank);
        sy_ctx_destroy(ctx);
        *ctx = own;
    }
    SY_TRY(ranks_name(*ctx, r, ""));
    SY_TRY(sy_group_watch(*ctx, &r->group));
    SY_TRY(ranks_agree(*ctx, r, lay_out(*ctx, r, o)));
    SY_TRY(ranks_compare(*ctx, r, "--share", o->share != NULL ? o->share : "equal"));
    SY_TRY(ranks_compare(*ctx, r, "--two-level", o->two_level ? "given" : "not given"));
    r->group.two_level = o->two_level;
    char text[64];
    ranks_describe(r, text);
    if (r->group.size > 1)
        sy_log(*ctx, SY_LOG_INFO, "%u ranks: %s", r->group.size, text);
    return SY_OK;
}

const struct sy_layout *ranks_layout(const struct ranks *r) { return r->group.size > 1 ? &r->layout : NULL; }

enum sy_status ranks_compare(struct sy_ctx *ctx, struct ranks *r, const char *item, const char *value)
{
    enum { ROOM = 256 };
    char mine[ROOM] = "";
    if (r->group.size == 1)
        return SY_OK;
    char(*all)[ROOM] = calloc(r->group.size, ROOM);
    if (all == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    snprintf(mine, sizeof mine, "%s", value);
    enum sy_status status = sy_group_collect(ctx, &r->group, item, mine, sizeof mine, all);
    const bool heard = status == SY_OK;
    for (uint32_t i = 1; i < r->group.size && status == SY_OK; ++i) {
        all[i][ROOM - 1] = '\0';
        if (strcmp(all[i], all[0]) != 0)
            status =
                sy_fail(ctx, SY_COMM, "rank %u has another %s than rank 0: %s, and rank 0 %s", i, item, all[i], all[0]);
    }
    free(all);
    r->failed |= heard && status != SY_OK; // all have seen the same
    return status;
}

enum sy_status ranks_compare_config(struct sy_ctx *ctx, struct ranks *r, const struct sy_config *config)
{
    if (r->group.size == 1)
        return SY_OK;
    struct sy_config *all = calloc(r->group.size, sizeof *all); // pointers in them are not looked at
    if (all == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    enum sy_status status = sy_group_collect(ctx, &r->group, "the model's config", config, sizeof *config, all);
    const bool heard = status == SY_OK;
    for (uint32_t i = 1; i < r->group.size && status == SY_OK; ++i) {
        const char *key = sy_config_difference(&all[0], &all[i]);
        if (key != NULL)
            status = sy_fail(ctx, SY_COMM, "rank %u has another model than rank 0: its config differs in %s", i, key);
    }
    free(all);
    r->failed |= heard && status != SY_OK;
    if (status == SY_OK && r->share != NULL && !r->measured)
        share_log(ctx, &r->layout, config->experts);
    return status;
}

enum sy_status ranks_cut(struct sy_ctx *ctx, struct ranks *r, const struct share_step *step, uint32_t *micro)
{
    const uint32_t groups = r->layout.data;
    if (r->sequences == NULL)
        return SY_OK;
    r->turns = calloc((size_t)groups + 1, sizeof *r->turns);
    if (r->turns == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    if (share_turns(r->sequences, groups, step, r->turns)) {
        r->layout.turns = r->turns;
        *micro = step->sequences / r->turns[groups];
    }
    char text[200] = "", cut[40] = "";
    for (uint32_t d = 0; d < groups && strlen(text) + 16 < sizeof text; ++d)
        snprintf(text + strlen(text), 16, "%s%u", d == 0 ? "" : ", ",
                 r->layout.turns != NULL ? *micro * (r->turns[d + 1] - r->turns[d]) : step->sequences / groups);
    if (r->layout.turns != NULL)
        snprintf(cut, sizeof cut, ", in micro-batches of %u", *micro);
    sy_log(ctx, SY_LOG_INFO, "shares of a step's sequences: %s%s a rank%s", text,
           strlen(text) + 16 < sizeof text ? "" : " …", r->layout.turns != NULL ? cut : ": no cut of a step is nearer");
    return SY_OK;
}

/// How a rank is, and what it would say.
struct word {
    int32_t status;
    char text[600];
};

enum sy_status ranks_agree(struct sy_ctx *ctx, struct ranks *r, enum sy_status status)
{
    struct word mine = {.status = status};
    if (r->group.size == 1 || r->failed)
        return status;
    struct word *all = calloc(r->group.size, sizeof *all);
    if (all == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    if (status != SY_OK)
        snprintf(mine.text, sizeof mine.text, "%s", sy_error(ctx));
    enum sy_status others = sy_group_collect(ctx, &r->group, "whether all ranks are well", &mine, sizeof mine, all);
    const bool heard = others == SY_OK;
    for (uint32_t i = 0; i < r->group.size && heard; ++i) {
        bool said = i == 0 || all[i].status == SY_OK || all[i].text[0] == '\0';
        for (uint32_t k = 0; k < i && !said; ++k)
            said = strcmp(all[k].text, all[i].text) == 0;
        if (!said && r->group.rank == 0)
            say_error(r, i, all[i].text);
        others = all[i].status != SY_OK ? SY_COMM : others;
    }
    free(all);
    r->failed |= heard && others != SY_OK;
    return status != SY_OK ? status : others;
}

static void nap(double s)
{
    const struct timespec t = {.tv_sec = (time_t)s, .tv_nsec = (long)(1e9 * (s - (double)(time_t)s))};
    nanosleep(&t, NULL);
}

/// mpirun loses what it has not read, or not passed on, when the run is aborted.
static void let_read(void)
{
    int unread = 0;
    fflush(stderr);
    for (int i = 0; i < 60 && ioctl(STDERR_FILENO, FIONREAD, &unread) == 0 && unread > 0; ++i)
        nap(0.05); // of a pipe, which mpirun may be too busy to read
    nap(0.5);
}

/// One of the ranks says why; those that only heard of it leave it the time to.
static void tell(struct ranks *r, const struct sy_ctx *ctx)
{
    const bool speak = sy_group_speak(&r->group);
    if (speak && r->group.rank != 0 && ctx != NULL) // rank 0 logs
        say_error(r, r->group.rank, sy_error(ctx));
    if (speak)
        let_read();
    else
        nap(5.0);
}

void ranks_close(struct ranks *r, struct sy_ctx *ctx, enum sy_status status)
{
    const bool alone = r->group.size <= 1, together = status == SY_OK || r->failed;
    // Nobody may be missing in MPI_Finalize(), which would wait for ever.
    const enum sy_status end = alone || !together ? status : sy_group_agree(ctx, &r->group, SY_OK);
    if (!alone && end != SY_OK) {
        tell(r, ctx);
        sy_group_abort(&r->group);
    }
    sy_group_close(&r->group);
    free(r->share);
    free(r->sequences);
    free(r->turns);
    r->share = r->sequences = r->turns = NULL;
}
