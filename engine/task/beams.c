// SPDX-License-Identifier: Apache-2.0
#include "engine/task/beams.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/task/choose.h"

struct candidate {
    float score; ///< Sum of log-probabilities.
    uint32_t row;
    int32_t token;
    bool placed;
};

/// A sequence: `said` has room for the start token and max_tokens more.
struct line {
    float score; ///< Of one that ended: divided by its length's power.
    uint32_t count;
    int32_t *said;
};

struct sy_beams {
    struct sy_beams_params p;
    uint32_t going, ended; ///< Rows with a past; sequences in `best`.
    bool over;
    struct line *lines;       ///< All of these:
    struct line *rows, *next; ///< [beams]
    struct line *best;        ///< [beams + 1] that ended, best first; the last is room for another.
    struct candidate *list;   ///< [2 · beams], best first.
    float *work;              ///< [max_tokens + 1]
    int32_t *ids;             ///< What the lines point into.
};

enum sy_status sy_beams_create(struct sy_ctx *ctx, const struct sy_beams_params *params, struct sy_beams **out)
{
    const size_t k = params->beams, room = params->decode->max_tokens + (size_t)1;
    struct sy_beams *b = calloc(1, sizeof *b);
    if (b == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory: beams");
    b->p = *params;
    b->lines = calloc(3 * k + 1, sizeof *b->lines);
    b->list = calloc(2 * k, sizeof *b->list);
    b->work = calloc(room, sizeof *b->work);
    b->ids = calloc((3 * k + 1) * room, sizeof *b->ids);
    if (b->lines == NULL || b->list == NULL || b->work == NULL || b->ids == NULL) {
        sy_beams_destroy(&b);
        return sy_fail(ctx, SY_NOMEM, "out of host memory: beams");
    }
    for (size_t i = 0; i < 3 * k + 1; ++i)
        b->lines[i].said = b->ids + i * room;
    b->rows = b->lines;
    b->next = b->rows + k;
    b->best = b->next + k;
    b->going = 1;
    b->rows[0].count = 1;
    b->rows[0].said[0] = (int32_t)params->config->start_id;
    *out = b;
    return SY_OK;
}

void sy_beams_destroy(struct sy_beams **beams)
{
    struct sy_beams *b = *beams;
    if (b == NULL)
        return;
    free(b->lines);
    free(b->list);
    free(b->work);
    free(b->ids);
    free(b);
    *beams = NULL;
}

bool sy_beams_going(const struct sy_beams *b, uint32_t row) { return !b->over && row < b->going; }

static void log_softmax(float *x, uint32_t n)
{
    const float top = x[sy_choose_best(x, n)];
    double sum = 0.0;
    for (uint32_t i = 0; i < n; ++i)
        sum += exp((double)x[i] - top);
    const double lse = top + log(sum);
    for (uint32_t i = 0; i < n; ++i)
        x[i] = (float)(x[i] - lse);
}

/// Puts `c` into a list of at most `room` that is sorted from the best on, behind its equals.
static uint32_t insert(struct candidate *list, uint32_t count, uint32_t room, struct candidate c)
{
    uint32_t at = count < room ? count : room - 1;
    for (; at > 0 && list[at - 1].score < c.score; --at)
        list[at] = list[at - 1];
    list[at] = c;
    return count < room ? count + 1 : room;
}

/// The 2 · beams best ways to go on: as each row has one way to end, enough of them do not end.
static uint32_t find(struct sy_beams *b, const struct sy_beams_top *top)
{
    const uint32_t room = 2 * b->p.beams;
    uint32_t count = 0;
    for (uint32_t row = 0; row < b->going; ++row) {
        const float *values = top->values + (size_t)row * top->count;
        const int32_t *tokens = top->tokens + (size_t)row * top->count;
        const bool ends = b->rows[row].count > b->p.decode->min_tokens;
        for (uint32_t i = 0; i < top->count && tokens[i] >= 0; ++i) {
            const struct candidate c = {values[i] + b->rows[row].score, row, tokens[i], false};
            if ((ends || c.token != (int32_t)b->p.config->eos_id) &&
                (count < room || c.score > b->list[room - 1].score))
                count = insert(b->list, count, room, c);
        }
    }
    return count;
}

/// The same from all logits, with all that limits tokens.
static uint32_t find_in_logits(struct sy_beams *b, float *logits)
{
    const uint32_t v = b->p.config->vocab_size, room = 2 * b->p.beams;
    uint32_t count = 0;
    for (uint32_t row = 0; row < b->going; ++row) {
        float *x = logits + (size_t)row * v;
        log_softmax(x, v);
        sy_choose_limit(b->p.decode, b->p.config, b->rows[row].said, b->rows[row].count, x, b->work);
        for (uint32_t i = 0; i < v; ++i) {
            const struct candidate c = {x[i] + b->rows[row].score, row, (int32_t)i, false};
            if (count < room || c.score > b->list[room - 1].score)
                count = insert(b->list, count, room, c);
        }
    }
    return count;
}

static float weighed(const struct sy_beams *b, float score, uint32_t length)
{
    return score / (float)pow(length, b->p.decode->length_penalty);
}

/// Keeps the sequence that ends with `c`, where it is among the best.
static void end(struct sy_beams *b, const struct candidate *c)
{
    const struct line *from = &b->rows[c->row];
    struct line *x = &b->best[b->ended], moved;
    const bool eos = c->token == (int32_t)b->p.config->eos_id;
    x->score = weighed(b, c->score, from->count);
    x->count = from->count;
    memcpy(x->said, from->said, from->count * sizeof *x->said);
    if (!eos)
        x->said[x->count++] = c->token;
    for (moved = *x; x > b->best && x[-1].score < moved.score; --x)
        x[0] = x[-1];
    *x = moved;
    b->ended += b->ended < b->p.beams;
}

/// The row `to` of the next position.
static void place(struct sy_beams *b, struct candidate *c, uint32_t to, int32_t *tokens, int32_t *parents)
{
    const struct line *from = &b->rows[c->row];
    struct line *x = &b->next[to];
    c->placed = true;
    tokens[to] = c->token;
    parents[to] = (int32_t)c->row;
    x->score = c->score;
    x->count = from->count;
    memcpy(x->said, from->said, from->count * sizeof *x->said);
    x->said[x->count++] = c->token;
}

/// The first `beams` candidates are the next rows: each where its past is, if it is the first to go on from it.
static void move(struct sy_beams *b, int32_t *tokens, int32_t *parents)
{
    const uint32_t k = b->p.beams;
    uint32_t empty = 0;
    for (uint32_t row = 0; row < k; ++row)
        parents[row] = -1;
    for (uint32_t i = 0; i < k; ++i)
        if (parents[b->list[i].row] < 0)
            place(b, &b->list[i], b->list[i].row, tokens, parents);
    for (uint32_t i = 0; i < k; ++i) {
        if (b->list[i].placed)
            continue;
        while (parents[empty] >= 0)
            ++empty;
        place(b, &b->list[i], empty, tokens, parents);
    }
    struct line *rows = b->rows;
    b->rows = b->next;
    b->next = rows;
    b->going = k;
}

/// Whether a sequence that goes on may still be among the best.
static bool hopeful(const struct sy_beams *b, float best, uint32_t length)
{
    const struct sy_decode_params *p = b->p.decode;
    if (b->ended < b->p.beams)
        return true;
    if (p->early_stop == SY_EARLY_YES)
        return false;
    if (p->early_stop == SY_EARLY_NEVER && p->length_penalty > 0.0)
        length = p->max_tokens;
    return weighed(b, best, length) > b->best[b->p.beams - 1].score;
}

bool sy_beams_free(const struct sy_decode_params *p) { return sy_choose_free(p, p->min_tokens + 1); }

bool sy_beams_step(struct sy_beams *b, const struct sy_beams_top *top, int32_t *tokens, int32_t *parents)
{
    const uint32_t k = b->p.beams, length = b->rows[0].count; // with the token to come, the start token not counted
    const uint32_t count = top->count != 0 ? find(b, top) : find_in_logits(b, top->logits);
    const bool last = length >= b->p.decode->max_tokens;
    uint32_t next = 0;
    for (uint32_t i = 0; i < count; ++i) {
        const bool ends = last || b->list[i].token == (int32_t)b->p.config->eos_id;
        if (ends && i < k)
            end(b, &b->list[i]);
        else if (!ends && next < k)
            b->list[next++] = b->list[i];
    }
    b->over = next < k || !hopeful(b, b->list[0].score, length);
    if (!b->over)
        move(b, tokens, parents);
    return !b->over;
}

uint32_t sy_beams_best(const struct sy_beams *b, int32_t *out)
{
    const uint32_t count = b->ended != 0 ? b->best[0].count - 1 : 0;
    memcpy(out, b->best[0].said + 1, count * sizeof *out);
    return count;
}
