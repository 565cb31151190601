// SPDX-License-Identifier: Apache-2.0
// Models in several GGUF files.
#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "format/gguf_bytes.hpp"
#include "format/gguf_reader.hpp"
#include "format/gguf_split.hpp"

using ponder::read_gguf;
using ponder_test::GgufBytes;
using ponder_test::TemporaryFolder;

namespace {

// Part `number` (from 0) of `count` with one tensor of its own.
GgufBytes part(uint16_t number, uint16_t count, int32_t n_tensors, const std::string& tensor_name, float value) {
    GgufBytes file;
    file.header(1, number == 0 ? 4 : 3);
    if (number == 0) file.key_string("general.architecture", "llama");
    file.key_u16("split.no", number).key_u16("split.count", count).key_i32("split.tensors.count", n_tensors);
    return file.tensor(tensor_name, {8}, 0, 0).pad().put(value).zeros(28);
}

std::string name(uint32_t number, uint32_t count) { return ponder::gguf::split_path({"m", 1, count}, number); }

void refuses(const std::string& path, ponder_status status, std::string_view words) {
    const auto model = read_gguf(path);
    REQUIRE_MESSAGE(!model, "accepted, expected: " << std::string(words));
    CHECK(model.error().status == status);
    CHECK_MESSAGE(model.error().message.find(words) != std::string::npos, model.error().message);
}

}  // namespace

TEST_CASE("gguf_split: names") {
    const auto split = ponder::gguf::parse_split_name("/a/b-c-00002-of-00013.gguf");
    REQUIRE(split);
    CHECK(split->prefix == "/a/b-c");
    CHECK(split->number == 2);
    CHECK(split->count == 13);
    CHECK(ponder::gguf::split_path(*split, 13) == "/a/b-c-00013-of-00013.gguf");
    for (const char* other : {"m.gguf", "m-0001-of-0002.gguf", "m-00003-of-00002.gguf", "m-00000-of-00002.gguf", "m-0000a-of-00002.gguf",
                              "00001-of-00002.gguf", "m-00001-of-00002.ggu", ""}) {
        CHECK_MESSAGE(!ponder::gguf::parse_split_name(other), other);
    }
}

TEST_CASE("gguf_split: opens all parts from the first") {
    const TemporaryFolder folder;
    const std::string first = folder.write(name(1, 3), part(0, 3, 3, "a", 1));
    folder.write(name(2, 3), part(1, 3, 3, "b", 2));
    folder.write(name(3, 3), part(2, 3, 3, "c", 3));
    const auto model = read_gguf(first);
    REQUIRE_MESSAGE(model, (model ? "" : model.error().message));
    CHECK(model->files.size() == 3);
    CHECK(model->data_bytes == 96);
    CHECK(**model->metadata.get_string("general.architecture") == "llama");
    REQUIRE(model->find("c") != nullptr);
    CHECK(model->find("c")->file_index == 2);
    float value = 0;
    std::memcpy(&value, model->find("c")->data.data(), sizeof value);
    CHECK(value == 3);

    refuses(folder.path(name(2, 3)), PONDER_STATUS_INVALID_ARGUMENT, "is part 2 of 3, open the first part");
    refuses(folder.path(name(3, 3)), PONDER_STATUS_INVALID_ARGUMENT, name(1, 3));
}

TEST_CASE("gguf_split: refuses parts that are missing, doubled, foreign or renamed") {
    const TemporaryFolder folder;
    const std::string first = folder.write(name(1, 2), part(0, 2, 2, "a", 1));
    refuses(first, PONDER_STATUS_IO, name(2, 2));
    folder.write(name(2, 2), part(0, 2, 2, "b", 1));
    refuses(first, PONDER_STATUS_FORMAT, "split.no: 0 where 1 is needed");
    folder.write(name(2, 2), part(1, 3, 2, "b", 1));
    refuses(first, PONDER_STATUS_FORMAT, "split.count: 3, the first part has 2");
    folder.write(name(2, 2), part(1, 2, 5, "b", 1));
    refuses(first, PONDER_STATUS_FORMAT, "split.tensors.count: 5, the first part has 2");
    folder.write(name(2, 2), part(1, 2, 2, "a", 1));
    refuses(first, PONDER_STATUS_FORMAT, "tensors 0 and 1 have the same name 'a'");
    folder.write(name(2, 2), GgufBytes().header(0, 0));
    refuses(first, PONDER_STATUS_FORMAT, "split.count: 0, the first part has 2");
    folder.write(name(2, 2), GgufBytes().raw("GGUF"));
    refuses(first, PONDER_STATUS_FORMAT, name(2, 2) + ": version");
    refuses(folder.write("other.gguf", part(0, 2, 2, "a", 1)), PONDER_STATUS_FORMAT, "does not end in '-00001-of-00002.gguf'");
    refuses(folder.write(name(1, 4), part(0, 2, 2, "a", 1)), PONDER_STATUS_FORMAT, "holds part 1 of 2");
}

TEST_CASE("gguf_split: refuses parts that contradict the first") {
    const TemporaryFolder folder;
    const std::string first = folder.write(name(1, 2), part(0, 2, 1, "a", 1));
    const auto second = [&](std::string_view key, std::string_view value) {
        GgufBytes file;
        file.header(0, 3).key_u16("split.no", 1).key_u16("split.count", 2).key_string(key, value);
        folder.write(name(2, 2), file);
    };
    second("general.architecture", "llama");
    CHECK(read_gguf(first));
    second("general.architecture", "qwen2");
    refuses(first, PONDER_STATUS_FORMAT, "'general.architecture' has another value in the first part");
    second("llama.block_count", "1");
    refuses(first, PONDER_STATUS_FORMAT, "'llama.block_count' is missing in the first part");
}

TEST_CASE("gguf_split: refuses keys that lie") {
    const TemporaryFolder folder;
    refuses(folder.write(name(1, 2), part(0, 65535, 1, "a", 1)), PONDER_STATUS_LIMIT, "split.count: 65535, the limit is 4096");
    refuses(folder.write(name(1, 2), part(2, 2, 1, "a", 1)), PONDER_STATUS_FORMAT, "split.no: 2 is not below split.count 2");
    refuses(folder.write(name(1, 2), GgufBytes().header(0, 1).key_u16("split.count", 2)), PONDER_STATUS_FORMAT, "split.no: missing");
    refuses(folder.write(name(1, 2), GgufBytes().header(0, 0)), PONDER_STATUS_FORMAT, "split.count: missing");
    refuses(folder.write("s.gguf", GgufBytes().header(0, 1).key_string("split.count", "../2")), PONDER_STATUS_FORMAT, "type string");

    const std::string first = folder.write(name(1, 2), part(0, 2, 3, "a", 1));
    folder.write(name(2, 2), part(1, 2, 3, "b", 1));
    refuses(first, PONDER_STATUS_FORMAT, "split.tensors.count: 3, but the parts hold 2 tensors");
}

TEST_CASE("gguf_split: a merged file is whole, whatever it is called") {
    const TemporaryFolder folder;
    CHECK(read_gguf(folder.write(name(1, 3), GgufBytes().header(0, 1).key_u16("split.count", 0))));
    CHECK(read_gguf(folder.write(name(1, 1), part(0, 1, 1, "a", 1))));
    const auto in_memory = ponder::read_gguf_bytes(part(0, 2, 2, "a", 1), "memory");
    REQUIRE(!in_memory);
    CHECK(in_memory.error().status == PONDER_STATUS_UNSUPPORTED);
}
