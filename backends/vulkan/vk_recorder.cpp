// SPDX-License-Identifier: Apache-2.0
// One kind of barrier serves all: what came before is done and visible. Fewer of them matter more than narrower ones.
#include "vk_recorder.hpp"

#include <algorithm>
#include <utility>

namespace ponder::vk {

namespace {

// A few milliseconds of a device that does 10^13 multiplications a second, or of a processor that plays one.
constexpr double kSegmentWork = 2e11, kSoftwareSegmentWork = 5e7;

bool overlap(const Access& a, const Access& b) { return a.begin < b.begin + b.n_bytes && b.begin < a.begin + a.n_bytes; }

}  // namespace

void Recorder::fail(VkResult result, const char* what) {
    if (result_) result_ = vulkan_error(result, what);
}

bool Recorder::begin() {
    if (is_open_ || !result_) return is_open_ && result_;
    const VkCommandBufferAllocateInfo info{.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                           .commandPool = device_.command_pool(),
                                           .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                           .commandBufferCount = 1};
    segments_.push_back({});
    Segment& segment = segments_.back();
    if (const VkResult result = device_.fn().AllocateCommandBuffers(device_.handle(), &info, &segment.commands); result != VK_SUCCESS) {
        segment.commands = VK_NULL_HANDLE;
        fail(result, "creating a command buffer");
        return false;
    }
    const VkCommandBufferBeginInfo begin{.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    if (const VkResult result = device_.fn().BeginCommandBuffer(segment.commands, &begin); result != VK_SUCCESS) {
        fail(result, "recording commands");
        return false;
    }
    is_open_ = true;
    // What the segment before wrote, and what the host wrote.
    order({});
    return true;
}

void Recorder::order(std::span<const Access> accesses) {
    const bool is_first = accesses.empty();
    const bool has_conflict = std::any_of(accesses.begin(), accesses.end(), [&](const Access& a) {
        return std::any_of(since_barrier_.begin(), since_barrier_.end(),
                           [&](const Access& b) { return (a.is_write || b.is_write) && overlap(a, b); });
    });
    if (is_first || has_conflict) {
        constexpr VkAccessFlags kAll =
            VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
        const VkMemoryBarrier barrier{.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                      .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
                                      .dstAccessMask = kAll};
        constexpr VkPipelineStageFlags kStages = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
        device_.fn().CmdPipelineBarrier(segments_.back().commands, kStages, kStages, 0, 1, &barrier, 0, nullptr, 0, nullptr);
        since_barrier_.clear();
    }
    since_barrier_.insert(since_barrier_.end(), accesses.begin(), accesses.end());
}

void Recorder::record(const std::string& shader, std::span<const uint32_t> constants, const void* push, uint32_t push_size, Groups groups,
                      std::span<const Access> accesses) {
    if (!begin() || groups.x == 0 || groups.y == 0 || groups.z == 0) return;
    const auto pipeline = device_.pipelines().get(shader, constants);
    if (!pipeline) {
        result_ = pipeline.error();
        return;
    }
    order(accesses);
    const VkCommandBuffer commands = segments_.back().commands;
    device_.fn().CmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, *pipeline);
    device_.fn().CmdPushConstants(commands, device_.pipelines().layout(), VK_SHADER_STAGE_COMPUTE_BIT, 0, push_size, push);
    device_.fn().CmdDispatch(commands, groups.x, groups.y, groups.z);
}

void Recorder::copy(const Allocation& src, uint64_t src_offset, const Allocation& dst, uint64_t dst_offset, uint64_t n_bytes) {
    if (!begin()) return;
    const Access accesses[] = {reads(src.address + src_offset, n_bytes), writes(dst.address + dst_offset, n_bytes)};
    order(accesses);
    const VkBufferCopy region{src.offset + src_offset, dst.offset + dst_offset, n_bytes};
    device_.fn().CmdCopyBuffer(segments_.back().commands, src.buffer, dst.buffer, 1, &region);
}

void Recorder::add_work(double multiplications) {
    const bool is_software = device_.traits().type == VK_PHYSICAL_DEVICE_TYPE_CPU;
    work_ += multiplications;
    if (work_ > (is_software ? kSoftwareSegmentWork : kSegmentWork)) end_segment();
}

void Recorder::end_segment(int32_t first_logits, int32_t n_logits) {
    if (!is_open_ || !result_) return;
    Segment& segment = segments_.back();
    segment.first_logits = first_logits;
    segment.n_logits = n_logits;
    if (n_logits > 0 || std::exchange(is_shown_, false)) {
        const VkMemoryBarrier barrier{.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                      .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
                                      .dstAccessMask = VK_ACCESS_HOST_READ_BIT | VK_ACCESS_TRANSFER_READ_BIT};
        device_.fn().CmdPipelineBarrier(segment.commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
                                        VK_PIPELINE_STAGE_HOST_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 1, &barrier, 0, nullptr, 0,
                                        nullptr);
    }
    if (const VkResult result = device_.fn().EndCommandBuffer(segment.commands); result != VK_SUCCESS) fail(result, "recording commands");
    is_open_ = false;
    work_ = 0.0;
    since_barrier_.clear();
}

Result<void> Recorder::finish() {
    end_segment();
    return result_;
}

}  // namespace ponder::vk
