#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""predicted.py BUILD: what switchyard-plan predicts of a step on 1, 2 and 4 ranks, beside what is measured here.

Rates are measured on one rank with half the sequences, so that no row predicts itself. All is measured in turns, and
the medians are compared. On a machine that others use take --cpu-time: a rank's processor time instead of the clock's
(of its shortest step: who waits longer looks for messages longer).
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile

LAYOUTS = '1x1 2x1 1x2 1x1x2 4x1 2x2 1x4 1x2x2'


def options():
    p = argparse.ArgumentParser(prog='./dev bench plan', description=__doc__.split('\n\n', 1)[1],
                                formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument('build', help=argparse.SUPPRESS)
    p.add_argument('--device', default='opencl:0')
    p.add_argument('--model', help='a config.json (default: bench-small with 4 heads and 384 tokens)')
    p.add_argument('--batch', type=int, default=8, help='sequences of a rank')
    p.add_argument('--src-len', type=int, default=128)
    p.add_argument('--tgt-len', type=int, default=128)
    p.add_argument('--precision', default='f32')
    p.add_argument('--layouts', default=LAYOUTS, help='data x expert x model, with spaces')
    p.add_argument('--turns', type=int, default=3)
    p.add_argument('--repeat', type=int, default=5, help='steps of each turn')
    p.add_argument('--cpu-time', action='store_true', help="compare processor time of a rank, not the clock's")
    return p.parse_args()


class Bench:
    def __init__(self, o, folder):
        self.o, self.apps = o, os.path.join(o.build, 'apps')
        # One thread for each rank, and as root, too.
        self.env = dict(os.environ, POCL_MAX_PTHREAD_COUNT='1', LP_NUM_THREADS='1', OMPI_ALLOW_RUN_AS_ROOT='1',
                        OMPI_ALLOW_RUN_AS_ROOT_CONFIRM='1')
        self.model, self.rates = o.model or os.path.join(folder, 'model.json'), os.path.join(folder, 'rates.json')
        if not o.model:
            source = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'configs', 'bench-small.json')
            with open(source, encoding='utf-8') as file:
                config = json.load(file)
            config.update(vocab_size=384, num_heads=4, d_kv=48)
            config['switchyard']['group_tokens'] = 128
            with open(self.model, 'w', encoding='utf-8') as file:
                json.dump(config, file)

    def run(self, app, *args, ranks=1):
        mpi = ['mpirun', '--oversubscribe', '--bind-to', 'none', '-n', str(ranks)] if ranks > 1 else []
        done = subprocess.run([*mpi, os.path.join(self.apps, 'switchyard-' + app), *map(str, args)], env=self.env,
                              capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f'predicted.py: switchyard-{app} {" ".join(map(str, args))}\n{done.stderr}')
        return done.stdout

    def shape(self, batch):
        o = self.o
        return ('--model', self.model, '--batch', batch, '--src-len', o.src_len, '--tgt-len', o.tgt_len, '--precision',
                o.precision, '--device', o.device)

    def measure_rates(self, batch):
        clock = ['--cpu-time'] if self.o.cpu_time else []
        return json.loads(self.run('bench', 'rates', *self.shape(batch), '--repeat', self.o.repeat, *clock))

    def measure(self, layout):
        """Milliseconds of a step, and MiB on the device and of the process."""
        data, expert, model = layout
        if data * expert * model == 1:
            r = self.measure_rates(self.o.batch)
            return 1e3 * r['step'], r['device_bytes'] / 2**20, (r['device_bytes'] + r['resident_bytes']) / 2**20
        text = self.run('bench', 'ranks', *self.shape(self.o.batch), '--repeat', self.o.repeat, '--data-parallel', data,
                        '--expert-parallel', expert, '--model-parallel', model, ranks=data * expert * model)
        step = re.search(r'one step: ([\d.]+) ms', text).group(1)
        used = re.search(r'processors of a rank: ([\d.]+) ms a step at least; memory: ([\d.]+) MiB on its device, ([\d.]+) MiB',
                         text)
        return float(used.group(1) if self.o.cpu_time else step), float(used.group(2)), float(used.group(3))

    def predict(self, rates, layout, network):
        with open(self.rates, 'w', encoding='utf-8') as file:
            json.dump(rates, file)
        text = self.run('plan', *self.shape(self.o.batch), '--rates', self.rates, '--network', network, '--layout',
                        'x'.join(map(str, layout)), '--json')
        p = json.loads(text)
        step = p['step']['processors' if self.o.cpu_time else 'seconds']
        return 1e3 * step, p['most_bytes' if 'most_bytes' in p else 'total_bytes'] / 2**20, p['resident_bytes'] / 2**20


def main():
    o = options()
    layouts = [(tuple(map(int, text.split('x'))) + (1,))[:3] for text in o.layouts.split()]
    predicted, measured = {l: [] for l in layouts}, {l: [] for l in layouts}
    with tempfile.TemporaryDirectory() as folder:
        b = Bench(o, folder)
        for _ in range(o.turns):
            rates = b.measure_rates(max(o.batch // 2, 1))
            network = b.run('bench', 'network', '--repeat', 20, ranks=2).strip()
            for layout in layouts:
                predicted[layout].append(b.predict(rates, layout, network))
                measured[layout].append(b.measure(layout))
    what = 'ms of processor a rank' if o.cpu_time else 'ms a step'
    print(f'| data x expert x model | {what}: predicted | measured | ratio | MiB on the device: predicted | measured | '
          'MiB of the process: predicted | measured | ratio |')
    print('|' + '---|' * 9)
    far = []
    for layout in layouts:
        p, m = ([statistics.median(column) for column in zip(*rows[layout])] for rows in (predicted, measured))
        name = 'x'.join(map(str, layout))
        print(f'| {name} | {p[0]:.0f} | {m[0]:.0f} | {p[0] / m[0]:.2f} | {p[1]:.1f} | {m[1]:.1f} | {p[2]:.0f} | {m[2]:.0f} | '
              f'{p[2] / m[2]:.2f} |')
        far += [name] * (abs(p[0] / m[0] - 1) > 0.2 or abs(p[1] / m[1] - 1) > 0.05 or abs(p[2] / m[2] - 1) > 0.05)
    print(f'more than 20 % of time or 5 % of memory away: {", ".join(far) or "none"}')


if __name__ == '__main__':
    main()
