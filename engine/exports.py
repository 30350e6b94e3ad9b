#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""exports.py HEADER…: a version script for the shared library: what public headers declare, and nothing else."""
import re
import sys

names = set()
for path in sys.argv[1:]:
    if 'kernels/' in path:  # inline, all of it
        continue
    with open(path, encoding='utf-8') as file:
        text = re.sub(r'//[^\n]*|/\*.*?\*/', '', file.read(), flags=re.S)
    text = re.sub(r'^[ \t]*#(?:[^\n]*\\\n)*[^\n]*', '', text, flags=re.M)  # macros, whole
    text = re.sub(r'\([^(]*\(\*\w+\)[^;]*\)', '', text)  # a parameter that is a function's address
    for statement in re.split(r'[;{}]', text):
        statement = ' '.join(statement.split())
        if 'static inline' in statement or 'typedef' in statement or statement.startswith('return'):
            continue
        found = (re.match(r'(?:SY_MUST_CHECK )?(?:[\w*]+ )+\**(sy_\w+) ?\(', statement) or
                 re.match(r'extern .*?(sy_\w+)(?:\[|$)', statement))
        if found:
            names.add(found.group(1))
print('SWITCHYARD_0 {\nglobal:')
print(''.join(f'    {name};\n' for name in sorted(names)) + 'local:\n    *;\n};')
