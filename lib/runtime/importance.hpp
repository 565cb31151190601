// SPDX-License-Identifier: Apache-2.0
// Importance matrices of llama.cpp: for each matrix of a model, how much each of its input columns mattered on sample texts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.hpp"
#include "base/result.hpp"

namespace ponder {

// Keeps the file mapped and widens one tensor's values at a time: those of a model of experts take a gigabyte.
class ImportanceMatrix {
  public:
    // Either form: a GGUF of general.type "imatrix", with the tensors NAME.in_sum2 [n_cols, n_matrices] and NAME.counts [1, n_matrices]
    // in F32; or the older binary form. Errors: IO, LIMIT, UNSUPPORTED, FORMAT (also for a value that is negative or not finite).
    static Result<ImportanceMatrix> read(const std::string& path);
    // The same over bytes that outlive it; `name` stands for the path in messages.
    static Result<ImportanceMatrix> read_bytes(std::span<const std::byte> bytes, const std::string& name);

    size_t n_entries() const { return entries_.size(); }
    bool has(std::string_view tensor) const { return entries_.contains(tensor); }

    // For a tensor that it has. Errors: INVALID_ARGUMENT, naming the tensor, if its values are not for n_matrices matrices of n_cols
    // columns.
    Result<void> check(std::string_view tensor, int64_t n_cols, int64_t n_matrices) const;
    // Mean squared inputs [n_matrices, n_cols] of a tensor that check() accepts; all 1 for a matrix (an expert) that no sample reached.
    std::vector<float> values(std::string_view tensor) const;

  private:
    struct Entry {
        std::span<const std::byte> sums;    // float32 [n_matrices, n_cols], any alignment
        std::span<const std::byte> counts;  // float32 [n_matrices]; empty: all are `count`
        float count = 0;
        int64_t n_cols = 0;  // 0: not said (the older form), n_values in all
        int64_t n_values = 0;
    };

    Result<void> parse(std::span<const std::byte> bytes);
    Result<void> parse_gguf(std::span<const std::byte> bytes);
    Result<void> parse_legacy(std::span<const std::byte> bytes);

    MappedFile file_;
    std::string name_;
    std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace ponder
