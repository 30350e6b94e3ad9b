# SPDX-License-Identifier: Apache-2.0
"""reference.py: docs/spec.md once more, in float64, written from its text and not from the engine.

One forward pass serves two array libraries: NumPy computes every value and decides the routing, one token at a time;
JAX then differentiates the same pass with those decisions held fixed, because nothing flows through a choice.
"""
import json
import math
import os
from types import SimpleNamespace

os.environ.setdefault('XLA_FLAGS', '--xla_backend_optimization_level=0')  # every case is compiled once and runs briefly
import jax
import jax.numpy as jnp
import numpy as np
import routing

jax.config.update('jax_enable_x64', True)
IGNORE = -100


def config(raw):
    """Hugging Face's config.json with its defaults filled in, and our keys."""
    own, switch = raw.get('switchyard', {}), raw['model_type'] == 'switch_transformers'
    c = SimpleNamespace(switch=switch, vocab=raw['vocab_size'], d=raw['d_model'], f=raw['d_ff'], heads=raw['num_heads'])
    c.k = raw.get('d_kv', 64)
    c.layers = {'encoder': raw['num_layers'], 'decoder': raw.get('num_decoder_layers', 12 if switch else raw['num_layers'])}
    c.sparse = {s: raw.get(f'num_sparse_{s}_layers', 3) if switch else 0 for s in c.layers}
    c.experts = raw.get('num_experts', 8)
    c.buckets, c.distance = raw.get('relative_attention_num_buckets', 32), raw.get('relative_attention_max_distance', 128)
    c.eps, c.pad = raw.get('layer_norm_epsilon', 1e-6), raw.get('pad_token_id', 0)
    c.start = raw.get('decoder_start_token_id', 0)
    c.gated = 'gated-gelu' in (raw.get('feed_forward_proj'), raw.get('dense_act_fn'))
    c.tied = raw.get('tie_word_embeddings', True)
    c.scaled = raw.get('scale_decoder_outputs', c.tied)
    c.aux, c.z = raw.get('router_aux_loss_coef', 0.001), raw.get('router_z_loss_coef', 0.001)
    c.expert_capacity = raw.get('expert_capacity')
    c.router, c.group, c.rounds = own.get('router', 'switch'), own.get('group_tokens', 0), own.get('ntlb_top_k', 4)
    c.factor = {m: own.get(f'capacity_factor_{m}') for m in ('train', 'eval')}
    c.least = own.get('min_expert_capacity', 4)
    c.output_z, c.smoothing = own.get('z_loss', 0.0), own.get('label_smoothing', 0.0)
    return c


def is_sparse(c, stack, i):
    step = c.layers[stack] // c.sparse[stack] if c.sparse[stack] else 0
    return i % step == 1 if step > 1 else step == 1


def shapes(c):
    """Every weight by its Hugging Face name."""
    out, inner = {'shared.weight': (c.vocab, c.d)}, c.heads * c.k

    def ffn(prefix):
        for name in ('wi_0', 'wi_1') if c.gated else ('wi',):
            out[f'{prefix}.{name}.weight'] = (c.f, c.d)
        out[f'{prefix}.wo.weight'] = (c.d, c.f)

    for stack, layers in c.layers.items():
        attentions = ['layer.0.SelfAttention'] + ['layer.1.EncDecAttention'] * (stack == 'decoder')
        for i in range(layers):
            block, last = f'{stack}.block.{i}', f'{stack}.block.{i}.layer.{len(attentions)}'
            for a in attentions:
                out.update({f'{block}.{a}.{n}.weight': (c.d, inner) if n == 'o' else (inner, c.d) for n in 'qkvo'})
                if i == 0 and a.startswith('layer.0'):
                    out[f'{block}.{a}.relative_attention_bias.weight'] = (c.buckets, c.heads)
            out.update({f'{block}.layer.{n}.layer_norm.weight': (c.d,) for n in range(len(attentions) + 1)})
            if is_sparse(c, stack, i):
                out[f'{last}.mlp.router.classifier.weight'] = (c.experts, c.d)
                for e in range(c.experts):
                    ffn(f'{last}.mlp.experts.expert_{e}')
            else:
                ffn(f'{last}.mlp' if c.switch else f'{last}.DenseReluDense')
        out[f'{stack}.final_layer_norm.weight'] = (c.d,)
    if not c.tied:
        out['lm_head.weight'] = (c.vocab, c.d)
    return out


def bucket(distance, bidirectional, buckets, most):
    """T5's bucket of `distance` = key - query; the logarithm's edges in whole numbers, so none is rounded."""
    n = buckets // 2 if bidirectional else buckets
    base, away = (n if bidirectional and distance > 0 else 0), abs(distance) if bidirectional else max(-distance, 0)
    exact = n // 2
    if away < exact:
        return base + away
    k = 0  # the most k with (away / exact)^(n - exact) >= (most / exact)^k
    while k < n - exact - 1 and away ** (n - exact) * exact ** (k + 1) >= most ** (k + 1) * exact ** (n - exact):
        k += 1
    return base + exact + k


# ---- the model ------------------------------------------------------------------------------------------------------

def norm(xp, c, w, x):
    return w * x / xp.sqrt((x * x).mean(-1, keepdims=True) + c.eps)


def softmax(xp, x):
    e = xp.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def logsumexp(xp, x):
    most = x.max(-1, keepdims=True)
    return (most + xp.log(xp.exp(x - most).sum(-1, keepdims=True)))[..., 0]


def attention(xp, c, w, prefix, x, memory, bias, visible):
    q, k, v = ((y @ w[f'{prefix}.{n}.weight'].T).reshape(*y.shape[:2], c.heads, c.k)
               for n, y in (('q', x), ('k', memory), ('v', memory)))
    score = xp.where(visible, xp.einsum('bqhk,bmhk->bhqm', q, k) + bias, -1e30)
    mixed = xp.einsum('bhqm,bmhk->bqhk', softmax(xp, score), v)
    return mixed.reshape(*x.shape[:2], -1) @ w[f'{prefix}.o.weight'].T


def ffn(xp, c, w, prefix, x, note):
    if not c.gated:
        a = x @ w[f'{prefix}.wi.weight'].T
        note(a)
        hidden = xp.maximum(a, 0)
    else:
        a = x @ w[f'{prefix}.wi_0.weight'].T
        gelu = 0.5 * a * (1 + xp.tanh(math.sqrt(2 / math.pi) * (a + 0.044715 * a ** 3)))
        hidden = gelu * (x @ w[f'{prefix}.wi_1.weight'].T)
    return hidden @ w[f'{prefix}.wo.weight'].T


def routed(xp, c, w, prefix, layer, x, alive, jitter, mode, run):
    """One sparse layer: its output, after writing its losses and, in NumPy, everything else to run.out."""
    rows, shape, flat = w[f'{prefix}.router.classifier.weight'], x.shape[:2], alive.reshape(-1)
    u = x if jitter is None else x * jitter
    z = (u[:, :, None, :] * rows).sum(-1).reshape(-1, c.experts)  # equal rows give equal sums, whatever BLAS does
    p, nominal = softmax(xp, z), c.group or shape[1]
    group = np.arange(flat.size) // nominal
    if xp is np:
        run.decisions[layer] = routing.choose(c, p, rows, flat, group, routing.capacity(c, mode, nominal), nominal)
    r = run.decisions[layer]
    gate = p * r.chosen
    if c.router == 'top2':
        gate = gate / (gate.sum(-1, keepdims=True) + 1.0 - flat[:, None])
    y = 0
    for e in range(c.experts):
        y = y + (gate * r.kept)[:, e].reshape(*shape, 1) * ffn(xp, c, w, f'{prefix}.experts.expert_{e}', x,
                                                                lambda a, e=e: run.note(a, r.kept[:, e].reshape(shape)))
    member = (np.arange(group[-1] + 1)[:, None] == group) * flat
    count = member.sum(-1)
    share, mean = (member @ m / xp.maximum(count, 1)[:, None] for m in (r.first, p))
    coef = 0.0 if c.router == 'expert_choice' else c.aux
    by_group = coef * c.experts * (share * mean).sum(-1)
    aux = by_group.sum() / xp.maximum((count > 0).sum(), 1)
    z_loss = c.z * (logsumexp(xp, z) ** 2 * flat).sum() / xp.maximum(flat.sum(), 1)
    run.aux, run.z = run.aux + aux, run.z + z_loss
    if xp is np:
        wide, dead = shape + (c.experts,), flat[:, None]
        many = shape if r.expert.shape[1] == 1 else shape + (-1,)
        values = {'z': (z * dead).reshape(wide), 'p': (p * dead).reshape(wide), 'expert': r.expert.reshape(many),
                  'gate': (np.take_along_axis(gate, np.maximum(r.expert, 0), 1) * (r.expert >= 0)).reshape(many),
                  'kept': r.keeps.reshape(many), 'capacity': np.array([r.capacity]), 'load': r.load, 'group_aux': by_group,
                  'dropped': np.array([((r.kept.sum(-1) == 0) * flat).sum() / max(flat.sum(), 1)])}
        values['taken' if c.router == 'expert_choice' else 'position'] = \
            r.taken if c.router == 'expert_choice' else r.position.reshape(many)
        if c.router == 'ntlb':
            values['choice'] = r.choice.reshape(shape)
        run.out.update({f'router.{layer}.{k}': v for k, v in values.items()})
        run.out.update({f'aux.{layer}': np.array([aux]), f'z.{layer}': np.array([z_loss])})
    return y


def stack(xp, c, w, name, x, alive, visible, memory, cross, batch, mode, run):
    causal = name == 'decoder'
    places = range(x.shape[1])
    table = np.array([[bucket(m - q, not causal, c.buckets, c.distance) for m in places] for q in places])
    bias = xp.moveaxis(w[f'{name}.block.0.layer.0.SelfAttention.relative_attention_bias.weight'][table], -1, 0)
    for i in range(c.layers[name]):
        block, last = f'{name}.block.{i}', f'{name}.block.{i}.layer.{2 if causal else 1}'
        h = norm(xp, c, w[f'{block}.layer.0.layer_norm.weight'], x)
        x = x + attention(xp, c, w, f'{block}.layer.0.SelfAttention', h, h, bias, visible)
        if causal:
            h = norm(xp, c, w[f'{block}.layer.1.layer_norm.weight'], x)
            x = x + attention(xp, c, w, f'{block}.layer.1.EncDecAttention', h, memory, 0.0, cross)
        h = norm(xp, c, w[f'{last}.layer_norm.weight'], x)
        if is_sparse(c, name, i):
            x = x + routed(xp, c, w, f'{last}.mlp', block, h, alive, batch.get(f'jitter.{block}'), mode, run)
        else:
            x = x + ffn(xp, c, w, f'{last}.mlp' if c.switch else f'{last}.DenseReluDense', h, lambda a: run.note(a, alive))
    return norm(xp, c, w[f'{name}.final_layer_norm.weight'], x)


def forward(xp, c, w, batch, mode, decisions=None):
    """Losses and values of one batch. `run.closest` says how near the closest decision was, 1 being what we allow."""
    run = SimpleNamespace(aux=0.0, z=0.0, out={}, decisions=decisions if decisions is not None else {}, kink=math.inf)

    def note(a, rows):  # how near a rectifier's input comes to its kink, where float32 may land on the other side
        if xp is np and rows.any():
            run.kink = min(run.kink, np.abs(a[rows != 0]).min())

    run.note = note
    mask, labels = batch['attention_mask'], batch['labels']
    kind = w['shared.weight'].dtype
    source, target = (mask != 0).astype(kind), (labels != IGNORE).astype(kind)
    seen = xp.concatenate([np.full((len(labels), 1), c.start), xp.where(labels == IGNORE, c.pad, labels)[:, :-1]], 1)
    unmasked, causal = (mask != 0)[:, None, None, :], np.tril(np.ones((labels.shape[1],) * 2, bool))
    memory = stack(xp, c, w, 'encoder', w['shared.weight'][batch['input_ids']], source, unmasked, None, None, batch, mode, run)
    h = stack(xp, c, w, 'decoder', w['shared.weight'][seen], target, causal, memory, unmasked, batch, mode, run)
    logits = (h * c.d ** -0.5 if c.scaled else h) @ w.get('lm_head.weight', w['shared.weight']).T
    lse, count = logsumexp(xp, logits), xp.maximum(target.sum(), 1)
    right = xp.take_along_axis(logits, xp.maximum(labels, 0)[..., None], -1)[..., 0]
    each = lse - (1 - c.smoothing) * right - c.smoothing * logits.mean(-1)
    ce = (each * target).sum() / count
    run.z = run.z + c.output_z * (lse ** 2 * target).sum() / count  # not in CE, so that perplexity stays one
    run.total = ce + run.aux + run.z
    if xp is np:
        hit = ((logits.argmax(-1) == labels) * target).sum() / count
        ordered = np.sort(logits, -1)
        lead = (ordered[..., -1] - ordered[..., -2])[target != 0].min(initial=math.inf) / (1e-5 * np.abs(logits).max())
        run.closest = min([lead] + [r.closest for r in run.decisions.values()])
        run.out.update({'logits': logits * target[..., None], 'encoder_output': memory * source[..., None]})
        run.out.update({k: np.array([v]) for k, v in
                        (('loss_ce', ce), ('aux', run.aux), ('z', run.z), ('total', run.total), ('accuracy', hit))})
    return run


class Model:
    """A config in one mode; compiled once for each shape of batch, then any weights, float64 or float32."""

    def __init__(self, raw, mode):
        self.c, self.mode = config(raw), mode

        def total(w, batch, fixed):
            decisions = {k: SimpleNamespace(first=v[0], chosen=v[1], kept=v[2]) for k, v in fixed.items()}
            return forward(jnp, self.c, w, batch, mode, decisions).total

        self.differentiate = jax.jit(jax.value_and_grad(total))

    def forward(self, w, batch):
        return forward(np, self.c, w, batch, self.mode)

    def gradients(self, w, batch, run):
        kind = w['shared.weight'].dtype
        fixed = {k: tuple(v.astype(kind) for v in (r.first, r.chosen, r.kept)) for k, r in run.decisions.items()}
        total, grads = self.differentiate(w, batch, fixed)
        assert total.dtype == kind and abs(float(total) - run.total) <= 1e5 * np.finfo(kind).eps * abs(run.total)
        return {k: np.asarray(v) for k, v in grads.items()}


def rate(t):
    return 1 / math.sqrt(max(t, 10000))


def adafactor(w, g, state, t):
    """One matrix, one step; `state` is a dictionary that starts empty."""
    beta, square = 1 - t ** -0.8, g * g + 1e-30

    def average(key, value):
        state[key] = beta * state.get(key, 0) + (1 - beta) * value
        return state[key]

    if w.ndim == 2 and min(w.shape) >= 128:
        r, col = average('r', square.mean(1)), average('c', square.mean(0))
        u = g / np.sqrt(r / r.mean())[:, None] / np.sqrt(col)
    else:
        u = g / np.sqrt(average('v', square))
    u = u / max(1.0, math.sqrt((u * u).mean()))
    return w - rate(t) * max(math.sqrt((w * w).mean()), 1e-3) * u


def train(model, w, batch, steps, least=0.0):
    """`steps` Adafactor steps on the batch: the losses before each, the last weights, and per weight the elements whose
    gradient was close to nothing in some step (their sign is rounding's). None as soon as a decision is closer than `least`."""
    w, states, trace, shaky = dict(w), {}, [], {k: np.zeros(v.shape, bool) for k, v in w.items()}
    for t in range(1, steps + 1):
        run = model.forward(w, batch)
        if run.closest < least:
            return None
        trace.append({'step': t, 'lr': rate(t)} | {k: float(run.out[k][0]) for k in ('loss_ce', 'aux', 'z', 'total')})
        for name, g in model.gradients(w, batch, run).items():
            shaky[name] |= (g != 0) & (np.abs(g) < 1e-4 * np.abs(g).max())
            w[name] = adafactor(w[name], g, states.setdefault(name, {}), t)
    return trace, w, shaky


def read_json(path):
    with open(path, encoding='utf-8') as file:
        return json.load(file)
