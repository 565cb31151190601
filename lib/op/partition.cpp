// SPDX-License-Identifier: Apache-2.0
// Follows every operand's rows from the stage that writes them to those that read them, and sends them where the device differs.
#include "op/partition.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace ponder {

namespace {

// Rows on their way: from the end of one stage to the beginning of others.
struct Transfer {
    OperandId operand;
    size_t from, last;  // stages
    std::vector<size_t> to;
    int32_t slot = 0;
};

// Operators [begin, end) of the whole program.
struct Stage {
    int32_t piece;
    size_t begin, end;
};

// The cache parameters of an operator; null if it has none.
ponder_kv_params* find_kv(ponder_op& op) {
    switch (op.kind) {
        case PONDER_OP_KV_WRITE:
            return &op.params.kv_write;
        case PONDER_OP_ATTENTION:
            return &op.params.attention.kv;
        case PONDER_OP_MLA_ATTENTION:
            return &op.params.mla_attention.kv;
        default:
            return nullptr;
    }
}

class Partitioner {
  public:
    Partitioner(const Program& whole, std::span<const int32_t> piece_of_op, int32_t n_pieces)
        : whole_(whole), piece_of_op_(piece_of_op), n_pieces_(static_cast<size_t>(n_pieces)), builders_(n_pieces_), local_(n_pieces_) {}

    Result<Partition> run() {
        find_stages();
        find_transfers();
        assign_slots();
        pack_caches();
        partition_.operands.resize(n_pieces_);
        std::vector<int32_t> n_ops(n_pieces_, 0);
        for (size_t s = 0; s < stages_.size(); s++) {
            int32_t& next = n_ops[static_cast<size_t>(stages_[s].piece)];
            if (!is_set_apart(s)) return make_error(PONDER_STATUS_INTERNAL, "nothing parts stage %zu from its piece's stage before", s);
            const int32_t n = emit(s);
            partition_.stages.push_back({stages_[s].piece, next, n});
            next += n;
        }
        for (ProgramBuilder& builder : builders_) {
            auto piece = std::move(builder).finish();
            if (!piece) return piece.error();
            partition_.pieces.push_back(std::move(*piece));
        }
        return std::move(partition_);
    }

  private:
    bool holds_rows(OperandId id) const { return id >= 0 && whole_.operands()[static_cast<size_t>(id)].role != PONDER_OPERAND_WEIGHT; }

    void find_stages() {
        for (size_t i = 0; i < piece_of_op_.size(); i++) {
            if (stages_.empty() || stages_.back().piece != piece_of_op_[i]) stages_.push_back({piece_of_op_[i], i, i});
            stages_.back().end = i + 1;
        }
    }

    void find_transfers() {
        struct Version {
            size_t written_in = 0;      // stage
            std::set<int32_t> held_by;  // pieces
            size_t transfer = 0;        // number of it plus one; 0: the rows are not sent
        };
        std::map<OperandId, Version> versions;
        for (size_t s = 0; s < stages_.size(); s++) {
            const int32_t piece = stages_[s].piece;
            for (size_t i = stages_[s].begin; i < stages_[s].end; i++) {
                for (const OperandId id : whole_.ops()[i].src) {
                    if (!holds_rows(id)) continue;
                    Version& version = versions[id];
                    if (!version.held_by.insert(piece).second) continue;
                    if (version.transfer == 0) {
                        transfers_.push_back({id, version.written_in, s, {}});
                        version.transfer = transfers_.size();
                    }
                    Transfer& transfer = transfers_[version.transfer - 1];
                    transfer.to.push_back(s);
                    transfer.last = s;
                }
                for (const OperandId id : whole_.ops()[i].dst) {
                    if (holds_rows(id)) versions[id] = {s, {piece}, 0};
                }
            }
        }
    }

    // The first slot of the same width whose rows have all arrived before.
    void assign_slots() {
        std::vector<size_t> busy_until;  // [n_slots], stages
        std::stable_sort(transfers_.begin(), transfers_.end(), [](const Transfer& a, const Transfer& b) { return a.from < b.from; });
        for (Transfer& transfer : transfers_) {
            const int64_t width = whole_.operands()[static_cast<size_t>(transfer.operand)].dims[0];
            size_t slot = 0;
            while (slot < busy_until.size() && (partition_.slot_widths[slot] != width || busy_until[slot] > transfer.from)) slot++;
            if (slot == busy_until.size()) {
                busy_until.push_back(0);
                partition_.slot_widths.push_back(width);
            }
            busy_until[slot] = transfer.last;
            transfer.slot = static_cast<int32_t>(slot);
        }
    }

    // Each piece's page holds its own layers, one after the other.
    void pack_caches() {
        std::map<uint64_t, int32_t> piece_of_layer;  // by the place of its keys in a page of all layers
        for (size_t i = 0; i < piece_of_op_.size(); i++) {
            ponder_op op = whole_.ops()[i];
            if (const ponder_kv_params* kv = find_kv(op)) piece_of_layer[kv->k_offset] = piece_of_op_[i];
        }
        for (ProgramBuilder& builder : builders_) {
            builder.kv().type = whole_.view().kv_type;
            builder.kv().page_tokens = whole_.view().kv_page_tokens;
        }
        for (auto layer = piece_of_layer.begin(); layer != piece_of_layer.end(); ++layer) {
            const auto next = std::next(layer);
            const uint64_t end = next == piece_of_layer.end() ? whole_.view().kv_page_bytes : next->first;
            uint64_t& page_bytes = builders_[static_cast<size_t>(layer->second)].kv().page_bytes;
            moved_layers_[layer->first] = page_bytes;
            page_bytes += end - layer->first;
        }
    }

    OperandId local(int32_t piece, OperandId id) {
        if (id < 0) return kNoOperand;
        const auto p = static_cast<size_t>(piece);
        const auto found = local_[p].find(id);
        if (found != local_[p].end()) return found->second;
        std::vector<OperandId>& originals = partition_.operands[p];
        const OperandId copy = builders_[p].add_copy(whole_, id);
        originals.resize(static_cast<size_t>(copy) + 1, kNoOperand);
        originals[static_cast<size_t>(copy)] = id;
        return local_[p][id] = copy;
    }

    // Whether a transfer lies between a stage and the one before it in the same piece: backends join operators that are neighbours.
    bool is_set_apart(size_t s) const {
        size_t before = s;
        while (before > 0 && stages_[--before].piece != stages_[s].piece) {
        }
        if (before == s || stages_[before].piece != stages_[s].piece) return true;
        return std::any_of(transfers_.begin(), transfers_.end(), [&](const Transfer& transfer) {
            return transfer.from == before || std::find(transfer.to.begin(), transfer.to.end(), s) != transfer.to.end();
        });
    }

    // Returns the number of operators that the stage has in its piece.
    int32_t emit(size_t s) {
        const Stage& stage = stages_[s];
        ProgramBuilder& builder = builders_[static_cast<size_t>(stage.piece)];
        auto n = static_cast<int32_t>(stage.end - stage.begin);
        for (const Transfer& transfer : transfers_) {
            if (std::find(transfer.to.begin(), transfer.to.end(), s) == transfer.to.end()) continue;
            builder.receive(local(stage.piece, transfer.operand), transfer.slot);
            n++;
        }
        for (size_t i = stage.begin; i < stage.end; i++) {
            ponder_op op = whole_.ops()[i];
            for (OperandId& id : op.src) id = local(stage.piece, id);
            for (OperandId& id : op.dst) id = local(stage.piece, id);
            if (ponder_kv_params* kv = find_kv(op)) {
                const uint64_t begin = moved_layers_[kv->k_offset];
                kv->v_offset = begin + (kv->v_offset - kv->k_offset);
                kv->k_offset = begin;
            }
            builder.add_op(op);
        }
        for (const Transfer& transfer : transfers_) {
            if (transfer.from != s) continue;
            builder.send(local(stage.piece, transfer.operand), transfer.slot);
            n++;
        }
        return n;
    }

    const Program& whole_;
    std::span<const int32_t> piece_of_op_;
    const size_t n_pieces_;
    std::vector<ProgramBuilder> builders_;
    std::vector<std::map<OperandId, OperandId>> local_;  // [n_pieces]: by the whole program's number
    std::vector<Stage> stages_;
    std::vector<Transfer> transfers_;
    std::map<uint64_t, uint64_t> moved_layers_;  // where a layer's keys lie in its piece's page, by where they lay
    Partition partition_;
};

}  // namespace

uint64_t Partition::transfer_bytes(int32_t max_rows) const {
    int64_t n_floats = 0;
    for (const int64_t width : slot_widths) n_floats += width;
    return static_cast<uint64_t>(n_floats) * static_cast<uint64_t>(max_rows) * sizeof(float);
}

Result<Partition> make_partition(const Program& whole, std::span<const int32_t> piece_of_op, int32_t n_pieces) {
    return Partitioner(whole, piece_of_op, n_pieces).run();
}

}  // namespace ponder
