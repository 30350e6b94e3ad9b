// SPDX-License-Identifier: Apache-2.0
// group.c: what ranks send to each other, beside MPI_Alltoallv; sizes that disagree; who says why a run ends. Run it
// with mpirun -n 4 or more.
#include "hostlib/group.h"

#include <mpi.h>
#include <stdlib.h>
#include <string.h>

#include "hostlib/pulse.h"
#include "hostlib/relay.h"
#include "tests/tap.h"

/// The same numbers on all ranks.
static uint32_t draw(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

/// Only rank 0 prints.
static bool all_well(struct tap *t, struct sy_ctx *ctx, struct sy_group *g, bool good, const char *what)
{
    char *every = calloc(g->size, 1), mine = (char)good;
    bool well = every != NULL && sy_group_collect(ctx, g, "results", &mine, 1, every) == SY_OK;
    for (uint32_t r = 0; r < g->size && well; ++r)
        well = every[r] != 0;
    if (g->rank == 0)
        tap_ok(t, well, "%s", what);
    free(every);
    return well;
}

/// What goes from each rank to each, for one exchange: sizes that all ranks know, many of them 0.
struct all_to_all {
    int *sends, *receives, *from, *to; ///< [size] bytes, and where they lie.
    char *out, *in, *want;
    struct sy_transfer *list;
    size_t count;
};

static void prepare(struct all_to_all *a, const struct sy_group *g, uint64_t seed, uint32_t most)
{
    uint64_t state = seed;
    int sent = 0, received = 0;
    *a = (struct all_to_all){.sends = calloc(4 * (size_t)g->size, sizeof(int))};
    a->receives = a->sends + g->size;
    a->from = a->receives + g->size;
    a->to = a->from + g->size;
    for (uint32_t s = 0; s < g->size; ++s)
        for (uint32_t r = 0; r < g->size; ++r) {
            const uint32_t dice = draw(&state), bytes = dice % 3 == 0 ? 0 : draw(&state) % most;
            if (s == g->rank)
                a->sends[r] = (int)bytes;
            if (r == g->rank)
                a->receives[s] = (int)bytes;
        }
    for (uint32_t r = 0; r < g->size; ++r) {
        a->from[r] = sent;
        a->to[r] = received;
        sent += a->sends[r];
        received += a->receives[r];
    }
    a->out = malloc((size_t)sent + 1);
    a->in = calloc((size_t)received + 1, 1);
    a->want = calloc((size_t)received + 1, 1);
    a->list = calloc(2 * (size_t)g->size, sizeof *a->list);
    for (int i = 0; i < sent; ++i)
        a->out[i] = (char)((uint64_t)i * 7 + g->rank * 31 + seed);
    for (uint32_t r = 0; r < g->size; ++r)
        if (r == g->rank) {
            memcpy(a->in + a->to[r], a->out + a->from[r], (size_t)a->sends[r]);
        } else {
            a->list[a->count++] =
                (struct sy_transfer){.peer = r, .data = a->in + a->to[r], .bytes = (uint64_t)a->receives[r]};
            a->list[a->count++] = (struct sy_transfer){
                .peer = r, .send = true, .data = a->out + a->from[r], .bytes = (uint64_t)a->sends[r]};
        }
    MPI_Alltoallv(a->out, a->sends, a->from, MPI_BYTE, a->want, a->receives, a->to, MPI_BYTE, MPI_COMM_WORLD);
}

/// Whether all has come that MPI_Alltoallv brought.
static bool finish(struct all_to_all *a, const struct sy_group *g)
{
    const bool same = memcmp(a->in, a->want, (size_t)(a->to[g->size - 1] + a->receives[g->size - 1])) == 0;
    free(a->sends);
    free(a->out);
    free(a->in);
    free(a->want);
    free(a->list);
    return same;
}

static void check_all_to_all(struct tap *t, struct sy_ctx *ctx, struct sy_group *g)
{
    bool same = true;
    for (uint64_t i = 0; i < 20; ++i) {
        struct all_to_all a;
        prepare(&a, g, i, i % 2 == 0 ? 100 : 100000);
        same &= sy_group_exchange(ctx, g, "all to all", a.list, a.count) == SY_OK;
        same &= finish(&a, g);
    }
    all_well(t, ctx, g, same, "all to all: the bytes of MPI_Alltoallv");
}

/// The same in two steps, as if so many ranks were on one host: three at a time, which are ended in another order on
/// each rank.
static void check_two_level(struct tap *t, struct sy_ctx *ctx, struct sy_group *g, uint32_t each)
{
    struct sy_team *team = NULL;
    uint32_t *ranks = calloc(g->size, sizeof *ranks);
    for (uint32_t r = 0; r < g->size && ranks != NULL; ++r) {
        ranks[r] = r;
        g->hosts[r] = r / each;
    }
    bool same = ranks != NULL && sy_team_create(ctx, g, ranks, g->size, &team) == SY_OK && team != NULL;
    const uint64_t before = g->far_messages;
    uint64_t rounds = 0;
    for (; rounds < 10 && same; ++rounds) {
        enum { AT_ONCE = 3 };
        struct all_to_all a[AT_ONCE];
        struct sy_relay *way[AT_ONCE] = {NULL};
        for (uint64_t i = 0; i < AT_ONCE; ++i) {
            prepare(&a[i], g, 100 * each + 3 * rounds + i, rounds % 2 == 0 ? 100 : 100000);
            same &= sy_relay_start(ctx, g, "all to all", a[i].list, a[i].count, team, &way[i]) == SY_OK;
        }
        for (uint32_t left = AT_ONCE, at = g->rank; left != 0 && same; ++at) {
            bool done = false;
            struct sy_relay **w = &way[at % AT_ONCE];
            if (*w == NULL)
                continue;
            same &= sy_relay_look(ctx, *w, true, &done) == SY_OK;
            if (done) {
                sy_relay_drop(w);
                --left;
            }
        }
        for (uint64_t i = 0; i < AT_ONCE; ++i) {
            sy_relay_drop(&way[i]);
            same &= finish(&a[i], g);
        }
    }
    const uint64_t most = 3 * rounds * (g->size / each - 1); // one to each other host
    char what[120];
    snprintf(what, sizeof what,
             "in two steps, %u ranks on a host: the bytes of MPI_Alltoallv, one message to each other host", each);
    all_well(t, ctx, g, same && g->far_messages - before <= most, what);
    sy_team_destroy(&team);
    free(ranks);
}

/// Two steps are for several ranks on each of several hosts.
static void check_teams(struct tap *t, struct sy_ctx *ctx, struct sy_group *g)
{
    static const struct {
        uint32_t hosts[4];
        bool two;
    } cases[] = {{{0, 0, 0, 0}, false},
                 {{0, 1, 2, 3}, false},
                 {{0, 1, 1, 1}, false},
                 {{0, 0, 2, 2}, true},
                 {{0, 1, 0, 1}, true}};
    const uint32_t ranks[] = {0, 1, 2, 3};
    bool good = true;
    for (size_t i = 0; i < SY_COUNT(cases); ++i) {
        struct sy_team *team = NULL;
        memcpy(g->hosts, cases[i].hosts, sizeof cases[i].hosts);
        good &= sy_team_create(ctx, g, ranks, g->rank < 4 ? 4 : 0, &team) == SY_OK &&
                (g->rank >= 4 || (team != NULL) == cases[i].two);
        sy_team_destroy(&team);
    }
    all_well(t, ctx, g, good, "two steps where there are several ranks on each of several hosts");
}

/// Rank 0 expects 16 bytes of rank 1, which sends another number.
static void check_sizes(struct tap *t, struct sy_ctx *ctx, struct sy_group *g)
{
    static const char *const words[] = {"sent 8 bytes, expected 16", "sent 24 bytes, expected 16"};
    for (uint32_t i = 0; i < 2; ++i) {
        char data[24] = {0};
        const struct sy_transfer one = {
            .peer = 1 - g->rank, .send = g->rank == 1, .data = data, .bytes = g->rank == 0 ? 16 : 8 + 16 * i};
        const enum sy_status status = g->rank < 2 ? sy_group_exchange(ctx, g, "a sum", &one, 1) : SY_OK;
        const bool said = g->rank != 0 || (status == SY_COMM && strstr(sy_error(ctx), words[i]) != NULL &&
                                           strstr(sy_error(ctx), "a sum: rank 1 ") != NULL);
        if (!all_well(t, ctx, g, said && (g->rank == 0 || status == SY_OK), words[i]) && g->rank == 0)
            printf("# %s\n", sy_error(ctx));
    }
}

/// All find out at once that a rank is missing, and ask twice, as the programs do: one of them speaks, both times.
static void check_speaker(struct tap *t, struct sy_ctx *ctx, struct sy_group *g)
{
    bool good = true;
    for (int round = 0; round < 5; ++round) {
        char *every = calloc(g->size, 1);
        char mine = 0;
        good &= sy_group_watch(ctx, g) == SY_OK && every != NULL;
        MPI_Barrier(MPI_COMM_WORLD);
        const bool first = sy_group_speak(g);
        mine = first == sy_group_speak(g) ? (char)first : 2;
        good &= sy_group_collect(ctx, g, "who speaks", &mine, 1, every) == SY_OK;
        int speakers = 0;
        for (uint32_t r = 0; r < g->size; ++r)
            speakers += every[r];
        good &= speakers == 1;
        sy_pulse_close(&g->pulse);
        g->told = false;
        free(every);
    }
    all_well(t, ctx, g, good, "of ranks that find out at once that one is missing, one says so");
}

int main(void)
{
    struct tap t = {0};
    struct sy_group g;
    struct sy_ctx *ctx = sy_ctx_create(NULL, NULL, SY_LOG_INFO);
    if (ctx == NULL || sy_group_open(ctx, &g) != SY_OK || g.size < 4) {
        printf("not ok - four ranks or more: start it with mpirun -n 4\n");
        return 1;
    }
    check_all_to_all(&t, ctx, &g);
    for (uint32_t each = 2; each < g.size; each *= 2)
        check_two_level(&t, ctx, &g, each);
    check_teams(&t, ctx, &g);
    check_sizes(&t, ctx, &g);
    check_speaker(&t, ctx, &g);
    const int status = g.rank == 0 ? tap_done(&t) : 0;
    sy_group_close(&g);
    sy_ctx_destroy(&ctx);
    return status;
}
