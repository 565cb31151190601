// SPDX-License-Identifier: Apache-2.0
// The border of the C ABI: exceptions and Results become statuses, and structs of other versions are read and written safely.
#pragma once

#include <cstring>
#include <exception>
#include <new>
#include <string_view>
#include <utility>

#include "base/result.hpp"
#include "ponder/ponder.h"

namespace ponder::capi {

// Fills err (may be null) and returns the status.
ponder_status report(ponder_error* err, ponder_status status, std::string_view message) noexcept;

// Runs body, which returns Result<void>, and lets nothing else out.
template <class Body>
ponder_status guard(ponder_error* err, Body&& body) noexcept {
    try {
        const Result<void> result = body();
        return result ? report(err, PONDER_STATUS_OK, {}) : report(err, result.error().status, result.error().message);
    } catch (const std::bad_alloc&) {
        return report(err, PONDER_STATUS_OUT_OF_MEMORY, "out of memory");
    } catch (const std::exception& e) {
        return report(err, PONDER_STATUS_INTERNAL, e.what());
    } catch (...) {
        return report(err, PONDER_STATUS_INTERNAL, "unknown exception");
    }
}

// Size of each struct in the first version that had it: no caller can have a smaller one. Appending a field leaves it alone.
template <class T>
inline constexpr uint32_t kFirstSize = 0;
template <>
inline constexpr uint32_t kFirstSize<ponder_device_info> = 48;
template <>
inline constexpr uint32_t kFirstSize<ponder_model_params> = 48;
template <>
inline constexpr uint32_t kFirstSize<ponder_placement> = 24;
template <>
inline constexpr uint32_t kFirstSize<ponder_device_share> = 32;
template <>
inline constexpr uint32_t kFirstSize<ponder_model_info> = 120;
template <>
inline constexpr uint32_t kFirstSize<ponder_streaming_info> = 72;
template <>
inline constexpr uint32_t kFirstSize<ponder_text_info> = 32;
template <>
inline constexpr uint32_t kFirstSize<ponder_session_params> = 24;
template <>
inline constexpr uint32_t kFirstSize<ponder_session_info> = 32;
template <>
inline constexpr uint32_t kFirstSize<ponder_message> = 56;
template <>
inline constexpr uint32_t kFirstSize<ponder_generation_params> = 96;
template <>
inline constexpr uint32_t kFirstSize<ponder_event> = 80;
template <>
inline constexpr uint32_t kFirstSize<ponder_evaluation> = 48;
template <>
inline constexpr uint32_t kFirstSize<ponder_plan_info> = 88;
template <>
inline constexpr uint32_t kFirstSize<ponder_plan_device> = 56;
template <>
inline constexpr uint32_t kFirstSize<ponder_file_info> = 56;
template <>
inline constexpr uint32_t kFirstSize<ponder_tensor_info> = 80;
template <>
inline constexpr uint32_t kFirstSize<ponder_synth_params> = 56;
template <>
inline constexpr uint32_t kFirstSize<ponder_convert_params> = 48;
template <>
inline constexpr uint32_t kFirstSize<ponder_convert_report> = 56;

// Reads a caller's parameters; null gives all defaults. Errors: INVALID_ARGUMENT (a size that no version had), UNSUPPORTED (a field that
// this version does not know is set).
template <class T>
Result<T> read_struct(const T* src, const char* name) {
    static_assert(kFirstSize<T> > 0 && kFirstSize<T> <= sizeof(T));
    T value{};
    value.struct_size = sizeof(T);
    if (src == nullptr) return value;
    const uint32_t size = src->struct_size;
    if (size < kFirstSize<T>) {
        return make_error(PONDER_STATUS_INVALID_ARGUMENT, "%s.struct_size is %u, the smallest known is %u; set it with the INIT macro",
                          name, size, kFirstSize<T>);
    }
    if (size > 64 * sizeof(T))
        return make_error(PONDER_STATUS_INVALID_ARGUMENT, "%s.struct_size is %u; set it with the INIT macro", name, size);
    const auto* bytes = reinterpret_cast<const unsigned char*>(src);
    for (size_t i = sizeof(T); i < size; i++) {
        if (bytes[i] != 0)
            return make_error(PONDER_STATUS_UNSUPPORTED, "%s has a field at byte %zu that this version does not know", name, i);
    }
    std::memcpy(&value, src, size < sizeof(T) ? size : sizeof(T));
    value.struct_size = sizeof(T);
    return value;
}

// A reserved field may come to mean something: a caller that sets it is newer than this library.
inline Result<void> require_zero(int32_t reserved, const char* name) {
    if (reserved == 0) return {};
    return make_error(PONDER_STATUS_UNSUPPORTED, "%s.reserved is %d, this version knows only 0", name, reserved);
}

// Fills as much of the caller's struct as it has room for; its struct_size stays.
template <class T>
Result<void> write_struct(const T& value, T* dst, const char* name) {
    if (dst == nullptr) return make_error(PONDER_STATUS_INVALID_ARGUMENT, "%s is NULL", name);
    const uint32_t size = dst->struct_size;
    if (size < kFirstSize<T> || size > 64 * sizeof(T)) {
        return make_error(PONDER_STATUS_INVALID_ARGUMENT, "%s.struct_size is %u; set it with the INIT macro", name, size);
    }
    std::memcpy(dst, &value, size < sizeof(T) ? size : sizeof(T));
    if (size > sizeof(T)) std::memset(reinterpret_cast<char*>(dst) + sizeof(T), 0, size - sizeof(T));
    dst->struct_size = size;
    return {};
}

// INVALID_ARGUMENT if any pointer is null; `names` says which arguments are meant.
template <class... Pointers>
Result<void> require(const char* names, const Pointers*... pointers) {
    if ((... && (pointers != nullptr))) return {};
    return make_error(PONDER_STATUS_INVALID_ARGUMENT, "%s must not be NULL", names);
}

// Copies to a caller's buffer by the "size needed" rule. Elements of src are plain data.
template <class T>
Result<void> fill_buffer(const T* src, size_t n, T* buffer, size_t capacity, size_t* n_needed) {
    if (n_needed != nullptr) *n_needed = n;
    if (n > capacity) return make_error(PONDER_STATUS_BUFFER_TOO_SMALL, "the buffer holds %zu, %zu are needed", capacity, n);
    if (n > 0 && buffer == nullptr) return make_error(PONDER_STATUS_INVALID_ARGUMENT, "buffer must not be NULL");
    if (n > 0) std::memcpy(buffer, src, n * sizeof(T));
    return {};
}

}  // namespace ponder::capi
