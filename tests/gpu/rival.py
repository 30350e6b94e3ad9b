#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""rival.py: the vendor's own library, through PyTorch, in the same run as ours and in turns with it.

Started as a program it reads names of measurements from standard input, one a line, and prints one line of JSON for each.
"""
import json
import os
import statistics
import subprocess
import sys
import threading
import queue

START, ANSWER = 60, 20  # seconds


def serve():
    import torch
    if not torch.cuda.is_available():
        sys.exit('PyTorch sees no GPU')
    torch.backends.cuda.matmul.allow_tf32 = False
    print(json.dumps({'torch': torch.__version__, 'name': torch.cuda.get_device_name()}), flush=True)

    def seconds(work, inner):
        work()
        times = []
        for _ in range(7):
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            begin.record()
            for _ in range(inner):
                work()
            end.record()
            torch.cuda.synchronize()
            times.append(begin.elapsed_time(end) / inner * 1e-3)
        return statistics.median(times)

    def product(n, dtype):
        a, b = (torch.randn(n, n, device='cuda', dtype=dtype) for _ in range(2))
        return 2 * n ** 3 / seconds(lambda: torch.mm(a, b), max(2, 20 * 2048 // n)) / 1e9

    def copy():
        n = min(1 << 30, torch.cuda.mem_get_info()[0] // 32)
        x = torch.randn(n, device='cuda')
        y = torch.empty_like(x)
        return 8 * n / seconds(lambda: y.copy_(x), 5) / 1e9

    for line in sys.stdin:
        name = line.strip()
        try:
            if name == 'copy':
                figure = {'gbs': copy()}
            else:
                n = int(name.split('-')[1])
                figure = {'f32': product(n, torch.float32), 'bf16': product(n, torch.bfloat16)}
            torch.cuda.empty_cache()
        except RuntimeError as error:
            figure = {'error': str(error).split('\n', maxsplit=1)[0]}
        print(json.dumps({'name': name, **figure}), flush=True)


class Torch:
    """That program, started beside ours; nothing is measured where PyTorch is not installed or sees no GPU."""

    def __init__(self, context, wanted):
        self.context, self.wanted, self.child, self.asked = context, wanted, None, []
        self.answers = queue.Queue()

    def __enter__(self):
        if self.wanted:
            with open(os.path.join(self.context.logs, 'torch.txt'), 'w', encoding='utf-8') as log:
                self.child = subprocess.Popen([sys.executable, os.path.abspath(__file__)], stdin=subprocess.PIPE,
                                              stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True)
            threading.Thread(target=self.read, daemon=True).start()
        return self

    def begin(self):
        """Waits until it is ready, or says why it is not."""
        first = self.answer(min(START, max(1, self.context.left() / 4)))
        if first is not None:
            self.context.rival = {**first, 'figures': []}
            return
        self.stop()
        with open(os.path.join(self.context.logs, 'torch.txt'), encoding='utf-8') as file:
            why = file.read().strip().split('\n')[-1]
        self.context.rival = {'missing': why or 'PyTorch did not start in time'}

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.child is not None:
            self.child.kill()
            self.child.wait()
            self.child = None

    def read(self):
        for line in self.child.stdout:
            self.answers.put(line)
        self.answers.put(None)

    def answer(self, limit):
        try:
            return json.loads(self.answers.get(timeout=limit))
        except (queue.Empty, TypeError, ValueError):
            return None

    def measure(self, name):
        """Measures `name` where it has a rival, before ours."""
        if (name == 'copy' or name.startswith('matmul-')) and self.ask(name):
            self.asked.append(name)

    def again(self):
        """All of it once more, after ours."""
        for name in self.asked:
            self.ask(name)

    def ask(self, name):
        if self.child is None or self.context.left() < ANSWER / 4:
            return False
        try:
            self.child.stdin.write(name + '\n')
            self.child.stdin.flush()
            figure = self.answer(min(ANSWER, self.context.left()))
        except OSError:
            figure = None
        self.context.rival['figures'].append(figure or {'name': name, 'error': 'no answer'})
        if figure is None:
            self.stop()
        return figure is not None


if __name__ == '__main__':
    serve()
