// SPDX-License-Identifier: Apache-2.0
// The one table of stored types: a row each, and the ids that other projects use or GGUF has given up.
#include <algorithm>
#include <array>

#include "base/checked.hpp"
#include "quant/quant.hpp"

namespace ponder {

using Decode = void(const std::byte*, float*, int64_t);
using Encode = void(const float*, std::byte*, int64_t, const float*);

// Each is defined in its format's file.
Decode decode_f32, decode_f16, decode_bf16, decode_f64, decode_i8, decode_i16, decode_i32, decode_i64;
Decode decode_q4_0, decode_q4_1, decode_q5_0, decode_q5_1, decode_q8_0, decode_q2_k, decode_q3_k, decode_q4_k, decode_q5_k, decode_q6_k;
Decode decode_iq1_s, decode_iq1_m, decode_iq2_xxs, decode_iq2_xs, decode_iq2_s, decode_iq3_xxs, decode_iq3_s, decode_iq4_nl, decode_iq4_xs;
Decode decode_tq1_0, decode_tq2_0, decode_mxfp4, decode_nvfp4, decode_q1_0, decode_q2_0, decode_f8_e4m3;
Encode encode_f32, encode_f16, encode_bf16, encode_q4_0, encode_q4_1, encode_q5_0, encode_q5_1, encode_q8_0;
Encode encode_q2_k, encode_q3_k, encode_q4_k, encode_q5_k, encode_q6_k, encode_iq4_nl, encode_iq4_xs, encode_mxfp4;

namespace {

constexpr QuantType kTypes[] = {
    {0, "F32", 1, 4, decode_f32, encode_f32},
    {1, "F16", 1, 2, decode_f16, encode_f16},
    {2, "Q4_0", 32, 18, decode_q4_0, encode_q4_0},
    {3, "Q4_1", 32, 20, decode_q4_1, encode_q4_1},
    {6, "Q5_0", 32, 22, decode_q5_0, encode_q5_0},
    {7, "Q5_1", 32, 24, decode_q5_1, encode_q5_1},
    {8, "Q8_0", 32, 34, decode_q8_0, encode_q8_0},
    {10, "Q2_K", 256, 84, decode_q2_k, encode_q2_k},
    {11, "Q3_K", 256, 110, decode_q3_k, encode_q3_k},
    {12, "Q4_K", 256, 144, decode_q4_k, encode_q4_k},
    {13, "Q5_K", 256, 176, decode_q5_k, encode_q5_k},
    {14, "Q6_K", 256, 210, decode_q6_k, encode_q6_k},
    {16, "IQ2_XXS", 256, 66, decode_iq2_xxs, nullptr},
    {17, "IQ2_XS", 256, 74, decode_iq2_xs, nullptr},
    {18, "IQ3_XXS", 256, 98, decode_iq3_xxs, nullptr},
    {19, "IQ1_S", 256, 50, decode_iq1_s, nullptr},
    {20, "IQ4_NL", 32, 18, decode_iq4_nl, encode_iq4_nl},
    {21, "IQ3_S", 256, 110, decode_iq3_s, nullptr},
    {22, "IQ2_S", 256, 82, decode_iq2_s, nullptr},
    {23, "IQ4_XS", 256, 136, decode_iq4_xs, encode_iq4_xs},
    {24, "I8", 1, 1, decode_i8, nullptr},
    {25, "I16", 1, 2, decode_i16, nullptr},
    {26, "I32", 1, 4, decode_i32, nullptr},
    {27, "I64", 1, 8, decode_i64, nullptr},
    {28, "F64", 1, 8, decode_f64, nullptr},
    {29, "IQ1_M", 256, 56, decode_iq1_m, nullptr},
    {30, "BF16", 1, 2, decode_bf16, encode_bf16},
    {34, "TQ1_0", 256, 54, decode_tq1_0, nullptr},
    {35, "TQ2_0", 256, 66, decode_tq2_0, nullptr},
    {39, "MXFP4", 32, 17, decode_mxfp4, encode_mxfp4},
    {40, "NVFP4", 64, 36, decode_nvfp4, nullptr},
    {41, "Q1_0", 128, 18, decode_q1_0, nullptr},
    {42, "Q2_0", 64, 18, decode_q2_0, nullptr},
    {kF8E4M3, "F8_E4M3", 1, 1, decode_f8_e4m3, nullptr},
};

struct RefusedType {
    int32_t first, last;  // ids, both included
    const char* name;
};

constexpr RefusedType kRefused[] = {
    {4, 4, "Q4_2, removed from GGUF"},
    {5, 5, "Q4_3, removed from GGUF"},
    {9, 9, "Q8_1, a type of intermediate results only"},
    {15, 15, "Q8_K, a type of intermediate results only"},
    {31, 31, "Q4_0_4_4, removed from GGUF"},
    {32, 32, "Q4_0_4_8, removed from GGUF"},
    {33, 33, "Q4_0_8_8, removed from GGUF"},
    {36, 36, "IQ4_NL_4_4, removed from GGUF"},
    {37, 37, "IQ4_NL_4_8, removed from GGUF"},
    {38, 38, "IQ4_NL_8_8, removed from GGUF"},
    {133, 133, "Q6_0, a type of ik_llama.cpp only"},
    {134, 134, "IQ1_BN, a type of ik_llama.cpp only"},
    {135, 135, "IQ2_BN, a type of ik_llama.cpp only"},
    {137, 137, "IQ2_K, a type of ik_llama.cpp only"},
    {138, 138, "IQ3_K, a type of ik_llama.cpp only"},
    {139, 139, "IQ4_K, a type of ik_llama.cpp only"},
    {140, 140, "IQ5_K, a type of ik_llama.cpp only"},
    {141, 141, "IQ6_K, a type of ik_llama.cpp only"},
    {144, 144, "IQ4_KS, a type of ik_llama.cpp only"},
    {145, 145, "IQ2_KS, a type of ik_llama.cpp only"},
    {146, 146, "IQ4_KSS, a type of ik_llama.cpp only"},
    {151, 151, "Q8_KV, a type of ik_llama.cpp only"},
    {202, 202, "Q4_0_R8, a type of ik_llama.cpp only"},
    {206, 206, "Q5_0_R4, a type of ik_llama.cpp only"},
    {208, 208, "Q8_0_R8, a type of ik_llama.cpp only"},
    {210, 210, "Q2_K_R4, a type of ik_llama.cpp only"},
    {211, 211, "Q3_K_R4, a type of ik_llama.cpp only"},
    {212, 212, "Q4_K_R4, a type of ik_llama.cpp only"},
    {213, 213, "Q5_K_R4, a type of ik_llama.cpp only"},
    {214, 214, "Q6_K_R4, a type of ik_llama.cpp only"},
    {216, 216, "IQ2_XXS_R4, a type of ik_llama.cpp only"},
    {217, 217, "IQ2_XS_R4, a type of ik_llama.cpp only"},
    {218, 218, "IQ3_XXS_R4, a type of ik_llama.cpp only"},
    {219, 219, "IQ1_S_R4, a type of ik_llama.cpp only"},
    {220, 220, "IQ4_NL_R4, a type of ik_llama.cpp only"},
    {221, 221, "IQ3_S_R4, a type of ik_llama.cpp only"},
    {222, 222, "IQ2_S_R4, a type of ik_llama.cpp only"},
    {223, 223, "IQ4_XS_R8, a type of ik_llama.cpp only"},
    {229, 229, "IQ1_M_R4, a type of ik_llama.cpp only"},
    {230, 230, "BF16_R16, a type of ik_llama.cpp only"},
    {337, 337, "IQ2_K_R4, a type of ik_llama.cpp only"},
    {338, 338, "IQ3_K_R4, a type of ik_llama.cpp only"},
    {339, 339, "IQ4_K_R4, a type of ik_llama.cpp only"},
    {340, 340, "IQ5_K_R4, a type of ik_llama.cpp only"},
    {344, 344, "IQ4_KS_R4, a type of ik_llama.cpp only"},
    {398, 398, "Q8_KV_R8, a type of ik_llama.cpp only"},
    {399, 399, "Q8_K_R8, a type of ik_llama.cpp only"},
    // Ids inside that project's ranges whose names vary between its versions; searched last.
    {97, 99, "a type of ik_llama.cpp only"},
    {133, 158, "a type of ik_llama.cpp only"},
    {202, 399, "a type of ik_llama.cpp only"},
};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

std::span<const QuantType> quant_types() { return kTypes; }

const QuantType* find_quant_type(int32_t id) {
    const auto* row =
        std::lower_bound(std::begin(kTypes), std::end(kTypes), id, [](const QuantType& type, int32_t key) { return type.id < key; });
    return row != std::end(kTypes) && row->id == id ? row : nullptr;
}

const QuantType* find_quant_type(std::string_view name) {
    for (const QuantType& type : kTypes) {
        const std::string_view candidate = type.name;
        if (std::equal(name.begin(), name.end(), candidate.begin(), candidate.end(), [](char a, char b) { return lower(a) == lower(b); })) {
            return &type;
        }
    }
    return nullptr;
}

const char* refused_type_name(int32_t id) {
    for (const RefusedType& refused : kRefused) {
        if (id >= refused.first && id <= refused.last) return refused.name;
    }
    return nullptr;
}

std::optional<uint64_t> row_bytes(const QuantType& type, uint64_t n_elements) {
    if (n_elements % type.block_len != 0) return std::nullopt;
    return checked_mul<uint64_t>(n_elements / type.block_len, type.block_bytes);
}

}  // namespace ponder
