#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Proves and measures the Vulkan backend on a machine with a GPU. Builds nothing: FOLDER holds ponder, test_conformance, test_golden,
# test_vulkan, gpu_products and the libraries they need; the last three are optional. Usage: gpu.sh FOLDER [WORK_FOLDER]
# "gpu.sh pack FOLDER" makes such a folder of build/release.
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.." && pwd)

if [ "${1:-}" = pack ]; then
    folder=${2:?where to}
    mkdir -p "$folder"
    for program in bin/ponder tests/test_conformance tests/test_golden tests/test_vulkan tests/gpu_products; do
        [ -x "$root/build/release/$program" ] && cp "$root/build/release/$program" "$folder/"
    done
    # All but the C library's own and the driver's.
    for library in $(ldd "$folder"/ponder "$folder"/test_* 2>/dev/null | awk '/=> \// {print $3}' | sort -u | grep -Ev '/(libc|libm|libdl|libpthread|librt|ld-linux[^/]*)\.so'); do
        cp -L "$library" "$folder/"
    done
    strip "$folder"/* 2>/dev/null || true
    exit 0
fi

tools=$(cd "${1:?folder of prebuilt programs}" && pwd)
work=${2:-$(mktemp -d)}
export LD_LIBRARY_PATH=$tools${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
copy=0

echo "== conformance"
"$tools/test_conformance" -tc='*GPU*' || echo "conformance FAILED"
if [ -x "$tools/test_golden" ]; then
    echo "== golden logits and transcripts (needs the source tree where it was built)"
    "$tools/test_golden" -tc='*GPU*' | grep -v -e MESSAGE -e logged -e '^$' || echo "golden FAILED"
fi
if [ -x "$tools/test_vulkan" ]; then
    echo "== faults"
    "$tools/test_vulkan" || echo "faults FAILED"
fi
if [ -x "$tools/gpu_products" ]; then
    echo "== products"
    "$tools/gpu_products" | tee "$work/products.txt"
    copy=$(awk '/^copy bandwidth/ {print $3}' "$work/products.txt")
fi
for shape in r1-distill-qwen-1.5b r1-distill-llama-8b; do
    echo "== $shape Q4_K_M"
    file=$work/$shape.gguf
    [ -f "$file" ] || "$tools/ponder" synth "$shape" "$file" --type Q4_K_M >/dev/null
    "$tools/ponder" bench -m "$file" --backend vulkan --kv f16 --prompt 512 --generate 128 | tee "$work/$shape.txt"
    # "read a step  4.58 GiB, which is ..." and "decode  123.4 tokens/s ...".
    awk -v copy="$copy" '
        $1 == "decode" {speed = $2}
        /^read a step/ {unit = $5 ~ /GiB/ ? 1073741824 : 1048576; bytes = $4 * unit}
        END {
            printf "streams %.1f GB/s", speed * bytes / 1e9
            if (copy > 0) printf ", %.1f %% of the copy bandwidth", 100 * speed * bytes / 1e9 / copy
            printf "\n"
        }' "$work/$shape.txt"
done
