// SPDX-License-Identifier: Apache-2.0
#include "apps/generation.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/file.h"
#include "engine/json.h"
#include "engine/latest.h"

#define MOST_TOKENS (1u << 16)
#define MOST_BEAMS 256

static const struct argp_option options[] = {
    {"max-tokens", GENERATION_MAX, "N", 0, "longest output (default 64)", 0},
    {"min-tokens", GENERATION_MIN, "N", 0, "shortest output: before, eos is not chosen (default 0)", 0},
    {"temperature", GENERATION_TEMPERATURE, "X", 0,
     "0 = greedy (default); 1 = sample from the model's own probabilities", 0},
    {"top-k", GENERATION_TOP_K, "N", 0, "sample among the N most probable tokens (0: all)", 0},
    {"top-p", GENERATION_TOP_P, "P", 0, "sample among the fewest tokens whose probabilities reach P (1: all)", 0},
    {"seed", GENERATION_SEED, "N", 0, "of the sampling (default 0)", 0},
    {"repetition-penalty", GENERATION_REPETITION, "X", 0,
     "divide the logits of tokens that came before by X, multiply those below 0 (default 1: neither)", 0},
    {"no-repeat-ngram", GENERATION_NGRAM, "N", 0, "no N tokens in a row come twice (0, the default: they may)", 0},
    {"beams", GENERATION_BEAMS, "N", 0, "search with N sequences side by side for the most probable output", 0},
    {"length-penalty", GENERATION_LENGTH, "X", 0,
     "beams: outputs are compared by log-probability / length^X (default 1; more favours long ones)", 0},
    {"early-stopping", GENERATION_EARLY, "WHEN", 0,
     "beams: with N outputs at their end, stop when none under way seems better (no, default), at once (yes), or when "
     "none can become better (never)",
     0},
    {0}};

static const char *const stops[] = {[SY_EARLY_NO] = "no", [SY_EARLY_YES] = "yes", [SY_EARLY_NEVER] = "never"};

static void check_options(struct argp_state *state, const struct generation *g)
{
    if ((!isnan(g->top_k) || !isnan(g->top_p)) && !(g->temperature > 0.0))
        argp_error(state, "--top-k and --top-p choose among samples: they need a --temperature above 0");
    if (g->beams > 1 && g->temperature > 0.0)
        argp_error(state, "--beams searches and --temperature samples: choose one");
    if (g->min_tokens > g->max_tokens)
        argp_error(state, "--min-tokens %.0f is more than --max-tokens %.0f", g->min_tokens, g->max_tokens);
}

static double early(struct argp_state *state, const char *arg)
{
    for (size_t i = 0; i < SY_COUNT(stops); ++i)
        if (strcmp(arg, stops[i]) == 0)
            return (double)i;
    argp_error(state, "--early-stopping: '%s' is none of no, yes, never", arg);
    return NAN;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct generation *g = state->input;
    switch (key) {
    case GENERATION_MAX: g->max_tokens = (double)cli_count(state, "--max-tokens", arg, 1, MOST_TOKENS, false); break;
    case GENERATION_MIN: g->min_tokens = (double)cli_count(state, "--min-tokens", arg, 0, MOST_TOKENS, false); break;
    case GENERATION_TEMPERATURE: g->temperature = cli_real(state, "--temperature", arg, 0.0, 100.0); break;
    case GENERATION_TOP_K: g->top_k = (double)cli_count(state, "--top-k", arg, 0, 1u << 24, false); break;
    case GENERATION_TOP_P: g->top_p = cli_real(state, "--top-p", arg, 1e-9, 1.0); break;
    case GENERATION_REPETITION: g->repetition_penalty = cli_real(state, "--repetition-penalty", arg, 1e-3, 1e3); break;
    case GENERATION_NGRAM:
        g->no_repeat_ngram = (double)cli_count(state, "--no-repeat-ngram", arg, 0, MOST_TOKENS, false);
        break;
    case GENERATION_BEAMS: g->beams = (double)cli_count(state, "--beams", arg, 1, MOST_BEAMS, false); break;
    case GENERATION_LENGTH: g->length_penalty = cli_real(state, "--length-penalty", arg, -100.0, 100.0); break;
    case GENERATION_EARLY: g->early_stop = early(state, arg); break;
    case GENERATION_SEED: g->seed = cli_count(state, "--seed", arg, 0, ((uint64_t)1 << 53) - 1, false); break;
    case ARGP_KEY_END: check_options(state, g); break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

const struct argp generation_argp = {.options = options, .parser = parse};

// ---- generation_config.json -----------------------------------------------------------------------------------------

/// Keys that change what transformers says and that we do not have, with the values that change nothing.
static const struct {
    const char *key;
    double neutral;
} unknown[] = {
    {"forced_bos_token_id", NAN},
    {"forced_eos_token_id", NAN},
    {"bad_words_ids", NAN},
    {"suppress_tokens", NAN},
    {"begin_suppress_tokens", NAN},
    {"sequence_bias", NAN},
    {"exponential_decay_length_penalty", NAN},
    {"penalty_alpha", 0},
    {"encoder_no_repeat_ngram_size", 0},
    {"encoder_repetition_penalty", 1},
    {"diversity_penalty", 0},
    {"num_beam_groups", 1},
    {"typical_p", 1},
    {"epsilon_cutoff", 0},
    {"eta_cutoff", 0},
    {"min_p", 0},
    {"guidance_scale", 1},
};

struct source {
    struct sy_ctx *ctx;
    const char *path;
    const json_t *root;
    char taken[400]; ///< What was taken, for a line about it.
};

static void note(struct source *s, const char *key, const char *value)
{
    const size_t n = strlen(s->taken);
    snprintf(s->taken + n, sizeof s->taken - n, "%s%s %s", n != 0 ? ", " : "", key, value);
}

/// The number under `key`, which may be absent or null: `*out` is then left alone. `*out` that is no NaN was given, and
/// overrules it.
static enum sy_status take(struct source *s, const char *key, double least, double most, bool whole, double *out)
{
    const json_t *value = json_object_get(s->root, key);
    const double x = json_number_value(value);
    char text[32];
    if (value == NULL || json_is_null(value))
        return SY_OK;
    if (!json_is_number(value) || !(x >= least && x <= most) || (whole && x != floor(x)))
        return sy_fail(s->ctx, SY_FORMAT, "%s: %s must be a %s from %g to %g", s->path, key,
                       whole ? "whole number" : "number", least, most);
    if (!isnan(*out))
        return SY_OK;
    *out = x;
    snprintf(text, sizeof text, "%g", x);
    note(s, key, text);
    return SY_OK;
}

static enum sy_status take_lengths(struct source *s, struct generation *g)
{
    double whole = NAN;
    const bool given = !isnan(g->max_tokens), least = !isnan(g->min_tokens);
    SY_TRY(take(s, "max_new_tokens", 1, MOST_TOKENS, true, &g->max_tokens));
    SY_TRY(take(s, "min_new_tokens", 0, MOST_TOKENS, true, &g->min_tokens));
    if (!given && isnan(g->max_tokens)) { // counts the start token
        SY_TRY(take(s, "max_length", 2, MOST_TOKENS, true, &whole));
        g->max_tokens = whole - 1;
    }
    whole = NAN;
    if (!least && isnan(g->min_tokens)) {
        SY_TRY(take(s, "min_length", 0, MOST_TOKENS, true, &whole));
        g->min_tokens = whole > 1 ? whole - 1 : whole;
    }
    if (g->min_tokens > g->max_tokens)
        return sy_fail(s->ctx, SY_FORMAT, "%s, with the options given: at least %.0f tokens and at most %.0f", s->path,
                       g->min_tokens, g->max_tokens);
    return SY_OK;
}

/// Sampling, or beams: one given as an option overrules both keys.
static enum sy_status take_manner(struct source *s, struct generation *g)
{
    const json_t *sample = json_object_get(s->root, "do_sample"), *stop = json_object_get(s->root, "early_stopping");
    const bool told = g->temperature > 0.0 || g->beams > 1;
    if (isnan(g->beams) && !(g->temperature > 0.0))
        SY_TRY(take(s, "num_beams", 1, MOST_BEAMS, true, &g->beams));
    if (isnan(g->temperature) && !told && json_is_true(sample)) {
        note(s, "do_sample", "true");
        SY_TRY(take(s, "temperature", 0, 100, false, &g->temperature));
        if (isnan(g->temperature))
            g->temperature = 1.0;
        if (isnan(g->top_k) && json_object_get(s->root, "top_k") == NULL)
            g->top_k = 50; // transformers' default
    }
    if (g->temperature > 0.0) {
        SY_TRY(take(s, "top_k", 0, 1u << 24, true, &g->top_k));
        SY_TRY(take(s, "top_p", 0, 1, false, &g->top_p));
    }
    if (g->beams > 1 && g->temperature > 0.0)
        return sy_fail(
            s->ctx, SY_INVALID,
            "%s asks for samples among %.0f beams, which is not supported: give --beams 1 or --temperature 0", s->path,
            g->beams);
    if (!(g->beams > 1))
        return SY_OK;
    SY_TRY(take(s, "length_penalty", -100, 100, false, &g->length_penalty));
    if (!isnan(g->early_stop) || stop == NULL || json_is_null(stop))
        return SY_OK;
    const bool never = json_is_string(stop) && strcmp(json_string_value(stop), "never") == 0;
    if (!json_is_boolean(stop) && !never)
        return sy_fail(s->ctx, SY_FORMAT, "%s: early_stopping must be true, false or \"never\"", s->path);
    g->early_stop = never ? SY_EARLY_NEVER : json_is_true(stop) ? SY_EARLY_YES : SY_EARLY_NO;
    note(s, "early_stopping", never ? "never" : json_is_true(stop) ? "true" : "false");
    return SY_OK;
}

/// The start token overrules the config's, as in transformers; eos is the vocabulary's.
static enum sy_status take_ids(struct source *s, struct sy_config *c)
{
    const json_t *eos = json_object_get(s->root, "eos_token_id");
    double start = NAN;
    const json_int_t stop = json_integer_value(json_is_array(eos) ? json_array_get(eos, 0) : eos);
    SY_TRY(take(s, "decoder_start_token_id", 0, c->vocab_size - 1.0, true, &start));
    if (start == c->start_id)
        s->taken[0] = '\0'; // nothing new
    else if (!isnan(start))
        c->start_id = (uint32_t)start;
    if (eos != NULL && !json_is_null(eos) && (stop != c->eos_id || json_array_size(eos) > 1))
        sy_log(s->ctx, SY_LOG_WARN, "%s names other ends of an output (eos_token_id) than %u, which is used", s->path,
               c->eos_id);
    return SY_OK;
}

static void warn_unknown(const struct source *s)
{
    char names[300] = "";
    for (size_t i = 0; i < SY_COUNT(unknown); ++i) {
        const json_t *value = json_object_get(s->root, unknown[i].key);
        if (value == NULL || json_is_null(value) ||
            (json_is_number(value) && json_number_value(value) == unknown[i].neutral))
            continue;
        const size_t n = strlen(names);
        snprintf(names + n, sizeof names - n, "%s%s", n != 0 ? ", " : "", unknown[i].key);
    }
    if (names[0] != '\0')
        sy_log(s->ctx, SY_LOG_WARN, "%s: not supported, and ignored: %s", s->path, names);
}

static enum sy_status read_file(struct source *s, struct sy_config *c, struct generation *g)
{
    json_t *root = NULL;
    SY_TRY(sy_json_load(s->ctx, s->path, &root));
    s->root = root;
    enum sy_status status = take_ids(s, c);
    if (status == SY_OK)
        status = take_lengths(s, g);
    if (status == SY_OK)
        status = take_manner(s, g);
    if (status == SY_OK)
        status = take(s, "repetition_penalty", 1e-3, 1e3, false, &g->repetition_penalty);
    if (status == SY_OK)
        status = take(s, "no_repeat_ngram_size", 0, MOST_TOKENS, true, &g->no_repeat_ngram);
    if (status == SY_OK)
        warn_unknown(s);
    if (status == SY_OK && s->taken[0] != '\0')
        sy_log(s->ctx, SY_LOG_INFO, "%s: %s", s->path, s->taken);
    json_decref(root);
    return status;
}

static void set_default(double *value, double otherwise)
{
    if (isnan(*value))
        *value = otherwise;
}

enum sy_status generation_settle(struct sy_ctx *ctx, const char *path, struct sy_config *config, struct generation *g)
{
    char resolved[SY_PATH_ROOM];
    SY_TRY(sy_latest_resolve(ctx, path, resolved));
    char *file = sy_path_join(resolved, "generation_config.json");
    if (file == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    struct source s = {.ctx = ctx, .path = file};
    const bool weighs = !isnan(g->length_penalty) || !isnan(g->early_stop);
    enum sy_status status = sy_file_exists(file) ? read_file(&s, config, g) : SY_OK;
    if (status == SY_OK && weighs && !(g->beams > 1))
        status =
            sy_fail(ctx, SY_INVALID, "--length-penalty and --early-stopping are for beams: give --beams N, above 1");
    free(file);
    set_default(&g->max_tokens, g->min_tokens > 64 ? g->min_tokens : 64);
    set_default(&g->min_tokens, 0);
    set_default(&g->temperature, 0);
    set_default(&g->top_k, 0);
    set_default(&g->top_p, 1);
    set_default(&g->repetition_penalty, 1);
    set_default(&g->no_repeat_ngram, 0);
    set_default(&g->beams, 1);
    set_default(&g->length_penalty, 1);
    set_default(&g->early_stop, SY_EARLY_NO);
    return status;
}

struct sy_decode_params generation_params(const struct generation *g)
{
    return (struct sy_decode_params){.max_tokens = (uint32_t)g->max_tokens,
                                     .min_tokens = (uint32_t)g->min_tokens,
                                     .temperature = g->temperature,
                                     .top_k = (uint32_t)g->top_k,
                                     .top_p = g->top_p,
                                     .seed = g->seed,
                                     .repetition_penalty = g->repetition_penalty,
                                     .no_repeat_ngram = (uint32_t)g->no_repeat_ngram,
                                     .length_penalty = g->length_penalty,
                                     .early_stop = (enum sy_early_stop)g->early_stop};
}

void generation_describe(const struct generation *g, char *out, size_t room)
{
    snprintf(
        out, room,
        "%.0f to %.0f tokens, temperature %g, top %.0f, %g, seed %llu, repetition %g, %.0f, %.0f beams, length %g, "
        "stop %s",
        g->min_tokens, g->max_tokens, g->temperature, g->top_k, g->top_p, (unsigned long long)g->seed,
        g->repetition_penalty, g->no_repeat_ngram, g->beams, g->length_penalty, stops[(int)g->early_stop]);
}
