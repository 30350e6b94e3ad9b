// SPDX-License-Identifier: Apache-2.0
// tiny.h: tiny models, batches and devices for the tests of whole models.
#pragma once

#include "engine/session.h"
#include "tests/tap.h"

struct tiny {
    struct tap tap;
    struct sy_ctx *ctx;
    struct sy_device *devices[8];
    size_t device_count;
};

/// Opens every device (or the one of `--device ID`); one that fails to open is a failed check.
void tiny_open(struct tiny *t, const char *program, int argc, char **argv);
/// Closes them, prints the last line and returns the exit status.
int tiny_close(struct tiny *t);

/// A check of a call that can fail: prints the context's error. Returns whether it was SY_OK.
bool tiny_try(struct tiny *t, enum sy_status status, const char *what, const struct sy_device *device);

/// Two blocks a stack, the second one sparse with 4 experts, no dropout, no jitter, capacity factor 1.25; every loss
/// on. Weights are drawn large (init_scale 1), so that nothing is close to linear.
struct sy_config tiny_config(bool is_switch);
/// Dropout, expert dropout and jitter.
void tiny_add_noise(struct sy_config *config);
/// Random tokens; sequences of different lengths, padded; the last label is the end token. Aborts when out of memory.
void tiny_batch(struct tiny *t, const struct sy_config *config, uint32_t batch, uint32_t src_len, uint32_t tgt_len,
                uint64_t seed, struct sy_batch *out);
/// Sequences first … first + count − 1 as a batch that borrows `from`'s arrays: do not finish it.
struct sy_batch tiny_slice(const struct sy_batch *from, uint32_t first, uint32_t count);

/// A session with weights drawn from seed 1, or NULL (reported).
struct sy_session *tiny_session(struct tiny *t, struct sy_device *device, const struct sy_session_params *params);

/// Every parameter one after the other, as f32. `*out` is malloc'ed. Errors: those of reading.
SY_MUST_CHECK enum sy_status tiny_weights(struct sy_session *s, float **out, uint64_t *out_count);
/// A whole float tensor.
SY_MUST_CHECK enum sy_status tiny_read(struct sy_session *s, sy_tid t, float **out, uint64_t *out_count);

/// A whole float tensor behind the `*count` values in `*values`, which grows. Aborts when out of memory. Errors: those
/// of reading.
SY_MUST_CHECK enum sy_status tiny_append(struct sy_session *s, sy_tid t, float **values, uint64_t *count);

/// Largest |a − b| over the largest |b|.
double tiny_distance(const float *a, const float *b, uint64_t count);
