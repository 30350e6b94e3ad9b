#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""huggingface.py APPS_DIR: our model directories in Hugging Face's hands, and theirs in ours, without dropped tokens.

Run by hand where torch and transformers are installed (below 5: later ones read capacity and position bias differently);
no test of the suite needs them. Each pair must load without a missing or unexpected tensor and give the same logits.
"""
import os
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import SwitchTransformersConfig, SwitchTransformersForConditionalGeneration, T5Config, T5ForConditionalGeneration

from apps import Suite, config, text

SWITCH, T5 = (SwitchTransformersForConditionalGeneration, SwitchTransformersConfig), (T5ForConditionalGeneration, T5Config)
GATED = {'feed_forward_proj': 'gated-gelu', 'tie_word_embeddings': False}
BASE = {'vocab_size': 97, 'd_model': 24, 'd_kv': 8, 'd_ff': 40, 'num_layers': 4, 'num_decoder_layers': 4, 'num_heads': 3,
        'decoder_start_token_id': 0}
SPARSE = {'num_experts': 4, 'expert_capacity': 64, 'num_sparse_encoder_layers': 2, 'num_sparse_decoder_layers': 2,
          'router_jitter_noise': 0.0}
LIMIT = 2e-6  # of the largest logit, f32 on both sides


def compare(s, kind, folder, name):
    model, told = kind[0].from_pretrained(folder, output_loading_info=True)
    model.eval()
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(3, model.config.vocab_size, (2, 13), generator=generator)
    labels = torch.randint(3, model.config.vocab_size, (2, 9), generator=generator)
    mask = torch.ones_like(ids)
    mask[1, 9:] = ids[1, 9:] = 0
    labels[0, 6:] = -100
    save_file({'input_ids': ids, 'attention_mask': mask, 'labels': labels}, s.path('batch.safetensors'))
    done = s.run('eval', '--model', folder, '--batch', s.path('batch.safetensors'), '--dump', s.path('dump.safetensors'),
                 '--precision', 'f32', '--device', 'ref:0')
    if not s.ok(done.returncode == 0, f'{name}: we load it', done.stderr):
        return
    with torch.no_grad():
        want = model(input_ids=ids, attention_mask=mask, labels=labels).logits[labels != -100]
    error = float((load_file(s.path('dump.safetensors'))['logits'][labels != -100] - want).abs().max() / want.abs().max())
    s.ok(not any(told.values()) and error < LIMIT, f'{name}: the same logits, error {error:.1e}', told)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    s = Suite(sys.argv[1])
    torch.manual_seed(0)
    text(s.path('a.txt'))
    capacity = {'expert_capacity': 64, 'switchyard': None}
    for name, kind, changes in (('switch', SWITCH, capacity), ('switch, untied', SWITCH, {'tie_word_embeddings': False, **capacity}),
                                ('switch, dense decoder', SWITCH, {'num_sparse_decoder_layers': 0, **capacity}),
                                ('t5', T5, {}), ('t5, gated', T5, GATED)):
        out = s.path('ours ' + name)
        config(s.path('c.json'), kind is SWITCH, **changes)
        s.run('train', '--model', s.path('c.json'), '--data', s.path('a.txt'), '--out', out, '--steps', 2, '--src-len', 24,
              '--tgt-len', 12, '--batch-tokens', 48, '--device', 'ref:0')
        compare(s, kind, os.path.join(out, 'latest'), f'ours, {name}')
    none = {'num_sparse_encoder_layers': 0, 'num_sparse_decoder_layers': 0}
    every = {'num_sparse_encoder_layers': 4, 'num_sparse_decoder_layers': 3}
    for name, kind, changes, how in (
            ('switch', SWITCH, SPARSE, {}), ('switch, untied', SWITCH, {**SPARSE, 'tie_word_embeddings': False}, {}),
            ('switch, shards', SWITCH, SPARSE, {'max_shard_size': '20KB'}), ('switch, bf16', SWITCH, SPARSE, {}),
            ('switch, no sparse layer', SWITCH, {**SPARSE, **none}, {}), ('switch, all sparse', SWITCH, {**SPARSE, **every}, {}),
            ('t5', T5, {}, {}), ('t5, gated', T5, GATED, {})):
        model = kind[0](kind[1](**BASE, **changes))
        model = model.to(torch.bfloat16) if 'bf16' in name else model
        model.save_pretrained(s.path('theirs ' + name), safe_serialization=True, **how)
        compare(s, kind, s.path('theirs ' + name), f'theirs, {name}')
    s.done()


if __name__ == '__main__':
    main()
