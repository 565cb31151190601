// SPDX-License-Identifier: Apache-2.0
// Finds what merges, and packs operands by their lifetimes.
#include "vk_program.hpp"

#include <algorithm>
#include <numeric>

namespace ponder::vk {

namespace {

constexpr uint32_t kWorkgroupsWanted = 512, kMaxParts = 32;

class Analysis {
  public:
    Analysis(const ponder_program& program) : p_(program), merges_(static_cast<size_t>(program.n_ops)) {
        for (int32_t i = 0; i < p_.n_ops; i++) {
            if (p_.ops[i].kind == PONDER_OP_SWIGLU) find_gated(i);
            if (p_.ops[i].kind == PONDER_OP_KV_WRITE) find_roped(i);
            if (p_.ops[i].kind == PONDER_OP_RMS_NORM || p_.ops[i].kind == PONDER_OP_ADD) find_added(i);
        }
        for (int32_t i = 0; i < p_.n_ops; i++) {
            if (p_.ops[i].kind == PONDER_OP_RMS_NORM) find_foldable(i);
        }
    }

    std::vector<Merge> take() { return std::move(merges_); }

  private:
    static bool touches(const ponder_op& op, int32_t operand) {
        return std::find(std::begin(op.src), std::end(op.src), operand) != std::end(op.src) || writes(op, operand);
    }
    static bool writes(const ponder_op& op, int32_t operand) {
        return std::find(std::begin(op.dst), std::end(op.dst), operand) != std::end(op.dst);
    }
    // The product that makes an operand which only operator `reader` reads; -1: there is none.
    int32_t sole_product(int32_t operand, int32_t reader) const {
        int32_t maker = -1;
        for (int32_t i = 0; i < p_.n_ops; i++) {
            if (i == reader || !touches(p_.ops[i], operand)) continue;
            if (maker >= 0 || p_.ops[i].kind != PONDER_OP_MATMUL || p_.ops[i].dst[0] != operand) return -1;
            maker = i;
        }
        return maker < reader ? maker : -1;
    }

    void find_gated(int32_t i) {
        const ponder_op& op = p_.ops[i];
        const int32_t gate = sole_product(op.src[0], i), up = sole_product(op.src[1], i);
        if (gate < 0 || up < 0 || gate == up) return;
        const ponder_op &a = p_.ops[gate], &b = p_.ops[up];
        const ponder_operand &x = p_.operands[a.src[1]], &y = p_.operands[b.src[1]];
        if (a.src[0] != b.src[0] || a.src[2] >= 0 || b.src[2] >= 0 || x.type != y.type || x.dims[0] != y.dims[0] || x.dims[1] != y.dims[1])
            return;
        for (int32_t j = std::min(gate, up) + 1; j < i; j++) {
            if (writes(p_.ops[j], a.src[0])) return;
        }
        merges_[static_cast<size_t>(i)].gate = gate;
        merges_[static_cast<size_t>(i)].up = up;
        merges_[static_cast<size_t>(gate)].is_gated = merges_[static_cast<size_t>(up)].is_gated = true;
    }

    void find_roped(int32_t i) {
        const int32_t keys = p_.ops[i].src[0];
        int32_t rope = -1;
        for (int32_t j = 0; j < p_.n_ops; j++) {
            const ponder_op& op = p_.ops[j];
            if (j == i || !touches(op, keys)) continue;
            if (j > i || (rope >= 0 && op.kind != PONDER_OP_ROPE)) return;
            if (op.kind != PONDER_OP_ROPE) continue;
            if (rope >= 0) return;
            rope = j;
        }
        if (rope < 0) return;
        merges_[static_cast<size_t>(i)].rope = rope;
        merges_[static_cast<size_t>(rope)].is_roped = true;
    }

    void find_added(int32_t i) {
        const ponder_op& op = p_.ops[i];
        const int32_t delta = op.kind == PONDER_OP_ADD ? op.src[1] : op.src[2];
        if (delta < 0) return;
        const int32_t product = sole_product(delta, i);
        if (product < 0 || p_.ops[product].src[0] == op.src[0]) return;
        for (int32_t j = product + 1; j < i; j++) {
            if (touches(p_.ops[j], op.src[0])) return;
        }
        merges_[static_cast<size_t>(product)].added_to = op.src[0];
        merges_[static_cast<size_t>(i)].is_added = true;
    }

    // A norm of whole rows whose readers are products, none of which comes after a change of its source.
    void find_foldable(int32_t i) {
        const ponder_op& op = p_.ops[i];
        Merge& merge = merges_[static_cast<size_t>(i)];
        if (op.dst[0] == op.src[0] || p_.operands[op.src[1]].dims[0] != p_.operands[op.src[0]].dims[0]) return;
        if (op.src[2] >= 0 && !merge.is_added) return;
        std::vector<int32_t> readers;
        bool is_changed = false;
        for (int32_t j = i + 1; j < p_.n_ops; j++) {
            const ponder_op& later = p_.ops[j];
            if (writes(later, op.dst[0])) break;
            const int32_t gate = merges_[static_cast<size_t>(j)].gate;
            if (is_changed && gate >= 0 && p_.ops[gate].src[0] == op.dst[0]) return;  // where its products run
            if (touches(later, op.dst[0])) {
                const bool is_product = later.kind == PONDER_OP_MATMUL || later.kind == PONDER_OP_LOGITS;
                // A product that adds to the norm's own source would read what others of its workgroups have changed.
                const bool is_in_place = merges_[static_cast<size_t>(j)].added_to == op.src[0];
                if (is_changed || is_in_place || !is_product || later.src[0] != op.dst[0]) return;
                readers.push_back(j);
            }
            // A product adds to its operand as early as it runs.
            is_changed = is_changed || writes(later, op.src[0]) || merges_[static_cast<size_t>(j)].added_to == op.src[0];
        }
        merge.is_foldable = !readers.empty();
        for (const int32_t reader : readers) merges_[static_cast<size_t>(reader)].norm = i;
    }

    const ponder_program& p_;
    std::vector<Merge> merges_;
};

uint64_t most_part_rows(int32_t max_rows, uint32_t n_workgroups) {
    uint64_t most = 0;
    for (int32_t n = 1; n <= max_rows; n++) {
        const uint32_t parts = attention_parts(static_cast<uint32_t>(n), n_workgroups);
        if (parts > 1) most = std::max(most, static_cast<uint64_t>(n) * parts);
    }
    return most;
}

uint64_t round4(uint64_t n) { return (n + 3) / 4 * 4; }

void add_temporaries(const ponder_program& program, int32_t i, int32_t max_rows, std::vector<Temporary>& all) {
    const ponder_op& op = program.ops[i];
    const auto rows = static_cast<uint64_t>(max_rows);
    if (op.kind == PONDER_OP_ATTENTION) {
        const ponder_attention_params& p = op.params.attention;
        const auto group = static_cast<uint32_t>(p.n_heads / p.n_kv_heads);
        const uint32_t heads = attention_heads(group, static_cast<uint32_t>(p.k_head_dim));
        const uint32_t n_workgroups = static_cast<uint32_t>(p.n_kv_heads) * ((group + heads - 1) / heads);
        all.push_back(
            {i, most_part_rows(max_rows, n_workgroups) * static_cast<uint64_t>(p.n_heads) * static_cast<uint64_t>(p.v_head_dim + 2)});
    }
    if (op.kind == PONDER_OP_MLA_ATTENTION) {
        const ponder_mla_attention_params& p = op.params.mla_attention;
        const auto n_heads = static_cast<uint64_t>(p.n_heads);
        const uint32_t heads = attention_heads(static_cast<uint32_t>(p.n_heads), static_cast<uint32_t>(p.kv.k_width));
        const uint32_t n_workgroups = (static_cast<uint32_t>(p.n_heads) + heads - 1) / heads;
        all.push_back({i, rows * n_heads * static_cast<uint64_t>(p.kv.k_width)});        // queries in terms of latents
        all.push_back({i, rows * n_heads * round4(static_cast<uint64_t>(p.n_latent))});  // sums of latents
        all.push_back({i, most_part_rows(max_rows, n_workgroups) * n_heads * static_cast<uint64_t>(p.n_latent + 2)});
        all.push_back({i, rows * n_heads * round4(static_cast<uint64_t>(p.n_nope))});  // queries without their rotated parts
    }
    if (op.kind == PONDER_OP_MOE_FFN) {
        const uint64_t n = rows * static_cast<uint64_t>(program.operands[op.src[1]].dims[0]);
        const uint64_t n_ff = round4(static_cast<uint64_t>(program.operands[op.src[5]].dims[0]));
        all.push_back({i, n * n_ff});  // silu(gate) * up
        all.push_back({i, n * round4(static_cast<uint64_t>(program.operands[op.dst[0]].dims[0]))});
        all.push_back({i, n * n_ff});  // up, where it cannot be made with the gate
    }
}

struct Life {
    int32_t first = -1, last = -1;
    uint64_t n_floats = 0;
    uint64_t* offset = nullptr;
};

// First fit, largest first.
uint64_t pack(std::vector<Life>& lives) {
    std::sort(lives.begin(), lives.end(), [](const Life& a, const Life& b) { return a.n_floats > b.n_floats; });
    uint64_t total = 0;
    std::vector<const Life*> placed;
    for (Life& life : lives) {
        std::vector<std::pair<uint64_t, uint64_t>> taken;
        for (const Life* other : placed) {
            if (other->first <= life.last && life.first <= other->last)
                taken.emplace_back(*other->offset, *other->offset + other->n_floats);
        }
        std::sort(taken.begin(), taken.end());
        uint64_t at = 0;
        for (const auto& [begin, end] : taken) {
            if (at + life.n_floats <= begin) break;
            at = std::max(at, end);
        }
        *life.offset = at;
        total = std::max(total, at + life.n_floats);
        placed.push_back(&life);
    }
    return total;
}

}  // namespace

const Temporary& Layout::temporary(int32_t op, int32_t i) const {
    const auto first = std::find_if(temporaries.begin(), temporaries.end(), [op](const Temporary& t) { return t.op == op; });
    return *(first + i);
}

uint32_t attention_heads(uint32_t group, uint32_t k_dim) {
    // Queries take up to 8 KiB of a workgroup's memory, and sums their registers.
    uint32_t heads = k_dim > 256 ? 4 : 8;
    while (heads > 1 && (heads * k_dim * 4 > 10240 || heads / 2 >= group)) heads /= 2;
    return heads;
}

uint32_t attention_parts(uint32_t n_rows, uint32_t n_workgroups) {
    return std::clamp(kWorkgroupsWanted / std::max(1u, n_rows * n_workgroups), 1u, kMaxParts);
}

Layout lay_out(const ponder_program& program, int32_t max_rows, int32_t max_outputs) {
    Layout layout;
    layout.merges = Analysis(program).take();
    const auto n_operands = static_cast<size_t>(program.n_operands);
    layout.strides.resize(n_operands);
    layout.offsets.resize(n_operands);
    std::vector<Life> lives(n_operands);
    const auto touch = [&](int32_t id, int32_t i) {
        if (id < 0 || program.operands[id].role == PONDER_OPERAND_WEIGHT) return;
        Life& life = lives[static_cast<size_t>(id)];
        if (life.first < 0) life.first = i;
        life.last = std::max(life.last, i);
    };
    for (size_t id = 0; id < n_operands; id++) {
        const ponder_operand& operand = program.operands[id];
        layout.strides[id] = static_cast<uint32_t>(round4(static_cast<uint64_t>(operand.dims[0])));
        const int32_t n = operand.role == PONDER_OPERAND_OUTPUT ? max_outputs : max_rows;
        lives[id].n_floats = (static_cast<uint64_t>(layout.strides[id]) * static_cast<uint64_t>(std::max(n, 1)) + 63) / 64 * 64;
        lives[id].offset = &layout.offsets[id];
    }
    for (int32_t i = 0; i < program.n_ops; i++) {
        const ponder_op& op = program.ops[i];
        for (const int32_t id : op.src) touch(id, i);
        for (const int32_t id : op.dst) touch(id, i);
        // Experts' numbers are read as one list.
        const auto pack_rows = [&](int32_t id) {
            layout.strides[static_cast<size_t>(id)] = static_cast<uint32_t>(program.operands[id].dims[0]);
        };
        if (op.kind == PONDER_OP_MOE_ROUTE) pack_rows(op.dst[0]), pack_rows(op.dst[1]);
        if (op.kind == PONDER_OP_MOE_FFN) pack_rows(op.src[1]), pack_rows(op.src[2]);
        const Merge& merge = layout.merges[static_cast<size_t>(i)];
        if (merge.added_to >= 0) touch(merge.added_to, i);
        if (merge.norm >= 0) touch(program.ops[merge.norm].src[0], i);
        // Gated products run where the swiglu stands, and then still read their source.
        if (merge.gate >= 0) {
            touch(program.ops[merge.gate].src[0], i);
            if (const int32_t norm = layout.merges[static_cast<size_t>(merge.gate)].norm; norm >= 0) touch(program.ops[norm].src[0], i);
        }
    }
    for (int32_t i = 0; i < program.n_ops; i++) add_temporaries(program, i, max_rows, layout.temporaries);
    for (Temporary& t : layout.temporaries) {
        t.n_floats = (std::max<uint64_t>(t.n_floats, 1) + 63) / 64 * 64;
        lives.push_back({t.op, t.op, t.n_floats, &t.offset});
    }
    std::erase_if(lives, [](const Life& life) { return life.first < 0; });
    layout.n_floats = pack(lives);
    return layout;
}

}  // namespace ponder::vk
