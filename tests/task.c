// SPDX-License-Identifier: Apache-2.0
// task.c: evaluation over a dataset: the same score however it is cut, every batch told to the caller; and a session
// learns what its task says: another loss leaves the model alone; sessions that share a model train it in turns.
//
// usage: test_task [--device ID]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/task/evaluate.h"
#include "tests/tiny.h"

#define SRC 12
#define TGT 8
#define BATCH 4

static const char words[] = "The driver of the train waits at a red signal until the yard is clear; then he goes on.\n"
                            "A switch sends every wagon to its own track, and no token is left behind.\n";

struct heard {
    uint64_t calls, last, batches;
    bool in_order;
};

static void listen(void *user, uint64_t done, uint64_t batches)
{
    struct heard *h = user;
    h->in_order &= done == h->last + 1 && done <= batches;
    h->last = done;
    h->batches = batches;
    ++h->calls;
}

static void evaluate(struct tiny *t, struct sy_device *device, const struct sy_dataset *data)
{
    const uint64_t all = sy_dataset_count(data);
    static const uint32_t sizes[] = {1, 2, BATCH};
    struct sy_config c = tiny_config(true);
    struct sy_metrics m[SY_COUNT(sizes)], first = {0};
    c.vocab_size = 384;
    struct sy_session_params p = {
        .kind = SY_SESSION_EVAL, .config = &c, .precision = SY_PRECISION_F32, .src_len = SRC, .tgt_len = TGT};
    bool same = true, told = true, refused = false;
    for (size_t i = 0; i < SY_COUNT(sizes); ++i) {
        struct heard h = {.in_order = true};
        struct sy_evaluate_params e = {.data = data, .batch = BATCH, .progress = listen, .user = &h};
        p.batch = sizes[i];
        struct sy_session *s = tiny_session(t, device, &p);
        if (s == NULL || !tiny_try(t, sy_evaluate(s, &e, &m[i]), "evaluating", device)) {
            sy_session_destroy(&s);
            return;
        }
        same &= m[i].loss_ce == m[0].loss_ce && m[i].accuracy == m[0].accuracy && m[i].labels == m[0].labels &&
                m[i].layers[1].aux == m[0].layers[1].aux && m[i].layers[0].dropped == m[0].layers[0].dropped;
        told &= h.in_order && h.calls == h.batches && h.batches == (all + BATCH - 1) / BATCH;
        e.most = 3; // less than a batch
        e.progress = NULL;
        same &= sy_evaluate(s, &e, &first) == SY_OK && first.labels < m[0].labels && first.labels > 0;
        e.batch = 0;
        refused = sy_evaluate(s, &e, &first) == SY_INVALID && strstr(sy_error(t->ctx), "at least 1") != NULL;
        sy_session_destroy(&s);
    }
    const char *id = sy_device_caps(device)->id;
    tap_ok(&t->tap, same && m[0].loss_ce > 0.0 && m[0].layer_count == 2 && all % BATCH != 0,
           "%s: %llu examples in batches of %d: loss %.17g in pieces of 1, 2 and %d sequences", id,
           (unsigned long long)all, BATCH, m[0].loss_ce, BATCH);
    tap_ok(&t->tap, told, "%s: each batch is told, in order", id);
    tap_ok(&t->tap, refused, "%s: batches of nothing are refused", id);
    first.labels = 0;
    tap_ok(&t->tap,
           sy_evaluate_check(t->ctx, "x.safetensors", &first) == SY_INVALID &&
               strstr(sy_error(t->ctx), "x.safetensors") != NULL,
           "%s: a score over nothing is none: %s", id, sy_error(t->ctx));
}

/// Cross-entropy without the z-loss that the config asks for.
static void emit_plain(struct sy_graph *g, const struct sy_model *model, struct sy_loss *out)
{
    struct sy_config c = *model->params.config;
    struct sy_model m = *model;
    c.z_loss = 0.0;
    m.params.config = &c;
    sy_cross_entropy_emit(g, &m, out);
}

static void plain_metrics(const double *sums, struct sy_metrics *out)
{
    sy_cross_entropy_metrics(sums, out);
    out->accuracy = -1.0; // none is reported
}

/// One step of training on `task`; its metrics are those before the update.
static enum sy_status step(struct tiny *t, struct sy_device *device, const struct sy_task *task, struct sy_metrics *out)
{
    struct sy_config c = tiny_config(false);
    const struct sy_session_params p = {.kind = SY_SESSION_TRAIN,
                                        .config = &c,
                                        .task = task,
                                        .precision = SY_PRECISION_F32,
                                        .batch = BATCH,
                                        .src_len = SRC,
                                        .tgt_len = TGT};
    struct sy_batch b;
    struct sy_session *s = tiny_session(t, device, &p);
    tiny_batch(t, &c, BATCH, SRC, TGT, 3, &b);
    enum sy_status status = s != NULL ? sy_session_step(s, &b, 1, 1, 0.01, 0, out) : SY_INTERNAL;
    sy_batch_finish(&b);
    sy_session_destroy(&s);
    return status;
}

static void losses(struct tiny *t, struct sy_device *device)
{
    static const struct sy_task plain = {.name = "plain", .emit_loss = emit_plain, .metrics = plain_metrics};
    const struct sy_task *tasks[] = {NULL, &sy_task_spans, &plain};
    const char *id = sy_device_caps(device)->id;
    struct sy_metrics m[SY_COUNT(tasks)];
    for (size_t i = 0; i < SY_COUNT(tasks); ++i)
        if (!tiny_try(t, step(t, device, tasks[i], &m[i]), "a step", device))
            return;
    tap_ok(&t->tap, m[0].total == m[1].total && m[0].grad_norm == m[1].grad_norm && m[0].z > 0.0,
           "%s: a session that is told nothing learns %s", id, sy_task_spans.name);
    tap_ok(&t->tap, m[2].loss_ce == m[0].loss_ce && m[2].z == 0.0 && m[2].accuracy == -1.0,
           "%s: another task, the same logits and its own loss and metrics: z %g instead of %g", id, m[2].z, m[0].z);
    tap_ok(&t->tap, m[2].grad_norm > 0.0 && m[2].grad_norm != m[0].grad_norm, "%s: and its own gradient", id);
}

/// Weights after three steps, all of one session, or the second of a twin: the same model, whoever takes the step.
static enum sy_status three_steps(struct tiny *t, struct sy_device *device, bool twin, float **out, uint64_t *count)
{
    struct sy_config c = tiny_config(true);
    struct sy_session_params p = {.kind = SY_SESSION_TRAIN,
                                  .config = &c,
                                  .task = &sy_task_pairs,
                                  .precision = SY_PRECISION_SELECTIVE,
                                  .batch = BATCH / 2,
                                  .micro_count = 2,
                                  .src_len = SRC,
                                  .tgt_len = TGT};
    struct sy_batch b;
    struct sy_metrics m;
    struct sy_session *s = tiny_session(t, device, &p), *other = NULL;
    tiny_batch(t, &c, BATCH, SRC, TGT, 3, &b);
    const struct sy_batch halves[] = {tiny_slice(&b, 0, BATCH / 2), tiny_slice(&b, BATCH / 2, BATCH / 2)};
    enum sy_status status = s != NULL ? SY_OK : SY_INTERNAL;
    p.lender = s;
    if (status == SY_OK && twin)
        status = sy_session_create(t->ctx, device, &p, &other);
    if (status == SY_OK)
        status = sy_session_begin(s, halves, 2, 1, 0.01, 0);
    if (status == SY_OK) // while the first is under way
        status = sy_session_begin(twin ? other : s, halves, 2, 2, 0.01, 0);
    if (status == SY_OK)
        status = sy_session_end(s, &m);
    if (status == SY_OK)
        status = sy_session_end(twin ? other : s, &m);
    if (status == SY_OK)
        status = sy_session_step(s, halves, 2, 3, 0.01, 0, &m);
    if (status == SY_OK)
        status = tiny_weights(s, out, count);
    sy_batch_finish(&b);
    sy_session_destroy(&other);
    sy_session_destroy(&s);
    return status;
}

static void twins(struct tiny *t, struct sy_device *device)
{
    float *alone = NULL, *turns = NULL;
    uint64_t n = 0, m = 0;
    const char *id = sy_device_caps(device)->id;
    if (tiny_try(t, three_steps(t, device, false, &alone, &n), "three steps", device) &&
        tiny_try(t, three_steps(t, device, true, &turns, &m), "three steps in turns", device))
        tap_ok(&t->tap, n == m && n > 0 && memcmp(alone, turns, n * sizeof *alone) == 0,
               "%s: sessions that share a model train it in turns to the same bits: %llu weights", id,
               (unsigned long long)n);
    free(alone);
    free(turns);
}

static void lengths(struct tiny *t)
{
    const struct sy_task *spans = &sy_task_spans;
    const uint32_t raw = spans->raw_length(spans->src_len, spans->tgt_len, 100);
    uint32_t inputs = 0, targets = 0;
    spans->lengths(raw, &inputs, &targets);
    tap_ok(&t->tap, raw == 568 && inputs == spans->src_len && targets == spans->tgt_len,
           "%s: %u raw tokens fill both lengths, %u and %u", spans->name, raw, inputs, targets);
}

int main(int argc, char **argv)
{
    struct tiny t;
    char path[] = P_tmpdir "/test_task.XXXXXX";
    const char *files[] = {path};
    struct sy_data_source source = {.files = files, .file_count = 1};
    struct sy_tokenizer *bytes = NULL;
    struct sy_dataset *data = NULL;
    tiny_open(&t, "test_task", argc, argv);
    const int file = mkstemp(path);
    if (file < 0 || write(file, words, sizeof words - 1) != (ssize_t)sizeof words - 1)
        abort();
    close(file);
    struct sy_dataset_params d = {
        .sources = &source, .source_count = 1, .src_len = SRC, .tgt_len = TGT, .in_order = true};
    bool good = tap_ok(&t.tap, sy_tokenizer_open(t.ctx, "bytes", 384, &bytes) == SY_OK, "a vocabulary");
    d.tokenizer = bytes;
    good = good && tap_ok(&t.tap, sy_dataset_open(t.ctx, &d, &data) == SY_OK, "a dataset: %s", sy_error(t.ctx));
    unlink(path);
    lengths(&t);
    for (size_t i = 0; good && i < t.device_count; ++i) {
        evaluate(&t, t.devices[i], data);
        losses(&t, t.devices[i]);
        twins(&t, t.devices[i]);
    }
    sy_dataset_close(&data);
    sy_tokenizer_close(&bytes);
    return tiny_close(&t);
}
