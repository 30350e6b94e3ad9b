#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""steps.py SECONDS CHOICE… -- RUN…: the most steps of the CHOICEs that all RUNs together are trained for in SECONDS.

Prints that number on one line and the reason on the next. A run's speed is that of its second half, in metrics.jsonl: its
first steps wait for kernels to be compiled. When even the least takes longer, it is the least.
"""
import json
import os
import sys


def seconds_per_step(run):
    with open(os.path.join(run, 'metrics.jsonl'), encoding='utf-8') as file:
        lines = [line for line in map(json.loads, file) if line['kind'] == 'train']
    half = len(lines) // 2
    if len(lines) < 4:
        sys.exit(f'steps.py: {run}: {len(lines)} steps are too few to tell its speed')
    return (lines[-1]['seconds'] - lines[half]['seconds']) / (len(lines) - 1 - half)


def human(seconds):
    minutes, rest = divmod(round(seconds), 60)
    return f'{minutes} min {rest} s' if minutes else f'{rest} s'


def main():
    if '--' not in sys.argv or len(sys.argv) < 5:
        sys.exit(__doc__)
    split = sys.argv.index('--')
    budget, choices, runs = float(sys.argv[1]), sorted(map(int, sys.argv[2:split])), sys.argv[split + 1:]
    each = [seconds_per_step(run) for run in runs]
    total = sum(each)
    steps = max([c for c in choices if c * total <= budget], default=choices[0])
    speeds = ', '.join(f'{os.path.basename(run)} {1 / one:.3g} steps/s' for run, one in zip(runs, each))
    print(steps)
    print(f'{steps} steps of each model: {speeds} here, so both take about {human(steps * total)}', end='')
    longer = [c for c in choices if c > steps]
    print(f'; {longer[0]} steps would take {human(longer[0] * total)}, more than {human(budget)}' if longer else '')


if __name__ == '__main__':
    main()
