// SPDX-License-Identifier: Apache-2.0
// Measures how far quantised files are from the model that they were made of: the error of each stored type, tensor by tensor in pairs.
//   compare_weights MODEL A [B]: one JSON line a type: {"type", "n_weights", "rmse_a", "rmse_b", "ratio"}; errors are relative to the
//   weights' own root mean square. B's tensors are counted where they have A's type.
#include <cmath>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "quant/quant.hpp"
#include "runtime/model_source.hpp"

namespace {

struct Sums {
    double power = 0, error_a = 0, error_b = 0;
    int64_t n = 0;
};

double squared_error(const std::vector<float>& a, const std::vector<float>& b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) {
        const double difference = static_cast<double>(a[i]) - static_cast<double>(b[i]);
        sum += difference * difference;
    }
    return sum;
}

bool has_same_shape(const ponder::StoredTensor* a, const ponder::StoredTensor& b) { return a != nullptr && a->dims == b.dims; }

// Row by row, so that no tensor is in memory as a whole.
void add_tensor(const ponder::StoredTensor& exact, const ponder::StoredTensor& a, const ponder::StoredTensor* b, Sums& sums) {
    const auto n_cols = static_cast<size_t>(exact.dims[0]);
    std::vector<float> row(n_cols), row_a(n_cols), row_b(n_cols);
    const std::vector<float> zeros(n_cols);
    for (int64_t matrix = 0; matrix < exact.dims[2]; ++matrix) {
        for (int64_t i = 0; i < exact.dims[1]; ++i) {
            exact.decode_rows(matrix, i, 1, row.data());
            a.decode_rows(matrix, i, 1, row_a.data());
            sums.power += squared_error(row, zeros);
            sums.error_a += squared_error(row, row_a);
            if (b == nullptr) continue;
            b->decode_rows(matrix, i, 1, row_b.data());
            sums.error_b += squared_error(row, row_b);
        }
    }
    sums.n += exact.dims[0] * exact.dims[1] * exact.dims[2];
}

void print(const std::string& type, const Sums& sums, bool has_b) {
    const double a = std::sqrt(sums.error_a / sums.power), b = std::sqrt(sums.error_b / sums.power);
    std::printf("{\"type\":\"%s\",\"n_weights\":%lld,\"rmse_a\":%.8f", type.c_str(), static_cast<long long>(sums.n), a);
    if (has_b) std::printf(",\"rmse_b\":%.8f,\"ratio\":%.5f", b, a == b ? 1.0 : a / b);
    std::printf("}\n");
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3 || argc > 4) return std::fprintf(stderr, "usage: compare_weights MODEL A [B]\n"), 2;
    std::vector<ponder::ModelFile> files;
    for (int i = 1; i < argc; ++i) {
        auto file = ponder::read_model_file(argv[i]);
        if (!file) return std::fprintf(stderr, "%s\n", file.error().message.c_str()), 1;
        files.push_back(std::move(*file));
    }
    std::map<std::string, Sums> by_type;
    for (const ponder::StoredTensor& exact : files[0].tensors) {
        const ponder::StoredTensor* a = files[1].find(exact.name);
        const ponder::StoredTensor* b = argc > 3 ? files[2].find(exact.name) : nullptr;
        if (exact.n_dims < 2 || !has_same_shape(a, exact) || a->type == exact.type) continue;
        if (argc > 3 && (!has_same_shape(b, exact) || b->type != a->type)) continue;
        add_tensor(exact, *a, b, by_type[ponder::find_quant_type(a->type)->name]);
    }
    for (const auto& [type, sums] : by_type) print(type, sums, argc > 3);
    return 0;
}
