// SPDX-License-Identifier: Apache-2.0
// Implementation of saved conversations.
#include "conversation.hpp"

#include <algorithm>
#include <string_view>

#include "failure.hpp"
#include "input.hpp"
#include "json_text.hpp"
#include "output_file.hpp"

namespace ponder::tool {
namespace {

constexpr std::string_view kRoles[] = {"system", "user", "assistant", "tool"};

// The string under `key`; "" if it is missing and not required.
std::string string_of(const Json& message, const char* key, bool is_required, const std::string& where) {
    const auto found = message.find(key);
    if (found == message.end() && !is_required) return {};
    if (found == message.end() || !found->is_string()) fail("%s: \"%s\" is not a string", where.c_str(), key);
    return found->get<std::string>();
}

}  // namespace

void save_conversation(const std::string& path, const std::vector<Message>& messages) {
    Json list = Json::array();
    for (const Message& message : messages) {
        Json entry{{"role", message.role}, {"content", message.content}};
        if (!message.thinking.empty()) entry["thinking"] = message.thinking;
        list.push_back(std::move(entry));
    }
    const Json document{{"format", "ponder-chat"}, {"version", 1}, {"messages", std::move(list)}};
    OutputFile file(path);
    file.write(document.dump(2, ' ', false, Json::error_handler_t::replace).append("\n"));
    file.commit();
}

std::vector<Message> load_conversation(const std::string& path) {
    const std::string text = read_file(path);
    Json document;
    try {
        document = parse_json(text);
    } catch (const Failure& failure) {
        throw Failure{path + ": " + failure.why};
    }
    if (!document.is_object() || !document.contains("messages") || !document["messages"].is_array()) {
        fail("%s: not a saved conversation: it has no \"messages\"", path.c_str());
    }
    if (document.value("version", Json(1)) != 1) fail("%s: a newer version of the file format", path.c_str());
    std::vector<Message> messages;
    for (const Json& entry : document["messages"]) {
        const std::string where = path + ": message " + std::to_string(messages.size());
        if (!entry.is_object()) fail("%s: not an object", where.c_str());
        Message message{string_of(entry, "role", true, where), string_of(entry, "content", true, where),
                        string_of(entry, "thinking", false, where)};
        if (std::find(std::begin(kRoles), std::end(kRoles), message.role) == std::end(kRoles)) {
            fail("%s: unknown role \"%s\"", where.c_str(), message.role.c_str());
        }
        messages.push_back(std::move(message));
    }
    return messages;
}

}  // namespace ponder::tool
