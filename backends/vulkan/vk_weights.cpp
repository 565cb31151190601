// SPDX-License-Identifier: Apache-2.0
// Uploads weights: pieces of rows are cut into planes by all workers and written one after the other.
#include <algorithm>

#include "vk_buffer.hpp"

namespace ponder::vk {

namespace {

constexpr uint64_t kPieceBytes = 8u << 20;
constexpr uint64_t kPlaneAlignment = 256;
constexpr uint64_t kSlack = 16;  // shaders may read the word after a plane's last

uint64_t align(uint64_t n) { return (n + kPlaneAlignment - 1) / kPlaneAlignment * kPlaneAlignment; }

struct Piece {
    size_t slice;
    int64_t first_row, n_rows;
};

uint64_t stored_row_bytes(const QuantType& type, int64_t n_cols) {
    return static_cast<uint64_t>(n_cols / type.block_len) * type.block_bytes;
}

bool has_factors(const QuantType& type) { return type.id == kF8E4M3; }

uint64_t factor_bytes(int64_t n_cols, int64_t n_rows) { return static_cast<uint64_t>(f8_blocks(n_cols) * f8_blocks(n_rows)) * 4; }

// The bytes of an operand's slices in host memory; read back into `copies` where they are on the device only.
Result<std::vector<const std::byte*>> host_slices(Device& device, const ponder_operand& weight,
                                                  std::vector<std::vector<std::byte>>& copies) {
    const auto n = static_cast<size_t>(weight.dims[2]);
    const uint64_t size = weight.n_bytes / n;
    std::vector<const std::byte*> slices;
    for (size_t i = 0; i < n; i++) {
        const Buffer* buffer = own(weight.slices != nullptr ? weight.slices[i].buffer : weight.buffer);
        const uint64_t offset = weight.slices != nullptr ? weight.slices[i].offset : weight.offset + i * size;
        if (buffer == nullptr || offset > buffer->n_bytes || size > buffer->n_bytes - offset)
            return make_error(PONDER_STATUS_INVALID_ARGUMENT, "weight '%s' lies outside of its buffer", weight.name);
        if (buffer->host != nullptr) {
            slices.push_back(buffer->host + offset);
            continue;
        }
        copies.emplace_back(size);
        if (auto read = device.read(buffer->memory, offset, copies.back().data(), size); !read) return read.error();
        slices.push_back(copies.back().data());
    }
    return slices;
}

// The buffer that keeps what is made of an operand; null if its bytes may change.
Buffer* keeper(const ponder_operand& weight) {
    Buffer* buffer = own(weight.slices != nullptr ? weight.slices[0].buffer : weight.buffer);
    return buffer != nullptr && buffer->host != nullptr ? buffer : nullptr;
}

// What `make` makes, kept under `key` by the operand's buffer.
template <class Make>
Result<const DeviceWeight*> keep(const ponder_operand& weight, const Buffer::WeightKey& key,
                                 std::vector<std::unique_ptr<DeviceWeight>>& kept, const Make& make) {
    Buffer* buffer = keeper(weight);
    if (buffer == nullptr) {
        auto made = make();
        if (!made) return made.error();
        kept.push_back(std::move(*made));
        return static_cast<const DeviceWeight*>(kept.back().get());
    }
    const std::lock_guard lock(buffer->mutex);
    auto& place = buffer->weights[key];
    if (place == nullptr) {
        auto made = make();
        if (!made) return with_context(made.error(), weight.name);
        place = std::move(*made);
    }
    return static_cast<const DeviceWeight*>(place.get());
}

}  // namespace

uint64_t device_bytes(const QuantType& type, int64_t n_cols, int64_t n_rows) {
    const TypeLayout layout = find_layout(type);
    uint64_t total = kSlack + (has_factors(type) ? align(factor_bytes(n_cols, n_rows)) : 0);
    for (int p = 0; p < layout.n_planes; p++) total += align(plane_row_bytes(layout, p, n_cols) * static_cast<uint64_t>(n_rows));
    return total;
}

Result<std::unique_ptr<DeviceWeight>> upload(Device& device, const QuantType& type, int64_t n_cols, int64_t slice_rows,
                                             const std::vector<const std::byte*>& slices, const std::vector<const std::byte*>& factors) {
    const TypeLayout layout = find_layout(type);
    const uint64_t n_rows = static_cast<uint64_t>(slice_rows) * slices.size();
    auto weight = std::make_unique<DeviceWeight>(device);
    weight->shader = layout.shader;
    weight->n_cols = static_cast<uint32_t>(n_cols);
    weight->units = static_cast<uint32_t>((n_cols + kUnit - 1) / kUnit);
    weight->slice_rows = static_cast<uint32_t>(slice_rows);
    weight->n_slices = static_cast<uint32_t>(slices.size());

    uint64_t offsets[kMaxPlanes] = {}, row_bytes[kMaxPlanes] = {}, total = 0;
    for (int p = 0; p < layout.n_planes; p++) {
        row_bytes[p] = plane_row_bytes(layout, p, n_cols);
        offsets[p] = total;
        total += align(row_bytes[p] * n_rows);
    }
    // Shaders count the bytes of types without planes of their own in 32 bits, and everything else in units of its size.
    if (total > (layout.pack == nullptr && type.block_len > 1 ? uint64_t{1} << 32 : uint64_t{1} << 34))
        return make_error(PONDER_STATUS_LIMIT, "a weight of %llu MiB is more than shaders can address",
                          static_cast<unsigned long long>(total >> 20));
    const uint64_t factors_at = total, factors_size = factor_bytes(n_cols, slice_rows);
    for (int p = 0; p < layout.n_planes; p++) weight->planes[p] = static_cast<uint32_t>(offsets[p] / 16);
    if (has_factors(type)) {
        weight->planes[1] = static_cast<uint32_t>(factors_at / 16);
        weight->planes[2] = static_cast<uint32_t>(slice_rows);
        total += align(factors_size * slices.size());
    }
    auto memory = device.memory().allocate(total + kSlack, MemoryKind::kDevice);
    if (!memory) return memory.error();
    weight->memory = *memory;

    const uint64_t stored = stored_row_bytes(type, n_cols);
    const int64_t piece_rows = std::max<int64_t>(1, static_cast<int64_t>(kPieceBytes / std::max<uint64_t>(1, stored)));
    std::vector<Piece> pieces;
    for (size_t s = 0; s < slices.size(); s++) {
        for (int64_t r = 0; r < slice_rows; r += piece_rows) pieces.push_back({s, r, std::min(piece_rows, slice_rows - r)});
    }
    std::mutex failure_mutex;
    Result<void> result;
    device.pool().parallel_for(static_cast<int64_t>(pieces.size()), [&](int64_t index, int) {
        const Piece& piece = pieces[static_cast<size_t>(index)];
        std::vector<std::byte> packed[kMaxPlanes];
        std::byte* planes[kMaxPlanes] = {};
        for (int p = 0; p < layout.n_planes; p++) {
            packed[p].resize(row_bytes[p] * static_cast<uint64_t>(piece.n_rows));
            planes[p] = packed[p].data();
        }
        pack_rows(layout, type, slices[piece.slice] + static_cast<uint64_t>(piece.first_row) * stored, piece.n_rows, n_cols, planes);
        const uint64_t row = piece.slice * static_cast<uint64_t>(slice_rows) + static_cast<uint64_t>(piece.first_row);
        for (int p = 0; p < layout.n_planes; p++) {
            auto written = device.write(weight->memory, offsets[p] + row * row_bytes[p], packed[p].data(), packed[p].size());
            const std::lock_guard lock(failure_mutex);
            if (!written && result) result = written.error();
        }
    });
    if (!result) return result.error();
    for (size_t s = 0; s < factors.size(); s++) {
        auto written = device.write(weight->memory, factors_at + s * factors_size, factors[s], factors_size);
        if (!written) return written.error();
    }
    return weight;
}

Result<const DeviceWeight*> place_weight(Device& device, const ponder_program& program, int32_t id,
                                         std::vector<std::unique_ptr<DeviceWeight>>& kept) {
    const ponder_operand& weight = program.operands[id];
    const QuantType& type = *find_quant_type(weight.type);
    std::vector<std::vector<std::byte>> copies;
    const auto slices = host_slices(device, weight, copies);
    if (!slices) return slices.error();
    std::vector<const std::byte*> factors;
    if (weight.scales >= 0) {
        auto found = host_slices(device, program.operands[weight.scales], copies);
        if (!found) return found.error();
        factors = std::move(*found);
    }
    const Buffer::WeightKey key{slices->front(), weight.type, weight.dims[0], weight.dims[1], false};
    return keep(weight, key, kept, [&] { return upload(device, type, weight.dims[0], weight.dims[1], *slices, factors); });
}

Result<const DeviceWeight*> place_turned_keys(Device& device, const ponder_program& program, int32_t id,
                                              const ponder_mla_attention_params& p, std::vector<std::unique_ptr<DeviceWeight>>& kept) {
    const ponder_operand& weight = program.operands[id];
    const QuantType& type = *find_quant_type(weight.type);
    std::vector<std::vector<std::byte>> copies;
    const auto slices = host_slices(device, weight, copies);
    if (!slices) return slices.error();
    const std::byte* factors = nullptr;
    if (weight.scales >= 0) {
        auto found = host_slices(device, program.operands[weight.scales], copies);
        if (!found) return found.error();
        factors = found->front();
    }
    const Buffer::WeightKey key{slices->front(), weight.type, weight.dims[0], weight.dims[1], true};
    return keep(weight, key, kept, [&]() -> Result<std::unique_ptr<DeviceWeight>> {
        const auto n_nope = static_cast<size_t>(p.n_nope), n_latent = static_cast<size_t>(p.n_latent),
                   n_heads = static_cast<size_t>(p.n_heads);
        std::vector<float> turned(n_heads * n_latent * n_nope), row(n_latent);
        std::vector<const std::byte*> heads;
        for (size_t h = 0; h < n_heads; h++) {
            float* head = turned.data() + h * n_latent * n_nope;
            for (size_t i = 0; i < n_nope; i++) {
                const auto at = static_cast<int64_t>(h * static_cast<size_t>(p.n_nope + p.v_head_dim) + i);
                type.decode(slices->front() + static_cast<uint64_t>(at) * stored_row_bytes(type, p.n_latent), row.data(),
                            p.n_latent / type.block_len);
                if (factors != nullptr) scale_f8_rows(row.data(), p.n_latent, at, 1, factors);
                for (size_t j = 0; j < n_latent; j++) head[j * n_nope + i] = row[j];
            }
            heads.push_back(reinterpret_cast<const std::byte*>(head));
        }
        return upload(device, *find_quant_type(PONDER_TYPE_F32), p.n_nope, p.n_latent, heads, {});
    });
}

}  // namespace ponder::vk
