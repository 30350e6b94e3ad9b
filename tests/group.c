// SPDX-License-Identifier: Apache-2.0
// group.c: what ranks send to each other, beside MPI_Alltoallv; sizes that disagree; who says why a run ends. Run it
// with mpirun -n 4 or more.
#include "hostlib/group.h"

#include <mpi.h>
#include <stdlib.h>
#include <string.h>

#include "hostlib/pulse.h"
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
    check_sizes(&t, ctx, &g);
    check_speaker(&t, ctx, &g);
    const int status = g.rank == 0 ? tap_done(&t) : 0;
    sy_group_close(&g);
    sy_ctx_destroy(&ctx);
    return status;
}
