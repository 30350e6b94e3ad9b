// SPDX-License-Identifier: Apache-2.0
// records.c: a corpus of millions of lines has odd ones. One of them must not end a run, and none may go in silence.
#include "engine/data/records.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOPELESS 1000 // broken lines from the start on: the rest of a large file will not be better

static enum sy_status no_good_line(const struct sy_records *r)
{
    return sy_fail(r->ctx, SY_FORMAT,
                   "%s, and no line around it is better; is this a file of %s? --format text reads it as it is",
                   r->first_broken, r->content == SY_CONTENT_TABLE ? "tab-separated rows" : "JSON lines");
}

enum sy_status sy_records_odd(struct sy_records *r, bool broken, const char *format, ...)
{
    char said[sizeof r->first_broken];
    int n = snprintf(said, sizeof said, "%.200s:%llu: ", r->path, (unsigned long long)r->line);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(said + n, sizeof said - (size_t)n, format, arguments);
    va_end(arguments);
    if (r->reading->strict)
        return sy_fail(r->ctx, SY_FORMAT, "%s", said);
    if (broken && r->broken++ == 0)
        memcpy(r->first_broken, said, sizeof said);
    if (!r->patient && r->good == 0 && r->broken >= HOPELESS)
        return no_good_line(r);
    if (r->reading->skipped++ == 0)
        sy_log(r->ctx, SY_LOG_WARN, "%s; such lines are skipped and counted (--strict stops at the first)", said);
    return SY_OK;
}

enum sy_status sy_records_add(struct sy_records *r, const struct sy_records *part)
{
    if (r->broken == 0)
        memcpy(r->first_broken, part->first_broken, sizeof r->first_broken);
    r->line = part->line;
    r->good += part->good;
    r->broken += part->broken;
    r->reading->documents += part->reading->documents;
    r->reading->lines += part->reading->lines;
    r->reading->skipped += part->reading->skipped;
    r->reading->warned = r->reading->warned || part->reading->warned;
    return r->good == 0 && r->broken >= HOPELESS ? no_good_line(r) : SY_OK;
}

enum sy_status sy_records_end(struct sy_records *r) { return r->good == 0 && r->broken > 0 ? no_good_line(r) : SY_OK; }

void sy_records_finish(struct sy_records *r) { free(r->room); }
