#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""races.py TEST_OPS [WORK]: the op suite under Oclgrind with its checks for data races and uninitialised reads.

Oclgrind interprets kernels, so each op runs, once each, the cases that compute and touch at most WORK (`--work` of TEST_OPS;
default 64000, times SHARE): the same ones on every machine, however slow. An op none of whose cases is that small has failed.
Buffers start as zeros (the runner poisons outputs with NaN), so what is found uninitialised is local or private memory.
"""
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys

SUMMARY = re.compile(r'^(\d+) passed, (\d+) failed, (\d+) skipped$', re.M)
# Interpreting takes longest where a whole group takes part in every sum, least for a multiply-add. What takes longest begins
# first: these, of which none took a minute of a core when this was written, then the others with a share of 1.
SHARE = {'matmul': 3, 'matmul_dw': 3, 'attention_dkv': 0.5, 'attention': 0.5, 'attention_dq': 0.5, 'router_dz': 0.25,
         'route_take': 0.05}
TIMEOUT = 600


def check(test_ops, op, work):
    """(whether all is well, how many of the cases ran, output)."""
    # One thread each: as many ops at a time as there are cores use them better.
    command = ['oclgrind', '--num-threads', '1', '--data-races', '--uninitialized', '--build-options', '-cl-opt-disable', test_ops,
               '--device', 'opencl:0', '--op', op, '--work', str(work * SHARE.get(op, 1))]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors='replace', timeout=TIMEOUT,
                              env=dict(os.environ, SY_NO_CACHE='1'), check=False)
    except subprocess.TimeoutExpired:
        return False, 0, f'no end after {TIMEOUT} s'
    output = done.stdout + done.stderr
    found = SUMMARY.findall(output)
    ran = int(found[-1][0]) if found else 0
    good = done.returncode == 0 and ran > 0 and 'Oclgrind' in output
    return good and not any(word in output for word in ('data race', 'Invalid', 'Uninitialized')), ran, output


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    test_ops, work = sys.argv[1], float(sys.argv[2]) if len(sys.argv) == 3 else 64000.0
    if not shutil.which('oclgrind'):
        print('ok 1 # SKIP races: no oclgrind here\n0 passed, 0 failed, 1 skipped')
        sys.exit(0)
    listed = subprocess.run([test_ops, '--list'], capture_output=True, text=True, check=True).stdout
    ops = {op: len(types.split()) * int(cases) for op, types, cases in re.findall(r'^(\w+):(.*), (\d+) cases;', listed, re.M)}
    order = sorted(ops, key=lambda op: list(SHARE).index(op) if op in SHARE else len(SHARE))
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        running = {pool.submit(check, test_ops, op, work): op for op in order}
        for done in concurrent.futures.as_completed(running):
            op, (good, ran, output) = running[done], done.result()
            failed += not good
            print(f"{'ok' if good else 'not ok'} - {op}, {ran} of {ops[op]} cases", flush=True)
            if not good:
                print('\n'.join('# ' + line for line in output.rstrip().split('\n')[-20:]))
    print(f'{len(ops) - failed} passed, {failed} failed, 0 skipped')
    sys.exit(1 if failed or not ops else 0)


if __name__ == '__main__':
    main()
