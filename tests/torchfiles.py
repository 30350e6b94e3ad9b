#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""torchfiles.py APPS_DIR SOURCE_DIR: pytorch_model.bin: one that PyTorch wrote, ones that Python's pickle writes with the names that
PyTorch gives, in shards, in several types; and bad ones: one clear line, nothing run.

docs/formats.md promises it. PyTorch itself is not needed.
"""
import collections
import io
import json
import os
import pickle
import shutil
import struct
import sys
import types
import zipfile

from apps import Suite, header, refuse

CASE = 't5_gelu_new'
TYPES = {'F32': ('FloatStorage', 4), 'F16': ('HalfStorage', 2), 'BF16': ('BFloat16Storage', 2), 'I64': ('LongStorage', 8)}
torch, utils = types.ModuleType('torch'), types.ModuleType('torch._utils')


def stand_in(module, name):
    """Something that pickles as the name module.name."""
    value = type(name, (), {'__module__': module.__name__, '__qualname__': name})
    setattr(module, name, value)
    return value


class Storage:
    def __init__(self, kind, key, data, count=None):
        self.kind, self.key, self.data = kind, key, data
        self.count = len(data) // TYPES[kind][1] if count is None else count


class Tensor:
    def __init__(self, storage, shape, offset=0, stride=None):
        steps = [1]
        for side in reversed(shape[1:]):
            steps.insert(0, steps[0] * side)
        self.parts = (storage, offset, tuple(shape), tuple(steps[:len(shape)] if stride is None else stride), False,
                      collections.OrderedDict())

    def __reduce__(self):
        return utils._rebuild_tensor_v2, self.parts


class Pickler(pickle.Pickler):
    def persistent_id(self, value):
        if isinstance(value, Storage):
            return 'storage', getattr(torch, TYPES[value.kind][0]), value.key, 'cpu', value.count
        return None


def pickled(value, protocol=2):
    out = io.BytesIO()
    Pickler(out, protocol).dump(value)
    return out.getvalue()


def archive(path, program, storages, order=b'little', method=zipfile.ZIP_STORED, more=()):
    with zipfile.ZipFile(path, 'w', method) as z:
        z.writestr('archive/data.pkl', program)
        z.writestr('archive/byteorder', order)
        for name, data in [(f'archive/data/{s.key}', s.data) for s in storages] + list(more):
            z.writestr(name, data)


def tensors_of(path):
    head = header(path)
    with open(path, 'rb') as file:
        data = file.read()
    data = data[8 + int.from_bytes(data[:8], 'little'):]
    return {k: (v['dtype'], v['shape'], data[slice(*v['data_offsets'])]) for k, v in head.items() if k != '__metadata__'}


def state(tensors, first=0):
    """The state_dict of safetensors' tensors, and its storages."""
    storages = [Storage(kind, str(first + i), data) for i, (kind, _, data) in enumerate(tensors.values())]
    made = collections.OrderedDict((name, Tensor(s, t[1])) for s, (name, t) in zip(storages, tensors.items()))
    made._metadata = collections.OrderedDict({'': {'version': 1}})
    return made, storages


def bf16(data):
    return b''.join(data[i + 2:i + 4] for i in range(0, len(data), 4))


def check_good(s, golden, tensors, evaluate):
    """What each directory evaluates to is what the safetensors file does."""
    want = s.run(*evaluate, golden).stdout

    def same(name, folder):
        done = s.run(*evaluate, s.path(folder))
        s.ok(done.returncode == 0 and done.stdout == want and 'WARN' not in done.stderr.upper(), f'reads {name}', done.stderr)

    def folder(name):
        shutil.rmtree(s.path(name), ignore_errors=True)
        os.makedirs(s.path(name))
        shutil.copy(os.path.join(golden, 'config.json'), s.path(name))
        return s.path(name)

    shutil.copy(os.path.join(os.path.dirname(golden), '..', 'data', 'torch', 'pytorch_model.bin'), folder('torch'))
    same('what PyTorch wrote, tied copies in one storage', 'torch')
    for protocol in (2, 3, 4, 5):
        made, storages = state(tensors)
        archive(os.path.join(folder('ours'), 'pytorch_model.bin'), pickled(made, protocol), storages)
        same(f'pickle protocol {protocol}', 'ours')
    names, shards, index = sorted(tensors), folder('shards'), {}
    for k, part in enumerate((names[:20], names[20:])):
        made, storages = state({n: tensors[n] for n in part}, 1000 * k)
        file = f'pytorch_model-{k + 1:05}-of-00002.bin'
        archive(os.path.join(shards, file), pickled(dict(made)), storages)
        index |= {n: file for n in part}
    with open(os.path.join(shards, 'pytorch_model.bin.index.json'), 'w') as file:
        json.dump({'metadata': {'total_size': 1}, 'weight_map': index}, file)
    same('shards with an index', 'shards')
    # Views into one storage, the decoder of which ends where the encoder begins.
    parts = [(n, tensors[n]) for n in names]
    one = Storage('F32', '0', b''.join(t[2] for _, t in parts))
    made, at = {}, 0
    for name, (_, shape, data) in parts:
        made[name] = Tensor(one, shape, at)
        at += len(data) // 4
    archive(os.path.join(folder('views'), 'pytorch_model.bin'), pickled(made), [one])
    same('views into one storage', 'views')
    folder('bf16')
    made, storages = state({n: ('BF16', t[1], bf16(t[2])) for n, t in tensors.items()})
    archive(s.path('bf16', 'pytorch_model.bin'), pickled(made), storages)
    rough, exact = (json.loads(s.run(*evaluate, f).stdout)['loss_ce'] for f in (s.path('bf16'), golden))
    s.ok(0 < abs(rough - exact) < 0.02, f'reads bf16: {rough}, f32 {exact}')


def check_bad(s, golden, tensors, evaluate):
    """Each says which file, and what is wrong with it."""
    folder, file, mark = s.path('bad'), s.path('bad', 'pytorch_model.bin'), s.path('harmed')
    os.makedirs(folder)
    shutil.copy(os.path.join(golden, 'config.json'), folder)
    made, storages = state(tensors)
    program = pickled(made)

    def bad(name, word, program=program, storages=storages, **how):
        archive(file, program, storages, **how)
        refuse(s, name, ['pytorch_model.bin', word], *evaluate, folder)

    class Shell:
        def __reduce__(self):
            return os.system, (f'touch {mark}',)

    class Evaluate:
        def __reduce__(self):
            return eval, (f'open({mark!r}, "w")',)

    for protocol in (0, 2, 4):
        for harm in (Shell(), Evaluate()):
            bad(f'a program ({type(harm).__name__}, protocol {protocol})', 'data.pkl', pickled({'shared.weight': harm}, protocol))
    s.ok(not os.path.exists(mark), 'none of them ran')
    bad('a forbidden name inside a list', 'subprocess.Popen', b'\x80\x02(csubprocess\nPopen\nl.')
    bad('a number for a tensor', 'shared.weight is no tensor', pickled(made | {'shared.weight': 1}))
    bad('a list', 'does not end in a dictionary', pickled([]))
    bad('nothing', 'breaks off', b'')
    bad('half a program', 'breaks off', program[:len(program) // 2])
    bad('an unknown operation', '0x81', b'\x80\x02\x81.')
    bad('an empty stack', 'empty stack', b'\x80\x02R.')
    bad('an item for nothing', 'no dictionary', b'\x80\x02K\x01K\x02K\x03s.')
    bad('no mark', 'lacks a mark', b'\x80\x02}u.')
    bad('a memory of nothing', 'never there', b'\x80\x02h\x05.')
    bad('a memory far away', 'odd place', b'\x80\x02}r\xff\xff\xff\x7f.')
    bad('a text longer than the file', 'breaks off', b'\x80\x02X\xff\xff\xff\xffa.')
    bad('a name with a NUL', 'not plain', pickled({'a\0b': made['shared.weight']}))
    bad('no name', 'without a name', pickled({5: made['shared.weight']}))
    bad('twice the same name', 'there twice', program.replace(b'encoder.final_layer_norm', b'decoder.final_layer_norm'))
    shared = tensors['shared.weight']
    whole = Storage('F32', '900', shared[2])

    def tensor(name, word, t, storages=(whole,)):
        bad(name, word, pickled({'shared.weight': t}), storages)

    tensor('larger than its storage', 'larger than its storage', Tensor(whole, [shared[1][0] + 1, shared[1][1]]))
    tensor('an offset beyond', 'larger than its storage', Tensor(whole, [1, 1], 2**40))
    tensor('a huge shape', 'impossible shape', Tensor(whole, [2**40, 2**40]))
    tensor('a negative shape', 'impossible shape', Tensor(whole, [-1, 4]))
    tensor('a transposed tensor', 'not contiguous', Tensor(whole, shared[1], stride=[1, shared[1][0]]))
    tensor('a declared size', '900 has', Tensor(Storage('F32', '900', whole.data, 2**60), shared[1]))
    tensor('a missing storage', 'does not have', Tensor(Storage('F32', '901', whole.data), shared[1]))
    tensor('a storage of a strange name', 'does not have', Tensor(Storage('F32', '../../etc/passwd', whole.data), shared[1]))
    bad('a name that leads out', 'not plain', more=[('archive/../../x', b'1')])
    bad('an absolute name', 'not plain', more=[('/etc/x', b'1')])
    bad('compressed records', 'compressed', method=zipfile.ZIP_DEFLATED)
    bad('big-endian', 'big-endian', order=b'big')
    archive(file, program, storages)
    with open(file, 'rb') as f:
        good = f.read()

    def bytes_of(name, word, data):
        with open(file, 'wb') as f:
            f.write(data)
        refuse(s, name, ['pytorch_model.bin', word], *evaluate, folder)

    for size in (5, 1000, len(good) // 2, len(good) - 1):
        bytes_of(f'cut to {size} bytes', 'not a file of torch.save()', good[:size])
    listed = good.rindex(b'PK\1\2')  # the last record of the list: it now begins where the one before does
    before = good.rindex(b'PK\1\2', 0, listed)
    bytes_of('two records at one place', 'another name', good[:listed + 42] + good[before + 42:before + 46] + good[listed + 46:])
    bytes_of('a record beyond the file', 'ends behind', good[:listed + 20] + struct.pack('<II', 2**31, 2**31) + good[listed + 28:])
    bytes_of('a file of before 1.6', 'before 1.6', bytes.fromhex('80028a0a6cfc9c46f920'))
    bytes_of('no archive', 'not a safetensors file', b'x' * 100)


def main():
    sys.modules |= {'torch': torch, 'torch._utils': utils}
    torch._utils = utils
    for name, _ in TYPES.values():
        stand_in(torch, name)
    stand_in(utils, '_rebuild_tensor_v2')
    s = Suite(sys.argv[1])
    golden = os.path.join(sys.argv[2], 'tests', 'golden', CASE)
    tensors = tensors_of(os.path.join(golden, 'model.safetensors'))
    evaluate = ['eval', '--batch', os.path.join(golden, 'batch.safetensors'), '--device', 'ref:0', '--precision', 'f32', '--json',
                '--model']
    check_good(s, golden, tensors, evaluate)
    check_bad(s, golden, tensors, evaluate)
    s.done()


if __name__ == '__main__':
    main()
