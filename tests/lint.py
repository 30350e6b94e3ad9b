#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""lint.py SOURCE_DIR: what text alone can show of the project's rules. One line per finding; ends with the counts."""
import os
import re
import subprocess
import sys

CODE = ('.c', '.h', '.cc', '.cl', '.comp', '.glsl', '.py', '.def')
BARE = {'LICENSE', '.gitignore', '.clang-format'}


def files(root):
    listed = subprocess.run(['git', '-C', root, 'ls-files'], capture_output=True, text=True, check=False)
    names = listed.stdout.split('\n') if listed.returncode == 0 else []
    return [n for n in names if n and not n.startswith(('tests/golden/', 'tests/data/'))]


def code_only(text):
    """Comments and strings blanked, lines kept."""
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\])*"', lambda m: re.sub(r'[^\n]', ' ', m.group()), text, flags=re.S)


def check_text(name, text, say):
    for number, line in enumerate(text.split('\n'), 1):
        if '\t' in line and not name.endswith('.tsv'):
            say(name, number, 'a tab')
        if line != line.rstrip():
            say(name, number, 'trailing blanks')
        if name.endswith(CODE) and len(line) > 136:
            say(name, number, f'{len(line)} columns; at most 136 (aim at 120)')
    if text and not text.endswith('\n'):
        say(name, 0, 'no newline at the end')
    if name.endswith(CODE + ('meson.build',)) and 'SPDX-License-Identifier' not in text[:200]:
        say(name, 1, 'no SPDX line at the top')


def check_layers(name, text, say):
    if name.startswith('engine/') and re.search(r'#include\s*[<"](CL/|vulkan|mpi\.h|hostlib/(opencl|vulkan|ref|backend))', text):
        say(name, 0, 'engine includes a driver or backend header')
    if name.startswith('hostlib/') and re.search(r'#include\s*"(engine|apps)/', text):
        say(name, 0, 'hostlib includes a header of a layer above it')


def check_kernel(name, text, say):
    code = code_only(text)
    if re.search(r'\batom(ic)?_|\batomic[A-Z]\w*', code):
        say(name, 0, 'an atomic')
    if name.endswith('.cl'):
        if not re.search(r'\bKERNEL\s+void\s+' + os.path.basename(name)[:-3] + r'\b', code):
            say(name, 0, 'its entry point is not declared with KERNEL (reqd_work_group_size)')
        if 'get_local_id' in code or 'get_group_id' in code:
            say(name, 0, 'reads ids other than through LOCAL_ID and GROUP_ID')
    elif name.endswith('.comp') and not re.match(r'(//[^\n]*\n)*#version 450\n', text):
        say(name, 1, 'does not start with #version 450')
    if name.endswith('.comp') and 'GROUP_GUARD' not in code:
        say(name, 0, 'no GROUP_GUARD')


def check_links(root, name, text, say):
    for target in re.findall(r'\]\(([^)#:\s]+)(?:#[^)]*)?\)', text):
        if not os.path.exists(os.path.join(root, os.path.dirname(name), target)):
            say(name, 0, f'dead link {target}')


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    root = os.path.abspath(sys.argv[1])
    findings, names = [], files(root)

    def say(name, line, what):
        findings.append(f'{name}:{line}: {what}')

    for name in names:
        path = os.path.join(root, name)
        if os.path.basename(name) in BARE or not os.path.isfile(path):
            continue
        with open(path, encoding='utf-8', errors='replace') as file:
            text = file.read()
        check_text(name, text, say)
        check_layers(name, text, say)
        if re.match(r'(kernels/\w+\.cl|shaders/\w+\.comp)$', name):
            check_kernel(name, text, say)
        if name.endswith('.md'):
            check_links(root, name, text, say)
    print('\n'.join(findings))
    if not names:
        print('ok 1 # SKIP lint: not a git checkout\n0 passed, 0 failed, 1 skipped')
        sys.exit(0)
    print(f'{max(len(names) - len(findings), 0)} passed, {len(findings)} failed, 0 skipped')
    sys.exit(bool(findings))


if __name__ == '__main__':
    main()
