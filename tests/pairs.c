// SPDX-License-Identifier: Apache-2.0
// pairs.c: tests of tables, templates and the examples that tasks make of them.
#include "engine/data/batch.h"
#include "engine/data/pairs.h"
#include "tests/io.h"

struct env {
    struct io io;
};

static enum sy_status set(struct env *e, struct sy_form *f, const char *key, const char *text)
{
    return sy_form_set(e->io.ctx, f, key, text, key);
}

static struct sy_form form(struct env *e, const char *inputs, const char *target)
{
    struct sy_form f = {0};
    if (set(e, &f, "template", inputs) != SY_OK || set(e, &f, "target", target) != SY_OK)
        abort();
    return f;
}

static enum sy_status parse(struct env *e, const struct sy_form *f, const char *text, size_t bytes,
                            struct sy_pairs *out)
{
    return sy_pairs_parse(e->io.ctx, f, text, bytes, "t.tsv", out);
}
#define PARSE(e, f, text, out) parse(e, f, text, sizeof(text) - 1, out)

static bool is(const struct sy_pairs *p, size_t i, const char *inputs, const char *target)
{
    return i < p->count && strcmp(p->items[i].inputs, inputs) == 0 && strcmp(p->items[i].target, target) == 0;
}

// ---- templates ------------------------------------------------------------------------------------------------------

static void test_templates(struct env *e)
{
    static const struct {
        const char *text, *word;
    } wrong[] = {{"plain", "names no column"}, {"", "names no column"},
                 {"a {b", "no closing }"},     {"a } {b}", "closes what no { opened"},
                 {"{}", "names no column"},    {"{a[]}", "{name[number]}"},
                 {"{a[0}", "{name[number]}"},  {"{a|upper}", "lines or letters"},
                 {"{a {b}}", "no closing }"},  {"{[0]}", "names no column"}};
    struct sy_template *t = NULL;
    for (size_t i = 0; i < SY_COUNT(wrong); ++i)
        io_fails(&e->io, sy_template_parse(e->io.ctx, "--template", wrong[i].text, false, &t), SY_INVALID,
                 wrong[i].word, wrong[i].text);
    static const char rows[] = "{\"s\": \"x\", \"n\": 3, \"r\": 0.1, \"t\": true, \"l\": [\"p\", \"q\"], \"o\": "
                               "{\"k\": \"v\"}, \"a.b\": \"d\", "
                               "\"i\": \"1\", \"z\": null, \"e\": \"\", \"none\": [], \"f\": 1.5e300}\n";
    static const struct {
        const char *text, *made;
    } right[] = {{"{s} {{{n}}} {r} {t}", "x {3} 0.1 true"},
                 {"{l}", "p q"},
                 {"{l|lines}", "p\nq"},
                 {"{l|letters}", "(A) p (B) q"},
                 {"{l[1]}", "q"},
                 {"{l[i]}{l[0]}", "qp"},
                 {"{o.k}{a.b}", "vd"},
                 {"é{s}é", "éxé"},
                 {"{f}", "1.5e+300"}};
    for (size_t i = 0; i < SY_COUNT(right); ++i) {
        struct sy_form f = form(e, right[i].text, "{s}");
        struct sy_pairs p = {0};
        io_check(&e->io, PARSE(e, &f, rows, &p) == SY_OK && is(&p, 0, right[i].made, "x"), "%s", right[i].text);
        sy_pairs_finish(&p);
        sy_form_finish(&f);
    }
    static const struct {
        const char *text, *word;
    } odd[] = {{"{q}", "t.tsv:1: template names {q}: there is no such column, only s, n, r"},
               {"{z}", "null"},
               {"{e}", "empty"},
               {"{none}", "its list is empty"},
               {"{o}", "an object"},
               {"{l[2]}", "no element 2"},
               {"{l[s]}", "no number of an element"},
               {"{s[0]}", "no list"},
               {"{l[n]}", "no element 3"},
               {"{o.v}", "names {o.v}: the column is there, but has no such key"},
               {"{l[zz]}", "no such column"}};
    for (size_t i = 0; i < SY_COUNT(odd); ++i) {
        struct sy_form f = form(e, odd[i].text, "{s}");
        struct sy_pairs p = {0};
        io_fails(&e->io, PARSE(e, &f, rows, &p), SY_FORMAT, odd[i].word, odd[i].text);
        sy_form_finish(&f);
    }
}

// ---- tables ---------------------------------------------------------------------------------------------------------

static void test_tables(struct env *e)
{
    struct sy_form f = form(e, "{a}", "{b}");
    struct sy_pairs p = {0};
    bool good = PARSE(e, &f, "a\tb\n1\t\"2\n3\t4\n", &p) == SY_OK && p.count == 2 && is(&p, 0, "1", "\"2") &&
                is(&p, 1, "3", "4") && p.items[1].number == 3;
    io_check(&e->io, good, "TSV: a line each, quotes mean nothing");
    sy_pairs_finish(&p);
    good = PARSE(e, &f,
                 "\xef\xbb\xbf"
                 "b\ta\r\n1\t2\r\n\r\n3\t4",
                 &p) == SY_OK &&
           p.count == 2 && is(&p, 0, "2", "1") && is(&p, 1, "4", "3");
    io_check(&e->io, good, "TSV: a byte order mark, CR LF, an empty line, no last line end");
    sy_pairs_finish(&p);
    good = PARSE(e, &f, "\xef\xbb\xbf{\"a\":1,\"b\":2}\r\n\n{\"b\":4,\"a\":3}", &p) == SY_OK && p.count == 2 &&
           is(&p, 0, "1", "2") && is(&p, 1, "3", "4");
    io_check(&e->io, good, "JSON lines, the same");
    sy_pairs_finish(&p);
    good =
        PARSE(e, &f, "{\"a\":1,\"b\":0,\"id\":123456789012345678901234567890}\n", &p) == SY_OK && is(&p, 0, "1", "0");
    io_check(&e->io, good, "an id of more than 64 bits beside");
    sy_pairs_finish(&p);
    good = PARSE(e, &f, "[{\"a\":1,\"b\":2},\n{\"b\":4,\"a\":3}]", &p) == SY_OK && p.count == 2 && is(&p, 1, "3", "4");
    io_check(&e->io, good, "a JSON array");
    sy_pairs_finish(&p);
    static const struct {
        const char *text;
        size_t bytes;
        const char *word;
    } wrong[] = {
#define ROW(text, word) {text, sizeof(text) - 1, word}
        ROW("a\tb\n1\t2\t3\n", "t.tsv:2: 3 values between tabs, expected 2"),
        ROW("a\tb\n1\n", "t.tsv:2: 1 value between tabs"),
        ROW("a\tb\n1\t2\n\xe9\t2\n", "t.tsv:3: byte 1 of the line is not UTF-8"),
        ROW("a\tb\n1\t2\n1\t\0\n", "t.tsv:3: byte 3 of the line is NUL"),
        ROW("a\tb\ta\n1\t2\t3\n", "t.tsv:1: two columns are called \"a\""),
        ROW("a\tb\n1\t\n", "t.tsv:2: target names {b}: its value is empty"),
        ROW("a\tc\n1\t2\n", "t.tsv:2: target names {b}: there is no such column, only a, c"),
        ROW("a,b\n1,2\n", "only a,b; is this CSV? Columns are parted by tabs"),
        ROW("PK\3\4....", "t.tsv is a zip archive, which is not read here: unzip -p FILE | … --pairs -"),
        ROW("PAR1....", "t.tsv is a Parquet table"),
        ROW("\xff\xfe"
            "a\0",
            "t.tsv is UTF-16: convert it"),
        ROW("a\tb\n", "holds no row, only the names of columns"),
        ROW("", "holds no row"),
        ROW("{\"a\":1,\"b\":2}\n{\"a\":1,\"a\":2,\"b\":3}\n", "t.tsv:2: not valid JSON: duplicate object key"),
        ROW("{\"a\":1,\"b\":2}\n{\"a\":1,", "t.tsv:2: not valid JSON"),
        ROW("{\"a\":1,\"b\":2}\n[1]\n", "t.tsv:2: expected an object"),
        ROW("{\"a\":1,\"b\":\"\\u0000\"}\n", "t.tsv:1: not valid JSON: \\u0000 in a string"),
        ROW("{\"a\":1,\"b\":2}\n{\"a\":1,\"b\":\"\xff\"}\n", "t.tsv:2: byte 13 of the line is not UTF-8"),
        ROW("{\"a\":1,\"b\":2}\n{\"a\":1}\n", "t.tsv:2: target names {b}: there is no such column, only a"),
        ROW("[{\"a\":1,\"b\":2}, 3]", "element 2 of the array is no object"),
        ROW("{\n \"a\": 1}", "is one JSON object"),
        ROW("{\n \"a\": 1,}", "t.tsv:2: not valid JSON"),
    };
    for (size_t i = 0; i < SY_COUNT(wrong); ++i)
        io_fails(&e->io, parse(e, &f, wrong[i].text, wrong[i].bytes, &p), SY_FORMAT, wrong[i].word, wrong[i].word);
    sy_form_finish(&f);
    f = form(e, "{question} {context}", "{answers}");
    good =
        PARSE(
            e, &f,
            "{\"version\": 1, \n\"data\": [{\"title\": \"T\", \"paragraphs\": [{\"context\": \"c\", \"qas\": [{\"id\": "
            "\"i\", \"question\": \"q\", \"answers\": [{\"text\": \"x\", \"answer_start\": 1}, {\"text\": "
            "\"y\"}]}]}]}]}",
            &p) == SY_OK &&
        p.count == 1 && is(&p, 0, "q c", "x") && p.items[0].gold_count == 2 && strcmp(p.items[0].golds[1], "y") == 0;
    io_check(&e->io, good, "SQuAD's JSON: a row is a question");
    sy_pairs_finish(&p);
    sy_form_finish(&f);
    f = form(e, "{a}", "{b}");
    if (set(e, &f, "columns", "a,b") != SY_OK)
        abort();
    io_check(&e->io, PARSE(e, &f, "1\t2\n3\t4\n", &p) == SY_OK && p.count == 2 && is(&p, 0, "1", "2"),
             "columns that the file does not name");
    sy_pairs_finish(&p);
    sy_form_finish(&f);
}

// ---- labels, options ------------------------------------------------------------------------------------------------

static void test_labels(struct env *e)
{
    struct sy_form f = form(e, "{s}", "{y}");
    struct sy_pairs p = {0};
    io_fails(&e->io, set(e, &f, "labels", "0=no,1"), SY_INVALID, "'1' is no RAW=TEXT", "half a label");
    io_fails(&e->io, set(e, &f, "labels", "0=no,0=yes"), SY_INVALID, "'0' is there twice", "a label twice");
    io_fails(&e->io, set(e, &f, "labels", "0="), SY_INVALID, "has no text", "a label without a text");
    bool good = set(e, &f, "labels", "0=no,1=yes,true=yes") == SY_OK && set(e, &f, "options", "labels") == SY_OK &&
                PARSE(e, &f, "{\"s\":1,\"y\":0}\n{\"s\":2,\"y\":true}\n{\"s\":3,\"y\":\"no\"}\n", &p) == SY_OK;
    good = good && is(&p, 0, "1", "no") && is(&p, 1, "2", "yes") && is(&p, 2, "3", "no") &&
           p.items[0].option_count == 2 && strcmp(p.items[0].options[1], "yes") == 0;
    io_check(&e->io, good, "raw labels become words, each an option once");
    sy_pairs_finish(&p);
    io_fails(&e->io, PARSE(e, &f, "s\ty\n1\t0\n1\t2\n", &p), SY_FORMAT,
             "t.tsv:3: the label is '2', expected one of 0, 1", "a label that is none");
    good = set(e, &f, "options", "yes,maybe") == SY_OK;
    io_fails(&e->io, PARSE(e, &f, "s\ty\n1\t1\n1\t0\n", &p), SY_FORMAT,
             "t.tsv:3: the target 'no' is none of the 2 options", "an answer outside the options");
    io_fails(&e->io, set(e, &f, "options", "yes,,no"), SY_INVALID, "an option is empty", "an empty option");
    sy_form_finish(&f);
    f = form(e, "{q}", "{choices[gold]}");
    good = good && set(e, &f, "options", "{choices}") == SY_OK &&
           PARSE(e, &f, "{\"q\":\"?\",\"choices\":[\"u\",\"v\",\"w\"],\"gold\":2}\n", &p) == SY_OK &&
           is(&p, 0, "?", "w") && p.items[0].option_count == 3;
    io_check(&e->io, good, "options out of a list");
    sy_pairs_finish(&p);
    io_fails(&e->io, PARSE(e, &f, "{\"q\":\"?\",\"choices\":[\"u\"],\"gold\":0}\n", &p), SY_FORMAT, "but one option",
             "nothing to choose from");
    sy_form_finish(&f);
    f = form(e, "{p}", "{y}");
    good = set(e, &f, "labels", "0={c1},1={c2}") == SY_OK && set(e, &f, "options", "labels") == SY_OK &&
           PARSE(e, &f, "p\tc1\tc2\ty\nx\tl\tr\t1\n", &p) == SY_OK && is(&p, 0, "x", "r") &&
           strcmp(p.items[0].options[0], "l") == 0;
    io_check(&e->io, good, "labels that name columns");
    sy_pairs_finish(&p);
    sy_form_finish(&f);
    f = form(e, "{p}", "{y}");
    f.round = 0.2;
    good = PARSE(e, &f, "p\ty\na\t3.69\nb\t5\nc\t0.09\n", &p) == SY_OK && is(&p, 0, "a", "3.6") &&
           is(&p, 1, "b", "5.0") && is(&p, 2, "c", "0.0") && strcmp(p.items[0].golds[0], "3.69") == 0;
    io_check(&e->io, good, "a score rounded to fifths, compared as it was");
    sy_pairs_finish(&p);
    io_fails(&e->io, PARSE(e, &f, "p\ty\na\tx\n", &p), SY_FORMAT, "expected a number to round", "a score that is none");
    sy_form_finish(&f);
    io_fails(&e->io, sy_form_check(e->io.ctx, &f), SY_INVALID, "--template", "no template");
    f = form(e, "{p}", "{y}");
    good = set(e, &f, "columns", "p,y,p") == SY_OK;
    io_fails(&e->io, PARSE(e, &f, "a\tb\tc\n", &p), SY_FORMAT, "--columns: two columns are called \"p\"",
             "a column twice in --columns");
    good = good && set(e, &f, "labels", "0=no,1={p}") == SY_OK && set(e, &f, "positive", "maybe") == SY_OK;
    io_check(&e->io, good && sy_form_check(e->io.ctx, &f) == SY_OK, "a label that names a column may be positive");
    good = set(e, &f, "labels", "0=no,1=yes") == SY_OK;
    io_fails(&e->io, sy_form_check(e->io.ctx, &f), SY_INVALID,
             "positive: 'maybe' is neither the text of a label nor an option", "a positive class that none is");
    good = good && set(e, &f, "options", "yes,no,maybe") == SY_OK;
    io_check(&e->io, good && sy_form_check(e->io.ctx, &f) == SY_OK, "… an option is");
    sy_form_finish(&f);
}

static void test_ids(struct env *e)
{
    static const char task[] = "{\"template\": \"{p}\", \"target\": \"{y}\", \"id\": \"n{i}\"}";
    struct sy_form f = {0};
    struct sy_pairs with = {0}, without = {0}, p = {0};
    const bool good = sy_form_parse(e->io.ctx, task, sizeof task - 1, "t.json", &f) == SY_OK &&
                      PARSE(e, &f, "p\ty\ti\na\tb\t7\n", &with) == SY_OK &&
                      PARSE(e, &f, "p\ty\na\tb\n", &without) == SY_OK;
    io_check(&e->io, good && strcmp(with.items[0].id, "n7") == 0 && without.items[0].id == NULL,
             "rows without the column of a task file's id have none");
    io_fails(&e->io, set(e, &f, "id", "{i}") == SY_OK ? PARSE(e, &f, "p\ty\na\tb\n", &p) : SY_OK, SY_FORMAT,
             "id names {i}: there is no such column", "… one that was asked for must be there");
    sy_pairs_finish(&with);
    sy_pairs_finish(&without);
    sy_form_finish(&f);
}

static void test_task_files(struct env *e)
{
    static const struct {
        const char *text, *word;
    } wrong[] = {{"", "t.json: not valid JSON"},
                 {"[]", "expected an object"},
                 {"{\"templat\": \"{a}\"}", "t.json: \"templat\": a task has no key"},
                 {"{\"template\": \"{a}\", \"template\": \"{b}\"}", "duplicate object key"},
                 {"{\"template\": \"a\"}", "t.json: \"template\": 'a' names no column"},
                 {"{\"template\": 3}", "expected a text"},
                 {"{\"labels\": {}}", "t.json: \"labels\": expected at least one label"},
                 {"{\"labels\": {\"0\": 1}}", "expected an object of texts"},
                 {"{\"options\": []}", "t.json: \"options\": expected at least one option"},
                 {"{\"options\": [\"a\", 1]}", "expected a list of texts"},
                 {"{\"max_tokens\": 1}", "a whole number from 2"},
                 {"{\"round\": -1}", "a number above 0"}};
    for (size_t i = 0; i < SY_COUNT(wrong); ++i) {
        struct sy_form f = {0};
        const enum sy_status status = sy_form_parse(e->io.ctx, wrong[i].text, strlen(wrong[i].text), "t.json", &f);
        io_check(&e->io, status != SY_OK && strstr(sy_error(e->io.ctx), wrong[i].word) != NULL, "%s",
                 sy_error(e->io.ctx));
        sy_form_finish(&f);
    }
}

// ---- examples -------------------------------------------------------------------------------------------------------

static void test_examples(struct env *e)
{
    struct sy_form f = form(e, "{a}", "{b}");
    struct sy_pairs p = {0};
    struct sy_tokenizer *t = NULL;
    struct sy_dataset *ds = NULL;
    struct sy_batch b = {0};
    const char *const files[] = {"t.tsv"};
    const struct sy_data_source source = {.files = files, .file_count = 1};
    bool good = sy_tokenizer_open(e->io.ctx, "bytes", 0, &t) == SY_OK &&
                PARSE(e, &f, "a\tb\nabcdefgh\tx\nb\tvwxyz\n", &p) == SY_OK &&
                sy_pairs_encode(e->io.ctx, t, &p) == SY_OK && p.longest_input == 9 && p.longest_target == 6;
    struct sy_dataset_params d = {.sources = &source,
                                  .source_count = 1,
                                  .tokenizer = t,
                                  .objective = SY_OBJECTIVE_PAIRS,
                                  .pairs = &p,
                                  .src_len = 5,
                                  .tgt_len = 4,
                                  .in_order = true};
    const int32_t inputs[] = {'a' + 3, 'b' + 3, 'c' + 3, 'd' + 3, 1, 'b' + 3, 1, 0, 0, 0};
    const int32_t mask[] = {1, 1, 1, 1, 1, 1, 1, 0, 0, 0};
    const int32_t labels[] = {'x' + 3, 1, SY_IGNORE, SY_IGNORE, 'v' + 3, 'w' + 3, 'x' + 3, 1};
    good = good && sy_dataset_open(e->io.ctx, &d, &ds) == SY_OK && sy_dataset_count(ds) == 2 &&
           sy_dataset_documents(ds) == 2 && sy_dataset_batch(e->io.ctx, ds, 0, 2, &b) == SY_OK &&
           memcmp(b.input_ids, inputs, sizeof inputs) == 0 && memcmp(b.attention_mask, mask, sizeof mask) == 0 &&
           memcmp(b.labels, labels, sizeof labels) == 0;
    io_check(&e->io, good, "rows as a dataset: cut to length with eos, padding masked");
    sy_dataset_close(&ds);
    sy_batch_finish(&b);
    sy_pairs_finish(&p);
    sy_tokenizer_close(&t);
    sy_form_finish(&f);
}

int main(void)
{
    struct env e = {0};
    e.io.ctx = sy_ctx_create(io_log, &e.io, SY_LOG_WARN);
    if (e.io.ctx == NULL)
        return 2;
    test_templates(&e);
    test_tables(&e);
    test_labels(&e);
    test_ids(&e);
    test_task_files(&e);
    test_examples(&e);
    return io_end(&e.io);
}
