// SPDX-License-Identifier: Apache-2.0
// Metadata built in memory, and its typed getters.
#include "format/metadata.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>

using ponder::Metadata;
using ponder::Value;
using ponder::ValueType;

namespace {

template <class T>
void refuses(const ponder::Result<T>& result, std::string_view words) {
    REQUIRE(!result);
    CHECK(result.error().status == PONDER_STATUS_FORMAT);
    CHECK_MESSAGE(result.error().message.find(words) != std::string::npos, result.error().message);
}

}  // namespace

TEST_CASE("metadata: absent keys are no error") {
    const Metadata metadata;
    CHECK(metadata.find("a") == nullptr);
    CHECK(!*metadata.get_u32("a"));
    CHECK(!*metadata.get_f32("a"));
    CHECK(!*metadata.get_bool("a"));
    CHECK(!*metadata.get_string("a"));
    CHECK(!*metadata.get_strings("a"));
    CHECK(!*metadata.get_integers("a"));
    CHECK(!*metadata.get_numbers("a"));
}

TEST_CASE("metadata: integer getters take any integer type that fits") {
    Metadata metadata;
    metadata.set("u8", Value::from_u8(255));
    metadata.set("i64", Value::from_i64(7));
    metadata.set("negative", Value::from_i16(-1));
    metadata.set("large", Value::from_u64(1ull << 32));
    metadata.set("largest", Value::from_u64(~0ull));
    metadata.set("smallest", Value::from_i64(std::numeric_limits<int64_t>::min()));
    metadata.set("bool", Value::from_bool(true));
    metadata.set("float", Value::from_f32(1));
    CHECK(**metadata.get_u32("u8") == 255);
    CHECK(**metadata.get_i32("i64") == 7);
    CHECK(**metadata.get_i32("negative") == -1);
    CHECK(**metadata.get_i64("large") == 1ll << 32);
    CHECK(**metadata.get_i64("smallest") == std::numeric_limits<int64_t>::min());
    refuses(metadata.get_u32("negative"), "'negative': value -1 is below 0");
    refuses(metadata.get_u32("large"), "'large': value 4294967296 is above 4294967295");
    refuses(metadata.get_i64("largest"), "is above 9223372036854775807");
    refuses(metadata.get_i32("smallest"), "is below -2147483648");
    refuses(metadata.get_u32("bool"), "type bool where an integer is needed");
    refuses(metadata.get_u32("float"), "type f32 where an integer is needed");
}

TEST_CASE("metadata: float getters refuse what is not finite") {
    Metadata metadata;
    metadata.set("f", Value::from_f32(0.5f));
    metadata.set("d", Value::from_f64(1e300));
    metadata.set("exact", Value::from_f64(-0.25));
    metadata.set("nan", Value::from_f32(std::nanf("")));
    metadata.set("inf", Value::from_f64(-std::numeric_limits<double>::infinity()));
    metadata.set("u", Value::from_u32(1));
    CHECK(**metadata.get_f32("f") == 0.5f);
    CHECK(**metadata.get_f32("exact") == -0.25f);
    refuses(metadata.get_f32("d"), "1e+300 is not a finite number within");
    refuses(metadata.get_f32("nan"), "nan is not a finite number");
    refuses(metadata.get_f32("inf"), "-inf is not a finite number");
    refuses(metadata.get_f32("u"), "type u32 where a float is needed");
}

TEST_CASE("metadata: arrays") {
    const float scores[] = {1.5f, -2, std::numeric_limits<float>::infinity()};
    const uint64_t large[] = {1, ~0ull};
    Metadata metadata;
    metadata.set("finite", Value::from_array<float>(std::span(scores).first(2)));
    metadata.set("infinite", Value::from_array<float>(scores));
    metadata.set("large", Value::from_array<uint64_t>(large));
    metadata.set("empty", Value::from_array<int32_t>({}));
    metadata.set("text", Value::from_strings({"a", "", "bc"}));
    CHECK((**metadata.get_numbers("finite")).double_at(1) == -2);
    CHECK((**metadata.get_integers("empty")).size() == 0);
    CHECK((**metadata.get_strings("text"))[2] == "bc");
    CHECK((**metadata.get_numbers("large")).double_at(0) == 1);
    CHECK(metadata.find("large")->numbers().int64_at(1) == std::numeric_limits<int64_t>::max());
    CHECK(metadata.find("infinite")->numbers().int64_at(2) == std::numeric_limits<int64_t>::max());
    refuses(metadata.get_numbers("infinite"), "element 2 is inf");
    refuses(metadata.get_integers("large"), "element 1 is 18446744073709551615");
    refuses(metadata.get_integers("finite"), "type array of f32 where an array of integers is needed");
    refuses(metadata.get_numbers("text"), "type array of string");
    refuses(metadata.get_strings("finite"), "an array of strings is needed");
    refuses(metadata.get_string("text"), "type array of string where a string is needed");
    refuses(metadata.get_u32("text"), "array of string");
}

TEST_CASE("metadata: set copies what it is given, replaces in place, erase keeps the order") {
    Metadata metadata;
    {
        std::string key = "first", text(1000, 'x');
        std::vector<std::string> words(100, "word");
        metadata.set(key, Value::from_string(text));
        metadata.set("second", Value::from_strings({words.begin(), words.end()}));
        key.assign(5, '?'), text.assign(1000, '?');
        for (std::string& word : words) word = "gone";
    }
    metadata.set("third", Value::from_u32(3));
    CHECK(**metadata.get_string("first") == std::string(1000, 'x'));
    CHECK((**metadata.get_strings("second"))[99] == "word");
    metadata.set("first", Value::from_i32(-1));
    CHECK(metadata.entries()[0].key == "first");
    CHECK(**metadata.get_i32("first") == -1);

    Metadata moved = std::move(metadata);
    moved.erase("first");
    moved.erase("absent");
    REQUIRE(moved.entries().size() == 2);
    CHECK(**moved.get_u32("third") == 3);
    CHECK((**moved.get_strings("second"))[0] == "word");
    CHECK(!moved.insert_view("third", Value::from_u32(4)));
    moved.set("third", *moved.find("third"));
    CHECK(**moved.get_u32("third") == 3);
}

TEST_CASE("metadata: values compare by type and content") {
    CHECK(Value::from_u32(1) == Value::from_u32(1));
    CHECK(!(Value::from_u32(1) == Value::from_i32(1)));
    CHECK(Value::from_f32(std::nanf("")) == Value::from_f32(std::nanf("")));
    CHECK(Value::from_string("a") == Value::from_string(std::string("a")));
    CHECK(!(Value::from_strings({"a"}) == Value::from_strings({"b"})));
    CHECK(!(Value::from_strings({}) == Value::from_array<float>({})));
}
