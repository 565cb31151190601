// SPDX-License-Identifier: Apache-2.0
// Mixture of experts: all experts of a window are one list of work over all threads.
#include <algorithm>
#include <vector>

#include "activation.hpp"
#include "cpu_plan.hpp"

namespace ponder::cpu {

namespace {

constexpr int64_t kWindow = 256;  // places of the route that are worked on together

// Rows of a window that one expert works on: places [first, first + n).
struct ExpertRows {
    int64_t first, n;
    HeldMatrix gate, up, down;
};

// Where a window's rows lie.
struct WindowMemory {
    WindowMemory(int64_t n_embd, int64_t n_ff)
        : rows(kWindow * n_embd),
          gates(kWindow * n_ff),
          rounded(kWindow * RoundedLayout(n_embd).n_bytes),
          hidden(kWindow * RoundedLayout(n_ff).n_bytes) {}
    int64_t rows, gates;      // floats
    int64_t rounded, hidden;  // bytes
};

class Experts {
  public:
    Experts(const Run& run, const ponder_op& op)
        : run_(run), op_(op), n_embd_(run.width(op.src[0])), n_ff_(run.width(op.src[5])), is_fused_(op.src[4] < 0) {
        const WindowMemory size(n_embd_, n_ff_);
        rows_ = run.plan.experts.data();
        gates_ = rows_ + size.rows;
        ups_ = gates_ + size.gates;
        rounded_ = run.plan.gathered.data();
        hidden_ = rounded_ + size.rounded;
    }

    void run() {
        const std::pmr::vector<Assignment> all = host::sort_assignments(run_, op_.src[1], run_.rows(op_.src[2]));
        for (size_t i = 0; i < all.size(); i++) {
            if (i > 0 && all[i].expert == all[i - 1].expert) continue;
            for (const int s : {3, 4, 5}) host::prefetch(run_, op_.src[s], all[i].expert, false);
        }
        std::fill_n(run_.rows(op_.dst[0]), run_.n_rows(op_.dst[0]) * n_embd_, 0.0f);
        const bool is_streamed = run_.operand(op_.src[3]).is_streamed != 0;
        for (size_t begin = 0; begin < all.size() && !run_.should_stop();) {
            size_t end = begin;
            while (end < all.size()) {
                // An expert's rows are worked on together, whatever other experts the window has: how they are multiplied depends on their
                // number. Streamed experts are held one at a time: more might not fit where they are kept.
                size_t after = end;
                while (after < all.size() && after - end < kWindow && all[after].expert == all[end].expert) after++;
                if (after - begin > kWindow || (is_streamed && all[end].expert != all[begin].expert)) break;
                end = after;
            }
            run_window(std::span(all).subspan(begin, end - begin));
            begin = end;
        }
    }

  private:
    void run_window(std::span<const Assignment> places) {
        std::pmr::vector<ExpertRows> experts(&run_.lists);
        experts.reserve(places.size());
        for (size_t i = 0; i < places.size(); i++) {
            if (i > 0 && places[i].expert == places[i - 1].expert) {
                experts.back().n++;
                continue;
            }
            const auto hold = [&](int s) { return HeldMatrix(run_, op_.src[s], places[i].expert); };
            experts.push_back({static_cast<int64_t>(i), 1, hold(3), hold(4), hold(5)});
        }
        if (run_.should_stop()) return;
        // Calls work(rows, first place, expert) for all places, kRowsOfTile of an expert at a time.
        const auto by_blocks = [&](const auto& row, const auto& work) {
            run_.pool.parallel_for(static_cast<int64_t>(places.size()), [&](int64_t first, int) {
                const auto after = std::upper_bound(experts.begin(), experts.end(), first,
                                                    [](int64_t place, const ExpertRows& e) { return place < e.first; });
                const ExpertRows& e = *(after - 1);
                if ((first - e.first) % kRowsOfTile != 0) return;
                const float* rows[kRowsOfTile];
                const int64_t some = std::min(kRowsOfTile, e.first + e.n - first);
                for (int64_t i = 0; i < some; i++) rows[i] = row(first + i);
                work(std::span<const float* const>(rows, static_cast<size_t>(some)), first, e);
            });
        };
        const auto source = [&](int64_t i) { return run_.rows(op_.src[0]) + places[static_cast<size_t>(i)].row * n_embd_; };
        by_blocks(source, [&](std::span<const float* const> rows, int64_t first, const ExpertRows& e) {
            put_rows(e.gate, e, first, rows, rows_, rounded_);
            if (!is_fused_ && form_for(run_, e.up.get(), e.n) != form_for(run_, e.gate.get(), e.n))
                put_rows(e.up, e, first, rows, rows_, rounded_);
        });
        in_pieces(experts, n_ff_,
                  [&](const ExpertRows& e, int64_t first, int64_t some, ThreadScratch& scratch) { gate_and_up(e, first, some, scratch); });
        by_blocks([&](int64_t i) { return gates_ + i * n_ff_; },
                  [&](std::span<const float* const> rows, int64_t first, const ExpertRows& e) {
                      if (!takes_tiles(e)) put_rows(e.down, e, first, rows, gates_, hidden_);
                  });
        in_pieces(experts, n_embd_, [&](const ExpertRows& e, int64_t first, int64_t some, ThreadScratch& scratch) {
            const Product down = {.weight = e.down.get(), .dst = rows_ + e.first * n_embd_, .stride = n_embd_};
            multiply_rows(run_, down, first, some, gates_ + e.first * n_ff_, hidden_ + e.first * RoundedLayout(n_ff_).n_bytes, e.n,
                          scratch);
        });
        if (!run_.should_stop()) add_results(places);
    }

    // Rows of places from `first` on in the form that a matrix of their expert reads. An expert's rounded rows begin where int8 ones of
    // those before it end.
    void put_rows(const HeldMatrix& held, const ExpertRows& e, int64_t first, std::span<const float* const> rows, float* floats,
                  std::byte* rounded) const {
        const Matrix& matrix = held.get();
        const RowForm form = form_for(run_, matrix, e.n);
        if (form != RowForm::kFloats) {
            std::byte* own = rounded + e.first * RoundedLayout(matrix.n_cols).n_bytes;
            return round_block(run_, form, rows, matrix.n_cols, own, first - e.first, e.n);
        }
        for (const float* row : rows) {
            float* copy = floats + first++ * matrix.n_cols;
            if (copy != row) std::copy_n(row, matrix.n_cols, copy);
        }
    }

    // Calls work(expert, first row of its matrix, rows, scratch) for all pieces of n_matrix_rows rows of all experts.
    template <class Work>
    void in_pieces(std::span<const ExpertRows> experts, int64_t n_matrix_rows, const Work& work) {
        const int64_t n_experts = static_cast<int64_t>(experts.size());
        int64_t most = 0;
        for (const ExpertRows& e : experts) most = std::max(most, e.n);
        const int64_t chunk = choose_chunk(run_, n_matrix_rows * n_experts, most), n_pieces = (n_matrix_rows + chunk - 1) / chunk;
        run_.pool.parallel_for(n_experts * n_pieces, [&](int64_t i, int thread) {
            if (run_.should_stop()) return;
            const int64_t first = i % n_pieces * chunk;
            work(experts[static_cast<size_t>(i / n_pieces)], first, std::min(chunk, n_matrix_rows - first),
                 run_.plan.threads[static_cast<size_t>(thread)]);
        });
    }

    const Matrix& up_of(const ExpertRows& e) const { return is_fused_ ? e.gate.get() : e.up.get(); }
    bool takes_tiles(const ExpertRows& e) const { return takes_gated_tiles(run_, e.gate.get(), up_of(e), e.down.get(), e.n); }

    void gate_and_up(const ExpertRows& e, int64_t first, int64_t n, ThreadScratch& scratch) {
        const float* x = rows_ + e.first * n_embd_;
        const std::byte* rounded = rounded_ + e.first * RoundedLayout(n_embd_).n_bytes;
        const int64_t up_first = is_fused_ ? n_ff_ : 0;
        const Matrix& up = up_of(e);
        if (takes_tiles(e)) {
            std::byte* hidden = hidden_ + e.first * RoundedLayout(n_ff_).n_bytes;
            return gate_to_tiles(run_, {e.gate.get(), up, up_first}, first, n, rounded, e.n, hidden, scratch);
        }
        float *gates = gates_ + e.first * n_ff_, *ups = ups_ + e.first * n_ff_;
        multiply_rows(run_, {.weight = e.gate.get(), .dst = gates, .stride = n_ff_}, first, n, x, rounded, e.n, scratch);
        multiply_rows(run_, {.weight = up, .dst = ups, .stride = n_ff_, .first_row = up_first}, up_first + first, n, x, rounded, e.n,
                      scratch);
        for (int64_t i = 0; i < e.n; i++) {
            float* gate = gates + i * n_ff_ + first;
            run_.kernels.swiglu(gate, ups + i * n_ff_ + first, gate, n);
        }
    }

    // A row's results are added in the order of its experts' numbers, a piece of its columns at a time.
    void add_results(std::span<const Assignment> places) {
        constexpr int64_t kColumns = 1024;
        run_.pool.parallel_for((n_embd_ + kColumns - 1) / kColumns, [&](int64_t piece, int) {
            const int64_t first = piece * kColumns, n = std::min(kColumns, n_embd_ - first);
            for (size_t i = 0; i < places.size(); i++) {
                run_.kernels.add_weighted(&places[i].weight, rows_ + static_cast<int64_t>(i) * n_embd_ + first, n_embd_, 1,
                                          run_.rows(op_.dst[0]) + places[i].row * n_embd_ + first, n);
            }
        });
    }

    const Run& run_;
    const ponder_op& op_;
    const int64_t n_embd_, n_ff_;
    const bool is_fused_;
    float* rows_;                   // [places, n_embd]: sources, then results
    float *gates_, *ups_;           // [places, n_ff]
    std::byte *rounded_, *hidden_;  // rounded rows_ and gates_
};

}  // namespace

void add_moe_sizes(const ponder_program& program, const ponder_op& op, int32_t max_rows, Sizes& sizes) {
    const int64_t n_embd = program.operands[op.src[0]].dims[0], n_ff = program.operands[op.src[5]].dims[0];
    add_multiply_sizes(n_embd, max_rows, sizes);
    add_multiply_sizes(n_ff, 0, sizes);  // the experts' own rows lie in `gathered`
    const WindowMemory size(n_embd, n_ff);
    sizes.experts = std::max(sizes.experts, static_cast<size_t>(size.rows + 2 * size.gates));
    sizes.gathered = std::max(sizes.gathered, static_cast<size_t>(size.rounded + size.hidden));
}

void moe_ffn(const Run& run, std::span<const ponder_op> ops) { Experts(run, ops[0]).run(); }

}  // namespace ponder::cpu
