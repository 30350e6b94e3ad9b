# SPDX-License-Identifier: Apache-2.0
"""executing.py: rows that run kernels: every OpenCL and Vulkan implementation that can run without a GPU.

Each runs the op suite, the golden models and a short training, and checks the trained losses against those of `ref`.
"""
import json
import os
import re
import subprocess
import threading
import time

from drivers import intel_cpu, swiftshader
from row import Cell, Outcome, Row, Unavailable, from_summary

STEPS = 12
RACES_WORK = '64000'  # as in ./dev test
# Losses of one run on two devices, f32, relative: rounding differs in the last bits and grows step by step.
CURVE_TOLERANCE = 1e-4
TRAINING = ['--src-len', '32', '--tgt-len', '16', '--batch-tokens', '128', '--steps', str(STEPS), '--schedule', 'constant',
            '--lr', '0.01', '--precision', 'f32']
# What the issue calls an imagined device; docs/env.md explains each.
SMALL = {'SY_FORCE_SHARED': '16K', 'SY_FORCE_MAX_WG': '128', 'SY_FORCE_MAX_BINDINGS': '8', 'SY_FORCE_MAX_BINDING': '128M',
         'SY_FORCE_MAX_ALLOC': '1M', 'SY_FORCE_MAX_GROUPS': '100', 'SY_FORCE_OFFSET_ALIGN': '256'}


class Reference:
    """Where things are, and the losses of the short training on `ref`, which every device must repeat: worked out once."""

    def __init__(self, source, build, scratch):
        self.source, self.build, self.scratch = source, os.path.abspath(build), os.path.abspath(scratch)
        self.lock = threading.Lock()
        self.losses = None

    def reference_losses(self):
        with self.lock:
            if self.losses is None:
                place = Place(self, 'reference')
                place.prepare()
                self.losses, output = train(place, 'reference', 'ref:0')
                if self.losses is None:
                    raise Unavailable('training on ref failed: ' + output.strip()[-300:])
            return self.losses


class Place:
    """Where a row's programs run: on this machine, or inside the Debian-testing root."""

    def __init__(self, context, row, inside=False, env=None):
        self.context, self.row, self.inside, self.env = context, row, inside, env or {}

    def prepare(self):
        if self.inside:
            self.context.root.build()
        self.build = self.context.root.build_folder if self.inside else self.context.build
        self.source = '/src' if self.inside else self.context.source
        self.cache, _ = self.scratch('kernels-of-' + self.row)

    def run(self, *command, env=None, timeout=600):
        """Gives (output, exit status, seconds)."""
        started = time.monotonic()
        env = {'SY_CACHE_DIR': self.cache, **self.env, **(env or {})}
        if self.inside:
            line = ' '.join("'" + part + "'" for part in command)
            done = self.context.root.run(line, timeout=timeout, env=env)
            return done.stdout, done.returncode, time.monotonic() - started
        try:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace',
                                  timeout=timeout, env={**os.environ, **env}, check=False)
            return done.stdout, done.returncode, time.monotonic() - started
        except subprocess.TimeoutExpired as late:
            text = (late.stdout or b'').decode(errors='replace') + f'\nno end after {timeout} s\n'
            return text, 124, time.monotonic() - started

    def program(self, name):
        return f'{self.build}/{name}'

    def scratch(self, name):
        """A folder for files, as the programs see it, and as this script does."""
        if self.inside:
            seen = f'{self.build}/matrix/{name}'
            here = self.context.root.folder + seen
        else:
            seen = here = os.path.join(self.context.scratch, name)
        os.makedirs(here, exist_ok=True)
        return seen, here


# ---- what a row checks ---------------------------------------------------------------------------------------------

def device_of(place, wanted):
    """(id, 'name, driver') of the first device whose backend is `wanted`."""
    output, code, _ = place.run(place.program('apps/switchyard-devices'), '--json')
    try:
        found = [d for d in json.loads(output[output.index('['):]) if d['id'].startswith(wanted + ':')]
    except (ValueError, KeyError):
        raise Unavailable(f'switchyard-devices gave no list (status {code}): ' + output[-300:]) from None
    if not found:
        raise Unavailable(f'no {wanted} device was found')
    return found[0]['id'], found[0]


def tests(place, name, *arguments, env=None, timeout=600):
    output, code, seconds = place.run(place.program('tests/test_' + name), *arguments, env=env, timeout=timeout)
    cell = from_summary(output, code, seconds)
    unseen_faults(place, cell, output)
    return cell


def unseen_faults(place, cell, output):
    """What the validation layer found while devices were closed: too late for the program to fail."""
    fault = re.search(r': validation: (.*)', output)
    if 'SY_VULKAN_VALIDATION' in place.env and fault and not cell.failed:
        cell.ok(False, 'validation: ' + fault[1][:400])


def model_config(path):
    """A small Switch model, as the tests of the programs use it: both kinds of block, jitter, dropout, dropped tokens."""
    config = {'model_type': 'switch_transformers', 'vocab_size': 384, 'd_model': 32, 'd_kv': 8, 'd_ff': 48, 'num_layers': 2,
              'num_decoder_layers': 2, 'num_heads': 4, 'dropout_rate': 0.1, 'feed_forward_proj': 'relu',
              'tie_word_embeddings': True, 'decoder_start_token_id': 0, 'num_experts': 4, 'num_sparse_encoder_layers': 1,
              'num_sparse_decoder_layers': 1, 'router_jitter_noise': 0.01, 'router_aux_loss_coef': 0.01,
              'router_z_loss_coef': 0.0, 'switchyard': {'capacity_factor_train': 1.0, 'capacity_factor_eval': 2.0,
                                                        'min_expert_capacity': 1}}
    with open(path, 'w', encoding='utf-8') as file:
        json.dump(config, file)


def train(place, row, device, env=None):
    """Trains on the repository's own licence, a text that nobody edits; gives (losses per step or None, output)."""
    seen, here = place.scratch(row)
    model_config(os.path.join(here, 'config.json'))
    output, code, _ = place.run(place.program('apps/switchyard-train'), '--model', seen + '/config.json', '--data',
                                place.source + '/LICENSE', '--out', seen + '/out', '--device', device, *TRAINING, env=env)
    try:
        with open(os.path.join(here, 'out', 'metrics.jsonl'), encoding='utf-8') as file:
            lines = [json.loads(line) for line in file]
    except (OSError, ValueError):
        return None, output
    losses = [line['total'] for line in lines if line['kind'] == 'train']
    subprocess.run(['rm', '-rf', here], check=False)
    return (losses if code == 0 else None), output


def training_cell(place, row, device, env=None):
    started = time.monotonic()
    cell = Cell()
    want = place.context.reference_losses()
    got, output = train(place, row, device, env)
    if not cell.ok(got is not None and len(got) == STEPS, 'training failed: ' + output.strip()[-400:]):
        return cell
    worst = max(abs(a - b) / abs(b) for a, b in zip(got, want))
    cell.ok(worst <= CURVE_TOLERANCE, f'losses differ from those of ref by {worst:.1e}, at most {CURVE_TOLERANCE:g}')
    cell.ok(got[-1] < got[0], f'the loss rose from {got[0]:.4f} to {got[-1]:.4f}')
    unseen_faults(place, cell, output)
    cell.note, cell.seconds = f'to {worst:.0e} of ref', time.monotonic() - started
    return cell


def quirks(place, device):
    """The canaries of the driver's work-arounds; what they say about each is the note."""
    output, code, seconds = place.run(place.program('tests/test_quirks'), '--device', device)
    cell = from_summary(output, code, seconds)
    cell.note = '; '.join(f'{name} {"needed" if said == "still needed" else "not seen"}'
                          for name, said in re.findall(r'^# \S+ \(.*\): (\w+): (still needed|not seen)', output, re.M))
    return cell


def standard(place, row, backend, ops=(), golden=(), env=None, ops_env=None, pieces=True):
    """The suites of an executing row. `pieces` False: without the models in pieces, where a driver is too slow for them."""
    place.prepare()
    device, caps = device_of(place, backend)
    outcome = Outcome(version=f"{caps['name']}; {caps['driver']}; {caps['api']}")
    if backend == 'ref':
        outcome.version = caps['driver']
    outcome.cells['ops'] = tests(place, 'ops', '--device', device, *ops, env={**(env or {}), **(ops_env or {})})
    outcome.cells['quirks'] = quirks(place, device)
    outcome.cells['golden'] = tests(place, 'golden', place.source + '/tests/golden', '--device', device, *golden, env=env)
    # It sets this limit itself, for one device of two.
    if pieces:
        outcome.cells['pieces'] = tests(place, 'pieces', '--device', device, env={**(env or {}), 'SY_FORCE_MAX_ALLOC': ''})
    outcome.cells['train'] = training_cell(place, row, device, env)
    return outcome


def simple(name, what, backend, env=None, inside=False, **more):
    def run(context):
        place = Place(context, name, inside, env(context) if callable(env) else env)
        return standard(place, name, backend, **more)
    return Row(name, 'executes', what, run, needs_root=inside)


# ---- rows that differ ----------------------------------------------------------------------------------------------

def oclgrind(context):
    """Races and out-of-range accesses, one op at a time: Oclgrind interprets, so this is the op suite alone, with larger cases
    than the test's."""
    place = Place(context, 'oclgrind')
    place.prepare()
    version = subprocess.run(['oclgrind', '--version'], capture_output=True, text=True, check=False)
    if version.returncode != 0:
        raise Unavailable('oclgrind is not installed')
    output, code, seconds = place.run('python3', context.source + '/tests/races.py', place.program('tests/test_ops'), RACES_WORK,
                                      timeout=1200)
    outcome = Outcome(version=' '.join(version.stdout.split())[:60])
    outcome.cells['ops'] = from_summary(output, code, seconds)
    outcome.cells['ops'].note = 'races'
    parts = [line for line in re.findall(r'^ok - (\w+, \d+ of \d+) cases', output, re.M) if len(set(line.split()[1::2])) > 1]
    if parts:
        outcome.cells['ops'].details.append('smaller cases of: ' + '; '.join(parts))
    return outcome


GPU_ASSISTED = '''khronos_validation.validate_core = true
khronos_validation.gpuav_enable = true
khronos_validation.gpuav_shader_instrumentation = true
khronos_validation.gpuav_descriptor_checks = true
khronos_validation.gpuav_safe_mode = true
'''


def validated(name, gpu_assisted):
    def run(context):
        # Without the heuristic, a missing barrier between two dispatches goes unseen: shaders' accesses are not looked at.
        env = {'SY_VULKAN_VALIDATION': '1'} if gpu_assisted else {
            'SY_VULKAN_VALIDATION': 'sync', 'VK_LAYER_SYNCVAL_SHADER_ACCESSES_HEURISTIC': '1'}
        place = Place(context, name, True, env)
        place.prepare()
        if gpu_assisted:
            seen, here = place.scratch(name)
            with open(os.path.join(here, 'vk_layer_settings.txt'), 'w', encoding='utf-8') as file:
                file.write(GPU_ASSISTED)
            env['VK_LAYER_SETTINGS_PATH'] = seen
        golden = ('--case', 'switch_drop_groups') if gpu_assisted else ()
        outcome = standard(place, name, 'vulkan', golden=golden, pieces=not gpu_assisted)
        outcome.version = 'layers ' + context.root.version_of('vulkan-validationlayers') + '; ' + outcome.version
        return outcome
    what = 'Vulkan validation with ' + ('GPU-assisted checks' if gpu_assisted else 'synchronisation checks')
    return Row(name, 'executes', what + ', over lavapipe', run, needs_root=True)


def limited(backend):
    """The suites on an imagined small device, and the op suite at other work-group sizes."""
    name = 'limits-' + backend
    one_op = {'SY_FORCE_MAX_ALLOC': '8M'}  # it is the engine that splits: an op's own buffers stay whole

    def run(context):
        place = Place(context, name, env=SMALL)
        outcome = standard(place, name, backend, ops_env=one_op)
        if backend != 'opencl':  # PoCL is of the CPU class: one work-item whatever the limit
            device, _ = device_of(place, backend)
            for wg in (8, 16, 32, 64):  # Vulkan guarantees 128, so that one item never happens
                again = tests(place, 'ops', '--device', device, env={**one_op, 'SY_FORCE_MAX_WG': str(wg)})
                outcome.cells['ops'].add(again, f'work-groups of {wg}')
        return outcome
    return Row(name, 'executes', 'an imagined device: 16 KiB shared, 128 invocations, 8 buffers, 1 MiB allocations', run)


def rows():
    testing = {'OCL_ICD_VENDORS': '/etc/OpenCL/vendors/pocl.icd'}
    rusticl = {'OCL_ICD_VENDORS': '/etc/OpenCL/vendors/rusticl.icd', 'RUSTICL_ENABLE': 'llvmpipe'}
    return [
        simple('ref', 'the C reference', 'ref'),
        simple('pocl', 'PoCL of this system', 'opencl'),
        simple('lavapipe', 'Mesa lavapipe of this system', 'vulkan'),
        simple('intel-cpu', "Intel's CPU runtime for OpenCL", 'opencl', intel_cpu),
        simple('swiftshader', 'SwiftShader (from Chromium)', 'vulkan', swiftshader),
        simple('pocl-testing', 'PoCL of Debian testing', 'opencl', testing, inside=True),
        simple('rusticl-testing', 'Mesa rusticl on llvmpipe, Debian testing', 'opencl', rusticl, inside=True),
        simple('lavapipe-testing', 'Mesa lavapipe of Debian testing', 'vulkan', inside=True,
               ops_env={'SY_VULKAN_COOP_F16': '1'}),  # it has cooperative matrices, but none of bf16
        validated('validation', False),
        validated('validation-gpu', True),
        Row('oclgrind', 'executes', 'Oclgrind, races, uninitialised reads and invalid accesses', oclgrind),
        limited('opencl'),
        limited('vulkan'),
    ]
