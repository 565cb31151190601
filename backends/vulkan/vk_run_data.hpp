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

    Result<void> fill(const ponder_run& run);

    const Allocation& memory() const { return memory_; }
    uint64_t header() const { return memory_.address; }
    uint64_t positions() const { return memory_.address + places_.positions; }
    uint64_t first_pages() const { return memory_.address + places_.first_pages; }
    uint64_t output_rows() const { return memory_.address + places_.output_rows; }
    // Cosines and sines of a rope operator's rows.
    uint64_t angles(int32_t op) const { return memory_.address + places_.angles.at(op); }
    // Offset of an embed operator's decoded rows.
    uint64_t embedding(int32_t op) const { return places_.embeddings.at(op); }

  private:
    struct Places {
        uint64_t positions = 0, first_pages = 0, output_rows = 0, n_bytes = 0;
        std::map<int32_t, uint64_t> angles, embeddings;  // by operator; rope operators of one table share its place
    };
    static Places find_places(const ponder_program& program, const Layout& layout, int32_t max_rows, int32_t max_outputs);

    Result<void> fill_pages(const ponder_run& run);
    void fill_angles(const ponder_run& run, int32_t op, uint64_t place);
    void fill_embedding(const ponder_run& run, int32_t op, uint64_t place);

    Device& device_;
    const ponder_program& program_;
    std::vector<uint32_t> strides_;  // [n_operands]
    Places places_;
    Allocation memory_, pages_;
    std::map<int32_t, std::vector<float>> frequencies_;  // by operator
};

}  // namespace ponder::vk
