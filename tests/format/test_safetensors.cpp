// SPDX-License-Identifier: Apache-2.0
// One safetensors file: what is read of a good one, and every way in which a header can lie.
#include "format/safetensors.hpp"

#include <doctest/doctest.h>

#include <string>

#include "format/safetensors_bytes.hpp"
#include "quant/quant.hpp"

using ponder::safetensors::parse;
using ponder_test::safetensors_bytes;

namespace {

constexpr auto kFormat = PONDER_STATUS_FORMAT;
constexpr auto kLimit = PONDER_STATUS_LIMIT;
constexpr auto kUnsupported = PONDER_STATUS_UNSUPPORTED;

void refuses(const std::vector<std::byte>& file, ponder_status status, std::string_view words) {
    const auto tensors = parse(file, 0);
    REQUIRE_MESSAGE(!tensors, "accepted, expected: " << std::string(words));
    CHECK_MESSAGE(tensors.error().status == status, tensors.error().message);
    CHECK_MESSAGE(tensors.error().message.find(words) != std::string::npos, tensors.error().message);
}

void refuses(std::string_view header, size_t n_data, ponder_status status, std::string_view words) {
    refuses(safetensors_bytes(header, n_data), status, words);
}

std::string tensor(const std::string& name, const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}";
}

}  // namespace

TEST_CASE("safetensors: names, types, shapes and places of tensors, in the order of the header") {
    const std::string header = "{\"__metadata__\":{\"format\":\"pt\"}," + tensor("b", "BF16", "[2,3]", "[4,16]") + "," +
                               tensor("a", "F32", "[]", "[0,4]") + "," + tensor("c", "F8_E4M3", "[1,2,2]", "[16,20]") + "}   ";
    const auto file = safetensors_bytes(header, 20);
    const auto tensors = parse(file, 7);
    REQUIRE_MESSAGE(tensors, tensors.error().message);
    REQUIRE(tensors->size() == 3);
    const size_t data = 8 + header.size();
    const ponder::StoredTensor& b = (*tensors)[0];
    CHECK(b.name == "b");
    CHECK(b.type == ponder::find_quant_type("BF16")->id);
    CHECK(b.n_dims == 2);
    CHECK(b.dims == std::array<int64_t, 4>{3, 2, 1, 1});
    CHECK(b.file_index == 7);
    CHECK(b.file_offset == data + 4);
    CHECK(b.data.data() == file.data() + data + 4);
    CHECK(b.data.size() == 12);
    const ponder::StoredTensor& a = (*tensors)[1];
    CHECK(a.n_dims == 1);
    CHECK(a.dims == std::array<int64_t, 4>{1, 1, 1, 1});
    CHECK((*tensors)[2].type == ponder::kF8E4M3);
    CHECK((*tensors)[2].dims == std::array<int64_t, 4>{2, 2, 1, 1});

    for (const char* dtype : {"F64", "F32", "F16", "BF16", "F8_E4M3", "I64", "I32", "I16", "I8"}) {
        const ponder::QuantType* type = ponder::find_quant_type(dtype);
        REQUIRE(type != nullptr);
        const std::string n = std::to_string(type->block_bytes);
        CHECK(parse(safetensors_bytes("{" + tensor("t", dtype, "[1]", "[0," + n + "]") + "}", type->block_bytes), 0));
    }
    CHECK(parse(safetensors_bytes("{}", 0), 0)->empty());
}

TEST_CASE("safetensors: refuses headers that are too long for the file or the limit, and what is not JSON") {
    refuses(std::vector<std::byte>(), kFormat, "0 bytes are too few");
    refuses(std::vector<std::byte>(7), kFormat, "7 bytes are too few");
    refuses(std::vector<std::byte>(8), kFormat, "does not begin with '{'");
    refuses(safetensors_bytes("{}", 0, 3), kFormat, "header: 3 bytes long, but the file has 10");
    refuses(safetensors_bytes("{}", 0, 100'000'000), kFormat, "header: 100000000 bytes long, but the file has 10");
    refuses(safetensors_bytes("{}", 0, 100'000'001), kLimit, "header: 100000001 bytes long, the limit is 100000000");
    refuses(safetensors_bytes("{}", 0, ~uint64_t{0}), kLimit, "header: 18446744073709551615 bytes long");
    refuses("[]", 0, kFormat, "does not begin with '{'");
    refuses(" {}", 0, kFormat, "does not begin with '{'");
    refuses("{} x", 0, kFormat, "syntax error at byte");
    refuses("{", 0, kFormat, "syntax error at byte");
    refuses("{\"a\xff\":{}}", 0, kFormat, "syntax error at byte");
    refuses(std::string(2'000'000, '{'), 0, kFormat, "syntax error");
    refuses("{\"a\":" + std::string(2'000'000, '['), 0, kFormat, "a list is not allowed here");
}

TEST_CASE("safetensors: refuses every truncation of a good file, and bytes behind it") {
    const std::string header = "{" + tensor("a", "F32", "[2]", "[0,8]") + "," + tensor("b", "F32", "[1]", "[8,12]") + "}";
    auto file = safetensors_bytes(header, 12);
    REQUIRE(parse(file, 0));
    for (size_t n = 0; n < file.size(); n++) CHECK_MESSAGE(!parse(std::span(file).first(n), 0), n);
    file.resize(file.size() + 5);
    refuses(file, kFormat, "5 bytes behind the data of its last tensor");
}

TEST_CASE("safetensors: refuses fields of the wrong type, missing, repeated or unknown ones") {
    refuses("{\"a\":1}", 0, kFormat, "tensor 'a': a number is not allowed here");
    refuses("{\"a\":\"x\"}", 0, kFormat, "tensor 'a': a string is not allowed here");
    refuses("{\"a\":null}", 0, kFormat, "tensor 'a': null is not allowed here");
    refuses("{\"a\":[]}", 0, kFormat, "tensor 'a': a list is not allowed here");
    refuses("{\"a\":{\"dtype\":3}}", 4, kFormat, "tensor 'a': dtype: a number is not allowed here");
    refuses("{\"a\":{\"dtype\":{}}}", 4, kFormat, "tensor 'a': dtype: an object is not allowed here");
    refuses("{\"a\":{\"dtype\":[\"F32\"]}}", 4, kFormat, "tensor 'a': dtype: a list is not allowed here");
    refuses("{" + tensor("a", "F32", "1", "[0,4]") + "}", 4, kFormat, "tensor 'a': shape:");
    refuses("{" + tensor("a", "F32", "[-1]", "[0,4]") + "}", 4, kFormat, "tensor 'a': shape: a negative number");
    refuses("{" + tensor("a", "F32", "[1.0]", "[0,4]") + "}", 4, kFormat, "tensor 'a': shape: a number that is not an integer");
    refuses("{" + tensor("a", "F32", "[true]", "[0,4]") + "}", 4, kFormat, "tensor 'a': shape: a boolean");
    refuses("{" + tensor("a", "F32", "[[1]]", "[0,4]") + "}", 4, kFormat, "tensor 'a': shape: a list");
    refuses("{" + tensor("a", "F32", "[1]", "[0]") + "}", 4, kFormat, "tensor 'a': data_offsets: needs two numbers");
    refuses("{" + tensor("a", "F32", "[1]", "[0,4,4]") + "}", 4, kFormat, "tensor 'a': data_offsets: more than 2 numbers");
    refuses("{" + tensor("a", "F32", "[1]", "{}") + "}", 4, kFormat, "tensor 'a': data_offsets: an object");
    refuses("{\"a\":{}}", 4, kFormat, "tensor 'a': dtype: is missing");
    refuses("{\"a\":{\"dtype\":\"F32\"}}", 4, kFormat, "tensor 'a': shape: is missing");
    refuses("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, kFormat, "tensor 'a': data_offsets: is missing");
    refuses("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", 4, kFormat, "tensor 'a': dtype: is there twice");
    refuses("{\"a\":{\"offset\":0}}", 4, kFormat, "tensor 'a': unknown field 'offset'");
    refuses("{" + tensor("a", "F33", "[1]", "[0,4]") + "}", 4, kFormat, "tensor 'a': dtype: 'F33' is not known");
    refuses("{" + tensor("a", "F8_E5M2", "[4]", "[0,4]") + "}", 4, kUnsupported, "tensor 'a': dtype: 'F8_E5M2' cannot be read");
    refuses("{\"__metadata__\":[]}", 0, kFormat, "a list is not allowed here");
    refuses("{\"__metadata__\":{\"a\":1}}", 0, kFormat, "a number is not allowed here");
    refuses("{\"__metadata__\":{},\"__metadata__\":{}}", 0, kFormat, "__metadata__ is there twice");
}

TEST_CASE("safetensors: refuses names that are empty, too long or there twice") {
    refuses("{" + tensor("", "F32", "[1]", "[0,4]") + "}", 4, kFormat, "its name is empty");
    refuses("{" + tensor(std::string(256, 'n'), "F32", "[1]", "[0,4]") + "}", 4, kLimit, "its name has 256 bytes, the limit is 255");
    refuses("{" + tensor("a", "F32", "[1]", "[0,4]") + "," + tensor("a", "F32", "[1]", "[4,8]") + "}", 8, kFormat,
            "tensor 'a' is there twice");
}

TEST_CASE("safetensors: refuses shapes that overflow, are empty or have too many dimensions") {
    refuses("{" + tensor("a", "F32", "[0]", "[0,0]") + "}", 0, kFormat, "tensor 'a': shape: a dimension is 0");
    refuses("{" + tensor("a", "F32", "[1,1,1,1,1]", "[0,4]") + "}", 4, kLimit, "tensor 'a': shape: more than 4 numbers");
    refuses("{" + tensor("a", "F32", "[1099511627777]", "[0,4]") + "}", 4, kLimit, "tensor 'a': shape: a dimension is 1099511627777");
    refuses("{" + tensor("a", "F32", "[18446744073709551615]", "[0,4]") + "}", 4, kLimit, "a dimension is 18446744073709551615");
    refuses("{" + tensor("a", "F32", "[18446744073709551616]", "[0,4]") + "}", 4, kFormat, "a number that is not an integer");
    // 2^64 elements, which wrap to none.
    refuses("{" + tensor("a", "F32", "[1099511627776,16777216]", "[0,0]") + "}", 0, kLimit, "more than 2^63 - 1 bytes");
    refuses("{" + tensor("a", "F32", "[1099511627776,4194304]", "[0,0]") + "}", 0, kLimit, "more than 2^63 - 1 bytes");
}

TEST_CASE("safetensors: refuses data out of the file, of another length, overlapping or with gaps") {
    refuses("{" + tensor("a", "F32", "[1]", "[4,0]") + "}", 4, kFormat, "tensor 'a': data_offsets: 4 to 0 is not a range");
    refuses("{" + tensor("a", "F32", "[1]", "[1,5]") + "}", 4, kFormat, "1 to 5 is not a range of the 4 bytes behind the header");
    refuses("{" + tensor("a", "F32", "[1]", "[18446744073709551612,18446744073709551615]") + "}", 4, kFormat, "is not a range");
    refuses("{" + tensor("a", "F32", "[2]", "[0,4]") + "}", 4, kFormat, "4 bytes, but dtype and shape ask for 8");
    refuses("{" + tensor("a", "F32", "[2]", "[0,8]") + "," + tensor("b", "F32", "[2]", "[4,12]") + "}", 12, kFormat,
            "tensor 'b': data_offsets: begins at byte 4 behind the header, which overlaps data that ends at byte 8");
    refuses("{" + tensor("a", "F32", "[1]", "[0,4]") + "," + tensor("b", "F32", "[1]", "[0,4]") + "}", 4, kFormat, "overlaps");
    refuses("{" + tensor("a", "F32", "[1]", "[0,4]") + "," + tensor("b", "F32", "[1]", "[8,12]") + "}", 12, kFormat,
            "tensor 'b': data_offsets: begins at byte 8 behind the header, which leaves a gap behind data that ends at byte 4");
    refuses("{" + tensor("a", "F32", "[1]", "[4,8]") + "}", 8, kFormat, "leaves a gap");
    refuses("{}", 4, kFormat, "4 bytes behind the data of its last tensor");
}
