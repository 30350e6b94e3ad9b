#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""compare.py RUN…: one table of trained runs, from each run's plan.json, eval.json and metrics.jsonl."""
import json
import os
import sys


def human(value):
    for unit in ('', ' k', ' M', ' G', ' T'):
        if abs(value) < 1000:
            return f'{value:.3g}{unit}'
        value /= 1000
    return f'{value:.3g} P'


def load(run):
    with open(os.path.join(run, 'plan.json'), encoding='utf-8') as file:
        plan = json.load(file)
    with open(os.path.join(run, 'eval.json'), encoding='utf-8') as file:
        held_out = json.load(file)
    with open(os.path.join(run, 'metrics.jsonl'), encoding='utf-8') as file:
        steps = [json.loads(line) for line in file]
    return plan, held_out, [s for s in steps if s['kind'] == 'train']


def column(run):
    plan, held_out, steps = load(run)
    tokens = steps[0]['tokens']
    layers = held_out['layers']
    dropped = ', '.join(f"{100 * layer['dropped']:.1f} %" for layer in layers) or '-'
    load_text = ', '.join(f"{layer['load_max_over_mean']:.2f}x" for layer in layers) or '-'
    return [
        os.path.basename(run.rstrip('/')),
        human(plan['parameters']),
        human(plan['flops_forward'] / tokens),
        str(len(steps)),
        human(sum(s['tokens'] for s in steps)),
        human(steps[-1]['tokens_per_second']),
        f"{steps[-1]['seconds']:.0f} s",
        f"{held_out['nlp']:.4f}",
        f"{100 * held_out['accuracy']:.1f} %",
        dropped,
        load_text,
    ]


ROWS = ['', 'parameters', 'FLOPs per token, forward', 'steps', 'tokens seen', 'tokens/s', 'training time',
        'negative log perplexity', 'accuracy', 'tokens dropped, each layer', 'fullest expert / mean']


def verdict(first, other):
    """Which of two runs predicts the held-out text better, whichever way it falls."""
    (_, a, _), (_, b, _) = load(first), load(other)
    names = [os.path.basename(run.rstrip('/')) for run in (first, other)]
    gain = a['nlp'] - b['nlp']
    return (f"{names[0]} is {'ahead of' if gain > 0 else 'behind'} {names[1]} by {abs(gain):.4f} nats a token "
            f"({a['labels']:,} held-out target tokens)")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    columns = [column(run) for run in sys.argv[1:]]
    width = max(len(r) for r in ROWS)
    for i, row in enumerate(ROWS):
        print(f'{row:<{width}}' + ''.join(f'  {c[i]:>16}' for c in columns))
    for other in sys.argv[2:]:
        print(verdict(sys.argv[1], other))


if __name__ == '__main__':
    main()
