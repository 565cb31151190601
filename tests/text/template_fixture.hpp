// SPDX-License-Identifier: Apache-2.0
// What the chat template tests share: one context, and rows of templates with what Jinja2 makes of them.
#pragma once

#include <doctest/doctest.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "text/template.hpp"

namespace ponder_test {

using Json = nlohmann::ordered_json;

struct TemplateCase {
    const char* source;
    const char* expected;  // null: Jinja2 refuses it, at parsing or at rendering
};

inline const Json& semantics_context() {
    static const Json context = Json::parse(R"json({
        "s": "Hello, Wörld",
        "u": "naïve 日本語 text",
        "n": 5,
        "f": 2.5,
        "neg": -7,
        "l": [3, 1, 2],
        "words": ["b", "A", "c", "a"],
        "d": {"b": 1, "a": 2, "C": "x"},
        "users": [{"name": "Bo", "age": 30, "tags": ["x", "y"]}, {"name": "al", "age": 25, "tags": []}, {"name": "Cy", "age": 30, "tags": ["z"]}],
        "t": true,
        "no": false,
        "z": null,
        "e": "",
        "el": [],
        "ed": {},
        "multi": "one\ntwo\n\nthree\n",
        "sp": "  pad \t\n",
        "html": "<a href='x'>&\"</a>",
        "nested": {"k": [1, {"q": [true, null, 1.5, "é\"\n"]}]},
        "big": 123456789012345,
        "messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "U1"}, {"role": "assistant", "content": "A1"}]
    })json");
    return context;
}

inline ponder::Result<ponder::ChatTemplate::Rendered> render_template(std::string_view source, const Json& context = semantics_context(),
                                                                      ponder::RenderOptions options = {}) {
    auto parsed = ponder::ChatTemplate::parse(source);
    if (!parsed) return parsed.error();
    std::tm time{};  // 2024-07-05 13:04:09, a Friday
    time.tm_year = 124;
    time.tm_mon = 6;
    time.tm_mday = 5;
    time.tm_hour = 13;
    time.tm_min = 4;
    time.tm_sec = 9;
    time.tm_wday = 5;
    time.tm_yday = 186;
    options.local_time = time;
    return parsed->render(context, options);
}

inline void check_template_cases(std::span<const TemplateCase> cases) {
    for (const TemplateCase& row : cases) {
        CAPTURE(row.source);
        const auto rendered = render_template(row.source);
        if (!row.expected) {
            REQUIRE_FALSE(rendered);
            CHECK(rendered.error().status == PONDER_STATUS_TEMPLATE);
            continue;
        }
        const std::string message = rendered ? "" : rendered.error().message;
        CAPTURE(message);
        REQUIRE(rendered);
        CHECK(rendered->text == row.expected);
    }
}

}  // namespace ponder_test
