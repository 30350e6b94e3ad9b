# SPDX-License-Identifier: Apache-2.0
"""Writes the cases of tests/golden that come from transformers: small random models of T5's relatives, with logits,
loss and gradients. Needs torch, transformers and safetensors; ./dev test only reads what it wrote.

usage: fixed_vectors.py tests/golden
"""
import json
import pathlib
import sys

import torch
import transformers
from safetensors.torch import save_file

SIZES = dict(vocab_size=40, d_model=16, d_kv=4, d_ff=24, num_layers=3, num_decoder_layers=2, num_heads=3, dropout_rate=0.0)
CASES = {
    'mt5_untied': ('MT5', 'mT5: gated gelu_new, untied output that nothing scales', dict(tie_word_embeddings=False)),
    'umt5_tied': ('UMT5', 'UMT5: a position bias in every self-attention, tied and scaled output', {}),
    'ul2_gated_silu': ('T5', 'as UL2: gated silu, untied', dict(feed_forward_proj='gated-silu', tie_word_embeddings=False)),
    't5_gelu_gated_late': ('T5', 'a file of 2022: feed_forward_proj says gelu, is_gated_act that it is gated; gelu by erf',
                           dict(feed_forward_proj='gelu', dense_act_fn='gelu', is_gated_act=True, tie_word_embeddings=False)),
    't5_gelu_new': ('T5', 'gelu_new that is not gated, tied', dict(feed_forward_proj='gelu_new')),
    't5_quick_gelu': ('T5', 'quick_gelu that is not gated, tied', dict(feed_forward_proj='quick_gelu')),
}


def write(root, name, family, what, keys):
    torch.manual_seed(sum(name.encode()))
    config = getattr(transformers, family + 'Config')(**SIZES, decoder_start_token_id=0, **keys)
    config._attn_implementation = 'eager'
    model = getattr(transformers, family + 'ForConditionalGeneration')(config).eval()
    for parameter in model.parameters():
        parameter.data.normal_(0, 0.2).add_(1.0 if parameter.ndim == 1 else 0.0)
    model = model.double()
    batch, source, target = 3, 27, 11
    ids, labels = torch.randint(2, 40, (batch, source)), torch.randint(2, 40, (batch, target))
    mask = torch.ones_like(ids)
    for row, (s, t) in enumerate(((source, target), (9, target), (source - 3, 4))):
        ids[row, s:], mask[row, s:], labels[row, t:] = 0, 0, -100
    out = model(input_ids=ids, attention_mask=mask, labels=labels)
    out.loss.backward()
    real = labels >= 0
    expected = {'logits': out.logits.detach(), 'encoder_output': out.encoder_last_hidden_state.detach(),
                'loss_ce': out.loss.detach().reshape(1)}
    expected |= {'grad.' + n: p.grad for n, p in model.named_parameters()}
    expected['accuracy'] = (out.logits.argmax(-1) == labels)[real].double().mean().reshape(1)
    start = torch.zeros(batch, 1, dtype=torch.long)
    shifted = torch.cat([start, labels[:, :-1].clamp(min=0)], 1)
    folder = root / name
    folder.mkdir(exist_ok=True)
    save_file({n: p.detach().float().contiguous() for n, p in model.named_parameters()}, folder / 'model.safetensors')
    save_file({k: v.int().contiguous() for k, v in (('input_ids', ids), ('attention_mask', mask), ('labels', labels),
                                                  ('decoder_input_ids', shifted))}, folder / 'batch.safetensors')
    save_file({k: v.double().contiguous() for k, v in expected.items()}, folder / 'expected.safetensors')
    stored = {k: v for k, v in config.to_dict().items() if k in CONFIG_KEYS or k in keys} | {'architectures': [type(model).__name__]}
    (folder / 'config.json').write_text(json.dumps(stored, indent=1) + '\n')
    case = {'name': name, 'what': what, 'mode': 'eval', 'from': f'transformers {transformers.__version__}'}
    (folder / 'case.json').write_text(json.dumps(case, indent=1) + '\n')


CONFIG_KEYS = {'model_type', 'vocab_size', 'd_model', 'd_kv', 'd_ff', 'num_layers', 'num_decoder_layers', 'num_heads', 'dropout_rate',
               'relative_attention_num_buckets', 'relative_attention_max_distance', 'layer_norm_epsilon', 'initializer_factor',
               'feed_forward_proj', 'dense_act_fn', 'is_gated_act', 'tie_word_embeddings', 'scale_decoder_outputs',
               'pad_token_id', 'eos_token_id', 'decoder_start_token_id', 'is_encoder_decoder'}

if __name__ == '__main__':
    for case, (family, what, keys) in CASES.items():
        write(pathlib.Path(sys.argv[1]), case, family, what, keys)
