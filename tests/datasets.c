// SPDX-License-Identifier: Apache-2.0
// datasets.c: tests of datasets and batch files.
// Usage: datasets TEST_DATA_DIRECTORY
#include <unistd.h>

#include "engine/data/batch.h"
#include "engine/safetensors.h"
#include "tests/data_env.h"

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
        sy_dataset_open(e->io.ctx, &p, &ds) == SY_OK && sy_dataset_count(ds) == 21 && sy_dataset_segment(ds) == 568;
    io_check(&e->io, good, "a corpus in segments of 568 tokens, and a rest");
    if (!good)
        abort();
    char *text = NULL;
    size_t bytes;
    int32_t raw[2048];
    bool seen[21] = {false}, full = true;
    unsigned found = 0;
    if (sy_file_read(e->io.ctx, path, 1 << 20, &text, &bytes) != SY_OK ||
        sy_dataset_batch(e->io.ctx, ds, 0, 21, &a) != SY_OK)
        abort();
    for (uint32_t row = 0; row < 21; ++row) {
        uint32_t n = restore(&a, row, 383, raw);
        for (unsigned segment = 0; segment < 21; ++segment) {
            bool same = n == (segment < 20 ? 568 : 100);
            for (uint32_t i = 0; i < n && same; ++i)
                same = raw[i] == (uint8_t)text[segment * 568 + i] + 3;
            found += same && !seen[segment];
            seen[segment] = seen[segment] || same;
        }
        full = full && (n == 100 || (a.attention_mask[row * 512 + 511] == 1 && a.labels[row * 114 + 113] == 1));
    }
    io_check(&e->io, found == 21 && full, "one pass shows every segment once, intact, and fills 512 and 114 exactly");
    good = sy_dataset_batch(e->io.ctx, ds, 21, 21, &b) == SY_OK;
    unsigned repeated = 0;
    for (uint32_t row = 0; row < 21; ++row)
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
           sy_dataset_batch(e->io.ctx, again, 0, 21, &b) == SY_OK && !same_batch(&a, &b, 0, 0);
    io_check(&e->io, good, "another seed, other examples");
    sy_dataset_close(&again);
    p.in_order = true;
    good = sy_dataset_open(e->io.ctx, &p, &again) == SY_OK && sy_dataset_batch(e->io.ctx, again, 0, 1, &a) == SY_OK &&
           sy_dataset_batch(e->io.ctx, again, 21, 1, &b) == SY_OK && same_batch(&a, &b, 0, 0) &&
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

/// How often each token of a held-out stream is shown; false: a row is not what it was made of.
static bool count_tokens(struct env *e, const struct sy_dataset *ds, const char *stream, unsigned *times)
{
    struct sy_batch b = {0};
    int32_t raw[2048];
    const uint32_t examples = (uint32_t)sy_dataset_count(ds), tokens = (uint32_t)sy_dataset_tokens(ds);
    bool good = sy_dataset_batch(e->io.ctx, ds, 0, examples, &b) == SY_OK;
    uint32_t at = 0;
    for (uint32_t row = 0; good && row < examples; ++row) {
        const uint32_t n = restore(&b, row, 383, raw);
        good = n >= 2 && n <= tokens;
        at = good && row + 1 == examples ? tokens - n : at; // it may begin before the end of the one before
        good = good && at + n <= tokens;
        for (uint32_t i = 0; good && i < n; ++i) {
            good = raw[i] == (uint8_t)stream[at + i] + 3;
            ++times[at + i];
        }
        at += n;
    }
    sy_batch_finish(&b);
    return good && at == tokens;
}

/// Texts of every length in two files: each token is in one example.
static void test_every_token(struct env *e)
{
    static const char text[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    struct sy_tokenizer *t = NULL;
    if (sy_tokenizer_open(e->io.ctx, "bytes", 0, &t) != SY_OK)
        abort();
    static const uint32_t lengths[][3] = {{9, 6, 9}, {3, 3, 2}, {4, 3, 3}};
    for (size_t k = 0; k < SY_COUNT(lengths); ++k) {
        unsigned wrong = 0, right = 0;
        uint32_t segment = 0;
        for (size_t bytes = 2; bytes <= 40; ++bytes) {
            const size_t cut = bytes / 3;
            char *one = make_file(e, "one.txt", text, cut), *two = make_file(e, "two.txt", text + cut, bytes - cut);
            const char *const files[] = {one, two};
            struct sy_data_source source = {.files = files, .file_count = 2};
            struct sy_dataset_params p = {.sources = &source,
                                          .source_count = 1,
                                          .tokenizer = t,
                                          .src_len = lengths[k][0],
                                          .tgt_len = lengths[k][1],
                                          .in_order = true};
            struct sy_dataset *ds = NULL;
            unsigned times[64] = {0};
            bool good = sy_dataset_open(e->io.ctx, &p, &ds) == SY_OK && sy_dataset_tokens(ds) == bytes &&
                        sy_dataset_count(ds) == (bytes + sy_dataset_segment(ds) - 1) / sy_dataset_segment(ds) &&
                        count_tokens(e, ds, text, times);
            segment = good ? sy_dataset_segment(ds) : segment;
            for (size_t i = 0; good && i < bytes; ++i) // segments of two have no token to spare for one that is left
                good = times[i] == 1 || (segment == 2 && bytes % 2 == 1 && i + 2 == bytes && times[i] == 2);
            right += good;
            wrong += !good;
            sy_dataset_close(&ds);
            free(one);
            free(two);
        }
        io_check(&e->io, wrong == 0 && right == 39, "every token once, segments of %u (%u wrong)", segment, wrong);
    }
    sy_tokenizer_close(&t);
}

static void test_documents(struct env *e)
{
    static const char lines[] = "{\"text\":\"ab\"}\n{\"text\":\"\"}\n{\"text\":\"c\"}\n";
    char *one = make_file(e, "one.jsonl", lines, sizeof lines - 1), *two = make_file(e, "two.txt", "de\n", 3),
         *none = make_file(e, "none.txt", "", 0);
    const char *const files[] = {none, one, none, two};
    struct sy_tokenizer *t = NULL;
    struct sy_dataset *ds = NULL;
    struct sy_batch b = {0};
    struct sy_data_source source = {.files = files, .file_count = 4};
    if (sy_tokenizer_open(e->io.ctx, "bytes", 0, &t) != SY_OK)
        abort();
    struct sy_dataset_params p = {
        .sources = &source, .source_count = 1, .tokenizer = t, .src_len = 32, .tgt_len = 16, .in_order = true};
    const unsigned before = e->io.warnings;
    unsigned times[16] = {0};
    bool good = sy_dataset_open(e->io.ctx, &p, &ds) == SY_OK && sy_dataset_documents(ds) == 3 &&
                sy_dataset_tokens(ds) == 6 && count_tokens(e, ds, "abcde\n", times);
    io_check(&e->io, good && e->io.warnings == before + 1,
             "documents follow each other with nothing between; empty files are skipped with one warning");
    const uint64_t fingerprint = good ? sy_dataset_fingerprint(ds) : 0;
    sy_dataset_close(&ds);
    p.documents = SY_DOCUMENTS_EOS;
    // Of 8 tokens 1 is cut out; restore() would stop at the first eos, so the mask tells the length.
    good = sy_dataset_open(e->io.ctx, &p, &ds) == SY_OK && sy_dataset_tokens(ds) == 8 &&
           sy_dataset_fingerprint(ds) != fingerprint && sy_dataset_batch(e->io.ctx, ds, 0, 1, &b) == SY_OK;
    unsigned ends = 0, length = 0;
    for (uint32_t i = 0; good && i < 32; ++i) {
        ends += b.input_ids[i] == 1;
        length += (unsigned)b.attention_mask[i];
    }
    for (uint32_t i = 0; good && i < 16; ++i)
        ends += b.labels[i] == 1;
    io_check(&e->io, good && ends == 2 + 2 && length == 9, "document_eos: eos between two, not at the end");
    sy_dataset_close(&ds);
    p.strict = true;
    io_fails(&e->io, sy_dataset_open(e->io.ctx, &p, &ds), SY_FORMAT, "none.txt is empty", "strict: an empty file");
    p.strict = false;
    source.file_count = 1;
    io_fails(&e->io, sy_dataset_open(e->io.ctx, &p, &ds), SY_INVALID, "none.txt is empty", "one empty file");
    const char *const twice[] = {none, none};
    source = (struct sy_data_source){.files = twice, .file_count = 2};
    io_fails(&e->io, sy_dataset_open(e->io.ctx, &p, &ds), SY_INVALID, "all 2 files are empty", "only empty files");
    sy_batch_finish(&b);
    sy_tokenizer_close(&t);
    free(one);
    free(two);
    free(none);
}

/// More sources than there were places for: of 20,000 every tenth is empty and every tenth a single token.
static void test_many_sources(struct env *e)
{
    enum { COUNT = 20000 };
    char *paths[] = {make_file(e, "none.txt", "", 0), make_file(e, "x.txt", "x", 1), make_file(e, "p.txt", "pppp", 4),
                     make_file(e, "q.txt", "qqqqqqqq", 8)};
    struct sy_data_source *sources = calloc(COUNT, sizeof *sources);
    const char **files = calloc(COUNT, sizeof *files);
    struct sy_tokenizer *t = NULL;
    struct sy_dataset *ds = NULL;
    struct sy_batch b = {0};
    if (sources == NULL || files == NULL || sy_tokenizer_open(e->io.ctx, "bytes", 0, &t) != SY_OK)
        abort();
    for (size_t i = 0; i < COUNT; ++i) {
        files[i] = paths[i % 10 < 2 ? i % 10 : 2 + i % 2];
        sources[i] = (struct sy_data_source){.files = &files[i], .file_count = 1};
    }
    struct sy_dataset_params p = {
        .sources = sources, .source_count = COUNT, .tokenizer = t, .src_len = 24, .tgt_len = 12, .seed = 3};
    const unsigned before = e->io.warnings;
    bool good = sy_dataset_open(e->io.ctx, &p, &ds) == SY_OK && sy_dataset_count(ds) == 16000 &&
                e->io.warnings == before + 2 && sy_dataset_batch(e->io.ctx, ds, 0, 524288, &b) == SY_OK;
    unsigned p_rows = 0, q_rows = 0;
    for (uint32_t row = 0; good && row < 524288; ++row) {
        unsigned p_seen = 0, q_seen = 0;
        for (uint32_t i = 0; i < 24; ++i) {
            p_seen += b.input_ids[row * 24 + i] == 'p' + 3;
            q_seen += b.input_ids[row * 24 + i] == 'q' + 3;
        }
        p_rows += p_seen > 0;
        q_rows += q_seen > 0;
    }
    io_check(&e->io, good && p_rows == 262144 && q_rows == 262144,
             "20,000 sources with equal shares: %u and %u rows of a block; empty and tiny ones are skipped", p_rows,
             q_rows);
    double sum = 0;
    for (size_t i = 0; good && i < COUNT; ++i)
        sum += sy_dataset_share(ds, i);
    io_check(&e->io, good && sum == 1.0 && sy_dataset_share(ds, 10) == 0, "their shares add up to 1");
    sy_dataset_close(&ds);
    sy_batch_finish(&b);
    sy_tokenizer_close(&t);
    free(sources);
    free(files);
    for (size_t i = 0; i < SY_COUNT(paths); ++i)
        free(paths[i]);
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
    bool good = sy_tensors_save(e->io.ctx, path, specs, 3, NULL) == SY_OK &&
                sy_batch_load(e->io.ctx, path, 9, &b) == SY_OK && b.batch == 2 && b.src_len == 3 && b.tgt_len == 2 &&
                memcmp(b.input_ids, ids, sizeof ids) == 0 && b.labels[3] == SY_IGNORE && b.labels[0] == 8;
    io_check(&e->io, good, "a batch from a file");
    io_fails(&e->io, sy_batch_load(e->io.ctx, path, 8, &b), SY_FORMAT, "labels[0, 0] is 8, expected 0 … 7 or -100",
             "a label outside");
    io_fails(&e->io, sy_batch_load(e->io.ctx, path, 7, &b), SY_FORMAT, "input_ids[1, 0] is 7", "an id outside");
    uint8_t bits[6] = {1, 1, 1, 1, 1, 0};
    uint16_t small_ids[6] = {5, 6, 1, 7, 1, 0};
    const struct sy_tensor_spec mask_spec = specs[1], ids_spec = specs[0], labels_spec = specs[2];
    static const enum sy_st_dtype kinds[] = {SY_ST_BOOL, SY_ST_U8, SY_ST_I8};
    for (size_t i = 0; i < SY_COUNT(kinds); ++i) {
        specs[1].dtype = kinds[i];
        specs[1].data = bits;
        specs[0].dtype = SY_ST_U16;
        specs[0].data = small_ids;
        memset(b.attention_mask, 0, sizeof mask);
        good = sy_tensors_save(e->io.ctx, path, specs, 3, NULL) == SY_OK &&
               sy_batch_load(e->io.ctx, path, 9, &b) == SY_OK && memcmp(b.attention_mask, mask, sizeof mask) == 0 &&
               memcmp(b.input_ids, ids, sizeof ids) == 0;
        io_check(&e->io, good, "a mask of %s, ids of U16", sy_st_dtype_name(kinds[i]));
    }
    bits[4] = 2;
    good = sy_tensors_save(e->io.ctx, path, specs, 3, NULL) == SY_OK;
    io_fails(&e->io, sy_batch_load(e->io.ctx, path, 9, &b), SY_FORMAT, "attention_mask[1, 1] is 2", "a byte mask of 2");
    specs[0] = ids_spec;
    specs[1] = mask_spec;
    specs[2].dtype = SY_ST_BOOL;
    specs[2].data = bits;
    good = good && sy_tensors_save(e->io.ctx, path, specs, 3, NULL) == SY_OK;
    io_fails(&e->io, sy_batch_load(e->io.ctx, path, 9, &b), SY_FORMAT, "labels has element type BOOL",
             "boolean labels");
    specs[2] = labels_spec;
    mask[4] = 2;
    good = sy_tensors_save(e->io.ctx, path, specs, 3, NULL) == SY_OK;
    io_fails(&e->io, sy_batch_load(e->io.ctx, path, 9, &b), SY_FORMAT, "attention_mask[1, 1] is 2", "a mask of 2");
    specs[1].shape[1] = 2;
    good = good && sy_tensors_save(e->io.ctx, path, specs, 3, NULL) == SY_OK;
    io_fails(&e->io, sy_batch_load(e->io.ctx, path, 9, &b), SY_FORMAT, "attention_mask has shape [2, 2]",
             "a mask of another shape");
    good = good && sy_tensors_save(e->io.ctx, path, specs + 1, 2, NULL) == SY_OK;
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
    test_long_lines(&e);
    test_dataset(&e);
    test_dataset_edges(&e);
    test_every_token(&e);
    test_documents(&e);
    test_many_sources(&e);
    test_pair_dataset(&e);
    test_mixture(&e);
    test_batch_files(&e);
    if (sy_dir_remove(e.io.ctx, e.scratch) != SY_OK)
        return 2;
    return io_end(&e.io);
}
