// SPDX-License-Identifier: Apache-2.0
// Plans the layout of a GGUF file, then streams it out.
#include "format/gguf_writer.hpp"

#include <algorithm>
#include <bit>
#include <cinttypes>
#include <optional>
#include <utility>

#include "base/checked.hpp"
#include "base/limits.hpp"
#include "base/utf8.hpp"
#include "format/gguf_encode.hpp"
#include "quant/quant.hpp"

namespace ponder {

namespace {

// llama.cpp keeps names in 64 bytes with a terminating zero.
constexpr size_t kMaxPortableNameBytes = 63;

Error refused(std::string_view name, const std::string& reason) {
    return make_error(PONDER_STATUS_INVALID_ARGUMENT, "tensor '%s': %s", printable(name).c_str(), reason.c_str());
}

bool is_name(std::string_view text, uint64_t max_bytes) {
    return !text.empty() && text.size() <= max_bytes && is_utf8(text) && text.find('\0') == std::string_view::npos;
}

// Bytes of all rows; nothing if a row is not whole blocks or a product wraps.
std::optional<uint64_t> planned_bytes(const QuantType& type, std::span<const int64_t> dims) {
    std::optional<uint64_t> n_bytes = row_bytes(type, static_cast<uint64_t>(dims[0]));
    for (const int64_t dim : dims.subspan(1)) {
        if (n_bytes) n_bytes = checked_mul(*n_bytes, static_cast<uint64_t>(dim));
    }
    return n_bytes;
}

bool has_quantised_type(int32_t id) {
    const QuantType* type = find_quant_type(id);
    return type != nullptr && type->block_len > 1;
}

}  // namespace

Result<GgufWriter> GgufWriter::create(const std::string& path, uint32_t alignment) {
    if (!std::has_single_bit(alignment) || alignment < limits::kMinAlignment || alignment > limits::kMaxAlignment) {
        return make_error(PONDER_STATUS_INVALID_ARGUMENT, "%s: alignment %u is not a power of two from %" PRIu64 " to %" PRIu64,
                          path.c_str(), alignment, limits::kMinAlignment, limits::kMaxAlignment);
    }
    auto file = OutputFile::create(path);
    if (!file) return file.error();
    return GgufWriter(std::move(*file), alignment);
}

void GgufWriter::copy_metadata(const Metadata& source) {
    for (const Metadata::Entry& entry : source.entries()) {
        if (entry.key == gguf::kAlignmentKey || entry.key.starts_with(gguf::kSplitPrefix)) continue;
        metadata_.set(entry.key, entry.value);
    }
}

Result<void> GgufWriter::add_tensor(std::string_view name, int32_t type_id, std::span<const int64_t> dims) {
    if (has_header_) return refused(name, "added after the header was written");
    if (!is_name(name, kMaxPortableNameBytes)) {
        return refused(name, "a name is 1 to " + std::to_string(kMaxPortableNameBytes) + " bytes of UTF-8 without zeros");
    }
    if (names_.contains(name)) return refused(name, "added twice");
    if (tensors_.size() >= limits::kMaxTensors) return refused(name, "more than " + std::to_string(limits::kMaxTensors) + " tensors");
    if (dims.empty() || dims.size() > static_cast<size_t>(limits::kMaxDims)) {
        return refused(name, std::to_string(dims.size()) + " dimensions, 1 to " + std::to_string(limits::kMaxDims) + " are possible");
    }
    for (const int64_t dim : dims) {
        if (dim > 0 && static_cast<uint64_t>(dim) <= limits::kMaxDimension) continue;
        return refused(name, "dimension " + std::to_string(dim) + " is not from 1 to " + std::to_string(limits::kMaxDimension));
    }
    const QuantType* type = find_quant_type(type_id);
    if (type == nullptr || type_id >= kFirstForeignType) return refused(name, "type " + std::to_string(type_id) + " is unknown");
    const auto n_bytes = planned_bytes(*type, dims);
    const auto padded = n_bytes ? checked_align<uint64_t>(*n_bytes, alignment_) : std::nullopt;
    const auto end = padded ? checked_add(data_bytes_, *padded) : std::nullopt;
    if (!end) return refused(name, "rows are not whole blocks of type " + std::string(type->name) + ", or the data is too large");

    Planned planned = {std::string(name), type_id, static_cast<int>(dims.size()), {1, 1, 1, 1}, *n_bytes, data_bytes_};
    std::copy(dims.begin(), dims.end(), planned.dims.begin());
    names_.insert(planned.name);
    tensors_.push_back(std::move(planned));
    data_bytes_ = *end;
    return {};
}

// A file that this library would not read back is not written.
Result<void> GgufWriter::check_metadata() const {
    if (metadata_.entries().size() > limits::kMaxMetadataKeys) {
        return make_error(PONDER_STATUS_INVALID_ARGUMENT, "%s: %zu metadata keys, the limit is %" PRIu64, file_.path().c_str(),
                          metadata_.entries().size(), limits::kMaxMetadataKeys);
    }
    for (const auto& [key, value] : metadata_.entries()) {
        const auto is_short = [](std::string_view text) { return text.size() <= limits::kMaxStringBytes; };
        const bool is_writable = is_name(key, limits::kMaxKeyBytes) && is_short(value.text()) &&
                                 value.size() <= limits::kMaxArrayElements &&
                                 std::all_of(value.strings().begin(), value.strings().end(), is_short);
        if (is_writable) continue;
        return make_error(PONDER_STATUS_INVALID_ARGUMENT, "%s: metadata key '%s': key or value is past a limit of the format",
                          file_.path().c_str(), printable(key).c_str());
    }
    return {};
}

Result<void> GgufWriter::write_header() {
    if (has_header_) return make_error(PONDER_STATUS_INVALID_ARGUMENT, "%s: the header is already written", file_.path().c_str());
    if (alignment_ != gguf::kDefaultAlignment) {
        metadata_.set(gguf::kAlignmentKey, Value::from_u32(alignment_));
    } else {
        metadata_.erase(gguf::kAlignmentKey);
    }
    const bool is_quantised = std::any_of(tensors_.begin(), tensors_.end(), [](const Planned& t) { return has_quantised_type(t.type); });
    if (is_quantised && metadata_.find(gguf::kQuantizationVersionKey) == nullptr) {
        metadata_.set(gguf::kQuantizationVersionKey, Value::from_u32(gguf::kQuantizationVersion));
    }
    if (auto ok = check_metadata(); !ok) return ok;

    std::string header(gguf::kMagic);
    gguf::put<uint32_t>(header, gguf::kVersion);
    gguf::put<uint64_t>(header, tensors_.size());
    gguf::put<uint64_t>(header, metadata_.entries().size());
    for (const auto& [key, value] : metadata_.entries()) {
        gguf::put_string(header, key);
        gguf::put_value(header, value);
    }
    for (const Planned& tensor : tensors_) {
        gguf::put_string(header, tensor.name);
        gguf::put<uint32_t>(header, static_cast<uint32_t>(tensor.n_dims));
        for (size_t i = 0; i < static_cast<size_t>(tensor.n_dims); ++i) gguf::put<int64_t>(header, tensor.dims[i]);
        gguf::put<int32_t>(header, tensor.type);
        gguf::put<uint64_t>(header, tensor.offset);
    }
    has_header_ = true;
    if (auto ok = file_.write(std::as_bytes(std::span(header))); !ok) return ok;
    return pad();
}

// The header's end is where the data section would start, so that aligning the file's length aligns offsets as well.
Result<void> GgufWriter::pad() {
    static constexpr std::array<std::byte, 4096> kZeros = {};
    uint64_t missing = (alignment_ - file_.n_written() % alignment_) % alignment_;
    while (missing > 0) {
        const auto piece = std::min<uint64_t>(missing, kZeros.size());
        if (auto ok = file_.write(std::span(kZeros).first(piece)); !ok) return ok;
        missing -= piece;
    }
    return {};
}

Result<void> GgufWriter::append(std::span<const std::byte> data) {
    if (!has_header_ || current_ == tensors_.size()) {
        return make_error(PONDER_STATUS_INVALID_ARGUMENT, "%s: %zu bytes of data, but no tensor waits for any", file_.path().c_str(),
                          data.size());
    }
    const Planned& tensor = tensors_[current_];
    const uint64_t missing = tensor.n_bytes - current_bytes_;
    if (data.size() > missing) {
        return refused(tensor.name, std::to_string(data.size()) + " bytes of data where " + std::to_string(missing) + " are missing");
    }
    if (auto ok = file_.write(data); !ok) return ok;
    current_bytes_ += data.size();
    if (current_bytes_ < tensor.n_bytes) return {};
    ++current_;
    current_bytes_ = 0;
    return pad();
}

Result<void> GgufWriter::check_complete() const {
    if (!has_header_) return make_error(PONDER_STATUS_INVALID_ARGUMENT, "%s: finished without a header", file_.path().c_str());
    if (current_ < tensors_.size()) {
        const Planned& tensor = tensors_[current_];
        return refused(tensor.name, "finished with " + std::to_string(current_bytes_) + " of " + std::to_string(tensor.n_bytes) + " bytes");
    }
    return {};
}

Result<std::string> GgufWriter::flush() {
    if (auto complete = check_complete(); !complete) return complete.error();
    if (auto flushed = file_.flush(); !flushed) return flushed.error();
    return file_.temporary();
}

Result<void> GgufWriter::finish() {
    if (auto complete = check_complete(); !complete) return complete;
    return file_.commit();
}

}  // namespace ponder
