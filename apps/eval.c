// SPDX-License-Identifier: Apache-2.0
// eval.c: loss, accuracy and routing of a model on held-out text, or every tensor of one batch.
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "apps/cli.h"
#include "apps/eval_pairs.h"
#include "apps/ranks.h"
#include "apps/report.h"
#include "apps/texts.h"
#include "engine/dump.h"

static const char doc[] =
    "Evaluate a model: loss, negative log perplexity (nlp), accuracy, and how the router spreads the tokens.\v"
    "With --pairs, a table's rows (JSON lines, TSV or SQuAD's JSON) are answered and scored: by generating, or with "
    "--options by the likelihood of each. docs/tasks.md explains it. With --batch, one batch of token ids is evaluated "
    "instead of text, and --dump writes its logits, router tensors, "
    "losses "
    "and (with --gradients) the gradient of every weight to a safetensors file.\n\n"
    "Examples:\n"
    "  switchyard-eval --model runs/a/latest --data held-out.txt\n"
    "  switchyard-eval --model runs/b/latest --pairs valid.tsv --task configs/tasks/sst2.json\n"
    "  switchyard-eval --model DIR --batch batch.safetensors \\\n"
    "      --dump out.safetensors --gradients --mode train\n";

enum {
    OPT_DATA = 256,
    OPT_BATCH,
    OPT_DUMP,
    OPT_GRADIENTS,
    OPT_MODE,
    OPT_JSON,
    OPT_SRC,
    OPT_TGT,
    OPT_SEQUENCES,
    OPT_MOST,
    OPT_SEED,
    OPT_PAIRS,
    OPT_PREDICTIONS,
    OPT_MAX_TOKENS,
    OPT_EXAMPLES
};

static const struct argp_option options[] = {
    {NULL, 0, NULL, 0, "Model and text:", 1},
    CLI_MODEL_OPTION("", "", 1),
    {"data", OPT_DATA, "FILE", 0, "held-out text; several files may follow; '-' is standard input", 1},
    TEXTS_OPTIONS(1),
    {"batch", OPT_BATCH, "FILE", 0, "input_ids, attention_mask, labels (and jitter.*) in safetensors", 1},
    CLI_TOKENIZER_OPTION(1),
    {NULL, 0, NULL, 0, "Rows of a table instead of text:", 7},
    {"pairs", OPT_PAIRS, "FILE", 0, "rows to answer, in place of --data", 7},
    PAIRS_OPTIONS(7),
    {"predictions", OPT_PREDICTIONS, "FILE", 0, "write a line of JSON for each row: input, targets, prediction, score",
     7},
    {"max-tokens", OPT_MAX_TOKENS, "N", 0, "longest answer (default: the task's, else 64; the longest option)", 7},
    {"examples", OPT_EXAMPLES, "N", 0, "answer the first N rows (default: all)", 7},
    {NULL, 0, NULL, 0, "What is written:", 2},
    {"dump", OPT_DUMP, "FILE", 0, "with --batch: write the tensors here", 2},
    {"gradients", OPT_GRADIENTS, NULL, 0, "with --dump: the gradients too", 2},
    {"mode", OPT_MODE, "NAME", 0, "which capacity factor applies: eval (default) or train", 2},
    {"json", OPT_JSON, NULL, 0, "print JSON", 2},
    {NULL, 0, NULL, 0, "How much, and in which pieces:", 3},
    {"src-len", OPT_SRC, "N", 0, "source length in tokens (default 512; with --pairs the longest, at most that)", 3},
    {"tgt-len", OPT_TGT, "N", 0, "target length in tokens (default 114)", 3},
    {"sequences", OPT_SEQUENCES, "N", 0, "sequences of one batch (default 8)", 3},
    {"batches", OPT_MOST, "N", 0, "at most this many batches (default: all the text)", 3},
    {"seed", OPT_SEED, "N", 0, "of the span corruption (default 0)", 3},
    {NULL, 0, NULL, 0, "Device:", 4},
    CLI_PRECISION_OPTION("; with --dump f32", 4),
    CLI_DEVICE_OPTION(4),
    {NULL, 0, NULL, 0, "Several processes (mpirun -n R switchyard-eval …):", 6},
    RANKS_OPTIONS(6),
    {0}};

struct options {
    struct cli_common common;
    const char *batch, *dump, *mode;
    struct cli_list data;
    struct texts texts;
    struct ranks_options ranks;
    struct eval_pairs pairs;
    uint64_t src_len, tgt_len, sequences, most, seed;
    bool gradients, json;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    switch (key) {
    case OPT_DATA: cli_list_add(&o->data, cli_text(state, "--data", arg)); break;
    case OPT_PAIRS: cli_once(state, "--pairs", arg, &o->pairs.file); break;
    case OPT_PREDICTIONS: cli_once(state, "--predictions", arg, &o->pairs.predictions); break;
    case OPT_MAX_TOKENS: o->pairs.max_tokens = cli_count(state, "--max-tokens", arg, 1, 1u << 16, false); break;
    case OPT_EXAMPLES: o->pairs.examples = cli_count(state, "--examples", arg, 1, 1u << 30, false); break;
    case OPT_BATCH: cli_once(state, "--batch", arg, &o->batch); break;
    case OPT_DUMP: cli_once(state, "--dump", arg, &o->dump); break;
    case OPT_GRADIENTS: o->gradients = true; break;
    case OPT_MODE: o->mode = cli_text(state, "--mode", arg); break;
    case OPT_JSON: o->json = true; break;
    case OPT_SRC: o->src_len = cli_count(state, "--src-len", arg, 2, 1u << 20, false); break;
    case OPT_TGT: o->tgt_len = cli_count(state, "--tgt-len", arg, 2, 1u << 20, false); break;
    case OPT_SEQUENCES: o->sequences = cli_count(state, "--sequences", arg, 1, 1u << 20, false); break;
    case OPT_MOST: o->most = cli_count(state, "--batches", arg, 1, 1u << 30, false); break;
    case OPT_SEED: o->seed = cli_count(state, "--seed", arg, 0, ((uint64_t)1 << 53) - 1, false); break;
    case ARGP_KEY_ARG:
        if (o->data.count == 0)
            argp_error(state, "what is '%s'? Files follow --data", arg);
        cli_list_add(&o->data, cli_text(state, "FILE", arg));
        break;
    case ARGP_KEY_END:
        if (o->common.model == NULL || (o->data.count != 0) + (o->batch != NULL) + (o->pairs.file != NULL) != 1)
            argp_error(state, "--model and either --data FILE… or --pairs FILE or --batch FILE are needed");
        if (o->pairs.file == NULL && (o->pairs.predictions != NULL || o->pairs.form.given != NULL ||
                                      o->pairs.max_tokens != 0 || o->pairs.examples != 0))
            argp_error(state, "%s needs --pairs",
                       o->pairs.form.given != NULL    ? o->pairs.form.given
                       : o->pairs.predictions != NULL ? "--predictions"
                       : o->pairs.max_tokens != 0     ? "--max-tokens"
                                                      : "--examples");
        if (o->pairs.file != NULL && (o->most != 0 || o->tgt_len != 0))
            argp_error(state, o->most != 0 ? "--batches is for --data: --examples counts rows"
                                           : "--tgt-len is for --data: --max-tokens says how long an answer may be");
        texts_check(state, &o->texts, &o->data, NULL);
        if (strcmp(o->mode, "train") != 0 && strcmp(o->mode, "eval") != 0)
            argp_error(state, "--mode: '%s' is neither train nor eval", o->mode);
        if (o->dump != NULL && o->batch == NULL)
            argp_error(state, "--dump needs --batch");
        if (o->gradients && o->dump == NULL)
            argp_error(state, "--gradients needs --dump");
        break;
    default:
        return cli_common_parse(state, key, arg, &o->common) || texts_parse(state, key, arg, &o->texts) ||
                       pairs_parse(state, key, arg, &o->pairs.form) || ranks_parse(state, key, arg, &o->ranks)
                   ? 0
                   : ARGP_ERR_UNKNOWN;
    }
    return 0;
}

struct run {
    struct options o;
    struct sy_ctx *ctx;
    struct ranks ranks;
    struct sy_device *device;
    struct sy_bundle model;
    struct sy_dataset *data;
    struct sy_session *session;
    struct sy_batch batch;
};

static void print_metrics(const struct sy_metrics *m)
{
    printf("target tokens            %llu\n", (unsigned long long)m->labels);
    printf("cross-entropy            %.6f nats per token\n", m->loss_ce);
    printf("negative log perplexity  %.6f\n", m->nlp);
    printf("perplexity               %.4f\n", m->perplexity);
    printf("accuracy                 %.2f %%\n", 100.0 * m->accuracy);
    if (m->layer_count == 0)
        return;
    printf("auxiliary, z loss        %.6f, %.6f\n\n", m->aux, m->z);
    printf("%-20s %9s %16s %14s %10s\n", "sparse layer", "dropped", "fullest/mean", "load entropy", "mean gate");
    for (uint32_t i = 0; i < m->layer_count; ++i) {
        const struct sy_layer_metrics *l = &m->layers[i];
        printf("%-20s %8.2f%% %16.2f %14.3f %10.3f\n", l->name, 100.0 * l->dropped, l->max_load, l->entropy,
               l->mean_gate);
    }
}

static enum sy_status print_result(struct run *r, const struct sy_metrics *m)
{
    if (!r->o.json) {
        print_metrics(m);
        return SY_OK;
    }
    json_t *j = report_json("eval", m);
    if (j == NULL)
        return sy_fail(r->ctx, SY_NOMEM, "out of host memory");
    json_dumpf(j, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(j);
    return SY_OK;
}

/// A number that is none must not look like a result to a script.
static enum sy_status check_finite(struct run *r, const struct sy_metrics *m)
{
    if (isfinite(m->total))
        return SY_OK;
    return sy_fail(r->ctx, SY_INVALID,
                   "the loss of %s is %g: its weights overflow %s; try --precision f32, or an earlier checkpoint",
                   r->o.common.model, m->total, sy_precision_name(r->o.common.precision));
}

static enum sy_status open_text(struct run *r, struct sy_session_params *p)
{
    const struct options *o = &r->o;
    SY_TRY(sy_bundle_tokenizer(r->ctx, o->common.model, o->common.tokenizer, &r->model));
    struct sy_dataset_params d = {.tokenizer = r->model.tokenizer,
                                  .src_len = (uint32_t)o->src_len,
                                  .tgt_len = (uint32_t)o->tgt_len,
                                  .seed = o->seed,
                                  .in_order = true};
    p->batch = (uint32_t)o->sequences;
    p->src_len = d.src_len;
    p->tgt_len = d.tgt_len;
    SY_TRY(texts_open(r->ctx, &o->texts, &o->data, false, NULL, d, &r->data));
    char line[160];
    texts_describe(r->data, line);
    sy_log(r->ctx, SY_LOG_INFO, "%s", line); // standard output may be JSON
    return SY_OK;
}

/// Whether two paths are the same file, by whatever names.
static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static enum sy_status open_batch(struct run *r, struct sy_session_params *p)
{
    if (r->o.dump != NULL && same_file(r->o.dump, r->o.batch))
        return sy_fail(r->ctx, SY_INVALID, "--dump %s would overwrite the --batch; name another file", r->o.dump);
    SY_TRY(sy_batch_load(r->ctx, r->o.batch, r->model.config.vocab_size, &r->batch));
    p->batch = r->batch.batch;
    p->src_len = r->batch.src_len;
    p->tgt_len = r->batch.tgt_len;
    p->keep_internals = r->o.dump != NULL;
    p->kind = r->o.gradients ? SY_SESSION_GRADIENTS : SY_SESSION_EVAL;
    return sy_dump_has_jitter(r->ctx, r->o.batch, &p->jitter_input);
}

/// Model, text or batch: everything that needs no device.
static enum sy_status prepare(struct run *r, struct sy_session_params *p)
{
    struct options *o = &r->o;
    if (!o->common.precision_given && o->dump != NULL) // to be compared, with what is rarely rounded to bf16
        o->common.precision = SY_PRECISION_F32;
    if (o->batch != NULL && r->ranks.group.size > 1)
        return sy_fail(r->ctx, SY_INVALID, "--batch is for one rank: leave mpirun away, or give --data");
    p->precision = o->common.precision;
    p->ranks = ranks_layout(&r->ranks);
    SY_TRY(sy_bundle_open(r->ctx, o->common.model, SY_WEIGHTS_NEEDED, &r->model));
    return o->batch != NULL ? open_batch(r, p) : open_text(r, p);
}

static enum sy_status open_session(struct run *r, const struct sy_session_params *p)
{
    const struct options *o = &r->o;
    char origin[512];
    if (o->batch == NULL)
        SY_TRY(cli_check_fits(r->ctx, sy_device_caps(r->device), p, false, 0, "--sequences"));
    SY_TRY(sy_session_create(r->ctx, r->device, p, &r->session));
    sy_bundle_origin(&r->model, o->common.model, 0, origin, sizeof origin);
    sy_log(r->ctx, SY_LOG_INFO, "%s", origin);
    return sy_weights_load(sy_session_runtime(r->session), r->model.tensors);
}

static enum sy_status compare(struct run *r)
{
    const struct options *o = &r->o;
    char text[256];
    snprintf(text, sizeof text, "%s, mode %s, %llu × (%llu → %llu) tokens, %llu batches, seed %llu",
             sy_precision_name(o->common.precision), o->mode, (unsigned long long)o->sequences,
             (unsigned long long)o->src_len, (unsigned long long)o->tgt_len, (unsigned long long)o->most,
             (unsigned long long)o->seed);
    SY_TRY(ranks_compare(r->ctx, &r->ranks, "set of options", text));
    snprintf(text, sizeof text, "%016llx", (unsigned long long)(r->data != NULL ? sy_dataset_fingerprint(r->data) : 0));
    SY_TRY(ranks_compare(r->ctx, &r->ranks, "text (fingerprint)", text));
    return ranks_compare_config(r->ctx, &r->ranks, &r->model.config);
}

static enum sy_status run_pairs(struct run *r)
{
    struct options *o = &r->o;
    o->pairs.src_len = o->src_len;
    o->pairs.sequences = o->sequences;
    o->pairs.json = o->json;
    SY_TRY(ranks_open(&r->ranks, &o->ranks, "switchyard-eval", &r->ctx));
    SY_TRY(ranks_agree(r->ctx, &r->ranks, sy_bundle_open(r->ctx, o->common.model, SY_WEIGHTS_NEEDED, &r->model)));
    return eval_pairs_run(r->ctx, &o->pairs, &o->common, &r->model, &r->ranks, &r->device);
}

static enum sy_status run(struct run *r)
{
    struct options *o = &r->o;
    if (o->pairs.file != NULL)
        return run_pairs(r);
    o->src_len = o->src_len != 0 ? o->src_len : sy_task_spans.src_len;
    o->tgt_len = o->tgt_len != 0 ? o->tgt_len : sy_task_spans.tgt_len;
    struct sy_session_params p = {
        .kind = SY_SESSION_EVAL, .config = &r->model.config, .capacity_train = strcmp(o->mode, "train") == 0};
    struct sy_metrics m;
    SY_TRY(ranks_open(&r->ranks, &o->ranks, "switchyard-eval", &r->ctx));
    SY_TRY(ranks_agree(r->ctx, &r->ranks, prepare(r, &p)));
    SY_TRY(ranks_open_device(r->ctx, &r->ranks, o->common.device, true, &r->model.config, o->common.precision,
                             &r->device));
    SY_TRY(ranks_agree(r->ctx, &r->ranks, open_session(r, &p)));
    SY_TRY(compare(r));
    if (o->batch == NULL) {
        SY_TRY(report_evaluate(r->session, r->data, p.batch, o->most * p.batch, &m));
        SY_TRY(print_result(r, &m));
        return ranks_agree(r->ctx, &r->ranks, check_finite(r, &m));
    }
    if (p.jitter_input)
        SY_TRY(sy_dump_load_jitter(r->session, o->batch));
    SY_TRY(sy_session_evaluate(r->session, &r->batch, 1, &m));
    SY_TRY(sy_evaluate_check(r->ctx, o->batch, &m));
    if (o->dump != NULL)
        SY_TRY(sy_dump_save(r->session, &r->batch, &m, o->gradients, o->dump));
    SY_TRY(print_result(r, &m));
    return check_finite(r, &m);
}

int main(int argc, char **argv)
{
    cli_start();
    struct run r = {.o = {.common = CLI_COMMON, .mode = "eval", .ranks = RANKS_NOTHING_GIVEN, .sequences = 8}};
    argp_program_version = SY_VERSION_TEXT;
    const struct argp argp = {.options = options, .parser = parse, .doc = doc};
    argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &r.o);
    r.ctx = sy_ctx_create(sy_log_stderr, (void *)"switchyard-eval", SY_LOG_INFO);
    enum sy_status status = r.ctx != NULL ? run(&r) : SY_NOMEM;
    ranks_close(&r.ranks, r.ctx, status);
    sy_session_destroy(&r.session);
    sy_dataset_close(&r.data);
    sy_batch_finish(&r.batch);
    sy_bundle_close(&r.model);
    sy_device_close(&r.device);
    sy_ctx_destroy(&r.ctx);
    free(r.o.data.items);
    return status == SY_OK ? 0 : 1;
}
