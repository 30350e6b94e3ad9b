// SPDX-License-Identifier: Apache-2.0
// safetensors.h: read and write tensors in Hugging Face's file format, one file or a directory of shards.
//
// A file is: header length (u64, little endian), JSON header {name: {dtype, shape, data_offsets}}, data.
// Nothing in a file is trusted: the header must be well formed, names unique, and the tensors must cover the
// data exactly, without gaps or overlaps.
// Lifetime: views point into the mapping and die with sy_tensors_close().
// Threads:  an open set is read-only and may be shared.
// Layer:    engine.
#pragma once

#include "engine/file.h"

/// In the order of the format's own enumeration: files are sorted by it (largest first), then by name.
enum sy_st_dtype {
    SY_ST_BOOL,
    SY_ST_U8,
    SY_ST_I8,
    SY_ST_F8_E5M2,
    SY_ST_F8_E4M3,
    SY_ST_I16,
    SY_ST_U16,
    SY_ST_F16,
    SY_ST_BF16,
    SY_ST_I32,
    SY_ST_U32,
    SY_ST_F32,
    SY_ST_F64,
    SY_ST_I64,
    SY_ST_U64,
    SY_ST_DTYPES
};

#define SY_ST_MAX_DIMS 8

/// Data need not be aligned to its element: copy it out (memcpy, or the read functions below).
struct sy_tensor_view {
    const char *name;
    enum sy_st_dtype dtype;
    uint32_t ndim; ///< 0: a scalar.
    uint64_t shape[SY_ST_MAX_DIMS];
    uint64_t elements, bytes;
    const void *data;
};

struct sy_tensors;

/// Opens a .safetensors file, one of torch.save() (torch.h), an index of shards of either (….index.json), or a
/// directory that holds model.safetensors, model.safetensors.index.json, pytorch_model.bin or
/// pytorch_model.bin.index.json, the first of them. Errors: IO · FORMAT naming the file and the tensor · UNSUPPORTED
/// element type, or weights of another kind.
SY_MUST_CHECK enum sy_status sy_tensors_open(struct sy_ctx *ctx, const char *path, struct sy_tensors **out_tensors);
/// The same for one file's bytes in memory, which must outlive the result. `name` stands for the file in messages.
SY_MUST_CHECK enum sy_status sy_tensors_parse(struct sy_ctx *ctx, const void *data, uint64_t bytes, const char *name,
                                              struct sy_tensors **out_tensors);
void sy_tensors_close(struct sy_tensors **tensors);
/// Whether sy_tensors_open() would find a file to read in the directory.
bool sy_tensors_present(const char *directory);
/// The path of that file, and whether it is an index of shards.
bool sy_tensors_locate(const char *directory, char out[SY_PATH_ROOM], bool *out_index);
/// The error of a directory in which it would not: what is there instead, and the remedy; `more` ends the message.
SY_MUST_CHECK enum sy_status sy_tensors_absent(struct sy_ctx *ctx, const char *directory, const char *more);

size_t sy_tensors_count(const struct sy_tensors *tensors);
/// In order of name.
const struct sy_tensor_view *sy_tensors_at(const struct sy_tensors *tensors, size_t index);
/// NULL when there is none of that name.
const struct sy_tensor_view *sy_tensors_find(const struct sy_tensors *tensors, const char *name);
/// Says that a tensor was copied to where it is used: its part of the mapping leaves memory until it is read again, so
/// that loading a model does not hold it twice.
void sy_tensors_release(const struct sy_tensors *tensors, const char *name);
/// What was opened, for messages.
const char *sy_tensors_path(const struct sy_tensors *tensors);

/// Copies a whole tensor, converting F32, BF16, F16 or F64 to f32. The shape must be exactly `shape`.
/// Errors: FORMAT naming file and tensor: missing, other shape, other kind of element.
SY_MUST_CHECK enum sy_status sy_tensors_read_f32(struct sy_ctx *ctx, const struct sy_tensors *tensors, const char *name,
                                                 uint32_t ndim, const uint64_t *shape, float *out);
/// The tensor in place, without a copy, or NULL when it must be converted or is not aligned: then read it as above.
SY_MUST_CHECK enum sy_status sy_tensors_floats(struct sy_ctx *ctx, const struct sy_tensors *tensors, const char *name,
                                               uint32_t ndim, const uint64_t *shape, const float **out);
/// The same from any integer element type (range-checked), and BOOL as the byte it is.
SY_MUST_CHECK enum sy_status sy_tensors_read_i32(struct sy_ctx *ctx, const struct sy_tensors *tensors, const char *name,
                                                 uint32_t ndim, const uint64_t *shape, int32_t *out);

size_t sy_st_dtype_bytes(enum sy_st_dtype dtype);
const char *sy_st_dtype_name(enum sy_st_dtype dtype); ///< "F32"

struct sy_tensor_spec;
/// Fills `out` with the tensor's bytes. Called once per tensor, in file order; only one tensor is in memory at a time.
typedef enum sy_status (*sy_tensor_produce_fn)(void *user, const struct sy_tensor_spec *spec, void *out);

/// The same for `count` elements from `first` on: for what need not be in memory whole.
typedef enum sy_status (*sy_tensor_piece_fn)(void *user, const struct sy_tensor_spec *spec, uint64_t first,
                                             uint64_t count, void *out);

/// A tensor to be written: from `data`, or by `piece`, or by `produce` when the others are NULL.
struct sy_tensor_spec {
    const char *name;
    enum sy_st_dtype dtype;
    uint32_t ndim;
    uint64_t shape[SY_ST_MAX_DIMS];
    const void *data;
    sy_tensor_produce_fn produce;
    sy_tensor_piece_fn piece;
    void *user;
};

struct sy_file_sums;
/// Writes one file atomically (file.h), tensors ordered as Hugging Face orders them; notes its sum in `sums` (or NULL).
/// Errors: INVALID bad or repeated name · IO (the old file stays) · whatever `produce` returns.
SY_MUST_CHECK enum sy_status sy_tensors_save(struct sy_ctx *ctx, const char *path, const struct sy_tensor_spec *specs,
                                             size_t count, struct sy_file_sums *sums);

#define SY_SHARD_BYTES 5000000000u ///< Hugging Face's usual limit.

/// Writes DIRECTORY/STEM.safetensors, or shards STEM-00001-of-0000N.safetensors and STEM.safetensors.index.json when
/// the tensors exceed `max_shard_bytes` (0: SY_SHARD_BYTES). Files are replaced one by one: for an all-or-nothing
/// checkpoint write into a new directory and sy_path_commit() it. An older save's index (or single file), which readers
/// would take instead, is removed at the end; its shards stay. `sums`, or NULL, gets those of the tensors' files.
SY_MUST_CHECK enum sy_status sy_tensors_save_dir(struct sy_ctx *ctx, const char *directory, const char *stem,
                                                 const struct sy_tensor_spec *specs, size_t count,
                                                 uint64_t max_shard_bytes, struct sy_file_sums *sums);
