// SPDX-License-Identifier: Apache-2.0
// input_plain.c: plain files only, for a build without zlib.
#include "engine/data/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct sy_input {
    struct sy_ctx *ctx;
    char *path;
    FILE *file;
    bool started;
};

const char *sy_input_name(const char *path) { return strcmp(path, "-") == 0 ? "standard input" : path; }

enum sy_status sy_input_open(struct sy_ctx *ctx, const char *path, struct sy_input **out_input)
{
    struct sy_input *input = calloc(1, sizeof *input);
    if (input == NULL || (input->path = strdup(sy_input_name(path))) == NULL) {
        free(input);
        return sy_fail(ctx, SY_NOMEM, "%s: out of memory", path);
    }
    input->ctx = ctx;
    if (strcmp(path, "-") == 0) {
        const int copy = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
        input->file = copy >= 0 ? fdopen(copy, "rb") : NULL;
    } else {
        input->file = fopen(path, "rb");
    }
    if (input->file == NULL) {
        enum sy_status status = sy_fail(ctx, SY_IO, "cannot open %s: %s", input->path, strerror(errno));
        free(input->path);
        free(input);
        return status;
    }
    *out_input = input;
    return SY_OK;
}

enum sy_status sy_input_read(struct sy_input *input, char *data, size_t bytes, size_t *out_bytes)
{
    size_t got = fread(data, 1, bytes, input->file);
    if (got == 0 && ferror(input->file))
        return sy_fail(input->ctx, SY_IO, "cannot read %s: %s", input->path, strerror(errno));
    if (!input->started && got >= 2 && memcmp(data, "\x1f\x8b", 2) == 0)
        return sy_fail(input->ctx, SY_UNSUPPORTED,
                       "%s is gzipped and this build has no zlib; unpack it (gunzip) or build with -Dzlib=enabled",
                       input->path);
    input->started = true;
    *out_bytes = got;
    return SY_OK;
}

void sy_input_close(struct sy_input **input)
{
    if (*input == NULL)
        return;
    fclose((*input)->file);
    free((*input)->path);
    free(*input);
    *input = NULL;
}
