#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""races.py TEST_OPS: the op suite under Oclgrind with its data-race check, one op at a time.

Oclgrind interprets kernels, so an op gets a limited time; one that does not finish is SKIP, by name. Uninitialised reads are not
checked: Oclgrind 21.10 does not count clEnqueueFillBuffer as initialising (docs/drivers.md).
"""
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys

SECONDS = 12
SUMMARY = re.compile(r'^(\d+) passed, (\d+) failed, (\d+) skipped$', re.M)


def run(test_ops, op):
    command = ['oclgrind', '--data-races', '--build-options', '-cl-opt-disable', test_ops, '--device', 'opencl:0', '--op', op]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors='replace', timeout=SECONDS,
                              env=dict(os.environ, SY_NO_CACHE='1'))
    except subprocess.TimeoutExpired:
        return op, None, ''
    output = done.stdout + done.stderr
    found = SUMMARY.findall(output)
    good = done.returncode == 0 and found and int(found[-1][0]) > 0 and 'Oclgrind' in output
    good = good and 'data race' not in output and 'Invalid' not in output
    return op, bool(good), output


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if not shutil.which('oclgrind'):
        print('ok 1 # SKIP races: no oclgrind here\n0 passed, 0 failed, 1 skipped')
        sys.exit(0)
    listed = subprocess.run([sys.argv[1], '--list'], capture_output=True, text=True, check=True).stdout
    ops = list(dict.fromkeys(re.findall(r'^\w+', listed, re.M)))
    counts = {True: 0, False: 0, None: 0}
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for op, good, output in pool.map(lambda name: run(sys.argv[1], name), ops):
            counts[good] += 1
            verdict = {True: f'ok - {op}', False: f'not ok - {op}', None: f'ok # SKIP {op}: not done in {SECONDS} s under Oclgrind'}
            print(verdict[good], flush=True)
            if good is False:
                print('\n'.join('# ' + line for line in output.rstrip().split('\n')[-20:]))
    print(f'{counts[True]} passed, {counts[False]} failed, {counts[None]} skipped')
    sys.exit(1 if counts[False] or not counts[True] else 0)


if __name__ == '__main__':
    main()
