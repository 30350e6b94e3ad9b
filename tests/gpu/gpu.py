#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests and measures the GPUs of this machine and writes one report that can be sent in (docs/gpus/README.md).

Checks come first, devices at the same time; then measurements, one at a time. Every part has its own limit, and one that fails or
hangs does not stop the others. The status is not 0 when anything failed.
"""
import argparse
import concurrent.futures
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(SOURCE, 'tests', 'matrix')]

import executing
import paper
import parts
import rival
from row import Cell


class Context(executing.Reference):
    """Where things are, and until when."""

    def __init__(self, options, scratch):
        super().__init__(SOURCE, options.build, scratch)
        self.cache = os.path.join(self.scratch, 'kernels')
        self.out = options.out
        self.logs = os.path.join(options.out, 'logs')
        os.makedirs(self.logs, exist_ok=True)
        self.started = time.monotonic()
        self.minutes, self.measures = options.minutes, True
        self.ends = self.started + 60 * self.minutes
        self.results, self.devices, self.machine, self.rival = [], [], paper.machine(SOURCE), {}

    def elapsed(self):
        return time.monotonic() - self.started

    def left(self, checking=False):
        """Seconds; the checks leave half of the time to what measures."""
        return self.ends - time.monotonic() - (30 * self.minutes if checking and self.measures else 0)

    def add(self, part, device, cell):
        self.results.append({'part': part.name, 'what': part.what, 'device': device, 'passed': cell.passed, 'failed': cell.failed,
                             'skipped': cell.skipped, 'seconds': round(cell.seconds, 1), 'note': cell.note, 'details': cell.details,
                             'figures': getattr(cell, 'figures', [])})
        print(f'{cell.verdict:<5} {part.name:<12} {device:<10} {cell.passed:>5} passed {cell.failed:>3} failed {cell.seconds:7.1f} s  '
              f'{cell.note}', flush=True)
        for line in cell.details[:3] + [paper.line(figure) for figure in getattr(cell, 'figures', [])[:12]]:
            print('      ' + line[:160], flush=True)
        paper.write(self)


def listed(context):
    """What switchyard-devices says, without what only its --json has room for."""
    place = parts.Place(context, 'devices', 60)
    output, code, _ = place.run(place.program('apps/switchyard-devices'), '--json')
    try:
        return json.loads(output[output.index('[\n'):])
    except ValueError:
        sys.exit(f'gpu: switchyard-devices gave no list (status {code}): ' + output[-300:])


def choose(devices, wanted):
    """The devices named, else every GPU."""
    unknown = [name for name in wanted if name not in (d['id'] for d in devices)]
    if unknown:
        sys.exit(f"gpu: no device {', '.join(unknown)}; there are: " + ', '.join(d['id'] for d in devices))
    chosen = [d for d in devices if (d['id'] in wanted if wanted else not d['software'])]
    if not chosen:
        sys.exit('gpu: no GPU was found; --device names another device of: ' +
                 ', '.join(f"{d['id']} ({d['name']})" for d in devices) + '; docs/gpus/README.md says where drivers are looked for')
    return chosen


def one(context, part, device):
    """Runs the part. One that ends because all the time is up has not failed; one that takes more than its own limit has."""
    limit = min(part.limit, context.left(not part.measures))
    if limit < parts.HOPELESS:
        return Cell(skipped=1, note='no time left')
    started = time.monotonic()
    try:
        cell = part.run(parts.Place(context, f"{part.name}-{device.replace(':', '')}", limit), device)
    except Exception as error:  # a fault of this script must not take the other parts with it
        cell = Cell(failed=1, details=[f'{type(error).__name__}: {error}'])
    cell.seconds = cell.seconds or time.monotonic() - started
    return parts.cut_short(cell) if cell.failed and limit < part.limit and time.monotonic() - started >= limit else cell


def check(context, chosen, device):
    for part in chosen:
        context.add(part, device, one(context, part, device))


def run(context, chosen, devices):
    checks = [part for part in chosen if not part.measures]
    context.measures = len(checks) != len(chosen)
    measures = [part for part in chosen if part.measures]
    with rival.Torch(context, bool(measures)) as torch:  # it starts while the checks run
        with concurrent.futures.ThreadPoolExecutor(max_workers=max(1, min(len(devices), os.cpu_count() or 1))) as pool:
            for task in [pool.submit(check, context, checks, device) for device in devices]:
                task.result()
        if measures:
            torch.begin()
        for part in measures:
            torch.measure(part.name)
            for device in devices:
                context.add(part, device, one(context, part, device))
        torch.again()


def main():
    known = parts.all_parts()
    parser = argparse.ArgumentParser(prog='gpu', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--device', action='append', default=[], metavar='ID', help='a device of switchyard-devices; may be repeated '
                        '(default: every GPU; a CPU only when named)')
    parser.add_argument('--out', metavar='DIR', help='where the report goes (default: docs/gpus in a tree, else report)')
    parser.add_argument('--minutes', type=float, default=10, metavar='N', help='how long all of it may take (default 10)')
    parser.add_argument('--part', action='append', default=[], metavar='NAME', help='only this part; may be repeated: ' +
                        ', '.join(part.name for part in known))
    parser.add_argument('--build', default=os.path.join(SOURCE, 'build'), metavar='DIR', help='the built engine (default: build)')
    options = parser.parse_args()
    unknown = [name for name in options.part if name not in (part.name for part in known)]
    if unknown:
        parser.error(f"no part {', '.join(unknown)}; there are: " + ', '.join(part.name for part in known))
    if not 0 < options.minutes <= 600:
        parser.error(f'--minutes {options.minutes:g}: expected more than 0 and at most 600')
    options.out = os.path.abspath(options.out or paper.default_folder(SOURCE))
    scratch = tempfile.mkdtemp(prefix='switchyard-gpu-')
    try:
        context = Context(options, scratch)
        context.devices = choose(listed(context), options.device)
        ids = [d['id'] for d in context.devices]
        for device in context.devices:
            print(f"on {device['id']}: {device['name']}, {device['driver']}", flush=True)
        run(context, [part for part in known if not options.part or part.name in options.part], ids)
        return paper.finish(context)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == '__main__':
    try:
        sys.exit(main())
    except (OSError, subprocess.SubprocessError) as error:
        sys.exit(f'gpu: {error}')
