// SPDX-License-Identifier: Apache-2.0
#include "hostlib/status.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sy_ctx {
    sy_log_fn log;
    void *user;
    enum sy_log_level most_verbose;
    bool attempt;
    char error[1024];
    pthread_mutex_t lock; ///< Over `error` and calls of `log`: kernels are compiled on several threads.
};

struct sy_ctx *sy_ctx_create(sy_log_fn log, void *user, enum sy_log_level most_verbose)
{
    struct sy_ctx *ctx = calloc(1, sizeof *ctx);
    if (ctx == NULL)
        return NULL;
    ctx->log = log;
    ctx->user = user;
    ctx->most_verbose = most_verbose;
    pthread_mutex_init(&ctx->lock, NULL);
    return ctx;
}

void sy_ctx_destroy(struct sy_ctx **ctx)
{
    if (*ctx != NULL)
        pthread_mutex_destroy(&(*ctx)->lock);
    free(*ctx);
    *ctx = NULL;
}

void sy_log_stderr(void *user, enum sy_log_level level, const char *text)
{
    const char *name = user;
    const char *kind = level == SY_LOG_ERROR ? "error: " : level == SY_LOG_WARN ? "warning: " : "";
    fprintf(stderr, "%s: %s%s\n", name, kind, text);
}

// Names out of files and paths are quoted in messages: a newline would make two of one, an escape steer the terminal.
static void one_line(char *text)
{
    for (; *text != '\0'; ++text)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = *text == '\n' || *text == '\t' ? ' ' : '?';
}

enum sy_status sy_fail(struct sy_ctx *ctx, enum sy_status code, const char *format, ...)
{
    char text[sizeof ctx->error]; // arguments may be the message before
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    one_line(text);
    pthread_mutex_lock(&ctx->lock);
    memcpy(ctx->error, text, sizeof text);
    const enum sy_log_level level = ctx->attempt ? SY_LOG_DEBUG : SY_LOG_ERROR;
    if (ctx->log != NULL && level <= ctx->most_verbose)
        ctx->log(ctx->user, level, text);
    pthread_mutex_unlock(&ctx->lock);
    return code;
}

void sy_ctx_attempt(struct sy_ctx *ctx, bool attempt) { ctx->attempt = attempt; }

void sy_log(struct sy_ctx *ctx, enum sy_log_level level, const char *format, ...)
{
    if (ctx->log == NULL || level > ctx->most_verbose)
        return;
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    one_line(text);
    pthread_mutex_lock(&ctx->lock);
    ctx->log(ctx->user, level, text);
    pthread_mutex_unlock(&ctx->lock);
}

const char *sy_error(const struct sy_ctx *ctx) { return ctx->error; }

const char *sy_status_name(enum sy_status status)
{
    switch (status) {
    case SY_OK: return "success";
    case SY_INVALID: return "invalid argument";
    case SY_NOMEM: return "out of memory";
    case SY_IO: return "input/output error";
    case SY_FORMAT: return "damaged or foreign file";
    case SY_UNSUPPORTED: return "unsupported";
    case SY_DEVICE: return "device error";
    case SY_COMM: return "rank error";
    case SY_INTERNAL: return "internal error";
    }
    return "unknown status";
}
