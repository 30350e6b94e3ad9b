#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""man.py PROGRAM VERSION: a man page on standard output, from the program's own --help."""
import os
import subprocess
import sys

program, version = sys.argv[1:]
name = os.path.basename(program)
text = subprocess.run([program, '--help'], capture_output=True, text=True, check=True).stdout
text = text.replace('\\', '\\e').replace('\n.', '\n\\&.').replace("\n'", "\n\\&'").replace('-', '\\-')
print(f'.TH {name.upper()} 1 "" "switchyard {version}"\n.SH NAME\n{name} \\- part of switchyard, a Switch Transformer engine')
print(f'.SH DESCRIPTION\n.nf\n{text}.fi')
