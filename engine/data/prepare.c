// SPDX-License-Identifier: Apache-2.0
// prepare.c: files in, blocks to the workers, ids in the files' order to the writer, and a note of how far it came.
#include "engine/data/prepare.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <xxhash.h>

#include "engine/data/corpus_write.h"
#include "engine/data/prepare_jobs.h"
#include "engine/data/prepare_point.h"
#include "engine/file.h"

#define KEEP_ROOM ((size_t)8 << 20) // a job that had a long line does not keep its memory
#define MAX_THREADS 256u

struct preparing {
    struct sy_ctx *ctx;
    const struct sy_prepare_params *p;
    struct sy_jobs *jobs;
    struct sy_corpus_writer *writer;
    struct sy_corpus_index index;
    struct sy_prepare_point at;   ///< Of what was written.
    uint64_t *sizes;              ///< Of the files; 0: a pipe.
    uint64_t bytes, bytes_behind; ///< Of all files; of those that are done.
    double saved;
    bool stopped;
    bool whole; ///< Index, point and files say the same: not while a block is being written.
    const char *first_empty;
};

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// ---- what is prepared -----------------------------------------------------------------------------------------------

static enum sy_status measure_files(struct preparing *r)
{
    r->sizes = calloc(r->p->file_count, sizeof *r->sizes);
    if (r->sizes == NULL)
        return sy_fail(r->ctx, SY_NOMEM, "out of memory for the sizes of %zu files", r->p->file_count);
    bool known = true;
    for (size_t i = 0; i < r->p->file_count; ++i) {
        struct stat s;
        const char *path = r->p->files[i];
        if (strcmp(path, "-") != 0 && stat(path, &s) != 0)
            return sy_fail(r->ctx, SY_IO, "cannot open %s: %s", path, strerror(errno));
        if (strcmp(path, "-") == 0 && fstat(STDIN_FILENO, &s) != 0)
            return sy_fail(r->ctx, SY_IO, "cannot read standard input: %s", strerror(errno));
        if (S_ISDIR(s.st_mode))
            return sy_fail(r->ctx, SY_IO, "%s is a directory, expected a file with text; name the files in it", path);
        known = known && S_ISREG(s.st_mode);
        r->sizes[i] = S_ISREG(s.st_mode) ? (uint64_t)s.st_size : 0;
        r->bytes += r->sizes[i];
    }
    r->bytes = known ? r->bytes : 0;
    return SY_OK;
}

/// Digest of what decides the result: options, the files' names, and the sizes of the first `sized` of them.
static enum sy_status digest(const struct preparing *r, size_t sized, char out_hex[33])
{
    const struct sy_prepare_params *p = r->p;
    XXH3_state_t *state = XXH3_createState();
    if (state == NULL || XXH3_128bits_reset(state) != XXH_OK) {
        XXH3_freeState(state);
        return sy_fail(r->ctx, SY_NOMEM, "out of memory");
    }
    const uint64_t facts[] = {p->format, p->strict, p->kind, r->index.shard_tokens, p->file_count};
    const char *key = p->text_key != NULL ? p->text_key : "text";
    XXH3_128bits_update(state, facts, sizeof facts);
    XXH3_128bits_update(state, key, strlen(key) + 1);
    XXH3_128bits_update(state, r->index.vocabulary, sizeof r->index.vocabulary);
    for (size_t i = 0; i < p->file_count; ++i)
        XXH3_128bits_update(state, p->files[i], strlen(p->files[i]) + 1);
    XXH3_128bits_update(state, r->sizes, sized * sizeof *r->sizes);
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
    XXH3_freeState(state);
    for (size_t i = 0; i < sizeof canonical.digest; ++i)
        snprintf(out_hex + 2 * i, 3, "%02x", canonical.digest[i]);
    return SY_OK;
}

static enum sy_status describe(struct preparing *r)
{
    struct sy_corpus_index *x = &r->index;
    *x = (struct sy_corpus_index){.shard_tokens = r->p->shard_tokens != 0 ? r->p->shard_tokens : SY_PREPARE_SHARD,
                                  .kind = r->p->kind != SY_DOCUMENTS_UNSAID ? r->p->kind : SY_DOCUMENTS_FOLLOW,
                                  .used = sy_tokenizer_used(r->p->tokenizer),
                                  .files = r->p->file_count};
    x->width = x->used <= 1u << 16 ? 2 : 4;
    SY_TRY(sy_tokenizer_sum(r->ctx, r->p->tokenizer, x->vocabulary));
    return digest(r, r->p->file_count, x->made_of);
}

// ---- going on -------------------------------------------------------------------------------------------------------

/// A corpus that is there already: the same, or an error.
static enum sy_status find_finished(struct preparing *r, const char *path, bool *out_there)
{
    json_t *root;
    struct sy_corpus_index there;
    SY_TRY(sy_json_load(r->ctx, path, &root));
    enum sy_status status = sy_corpus_index_parse(r->ctx, root, path, true, &there);
    json_decref(root);
    SY_TRY(status);
    *out_there = strcmp(there.made_of, r->index.made_of) == 0;
    if (*out_there) {
        sy_corpus_index_finish(&r->index);
        r->index = there;
        return SY_OK;
    }
    sy_corpus_index_finish(&there);
    return sy_fail(r->ctx, SY_INVALID,
                   "%s holds a corpus of other files or options; choose another directory, or remove it",
                   r->p->directory);
}

static enum sy_status find_unfinished(struct preparing *r, const char *path)
{
    struct sy_corpus_index there;
    struct sy_prepare_point at;
    char now[33];
    SY_TRY(sy_prepare_point_load(r->ctx, path, &there, &at));
    enum sy_status status = at.file <= r->p->file_count ? SY_OK : SY_INVALID;
    if (status == SY_OK)
        status = digest(r, at.file < r->p->file_count ? at.file + 1 : at.file, now);
    if (status == SY_INVALID || (status == SY_OK && strcmp(now, at.command) != 0))
        status = sy_fail(
            r->ctx, SY_INVALID,
            "%s holds the beginning of a corpus of other files or options: give the same ones to go on, choose another "
            "directory, or remove it",
            r->p->directory);
    if (status != SY_OK) {
        sy_corpus_index_finish(&there);
        return status;
    }
    memcpy(there.made_of, r->index.made_of, sizeof there.made_of);
    r->index = there;
    r->at = at;
    for (size_t i = 0; i < at.file; ++i)
        r->bytes_behind += r->sizes[i];
    return SY_OK;
}

/// Removes what a run left that was killed while it replaced a file. *out_empty: there is nothing else.
static enum sy_status sweep(struct preparing *r, bool *out_empty)
{
    static const char *const left[] = {SY_CORPUS_UNFINISHED ".tmp-", SY_CORPUS_INDEX ".tmp-"};
    DIR *directory = opendir(r->p->directory);
    *out_empty = true;
    if (directory == NULL)
        return sy_fail(r->ctx, SY_IO, "cannot read directory %s: %s", r->p->directory, strerror(errno));
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        const char *name = entry->d_name;
        const bool ours = strncmp(name, left[0], strlen(left[0])) == 0 || strncmp(name, left[1], strlen(left[1])) == 0;
        if (ours)
            unlinkat(dirfd(directory), name, 0);
        else if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && strcmp(name, ".lock") != 0)
            *out_empty = false;
    }
    closedir(directory);
    return SY_OK;
}

/// What the directory holds: nothing, our unfinished corpus, or the finished one.
static enum sy_status look(struct preparing *r, struct sy_prepare_result *out)
{
    char index[SY_PATH_ROOM], unfinished[SY_PATH_ROOM];
    bool there = false, empty;
    SY_TRY(sweep(r, &empty));
    SY_TRY(sy_path_print(r->ctx, index, r->p->directory, SY_CORPUS_INDEX));
    SY_TRY(sy_path_print(r->ctx, unfinished, r->p->directory, SY_CORPUS_UNFINISHED));
    if (sy_file_exists(index)) {
        SY_TRY(find_finished(r, index, &there));
        out->end = SY_PREPARE_ALREADY;
        unlink(unfinished);
        return SY_OK;
    }
    if (sy_file_exists(unfinished)) {
        out->gone_on = true;
        return find_unfinished(r, unfinished);
    }
    return empty ? SY_OK
                 : sy_fail(r->ctx, SY_INVALID, "%s is not empty and no corpus; choose another directory",
                           r->p->directory);
}

static enum sy_status save_point(struct preparing *r)
{
    char path[SY_PATH_ROOM];
    const size_t begun = r->at.file < r->p->file_count ? r->at.file + 1 : r->at.file;
    SY_TRY(sy_path_print(r->ctx, path, r->p->directory, SY_CORPUS_UNFINISHED));
    SY_TRY(digest(r, begun, r->at.command));
    return sy_prepare_point_save(r->ctx, path, &r->index, &r->at);
}

/// Makes sure that all until here survives whatever comes.
static enum sy_status save(struct preparing *r)
{
    r->whole = false;
    SY_TRY(sy_corpus_write_flush(r->writer));
    SY_TRY(save_point(r));
    r->saved = seconds();
    r->whole = true;
    return SY_OK;
}

// ---- a file ---------------------------------------------------------------------------------------------------------

/// The file that is being read, and what its blocks add up to.
struct open_file {
    struct sy_lines lines;
    struct sy_records next, rows; ///< Before the next block that is read; of the blocks that were written.
};

static uint64_t count_lines(const char *text, size_t bytes)
{
    uint64_t n = 0;
    for (const char *end = text + bytes; text < end && (text = memchr(text, '\n', (size_t)(end - text))) != NULL;
         ++text)
        ++n;
    return n;
}

/// Reads a block into a free job. *out_given: there was one.
static enum sy_status read_block(struct preparing *r, struct open_file *f, struct sy_job *job, bool *out_given)
{
    *out_given = false;
    SY_TRY(sy_lines_next(&f->lines));
    const size_t bytes = f->lines.given;
    if (bytes == 0)
        return SY_OK;
    if (job->room < bytes || job->room > KEEP_ROOM) {
        free(job->text);
        job->text = malloc(bytes);
        job->room = job->text != NULL ? bytes : 0;
        if (job->text == NULL)
            return sy_fail(r->ctx, SY_NOMEM, "%s: out of memory for a line of %zu bytes", f->rows.path, bytes);
    }
    memcpy(job->text, f->lines.data, bytes);
    job->bytes = bytes;
    job->offset = f->lines.offset;
    job->read = sy_input_position(f->lines.input);
    job->rows = (struct sy_records){.path = f->next.path,
                                    .content = f->next.content,
                                    .column = f->next.column,
                                    .titles = f->next.titles,
                                    .line = f->next.line,
                                    .room = job->rows.room,
                                    .room_bytes = job->rows.room_bytes};
    f->next.line += count_lines(job->text, bytes);
    sy_jobs_give(r->jobs);
    *out_given = true;
    return SY_OK;
}

static void tell(struct preparing *r, uint64_t read)
{
    if (r->p->progress == NULL)
        return;
    const struct sy_prepare_progress now = {.bytes_read = r->bytes_behind + read,
                                            .bytes = r->bytes,
                                            .tokens = r->index.tokens,
                                            .documents = r->index.documents,
                                            .file = sy_input_name(r->p->files[r->at.file])};
    r->stopped = r->stopped || !r->p->progress(r->p->user, &now);
}

/// A document whose first tokens are in another block than its beginning begins with these.
static enum sy_status write_ids(struct preparing *r, const struct sy_job *job)
{
    const bool continued = r->at.pending && job->ids.count > 0 && (job->start_count == 0 || job->starts[0] != 0);
    const uint64_t zero = 0;
    r->at.pending = job->pending || (r->at.pending && job->ids.count == 0);
    if (continued)
        SY_TRY(sy_corpus_write_add(r->writer, NULL, 0, &zero, 1));
    return sy_corpus_write_add(r->writer, job->ids.data, job->ids.count, job->starts, job->start_count);
}

/// Takes what the oldest job made.
static enum sy_status write_block(struct preparing *r, struct open_file *f, const struct sy_job *job)
{
    struct sy_reading *reading = &r->at.reading;
    const bool first = f->rows.content == SY_CONTENT_TEXT ? !reading->warned : reading->skipped == 0;
    if (job->warning[0] != '\0' && first)
        sy_log(r->ctx, SY_LOG_WARN, "%s", job->warning);
    if (job->status != SY_OK)
        return sy_fail(r->ctx, job->status, "%s", sy_error(job->ctx));
    r->whole = false;
    SY_TRY(sy_records_add(&f->rows, &job->rows));
    SY_TRY(write_ids(r, job));
    r->at.offset = job->offset + job->bytes;
    r->at.line = f->rows.line;
    r->at.good = f->rows.good;
    r->at.broken = f->rows.broken;
    memcpy(r->at.first_broken, f->rows.first_broken, sizeof r->at.first_broken);
    r->whole = true;
    tell(r, job->read);
    return seconds() - r->saved >= r->p->save_seconds ? save(r) : SY_OK;
}

/// Reads ahead as far as there are jobs, and writes the oldest, until the file has ended or the run is to stop.
static enum sy_status read_blocks(struct preparing *r, struct open_file *f)
{
    for (bool more = true;;) {
        struct sy_job *job;
        while (more && !r->stopped && (job = sy_jobs_free(r->jobs)) != NULL)
            SY_TRY(read_block(r, f, job, &more));
        job = sy_jobs_take(r->jobs);
        if (job == NULL)
            return SY_OK;
        SY_TRY(write_block(r, f, job));
    }
}

static enum sy_status end_file(struct preparing *r, struct open_file *f)
{
    struct sy_reading *reading = &r->at.reading;
    const uint64_t empty = reading->empty_files;
    SY_TRY(sy_records_end(&f->rows));
    SY_TRY(sy_text_file_end(r->ctx, reading, f->rows.path, r->at.documents_before));
    if (reading->empty_files > empty && r->first_empty == NULL)
        r->first_empty = f->rows.path;
    r->bytes_behind += r->sizes[r->at.file++];
    r->at.offset = r->at.line = r->at.good = r->at.broken = 0;
    r->at.first_broken[0] = '\0';
    r->at.documents_before = reading->documents;
    return SY_OK;
}

static enum sy_status read_file(struct preparing *r, struct open_file *f)
{
    f->rows = (struct sy_records){.ctx = r->ctx, .reading = &r->at.reading};
    SY_TRY(sy_text_file_open(&f->rows, r->p->files[r->at.file], &f->lines));
    f->rows.line = r->at.line;
    f->rows.good = r->at.good;
    f->rows.broken = r->at.broken;
    memcpy(f->rows.first_broken, r->at.first_broken, sizeof f->rows.first_broken);
    f->next = f->rows;
    SY_TRY(sy_lines_skip(&f->lines, r->at.offset));
    SY_TRY(read_blocks(r, f));
    return r->stopped ? SY_OK : end_file(r, f);
}

// ---- all of it ------------------------------------------------------------------------------------------------------

static enum sy_status read_files(struct preparing *r)
{
    while (r->at.file < r->p->file_count && !r->stopped) {
        struct open_file f = {0};
        enum sy_status status = read_file(r, &f);
        while (sy_jobs_take(r->jobs) != NULL)
            ; // a failure leaves some under way
        sy_lines_close(&f.lines);
        SY_TRY(status);
    }
    return SY_OK;
}

static enum sy_status say_skipped(struct preparing *r)
{
    const struct sy_reading *x = &r->at.reading;
    if (r->index.tokens == 0)
        return sy_fail(r->ctx, SY_INVALID, "%s: there is no text in %s%s", r->p->directory,
                       r->p->file_count == 1 ? sy_input_name(r->p->files[0]) : "these files",
                       x->skipped > 0 ? ", only odd lines" : "");
    if (x->empty_files > 0)
        sy_log(r->ctx, SY_LOG_WARN, "%llu of %llu files are empty and skipped%s%s", (unsigned long long)x->empty_files,
               (unsigned long long)x->files, r->first_empty != NULL ? ", the first is " : "",
               r->first_empty != NULL ? r->first_empty : "");
    if (x->skipped > 0)
        sy_log(r->ctx, SY_LOG_INFO, "skipped %llu of %llu lines", (unsigned long long)x->skipped,
               (unsigned long long)x->lines);
    return SY_OK;
}

static enum sy_status finish(struct preparing *r)
{
    char path[SY_PATH_ROOM];
    SY_TRY(sy_path_print(r->ctx, path, r->p->directory, SY_CORPUS_UNFINISHED));
    SY_TRY(say_skipped(r));
    SY_TRY(sy_corpus_write_finish(r->writer));
    unlink(path);
    return SY_OK;
}

static enum sy_status make(struct preparing *r)
{
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned threads = r->p->threads != 0 ? r->p->threads : processors > 0 ? (unsigned)processors : 1;
    threads = threads < MAX_THREADS ? threads : MAX_THREADS;
    r->at.reading.format = r->p->format;
    r->at.reading.text_key = r->p->text_key;
    r->at.reading.strict = r->p->strict;
    SY_TRY(save_point(r)); // the directory is ours from here on
    SY_TRY(sy_corpus_write_open(r->ctx, r->p->directory, &r->index, &r->writer));
    SY_TRY(sy_jobs_create(r->ctx, r->p->tokenizer, &r->at.reading, threads, &r->jobs));
    r->saved = seconds();
    r->whole = true;
    enum sy_status status = read_files(r);
    if (status == SY_OK)
        return r->stopped ? save(r) : finish(r);
    sy_ctx_attempt(r->ctx, true); // what went wrong was said
    if (r->whole)
        (void)save(r);
    sy_ctx_attempt(r->ctx, false);
    return status;
}

static enum sy_status prepare_locked(struct preparing *r, struct sy_prepare_result *out)
{
    SY_TRY(describe(r));
    SY_TRY(look(r, out));
    if (out->end == SY_PREPARE_ALREADY)
        return SY_OK;
    SY_TRY(make(r));
    out->end = r->stopped ? SY_PREPARE_STOPPED : SY_PREPARE_DONE;
    out->reading = r->at.reading;
    return SY_OK;
}

enum sy_status sy_prepare(struct sy_ctx *ctx, const struct sy_prepare_params *params,
                          struct sy_prepare_result *out_result)
{
    struct preparing r = {.ctx = ctx, .p = params};
    struct sy_lock lock = SY_LOCK_NONE;
    *out_result = (struct sy_prepare_result){.end = SY_PREPARE_DONE};
    if (params->shard_tokens != 0 &&
        (params->shard_tokens < SY_CORPUS_LEAST_SHARD || params->shard_tokens > SY_CORPUS_MOST_TOKENS))
        return sy_fail(ctx, SY_INVALID, "shards of %llu tokens, expected 16 to 2^48",
                       (unsigned long long)params->shard_tokens);
    enum sy_status status = measure_files(&r);
    if (status == SY_OK)
        status = sy_dir_create(ctx, params->directory);
    if (status == SY_OK)
        status = sy_dir_lock(ctx, params->directory, &lock);
    if (status == SY_OK)
        status = prepare_locked(&r, out_result);
    out_result->tokens = r.index.tokens;
    out_result->documents = r.index.documents;
    out_result->shards = r.index.shard_tokens != 0 ? sy_corpus_shards(&r.index) : 0;
    sy_jobs_destroy(&r.jobs);
    sy_corpus_write_close(&r.writer);
    sy_corpus_index_finish(&r.index);
    free(r.sizes);
    sy_dir_unlock(&lock);
    return status;
}
