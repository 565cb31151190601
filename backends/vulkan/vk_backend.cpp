// SPDX-License-Identifier: Apache-2.0
// The Vulkan backend's function table. Its variants: "float32" keeps to the shaders that every device runs, "validated" runs under the
// validation layer, whose messages go to the log.
#include <cstdio>
#include <cstring>
#include <new>
#include <span>
#include <string_view>

#include "base/checksum.hpp"
#include "vk_plan.hpp"

namespace ponder::vk {

namespace {

int32_t device_count() try { return static_cast<int32_t>(known_devices().size()); } catch (const std::bad_alloc&) {
    return 0;
}

ponder_status device_describe(int32_t index, ponder_device_info* out, ponder_error* err) try {
    const auto& devices = known_devices();
    if (index < 0 || static_cast<size_t>(index) >= devices.size())
        return report(err, PONDER_STATUS_NOT_FOUND, "no Vulkan device of that number");
    const DeviceTraits& traits = devices[static_cast<size_t>(index)];
    out->backend = "vulkan";
    out->name = traits.name.c_str();
    out->description = traits.unusable.empty() ? traits.description.c_str() : traits.unusable.c_str();
    out->memory_bytes = traits.memory_bytes;
    out->is_usable = traits.unusable.empty();
    out->n_threads = 0;
    return PONDER_STATUS_OK;
} catch (const std::bad_alloc&) {
    return report(err, PONDER_STATUS_OUT_OF_MEMORY, "no memory to list devices");
}

constexpr const char* kPlainVariant = "float32";

ponder_status device_open(int32_t index, const ponder_device_options* options, ponder_device_handle** out, ponder_error* err) try {
    *out = nullptr;
    DeviceOptions chosen;
    if (options != nullptr) chosen.n_threads = options->n_threads;
    const bool has_variant = options != nullptr && options->struct_size >= sizeof(ponder_device_options) && options->variant != nullptr;
    const std::string_view variant = has_variant ? options->variant : "";
    chosen.is_plain = variant == kPlainVariant;
    chosen.is_validated = variant == "validated";
    if (!variant.empty() && !chosen.is_plain && !chosen.is_validated) {
        char message[128];
        std::snprintf(message, sizeof message, "the vulkan backend has no variant '%.32s'", options->variant);
        return report(err, PONDER_STATUS_NOT_FOUND, message);
    }
    auto device = Device::open(index, chosen);
    if (!device) return report(err, device.error());
    *out = reinterpret_cast<ponder_device_handle*>(device->release());
    return PONDER_STATUS_OK;
} catch (const std::bad_alloc&) {
    return report(err, PONDER_STATUS_OUT_OF_MEMORY, "no memory for a device");
}

void device_close(ponder_device_handle* device) { delete own(device); }

int32_t device_threads(const ponder_device_handle*) { return 0; }

int32_t supports(const ponder_device_handle* device, const ponder_program* program, const ponder_op* op, char* reason, size_t reason_size) {
    const char* why = find_obstacle(*own(device), *program, *op);
    if (why != nullptr && reason != nullptr && reason_size > 0) std::snprintf(reason, reason_size, "%s", why);
    return why == nullptr;
}

uint64_t scratch_bytes(const ponder_program* program, int32_t max_rows, int32_t max_outputs, int32_t, int64_t n_context) try {
    return Plan::scratch_bytes(*program, max_rows, max_outputs, n_context);
} catch (const std::bad_alloc&) {
    return ~uint64_t{0} / 2;  // more than there is
}

ponder_status prepare(ponder_device_handle* device, const ponder_program* program, int32_t max_rows, int32_t max_outputs,
                      ponder_compiled** out, ponder_error* err) try {
    *out = nullptr;
    auto plan = Plan::create(*own(device), *program, max_rows, max_outputs);
    if (!plan) return report(err, plan.error());
    *out = reinterpret_cast<ponder_compiled*>(plan->release());
    return PONDER_STATUS_OK;
} catch (const std::bad_alloc&) {
    return report(err, PONDER_STATUS_OUT_OF_MEMORY, "no memory for a plan");
}

void release(ponder_device_handle*, ponder_compiled* plan) { delete reinterpret_cast<Plan*>(plan); }

ponder_status run_plan(ponder_compiled* plan, const ponder_run* batch, ponder_error* err) try {
    const auto done = reinterpret_cast<Plan*>(plan)->run(*batch);
    return done ? PONDER_STATUS_OK : report(err, done.error());
} catch (const std::bad_alloc&) {
    return report(err, PONDER_STATUS_OUT_OF_MEMORY, "no memory for a run");
}

// A card has memory of its own and more cores than the 48 workgroups that 128 rows of 1,536 outputs fill.
int32_t rows_of_run(int32_t index, const ponder_device_options*) try {
    constexpr int32_t kRows = 128, kRowsOfCard = 512;
    const auto& devices = known_devices();
    const bool is_card = index >= 0 && static_cast<size_t>(index) < devices.size() &&
                         devices[static_cast<size_t>(index)].type == VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
    return is_card ? kRowsOfCard : kRows;
} catch (const std::bad_alloc&) {
    return 128;
}

uint64_t device_identity(const ponder_device_handle* device) {
    Checksum sum;
    const DeviceTraits& traits = own(device)->traits();
    const uint64_t parts[] = {traits.identity, shaders_identity(), static_cast<uint64_t>(traits.tiles), traits.has_int_dot};
    sum.update(std::as_bytes(std::span(parts)));
    return sum.value();
}

ponder_status cache_write(ponder_device_handle* device, const void* data, uint64_t n_bytes, ponder_error* err) try {
    const auto written =
        own(device)->pipelines().write_cache({static_cast<const std::byte*>(data), n_bytes}, own(device)->traits().cache_header);
    return written ? PONDER_STATUS_OK : report(err, written.error());
} catch (const std::bad_alloc&) {
    return report(err, PONDER_STATUS_OUT_OF_MEMORY, "no memory for a pipeline cache");
}

ponder_status cache_read(ponder_device_handle* device, void* dst, uint64_t capacity, uint64_t* n_bytes, ponder_error* err) try {
    *n_bytes = 0;
    const auto bytes = own(device)->pipelines().read_cache(own(device)->traits().cache_header);
    if (!bytes) return report(err, bytes.error());
    *n_bytes = bytes->size();
    if (bytes->size() > capacity) return report(err, PONDER_STATUS_BUFFER_TOO_SMALL, "the pipeline cache is larger than the buffer");
    if (!bytes->empty()) std::memcpy(dst, bytes->data(), bytes->size());
    return PONDER_STATUS_OK;
} catch (const std::bad_alloc&) {
    return report(err, PONDER_STATUS_OUT_OF_MEMORY, "no memory for a pipeline cache");
}

ponder_status device_free_bytes(int32_t index, uint64_t* out, ponder_error* err) try {
    *out = 0;
    const auto instance = Instance::create(false);
    if (!instance) return report(err, instance.error());
    const auto devices = (*instance)->list_devices();
    if (!devices) return report(err, devices.error());
    if (index < 0 || static_cast<size_t>(index) >= devices->size())
        return report(err, PONDER_STATUS_NOT_FOUND, "no Vulkan device of that number");
    *out = (*instance)->free_bytes((*devices)[static_cast<size_t>(index)]);
    return PONDER_STATUS_OK;
} catch (const std::bad_alloc&) {
    return report(err, PONDER_STATUS_OUT_OF_MEMORY, "no memory to list devices");
}

constexpr ponder_backend kBackend = {
    .struct_size = sizeof(ponder_backend),
    .api_version = PONDER_BACKEND_API_VERSION,
    .name = "vulkan",
    .device_count = device_count,
    .device_describe = device_describe,
    .device_open = device_open,
    .device_close = device_close,
    .device_threads = device_threads,
    .buffer_alloc = buffer_alloc,
    .buffer_free = buffer_free,
    .buffer_write = buffer_write,
    .buffer_read = buffer_read,
    .buffer_copy = buffer_copy,
    .buffer_import = buffer_import,
    .supports = supports,
    .scratch_bytes = scratch_bytes,
    .prepare = prepare,
    .release = release,
    .run = run_plan,
    .wait = nullptr,
    .rows_of_run = rows_of_run,
    .device_identity = device_identity,
    .cache_write = cache_write,
    .cache_read = cache_read,
    .device_free_bytes = device_free_bytes,
    .plain_variant = kPlainVariant,
};

}  // namespace

}  // namespace ponder::vk

extern "C" const ponder_backend* ponder_vulkan_backend(void) { return &ponder::vk::kBackend; }
