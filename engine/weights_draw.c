// SPDX-License-Identifier: Apache-2.0
// weights_draw.c: weights from Philox (spec §7). Each element depends on its place alone, so threads may share a
// tensor.
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/runtime_private.h"
#include "engine/split.h"
#include "engine/stream.h"
#include "engine/weights.h"
#include "kernels/philox.h"

#define CHUNK 65536u // elements one thread draws at a time: milliseconds, so that starting it does not count
#define MAX_THREADS 64

/// Two independent N(0,1) from two words (Box–Muller; u1 > 0).
static double normal_of(uint32_t a, uint32_t b)
{
    double u1 = ((double)a + 0.5) / 4294967296.0, u2 = (double)b / 4294967296.0;
    return sqrt(-2.0 * log(u1)) * cos(6.283185307179586 * u2);
}

/// Element `i` of a tensor: plane counts the redraws of a truncated normal.
static float draw(const struct sy_param *p, uint32_t stream, uint64_t seed, uint64_t i)
{
    if (p->init == SY_INIT_ONES)
        return 1.0f;
    for (uint32_t plane = 0;; ++plane) {
        struct sy_u4 r = sy_philox((u32)i, (u32)(i >> 32), stream, plane, (u32)seed, (u32)(seed >> 32));
        double x = normal_of(r.x, r.y), y = normal_of(r.z, r.w);
        if (p->init == SY_INIT_NORMAL || fabs(x) <= 2.0)
            return (float)(x * p->sigma);
        if (fabs(y) <= 2.0)
            return (float)(y * p->sigma);
    }
}

/// What one thread does: elements [first, first + count) of a part, of a matrix that may be this rank's part of one.
struct share {
    const struct sy_param *param;
    struct sy_split split;
    uint32_t stream;
    uint64_t seed, first, count;
    float *out;
};

static void *draw_share(void *user)
{
    const struct share *s = user;
    const uint64_t cols = s->param->cols;
    for (uint64_t k = 0; k < s->count; ++k) {
        const uint64_t row = (s->first + k) / cols, col = (s->first + k) % cols;
        s->out[k] = draw(s->param, s->stream, s->seed, (s->split.row + row) * s->split.cols + s->split.col + col);
    }
    return NULL;
}

/// Draws elements [first, first + count) into `out`; a thread that cannot be started costs time only.
static void draw_range(const struct share *all, float *out)
{
    struct share shares[MAX_THREADS];
    pthread_t threads[MAX_THREADS];
    bool started[MAX_THREADS];
    const uint32_t n = (uint32_t)((all->count + CHUNK - 1) / CHUNK);
    for (uint32_t i = 0; i < n; ++i) {
        const uint64_t from = (uint64_t)i * CHUNK;
        shares[i] = *all;
        shares[i].first = all->first + from;
        shares[i].count = all->count - from < CHUNK ? all->count - from : CHUNK;
        shares[i].out = out + from;
        started[i] = i + 1 < n && pthread_create(&threads[i], NULL, draw_share, &shares[i]) == 0;
        if (!started[i])
            draw_share(&shares[i]);
    }
    for (uint32_t i = 0; i < n; ++i)
        if (started[i])
            pthread_join(threads[i], NULL);
}

enum sy_status sy_weights_draw(struct sy_runtime *rt, uint64_t seed)
{
    struct sy_graph *g = rt->graph;
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    const uint64_t room = (uint64_t)CHUNK * (uint64_t)(processors < 1             ? 1
                                                       : processors > MAX_THREADS ? MAX_THREADS
                                                                                  : processors);
    float *host = malloc(room * sizeof *host);
    if (host == NULL)
        return sy_fail(g->ctx, SY_NOMEM, "out of host memory: drawing weights");
    enum sy_status status = SY_OK;
    for (size_t i = 0; i < g->param_count && status == SY_OK; ++i) {
        const struct sy_param *p = &g->params[i];
        const uint64_t part = (uint64_t)p->rows * p->cols;
        for (uint32_t e = 0; e < p->parts && status == SY_OK; ++e) {
            struct share all = {
                .param = p, .split = sy_split_of(g, p), .stream = sy_stream_id(p->names[e], NULL), .seed = seed};
            for (; all.first < part && status == SY_OK; all.first += all.count) {
                all.count = part - all.first < room ? part - all.first : room;
                draw_range(&all, host);
                status = sy_runtime_write_f32(rt, p->master, e * part + all.first, all.count, host);
            }
        }
        for (uint32_t s = 0; s < p->state_count && status == SY_OK; ++s)
            status = sy_runtime_zero(rt, p->state[s]);
    }
    free(host);
    return status;
}
