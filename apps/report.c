// SPDX-License-Identifier: Apache-2.0
#include "apps/report.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/cli.h"

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

/// A run that goes on from a checkpoint repeats the steps behind it: their lines of the run that was lost go.
static enum sy_status forget_after(struct sy_ctx *ctx, const char *path, uint64_t step)
{
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return SY_OK; // a new run
    const long long kept = kept_bytes(file, step);
    const bool more = fseeko(file, 0, SEEK_END) == 0 && ftello(file) > kept;
    fclose(file);
    if (!more)
        return SY_OK;
    if (truncate(path, kept) != 0)
        return sy_fail(ctx, SY_IO, "%s: %s", path, strerror(errno));
    sy_log(ctx, SY_LOG_INFO, "%s: lines after step %llu are dropped; those steps are trained again", path,
           (unsigned long long)step);
    return SY_OK;
}

enum sy_status report_open(struct report *r, struct sy_ctx *ctx, const char *dir, const struct sy_session *s,
                           uint64_t step, uint64_t steps, uint64_t log_every)
{
    memset(r, 0, sizeof *r);
    char path[4096], count[16];
    snprintf(path, sizeof path, "%s/metrics.jsonl", dir);
    r->ctx = ctx;
    SY_TRY(forget_after(ctx, path, step));
    r->file = fopen(path, "a");
    if (r->file == NULL)
        return sy_fail(ctx, SY_IO, "%s: %s", path, strerror(errno));
    r->terminal = isatty(STDOUT_FILENO);
    r->first_step = step;
    r->steps = steps;
    r->log_every = log_every;
    r->started = r->timed_from = cli_seconds();
    cli_human((double)sy_model_parameter_count(&s->graph), count);
    const struct sy_caps *caps = sy_device_caps(s->device);
    printf("%s parameters on %s (%s), %.0f MiB of device memory, steps %llu to %llu\n", count, caps->id, caps->name,
           (double)s->runtime.plan.total_bytes / 1048576.0, (unsigned long long)step + 1, (unsigned long long)steps);
    fflush(stdout);
    return SY_OK;
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

static enum sy_status write_line(struct report *r, json_t *line)
{
    if (line == NULL)
        return sy_fail(r->ctx, SY_NOMEM, "out of host memory: metrics");
    bool bad = json_dumpf(line, r->file, JSON_COMPACT | JSON_REAL_PRECISION(9)) != 0 || fputc('\n', r->file) == EOF ||
               fflush(r->file) != 0;
    json_decref(line);
    return bad ? sy_fail(r->ctx, SY_IO, "metrics.jsonl: %s", strerror(errno)) : SY_OK;
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

enum sy_status report_step(struct report *r, uint64_t step, double lr, const struct sy_metrics *m)
{
    double now = cli_seconds();
    if (step == r->first_step + 1) { // compiling and warming up are not speed
        r->timed_from = now;
    } else {
        r->timed_tokens += m->tokens;
    }
    double speed = now > r->timed_from ? (double)r->timed_tokens / (now - r->timed_from) : 0.0;
    json_t *line = report_json("train", m);
    if (line != NULL) {
        json_object_set_new(line, "step", json_integer((json_int_t)step));
        json_object_set_new(line, "lr", json_real(lr));
        json_object_set_new(line, "grad_norm", json_real(m->grad_norm));
        json_object_set_new(line, "tokens_per_second", json_real(speed));
        json_object_set_new(line, "seconds", json_real(now - r->started));
    }
    SY_TRY(write_line(r, line));
    bool last = step == r->steps, print = last || (r->terminal ? now - r->last_print > 0.25 : step % r->log_every == 0);
    if (!print && step != r->first_step + 1)
        return SY_OK;
    r->last_print = now;
    char rate[16], eta[32], routing[96];
    double done = (double)(step - r->first_step), left = (double)(r->steps - step);
    cli_human(speed, rate);
    cli_duration(done > 1.0 ? (now - r->timed_from) / (done - 1.0) * left : 0.0, eta);
    routing_summary(m, routing, sizeof routing);
    printf("%sstep %llu/%llu  loss %.4f (nlp %.4f, aux %.4f)  %s tokens/s%s%s%s%s", r->terminal ? "\r\033[K" : "",
           (unsigned long long)step, (unsigned long long)r->steps, m->total, m->nlp, m->aux, rate, routing,
           done > 1.0 && !last ? ", left " : "", done > 1.0 && !last ? eta : "", r->terminal && !last ? "" : "\n");
    fflush(stdout);
    return SY_OK;
}

enum sy_status report_validation(struct report *r, uint64_t step, const struct sy_metrics *m)
{
    json_t *line = report_json("valid", m);
    if (line != NULL)
        json_object_set_new(line, "step", json_integer((json_int_t)step));
    SY_TRY(write_line(r, line));
    printf("%sstep %llu  held-out nlp %.4f, perplexity %.2f, accuracy %.1f %% (%llu target tokens)\n",
           r->terminal ? "\r\033[K" : "", (unsigned long long)step, m->nlp, m->perplexity, 100.0 * m->accuracy,
           (unsigned long long)m->labels);
    fflush(stdout);
    return SY_OK;
}

void report_close(struct report *r)
{
    if (r->file != NULL)
        fclose(r->file);
    r->file = NULL;
}

/// Rows of the last batch that the dataset wrapped around to are blanked.
static void blank_from(struct sy_batch *b, uint32_t row, int32_t pad)
{
    for (size_t i = (size_t)row * b->src_len; i < (size_t)b->batch * b->src_len; ++i) {
        b->attention_mask[i] = 0;
        b->input_ids[i] = pad;
    }
    for (size_t i = (size_t)row * b->tgt_len; i < (size_t)b->batch * b->tgt_len; ++i)
        b->labels[i] = SY_IGNORE;
}

static void add_weighted(struct sy_metrics *sum, const struct sy_metrics *m)
{
    double w = (double)m->labels;
    sum->loss_ce += w * m->loss_ce;
    sum->aux += w * m->aux;
    sum->z += w * m->z;
    sum->accuracy += w * m->accuracy;
    sum->labels += m->labels;
    sum->tokens += m->tokens;
    sum->layer_count = m->layer_count;
    for (uint32_t i = 0; i < m->layer_count; ++i) {
        struct sy_layer_metrics *to = &sum->layers[i];
        const struct sy_layer_metrics *from = &m->layers[i];
        to->name = from->name;
        to->aux += w * from->aux;
        to->z += w * from->z;
        const double n = (double)from->tokens;
        to->tokens += from->tokens;
        to->dropped += n * from->dropped;
        to->entropy += n * from->entropy;
        to->max_load += n * from->max_load;
        to->mean_gate += n * from->mean_gate;
    }
}

static void divide(struct sy_metrics *s)
{
    double n = s->labels != 0 ? (double)s->labels : 1.0;
    s->loss_ce /= n;
    s->aux /= n;
    s->z /= n;
    s->accuracy /= n;
    for (uint32_t i = 0; i < s->layer_count; ++i) {
        struct sy_layer_metrics *l = &s->layers[i];
        double *fields[] = {&l->dropped, &l->entropy, &l->max_load, &l->mean_gate};
        for (size_t k = 0; k < SY_COUNT(fields); ++k)
            *fields[k] /= l->tokens != 0 ? (double)l->tokens : 1.0;
        l->aux /= n;
        l->z /= n;
    }
    s->total = s->loss_ce + s->aux + s->z;
    s->nlp = -s->loss_ce;
    s->perplexity = exp(s->loss_ce);
}

enum sy_status report_evaluate(struct sy_ctx *ctx, struct sy_session *s, const struct sy_dataset *data, uint32_t batch,
                               uint64_t most, struct sy_metrics *out)
{
    memset(out, 0, sizeof *out);
    struct sy_batch b = {0};
    uint64_t examples = sy_dataset_count(data);
    enum sy_status status = SY_OK;
    for (uint64_t first = 0, done = 0; first < examples && (most == 0 || done < most) && status == SY_OK;
         first += batch, ++done) {
        struct sy_metrics m;
        status = sy_dataset_batch(ctx, data, first, batch, &b);
        if (status == SY_OK && examples - first < batch)
            blank_from(&b, (uint32_t)(examples - first), (int32_t)s->config.pad_id);
        if (status == SY_OK)
            status = sy_session_evaluate(s, &b, 1, &m);
        if (status == SY_OK)
            add_weighted(out, &m);
    }
    sy_batch_finish(&b);
    divide(out);
    return status;
}
