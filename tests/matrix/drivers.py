# SPDX-License-Identifier: Apache-2.0
"""drivers.py: drivers that come from packages without being installed: unpacked once into the cache folder.

Each function gives the environment that points the loaders at the driver, or raises Unavailable.
"""
import glob
import os
import shutil
import subprocess
import sys
import zipfile

from root import cache_folder
from row import Unavailable

# Intel's CPU runtime and the libraries it is linked with.
INTEL_WHEELS = ['intel-opencl-rt', 'tbb==2023.*', 'intel-cmplr-lib-rt', 'tcmlib', 'umf']


def unpacked(name, fetch):
    """The folder that `fetch(folder)` filled, now or earlier. A folder that is there is whole: it is moved into place last."""
    folder = os.path.join(cache_folder(), name)
    if not os.path.isdir(folder):
        partial = folder + '.partial'
        shutil.rmtree(partial, ignore_errors=True)
        os.makedirs(partial)
        fetch(partial)
        os.rename(partial, folder)
    return folder


def wheels(folder, names):
    """Downloads wheels from PyPI without their dependencies and unpacks them into `folder`."""
    done = subprocess.run([sys.executable, '-m', 'pip', 'download', '--quiet', '--disable-pip-version-check', '--no-deps',
                           '--dest', folder, *names], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Unavailable('pip cannot download ' + ' '.join(names) + ': ' + ' '.join(done.stderr.split())[-300:])
    for wheel in glob.glob(os.path.join(folder, '*.whl')):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        os.remove(wheel)


def one(folder, pattern):
    found = glob.glob(os.path.join(folder, '**', pattern), recursive=True)
    if not found:
        raise Unavailable(f'the package has no {pattern} any more')
    return found[0]


def intel_cpu(_context):
    folder = unpacked('intel-cpu', lambda to: wheels(to, INTEL_WHEELS))
    driver = one(folder, 'libintelocl.so')
    vendors = os.path.join(folder, 'vendors')
    os.makedirs(vendors, exist_ok=True)
    with open(os.path.join(vendors, 'intel.icd'), 'w', encoding='utf-8') as file:
        file.write(driver + '\n')
    # The driver's own folder carries a loader, too; ours must win, so the system's is named first.
    libraries = ['/usr/lib/x86_64-linux-gnu'] + [os.path.dirname(one(folder, name)) for name in (
        'libintelocl.so', 'libtbb.so.12', 'libsvml.so', 'libhwloc.so.15')]
    return {'OCL_ICD_VENDORS': vendors, 'LD_LIBRARY_PATH': ':'.join(libraries)}


def fetch_swiftshader(folder):
    """Chromium carries SwiftShader; only its two files are unpacked."""
    done = subprocess.run(['apt-get', 'download', '-qq', 'chromium-common'], cwd=folder, capture_output=True, text=True,
                          check=False)
    debs = glob.glob(os.path.join(folder, '*.deb'))
    if done.returncode != 0 or not debs:
        raise Unavailable('apt-get cannot download chromium-common: ' + done.stderr.strip()[-200:])
    unpack = 'dpkg-deb --fsys-tarfile "$1" | tar x --wildcards "*libvk_swiftshader.so" "*vk_swiftshader_icd.json"'
    done = subprocess.run(['sh', '-c', unpack, 'sh', debs[0]], cwd=folder, capture_output=True, text=True, check=False)
    os.remove(debs[0])
    if done.returncode != 0:
        raise Unavailable('chromium-common has no SwiftShader any more')


def swiftshader(_context):
    return {'VK_ICD_FILENAMES': one(unpacked('swiftshader', fetch_swiftshader), 'vk_swiftshader_icd.json')}
