// SPDX-License-Identifier: Apache-2.0
// GGUF files that lie: each field of the format, with the status and the words that the message must have.
#include <doctest/doctest.h>

#include <limits>
#include <vector>

#include "format/gguf_bytes.hpp"
#include "format/gguf_reader.hpp"

using ponder::read_gguf_bytes;
using ponder_test::GgufBytes;
using ponder_test::small_model;

namespace {

constexpr auto kFormat = PONDER_STATUS_FORMAT;
constexpr auto kLimit = PONDER_STATUS_LIMIT;
constexpr auto kUnsupported = PONDER_STATUS_UNSUPPORTED;

void refuses(const GgufBytes& file, ponder_status status, std::string_view words) {
    const auto model = read_gguf_bytes(file, "bad.gguf");
    REQUIRE_MESSAGE(!model, "accepted, expected: " << std::string(words));
    CHECK(model.error().status == status);
    CHECK_MESSAGE(model.error().message.find(words) != std::string::npos, model.error().message);
    CHECK(model.error().message.starts_with("bad.gguf: "));
}

GgufBytes one_key() { return GgufBytes().header(0, 1); }
GgufBytes one_tensor() { return GgufBytes().header(1, 0); }
GgufBytes tensor(std::initializer_list<int64_t> dims, int32_t type = 0, uint64_t offset = 0) {
    return one_tensor().tensor("w", dims, type, offset).pad().zeros(4096);
}

}  // namespace

TEST_CASE("gguf_reader: rejects other files, other versions and short headers") {
    refuses(GgufBytes(), kFormat, "not a GGUF file");
    refuses(GgufBytes().raw("GG"), kFormat, "not a GGUF file");
    refuses(GgufBytes().raw("PK\x03\x04 zip"), kFormat, "50 4b 03 04");
    refuses(GgufBytes().header(0, 0, 0), kFormat, "version 0");
    refuses(GgufBytes().header(0, 0, 1), kUnsupported, "version 1");
    refuses(GgufBytes().header(0, 0, 4), kUnsupported, "version 4");
    refuses(GgufBytes().header(0, 0, 0x03000000), kUnsupported, "big-endian");
    refuses(GgufBytes().raw("GGUF").put<uint32_t>(3).put<uint64_t>(0).put<uint32_t>(0), kFormat, "number of metadata keys");
}

TEST_CASE("gguf_reader: rejects every truncation of a good file") {
    const GgufBytes good = small_model();
    REQUIRE(read_gguf_bytes(good, "good"));
    const size_t needed = good.bytes().size() - 30;  // all but the padding behind the last tensor's 34 bytes
    for (size_t n = 0; n < good.bytes().size(); ++n) {
        const auto model = read_gguf_bytes(std::span(good.bytes()).first(n), "cut");
        CHECK_MESSAGE(static_cast<bool>(model) == (n >= needed), n);
    }
}

TEST_CASE("gguf_reader: rejects counts that the file cannot hold") {
    constexpr uint64_t kLies[] = {1ull << 63, ~0ull, 1ull << 31, 1'000'000'000, 262'145};
    for (const uint64_t n : kLies) {
        refuses(GgufBytes().header(n, 0).zeros(64), kLimit, "number of tensors: " + std::to_string(n) + ", the limit is 262144");
        refuses(GgufBytes().header(0, n).zeros(64), kLimit, "number of metadata keys: " + std::to_string(n) + ", the limit is 65536");
    }
    refuses(GgufBytes().header(3, 0).zeros(98), kFormat, "number of tensors: 3");
    refuses(GgufBytes().header(0, 5).zeros(69), kFormat, "number of metadata keys: 5");
}

TEST_CASE("gguf_reader: rejects string lengths past the end of the file") {
    for (const uint64_t n : std::initializer_list<uint64_t>{~0ull, 1ull << 63, 1ull << 31, 65}) {
        refuses(one_key().string(std::string(64, 'k'), n), kFormat, "key: needs " + std::to_string(n));
        refuses(one_key().key("k", 8).string(std::string(64, 'v'), n), kFormat, "metadata key 'k': string: needs " + std::to_string(n));
        refuses(one_key().key_array("k", 8, 1).string(std::string(64, 'v'), n), kFormat, "element 0: string: needs");
        refuses(one_tensor().string(std::string(64, 'n'), n), kFormat, "tensor 0: name: needs");
    }
}

TEST_CASE("gguf_reader: rejects names that are empty, not text, too long or doubled") {
    refuses(one_key().key("", 4).put<uint64_t>(0), kFormat, "key: is empty");
    refuses(one_key().key_u32(std::string_view("a\0b", 3), 1), kFormat, "zero byte");
    refuses(one_key().key_u32("a\xff", 1), kFormat, "'a?' is not UTF-8");
    refuses(one_key().key_u32("\xc0\x80", 1), kFormat, "not UTF-8");
    refuses(one_key().key_u32("\xed\xa0\x80", 1), kFormat, "not UTF-8");
    refuses(one_key().key_u32(std::string(65'536, 'k'), 1), kLimit, "65536 bytes, the limit is 65535");
    refuses(GgufBytes().header(0, 2).key_u32("k", 1).key_u32("k", 1), kFormat, "'k' appears twice");
    refuses(one_tensor().tensor("", {8}, 0, 0).zeros(128), kFormat, "tensor 0: name: is empty");
    refuses(one_tensor().tensor("\xf5", {8}, 0, 0).zeros(128), kFormat, "tensor 0: name: '?' is not UTF-8");
    refuses(one_tensor().tensor(std::string(256, 't'), {8}, 0, 0).zeros(128), kLimit, "256 bytes, the limit is 255");
    refuses(GgufBytes().header(2, 0).tensor("w", {8}, 0, 0).tensor("w", {8}, 0, 32).pad().zeros(64), kFormat, "tensors 0 and 1");
}

TEST_CASE("gguf_reader: rejects unknown value types and values outside their type") {
    for (const int32_t type : {13, -1, 99, std::numeric_limits<int32_t>::min()}) {
        refuses(one_key().key("k", type).zeros(64), kFormat, "value type " + std::to_string(type) + " is unknown");
        refuses(one_key().key_array("k", type, 1).zeros(64), kFormat, "array element type " + std::to_string(type) + " is unknown");
    }
    refuses(one_key().key_bool("k", 2), kFormat, "bool value 2");
    refuses(one_key().key_array("k", 7, 3).put<uint8_t>(1).put<uint8_t>(0).put<uint8_t>(255), kFormat, "element 2: bool value 255");
    refuses(one_key().key("k", 10).put<uint32_t>(0), kFormat, "value: needs 8 bytes");
}

TEST_CASE("gguf_reader: rejects arrays larger than the file, and arrays of arrays") {
    for (const uint64_t n : {1ull << 63, ~0ull, 1ull << 61, 1ull << 62}) {
        refuses(one_key().key_array("k", 10, n).zeros(64), kLimit, "array count: " + std::to_string(n));
        refuses(one_key().key_array("k", 8, n).zeros(64), kLimit, "array count: " + std::to_string(n));
    }
    refuses(one_key().key_array("k", 0, (1u << 25) + 1).zeros(64), kLimit, "the limit is 33554432");
    refuses(one_key().key_array("k", 10, 9).zeros(71), kFormat, "array count: 9 of at least 8 bytes each, only 71");
    refuses(one_key().key_array("k", 8, 9).zeros(71), kFormat, "array count: 9");

    GgufBytes nested = one_key().key("k", 9);
    for (int i = 0; i < 1'000'000; ++i) nested.put<int32_t>(9).put<uint64_t>(1);
    refuses(nested, kUnsupported, "arrays of arrays");
}

TEST_CASE("gguf_reader: rejects illegal alignments") {
    for (const uint32_t n : {0u, 1u, 3u, 4u, 48u}) refuses(one_key().key_u32("general.alignment", n), kFormat, "not a power of two");
    refuses(one_key().key_u32("general.alignment", 1u << 31), kLimit, "general.alignment: 2147483648, the limit is 1048576");
    refuses(one_key().key("general.alignment", 10).put(1ull << 63), kFormat, "'general.alignment': value 9223372036854775808 is above");
    refuses(one_key().key_i32("general.alignment", -32), kFormat, "'general.alignment': value -32 is below 0");
    refuses(one_key().key_string("general.alignment", "32"), kFormat, "'general.alignment': type string");
    refuses(one_key().key_f32("general.alignment", 32), kFormat, "'general.alignment': type f32");
}

TEST_CASE("gguf_reader: rejects offsets that are unaligned, outside or overlapping") {
    refuses(tensor({8}, 0, 4), kFormat, "tensor 0 'w': offset: 4 is not a multiple of the alignment 32");
    refuses(tensor({8}, 0, 4096), kFormat, "tensor 0 'w': offset: 32 bytes of data at offset 4096");
    refuses(tensor({8}, 0, 1ull << 63), kFormat, "past the end of the file");
    refuses(tensor({8}, 0, ~0ull - 31), kFormat, "past the end of the file");
    refuses(tensor({1025}), kFormat, "4100 bytes of data at offset 0");
    refuses(one_tensor().tensor("w", {8}, 0, 0), kFormat, "past the end of the file");
    const auto two = [](uint64_t first, uint64_t second) {
        return GgufBytes().header(2, 0).tensor("a", {9}, 0, first).tensor("b", {8}, 0, second).pad().zeros(256);
    };
    CHECK(read_gguf_bytes(two(0, 64), "good"));
    refuses(two(0, 32), kFormat, "tensor 1 'b': offset: data at byte 128 of the file overlaps tensor 0 'a'");
    refuses(two(32, 32), kFormat, "overlaps");
    refuses(two(64, 96), kFormat, "overlaps");
}

TEST_CASE("gguf_reader: rejects illegal dimensions and products that wrap") {
    refuses(tensor({}), kFormat, "n_dims: 0");
    refuses(tensor({1, 1, 1, 1, 1}), kLimit, "n_dims: 5, the limit is 4");
    refuses(one_tensor().string("w").put(~0u).zeros(64), kLimit, "n_dims: 4294967295");
    for (const int64_t n : {int64_t{0}, int64_t{-1}, std::numeric_limits<int64_t>::min()}) {
        refuses(tensor({8, n}), kFormat, "tensor 0 'w': dims[1]: " + std::to_string(n) + " is not positive");
    }
    refuses(tensor({0, 256}), kFormat, "dims[0]: 0");
    refuses(tensor({8, (1ll << 42) + 1}), kLimit, "dims[1]: 4398046511105, the limit is 1099511627776");
    refuses(tensor({1ll << 40, 1ll << 40}), kLimit, "more than 2^63 - 1");
    refuses(tensor({1ll << 32, 1ll << 32, 1ll << 32, 1ll << 32}), kLimit, "more than 2^63 - 1");
    refuses(tensor({1ll << 31, 1ll << 31}), kLimit, "more than 2^63 - 1");  // 2^62 elements, 2^64 bytes
    refuses(tensor({1ll << 40, 1 << 20}), kFormat, "past the end of the file");
    // Each of two sizes fits 64 bits, their sum wraps.
    const uint64_t half = 1ull << 62;
    refuses(GgufBytes().header(2, 0).tensor("a", {1 << 30, 1 << 30}, 0, 0).tensor("b", {8}, 0, half).pad().zeros(64), kFormat, "'a'");
}

TEST_CASE("gguf_reader: rejects partial blocks and types that are removed, unknown or negative") {
    refuses(tensor({33}, 8), kFormat, "dims[0]: 33 is not a multiple of 32, the block length of type Q8_0");
    refuses(tensor({128, 2}, 12), kFormat, "dims[0]: 128 is not a multiple of 256, the block length of type Q4_K");
    for (const int32_t type : {4, 5, 31, 32, 33, 36, 37, 38}) {
        refuses(tensor({256}, type), kUnsupported, "type " + std::to_string(type) + " (");
    }
    for (const int32_t type : {-1, 1000, std::numeric_limits<int32_t>::max(), std::numeric_limits<int32_t>::min()}) {
        refuses(tensor({256}, type), kUnsupported, "type " + std::to_string(type) + " is unknown");
    }
}

TEST_CASE("gguf_reader: shows nothing of a name that could harm a terminal or a log") {
    refuses(GgufBytes().header(0, 2).key_u32("a\x1b[2J\n", 1).key_u32("a\x1b[2J\n", 1), kFormat, "'a?[2J?' appears twice");
    refuses(GgufBytes().header(0, 2).key_u32(std::string(60'000, 'k'), 1).key_u32(std::string(60'000, 'k'), 1), kFormat, "kkk...'");
}
