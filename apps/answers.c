// SPDX-License-Identifier: Apache-2.0
#include "apps/answers.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum sy_status answers_check(const struct answers *a, const struct prompts *prompts)
{
    for (size_t i = 0; a->json && i < prompts->count; ++i) {
        json_t *text = prompts->items[i].text != NULL ? json_string(prompts->items[i].text) : json_null();
        if (text == NULL)
            return sy_fail(a->ctx, SY_INVALID, "prompt %zu is not UTF-8, so --json cannot repeat it", i + 1);
        json_decref(text);
    }
    return SY_OK;
}

static json_t *array_of(const int32_t *ids, uint32_t count)
{
    json_t *array = json_array();
    for (uint32_t i = 0; array != NULL && i < count; ++i)
        json_array_append_new(array, json_integer(ids[i]));
    return array;
}

static enum sy_status print_json(struct answers *a, const struct prompt *prompt, const char *text, const char *filled,
                                 const int32_t *ids, uint32_t count)
{
    json_t *asked = prompt->text != NULL ? json_string(prompt->text) : array_of(prompt->ids, prompt->count);
    json_t *j = json_pack("{s:o, s:s, s:I, s:o}", "prompt", asked, "output", text, "tokens", (json_int_t)count, "ids",
                          array_of(ids, count));
    if (j != NULL && filled != NULL)
        json_object_set_new(j, "filled", json_string(filled));
    char *line = j != NULL ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    if (line == NULL)
        return sy_fail(a->ctx, SY_NOMEM, "out of host memory: result");
    printf("%s\n", line);
    free(line);
    return SY_OK;
}

/// The end of a text that grew: what is not shown yet, on a line of its own where what was shown is no longer right.
static void print_rest(struct answers *a, const char *text)
{
    const size_t shown = a->shown != NULL ? strlen(a->shown) : 0;
    const bool goes_on = shown == 0 || strncmp(text, a->shown, shown) == 0;
    printf("%s%s\n", goes_on ? "" : "\n", goes_on ? text + shown : text);
    free(a->shown);
    a->shown = NULL;
    a->count = 0;
}

enum sy_status answers_print(struct answers *a, const struct prompt *prompt, const int32_t *ids, uint32_t count)
{
    char *text, *filled = NULL;
    const bool marks = !a->raw && prompt->text != NULL && strstr(prompt->text, "<extra_id_") != NULL;
    enum sy_status status = a->failed ? SY_NOMEM : sy_tokenizer_decode(a->ctx, a->tokenizer, ids, count, &text);
    if (status != SY_OK)
        return status;
    if (marks && (filled = prompts_fill(prompt->text, text)) == NULL) {
        status = sy_fail(a->ctx, SY_NOMEM, "out of host memory: result");
    } else if (a->json) {
        status = print_json(a, prompt, text, filled, ids, count);
    } else if (a->growing) {
        print_rest(a, text);
        printf("%s%s", filled != NULL ? filled : "", filled != NULL ? "\n" : "");
    } else {
        printf("%s%s%s\n", filled != NULL ? filled : "", filled != NULL ? "\n" : "", text);
    }
    free(filled);
    free(text);
    return status;
}

/// Without the half of a character at its end, which shows as U+FFFD until the other half comes.
static void cut_half(char *text)
{
    for (size_t n = strlen(text); n >= 3 && memcmp(text + n - 3, "\xef\xbf\xbd", 3) == 0; n -= 3)
        text[n - 3] = '\0';
}

void answers_hear(void *user, uint32_t prompt, int32_t token)
{
    struct answers *a = user;
    char *text;
    (void)prompt;
    if (a->ids == NULL)
        a->ids = malloc(a->room * sizeof *a->ids);
    if (a->ids == NULL) {
        a->failed = true;
        return;
    }
    a->ids[a->count++] = token;
    if (sy_tokenizer_decode(a->ctx, a->tokenizer, a->ids, a->count, &text) != SY_OK) {
        a->failed = true;
        return;
    }
    cut_half(text);
    const size_t shown = a->shown != NULL ? strlen(a->shown) : 0;
    if (strlen(text) <= shown || (shown != 0 && strncmp(text, a->shown, shown) != 0)) {
        free(text);
        return;
    }
    fputs(text + shown, stdout);
    fflush(stdout);
    free(a->shown);
    a->shown = text;
}

void answers_finish(struct answers *a)
{
    free(a->ids);
    free(a->shown);
}
