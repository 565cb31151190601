// SPDX-License-Identifier: Apache-2.0
// Products of many activation rows: 16 weight rows are expanded once into a panel of byte codes, in which four neighbours of one row lie
// beside four of the next, and all activation rows pass over it. A lane then is a weight row, and only whole groups take a scale.
//
// Panel of 16 rows by n columns, groups of g = 32 or 16 columns:
//   codes   u8  [n / 4][16][4], or as Vector::store_panel and add_group agree
//   scales  f32 [n / g][16]
//   mins    f32 [n / g][16]     where the format has them
struct PanelParts {
    PanelParts(std::byte* panel, int64_t n_cols, int64_t group)
        : codes(reinterpret_cast<uint8_t*>(panel)),
          scales(reinterpret_cast<float*>(panel + kRowsOfPanel * n_cols)),
          mins(scales + kRowsOfPanel * n_cols / group) {}
    uint8_t* codes;
    float *scales, *mins;
};

// Expands n_rows <= 16 rows; missing ones are zeros.
template <class Block>
void expand_panel(const std::byte* rows, int64_t row_bytes, int64_t n_rows, int64_t n_cols, std::byte* panel) {
    const PanelParts parts(panel, n_cols, Block::kGroup);
    const int64_t n_blocks = n_cols / Block::kStepLength;
    for (int64_t b = 0; b < n_blocks; b++) {
        Vector::Bytes codes[Block::kSteps][kRowsOfPanel];
        for (int64_t r = 0; r < kRowsOfPanel; r++) {
            const int64_t at = b * Block::kStepLength / Block::kGroup * kRowsOfPanel + r;
            if (r >= n_rows) {
                for (int g = 0; g < Block::kStepLength / Block::kGroup; g++)
                    parts.scales[at + g * kRowsOfPanel] = parts.mins[at + g * kRowsOfPanel] = 0.0f;
                for (int k = 0; k < Block::kSteps; k++) codes[k][r] = Vector::bits(0, 0);
                continue;
            }
            const auto* p = reinterpret_cast<const uint8_t*>(rows + r * row_bytes) + b * Block::kStepBytes;
            // The next panel's, in the order of memory, to the second-level cache: the first has room for fewer lines on their way.
            prefetch<Block::kStepBytes, 2>(reinterpret_cast<const uint8_t*>(rows),
                                           kRowsOfPanel * row_bytes + (b * kRowsOfPanel + r) * Block::kStepBytes);
            const Block block(p);
            unrolled<Block::kSteps>([&]<int k>() __attribute__((always_inline)) {
                const Vector::Bytes step = block.template codes<k>();
                codes[k][r] = Block::kShift == kSigned ? Vector::to_panel(step) : step;
            });
            block.template store_scales<kRowsOfPanel>(parts.scales + at, parts.mins + at);
        }
        for (int k = 0; k < Block::kSteps; k++)
            Vector::store_panel(codes[k], parts.codes + (b * Block::kSteps + k) * kRoundedStep * kRowsOfPanel);
    }
}

// N activation rows over a panel.
template <class Block, int N>
inline __attribute__((always_inline)) void multiply_tile(const PanelParts& panel, int64_t n_cols, const std::byte* x, int64_t x_stride,
                                                         float* dst, int64_t dst_stride, int64_t n_rows) {
    constexpr bool is_wide = Block::kGroup == 32, keeps_signs = Block::kShift == kSigned && Vector::kPanelsKeepSigns,
                   is_exact = Block::kShift == 0 || keeps_signs;
    // All parts of a row are reached from its one pointer: there are not enough registers for more.
    const RoundedLayout at(n_cols);
    const std::byte* rows[N];
    Vector::Floats sums[N];
    for (int i = 0; i < N; i++) {
        rows[i] = x + i * x_stride;
        sums[i] = Vector::zero();
    }
    const uint8_t* codes = panel.codes;
    for (int64_t g = 0; g < n_cols / Block::kGroup; g++, codes += Block::kGroup * kRowsOfPanel) {
        const int64_t part = 4 * g;
        Vector::Ints products[N];
        for (int i = 0; i < N; i++) {
            // What unsigned codes make too large: 2^kShift times the sum of the activation's codes.
            const int32_t too_large = is_exact ? 0 : copy<int32_t>(rows[i] + (is_wide ? at.neg_sums32 : at.neg_sums16) + part);
            products[i] = Vector::repeat(too_large * (1 << Block::kShift));
        }
        Vector::add_group<Block::kGroup, Block::kLargest, keeps_signs>(products, codes, rows, g * Block::kGroup);
        const Vector::Floats scales = Vector::load_floats(panel.scales + g * kRowsOfPanel);
        for (int i = 0; i < N; i++) {
            const float scale = copy<float>(rows[i] + (is_wide ? at.scales32 : at.scales16) + part);
            sums[i] = Vector::fma(Vector::multiply(Vector::to_floats(products[i]), Vector::set(scale)), scales, sums[i]);
        }
        if constexpr (Block::kHasMinimums) {
            const Vector::Floats mins = Vector::load_floats(panel.mins + g * kRowsOfPanel);
            for (int i = 0; i < N; i++) {
                const float sum = copy<float>(rows[i] + (is_wide ? at.sums32 : at.sums16) + part);
                sums[i] = Vector::negative_fma(Vector::set(sum), mins, sums[i]);
            }
        }
    }
    for (int i = 0; i < N; i++) {
        if (n_rows == kRowsOfPanel) {
            Vector::store(dst + i * dst_stride, sums[i]);
            continue;
        }
        float lanes[kRowsOfPanel];
        Vector::store(lanes, sums[i]);
        copy_bytes(dst + i * dst_stride, lanes, static_cast<size_t>(n_rows) * sizeof(float));
    }
}

template <class Block>
void multiply_panel(const std::byte* panel, int64_t n_cols, const std::byte* x, int64_t x_stride, int64_t n_x, float* dst,
                    int64_t dst_stride, int64_t n_rows) {
    const PanelParts parts(const_cast<std::byte*>(panel), n_cols, Block::kGroup);
    const auto tiles = [&]<int N>(int64_t first, int64_t end) {
        for (; first + N <= end; first += N)
            multiply_tile<Block, N>(parts, n_cols, x + first * x_stride, x_stride, dst + first * dst_stride, dst_stride, n_rows);
        return first;
    };
    int64_t i = 0;
    if constexpr (Vector::kPanelTile > 8) i = tiles.template operator()<Vector::kPanelTile>(i, n_x);
    if constexpr (Vector::kPanelTile >= 8) i = tiles.template operator()<8>(i, n_x);
    i = tiles.template operator()<4>(i, n_x);
    i = tiles.template operator()<2>(i, n_x);
    tiles.template operator()<1>(i, n_x);
}
