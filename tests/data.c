// SPDX-License-Identifier: Apache-2.0
// data.c: tests of files, vocabularies, readers, span corruption, and datasets.
// Usage: data TEST_DATA_DIRECTORY
#include <unistd.h>

#include "engine/data/batch.h"
#include "engine/data/reader.h"
#include "engine/data/sentencepiece.h"
#include "engine/data/spans.h"
#include "engine/file.h"
#include "engine/json.h"
#include "engine/safetensors.h"
#include "kernels/philox.h"
#include "tests/io.h"

struct env {
    struct io io;
    const char *data;
    char scratch[512];
};

static char *in(const char *directory, const char *name)
{
    char *path = sy_path_join(directory, name);
    if (path == NULL)
        abort();
    return path;
}

static char *make_file(struct env *e, const char *name, const void *text, size_t bytes)
{
    char *path = in(e->scratch, name);
    if (sy_file_write(e->io.ctx, path, text, bytes) != SY_OK)
        abort();
    return path;
}

// ---- files ----------------------------------------------------------------------------------------------------------

static void test_files(struct env *e)
{
    char hex[33], *path = make_file(e, "hash", "", 0), *deep = in(e->scratch, "a/b/c"), *top = in(e->scratch, "a");
    uint64_t bytes = 1;
    bool good = sy_file_hash(e->io.ctx, path, hex, &bytes) == SY_OK && bytes == 0;
    io_check(&e->io, good && strcmp(hex, "99aa06d3014798d86001c324468d497f") == 0, "XXH3-128 of nothing, as published");
    free(path);
    path = make_file(e, "hash", "abc", 3);
    good = sy_file_hash(e->io.ctx, path, hex, &bytes) == SY_OK && bytes == 3;
    io_check(&e->io, good && strcmp(hex, "06b05ab6733a618578af5f94892f3950") == 0,
             "XXH3-128 of abc, as xxhsum prints it");
    good = sy_dir_create(e->io.ctx, deep) == SY_OK && sy_dir_create(e->io.ctx, deep) == SY_OK && sy_dir_exists(deep);
    io_check(&e->io, good, "nested directories, made twice");
    char *under = in(path, "x");
    io_check(&e->io, sy_dir_create(e->io.ctx, under) == SY_IO, "no directory below a file");
    free(under);
    under = in(deep, "link");
    good = symlink(path, under) == 0 && sy_dir_remove(e->io.ctx, top) == SY_OK && !sy_dir_exists(top) &&
           sy_file_exists(path);
    io_check(&e->io, good && sy_dir_remove(e->io.ctx, top) == SY_OK, "a tree is removed, links are not followed");
    char *data;
    size_t size;
    io_fails(&e->io, sy_file_read(e->io.ctx, path, 2, &data, &size), SY_FORMAT, "at most 2", "a file above the limit");
    io_fails(&e->io, sy_file_read(e->io.ctx, e->scratch, 2, &data, &size), SY_IO, "not a regular file",
             "reading a directory");
    free(under);
    free(path);
    free(deep);
    free(top);
}

// ---- span corruption ------------------------------------------------------------------------------------------------

static size_t numbers(const json_t *array, int32_t *out, size_t room)
{
    size_t n = json_array_size(array);
    if (n > room)
        abort();
    for (size_t i = 0; i < n; ++i)
        out[i] = (int32_t)json_integer_value(json_array_get(array, i));
    return n;
}

static bool span_case(const json_t *c)
{
    int32_t tokens[1024], kept[64], noise[64], sentinels[64], want_inputs[1024], want_targets[1024], inputs[1024],
        targets[1024];
    size_t n = numbers(json_object_get(c, "tokens"), tokens, 1024);
    size_t spans = numbers(json_object_get(c, "kept_lengths"), kept, 64);
    if (numbers(json_object_get(c, "noise_lengths"), noise, 64) != spans)
        return false;
    size_t n_inputs = numbers(json_object_get(c, "inputs"), want_inputs, 1024);
    size_t n_targets = numbers(json_object_get(c, "targets"), want_targets, 1024);
    int32_t vocab = (int32_t)json_integer_value(json_object_get(c, "vocab_size"));
    int32_t eos = (int32_t)json_integer_value(json_object_get(c, "eos"));
    for (int32_t i = 0; i < 64; ++i)
        sentinels[i] = vocab - 1 - i;
    sy_spans_apply(tokens, (uint32_t)spans, (const uint32_t *)kept, (const uint32_t *)noise, sentinels, eos, inputs,
                   targets);
    uint32_t a, b;
    sy_spans_lengths((uint32_t)n, &a, &b);
    return a == n_inputs && b == n_targets && memcmp(inputs, want_inputs, n_inputs * sizeof *inputs) == 0 &&
           memcmp(targets, want_targets, n_targets * sizeof *targets) == 0;
}

static void test_span_table(struct env *e)
{
    char *path = in(e->data, "tables/span_corruption.json");
    json_t *root = NULL;
    if (sy_json_load(e->io.ctx, path, &root) != SY_OK)
        abort();
    const json_t *cases = json_object_get(root, "cases"), *counts = json_object_get(root, "counts");
    for (size_t i = 0; i < json_array_size(cases); ++i)
        io_check(&e->io, span_case(json_array_get(cases, i)), "golden span corruption %zu", i);
    size_t right = 0;
    for (size_t i = 0; i < json_array_size(counts); ++i) {
        int32_t want[3];
        uint32_t noise, spans;
        numbers(json_array_get(counts, i), want, 3);
        sy_spans_count((uint32_t)want[0], &noise, &spans);
        right += noise == (uint32_t)want[1] && spans == (uint32_t)want[2];
    }
    io_check(&e->io, right == json_array_size(counts) && right > 50, "golden counts of noise and spans (%zu)", right);
    json_decref(root);
    free(path);
}

static void test_span_draw(struct env *e)
{
    io_check(&e->io,
             sy_spans_raw_length(512, 114, 100) == 568 && sy_spans_raw_length(512, 114, 5) < 568 &&
                 sy_spans_raw_length(2, 2, 100) == 0 && sy_spans_raw_length(3, 3, 100) == 2,
             "512 and 114 take 568 raw tokens");
    // 0.15 · 190 = 28.5 exactly, half to even: 28; 0.15 · 210 = 31.5: 32.
    uint32_t noise, spans, kept[64], cut[64], again[64];
    sy_spans_count(190, &noise, &spans);
    bool good = noise == 28 && spans == 9;
    sy_spans_count(210, &noise, &spans);
    io_check(&e->io, good && noise == 32 && spans == 11, "halves go to even, in exact arithmetic");
    bool differ = false;
    for (uint64_t example = 0; example < 200; ++example) {
        uint32_t a = 0, b = 0;
        sy_spans_draw(7, example, 568, kept, cut);
        sy_spans_draw(7, example, 568, again, again + 32);
        good = good && memcmp(kept, again, 28 * 4) == 0 && memcmp(cut, again + 32, 28 * 4) == 0;
        for (int i = 0; i < 28; ++i) {
            good = good && kept[i] > 0 && cut[i] > 0;
            a += kept[i];
            b += cut[i];
        }
        good = good && a == 568 - 85 && b == 85;
        sy_spans_draw(8, example, 568, again, again + 32);
        differ = differ || memcmp(kept, again, 28 * 4) != 0;
    }
    io_check(&e->io, good && differ, "drawn runs are positive, complete, repeatable, and depend on the seed");
    // 20 raw tokens: 3 noise tokens in 1 run. 30: 4 in 1. 35: 5 in 2 runs: 1+4, 2+3, 3+2, 4+1, equally often.
    unsigned histogram[5] = {0};
    for (uint64_t example = 0; example < 8000; ++example) {
        sy_spans_draw(1, example, 35, kept, cut);
        ++histogram[cut[0]];
    }
    good = true;
    for (int i = 1; i < 5; ++i)
        good = good && histogram[i] > 1850 && histogram[i] < 2150; // 2000 ± 3.9 standard deviations
    io_check(&e->io, good, "all partitions are equally likely");
}

static void test_philox(struct env *e)
{
    char *path = in(e->data, "tables/philox4x32_10.json"), *text = NULL;
    size_t bytes = 0, right = 0;
    json_error_t error;
    if (sy_file_read(e->io.ctx, path, 1 << 20, &text, &bytes) != SY_OK)
        abort();
    json_t *root = json_loadb(text, bytes, 0, &error);
    for (size_t i = 0; i < json_array_size(root); ++i) {
        uint32_t v[10];
        for (size_t j = 0; j < 10; ++j) {
            const char *key = j < 4 ? "counter" : j < 6 ? "key" : "result";
            const json_t *list = json_object_get(json_array_get(root, i), key);
            v[j] = (uint32_t)strtoul(json_string_value(json_array_get(list, j < 4   ? j
                                                                            : j < 6 ? j - 4
                                                                                    : j - 6)),
                                     NULL, 16);
        }
        struct sy_u4 r = sy_philox(v[0], v[1], v[2], v[3], v[4], v[5]);
        right += r.x == v[6] && r.y == v[7] && r.z == v[8] && r.w == v[9];
    }
    io_check(&e->io, right == 6, "Philox4x32-10 on the host: published vectors");
    json_decref(root);
    free(text);
    free(path);
}

// ---- vocabularies ---------------------------------------------------------------------------------------------------

static char *round_trip(struct env *e, const struct sy_tokenizer *t, const char *text, uint32_t flags)
{
    int32_t *ids = NULL;
    size_t n = 0;
    char *back = NULL;
    if (sy_tokenizer_encode(e->io.ctx, t, text, strlen(text), flags, &ids, &n) == SY_OK &&
        sy_tokenizer_decode(e->io.ctx, t, ids, n, &back) != SY_OK)
        back = NULL;
    free(ids);
    return back;
}

static bool encodes(struct env *e, const struct sy_tokenizer *t, const char *text, uint32_t flags, const int32_t *want,
                    size_t n)
{
    int32_t *ids = NULL;
    size_t got = 0;
    bool good = sy_tokenizer_encode(e->io.ctx, t, text, strlen(text), flags, &ids, &got) == SY_OK && got == n &&
                memcmp(ids, want, n * sizeof *ids) == 0;
    free(ids);
    return good;
}

static void test_bytes(struct env *e)
{
    struct sy_tokenizer *t = NULL;
    bool good = sy_tokenizer_open(e->io.ctx, "bytes", 0, &t) == SY_OK && sy_tokenizer_vocab(t) == 384 &&
                sy_tokenizer_sentinels(t) == 125 && sy_tokenizer_sentinel(t, 0) == 383 &&
                sy_tokenizer_sentinel(t, 124) == 259 && sy_tokenizer_sentinel(t, 125) == -1 &&
                sy_tokenizer_pad(t) == 0 && sy_tokenizer_eos(t) == 1 && sy_tokenizer_unk(t) == 2 &&
                sy_tokenizer_is_bytes(t);
    io_check(&e->io, good, "bytes: 384 ids, 125 sentinels from the top");
    if (!good)
        return;
    const int32_t plain[] = {'a' + 3, 0xc3 + 3, 0xa4 + 3, 1};
    io_check(&e->io, encodes(e, t, "a\xc3\xa4", SY_ENCODE_EOS, plain, 4), "byte b is id b + 3");
    const int32_t marked[] = {'x' + 3, 383, 'y' + 3, 259};
    good = encodes(e, t, "x<extra_id_0>y<extra_id_124>", SY_ENCODE_SENTINELS, marked, 4);
    int32_t *ids = NULL;
    size_t n = 0;
    const char *text = "<extra_id_125><extra_id_00><extra_id_><extra_id_1";
    good = good && sy_tokenizer_encode(e->io.ctx, t, text, strlen(text), SY_ENCODE_SENTINELS, &ids, &n) == SY_OK &&
           n == strlen(text);
    io_check(&e->io, good, "sentinels in text, and what only looks like one");
    free(ids);
    char *back = round_trip(e, t, "Gr\xc3\xbc\xc3\x9f\x65 <extra_id_7>!", SY_ENCODE_SENTINELS | SY_ENCODE_EOS);
    io_check(&e->io, back != NULL && strcmp(back, "Gr\xc3\xbc\xc3\x9f\x65 <extra_id_7>!") == 0,
             "bytes decode to the text");
    free(back);
    const int32_t broken[] = {0, 0xc3 + 3, 'a' + 3, 2, 3, 258};
    back = NULL;
    good = sy_tokenizer_decode(e->io.ctx, t, broken, 6, &back) == SY_OK &&
           strcmp(back, "\xef\xbf\xbd"
                        "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd") == 0;
    io_check(&e->io, good, "broken UTF-8, NUL and unk decode to U+FFFD");
    free(back);
    const int32_t outside[] = {5, 384};
    io_fails(&e->io, sy_tokenizer_decode(e->io.ctx, t, outside, 2, &back), SY_INVALID, "token 1 is 384",
             "an id outside");
    good = sy_tokenizer_encode(e->io.ctx, t, "", 0, 0, &ids, &n) == SY_OK && n == 0 && ids != NULL;
    io_check(&e->io, good, "an empty text");
    free(ids);
    sy_tokenizer_close(&t);
    io_fails(&e->io, sy_tokenizer_open(e->io.ctx, "bytes", 259, &t), SY_INVALID, "vocab_size is 259",
             "a vocabulary too small");
    io_fails(&e->io, sy_tokenizer_open(e->io.ctx, e->scratch, 0, &t), SY_IO, "spiece.model",
             "a directory without a model");
}

/// Every line of inputs.txt against the ids that spm_encode wrote.
static void test_golden_ids(struct env *e, const char *model)
{
    char name[64], *directory = in(e->data, "tokenizer"), *texts = NULL, *ids_text = NULL;
    size_t n_texts = 0, n_ids = 0, lines = 0, right = 0;
    struct sy_tokenizer *t = NULL;
    snprintf(name, sizeof name, "%s.model", model);
    char *path = in(directory, name), *inputs = in(directory, "inputs.txt");
    snprintf(name, sizeof name, "%s.ids", model);
    char *want_path = in(directory, name);
    enum sy_status status = sy_tokenizer_open(e->io.ctx, path, 0, &t);
    if (status == SY_UNSUPPORTED) {
        tap_skip(&e->io.tap, "tokenizer %s: built without SentencePiece", model);
    } else if (status == SY_OK && sy_file_read(e->io.ctx, inputs, 1 << 20, &texts, &n_texts) == SY_OK &&
               sy_file_read(e->io.ctx, want_path, 1 << 20, &ids_text, &n_ids) == SY_OK) {
        for (char *line = texts, *want = ids_text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1, ++lines) {
            int32_t *ids = NULL;
            size_t n = 0, same = 0;
            if (sy_tokenizer_encode(e->io.ctx, t, line, (size_t)(end - line), 0, &ids, &n) != SY_OK)
                break;
            for (; *want != '\n' && *want != '\0'; want += strspn(want, " "))
                if (same < n && strtol(want, &want, 10) == ids[same])
                    ++same;
                else
                    want += strcspn(want, " \n");
            want += *want == '\n';
            right += same == n;
            free(ids);
        }
        io_check(&e->io, lines == 201 && right == lines, "tokenizer %s: %zu of %zu golden lines", model, right, lines);
    } else {
        io_check(&e->io, false, "tokenizer %s opens", model);
    }
    if (t != NULL)
        sy_tokenizer_close(&t);
    free(texts);
    free(ids_text);
    free(path);
    free(inputs);
    free(want_path);
    free(directory);
}

static void test_t5(struct env *e)
{
    char *path = in(e->data, "tokenizer/t5.model"), *back = NULL;
    struct sy_tokenizer *t = NULL;
    enum sy_status status = sy_tokenizer_open(e->io.ctx, path, 32128, &t);
    if (status == SY_UNSUPPORTED) {
        tap_skip(&e->io.tap, "T5's vocabulary: built without SentencePiece");
        free(path);
        return;
    }
    bool good = status == SY_OK && sy_tokenizer_sentinels(t) == 100 && sy_tokenizer_sentinel(t, 0) == 32099 &&
                sy_tokenizer_sentinel(t, 99) == 32000 && sy_tokenizer_pad(t) == 0 && sy_tokenizer_eos(t) == 1 &&
                sy_tokenizer_unk(t) == 2 && sy_tokenizer_vocab(t) == 32128 && !sy_tokenizer_is_bytes(t);
    io_check(&e->io, good, "T5: sentinels 32099 down to 32000 in 32128 ids");
    if (good) {
        const int32_t sentence[] = {100, 19, 3, 9, 794, 13, 8, 13218, 31220, 5, 1};
        io_check(&e->io, encodes(e, t, "This is a test of the Switch Transformer.", SY_ENCODE_EOS, sentence, 11),
                 "T5: a sentence");
        // The example of Hugging Face's documentation of T5.
        const int32_t marked[] = {37, 32099, 10681, 16, 32098, 2447, 1};
        good = encodes(e, t, "The <extra_id_0> walks in <extra_id_1> park", SY_ENCODE_SENTINELS | SY_ENCODE_EOS, marked,
                       7);
        io_check(&e->io, good, "T5: sentinels in text");
        back = round_trip(e, t, "The <extra_id_0> walks in <extra_id_1> park", SY_ENCODE_SENTINELS | SY_ENCODE_EOS);
        io_check(&e->io, back != NULL && strcmp(back, "The <extra_id_0> walks in <extra_id_1> park") == 0,
                 "T5: and back");
        free(back);
        const int32_t unused[] = {100, 32127};
        back = NULL;
        good = sy_tokenizer_decode(e->io.ctx, t, unused, 2, &back) == SY_OK && strcmp(back, "This \xef\xbf\xbd") == 0;
        io_check(&e->io, good, "T5: an id without a piece");
        free(back);
        sy_tokenizer_close(&t);
    }
    io_fails(&e->io, sy_tokenizer_open(e->io.ctx, path, 32000, &t), SY_INVALID, "do not belong together",
             "a V below the pieces");
    free(path);
}

static void test_hostile_models(struct env *e)
{
    static const struct {
        const char *what, *bytes;
        size_t count;
    } cases[] = {
        {"nothing", "", 0},
        {"text", "hello world", 11},
        {"a cut-off piece", "\x0a\x10\x0a\x03", 4},
        {"a piece without text", "\x0a\x05\x15\0\0\0\0", 7},
        {"a score that is no number",
         "\x0a\x08\x0a\x01"
         "a\x15\0\0\xc0\x7f",
         10},
        {"an endless varint", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11},
        {"a cut-off normaliser",
         "\x0a\x03\x0a\x01"
         "a\x1a\x7f\x12",
         8},
        {"a normalisation table of nothing but a size",
         "\x0a\x03\x0a\x01"
         "a\x1a\x06\x12\x04\0\0\0\x7f",
         13},
    };
    char *model = in(e->data, "tokenizer/t5.model"), *data = NULL;
    struct sy_tokenizer *t = NULL;
    if (sy_tokenizer_open(e->io.ctx, model, 0, &t) == SY_UNSUPPORTED) {
        tap_skip(&e->io.tap, "hostile SentencePiece models: built without SentencePiece");
        free(model);
        return;
    }
    if (t != NULL)
        sy_tokenizer_close(&t);
    for (size_t i = 0; i < SY_COUNT(cases); ++i) {
        char *path = make_file(e, "bad.model", cases[i].bytes, cases[i].count);
        io_fails(&e->io, sy_tokenizer_open(e->io.ctx, path, 0, &t), SY_FORMAT, "not a usable SentencePiece model",
                 cases[i].what);
        free(path);
    }
    size_t bytes = 0, refused = 0;
    if (sy_file_read(e->io.ctx, model, 1 << 24, &data, &bytes) == SY_OK) {
        for (size_t i = 1; i <= 5; ++i) // cut inside the table, and in the pieces
            refused += sy_spm_check(e->io.ctx, data, bytes - 1 - i * i * i * 97, "cut") == SY_FORMAT;
        uint8_t *at = memmem(data, bytes, "nmt_nfkc", 8);
        for (size_t i = 0; at != NULL && i < 64; ++i) // the table's size field and its first nodes
            at[12 + i] ^= 0xff;
        refused += sy_spm_check(e->io.ctx, data, bytes, "twisted") == SY_FORMAT;
    }
    io_check(&e->io, refused == 6, "T5's model, cut off and twisted: %zu of 6 refused", refused);
    free(data);
    free(model);
}

// ---- readers --------------------------------------------------------------------------------------------------------

struct collected {
    char text[4096];
    size_t bytes, calls;
};

static enum sy_status collect(void *user, const char *text, size_t bytes)
{
    struct collected *c = user;
    size_t n = bytes < sizeof c->text - c->bytes ? bytes : sizeof c->text - c->bytes;
    memcpy(c->text + c->bytes, text, n);
    c->bytes += n;
    ++c->calls;
    return SY_OK;
}

static enum sy_status collect_pair(void *user, const char *inputs, size_t inputs_bytes, const char *targets,
                                   size_t targets_bytes)
{
    SY_TRY(collect(user, inputs, inputs_bytes));
    SY_TRY(collect(user, ">", 1));
    return collect(user, targets, targets_bytes);
}

static bool reads(struct env *e, const char *name, const char *text, size_t bytes, const char *want)
{
    struct collected c = {.bytes = 0};
    char *path = make_file(e, name, text, bytes);
    bool good = sy_text_read(e->io.ctx, path, collect, &c) == SY_OK && c.bytes == strlen(want) &&
                memcmp(c.text, want, c.bytes) == 0;
    free(path);
    return good;
}

static void refuses(struct env *e, const char *name, const char *text, size_t bytes, const char *word, const char *what)
{
    struct collected c = {.bytes = 0};
    char *path = make_file(e, name, text, bytes);
    enum sy_status got = sy_text_read(e->io.ctx, path, collect, &c);
    io_fails(&e->io, got, SY_FORMAT, word, what);
    io_check(&e->io, strstr(sy_error(e->io.ctx), name) != NULL, "… and the message names the file");
    free(path);
}

// "one\ntwo\n" as gzip writes it.
static const char gzipped[] =
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\xcf\x4b\xe5\x2a\x29\xcf\xe7\x02\x00\xe6\x0b\xba\x12\x08\x00\x00\x00";

static void test_text(struct env *e)
{
    io_check(&e->io, reads(e, "a.txt", "one\n\n two", 9, "one\n\n two"), "plain text stays as it is");
    io_check(&e->io, reads(e, "a.txt", "\xef\xbb\xbfone\n", 7, "one\n"), "a byte order mark is skipped");
    io_check(&e->io, reads(e, "a.jsonl", "{\"text\":\"a\\nb\"}\n\n{\"x\":1,\"text\":\"c\\n\"}", 37, "a\nb\nc\n"),
             "JSON lines");
    refuses(e, "empty.txt", "", 0, "is empty", "an empty file");
    refuses(e, "binary.txt", "abc\0def", 7, "byte 3 is NUL", "a NUL");
    refuses(e, "wide.txt", "a\0b\0", 4, "NUL", "UTF-16");
    char latin[2000];
    memset(latin, 'x', sizeof latin);
    for (size_t i = 0; i < sizeof latin; i += 50)
        latin[i] = '\xe4';
    refuses(e, "latin.txt", latin, sizeof latin, "not UTF-8", "Latin-1");
    for (size_t i = 50; i < sizeof latin; i += 50)
        latin[i] = 'x';
    unsigned before = e->io.warnings;
    char *path = make_file(e, "mostly.txt", latin, sizeof latin);
    struct collected c = {.bytes = 0};
    io_check(&e->io,
             sy_text_read(e->io.ctx, path, collect, &c) == SY_OK && c.bytes == sizeof latin &&
                 e->io.warnings == before + 1,
             "one wrong byte is a warning");
    free(path);
    refuses(e, "b.jsonl", "{\"text\":\"a\"}\nnot json\n", 22, "line 2", "a line that is no JSON");
    refuses(e, "b.jsonl", "{\"txt\":\"a\"}\n", 12, "string \"text\", found none", "a line without text");
    refuses(e, "b.jsonl", "[1]\n", 4, "line 1", "a line that is no object");
    refuses(e, "b.jsonl", "\n \n", 3, "holds no text", "blank lines only");
    io_fails(&e->io, sy_text_read(e->io.ctx, e->scratch, collect, &c), SY_IO, e->scratch, "a directory");
    io_fails(&e->io, sy_text_read(e->io.ctx, "no/such.txt", collect, &c), SY_IO, "no/such.txt", "no file");
}

static void test_gzip(struct env *e)
{
    struct collected c = {.bytes = 0};
    char *path = make_file(e, "c.gz", gzipped, sizeof gzipped - 1);
    enum sy_status status = sy_text_read(e->io.ctx, path, collect, &c);
    free(path);
    if (status == SY_UNSUPPORTED) {
        tap_skip(&e->io.tap, "gzip: built without zlib");
        return;
    }
    io_check(&e->io, status == SY_OK && c.bytes == 8 && memcmp(c.text, "one\ntwo\n", 8) == 0, "gzip");
    refuses(e, "cut.gz", gzipped, sizeof gzipped - 12, "cut off", "a cut-off gzip file");
    char damaged[sizeof gzipped];
    memcpy(damaged, gzipped, sizeof gzipped);
    damaged[sizeof gzipped - 7] ^= 1; // the checksum
    refuses(e, "bad.gz", damaged, sizeof gzipped - 1, "damaged gzip", "a damaged gzip file");
}

static void test_pairs(struct env *e)
{
    static const char text[] = "{\"inputs\":\"a\",\"targets\":\"b\"}\n{\"inputs\":\"\",\"targets\":\"c\"}\n";
    struct collected c = {.bytes = 0};
    char *path = make_file(e, "p.jsonl", text, sizeof text - 1);
    bool good =
        sy_pairs_read(e->io.ctx, path, collect_pair, &c) == SY_OK && c.bytes == 5 && memcmp(c.text, "a>b>c", 5) == 0;
    io_check(&e->io, good, "pairs");
    free(path);
    path = make_file(e, "p.jsonl", "{\"inputs\":\"a\",\"target\":\"b\"}\n", 28);
    io_fails(&e->io, sy_pairs_read(e->io.ctx, path, collect_pair, &c), SY_FORMAT, "\"targets\"",
             "a pair without targets");
    free(path);
}

/// Lines longer than a block, and blocks that end inside one.
static void test_long_lines(struct env *e)
{
    size_t bytes = 5u << 20, lengths[] = {3000000, 10, 1048575, 1, 700000};
    char *text = malloc(bytes);
    if (text == NULL)
        abort();
    memset(text, 'l', bytes);
    for (size_t i = 0, at = 0; at < bytes; at += lengths[i++ % 5])
        text[at] = '\n';
    char *path = make_file(e, "long.txt", text, bytes);
    struct sy_tokenizer *t = NULL;
    struct sy_dataset *ds = NULL;
    const char *const files[] = {path};
    struct sy_data_source source = {.files = files, .file_count = 1};
    bool good = sy_tokenizer_open(e->io.ctx, "bytes", 0, &t) == SY_OK;
    struct sy_dataset_params p = {.sources = &source, .source_count = 1, .tokenizer = t, .src_len = 64, .tgt_len = 32};
    good = good && sy_dataset_open(e->io.ctx, &p, &ds) == SY_OK && sy_dataset_tokens(ds) == bytes;
    io_check(&e->io, good, "lines longer than the reader's block");
    sy_dataset_close(&ds);
    sy_tokenizer_close(&t);
    free(text);
    free(path);
}

// ---- datasets -------------------------------------------------------------------------------------------------------

static bool same_batch(const struct sy_batch *a, const struct sy_batch *b, uint32_t row_a, uint32_t row_b)
{
    return memcmp(a->input_ids + row_a * a->src_len, b->input_ids + row_b * b->src_len, a->src_len * 4) == 0 &&
           memcmp(a->attention_mask + row_a * a->src_len, b->attention_mask + row_b * b->src_len, a->src_len * 4) ==
               0 &&
           memcmp(a->labels + row_a * a->tgt_len, b->labels + row_b * b->tgt_len, a->tgt_len * 4) == 0;
}

/// Puts the cut-out runs back in their places; the length, or 0 when the row is no span corruption.
static uint32_t restore(const struct sy_batch *b, uint32_t row, int32_t first_sentinel, int32_t *out)
{
    const int32_t *in_ids = b->input_ids + row * b->src_len, *labels = b->labels + row * b->tgt_len;
    uint32_t n = 0, at = 0;
    int32_t sentinel = first_sentinel;
    for (uint32_t i = 0; i < b->src_len && in_ids[i] != 1; ++i) {
        if (in_ids[i] != sentinel) {
            out[n++] = in_ids[i];
            continue;
        }
        if (labels[at++] != sentinel--)
            return 0;
        while (labels[at] != sentinel && labels[at] != 1)
            out[n++] = labels[at++];
    }
    return labels[at] == 1 ? n : 0;
}

static char *make_corpus(struct env *e, const char *name, size_t bytes, char letter)
{
    char *text = malloc(bytes);
    if (text == NULL)
        abort();
    for (size_t i = 0; i < bytes; ++i) // every place has its own surroundings, so that segments can be told apart
        text[i] = (char)(i % 61 == 60 ? '\n' : letter == '\0' ? 'a' + (char)(i * i / 7 % 26) : letter);
    char *path = make_file(e, name, text, bytes);
    free(text);
    return path;
}

static void test_dataset(struct env *e)
{
    char *path = make_corpus(e, "corpus.txt", 568 * 20 + 100, '\0');
    const char *const files[] = {path};
    struct sy_tokenizer *t = NULL;
    struct sy_dataset *ds = NULL, *again = NULL;
    struct sy_batch a = {0}, b = {0};
    struct sy_data_source source = {.files = files, .file_count = 1};
    if (sy_tokenizer_open(e->io.ctx, "bytes", 0, &t) != SY_OK)
        abort();
    struct sy_dataset_params p = {
        .sources = &source, .source_count = 1, .tokenizer = t, .src_len = 512, .tgt_len = 114, .seed = 5};
    bool good =
        sy_dataset_open(e->io.ctx, &p, &ds) == SY_OK && sy_dataset_count(ds) == 20 && sy_dataset_segment(ds) == 568;
    io_check(&e->io, good, "a corpus in segments of 568 tokens");
    if (!good)
        abort();
    char *text = NULL;
    size_t bytes;
    int32_t raw[2048];
    bool seen[20] = {false}, full = true;
    unsigned found = 0;
    if (sy_file_read(e->io.ctx, path, 1 << 20, &text, &bytes) != SY_OK ||
        sy_dataset_batch(e->io.ctx, ds, 0, 20, &a) != SY_OK)
        abort();
    for (uint32_t row = 0; row < 20; ++row) {
        uint32_t n = restore(&a, row, 383, raw);
        for (unsigned segment = 0; segment < 20 && n == 568; ++segment) {
            bool same = true;
            for (uint32_t i = 0; i < n && same; ++i)
                same = raw[i] == (uint8_t)text[segment * 568 + i] + 3;
            found += same && !seen[segment];
            seen[segment] = seen[segment] || same;
        }
        full = full && a.attention_mask[row * 512 + 511] == 1 && a.labels[row * 114 + 113] == 1;
    }
    io_check(&e->io, found == 20 && full, "one pass shows every segment once, intact, and fills 512 and 114 exactly");
    good = sy_dataset_batch(e->io.ctx, ds, 20, 20, &b) == SY_OK;
    unsigned repeated = 0;
    for (uint32_t row = 0; row < 20; ++row)
        repeated += same_batch(&a, &b, row, row);
    io_check(&e->io, good && repeated < 3, "the next pass has another order and other noise");
    good =
        sy_dataset_open(e->io.ctx, &p, &again) == SY_OK && sy_dataset_fingerprint(again) == sy_dataset_fingerprint(ds);
    for (uint32_t row = 0; row < 20 && good; ++row)
        good = sy_dataset_batch(e->io.ctx, again, 19 - row, 1, &b) == SY_OK && same_batch(&a, &b, 19 - row, 0);
    io_check(&e->io, good, "any example can be made alone, in any order, by another process");
    sy_dataset_close(&again);
    p.seed = 6;
    good = sy_dataset_open(e->io.ctx, &p, &again) == SY_OK &&
           sy_dataset_fingerprint(again) != sy_dataset_fingerprint(ds) &&
           sy_dataset_batch(e->io.ctx, again, 0, 20, &b) == SY_OK && !same_batch(&a, &b, 0, 0);
    io_check(&e->io, good, "another seed, other examples");
    sy_dataset_close(&again);
    p.in_order = true;
    good = sy_dataset_open(e->io.ctx, &p, &again) == SY_OK && sy_dataset_batch(e->io.ctx, again, 0, 1, &a) == SY_OK &&
           sy_dataset_batch(e->io.ctx, again, 20, 1, &b) == SY_OK && same_batch(&a, &b, 0, 0) &&
           restore(&a, 0, 383, raw) == 568 && raw[0] == text[0] + 3;
    io_check(&e->io, good, "held-out data comes in order, the same every time");
    sy_dataset_close(&again);
    sy_dataset_close(&ds);
    sy_batch_finish(&a);
    sy_batch_finish(&b);
    sy_tokenizer_close(&t);
    free(text);
    free(path);
}

static void test_dataset_edges(struct env *e)
{
    char *path = make_file(e, "short.txt", "hello world", 11), *tiny = make_file(e, "tiny.txt", "h", 1);
    const char *const files[] = {path}, *const tiny_files[] = {tiny};
    struct sy_tokenizer *t = NULL;
    struct sy_dataset *ds = NULL;
    struct sy_batch b = {0};
    struct sy_data_source source = {.files = files, .file_count = 1};
    if (sy_tokenizer_open(e->io.ctx, "bytes", 0, &t) != SY_OK)
        abort();
    struct sy_dataset_params p = {.sources = &source, .source_count = 1, .tokenizer = t, .src_len = 64, .tgt_len = 16};
    int32_t raw[64];
    bool good = sy_dataset_open(e->io.ctx, &p, &ds) == SY_OK && sy_dataset_count(ds) == 1 &&
                sy_dataset_batch(e->io.ctx, ds, 3, 2, &b) == SY_OK && restore(&b, 0, 383, raw) == 11 &&
                b.input_ids[63] == 0 && b.attention_mask[63] == 0 && b.labels[15] == SY_IGNORE &&
                b.attention_mask[10] == 1 && b.attention_mask[11] == 0;
    io_check(&e->io, good, "a text shorter than a segment is padded");
    sy_dataset_close(&ds);
    source.files = tiny_files;
    io_fails(&e->io, sy_dataset_open(e->io.ctx, &p, &ds), SY_INVALID, "too few", "one byte of text");
    source.files = files;
    p.tgt_len = 2;
    io_fails(&e->io, sy_dataset_open(e->io.ctx, &p, &ds), SY_INVALID, "too short", "targets too short for one span");
    p.tgt_len = 16;
    source.file_count = 0;
    io_fails(&e->io, sy_dataset_open(e->io.ctx, &p, &ds), SY_INVALID, "names no file", "no file");
    io_fails(&e->io, sy_batch_resize(e->io.ctx, 1u << 31, 64, 64, 0, &b), SY_INVALID, "fewer than 2^31",
             "a batch too large");
    sy_batch_finish(&b);
    sy_tokenizer_close(&t);
    free(path);
    free(tiny);
}

static void test_pair_dataset(struct env *e)
{
    static const char text[] =
        "{\"inputs\":\"abcdefgh\",\"targets\":\"x<extra_id_0>\"}\n{\"inputs\":\"b\",\"targets\":\"yz\"}\n";
    char *path = make_file(e, "pairs.jsonl", text, sizeof text - 1);
    const char *const files[] = {path};
    struct sy_tokenizer *t = NULL;
    struct sy_dataset *ds = NULL;
    struct sy_batch b = {0};
    struct sy_data_source source = {.files = files, .file_count = 1};
    if (sy_tokenizer_open(e->io.ctx, "bytes", 0, &t) != SY_OK)
        abort();
    struct sy_dataset_params p = {.sources = &source,
                                  .source_count = 1,
                                  .tokenizer = t,
                                  .objective = SY_OBJECTIVE_PAIRS,
                                  .src_len = 5,
                                  .tgt_len = 4,
                                  .in_order = true};
    const int32_t inputs[] = {'a' + 3, 'b' + 3, 'c' + 3, 'd' + 3, 1, 'b' + 3, 1, 0, 0, 0};
    const int32_t labels[] = {'x' + 3, 383, 1, SY_IGNORE, 'y' + 3, 'z' + 3, 1, SY_IGNORE};
    bool good = sy_dataset_open(e->io.ctx, &p, &ds) == SY_OK && sy_dataset_count(ds) == 2 &&
                sy_dataset_segment(ds) == 0 && sy_dataset_batch(e->io.ctx, ds, 0, 2, &b) == SY_OK &&
                memcmp(b.input_ids, inputs, sizeof inputs) == 0 && memcmp(b.labels, labels, sizeof labels) == 0;
    io_check(&e->io, good, "pairs: cut to length with eos, padded");
    sy_dataset_close(&ds);
    sy_batch_finish(&b);
    sy_tokenizer_close(&t);
    free(path);
}

/// Which source a row came from: the corpora use one letter each. −1: none.
static int row_source(const struct sy_batch *b, uint32_t row)
{
    int32_t id = b->input_ids[row * b->src_len];
    id = id == '\n' + 3 ? b->input_ids[row * b->src_len + 1] : id;
    return id >= 'p' + 3 && id <= 'r' + 3 ? id - 'p' - 3 : -1;
}

static void test_mixture(struct env *e)
{
    char *paths[3] = {make_corpus(e, "p.txt", 40000, 'p'), make_corpus(e, "q.txt", 4000, 'q'),
                      make_corpus(e, "r.txt", 400, 'r')};
    const char *const files[3] = {paths[0], paths[1], paths[2]};
    struct sy_data_source sources[3];
    for (int i = 0; i < 3; ++i)
        sources[i] = (struct sy_data_source){.files = &files[i], .file_count = 1, .rate = i == 1 ? 2 : 1};
    struct sy_tokenizer *t = NULL;
    struct sy_dataset *ds = NULL;
    struct sy_batch b = {0}, one = {0};
    if (sy_tokenizer_open(e->io.ctx, "bytes", 0, &t) != SY_OK)
        abort();
    struct sy_dataset_params p = {.sources = sources,
                                  .source_count = 3,
                                  .tokenizer = t,
                                  .mixing = SY_MIX_RATE,
                                  .src_len = 24,
                                  .tgt_len = 12,
                                  .seed = 9};
    unsigned count[3] = {0}, bad = 0;
    bool good = sy_dataset_open(e->io.ctx, &p, &ds) == SY_OK && sy_dataset_share(ds, 1) == 0.5 &&
                sy_dataset_share(ds, 3) == 0 && sy_dataset_batch(e->io.ctx, ds, 65536, 65536, &b) == SY_OK;
    for (uint32_t row = 0; good && row < 65536; ++row) {
        int source = row_source(&b, row);
        bad += source < 0;
        ++count[source < 0 ? 0 : source];
    }
    io_check(&e->io, good && bad == 0 && count[0] == 16384 && count[1] == 32768 && count[2] == 16384,
             "mixture by rate: exact shares in every block (%u, %u, %u)", count[0], count[1], count[2]);
    unsigned first[3] = {0};
    for (uint32_t row = 0; good && row < 4000; ++row)
        ++first[row_source(&b, row) < 0 ? 0 : row_source(&b, row)];
    io_check(&e->io, first[0] > 880 && first[0] < 1120 && first[1] > 1870 && first[1] < 2130,
             "mixture: well mixed within a block");
    good = sy_dataset_batch(e->io.ctx, ds, 65536 + 777, 1, &one) == SY_OK && same_batch(&b, &one, 777, 0);
    io_check(&e->io, good, "mixture: any example alone");
    sy_dataset_close(&ds);
    p.mixing = SY_MIX_SIZE;
    p.exponent = 0.3;
    // 40000^.3 : 4000^.3 : 400^.3 = 1 : 10^-.3 : 10^-.6
    good = sy_dataset_open(e->io.ctx, &p, &ds) == SY_OK && sy_dataset_share(ds, 0) > 0.5706 &&
           sy_dataset_share(ds, 0) < 0.5707 && sy_dataset_share(ds, 1) > 0.2859 && sy_dataset_share(ds, 1) < 0.2861 &&
           sy_dataset_share(ds, 0) + sy_dataset_share(ds, 1) + sy_dataset_share(ds, 2) == 1;
    io_check(&e->io, good, "mixture by temperature 0.3: %.5f %.5f", good ? sy_dataset_share(ds, 0) : 0,
             good ? sy_dataset_share(ds, 1) : 0);
    sy_dataset_close(&ds);
    sources[1].rate = 0;
    p.mixing = SY_MIX_RATE;
    io_fails(&e->io, sy_dataset_open(e->io.ctx, &p, &ds), SY_INVALID, "rate 0", "a source that never comes");
    sy_batch_finish(&b);
    sy_batch_finish(&one);
    sy_tokenizer_close(&t);
    for (int i = 0; i < 3; ++i)
        free(paths[i]);
}

// ---- batches from files ---------------------------------------------------------------------------------------------

static void test_batch_files(struct env *e)
{
    int32_t ids[6] = {5, 6, 1, 7, 1, 0}, mask[6] = {1, 1, 1, 1, 1, 0};
    int64_t labels[4] = {8, 1, 1, SY_IGNORE};
    struct sy_tensor_spec specs[] = {
        {.name = "input_ids", .dtype = SY_ST_I32, .ndim = 2, .shape = {2, 3}, .data = ids},
        {.name = "attention_mask", .dtype = SY_ST_I32, .ndim = 2, .shape = {2, 3}, .data = mask},
        {.name = "labels", .dtype = SY_ST_I64, .ndim = 2, .shape = {2, 2}, .data = labels},
    };
    char *path = in(e->scratch, "batch.safetensors");
    struct sy_batch b = {0};
    bool good = sy_tensors_save(e->io.ctx, path, specs, 3) == SY_OK && sy_batch_load(e->io.ctx, path, 9, &b) == SY_OK &&
                b.batch == 2 && b.src_len == 3 && b.tgt_len == 2 && memcmp(b.input_ids, ids, sizeof ids) == 0 &&
                b.labels[3] == SY_IGNORE && b.labels[0] == 8;
    io_check(&e->io, good, "a batch from a file");
    io_fails(&e->io, sy_batch_load(e->io.ctx, path, 8, &b), SY_FORMAT, "labels[0, 0] is 8, expected 0 … 7 or -100",
             "a label outside");
    io_fails(&e->io, sy_batch_load(e->io.ctx, path, 7, &b), SY_FORMAT, "input_ids[1, 0] is 7", "an id outside");
    mask[4] = 2;
    good = sy_tensors_save(e->io.ctx, path, specs, 3) == SY_OK;
    io_fails(&e->io, sy_batch_load(e->io.ctx, path, 9, &b), SY_FORMAT, "attention_mask[1, 1] is 2", "a mask of 2");
    specs[1].shape[1] = 2;
    good = good && sy_tensors_save(e->io.ctx, path, specs, 3) == SY_OK;
    io_fails(&e->io, sy_batch_load(e->io.ctx, path, 9, &b), SY_FORMAT, "attention_mask has shape [2, 2]",
             "a mask of another shape");
    good = good && sy_tensors_save(e->io.ctx, path, specs + 1, 2) == SY_OK;
    io_fails(&e->io, sy_batch_load(e->io.ctx, path, 9, &b), SY_FORMAT, "input_ids is missing", "no ids");
    io_check(&e->io, good && b.batch == 2 && b.input_ids[0] == 5, "a failed load leaves the batch alone");
    sy_batch_finish(&b);
    free(path);
}

int main(int argc, char **argv)
{
    struct env e = {.data = argc > 1 ? argv[1] : "tests/data"};
    e.io.ctx = sy_ctx_create(io_log, &e.io, SY_LOG_WARN);
    if (e.io.ctx == NULL || !io_directory(e.scratch, sizeof e.scratch))
        return 2;
    test_files(&e);
    test_span_table(&e);
    test_span_draw(&e);
    test_philox(&e);
    test_bytes(&e);
    test_golden_ids(&e, "t5");
    test_golden_ids(&e, "seqio_test");
    test_t5(&e);
    test_hostile_models(&e);
    test_text(&e);
    test_gzip(&e);
    test_pairs(&e);
    test_long_lines(&e);
    test_dataset(&e);
    test_dataset_edges(&e);
    test_pair_dataset(&e);
    test_mixture(&e);
    test_batch_files(&e);
    if (sy_dir_remove(e.io.ctx, e.scratch) != SY_OK)
        return 2;
    return io_end(&e.io);
}
