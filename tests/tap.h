// SPDX-License-Identifier: Apache-2.0
// tap.h: counts checks and prints them: one "ok"/"not ok" line each, then `N passed, N failed, N skipped`.
#pragma once

#include <stdarg.h>
#include <stdio.h>

struct tap {
    unsigned passed, failed, skipped;
};

static inline void tap_line(const char *verdict, unsigned number, const char *format, va_list args)
{
    printf("%s %u - ", verdict, number);
    vprintf(format, args);
    printf("\n");
    fflush(stdout);
}

__attribute__((format(printf, 3, 4))) static inline int tap_ok(struct tap *t, int good, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    good ? ++t->passed : ++t->failed;
    tap_line(good ? "ok" : "not ok", t->passed + t->failed + t->skipped, format, args);
    va_end(args);
    return good;
}

__attribute__((format(printf, 2, 3))) static inline void tap_skip(struct tap *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    ++t->skipped;
    printf("ok %u # SKIP ", t->passed + t->failed + t->skipped);
    vprintf(format, args);
    printf("\n");
    va_end(args);
}

/// Prints the last line; the exit status is 1 when something failed or nothing ran.
static inline int tap_done(const struct tap *t)
{
    printf("1..%u\n%u passed, %u failed, %u skipped\n", t->passed + t->failed + t->skipped, t->passed, t->failed,
           t->skipped);
    return t->failed != 0 || t->passed == 0;
}
