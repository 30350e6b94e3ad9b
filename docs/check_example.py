#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check_example.py EXAMPLE SOURCE_DIR: docs/example.c trains: 20 finite losses, the last below the first; and scores."""
import os
import re
import subprocess
import sys

example, source = sys.argv[1:]
done = subprocess.run([example, os.path.join(source, 'configs', 'quickstart-switch.json'), os.path.join(source, 'LICENSE')],
                      capture_output=True, text=True, check=False)
losses = [float(x) for x in re.findall(r'loss ([\d.]+)', done.stdout)]
score = re.search(r'negative log perplexity -([\d.]+) over (\d+) tokens', done.stdout)
good = done.returncode == 0 and len(losses) == 20 and losses[-1] < losses[0]
good = good and score is not None and float(score.group(1)) < losses[0] and int(score.group(2)) > 1000
print(f"{'ok' if good else 'not ok'} 1 - the example trains: {losses[:1]} to {losses[-1:]} {done.stderr}")
print(f'{int(good)} passed, {int(not good)} failed, 0 skipped')
sys.exit(not good)
