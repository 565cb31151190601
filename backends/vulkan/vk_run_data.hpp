// SPDX-License-Identifier: Apache-2.0
// What changes from run to run, in memory that the host writes and shaders read: recorded commands hold its addresses, never its values.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "ponder/ponder_backend.h"
#include "vk_buffer.hpp"
#include "vk_program.hpp"

namespace ponder::vk {

class RunData {
  public:
    RunData(Device& device, const ponder_program& program) : device_(device), program_(program) {}
    ~RunData();
    RunData(const RunData&) = delete;
    RunData& operator=(const RunData&) = delete;

    // Makes room, and finds the tables that embeddings are read from.
    Result<void> start(const Layout& layout, int32_t max_rows, int32_t max_outputs);
    // Bytes that a plan holds for this, for sequences of n_context tokens in all.
    static uint64_t bytes(const ponder_program& program, const Layout& layout, int32_t max_rows, int32_t max_outputs, int64_t n_context);

    // The first part of a batch brings what all its parts need.
    Result<void> fill(const ponder_run& run);
    // Rows that operators sent, to the run's host memory.
    void deliver(const ponder_run& run) const;

    const Allocation& memory() const { return memory_; }
    uint64_t header() const { return memory_.address; }
    uint64_t positions() const { return memory_.address + places_.positions; }
    uint64_t first_pages() const { return memory_.address + places_.first_pages; }
    uint64_t output_rows() const { return memory_.address + places_.output_rows; }
    uint64_t reaches() const { return memory_.address + places_.reaches; }
    // Cosines and sines of a rope operator's rows.
    uint64_t angles(int32_t op) const { return memory_.address + places_.angles.at(op); }
    // Offset of an embed operator's decoded rows.
    uint64_t embedding(int32_t op) const { return places_.embeddings.at(op); }
    // Offset of the rows of a transfer: of those that are received in `memory`, of those that are sent in `sent_memory`.
    uint64_t slot(const ponder_op& op) const { return places_.slots.at(op.params.transfer.slot); }
    uint64_t sent_place(const ponder_op& op) const { return slot(op) - places_.slots_begin; }
    const Allocation& sent_memory() const { return sent_; }
    int32_t n_slots() const { return places_.slots.empty() ? 0 : places_.slots.rbegin()->first + 1; }

  private:
    struct Places {
        uint64_t positions = 0, first_pages = 0, output_rows = 0, reaches = 0, n_bytes = 0;
        uint64_t slots_begin = 0;                        // slots come last
        std::map<int32_t, uint64_t> slots;               // by number
        std::map<int32_t, uint64_t> angles, embeddings;  // by operator; rope operators of one table share its place
    };
    static Places find_places(const ponder_program& program, const Layout& layout, int32_t max_rows, int32_t max_outputs);

    Result<void> fill_pages(const ponder_run& run);
    void fill_angles(const ponder_run& run, int32_t op, uint64_t place);
    void fill_embedding(const ponder_run& run, int32_t op, uint64_t place);
    void fill_received(const ponder_run& run, const ponder_op& op);

    Device& device_;
    const ponder_program& program_;
    std::vector<uint32_t> strides_;  // [n_operands]
    Places places_;
    Allocation memory_, pages_, sent_;
    std::map<int32_t, std::vector<float>> frequencies_;  // by operator
};

}  // namespace ponder::vk
