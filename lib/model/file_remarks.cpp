// SPDX-License-Identifier: Apache-2.0
// One function for each subject, in the order in which they are shown.
#include "model/file_remarks.hpp"

#include "model/expert_groups.hpp"

namespace ponder {
namespace {

void remark_on_expert_groups(const ModelFile& file, const std::string& architecture, std::vector<std::string>& remarks) {
    const auto n_experts = file.metadata.get_i64(architecture + ".expert_count");
    const auto n_used = file.metadata.get_i64(architecture + ".expert_used_count");
    if (!n_experts || !n_used) return;
    const auto groups = read_expert_groups(file, architecture, n_experts->value_or(0), n_used->value_or(0));
    if (!groups || !groups->is_assumed) return;
    remarks.push_back("routing: the file has no " + architecture + ".expert_group_count; the published " +
                      std::to_string(groups->n_groups) + " groups, of which " + std::to_string(groups->n_groups_used) +
                      " are kept, are used");
}

}  // namespace

std::vector<std::string> file_remarks(const ModelFile& file) {
    const auto architecture = file.metadata.get_string("general.architecture");
    std::vector<std::string> remarks;
    if (architecture && *architecture) remark_on_expert_groups(file, std::string(**architecture), remarks);
    return remarks;
}

}  // namespace ponder
