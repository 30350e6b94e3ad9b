// SPDX-License-Identifier: Apache-2.0
// report.h: what a person (progress, plain lines) and a program (metrics.jsonl) see of a run.
#pragma once

#include "engine/file.h"
#include "engine/session.h"
#include "engine/task/evaluate.h"

struct report {
    struct sy_ctx *ctx;
    char path[SY_PATH_ROOM];         ///< Of metrics.jsonl
    int file;                        ///< Its descriptor; -1 before and after.
    bool terminal, unfinished, deaf; ///< Standard output is one; its last line is open; it cannot be written.
    uint64_t first_step, steps, log_every;
    double started, last_print;
    uint64_t timed_tokens; ///< Tokens since the first (compiling) step.
    double timed_from;
};

/// Says how much text there is, and warns when the lengths waste what is computed: span corruption makes targets of a
/// seventh of the source or so.
void report_text(struct sy_ctx *ctx, const struct sy_dataset *data, const struct sy_tokenizer *tokenizer,
                 uint32_t src_len, uint32_t tgt_len, uint32_t sequences);
/// Opens DIR/metrics.jsonl for appending behind step `step` (later lines, of steps that are about to be repeated, are
/// dropped) and prints the head line (device, parameters, memory).
enum sy_status report_open(struct report *r, struct sy_ctx *ctx, const char *dir, const struct sy_session *s,
                           uint64_t step, uint64_t steps, uint64_t log_every);
enum sy_status report_step(struct report *r, uint64_t step, double lr, const struct sy_metrics *m);
enum sy_status report_validation(struct report *r, uint64_t step, const struct sy_metrics *m);
/// A line for a person, and one of metrics.jsonl: a json_t, which is released; NULL is an error.
enum sy_status report_line(struct report *r, void *json, const char *line);
void report_close(struct report *r);

/// sy_evaluate(), saying how far it is on standard error: often on a terminal, else once a minute.
enum sy_status report_evaluate(struct sy_session *s, const struct sy_dataset *data, uint32_t batch, uint64_t most,
                               struct sy_metrics *out);

/// The metrics as a JSON object (a json_t; the caller releases it): kind "train", "valid" or "eval". JSON has no
/// infinity and no NaN: they become null.
void *report_json(const char *kind, const struct sy_metrics *m);
