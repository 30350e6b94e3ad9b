#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""library.py BUILD SOURCE_DIR: the library as a program of somebody else meets it: installed, found through pkg-config, with nothing
to be seen but what public headers declare; docs/example.c is compiled against that and trains, scores and generates.
"""
import json
import os
import re
import shutil
import subprocess
import sys

from apps import Suite


def run(*command, **kwargs):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, errors='replace', check=False, **kwargs)


def check_symbols(s, library):
    dynamic = run('readelf', '-dW', library).stdout
    s.ok('[libswitchyard.so.0]' in dynamic, 'the library is libswitchyard.so.0', dynamic)
    names = {line.split()[-1].split('@')[0] for line in run('nm', '-D', '--defined-only', library).stdout.splitlines()}
    names.discard('SWITCHYARD_0')
    s.ok({'sy_session_create', 'sy_decode', 'sy_evaluate', 'sy_task_spans', 'sy_device_open'} <= names, 'public names are seen')
    hidden = {'sy_choose_best', 'sy_beams_step', 'sy_cl_program_create', 'json_loads', 'sy_variant_impl_matmul_packed'}
    s.ok(all(n.startswith('sy_') for n in names) and not names & hidden, f'no other is: {len(names)}', sorted(names)[:20])


def check_example(s, source, root, env):
    flags = run('pkg-config', '--cflags', '--libs', 'switchyard', env=env)
    s.ok(flags.returncode == 0, 'pkg-config knows it', flags.stderr)
    compiler = os.environ.get('CC', 'cc').split()
    built = run(*compiler, '-std=c11', '-Wall', '-Wextra', '-pedantic', '-Werror', os.path.join(source, 'docs', 'example.c'), '-o',
                s.path('example'), *flags.stdout.split())
    with open(os.path.join(source, 'docs', 'example.c'), encoding='utf-8') as file:
        s.ok(len(file.readlines()) <= 60, 'docs/example.c has at most 60 lines')
    if not s.ok(built.returncode == 0, 'docs/example.c compiles against it', built.stderr):
        return
    needed = run('readelf', '-dW', s.path('example')).stdout
    s.ok('libswitchyard.so.0' in needed and 'libOpenCL' not in needed, '… and needs nothing of its own but it', needed)
    done = run(s.path('example'), os.path.join(source, 'configs', 'quickstart-switch.json'), os.path.join(source, 'LICENSE'),
               s.path('kept'), 'ref:0', 2, env=dict(s.env, LD_LIBRARY_PATH=root))
    said = re.search(r'step  2  loss ([\d.]+)\nnegative log perplexity -[\d.]+ over \d+ tokens\nThe \S+ sat: .*\n', done.stdout)
    s.ok(done.returncode == 0 and said, '… and trains, scores and generates', done.stdout + done.stderr)
    kept = run(os.path.join(s.apps, 'switchyard-eval'), '--model', s.path('kept', 'latest'), '--data', os.path.join(source, 'LICENSE'),
               '--src-len', 64, '--tgt-len', 24, '--device', 'ref:0', '--json', env=s.env)
    s.ok(kept.returncode == 0 and said and f"{json.loads(kept.stdout)['nlp']:.4f}" in said.group(0), '… and keeps what scores the same',
         kept.stdout + kept.stderr)


def main():
    build, source = sys.argv[1:]
    s = Suite(os.path.join(build, 'apps'))
    root = s.path('root')
    done = run('meson', 'install', '-C', build, '--destdir', root, '--no-rebuild', '--quiet')
    found = run('find', root, '-name', 'switchyard.pc').stdout.split()
    if not s.ok(done.returncode == 0 and len(found) == 1, 'meson install', done.stdout + done.stderr):
        s.done()
    libraries = os.path.dirname(os.path.dirname(found[0]))
    env = dict(os.environ, PKG_CONFIG_PATH=os.path.dirname(found[0]), PKG_CONFIG_SYSROOT_DIR=root)
    check_symbols(s, os.path.join(libraries, 'libswitchyard.so'))
    if shutil.which('pkg-config'):
        check_example(s, source, libraries, env)
    else:
        s.skip('docs/example.c', 'no pkg-config')
    s.done()


if __name__ == '__main__':
    main()
