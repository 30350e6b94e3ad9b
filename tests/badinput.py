#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""badinput.py APPS_DIR SOURCE_DIR: bad input gets one clear line and a non-zero exit, and damages nothing.

Each row: what is wrong, the program's arguments, and words the message must hold (what, where, the remedy).
"""
import json
import os
import shutil
import struct
import subprocess
import sys

from apps import Suite, config, header, text, write_tensors

SMALL = ['--src-len', 48, '--tgt-len', 20, '--batch-tokens', 192, '--device', 'ref:0']


def snapshot(folder):
    """Every file below a folder with its bytes, but for the log of metrics."""
    found = {}
    for root, _, files in os.walk(folder):
        for name in files:
            with open(os.path.join(root, name), 'rb') as file:
                found[os.path.join(root, name)] = file.read() if name != 'metrics.jsonl' else b''
    return found


def refuse(s, name, words, app, *arguments, env=None, usage=False):
    done = s.run(app, *arguments, env=env)
    lines = [line for line in done.stderr.split('\n') if 'error' in line or usage]
    good = done.returncode > 0 and all(w in done.stderr for w in words) and 'Sanitizer' not in done.stderr
    good = good and (usage or len(lines) == 1)
    s.ok(good, name, f'exit {done.returncode}\n{done.stderr}\nwanted: {words}')


def train(s, out, *more, model=None, data=None):
    return ['--model', model or s.path('switch.json'), '--data', data or s.path('a.txt'), '--out', s.path(out), '--steps', 2, *SMALL,
            *more]


def copy_model(s, name):
    shutil.rmtree(s.path(name), ignore_errors=True)
    shutil.copytree(s.path('good', 'step-2'), s.path(name))
    return s.path(name)


def patch(path, offset, data):
    with open(path, 'r+b') as file:
        file.seek(offset)
        file.write(data)


def check_flags(s):
    model = ['--model', s.path('switch.json'), '--out', s.path('x')]
    refuse(s, 'no --steps', ['--steps'], 'train', *model, '--data', s.path('a.txt'), usage=True)
    refuse(s, '--steps 0', ['--steps', "'0'"], 'train', *model, '--data', s.path('a.txt'), '--steps', 0, usage=True)
    refuse(s, '--lr abc', ['--lr', "'abc'"], 'train', *train(s, 'x', '--lr', 'abc'), usage=True)
    refuse(s, 'neither --data nor --batch', ['--data', '--batch'], 'train', *model, '--steps', 1, usage=True)
    refuse(s, '--valid with --batch', ['--valid needs --data'], 'train', *model, '--steps', 1, '--batch', s.path('a.txt'),
           '--valid', s.path('a.txt'), usage=True)
    refuse(s, '--valid-every alone', ['--valid-every', '--valid FILE'], 'train', *train(s, 'x', '--valid-every', 2), usage=True)
    refuse(s, '--weight-decay for adafactor', ['--weight-decay', '--optimizer adamw'], 'train',
           *train(s, 'x', '--weight-decay', 1), usage=True)
    refuse(s, 'unknown option', ['--wheels'], 'train', *train(s, 'x', '--wheels'), usage=True)
    refuse(s, 'batch smaller than a sequence', ['--batch-tokens', '--src-len'], 'train', *train(s, 'x', '--batch-tokens', 10))
    refuse(s, 'micro-batch that does not divide', ['--micro-batch'], 'train', *train(s, 'x', '--micro-batch', 3))
    refuse(s, 'unknown schedule', ['schedule', 'cosine'], 'train', *train(s, 'x', '--schedule', 'zigzag'))
    refuse(s, 'unknown optimizer', ['optimizer', 'adafactor'], 'train', *train(s, 'x', '--optimizer', 'sgd'))
    refuse(s, 'unknown precision', ['precision', 'selective'], 'train', *train(s, 'x', '--precision', 'f8'))
    refuse(s, 'unknown device', ['opencl:77', 'ref:0'], 'train', *train(s, 'x', '--device', 'opencl:77'))
    refuse(s, 'nonsense device', ['toaster', 'ref:0'], 'train', *train(s, 'x', '--device', 'toaster'))
    config(s.path('cut.json'), switchyard={'group_tokens': 50})
    refuse(s, 'routing group cut by a micro-batch', ['group_tokens', '--micro-batch'], 'train',
           *train(s, 'x', '--micro-batch', 2, model=s.path('cut.json')))
    s.ok(not os.path.exists(s.path('x', 'latest')), 'nothing was written by refused runs')


def check_ranks(s):
    out = s.path('ranks')
    if shutil.which('mpirun'):
        command = ['mpirun', '--allow-run-as-root', '--oversubscribe', '-n', '2', os.path.join(s.apps, 'switchyard-train'),
                   *map(str, train(s, 'ranks'))]
        done = subprocess.run(command, capture_output=True, text=True, errors='replace', timeout=120)
        good = done.returncode != 0 and ('2 ranks' in done.stderr or 'no MPI' in done.stderr)
        s.ok(good and not os.path.exists(out), 'two ranks are refused', f'exit {done.returncode}\n{done.stderr}')
    else:
        refuse(s, 'started as one of two processes', ['2'], 'train', *train(s, 'ranks'), env={'PMI_SIZE': '2'})
    s.ok(not os.path.exists(out), 'two ranks have written nothing')


def check_texts(s):
    open(s.path('empty.txt'), 'w', encoding='utf-8').close()
    with open(s.path('binary.txt'), 'wb') as file:
        file.write(bytes(range(256)) * 400)
    with open(s.path('bad.jsonl'), 'w', encoding='utf-8') as file:
        file.write('{"text": "fine"}\n{"text": 7}\n')
    with open(s.path('cut.txt.gz'), 'wb') as file:
        file.write(b'\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03' + b'\x00' * 20)
    for name in ('empty.txt', 'binary.txt', 'bad.jsonl', 'cut.txt.gz', 'missing.txt'):
        refuse(s, f'text: {name}', [name], 'train', *train(s, 'x', data=s.path(name)))
    refuse(s, 'text: a directory', [s.folder], 'train', *train(s, 'x', data=s.folder))


def check_configs(s):
    rows = {'d_model 0': {'d_model': 0}, 'negative d_ff': {'d_ff': -3}, 'huge vocab_size': {'vocab_size': 10**15},
            'text for a number': {'num_heads': 'four'}, 'sparse layers > layers': {'num_sparse_encoder_layers': 9},
            'unknown router': {'switchyard': {'router': 'coin'}}, 'unknown activation': {'feed_forward_proj': 'swish'},
            'no d_model': {'d_model': None}, 'dropout 3': {'dropout_rate': 3.0}, 'unknown model_type': {'model_type': 'bert'},
            'fraction': {'num_layers': 2.5}, 'zero experts': {'num_experts': 0}}
    for number, (name, change) in enumerate(rows.items()):
        path = config(s.path(f'config{number}.json'), **change)
        key = next(iter(change))
        key = 'router' if key == 'switchyard' else key
        done = s.run('plan', '--model', path)
        if name == 'no d_model' and done.returncode == 0:
            s.ok(True, 'config: no d_model takes the default of Hugging Face')
            continue
        refuse(s, f'config: {name}', [os.path.basename(path), key], 'plan', '--model', path)
    for name, content in (('broken.json', '{"d_model": 32,'), ('array.json', '[1, 2]'), ('nothing.json', '')):
        with open(s.path(name), 'w', encoding='utf-8') as file:
            file.write(content)
        refuse(s, f'config: {name}', [name], 'plan', '--model', s.path(name))
    refuse(s, 'config: missing', ['absent.json'], 'plan', '--model', s.path('absent.json'))


def check_weights(s):
    base = copy_model(s, 'm')
    file = os.path.join(base, 'model.safetensors')
    size = os.path.getsize(file)
    evaluate = ['--model', base, '--data', s.path('a.txt'), '--src-len', 48, '--tgt-len', 20, '--device', 'ref:0']

    def broken(name, words, change):
        copy_model(s, 'm')
        change()
        refuse(s, f'weights: {name}', words, 'eval', *evaluate)

    broken('truncated', ['model.safetensors'], lambda: os.truncate(file, size // 2))
    broken('three bytes', ['model.safetensors'], lambda: os.truncate(file, 3))
    broken('header longer than the file', ['model.safetensors'], lambda: patch(file, 0, struct.pack('<Q', 2**50)))
    broken('header is no JSON', ['model.safetensors'], lambda: patch(file, 8, b'!!!!'))
    head = header(os.path.join(s.path('good', 'step-2'), 'model.safetensors'))

    def rewrite(change):
        with open(os.path.join(s.path('good', 'step-2'), 'model.safetensors'), 'rb') as source:
            raw = source.read()
        start = 8 + int.from_bytes(raw[:8], 'little')
        tensors = {k: (v['dtype'], v['shape'], raw[start + v['data_offsets'][0]:start + v['data_offsets'][1]])
                   for k, v in head.items() if k != '__metadata__'}
        change(tensors)
        write_tensors(file, tensors)

    name = 'encoder.block.0.layer.0.SelfAttention.q.weight'
    broken('missing tensor', ['model.safetensors', name], lambda: rewrite(lambda t: t.pop(name)))
    broken('wrong shape', [name, '16'], lambda: rewrite(lambda t: t.update({name: ('F32', [16, 64], t[name][2])})))
    broken('integers', [name], lambda: rewrite(lambda t: t.update({name: ('I32', t[name][1], t[name][2])})))

    def lie():
        with open(file, 'rb') as source:
            raw = source.read()
        start = 8 + int.from_bytes(raw[:8], 'little')
        entry = json.loads(raw[8:start])
        entry[name]['data_offsets'][1] += 4
        text_ = json.dumps(entry).encode()
        with open(file, 'wb') as target:
            target.write(len(text_).to_bytes(8, 'little') + text_ + raw[start:])

    broken('lying offsets', ['model.safetensors'], lie)
    refuse(s, 'a config without weights', ['model.safetensors'], 'eval', '--model', s.path('switch.json'), '--data', s.path('a.txt'))


def check_checkpoints(s):
    before = snapshot(s.path('good'))
    refuse(s, 'an --out that holds checkpoints', ['--resume', '--out'], 'train', *train(s, 'good'))
    refuse(s, 'resume with another seed', ['seed', '--out'], 'train', *train(s, 'good', '--resume', '--seed', 5))
    refuse(s, 'resume with another optimizer', ['adafactor', 'adamw'], 'train', *train(s, 'good', '--resume', '--optimizer', 'adamw'))
    refuse(s, 'resume with other data', ['data'], 'train', *train(s, 'good', '--resume', data=s.path('b.txt')))
    s.ok(snapshot(s.path('good')) == before, 'refused runs left the checkpoint as it was')
    refuse(s, 'resume from nothing', ['latest'], 'train', *train(s, 'nowhere', '--resume'))
    for name in ('model.safetensors', 'optimizer-00001.safetensors', 'config.json', 'state.json'):
        shutil.rmtree(s.path('d'), ignore_errors=True)
        shutil.copytree(s.path('good'), s.path('d'), symlinks=True)
        path = s.path('d', 'step-2', name)
        patch(path, os.path.getsize(path) // 2, b'\x00\xff')
        refuse(s, f'resume: a flipped byte in {name}', [name], 'train', *train(s, 'd', '--resume'))
        os.remove(path)
        refuse(s, f'resume: {name} is gone', [name], 'train', *train(s, 'd', '--resume'))


def check_batches(s):
    n = 8
    ids = struct.pack('<8i', *range(3, 11))
    ones = struct.pack('<8i', *[1] * 8)
    rows = {'id outside the vocabulary': {'input_ids': ('I32', [1, n], struct.pack('<8i', *[3] * 7, 999))},
            'no labels': {'labels': None}, 'other length': {'attention_mask': ('I32', [1, 4], ones[:16])},
            'floats': {'labels': ('F32', [1, n], ids)}}
    for name, change in rows.items():
        tensors = {'input_ids': ('I32', [1, n], ids), 'attention_mask': ('I32', [1, n], ones), 'labels': ('I32', [1, n], ids)}
        tensors.update(change)
        key = next(iter(change))
        write_tensors(s.path('batch.safetensors'), {k: v for k, v in tensors.items() if v})
        refuse(s, f'batch: {name}', ['batch.safetensors', key], 'eval', '--model', s.path('good', 'latest'), '--batch',
               s.path('batch.safetensors'), '--device', 'ref:0')


def check_limits(s):
    config(s.path('big.json'), d_model=2048, d_ff=8192, num_experts=128)
    refuse(s, 'too little device memory', ['memory', 'MiB'], 'train', *train(s, 'x', model=s.path('big.json')))
    refuse(s, 'vocabulary too small for bytes', ['vocab'], 'train', *train(s, 'x', '--tokenizer', 'bytes',
                                                                         model=config(s.path('v.json'), vocab_size=100)))
    refuse(s, 'a tokenizer that is none', ['a.txt'], 'train', *train(s, 'x', '--tokenizer', s.path('a.txt')))
    with open(s.path('file'), 'w', encoding='utf-8') as file:
        file.write('x')
    refuse(s, '--out below a file', ['file'], 'train', *train(s, os.path.join('file', 'out')))


def check_full_disk(s):
    disk = s.path('disk')
    os.makedirs(disk)
    if os.geteuid() != 0 or subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=700k', 'tmpfs', disk], capture_output=True,
                                           check=False).returncode != 0:
        s.skip('full disk', 'mounting a small tmpfs needs root')
        return
    try:
        done = s.run('train', *train(s, os.path.join('disk', 'out'), '--save-every', 1))
        s.ok(done.returncode > 0 and 'error' in done.stderr and 'disk' in done.stderr, 'full disk: an error that names the file',
             done.stderr)
        out = os.path.join(disk, 'out')
        left = [name for name in os.listdir(out) if 'tmp' in name] if os.path.isdir(out) else []
        s.ok(not left, 'full disk: nothing half-written', left)
        if os.path.exists(os.path.join(out, 'latest')):
            again = s.run('eval', '--model', os.path.join(out, 'latest'), '--data', s.path('a.txt'), '--src-len', 48, '--tgt-len', 20,
                          '--batches', 1, '--device', 'ref:0')
            s.ok(again.returncode == 0, 'full disk: the checkpoint before it still loads', again.stderr)
    finally:
        subprocess.run(['umount', disk], check=False)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    s = Suite(sys.argv[1])
    config(s.path('switch.json'))
    text(s.path('a.txt'))
    text(s.path('b.txt'), seed=3)
    done = s.run('train', *train(s, 'good'))
    s.ok(done.returncode == 0, 'a good run to break', done.stderr)
    for check in (check_flags, check_texts, check_configs, check_weights, check_checkpoints, check_batches, check_limits,
                  check_full_disk):
        check(s)
    s.done()


if __name__ == '__main__':
    main()
