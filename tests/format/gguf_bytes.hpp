// SPDX-License-Identifier: Apache-2.0
// Builds GGUF files byte by byte, so that a test can lie in any field.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ponder_test {

class GgufBytes {
  public:
    template <class T>
    GgufBytes& put(T value) {
        const auto* from = reinterpret_cast<const std::byte*>(&value);
        bytes_.insert(bytes_.end(), from, from + sizeof value);
        return *this;
    }

    GgufBytes& raw(std::string_view text) {
        const auto* from = reinterpret_cast<const std::byte*>(text.data());
        bytes_.insert(bytes_.end(), from, from + text.size());
        return *this;
    }

    // `length` may differ from the text's.
    GgufBytes& string(std::string_view text, uint64_t length) { return put(length).raw(text); }
    GgufBytes& string(std::string_view text) { return string(text, text.size()); }

    GgufBytes& header(uint64_t n_tensors, uint64_t n_keys, uint32_t version = 3) {
        return raw("GGUF").put(version).put(n_tensors).put(n_keys);
    }

    // A key and the type of the value that must follow.
    GgufBytes& key(std::string_view name, int32_t type) { return string(name).put(type); }
    GgufBytes& key_u16(std::string_view name, uint16_t value) { return key(name, 2).put(value); }
    GgufBytes& key_u32(std::string_view name, uint32_t value) { return key(name, 4).put(value); }
    GgufBytes& key_i32(std::string_view name, int32_t value) { return key(name, 5).put(value); }
    GgufBytes& key_f32(std::string_view name, float value) { return key(name, 6).put(value); }
    GgufBytes& key_bool(std::string_view name, uint8_t value) { return key(name, 7).put(value); }
    GgufBytes& key_string(std::string_view name, std::string_view value) { return key(name, 8).string(value); }
    // An array's head; the elements must follow.
    GgufBytes& key_array(std::string_view name, int32_t element_type, uint64_t count) { return key(name, 9).put(element_type).put(count); }
    GgufBytes& key_strings(std::string_view name, std::initializer_list<std::string_view> values) {
        key_array(name, 8, values.size());
        for (const std::string_view value : values) string(value);
        return *this;
    }

    GgufBytes& tensor(std::string_view name, std::initializer_list<int64_t> dims, int32_t type, uint64_t offset) {
        string(name).put(static_cast<uint32_t>(dims.size()));
        for (const int64_t dim : dims) put(dim);
        return put(type).put(offset);
    }

    GgufBytes& pad(size_t alignment = 32) { return zeros((alignment - bytes_.size() % alignment) % alignment); }
    GgufBytes& zeros(size_t n) {
        bytes_.resize(bytes_.size() + n);
        return *this;
    }

    const std::vector<std::byte>& bytes() const { return bytes_; }
    operator std::span<const std::byte>() const { return bytes_; }

  private:
    std::vector<std::byte> bytes_;
};

// A folder that goes away with the object.
class TemporaryFolder {
  public:
    TemporaryFolder() {
        std::string name = (std::filesystem::temp_directory_path() / "ponder-test-XXXXXX").string();
        path_ = ::mkdtemp(name.data()) == nullptr ? std::string() : name;
    }
    ~TemporaryFolder() {
        std::error_code ignored;
        if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    std::string path(std::string_view name) const { return path_ + "/" + std::string(name); }

    std::string write(std::string_view name, std::span<const std::byte> bytes) const {
        std::ofstream file(path(name), std::ios::binary | std::ios::trunc);
        file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
        return path(name);
    }

  private:
    std::string path_;
};

// Two tensors (F32 [4, 2] and Q8_0 [32]), every kind of value; what most lies start from.
inline GgufBytes small_model(uint32_t version = 3, uint32_t alignment = 32) {
    GgufBytes file;
    file.header(2, 17, version);
    file.key_string("general.architecture", "llama").key_u32("general.alignment", alignment);
    file.key("t.u8", 0).put<uint8_t>(200).key("t.i8", 1).put<int8_t>(-5).key_u16("t.u16", 60000).key("t.i16", 3).put<int16_t>(-300);
    file.key_u32("llama.block_count", 1).key_i32("t.i32", -70000).key_f32("t.f32", 1.5f).key_bool("t.bool", 1);
    file.key("t.u64", 10).put<uint64_t>(1ull << 63).key("t.i64", 11).put<int64_t>(-(1ll << 40)).key("t.f64", 12).put(-2.25);
    file.key_strings("tokenizer.ggml.tokens", {"a", "", "\xff\xfe", "long token"});
    file.key_array("tokenizer.ggml.scores", 6, 3).put(0.5f).put(-1.0f).put(2.0f);
    file.key_array("t.i32s", 5, 2).put<int32_t>(-1).put<int32_t>(7).key_array("t.bools", 7, 2).put<uint8_t>(0).put<uint8_t>(1);
    file.tensor("blk.0.attn_q.weight", {4, 2}, 0, 0).tensor("output.weight", {32}, 8, alignment);
    file.pad(alignment).zeros(alignment);
    for (uint8_t i = 0; i < 34; ++i) file.put(i);
    return file.pad(alignment);
}

}  // namespace ponder_test
