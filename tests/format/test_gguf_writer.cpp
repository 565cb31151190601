// SPDX-License-Identifier: Apache-2.0
// Round trips through the GGUF writer, and its promise to leave nothing half-written.
#include "format/gguf_writer.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <utility>

#include "format/gguf_bytes.hpp"
#include "format/gguf_reader.hpp"
#include "test_data.hpp"

using ponder::GgufWriter;
using ponder::Value;
using ponder_test::TemporaryFolder;

namespace {

using Dims = std::vector<int64_t>;

size_t files_in(const TemporaryFolder& folder) {
    const std::filesystem::directory_iterator all(folder.path(""));
    return static_cast<size_t>(std::distance(begin(all), end(all)));
}

template <class T>
void refuses(const ponder::Result<T>& result, ponder_status status, std::string_view words) {
    REQUIRE(!result);
    CHECK(result.error().status == status);
    CHECK_MESSAGE(result.error().message.find(words) != std::string::npos, result.error().message);
}

// Copies `source` through a writer, data in pieces of `piece` bytes.
void copy_model(const ponder::ModelFile& source, const std::string& path, uint32_t alignment, size_t piece) {
    auto writer = GgufWriter::create(path, alignment);
    REQUIRE(writer);
    writer->copy_metadata(source.metadata);
    for (const auto& tensor : source.tensors) {
        REQUIRE(writer->add_tensor(tensor.name, tensor.type, std::span(tensor.dims).first(static_cast<size_t>(tensor.n_dims))));
    }
    REQUIRE(writer->write_header());
    for (const auto& tensor : source.tensors) {
        for (auto rest = tensor.data; !rest.empty(); rest = rest.subspan(std::min(piece, rest.size()))) {
            REQUIRE(writer->append(rest.first(std::min(piece, rest.size()))));
        }
    }
    REQUIRE(writer->finish());
}

void check_equal(const ponder::ModelFile& a, const ponder::ModelFile& b) {
    for (const auto& entry : a.metadata.entries()) {
        if (entry.key == "general.alignment") continue;
        REQUIRE_MESSAGE(b.metadata.find(entry.key) != nullptr, entry.key);
        CHECK_MESSAGE(*b.metadata.find(entry.key) == entry.value, entry.key);
    }
    REQUIRE(a.tensors.size() == b.tensors.size());
    for (size_t i = 0; i < a.tensors.size(); ++i) {
        CHECK(a.tensors[i].name == b.tensors[i].name);
        CHECK(a.tensors[i].type == b.tensors[i].type);
        CHECK(a.tensors[i].n_dims == b.tensors[i].n_dims);
        CHECK(a.tensors[i].dims == b.tensors[i].dims);
        CHECK(std::equal(a.tensors[i].data.begin(), a.tensors[i].data.end(), b.tensors[i].data.begin(), b.tensors[i].data.end()));
    }
}

}  // namespace

TEST_CASE("gguf_writer: what is written is read back") {
    const TemporaryFolder folder;
    const auto bytes = ponder_test::small_model();
    const auto source = ponder::read_gguf_bytes(bytes, "memory");
    REQUIRE(source);
    for (const uint32_t alignment : {8u, 32u, 64u, 8192u}) {
        copy_model(*source, folder.path("copy.gguf"), alignment, 7);
        const auto copy = ponder::read_gguf(folder.path("copy.gguf"));
        REQUIRE_MESSAGE(copy, (copy ? "" : copy.error().message));
        check_equal(*source, *copy);
        CHECK(**copy->metadata.get_u32("general.quantization_version") == 2);
        CHECK(copy->metadata.get_u32("general.alignment")->value_or(32) == alignment);
        CHECK(files_in(folder) == 1);
    }
}

TEST_CASE("gguf_writer: golden models survive a round trip") {
    for (const char* name :
         {"golden/models/g-r1.gguf", "golden/models/g-quant-Q4_K_M.gguf", "tokenizers/ggml-vocab/ggml-vocab-gpt-2.gguf"}) {
        if (!ponder_test::has_data(name)) continue;
        const TemporaryFolder folder;
        const auto source = ponder::read_gguf(ponder_test::data_path(name));
        REQUIRE(source);
        copy_model(*source, folder.path("copy.gguf"), 32, 65'536);
        const auto copy = ponder::read_gguf(folder.path("copy.gguf"));
        REQUIRE(copy);
        check_equal(*source, *copy);
        // Contiguous, as llama.cpp requires: each tensor begins where the one before ends, padded.
        uint64_t expected = copy->tensors.empty() ? 0 : copy->tensors[0].file_offset;
        for (const auto& tensor : copy->tensors) {
            CHECK(tensor.file_offset == expected);
            expected += (tensor.data.size() + 31) / 32 * 32;
        }
        if (!copy->tensors.empty()) CHECK(copy->files[0].bytes().size() == expected);
    }
}

TEST_CASE("gguf_writer: parts of a split model") {
    const TemporaryFolder folder;
    for (uint16_t number = 0; number < 2; ++number) {
        auto writer = GgufWriter::create(folder.path("m-0000" + std::to_string(number + 1) + "-of-00002.gguf"));
        REQUIRE(writer);
        if (number == 0) writer->metadata().set("general.architecture", Value::from_string("llama"));
        writer->metadata().set("split.no", Value::from_u16(number));
        writer->metadata().set("split.count", Value::from_u16(2));
        writer->metadata().set("split.tensors.count", Value::from_i32(2));
        REQUIRE(writer->add_tensor("t" + std::to_string(number), 0, Dims{4}));
        REQUIRE(writer->write_header());
        REQUIRE(writer->append(std::vector<std::byte>(16, std::byte(number))));
        REQUIRE(writer->finish());
    }
    const auto model = ponder::read_gguf(folder.path("m-00001-of-00002.gguf"));
    REQUIRE_MESSAGE(model, (model ? "" : model.error().message));
    CHECK(model->find("t1")->data[15] == std::byte{1});

    copy_model(*model, folder.path("merged.gguf"), 32, 16);
    const auto merged = ponder::read_gguf(folder.path("merged.gguf"));
    REQUIRE(merged);
    CHECK(merged->metadata.entries().size() == 1);
    CHECK(merged->tensors.size() == 2);
}

TEST_CASE("gguf_writer: an unfinished file leaves the target as it was") {
    const TemporaryFolder folder;
    folder.write("m.gguf", ponder_test::small_model());
    {
        auto writer = GgufWriter::create(folder.path("m.gguf"));
        REQUIRE(writer);
        REQUIRE(writer->add_tensor("w", 0, Dims{4}));
        REQUIRE(writer->write_header());
        CHECK(files_in(folder) == 2);
        REQUIRE(writer->append(std::vector<std::byte>(8)));
        refuses(writer->finish(), PONDER_STATUS_INVALID_ARGUMENT, "finished with 8 of 16 bytes");
        const GgufWriter moved = std::move(*writer);
        CHECK(files_in(folder) == 2);
    }
    CHECK(files_in(folder) == 1);
    CHECK(ponder::read_gguf(folder.path("m.gguf"))->tensors.size() == 2);
    refuses(GgufWriter::create(folder.path("no/such/folder.gguf")), PONDER_STATUS_IO, "cannot create");
}

TEST_CASE("gguf_writer: replaces the file behind a link, and nothing that is no regular file") {
    const TemporaryFolder folder;
    const auto write_empty_model = [](const std::string& path) {
        auto writer = GgufWriter::create(path);
        REQUIRE(writer);
        REQUIRE(writer->write_header());
        REQUIRE(writer->finish());
    };
    write_empty_model(folder.path("m.gguf"));
    const auto old_size = std::filesystem::file_size(folder.path("m.gguf"));
    std::filesystem::resize_file(folder.path("m.gguf"), 1);
    std::filesystem::create_symlink("m.gguf", folder.path("link.gguf"));
    write_empty_model(folder.path("link.gguf"));
    CHECK(std::filesystem::is_symlink(folder.path("link.gguf")));
    CHECK(std::filesystem::file_size(folder.path("m.gguf")) == old_size);
    // Renaming over /dev/null, which root may do, would take it from every other program.
    REQUIRE(::mkfifo(folder.path("pipe").c_str(), 0600) == 0);
    refuses(GgufWriter::create(folder.path("pipe")), PONDER_STATUS_IO, "pipe: cannot be replaced: not a regular file");
    refuses(GgufWriter::create(folder.path("")), PONDER_STATUS_IO, "not a regular file");
    CHECK(std::filesystem::is_fifo(folder.path("pipe")));
    CHECK(files_in(folder) == 3);
}

TEST_CASE("gguf_writer: a full disk is a status and leaves nothing behind") {
    const TemporaryFolder folder;
    rlimit old_limit{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &old_limit) == 0);
    const rlimit small = {4096, old_limit.rlim_max};
    const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
    {
        auto writer = GgufWriter::create(folder.path("m.gguf"));
        REQUIRE(writer);
        REQUIRE(writer->add_tensor("w", 0, Dims{4096}));
        REQUIRE(writer->write_header());
        REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
        const auto written = writer->append(std::vector<std::byte>(16'384));
        ::setrlimit(RLIMIT_FSIZE, &old_limit);
        refuses(written, PONDER_STATUS_IO, "m.gguf: cannot write: File too large");
    }
    std::signal(SIGXFSZ, old_handler);
    CHECK(files_in(folder) == 0);
}

TEST_CASE("gguf_writer: refuses what no reader would take") {
    const TemporaryFolder folder;
    refuses(GgufWriter::create(folder.path("m.gguf"), 48), PONDER_STATUS_INVALID_ARGUMENT, "alignment 48");
    auto writer = GgufWriter::create(folder.path("m.gguf"));
    REQUIRE(writer);
    constexpr auto kInvalid = PONDER_STATUS_INVALID_ARGUMENT;
    refuses(writer->append(std::vector<std::byte>(1)), kInvalid, "no tensor waits");
    refuses(writer->finish(), kInvalid, "without a header");
    refuses(writer->add_tensor("", 0, Dims{4}), kInvalid, "a name is");
    refuses(writer->add_tensor("\xff", 0, Dims{4}), kInvalid, "a name is");
    refuses(writer->add_tensor(std::string(64, 'n'), 0, Dims{4}), kInvalid, "1 to 63 bytes");
    refuses(writer->add_tensor("w", 0, Dims{}), kInvalid, "0 dimensions");
    refuses(writer->add_tensor("w", 0, Dims{1, 1, 1, 1, 1}), kInvalid, "5 dimensions");
    refuses(writer->add_tensor("w", 0, Dims{0}), kInvalid, "dimension 0");
    refuses(writer->add_tensor("w", 0, Dims{1ll << 40, 1ll << 40}), kInvalid, "too large");
    refuses(writer->add_tensor("w", 4, Dims{32}), kInvalid, "type 4 is unknown");
    refuses(writer->add_tensor("w", 8, Dims{33}), kInvalid, "whole blocks of type Q8_0");
    REQUIRE(writer->add_tensor("w", 0, Dims{4}));
    refuses(writer->add_tensor("w", 0, Dims{4}), kInvalid, "added twice");
    writer->metadata().set("bad\xff", Value::from_u32(1));
    refuses(writer->write_header(), kInvalid, "'bad?'");
    writer->metadata().erase("bad\xff");
    REQUIRE(writer->write_header());
    refuses(writer->write_header(), kInvalid, "already written");
    refuses(writer->add_tensor("v", 0, Dims{4}), kInvalid, "after the header");
    refuses(writer->append(std::vector<std::byte>(17)), kInvalid, "17 bytes of data where 16 are missing");
    REQUIRE(writer->append(std::vector<std::byte>(16)));
    refuses(writer->append(std::vector<std::byte>(1)), kInvalid, "no tensor waits");
    CHECK(writer->finish());
}
