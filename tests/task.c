// SPDX-License-Identifier: Apache-2.0
// task.c: evaluation over a dataset: the same score however it is cut, every batch told to the caller.
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

int main(int argc, char **argv)
{
    struct tiny t;
    char path[] = "/tmp/test_task.XXXXXX";
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
    for (size_t i = 0; good && i < t.device_count; ++i)
        evaluate(&t, t.devices[i], data);
    sy_dataset_close(&data);
    sy_tokenizer_close(&bytes);
    return tiny_close(&t);
}
