// SPDX-License-Identifier: Apache-2.0
// engine.c: a model as one thing (engine/engine.h): opened, asked, trained on rows, scored, kept and opened again, with
// the weights that each of these must see. What fails says so and leaves nothing.
#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

#include "engine/file.h"
#include "tests/tiny.h"

#define STEPS 12

static const char rows[] = "question\tanswer\nwhich\tthis\nwhat\tthat\nwhere\there\nwhen\tnow\n";
static const char task[] = "{\"template\": \"q: {question}\", \"target\": \"{answer}\"}";

struct losses {
    double first, last;
    uint64_t steps;
};

static void hear(void *user, uint64_t step, const struct sy_metrics *m)
{
    struct losses *l = user;
    l->first = step == 1 ? m->total : l->first;
    l->last = m->total;
    l->steps = step;
}

struct files {
    char folder[64], config[80], rows[80], task[80], out[80], latest[96];
};

static bool put(const char *path, const char *text, size_t bytes)
{
    FILE *file = fopen(path, "wb");
    return file != NULL && fwrite(text, 1, bytes, file) == bytes && fclose(file) == 0;
}

static bool make_files(struct tiny *t, struct files *f)
{
    strcpy(f->folder, P_tmpdir "/test_engine.XXXXXX");
    if (mkdtemp(f->folder) == NULL)
        return false;
    snprintf(f->config, sizeof f->config, "%s/config.json", f->folder);
    snprintf(f->rows, sizeof f->rows, "%s/rows.tsv", f->folder);
    snprintf(f->task, sizeof f->task, "%s/task.json", f->folder);
    snprintf(f->out, sizeof f->out, "%s/out", f->folder);
    snprintf(f->latest, sizeof f->latest, "%s/latest", f->out);
    struct sy_config c = tiny_config(true);
    c.vocab_size = 384;
    return tiny_try(t, sy_config_save(t->ctx, &c, f->config), "a config", NULL) &&
           put(f->rows, rows, sizeof rows - 1) && put(f->task, task, sizeof task - 1);
}

static struct sy_engine_params params_of(const struct sy_device *device)
{
    struct sy_engine_params p = sy_engine_defaults();
    p.device = sy_device_caps(device)->id;
    p.precision = SY_PRECISION_F32;
    p.batch = 4;
    p.src_len = 16;
    p.tgt_len = 8;
    p.rate.peak = 0.02;
    return p;
}

static void refusals(struct tiny *t, struct sy_engine *e, const struct files *f)
{
    struct sy_engine *none = NULL;
    struct sy_dataset *data = NULL;
    char *text = NULL;
    const struct sy_engine_params p = {.device = "ref:0"};
    tap_ok(&t->tap, sy_engine_open(t->ctx, f->out, &p, &none) != SY_OK && none == NULL, "no model: %s",
           sy_error(t->ctx));
    tap_ok(&t->tap,
           sy_engine_generate(e, "far more than sixteen bytes", &text) == SY_INVALID && text == NULL &&
               strstr(sy_error(t->ctx), "16") != NULL,
           "too long a prompt: %s", sy_error(t->ctx));
    tap_ok(&t->tap, sy_engine_rows(e, f->rows, f->rows, false, &data) == SY_FORMAT && data == NULL, "no task file: %s",
           sy_error(t->ctx));
    tap_ok(&t->tap, sy_engine_rows(e, f->task, f->task, false, &data) != SY_OK && data == NULL, "no such column: %s",
           sy_error(t->ctx));
}

static void life(struct tiny *t, struct sy_device *device, const struct files *f)
{
    const char *id = sy_device_caps(device)->id;
    const struct sy_engine_params p = params_of(device);
    struct sy_engine *e = NULL, *again = NULL;
    struct sy_dataset *shuffled = NULL, *held_out = NULL, *theirs = NULL;
    struct sy_metrics before, after, kept;
    struct losses losses = {0};
    char *first = NULL, *said = NULL, *same = NULL;
    bool good = tiny_try(t, sy_engine_open(t->ctx, f->config, &p, &e), "a config's model", device) &&
                tiny_try(t, sy_engine_rows(e, f->task, f->rows, false, &shuffled), "rows", device) &&
                tiny_try(t, sy_engine_rows(e, f->task, f->rows, true, &held_out), "rows in order", device) &&
                tiny_try(t, sy_engine_evaluate(e, held_out, &before), "a score", device) &&
                tiny_try(t, sy_engine_generate(e, "q: what", &first), "an answer", device);
    if (good)
        refusals(t, e, f);
    good = good && tiny_try(t, sy_engine_train(e, shuffled, STEPS - 2, hear, &losses), "training", device) &&
           tiny_try(t, sy_engine_train(e, shuffled, 2, hear, &losses), "more training", device) &&
           tiny_try(t, sy_engine_evaluate(e, held_out, &after), "the trained score", device) &&
           tiny_try(t, sy_engine_generate(e, "q: what", &said), "the trained answer", device) &&
           tiny_try(t, sy_engine_save(e, f->out), "a checkpoint", device) &&
           tiny_try(t, sy_engine_open(t->ctx, f->latest, &p, &again), "its model", device) &&
           tiny_try(t, sy_engine_rows(again, f->task, f->rows, true, &theirs), "rows again", device) &&
           tiny_try(t, sy_engine_generate(again, "q: what", &same), "the kept answer", device) &&
           tiny_try(t, sy_engine_evaluate(again, theirs, &kept), "the kept score", device);
    if (good) {
        tap_ok(&t->tap, losses.steps == STEPS && losses.last < 0.9 * losses.first && after.total < before.total,
               "%s: %d steps on rows: loss %.3f to %.3f, of all rows %.3f to %.3f", id, STEPS, losses.first,
               losses.last, before.total, after.total);
        tap_ok(&t->tap, after.labels == 4 + 4 + 4 + 3 + 4 && kept.total == after.total && strcmp(said, same) == 0,
               "%s: what was kept scores and says the same: %.6f, '%s'; before, '%s'", id, kept.total, same, first);
    }
    free(first);
    free(said);
    free(same);
    sy_dataset_close(&shuffled);
    sy_dataset_close(&held_out);
    sy_dataset_close(&theirs);
    sy_engine_close(&again);
    sy_engine_close(&e);
}

int main(int argc, char **argv)
{
    struct tiny t;
    tiny_open(&t, "test_engine", argc, argv);
    for (size_t i = 0; i < t.device_count; ++i) {
        struct files f;
        if (tap_ok(&t.tap, make_files(&t, &f), "files"))
            life(&t, t.devices[i], &f);
        tiny_try(&t, sy_dir_remove(t.ctx, f.folder), "files are gone", NULL);
    }
    return tiny_close(&t);
}
