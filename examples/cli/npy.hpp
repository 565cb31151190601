// SPDX-License-Identifier: Apache-2.0
// NumPy .npy files of float32 matrices, written and read row by row (format version 1.0; 2.0 is read too).
#pragma once

#include <cstddef>
#include <cstdio>
#include <memory>
#include <span>
#include <string>

#include "output_file.hpp"

namespace ponder::tool {

// A matrix [n_rows, n_columns] in C order, little-endian float32.
class NpyWriter {
  public:
    // Throws Failure if the file cannot be made.
    NpyWriter(const std::string& path, size_t n_rows, size_t n_columns);
    // Whole rows, in order. Throws Failure.
    void write_rows(std::span<const float> values);
    // Puts the file under its name; call when all rows are written. Throws Failure.
    void commit();

  private:
    OutputFile file_;
};

class NpyReader {
  public:
    // Reads the header. Throws Failure: not a float32 matrix in C order, or the file's size is not what its header says.
    explicit NpyReader(const std::string& path);
    size_t n_rows() const { return n_rows_; }
    size_t n_columns() const { return n_columns_; }
    // The next row, n_columns values. Throws Failure if there is none.
    void read_row(std::span<float> values);

  private:
    struct FileCloser {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };
    void read_header();
    void parse_header(const std::string& header);

    std::string path_;
    std::unique_ptr<std::FILE, FileCloser> file_;
    size_t n_rows_ = 0;
    size_t n_columns_ = 0;
};

}  // namespace ponder::tool
