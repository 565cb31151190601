// SPDX-License-Identifier: Apache-2.0
// Groups of routed experts (DeepSeek-V3, section 2.1.2): what a file says of them, and what holds where an older file says nothing.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "format/model_file.hpp"

namespace ponder {

// The experts lie in n_groups groups of neighbours; a token's experts are chosen among the n_groups_used best groups. 1 of 1: no groups.
struct ExpertGroups {
    int64_t n_groups = 1;
    int64_t n_groups_used = 1;
    bool is_assumed = false;  // true: the file has no such keys, and the published values of the model that it must be are taken
};

// Reads {architecture}.expert_group_count and expert_group_used_count; 0 experts have no groups. Without the keys a file of
// DeepSeek-V3 or R1 (told by its number of experts and their sigmoid scores) gets the published 8 groups of which 4 are used, every other
// file none. What is returned divides: n_experts into equal groups of two or more, with at least n_experts_used in those that are used.
// Errors: FORMAT.
Result<ExpertGroups> read_expert_groups(const ModelFile& file, const std::string& architecture, int64_t n_experts, int64_t n_experts_used);

}  // namespace ponder
