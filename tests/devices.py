#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""devices.py APPS_DIR SOURCE_DIR: what the programs say of their device: which, how much memory and why, and what fits into it."""
import json
import os
import re
import sys

from apps import SMALL, Suite, config, text


def gib(s, device, env):
    done = s.run('devices', '--json', '--device', device, env=env)
    found = json.loads(done.stdout)
    return (found[0]['memory_bytes'], found[0]['memory_from']) if found else (0, '')


def check_names(s):
    """Every program says which device computes; where standard output is for results, on standard error."""
    model = ['--model', s.path('one', 'latest'), '--device', 'ref:0']
    line = re.compile(r'on ref:0: C reference, switchyard, [0-9.]+ GiB of memory')
    rows = {'train': (['--model', s.path('switch.json'), '--data', s.path('a.txt'), '--out', s.path('one'), '--steps', 1, *SMALL],
                      True),
            'eval': ([*model, '--data', s.path('a.txt'), '--src-len', 48, '--tgt-len', 20, '--batches', 1], False),
            'generate': ([*model, '--text', 'a', '--max-tokens', 2], False),
            'bench': (['matmul', '--size', 16, '--repeat', 1, '--device', 'ref:0'], True)}
    for app, (arguments, out) in rows.items():
        done = s.run(app, *arguments)
        s.ok(done.returncode == 0 and line.search(done.stdout if out else done.stderr) and
             not line.search(done.stderr if out else done.stdout), f'{app} names its device', done.stdout + done.stderr)


def check_auto(s, devices):
    """A device that only imitates one is taken with a word about why."""
    arguments = ['matmul', '--size', 16, '--repeat', 1]
    empty = s.path('no-drivers')
    os.makedirs(empty)
    env = {'OCL_ICD_VENDORS': empty, 'VK_ICD_FILENAMES': os.path.join(empty, 'none.json'), 'VK_DRIVER_FILES': ''}
    done = s.run('bench', *arguments, env=env)
    s.ok(done.returncode == 0 and 'auto: ref:0' in done.stderr and 'pocl-opencl-icd' in done.stderr, 'auto: no driver at all',
         done.stderr)
    software = [d for d in devices if d['id'].startswith('vulkan') and d['software']]
    if software and len(software) == sum(d['id'].startswith('vulkan') for d in devices):
        done = s.run('bench', *arguments, env={'OCL_ICD_VENDORS': empty})
        s.ok(done.returncode == 0 and 'auto: ' + software[0]['id'] in done.stderr and 'in software' in done.stderr and
             'pocl-opencl-icd' in done.stderr, 'auto: a GPU in software alone', done.stderr)
    else:
        s.skip('auto: a GPU in software alone', 'needs lavapipe and no other Vulkan device')


def check_home(s, devices):
    """PoCL needs a folder for its kernels, and hides its devices where it finds none."""
    pocl = [d['id'] for d in devices if 'Portable Computing Language' in d['driver']]
    if not pocl:
        s.skip('no home', 'needs PoCL')
        return
    temporary = s.path('tmp')
    os.makedirs(temporary)
    for name, env in (('HOME', {'HOME': '/dev/null/x', 'XDG_CACHE_HOME': ''}), ('XDG_CACHE_HOME', {'XDG_CACHE_HOME': '/dev/null/x'})):
        env.update(POCL_CACHE_DIR='', SY_CACHE_DIR='', TMPDIR=temporary)
        done = s.run('devices', env=env)
        s.ok(done.returncode == 0 and pocl[0] in done.stdout and name + ' cannot be written' in done.stderr and
             'POCL_CACHE_DIR' in done.stderr, f'{name} that cannot be written: PoCL is there', done.stdout + done.stderr)
        done = s.run('bench', 'matmul', '--size', 16, '--repeat', 1, '--device', pocl[0], env=env)
        s.ok(done.returncode == 0 and os.listdir(temporary), f'{name} that cannot be written: PoCL computes', done.stderr)
        own = [line for line in done.stderr.strip().split('\n') if 'compiling kernels' not in line] # on a slow machine
        s.ok(len(own) == 1, 'one line says where its kernels are', done.stderr)
    done = s.run('devices', env={'POCL_CACHE_DIR': '/dev/null/x'})
    s.ok(pocl[0] not in done.stdout and 'POCL_CACHE_DIR' in done.stderr and '/dev/null/x' in done.stderr,
         'POCL_CACHE_DIR that cannot be written: said', done.stderr)


def check_memory(s, devices):
    for device in devices:
        s.ok(device['memory_from'] and device['memory_bytes'] > 0, f'{device["id"]}: memory is {device["memory_from"]}')
    bytes_, said = gib(s, 'ref:0', {'SY_FORCE_MEMORY': '64M'})
    s.ok(bytes_ == 1 << 26 and said == 'SY_FORCE_MEMORY', 'SY_FORCE_MEMORY is named', said)
    for device in (d['id'] for d in devices if 'Portable Computing Language' in d['driver']):
        (ours, why), (host, _) = gib(s, device, {}), gib(s, 'ref:0', {})
        s.ok(abs(ours - host) < host / 8 and 'POCL_MEMORY_LIMIT' in why,
             f'{device}: what is free here, {ours >> 20} of {host >> 20} MiB')
        ours, why = gib(s, device, {'POCL_MEMORY_LIMIT': '1'})
        s.ok(ours <= 1 << 30 and 'POCL_MEMORY_LIMIT is set' in why, f'{device}: POCL_MEMORY_LIMIT lowers it', f'{ours} {why}')


def check_fits(s):
    """The remedy for a step that is too large is one that was planned, and works."""
    def train(out, limit, *more):
        return s.run('train', '--model', s.path('switch.json'), '--data', s.path('a.txt'), '--valid', s.path('a.txt'),
                     '--valid-sequences', 4, '--out', s.path(out), '--steps', 1, '--src-len', 48, '--tgt-len', 20, '--batch-tokens',
                     24 * 48, '--device', 'ref:0', *more, env={'SY_FORCE_MEMORY': limit})
    done = train('big', '5M')
    found = re.search(r'; --micro-batch (\d+)( with --recompute)? needs [0-9.]+ [GM]iB and fits$', done.stderr.strip())
    s.ok(done.returncode == 1 and done.stderr.count('error') == 1 and found and 'SY_FORCE_MEMORY' in done.stderr,
         'a step too large: what fits is said', done.stderr)
    if found:
        more = ['--micro-batch', found.group(1)] + (['--recompute'] if found.group(2) else [])
        done = train('fits', '5M', *more)
        s.ok(done.returncode == 0, f'{" ".join(more)} fits', done.stderr)
        above = [n for n in (1, 2, 3, 4, 6, 8, 12, 24) if n > int(found.group(1))]
        done = train('above', '5M', '--micro-batch', above[0])
        s.ok(done.returncode == 1, f'--micro-batch {above[0]} does not', done.stderr)
    done = train('none', '900K')
    s.ok(done.returncode == 1 and 'no --micro-batch fits' in done.stderr, 'nothing fits: said', done.stderr)
    arguments = ['--model', s.path('one', 'latest'), '--data', s.path('a.txt'), '--src-len', 48, '--tgt-len', 20, '--device', 'ref:0']
    done = s.run('eval', *arguments, '--sequences', 256, env={'SY_FORCE_MEMORY': '5M'})
    found = re.search(r'--sequences (\d+) needs [0-9.]+ [GM]iB and fits$', done.stderr.strip())
    s.ok(done.returncode == 1 and found, 'eval: a batch too large: what fits is said', done.stderr)
    done = s.run('eval', *arguments, '--sequences', found.group(1) if found else 1, '--batches', 1, env={'SY_FORCE_MEMORY': '5M'})
    s.ok(done.returncode == 0, 'eval: it fits', done.stderr)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    s = Suite(sys.argv[1])
    config(s.path('switch.json'))
    text(s.path('a.txt'))
    devices = json.loads(s.run('devices', '--json').stdout)
    check_names(s)
    check_auto(s, devices)
    check_home(s, devices)
    check_memory(s, devices)
    check_fits(s)
    s.done()


if __name__ == '__main__':
    main()
