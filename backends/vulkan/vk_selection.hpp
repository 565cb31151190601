// SPDX-License-Identifier: Apache-2.0
// Finds the likeliest tokens where the logits are: some thousand bytes come to the host in place of a vocabulary's.
#pragma once

#include "ponder/ponder_backend.h"
#include "vk_recorder.hpp"

namespace ponder::vk {

// Memory for the rows of logits that come to the host together.
class Selector {
  public:
    explicit Selector(Device& device) : device_(device) {}
    ~Selector();
    Selector(const Selector&) = delete;
    Selector& operator=(const Selector&) = delete;

    Result<void> start(int32_t n_rows);
    static uint64_t bytes(int32_t n_rows);

    // Selects from n_rows rows of logits; `reaches` is the address of a float for each.
    void record(Recorder& recorder, const Allocation& logits, uint32_t stride, uint32_t n_vocab, uint64_t reaches, uint32_t n_rows) const;
    // Hands a row's tokens to who asked for them, once the commands are done. False: they do not do.
    bool offer(ponder_selection& selection, int32_t row, int64_t n_vocab) const;

  private:
    Device& device_;
    Allocation work_, results_, host_results_;
};

}  // namespace ponder::vk
