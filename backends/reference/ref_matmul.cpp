// SPDX-License-Identifier: Apache-2.0
// Matrix products: weights are decoded exactly, a panel of rows at a time, and multiplied by Eigen in tiles of one fixed shape.
#include <Eigen/Core>
#include <algorithm>

#include "quant/quant.hpp"
#include "ref_ops.hpp"

namespace ponder::ref {

namespace {

// A tile's shape never depends on the batch, so Eigen sums every dot product in the same order whatever rows share the batch.
constexpr int64_t kPanelRows = 32;
constexpr int64_t kTileRows = 4;
constexpr int64_t kRowsBetweenStops = 64;

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using ConstMap = Eigen::Map<const Matrix>;

}  // namespace

void multiply(const Run& run, const float* src, int64_t n_rows, int32_t weight_id, const float* bias, float* dst) {
    const ponder_operand& operand = run.operand(weight_id);
    const QuantType& type = *find_quant_type(operand.type);
    const int64_t n_in = operand.dims[0], n_out = operand.dims[1];
    const uint64_t bytes = *row_bytes(type, static_cast<uint64_t>(n_in));
    const std::byte* weight = run.weight(weight_id);
    if (n_rows == 0) return;
    const int64_t n_panels = (n_out + kPanelRows - 1) / kPanelRows;
    for (ThreadScratch& scratch : run.plan.threads) {
        scratch.panel.resize(std::max(scratch.panel.size(), static_cast<size_t>(kPanelRows * n_in)));
        scratch.tile.resize(std::max(scratch.tile.size(), static_cast<size_t>(kTileRows * n_in)));
    }
    run.plan.device->pool->parallel_for(n_panels, [&](int64_t panel, int thread) {
        if (run.should_stop()) return;
        ThreadScratch& scratch = run.plan.threads[static_cast<size_t>(thread)];
        const int64_t first = panel * kPanelRows, n = std::min(kPanelRows, n_out - first);
        type.decode(weight + static_cast<uint64_t>(first) * bytes, scratch.panel.data(), n * n_in / type.block_len);
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
