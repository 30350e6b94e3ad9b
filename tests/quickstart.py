#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""quickstart.py SOURCE_DIR WORK_DIR: the README's first command, on a copy of the tree, with a text of its own and few steps.

WORK_DIR is kept, so that a second run only builds what changed.
"""
import json
import os
import shutil
import subprocess
import sys

from apps import Suite, copy_tree, text

STEPS = 40
ROWS = ('parameters', 'FLOPs per token, forward', 'steps', 'tokens/s', 'negative log perplexity', 'tokens dropped, each layer',
        'fullest expert / mean')


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    source, work = map(os.path.abspath, sys.argv[1:])
    s = Suite(work)
    if not shutil.which('dpkg-query'):
        s.skip('quickstart', 'it installs Debian packages; there is no dpkg here')
        s.done()
    copy_tree(source, work)
    env = dict(s.env, SY_QUICKSTART_STEPS=str(STEPS), SY_BUILD_DIR='build')
    for name in ('CC', 'CXX'): # Meson takes ccache by itself, which knows the objects of the main build
        env.pop(name, None)

    def dev(*arguments):
        return subprocess.run([os.path.join(work, 'dev'), 'quickstart', *arguments], cwd=work, env=env, capture_output=True, text=True,
                              errors='replace', timeout=600, check=False)

    book = text(s.path('book.txt'), 200_000)
    done = dev(book)
    out = done.stdout
    s.ok(done.returncode == 0, 'trains both models on a text of its own', out + done.stderr)
    s.ok(all(row in out for row in ROWS), 'prints the table', [row for row in ROWS if row not in out])
    s.ok(' nats a token ' in out and 'To move fr[' in out and 'took ' in out, 'the verdict, the filled-in sentence, the time', out)
    run = os.path.join(work, 'runs', 'quickstart')
    for kind in ('switch', 'dense'):
        with open(os.path.join(run, kind, 'metrics.jsonl'), encoding='utf-8') as file:
            lines = [json.loads(line) for line in file]
        s.ok(len(lines) == STEPS and os.path.isfile(os.path.join(run, kind, 'latest', 'model.safetensors')),
             f'{kind}: {len(lines)} lines of metrics, a model')
    with open(os.path.join(run, 'comparison.txt'), encoding='utf-8') as file:
        s.ok(file.read() in out, 'comparison.txt is the table')
    kept = os.path.getmtime(os.path.join(run, 'comparison.txt'))
    with open(s.path('short.txt'), 'w', encoding='utf-8') as file:
        file.write('too short to learn from\n')
    for name, words in ((s.path('absent.txt'), 'absent.txt'), (s.path('short.txt'), '100000')):
        done = dev(name)
        s.ok(done.returncode != 0 and words in done.stderr, f'refuses {os.path.basename(name)} by name', done.stdout + done.stderr)
    s.ok(os.path.exists(os.path.join(run, 'comparison.txt')) and os.path.getmtime(os.path.join(run, 'comparison.txt')) == kept,
         'and leaves the earlier run as it was')
    s.done()


if __name__ == '__main__':
    main()
