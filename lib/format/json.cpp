// SPDX-License-Identifier: Apache-2.0
// Builds documents from the events of nlohmann's parser, which is where depth can be limited and errors caught without exceptions.
#include "format/json.hpp"

#include <utility>
#include <vector>

namespace ponder {

namespace {

template <class Json>
class Builder : public nlohmann::json_sax<Json> {
  public:
    using number_integer_t = typename Json::number_integer_t;
    using number_unsigned_t = typename Json::number_unsigned_t;
    using number_float_t = typename Json::number_float_t;
    using string_t = typename Json::string_t;
    using binary_t = typename Json::binary_t;

    bool null() override { return place(nullptr); }
    bool boolean(bool value) override { return place(value); }
    bool number_integer(number_integer_t value) override { return place(value); }
    bool number_unsigned(number_unsigned_t value) override { return place(value); }
    bool number_float(number_float_t value, const string_t&) override { return place(value); }
    bool string(string_t& value) override { return place(std::move(value)); }
    bool binary(binary_t& value) override { return place(std::move(value)); }
    bool start_object(std::size_t) override { return open(Json::object()); }
    bool start_array(std::size_t) override { return open(Json::array()); }
    bool end_object() override { return close(); }
    bool end_array() override { return close(); }

    bool key(string_t& name) override {
        // Ordered objects are searched from end to end for every new member.
        if (std::is_same_v<Json, nlohmann::ordered_json> && open_.back()->size() >= limits::kMaxOrderedJsonMembers) {
            error_ = make_error(PONDER_STATUS_LIMIT, "JSON: an object of more than %zu members", limits::kMaxOrderedJsonMembers);
            return false;
        }
        member_ = &open_.back()->template get_ref<typename Json::object_t&>()[std::move(name)];
        return true;
    }

    bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception& reason) override {
        // 406: a number beyond the range of double. The parser's own text may quote malformed bytes, so it is not shown.
        error_ =
            make_error(PONDER_STATUS_FORMAT, "JSON: %s at byte %zu", reason.id == 406 ? "number out of range" : "syntax error", position);
        return false;
    }

    Error take_error() { return std::move(error_); }
    Json take_document() { return std::move(document_); }

  private:
    Json* slot(Json&& value) {
        if (open_.empty()) {
            document_ = std::move(value);
            return &document_;
        }
        if (member_ != nullptr) {
            *member_ = std::move(value);
            return std::exchange(member_, nullptr);
        }
        auto& array = open_.back()->template get_ref<typename Json::array_t&>();
        array.push_back(std::move(value));
        return &array.back();
    }

    bool place(Json&& value) {
        slot(std::move(value));
        return true;
    }

    // Pointers in open_ stay valid: a container only grows while it is the innermost one.
    bool open(Json&& value) {
        if (open_.size() == static_cast<size_t>(limits::kMaxJsonDepth)) {
            error_ = make_error(PONDER_STATUS_LIMIT, "JSON: nested deeper than %d", limits::kMaxJsonDepth);
            return false;
        }
        open_.push_back(slot(std::move(value)));
        return true;
    }

    bool close() {
        open_.pop_back();
        return true;
    }

    Json document_;
    std::vector<Json*> open_;  // the containers around the current position, outermost first
    Json* member_ = nullptr;   // where the value of the last key goes
    Error error_;
};

template <class Json>
Result<Json> parse(std::string_view text, size_t max_bytes) {
    if (text.size() > max_bytes) return make_error(PONDER_STATUS_LIMIT, "JSON: %zu bytes, the limit is %zu", text.size(), max_bytes);
    Builder<Json> builder;
    if (!Json::sax_parse(text.begin(), text.end(), &builder)) return builder.take_error();
    return builder.take_document();
}

}  // namespace

Result<nlohmann::json> parse_json(std::string_view text, size_t max_bytes) { return parse<nlohmann::json>(text, max_bytes); }

Result<nlohmann::ordered_json> parse_ordered_json(std::string_view text, size_t max_bytes) {
    return parse<nlohmann::ordered_json>(text, max_bytes);
}

std::string dump_json(const nlohmann::json& document) { return document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace); }

}  // namespace ponder
