// SPDX-License-Identifier: Apache-2.0
// Parsing of importance matrices. Nothing in the file is trusted: sizes are held to the file's, values to what an importance can be.
#include "runtime/importance.hpp"

#include <cinttypes>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/limits.hpp"
#include "base/utf8.hpp"
#include "format/gguf_format.hpp"
#include "format/gguf_reader.hpp"
#include "quant/quant.hpp"

namespace ponder {
namespace {

constexpr std::string_view kSums = ".in_sum2", kCounts = ".counts";

float float_at(std::span<const std::byte> packed, int64_t i) {
    float value;
    std::memcpy(&value, packed.data() + 4 * i, sizeof value);
    return value;
}

Result<void> check_values(std::string_view name, const char* what, std::span<const std::byte> packed) {
    for (int64_t i = 0; i < static_cast<int64_t>(packed.size() / 4); ++i) {
        const float value = float_at(packed, i);
        if (value >= 0 && std::isfinite(value)) continue;
        return make_error(PONDER_STATUS_FORMAT, "'%s': %s %" PRId64 " is %g, not a finite number from 0 on", printable(name).c_str(), what,
                          i, static_cast<double>(value));
    }
    return {};
}

bool is_float_matrix(const StoredTensor& tensor) { return tensor.type == find_quant_type("F32")->id && tensor.n_dims <= 3; }

// Little-endian fields of the older form.
class Fields {
  public:
    explicit Fields(std::span<const std::byte> bytes) : bytes_(bytes) {}

    Result<int32_t> number(const char* what, int64_t low, int64_t high) {
        const auto packed = take(what, 4);
        if (!packed) return packed.error();
        int32_t value;
        std::memcpy(&value, packed->data(), sizeof value);
        if (value >= low && value <= high) return value;
        return make_error(PONDER_STATUS_FORMAT, "%s at byte %zu is %" PRId32 ", not from %" PRId64 " to %" PRId64, what, at_ - 4, value,
                          low, high);
    }
    Result<std::span<const std::byte>> take(const char* what, size_t n) {
        if (n > bytes_.size() - at_) {
            return make_error(PONDER_STATUS_FORMAT, "%s: needs %zu bytes at byte %zu, %zu are left", what, n, at_, bytes_.size() - at_);
        }
        const auto taken = bytes_.subspan(at_, n);
        at_ += n;
        return taken;
    }
    size_t remaining() const { return bytes_.size() - at_; }

  private:
    std::span<const std::byte> bytes_;
    size_t at_ = 0;
};

}  // namespace

Result<ImportanceMatrix> ImportanceMatrix::read(const std::string& path) {
    ImportanceMatrix matrix;
    auto file = MappedFile::open(path);
    if (!file) return file.error();
    matrix.file_ = std::move(*file);
    matrix.name_ = path;
    if (auto parsed = matrix.parse(matrix.file_.bytes()); !parsed) return with_context(parsed.error(), path);
    matrix.file_.release(matrix.file_.bytes());
    return matrix;
}

Result<ImportanceMatrix> ImportanceMatrix::read_bytes(std::span<const std::byte> bytes, const std::string& name) {
    ImportanceMatrix matrix;
    matrix.name_ = name;
    if (auto parsed = matrix.parse(bytes); !parsed) return with_context(parsed.error(), name);
    return matrix;
}

Result<void> ImportanceMatrix::parse(std::span<const std::byte> bytes) {
    if (auto parsed = gguf::has_magic(bytes) ? parse_gguf(bytes) : parse_legacy(bytes); !parsed) return parsed;
    if (entries_.empty()) return make_error(PONDER_STATUS_FORMAT, "an importance matrix without entries");
    return {};
}

Result<void> ImportanceMatrix::parse_gguf(std::span<const std::byte> bytes) {
    const auto file = read_gguf_bytes(bytes, "importance matrix");
    if (!file) return file.error();
    const auto type = file->metadata.get_string("general.type");
    if (!type || !*type || **type != "imatrix") return make_error(PONDER_STATUS_FORMAT, "general.type is not \"imatrix\"");
    for (const StoredTensor& sums : file->tensors) {
        if (!sums.name.ends_with(kSums)) continue;
        const std::string name = sums.name.substr(0, sums.name.size() - kSums.size());
        const StoredTensor* counts = file->find(name + std::string(kCounts));
        if (counts == nullptr) return make_error(PONDER_STATUS_FORMAT, "'%s' has no counts", printable(name).c_str());
        const int64_t n_matrices = sums.dims[1] * sums.dims[2];
        if (!is_float_matrix(sums) || !is_float_matrix(*counts) || counts->data.size() != static_cast<size_t>(n_matrices) * 4) {
            return make_error(PONDER_STATUS_FORMAT, "'%s': sums are not F32, or counts are not F32 [1, %" PRId64 "]",
                              printable(name).c_str(), n_matrices);
        }
        if (auto checked = check_values(name, "sum", sums.data); !checked) return checked;
        if (auto checked = check_values(name, "count", counts->data); !checked) return checked;
        entries_[name] = {.sums = sums.data, .counts = counts->data, .n_cols = sums.dims[0], .n_values = sums.dims[0] * n_matrices};
    }
    return {};
}

// i32 n_entries, then for each: i32 name length, name, i32 calls, i32 n_values, float32 [n_values]; then the number of samples and the
// name of their file, which say nothing about the values.
Result<void> ImportanceMatrix::parse_legacy(std::span<const std::byte> bytes) {
    Fields fields(bytes);
    const auto n_entries = fields.number("number of entries", 1, static_cast<int64_t>(limits::kMaxTensors));
    if (!n_entries) return with_context(n_entries.error(), "not an importance matrix");
    for (int32_t i = 0; i < *n_entries; ++i) {
        const auto length = fields.number("length of a name", 1, static_cast<int64_t>(limits::kMaxTensorNameBytes));
        if (!length) return length.error();
        const auto text = fields.take("name", static_cast<size_t>(*length));
        if (!text) return text.error();
        const std::string name(reinterpret_cast<const char*>(text->data()), text->size());
        const auto calls = fields.number("number of calls", 0, std::numeric_limits<int32_t>::max());
        if (!calls) return with_context(calls.error(), "'" + printable(name) + "'");
        const auto n_values = fields.number("number of values", 1, static_cast<int64_t>(fields.remaining() / 4));
        if (!n_values) return with_context(n_values.error(), "'" + printable(name) + "'");
        const auto sums = fields.take("values", static_cast<size_t>(*n_values) * 4);
        if (!sums) return with_context(sums.error(), "'" + printable(name) + "'");
        if (auto checked = check_values(name, "value", *sums); !checked) return checked;
        const Entry entry = {.sums = *sums, .counts = {}, .count = static_cast<float>(*calls), .n_values = *n_values};
        if (!entries_.emplace(name, entry).second) {
            return make_error(PONDER_STATUS_FORMAT, "'%s' is there twice", printable(name).c_str());
        }
    }
    return {};
}

Result<void> ImportanceMatrix::check(std::string_view tensor, int64_t n_cols, int64_t n_matrices) const {
    const Entry& entry = entries_.find(tensor)->second;
    const bool fits =
        entry.n_values / n_cols == n_matrices && entry.n_values % n_cols == 0 && (entry.n_cols == 0 || entry.n_cols == n_cols);
    if (fits) return {};
    return make_error(PONDER_STATUS_INVALID_ARGUMENT,
                      "%s: '%s' has %" PRId64 " values, but the model's tensor has %" PRId64 " columns in %" PRId64
                      " matrices: it was made for another model",
                      name_.c_str(), printable(tensor).c_str(), entry.n_values, n_cols, n_matrices);
}

std::vector<float> ImportanceMatrix::values(std::string_view tensor) const {
    const Entry& entry = entries_.find(tensor)->second;
    const int64_t n_matrices = entry.counts.empty() ? 1 : static_cast<int64_t>(entry.counts.size() / 4);
    const int64_t n_cols = entry.n_values / n_matrices;
    std::vector<float> means(static_cast<size_t>(entry.n_values), 1.0f);
    for (int64_t m = 0; m < n_matrices; ++m) {
        const float count = entry.counts.empty() ? entry.count : float_at(entry.counts, m);
        // The older form wrote means themselves with a count of 0.
        if (count == 0 && !entry.counts.empty()) continue;
        for (int64_t i = m * n_cols; i < (m + 1) * n_cols; ++i) {
            means[static_cast<size_t>(i)] = float_at(entry.sums, i) / (count > 0 ? count : 1);
        }
    }
    if (!file_.bytes().empty()) file_.release(entry.sums);
    return means;
}

}  // namespace ponder
