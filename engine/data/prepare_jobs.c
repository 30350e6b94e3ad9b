// SPDX-License-Identifier: Apache-2.0
// prepare_jobs.c: a ring of jobs. One thread fills and empties it, in order; the workers take what is in between.
#include "engine/data/prepare_jobs.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/data/words.h"

#define STACK ((size_t)2 << 20) // of a worker: the usual 8 MiB count against a limit of address space

struct sy_jobs {
    const struct sy_tokenizer *tokenizer;
    struct sy_pieces *pieces; ///< NULL: words are not remembered.
    struct sy_reading how;
    struct sy_job *ring;
    uint64_t size, given, begun, taken; ///< Numbers of jobs, ever rising; job n is ring[n % size].
    bool *done;
    bool holding; ///< The job before `taken` was handed out and may be looked at.
    bool quit;
    pthread_mutex_t lock;
    pthread_cond_t work, ready;
    pthread_t *threads;
    unsigned thread_count;
};

// ---- a block --------------------------------------------------------------------------------------------------------

static enum sy_status add_start(struct sy_job *j)
{
    if (j->start_count == j->start_room) {
        const uint64_t room = 2 * j->start_room + 64;
        uint64_t *bigger = realloc(j->starts, room * sizeof *bigger);
        if (bigger == NULL)
            return sy_fail(j->ctx, SY_NOMEM, "out of memory for %llu documents of a block", (unsigned long long)room);
        j->starts = bigger;
        j->start_room = room;
    }
    j->starts[j->start_count++] = j->ids.count;
    return SY_OK;
}

struct worker {
    const struct sy_tokenizer *tokenizer;
    struct sy_words *words; ///< NULL: none.
    struct sy_job *job;
};

/// A document begins where its first token is; one without a token is none.
static enum sy_status take_text(void *user, const char *text, size_t bytes, bool begins)
{
    const struct worker *w = user;
    struct sy_job *j = w->job;
    const uint64_t before = j->ids.count;
    j->pending = j->pending || begins;
    if (j->pending)
        SY_TRY(add_start(j));
    SY_TRY(sy_ids_add_text(j->ctx, &j->ids, w->tokenizer, w->words, text, bytes, j->rows.path));
    const bool nothing = j->ids.count == before;
    j->start_count -= j->pending && nothing;
    j->pending = j->pending && nothing;
    return SY_OK;
}

static void work_on(const struct sy_jobs *jobs, struct sy_words *words, struct sy_job *j)
{
    struct worker w = {jobs->tokenizer, words, j};
    j->reading =
        (struct sy_reading){.format = jobs->how.format, .text_key = jobs->how.text_key, .strict = jobs->how.strict};
    j->rows.ctx = j->ctx;
    j->rows.reading = &j->reading;
    j->rows.text = take_text;
    j->rows.user = &w;
    j->rows.patient = true;
    j->ids.count = j->start_count = 0;
    j->pending = false;
    j->warning[0] = '\0';
    j->status = sy_text_file_block(&j->rows, j->text, j->bytes, j->offset);
}

/// Whether a warning is the first is only known in the file's order, so it waits with its block.
static void keep_warning(void *user, enum sy_log_level level, const char *text)
{
    struct sy_job *j = user;
    if (level == SY_LOG_WARN && j->warning[0] == '\0')
        snprintf(j->warning, sizeof j->warning, "%s", text);
}

// ---- threads --------------------------------------------------------------------------------------------------------

static void *run(void *user)
{
    struct sy_jobs *jobs = user;
    struct sy_words *words = sy_words_create(jobs->pieces);
    pthread_mutex_lock(&jobs->lock);
    for (;;) {
        while (!jobs->quit && jobs->begun == jobs->given)
            pthread_cond_wait(&jobs->work, &jobs->lock);
        if (jobs->quit)
            break;
        const uint64_t i = jobs->begun++ % jobs->size;
        pthread_mutex_unlock(&jobs->lock);
        work_on(jobs, words, &jobs->ring[i]);
        pthread_mutex_lock(&jobs->lock);
        jobs->done[i] = true;
        pthread_cond_signal(&jobs->ready);
    }
    pthread_mutex_unlock(&jobs->lock);
    sy_words_destroy(&words);
    return NULL;
}

static void start_threads(struct sy_jobs *jobs, unsigned threads)
{
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0)
        return;
    (void)!pthread_attr_setstacksize(&attributes, STACK);
    while (jobs->thread_count < threads &&
           pthread_create(&jobs->threads[jobs->thread_count], &attributes, run, jobs) == 0)
        ++jobs->thread_count;
    pthread_attr_destroy(&attributes);
}

static bool make_ring(struct sy_jobs *jobs, unsigned threads)
{
    jobs->size = 2 * (uint64_t)threads + 2;
    jobs->ring = calloc(jobs->size, sizeof *jobs->ring);
    jobs->done = calloc(jobs->size, sizeof *jobs->done);
    jobs->threads = calloc(threads, sizeof *jobs->threads);
    bool good = jobs->ring != NULL && jobs->done != NULL && jobs->threads != NULL;
    for (uint64_t i = 0; i < jobs->size && good; ++i) {
        jobs->ring[i].ctx = sy_ctx_create(keep_warning, &jobs->ring[i], SY_LOG_WARN);
        good = jobs->ring[i].ctx != NULL;
    }
    return good;
}

enum sy_status sy_jobs_create(struct sy_ctx *ctx, const struct sy_tokenizer *tokenizer,
                              const struct sy_reading *reading, unsigned threads, struct sy_jobs **out_jobs)
{
    struct sy_jobs *jobs = calloc(1, sizeof *jobs);
    if (jobs == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of memory for %u threads", threads);
    jobs->tokenizer = tokenizer;
    jobs->how = *reading;
    jobs->pieces = sy_pieces_create(tokenizer);
    pthread_mutex_init(&jobs->lock, NULL);
    pthread_cond_init(&jobs->work, NULL);
    pthread_cond_init(&jobs->ready, NULL);
    if (make_ring(jobs, threads))
        start_threads(jobs, threads);
    if (jobs->thread_count == 0) {
        sy_jobs_destroy(&jobs);
        return sy_fail(ctx, SY_NOMEM, "no thread could be started; give fewer with --threads");
    }
    *out_jobs = jobs;
    return SY_OK;
}

struct sy_job *sy_jobs_free(struct sy_jobs *jobs)
{
    return jobs->given - jobs->taken + jobs->holding < jobs->size ? &jobs->ring[jobs->given % jobs->size] : NULL;
}

void sy_jobs_give(struct sy_jobs *jobs)
{
    pthread_mutex_lock(&jobs->lock);
    jobs->done[jobs->given++ % jobs->size] = false;
    pthread_cond_signal(&jobs->work);
    pthread_mutex_unlock(&jobs->lock);
}

struct sy_job *sy_jobs_take(struct sy_jobs *jobs)
{
    jobs->holding = false;
    if (jobs->taken == jobs->given)
        return NULL;
    const uint64_t i = jobs->taken % jobs->size;
    pthread_mutex_lock(&jobs->lock);
    while (!jobs->done[i])
        pthread_cond_wait(&jobs->ready, &jobs->lock);
    pthread_mutex_unlock(&jobs->lock);
    ++jobs->taken;
    jobs->holding = true;
    return &jobs->ring[i];
}

void sy_jobs_destroy(struct sy_jobs **jobs)
{
    struct sy_jobs *x = *jobs;
    if (x == NULL)
        return;
    pthread_mutex_lock(&x->lock);
    x->quit = true;
    pthread_cond_broadcast(&x->work);
    pthread_mutex_unlock(&x->lock);
    for (unsigned i = 0; i < x->thread_count; ++i)
        pthread_join(x->threads[i], NULL);
    for (uint64_t i = 0; x->ring != NULL && i < x->size; ++i) {
        free(x->ring[i].text);
        free(x->ring[i].ids.data);
        free(x->ring[i].starts);
        sy_records_finish(&x->ring[i].rows);
        sy_ctx_destroy(&x->ring[i].ctx);
    }
    pthread_cond_destroy(&x->ready);
    pthread_cond_destroy(&x->work);
    pthread_mutex_destroy(&x->lock);
    sy_pieces_destroy(&x->pieces);
    free(x->threads);
    free(x->done);
    free(x->ring);
    free(x);
    *jobs = NULL;
}
