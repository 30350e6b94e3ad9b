# SPDX-License-Identifier: Apache-2.0
"""cases.py: random cases in the format of tests/golden, with the values reference.py gives them.

A case is drawn from its seed alone, and drawn again while a decision is closer than float32 can be trusted with.
"""
import json
import os

import numpy as np
import reference
from safetensors.numpy import save_file

KINDS = ('dense', 'switch', 'top2', 'ntlb', 'expert_choice', 'trace', 'large', 'switch', 'tie', 'trace_factored')
DEFAULTS = {'layer_norm_epsilon': 1e-6, 'pad_token_id': 0, 'decoder_start_token_id': 0, 'tie_word_embeddings': True,
            'relative_attention_num_buckets': 32, 'relative_attention_max_distance': 128, 'dense_act_fn': 'relu',
            'router_z_loss_coef': 0.001, 'router_aux_loss_coef': 0.001}
OWN_DEFAULTS = {'router': 'switch', 'group_tokens': 0, 'min_expert_capacity': 4, 'ntlb_top_k': 4, 'z_loss': 0.0,
                'label_smoothing': 0.0}
KINK = 2e-6  # a rectifier's input this near 0 may come out on the other side in float32


class Draw:
    """Everything of a case that does not depend on the attempt."""

    def __init__(self, seed, kind):
        self.rng = rng = np.random.default_rng(seed)
        self.seed, self.kind = seed, kind
        self.trace, self.large = kind.startswith('trace'), kind == 'large'
        routers = ('switch', 'top2', 'ntlb', 'expert_choice')
        router = kind if kind in routers + ('dense',) else self.pick(*routers, *(() if kind == 'tie' else ('dense',)))
        self.dense = router == 'dense'
        self.batch, self.src, self.tgt = self.between(1, 4), self.between(1, 24), self.between(1, 16)
        if self.trace:
            self.batch, self.src, self.tgt = self.between(1, 2), self.between(4, 12), self.between(3, 9)
        if self.large:
            # The more decisions a token takes part in, the fewer tokens until one of them is too close.
            most = {'dense': 220, 'switch': 200, 'top2': 100, 'ntlb': 48, 'expert_choice': 24}[router]
            self.batch, self.src = self.between(1, 2), self.between(most // 2, most)
            self.tgt = self.between(4, max(5, self.src // 2))
        self.raw = self.model(router)
        self.mode = 'eval' if not self.trace and self.chance(0.3) else 'train'
        self.jitter = not self.dense and self.chance(0.25)
        self.head_beside_tie = not self.tied and self.chance(0.3)
        if self.head_beside_tie:  # as newer Hugging Face versions write an untied T5
            self.raw |= {'tie_word_embeddings': True, 'scale_decoder_outputs': False}
        self.holes, self.empty, self.middle = self.chance(0.15), self.chance(0.08), self.chance(0.4 if self.dense else 0.1)
        self.strange_padding = self.chance(0.2)
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
        words = (1000, 1400) if self.large else (128, 140) if wide else (11, 90)
        buckets, deepest, self.tied = self.pick(32, 32, 4, 6, 7, 8, 9, 12, 20), 2 if wide else 4, self.chance(0.6)
        raw = {'model_type': 't5' if self.dense and self.chance(0.7) else 'switch_transformers',
               'vocab_size': self.between(*words), 'd_model': size(), 'd_ff': size(),
               'd_kv': self.pick(self.between(16, 48), 64, 128) if wide else self.between(3, 12),
               'num_heads': self.between(2, 5) if wide else self.between(1, 4),
               'num_layers': self.between(1, deepest), 'num_decoder_layers': self.between(1, deepest),
               'dropout_rate': 0.0, 'relative_attention_num_buckets': buckets,
               'relative_attention_max_distance': self.pick(128, max(buckets, 20), 40, 64),
               'layer_norm_epsilon': self.pick(1e-6, 1e-6, 1e-5, 1e-3), 'tie_word_embeddings': self.tied,
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
            most = 0 if self.dense else 1 if self.large else layers
            raw[f'num_sparse_{stack}_layers'] = self.between(0 if stack == 'decoder' else min(1, most), most)
        few = self.large or self.trace
        raw['num_experts'] = self.pick(2, 3, 4, 5, 8) if few else self.pick(1, 2, 3, 4, 4, 5, 7, 8, 16, 24)
        raw['num_experts'] = max(raw['num_experts'], 3 if self.kind == 'tie' else 2 if router == 'top2' else 1)
        raw['router_z_loss_coef'] = self.pick(0.001, 0.0, 0.1)
        raw['router_aux_loss_coef'] = self.pick(0.001, 0.01, 0.0, 0.05, 1.0)
        own |= {'router': 'switch' if router == 'dense' else router, 'ntlb_top_k': self.pick(4, 4, 1, 2, 9)}
        tokens = self.batch * self.src
        own['group_tokens'] = self.pick(0, 0, self.between(1, 12), self.between(1, tokens), tokens + self.between(1, 50))
        if router == 'expert_choice':  # long queues always hold two scores that are too close
            own['group_tokens'] = self.pick(self.between(2, 12), 8, tokens + 9 if tokens < 16 else 5, 7 if self.src > 12 else 0)
        own['min_expert_capacity'] = self.pick(4, 1, 1, 2, 3)
        limit = self.pick('factors', 'factors', 'factors', 'both', 'hf', 'none', 'dropless')
        if limit in ('factors', 'both'):
            own['capacity_factor_train'] = self.pick(1.0, 1.25, 0.5, 2.0, 1.1, 0.7)
            own['capacity_factor_eval'] = self.pick(1.0, 2.0, 0.8)
            if self.chance(0.2):
                del own[self.pick('capacity_factor_train', 'capacity_factor_eval')]
        if limit in ('hf', 'both'):
            raw['expert_capacity'] = self.pick(1, 2, 3, 5, 64)
        if limit == 'dropless':
            own |= {'capacity_factor_train': 0.0, 'capacity_factor_eval': 0.0}

    def attempt(self, n):
        """Weights and a batch, as float32 and int32."""
        rng, c, w = np.random.default_rng([self.seed, n]), reference.config(self.raw), {}
        c.tied = self.tied
        for name, shape in reference.shapes(c).items():
            fan = shape[-1] * c.k if name.endswith('.q.weight') else shape[-1]
            fan = {'shared.weight': 1}.get(name, 4 if 'attention_bias' in name else fan)
            w[name] = rng.standard_normal(shape) * fan ** -0.5
            if 'norm' in name:
                w[name] = 1 + 0.1 * rng.standard_normal(shape)
            elif 'router' in name:
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
            if self.middle and self.tgt > 1 and labels[b, -1] != reference.IGNORE:
                labels[b, rng.integers(0, self.tgt - 1)] = reference.IGNORE
        if self.empty and self.batch > 1:
            mask[0], labels[0] = 0, reference.IGNORE
        if not self.strange_padding:
            ids[mask == 0] = c.pad
        batch = {'input_ids': ids, 'attention_mask': mask, 'labels': labels}
        batch = {k: v.astype(np.int32) for k, v in batch.items()}
        for stack, length in (('encoder', self.src), ('decoder', self.tgt)):
            for i in range(c.layers[stack]):
                if self.jitter and reference.is_sparse(c, stack, i):
                    batch[f'jitter.{stack}.block.{i}'] = rng.uniform(0.9, 1.1, (self.batch, length, c.d)).astype(np.float32)
        return {k: v.astype(np.float32) for k, v in w.items()}, batch


def nudged(w, by, rng):
    return {k: v * (1 + by * rng.standard_normal(v.shape)) for k, v in w.items()}


def clear(run, near):
    """Whether float32 must decide as float64 does, and can reach the losses; near: the same with weights off by a rounding."""
    losses = [k for k in run.out if k.split('.')[0] in ('loss_ce', 'aux', 'z')]
    return run.closest >= 1 and run.kink >= KINK and \
        all(abs(run.out[k] - near.out[k]).max() <= 1e-6 * abs(run.out[k]).max() for k in losses)


def steady(trained, other):
    """The same of ten steps. Elements that a rounding moves are marked among those not to be compared; they must be few."""
    moved = 0
    for name, w in trained[1].items():
        far = np.abs(other[1][name] - w) > 3e-5 * np.sqrt((w * w).mean())
        moved += (far & ~trained[2][name]).sum()
        trained[2][name] |= far
    return moved <= 0.01 * sum(w.size for w in trained[1].values()) and \
        all(abs(a[k] - b[k]) <= 1e-5 * abs(a[k])
            for a, b in zip(trained[0], other[0]) for k in ('loss_ce', 'aux', 'z', 'total'))


def make(draw, folder):
    """Draws until every decision is clear, and writes the case. None when that took too long."""
    model, steps, patience = reference.Model(draw.raw, draw.mode), 10 if draw.trace else 0, 20 if draw.large else 100
    for n in range(4 * patience):
        if n % patience == patience - 1:  # fewer tokens, fewer close calls
            draw.src, draw.tgt = max(1, draw.src * 2 // 3), max(1, draw.tgt * 2 // 3)
        stored, batch = draw.attempt(n)
        w = {k: v.astype(np.float64) for k, v in stored.items()}
        run = model.forward(w, batch)
        if not clear(run, model.forward(nudged(w, 1e-7, draw.rng), batch)):
            continue
        grads = model.gradients(w, batch, run)
        trained = reference.train(model, w, batch, steps, 1.0) if steps else None
        if steps and (trained is None or
                      not steady(trained, reference.train(model, nudged(w, 3e-7, draw.rng), batch, steps))):
            continue
        return write(draw, folder, n, stored, batch, run, grads, trained)
    return None


def store(path, tensors):
    arrays = {k: np.ascontiguousarray(v) for k, v in tensors.items()}
    save_file({k: v.astype(np.int32) if v.dtype.kind == 'i' else v for k, v in arrays.items()}, path)


def write(draw, folder, attempt, weights, batch, run, grads, trained):
    os.makedirs(folder, exist_ok=True)
    what = {'name': os.path.basename(folder), 'what': f'random: {draw.kind}', 'mode': draw.mode,
            'steps': len(trained[0]) if trained else 0, 'seed': [draw.seed, attempt], 'closest': float(run.closest)}
    if 'lm_head.weight' in weights and draw.raw['model_type'] != 't5' and draw.seed % 2:  # as Hugging Face needs them
        weights |= {f'{stack}.embed_tokens.weight': weights['shared.weight'] for stack in ('encoder', 'decoder')}
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
