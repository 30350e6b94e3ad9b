// SPDX-License-Identifier: Apache-2.0
// example.c: trains a Switch Transformer on a text file through the public API, scores it on the same text, and has it
// fill a gap. (sy_tensors_open() and sy_weights_load() would take a model's own weights in place of sy_weights_init().)
//   cc -D_GNU_SOURCE example.c $(pkg-config --cflags --libs switchyard) && ./a.out config.json text.txt
#include <stdio.h>
#include <stdlib.h>

#include "engine/session.h"
#include "engine/task/decode.h"
#include "engine/task/evaluate.h"

int main(int argc, char **argv)
{
    if (argc < 3)
        return fprintf(stderr, "usage: %s CONFIG.json TEXT [DEVICE] [STEPS]\n", argv[0]), 2;
    const uint64_t steps = argc > 4 ? strtoull(argv[4], NULL, 10) : 20;
    struct sy_ctx *ctx = sy_ctx_create(sy_log_stderr, (void *)"example", SY_LOG_WARN);
    struct sy_config config = {0};
    struct sy_device *device = NULL;
    struct sy_tokenizer *bytes = NULL;
    struct sy_dataset *data = NULL, *in_order = NULL;
    struct sy_session *session = NULL, *scorer = NULL, *writer = NULL;
    struct sy_batch batch = {0};
    struct sy_metrics m = {0};
    const char *files[] = {argv[2]};
    struct sy_data_source source = {.files = files, .file_count = 1};
    bool good = sy_config_load(ctx, argv[1], &config) == SY_OK &&
                sy_device_open(ctx, argc > 3 ? argv[3] : "auto", &device) == SY_OK &&
                sy_tokenizer_open(ctx, "bytes", config.vocab_size, &bytes) == SY_OK;
    struct sy_dataset_params d = {
        .sources = &source, .source_count = 1, .tokenizer = bytes, .src_len = 64, .tgt_len = 24};
    struct sy_session_params p = {.kind = SY_SESSION_TRAIN,
                                  .config = &config,
                                  .precision = SY_PRECISION_SELECTIVE,
                                  .batch = 8,
                                  .src_len = 64,
                                  .tgt_len = 24};
    good = good && sy_dataset_open(ctx, &d, &data) == SY_OK && sy_session_create(ctx, device, &p, &session) == SY_OK &&
           sy_weights_init(sy_session_runtime(session), 0) == SY_OK;
    for (uint64_t t = 1; good && t <= steps; ++t) {
        good = sy_dataset_batch(ctx, data, (t - 1) * p.batch, p.batch, &batch) == SY_OK &&
               sy_session_step(session, &batch, 1, t, 0.03, 0, &m) == SY_OK;
        printf("step %2d  loss %.4f\n", (int)t, m.total);
    }
    d.in_order = true;
    p.kind = SY_SESSION_EVAL;
    p.lender = session; // its parameters are read in place
    good = good && sy_dataset_open(ctx, &d, &in_order) == SY_OK && sy_session_create(ctx, device, &p, &scorer) == SY_OK;
    const struct sy_evaluate_params e = {.data = in_order, .batch = p.batch};
    good = good && sy_evaluate(scorer, &e, &m) == SY_OK;
    if (good)
        printf("negative log perplexity %.4f over %llu tokens\n", m.nlp, (unsigned long long)m.labels);
    const char prompt[] = "The <extra_id_0> sat";
    int32_t *ids = NULL, out[16];
    size_t count = 0;
    uint32_t written = 0;
    char *text = NULL;
    p.kind = SY_SESSION_DECODE;
    p.batch = 1;
    p.tgt_len = 16;
    good = good && sy_session_create(ctx, device, &p, &writer) == SY_OK &&
           sy_tokenizer_encode(ctx, bytes, prompt, sizeof prompt - 1, SY_ENCODE_SENTINELS | SY_ENCODE_EOS, &ids,
                               &count) == SY_OK;
    const struct sy_prompt asked = {ids, (uint32_t)count};
    const struct sy_decode_params greedy = {.prompts = &asked, .count = 1, .max_tokens = 16};
    good = good && sy_decode(writer, &greedy, out, &written) == SY_OK &&
           sy_tokenizer_decode(ctx, bytes, out, written, &text) == SY_OK;
    if (good)
        printf("%s: %s\n", prompt, text);
    free(ids);
    free(text);
    sy_batch_finish(&batch);
    sy_session_destroy(&writer);
    sy_session_destroy(&scorer);
    sy_session_destroy(&session);
    sy_dataset_close(&data);
    sy_dataset_close(&in_order);
    sy_tokenizer_close(&bytes);
    sy_device_close(&device);
    sy_config_finish(&config);
    sy_ctx_destroy(&ctx);
    return good ? 0 : 1;
}
