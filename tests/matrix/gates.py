# SPDX-License-Identifier: Apache-2.0
"""gates.py: what a compiled kernel must not do on any target, and the table of known exceptions.

Works on the normalised statistics of row.KERNEL_KEYS alone, so every compiler's row is judged by the same lines. A statistic
that a compiler does not give is not judged; the cell's note names it. exceptions.tsv holds one exception a line: patterns
of the row's name and of the kernel's (`matmul.F`), the gate, the reason. One that excuses nothing fails as stale.
"""
import dataclasses
import fnmatch
import os

from row import Cell, kernel_name

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'exceptions.tsv')
# Prepares inputs for variants that no GPU runs, so there it only has to compile.
CPU_ONLY = ('pack_b',)
HOT = ('matmul', 'matmul_dw')  # the ops whose kernels must be mostly multiply-adds
FMA_SHARE = 0.85
FMA_FLOOR = 0.5  # below this nothing is excused
MATRIX_CORES = ('mma', 'cores', 'coop')  # variants whose multiply-adds are a matrix core's, each worth many instructions' time
MATRIX_SHARE = 0.25


@dataclasses.dataclass
class Gate:
    """A rule over one statistic: `fails(value, limits)` is None when the target's limit is not known."""
    name: str     # as in exceptions.tsv
    key: str      # of KERNEL_KEYS
    says: str     # how a failure reads; {value} and the limits by name
    fails: callable
    needs: str = ''  # key of `limits`
    only: tuple = ()      # ops; () is all
    matrix_cores: object = None  # True: variants of MATRIX_CORES alone; False: the others; None: all


GATES = (
    Gate('spills', 'spills', '{value:g} registers spilled', lambda value, limits: value > 0),
    Gate('scratch', 'scratch_bytes', '{value:g} bytes of scratch memory for each lane', lambda value, limits: value > 0),
    Gate('shared', 'shared_bytes', '{value:g} bytes of shared memory, the device has {shared_bytes:g}',
         lambda value, limits: value > limits['shared_bytes'], needs='shared_bytes'),
    Gate('wg', 'wg', '{value:g} items in a work-group, the device takes {max_wg:g}',
         lambda value, limits: value > limits['max_wg'], needs='max_wg'),
    Gate('fma', 'fma_share', 'only {value:.0%} of the hottest loop are multiply-adds',
         lambda value, limits: value < FMA_SHARE, only=HOT, matrix_cores=False),
    Gate('floor', 'fma_share', 'only {value:.0%} of the hottest loop are multiply-adds, whatever excuses less than 85 %',
         lambda value, limits: value < FMA_FLOOR, only=HOT, matrix_cores=False),
    Gate('mma', 'fma_share', 'only {value:.0%} of the hottest loop are matrix products',
         lambda value, limits: value < MATRIX_SHARE, only=HOT, matrix_cores=True),
    Gate('scalar', 'scalar_loads', '{value:g} loads of single values between matrix products',
         lambda value, limits: value > 0, only=HOT, matrix_cores=True),
)


@dataclasses.dataclass
class Exempt:
    target: str
    kernel: str
    gate: str
    reason: str
    line: int
    used: int = 0


def load(path=TABLE):
    """The exceptions. Raises ValueError naming the line."""
    table, names = [], [gate.name for gate in GATES]
    with open(path, encoding='utf-8') as file:
        for number, text in enumerate(file, 1):
            if not text.strip() or text.startswith('#'):
                continue
            parts = text.rstrip('\n').split('\t')
            if len(parts) != 4 or not all(part.strip() for part in parts):
                raise ValueError(f'exceptions.tsv:{number}: expected target, kernel, gate and reason between tabs')
            if parts[2] not in names:
                raise ValueError(f'exceptions.tsv:{number}: no gate is called {parts[2]!r}; there are {", ".join(names)}')
            table.append(Exempt(*parts, number))
    return table


def orphans(row_names, path=TABLE):
    """Lines that name exceptions for targets which are not rows of the matrix (any more)."""
    return [f'exceptions.tsv:{e.line}: stale exception: no row is called {e.target}' for e in load(path)
            if not fnmatch.filter(row_names, e.target)]


def judge(row_name, kernels, limits, path=TABLE):
    """The 'gates' Cell of one row. `limits`: shared_bytes and max_wg of the target, as far as they are known."""
    cell, unknown, judged = Cell(), set(), {}
    exempt = [e for e in load(path) if fnmatch.fnmatchcase(row_name, e.target)]
    for kernel in kernels:
        if kernel['op'] in CPU_ONLY or 'error' in kernel:
            continue
        name = kernel_name(kernel)
        for gate in GATES:
            if gate.only and kernel['op'] not in gate.only:
                continue
            if gate.matrix_cores not in (None, kernel['variant'] in MATRIX_CORES):
                continue
            if kernel.get(gate.key) is None or (gate.needs and limits.get(gate.needs) is None):
                unknown.add(gate.name)
                continue
            judged[gate.name] = True
            if not gate.fails(kernel[gate.key], limits):
                cell.ok(True)
                continue
            says = f'{name}: ' + gate.says.format(value=kernel[gate.key], **limits)
            excuses = [e for e in exempt if e.gate == gate.name and fnmatch.fnmatchcase(name, e.kernel)]
            for excuse in excuses:
                excuse.used += 1
            if excuses:
                cell.skipped += 1
                cell.details.append(f'exception: {says} ({excuses[0].reason})')
            else:
                cell.ok(False, f'{row_name}: {says}')
    for e in exempt:
        if not e.used:
            cell.ok(False, f'exceptions.tsv:{e.line}: stale exception: {e.gate} no longer fails for {e.kernel} on {row_name}')
    shares = [f'{kernel_name(k)} {k["fma_share"]:.0%}' for k in kernels
              if k['op'] in HOT and k.get('fma_share') is not None]
    silent = sorted(unknown - set(judged))
    partly = sorted(unknown & set(judged))
    notes = ['multiply-adds ' + ', '.join(shares)] if shares else []
    notes += ['not reported: ' + ', '.join(silent)] if silent else []
    notes += ['reported for some kernels only: ' + ', '.join(partly)] if partly else []
    cell.note = '; '.join(notes)
    return cell
