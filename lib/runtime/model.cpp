// SPDX-License-Identifier: Apache-2.0
// Opens models: file, text, graph, device, in an order that checks everything before anything is computed.
#include "runtime/model.hpp"

#include <algorithm>
#include <utility>

#include "base/log.hpp"
#include "device/self_test.hpp"
#include "runtime/expert_source.hpp"
#include "runtime/model_source.hpp"
#include "runtime/session.hpp"

namespace ponder {

namespace {

// DeepSeek's recommendation for R1; a model without a chat template is continued greedily, which repeats exactly.
constexpr float kDefaultTemperature = 0.6f, kDefaultTopP = 0.95f;

// Share of opening's progress that is done when the weights are read.
constexpr double kShareBeforeWeights = 0.4;

// A value of the file if it is there and sane; files may hold anything.
float sampling_value(const Metadata& metadata, const char* key, float low, float high, float fallback) {
    const auto value = metadata.get_f32(key);
    if (!value || !*value || !(**value >= low && **value <= high)) return fallback;
    return **value;
}

Result<void> check_room_for_experts(const Residence& residence, uint64_t allowed) {
    const uint64_t others = residence.needs.total(), least = residence.largest_expert;
    if (!residence.is_streaming() || others + least <= allowed) return {};
    return make_error(
        PONDER_STATUS_MEMORY_CAP, "%llu bytes must stay in memory and an expert takes %llu; %llu bytes may be used, so not even one fits",
        static_cast<unsigned long long>(others), static_cast<unsigned long long>(least), static_cast<unsigned long long>(allowed));
}

}  // namespace

Result<std::shared_ptr<const TextSide>> read_text_side(const ModelFile& file, const HyperParameters& hyper_parameters) {
    auto text = TextSide::from_model(file);
    if (!text) return text;
    const Tokenizer* tokenizer = (*text)->tokenizer();
    if (tokenizer != nullptr && tokenizer->n_tokens() > hyper_parameters.n_vocab) {
        return make_error(PONDER_STATUS_FORMAT, "tokenizer.ggml.tokens has %d entries, token_embd.weight %lld rows", tokenizer->n_tokens(),
                          static_cast<long long>(hyper_parameters.n_vocab));
    }
    return text;
}

int32_t usual_kv_type(const ModelOptions& options) {
    const auto& devices = options.placement.devices;
    const auto slot = choose_device(devices.empty() ? options.device : devices.front().device);
    return slot && slot->backend->name == std::string_view("reference") ? PONDER_TYPE_F32 : PONDER_TYPE_F16;
}

Result<Placement> choose_placement(const ModelOptions& options, const HyperParameters& hyper_parameters, const Program& program) {
    if (options.placement.devices.empty() && options.placement.experts == ExpertPlacement::kWithLayer) {
        const auto slot = choose_device(options.device);
        if (!slot) return slot.error();
        return Placement(*slot, options.n_threads, options.device.is_named());
    }
    const auto n_tokens = Session::choose_context(hyper_parameters, {});
    if (!n_tokens) return n_tokens.error();
    PlacementOptions placement = options.placement;
    if (placement.devices.empty()) placement.devices.push_back({.device = options.device});
    return Placement::choose(placement, options.n_threads, program, *n_tokens);
}

SamplerParams read_sampling_defaults(const Metadata& metadata, bool has_template) {
    SamplerParams params;
    params.temperature = sampling_value(metadata, "general.sampling.temp", 0.0f, 10.0f, has_template ? kDefaultTemperature : 0.0f);
    params.top_p = sampling_value(metadata, "general.sampling.top_p", 0.01f, 1.0f, kDefaultTopP);
    params.min_p = sampling_value(metadata, "general.sampling.min_p", 0.0f, 1.0f, 0.0f);
    const auto top_k = metadata.get_i32("general.sampling.top_k");
    if (top_k && *top_k && **top_k > 0) params.top_k = **top_k;
    return params;
}

// Devices that were not asked for by name give way to the CPU if they cannot be opened, compute wrongly, or have no room.
Result<std::shared_ptr<Model>> Model::open(const std::string& path, const ModelOptions& options) {
    bool gives_way = false;
    auto model = open_once(path, options, gives_way);
    const bool is_of_device =
        !model && (model.error().status == PONDER_STATUS_DEVICE || model.error().status == PONDER_STATUS_DEVICE_LOST ||
                   model.error().status == PONDER_STATUS_OUT_OF_MEMORY || model.error().status == PONDER_STATUS_UNSUPPORTED);
    if (!is_of_device || !gives_way) return model;
    log_message(PONDER_LOG_WARNING, "the CPU is used: %s", model.error().message.c_str());
    const auto host = choose_host_device();
    if (!host) return model;
    ModelOptions on_host = options;
    on_host.device = {.backend = host->backend->name};
    on_host.placement = {};
    return open_once(path, on_host, gives_way);
}

Result<std::shared_ptr<Model>> Model::open_once(const std::string& path, const ModelOptions& options, bool& gives_way) {
    WorkControl control({}, options.progress, PONDER_STAGE_OPEN);
    const auto stop_at = [&control](double fraction) {
        control.set_fraction(fraction);
        control.report(true);
        return control.should_stop();
    };
    const Error cancelled = make_error(PONDER_STATUS_CANCELLED, "%s: opening was cancelled", path.c_str());
    if (stop_at(0.0)) return cancelled;

    std::shared_ptr<Model> model(new Model(options.memory_cap));
    model->path_ = path;
    auto file = read_model_file(path);
    if (!file) return file.error();
    model->file_ = std::move(*file);
    if (stop_at(0.2)) return cancelled;

    model->kv_type_ = usual_kv_type(options);
    auto graph = model->build(model->kv_type_);
    if (!graph) return with_context(graph.error(), path);
    model->hyper_parameters_ = graph->hyper_parameters;
    if (stop_at(0.3)) return cancelled;

    auto text = read_text_side(model->file_, model->hyper_parameters_);
    if (!text) return with_context(text.error(), path);
    model->text_ = std::move(*text);
    model->sampling_defaults_ = read_sampling_defaults(model->file_.metadata, model->text_->has_template());
    model->forget_vocabulary();
    if (stop_at(kShareBeforeWeights)) return cancelled;

    auto placement = choose_placement(options, model->hyper_parameters_, graph->program);
    if (!placement) return placement.error();
    model->placement_ = std::move(*placement);
    const auto& chosen = model->placement_->devices();
    const auto count_gpus = [&](bool are_named) {
        return std::count_if(chosen.begin(), chosen.end(), [=](const PlacedDevice& d) { return !d.is_host && d.is_named == are_named; });
    };
    gives_way = count_gpus(false) > 0 && count_gpus(true) == 0;
    const bool is_on_host = count_gpus(false) + count_gpus(true) == 0, must_copy = options.weights == WeightMemory::kCopied;
    if (must_copy && !is_on_host)
        return make_error(PONDER_STATUS_UNSUPPORTED, "%s: copied weights are for models that the CPU alone runs", path.c_str());
    auto program = PlacedProgram::create(std::move(graph->program), *model->placement_);
    if (!program) return program.error();
    if (auto opened = model->open_devices(options, *program); !opened) return opened.error();
    const auto fits = model->place_weights(*program);
    if (!fits) return with_context(fits.error(), path);
    if (must_copy && !*fits)
        return make_error(PONDER_STATUS_OUT_OF_MEMORY, "%s: the weights are larger than the memory, and cannot be copied", path.c_str());
    model->describe(program->whole());
    const auto weights = resident_weights(program->whole());
    // Compiled now, so that what the device refuses is known before anybody waits for a token.
    auto executor = model->make_executor(std::move(*program));
    if (!executor) return with_context(executor.error(), path);
    model->executors_[model->kv_type_] = std::move(*executor);
    // Weights that do not fit are left to the system, which then reads them page by page; a backend that copied them has read them.
    if (*fits && model->device().backend().buffer_import != nullptr) {
        const auto report = [&control](double fraction) {
            control.set_fraction(kShareBeforeWeights + (1.0 - kShareBeforeWeights) * fraction);
            return control.should_stop();
        };
        const std::span<const MappedFile> files = model->file_.files;
        if (auto read = load_weights(files, weights, must_copy, model->info_.n_threads, report); !read)
            return with_context(read.error(), path);
        // Streamed experts take all the memory that there is.
        const bool may_copy = options.weights == WeightMemory::kAuto && is_on_host && !model->is_streaming();
        if (may_copy) model->copier_ = WeightCopier::start(files, weights);
    }
    if (stop_at(1.0)) return cancelled;
    return model;
}

// Devices whose results can be relied on.
Result<void> Model::open_devices(const ModelOptions& options, const PlacedProgram& program) {
    const auto open = [&](const DeviceSlot& slot) { return Device::open(slot, options.n_threads, options.device_cache); };
    for (const PlacedDevice& placed : placement_->devices()) {
        auto device = open(placed.slot);
        if (!device) return device.error();
        devices_.push_back(std::move(*device));
    }
    for (size_t i = 0; i < devices_.size(); i++) {
        auto tested = test_device(i, program);
        if (tested) continue;
        DeviceSlot slot = devices_[i]->slot();
        const bool is_wrong = tested.error().status == PONDER_STATUS_DEVICE || tested.error().status == PONDER_STATUS_DEVICE_LOST;
        if (is_wrong && slot.variant.empty() && !slot.plain_variant().empty()) {
            slot.variant = slot.plain_variant();
            log_message(PONDER_LOG_WARNING, "%s/%s is used: %s", slot.backend->name, slot.variant.c_str(), tested.error().message.c_str());
            auto plainer = open(slot);
            if (!plainer) return plainer.error();
            devices_[i] = std::move(*plainer);
            tested = test_device(i, program);
        }
        if (!tested) return tested;
    }
    return {};
}

// A GPU, on what it has not passed yet of its piece of the program.
Result<void> Model::test_device(size_t i, const PlacedProgram& program) const {
    const bool is_gpu = devices_[i]->n_threads() == 0;
    if (!is_gpu) return {};
    return test_operators(*devices_[i], program.piece(i).view());
}

Result<std::vector<std::byte>> Model::read_device_cache() const {
    std::vector<std::byte> all;
    for (const auto& device : devices_) {
        const auto cache = device->read_cache();
        if (!cache) return cache;
        all.insert(all.end(), cache->begin(), cache->end());
    }
    return all;
}

// Takes what stays in memory from the budget; `program` is rebuilt if experts are streamed. False: the weights are larger than what is
// allowed all the same.
Result<bool> Model::place_weights(PlacedProgram& program) {
    const auto n_tokens = Session::choose_context(hyper_parameters_, {});
    if (!n_tokens) return n_tokens.error();
    // A cap is for all devices together; what the system grants is the host's alone.
    const uint64_t outside = memory_cap_ == 0 ? bytes_outside_host(program, *placement_, *n_tokens) : 0;
    const uint64_t allowed = memory_allowed(memory_cap_) + outside;
    const auto residence = choose_residence(file_, *text_, *placement_, allowed, *n_tokens, program);
    if (!residence) return residence.error();
    if (auto checked = check_room_for_experts(*residence, allowed); !checked) return checked.error();
    if (auto taken = budget_.take(residence->needs.weights, "the model's weights"); !taken) return taken.error();
    if (auto taken = budget_.take(residence->needs.host, "the vocabulary and tables"); !taken) return taken.error();
    weights_.resize(devices_.size());
    for (size_t i = 0; i < devices_.size(); i++) {
        if (auto placed = weights_[i].place_files(*devices_[i], file_); !placed) return placed.error();
    }
    if (residence->is_streaming()) {
        if (auto made = make_expert_cache(*residence, allowed); !made) return made.error();
    }
    return residence->is_whole || residence->is_streaming();
}

// Experts get all that is left, and give of it to caches and scratch memory when sessions need them.
Result<void> Model::make_expert_cache(const Residence& residence, uint64_t allowed) {
    const uint64_t capacity = allowed - residence.needs.total(), least = residence.largest_expert;
    auto cache = ExpertCache::create(file_.files, capacity);
    if (!cache) return cache.error();
    experts_ = std::move(*cache);
    budget_.enforce(allowed, [this, least](uint64_t n_bytes) { return experts_->shrink(n_bytes, least); });
    if (auto taken = budget_.take(capacity, "experts that are read when needed"); !taken) return taken;
    log_message(PONDER_LOG_INFO, "%s: larger than the memory; experts are read when they are needed and %llu bytes of them are kept",
                path_.c_str(), static_cast<unsigned long long>(capacity));
    return {};
}

// The text side has the vocabulary; neither the file's lists of it nor the pages that they came from are needed again.
void Model::forget_vocabulary() {
    for (const char* key : {"tokens", "scores", "token_type", "merges"}) file_.metadata.erase(std::string("tokenizer.ggml.") + key);
    for (size_t i = 0; i < file_.files.size(); i++) {
        uint64_t first = file_.files[i].bytes().size();
        for (const StoredTensor& tensor : file_.tensors) {
            if (static_cast<size_t>(tensor.file_index) == i) first = std::min(first, tensor.file_offset);
        }
        file_.files[i].release(file_.files[i].bytes().first(static_cast<size_t>(first)));
    }
}

Result<std::unique_ptr<Executor>> Model::make_executor(PlacedProgram program) {
    for (size_t i = 0; i < devices_.size(); i++) {
        if (auto bound = weights_[i].bind(*devices_[i], program.piece(i)); !bound) return bound.error();
    }
    return Executor::create(devices_, turns_, budget_, file_, experts_.get(), std::move(program), placement_->max_rows());
}

Executor* Model::find_executor(int32_t kv_type) {
    const std::lock_guard lock(executors_mutex_);
    const auto found = executors_.find(kv_type);
    if (found == executors_.end()) return nullptr;
    is_executor_used_ = true;
    return found->second.get();
}

Result<Executor*> Model::executor(int32_t kv_type) {
    if (Executor* made = find_executor(kv_type)) return made;
    WorkControl control({}, {}, PONDER_STAGE_PREPARE);
    if (auto turn = turns_.begin(control); !turn) return turn.error();
    const TurnEnd turn_end(turns_);
    if (Executor* made = find_executor(kv_type)) return made;  // by another thread, meanwhile
    auto graph = build(kv_type);
    if (!graph) return graph.error();
    {
        // What opening compiled, and nobody has asked for, makes room.
        const std::lock_guard lock(executors_mutex_);
        if (!std::exchange(is_executor_used_, true)) executors_.clear();
    }
    auto program = PlacedProgram::create(std::move(graph->program), *placement_);
    if (!program) return program.error();
    for (size_t i = 0; i < devices_.size(); i++) {
        if (auto tested = test_device(i, *program); !tested) return tested.error();  // attention to a cache of this type
    }
    auto executor = make_executor(std::move(*program));
    if (!executor) return executor.error();
    const std::lock_guard lock(executors_mutex_);
    return (executors_[kv_type] = std::move(*executor)).get();
}

int64_t Model::n_tokens_run() const {
    const std::lock_guard lock(executors_mutex_);
    int64_t total = 0;
    for (const auto& [kv_type, executor] : executors_) total += executor->n_tokens_run();
    return total;
}

ponder_streaming_info Model::streaming_info() const {
    ponder_streaming_info info = PONDER_STREAMING_INFO_INIT;
    info.n_tokens = n_tokens_run();
    if (!is_streaming()) return info;
    const ExpertCacheStatistics cache = experts_->statistics();
    info.is_streaming = 1;
    info.capacity_bytes = cache.capacity_bytes;
    info.held_bytes = cache.held_bytes;
    info.n_demanded = cache.n_demanded;
    info.n_hits = cache.n_hits;
    info.n_guessed = cache.n_guessed;
    info.n_guesses_used = cache.n_guesses_used;
    info.bytes_read = cache.bytes_read;
    return info;
}

void Model::describe(const Program& program) {
    const HyperParameters& h = hyper_parameters_;
    const ponder_device_info device = devices_.front()->describe();
    int32_t n_threads = 0;
    for (const auto& own : devices_) n_threads = std::max(n_threads, own->n_threads());
    info_ = {.struct_size = sizeof(ponder_model_info),
             .n_vocab = static_cast<int32_t>(h.n_vocab),
             .architecture = hyper_parameters_.architecture.c_str(),
             .name = hyper_parameters_.name.c_str(),
             .backend = device.backend,
             .device = device.name,
             .isa = device.description,
             .n_parameters = file_.n_parameters(),
             .context_length = h.context_length,
             .n_layers = static_cast<int32_t>(h.n_layers),
             .n_embd = static_cast<int32_t>(h.n_embd),
             .n_heads = static_cast<int32_t>(h.n_heads[0]),
             .n_kv_heads = static_cast<int32_t>(h.n_kv_heads[0]),
             .head_dim = static_cast<int32_t>(h.k_head_dim),
             .has_chat_template = text_->has_template(),
             .can_think = text_->can_think(),
             .n_threads = n_threads,
             .file_bytes = file_.file_bytes(),
             .decode_bytes = program.decode_bytes(),
             .kv_bytes_per_token = program.view().kv_page_bytes / static_cast<uint64_t>(program.view().kv_page_tokens)};
    log_message(PONDER_LOG_INFO, "%s: %s, %lld layers, %lld parameters, on %s (%s)", path_.c_str(), info_.architecture,
                static_cast<long long>(h.n_layers), static_cast<long long>(info_.n_parameters), info_.backend, info_.device);
    if (!placement_->is_split()) return;
    for (size_t i = 0; i < devices_.size(); i++) {
        const PlacedDevice& share = placement_->devices()[i];
        const bool has_experts = placement_->expert_device() == static_cast<int32_t>(i);
        log_message(PONDER_LOG_INFO, "%s: %d layers%s on %s (%s)", path_.c_str(), share.n_layers, has_experts ? " and routed experts" : "",
                    devices_[i]->backend().name, devices_[i]->describe().name);
    }
}

}  // namespace ponder
