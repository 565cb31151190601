// SPDX-License-Identifier: Apache-2.0
// Reads and checks the group keys, and knows the one family whose early files lack them.
#include "model/expert_groups.hpp"

#include <algorithm>
#include <optional>

#include "base/limits.hpp"
#include "ponder/ponder_backend.h"

namespace ponder {
namespace {

// Models that were trained with groups and whose files were written without the keys until late in 2025. A file without them means a
// routing that the model was not trained for, so what was published is taken.
struct PublishedGroups {
    const char* architecture;
    int64_t n_experts;
    int64_t n_groups;
    int64_t n_groups_used;
};
constexpr PublishedGroups kPublishedGroups[] = {{"deepseek2", 256, 8, 4}};

Result<ExpertGroups> published_groups(const Metadata& metadata, const std::string& architecture, int64_t n_experts) {
    for (const PublishedGroups& published : kPublishedGroups) {
        if (architecture != published.architecture || n_experts != published.n_experts) continue;
        const auto gating = metadata.get_i64(architecture + ".expert_gating_func");
        if (!gating) return gating.error();
        if (gating->value_or(PONDER_MOE_SOFTMAX) == PONDER_MOE_SIGMOID)
            return ExpertGroups{published.n_groups, published.n_groups_used, true};
    }
    return ExpertGroups{};
}

// Zero, which some converters write for "no groups", is 1.
Result<std::optional<int64_t>> read_count(const ModelFile& file, const std::string& key) {
    const auto count = file.metadata.get_i64(key);
    if (!count) return count.error();
    if (!*count) return std::optional<int64_t>();
    if (**count < 0 || **count > limits::kMaxExperts) {
        return make_error(PONDER_STATUS_FORMAT, "%s is %lld, it must be 0 to %lld", key.c_str(), static_cast<long long>(**count),
                          static_cast<long long>(limits::kMaxExperts));
    }
    return std::optional<int64_t>(std::max<int64_t>(**count, 1));
}

Result<void> check_groups(const ExpertGroups& groups, const std::string& key, int64_t n_experts, int64_t n_experts_used) {
    const auto refuse = [&](const char* why) {
        return make_error(PONDER_STATUS_FORMAT, "%s: %lld groups, of which %lld are used, for %lld experts, of which %lld are used: %s",
                          key.c_str(), static_cast<long long>(groups.n_groups), static_cast<long long>(groups.n_groups_used),
                          static_cast<long long>(n_experts), static_cast<long long>(n_experts_used), why);
    };
    if (groups.n_groups_used > groups.n_groups) return refuse("there are not so many groups");
    if (groups.n_groups == 1) return {};
    if (n_experts % groups.n_groups != 0) return refuse("the groups must be equal");
    const int64_t n_per_group = n_experts / groups.n_groups;
    if (n_per_group < 2) return refuse("a group must have two experts");
    if (groups.n_groups_used * n_per_group < n_experts_used) return refuse("the used groups hold too few experts");
    return {};
}

}  // namespace

Result<ExpertGroups> read_expert_groups(const ModelFile& file, const std::string& architecture, int64_t n_experts, int64_t n_experts_used) {
    if (n_experts <= 0) return ExpertGroups{};
    const std::string key = architecture + ".expert_group_count", used_key = architecture + ".expert_group_used_count";
    const auto n_groups = read_count(file, key), n_used = read_count(file, used_key);
    if (!n_groups) return n_groups.error();
    if (!n_used) return n_used.error();
    ExpertGroups groups;
    if (*n_groups) {
        groups = {**n_groups, n_used->value_or(1), false};
        if (groups.n_groups > 1 && !*n_used) return make_error(PONDER_STATUS_FORMAT, "%s is missing", used_key.c_str());
    } else if (*n_used && **n_used > 1) {
        return make_error(PONDER_STATUS_FORMAT, "%s is missing", key.c_str());
    } else {
        const auto published = published_groups(file.metadata, architecture, n_experts);
        if (!published) return published.error();
        groups = *published;
    }
    if (auto checked = check_groups(groups, key, n_experts, n_experts_used); !checked) return checked.error();
    return groups;
}

}  // namespace ponder
