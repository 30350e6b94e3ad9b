// SPDX-License-Identifier: Apache-2.0
#include "tests/tiny.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/philox.h"

void tiny_open(struct tiny *t, const char *program, int argc, char **argv)
{
    memset(t, 0, sizeof *t);
    t->ctx = sy_ctx_create(sy_log_stderr, (void *)(uintptr_t)program, SY_LOG_WARN);
    const char *only = argc > 2 && strcmp(argv[1], "--device") == 0 ? argv[2] : NULL;
    struct sy_caps *list = NULL;
    size_t count = 0;
    if (sy_device_list(t->ctx, &list, &count) != SY_OK)
        tap_ok(&t->tap, 0, "listing devices: %s", sy_error(t->ctx));
    for (size_t i = 0; i < count; ++i) {
        if (only != NULL && strcmp(list[i].id, only) != 0)
            continue;
        if (t->device_count == SY_COUNT(t->devices))
            tap_skip(&t->tap, "%s: this test looks at %zu devices at most", list[i].id, SY_COUNT(t->devices));
        else if (sy_device_open(t->ctx, list[i].id, &t->devices[t->device_count]) == SY_OK)
            ++t->device_count;
        else
            tap_ok(&t->tap, 0, "opening %s: %s", list[i].id, sy_error(t->ctx));
    }
    free(list);
    if (t->device_count == 0)
        tap_ok(&t->tap, 0, "there is no device%s%s", only != NULL ? " " : "", only != NULL ? only : "");
}

int tiny_close(struct tiny *t)
{
    for (size_t i = 0; i < t->device_count; ++i)
        sy_device_close(&t->devices[i]);
    sy_ctx_destroy(&t->ctx);
    return tap_done(&t->tap);
}

bool tiny_try(struct tiny *t, enum sy_status status, const char *what, const struct sy_device *device)
{
    if (status != SY_OK)
        tap_ok(&t->tap, 0, "%s on %s: %s", what, sy_device_caps(device)->id, sy_error(t->ctx));
    return status == SY_OK;
}

struct sy_config tiny_config(bool is_switch)
{
    struct sy_config c;
    sy_config_defaults(is_switch, &c);
    c.vocab_size = 21;
    c.d_model = 12;
    c.d_kv = 4;
    c.d_ff = 20;
    c.heads = 3;
    c.layers = c.decoder_layers = 2;
    c.buckets = 8;
    c.max_distance = 16;
    c.dropout = c.expert_dropout = c.jitter = 0.0;
    c.exploration = SY_EXPLORE_ARGMAX;
    c.init_scale = 1.0;
    c.z_loss = 1e-3;
    if (is_switch) {
        c.experts = 4;
        c.sparse_encoder_layers = c.sparse_decoder_layers = 1;
        c.aux_coef = 0.05;
        c.z_loss_coef = 0.01;
        c.capacity_factor_train = c.capacity_factor_eval = 1.25;
        c.min_expert_capacity = 1;
    }
    return c;
}

void tiny_add_noise(struct sy_config *c)
{
    c->dropout = 0.1;
    if (!c->is_switch)
        return;
    c->expert_dropout = 0.4;
    c->jitter = 0.1;
    c->exploration = SY_EXPLORE_INPUT_JITTER;
}

void tiny_batch(struct tiny *t, const struct sy_config *c, uint32_t batch, uint32_t src_len, uint32_t tgt_len,
                uint64_t seed, struct sy_batch *out)
{
    memset(out, 0, sizeof *out);
    if (sy_batch_resize(t->ctx, batch, src_len, tgt_len, (int32_t)c->pad_id, out) != SY_OK)
        abort();
    uint32_t words = c->vocab_size - 2;
    for (uint32_t b = 0; b < batch; ++b) {
        uint32_t src = src_len - b % 3 * src_len / 5, tgt = tgt_len - (b + 1) % 3 * tgt_len / 5;
        for (uint32_t i = 0; i < src; ++i) {
            out->input_ids[b * src_len + i] = (int32_t)(2 + sy_random_bits((u32)seed, 0, 0, 1, 0, b, i) % words);
            out->attention_mask[b * src_len + i] = 1;
        }
        for (uint32_t i = 0; i < tgt; ++i)
            out->labels[b * tgt_len + i] = (int32_t)(2 + sy_random_bits((u32)seed, 0, 0, 2, 0, b, i) % words);
        out->labels[b * tgt_len + tgt - 1] = (int32_t)c->eos_id;
    }
}

struct sy_batch tiny_slice(const struct sy_batch *from, uint32_t first, uint32_t count)
{
    struct sy_batch b = *from;
    b.batch = count;
    b.input_ids += (size_t)first * b.src_len;
    b.attention_mask += (size_t)first * b.src_len;
    b.labels += (size_t)first * b.tgt_len;
    return b;
}

struct sy_session *tiny_session(struct tiny *t, struct sy_device *device, const struct sy_session_params *params)
{
    struct sy_session *s = NULL;
    if (!tiny_try(t, sy_session_create(t->ctx, device, params, &s), "creating a session", device))
        return NULL;
    if (params->lender == NULL && !tiny_try(t, sy_weights_init(sy_session_runtime(s), 1), "drawing weights", device))
        sy_session_destroy(&s);
    return s;
}

enum sy_status tiny_append(struct sy_session *s, sy_tid t, float **values, uint64_t *count)
{
    const uint64_t more = sy_graph_tensor(sy_session_graph(s), t)->count;
    float *bigger = realloc(*values, (*count + more) * sizeof *bigger);
    if (bigger == NULL)
        abort();
    *values = bigger;
    SY_TRY(sy_runtime_read_f32(sy_session_runtime(s), t, 0, more, bigger + *count));
    *count += more;
    return SY_OK;
}

enum sy_status tiny_read(struct sy_session *s, sy_tid t, float **out, uint64_t *out_count)
{
    *out = NULL;
    *out_count = 0;
    return tiny_append(s, t, out, out_count);
}

enum sy_status tiny_weights(struct sy_session *s, float **out, uint64_t *out_count)
{
    const struct sy_graph *g = sy_session_graph(s);
    *out = NULL;
    *out_count = 0;
    for (size_t i = 0; i < sy_graph_param_count(g); ++i)
        SY_TRY(tiny_append(s, sy_graph_param_at(g, i)->master, out, out_count));
    return SY_OK;
}

double tiny_distance(const float *a, const float *b, uint64_t count)
{
    double worst = 0.0, scale = 0.0;
    for (uint64_t i = 0; i < count; ++i) {
        double d = fabs((double)a[i] - (double)b[i]);
        worst = d > worst || isnan(d) ? d : worst;
        if (isnan(d))
            return INFINITY;
        scale = fmax(scale, fabs((double)b[i]));
    }
    return scale > 0.0 ? worst / scale : worst;
}
