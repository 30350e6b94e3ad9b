// SPDX-License-Identifier: Apache-2.0
// unpack.h: packed files as streams of bytes. Private to engine/data.
//
// gzip.c and zstd.c know a kind each; gzip_stub.c and zstd_stub.c take their places in a build without the library and
// refuse it by name.
#pragma once

#include "hostlib/status.h"

/// The bytes of a file as they are on the disk.
struct sy_packed {
    struct sy_ctx *ctx;
    char *path; ///< As messages call it.
    int fd;
    const uint8_t *next; ///< `left` bytes were read and not used.
    size_t left;
    uint64_t read; ///< Bytes read from the file so far.
    bool end;
    uint8_t data[1 << 17];
};
/// Reads behind what is there, so that at least `least` bytes are unless the file ends. Errors: IO.
SY_MUST_CHECK enum sy_status sy_packed_fill(struct sy_packed *packed, size_t least);

/// One kind of packing.
struct sy_unpack {
    /// Whether a file that begins so is of this kind. (4 bytes, unless the file is shorter.)
    bool (*begins)(const uint8_t *data, size_t bytes);
    enum sy_status (*open)(struct sy_packed *packed, void **out_state);
    /// Up to `bytes` bytes; 0 at the end. Errors: IO · FORMAT damaged, cut off, or followed by something else.
    enum sy_status (*read)(struct sy_packed *packed, void *state, char *data, size_t bytes, size_t *out_bytes);
    void (*close)(void *state);
};
extern const struct sy_unpack sy_unpack_gzip, sy_unpack_zstd;
bool sy_gzip_begins(const uint8_t *data, size_t bytes);
bool sy_zstd_begins(const uint8_t *data, size_t bytes);
