# SPDX-License-Identifier: Apache-2.0
"""contest.py: rivals in turns, their medians and ratios, and the table of them."""
import dataclasses
import statistics
import typing

from ours import busy


@dataclasses.dataclass
class Entrant:
    name: str
    seconds: typing.Callable[[], float]
    ours: bool
    judged: bool = True  # False: told, but no must depends on it


@dataclasses.dataclass
class Row:
    number: str           # of the table
    measure: str
    rate: tuple = None    # (work a second is told in this unit, how much of it one go is)
    must: float = None
    aim: float = None
    times: dict = dataclasses.field(default_factory=dict)
    entrants: list = dataclasses.field(default_factory=list)
    others: float = 0.0
    note: str = ''
    value: float = None   # instead of a ratio of times

    def run(self, entrants, turns):
        """Each once to warm up, then all in turns."""
        self.entrants, self.others = entrants, busy()
        self.times = {e.name: [] for e in entrants}
        for turn in range(turns + 1):
            for e in entrants:
                seconds = e.seconds()
                if turn:
                    self.times[e.name].append(seconds)

    def median(self, entrant):
        return statistics.median(self.times[entrant.name])

    def best(self, ours):
        """The fastest of our ways, or of theirs."""
        return min((e for e in self.entrants if e.ours == ours and e.judged), key=self.median, default=None)

    def ratio(self):
        """Above 1: ours is the faster."""
        if self.value is not None or not self.entrants:
            return self.value
        return self.median(self.best(False)) / self.median(self.best(True))

    def turns(self):
        """The ratio of each turn, least and most."""
        if not self.entrants:
            return None
        each = [b / a for a, b in zip(self.times[self.best(True).name], self.times[self.best(False).name])]
        return min(each), max(each)

    def verdict(self):
        ratio = self.ratio()
        if ratio is None:
            return 'not measured'
        if self.must is None:
            return ''
        return 'aim reached' if ratio >= self.aim else 'must reached' if ratio >= self.must else 'missed'

    def figure(self, entrant):
        seconds = self.median(entrant)
        text = f'{seconds * 1e3:.3g} ms' if seconds < 1 else f'{seconds:.3g} s'
        return text + (f', {self.rate[1] / seconds:,.0f} {self.rate[0]}' if self.rate else '')

    def print(self):
        print(f'\n{self.number}: {self.measure}')
        if self.entrants:
            print(f'    (others kept {100 * self.others:.0f} % of the processors busy before it)')
        for e in self.entrants:
            times = self.times[e.name]
            print(f'    {e.name:<42} {self.figure(e)}  ({min(times) * 1e3:.4g} to {max(times) * 1e3:.4g} ms)')
        ratio, turns = self.ratio(), self.turns()
        if ratio is not None:
            print(f'    ratio {ratio:.2f}' + (f' (turn by turn {turns[0]:.2f} to {turns[1]:.2f})' if turns else '')
                  + (f'; must {self.must}, aim {self.aim}: {self.verdict()}' if self.must else ''))
        if self.note:
            print(f'    {self.note}', flush=True)

    def table_line(self):
        def side(ours):
            return '; '.join(f'{e.name}: {self.figure(e)}' for e in self.entrants if e.ours == ours) or '–'
        ratio, turns = self.ratio(), self.turns()
        cells = [self.number, self.measure + (f' ({self.note})' if self.note else ''), side(True), side(False),
                 '–' if ratio is None else f'{ratio:.2f}' + (f' ({turns[0]:.2f}–{turns[1]:.2f})' if turns else ''),
                 '–' if self.must is None else f'{self.must} / {self.aim}', self.verdict()]
        return '| ' + ' | '.join(cells) + ' |'

    def json(self):
        return {'row': self.number, 'measure': self.measure, 'times': self.times, 'ratio': self.ratio(), 'must': self.must,
                'aim': self.aim, 'others_busy': self.others, 'note': self.note}


HEAD = '| # | measure | ours | theirs | ratio | must / aim | |\n|---|---|---|---|---|---|---|'
