// SPDX-License-Identifier: Apache-2.0
// Attention of one item over the cache with a running softmax (online softmax: Milakov, Gimelshein 2018). A row alone, as in decoding,
// reads the cache as it is stored; rows of a prompt share tiles of it, widened and transposed once for all their queries.
#include "cpu_attend.hpp"

#include <algorithm>
#include <cmath>

namespace ponder::cpu {

namespace {

struct CachedRows {
    const CacheKernels* kernels;
    StoredRows stored;
};

// Elements [first, first + n) of a layer's rows of keys or of values.
struct CacheSlice {
    uint64_t offset;
    int64_t row_bytes, first, n;
};

class Cache {
  public:
    Cache(const Run& run, const CachedHeads& cache, int32_t sequence)
        : run_(run),
          type_(*find_quant_type(run.program.kv_type)),
          sequence_(sequence),
          keys_{cache.k_offset, row_size(cache.k_width), cache.k_first, cache.k_dim},
          values_{cache.has_values ? CacheSlice{cache.v_offset, row_size(cache.v_width), cache.v_first, cache.v_dim}
                                   : CacheSlice{cache.k_offset, keys_.row_bytes, cache.k_first, cache.v_dim}} {}

    const CacheSlice& keys() const { return keys_; }
    const CacheSlice& values() const { return values_; }

    // Calls body(first, n) for the parts of tokens [begin, end) that each lie in one page.
    template <class Body>
    void in_pages(int64_t begin, int64_t end, const Body& body) const {
        const int64_t page = run_.program.kv_page_tokens;
        for (int64_t first = begin, n = 0; first < end; first += n) body(first, n = std::min(end - first, page - first % page));
    }

    // Rows of tokens from `token` on, all of one page. Slices that no kernel takes are decoded into dst [n_tokens, padded(n)].
    CachedRows rows(const CacheSlice& slice, int64_t token, int64_t n_tokens, float* dst) const {
        const std::byte* data = place(slice, token);
        if (has_kernels(slice)) return {run_.kernels.find_cache(type_.id), {data, slice.row_bytes, slice.first}};
        const int64_t stride = padded(slice.n), length = type_.block_len, begin = slice.first / length,
                      end = (slice.first + slice.n + length - 1) / length;
        float* blocks = dst + n_tokens * stride;
        for (int64_t t = 0; t < n_tokens; t++) {
            type_.decode(data + t * slice.row_bytes + begin * type_.block_bytes, blocks, end - begin);
            std::copy_n(blocks + slice.first - begin * length, slice.n, dst + t * stride);
            std::fill_n(dst + t * stride + slice.n, stride - slice.n, 0.0f);
        }
        return {run_.kernels.find_cache(PONDER_TYPE_F32), {reinterpret_cast<const std::byte*>(dst), stride * 4, 0}};
    }
    // Floats that `dst` needs.
    static int64_t decoded_size(const QuantType& type, int64_t n) { return kTileTokens * padded(n) + n + 2 * type.block_len; }

    // Where rows of a slice lie that is wanted after another, laid out as that one; otherwise null.
    const std::byte* next(const CacheSlice& slice, const CacheSlice& after, int64_t token) const {
        const bool is_alike = slice.row_bytes == after.row_bytes && slice.first == after.first && has_kernels(after);
        return is_alike ? place(slice, token) : nullptr;
    }

    // Rows of tokens [begin, end) as float32 in dst [end - begin, padded(n)].
    void gather(const CacheSlice& slice, int64_t begin, int64_t end, float* dst) const {
        const int64_t stride = padded(slice.n);
        in_pages(begin, end, [&](int64_t first, int64_t n) {
            float* own = dst + (first - begin) * stride;
            const CachedRows cached = rows(slice, first, n, own);
            if (!has_kernels(slice)) return;
            for (int64_t t = 0; t < n; t++)
                cached.kernels->widen(cached.stored.data + t * cached.stored.row_bytes, slice.first, slice.n, own + t * stride);
        });
    }

  private:
    static bool has_kernels(const CacheSlice& slice) { return slice.first % 16 == 0 && slice.n % 16 == 0; }
    int64_t row_size(int64_t width) const { return static_cast<int64_t>(*row_bytes(type_, static_cast<uint64_t>(width))); }
    const std::byte* place(const CacheSlice& slice, int64_t token) const {
        return run_.cache_row(sequence_, token, slice.offset, static_cast<uint64_t>(slice.row_bytes));
    }

    const Run& run_;
    const QuantType& type_;
    const int32_t sequence_;
    const CacheSlice keys_, values_;
};

// Scores [n] of one query become exponentials relative to the largest so far, and what was summed before is rescaled.
void advance(const Run& run, State& state, float* scores, int64_t n, float* sums, int64_t n_sums) {
    const float top = std::max(state.top, run.kernels.largest(scores, n));
    if (top != state.top) {
        const float rescale = std::exp(state.top - top);
        state.total *= rescale;
        if (state.total > 0.0f) run.kernels.multiply_by(sums, rescale, n_sums);
        state.top = top;
    }
    state.total += run.kernels.exponentials(scores, n, top);
}

// Rows of n floats, n_padded apart.
void copy_padded(const float* src, int64_t stride, int64_t n_rows, int64_t n, float factor, float* dst, int64_t dst_stride) {
    for (int64_t r = 0; r < n_rows; r++) {
        for (int64_t i = 0; i < n; i++) dst[r * dst_stride + i] = src[r * stride + i] * factor;
        std::fill_n(dst + r * dst_stride + n, dst_stride - n, 0.0f);
    }
}

}  // namespace

void attend_row(const Run& run, const AttentionItem& item, int64_t begin, int64_t end, float* sums, State* states, ThreadScratch& scratch) {
    const CachedHeads& cache = item.cache;
    const Cache rows(run, cache, run.batch.sequences[item.first_row]);
    const CacheSlice &keys = rows.keys(), &values = rows.values();
    const int64_t k_padded = padded(cache.k_dim), v_padded = padded(cache.v_dim);
    float *queries = scratch.queries.data(), *scores = scratch.scores.data();
    copy_padded(item.q, cache.k_dim, item.n_heads, cache.k_dim, 1.0f, queries, k_padded);
    std::fill_n(sums, item.n_heads * v_padded, 0.0f);
    std::fill_n(states, item.n_heads, State{});
    for (int64_t tile = begin; tile < end; tile += kTileTokens) {
        if (run.should_stop()) return;
        const int64_t tile_end = std::min(tile + kTileTokens, end);
        rows.in_pages(tile, tile_end, [&](int64_t first, int64_t n) {
            CachedRows part = rows.rows(keys, first, n, scratch.keys.data());
            if (cache.has_values) part.stored.next = rows.next(values, keys, first);
            part.kernels->score(queries, item.n_heads, part.stored, n, k_padded, item.scale, scores + first - tile, kTileTokens);
        });
        for (int64_t h = 0; h < item.n_heads; h++)
            advance(run, states[h], scores + h * kTileTokens, tile_end - tile, sums + h * v_padded, v_padded);
        rows.in_pages(tile, tile_end, [&](int64_t first, int64_t n) {
            CachedRows part = rows.rows(values, first, n, scratch.values.data());
            if (first + kTileTokens < end) part.stored.next = rows.next(keys, values, first + kTileTokens);
            part.kernels->add_weighted(scores + first - tile, kTileTokens, item.n_heads, part.stored, n, sums, v_padded);
        });
    }
}

void finish(const CachedHeads& cache, const float* sums, const State* states, int64_t n_heads, float* dst) {
    for (int64_t h = 0; h < n_heads; h++)
        copy_padded(sums + h * padded(cache.v_dim), 0, 1, cache.v_dim, 1.0f / states[h].total, dst + h * cache.v_dim, cache.v_dim);
}

bool attends_in_tiles(const Kernels& kernels, const ponder_program& program) {
    return kernels.tiles != nullptr && program.kv_type != PONDER_TYPE_F32;
}

namespace {

// Keys of a tile, [n_nope + n_rope, kTileTokens], of its latents [n_latent + n_rope, kTileTokens].
const float* expand_keys(const Run& run, const HeadMaps& maps, const float* latents, int64_t n, float* dst) {
    run.kernels.product(maps.keys, maps.n_latent, maps.n_nope, latents, kTileTokens, maps.n_latent, padded(n), dst, kTileTokens, false);
    const int64_t n_dims = maps.n_nope + maps.n_rope;
    std::copy_n(latents + maps.n_latent * kTileTokens, maps.n_rope * kTileTokens, dst + maps.n_nope * kTileTokens);
    std::fill_n(dst + n_dims * kTileTokens, (padded(n_dims) - n_dims) * kTileTokens, 0.0f);
    return dst;
}

// All queries of the item's rows, [row][head], as one matrix.
void attend_rows(const Run& run, const AttentionItem& item, ThreadScratch& scratch) {
    const CachedHeads& cache = item.cache;
    const Cache rows(run, cache, run.batch.sequences[item.first_row]);
    const int64_t q_dim = item.maps == nullptr ? cache.k_dim : item.maps->n_nope + item.maps->n_rope, q_padded = padded(q_dim),
                  k_padded = padded(cache.k_dim), v_padded = padded(cache.v_dim), n_queries = item.n_rows * item.n_heads;
    const auto position = [&](int64_t row) { return int64_t{run.batch.positions[item.first_row + row]}; };
    float *queries = scratch.queries.data(), *scores = scratch.scores.data(), *sums = scratch.sums_of_heads.data();
    auto* states = reinterpret_cast<State*>(scratch.state.data());
    for (int64_t i = 0; i < item.n_rows; i++)
        copy_padded(item.q + i * item.q_stride, q_dim, item.n_heads, q_dim, item.scale, queries + i * item.n_heads * q_padded, q_padded);
    std::fill_n(sums, n_queries * v_padded, 0.0f);
    std::fill_n(states, n_queries, State{});
    const int64_t end = position(item.n_rows - 1) + 1;
    float *keys = scratch.keys.data(), *values = scratch.values.data();
    for (int64_t first = 0, begin = 0; first < end; first += kTileTokens) {
        if (run.should_stop()) return;
        const int64_t n = std::min(kTileTokens, end - first);
        while (position(begin) < first) begin++;  // rows before the tile see nothing of it
        rows.gather(rows.keys(), first, first + n, keys);
        run.kernels.transpose(keys, k_padded, n, k_padded, scratch.transposed.data(), kTileTokens);
        const float* columns = scratch.transposed.data();
        if (item.maps != nullptr) columns = expand_keys(run, *item.maps, columns, n, scratch.expanded.data());
        const int64_t first_query = begin * item.n_heads, some = n_queries - first_query;
        run.kernels.product(queries + first_query * q_padded, q_padded, some, columns, kTileTokens, q_padded, padded(n), scores,
                            kTileTokens, false);
        for (int64_t i = first_query; i < n_queries; i++) {
            float* own = scores + (i - first_query) * kTileTokens;
            const int64_t n_seen = std::min(n, position(i / item.n_heads) + 1 - first);
            advance(run, states[i], own, n_seen, sums + i * v_padded, v_padded);
            std::fill_n(own + n_seen, n - n_seen, 0.0f);
        }
        const float* weighted = values;
        int64_t stride = v_padded;
        if (cache.has_values)
            rows.gather(rows.values(), first, first + n, values);
        else if (item.maps != nullptr)
            run.kernels.product(keys, k_padded, n, item.maps->values, v_padded, item.maps->n_latent, v_padded, values, v_padded, false);
        else
            weighted = keys, stride = k_padded;
        run.kernels.product(scores, kTileTokens, some, weighted, stride, n, v_padded, sums + first_query * v_padded, v_padded, true);
    }
    for (int64_t i = 0; i < item.n_rows; i++)
        finish(cache, sums + i * item.n_heads * v_padded, states + i * item.n_heads, item.n_heads, item.dst + i * item.dst_stride);
}

// Memory of attend_tiles: queries, weights, keys and values as TileKernels has them, in bytes from its start.
struct SplitMemory {
    SplitMemory(int64_t n_queries, int64_t k_dim, int64_t v_dim)
        : weights(2 * TiledRows{n_queries, k_dim}.n_bytes()),
          keys(weights + 2 * TiledRows{n_queries, kTileTokens}.n_bytes()),
          values(keys + 2 * split_bytes(k_dim, kTileTokens)),
          n_bytes(values + 2 * split_bytes(kTileTokens, v_dim)) {}
    int64_t weights, keys, values, n_bytes;
};

constexpr int64_t kTiledQueries = 32;
bool takes_tiles(const Run& run, const AttentionItem& item) {
    return attends_in_tiles(run.kernels, run.program) && item.maps == nullptr && item.n_rows > 1 &&
           item.n_rows * item.n_heads >= kTiledQueries;
}

// The same in tiles of a matrix unit.
void attend_tiles(const Run& run, const AttentionItem& item, ThreadScratch& scratch) {
    const TileKernels& tiles = *run.kernels.tiles;
    const CachedHeads& cache = item.cache;
    const Cache rows(run, cache, run.batch.sequences[item.first_row]);
    const int64_t k_padded = padded(cache.k_dim), v_padded = padded(cache.v_dim), n_queries = item.n_rows * item.n_heads;
    const SplitMemory memory(n_queries, cache.k_dim, cache.v_dim);
    std::byte *queries = scratch.split.data(), *weights = queries + memory.weights, *split_keys = queries + memory.keys,
              *split_values = queries + memory.values;
    float *keys = scratch.keys.data(), *values = scratch.values.data(), *scores = scratch.scores.data(),
          *sums = scratch.sums_of_heads.data(), *query = scratch.queries.data();
    auto* states = reinterpret_cast<State*>(scratch.state.data());
    const auto position = [&](int64_t row) { return int64_t{run.batch.positions[item.first_row + row]}; };
    const TiledRows of_queries = {n_queries, cache.k_dim};
    const auto split_row = [&](const float* src, const TiledRows& to, int64_t i, std::byte* dst) {
        dst += to.place(i);
        tiles.split_row(src, to.n_cols, to.step(i), dst, dst + to.n_bytes());
    };
    for (int64_t i = 0; i < n_queries; i++) {
        copy_padded(item.q + i / item.n_heads * item.q_stride + i % item.n_heads * cache.k_dim, 0, 1, cache.k_dim, item.scale, query,
                    k_padded);
        split_row(query, of_queries, i, queries);
    }
    std::fill_n(sums, n_queries * v_padded, 0.0f);
    std::fill_n(states, n_queries, State{});
    const int64_t end = position(item.n_rows - 1) + 1;
    for (int64_t first = 0, begin = 0; first < end; first += kTileTokens) {
        if (run.should_stop()) return;
        const int64_t n = std::min(kTileTokens, end - first);
        while (position(begin) < first) begin++;  // rows before the tile see nothing of it
        const int64_t first_query = begin * item.n_heads / 16 * 16;
        rows.gather(rows.keys(), first, first + n, keys);
        tiles.split_turned(keys, k_padded, cache.k_dim, padded(n), split_keys);
        tiles.multiply_split(queries, of_queries, first_query, split_keys, padded(n), scores, kTileTokens, false);
        const TiledRows of_weights = {n_queries - first_query, n};
        for (int64_t i = first_query; i < n_queries; i++) {
            float* own = scores + (i - first_query) * kTileTokens;
            const int64_t n_seen = std::clamp<int64_t>(position(i / item.n_heads) + 1 - first, 0, n);
            if (n_seen > 0) advance(run, states[i], own, n_seen, sums + i * v_padded, v_padded);
            std::fill_n(own + n_seen, n - n_seen, 0.0f);
            split_row(own, of_weights, i - first_query, weights);
        }
        if (cache.has_values) rows.gather(rows.values(), first, first + n, values);
        tiles.split(cache.has_values ? values : keys, cache.has_values ? v_padded : k_padded, n, v_padded, split_values);
        tiles.multiply_split(weights, of_weights, 0, split_values, v_padded, sums + first_query * v_padded, v_padded, true);
    }
    for (int64_t i = 0; i < item.n_rows; i++)
        finish(cache, sums + i * item.n_heads * v_padded, states + i * item.n_heads, item.n_heads, item.dst + i * item.dst_stride);
}

}  // namespace

void add_attend_sizes(const ponder_program& program, int64_t k_dim, int64_t v_dim, int64_t n_queries, Sizes& sizes) {
    const QuantType& type = *find_quant_type(program.kv_type);
    grow(sizes.keys, Cache::decoded_size(type, k_dim));
    grow(sizes.values, Cache::decoded_size(type, v_dim));
    grow(sizes.transposed, kTileTokens * padded(k_dim));
    grow(sizes.queries, n_queries * padded(k_dim));
    grow(sizes.scores, n_queries * kTileTokens);
    grow(sizes.sums_of_heads, n_queries * padded(v_dim));
    grow(sizes.state, n_queries * 2);
    if (find_kernels(nullptr)->tiles != nullptr) grow(sizes.split, SplitMemory(n_queries, k_dim, v_dim).n_bytes);
}

void add_expanded_sizes(const HeadMaps& maps, int64_t v_dim, Sizes& sizes) {
    grow(sizes.maps, maps.n_nope * maps.n_latent + maps.n_latent * padded(v_dim));
    grow(sizes.expanded, padded(maps.n_nope + maps.n_rope) * kTileTokens);
    grow(sizes.values, kTileTokens * padded(v_dim));
}

void attend(const Run& run, const AttentionItem& item, ThreadScratch& scratch) {
    if (takes_tiles(run, item)) return attend_tiles(run, item, scratch);
    if (item.n_rows > 1 || item.maps != nullptr) return attend_rows(run, item, scratch);
    auto* states = reinterpret_cast<State*>(scratch.state.data());
    attend_row(run, item, 0, int64_t{run.batch.positions[item.first_row]} + 1, scratch.sums_of_heads.data(), states, scratch);
    if (!run.should_stop()) finish(item.cache, scratch.sums_of_heads.data(), states, item.n_heads, item.dst);
}

}  // namespace ponder::cpu
