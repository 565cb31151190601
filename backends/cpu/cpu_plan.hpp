// SPDX-License-Identifier: Apache-2.0
// The CPU backend's device, plan and run, and the operators that it computes in its own way.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "host/host_run.hpp"
#include "kernels.hpp"

namespace ponder::cpu {

using host::Assignment;
using host::HeldMatrix;
using host::Matrix;

struct Device : ponder_device_handle {
    const Kernels* kernels = nullptr;
};

// Working memory that a program asks for, beside the operands, in elements.
struct Sizes {
    // A thread's floats.
    size_t decoded = 0;                           // rows of types without a kernel of their own
    size_t keys = 0, values = 0, transposed = 0;  // a tile of the cache
    size_t queries = 0, scores = 0, state = 0, sums_of_heads = 0;
    size_t maps = 0, expanded = 0;          // one head's maps out of MLA's latent space, and keys of a tile that they make
    size_t latent = 0;                      // bytes: cpu_mla.cpp's rows of one head
    size_t panel = 0, sums = 0, gated = 0;  // bytes: expanded weight rows, and what tiles sum
    size_t split = 0;                       // bytes: what attention multiplies in tiles
    // The plan's.
    size_t rounded = 0, gathered = 0;  // bytes: rounded rows, of the batch and of chosen experts
    size_t experts = 0, spans = 0;     // floats: rows of chosen experts; sums of attention over spans of the cache
    size_t latents = 0;                // floats: queries and results in MLA's latent space

    size_t thread_bytes() const {
        return (decoded + keys + values + transposed + queries + scores + state + sums_of_heads + maps + expanded) * sizeof(float) + panel +
               sums + gated + split + latent;
    }
    size_t plan_bytes() const { return rounded + gathered + (experts + spans + latents) * sizeof(float); }
};

// Bytes that begin with a line of the cache.
class LineBytes {
  public:
    void resize(size_t n) { lines_.resize((n + sizeof(Line) - 1) / sizeof(Line)); }
    std::byte* data() { return reinterpret_cast<std::byte*>(lines_.data()); }

  private:
    struct alignas(64) Line {
        std::byte bytes[64];
    };
    std::vector<Line> lines_;
};

struct ThreadScratch {
    std::vector<float> decoded, keys, values, transposed, queries, scores, state, sums_of_heads, maps, expanded;
    LineBytes panel, sums, gated, split, latent;
};

struct Plan;

// One run of a plan, as operators see it.
struct Run : host::Run {
    Run(Plan& own, const ponder_run& run, ponder_error* error);
    Plan& plan;
    const Kernels& kernels;
};

// Operators that run together, between two barriers.
struct Step {
    void (*run)(const Run& run, std::span<const ponder_op> ops) = nullptr;
    std::span<const ponder_op> ops;
};

struct Plan : ponder_compiled {
    const Kernels* kernels = nullptr;
    std::vector<Step> steps;
    LineBytes rounded, gathered;
    std::vector<float> experts, spans, latents;
    std::vector<ThreadScratch> threads;
};

// The program's operators as steps, in order. An operator of a kind that this backend does not know is left out.
std::vector<Step> make_steps(const ponder_program& program);
bool knows_op(int32_t kind);
Sizes measure(const ponder_program& program, int32_t max_rows);

// ---- Products

// One product of a group that shares its source rows.
struct Product {
    Matrix weight;
    const float* bias = nullptr;  // [weight.n_rows] or null
    float* dst = nullptr;         // [n_rows, stride]
    int64_t stride = 0;
    int64_t first_row = 0;  // the weight's row that dst begins with
};

// What a product of a weight with n_rows source rows reads of them. kBf16Pair is kBf16 and, behind it, what that leaves:
// the last, and so the largest, since it serves readers of both.
enum class RowForm { kFloats, kInt8, kBf16, kBf16Pair };
RowForm form_for(const Run& run, const Matrix& weight, int64_t n_rows);
// Rows from `first` on of the n_rows that `rounded` holds, which has RoundedLayout's bytes for each: no form takes more. Forms of bfloat16
// take kRowsOfTile rows at a time, fewer only at the end.
void round_block(const Run& run, RowForm form, std::span<const float* const> rows, int64_t n_cols, std::byte* rounded, int64_t first,
                 int64_t n_rows);
// Rows [n_rows, n_cols] of float32, over all threads.
void round_rows(const Run& run, RowForm form, const float* src, int64_t n_rows, int64_t n_cols, std::byte* dst);

// Rows [first, first + n) of a product, for all source rows: x [n_rows, n_cols] and the same in the form for this many. Called by any
// thread.
void multiply_rows(const Run& run, const Product& product, int64_t first, int64_t n, const float* x, const std::byte* rounded,
                   int64_t n_rows, ThreadScratch& scratch);
// Gate and up of one source, and where up's rows begin: behind gate's, if both are one matrix.
struct GatedMatrices {
    const Matrix &gate, &up;
    int64_t up_first = 0;
};
// Whether gate_to_tiles serves what these matrices and `down`, which takes its result, read.
bool takes_gated_tiles(const Run& run, const Matrix& gate, const Matrix& up, const Matrix& down, int64_t n_rows);
// silu(gate) * up of rows [first, first + n) of the matrices, multiples of 32, as columns of the rows of kBf16 that `hidden` takes.
void gate_to_tiles(const Run& run, const GatedMatrices& matrices, int64_t first, int64_t n, const std::byte* x, int64_t n_rows,
                   std::byte* hidden, ThreadScratch& scratch);
// Memory for products of max_rows source rows.
void add_multiply_sizes(int64_t n_cols, int64_t max_rows, Sizes& sizes);

// Rows of a matrix for one work item, so that every thread gets several and streams a contiguous piece.
int64_t choose_chunk(const Run& run, int64_t n_matrix_rows, int64_t n_rows);

void matmul(const Run& run, std::span<const ponder_op> ops);        // products of one source
void gated_matmul(const Run& run, std::span<const ponder_op> ops);  // gate, up and their swiglu
void gated_ffn(const Run& run, std::span<const ponder_op> ops);     // the same and down, which alone reads it
void logits(const Run& run, std::span<const ponder_op> ops);
void swiglu(const Run& run, std::span<const ponder_op> ops);
void rms_norm(const Run& run, std::span<const ponder_op> ops);
void attention(const Run& run, std::span<const ponder_op> ops);
void mla_attention(const Run& run, std::span<const ponder_op> ops);
void moe_ffn(const Run& run, std::span<const ponder_op> ops);

void add_attention_sizes(const ponder_program& program, const ponder_op& op, Sizes& sizes);
void add_mla_sizes(const ponder_program& program, const ponder_op& op, int32_t max_rows, Sizes& sizes);
void add_moe_sizes(const ponder_program& program, const ponder_op& op, int32_t max_rows, Sizes& sizes);

// ---- Attention over the cache

// What attention reads: keys of one kind of head at a place of a cached row, and values beside them or among them.
struct CachedHeads {
    uint64_t k_offset, v_offset;  // of the layer in a page
    int64_t k_width, v_width;     // elements of a cached row
    int64_t k_first, v_first;     // the head's elements in it
    int64_t k_dim, v_dim;
    bool has_values;  // false: the values are the first v_dim elements of the keys
};

// One head's maps out of MLA's latent space, with which a tile's keys and values are made of what the cache holds: [n_latent, n_rope].
struct HeadMaps {
    const float* keys;    // [n_nope, n_latent]
    const float* values;  // [n_latent, padded(v_dim)]
    int64_t n_nope, n_latent, n_rope;
};

// Floats of a row for kernels that take 16 at a time.
constexpr int64_t padded(int64_t n) { return (n + 15) / 16 * 16; }

// Softmax(scale * q . K) . V for n_heads queries of each of n_rows rows, which follow one another in one sequence. q: [row][head] at
// q_stride floats a row and k_dim a head; dst likewise with v_dim. Each result depends on its own query and cache alone, bit for bit.
struct AttentionItem {
    CachedHeads cache;
    int64_t first_row, n_rows, n_heads;
    const float* q;
    int64_t q_stride;
    float* dst;
    int64_t dst_stride;
    float scale;
    const HeadMaps* maps = nullptr;  // not null: a query has n_nope + n_rope elements, and there is one head
};
void attend(const Run& run, const AttentionItem& item, ThreadScratch& scratch);

// All heads of an operator: groups of them read the same elements of the cache.
struct AttentionHeads {
    AttentionItem first;     // of the batch's first row, and its first group
    int64_t n_heads;         // in all; the last group may be smaller
    int64_t k_step, v_step;  // from one group's elements of a cached row to the next's. 0: all heads read the same, in groups of any size
};
// Every row of the batch, over all threads.
void attend_heads(const Run& run, const AttentionHeads& heads);
// Memory for that. The group's size is the one of AttentionHeads.
void add_heads_sizes(const ponder_program& program, int64_t k_dim, int64_t v_dim, int64_t n_heads, int64_t group, bool reads_same,
                     Sizes& sizes);
// n_queries: of an item, rows times heads.
void add_attend_sizes(const ponder_program& program, int64_t k_dim, int64_t v_dim, int64_t n_queries, Sizes& sizes);
void add_expanded_sizes(const HeadMaps& maps, int64_t v_dim, Sizes& sizes);
// Rows of the batch that follow one another in one sequence, in parts of at most max_rows, as even as they can be.
struct RowRun {
    int32_t first, n;
};
std::pmr::vector<RowRun> list_row_runs(const Run& run, int64_t max_rows);

}  // namespace ponder::cpu
