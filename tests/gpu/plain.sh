#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# plain.sh ROOT BUILD [OPTION…]: what gpu.py does, without Python: the same programs after each other, their output kept, no report
# but a table of what ended how.
root=$1 build=$2
shift 2
out=$root/report minutes=10 devices='' only=''
while [ $# -gt 0 ]; do
    case $1 in
    --device) devices="$devices $2"; shift ;;
    --out) out=$2; shift ;;
    --minutes) minutes=$2; shift ;;
    --part) only="$only $2"; shift ;;
    --build) shift ;;
    *) echo "run: unknown option '$1' (without python3: --device, --out, --minutes, --part)" >&2; exit 64 ;;
    esac
    shift
done
mkdir -p "$out/logs" && out=$(cd "$out" && pwd) || exit 1
SY_CACHE_DIR=$(mktemp -d) || exit 1
export SY_CACHE_DIR
cd "$SY_CACHE_DIR" || exit 1 # what a program that is killed leaves behind goes with it
trap 'rm -rf "$SY_CACHE_DIR"' EXIT
started=$(date +%s) failed=0 ran=0
"$build/apps/switchyard-devices" >"$out/logs/devices.txt" 2>&1
[ -n "$devices" ] || devices=$(awk '/^[a-z]+:[0-9]/ { id = $1 } /^ +class / && !/in software/ { print id }' "$out/logs/devices.txt")
[ -n "$devices" ] || { echo "run: no GPU was found ($out/logs/devices.txt); --device names another device" >&2; exit 1; }

# part NAME SECONDS COMMAND…
part() {
    name=$1 seconds=$2
    shift 2
    case " $only " in *" ${name%%-*} "* | '  ') ;; *) return 0 ;; esac
    left=$((started + minutes * 60 - $(date +%s)))
    [ "$left" -gt 5 ] || { echo "$name: no time left" | tee -a "$out/summary.txt"; return 0; }
    [ "$seconds" -le "$left" ] || seconds=$left
    timeout -k 2 "$seconds" "$@" >"$out/logs/$name.txt" 2>&1
    code=$? ran=$((ran + 1))
    [ $code = 0 ] || failed=$((failed + 1))
    printf '%-24s status %3d  %s\n' "$name" $code "$(tail -n 1 "$out/logs/$name.txt")" | tee -a "$out/summary.txt"
}

: >"$out/summary.txt"
for device in $devices; do
    d=$(echo "$device" | tr -d :)
    part "ops-$d" 150 "$build/tests/test_ops" --device "$device"
    part "golden-$d" 90 "$build/tests/test_golden" "$root/tests/golden" --device "$device"
    part "pieces-$d" 60 "$build/tests/test_pieces" --device "$device"
    part "slices-$d" 60 "$build/tests/test_slices" --device "$device"
    part "choices-$d" 60 "$build/tests/test_choices" --device "$device"
    part "train-$d" 60 "$build/apps/switchyard-train" --model "$root/configs/quickstart-switch.json" --data "$root/LICENSE" \
        --out "$SY_CACHE_DIR/out-$d" --steps 200 --batch-tokens 1024 --device "$device"
done
for device in $devices; do
    d=$(echo "$device" | tr -d :)
    for n in 1024 4096; do
        part "matmul-$n-$d" 40 "$build/apps/switchyard-bench" matmul --size $n --precision bf16 --repeat 5 --device "$device"
    done
    part "step-$d" 60 "$build/apps/switchyard-bench" step --model "$root/configs/bench-small.json" --batch 64 --src-len 512 \
        --tgt-len 114 --repeat 3 --device "$device"
done
echo "$ran parts, $failed failed; $out holds summary.txt and logs/"
[ "$failed" = 0 ] && [ "$ran" != 0 ]
