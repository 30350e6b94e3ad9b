// SPDX-License-Identifier: Apache-2.0
// data_env.h: what tests/data.c (files, vocabularies, spans) and tests/datasets.c (readers, datasets) share.
#pragma once

#include <stdlib.h>

#include "engine/file.h"
#include "tests/io.h"

struct env {
    struct io io;
    const char *data;
    char scratch[512];
};

static inline char *in(const char *directory, const char *name)
{
    char *path = sy_path_join(directory, name);
    if (path == NULL)
        abort();
    return path;
}

static inline char *make_file(struct env *e, const char *name, const void *text, size_t bytes)
{
    char *path = in(e->scratch, name);
    if (sy_file_write(e->io.ctx, path, text, bytes) != SY_OK)
        abort();
    return path;
}
