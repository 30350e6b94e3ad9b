# SPDX-License-Identifier: Apache-2.0
"""vulkan_compilers.py: rows that compile every shader with the Vulkan drivers of GPUs that are not here.

Mesa's drm-shim fakes the kernel's device node, so that the real drivers open, compile and record; nothing executes.
Suites: `compile` (every kernel variant), `gates` (gates.py), `host` (a whole training step is planned, allocated, compiled
and recorded under the validation layers).
"""
import json
import os
import re
import time

import gates
import hotloop
from executing import Place
from row import Cell, Outcome, Row, kernel_name, not_compiled

SHIMS = '/usr/lib/x86_64-linux-gnu/lib{}_noop_drm_shim.so'
MANIFEST = '/usr/share/vulkan/icd.d/{}_icd.json'
# Without the heuristic the layer looks at copies only, not at what shaders read and write.
VALIDATION = {'SY_VULKAN_VALIDATION': 'sync', 'VK_LAYER_SYNCVAL_SHADER_ACCESSES_HEURISTIC': '1'}
QUIET = {'OCL_ICD_VENDORS': '/nonexistent', 'MESA_SHADER_CACHE_DISABLE': 'true'}

# The model of the `host` suite: every kind of layer, dropout and jitter, heads of T5's size; small enough for the shims.
MODEL = {'vocab_size': 4096, 'd_model': 256, 'd_kv': 64, 'num_heads': 4, 'd_ff': 512, 'num_layers': 4, 'num_decoder_layers': 4,
         'num_experts': 8, 'num_sparse_encoder_layers': 2, 'num_sparse_decoder_layers': 2, 'dropout_rate': 0.1}
STEPS = {'selective': [], 'bf16, AdamW, recompute': ['--precision', 'bf16', '--optimizer', 'adamw', '--recompute'],
         'f32': ['--precision', 'f32']}


class Driver:
    """How a driver is started, and what its statistics are called. Registers count 32 bits each."""
    shim = manifest = ''
    env = {}
    isa = None
    names = {}  # key of KERNEL_KEYS → the driver's name

    def normal(self, s):
        """KERNEL_KEYS of a kernel's statistics."""
        return {key: s[name] for key, name in {'subgroup': 'Subgroup size', **self.names}.items() if name in s}


class Radv(Driver):
    shim, manifest, isa = 'amdgpu', 'radeon', hotloop.AMD
    names = {'registers': 'VGPRs', 'scalar_registers': 'SGPRs', 'shared_bytes': 'LDS size', 'occupancy': 'Subgroups per SIMD',
             'instructions': 'Instructions', 'code_bytes': 'Code size', 'latency': 'Latency',
             'inverse_throughput': 'Inverse Throughput'}

    def normal(self, s):
        out = super().normal(s)
        if 'Spilled VGPRs' in s and 'Spilled SGPRs' in s:
            out['spills'] = s['Spilled VGPRs'] + s['Spilled SGPRs']
        if 'Scratch size' in s and s.get('Subgroup size'):
            out['scratch_bytes'] = s['Scratch size'] / s['Subgroup size']  # given for a whole wave
        return out


class Nvk(Driver):
    # 'Spills to reg' are predicates and uniform registers that rest in vector registers: no memory is touched.
    shim, manifest, isa = 'nouveau', 'nouveau', hotloop.NVIDIA
    env = {'NVK_I_WANT_A_BROKEN_VULKAN_DRIVER': '1'}
    names = {'registers': 'Number of GPRs', 'spills': 'Spills to memory', 'scratch_bytes': 'SLM size',
             'occupancy': 'Max warps/SM', 'instructions': 'Instruction count', 'code_bytes': 'Code size',
             'latency': 'Static cycle count'}


class Turnip(Driver):
    # Private memory shows only as the instructions that store to it, be it a spill or an array.
    shim, manifest, isa = 'freedreno', 'freedreno', hotloop.IR3
    names = {'spills': 'STP Count', 'occupancy': 'Max Waves Per Core', 'instructions': 'Instruction Count',
             'code_bytes': 'Code size'}

    def normal(self, s):
        out = super().normal(s)
        if 'Registers used' in s:
            out['registers'] = 4 * s['Registers used']  # given in vectors of four
        return out


class Honeykrisp(Driver):
    # Gives no assembly through Vulkan; its debug output does.
    shim, manifest, isa = 'asahi', 'asahi', hotloop.AGX
    names = {'spills': 'Spills', 'scratch_bytes': 'Scratch', 'instructions': 'Instructions', 'code_bytes': 'Code size'}

    def normal(self, s):
        out = super().normal(s)
        if 'GPRs' in s:
            out['registers'] = (s['GPRs'] + 1) // 2  # given in halves
        if 'Threads' in s and s.get('Subgroup size'):
            out['occupancy'] = s['Threads'] / s['Subgroup size']
        return out


class Target:
    def __init__(self, name, what, driver, **env):
        self.name, self.what, self.driver, self.env = name, what, driver(), env

    def row(self):
        return Row(self.name, 'compiles', self.what, lambda context: Run(self, context).outcome(), needs_root=True)


class Run:
    """One run of one target's row."""

    def __init__(self, target, context):
        self.target, self.context, self.driver = target, context, target.driver
        self.place = Place(context, target.name, True)
        self.place.prepare()
        self.seen, self.here = self.place.scratch(target.name)
        os.makedirs(os.path.join(self.here, 'assembly'), exist_ok=True)

    def call(self, name, command, env=None, timeout=300):
        """(standard output, errors, status): apart, because the shims and drivers talk."""
        # Set inside by env(1): the shim's path means nothing to what enters the root.
        all_env = {'LD_PRELOAD': SHIMS.format(self.driver.shim), 'VK_ICD_FILENAMES': MANIFEST.format(self.driver.manifest),
                   'SY_NO_CACHE': '1', 'SY_COOP_ATTENTION': '16,4,32', **QUIET, **self.driver.env, **self.target.env, **(env or {})}
        line = 'env ' + ' '.join(f'{key}={value}' for key, value in all_env.items())
        files = f'{self.seen}/{name}'
        done = self.context.root.run(f'{line} {command} >{files}.out 2>{files}.err', timeout=timeout)
        texts = []
        for end in ('out', 'err'):
            with open(os.path.join(self.here, f'{name}.{end}'), encoding='utf-8', errors='replace') as file:
                texts.append(file.read())
        return texts[0], texts[1] + done.stdout, done.returncode

    def outcome(self):
        outcome = Outcome()
        started = time.monotonic()
        device, outcome.cells['compile'] = self.compile()
        outcome.cells['compile'].seconds = time.monotonic() - started
        if device is None:
            return outcome
        outcome.version = f'{device["driver"]}, {device["name"].strip()}'
        texts = self.texts(device['kernels'])
        outcome.kernels = [self.normal(kernel, texts) for kernel in device['kernels']]
        limits = {'shared_bytes': device['shared_bytes'], 'max_wg': device['max_work_group']}
        outcome.cells['gates'] = gates.judge(self.target.name, outcome.kernels, limits)
        started = time.monotonic()
        outcome.cells['host'] = self.host(device)
        outcome.cells['host'].seconds = time.monotonic() - started
        return outcome

    # ---- the suites --------------------------------------------------------------------------------------------------

    def compile(self):
        cell = Cell()
        assembly = '' if self.driver.isa is hotloop.AGX else f' --assembly {self.seen}/assembly'
        command = f'{self.place.program("apps/switchyard-devices")} --json --kernels --device vulkan:0{assembly}'
        output, errors, status = self.call('kernels', command)
        try:
            device = json.loads(output)[0]
            kernels = device['kernels']
        except (ValueError, IndexError, KeyError):
            tail = ' / '.join((errors.strip() or output.strip()).split('\n')[-3:])
            cell.ok(False, f'{self.target.name}: the compiler run ended with status {status}: {tail}')
            return None, cell
        for kernel in kernels:
            cell.ok('error' not in kernel, f'{self.target.name}: {kernel_name(kernel)}: {kernel.get("error")}')
        missing = sorted(name for name, reason in not_compiled(self.context.source, device, 'comp').items() if not reason)
        cell.ok(not missing, f'{self.target.name}: never compiled: {", ".join(missing)}')
        cell.ok(status == 0 or cell.failed, f'{self.target.name}: status {status}: ' + errors.strip()[-300:])
        cell.note = f'{len(kernels)} kernels'
        return device, cell

    def host(self, device):
        cell, counts = Cell(), []
        with open(os.path.join(self.context.source, 'configs', 'switch-base-8.json'), encoding='utf-8') as file:
            config = {**json.load(file), **MODEL}
        with open(os.path.join(self.here, 'config.json'), 'w', encoding='utf-8') as file:
            json.dump(config, file)
        plan = self.place.program('apps/switchyard-plan')
        for name, options in STEPS.items():
            command = (f'{plan} --model {self.seen}/config.json --batch 4 --src-len 128 --tgt-len 64 '
                       f'--device {device["id"]} --json ' + ' '.join(options))
            output, errors, status = self.call('plan', command, env=VALIDATION)
            faults = re.findall(r'validation: (.*)', errors)
            try:
                counts.append(json.loads(output)['recorded']['dispatches'])
            except (ValueError, KeyError):
                counts.append(0)
            tail = faults[0][:300] if faults else ' / '.join(errors.strip().split('\n')[-2:])
            cell.ok(status == 0 and not faults and counts[-1] > 0, f'{self.target.name}: {name}: status {status}: {tail}')
        cell.note = '+'.join(map(str, counts)) + ' dispatches recorded, none run'
        return cell

    # ---- statistics --------------------------------------------------------------------------------------------------

    def texts(self, kernels):
        """What the compiler wrote about each kernel, by 'source.types'."""
        found = {}
        if self.driver.isa is hotloop.AGX:
            output, _, _ = self.call('debug', self.place.program('apps/switchyard-devices') + ' --kernels --device vulkan:0',
                                     env={'AGX_MESA_DEBUG': 'shaders'})
            start = 0
            for end in re.finditer(r'^ {11}(\w+\.[FBM]) +WG ', output, re.M):  # each line follows its kernel's texts
                found[end[1]] = output[start:end.start()]
                start = end.end()
            os.remove(os.path.join(self.here, 'debug.out'))  # tens of megabytes
            return found
        for kernel in kernels:
            name = kernel_name(kernel)
            path = os.path.join(self.here, 'assembly', name + '.txt')
            if os.path.exists(path):
                with open(path, encoding='utf-8', errors='replace') as file:
                    found[name] = file.read()
                os.remove(path)  # so that the next run cannot read it
        return found

    def normal(self, kernel, texts):
        out = {key: kernel[key] for key in ('op', 'variant', 'source', 'types', 'wg', 'vec', 'error') if key in kernel}
        if 'error' in kernel:
            return out
        out.update({key: int(value) if value == int(value) else value
                    for key, value in self.driver.normal(kernel['statistics']).items()})
        text = texts.get(kernel_name(kernel))
        if text is not None:
            shared = re.findall(r'^shared_size: (\d+)', text, re.M)
            if 'shared_bytes' not in out and 'shader: MESA_SHADER_COMPUTE' in text:
                out['shared_bytes'] = max(map(int, shared), default=0)  # Mesa's shader text leaves a 0 out
            if kernel['op'] in gates.HOT:
                out.update(hotloop.measure(text, self.driver.isa))
        return out


def rows():
    amd = [('polaris10', 'Radeon RX 580 (GCN 4)'), ('vega10', 'Radeon RX Vega (GCN 5)'), ('navi10', 'Radeon RX 5700 (RDNA 1)'),
           ('navi21', 'Radeon RX 6800 (RDNA 2)'), ('navi31', 'Radeon RX 7900 (RDNA 3)'), ('gfx1201', 'Radeon RX 9070 (RDNA 4)')]
    targets = [Target('radv-' + gpu, f'AMD {what} by RADV', Radv, AMDGPU_GPU_ID=gpu) for gpu, what in amd]
    targets += [Target('nvk-turing', 'NVIDIA Turing by NVK', Nvk, NOUVEAU_CHIPSET='162'),
                Target('nvk-ampere', 'NVIDIA Ampere by NVK', Nvk, NOUVEAU_CHIPSET='172'),
                Target('turnip-a730', 'Qualcomm Adreno 730 by Turnip', Turnip, FD_GPU_ID='730'),
                Target('honeykrisp-m1', 'Apple M1 by Honeykrisp', Honeykrisp)]
    return [target.row() for target in targets]
