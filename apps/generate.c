// SPDX-License-Identifier: Apache-2.0
// generate.c: fills in masked text, or answers: greedy, sampled or by beams.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/answers.h"
#include "apps/generation.h"
#include "apps/prompts.h"
#include "apps/ranks.h"
#include "engine/task/decode.h"

#define SHORTEST_SESSION 64 // source tokens that a session for prompts to come has room for

static const char doc[] =
    "Generate text: the model writes what belongs at each <extra_id_N> of a sentence.\v"
    "The model's output is printed, for one prompt after the other; before it, where the prompt has marks, the "
    "sentence with the gaps filled in brackets ([?]: the model wrote nothing for that mark). Prompts are decoded "
    "several at a time; what a prompt yields depends neither on --batch nor on the other prompts, samples on its "
    "number among them. On a terminal, where prompts come one at a time, the output appears token by token, and the "
    "filled sentence after it.\n\n"
    "Where no option says how tokens are chosen, the model's generation_config.json does, if it has one; what is taken "
    "from it is said.\n\n"
    "Examples:\n"
    "  switchyard-generate --model runs/a/latest \\\n"
    "      --text 'The <extra_id_0> sat on the <extra_id_1>.'\n"
    "  the same with --temperature 0.8 --top-p 0.9 --seed 1 samples, with --beams 4 searches\n"
    "  switchyard-generate --model runs/a/latest --file prompts.txt --json\n"
    "  a line of JSON for each line of prompts.txt\n"
    "  switchyard-generate --model runs/a/latest --file qa.jsonl --field question --json\n"
    "  prompts are under \"question\", texts or arrays of ids (taken as they are: no eos is added)\n"
    "  switchyard-generate --model runs/a/latest --interactive\n"
    "  answers each line that is typed; the model is loaded once\n";

enum { OPT_TEXT = 256, OPT_FILE, OPT_FIELD, OPT_INTERACTIVE, OPT_BATCH, OPT_RAW, OPT_JSON };

static const struct argp_option options[] = {
    CLI_MODEL_OPTION("", "", 0),
    {"text", OPT_TEXT, "TEXT", 0, "a prompt; may be repeated", 0},
    {"file", OPT_FILE, "FILE", 0, "instead of --text: one prompt a line; - reads standard input", 0},
    {"field", OPT_FIELD, "KEY", 0,
     "lines are objects of JSON, and the prompt is under KEY (default of files whose name ends in .jsonl: prompt)", 0},
    {"interactive", OPT_INTERACTIVE, NULL, 0, "answer the lines of standard input one by one, each as it comes", 0},
    {"batch", OPT_BATCH, "N", 0, "prompts decoded at a time (default 8; one under expert choice)", 0},
    CLI_TOKENIZER_OPTION(0),
    {"raw", OPT_RAW, NULL, 0, "print only the model's output", 0},
    {"json", OPT_JSON, NULL, 0,
     "print a JSON object a line: prompt, output, tokens, ids, and filled where there are marks", 0},
    CLI_PRECISION_OPTION("", 0),
    CLI_DEVICE_OPTION(0),
    {NULL, 0, NULL, 0, "Several processes (mpirun -n R switchyard-generate …), which all decode all prompts:", 6},
    RANKS_OPTIONS(6),
    {0}};

static const struct argp_child children[] = {{&generation_argp, 0, "How tokens are chosen:", 3}, {0}};

struct options {
    struct cli_common common;
    const char *file, *field;
    struct cli_list texts;
    uint64_t batch;
    bool interactive, raw, json;
    struct generation how;
    struct ranks_options ranks;
};

static void check_options(struct argp_state *state, const struct options *o)
{
    const int sources = (o->texts.count != 0) + (o->file != NULL) + o->interactive;
    if (o->common.model == NULL || sources == 0)
        argp_error(state, "--model and --text (or --file, or --interactive) are needed");
    if (sources > 1)
        argp_error(state, "--text, --file and --interactive all give prompts: choose one");
    if (o->field != NULL && o->texts.count != 0)
        argp_error(state, "--field is for lines of JSON (--file, --interactive), not for --text");
    if (o->raw && o->json)
        argp_error(state, "--raw and --json both say what is printed: choose one");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->how; break;
    case OPT_TEXT: cli_list_add(&o->texts, cli_text(state, "--text", arg)); break;
    case OPT_FILE: cli_once(state, "--file", arg, &o->file); break;
    case OPT_FIELD: cli_once(state, "--field", arg, &o->field); break;
    case OPT_INTERACTIVE: o->interactive = true; break;
    case OPT_BATCH: o->batch = cli_count(state, "--batch", arg, 1, 1u << 16, false); break;
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
    struct sy_bundle model;
    struct sy_session *owner, *session; ///< Of the weights; of the prompts at hand, which may be the same.
    struct prompts prompts;
    size_t answered; ///< Of prompts that came before these.
    struct answers answers;
    struct sy_prompt *batch;
    int32_t *output;
    uint32_t *counts;
};

static enum sy_status read_prompts(struct run *r)
{
    for (size_t i = 0; i < r->o.texts.count; ++i)
        SY_TRY(prompts_add(r->ctx, r->o.texts.items[i], &r->prompts));
    if (r->o.file != NULL)
        SY_TRY(
            prompts_read(r->ctx, r->o.file, r->o.field != NULL ? r->o.field : prompts_field(r->o.file), &r->prompts));
    return answers_check(&r->answers, &r->prompts);
}

/// Whether the session of each batch has another length: experts that choose among the tokens of the source would take
/// others beside padding or another prompt.
static bool apart(const struct run *r)
{
    return r->model.config.is_switch && r->model.config.router == SY_ROUTER_EXPERT_CHOICE;
}

/// A session for prompts of `src_len` tokens: another one than before borrows its weights.
static enum sy_status take_session(struct run *r, struct sy_session_params p, uint32_t src_len)
{
    p.src_len = src_len;
    p.lender = r->owner;
    const uint32_t has = r->session != NULL ? sy_session_built_with(r->session)->src_len : 0;
    if (has == src_len || (has > src_len && !apart(r)))
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
    sy_bundle_origin(&r->model, r->o.common.model, 0, origin, sizeof origin);
    sy_log(r->ctx, SY_LOG_INFO, "%s", origin);
    return sy_weights_load(sy_session_runtime(r->session), r->model.tensors);
}

/// Decodes and prints `count` prompts from `first`.
static enum sy_status generate(struct run *r, size_t first, uint32_t count)
{
    struct sy_decode_params d = generation_params(&r->o.how);
    for (uint32_t i = 0; i < count; ++i)
        r->batch[i] = (struct sy_prompt){r->prompts.items[first + i].ids, r->prompts.items[first + i].count};
    d.prompts = r->batch;
    d.count = count;
    d.first = (uint32_t)(r->answered + first);
    d.heard = r->answers.growing ? answers_hear : NULL;
    d.user = &r->answers;
    SY_TRY(sy_decode(r->session, &d, r->output, r->counts));
    for (uint32_t i = 0; i < count; ++i)
        SY_TRY(answers_print(&r->answers, &r->prompts.items[first + i], r->output + (size_t)i * d.max_tokens,
                             r->counts[i]));
    fflush(stdout);
    return SY_OK;
}

/// Prompts to come have room to be longer, in powers of two, so that few lengths need a session.
static uint32_t room_for(uint32_t tokens)
{
    uint32_t room = SHORTEST_SESSION;
    while (room < tokens)
        room *= 2;
    return room;
}

static enum sy_status session_for(struct run *r, const struct sy_session_params *p, size_t first)
{
    return take_session(r, *p,
                        r->o.interactive && (r->prompts.count == 0 || !apart(r))
                            ? room_for(prompts_longest(&r->prompts))
                        : apart(r) ? r->prompts.items[first].count
                                   : prompts_longest(&r->prompts));
}

/// Model, prompts: everything that needs no device.
static enum sy_status prepare(struct run *r, struct sy_session_params *p)
{
    const struct options *o = &r->o;
    if (r->ranks.group.size > 1 && o->file != NULL && strcmp(o->file, "-") == 0)
        return sy_fail(r->ctx, SY_INVALID, "--file -: mpirun hands standard input to one rank alone; give a file");
    if (r->ranks.group.size > 1 && o->interactive)
        return sy_fail(r->ctx, SY_INVALID, "--interactive: mpirun hands standard input to one rank alone; give --file");
    SY_TRY(sy_bundle_open(r->ctx, o->common.model, SY_WEIGHTS_NEEDED, &r->model));
    SY_TRY(sy_bundle_tokenizer(r->ctx, o->common.model, o->common.tokenizer, &r->model));
    SY_TRY(generation_settle(r->ctx, o->common.model, &r->model.config, &r->o.how));
    r->answers = (struct answers){.ctx = r->ctx,
                                  .tokenizer = r->model.tokenizer,
                                  .raw = o->raw,
                                  .json = o->json,
                                  .room = (uint32_t)o->how.max_tokens};
    SY_TRY(read_prompts(r));
    SY_TRY(prompts_encode(r->ctx, r->model.tokenizer, &r->prompts));
    const size_t all = r->prompts.count;
    p->ranks = ranks_layout(&r->ranks);
    p->batch = apart(r) || o->interactive ? 1 : (uint32_t)(all < o->batch ? all : o->batch);
    p->beams = (uint32_t)o->how.beams;
    p->tgt_len = (uint32_t)o->how.max_tokens;
    r->answers.growing = p->batch == 1 && p->beams == 1 && !o->json && isatty(STDOUT_FILENO);
    r->batch = calloc(p->batch, sizeof *r->batch);
    r->counts = calloc(p->batch, sizeof *r->counts);
    r->output = malloc(p->batch * (size_t)p->tgt_len * sizeof *r->output);
    if (r->batch == NULL || r->counts == NULL || r->output == NULL)
        return sy_fail(r->ctx, SY_NOMEM, "out of host memory");
    return SY_OK;
}

/// All ranks must decode the same tokens at the same time.
static enum sy_status compare(struct run *r)
{
    const struct options *o = &r->o;
    char text[400];
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < r->prompts.count; ++i)
        for (uint32_t k = 0; k <= r->prompts.items[i].count; ++k)
            hash = (hash ^ (k == 0 ? r->prompts.items[i].count : (uint32_t)r->prompts.items[i].ids[k - 1])) * 16777619u;
    char how[256];
    generation_describe(&o->how, how, sizeof how);
    snprintf(text, sizeof text, "%zu prompts (%08x), %s, batch %llu, %s", r->prompts.count, hash,
             sy_precision_name(o->common.precision), (unsigned long long)o->batch, how);
    SY_TRY(ranks_compare(r->ctx, &r->ranks, "set of prompts and options", text));
    return ranks_compare_config(r->ctx, &r->ranks, &r->model.config);
}

static enum sy_status answer_all(struct run *r, const struct sy_session_params *p)
{
    for (size_t i = 0; i < r->prompts.count; i += p->batch) {
        const size_t left = r->prompts.count - i;
        SY_TRY(session_for(r, p, i));
        SY_TRY(generate(r, i, (uint32_t)(left < p->batch ? left : p->batch)));
    }
    return SY_OK;
}

/// A line that cannot be a prompt is told, and the next one may be; the program then ends with an error.
static enum sy_status converse(struct run *r, const struct sy_session_params *p)
{
    const bool person = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    enum sy_status said = SY_OK;
    for (bool more = true;; ++r->answered) {
        if (person) {
            printf("> ");
            fflush(stdout);
        }
        enum sy_status status = prompts_next(r->ctx, r->o.field, &r->prompts, &more);
        if (!more)
            return status != SY_OK ? status : said;
        if (status == SY_OK)
            status = answers_check(&r->answers, &r->prompts);
        if (status == SY_OK)
            status = prompts_encode(r->ctx, r->model.tokenizer, &r->prompts);
        if (status == SY_OK)
            status = answer_all(r, p);
        if (status != SY_OK && status != SY_INVALID)
            return status;
        said = status != SY_OK ? status : said;
    }
}

static enum sy_status run(struct run *r)
{
    const struct options *o = &r->o;
    struct sy_session_params p = {
        .kind = SY_SESSION_DECODE, .config = &r->model.config, .precision = o->common.precision};
    SY_TRY(ranks_open(&r->ranks, &o->ranks, "switchyard-generate", &r->ctx));
    SY_TRY(ranks_agree(r->ctx, &r->ranks, prepare(r, &p)));
    SY_TRY(ranks_open_device(r->ctx, &r->ranks, o->common.device, true, &r->model.config, o->common.precision,
                             &r->device));
    SY_TRY(ranks_agree(r->ctx, &r->ranks, session_for(r, &p, 0)));
    SY_TRY(compare(r));
    return o->interactive ? converse(r, &p) : answer_all(r, &p);
}

int main(int argc, char **argv)
{
    cli_start();
    struct run r = {
        .o = {.common = CLI_COMMON, .batch = 8, .how = GENERATION_NOTHING_GIVEN, .ranks = RANKS_NOTHING_GIVEN}};
    argp_program_version = SY_VERSION_TEXT;
    const struct argp argp = {.options = options, .parser = parse, .doc = doc, .children = children};
    argp_parse(&argp, argc, argv, 0, NULL, &r.o);
    r.ctx = sy_ctx_create(sy_log_stderr, (void *)"switchyard-generate", SY_LOG_INFO);
    enum sy_status status = r.ctx != NULL ? run(&r) : SY_NOMEM;
    ranks_close(&r.ranks, r.ctx, status);
    if (r.session != r.owner)
        sy_session_destroy(&r.session);
    sy_session_destroy(&r.owner);
    sy_bundle_close(&r.model);
    sy_device_close(&r.device);
    prompts_finish(&r.prompts);
    answers_finish(&r.answers);
    free(r.o.texts.items);
    free(r.batch);
    free(r.counts);
    free(r.output);
    sy_ctx_destroy(&r.ctx);
    return status == SY_OK ? 0 : 1;
}
