# SPDX-License-Identifier: Apache-2.0
"""apps.py: what the tests of the programs share: running them, counting checks, small inputs made here."""
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile


SMALL = ['--src-len', 48, '--tgt-len', 20, '--batch-tokens', 192, '--device', 'ref:0']


class Suite:
    """Counts checks; `done()` prints the last line and leaves."""

    def __init__(self, apps):
        self.apps = os.path.abspath(apps)
        self.passed = self.failed = self.skipped = 0
        self.folder = tempfile.mkdtemp(prefix='switchyard-test-')
        self.env = dict(os.environ, SY_CACHE_DIR=os.path.join(self.folder, 'cache'))

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def ok(self, good, name, detail=''):
        self.passed, self.failed = self.passed + bool(good), self.failed + (not good)
        print(f"{'ok' if good else 'not ok'} {self.passed + self.failed + self.skipped} - {name}", flush=True)
        if not good and detail:
            print('\n'.join('# ' + line for line in str(detail).rstrip().split('\n')[-15:]), flush=True)
        return good

    def skip(self, name, why):
        self.skipped += 1
        print(f'ok {self.passed + self.failed + self.skipped} # SKIP {name}: {why}', flush=True)

    def run(self, app, *arguments, timeout=120, env=None, **kwargs):
        command = [os.path.join(self.apps, 'switchyard-' + app)] + [str(a) for a in arguments]
        return subprocess.run(command, capture_output=True, text=True, errors='replace', timeout=timeout,
                              env=dict(self.env, **(env or {})), **kwargs)

    def done(self):
        subprocess.run(['rm', '-rf', self.folder], check=False)
        print(f'{self.passed} passed, {self.failed} failed, {self.skipped} skipped')
        sys.exit(1 if self.failed or not self.passed else 0)


WORDS = ('the a one some every train wagon yard token expert router switch signal track engine driver goes stops turns '
         'waits runs over under before after with without through red green long short slow fast and then or so').split()


def text(path, size=60_000, seed=1):
    rng = random.Random(seed)
    with open(path, 'w', encoding='utf-8') as file:
        written = 0
        while written < size:
            line = ' '.join(rng.choice(WORDS) for _ in range(rng.randint(4, 12))).capitalize() + '.\n'
            file.write(line)
            written += len(line)
    return path


def copy_tree(source, work):
    """What git tracks and what is new, without builds and runs; times are kept for ninja."""
    listed = subprocess.run(['git', '-C', source, 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
                            capture_output=True, check=False)
    if listed.returncode == 0:
        names = [name.decode() for name in listed.stdout.split(b'\0') if name]
    else: # an unpacked archive
        names = [os.path.relpath(os.path.join(folder, name), source) for folder, _, files in os.walk(source)
                 for name in files if not os.path.relpath(folder, source).startswith(('build', 'runs'))]
    for name in names:
        if os.path.isfile(os.path.join(source, name)):
            os.makedirs(os.path.dirname(os.path.join(work, name)), exist_ok=True)
            shutil.copy2(os.path.join(source, name), os.path.join(work, name))


def config(path, switch=True, **changes):
    c = {'model_type': 'switch_transformers' if switch else 't5', 'vocab_size': 384, 'd_model': 32, 'd_kv': 8, 'd_ff': 48,
         'num_layers': 2, 'num_decoder_layers': 2, 'num_heads': 4, 'dropout_rate': 0.1, 'feed_forward_proj': 'relu',
         'tie_word_embeddings': True, 'decoder_start_token_id': 0}
    if switch:
        c.update(num_experts=4, num_sparse_encoder_layers=1, num_sparse_decoder_layers=1, router_jitter_noise=0.01,
                 router_aux_loss_coef=0.01, router_z_loss_coef=0.0,
                 switchyard={'capacity_factor_train': 1.25, 'capacity_factor_eval': 2.0, 'min_expert_capacity': 1})
    for key, value in changes.items():
        if value is None:
            c.pop(key, None)
        else:
            c[key] = value
    with open(path, 'w', encoding='utf-8') as file:
        json.dump(c, file)
    return path


def header(path):
    """The JSON header of a safetensors file."""
    with open(path, 'rb') as file:
        size = int.from_bytes(file.read(8), 'little')
        return json.loads(file.read(size))


def tensors_bytes(path):
    with open(path, 'rb') as file:
        return file.read()


def write_tensors(path, tensors):
    """tensors: {name: (dtype, shape, bytes)}"""
    entries, data = {}, b''
    for name, (dtype, shape, raw) in tensors.items():
        entries[name] = {'dtype': dtype, 'shape': shape, 'data_offsets': [len(data), len(data) + len(raw)]}
        data += raw
    head = json.dumps(entries).encode()
    head += b' ' * (-len(head) % 8)
    with open(path, 'wb') as file:
        file.write(len(head).to_bytes(8, 'little') + head + data)
    return path


def train(s, out, *more, model=None, data=None):
    """Arguments of two small steps."""
    return ['--model', model or s.path('switch.json'), '--data', data or s.path('a.txt'), '--out', s.path(out), '--steps', 2, *SMALL,
            *more]


def refuse(s, name, words, app, *arguments, env=None, usage=False):
    """One line that holds `words`, and a status that is no crash; `usage`: argp's two lines."""
    done = s.run(app, *arguments, env=env)
    lines = [line for line in done.stderr.split('\n') if 'error' in line or usage]
    good = done.returncode > 0 and all(w in done.stderr for w in words) and 'Sanitizer' not in done.stderr
    good = good and (usage or len(lines) == 1)
    s.ok(good, name, f'exit {done.returncode}\n{done.stderr}\nwanted: {words}')
