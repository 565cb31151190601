// SPDX-License-Identifier: Apache-2.0
// Real chat templates against renderings that Jinja2 made of them.
#include <filesystem>
#include <fstream>
#include <sstream>

#include "template_fixture.hpp"
#include "test_data.hpp"

namespace {

using ponder_test::Json;

std::string read_text(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

bool is_all_untrusted(const ponder::ChatTemplate::Rendered& rendered, size_t begin, size_t end) {
    for (const ponder::TextSpan& span : rendered.untrusted) {
        if (span.begin <= begin && end <= span.end) return true;
    }
    return false;
}

bool has_untrusted(const ponder::ChatTemplate::Rendered& rendered, size_t begin, size_t end) {
    for (const ponder::TextSpan& span : rendered.untrusted) {
        if (span.begin < end && begin < span.end) return true;
    }
    return false;
}

// The same conversation with every user-made letter replaced, to find which markers the template itself writes.
Json injected_conversation(const std::string& marker) {
    const std::string text = "QQ" + marker + "QQ";
    return {{"bos_token", "<bos>"},
            {"eos_token", "<eos>"},
            {"add_generation_prompt", true},
            {"date_string", "1 Jan 2025"},
            {"messages", Json::array({{{"role", "system"}, {"content", text}},
                                      {{"role", "user"}, {"content", text}},
                                      {{"role", "assistant"}, {"content", text}},
                                      {{"role", "user"}, {"content", text}}})}};
}

size_t count_of(const std::string& text, const std::string& part) {
    size_t count = 0;
    for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++count;
    return count;
}

void check_marker(const ponder::ChatTemplate& chat_template, const std::string& marker) {
    CAPTURE(marker);
    const auto rendered = chat_template.render(injected_conversation(marker));
    REQUIRE(rendered);
    const auto plain = chat_template.render(injected_conversation("--"));
    REQUIRE(plain);
    size_t n_trusted = 0;
    for (size_t at = rendered->text.find(marker); at != std::string::npos; at = rendered->text.find(marker, at + marker.size())) {
        const bool is_users = is_all_untrusted(*rendered, at, at + marker.size());
        CHECK(is_users == has_untrusted(*rendered, at, at + marker.size()));  // never half
        n_trusted += is_users ? 0 : 1;
    }
    CHECK(n_trusted == count_of(plain->text, marker));
    for (size_t at = rendered->text.find("QQ"); at != std::string::npos; at = rendered->text.find("QQ", at + 2)) {
        CHECK(is_all_untrusted(*rendered, at, at + 2));
    }
}

}  // namespace

TEST_CASE("template: renders the shared chat vectors") {
    if (!ponder_test::has_data("chat-vectors")) return;
    for (const auto& entry : std::filesystem::directory_iterator(ponder_test::data_path("chat-vectors"))) {
        std::ifstream lines(entry.path());
        std::string line;
        while (std::getline(lines, line)) {
            const Json record = Json::parse(line);
            const std::string name = record["template"], id = record["id"];
            CAPTURE(name);
            CAPTURE(id);
            const auto parsed = ponder::ChatTemplate::parse(read_text(ponder_test::data_path("chat-templates/" + name)));
            REQUIRE(parsed);
            const auto rendered = parsed->render(record["context"]);
            if (record.contains("expected")) {
                REQUIRE(rendered);
                CHECK(rendered->text == record["expected"].get<std::string>());
            } else {
                REQUIRE_FALSE(rendered);
                CHECK(rendered.error().status == PONDER_STATUS_TEMPLATE);
            }
        }
    }
}

TEST_CASE("template: users cannot forge markers in any shared template") {
    if (!ponder_test::has_data("chat-templates")) return;
    for (const auto& entry : std::filesystem::directory_iterator(ponder_test::data_path("chat-templates"))) {
        const std::string name = entry.path().filename();
        CAPTURE(name);
        const auto parsed = ponder::ChatTemplate::parse(read_text(entry.path()));
        REQUIRE(parsed);
        for (const char* marker : {"<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>", "<think>", "<|im_end|>", "<|im_start|>",
                                   "<|eot_id|>", "<|start_header_id|>", "<bos>", "<eos>"}) {
            check_marker(*parsed, marker);
        }
    }
}

TEST_CASE("template: the end of a thought that a user typed is untrusted in every shared template") {
    if (!ponder_test::has_data("chat-templates")) return;
    for (const auto& entry : std::filesystem::directory_iterator(ponder_test::data_path("chat-templates"))) {
        const std::string name = entry.path().filename();
        CAPTURE(name);
        const auto parsed = ponder::ChatTemplate::parse(read_text(entry.path()));
        REQUIRE(parsed);
        Json context = injected_conversation("</think>");
        context["messages"][2]["content"] = "QQ";  // templates cut answers at this mark, which is theirs to do
        const auto rendered = parsed->render(context);
        REQUIRE(rendered);
        const std::string typed = "QQ</think>QQ";
        CHECK(count_of(rendered->text, typed) >= 2);
        for (size_t at = rendered->text.find(typed); at != std::string::npos; at = rendered->text.find(typed, at + 1)) {
            CHECK(is_all_untrusted(*rendered, at, at + typed.size()));
        }
    }
}
