#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run.py BUILD_DIR [--list] [NAME…]: runs the tests that Meson knows (or those whose name contains NAME), two at a time, or
lists them.

Every test ends with `N passed, N failed, N skipped`; a test that exits without such a line, or passes nothing and skips
nothing, has failed. The output of failing tests is printed whole, the op coverage table always. The last line sums up.
"""
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import time

SUMMARY = re.compile(r'^(\d+) passed, (\d+) failed, (\d+) skipped$', re.M)


def tests_of(build, wanted):
    text = subprocess.run(['meson', 'introspect', '--tests', build], check=True, capture_output=True, text=True).stdout
    tests = [t for t in json.loads(text) if not wanted or any(w in t['name'] for w in wanted)]
    return sorted(tests, key=lambda t: -t['priority'])


def run(test, build):
    started = time.monotonic()
    env = {**os.environ, 'SY_TUNE': '0', **test['env']}  # no test depends on what was tuned here
    try:
        done = subprocess.run(test['cmd'], cwd=test['workdir'] or build, env=env, capture_output=True, text=True,
                              errors='replace', timeout=test['timeout'])
        output, code = done.stdout + done.stderr, done.returncode
    except subprocess.TimeoutExpired as late:
        output = (late.stdout or b'').decode(errors='replace') + f"\nno end after {test['timeout']} s\n"
        code = -1
    found = SUMMARY.findall(output)
    passed, failed, skipped = map(int, found[-1]) if found else (0, 0, 0)
    if code != 0 and failed == 0 or not found or passed + failed + skipped == 0:
        failed += 1  # crashed, timed out, or ran nothing
    if 'SY_VULKAN_VALIDATION' in test['env'] and ': validation: ' in output and failed == 0:
        failed += 1  # found too late for the test to see: while its devices were closed
    return test['name'], passed, failed, skipped, time.monotonic() - started, output


def coverage(output):
    """The op × device table of test_ops: its comment lines."""
    at = output.find('\n# coverage')
    if at < 0:
        return ''
    return ''.join(line[2:] + '\n' for line in output[at + 1:].split('\n') if line.startswith('# '))


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    build, wanted = os.path.abspath(sys.argv[1]), sys.argv[2:]
    listing = '--list' in wanted
    tests = tests_of(build, [name for name in wanted if name != '--list'])
    if not tests:
        sys.exit('run.py: ' + (f"no test's name contains {' or '.join(wanted)}; --list shows them" if wanted else
                               f'{build} is configured without tests: meson configure -Dtests=true {sys.argv[1]}'))
    if listing:
        print(''.join(f"{t['name']}\n" for t in tests), end='')
        return
    totals = [0, 0, 0]
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for future in concurrent.futures.as_completed([pool.submit(run, t, build) for t in tests]):
            name, passed, failed, skipped, seconds, output = future.result()
            totals = [a + b for a, b in zip(totals, (passed, failed, skipped))]
            print(f"{'FAIL' if failed else 'ok  '} {name:<28} {passed:>6} passed {failed:>4} failed {skipped:>4} skipped "
                  f'{seconds:7.1f} s', flush=True)
            if failed:
                print('\n'.join('    ' + line for line in output.rstrip().split('\n')[-200:]), flush=True)
            else:
                for line in output.split('\n'):
                    if '# SKIP' in line:
                        print('    ' + line)
                print(coverage(output), end='')
    print(f'{len(tests)} tests in {time.monotonic() - started:.0f} s')
    print(f'{totals[0]} passed, {totals[1]} failed, {totals[2]} skipped')
    sys.exit(1 if totals[1] or not totals[0] else 0)


if __name__ == '__main__':
    main()
