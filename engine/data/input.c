// SPDX-License-Identifier: Apache-2.0
// input.c: plain or gzipped files through zlib, which passes plain bytes on unchanged.
#include "engine/data/input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <zlib.h>

struct sy_input {
    struct sy_ctx *ctx;
    char *path;
    gzFile file;
};

enum sy_status sy_input_open(struct sy_ctx *ctx, const char *path, struct sy_input **out_input)
{
    struct stat s;
    if (stat(path, &s) != 0)
        return sy_fail(ctx, SY_IO, "cannot open %s: %s", path, strerror(errno));
    if (S_ISDIR(s.st_mode))
        return sy_fail(ctx, SY_IO, "%s is a directory, expected a file with text; name the files in it", path);
    struct sy_input *input = calloc(1, sizeof *input);
    if (input == NULL || (input->path = strdup(path)) == NULL) {
        free(input);
        return sy_fail(ctx, SY_NOMEM, "%s: out of memory", path);
    }
    input->ctx = ctx;
    errno = 0;
    input->file = gzopen(path, "rbe");
    if (input->file == NULL) {
        enum sy_status status = sy_fail(ctx, SY_IO, "cannot open %s: %s", path, errno != 0 ? strerror(errno) : "out of memory");
        free(input->path);
        free(input);
        return status;
    }
    gzbuffer(input->file, 1u << 17);
    *out_input = input;
    return SY_OK;
}

static enum sy_status stream_error(struct sy_input *input)
{
    int code;
    const char *text = gzerror(input->file, &code);
    if (code == Z_ERRNO)
        return sy_fail(input->ctx, SY_IO, "cannot read %s: %s", input->path, strerror(errno));
    if (code == Z_BUF_ERROR)
        return sy_fail(input->ctx, SY_FORMAT, "%s: the gzip data is cut off; fetch the file again", input->path);
    return sy_fail(input->ctx, SY_FORMAT, "%s: damaged gzip data (%s); fetch the file again", input->path, text);
}

enum sy_status sy_input_read(struct sy_input *input, char *data, size_t bytes, size_t *out_bytes)
{
    int got = gzread(input->file, data, bytes < 1u << 30 ? (unsigned)bytes : 1u << 30);
    if (got < 0)
        return stream_error(input);
    if (got == 0) { // zlib reports a cut-off stream only when asked
        int code;
        gzerror(input->file, &code);
        if (code != Z_OK && code != Z_STREAM_END)
            return stream_error(input);
    }
    *out_bytes = (size_t)got;
    return SY_OK;
}

void sy_input_close(struct sy_input **input)
{
    if (*input == NULL)
        return;
    gzclose((*input)->file);
    free((*input)->path);
    free(*input);
    *input = NULL;
}
