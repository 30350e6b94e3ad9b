#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ranks.py APPS_DIR SOURCE_DIR: runs of several processes, which must have the bits of one.

Weights, optimizer state and metrics after 20 steps are compared, tensor by tensor, over layouts, routers and devices.
"""
import json
import os
import re
import shutil
import subprocess
import sys

from apps import Suite, config, text

STEPS = 20
# data × expert, then what else may differ without changing a bit
LAYOUTS = [(1, 2, []), (2, 1, ['--micro-batch', 2]), (1, 4, ['--recompute']), (2, 2, []), (4, 1, []), (1, 8, []), (4, 2, []),
           (2, 4, [])]
ROUTERS = ('switch', 'top2', 'expert_choice', 'ntlb')


def mpirun(s, ranks, app, *arguments, env=None, timeout=300, mpi=()):
    """One thread a rank: the machine has fewer processors than ranks."""
    command = ['mpirun', '--allow-run-as-root', '--oversubscribe', *mpi, '-n', str(ranks),
               os.path.join(s.apps, 'switchyard-' + app), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, errors='replace', timeout=timeout,
                          env=dict(s.env, POCL_MAX_PTHREAD_COUNT='1', LP_NUM_THREADS='1', **(env or {})))


def tensors(folder):
    """{name: bytes} of weights and optimizer state, whatever files they are in."""
    found = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith('.safetensors'):
            with open(os.path.join(folder, name), 'rb') as file:
                raw = file.read()
            start = 8 + int.from_bytes(raw[:8], 'little')
            for key, entry in json.loads(raw[8:start]).items():
                if key != '__metadata__':
                    first, end = entry['data_offsets']
                    assert key not in found, f'{key} is in two files of {folder}'
                    found[key] = raw[start + first:start + end]
    return found


def metrics(folder):
    with open(os.path.join(folder, 'metrics.jsonl'), encoding='utf-8') as file:
        lines = [json.loads(line) for line in file]
    for line in lines:
        for key in ('seconds', 'tokens_per_second'):
            line.pop(key, None)
    return lines


def arguments(s, out, model, *more, steps=STEPS, device='ref:0'):
    return ['--model', s.path(model), '--data', s.path('a.txt'), '--out', s.path(out), '--steps', steps, '--src-len', 32,
            '--tgt-len', 24, '--batch-tokens', 256, '--device', device, '--clip-norm', 1, *more]


def same(s, out, whole):
    """Why not, or ''."""
    a, b = tensors(s.path(whole, 'latest')), tensors(s.path(out, 'latest'))
    if sorted(a) != sorted(b):
        return f'other tensors: {sorted(set(a) ^ set(b))[:3]}'
    other = [name for name in a if a[name] != b[name]]
    if other:
        return f'{len(other)} of {len(a)} tensors differ, the first is {other[0]}'
    return '' if metrics(s.path(out)) == metrics(s.path(whole)) else 'the metrics differ'


def model(s, name, **ours):
    switchyard = {'group_tokens': 8, 'capacity_factor_train': 1.0, 'capacity_factor_eval': 1.0, 'min_expert_capacity': 1,
                  'expert_dropout_rate': 0.3, **ours}
    config(s.path(name), num_experts=6, router_z_loss_coef=0.001, switchyard=switchyard)


def check_bits(s):
    """The table: every layout of every router on ref, some of them on PoCL."""
    rows = []
    for router in ROUTERS:
        model(s, router + '.json', router=router, **({'ntlb_top_k': 2} if router == 'ntlb' else {}))
        for device, steps, layouts in (('ref:0', STEPS, LAYOUTS), ('opencl:0', STEPS, LAYOUTS[1:4])):
            if device != 'ref:0' and not s.opencl:
                s.skip(f'{router} on {device}', 'there is no OpenCL device')
                continue
            whole = f'{router}-{device[:3]}'
            done = s.run('train', *arguments(s, whole, router + '.json', '--slices', 8, device=device, steps=steps), env=ONE)
            s.ok(done.returncode == 0 and 'dropped' in done.stdout, f'{whole}: one rank', done.stderr)
            row = []
            for data, expert, more in layouts:
                out = f'{whole}-{data}x{expert}'
                ranks = data * expert
                done = mpirun(s, ranks, 'train', *arguments(s, out, router + '.json', '--slices', 8, '--data-parallel', data,
                                                            '--expert-parallel', expert, *more, device=device, steps=steps))
                why = f'exit {done.returncode}\n{done.stderr}' if done.returncode else same(s, out, whole)
                row.append((f'{data}x{expert}', 'equal' if not why else 'DIFFERENT'))
                s.ok(not why, ' '.join(map(str, [router, device, f'data {data} × expert {expert}:', *more, 'the bits of one rank'])),
                     why)
                shutil.rmtree(s.path(out), ignore_errors=True)
            rows.append((router, device, row))
    print('# bits after 20 steps, data x expert, against one rank')
    for router, device, row in rows:
        print(f'# {router:14} {device:9} ' + '  '.join(f'{name} {found}' for name, found in row))


def check_shapes(s):
    """No drops; a gated model; AdamW; bf16; more ranks than experts; many ranks."""
    cases = {
        'gated, f32': (dict(feed_forward_proj='gated-gelu'), ['--precision', 'f32'], 4, 2),
        'bf16, AdamW': ({}, ['--precision', 'bf16', '--optimizer', 'adamw', '--lr', 1e-3], 2, 4),
        'two experts for eight ranks': (dict(num_experts=2), [], 1, 8),
        'two experts for four places, twice': (dict(num_experts=2), [], 2, 4),
        'every layer sparse': (dict(num_sparse_encoder_layers=2, num_sparse_decoder_layers=2), ['--micro-batch', 1], 2, 2),
    }
    for name, (changes, more, data, expert) in cases.items():
        folder = name.replace(' ', '-').replace(',', '')
        config(s.path(folder + '.json'), switchyard={'group_tokens': 8, 'capacity_factor_train': 4.0, 'capacity_factor_eval': 4.0},
               **{'num_experts': 5, **changes})
        one = s.run('train', *arguments(s, folder, folder + '.json', '--slices', 8, *more, steps=4))
        many = mpirun(s, data * expert, 'train', *arguments(s, folder + '-many', folder + '.json', '--slices', 8, '--data-parallel',
                                                            data, '--expert-parallel', expert, *more, steps=4))
        why = one.stderr + many.stderr if one.returncode or many.returncode else same(s, folder + '-many', folder)
        s.ok(not why, f'{name}: data {data} × expert {expert} has the bits of one rank', why)
    big = ['--batch-tokens', 2048, '--slices', 64]
    one = s.run('train', *arguments(s, 'many-1', 'switch.json', *big, steps=2))
    many = mpirun(s, 64, 'train', *arguments(s, 'many-64', 'switch.json', *big, '--expert-parallel', 4, steps=2))
    why = one.stderr + many.stderr if one.returncode or many.returncode else same(s, 'many-64', 'many-1')
    s.ok(not why, '64 ranks, data 16 × expert 4: the bits of one rank', why)


def check_share(s):
    """Experts shared out unevenly: one rank has most, or all but one; none for a rank whose share is too small."""
    config(s.path('share.json'), num_experts=8,
           switchyard={'group_tokens': 8, 'capacity_factor_train': 1.25, 'capacity_factor_eval': 2.0})
    one = s.run('train', *arguments(s, 'share', 'share.json', '--slices', 8, steps=4))
    for data, expert, share, counts, more in ((1, 2, '3,1', '6, 2', []), (1, 4, '5,1,1,1', '5, 1, 1, 1', ['--recompute']),
                                              (2, 2, '1,7', '1, 7', ['--micro-batch', 1]), (1, 4, '1,1000,1,1', '1, 7, 0, 0', [])):
        out = f'share-{data}-{share}'
        many = mpirun(s, data * expert, 'train', *arguments(s, out, 'share.json', '--slices', 8, '--data-parallel', data, '--share',
                                                            share, *more, steps=4))
        why = one.stderr + many.stderr if one.returncode or many.returncode else same(s, out, 'share')
        s.ok(not why and f': {counts}\n' in many.stderr, f'--share {share}, data {data}: {counts} experts, the bits of one rank',
             why + many.stderr)
    equal = mpirun(s, 2, 'train', *arguments(s, 'share-equal', 'share.json', '--slices', 8, '--share', 'equal', steps=4))
    why = equal.stderr if equal.returncode else same(s, 'share-equal', 'share')
    s.ok(not why and 'shares of' not in equal.stderr, '--share equal', why + equal.stderr)
    first = mpirun(s, 2, 'train', *arguments(s, 'share-on', 'share.json', '--slices', 8, '--share', '7,1', steps=2))
    on = mpirun(s, 2, 'train', *arguments(s, 'share-on', 'share.json', '--resume', '--share', '1,3', steps=4))
    why = first.stderr + on.stderr if first.returncode or on.returncode else same(s, 'share-on', 'share')
    s.ok(not why and ': 2, 6\n' in on.stderr, 'stopped with --share 7,1, goes on with 1,3: as if it had never stopped', why)
    for share in ('3,0', '3,', ',1', '3;1', '-1,2', '1001,1', '', 'even', '/1,3', 'equal/', 'equal/3,1,'): # before MPI starts
        done = s.run('train', *arguments(s, 'refused', 'share.json', '--share', share, steps=2))
        s.ok(done.returncode != 0 and '--share' in done.stderr, f"--share '{share}': refused", done.stderr)


def check_sequences(s):
    """Sequences shared out unevenly, so that ranks have other numbers of micro-batches: the bits of one rank."""
    for router, data, expert, share, counts, more in (
            ('switch', 2, 1, 'equal/3,1', '6, 2', ['--recompute']), ('ntlb', 2, 2, '1,2/5,3', '3, 1', []),
            ('expert_choice', 4, 1, 'equal/1,5,1,1', '1, 5, 1, 1', []), ('top2', 2, 2, 'equal/1,7', '1, 3', ['--micro-batch', 1])):
        name, out = f'seq-{router}', f'seq-{router}-{data}{expert}'
        model(s, name + '.json', router=router, **({'ntlb_top_k': 2} if router == 'ntlb' else {}))
        one = s.run('train', *arguments(s, name, name + '.json', '--slices', 8, steps=3))
        many = mpirun(s, data * expert, 'train', *arguments(s, out, name + '.json', '--slices', 8, '--data-parallel', data,
                                                            '--expert-parallel', expert, '--share', share, *more, steps=3))
        failed = one.returncode or many.returncode
        why = one.stderr + many.stderr if failed else same(s, out, name)
        s.ok(not why and f"sequences: {counts} a rank" in many.stderr,
             f'{router}, data {data} × expert {expert} --share {share}: {counts} sequences, the bits of one rank', why + many.stderr)
    on = mpirun(s, 2, 'train', *arguments(s, 'seq-top2-22', 'seq-top2.json', '--resume', '--data-parallel', 2, '--share', 'equal/3,1',
                                          '--valid', s.path('b.txt'), '--valid-sequences', 11, steps=5))
    whole = s.run('train', *arguments(s, 'seq-top2', 'seq-top2.json', '--resume', '--valid', s.path('b.txt'), '--valid-sequences', 11,
                                      steps=5))
    why = on.stderr + whole.stderr if on.returncode or whole.returncode else same(s, 'seq-top2-22', 'seq-top2')
    s.ok(not why, 'stopped with shares of 1 and 3, goes on with 3 and 1: as one rank', why)
    with open(s.path('rows.tsv'), 'w', encoding='utf-8') as file: # short and long ones: steps of two shapes
        file.write('x\ty\n' + ''.join(f'{"ab " * (12 if i % 4 == 0 else 1 + i % 3)}{i}\t{i % 3}\n' for i in range(60)))
    rows = ['--model', s.path('seq-top2.json'), '--pairs', s.path('rows.tsv'), '--template', '{x}', '--target', '{y}', '--tokenizer',
            'bytes', '--src-len', 64, '--tgt-len', 8, '--batch-tokens', 512, '--slices', 8, '--steps', 4, '--device', 'ref:0']
    whole = s.run('train', *rows, '--out', s.path('rows'))
    many = mpirun(s, 2, 'train', *rows, '--out', s.path('rows-21'), '--data-parallel', 2, '--share', 'equal/1,3')
    why = whole.stderr + many.stderr if whole.returncode or many.returncode else same(s, 'rows-21', 'rows')
    s.ok(not why and 'of them fit' in whole.stdout, 'rows of a table, in buckets: as one rank', why + whole.stdout)
    for share, words in (('equal/3', ['--data-parallel', 'there are 2']), ('1,1/3,1', ['--expert-parallel', 'there are 1'])):
        done = mpirun(s, 2, 'train', *arguments(s, 'refused', 'switch.json', '--data-parallel', 2, '--share', share, steps=2))
        s.ok(done.returncode != 0 and all(word in done.stderr for word in words), f"--share '{share}': refused", done.stderr)


def check_speeds(s):
    """Unlike devices are measured once, and share the experts by their speeds; alike ones are not."""
    config(s.path('unlike.json'), num_experts=8)
    alike = mpirun(s, 2, 'train', *arguments(s, 'alike', 'unlike.json', steps=1))
    s.ok(alike.returncode == 0 and 'FLOP/s' not in alike.stderr, 'devices of one kind are not measured', alike.stderr)
    if not s.opencl:
        s.skip('shares by measured speeds', 'there is no OpenCL device')
        return
    cache = {'SY_CACHE_DIR': s.path('speeds')}
    both = arguments(s, 'unlike', 'unlike.json', steps=1, device='ref:0,opencl:0')
    runs = [mpirun(s, 2, app, *given, env=cache) for app, given in (('train', both), ('eval', [
        '--model', s.path('unlike', 'latest'), '--data', s.path('b.txt'), '--src-len', 32, '--tgt-len', 24, '--batches', 1,
        '--device', 'ref:0,opencl:0']))]
    found = [re.findall(r'rank (\d) \(.*\): ([0-9.]+ ?[kMGT]FLOP/s) .*: (\d) of the 8 experts', done.stderr) for done in runs]
    s.ok(all(done.returncode == 0 for done in runs) and [f[0] for f in found[0]] == ['0', '1'] and
         sum(int(f[2]) for f in found[0]) == 8 and runs[0].stderr.count('unlike') == 1, 'unlike devices are measured', runs[0].stderr)
    s.ok(found[0] == found[1] and len([f for f in os.listdir(s.path('speeds')) if f.startswith('speed-')]) == 2,
         'and the next program reads the figures', str(found))
    apart = mpirun(s, 2, 'train', *arguments(s, 'apart', 'unlike.json', '--data-parallel', 2, steps=1, device='ref:0,opencl:0'),
                   env=cache)
    counts = re.findall(r"a step's sequences: (\d+), (\d+) a rank", apart.stderr)
    rates = [re.findall(r' ([0-9.]+ ?[kMGT]FLOP/s) ', done.stderr) for done in (runs[0], apart)]
    s.ok(apart.returncode == 0 and rates[0] == rates[1] and (not counts or sum(map(int, counts[0])) == 8) and
         (len(counts) == 1) == ('more to do' in apart.stderr), 'sequences are shared out by the same figures', apart.stderr)
    equal = mpirun(s, 2, 'train', *arguments(s, 'equal', 'unlike.json', '--share', 'equal', steps=1, device='ref:0,opencl:0'),
                   env=cache)
    s.ok(equal.returncode == 0 and 'FLOP/s' not in equal.stderr, 'but not with --share equal', equal.stderr)


def check_two_level(s):
    """As if some of the ranks were on another host: rows collected inside each host, in fewer messages, change no bit."""
    for ranks, each, more in ((4, 2, ['--recompute']), (8, 4, ['--share', '2,1,1,1,1,1,1,3'])):
        out = f'two-level-{ranks}'
        many = mpirun(s, ranks, 'train', *arguments(s, out, 'share.json', '--slices', 8, '--two-level', *more, steps=4),
                      env={'SY_HOST_RANKS': str(each)})
        why = many.stderr if many.returncode else same(s, out, 'share')
        s.ok(not why, f'--two-level, {ranks // each} hosts of {each} ranks: the bits of one rank', why)
    found = []
    for more in ([], ['--two-level']):
        done = mpirun(s, 4, 'bench', 'ranks', '--model', s.path('share.json'), '--batch', 4, '--src-len', 32, '--tgt-len', 24,
                      '--repeat', 1, '--device', 'ref:0', *more, env={'SY_HOST_RANKS': '2'})
        found += [int(line.split()[2]) for line in done.stdout.split('\n') if line.startswith('between hosts: ')]
    s.ok(len(found) == 2 and found[1] < found[0], f'messages of a step between two hosts of two ranks: {found}', done.stderr)
    bad = mpirun(s, 2, 'bench', 'ranks', '--model', s.path('share.json'), env={'SY_HOST_RANKS': 'x'})
    s.ok(bad.returncode != 0 and 'SY_HOST_RANKS is "x"' in bad.stderr, 'SY_HOST_RANKS=x: refused', bad.stderr)


def check_pieces(s):
    """On devices that bind less than the embedding table, or the stacks, take: bound in pieces."""
    model(s, 'pieces.json')
    whole = s.run('train', *arguments(s, 'pieces', 'pieces.json', '--slices', 8, steps=3))
    s.ok(whole.returncode == 0, 'one rank without a limit', whole.stderr)
    for data, expert, limit in ((2, 1, '24K'), (2, 2, '40K')):
        done = mpirun(s, data * expert, 'train', *arguments(s, f'pieces-{data}{expert}', 'pieces.json', '--slices', 8, '--micro-batch',
                                                            1, '--data-parallel', data, steps=3), env={'SY_FORCE_MAX_ALLOC': limit})
        why = done.stderr if done.returncode else same(s, f'pieces-{data}{expert}', 'pieces')
        s.ok(not why, f'data {data} × expert {expert} on devices that bind {limit}: the bits of one rank', why)


def check_resume(s):
    """Stop on four ranks, go on on 1, 2 and 8; and back."""
    held = ['--valid', s.path('b.txt'), '--valid-every', 2, '--valid-sequences', 11]
    for data, expert in ((1, 4), (2, 2)):
        out = f'stop-{data}{expert}'
        first = mpirun(s, 4, 'train', *arguments(s, out, 'switch.json', '--slices', 8, '--data-parallel', data, *held, steps=2))
        s.ok(first.returncode == 0, f'data {data} × expert {expert}: two steps', first.stderr)
        for ranks in (1, 2, 8):
            again = f'{out}-{ranks}'
            shutil.copytree(s.path(out), s.path(again), symlinks=True)
            go = arguments(s, again, 'switch.json', '--resume', *held, steps=6)
            done = s.run('train', *go) if ranks == 1 else mpirun(s, ranks, 'train', *go)
            why = f'exit {done.returncode}\n{done.stderr}' if done.returncode else same(s, again, 'straight')
            s.ok(not why, f'data {data} × expert {expert} stopped, goes on on {ranks}: as if it had never stopped', why)
            left = [name for name in os.listdir(s.path(again)) if name.startswith('.')]
            s.ok(not left, 'nothing is left behind', left)


def check_answers(s):
    """Scores and texts of several ranks are those of one."""
    score = ['--model', s.path('straight', 'latest'), '--data', s.path('b.txt'), '--src-len', 32, '--tgt-len', 24, '--sequences', 3,
             '--batches', 5, '--json', '--device', 'ref:0']
    fill = ['--model', s.path('straight', 'latest'), '--file', s.path('prompts.txt'), '--max-tokens', 9, '--device', 'ref:0']
    with open(s.path('prompts.txt'), 'w', encoding='utf-8') as file:
        file.write('The <extra_id_0> runs\nover the red\nA <extra_id_0> waits <extra_id_1> here\n')
    for app, given in (('eval', score), ('generate', fill)):
        one = s.run(app, *given)
        s.ok(one.returncode == 0 and one.stdout, f'{app}: one rank', one.stderr)
        for data, expert in ((1, 2), (2, 2), (1, 8)):
            many = mpirun(s, data * expert, app, *given, '--data-parallel', data)
            s.ok(many.returncode == 0 and many.stdout == one.stdout, f'{app}: data {data} × expert {expert} says the same',
                 f'{many.stderr}\n{many.stdout}\n{one.stdout}')


def check_corpora(s):
    """Prepared corpora, mixed by weight: every rank maps its own, and all draw what one rank draws."""
    for name in 'ab':
        done = s.run('prepare', '--tokenizer', 'bytes', '--out', s.path('corpus-' + name), s.path(name + '.txt'))
        s.ok(done.returncode == 0, f'corpus {name} is prepared', done.stderr)

    def mixed(out):
        given = arguments(s, out, 'switch.json', '--slices', 8, '--mix', 'corpus-a=1,corpus-b=3', steps=3)
        at = given.index('--data') + 1
        return given[:at] + [s.path('corpus-a'), s.path('corpus-b')] + given[at + 1:]
    one = s.run('train', *mixed('corpora'))
    s.ok(one.returncode == 0 and 'corpus-b 75' in one.stdout, 'one rank mixes corpora', one.stdout + one.stderr)
    for data, expert in ((2, 1), (2, 2)):
        out = f'corpora-{data}{expert}'
        many = mpirun(s, data * expert, 'train', *mixed(out), '--data-parallel', data)
        why = one.stderr + many.stderr if one.returncode or many.returncode else same(s, out, 'corpora')
        s.ok(not why, f'prepared corpora, mixed, data {data} × expert {expert}: the bits of one rank', why)


def check_mixed(s):
    """One job on unlike devices: the same training, to rounding."""
    vulkan = s.run('devices').stdout.find('vulkan:0') >= 0
    if not s.opencl or not vulkan:
        s.skip('a job of unlike devices', 'there is no OpenCL or no Vulkan device')
        return
    done = mpirun(s, 4, 'train', *arguments(s, 'mixed', 'switch.json', '--slices', 8, '--data-parallel', 2, '--precision', 'f32',
                                            steps=4, device='ref:0,opencl:0,vulkan:0,opencl:0'))
    s.run('train', *arguments(s, 'alone', 'switch.json', '--slices', 8, '--precision', 'f32', steps=4))
    good = done.returncode == 0
    losses = [[line['loss_ce'] for line in metrics(s.path(out))] for out in ('mixed', 'alone')] if good else []
    s.ok(good and all(abs(a - b) < 5e-5 * abs(b) for a, b in zip(*losses)),
         'ref, OpenCL and Vulkan in one job: the losses of ref alone', f'{done.stderr}{losses}')


def check_bench(s):
    """What messages take: a line for each, and a wire slowed down is felt."""
    def rows(wire):
        done = mpirun(s, 2, 'bench', 'ranks', '--model', s.path('switch.json'), '--batch', 4, '--src-len', 32, '--tgt-len', 24,
                      '--repeat', 3, '--device', 'ref:0', env={'SY_SLOW_WIRE': wire})
        found = [line.split() for line in done.stdout.split('\n') if line.startswith('rows ')]
        s.ok(done.returncode == 0 and len(found) == 1 and done.stdout.count('exchange_rows') == 12 and 'one step' in done.stdout,
             f'bench ranks, SY_SLOW_WIRE={wire}', done.stderr + done.stdout)
        return float(found[0][-4]) if len(found) == 1 else 0.0
    fast, slow = rows(''), rows('20000,1000')
    s.ok(slow > 12 * 20 > fast, f'twelve messages of 20 ms latency take {slow} ms, without it {fast} ms')
    for wire in ('1', 'a,b', '1,0', '5,5x', '-1,5', '1,2,', '1,2,3,4'):
        done = mpirun(s, 2, 'bench', 'ranks', '--model', s.path('switch.json'), env={'SY_SLOW_WIRE': wire})
        s.ok(done.returncode != 0 and 'SY_SLOW_WIRE' in done.stderr, f'SY_SLOW_WIRE={wire}: refused', done.stderr)
    alone = s.run('bench', 'ranks', '--model', s.path('switch.json'), '--device', 'ref:0')
    s.ok(alone.returncode != 0 and 'mpirun' in alone.stderr, 'bench ranks without mpirun: refused', alone.stderr)


def check_refusals(s):
    """Said once, by all ranks' agreement, before anything is written."""
    cases = {
        'three ranks': (3, [], ['powers of two', '3 ranks']),
        'another number of ranks': (2, ['--expert-parallel', 4], ['need 4 ranks', 'mpirun started 2']),
        'a step that cannot be shared out': (2, ['--batch-tokens', 32], ['shared out', '2 ranks']),
        'a routing group cut by a rank': (4, ['--src-len', 60], ['group_tokens', 'number of ranks']),
        'shares for three': (2, ['--share', '3,1,1'], ['--share 3,1,1', '3 ranks', 'there are 2']),
        'too few slices': (2, ['--slices', 1], ['slices']),
        'a list of devices that is too short': (4, ['--device', 'ref:0,ref:0'], ['2 devices', '4 ranks']),
    }
    for name, (ranks, more, words) in cases.items():
        done = mpirun(s, ranks, 'train', *arguments(s, 'refused', 'switch.json', steps=2), *more)
        errors = [line for line in done.stderr.split('\n') if 'error:' in line]
        s.ok(done.returncode != 0 and len(errors) == 1 and all(w in errors[0] for w in words), f'{name}: refused, said once',
             done.stderr)
        s.ok(not os.path.exists(s.path('refused', 'latest')), f'{name}: nothing was written')
    with open(s.path('c.txt'), 'w', encoding='utf-8') as file:
        file.write('x')
    for key, change in (('--seed', 'exec "$@" --seed $OMPI_COMM_WORLD_RANK'),
                        ('layout', 'exec "$@" --expert-parallel $((OMPI_COMM_WORLD_RANK + 1))'),
                        ('--share', 'exec "$@" --share 1,$((OMPI_COMM_WORLD_RANK + 1))'),
                        ('micro-batches of', 'exec "$@" --slices 8 --micro-batch $((2 + 2 * OMPI_COMM_WORLD_RANK))'),
                        ('saves and validations', 'exec "$@" --save-every $((1 + OMPI_COMM_WORLD_RANK))'),
                        ('training text', '[ $OMPI_COMM_WORLD_RANK = 1 ] && exec "$@" ' + s.path('b.txt') + '; exec "$@"')):
        shell = ['sh', '-c', change, 'sh', os.path.join(s.apps, 'switchyard-train'),
                 *map(str, arguments(s, 'refused', 'switch.json', steps=2)), '--data', s.path('b.txt')]
        done = subprocess.run(['mpirun', '--allow-run-as-root', '--oversubscribe', '-n', '2', *shell], capture_output=True,
                              text=True, timeout=120, env=s.env)
        errors = [line for line in done.stderr.split('\n') if 'error:' in line]
        s.ok(done.returncode != 0 and len(errors) == 1 and 'rank 1' in errors[0] and key in errors[0],
             f'ranks with another {key}: refused, said once', done.stderr)


ONE = {'POCL_MAX_PTHREAD_COUNT': '1'}


def main():
    s = Suite(sys.argv[1])
    text(s.path('a.txt'))
    text(s.path('b.txt'), size=9_000, seed=2)
    config(s.path('switch.json'), switchyard={'group_tokens': 8, 'capacity_factor_train': 1.25, 'capacity_factor_eval': 2.0})
    probe = mpirun(s, 2, 'train', *arguments(s, 'probe', 'switch.json', steps=1)) if shutil.which('mpirun') else None
    if probe is None or 'no MPI' in probe.stderr:
        s.skip('ranks', 'there is no mpirun, or the programs are built without MPI')
        s.done()
    s.opencl = 'opencl:0' in s.run('devices').stdout
    s.ok(probe.returncode == 0, 'two ranks', probe.stderr)
    check_bits(s)
    check_shapes(s)
    check_share(s)
    check_two_level(s)
    check_sequences(s)
    check_speeds(s)
    check_pieces(s)
    s.run('train', *arguments(s, 'straight', 'switch.json', '--slices', 8, '--valid', s.path('b.txt'), '--valid-every', 2,
                              '--valid-sequences', 11, steps=6))
    check_resume(s)
    check_answers(s)
    check_corpora(s)
    check_mixed(s)
    check_bench(s)
    check_refusals(s)
    s.done()


if __name__ == '__main__':
    main()
