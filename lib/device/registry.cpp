// SPDX-License-Identifier: Apache-2.0
// Numbers the devices of all backends and finds the one that a request names.
#include "device/registry.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdlib>

#include "base/log.hpp"

namespace ponder {

namespace {

bool is_verbose() {
    const char* value = std::getenv("PONDER_VERBOSE");
    return value != nullptr && *value != '\0' && *value != '0';
}

bool is_usable(const DeviceSlot& slot) {
    ponder_device_info info = PONDER_DEVICE_INFO_INIT;
    if (slot.backend->device_describe(slot.local_index, &info, nullptr) == PONDER_STATUS_OK && info.is_usable != 0) return true;
    if (is_verbose()) {
        log_message(PONDER_LOG_INFO, "device %d (%s) is unusable: %s", slot.global_index, slot.backend->name,
                    info.description != nullptr ? info.description : "no description");
    }
    return false;
}

std::string backend_names() {
    std::string names;
    for (const ponder_backend_entry entry : built_in_backends()) names += (names.empty() ? "" : ", ") + std::string(entry()->name);
    return names;
}

}  // namespace

int32_t DeviceSlot::rows_of_run() const {
    constexpr int32_t kDefault = 128, kMost = 4096;
    if (!has_member(*backend, &ponder_backend::rows_of_run)) return kDefault;
    const ponder_device_options options{sizeof(ponder_device_options), 0, variant.empty() ? nullptr : variant.c_str()};
    return std::clamp(backend->rows_of_run(local_index, &options), 1, kMost);
}

std::string DeviceSlot::plain_variant() const { return has_member(*backend, &ponder_backend::plain_variant) ? backend->plain_variant : ""; }

uint64_t DeviceSlot::free_bytes() const {
    uint64_t n_bytes = 0;
    if (has_member(*backend, &ponder_backend::device_free_bytes) &&
        backend->device_free_bytes(local_index, &n_bytes, nullptr) == PONDER_STATUS_OK)
        return n_bytes;
    ponder_device_info info = PONDER_DEVICE_INFO_INIT;
    return backend->device_describe(local_index, &info, nullptr) == PONDER_STATUS_OK ? info.memory_bytes : 0;
}

int32_t device_count() {
    int32_t n = 0;
    for (const ponder_backend_entry entry : built_in_backends()) n += entry()->device_count();
    return n;
}

Result<DeviceSlot> find_device(int32_t global_index) {
    int32_t first = 0;
    for (const ponder_backend_entry entry : built_in_backends()) {
        const ponder_backend* backend = entry();
        const int32_t n = backend->device_count();
        if (global_index >= first && global_index < first + n) return DeviceSlot{backend, global_index - first, global_index, {}};
        first += n;
    }
    return make_error(PONDER_STATUS_NOT_FOUND, "device %d does not exist; there are %d", global_index, first);
}

Result<DeviceSlot> choose_device(const DeviceRequest& request) {
    std::string backend = request.backend.empty() ? "auto" : request.backend;
    const char* forced = std::getenv("PONDER_FORCE_BACKEND");
    if (backend == "auto" && forced != nullptr && *forced != '\0') backend = forced;
    std::string variant;
    if (const size_t slash = backend.find('/'); slash != std::string::npos) {
        variant = backend.substr(slash + 1);
        backend.resize(slash);
    }

    bool is_known = backend == "auto";
    for (const ponder_backend_entry entry : built_in_backends()) is_known = is_known || backend == entry()->name;
    if (!is_known) {
        return make_error(PONDER_STATUS_NOT_FOUND, "backend '%.64s' is not in this build; it has %s", backend.c_str(),
                          backend_names().c_str());
    }
    if (request.device > 0) {
        auto slot = find_device(request.device - 1);
        if (slot) slot->variant = variant;
        if (slot && backend != "auto" && backend != slot->backend->name) {
            return make_error(PONDER_STATUS_NOT_FOUND, "device %d belongs to backend %s, not to %s", slot->global_index,
                              slot->backend->name, backend.c_str());
        }
        return slot;
    }
    // Backends are asked in their order and only until one fits: counting devices may start drivers.
    int32_t first = 0;
    for (const ponder_backend_entry entry : built_in_backends()) {
        const ponder_backend* own = entry();
        const bool is_wanted = backend == "auto" || backend == own->name;
        const int32_t n = own->device_count();
        for (int32_t i = 0; is_wanted && i < n; i++) {
            const DeviceSlot slot{own, i, first + i, variant};
            if (!is_usable(slot)) continue;
            if (is_verbose()) log_message(PONDER_LOG_INFO, "device %d of backend %s is used", slot.global_index, own->name);
            return slot;
        }
        first += n;
    }
    return make_error(PONDER_STATUS_NOT_FOUND, "backend '%s' has no usable device", backend.c_str());
}

}  // namespace ponder
