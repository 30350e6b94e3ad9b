# SPDX-License-Identifier: Apache-2.0
"""crosscheck.py BUILD [N] [SEED] [--keep DIR] [--device ID] [--kind NAME]: random small models, engine against reference.py.

Case SEED + i is drawn from that number alone, written in the format of tests/golden, and run by switchyard-eval and
switchyard-train on every device. Tolerances are those of tests/golden. Cases are drawn again while a discrete decision is
closer than float32 can be trusted with. --keep DIR leaves the failed cases there, ready for build/tests/test_golden DIR.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import reference
from safetensors.numpy import load_file, save_file

KINDS = ('dense', 'switch', 'top2', 'ntlb', 'expert_choice', 'trace', 'large', 'switch', 'tie', 'trace_factored')
DEFAULTS = {'layer_norm_epsilon': 1e-6, 'pad_token_id': 0, 'decoder_start_token_id': 0, 'relative_attention_num_buckets': 32,
            'relative_attention_max_distance': 128, 'tie_word_embeddings': True, 'router_z_loss_coef': 0.001,
            'router_aux_loss_coef': 0.001, 'dense_act_fn': 'relu'}
OWN_DEFAULTS = {'router': 'switch', 'group_tokens': 0, 'min_expert_capacity': 4, 'ntlb_top_k': 4, 'z_loss': 0.0, 'label_smoothing': 0.0}
TOLERANCE = {'logits': 1e-5, 'encoder_output': 1e-5, 'loss_ce': 2e-6, 'total': 2e-6, 'accuracy': 1e-6, 'aux': 5e-6, 'z': 5e-6,
             'router': 1e-5, 'grad': 5e-5}
KINK = 2e-6  # a rectifier's input this near 0 may come out on the other side in float32


# ---- drawing a case --------------------------------------------------------------------------------------------------

class Draw:
    """Everything of a case that does not depend on the attempt."""

    def __init__(self, seed, kind):
        self.rng = rng = np.random.default_rng(seed)
        self.seed, self.kind = seed, kind
        self.trace, self.large = kind.startswith('trace'), kind == 'large'
        router = kind if kind in ('switch', 'top2', 'ntlb', 'expert_choice') else \
            self.pick('switch', 'top2', 'ntlb', 'expert_choice', *(('dense',) if kind != 'tie' else ()))
        self.dense = 'dense' in (kind, router)
        self.batch, self.src, self.tgt = self.between(1, 4), self.between(2, 24), self.between(2, 16)
        if self.trace:
            self.batch, self.src, self.tgt = self.between(1, 2), self.between(4, 12), self.between(3, 9)
        if self.large:
            most = {'dense': 220, 'switch': 200, 'top2': 100, 'ntlb': 48, 'expert_choice': 24}['dense' if self.dense else router]
            self.batch, self.src = self.between(1, 2), self.between(most // 2, most)
            self.tgt = self.between(4, max(5, self.src // 2))
        self.raw = self.model(router)
        self.mode = 'eval' if not self.trace and self.chance(0.3) else 'train'
        self.jitter = not self.dense and not self.trace and self.chance(0.25)
        self.holes, self.empty, self.middle = self.chance(0.15), self.chance(0.08), self.chance(0.4 if self.dense else 0.1)
        self.one_sided, self.router_scale = self.chance(0.1), rng.uniform(0.4, 2.5)

    def chance(self, p):
        return bool(self.rng.random() < p)

    def pick(self, *options):
        return options[self.rng.integers(len(options))]

    def between(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def model(self, router):
        wide = self.large or self.kind == 'trace_factored'
        size = (lambda: self.between(128, 160)) if wide else (lambda: self.between(4, 40))
        buckets = self.pick(32, 32, 4, 6, 7, 8, 9, 12, 20)
        raw = {'model_type': 't5' if self.dense and self.chance(0.7) else 'switch_transformers',
               'vocab_size': self.between(1000, 1400) if self.large else self.between(128, 140) if wide else self.between(11, 90),
               'd_model': size(), 'd_ff': size(), 'd_kv': self.between(16, 48) if wide else self.between(3, 12),
               'num_heads': self.between(2, 5) if wide else self.between(1, 4),
               'num_layers': self.between(1, 2 if wide else 4), 'num_decoder_layers': self.between(1, 2 if wide else 4),
               'dropout_rate': 0.0, 'relative_attention_num_buckets': buckets,
               'relative_attention_max_distance': self.pick(128, buckets, 20, 40, 64) if buckets <= 20 else self.pick(128, 128, 40, 64),
               'layer_norm_epsilon': self.pick(1e-6, 1e-6, 1e-5, 1e-3), 'tie_word_embeddings': self.chance(0.6),
               'pad_token_id': self.pick(0, 0, 3), 'decoder_start_token_id': self.pick(0, 0, 5), 'eos_token_id': 1}
        gated, own = self.chance(0.35), {}
        if self.chance(0.2):
            raw['scale_decoder_outputs'] = self.chance(0.5)
        if self.chance(0.2):
            own['z_loss'] = self.pick(1e-4, 0.02)
        if self.chance(0.2):
            own['label_smoothing'] = self.pick(0.1, 0.3)
        if raw['model_type'] == 't5':
            raw['feed_forward_proj'] = 'gated-gelu' if gated else 'relu'
            if gated and self.chance(0.5):
                raw |= {'dense_act_fn': 'gelu_new', 'is_gated_act': True}
        else:
            raw['dense_act_fn'] = 'gated-gelu' if gated else 'relu'
            raw['router_jitter_noise'] = 0.0
            self.sparse(raw, own, router)
        for values, defaults in ((raw, DEFAULTS), (own, OWN_DEFAULTS)):
            for key in [k for k in defaults if values.get(k) == defaults[k]]:
                if self.chance(0.4):
                    del values[key]
        return raw | ({'switchyard': own} if own else {})

    def sparse(self, raw, own, router):
        for stack, layers in (('encoder', raw['num_layers']), ('decoder', raw['num_decoder_layers'])):
            raw[f'num_sparse_{stack}_layers'] = 0 if self.dense else self.between(0 if stack == 'decoder' else 1, 1 if self.large else layers)
        raw['num_experts'] = self.pick(2, 3, 4, 5, 8) if self.large or self.trace else self.pick(1, 2, 3, 4, 4, 5, 7, 8, 16, 24)
        if router == 'top2' or self.kind == 'tie':
            raw['num_experts'] = max(raw['num_experts'], 3)
        raw |= {'router_z_loss_coef': self.pick(0.001, 0.0, 0.1), 'router_aux_loss_coef': self.pick(0.001, 0.01, 0.0, 0.05, 1.0)}
        own |= {'router': 'switch' if router == 'dense' else router, 'ntlb_top_k': self.pick(4, 4, 1, 2, 9)}
        tokens = self.batch * self.src
        own['group_tokens'] = self.pick(0, 0, self.between(1, 12), self.between(1, tokens), tokens + self.between(1, 50))
        if router == 'expert_choice':  # long queues always hold two scores that are too close
            own['group_tokens'] = self.pick(self.between(2, 12), 8, tokens + 9 if tokens < 16 else 5, 0 if self.src <= 12 else 7)
        own['min_expert_capacity'] = self.pick(4, 1, 1, 2, 3)
        limit = self.pick('factors', 'factors', 'factors', 'both', 'hf', 'none', 'dropless')
        if limit in ('factors', 'both'):
            own |= {'capacity_factor_train': self.pick(1.0, 1.25, 0.5, 2.0, 1.1, 0.7), 'capacity_factor_eval': self.pick(1.0, 2.0, 0.8)}
        if limit in ('hf', 'both'):
            raw['expert_capacity'] = self.pick(1, 2, 3, 5, 64)
        if limit == 'dropless':
            own |= {'capacity_factor_train': 0.0, 'capacity_factor_eval': 0.0}

    def attempt(self, n):
        """Weights and a batch, as float32 and int32."""
        rng, c = np.random.default_rng([self.seed, n]), reference.config(self.raw)
        w = {}
        for name, shape in reference.shapes(c).items():
            fan = 1 if name == 'shared.weight' else 4 if 'attention_bias' in name else shape[-1] * (c.k if name.endswith('.q.weight') else 1)
            w[name] = rng.standard_normal(shape) * fan ** -0.5
            if 'norm' in name:
                w[name] = 1 + 0.1 * rng.standard_normal(shape)
            if 'router' in name:
                w[name] *= self.router_scale
                if self.one_sided:
                    w[name][-1, 0] += 8
                if self.kind == 'tie':
                    w[name][2] = w[name][0]
        if self.one_sided:
            w['shared.weight'][:, 0] += 4
        ids, labels = (rng.integers(2, c.vocab, (self.batch, n)) for n in (self.src, self.tgt))
        mask = np.ones_like(ids)
        for b in range(self.batch):
            if rng.random() < 0.5:
                cut, end = rng.integers(1, self.src + 1), rng.integers(1, self.tgt + 1)
                mask[b, cut:], labels[b, end:] = 0, reference.IGNORE
            if self.holes:
                mask[b, 1:] &= rng.random(self.src - 1) < 0.85
            if self.middle and labels[b, -1] != reference.IGNORE:
                labels[b, rng.integers(0, self.tgt - 1)] = reference.IGNORE
        if self.empty and self.batch > 1:
            mask[0], labels[0] = 0, reference.IGNORE
        ids[mask == 0] = c.pad
        batch = {'input_ids': ids, 'attention_mask': mask, 'labels': labels}
        batch = {k: v.astype(np.int32) for k, v in batch.items()}
        for stack, length in (('encoder', self.src), ('decoder', self.tgt)):
            for i in range(c.layers[stack]):
                if self.jitter and reference.is_sparse(c, stack, i):
                    batch[f'jitter.{stack}.block.{i}'] = rng.uniform(0.9, 1.1, (self.batch, length, c.d)).astype(np.float32)
        return {k: v.astype(np.float32) for k, v in w.items()}, batch


def well_conditioned(model, w, batch, trained, rng):
    """Whether weights that are off by a rounding give the same losses to a fifth of the tolerance."""
    other = reference.train(model, {k: v * (1 + 3e-7 * rng.standard_normal(v.shape)) for k, v in w.items()}, batch, len(trained[0]))
    return all(abs(a[k] - b[k]) <= 1e-5 * abs(a[k]) for a, b in zip(trained[0], other[0]) for k in ('loss_ce', 'aux', 'z', 'total'))


def make(draw, folder):
    """Draws until every decision is clear, and writes the case. None when that took too long."""
    model, steps, patience = reference.Model(draw.raw, draw.mode), 10 if draw.trace else 0, 20 if draw.large else 100
    for n in range(4 * patience):
        if n % patience == patience - 1:  # fewer tokens, fewer close calls
            draw.src, draw.tgt = max(2, draw.src * 2 // 3), max(2, draw.tgt * 2 // 3)
        stored, batch = draw.attempt(n)
        w = {k: v.astype(np.float64) for k, v in stored.items()}
        run = model.forward(w, batch)
        if run.closest < 1 or run.kink < KINK:
            continue
        grads = model.gradients(w, batch, run)
        trained = reference.train(model, w, batch, steps, 1.0) if steps else None
        if steps and (trained is None or not well_conditioned(model, w, batch, trained, draw.rng)):
            continue
        return write(draw, folder, n, stored, batch, run, grads, trained)
    return None


def store(path, tensors):
    cast = {k: np.asarray(v) for k, v in tensors.items()}
    save_file({k: np.ascontiguousarray(v.astype(np.int32 if v.dtype.kind == 'i' else v.dtype)) for k, v in cast.items()}, path)


def write(draw, folder, attempt, weights, batch, run, grads, trained):
    os.makedirs(folder, exist_ok=True)
    what = {'name': os.path.basename(folder), 'what': f'random: {draw.kind}', 'mode': draw.mode, 'steps': len(trained[0]) if trained else 0,
            'seed': [draw.seed, attempt], 'closest': float(run.closest)}
    for name, value in (('config', draw.raw), ('case', what)) + ((('trace', {'trace': trained[0]}),) if trained else ()):
        with open(os.path.join(folder, name + '.json'), 'w', encoding='utf-8') as file:
            json.dump(value, file, indent=1)
    scalars = ('loss_ce', 'aux', 'z', 'total', 'accuracy')
    expected = {k: v if k.split('.')[0] in scalars or np.asarray(v).dtype.kind == 'i' else np.asarray(v, np.float32)
                for k, v in (run.out | {'grad.' + k: v for k, v in grads.items()}).items()}
    store(folder + '/model.safetensors', weights)
    store(folder + '/batch.safetensors', batch)
    store(folder + '/expected.safetensors', expected)
    if trained:
        store(folder + '/final.safetensors', {k: v.astype(np.float32) for k, v in trained[1].items()})
        store(folder + '/shaky.safetensors', {k: v.astype(np.uint8) for k, v in trained[2].items()})
    return what


# ---- comparing -------------------------------------------------------------------------------------------------------

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
        if (got[name] != want)[want == first[name]].any() and (want == first[name]).mean() > 0.01:
            still = (want == first[name]).reshape(len(want), -1).all(1)
            if (got[name] != want)[still].any():
                yield f'final {name}: rows without a gradient moved'


def engine(build, app, *arguments):
    done = subprocess.run([os.path.join(build, 'apps', 'switchyard-' + app), *arguments], capture_output=True, text=True,
                          errors='replace', timeout=1800, check=False)
    return None if done.returncode == 0 else f'switchyard-{app} exits {done.returncode}: {done.stderr.strip()[-300:]}'


def run_case(build, folder, device, what, reduced):
    """Every disagreement of one device, as text."""
    dump, out, at = folder + '/dump.safetensors', folder + '/trained', ['--model', folder, '--batch', folder + '/batch.safetensors']
    expected, batch = load_file(folder + '/expected.safetensors'), load_file(folder + '/batch.safetensors')
    for precision in ('f32',) + reduced:
        wrong = engine(build, 'eval', *at, '--dump', dump, '--gradients', '--mode', what['mode'], '--precision', precision, '--device', device)
        found = [wrong] if wrong else compare(expected, load_file(dump), batch) if precision == 'f32' else \
            compare_direction(expected, load_file(dump))
        yield from (f'{device} {precision}: {line}' for line in found)
    if what['steps']:
        shutil.rmtree(out, ignore_errors=True)
        wrong = engine(build, 'train', *at, '--steps', str(what['steps']), '--precision', 'f32', '--device', device, '--out', out)
        yield from (f'{device} train: {line}' for line in ([wrong] if wrong else compare_trace(folder, out)))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('build')
    ap.add_argument('count', nargs='?', type=int, default=20)
    ap.add_argument('seed', nargs='?', type=int, default=1)
    ap.add_argument('--keep', metavar='DIR', help='leave failed cases here')
    ap.add_argument('--device', metavar='ID', action='append', help='only this one; may be repeated')
    ap.add_argument('--kind', choices=sorted(set(KINDS)), help='only cases of this kind')
    a = ap.parse_args()
    listed = subprocess.run([a.build + '/apps/switchyard-devices'], capture_output=True, text=True, check=True).stdout
    devices = a.device or re.findall(r'^(\w+:\d+)\s', listed, re.M)
    root, counts = tempfile.mkdtemp(prefix='switchyard-crosscheck-'), {'passed': 0, 'failed': 0, 'skipped': 0}
    for seed in range(a.seed, a.seed + a.count):
        kind = a.kind or KINDS[seed % len(KINDS)]
        folder = os.path.join(root, f'{kind}-{seed}')
        draw = Draw(seed, kind)
        what = make(draw, folder)
        if what is None:
            counts['skipped'] += 1
            print(f'ok # SKIP seed {seed} ({kind}): its decisions stay too close', flush=True)
            continue
        # bf16 moves a probability by about 1e-2: only cases whose choices survive that can be compared by direction.
        reduced = ('selective', 'bf16') if what['closest'] > 30 else ()
        wrong = [line for device in devices for line in run_case(a.build, folder, device, what, reduced)]
        counts['failed' if wrong else 'passed'] += 1
        print(f"{'not ok' if wrong else 'ok'} - seed {seed} ({kind}, attempt {what['seed'][1]}, {len(reduced) + 1} precisions)", flush=True)
        for line in wrong[:12]:
            print('# ' + line, flush=True)
        if wrong and a.keep:
            shutil.copytree(folder, os.path.join(a.keep, os.path.basename(folder)), dirs_exist_ok=True)
        shutil.rmtree(folder)
    shutil.rmtree(root, ignore_errors=True)
    print(', '.join(f'{n} {k}' for k, n in counts.items()))
    sys.exit(bool(counts['failed'] or not counts['passed']))


if __name__ == '__main__':
    main()
