// SPDX-License-Identifier: Apache-2.0
// Emits the parts of a decoder that do not depend on its architecture.
#include "model/decoder.hpp"

#include "base/limits.hpp"

namespace ponder {

Result<void> add_decoder(const ModelFile& file, HyperParameters& h, ProgramBuilder& program, WeightBinder& weights,
                         const AddLayer& add_layer) {
    const StoredTensor* table = file.find("token_embd.weight");
    if (table == nullptr) return make_error(PONDER_STATUS_FORMAT, "tensor 'token_embd.weight' is missing");
    h.n_vocab = table->dims[1];
    if (h.n_vocab > limits::kMaxVocabulary) {
        return make_error(PONDER_STATUS_LIMIT, "tensor 'token_embd.weight' has %lld rows, the limit is %lld",
                          static_cast<long long>(h.n_vocab), static_cast<long long>(limits::kMaxVocabulary));
    }
    const OperandId embedding = weights.matrix("token_embd.weight", h.n_embd, h.n_vocab);
    if (weights.failure()) return *weights.failure();

    const OperandId x = program.embed(embedding);
    OperandId delta = kNoOperand;
    for (int64_t layer = 0; layer < h.n_layers; layer++) {
        program.set_layer(static_cast<int32_t>(layer));
        auto added = add_layer(static_cast<size_t>(layer), x, delta);
        if (!added) return added.error();
        delta = *added;
    }
    program.set_layer(-1);
    program.add(x, delta);
    const OperandId norm = weights.vector("output_norm.weight", h.n_embd);
    const OperandId head = weights.has("output.weight") ? weights.matrix("output.weight", h.n_embd, h.n_vocab) : embedding;
    const OperandId bias = weights.optional_vector("output.bias", h.n_vocab);
    if (weights.failure()) return *weights.failure();
    program.logits(program.rms_norm(program.gather_rows(x), norm, h.rms_epsilon), head, bias);
    return {};
}

OperandId add_projection(ProgramBuilder& program, WeightBinder& weights, const std::string& name, OperandId x, int64_t n_in, int64_t n_out,
                         const char* label) {
    const OperandId weight = weights.matrix(name + ".weight", n_in, n_out);
    const OperandId bias = weights.optional_vector(name + ".bias", n_out);
    return weights.failure() ? kNoOperand : program.matmul(x, weight, bias, label);
}

OperandId add_gated_ffn(ProgramBuilder& program, WeightBinder& weights, const std::string& prefix, OperandId x, int64_t n_embd,
                        int64_t n_ff, const std::string& suffix) {
    const OperandId gate = add_projection(program, weights, prefix + "_gate" + suffix, x, n_embd, n_ff, "ffn gate");
    const OperandId up = add_projection(program, weights, prefix + "_up" + suffix, x, n_embd, n_ff, "ffn up");
    if (weights.failure()) return kNoOperand;
    return add_projection(program, weights, prefix + "_down" + suffix, program.swiglu(gate, up), n_ff, n_embd, "ffn down");
}

}  // namespace ponder
