#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""scale.py APPS_DIR SOURCE_DIR [COUNTMPI]: what switchyard-plan says of several ranks, against runs of several ranks."""
import json
import os
import re
import shutil
import struct
import subprocess
import sys

from apps import Suite, config, refuse, write_tensors

RATES = ['--rates', '100GFLOP/s,10GB/s,5GB/s']
# data × expert × model, sequences of a rank's micro-batch, options of the plan and of the run
LAYOUTS = [(1, 2, 1, 4, [], []), (2, 2, 1, 2, [], []), (1, 4, 1, 2, [], []),
           (2, 1, 1, 2, ['--micro-batches', 2, '--slices', 8], ['--micro-batch', 2, '--slices', 8]), (1, 2, 2, 4, [], []),
           (1, 1, 2, 8, ['--recompute'], ['--recompute']),
           (2, 2, 1, 1, ['--micro-batches', 2, '--share', '3,1/1,3'], ['--micro-batch', 1, '--share', '3,1/1,3'])]


def full_batch(path, rows=8, src=32, tgt=24):
    """Sequences without padding: experts that choose then take all that they may."""
    def ids(n):
        return struct.pack(f'<{n}i', *(3 + i * 7919 % 251 for i in range(n)))
    write_tensors(path, {'input_ids': ('I32', [rows, src], ids(rows * src)), 'labels': ('I32', [rows, tgt], ids(rows * tgt)),
                         'attention_mask': ('I32', [rows, src], struct.pack(f'<{rows * src}i', *[1] * (rows * src)))})


def plan(s, model, *more):
    done = s.run('plan', '--model', s.path(model), '--src-len', 32, '--tgt-len', 24, '--json', *more)
    return json.loads(done.stdout) if done.returncode == 0 else {'error': done.stderr}


def train(s, model, data, expert, parts, steps, *more):
    """What it printed, and {rank: (bytes, messages)} that each sent where they are counted."""
    counts = s.path('counts')
    command = ['mpirun', '--allow-run-as-root', '--oversubscribe', '-n', str(data * expert * parts),
               os.path.join(s.apps, 'switchyard-train'), '--model-parallel', str(parts),
               '--model', s.path(model), '--batch', s.path('batch.safetensors'), '--out', s.path('run'),
               '--steps', str(steps), '--precision', 'selective', '--device', 'ref:0', '--data-parallel', str(data), *map(str, more)]
    env = dict(s.env, **({'LD_PRELOAD': s.counter, 'COUNTMPI': counts} if s.counter else {}))
    done = subprocess.run(command, capture_output=True, text=True, errors='replace', timeout=120, env=env)
    found = {}
    for rank in range(data * expert * parts):
        if os.path.exists(f'{counts}.{rank}'):
            with open(f'{counts}.{rank}', encoding='utf-8') as file:
                found[rank] = tuple(map(int, file.read().split()))
            os.remove(f'{counts}.{rank}')
    shutil.rmtree(s.path('run'), ignore_errors=True)
    return done, found


def check_memory_and_bytes(s):
    """Memory to the byte; traffic to the byte where the experts choose, so that their loads are even."""
    for data, expert, parts, batch, planned, run in LAYOUTS:
        name = f'data {data} × expert {expert} × model {parts}'
        asked = ('even.json', '--layout', f'{data}x{expert}x{parts}', '--batch', batch, *planned)
        p = plan(s, *asked, '--device', 'ref:0')
        if not s.ok('error' not in p and p['total_bytes'] == p['recorded']['bytes'], f'{name}: what is allocated, to the byte', p):
            continue
        one, first = train(s, 'even.json', data, expert, parts, 1, *run)
        _, third = train(s, 'even.json', data, expert, parts, 3, *run)
        said = re.search(r'(\d+) MiB of device memory', one.stdout)
        s.ok(said and said.group(1) == f'{p["total_bytes"] / 2**20:.0f}',
             f'{name}: plan and run have {p["total_bytes"] / 2**20:.1f} MiB a rank', one.stdout + one.stderr)
        if not s.counter:
            s.skip(f'{name}: bytes sent', 'they are not counted in this build')
            continue
        for rank in range(data * expert * parts):
            all_ = plan(s, *asked, '--rank', rank)['messages']['all']
            sent, messages = ((third[rank][i] - first[rank][i]) / 2 for i in (0, 1)) if rank in first and rank in third else (0, 0)
            # Beside the messages of the graph a step has a word to each other rank: counts of tokens, and whether to leave.
            others = data * expert * parts - 1
            s.ok(messages == all_['messages'] + others, f'{name}, rank {rank}: {messages:.0f} messages sent',
                 f'planned {all_["messages"]} and 1 to each of {others} others')
            s.ok(sent == all_['sent'] + 40 * others, f'{name}, rank {rank}: {sent:.0f} bytes sent', f'planned {all_["sent"]}')


def check_uneven(s):
    """Tokens choose: between nothing and the most."""
    if not s.counter:
        s.skip('uneven loads', 'bytes are not counted in this build')
        return
    p = plan(s, 'switch.json', '--layout', '1x4', '--batch', 2)['messages']['all']
    first, third = (train(s, 'switch.json', 1, 4, 1, steps)[1] for steps in (1, 3))
    sent = (third[0][0] - first[0][0]) / 2
    s.ok(0.7 * p['sent'] < sent < p['most_sent'] + 3000 and p['sent'] < p['most_sent'],
         f'switch router: {sent:.0f} bytes sent, {p["sent"]:.0f} with even loads, {p["most_sent"]:.0f} at most')


def check_ranks(s):
    """The most loaded one; together they have every expert once for each place of the data axis."""
    plans = [plan(s, 'switch.json', '--layout', '2x4', '--batch', 2, '--rank', rank) for rank in range(8)]
    whole = plan(s, 'switch.json', '--batch', 2)
    bytes_ = [p['total_bytes'] for p in plans]
    s.ok(bytes_[0] <= plans[0]['most_bytes'] and max(bytes_) < 1.01 * plans[0]['most_bytes'] and max(bytes_) > 1.3 * min(bytes_),
         f'six experts on four: no rank has more than is said, {plans[0]["most_bytes"]}: {bytes_}')
    shared = whole['parameters'] - whole['expert_parameters']
    s.ok(sum(p['rank_parameters'] - shared for p in plans) == 2 * whole['expert_parameters'] > 0 and
         all(p['parameters'] == whole['parameters'] for p in plans), 'all ranks together have every expert twice')
    halves = [plan(s, 'switch.json', '--layout', '2x4x2', '--batch', 2, '--rank', rank) for rank in (0, 1, 15)]
    split = plans[0]['rank_parameters'] - halves[0]['rank_parameters'] # half of what is split
    s.ok(halves[0]['rank_parameters'] == halves[1]['rank_parameters'] and halves[0]['parameters'] == whole['parameters'] and
         halves[0]['total_bytes'] < 0.65 * plans[0]['total_bytes'] and halves[2]['layout']['rank'] == 15 and
         2 * split > 0.8 * plans[0]['rank_parameters'],
         'two ranks split what one has: less than 0.65 of the memory', halves)
    shares = plan(s, 'switch.json', '--layout', '2x2', '--batch', 2, '--micro-batches', 2, '--share', '2,1/1,3')['shares']
    s.ok([(x['rank'], x['experts'], x['sequences']) for x in shares] == [(0, 4, 2), (1, 2, 2), (2, 4, 6), (3, 2, 6)] and
         shares[0]['total_bytes'] > shares[1]['total_bytes'] and shares[3]['total_bytes'] > shares[1]['total_bytes'] and
         all(x['sent'] > 0 for x in shares), '--share: what each rank has', shares)
    for more in (['--share', '2,1'], ['--layout', '2x2', '--share', 'equal/3,1'], ['--layout', '2x2', '--share', '1,2,3']):
        s.ok('--' in plan(s, 'switch.json', '--batch', 2, *more).get('error', ''), f'plan {" ".join(more)}: refused')
    text_ = s.run('plan', '--model', s.path('switch.json'), '--layout', '2x4', '--batch', 2, '--src-len', 32, '--tgt-len', 24).stdout
    s.ok('2 of 6 experts' in text_ and 'exchange_rows' in text_ and 'host staging' in text_, 'plan --layout: text', text_)


def check_recomputed(s):
    """What is computed again announces no rows again: only they travel a second time."""
    asked = ('switch.json', '--layout', '1x4', '--batch', 2)
    once, again = (plan(s, *asked, *more)['messages'] for more in ([], ['--recompute']))
    s.ok(again['exchange_routes'] == once['exchange_routes'] and again['exchange_rows']['times'] > once['exchange_rows']['times'] > 0,
         'recomputation announces no rows', f'{once}\n{again}')


def check_schedule(s):
    done = s.run('plan', '--model', s.path('switch.json'), '--layout', '1x4', '--batch', 2, '--src-len', 32, '--tgt-len', 24,
                 '--schedule')
    step = done.stdout.split('\n\n')[0]
    ops, messages = [int(n) for n in re.findall(r'(\d+) ops, ', step)], step.count(' message ')
    p = plan(s, 'switch.json', '--layout', '1x4', '--batch', 2)
    s.ok(sum(ops) + messages == p['ops'] and messages == p['messages']['all']['times'] > 10,
         f'--schedule: {len(ops)} programs of {sum(ops)} ops and {messages} messages are the step', step + done.stderr)
    kinds = re.findall(r'^ *[0-9]+ +(program|message|arrival) +([a-z_-]+)', step, re.M)
    last = max(i for i, kind in enumerate(kinds) if kind == ('arrival', 'exchange_rows'))
    sums = kinds[last:kinds.index(('arrival', 'sum_ranks'))]
    s.ok(sums[-1] == ('program', 'micro-batch') and sums[-2] == ('message', 'sum_ranks'),
         "experts' gradients are made while the last sums of others travel", sums)
    s.ok(kinds.index(('program', 'refresh')) < kinds.index(('arrival', 'share_ranks')),
         "what is made of a rank's own experts is made while new values travel", kinds[-8:])
    timed = s.run('plan', '--model', s.path('switch.json'), '--layout', '1x2x2', '--batch', 2, '--src-len', 32, '--tgt-len', 24,
                  '--schedule', *RATES, '--network', '10us,8Gb/s').stdout.split('\n\n')[0]
    each = [(found[0], float(found[1])) for found in re.findall(r' (program|message) .* (\d+\.\d{6})  ', timed)]
    p = plan(s, 'switch.json', '--layout', '1x2x2', '--batch', 2, *RATES, '--network', '10us,8Gb/s')['step']
    s.ok('sum_parts' in timed and len(each) > 50 and sum(seconds > 0 for _, seconds in each) > 50 and
         abs(sum(seconds for _, seconds in each) - p['seconds'] - p['hidden']) < 0.05 * p['seconds'],
         '--schedule with rates: what each segment takes makes the step', timed)
    s.ok(len(re.findall(r'message .*B sent to others in 3 messages', step)) > 5, '--schedule: bytes of each message', step)


def check_time(s):
    """The model of time, by hand; the best layout is the shortest of all."""
    def step(*more):
        return plan(s, 'switch.json', '--batch', 2, *RATES, *more).get('step')
    p = plan(s, 'switch.json', '--batch', 2, '--layout', '2x4', *RATES, '--network', '10us,8Gb/s')
    t, m = p['step'], p['messages']['all']
    slow = max(m['sent'], m['received']) / 1e9
    # As the rank has them that is busiest: of a stretch of gradients its owner only receives.
    sums = p['messages']['sum_ranks']
    others = sum(p['messages'][k]['messages'] for k in ('exchange_routes', 'exchange_rows', 'gather_norms', 'share_ranks'))
    s.ok(others + sums['times'] <= 1e5 * t['latency'] + 1e-6 <= others + 7 * sums['times'] + 1e-3, 'a latency for each message', p)
    fast = step('--layout', '2x4', '--network', '10us,2GB/s')
    s.ok(slow <= t['bandwidth'] < 4 * slow and abs(2 * fast['bandwidth'] - t['bandwidth']) < 1e-12,
         'bytes of the rank that others wait for; twice as fast, half the time', p)
    parts = sum(t[key] for key in ('arithmetic', 'memory', 'latency', 'bandwidth', 'host_and_device'))
    s.ok(abs(parts - t['hidden'] - t['seconds']) < 1e-9 and 0 < t['hidden'] < parts / 2 and
         abs(t['tokens_per_second'] * t['seconds'] - 8 * 2 * (32 + 24)) < 1e-6,
         'the parts make the whole; tokens of all ranks', t)
    inside = step('--layout', '2x4', '--network', '10us,8Gb/s,8,1us,1GB/s')
    s.ok(abs(inside['latency'] - 0.1 * t['latency']) < 1e-9 and abs(inside['bandwidth'] - t['bandwidth']) < 1e-9,
         'eight ranks in one machine: its own latency and bandwidth', inside)
    network = ['--network', '10us,8Gb/s']
    every = {(e, m): step('--layout', f'{8 // e // m}x{e}x{m}', *network)['tokens_per_second']
             for m in (1, 2, 4) for e in (1, 2, 4) if e * m <= 8}
    best = plan(s, 'switch.json', '--batch', 2, *RATES, '--ranks', 8, *network)
    s.ok(best['step']['tokens_per_second'] == max(every.values()) == every[best['layout']['expert'], best['layout']['model']],
         f'the best layout of 8 ranks: {every}', best)
    least = plan(s, 'switch.json', '--batch', 2, '--layout', '1x4x2')['most_bytes']
    tight = plan(s, 'switch.json', '--batch', 2, *RATES, '--ranks', 8, *network, '--device-memory', least)
    s.ok(tight['layout']['model'] > 1 and tight['fits'], 'too large for any layout of data and experts: the model is split', tight)
    done = s.run('plan', '--model', s.path('switch.json'), '--batch', 2, '--tgt-len', 112, *RATES, '--ranks', 8, *network)
    s.ok(done.stdout.count('tokens/s') == 1 + len(every) and '8x1 ' in done.stdout and '1x4x2' in done.stdout and
         'bound by' in done.stdout, 'a line for each layout', done.stdout)
    dense = plan(s, 'dense.json', '--batch', 2, *RATES, '--ranks', 8, *network)
    s.ok(dense['layout']['data'] == 8 and dense['messages']['exchange_rows']['times'] == 0, 'without experts: all on the data axis',
         dense)
    alone = plan(s, 'switch.json', '--batch', 2, *RATES)
    many = [plan(s, 'even.json', '--batch', 256, '--rates', '1000TFLOP/s,10GB/s', *network, '--layout', layout)['step']['memory']
            for layout in ('2x1', '1x2')]
    s.ok(0.99 * many[0] < many[1] < 1.01 * many[0], f'experts in parts move as much as the whole: {many}')
    s.ok(alone['step']['bandwidth'] == 0 < alone['step']['seconds'] and 'messages' not in alone, 'one rank sends nothing', alone)


def check_page(s):
    """Rows of docs/scale.md planned again, one of each table of a model: layout, memory and speed are the program's."""
    sys.path.insert(0, os.path.join(sys.argv[2], 'docs'))
    import scale as page # pylint: disable=import-outside-toplevel
    with open(os.path.join(sys.argv[2], 'docs', 'scale.md'), encoding='utf-8') as file:
        text = file.read()
    for name, ranks, machine in (('switch-base-128', 64, 'A'), ('switch-large-128', 2048, 'C'), ('switch-xxl-128', 64, 'A'),
                                 ('switch-c-2048', 512, 'C'), ('t5-xxl', 8, 'B')):
        table = text.split(f'<!-- scale.py {name} -->')[1].split('<!-- end -->')[0]
        row = next(line for line in table.split('\n') if line.startswith(f'| {ranks:,} |')).split(' | ')
        at = 1 + 2 * 'ABC'.index(machine)
        p = page.plan(os.path.dirname(s.apps), s.folder, name, machine, '--batch', page.batch_of(name), '--layout',
                      row[at].split(',')[0])
        said = f'{row[at]} | {row[at + 1]}'
        s.ok(page.cell(p) == said, f'docs/scale.md, {name}: {ranks} ranks on {machine}: {said}', page.cell(p))


def check_rates(s):
    """A file of measured rates: the step that it was measured in comes out again; ranks share a machine's processors."""
    done = s.run('bench', 'rates', '--model', s.path('switch.json'), '--batch', 2, '--src-len', 32, '--tgt-len', 24, '--precision',
                 'selective', '--device', 'ref:0', '--repeat', 2)
    r = json.loads(done.stdout) if done.returncode == 0 else {}
    if not s.ok(r.get('step', 0) > 0 and len(r['kernels']) > 20 and r['resident_bytes'] > 1e6, 'bench rates: a file', done.stderr):
        return

    def write(name, **changes):
        with open(s.path(name), 'w', encoding='utf-8') as file:
            json.dump({**r, **changes}, file)
        return s.path(name)

    def step(name, *more):
        return plan(s, 'switch.json', '--batch', 2, '--device', 'ref:0', '--rates', s.path(name), *more)
    write('rates.json')
    one = step('rates.json')
    s.ok(abs(one['step']['seconds'] / r['step'] - 1) < 1e-3 and one['step']['ops_by_own_rate'] == one['ops'] and
         one['resident_bytes'] == r['resident_bytes'] + one['total_bytes'],
         'rates of a step: the plan of that step takes as long, and its process as much', f'{r}\n{one}')
    write('single.json', processors=1, threads=1, link=1e10)
    near = ['--layout', '2x2', '--network', '1us,1GB/s,4,1us,1GB/s']
    four, apart = step('single.json', *near)['step'], step('single.json', *near[:2], '--network', '1us,1GB/s')['step']
    s.ok(four['seconds'] == 4 * four['processors'] > apart['seconds'] and four['bound_by'] == 'processors that ranks share' and
         apart['shared_processors'] <= apart['hidden'] and apart['bound_by'] != four['bound_by'],
         'four ranks of one machine with one processor take four times as long as its work', f'{four}\n{apart}')
    write('twice.json', kernels={name: {**k, 'flops': 2 * k.get('flops', 0), 'bytes': 2 * k.get('bytes', 0)}
                                 for name, k in r['kernels'].items()})
    fast = step('twice.json')['step']
    s.ok(abs(2 * (fast['arithmetic'] + fast['memory']) - one['step']['arithmetic'] - one['step']['memory']) < 1e-6 * r['step'],
         'kernels twice as fast: half the time', fast)
    model = ('plan', '--model', s.path('switch.json'), '--rates')
    write('short.json', flops=0)
    with open(s.path('no.json'), 'w', encoding='utf-8') as file:
        file.write('{')
    for name, more, words in (('rates.json', ['--precision', 'f32'], ['selective', 'f32']), ('short.json', [], ['flops', 'rates']),
                              ('no.json', [], ['no.json', 'line 1'])):
        refuse(s, f'--rates {name} {" ".join(more)}', words, *model, s.path(name), *more)
    refuse(s, '--rates of a file that is not there', ['none.json'], *model, s.path('none.json'), usage=True)


def check_network(s):
    """What bench network prints is what plan --network takes."""
    done = subprocess.run(['mpirun', '--allow-run-as-root', '--oversubscribe', '-n', '2', os.path.join(s.apps, 'switchyard-bench'),
                           'network', '--repeat', '3'], capture_output=True, text=True, timeout=60, env=s.env)
    p = plan(s, 'switch.json', '--batch', 2, *RATES, '--layout', '1x2', '--network', done.stdout.strip())
    s.ok(done.returncode == 0 and p.get('step', {}).get('bandwidth', 0) > 0 and p['messages']['all']['sent_in_machine'] > 0,
         f'bench network: {done.stdout.strip()}', done.stderr + str(p))


def check_refusals(s):
    model = ('plan', '--model', s.path('switch.json'))
    for layout in ('3x2', '2x', 'x2', '0x2', '2X2', '2x2x2x2', '2x2x3', '2x2x', '-2x2', '2', ''):
        refuse(s, f"--layout '{layout}'", ['--layout'], *model, '--layout', layout, usage=True)
    for more, words in ((['--ranks', 3], ['power of two']), (['--ranks', 8, '--layout', '2x2'], ['4 ranks', '8']),
                        (['--layout', '2x2', '--rank', 4], ['--rank 4']), (['--network', '1us,1GB/s'], ['--rates']),
                        ([*RATES, '--ranks', 2], ['--network']), (['--rates', '1,2'], ['--rates']),
                        (['--rates', '1TFLOP/s,1TB'], ['--rates']), (['--rates', '0FLOP/s,1TB/s'], ['--rates']),
                        ([*RATES, '--network', '1,1GB/s'], ['--network']), ([*RATES, '--network', '1us,1GB/s,8'], ['--network']),
                        ([*RATES, '--network', '1us,1GB/s,0,1us,1GB/s'], ['--network'])):
        refuse(s, ' '.join(map(str, more)), words, *model, *more, usage=True)
    refuse(s, 'too few slices for four ranks', ['--slices 4'], *model, '--layout', '2x2', '--slices', 2)


def main():
    s = Suite(sys.argv[1])
    s.counter = os.path.abspath(sys.argv[3]) if len(sys.argv) > 3 else None
    full_batch(s.path('batch.safetensors'))
    sizes = {'d_model': 64, 'd_ff': 512, 'num_experts': 6}
    switchyard = {'group_tokens': 8, 'capacity_factor_train': 1.0, 'capacity_factor_eval': 1.0}
    config(s.path('switch.json'), switchyard={**switchyard, 'capacity_factor_train': 1.5}, **sizes)
    config(s.path('dense.json'), num_sparse_encoder_layers=0, num_sparse_decoder_layers=0)
    config(s.path('even.json'), switchyard={**switchyard, 'router': 'expert_choice'}, **sizes)
    check_ranks(s)
    check_schedule(s)
    check_recomputed(s)
    check_time(s)
    check_rates(s)
    check_page(s)
    check_refusals(s)
    probe = train(s, 'switch.json', 1, 2, 1, 1)[0] if shutil.which('mpirun') else None
    if probe is None or 'no MPI' in probe.stderr:
        s.skip('against runs of several ranks', 'there is no mpirun, or the programs are built without MPI')
        s.done()
    check_network(s)
    check_memory_and_bytes(s)
    check_uneven(s)
    s.done()


main()
