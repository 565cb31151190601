// SPDX-License-Identifier: Apache-2.0
// Reads the header from the parser's events, so that its size bounds the memory that it takes, and repeated names are seen.
#include "format/safetensors.hpp"

#include <algorithm>
#include <cinttypes>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/checked.hpp"
#include "base/limits.hpp"
#include "base/utf8.hpp"
#include "quant/quant.hpp"

namespace ponder::safetensors {
namespace {

using Json = nlohmann::json;

constexpr size_t kLengthBytes = 8;
constexpr std::string_view kMetadataName = "__metadata__";

struct Dtype {
    std::string_view name;
    const char* type;  // of a QuantType
};
constexpr Dtype kDtypes[] = {{"F64", "F64"}, {"F32", "F32"}, {"F16", "F16"}, {"BF16", "BF16"}, {"F8_E4M3", "F8_E4M3"},
                             {"I64", "I64"}, {"I32", "I32"}, {"I16", "I16"}, {"I8", "I8"}};
// Known to the format, and without a counterpart here.
constexpr std::string_view kOtherDtypes[] = {"BOOL", "U8", "F8_E5M2", "U16", "U32", "U64"};

struct Entry {
    std::string name, dtype;
    std::vector<uint64_t> shape;  // slowest first
    std::vector<uint64_t> offsets;
    bool has_dtype = false, has_shape = false, has_offsets = false;
};

// Follows the two levels that a header has; whatever does not belong where it stands is an error at once.
class HeaderReader : public nlohmann::json_sax<Json> {
  public:
    bool null() override { return refuse("null"); }
    bool boolean(bool) override { return refuse("a boolean"); }
    bool number_integer(number_integer_t) override { return refuse("a negative number"); }
    bool number_float(number_float_t, const string_t&) override { return refuse("a number that is not an integer"); }
    bool binary(binary_t&) override { return refuse("binary data"); }

    bool number_unsigned(number_unsigned_t value) override {
        if (!is_list_open_) return refuse("a number");
        std::vector<uint64_t>& list = place_ == Place::kShape ? entry_.shape : entry_.offsets;
        const size_t most = place_ == Place::kShape ? static_cast<size_t>(limits::kMaxDims) : 2;
        if (list.size() == most) {
            return fail(place_ == Place::kShape ? PONDER_STATUS_LIMIT : PONDER_STATUS_FORMAT,
                        "more than " + std::to_string(most) + " numbers");
        }
        list.push_back(value);
        return true;
    }

    bool string(string_t& value) override {
        if (place_ == Place::kMetadata) return true;
        if (place_ != Place::kDtype) return refuse("a string");
        entry_.dtype = std::move(value);
        place_ = Place::kTensor;
        return true;
    }

    bool start_object(std::size_t) override {
        switch (place_) {
            case Place::kStart:
                place_ = Place::kFile;
                return true;
            case Place::kFile:
                place_ = is_metadata_ ? Place::kMetadata : Place::kTensor;
                return true;
            default:
                return refuse("an object");
        }
    }

    bool end_object() override {
        if (place_ == Place::kFile) {
            place_ = Place::kEnd;
            return true;
        }
        const bool is_tensor = place_ == Place::kTensor;
        place_ = Place::kFile;
        return is_tensor ? finish_entry() : true;
    }

    bool start_array(std::size_t) override { return place_ == Place::kShape || place_ == Place::kOffsets ? open_list() : refuse("a list"); }

    bool end_array() override {
        if (place_ == Place::kOffsets && entry_.offsets.size() != 2) return fail(PONDER_STATUS_FORMAT, "needs two numbers");
        is_list_open_ = false;
        place_ = Place::kTensor;
        return true;
    }

    bool key(string_t& name) override {
        if (place_ == Place::kMetadata) return true;
        if (place_ == Place::kFile) return start_entry(std::move(name));
        bool* is_there = nullptr;
        if (name == "dtype") place_ = Place::kDtype, is_there = &entry_.has_dtype;
        if (name == "shape") place_ = Place::kShape, is_there = &entry_.has_shape;
        if (name == "data_offsets") place_ = Place::kOffsets, is_there = &entry_.has_offsets;
        if (is_there == nullptr) return fail(PONDER_STATUS_FORMAT, "unknown field '" + printable(name) + "'");
        if (*is_there) return fail(PONDER_STATUS_FORMAT, "is there twice");
        *is_there = true;
        return true;
    }

    bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) override {
        error_ = make_error(PONDER_STATUS_FORMAT, "header: JSON: syntax error at byte %zu", position);
        return false;
    }

    Error take_error() { return std::move(error_); }
    std::vector<Entry> take_entries() { return std::move(entries_); }

  private:
    // What the next event belongs to.
    enum class Place { kStart, kFile, kMetadata, kTensor, kDtype, kShape, kOffsets, kEnd };

    bool open_list() {
        if (is_list_open_) return refuse("a list");
        is_list_open_ = true;
        return true;
    }

    bool start_entry(std::string name) {
        is_metadata_ = name == kMetadataName;
        entry_ = {};
        if (is_metadata_) {
            if (std::exchange(has_metadata_, true)) return fail(PONDER_STATUS_FORMAT, "__metadata__ is there twice");
            return true;
        }
        entry_.name = std::move(name);
        if (entry_.name.empty()) return fail(PONDER_STATUS_FORMAT, "its name is empty");
        if (entry_.name.size() > limits::kMaxTensorNameBytes) {
            return fail(PONDER_STATUS_LIMIT, "its name has " + std::to_string(entry_.name.size()) + " bytes, the limit is " +
                                                 std::to_string(limits::kMaxTensorNameBytes));
        }
        if (entries_.size() == limits::kMaxTensors) {
            return fail(PONDER_STATUS_LIMIT, "more than " + std::to_string(limits::kMaxTensors) + " tensors");
        }
        return true;
    }

    bool finish_entry() {
        place_ = Place::kDtype;
        if (!entry_.has_dtype) return fail(PONDER_STATUS_FORMAT, "is missing");
        place_ = Place::kShape;
        if (!entry_.has_shape) return fail(PONDER_STATUS_FORMAT, "is missing");
        place_ = Place::kOffsets;
        if (!entry_.has_offsets) return fail(PONDER_STATUS_FORMAT, "is missing");
        place_ = Place::kFile;
        entries_.push_back(std::move(entry_));
        return true;
    }

    bool refuse(const char* what) { return fail(PONDER_STATUS_FORMAT, std::string(what) + " is not allowed here"); }

    bool fail(ponder_status status, const std::string& why) {
        const char* field = "";
        if (place_ == Place::kDtype) field = " dtype:";
        if (place_ == Place::kShape) field = " shape:";
        if (place_ == Place::kOffsets) field = " data_offsets:";
        const std::string where = is_metadata_ || entry_.name.empty() ? "" : " tensor '" + printable(entry_.name) + "':";
        error_ = make_error(status, "header:%s%s %s", where.c_str(), field, why.c_str());
        return false;
    }

    Place place_ = Place::kStart;
    bool is_metadata_ = false, has_metadata_ = false, is_list_open_ = false;
    Entry entry_;
    std::vector<Entry> entries_;
    Error error_;
};

std::string label(const std::string& name) { return "tensor '" + printable(name) + "'"; }

Result<const QuantType*> find_type(const Entry& entry) {
    for (const Dtype& dtype : kDtypes) {
        if (dtype.name == entry.dtype) return find_quant_type(dtype.type);
    }
    const bool is_known = std::find(std::begin(kOtherDtypes), std::end(kOtherDtypes), entry.dtype) != std::end(kOtherDtypes);
    return make_error(is_known ? PONDER_STATUS_UNSUPPORTED : PONDER_STATUS_FORMAT, "%s: dtype: '%s' %s", label(entry.name).c_str(),
                      printable(entry.dtype).c_str(), is_known ? "cannot be read" : "is not known");
}

Result<uint64_t> set_shape(const Entry& entry, const QuantType& type, StoredTensor& tensor) {
    constexpr uint64_t kMax = INT64_MAX;
    std::optional<uint64_t> n_bytes = type.block_bytes;
    tensor.n_dims = std::max<int>(1, static_cast<int>(entry.shape.size()));  // a scalar is a vector of one
    for (size_t i = 0; i < entry.shape.size(); ++i) {
        const uint64_t extent = entry.shape[entry.shape.size() - 1 - i];
        if (extent == 0) return make_error(PONDER_STATUS_FORMAT, "%s: shape: a dimension is 0", label(entry.name).c_str());
        if (extent > limits::kMaxDimension) {
            return make_error(PONDER_STATUS_LIMIT, "%s: shape: a dimension is %" PRIu64 ", the limit is %" PRIu64,
                              label(entry.name).c_str(), extent, limits::kMaxDimension);
        }
        tensor.dims[i] = static_cast<int64_t>(extent);
        if (n_bytes) n_bytes = checked_mul(*n_bytes, extent);
    }
    if (!n_bytes || *n_bytes > kMax)
        return make_error(PONDER_STATUS_LIMIT, "%s: shape: more than 2^63 - 1 bytes", label(entry.name).c_str());
    return *n_bytes;
}

Result<StoredTensor> make_tensor(Entry& entry, std::span<const std::byte> file, uint64_t header_bytes, int32_t file_index) {
    const auto type = find_type(entry);
    if (!type) return type.error();
    StoredTensor tensor;
    tensor.type = (*type)->id;
    tensor.file_index = file_index;
    const auto n_bytes = set_shape(entry, **type, tensor);
    if (!n_bytes) return n_bytes.error();
    const uint64_t begin = entry.offsets[0], end = entry.offsets[1], data_bytes = file.size() - header_bytes;
    if (begin > end || end > data_bytes) {
        return make_error(PONDER_STATUS_FORMAT,
                          "%s: data_offsets: %" PRIu64 " to %" PRIu64 " is not a range of the %" PRIu64 " bytes behind the header",
                          label(entry.name).c_str(), begin, end, data_bytes);
    }
    if (end - begin != *n_bytes) {
        return make_error(PONDER_STATUS_FORMAT, "%s: data_offsets: %" PRIu64 " bytes, but dtype and shape ask for %" PRIu64,
                          label(entry.name).c_str(), end - begin, *n_bytes);
    }
    tensor.name = std::move(entry.name);
    tensor.file_offset = header_bytes + begin;
    tensor.data = file.subspan(tensor.file_offset, *n_bytes);
    return tensor;
}

// Tensors are never empty, so in order of their offsets each must begin where the one before ends.
Result<void> check_cover(const std::vector<StoredTensor>& tensors, uint64_t header_bytes, uint64_t file_bytes) {
    std::vector<uint32_t> order(tensors.size());
    std::iota(order.begin(), order.end(), 0u);
    std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return tensors[a].file_offset < tensors[b].file_offset; });
    uint64_t end = header_bytes;
    for (const uint32_t index : order) {
        const StoredTensor& tensor = tensors[index];
        if (tensor.file_offset != end) {
            return make_error(PONDER_STATUS_FORMAT, "%s: data_offsets: begins at byte %" PRIu64 " behind the header, %s byte %" PRIu64,
                              label(tensor.name).c_str(), tensor.file_offset - header_bytes,
                              tensor.file_offset < end ? "which overlaps data that ends at" : "which leaves a gap behind data that ends at",
                              end - header_bytes);
        }
        end += tensor.data.size();
    }
    if (end == file_bytes) return {};
    return make_error(PONDER_STATUS_FORMAT, "the file has %" PRIu64 " bytes behind the data of its last tensor", file_bytes - end);
}

Result<void> check_names(const std::vector<StoredTensor>& tensors) {
    std::vector<std::string_view> names;
    names.reserve(tensors.size());
    for (const StoredTensor& tensor : tensors) names.push_back(tensor.name);
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice == names.end()) return {};
    return make_error(PONDER_STATUS_FORMAT, "header: tensor '%s' is there twice", printable(*twice).c_str());
}

}  // namespace

Result<std::vector<StoredTensor>> parse(std::span<const std::byte> file, int32_t file_index) {
    if (file.size() < kLengthBytes) return make_error(PONDER_STATUS_FORMAT, "%zu bytes are too few for a safetensors file", file.size());
    uint64_t n_header = 0;
    std::memcpy(&n_header, file.data(), kLengthBytes);
    if (n_header > limits::kMaxSafetensorsHeaderBytes) {
        return make_error(PONDER_STATUS_LIMIT, "header: %" PRIu64 " bytes long, the limit is %" PRIu64, n_header,
                          limits::kMaxSafetensorsHeaderBytes);
    }
    if (n_header > file.size() - kLengthBytes) {
        return make_error(PONDER_STATUS_FORMAT, "header: %" PRIu64 " bytes long, but the file has %zu", n_header, file.size());
    }
    const std::string_view text(reinterpret_cast<const char*>(file.data()) + kLengthBytes, n_header);
    if (text.empty() || text.front() != '{') return make_error(PONDER_STATUS_FORMAT, "header: does not begin with '{'");
    HeaderReader reader;
    if (!Json::sax_parse(text.begin(), text.end(), &reader)) return reader.take_error();

    std::vector<Entry> entries = reader.take_entries();
    std::vector<StoredTensor> tensors;
    tensors.reserve(entries.size());
    const uint64_t header_bytes = kLengthBytes + n_header;
    for (Entry& entry : entries) {
        auto tensor = make_tensor(entry, file, header_bytes, file_index);
        if (!tensor) return tensor.error();
        tensors.push_back(std::move(*tensor));
    }
    if (auto ok = check_names(tensors); !ok) return ok.error();
    if (auto ok = check_cover(tensors, header_bytes, file.size()); !ok) return ok.error();
    return tensors;
}

}  // namespace ponder::safetensors
