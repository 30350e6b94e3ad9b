# SPDX-License-Identifier: Apache-2.0
"""Writes tests/data/decoding: small random models and what transformers' generate() says with them, greedy and by beams, under
the limits that it knows. Needs torch, transformers and safetensors; ./dev test (tests/decodings.c) only reads what it wrote.

usage: decoding_vectors.py tests/data/decoding

A case is kept where f32 and f64 say the same, so that no answer hangs on a last bit.
"""
import itertools
import json
import pathlib
import sys

import torch
import transformers
from safetensors.torch import save_file

SIZES = dict(vocab_size=40, d_model=16, d_kv=4, d_ff=24, num_layers=2, num_decoder_layers=2, num_heads=3, dropout_rate=0.0)
# Family, keys, and seed, spread and weight of eos: chosen for varied answers among those that the options change.
MODELS = {
    't5': ('T5', (8, 0.5, 1.0), dict(tie_word_embeddings=False)),
    'switch': ('SwitchTransformers', (10, 0.3, 1.5), dict(
        num_experts=4, num_sparse_encoder_layers=1, num_sparse_decoder_layers=1, expert_capacity=64,
        tie_word_embeddings=False, router_jitter_noise=0.0)),
}
GREEDY = [{}, {'repetition_penalty': 1.7}, {'repetition_penalty': 0.8}, {'no_repeat_ngram_size': 1}, {'no_repeat_ngram_size': 2},
          {'min_new_tokens': 6}, {'no_repeat_ngram_size': 3, 'repetition_penalty': 1.2, 'min_new_tokens': 12}]
BEAMS = [{'num_beams': n, 'length_penalty': p, 'early_stopping': e}
         for n, p, e in itertools.product((2, 4), (0.6, 1.0, 2.0), (False, True))]
BEAMS += [{'num_beams': 4, 'length_penalty': p, 'early_stopping': 'never'} for p in (-1.0, 0.0, 1.0)]
BEAMS += [{'num_beams': 3, 'no_repeat_ngram_size': 2}, {'num_beams': 4, 'no_repeat_ngram_size': 1, 'length_penalty': 2.0},
          {'num_beams': 4, 'repetition_penalty': 1.5, 'min_new_tokens': 5}, {'num_beams': 20, 'length_penalty': 0.6}]
MOST = 12


def sources():
    lengths = (9, 3, 6, 1)
    ids = torch.zeros(len(lengths), max(lengths), dtype=torch.long)
    for row, length in enumerate(lengths):
        ids[row, :length] = torch.randint(2, SIZES['vocab_size'], (length,))
        ids[row, length - 1] = 1
    return ids, lengths


def say(model, ids, lengths, options):
    mask = torch.zeros_like(ids)
    for row, length in enumerate(lengths):
        mask[row, :length] = 1
    with torch.inference_mode():
        out = model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=MOST, do_sample=False, **options)
    rows = []
    for row in out[:, 1:].tolist():
        rows.append(row[:row.index(1)] if 1 in row else row)
    return rows


def write(root, name, family, drawn, keys):
    seed, spread, eos = drawn
    torch.manual_seed(seed)
    config = getattr(transformers, family + 'Config')(**SIZES, decoder_start_token_id=0, **keys)
    model = getattr(transformers, family + 'ForConditionalGeneration')(config).eval()
    for which, parameter in model.named_parameters():
        parameter.data.normal_(0, spread).add_(1.0 if parameter.ndim == 1 else 0.0)
        if 'lm_head' in which:
            parameter.data.mul_(0.3 / spread)
            parameter.data[1] *= eos
    ids, lengths = sources()
    cases, dropped = [], 0
    for options in GREEDY + BEAMS:
        said = say(model.float(), ids, lengths, options)
        if said == say(model.double(), ids, lengths, options):
            cases.append({'options': options, 'ids': said})
        else:
            dropped += 1
    folder = root / name
    folder.mkdir(exist_ok=True, parents=True)
    save_file({n: p.detach().float().contiguous() for n, p in model.named_parameters()}, folder / 'model.safetensors')
    stored = {k: v for k, v in config.to_dict().items() if k in CONFIG_KEYS or k in keys}
    (folder / 'config.json').write_text(json.dumps(stored, indent=1) + '\n')
    lines = ',\n'.join('  ' + json.dumps(case) for case in cases)
    text = f'{{"from": "transformers {transformers.__version__}", "max_new_tokens": {MOST},\n "sources": ' + json.dumps(
        [row[:length] for row, length in zip(ids.tolist(), lengths)]) + f',\n "cases": [\n{lines}\n ]}}\n'
    (folder / 'cases.json').write_text(text)
    print(name, len(cases), 'cases,', dropped, 'dropped,', len({json.dumps(c['ids']) for c in cases}), 'answers; lengths',
          sorted({len(row) for c in cases for row in c['ids']}))


CONFIG_KEYS = {'model_type', 'vocab_size', 'd_model', 'd_kv', 'd_ff', 'num_layers', 'num_decoder_layers', 'num_heads', 'dropout_rate',
               'relative_attention_num_buckets', 'relative_attention_max_distance', 'layer_norm_epsilon', 'feed_forward_proj',
               'tie_word_embeddings', 'pad_token_id', 'eos_token_id', 'decoder_start_token_id', 'is_encoder_decoder'}

if __name__ == '__main__':
    for model_name, recipe in MODELS.items():
        write(pathlib.Path(sys.argv[1]), model_name, *recipe)
