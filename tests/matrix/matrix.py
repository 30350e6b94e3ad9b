#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The portability matrix: runs the suites on every driver that can run here, compiles every kernel for the GPUs that cannot.

A full run writes docs/portability.md and runs/matrix/matrix.json; naming rows runs only those and writes only the JSON.
What cannot be set up here (no network, a package gone) is SKIP with its reason.
"""
import argparse
import concurrent.futures
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import executing
import gates
import opencl_compilers
import report
import vulkan_compilers
from root import Root
from row import Cell, Outcome, Row, Unavailable


class Context(executing.Reference):
    """What rows share: where things are, and what is worked out once."""

    def __init__(self, source, build, scratch):
        super().__init__(source, build, scratch)
        self.root = Root(source)


def all_rows():
    return executing.rows() + vulkan_compilers.rows() + opencl_compilers.rows()


def choose(rows, names):
    if not names:
        return rows
    chosen = [row for row in rows if any(name in (row.name, row.kind) or row.name.startswith(name + '-') for name in names)]
    unknown = [name for name in names if not any(name in (r.name, r.kind) or r.name.startswith(name + '-') for r in rows)]
    if unknown:
        sys.exit(f"matrix: no row {', '.join(unknown)}; there are: " + ', '.join(row.name for row in rows))
    return chosen


def run(row, context):
    started = time.monotonic()
    try:
        outcome = row.run(context)
    except Unavailable as reason:
        outcome = Outcome(cells={'setup': Cell(skipped=1, note=str(reason))}, reason=str(reason))
    except Exception as error:  # a bug of the matrix itself must not take the other rows with it
        outcome = Outcome(cells={'setup': Cell(failed=1, details=[f'{type(error).__name__}: {error}'])})
    outcome.seconds = round(time.monotonic() - started, 1)
    print(report.line(row, outcome), flush=True)
    return row, outcome


def main():
    parser = argparse.ArgumentParser(prog='./dev matrix', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', default='build', help='the built engine (default: build)')
    parser.add_argument('--out', default='runs/matrix', help='where matrix.json goes (default: runs/matrix)')
    parser.add_argument('--list', action='store_true', help='list the rows and leave')
    parser.add_argument('--allow-skips', type=int, default=None, metavar='N',
                        help='fail when more than N rows were skipped (default: any number)')
    parser.add_argument('row', nargs='*', help='rows to run: names, beginnings of names (radv), or executes / compiles')
    options = parser.parse_args()
    rows = choose(all_rows(), options.row)
    if options.list:
        for row in rows:
            print(f'{row.name:<20} {row.kind:<9} {row.what}')
        return 0
    os.makedirs(os.path.join(options.out, 'scratch'), exist_ok=True)
    source = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    context = Context(source, options.build, os.path.join(options.out, 'scratch'))
    started = time.monotonic()
    if any(row.needs_root for row in rows):
        try:
            context.root.build()
        except Unavailable as reason:
            print(f'the Debian-testing root: {reason}', flush=True)
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        results = list(pool.map(lambda row: run(row, context), rows))
    if not options.row:
        stale = gates.orphans([row.name for row in rows])
        outcome = Outcome(cells={'gates': Cell(passed=not stale, failed=len(stale), details=stale)})
        results.append((Row('exceptions', 'table', 'lines of exceptions.tsv without a row', None), outcome))
        for line in stale:
            print(line, flush=True)
    table = report.Report(results, time.monotonic() - started)
    print('\n' + table.text())
    table.write_json(os.path.join(options.out, 'matrix.json'))
    if not options.row:
        table.write_markdown(os.path.join(source, 'docs', 'portability.md'))
    passed, failed, skipped = table.totals()
    skipped_rows = sum(1 for _, outcome in results if outcome.reason)
    if options.allow_skips is not None and skipped_rows > options.allow_skips:
        print(f'{skipped_rows} rows were skipped, at most {options.allow_skips} are allowed')
        failed += 1
    print(f'{passed} passed, {failed} failed, {skipped} skipped')
    return 1 if failed or not passed else 0


if __name__ == '__main__':
    sys.exit(main())
