#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""pack.py BUILD DIR: fills DIR with what a machine needs that has a GPU driver and neither a compiler nor a package manager.

DIR has the shape of the tree, so that the same scripts run in both: build/ the programs, lib/ the libraries that a bare machine
lacks, lib/more/ those that it may have newer itself, and `run`, the one command.
"""
import os
import re
import shutil
import subprocess
import sys

import paper

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAMS = ['apps/switchyard-' + name for name in ('bench', 'devices', 'train')] + [
    'tests/test_' + name for name in ('choices', 'golden', 'ops', 'pieces', 'quirks', 'slices')]
FILES = ['LICENSE', 'configs/bench-small.json', 'configs/gpu-switch.json', 'configs/quickstart-switch.json', 'docs/gpus/README.md',
         'tests/golden', 'tests/gpu', *('tests/matrix/' + name for name in ('drivers.py', 'executing.py', 'root.py', 'row.py'))]
# Part of every system, and of one piece with its kernel and its dynamic linker.
SYSTEM = re.compile(r'^(ld-linux|linux-vdso|lib(c|m|dl|rt|pthread)\.so)')
# A driver may need a newer one than ours.
SHARED = re.compile(r'^lib(stdc\+\+|gcc_s|z|gomp)\.so')
MOST = 40 << 20
RUN = '#!/bin/sh\nexec sh "$(dirname "$0")/tests/gpu/run.sh" "$@"\n'


def libraries(program):
    """{name: path} of what the program is linked with, however deep."""
    done = subprocess.run(['ldd', program], capture_output=True, text=True, check=True)
    missing = re.findall(r'^\s*(\S+) => not found', done.stdout, re.M)
    if missing:
        sys.exit(f"pack: {program} needs {', '.join(missing)}, which this machine has not")
    return {name: path for name, path in re.findall(r'^\s*(\S+) => (/\S+)', done.stdout, re.M) if not SYSTEM.match(name)}


def copy_program(build, name, to):
    path = os.path.join(to, 'build', name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    subprocess.run(['strip', '-o', path, os.path.join(build, name)], check=True)


def copy_file(name, to):
    path = os.path.join(to, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.isdir(os.path.join(SOURCE, name)):
        shutil.copytree(os.path.join(SOURCE, name), path, ignore=shutil.ignore_patterns('__pycache__'))
    else:
        shutil.copy(os.path.join(SOURCE, name), path)


def size(folder):
    return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(folder) for name in names)


def fill(build, to):
    for name in PROGRAMS:
        copy_program(build, name, to)
        for library, path in libraries(os.path.join(build, name)).items():
            folder = os.path.join(to, 'lib', 'more' if SHARED.match(library) else '')
            os.makedirs(folder, exist_ok=True)
            subprocess.run(['strip', '-o', os.path.join(folder, library), path], check=True)
    for name in FILES:
        copy_file(name, to)
    with open(os.path.join(to, 'COMMIT'), 'w', encoding='utf-8') as file:
        file.write(paper.commit(SOURCE) + '\n')
    with open(os.path.join(to, 'run'), 'w', encoding='utf-8') as file:
        file.write(RUN)
    os.chmod(os.path.join(to, 'run'), 0o755)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    build, to = sys.argv[1], os.path.abspath(sys.argv[2])
    if os.path.isdir(to) and os.listdir(to) and not os.path.isfile(os.path.join(to, 'COMMIT')):
        sys.exit(f'pack: {to} is not empty and no earlier pack')
    new = to + '.new'
    shutil.rmtree(new, ignore_errors=True)
    try:
        fill(build, new)
        total = size(new)
        if total > MOST:
            sys.exit(f'pack: {total / 2 ** 20:.1f} MiB, at most {MOST >> 20}')
        shutil.rmtree(to, ignore_errors=True)
        os.rename(new, to)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    print(f'{to}: {total / 2 ** 20:.1f} MiB; on the machine with the GPU: {os.path.basename(to)}/run')


if __name__ == '__main__':
    main()
