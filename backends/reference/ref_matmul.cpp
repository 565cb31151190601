// SPDX-License-Identifier: Apache-2.0
// Matrix products: weights are decoded exactly, a panel of rows at a time, and multiplied by Eigen in tiles of one fixed shape.
#include <Eigen/Core>
#include <algorithm>

#include "ref_ops.hpp"

namespace ponder::ref {

namespace {

// A tile's shape never depends on the batch, so Eigen sums every dot product in the same order whatever rows share the batch.
constexpr int64_t kPanelRows = 32;
constexpr int64_t kTileRows = 4;
constexpr int64_t kRowsBetweenStops = 64;

using Panel = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using ConstMap = Eigen::Map<const Panel>;

}  // namespace

void add_multiply_scratch(int64_t n_in, ScratchSizes& sizes) {
    sizes.panel = std::max(sizes.panel, static_cast<size_t>(kPanelRows * n_in));
    sizes.tile = std::max(sizes.tile, static_cast<size_t>(kTileRows * n_in));
}

void multiply(const Run& run, const float* src, int64_t n_rows, const Matrix& weight, const float* bias, float* dst) {
    const int64_t n_in = weight.n_cols, n_out = weight.n_rows;
    if (n_rows == 0) return;
    const int64_t n_panels = (n_out + kPanelRows - 1) / kPanelRows;
    run.pool.parallel_for(n_panels, [&](int64_t panel, int thread) {
        if (run.should_stop()) return;
        ThreadScratch& scratch = run.plan.threads[static_cast<size_t>(thread)];
        const int64_t first = panel * kPanelRows, n = std::min(kPanelRows, n_out - first);
        weight.decode(first, n, scratch.panel.data());
        const ConstMap rows_of_weight(scratch.panel.data(), n, n_in);
        Eigen::Matrix<float, Eigen::Dynamic, kTileRows, Eigen::ColMajor, kPanelRows, kTileRows> product(n, kTileRows);
        for (int64_t r = 0; r < n_rows; r += kTileRows) {
            if (r % kRowsBetweenStops == 0 && r > 0 && run.should_stop()) return;
            const float* tile = src + r * n_in;
            if (r + kTileRows > n_rows) {
                std::fill(scratch.tile.begin(), scratch.tile.begin() + kTileRows * n_in, 0.0f);
                std::copy(tile, src + n_rows * n_in, scratch.tile.begin());
                tile = scratch.tile.data();
            }
            product.noalias() = rows_of_weight * ConstMap(tile, kTileRows, n_in).transpose();
            for (int64_t t = 0; t < std::min(kTileRows, n_rows - r); t++) {
                float* out = dst + (r + t) * n_out + first;
                for (int64_t j = 0; j < n; j++) out[j] = product(j, t) + (bias != nullptr ? bias[first + j] : 0.0f);
            }
        }
    });
}

}  // namespace ponder::ref
