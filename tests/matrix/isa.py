# SPDX-License-Identifier: Apache-2.0
"""isa.py: reads what the OpenCL compilers leave behind: assembly texts, Intel's binaries, ptxas's and Mesa's reports.

Each function gives a part of row.KERNEL_KEYS. What a compiler does not say is left out.
"""
import dataclasses
import re
import struct

import hotloop

# How the assembly texts read, for hotloop.py.
AMD_MESA = dataclasses.replace(hotloop.AMD, start=r'Shader main disassembly:')
AMD_CLANG = dataclasses.replace(hotloop.AMD, start='', label=r'(\.LBB\d+_\d+):', branch=r's_c?branch\S* +(\.LBB\d+_\d+)')
NVIDIA = hotloop.Isa(
    start='', line=r'\s+/\*[0-9a-f]{4,}\*/\s+(?P<when>@!?U?P\w+)?\s*(?P<op>[A-Z].*?);', label=r'(\.L_x_\d+):',
    branch=r'BRA\b.*`\((\.L_x_\d+)\)', always=r'BRA(?:\.\w+)* `|EXIT|RET', fma=r'(?:FFMA|HMMA)\b',
    scalar=r'LD[GS]?\b(?!\S* RZ)(?!\S*\.(?:64|128)\b)')
# `goto` names where the lanes meet again and where the branching ones continue; `join` is where, not a branch.
INTEL = hotloop.Isa(
    start='', line=r'(?:\(W\))?(?P<when>\((?:W&)?~?f\d\S*\))?\s*(?P<op>[a-z]\w*(?:\.\w+)*\s.*)$', label=r'(L\d+):',
    branch=r'(?:jmpi|goto|while|brd)\b.*\b(L\d+)\b', always=r'jmpi\b', fma=r'dpas|mad\S* \(\d+\|M\d+\)\s+(?:\(\w+\)\S*\s+)?\S+:f\b',
    scalar=r'send.*\bload\.\w+\.d(?:8|16|32)(?:u32)?\.')


def assembly(text, isa):
    """Instruction count and, where a loop has multiply-adds, those of the hottest one."""
    return {'instructions': len(hotloop.parse(text, isa)), **hotloop.measure(text, isa)}


def elf_sections(data):
    """{name: bytes} of a 64-bit little-endian ELF file."""
    if data[:6] != b'\x7fELF\x02\x01':
        raise ValueError('not a 64-bit ELF file')
    offset, = struct.unpack_from('<Q', data, 40)
    count, names = struct.unpack_from('<HH', data, 60)
    headers = [struct.unpack_from('<IIQQQQ', data, offset + 64 * i) for i in range(count)]
    sections = {}
    for name, kind, _, _, start, size in headers:
        at = headers[names][4] + name
        sections[data[at:data.index(b'\0', at)].decode()] = b'' if kind == 8 else data[start:start + size]
    return sections


# ---- Intel -----------------------------------------------------------------------------------------------------------

def zebin(data, kernel, register_bytes):
    """Statistics of ocloc's binary. Its .ze_info is YAML, of which a few numbers are wanted. A hardware thread has
    grf_count registers for all its lanes."""
    sections = elf_sections(data)
    info = sections['.ze_info'].decode()
    number = lambda key: int((re.search(rf'^ +{key}: +(\d+)', info, re.M) or ('', '0'))[1])
    lanes = number('simd_size')
    return {'registers': number('grf_count'), 'spills': -(-number('spill_size') // register_bytes),
            'scratch_bytes': (number('spill_size') + number('private_size')) / lanes,
            'shared_bytes': number('slm_size'), 'occupancy': number('eu_thread_count'), 'subgroup': lanes,
            'code_bytes': len(sections['.text.' + kernel])}


# ---- NVIDIA ----------------------------------------------------------------------------------------------------------

PTXAS = re.compile(r"Function properties for (\w+)\n\s+(\d+) bytes stack frame, (\d+) bytes spill stores, \d+ bytes spill "
                   r"loads\n.*?Used (\d+) registers(.*)")


def ptxas(log, cubin, kernel):
    """Statistics of `ptxas -v`. clang 21 puts an OpenCL kernel's code into a function of its own, which on this target is an
    entry as well and is not called by the empty one that bears the kernel's name."""
    found = {match[1]: match for match in PTXAS.finditer(log)}
    name = '__clang_ocl_kern_imp_' + kernel
    name = name if name in found else kernel
    _, frame, spilled, registers, rest = found[name].groups()
    shared = re.search(r'(\d+) bytes smem', rest)
    return name, {'registers': int(registers), 'spills': int(spilled) // 4, 'scratch_bytes': int(frame),
                  'shared_bytes': int(shared[1]) if shared else 0, 'code_bytes': len(elf_sections(cubin)['.text.' + name])}


def sass(text, function):
    """The part of nvdisasm's text that is this function."""
    return text.split(f'\n.text.{function}:', 1)[1].split('\n//----', 1)[0]


# ---- AMD -------------------------------------------------------------------------------------------------------------

AMDGCN = {'registers': '.vgpr_count', 'scalar_registers': '.sgpr_count', 'scratch_bytes': '.private_segment_fixed_size',
          'shared_bytes': '.group_segment_fixed_size', 'subgroup': '.wavefront_size'}


def amdgcn(text, kernel):
    """Statistics of clang's assembly for one kernel: its metadata, its comments, its code."""
    metadata = text.split('\namdhsa.kernels:', 1)[1]
    number = lambda key: int(re.search(rf'{re.escape(key)}: +(\d+)', metadata)[1])
    code, rest = text.split(f'\n{kernel}:', 1)[1].split('\n.Lfunc_end', 1)
    result = {key: number(label) for key, label in AMDGCN.items()}
    result['spills'] = number('.vgpr_spill_count') + number('.sgpr_spill_count')
    result['code_bytes'] = int(re.search(r'; codeLenInByte = (\d+)', rest)[1])
    result['occupancy'] = int(re.search(r'; Occupancy: (\d+)', rest)[1])
    return {**result, **assembly(code, AMD_CLANG)}


def radeonsi(text):
    """Statistics of Mesa's report on one kernel (AMD_DEBUG=cs,asm,stats), or {}. Scratch is that of a wave."""
    lines = re.findall(r'^Shader Stats: (.*) \(CS, W(\d+)\)$', text, re.M)
    if len(lines) != 1:
        return {}
    facts = {key: int(value) for key, value in re.findall(r'([A-Z][\w ]*?): (\d+)', lines[0][0])}
    lanes = int(lines[0][1])
    return {'registers': facts['VGPRS'], 'scalar_registers': facts['SGPRS'],
            'spills': facts['Spilled SGPRs'] + facts['Spilled VGPRs'], 'scratch_bytes': facts['Scratch'] / lanes,
            'shared_bytes': facts['LDS'], 'occupancy': facts['Max Waves'], 'code_bytes': facts['Code Size'],
            'subgroup': lanes, **assembly(text, AMD_MESA)}
