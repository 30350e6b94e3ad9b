#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""e2e.py APPS_DIR SOURCE_DIR: the programs as a person uses them: train, resume, evaluate, generate, plan."""
import gzip
import json
import math
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import time

from apps import Suite, config, header, tensors_bytes, text

SMALL = ['--src-len', 48, '--tgt-len', 20, '--batch-tokens', 192]
COUNTS = {'t5-base': 222903552, 't5-large': 737668096, 't5-large-geglu': 750e6, 'switch-base-8': 619339008, 'switch-base-16': 1.07e9,
          'switch-base-32': 1.98e9, 'switch-base-64': 3.79e9, 'switch-base-128': 7.42e9, 'switch-base-256': 14.66e9,
          'switch-large-128': 26.3e9, 'switch-xxl-64': 201e9, 'switch-xxl-128': 395e9, 'switch-c-2048': 1571.3e9}


def scalar_f64(path, name):
    with open(path, 'rb') as file:
        raw = file.read()
    start = 8 + int.from_bytes(raw[:8], 'little') + header(path)[name]['data_offsets'][0]
    return struct.unpack('<d', raw[start:start + 8])[0]


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


def check_validation(s):
    """A score belongs to the weights and the text: not to how they are cut to fit a device."""
    config(s.path('groups.json'), switchyard={'capacity_factor_train': 1.25, 'capacity_factor_eval': 1.0, 'min_expert_capacity': 1,
                                              'group_tokens': 60})
    for model, src, sizes in (('switch.json', 48, (1, 2, 4)), ('groups.json', 60, (3, 6))):
        for more, sequences in (((), None), (('--valid-sequences', 7), 7), (('--valid-batches', 2), 2 * max(sizes))):
            found = []
            for size in sizes:
                out = f'valid-{model}-{sequences}-{size}'
                done = s.run('train', '--model', s.path(model), '--data', s.path('a.txt'), '--valid', s.path('v.txt'), '--out',
                             s.path(out), '--steps', 1, '--lr', 0, '--src-len', src, '--tgt-len', 20, '--batch-tokens',
                             max(sizes) * src, '--micro-batch', size, '--device', 'ref:0', *more)
                found += [m for m in metrics(s, out) if m['kind'] == 'valid'] if done.returncode == 0 else [done.stderr]
            s.ok(isinstance(found[0], dict) and all(f == found[0] for f in found) and len(found[0]['layers']) == 2,
                 f'validation, {model}, {" ".join(map(str, more))}: micro-batches of {sizes}, the same numbers', found)
            s.ok(sequences is None or found[0]['labels'] <= 20 * sequences < 2 * found[0]['labels'],
                 f'validation: {sequences} sequences are {found[0]["labels"]} target tokens')
    losses = []
    for size in (1, 3, 8):
        done = s.run('eval', '--model', s.path('one', 'latest'), '--data', s.path('v.txt'), '--src-len', 48, '--tgt-len', 20,
                     '--sequences', size, '--json', '--device', 'ref:0')
        losses.append(json.loads(done.stdout)['loss_ce'] if done.returncode == 0 else math.nan)
    s.ok(max(losses) - min(losses) < 1e-13 * losses[0], f'eval: --sequences does not change the score: {losses}')


def check_resume(s):
    """Stopped at 3 and resumed to 6: the same bits as 6 at once. The small text is seen more than once in that time."""
    text(s.path('c.txt'), 700, 3)
    adamw = ('--optimizer', 'adamw', '--schedule', 'constant', '--lr', '0.001')
    runs = {'adafactor': (), 'adamw': adamw, 'micro-batches': ('--micro-batch', 2), 'bf16': ('--precision', 'bf16'),
            'f32, adamw, micro-batches': ('--precision', 'f32', '--micro-batch', 1, '--clip-norm', 0.5, *adamw),
            'several passes': ('--data', s.path('c.txt')), 'two files, mixed': ('--data', s.path('c.txt'), '--mix-exponent', 0.3)}
    for name, more in runs.items():
        whole, cut = name + '-whole', name + '-cut'
        data = [] if name == 'several passes' else ['--data', s.path('a.txt')]
        arguments = ['--model', s.path('switch.json'), *data, *more, *SMALL, '--device', 'ref:0']
        s.run('train', *arguments, '--steps', 6, '--out', s.path(whole))
        s.run('train', *arguments, '--steps', 3, '--out', s.path(cut))
        done = s.run('train', *arguments, '--steps', 6, '--out', s.path(cut), '--resume')
        s.ok(done.returncode == 0 and weights(s, whole) == weights(s, cut), f'{name}: resumed, identical weights', done.stderr)
        a, b = (tensors_bytes(s.path(x, 'latest', 'optimizer-00001.safetensors')) for x in (whole, cut))
        s.ok(a == b, f'{name}: resumed, identical optimizer state')
    with open(s.path('adafactor-cut', 'metrics.jsonl'), 'a', encoding='utf-8') as file:  # as if killed after step 8
        file.write('{"kind":"train","step":7}\n{"kind":"train","step":8}\n{"kind":"tr')
    train(s, 'kept', 4, '--save-every', 1, '--keep', 1)
    there = sorted(os.listdir(s.path('kept')))
    s.ok(there == ['latest', 'metrics.jsonl', 'step-4'] and os.readlink(s.path('kept', 'latest')) == 'step-4',
         '--keep 1 keeps the newest', there)
    done = train(s, 'adafactor-cut', 7, '--resume', '--lr', 2)
    s.ok([m['step'] for m in metrics(s, 'adafactor-cut')] == list(range(1, 8)), 'metrics.jsonl: one line a step after resuming')
    s.ok(done.returncode == 0 and '--lr 1; it goes on with 2' in done.stderr, 'resuming with another rate says so', done.stderr)


def check_sentencepiece(s):
    """A vocabulary given as a directory trains, is saved with the model, and resumes."""
    folder = s.path('vocabulary')
    os.mkdir(folder)
    shutil.copy(os.path.join(s.source, 'tests', 'data', 'tokenizer', 'seqio_test.model'), os.path.join(folder, 'spiece.model'))
    config(s.path('pieces.json'), vocab_size=1152)
    arguments = ['--model', s.path('pieces.json'), '--tokenizer', folder, '--data', s.path('a.txt'), *SMALL, '--device', 'ref:0']
    whole = s.run('train', *arguments, '--steps', 4, '--out', s.path('sp-whole'))
    if 'SentencePiece' in whole.stderr and whole.returncode != 0:
        return s.skip('a SentencePiece vocabulary', 'built without it')
    s.run('train', *arguments, '--steps', 2, '--out', s.path('sp-cut'))
    done = s.run('train', *arguments, '--steps', 4, '--out', s.path('sp-cut'), '--resume')
    s.ok(whole.returncode == 0 and done.returncode == 0 and weights(s, 'sp-whole') == weights(s, 'sp-cut'),
         'a SentencePiece vocabulary: resumed, identical weights', whole.stderr + done.stderr)
    done = s.run('eval', '--model', s.path('sp-cut', 'latest'), '--data', s.path('b.txt'), '--src-len', 48, '--tgt-len', 20,
                 '--batches', 2, '--device', 'ref:0')
    return s.ok(done.returncode == 0, 'the saved model has its vocabulary with it', done.stderr)


def check_signals(s):
    steps = 80  # three seconds after the signal, where nobody heard it
    whole = train(s, 'long', steps)
    s.ok(whole.returncode == 0, f'a run of {steps} steps', whole.stderr)
    for number, status in ((signal.SIGTERM, 0), (signal.SIGUSR1, 0), (signal.SIGINT, -signal.SIGINT)):
        out = f'signal-{number.name}'
        command = [os.path.join(s.apps, 'switchyard-train'), '--model', s.path('switch.json'), '--data', s.path('a.txt'), '--out',
                   s.path(out), '--steps', str(steps), '--device', 'ref:0'] + [str(x) for x in SMALL]
        # A shell's background job ignores SIGINT, and so would what it starts: here it must be as in a terminal.
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=s.env,
                                   preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        end = time.monotonic() + 60
        while time.monotonic() < end and not (os.path.exists(s.path(out, 'metrics.jsonl')) and len(metrics(s, out)) > 5):
            time.sleep(0.02)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        step = json.load(open(s.path(out, 'latest', 'state.json'), encoding='utf-8'))['step']
        s.ok(process.returncode == status and 0 < step < steps, f'{number.name}: saves and leaves (step {step})', errors)
        train(s, out, steps, '--resume')
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
    golden = os.path.join(s.source, 'tests', 'golden', 'switch_jitter')
    done = s.run('train', '--model', golden, '--batch', os.path.join(golden, 'batch.safetensors'), '--steps', 1, '--precision', 'f32',
                 '--out', s.path('jitter'), '--device', 'ref:0')
    want = scalar_f64(os.path.join(golden, 'expected.safetensors'), 'total')
    got = metrics(s, 'jitter')[0]['total'] if done.returncode == 0 else 0
    s.ok(abs(got - want) < 2e-6 * want, f'--batch brings the jitter of the router: {got} and {want}', done.stderr)



def hugging_face(c):
    """Names and shapes of the tensors that transformers 4.38 makes of a config, and loads without a complaint."""
    d, f, hk, e = c['d_model'], c['d_ff'], c['num_heads'] * c['d_kv'], c.get('num_experts', 0)
    names = {'shared.weight': [c['vocab_size'], d]}
    if not c['tie_word_embeddings']:
        names['lm_head.weight'] = [c['vocab_size'], d]
        if e:
            names.update({f'{x}coder.embed_tokens.weight': [c['vocab_size'], d] for x in ('en', 'de')})
    for stack, layers, sparse in (('encoder', c['num_layers'], c.get('num_sparse_encoder_layers', 0)),
                                  ('decoder', c['num_decoder_layers'], c.get('num_sparse_decoder_layers', 0))):
        names[f'{stack}.final_layer_norm.weight'] = [d]
        names[f'{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight'] = [32, c['num_heads']]
        for i in range(layers):
            layer = f'{stack}.block.{i}.layer.'
            for n, module in enumerate(('SelfAttention', 'EncDecAttention')[:1 + (stack == 'decoder')]):
                names.update({f'{layer}{n}.{module}.{w}.weight': [hk, d] for w in 'qkv'})
                names[f'{layer}{n}.{module}.o.weight'] = [d, hk]
                names[f'{layer}{n}.layer_norm.weight'] = [d]
            layer += '1' if stack == 'encoder' else '2'
            names[layer + '.layer_norm.weight'] = [d]
            ins = ('wi_0', 'wi_1') if c['feed_forward_proj'] == 'gated-gelu' else ('wi',)
            step = layers // sparse if sparse else 0
            is_sparse = sparse and (i % step == 1 if step > 1 else step == 1)
            places = [f'.mlp.experts.expert_{x}.' for x in range(e)] if is_sparse else ['.mlp.' if e else '.DenseReluDense.']
            if is_sparse:
                names[layer + '.mlp.router.classifier.weight'] = [e, d]
            for place in places:
                names.update({f'{layer}{place}{w}.weight': [f, d] for w in ins})
                names[f'{layer}{place}wo.weight'] = [d, f]
    return names


def check_model_directory(s):
    latest = s.path('one', 'latest')
    with open(os.path.join(latest, 'config.json'), encoding='utf-8') as file:
        c = json.load(file)
    s.ok(c['model_type'] == 'switch_transformers' and c['decoder_start_token_id'] == 0, 'config.json of the written model')
    stored = {n: e['shape'] for n, e in header(os.path.join(latest, 'model.safetensors')).items() if n != '__metadata__'}
    s.ok(stored == hugging_face(c), 'tensors of the written model', set(stored) ^ set(hugging_face(c)))
    for name, switch, changes in (('untied', True, {}), ('gated', False, {'feed_forward_proj': 'gated-gelu'})):
        c = json.load(open(config(s.path(name + '.json'), switch, tie_word_embeddings=False, **changes), encoding='utf-8'))
        train(s, name, 1, model=s.path(name + '.json'))
        stored = {n: e['shape'] for n, e in header(s.path(name, 'latest', 'model.safetensors')).items() if n != '__metadata__'}
        s.ok(stored == hugging_face(c), f'tensors of the written model, {name}', set(stored) ^ set(hugging_face(c)))


def check_one_expert(s):
    config(s.path('single.json'), num_experts=1)
    train(s, 'single', 1, model=s.path('single.json'))
    router = 'encoder.block.1.layer.1.mlp.router.classifier.weight'
    shape = header(s.path('single', 'latest', 'model.safetensors')).get(router, {}).get('shape')
    s.ok(shape == [1, 32], f'one expert: its router is still a matrix: {shape}')
    done = train(s, 'single-again', 1, model=s.path('single', 'latest'))
    s.ok(done.returncode == 0, 'one expert: loaded again', done.stderr)


def check_prompts(s, latest):
    """Several prompts: results in their order, the same whatever shares the batch; an empty line is a prompt."""
    lines = ['The <extra_id_0> stops.', 'a', '', 'A <extra_id_0> signal <extra_id_1> over the yard', 'Zug']
    with open(s.path('prompts.txt'), 'w', encoding='utf-8') as file:
        file.write('\n'.join(lines))
    common = ('generate', '--model', latest, '--max-tokens', 6, '--device', 'ref:0', '--temperature', 1, '--json')
    found = []
    for batch in (1, 2, 5):
        done = s.run(*common, '--file', s.path('prompts.txt'), '--batch', batch)
        found.append([json.loads(line) for line in done.stdout.splitlines()] if done.returncode == 0 else done.stderr)
    s.ok(found[0] == found[1] == found[2] and [x['prompt'] for x in found[0]] == lines and
         [x.get('filled', '').count('[') for x in found[0]] == [1, 0, 0, 2, 0] and len({x['output'] for x in found[0]}) > 2 and
         all(x['tokens'] <= 6 for x in found[0]), 'five prompts, a sample each, whatever --batch', found)
    with open(s.path('prompts.txt'), encoding='utf-8') as file:
        done = s.run(*common, '--file', '-', stdin=file)
    s.ok([json.loads(line) for line in done.stdout.splitlines()] == found[0], 'prompts from standard input', done.stderr)
    raw = [s.run(*common[:-3], '--raw', *[a for line in group for a in ('--text', line)]).stdout
           for group in (lines[:2], lines[:1], lines[1:2])]
    s.ok(raw[0] == raw[1] + raw[2] and raw[1] != '', 'two --text are one after the other', raw)
    config(s.path('choice.json'), tie_word_embeddings=False,  # tied, a drawn model only repeats itself
           switchyard={'router': 'expert_choice', 'capacity_factor_eval': 0.5, 'min_expert_capacity': 1})
    done = train(s, 'choice', 1, model=s.path('choice.json'))
    common = (*common[:1], '--model', s.path('choice', 'latest'), '--max-tokens', 200, '--device', 'ref:0', '--raw')
    two = ['ab cd', 'The <extra_id_0> stops at the red light of the yard.']
    said = [s.run(*common, '--text', line).stdout for line in two]
    done = s.run(*common, *[a for line in two for a in ('--text', line)])
    s.ok(done.returncode == 0 and done.stdout == ''.join(said), 'expert choice: a prompt has its own length', said + [done.stdout])
    for name, content, word in (('nul', b'a\nb\0c\n', 'line 2'), ('empty', b'', 'is empty'), ('bytes', b'\xff\n', 'UTF-8')):
        with open(s.path('odd.txt'), 'wb') as file:
            file.write(content)
        done = s.run(*common[:-1], '--json', '--file', s.path('odd.txt'))
        s.ok(done.returncode == 1 and word in done.stderr and done.stdout == '', f'prompts with {name}', done.stdout + done.stderr)


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
    check_prompts(s, latest)


def check_devices(s, devices):
    """On every device: repeats and resumes to the same bits; the f32 loss curves of all devices agree."""
    curves, before = {}, dict(s.env)
    s.env['POCL_CACHE_DIR'] = s.path('kernels')  # nothing compiled yet: what the compilers say would be seen
    os.mkdir(s.env['POCL_CACHE_DIR'])
    for device in devices:
        name = device.replace(':', '')
        f32 = ('--precision', 'f32')
        first = train(s, name + '-a', 4, *f32, device=device)
        s.ok(all(line.startswith('switchyard-train: ') for line in first.stderr.splitlines()),
             f'{device}: only our own lines on standard error', first.stderr)
        train(s, name + '-b', 4, *f32, device=device)
        train(s, name + '-c', 2, *f32, device=device)
        resumed = train(s, name + '-c', 4, '--resume', *f32, device=device)
        if not s.ok(first.returncode == 0 and resumed.returncode == 0, f'{device}: trains and resumes', first.stderr + resumed.stderr):
            continue
        s.ok(weights(s, name + '-a') == weights(s, name + '-b'), f'{device}: two runs, identical weights')
        s.ok(weights(s, name + '-a') == weights(s, name + '-c'), f'{device}: resumed, identical weights')
        curves[device] = [m['total'] for m in metrics(s, name + '-a')]
    s.env = before
    worst = max(abs(a - b) / abs(a) for curve in curves.values() for a, b in zip(curves['ref:0'], curve))
    s.ok(worst < 1e-4, f'the same loss curve on {", ".join(curves)}: worst relative difference {worst:.1e}')


def check_plan_shows(s):
    """The printed step and the way of one tensor."""
    shape = ('--model', s.path('switch.json'), '--batch', 2, '--src-len', 48, '--tgt-len', 20, '--class', 'cpu')
    done = s.run('plan', *shape, '--micro-batches', 4, '--schedule')
    parts = done.stdout.split('\n\n')
    rows, scoring, decoding = ([line.split() for line in part.split('\n') if re.match(r' +\d+  ', line)]
                               for part in (parts + ['', ''])[:3])
    programs = [' '.join(r[2:5]) for r in rows if r[1] == 'program']
    s.ok(done.returncode == 0 and [r[1] for r in rows].count('upload') == 4 and programs[0].startswith('micro-batch') and
         programs[-1].startswith('refresh') and 'level 2 +=' in programs and rows[-1][1] == 'download',
         'plan --schedule: four micro-batches, their merges, update, refresh', done.stdout + done.stderr)
    ids, step = 4, 64
    s.ok([r[1] for r in scoring] == ['host', 'upload', 'program', 'download'] and 'evaluation: one batch of 2' in parts[1],
         'plan --schedule: evaluation', done.stdout)
    s.ok([r[1] for r in decoding] == ['host', 'upload', 'program', 'upload', 'program', 'download', 'host'] and
         'decoding: 2 prompts; from 3 on once for each token' in parts[2] and
         f' {2 * 2 * 48 * ids + 6 * ids + step} bytes' in parts[2] and
         f' {2 * 2 * ids + step} bytes' in parts[2] and f' {2 * ids} bytes; the host waits' in parts[2],
         'plan --schedule: decoding, its prompts and its tokens; two tokens come back, no logits', done.stdout)
    router = 'encoder.block.1.layer.1.mlp.router.classifier.weight'
    done = s.run('plan', *shape, '--trace', router)
    s.ok(done.returncode == 0 and all(word in done.stdout for word in (router, 'forward   reads', 'backward  ', 'update  ',
                                                                       'kernels/matmul_packed.cl', 'bytes ', 'its gradient')),
         'plan --trace: a parameter, forward, back and updated, with kernel files and bytes', done.stdout + done.stderr)
    done = s.run('plan', *shape, '--trace', 'no.such.tensor')
    s.ok(done.returncode == 1 and 'no.such.tensor' in done.stderr, 'plan --trace: a name that nothing has', done.stderr)


def check_plan_pieces(s):
    """Stacks of 5 GB on devices that bind less: planned in pieces, the same parameters and work."""
    with open(os.path.join(s.source, 'configs', 'switch-base-128.json'), encoding='utf-8') as file:
        config(s.path('stacks.json'), **{**json.load(file), 'd_ff': 12288})
    model = ('--model', s.path('stacks.json'), '--batch', 4)
    plans = [json.loads(s.run('plan', *model, *limit, '--json').stdout or '{}') for limit in
             ([], ['--device-binding', '4G'], ['--device-binding', '128M'])]
    flops = [p.get('flops_forward', 0) + p.get('flops_backward', 0) + p.get('flops_update', 0) for p in plans]
    s.ok(len({p.get('parameters') for p in plans}) == 1 and max(flops) - min(flops) < 1e-9 * max(flops) and flops[0] > 0 and
         plans[0]['ops'] < plans[1]['ops'] < plans[2]['ops'],
         f'plan --device-binding: {[p.get("ops") for p in plans]} ops do the work of one', flops)
    done = s.run('plan', *model, '--device-binding', '128M', '--trace', 'encoder.block.1.layer.1.mlp.experts.expert_0.wi.weight')
    s.ok(done.returncode == 0 and 'in pieces' in done.stdout and 'one piece of it' in done.stdout,
         'plan --trace: a stack and its pieces', done.stdout[:2000] + done.stderr)
    done = s.run('plan', *model, '--device-binding', '16M')
    s.ok(done.returncode == 1 and done.stderr.count('error') == 1 and '16777216' in done.stderr and 'tensor ' in done.stderr,
         'plan --device-binding: what cannot be cut is named', done.stderr)


def check_plan(s, devices):
    for name, want in COUNTS.items():
        done = s.run('plan', '--model', os.path.join(s.source, 'configs', name + '.json'), '--json')
        got = json.loads(done.stdout)['parameters'] if done.returncode == 0 else 0
        good = got == want if isinstance(want, int) else abs(got - want) < 0.006 * want
        s.ok(good, f'plan: {name} has {got:,} parameters', done.stderr)
    done = s.run('plan', '--model', s.path('switch.json'), '--batch', 4, '--src-len', 48, '--tgt-len', 20, '--class', 'cpu', '--json')
    mib = json.loads(done.stdout)['total_bytes'] / 2**20
    gpu = s.run('plan', '--model', s.path('switch.json'), '--batch', 4, '--src-len', 48, '--tgt-len', 20, '--json')
    panels = [json.loads(p.stdout)['arena_bytes']['prepared weights'] for p in (done, gpu)]
    s.ok(panels[0] > 0 and panels[1] == 0, f'plan: a CPU keeps weights in panels, a GPU does not: {panels} bytes', gpu.stderr)
    # T5-Base, one sequence of 512 -> 114 tokens: the paper's 124 GFLOP are the linear layers alone.
    d, f, v, src, tgt = 768, 3072, 32128, 512, 114
    linear = 2 * 12 * (src * (4 * d * d + 2 * d * f) + tgt * (6 * d * d + 2 * d * f) + src * 2 * d * d)
    rest = 2 * tgt * d * v + 4 * d * 12 * (src * src + tgt * tgt + tgt * src)
    done = s.run('plan', '--model', os.path.join(s.source, 'configs', 't5-base.json'), '--batch', 1, '--json')
    got = json.loads(done.stdout)['flops_forward'] if done.returncode == 0 else 0
    s.ok(round(linear / 1e9) == 124 and abs(got - linear - rest) < 0.01 * got,
         f'plan: T5-Base takes {got / 1e9:.1f} GFLOP a sequence forward, {linear / 1e9:.1f} of them in linear layers', done.stderr)
    check_plan_shows(s)
    check_plan_pieces(s)
    for device in devices:
        done = s.run('plan', '--model', s.path('switch.json'), '--batch', 4, '--src-len', 48, '--tgt-len', 20, '--json',
                     '--device', device)
        j = json.loads(done.stdout) if done.returncode == 0 else {'total_bytes': 0, 'recorded': {'bytes': 1}}
        s.ok(j['total_bytes'] == j['recorded']['bytes'], f'plan: what {device} allocates, to the byte: {j["total_bytes"]}', done.stderr)
        done = s.run('plan', '--model', s.path('switch.json'), '--batch', 4, '--src-len', 48, '--tgt-len', 20, '--json',
                     '--device', device, env={'SY_FORCE_MAX_ALLOC': '96K'})
        j = json.loads(done.stdout) if done.returncode == 0 else {'total_bytes': 0, 'recorded': {'bytes': 1}}
        s.ok(j['total_bytes'] == j['recorded']['bytes'], f'plan: in pieces, too: {j["total_bytes"]}', done.stderr)
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
    text(s.path('v.txt'), 3_000, 4)
    done = s.run('devices', '--json')
    devices = [d['id'] for d in json.loads(done.stdout)] if done.returncode == 0 else []
    s.ok('ref:0' in devices, f'devices: {devices}', done.stderr)
    check_help(s)
    check_training(s)
    check_validation(s)
    check_resume(s)
    check_sentencepiece(s)
    check_inputs(s)
    check_model_directory(s)
    check_one_expert(s)
    check_eval_and_generate(s, devices)
    check_devices(s, devices)
    check_plan(s, devices)
    check_signals(s)
    s.done()


if __name__ == '__main__':
    main()
