// SPDX-License-Identifier: Apache-2.0
// template.h: a text with the values of a row in it: "nli hypothesis: {b} premise: {a}".
//
// {name}        the value of a column; {a.b}: of key b in the object under a (or of the key "a.b")
// {name[2]}     an element of a list, from 0;   {name[other]}   the one whose number column `other` holds
// {name}        of a list: its elements with a space between them
// {name|lines}  … with a line end between them; {name|letters}  … as "(A) … (B) …"
// {{ and }}     braces
// Numbers are written as they read back, true and false as these words. Layer: engine.
#pragma once

#include "engine/data/rows.h"

struct sy_template;

/// `what` is what messages call it ("--template"). `constant`: it may name no column. Malloc'ed. Errors: INVALID.
SY_MUST_CHECK enum sy_status sy_template_parse(struct sy_ctx *ctx, const char *what, const char *text, bool constant,
                                               struct sy_template **out);
/// The text of one that names no column; NULL: it does.
const char *sy_template_constant(const struct sy_template *t);
void sy_template_free(struct sy_template **t);
/// Whether the row has the columns that it names.
bool sy_template_fits(const struct sy_template *t, const struct sy_row *row);
/// A malloc'ed string. Errors: FORMAT naming file, line and column: missing, null, empty, an object, no such element.
SY_MUST_CHECK enum sy_status sy_template_fill(struct sy_ctx *ctx, const struct sy_template *t, const struct sy_row *row,
                                              char **out);
/// What the template stands for when it is one list ("{answers}"): its elements, and their number; else the text
/// alone. Malloc'ed strings in a malloc'ed array. Errors: as above.
SY_MUST_CHECK enum sy_status sy_template_fill_each(struct sy_ctx *ctx, const struct sy_template *t,
                                                   const struct sy_row *row, char ***out, size_t *out_count);
void sy_texts_free(char **texts, size_t count);
