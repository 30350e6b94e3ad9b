// SPDX-License-Identifier: Apache-2.0
// decode.c: decoding with a key/value cache gives what the whole decoder gives on the same prefix, on every device, for
// every router that does not look ahead (expert choice does), a prompt says the same alone and among others, to the
// bit, and sampling keeps its promises.
//
// usage: test_decode [--device ID]. Weights are drawn, f32, no capacity: with one, a token's place would depend on how
// many tokens are decoded together.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/inputs.h"
#include "engine/task/decode.h"
#include "tests/tiny.h"

#define SRC 9
#define REAL 7 // of the source; the rest is padding
#define TGT 8
#define MANY 5         // prompts at once
#define TOLERANCE 2e-6 // of the largest logit

struct subject {
    struct tiny *t;
    struct sy_session *whole, *cached;
    int32_t ids[REAL];
    struct sy_prompt prompt;
    char name[64];
};

static struct sy_decode_params greedy(const struct subject *x, uint32_t max_tokens)
{
    return (struct sy_decode_params){.prompts = &x->prompt, .count = 1, .max_tokens = max_tokens};
}

/// Logits [TGT, V] of the whole decoder that is fed `out` behind the start token; `*logits` is malloc'ed.
static enum sy_status whole_logits(struct subject *x, const int32_t *out, uint32_t count, float **logits)
{
    struct sy_batch b = {0};
    struct sy_metrics m;
    uint64_t n;
    SY_TRY(sy_batch_resize(x->t->ctx, 1, SRC, TGT, 0, &b));
    for (uint32_t i = 0; i < SRC; ++i) {
        b.input_ids[i] = i < REAL ? x->ids[i] : (int32_t)sy_session_config(x->whole)->pad_id;
        b.attention_mask[i] = i < REAL;
    }
    for (uint32_t i = 0; i < TGT; ++i)
        b.labels[i] = i < count ? out[i] : (int32_t)sy_session_config(x->whole)->eos_id;
    enum sy_status status = sy_session_evaluate(x->whole, &b, 1, &m);
    sy_batch_finish(&b);
    return status == SY_OK ? tiny_read(x->whole, sy_session_model(x->whole)->logits, logits, &n) : status;
}

static uint32_t best(const float *x, uint32_t n)
{
    uint32_t at = 0;
    for (uint32_t i = 1; i < n; ++i)
        at = x[i] > x[at] ? i : at;
    return at;
}

/// Decodes 1, 2, … TGT tokens; each time the cache's last logits must be the whole decoder's at that position.
static void cache_equals_whole(struct subject *x)
{
    const uint32_t v = sy_session_config(x->whole)->vocab_size;
    int32_t out[TGT], again[TGT];
    uint32_t count = 0, positions = 0, chosen = 0;
    float *want = NULL, *got = NULL;
    double worst = 0.0;
    struct sy_decode_params p = greedy(x, TGT);
    enum sy_status status = sy_decode(x->cached, &p, out, &count);
    if (status == SY_OK)
        status = whole_logits(x, out, count, &want);
    for (uint32_t t = 0; t < TGT && t <= count && status == SY_OK; ++t) {
        uint32_t n;
        uint64_t read;
        p = greedy(x, t + 1);
        status = sy_decode(x->cached, &p, again, &n);
        if (status == SY_OK)
            status = tiny_read(x->cached, sy_session_model(x->cached)->logits, &got, &read);
        if (status != SY_OK)
            break;
        worst = fmax(worst, tiny_distance(got, want + (size_t)t * v, v));
        chosen += best(want + (size_t)t * v, v) ==
                  (uint32_t)(t < count ? out[t] : (int32_t)sy_session_config(x->whole)->eos_id);
        ++positions;
        free(got);
        got = NULL;
    }
    if (tiny_try(x->t, status, "decoding", sy_session_device(x->whole)))
        tap_ok(&x->t->tap, positions > 1 && worst <= TOLERANCE && chosen == positions,
               "%s: the cache gives the whole decoder's logits at %u positions: error %.1e", x->name, positions, worst);
    free(want);
    free(got);
}

/// Expert choice looks ahead, so only the source can be compared: its experts must choose as they do in evaluation.
static void source_equals_whole(struct subject *x)
{
    const uint64_t dim = sy_session_config(x->whole)->d_model;
    int32_t out[TGT];
    uint32_t count;
    uint64_t n;
    float *want = NULL, *got = NULL, *logits = NULL;
    struct sy_decode_params p = greedy(x, 1);
    enum sy_status status = sy_decode(x->cached, &p, out, &count);
    if (status == SY_OK)
        status = tiny_read(x->cached, sy_session_model(x->cached)->encoder_output, &got, &n);
    if (status == SY_OK)
        status = whole_logits(x, out, count, &logits);
    if (status == SY_OK)
        status = tiny_read(x->whole, sy_session_model(x->whole)->encoder_output, &want, &n);
    if (tiny_try(x->t, status, "encoding", sy_session_device(x->whole))) {
        double error = tiny_distance(got, want, REAL * dim);
        tap_ok(&x->t->tap, error <= TOLERANCE, "%s: the source is encoded as in evaluation: error %.1e", x->name,
               error);
    }
    free(logits);
    free(want);
    free(got);
}

static void sampling(struct subject *x)
{
    struct sy_decode_params p = greedy(x, TGT);
    int32_t plain[TGT], top[TGT], hot[TGT], same[TGT], other[TGT];
    uint32_t n[5] = {0};
    enum sy_status status = sy_decode(x->cached, &p, plain, &n[0]);
    p.temperature = 1.0;
    p.top_k = 1;
    if (status == SY_OK)
        status = sy_decode(x->cached, &p, top, &n[1]);
    p.top_k = 0;
    p.temperature = 50.0; // close to uniform
    p.seed = 5;
    if (status == SY_OK)
        status = sy_decode(x->cached, &p, hot, &n[2]);
    if (status == SY_OK)
        status = sy_decode(x->cached, &p, same, &n[3]);
    p.seed = 6;
    if (status == SY_OK)
        status = sy_decode(x->cached, &p, other, &n[4]);
    if (!tiny_try(x->t, status, "sampling", sy_session_device(x->whole)))
        return;
    tap_ok(&x->t->tap, n[1] == n[0] && memcmp(plain, top, n[0] * sizeof *plain) == 0,
           "%s: the only candidate is the greedy one", x->name);
    tap_ok(&x->t->tap, n[3] == n[2] && memcmp(hot, same, n[2] * sizeof *hot) == 0, "%s: a seed repeats its sample",
           x->name);
    tap_ok(&x->t->tap, n[4] != n[2] || memcmp(hot, other, n[2] * sizeof *hot) != 0,
           "%s: another seed draws another sample", x->name);
}

static void too_long(struct subject *x)
{
    struct sy_decode_params p = greedy(x, TGT + 1);
    int32_t out[TGT + 1];
    uint32_t n = 7;
    enum sy_status status = sy_decode(x->cached, &p, out, &n);
    tap_ok(&x->t->tap, status == SY_INVALID && n == 0 && strstr(sy_error(x->t->ctx), "do not fit") != NULL,
           "%s: more tokens than the session has room for: %s", x->name, sy_error(x->t->ctx));
}

/// An id beyond the vocabulary would be looked up beyond the table.
static void outside(struct subject *x)
{
    const int32_t ids[] = {(int32_t)sy_session_config(x->whole)->vocab_size, -1, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < SY_COUNT(ids); ++i) {
        struct sy_decode_params p = greedy(x, TGT);
        int32_t source[SRC] = {0}, out[TGT], index[3 * SRC + 2];
        uint32_t n = 7;
        char word[32];
        memcpy(source, x->ids, sizeof source);
        source[1] = ids[i];
        const struct sy_prompt prompt = {source, REAL};
        p.prompts = &prompt;
        snprintf(word, sizeof word, "%d", ids[i]);
        bool good =
            sy_decode(x->cached, &p, out, &n) == SY_INVALID && n == 0 && strstr(sy_error(x->t->ctx), word) != NULL;
        good = good &&
               sy_embed_index(x->t->ctx, source, SRC, sy_session_config(x->whole)->vocab_size, index) == SY_INVALID &&
               strstr(sy_error(x->t->ctx), word) != NULL;
        tap_ok(&x->t->tap, good, "%s: id %d is refused: %s", x->name, ids[i], sy_error(x->t->ctx));
    }
}

/// What prompts made together: ids, and the logits of the last position.
struct made {
    int32_t out[MANY * TGT];
    uint32_t counts[MANY];
    float *logits;
};

static enum sy_status make(struct sy_session *s, const struct sy_decode_params *p, struct made *m)
{
    uint64_t n;
    memset(m, 0, sizeof *m);
    SY_TRY(sy_decode(s, p, m->out, m->counts));
    return tiny_read(s, sy_session_model(s)->logits, &m->logits, &n);
}

/// Whether sequence `i` of `together` is sequence `k` of `other`, to the bit: its tokens, and where it went on to the
/// end its logits.
static bool same(const struct made *together, uint32_t i, const struct made *other, uint32_t k, uint32_t vocab)
{
    const uint32_t n = together->counts[i];
    return n == other->counts[k] &&
           memcmp(together->out + (size_t)i * TGT, other->out + (size_t)k * TGT, n * sizeof *other->out) == 0 &&
           (n < TGT || memcmp(together->logits + (size_t)i * vocab, other->logits + (size_t)k * vocab,
                              vocab * sizeof *other->logits) == 0);
}

/// Prompts of different lengths together, one after the other in a session of one sequence, and in another order.
static void alone_equals_together(struct subject *x, struct sy_session *many)
{
    static const uint32_t lengths[MANY] = {REAL, 2, 5, 1, SRC}, order[MANY] = {3, 0, 4, 2, 1};
    const uint32_t v = sy_session_config(x->whole)->vocab_size;
    int32_t ids[MANY][SRC];
    struct sy_prompt prompts[MANY], turned[MANY];
    struct made all[2] = {0}, other = {0};
    uint32_t equal[3] = {0}, tokens = 0, full = 0;
    enum sy_status status = SY_OK;
    for (uint32_t i = 0; i < MANY; ++i) {
        for (uint32_t k = 0; k < SRC; ++k)
            ids[i][k] = (int32_t)(2 + (7 * i + 5 * k + i * k) % (v - 2));
        ids[i][lengths[i] - 1] = (int32_t)sy_session_config(x->whole)->eos_id;
        prompts[i] = (struct sy_prompt){ids[i], lengths[i]};
    }
    for (uint32_t i = 0; i < MANY; ++i)
        turned[i] = prompts[order[i]];
    struct sy_decode_params p = {.count = MANY, .max_tokens = TGT, .seed = 3};
    for (int sampled = 0; sampled < 2 && status == SY_OK; ++sampled) {
        p.prompts = prompts;
        p.count = MANY;
        p.first = 0;
        p.temperature = sampled;
        status = make(many, &p, &all[sampled]);
        for (uint32_t i = 0; i < MANY && status == SY_OK; ++i) {
            p.prompts = &prompts[i];
            p.count = 1;
            p.first = i;
            status = make(x->cached, &p, &other);
            if (status == SY_OK)
                equal[sampled] += same(&all[sampled], i, &other, 0, v);
            free(other.logits);
            tokens += other.counts[0];
            full += other.counts[0] == TGT;
        }
    }
    p = (struct sy_decode_params){.prompts = turned, .count = MANY, .max_tokens = TGT};
    if (status == SY_OK)
        status = make(many, &p, &other);
    if (tiny_try(x->t, status, "decoding together", sy_session_device(x->whole))) {
        for (uint32_t i = 0; i < MANY; ++i)
            equal[2] += same(&other, i, &all[0], order[i], v);
        tap_ok(&x->t->tap, equal[0] == MANY && equal[1] == MANY && tokens > 2 * MANY && full != 0,
               "%s: %d prompts together are the same alone: %u greedy, %u sampled", x->name, MANY, equal[0], equal[1]);
        tap_ok(&x->t->tap, equal[2] == MANY, "%s: and in another order: %u", x->name, equal[2]);
        free(other.logits);
    }
    free(all[0].logits);
    free(all[1].logits);
    p.count = MANY + 1;
    uint32_t counts[MANY + 1];
    tap_ok(&x->t->tap, sy_decode(many, &p, other.out, counts) == SY_INVALID && strstr(sy_error(x->t->ctx), "6 prompts"),
           "%s: more prompts than the session has room for: %s", x->name, sy_error(x->t->ctx));
}

static void run(struct tiny *t, struct sy_device *device, const char *name, const struct sy_config *config)
{
    struct sy_session_params p = {.kind = SY_SESSION_EVAL,
                                  .config = config,
                                  .precision = SY_PRECISION_F32,
                                  .batch = 1,
                                  .src_len = SRC,
                                  .tgt_len = TGT,
                                  .keep_internals = true};
    struct subject x = {.t = t, .whole = tiny_session(t, device, &p)};
    struct sy_batch b;
    if (x.whole == NULL)
        return;
    p.kind = SY_SESSION_DECODE;
    p.lender = x.whole;
    x.cached = tiny_session(t, device, &p);
    snprintf(x.name, sizeof x.name, "%s, %s", sy_device_caps(device)->id, name);
    tiny_batch(t, config, 1, SRC, TGT, 17, &b);
    memcpy(x.ids, b.input_ids, sizeof x.ids);
    x.prompt = (struct sy_prompt){x.ids, REAL};
    sy_batch_finish(&b);
    if (x.cached != NULL) {
        if (config->is_switch && config->router == SY_ROUTER_EXPERT_CHOICE)
            source_equals_whole(&x);
        else
            cache_equals_whole(&x);
        sampling(&x);
        too_long(&x);
        outside(&x);
        p.batch = MANY;
        struct sy_session *many = tiny_session(t, device, &p);
        if (many != NULL)
            alone_equals_together(&x, many);
        sy_session_destroy(&many);
    }
    sy_session_destroy(&x.cached);
    sy_session_destroy(&x.whole);
}

int main(int argc, char **argv)
{
    static const enum sy_router routers[] = {SY_ROUTER_SWITCH, SY_ROUTER_TOP2, SY_ROUTER_NTLB};
    struct tiny t;
    tiny_open(&t, "test_decode", argc, argv);
    for (size_t d = 0; d < t.device_count; ++d) {
        struct sy_config c = tiny_config(false);
        run(&t, t.devices[d], "dense", &c);
        c.family = SY_FAMILY_UMT5; // each layer has its own bias, which decoding must expand for each token
        c.gated = true;
        run(&t, t.devices[d], "umt5", &c);
        c = tiny_config(true);
        c.expert_capacity = 0;
        c.capacity_factor_train = c.capacity_factor_eval = 0.0;
        for (size_t r = 0; r < SY_COUNT(routers); ++r) {
            c.router = routers[r];
            run(&t, t.devices[d], sy_router_name(routers[r]), &c);
        }
        c.router = SY_ROUTER_EXPERT_CHOICE;
        c.capacity_factor_eval = 1.25;
        run(&t, t.devices[d], sy_router_name(c.router), &c);
    }
    return tiny_close(&t);
}
