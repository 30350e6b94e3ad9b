#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tasks.py APPS_DIR SOURCE_DIR: training and evaluating on rows of a table (docs/tasks.md), as a person does it.

tests/pairs.c has every odd row, tests/scores.c the metrics.
"""
import json
import os
import random
import re
import struct
import sys

from apps import Suite, config, refuse, tensors_bytes, write_tensors

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


def check_buckets(s):
    """Short rows in steps of their own: more of them at a time, the same bits over resumes and micro-batches."""
    rng = random.Random(5)
    with open(s.path('long.tsv'), 'w', encoding='utf-8') as file:
        file.write('text\tlabel\n')
        for i in range(120):
            file.write(f'{"x" * (rng.randint(1, 6) if i % 4 else rng.randint(30, 50))}\t{rng.choice("012")}\n')
    more = ('--batch-tokens', 128, '--save-every', 1, '--slices', 2)
    done = s.run('train', *arguments(s, 'buckets', *more, rows='long.tsv', steps=6))
    s.ok('120 examples of at most ' in done.stdout and 'of them fit' in done.stdout and ': 8 in a step' in done.stdout,
         'rows of a quarter of the length: four times as many in a step', done.stdout + done.stderr)
    told = re.findall(r'(\d+) of them fit (\d+) and (\d+) tokens: (\d+) in a step, (\d+) %', done.stdout)
    words = arguments(s, 'x', rows='long.tsv')
    plan = s.run('plan', *words[:words.index('--steps')], '--batch-tokens', 128, '--class', 'cpu', '--json', '--precision', 'f32')
    got = json.loads(plan.stdout)['rows'] if plan.returncode == 0 else []
    s.ok(sum(r['rows'] for r in got) == 120 and [(r['rows'], r['src_len'], r['tgt_len'], r['batch'], round(100 * r['share'])) for r in
         got[1:]] == [tuple(map(int, x)) for x in told] != [] and all(0 < r['adds_bytes'] for r in got[1:]),
         f'switchyard-plan --pairs: the same steps: {got}', told + [plan.stderr])
    for step in range(1, 7):
        done = s.run('train', *arguments(s, 'pieces', *more, *(['--resume'] if step > 1 else []), rows='long.tsv', steps=step))
    s.ok(done.returncode == 0 and weights(s, 'buckets') == weights(s, 'pieces'), 'stopped after every step: the same weights',
         done.stderr)
    s.run('train', *arguments(s, 'micro', *more, '--micro-batch', 1, rows='long.tsv', steps=6))
    s.ok(weights(s, 'buckets') == weights(s, 'micro'), 'in micro-batches: the same weights')
    tokens = {}
    for n in (1, 3):
        s.run('train', *arguments(s, f'n{n}', '--batch-tokens', 128, '--length-buckets', n, rows='long.tsv', steps=12))
        tokens[n] = sum(r['tokens'] for r in lines(s.path(f'n{n}', 'metrics.jsonl')))
    s.ok(tokens[3] > 1.5 * tokens[1], f'as many steps, more tokens that are no padding: {tokens}')
    refuse(s, 'resume with other buckets', ['trained on other data'], 'train',
           *arguments(s, 'pieces', *more, '--resume', '--length-buckets', 1, rows='long.tsv', steps=8))


def check_best(s):
    """A task that can be learnt is; the best checkpoint is kept by the first metric, and stays so over a resume."""
    more = ('--valid-pairs', s.path('valid.tsv'), '--valid-every', 30, '--metric', 'accuracy,macro_f1', '--options', 'labels',
            '--lr', 0.01, '--batch-tokens', 384, '--dropout', 0, '--expert-dropout', 0, '--keep', 1)
    done = s.run('train', *arguments(s, 'best', *more, steps=90))
    rows = lines(s.path('best', 'metrics.jsonl')) if done.returncode == 0 else []
    scores = {r['step']: r['accuracy'] for r in rows if r['kind'] == 'scores'}
    kept = json.load(open(s.path('best', 'best', 'score.json'), encoding='utf-8'))
    s.ok(list(scores) == [30, 60, 90] and kept['value'] == max(scores.values()) == scores[kept['step']] > 0.8,
         f'held-out scores: {scores}', done.stdout + done.stderr)
    s.ok('accuracy' in done.stdout and 'macro_f1' in done.stdout and ', the best so far' in done.stdout, '… told', done.stdout)
    done = evaluate(s, model='best/best')
    s.ok(done.returncode == 0 and json.loads(done.stdout)['scores']['accuracy'] == kept['value'], '--model OUT/best: its score',
         done.stderr)
    files = sorted(os.listdir(s.path('best', 'best')))
    s.ok(files == ['latest', 'score.json', f'step-{kept["step"]}'], '… alone, beside its name and score', files)
    os.makedirs(s.path('other', 'best'))
    refuse(s, "another run's best", ['other/best', 'move it'], 'train', *arguments(s, 'other', *more, steps=2))
    s.ok(os.listdir(s.path('other')) == ['best'], '… is left alone', os.listdir(s.path('other')))
    done = s.run('train', *arguments(s, 'best', *more, '--lr', 0.5, '--resume', steps=94))
    after = json.load(open(s.path('best', 'best', 'score.json'), encoding='utf-8'))
    s.ok(done.returncode == 0 and 'step 94  held-out accuracy' in done.stdout and after == kept, 'a resumed run keeps what is better',
         done.stdout + done.stderr)


def evaluate(s, *more, rows='valid.tsv', model='whole/latest', options='labels'):
    labels = ','.join(f'{k}={v}' for k, v in COLOURS.items())
    return s.run('eval', '--model', s.path(model), '--pairs', s.path(rows), '--template', 'say: {text}', '--target', '{label}',
                 '--labels', labels, '--device', 'ref:0', '--precision', 'f32', '--json',
                 *(['--options', options] if options else []), *more)


def lines(path):
    with open(path, encoding='utf-8') as file:
        return [json.loads(line) for line in file]


def check_options(s):
    done = evaluate(s, '--predictions', s.path('p.jsonl'), '--metric', 'accuracy,macro_f1,matthews')
    said = json.loads(done.stdout) if done.returncode == 0 else {}
    rows = lines(s.path('p.jsonl'))
    good = [r['prediction'] == r['targets'][0] for r in rows]
    s.ok(said.get('by') == 'options' and said['examples'] == len(rows) == 20 and abs(said['scores']['accuracy'] - sum(good) / 20) < 1e-9
         and set(said['scores']) == {'accuracy', 'macro_f1', 'matthews'}, 'eval --pairs: by the likelihood of options', done.stderr)
    s.ok([r['number'] for r in rows] == list(range(2, 22)) and all(r['options'] == ['red', 'green', 'blue'] and
         r['score'] == max(r['scores']) and r['prediction'] == r['options'][r['scores'].index(r['score'])] for r in rows),
         '--predictions: lines, options, their likelihoods', rows[0])
    target = [r['targets'][0] for r in rows]
    s.ok(abs(said['majority'] - max(map(target.count, target)) / 20) < 1e-9, 'what always the same answer would score', said)
    for more in (('--sequences', 1), ('--sequences', 3, '--src-len', 64)):
        evaluate(s, '--predictions', s.path('q.jsonl'), *more)
        far = max(abs(x - y) for a, b in zip(rows, lines(s.path('q.jsonl'))) for x, y in zip(a['scores'], b['scores']))
        s.ok(far < 1e-4, f'{more}: the same likelihoods: {far}')
    done = evaluate(s, '--examples', 3, '--predictions', s.path('q.jsonl'))
    s.ok(done.returncode == 0 and len(lines(s.path('q.jsonl'))) == 3, '--examples 3', done.stderr)


    with open(s.path('own.jsonl'), 'w', encoding='utf-8') as file:
        for i, right in enumerate((1, 0, 1, 1, 0)):
            file.write(json.dumps({'text': 'q', 'list': [f'a{i}', f'b{i}'], 'label': right}) + '\n')
    done = s.run('eval', '--model', s.path('whole', 'latest'), '--pairs', s.path('own.jsonl'), '--template', '{text}', '--target',
                 '{list[label]}', '--options', '{list}', '--device', 'ref:0', '--json')
    s.ok(done.returncode == 0 and json.loads(done.stdout)['majority'] == 0.6, 'options of each row: always the same place among them',
         done.stdout + done.stderr)


def check_likelihood(s):
    """What an option is worth is the loss of a batch that holds it alone."""
    config(s.path('dense.json'), switch=False)
    words = arguments(s, 'dense', steps=1)
    words[1] = s.path('dense.json')
    done = s.run('train', *words)
    evaluate(s, '--predictions', s.path('p.jsonl'), model='dense/latest')
    row = lines(s.path('p.jsonl'))[0]
    ids = [b + 3 for b in row['input'].encode()] + [1]
    for option, wanted in zip(row['options'], row['scores']):
        labels = [b + 3 for b in option.encode()] + [1]
        write_tensors(s.path('b.safetensors'), {name: ('I32', [1, len(x)], struct.pack(f'<{len(x)}i', *x)) for name, x in
                                                (('input_ids', ids), ('attention_mask', [1] * len(ids)), ('labels', labels))})
        done = s.run('eval', '--model', s.path('dense', 'latest'), '--batch', s.path('b.safetensors'), '--device', 'ref:0',
                     '--precision', 'f32', '--json')
        loss = json.loads(done.stdout)['loss_ce'] * len(labels) if done.returncode == 0 else 0
        s.ok(abs(loss + wanted) < 1e-4, f'the likelihood of {option}: {wanted:.6f}, by a batch of its own {-loss:.6f}', done.stderr)


def check_generating(s):
    done = evaluate(s, '--predictions', s.path('p.jsonl'), '--metric', 'accuracy,squad,rouge,rouge_stem,bleu,chrf', '--max-tokens', 6,
                    options=None)
    said, rows = json.loads(done.stdout) if done.returncode == 0 else {'scores': {}}, lines(s.path('p.jsonl'))
    s.ok(said.get('by') == 'generating' and len(said['scores']) == 13 and all('options' not in r for r in rows),
         'eval --pairs: by generating', done.stderr)
    with open(s.path('prompts.txt'), 'w', encoding='utf-8') as file:
        file.write(''.join(r['input'] + '\n' for r in rows))
    done = s.run('generate', '--model', s.path('whole', 'latest'), '--file', s.path('prompts.txt'), '--max-tokens', 6,
                 '--device', 'ref:0', '--precision', 'f32', '--json')
    said = [json.loads(line)['output'] for line in done.stdout.splitlines()]
    s.ok(said == [r['prediction'] for r in rows], 'what switchyard-generate says to the same inputs', done.stderr)


def check_bad_evaluations(s):
    def bad(name, words, *more, usage=False, **kwargs):
        done = evaluate(s, *more, **kwargs)
        lines_ = [x for x in done.stderr.split('\n') if 'error' in x or usage]
        s.ok(done.returncode > 0 and all(w in done.stderr for w in words) and (usage or len(lines_) == 1), name, done.stderr)

    bad('answers outside the options', ['valid.tsv:', 'none of the 2 options'], options='red,yellow')
    bad('an unknown metric', ["'wer' is no metric", 'accuracy'], '--metric', 'wer')
    bad('predictions that cannot be written', ['nowhere'], '--predictions', s.path('nowhere', 'p.jsonl'))
    done = evaluate(s, '--predictions', s.path('nowhere', 'p.jsonl'))
    s.ok('examples' not in done.stderr, '… which is known before anything is answered', done.stderr)
    bad('text and rows', ['--pairs', '--data'], '--data', s.path('valid.tsv'), usage=True)
    bad('--batches of rows', ['--examples'], '--batches', 2, usage=True)
    bad('--tgt-len of answers', ['--max-tokens'], '--tgt-len', 8, usage=True)
    refuse(s, '--predictions without rows', ['--predictions needs --pairs'], 'eval', '--model', s.path('whole', 'latest'), '--data',
           s.path('valid.tsv'), '--predictions', s.path('q.jsonl'), usage=True)


def check_task_files(s, source):
    """Each is read, and is a whole task: the column it names first is missed in a table that has none of its own."""
    folder = os.path.join(source, 'configs', 'tasks')
    names = sorted(os.listdir(folder))
    bad = []
    for name in names:
        done = s.run('eval', '--model', s.path('whole', 'latest'), '--pairs', s.path('odd.tsv'), '--task', os.path.join(folder, name),
                     '--device', 'ref:0')
        if done.returncode != 1 or 'there is no such column, only zz' not in done.stderr:
            bad.append(name + ': ' + done.stderr)
    s.ok(len(names) > 30 and not bad, f'{len(names)} task files', '\n'.join(bad))
    with open(s.path('task.json'), 'w', encoding='utf-8') as file:
        file.write('{"template": "{zz}", "target": "{zz}", "lables": {}}')
    refuse(s, 'an unknown key in a task file', ['task.json', '"lables"'], 'eval', '--model', s.path('whole', 'latest'), '--pairs',
           s.path('odd.tsv'), '--task', s.path('task.json'))


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
    refuse(s, 'a plan of rows for several ranks', ['one rank'], 'plan', '--model', s.path('switch.json'), '--pairs',
           s.path('train.tsv'), '--ranks', 2, usage=True)
    refuse(s, 'rows without --pairs', ['needs --pairs'], 'train', *base, '--data', s.path('train.tsv'), '--target', '{a}', usage=True)
    s.ok(not os.path.exists(s.path('x')), 'nothing was written by refused runs')


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    s = Suite(sys.argv[1])
    config(s.path('switch.json'))
    table(s.path('train.tsv'), 60, 1)
    table(s.path('valid.tsv'), 20, 2)
    with open(s.path('odd.tsv'), 'w', encoding='utf-8') as file:
        file.write('zz\n1\n')
    for check in (check_training, check_buckets, check_best, check_options, check_likelihood, check_generating, check_bad_evaluations,
                  check_refusals):
        check(s)
    check_task_files(s, sys.argv[2])
    s.done()


if __name__ == '__main__':
    main()
