// SPDX-License-Identifier: Apache-2.0
// unicode.h: characters as the scorers of the field, which are Python, see them. Private to engine/metric.
#pragma once

#include "hostlib/status.h"

/// The character at `*at`, which moves behind it; a byte that is not UTF-8 is one, as U+FFFD. `*at` is before `end`.
uint32_t sy_char_next(const char **at, const char *end);
/// Writes it as UTF-8; the number of bytes, at most 4.
size_t sy_char_put(uint32_t c, char out[4]);
uint32_t sy_char_lower(uint32_t c); ///< Where it is one character.
bool sy_char_is_word(uint32_t c);   ///< \w: letters, digits, and the underscore.
bool sy_char_is_space(uint32_t c);  ///< What str.split() splits at.

/// str.lower(): malloc'ed, NULL when out of memory.
char *sy_text_lower(const char *text);
