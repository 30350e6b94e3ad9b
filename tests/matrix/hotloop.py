# SPDX-License-Identifier: Apache-2.0
"""hotloop.py: finds the hottest loop in a kernel's assembly and the share of multiply-adds in it.

The hottest loop is the innermost one with the most multiply-adds. Every instruction of it counts: address arithmetic, waits
and hints, and paths for ragged edges, too. Where no innermost loop has any (a matrix core's products may stand beside loops that
copy their factors), it is the loop with the most outside the loops within it, from the first product to the last.
"""
import dataclasses
import re


@dataclasses.dataclass
class Isa:
    """How an assembly text reads; patterns match at the beginning of what they look at."""
    start: str         # the line before the code; the last such line counts. '': code starts where addresses are 0
    line: str          # an instruction; group 'op' is its mnemonic and operands, 'when' a predicate, 'at' its address
    branch: str        # on 'op': captures a label, or the distance in bytes
    always: str        # on 'op': what follows is not reached from here
    fma: str           # on 'op': each match is a multiply-add of one lane
    label: str = ''    # captures its name; without it, branches hold distances and lines have an 'at'
    two: str = r'$^'   # on 'op': an instruction that is two operations
    again: str = ''    # searched in 'op': captures how many times more the instruction issues
    scalar: str = ''   # on 'op': loads one value of at most 4 bytes for each lane


AMD = Isa(start=r'--- .*: Assembly ---', line=r'\t(?P<op>[a-z]\w+.*?)(?: *;.*)?$', label=r'(BB\d+):',
          branch=r's_c?branch\S* +(BB\d+)', always=r's_branch|s_endpgm', two=r'v_dual_|v_pk_(?:fma|mul|add)_f32',
          fma=r'\bv_(?:dual_)?(?:fma|fmac|mac|mad)[a-z]*_(?:legacy_)?f32|\bv_pk_(?=fma_f32)|(?<=v_pk_)fma_f32|v_(?:wmma|mfma)_f32',
          scalar=r'(?:ds_(?:read|load)|(?:global|buffer|flat|scratch)_load)_'
                 r'(?:[us]?byte|[us]?short|dword|[usi]8|[usb]16|b32)(?:_d16\w*)?\b')
NVIDIA = Isa(start=r'--- .*: NAK assembly ---', line=r'(?P<when>@\S+)? +(?P<op>\S.*?)(?: *//.*)?$',
             label=r'block\S* \d+ (L\d+)', branch=r'bra\b.*\b(L\d+)', always=r'bra pT|exit', fma=r'.*= ffma\b')
IR3 = Isa(start=r'--- .*: IR3 Assembly ---', line=r'(?P<op>(?:\(\w+\))*[a-z][\w.]*(?: .*)?)$', label=r'(?::?l)(\d+):',
          branch=r'(?:\(\w+\))*(?:br\w*|jump|ball|bany|getone\w*)\b.*#l(\d+)', always=r'(?:\(\w+\))*(?:jump|end)\b',
          fma=r'(?:\(\w+\))*mad\.f(?:32|16)', again=r'\(rpt(\d)\)')
AGX = Isa(start='', line=r' *(?P<at>[0-9a-f]+): [0-9a-f]+ +(?P<op>[a-z]\w*.*)$',
          branch=r'jmp_\w+ +(-?\d+)', always=r'stop', fma=r'ffma')


def parse(text, isa):
    """[(op, target index or None, falls through)], in order."""
    lines = text.split('\n')
    start = max((i for i, line in enumerate(lines) if re.match(isa.start, line)), default=-1) if isa.start else -1
    found, labels, places = [], {}, {}
    for line in lines[start + 1:]:
        if isa.label and (label := re.match(isa.label, line)):
            labels[label[1]] = len(found)
        elif match := re.match(isa.line, line):
            if not isa.label:
                places[int(match['at'], 16)] = len(found)
            found.append(match)
    ops = []
    for match in found:
        to, groups = re.match(isa.branch, match['op']), match.groupdict()
        target = None
        if to:
            target = labels.get(to[1]) if isa.label else places.get(int(match['at'], 16) + int(to[1]))
        ops.append((match['op'], target, bool(groups.get('when')) or not re.match(isa.always, match['op'])))
    return ops


def loops(ops):
    """(first, body) of every loop: the instructions after a backward branch's target from which that branch is reached."""
    before = [[] for _ in range(len(ops) + 1)]
    for i, (_, target, falls) in enumerate(ops):
        if falls:
            before[i + 1].append(i)
        if target is not None and target < len(ops):
            before[target].append(i)
    for i, (_, target, _) in enumerate(ops):
        if target is None or target > i:
            continue
        body, todo = {target, i}, [i] if i != target else []
        while todo:
            for b in before[todo.pop()]:
                if b > target and b not in body:
                    body.add(b)
                    todo.append(b)
        yield target, body


def hottest(ops, isa):
    """(instructions, multiply-adds, body) of the hottest loop, or None."""
    inner, outer = [], []
    found = list(loops(ops))
    for first, body in found:
        within = [other for start, other in found if start != first and start in body]
        own = sorted(body.difference(*within))
        if within:  # from product to product: what surrounds them copies
            products = [i for i in own if re.search(isa.fma, ops[i][0])]
            own = [i for i in own if products and products[0] <= i <= products[-1]]
        count = fma = 0
        for i in own:
            again = re.search(isa.again, ops[i][0]) if isa.again else None
            times = 1 + (int(again[1]) if again else 0)
            count += times * (2 if re.match(isa.two, ops[i][0]) else 1)
            fma += times * len(re.findall(isa.fma, ops[i][0]))
        if fma:
            (outer if within else inner).append((fma, count, own))
    return max(inner or outer, default=None)


def measure(text, isa):
    """{'fma_share', 'loop_instructions', 'scalar_loads'}, or {} when no loop has a multiply-add."""
    ops = parse(text, isa)
    best = hottest(ops, isa)
    if not best:
        return {}
    fma, count, body = best
    scalar = {'scalar_loads': sum(bool(re.match(isa.scalar, ops[i][0])) for i in body)} if isa.scalar else {}
    return {'fma_share': fma / count, 'loop_instructions': count, **scalar}
