#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Proves and measures the Vulkan backend on a machine with a GPU. Builds nothing: FOLDER holds ponder, test_conformance, test_golden,
# test_vulkan, gpu_products, ponder_bench_ops and the libraries they need; the last four are optional. Usage: gpu.sh FOLDER [WORK_FOLDER]
# "gpu.sh pack FOLDER" makes such a folder of build/release.
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.." && pwd)

if [ "${1:-}" = pack ]; then
    folder=${2:?where to}
    mkdir -p "$folder"
    for program in bin/ponder tests/test_conformance tests/test_golden tests/test_vulkan tests/gpu_products tests/ponder_bench_ops; do
        [ -x "$root/build/release/$program" ] && cp "$root/build/release/$program" "$folder/"
    done
    # All but the C library's own and the driver's.
    for library in $(ldd "$folder"/ponder "$folder"/test_* "$folder"/ponder_bench_ops 2>/dev/null | awk '/=> \// {print $3}' | sort -u | grep -Ev '/(libc|libm|libdl|libpthread|librt|libstdc\+\+|libgcc_s|ld-linux[^/]*)\.so'); do
        cp -L "$library" "$folder/"
    done
    strip "$folder"/* 2>/dev/null || true
    cp "$root/examples/tiny-reasoner/tiny-reasoner.gguf" "$folder/"
    # For machines with a driver alone: the loader, what NVIDIA's driver links to, the compiler's own. Used only where the system has none.
    mkdir -p "$folder/fallback"
    for name in libstdc++.so.6 libgcc_s.so.1 libvulkan.so.1 libX11.so.6 libXext.so.6 libxcb.so.1 libXau.so.6 libXdmcp.so.6 libbsd.so.0 libmd.so.0; do
        library=$(ldconfig -p | awk -v name="$name" '$1 == name && !n++ {print $NF}')
        [ -z "$library" ] || cp -L "$library" "$folder/fallback/"
    done
    exit 0
fi

tools=$(cd "${1:?folder of prebuilt programs}" && pwd)
work=${2:-$(mktemp -d)}
export LD_LIBRARY_PATH=$tools${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
copy=0
libraries=$(ldconfig -p 2>/dev/null || true)  # kept, since grep -q would end it early, which pipefail counts as its failure

# A driver without the loader or without its manifest is not installed quite, but works.
for library in "$tools"/fallback/*; do
    [ -f "$library" ] || continue
    grep -qF "${library##*/} " <<<"$libraries" || { mkdir -p "$work/fallback" && cp "$library" "$work/fallback/"; }
done
[ ! -d "$work/fallback" ] || export LD_LIBRARY_PATH=$LD_LIBRARY_PATH:$work/fallback
if ! ls /etc/vulkan/icd.d/*.json /usr/share/vulkan/icd.d/*.json >/dev/null 2>&1; then
    for name in libGLX_nvidia.so.0 libEGL_nvidia.so.0; do
        grep -q "$name " <<<"$libraries" || continue
        printf '{"file_format_version": "1.0.0", "ICD": {"library_path": "%s", "api_version": "1.3.277"}}\n' "$name" >"$work/$name.json"
        export VK_DRIVER_FILES=$work/$name.json VK_ICD_FILENAMES=$work/$name.json
        break
    done
fi
command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader || true

echo "== conformance"
"$tools/test_conformance" -tc='*GPU*' || echo "conformance FAILED"
if [ -x "$tools/test_golden" ]; then
    echo "== golden logits and transcripts (needs the source tree where it was built)"
    "$tools/test_golden" -tc='*GPU*' | grep -v -e MESSAGE -e logged -e '^$' || echo "golden FAILED"
fi
if [ -f "$tools/tiny-reasoner.gguf" ]; then
    echo "== the embedded reasoner, beside the reference"
    for question in "Which is larger, 9.11 or 9.9?" "How many r's are in strawberry?" "What is 17 + 25?"; do
        for backend in vulkan reference; do
            "$tools/ponder" run -m "$tools/tiny-reasoner.gguf" --backend $backend --kv f32 --temperature 0 -p "$question" >"$work/$backend.txt" || true
        done
        if cmp -s "$work/vulkan.txt" "$work/reference.txt"; then echo "same: $question"; else echo "DIFFERENT: $question" && diff "$work/vulkan.txt" "$work/reference.txt" || true; fi
    done
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
if [ -x "$tools/ponder_bench_ops" ]; then
    echo "== operators: microseconds, and what their bytes alone would take at the copy bandwidth"
    PONDER_FORCE_BACKEND=vulkan "$tools/ponder_bench_ops" --benchmark_filter="${PONDER_GPU_OPS:-^(attention|rms_norm|moe_ffn|matmul/Q4_K)}" \
        --benchmark_min_time=0.2 --benchmark_format=csv 2>/dev/null | awk -F, -v copy="$copy" '
        $1 == "name" {for (i = 1; i <= NF; i++) {gsub(/"/, "", $i); column[$i] = i}}
        /real_time/ && $1 != "name" {
            time = $column["real_time"] / 1e3
            floor = copy > 0 ? sprintf("%.1f", $column["bytes/s"] * time / (copy * 1e9)) : "?"
            printf "%-48s %10.1f %10s\n", $1, time, floor
        }' || echo "operators FAILED"
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
