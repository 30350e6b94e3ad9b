// SPDX-License-Identifier: Apache-2.0
#include "apps/texts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// The place of `arg` among `names`; ends the program when it is none.
static int choose(struct argp_state *state, const char *option, const char *arg, const char *const *names, int count)
{
    char all[80] = "";
    for (int i = 0; i < count; ++i) {
        if (strcmp(arg, names[i]) == 0)
            return i;
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i > 0 ? ", " : "", names[i]);
    }
    argp_error(state, "%s: '%s' is none of %s", option, arg, all);
    return 0;
}

bool texts_parse(struct argp_state *state, int key, const char *arg, struct texts *t)
{
    static const char *const formats[] = {"auto", "text", "jsonl"}, *const ends[] = {"none", "eos"};
    switch (key) {
    case TEXTS_FORMAT:
        t->given = "--format";
        t->format = (enum sy_text_format)choose(state, t->given, arg, formats, SY_COUNT(formats));
        return true;
    case TEXTS_KEY:
        t->given = "--text-key";
        t->key = cli_text(state, t->given, arg);
        return true;
    case TEXTS_END:
        t->given = "--document-end";
        t->document_eos = choose(state, t->given, arg, ends, SY_COUNT(ends)) == 1;
        return true;
    case TEXTS_STRICT:
        t->given = "--strict";
        t->strict = true;
        return true;
    default: return false;
    }
}

static size_t count_standard(const struct cli_list *files)
{
    size_t n = 0;
    for (size_t i = 0; files != NULL && i < files->count; ++i)
        n += strcmp(files->items[i], "-") == 0;
    return n;
}

void texts_check(struct argp_state *state, const struct texts *t, const struct cli_list *data,
                 const struct cli_list *valid)
{
    if (count_standard(data) + count_standard(valid) > 1)
        argp_error(state, "standard input ('-') can be read once: it is named twice");
    if (data->count == 0 && t->given != NULL)
        argp_error(state, "%s needs --data", t->given);
    if (t->key != NULL && t->format == SY_TEXT_PLAIN)
        argp_error(state, "--text-key is for JSON lines, --format text reads none");
}

enum sy_status texts_open(struct sy_ctx *ctx, const struct texts *t, const struct cli_list *files, bool apart,
                          struct sy_dataset_params p, struct sy_dataset **out)
{
    const size_t count = apart ? files->count : 1, each = apart ? 1 : files->count;
    struct sy_data_source *sources = calloc(count, sizeof *sources);
    if (sources == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    for (size_t i = 0; i < count; ++i)
        sources[i] = (struct sy_data_source){.files = &files->items[i], .file_count = each};
    p.sources = sources;
    p.source_count = count;
    p.objective = sy_task_spans.objective;
    p.format = t->format;
    p.text_key = t->key;
    p.strict = t->strict;
    p.document_eos = t->document_eos;
    enum sy_status status = sy_dataset_open(ctx, &p, out);
    free(sources);
    return status;
}

void texts_describe(const struct sy_dataset *data, char out[160])
{
    char tokens[16];
    const unsigned long long documents = sy_dataset_documents(data), examples = sy_dataset_count(data);
    cli_human((double)sy_dataset_tokens(data), tokens);
    snprintf(out, 160, "%s tokens of text in %llu document%s: %llu example%s of at most %u", tokens, documents,
             documents == 1 ? "" : "s", examples, examples == 1 ? "" : "s", sy_dataset_segment(data));
}
