// SPDX-License-Identifier: Apache-2.0
// status.h: what a fallible call returns, and the context that remembers why.
//
// A call that can fail returns `enum sy_status` and writes its results through `out_` arguments, which
// stay untouched (or NULL) on failure. The message is written once, where the fault is known, with
// sy_fail(); callers only pass the code on (SY_TRY). Libraries never exit and never print by themselves.
//
// Layer:   hostlib (no dependencies).
// Threads: one context belongs to one thread at a time; sy_kernels_create() has helpers of its own, whose messages are
//          taken in turn.
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SY_MUST_CHECK __attribute__((warn_unused_result))
#define SY_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define SY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum sy_status {
    SY_OK = 0,
    SY_INVALID,     ///< The caller asked for something impossible: fix the arguments.
    SY_NOMEM,       ///< Host or device memory is short: use a smaller model, batch, or another device.
    SY_IO,          ///< The operating system refused a file: look at the path, rights and free space.
    SY_FORMAT,      ///< A file's contents are not what they claim: get an undamaged copy.
    SY_UNSUPPORTED, ///< This build or device cannot do it: choose another device or enable the feature.
    SY_DEVICE,      ///< The driver failed or the device is lost: close and reopen it.
    SY_COMM,        ///< A rank failed or disagrees: restart the job from its checkpoint.
    SY_INTERNAL,    ///< A mistake of ours: please report it.
};

enum sy_log_level { SY_LOG_ERROR, SY_LOG_WARN, SY_LOG_INFO, SY_LOG_DEBUG };

/// Receives every message. `text` has no trailing newline and is borrowed for the call.
typedef void (*sy_log_fn)(void *user, enum sy_log_level level, const char *text);

struct sy_ctx;

/// Creates the root of the ownership tree. With `log` NULL, messages are only remembered (sy_error).
/// Returns NULL when out of memory.
struct sy_ctx *sy_ctx_create(sy_log_fn log, void *user, enum sy_log_level most_verbose);
void sy_ctx_destroy(struct sy_ctx **ctx);

/// A log function for command-line programs: `user` is the program's name, errors and warnings go to
/// standard error as "name: message".
void sy_log_stderr(void *user, enum sy_log_level level, const char *text);

/// Remembers and logs one message, and returns `code`, so that `return sy_fail(...)` reads as one step.
SY_PRINTF(3, 4) enum sy_status sy_fail(struct sy_ctx *ctx, enum sy_status code, const char *format, ...);
SY_PRINTF(3, 4) void sy_log(struct sy_ctx *ctx, enum sy_log_level level, const char *format, ...);

/// While `attempt` is set, sy_fail() logs as SY_LOG_DEBUG: for what the caller knows another way to do.
void sy_ctx_attempt(struct sy_ctx *ctx, bool attempt);

/// The message of the latest sy_fail() on this context; "" when there was none. Borrowed.
const char *sy_error(const struct sy_ctx *ctx);
/// "invalid argument", "out of memory", …: for a message of yours about a status; sy_error() says what happened.
const char *sy_status_name(enum sy_status status);

/// Returns from the calling function when `call` fails. With resources held, use `goto out` instead.
#define SY_TRY(call)                           \
    do {                                       \
        enum sy_status sy_try_status = (call); \
        if (sy_try_status != SY_OK)            \
            return sy_try_status;              \
    } while (0)
