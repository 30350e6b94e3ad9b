// SPDX-License-Identifier: Apache-2.0
// decodings.c: what a model says is what transformers' generate() says with it: greedy and by beams, under every limit
// (tests/peers/decoding_vectors.py wrote the answers), on every device in f32; with beams, too, a prompt says the same
// alone and among others; and what limits a sample keeps its promise.
//
// usage: test_decodings DATA_DIR [--device ID]
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/config.h"
#include "engine/draw.h"
#include "engine/file.h"
#include "engine/json.h"
#include "engine/task/decode.h"
#include "tests/tiny.h"

#define MANY 4
#define SRC 9
#define MOST 12
#define MOST_BEAMS 21

struct subject {
    struct tiny *t;
    struct sy_device *device;
    struct sy_config config;
    struct sy_tensors *tensors;
    struct sy_session *plain, *sessions[2][MOST_BEAMS + 1]; ///< Of all prompts, of one; by their beams.
    struct sy_prompt prompts[MANY];
    int32_t ids[MANY][SRC];
    const char *name;
    bool sparing; ///< A device that is slow to compile: one model, 1 and 4 beams, no prompt alone, nothing by the host.
};

/// A session for `batch` prompts, which is MANY or 1; made once.
static struct sy_session *session(struct subject *x, uint32_t batch, uint32_t beams)
{
    struct sy_session **s = &x->sessions[batch == 1][beams];
    const struct sy_session_params p = {.kind = SY_SESSION_DECODE,
                                        .config = &x->config,
                                        .precision = SY_PRECISION_F32,
                                        .batch = batch,
                                        .beams = beams,
                                        .src_len = SRC,
                                        .tgt_len = MOST,
                                        .lender = x->plain};
    if (*s != NULL)
        return *s;
    enum sy_status status = sy_session_create(x->t->ctx, x->device, &p, s);
    if (status == SY_OK && x->plain == NULL)
        status = sy_weights_load(sy_session_runtime(*s), x->tensors);
    if (!tiny_try(x->t, status, "a session", x->device))
        sy_session_destroy(s);
    return *s;
}

static double real(const json_t *options, const char *key, double otherwise)
{
    const json_t *value = json_object_get(options, key);
    return value != NULL ? json_number_value(value) : otherwise;
}

static struct sy_decode_params params(const struct subject *x, const json_t *options)
{
    const json_t *stop = json_object_get(options, "early_stopping");
    return (struct sy_decode_params){.prompts = x->prompts,
                                     .count = MANY,
                                     .max_tokens = MOST,
                                     .min_tokens = (uint32_t)real(options, "min_new_tokens", 0),
                                     .repetition_penalty = real(options, "repetition_penalty", 1),
                                     .no_repeat_ngram = (uint32_t)real(options, "no_repeat_ngram_size", 0),
                                     .length_penalty = real(options, "length_penalty", 1),
                                     .early_stop = json_is_string(stop) ? SY_EARLY_NEVER
                                                   : json_is_true(stop) ? SY_EARLY_YES
                                                                        : SY_EARLY_NO};
}

static bool is_answer(const int32_t *ids, uint32_t count, const json_t *want)
{
    bool same = json_array_size(want) == count;
    for (uint32_t i = 0; i < count && same; ++i)
        same = json_integer_value(json_array_get(want, i)) == ids[i];
    return same;
}

/// One case: all prompts together, then each alone.
static void check_case(struct subject *x, const json_t *one)
{
    const json_t *options = json_object_get(one, "options"), *want = json_object_get(one, "ids");
    const uint32_t beams = (uint32_t)real(options, "num_beams", 1);
    if (x->sparing && beams != 1 && beams != 4)
        return;
    struct sy_session *s = session(x, MANY, beams), *single = x->sparing ? s : session(x, 1, beams);
    struct sy_decode_params p = params(x, options);
    int32_t out[MANY * MOST], alone[MOST];
    int32_t read[MANY * MOST] = {0};
    uint32_t counts[MANY] = {0}, count = 0, right = 0, same = 0, read_counts[MANY] = {0}, alike = 0;
    char *said = json_dumps(options, JSON_COMPACT);
    enum sy_status status = s != NULL && single != NULL ? sy_decode(s, &p, out, counts) : SY_INTERNAL;
    for (uint32_t i = 0; i < MANY && status == SY_OK; ++i) {
        right += is_answer(out + (size_t)i * MOST, counts[i], json_array_get(want, i));
        p.prompts = &x->prompts[i];
        p.count = 1;
        status = sy_decode(single, &p, alone, &count);
        same += count == counts[i] && memcmp(alone, out + (size_t)i * MOST, count * sizeof *out) == 0;
    }
    p = params(x, options);
    if (p.no_repeat_ngram == 0)
        p.no_repeat_ngram = 2 * MOST; // limits nothing, but the host then reads all logits and chooses by itself
    if (status == SY_OK && !x->sparing)
        status = sy_decode(s, &p, read, read_counts);
    for (uint32_t i = 0; i < MANY && status == SY_OK; ++i)
        alike += x->sparing || (read_counts[i] == counts[i] &&
                                memcmp(read + (size_t)i * MOST, out + (size_t)i * MOST, counts[i] * sizeof *out) == 0);
    if (tiny_try(x->t, status, "decoding", x->device))
        tap_ok(&x->t->tap, right == MANY && same == MANY && alike == MANY && json_array_size(want) == MANY,
               "%s, %s: %s: %u answers are transformers', %u the same alone, %u the same by the host",
               sy_device_caps(x->device)->id, x->name, said, right, same, alike);
    free(said);
}

/// Near temperature 0 any sample is greedy; the least share of the probabilities is one token.
static void check_share(struct subject *x)
{
    struct sy_decode_params p = {.prompts = x->prompts, .count = MANY, .max_tokens = MOST, .min_tokens = MOST};
    int32_t greedy[MANY * MOST], one[MANY * MOST], all[2][MANY * MOST], kept[MANY * MOST];
    uint32_t counts[MANY];
    enum sy_status status = sy_decode(x->plain, &p, greedy, counts);
    p.temperature = 1.0;
    p.top_p = 1e-9;
    if (status == SY_OK)
        status = sy_decode(x->plain, &p, one, counts);
    p.temperature = 5.0;
    p.top_p = 1.0;
    if (status == SY_OK)
        status = sy_decode(x->plain, &p, all[0], counts);
    p.top_p = 0.0;
    if (status == SY_OK)
        status = sy_decode(x->plain, &p, all[1], counts);
    p.top_p = 0.3;
    if (status == SY_OK)
        status = sy_decode(x->plain, &p, kept, counts);
    if (!tiny_try(x->t, status, "sampling", x->device))
        return;
    tap_ok(&x->t->tap, memcmp(greedy, one, sizeof one) == 0, "%s: top_p 1e-9 leaves the most probable token", x->name);
    tap_ok(&x->t->tap, memcmp(all[0], all[1], sizeof all[0]) == 0 && memcmp(all[0], kept, sizeof kept) != 0,
           "%s: top_p 1 leaves all, 0.3 not", x->name);
}

/// A seed's tokens are the same, whether the device draws them or the host, which then reads all logits.
static void check_drawn_alike(struct subject *x)
{
    static const struct {
        double temperature, top_p;
        uint32_t top_k;
    } ways[] = {{1.0, 0.0, 0}, {3.0, 0.7, 0}, {0.7, 0.0, 5}, {2.0, 0.9, 12}};
    enum { SEEDS = 8 };
    struct sy_decode_params p = {.prompts = x->prompts, .count = MANY, .max_tokens = MOST};
    int32_t device[MANY * MOST], host[MANY * MOST];
    uint32_t counts[2][MANY], alike = 0, drawn = 0;
    enum sy_status status = SY_OK;
    for (uint32_t i = 0; i < SY_COUNT(ways) * SEEDS && status == SY_OK; ++i) {
        p.temperature = ways[i % SY_COUNT(ways)].temperature;
        p.top_p = ways[i % SY_COUNT(ways)].top_p;
        p.top_k = ways[i % SY_COUNT(ways)].top_k;
        p.seed = i;
        p.no_repeat_ngram = 0;
        status = sy_decode(x->plain, &p, device, counts[0]);
        p.no_repeat_ngram = 2 * MOST; // limits nothing
        if (status == SY_OK)
            status = sy_decode(x->plain, &p, host, counts[1]);
        for (uint32_t k = 0; k < MANY && status == SY_OK; ++k) {
            const size_t at = (size_t)k * MOST;
            alike += counts[0][k] == counts[1][k] && memcmp(device + at, host + at, counts[0][k] * sizeof *host) == 0;
            drawn += counts[0][k];
        }
    }
    if (tiny_try(x->t, status, "sampling", x->device))
        tap_ok(&x->t->tap, alike == SY_COUNT(ways) * SEEDS * MANY && drawn > 200,
               "%s, %s: %u samples, %u tokens, are the same by the host", sy_device_caps(x->device)->id, x->name, alike,
               drawn);
}

static int descending(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

/// What sampling means, in double: the k most probable, without the last of them that make up to 1 − top_p, the first
/// by id at which the sum of e^((x − largest) / temperature) exceeds that share of all which the random number is.
static uint32_t drawn(const float *x, uint32_t n, double temperature, uint32_t k, double top_p, double random)
{
    enum { MOST_WORDS = 1000 };
    float sorted[MOST_WORDS];
    double sum = 0.0, out = 0.0, seen = 0.0;
    memcpy(sorted, x, n * sizeof *x);
    qsort(sorted, n, sizeof *sorted, descending);
    k = k != 0 ? k : n;
    for (uint32_t i = 0; i < k; ++i)
        sum += exp(((double)sorted[i] - sorted[0]) / temperature);
    for (double w; k > 1; --k, sum -= w) {
        w = exp(((double)sorted[k - 1] - sorted[0]) / temperature);
        const double all = sum + out;
        out += w;
        if (out > (1.0 - top_p) * all || top_p == 0.0)
            break;
    }
    for (uint32_t i = 0; i < n; ++i) { // no two are equal here
        seen += x[i] >= sorted[k - 1] ? exp(((double)x[i] - sorted[0]) / temperature) : 0.0;
        if (seen > random * sum)
            return i;
    }
    return n;
}

/// The host's whole weights against that.
static void check_drawn(struct tiny *t)
{
    enum { WORDS = 1000, DRAWS = 4000 };
    static const double temperatures[] = {1.0, 0.5, 3.0}, shares[] = {0.0, 0.9, 0.5, 0.99};
    static const uint32_t most[] = {0, 40, 0, 7, 200};
    uint32_t same = 0, kinds = 0;
    bool seen[WORDS] = {false};
    for (uint32_t d = 0; d < DRAWS; ++d) {
        float x[WORDS];
        uint32_t top = 0;
        u32 words[SY_DRAW_WORDS];
        for (uint32_t i = 0; i < WORDS; ++i) {
            x[i] = (float)sy_random_bits(1, 2, 3, 4, d, 0, i) / 4.2e8f + (float)i * 1e-4f;
            top = x[i] > x[top] ? i : top;
        }
        sy_draw_words(temperatures[d % 3], most[d % 5], shares[d % 4], 77, d, words);
        const double random = sy_random_bits(77, 0, 0, SY_DRAW_STREAM, d + 5, 9, 0) / 4294967296.0;
        const uint32_t token = sy_draw(x, WORDS, top, words, 5, 9);
        same += token == drawn(x, WORDS, temperatures[d % 3], most[d % 5], shares[d % 4], random);
        kinds += !seen[token];
        seen[token] = true;
    }
    tap_ok(&t->tap, same >= DRAWS - 2 && kinds > 500, "%u of %d draws are those of sums in double, of %u tokens", same,
           DRAWS, kinds);
}

/// At the first position, where the logits are known: samples under top_p 0.5 are the fewest tokens that reach it, and
/// all of these come.
static void check_nucleus(struct subject *x)
{
    enum { DRAWS = 400 };
    const uint32_t v = x->config.vocab_size;
    struct sy_decode_params p = {.prompts = x->prompts, .count = 1, .max_tokens = 1, .temperature = 2.0, .top_p = 0.5};
    double weight[64], sum = 0.0, reached = 0.0;
    float *logits = NULL;
    uint64_t n;
    uint32_t count, within = 0, kinds = 0, wanted = 0;
    bool drawn[64] = {0}, nucleus[64] = {0};
    int32_t token;
    enum sy_status status = sy_decode(x->plain, &p, &token, &count);
    if (status == SY_OK)
        status = tiny_read(x->plain, sy_session_model(x->plain)->logits, &logits, &n);
    for (uint32_t i = 0; i < v && status == SY_OK; ++i)
        sum += weight[i] = exp(logits[i] / p.temperature);
    while (status == SY_OK && reached < p.top_p * sum) {
        uint32_t best = v;
        for (uint32_t i = 0; i < v; ++i)
            best = !nucleus[i] && (best == v || weight[i] > weight[best]) ? i : best;
        nucleus[best] = true;
        reached += weight[best];
        ++wanted;
    }
    for (p.seed = 0; p.seed < DRAWS && status == SY_OK; ++p.seed) {
        status = sy_decode(x->plain, &p, &token, &count);
        token = count == 0 ? (int32_t)x->config.eos_id : token;
        within += nucleus[token];
        kinds += !drawn[token];
        drawn[token] = true;
    }
    if (tiny_try(x->t, status, "sampling", x->device))
        tap_ok(&x->t->tap, within == DRAWS && kinds == wanted && wanted > 1,
               "%s: %d draws under top_p 0.5 are the %u tokens that reach it", x->name, DRAWS, wanted);
    free(logits);
}

struct heard {
    int32_t ids[MANY][MOST];
    uint32_t counts[MANY];
};

static void hear(void *user, uint32_t prompt, int32_t token)
{
    struct heard *h = user;
    h->ids[prompt][h->counts[prompt]++] = token;
}

/// What is told token by token is what is said; what beams cannot do is refused.
static void check_heard_and_refused(struct subject *x)
{
    struct heard heard = {0};
    struct sy_decode_params p = {
        .prompts = x->prompts, .count = MANY, .max_tokens = MOST, .heard = hear, .user = &heard};
    int32_t out[MANY * MOST];
    uint32_t counts[MANY], same = 0;
    enum sy_status status = sy_decode(x->plain, &p, out, counts);
    for (uint32_t i = 0; i < MANY && status == SY_OK; ++i)
        same +=
            heard.counts[i] == counts[i] && memcmp(heard.ids[i], out + (size_t)i * MOST, counts[i] * sizeof *out) == 0;
    if (tiny_try(x->t, status, "decoding", x->device))
        tap_ok(&x->t->tap, same == MANY, "%s: every token is told as it is chosen", x->name);
    struct sy_session *two = session(x, MANY, 2), *many = session(x, 1, MOST_BEAMS);
    p.temperature = 1.0;
    status = two != NULL ? sy_decode(two, &p, out, counts) : SY_OK;
    tap_ok(&x->t->tap, status == SY_INVALID && strstr(sy_error(x->t->ctx), "temperature") != NULL && counts[0] == 0,
           "%s: sampling with beams: %s", x->name, sy_error(x->t->ctx));
    p = (struct sy_decode_params){.prompts = x->prompts, .count = 1, .max_tokens = MOST};
    status = many != NULL ? sy_decode(many, &p, out, counts) : SY_OK;
    tap_ok(&x->t->tap, status == SY_INVALID && strstr(sy_error(x->t->ctx), "21 beams") != NULL,
           "%s: more beams than half the vocabulary: %s", x->name, sy_error(x->t->ctx));
}

static bool read_sources(struct subject *x, const json_t *sources)
{
    for (uint32_t i = 0; i < MANY; ++i) {
        const json_t *row = json_array_get(sources, i);
        x->prompts[i] = (struct sy_prompt){x->ids[i], (uint32_t)json_array_size(row)};
        if (x->prompts[i].count == 0 || x->prompts[i].count > SRC)
            return false;
        for (uint32_t k = 0; k < x->prompts[i].count; ++k)
            x->ids[i][k] = (int32_t)json_integer_value(json_array_get(row, k));
    }
    return true;
}

static bool sparing(struct sy_device *device) { return strncmp(sy_device_caps(device)->id, "vulkan", 6) == 0; }

static void run(struct tiny *t, struct sy_device *device, const char *root, const char *name)
{
    struct subject x = {.t = t, .device = device, .name = name, .sparing = sparing(device)};
    char *home = sy_path_join(root, name), *file = home != NULL ? sy_path_join(home, "cases.json") : NULL;
    json_t *all = NULL;
    enum sy_status status = file == NULL ? SY_NOMEM : sy_json_load(t->ctx, file, &all);
    if (status == SY_OK)
        status = sy_config_load(t->ctx, home, &x.config);
    if (status == SY_OK)
        status = sy_tensors_open(t->ctx, home, &x.tensors);
    if (tiny_try(t, status, "the cases", device) && read_sources(&x, json_object_get(all, "sources")) &&
        (x.plain = session(&x, MANY, 1)) != NULL) {
        const json_t *cases = json_object_get(all, "cases");
        for (size_t i = 0; i < json_array_size(cases); ++i)
            check_case(&x, json_array_get(cases, i));
        check_share(&x);
        check_drawn_alike(&x);
        if (!x.sparing) {
            check_nucleus(&x);
            check_heard_and_refused(&x);
        }
    }
    for (uint32_t beams = MOST_BEAMS; beams > 0; --beams) // the lender is the last
        for (int one = 1; one >= 0; --one)
            sy_session_destroy(&x.sessions[one][beams]);
    sy_tensors_close(&x.tensors);
    sy_config_finish(&x.config);
    json_decref(all);
    free(home);
    free(file);
}

int main(int argc, char **argv)
{
    struct tiny t;
    char *root = argc > 1 ? sy_path_join(argv[1], "decoding") : NULL;
    tiny_open(&t, "test_decodings", argc - 1, argv + 1);
    for (size_t d = 0; d < t.device_count && root != NULL; ++d) {
        run(&t, t.devices[d], root, "t5");
        if (!sparing(t.devices[d]))
            run(&t, t.devices[d], root, "switch");
    }
    check_drawn(&t);
    free(root);
    return tiny_close(&t);
}
