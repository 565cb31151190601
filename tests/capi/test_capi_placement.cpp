// SPDX-License-Identifier: Apache-2.0
// Models shared among devices, through the C and C++ interfaces: placements, their plans, and what is refused.
#include <doctest/doctest.h>
#include <ponder/ponder.h>

#include <cstddef>
#include <ponder/ponder.hpp>
#include <string>
#include <vector>

#include "tiny_model.hpp"

namespace {

ponder_status open_with(const ponder_placement& placement, const char* backend = nullptr) {
    ponder_model_params params = PONDER_MODEL_PARAMS_INIT;
    params.placement = &placement;
    params.backend = backend;
    ponder_model* model = nullptr;
    const ponder_status status = ponder_model_open(ponder_test::tiny_model().c_str(), &params, &model, nullptr);
    CHECK((model != nullptr) == (status == PONDER_STATUS_OK));
    ponder_model_close(model);
    return status;
}

ponder_device_share share_of(int32_t n_layers) {
    ponder_device_share share = PONDER_DEVICE_SHARE_INIT;
    share.backend = "reference";
    share.n_layers = n_layers;
    return share;
}

ponder_placement placement_of(const std::vector<ponder_device_share>& shares) {
    ponder_placement placement = PONDER_PLACEMENT_INIT;
    placement.devices = shares.data();
    placement.n_devices = shares.size();
    return placement;
}

std::vector<float> logits_of(const ponder::ModelOptions& options) {
    const auto model = ponder::Model::open(ponder_test::tiny_model(), options);
    auto session = model.session({.context = 64});
    return session.evaluate(std::vector<int32_t>{1, 5, 9, 13, 2, 7}, 1);
}

}  // namespace

TEST_CASE("capi_placement: a split model computes what a whole one does") {
    const auto expected = logits_of({.backend = "reference"});
    CHECK(logits_of({.devices = {{.backend = "reference", .n_layers = 1}, {.backend = "reference"}}}) == expected);
    CHECK(logits_of({.devices = {{.backend = "reference", .n_layers = 0}, {.backend = "reference"}}}) == expected);
    CHECK(logits_of({.backend = "reference", .experts = ponder::Experts::kOnCpu}) == expected);
}

TEST_CASE("capi_placement: a plan says what each device has") {
    const ponder::ModelOptions options{.devices = {{.backend = "reference", .n_layers = 1, .memory_bytes = 123}, {.backend = "reference"}}};
    const auto plan = ponder::Plan::create(ponder_test::tiny_model(), options, {.context = 64});
    const auto devices = plan.devices();
    REQUIRE(devices.size() == 2);
    CHECK(devices[0].first_layer == 0);
    CHECK(devices[0].n_layers == 1);
    CHECK(devices[0].memory_bytes == 123);
    CHECK(devices[1].first_layer == 1);
    CHECK(devices[1].n_layers >= 1);
    CHECK(devices[1].memory_bytes == 0);
    CHECK(devices[0].n_expert_layers + devices[1].n_expert_layers == 0);
    CHECK(devices[0].weight_bytes + devices[1].weight_bytes == plan.info().weight_bytes);
    CHECK(devices[0].kv_bytes + devices[1].kv_bytes == plan.info().kv_bytes);
    CHECK(devices[0].scratch_bytes + devices[1].scratch_bytes < plan.info().scratch_bytes);

    // A caller of the time before placements gets the fields that it knows.
    ponder_plan_device old;
    old.struct_size = offsetof(ponder_plan_device, first_layer);
    old.first_layer = 77;
    REQUIRE(ponder_plan_describe_device(plan.get(), 1, &old, nullptr) == PONDER_STATUS_OK);
    CHECK(old.weight_bytes == devices[1].weight_bytes);
    CHECK(old.first_layer == 77);
    for (const int32_t i : {-1, 2}) CHECK(ponder_plan_describe_device(plan.get(), i, &old, nullptr) == PONDER_STATUS_NOT_FOUND);
}

TEST_CASE("capi_placement: what makes no sense is refused") {
    std::vector<ponder_device_share> shares{share_of(1), share_of(0)};
    CHECK(open_with(placement_of(shares)) == PONDER_STATUS_OK);
    CHECK(open_with(placement_of(shares), "auto") == PONDER_STATUS_OK);
    CHECK(open_with(placement_of(shares), "reference") == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(open_with(placement_of({share_of(PONDER_LAYERS_NONE)})) == PONDER_STATUS_OK);
    CHECK(open_with(placement_of({share_of(-2)})) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(open_with(placement_of(std::vector<ponder_device_share>(17, share_of(0)))) == PONDER_STATUS_INVALID_ARGUMENT);

    ponder_placement placement = placement_of(shares);
    placement.devices = nullptr;
    CHECK(open_with(placement) == PONDER_STATUS_INVALID_ARGUMENT);
    placement.n_devices = 0;
    CHECK(open_with(placement) == PONDER_STATUS_OK);
    placement.experts = PONDER_EXPERTS_BY_MEMORY;
    CHECK(open_with(placement) == PONDER_STATUS_OK);
    for (const int32_t experts : {-1, 3}) {
        placement.experts = experts;
        CHECK(open_with(placement) == PONDER_STATUS_INVALID_ARGUMENT);
    }
    placement.experts = PONDER_EXPERTS_WITH_LAYER;
    placement.struct_size = 4;
    CHECK(open_with(placement) == PONDER_STATUS_INVALID_ARGUMENT);

    for (const int field : {0, 1, 2, 3}) {
        CAPTURE(field);
        ponder_device_share bad = share_of(1);
        if (field == 0) bad.reserved = 1;
        if (field == 1) bad.device = -1;
        if (field == 2) bad.device = 10'000;
        if (field == 3) bad.struct_size = 8;
        const ponder_status expected[] = {PONDER_STATUS_UNSUPPORTED, PONDER_STATUS_INVALID_ARGUMENT, PONDER_STATUS_NOT_FOUND,
                                          PONDER_STATUS_INVALID_ARGUMENT};
        CHECK(open_with(placement_of({bad})) == expected[field]);
    }
}
