// SPDX-License-Identifier: Apache-2.0
// Records dispatches and puts barriers only where one needs what another wrote, so that independent ones overlap.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "vk_device.hpp"

namespace ponder::vk {

// Bytes of scratch by address, read or written.
struct Access {
    uint64_t begin, n_bytes;
    bool is_write;
};
inline Access reads(uint64_t address, uint64_t n_bytes) { return {address, n_bytes, false}; }
inline Access writes(uint64_t address, uint64_t n_bytes) { return {address, n_bytes, true}; }
// The cache as a whole, at an address that nothing else has.
inline constexpr uint64_t kCacheAddress = 1;

struct Groups {
    uint32_t x = 1, y = 1, z = 1;
};

// Commands that are submitted together, and the rows of logits that lie in the plan's host memory when they are done.
struct Segment {
    VkCommandBuffer commands = VK_NULL_HANDLE;
    int32_t first_logits = 0, n_logits = 0;
};

class Recorder {
  public:
    Recorder(Device& device, std::vector<Segment>& segments) : device_(device), segments_(segments) {}

    // Push constants are the bytes of `push`. After a failure nothing more is recorded.
    template <class Push>
    void dispatch(const std::string& shader, std::span<const uint32_t> constants, const Push& push, Groups groups,
                  std::initializer_list<Access> accesses) {
        static_assert(sizeof(Push) <= 128);
        record(shader, constants, &push, sizeof(Push), groups, accesses);
    }
    void copy(const Allocation& src, uint64_t src_offset, const Allocation& dst, uint64_t dst_offset, uint64_t n_bytes);

    // Work as multiplications; a segment ends after so many that waiting for it is short.
    void add_work(double multiplications);
    // What the open segment copied is for the host to read when the segment is done.
    void show_to_host() { is_shown_ = true; }
    // Ends the segment; the next dispatch begins another.
    void end_segment(int32_t first_logits = 0, int32_t n_logits = 0);
    Result<void> finish();
    bool has_failed() const { return !result_; }

  private:
    void record(const std::string& shader, std::span<const uint32_t> constants, const void* push, uint32_t push_size, Groups groups,
                std::span<const Access> accesses);
    bool begin();
    void order(std::span<const Access> accesses);
    void fail(VkResult result, const char* what);

    Device& device_;
    std::vector<Segment>& segments_;
    bool is_open_ = false, is_shown_ = false;
    double work_ = 0.0;
    std::vector<Access> since_barrier_;
    Result<void> result_;
};

}  // namespace ponder::vk
