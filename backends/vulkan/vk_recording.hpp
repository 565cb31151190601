// SPDX-License-Identifier: Apache-2.0
// One shape class of a program while it is recorded: where things are on the device, and the operators, each in a file of ops/.
#pragma once

#include <map>
#include <utility>

#include "vk_recorder.hpp"
#include "vk_run_data.hpp"
#include "vk_selection.hpp"

namespace ponder::vk {

// Weights of a program on the device, by operand; keys of latent attention that had to be turned have a place of their own.
struct PlacedWeights {
    std::map<int32_t, const DeviceWeight*> by_operand;
    std::map<int32_t, const DeviceWeight*> turned_keys;
    std::vector<std::unique_ptr<DeviceWeight>> kept;  // those that no buffer keeps
};

inline uint32_t divide_up(uint32_t a, uint32_t b) { return (a + b - 1) / b; }

struct Recording {
    Device& device;
    Recorder& recorder;
    const ponder_program& program;
    const Layout& layout;
    const RunData& data;
    const PlacedWeights& weights;
    uint64_t scratch;  // address
    const Allocation& scratch_memory;
    const Allocation& logits;       // [kLogitRows, logits_stride], on the device
    const Allocation& host_logits;  // the same, for the host
    const Selector* selector;       // null: logits come to the host
    uint32_t logits_stride;
    uint32_t n_rows, n_outputs;

    const ponder_operand& operand(int32_t id) const { return program.operands[id]; }
    const Merge& merge(int32_t op) const { return layout.merges[static_cast<size_t>(op)]; }
    uint32_t rows(int32_t id) const { return operand(id).role == PONDER_OPERAND_OUTPUT ? n_outputs : n_rows; }
    uint32_t width(int32_t id) const { return static_cast<uint32_t>(operand(id).dims[0]); }
    uint32_t stride(int32_t id) const { return layout.strides[static_cast<size_t>(id)]; }
    uint64_t address(int32_t id) const { return scratch + layout.offsets[static_cast<size_t>(id)] * 4; }
    uint64_t n_bytes(int32_t id) const { return uint64_t{rows(id)} * stride(id) * 4; }
    uint64_t temporary(int32_t op, int32_t i) const { return scratch + layout.temporary(op, i).offset * 4; }
    uint64_t temporary_bytes(int32_t op, int32_t i) const { return layout.temporary(op, i).n_floats * 4; }
    // Of a weight that is a vector of float32; 0 for an absent operand.
    uint64_t vector(int32_t id) const { return id < 0 ? 0 : weights.by_operand.at(id)->memory.address; }

    Access read(int32_t id) const { return reads(address(id), n_bytes(id)); }
    Access write(int32_t id) const { return writes(address(id), n_bytes(id)); }
};

void record_embed(const Recording& r, int32_t op);
void record_rms_norm(const Recording& r, int32_t op);
void record_rope(const Recording& r, int32_t op);
void record_kv_write(const Recording& r, int32_t op);
void record_swiglu(const Recording& r, int32_t op);
void record_add(const Recording& r, int32_t op);
void record_gather_rows(const Recording& r, int32_t op);
void record_receive(const Recording& r, int32_t op);
void record_send(const Recording& r, int32_t op);
void record_matmul(const Recording& r, int32_t op);
void record_logits(const Recording& r, int32_t op);
void record_attention(const Recording& r, int32_t op);
void record_mla_attention(const Recording& r, int32_t op);
void record_moe_route(const Recording& r, int32_t op);
void record_moe_ffn(const Recording& r, int32_t op);

// What a shader is told as the type of the cache's elements.
uint32_t cache_type(const ponder_program& program);

// Why the device does not take an operator; null if it does.
const char* find_obstacle(const Device& device, const ponder_program& program, const ponder_op& op);

}  // namespace ponder::vk
