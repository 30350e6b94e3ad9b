# SPDX-License-Identifier: Apache-2.0
"""ours.py: our programs at the same work, each measurement a process that ends before the rival's turn."""
import json
import os
import re
import subprocess
import time


class Missing(Exception):
    """Why something cannot be measured here."""


class Programs:
    def __init__(self, build, device, env, options):
        self.apps, self.device, self.env, self.options = os.path.join(build, 'apps'), device, env, options

    def run(self, program, *arguments):
        command = [os.path.join(self.apps, 'switchyard-' + program), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, errors='replace', env=self.env, check=False)
        if done.returncode != 0:
            raise Missing((done.stderr.strip().splitlines() or ['exit status %d' % done.returncode])[-1])
        return done.stdout

    def bench(self, what, *arguments):
        return self.run('bench', what, '--device', self.device, *self.options, *arguments)

    def name(self):
        """The device's line in switchyard-devices."""
        for line in self.run('devices').splitlines():
            if line.startswith(self.device + ' '):
                return line[len(self.device):].strip()
        raise Missing(f'no device {self.device} (switchyard-devices lists them)')

    def figures(self, what, *arguments):
        """What switchyard-bench measured; a figure's "ms" is a median."""
        return json.loads(self.bench(what, '--json', *arguments))['figures']

    def product(self, n, repeat=5):
        """(seconds of ours, seconds of OpenBLAS or None, variant); the program measures both in turns."""
        figures = self.figures('matmul', '--size', n, '--dtype', 'f32', '--repeat', repeat, '--rival', 'OpenBLAS')
        ours = next(f for f in figures if not f['rival'])
        theirs = next((f['ms'] * 1e-3 for f in figures if f['rival']), None)
        return ours['ms'] * 1e-3, theirs, ours['by']

    def step(self, config, batch, source, target, precision, repeat=3):
        """(seconds, tokens that count) of a training step."""
        out = self.bench('step', '--model', config, '--batch', batch, '--src-len', source, '--tgt-len', target, '--precision',
                         precision, '--repeat', repeat)
        found = re.search(r'one step: ([\d.]+) ms.*?(\d+) tokens/s', out)
        return float(found[1]) * 1e-3, float(found[1]) * 1e-3 * float(found[2])

    def expert_ffn(self, sizes, dtype, repeat=3):
        """(seconds of forward and backward, variants)."""
        figure = self.figures('expert-ffn', '--experts', sizes['experts'], '--rows', sizes['rows'], '--d-model', sizes['d_model'],
                              '--d-ff', sizes['d_ff'], '--dtype', dtype, '--repeat', repeat)[-1]
        return figure['ms'] * 1e-3, figure['by']

    def decode(self, config, batch, source, tokens, precision, beams=1, repeat=3):
        """Seconds of decoding a batch, its encoder's included."""
        figure = self.figures('decode', '--model', config, '--batch', batch, '--src-len', source, '--tgt-len', tokens, '--precision',
                              precision, '--beams', beams, '--repeat', repeat)[0] # the others: where the time goes
        if round(figure['tokens_per_second'] * figure['ms'] * 1e-3) != batch * tokens:
            raise Missing(f'a sequence ended before its {tokens} tokens')
        return figure['ms'] * 1e-3

    def rates(self, what, dtype, repeat, *arguments):
        """[(what it is, share of the first one's rate, rate, its unit)] of the others that were measured in turns."""
        first, *others = self.figures(what, '--dtype', dtype, '--repeat', repeat, *arguments)
        unit = 'gbs' if what == 'bandwidth' else 'gflops'
        return [(f['what'], f[unit] / first[unit], f[unit], first[unit]) for f in others]

    def train_peak(self, config, data, out, arguments):
        """Bytes that were resident at most in a training run, from the kernel's account of the process."""
        command = [os.path.join(self.apps, 'switchyard-train'), '--model', config, '--data', data, '--out', out, '--device',
                   self.device, *map(str, arguments)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=self.env) as child:
            said = child.stderr.read().decode(errors='replace')
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            raise Missing((said.strip().splitlines() or ['training failed'])[-1])
        return usage.ru_maxrss * 1024

    def plan(self, config, arguments):
        return json.loads(self.run('plan', '--model', config, '--device', self.device, '--json', *arguments))


def busy(seconds=1.0):
    """Share of the processors that others keep busy while nothing of ours runs."""
    def read():
        with open('/proc/stat', encoding='utf-8') as file:
            ticks = [int(word) for word in file.readline().split()[1:9]]
        return sum(ticks), ticks[3] + ticks[4]
    all_before, idle_before = read()
    time.sleep(seconds)
    all_after, idle_after = read()
    return 1 - (idle_after - idle_before) / max(1, all_after - all_before)


