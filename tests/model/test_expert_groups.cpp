// SPDX-License-Identifier: Apache-2.0
// Groups of experts: what files say, what is assumed of older files, and what is refused.
#include <doctest/doctest.h>

#include <optional>
#include <string>

#include "model/expert_groups.hpp"
#include "model/file_remarks.hpp"

using namespace ponder;

namespace {

ModelFile make_file(std::optional<int32_t> n_groups, std::optional<int32_t> n_used, std::optional<uint32_t> gating = std::nullopt) {
    ModelFile file;
    if (n_groups) file.metadata.set("deepseek2.expert_group_count", Value::from_i32(*n_groups));
    if (n_used) file.metadata.set("deepseek2.expert_group_used_count", Value::from_i32(*n_used));
    if (gating) file.metadata.set("deepseek2.expert_gating_func", Value::from_u32(*gating));
    return file;
}

void add_selection_bias(ModelFile& file) {
    file.tensors.emplace_back();
    file.tensors.back().name = "blk.3.exp_probs_b.bias";
}

ExpertGroups groups_of(const ModelFile& file, int64_t n_experts, int64_t n_used, const std::string& architecture = "deepseek2") {
    const auto groups = read_expert_groups(file, architecture, n_experts, n_used);
    INFO((groups ? "" : groups.error().message));
    REQUIRE(groups);
    return *groups;
}

void check_is(const ExpertGroups& groups, int64_t n_groups, int64_t n_used, bool is_assumed) {
    CHECK(groups.n_groups == n_groups);
    CHECK(groups.n_groups_used == n_used);
    CHECK(groups.is_assumed == is_assumed);
}

void check_refused(const ModelFile& file, int64_t n_experts, int64_t n_used, const std::string& part) {
    const auto groups = read_expert_groups(file, "deepseek2", n_experts, n_used);
    REQUIRE_FALSE(groups);
    CHECK(groups.error().status == PONDER_STATUS_FORMAT);
    INFO(groups.error().message);
    CHECK(groups.error().message.find(part) != std::string::npos);
}

}  // namespace

TEST_CASE("expert_groups: what a file says") {
    check_is(groups_of(make_file(8, 4, 2), 256, 8), 8, 4, false);
    check_is(groups_of(make_file(8, 3, 1), 160, 6), 8, 3, false);
    check_is(groups_of(make_file(1, 1), 64, 6), 1, 1, false);
    check_is(groups_of(make_file(0, 0), 64, 6), 1, 1, false);
    check_is(groups_of(make_file(1, std::nullopt), 64, 6), 1, 1, false);
    check_is(groups_of(make_file(2, 1), 16, 8), 2, 1, false);
    // Said to have none: nothing is assumed.
    check_is(groups_of(make_file(1, 1, 2), 256, 8), 1, 1, false);
    check_is(groups_of(make_file(0, 0, 2), 256, 8), 1, 1, false);
    check_is(groups_of(make_file(8, 4), 0, 0), 1, 1, false);
}

TEST_CASE("expert_groups: an older file of V3 or R1 gets the published groups, and no other file does") {
    check_is(groups_of(make_file({}, {}, 2), 256, 8), 8, 4, true);
    // Without the key scores are softmax's, whatever other tensors there are: the graph holds to that rule, too.
    ModelFile with_bias = make_file({}, {});
    add_selection_bias(with_bias);
    check_is(groups_of(with_bias, 256, 8), 1, 1, false);
    check_is(groups_of(make_file({}, {}), 256, 8), 1, 1, false);
    check_is(groups_of(make_file({}, {}, 1), 256, 8), 1, 1, false);
    check_is(groups_of(make_file({}, {}, 2), 384, 8), 1, 1, false);
    check_is(groups_of(make_file({}, {}, 2), 64, 6), 1, 1, false);
    ModelFile softmax_with_bias = make_file({}, {}, 1);
    add_selection_bias(softmax_with_bias);
    check_is(groups_of(softmax_with_bias, 256, 8), 1, 1, false);
    ModelFile other;
    other.metadata.set("other.expert_gating_func", Value::from_u32(2));
    check_is(groups_of(other, 256, 8, "other"), 1, 1, false);
}

TEST_CASE("expert_groups: what is refused") {
    check_refused(make_file(8, 9), 256, 8, "there are not so many groups");
    check_refused(make_file(1, 2), 256, 8, "there are not so many groups");
    check_refused(make_file(7, 4), 256, 8, "the groups must be equal");
    check_refused(make_file(256, 128), 256, 8, "a group must have two experts");
    check_refused(make_file(8, 1), 16, 4, "the used groups hold too few experts");
    check_refused(make_file(8, {}), 256, 8, "expert_group_used_count is missing");
    check_refused(make_file({}, 4), 256, 8, "expert_group_count is missing");
    check_refused(make_file(-1, 1), 256, 8, "expert_group_count is -1");
    check_refused(make_file(8, 5000), 256, 8, "expert_group_used_count is 5000");
    ModelFile text = make_file({}, {});
    text.metadata.set("deepseek2.expert_group_count", Value::from_string("eight"));
    check_refused(text, 256, 8, "expert_group_count");
    // Assumed groups are checked as well.
    check_refused(make_file({}, {}, 2), 256, 129, "the used groups hold too few experts");
}

TEST_CASE("file_remarks: on assumed groups only, whatever the file says") {
    const auto n_remarks = [](const ModelFile& file) { return file_remarks(file).size(); };
    CHECK(n_remarks(ModelFile()) == 0);
    ModelFile file = make_file({}, {}, 2);
    file.metadata.set("general.architecture", Value::from_string("deepseek2"));
    CHECK(n_remarks(file) == 0);
    file.metadata.set("deepseek2.expert_count", Value::from_u32(256));
    CHECK(n_remarks(file) == 1);
    file.metadata.set("deepseek2.expert_used_count", Value::from_u32(8));
    REQUIRE(n_remarks(file) == 1);
    CHECK(file_remarks(file)[0].find("8 groups, of which 4 are kept") != std::string::npos);
    // What is wrong is said when the model is opened.
    file.metadata.set("deepseek2.expert_used_count", Value::from_string("eight"));
    CHECK(n_remarks(file) == 0);
    file.metadata.set("deepseek2.expert_used_count", Value::from_u64(UINT64_MAX));
    CHECK(n_remarks(file) == 0);
    file.metadata.set("deepseek2.expert_used_count", Value::from_u32(8));
    file.metadata.set("deepseek2.expert_count", Value::from_i64(INT64_MIN));
    CHECK(n_remarks(file) == 0);
    file.metadata.set("deepseek2.expert_count", Value::from_u32(256));
    file.metadata.set("general.architecture", Value::from_u32(3));
    CHECK(n_remarks(file) == 0);
}
