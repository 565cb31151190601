// SPDX-License-Identifier: Apache-2.0
// The table of stored types: lookups, sizes of rows, and the ids that are refused by name.
#include <doctest/doctest.h>

#include <string>

#include "quant/quant.hpp"

TEST_CASE("quant_registry: every type is found by its id and by its name in any case") {
    int32_t previous = -1;
    for (const ponder::QuantType& type : ponder::quant_types()) {
        CAPTURE(type.name);
        CHECK(type.id > previous);
        previous = type.id;
        CHECK(ponder::find_quant_type(type.id) == &type);
        CHECK(ponder::find_quant_type(std::string_view(type.name)) == &type);
        std::string lower = type.name;
        for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
        CHECK(ponder::find_quant_type(std::string_view(lower)) == &type);
        CHECK(static_cast<bool>(type.decode != nullptr));
        CHECK(ponder::refused_type_name(type.id) == nullptr);
    }
}

TEST_CASE("quant_registry: unknown ids and names are not found") {
    for (const int32_t id : {-1, 43, 44, 45, 46, 999, 1001, INT32_MAX, INT32_MIN}) {
        CHECK(ponder::find_quant_type(id) == nullptr);
        CHECK(ponder::refused_type_name(id) == nullptr);
    }
    for (const std::string_view name : {"", "Q4", "Q4_K ", "Q4_KK", "Q8_1"}) CHECK(ponder::find_quant_type(name) == nullptr);
}

TEST_CASE("quant_registry: removed and foreign ids are refused by name") {
    for (const int32_t id : {4, 5, 31, 32, 33, 36, 37, 38}) {
        CAPTURE(id);
        CHECK(ponder::find_quant_type(id) == nullptr);
        REQUIRE(ponder::refused_type_name(id) != nullptr);
        CHECK(std::string_view(ponder::refused_type_name(id)).ends_with("removed from GGUF"));
    }
    for (const int32_t id : {9, 15}) {
        CHECK(ponder::find_quant_type(id) == nullptr);
        CHECK(ponder::refused_type_name(id) != nullptr);
    }
    const auto is_foreign = [](int32_t id) {
        const char* name = ponder::refused_type_name(id);
        return ponder::find_quant_type(id) == nullptr && name && std::string_view(name).find("ik_llama.cpp") != std::string_view::npos;
    };
    for (int32_t id = 97; id <= 99; id++) CHECK(is_foreign(id));
    for (int32_t id = 133; id <= 158; id++) CHECK(is_foreign(id));
    for (int32_t id = 202; id <= 399; id++) CHECK(is_foreign(id));
    CHECK(std::string_view(ponder::refused_type_name(212)).starts_with("Q4_K_R4"));
}

TEST_CASE("quant_registry: bytes of a row are checked") {
    const ponder::QuantType& q4_k = *ponder::find_quant_type("Q4_K");
    CHECK(ponder::row_bytes(q4_k, 0) == 0);
    CHECK(ponder::row_bytes(q4_k, 7168) == 28 * 144);
    CHECK(ponder::row_bytes(q4_k, 255) == std::nullopt);
    CHECK(ponder::row_bytes(q4_k, UINT64_MAX - 255) == (UINT64_MAX / 256) * 144);
    CHECK(ponder::row_bytes(*ponder::find_quant_type("F32"), UINT64_MAX / 4 + 1) == std::nullopt);
}
