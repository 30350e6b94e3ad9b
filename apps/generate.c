// SPDX-License-Identifier: Apache-2.0
// generate.c: fills in masked text: greedy or sampled decoding.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/cli.h"
#include "engine/decode.h"

static const char doc[] =
    "Generate text: the model writes what belongs at each <extra_id_N> of a sentence.\v"
    "The model's output is printed; where the prompt has marks, first the sentence with the gaps filled in "
    "brackets ([?]: the model wrote nothing for that mark).\n\n"
    "Examples:\n"
    "  switchyard-generate --model runs/a/latest \\\n"
    "      --text 'The <extra_id_0> sat on the <extra_id_1>.'\n"
    "  the same with --temperature 0.8 --top-k 40 --seed 1 samples\n";

enum {
    OPT_MODEL = 256,
    OPT_TEXT,
    OPT_TOKENIZER,
    OPT_MAX,
    OPT_TEMPERATURE,
    OPT_TOP_K,
    OPT_SEED,
    OPT_PRECISION,
    OPT_DEVICE,
    OPT_RAW
};

static const struct argp_option options[] = {
    {"model", OPT_MODEL, "DIR", 0, "Hugging Face directory", 0},
    {"text", OPT_TEXT, "TEXT", 0, "the prompt", 0},
    {"tokenizer", OPT_TOKENIZER, "FILE", 0,
     "SentencePiece model, its directory, or 'bytes' (default: the model's own, else bytes)", 0},
    {"max-tokens", OPT_MAX, "N", 0, "longest output (default 64)", 0},
    {"temperature", OPT_TEMPERATURE, "X", 0, "0 = greedy (default); 1 = sample from the model's own probabilities", 0},
    {"top-k", OPT_TOP_K, "N", 0, "sample among the N most probable tokens", 0},
    {"seed", OPT_SEED, "N", 0, "of the sampling (default 0)", 0},
    {"raw", OPT_RAW, NULL, 0, "print only the model's output", 0},
    {"precision", OPT_PRECISION, "NAME", 0, "selective (default), f32 or bf16", 0},
    {"device", OPT_DEVICE, "ID", 0, "auto (default), opencl:0, vulkan:0, ref:0, …", 0},
    {0}};

struct options {
    const char *model, *text, *tokenizer, *precision, *device;
    uint64_t max_tokens, top_k, seed;
    double temperature;
    bool raw;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    switch (key) {
    case OPT_MODEL: cli_once(state, "--model", arg, &o->model); break;
    case OPT_TEXT: cli_once(state, "--text", arg, &o->text); break;
    case OPT_TOKENIZER: cli_once(state, "--tokenizer", arg, &o->tokenizer); break;
    case OPT_MAX: o->max_tokens = cli_count(state, "--max-tokens", arg, 1, 1u << 16, false); break;
    case OPT_TEMPERATURE: o->temperature = cli_real(state, "--temperature", arg, 0.0, 100.0); break;
    case OPT_TOP_K: o->top_k = cli_count(state, "--top-k", arg, 1, 1u << 24, false); break;
    case OPT_SEED: o->seed = cli_count(state, "--seed", arg, 0, ((uint64_t)1 << 53) - 1, false); break;
    case OPT_RAW: o->raw = true; break;
    case OPT_PRECISION: o->precision = cli_text(state, "--precision", arg); break;
    case OPT_DEVICE: o->device = cli_text(state, "--device", arg); break;
    case ARGP_KEY_ARG: argp_error(state, "what is '%s'? Quote the text after --text", arg); break;
    case ARGP_KEY_END:
        if (o->model == NULL || o->text == NULL)
            argp_error(state, "--model and --text are needed");
        if (o->top_k != 0 && o->temperature == 0.0)
            argp_error(state, "--top-k chooses among samples: it needs a --temperature above 0");
        break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

struct run {
    struct options o;
    struct sy_ctx *ctx;
    struct sy_device *device;
    struct cli_model model;
    struct sy_session *session;
    int32_t *prompt, *output;
    char *text;
};

/// The piece of `output` that belongs to <extra_id_n>: from behind that mark to the next one.
static const char *piece(const char *output, unsigned n, size_t *length)
{
    char mark[32];
    snprintf(mark, sizeof mark, "<extra_id_%u>", n);
    const char *from = strstr(output, mark);
    if (from == NULL)
        return NULL;
    from += strlen(mark);
    const char *to = strstr(from, "<extra_id_");
    *length = to != NULL ? (size_t)(to - from) : strlen(from);
    return from;
}

/// Prints the prompt with every mark replaced by the model's words for it, in brackets.
static void print_filled(const char *prompt, const char *output)
{
    for (const char *at = prompt; *at != '\0';) {
        unsigned n;
        int used = 0;
        size_t length = 0;
        if (sscanf(at, "<extra_id_%u>%n", &n, &used) == 1 && used > 0) {
            const char *words = piece(output, n, &length);
            printf("[%.*s]", words != NULL ? (int)length : 1, words != NULL ? words : "?");
            at += used;
        } else {
            putchar(*at++);
        }
    }
    putchar('\n');
}

/// A mark that the vocabulary lacks is read as plain text, and its gap stays empty.
static void warn_unknown_marks(struct run *r)
{
    const uint32_t known = sy_tokenizer_sentinels(r->model.tokenizer);
    for (const char *at = strstr(r->o.text, "<extra_id_"); at != NULL; at = strstr(at + 1, "<extra_id_")) {
        char *end;
        const unsigned long n = strtoul(at + strlen("<extra_id_"), &end, 10);
        if (n >= known && *end == '>')
            sy_log(r->ctx, SY_LOG_WARN, "<extra_id_%lu> is read as plain text: the vocabulary has %u of them, from 0",
                   n, known);
    }
}

static enum sy_status run(struct run *r)
{
    const struct options *o = &r->o;
    struct sy_session_params p = {.kind = SY_SESSION_DECODE, .config = &r->model.config, .batch = 1};
    size_t count;
    SY_TRY(cli_precision(r->ctx, o->precision, &p.precision));
    SY_TRY(cli_model_open(r->ctx, o->model, CLI_WEIGHTS_NEEDED, &r->model));
    SY_TRY(cli_model_tokenizer(r->ctx, o->model, o->tokenizer, &r->model));
    warn_unknown_marks(r);
    SY_TRY(sy_tokenizer_encode(r->ctx, r->model.tokenizer, o->text, strlen(o->text),
                               SY_ENCODE_SENTINELS | SY_ENCODE_EOS, &r->prompt, &count));
    if (count > 1u << 16)
        return sy_fail(r->ctx, SY_INVALID, "the prompt has %zu tokens; at most 65536 are possible", count);
    p.src_len = (uint32_t)count;
    p.tgt_len = (uint32_t)o->max_tokens;
    SY_TRY(cli_device_open(r->ctx, o->device, true, &r->device));
    SY_TRY(sy_session_create(r->ctx, r->device, &p, &r->session));
    char origin[512];
    cli_model_origin(&r->model, o->model, 0, origin, sizeof origin);
    sy_log(r->ctx, SY_LOG_INFO, "%s", origin);
    SY_TRY(sy_weights_load(&r->session->runtime, r->model.tensors));
    r->output = malloc(o->max_tokens * sizeof *r->output);
    if (r->output == NULL)
        return sy_fail(r->ctx, SY_NOMEM, "out of host memory");
    struct sy_decode_params d = {.ids = r->prompt,
                                 .count = (uint32_t)count,
                                 .max_tokens = (uint32_t)o->max_tokens,
                                 .temperature = o->temperature,
                                 .top_k = (uint32_t)o->top_k,
                                 .seed = o->seed};
    uint32_t written;
    SY_TRY(sy_decode(r->session, &d, r->output, &written));
    SY_TRY(sy_tokenizer_decode(r->ctx, r->model.tokenizer, r->output, written, &r->text));
    if (!o->raw && strstr(o->text, "<extra_id_") != NULL)
        print_filled(o->text, r->text);
    printf("%s\n", r->text);
    return SY_OK;
}

int main(int argc, char **argv)
{
    cli_start();
    struct run r = {.o = {.precision = "selective", .device = "auto", .max_tokens = 64}};
    argp_program_version = SY_VERSION_TEXT;
    const struct argp argp = {.options = options, .parser = parse, .doc = doc};
    argp_parse(&argp, argc, argv, 0, NULL, &r.o);
    r.ctx = sy_ctx_create(sy_log_stderr, (void *)"switchyard-generate", SY_LOG_INFO);
    enum sy_status status = r.ctx != NULL ? run(&r) : SY_NOMEM;
    sy_session_destroy(&r.session);
    cli_model_close(&r.model);
    sy_device_close(&r.device);
    free(r.prompt);
    free(r.output);
    free(r.text);
    sy_ctx_destroy(&r.ctx);
    return status == SY_OK ? 0 : 1;
}
