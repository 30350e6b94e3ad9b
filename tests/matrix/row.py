# SPDX-License-Identifier: Apache-2.0
"""row.py: what every row of the portability matrix is: a name, what it stands for, and a way to run it.

A row runs its suites and gives back an Outcome: one Cell per suite, the driver's version, and for compilers one dict of
statistics per kernel. A row that cannot be set up raises Unavailable with the reason; that is a SKIP, never silence.
"""
import dataclasses
import os
import re
import runpy

SUMMARY = re.compile(r'^(\d+) passed, (\d+) failed, (\d+) skipped$', re.M)


class Unavailable(Exception):
    """The row cannot be set up here; the text says why and what would help."""


@dataclasses.dataclass
class Cell:
    """What one suite of one row did. `details` are lines that name each failure (and each exception used)."""
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    note: str = ''
    details: list = dataclasses.field(default_factory=list)
    seconds: float = 0.0

    def ok(self, good, detail=''):
        """Counts one check; a failing one is named by `detail`."""
        self.passed, self.failed = self.passed + bool(good), self.failed + (not good)
        if not good:
            self.details.append(detail)
        return good

    def add(self, other, name):
        """Takes another run of the same suite into this cell; its failures are marked with `name`."""
        self.passed, self.failed = self.passed + other.passed, self.failed + other.failed
        self.skipped, self.seconds = self.skipped + other.skipped, self.seconds + other.seconds
        self.details += [f'{name}: {detail}' for detail in other.details]

    @property
    def verdict(self):
        return 'FAIL' if self.failed else 'pass' if self.passed else 'SKIP'


@dataclasses.dataclass
class Outcome:
    version: str = ''
    cells: dict = dataclasses.field(default_factory=dict)    # suite name → Cell
    kernels: list = dataclasses.field(default_factory=list)  # compilers: one dict per kernel, see KERNEL_KEYS
    reason: str = ''                                         # why the whole row was skipped
    seconds: float = 0.0                                     # how long it took


# Keys of one kernel's statistics. A compiler that does not say leaves a key out; it is never guessed.
KERNEL_KEYS = {
    'op': 'name in engine/ops.def', 'variant': 'name in engine/variants.def, or base', 'source': 'name of its files',
    'types': 'F, B or M', 'wg': 'work-group size', 'vec': 'vector width',
    'registers': 'vector registers of one lane or thread', 'scalar_registers': 'shared by a wave',
    'spills': 'registers spilled', 'scratch_bytes': 'private memory of one lane', 'shared_bytes': 'of one work-group',
    'occupancy': 'waves per SIMD or warps per SM', 'instructions': 'machine instructions', 'code_bytes': 'machine code',
    'subgroup': 'lanes of a wave', 'latency': 'cycles', 'inverse_throughput': 'cycles',
    'fma_share': 'share of multiply-adds (or matrix products) in the hottest loop', 'loop_instructions': 'instructions of that loop',
    'scalar_loads': 'loads of one value a lane in that loop',
}


def kernel_name(kernel):
    """'relu.F', 'matmul_packed.B'"""
    return f'{kernel["source"]}.{kernel["types"]}'


def not_compiled(source, device, language):
    """{'matmul:packed.F': reason}: kernels of the registry in `language` (cl or comp) that a device of switchyard-devices --json
    --kernels did not compile; the reason is the device's, or '' where it gave none."""
    embed = runpy.run_path(os.path.join(source, 'kernels', 'embed.py'))
    defs = [os.path.join(source, 'engine', name) for name in ('ops.def', 'variants.def')]
    seen = {(k['op'], k['variant'], k['types']) for k in device['kernels']}
    told = lambda op, types: (lambda wide: wide if types == 'F' else wide.get('bf16', wide))(device['ops'].get(op, {}))
    return {f'{v.op}:{v.name}.{types}': told(v.op, types).get('not', {}).get(v.name, '')
            for v in embed['parse_variants'](defs[1], embed['parse_ops'](defs[0])) if language in v.languages
            for types in v.types if (v.op, v.name, types) not in seen}


@dataclasses.dataclass
class Row:
    """One line of the matrix. `run(context)` gives an Outcome; `needs_root`: runs inside the Debian-testing root."""
    name: str          # 'radv-navi31': what `./dev matrix NAME` takes
    kind: str          # 'executes' or 'compiles'
    what: str          # 'AMD Radeon RX 7900 (RDNA 3) by RADV'
    run: callable
    needs_root: bool = False


def from_summary(output, code, seconds=0.0):
    """The Cell of a test program that ends with `N passed, N failed, N skipped`; without that line it has failed."""
    found = SUMMARY.findall(output)
    cell = Cell(seconds=seconds)
    if found:
        cell.passed, cell.failed, cell.skipped = map(int, found[-1])
    if not found or (code != 0 and cell.failed == 0) or cell.passed + cell.failed + cell.skipped == 0:
        cell.failed += 1
    if cell.failed:
        cell.details = [line for line in output.split('\n') if 'FAIL' in line or line.startswith('not ok')][:20]
        cell.details = cell.details or output.rstrip().split('\n')[-8:]
    return cell
