// SPDX-License-Identifier: Apache-2.0
// vocabulary.c: what a directory says of its tokenizer beside spiece.model, how the masks of bytes are numbered,
// whether a vocabulary and a model's config agree, and what is written beside a checkpoint. Usage: vocabulary
// TEST_DATA_DIRECTORY
#include "engine/data/vocabulary.h"
#include "engine/json.h"
#include "tests/data_env.h"

#define PIECES 26 // of seqio_test.model: <pad> 0, </s> 1, <unk> 2

/// A directory with the test model (when `pieces`) and one file of JSON.
static char *directory(struct env *e, const char *name, bool pieces, const char *file, const char *json)
{
    char *d = in(e->scratch, name), *path = in(d, "spiece.model"), *from = in(e->data, "tokenizer/seqio_test.model");
    char *data = NULL, *text = in(d, file);
    size_t bytes = 0;
    if (sy_dir_create(e->io.ctx, d) != SY_OK || sy_file_write(e->io.ctx, text, json, strlen(json)) != SY_OK ||
        sy_file_read(e->io.ctx, from, 1 << 20, &data, &bytes) != SY_OK ||
        (pieces && sy_file_write(e->io.ctx, path, data, bytes) != SY_OK))
        abort();
    free(data);
    free(text);
    free(from);
    free(path);
    return d;
}

/// The ids of `text` as "1 2 3", and what they decode to.
static void there_and_back(struct env *e, const struct sy_tokenizer *t, const char *text, uint32_t flags, char *out,
                           size_t room, char **back)
{
    int32_t *ids = NULL;
    size_t n = 0, used = 0;
    *back = NULL;
    *out = '\0';
    if (sy_tokenizer_encode(e->io.ctx, t, text, strlen(text), flags, &ids, &n) != SY_OK)
        return;
    for (size_t i = 0; i < n && used + 12 < room; ++i)
        used += (size_t)snprintf(out + used, room - used, i > 0 ? " %d" : "%d", ids[i]);
    if (sy_tokenizer_decode(e->io.ctx, t, ids, n, back) != SY_OK)
        *back = NULL;
    free(ids);
}

static void expect(struct env *e, const struct sy_tokenizer *t, const char *text, uint32_t flags, const char *ids,
                   const char *decoded)
{
    char got[512], *back;
    there_and_back(e, t, text, flags, got, sizeof got, &back);
    io_check(&e->io, strcmp(got, ids) == 0 && back != NULL && strcmp(back, decoded) == 0,
             "\"%s\" is %s and back \"%s\"", text, got, back != NULL ? back : "nothing");
    free(back);
}

/// The same two tokens, as each of the files that may name them does.
static const struct {
    const char *file, *json;
} spellings[] = {
    {"added_tokens.json", "{\"<sep>\":126,\"<json\":127}"},
    {"tokenizer_config.json", "{\"added_tokens_decoder\":{\"126\":{\"content\":\"<sep>\",\"special\":true},"
                              "\"127\":{\"content\":\"<json\"},\"1\":{\"content\":\"</s>\",\"special\":true}},"
                              "\"eos_token\":\"</s>\",\"additional_special_tokens\":[\"<sep>\",\"<extra_id_3>\"]}"},
    {"tokenizer.json", "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":126,\"content\":\"<sep>\"},"
                       "{\"id\":127,\"content\":\"<json\"},{\"id\":0,\"content\":\"<pad>\"}],\"model\":{}}"},
};

static bool have_pieces(struct env *e)
{
    char *path = in(e->data, "tokenizer/seqio_test.model");
    struct sy_tokenizer *t = NULL;
    bool good = sy_tokenizer_open(e->io.ctx, path, 0, &t) != SY_UNSUPPORTED;
    sy_tokenizer_close(&t);
    free(path);
    if (!good)
        tap_skip(&e->io.tap, "tokens added to pieces: built without SentencePiece");
    return good;
}

static void test_added(struct env *e)
{
    for (size_t i = 0; i < SY_COUNT(spellings); ++i) {
        char name[32];
        snprintf(name, sizeof name, "added-%zu", i);
        char *d = directory(e, name, true, spellings[i].file, spellings[i].json), *model = in(d, "spiece.model");
        struct sy_tokenizer *t = NULL;
        for (int by_file = 0; by_file < 2; ++by_file) {
            bool good =
                sy_tokenizer_open(e->io.ctx, by_file ? model : d, 128, &t) == SY_OK && sy_tokenizer_used(t) == 128;
            io_check(&e->io, good, "tokens of %s, opened by its %s", spellings[i].file,
                     by_file ? "model" : "directory");
            if (!good)
                continue;
            expect(e, t, "a<sep>e", 0, "3 5 126 3 4", "a <sep> e");
            expect(e, t, "<sep><json<sep", 0, "126 127 3 2 6 4 15", "<sep> <json  \xe2\x81\x87 sep");
            expect(e, t, "<extra_id_0><sep></s>", SY_ENCODE_SENTINELS, "125 126 3 2 6 2",
                   "<extra_id_0> <sep>  \xe2\x81\x87 s \xe2\x81\x87 ");
            sy_tokenizer_close(&t);
        }
        io_fails(&e->io, sy_tokenizer_open(e->io.ctx, d, 127, &t), SY_INVALID, "ids below 128",
                 "a model that has no room for the added tokens");
        free(model);
        free(d);
    }
}

/// Spaces that belong to a token, tokens that are only whole words, the longest of several.
static void test_matching(struct env *e)
{
    char *d = directory(e, "matching", false, "tokenizer_config.json",
                        "{\"tokenizer_class\":\"ByT5Tokenizer\",\"added_tokens_decoder\":{"
                        "\"384\":{\"content\":\"<l>\",\"lstrip\":true},\"385\":{\"content\":\"<r>\",\"rstrip\":true},"
                        "\"386\":{\"content\":\"word\",\"single_word\":true},\"387\":{\"content\":\"<r>>\"},"
                        "\"259\":{\"content\":\"<extra_id_0>\"},\"2\":{\"content\":\"<unk>\"}}}");
    struct sy_tokenizer_params p = {.source = d, .vocab_size = 388, .sentinels = SY_SENTINELS_BYT5};
    struct sy_tokenizer *t = NULL;
    bool good = sy_tokenizer_open_as(e->io.ctx, &p, &t) == SY_OK && sy_tokenizer_is_bytes(t);
    io_check(&e->io, good, "a directory of Hugging Face's ByT5Tokenizer");
    if (good) {
        expect(e, t, "a  <l> b", 0, "100 384 35 101", "a<l> b");
        expect(e, t, "a <r>  b", 0, "100 35 385 101", "a <r>b");
        expect(e, t, "<r>>", 0, "387", "<r>>");
        expect(e, t, "word", 0, "386", "word");
        expect(e, t, "a word.", 0, "100 35 386 49", "a word.");
        expect(e, t, "words", 0, "122 114 117 103 118", "words");
        expect(e, t, "<unk>", 0, "63 120 113 110 65", "<unk>");
        expect(e, t, "<extra_id_0>", SY_ENCODE_SENTINELS, "258", "<extra_id_0>");
        sy_tokenizer_close(&t);
    }
    p.vocab_size = 387;
    io_fails(&e->io, sy_tokenizer_open_as(e->io.ctx, &p, &t), SY_INVALID, "<r>> has the id 387",
             "a token beyond vocab_size");
    p.vocab_size = 400;
    p.sentinels = SY_SENTINELS_TOP;
    io_fails(&e->io, sy_tokenizer_open_as(e->io.ctx, &p, &t), SY_FORMAT, "<l> has the id 384, which is that of a mask",
             "a token where a mask is");
    free(d);
}

/// Roles and masks that the files place elsewhere than the model does.
static void test_roles(struct env *e)
{
    char *d = directory(e, "roles", true, "tokenizer_config.json",
                        "{\"pad_token\":\"<p>\",\"eos_token\":{\"content\":\"<end>\"},\"extra_ids\":2,"
                        "\"added_tokens_decoder\":{\"28\":{\"content\":\"<p>\"},\"29\":{\"content\":\"<end>\"}}}");
    struct sy_tokenizer *t = NULL;
    bool good = sy_tokenizer_open(e->io.ctx, d, 0, &t) == SY_OK && sy_tokenizer_pad(t) == 28 &&
                sy_tokenizer_eos(t) == 29 && sy_tokenizer_unk(t) == 2 && sy_tokenizer_sentinels(t) == 2 &&
                sy_tokenizer_sentinel(t, 0) == 27 && sy_tokenizer_used(t) == 30;
    io_check(&e->io, good, "pad and eos are the tokens that the files name; extra_ids masks");
    if (good)
        expect(e, t, "a<end>", SY_ENCODE_EOS, "3 5 2 4 22 21 2 29", "a \xe2\x81\x87 end \xe2\x81\x87 ");
    sy_tokenizer_close(&t);
    free(d);
    d = directory(e, "masks", true, "added_tokens.json", "{\"<x>\":26,\"<extra_id_0>\":27,\"<extra_id_1>\":28}");
    good = sy_tokenizer_open(e->io.ctx, d, 0, &t) == SY_OK && sy_tokenizer_sentinels(t) == 2 &&
           sy_tokenizer_sentinel(t, 0) == 27 && sy_tokenizer_sentinel(t, 1) == 28;
    io_check(&e->io, good, "masks have the ids that a file gives them");
    if (good)
        expect(e, t, "<extra_id_1><x>", SY_ENCODE_SENTINELS, "28 26", "<extra_id_1> <x>");
    sy_tokenizer_close(&t);
    free(d);
}

static void test_contradictions(struct env *e)
{
    static const struct {
        const char *file, *json, *word;
        enum sy_status status;
    } cases[] = {
        {"added_tokens.json", "{\"<a>\":126,\"<b>\":126}", "they contradict", SY_FORMAT},
        {"added_tokens.json", "{\"<a>\":\"x\"}", "no text or no id", SY_FORMAT},
        {"added_tokens.json", "{\"<a>\":26}", "which is that of a mask", SY_FORMAT},
        {"added_tokens.json", "{", "added_tokens.json", SY_FORMAT},
        {"special_tokens_map.json", "{\"additional_special_tokens\":[\"<a>\"]}", "<a> has no id", SY_FORMAT},
        {"special_tokens_map.json", "{\"extra_special_tokens\":{\"x\":\"<a>\"}}", "<a> has no id", SY_FORMAT},
        {"special_tokens_map.json", "{\"eos_token\":\"<end>\"}", "eos_token is <end>", SY_FORMAT},
        {"tokenizer_config.json", "{\"added_tokens_decoder\":{\"x\":{\"content\":\"<a>\"}}}", "no id", SY_FORMAT},
    };
    struct sy_tokenizer *t = NULL;
    for (size_t i = 0; i < SY_COUNT(cases); ++i) {
        char name[32];
        snprintf(name, sizeof name, "wrong-%zu", i);
        char *d = directory(e, name, true, cases[i].file, cases[i].json);
        io_fails(&e->io, sy_tokenizer_open(e->io.ctx, d, 0, &t), cases[i].status, cases[i].word, cases[i].json);
        free(d);
    }
    char *d = directory(e, "twice", true, "added_tokens.json", "{\"<a>\":126}"),
         *other = in(d, "tokenizer_config.json");
    static const char json[] = "{\"added_tokens_decoder\":{\"127\":{\"content\":\"<a>\"}}}";
    if (sy_file_write(e->io.ctx, other, json, sizeof json - 1) != SY_OK)
        abort();
    io_fails(&e->io, sy_tokenizer_open(e->io.ctx, d, 0, &t), SY_FORMAT, "the id 126, but a file beside it says 127",
             "two files, two ids");
    free(other);
    free(d);
}

// ---- the masks of bytes ---------------------------------------------------------------------------------------------

static void test_numbering(struct env *e)
{
    static const struct {
        enum sy_sentinels numbering;
        uint32_t vocab, count;
        int32_t first, last;
        const char *ids;
    } cases[] = {
        {SY_SENTINELS_TOP, 384, 125, 383, 259, "100 383 382 101"},
        {SY_SENTINELS_UNSAID, 384, 125, 383, 259, "100 383 382 101"},
        {SY_SENTINELS_BYT5, 384, 100, 258, 159, "100 258 257 101"},
        {SY_SENTINELS_BYT5, 259, 100, 258, 159, "100 258 257 101"},
        {SY_SENTINELS_TRANSFORMERS, 384, 125, 259, 383, "100 259 260 101"},
        {SY_SENTINELS_TRANSFORMERS, 270, 11, 259, 269, "100 259 260 101"},
    };
    for (size_t i = 0; i < SY_COUNT(cases); ++i) {
        struct sy_tokenizer_params p = {
            .source = "bytes", .vocab_size = cases[i].vocab, .sentinels = cases[i].numbering};
        struct sy_tokenizer *t = NULL;
        bool good = sy_tokenizer_open_as(e->io.ctx, &p, &t) == SY_OK && sy_tokenizer_sentinels(t) == cases[i].count &&
                    sy_tokenizer_sentinel(t, 0) == cases[i].first &&
                    sy_tokenizer_sentinel(t, cases[i].count - 1) == cases[i].last;
        io_check(&e->io, good, "masks \"%s\" of %u ids: %d to %d", sy_sentinels_name(cases[i].numbering),
                 cases[i].vocab, cases[i].first, cases[i].last);
        if (good)
            expect(e, t, "a<extra_id_0><extra_id_1>b", SY_ENCODE_SENTINELS, cases[i].ids, "a<extra_id_0><extra_id_1>b");
        sy_tokenizer_close(&t);
    }
    // Where masks double as bytes, a character that is whole stays a character.
    struct sy_tokenizer_params p = {.source = "bytes", .vocab_size = 384, .sentinels = SY_SENTINELS_BYT5};
    struct sy_tokenizer *t = NULL;
    if (sy_tokenizer_open_as(e->io.ctx, &p, &t) != SY_OK)
        abort();
    expect(e, t, "\xc3\xa9\xf0\x9f\x98\x80<extra_id_15><extra_id_60>x<extra_id_99>.", SY_ENCODE_SENTINELS,
           "198 172 243 162 155 131 243 198 123 159 49",
           "\xc3\xa9\xf0\x9f\x98\x80<extra_id_15><extra_id_60>x<extra_id_99>.");
    const int32_t broken[] = {0x80 + 3, 300};
    char *back = NULL;
    bool good =
        sy_tokenizer_decode(e->io.ctx, t, broken, 2, &back) == SY_OK && strcmp(back, "\xef\xbf\xbd\xef\xbf\xbd") == 0;
    io_check(&e->io, good, "what is neither character nor mask is U+FFFD");
    free(back);
    sy_tokenizer_close(&t);
}

// ---- agreement ------------------------------------------------------------------------------------------------------

static void test_agreement(struct env *e)
{
    struct sy_tokenizer *t = NULL;
    struct sy_config c;
    if (sy_tokenizer_open(e->io.ctx, "bytes", 384, &t) != SY_OK)
        abort();
    sy_config_defaults(false, &c);
    c.vocab_size = 384;
    c.eos_id = 7;
    c.pad_id = c.start_id = 9;
    unsigned before = e->io.warnings;
    io_fails(&e->io, sy_vocabulary_agree(e->io.ctx, t, "bytes", true, "m", &c), SY_INVALID,
             "m has eos_token_id 7, but the vocabulary bytes ends a text with 1", "a trained model with another eos");
    bool good = sy_vocabulary_agree(e->io.ctx, t, "bytes", false, "m", &c) == SY_OK && c.eos_id == 1 && c.pad_id == 0 &&
                c.start_id == 0 && c.sentinels == SY_SENTINELS_TOP && e->io.warnings == before;
    io_check(&e->io, good,
             "a model that is yet to be drawn takes eos, pad and the decoder's start from the vocabulary");
    c.pad_id = 9;
    c.start_id = 5;
    good = sy_vocabulary_agree(e->io.ctx, t, "bytes", true, "m", &c) == SY_OK && c.pad_id == 0 && c.start_id == 5 &&
           e->io.warnings == before + 1;
    io_check(&e->io, good, "a trained model with another padding: a warning; its decoder starts as before");
    c.pad_id = c.start_id = 9;
    c.start_id = 3;
    good = sy_vocabulary_agree(e->io.ctx, t, "bytes", false, "m", &c) == SY_OK && c.start_id == 3;
    io_check(&e->io, good, "a start that never was the padding stays");
    sy_tokenizer_close(&t);
}

// ---- writing --------------------------------------------------------------------------------------------------------

static void test_save_bytes(struct env *e)
{
    static const struct {
        enum sy_sentinels numbering;
        uint32_t vocab;
        const char *first, *key; ///< The first name in order of ids, and <extra_id_0>'s id.
    } cases[] = {
        {SY_SENTINELS_TOP, 384, "<extra_id_124>", "383"},        {SY_SENTINELS_TOP, 300, "<extra_id_40>", "299"},
        {SY_SENTINELS_TOP, 512, "<extra_id_124>", "511"},        {SY_SENTINELS_BYT5, 384, "<extra_id_0>", "259"},
        {SY_SENTINELS_TRANSFORMERS, 384, "<extra_id_0>", "259"},
    };
    char *path = in(e->scratch, "tokenizer_config.json");
    for (size_t i = 0; i < SY_COUNT(cases); ++i) {
        struct sy_tokenizer_params p = {
            .source = "bytes", .vocab_size = cases[i].vocab, .sentinels = cases[i].numbering};
        struct sy_tokenizer *t = NULL, *again = NULL;
        json_t *root = NULL;
        bool good = sy_tokenizer_open_as(e->io.ctx, &p, &t) == SY_OK &&
                    sy_tokenizer_save(e->io.ctx, t, e->scratch) == SY_OK &&
                    sy_json_load(e->io.ctx, path, &root) == SY_OK;
        const json_t *names = json_object_get(root, "additional_special_tokens"),
                     *entry = json_object_get(json_object_get(root, "added_tokens_decoder"), cases[i].key);
        const char *class = json_string_value(json_object_get(root, "tokenizer_class")),
                   *name = json_string_value(json_object_get(entry, "content")),
                   *first = json_string_value(json_array_get(names, 0));
        good = good && class != NULL && strcmp(class, "ByT5Tokenizer") == 0 && name != NULL &&
               strcmp(name, "<extra_id_0>") == 0 && first != NULL && strcmp(first, cases[i].first) == 0 &&
               json_integer_value(json_object_get(root, "extra_ids")) == (json_int_t)json_array_size(names);
        p.source = e->scratch;
        good = good && sy_tokenizer_open_as(e->io.ctx, &p, &again) == SY_OK &&
               sy_tokenizer_sentinel(again, 0) == sy_tokenizer_sentinel(t, 0);
        io_check(&e->io, good, "bytes in %u ids, masks \"%s\": written as a ByT5Tokenizer, and read back",
                 cases[i].vocab, sy_sentinels_name(cases[i].numbering));
        json_decref(root);
        sy_tokenizer_close(&again);
        sy_tokenizer_close(&t);
    }
    free(path);
}

static void test_save_pieces(struct env *e)
{
    char *d = in(e->scratch, "saved"), *model = in(e->data, "tokenizer/seqio_test.model"),
         *path = in(d, "tokenizer_config.json");
    struct sy_tokenizer *t = NULL, *again = NULL;
    json_t *root = NULL;
    bool good = sy_dir_create(e->io.ctx, d) == SY_OK && sy_tokenizer_open(e->io.ctx, model, 0, &t) == SY_OK &&
                sy_tokenizer_save(e->io.ctx, t, d) == SY_OK && sy_json_load(e->io.ctx, path, &root) == SY_OK &&
                sy_tokenizer_open(e->io.ctx, d, 0, &again) == SY_OK;
    const char *pad = json_string_value(json_object_get(root, "pad_token")),
               *eos = json_string_value(json_object_get(root, "eos_token"));
    good = good && pad != NULL && strcmp(pad, "<pad>") == 0 && eos != NULL && strcmp(eos, "</s>") == 0 &&
           json_integer_value(json_object_get(root, "extra_ids")) == 100 && sy_tokenizer_sentinel(again, 0) == 125;
    io_check(&e->io, good, "pieces: written as a T5Tokenizer, and read back");
    json_decref(root);
    sy_tokenizer_close(&again);
    sy_tokenizer_close(&t);
    free(model);
    free(path);
    free(d);
    // What a directory said of its tokens goes where its pieces go.
    d = directory(e, "source", true, spellings[0].file, spellings[0].json);
    char *to = in(e->scratch, "copied");
    good = sy_dir_create(e->io.ctx, to) == SY_OK && sy_tokenizer_open(e->io.ctx, d, 0, &t) == SY_OK &&
           sy_tokenizer_save(e->io.ctx, t, to) == SY_OK && sy_tokenizer_open(e->io.ctx, to, 0, &again) == SY_OK;
    io_check(&e->io, good, "a directory with added tokens is written whole");
    if (good)
        expect(e, again, "a<sep>", 0, "3 5 126", "a <sep>");
    sy_tokenizer_close(&again);
    sy_tokenizer_close(&t);
    free(to);
    free(d);
}

int main(int argc, char **argv)
{
    struct env e = {.data = argc > 1 ? argv[1] : "tests/data"};
    e.io.ctx = sy_ctx_create(io_log, &e.io, SY_LOG_WARN);
    if (e.io.ctx == NULL || !io_directory(e.scratch, sizeof e.scratch))
        return 2;
    if (have_pieces(&e)) {
        test_added(&e);
        test_roles(&e);
        test_contradictions(&e);
        test_save_pieces(&e);
    }
    test_matching(&e);
    test_numbering(&e);
    test_agreement(&e);
    test_save_bytes(&e);
    if (sy_dir_remove(e.io.ctx, e.scratch) != SY_OK)
        return 2;
    return io_end(&e.io);
}
