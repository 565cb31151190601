// SPDX-License-Identifier: Apache-2.0
// All shaders share one layout: no descriptors, 128 bytes of push constants.
#include "vk_pipelines.hpp"

#include <cstring>

#include "base/checksum.hpp"

namespace ponder::vk {

const Shader* find_shader(const std::string& name) {
    for (const Shader& shader : shaders()) {
        if (name == shader.name) return &shader;
    }
    return nullptr;
}

uint64_t shaders_identity() {
    Checksum sum;
    for (const Shader& shader : shaders()) {
        sum.update(std::as_bytes(std::span(shader.name, std::strlen(shader.name) + 1)));
        sum.update(std::as_bytes(std::span(shader.words, shader.n_bytes / sizeof(uint32_t))));
    }
    return sum.value();
}

Pipelines::~Pipelines() {
    for (const auto& [key, pipeline] : pipelines_) fn_.DestroyPipeline(device_, pipeline, nullptr);
    if (cache_ != VK_NULL_HANDLE) fn_.DestroyPipelineCache(device_, cache_, nullptr);
    if (layout_ != VK_NULL_HANDLE) fn_.DestroyPipelineLayout(device_, layout_, nullptr);
}

Result<void> Pipelines::start() {
    const VkPushConstantRange range{.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT, .offset = 0, .size = 128};
    const VkPipelineLayoutCreateInfo info{
        .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO, .pushConstantRangeCount = 1, .pPushConstantRanges = &range};
    if (const VkResult result = fn_.CreatePipelineLayout(device_, &info, nullptr, &layout_); result != VK_SUCCESS)
        return vulkan_error(result, "creating a pipeline layout");
    const VkPipelineCacheCreateInfo cache{.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO};
    if (const VkResult result = fn_.CreatePipelineCache(device_, &cache, nullptr, &cache_); result != VK_SUCCESS)
        return vulkan_error(result, "creating a pipeline cache");
    return {};
}

namespace {

bool begins_with(std::span<const std::byte> bytes, const VkPipelineCacheHeaderVersionOne& header) {
    return bytes.size() >= sizeof header && std::memcmp(bytes.data(), &header, sizeof header) == 0;
}

}  // namespace

Result<std::vector<std::byte>> Pipelines::read_cache(const VkPipelineCacheHeaderVersionOne& header) {
    // Held meanwhile, so that the cache does not grow between the two calls.
    const std::lock_guard lock(mutex_);
    size_t n_bytes = 0;
    VkResult result = fn_.GetPipelineCacheData(device_, cache_, &n_bytes, nullptr);
    std::vector<std::byte> bytes(n_bytes);
    if (result == VK_SUCCESS && n_bytes > 0) result = fn_.GetPipelineCacheData(device_, cache_, &n_bytes, bytes.data());
    if (result != VK_SUCCESS) return vulkan_error(result, "reading the pipeline cache");
    bytes.resize(n_bytes);
    // Mesa 26.2's software driver gives 20 bytes: less than its own header. There is nothing to keep then.
    if (!begins_with(bytes, header)) bytes.clear();
    return bytes;
}

Result<void> Pipelines::write_cache(std::span<const std::byte> bytes, const VkPipelineCacheHeaderVersionOne& header) {
    if (bytes.empty()) return {};
    // Drivers ought to check this themselves; not all do.
    if (!begins_with(bytes, header)) return make_error(PONDER_STATUS_FORMAT, "the pipelines are not of this device's driver");
    const VkPipelineCacheCreateInfo info{
        .sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO, .initialDataSize = bytes.size(), .pInitialData = bytes.data()};
    VkPipelineCache filled = VK_NULL_HANDLE;
    if (const VkResult result = fn_.CreatePipelineCache(device_, &info, nullptr, &filled); result != VK_SUCCESS)
        return vulkan_error(result, "filling the pipeline cache");
    const std::lock_guard lock(mutex_);
    fn_.DestroyPipelineCache(device_, cache_, nullptr);
    cache_ = filled;
    return {};
}

Result<VkPipeline> Pipelines::get(const std::string& name, std::span<const uint32_t> constants) {
    Key key{name, {constants.begin(), constants.end()}};
    const std::lock_guard lock(mutex_);
    if (const auto found = pipelines_.find(key); found != pipelines_.end()) return found->second;
    const Shader* shader = find_shader(name);
    if (shader == nullptr) return make_error(PONDER_STATUS_INTERNAL, "this build has no shader '%s'", name.c_str());

    const VkShaderModuleCreateInfo module_info{
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = shader->n_bytes, .pCode = shader->words};
    VkShaderModule module = VK_NULL_HANDLE;
    if (const VkResult result = fn_.CreateShaderModule(device_, &module_info, nullptr, &module); result != VK_SUCCESS)
        return vulkan_error(result, name.c_str());
    std::vector<VkSpecializationMapEntry> entries;
    for (uint32_t i = 0; i < constants.size(); i++) entries.push_back({i, 4 * i, 4});
    const VkSpecializationInfo specialisation{.mapEntryCount = static_cast<uint32_t>(entries.size()),
                                              .pMapEntries = entries.data(),
                                              .dataSize = constants.size_bytes(),
                                              .pData = constants.data()};
    const VkComputePipelineCreateInfo info{.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
                                           .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                                                     .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                                                     .module = module,
                                                     .pName = "main",
                                                     .pSpecializationInfo = &specialisation},
                                           .layout = layout_};
    VkPipeline pipeline = VK_NULL_HANDLE;
    const VkResult result = fn_.CreateComputePipelines(device_, cache_, 1, &info, nullptr, &pipeline);
    fn_.DestroyShaderModule(device_, module, nullptr);
    if (result != VK_SUCCESS) return with_context(vulkan_error(result, "compiling a shader"), name);
    pipelines_.emplace(std::move(key), pipeline);
    return pipeline;
}

}  // namespace ponder::vk
