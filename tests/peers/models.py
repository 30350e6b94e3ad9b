#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""models.py BUILD [NAME…] [--random N] [--seed S] [--device ID]: the model families of Hugging Face in our hands, and ours in theirs.

Tiny models with random weights are written as transformers and PyTorch write them, and compared with what transformers makes of the
same directory, in f32 on both sides:
  load        switchyard-eval reads it without a warning of a missing or unused tensor
  logits      of a batch with padding; the largest error over the largest logit
  gradients   of every weight; the worst error over that weight's largest element
  generate    greedy and with three beams: the same ids
  round trip  switchyard-train takes a step that moves nothing and writes it; transformers loads that without a missing or unexpected
              tensor, its weights and logits equal to those before
Routing has its capacity on both sides: some rows drop tokens; but not in generation, where we drop none and transformers is told so.
--random adds N models of configs drawn from S, nobody's choice.
"""
import argparse
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from apps import Suite  # pylint: disable=wrong-import-position
from families import ROWS, Row, drawn  # pylint: disable=wrong-import-position


def main():
    parser = argparse.ArgumentParser(prog='dev peers models', description=__doc__.split(': ', 1)[1],
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('build', help=argparse.SUPPRESS)
    parser.add_argument('names', nargs='*', metavar='NAME', help='families with NAME in their name (default all)')
    parser.add_argument('--random', type=int, default=0, metavar='N', help='N configs more, drawn')
    parser.add_argument('--seed', type=int, default=0, metavar='S', help='what to draw them from (default 0)')
    parser.add_argument('--device', default='ref:0', metavar='ID', help='of ours (default ref:0)')
    options = parser.parse_args()
    import onemodel  # pylint: disable=import-outside-toplevel  # --help needs no PyTorch
    s = Suite(os.path.join(options.build, 'apps'))
    print(f'{onemodel.versions()}; errors relative to the largest element\n')
    print(f'{"family":<46}{"load":<6}{"logits":<9}{"gradients":<11}{"generate":<10}{"round trip":<11}\n{"-" * 93}')
    rows = [row for row in ROWS if not options.names or any(name.lower() in row.name.lower() for name in options.names)]
    rows += [Row(f'drawn {options.seed}.{i}', *drawn(random.Random(f'{options.seed}.{i}'))) for i in range(options.random)]
    for number, row in enumerate(rows):
        case = onemodel.Case(s, options.device, row, number)
        why = case.run()
        cells = case.cells + ['–'] * (5 - len(case.cells))
        print(f'{row.name:<46}{cells[0]:<6}{cells[1]:<9}{cells[2]:<11}{cells[3]:<10}{cells[4]:<11}{why}', flush=True)
        if why and row.name.startswith('drawn'):
            print(f'    {row}')
        s.passed, s.failed = s.passed + (not why), s.failed + bool(why)
    s.done()


if __name__ == '__main__':
    main()
