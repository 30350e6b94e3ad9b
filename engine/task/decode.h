// SPDX-License-Identifier: Apache-2.0
// decode.h: generates text token by token with a key/value cache on the device, several prompts at once.
//
// A session of kind SY_SESSION_DECODE runs the encoder once (phase ENCODE) and one decoder position per call (phase
// MICRO). Each sequence stops at eos; the call ends when all have, or have max_tokens. A sequence does not depend on
// the prompts beside it, to the bit: nothing is dropped, and padding is masked. (Expert choice, whose experts choose
// among a routing group of the source, does depend on src_len, and on its neighbours where group_tokens is set.)
//
// A session with `beams` searches: so many sequences of each prompt go on side by side, and the best one that ended is
// the answer. What limits tokens, when a search ends and how lengths are weighed is as in Hugging Face's generate().
#pragma once

#include "engine/session.h"

struct sy_prompt {
    const int32_t *ids; ///< Source tokens, ended by eos; at most the session's src_len, at least one.
    uint32_t count;
};

/// When a search for beams is over that has as many ended sequences as beams.
enum sy_early_stop {
    SY_EARLY_NO,    ///< When no sequence that goes on would beat the worst of them if it ended now.
    SY_EARLY_YES,   ///< At once.
    SY_EARLY_NEVER, ///< When none could beat it even at its longest.
};

/// Zeroed, but for the prompts and max_tokens: the most probable token each time.
struct sy_decode_params {
    const struct sy_prompt *prompts;
    uint32_t count;      ///< At most the session's batch, at least one.
    uint32_t max_tokens; ///< At most the session's tgt_len.
    uint32_t min_tokens; ///< Before so many a sequence does not end.
    double temperature;  ///< 0 = greedy (the most probable token, lowest id on ties); needs a session without beams.
    uint32_t top_k;      ///< Sample among the k most probable; 0 = all.
    double top_p;        ///< Of these, sample among the fewest whose probabilities reach this sum; 0 and 1 = all.
    uint64_t seed;
    uint32_t first; ///< Index of prompts[0]: what a sequence draws depends on the seed and on its index alone.
    double
        repetition_penalty;   ///< Divides the logits of tokens that came before (multiplies those below 0); 0, 1: none.
    uint32_t no_repeat_ngram; ///< No so many tokens in a row come twice; 0: they may.
    double length_penalty;    ///< Beams: the sum of log-probabilities is divided by length to this power.
    enum sy_early_stop early_stop;
    /// Called with each token as soon as it is chosen (without beams); eos is not told. NULL: nobody listens.
    void (*heard)(void *user, uint32_t prompt, int32_t token);
    void *user;
};

/// Writes at most max_tokens ids (eos not included) of prompt i to out[i · max_tokens …], and their number to
/// out_counts[i]. Blocks. Errors: INVALID what does not fit the session, an id outside the vocabulary (each names the
/// prompt), sampling with beams, more beams than half the vocabulary · DEVICE · NOMEM; all counts are then 0.
SY_MUST_CHECK enum sy_status sy_decode(struct sy_session *s, const struct sy_decode_params *params, int32_t *out,
                                       uint32_t *out_counts);
