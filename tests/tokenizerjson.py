#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tokenizerjson.py APPS_DIR SOURCE_DIR: a directory with tokenizer.json and no spiece.model: the ids of spiece.model, and bad ones.

The file is made here from T5's spiece.model, in the form in which transformers writes it.
"""
import base64
import json
import os
import shutil
import struct
import sys

from apps import Suite, config, refuse

PIECE, NORMALIZER = 1, 3


def fields(data):
    """(number, value) of a protobuf message."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        tag = varint()
        if tag & 7 == 0:
            yield tag >> 3, varint()
            continue
        size = varint() if tag & 7 == 2 else 4 if tag & 7 == 5 else 8
        yield tag >> 3, data[at:at + size]
        at += size


def described(model, **changes):
    """tokenizer.json of a SentencePiece model."""
    message = list(fields(model))
    pieces = [dict(fields(v)) for k, v in message if k == PIECE]
    table = next(dict(fields(v))[2] for k, v in message if k == NORMALIZER)
    vocab = [[p[1].decode(), struct.unpack('<f', p[2])[0] if 2 in p else 0.0] for p in pieces]
    masks = [f'<extra_id_{i}>' for i in range(99, -1, -1)]
    tokens = [(i, vocab[i][0]) for i in range(3)] + [(len(vocab) + i, m) for i, m in enumerate(masks)]
    return {
        'version': '1.0', 'truncation': None, 'padding': None,
        'added_tokens': [{'id': i, 'content': t, 'special': True, 'normalized': False} for i, t in tokens],
        'normalizer': {'type': 'Precompiled', 'precompiled_charsmap': base64.b64encode(table).decode()},
        'pre_tokenizer': {'type': 'Sequence', 'pretokenizers': [
            {'type': 'WhitespaceSplit'}, {'type': 'Metaspace', 'replacement': '\u2581', 'prepend_scheme': 'always', 'split': True}]},
        'model': {'type': 'Unigram', 'unk_id': 2, 'vocab': vocab + [[m, 0.0] for m in masks], 'byte_fallback': False}} | changes


def main():
    s = Suite(sys.argv[1])
    source = os.path.join(sys.argv[2], 'tests', 'data', 'tokenizer')
    with open(os.path.join(source, 't5.model'), 'rb') as file:
        model = file.read()
    for name in ('spm', 'json', 'bad'):
        os.makedirs(s.path(name))
        config(s.path(name, 'config.json'), switch=False, vocab_size=32128, d_model=8, d_kv=4, d_ff=8, num_heads=2)
    shutil.copy(os.path.join(source, 't5.model'), s.path('spm', 'spiece.model'))

    def write(folder, value):
        with open(s.path(folder, 'tokenizer.json'), 'w') as file:
            json.dump(value, file)

    good = described(model)
    write('json', good)
    run = ['train', '--data', os.path.join(source, 'inputs.txt'), '--steps', 3, '--src-len', 64, '--tgt-len', 24, '--batch-tokens', 256,
           '--device', 'ref:0', '--precision', 'f32', '--draw-weights']
    outs = [s.run(*run, '--model', s.path(m), '--out', s.path('out ' + m)) for m in ('spm', 'json')]
    if 'has no SentencePiece' in outs[0].stderr:
        s.skip('tokenizer.json', 'built without SentencePiece')
        return s.done()
    s.ok(all(o.returncode == 0 for o in outs), 'trains with either', outs[0].stderr + outs[1].stderr)
    weights = [open(s.path('out ' + m, 'latest', 'model.safetensors'), 'rb').read() for m in ('spm', 'json')]
    s.ok(weights[0] == weights[1], 'the same weights after the same text: the same ids')
    again = [s.run('eval', '--model', s.path('out ' + m, 'latest'), '--data', os.path.join(source, 'inputs.txt'), '--src-len', 64,
                   '--tgt-len', 24, '--device', 'ref:0', '--json') for m in ('spm', 'json')]
    s.ok(again[0].returncode == 0 and again[0].stdout == again[1].stdout, 'what it wrote is read with the same ids',
         again[0].stderr + again[1].stderr)
    refusals = {
        'bpe': (good | {'model': {'type': 'BPE', 'vocab': {}, 'merges': []}}, 'BPE'),
        'no model': ({k: v for k, v in good.items() if k != 'model'}, 'no list of pieces'),
        'another normaliser': (good | {'normalizer': {'type': 'Lowercase'}}, 'Lowercase'),
        'another pre-tokenizer': (good | {'pre_tokenizer': {'type': 'ByteLevel'}}, 'ByteLevel'),
        'no pre-tokenizer': (good | {'pre_tokenizer': None}, 'pre_tokenizer'),
        'base64': (good | {'normalizer': {'type': 'Precompiled', 'precompiled_charsmap': 'A!'}}, 'base64'),
        'a table cut off': (good | {'normalizer': {'type': 'Precompiled', 'precompiled_charsmap': 'AAAA'}}, 'cut off'),
        'unk_id': (good | {'model': good['model'] | {'unk_id': None}}, 'unk_id'),
        'unk_id beyond': (good | {'model': good['model'] | {'unk_id': 10**6}}, 'unk_id'),
        'a score': (good | {'model': good['model'] | {'vocab': [['a', 'b']], 'unk_id': 0}}, 'entry 0'),
        'an infinite score': (good | {'model': good['model'] | {'vocab': [['a', 1e300]], 'unk_id': 0}}, 'entry 0'),
        'no pieces': (good | {'model': good['model'] | {'vocab': []}}, 'no pieces'),
        'no end of a text': (good | {'model': good['model'] | {'vocab': [['a', 0.0], ['b', -1.0]], 'unk_id': 0}, 'added_tokens': []},
                             '</s>'),
    }
    for name, (value, word) in refusals.items():
        write('bad', value)
        refuse(s, f'refused: {name}', ['tokenizer.json' if word != '</s>' else 'bad', word], *run, '--model', s.path('bad'), '--out',
               s.path('out bad'))
    s.done()


if __name__ == '__main__':
    main()
