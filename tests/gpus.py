#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gpus.py APPS SOURCE: ./dev gpu: drivers that a loader would not find, parts that crash or hang, the report, and a pack that runs
without this build on the devices that are here. A stand-in for a built engine has a GPU."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import types

from apps import Suite

DEVICE = {'id': 'vulkan:0', 'name': 'Imagined GPU 9000 (TM)', 'driver': 'none 1.0', 'api': 'Vulkan 1.3', 'class': 'simt',
          'software': False, 'memory_bytes': 8 << 30, 'features': ['bf16'],
          'ops': {'matmul': {'variant': 'base', 'bf16': {'variant': 'coop'}}, 'add': {'variant': 'base'}}}
FIGURE = {'what': 'matmul 4096×4096×4096 bf16', 'by': 'coop', 'rival': False, 'ms': 0.5, 'gflops': 300.0, 'gbs': 20.0}
TEXT = 'vulkan:0   Imagined GPU 9000 (TM)\n           class simt\n'
PROGRAMS = {
    'apps/switchyard-devices': f"if [ \"$1\" = --json ]; then cat <<'EOT'\n[\n{json.dumps(DEVICE)}\n]\nEOT\nelse echo '{TEXT}'; fi",
    'apps/switchyard-bench': "[ $1 != xent ] || echo 'switchyard-bench: warning: matmul runs as base, not as coop: why'\n"
                             f"cat <<'EOT'\n{json.dumps({'figures': [FIGURE]}, indent=2)}\nEOT",
    'apps/switchyard-train': 'exit 1',
    'tests/test_ops': "echo '5 passed, 0 failed, 0 skipped'",
    'tests/test_golden': "echo 'ok 1 - a'\nkill -SEGV $$",
    'tests/test_quirks': "echo 'not ok 2 - this one'\necho '1 passed, 1 failed, 0 skipped'\nexit 1",
    'tests/test_pieces': 'echo nothing',
    'tests/test_slices': "echo '2 passed, 0 failed, 0 skipped'",
}


def script(path, body):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w', encoding='utf-8') as file:
        file.write('#!/bin/sh\n' + body + '\n')
    os.chmod(path, 0o755)


def read(path):
    with open(path, encoding='utf-8') as file:
        return file.read()


def run(command, cwd, timeout=120, **env):
    return subprocess.run(command, capture_output=True, text=True, errors='replace', timeout=timeout, check=False, cwd=cwd,
                          stdin=subprocess.DEVNULL, env={'PATH': os.environ['PATH'], **env})


def check_drivers(s, source):
    """A driver without a vendor file, and one whose Vulkan manifest names a library that cannot be loaded."""
    root = s.path('root')
    for name in ('usr/local/nvidia/lib64/libnvidia-opencl.so.1', 'etc/OpenCL/vendors/pocl.icd'):
        script(os.path.join(root, name), '')
    manifest = os.path.join(root, 'usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json')
    script(manifest, '{"ICD": {"library_path": "libGLX_nvidia.so.0"}}')
    devices = s.path('devices')

    def found(program):
        script(devices, program)
        made = tempfile.mkdtemp(dir=s.folder)
        line = (f'sysroot={root}; . {source}/tests/gpu/drivers.sh; find_drivers {made} {devices}; '
                'echo "$OCL_ICD_VENDORS|$VK_ADD_DRIVER_FILES"')
        return run(['sh', '-c', line], s.folder).stdout.split('\n')[-2].split('|')

    vendors, files = found(f"grep -q EGL \"$VK_ADD_DRIVER_FILES\" && echo '{TEXT}'")
    s.ok(sorted(os.listdir(vendors)) == ['libnvidia-opencl.so.1.icd', 'pocl.icd'] and
         read(os.path.join(vendors, 'libnvidia-opencl.so.1.icd')) == root + '/usr/local/nvidia/lib64/libnvidia-opencl.so.1\n',
         'an OpenCL driver without a vendor file gets one, beside those there are', os.listdir(vendors))
    s.ok('libEGL_nvidia.so.0' in read(files), "NVIDIA's EGL library where its GLX one cannot be loaded", files)
    s.ok(found(f"[ -n \"$VK_ADD_DRIVER_FILES\" ] && echo '{TEXT}'")[1] == manifest, 'its manifest as it is where that works')
    s.ok(found(f"echo '{TEXT}'")[1] == '', 'nothing is added where a GPU is found already')
    s.ok(found('true')[1] == '', 'nor where nothing helps')
    script(os.path.join(root, 'etc/OpenCL/vendors/nvidia.icd'), 'libnvidia-opencl.so.1')
    s.ok(found(f"echo '{TEXT}'")[0] == '', 'no vendor file for a driver that has one')


def check_runner(s, source):
    """One part crashes, one fails, one says nothing: the others run, the report has all of it, the status is 1."""
    build, out = s.path('standin'), s.path('out')
    for name, body in PROGRAMS.items():
        script(os.path.join(build, name), body)
    command = ['sh', source + '/tests/gpu/run.sh', '--build', build, '--out', out]
    done = run(command, s.folder, OCL_ICD_VENDORS=out)
    page, report = read(out + '/imagined-gpu-9000.md'), json.loads(read(out + '/imagined-gpu-9000.json'))
    cells = {r['part']: r for r in report['results']}
    s.ok(done.returncode == 1 and report['finished'] and 'send it in' in done.stdout, 'failures: status 1', done.stdout + done.stderr)
    s.ok(cells['ops']['passed'] == 5 and cells['slices']['passed'] == 2 and cells['matmul-4096']['figures'][0]['gflops'] == 300.0,
         'the other parts ran', cells)
    s.ok('ended by signal 11 (SIGSEGV)' in page and 'not ok 2 - this one' in page and cells['pieces']['failed'] == 1,
         'a crash, a failure, and a program that checked nothing are named', page)
    s.ok(cells['loss']['failed'] == 1 and 'matmul runs as base, not as coop: why' in page, 'a variant that is refused is named', page)
    s.ok('| matmul 4096×4096×4096 bf16 | `vulkan:0` | coop | 0.500 | 300.0 |' in page and 'matmul: base, bf16 coop' in page and
         'add:' not in page, 'figures and variants', page)
    s.ok('library was not measured' in page or 'own library' in page, "the vendor's library, or why not", page)
    done = run(command + ['--part', 'ops', '--part', 'copy'], s.folder, OCL_ICD_VENDORS=out)
    s.ok(done.returncode == 0 and '6 passed, 0 failed' in done.stdout, 'nothing failed: status 0', done.stdout + done.stderr)
    done = run(command + ['--part', 'ops', '--part', 'golden'], s.folder, OCL_ICD_VENDORS=out, SY_GPU_NO_PYTHON='1')
    s.ok(done.returncode == 1 and '2 parts, 1 failed' in done.stdout and '5 passed' in read(out + '/logs/ops-vulkan0.txt'),
         'without Python: the same programs, their output', done.stdout + done.stderr)
    for words, said in ((['--device', 'vulkan:7'], 'vulkan:0'), (['--part', 'opps'], 'slices'), (['--minutes', '0'], '--minutes 0')):
        done = run(command + words, s.folder, OCL_ICD_VENDORS=out)
        s.ok(done.returncode != 0 and said in done.stderr, f'{" ".join(words)}: refused', done.stderr)


def check_limits(s, source):
    """A part that hangs is ended with all that it started."""
    sys.path[:0] = [source + '/tests/gpu', source + '/tests/matrix']
    import paper
    import parts
    context = types.SimpleNamespace(build=s.folder, source=source, scratch=s.folder, logs=s.folder, cache=s.folder)
    place = parts.Place(context, 'hangs', 1)
    started = time.monotonic()
    output, code, _ = place.run('sh', '-c', 'echo begun; sleep 60 & sleep 60')
    s.ok(code == 124 and time.monotonic() - started < 20 and 'begun' in output and 'no end after 1 s' in output,
         'a part that hangs', output)
    # What a program prints that sees the variables it is run with.
    said = json.dumps({'figures': [{'what': 'a', 'by': '$SY_COOP_ATTENTION'}]}, indent=2)
    script(place.program('apps/switchyard-bench'), f'cat <<EOT\n{said}\nEOT')
    cell = parts.attention_blocks(parts.Place(context, 'blocks', 60), 'vulkan:0')
    seen = {figure['what']: figure['by'] for figure in cell.figures}
    s.ok(cell.failed == 0 and seen.get('a, SY_COOP_ATTENTION=16,4,32') == '16,4,32' and
         seen.get('a') == '',
         'a block to a run, and a run without matrix cores', str(seen) + ' '.join(cell.details))
    s.ok(not hasattr(parts.attention_blocks(place, 'opencl:0'), 'figures'), 'blocks are for Vulkan')
    canned = {'machine': dict.fromkeys(('date', 'commit', 'system', 'kernel', 'libc', 'cpu', 'cores'), 'x'), 'seconds': 1.0,
              'devices': [paper.slim(DEVICE)], 'rival': {'torch': '9', 'name': 'G', 'figures': [
                  {'name': 'matmul-4096', 'bf16': bf16, 'f32': 1.0} for bf16 in (500.0, 700.0)]},
              'results': [{'part': 'matmul-4096', 'what': 'm', 'device': 'vulkan:0', 'passed': 1, 'failed': 0, 'skipped': 0,
                           'seconds': 1, 'note': '', 'details': [], 'figures': [FIGURE]}]}
    page = paper.markdown(canned)
    s.ok('| coop | 300.0 GFLOP/s | 600.0 GFLOP/s | 0.50 |' in page and '| 50 % |' in page, "beside the vendor's library", page)
    return paper


def check_pack(s, apps, devices):
    """The programs of this build, on the devices that are here, without the tree and its environment."""
    import pack
    folder = s.path('packed')
    pack.fill(os.path.dirname(apps), folder)
    lacking = [name for name in ('run', 'COMMIT', 'lib/libjansson.so.4', 'tests/golden', 'configs/gpu-switch.json')
               if not os.path.exists(os.path.join(folder, name))]
    s.ok(not lacking, 'a pack has what it needs', lacking)
    for device in devices:
        done = run([folder + '/run', '--device', device, '--part', 'train', '--part', 'copy', '--out', s.path('report')], '/',
                   timeout=300, HOME=os.environ.get('HOME', s.folder))
        s.ok(done.returncode == 0 and '4 passed, 0 failed, 0 skipped' in done.stdout, f'{device}: a pack runs',
             done.stdout + done.stderr)
    full = s.path('full')
    script(full + '/mine', '')
    done = run([sys.executable, pack.__file__, os.path.dirname(apps), full], s.folder)
    s.ok(done.returncode != 0 and 'not empty' in done.stderr and os.listdir(full) == ['mine'], "somebody's folder is left alone",
         done.stderr)
    shutil.rmtree(folder)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    s = Suite(sys.argv[1])
    source = os.path.abspath(sys.argv[2])
    check_drivers(s, source)
    check_runner(s, source)
    check_limits(s, source)
    listed = json.loads(s.run('devices', '--json').stdout)
    found = [d['id'] for d in listed if d['id'] != 'ref:0']
    if found:
        check_pack(s, s.apps, found)
    else:
        s.skip('a pack runs', 'no OpenCL or Vulkan device')
    s.done()


if __name__ == '__main__':
    main()
