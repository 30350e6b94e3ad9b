// SPDX-License-Identifier: Apache-2.0
// decode.h: generates text token by token with a key/value cache on the device.
//
// A session of kind SY_SESSION_DECODE runs the encoder once (phase ENCODE) and one decoder position per call (phase
// MICRO).
#pragma once

#include "engine/session.h"

struct sy_decode_params {
    const int32_t *ids; ///< Source tokens, ended by eos; at most the session's src_len.
    uint32_t count;
    uint32_t max_tokens; ///< At most the session's tgt_len.
    double temperature;  ///< 0 = greedy (the most probable token, lowest id on ties).
    uint32_t top_k;      ///< Sample among the k most probable; 0 = all.
    uint64_t seed;
};

/// Writes at most max_tokens ids (eos not included) to `out`. Blocks. The session's batch is 1.
SY_MUST_CHECK enum sy_status sy_decode(struct sy_session *s, const struct sy_decode_params *params, int32_t *out,
                                       uint32_t *out_count);
