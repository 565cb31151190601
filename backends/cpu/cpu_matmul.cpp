// SPDX-License-Identifier: Apache-2.0
// Matrix products: source rows are rounded once, and every thread streams pieces of the stored weights past them.
#include <algorithm>

#include "activation.hpp"
#include "cpu_dense.hpp"
#include "cpu_plan.hpp"

namespace ponder::cpu {

namespace {

constexpr int64_t kDecodedRows = 4, kDenseRows = 64;
// From so many source rows on, expanding weights to tiles pays: measured on Emerald Rapids (as fast as panels at 32 rows, 1.3 times at 64);
// not for BF16, which has no panels.
constexpr int64_t kTilesFrom = 32;
// Pairs of them, filled up to kRowsOfTile, then take no more than int8's rows.
constexpr int64_t kPairTilesFrom = 48;
// The fewest source rows for which a format goes through panels (DotKernel::panels_from): from here on pieces are whole panels.
constexpr int64_t kFewestPanelRows = 4;
// Weight rows whose sums a thread keeps while it goes through the columns.
constexpr int64_t kTilePieceRows = 256;
// Rows of gate and of up whose sums it keeps.
constexpr int64_t kGatedTileRows = kTilePieceRows / 2;
// Rows of gate and of up whose products a thread keeps.
constexpr int64_t kGatedRows = 128;

int64_t bytes_of_columns(const Matrix& weight, int64_t n) {
    return n / static_cast<int64_t>(weight.type->block_len) * static_cast<int64_t>(weight.type->block_bytes);
}
int64_t bytes_of_row(const Matrix& weight) { return bytes_of_columns(weight, weight.n_cols); }

// Types without a kernel are decoded to float32, some rows at a time.
void multiply_decoded(const Run& run, const Product& product, int64_t first, int64_t n, const float* x, int64_t n_rows,
                      ThreadScratch& scratch) {
    const int64_t n_cols = product.weight.n_cols;
    const DotKernel& kernel = *run.kernels.find_dot(PONDER_TYPE_F32);
    for (int64_t r = first; r < first + n; r += kDecodedRows) {
        const int64_t some = std::min(kDecodedRows, first + n - r), row_size = n_cols * static_cast<int64_t>(sizeof(float));
        product.weight.decode(r, some, scratch.decoded.data());
        kernel.dot(reinterpret_cast<const std::byte*>(scratch.decoded.data()), row_size, some, n_cols,
                   reinterpret_cast<const std::byte*>(x), row_size, n_rows, product.dst + (r - product.first_row), product.stride);
    }
}

// Rows of any type as float32 matrices, for many source rows. False: nothing was done.
bool multiply_floats(const Run& run, const DotKernel* kernel, const Product& product, int64_t first, int64_t n, const float* x,
                     int64_t n_rows, ThreadScratch& scratch) {
    const Matrix& weight = product.weight;
    if (!takes_dense(n_rows)) return false;
    const bool is_float = weight.type->id == PONDER_TYPE_F32 && reinterpret_cast<uintptr_t>(weight.data) % alignof(float) == 0;
    for (int64_t r = first; r < first + n; r += kDenseRows) {
        const int64_t some = std::min(kDenseRows, first + n - r);
        const auto* rows = reinterpret_cast<const float*>(weight.data) + r * weight.n_cols;
        if (!is_float) {
            float* decoded = scratch.decoded.data();
            rows = decoded;
            for (int64_t i = 0; i < some; i++) {
                const std::byte* row = weight.data + (r + i) * bytes_of_row(weight);
                float* to = decoded + i * weight.n_cols;
                if (kernel != nullptr)
                    kernel->widen(row, weight.n_cols, to);
                else if (weight.scales != nullptr)
                    run.kernels.f8.widen(row, weight.scales, r + i, weight.n_cols, to);
                else
                    weight.decode(r + i, 1, to);
            }
        }
        if (!multiply_dense(x, n_rows, weight.n_cols, rows, some, product.dst + (r - product.first_row), product.stride)) return false;
    }
    return true;
}

const DotKernel* find_kernel(const Run& run, const Matrix& weight) {
    return weight.scales != nullptr ? nullptr : run.kernels.find_dot(weight.type->id);
}

// Rows of a matrix from `first` on.
struct MatrixRows {
    const Matrix& weight;
    int64_t first;
};

// Sums of n rows of each of these matrices, of as many columns and at most kTilePieceRows in all, through bfloat16 tiles: columns outside,
// so that what all of them read of the source stays in a cache.
void sum_tiles(const Run& run, std::span<const MatrixRows> matrices, int64_t n, const std::byte* x, int64_t n_rows, float* sums,
               ThreadScratch& scratch) {
    const TileKernels& tiles = *run.kernels.tiles;
    const PairedRows rows = {n_rows, matrices[0].weight.n_cols};
    const int64_t n_panels = (n + kRowsOfTilePanel - 1) / kRowsOfTilePanel, n_across = n_panels * static_cast<int64_t>(matrices.size()),
                  n_pieces = (rows.n_cols + kTilePanelColumns - 1) / kTilePanelColumns * n_across;
    const auto weights_of = [&](int64_t piece) {
        const auto& [weight, first] = matrices[static_cast<size_t>(piece % n_across / n_panels)];
        const int64_t column = piece / n_across * kTilePanelColumns, r = piece % n_panels * kRowsOfTilePanel,
                      n_cols = std::min(kTilePanelColumns, rows.n_cols - column), row_size = bytes_of_row(weight);
        return TileWeights{.kernel = find_kernel(run, weight),
                           .rows = weight.data + (first + r) * row_size + bytes_of_columns(weight, column),
                           .row_bytes = row_size,
                           .n_rows = std::min(kRowsOfTilePanel, n - r),
                           .n_cols = n_cols,
                           .n_bytes = bytes_of_columns(weight, n_cols)};
    };
    for (int64_t i = 0; i < n_pieces; i++) {
        const TileWeights weights = weights_of(i), next = weights_of(std::min(i + 1, n_pieces - 1));
        const int64_t column = i / n_across * kTilePanelColumns;
        tiles.expand(weights, scratch.panel.data());
        for (int term = 0; term < (weights.kernel->takes_floats ? 2 : 1); term++) {
            tiles.multiply(scratch.panel.data(), weights.n_cols, x + term * rows.n_bytes(), rows, column,
                           sums + i % n_across * tile_sums(n_rows), column == 0 && term == 0,
                           term == 0 && i + 1 < n_pieces ? &next : nullptr);
        }
    }
}

void multiply_tiles(const Run& run, const Product& product, int64_t first, int64_t n, const std::byte* x, int64_t n_rows,
                    ThreadScratch& scratch) {
    auto* sums = reinterpret_cast<float*>(scratch.sums.data());
    for (; n > 0; first += kTilePieceRows, n -= kTilePieceRows) {
        const int64_t some = std::min(n, kTilePieceRows);
        const MatrixRows rows = {product.weight, first};
        sum_tiles(run, std::span(&rows, 1), some, x, n_rows, sums, scratch);
        run.kernels.tiles->store_sums(sums, n_rows, some, product.dst + (first - product.first_row), product.stride);
    }
}

bool is_tiled(RowForm form) { return form == RowForm::kBf16 || form == RowForm::kBf16Pair; }

}  // namespace

RowForm form_for(const Run& run, const Matrix& weight, int64_t n_rows) {
    const DotKernel* kernel = find_kernel(run, weight);
    if (kernel == nullptr) return RowForm::kFloats;
    const bool has_tiles =
        run.kernels.tiles != nullptr && run.kernels.tiles->has_tiles(*kernel) && n_rows >= kTilesFrom && weight.n_cols % kRoundedStep == 0;
    // Stored floats are multiplied as accurately as float32 sums.
    if (kernel->takes_floats) return has_tiles && n_rows >= kPairTilesFrom ? RowForm::kBf16Pair : RowForm::kFloats;
    return has_tiles ? RowForm::kBf16 : RowForm::kInt8;
}

void round_block(const Run& run, RowForm form, std::span<const float* const> rows, int64_t n_cols, std::byte* rounded, int64_t first,
                 int64_t n_rows) {
    if (form == RowForm::kInt8) {
        for (const float* row : rows) run.kernels.round_row(row, n_cols, rounded + first++ * RoundedLayout(n_cols).n_bytes);
        return;
    }
    const PairedRows paired = {n_rows, n_cols};
    std::byte* dst = rounded + first / kRowsOfTile * paired.block_bytes();
    run.kernels.tiles->round_rows(rows.data(), static_cast<int64_t>(rows.size()), n_cols, dst,
                                  form == RowForm::kBf16Pair ? dst + paired.n_bytes() : nullptr);
}

void add_multiply_sizes(int64_t n_cols, int64_t max_rows, Sizes& sizes) {
    sizes.panel = std::max(sizes.panel, static_cast<size_t>(std::max(panel_bytes(n_cols), kTilePanelBytes)));
    sizes.decoded = std::max(sizes.decoded, static_cast<size_t>((takes_dense(max_rows) ? kDenseRows : kDecodedRows) * n_cols));
    sizes.sums = std::max(sizes.sums, static_cast<size_t>(tile_sums(max_rows) * (kTilePieceRows / kRowsOfTilePanel)) * sizeof(float));
    sizes.gated = std::max(sizes.gated, static_cast<size_t>(2 * max_rows * kGatedRows) * sizeof(float));
    sizes.rounded = std::max(sizes.rounded, static_cast<size_t>(max_rows * RoundedLayout(n_cols).n_bytes));
}

int64_t choose_chunk(const Run& run, int64_t n_matrix_rows, int64_t n_rows) {
    constexpr int64_t kPiecesPerThread = 6, kGranule = 8, kLargest = 128;
    const int64_t even = n_matrix_rows / (run.pool.n_threads() * kPiecesPerThread);
    // Half as many, since every piece reads all of the source.
    if (run.kernels.tiles != nullptr && n_rows >= kTilesFrom)
        return std::clamp(2 * even / kRowsOfTilePanel * kRowsOfTilePanel, kRowsOfTilePanel, kTilePieceRows);
    // A panel with many source rows is work enough, and keeps cancelling quick; with few, the next one is fetched meanwhile.
    if (n_rows >= kFewestPanelRows)
        return std::clamp(even / kRowsOfPanel * kRowsOfPanel, kRowsOfPanel, n_rows < 64 ? kLargest : 4 * kRowsOfPanel);
    return std::clamp(even / kGranule * kGranule, kGranule, kLargest);
}

void round_rows(const Run& run, RowForm form, const float* src, int64_t n_rows, int64_t n_cols, std::byte* dst) {
    const int64_t step = is_tiled(form) ? kRowsOfTile : 1;
    run.pool.parallel_for((n_rows + step - 1) / step, [&](int64_t block, int) {
        const float* rows[kRowsOfTile];
        const int64_t first = block * step, some = std::min(step, n_rows - first);
        for (int64_t i = 0; i < some; i++) rows[i] = src + (first + i) * n_cols;
        round_block(run, form, std::span(rows, static_cast<size_t>(some)), n_cols, dst, first, n_rows);
    });
}

namespace {

// What multiply_rows does, without the bias.
void multiply_weights(const Run& run, const Product& product, int64_t first, int64_t n, const float* x, const std::byte* rounded,
                      int64_t n_rows, ThreadScratch& scratch) {
    const Matrix& weight = product.weight;
    const DotKernel* kernel = find_kernel(run, weight);
    const bool takes_floats = kernel == nullptr || kernel->takes_floats;
    const RowForm form = form_for(run, weight, n_rows);
    if (is_tiled(form)) return multiply_tiles(run, product, first, n, rounded, n_rows, scratch);
    if (takes_floats && multiply_floats(run, kernel, product, first, n, x, n_rows, scratch)) return;
    if (weight.scales != nullptr) {
        return run.kernels.f8.dot(weight.data + first * weight.n_cols, weight.scales, first, n, weight.n_cols, x, n_rows,
                                  product.dst + (first - product.first_row), product.stride);
    }
    if (kernel == nullptr) return multiply_decoded(run, product, first, n, x, n_rows, scratch);
    const int64_t row_size = bytes_of_row(weight);
    const std::byte* rows = weight.data + first * row_size;
    const auto* source = takes_floats ? reinterpret_cast<const std::byte*>(x) : rounded;
    const int64_t stride = takes_floats ? weight.n_cols * static_cast<int64_t>(sizeof(float)) : RoundedLayout(weight.n_cols).n_bytes;
    float* dst = product.dst + (first - product.first_row);
    if (kernel->multiply == nullptr || n_rows < kernel->panels_from || weight.n_cols % kRoundedStep != 0)
        return kernel->dot(rows, row_size, n, weight.n_cols, source, stride, n_rows, dst, product.stride);
    for (int64_t r = 0; r < n; r += kRowsOfPanel) {
        const int64_t some = std::min(kRowsOfPanel, n - r);
        kernel->expand(rows + r * row_size, row_size, some, weight.n_cols, scratch.panel.data());
        kernel->multiply(scratch.panel.data(), weight.n_cols, source, stride, n_rows, dst + r, product.stride, some);
    }
}

}  // namespace

bool takes_gated_tiles(const Run& run, const Matrix& gate, const Matrix& up, const Matrix& down, int64_t n_rows) {
    return is_tiled(form_for(run, gate, n_rows)) && is_tiled(form_for(run, up, n_rows)) && form_for(run, down, n_rows) == RowForm::kBf16;
}

void gate_to_tiles(const Run& run, const GatedMatrices& matrices, int64_t first, int64_t n, const std::byte* x, int64_t n_rows,
                   std::byte* hidden, ThreadScratch& scratch) {
    const PairedRows rows = {n_rows, matrices.gate.n_rows - matrices.up_first};
    auto* sums = reinterpret_cast<float*>(scratch.sums.data());
    for (const int64_t end = first + n; first < end; first += kGatedTileRows) {
        const int64_t some = std::min(kGatedTileRows, end - first);
        const MatrixRows both[] = {{matrices.gate, first}, {matrices.up, matrices.up_first + first}};
        sum_tiles(run, both, some, x, n_rows, sums, scratch);
        const float* ups = sums + tile_sums(n_rows) * ((some + kRowsOfTilePanel - 1) / kRowsOfTilePanel);
        run.kernels.tiles->store_gated(sums, ups, first, some, rows, hidden);
    }
}

void multiply_rows(const Run& run, const Product& product, int64_t first, int64_t n, const float* x, const std::byte* rounded,
                   int64_t n_rows, ThreadScratch& scratch) {
    multiply_weights(run, product, first, n, x, rounded, n_rows, scratch);
    if (product.bias == nullptr) return;
    for (int64_t i = 0; i < n_rows; i++) {
        for (int64_t r = first; r < first + n; r++) product.dst[i * product.stride + (r - product.first_row)] += product.bias[r];
    }
}

namespace {

// Rounds the source rows to the plan's memory if one of their products takes them so; all that do take the same form, or one of kBf16 and
// kBf16Pair.
void round_source(const Run& run, std::span<const Product> products, const float* x, int64_t n_rows) {
    RowForm form = RowForm::kFloats;
    for (const Product& p : products) form = std::max(form, form_for(run, p.weight, n_rows));
    if (form != RowForm::kFloats) round_rows(run, form, x, n_rows, products[0].weight.n_cols, run.plan.rounded.data());
}

// Products of the same source rows.
void multiply(const Run& run, std::span<const Product> products, const float* x, const std::byte* rounded, int64_t n_rows) {
    int64_t n_matrix_rows = 0, n_pieces = 0;
    for (const Product& p : products) n_matrix_rows += p.weight.n_rows;
    const int64_t chunk = choose_chunk(run, n_matrix_rows, n_rows);
    const auto count_pieces = [chunk](const Product& p) { return (p.weight.n_rows + chunk - 1) / chunk; };
    for (const Product& p : products) n_pieces += count_pieces(p);
    run.pool.parallel_for_runs(n_pieces, [&](int64_t piece, int thread) {
        if (run.should_stop()) return;
        const Product* p = products.data();
        for (; count_pieces(*p) <= piece; p++) piece -= count_pieces(*p);
        const int64_t first = piece * chunk;
        multiply_rows(run, *p, first, std::min(chunk, p->weight.n_rows - first), x, rounded, n_rows,
                      run.plan.threads[static_cast<size_t>(thread)]);
    });
}

void round_and_multiply(const Run& run, std::span<const Product> products, const float* x, int64_t n_rows) {
    if (n_rows == 0) return;
    round_source(run, products, x, n_rows);
    multiply(run, products, x, run.plan.rounded.data(), n_rows);
}

Product product_of(const Run& run, const ponder_op& op) {
    const Matrix weight = run.matrix(op.src[1]);
    return {weight, run.vector(op.src[2]), op.kind == PONDER_OP_LOGITS ? run.batch.logits : run.rows(op.dst[0]), weight.n_rows};
}

}  // namespace

void matmul(const Run& run, std::span<const ponder_op> ops) {
    Product products[8];
    for (size_t i = 0; i < ops.size(); i++) products[i] = product_of(run, ops[i]);
    round_and_multiply(run, std::span(products, ops.size()), run.rows(ops[0].src[0]), run.n_rows(ops[0].src[0]));
}

void logits(const Run& run, std::span<const ponder_op> ops) {
    const Product product = product_of(run, ops[0]);
    round_and_multiply(run, std::span(&product, 1), run.rows(ops[0].src[0]), run.batch.n_outputs);
}

void gated_matmul(const Run& run, std::span<const ponder_op> ops) {
    const Product products[] = {product_of(run, ops[0]), product_of(run, ops[1])};
    const float* x = run.rows(ops[0].src[0]);
    float* dst = run.rows(ops[2].dst[0]);
    const int64_t n_rows = run.n_rows(ops[0].src[0]), width = products[0].weight.n_rows;
    round_source(run, products, x, n_rows);
    const int64_t chunk = std::min(choose_chunk(run, width, n_rows), kGatedRows);
    run.pool.parallel_for_runs((width + chunk - 1) / chunk, [&](int64_t piece, int thread) {
        const int64_t first = piece * chunk, n = std::min(chunk, width - first);
        ThreadScratch& scratch = run.plan.threads[static_cast<size_t>(thread)];
        // Gate, then up: [n_rows, n] each.
        auto* values = reinterpret_cast<float*>(scratch.gated.data());
        for (int i = 0; i < 2; i++) {
            if (run.should_stop()) return;
            Product part = products[i];
            part.dst = values + i * n_rows * n;
            part.stride = n;
            part.first_row = first;
            multiply_rows(run, part, first, n, x, run.plan.rounded.data(), n_rows, scratch);
        }
        for (int64_t r = 0; r < n_rows; r++) run.kernels.swiglu(values + r * n, values + (n_rows + r) * n, dst + r * width + first, n);
    });
}

void gated_ffn(const Run& run, std::span<const ponder_op> ops) {
    const Product products[] = {product_of(run, ops[0]), product_of(run, ops[1])}, down = product_of(run, ops[3]);
    const Matrix &gate = products[0].weight, &up = products[1].weight;
    const int64_t n_rows = run.n_rows(ops[0].src[0]), width = gate.n_rows;
    const bool is_biased = products[0].bias != nullptr || products[1].bias != nullptr;
    if (is_biased || !takes_gated_tiles(run, gate, up, down.weight, n_rows)) {
        gated_matmul(run, ops.first(3));
        return matmul(run, ops.subspan(3));
    }
    round_source(run, products, run.rows(ops[0].src[0]), n_rows);
    // What the operand would take as float32, from a line of the cache on.
    const auto at = reinterpret_cast<uintptr_t>(run.rows(ops[2].dst[0]));
    auto* hidden = reinterpret_cast<std::byte*>((at + 63) / 64 * 64);
    const int64_t chunk = std::min(choose_chunk(run, width, n_rows), kGatedTileRows);
    run.pool.parallel_for_runs((width + chunk - 1) / chunk, [&](int64_t piece, int thread) {
        if (run.should_stop()) return;
        const int64_t first = piece * chunk;
        gate_to_tiles(run, {gate, up}, first, std::min(chunk, width - first), run.plan.rounded.data(), n_rows, hidden,
                      run.plan.threads[static_cast<size_t>(thread)]);
    });
    multiply(run, std::span(&down, 1), nullptr, hidden, n_rows);
}

}  // namespace ponder::cpu
