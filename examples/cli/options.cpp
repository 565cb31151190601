// SPDX-License-Identifier: Apache-2.0
// Implementation of the shared options.
#include "options.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <utility>

namespace ponder::tool {
namespace {

constexpr int32_t kMaxThreads = 1024;
constexpr int32_t kMaxInt = std::numeric_limits<int32_t>::max();
// Zero means "the file's value" to the library; where a user's zero means "off", the smallest step away from off says so.
constexpr float kSmallest = std::numeric_limits<float>::min();

std::string to_text(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%g", value);
    return text;
}

void add_model_path(CLI::App& app, std::string& path) {
    const auto store = [&path](const std::string& text) {
        if (text.empty()) reject_value("-m", text, "the name of a file");
        path = text;
    };
    app.add_option_function<std::string>(
           "-m,--model", store,
           "Model: a GGUF file, the first of split ones, or a Hugging Face folder; default: the one that came with the program")
        ->type_name("FILE");
}

void add_bytes(CLI::App& app, const std::string& name, uint64_t& target, const std::string& help) {
    const auto store = [name, &target](const std::string& text) {
        target = parse_bytes(text).value_or(0);
        if (target == 0) reject_value(name, text, "a number of bytes, such as 6GiB or 800M");
    };
    app.add_option_function<std::string>(name, store, help)->type_name("BYTES");
}

void add_placement(CLI::App& app, ModelOptions& options) {
    add_integer<int32_t>(app, "--device-layers", options.device_layers, 0, kMaxInt, "Layers to run on the device; the CPU runs the others");
    add_bytes(app, "--device-memory", options.device_memory,
              "Run as many layers on the device as fit into so many of its bytes; the CPU runs the others");
    add_word(app, "--experts", options.experts, {"layer", "cpu", "memory"},
             "Where routed experts run: with their layer, on the CPU, or on the device as far as its memory holds them");
    app.add_flag_callback(
        "--experts-on-cpu", [&options] { options.experts = "cpu"; }, "The same as --experts cpu");
}

}  // namespace

void reject_value(const std::string& option, const std::string& value, const std::string& expected) {
    throw CLI::ValidationError(option, "'" + value + "' is not " + expected);
}

void add_json_option(CLI::App& app, bool& is_json) { app.add_flag("--json", is_json, "Print JSON on standard output"); }

void add_verbose_option(CLI::App& app) {
    app.add_flag_callback(
        "--verbose", [] { set_log_level(PONDER_LOG_INFO); }, "Print the library's log on standard error");
}

void add_model_options(CLI::App& app, ModelOptions& options) {
    add_model_path(app, options.path);
    add_json_option(app, options.is_json);
    add_verbose_option(app);
    add_word(app, "--backend", options.backend,
             {"auto", "cpu", "cpu/amx", "cpu/avx512", "cpu/avx2", "cpu/i8mm", "cpu/neon", "cpu/generic", "vulkan", "vulkan/float32",
              "vulkan/validated", "reference"},
             "Where to compute: auto, cpu (or cpu/amx, cpu/avx512, cpu/avx2, cpu/i8mm, cpu/neon, cpu/generic), vulkan or reference");
    add_integer<int32_t>(app, "--device", options.device, 0, kMaxInt - 1, "Device number, counted over all backends");
    add_integer<int32_t>(app, "--threads", options.n_threads, 1, kMaxThreads,
                         "Worker threads; default: one for each fast core of this process");
    add_integer<int32_t>(app, "--context", options.context, 1, kMaxInt, "Most tokens that the context holds");
    add_word(app, "--kv", options.kv, {"f32", "f16", "q8_0"},
             "Type of the cache: f32, f16 or q8_0; default: f16, f32 with the reference backend");
    add_bytes(app, "--memory-cap", options.memory_cap,
              "Bytes that weights, caches and scratch may take together; suffixes K M G T (decimal), KiB MiB GiB TiB");
    add_word(
        app, "--weights", options.weights, {"auto", "mapped", "copied"},
        "Weights that the CPU reads: mapped from the file; copied into memory, in large pages; or auto, by what is quicker and there is");
    add_placement(app, options);
    app.add_option("--device-cache", options.device_cache,
                   "File that keeps what a GPU's driver compiled, for a quicker next start; made if it is not there")
        ->type_name("FILE");
    add_integer<uint64_t>(app, "--seed", options.seed, 0, std::numeric_limits<uint64_t>::max(), "Seed of all random choices; default 0");
}

void add_generation_options(CLI::App& app, GenerationOptions& options) {
    app.add_option("--system", options.system, "System message")->type_name("TEXT");
    add_integer<int32_t>(app, "--max-tokens", options.max_tokens, 1, kMaxInt, "Most tokens of thought and answer together");
    add_integer<int32_t>(app, "--think-budget", options.think_budget, 0, kMaxInt,
                         "Tokens of thought, after which it is closed and the answer is made; 0: no thought");
    add_decimal(app, "--temperature", options.temperature, 0, 100, true, "Sampling temperature; 0: always the most likely token");
    add_integer<int32_t>(app, "--top-k", options.top_k, 0, kMaxInt, "Sample among the N most likely tokens; 0: all");
    add_decimal(app, "--top-p", options.top_p, 0, 1, false, "Sample among the most likely tokens that together have this probability");
    add_decimal(app, "--min-p", options.min_p, 0, 1, true, "Leave out tokens less likely than this share of the most likely one");
    add_decimal(app, "--repetition-penalty", options.repetition_penalty, 0, 100, false, "Penalty on the last 64 tokens; 1: none");
    add_decimal(app, "--presence-penalty", options.presence_penalty, -100, 100, true, "Penalty on tokens generated so far; 0: none");
    const auto check_stop = [](const std::string& text) { return text.empty() ? std::string("'' is not a stop string") : std::string(); };
    // One string a mention: a second word after --stop would otherwise be taken as well.
    app.add_option("--stop", options.stop, "Text that ends the answer; may be given several times")
        ->type_name("TEXT")
        ->type_size(1)
        ->allow_extra_args(false)
        ->check(check_stop);
    app.add_flag("--hide-thinking", options.hides_thinking, "Do not print the thought");
    app.add_flag("--raw", options.is_raw, "No chat template: the text is continued; the default for models that have none");
}

ponder_model_params to_model_params(const ModelOptions& options, ProgressBar& bar, Placement& placement) {
    ponder_model_params params = PONDER_MODEL_PARAMS_INIT;
    params.n_threads = options.n_threads.value_or(0);
    params.backend = options.backend.c_str();
    params.device = options.device ? *options.device + 1 : 0;
    params.memory_cap = options.memory_cap;
    params.weights = options.weights == "copied"   ? PONDER_WEIGHTS_COPIED
                     : options.weights == "mapped" ? PONDER_WEIGHTS_MAPPED
                                                   : PONDER_WEIGHTS_AUTO;
    params.on_progress = ProgressBar::on_progress;
    params.progress_user_data = &bar;
    const bool has_share = options.device_layers || options.device_memory > 0;
    if (!has_share && options.experts == "layer") return params;
    placement.placement.experts = options.experts == "cpu"      ? PONDER_EXPERTS_ON_CPU
                                  : options.experts == "memory" ? PONDER_EXPERTS_BY_MEMORY
                                                                : PONDER_EXPERTS_WITH_LAYER;
    params.placement = &placement.placement;
    if (!has_share) return params;
    placement.device.backend = std::exchange(params.backend, nullptr);
    placement.device.device = std::exchange(params.device, 0);
    placement.device.memory_bytes = options.device_memory;
    if (options.device_layers) placement.device.n_layers = *options.device_layers == 0 ? PONDER_LAYERS_NONE : *options.device_layers;
    placement.placement.devices = &placement.device;
    placement.placement.n_devices = 1;
    return params;
}

ponder_session_params to_session_params(const ModelOptions& options, int32_t default_context) {
    ponder_session_params params = PONDER_SESSION_PARAMS_INIT;
    params.context = options.context.value_or(default_context);
    params.kv_type = options.kv == "f32"    ? PONDER_KV_F32
                     : options.kv == "f16"  ? PONDER_KV_F16
                     : options.kv == "q8_0" ? PONDER_KV_Q8_0
                                            : PONDER_KV_DEFAULT;
    return params;
}

int32_t to_thinking_budget(std::optional<int32_t> budget) {
    if (!budget) return 0;
    return *budget == 0 ? PONDER_THINKING_NONE : *budget;
}

ponder_generation_params to_generation_params(const GenerationOptions& options, uint64_t seed, const ponder_model_info& model,
                                              ProgressBar& bar, std::vector<const char*>& stops) {
    ponder_generation_params params = PONDER_GENERATION_PARAMS_INIT;
    params.max_tokens = options.max_tokens.value_or(0);
    params.thinking_budget = to_thinking_budget(options.think_budget);
    const auto or_default = [](std::optional<double> value) { return value ? std::max(static_cast<float>(*value), kSmallest) : 0.0f; };
    params.temperature = options.temperature == 0.0 ? PONDER_GREEDY : or_default(options.temperature);
    params.top_k = options.top_k == 0 ? model.n_vocab : options.top_k.value_or(0);
    params.top_p = or_default(options.top_p);
    params.min_p = or_default(options.min_p);
    params.repetition_penalty = or_default(options.repetition_penalty);
    params.presence_penalty = static_cast<float>(options.presence_penalty.value_or(0.0));
    params.is_raw = options.is_raw || model.has_chat_template == 0 ? 1 : 0;
    params.seed = seed;
    stops.clear();
    for (const std::string& stop : options.stop) stops.push_back(stop.c_str());
    params.stop = stops.data();
    params.n_stop = stops.size();
    params.on_progress = ProgressBar::on_progress;
    params.progress_user_data = &bar;
    return params;
}

std::optional<uint64_t> parse_bytes(std::string_view text) {
    const size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
    const std::optional<double> value = parse_number<double>(text.substr(0, digits));
    std::string_view suffix = text.substr(digits);
    if (!value || text.front() == '.') return std::nullopt;
    double unit = 1;
    if (!suffix.empty() && suffix != "B") {
        const size_t power = std::string_view("KMGT").find(static_cast<char>(std::toupper(static_cast<unsigned char>(suffix[0])))) + 1;
        if (power == 0) return std::nullopt;
        suffix.remove_prefix(1);
        if (suffix != "" && suffix != "B" && suffix != "iB") return std::nullopt;
        unit = std::pow(suffix == "iB" ? 1024.0 : 1000.0, static_cast<double>(power));
    }
    const double bytes = *value * unit;
    if (bytes >= 9.2e18) return std::nullopt;
    return static_cast<uint64_t>(bytes);
}

CLI::Option* add_decimal(CLI::App& app, const std::string& name, std::optional<double>& target, double low, double high, bool takes_low,
                         const std::string& help) {
    const auto store = [name, &target, low, high, takes_low](const std::string& text) {
        const std::optional<double> value = parse_number<double>(text);
        if (!value || *value < low || *value > high || (*value == low && !takes_low)) {
            reject_value(name, text,
                         std::string("a number ") + (takes_low ? "from " : "above ") + to_text(low) +
                             (takes_low ? " to " : " and at most ") + to_text(high));
        }
        target = *value;
    };
    return app.add_option_function<std::string>(name, store, help)->type_name("X");
}

CLI::Option* add_word(CLI::App& app, const std::string& name, std::string& target, std::vector<std::string> words,
                      const std::string& help) {
    const auto store = [name, &target, words](const std::string& text) {
        if (std::find(words.begin(), words.end(), text) == words.end()) {
            std::string expected = "one of";
            for (const std::string& word : words) expected += " " + word;
            reject_value(name, text, expected);
        }
        target = text;
    };
    return app.add_option_function<std::string>(name, store, help)->type_name("WORD");
}

}  // namespace ponder::tool
