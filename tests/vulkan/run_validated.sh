#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run_validated.sh PROGRAM [ARGUMENT]...: a program with Khronos' validation layer below it, synchronisation included. Fails if the program does
# or if the layer has anything to say; 77 (skipped) where there is no such layer.
set -u
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
found=$(find /usr/share/vulkan /usr/local/share/vulkan /etc/vulkan "${XDG_DATA_HOME:-$HOME/.local/share}/vulkan" -name 'VkLayer_khronos_validation.json' 2>/dev/null)
if [ -z "$found" ] && [ -z "${VK_LAYER_PATH:-}" ]; then
    echo "skipped: no VK_LAYER_KHRONOS_validation"
    exit 77
fi
VK_LOADER_DEBUG=layer VK_INSTANCE_LAYERS=VK_LAYER_KHRONOS_validation VK_LAYER_ENABLES=VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT "$@" >"$log" 2>&1
status=$?
grep -vE '^(\[Vulkan Loader\] )?(DEBUG|INFO|WARNING|LAYER)' "$log"
grep -q 'nsert.*VK_LAYER_KHRONOS_validation' "$log" || {
    echo "skipped: the layer was not loaded"
    exit 77
}
messages=$(grep -cE 'Validation (Error|Warning|Performance Warning)|SYNC-HAZARD|VUID-' "$log")
echo "validation messages: $messages"
[ "$messages" -eq 0 ] || exit 1
exit "$status"
