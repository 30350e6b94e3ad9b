// SPDX-License-Identifier: Apache-2.0
// input.c: opening files and pipes, and telling by the first bytes how they are packed.
#include "engine/data/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/data/unpack.h"

struct sy_input {
    struct sy_packed packed;
    const struct sy_unpack *unpack; ///< NULL: plain.
    void *state;
    bool started;
};

const char *sy_input_name(const char *path) { return strcmp(path, "-") == 0 ? "standard input" : path; }

bool sy_gzip_begins(const uint8_t *data, size_t bytes) { return bytes >= 2 && memcmp(data, "\x1f\x8b", 2) == 0; }

/// A frame, or one that is to be skipped (pzstd writes such).
bool sy_zstd_begins(const uint8_t *data, size_t bytes)
{
    return bytes >= 4 && (memcmp(data, "\x28\xb5\x2f\xfd", 4) == 0 ||
                          ((data[0] & 0xf0) == 0x50 && memcmp(data + 1, "\x2a\x4d\x18", 3) == 0));
}

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
    if (input == NULL || (input->packed.path = strdup(name)) == NULL) {
        free(input);
        return sy_fail(ctx, SY_NOMEM, "%s: out of memory", name);
    }
    input->packed.ctx = ctx;
    input->packed.fd = standard ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0) : open(path, O_RDONLY | O_CLOEXEC);
    if (input->packed.fd < 0) {
        enum sy_status status = sy_fail(ctx, SY_IO, "cannot open %s: %s", name, strerror(errno));
        free(input->packed.path);
        free(input);
        return status;
    }
    *out_input = input;
    return SY_OK;
}

enum sy_status sy_packed_fill(struct sy_packed *packed, size_t least)
{
    if (packed->left > 0 && packed->left < least)
        memmove(packed->data, packed->next, packed->left);
    if (packed->left < least)
        packed->next = packed->data;
    while (packed->left < least && !packed->end) {
        ssize_t got = read(packed->fd, packed->data + packed->left, sizeof packed->data - packed->left);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return sy_fail(packed->ctx, SY_IO, "cannot read %s: %s", packed->path, strerror(errno));
        packed->end = got == 0;
        packed->left += (size_t)got;
        packed->read += (uint64_t)got;
    }
    return SY_OK;
}

static enum sy_status start(struct sy_input *input)
{
    static const struct sy_unpack *const kinds[] = {&sy_unpack_gzip, &sy_unpack_zstd};
    input->started = true;
    SY_TRY(sy_packed_fill(&input->packed, 4));
    for (size_t i = 0; i < SY_COUNT(kinds); ++i) {
        if (!kinds[i]->begins(input->packed.next, input->packed.left))
            continue;
        SY_TRY(kinds[i]->open(&input->packed, &input->state));
        input->unpack = kinds[i];
        return SY_OK;
    }
    return SY_OK;
}

enum sy_status sy_input_read(struct sy_input *input, char *data, size_t bytes, size_t *out_bytes)
{
    struct sy_packed *p = &input->packed;
    if (!input->started)
        SY_TRY(start(input));
    if (input->unpack != NULL)
        return input->unpack->read(p, input->state, data, bytes, out_bytes);
    SY_TRY(sy_packed_fill(p, 1));
    *out_bytes = p->left < bytes ? p->left : bytes;
    if (*out_bytes > 0)
        memcpy(data, p->next, *out_bytes);
    p->next += *out_bytes;
    p->left -= *out_bytes;
    return SY_OK;
}

bool sy_input_seek(struct sy_input *input, uint64_t bytes)
{
    struct sy_packed *p = &input->packed;
    if (!input->started || input->unpack != NULL || bytes < p->left || bytes > INT64_MAX)
        return false;
    struct stat s;
    const off_t at = lseek(p->fd, 0, SEEK_CUR);
    if (at < 0 || fstat(p->fd, &s) != 0 || (uint64_t)(s.st_size - at) < bytes - p->left ||
        lseek(p->fd, (off_t)(bytes - p->left), SEEK_CUR) < 0)
        return false;
    p->read += bytes - p->left;
    p->left = 0;
    return true;
}

uint64_t sy_input_position(const struct sy_input *input) { return input->packed.read - input->packed.left; }

void sy_input_close(struct sy_input **input)
{
    if (*input == NULL)
        return;
    if ((*input)->unpack != NULL)
        (*input)->unpack->close((*input)->state);
    close((*input)->packed.fd);
    free((*input)->packed.path);
    free(*input);
    *input = NULL;
}
