#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""builds.py SOURCE_DIR WORK_DIR: the project builds without warnings with gcc and clang, and works with parts compiled out.

Each row is a Meson configuration in its own folder of WORK_DIR (kept, so that a second run is quick) and the quick tests it
must pass. ccache, when installed, shares what is equal between them.
"""
import os
import re
import shutil
import subprocess
import sys

# name, compiler, options, tests to run there (test program, arguments)
GOLDEN = ('test_golden', ['{source}/tests/golden', '--device', 'ref:0'])
SMALL = ('test_golden', ['{source}/tests/golden', '--case', 'switch_dims_odd'])
OPS_REF = ('test_ops', ['--device', 'ref:0'])
EVERYTHING = ['-D%s=enabled' % name for name in (
    'opencl', 'vulkan', 'sentencepiece', 'zlib', 'mpi', 'clblast', 'openblas')]
ROWS = [
    ('gcc, with everything', 'gcc', EVERYTHING, [SMALL]),
    ('gcc, without MPI and CLBlast', 'gcc', ['-Dmpi=disabled', '-Dclblast=disabled', '-Dopenblas=disabled'], [SMALL]),
    ('gcc, without OpenCL', 'gcc', ['-Dopencl=disabled'], [SMALL]),
    ('gcc, without Vulkan', 'gcc', ['-Dvulkan=disabled'], [SMALL]),
    ('gcc, without SentencePiece and zlib', 'gcc', ['-Dsentencepiece=disabled', '-Dzlib=disabled'],
     [SMALL, ('test_data', ['{source}/tests/data']), ('test_datasets', ['{source}/tests/data'])]),
    ('clang, nothing optional', 'clang',
     ['-Dopencl=disabled', '-Dvulkan=disabled', '-Dsentencepiece=disabled', '-Dzlib=disabled', '-Dmpi=disabled',
      '-Dclblast=disabled', '-Dopenblas=disabled'], [GOLDEN]),
    ('gcc, ASan and UBSan', 'gcc',
     ['-Dopencl=disabled', '-Dvulkan=disabled', '-Db_sanitize=address,undefined', '-Dbuildtype=debugoptimized'],
     [GOLDEN, OPS_REF, ('switchyard-bench', ['step', '--model', 'nowhere', '--device', 'ref:0']),
      *(('test_' + name, ['{source}/tests/data']) for name in ('data', 'datasets', 'texts', 'safetensors', 'config'))]),
    ('clang, libFuzzer with ASan', 'clang',
     ['-Dopencl=disabled', '-Dvulkan=disabled', '-Dsentencepiece=disabled', '-Dfuzz=true',
      '-Db_sanitize=address,undefined', '-Db_lundef=false'],
     [('fuzz_' + name, ['-max_total_time=5', '-verbosity=0', '-seed_inputs=' + ','.join('{source}/tests/' + s for s in seeds)])
      for name, seeds in (
          ('safetensors', ['golden/switch_dims_odd/batch.safetensors', 'golden/top2/batch.safetensors']),
          ('config', ['golden/top2/config.json', 'golden/t5_gated_untied/config.json']),
          ('tokenizer', ['data/tokenizer/seqio_test.model']),
          ('state', ['fuzz/seed_state.json']), ('texts', ['fuzz/seed_texts.jsonl']))]),
]
SUMMARY = re.compile(r'^(\d+) passed, (\d+) failed, (\d+) skipped$', re.M)


def call(command, log, env=None, cwd=None):
    with open(log, 'ab') as file:
        return subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, env=env, cwd=cwd).returncode == 0


def tail(log):
    with open(log, encoding='utf-8', errors='replace') as file:
        print('\n'.join('# ' + line for line in file.read().rstrip().split('\n')[-40:]))


def build(source, folder, compiler, options, log):
    env = dict(os.environ, CC=compiler, CXX={'gcc': 'g++', 'clang': 'clang++'}[compiler])
    if shutil.which('ccache'):
        env['CC'], env['CXX'] = 'ccache ' + env['CC'], 'ccache ' + env['CXX']
    if not os.path.exists(os.path.join(folder, 'build.ninja')):
        shutil.rmtree(folder, ignore_errors=True)
        if not call(['meson', 'setup', folder, source, '-Dwerror=true', *options], log, env):
            return False
    return call(['ninja', '-C', folder], log, env)


def run_test(source, folder, program, arguments):
    app = program.startswith('switchyard-')  # one that refuses its arguments: an error, and nothing for a sanitizer to say
    path = os.path.join(folder, 'apps' if app else 'tests', program)
    done = subprocess.run([path] + [a.format(source=source) for a in arguments], capture_output=True, text=True,
                          errors='replace', cwd=folder)
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
    passed = failed = skipped = number = 0
    os.makedirs(work, exist_ok=True)
    for name, compiler, options, tests in ROWS:
        folder = os.path.join(work, re.sub(r'\W+', '-', name))
        log = folder + '.log'
        number += 1
        if not shutil.which(compiler):
            skipped += 1
            print(f'ok {number} # SKIP {name}: no {compiler} here')
            continue
        open(log, 'w', encoding='utf-8').close()
        good = build(source, folder, compiler, options, log)
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
