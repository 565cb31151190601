// SPDX-License-Identifier: Apache-2.0
// Fuzz target of the chat template engine: a template, a zero byte, and a JSON context; the answer is a text with sound marks or a status.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "text/template.hpp"

namespace {

void require(bool is_true) {
    if (!is_true) std::abort();
}

void check_error(const ponder::Error& error) {
    require(error.status == PONDER_STATUS_TEMPLATE || error.status == PONDER_STATUS_LIMIT);
    require(error.message.starts_with("chat template"));
    require(nlohmann::json(error.message).dump().size() > 2);  // throws if a message is not UTF-8
}

void check_marks(const ponder::ChatTemplate::Rendered& rendered) {
    size_t previous_end = 0;
    for (size_t i = 0; i < rendered.untrusted.size(); ++i) {
        const ponder::TextSpan& span = rendered.untrusted[i];
        require(span.begin < span.end && span.end <= rendered.text.size());
        require(i == 0 || span.begin > previous_end);
        previous_end = span.end;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const size_t zero = input.find('\0');
    const auto parsed = ponder::ChatTemplate::parse(input.substr(0, zero));
    if (!parsed) {
        check_error(parsed.error());
        return 0;
    }
    nlohmann::ordered_json context;
    if (zero != std::string_view::npos) context = nlohmann::ordered_json::parse(input.substr(zero + 1), nullptr, false);
    if (!context.is_object()) {
        context = {{"messages", {{{"role", "user"}, {"content", "<b>"}}, {{"role", "assistant"}, {"content", "<think>é</think>b"}}}}};
    }
    ponder::RenderOptions options;
    options.trusted_in_assistant = {"<think>", "</think>"};
    options.local_time = std::tm{};
    const auto rendered = parsed->render(context, options);
    if (!rendered) {
        check_error(rendered.error());
        return 0;
    }
    check_marks(*rendered);
    return 0;
}
