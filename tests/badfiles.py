#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""badfiles.py APPS_DIR SOURCE_DIR: damaged models and checkpoints, outputs that cannot be written: one clear line, a non-zero
exit, and nothing that existed damaged.
"""
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time

from apps import SMALL, Suite, config, header, refuse, text, train, write_tensors


def snapshot(folder):
    """Every file below a folder with its bytes, but for the log of metrics."""
    found = {}
    for root, _, files in os.walk(folder):
        for name in (n for n in files if os.path.isfile(os.path.join(root, n))):
            with open(os.path.join(root, name), 'rb') as file:
                found[os.path.join(root, name)] = file.read() if name != 'metrics.jsonl' else b''
    return found


def copy_model(s, name):
    shutil.rmtree(s.path(name), ignore_errors=True)
    shutil.copytree(s.path('good', 'step-2'), s.path(name))
    return s.path(name)


def patch(path, offset, data):
    with open(path, 'r+b') as file:
        file.seek(offset)
        file.write(data)


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
    count = len(dict(head)[name]['shape']) and head[name]['shape'][0] * head[name]['shape'][1]
    for what, kind, value in (('NaN', '<f', float('nan')), ('infinity', '<f', float('inf')), ('beyond f32', '<d', 1e300)):
        dtype = 'F64' if kind == '<d' else 'F32'
        broken(what, ['model.safetensors', name, 'element 0'], lambda: rewrite(
            lambda t: t.update({name: (dtype, t[name][1], struct.pack(kind, value) * count)})))
    broken('a name with a newline', ['a?b'.replace('?', ' ')], lambda: rewrite(lambda t: t.update({'a\nb': ('F32', [1], b'x')})))
    broken('overflow', ['the loss of', 'nan'], lambda: rewrite(lambda t: t.update(
        {k: (v[0], v[1], struct.pack('<f', 1e30) * (len(v[2]) // 4)) for k, v in t.items()})))
    done = s.run('eval', *evaluate, '--json')
    s.ok(done.returncode == 1 and json.loads(done.stdout)['loss_ce'] is None, 'weights: overflow as JSON is null', done.stdout)
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
    shutil.copytree(s.path('good'), s.path('d'), symlinks=True)
    os.remove(s.path('d', 'latest'))
    refuse(s, 'checkpoints without latest', ['--resume', '--out'], 'train', *train(s, 'd'))
    done = s.run('train', *train(s, 'd', '--resume'))
    s.ok(done.returncode == 0 and os.readlink(s.path('d', 'latest')) == 'step-2', 'resume without latest: the newest whole one',
         done.stderr)
    with open(s.path('d', 'step-2', 'state.json'), encoding='utf-8') as file:
        state = json.load(file)
    with open(s.path('d', 'step-2', 'state.json'), 'w', encoding='utf-8') as file:
        json.dump(dict(state, files={}), file)
    refuse(s, 'resume: state.json lists no files', ['state.json', 'files'], 'train', *train(s, 'd', '--resume'))
    done = s.run('train', *train(s, 'good', '--resume', '--lr', 3, model=config(s.path('wet.json'), dropout_rate=0.2)))
    s.ok(done.returncode == 0 and '--lr 1;' in done.stderr and 'dropout_rate' in done.stderr and 'done already' in done.stderr,
         'resume: what changed is said', done.stderr)
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
            'no labels': {'labels': None},
            'not one target token': {'labels': ('I32', [1, n], struct.pack('<8i', *[-100] * 8))},
            'other length': {'attention_mask': ('I32', [1, 4], ones[:16])},
            'floats': {'labels': ('F32', [1, n], ids)}}
    for name, change in rows.items():
        tensors = {'input_ids': ('I32', [1, n], ids), 'attention_mask': ('I32', [1, n], ones), 'labels': ('I32', [1, n], ids)}
        tensors.update(change)
        key = next(iter(change))
        write_tensors(s.path('batch.safetensors'), {k: v for k, v in tensors.items() if v})
        word = name if name.startswith('not one') else key
        refuse(s, f'batch: {name}', ['batch.safetensors', word], 'eval', '--model', s.path('good', 'latest'), '--batch',
               s.path('batch.safetensors'), '--device', 'ref:0')


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


def check_output(s):
    """Standard output on a full disk, closed, or read by nobody."""
    model = ['--model', s.path('good', 'latest'), '--device', 'ref:0']
    rows = {'eval': [*model, '--data', s.path('a.txt'), '--src-len', 48, '--tgt-len', 12, '--batches', 1, '--json'],
            'generate': [*model, '--text', 'a', '--max-tokens', 2], 'plan': ['--model', s.path('switch.json')],
            'devices': ['--device', 'ref:0'], 'bench': ['matmul', '--size', 16, '--repeat', 1, '--device', 'ref:0'],
            'train': ['--help']}
    for app, arguments in rows.items():
        with open('/dev/full', 'w', encoding='utf-8') as full:
            done = subprocess.run([os.path.join(s.apps, 'switchyard-' + app), *map(str, arguments)], stdout=full,
                                  stderr=subprocess.PIPE, text=True, env=s.env, check=False)
        s.ok(done.returncode == 1 and 'standard output' in done.stderr, f'{app}: its output on a full disk', done.stderr)
    command = [os.path.join(s.apps, 'switchyard-train'), *map(str, train(s, 'closed'))]
    done = subprocess.run(['sh', '-c', 'exec "$0" "$@" >&-', *command], stderr=subprocess.PIPE, text=True, env=s.env, check=False)
    with open(s.path('closed', 'metrics.jsonl'), encoding='utf-8') as file:
        lines = [json.loads(line) for line in file]
    s.ok(done.returncode == 1 and len(lines) == 2 and os.path.exists(s.path('closed', 'latest')),
         'closed output: training goes on, and nothing is printed into its files', done.stderr)


def check_file_limit(s):
    command = [os.path.join(s.apps, 'switchyard-train'), *map(str, train(s, 'limited'))]
    done = subprocess.run(['bash', '-c', 'ulimit -f 100; exec "$0" "$@"', *command], capture_output=True, text=True, env=s.env,
                          check=False)
    left = [name for name in os.listdir(s.path('limited')) if 'tmp' in name]
    s.ok(done.returncode == 1 and 'model.safetensors' in done.stderr and not left, 'a file size limit: an error, nothing half-written',
         f'{done.returncode} {done.stderr} {left}')


def check_targets(s):
    """Files that are written where something else is."""
    ids = struct.pack('<8i', *range(3, 11))
    write_tensors(s.path('b.st'), {'input_ids': ('I32', [1, 8], ids), 'attention_mask': ('I32', [1, 8], struct.pack('<8i', *[1] * 8)),
                                   'labels': ('I32', [1, 8], ids)})
    evaluate = ['--model', s.path('good', 'latest'), '--device', 'ref:0', '--batch', s.path('b.st'), '--dump']
    os.mkfifo(s.path('pipe'))
    refuse(s, '--dump into a pipe or device', ['pipe'], 'eval', *evaluate, s.path('pipe'))
    s.ok(not os.path.isfile(s.path('pipe')), 'it is still there')
    refuse(s, '--dump over a directory', ['directory'], 'eval', *evaluate, s.path('good'))
    before = snapshot(s.folder)
    refuse(s, '--dump over the batch', ['--batch'], 'eval', *evaluate, s.path('b.st'))
    s.ok(snapshot(s.folder) == before, 'the batch is as it was')
    os.makedirs(s.path('fifo'))
    os.mkfifo(s.path('fifo', 'metrics.jsonl'))
    refuse(s, 'metrics.jsonl is a pipe', ['metrics.jsonl'], 'train', *train(s, 'fifo'))


def check_lock(s):
    """Two runs into one --out."""
    command = [os.path.join(s.apps, 'switchyard-train'), *map(str, train(s, 'both', '--save-every', 1))]
    command[command.index('--steps') + 1] = '100000'
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=s.env) as first:
        end = time.monotonic() + 20
        while time.monotonic() < end and not os.path.exists(s.path('both', 'latest')):
            time.sleep(0.01)
        refuse(s, 'two runs into one --out', ['another process'], 'train', *train(s, 'both', '--resume'))
        first.send_signal(signal.SIGTERM)
    s.ok(first.returncode == 0, 'the first one was not disturbed')


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    s = Suite(sys.argv[1])
    config(s.path('switch.json'))
    text(s.path('a.txt'))
    text(s.path('b.txt'), seed=3)
    done = s.run('train', *train(s, 'good'))
    s.ok(done.returncode == 0, 'a good run to break', done.stderr)
    for check in (check_weights, check_checkpoints, check_batches, check_full_disk, check_file_limit, check_output,
                  check_targets, check_lock):
        check(s)
    s.done()


if __name__ == '__main__':
    main()
