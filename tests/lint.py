#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""lint.py SOURCE_DIR: what text alone can show of the project's rules. One line per finding; ends with the counts."""
import os
import re
import subprocess
import sys

CODE = ('.c', '.h', '.cc', '.cl', '.comp', '.glsl', '.py', '.def')
FORMAT = '14'  # of clang-format, whose releases differ in what they make of a file
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
        if '\t' in line and not name.endswith(('.tsv', 'debian/rules')):  # make wants tabs
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
    if not name.startswith('engine/') and re.search(r'#include\s*"engine/\w+_private\.h"', text):
        say(name, 0, 'includes a private header of the engine: use the functions of the public one')


def bodies_of(path, text):
    out = ''
    for included in re.findall(r'#include "(\w+\.glsl)"', text):
        with open(os.path.join(os.path.dirname(path), included), encoding='utf-8', errors='replace') as file:
            out += code_only(file.read()) if included != 'common.glsl' else ''
    return out


def check_kernel(name, text, bodies, say):
    """`bodies`: the texts of the .glsl files that a shader includes."""
    code = code_only(text)
    if re.search(r'\batom(ic)?_|\batomic[A-Z]\w*', code):
        say(name, 0, 'an atomic')
    if name.endswith('.cl'):
        if not re.search(r'\bKERNEL\s+void\s+' + os.path.basename(name)[:-3] + r'\b', code):
            say(name, 0, 'its entry point is not declared with KERNEL (reqd_work_group_size)')
        if re.search(r'\bget_(local|group|global)_(id|offset|size)\b', code):
            say(name, 0, 'reads ids other than through LOCAL_ID and GROUP_ID')
    elif name.endswith('.comp') and not re.match(r'(//[^\n]*\n)*#version 450\n', text):
        say(name, 1, 'does not start with #version 450')
    if name.endswith('.comp') and 'GROUP_GUARD' not in code + bodies:
        say(name, 0, 'no GROUP_GUARD')


def slugs(text):
    """The anchors that a Markdown page's headings make."""
    text = re.sub(r'^```.*?^```', '', text, flags=re.S | re.M)
    return {re.sub(r'[^\w\- ]', '', h.strip().lower()).replace(' ', '-') for h in re.findall(r'^#+ (.*)$', text, re.M)}


def check_links(root, name, text, say):
    for target, anchor in re.findall(r'\]\(([^)#:\s]*)(?:#([^)\s]*))?\)', text):
        path = os.path.join(root, os.path.dirname(name), target) if target else os.path.join(root, name)
        if not os.path.exists(path):
            say(name, 0, f'dead link {target}')
        elif anchor and path.endswith('.md'):
            with open(path, encoding='utf-8') as page:
                if anchor not in slugs(page.read()):
                    say(name, 0, f'dead link {target}#{anchor}: no such heading')


def sections(root):
    """'4', '4.5', …: the numbered sections of docs/spec.md, and their numbered points."""
    found, section = set(), None
    path = os.path.join(root, 'docs', 'spec.md')
    if os.path.isfile(path):
        with open(path, encoding='utf-8') as page:
            for line in page:
                heading, point = re.match(r'## (\d+)\. ', line), re.match(r'(\d+)\. ', line)
                section = heading.group(1) if heading else section
                if heading or point and section:
                    found.add(section if heading else f'{section}.{point.group(1)}')
    return found


def check_citations(name, text, known, say):
    """spec §N must exist, a § must say of what, and no document outside the tree is cited."""
    flat = re.sub(r'\s*\n\s*(//[/!]?|#|\*)?\s*', ' ', text)  # a citation may be broken over two lines of a comment
    listed = r'§[\d.]*\d(?:(?:, | and |–)§[\d.]*\d)*'
    for cited in re.findall(('' if name == 'docs/spec.md' else r'\bspec ') + f'({listed})', flat):
        for number in re.findall(r'[\d.]*\d', cited):
            if number not in known:
                say(name, 0, f'spec §{number}: docs/spec.md has no such section')
    if not name.endswith('.md') and '§' in re.sub(r'\bspec ' + listed, '', flat):
        say(name, 0, 'a § without the document it is of; ours is cited as "spec §4" or "spec §4.5"')
    for word in re.findall(r'\b(?:SPEC|DESIGN)\b', text):
        say(name, 0, f'cites {word}, which is not in this repository; see docs/spec.md and docs/architecture.md')


PATH = re.compile(r'(?<![\w/.-])(?:apps|engine|hostlib|kernels|shaders|tests|docs|configs)/[\w./-]*\w'
                  r'\.(?:md|c|h|cc|cl|comp|glsl|py|def|json)\b')


def check_paths(root, name, text, say):
    """A file that is named from the root exists; X and NAME stand for any."""
    for path in PATH.findall(text):
        if os.path.splitext(os.path.basename(path))[0] not in ('X', 'NAME') and not os.path.exists(os.path.join(root, path)):
            say(name, 0, f'names {path}, which does not exist')


def check_installed(root, say):
    """What an installed header includes is installed too."""
    with open(os.path.join(root, 'meson.build'), encoding='utf-8') as file:
        meson = file.read()
    named = re.findall(r"'([\w/]+\.(?:h|def))'", meson)
    for name in named:
        with open(os.path.join(root, name), encoding='utf-8') as file:
            for path in re.findall(r'^ *# *include "((?:engine|hostlib|kernels)/[^"]+)"', file.read(), re.M):
                if path not in named:
                    say(name, 0, f'is installed and includes {path}, which is not: meson.build, public_headers')


def check_format(root, names, say):
    """What ./dev fmt would change. Nothing is asked where its tool is missing or another release."""
    try:
        version = subprocess.run(['clang-format', '--version'], capture_output=True, text=True, check=False).stdout
    except OSError:
        return
    if not re.search(r'version ' + FORMAT + r'\.', version):
        return
    sources = [n for n in names if n.endswith(('.c', '.h')) and not n.startswith(('kernels/', 'subprojects/'))]
    done = subprocess.run(['clang-format', '--dry-run', *sources], cwd=root, capture_output=True, text=True, check=False)
    found = {}
    for name, line in re.findall(r'^([^\s:]+):(\d+):\d+: warning: ', done.stderr, re.M):
        found.setdefault(name, line)
    for name, line in found.items():
        say(name, line, 'not formatted: ./dev fmt')
    if done.returncode != 0:
        say('tests/lint.py', 0, f'clang-format: {done.stderr[-200:]}')


def self_test(root, say):
    """Planted faults must be found, or the rules above say nothing."""
    contract, outside, sign, known = 'spec', 'SP' + 'EC', chr(167), {'4', '4.5', '7'}
    planted = [(f'// as ({contract} {sign}99)', 1), (f'// ({contract} {sign}4.5,\n// {sign}8)', 1), (f'// {sign}4', 1),
               (f'// {outside} 4', 1), (f'// {contract} {sign}4.5 and {sign}7', 0)]
    for text, wanted in planted:
        found = []
        check_citations('planted.c', text, known, lambda *finding: found.append(finding))
        if len(found) != wanted:
            say('tests/lint.py', 0, f'its own test: {text!r} gave {len(found)} findings, expected {wanted}')
    for name, wanted in (('apps/cli.c', 1), ('engine/graph.c', 0)):
        found = []
        check_layers(name, '#include "engine/' + 'graph_private.h"', lambda *finding: found.append(finding))
        if len(found) != wanted:
            say('tests/lint.py', 0, f'its own test: a private header in {name} gave {len(found)} findings, expected {wanted}')
    found = []
    check_paths(root, 'planted.c', '// see engine/' + 'none.h and engine/graph.h', lambda *finding: found.append(finding))
    if len(found) != 1:
        say('tests/lint.py', 0, f'its own test: a path that does not exist gave {len(found)} findings, expected 1')
    for text, wanted in (('[a](spec.md#4-no)', 1), ('[a](no.md)', 1), ('[a](#no)', 1), ('[a](spec.md#1-letters)', 0)):
        found = []
        check_links(root, 'docs/spec.md', text, lambda *finding: found.append(finding))
        if len(found) != wanted:
            say('tests/lint.py', 0, f'its own test: {text!r} gave {len(found)} findings, expected {wanted}')


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    root = os.path.abspath(sys.argv[1])
    findings, names, known = [], files(root), sections(root)

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
        if name.startswith('kernels/') and re.search(r'^\s*#\s*define\s+\w+\([^)]*\.\.\.', text, re.M):
            say(name, 0, 'a variadic macro, which NVIDIA\'s OpenCL C does not have')
        if re.match(r'(kernels/\w+\.cl|shaders/\w+\.comp)$', name):
            check_kernel(name, text, bodies_of(path, text), say)
        if name.endswith('.md'):
            check_links(root, name, text, say)
        if name != 'tests/lint.py':
            check_citations(name, text, known, say)
        if name != 'CHANGELOG.md':
            check_paths(root, name, text, say)
    if names:
        check_installed(root, say)
        self_test(root, say)
        check_format(root, names, say)
    print('\n'.join(findings))
    if not names:
        print('ok 1 # SKIP lint: not a git checkout\n0 passed, 0 failed, 1 skipped')
        sys.exit(0)
    print(f'{max(len(names) - len(findings), 0)} passed, {len(findings)} failed, 0 skipped')
    sys.exit(bool(findings))


if __name__ == '__main__':
    main()
