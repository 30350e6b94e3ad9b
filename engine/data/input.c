// SPDX-License-Identifier: Apache-2.0
// input.c: plain or gzipped files. zlib's own gz* functions take what follows a gzip member in silence; this does not.
#include "engine/data/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>

#define ROOM ((size_t)1 << 17)

struct sy_input {
    struct sy_ctx *ctx;
    char *path;
    int fd;
    bool started, end, gzip;
    bool inside; ///< A gzip member has begun and not ended.
    z_stream z;  ///< next_in, avail_in: what was read and not used, of plain files too.
    uint8_t data[ROOM];
};

const char *sy_input_name(const char *path) { return strcmp(path, "-") == 0 ? "standard input" : path; }

enum sy_status sy_input_open(struct sy_ctx *ctx, const char *path, struct sy_input **out_input)
{
    const bool standard = strcmp(path, "-") == 0;
    const char *name = sy_input_name(path);
    struct stat s;
    if ((standard ? fstat(STDIN_FILENO, &s) : stat(path, &s)) != 0)
        return sy_fail(ctx, SY_IO, "cannot open %s: %s", name, strerror(errno));
    if (S_ISDIR(s.st_mode))
        return sy_fail(ctx, SY_IO, "%s is a directory, expected a file with text; name the files in it", name);
    if (standard && isatty(STDIN_FILENO))
        sy_log(ctx, SY_LOG_INFO, "reading text from the terminal until Ctrl-D");
    else if (!standard && S_ISFIFO(s.st_mode)) // opening it waits, for ever when nobody writes
        sy_log(ctx, SY_LOG_INFO, "%s is a pipe: waiting for its text", name);
    struct sy_input *input = calloc(1, sizeof *input);
    if (input == NULL || (input->path = strdup(name)) == NULL) {
        free(input);
        return sy_fail(ctx, SY_NOMEM, "%s: out of memory", name);
    }
    input->ctx = ctx;
    input->fd = standard ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0) : open(path, O_RDONLY | O_CLOEXEC);
    if (input->fd < 0) {
        enum sy_status status = sy_fail(ctx, SY_IO, "cannot open %s: %s", name, strerror(errno));
        free(input->path);
        free(input);
        return status;
    }
    *out_input = input;
    return SY_OK;
}

/// Reads behind what is there, so that at least `least` bytes are unless the file ends.
static enum sy_status fill(struct sy_input *input, size_t least)
{
    z_stream *z = &input->z;
    if (z->avail_in > 0)
        memmove(input->data, z->next_in, z->avail_in);
    z->next_in = input->data;
    while (z->avail_in < least && !input->end) {
        ssize_t got = read(input->fd, input->data + z->avail_in, ROOM - z->avail_in);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return sy_fail(input->ctx, SY_IO, "cannot read %s: %s", input->path, strerror(errno));
        input->end = got == 0;
        z->avail_in += (uInt)got;
    }
    return SY_OK;
}

static bool member_begins(const z_stream *z) { return z->avail_in >= 2 && memcmp(z->next_in, "\x1f\x8b", 2) == 0; }

static enum sy_status start(struct sy_input *input)
{
    input->started = true;
    SY_TRY(fill(input, 2));
    input->gzip = input->inside = member_begins(&input->z);
    if (input->gzip && inflateInit2(&input->z, 15 + 16) != Z_OK)
        return sy_fail(input->ctx, SY_NOMEM, "%s: out of memory for unpacking", input->path);
    return SY_OK;
}

/// Between members: another one, zeros up to the end (padding, as gzip accepts it), or nothing.
static enum sy_status next_member(struct sy_input *input)
{
    z_stream *z = &input->z;
    SY_TRY(fill(input, 2));
    if (member_begins(z)) {
        input->inside = true;
        return inflateReset(z) == Z_OK ? SY_OK : sy_fail(input->ctx, SY_INTERNAL, "%s: inflateReset", input->path);
    }
    for (; z->avail_in > 0; ++z->next_in, --z->avail_in) {
        if (*z->next_in != 0)
            return sy_fail(
                input->ctx, SY_FORMAT,
                "%s: behind its gzip data is something that is none and would be lost; unpack what belongs to "
                "it and compress it anew",
                input->path);
        if (z->avail_in == 1)
            SY_TRY(fill(input, 2));
    }
    return SY_OK;
}

static enum sy_status unpack(struct sy_input *input, char *data, size_t bytes, size_t *out_bytes)
{
    z_stream *z = &input->z;
    z->next_out = (Bytef *)data;
    z->avail_out = bytes < 1u << 30 ? (uInt)bytes : 1u << 30;
    const uInt room = z->avail_out;
    while (z->avail_out == room) { // until there is something
        if (!input->inside)
            SY_TRY(next_member(input));
        if (!input->inside)
            break;
        SY_TRY(fill(input, 1));
        const int code = inflate(z, Z_NO_FLUSH);
        if (code == Z_STREAM_END)
            input->inside = false;
        else if (code == Z_BUF_ERROR || (code == Z_OK && z->avail_in == 0 && input->end && z->avail_out > 0))
            return sy_fail(input->ctx, SY_FORMAT, "%s: the gzip data is cut off; fetch the file again", input->path);
        else if (code != Z_OK)
            return sy_fail(input->ctx, SY_FORMAT, "%s: damaged gzip data (%s); fetch the file again", input->path,
                           z->msg != NULL ? z->msg : "no message");
    }
    *out_bytes = room - z->avail_out;
    return SY_OK;
}

enum sy_status sy_input_read(struct sy_input *input, char *data, size_t bytes, size_t *out_bytes)
{
    if (!input->started)
        SY_TRY(start(input));
    if (input->gzip)
        return unpack(input, data, bytes, out_bytes);
    SY_TRY(fill(input, 1));
    *out_bytes = input->z.avail_in < bytes ? input->z.avail_in : bytes;
    if (*out_bytes > 0)
        memcpy(data, input->z.next_in, *out_bytes);
    input->z.next_in += *out_bytes;
    input->z.avail_in -= (uInt)*out_bytes;
    return SY_OK;
}

void sy_input_close(struct sy_input **input)
{
    if (*input == NULL)
        return;
    if ((*input)->gzip)
        inflateEnd(&(*input)->z);
    close((*input)->fd);
    free((*input)->path);
    free(*input);
    *input = NULL;
}
