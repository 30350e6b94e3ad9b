# SPDX-License-Identifier: Apache-2.0
"""report.py: the matrix as lines while it runs, as a table, as JSON and as docs/portability.md."""
import dataclasses
import datetime
import json
import os

from row import kernel_name

NOTES = '''
## How to read it

`./dev matrix` wrote this page and `runs/matrix/matrix.json` (every number, every kernel). A cell gives the checks that passed,
or what failed; SKIP has its reason below the table. `./dev matrix NAME` runs one row again, `./dev matrix --list` lists them.

- **ops**: every op, element type and case of `tests/ops/`, against the C reference. **golden**: whole models against vectors of
  an independent implementation. **pieces**: models on a device that binds a few kilobytes at once, to the bits of the same device
  without that limit. **train**: a small Switch model trained for a few steps; its losses must be those of `ref`.
- **compile**: every variant that the GPU could run, through its real compiler (Mesa's drivers run on faked kernel devices,
  nothing executes). **gates**: no spills, no scratch memory, shared memory and work-group size within the target's limits, matmul's
  hottest loop at least 85 % multiply-adds (matrix cores': a quarter products, no loads of single values between them).
  **host**: the engine opens the faked device, plans and records a training step under the validation layers.
- Exceptions from the gates are rows of `tests/matrix/exceptions.tsv`, each with its reason; one that is no longer needed fails.
- None of this ran on a GPU. It shows that the sources are accepted, fit, and compute the right thing on other compilers.
'''


def line(row, outcome):
    """One row's result while the matrix runs; failures follow, indented."""
    cells = '  '.join(f'{name} {short(cell)}' for name, cell in outcome.cells.items())
    text = f'{row.name:<18} {cells}  ({outcome.seconds:.0f} s)'
    for name, cell in outcome.cells.items():
        text += ''.join(f'\n    {name}: {detail}' for detail in cell.details)
        if cell.verdict == 'SKIP':
            text += f'\n    {name}: SKIP {cell.note}'
    return text


def short(cell):
    if cell.verdict == 'SKIP':
        return 'SKIP'
    if cell.failed:
        return f'FAIL {cell.failed} of {cell.passed + cell.failed}'
    return f'{cell.passed}' + (f' ({cell.skipped} skipped)' if cell.skipped else '')


class Report:
    def __init__(self, results, seconds):
        self.results, self.seconds = results, seconds
        self.date = datetime.date.today().isoformat()

    def totals(self):
        cells = [cell for _, outcome in self.results for cell in outcome.cells.values()]
        return tuple(sum(getattr(cell, key) for cell in cells) for key in ('passed', 'failed', 'skipped'))

    def green(self, kind):
        """How many rows of a kind ran and have no failure."""
        return sum(1 for row, outcome in self.results if row.kind == kind and not outcome.reason and
                   not any(cell.failed for cell in outcome.cells.values()))

    # --- tables ---

    def columns(self, kind):
        names = []
        for row, outcome in self.results:
            if row.kind == kind:
                names += [name for name in outcome.cells if name not in names and name != 'setup']
        return names

    def cells_of(self, outcome, columns):
        if outcome.reason:
            return ['SKIP'] + [''] * (len(columns) - 1)
        return [short(outcome.cells[name]) + (f', {outcome.cells[name].note}' if outcome.cells[name].note else '')
                if name in outcome.cells else '' for name in columns]

    def table(self, kind):
        """Lists of strings, the first the heading."""
        columns = self.columns(kind)
        head = ['row', 'what', *columns] + (['matmul'] if kind == 'compiles' else []) + ['version']
        lines = [head]
        for row, outcome in self.results:
            if row.kind == kind:
                extra = [share(outcome.kernels)] if kind == 'compiles' else []
                lines.append([row.name, row.what, *self.cells_of(outcome, columns), *extra, outcome.version])
        return lines

    def text(self):
        parts = []
        for kind in ('executes', 'compiles'):
            lines = [cells[:1] + cells[2:] for cells in self.table(kind)]
            if len(lines) > 1:
                widths = [min(44, max(len(cells[i]) for cells in lines)) for i in range(len(lines[0]))]
                parts += ['  '.join(cell[:44].ljust(width) for cell, width in zip(cells, widths)).rstrip() for cells in lines]
                parts.append('')
        parts.append(f"{self.green('executes')} executing rows and {self.green('compiles')} compiled targets are green; "
                     f'{self.seconds // 60:.0f} min {self.seconds % 60:.0f} s')
        return '\n'.join(parts)

    # --- files ---

    def write_json(self, path):
        rows = [{'name': row.name, 'kind': row.kind, 'what': row.what, **dataclasses.asdict(outcome)} for row, outcome in self.results]
        with open(path + '.tmp', 'w', encoding='utf-8') as file:
            json.dump({'date': self.date, 'seconds': round(self.seconds), 'totals': self.totals(), 'rows': rows}, file, indent=1)
        os.replace(path + '.tmp', path)

    def write_markdown(self, path):
        passed, failed, skipped = self.totals()
        out = ['# The portability matrix', '',
               f'{self.date}, on a machine without a GPU: {passed} passed, {failed} failed, {skipped} skipped, in '
               f'{self.seconds // 60:.0f} minutes. {self.green("executes")} executing implementations and '
               f'{self.green("compiles")} compiled targets are green.']
        for kind, heading in (('executes', 'Implementations that run here'), ('compiles', 'GPUs that compile here')):
            out += ['', f'## {heading}', '']
            for i, cells in enumerate(self.table(kind)):
                out.append('| ' + ' | '.join(cell.replace('|', '/') for cell in cells) + ' |')
                if i == 0:
                    out.append('|' + '---|' * len(cells))
        trouble = [f'- **{row.name}**, {name}: {text}' for row, outcome in self.results for name, cell in outcome.cells.items()
                   for text in (cell.details + ([cell.note] if cell.verdict == 'SKIP' else []))]
        if trouble:
            out += ['', '## Skipped, failed, excepted', ''] + trouble
        out += self.kernels()
        with open(path + '.tmp', 'w', encoding='utf-8') as file:
            file.write('\n'.join(out) + '\n' + NOTES)
        os.replace(path + '.tmp', path)

    def kernels(self):
        """The heaviest kernels on each target: what their compilers say."""
        keys = [('registers', 'registers'), ('spills', 'spills'), ('scratch_bytes', 'scratch, bytes'),
                ('shared_bytes', 'shared, bytes'), ('occupancy', 'waves'), ('instructions', 'instructions'),
                ('inverse_throughput', 'inverse throughput'), ('fma_share', 'multiply-adds')]
        out = ['', '## What the compilers say', '', 'The kernels that take most of a step; all others are in `matrix.json`.', '',
               '| target | kernel | ' + ' | '.join(title for _, title in keys) + ' |', '|' + '---|' * (len(keys) + 2)]
        for row, outcome in self.results:
            for kernel in outcome.kernels:
                if kernel['op'] in ('matmul', 'matmul_dw', 'attention') and kernel['types'] == 'F':
                    cells = [number(kernel.get(key), key) for key, _ in keys]
                    out.append(f"| {row.name} | {kernel_name(kernel)} | " + ' | '.join(cells) + ' |')
        return out if len(out) > 7 else []


def number(value, key):
    if value is None:
        return ''
    return f'{100 * value:.0f} %' if key == 'fma_share' else f'{value:g}'


def share(kernels):
    """The multiply-add share of matmul's hottest loop, f32 and bf16."""
    found = [f"{k['types']} {100 * k['fma_share']:.0f} %" for k in kernels if k['source'] == 'matmul' and k.get('fma_share')]
    return ', '.join(found)
