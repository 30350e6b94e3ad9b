# SPDX-License-Identifier: Apache-2.0
"""parts.py: the parts of a GPU run: what each does, for how long at most, and whether it checks or measures.

The checks are those of the portability matrix (tests/matrix/executing.py). A part that fails or hangs ends alone.
"""
import dataclasses
import json
import os
import re
import signal
import subprocess
import time

import executing
from row import Cell

HOPELESS = 5  # seconds: a part that has fewer left is not begun


class Place(executing.Place):
    """Where one part's programs run: each in a process group of its own, ended when the part's time is up, its output kept."""

    def __init__(self, context, name, limit):
        super().__init__(context, name)
        self.log = os.path.join(context.logs, name + '.txt')
        self.ends = time.monotonic() + limit
        self.prepare()

    def run(self, *command, env=None, timeout=600):
        started = time.monotonic()
        limit = max(1.0, min(timeout, self.ends - started))
        with open(self.log, 'a', encoding='utf-8') as file:
            file.write('$ ' + ' '.join(command) + '\n')
            file.flush()
            begin = file.tell()
            # In the scratch folder: what a program that is killed leaves behind goes with it.
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
                                     cwd=self.context.scratch,
                                     env={**os.environ, 'SY_CACHE_DIR': self.context.cache, **self.env, **(env or {})})
            try:
                code = child.wait(limit)
            except subprocess.TimeoutExpired:
                code = 124
                os.killpg(child.pid, signal.SIGKILL)
                try:
                    child.wait(3)
                except subprocess.TimeoutExpired:
                    pass  # a driver holds it; the other parts go on
        with open(self.log, encoding='utf-8', errors='replace') as file:
            file.seek(begin)
            output = file.read()
        if code == 124:
            output += f'\nno end after {limit:.0f} s\n'
        elif code < 0:
            output += f'\nended by signal {-code} ({signal.Signals(-code).name})\n'
        return output, code, time.monotonic() - started


@dataclasses.dataclass
class Part:
    name: str
    what: str
    limit: float  # seconds
    run: callable  # (place, device) -> Cell; what it measured goes into cell.lines
    measures: bool = False


def lines_of(output, pattern):
    return [line.rstrip() for line in output.split('\n') if re.search(pattern, line)]


def measured(output, code, seconds, lines):
    cell = Cell(seconds=seconds)
    cell.ok(code == 0 and lines, ' / '.join(output.rstrip().split('\n')[-4:]))
    cell.lines = lines
    return cell


def cut_short(cell):
    """What is known when the time of the whole run is up: nothing failed so far, and not all of it was run."""
    return Cell(passed=cell.passed, skipped=1, seconds=cell.seconds, note='cut short: no time left')


def suite(program, *arguments):
    def run(place, device):
        more = [place.source + '/' + a if a.startswith('tests/') else a for a in arguments]
        return executing.tests(place, program, *more, '--device', device)
    return run


def train(place, device):
    return executing.training_cell(place, place.row, device)


def bench(*arguments, lines='GFLOP/s|GB/s|tokens/s'):
    def run(place, device):
        more = [place.source + '/' + a if a.startswith('configs/') else a for a in arguments]
        output, code, seconds = place.run(place.program('apps/switchyard-bench'), *more, '--device', device)
        return measured(output, code, seconds, lines_of(output, lines))
    return run


LARGE = ['--src-len', '512', '--tgt-len', '114', '--steps', '12', '--log-every', '12', '--schedule', 'constant', '--lr', '0.01']


def large(tokens):
    def run(place, device):
        """A model of about 100 M parameters in selective precision: its loss falls; tokens a second without the first steps."""
        seen, here = place.scratch(place.row)
        output, code, seconds = place.run(
            place.program('apps/switchyard-train'), '--model', place.source + '/configs/gpu-switch.json', '--data',
            place.source + '/LICENSE', '--tokenizer', 'bytes', '--out', seen + '/out', '--device', device,
            '--batch-tokens', str(tokens), *LARGE)
        try:
            with open(os.path.join(here, 'out', 'metrics.jsonl'), encoding='utf-8') as file:
                steps = [line for line in map(json.loads, file) if line['kind'] == 'train']
        except (OSError, ValueError):
            steps = []
        subprocess.run(['rm', '-rf', here], check=False)
        cell = Cell(seconds=seconds)
        cell.lines = []
        if cell.ok(code == 0 and len(steps) >= 2, 'training failed: ' + ' / '.join(output.rstrip().split('\n')[-3:])):
            cell.ok(steps[-1]['total'] < steps[0]['total'], f"the loss rose from {steps[0]['total']:.4f} to {steps[-1]['total']:.4f}")
            rates = sorted(step['tokens_per_second'] for step in steps[1:])
            cell.lines.append(f'training, {tokens} tokens a step: {rates[len(rates) // 2]:.0f} tokens/s')
        return cell
    return run


def all_parts():
    """In the order in which they are worth having."""
    matmuls = [Part(f'matmul-{n}', f'product of {n} × {n} matrices, f32 and bf16', 40, bench(
        'matmul', '--size', str(n), '--precision', 'bf16', '--repeat', '5'), True) for n in (1024, 4096, 2048)]
    step = ('step', '--model', 'configs/bench-small.json', '--src-len', '512', '--tgt-len', '114', '--repeat', '3', '--batch', '64')
    return [
        Part('ops', 'every op against the reference', 150, suite('ops')),
        Part('golden', 'golden models', 90, suite('golden', 'tests/golden')),
        Part('train', 'a short training against ref', 60, train),
        Part('quirks', "the driver's known faults", 30, lambda place, device: executing.quirks(place, device)),
        Part('pieces', 'tensors in pieces', 60, suite('pieces')),
        Part('slices', 'steps in slices', 60, suite('slices')),
        *matmuls[:2],
        Part('copy', 'copy op', 20, bench('op', '--op', 'copy', '--args', '8192,65536,65536,0,65536,0', '--repeat', '5'), True),
        Part('large', 'training of a model of about 100 M parameters', 60, large(8192), True),
        Part('step', 'where the time of a step goes', 60, bench(*step, lines='.'), True),
        Part('grouped', 'products of 64 experts', 30, bench('grouped', '--repeat', '5'), True),
        *matmuls[2:],
    ]
