#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""peers.py BUILD [NAME…] [--avx2] [--cpu-time] [--turns N] [--device ID] [--threads N] [--json FILE]: our programs and PyTorch,
Hugging Face and OpenBLAS at the same work, in turns in one run.

Names: matmul, step8, step64, ffn, bandwidth, attention, switch128, grouped, decode1, decode16, decodebeam, memory, or parts of
them (default: all). A ratio is the time of the fastest rival over that of our fastest way: above 1 we are ahead; beside it the
least and the most of single turns. Of bandwidth, attention and grouped it is a share of what the device gives a copy, a product,
or equal loads. With --avx2 all sides are told to leave the wider instructions of this CPU alone, which shows about what an older
CPU would do: PoCL compiles for Haswell, OpenBLAS takes its Haswell kernels, PyTorch those for AVX2; clocks and caches stay those
of this CPU.
"""
import argparse
import json
import os
import shutil
import sys
import tempfile

import shapes
from contest import HEAD, Entrant, Row
from ours import Missing, Programs
from theirs import Peer

AVX2 = {'POCL_KERNELLIB_NAME': 'avx2', 'SY_DISABLE': 'avx512', 'OPENBLAS_CORETYPE': 'Haswell', 'ATEN_CPU_CAPABILITY': 'avx2',
        'ONEDNN_MAX_CPU_ISA': 'AVX2', 'MKL_ENABLE_INSTRUCTIONS': 'AVX2'}


class Harness:
    def __init__(self, options, folder):
        # Idle threads of OpenBLAS and OpenMP go to sleep soon, so that they do not take the cores from the next one's turn.
        env = {'OPENBLAS_THREAD_TIMEOUT': '4', **os.environ, 'OMP_NUM_THREADS': str(options.threads),
               'OPENBLAS_NUM_THREADS': str(options.threads), 'POCL_MAX_PTHREAD_COUNT': str(options.threads), 'HF_HUB_OFFLINE': '1'}
        if options.cpu_time:
            env['OMP_WAIT_POLICY'] = 'passive' # waiting is no work
        if options.avx2:
            # A cache of its own: PoCL keys its kernels by the device, not by all that it was told.
            env.update(AVX2, POCL_CACHE_DIR=os.path.join(options.build, 'peers-avx2', 'pocl'),
                       SY_CACHE_DIR=os.path.join(options.build, 'peers-avx2', 'switchyard'))
            os.makedirs(env['POCL_CACHE_DIR'], exist_ok=True)
        self.options, self.folder = options, folder
        self.ours = Programs(options.build, options.device, env, ['--cpu-time'] if options.cpu_time else [])
        self.peer = Peer(env, options.threads, 'cpu' if options.cpu_time else 'wall')

    def theirs(self, name, work, dtype, judged=True, times=1, **sizes):
        self.peer.ask(open=name, work=work, dtype=dtype, sizes=sizes)
        return Entrant(name, lambda: self.peer.ask(time=name, times=times)['seconds'], False, judged)

    def run(self, row, entrants):
        row.run(entrants, self.options.turns)
        self.peer.ask(close=True)
        return row

    # ---- the rows --------------------------------------------------------------------------------------------------------

    def matmul(self, n):
        seen = {}

        def ours():
            seconds, seen['blas'], seen['variant'] = self.ours.product(n)
            return seconds
        ours()
        if seen['blas'] is None:
            raise Missing('this build has no OpenBLAS (libopenblas-dev)')
        return self.run(Row('1', f'f32 product, n = {n}', ('GFLOP/s', 2e-9 * n ** 3), 0.85, 1.0),
                        [Entrant('f32 ' + seen['variant'], ours, True), Entrant('OpenBLAS sgemm', lambda: seen['blas'], False),
                         self.theirs('PyTorch f32', 'product', 'f32', judged=False, times=max(1, (2048 // n) ** 2), n=n)])

    def step(self, experts):
        batch, source, target = 8, 128, 32
        config = shapes.write(self.folder, f'small-{experts}', shapes.switch(shapes.SMALL, experts, source, 1.25))
        avx2 = self.options.avx2 or 'avx512f' not in flags()
        ways = ('f32',) if avx2 else ('f32', 'bf16')
        tokens = self.ours.step(config, batch, source, target, 'f32', 1)[1]
        limits = {8: (1.6, 2.5), 64: (2.5, 5)}[experts] if avx2 else (3, 8)
        measure = f'training step of the small model, {experts} experts'
        return self.run(Row('2' if avx2 else '3', measure, ('tokens/s', tokens), *limits),
                        [Entrant(way, lambda way=way: self.ours.step(config, batch, source, target, way)[0], True) for way in ways]
                        + [self.theirs('Hugging Face ' + way, 'training', way, config=config, batch=batch, source=source,
                                       target=target) for way in ways])

    def ffn(self):
        sizes = {'experts': 8, 'rows': 512, 'd_model': 512, 'd_ff': 2048}
        bf16 = 'amx_bf16' in flags() and not self.options.avx2
        ways = ('f32', 'bf16') if 'avx512_bf16' in flags() and not self.options.avx2 else ('f32',)
        limits = (1.5, 3) if bf16 else (1.0, 1.2)
        by = {way: f'{way} {self.ours.expert_ffn(sizes, way, 1)[1]}' for way in ways}
        gflop = 12e-9 * sizes['experts'] * sizes['rows'] * sizes['d_model'] * sizes['d_ff']
        return self.run(Row('4', 'expert FFN, forward and backward, 8 × 512 rows', ('GFLOP/s', gflop), *limits),
                        [Entrant(by[way], lambda way=way: self.ours.expert_ffn(sizes, way)[0], True) for way in ways]
                        + [self.theirs(f'PyTorch {way} {how}', 'expert_ffn', way, batched=how == 'bmm', **sizes)
                           for way in ways for how in ('bmm', 'loop')])

    def switch128(self):
        """Ours alone. Where the whole does not fit, a third of it: as many experts, a third of the layers and of the vocabulary."""
        batch, source, target, way = 8, 512, 114, 'bf16'
        sizes = ['--batch', batch, '--src-len', source, '--tgt-len', target, '--precision', way]
        third = {'vocab_size': 10752, 'num_layers': 2, 'num_decoder_layers': 2}
        for note, widths in (('', shapes.T5_SMALL), ('a third of the model: 2 + 2 layers, V 10,752', {**shapes.T5_SMALL, **third})):
            switch = shapes.write(self.folder, 'switch-128', shapes.switch(widths, 128, source, 1.0))
            dense = shapes.write(self.folder, 'dense', shapes.t5(widths))
            if self.ours.plan(switch, sizes)['total_bytes'] * 1.1 < available():
                break
        else:
            raise Missing('too little memory is free')
        tokens = self.ours.step(dense, batch, source, target, way, 1)[1]
        row = Row('7', "Switch with 128 experts: share of the dense twin's tokens/s", ('tokens/s', tokens), 0.75, 0.9, note=note)
        return self.run(row, [Entrant(f'{name} {way}', lambda model=model: self.ours.step(model, batch, source, target, way, 1)[0],
                                      model == switch) for name, model in (('Switch', switch), ('dense twin', dense))])

    def shares(self, number, what, dtype, must, aim, pick, unit, *arguments):
        """Ours alone, measured in turns by one call of switchyard-bench: a row for each figure that `pick` names."""
        rows = []
        for name, share, rate, best in self.ours.rates(what, dtype, 4 * self.options.turns + 1, *arguments):
            if pick(name):
                rows.append(Row(number, name, None, must, aim, value=share, note=f'{rate:.1f} {unit}, beside {best:.1f}'))
        return rows

    def bandwidth(self):
        return [row for dtype in ('f32', 'bf16') for row in
                self.shares('5', 'bandwidth', dtype, 0.6, 0.85,
                            lambda name: dtype == 'f32' or name.split()[0] not in ('softmax', 'adafactor'), 'GB/s')]

    def attention(self):
        return self.shares('6', 'attention', 'f32', 0.5, 0.75, lambda name: name.endswith('back'), 'GFLOP/s')

    def grouped(self):
        """64 experts with 64 rows each, T5-small's widths."""
        rows = []
        for dtype in ('f32', 'bf16') if 'avx512_bf16' in flags() and not self.options.avx2 else ('f32',):
            dense, equal, zipf = self.ours.figures('grouped', '--experts', 64, '--rows', 64, '--d-model', 512, '--d-ff', 2048,
                                                   '--dtype', dtype, '--repeat', 2 * self.options.turns + 1)
            for what, over, under, must, aim in (('Zipf against equal loads', equal, zipf, 0.85, 0.95),
                                                 ('equal loads against one dense product', dense, equal, 0.95, 1.0)):
                rows.append(Row('8', f'64 experts × 64 rows, 512 → 2048, {dtype}: {what}', None, must, aim,
                                value=over['ms'] / under['ms'],
                                note=f'{under["ms"]:.1f} ms, {under["gflops"]:.0f} GFLOP/s, beside {over["ms"]:.1f}'))
        return rows

    def decode(self, batch, beams=1):
        source, tokens = 128, 64
        config = shapes.write(self.folder, 't5-small', shapes.t5(shapes.T5_SMALL))
        ways = ('f32',) if self.options.avx2 else ('f32', 'bf16')
        how = 'greedy decoding' if beams == 1 else f'decoding with {beams} beams'
        measure = f'{how}, batch {batch}, T5-small widths, {source} → {tokens} tokens'
        return self.run(Row('9', measure, ('tokens/s', batch * tokens), 2, 5),
                        [Entrant(way, lambda way=way: self.ours.decode(config, batch, source, tokens, way, beams), True)
                         for way in ways]
                        + [self.theirs('Hugging Face ' + way, 'decoding', way, config=config, batch=batch, source=source,
                                       tokens=tokens, beams=beams) for way in ways])

    def memory(self):
        config = shapes.write(self.folder, 't5-small', shapes.t5(shapes.T5_SMALL))
        text = os.path.join(self.folder, 'text.txt')
        with open(text, 'w', encoding='utf-8') as file:
            file.writelines(f'line {i}: as plain as the {i * i % 9973} others before it.\n' for i in range(20000))
        sizes = ['--src-len', 512, '--tgt-len', 114, '--precision', 'selective']
        plan = self.ours.plan(config, ['--batch', 16, *sizes])['total_bytes']
        out = os.path.join(self.folder, 'memory')
        peak = self.ours.train_peak(config, text, out, ['--batch-tokens', 16 * 512, '--steps', 2, '--tokenizer', 'bytes', *sizes])
        shutil.rmtree(out, ignore_errors=True)
        # "Within 10 %" is a ratio of at least 1 / 1.1.
        return Row('10', 'T5-small-sized training, 16 × 512 → 114: plan and peak resident memory, the less over the more', None,
                   round(1 / 1.1, 2), round(1 / 1.05, 2), value=min(plan / peak, peak / plan),
                   note=f'plan {plan / 2**20:.0f} MiB, peak {peak / 2**20:.0f} MiB')


def rows(h):
    return {'matmul512': lambda: h.matmul(512), 'matmul1024': lambda: h.matmul(1024), 'matmul2048': lambda: h.matmul(2048),
            'step8': lambda: h.step(8), 'step64': lambda: h.step(64), 'ffn': h.ffn,
            'bandwidth': h.bandwidth, 'attention': h.attention, 'switch128': h.switch128, 'grouped': h.grouped,

            'decode1': lambda: h.decode(1), 'decode16': lambda: h.decode(16),
            'decodebeam': lambda: h.decode(4, beams=4), 'memory': h.memory}


def proc(path, key):
    with open(path, encoding='utf-8') as file:
        return next((line.split(':', 1)[1].strip() for line in file if line.startswith(key)), '')


def flags():
    return proc('/proc/cpuinfo', 'flags').split()


def available():
    return int(proc('/proc/meminfo', 'MemAvailable').split()[0]) * 1024


def parse():
    parser = argparse.ArgumentParser(prog='dev bench peers', description=__doc__.split(': ', 1)[1],
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('build', help=argparse.SUPPRESS)
    parser.add_argument('names', nargs='*', metavar='NAME', help='rows to measure, or parts of their names')
    parser.add_argument('--avx2', action='store_true', help='as on a CPU without AVX-512')
    parser.add_argument('--turns', type=int, default=5, metavar='N', help='alternations (default 5)')
    parser.add_argument('--device', default='opencl:0', metavar='ID', help='of ours (default opencl:0)')
    parser.add_argument('--threads', type=int, default=len(os.sched_getaffinity(0)), metavar='N', help='of each side (default: all)')
    parser.add_argument('--cpu-time', action='store_true',
                        help='processor time of both sides, one thread each: for a machine that others use')
    parser.add_argument('--json', metavar='FILE', help='write all times there')
    options = parser.parse_intermixed_args()
    if options.cpu_time:
        options.threads = 1
    if options.turns < 1 or options.threads < 1:
        parser.error('--turns and --threads are at least 1')
    return options


def main():
    options = parse()
    done = []
    with tempfile.TemporaryDirectory(prefix='switchyard-peers-') as folder:
        h = Harness(options, folder)
        every = rows(h)
        chosen = [name for name in every if not options.names or any(part in name for part in options.names)]
        if not chosen:
            sys.exit('dev bench peers: no row is named so; there are ' + ', '.join(every))
        try:
            name = h.ours.name()
        except Missing as missing:
            sys.exit(f'dev bench peers: {missing}')
        about, threads = h.peer.about, f'{options.threads} thread' + 's' * (options.threads > 1)
        print(f'{proc("/proc/cpuinfo", "model name")}, {threads} each; ours on {options.device}, {name}; '
              f'PyTorch {about["torch"]} ({about["capability"]}), transformers {about["transformers"]}; '
              f'medians of {options.turns} turns' + ' of processor time' * options.cpu_time
              + '; without AVX-512 (--avx2)' * options.avx2, flush=True)
        for name in chosen:
            try:
                measured = every[name]()
            except (Missing, RuntimeError) as missing:
                measured = Row('–', name, note=f'not measured: {missing}')
                h.peer.ask(close=True)
            for row in measured if isinstance(measured, list) else [measured]:
                row.print()
                done.append(row)
            sys.stdout.flush()
        h.peer.close()
    print('\n' + HEAD)
    for row in done:
        print(row.table_line())
    if options.json:
        with open(options.json, 'w', encoding='utf-8') as file:
            json.dump([row.json() for row in done], file, indent=1)
    sys.exit(any(row.ratio() is None for row in done))


if __name__ == '__main__':
    main()
