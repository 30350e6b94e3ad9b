#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""filesystems.py APPS_DIR SOURCE_DIR POORFS: runs on file systems that lack something, and runs that were copied without links.

Whatever happened to OUT, --resume goes on from the newest whole checkpoint, to the weights of a run that was never touched.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import time

from apps import SMALL, Suite, config, refuse, tensors_bytes, text

POOR = ('links', 'flock', 'swap', 'over', 'sync', 'burst')


def arguments(s, out, steps, *more):
    return ['--model', s.path('switch.json'), '--data', s.path('a.txt'), '--out', s.path(out), '--steps', steps, *SMALL,
            '--save-every', 2, *more]


def weights(s, out, name='latest'):
    path = s.path(out, name)
    if os.path.isfile(path):
        with open(path, encoding='utf-8') as file:
            path = s.path(out, file.read().strip())
    return tensors_bytes(os.path.join(path, 'model.safetensors'))


def hidden(s, out):
    return [n for n in os.listdir(s.path(out)) if n.startswith('.')]


def check_poor(s):
    for lacks in (*((x,) for x in POOR), POOR):
        name = '-'.join(lacks)
        env = {'LD_PRELOAD': s.shim, 'POORFS': ','.join(lacks)}
        first = s.run('train', *arguments(s, name, 4), env=env)
        again = s.run('train', *arguments(s, name, 6, '--resume'), env=env)
        s.ok(first.returncode == 0 and again.returncode == 0 and weights(s, name) == weights(s, 'whole'),
             f'without {name}: trains, saves, resumes to the same weights', first.stderr + again.stderr)
        s.ok(not hidden(s, name), f'without {name}: nothing left behind', hidden(s, name))
        latest = s.path(name, 'latest')
        s.ok(os.path.islink(latest) != ('links' in lacks), f'without {name}: latest is a link where there are links')
        for line in (first, again):
            s.ok(('no symbolic links' in line.stderr) == ('links' in lacks), f'without {name}: said at the start', line.stderr)
        rows = {'eval': ['--data', s.path('a.txt'), '--src-len', 48, '--tgt-len', 20, '--batches', 1, '--device', 'ref:0'],
                'generate': ['--text', 'The <extra_id_0>', '--max-tokens', 2, '--device', 'ref:0'], 'plan': []}
        for app, more in rows.items() if 'links' in lacks else ():
            done = s.run(app, '--model', latest, *more)
            s.ok(done.returncode == 0, f'{app} --model of a latest that is a file', done.stderr)
    # The same step again, where two names cannot be swapped: latest was switched back by hand.
    env = {'LD_PRELOAD': s.shim, 'POORFS': ','.join(POOR)}
    with open(s.path('-'.join(POOR), 'latest'), 'w', encoding='utf-8') as file:
        file.write('step-4')
    done = s.run('train', *arguments(s, '-'.join(POOR), 6, '--resume'), env=env)
    s.ok(done.returncode == 0 and weights(s, '-'.join(POOR)) == weights(s, 'whole') and not hidden(s, '-'.join(POOR)),
         'without anything: a step that is there already is replaced', done.stderr)


def check_sums(s):
    """The sums in state.json are made while writing: what was written is not read again. A save that fails leaves the last."""
    def train(name, steps, *more, **env):
        return s.run('train', *arguments(s, name, steps, *more), env={'LD_PRELOAD': s.shim, **env})

    first = train('sums', 4, POORFS_UNREADABLE='.safetensors')
    again = s.run('train', *arguments(s, 'sums', 6, '--resume'))  # which reads every file and compares its sum
    s.ok(first.returncode == 0 and again.returncode == 0 and weights(s, 'sums') == weights(s, 'whole'),
         'a save does not read the tensors back, and the sums are right', first.stderr + again.stderr)
    for name, said, env in (('no room in a file', 'free some space', {'POORFS': 'room'}),
                            ('a small file that cannot be read', '.tmp/config.json', {'POORFS_UNREADABLE': '.tmp/config.json'})):
        done = train(fresh(s, 'c'), 6, '--resume', **env)
        good = done.returncode == 1 and said in done.stderr and 'error' in done.stderr and not hidden(s, 'c')
        s.ok(good and not os.path.exists(s.path('c', 'step-6')), f'{name}: the save fails', f'{done.returncode} {done.stderr}')
        done = s.run('train', *arguments(s, 'c', 6, '--resume'))
        s.ok(done.returncode == 0 and weights(s, 'c') == weights(s, 'whole'), f'{name}: the run goes on', done.stderr)


def check_lock_file(s):
    """Two runs into one --out without flock, and one that was killed."""
    env = {'LD_PRELOAD': s.shim, 'POORFS': 'flock'}
    command = [os.path.join(s.apps, 'switchyard-train'), *map(str, arguments(s, 'both', 100000))]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(s.env, **env)) as first:
        end = time.monotonic() + 20
        while time.monotonic() < end and not os.path.exists(s.path('both', 'latest')):
            time.sleep(0.01)
        refuse(s, 'two runs into one --out, without flock', ['another process', str(first.pid), '.lock'], 'train',
               *arguments(s, 'both', 8, '--resume'), env=env)
        first.send_signal(signal.SIGKILL)
    step = json.load(open(s.path('both', 'latest', 'state.json'), encoding='utf-8'))['step']
    done = s.run('train', *arguments(s, 'both', step + 2, '--resume'), env=env)
    s.ok(done.returncode == 0 and not hidden(s, 'both'), 'the lock of a killed run is taken over', done.stderr)
    with open(s.path('both', '.lock'), 'w', encoding='utf-8') as file:
        file.write('process 1 of host elsewhere.example, started 5, boot x\n')
    refuse(s, 'a lock of another host', ['elsewhere.example', 'remove that file'], 'train',
           *arguments(s, 'both', step + 4, '--resume'), env=env)
    s.ok(os.path.exists(s.path('both', '.lock')), 'it is still there')


def fresh(s, out):
    """A run of 4 steps, copied as `scp -r` and object stores do: links become what they lead to."""
    shutil.rmtree(s.path(out), ignore_errors=True)
    shutil.copytree(s.path('four'), s.path(out), symlinks=False)
    return out


def check_copies(s):
    def resumes(name, out, said='', kept=None):
        done = s.run('train', *arguments(s, out, 6, '--resume'))
        good = done.returncode == 0 and weights(s, out) == weights(s, 'whole') and said in done.stderr
        s.ok(good and os.readlink(s.path(out, 'latest')) == 'step-6' and not hidden(s, out), f'a copied run, {name}: goes on',
             f'{done.returncode} {done.stderr} {os.listdir(s.path(out))}')
        s.ok(kept is None or os.path.isdir(s.path(out, kept)), f'a copied run, {name}: nothing is lost', os.listdir(s.path(out)))

    resumes('latest is a directory', fresh(s, 'c'), 'was a directory, a copy of')
    shutil.rmtree(s.path(fresh(s, 'c'), 'step-4'))
    resumes('latest is the only copy of its step', 'c', 'was a directory', 'step-4')
    shutil.rmtree(s.path(fresh(s, 'c'), 'step-4'))
    shutil.rmtree(s.path('c', 'step-2'))
    resumes('latest is the only checkpoint', 'c', 'was a directory', 'step-4')
    os.truncate(s.path(fresh(s, 'c'), 'step-4', 'model.safetensors'), 1000)
    resumes('step-4 is half, latest is whole', 'c', 'step-4.damaged', 'step-4.damaged')
    with open(s.path(fresh(s, 'c'), 'step-4', 'model.safetensors'), 'r+b') as file:
        file.seek(5000)
        file.write(b'damage')
    resumes('step-4 has a wrong byte, latest is whole', 'c', 'step-4.damaged', 'step-4.damaged')
    os.remove(s.path(fresh(s, 'c'), 'latest', 'model.safetensors'))
    resumes('latest is half, step-4 is whole', 'c', 'latest.damaged', 'latest.damaged')
    shutil.rmtree(s.path(fresh(s, 'c'), 'latest'))
    resumes('there is no latest', 'c', 'led to no checkpoint')
    shutil.rmtree(s.path(fresh(s, 'c'), 'latest'))
    os.symlink('step-9', s.path('c', 'latest'))
    resumes('latest leads nowhere', 'c', 'led to no checkpoint')
    shutil.rmtree(s.path(fresh(s, 'c'), 'latest'))
    with open(s.path('c', 'latest'), 'w', encoding='utf-8') as file:
        file.write('step-4')  # as archives and version control write a link where there are none
    resumes('latest is a file', 'c')
    shutil.rmtree(s.path(fresh(s, 'c'), 'latest'))
    os.rename(s.path('c', 'step-4'), s.path('c', '.step-4.tmp.old'))
    resumes('killed between two renames', 'c', 'step-4 now')
    # What an earlier version left: it trained on to step 6, and could not make latest name it.
    shutil.copytree(s.path('whole', 'step-6'), s.path(fresh(s, 'c'), 'step-6'))
    done = s.run('train', *arguments(s, 'c', 6, '--resume'))
    s.ok(done.returncode == 0 and 'done already' in done.stderr and os.readlink(s.path('c', 'latest')) == 'step-6',
         'a copied run, a newer step is whole: it goes on from that one', done.stderr)
    refuse(s, 'a copied run without --resume', ['--resume', '--out'], 'train', *arguments(s, fresh(s, 'c'), 6))
    for name in ('step-2', 'step-4', 'latest'):
        os.truncate(s.path('c', name, 'optimizer-00001.safetensors'), 100)
    before = sorted(os.listdir(s.path('c')))
    refuse(s, 'a copied run, nothing is whole', ['no whole checkpoint'], 'train', *arguments(s, 'c', 6, '--resume'))
    s.ok(sorted(os.listdir(s.path('c'))) == before, 'it is left as it was', os.listdir(s.path('c')))


def check_start(s):
    """What would end the first save ends the start."""
    os.makedirs(s.path('foreign'))
    with open(s.path('foreign', 'latest'), 'w', encoding='utf-8') as file:
        file.write('the latest news')
    refuse(s, 'a file called latest', ['latest', 'in the way'], 'train', *arguments(s, 'foreign', 2))
    refuse(s, 'a file called latest, --resume', ['latest', 'in the way'], 'train', *arguments(s, 'foreign', 2, '--resume'))
    s.ok(os.listdir(s.path('foreign')) == ['latest'], 'it is still there')
    missing = [s.path('nowhere.json') if a == s.path('switch.json') else a for a in arguments(s, 'unborn', 2)]
    refuse(s, 'a model that is not there', ['nowhere.json'], 'train', *missing)
    s.ok(not os.path.exists(s.path('unborn')), 'a run that did not begin leaves no --out')
    long = '/'.join(['x' * 200] * 21)
    refuse(s, 'a path too long', ['xxx'], 'train', *arguments(s, long, 2))
    disk = s.path('disk')
    os.makedirs(disk)
    if os.geteuid() != 0 or subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=200k', 'tmpfs', disk], capture_output=True,
                                           check=False).returncode != 0:
        s.skip('a full or read-only disk, found at the start', 'mounting needs root')
        return
    try:
        def at_once(name, words):
            done = s.run('train', *arguments(s, os.path.join('disk', 'out'), 2))
            s.ok(done.returncode == 1 and all(w in done.stderr for w in words) and 'step 1' not in done.stdout, name, done.stderr)
        at_once('a disk too small for a checkpoint: said before the first step', ['MiB left', '--out'])
        os.makedirs(os.path.join(disk, 'out'), exist_ok=True)
        subprocess.run(['mount', '-o', 'remount,ro', disk], check=True)
        at_once('a read-only disk: said before the first step', ['Read-only'])
    finally:
        subprocess.run(['umount', disk], check=False)


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    s = Suite(sys.argv[1])
    s.shim = os.path.abspath(sys.argv[3])
    config(s.path('switch.json'))
    text(s.path('a.txt'))
    s.run('train', *arguments(s, 'whole', 6))
    done = s.run('train', *arguments(s, 'four', 4))
    s.ok(done.returncode == 0, 'a run to copy', done.stderr)
    for check in (check_poor, check_sums, check_lock_file, check_copies, check_start):
        check(s)
    s.done()


if __name__ == '__main__':
    main()
