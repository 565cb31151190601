// SPDX-License-Identifier: Apache-2.0
// The families' special tokens, the made-up vocabulary, and the chat template that goes with them.
#include "runtime/synth_vocabulary.hpp"

#include <string_view>
#include <unordered_set>

#include "base/utf8.hpp"
#include "text/unicode.hpp"

namespace ponder::synth {
namespace {

constexpr TokenKind kControl = TokenKind::kControl, kUserDefined = TokenKind::kUserDefined;

// Published ids and names. Tokens that look special are stored as control tokens, the others as user-defined ones, as converters do.
constexpr SpecialToken kR1QwenSpecials[] = {
    {151643, "<｜end▁of▁sentence｜>", kControl},
    {151644, "<｜User｜>", kControl},
    {151645, "<｜Assistant｜>", kControl},
    {151646, "<｜begin▁of▁sentence｜>", kControl},
    {151647, "<|EOT|>", kControl},
    {151648, "<think>", kUserDefined},
    {151649, "</think>", kUserDefined},
    {151650, "<|quad_start|>", kControl},
    {151651, "<|quad_end|>", kControl},
    {151652, "<|vision_start|>", kControl},
    {151653, "<|vision_end|>", kControl},
    {151654, "<|vision_pad|>", kControl},
    {151655, "<|image_pad|>", kControl},
    {151656, "<|video_pad|>", kControl},
    {151657, "<tool_call>", kUserDefined},
    {151658, "</tool_call>", kUserDefined},
    {151659, "<|fim_prefix|>", kControl},
    {151660, "<|fim_middle|>", kControl},
    {151661, "<|fim_suffix|>", kControl},
    {151662, "<|fim_pad|>", kControl},
    {151663, "<|repo_name|>", kControl},
    {151664, "<|file_sep|>", kControl},
};

constexpr SpecialToken kR1LlamaSpecials[] = {
    {128000, "<｜begin▁of▁sentence｜>", kControl},
    {128001, "<｜end▁of▁sentence｜>", kControl},
    {128004, "<|finetune_right_pad_id|>", kControl},
    {128006, "<|start_header_id|>", kControl},
    {128007, "<|end_header_id|>", kControl},
    {128008, "<|eom_id|>", kControl},
    {128009, "<|eot_id|>", kControl},
    {128010, "<|python_tag|>", kControl},
    {128011, "<｜User｜>", kControl},
    {128012, "<｜Assistant｜>", kControl},
    {128013, "<think>", kUserDefined},
    {128014, "</think>", kUserDefined},
    {128015, "<｜▁pad▁｜>", kControl},
};

// The ids of the role markers are not published; these are the first two after Qwen3's own tokens.
constexpr SpecialToken kR1Qwen3Specials[] = {
    {151643, "<｜begin▁of▁sentence｜>", kControl},
    {151644, "<|im_start|>", kControl},
    {151645, "<｜end▁of▁sentence｜>", kControl},
    {151657, "<tool_call>", kUserDefined},
    {151658, "</tool_call>", kUserDefined},
    {151665, "<tool_response>", kUserDefined},
    {151666, "</tool_response>", kUserDefined},
    {151667, "<think>", kUserDefined},
    {151668, "</think>", kUserDefined},
    {151669, "<｜User｜>", kControl},
    {151670, "<｜Assistant｜>", kControl},
};

constexpr SpecialToken kDeepSeekV3Specials[] = {
    {0, "<｜begin▁of▁sentence｜>", kControl},
    {1, "<｜end▁of▁sentence｜>", kControl},
    {2, "<｜▁pad▁｜>", kControl},
    {128798, "<think>", kUserDefined},
    {128799, "</think>", kUserDefined},
    {128800, "<｜fim▁hole｜>", kControl},
    {128801, "<｜fim▁begin｜>", kControl},
    {128802, "<｜fim▁end｜>", kControl},
    {128803, "<｜User｜>", kControl},
    {128804, "<｜Assistant｜>", kControl},
    {128805, "<|EOT|>", kControl},
    {128806, "<｜tool▁calls▁begin｜>", kControl},
    {128807, "<｜tool▁calls▁end｜>", kControl},
    {128808, "<｜tool▁call▁begin｜>", kControl},
    {128809, "<｜tool▁call▁end｜>", kControl},
    {128810, "<｜tool▁outputs▁begin｜>", kControl},
    {128811, "<｜tool▁outputs▁end｜>", kControl},
    {128812, "<｜tool▁output▁begin｜>", kControl},
    {128813, "<｜tool▁output▁end｜>", kControl},
    {128814, "<｜tool▁sep｜>", kControl},
};

// V2 does not think: the markers of R1's chat format are put behind its own first two.
constexpr SpecialToken kDeepSeekV2Specials[] = {
    {100000, "<｜begin▁of▁sentence｜>", kControl}, {100001, "<｜end▁of▁sentence｜>", kControl}, {100006, "<｜User｜>", kControl},
    {100007, "<｜Assistant｜>", kControl},         {100018, "<think>", kUserDefined},           {100019, "</think>", kUserDefined},
};

constexpr SpecialToken kTinySpecials[] = {
    {600, "<｜end▁of▁sentence｜>", kControl},
    {601, "<｜User｜>", kControl},
    {602, "<｜Assistant｜>", kControl},
    {603, "<｜begin▁of▁sentence｜>", kControl},
    {604, "<|EOT|>", kControl},
    {605, "<think>", kUserDefined},
    {606, "</think>", kUserDefined},
    {607, "<｜▁pad▁｜>", kControl},
};

// After the pairs of letters; each grows from the longest token that it begins with.
constexpr const char* kWords[] = {
    "th",    "ch",   "sh",   "st",   "nd",    "nt",      "ng",     "ll",    "ss",      "ee",     "oo",     "ou",     "ea",    "ai",
    "ld",    "gh",   "the",  "ing",  "ion",   "tion",    "ent",    "est",   "and",     "ere",    "ould",   "ight",   " the",  " and",
    " to",   " of",  " in",  " is",  " it",   " that",   " on",    " be",   " are",    " as",    " we",    " so",    " with", " have",
    " this", " not", " you", " can", " will", " number", " first", " then", " answer", " think", " would", " there", " what", " which",
    " one",  " two", " let", " me",  " step", " now",    " if",    " but",  " know",   "  ",     "    ",   "\n\n"};

constexpr std::string_view kChatTemplate =
    "{%- if add_generation_prompt is not defined -%}{%- set add_generation_prompt = false -%}{%- endif -%}"
    "{{- bos_token -}}"
    "{%- for turn in messages -%}"
    "{%- set said = turn['content'] or '' -%}"
    "{%- if turn['role'] == 'system' -%}{{- said -}}"
    "{%- elif turn['role'] == 'user' -%}{{- '<｜User｜>' + said -}}"
    "{%- elif turn['role'] == 'assistant' -%}"
    "{%- if '</think>' in said -%}{%- set said = said.split('</think>')[-1] -%}{%- endif -%}"
    "{{- '<｜Assistant｜>' + said + '<｜end▁of▁sentence｜>' -}}"
    "{%- else -%}{{- raise_exception('this template knows the roles system, user and assistant') -}}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<｜Assistant｜><think>\\n' -}}{%- endif -%}";

bool is_printable(int byte) { return byte_to_printable(static_cast<uint8_t>(byte)) == static_cast<uint32_t>(byte); }

// The byte-level alphabet of GPT-2, [256] letters in UTF-8.
std::vector<std::string> byte_alphabet() {
    std::vector<std::string> letters(256);
    for (size_t byte = 0; byte < letters.size(); ++byte) append_utf8(letters[byte], byte_to_printable(static_cast<uint8_t>(byte)));
    return letters;
}

class VocabularyBuilder {
  public:
    VocabularyBuilder(Vocabulary& out, std::span<const SpecialToken> first) : out_(out), letters_(byte_alphabet()) {
        for (const SpecialToken& special : first) add_token(special.text, special.kind);
        // By code point, as real vocabularies have them.
        for (const bool printable : {true, false}) {
            for (int byte = 0; byte < 256; ++byte) {
                if (is_printable(byte) == printable) add_token(letters_[static_cast<size_t>(byte)]);
            }
        }
    }

    std::string encode(std::string_view text) const {
        std::string encoded;
        for (const char c : text) encoded += letters_[static_cast<uint8_t>(c)];
        return encoded;
    }

    // Makes `text` a token: merges known pieces from its left end, each intermediate result being a token too.
    void add_merged(std::string_view text) {
        size_t n_done = longest_known(text);
        while (n_done < text.size()) {
            const size_t n = longest_known(text.substr(n_done));
            const std::string left = encode(text.substr(0, n_done)), right = encode(text.substr(n_done, n));
            add_token(left + right);
            out_.merges.push_back(std::string(left).append(" ").append(right));
            n_done += n;
        }
    }

    void add_token(std::string text, TokenKind kind = TokenKind::kNormal) {
        known_.insert(text);
        out_.tokens.push_back(std::move(text));
        out_.kinds.push_back(static_cast<int32_t>(kind));
    }

  private:
    // Bytes of the longest token that begins a text that is not empty; at least 1.
    size_t longest_known(std::string_view text) const {
        size_t n = text.size();
        while (n > 1 && known_.count(encode(text.substr(0, n))) == 0) --n;
        return n;
    }

    Vocabulary& out_;
    std::vector<std::string> letters_;
    std::unordered_set<std::string> known_;
};

}  // namespace

const VocabularyFamily kR1QwenVocabulary = {"deepseek-r1-qwen", 151643, kR1QwenSpecials, 151646, 151643, 151643, true};
const VocabularyFamily kR1LlamaVocabulary = {"llama-bpe", 128000, kR1LlamaSpecials, 128000, 128001, 128015, true};
const VocabularyFamily kR1Qwen3Vocabulary = {"qwen2", 151643, kR1Qwen3Specials, 151643, 151645, 151645, false};
const VocabularyFamily kDeepSeekV3Vocabulary = {"deepseek-v3", 128000, kDeepSeekV3Specials, 0, 1, 1, true};
const VocabularyFamily kDeepSeekV2Vocabulary = {"deepseek-llm", 100000, kDeepSeekV2Specials, 100000, 100001, 100001, true};
const VocabularyFamily kTinyQwenVocabulary = {"deepseek-r1-qwen", 600, kTinySpecials, 603, 600, 607, true};
const VocabularyFamily kTinyLlamaVocabulary = {"llama-bpe", 600, kTinySpecials, 603, 600, 607, true};
const VocabularyFamily kTinyDeepSeekVocabulary = {"deepseek-v3", 600, kTinySpecials, 603, 600, 607, true};

Vocabulary make_up_vocabulary(const VocabularyFamily& family, int32_t n_vocab) {
    constexpr std::string_view kVowels = "aeiou", kLetters = "etaoinshrdlucmfwygpbvkxqjz";
    Vocabulary vocabulary;
    size_t n_first = 0;
    while (n_first < family.specials.size() && family.specials[n_first].id == static_cast<int32_t>(n_first)) ++n_first;
    VocabularyBuilder builder(vocabulary, family.specials.first(n_first));
    for (const char letter : kLetters) builder.add_merged(std::string{' ', letter});
    for (const char vowel : kVowels) {
        for (const char letter : kLetters) {
            if (kVowels.find(letter) != std::string_view::npos) continue;
            builder.add_merged(std::string{letter, vowel});
            builder.add_merged(std::string{vowel, letter});
        }
    }
    for (const char* word : kWords) builder.add_merged(word);
    while (static_cast<int32_t>(vocabulary.tokens.size()) < family.n_base) {
        builder.add_token(builder.encode(" w" + std::to_string(vocabulary.tokens.size())));
    }
    for (const SpecialToken& special : family.specials.subspan(n_first)) {
        while (static_cast<int32_t>(vocabulary.tokens.size()) < special.id) {
            builder.add_token("[PAD" + std::to_string(vocabulary.tokens.size()) + "]", TokenKind::kUnused);
        }
        builder.add_token(special.text, special.kind);
    }
    while (static_cast<int32_t>(vocabulary.tokens.size()) < n_vocab) {
        builder.add_token("[PAD" + std::to_string(vocabulary.tokens.size()) + "]", TokenKind::kUnused);
    }
    vocabulary.bos_id = family.bos_id;
    vocabulary.eos_id = family.eos_id;
    vocabulary.pad_id = family.pad_id;
    vocabulary.add_bos = family.add_bos;
    return vocabulary;
}

void set_chat_template(Metadata& metadata) { metadata.set("tokenizer.chat_template", Value::from_string(kChatTemplate)); }

void set_vocabulary(const Vocabulary& vocabulary, const VocabularyFamily& family, Metadata& metadata) {
    const auto set_strings = [&](const char* key, const std::vector<std::string>& strings) {
        metadata.set(key, Value::from_strings(std::vector<std::string_view>(strings.begin(), strings.end())));
    };
    const auto set_id = [&](const char* key, std::optional<int32_t> id) {
        if (id) metadata.set(key, Value::from_u32(static_cast<uint32_t>(*id)));
    };
    metadata.set("tokenizer.ggml.model", Value::from_string("gpt2"));
    metadata.set("tokenizer.ggml.pre", Value::from_string(family.pre));
    set_strings("tokenizer.ggml.tokens", vocabulary.tokens);
    metadata.set("tokenizer.ggml.token_type", Value::from_array<int32_t>(vocabulary.kinds));
    set_strings("tokenizer.ggml.merges", vocabulary.merges);
    set_id("tokenizer.ggml.bos_token_id", vocabulary.bos_id);
    set_id("tokenizer.ggml.eos_token_id", vocabulary.eos_id);
    set_id("tokenizer.ggml.padding_token_id", vocabulary.pad_id);
    metadata.set("tokenizer.ggml.add_bos_token", Value::from_bool(vocabulary.add_bos));
    metadata.set("tokenizer.ggml.add_eos_token", Value::from_bool(false));
    set_chat_template(metadata);
}

}  // namespace ponder::synth
