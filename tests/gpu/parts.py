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
                                     env={**os.environ, 'SY_CACHE_DIR': self.context.cache, 'SY_TUNE': '0', **self.env, **(env or {})})
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
    run: callable  # (place, device) -> Cell; what it measured goes into cell.figures
    measures: bool = False


def cut_short(cell):
    """What is known when the time of the whole run is up: nothing failed so far, and not all of it was run."""
    cut = Cell(passed=cell.passed, skipped=1, seconds=cell.seconds, note='cut short: no time left')
    cut.figures = getattr(cell, 'figures', [])
    return cut


def suite(program, *arguments):
    def run(place, device):
        more = [place.source + '/' + a if a.startswith('tests/') else a for a in arguments]
        return executing.tests(place, program, *more, '--device', device)
    return run


def train(place, device):
    return executing.training_cell(place, place.row, device)


def bench(*commands):
    """A part of one or several runs of switchyard-bench, each after the variables that it is run with (A=b command): its
    figures go into cell.figures, named after those variables."""
    def run(place, device):
        cell = Cell()
        cell.figures = []
        for command in commands:
            words = command.split()
            env = dict(word.split('=', 1) for word in words if '=' in word)
            words = [place.source + '/' + word if word.startswith('configs/') else word for word in words if '=' not in word]
            output, code, seconds = place.run(place.program('apps/switchyard-bench'), *words, '--json', '--device', device, env=env)
            cell.seconds += seconds
            try:
                figures = json.loads(output[output.index('{\n'):output.rindex('}') + 1])['figures']
            except ValueError:
                figures = []
            cell.ok(code == 0 and figures, f"{command}: {' / '.join(output.rstrip().split(chr(10))[-3:])[-400:]}")
            for refused in sorted(set(re.findall(r'(\w+ runs as \w+, not as .{1,300})', output))):
                cell.ok(False, refused)  # a kernel of ours that this device's compiler does not take
            named = ''.join(f', {key}={value}' for key, value in env.items())
            cell.figures += [{**figure, 'what': figure['what'] + named, 'command': command} for figure in figures]
        return cell
    return run


ATTENTION = 'attention --repeat 5 --heads 12 --batch 16 --dtype bf16'


def attention_blocks(place, device):
    """Attention without matrix cores, and with them by several blocks: what docs/env.md says of SY_COOP_ATTENTION."""
    if not device.startswith('vulkan:'):
        return Cell(skipped=1, note='Vulkan alone')
    blocks = ['16,4,16', '16,4,32', '32,2,32', '32,4,32', '16,8,16']
    return bench(ATTENTION, *(f'SY_COOP_ATTENTION={b} {ATTENTION}' for b in blocks))(place, device)


def attention_cases(place, device):
    """The cases of attention on matrix cores, which are not taken unless they are named."""
    if not device.startswith('vulkan:'):
        return Cell(skipped=1, note='Vulkan alone')
    place.env['SY_COOP_ATTENTION'] = '16,4,32'
    cells = [suite('ops', '--op', op)(place, device) for op in ('attention', 'attention_dq', 'attention_dkv')]
    return Cell(passed=sum(c.passed for c in cells), failed=sum(c.failed for c in cells), skipped=sum(c.skipped for c in cells),
                seconds=sum(c.seconds for c in cells), details=[line for c in cells for line in c.details])


SHAPE = '--model configs/gpu-switch.json --batch 16 --src-len 512 --tgt-len 114'


def tune(place, device):
    """The launches of that model's kernels (docs/tuning.md), the longest first, and a step with those that were chosen."""
    words = [place.source + '/' + word if word.startswith('configs/') else word for word in SHAPE.split()]
    program = place.program('apps/switchyard-bench')
    output, code, seconds = place.run(program, 'tune', *words, '--budget', '25', '--json', '--device', device)
    cell = Cell(seconds=seconds)
    cell.figures = []
    try:
        found = json.loads(output[output.index('{\n'):output.rindex('}') + 1])
    except ValueError:
        found = {'works': 0, 'choices': []}
    if not cell.ok(code == 0 and found['choices'] or found['works'] == 0 and code == 0,
                   'tune: ' + ' / '.join(output.rstrip().split(chr(10))[-3:])[-400:]):
        return cell
    cell.note = f"{len(found['choices'])} of {found['works']} kernels measured in {found['seconds']:.0f} s"
    for c in found['choices'][:24]:
        cell.figures.append({'what': f"{c['op']} {c['types']} {c['args']}, {c['times']} times a step", 'rival': False,
                             'by': f"{c['variant']}, {c['choice']}: {c['usual_us'] / c['chosen_us']:.2f} times as fast as usual",
                             'ms': c['chosen_us'] / 1e3})
    output, code, seconds = place.run(program, 'step', '--repeat', '5', *words, '--json', '--device', device, env={'SY_TUNE': '1'})
    cell.seconds += seconds
    try:
        figures = json.loads(output[output.index('{\n'):output.rindex('}') + 1])['figures']
    except ValueError:
        figures = []
    if cell.ok(code == 0 and figures, 'a tuned step: ' + ' / '.join(output.rstrip().split(chr(10))[-3:])[-400:]):
        cell.figures.insert(0, {**figures[0], 'what': figures[0]['what'] + ', tuned'})
    return cell


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
        cell.figures = []
        if cell.ok(code == 0 and len(steps) >= 2, 'training failed: ' + ' / '.join(output.rstrip().split('\n')[-3:])):
            cell.ok(steps[-1]['total'] < steps[0]['total'], f"the loss rose from {steps[0]['total']:.4f} to {steps[-1]['total']:.4f}")
            rates = sorted(step['tokens_per_second'] for step in steps[1:])
            cell.figures.append({'what': f'training of 105 M parameters, {tokens} tokens a step', 'by': 'all', 'rival': False,
                                 'tokens_per_second': rates[len(rates) // 2]})
        return cell
    return run


MEMORY = ['op --repeat 5 --op ' + op for op in (
    'relu --args 16384,8192,0,1.0,0,0,0,1,0,0', 'add --args 134217728', 'cast --args 134217728', 'rmsnorm --args 131072,1024,0.000001',
    'residual --args 131072,1024,0,1.0,0,0')]


def all_parts():
    """In the order in which they are worth having."""
    def matmul(n):
        return Part(f'matmul-{n}', f'products of {n} × {n} matrices', 60, bench(f'matmul --size {n} --variant all --repeat 7'), True)
    step = 'step --repeat 5 --src-len 512 --tgt-len 114 --model '
    return [
        Part('ops', 'every op against the reference', 150, suite('ops')),
        Part('attention-cases', 'attention on matrix cores against the reference', 60, attention_cases),
        Part('golden', 'golden models', 90, suite('golden', 'tests/golden')),
        Part('train', 'a short training against ref', 120, train),
        Part('quirks', "the driver's known faults", 30, lambda place, device: executing.quirks(place, device)),
        Part('pieces', 'tensors in pieces', 60, suite('pieces')),
        Part('slices', 'steps in slices', 90, suite('slices')),
        Part('choices', 'every launch of a kernel, to the same bits', 60, suite('choices')),
        Part('copy', 'a copy', 30, bench('copy --repeat 9'), True),
        Part('transfer', 'from and to the host', 30, bench('transfer --repeat 99'), True),
        matmul(4096),
        Part('large', 'training of a model of 105 M parameters', 60, large(8192), True),
        matmul(1024),
        Part('step', 'a step of that model', 60, bench('step --repeat 5 ' + SHAPE), True),
        Part('tune', 'the launches of its kernels, and a step with the fastest', 60, tune, True),
        Part('attention', 'attention', 30, bench('attention --repeat 5 --heads 12 --batch 16'), True),
        Part('attention-blocks', 'attention by the blocks of its matrix cores', 60, attention_blocks, True),
        Part('experts', "experts' products", 60, bench(
            'expert-ffn --repeat 5 --rows 1024 --d-model 768 --d-ff 3072',
            'grouped --repeat 5 --rows 256 --d-model 768 --d-ff 3072'), True),
        Part('memory', 'ops that memory bounds', 60, bench(*MEMORY), True),
        matmul(2048),
        Part('dw', "the gradient of a weight, 4096 × 4096 × 4096", 30, bench(
            'op --repeat 5 --op matmul_dw --args 4096,4096,4096,1,0,1.0,1,0,0,0'), True),
        Part('loss', 'the loss over 32128 words', 30, bench('xent --repeat 5 --rows 4096'), True),
        Part('decode', 'greedy decoding', 60, bench(*(
            f'decode --repeat 3 --model configs/gpu-switch.json --batch {batch}' for batch in (1, 16))), True),
        Part('small', 'a step of a small model', 60, bench(step + 'configs/bench-small.json --batch 64'), True),
    ]
