#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""scale.py BUILD [TABLE…]: makes the tables of docs/scale.md again, all or those named; every figure is switchyard-plan's.

Between `<!-- scale.py TABLE -->` and the next `<!-- end -->` the page is this script's. tests/scale.py plans some of its
rows again.
"""
import json
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
PAGE = os.path.join(ROOT, 'docs', 'scale.md')
MACHINES = {
    'A': '--device-memory 80G --rates 150TFLOP/s,1.5TB/s,20GB/s --network 5us,200Gb/s,8,2us,20GB/s',
    'B': '--device-memory 16G --rates 10TFLOP/s,500GB/s,10GB/s --network 30us,10Gb/s,4,5us,8GB/s',
    'C': '--class cpu --device-memory 256G --rates 1TFLOP/s,200GB/s --network 20us,25Gb/s'}
RANKS = {'switch-base-128': (1, 8, 64, 512, 2048), 'switch-large-128': (1, 8, 64, 512, 2048),
         'switch-xxl-128': (1, 8, 64, 512, 2048), 'switch-c-2048': (1, 64, 512, 2048), 't5-xxl': (1, 8, 64, 512, 2048)}
SEQUENCES = 2048 # of a step of `equal`: 1.3 million tokens


def write_model(name, folder):
    """A config of configs/ with sequences as routing groups; t5-xxl: switch-xxl-128 without a sparse layer."""
    with open(os.path.join(ROOT, 'configs', ('switch-xxl-128' if name == 't5-xxl' else name) + '.json'), encoding='utf-8') as file:
        config = json.load(file)
    config['switchyard']['group_tokens'] = 0
    if name == 't5-xxl':
        config.update(num_sparse_encoder_layers=0, num_sparse_decoder_layers=0)
    path = os.path.join(folder, name + '.json')
    with open(path, 'w', encoding='utf-8') as file:
        json.dump(config, file)
    return path


def batch_of(name):
    return 16 if name == 'switch-base-128' else 8


def plan(build, folder, name, machine, *more):
    """What it says of a model on a machine, or None where that cannot be."""
    done = subprocess.run([os.path.join(build, 'apps', 'switchyard-plan'), '--model', write_model(name, folder), '--json',
                           *MACHINES[machine].split(), *map(str, more)], capture_output=True, text=True, check=False)
    if done.returncode != 0 and 'error:' not in done.stderr:
        sys.exit(f'scale.py: switchyard-plan ended with {done.returncode}')
    return json.loads(done.stdout) if done.returncode == 0 else None


def layout_of(p):
    l = p.get('layout', {'data': 1, 'expert': 1, 'model': 1})
    return 'x'.join(str(l[key]) for key in ('data', 'expert', 'model') if key != 'model' or l[key] > 1)


def memory_of(p):
    return p.get('most_bytes', p['total_bytes']) / 2**30


def cell(p):
    """layout, GiB | tokens/s; "no": no layout fits, and this is the fastest."""
    if p is None:
        return 'not possible | '
    return f'{layout_of(p)}, {memory_of(p):,.1f}{"" if p["fits"] else " (no)"} | {p["step"]["tokens_per_second"]:,.0f}'


def model_table(build, folder, name):
    lines = ['| ranks | ' + ' | '.join(f'{m}: layout, GiB | tokens/s' for m in MACHINES) + ' | A is bound by |', '|' + '---|' * 8]
    for ranks in RANKS[name]:
        p = {m: plan(build, folder, name, m, '--batch', batch_of(name), '--ranks', ranks) for m in MACHINES}
        bound = p['A']['step']['bound_by'] if p['A'] else ''
        lines.append(f'| {ranks:,} | ' + ' | '.join(cell(p[m]) for m in MACHINES) + f' | {bound} |')
        print(lines[-1], file=sys.stderr)
    return lines


def best_equal(build, folder, name, machine, ranks):
    """The fastest layout that fits for steps of SEQUENCES, 8 at once on a rank at most."""
    best = None
    sizes = [2**i for i in range(ranks.bit_length())]
    for model in sizes:
        for expert in sizes if name == 'switch-c-2048' else [1]:
            places = ranks // model
            if expert > places or places > SEQUENCES:
                continue
            own = SEQUENCES // places
            p = plan(build, folder, name, machine, '--layout', f'{places // expert}x{expert}x{model}', '--batch', min(own, 8),
                     '--micro-batches', max(own // 8, 1))
            if p is not None and p['fits'] and (best is None or p['step']['seconds'] < best['step']['seconds']):
                best = p
    return best


def equal_table(build, folder):
    lines = ['| ranks | machine | T5-XXL-like: layout, GiB | tokens/s | Switch-C: layout, GiB | tokens/s | Switch-C is |',
             '|' + '---|' * 7]
    for ranks in (64, 512, 2048):
        for machine in ('A', 'C'):
            dense, sparse = (best_equal(build, folder, name, machine, ranks) for name in ('t5-xxl', 'switch-c-2048'))
            ratio = (f'{sparse["step"]["tokens_per_second"] / dense["step"]["tokens_per_second"]:.1f} times as fast'
                     if dense and sparse else '')
            lines.append(f'| {ranks:,} | {machine} | {cell(dense)} | {cell(sparse)} | {ratio} |')
            print(lines[-1], file=sys.stderr)
    return lines


def main():
    build, names = sys.argv[1], sys.argv[2:] or [*RANKS, 'equal']
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            lines = equal_table(build, folder) if name == 'equal' else model_table(build, folder, name)
            with open(PAGE, encoding='utf-8') as file:
                page = file.read()
            pattern = re.compile(rf'(<!-- scale.py {name} -->\n).*?(<!-- end -->)', re.S)
            if not pattern.search(page):
                sys.exit(f'scale.py: docs/scale.md has no place for {name}')
            with open(PAGE, 'w', encoding='utf-8') as file:
                file.write(pattern.sub(lambda found, text='\n'.join(lines): f'{found[1]}{text}\n{found[2]}', page))


if __name__ == '__main__':
    main()
