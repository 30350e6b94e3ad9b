// SPDX-License-Identifier: Apache-2.0
// texts.c: tests of what becomes of a file: plain text, JSON lines by any name, odd lines, empty files, pairs.
// Usage: texts TEST_DATA_DIRECTORY
#include <unistd.h>

#include "engine/data/reader.h"
#include "tests/data_env.h"

struct collected {
    char text[4096];
    size_t bytes, documents;
};

static enum sy_status collect(void *user, const char *text, size_t bytes, bool begins)
{
    struct collected *c = user;
    size_t n = bytes < sizeof c->text - c->bytes ? bytes : sizeof c->text - c->bytes;
    memcpy(c->text + c->bytes, text, n);
    c->bytes += n;
    c->documents += begins;
    return SY_OK;
}

static enum sy_status collect_pair(void *user, const char *inputs, size_t inputs_bytes, const char *targets,
                                   size_t targets_bytes)
{
    SY_TRY(collect(user, inputs, inputs_bytes, true));
    SY_TRY(collect(user, ">", 1, false));
    return collect(user, targets, targets_bytes, false);
}

/// Whether a file gives exactly `want` in `documents` documents.
static bool reads_as(struct env *e, struct sy_reading *r, const char *name, const void *text, size_t bytes,
                     const char *want, size_t want_bytes, size_t documents)
{
    struct collected c = {.bytes = 0};
    char *path = make_file(e, name, text, bytes);
    bool good = sy_text_read(e->io.ctx, r, path, collect, &c) == SY_OK && c.bytes == want_bytes &&
                memcmp(c.text, want, c.bytes) == 0 && c.documents == documents && r->documents == documents;
    free(path);
    return good;
}

static bool reads(struct env *e, const char *name, const char *text, const char *want, size_t documents)
{
    struct sy_reading r = {.files = 0};
    return reads_as(e, &r, name, text, strlen(text), want, strlen(want), documents);
}

static void refuses_as(struct env *e, struct sy_reading r, const char *name, const void *text, size_t bytes,
                       const char *word, const char *what)
{
    struct collected c = {.bytes = 0};
    char *path = make_file(e, name, text, bytes);
    enum sy_status got = sy_text_read(e->io.ctx, &r, path, collect, &c);
    io_fails(&e->io, got, SY_FORMAT, word, what);
    io_check(&e->io, strstr(sy_error(e->io.ctx), name) != NULL, "… and the message names the file");
    free(path);
}

static void refuses(struct env *e, const char *name, const char *text, size_t bytes, const char *word, const char *what)
{
    refuses_as(e, (struct sy_reading){.files = 0}, name, text, bytes, word, what);
}

// ---- plain text -----------------------------------------------------------------------------------------------------

static void test_plain(struct env *e)
{
    io_check(&e->io, reads(e, "a.txt", "one\n\n two", "one\n\n two", 1), "plain text stays as it is");
    io_check(&e->io, reads(e, "a.txt", "\xef\xbb\xbfone\n", "one\n", 1), "a byte order mark is skipped");
    io_check(&e->io, reads(e, "a.txt", "one\r\ntwo", "one\r\ntwo", 1), "CR LF stays in text");
    refuses(e, "binary.txt", "abc\0def", 7, "byte 3 is NUL", "a NUL");
    refuses(e, "c.xz",
            "\xfd"
            "7zXZ\0\0",
            7, "xzcat", "xz");
    refuses(e, "c.bz2", "BZh91AY&SY\1", 11, "bzcat", "bzip2");
    refuses(e, "c.zip", "PK\3\4\x14", 5, "unzip", "zip");
    refuses(e, "c.parquet", "PAR1\x15", 5, "Parquet", "Parquet");
    io_check(&e->io, reads(e, "a.txt", "BZh91, he wrote.", "BZh91, he wrote.", 1), "prose of the same letters");
    refuses(e, "wide.txt", "a\0b\0", 4, "NUL", "UTF-16");
    refuses(e, "wide.jsonl", "\xff\xfe{\0", 4, "NUL", "UTF-16 by the name of JSON lines");
    char latin[2000];
    memset(latin, 'x', sizeof latin);
    for (size_t i = 0; i < sizeof latin; i += 50)
        latin[i] = '\xe4';
    refuses(e, "latin.txt", latin, sizeof latin, "not UTF-8", "Latin-1");
    for (size_t i = 50; i < sizeof latin; i += 50)
        latin[i] = 'x';
    unsigned before = e->io.warnings;
    struct sy_reading r = {.files = 0};
    bool good = reads_as(e, &r, "mostly.txt", latin, sizeof latin, latin, sizeof latin, 1);
    io_check(&e->io, good && e->io.warnings == before + 1, "one wrong byte is a warning");
    refuses_as(e, (struct sy_reading){.strict = true}, "mostly.txt", latin, sizeof latin, "byte 0 is not UTF-8",
               "strict: one wrong byte");
    struct collected c = {.bytes = 0};
    io_fails(&e->io, sy_text_read(e->io.ctx, &r, e->scratch, collect, &c), SY_IO, e->scratch, "a directory");
    io_fails(&e->io, sy_text_read(e->io.ctx, &r, "no/such.txt", collect, &c), SY_IO, "no/such.txt", "no file");
}

static void test_empty(struct env *e)
{
    static const char *const empty[] = {"", "\xef\xbb\xbf"}, *const lines[] = {"\n \r\n", "{\"text\":\"\"}\n", ""};
    struct sy_reading r = {.files = 0};
    for (size_t i = 0; i < SY_COUNT(empty); ++i)
        io_check(&e->io,
                 reads_as(e, &r, "empty.txt", empty[i], strlen(empty[i]), "", 0, 0) && r.files == i + 1 &&
                     r.empty_files == i + 1,
                 "an empty file is counted (%zu)", i);
    for (size_t i = 0; i < SY_COUNT(lines); ++i)
        io_check(&e->io,
                 reads_as(e, &r, "empty.jsonl", lines[i], strlen(lines[i]), "", 0, 0) && r.empty_files == i + 3 &&
                     r.skipped == 0,
                 "JSON lines without text are an empty file (%zu)", i);
    refuses_as(e, (struct sy_reading){.strict = true}, "empty.txt", "", 0, "is empty", "strict: an empty file");
}

// "one\ntwo\n" as gzip writes it, and {"text":"one"}.
static const char gzipped[] =
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\xcf\x4b\xe5\x2a\x29\xcf\xe7\x02\x00\xe6\x0b\xba\x12\x08\x00\x00\x00";
static const char gzipped_line[] = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\x2a\x49\xad\x28\x51\xb2\x52"
                                   "\xca\xcf\x4b\x55\xaa\xe5\x02\x00\x02\x9a\x73\x20\x0f\x00\x00\x00";

// The same lines in frames of zstd, stored as they are.
static const char zstd_lines[] = "\x28\xb5\x2f\xfd\x20\x08\x41\x00\x00one\ntwo\n";

static void test_zstd(struct env *e)
{
    struct sy_reading r = {.files = 0};
    char both[2 * sizeof zstd_lines], *path = make_file(e, "c.zst", zstd_lines, sizeof zstd_lines - 1);
    struct collected c = {.bytes = 0};
    enum sy_status status = sy_text_read(e->io.ctx, &r, path, collect, &c);
    free(path);
    if (status == SY_UNSUPPORTED) {
        tap_skip(&e->io.tap, "zstd: built without libzstd");
        return;
    }
    io_check(&e->io, status == SY_OK && c.bytes == 8 && memcmp(c.text, "one\ntwo\n", 8) == 0, "zstd");
    memcpy(both, zstd_lines, sizeof zstd_lines - 1);
    memcpy(both + sizeof zstd_lines - 1, zstd_lines, sizeof zstd_lines - 1);
    r = (struct sy_reading){.files = 0};
    io_check(&e->io, reads_as(e, &r, "two.zst", both, 2 * (sizeof zstd_lines - 1), "one\ntwo\none\ntwo\n", 16, 1),
             "two frames of zstd");
    for (size_t cut = 4; cut < sizeof zstd_lines - 1; ++cut)
        refuses(e, "cut.zst", zstd_lines, cut, "cut off", "a cut-off zstd file");
    refuses(e, "more.zst", both, sizeof zstd_lines - 1 + 3, "behind its zstd data", "a few bytes behind a frame");
    refuses(e, "bad.zst", "\x28\xb5\x2f\xfd\xff\xff\xff\xff\xff\xff", 10, "zstd", "a damaged zstd file");
    refuses(e, "wide.zst", "\x28\xb5\x2f\xfd\x00\x90\x41\x00\x00one\ntwo\n", 17, "more than 128 MiB",
            "a window of 256 MiB");
}

// ---- tables ---------------------------------------------------------------------------------------------------------

static void test_tables(struct env *e)
{
    static const char table[] = "\xef\xbb\xbfid\ttext\r\n1\tone \t x\r\n\r\n2\t\"two\r\n3\t\n4\n",
                      numbers[] = "a\tb\nc\td";
    struct sy_reading r = {.format = SY_TEXT_TABLE};
    const unsigned before = e->io.warnings;
    io_check(&e->io, reads_as(e, &r, "a.tsv", table, sizeof table - 1, "one \"two", 8, 2), "a column by its title");
    io_check(&e->io, r.lines == 4 && r.skipped == 1 && e->io.warnings == before + 1 && r.documents == 2,
             "a row without the column is skipped, an empty cell is no document");
    r = (struct sy_reading){.format = SY_TEXT_TABLE, .text_key = "2"};
    io_check(&e->io, reads_as(e, &r, "n.tsv", numbers, sizeof numbers - 1, "bd", 2, 2), "a column by its number");
    r = (struct sy_reading){.format = SY_TEXT_TABLE, .text_key = "1"};
    io_check(&e->io, reads_as(e, &r, "n.tsv", "a\0b\nc\xff\nd\n", 9, "d", 1, 1) && r.skipped == 2,
             "NUL and bytes that are not UTF-8");
    r = (struct sy_reading){.format = SY_TEXT_TABLE, .text_key = "body"};
    refuses_as(e, r, "a.tsv", table, sizeof table - 1, "no column \"body\"", "no such title");
    r.text_key = "3";
    refuses_as(e, r, "n.tsv", numbers, sizeof numbers - 1, "no column 3", "no such number");
    r.text_key = "0";
    refuses_as(e, r, "n.tsv", numbers, sizeof numbers - 1, "no column \"0\"", "columns count from 1");
}

static void test_gzip(struct env *e)
{
    struct collected c = {.bytes = 0};
    struct sy_reading r = {.files = 0};
    char *path = make_file(e, "c.gz", gzipped, sizeof gzipped - 1);
    enum sy_status status = sy_text_read(e->io.ctx, &r, path, collect, &c);
    free(path);
    if (status == SY_UNSUPPORTED) {
        tap_skip(&e->io.tap, "gzip: built without zlib");
        return;
    }
    io_check(&e->io, status == SY_OK && c.bytes == 8 && memcmp(c.text, "one\ntwo\n", 8) == 0, "gzip");
    static const char *const names[] = {"c4-train.00000-of-01024.json.gz", "c.dat", "c.txt"};
    for (size_t i = 0; i < SY_COUNT(names); ++i) {
        r = (struct sy_reading){.files = 0};
        io_check(&e->io, reads_as(e, &r, names[i], gzipped_line, sizeof gzipped_line - 1, "one", 3, 1),
                 "gzipped JSON lines: %s", names[i]);
    }
    refuses(e, "cut.gz", gzipped, sizeof gzipped - 12, "cut off", "a cut-off gzip file");
    char damaged[sizeof gzipped];
    memcpy(damaged, gzipped, sizeof gzipped);
    damaged[sizeof gzipped - 7] ^= 1; // the checksum
    refuses(e, "bad.gz", damaged, sizeof gzipped - 1, "damaged gzip", "a damaged gzip file");
}

// ---- which files are JSON lines -------------------------------------------------------------------------------------

#define TWO "{\"text\":\"a b\",\"url\":\"u\"}\n{\"url\":\"u\",\"text\":\"c\"}\n"

static void test_formats(struct env *e)
{
    static const char *const names[] = {
        "a.jsonl", "a.JSONL", "a.json", "a.ndjson", "a.txt", "a", "c4-train.00000-of-01024.json"};
    for (size_t i = 0; i < SY_COUNT(names); ++i)
        io_check(&e->io, reads(e, names[i], TWO, "a bc", 2), "JSON lines by the name of %s", names[i]);
    io_check(&e->io,
             reads(e, "a.txt", "\xef\xbb\xbf\r\n" TWO, "a bc", 2) &&
                 reads(e, "a.txt", "  {\"text\":\"x\"}\r\n\r\n\t{\"text\":\"y\"}", "xy", 2),
             "JSON lines with a byte order mark, CR LF, blank lines and spaces");
    io_check(&e->io, reads(e, "a.txt", "cut off in the middle\"}\n" TWO, "a bc", 2),
             "JSON lines whose first line is a rest of one");
    static const char *const prose[] = {
        "{ a brace begins this }\nand it goes on\n",
        "{\"a\": 1}\nis an object, they say.\nBut this is prose,\nand so is this.\n",
        "{\"he said,\nand left\"}\n",
        "[Applause] Thank you.\n",
        "[1]\n",
        "[link](there) \"quoted\"\n",
        "\"quoted\"\n",
        "{\n  \"title\": \"front matter\"\n}\n\nAnd the text.\n",
        "42\n",
        "{",
        "{\"text\": \"x\"} and more\n",
    };
    for (size_t i = 0; i < SY_COUNT(prose); ++i)
        io_check(&e->io, reads(e, "a.txt", prose[i], prose[i], 1), "prose that looks like JSON (%zu)", i);
    static const char *const documents[] = {
        "{\n  \"text\": \"a\"\n}\n",
        "[{\"text\": \"a\"}, {\"text\": \"b\"}]\n",
        "[\n {\"text\": \"a\"}\n]\n",
        "{\n \"text\": \"a\"\n}\n{\n \"text\": \"b\"\n}\n",
        "{\"text\": \"a\"}{\"text\": \"b\"}\n",
        "[\"a\",\n\"b\"]",
    };
    for (size_t i = 0; i < SY_COUNT(documents); ++i) {
        refuses(e, "doc.json", documents[i], strlen(documents[i]), "jq -c", "a JSON document");
        refuses(e, "doc.txt", documents[i], strlen(documents[i]), "--format text", "a JSON document named .txt");
        struct sy_reading r = {.format = SY_TEXT_PLAIN};
        io_check(&e->io,
                 reads_as(e, &r, "doc.json", documents[i], strlen(documents[i]), documents[i], strlen(documents[i]), 1),
                 "… read as text when asked for");
    }
    struct sy_reading r = {.format = SY_TEXT_PLAIN};
    io_check(&e->io, reads_as(e, &r, "a.jsonl", TWO, strlen(TWO), TWO, strlen(TWO), 1), "format text overrules");
    r = (struct sy_reading){.format = SY_TEXT_JSONL};
    io_check(&e->io, reads_as(e, &r, "a.txt", "x\ny\nz\n{\"text\":\"a\"}", 18, "a", 1, 1) && r.skipped == 3,
             "format jsonl overrules");
}

static void test_long_first_line(struct env *e)
{
    static const char head[] = "{\"x\":\"", middle[] = "\",\"text\":\"a\"}\n{\"text\":\"b\"}\n";
    const size_t filling = 3u << 20, bytes = sizeof head - 1 + filling + sizeof middle - 1;
    char *text = malloc(bytes);
    if (text == NULL)
        abort();
    memset(text, 'x', bytes);
    memcpy(text, head, sizeof head - 1);
    memcpy(text + bytes - (sizeof middle - 1), middle, sizeof middle - 1);
    struct sy_reading r = {.files = 0};
    io_check(&e->io, reads_as(e, &r, "a.txt", text, bytes, "ab", 2, 2), "a first line longer than what is looked at");
    free(text);
}

// ---- lines ----------------------------------------------------------------------------------------------------------

static void test_valid_lines(struct env *e)
{
    static const struct {
        const char *line, *text;
    } cases[] = {
        {"{\"text\":\"t\",\"x\":18446744073709551615}", "t"},
        {"{\"text\":\"t\",\"x\":-123456789012345678901234567890}", "t"},
        {"{\"text\":\"t\",\"x\":1e999}", "t"},
        {"{\"text\":\"t\",\"x\":[-0.0E+1,{\"y\":[]},true,false,null,{}]}", "t"},
        {"{\"x\":\"\\u0000\",\"text\":\"t\"}", "t"},
        {"{\"x\\u0000y\":1,\"text\":\"t\"}", "t"},
        {"{\"x\":\"\\ud800\",\"text\":\"t\"}", "t"},
        {"{\"te\\u0078t\":\"t\"}", "t"},
        {"{\"text\":\"a\",\"text\":\"b\"}", "b"},
        {"{\"text\":\"a\\nb\\\"\\\\\\/\\b\\f\\r\\t\"}", "a\nb\"\\/\b\f\r\t"},
        {"{\"text\":\"\\u0041\\u00e4\\u20ac\\ud83d\\uDE00\"}", "A\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
        {" \t{ \"text\" : \"t\" } \r", "t"},
        {"{\"x\":{\"text\":\"not this\"},\"text\":\"t\"}", "t"},
    };
    for (size_t i = 0; i < SY_COUNT(cases); ++i) {
        struct sy_reading r = {.strict = true};
        io_check(
            &e->io,
            reads_as(e, &r, "a.jsonl", cases[i].line, strlen(cases[i].line), cases[i].text, strlen(cases[i].text), 1),
            "valid: %s", cases[i].line);
    }
    struct sy_reading r = {.strict = true};
    static const char nul[] = "{\"text\":\"a\\u0000b\"}";
    io_check(&e->io, reads_as(e, &r, "a.jsonl", nul, sizeof nul - 1, "a\0b", 3, 1), "NUL in a text is a character");
    static const char nested[] = "{\"a\":{\"b\":\"x\"}}\n{\"a.b\":\"y\"}\n{\"a\":{\"c\":1,\"b\":\"z\"},\"b\":\"no\"}\n";
    r = (struct sy_reading){.text_key = "a.b"};
    io_check(&e->io, reads_as(e, &r, "a.jsonl", nested, sizeof nested - 1, "xyz", 3, 3) && r.skipped == 0,
             "a key inside a key");
    r = (struct sy_reading){.text_key = "body"};
    io_check(&e->io, reads_as(e, &r, "a.jsonl", "{\"body\":\"x\",\"text\":\"y\"}", 23, "x", 1, 1), "another key");
}

static void test_odd_lines(struct env *e)
{
    static const struct {
        const char *line, *word;
    } cases[] = {
        {"{\"text\":\"t\",\"x\":NaN}", "NaN"},
        {"{\"text\":\"t\",\"x\":[-Infinity]}", "Infinity"},
        {"{\"text\":null}", "null, expected a string"},
        {"{\"text\":7}", "a number, expected a string"},
        {"{\"text\":[\"t\"]}", "an array"},
        {"{\"text\":{\"a\":1}}", "an object"},
        {"{\"text\":true}", "true or false"},
        {"{\"text\":\"\\ud83d\"}", "surrogate"},
        {"{\"text\":\"\\ude00\\ud83d\"}", "surrogate"},
        {"{\"text\":\"a\xff\"}", "UTF-8"},
        {"{\"text\":\"a\tb\"}", "control character"},
        {"{\"txt\":\"t\",\"url\":\"u\"}", "only \"txt\", \"url\""},
        {"{}", "nothing at all"},
        {"not json", "not valid JSON"},
        {"{\"text\":\"t\"", "ends inside"},
        {"{\"text\":\"t\"}}", "more behind"},
        {"{\"text\":\"t\",}", "a key"},
        {"{\"text\":\"t\",\"x\":01}", "leading zero"},
        {"{\"text\":\"t\",\"x\":1.}", "a number"},
        {"{\"text\":\"t\",\"x\":tru}", "word"},
        {"{\"text\":\"\\x\"}", "escape"},
        {"{\"text\":\"\\u12g4\"}", "hexadecimal"},
        {"{'text':'t'}", "double quotes"},
        {"[1]", "an array"},
        {"\"t\"", "a string"},
    };
    for (size_t i = 0; i < SY_COUNT(cases); ++i) {
        char text[200];
        const int n = snprintf(text, sizeof text, "{\"text\":\"one\"}\n\n%s\n{\"text\":\"two\"}\n%s\n", cases[i].line,
                               cases[i].line);
        struct sy_reading r = {.files = 0};
        const unsigned before = e->io.warnings;
        io_check(&e->io,
                 reads_as(e, &r, "odd.jsonl", text, (size_t)n, "onetwo", 6, 2) && r.lines == 4 && r.skipped == 2 &&
                     e->io.warnings == before + 1,
                 "skipped with one warning, and counted: %s", cases[i].line);
        refuses_as(e, (struct sy_reading){.strict = true}, "odd.jsonl", text, (size_t)n, "odd.jsonl:3: ", "strict");
        io_check(&e->io, strstr(sy_error(e->io.ctx), cases[i].word) != NULL, "… and says \"%s\"", cases[i].word);
    }
}

static void test_hopeless(struct env *e)
{
    refuses(e, "b.jsonl", "{\"txt\":\"a\",\"id\":1}\n", 19, "\"txt\", \"id\" (--text-key", "no line with a text");
    refuses(e, "b.jsonl", "no\njson\n", 8, "b.jsonl:1: not valid JSON", "JSON lines that are none");
    struct sy_reading r = {.files = 0};
    io_check(&e->io,
             reads_as(e, &r, "b.jsonl", "{\"text\":null}\n", 14, "", 0, 0) && r.skipped == 1 && r.empty_files == 1,
             "a file with nothing but odd texts is an empty one");
    char many[20000] = "";
    for (size_t i = 0; i < 1000; ++i)
        strcat(many, "{\"txt\":\"a\"}\n");
    strcat(many, "{\"text\":\"a\"}\n");
    refuses(e, "b.jsonl", many, strlen(many), "--text-key", "a thousand lines without the key");
}

static void test_pairs(struct env *e)
{
    static const char text[] = "{\"inputs\":\"a\",\"targets\":\"b\"}\n{\"inputs\":\"x\",\"targets\":null}\n"
                               "{\"inputs\":\"\",\"targets\":\"\\u0063\"}\n";
    struct collected c = {.bytes = 0};
    struct sy_reading r = {.files = 0};
    char *path = make_file(e, "p.jsonl", text, sizeof text - 1);
    bool good = sy_pairs_read(e->io.ctx, &r, path, collect_pair, &c) == SY_OK && c.bytes == 5 &&
                memcmp(c.text, "a>b>c", 5) == 0 && r.skipped == 1;
    io_check(&e->io, good, "pairs");
    free(path);
    path = make_file(e, "p.jsonl", "{\"inputs\":\"a\",\"target\":\"b\"}\n", 28);
    io_fails(&e->io, sy_pairs_read(e->io.ctx, &r, path, collect_pair, &c), SY_FORMAT, "\"targets\"",
             "a pair without targets");
    free(path);
}

int main(int argc, char **argv)
{
    struct env e = {.data = argc > 1 ? argv[1] : "tests/data"};
    e.io.ctx = sy_ctx_create(io_log, &e.io, SY_LOG_WARN);
    if (e.io.ctx == NULL || !io_directory(e.scratch, sizeof e.scratch))
        return 2;
    test_plain(&e);
    test_empty(&e);
    test_gzip(&e);
    test_zstd(&e);
    test_tables(&e);
    test_formats(&e);
    test_long_first_line(&e);
    test_valid_lines(&e);
    test_odd_lines(&e);
    test_hopeless(&e);
    test_pairs(&e);
    if (sy_dir_remove(e.io.ctx, e.scratch) != SY_OK)
        return 2;
    return io_end(&e.io);
}
