// SPDX-License-Identifier: Apache-2.0
// The SAX handler behind read_tokenizer_json.
#include "text/tokenizer_json_reader.hpp"

#include <optional>

#include "base/limits.hpp"

namespace ponder {

namespace {

using Json = nlohmann::json;

// Values outside vocabulary and merges; a large file has about 10,000.
constexpr size_t kMaxTreeValues = 1u << 20;

class Handler final : public nlohmann::json_sax<Json> {
  public:
    explicit Handler(TokenizerJson& out) : out_(out) {}

    std::optional<Error> error;

    bool null() override { return value(Json(nullptr)); }
    bool boolean(bool flag) override { return value(Json(flag)); }
    bool number_integer(number_integer_t number) override {
        return region_ == Region::kVocabulary ? add_entry(number) : value(Json(number));
    }
    bool number_unsigned(number_unsigned_t number) override {
        if (region_ == Region::kVocabulary) return add_entry(number > INT64_MAX ? INT64_MAX : static_cast<int64_t>(number));
        return value(Json(number));
    }
    bool number_float(number_float_t number, const string_t&) override { return value(Json(number)); }
    bool string(string_t& text) override { return region_ == Region::kMerges ? add_merge_text(text) : value(Json(std::move(text))); }
    bool binary(binary_t&) override { return fail(PONDER_STATUS_FORMAT, "tokenizer.json holds binary data"); }

    bool start_object(std::size_t) override;
    bool key(string_t& name) override;
    bool end_object() override;
    bool start_array(std::size_t) override;
    bool end_array() override;
    bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
        if (!error) error = make_error(PONDER_STATUS_FORMAT, "tokenizer.json is malformed JSON at byte %zu", position);
        return false;
    }

  private:
    enum class Region { kTree, kVocabulary, kMerges };

    bool fail(ponder_status status, const char* message) {
        error = make_error(status, "%s", message);
        return false;
    }
    // True where the next value is model.<name>.
    bool is_in_model(std::string_view name) const { return open_.size() == 2 && top_key_ == "model" && key_ == name; }
    bool open(Json container);
    bool value(Json&& leaf);
    Json* place(Json&& leaf);
    bool close();
    bool add_entry(int64_t id);
    bool add_merge_text(const std::string& text);
    bool end_merge_pair();

    TokenizerJson& out_;
    Region region_ = Region::kTree;
    std::vector<Json*> open_;  // containers of the tree from the root down; pointers into nodes that do not move while they are open
    std::string top_key_, key_;
    size_t n_values_ = 0;
    int n_pair_ = -1;  // strings seen of the current merge pair; -1: not inside one
};

Json* Handler::place(Json&& leaf) {
    if (++n_values_ > kMaxTreeValues) {
        error = make_error(PONDER_STATUS_LIMIT, "tokenizer.json has more than %zu values beside vocabulary and merges", kMaxTreeValues);
        return nullptr;
    }
    if (open_.empty()) {
        out_.rest = std::move(leaf);
        return &out_.rest;
    }
    Json& parent = *open_.back();
    if (parent.is_array()) {
        parent.push_back(std::move(leaf));
        return &parent.back();
    }
    Json& slot = parent[key_];
    slot = std::move(leaf);
    return &slot;
}

bool Handler::value(Json&& leaf) {
    if (region_ == Region::kVocabulary) return fail(PONDER_STATUS_FORMAT, "model.vocab holds something other than token ids");
    if (region_ == Region::kMerges)
        return fail(PONDER_STATUS_FORMAT, "model.merges holds something other than strings and pairs of strings");
    return place(std::move(leaf)) != nullptr;
}

bool Handler::open(Json container) {
    if (region_ != Region::kTree) return value(nullptr);
    if (open_.size() >= static_cast<size_t>(limits::kMaxJsonDepth)) {
        error = make_error(PONDER_STATUS_LIMIT, "tokenizer.json is nested more than %d deep", limits::kMaxJsonDepth);
        return false;
    }
    Json* placed = place(std::move(container));
    if (placed == nullptr) return false;
    open_.push_back(placed);
    return true;
}

bool Handler::close() {
    open_.pop_back();
    return true;
}

bool Handler::start_object(std::size_t) {
    if (region_ == Region::kTree && is_in_model("vocab")) {
        region_ = Region::kVocabulary;
        return true;
    }
    return open(Json::object());
}

bool Handler::key(string_t& name) {
    if (open_.size() == 1) top_key_ = name;
    std::swap(key_, name);
    return true;
}

bool Handler::end_object() {
    if (region_ == Region::kTree) return close();
    region_ = Region::kTree;
    return true;
}

bool Handler::start_array(std::size_t) {
    if (region_ == Region::kMerges && n_pair_ < 0) {
        n_pair_ = 0;
        return true;
    }
    if (region_ == Region::kTree && is_in_model("merges")) {
        region_ = Region::kMerges;
        return true;
    }
    return open(Json::array());
}

bool Handler::end_array() {
    if (region_ == Region::kTree) return close();
    if (n_pair_ >= 0) return end_merge_pair();
    region_ = Region::kTree;
    return true;
}

bool Handler::add_entry(int64_t id) {
    if (out_.entries.size() >= static_cast<size_t>(limits::kMaxVocabulary)) {
        error = make_error(PONDER_STATUS_LIMIT, "model.vocab has more than %lld entries", static_cast<long long>(limits::kMaxVocabulary));
        return false;
    }
    out_.entries.push_back({static_cast<uint32_t>(out_.entry_text.size()), static_cast<uint32_t>(key_.size()), id});
    out_.entry_text.append(key_);
    return true;
}

bool Handler::add_merge_text(const std::string& text) {
    if (n_pair_ == 2) return fail(PONDER_STATUS_FORMAT, "a merge has more than two parts");
    if (n_pair_ <= 0) {
        if (out_.merges.size() >= limits::kMaxMerges) {
            error = make_error(PONDER_STATUS_LIMIT, "model.merges has more than %zu entries", limits::kMaxMerges);
            return false;
        }
        out_.merges.push_back({static_cast<uint32_t>(out_.merge_text.size()), static_cast<uint32_t>(text.size()), 0});
    } else {
        out_.merges.back().n_right = static_cast<uint32_t>(text.size());
    }
    if (n_pair_ >= 0) {
        if (text.empty()) return fail(PONDER_STATUS_FORMAT, "a merge has an empty part");
        ++n_pair_;
    }
    out_.merge_text.append(text);
    return true;
}

bool Handler::end_merge_pair() {
    if (n_pair_ != 2) return fail(PONDER_STATUS_FORMAT, "a merge has fewer than two parts");
    n_pair_ = -1;
    return true;
}

}  // namespace

Result<TokenizerJson> read_tokenizer_json(std::string_view json) {
    // Offsets into the collected text are 32 bits wide.
    static_assert(limits::kMaxTokenizerFileBytes < UINT32_MAX);
    if (json.size() > limits::kMaxTokenizerFileBytes) {
        return make_error(PONDER_STATUS_LIMIT, "tokenizer.json has %zu bytes; the limit is %zu", json.size(),
                          limits::kMaxTokenizerFileBytes);
    }
    TokenizerJson out;
    Handler handler(out);
    const bool is_parsed = Json::sax_parse(json.data(), json.data() + json.size(), &handler);
    if (handler.error) return *handler.error;
    if (!is_parsed || !out.rest.is_object()) return make_error(PONDER_STATUS_FORMAT, "tokenizer.json is not a JSON object");
    return out;
}

}  // namespace ponder
