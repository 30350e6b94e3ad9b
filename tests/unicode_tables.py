#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""unicode_tables.py: prints engine/metric/unicode_tables.h from Python's own tables: the scorers of the field are Python."""
import sys
import unicodedata


def runs(chosen):
    """[first, last] of each run of characters that are chosen."""
    out = []
    for c in chosen:
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def table(name, kind, rows):
    print(f'static const {kind} {name}[] = {{')
    line = '   '
    for row in rows:
        piece = ' {' + ', '.join(hex(x) if x >= 0 else str(x) for x in row) + '},'
        if len(line + piece) > 118:
            print(line)
            line = '   '
        line += piece
    print(line)
    print('};')


def lower_rows():
    """first, last, step, what is added: characters with one lower-case character."""
    rows = []
    for c in range(0x80, sys.maxunicode + 1):
        low = chr(c).lower()
        if len(low) != 1 or low == chr(c):
            continue
        add = ord(low) - c
        if rows and rows[-1][3] == add and c - rows[-1][1] in (1, 2) and rows[-1][2] in (0, c - rows[-1][1]):
            rows[-1][1], rows[-1][2] = c, c - rows[-1][1]
        else:
            rows.append([c, c, 0, add])
    return [[a, b, max(s, 1), d] for a, b, s, d in rows]


print('// SPDX-License-Identifier: Apache-2.0')
print(f'// unicode_tables.h: made by tests/unicode_tables.py of Unicode {unicodedata.unidata_version}. Private to unicode.c.')
print('#pragma once\n\n#include <stdint.h>\n\n// clang-format off')
print('struct sy_lower_run { uint32_t first, last, step; int32_t add; };')
table('sy_lower_runs', 'struct sy_lower_run', lower_rows())
print('\nstruct sy_word_run { uint32_t first, last; };')
table('sy_word_runs', 'struct sy_word_run', runs(c for c in range(0x80, sys.maxunicode + 1) if chr(c).isalnum()))
print('// clang-format on')
