#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""models.py APPS_DIR SOURCE_DIR: where a model's weights come from, and whether model and vocabulary speak of the same ids:
nothing is drawn in silence, generation ends, and what is written agrees with itself.
"""
import json
import os
import shutil
import struct
import sys

from apps import SMALL, Suite, config, header, refuse, text, train, write_tensors

ABSENT = [(['model.bin'], 'only model.bin'),
          (['pytorch_model-00001-of-00002.bin'], 'no pytorch_model.bin.index.json'),
          (['tf_model.h5'], 'TensorFlow'), (['flax_model.msgpack'], 'Flax'),
          (['model.fp16.safetensors'], 'model.fp16.safetensors but no model.safetensors'),
          (['model-00001-of-00002.safetensors'], 'no model.safetensors.index.json'), ([], 'neither model.safetensors nor')]
SHORT = ['--src-len', 48, '--tgt-len', 20, '--device', 'ref:0']


def put(path, content):
    with open(path, 'w', encoding='utf-8') as file:
        file.write(content if isinstance(content, str) else json.dumps(content))
    return path


def load(*path):
    with open(os.path.join(*path), encoding='utf-8') as file:
        return json.load(file)


def change(path, **keys):
    put(path, {**load(path), **keys})


def check_absent(s):
    for i, (files, word) in enumerate(ABSENT):
        folder = s.path(f'absent-{i}')
        os.mkdir(folder)
        config(os.path.join(folder, 'config.json'))
        for name in files:
            put(os.path.join(folder, name), 'x')
        what = files[0] if files else 'nothing'
        refuse(s, f'train: a directory with {what}', [word, '--draw-weights'], 'train',
               *train(s, f'never-{i}', model=folder))
        s.ok(not os.path.exists(s.path(f'never-{i}')), f'train: nothing is written after {what}')
        refuse(s, f'eval: a directory with {what}', [word], 'eval', '--model', folder, '--data', s.path('a.txt'),
               *SHORT)
        refuse(s, f'generate: a directory with {what}', [word], 'generate', '--model', folder, '--text', 'x', '--device',
               'ref:0')
    os.symlink('gone/blob', os.path.join(s.path('absent-6'), 'model.safetensors'))
    refuse(s, 'train: a link that leads nowhere', ['is a link to gone/blob'], 'train',
           *train(s, 'never', model=s.path('absent-6')))


def check_origin(s):
    """Every start says where its weights come from."""
    drawn = s.run('train', *train(s, 'drawn', '--seed', 5))
    s.ok('weights: drawn from seed 5\n' in drawn.stdout, 'drawn weights are said to be drawn', drawn.stdout + drawn.stderr)
    forced = s.run('train', *train(s, 'forced', '--seed', 5, '--draw-weights', model=s.path('absent-0')))
    same = [open(s.path(out, 'latest', 'model.safetensors'), 'rb').read() for out in ('drawn', 'forced')]
    s.ok(forced.returncode == 0 and same[0] == same[1], '--draw-weights: a directory without weights is its config',
         forced.stderr)
    count = len([k for k in header(s.path('drawn', 'latest', 'model.safetensors')) if k != '__metadata__'])
    line = f"weights: {s.path('drawn', 'latest')}/model.safetensors ({count} tensors)"
    given = s.run('train', *train(s, 'given', model=s.path('drawn', 'latest')))
    s.ok(line in given.stdout, 'given weights are named', given.stdout + given.stderr)
    beside = s.run('train', *train(s, 'beside', model=s.path('drawn', 'latest', 'config.json')))
    s.ok('drawn from seed 0; those in' in beside.stdout,
         'a config.json with weights beside it: they are not read, and it says so', beside.stdout)
    over = s.run('train', *train(s, 'over', '--seed', 5, '--draw-weights', model=s.path('drawn', 'latest')))
    s.ok(over.returncode == 0 and 'weights: drawn from seed 5' in over.stdout, '--draw-weights passes over weights',
         over.stdout)
    more = s.run('train', *train(s, 'drawn', '--seed', 5, '--resume', '--steps', 3))
    s.ok(f"weights: {s.path('drawn')}/latest, step 2" in more.stdout, 'a resumed run names its checkpoint',
         more.stdout + more.stderr)
    for app, arguments in (('eval', ['--data', s.path('a.txt'), '--batches', 1, *SHORT]),
                           ('generate', ['--text', 'x', '--device', 'ref:0'])):
        done = s.run(app, '--model', s.path('given', 'latest'), *arguments)
        s.ok(f"weights: {s.path('given', 'latest')}/model.safetensors" in done.stderr, f'{app} says which weights', done.stderr)


def check_dtype(s):
    """F16 in, F32 out: config.json says so, under the name it came with."""
    for key in ('dtype', 'torch_dtype'):
        folder = s.path('half-' + key)
        shutil.copytree(s.path('drawn', 'step-2'), folder)
        change(os.path.join(folder, 'config.json'), **{key: 'float16'})
        source = os.path.join(folder, 'model.safetensors')
        with open(source, 'rb') as file:
            raw = file.read()
        start, tensors = 8 + int.from_bytes(raw[:8], 'little'), {}
        for name, t in header(source).items():
            if name != '__metadata__':
                data = raw[start + t['data_offsets'][0]:start + t['data_offsets'][1]]
                values = struct.unpack(f'<{len(data) // 4}f', data)
                tensors[name] = ('F16', t['shape'], struct.pack(f'<{len(values)}e', *values))
        write_tensors(source, tensors)
        done = s.run('train', *train(s, 'from-' + key, model=folder))
        got = load(s.path('from-' + key, 'latest', 'config.json')) if done.returncode == 0 else {}
        kinds = {t['dtype'] for n, t in header(s.path('from-' + key, 'latest', 'model.safetensors')).items()
                 if n != '__metadata__'}
        s.ok(got.get(key) == 'float32' and kinds == {'F32'}, f'{key} float16 becomes float32, as the tensors are', done.stderr)


# ---- vocabularies ----------------------------------------------------------------------------------------------------

def varint(value):
    out = b''
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def fields(message):
    """(number, whole field) of a protobuf message."""
    def read(at):
        value = shift = 0
        while True:
            value, shift, at = value | (message[at] & 127) << shift, shift + 7, at + 1
            if message[at - 1] < 128:
                return value, at
    at = 0
    while at < len(message):
        start, (tag, at) = at, read(at)
        if tag & 7 == 0:
            at = read(at)[1]
        elif tag & 7 == 2:
            size, at = read(at)
            at += size
        else:
            at += 8 if tag & 7 == 1 else 4
        yield tag >> 3, message[start:at]


def default_ids(source, target):
    """The pieces of a T5 model in the order that spm_train gives by itself: <unk> 0, <s> 1, </s> 2, no <pad>."""
    with open(source, 'rb') as file:
        parts = list(fields(file.read()))
    pieces, rest = [p for n, p in parts if n == 1], b''.join(p for n, p in parts if n != 1)
    begin = b'\x0a\x03<s>\x15' + struct.pack('<f', 0.0) + b'\x18\x03'  # text, score, type CONTROL
    order = [pieces[2], b'\x0a' + varint(len(begin)) + begin, pieces[1]] + pieces[3:]
    with open(target, 'wb') as file:
        file.write(b''.join(order) + rest)
    return target


def check_eos(s):
    t5 = os.path.join(s.source, 'tests', 'data', 'tokenizer', 'seqio_test.model')
    other = default_ids(t5, s.path('default.model'))
    small = config(s.path('small.json'), switch=False, vocab_size=128, dropout_rate=0.0)
    change(small, eos_token_id=1, pad_token_id=0)
    done = s.run('train', *train(s, 'other', '--tokenizer', other, model=small))
    if 'SentencePiece' in done.stderr and done.returncode != 0:
        return s.skip('vocabularies of pieces', 'built without SentencePiece')
    s.ok(done.returncode == 0, 'eos 2, no padding: trains', done.stderr)
    got = load(s.path('other', 'latest', 'config.json'))
    s.ok(got['eos_token_id'] == 2 and got['pad_token_id'] == 0, 'a drawn model takes the eos of its vocabulary', got)
    generation = load(s.path('other', 'latest', 'generation_config.json'))
    tokens = load(s.path('other', 'latest', 'tokenizer_config.json'))
    s.ok(generation == {'decoder_start_token_id': 0, 'eos_token_id': 2, 'pad_token_id': 0} and
         (tokens['eos_token'], tokens['pad_token']) == ('</s>', '<unk>'),
         'generation_config.json and tokenizer_config.json agree with it', [generation, tokens])
    done = s.run('generate', '--model', s.path('other', 'latest'), '--text', 'a <extra_id_0> b', '--device', 'ref:0',
                 '--max-tokens', 3)
    s.ok(done.returncode == 0, 'and it generates with its own vocabulary', done.stderr)
    words = ['eos_token_id 2', 'ends a text with 1']
    refuse(s, 'eval: a vocabulary with another eos', words, 'eval', '--model', s.path('other', 'latest'), '--tokenizer', t5,
           '--data', s.path('a.txt'), *SHORT)
    refuse(s, 'generate: a vocabulary with another eos', words, 'generate', '--model', s.path('other', 'latest'),
           '--tokenizer', t5, '--text', 'x', '--device', 'ref:0')
    refuse(s, 'train: a given model, a vocabulary with another eos', words, 'train',
           *train(s, 'never-eos', '--tokenizer', t5, model=s.path('other', 'latest')))
    shutil.copytree(s.path('other', 'step-2'), s.path('padded'))
    change(s.path('padded', 'config.json'), eos_token_id=1, pad_token_id=3, decoder_start_token_id=3)
    done = s.run('train', *train(s, 'repadded', '--tokenizer', t5, model=s.path('padded')))
    got = load(s.path('repadded', 'latest', 'config.json')) if done.returncode == 0 else {}
    s.ok('pad_token_id 3' in done.stderr and 'pads with 0' in done.stderr and got.get('pad_token_id') == 0 and
         got.get('decoder_start_token_id') == 3, 'a given model with another padding: a warning with both numbers', done.stderr)
    large = config(s.path('large.json'), switch=False, vocab_size=512)
    done = s.run('train', *train(s, 'large', '--tokenizer', t5, model=large))
    s.ok('vocabulary of 512' in done.stderr and 'uses 126 ids' in done.stderr,
         'a vocabulary much smaller than vocab_size is pointed out', done.stderr)
    return check_added(s, t5)


def check_added(s, t5):
    """Tokens that a directory adds are used in training, and go on with the model."""
    folder = s.path('added')
    os.mkdir(folder)
    shutil.copy(t5, os.path.join(folder, 'spiece.model'))
    put(os.path.join(folder, 'added_tokens.json'), {'<sep>': 126})
    put(s.path('sep.txt'), 'the train <sep> the track <sep>\n' * 400)
    model = config(s.path('sep.json'), switch=False, vocab_size=128)
    done = s.run('train', *train(s, 'sep', '--tokenizer', folder, model=model, data=s.path('sep.txt')))
    plain = s.run('train', *train(s, 'no-sep', '--tokenizer', t5, model=model, data=s.path('sep.txt')))
    count = [d.stdout.split(' tokens of text')[0] for d in (done, plain)]
    s.ok(done.returncode == 0 and count[0] != count[1], f'an added token is one token: {count}', done.stderr)
    s.ok(load(s.path('sep', 'latest', 'added_tokens.json')) == {'<sep>': 126}, 'it is written beside the model')


def emitter(s, folder, token):
    """A dense byte model that says `token` and nothing else: every embedding is the same, no layer adds anything, and the head
    has one row that is not zero."""
    os.mkdir(folder)
    config(os.path.join(folder, 'config.json'), switch=False, tie_word_embeddings=False, dropout_rate=0.0)
    s.run('train', *train(s, 'emitter', model=os.path.join(folder, 'config.json')))
    source = s.path('emitter', 'latest', 'model.safetensors')
    with open(source, 'rb') as file:
        raw = file.read()
    start, tensors = 8 + int.from_bytes(raw[:8], 'little'), {}
    for name, t in header(source).items():
        if name != '__metadata__':
            data = raw[start + t['data_offsets'][0]:start + t['data_offsets'][1]]
            silent = name.endswith(('.o.weight', '.wo.weight'))
            tensors[name] = (t['dtype'], t['shape'], bytes(len(data)) if silent else data)
    ones = struct.pack('<32f', *[1.0] * 32)
    tensors['shared.weight'] = ('F32', [384, 32], ones * 384)
    rows = (ones if i == token else bytes(len(ones)) for i in range(384))
    tensors['lm_head.weight'] = ('F32', [384, 32], b''.join(rows))
    write_tensors(os.path.join(folder, 'model.safetensors'), tensors)
    return folder


def check_masks(s):
    """<extra_id_0> is the id that the model was trained with: by key, else by where the model comes from."""
    def says(folder, **keys):
        change(os.path.join(folder, 'config.json'), **keys)
        done = s.run('generate', '--model', folder, '--text', 'The <extra_id_0>.', '--raw', '--max-tokens', 2, '--device',
                     'ref:0')
        return done.stdout.strip(), done.stderr

    folder = emitter(s, s.path('emits'), 258)
    out, told = says(folder)
    s.ok(out == '<extra_id_0><extra_id_0>' and '258' in told,
         'a dense byte model from elsewhere: ByT5\'s masks, and it says so', out + told)
    out, told = says(folder, switchyard={'sentinels': 'top'})
    s.ok(out == '\ufffd\ufffd' and 'does not say' not in told, 'its config says "top": 258 is a broken byte',
         out + told)
    out, _ = says(folder, switchyard={'sentinels': 'transformers'})
    s.ok(out == '\ufffd\ufffd', 'its config says "transformers": so it is', out)
    change(os.path.join(folder, 'config.json'), switchyard={})
    done = s.run('train', *train(s, 'tuned', model=folder))
    got = load(s.path('tuned', 'latest', 'config.json')) if done.returncode == 0 else {}
    s.ok(got.get('switchyard') == {'sentinels': 'byt5'}, 'fine-tuned, it keeps its masks and says so', done.stderr)
    change(os.path.join(folder, 'config.json'), switchyard={'sentinels': 'top'})
    refuse(s, 'resumed with other masks', ['"byt5"', '"top"'], 'train', *train(s, 'tuned', '--resume', '--steps', 3, model=folder))
    change(os.path.join(folder, 'config.json'), switchyard={})
    got, tokens = (load(s.path('drawn', 'latest', f)) for f in ('config.json', 'tokenizer_config.json'))
    s.ok(got['switchyard']['sentinels'] == 'top' and tokens['tokenizer_class'] == 'ByT5Tokenizer' and
         tokens['added_tokens_decoder']['383']['content'] == '<extra_id_0>' and tokens['extra_ids'] == 125,
         'a model that is drawn here counts from the top, in its tokenizer too', got)
    wide = config(s.path('wide.json'), vocab_size=512)
    done = s.run('train', *train(s, 'wide', '--tokenizer', 'bytes', model=wide))
    back = s.run('eval', '--model', s.path('wide', 'latest'), '--data', s.path('a.txt'), '--batches', 1, *SHORT)
    s.ok(done.returncode == 0 and back.returncode == 0, 'bytes in 512 ids: the checkpoint knows its vocabulary',
         done.stderr + back.stderr)
    foreign = s.path('foreign')
    shutil.copytree(s.path('drawn', 'step-2'), foreign)
    for name, content, word in (('tokenizer_config.json', {'tokenizer_class': 'T5Tokenizer'}, 'neither spiece.model'),
                                ('tokenizer.json', {}, 'no list of pieces')):
        os.remove(os.path.join(foreign, 'tokenizer_config.json')) if name == 'tokenizer.json' else None
        put(os.path.join(foreign, name), content)
        refuse(s, f'{name} without spiece.model: bytes are no substitute', [word], 'eval', '--model', foreign,
               '--data', s.path('a.txt'), *SHORT)
    old = s.path('old')  # a checkpoint of an earlier version says nothing, but has its training state beside it
    shutil.copytree(s.path('tuned', 'step-2'), old)
    os.remove(os.path.join(old, 'tokenizer_config.json'))
    change(os.path.join(old, 'config.json'), switchyard={})
    done = s.run('train', *train(s, 'from-old', model=old))
    got = load(s.path('from-old', 'latest', 'config.json')) if done.returncode == 0 else {}
    s.ok(got.get('switchyard') == {'sentinels': 'top'}, 'a checkpoint of ours that says nothing counts from the top', done.stderr)


def main():
    s = Suite(sys.argv[1])
    s.source = os.path.abspath(sys.argv[2])
    text(s.path('a.txt'))
    config(s.path('switch.json'))
    check_absent(s)
    check_origin(s)
    check_dtype(s)
    check_eos(s)
    check_masks(s)
    s.done()


if __name__ == '__main__':
    main()
