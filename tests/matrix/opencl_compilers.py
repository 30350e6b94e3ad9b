# SPDX-License-Identifier: Apache-2.0
"""opencl_compilers.py: rows that compile every OpenCL kernel a GPU could run with the real OpenCL compilers of GPUs that are not here.

Which kernels there are, their work-group sizes and defines, is asked of the engine (switchyard-devices --kernels on a device
of the same class); the texts are those that kernels/embed.py puts into it. Where one process can compile a list, it does.
"""
import glob
import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import threading

import isa
from drivers import one, unpacked, wheels
from executing import Place, model_config
from gates import judge
from row import Cell, Outcome, Row, Unavailable, kernel_name, not_compiled

# As hostlib/opencl/kernel.c spells them.
OPTIONS = '-cl-std=CL1.2 -DWG={wg} -DVEC={vec} {defines}'
LLVM = 21
MESA = {'RUSTICL_ENABLE': 'llvmpipe', 'OCL_ICD_VENDORS': '/etc/OpenCL/vendors/rusticl.icd'}
AMDGPU = {'RUSTICL_ENABLE': 'radeonsi', 'OCL_ICD_VENDORS': '/etc/OpenCL/vendors/rusticl.icd', 'AMD_DEBUG': 'cs,asm,stats',
          'LD_PRELOAD': '/usr/lib/x86_64-linux-gnu/libamdgpu_noop_drm_shim.so', 'MESA_SHADER_CACHE_DISABLE': 'true'}
MODEL = ['--batch', '2', '--src-len', '32', '--tgt-len', '16']
LOCK = threading.Lock()


# Requirements of variants.def that no GPU meets.
NOT_FOR_GPUS = ('needs a CPU that compiles whole work-groups', 'needs bf16 factors', 'needs PoCL on an x86 CPU with AMX for bf16',
                'needs PoCL on an x86 CPU with AVX-512 for bf16')
# Variants for some GPUs alone, which other devices can only emulate, and the targets that run them.
MATRIX_CORES = {'mma': ('sm_80', 'sm_90'), 'cores': ('dg2', 'pvc', 'bmg', 'gfx1100', 'gfx942')}


def describe(place):
    """([kernel of a GPU]: op, variant, source, types, wg, vec, defines, and [what must be learnt here]: variants that the device
    asked cannot run and other GPUs might). Any SIMT device knows the first; llvmpipe is always there."""
    output, code, _ = place.run(place.program('apps/switchyard-devices'), '--kernels', '--json', '--device', 'opencl:0',
                                env={'SY_EMULATE_MMA': '1', 'SY_EMULATE_CORES': 'wmma'})
    try:
        devices = json.loads(output[output.index('\n[') if output[0] != '[' else 0:])
        device = next((device for device in devices if device['class'] == 'simt'), {'kernels': [], 'ops': {}})
        escaped = not_compiled(place.context.source, device, 'cl') if device['kernels'] else {}
        return device['kernels'], sorted(name for name, reason in escaped.items() if reason not in NOT_FOR_GPUS)
    except (ValueError, IndexError, KeyError):
        raise Unavailable(f'switchyard-devices listed no kernels (status {code}): {output[-300:]}') from None


class Job:
    """One row's work: the kernels, a folder with their sources, and what was learnt. `target`: as MATRIX_CORES names it."""

    def __init__(self, context, row, target):
        self.context, self.row = context, row
        self.place = Place(context, row, True, MESA)
        with LOCK:
            self.place.prepare()
            if not hasattr(context, 'cl_variants'):
                context.cl_variants, context.cl_escaped = describe(self.place)
        if not context.cl_variants:
            raise Unavailable('no device of the GPU class told its kernels')
        wanted = [k for k in context.cl_variants if target in MATRIX_CORES.get(k['variant'], (target,))]
        self.kernels = [{key: k[key] for key in ('op', 'variant', 'source', 'types', 'wg', 'vec')} for k in wanted]
        self.options = [OPTIONS.format(**k).rstrip() + (' -DPTX' if target in MATRIX_CORES['mma'] else '') for k in wanted]
        self.seen, self.here = self.place.scratch(row)
        shutil.rmtree(self.here)  # what a failed run left must not pass for this one's
        os.makedirs(self.here)
        resolve = runpy.run_path(os.path.join(context.source, 'kernels', 'embed.py'))['resolve']
        folder = os.path.join(context.source, 'kernels')
        for source in {k['source'] for k in self.kernels}:
            text = resolve(os.path.join(folder, source + '.cl'), folder, []).encode('ascii', 'replace')
            with open(self.path(source + '.cl'), 'wb') as file:
                file.write(text)

    def path(self, name):
        return os.path.join(self.here, name)

    def read(self, name, mode='r'):
        with open(self.path(name), mode, **({} if 'b' in mode else {'encoding': 'utf-8', 'errors': 'replace'})) as file:
            return file.read()

    def shell(self, lines, timeout=600):
        """Runs a script in the folder, in the root."""
        with open(self.path('run.sh'), 'w', encoding='utf-8') as file:
            file.write('cd ' + shlex.quote(self.seen) + '\n' + '\n'.join(lines) + '\n')
        return self.context.root.run('sh ' + shlex.quote(self.seen + '/run.sh'), timeout=timeout)

    def each(self):
        """(kernel, its file name without ending, its options)."""
        return [(k, kernel_name(k), options) for k, options in zip(self.kernels, self.options)]

    def learn(self, kernel, name, facts):
        """Adds facts() to a kernel; what keeps it from being read is an error of that kernel."""
        try:
            kernel.update(facts())
        except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
            log = self.read(name + '.log') if os.path.exists(self.path(name + '.log')) else ''
            kernel['error'] = first_error(log) or f'its statistics cannot be read: {type(error).__name__}: {error}'

    def outcome(self, version, limits):
        compiled = Cell()
        for kernel in self.kernels:
            error = kernel.get('error')
            compiled.ok(error is None, f'{self.row}: {kernel_name(kernel)}: {error}')
        compiled.ok(not self.context.cl_escaped, f'{self.row}: compiled for no GPU; opencl_compilers.py must learn which could run '
                    f'them: {", ".join(self.context.cl_escaped)}')
        cells = {'compile': compiled, 'gates': judge(self.row, self.kernels, limits)}
        if not compiled.failed:
            shutil.rmtree(self.here, ignore_errors=True)
        return Outcome(version=version, cells=cells, kernels=self.kernels)


def first_error(log):
    return next((line.strip()[:300] for line in log.split('\n') if 'error' in line.lower() or 'fatal' in line.lower()), '')


def clang(job, target, ending):
    """Compiles every variant to assembly. A kernel's own warnings are for the engine's other builds to show."""
    job.shell([f'clang-{LLVM} {target} -w -x cl {options} -O3 -S -o {name}.{ending} {k["source"]}.cl > {name}.log 2>&1'
               for k, name, options in job.each()])
    return 'clang ' + job.context.root.version_of(f'clang-{LLVM}')


# ---- Intel: ocloc ----------------------------------------------------------------------------------------------------

def ocloc(context, row, device, register_bytes, limits):
    job = Job(context, row, device)
    with open(job.path('list.txt'), 'w', encoding='utf-8') as file:
        for kernel, name, options in job.each():
            file.write(f'-file {kernel["source"]}.cl -device {device} -out_dir . -output {name} -output_no_suffix '
                       f'-options "{options}"\n')
    output = job.shell(['ocloc multi list.txt']).stdout
    if 'Loading of FCL library has failed' in output or 'Loading of IGC library has failed' in output:
        raise Unavailable("ocloc finds no compiler: the packages libigdfcl2 and libigc2 are not in the root")
    for part, (kernel, name, _) in zip(re.split(r'^Command number \d+:', output, flags=re.M)[1:], job.each()):
        with open(job.path(name + '.log'), 'w', encoding='utf-8') as file:
            file.write(part)
    job.shell([f'ocloc disasm -file {name}.bin -device {device} -dump {name}.dump > /dev/null 2>&1' for _, name, _ in job.each()])
    for kernel, name, _ in job.each():
        job.learn(kernel, name, lambda k=kernel, n=name: {
            **isa.zebin(job.read(n + '.bin', 'rb'), k['source'], register_bytes),
            **isa.assembly(job.read(f'{n}.dump/.text.{k["source"]}.asm'), isa.INTEL)})
    igc = next((v for v in map(context.root.version_of, ('libigc2', 'libigc1')) if v not in ('', 'unknown')), '')
    return job.outcome(f'ocloc {context.root.version_of("intel-ocloc")}' + (f', IGC {igc}' if igc else ''), limits)


# ---- NVIDIA: clang, then ptxas ---------------------------------------------------------------------------------------

def cuda_tool(name, package):
    """The tool of an installed CUDA toolkit, or of a wheel from PyPI."""
    found = shutil.which(name) or next(iter(sorted(glob.glob(f'/usr/local/cuda*/bin/{name}'))), None)
    if not found:
        with LOCK:
            found = one(unpacked(package, lambda folder: wheels(folder, [package])), name)
        os.chmod(found, 0o755)
    return found


def ptxas(context, row, arch, _, limits):
    assembler, disassembler = cuda_tool('ptxas', 'nvidia-cuda-nvcc-cu12'), cuda_tool('nvdisasm', 'nvidia-cuda-nvdisasm')
    job = Job(context, row, arch)
    library = '/usr/lib/clc/nvptx64--nvidiacl.bc'
    # Where a launch begins, the library does not know: here, as in all launches of whole dispatches, at group 0.
    version = clang(job, f"--target=nvptx64-nvidia-nvcl -march={arch} '-Dget_global_offset(dimension)=0' -fasm "
                    f'-Xclang -mlink-builtin-bitcode -Xclang {library}', 'ptx')

    def facts(kernel, name):
        done = subprocess.run([assembler, '-v', f'-arch={arch}', '-o', job.path(name + '.cubin'), job.path(name + '.ptx')],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        with open(job.path(name + '.log'), 'a', encoding='utf-8') as file:
            file.write(done.stdout)
        function, result = isa.ptxas(done.stdout, job.read(name + '.cubin', 'rb'), kernel['source'])
        text = subprocess.run([disassembler, '-c', job.path(name + '.cubin')], capture_output=True, text=True, check=False).stdout
        return {**result, **isa.assembly(isa.sass(text, function), isa.NVIDIA)}

    for kernel, name, _ in job.each():
        job.learn(kernel, name, lambda k=kernel, n=name: facts(k, n))
    release = subprocess.run([assembler, '--version'], capture_output=True, text=True, check=False).stdout
    return job.outcome(f'{version}, ptxas {(re.search(r"V([0-9.]+)", release) or ("", "unknown"))[1]}', limits)


# ---- AMD: clang, and Mesa's radeonsi ---------------------------------------------------------------------------------

def amdgcn(context, row, gpu, _, limits):
    job = Job(context, row, gpu)
    version = clang(job, f'--target=amdgcn-amd-amdhsa -mcpu={gpu}', 's')
    for kernel, name, _ in job.each():
        job.learn(kernel, name, lambda k=kernel, n=name: isa.amdgcn(job.read(n + '.s'), k['source']))
    return job.outcome(version, limits)


def radeonsi(context, row, gpu, *_):
    """Here the engine itself compiles, on a device that Mesa's driver opens on a faked kernel; it also records a step."""
    job = Job(context, row, gpu)
    place = Place(context, row, True, {**AMDGPU, 'AMDGPU_GPU_ID': gpu})
    place.prepare()
    program = place.program('apps/switchyard-devices')
    output, code, _ = place.run(program, '--kernels', '--device', 'opencl:0', timeout=300)
    at = re.search(r'^opencl:0 +(.*radeonsi.*)\n +(.*)', output, re.M) or re.search(r'^opencl:0 +(.*)\n +(.*)', output, re.M)
    limit = re.search(r'local (\d+) KiB, work-group (\d+)', output)
    if not at or not limit or 'radeonsi' not in at[1]:
        raise Unavailable(f'rusticl opens no radeonsi device (status {code}): {output[-300:]}')
    reports = re.split(r'^ +(\w+\.[FBM]) +WG +\d+ +VEC +\d+ +(.*)$', output, flags=re.M)
    told = {name: (text, verdict) for text, name, verdict in zip(reports[::3], reports[1::3], reports[2::3])}
    for kernel, name, _ in job.each():
        text, verdict = told.get(name, ('', 'FAILED'))
        if verdict == 'FAILED':
            kernel['error'] = first_error(text) or 'switchyard-devices did not get to it'
        else:
            job.learn(kernel, name, lambda t=text: isa.radeonsi(t))
    outcome = job.outcome(at[1] + ', ' + at[2], {'shared_bytes': int(limit[1]) * 1024, 'max_wg': int(limit[2])})
    outcome.cells['host'] = host(place, row)
    return outcome


def host(place, row):
    """Whether a whole training step can be made ready on the device, in each precision."""
    cell, notes = Cell(), []
    place.env.pop('AMD_DEBUG', None)
    seen, here = place.scratch(row + '-host')
    model_config(os.path.join(here, 'config.json'))
    for precision in ('f32', 'selective', 'bf16'):
        output, code, _ = place.run(place.program('apps/switchyard-plan'), '--model', seen + '/config.json', '--device',
                                    'opencl:0', '--precision', precision, *MODEL)
        recorded = re.search(r'recorded on .*: (\d+) dispatches of (\d+) kernels', output)
        if cell.ok(code == 0 and recorded, f'{row}: {precision}: {output.strip()[-300:]}'):
            notes.append(int(recorded[1]))
    shutil.rmtree(here, ignore_errors=True)
    cell.note = f'{notes[0]} dispatches' if notes else ''
    return cell


# ---- the rows --------------------------------------------------------------------------------------------------------

# What one work-group may have, by the vendors' manuals (CUDA: static shared memory; ROCm: without a wider launch bound).
INTEL_LIMITS = {'shared_bytes': 65536, 'max_wg': 512}
NVIDIA_LIMITS = {'shared_bytes': 49152, 'max_wg': 1024}
AMD_LIMITS = {'shared_bytes': 65536, 'max_wg': 256}

# name, what, compiler, its name for the target, bytes of a register (Intel: spills are given in bytes), limits
TARGETS = (
    ('ocloc-tgllp', 'Intel Tiger Lake (Xe-LP)', ocloc, 'tgllp', 32, INTEL_LIMITS),
    ('ocloc-dg2', 'Intel Arc A (Xe-HPG)', ocloc, 'dg2', 32, INTEL_LIMITS),
    ('ocloc-pvc', 'Intel Data Center GPU Max (Xe-HPC)', ocloc, 'pvc', 64, INTEL_LIMITS),
    ('ocloc-bmg', 'Intel Arc B (Xe2)', ocloc, 'bmg', 64, INTEL_LIMITS),
    ('ptxas-sm_75', 'NVIDIA Turing', ptxas, 'sm_75', 0, NVIDIA_LIMITS),
    ('ptxas-sm_80', 'NVIDIA Ampere (A100)', ptxas, 'sm_80', 0, NVIDIA_LIMITS),
    ('ptxas-sm_90', 'NVIDIA Hopper (H100)', ptxas, 'sm_90', 0, NVIDIA_LIMITS),
    ('amdgcn-gfx906', 'AMD Radeon VII (Vega 20)', amdgcn, 'gfx906', 0, AMD_LIMITS),
    ('amdgcn-gfx1030', 'AMD Radeon RX 6800 (RDNA 2)', amdgcn, 'gfx1030', 0, AMD_LIMITS),
    ('amdgcn-gfx1100', 'AMD Radeon RX 7900 (RDNA 3)', amdgcn, 'gfx1100', 0, AMD_LIMITS),
    ('amdgcn-gfx942', 'AMD Instinct MI300 (CDNA 3)', amdgcn, 'gfx942', 0, AMD_LIMITS),
    ('radeonsi-polaris10', 'AMD Radeon RX 580 (GCN 4) by rusticl', radeonsi, 'polaris10', 0, None),
    ('radeonsi-vega10', 'AMD Radeon RX Vega (GCN 5) by rusticl', radeonsi, 'vega10', 0, None),
    ('radeonsi-navi21', 'AMD Radeon RX 6800 (RDNA 2) by rusticl', radeonsi, 'navi21', 0, None),
    ('radeonsi-navi31', 'AMD Radeon RX 7900 (RDNA 3) by rusticl', radeonsi, 'navi31', 0, None),
)


def rows():
    return [Row(name, 'compiles', what, lambda context, t=(name, *rest): t[1](context, t[0], *t[2:]), True)
            for name, what, *rest in TARGETS]
