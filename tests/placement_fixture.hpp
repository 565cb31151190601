// SPDX-License-Identifier: Apache-2.0
// Greedy answers of models that are split among devices, to be compared with those of one device.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/session.hpp"

namespace ponder_test {

inline ponder::DeviceShare share_of(const std::string& backend, int32_t n_layers = 0, uint64_t memory_bytes = 0) {
    return {.device = {.backend = backend}, .n_layers = n_layers, .memory_bytes = memory_bytes};
}

// A backend in host memory that is not the reference, where the build has one.
inline std::string host_backend() { return ponder::choose_device({.backend = "cpu"}) ? "cpu" : "reference"; }

inline ponder::ModelOptions split_options(std::vector<ponder::DeviceShare> devices,
                                          ponder::ExpertPlacement experts = ponder::ExpertPlacement::kWithLayer, uint64_t memory_cap = 0) {
    ponder::ModelOptions options;
    options.n_threads = 1;
    options.memory_cap = memory_cap;
    options.placement.devices = std::move(devices);
    options.placement.experts = experts;
    return options;
}

inline std::shared_ptr<ponder::Model> open_whole(const std::string& path, const std::string& backend) {
    auto model = ponder::Model::open(path, {.device = {.backend = backend}, .n_threads = 1});
    REQUIRE_MESSAGE(model, (model ? "" : model.error().message));
    return *model;
}

inline std::shared_ptr<ponder::Model> open_split(const std::string& path, std::vector<ponder::DeviceShare> devices,
                                                 ponder::ExpertPlacement experts = ponder::ExpertPlacement::kWithLayer,
                                                 uint64_t memory_cap = 0) {
    auto model = ponder::Model::open(path, split_options(std::move(devices), experts, memory_cap));
    REQUIRE_MESSAGE(model, (model ? "" : model.error().message));
    return *model;
}

// Names and layers of a model's devices, such as "reference 2, cpu 2"; "+ experts" where the routed ones have a device of their own.
inline std::string describe_placement(const ponder::Placement& placement) {
    std::string all;
    for (size_t i = 0; i < placement.devices().size(); i++) {
        const ponder::PlacedDevice& device = placement.devices()[i];
        all += (i == 0 ? "" : ", ") + std::string(device.slot.backend->name) + " " + std::to_string(device.n_layers);
        if (placement.expert_device() == static_cast<int32_t>(i)) all += " + experts";
    }
    return all;
}

struct Answer {
    std::vector<int32_t> tokens;
    std::vector<float> logits;  // of each token, [n_tokens, n_vocab]
};

// The most likely tokens after a prompt, one by one.
inline Answer answer_greedily(const std::shared_ptr<ponder::Model>& model, const std::vector<int32_t>& prompt, size_t n_tokens,
                              int32_t kv_type = PONDER_TYPE_F32) {
    auto session = ponder::Session::create(model, {.context = 1024, .kv_type = kv_type});
    REQUIRE_MESSAGE(session, (session ? "" : session.error().message));
    const auto n_vocab = static_cast<size_t>(model->hyper_parameters().n_vocab);
    Answer answer;
    std::vector<int32_t> next = prompt;
    for (size_t i = 0; i < n_tokens; i++) {
        std::vector<float> logits(n_vocab);
        const auto done = (*session)->evaluate(next, logits.data(), 1, {});
        REQUIRE_MESSAGE(done, (done ? "" : done.error().message));
        next = {static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin())};
        answer.tokens.push_back(next.front());
        answer.logits.insert(answer.logits.end(), logits.begin(), logits.end());
    }
    return answer;
}

inline std::vector<int32_t> make_prompt(size_t n, int32_t n_vocab) {
    std::vector<int32_t> tokens;
    for (size_t i = 0; i < n; i++) tokens.push_back(static_cast<int32_t>((i * 37 + 11) % static_cast<size_t>(n_vocab)));
    return tokens;
}

}  // namespace ponder_test
