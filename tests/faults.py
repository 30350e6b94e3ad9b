#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""faults.py APPS_DIR SOURCE_DIR POORFS BADLUCK [--count N] [--seed S]: runs of several ranks that meet with an accident.

A rank is killed, stopped, loses its device or meets a full disk at a random moment; the rest must end soon, say once which rank and
why, and leave no process behind; OUT/latest must be whole, and --resume on one rank must come to the weights of a run that nothing
happened to. With --count only such accidents.
"""
import argparse
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

from apps import Suite, config, text
from kill import whole
from link import NAMES, Link
from ranks import metrics, tensors

RANKS = 4
PATIENCE = 2  # --comm-timeout of these runs
LIMIT = PATIENCE + 8 + 6  # and mpirun's own second of grace, on a machine with fewer processors than ranks
MARK = 'SWITCHYARD_FAULTS'
KINDS = ('kill', 'stop', 'disk', 'device')


def command(s, out, steps, *more, device='ref:0', ranks=RANKS, first=''):
    """`first`: a shell command for each rank, before the program."""
    program = [os.path.join(s.apps, 'switchyard-train'), '--model', s.path('switch.json'), '--data', s.path('a.txt'), '--out',
               s.path(out), '--steps', steps, '--src-len', 32, '--tgt-len', 8, '--batch-tokens', 256, '--slices', 8, '--device',
               device, '--save-every', 4, '--comm-timeout', PATIENCE, *more]
    if first:
        program = ['sh', '-c', first + '; exec "$@"', 'sh', *program]
    return list(map(str, ['mpirun', '--allow-run-as-root', '--oversubscribe', '-n', ranks, *program] if ranks > 1 else program))


class Job:
    """A run under way, whose processes carry a mark in their environment."""

    def __init__(self, s, line, name):
        self.mark = f'{MARK}={os.getpid()}-{name}'
        env = dict(s.env, POCL_MAX_PTHREAD_COUNT='1', **{MARK: self.mark.split('=')[1]})
        self.error = open(s.path(name + '.err'), 'w+', encoding='utf-8', errors='replace')
        self.process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=self.error, env=env, start_new_session=True)

    def left(self):
        """{rank: process} of those alive; mpirun itself has no rank."""
        found = {}
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                with open(f'/proc/{pid}/environ', 'rb') as file:
                    env = file.read().decode(errors='replace').split('\0')
                with open(f'/proc/{pid}/stat', encoding='utf-8', errors='replace') as file:
                    gone = file.read().rsplit(')', 1)[1].split()[0] in 'ZX'
            except OSError:
                continue
            if self.mark in env and not gone:
                rank = [v.split('=')[1] for v in env if v.startswith('OMPI_COMM_WORLD_RANK=')]
                found[int(rank[0]) if rank else 'mpirun'] = int(pid)
        return found

    def wait(self, limit):
        """Seconds until it ended, or None where it had to be ended."""
        begun, took = time.monotonic(), None
        try:
            self.process.wait(limit)
            while self.left() and time.monotonic() < begun + limit:
                time.sleep(0.05)  # mpirun does not wait for what it killed
            took = time.monotonic() - begun
        except subprocess.TimeoutExpired:
            pass
        self.remains = self.left()
        for pid in self.remains.values():
            os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.error.seek(0)
        self.said = self.error.read()
        self.error.close()
        return took


def errors(said):
    return [line for line in said.split('\n') if line.startswith('switchyard-train:') and 'error:' in line]


def until_step(s, out, job, step, limit=60):
    """Until that many checkpoints are there: the run is in full swing."""
    end = time.monotonic() + limit
    while time.monotonic() < end and job.process.poll() is None:
        if (whole(s.path(out, 'latest')) or 0) >= step:
            return True
        time.sleep(0.02)
    return False


def goes_on(s, out, steps, same=True):
    """Why --resume on one rank does not come to the weights of the undisturbed run, or ''. Unlike devices agree to rounding only."""
    done = subprocess.run(command(s, out, steps, '--resume', ranks=1), capture_output=True, text=True, errors='replace', timeout=120,
                          env=s.env, check=False)
    if done.returncode != 0:
        return f'exit {done.returncode}\n{done.stderr}'
    if not same:
        return ''
    if steps not in s.straight:
        subprocess.run(command(s, f'straight-{steps}', steps, ranks=1), capture_output=True, timeout=120, env=s.env, check=True)
        s.straight[steps] = (tensors(s.path(f'straight-{steps}', 'latest')), metrics(s.path(f'straight-{steps}')))
        shutil.rmtree(s.path(f'straight-{steps}'))
    want, lines = s.straight[steps]
    have = tensors(s.path(out, 'latest'))
    if have != want:
        return f'other weights: {[name for name in sorted(want) if have.get(name) != want[name]][:3]}'
    return '' if metrics(s.path(out)) == lines else 'other metrics'


def says(kind, rank, device):
    """A pattern of what the message must say: which rank, where, and in which step; of a message also which."""
    victim = rf'rank {rank} \(host {re.escape(socket.gethostname())}, {device}\)'
    return rf': error: {victim} has .*, awaited by rank \d in: .+, step \d+$' if kind in ('kill', 'stop') else \
        rf'^switchyard-train: {victim}, step \d+: error: .'


def accident(s, name, kind, rng):
    """One run, one accident; returns why the rule does not hold, or '', and whether a message of ours named the rank."""
    rank = rng.randrange(RANKS)
    device, first = 'ref:0', ''
    here = f'[ "$OMPI_COMM_WORLD_RANK" = {rank} ] && export LD_PRELOAD='
    if kind == 'disk':  # no shard is small enough
        first = here + s.poorfs + ' POORFS=room'
    if kind == 'device':
        device = ','.join('opencl:0' if r == rank else 'ref:0' for r in range(RANKS))
        first = here + f'{s.badluck} BADLUCK_DEVICE={rng.randint(1500, 8000)}'
    out = 'run-' + name
    shutil.copytree(s.path('four'), s.path(out), symlinks=True)
    # Without --share the speeds of unlike devices are measured first, and this is about the middle of training.
    job = Job(s, command(s, out, 100000, '--resume', '--share', 'equal', device=device, first=first), name)
    if kind in ('kill', 'stop'):
        if not until_step(s, out, job, 8):
            job.wait(1)
            return f'it did not begin\n{job.said}', False
        time.sleep(rng.uniform(0, 0.5))
        pid = job.left().get(rank)
        if pid is None:
            return 'the rank was not there', False
        os.kill(pid, signal.SIGKILL if kind == 'kill' else signal.SIGSTOP)
    took = job.wait(LIMIT if kind in ('kill', 'stop') else LIMIT + 60)
    said = errors(job.said)
    named = len(said) == 1 and re.search(says(kind, rank, 'opencl:0' if kind == 'device' else 'ref:0'), said[0]) is not None
    step = whole(s.path(out, 'latest'))
    why = ''
    if took is None or job.remains:
        why = f'still there: {job.remains}'
    elif job.process.returncode == 0:
        why = 'status 0'
    elif len(said) > 1 or (kind != 'kill' and not said):
        why = f'said {len(said)} times'
    elif said and not named:
        why = 'the message does not say which rank, where, and in which step'
    elif not said and not re.search(rf'process rank {rank} .*signal 9', job.said):  # mpirun may be faster with its own
        why = 'nobody named the rank'
    elif step is None or step % 4 != 0:
        why = f'latest is {step}'
    elif kind == 'disk' and step != 4:
        why = f'a save that failed on one rank is step {step}'
    else:
        why = goes_on(s, out, step + 2, kind != 'device')
    shutil.rmtree(s.path(out), ignore_errors=True)
    return (f'{kind} of rank {rank} after {took} s: {why}\n{job.said}' if why else ''), named


def check_accidents(s, kinds, seed):
    rng, named, hits = random.Random(seed), 0, 0
    for i, kind in enumerate(kinds):
        if kind == 'device' and not s.opencl:
            s.skip(f'accident {i}', 'there is no OpenCL device')
            continue
        why, ours = accident(s, f'{i}-{kind}', kind, rng)
        hits, named = hits + 1, named + ours
        s.ok(not why, f'accident {i}, {kind}: ends soon, said once, latest whole, goes on', why)
    print(f'# {hits} accidents, in {named} of them a message of ours named the rank (else mpirun was faster with its own)')
    s.ok(2 * named >= hits, 'most accidents are named by a rank', f'{named} of {hits}')


def check_signals(s):
    """To one rank, or to mpirun: saved on all, and it goes on."""
    for name, number, whom in (('SIGTERM to a rank', signal.SIGTERM, 2),
                               ('SIGUSR2 to mpirun', signal.SIGUSR2, 'mpirun'), ('SIGTERM to mpirun', signal.SIGTERM, 'mpirun')):
        shutil.copytree(s.path('four'), s.path('told'), symlinks=True)
        job = Job(s, command(s, 'told', 100000, '--resume', '--save-every', 1000), 'told')
        if s.ok(until_lines(s, 'told', job, 6), f'{name}: it runs'):
            os.kill(job.left()[whom], number)
        took = job.wait(LIMIT)
        step = whole(s.path('told', 'latest'))
        s.ok(took is not None and not job.remains and step and step > 4 and 'asked to leave' in job.said and not errors(job.said),
             f'{name}: saves on all ranks and ends', f'{took} {job.remains} step {step}\n{job.said}')
        s.ok(job.process.returncode == 0 or whom == 'mpirun', f'{name}: status 0 where mpirun was not asked to end the run')
        why = goes_on(s, 'told', step + 1) if step else 'no step'
        s.ok(not why, f'{name}: goes on as if nothing had happened', why)
        shutil.rmtree(s.path('told'))


def until_lines(s, out, job, count):
    """Until the metrics have so many lines."""
    end = time.monotonic() + 60
    while time.monotonic() < end and job.process.poll() is None:
        with open(s.path(out, 'metrics.jsonl'), 'rb') as file:
            if file.read().count(b'\n') >= count:
                return True
        time.sleep(0.02)
    return False


def check_slow(s):
    """A rank that is busy for longer than --comm-timeout is waited for; where no datagrams get through it is so, too, and said."""
    slow = '[ "$OMPI_COMM_WORLD_RANK" = 1 ] && export LD_PRELOAD=' + s.badluck + ' BADLUCK_SLEEP=5'
    job = Job(s, command(s, 'slow', 2, ranks=2, first=slow), 'slow')
    took = job.wait(60)
    s.ok(took and took > 5 and job.process.returncode == 0 and not errors(job.said), f'a rank that is busy for 5 s, --comm-timeout '
         f'{PATIENCE}: waited for', job.said)
    deaf = '[ "$OMPI_COMM_WORLD_RANK" = 1 ] && export LD_PRELOAD=' + s.badluck + ' BADLUCK_DATAGRAMS=1'
    job = Job(s, command(s, 'deaf', 2, ranks=2, first=deaf), 'deaf')
    took = job.wait(60)
    s.ok(took and job.process.returncode == 0 and job.said.count('does not hear rank') == 1 and not errors(job.said),
         'a rank without UDP: trains, and it is said', job.said)


def check_link(s):
    """Two hosts, and the link between them is cut: both ranks end, one says which it misses, and the last checkpoint is whole."""
    link = Link(s.path())
    try:
        if link.why:
            s.skip('a link that is cut', link.why)
            return
        program = command(s, 'link', 100000, ranks=1)
        job = Job(s, link.mpirun(*program), 'link')
        if not s.ok(until_step(s, 'link', job, 8), 'two hosts: it trains'):
            link.end()
            job.wait(5)
            print(job.said)
            return
        s.ok(link.cut(), 'the link is cut')
        begun = time.monotonic()
        while link.left() and time.monotonic() < begun + LIMIT:
            time.sleep(0.05)
        took, left = time.monotonic() - begun, link.left()
        link.end()
        job.wait(5)
        said, step = errors(job.said), whole(s.path('link', 'latest'))
        s.ok(not left and job.process.returncode != 0, f'the link is cut: all have ended after {took:.1f} s, '
             f'--comm-timeout {PATIENCE}, status {job.process.returncode}', f'{left}\n{job.said}')
        s.ok(len(said) == 1 and f'rank 1 (host {NAMES[1]}, ref:0) has not been heard of' in said[0],
             'the link is cut: the other rank is named', job.said)
        why = goes_on(s, 'link', step + 2) if step and step % 4 == 0 else f'latest is {step}'
        s.ok(not why, 'the link is cut: the checkpoint is whole, and goes on', why)
    finally:
        link.remove()


def check_start(s):
    """Something is wrong on one rank before the first step."""
    for option, good, bad in (('--model', 'switch.json', 'nowhere.json'), ('--data', 'a.txt', 'nowhere.txt')):
        line = command(s, 'start', 4, first=f'[ "$OMPI_COMM_WORLD_RANK" = 2 ] && set -- "$@" {option} {s.path(bad)} || '
                       f'set -- "$@" {option} {s.path(good)}')
        at = line.index(option)
        job = Job(s, line[:at] + line[at + 2:], 'start')
        took = job.wait(LIMIT)
        said = errors(job.said)
        s.ok(took is not None and not job.remains and job.process.returncode != 0 and len(said) == 1 and bad in said[0] and
             said[0].startswith(f'switchyard-train: rank 2 (host {socket.gethostname()}): error: '),
             f'{bad} for one rank: all end, said once', f'{took} {job.remains}\n{job.said}')


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('paths', nargs=4, metavar='PATH')
    parser.add_argument('--count', type=int, default=0)
    parser.add_argument('--seed', type=int, default=1)
    o = parser.parse_args()
    s = Suite(o.paths[0])
    s.poorfs, s.badluck = map(os.path.abspath, o.paths[2:])
    s.straight = {}
    text(s.path('a.txt'))
    config(s.path('switch.json'), d_ff=96, switchyard={'group_tokens': 8, 'capacity_factor_train': 1.25, 'capacity_factor_eval': 2.0})
    done = subprocess.run(command(s, 'four', 4), capture_output=True, text=True, timeout=120, env=s.env,
                          check=False) if shutil.which('mpirun') else None
    if done is None or 'no MPI' in done.stderr:
        s.skip('faults', 'there is no mpirun, or the programs are built without MPI')
        s.done()
    s.ok(done.returncode == 0, 'four ranks', done.stderr)
    s.opencl = 'opencl:0' in s.run('devices').stdout
    if o.count:
        rng = random.Random(o.seed)
        check_accidents(s, [rng.choice(KINDS) for _ in range(o.count)], o.seed)
    else:
        check_accidents(s, ('kill', 'stop', 'disk', 'device'), o.seed)
        check_signals(s)
        check_slow(s)
        check_link(s)
        check_start(s)
    s.done()


if __name__ == '__main__':
    main()
