// SPDX-License-Identifier: Apache-2.0
// Gives a synthetic model the tokenizer of a tokenizer.json, whose special tokens are found by their names.
#include <initializer_list>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "base/limits.hpp"
#include "base/mapped_file.hpp"
#include "runtime/synth_vocabulary.hpp"
#include "text/tokenizer_keys.hpp"

namespace ponder::synth {

Result<void> set_tokenizer(const std::string& path, const VocabularyFamily& family, int32_t n_vocab, Metadata& metadata) {
    const auto text = read_file(path, limits::kMaxTokenizerFileBytes);
    if (!text) return text.error();
    if (auto set = set_tokenizer_keys(*text, {}, n_vocab, metadata); !set) return with_context(set.error(), path);

    std::unordered_map<std::string_view, uint32_t> controls;
    const auto tokens = metadata.get_strings("tokenizer.ggml.tokens");
    const auto kinds = metadata.get_integers("tokenizer.ggml.token_type");
    for (size_t i = 0; i < (*tokens)->size(); ++i) {
        if ((*kinds)->int64_at(i) == static_cast<int64_t>(TokenKind::kControl)) controls.emplace((**tokens)[i], static_cast<uint32_t>(i));
    }
    const auto first_of = [&](std::initializer_list<std::string_view> names) -> std::optional<uint32_t> {
        for (const std::string_view name : names) {
            if (const auto it = controls.find(name); it != controls.end()) return it->second;
        }
        return std::nullopt;
    };
    const auto bos = first_of({"<｜begin▁of▁sentence｜>", "<|begin_of_text|>", "<s>"});
    const auto eos = first_of({"<｜end▁of▁sentence｜>", "<|im_end|>", "<|eot_id|>", "<|end_of_text|>", "<|endoftext|>", "</s>"});
    auto pad = first_of({"<｜▁pad▁｜>", "<|endoftext|>"});
    if (!pad) pad = eos;
    // The texts above are views of the metadata, which is changed from here on.
    if (bos) metadata.set("tokenizer.ggml.bos_token_id", Value::from_u32(*bos));
    if (eos) metadata.set("tokenizer.ggml.eos_token_id", Value::from_u32(*eos));
    if (pad) metadata.set("tokenizer.ggml.padding_token_id", Value::from_u32(*pad));
    metadata.set("tokenizer.ggml.add_bos_token", Value::from_bool(family.add_bos && bos.has_value()));
    set_chat_template(metadata);
    return {};
}

}  // namespace ponder::synth
