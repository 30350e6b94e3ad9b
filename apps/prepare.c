// SPDX-License-Identifier: Apache-2.0
// prepare.c: text files into a corpus that training maps. engine/data/prepare.h does the work.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "apps/cli.h"
#include "apps/texts.h"
#include "engine/data/prepare.h"

static const char doc[] =
    "Make a corpus of text files once, so that training of any size starts at once and keeps no text in memory.\v"
    "Files are plain text (a file is a document), JSON lines (a line is a document) or tab-separated columns (a row is "
    "one), packed with gzip or zstd or not; '-' is standard input. DIR then holds token ids in shards, an index and "
    "checksums; docs/data.md has the formats. Train and evaluate with --data DIR.\n\n"
    "The bytes written depend on files, vocabulary and options alone. A run that was killed goes on where it was when "
    "the same command is given again; Ctrl-C and SIGTERM save before they leave (with a status that is not 0). Memory "
    "does not grow with the corpus.\n\n"
    "Examples:\n"
    "  switchyard-prepare --tokenizer t5-base --out corpus c4-train.*.json.gz\n"
    "  switchyard-train --model t5-base --data corpus --out runs/a --steps 10000\n"
    "  zstdcat pile.jsonl.zst | switchyard-prepare --tokenizer spiece.model --out pile -\n"
    "  switchyard-prepare --tokenizer bytes --out reviews --column text --pack none reviews.tsv\n"
    "  switchyard-prepare --check corpus          reads all of it and compares the checksums\n";

enum { OPT_OUT = 256, OPT_CHECK, OPT_SHARD, OPT_THREADS, OPT_SAVE };

static const struct argp_option options[] = {
    {NULL, 0, NULL, 0, "What is made of what:", 1},
    {"tokenizer", CLI_TOKENIZER, "FILE", 0, "SentencePiece model, a model's directory, or 'bytes'", 1},
    {"out", OPT_OUT, "DIR", 0, "where the corpus goes: a new directory, or one that this command began to fill", 1},
    TEXTS_OPTIONS(1),
    {"field", TEXTS_KEY, "KEY", 0, "another name of --text-key", 1},
    {NULL, 0, NULL, 0, "How:", 2},
    {"threads", OPT_THREADS, "N", 0, "threads that encode (default: one for each processor)", 2},
    {"shard-tokens", OPT_SHARD, "N", 0, "tokens of a file (default 67108864)", 2},
    {"save-every", OPT_SAVE, "SECONDS", 0, "between points from which a killed run goes on (default 30)", 2},
    {"check", OPT_CHECK, "DIR", 0, "instead: read a corpus to its end, compare its checksums, and say what it holds",
     2},
    {0}};

struct options {
    struct cli_common common;
    const char *out, *check;
    struct cli_list files;
    struct texts texts;
    uint64_t shard_tokens, threads;
    double save_seconds;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    switch (key) {
    case OPT_OUT: cli_once(state, "--out", arg, &o->out); break;
    case OPT_CHECK: cli_once(state, "--check", arg, &o->check); break;
    case OPT_SHARD: o->shard_tokens = cli_count(state, "--shard-tokens", arg, 16, UINT64_C(1) << 40, false); break;
    case OPT_THREADS: o->threads = cli_count(state, "--threads", arg, 1, 256, false); break;
    case OPT_SAVE: o->save_seconds = cli_real(state, "--save-every", arg, 0.0, 1e6); break;
    case ARGP_KEY_ARG: cli_list_add(&o->files, cli_text(state, "FILE", arg)); break;
    case ARGP_KEY_END:
        if (o->check != NULL) {
            if (o->out != NULL || o->common.tokenizer != NULL || o->files.count != 0)
                argp_error(state, "--check DIR stands alone");
            break;
        }
        if (o->common.tokenizer == NULL || o->out == NULL || o->files.count == 0)
            argp_error(state, "--tokenizer, --out and at least one FILE are needed");
        texts_check(state, &o->texts, &o->files, NULL);
        break;
    default:
        return cli_common_parse(state, key, arg, &o->common) || texts_parse(state, key, arg, &o->texts)
                   ? 0
                   : ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static volatile sig_atomic_t leave_asked; // a signal handler has nowhere else to write

static void on_signal(int number) { leave_asked = number; }

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_RESETHAND}, old;
    sigaction(SIGTERM, &action, NULL);
    if (sigaction(SIGINT, NULL, &old) == 0 && old.sa_handler != SIG_IGN) // ignored: started in the background
        sigaction(SIGINT, &action, NULL);
}

// ---- progress ------------------------------------------------------------------------------------------------------

struct progress {
    bool terminal, begun, unfinished;
    double started, said;
    uint64_t first_bytes, first_tokens; ///< At the first call: what an earlier run did is no speed.
};

/// A line on a terminal is overwritten by the next, so it must not wrap; in a log there is one every half a minute.
static void say(struct progress *g, const char *line)
{
    struct winsize w = {0};
    if (!g->terminal)
        printf("%s\n", line);
    else if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) != 0 || w.ws_col < 2)
        printf("\r\033[K%s", line);
    else
        printf("\r\033[K%.*s", (int)w.ws_col - 1, line);
    g->unfinished = g->terminal;
    fflush(stdout);
}

static bool due(struct progress *g, double now)
{
    if (!g->begun)
        g->started = g->said = now;
    g->begun = true;
    if (now - g->said < (g->terminal ? 0.25 : 30.0))
        return false;
    g->said = now;
    return true;
}

static bool show(void *user, const struct sy_prepare_progress *p)
{
    struct progress *g = user;
    const bool first = !g->begun;
    const double now = cli_seconds();
    if (first) {
        g->first_bytes = p->bytes_read;
        g->first_tokens = p->tokens;
    }
    if (!due(g, now))
        return leave_asked == 0;
    char tokens[16], rate[16], read[16], all[16], left[32] = "", line[320];
    const double spent = now - g->started, bytes = (double)(p->bytes_read - g->first_bytes);
    cli_human((double)p->tokens, tokens);
    cli_human((double)(p->tokens - g->first_tokens) / spent, rate);
    cli_human((double)p->bytes_read, read);
    cli_human((double)p->bytes, all);
    if (p->bytes > 0 && bytes > 0)
        cli_duration(spent / bytes * (double)(p->bytes - p->bytes_read), left);
    snprintf(line, sizeof line, "%sB%s%s%s read: %s tokens, %s tokens/s%s%s  (%llu documents, %.100s)", read,
             p->bytes > 0 ? " of " : "", p->bytes > 0 ? all : "", p->bytes > 0 ? "B" : "", tokens, rate,
             left[0] != '\0' ? ", left " : "", left, (unsigned long long)p->documents, p->file);
    say(g, line);
    return leave_asked == 0;
}

static bool show_check(void *user, uint64_t done, uint64_t bytes)
{
    struct progress *g = user;
    char a[16], b[16], line[80];
    if (due(g, cli_seconds())) {
        cli_human((double)done, a);
        cli_human((double)bytes, b);
        snprintf(line, sizeof line, "%sB of %sB checked", a, b);
        say(g, line);
    }
    return leave_asked == 0;
}

static void end_line(struct progress *g)
{
    if (g->unfinished)
        printf("\r\033[K");
    g->unfinished = false;
}

// ---- what is asked for ---------------------------------------------------------------------------------------------

static void print_totals(const char *directory, uint64_t tokens, uint64_t documents, const char *what)
{
    char count[16];
    cli_human((double)tokens, count);
    printf("%s: %s tokens in %llu document%s%s\n", directory, count, (unsigned long long)documents,
           documents == 1 ? "" : "s", what);
}

static enum sy_status check(struct sy_ctx *ctx, const char *directory)
{
    struct sy_corpus *corpus;
    struct progress g = {.terminal = isatty(STDOUT_FILENO)};
    SY_TRY(sy_corpus_open(ctx, directory, &corpus));
    enum sy_status status = sy_corpus_verify(ctx, corpus, show_check, &g);
    end_line(&g);
    if (status == SY_OK) {
        char what[80];
        snprintf(what, sizeof what, ", all sums right; sum of the index %s", sy_corpus_sum(corpus));
        print_totals(directory, sy_corpus_tokens(corpus), sy_corpus_documents(corpus), what);
    }
    sy_corpus_close(&corpus);
    return status;
}

static void tell_end(struct sy_ctx *ctx, const struct options *o, const struct sy_prepare_result *result)
{
    char what[120];
    if (result->end == SY_PREPARE_STOPPED) {
        sy_log(ctx, SY_LOG_INFO, "asked to leave: %s is unfinished; the same command goes on with it", o->out);
        return;
    }
    snprintf(what, sizeof what, " and %llu shard%s%s", (unsigned long long)result->shards,
             result->shards == 1 ? "" : "s",
             result->end == SY_PREPARE_ALREADY ? "; it was complete already" : "; train with --data and its name");
    print_totals(o->out, result->tokens, result->documents, what);
}

static enum sy_status prepare(struct sy_ctx *ctx, const struct options *o, bool *out_stopped)
{
    struct sy_tokenizer *tokenizer;
    struct progress g = {.terminal = isatty(STDOUT_FILENO)};
    struct sy_prepare_result result;
    SY_TRY(sy_tokenizer_open(ctx, o->common.tokenizer, 0, &tokenizer));
    const struct sy_prepare_params p = {.directory = o->out,
                                        .files = o->files.items,
                                        .file_count = o->files.count,
                                        .tokenizer = tokenizer,
                                        .format = o->texts.format,
                                        .text_key = o->texts.key,
                                        .strict = o->texts.strict,
                                        .kind = o->texts.documents,
                                        .shard_tokens = o->shard_tokens,
                                        .threads = (unsigned)o->threads,
                                        .save_seconds = o->save_seconds,
                                        .progress = show,
                                        .user = &g};
    enum sy_status status = sy_prepare(ctx, &p, &result);
    end_line(&g);
    if (status == SY_OK)
        tell_end(ctx, o, &result);
    *out_stopped = status == SY_OK && result.end == SY_PREPARE_STOPPED;
    sy_tokenizer_close(&tokenizer);
    return status;
}

int main(int argc, char **argv)
{
    cli_start();
    struct options o = {.save_seconds = 30.0};
    argp_program_version = SY_VERSION_TEXT;
    const struct argp argp = {.options = options, .parser = parse, .doc = doc, .args_doc = "FILE…\n--check DIR"};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    struct sy_ctx *ctx = sy_ctx_create(sy_log_stderr, (void *)"switchyard-prepare", SY_LOG_INFO);
    bool stopped = false;
    catch_signals();
    enum sy_status status = ctx == NULL ? SY_NOMEM : o.check != NULL ? check(ctx, o.check) : prepare(ctx, &o, &stopped);
    sy_ctx_destroy(&ctx);
    free(o.files.items);
    if (stopped && leave_asked == SIGINT && fflush(stdout) == 0) {
        signal(SIGINT, SIG_DFL); // a shell only stops its own loop when the program really died of the signal
        raise(SIGINT);
    }
    return status == SY_OK && !stopped ? 0 : 1; // what follows "&&" needs the whole corpus
}
