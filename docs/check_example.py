#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check_example.py EXAMPLE SOURCE_DIR: docs/example.c trains: 20 finite losses, the last below the first; scores, and keeps the
model; opened again from what it kept, it scores as well, without a step."""
import os
import re
import subprocess
import sys
import tempfile

example, source = sys.argv[1:]


def run(model, out, *more):
    return subprocess.run([example, model, os.path.join(source, 'LICENSE'), out, *more], capture_output=True, text=True, check=False)


with tempfile.TemporaryDirectory() as folder:
    done = run(os.path.join(source, 'configs', 'quickstart-switch.json'), os.path.join(folder, 'a'))
    again = run(os.path.join(folder, 'a', 'latest'), os.path.join(folder, 'b'), 'auto', '0')
losses = [float(x) for x in re.findall(r'loss ([\d.]+)', done.stdout)]
score = re.search(r'negative log perplexity -([\d.]+) over (\d+) tokens', done.stdout)
good = done.returncode == 0 and len(losses) == 20 and losses[-1] < losses[0]
good = good and score is not None and float(score.group(1)) < losses[0] and int(score.group(2)) > 1000
good = good and again.returncode == 0 and 'step' not in again.stdout and score.group(0) in again.stdout
print(f"{'ok' if good else 'not ok'} 1 - the example trains: {losses[:1]} to {losses[-1:]} {done.stderr}{again.stderr}")
print(f'{int(good)} passed, {int(not good)} failed, 0 skipped')
sys.exit(not good)
