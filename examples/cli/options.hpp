// SPDX-License-Identifier: Apache-2.0
// Options that several commands share, checked numbers, and their translation into the library's parameter structs.
#pragma once

#include <ponder/ponder.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "terminal.hpp"

namespace ponder::tool {

struct ModelOptions {
    std::string path;  // "": the model beside the program
    std::string backend = "auto";
    std::string kv;                    // "": the library's choice
    std::optional<int32_t> device;     // as ponder_device_describe counts
    std::optional<int32_t> n_threads;  // at least 1
    std::optional<int32_t> context;    // tokens, at least 1
    uint64_t seed = 0;
    uint64_t memory_cap = 0;  // bytes; 0: none
    std::string weights = "auto";
    std::string device_cache;              // file; "": none
    std::optional<int32_t> device_layers;  // on the device, the others on the CPU
    uint64_t device_memory = 0;            // bytes of the device that layers may fill; 0: not asked for
    std::string experts = "layer";
    bool is_json = false;
};

// Options of commands that make the model speak.
struct GenerationOptions {
    std::optional<std::string> system;
    std::optional<int32_t> max_tokens;
    std::optional<int32_t> think_budget;  // 0: no thought
    std::optional<double> temperature;    // 0: greedy
    std::optional<int32_t> top_k;         // 0: off
    std::optional<double> top_p, min_p, repetition_penalty, presence_penalty;
    std::vector<std::string> stop;
    bool hides_thinking = false;
    bool is_raw = false;
};

// The flags common to all commands; those that mean nothing to a command are accepted and checked all the same.
void add_model_options(CLI::App& app, ModelOptions& options);
void add_json_option(CLI::App& app, bool& is_json);
void add_verbose_option(CLI::App& app);
void add_generation_options(CLI::App& app, GenerationOptions& options);

// What ponder_model_params.placement points to.
struct Placement {
    ponder_device_share device = PONDER_DEVICE_SHARE_INIT;
    ponder_placement placement = PONDER_PLACEMENT_INIT;
};

// The returned structs borrow `options` and `bar` (and `placement` and `stops`, which are filled).
ponder_model_params to_model_params(const ModelOptions& options, ProgressBar& bar, Placement& placement);
// `default_context` applies without --context; 0: the library's default.
ponder_session_params to_session_params(const ModelOptions& options, int32_t default_context);
ponder_generation_params to_generation_params(const GenerationOptions& options, uint64_t seed, const ponder_model_info& model,
                                              ProgressBar& bar, std::vector<const char*>& stops);
// ponder_generation_params.thinking_budget for a budget given by a user.
int32_t to_thinking_budget(std::optional<int32_t> budget);

// "4096", "1.5GiB", "800M": bytes with a decimal (K M G T) or binary (KiB ...) suffix. nullopt if it is not that, or past 2^63.
std::optional<uint64_t> parse_bytes(std::string_view text);

// All of `text` as a number of type T.
template <typename T>
std::optional<T> parse_number(std::string_view text) {
    T value{};
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (problem != std::errc() || end != text.data() + text.size() || !(value == value)) return std::nullopt;
    return value;
}

[[noreturn]] void reject_value(const std::string& option, const std::string& value, const std::string& expected);

// An option that takes a whole number from `low` to `high`; anything else is a usage error. `target` outlives the parsing.
template <typename T, typename Target>
CLI::Option* add_integer(CLI::App& app, const std::string& name, Target& target, T low, T high, const std::string& help) {
    const auto store = [name, &target, low, high](const std::string& text) {
        const std::optional<T> value = parse_number<T>(text);
        if (!value || *value < low || *value > high) {
            const bool is_open = high == std::numeric_limits<T>::max();
            reject_value(name, text,
                         "a whole number " + (is_open ? "of at least " + std::to_string(low)
                                                      : "from " + std::to_string(low) + " to " + std::to_string(high)));
        }
        target = *value;
    };
    return app.add_option_function<std::string>(name, store, help)->type_name("N");
}

// An option that takes a decimal number; `low` itself is allowed only if `takes_low`.
CLI::Option* add_decimal(CLI::App& app, const std::string& name, std::optional<double>& target, double low, double high, bool takes_low,
                         const std::string& help);

// An option that takes one of some words.
CLI::Option* add_word(CLI::App& app, const std::string& name, std::string& target, std::vector<std::string> words, const std::string& help);

}  // namespace ponder::tool
