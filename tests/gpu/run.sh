#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh [--device ID]… [--out DIR] [--minutes N] [--part NAME]… [--build DIR]: tests and measures the GPUs of this machine and
# writes a report. `./dev gpu` calls it in a tree, and a pack (./dev gpu --pack) where there is neither compiler nor package manager.
root=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
build=$root/build next=
for word in "$@"; do
    [ "$next" != --build ] || build=$word
    next=$word
done
build=$(cd "$build" && pwd) || exit 1
if [ -d "$root/lib" ]; then
    LD_LIBRARY_PATH=$root/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    # A compiler's run-time library that is newer may be what a driver needs: ours only where there is none.
    LD_LIBRARY_PATH=$LD_LIBRARY_PATH ldd "$build/apps/switchyard-train" 2>/dev/null | grep -q 'not found' &&
        LD_LIBRARY_PATH=$LD_LIBRARY_PATH:$root/lib/more
    export LD_LIBRARY_PATH
fi
made=$(mktemp -d) || exit 1
trap 'rm -rf "$made"' EXIT
. "$root/tests/gpu/drivers.sh"
find_drivers "$made" "$build/apps/switchyard-devices"
if [ -z "${SY_GPU_NO_PYTHON:-}" ] && python3 -c 'import sys; sys.exit(sys.version_info < (3, 7))' 2>/dev/null; then
    python3 "$root/tests/gpu/gpu.py" "$@"
else
    sh "$root/tests/gpu/plain.sh" "$root" "$build" "$@"
fi
