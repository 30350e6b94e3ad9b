#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill.py APPS_DIR SOURCE_DIR: `kill -9` at 50 random moments of training that saves at every step.

After each: OUT/latest and every OUT/step-N are whole checkpoints (state.json parses, every file it lists has the size it says);
every fifth time and at the end the program itself checks all hashes and continues from it.
"""
import json
import os
import random
import subprocess
import sys
import time

from apps import Suite, config, text

KILLS = 50


def whole(folder):
    """The step of a checkpoint whose files are all there with their sizes, or None."""
    try:
        with open(os.path.join(folder, 'state.json'), encoding='utf-8') as file:
            state = json.load(file)
        for name, entry in state['files'].items():
            if os.path.getsize(os.path.join(folder, name)) != entry['bytes']:
                return None
        return state['step']
    except (OSError, ValueError, KeyError):
        return None


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    s = Suite(sys.argv[1])
    config(s.path('switch.json'))
    text(s.path('a.txt'), 30_000)
    rng = random.Random(7)
    out = s.path('out')
    arguments = ['--model', s.path('switch.json'), '--data', s.path('a.txt'), '--out', out, '--src-len', '24', '--tgt-len', '12',
                 '--batch-tokens', '24', '--device', 'ref:0', '--save-every', '1', '--keep', '2']
    first = s.run('train', *arguments, '--steps', 1)
    s.ok(first.returncode == 0, 'a first checkpoint', first.stderr)
    last, broken, saves = 1, [], 0
    for kill in range(KILLS):
        command = [os.path.join(s.apps, 'switchyard-train'), *arguments, '--steps', '100000', '--resume']
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=s.env)
        end = time.monotonic() + 20
        while time.monotonic() < end and whole(os.path.join(out, 'latest')) == last and process.poll() is None:
            time.sleep(0.002)  # until it saves
        time.sleep(rng.uniform(0, 0.08))
        process.kill()
        process.wait()
        step = whole(os.path.join(out, 'latest'))
        if step is None or step < last:
            broken.append(f'kill {kill}: latest is {step}, it was {last}')
            break
        half = [name for name in os.listdir(out) if name.startswith('step-') and name != f'step-{whole(os.path.join(out, name))}']
        if half:
            broken.append(f'kill {kill}: {half} are not whole')
            break
        saves += step - last
        last = step
        if kill % 5 == 4:
            done = s.run('train', *arguments, '--steps', last + 1, '--resume')
            left = [name for name in os.listdir(out) if name.startswith('.step')]
            if done.returncode != 0 or left:
                broken.append(f'kill {kill}: {done.stderr} left: {left}')
                break
            last += 1
    s.ok(not broken, f'{KILLS} kills among {saves} saves: always a whole checkpoint', '\n'.join(broken))
    s.ok(saves >= KILLS // 2, 'the kills fell into saving')
    s.done()


if __name__ == '__main__':
    main()
