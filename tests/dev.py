#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""dev.py SOURCE_DIR: the commands of ./dev after each other in one clone, in both orders of the README's two.

Meson is the real one, on a copy of the tree. What takes minutes is not: dpkg, apt and ninja are stand-ins, and the programs
that this ninja "builds" only write what ./dev reads. tests/quickstart.py is the real thing.
"""
import glob
import json
import os
import shutil
import stat
import subprocess
import sys

from apps import Suite, copy_tree, text

PROGRAM = '''#!/usr/bin/env python3
import json, os, sys
name, words = os.path.basename(sys.argv[0]), sys.argv[1:]
if name == 'switchyard-train':
    out, steps = words[words.index('--out') + 1], int(words[words.index('--steps') + 1])
    os.makedirs(os.path.join(out, 'latest'))
    with open(os.path.join(out, 'metrics.jsonl'), 'w') as file:
        for i in range(steps): # the first step compiles kernels
            seconds = 60 + i * float(os.environ['STEP'])
            file.write(json.dumps({'kind': 'train', 'tokens': 1000, 'tokens_per_second': 1, 'seconds': seconds}) + '\\n')
elif name == 'switchyard-eval':
    print(json.dumps({'layers': [], 'nlp': -1.0, 'accuracy': 0.5, 'labels': 7}))
elif name == 'switchyard-plan':
    print(json.dumps({'parameters': 1, 'flops_forward': 1}))
else:
    print(name, *words)
'''
STUBS = {
    'dpkg-query': '''printf '%s ok installed\n' "${@:3}" | grep -vFf "$STUBS/absent"''',
    'apt-get': '''[ "$1" = install ] || exit 0
printf '%s\\n' "${@:2}" >>"$STUBS/installed"
grep -q libopenmpi-dev "$STUBS/installed" && echo nothing >"$STUBS/absent"
printf 'Name: MPI\\nDescription: a stand-in\\nVersion: 4.1\\n' >"$PKG_CONFIG_LIBDIR/ompi-c.pc"''',
    'sudo': 'exec "$@"',
    # The real one, which Meson uses, is in NINJA.
    'ninja': '''[ "$1" = -C ] || exec "$NINJA" "$@"
echo "${@:3}" >>"$STUBS/built"
mkdir -p "$2/apps"
for name in train eval plan generate bench; do cp "$STUBS/program" "$2/apps/switchyard-$name"; done''',
}


def script(path, body):
    with open(path, 'w', encoding='utf-8') as file:
        file.write(body)
    os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)


class Clone:
    """A copy of the tree and a machine on which Open MPI is not installed yet."""

    def __init__(self, s, source, name):
        self.tree, stubs = s.path(name), s.path(name + '-stubs')
        copy_tree(source, self.tree)
        os.makedirs(os.path.join(stubs, 'pkgconfig'))
        for command, body in STUBS.items():
            script(os.path.join(stubs, command), '#!/usr/bin/env bash\n' + body + '\n')
        script(os.path.join(stubs, 'program'), PROGRAM)
        with open(os.path.join(stubs, 'absent'), 'w', encoding='utf-8') as file:
            file.write('libopenmpi-dev\n')
        open(os.path.join(stubs, 'installed'), 'w', encoding='utf-8').close()
        places = subprocess.run(['pkg-config', '--variable', 'pc_path', 'pkg-config'], capture_output=True, text=True,
                                check=True).stdout
        for folder in places.strip().split(':'):
            for pc in glob.glob(os.path.join(folder, '*.pc')):
                link = os.path.join(stubs, 'pkgconfig', os.path.basename(pc))
                if not os.path.basename(pc).startswith('ompi') and not os.path.exists(link):
                    os.symlink(pc, link)
        self.env = dict(s.env, STUBS=stubs, STEP='0.005', NINJA=shutil.which('ninja'), PATH=stubs + ':' + os.environ['PATH'],
                        PKG_CONFIG_LIBDIR=os.path.join(stubs, 'pkgconfig'))
        for name in ('CC', 'CXX', 'SY_BUILD_DIR', 'SY_QUICKSTART_STEPS'):
            self.env.pop(name, None)

    def dev(self, *arguments, **env):
        done = subprocess.run(['./dev', *arguments], cwd=self.tree, env=dict(self.env, **env), capture_output=True, text=True,
                              errors='replace', timeout=300, check=False)
        return done.returncode, done.stdout + done.stderr

    def option(self, name, build='build'):
        shown = subprocess.run(['meson', 'introspect', os.path.join(self.tree, build), '--buildoptions'], capture_output=True,
                               text=True, check=True).stdout
        return next(option['value'] for option in json.loads(shown) if option['name'] == name)

    def has_mpi(self, build='build'):
        with open(os.path.join(self.tree, build, 'build.ninja'), encoding='utf-8') as file:
            return 'mpi_group.c.o' in file.read()


def lists_tests(out):
    names = out.split('\n')
    return all(name in names for name in ('ops', 'golden', 'model', 'e2e', 'builds', 'quickstart', 'lint'))


def quickstart_first(s, source):
    clone, book = Clone(s, source, 'first'), text(s.path('book.txt'), 200_000)
    code, out = clone.dev('quickstart', book)
    s.ok(code == 0 and 'took ' in out and not clone.has_mpi(), 'quickstart in a fresh clone', out)
    with open(os.path.join(clone.env['STUBS'], 'built'), encoding='utf-8') as file:
        built = file.read()
    s.ok('apps/switchyard-train' in built and 'tests' not in built, 'it builds no tests', built)
    code, out = clone.dev('test', '--list')
    s.ok(code == 0 and lists_tests(out), 'then test: there are tests', out)
    s.ok(clone.has_mpi(), 'a package installed since then is found', out)
    for arguments in (('build',), ('bench', 'matmul'), ('matrix', '--list'), ('quickstart', book), ('test', '--list')):
        code, out = clone.dev(*arguments)
        s.ok(code == 0 and 'configuring' not in out, f'then {" ".join(arguments[:1])}, as it is', out)
    code, out = clone.dev('bench', 'peers', '--help')
    s.ok(code == 0 and '--avx2' in out and 'decode16' in out and 'installing' not in out, 'bench peers --help', out)
    code, out = clone.dev('peers')
    s.ok(code != 0 and 'peers models' in out and 'installing' not in out, 'peers: says what there is', out)
    code, out = clone.dev('peers', 'models', '--help')
    s.ok(code == 0 and '--random' in out and 'installing' not in out, 'peers models --help', out)
    return clone, book


def test_first(s, source):
    clone, book = Clone(s, source, 'second'), text(s.path('book.txt'), 200_000)
    code, out = clone.dev('test', '--list')
    s.ok(code == 0 and lists_tests(out) and clone.has_mpi(), 'test in a fresh clone', out)
    code, out = clone.dev('quickstart', book)
    s.ok(code == 0 and 'took ' in out, 'then quickstart', out)
    code, out = clone.dev('build', '-Dmpi=disabled', '-Dtests=false')
    s.ok(code == 0 and clone.option('mpi') == 'disabled' and not clone.has_mpi(), 'build -D…: a build that exists takes it', out)
    code, out = clone.dev('test', '--list')
    s.ok(code == 0 and lists_tests(out) and clone.option('mpi') == 'disabled', 'then test: has tests again, and keeps the option', out)
    code, out = clone.dev('build', '-Dmpi=nonsense')
    s.ok(code != 0 and 'nonsense' in out and clone.option('mpi') == 'disabled', 'refuses a value that the option does not have', out)


def remedies(s, clone):
    code, out = clone.dev('build', CC='clang')
    s.ok(code != 0 and 'rm -rf build' in out, 'another compiler than the configured one: says what to do', out)
    with open(os.path.join(clone.tree, 'build', 'meson-private', 'coredata.dat'), 'wb') as file:
        file.write(b'of another Meson')
    code, out = clone.dev('build', '-Dwerror=true')
    s.ok(code == 0 and clone.option('werror') or code != 0 and 'rm -rf build' in out,
         "another Meson's build: works, or says what to do", out)
    os.remove(os.path.join(clone.tree, 'build', 'build.ninja'))
    code, out = clone.dev('build')
    s.ok(code != 0 and 'rm -rf build' in out, 'a setup that was interrupted: says what to do', out)


def steps(s, clone, book):
    """12000 steps of both models fit into 4 min 30 s up to 11.25 ms a step."""
    for step, want in (('0.011', '12000'), ('0.02', '6000'), ('0.5', '3000')):
        code, out = clone.dev('quickstart', book, STEP=step)
        s.ok(code == 0 and f'training the dense model, {want} steps' in out and ('would take' in out) == (want != '12000'),
             f'{step} s a step: {want} steps, and why', out)
    code, out = clone.dev('quickstart', book, SY_QUICKSTART_STEPS='70')
    s.ok(code == 0 and 'training the dense model, 70 steps' in out and 'timing' not in out, 'SY_QUICKSTART_STEPS overrules it', out)
    code, out = clone.dev('quickstart', book, SY_QUICKSTART_STEPS='many')
    s.ok(code != 0 and 'SY_QUICKSTART_STEPS=many' in out, 'and is refused when it is no number', out)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    source = os.path.abspath(sys.argv[1])
    s = Suite(source)
    clone, book = quickstart_first(s, source)
    steps(s, clone, book)
    remedies(s, clone)
    test_first(s, source)
    s.done()


if __name__ == '__main__':
    main()
