#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""prepare.py APPS_DIR SOURCE_DIR: switchyard-prepare, and training from what it made.

The same text read directly decides: same examples, so the same weights to the bit, for every format and way of packing.
"""
import gzip
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time

from apps import SMALL, Suite, config, refuse, text

PROSE = 'The quick brown fox jumps over the lazy dog. '


def zstd(data):
    """A frame whose blocks are stored as they are, so that no compressor is needed."""
    out = b'\x28\xb5\x2f\xfd\xa0' + struct.pack('<I', len(data))
    blocks = [data[i:i + 60_000] for i in range(0, len(data), 60_000)] or [b'']
    for i, block in enumerate(blocks):
        out += struct.pack('<I', (i + 1 == len(blocks)) | len(block) << 3)[:3] + block
    return out


def write(s, name, data):
    data = data if isinstance(data, bytes) else data.encode()
    pack = gzip.compress if name.endswith('.gz') else zstd if name.endswith('.zst') else lambda d: d
    with open(s.path(name), 'wb') as file:
        file.write(pack(data))
    return s.path(name)


def files(folder):
    return {name: open(os.path.join(folder, name), 'rb').read() for name in sorted(os.listdir(folder))}


def prepare(s, out, *arguments, **kwargs):
    return s.run('prepare', '--tokenizer', 'bytes', '--out', s.path(out), *arguments, **kwargs)


def refuse_preparing(s, name, words, out, *more, **kwargs):
    refuse(s, name, words, 'prepare', '--tokenizer', 'bytes', '--out', s.path(out), *more, **kwargs)


def refuse_training(s, name, words, *data, steps=1, more=(), **kwargs):
    refuse(s, name, words, 'train', '--model', s.path('switch.json'), '--out', s.path('x'), '--steps', steps, *SMALL, *more, '--data',
           *data, **kwargs)


def weights(s, out, data, *more):
    """(weights after two steps, what was said of the text)"""
    done = s.run('train', '--model', s.path('switch.json'), '--out', s.path(out), '--steps', 2, *SMALL, *more, '--data', *data)
    if done.returncode != 0:
        return done.stderr, done.stderr
    with open(s.path(out, 'latest', 'model.safetensors'), 'rb') as file:
        return file.read(), done.stdout.split('\n')[0]


def check_same(s):
    """Every format, packed or not: the corpus trains as its text does."""
    documents = [PROSE * (i % 3) + str(i) for i in range(60)]
    lines = ''.join(json.dumps({'text': d, 'n': i}) + '\n' for i, d in enumerate(documents)) + '{"text": "\\n"}\n{"text": ""}\n'
    table = 'n\ttext\n' + ''.join(f'{i}\t{d}\tx\n' for i, d in enumerate(documents))
    prose = '\n'.join(documents)
    inputs = {'lines': [write(s, 'a.jsonl', lines)], 'gzip': [write(s, 'b.jsonl.gz', lines)], 'zstd': [write(s, 'c.jsonl.zst', lines)],
              'text': [write(s, 'd.txt', prose), write(s, 'e.txt', ''), write(s, 'f.txt.zst', '\ufeff' + prose + '\r\n')]}
    for name, paths in inputs.items():
        for more in ((), ('--document-end', 'eos'), ('--pack', 'none')):
            out = f'{name}{"-".join(more)}'
            done = prepare(s, 'c-' + out, '--shard-tokens', 777, *more, *paths)
            s.ok(done.returncode == 0, f'prepared: {out}', done.stderr)
            direct, told = weights(s, 'd-' + out, paths, *more), weights(s, 't-' + out, [s.path('c-' + out)], *more)
            s.ok(direct == told and isinstance(direct[0], bytes), f'… trains as its text does ({direct[1][:60]})', str(told[1]))
            s.ok(more == () or weights(s, 'u-' + out, [s.path('c-' + out)]) == told, '… and without being told', out)
    direct = weights(s, 'd-table', [write(s, 'g.tsv', table)], '--column', 'text')
    done = prepare(s, 'c-table', '--column', 'text', s.path('g.tsv'))
    s.ok(done.returncode == 0 and weights(s, 't-table', [s.path('c-table')]) == direct, 'a column of a table', direct[1])
    prepare(s, 'c-number', '--column', 2, write(s, 'h.tsv', table.split('\n', 1)[1].replace('\n', '\r\n')))
    s.ok(files(s.path('c-number'))['tokens-00000.bin'] == files(s.path('c-table'))['tokens-00000.bin'], 'a column by its number, CR LF')
    prepare(s, 'c-field', '--field', 'n', write(s, 'i.jsonl', ''.join(json.dumps({'n': d}) + '\n' for d in documents)))
    s.ok(files(s.path('c-field'))['tokens-00000.bin'] == files(s.path('c-table'))['tokens-00000.bin'], '--field')
    with open(s.path('b.jsonl.gz'), 'rb') as file:
        command = [os.path.join(s.apps, 'switchyard-prepare'), '--tokenizer', 'bytes', '--out', s.path('c-pipe'), '-']
        done = subprocess.run(command, env=s.env, input=file.read(), capture_output=True, check=False)
    s.ok(done.returncode == 0 and files(s.path('c-pipe'))['tokens-00000.bin'] == b''.join(
        f[32 * (n != 'tokens-00000.bin'):] for n, f in files(s.path('c-lines')).items() if n.startswith('tokens')),
         'standard input; shards say the same however they are cut', done.stderr)
    evaluate = ['eval', '--model', s.path('d-table', 'latest'), '--device', 'ref:0', '--json', '--src-len', 48, '--tgt-len', 20]
    a, b = (s.run(*evaluate, '--data', s.path(data)) for data in ('a.jsonl', 'c-lines'))
    s.ok(a.returncode == 0 and a.stdout == b.stdout, 'eval: the same for text and corpus', a.stderr + b.stderr)
    done = s.run('train', '--model', s.path('switch.json'), '--out', s.path('valid'), '--steps', 2, *SMALL, '--data', s.path('c-text'),
                 '--valid', s.path('c-lines'))
    s.ok(done.returncode == 0 and 'held out: 2.81 k tokens of text in 61 documents' in done.stdout, '--valid', done.stderr)


def check_mixtures(s):
    """Weights and temperatures: the shares are said, corpora and their texts mix alike, and a run resumes to the same bits."""
    corpora = ['--data', s.path('c-lines'), s.path('c-text'), '--data', s.path('c-table')]
    with open(s.path('g2.jsonl'), 'w', encoding='utf-8') as file:
        file.write(''.join(json.dumps({'text': PROSE * (i % 3) + str(i)}) + '\n' for i in range(60)))

    def train(out, steps, *more, resume=()):
        return s.run('train', '--model', s.path('switch.json'), '--out', s.path(out), '--steps', steps, *SMALL, *more, *resume)

    def shares(done):
        line = [line for line in done.stdout.split('\n') if line.startswith('mixture: ')]
        return [float(part.split()[-2]) for part in line[0][9:].split(', ')] if line else done.stderr

    sizes = [len(open(s.path(c, 'tokens-00000.bin'), 'rb').read()) // 2 - 16 for c in ('c-pipe', 'c-number')]
    weights = ['--mix', 'c-lines=7,c-text=2,c-table=1']
    whole = train('mix', 4, *corpora, *weights)
    s.ok(shares(whole) == [70.0, 20.0, 10.0], '--mix: shares', str(shares(whole)))
    cut = train('mix-cut', 2, *corpora, *weights)
    other = train('mix-cut', 4, *corpora, '--mix', 'c-lines=7,c-text=1,c-table=1', resume=['--resume'])
    s.ok(other.returncode == 1 and 'trained on other data' in other.stderr, 'resumed with other weights', other.stderr)
    cut = train('mix-cut', 4, *corpora, *weights, resume=['--resume'])
    direct = train('mix-text', 4, '--data', s.path('a.jsonl'), s.path('g2.jsonl'), '--mix', 'a.jsonl=7,g2=3')
    made = train('mix-made', 4, '--data', s.path('c-lines'), s.path('g2.jsonl'), '--mix', f"{s.path('c-lines')}=0.7,g2.jsonl=0.3")
    read = [files(s.path(out, 'latest'))['model.safetensors'] for out in ('mix', 'mix-cut', 'mix-text', 'mix-made')]
    s.ok(read[0] == read[1], '… resumed to the same bits', cut.stderr)
    s.ok(read[2] == read[3] and shares(made) == [70.0, 30.0], '… corpora mix as their texts do', made.stderr + direct.stderr)
    pair = ['--data', s.path('c-pipe'), s.path('c-number')]
    for more, power in (((), 1), (('--mix-temperature', 4), 0.25), (('--mix-exponent', 0.25), 0.25), (('--mix-exponent', 0), 0)):
        powers = [n ** power for n in sizes]
        done = train('mix-size' + ''.join(map(str, more)), 1, *pair, *more)
        good = all(abs(a - 100 * b / sum(powers)) < 0.01 for a, b in zip(shares(done), powers))
        s.ok(good, f'shares by size, {more}', str(shares(done)))
    done = train('mix-hot', 1, *pair, '--mix', 'c-pipe=16,c-number=1', '--mix-temperature', 2)
    s.ok(shares(done) == [80.0, 20.0], '--mix at a temperature', str(shares(done)))
    for name, words, more in (('no such name', ["called 'x'"], 'x=1,c-pipe=1'), ('no weight', ['no weight to'], 'c-pipe=1'),
                              ('twice', ['two weights'], 'c-pipe=1,c-pipe=2'), ('zero', ['above 0'], 'c-pipe=0,c-number=1'),
                              ('no number', ['NAME=WEIGHT'], 'c-pipe=1x,c-number=1'), ('nothing', ['NAME=WEIGHT'], 'c-pipe')):
        refuse_training(s, f'--mix: {name}', words, *pair[1:], more=('--mix', more))
    refuse_training(s, '--mix: a name of two', ['may be'], s.path('a.jsonl'), s.path('a.txt'), more=('--mix', 'a=1'))
    refuse_training(s, 'exponent and temperature', ['one of them'], *pair[1:], more=('--mix-exponent', 0.5, '--mix-temperature', 2),
                    usage=True)


def check_pieces(s, source):
    """A SentencePiece vocabulary: ids of corpora are those of its own test, in 16 bits; another vocabulary is refused."""
    data = os.path.join(source, 'tests', 'data', 'tokenizer')
    done = s.run('prepare', '--tokenizer', os.path.join(data, 't5.model'), '--out', s.path('pieces'), os.path.join(data, 'inputs.txt'))
    with open(os.path.join(data, 't5.ids'), encoding='utf-8') as file:
        expected = [int(n) for n in file.read().split()]
    raw = files(s.path('pieces'))['tokens-00000.bin'] if done.returncode == 0 else b''
    found = list(struct.unpack(f'<{len(raw) // 2 - 16}H', raw[32:])) if raw else done.stderr
    s.ok(found == expected, f'{len(expected)} ids of T5', str(found)[:200])
    refuse_training(s, 'a corpus of another vocabulary', ['pieces', 'another vocabulary', '--tokenizer'], s.path('pieces'))


def check_kills(s):
    """Killed wherever it is, the same command goes on to the same bytes."""
    rng = random.Random(3)
    paths = [text(s.path(f'k{i}.txt'), 150_000, i) for i in range(2)] + [write(s, 'k.jsonl.zst', ''.join(
        json.dumps({'text': PROSE * rng.randint(0, 30)}) + '\n' for _ in range(3000)))]
    arguments = ['--shard-tokens', 100_000, '--threads', 2, '--save-every', 0, *paths]
    s.ok(prepare(s, 'whole', *arguments).returncode == 0, 'a corpus in one go')
    whole, kills, goes = files(s.path('whole')), 0, 0
    command = [os.path.join(s.apps, 'switchyard-prepare'), '--tokenizer', 'bytes', '--out', s.path('cut'), *map(str, arguments)]
    while goes < 40:
        goes += 1
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=s.env)
        time.sleep(rng.uniform(0.005, 0.06) if goes > 1 else 0)  # the first dies before it can be done, however fast
        process.send_signal(rng.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)) if goes > 1 else signal.SIGKILL)
        kills += process.wait() != 0
        if os.path.isfile(s.path('cut', 'corpus.json')):
            break
    done = prepare(s, 'cut', *arguments)
    s.ok(done.returncode == 0 and files(s.path('cut')) == whole, f'killed {kills} times: the same bytes',
         done.stderr + str({name: (len(data), data == whole.get(name)) for name, data in files(s.path('cut')).items()}))
    s.ok(kills > 0, 'some of them before the end')
    done = prepare(s, 'threads', '--shard-tokens', 100_000, '--threads', 5, *paths)
    s.ok(files(s.path('threads')) == whole, 'the same with other threads', done.stderr)
    done = prepare(s, 'whole', *arguments)
    s.ok(done.returncode == 0 and 'complete already' in done.stdout, 'again: nothing is left to do', done.stderr)


def check_killed_midway(s):
    """Killed while it waits for the rest of its input, so half-way for certain."""
    lines = [(json.dumps({'text': PROSE * (i % 31) + str(i)}) + '\n').encode() for i in range(4000)]
    arguments = ['--shard-tokens', 100_000, '--threads', 2, '--save-every', 0, '-']
    command = [os.path.join(s.apps, 'switchyard-prepare'), '--tokenizer', 'bytes', '--out', s.path('last'), *map(str, arguments)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=s.env)
    process.stdin.write(b''.join(lines[:3500]))
    process.stdin.flush()
    end = time.monotonic() + 10
    starts, unfinished = s.path('last', 'documents.bin'), s.path('last', 'unfinished.json')
    while time.monotonic() < end and not (os.path.isfile(unfinished) and os.path.isfile(starts) and os.path.getsize(starts) > 40):
        time.sleep(0.01)
    process.kill()
    process.stdin.close()
    s.ok(process.wait() == -signal.SIGKILL, 'killed half-way')
    shutil.copytree(s.path('last'), s.path('again'))
    results = [subprocess.run([*command[:4], s.path(name), *command[5:]], input=b''.join(lines), capture_output=True, env=s.env,
                              check=False) for name in ('again', 'anew')]
    s.ok([r.returncode for r in results] == [0, 0] and files(s.path('again')) == files(s.path('anew')),
         'it goes on to the bytes of one go', results[0].stderr.decode(errors='replace'))
    refuse_training(s, 'training on half of it', ['unfinished', 'again'], s.path('last'))
    refuse_preparing(s, 'going on with other options', ['other files or options'], 'last', *arguments, '--strict')
    with open(s.path('last', 'documents.bin'), 'r+b') as file:
        file.truncate(16)
    refuse_preparing(s, 'going on when a file was shortened', ['shorter'], 'last', *arguments)


def check_bad(s):
    """What goes wrong is one line, and a corpus is there whole or not at all."""
    def bad(name, words, data, *more):
        path = write(s, 'bad-' + name, data)
        refuse_preparing(s, f'prepare: {name}', ['bad-' + name, *words], 'bad', *more, path)
        s.ok(not os.path.exists(s.path('bad', 'corpus.json')), '… and no corpus')
        shutil.rmtree(s.path('bad'), ignore_errors=True)

    lines = ''.join(json.dumps({'text': PROSE}) + '\n' for _ in range(200)).encode()
    bad('cut-zstd', ['cut off'], zstd(lines)[:-9])
    bad('cut-gzip', ['cut off'], gzip.compress(lines)[:-9])
    bad('more-zstd', ['behind its zstd data'], zstd(lines) + b'more')
    bad('damaged-zstd', ['damaged zstd'], b'\x28\xb5\x2f\xfd\xff' + bytes(40))
    bad('nul.txt', ['byte 3 is NUL'], b'abc\0def')
    bad('latin.txt', ['not UTF-8'], 'äöü'.encode('latin-1') * 1000)
    bad('empty.txt', ['no text'], b'')
    bad('nokey.jsonl', ['no "body"', '"text"'], lines, '--text-key', 'body')
    bad('nocolumn.tsv', ['no column "body"', 'a b'], b'a\tb\n1\t2\n', '--column', 'body')
    bad('short.tsv', ['no column 3'], b'1\t2\n' * 5, '--column', '3')
    bad('strict.jsonl', [':201:'], lines + b'{"text": 1}\n', '--strict')
    done = prepare(s, 'odd', write(s, 'odd.jsonl', lines * 2000 + b'{"text": 1}\n{"text": "x\n' + lines))
    s.ok(done.returncode == 0 and done.stderr.count('skipped and counted') == 1 and 'odd.jsonl:400001: ' in done.stderr
         and 'skipped 2 of 400202' in done.stderr, 'odd lines are skipped, counted and named by their number', done.stderr)
    refuse_preparing(s, 'a directory of something else', ['not empty'], '', s.path('a.jsonl'))
    refuse_preparing(s, 'other files into a corpus', ['other files or options'], 'c-lines', s.path('a.jsonl'))
    refuse_preparing(s, '--pack none and --document-end eos', ['--document-end'], 'x', '--pack', 'none', '--document-end', 'eos',
                     s.path('a.jsonl'), usage=True)


def check_damage(s):
    """A damaged corpus is refused at the start where sizes and first bytes tell, by --check where only sums do."""
    def damage(name, words, change, check_only=False):
        shutil.rmtree(s.path('hurt'), ignore_errors=True)
        shutil.copytree(s.path('c-lines'), s.path('hurt'))
        change(s.path('hurt'))
        refuse(s, f'--check: {name}', words, 'prepare', '--check', s.path('hurt'))
        if not check_only:
            refuse_training(s, f'train: {name}', words, s.path('hurt'))

    def edit(name, change):
        def run(folder):
            with open(os.path.join(folder, name), 'r+b') as file:
                data = change(file.read())
                file.seek(0)
                file.write(data)
                file.truncate()
        return run

    def number(key, value):
        def change(data):
            index = json.loads(data)
            index[key] = value
            return json.dumps(index).encode()
        return edit('corpus.json', change)

    shard = 'tokens-00001.bin'
    s.ok(s.run('prepare', '--check', s.path('c-lines')).returncode == 0, '--check: all right')
    damage('a missing shard', [shard], lambda folder: os.remove(os.path.join(folder, shard)))
    damage('a truncated shard', [shard, 'expected'], edit(shard, lambda d: d[:-2]))
    damage('a shard too long', [shard, 'expected'], edit(shard, lambda d: d + b'xx'))
    damage('a shard twice', [shard, 'does not begin'], lambda folder: shutil.copy(os.path.join(folder, 'tokens-00000.bin'),
                                                                                 os.path.join(folder, shard)))
    damage('another width', [shard, 'does not begin'], edit(shard, lambda d: d[:12] + b'\4' + d[13:]))
    damage('a flipped bit', [shard, 'sum'], edit(shard, lambda d: d[:40] + bytes([d[40] ^ 1]) + d[41:]), True)
    damage('an id beyond the vocabulary', [shard], edit(shard, lambda d: d[:32] + b'\xff' * (len(d) - 32)), True)
    damage('documents out of order', ['documents.bin'], edit('documents.bin', lambda d: d[:40] + b'\xff' * 8 + d[48:]), True)
    damage('missing documents', ['documents.bin'], lambda folder: os.remove(os.path.join(folder, 'documents.bin')))
    for key, value in (('tokens', 1 << 62), ('tokens', -1), ('tokens', 1 << 40), ('documents', 1 << 45), ('shard_tokens', 1),
                       ('shard_tokens', 1 << 60), ('shard_sums', []), ('token_bytes', 3), ('documents_are', 'x'), ('format', 'x')):
        damage(f'{key} is {value}', ['corpus.json'], number(key, value))
    damage('an index that was changed', ['corpus.json', 'sum'], number('documents', 60))
    damage('no index', ['corpus.json'], lambda folder: os.remove(os.path.join(folder, 'corpus.json')))
    damage('half an index', ['corpus.json'], edit('corpus.json', lambda d: d[:-40]))
    shutil.rmtree(s.path('hurt'))
    shutil.copytree(s.path('c-lines'), s.path('hurt'))
    edit(shard, lambda d: d[:32] + b'\xff' * (len(d) - 32))(s.path('hurt'))
    refuse_training(s, 'an id beyond the vocabulary in training', [shard, 'id of 259 or more'], s.path('hurt'), steps=200)


def check_full_disk(s):
    """A file size limit is an error like a full disk: what is there can be gone on with."""
    path = text(s.path('big.txt'), 300_000)
    command = [os.path.join(s.apps, 'switchyard-prepare'), '--tokenizer', 'bytes', '--out', s.path('full'), path]
    done = subprocess.run(['bash', '-c', 'ulimit -f 100; exec "$0" "$@"', *command], capture_output=True, text=True, check=False,
                          env=s.env)
    s.ok(done.returncode == 1 and done.stderr.count('\n') == 1 and 'tokens-00000.bin' in done.stderr and 'goes on' in done.stderr,
         'a full disk', done.stderr)
    done = prepare(s, 'full', path)
    prepare(s, 'roomy', path)
    s.ok(done.returncode == 0 and files(s.path('full')) == files(s.path('roomy')), '… goes on when there is room', done.stderr)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    s = Suite(sys.argv[1])
    config(s.path('switch.json'))
    check_same(s)
    check_mixtures(s)
    check_pieces(s, sys.argv[2])
    for check in (check_kills, check_killed_midway, check_bad, check_damage, check_full_disk):
        check(s)
    s.done()


if __name__ == '__main__':
    main()
