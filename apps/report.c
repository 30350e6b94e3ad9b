// SPDX-License-Identifier: Apache-2.0
#include "apps/report.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apps/cli.h"
#include "apps/texts.h"
#include "engine/file.h"

// ---- metrics.jsonl -------------------------------------------------------------------------------------------------

/// Where the lines of steps after `step` begin, or a line that a crash cut short; the file's size when there are none.
static long long kept_bytes(FILE *file, uint64_t step)
{
    char *line = NULL;
    size_t room = 0;
    long long kept = 0;
    for (ssize_t n; (n = getline(&line, &room, file)) > 0; kept += n) {
        json_t *j = json_loadb(line, (size_t)n, 0, NULL);
        const json_int_t at = json_integer_value(json_object_get(j, "step"));
        json_decref(j);
        if (line[n - 1] != '\n' || at > (json_int_t)step)
            break;
    }
    free(line);
    return kept;
}

/// A run that goes on from a checkpoint repeats the steps behind it: their lines of the run that was lost go, and half
/// a line that a crash or a full disk left.
static enum sy_status forget_after(struct report *r, uint64_t step)
{
    const int copy = dup(r->file);
    FILE *file = copy >= 0 ? fdopen(copy, "r") : NULL;
    if (file == NULL) {
        if (copy >= 0)
            close(copy);
        return sy_fail(r->ctx, SY_IO, "cannot read %s: %s", r->path, strerror(errno));
    }
    const long long kept = kept_bytes(file, step);
    fclose(file);
    if (lseek(r->file, 0, SEEK_END) <= kept)
        return SY_OK;
    if (ftruncate(r->file, kept) != 0)
        return sy_fail(r->ctx, SY_IO, "cannot shorten %s: %s", r->path, strerror(errno));
    sy_log(r->ctx, SY_LOG_INFO, "%s: lines after step %llu are dropped; those steps are trained again", r->path,
           (unsigned long long)step);
    return SY_OK;
}

static enum sy_status open_metrics(struct report *r, const char *dir, uint64_t step)
{
    struct stat s;
    SY_TRY(sy_path_print(r->ctx, r->path, dir, "metrics.jsonl"));
    // O_NONBLOCK: a named pipe that nobody reads must not hang.
    r->file = open(r->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0666);
    if (r->file < 0)
        return sy_fail(r->ctx, SY_IO, "cannot open %s: %s", r->path, strerror(errno));
    if (fstat(r->file, &s) != 0 || !S_ISREG(s.st_mode))
        return sy_fail(r->ctx, SY_IO, "cannot write %s: it is not a regular file", r->path);
    return forget_after(r, step);
}

// JSON has no infinity: a perplexity beyond all numbers becomes null.
static json_t *number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

void *report_json(const char *kind, const struct sy_metrics *m)
{
    json_t *layers = json_array();
    for (uint32_t i = 0; i < m->layer_count; ++i) {
        const struct sy_layer_metrics *l = &m->layers[i];
        json_array_append_new(layers, json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "layer", l->name, "aux",
                                                number(l->aux), "z", number(l->z), "dropped", number(l->dropped),
                                                "load_entropy", number(l->entropy), "load_max_over_mean",
                                                number(l->max_load), "mean_gate", number(l->mean_gate)));
    }
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:o}", "kind", kind, "loss_ce",
                     number(m->loss_ce), "aux", number(m->aux), "z", number(m->z), "total", number(m->total), "nlp",
                     number(m->nlp), "perplexity", number(m->perplexity), "accuracy", number(m->accuracy), "labels",
                     (json_int_t)m->labels, "tokens", (json_int_t)m->tokens, "layers", layers);
}

/// A whole line or none: what a full disk took of it is taken back.
static enum sy_status write_line(struct report *r, json_t *line)
{
    char *text = line != NULL ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(line);
    if (text == NULL)
        return sy_fail(r->ctx, SY_NOMEM, "out of host memory: metrics");
    const size_t bytes = strlen(text);
    const off_t before = lseek(r->file, 0, SEEK_END);
    text[bytes] = '\n'; // in the place of the NUL
    size_t done = 0;
    for (ssize_t n; done <= bytes; done += (size_t)n) {
        n = write(r->file, text + done, bytes + 1 - done);
        if (n < 0 && errno != EINTR)
            break;
        n = n < 0 ? 0 : n;
    }
    free(text);
    if (done > bytes)
        return SY_OK;
    const int cause = errno;
    if (before >= 0)
        (void)!ftruncate(r->file, before);
    return sy_fail(r->ctx, SY_IO, "cannot write %s: %s; the checkpoints are unharmed: make room, then --resume",
                   r->path, strerror(cause));
}

// ---- progress ------------------------------------------------------------------------------------------------------

/// Prints one line of progress; on a terminal an unfinished one is overwritten by the next, so it must not wrap.
static void say(struct report *r, bool last, const char *line)
{
    struct winsize w = {0};
    if (!r->terminal)
        printf("%s\n", line);
    else if (last || ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) != 0 || w.ws_col < 2)
        printf("\r\033[K%s%s", line, last ? "\n" : "");
    else
        printf("\r\033[K%.*s", (int)w.ws_col - 1, line);
    r->unfinished = r->terminal && !last;
    if (fflush(stdout) != 0 && !r->deaf) {
        r->deaf = true;
        sy_log(r->ctx, SY_LOG_WARN, "standard output could not be written: %s; training goes on, %s has the progress",
               strerror(errno), r->path);
    }
}

static void warn_lengths(struct sy_ctx *ctx, const struct sy_dataset *data, const struct sy_tokenizer *tokenizer,
                         uint32_t src_len, uint32_t tgt_len)
{
    uint32_t inputs, targets, most_inputs, most_targets;
    const uint32_t sentinels = sy_tokenizer_sentinels(tokenizer);
    const struct sy_task *task = &sy_task_spans;
    task->lengths(sy_dataset_segment(data), &inputs, &targets);
    task->lengths(task->raw_length(src_len, INT32_MAX, sentinels), &most_inputs, &most_targets);
    if (most_inputs + most_inputs / 8 < src_len)
        sy_log(ctx, SY_LOG_WARN,
               "the vocabulary's %u sentinels mark at most %u source tokens: the rest of --src-len %u is padding",
               sentinels, most_inputs, src_len);
    if (inputs + inputs / 8 < most_inputs)
        sy_log(ctx, SY_LOG_WARN,
               "--tgt-len %u leaves room for %u of %u source tokens, the rest is padding; --tgt-len %u fills them",
               tgt_len, inputs, src_len, most_targets);
    if (targets + targets / 4 < tgt_len)
        sy_log(ctx, SY_LOG_WARN, "no target is longer than %u tokens here: --tgt-len %u computes the same in less time",
               targets, targets);
}

void report_text(struct sy_ctx *ctx, const struct sy_dataset *data, const struct sy_tokenizer *tokenizer,
                 uint32_t src_len, uint32_t tgt_len, uint32_t sequences)
{
    char text[160];
    const uint64_t examples = sy_dataset_count(data);
    texts_describe(data, text);
    printf("%s, a pass over them takes %llu steps\n", text,
           (unsigned long long)((examples + sequences - 1) / sequences));
    fflush(stdout);
    if (examples < sequences)
        sy_log(ctx, SY_LOG_WARN, "%llu examples are fewer than the %u sequences of a step: they repeat within it",
               (unsigned long long)examples, sequences);
    warn_lengths(ctx, data, tokenizer, src_len, tgt_len);
}

enum sy_status report_open(struct report *r, struct sy_ctx *ctx, const char *dir, const struct sy_session *s,
                           uint64_t step, uint64_t steps, uint64_t log_every)
{
    memset(r, 0, sizeof *r);
    char count[16], line[512];
    r->ctx = ctx;
    SY_TRY(open_metrics(r, dir, step));
    r->terminal = isatty(STDOUT_FILENO);
    r->first_step = step;
    r->steps = steps;
    r->log_every = log_every;
    r->started = r->timed_from = cli_seconds();
    if (step >= steps)
        return SY_OK;
    cli_human((double)sy_model_parameter_count(sy_session_graph(s)), count);
    const struct sy_caps *caps = sy_device_caps(sy_session_device(s));
    snprintf(line, sizeof line, "%s parameters on %s, %.0f MiB of device memory, steps %llu to %llu", count, caps->id,
             (double)sy_runtime_plan(sy_session_runtime(s))->total_bytes / 1048576.0, (unsigned long long)step + 1,
             (unsigned long long)steps);
    say(r, true, line);
    return SY_OK;
}

static void routing_summary(const struct sy_metrics *m, char *out, size_t room)
{
    double dropped = 0.0, load = 0.0;
    out[0] = '\0';
    for (uint32_t i = 0; i < m->layer_count; ++i) {
        dropped += m->layers[i].dropped / m->layer_count;
        load = m->layers[i].max_load > load ? m->layers[i].max_load : load;
    }
    if (m->layer_count != 0)
        snprintf(out, room, ", dropped %.1f %%, fullest expert %.1fx", 100.0 * dropped, load);
}

/// How fast and how long still: what a person looks for, so it comes before the details.
static void speed_and_end(const struct report *r, uint64_t step, double speed, double now, char *out, size_t room)
{
    char rate[16], eta[32];
    const double done = (double)(step - r->first_step), left = (double)(r->steps - step);
    if (done < 2.0) { // compiling and warming up are not speed
        snprintf(out, room, "first step %.2f s", now - r->started);
        return;
    }
    cli_human(speed, rate);
    cli_duration((now - r->timed_from) / (done - 1.0) * left, eta);
    snprintf(out, room, "%s tokens/s%s%s", rate, left > 0.0 ? ", left " : "", left > 0.0 ? eta : "");
}

enum sy_status report_step(struct report *r, uint64_t step, double lr, const struct sy_metrics *m)
{
    double now = cli_seconds();
    if (step == r->first_step + 1)
        r->timed_from = now;
    else
        r->timed_tokens += m->tokens;
    double speed = now > r->timed_from ? (double)r->timed_tokens / (now - r->timed_from) : 0.0;
    json_t *json = report_json("train", m);
    if (json != NULL) {
        json_object_set_new(json, "step", json_integer((json_int_t)step));
        json_object_set_new(json, "lr", json_real(lr));
        json_object_set_new(json, "grad_norm", json_real(m->grad_norm));
        json_object_set_new(json, "tokens_per_second", json_real(speed));
        json_object_set_new(json, "seconds", json_real(now - r->started));
    }
    SY_TRY(write_line(r, json));
    const bool last = step == r->steps, first = step == r->first_step + 1, due = step % r->log_every == 0;
    const double silence = now - r->last_print; // slow steps: a line a minute in a log too
    if (!last && !first && !(r->terminal ? silence > 0.25 : due || silence > 60.0))
        return SY_OK;
    r->last_print = now;
    char pace[80], routing[96], line[320];
    speed_and_end(r, step, speed, now, pace, sizeof pace);
    routing_summary(m, routing, sizeof routing);
    snprintf(line, sizeof line, "step %llu/%llu  loss %.4f  %s  (nlp %.4f, aux %.4f%s)", (unsigned long long)step,
             (unsigned long long)r->steps, m->total, pace, m->nlp, m->aux, routing);
    say(r, last, line);
    return SY_OK;
}

enum sy_status report_validation(struct report *r, uint64_t step, const struct sy_metrics *m)
{
    char line[256];
    json_t *json = report_json("valid", m);
    if (json != NULL)
        json_object_set_new(json, "step", json_integer((json_int_t)step));
    SY_TRY(write_line(r, json));
    snprintf(line, sizeof line, "step %llu  held-out nlp %.4f, perplexity %.2f, accuracy %.1f %% (%llu target tokens)",
             (unsigned long long)step, m->nlp, m->perplexity, 100.0 * m->accuracy, (unsigned long long)m->labels);
    say(r, true, line);
    return SY_OK;
}

enum sy_status report_line(struct report *r, void *json, const char *line)
{
    SY_TRY(write_line(r, json));
    say(r, true, line);
    return SY_OK;
}

void report_close(struct report *r)
{
    if (r->unfinished && !r->deaf)
        printf("\n");
    if (r->file >= 0)
        close(r->file);
    r->file = -1;
}

struct evaluation {
    struct sy_ctx *ctx;
    double started, said;
};

/// On standard error, for standard output may be JSON: often on a terminal, else once a minute.
static void evaluation_progress(void *user, uint64_t done, uint64_t batches)
{
    struct evaluation *e = user;
    const bool terminal = isatty(STDERR_FILENO);
    const double now = cli_seconds();
    char eta[32];
    if (now - e->said < (terminal ? 0.25 : 60.0))
        return;
    e->said = now;
    cli_duration((now - e->started) / (double)done * (double)(batches - done), eta);
    if (terminal)
        fprintf(stderr, "\r\033[Kbatch %llu of %llu, left %s", (unsigned long long)done, (unsigned long long)batches,
                eta);
    else
        sy_log(e->ctx, SY_LOG_INFO, "batch %llu of %llu, left %s", (unsigned long long)done,
               (unsigned long long)batches, eta);
}

enum sy_status report_evaluate(struct sy_session *s, const struct sy_dataset *data, uint32_t batch, uint64_t most,
                               struct sy_metrics *out)
{
    const double now = cli_seconds();
    struct evaluation e = {.ctx = sy_device_ctx(sy_session_device(s)), .started = now, .said = now};
    const struct sy_evaluate_params p = {
        .data = data, .batch = batch, .most = most, .progress = evaluation_progress, .user = &e};
    const enum sy_status status = sy_evaluate(s, &p, out);
    if (e.said != e.started && isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
    return status;
}
