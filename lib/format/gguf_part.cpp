// SPDX-License-Identifier: Apache-2.0
// Header and tensor table of one GGUF file.
#include "format/gguf_part.hpp"

#include <algorithm>
#include <cinttypes>
#include <limits>
#include <numeric>
#include <optional>
#include <string>
#include <utility>

#include "base/checked.hpp"
#include "base/limits.hpp"
#include "base/utf8.hpp"
#include "format/gguf_cursor.hpp"
#include "format/gguf_format.hpp"
#include "format/gguf_metadata.hpp"
#include "quant/quant.hpp"

namespace ponder::gguf {

namespace {

// Name of one byte, its length, n_dims, one dimension, type, offset.
constexpr uint64_t kMinTensorBytes = 8 + 1 + 4 + 8 + 4 + 8;

struct TensorInfo {
    StoredTensor tensor;  // file_offset counts from the data section until place_tensors()
    uint64_t n_bytes = 0;
};

std::string tensor_label(size_t index, std::string_view name) { return "tensor " + std::to_string(index) + " '" + printable(name) + "'"; }

Result<void> read_magic_and_version(Cursor& cursor) {
    const auto magic = cursor.take("magic", kMagic.size());
    if (!magic) return with_context(magic.error(), "not a GGUF file");
    const auto* bytes = reinterpret_cast<const unsigned char*>(magic->data());
    if (std::string_view(reinterpret_cast<const char*>(bytes), kMagic.size()) != kMagic) {
        return make_error(PONDER_STATUS_FORMAT, "not a GGUF file: begins with bytes %02x %02x %02x %02x, not 'GGUF'", bytes[0], bytes[1],
                          bytes[2], bytes[3]);
    }
    const auto version = cursor.read<uint32_t>("version");
    if (!version) return version.error();
    if (*version >= kMinVersion && *version <= kVersion) return {};
    const uint32_t swapped = __builtin_bswap32(*version);
    if (*version != 0 && swapped <= kVersion) {
        return make_error(PONDER_STATUS_UNSUPPORTED, "version %u with swapped bytes: big-endian GGUF files are not supported", swapped);
    }
    return make_error(*version == 0 ? PONDER_STATUS_FORMAT : PONDER_STATUS_UNSUPPORTED,
                      "GGUF version %u is not supported, versions %u to %u are", *version, kMinVersion, kVersion);
}

Result<uint64_t> read_alignment(const Metadata& metadata) {
    const auto stored = metadata.get_u32(kAlignmentKey);
    if (!stored) return stored.error();
    const uint64_t alignment = stored->value_or(kDefaultAlignment);
    if (alignment > limits::kMaxAlignment) {
        return make_error(PONDER_STATUS_LIMIT, "general.alignment: %" PRIu64 ", the limit is %" PRIu64, alignment, limits::kMaxAlignment);
    }
    if (alignment < limits::kMinAlignment || !std::has_single_bit(alignment)) {
        return make_error(PONDER_STATUS_FORMAT, "general.alignment: %" PRIu64 " is not a power of two from %" PRIu64 " to %" PRIu64,
                          alignment, limits::kMinAlignment, limits::kMaxAlignment);
    }
    return alignment;
}

Result<void> read_dims(Cursor& cursor, StoredTensor& tensor) {
    const auto n_dims = cursor.read<uint32_t>("n_dims");
    if (!n_dims) return n_dims.error();
    if (*n_dims == 0) return make_error(PONDER_STATUS_FORMAT, "n_dims: 0, a tensor has at least 1");
    if (*n_dims > limits::kMaxDims) return make_error(PONDER_STATUS_LIMIT, "n_dims: %u, the limit is %d", *n_dims, limits::kMaxDims);
    tensor.n_dims = static_cast<int>(*n_dims);
    for (size_t i = 0; i < *n_dims; ++i) {
        const auto dim = cursor.read<int64_t>("dims");
        if (!dim) return dim.error();
        if (*dim <= 0) return make_error(PONDER_STATUS_FORMAT, "dims[%zu]: %" PRId64 " is not positive", i, *dim);
        if (static_cast<uint64_t>(*dim) > limits::kMaxDimension) {
            return make_error(PONDER_STATUS_LIMIT, "dims[%zu]: %" PRId64 ", the limit is %" PRIu64, i, *dim, limits::kMaxDimension);
        }
        tensor.dims[i] = *dim;
    }
    return {};
}

Result<const QuantType*> known_type(int32_t id) {
    if (const QuantType* type = id < kFirstForeignType ? find_quant_type(id) : nullptr) return type;
    if (const char* name = refused_type_name(id)) {
        return make_error(PONDER_STATUS_UNSUPPORTED, "type %d (%s) is not supported", id, name);
    }
    return make_error(PONDER_STATUS_UNSUPPORTED, "type %d is unknown", id);
}

// Stored bytes of the whole tensor; both the bytes and the number of elements fit in int64.
Result<uint64_t> tensor_bytes(const StoredTensor& tensor, const QuantType& type) {
    constexpr auto kMax = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
    const auto row_length = static_cast<uint64_t>(tensor.dims[0]);
    if (row_length % type.block_len != 0) {
        return make_error(PONDER_STATUS_FORMAT, "dims[0]: %" PRIu64 " is not a multiple of %u, the block length of type %s", row_length,
                          type.block_len, type.name);
    }
    std::optional<uint64_t> n_bytes = row_bytes(type, row_length);
    std::optional<uint64_t> n_elements = row_length;
    for (size_t i = 1; i < tensor.dims.size(); ++i) {
        const auto dim = static_cast<uint64_t>(tensor.dims[i]);
        if (n_bytes) n_bytes = checked_mul(*n_bytes, dim);
        if (n_elements) n_elements = checked_mul(*n_elements, dim);
    }
    if (!n_bytes || !n_elements || *n_bytes > kMax || *n_elements > kMax) {
        return make_error(PONDER_STATUS_LIMIT,
                          "dims: %" PRId64 " x %" PRId64 " x %" PRId64 " x %" PRId64 " elements are more than 2^63 - 1", tensor.dims[0],
                          tensor.dims[1], tensor.dims[2], tensor.dims[3]);
    }
    return *n_bytes;
}

Result<void> read_type_and_offset(Cursor& cursor, uint64_t alignment, TensorInfo& info) {
    const auto type_id = cursor.read<int32_t>("type");
    if (!type_id) return type_id.error();
    const auto offset = cursor.read<uint64_t>("offset");
    if (!offset) return offset.error();
    const auto type = known_type(*type_id);
    if (!type) return type.error();
    const auto n_bytes = tensor_bytes(info.tensor, **type);
    if (!n_bytes) return n_bytes.error();
    if (*offset % alignment != 0) {
        return make_error(PONDER_STATUS_FORMAT, "offset: %" PRIu64 " is not a multiple of the alignment %" PRIu64, *offset, alignment);
    }
    info.tensor.type = *type_id;
    info.tensor.file_offset = *offset;
    info.n_bytes = *n_bytes;
    return {};
}

Result<TensorInfo> read_tensor_info(Cursor& cursor, size_t index, uint64_t alignment) {
    const auto name = read_name(cursor, "name", limits::kMaxTensorNameBytes);
    if (!name) return with_context(name.error(), "tensor " + std::to_string(index));
    TensorInfo info;
    info.tensor.name = *name;
    if (auto ok = read_dims(cursor, info.tensor); !ok) return with_context(ok.error(), tensor_label(index, *name));
    if (auto ok = read_type_and_offset(cursor, alignment, info); !ok) return with_context(ok.error(), tensor_label(index, *name));
    return info;
}

// Turns offsets into data, once the end of the table says where the data section starts.
Result<void> place_tensors(std::span<const std::byte> file, uint64_t header_bytes, uint64_t alignment, std::vector<TensorInfo>& infos) {
    const auto data_start = checked_align<uint64_t>(header_bytes, alignment);
    for (size_t i = 0; i < infos.size(); ++i) {
        StoredTensor& tensor = infos[i].tensor;
        const auto begin = data_start ? checked_add(*data_start, tensor.file_offset) : std::nullopt;
        if (!begin || !range_fits<uint64_t>(*begin, infos[i].n_bytes, file.size())) {
            return make_error(PONDER_STATUS_FORMAT,
                              "%s: offset: %" PRIu64 " bytes of data at offset %" PRIu64
                              " of the data section reach past the end of the file (%zu bytes, data section at %" PRIu64 ")",
                              tensor_label(i, tensor.name).c_str(), infos[i].n_bytes, tensor.file_offset, file.size(),
                              data_start.value_or(0));
        }
        tensor.file_offset = *begin;
        tensor.data = file.subspan(*begin, infos[i].n_bytes);
    }
    return {};
}

Result<void> check_overlaps(const std::vector<StoredTensor>& tensors) {
    std::vector<uint32_t> order(tensors.size());
    std::iota(order.begin(), order.end(), 0u);
    std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return tensors[a].file_offset < tensors[b].file_offset; });
    for (size_t i = 1; i < order.size(); ++i) {
        const StoredTensor& before = tensors[order[i - 1]];
        const StoredTensor& after = tensors[order[i]];
        if (before.file_offset + before.data.size() <= after.file_offset) continue;
        return make_error(PONDER_STATUS_FORMAT, "%s: offset: data at byte %" PRIu64 " of the file overlaps %s",
                          tensor_label(order[i], after.name).c_str(), after.file_offset, tensor_label(order[i - 1], before.name).c_str());
    }
    return {};
}

Result<std::vector<StoredTensor>> read_tensors(Cursor& cursor, std::span<const std::byte> file, uint64_t n_tensors, uint64_t alignment,
                                               int32_t file_index) {
    if (auto ok = check_count("number of tensors", n_tensors, limits::kMaxTensors, kMinTensorBytes, cursor.remaining()); !ok) {
        return ok.error();
    }
    std::vector<TensorInfo> infos;
    infos.reserve(n_tensors);
    for (size_t i = 0; i < n_tensors; ++i) {
        auto info = read_tensor_info(cursor, i, alignment);
        if (!info) return info.error();
        info->tensor.file_index = file_index;
        infos.push_back(std::move(*info));
    }
    if (auto ok = place_tensors(file, cursor.offset(), alignment, infos); !ok) return ok.error();
    std::vector<StoredTensor> tensors;
    tensors.reserve(infos.size());
    for (TensorInfo& info : infos) tensors.push_back(std::move(info.tensor));
    if (auto ok = check_overlaps(tensors); !ok) return ok.error();
    return tensors;
}

}  // namespace

Result<Part> parse_part(std::span<const std::byte> file, int32_t file_index) {
    Cursor cursor(file);
    if (auto ok = read_magic_and_version(cursor); !ok) return ok.error();
    const auto n_tensors = cursor.read<uint64_t>("number of tensors");
    if (!n_tensors) return n_tensors.error();
    const auto n_keys = cursor.read<uint64_t>("number of metadata keys");
    if (!n_keys) return n_keys.error();
    // Before the keys are read: a lie about the tensors then costs nothing.
    if (auto ok = check_count("number of tensors", *n_tensors, limits::kMaxTensors, kMinTensorBytes, cursor.remaining()); !ok) {
        return ok.error();
    }
    auto metadata = read_metadata(cursor, *n_keys);
    if (!metadata) return metadata.error();
    const auto alignment = read_alignment(*metadata);
    if (!alignment) return alignment.error();
    auto tensors = read_tensors(cursor, file, *n_tensors, *alignment, file_index);
    if (!tensors) return tensors.error();
    return Part{std::move(*metadata), std::move(*tensors)};
}

}  // namespace ponder::gguf
