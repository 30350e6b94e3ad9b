// SPDX-License-Identifier: Apache-2.0
// io.h: what the tests of files and data share: checks that show the last message, and a scratch directory.
#pragma once

#include <stdlib.h>
#include <string.h>

#include "hostlib/status.h"
#include "tests/tap.h"

struct io {
    struct tap tap;
    unsigned warnings, errors; ///< Seen by io_log().
    struct sy_ctx *ctx;
};

static inline void io_log(void *user, enum sy_log_level level, const char *text)
{
    (void)text;
    ((struct io *)user)->warnings += level == SY_LOG_WARN;
    ((struct io *)user)->errors += level == SY_LOG_ERROR;
}

#define io_check(t, good, ...)                                  \
    do {                                                        \
        if (!tap_ok(&(t)->tap, (good), __VA_ARGS__))            \
            printf("# last message: %s\n", sy_error((t)->ctx)); \
    } while (0)

/// The call must have failed with `code`, and its message must contain `word`.
static inline void io_fails(struct io *t, enum sy_status got, enum sy_status code, const char *word, const char *what)
{
    bool good = got == code && strstr(sy_error(t->ctx), word) != NULL;
    io_check(t, good, "%s: %s, saying \"%s\"", what, sy_status_name(code), word);
    if (!good)
        printf("# got: %s\n", sy_status_name(got));
}

static inline int io_end(struct io *t)
{
    sy_ctx_destroy(&t->ctx);
    return tap_done(&t->tap);
}

/// A new directory for this test's files, in `path` of `room` bytes.
static inline bool io_directory(char *path, size_t room)
{
    const char *base = getenv("TMPDIR");
    int n = snprintf(path, room, "%s/switchyard-test-XXXXXX", base != NULL && *base != '\0' ? base : P_tmpdir);
    return n > 0 && (size_t)n < room && mkdtemp(path) != NULL;
}
