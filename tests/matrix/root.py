# SPDX-License-Identifier: Apache-2.0
"""root.py: a Debian-testing system in a folder, for its newer drivers and compilers. Made once, reused while fresh.

Commands run inside by chroot in a mount namespace of their own, so that its mounts end with them. The source tree is seen
there read-only as /src; what is built stays in the root, a folder for each tree. Needs the right to chroot, as in CI containers.
"""
import hashlib
import os
import re
import shutil
import subprocess
import time

from row import Unavailable

SUITE, SCRIPT = 'forky', 'trixie'  # Debian 12's debootstrap does not know forky by name
FRESH_DAYS = 30
PACKAGES = '''gcc libc6-dev g++ meson ninja-build pkgconf python3 ccache libjansson-dev zlib1g-dev libzstd-dev libxxhash-dev
 libsentencepiece-dev ocl-icd-opencl-dev libvulkan-dev vulkan-validationlayers glslc spirv-tools
 pocl-opencl-icd mesa-opencl-icd mesa-vulkan-drivers mesa-drm-shim intel-ocloc libigc2 libigdfcl2 clang-21 rocm-device-libs-21 libclc-21
 binutils'''.split()
ENTER = '''mount --bind /proc "$1/proc" && mount --rbind /sys "$1/sys" && mount --rbind /dev "$1/dev" &&
mount --bind "$2" "$1/src" && mount -o remount,ro,bind "$1/src" && cd / && exec chroot "$1" /bin/sh -c "$3"'''


def cache_folder():
    base = os.environ.get('SY_MATRIX_DIR')
    if not base:
        base = os.path.join(os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'switchyard', 'matrix')
    os.makedirs(base, exist_ok=True)
    return base


def mirror():
    """The Debian mirror that this machine's own apt uses."""
    if not shutil.which('apt-cache'):
        raise Unavailable('no apt here to name a Debian mirror')
    policy = subprocess.run(['apt-cache', 'policy', 'gcc'], capture_output=True, text=True, check=False).stdout
    found = re.search(r'^ +\d+ (https?://\S+) \S+/main ', policy, re.M)
    if not found:
        raise Unavailable('apt names no Debian mirror for gcc')
    return found.group(1)


class Root:
    def __init__(self, source, log=print):
        self.source = source
        self.folder = os.path.join(cache_folder(), SUITE)
        self.log = log
        # One for each tree: ninja compares times, and those of another tree's files say nothing.
        self.build_folder = '/build/' + hashlib.sha256(os.path.abspath(source).encode()).hexdigest()[:12]
        self.built = False

    # --- making it ---

    def stamp(self):
        return os.path.join(self.folder, '.switchyard-root')

    def fresh(self):
        try:
            with open(self.stamp(), encoding='utf-8') as file:
                same = file.read() == ' '.join(PACKAGES)
            return same and time.time() - os.path.getmtime(self.stamp()) < FRESH_DAYS * 86400
        except OSError:
            return False

    def make(self):
        """Makes the root unless a fresh one is there. Raises Unavailable."""
        if self.fresh():
            return
        for tool, package in (('debootstrap', 'debootstrap'), ('unshare', 'util-linux'), ('chroot', 'coreutils')):
            if not shutil.which(tool):
                raise Unavailable(f'{tool} is not installed (package {package})')
        if os.geteuid() != 0:
            raise Unavailable('only the superuser can make and enter the Debian-testing root')
        self.log(f'making the Debian-testing root in {self.folder}')
        shutil.rmtree(self.folder, ignore_errors=True)
        self.checked(['debootstrap', '--variant=minbase', SUITE, self.folder, mirror(), SCRIPT], 'debootstrap')
        for name in os.listdir('/etc/apt/apt.conf.d'):
            if 'docker' not in name and not re.match(r'\d*(packagekit|appstream)', name):
                shutil.copy(os.path.join('/etc/apt/apt.conf.d', name), os.path.join(self.folder, 'etc/apt/apt.conf.d', name))
        for name in ('src', 'build'):
            os.makedirs(os.path.join(self.folder, name), exist_ok=True)
        install = 'DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ' + ' '.join(PACKAGES)
        self.checked(self.command('apt-get update -qq && ' + install + ' && apt-get clean'), 'installing packages in the root')
        with open(self.stamp(), 'w', encoding='utf-8') as file:
            file.write(' '.join(PACKAGES))

    def checked(self, command, what):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace', check=False)
        if done.returncode != 0:
            raise Unavailable(f'{what} failed: ' + ' / '.join(done.stdout.rstrip().split('\n')[-3:]))

    # --- using it ---

    def command(self, shell):
        """The command line that runs a shell command inside."""
        return ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', ENTER, 'sh', self.folder, self.source, shell]

    def run(self, shell, timeout=600, env=None):
        """Runs a shell command inside; `env` is all it sees besides PATH and HOME. Output and errors come together."""
        inside = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'HOME': '/root', 'LANG': 'C.UTF-8', **(env or {})}
        try:
            return subprocess.run(self.command(shell), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  errors='replace', timeout=timeout, env=inside, check=False)
        except subprocess.TimeoutExpired as late:
            text = (late.stdout or b'').decode(errors='replace') + f'\nno end after {timeout} s\n'
            return subprocess.CompletedProcess(late.cmd, 124, text, None)

    def build(self):
        """Builds the engine inside, with that system's compilers, into build_folder. Once per run."""
        if self.built:
            return
        self.make()
        at = self.build_folder
        setup = f'test -f {at}/build.ninja || CC="ccache gcc" meson setup {at} /src'
        done = self.run(f'({setup}) && ninja -C {at}', timeout=900)
        if done.returncode != 0:
            raise RuntimeError('the engine does not build in the Debian-testing root: ' +
                              ' / '.join(done.stdout.rstrip().split('\n')[-12:]))
        self.built = True

    def version_of(self, package):
        done = self.run(f"dpkg-query -W -f '${{Version}}' {package}", timeout=60)
        return done.stdout.strip() if done.returncode == 0 else 'unknown'
