// SPDX-License-Identifier: Apache-2.0
// Conversions of whole files: every type, what stays bit for bit, and that a run which does not end well leaves nothing.
#include "runtime/convert.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "convert_fixture.hpp"
#include "runtime/session.hpp"
#include "runtime/synth.hpp"
#include "runtime/type_mix.hpp"

using namespace ponder;
using ponder_test::HandBuilt;
using ponder_test::mentions;
using ponder_test::TemporaryFolder;
using ponder_test::type_of;

namespace {

std::string make_model(const TemporaryFolder& folder, const std::string& shape, const std::string& type) {
    const std::string path = folder.path(shape + "-" + type + ".gguf");
    REQUIRE(synthesize(shape, path, {.type = type, .seed = 5}));
    return path;
}

ModelFile open(const std::string& path) {
    auto file = read_gguf(path);
    REQUIRE_MESSAGE(file, (file ? "" : file.error().message));
    return std::move(*file);
}

std::string bytes_of(const std::string& path) { return *read_file(path, size_t{1} << 30); }

size_t n_files(const TemporaryFolder& folder) {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder.path("")), {}));
}

std::vector<float> logits_of(const std::string& path) {
    const std::vector<int32_t> tokens = {3, 70, 500, 12, 99, 256, 301, 8};
    auto model = Model::open(path, {.n_threads = 1});
    REQUIRE_MESSAGE(model, (model ? "" : model.error().message));
    auto session = Session::create(*model, {.kv_type = PONDER_TYPE_F32});
    REQUIRE(session);
    std::vector<float> logits(tokens.size() * static_cast<size_t>((*model)->hyper_parameters().n_vocab));
    REQUIRE((*session)->evaluate(tokens, logits.data(), tokens.size(), {}));
    return logits;
}

// Relative error that the types of a mix may bring into the logits of the tiny models, whose rows of 64 take no K types.
double tolerance(const TypeMix& mix) {
    const std::string_view base = mix.base_type;
    if (base == "F32") return 0;
    if (base == "F16") return 1e-3;
    if (base == "BF16" || base == "Q8_0" || base == "Q6_K") return 2e-2;
    return 0.3;
}

}  // namespace

TEST_CASE("convert: every mix gives models whose logits stay near the source's") {
    for (const char* shape : {"tiny-llama", "tiny-qwen2", "tiny-qwen3"}) {
        const TemporaryFolder folder;
        const std::string source = make_model(folder, shape, "F32");
        const auto exact = logits_of(source);
        for (const TypeMix& mix : type_mixes()) {
            CAPTURE(shape);
            CAPTURE(mix.name);
            const std::string path = folder.path("out.gguf");
            const auto made = convert_file(source, path, {.type = mix.name, .n_threads = 2});
            REQUIRE_MESSAGE(made, (made ? "" : made.error().message));
            const ModelFile file = open(path);
            CHECK(**file.metadata.get_u32("general.file_type") == static_cast<uint32_t>(mix.file_type));
            CHECK(type_of(file, "blk.0.attn_norm.weight") == "F32");
            CHECK(made->written_bytes == file.data_bytes);
            CHECK(made->n_tensors == static_cast<int64_t>(file.tensors.size()));
            const double error = ponder_test::relative_error(exact, logits_of(path));
            CHECK(error <= tolerance(mix));
            CHECK((error > 0) == (std::string_view(mix.name) != "F32"));
        }
    }
}

TEST_CASE("convert: K types and others of super-blocks decode near the source") {
    HandBuilt built;
    const auto values = ponder_test::random_values(512 * 96, 1);
    built.key("general.architecture", "llama");
    built.key("llama.block_count", 1);
    built.add("blk.0.ffn_up.weight", {512, 96}, "F32", values);
    const TemporaryFolder folder;
    // Bits a weight decide: a normal variable's error at 2.6, 3.4, 4.5, 5.5, 6.6 bits.
    const std::pair<const char*, double> limits[] = {{"Q2_K", 0.32},  {"Q3_K_M", 0.18}, {"Q4_K_M", 0.09}, {"Q4_0", 0.1},   {"IQ4_NL", 0.09},
                                                     {"IQ4_XS", 0.1}, {"MXFP4", 0.13},  {"Q5_K_M", 0.05}, {"Q6_K", 0.025}, {"Q8_0", 0.008}};
    for (const auto& [type, limit] : limits) {
        CAPTURE(type);
        const ModelFile file = built.convert(folder.path("out.gguf"), {.type = type, .n_threads = 3});
        CHECK(type_of(file, "blk.0.ffn_up.weight") == (*find_type_mix(type))->base_type);
        CHECK(ponder_test::relative_error(values, ponder_test::values_of(*file.find("blk.0.ffn_up.weight"))) < limit);
    }
}

TEST_CASE("convert: a file whose types stay is copied bit for bit") {
    for (const char* type : {"F32", "F16", "Q8_0", "Q4_K_M"}) {
        CAPTURE(type);
        const TemporaryFolder folder;
        const std::string source = make_model(folder, "tiny-qwen3", type), path = folder.path("copy.gguf");
        const auto made = convert_file(source, path, {});
        REQUIRE(made);
        CHECK(made->n_copied == made->n_tensors);
        CHECK(bytes_of(path) == bytes_of(source));
        REQUIRE(convert_file(source, path, {.type = type}));
        CHECK(bytes_of(path) == bytes_of(source));
    }
}

TEST_CASE("convert: the number of threads does not change the file") {
    const TemporaryFolder folder;
    const std::string source = make_model(folder, "tiny-llama", "F32");
    REQUIRE(convert_file(source, folder.path("1.gguf"), {.type = "Q4_K_M", .n_threads = 1}));
    REQUIRE(convert_file(source, folder.path("5.gguf"), {.type = "q4_k_m", .n_threads = 5}));
    CHECK(bytes_of(folder.path("1.gguf")) == bytes_of(folder.path("5.gguf")));
    const auto made = convert_file(source, folder.path("5.gguf"), {.type = "Q4_K_M"});
    REQUIRE(made);
    CHECK(made->n_fallbacks == 15);  // all matrices: output is Q8_0 by rule, not for want of blocks
    CHECK(convert_file(source, folder.path("x.gguf"), {.n_threads = -1}).error().status == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(convert_file(source, folder.path("x.gguf"), {.type = "Q9"}).error().status == PONDER_STATUS_UNSUPPORTED);
    CHECK(convert_file(folder.path("none"), folder.path("x.gguf"), {}).error().status == PONDER_STATUS_IO);
}

TEST_CASE("convert: what is a number or a vector keeps out of a mix") {
    HandBuilt built;
    built.key("general.architecture", "deepseek2");
    built.key("deepseek2.block_count", 2);
    built.key("deepseek2.expert_count", 4);
    built.key("ponder.private", 1);
    built.key("other.kept", "text");
    const auto values = ponder_test::random_values(4096, 2);
    const auto some = [&](size_t n) { return std::vector<float>(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(n)); };
    built.add("blk.0.ffn_gate_inp.weight", {256, 4}, "BF16", some(1024));
    built.add("blk.0.exp_probs_b.bias", {4}, "F32", some(4));
    built.add("blk.1.nextn.eh_proj.weight", {256, 4}, "BF16", some(1024));
    built.add("blk.1.nextn.enorm.weight", {256}, "BF16", some(256));
    built.add("strange.table", {64, 2}, "F16", some(128));
    const int32_t ids[4] = {1, 2, 3, 4};
    built.add_bytes("blk.0.ffn_gate_tid2eid.weight", {2, 2}, "I32", std::as_bytes(std::span(ids)));
    const TemporaryFolder folder;
    const ModelFile file = built.convert(folder.path("out.gguf"), {.type = "Q4_K_M"});
    CHECK(type_of(file, "blk.0.ffn_gate_inp.weight") == "F32");
    CHECK(type_of(file, "blk.0.exp_probs_b.bias") == "F32");
    CHECK(type_of(file, "blk.1.nextn.eh_proj.weight") == "Q4_K");
    CHECK(type_of(file, "blk.1.nextn.enorm.weight") == "F32");
    CHECK(type_of(file, "strange.table") == "F16");
    CHECK(type_of(file, "blk.0.ffn_gate_tid2eid.weight") == "I32");
    CHECK(std::memcmp(file.find("blk.0.ffn_gate_tid2eid.weight")->data.data(), ids, sizeof ids) == 0);
    CHECK(file.metadata.find("ponder.private") == nullptr);
    CHECK(**file.metadata.get_string("other.kept") == "text");
    CHECK(**file.metadata.get_u32("general.quantization_version") == 2);
}

TEST_CASE("convert: split files become one") {
    const TemporaryFolder folder;
    ponder_test::GgufBytes parts[2];
    for (uint16_t i = 0; i < 2; ++i) {
        parts[i].header(1, 4).key_string("general.architecture", "llama").key_u16("split.no", i).key_u16("split.count", 2);
        parts[i].key_i32("split.tensors.count", 2).tensor(i == 0 ? "a.weight" : "b.weight", {32, 2}, 0, 0).pad();
        for (int j = 0; j < 64; ++j) parts[i].put(static_cast<float>(100 * i + j));
        folder.write("m-0000" + std::to_string(i + 1) + "-of-00002.gguf", parts[i]);
    }
    REQUIRE(convert_file(folder.path("m-00001-of-00002.gguf"), folder.path("out.gguf"), {.type = "F16"}));
    const ModelFile file = open(folder.path("out.gguf"));
    CHECK(file.metadata.find("split.count") == nullptr);
    CHECK(type_of(file, "b.weight") == "F16");
    CHECK(ponder_test::values_of(*file.find("b.weight"))[5] == 105.0f);
    for (const char* part : {"m-00001-of-00002.gguf", "m-00002-of-00002.gguf"}) {
        const auto refused = convert_file(folder.path("m-00001-of-00002.gguf"), folder.path(part), {.type = "F16"});
        REQUIRE_FALSE(refused);
        CHECK(refused.error().status == PONDER_STATUS_INVALID_ARGUMENT);
        CHECK(mentions(refused.error(), part));
    }
}

TEST_CASE("convert: progress rises to 1, and stopping anywhere leaves what was there before") {
    const TemporaryFolder folder;
    const std::string source = make_model(folder, "tiny-qwen2", "F32"), path = folder.path("out.gguf");
    std::vector<double> shares;
    REQUIRE(convert_file(source, path, {.type = "Q8_0", .on_progress = [&](double share) { return shares.push_back(share), true; }}));
    REQUIRE(shares.size() >= 50);
    CHECK(shares.back() == doctest::Approx(1.0));
    for (size_t i = 1; i < shares.size(); ++i) CHECK(shares[i] >= shares[i - 1]);
    const std::string before = bytes_of(path);
    // While writing, and while reading back.
    for (const double limit : {0.0, 0.4, 0.95}) {
        const auto stopped = convert_file(source, path, {.type = "Q4_0", .on_progress = [&](double share) { return share < limit; }});
        REQUIRE_FALSE(stopped);
        CHECK(stopped.error().status == PONDER_STATUS_CANCELLED);
        CHECK(bytes_of(path) == before);
        CHECK(n_files(folder) == 2);
    }
}

TEST_CASE("convert: a write that fails leaves nothing and says why") {
    const TemporaryFolder folder;
    const std::string source = make_model(folder, "tiny-llama", "F32");
    rlimit before{};
    REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit small = {100'000, before.rlim_max};
    REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
    const auto failed = convert_file(source, folder.path("out.gguf"), {.type = "F32"});
    setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().status == PONDER_STATUS_IO);
    CHECK(mentions(failed.error(), "cannot write"));
    CHECK(n_files(folder) == 1);
    CHECK(convert_file(source, "/dev/full", {}).error().status == PONDER_STATUS_IO);
    CHECK(convert_file(source, folder.path("no/such/folder.gguf"), {}).error().status == PONDER_STATUS_IO);
    const auto same = convert_file(source, source, {.type = "Q8_0"});
    REQUIRE_FALSE(same);
    CHECK(same.error().status == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(open(source).tensors.size() == 21);
}

TEST_CASE("convert: bytes that change on the disk are noticed before the file gets its name") {
    const TemporaryFolder folder;
    const std::string source = make_model(folder, "tiny-llama", "F32");
    // At the first look at reading back, a byte in the middle of the file is flipped behind the library's back.
    bool is_damaged = false;
    const auto damage = [&](double share) {
        if (share < 0.9 || is_damaged) return true;
        for (const auto& entry : std::filesystem::directory_iterator(folder.path(""))) {
            if (entry.path().string().find(".tmp-") == std::string::npos) continue;
            std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
            file.seekp(-1000, std::ios::end);
            file.put('\x55');
            is_damaged = true;
        }
        return true;
    };
    const auto made = convert_file(source, folder.path("out.gguf"), {.type = "Q8_0", .on_progress = damage});
    CHECK(is_damaged);
    REQUIRE_FALSE(made);
    CHECK(made.error().status == PONDER_STATUS_IO);
    CHECK(mentions(made.error(), "reads back differently"));
    CHECK(n_files(folder) == 1);
}
