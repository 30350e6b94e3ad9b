// SPDX-License-Identifier: Apache-2.0
// data.c: tests of files, vocabularies and span corruption.
// Usage: data TEST_DATA_DIRECTORY
#include <unistd.h>

#include "engine/data/sentencepiece.h"
#include "engine/data/spans.h"
#include "engine/data/tokenizer.h"
#include "engine/json.h"
#include "kernels/philox.h"
#include "tests/data_env.h"

// ---- files ----------------------------------------------------------------------------------------------------------

/// A file written in odd pieces, some longer than a block of the writer's.
static void test_sums(struct env *e)
{
    enum { LONGEST = 3000001 };
    char hex[33], *path = in(e->scratch, "pieces"), *data = malloc(LONGEST);
    uint64_t bytes = 0, all = 0;
    struct sy_file *file = NULL;
    struct sy_file_sums sums = {0};
    bool good = path != NULL && data != NULL && sy_file_create(e->io.ctx, path, &file) == SY_OK;
    for (size_t i = 0; good && i < LONGEST; ++i)
        data[i] = (char)(i * 2654435761u >> 24);
    for (size_t n = LONGEST; good && n > 0; all += n, n /= 7)
        good = sy_file_append(file, data, n) == SY_OK;
    good = good && sy_file_sums_add(file, NULL) == SY_OK && sy_file_sums_add(file, &sums) == SY_OK;
    good = good && sy_file_commit(&file) == SY_OK && sy_file_hash(e->io.ctx, path, hex, &bytes) == SY_OK;
    const struct sy_file_sum *sum = sy_file_sums_find(&sums, "pieces");
    good = good && sum != NULL && bytes == all && sum->bytes == bytes && strcmp(sum->hex, hex) == 0;
    io_check(&e->io, good && sy_file_sums_find(&sums, "piece") == NULL, "the sum made while writing is the file's");
    sy_file_sums_finish(&sums);
    sy_file_abort(&file);
    free(data);
    free(path);
}

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
    test_sums(e);
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

/// A line too long for the library: its words get the ids they have alone, as they do not in one piece.
static void test_long_text(struct env *e)
{
    char *path = in(e->data, "tokenizer/t5.model");
    struct sy_tokenizer *t = NULL;
    enum sy_status status = sy_tokenizer_open(e->io.ctx, path, 0, &t);
    free(path);
    if (status == SY_UNSUPPORTED) {
        tap_skip(&e->io.tap, "long lines: built without SentencePiece");
        return;
    }
    const size_t bytes = 3u << 20;
    char *text = malloc(bytes);
    int32_t *want = malloc(bytes * sizeof *want), *got = NULL;
    size_t wanted = 0, count = 0;
    if (text == NULL || want == NULL || status != SY_OK)
        abort();
    uint32_t random = 1;
    bool good = true;
    for (size_t at = 0; at < bytes;) {
        random = random * 1664525 + 1013904223;
        size_t n = 1 + (random >> 16) % 12;
        n = n < bytes - at ? n : bytes - at;
        for (size_t i = 0; i < n; ++i) {
            random = random * 1664525 + 1013904223;
            text[at + i] = (char)('a' + (random >> 16) % 26);
        }
        int32_t *word = NULL;
        size_t ids = 0;
        good = good && sy_tokenizer_encode(e->io.ctx, t, text + at, n, 0, &word, &ids) == SY_OK;
        if (word != NULL)
            memcpy(want + wanted, word, ids * sizeof *word);
        wanted += ids;
        free(word);
        at += n;
        if (at < bytes)
            text[at++] = ' ';
    }
    good = good && sy_tokenizer_encode(e->io.ctx, t, text, bytes, 0, &got, &count) == SY_OK;
    size_t same = 0;
    while (good && same < count && same < wanted && got[same] == want[same])
        ++same;
    io_check(&e->io, good && same == count && same == wanted && same > 1000000,
             "3 MiB in one line: %zu of %zu ids as alone", same, wanted);
    free(got);
    text[100] = text[101] = ' '; // a run of spaces, and one at either end
    text[0] = text[bytes - 1] = ' ';
    int32_t *again = NULL, *part = NULL;
    size_t n = 0, m = 0;
    good = sy_tokenizer_encode(e->io.ctx, t, text, bytes, 0, &again, &n) == SY_OK &&
           sy_tokenizer_encode(e->io.ctx, t, text, 2000, 0, &part, &m) == SY_OK && m > 16 && n > m &&
           memcmp(again, part, (m - 16) * sizeof *part) == 0;
    io_check(&e->io, good, "a long line with runs of spaces begins as a short one does");
    free(again);
    free(part);
    free(text);
    free(want);
    sy_tokenizer_close(&t);
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
    test_long_text(&e);
    test_hostile_models(&e);
    if (sy_dir_remove(e.io.ctx, e.scratch) != SY_OK)
        return 2;
    return io_end(&e.io);
}
