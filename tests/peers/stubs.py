#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""stubs.py TORCH_DIR: lets PyTorch's Linux wheel be imported without the gigabytes of CUDA libraries that it links.

The registry's x86-64 wheel is the CUDA one. Its CPU part needs none of CUDA, but the loader wants every library by its name
and every symbol by its address. So each missing library is made here, of
functions that answer "no device", which is what PyTorch hears from CUDA on a machine without a GPU.
"""
import glob
import os
import subprocess
import sys
import tempfile

# Whatever else a library of the wheel names is CUDA's, even where this machine happens to have it.
SYSTEM = ('ld-linux', 'libc.so', 'libdl.so', 'libgcc_s.so', 'libm.so', 'libpthread.so', 'librt.so', 'libstdc++.so', 'libz.so',
          'libgomp.so', 'libquadmath.so')
NO_DEVICE = 100 # cudaErrorNoDevice and CUDA_ERROR_NO_DEVICE


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def symbols(library, which):
    """{(name, version)}, with an empty version where there is none."""
    return {tuple(line.split()[-1].replace('@@', '@').partition('@')[::2]) for line in output('nm', '-D', which, library)}


def versions(library):
    """{version: library that it is expected in}."""
    found, file = {}, None
    for line in output('readelf', '-V', '-W', library):
        words = line.split()
        if 'File:' in words:
            file = words[words.index('File:') + 1]
        elif file and 'Name:' in words and 'Flags:' in words:
            found[words[words.index('Name:') + 1]] = file
    return found


def build(path, wanted):
    """A library that has the (name, version) of `wanted`; a message would be read through the pointer that a function gives."""
    text, script = '.data\nmessage: .asciz "no CUDA here"\n.text\n', ''
    for name, _ in sorted(wanted):
        answer = 'lea message(%rip), %rax' if 'String' in name or 'Name' in name else f'mov ${NO_DEVICE}, %eax'
        text += f'.globl "{name}"\n.type "{name}", @function\n"{name}": {answer}\nret\n'
    for version in sorted({version for _, version in wanted if version}):
        script += version + ' { global: ' + ''.join(f'"{n}"; ' for n, v in sorted(wanted) if v == version) + '};\n'
    with tempfile.NamedTemporaryFile('w', suffix='.map') as file:
        file.write(script)
        file.flush()
        subprocess.run(['cc', '-shared', '-nostdlib', '-x', 'assembler', '-', '-Wl,-soname,' + os.path.basename(path), '-o', path]
                       + ['-Wl,--version-script,' + file.name] * bool(script),
                       input=text + '.section .note.GNU-stack,"",@progbits\n', text=True, check=True)


def main():
    folder = os.path.join(sys.argv[1], 'lib')
    libraries = glob.glob(folder + '/*.so*')
    needed = {line.split('[')[1].rstrip(']') for library in libraries for line in output('readelf', '-d', library)
              if '(NEEDED)' in line}
    missing = sorted(name for name in needed
                     if not name.startswith(SYSTEM) and not os.path.exists(os.path.join(folder, name)))
    if not missing:
        return # a wheel for CPUs only, or done before
    wanted = set().union(*(symbols(library, '--undefined-only') for library in libraries))
    present = {line.split()[-2] for library in libraries for line in output('ldd', library)
               if '=> /' in line and line.split()[0].startswith(SYSTEM)}
    defined = {name for library in [*libraries, *present] for name, _ in symbols(library, '--defined-only')}
    homes = {version: file for library in libraries for version, file in versions(library).items()}
    wanted = {(name, version) for name, version in wanted if name not in defined}
    for library in missing:
        build(os.path.join(folder, library), {(name, version) for name, version in wanted
                                              if homes.get(version, missing[0]) == library})


if __name__ == '__main__':
    main()
