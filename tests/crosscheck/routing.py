# SPDX-License-Identifier: Apache-2.0
"""routing.py: who goes where (spec §4), one token at a time, in plain loops."""
import math
from types import SimpleNamespace

import numpy as np


def capacity(c, mode, nominal):
    factor = c.factor[mode]
    if factor is None:
        return nominal if c.expert_capacity is None else c.expert_capacity
    return nominal if factor == 0 else max(c.least, min(nominal, math.floor(nominal * factor / c.experts)))


def best_first(row):
    return sorted(range(len(row)), key=lambda e: (-row[e], e))


def choose(c, p, rows, alive, group, cap, nominal):
    """The decisions of one layer: p [tokens, E]; `rows` the classifier's weights; group[t] the token's group.
    Beside them the closest call: a probability gap as a multiple of what the golden cases allow (1e-3, later ranks 0.2 %)."""
    tokens, experts = p.shape
    groups, place = range(max(group) + 1), {'switch': 1, 'top2': 2, 'ntlb': 1, 'expert_choice': experts}[c.router]
    r = SimpleNamespace(closest=math.inf, first=np.zeros((tokens, experts)), chosen=np.zeros((tokens, experts)),
                        kept=np.zeros((tokens, experts)), capacity=cap, choice=np.full(tokens, -1),
                        expert=np.full((tokens, place), -1), position=np.full((tokens, place), -1),
                        keeps=np.zeros((tokens, place), int), load=np.zeros((len(groups), experts), int),
                        taken=np.full((len(groups), experts, min(cap, nominal)), -1))

    def call(t, a, b, relative):
        if not (rows[a] == rows[b]).all():  # equal rows are a tie on purpose
            r.closest = min(r.closest, (p[t, a] - p[t, b]) / (0.002 * p[t, a] if relative else 0.001))

    for g in groups:
        members = [t for t in range(tokens) if group[t] == g and alive[t]]
        used, order = [0] * experts, {t: best_first(p[t]) for t in members}
        for t in members:
            r.choice[t] = order[t][0]
            r.first[t, order[t][0]] = 1

        def ask(t, e, slot, position):
            r.expert[t, slot], r.position[t, slot], r.keeps[t, slot] = e, position, position < cap
            r.chosen[t, e], r.kept[t, e] = 1, position < cap

        if c.router == 'expert_choice':
            for e in range(experts):
                queue = sorted(members, key=lambda t: (-p[t, e], t))
                for a, b in zip(queue[:cap], queue[1:cap + 1]):
                    r.closest = min(r.closest, (p[a, e] - p[b, e]) / (0.002 * p[a, e]))
                for n, t in enumerate(queue[:cap]):
                    ask(t, e, e, n)
                    r.taken[g, e, n] = t
                r.load[g, e] = len(queue[:cap])
            continue
        ranks = {'switch': 1, 'top2': 2, 'ntlb': min(c.rounds, experts)}[c.router]
        for t in members:
            r.load[g, order[t][0]] += 1
            for n in range(min(ranks, experts - 1)):
                call(t, order[t][n], order[t][n + 1], c.router == 'ntlb' and n > 0)
        waiting = members
        for n in range(ranks):
            asked, left = list(used), []
            for t in waiting:
                e = order[t][n]
                if c.router != 'ntlb' or asked[e] < cap:
                    ask(t, e, n if c.router == 'top2' else 0, asked[e])
                else:
                    left.append(t)
                asked[e] += 1
            used = [min(a, cap) for a in asked]  # those dropped hold no slot against the next round
            waiting = members if c.router == 'top2' else left
    return r
