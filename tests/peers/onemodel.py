# SPDX-License-Identifier: Apache-2.0
"""onemodel.py: one row of models.py: a model written as transformers or PyTorch write it, and what both sides make of it."""
import json
import os
import tempfile

import torch
import transformers
from safetensors.torch import load_file, save_file

LIMIT = 2e-5  # of the largest element; f32 on both sides
TYPES = {'f32': torch.float32, 'f16': torch.float16, 'bf16': torch.bfloat16}
TOKENS = 10  # of an output


class Wrong(Exception):
    pass


def versions():
    return f'transformers {transformers.__version__}, PyTorch {torch.__version__}'


def error(got, want):
    return float((got.float() - want).abs().max() / want.abs().max().clamp_min(1e-12))


def last_line(done):
    return (done.stderr.strip().splitlines() or [f'exit status {done.returncode}'])[-1].replace(tempfile.gettempdir() + '/', '')


# ---- what Hugging Face and PyTorch write ------------------------------------------------------------------------------


def untie(model, kind):
    """transformers 5 ties a T5's head whatever its config says, until a file has another one; files of T5 1.1 have."""
    if kind == 'SwitchTransformers':  # there nothing is tied then, not even the three embeddings
        for stack in (model.encoder, model.decoder):
            stack.embed_tokens.weight = torch.nn.Parameter(model.shared.weight.detach().clone())
    else:
        model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight))


def write_bin(folder, model, shards):
    names = list(model.state_dict().items())
    if shards == 1:
        torch.save(dict(names), os.path.join(folder, 'pytorch_model.bin'))
        return
    index, size = {}, -(-len(names) // shards)
    for i in range(shards):
        file = f'pytorch_model-{i + 1:05}-of-{shards:05}.bin'
        part = {name: tensor.clone() for name, tensor in names[i * size:(i + 1) * size]}
        torch.save(part, os.path.join(folder, file))
        index |= {name: file for name in part}
    with open(os.path.join(folder, 'pytorch_model.bin.index.json'), 'w', encoding='utf-8') as file:
        json.dump({'metadata': {}, 'weight_map': index}, file)


def edit_config(folder, changes):
    """None takes a key away."""
    path = os.path.join(folder, 'config.json')
    with open(path, encoding='utf-8') as file:
        config = json.load(file)
    config = {key: value for key, value in {**config, **changes}.items() if changes.get(key, '') is not None}
    with open(path, 'w', encoding='utf-8') as file:
        json.dump(config, file)


def write(row, folder):
    made = getattr(transformers, row.kind + 'Config')(**row.config)
    model = getattr(transformers, row.kind + 'ForConditionalGeneration')(made)
    if row.config.get('tie_word_embeddings') is False:
        untie(model, row.kind)
    with torch.no_grad():
        for weight in model.parameters():  # norms begin as ones
            if weight.dim() == 1:
                weight += 0.1 * torch.randn_like(weight)
    model = model.to(TYPES[row.dtype])
    if row.form == 'bin':
        model.config.save_pretrained(folder)
        write_bin(folder, model, row.shards)
    else:
        model.save_pretrained(folder, **({'max_shard_size': '12KB'} if row.shards > 1 else {}))
    edit_config(folder, row.edit)


def theirs(folder):
    model, told = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    odd = [name for key in ('missing_keys', 'unexpected_keys', 'mismatched_keys') for name in told.get(key, ())]
    if odd:
        raise Wrong(f'transformers finds tensors missing or unexpected: {sorted(map(str, odd))[:3]}')
    for stack in (model.encoder, model.decoder):
        if not torch.equal(stack.embed_tokens.weight, model.shared.weight):
            raise Wrong('transformers has different embeddings for encoder and decoder')
        stack.embed_tokens.weight = model.shared.weight  # one weight, with one gradient
    return model.eval()


# ---- one row ----------------------------------------------------------------------------------------------------------


class Case:
    def __init__(self, suite, device, row, number):
        self.s, self.device, self.row = suite, device, row
        self.folder, self.batch = suite.path(f'model-{number}'), suite.path('batch.safetensors')
        self.cells = []
        torch.manual_seed(number)
        transformers.logging.set_verbosity(transformers.logging.CRITICAL)
        transformers.utils.logging.disable_progress_bar()

    def ours(self, app, *arguments):
        done = self.s.run(app, *arguments, '--precision', 'f32', '--device', self.device)
        if done.returncode != 0 or 'of its tensors are no part' in done.stderr:
            raise Wrong(last_line(done))
        return done

    def load(self):
        """Both sides read it; the batch that they get has padding on each."""
        self.model = theirs(self.folder)
        config = self.model.config
        generator = torch.Generator().manual_seed(1)
        ids = torch.randint(3, config.vocab_size, (2, 13), generator=generator)
        labels = torch.randint(3, config.vocab_size, (2, 9), generator=generator)
        mask = torch.ones_like(ids)
        mask[1, 9:], ids[1, 9:], labels[0, 6:] = 0, config.pad_token_id or 0, -100
        save_file({'input_ids': ids, 'attention_mask': mask, 'labels': labels}, self.batch)
        self.inputs = {'input_ids': ids, 'attention_mask': mask, 'labels': labels}
        self.ours('eval', '--model', self.folder, '--batch', self.batch, '--dump', self.s.path('dump'), '--gradients')
        self.got = load_file(self.s.path('dump'))
        return 'yes'

    def logits(self):
        self.answer, kept = self.model(**self.inputs), self.inputs['labels'] != -100
        return self.near(error(self.got['logits'][kept], self.answer.logits[kept].detach()), 'logits')

    def near(self, off, what):
        if not off < LIMIT:
            raise Wrong(f'{what} differ by {off:.1e}')
        return f'{off:.1e}'

    def gradients(self):
        self.answer.loss.backward()
        worst, where = 0.0, ''
        for name, weight in self.model.named_parameters():
            mine = self.got.get('grad.' + name)
            want = weight.grad if weight.grad is not None else torch.zeros_like(weight)
            off = float('inf') if mine is None else error(mine, want)
            if off > worst:
                worst, where = off, name
        return self.near(worst, f'gradients of {where}')

    def generate(self):
        rows = [row[mask > 0] for row, mask in zip(self.inputs['input_ids'], self.inputs['attention_mask'])]
        with open(self.s.path('prompts.jsonl'), 'w', encoding='utf-8') as file:
            file.writelines(json.dumps({'prompt': row.tolist()}) + '\n' for row in rows)
        for module in self.model.modules():  # we drop nothing then, so that a text does not depend on how it is decoded
            if hasattr(module, 'expert_capacity'):
                module.expert_capacity = 2**30
        for beams in (1, 3):
            done = self.ours('generate', '--model', self.folder, '--file', self.s.path('prompts.jsonl'), '--json',
                             '--tokenizer', 'bytes', '--max-tokens', TOKENS, *(['--beams', beams] if beams > 1 else []))
            for row, line in zip(rows, done.stdout.splitlines(), strict=True):
                # Of their own accord they take a cache of as many layers as the encoder has.
                cache = transformers.EncoderDecoderCache(transformers.DynamicCache(), transformers.DynamicCache())
                with torch.no_grad():
                    want = self.model.generate(row[None], max_new_tokens=TOKENS, num_beams=beams, do_sample=False, cache=cache)
                want = want[0, 1:].tolist()
                ends = self.model.config.eos_token_id
                ends = ends if isinstance(ends, list) else [ends]
                want = want[:next((i for i, token in enumerate(want) if token in ends), len(want))]
                if json.loads(line)['ids'] != want:
                    raise Wrong(f'{beams} beams: {json.loads(line)["ids"]}, transformers {want}')
        return 'same ids'

    def round_trip(self):
        out = self.folder + '-ours'
        self.ours('train', '--model', self.folder, '--batch', self.batch, '--out', out, '--steps', 1, '--optimizer', 'adamw',
                  '--schedule', 'constant', '--lr', '1e-30', '--dropout', 0)
        again = theirs(os.path.join(out, 'latest'))
        before, after = dict(self.model.named_parameters()), dict(again.named_parameters())
        if before.keys() != after.keys() or any(not torch.equal(before[name], after[name]) for name in before):
            raise Wrong('other weights after a step of length 0')
        # The config's part. Not to the bit: PyTorch adds up in another order where a weight lies elsewhere in memory.
        off = error(again(**self.inputs).logits.detach(), self.answer.logits.detach())
        if not off < LIMIT / 10:
            raise Wrong(f'transformers computes other logits with what we wrote, by {off:.1e}')
        return 'equal'

    def run(self):
        """Fills the cells; returns why the first bad one is bad."""
        write(self.row, self.folder)
        for column in (self.load, self.logits, self.gradients, self.generate, self.round_trip):
            try:
                self.cells.append(column())
            except Wrong as wrong:
                self.cells.append('NO')
                return str(wrong)
        return ''
