// SPDX-License-Identifier: Apache-2.0
// words.c: what is remembered of words changes no id: random lines, rare characters, long lines, everything twice.
// Usage: words TEST_DATA_DIRECTORY
#include "engine/data/words.h"
#include "tests/data_env.h"

static uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

struct counts {
    uint64_t lines, whole;
};

/// Whether a line has the ids that the library gives it; how many lines it got whole is added up.
static bool same(struct env *e, const struct sy_tokenizer *t, struct sy_words *w, const char *line, size_t bytes)
{
    struct sy_ids ids = {0};
    int32_t *expected;
    size_t count;
    if (sy_tokenizer_encode(e->io.ctx, t, line, bytes, 0, &expected, &count) != SY_OK ||
        sy_words_encode(e->io.ctx, w, line, bytes, &ids, "test") != SY_OK)
        abort();
    const bool good = ids.count == count && (count == 0 || memcmp(ids.data, expected, count * sizeof *expected) == 0);
    free(ids.data);
    free(expected);
    return good;
}

static struct counts counts_of(const struct sy_words *w, struct counts before)
{
    struct counts now;
    sy_words_count(w, &now.lines, &now.whole);
    return (struct counts){now.lines - before.lines, now.whole - before.whole};
}

/// A line of `words` words: pieces of the vocabulary put together, so that there are many ways to cut them.
static size_t make_line(struct env *e, const struct sy_tokenizer *t, uint64_t *state, unsigned words, char *out)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < words; ++i) {
        const unsigned pieces = 1 + next_random(state) % 3;
        for (unsigned p = 0; p < pieces; ++p) {
            const int32_t id = (int32_t)(3 + next_random(state) % (next_random(state) % 2 ? 31990 : 300));
            char *text;
            if (sy_tokenizer_decode(e->io.ctx, t, &id, 1, &text) != SY_OK)
                abort();
            const size_t n = strlen(text);
            memcpy(out + bytes, text, n);
            bytes += n;
            free(text);
        }
        memset(out + bytes, ' ', 3);
        bytes += next_random(state) % 16 == 0 ? next_random(state) % 4 : 1;
    }
    return bytes;
}

static void test_random(struct env *e, const struct sy_tokenizer *t, struct sy_words *w)
{
    static char line[1 << 16];
    uint64_t state = 5;
    unsigned wrong = 0;
    struct counts before = counts_of(w, (struct counts){0, 0});
    for (unsigned i = 0; i < 4000; ++i) {
        const size_t bytes = make_line(e, t, &state, 1 + next_random(&state) % (i % 100 == 0 ? 1500 : 40), line);
        wrong += !same(e, t, w, line, bytes);
    }
    const struct counts c = counts_of(w, before);
    io_check(&e->io, wrong == 0, "4,000 random lines have the library's ids");
    io_check(&e->io, c.lines == 4000 && c.whole < 2000 && c.whole > 0, "of which %llu went to it whole",
             (unsigned long long)c.whole);
}

static void test_odd(struct env *e, const struct sy_tokenizer *t, struct sy_words *w)
{
    static const char *const lines[] = {"",
                                        " ",
                                        "a",
                                        "  a  b ",
                                        "a\tb\r",
                                        "\xc2\xa0 a\xc2\xa0"
                                        "b \xc2\xa0",
                                        "\xe2\x96\x81 a \xe2\x96\x81"
                                        "b",
                                        "\xff a",
                                        "a \xcc\x80 b",
                                        "\xe2\x80\x8b x \xe2\x80\x8b",
                                        "\xef\xbc\xa1\xef\xbc\xa2 c",
                                        "\xe4\xb8\xad\xe6\x96\x87 x",
                                        "e\xcc\x81 \xc3\xa9 \xef\xac\x81x",
                                        "</s> <pad> <extra_id_0> <unk>",
                                        "a{{b}}~ {~} x< >y <<",
                                        "a\x7f"
                                        "b ~\x01 c",
                                        "\xf0\x9f\x98\x80 smile",
                                        "\xe2\x80\xa6 \xe2\x80\x9cwell\xe2\x80\x9d \xe2\x80\x94 she said"};
    unsigned wrong = 0;
    for (int twice = 0; twice < 2; ++twice)
        for (size_t i = 0; i < SY_COUNT(lines); ++i)
            wrong += !same(e, t, w, lines[i], strlen(lines[i]));
    wrong += !same(e, t, w, "a\0b c", 5);
    io_check(&e->io, wrong == 0, "spaces of all kinds, marks, what is unknown or no UTF-8, NUL: %u lines differ",
             wrong);
    static char line[100000];
    memset(line, 'a', sizeof line);
    wrong = !same(e, t, w, line, 300);
    for (size_t i = 7; i < sizeof line; i += 8)
        line[i] = ' ';
    wrong += !same(e, t, w, line, sizeof line) + !same(e, t, w, line, 65536) + !same(e, t, w, line, 30000);
    io_check(&e->io, wrong == 0, "long words and long lines");
}

/// Real prose, as it comes and with its lines put together.
static void test_prose(struct env *e, const struct sy_tokenizer *t, struct sy_words *w)
{
    char *path = in(e->data, "tokenizer/inputs.txt"), *text;
    size_t bytes;
    if (sy_file_read(e->io.ctx, path, 1 << 20, &text, &bytes) != SY_OK)
        abort();
    unsigned wrong = 0;
    for (int joined = 0; joined < 2; ++joined)
        for (size_t i = 0; i < bytes;) {
            const char *end = memchr(text + i, '\n', bytes - i);
            size_t n = end != NULL ? (size_t)(end - text) - i : bytes - i;
            if (joined == 1 && i + 5000 < bytes)
                for (n = 5000; (text[i + n] & 0xc0) == 0x80; ++n)
                    ;
            wrong += !same(e, t, w, text + i, n);
            i += n + 1;
        }
    io_check(&e->io, wrong == 0, "prose of many languages");
    free(text);
    free(path);
}

int main(int argc, char **argv)
{
    struct env e = {.data = argc > 1 ? argv[1] : "tests/data"};
    e.io.ctx = sy_ctx_create(io_log, &e.io, SY_LOG_DEBUG);
    struct sy_tokenizer *t = NULL, *bytes = NULL;
    char *path = in(e.data, "tokenizer/t5.model");
    if (e.io.ctx == NULL || sy_tokenizer_open(e.io.ctx, "bytes", 0, &bytes) != SY_OK)
        return 2;
    io_check(&e.io, sy_pieces_create(bytes) == NULL, "bytes need no memory");
    const enum sy_status status = sy_tokenizer_open(e.io.ctx, path, 0, &t);
    if (status == SY_UNSUPPORTED) {
        tap_skip(&e.io.tap, "words: built without SentencePiece");
    } else {
        struct sy_pieces *pieces = status == SY_OK ? sy_pieces_create(t) : NULL;
        struct sy_words *w = sy_words_create(pieces);
        io_check(&e.io, w != NULL, "T5's vocabulary is one whose words stand alone");
        if (w == NULL)
            return 2;
        test_odd(&e, t, w);
        test_prose(&e, t, w);
        test_random(&e, t, w);
        sy_words_destroy(&w);
        sy_pieces_destroy(&pieces);
    }
    sy_tokenizer_close(&t);
    sy_tokenizer_close(&bytes);
    free(path);
    return io_end(&e.io);
}
