#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""builds.py SOURCE_DIR WORK_DIR: the project builds without warnings with gcc and clang, and works with parts compiled out.

Each row is a Meson configuration in its own folder beside a copy of the sources in WORK_DIR (kept, so that a second run is
quick) and the quick tests it must pass. Little is compiled twice: a row may start from a copy of the first one's folder, so
that Ninja builds only what its options change; and the copy of the sources lies as far from its builds as the real ones from
build/, so that ccache, when installed, knows the objects of the main build (CCACHE_NOHASHDIR, as in ./dev test).
"""
import os
import re
import shutil
import subprocess
import sys

from apps import copy_tree

# name, compiler, options, tests to run there (test program, arguments), what is built
GOLDEN = ('test_golden', ['{source}/tests/golden', '--device', 'ref:0'])
SMALL = ('test_golden', ['{source}/tests/golden', '--case', 'switch_dims_odd'])
OPS_REF = ('test_ops', ['--device', 'ref:0'])
EVERYTHING = ['-D%s=enabled' % name for name in (
    'opencl', 'vulkan', 'sentencepiece', 'zlib', 'zstd', 'mpi', 'clblast', 'openblas')]
# All there is · all there is, starting from the first row's folder · only what the row's tests need, at -O1: what is compiled
# under a sanitiser is there to be run, and gcc's and clang's other rows have looked for warnings.
ALL, CHANGED, TESTS = 'all', 'changed', 'tests'
ROWS = [
    ('gcc, with everything', 'gcc', EVERYTHING, [SMALL], ALL),
    ('gcc, without MPI and CLBlast', 'gcc', ['-Dmpi=disabled', '-Dclblast=disabled', '-Dopenblas=disabled'], [SMALL], CHANGED),
    ('gcc, without OpenCL', 'gcc', ['-Dopencl=disabled'], [SMALL], CHANGED),
    ('gcc, without Vulkan', 'gcc', ['-Dvulkan=disabled'], [SMALL], CHANGED),
    ('gcc, without SentencePiece, zlib and zstd', 'gcc', ['-Dsentencepiece=disabled', '-Dzlib=disabled', '-Dzstd=disabled'],
     [SMALL, ('test_data', ['{source}/tests/data']), ('test_datasets', ['{source}/tests/data'])], CHANGED),
    ('clang, nothing optional', 'clang',
     ['-Dopencl=disabled', '-Dvulkan=disabled', '-Dsentencepiece=disabled', '-Dzlib=disabled', '-Dzstd=disabled', '-Dmpi=disabled',
      '-Dclblast=disabled', '-Dopenblas=disabled', '-Doptimization=1'], [GOLDEN], ALL),
    ('gcc, ASan and UBSan', 'gcc',
     ['-Dopencl=disabled', '-Dvulkan=disabled', '-Db_sanitize=address,undefined', '-Doptimization=1'],
     [GOLDEN, OPS_REF, ('switchyard-bench', ['step', '--model', 'nowhere', '--device', 'ref:0']),
      *(('test_' + name, ['{source}/tests/data']) for name in ('data', 'datasets', 'texts', 'safetensors', 'config'))], TESTS),
    ('clang, libFuzzer with ASan', 'clang',
     ['-Dopencl=disabled', '-Dvulkan=disabled', '-Dsentencepiece=disabled', '-Dfuzz=true',
      '-Db_sanitize=address,undefined', '-Db_lundef=false', '-Doptimization=1'],
     [('fuzz_' + name, ['-max_total_time=5', '-verbosity=0', '-seed_inputs=' + ','.join('{source}/tests/' + s for s in seeds)])
      for name, seeds in (
          ('safetensors', ['golden/switch_dims_odd/batch.safetensors', 'golden/top2/batch.safetensors', 'data/torch/small.bin']),
          ('config', ['golden/top2/config.json', 'golden/t5_gated_untied/config.json']),
          ('tokenizer', ['data/tokenizer/seqio_test.model']),
          ('state', ['fuzz/seed_state.json']), ('texts', ['fuzz/seed_texts.jsonl', 'fuzz/seed_texts.tsv']),
          ('corpus', ['fuzz/seed_corpus.bin']),
          ('rows', ['fuzz/seed_rows.tsv', 'fuzz/seed_rows_lines.tsv', 'fuzz/seed_rows_squad.tsv']),
          ('form', ['fuzz/seed_form.json', 'fuzz/seed_form_options.json']))], TESTS),
]
SUMMARY = re.compile(r'^(\d+) passed, (\d+) failed, (\d+) skipped$', re.M)


def call(command, log, env=None, cwd=None):
    with open(log, 'ab') as file:
        return subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, env=env, cwd=cwd).returncode == 0


def tail(log):
    with open(log, encoding='utf-8', errors='replace') as file:
        print('\n'.join('# ' + line for line in file.read().rstrip().split('\n')[-40:]))


def named(compiler):
    """(C, C++) as Meson itself would name them: ccache tells compilers apart by name."""
    if compiler == 'gcc' and os.path.realpath(shutil.which('cc') or '') == os.path.realpath(shutil.which('gcc')):
        return 'cc', 'c++'
    return compiler, {'gcc': 'g++', 'clang': 'clang++'}[compiler]


def build(source, folder, first, row, log):
    """Whether the row builds without a warning. Warnings are looked for in what was said instead of making them errors:
    with -Werror no object would be that of the main build."""
    _, compiler, options, tests, what = row
    ccache = 'ccache ' if shutil.which('ccache') else ''
    env = dict(os.environ, CCACHE_NOHASHDIR='1')
    env['CC'], env['CXX'] = (ccache + name for name in named(compiler))
    setup = ['meson', 'setup', folder, source, *options]
    if not os.path.exists(os.path.join(folder, 'build.ninja')):
        shutil.rmtree(folder, ignore_errors=True)
        if what == CHANGED and os.path.exists(os.path.join(first, 'build.ninja')):
            shutil.copytree(first, folder, symlinks=True)
            setup[2:2] = ['--reconfigure']
        if not call(setup, log, env):
            shutil.rmtree(folder, ignore_errors=True)
            return False
    targets = [target(program) for program, _ in tests] if what == TESTS else []
    good = call(['ninja', '-C', folder, *targets], log, env)
    with open(log, encoding='utf-8', errors='replace') as file:
        warned = re.search(r'\bwarning: ', file.read())
    if warned:
        shutil.rmtree(folder, ignore_errors=True) # else a second run would compile nothing and see nothing
    return good and not warned


def target(program):
    return ('apps/' if program.startswith('switchyard-') else 'tests/') + program


def run_test(source, folder, program, arguments):
    app = program.startswith('switchyard-')  # one that refuses its arguments: an error, and nothing for a sanitizer to say
    done = subprocess.run([os.path.join(folder, target(program))] + [a.format(source=source) for a in arguments],
                          capture_output=True, text=True, errors='replace', cwd=folder,
                          env=dict(os.environ, ASAN_OPTIONS='malloc_context_size=4')) # longer ones take most of the time
    found = SUMMARY.findall(done.stdout)
    good = done.returncode == 0 and (program.startswith('fuzz_') or found and int(found[-1][0]) > 0)
    if app:
        good = done.returncode == 1 and 'error: ' in done.stderr and 'Sanitizer' not in done.stderr
    if not good:
        print('\n'.join('# ' + line for line in (done.stdout + done.stderr).rstrip().split('\n')[-30:]))
    return good


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    source, work = map(os.path.abspath, sys.argv[1:])
    copy_tree(source, work)
    source = work
    first = os.path.join(work, 'build-' + re.sub(r'\W+', '-', ROWS[0][0]))
    passed = failed = skipped = number = 0
    for row in ROWS:
        name, compiler, _, tests, _ = row
        folder = os.path.join(work, 'build-' + re.sub(r'\W+', '-', name))
        log = folder + '.log'
        number += 1
        if not shutil.which(compiler):
            skipped += 1
            print(f'ok {number} # SKIP {name}: no {compiler} here')
            continue
        open(log, 'w', encoding='utf-8').close()
        good = build(source, folder, first, row, log)
        if not good:
            tail(log)
        passed, failed = passed + good, failed + (not good)
        print(f"{'ok' if good else 'not ok'} {number} - {name}: builds without warnings", flush=True)
        for program, arguments in tests if good else []:
            number += 1
            fine = run_test(source, folder, program, arguments)
            passed, failed = passed + fine, failed + (not fine)
            print(f"{'ok' if fine else 'not ok'} {number} - {name}: {program}", flush=True)
    print(f'{passed} passed, {failed} failed, {skipped} skipped')
    sys.exit(1 if failed or not passed else 0)


if __name__ == '__main__':
    main()
