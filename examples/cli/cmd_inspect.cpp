// SPDX-License-Identifier: Apache-2.0
// `ponder inspect`: what is in a model file of any architecture, without reading its weights.
#include <algorithm>
#include <map>

#include "command.hpp"
#include "failure.hpp"
#include "fill_buffer.hpp"
#include "json_text.hpp"
#include "model.hpp"
#include "model_summary.hpp"

namespace ponder::tool {
namespace {

constexpr size_t kShownElements = 8;
constexpr size_t kShownText = 160;  // bytes of one value in the table
constexpr const char* kTemplateKey = "tokenizer.chat_template";

struct Metadata {
    std::string key;
    std::string json;  // the value as JSON text
};

struct TypeTotal {
    int64_t n_tensors = 0;
    uint64_t n_bytes = 0;
};

// Cut to kShownText bytes, between UTF-8 sequences.
std::string cut(const std::string& text) {
    if (text.size() <= kShownText) return text;
    size_t size = kShownText;
    while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
    return text.substr(0, size) + "... (" + std::to_string(text.size()) + " bytes)";
}

Json to_json(const Metadata& entry) {
    try {
        return parse_json(entry.json);
    } catch (const Failure&) {
        return entry.json;  // such as a float that is no number
    }
}

Json to_json(const ponder_tensor_info& tensor) {
    Json dims = Json::array();
    for (int32_t i = 0; i < tensor.n_dims; ++i) dims.push_back(tensor.dims[i]);
    return Json{{"name", tensor.name},     {"type", tensor.type}, {"dims", std::move(dims)},
                {"bytes", tensor.n_bytes}, {"file", tensor.file}, {"offset", tensor.offset}};
}

class InspectCommand : public Command {
  public:
    void add_options(CLI::App& app) override {
        add_model_options(app, options_);
        app.add_option("file", options_.path, "Model file, as with -m")->type_name("FILE")->excludes("-m");
        app.parse_complete_callback([this] {
            if (options_.path.empty()) throw CLI::RequiredError("file");
        });
        app.add_flag("--tensors", shows_tensors_, "List the tensors");
        app.add_flag("--template", shows_template_, "Print the chat template and nothing else");
    }

    void run() override {
        ponder_error error;
        ponder_file* opened = nullptr;
        check(ponder_file_open(options_.path.c_str(), &opened, &error), error);
        file_.reset(opened);
        check(ponder_file_describe(opened, &info_, &error), error);
        summary_ = ModelSummary(info_.architecture);
        if (shows_template_) {
            print_template();
            return;
        }
        for (int64_t i = 0; i < info_.n_tensors; ++i) {
            const ponder_tensor_info tensor = describe_tensor(i);
            TypeTotal& total = types_[tensor.type];
            ++total.n_tensors;
            total.n_bytes += tensor.n_bytes;
            summary_.add_tensor(tensor.name);
        }
        read_summary_keys();
        read_remarks();
        read_text_side();
        options_.is_json ? print_json() : print_table();
    }

  private:
    Metadata metadata(int64_t i, size_t max_elements) const {
        const char* key = nullptr;
        auto json = fill_buffer<std::string>(4096, [&](char* buffer, size_t capacity, size_t* n_needed, ponder_error* error) {
            return ponder_file_metadata(file_.get(), i, max_elements, &key, buffer, capacity, n_needed, error);
        });
        return {key, std::move(json)};
    }

    ponder_tensor_info describe_tensor(int64_t i) const {
        ponder_tensor_info tensor = PONDER_TENSOR_INFO_INIT;
        ponder_error error;
        check(ponder_file_describe_tensor(file_.get(), i, &tensor, &error), error);
        return tensor;
    }

    void read_summary_keys() {
        for (int64_t i = 0; i < info_.n_keys; ++i) {
            const Metadata entry = metadata(i, kShownElements);
            if (summary_.wants_key(entry.key)) summary_.add_key(entry.key, to_json(entry));
        }
    }

    void read_remarks() {
        for (int64_t i = 0; i < info_.n_remarks; ++i) {
            ponder_error error;
            const char* remark = nullptr;
            check(ponder_file_remark(file_.get(), i, &remark, &error), error);
            remarks_.emplace_back(remark);
        }
    }

    // A tokenizer that the library cannot use is something to report here, not a failure.
    void read_text_side() {
        try {
            const TextHandle text = open_text(options_.path);
            ponder_error error;
            check(ponder_text_describe(text.get(), &text_info_, &error), error);
        } catch (const Failure& failure) {
            text_problem_ = failure.why;
        }
    }

    void print_template() const {
        for (int64_t i = 0; i < info_.n_keys; ++i) {
            const Metadata entry = metadata(i, 1);
            if (entry.key != kTemplateKey) continue;
            const Json value = to_json(entry);
            if (!value.is_string()) fail("%s is not a string", kTemplateKey);
            std::string text = value.get<std::string>();
            if (!text.ends_with('\n')) text += '\n';
            write_out(shown_text(text));
            return;
        }
        fail("the file has no chat template");
    }

    void print_json() const {
        Json::object_t values;  // appended to: setting by key would search all the keys before it
        for (int64_t i = 0; i < info_.n_keys; ++i) {
            const Metadata entry = metadata(i, kShownElements);
            values.emplace_back(entry.key, to_json(entry));
        }
        Json types = Json::object();
        for (const auto& [type, total] : types_) types[type] = {{"tensors", total.n_tensors}, {"bytes", total.n_bytes}};
        Json document{{"architecture", info_.architecture},
                      {"n_files", info_.n_files},
                      {"file_bytes", info_.file_bytes},
                      {"tensor_bytes", info_.tensor_bytes},
                      {"n_parameters", info_.n_parameters},
                      {"n_keys", info_.n_keys},
                      {"n_tensors", info_.n_tensors},
                      {"metadata", std::move(values)},
                      {"types", std::move(types)},
                      {"tokenizer", tokenizer_json()},
                      {"latent_attention", summary_.latent_attention()},
                      {"experts", summary_.experts()},
                      {"prediction_layers", summary_.prediction_layers()},
                      {"remarks", remarks_}};
        if (shows_tensors_) {
            Json tensors = Json::array();
            for (int64_t i = 0; i < info_.n_tensors; ++i) tensors.push_back(to_json(describe_tensor(i)));
            document["tensors"] = std::move(tensors);
        }
        write_out(to_json_line(document).append("\n"));
    }

    Json tokenizer_json() const {
        if (!text_problem_.empty()) return Json{{"error", text_problem_}};
        return Json{{"n_tokens", text_info_.n_tokens},
                    {"bos_token", text_info_.bos_token},
                    {"eos_token", text_info_.eos_token},
                    {"adds_bos", text_info_.adds_bos != 0},
                    {"think_token", text_info_.think_token},
                    {"end_think_token", text_info_.end_think_token},
                    {"has_template", text_info_.has_template != 0}};
    }

    void print_table() const {
        print_out("architecture  %s\n", info_.architecture[0] ? one_line(cut(info_.architecture)).c_str() : "not given");
        print_out("parameters    %lld\n", static_cast<long long>(info_.n_parameters));
        print_out("size          %s in %d file%s\n", format_bytes(info_.file_bytes).c_str(), info_.n_files, info_.n_files == 1 ? "" : "s");
        if (!text_problem_.empty()) {
            print_out("tokenizer     %s\n", one_line(text_problem_).c_str());
        } else if (text_info_.n_tokens == 0) {
            print_out("tokenizer     none\n");
        } else {
            print_out("tokenizer     %d tokens; bos %d%s, eos %d, think %d, end of think %d; chat template: %s\n", text_info_.n_tokens,
                      text_info_.bos_token, text_info_.adds_bos ? " (added)" : "", text_info_.eos_token, text_info_.think_token,
                      text_info_.end_think_token, text_info_.has_template ? "yes, see --template" : "none");
        }
        for (const auto& [subject, text] : summary_.lines()) print_out("%-13s %s\n", subject.c_str(), one_line(text).c_str());
        for (const std::string& remark : remarks_) print_out("remark        %s\n", one_line(remark).c_str());
        print_out("\nmetadata (%lld keys)\n", static_cast<long long>(info_.n_keys));
        for (int64_t i = 0; i < info_.n_keys; ++i) {
            const Metadata entry = metadata(i, kShownElements);
            write_out("  " + one_line(cut(entry.key)) + " = " + one_line(cut(entry.json)) + "\n");
        }
        print_out("\ntypes (%lld tensors)\n", static_cast<long long>(info_.n_tensors));
        for (const auto& [type, total] : types_) {
            print_out("  %-8s %6lld tensors  %s\n", type.c_str(), static_cast<long long>(total.n_tensors),
                      format_bytes(total.n_bytes).c_str());
        }
        if (shows_tensors_) print_tensors();
    }

    void print_tensors() const {
        print_out("\ntensors (dimensions: fastest first)\n");
        for (int64_t i = 0; i < info_.n_tensors; ++i) {
            const ponder_tensor_info tensor = describe_tensor(i);
            std::string dims;
            for (int32_t d = 0; d < tensor.n_dims; ++d) dims.append(d > 0 ? " x " : "").append(std::to_string(tensor.dims[d]));
            print_out("  %-40s %-8s %-24s %s\n", one_line(cut(tensor.name)).c_str(), tensor.type, dims.c_str(),
                      format_bytes(tensor.n_bytes).c_str());
        }
    }

    bool shows_tensors_ = false;
    bool shows_template_ = false;
    ModelOptions options_;
    FileHandle file_;
    ponder_file_info info_ = PONDER_FILE_INFO_INIT;
    ponder_text_info text_info_ = PONDER_TEXT_INFO_INIT;
    std::string text_problem_;  // why there is no tokenizer summary; "": there is one
    std::map<std::string, TypeTotal> types_;
    ModelSummary summary_{""};
    std::vector<std::string> remarks_;
};

}  // namespace

std::unique_ptr<Command> make_inspect_command() { return std::make_unique<InspectCommand>(); }

}  // namespace ponder::tool
