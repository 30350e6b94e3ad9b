#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""inputs.py APPS_DIR SOURCE_DIR: what train and eval make of text files: ends of files, documents, formats, odd lines, standard input.

docs/texts.md promises it; tests/texts.c has every single odd line, tests/badinput.py the files that end a run.
"""
import gzip
import json
import os
import re
import struct
import subprocess
import sys

from apps import SMALL, Suite, config, refuse, text, train, write_tensors

PROSE = 'The quick brown fox jumps over the lazy dog. '


def counts(done):
    """(tokens as printed, documents, examples) of the line about the text."""
    found = re.search(r'([\d.]+(?: k)?) tokens of text in (\d+) documents?: (\d+) examples? of at most', done.stdout + done.stderr)
    return (found.group(1), int(found.group(2)), int(found.group(3))) if found and done.returncode == 0 else (done.stdout, done.stderr)


def write(s, name, data):
    data = data if isinstance(data, bytes) else data.encode()
    with open(s.path(name), 'wb') as file:
        file.write(gzip.compress(data) if name.endswith('.gz') else data)
    return s.path(name)


def weights(s, out):
    with open(s.path(out, 'latest', 'model.safetensors'), 'rb') as file:
        return file.read()


def train_on(s, out, *files, more=(), **kwargs):
    return s.run('train', '--model', s.path('switch.json'), '--out', s.path(out), '--steps', 2, *SMALL, *more, '--data', *files,
                 **kwargs)


def check_ends(s):
    """Twenty files of less than two segments are one stream: what their concatenation is."""
    whole = (PROSE * 30)[:1128]
    files = [write(s, f'd{i:02}.txt', whole[i:] + whole[:i]) for i in range(20)]
    together = write(s, 'all.txt', b''.join(open(f, 'rb').read() for f in files))
    lengths = ('--src-len', 512, '--tgt-len', 114, '--batch-tokens', 512)
    one, many = train_on(s, 'together', together, more=lengths), train_on(s, 'apart', *files, more=lengths)
    s.ok(counts(one) == ('22.6 k', 1, 40) and counts(many) == ('22.6 k', 20, 40), 'twenty files give the examples of one',
         many.stderr)
    s.ok(weights(s, 'together') == weights(s, 'apart'), '… and the same weights')
    done = train_on(s, 'mixed', *files, more=(*lengths, '--mix-exponent', 0.3))
    s.ok(counts(done) == ('22.6 k', 20, 40), '--mix-exponent: each file has its last rest', done.stderr)
    done = train_on(s, 'eos', *files, more=('--document-end', 'eos'))
    s.ok(counts(done) == ('22.6 k', 20, 435), '--document-end eos: 19 more tokens', done.stdout)
    evaluate = ['eval', '--model', s.path('apart', 'latest'), '--device', 'ref:0', '--precision', 'f32', '--json', '--src-len', 48,
                '--tgt-len', 20, '--data']
    a, b = s.run(*evaluate, together), s.run(*evaluate, *files)
    s.ok(a.returncode == 0 and a.stdout == b.stdout, 'eval: the same for the files and for their concatenation', a.stderr + b.stderr)
    short = s.run(*evaluate, write(s, 'short.txt', whole[:52 + 20])), s.run(*evaluate, write(s, 'shorter.txt', whole[:52]))
    labels = [json.loads(d.stdout)['labels'] if d.returncode == 0 else 0 for d in short]
    s.ok(labels[0] > labels[1] > 0, f'eval: the rest behind the last whole segment counts: {labels}')
    done = train_on(s, 'valid', together, more=('--valid', *files))
    s.ok('held out: 22.6 k tokens of text in 20 documents: 434 examples' in done.stdout, '--valid: one stream too', done.stdout)


def check_resume(s):
    """Documents, odd lines and ends of files: stopped and resumed to the same bits, and refused when they are read otherwise."""
    data = write(s, 'r.jsonl', ''.join(json.dumps({'text': PROSE * (i % 3)}) + '\n' for i in range(40)) + '{"text": null}\n')
    more = ['--document-end', 'eos', '--data', data, s.path('short.txt')]
    arguments = ['--model', s.path('switch.json'), *SMALL, *more]
    s.run('train', *arguments, '--steps', 6, '--out', s.path('whole'))
    s.run('train', *arguments, '--steps', 3, '--out', s.path('cut'))
    refuse(s, 'resume without --document-end', ['trained on other data'], 'train', '--model', s.path('switch.json'), *SMALL, *more[2:],
           '--steps', 6, '--out', s.path('cut'), '--resume')
    done = s.run('train', *arguments, '--steps', 6, '--out', s.path('cut'), '--resume')
    s.ok(done.returncode == 0 and weights(s, 'whole') == weights(s, 'cut'), 'resumed: the same weights', done.stderr)


def check_formats(s):
    lines = ''.join(json.dumps({'url': 'u', 'text': PROSE, 'timestamp': '2019-04-25T12:57:54Z'}) + '\n' for _ in range(20))
    for name in ('c4-train.00000-of-01024.json.gz', 'a.json', 'a.ndjson', 'a.JSONL', 'a.txt', 'plain.gz', 'noname'):
        done = train_on(s, 'f-' + name, write(s, name, lines))
        s.ok(counts(done) == ('900', 20, 18), f'JSON lines by the name of {name}', done.stdout + done.stderr)
    done = train_on(s, 'f-text', s.path('a.json'), more=('--format', 'text'))
    s.ok(counts(done)[1:] == (1, (len(lines) + 51) // 52), '--format text', done.stdout)
    done = train_on(s, 'f-key', s.path('a.json'), more=('--text-key', 'url'))
    s.ok(counts(done) == ('20', 20, 1), '--text-key', done.stdout)
    refuse(s, 'no such key', ['"url", "text", "timestamp"', '--text-key'], 'train', *train(s, 'x', '--text-key', 'body',
                                                                                        data=s.path('a.json')))
    refuse(s, 'a JSON document', ['doc.json', 'jq', '--format text'], 'train',
           *train(s, 'x', data=write(s, 'doc.json', json.dumps([{'text': PROSE}] * 3, indent=1))))
    refuse(s, 'an unknown format', ['--format', 'auto, text, jsonl'], 'train', *train(s, 'x', '--format', 'csv'), usage=True)
    refuse(s, 'an unknown document end', ['--document-end', 'none, eos'], 'train', *train(s, 'x', '--document-end', 'cr'), usage=True)
    refuse(s, '--text-key with text', ['--text-key', '--format text'], 'train',
           *train(s, 'x', '--format', 'text', '--text-key', 'a'), usage=True)


def check_odd_lines(s):
    line = json.dumps({'text': PROSE}) + '\n'
    odd = {'nan': '{"text": "x", "score": NaN}', 'null': '{"text": null}', 'surrogate': '{"text": "\\ud83d"}', 'broken': '{"text": "x'}
    for name, row in odd.items():
        path = write(s, f'odd-{name}.jsonl', line * 20 + row + '\n' + line * 20)
        done = train_on(s, f'odd-{name}', path)
        s.ok(counts(done)[1] == 40 and done.stderr.count('skipped and counted') == 1 and f'{name}.jsonl:21: ' in done.stderr
             and 'skipped 1 of 41' in done.stderr, f'an odd line is skipped and counted: {name}', done.stdout + done.stderr)
        refuse(s, f'--strict: {name}', [f'{name}.jsonl:21: '], 'train', *train(s, 'x', '--strict', data=path))
    for name, row in {'uint64': '{"text": "x", "n": 18446744073709551615}', 'nul': '{"text": "a\\u0000b"}',
                      'real': '{"text": "x", "n": 1e999}'}.items():
        done = train_on(s, f'fine-{name}', write(s, f'fine-{name}.jsonl', line * 20 + row + '\n' + line * 20), more=('--strict',))
        s.ok(counts(done)[1] == 41 and 'skipped' not in done.stderr, f'a valid line is read: {name}', done.stdout + done.stderr)


def check_many_files(s):
    empty, one = write(s, 'empty.txt', ''), write(s, 'one.txt', 'x')
    done = train_on(s, 'some', empty, s.path('all.txt'), one, empty)
    s.ok(counts(done)[1] == 2 and '2 of 4 files are empty' in done.stderr and 'empty.txt' in done.stderr,
         'empty files and one of a byte among others', done.stdout + done.stderr)
    refuse(s, '--strict: an empty file', ['empty.txt'], 'train', '--strict', *train(s, 'x', data=empty))
    os.mkdir(s.path('many'))
    files = [write(s, f'many/{i}', f'file {i}\n' * 2) for i in range(5000)]
    names = [os.path.basename(f) for f in files]
    for more in ((), ('--mix-exponent', '0.5')):
        command = [os.path.join(s.apps, 'switchyard-train'), '--model', s.path('switch.json'), '--out',
                   s.path('out-many' + ''.join(more)), '--steps', '1', *map(str, SMALL), *more, '--data', *names]
        done = subprocess.run(['bash', '-c', 'ulimit -n 64; exec "$0" "$@"', *command], capture_output=True, text=True, check=False,
                              env=s.env, cwd=s.path('many'))
        s.ok(counts(done)[1] == 5000, f'5,000 files and 64 descriptors {more}', done.stdout + done.stderr)


def check_standard_input(s):
    lines = ''.join(json.dumps({'text': PROSE}) + '\n' for _ in range(20)).encode()
    command = [os.path.join(s.apps, 'switchyard-train'), '--model', s.path('switch.json'), '--steps', '2', *map(str, SMALL)]

    def run(out, data, *more):
        done = subprocess.run([*command, '--out', s.path(out), *more], input=data, capture_output=True, env=s.env, check=False)
        done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
        return done

    for name, data in (('JSON lines', lines), ('gzipped', gzip.compress(lines)), ('text', (PROSE * 20).encode())):
        s.ok(counts(run('in-' + name, data, '--data', '-')) == ('900', 1 if name == 'text' else 20, 18), f'--data -: {name}')
    done = run('in-two', lines, '--data', s.path('all.txt'), '-')
    s.ok(counts(done)[1] == 21, '--data FILE -', done.stdout + done.stderr)
    done = run('in-valid', lines, '--data', s.path('all.txt'), '--valid', '-')
    s.ok(done.returncode == 0 and 'held out: 900 tokens of text in 20 documents' in done.stdout, '--valid -', done.stdout + done.stderr)
    done = run('in-nothing', b'', '--data', '-')
    s.ok(done.returncode == 1 and 'standard input is empty' in done.stderr, 'nothing on standard input', done.stderr)
    refuse(s, 'standard input twice', ["'-'", 'twice'], 'train', *train(s, 'x', '--valid', '-', data='-'), usage=True)
    refuse(s, 'standard input twice, --data', ["'-'", 'twice'], 'train', *train(s, 'x', '--data', '-', data='-'), usage=True)
    evaluate = [os.path.join(s.apps, 'switchyard-eval'), '--model', s.path('in-two', 'latest'), '--src-len', '48', '--tgt-len', '20',
                '--device', 'ref:0', '--data', '-']
    done = subprocess.run(evaluate, input=lines, capture_output=True, env=s.env, check=False)
    s.ok(done.returncode == 0 and b'in 20 documents: 18 examples' in done.stderr, 'eval --data -', done.stderr)


def check_batches(s):
    ids = struct.pack('<8q', *range(3, 11))
    masks = {'bool': ('BOOL', b'\1' * 7 + b'\0'), 'int': ('I64', struct.pack('<8q', *[1] * 7, 0)), 'byte': ('U8', b'\1' * 7 + b'\0')}
    results = []
    for name, (dtype, mask) in masks.items():
        path = write_tensors(s.path(name + '.safetensors'), {'input_ids': ('I64', [1, 8], ids), 'attention_mask': (dtype, [1, 8], mask),
                                                             'labels': ('I64', [1, 8], ids)})
        results.append(s.run('eval', '--model', s.path('in-two', 'latest'), '--batch', path, '--device', 'ref:0'))
    s.ok(all(d.returncode == 0 and d.stdout == results[1].stdout for d in results), 'a boolean mask is a mask', results[0].stderr)
    train_batch = ['--model', s.path('switch.json'), '--steps', 1, '--out', s.path('x'), '--batch', s.path('bool.safetensors')]
    for option in ('--batch', '--model', '--out'):
        refuse(s, f'{option} twice', [option, 'twice'], 'train', *train_batch, option, s.path('bool.safetensors'), usage=True)
    refuse(s, '--batch twice, eval', ['--batch', 'twice'], 'eval', '--model', s.path('in-two', 'latest'), *train_batch[-2:],
           *train_batch[-2:], usage=True)
    refuse(s, '--strict with --batch', ['--strict needs --data'], 'train', *train_batch, '--strict', usage=True)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    s = Suite(sys.argv[1])
    config(s.path('switch.json'))
    text(s.path('a.txt'))
    for check in (check_ends, check_resume, check_formats, check_odd_lines, check_many_files, check_standard_input, check_batches):
        check(s)
    s.done()


if __name__ == '__main__':
    main()
