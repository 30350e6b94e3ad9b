// SPDX-License-Identifier: Apache-2.0
// torch.h: the tensors of a file of torch.save() (pytorch_model.bin), read in place.
//
// The file is a zip archive: records stored as they are, of which data.pkl is a pickle, a program for a stack machine
// that builds a dictionary of tensors, and data/KEY are their storages. The machine here (torch_pickle.c) knows the few
// operations that such dictionaries need; a name of anything but tensors, storages and OrderedDict is an error, so
// nothing that a file says is ever run. Memory is bounded by the size of data.pkl.
// Layer: engine. Private to engine/safetensors.c.
#pragma once

#include "engine/safetensors.h"

/// One record of the archive, in the file's memory.
struct sy_torch_record {
    const char *name; ///< Not terminated; without the archive's own folder.
    uint32_t name_bytes;
    const uint8_t *data;
    uint64_t bytes;
};

/// What a file holds. Release with sy_torch_finish().
struct sy_torch {
    struct sy_torch_record *records;
    size_t record_count;
    struct sy_tensor_view *views; ///< Their names are owned here, their data is the file's.
    size_t count;
    char *names;
};

/// Whether the bytes are meant to be such a file, of now or of PyTorch before 1.6.
bool sy_torch_is(const uint8_t *data, uint64_t bytes);
/// Errors: FORMAT damaged, or not what torch.save() writes of a state_dict · UNSUPPORTED before 1.6, compressed,
/// big-endian or not contiguous.
SY_MUST_CHECK enum sy_status sy_torch_read(struct sy_ctx *ctx, const uint8_t *data, uint64_t bytes, const char *file,
                                           struct sy_torch *out);
void sy_torch_finish(struct sy_torch *torch);

/// NULL when there is none.
const struct sy_torch_record *sy_torch_record(const struct sy_torch *torch, const char *name, size_t name_bytes);
/// Runs data.pkl; fills views.
SY_MUST_CHECK enum sy_status sy_torch_unpickle(struct sy_ctx *ctx, const struct sy_torch_record *pickle,
                                               const char *file, struct sy_torch *torch);
