# SPDX-License-Identifier: Apache-2.0
"""link.py: two hosts on this machine: network namespaces with a name each, joined by a link that can be cut. Used by faults.py."""
import os
import shlex
import shutil
import subprocess

NAMES = ('syhosta', 'syhostb')
ADDRESSES = ('10.213.77.1', '10.213.77.2')


def ip(*words):
    return subprocess.run(['ip', *words], capture_output=True, text=True, check=False)


class Link:
    """`why` says what is missing, or is ''."""

    def __init__(self, folder):
        self.spaces = [f'sy{os.getpid()}{side}' for side in 'ab']
        self.ends = [f'v{os.getpid()}{side}' for side in 'ab']
        self.agent = os.path.join(folder, 'agent')
        self.why = '' if shutil.which('ip') and shutil.which('unshare') else 'there is no ip, or no unshare'
        steps = [('netns', 'add', space) for space in self.spaces] + [
            ('link', 'add', self.ends[0], 'netns', self.spaces[0], 'type', 'veth', 'peer', 'name', self.ends[1], 'netns',
             self.spaces[1])]
        for space, end, address in zip(self.spaces, self.ends, ADDRESSES):
            steps += [('-n', space, 'addr', 'add', address + '/30', 'dev', end), ('-n', space, 'link', 'set', end, 'up'),
                      ('-n', space, 'link', 'set', 'lo', 'up'),
                      # what was sent and not received any more is given up in seconds, not in a quarter of an hour
                      ('netns', 'exec', space, 'sh', '-c', 'echo 3 > /proc/sys/net/ipv4/tcp_retries2')]
        for step in steps:
            if not self.why:
                done = ip(*step)
                self.why = f'ip {" ".join(step)}: {done.stderr.strip()}' if done.returncode else ''
        if not self.why and subprocess.run(self.inside(0, 'true'), capture_output=True, check=False).returncode:
            self.why = 'no process can be started in a network namespace'
        with open(self.agent, 'w', encoding='utf-8') as file:  # what ssh is to mpirun: HOST COMMAND…
            file.write('#!/bin/sh\nshift\nexec ' + shlex.join(self.inside(1)) + ' "$*"\n')
        os.chmod(self.agent, 0o755)

    def inside(self, side, *command):
        """A command line that runs a shell's command, its last word, on one of the hosts."""
        shell = f'hostname {NAMES[side]}; exec sh -c "$0"'
        return ['ip', 'netns', 'exec', self.spaces[side], 'unshare', '--uts', 'sh', '-c', shell, *command]

    def mpirun(self, *program):
        """One rank on each host; mpirun is on the first. It notices within seconds that the other has gone."""
        keep = ('time', '3'), ('intvl', '1'), ('probes', '2')
        line = ['mpirun', '--allow-run-as-root', '-n', '2', '-host', ','.join(a + ':1' for a in ADDRESSES), '--mca', 'plm_rsh_agent',
                self.agent, '--mca', 'btl', 'tcp,self', '--mca', 'plm_rsh_no_tree_spawn', '1',
                *(word for key, value in keep for word in ('--mca', 'oob_tcp_keepalive_' + key, value)), *program]
        return self.inside(0, 'exec ' + shlex.join(map(str, line)))

    def cut(self):
        return ip('-n', self.spaces[0], 'link', 'set', self.ends[0], 'down').returncode == 0

    def left(self):
        """Processes that are still on either host."""
        return [int(pid) for space in self.spaces for pid in ip('netns', 'pids', space).stdout.split()]

    def end(self):
        for pid in self.left():
            os.kill(pid, 9)

    def remove(self):
        if shutil.which('ip'):
            self.end()
            for space in self.spaces:
                ip('netns', 'del', space)
