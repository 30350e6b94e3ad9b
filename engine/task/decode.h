// SPDX-License-Identifier: Apache-2.0
// decode.h: generates text token by token with a key/value cache on the device, several prompts at once.
//
// A session of kind SY_SESSION_DECODE runs the encoder once (phase ENCODE) and one decoder position per call (phase
// MICRO). Each sequence stops at eos; the call ends when all have, or have max_tokens. A sequence does not depend on
// the prompts beside it, to the bit: nothing is dropped, and padding is masked. (Expert choice, whose experts choose
// among a routing group of the source, does depend on src_len, and on its neighbours where group_tokens is set.)
#pragma once

#include "engine/session.h"

struct sy_prompt {
    const int32_t *ids; ///< Source tokens, ended by eos; at most the session's src_len, at least one.
    uint32_t count;
};

struct sy_decode_params {
    const struct sy_prompt *prompts;
    uint32_t count;      ///< At most the session's batch, at least one.
    uint32_t max_tokens; ///< At most the session's tgt_len.
    double temperature;  ///< 0 = greedy (the most probable token, lowest id on ties).
    uint32_t top_k;      ///< Sample among the k most probable; 0 = all.
    uint64_t seed;
    uint32_t first; ///< Index of prompts[0]: what a sequence draws depends on the seed and on its index alone.
};

/// Writes at most max_tokens ids (eos not included) of prompt i to out[i · max_tokens …], and their number to
/// out_counts[i]. Blocks. Errors: INVALID what does not fit the session, an id outside the vocabulary (each names the
/// prompt) · DEVICE · NOMEM; all counts are then 0.
SY_MUST_CHECK enum sy_status sy_decode(struct sy_session *s, const struct sy_decode_params *params, int32_t *out,
                                       uint32_t *out_counts);
