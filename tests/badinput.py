#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""badinput.py APPS_DIR SOURCE_DIR: bad options, texts, configs and devices get one clear line and a non-zero exit.

Each row: what is wrong, the program's arguments, and words the message must hold (what, where, the remedy). Damaged models,
checkpoints and outputs: badfiles.py.
"""
import gzip
import json
import os
import shutil
import subprocess
import sys

from apps import Suite, config, refuse, text, train

def check_flags(s):
    model = ['--model', s.path('switch.json'), '--out', s.path('x')]
    refuse(s, 'no --steps', ['--steps'], 'train', *model, '--data', s.path('a.txt'), usage=True)
    refuse(s, '--steps 0', ['--steps', "'0'"], 'train', *model, '--data', s.path('a.txt'), '--steps', 0, usage=True)
    refuse(s, '--lr abc', ['--lr', "'abc'"], 'train', *train(s, 'x', '--lr', 'abc'), usage=True)
    refuse(s, 'neither --data nor --batch', ['--data', '--batch'], 'train', *model, '--steps', 1, usage=True)
    refuse(s, '--valid with --batch', ['--valid needs --data'], 'train', *model, '--steps', 1, '--batch', s.path('a.txt'),
           '--valid', s.path('a.txt'), usage=True)
    refuse(s, '--valid-every alone', ['--valid-every needs'], 'train', *train(s, 'x', '--valid-every', 2), usage=True)
    refuse(s, '--weight-decay for adafactor', ['needs --optimizer adamw'], 'train', *train(s, 'x', '--weight-decay', 1), usage=True)
    for option in ('--out', '--model', '--data', '--tokenizer', '--device'):
        refuse(s, f"{option} ''", [option, 'empty'], 'train', *train(s, 'x', option, ''), usage=True)
    refuse(s, '--top-k without a temperature', ['--top-k', '--temperature'], 'generate', '--model', 'x', '--text', 'x', '--top-k', 3,
           usage=True)
    prompts = ('generate', '--model', 'x', '--text', 'x', '--text', 'y')
    refuse(s, '--text and --file', ['--text', '--file'], *prompts, '--file', 'x', usage=True)
    refuse(s, '--raw and --json', ['--raw', '--json'], *prompts, '--raw', '--json', usage=True)
    refuse(s, 'a batch beyond 2^31', ['2^31', 'sequences'], 'bench', 'step', '--model', s.path('switch.json'), '--batch', 2**20,
           '--src-len', 2**20, '--device', 'ref:0')
    refuse(s, 'lengths too short for spans', ['target length 2', '3'], 'train', *train(s, 'x', '--tgt-len', 2))
    refuse(s, 'unknown option', ['--wheels'], 'train', *train(s, 'x', '--wheels'), usage=True)
    refuse(s, 'batch smaller than a sequence', ['--batch-tokens', '--src-len'], 'train', *train(s, 'x', '--batch-tokens', 10))
    refuse(s, 'micro-batch that does not divide', ['--micro-batch'], 'train', *train(s, 'x', '--micro-batch', 3))
    refuse(s, 'unknown schedule', ['schedule', 'cosine'], 'train', *train(s, 'x', '--schedule', 'zigzag'))
    for app in ('train', 'plan'):
        refuse(s, f'unknown optimizer, {app}', ["--optimizer: 'sgd'", 'adafactor or adamw'], app, '--optimizer', 'sgd', usage=True)
    refuse(s, 'a rival that nobody knows', ['OpenBLAS or CLBlast'], 'bench', 'matmul', '--rival', 'MKL', usage=True)
    refuse(s, 'processor time of messages', ['--cpu-time says nothing'], 'bench', 'transfer', '--cpu-time', usage=True)
    refuse(s, 'logits in no number of bytes', ['SY_LOGITS_BYTES', '64K'], 'bench', 'matmul', '--size', 8, '--device', 'ref:0',
           env={'SY_LOGITS_BYTES': 'some'})
    for app in ('train', 'eval', 'generate', 'plan', 'bench'):
        refuse(s, f'unknown precision, {app}', ["--precision: 'f8'", 'selective, f32, bf16 or, on ref:0, f64'], app,
               '--precision', 'f8', usage=True)
    refuse(s, 'unknown device', ['opencl:77', 'ref:0'], 'train', *train(s, 'x', '--device', 'opencl:77'))
    refuse(s, 'nonsense device', ['toaster', 'ref:0'], 'train', *train(s, 'x', '--device', 'toaster'))
    config(s.path('cut.json'), switchyard={'group_tokens': 50})
    refuse(s, 'routing group cut by a micro-batch', ['group_tokens', '--micro-batch'], 'train',
           *train(s, 'x', '--micro-batch', 2, model=s.path('cut.json')))
    s.ok(not os.path.exists(s.path('x', 'latest')), 'nothing was written by refused runs')


def check_ranks(s):
    out = s.path('ranks')
    if shutil.which('mpirun'):
        command = ['mpirun', '--allow-run-as-root', '--oversubscribe', '-n', '3', os.path.join(s.apps, 'switchyard-train'),
                   *map(str, train(s, 'ranks'))]
        done = subprocess.run(command, capture_output=True, text=True, errors='replace', timeout=120)
        good = done.returncode != 0 and ('powers of two' in done.stderr or 'no MPI' in done.stderr)
        s.ok(good and not os.path.exists(out), 'three ranks are refused', f'exit {done.returncode}\n{done.stderr}')
    refuse(s, 'started as one of two processes that MPI does not join', ['2'], 'train', *train(s, 'ranks'), env={'PMI_SIZE': '2'})
    refuse(s, 'started by srun without MPI', ['--mpi=pmix', '2 ranks'], 'train', *train(s, 'ranks'), '--expert-parallel', 2,
           env={'SLURM_STEP_NUM_TASKS': '2'})
    s.ok(not os.path.exists(out), 'refused ranks have written nothing')


def check_texts(s):
    open(s.path('empty.txt'), 'w', encoding='utf-8').close()
    with open(s.path('binary.txt'), 'wb') as file:
        file.write(bytes(range(256)) * 400)
    with open(s.path('bad.jsonl'), 'w', encoding='utf-8') as file:
        file.write('{"text": 7}\n{"text": "fi\n')
    with open(s.path('cut.txt.gz'), 'wb') as file:
        file.write(b'\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03' + b'\x00' * 20)
    with open(s.path('a.txt'), 'rb') as file:
        whole = gzip.compress(file.read())
    for name, data in (('behind.txt.gz', whole + b'something else'), ('member.txt.gz', whole + whole[:200]), ('crc.txt.gz',
                       whole[:-8] + b'\0\0\0\0' + whole[-4:]), ('key.jsonl', b'{"txt": "x"}\n{"txt": "y"}\n'),
                       ('surrogate.jsonl', b'{"text": "\\ud83d"}\n'), ('utf16.txt', 'two bytes'.encode('utf-16') * 99)):
        with open(s.path(name), 'wb') as file:
            file.write(data)
        refuse(s, f'text: {name}', [name], 'train', *train(s, 'x', data=s.path(name)))
    with open(s.path('two.txt.gz'), 'wb') as file:
        file.write(whole + whole + b'\0' * 512)
    done = s.run('train', *train(s, 'members', data=s.path('two.txt.gz')))
    s.ok(done.returncode == 0 and '120 k tokens' in done.stdout, 'text: two gzip members and padding', done.stdout + done.stderr)
    done = s.run('train', *train(s, 'short', '--tgt-len', 4))
    s.ok(done.returncode == 0 and '--tgt-len 12' in done.stderr, 'a target too short for its source is pointed out', done.stderr)
    for name in ('empty.txt', 'binary.txt', 'bad.jsonl', 'cut.txt.gz', 'missing.txt'):
        refuse(s, f'text: {name}', [name], 'train', *train(s, 'x', data=s.path(name)))
    refuse(s, 'text: a directory', [s.folder], 'train', *train(s, 'x', data=s.folder))


def check_configs(s):
    rows = {'d_model 0': {'d_model': 0}, 'negative d_ff': {'d_ff': -3}, 'huge vocab_size': {'vocab_size': 10**15},
            'text for a number': {'num_heads': 'four'}, 'sparse layers > layers': {'num_sparse_encoder_layers': 9},
            'unknown router': {'switchyard': {'router': 'coin'}}, 'unknown activation': {'feed_forward_proj': 'mish'},
            'no d_model': {'d_model': None}, 'dropout 3': {'dropout_rate': 3.0}, 'unknown model_type': {'model_type': 'bert'},
            'fraction': {'num_layers': 2.5}, 'a newline': {'model_type': 'x\ny\x1b[31m'}, 'zero experts': {'num_experts': 0}}
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
    with open(s.path('switch.json'), encoding='utf-8') as file:
        good = file.read()
    for name, content in (('twice.json', good[:-1] + ', "d_model": 64}'), ('nan.json', good.replace('0.01', 'NaN')),
                          ('overflow.json', good.replace('0.01', '1e400')), ('deep.json', '[' * 100_000)):
        with open(s.path(name), 'w', encoding='utf-8') as file:
            file.write(content)
        refuse(s, f'config: {name}', [name, 'column'], 'plan', '--model', s.path(name))
    with open(s.path('mark.json'), 'w', encoding='utf-8') as file:
        file.write('\ufeff' + good.replace('"d_ff"', '"x\\ny": 1, "d_ff"').replace('"switchyard": {', '"switchyard": {"a\\nb": 1, '))
    done = s.run('plan', '--model', s.path('mark.json'))
    s.ok(done.returncode == 0 and done.stderr.count('\n') == 1, 'config: a byte-order mark; a newline in a key stays in its line',
         done.stderr)
    deep = dict.fromkeys(('num_layers', 'num_decoder_layers', 'num_sparse_encoder_layers', 'num_sparse_decoder_layers'), 300)
    refuse(s, 'config: 600 sparse layers', ['600', 'num_sparse'], 'plan', '--model', config(s.path('sparse.json'), **deep))
    refuse(s, 'config: millions of experts', ['65536 experts'], 'plan', '--model',
           config(s.path('experts.json'), num_experts=65536, **{k: v // 3 for k, v in deep.items()}))
    refuse(s, 'config: missing', ['absent.json'], 'plan', '--model', s.path('absent.json'))


def check_limits(s):
    config(s.path('big.json'), d_model=2048, d_ff=8192, num_experts=128)
    refuse(s, 'too little device memory', ['memory', 'no --micro-batch fits'], 'train', *train(s, 'x', model=s.path('big.json')))
    refuse(s, 'vocabulary too small for bytes', ['vocab'], 'train', *train(s, 'x', '--tokenizer', 'bytes',
                                                                         model=config(s.path('v.json'), vocab_size=100)))
    refuse(s, 'a tokenizer that is none', ['a.txt'], 'train', *train(s, 'x', '--tokenizer', s.path('a.txt')))
    with open(s.path('file'), 'w', encoding='utf-8') as file:
        file.write('x')
    refuse(s, '--out below a file', ['file'], 'train', *train(s, os.path.join('file', 'out')))


def check_devices(s):
    none = {'OCL_ICD_VENDORS': '/nonexistent', 'VK_ICD_FILENAMES': '/nonexistent'}
    arguments = train(s, 'auto')
    arguments[arguments.index('--device') + 1] = 'auto'
    done = s.run('train', *arguments, env=none)
    s.ok(done.returncode == 0 and 'ref:0' in done.stderr, 'auto without a driver takes ref:0 and says so', done.stderr)
    refuse(s, 'a switch that is neither 0 nor 1, on any device', ['SY_NO_CACHE="yes"', '0 or 1'], 'train',
           *train(s, 'x', '--device', 'ref:0'), env={'SY_NO_CACHE': 'yes'})
    refuse(s, 'a choice to tune that is neither', ['SY_TUNE="maybe"', '0 or 1'], 'train', *train(s, 'x', '--device', 'ref:0'),
           env={'SY_TUNE': 'maybe'})
    refuse(s, 'tuning as a step', ['--budget', 'of tune'], 'bench', 'step', '--model', 'x', '--budget', 5, usage=True)
    refuse(s, 'a device that no driver offers', ['opencl:0', 'ref:0'], 'train', *train(s, 'x', '--device', 'opencl:0'), env=none)
    listed = s.run('devices', '--json')
    if 'vulkan:0' in [d['id'] for d in json.loads(listed.stdout)]:
        refuse(s, 'a switch that is neither 0 nor 1', ['SY_VULKAN_TIMESTAMPS', '0 or 1'], 'train',
               *train(s, 'x', '--device', 'vulkan:0'), env={'SY_VULKAN_TIMESTAMPS': 'banana'})
        refuse(s, "attention's block with a number too many", ['SY_COOP_ATTENTION="16,4,32,1"', '3 numbers'], 'train',
               *train(s, 'x', '--device', 'vulkan:0'), env={'SY_COOP_ATTENTION': '16,4,32,1'})
        refuse(s, 'a block with a number missing', ['SY_COOP_BLOCK="4,4,2,2,32"', '6 numbers'], 'train',
               *train(s, 'x', '--device', 'vulkan:0'), env={'SY_COOP_BLOCK': '4,4,2,2,32'})
    done = s.run('devices', '--device', 'ref:0', '--kernels', '--assembly', s.path('assembly'))
    s.ok(done.returncode == 1 and done.stderr.count('error') == 1, 'no assembly: said once', done.stderr)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    s = Suite(sys.argv[1])
    config(s.path('switch.json'))
    text(s.path('a.txt'))
    text(s.path('b.txt'), seed=3)
    for check in (check_flags, check_ranks, check_texts, check_configs, check_limits, check_devices):
        check(s)
    s.done()


if __name__ == '__main__':
    main()
