// SPDX-License-Identifier: Apache-2.0
// What ponder.hpp's calls take: option aggregates, the error that they throw, and how both cross the C boundary.
#ifndef PONDER_PONDER_OPTIONS_HPP
#define PONDER_PONDER_OPTIONS_HPP

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "ponder.h"

namespace ponder {
// Inline, so that these names never meet those of a statically linked library's inside.
inline namespace api {

// Sizes in bytes for memory_cap: using namespace ponder::literals; 6_GiB.
namespace literals {
constexpr uint64_t operator""_KiB(unsigned long long n) { return uint64_t{n} << 10; }
constexpr uint64_t operator""_MiB(unsigned long long n) { return uint64_t{n} << 20; }
constexpr uint64_t operator""_GiB(unsigned long long n) { return uint64_t{n} << 30; }
}  // namespace literals

// What every failed call throws; what() is the library's message.
class Error : public std::runtime_error {
  public:
    Error(ponder_status status, const std::string& message) : std::runtime_error(message), status_(status) {}
    ponder_status status() const noexcept { return status_; }

  private:
    ponder_status status_;
};

enum class Stage : int32_t {
    kOpen = PONDER_STAGE_OPEN,
    kPrepare = PONDER_STAGE_PREPARE,
    kPrefill = PONDER_STAGE_PREFILL,
    kWrite = PONDER_STAGE_WRITE
};
enum class Weights : int32_t { kAuto = PONDER_WEIGHTS_AUTO, kMapped = PONDER_WEIGHTS_MAPPED, kCopied = PONDER_WEIGHTS_COPIED };
enum class Experts : int32_t {
    kWithLayer = PONDER_EXPERTS_WITH_LAYER,
    kOnCpu = PONDER_EXPERTS_ON_CPU,
    kByMemory = PONDER_EXPERTS_BY_MEMORY
};
enum class KvType : int32_t { kDefault = PONDER_KV_DEFAULT, kF32 = PONDER_KV_F32, kF16 = PONDER_KV_F16, kQ8_0 = PONDER_KV_Q8_0 };
enum class FinishReason : int32_t {
    kStop = PONDER_FINISH_STOP,
    kLength = PONDER_FINISH_LENGTH,
    kBudget = PONDER_FINISH_BUDGET,
    kCancelled = PONDER_FINISH_CANCELLED
};

// Gets the stage and its fraction from 0 to 1, at least every 50 ms of work. True: go on; false: stop (PONDER_STATUS_CANCELLED).
using ProgressFn = std::function<bool(Stage stage, double fraction)>;

// What one device is to have of a model (ponder_placement.h).
struct DeviceShare {
    std::string backend{};              // as ModelOptions.backend
    std::optional<int32_t> device{};    // index in devices(); none: the backend's first
    std::optional<int32_t> n_layers{};  // run so many; none: as many as memory_bytes holds
    uint64_t memory_bytes = 0;          // 0: most of what a GPU has free; no limit for a CPU
};

struct ModelOptions {
    uint64_t memory_cap = 0;          // bytes that model, caches and scratch may use together; 0: no cap
    int32_t n_threads = 0;            // worker threads for CPU devices; 0: one for each fast core that this process may use
    std::string backend{};            // "cpu", "vulkan", "reference", or a variant: "cpu/avx2"; empty: chosen by the library
    std::optional<int32_t> device{};  // index in devices(); none: the backend's first
    ProgressFn on_progress{};
    std::vector<std::byte> device_cache{};  // what Model::device_cache gave an earlier process; empty: none
    std::vector<DeviceShare> devices{};     // several, in the place of `backend` and `device`; the CPU runs the layers that they leave
    Experts experts = Experts::kWithLayer;  // where routed experts run
    Weights weights = Weights::kAuto;       // where those lie that the CPU reads
};

struct SessionOptions {
    int32_t context = 0;                // most tokens that the session can hold; 0: the model's, at most 8,192
    KvType kv_type = KvType::kDefault;  // how the cache is stored
    std::string system{};               // system message of the session's own conversation; empty: none
};

// Options of one answer. Where the C struct needs marker values, this one does not: 0 means 0.
struct GenerationOptions {
    int32_t max_tokens = 0;                    // thinking and answer together; 0: until the context is full
    std::optional<int32_t> thinking_budget{};  // tokens of thought; 0: no thought at all; none: no limit
    std::optional<float> temperature{};        // 0: always the most likely token; none: the file's, else 0.6 with a chat template
    int32_t top_k = 0;                         // 0: the file's, else off
    float top_p = 0.0f;                        // 0: the file's, else 0.95; 1: off
    float min_p = 0.0f;                        // 0: the file's, else off
    float repetition_penalty = 0.0f;           // 0 or 1: off
    float presence_penalty = 0.0f;             // 0: off
    uint64_t seed = 0;                         // same seed, same tokens
    std::vector<std::string> stop{};           // texts that end the answer; not part of it
    std::string tools_json{};                  // JSON array of tool definitions for the template; empty: none
    std::string template_json{};               // JSON object of further template variables; empty: none
    bool is_raw = false;                       // no chat template: the text itself is continued
    ProgressFn on_progress{};                  // prefill; called, and its exceptions thrown, inside Generation::next
};

// One message of a conversation that the caller keeps (Session::generate).
struct Message {
    std::string role{};  // "system", "user", "assistant", "tool" or what the template knows
    std::string text{};
    std::optional<std::string> thinking{};  // an assistant's earlier thought; templates decide whether it is kept
    std::string tool_calls_json{};          // an assistant's tool calls, a JSON array; empty: none
};

struct TokenizeOptions {
    bool special = false;  // recognise the text of special tokens; leave it off for text that a user wrote
    bool bos = false;      // put the BOS token first where the model wants one
};

struct SynthOptions {
    int32_t n_layers = 0;   // 0: the shape's own
    int32_t n_experts = 0;  // 0: the shape's own
    std::string type{};     // stored type mix; empty: "Q4_K_M"
    uint64_t seed = 0;
    std::string tokenizer_path{};  // a tokenizer.json; empty: a made-up vocabulary of the shape's size
    ProgressFn on_progress{};
};

struct ConvertOptions {
    std::string type{};          // stored type mix; empty: types stay, except FP8, which becomes BF16
    std::string imatrix_path{};  // an importance matrix of llama.cpp; empty: none
    int32_t n_threads = 0;       // 0: one for each fast core
    ProgressFn on_progress{};
};

namespace detail {

inline void check(ponder_status status, const ponder_error& err) {
    if (status != PONDER_STATUS_OK) throw Error(status, err.message);
}

// Carries a std::function through the C callback, and what it throws around the C frames.
struct Progress {
    ProgressFn fn;
    std::exception_ptr exception;

    ponder_progress_fn c_fn() const { return fn ? &Progress::call : nullptr; }
    void rethrow() {
        if (exception) std::rethrow_exception(std::exchange(exception, nullptr));
    }
    static int32_t call(void* self, int32_t stage, double fraction) noexcept {
        auto* progress = static_cast<Progress*>(self);
        try {
            return progress->fn(static_cast<Stage>(stage), fraction) ? 0 : 1;
        } catch (...) {
            progress->exception = std::current_exception();
            return 1;
        }
    }
};

// A NUL inside would silently cut the text at the C call.
inline const char* c_text(const std::string& text, const char* what) {
    if (text.find('\0') != std::string::npos) throw Error(PONDER_STATUS_INVALID_ARGUMENT, std::string(what) + " holds a NUL byte");
    return text.c_str();
}
inline const char* c_text_or_null(const std::string& text, const char* what) { return text.empty() ? nullptr : c_text(text, what); }

template <class T, void (*Destroy)(T*)>
struct Deleter {
    void operator()(T* handle) const noexcept { Destroy(handle); }
};
template <class T, void (*Destroy)(T*)>
using Handle = std::unique_ptr<T, Deleter<T, Destroy>>;

// Calls `fill(buffer, capacity, &size, &err)` once, and again with the size it asked for.
template <class Buffer, class Fill>
Buffer fill_buffer(size_t guess, const Fill& fill) {
    Buffer buffer(guess, typename Buffer::value_type{});
    size_t size = 0;
    ponder_error err;
    ponder_status status = fill(buffer.data(), buffer.size(), &size, &err);
    if (status == PONDER_STATUS_BUFFER_TOO_SMALL) {
        buffer.resize(size);
        status = fill(buffer.data(), buffer.size(), &size, &err);
    }
    check(status, err);
    buffer.resize(size);
    return buffer;
}

// What ponder_model_params.placement points to.
struct Placement {
    std::vector<ponder_device_share> shares{};
    ponder_placement c = PONDER_PLACEMENT_INIT;
};

// The result borrows from all three; `placement` is filled.
inline ponder_model_params model_params(const ModelOptions& options, Progress& progress, Placement& placement) {
    for (const DeviceShare& share : options.devices) {
        ponder_device_share& c = placement.shares.emplace_back();
        c = PONDER_DEVICE_SHARE_INIT;
        c.device = share.device ? *share.device + 1 : 0;
        c.backend = c_text_or_null(share.backend, "backend");
        c.memory_bytes = share.memory_bytes;
        if (share.n_layers) c.n_layers = *share.n_layers == 0 ? PONDER_LAYERS_NONE : *share.n_layers;
    }
    placement.c.experts = static_cast<int32_t>(options.experts);
    placement.c.devices = placement.shares.empty() ? nullptr : placement.shares.data();
    placement.c.n_devices = placement.shares.size();
    ponder_model_params params = PONDER_MODEL_PARAMS_INIT;
    params.n_threads = options.n_threads;
    params.backend = c_text_or_null(options.backend, "backend");
    params.device = options.device ? *options.device + 1 : 0;
    params.memory_cap = options.memory_cap;
    params.weights = static_cast<int32_t>(options.weights);
    params.on_progress = progress.c_fn();
    params.progress_user_data = &progress;
    params.device_cache = options.device_cache.empty() ? nullptr : options.device_cache.data();
    params.device_cache_size = options.device_cache.size();
    if (!options.devices.empty() || options.experts != Experts::kWithLayer) params.placement = &placement.c;
    return params;
}

inline ponder_session_params session_params(const SessionOptions& options) {
    ponder_session_params params = PONDER_SESSION_PARAMS_INIT;
    params.context = options.context;
    params.kv_type = static_cast<int32_t>(options.kv_type);
    params.system = c_text_or_null(options.system, "system");
    return params;
}

// `stops` receives the pointers that the result refers to.
inline ponder_generation_params generation_params(const GenerationOptions& options, std::vector<const char*>& stops, Progress& progress) {
    for (const std::string& stop : options.stop) stops.push_back(c_text(stop, "stop"));
    ponder_generation_params params = PONDER_GENERATION_PARAMS_INIT;
    params.max_tokens = options.max_tokens;
    if (options.thinking_budget) params.thinking_budget = *options.thinking_budget == 0 ? PONDER_THINKING_NONE : *options.thinking_budget;
    if (options.temperature) params.temperature = *options.temperature == 0.0f ? PONDER_GREEDY : *options.temperature;
    params.top_k = options.top_k;
    params.top_p = options.top_p;
    params.min_p = options.min_p;
    params.repetition_penalty = options.repetition_penalty;
    params.presence_penalty = options.presence_penalty;
    params.is_raw = options.is_raw ? 1 : 0;
    params.seed = options.seed;
    params.stop = stops.empty() ? nullptr : stops.data();
    params.n_stop = stops.size();
    params.tools_json = c_text_or_null(options.tools_json, "tools_json");
    params.template_json = c_text_or_null(options.template_json, "template_json");
    params.on_progress = progress.c_fn();
    params.progress_user_data = &progress;
    return params;
}

}  // namespace detail

}  // namespace api
}  // namespace ponder

#endif  // PONDER_PONDER_OPTIONS_HPP
