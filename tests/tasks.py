#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tasks.py APPS_DIR SOURCE_DIR: training and evaluating on rows of a table (docs/tasks.md), as a person does it.

tests/pairs.c has every odd row.
"""
import json
import os
import random
import sys

from apps import Suite, config, refuse, tensors_bytes

COLOURS = {'0': 'red', '1': 'green', '2': 'blue'}


def table(path, rows, seed):
    """A task that a tiny model learns: the colour is the first word."""
    rng = random.Random(seed)
    with open(path, 'w', encoding='utf-8') as file:
        file.write('text\tlabel\n')
        for _ in range(rows):
            label = rng.choice('012')
            file.write(f'{"abc"[int(label)]}{"x" * rng.randint(0, 9)}\t{label}\n')
    return path


def arguments(s, out, *more, rows='train.tsv', steps=4):
    return ['--model', s.path('switch.json'), '--pairs', s.path(rows), '--template', 'say: {text}', '--target', '{label}', '--labels',
            ','.join(f'{k}={v}' for k, v in COLOURS.items()), '--steps', steps, '--batch-tokens', 64, '--device', 'ref:0', '--out',
            s.path(out), *more]


def weights(s, out):
    return tensors_bytes(s.path(out, 'latest', 'model.safetensors'))


def check_training(s):
    done = s.run('train', *arguments(s, 'whole', '--valid-pairs', s.path('valid.tsv')))
    said = '60 examples of at most 16 and 8 tokens, 4 in a step; constant lr 0.001, dropout 0.1, expert dropout 0.4'
    s.ok(done.returncode == 0 and said in done.stdout, 'train --pairs: lengths of the rows, the fine-tuning defaults, told',
         done.stdout + done.stderr)
    s.ok('held out: 20 examples' in done.stdout and 'step 4  held-out nlp' in done.stdout, '… validated on --valid-pairs', done.stdout)
    written = json.load(open(s.path('whole', 'latest', 'config.json'), encoding='utf-8'))
    s.ok(written['dropout_rate'] == 0.1 and written['switchyard']['expert_dropout_rate'] == 0.4, '… and kept with the model', written)
    s.run('train', *arguments(s, 'cut', steps=2))
    done = s.run('train', *arguments(s, 'cut', '--resume'))
    s.ok(done.returncode == 0 and weights(s, 'whole') == weights(s, 'cut'), 'stopped and resumed: the same weights', done.stderr)
    s.run('train', *arguments(s, 'a', '--slices', 4))
    s.run('train', *arguments(s, 'b', '--slices', 4, '--micro-batch', 2))
    s.ok(weights(s, 'a') == weights(s, 'b'), 'micro-batches: the same weights as in one')
    refuse(s, 'resume with other rows', ['trained on other data'], 'train', *arguments(s, 'cut', '--resume', rows='valid.tsv', steps=6))
    done = s.run('train', *arguments(s, 'given', '--lr', 0.5, '--schedule', 'linear', '--dropout', 0.25, '--expert-dropout', 0,
                                     '--src-len', 10, '--tgt-len', 5, steps=1))
    s.ok('of at most 10 and 5 tokens' in done.stdout and 'linear lr 0.5, dropout 0.25, expert dropout 0' in done.stdout
         and 'inputs are cut to --src-len 10' in done.stderr, 'what is given goes before the defaults', done.stdout + done.stderr)


def check_refusals(s):
    def bad(name, words, *more, rows='train.tsv', **kwargs):
        refuse(s, name, words, 'train', *arguments(s, 'x', *more, rows=rows), **kwargs)

    def write(name, data):
        with open(s.path(name), 'wb') as file:
            file.write(data)

    base = ['--model', s.path('switch.json'), '--steps', 1, '--out', s.path('x')]
    refuse(s, 'no template', ['--template', 'configs/tasks'], 'train', *base, '--pairs', s.path('train.tsv'))
    refuse(s, 'a template that names no column', ['--template', 'names no column'], 'train', *base, '--pairs', s.path('train.tsv'),
           '--template', 'plain', '--target', '{label}')
    refuse(s, 'a column that is not there', ['train.tsv:2', '{lable}', 'text, label'], 'train', *base, '--pairs', s.path('train.tsv'),
           '--template', '{text}', '--target', '{lable}')
    write('ragged.tsv', b'text\tlabel\na\t0\nb\n')
    bad('a ragged line', ['ragged.tsv:3', 'expected 2'], rows='ragged.tsv')
    write('latin.tsv', b'text\tlabel\na\t0\n\xe9\t1\n')
    bad('not UTF-8', ['latin.tsv:3', 'UTF-8'], rows='latin.tsv')
    write('nul.tsv', b'text\tlabel\na\0\t0\n')
    bad('NUL', ['nul.tsv:2', 'NUL'], rows='nul.tsv')
    write('label.tsv', b'text\tlabel\na\t0\nb\t7\n')
    bad('a label that is none', ['label.tsv:3', "'7'", '0, 1, 2'], rows='label.tsv')
    write('twice.jsonl', b'{"text": "a", "label": 0, "label": 1}\n')
    bad('a key twice', ['twice.jsonl:1', 'duplicate'], rows='twice.jsonl')
    bad('no such file', ['none.tsv', 'No such file'], rows='none.tsv')
    bad('text and rows', ['--pairs', '--data'], '--data', s.path('train.tsv'), usage=True)
    bad('held-out text', ['--valid-pairs'], '--valid', s.path('train.tsv'), usage=True)
    refuse(s, 'rows without --pairs', ['needs --pairs'], 'train', *base, '--data', s.path('train.tsv'), '--target', '{a}', usage=True)
    s.ok(not os.path.exists(s.path('x')), 'nothing was written by refused runs')


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    s = Suite(sys.argv[1])
    config(s.path('switch.json'))
    table(s.path('train.tsv'), 60, 1)
    table(s.path('valid.tsv'), 20, 2)
    for check in (check_training, check_refusals):
        check(s)
    s.done()


if __name__ == '__main__':
    main()
