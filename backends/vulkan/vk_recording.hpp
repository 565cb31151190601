// SPDX-License-Identifier: Apache-2.0
// One shape class of a program while it is recorded: where things are on the device, and the operators, a file for each group.
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

// dst = src times the weight's rows [first_row, first_row + n_out) of each slice. Addresses and strides are of float32.
struct Product {
    const DeviceWeight* weight = nullptr;
    const DeviceWeight* gated = nullptr;  // dst = silu(weight . src) * (gated . src); few rows only
    uint32_t n_out = 0, n_rows = 0, n_batches = 1;
    uint64_t src = 0, dst = 0, bias = 0, norm = 0, experts = 0;
    uint32_t src_stride = 0, dst_stride = 0;
    uint32_t src_batch = 0, dst_batch = 0, src_div = 1;
    uint32_t slice_rows = 0, first_row = 0, gated_rows = 0;
    float epsilon = 0.0f;
    bool is_added = false;
    uint64_t src_bytes = 0, dst_bytes = 0;  // what is read and written, for barriers
};
// How matvec.glsl cuts its work.
struct MatvecShape {
    uint32_t threads, rows, cols, chunk, lanes;
};
// Products of few rows may be gated, normalise their source, and take experts; others may not. `forced` is for measurements.
void record_product(const Recording& r, const Product& product, const MatvecShape* forced = nullptr);

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
// Swiglu of two vectors a row apart.
void record_swiglu_rows(const Recording& r, uint64_t gate, uint64_t up, uint64_t dst, uint32_t width, uint32_t stride, uint32_t n_rows);

// What a shader is told as the type of the cache's elements.
uint32_t cache_type(const ponder_program& program);

// Why the device does not take an operator; null if it does.
const char* find_obstacle(const Device& device, const ponder_program& program, const ponder_op& op);

}  // namespace ponder::vk
