#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""races.py TEST_OPS [SECONDS]: the op suite under Oclgrind with its checks for data races and uninitialised reads, one op
at a time.

Oclgrind interprets kernels, so an op gets SECONDS (6) for all its cases together; one that does not finish gets twice that
again, case by case, and the line says how many of them were done. An op without a single finished case is SKIP, by name.
Buffers start as zeros (the runner poisons outputs with NaN), so what is found uninitialised is local or private memory.
"""
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import time

SUMMARY = re.compile(r'^(\d+) passed, (\d+) failed, (\d+) skipped$', re.M)


def check(test_ops, arguments, seconds):
    """(True, False or None: not done in time; output)."""
    command = ['oclgrind', '--data-races', '--uninitialized', '--build-options', '-cl-opt-disable', test_ops,
               '--device', 'opencl:0', *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors='replace', timeout=seconds,
                              env=dict(os.environ, SY_NO_CACHE='1'), check=False)
    except subprocess.TimeoutExpired:
        return None, ''
    output = done.stdout + done.stderr
    found = SUMMARY.findall(output)
    good = done.returncode == 0 and found and int(found[-1][0]) > 0 and 'Oclgrind' in output
    return bool(good and not any(word in output for word in ('data race', 'Invalid', 'Uninitialized'))), output


def run(test_ops, op, cases, seconds):
    """(op, True, False or None, what to add to its line, output)."""
    good, output = check(test_ops, ['--op', op], seconds)
    if good is not None:
        return op, good, '', output
    finished, end = 0, time.monotonic() + 2 * seconds
    for case in range(cases):
        left = min(seconds, end - time.monotonic())
        if left <= 0:
            break
        good, output = check(test_ops, ['--op', op, '--case', str(case)], left)
        if good is False:
            return op, False, f', case {case}', output
        finished += good is True
    return op, True if finished else None, f', {finished} of {cases} cases in the time given', output


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    seconds = float(sys.argv[2]) if len(sys.argv) == 3 else 6.0
    if not shutil.which('oclgrind'):
        print('ok 1 # SKIP races: no oclgrind here\n0 passed, 0 failed, 1 skipped')
        sys.exit(0)
    listed = subprocess.run([sys.argv[1], '--list'], capture_output=True, text=True, check=True).stdout
    ops = re.findall(r'^(\w+):.* (\d+) cases;', listed, re.M)
    counts = {True: 0, False: 0, None: 0}
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for op, good, more, output in pool.map(lambda item: run(sys.argv[1], item[0], int(item[1]), seconds), ops):
            counts[good] += 1
            verdict = {True: f'ok - {op}{more}', False: f'not ok - {op}{more}', None: f'ok # SKIP {op}: no case done under Oclgrind'}
            print(verdict[good], flush=True)
            if good is False:
                print('\n'.join('# ' + line for line in output.rstrip().split('\n')[-20:]))
    print(f'{counts[True]} passed, {counts[False]} failed, {counts[None]} skipped')
    sys.exit(1 if counts[False] or not counts[True] else 0)


if __name__ == '__main__':
    main()
