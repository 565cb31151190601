// SPDX-License-Identifier: Apache-2.0
// C ABI: looking into model files, converting them, and writing synthetic ones.
#include <algorithm>

#include "capi/guard.hpp"
#include "capi/handles.hpp"
#include "format/json.hpp"
#include "model/file_remarks.hpp"
#include "quant/quant.hpp"
#include "runtime/convert.hpp"
#include "runtime/model_source.hpp"
#include "runtime/synth.hpp"

using ponder::make_error;
using ponder::Result;
using ponder::capi::fill_buffer;
using ponder::capi::guard;
using ponder::capi::read_struct;
using ponder::capi::require;
using ponder::capi::require_zero;
using ponder::capi::write_struct;

namespace {

using nlohmann::json;

json scalar_to_json(const ponder::Value& value) {
    if (value.type() == ponder::ValueType::kString) return std::string(value.text());
    if (value.type() == ponder::ValueType::kBool) return value.bits() != 0;
    if (value.type() == ponder::ValueType::kF32 || value.type() == ponder::ValueType::kF64) return value.as_double();
    if (value.type() == ponder::ValueType::kU64) return value.bits();
    return static_cast<int64_t>(value.bits());
}

json array_to_json(const ponder::Value& value, size_t max_elements) {
    const size_t n = value.size(), shown = max_elements == 0 ? n : std::min(n, max_elements);
    json result = json::array();
    for (size_t i = 0; i < shown; i++) {
        if (value.element_type() == ponder::ValueType::kString) {
            result.push_back(std::string(value.strings()[i]));
        } else if (value.element_type() == ponder::ValueType::kF32 || value.element_type() == ponder::ValueType::kF64) {
            result.push_back(value.numbers().double_at(i));
        } else if (value.element_type() == ponder::ValueType::kBool) {
            result.push_back(value.numbers().int64_at(i) != 0);
        } else {
            result.push_back(value.numbers().int64_at(i));
        }
    }
    if (shown < n) result.push_back("... " + std::to_string(n - shown) + " more");
    return result;
}

}  // namespace

extern "C" {

PONDER_API ponder_status ponder_file_open(const char* path, ponder_file** out, ponder_error* err) {
    return guard(err, [&]() -> Result<void> {
        if (out != nullptr) *out = nullptr;
        if (auto given = require("path and out", path, out); !given) return given;
        auto file = ponder::read_model_file(path);
        if (!file) return file.error();
        const auto architecture = file->metadata.get_string("general.architecture");
        std::string name(architecture && *architecture ? **architecture : std::string_view());
        std::vector<std::string> keys;
        for (const auto& entry : file->metadata.entries()) keys.emplace_back(entry.key);
        std::vector<std::string> remarks = ponder::file_remarks(*file);
        *out = new ponder_file{std::move(*file), std::move(name), std::move(keys), std::move(remarks)};
        return {};
    });
}

PONDER_API void ponder_file_close(ponder_file* file) { delete file; }

PONDER_API ponder_status ponder_file_describe(const ponder_file* file, ponder_file_info* out, ponder_error* err) {
    return guard(err, [&]() -> Result<void> {
        if (auto given = require("file", file); !given) return given;
        const ponder::ModelFile& model = file->impl;
        const ponder_file_info info{.struct_size = sizeof info,
                                    .n_files = static_cast<int32_t>(model.files.size()),
                                    .architecture = file->architecture.c_str(),
                                    .n_keys = static_cast<int64_t>(model.metadata.entries().size()),
                                    .n_tensors = static_cast<int64_t>(model.tensors.size()),
                                    .file_bytes = model.file_bytes(),
                                    .tensor_bytes = model.data_bytes,
                                    .n_parameters = model.n_parameters(),
                                    .n_remarks = static_cast<int64_t>(file->remarks.size())};
        return write_struct(info, out, "out");
    });
}

PONDER_API ponder_status ponder_file_describe_tensor(const ponder_file* file, int64_t i, ponder_tensor_info* out, ponder_error* err) {
    return guard(err, [&]() -> Result<void> {
        if (auto given = require("file", file); !given) return given;
        const auto& tensors = file->impl.tensors;
        if (i < 0 || i >= static_cast<int64_t>(tensors.size())) {
            return make_error(PONDER_STATUS_NOT_FOUND, "tensor %lld does not exist; there are %zu", static_cast<long long>(i),
                              tensors.size());
        }
        const ponder::StoredTensor& t = tensors[static_cast<size_t>(i)];
        const ponder_tensor_info info{.struct_size = sizeof info,
                                      .n_dims = t.n_dims,
                                      .name = t.name.c_str(),
                                      .type = ponder::find_quant_type(t.type)->name,
                                      .dims = {t.dims[0], t.dims[1], t.dims[2], t.dims[3]},
                                      .n_bytes = t.n_bytes(),
                                      .offset = t.file_offset,
                                      .file = t.file_index};
        return write_struct(info, out, "out");
    });
}

PONDER_API ponder_status ponder_file_metadata(const ponder_file* file, int64_t i, size_t max_elements, const char** key, char* buffer,
                                              size_t capacity, size_t* size_needed, ponder_error* err) {
    return guard(err, [&]() -> Result<void> {
        if (key != nullptr) *key = nullptr;
        if (size_needed != nullptr) *size_needed = 0;
        if (auto given = require("file, key and size_needed", file, key, size_needed); !given) return given;
        if (i < 0 || i >= static_cast<int64_t>(file->keys.size())) {
            return make_error(PONDER_STATUS_NOT_FOUND, "key %lld does not exist; there are %zu", static_cast<long long>(i),
                              file->keys.size());
        }
        const ponder::Value& value = file->impl.metadata.entries()[static_cast<size_t>(i)].value;
        const json document = value.type() == ponder::ValueType::kArray ? array_to_json(value, max_elements) : scalar_to_json(value);
        *key = file->keys[static_cast<size_t>(i)].c_str();
        const std::string text = ponder::dump_json(document);
        return fill_buffer(text.data(), text.size(), buffer, capacity, size_needed);
    });
}

PONDER_API ponder_status ponder_file_remark(const ponder_file* file, int64_t i, const char** out, ponder_error* err) {
    return guard(err, [&]() -> Result<void> {
        if (out != nullptr) *out = nullptr;
        if (auto given = require("file and out", file, out); !given) return given;
        if (i < 0 || i >= static_cast<int64_t>(file->remarks.size())) {
            return make_error(PONDER_STATUS_NOT_FOUND, "remark %lld does not exist; there are %zu", static_cast<long long>(i),
                              file->remarks.size());
        }
        *out = file->remarks[static_cast<size_t>(i)].c_str();
        return {};
    });
}

PONDER_API ponder_status ponder_file_synthesize(const char* shape, const char* path, const ponder_synth_params* params, ponder_error* err) {
    return guard(err, [&]() -> Result<void> {
        if (auto given = require("shape and path", shape, path); !given) return given;
        const auto p = read_struct(params, "ponder_synth_params");
        if (!p) return p.error();
        if (auto zero = require_zero(p->reserved, "ponder_synth_params"); !zero) return zero;
        if (p->n_layers < 0 || p->n_experts < 0)
            return make_error(PONDER_STATUS_INVALID_ARGUMENT, "n_layers and n_experts must be 0 or more");
        ponder::SynthParams synth;
        synth.n_layers = p->n_layers;
        synth.n_experts = p->n_experts;
        if (p->type != nullptr) synth.type = p->type;
        synth.seed = p->seed;
        if (p->tokenizer_path != nullptr) synth.tokenizer_path = p->tokenizer_path;
        if (p->on_progress != nullptr) {
            synth.on_progress = [&](double fraction) { return p->on_progress(p->progress_user_data, PONDER_STAGE_WRITE, fraction) == 0; };
        }
        return ponder::synthesize(shape, path, synth);
    });
}

PONDER_API ponder_status ponder_file_convert(const char* in, const char* out, const ponder_convert_params* params, ponder_error* err) {
    return guard(err, [&]() -> Result<void> {
        if (auto given = require("in and out", in, out); !given) return given;
        const auto p = read_struct(params, "ponder_convert_params");
        if (!p) return p.error();
        // Known to be good before hours of work depend on it.
        const ponder_convert_report empty{};
        if (p->report != nullptr) {
            if (auto cleared = write_struct(empty, p->report, "report"); !cleared) return cleared;
        }
        ponder::ConvertParams convert;
        convert.n_threads = p->n_threads;
        if (p->type != nullptr) convert.type = p->type;
        if (p->imatrix_path != nullptr) convert.importance_path = p->imatrix_path;
        if (p->on_progress != nullptr) {
            convert.on_progress = [&](double fraction) { return p->on_progress(p->progress_user_data, PONDER_STAGE_WRITE, fraction) == 0; };
        }
        const auto made = ponder::convert_file(in, out, convert);
        if (!made) return made.error();
        if (p->report == nullptr) return {};
        const ponder_convert_report report{.struct_size = sizeof report,
                                           .n_tensors = made->n_tensors,
                                           .n_copied = made->n_copied,
                                           .n_fallbacks = made->n_fallbacks,
                                           .n_without_importance = made->n_without_importance,
                                           .source_bytes = made->source_bytes,
                                           .written_bytes = made->written_bytes};
        return write_struct(report, p->report, "report");
    });
}

}  // extern "C"
