// SPDX-License-Identifier: Apache-2.0
#include "apps/texts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/file.h"

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

/// --document-end and --pack, in any order: what one of them leaves as it is, the other may change.
static void take_documents(struct argp_state *state, struct texts *t, enum sy_documents wanted)
{
    if (t->documents > SY_DOCUMENTS_FOLLOW && wanted > SY_DOCUMENTS_FOLLOW && wanted != t->documents)
        argp_error(state,
                   "--pack none makes an example of each document: nothing follows it, so leave --document-end away");
    t->documents = wanted > t->documents ? wanted : t->documents;
}

bool texts_parse(struct argp_state *state, int key, const char *arg, struct texts *t)
{
    static const char *const formats[] = {"auto", "text", "jsonl", "tsv"}, *const ends[] = {"none", "eos"},
                             *const packs[] = {"stream", "none"};
    switch (key) {
    case TEXTS_FORMAT:
        t->given = "--format";
        t->format = (enum sy_text_format)choose(state, t->given, arg, formats, SY_COUNT(formats));
        return true;
    case TEXTS_KEY:
        t->given = "--text-key";
        t->key = cli_text(state, t->given, arg);
        return true;
    case TEXTS_COLUMN:
        t->given = "--column";
        t->column = true;
        t->format = SY_TEXT_TABLE;
        t->key = cli_text(state, t->given, arg);
        return true;
    case TEXTS_END:
        t->given = "--document-end";
        take_documents(
            state, t, choose(state, t->given, arg, ends, SY_COUNT(ends)) == 1 ? SY_DOCUMENTS_EOS : SY_DOCUMENTS_FOLLOW);
        return true;
    case TEXTS_PACK:
        t->given = "--pack";
        take_documents(state, t,
                       choose(state, t->given, arg, packs, SY_COUNT(packs)) == 1 ? SY_DOCUMENTS_ALONE
                                                                                 : SY_DOCUMENTS_FOLLOW);
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
    if (t->column && t->format != SY_TEXT_TABLE)
        argp_error(state, "--column is for tab-separated rows, --format tsv");
    if (t->key != NULL && t->format == SY_TEXT_PLAIN)
        argp_error(state, "--text-key is for JSON lines, --format text reads none");
}

/// Prepared corpora are a source each; text files are one together, or one each when `apart`.
static size_t group(const struct cli_list *files, bool apart, const char **texts, struct sy_data_source *sources)
{
    size_t count = 0, text_count = 0, together = SIZE_MAX;
    for (size_t i = 0; i < files->count; ++i) {
        const bool prepared = sy_dir_exists(files->items[i]);
        if (!prepared)
            texts[text_count++] = files->items[i];
        if (prepared || apart)
            sources[count++] = (struct sy_data_source){.files = &files->items[i], .file_count = 1};
        else if (together == SIZE_MAX)
            sources[together = count++] = (struct sy_data_source){.files = texts};
    }
    if (together != SIZE_MAX)
        sources[together].file_count = text_count;
    return count;
}

enum sy_status texts_open(struct sy_ctx *ctx, const struct texts *t, const struct cli_list *files, bool apart,
                          const double *rates, struct sy_dataset_params p, struct sy_dataset **out)
{
    struct sy_data_source *sources = calloc(files->count, sizeof *sources);
    const char **names = calloc(files->count, sizeof *names);
    enum sy_status status = sources != NULL && names != NULL ? SY_OK : sy_fail(ctx, SY_NOMEM, "out of host memory");
    if (status == SY_OK) {
        p.sources = sources;
        p.source_count = group(files, apart, names, sources);
        for (size_t i = 0; rates != NULL && i < p.source_count; ++i)
            sources[i].rate = rates[i];
        p.objective = sy_task_spans.objective;
        p.format = t->format;
        p.text_key = t->key;
        p.strict = t->strict;
        p.documents = t->documents;
        status = sy_dataset_open(ctx, &p, out);
    }
    free(sources);
    free(names);
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
