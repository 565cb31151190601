// SPDX-License-Identifier: Apache-2.0
// C ABI: version, statuses, log, devices.
#include <cstdio>

#include "base/log.hpp"
#include "base/utf8.hpp"
#include "capi/guard.hpp"
#include "device/registry.hpp"

#define PONDER_STRING_OF(x) #x
#define PONDER_STRING(x) PONDER_STRING_OF(x)

namespace ponder::capi {

ponder_status report(ponder_error* err, ponder_status status, std::string_view message) noexcept {
    if (err == nullptr) return status;
    err->status = status;
    err->message[0] = '\0';
    if (message.empty()) return status;
    const size_t room = sizeof err->message - 1;
    // Bytes of file names and metadata may be anything; what the host sees is UTF-8, also where it is cut.
    size_t n = 0;
    while (n < message.size()) {
        const Utf8Step step = decode_utf8(message.substr(n));
        const size_t n_out = n + step.n_bytes;
        if (n_out > room) break;
        for (; n < n_out; n++) err->message[n] = step.state == Utf8State::kValid ? message[n] : '?';
    }
    err->message[n] = '\0';
    return status;
}

}  // namespace ponder::capi

using ponder::capi::guard;

extern "C" {

PONDER_API uint32_t ponder_version(void) { return PONDER_VERSION_MAJOR * 10000 + PONDER_VERSION_MINOR * 100 + PONDER_VERSION_PATCH; }

PONDER_API const char* ponder_version_string(void) {
    return PONDER_STRING(PONDER_VERSION_MAJOR) "." PONDER_STRING(PONDER_VERSION_MINOR) "." PONDER_STRING(PONDER_VERSION_PATCH);
}

PONDER_API const char* ponder_status_name(int32_t status) {
    struct Row {
        ponder_status status;
        const char* name;
    };
    static constexpr Row kRows[] = {
        {PONDER_STATUS_OK, "PONDER_STATUS_OK"},
        {PONDER_STATUS_INVALID_ARGUMENT, "PONDER_STATUS_INVALID_ARGUMENT"},
        {PONDER_STATUS_UNSUPPORTED, "PONDER_STATUS_UNSUPPORTED"},
        {PONDER_STATUS_BUSY, "PONDER_STATUS_BUSY"},
        {PONDER_STATUS_BUFFER_TOO_SMALL, "PONDER_STATUS_BUFFER_TOO_SMALL"},
        {PONDER_STATUS_NOT_FOUND, "PONDER_STATUS_NOT_FOUND"},
        {PONDER_STATUS_CANCELLED, "PONDER_STATUS_CANCELLED"},
        {PONDER_STATUS_IO, "PONDER_STATUS_IO"},
        {PONDER_STATUS_FORMAT, "PONDER_STATUS_FORMAT"},
        {PONDER_STATUS_LIMIT, "PONDER_STATUS_LIMIT"},
        {PONDER_STATUS_OUT_OF_MEMORY, "PONDER_STATUS_OUT_OF_MEMORY"},
        {PONDER_STATUS_MEMORY_CAP, "PONDER_STATUS_MEMORY_CAP"},
        {PONDER_STATUS_CONTEXT_FULL, "PONDER_STATUS_CONTEXT_FULL"},
        {PONDER_STATUS_DEVICE, "PONDER_STATUS_DEVICE"},
        {PONDER_STATUS_DEVICE_LOST, "PONDER_STATUS_DEVICE_LOST"},
        {PONDER_STATUS_TEMPLATE, "PONDER_STATUS_TEMPLATE"},
        {PONDER_STATUS_INTERNAL, "PONDER_STATUS_INTERNAL"},
    };
    for (const Row& row : kRows) {
        if (row.status == status) return row.name;
    }
    return "unknown";
}

PONDER_API void ponder_log_set_sink(ponder_log_fn fn, void* user_data, int32_t min_level) {
    ponder::set_log_sink(fn, user_data, min_level);
}

PONDER_API int32_t ponder_device_count(void) { return ponder::device_count(); }

PONDER_API ponder_status ponder_device_describe(int32_t index, ponder_device_info* out, ponder_error* err) {
    return guard(err, [&]() -> ponder::Result<void> {
        const auto slot = ponder::find_device(index);
        if (!slot) return slot.error();
        ponder_device_info info = PONDER_DEVICE_INFO_INIT;
        ponder_error error{};
        const ponder_status status = slot->backend->device_describe(slot->local_index, &info, &error);
        if (status != PONDER_STATUS_OK) return ponder::Error{status, error.message};
        info.index = index;
        return ponder::capi::write_struct(info, out, "out");
    });
}

}  // extern "C"
