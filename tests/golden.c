// SPDX-License-Identifier: Apache-2.0
// golden.c: whole models against vectors from an independent float64 implementation of docs/spec.md.
//
// usage: test_golden GOLDEN_DIR [--device ID] [--case NAME]
// For each case and device: losses, logits, routing (exact), every gradient; where the case has them, ten Adafactor
// steps and the weights after them. Tolerances: GOLDEN_DIR's README, for a float32 engine.
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/dump.h"
#include "engine/file.h"
#include "engine/json.h"
#include "tests/tap.h"

#define PATH 1024

struct suite {
    struct tap tap;
    struct sy_ctx *ctx;
    const char *root, *only_case, *only_device;
    char dump[64];
};

struct golden {
    char dir[PATH], name[64];
    struct sy_config config;
    struct sy_tensors *weights, *expected, *final;
    struct sy_batch batch;
    json_t *info, *trace;
};

static const struct {
    const char *prefix;
    double tolerance;
} tolerances[] = {{"logits", 1e-5}, {"encoder_output", 1e-5}, {"loss_ce", 2e-6},
                  {"total", 2e-6},  {"accuracy", 1e-6},       {"aux", 5e-6},
                  {"z", 5e-6},      {"router", 1e-5},         {"grad", 5e-5}};

static double tolerance_of(const char *name)
{
    for (size_t i = 0; i < SY_COUNT(tolerances); ++i) {
        size_t n = strlen(tolerances[i].prefix);
        if (strncmp(name, tolerances[i].prefix, n) == 0 && (name[n] == '\0' || name[n] == '.'))
            return tolerances[i].tolerance;
    }
    return 0.0;
}

static double value(const struct sy_tensor_view *t, uint64_t i)
{
    const char *p = t->data;
    float f;
    double d;
    int32_t n;
    switch (t->dtype) {
    case SY_ST_F32: memcpy(&f, p + 4 * i, 4); return f;
    case SY_ST_F64: memcpy(&d, p + 8 * i, 8); return d;
    default: memcpy(&n, p + 4 * i, 4); return n;
    }
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/// Whether element i of a tensor says anything: not at padding, positions only where the token was kept.
static bool meaningful(const struct golden *g, const struct sy_tensor_view *t, uint64_t i)
{
    uint64_t per_token = t->elements / (t->shape[0] * (t->ndim > 1 ? t->shape[1] : 1)), row = i / per_token;
    if (strcmp(t->name, "encoder_output") == 0)
        return sy_batch_is_token(&g->batch, false, row);
    if (strcmp(t->name, "logits") == 0)
        return sy_batch_is_token(&g->batch, true, row);
    if (strncmp(t->name, "router.", 7) != 0)
        return true;
    if (ends_with(t->name, ".position")) {
        char kept[256];
        snprintf(kept, sizeof kept, "%.*skept", (int)(strlen(t->name) - strlen("position")), t->name);
        return value(sy_tensors_find(g->expected, kept), i) != 0.0;
    }
    if (ends_with(t->name, ".z") || ends_with(t->name, ".p") || ends_with(t->name, ".gate"))
        return sy_batch_is_token(&g->batch, strstr(t->name, "encoder") == NULL, row);
    return true;
}

struct difference {
    double error, scale, squares;
    uint64_t at, count;
    double got, want;
};

static struct difference compare(const struct golden *g, const struct sy_tensor_view *want,
                                 const struct sy_tensor_view *got, bool mask)
{
    struct difference d = {.error = 0.0};
    for (uint64_t i = 0; i < want->elements; ++i) {
        if (mask && !meaningful(g, want, i))
            continue;
        double w = value(want, i), x = value(got, i), e = isnan(x) ? INFINITY : fabs(x - w);
        d.scale = fabs(w) > d.scale ? fabs(w) : d.scale;
        d.squares += w * w;
        ++d.count;
        if (e > d.error) {
            d.error = e;
            d.at = i;
            d.got = x;
            d.want = w;
        }
    }
    return d;
}

static double largest_gradient(const struct sy_tensors *t)
{
    double most = 0.0;
    for (size_t k = 0; k < sy_tensors_count(t); ++k) {
        const struct sy_tensor_view *v = sy_tensors_at(t, k);
        for (uint64_t i = 0; strncmp(v->name, "grad.", 5) == 0 && i < v->elements; ++i)
            most = fmax(most, fabs(value(v, i)));
    }
    return most;
}

static void check_dump(struct suite *s, const struct golden *g, const char *device, const struct sy_tensors *got)
{
    double biggest = largest_gradient(g->expected);
    unsigned bad = 0, seen = 0;
    for (size_t k = 0; k < sy_tensors_count(g->expected); ++k) {
        const struct sy_tensor_view *want = sy_tensors_at(g->expected, k), *have = sy_tensors_find(got, want->name);
        ++seen;
        if (have == NULL || have->elements != want->elements) {
            printf("# %s %s: %s is %s\n", g->name, device, want->name, have == NULL ? "missing" : "of another size");
            ++bad;
            continue;
        }
        struct difference d = compare(g, want, have, true);
        bool whole = want->dtype == SY_ST_I32, gradient = strncmp(want->name, "grad.", 5) == 0;
        double scale = gradient && d.scale > 0.0 ? fmax(d.scale, 0.01 * biggest) : d.scale; // exact zeros stay exact
        double limit = whole ? 0.0 : tolerance_of(want->name) * scale;
        if (d.error > limit) {
            printf("# %s %s: %s[%llu] is %.9g, expected %.9g (error %.2e, limit %.2e)\n", g->name, device, want->name,
                   (unsigned long long)d.at, d.got, d.want, d.error, limit);
            ++bad;
        }
    }
    tap_ok(&s->tap, bad == 0 && seen != 0, "%s on %s: %u tensors, %u wrong", g->name, device, seen, bad);
}

static bool mode_train(const struct golden *g)
{
    const char *mode = json_string_value(json_object_get(g->info, "mode"));
    return mode != NULL && strcmp(mode, "train") == 0;
}

static struct sy_session_params params_of(const struct golden *g, enum sy_session_kind kind)
{
    return (struct sy_session_params){.kind = kind,
                                      .config = &g->config,
                                      .precision = SY_PRECISION_F32,
                                      .batch = g->batch.batch,
                                      .src_len = g->batch.src_len,
                                      .tgt_len = g->batch.tgt_len,
                                      .capacity_train = mode_train(g)};
}

static enum sy_status run_dump(struct suite *s, struct golden *g, struct sy_device *device, bool recompute)
{
    struct sy_session *session = NULL;
    struct sy_session_params p = params_of(g, SY_SESSION_GRADIENTS);
    struct sy_metrics m;
    struct sy_tensors *got = NULL;
    char batch[PATH + 32];
    snprintf(batch, sizeof batch, "%s/batch.safetensors", g->dir);
    p.keep_internals = true;
    p.recompute = recompute;
    SY_TRY(sy_dump_has_jitter(s->ctx, batch, &p.jitter_input));
    SY_TRY(sy_session_create(s->ctx, device, &p, &session));
    enum sy_status status = sy_weights_load(sy_session_runtime(session), g->weights);
    if (status == SY_OK && p.jitter_input)
        status = sy_dump_load_jitter(session, batch);
    if (status == SY_OK)
        status = sy_session_evaluate(session, &g->batch, 1, &m);
    if (status == SY_OK)
        status = sy_dump_save(session, &g->batch, &m, true, s->dump);
    if (status == SY_OK)
        status = sy_tensors_open(s->ctx, s->dump, &got);
    char label[64];
    snprintf(label, sizeof label, "%s%s", sy_device_caps(device)->id, recompute ? " (recompute)" : "");
    if (status == SY_OK)
        check_dump(s, g, label, got);
    sy_tensors_close(&got);
    sy_session_destroy(&session);
    return status;
}

static bool close_to(const json_t *step, const char *key, double got, double tolerance)
{
    double want = json_number_value(json_object_get(step, key));
    return fabs(got - want) <= tolerance * fabs(want);
}

static enum sy_status check_final(struct suite *s, const struct golden *g, struct sy_session *session)
{
    struct sy_spec_list list = {0};
    struct sy_tensors *got = NULL;
    enum sy_status status = sy_weights_list(sy_session_runtime(session), false, &list);
    sy_spec_list_seal(&list);
    if (status == SY_OK)
        status = sy_tensors_save(s->ctx, s->dump, list.specs, list.count, NULL);
    sy_spec_list_finish(&list);
    if (status == SY_OK)
        status = sy_tensors_open(s->ctx, s->dump, &got);
    unsigned bad = 0, seen = 0;
    for (size_t k = 0; status == SY_OK && k < sy_tensors_count(g->final); ++k) {
        const struct sy_tensor_view *want = sy_tensors_at(g->final, k), *have = sy_tensors_find(got, want->name);
        struct difference d = {.error = INFINITY};
        if (have != NULL && have->elements == want->elements)
            d = compare(g, want, have, false);
        double rms = d.count != 0 ? sqrt(d.squares / (double)d.count) : 0.0;
        uint64_t off = 0;
        for (uint64_t i = 0; have != NULL && i < want->elements; ++i)
            off += fabs(value(have, i) - value(want, i)) > 1e-4 * rms;
        ++seen;
        if (d.error > 1e-3 * rms || (double)off > 0.001 * (double)want->elements + 0.5) {
            printf("# %s: %s: error %.2e of rms %.2e; %llu of %llu elements off by more than 1e-4\n", g->name,
                   want->name, d.error, rms, (unsigned long long)off, (unsigned long long)want->elements);
            ++bad;
        }
    }
    sy_tensors_close(&got);
    if (status == SY_OK)
        tap_ok(&s->tap, bad == 0 && seen != 0, "%s on %s: weights after the steps", g->name,
               sy_device_caps(sy_session_device(session))->id);
    return status;
}

static enum sy_status run_trace(struct suite *s, struct golden *g, struct sy_device *device)
{
    const json_t *steps = json_object_get(g->trace, "trace");
    struct sy_session *session = NULL;
    struct sy_session_params p = params_of(g, SY_SESSION_TRAIN);
    SY_TRY(sy_session_create(s->ctx, device, &p, &session));
    enum sy_status status = sy_weights_load(sy_session_runtime(session), g->weights);
    unsigned bad = 0;
    size_t count = json_array_size(steps);
    for (size_t t = 0; t < count && status == SY_OK; ++t) {
        const json_t *step = json_array_get(steps, t);
        struct sy_metrics m;
        status = sy_session_step(session, &g->batch, 1, t + 1, json_number_value(json_object_get(step, "lr")), 0, &m);
        if (status == SY_OK && (!close_to(step, "loss_ce", m.loss_ce, 5e-5) || !close_to(step, "aux", m.aux, 5e-5) ||
                                !close_to(step, "z", m.z, 5e-5) || !close_to(step, "total", m.total, 5e-5))) {
            printf("# %s: step %zu: total %.9g, expected %.9g\n", g->name, t + 1, m.total,
                   json_number_value(json_object_get(step, "total")));
            ++bad;
        }
    }
    if (status == SY_OK)
        tap_ok(&s->tap, bad == 0 && count != 0, "%s on %s: %zu Adafactor steps", g->name, sy_device_caps(device)->id,
               count);
    if (status == SY_OK && g->final != NULL)
        status = check_final(s, g, session);
    sy_session_destroy(&session);
    return status;
}

static void golden_close(struct golden *g)
{
    sy_config_finish(&g->config);
    sy_tensors_close(&g->weights);
    sy_tensors_close(&g->expected);
    sy_tensors_close(&g->final);
    sy_batch_finish(&g->batch);
    json_decref(g->info);
    json_decref(g->trace);
}

static enum sy_status open_optional(struct sy_ctx *ctx, const char *dir, const char *name, struct sy_tensors **out)
{
    char path[PATH + 64];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return sy_file_exists(path) ? sy_tensors_open(ctx, path, out) : SY_OK;
}

static enum sy_status golden_open(struct suite *s, const char *name, struct golden *g)
{
    char path[PATH + 64];
    memset(g, 0, sizeof *g);
    snprintf(g->dir, sizeof g->dir, "%s/%s", s->root, name);
    snprintf(g->name, sizeof g->name, "%s", name);
    SY_TRY(sy_config_load(s->ctx, g->dir, &g->config));
    SY_TRY(sy_tensors_open(s->ctx, g->dir, &g->weights));
    SY_TRY(open_optional(s->ctx, g->dir, "expected.safetensors", &g->expected));
    SY_TRY(open_optional(s->ctx, g->dir, "final.safetensors", &g->final));
    snprintf(path, sizeof path, "%s/batch.safetensors", g->dir);
    SY_TRY(sy_batch_load(s->ctx, path, g->config.vocab_size, &g->batch));
    snprintf(path, sizeof path, "%s/case.json", g->dir);
    SY_TRY(sy_json_load(s->ctx, path, &g->info));
    snprintf(path, sizeof path, "%s/trace.json", g->dir);
    return sy_file_exists(path) ? sy_json_load(s->ctx, path, &g->trace) : SY_OK;
}

static void run_case(struct suite *s, const char *name, struct sy_device **devices, size_t count)
{
    struct golden g;
    enum sy_status status = golden_open(s, name, &g);
    if (status != SY_OK)
        tap_ok(&s->tap, 0, "%s: %s", name, sy_error(s->ctx));
    for (size_t d = 0; status == SY_OK && d < count; ++d) {
        enum sy_status run = g.expected != NULL ? run_dump(s, &g, devices[d], false) : SY_OK;
        if (run == SY_OK && g.expected != NULL && d == 0)
            run = run_dump(s, &g, devices[d], true);
        if (run == SY_OK && g.trace != NULL)
            run = run_trace(s, &g, devices[d]);
        if (run != SY_OK)
            tap_ok(&s->tap, 0, "%s on %s: %s", name, sy_device_caps(devices[d])->id, sy_error(s->ctx));
    }
    golden_close(&g);
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static size_t list_cases(const char *root, char **names, size_t room)
{
    size_t count = 0;
    DIR *d = opendir(root);
    for (struct dirent *e; d != NULL && count < room && (e = readdir(d)) != NULL;) {
        char config[PATH + 300];
        snprintf(config, sizeof config, "%s/%s/config.json", root, e->d_name);
        if (e->d_name[0] != '.' && sy_file_exists(config))
            names[count++] = strdup(e->d_name);
    }
    if (d != NULL)
        closedir(d);
    qsort(names, count, sizeof *names, by_name);
    return count;
}

static size_t open_devices(struct suite *s, struct sy_device **devices, size_t room)
{
    struct sy_caps *list = NULL;
    size_t count = 0, opened = 0;
    if (sy_device_list(s->ctx, &list, &count) != SY_OK)
        tap_ok(&s->tap, 0, "listing devices: %s", sy_error(s->ctx));
    for (size_t i = 0; i < count && opened < room; ++i) {
        if (s->only_device != NULL && strcmp(list[i].id, s->only_device) != 0)
            continue;
        if (sy_device_open(s->ctx, list[i].id, &devices[opened]) == SY_OK)
            ++opened;
        else
            tap_ok(&s->tap, 0, "opening %s: %s", list[i].id, sy_error(s->ctx));
    }
    free(list);
    return opened;
}

int main(int argc, char **argv)
{
    struct suite s = {.root = argc > 1 ? argv[1] : "tests/golden"};
    for (int i = 2; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--device") == 0)
            s.only_device = argv[i + 1];
        else if (strcmp(argv[i], "--case") == 0)
            s.only_case = argv[i + 1];
    }
    snprintf(s.dump, sizeof s.dump, "golden-dump-%ld.safetensors", (long)getpid());
    s.ctx = sy_ctx_create(sy_log_stderr, (void *)"test_golden", SY_LOG_WARN);
    struct sy_device *devices[16];
    char *names[256];
    size_t device_count = open_devices(&s, devices, SY_COUNT(devices)),
           count = list_cases(s.root, names, SY_COUNT(names));
    for (size_t i = 0; i < count; ++i) {
        if (s.only_case == NULL || strcmp(names[i], s.only_case) == 0)
            run_case(&s, names[i], devices, device_count);
        free(names[i]);
    }
    for (size_t d = 0; d < device_count; ++d)
        sy_device_close(&devices[d]);
    unlink(s.dump);
    sy_ctx_destroy(&s.ctx);
    return tap_done(&s.tap);
}
