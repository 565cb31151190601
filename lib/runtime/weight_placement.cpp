// SPDX-License-Identifier: Apache-2.0
// Finds the mapped file that holds a weight's bytes by their address.
#include "runtime/weight_placement.hpp"

#include <algorithm>
#include <functional>
#include <iterator>
#include <set>
#include <utility>

namespace ponder {

namespace {

bool reads_rows_only(const Program& program, const ponder_op& op) {
    if (op.kind != PONDER_OP_EMBED) return false;
    const ponder_operand& table = program.operands()[static_cast<size_t>(op.src[0])];
    return table.slices == nullptr && table.scales < 0;
}

}  // namespace

std::vector<std::span<const std::byte>> resident_weights(const Program& program) {
    std::vector<std::span<const std::byte>> all;
    std::set<const void*> seen;
    const auto add = [&](const void* data, uint64_t n_bytes) {
        if (n_bytes > 0 && seen.insert(data).second) all.push_back({static_cast<const std::byte*>(data), static_cast<size_t>(n_bytes)});
    };
    const auto add_operand = [&](int32_t id) {
        const ponder_operand& weight = program.operands()[static_cast<size_t>(id)];
        if (weight.role != PONDER_OPERAND_WEIGHT || weight.is_streamed != 0) return;
        if (weight.slices == nullptr) return add(weight.host_data, weight.n_bytes);
        for (int64_t i = 0; i < weight.dims[2]; i++)
            add(weight.slices[i].host_data, weight.n_bytes / static_cast<uint64_t>(weight.dims[2]));
    };
    for (const ponder_op& op : program.ops()) {
        if (reads_rows_only(program, op)) continue;
        for (const int32_t id : op.src) {
            if (id < 0) continue;
            add_operand(id);
            const int32_t scales = program.operands()[static_cast<size_t>(id)].scales;
            if (scales >= 0) add_operand(scales);
        }
    }
    return all;
}

uint64_t resident_bytes(const Program& program) {
    uint64_t total = 0;
    for (const auto& bytes : resident_weights(program)) total += bytes.size();
    return total;
}

int32_t find_row_table(const Program& program) {
    const auto resident = resident_weights(program);
    for (const ponder_op& op : program.ops()) {
        if (!reads_rows_only(program, op)) continue;
        const auto* data = static_cast<const std::byte*>(program.operands()[static_cast<size_t>(op.src[0])].host_data);
        if (std::none_of(resident.begin(), resident.end(), [&](const auto& bytes) { return bytes.data() == data; })) return op.src[0];
    }
    return -1;
}

Result<void> WeightPlacement::place_files(const Device& device, const ModelFile& file) {
    for (const MappedFile& mapped : file.files) {
        auto buffer = device.place(mapped.bytes().data(), mapped.bytes().size());
        if (!buffer) return buffer.error();
        regions_.push_back({mapped.bytes(), std::move(*buffer)});
    }
    std::sort(regions_.begin(), regions_.end(),
              [](const Region& a, const Region& b) { return std::less<>()(a.bytes.data(), b.bytes.data()); });
    return {};
}

const WeightPlacement::Region* WeightPlacement::find(const void* data) const {
    const auto* wanted = static_cast<const std::byte*>(data);
    auto after = std::upper_bound(regions_.begin(), regions_.end(), wanted,
                                  [](const std::byte* a, const Region& b) { return std::less<>()(a, b.bytes.data()); });
    if (after == regions_.begin()) return nullptr;
    const Region& region = *--after;
    return std::less<>()(wanted, region.bytes.data() + region.bytes.size()) ? &region : nullptr;
}

Result<void> WeightPlacement::bind(const Device& device, Program& program) {
    std::vector<Buffer> constants;
    const auto bind_bytes = [&](const void* data, uint64_t n_bytes, ponder_buffer*& buffer, uint64_t& offset) -> Result<void> {
        if (const Region* region = find(data)) {
            buffer = region->buffer.get();
            offset = static_cast<uint64_t>(static_cast<const std::byte*>(data) - region->bytes.data());
            return {};
        }
        auto own = device.place(data, n_bytes);
        if (!own) return own.error();
        constants.push_back(std::move(*own));
        buffer = constants.back().get();
        offset = 0;
        return {};
    };
    for (ponder_operand& operand : program.operands()) {
        if (operand.role != PONDER_OPERAND_WEIGHT || operand.is_streamed != 0) continue;
        if (operand.slices == nullptr) {
            if (auto bound = bind_bytes(operand.host_data, operand.n_bytes, operand.buffer, operand.offset); !bound) return bound;
            continue;
        }
        const auto slices = program.slices_of(operand);
        for (ponder_slice& slice : slices) {
            if (auto bound = bind_bytes(slice.host_data, operand.n_bytes / slices.size(), slice.buffer, slice.offset); !bound) return bound;
        }
    }
    std::move(constants.begin(), constants.end(), std::back_inserter(constants_));
    return {};
}

}  // namespace ponder
