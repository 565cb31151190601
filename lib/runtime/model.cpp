// SPDX-License-Identifier: Apache-2.0
// Opens models: file, text, graph, device, in an order that checks everything before anything is computed.
#include "runtime/model.hpp"

#include <iterator>
#include <utility>

#include "base/log.hpp"
#include "runtime/model_source.hpp"

namespace ponder {

namespace {

// DeepSeek's recommendation for R1; a model without a chat template is continued greedily, which repeats exactly.
constexpr float kDefaultTemperature = 0.6f, kDefaultTopP = 0.95f;

// A value of the file if it is there and sane; files may hold anything.
float sampling_value(const Metadata& metadata, const char* key, float low, float high, float fallback) {
    const auto value = metadata.get_f32(key);
    if (!value || !*value || !(**value >= low && **value <= high)) return fallback;
    return **value;
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

SamplerParams read_sampling_defaults(const Metadata& metadata, bool has_template) {
    SamplerParams params;
    params.temperature = sampling_value(metadata, "general.sampling.temp", 0.0f, 10.0f, has_template ? kDefaultTemperature : 0.0f);
    params.top_p = sampling_value(metadata, "general.sampling.top_p", 0.01f, 1.0f, kDefaultTopP);
    params.min_p = sampling_value(metadata, "general.sampling.min_p", 0.0f, 1.0f, 0.0f);
    const auto top_k = metadata.get_i32("general.sampling.top_k");
    if (top_k && *top_k && **top_k > 0) params.top_k = **top_k;
    return params;
}

Result<std::shared_ptr<Model>> Model::open(const std::string& path, const ModelOptions& options) {
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

    auto graph = build_graph(model->file_, {});
    if (!graph) return with_context(graph.error(), path);
    model->hyper_parameters_ = graph->hyper_parameters;
    if (stop_at(0.4)) return cancelled;

    auto text = read_text_side(model->file_, model->hyper_parameters_);
    if (!text) return with_context(text.error(), path);
    model->text_ = std::move(*text);
    model->sampling_defaults_ = read_sampling_defaults(model->file_.metadata, model->text_->has_template());
    if (stop_at(0.8)) return cancelled;

    const auto slot = choose_device(options.device);
    if (!slot) return slot.error();
    auto device = Device::open(*slot, options.n_threads);
    if (!device) return device.error();
    model->device_ = std::move(*device);
    if (auto placed = model->place_weights(); !placed) return with_context(placed.error(), path);
    // Compiled now, so that what the device refuses is known before anybody waits for a token.
    if (auto executor = model->executor(PONDER_TYPE_F32); !executor) return with_context(executor.error(), path);
    model->describe(graph->program);
    if (stop_at(1.0)) return cancelled;
    return model;
}

Result<void> Model::place_weights() {
    for (const MappedFile& mapped : file_.files) {
        const auto bytes = mapped.bytes();
        if (auto taken = budget_.take(bytes.size(), "the model's weights"); !taken) return taken.error();
        auto buffer = device_->place(bytes.data(), bytes.size());
        if (!buffer) return buffer.error();
        file_buffers_.push_back(std::move(*buffer));
    }
    return {};
}

Result<std::unique_ptr<Executor>> Model::build_executor(int32_t kv_type) {
    std::vector<Buffer> constants;
    auto graph = build_graph(file_, {.kv_type = kv_type});
    if (!graph) return graph.error();
    for (ponder_operand& operand : graph->program.operands()) {
        if (operand.role != PONDER_OPERAND_WEIGHT) continue;
        const auto* data = static_cast<const std::byte*>(operand.host_data);
        for (size_t i = 0; i < file_.files.size(); i++) {
            const auto bytes = file_.files[i].bytes();
            if (data < bytes.data() || data >= bytes.data() + bytes.size()) continue;
            operand.buffer = file_buffers_[i].get();
            operand.offset = static_cast<uint64_t>(data - bytes.data());
        }
        if (operand.buffer != nullptr) continue;
        auto buffer = device_->place(operand.host_data, operand.n_bytes);
        if (!buffer) return buffer.error();
        constants.push_back(std::move(*buffer));
        operand.buffer = constants.back().get();
    }
    auto executor = Executor::create(*device_, turns_, budget_, std::move(graph->program));
    if (!executor) return executor;
    constant_buffers_.reserve(constant_buffers_.size() + constants.size());
    std::move(constants.begin(), constants.end(), std::back_inserter(constant_buffers_));
    return executor;
}

Executor* Model::find_executor(int32_t kv_type) {
    const std::lock_guard lock(executors_mutex_);
    const auto found = executors_.find(kv_type);
    return found == executors_.end() ? nullptr : found->second.get();
}

Result<Executor*> Model::executor(int32_t kv_type) {
    if (Executor* made = find_executor(kv_type)) return made;
    WorkControl control({}, {}, PONDER_STAGE_PREPARE);
    if (auto turn = turns_.begin(control); !turn) return turn.error();
    const TurnEnd turn_end(turns_);
    if (Executor* made = find_executor(kv_type)) return made;  // by another thread, meanwhile
    auto executor = build_executor(kv_type);
    if (!executor) return executor.error();
    const std::lock_guard lock(executors_mutex_);
    return (executors_[kv_type] = std::move(*executor)).get();
}

void Model::describe(const Program& program) {
    const HyperParameters& h = hyper_parameters_;
    const ponder_device_info device = device_->describe();
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
             .n_threads = device_->n_threads(),
             .file_bytes = file_.file_bytes(),
             .decode_bytes = program.decode_bytes(),
             .kv_bytes_per_token = program.view().kv_page_bytes / static_cast<uint64_t>(program.view().kv_page_tokens)};
    log_message(PONDER_LOG_INFO, "%s: %s, %lld layers, %lld parameters, on %s (%s)", path_.c_str(), info_.architecture,
                static_cast<long long>(h.n_layers), static_cast<long long>(info_.n_parameters), info_.backend, info_.device);
}

}  // namespace ponder
