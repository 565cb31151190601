// SPDX-License-Identifier: Apache-2.0
// Tiny models in Hugging Face's layout (hf_models.json), made from nothing but tensor names; hf_fixture.py states the rules of their
// weights.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace ponder_test {

// A tensor as a safetensors file holds it.
struct HfPart {
    std::string name, dtype;
    std::vector<int64_t> shape;  // slowest dimension first
    std::vector<uint8_t> bytes;
};

// What the stored bytes of a tensor mean. FP8 weights are multiplied by their blocks' factors.
struct HfMatrix {
    int64_t rows = 0, cols = 0;  // a vector is one row
    std::vector<float> values;   // [rows, cols]
};

struct HfModel {
    std::string name, stored;  // dtype of the matrices
    size_t n_files = 1;
    nlohmann::json config;
    std::vector<HfPart> parts;
    std::map<std::string, HfMatrix> tensors;  // by HF name
};

struct HfModels {
    std::vector<int32_t> tokens;  // what all models are asked to read
    std::vector<HfModel> models;
};

HfModels make_hf_models();

// A number of all stored bytes, to see that two writers of one model agree.
uint64_t digest(const HfModel& model);

// Writes config.json and the tensors, dealt out to `n_files` safetensors files in turn, into an existing folder. n_blanks more at the end
// of the headers shift the data off its alignment. False: could not write.
bool write_hf_folder(const HfModel& model, const std::string& folder, size_t n_blanks = 0);

}  // namespace ponder_test
