#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""split.py APPS_DIR SOURCE_DIR [POORFS]: heads and d_ff split over ranks (--model-parallel) against one rank.

A sum over d_ff is cut, so bits differ from one rank's; they do not between layouts of as many parts. Tolerances are
those of the golden cases (golden.c).
"""
import array
import math
import os
import shutil
import subprocess
import sys

from apps import Suite, config, text
from ranks import ONE, metrics, mpirun, same, tensors

STEPS = 3
BOUNDS = {'loss_ce': 2e-6, 'aux': 5e-6, 'z': 5e-6, 'grad_norm': 5e-5}


def arguments(s, out, model, *more, steps=STEPS, device='ref:0'):
    return ['--model', s.path(model), '--data', s.path('a.txt'), '--out', s.path(out), '--steps', steps, '--src-len', 16,
            '--tgt-len', 16, '--batch-tokens', 64, '--slices', 4, '--device', device, '--clip-norm', 1, '--precision', 'f32', *more]


def floats(folder, end=''):
    return {name: array.array('f', raw) for name, raw in tensors(folder).items() if name.endswith(end)}


def far(got, want, bound):
    """The tensor that is further off than `bound` times its rms anywhere, or ''."""
    for name, right in want.items():
        rms = math.sqrt(sum(x * x for x in right) / len(right))
        off = max(abs(a - b) for a, b in zip(got[name], right))
        if not off <= bound * rms:
            return f'{name}: {off:g} of {rms:g}'
    return ''


def near(s, out, whole, bounds=BOUNDS):
    """Why metrics and tensors of two runs are not alike, or ''."""
    a, b = metrics(s.path(out)), metrics(s.path(whole))
    for got, want in zip(a, b):
        for key, bound in bounds.items():
            if not abs(got.get(key, 0) - want.get(key, 0)) <= bound * abs(want.get(key, 0)):
                return f'step {want["step"]}: {key} is {got.get(key)}, of one rank {want.get(key)}'
    names = sorted(tensors(s.path(out, 'latest'))), sorted(tensors(s.path(whole, 'latest')))
    good = len(a) == len(b) > 0 and names[0] == names[1]
    return '' if good else f'{len(a)} of {len(b)} lines, tensors {set(names[0]) ^ set(names[1])}'


def check(s, name, model, layouts, *more, bounds=BOUNDS, weights=1e-4, device='ref:0', steps=STEPS):
    """One rank, and layouts (data, expert, model, options); those of as many parts have the same bits."""
    one = s.run('train', *arguments(s, name, model, *more, device=device, steps=steps), env=ONE, timeout=300)
    s.ok(one.returncode == 0, f'{name}: one rank', one.stderr)
    first = {}
    for data, expert, parts, own in layouts:
        out = f'{name}-{data}{expert}{parts}'
        layout = ['--data-parallel', data, '--expert-parallel', expert, '--model-parallel', parts, *own]
        done = mpirun(s, data * expert * parts, 'train', *arguments(s, out, model, *more, *layout, device=device, steps=steps))
        why = f'exit {done.returncode}\n{done.stderr}' if done.returncode else near(s, out, name, bounds)
        if not why and weights:
            why = far(floats(s.path(out, 'latest')), floats(s.path(name, 'latest')), weights)
        s.ok(not why, f'{name}: data {data} × expert {expert} × model {parts} {" ".join(map(str, own))}: as one rank', why)
        if parts in first and not done.returncode:
            why = same(s, out, first[parts])
            s.ok(not why, f'{name}: the bits of data 1 × expert 1 × model {parts}', why)
        first.setdefault(parts, out)


def check_resume(s):
    """Stop on two parts; go on on one rank, on experts, and on four parts."""
    done = mpirun(s, 2, 'train', *arguments(s, 'stop', 'large.json', '--model-parallel', 2, steps=2))
    s.ok(done.returncode == 0, 'two steps on model 2', done.stderr)
    for ranks, more in ((1, []), (2, ['--expert-parallel', 2]), (4, ['--model-parallel', 4])):
        out = f'stop-{ranks}'
        shutil.copytree(s.path('stop'), s.path(out), symlinks=True)
        go = arguments(s, out, 'large.json', '--resume', *more)
        done = s.run('train', *go) if ranks == 1 else mpirun(s, ranks, 'train', *go)
        why = f'exit {done.returncode}\n{done.stderr}' if done.returncode else near(s, out, 'large')
        why = why or far(floats(s.path(out, 'latest')), floats(s.path('large', 'latest')), 1e-4)
        s.ok(not why, f'model 2 stopped, goes on with {" ".join(map(str, more)) or "one rank"}', why)


def check_answers(s):
    """Scores to rounding, texts to the letter."""
    score = ['--model', s.path('large', 'latest'), '--data', s.path('b.txt'), '--src-len', 16, '--tgt-len', 16, '--sequences', 3,
             '--batches', 2, '--precision', 'f32', '--device', 'ref:0']
    fill = ['--model', s.path('large', 'latest'), '--text', 'The <extra_id_0> runs', '--text', 'A red train', '--max-tokens', 9,
            '--precision', 'f32', '--device', 'ref:0']
    for app, given, ranks, more in (('eval', score, 4, ['--data-parallel', 2]), ('generate', fill, 2, [])):
        one = s.run(app, *given)
        many = mpirun(s, ranks, app, *given, '--model-parallel', 2, *more)
        s.ok(one.returncode == 0 and one.stdout and many.stdout == one.stdout, f'{app}: model 2 says the same',
             f'{one.stderr}{many.stderr}\n{many.stdout}\n{one.stdout}')


def check_full(s):
    """The rank that writes meets a full disk in the middle of the weights: the others, which it asks for theirs, hear of it."""
    if s.poorfs is None:
        s.skip('a full disk', 'nothing can be preloaded into this build')
        return
    shell = f'[ $OMPI_COMM_WORLD_RANK = 0 ] && export LD_PRELOAD={s.poorfs} POORFS=room; exec "$@"'
    done = subprocess.run(['mpirun', '--allow-run-as-root', '--oversubscribe', '-n', '2', 'sh', '-c', shell, 'sh',
                           os.path.join(s.apps, 'switchyard-train'),
                           *map(str, arguments(s, 'full', 'large.json', '--model-parallel', 2, steps=1))],
                          capture_output=True, text=True, timeout=60, env=s.env)
    errors = [line for line in done.stderr.split('\n') if 'error:' in line]
    s.ok(done.returncode != 0 and len(errors) == 1 and 'model.safetensors' in errors[0], 'a full disk: said once, and all end',
         done.stderr)
    s.ok(not os.path.exists(s.path('full', 'latest')), 'a full disk: no checkpoint is seen')


def check_refusals(s):
    cases = {
        'heads that cannot be split': (8, 'large.json', ['--model-parallel', 8], ['num_heads is 4', '--model-parallel 8']),
        'd_ff that cannot be split': (2, 'odd.json', ['--model-parallel', 2], ['d_ff is 52', '--model-parallel 2', 'multiple of 8']),
        'three parts': (3, 'large.json', ['--model-parallel', 3], ['powers of two']),
        'another number of ranks': (2, 'large.json', ['--model-parallel', 4], ['--model-parallel 4', 'need 4 ranks', 'started 2']),
    }
    if s.opencl:
        cases['unlike devices'] = (2, 'large.json', ['--model-parallel', 2, '--device', 'ref:0,opencl:0'],
                                   ['alike', 'ref:0', 'opencl:0'])
    for name, (ranks, model, more, words) in cases.items():
        done = mpirun(s, ranks, 'train', *arguments(s, 'refused', model), *more)
        errors = [line for line in done.stderr.split('\n') if 'error:' in line]
        s.ok(done.returncode != 0 and len(errors) == 1 and all(w in errors[0] for w in words), f'{name}: refused, said once',
             done.stderr)
        s.ok(not os.path.exists(s.path('refused', 'latest')), f'{name}: nothing was written')


def main():
    s = Suite(sys.argv[1])
    s.poorfs = os.path.abspath(sys.argv[3]) if len(sys.argv) > 3 else None
    text(s.path('a.txt'))
    text(s.path('b.txt'), size=9_000, seed=2)
    ours = {'group_tokens': 8, 'capacity_factor_train': 1.0, 'capacity_factor_eval': 1.0, 'expert_dropout_rate': 0.3}
    # Matrices that Adafactor keeps rows and columns of as wholes, but not as parts; small ones; a dense model.
    large = {'d_model': 128, 'd_ff': 128, 'd_kv': 32, 'num_experts': 3}
    config(s.path('large.json'), feed_forward_proj='gated-gelu', switchyard=ours, **large)
    config(s.path('small.json'), num_experts=5, router_z_loss_coef=0.001, switchyard={**ours, 'router': 'top2'})
    config(s.path('dense.json'), switch=False)
    config(s.path('odd.json'), d_ff=52)
    probe = None
    if shutil.which('mpirun'):
        probe = mpirun(s, 2, 'train', *arguments(s, 'probe', 'dense.json', '--model-parallel', 2, steps=1))
    if probe is None or 'no MPI' in probe.stderr:
        s.skip('model parallelism', 'there is no mpirun, or the programs are built without MPI')
        s.done()
    s.opencl = 'opencl:0' in s.run('devices').stdout
    check(s, 'dense', 'dense.json', [(1, 1, 2, [])], steps=20)
    check(s, 'large', 'large.json', [(1, 1, 2, []), (1, 2, 2, ['--recompute']), (2, 1, 2, ['--micro-batch', 1])])
    # After one step AdamW's m is a tenth of the gradient.
    check(s, 'gradients', 'small.json', [(1, 1, 4, []), (2, 1, 4, [])], '--optimizer', 'adamw', '--lr', 1e-3, weights=None, steps=1)
    why = far(floats(s.path('gradients-114', 'latest'), '/m'), floats(s.path('gradients', 'latest'), '/m'), 5e-5)
    s.ok(not why, 'gradients of model 4 are those of one rank', why)
    # bf16 rounds each part's summand
    check(s, 'selective', 'small.json', [(1, 2, 2, [])], '--precision', 'selective', weights=None,
          bounds={'loss_ce': 1e-3, 'aux': 1e-2, 'grad_norm': 1e-2})
    if s.opencl:
        check(s, 'opencl', 'small.json', [(1, 2, 2, [])], device='opencl:0', weights=None)
    check_resume(s)
    check_answers(s)
    check_full(s)
    check_refusals(s)
    s.done()


if __name__ == '__main__':
    main()
