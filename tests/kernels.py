#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kernels.py APPS SOURCE: switchyard-devices and switchyard-bench walk the registry: every op, every variant, and why."""
import itertools
import json
import os
import re
import runpy
import sys

from apps import Suite, config, refuse


def registry(source):
    """{op: [its variants in order of preference]}"""
    embed = runpy.run_path(os.path.join(source, 'kernels', 'embed.py'))
    ops = embed['parse_ops'](os.path.join(source, 'engine', 'ops.def'))
    variants = embed['parse_variants'](os.path.join(source, 'engine', 'variants.def'), ops)
    return {op[0]: [v for v in variants if v.op == op[0]] for op in ops}


SOME = 'is for some shapes only'


def runs(told, variant, types):
    """Whether the device that told this of the variant's op runs it for F, B or M."""
    return variant not in (told if types == 'F' else told.get('bf16', told))['not']


def compiles(told, variant, types):
    """The same, if only for some shapes."""
    return (told if types == 'F' else told.get('bf16', told))['not'].get(variant, SOME) == SOME


def passed_over(op, variants, told):
    """Why none of those before the variant that runs does."""
    before = itertools.takewhile(lambda v: v.name != told[op]['variant'], variants)
    return [told[op]['not'][v.name] for v in before]


def check_devices(s, ops):
    listed = json.loads(s.run('devices', '--json').stdout)
    for device in listed:
        told = device['ops']
        wrong = [op for op, variants in ops.items()
                 if op not in told or told[op]['variant'] != next(v.name for v in variants if v.name not in told[op]['not'])]
        s.ok(not wrong and len(told) == len(ops), f'{device["id"]}: every op runs the first variant that it can: {wrong}')
        text = s.run('devices', '--ops', '--device', device['id']).stdout
        lines = re.findall(r'^ +(\w+) +WG +\d+ +VEC +\d+ +(\w+)(.*)$', text, re.M)
        s.ok([(op, variant) for op, variant, _ in lines] == [(op, told[op]['variant']) for op in ops] and
             all(reason in rest for op, _, rest in lines for reason in passed_over(op, ops[op], told)),
             f'{device["id"]}: --ops says the same, and why', text)
        done = s.run('devices', '--json', '--kernels', '--op', 'relu', '--op', 'matmul', '--device', device['id'])
        kernels = json.loads(done.stdout)[0]['kernels']
        want = {(v.op, v.name, v.source, types) for op in ('relu', 'matmul') for v in ops[op]
                for types in v.types if compiles(told[op], v.name, types)}
        got = {(k['op'], k['variant'], k['source'], k['types']) for k in kernels}
        s.ok(got == want and done.returncode == 0, f'{device["id"]}: --kernels compiles every variant it can run', got ^ want)
    return {device['id']: [v.name for v in ops['matmul'] if runs(device['ops']['matmul'], v.name, 'B')] for device in listed}


def check_bench(s, ops, matmuls):
    """`matmuls`: for each device, the variants of matmul that it can run."""
    config(s.path('tiny.json'))
    product = ['op', '--op', 'matmul', '--args', '20,30,40,1,1,0,1.0,48,0,0,0', '--repeat', 1]
    done = s.run('bench', *product, '--device', 'ref:0')
    s.ok(re.findall(r'^matmul bf16 on ref:0, variant (\w+): .* GFLOP/s .* GB/s; ', done.stdout, re.M) == ['base'],
         'bench op: one line a variant', done.stdout + done.stderr)
    for device, names in matmuls.items():
        done = s.run('bench', *product, '--device', device)
        s.ok(re.findall(r'variant (\w+)', done.stdout) == names, f'{device}: all variants it can run', done.stdout + done.stderr)
        done = s.run('bench', 'matmul', '--size', 40, '--repeat', 1, '--precision', 'f32', '--device', device, '--variant', 'base')
        s.ok('variant base: ' in done.stdout, f'{device}: bench matmul runs the one asked for', done.stdout + done.stderr)
        done = s.run('bench', *product, '--device', device, env={'SY_NO_VARIANT': 'matmul:packed'})
        s.ok(re.findall(r'variant (\w+)', done.stdout) == [name for name in names if name != 'packed'],
             f'{device}: SY_NO_VARIANT', done.stdout + done.stderr)
    done = s.run('bench', 'step', '--model', s.path('tiny.json'), '--batch', 1, '--src-len', 8, '--tgt-len', 5, '--repeat', 1,
                 '--device', 'ref:0')
    phases = re.findall(
        r'^(\w.*): (\d+) dispatches in (\d+) waves and (\d+) submissions, [\d.]+ ms to submit, [\d.]+ ms on the device$',
        done.stdout, re.M)
    s.ok([p[0] for p in phases] == ['forward and backward', 'update', 'refresh'] and
         all(1 < int(p[2]) <= int(p[1]) for p in phases[:2]) and int(phases[2][2]) == 1,
         'bench step: dispatches, waves, submission', done.stdout + done.stderr)
    counts = [int(n) for n in re.findall(r'^  \w+ +base +(\d+) times', done.stdout, re.M)]
    s.ok(sum(counts) == sum(int(p[1]) for p in phases) > 0, 'bench step: the variant of every dispatch', done.stdout)
    check_json(s, matmuls)

    at = ['--device', 'ref:0']
    refuse(s, 'a variant that is not', ['no variant "nope"', ', '.join(v.name for v in ops['matmul'])], 'bench', *product, *at,
           '--variant', 'nope')
    refuse(s, 'a variant for other devices', ['packed', 'ref:0'], 'bench', 'matmul', *at, '--variant', 'packed')
    refuse(s, 'an op that is not', ['"nope"', 'switchyard-devices'], 'bench', 'op', '--op', 'nope', '--args', 1, *at)
    refuse(s, 'too few arguments', ['11 numbers', 'here are 2'], 'bench', 'op', '--op', 'matmul', '--args', '1,2', *at)
    refuse(s, 'an argument that is no number', ['"x"'], 'bench', 'op', '--op', 'add', '--args', 'x', *at)
    refuse(s, 'a model that is not', ['nowhere'], 'bench', 'step', '--model', s.path('nowhere'), *at)
    refuse(s, 'a product of a type that is not', ['f32', 'bf16', 'bf16-f32'], 'bench', 'matmul', '--dtype', 'f16', usage=True)
    refuse(s, 'a loss of mixed types', ['f32 or bf16'], 'bench', 'xent', '--dtype', 'bf16-f32', usage=True)
    refuse(s, 'step with a variant', ['SY_NO_VARIANT'], 'bench', 'step', '--model', 'x', '--variant', 'base', usage=True)


SMALL = {'matmul': ['--size', 24], 'grouped': ['--experts', 3, '--rows', 8, '--d-model', 16, '--d-ff', 12], 'copy': [], 'transfer': [],
         'bandwidth': ['--experts', 3, '--d-model', 4096],
         'expert-ffn': ['--experts', 3, '--rows', 20, '--d-model', 16, '--d-ff', 24],
         'attention': ['--heads', 2, '--d-kv', 8, '--src-len', 20, '--batch', 2],
         'xent': ['--rows', 10, '--vocab', 100, '--d-model', 8], 'op': ['--op', 'relu', '--args', '40,30,0,1.0,0,0,0,1,0,0'],
         'step': ['--batch', 1, '--src-len', 8, '--tgt-len', 5], 'decode': ['--batch', 2, '--src-len', 8, '--tgt-len', 5, '--beams', 2]}


def check_json(s, devices):
    """Every subcommand gives figures that can be read: a time, a rate, the share of the best of its kind, who did it."""
    for what, more in SMALL.items():
        model = ['--model', s.path('tiny.json')] if what in ('step', 'decode') else []
        done = s.run('bench', what, *more, *model, '--repeat', 1, '--device', 'ref:0', '--json')
        try:
            found = json.loads(done.stdout)
        except ValueError:
            found = {'figures': []}
        figures = found['figures']
        s.ok(figures and found['bench'] == what and found['device'] == 'ref:0' and
             all(f['ms'] > 0 and f['by'] and (f['rival'] or f['by'] in ('base', 'all', 'ring')) for f in figures) and
             all(0 < f['of_best'] <= 1 for f in figures if 'gflops' in f or 'gbs' in f) and
             any(f.get('of_best') == 1 or 'tokens_per_second' in f for f in figures),
             f'bench {what} --json', done.stdout + done.stderr)
    check_grouped(s, devices)


def check_grouped(s, devices):
    """The products of many experts are made: a table of tiles that is empty would make them very fast."""
    for device in devices:
        done = s.run('bench', 'grouped', '--experts', 4, '--rows', 64, '--d-model', 128, '--d-ff', 128, '--repeat', 1, '--device',
                     device, '--json')
        figures = json.loads(done.stdout)['figures'] if done.returncode == 0 else []
        s.ok(len(figures) == 3 and all(f.get('checked') == 64 for f in figures), f'{device}: bench grouped does the work',
             done.stdout + done.stderr)
        done = s.run('bench', 'matmul', '--size', 40, '--variant', 'all', '--dtype', 'bf16-f32', '--repeat', 1, '--device', device,
                     '--json')
        s.ok([f['by'] for f in json.loads(done.stdout)['figures'] if not f['rival']] == devices[device],
             f'{device}: bench matmul --variant all', done.stdout + done.stderr)


def check_tune(s, matmuls):
    """Measured, kept, shown, used, forgotten; where there is one launch each, nothing."""
    env = {'SY_CACHE_DIR': s.path('tuned')}
    for device in matmuls:
        tune = ['tune', '--device', device]
        done = s.run('bench', *tune, '--size', 40, '--budget', 1, '--json', env=env)
        found = json.loads(done.stdout)
        if device.startswith(('ref', 'opencl')):
            s.ok(found['works'] == 0 and not found['choices'], f'{device}: nothing to tune', done.stdout + done.stderr)
            continue
        s.ok(found['works'] == 2 and found['choices'] and found['file'].startswith(s.path('tuned')) and
             all(c['op'] == 'matmul' and 0 < c['chosen_us'] <= c['usual_us'] for c in found['choices']),
             f'{device}: bench tune --json', done.stdout + done.stderr)
        with open(found['file']) as kept:
            lines = [line.split(' : ')[:2] for line in kept if line.startswith('matmul:')]
        shown = json.loads(s.run('bench', *tune, '--show', '--json', env=env).stdout)
        s.ok(len(lines) == len(found['choices']) == len(shown['choices']) and
             {(line[0].split()[2], line[1]) for line in lines} == {(c['args'], c['choice']) for c in shown['choices']},
             f'{device}: bench tune --show says what the file does', shown)
        text = s.run('bench', *tune, '--size', 40, '--budget', 20, env=env).stdout
        s.ok(re.search(r'^ +1 +[\d.]+ +[\d.]+ +[\d.]+  .*matmul:base f32 40,40,40,1,1,0,1\.0,', text, re.M) and
             'of 2 measured in' in text, f'{device}: bench tune as a table', text)
        s.ok('removed ' in s.run('bench', *tune, '--forget', env=env).stdout and not os.path.exists(found['file']),
             f'{device}: bench tune --forget')


def check_refused(s, matmuls):
    """A variant whose kernel does not compile: what runs instead is said, and measured under its own name."""
    product = ['op', '--op', 'matmul', '--args', '20,30,40,1,1,0,1.0,48,0,0,0', '--repeat', 1, '--device', 'opencl:0']
    done = s.run('bench', *product, '--variant', 'mma', env={'SY_EMULATE_MMA': '1', 'SY_FORCE_SHARED': '40K'})
    if 'opencl:0' not in matmuls or 'mma' in matmuls['opencl:0']:
        s.skip('a variant that does not compile', 'needs an OpenCL device that is not NVIDIA\'s')
    else:
        s.ok(done.returncode == 0 and 'variant base: ' in done.stdout and 'matmul runs as base, not as mma: ' in done.stderr and
             'error' not in done.stderr, 'a variant that does not compile: base runs, and says so', done.stdout + done.stderr)


def check_killed(s):
    steps = ['step', '--model', s.path('tiny.json'), '--batch', 1, '--src-len', 8, '--tgt-len', 5, '--repeat', 1, '--device', 'ref:0']
    refuse(s, 'no variant left', ['relu', 'ref:0', 'SY_NO_VARIANT'], 'bench', *steps, env={'SY_NO_VARIANT': 'relu:base'})
    refuse(s, 'a name in SY_NO_VARIANT that is not', ['"relu:wrong"', 'matmul:packed'], 'bench', *steps,
           env={'SY_NO_VARIANT': 'matmul:packed,relu:wrong'})


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    s = Suite(sys.argv[1])
    s.env.pop('SY_NO_VARIANT', None)
    ops = registry(os.path.abspath(sys.argv[2]))
    matmuls = check_devices(s, ops)
    check_bench(s, ops, matmuls)
    check_tune(s, matmuls)
    check_refused(s, matmuls)
    check_killed(s)
    s.done()


if __name__ == '__main__':
    main()
