// SPDX-License-Identifier: Apache-2.0
// cache.h: compiled kernels, and what was measured of devices, on disk, so that the second start is quick.
//
// Content addressed: the caller's key is a hash of everything that went into the payload, so an entry is
// never stale, only unused. Each file carries a header (magic, version, kind, key, length, hash of the
// payload) and is put in place by a rename: readers see a whole file or none. A bad file is a miss and is
// deleted. Without a writable folder everything works, only slower.
//
// Folder:  $SY_CACHE_DIR, else $XDG_CACHE_HOME/switchyard, else $HOME/.cache/switchyard. SY_NO_CACHE=1: none.
// Threads: safe between threads and processes: entries never change, and appear whole.
// Layer:   hostlib.
#pragma once

#include "hostlib/status.h"

#define SY_CACHE_KEY_BYTES 16
#define SY_CACHE_PATH_ROOM 4096
#define SY_CACHE_HEX_BYTES 33 ///< A key as text, with its terminator.

/// A range of bytes to be hashed.
struct sy_cache_part {
    const void *data;
    size_t bytes;
};

/// XXH3-128 over the parts and their lengths: moving bytes from one part to the next changes the key.
void sy_cache_key(uint8_t out_key[SY_CACHE_KEY_BYTES], const struct sy_cache_part *parts, size_t count);
void sy_cache_hex(char out_text[SY_CACHE_HEX_BYTES], const uint8_t key[SY_CACHE_KEY_BYTES]);

/// Where a text that people may read, too, is kept: `FOLDER/KIND-KEY.txt`. False: there is no folder for it.
bool sy_cache_text_path(char out[SY_CACHE_PATH_ROOM], const char *kind, const uint8_t key[SY_CACHE_KEY_BYTES]);

/// Looks up `key` among entries of `kind` (a short word of [a-z0-9], at most 15 letters). On true, `*out_data`
/// is owned by the caller (free()). A miss leaves the outputs untouched.
bool sy_cache_load(struct sy_ctx *ctx, const char *kind, const uint8_t key[SY_CACHE_KEY_BYTES], void **out_data,
                   size_t *out_bytes);
/// Stores or replaces an entry. A failure is a debug message: the cache is never needed.
void sy_cache_store(struct sy_ctx *ctx, const char *kind, const uint8_t key[SY_CACHE_KEY_BYTES], const void *data,
                    size_t bytes);
