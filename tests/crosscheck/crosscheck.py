# SPDX-License-Identifier: Apache-2.0
"""crosscheck.py BUILD [N] [SEED] [--keep DIR] [--device ID] [--kind NAME]: random small models, engine against reference.py.

Cases SEED … SEED + N - 1 (cases.py) are run by switchyard-eval and switchyard-train on every device, and everything is
compared, with the tolerances of tests/golden. --keep DIR leaves the failed cases there, ready for build/tests/test_golden DIR.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import cases
import numpy as np
import reference
from safetensors.numpy import load_file

TOLERANCE = {'logits': 1e-5, 'encoder_output': 1e-5, 'loss_ce': 2e-6, 'total': 2e-6, 'accuracy': 1e-6, 'aux': 5e-6, 'z': 5e-6,
             'router': 1e-5, 'grad': 5e-5}


def meaningful(name, want, expected, batch):
    source, target = batch['attention_mask'] != 0, batch['labels'] != reference.IGNORE
    field = name.rsplit('.', 1)[-1]
    if name in ('encoder_output', 'logits') or (name.startswith('router.') and field in ('z', 'p', 'gate')):
        alive = target if name == 'logits' or 'decoder' in name else source
        return np.broadcast_to(alive.reshape(alive.shape + (1,) * (want.ndim - 2)), want.shape)
    if field == 'position':
        return expected[name[:-len(field)] + 'kept'] != 0
    return np.ones(want.shape, bool)


def compare(expected, got, batch):
    """One line per disagreement."""
    most = max(np.abs(v).max() for k, v in expected.items() if k.startswith('grad.'))
    for name, want in expected.items():
        if name not in got or got[name].size != want.size:
            yield f'{name} is {"missing" if name not in got else "of another size"}'
            continue
        mask = meaningful(name, want, expected, batch)
        w, g = want[mask].astype(np.float64), got[name].reshape(want.shape)[mask].astype(np.float64)
        error, scale = np.abs(g - w).max(initial=0.0), np.abs(w).max(initial=0.0)
        if name.startswith('grad.'):
            rows = want.reshape(len(want), -1)
            unused = (rows == 0).all(1)
            if got[name].reshape(rows.shape)[unused].any():
                yield f'{name}: rows that took no part are not exactly 0'
            scale = max(scale, 0.01 * most) if scale > 0 else 0.0
        limit = 0.0 if want.dtype.kind == 'i' else TOLERANCE[name.split('.')[0]] * scale
        if not error <= limit:
            yield f'{name}: error {error:.2e}, limit {limit:.2e}'


def compare_direction(expected, got):
    """Reduced precision: losses to 1e-2, gradients by direction."""
    for name in ('loss_ce', 'total'):
        if not abs(got[name][0] - expected[name][0]) <= 1e-2 * abs(expected[name][0]):
            yield f'{name} is {got[name][0]:.6g}, expected {expected[name][0]:.6g}'
    names = [k for k in expected if k.startswith('grad.')]
    a, b = (np.concatenate([t[k].reshape(-1).astype(np.float64) for k in names]) for t in (expected, got))
    cosine = a @ b / max(np.sqrt((a @ a) * (b @ b)), 1e-300)
    if not cosine > 0.99:
        yield f'cosine of the gradients is {cosine:.4f}'


def compare_trace(folder, out):
    with open(out + '/metrics.jsonl', encoding='utf-8') as file:
        lines = [json.loads(line) for line in file]
    trace = reference.read_json(folder + '/trace.json')['trace']
    if len(lines) != len(trace):
        yield f'{len(lines)} steps, expected {len(trace)}'
    for got, want in zip(lines, trace):
        for key in ('lr', 'loss_ce', 'aux', 'z', 'total'):
            if not abs(got[key] - want[key]) <= 5e-5 * abs(want[key]):
                yield f'step {want["step"]}: {key} is {got[key]:.9g}, expected {want[key]:.9g}'
    first, last, shaky, got = (load_file(p) for p in (folder + '/model.safetensors', folder + '/final.safetensors',
                                                      folder + '/shaky.safetensors', out + '/latest/model.safetensors'))
    for name, want in last.items():
        rms = np.sqrt((want.astype(np.float64) ** 2).mean())
        off = np.abs(got[name].astype(np.float64) - want) * (shaky[name] == 0) / rms
        if not (off.max() <= 1e-3 and (off > 1e-4).sum() <= 0.001 * off.size + 0.5):
            yield f'final {name}: error {off.max():.2e} of its rms, {(off > 1e-4).sum()} of {off.size} beyond 1e-4'
        still = (want == first[name]).reshape(len(want), -1).all(1)
        if (got[name] != want)[still].any():
            yield f'final {name}: rows without a gradient moved'


def engine(build, app, *arguments):
    done = subprocess.run([os.path.join(build, 'apps', 'switchyard-' + app), *arguments], capture_output=True, text=True,
                          errors='replace', timeout=1800, check=False)
    return None if done.returncode == 0 else f'switchyard-{app} exits {done.returncode}: {done.stderr.strip()[-300:]}'


def run_case(build, folder, device, what, reduced):
    """Every disagreement of one device, as text."""
    dump, out = folder + '/dump.safetensors', folder + '/trained'
    at = ['--model', folder, '--batch', folder + '/batch.safetensors', '--device', device]
    expected, batch = load_file(folder + '/expected.safetensors'), load_file(folder + '/batch.safetensors')
    for precision in ('f32',) + reduced:
        wrong = engine(build, 'eval', *at, '--dump', dump, '--gradients', '--mode', what['mode'], '--precision', precision)
        found = [wrong] if wrong else compare(expected, load_file(dump), batch) if precision == 'f32' else \
            compare_direction(expected, load_file(dump))
        yield from (f'{device} {precision}: {line}' for line in found)
    if what['steps']:
        shutil.rmtree(out, ignore_errors=True)
        wrong = engine(build, 'train', *at, '--steps', str(what['steps']), '--precision', 'f32', '--out', out)
        yield from (f'{device} train: {line}' for line in ([wrong] if wrong else compare_trace(folder, out)))


def reference_in_float32(folder, what):
    """What rounding alone does: the reference's own disagreements when it computes in float32."""
    expected, batch, stored = (load_file(f'{folder}/{name}.safetensors') for name in ('expected', 'batch', 'model'))
    model = reference.Model(reference.read_json(folder + '/config.json'), what['mode'])
    w = {k: v for k, v in stored.items() if 'grad.' + k in expected}
    run = model.forward(w, batch)
    return list(compare(expected, run.out | {'grad.' + k: v for k, v in model.gradients(w, batch, run).items()}, batch))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('build')
    ap.add_argument('count', nargs='?', type=int, default=20)
    ap.add_argument('seed', nargs='?', type=int, default=1)
    ap.add_argument('--keep', metavar='DIR', help='leave failed cases here')
    ap.add_argument('--device', metavar='ID', action='append', help='only this one; may be repeated')
    ap.add_argument('--kind', choices=sorted(set(cases.KINDS)), help='only cases of this kind')
    a = ap.parse_args()
    listed = subprocess.run([a.build + '/apps/switchyard-devices'], capture_output=True, text=True, check=True).stdout
    devices = a.device or re.findall(r'^(\w+:\d+)\s', listed, re.M)
    root, counts = tempfile.mkdtemp(prefix='switchyard-crosscheck-'), {'passed': 0, 'failed': 0, 'skipped': 0}
    for seed in range(a.seed, a.seed + a.count):
        kind = a.kind or cases.KINDS[seed % len(cases.KINDS)]
        folder = os.path.join(root, f'{kind}-{seed}')
        what = cases.make(cases.Draw(seed, kind), folder)
        if what is None:
            counts['skipped'] += 1
            print(f'ok # SKIP seed {seed} ({kind}): its decisions stay too close', flush=True)
            continue
        # bf16 moves a probability by about 1e-2: only cases whose choices survive that can be compared by direction.
        reduced = ('selective', 'bf16') if what['closest'] > 30 else ()
        wrong = [line for device in devices for line in run_case(a.build, folder, device, what, reduced)]
        counts['failed' if wrong else 'passed'] += 1
        print(f"{'not ok' if wrong else 'ok'} - seed {seed} ({kind}, {len(reduced) + 1} precisions)", flush=True)
        for line in wrong[:12]:
            print('# ' + line, flush=True)
        if wrong:
            print(f'# the reference itself in float32: {len(reference_in_float32(folder, what))} disagreements', flush=True)
        if wrong and a.keep:
            shutil.copytree(folder, os.path.join(a.keep, os.path.basename(folder)), dirs_exist_ok=True)
        shutil.rmtree(folder)
    shutil.rmtree(root, ignore_errors=True)
    print(', '.join(f'{n} {k}' for k, n in counts.items()))
    sys.exit(bool(counts['failed'] or not counts['passed']))


if __name__ == '__main__':
    main()
