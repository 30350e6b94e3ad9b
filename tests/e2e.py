#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""e2e.py APPS_DIR SOURCE_DIR: the programs as a person uses them: train, resume, evaluate, generate, plan."""
import gzip
import json
import math
import os
import re
import signal
import subprocess
import sys
import time

from apps import Suite, config, header, tensors_bytes, text

SMALL = ['--src-len', 48, '--tgt-len', 20, '--batch-tokens', 192]
COUNTS = {'t5-base': 222903552, 't5-large': 737668096, 'switch-base-8': 619339008, 'switch-base-16': 1.07e9,
          'switch-base-32': 1.98e9, 'switch-base-64': 3.79e9, 'switch-base-128': 7.42e9, 'switch-base-256': 14.66e9,
          'switch-large-128': 26.3e9, 'switch-xxl-64': 201e9, 'switch-xxl-128': 395e9, 'switch-c-2048': 1571.3e9}


def train(s, out, steps, *more, device='ref:0', model=None):
    return s.run('train', '--model', model or s.path('switch.json'), '--data', s.path('a.txt'), '--out', s.path(out), '--steps',
                 steps, *SMALL, '--device', device, *more)


def metrics(s, out):
    with open(s.path(out, 'metrics.jsonl'), encoding='utf-8') as file:
        return [json.loads(line) for line in file]


def weights(s, out):
    return tensors_bytes(s.path(out, 'latest', 'model.safetensors'))


def check_training(s):
    done = train(s, 'one', 6, '--valid', s.path('b.txt'), '--valid-batches', 2)
    s.ok(done.returncode == 0 and 'held-out nlp' in done.stdout, 'train and validate', done.stdout + done.stderr)
    lines = metrics(s, 'one')
    steps = [m for m in lines if m['kind'] == 'train']
    good = [m['step'] for m in steps] == list(range(1, 7)) and all(
        math.isfinite(m[k]) for m in steps for k in ('loss_ce', 'aux', 'z', 'total', 'nlp', 'accuracy', 'grad_norm', 'lr'))
    s.ok(good and all(len(m['layers']) == 2 for m in steps), 'metrics.jsonl: one finite line a step, two sparse layers')
    s.ok(any(m['kind'] == 'valid' for m in lines), 'metrics.jsonl: the validation')
    train(s, 'two', 6)
    s.ok(weights(s, 'one') == weights(s, 'two'), 'two runs with one seed: identical weights')
    train(s, 'other', 6, '--seed', 1)
    s.ok(weights(s, 'one') != weights(s, 'other'), 'another seed: other weights')


def check_resume(s):
    for name, more in (('adafactor', ()), ('adamw', ('--optimizer', 'adamw', '--schedule', 'constant', '--lr', '0.001'))):
        train(s, name + '-whole', 6, *more)
        train(s, name + '-cut', 3, *more)
        done = train(s, name + '-cut', 6, '--resume', *more)
        s.ok(done.returncode == 0 and weights(s, name + '-whole') == weights(s, name + '-cut'),
             f'{name}: stop at 3 and resume to 6 gives the weights of 6', done.stderr)
        state = f'{name}-whole', f'{name}-cut'
        a, b = (tensors_bytes(s.path(x, 'latest', 'optimizer-00001.safetensors')) for x in state)
        s.ok(a == b, f'{name}: and the optimizer state')


def check_signals(s):
    whole = train(s, 'long', 400)
    s.ok(whole.returncode == 0, 'a run of 400 steps', whole.stderr)
    for number in (signal.SIGTERM, signal.SIGUSR1):
        out = f'signal-{number.name}'
        command = [os.path.join(s.apps, 'switchyard-train'), '--model', s.path('switch.json'), '--data', s.path('a.txt'), '--out',
                   s.path(out), '--steps', '400', '--device', 'ref:0'] + [str(x) for x in SMALL]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=s.env)
        end = time.monotonic() + 60
        while time.monotonic() < end and not (os.path.exists(s.path(out, 'metrics.jsonl')) and len(metrics(s, out)) > 5):
            time.sleep(0.02)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        step = json.load(open(s.path(out, 'latest', 'state.json'), encoding='utf-8'))['step']
        s.ok(process.returncode == 0 and 0 < step < 400, f'{number.name}: saves and leaves (step {step})', errors)
        train(s, out, 400, '--resume')
        s.ok(weights(s, out) == weights(s, 'long'), f'{number.name}: resumed, the weights of not stopping')


def check_inputs(s):
    with open(s.path('a.txt'), encoding='utf-8') as file:
        lines = file.read().split('\n')
    with gzip.open(s.path('a.txt.gz'), 'wt', encoding='utf-8') as file:
        file.write('\n'.join(lines))
    with open(s.path('a.jsonl'), 'w', encoding='utf-8') as file:
        for line in lines:
            file.write(json.dumps({'text': line}) + '\n')
    for name in ('a.txt.gz', 'a.jsonl'):
        done = s.run('train', '--model', s.path('switch.json'), '--data', s.path(name), s.path('b.txt'), '--out', s.path('in-' + name),
                     '--steps', 2, *SMALL, '--device', 'ref:0')
        s.ok(done.returncode == 0, f'two files, one of them {name}', done.stderr)
    done = train(s, 'micro', 3, '--micro-batch', 2)
    s.ok(done.returncode == 0, 'gradient accumulation', done.stderr)
    train(s, 'whole3', 3)
    a, b = metrics(s, 'micro')[-1]['total'], metrics(s, 'whole3')[-1]['total']
    s.ok(abs(a - b) < 1e-2 * abs(b), f'accumulation gives the same loss: {a:.5f}, {b:.5f}')
    train(s, 'recompute', 3, '--recompute')
    s.ok(weights(s, 'recompute') == weights(s, 'whole3'), 'recomputation: identical weights')
    for case, more in (('switch_drop_groups', ()), ('switch_d128', ('--micro-batch', 1))):
        golden = os.path.join(s.source, 'tests', 'golden', case)
        out = 'trace-' + case
        done = s.run('train', '--model', golden, '--batch', os.path.join(golden, 'batch.safetensors'), '--steps', 3, '--precision',
                     'f32', '--out', s.path(out), '--device', 'ref:0', *more)
        want = json.load(open(os.path.join(golden, 'trace.json'), encoding='utf-8'))['trace'][2]['total']
        got = metrics(s, out)[2]['total'] if done.returncode == 0 else 0
        s.ok(abs(got - want) < 5e-5 * want, f'--batch {case}: the golden trace, {got} and {want}', done.stderr)


def check_model_directory(s):
    latest = s.path('one', 'latest')
    with open(os.path.join(latest, 'config.json'), encoding='utf-8') as file:
        c = json.load(file)
    s.ok(c['model_type'] == 'switch_transformers' and c['decoder_start_token_id'] == 0, 'config.json of the written model')
    names = set(header(os.path.join(latest, 'model.safetensors'))) - {'__metadata__'}
    wanted = {'shared.weight', 'encoder.block.1.layer.1.mlp.router.classifier.weight', 'decoder.final_layer_norm.weight',
              'encoder.block.1.layer.1.mlp.experts.expert_3.wo.weight', 'decoder.block.1.layer.2.mlp.experts.expert_0.wi.weight',
              'encoder.block.0.layer.1.mlp.wi.weight', 'decoder.block.0.layer.1.EncDecAttention.k.weight'}
    s.ok(wanted <= names and 'lm_head.weight' not in names, 'tensor names of the written model', wanted - names)
    config(s.path('untied.json'), tie_word_embeddings=False)
    train(s, 'untied', 1, model=s.path('untied.json'))
    names = set(header(s.path('untied', 'latest', 'model.safetensors')))
    s.ok({'lm_head.weight', 'encoder.embed_tokens.weight', 'decoder.embed_tokens.weight'} <= names, 'untied: three embeddings, a head')


def check_eval_and_generate(s, devices):
    latest = s.path('one', 'latest')
    values = []
    for device in devices:
        done = s.run('eval', '--model', latest, '--data', s.path('b.txt'), '--src-len', 48, '--tgt-len', 20, '--sequences', 4,
                     '--batches', 2, '--json', '--precision', 'f32', '--device', device, timeout=300)
        s.ok(done.returncode == 0, f'eval on {device}', done.stderr)
        values.append(json.loads(done.stdout)['loss_ce'] if done.returncode == 0 else math.nan)
    s.ok(max(values) - min(values) < 1e-4 * values[0], f'the same loss on every device: {values}')
    done = s.run('eval', '--model', latest, '--data', s.path('b.txt'), '--src-len', 48, '--tgt-len', 20, '--device', 'ref:0')
    s.ok('negative log perplexity' in done.stdout and 'encoder.block.1' in done.stdout, 'eval as text', done.stderr)
    outputs = set()
    for device in devices:
        done = s.run('generate', '--model', latest, '--text', 'The <extra_id_0> stops.', '--max-tokens', 8, '--precision', 'f32',
                     '--device', device, timeout=300)
        s.ok(done.returncode == 0 and done.stdout.startswith('The ['), f'generate on {device}', done.stdout + done.stderr)
        outputs.add(done.stdout)
    s.ok(len(outputs) == 1, 'greedy decoding says the same on every device', outputs)


def check_devices(s, devices):
    """On every device: repeats and resumes to the same bits; the f32 loss curves of all devices agree."""
    curves = {}
    for device in devices:
        name = device.replace(':', '')
        f32 = ('--precision', 'f32')
        first = train(s, name + '-a', 4, *f32, device=device)
        train(s, name + '-b', 4, *f32, device=device)
        train(s, name + '-c', 2, *f32, device=device)
        resumed = train(s, name + '-c', 4, '--resume', *f32, device=device)
        if not s.ok(first.returncode == 0 and resumed.returncode == 0, f'{device}: trains and resumes', first.stderr + resumed.stderr):
            continue
        s.ok(weights(s, name + '-a') == weights(s, name + '-b'), f'{device}: two runs, identical weights')
        s.ok(weights(s, name + '-a') == weights(s, name + '-c'), f'{device}: resumed, identical weights')
        curves[device] = [m['total'] for m in metrics(s, name + '-a')]
    worst = max(abs(a - b) / abs(a) for curve in curves.values() for a, b in zip(curves['ref:0'], curve))
    s.ok(worst < 1e-4, f'the same loss curve on {", ".join(curves)}: worst relative difference {worst:.1e}')


def check_plan(s, devices):
    for name, want in COUNTS.items():
        done = s.run('plan', '--model', os.path.join(s.source, 'configs', name + '.json'), '--json')
        got = json.loads(done.stdout)['parameters'] if done.returncode == 0 else 0
        good = got == want if isinstance(want, int) else abs(got - want) < 0.006 * want
        s.ok(good, f'plan: {name} has {got:,} parameters', done.stderr)
    done = s.run('plan', '--model', s.path('switch.json'), '--batch', 4, '--src-len', 48, '--tgt-len', 20, '--class', 'cpu', '--json')
    mib = json.loads(done.stdout)['total_bytes'] / 2**20
    for device in devices:
        done = s.run('plan', '--model', s.path('switch.json'), '--batch', 4, '--src-len', 48, '--tgt-len', 20, '--device', device, '--json')
        j = json.loads(done.stdout) if done.returncode == 0 else {'total_bytes': 0, 'recorded': {'bytes': 1}}
        s.ok(j['total_bytes'] == j['recorded']['bytes'], f'plan: what {device} allocates, to the byte: {j["total_bytes"]}', done.stderr)
    said = re.search(r'(\d+) MiB of device memory', train(s, 'planned', 1).stdout)
    s.ok(said and abs(float(said.group(1)) - mib) < 1.5, f'plan and train agree on memory: {mib:.2f} MiB')


def check_help(s):
    for app in ('train', 'eval', 'generate', 'plan', 'devices', 'bench'):
        done = s.run(app, '--help')
        s.ok(done.returncode == 0 and (app == 'devices' or 'xample' in done.stdout), f'{app} --help teaches', done.stdout)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    s = Suite(sys.argv[1])
    s.source = os.path.abspath(sys.argv[2])
    config(s.path('switch.json'))
    text(s.path('a.txt'))
    text(s.path('b.txt'), 20_000, 2)
    done = s.run('devices', '--json')
    devices = [d['id'] for d in json.loads(done.stdout)] if done.returncode == 0 else []
    s.ok('ref:0' in devices, f'devices: {devices}', done.stderr)
    check_help(s)
    check_training(s)
    check_resume(s)
    check_inputs(s)
    check_model_directory(s)
    check_eval_and_generate(s, devices)
    check_devices(s, devices)
    check_plan(s, devices)
    check_signals(s)
    s.done()


if __name__ == '__main__':
    main()
