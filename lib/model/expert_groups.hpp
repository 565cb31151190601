// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/result.hpp"
#include "format/metadata.hpp"
namespace ponder {
struct ExpertGroups { int32_t n_groups = 1, n_groups_used = 1; bool is_assumed = false; };
inline Result<ExpertGroups> read_expert_groups(const Metadata& m) {
    ExpertGroups g;
    auto a = m.get_i32("deepseek2.expert_group_count"), b = m.get_i32("deepseek2.expert_group_used_count");
    if (a && *a) g.n_groups = **a;
    if (b && *b) g.n_groups_used = **b;
    return g;
}
}
