#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""models.py BUILD [--device ID]: the model families of Hugging Face in our hands, and our model directories in theirs.

Tiny models with random weights that transformers writes are loaded by switchyard-eval; its logits and the gradient of every weight
are compared with those of PyTorch, in f32 on both sides and without dropped tokens. Then what switchyard-train writes is loaded
by transformers: without a missing or unexpected tensor, with the same logits. A family that does not work says why.
"""
import argparse
import os
import sys
import tempfile

import torch
import transformers
from safetensors.torch import load_file, save_file

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from apps import Suite, config, text  # pylint: disable=wrong-import-position

BASE = {'vocab_size': 97, 'd_model': 24, 'd_kv': 8, 'd_ff': 40, 'num_layers': 4, 'num_decoder_layers': 4, 'num_heads': 3,
        'decoder_start_token_id': 0, 'dropout_rate': 0.0}
SPARSE = {'num_experts': 4, 'expert_capacity': 64, 'num_sparse_encoder_layers': 2, 'num_sparse_decoder_layers': 2,
          'router_jitter_noise': 0.0, 'router_z_loss_coef': 0.0, 'router_aux_loss_coef': 0.0}
GATED = {'feed_forward_proj': 'gated-gelu', 'tie_word_embeddings': False}
NONE = {'num_sparse_encoder_layers': 0, 'num_sparse_decoder_layers': 0}
EVERY = {'num_sparse_encoder_layers': 4, 'num_sparse_decoder_layers': 3}
# ByT5 is T5 1.1's shape with a vocabulary of bytes and many encoder layers; transformers has no class of its own for it.
THEIRS = (('T5 1.0', 'T5', {}, {}), ('T5 1.1, gated, untied', 'T5', GATED, {}),
          ('ByT5', 'T5', {**GATED, 'vocab_size': 384, 'num_layers': 6, 'num_decoder_layers': 2}, {}),
          ('mT5', 'MT5', GATED, {}), ('UMT5', 'UMT5', GATED, {}),
          ('Switch', 'SwitchTransformers', SPARSE, {}),
          ('Switch, untied', 'SwitchTransformers', {**SPARSE, 'tie_word_embeddings': False}, {}),
          ('Switch, no sparse layer', 'SwitchTransformers', {**SPARSE, **NONE}, {}),
          ('Switch, all sparse', 'SwitchTransformers', {**SPARSE, **EVERY}, {}),
          ('Switch, shards', 'SwitchTransformers', SPARSE, {'max_shard_size': '20KB'}),
          ('Switch, bf16', 'SwitchTransformers', SPARSE, {}))
OURS = (('Switch', True, {}), ('Switch, untied', True, {'tie_word_embeddings': False}),
        ('Switch, dense decoder', True, {'num_sparse_decoder_layers': 0}), ('T5 1.0', False, {}), ('T5 1.1, gated', False, GATED))
LOGITS, GRADIENTS = 2e-6, 2e-5  # of the largest logit, and of the largest element of a weight's gradient; f32 on both sides


def error(got, want):
    return float((got.float() - want).abs().max() / want.abs().max().clamp_min(1e-12))


def last_line(done):
    return (done.stderr.strip().splitlines() or [f'exit status {done.returncode}'])[-1].replace(tempfile.gettempdir() + '/', '')


class Table:
    def __init__(self, suite, device):
        self.s, self.device = suite, device
        print(f'{"family":<34}{"load":<8}{"logits":<12}{"gradients":<12}\n{"-" * 66}')

    def line(self, family, cells, good, why=''):
        print(f'{family:<34}{cells[0]:<8}{cells[1]:<12}{cells[2]:<12}{why}', flush=True)
        self.s.passed, self.s.failed = self.s.passed + good, self.s.failed + (not good)

    def compare(self, family, folder, gradients, model, told=None):
        s = self.s
        model.eval()
        generator = torch.Generator().manual_seed(1)
        ids = torch.randint(3, model.config.vocab_size, (2, 13), generator=generator)
        labels = torch.randint(3, model.config.vocab_size, (2, 9), generator=generator)
        mask = torch.ones_like(ids)
        mask[1, 9:] = ids[1, 9:] = 0
        labels[0, 6:] = -100
        save_file({'input_ids': ids, 'attention_mask': mask, 'labels': labels}, s.path('batch.safetensors'))
        done = s.run('eval', '--model', folder, '--batch', s.path('batch.safetensors'), '--dump', s.path('dump.safetensors'),
                     '--precision', 'f32', '--device', self.device, *['--gradients'] * gradients)
        unread = [name for names in (told or {}).values() for name in names]
        if done.returncode != 0:
            self.line(family, ('no', '–', '–'), False, last_line(done))
            return
        got = load_file(s.path('dump.safetensors'))
        answer = model(input_ids=ids, attention_mask=mask, labels=labels)
        logits = error(got['logits'][labels != -100], answer.logits[labels != -100].detach())
        worst, why = 0.0, ''
        if gradients:
            answer.loss.backward()
            for name, weight in model.named_parameters():
                mine = got.get('grad.' + name)
                off = float('inf') if mine is None else error(mine, weight.grad if weight.grad is not None else 0 * weight.detach())
                if off > worst:
                    worst, why = off, f'worst in {name}'
        good = logits < LOGITS and worst < GRADIENTS and not unread
        if unread:
            why = f'transformers finds tensors missing or unexpected: {unread}'
        self.line(family, ('yes', f'{logits:.1e}', f'{worst:.1e}' if gradients else ''), good, '' if good else why or 'too far apart')


def main():
    parser = argparse.ArgumentParser(prog='dev peers models', description=__doc__.split(': ', 1)[1])
    parser.add_argument('build', help=argparse.SUPPRESS)
    parser.add_argument('--device', default='ref:0', metavar='ID', help='of ours (default ref:0)')
    options = parser.parse_args()
    s = Suite(os.path.join(options.build, 'apps'))
    torch.manual_seed(0)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    print(f'transformers {transformers.__version__}, PyTorch {torch.__version__}; errors relative to the largest element\n')
    table = Table(s, options.device)
    for family, kind, changes, how in THEIRS:
        made = getattr(transformers, kind + 'Config')(**{**BASE, **changes})
        model = getattr(transformers, kind + 'ForConditionalGeneration')(made)
        model = model.to(torch.bfloat16) if 'bf16' in family else model
        model.save_pretrained(s.path(family), safe_serialization=True, **how)
        # Not as transformers loads it again: it leaves the embeddings of an untied Switch model out, and draws new ones.
        table.compare(family, s.path(family), True, model.float())
    text(s.path('a.txt'))
    for family, switch, changes in OURS:
        out = s.path('ours ' + family)
        config(s.path('c.json'), switch, **{'expert_capacity': 64, 'switchyard': None} if switch else {}, **changes)
        done = s.run('train', '--model', s.path('c.json'), '--data', s.path('a.txt'), '--out', out, '--steps', 2, '--src-len', 24,
                     '--tgt-len', 12, '--batch-tokens', 48, '--device', options.device)
        if done.returncode == 0:
            loaded = transformers.AutoModelForSeq2SeqLM.from_pretrained(os.path.join(out, 'latest'), output_loading_info=True)
            table.compare('ours: ' + family, os.path.join(out, 'latest'), False, *loaded)
        else:
            table.line('ours: ' + family, ('no', '–', '–'), False, last_line(done))
    s.done()


if __name__ == '__main__':
    main()
