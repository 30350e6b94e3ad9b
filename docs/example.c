// SPDX-License-Identifier: Apache-2.0
// example.c: trains a model on a text file through the public API, scores it on the same text, has it fill a gap, and
// keeps it. MODEL is a config.json, whose weights are drawn, or a Hugging Face directory, OUT/latest among them.
//   cc example.c $(pkg-config --cflags --libs switchyard) && ./a.out MODEL TEXT OUT [DEVICE [STEPS]]
#include <stdio.h>
#include <stdlib.h>

#include "engine/engine.h"

static void report(void *user, uint64_t step, const struct sy_metrics *m)
{
    fprintf(user, "step %2d  loss %.4f\n", (int)step, m->total);
}

static enum sy_status learn_and_score(struct sy_engine *engine, const char *text, uint64_t steps)
{
    struct sy_dataset *shuffled = NULL, *in_order = NULL;
    struct sy_metrics m;
    enum sy_status status = sy_engine_text(engine, &text, 1, false, &shuffled);
    if (status == SY_OK)
        status = sy_engine_text(engine, &text, 1, true, &in_order);
    if (status == SY_OK)
        status = sy_engine_train(engine, shuffled, steps, report, stdout);
    if (status == SY_OK)
        status = sy_engine_evaluate(engine, in_order, &m);
    if (status == SY_OK)
        printf("negative log perplexity %.4f over %d tokens\n", m.nlp, (int)m.labels);
    sy_dataset_close(&shuffled);
    sy_dataset_close(&in_order);
    return status;
}

static enum sy_status work(struct sy_engine *engine, const char *text, const char *out, uint64_t steps)
{
    char *answer;
    SY_TRY(learn_and_score(engine, text, steps));
    SY_TRY(sy_engine_generate(engine, "The <extra_id_0> sat", &answer));
    printf("The <extra_id_0> sat: %s\n", answer);
    free(answer);
    return sy_engine_save(engine, out);
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return fprintf(stderr, "usage: %s MODEL TEXT OUT [DEVICE [STEPS]]\n", argv[0]), 2;
    struct sy_engine_params p = sy_engine_defaults();
    p.device = argc > 4 ? argv[4] : "auto";
    p.src_len = 64; // tokens, as tgt_len
    p.tgt_len = 24;
    p.rate.peak = 0.03;
    struct sy_ctx *ctx = sy_ctx_create(sy_log_stderr, (void *)"example", SY_LOG_WARN);
    struct sy_engine *engine = NULL;
    enum sy_status status = sy_engine_open(ctx, argv[1], &p, &engine);
    if (status == SY_OK)
        status = work(engine, argv[2], argv[3], argc > 5 ? strtoull(argv[5], NULL, 10) : 20);
    sy_engine_close(&engine);
    sy_ctx_destroy(&ctx);
    return status == SY_OK ? 0 : 1;
}
