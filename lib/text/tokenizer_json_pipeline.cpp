// SPDX-License-Identifier: Apache-2.0
// Reading the components around the model; whatever is not known is refused by name rather than passed over.
#include "text/tokenizer_json_pipeline.hpp"

#include "base/utf8.hpp"

namespace ponder {

namespace {

using Json = nlohmann::json;

constexpr std::string_view kSpaceMark = "\u2581";
constexpr int kMaxNesting = 8;  // of Sequence components

Error unsupported(const char* where, const std::string& what) {
    return make_error(PONDER_STATUS_UNSUPPORTED, "tokenizer.json: %s '%s' is not supported", where, printable(what).c_str());
}

// Null and absent alike.
const Json* field(const Json& object, const char* key) {
    if (!object.is_object()) return nullptr;
    const auto found = object.find(key);
    return found == object.end() || found->is_null() ? nullptr : &*found;
}

Result<std::string> type_of(const Json& component) { return json_string(component, "type", ""); }

// The pattern of a Split or Replace: its text, and whether it is a regular expression.
struct JsonPattern {
    std::string text;
    bool is_regex = false;
};

Result<JsonPattern> read_pattern(const Json& component) {
    const Json* pattern = field(component, "pattern");
    if (pattern != nullptr) {
        for (const char* kind : {"String", "Regex"}) {
            const Json* text = field(*pattern, kind);
            if (text != nullptr && text->is_string()) return JsonPattern{text->get<std::string>(), kind[0] == 'R'};
        }
    }
    return make_error(PONDER_STATUS_FORMAT, "tokenizer.json: a component's pattern is neither a String nor a Regex");
}

// Calls visit(component) for a component, or for those of a Sequence in order.
template <class Visit>
Result<void> for_each_component(const Json& component, const char* list_key, int depth, Visit visit) {
    const auto type = type_of(component);
    if (!type) return type.error();
    if (*type != "Sequence") return visit(component, *type);
    const Json* list = field(component, list_key);
    if (list == nullptr || !list->is_array())
        return make_error(PONDER_STATUS_FORMAT, "tokenizer.json: a Sequence has no list '%s'", list_key);
    if (depth == kMaxNesting) return make_error(PONDER_STATUS_LIMIT, "tokenizer.json: Sequences are nested more than %d deep", kMaxNesting);
    for (const Json& item : *list) {
        if (auto visited = for_each_component(item, list_key, depth + 1, visit); !visited) return visited;
    }
    return {};
}

class PipelineReader {
  public:
    PipelineReader(const Json& root, TokenizerParts& parts, std::string& bos_text) : root_(root), parts_(parts), bos_text_(bos_text) {}

    Result<void> read();

  private:
    Result<void> read_normalizer(const Json& component, const std::string& type);
    Result<void> read_replace(const Json& component);
    Result<void> read_pretokenizer(const Json& component, const std::string& type);
    Result<void> read_split(const Json& component);
    Result<void> read_byte_level(const Json& component);
    Result<void> read_metaspace(const Json& component);
    Result<void> read_decoder(const Json& component, const std::string& type);
    Result<void> read_post_processor(const Json& component, const std::string& type);
    Result<void> add_split(std::string_view pattern, bool is_regex, SplitBehavior behavior, bool is_inverted);

    const Json& root_;
    TokenizerParts& parts_;
    std::string& bos_text_;
    bool has_byte_level_ = false, marks_spaces_ = false;
    bool decodes_bytes_ = false, decodes_marks_ = false;
};

Result<void> PipelineReader::read_replace(const Json& component) {
    const auto pattern = read_pattern(component);
    if (!pattern) return pattern.error();
    const auto content = json_string(component, "content", "");
    if (!content) return content.error();
    if (pattern->is_regex || pattern->text != " " || *content != kSpaceMark) return unsupported("normalizer Replace of", pattern->text);
    marks_spaces_ = true;
    return {};
}

Result<void> PipelineReader::read_normalizer(const Json& component, const std::string& type) {
    if (type == "NFC") {
        parts_.uses_nfc = true;
        return {};
    }
    if (type == "Replace") return read_replace(component);
    if (type != "Prepend") return unsupported("normalizer", type);
    const auto prefix = json_string(component, "prepend", "");
    if (!prefix) return prefix.error();
    if (*prefix != kSpaceMark) return unsupported("normalizer Prepend of", *prefix);
    parts_.space_prefix = SpacePrefix::kAlways;
    return {};
}

Result<void> PipelineReader::add_split(std::string_view pattern, bool is_regex, SplitBehavior behavior, bool is_inverted) {
    auto compiled = compile_split_pattern(pattern, is_regex ? Pattern::Syntax::kRegex : Pattern::Syntax::kLiteral);
    if (!compiled) return with_context(compiled.error(), "tokenizer.json");
    return parts_.pretokenizer.add_stage({std::move(*compiled), behavior, is_inverted});
}

Result<void> PipelineReader::read_split(const Json& component) {
    static constexpr struct {
        const char* name;
        SplitBehavior behavior;
    } kBehaviors[] = {{"Isolated", SplitBehavior::kIsolated},
                      {"Removed", SplitBehavior::kRemoved},
                      {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
                      {"MergedWithNext", SplitBehavior::kMergedWithNext},
                      {"Contiguous", SplitBehavior::kContiguous}};
    const auto pattern = read_pattern(component);
    if (!pattern) return pattern.error();
    const auto name = json_string(component, "behavior", "");
    if (!name) return name.error();
    const auto is_inverted = json_bool(component, "invert", false);
    if (!is_inverted) return is_inverted.error();
    for (const auto& row : kBehaviors) {
        if (*name == row.name) return add_split(pattern->text, pattern->is_regex, row.behavior, *is_inverted);
    }
    return unsupported("Split behavior", *name);
}

Result<void> PipelineReader::read_byte_level(const Json& component) {
    const auto uses_regex = json_bool(component, "use_regex", true);
    if (!uses_regex) return uses_regex.error();
    const auto adds_prefix = json_bool(component, "add_prefix_space", true);
    if (!adds_prefix) return adds_prefix.error();
    // Each piece would get a space of its own.
    if (*adds_prefix && !parts_.pretokenizer.empty()) return unsupported("pre_tokenizer", "ByteLevel with add_prefix_space after a split");
    has_byte_level_ = true;
    parts_.symbols = SymbolKind::kBytes;
    if (*adds_prefix) parts_.space_prefix = SpacePrefix::kUnlessSpace;
    return *uses_regex ? add_split(kGpt2Pattern, true, SplitBehavior::kIsolated, false) : Result<void>();
}

Result<void> PipelineReader::read_metaspace(const Json& component) {
    const auto mark = json_string(component, "replacement", "");
    if (!mark) return mark.error();
    if (*mark != kSpaceMark) return unsupported("Metaspace replacement", *mark);
    const auto adds_prefix = json_bool(component, "add_prefix_space", true);
    if (!adds_prefix) return adds_prefix.error();
    const auto scheme = json_string(component, "prepend_scheme", *adds_prefix ? "always" : "never");
    if (!scheme) return scheme.error();
    const auto splits = json_bool(component, "split", true);
    if (!splits) return splits.error();
    if (*scheme != "always" && *scheme != "never") return unsupported("Metaspace prepend_scheme", *scheme);
    marks_spaces_ = true;
    if (*scheme == "always") parts_.space_prefix = SpacePrefix::kUnlessSpace;
    return *splits ? add_split(" ", false, SplitBehavior::kMergedWithNext, false) : Result<void>();
}

Result<void> PipelineReader::read_pretokenizer(const Json& component, const std::string& type) {
    if (has_byte_level_ || marks_spaces_) return unsupported("pre_tokenizer after the last step", type);
    if (type == "Split") return read_split(component);
    if (type == "ByteLevel") return read_byte_level(component);
    if (type == "Metaspace") return read_metaspace(component);
    if (type == "WhitespaceSplit") return add_split("\\s", true, SplitBehavior::kRemoved, false);
    if (type == "Punctuation") return add_split("[!-/:-@\\[-`{-~\\p{P}]", true, SplitBehavior::kIsolated, false);
    if (type != "Digits") return unsupported("pre_tokenizer", type);
    const auto is_individual = json_bool(component, "individual_digits", false);
    if (!is_individual) return is_individual.error();
    return add_split(*is_individual ? "\\p{N}" : "\\p{N}+", true, SplitBehavior::kIsolated, false);
}

Result<void> PipelineReader::read_decoder(const Json& component, const std::string& type) {
    if (type == "ByteLevel") {
        decodes_bytes_ = true;
        return {};
    }
    if (type == "ByteFallback" || type == "Fuse") return {};
    if (type == "Metaspace" || type == "Replace") {
        decodes_marks_ = true;
        if (type == "Metaspace") {
            const auto scheme = json_string(component, "prepend_scheme", "always");
            if (!scheme) return scheme.error();
            parts_.strips_space_prefix = *scheme != "never";
            return {};
        }
        const auto pattern = read_pattern(component);
        if (!pattern) return pattern.error();
        const auto content = json_string(component, "content", "");
        if (!content) return content.error();
        return pattern->is_regex || pattern->text != kSpaceMark || *content != " " ? unsupported("decoder Replace of", pattern->text)
                                                                                   : Result<void>();
    }
    if (type != "Strip") return unsupported("decoder", type);
    const auto content = json_string(component, "content", "");
    if (!content) return content.error();
    const Json* n_begin = field(component, "start");
    const Json* n_end = field(component, "stop");
    if (*content != " " || n_begin == nullptr || *n_begin != 1 || (n_end != nullptr && *n_end != 0)) {
        return unsupported("decoder Strip of", *content);
    }
    parts_.strips_space_prefix = true;
    return {};
}

Result<void> PipelineReader::read_post_processor(const Json& component, const std::string& type) {
    if (type == "ByteLevel") return {};  // trims offsets only
    if (type != "TemplateProcessing") return unsupported("post_processor", type);
    const Json* single = field(component, "single");
    if (single == nullptr || !single->is_array() || single->empty()) return {};
    const Json* special = field(single->front(), "SpecialToken");
    if (special == nullptr) return {};
    auto text = json_string(*special, "id", "");
    if (!text) return text.error();
    bos_text_ = std::move(*text);
    return {};
}

Result<void> PipelineReader::read() {
    parts_.symbols = SymbolKind::kCharacters;
    if (const Json* normalizer = field(root_, "normalizer")) {
        auto read = for_each_component(*normalizer, "normalizers", 0,
                                       [&](const Json& item, const std::string& type) { return read_normalizer(item, type); });
        if (!read) return read;
    }
    const bool has_marks = marks_spaces_;
    marks_spaces_ = false;
    if (const Json* pretokenizer = field(root_, "pre_tokenizer")) {
        auto read = for_each_component(*pretokenizer, "pretokenizers", 0,
                                       [&](const Json& item, const std::string& type) { return read_pretokenizer(item, type); });
        if (!read) return read;
    }
    marks_spaces_ |= has_marks;
    if (const Json* decoder = field(root_, "decoder")) {
        auto read = for_each_component(*decoder, "decoders", 0,
                                       [&](const Json& item, const std::string& type) { return read_decoder(item, type); });
        if (!read) return read;
    }
    if (const Json* post_processor = field(root_, "post_processor")) {
        auto read = for_each_component(*post_processor, "processors", 0,
                                       [&](const Json& item, const std::string& type) { return read_post_processor(item, type); });
        if (!read) return read;
    }
    if (has_byte_level_ != decodes_bytes_ || marks_spaces_ != decodes_marks_ || has_byte_level_ == marks_spaces_) {
        return make_error(PONDER_STATUS_UNSUPPORTED,
                          "tokenizer.json: tokens must be byte-level, or mark spaces by U+2581, in pre-tokenizing and decoding alike");
    }
    return {};
}

}  // namespace

Result<bool> json_bool(const Json& object, const char* key, bool default_value) {
    const Json* value = field(object, key);
    if (value == nullptr) return default_value;
    if (!value->is_boolean()) return make_error(PONDER_STATUS_FORMAT, "tokenizer.json: '%s' is not true or false", key);
    return value->get<bool>();
}

Result<std::string> json_string(const Json& object, const char* key, const char* default_value) {
    const Json* value = field(object, key);
    if (value == nullptr) return std::string(default_value);
    if (!value->is_string()) return make_error(PONDER_STATUS_FORMAT, "tokenizer.json: '%s' is not a string", key);
    return value->get<std::string>();
}

Result<void> read_json_pipeline(const Json& root, TokenizerParts& parts, std::string& bos_text) {
    return PipelineReader(root, parts, bos_text).read();
}

}  // namespace ponder
