// SPDX-License-Identifier: Apache-2.0
// train_options.c: the options of switchyard-train: what each means, which exclude each other, what --help says.
#include "apps/train_options.h"

#include "apps/buckets.h"

#include <stdlib.h>

#include "engine/task/task.h"

static const char doc[] =
    "Train a Switch Transformer (or a dense T5) by span corruption, or fine-tune it on a table's rows.\v"
    "The model is a Hugging Face directory (its weights are the start) or a config.json (weights "
    "are drawn from --seed; --draw-weights does so with a directory, too). Text files are plain "
    "or JSON lines, gzipped or not; '-' is standard "
    "input. All of them are one stream of tokens, cut into examples; its last rest is one too. "
    "docs/texts.md has the details.\n\n"
    "OUT/step-N/ is again a Hugging Face directory, with the training state beside it; "
    "OUT/latest names the newest (a link, or a file where there are no links: --model OUT/latest "
    "takes either); "
    "OUT/metrics.jsonl has one line a step. Ctrl-C, SIGTERM, SIGUSR1 or SIGUSR2 saves "
    "a checkpoint and leaves.\n\n"
    "Examples:\n"
    "  switchyard-train --model configs/quickstart-switch.json \\\n"
    "      --data book.txt --out runs/a --steps 500 --batch-tokens 4096\n"
    "  the same with --steps 900 --resume goes on to step 900\n"
    "  switchyard-train --model DIR --data book.txt --out runs/b --steps 1000 \\\n"
    "      --schedule constant --lr 1e-3          fine-tunes a model\n"
    "  switchyard-train --model DIR --batch batch.safetensors --steps 10 \\\n"
    "      --out runs/c           one batch, repeated, in f32\n"
    "  zcat c4-train.*.json.gz | switchyard-train --model DIR --data - \\\n"
    "      --document-end eos --out runs/d --steps 1000\n"
    "  switchyard-train --model DIR --pairs train.tsv --valid-pairs valid.tsv \\\n"
    "      --task configs/tasks/sst2.json --out runs/e --steps 1000\n";

enum {
    OPT_SRC = 256,
    OPT_TGT,
    OPT_LR,
    OPT_SCHEDULE,
    OPT_WARMUP,
    OPT_SEED,
    OPT_SAVE,
    OPT_RESUME,
    OPT_VALID,
    OPT_VALID_EVERY,
    OPT_VALID_BATCHES,
    OPT_VALID_SEQUENCES,
    OPT_STEPS,
    OPT_TOKENS,
    OPT_MICRO,
    OPT_SLICES,
    OPT_BATCH,
    OPT_CLIP,
    OPT_DECAY,
    OPT_RECOMPUTE,
    OPT_KEEP,
    OPT_LOG,
    OPT_DATA,
    OPT_OUT,
    OPT_DRAW,
    OPT_PAIRS,
    OPT_VALID_PAIRS,
    OPT_DROPOUT,
    OPT_EXPERT_DROPOUT,
    OPT_BUCKETS
};

static const struct argp_option options[] = {
    {NULL, 0, NULL, 0, "Model, text and where results go:", 1},
    CLI_MODEL_OPTION("", ", or a config.json to start from drawn weights", 1),
    {"draw-weights", OPT_DRAW, NULL, 0, "start from drawn weights even if --model is a directory", 1},
    {"data", OPT_DATA, "FILE", 0,
     "training text, or a corpus (DIR) that switchyard-prepare made; several may follow; '-' is standard input", 1},
    {"valid", OPT_VALID, "FILE", 0, "held-out text, or a corpus; several may follow", 1},
    TEXTS_OPTIONS(1),
    {"batch", OPT_BATCH, "FILE", 0,
     "repeat this one batch (input_ids, attention_mask, labels, jitter.*) instead of text", 1},
    CLI_TOKENIZER_OPTION(1),
    {"out", OPT_OUT, "DIR", 0, "where checkpoints and metrics.jsonl go", 1},
    {"resume", OPT_RESUME, NULL, 0, "continue from OUT/latest; where a copy lost it, from the newest whole OUT/step-N",
     1},
    {NULL, 0, NULL, 0, "Size of a step:", 2},
    {"steps", OPT_STEPS, "N", 0, "optimizer steps in all", 2},
    {"batch-tokens", OPT_TOKENS, "N", 0, "source tokens of one step (default 4096): sequences = N / src-len", 2},
    {"micro-batch", OPT_MICRO, "N", 0,
     "sequences on the device at once; the rest accumulates (default: all). A step is a power of two of micro-batches",
     2},
    {"slices", OPT_SLICES, "N", 0,
     "sums over tokens are made in N slices of a step, a power of two: what has the same slices has the same bits, "
     "however it is cut into micro-batches (default: one for each micro-batch)",
     2},
    {"src-len", OPT_SRC, "N", 0, "source length in tokens (default 512; with --pairs the longest, at most that)", 2},
    {"tgt-len", OPT_TGT, "N", 0, "target length in tokens (default 114; with --pairs the longest, at most 512)", 2},
    MIX_OPTIONS(2),
    {NULL, 0, NULL, 0,
     "Fine-tuning on a table's rows (JSON lines, TSV or SQuAD's JSON) instead of text; as the paper does: --schedule "
     "constant --lr 1e-3 --dropout 0.1 --expert-dropout 0.4, unless given. docs/tasks.md explains:",
     7},
    {"pairs", OPT_PAIRS, "FILE", 0, "rows to train on, in place of --data", 7},
    {"valid-pairs", OPT_VALID_PAIRS, "FILE", 0, "held-out rows", 7},
    {"length-buckets", OPT_BUCKETS, "N", 0,
     "steps of rows that fit the longest length, a half and a quarter of it (3, default), with as many more of them; "
     "1: all steps alike, in less memory",
     7},
    PAIRS_OPTIONS(7),
    {NULL, 0, NULL, 0, "Optimizer:", 3},
    CLI_OPTIMIZER_OPTION(3),
    {"lr", OPT_LR, "X", 0, "peak learning rate (default 1 for rsqrt, 1e-3 otherwise)", 3},
    {"schedule", OPT_SCHEDULE, "NAME", 0, "rsqrt (default; with --pairs constant), constant, linear, cosine", 3},
    {"warmup", OPT_WARMUP, "N", 0, "warm-up steps (default 10000 for rsqrt, 0 otherwise)", 3},
    {"clip-norm", OPT_CLIP, "X", 0, "clip the global gradient norm (default: no)", 3},
    {"weight-decay", OPT_DECAY, "X", 0, "for adamw (default 0)", 3},
    {"dropout", OPT_DROPOUT, "P", 0, "in place of the config's dropout_rate", 3},
    {"expert-dropout", OPT_EXPERT_DROPOUT, "P", 0, "… and expert_dropout_rate", 3},
    {NULL, 0, NULL, 0, "Device and randomness:", 4},
    CLI_PRECISION_OPTION("; with --batch f32", 4),
    CLI_DEVICE_OPTION(4),
    {"recompute", OPT_RECOMPUTE, NULL, 0,
     "recompute each block's activations in the backward pass: less memory, same bits", 4},
    {"seed", OPT_SEED, "N", 0, "of weights, data order and dropout (default 0)", 4},
    {NULL, 0, NULL, 0, "Several processes (mpirun -n R switchyard-train …; both numbers are powers of two):", 6},
    RANKS_OPTIONS(6),
    {NULL, 0, NULL, 0, "Checkpoints, validation, progress:", 5},
    {"save-every", OPT_SAVE, "N", 0, "steps between checkpoints (default: only at the end)", 5},
    {"keep", OPT_KEEP, "N", 0, "checkpoints to keep (default 2; 0 = all)", 5},
    {"valid-every", OPT_VALID_EVERY, "N", 0, "steps between validations (default: only at the end)", 5},
    {"valid-batches", OPT_VALID_BATCHES, "N", 0,
     "of one validation, each of as many sequences as a step, however --micro-batch cuts it (default 16)", 5},
    {"valid-sequences", OPT_VALID_SEQUENCES, "N", 0, "sequences of one validation, instead of --valid-batches", 5},
    {"log-every", OPT_LOG, "N", 0, "steps between lines when not on a terminal (default 10; a line a minute at least)",
     5},
    {0}};

/// What the options mean together.
static void check_together(struct argp_state *state, struct train_options *o)
{
    if (o->common.model == NULL || o->out == NULL || o->steps == 0)
        argp_error(state, "--model, --out and --steps are needed");
    if ((o->data.count != 0) + (o->batch_file != NULL) + (o->pairs != NULL) != 1)
        argp_error(state, "give either --data FILE… or --pairs FILE or --batch FILE");
    if (o->pairs == NULL && (o->valid_pairs != NULL || o->form.given != NULL))
        argp_error(state, "%s needs --pairs", o->valid_pairs != NULL ? "--valid-pairs" : o->form.given);
    if (o->pairs != NULL && o->valid.count != 0)
        argp_error(state, "--valid is text; held-out rows are --valid-pairs");
    texts_check(state, &o->texts, &o->data, &o->valid);
    if (o->data.count == 0 && mix_apart(&o->mix))
        argp_error(state, "--mix needs --data, and so do --mix-exponent and --mix-temperature");
    if (o->valid.count != 0 && o->batch_file != NULL)
        argp_error(state, "--valid needs --data: a repeated --batch has no lengths or vocabulary to read text with");
    if (o->valid.count == 0 && o->valid_pairs == NULL && o->have_validation)
        argp_error(state, "--valid-every needs --valid, and so do --valid-batches and --valid-sequences");
    if (o->valid_batches != 0 && o->valid_sequences != 0)
        argp_error(state, "--valid-batches and --valid-sequences say the same: give one of them");
    if (!o->common.precision_given && o->batch_file != NULL) // a repeated batch is for comparing traces
        o->common.precision = SY_PRECISION_F32;
    if (o->decay != 0.0 && o->common.optimizer != SY_OPTIMIZER_ADAMW)
        argp_error(state, "--weight-decay needs --optimizer adamw");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct train_options *o = state->input;
    const uint64_t big = UINT32_MAX / 2;
    switch (key) {
    case OPT_DATA: cli_list_add(o->current = &o->data, cli_text(state, "--data", arg)); break;
    case OPT_VALID: cli_list_add(o->current = &o->valid, cli_text(state, "--valid", arg)); break;
    case OPT_BATCH: cli_once(state, "--batch", arg, &o->batch_file); break;
    case OPT_PAIRS: cli_once(state, "--pairs", arg, &o->pairs); break;
    case OPT_VALID_PAIRS: cli_once(state, "--valid-pairs", arg, &o->valid_pairs); break;
    case OPT_BUCKETS: o->buckets = cli_count(state, "--length-buckets", arg, 1, BUCKETS, false); break;
    case OPT_DROPOUT: o->dropout = cli_real(state, "--dropout", arg, 0.0, 0.99); break;
    case OPT_EXPERT_DROPOUT: o->expert_dropout = cli_real(state, "--expert-dropout", arg, 0.0, 0.99); break;
    case OPT_OUT: cli_once(state, "--out", arg, &o->out); break;
    case OPT_RESUME: o->resume = true; break;
    case OPT_DRAW: o->draw = true; break;
    case OPT_STEPS: o->steps = cli_count(state, "--steps", arg, 1, big, false); break;
    case OPT_TOKENS: o->batch_tokens = cli_count(state, "--batch-tokens", arg, 1, big, false); break;
    case OPT_MICRO: o->micro = cli_count(state, "--micro-batch", arg, 1, big, false); break;
    case OPT_SLICES: o->slices = cli_count(state, "--slices", arg, 1, 1u << 20, false); break;
    case OPT_SRC: o->src_len = cli_count(state, "--src-len", arg, 2, 1u << 20, false); break;
    case OPT_TGT: o->tgt_len = cli_count(state, "--tgt-len", arg, 2, 1u << 20, false); break;
    case OPT_LR:
        o->lr = cli_real(state, "--lr", arg, 0.0, 1e3);
        o->have_lr = true;
        break;
    case OPT_SCHEDULE: o->schedule = cli_text(state, "--schedule", arg); break;
    case OPT_WARMUP:
        o->warmup = cli_count(state, "--warmup", arg, 0, big, false);
        o->have_warmup = true;
        break;
    case OPT_CLIP: o->clip = cli_real(state, "--clip-norm", arg, 0.0, 1e9); break;
    case OPT_DECAY: o->decay = cli_real(state, "--weight-decay", arg, 0.0, 10.0); break;
    case OPT_RECOMPUTE: o->recompute = true; break;
    case OPT_SEED: o->seed = cli_count(state, "--seed", arg, 0, ((uint64_t)1 << 53) - 1, false); break;
    case OPT_SAVE: o->save_every = cli_count(state, "--save-every", arg, 1, big, false); break;
    case OPT_KEEP: o->keep = cli_count(state, "--keep", arg, 0, big, false); break;
    case OPT_VALID_EVERY:
        o->valid_every = cli_count(state, "--valid-every", arg, 1, big, false);
        o->have_validation = true;
        break;
    case OPT_VALID_BATCHES:
        o->valid_batches = cli_count(state, "--valid-batches", arg, 1, big, false);
        o->have_validation = true;
        break;
    case OPT_VALID_SEQUENCES:
        o->valid_sequences = cli_count(state, "--valid-sequences", arg, 1, big, false);
        o->have_validation = true;
        break;
    case OPT_LOG: o->log_every = cli_count(state, "--log-every", arg, 1, big, false); break;
    case ARGP_KEY_ARG:
        if (o->current == NULL)
            argp_error(state, "what is '%s'? Files follow --data or --valid", arg);
        cli_list_add(o->current, cli_text(state, "FILE", arg));
        break;
    case ARGP_KEY_END: check_together(state, o); break;
    default:
        return cli_common_parse(state, key, arg, &o->common) || texts_parse(state, key, arg, &o->texts) ||
                       mix_parse(state, key, arg, &o->mix) || pairs_parse(state, key, arg, &o->form) ||
                       ranks_parse(state, key, arg, &o->ranks)
                   ? 0
                   : ARGP_ERR_UNKNOWN;
    }
    return 0;
}

void train_options_read(int argc, char **argv, struct train_options *out)
{
    *out = (struct train_options){.common = CLI_COMMON,
                                  .batch_tokens = 4096,
                                  .buckets = BUCKETS,
                                  .dropout = -1.0,
                                  .expert_dropout = -1.0,
                                  .keep = 2,
                                  .ranks = RANKS_NOTHING_GIVEN,
                                  .log_every = 10,
                                  .mix = MIX_NOTHING_GIVEN};
    argp_program_version = SY_VERSION_TEXT;
    const struct argp argp = {.options = options, .parser = parse, .doc = doc};
    argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, out);
}

void train_options_free(struct train_options *o)
{
    free(o->data.items);
    free(o->valid.items);
}
