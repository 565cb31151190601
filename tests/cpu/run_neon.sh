#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the kernels' test for 64-bit Arm and runs it in an emulator; 77 (skipped) where either is missing.
set -e
root=$(cd "$(dirname "$0")/../.." && pwd)
command -v aarch64-linux-gnu-g++ >/dev/null && command -v qemu-aarch64 >/dev/null || {
    echo "skipped: needs aarch64-linux-gnu-g++ and qemu-aarch64 (Debian: g++-aarch64-linux-gnu qemu-user)"
    exit 77
}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
cd "$root"
for source in tests/cpu/test_kernels.cpp backends/cpu/kernels*.cpp lib/quant/quant_iq_tables.cpp; do
    flags=
    case $source in
    */kernels_neon.cpp) flags=-march=armv8.2-a+dotprod ;;
    */kernels_neon_i8mm.cpp) flags=-march=armv8.2-a+dotprod+i8mm ;;
    esac
    aarch64-linux-gnu-g++ -std=c++20 -O2 -ffp-contract=off -Wall -Wextra -Werror $flags -Ibackends -Ilib -c "$source" -o "$out/$(basename "$source").o"
done
aarch64-linux-gnu-g++ -static "$out"/*.o -o "$out/test_kernels"
qemu-aarch64 -cpu max "$out/test_kernels" | tee "$out/log"
grep -q "neon: compared" "$out/log" && grep -q "i8mm: compared" "$out/log"
