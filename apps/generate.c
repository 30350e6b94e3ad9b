// SPDX-License-Identifier: Apache-2.0
// generate.c: fills in masked text: greedy or sampled decoding.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/cli.h"
#include "apps/prompts.h"
#include "apps/ranks.h"
#include "engine/task/decode.h"

static const char doc[] =
    "Generate text: the model writes what belongs at each <extra_id_N> of a sentence.\v"
    "The model's output is printed, for one prompt after the other; before it, where the prompt has marks, the "
    "sentence with the gaps filled in brackets ([?]: the model wrote nothing for that mark). Prompts are decoded "
    "several at a time; what a prompt yields depends neither on --batch nor on the other prompts, samples on its "
    "number among them.\n\n"
    "Examples:\n"
    "  switchyard-generate --model runs/a/latest \\\n"
    "      --text 'The <extra_id_0> sat on the <extra_id_1>.'\n"
    "  the same with --temperature 0.8 --top-k 40 --seed 1 samples\n"
    "  switchyard-generate --model runs/a/latest --file prompts.txt --json\n"
    "  a line of JSON for each line of prompts.txt\n";

enum { OPT_TEXT = 256, OPT_FILE, OPT_BATCH, OPT_MAX, OPT_TEMPERATURE, OPT_TOP_K, OPT_SEED, OPT_RAW, OPT_JSON };

static const struct argp_option options[] = {
    CLI_MODEL_OPTION("", "", 0),
    {"text", OPT_TEXT, "TEXT", 0, "a prompt; may be repeated", 0},
    {"file", OPT_FILE, "FILE", 0, "instead of --text: one prompt a line; - reads standard input", 0},
    {"batch", OPT_BATCH, "N", 0, "prompts decoded at a time (default 8; one under expert choice)", 0},
    CLI_TOKENIZER_OPTION(0),
    {"max-tokens", OPT_MAX, "N", 0, "longest output (default 64)", 0},
    {"temperature", OPT_TEMPERATURE, "X", 0, "0 = greedy (default); 1 = sample from the model's own probabilities", 0},
    {"top-k", OPT_TOP_K, "N", 0, "sample among the N most probable tokens", 0},
    {"seed", OPT_SEED, "N", 0, "of the sampling (default 0)", 0},
    {"raw", OPT_RAW, NULL, 0, "print only the model's output", 0},
    {"json", OPT_JSON, NULL, 0, "print a JSON object a line: prompt, output, tokens, and filled where there are marks",
     0},
    CLI_PRECISION_OPTION("", 0),
    CLI_DEVICE_OPTION(0),
    {NULL, 0, NULL, 0, "Several processes (mpirun -n R switchyard-generate …), which all decode all prompts:", 6},
    RANKS_OPTIONS(6),
    {0}};

struct options {
    struct cli_common common;
    const char *file;
    struct cli_list texts;
    uint64_t batch, max_tokens, top_k, seed;
    double temperature;
    bool raw, json;
    struct ranks_options ranks;
};

static void check_options(struct argp_state *state, const struct options *o)
{
    if (o->common.model == NULL || (o->texts.count == 0 && o->file == NULL))
        argp_error(state, "--model and --text (or --file) are needed");
    if (o->texts.count != 0 && o->file != NULL)
        argp_error(state, "--text and --file both give prompts: choose one");
    if (o->raw && o->json)
        argp_error(state, "--raw and --json both say what is printed: choose one");
    if (o->top_k != 0 && o->temperature == 0.0)
        argp_error(state, "--top-k chooses among samples: it needs a --temperature above 0");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    switch (key) {
    case OPT_TEXT: cli_list_add(&o->texts, cli_text(state, "--text", arg)); break;
    case OPT_FILE: cli_once(state, "--file", arg, &o->file); break;
    case OPT_BATCH: o->batch = cli_count(state, "--batch", arg, 1, 1u << 16, false); break;
    case OPT_MAX: o->max_tokens = cli_count(state, "--max-tokens", arg, 1, 1u << 16, false); break;
    case OPT_TEMPERATURE: o->temperature = cli_real(state, "--temperature", arg, 0.0, 100.0); break;
    case OPT_TOP_K: o->top_k = cli_count(state, "--top-k", arg, 1, 1u << 24, false); break;
    case OPT_SEED: o->seed = cli_count(state, "--seed", arg, 0, ((uint64_t)1 << 53) - 1, false); break;
    case OPT_RAW: o->raw = true; break;
    case OPT_JSON: o->json = true; break;
    case ARGP_KEY_ARG: argp_error(state, "what is '%s'? Quote the text after --text", arg); break;
    case ARGP_KEY_END: check_options(state, o); break;
    default:
        return cli_common_parse(state, key, arg, &o->common) || ranks_parse(state, key, arg, &o->ranks)
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
    struct cli_model model;
    struct sy_session *owner, *session; ///< Of the weights; of the prompts at hand, which may be the same.
    struct prompts prompts;
    struct sy_prompt *batch;
    int32_t *output;
    uint32_t *counts;
};

static enum sy_status read_prompts(struct run *r)
{
    for (size_t i = 0; i < r->o.texts.count; ++i)
        SY_TRY(prompts_add(r->ctx, r->o.texts.items[i], &r->prompts));
    if (r->o.file != NULL)
        SY_TRY(prompts_read(r->ctx, r->o.file, &r->prompts));
    for (size_t i = 0; r->o.json && i < r->prompts.count; ++i) {
        json_t *text = json_string(r->prompts.items[i].text);
        if (text == NULL)
            return sy_fail(r->ctx, SY_INVALID, "prompt %zu is not UTF-8, so --json cannot repeat it", i + 1);
        json_decref(text);
    }
    return SY_OK;
}

static enum sy_status print_json(struct run *r, const struct prompt *prompt, const char *text, const char *filled,
                                 uint32_t tokens)
{
    json_t *j = json_pack("{s:s, s:s, s:I}", "prompt", prompt->text, "output", text, "tokens", (json_int_t)tokens);
    if (j != NULL && filled != NULL)
        json_object_set_new(j, "filled", json_string(filled));
    char *line = j != NULL ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    if (line == NULL)
        return sy_fail(r->ctx, SY_NOMEM, "out of host memory: result");
    printf("%s\n", line);
    free(line);
    return SY_OK;
}

static enum sy_status print_result(struct run *r, const struct prompt *prompt, const int32_t *ids, uint32_t count)
{
    char *text, *filled = NULL;
    const bool marks = !r->o.raw && strstr(prompt->text, "<extra_id_") != NULL;
    enum sy_status status = sy_tokenizer_decode(r->ctx, r->model.tokenizer, ids, count, &text);
    if (status != SY_OK)
        return status;
    if (marks && (filled = prompts_fill(prompt->text, text)) == NULL)
        status = sy_fail(r->ctx, SY_NOMEM, "out of host memory: result");
    else if (r->o.json)
        status = print_json(r, prompt, text, filled, count);
    else
        printf("%s%s%s\n", filled != NULL ? filled : "", filled != NULL ? "\n" : "", text);
    free(filled);
    free(text);
    return status;
}

/// A session for prompts of `src_len` tokens: another one than before borrows its weights.
static enum sy_status take_session(struct run *r, struct sy_session_params p, uint32_t src_len)
{
    p.src_len = src_len;
    p.lender = r->owner;
    if (r->session != NULL && sy_session_built_with(r->session)->src_len == src_len)
        return SY_OK;
    if (r->session != r->owner)
        sy_session_destroy(&r->session);
    SY_TRY(cli_check_fits(r->ctx, sy_device_caps(r->device), &p, false, 0, "--batch"));
    r->session = NULL;
    SY_TRY(sy_session_create(r->ctx, r->device, &p, &r->session));
    if (r->owner != NULL)
        return SY_OK;
    r->owner = r->session;
    char origin[512];
    cli_model_origin(&r->model, r->o.common.model, 0, origin, sizeof origin);
    sy_log(r->ctx, SY_LOG_INFO, "%s", origin);
    return sy_weights_load(sy_session_runtime(r->session), r->model.tensors);
}

/// Decodes and prints `count` prompts from `first`.
static enum sy_status generate(struct run *r, size_t first, uint32_t count)
{
    const struct options *o = &r->o;
    const uint32_t most = (uint32_t)o->max_tokens;
    for (uint32_t i = 0; i < count; ++i)
        r->batch[i] = (struct sy_prompt){r->prompts.items[first + i].ids, r->prompts.items[first + i].count};
    const struct sy_decode_params d = {.prompts = r->batch,
                                       .count = count,
                                       .max_tokens = most,
                                       .temperature = o->temperature,
                                       .top_k = (uint32_t)o->top_k,
                                       .seed = o->seed,
                                       .first = (uint32_t)first};
    SY_TRY(sy_decode(r->session, &d, r->output, r->counts));
    for (uint32_t i = 0; i < count; ++i)
        SY_TRY(print_result(r, &r->prompts.items[first + i], r->output + (size_t)i * most, r->counts[i]));
    fflush(stdout);
    return SY_OK;
}

/// Whether the session of each batch has another length: experts that choose among the tokens of the source would take
/// others beside padding or another prompt.
static bool apart(const struct run *r)
{
    return r->model.config.is_switch && r->model.config.router == SY_ROUTER_EXPERT_CHOICE;
}

static enum sy_status session_for(struct run *r, const struct sy_session_params *p, size_t first)
{
    return take_session(r, *p, apart(r) ? r->prompts.items[first].count : prompts_longest(&r->prompts));
}

/// Model, prompts, device, session: until the first message between ranks.
static enum sy_status prepare(struct run *r, struct sy_session_params *p)
{
    const struct options *o = &r->o;
    char id[64];
    if (r->ranks.group.size > 1 && o->file != NULL && strcmp(o->file, "-") == 0)
        return sy_fail(r->ctx, SY_INVALID, "--file -: mpirun hands standard input to one rank alone; give a file");
    SY_TRY(cli_model_open(r->ctx, o->common.model, CLI_WEIGHTS_NEEDED, &r->model));
    SY_TRY(cli_model_tokenizer(r->ctx, o->common.model, o->common.tokenizer, &r->model));
    SY_TRY(read_prompts(r));
    SY_TRY(prompts_encode(r->ctx, r->model.tokenizer, &r->prompts));
    const size_t all = r->prompts.count;
    p->ranks = ranks_layout(&r->ranks);
    p->batch = apart(r) ? 1 : (uint32_t)(all < o->batch ? all : o->batch);
    r->batch = calloc(p->batch, sizeof *r->batch);
    r->counts = calloc(p->batch, sizeof *r->counts);
    r->output = malloc(p->batch * o->max_tokens * sizeof *r->output);
    if (r->batch == NULL || r->counts == NULL || r->output == NULL)
        return sy_fail(r->ctx, SY_NOMEM, "out of host memory");
    SY_TRY(ranks_device(r->ctx, &r->ranks, o->common.device, id));
    SY_TRY(cli_device_open(r->ctx, id, true, &r->device));
    return session_for(r, p, 0);
}

/// All ranks must decode the same tokens at the same time.
static enum sy_status compare(struct run *r)
{
    const struct options *o = &r->o;
    char text[256];
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < r->prompts.count; ++i)
        for (uint32_t k = 0; k <= r->prompts.items[i].count; ++k)
            hash = (hash ^ (k == 0 ? r->prompts.items[i].count : (uint32_t)r->prompts.items[i].ids[k - 1])) * 16777619u;
    snprintf(text, sizeof text, "%zu prompts (%08x), %s, batch %llu, %llu tokens, temperature %g, top %llu, seed %llu",
             r->prompts.count, hash, cli_precision_name(o->common.precision), (unsigned long long)o->batch,
             (unsigned long long)o->max_tokens, o->temperature, (unsigned long long)o->top_k,
             (unsigned long long)o->seed);
    SY_TRY(ranks_compare(r->ctx, &r->ranks, "set of prompts and options", text));
    return ranks_compare_config(r->ctx, &r->ranks, &r->model.config);
}

static enum sy_status run(struct run *r)
{
    const struct options *o = &r->o;
    struct sy_session_params p = {.kind = SY_SESSION_DECODE,
                                  .config = &r->model.config,
                                  .precision = o->common.precision,
                                  .tgt_len = (uint32_t)o->max_tokens};
    SY_TRY(ranks_open(&r->ranks, &o->ranks, "switchyard-generate", &r->ctx));
    SY_TRY(ranks_agree(r->ctx, &r->ranks, prepare(r, &p)));
    SY_TRY(ranks_name(r->ctx, &r->ranks, r->device));
    SY_TRY(compare(r));
    for (size_t i = 0; i < r->prompts.count; i += p.batch) {
        const size_t left = r->prompts.count - i;
        SY_TRY(session_for(r, &p, i));
        SY_TRY(generate(r, i, (uint32_t)(left < p.batch ? left : p.batch)));
    }
    return SY_OK;
}

int main(int argc, char **argv)
{
    cli_start();
    struct run r = {.o = {.common = CLI_COMMON, .max_tokens = 64, .batch = 8, .ranks = RANKS_NOTHING_GIVEN}};
    argp_program_version = SY_VERSION_TEXT;
    const struct argp argp = {.options = options, .parser = parse, .doc = doc};
    argp_parse(&argp, argc, argv, 0, NULL, &r.o);
    r.ctx = sy_ctx_create(sy_log_stderr, (void *)"switchyard-generate", SY_LOG_INFO);
    enum sy_status status = r.ctx != NULL ? run(&r) : SY_NOMEM;
    ranks_close(&r.ranks, r.ctx, status);
    if (r.session != r.owner)
        sy_session_destroy(&r.session);
    sy_session_destroy(&r.owner);
    cli_model_close(&r.model);
    sy_device_close(&r.device);
    prompts_finish(&r.prompts);
    free(r.o.texts.items);
    free(r.batch);
    free(r.counts);
    free(r.output);
    sy_ctx_destroy(&r.ctx);
    return status == SY_OK ? 0 : 1;
}
