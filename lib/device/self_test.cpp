// SPDX-License-Identifier: Apache-2.0
// Small programs around one operator each, run on the device and on the reference.
#include "device/self_test.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstring>
#include <deque>
#include <optional>
#include <random>

#include "base/checksum.hpp"
#include "base/log.hpp"
#include "op/op_check.hpp"
#include "op/program.hpp"
#include "quant/quant.hpp"
#include "quant/sample_blocks.hpp"

namespace ponder {

namespace {

constexpr int64_t kWidth = 256, kOutputs = 64, kTokens = 64, kExperts = 8;
constexpr int32_t kHeads = 4;
// More rows than backends take for few, so that both ways of a product are used.
constexpr int32_t kRows = 40, kFewerRows = 12;  // the fewer, of large matrices
// Squared error over power. Rounding of activations to eight bits or of the cache to blocks stays below 1e-4; what is broken is near 1.
constexpr double kLimit = 2e-3;

constexpr int32_t kNoType = -1;

// One operator to test: its kind, what it is about, and the stored types of its weights.
struct Subject {
    ponder_op op;
    // Of a norm, the product that is added first; of a SwiGLU, the products before it; kNoType: none.
    int32_t types[3] = {PONDER_TYPE_F32, PONDER_TYPE_F32, PONDER_TYPE_F32};
    int32_t kv_type = PONDER_TYPE_F32;
    // A product's own columns and rows, as far as backends choose between implementations by them.
    int64_t n_in = kWidth, n_out = kOutputs;
    bool has_norm = false;            // products whose source a norm makes
    ponder_moe_route_params route{};  // of experts
    bool route_has_bias = false;

    uint64_t key() const {
        Checksum sum;
        const int64_t numbers[] = {2,    op.kind, types[0], types[1],      types[2], kv_type, op.src[2] < 0, op.src[4] < 0,
                                   n_in, n_out,   has_norm, route_has_bias};  // the first: of this file's problems
        sum.update(std::as_bytes(std::span(numbers)));
        const auto take = [&sum](const auto& params) { sum.update(std::as_bytes(std::span(&params, 1))); };
        if (op.kind == PONDER_OP_ROPE) take(op.params.rope);
        if (op.kind == PONDER_OP_ATTENTION) {
            const ponder_attention_params& p = op.params.attention;
            take(std::array{p.n_heads, p.n_kv_heads, p.k_head_dim, p.v_head_dim});
        }
        if (op.kind == PONDER_OP_MLA_ATTENTION) {
            const ponder_mla_attention_params& p = op.params.mla_attention;
            take(std::array{p.n_nope, p.n_rope, p.n_latent, p.v_head_dim});
        }
        if (op.kind == PONDER_OP_MOE_FFN) {
            take(std::array{route.n_groups > 1 ? 1 : 0, route.gating, route.is_normalised});
            take(route.scale);
        }
        return sum.value();
    }
    std::string name() const {
        const QuantType* stored = find_quant_type(types[0]);
        const bool has_type = (op.kind == PONDER_OP_MATMUL || op.kind == PONDER_OP_LOGITS) && stored != nullptr;
        return std::string(op_name(op.kind)) + (has_type ? std::string(" of type ") + stored->name : "");
    }
};

// A program and the bytes of its weights.
class Problem {
  public:
    // n_copies: the output rows of a product are so many times the same kOutputs.
    explicit Problem(const Subject& subject, int64_t n_copies = 1) : subject_(subject), n_copies_(n_copies) {
        builder_.kv().type = subject.kv_type;
    }

    Result<Program> build() {
        OperandId result = kNoOperand;
        switch (subject_.op.kind) {
            case PONDER_OP_MATMUL:
            case PONDER_OP_LOGITS:
                result = builder_.gather_rows(input(subject_.n_in));
                if (subject_.has_norm) result = builder_.rms_norm(result, numbers(subject_.n_in), 1e-6f);
                builder_.logits(result, matrix(subject_.types[0], subject_.n_in, kOutputs, 1, n_copies_), kNoOperand);
                return std::move(builder_).finish();
            case PONDER_OP_RMS_NORM: {
                const OperandId x = input(kWidth), delta = subject_.types[0] == kNoType ? kNoOperand : product(input(kWidth), 0);
                result = builder_.rms_norm(x, numbers(kWidth), 1e-6f, delta);
                break;
            }
            case PONDER_OP_ROPE:
                result = rope();
                break;
            case PONDER_OP_ATTENTION:
                if (auto attended = attend()) result = *attended;
                break;
            case PONDER_OP_MLA_ATTENTION:
                if (auto attended = attend_latents()) result = *attended;
                break;
            case PONDER_OP_MOE_FFN:
                result = mix_experts();
                break;
            case PONDER_OP_SWIGLU:
                result = gate();
                break;
            case PONDER_OP_ADD:
                result = input(kWidth);
                builder_.add(result, input(kWidth));
                break;
            default:
                break;
        }
        if (result == kNoOperand) return make_error(PONDER_STATUS_INTERNAL, "no self-test for this operator");
        builder_.logits(builder_.gather_rows(result), matrix(PONDER_TYPE_F32, builder_.width(result), kOutputs), kNoOperand);
        return std::move(builder_).finish();
    }

  private:
    OperandId input(int64_t width) { return builder_.embed(matrix(PONDER_TYPE_F32, width, kTokens)); }

    OperandId numbers(int64_t n) {
        std::vector<float> values(static_cast<size_t>(n));
        for (float& v : values) v = 1.0f + 0.25f * normal_(random_);
        return builder_.add_constant("numbers", std::move(values));
    }

    OperandId product(OperandId x, size_t i) {
        return builder_.matmul(x, matrix(subject_.types[i], kWidth, kWidth), kNoOperand, "product");
    }

    OperandId gate() {
        if (subject_.types[0] == kNoType) return builder_.swiglu(input(kWidth), input(kWidth));
        OperandId x = input(kWidth);
        if (subject_.has_norm) x = builder_.rms_norm(x, numbers(kWidth), 1e-6f);
        const OperandId first = product(x, 0);
        return builder_.swiglu(first, product(x, 1));
    }

    OperandId matrix(int32_t type_id, int64_t n_in, int64_t n_out, int64_t n = 1, int64_t n_copies = 1) {
        constexpr float kMost = 16.0f;  // no sum leaves a half float's range
        const QuantType& type = *find_quant_type(type_id);
        const auto n_blocks = static_cast<size_t>(n_in * n_out * n / type.block_len), once = n_blocks * type.block_bytes;
        std::vector<std::byte>& bytes = bytes_.emplace_back(once);
        make_sample_blocks(type, n_blocks, kMost, random_, normal_, bytes.data());
        bytes.resize(once * static_cast<size_t>(n_copies));
        for (size_t i = once; i < bytes.size(); i += once) std::memcpy(bytes.data() + i, bytes.data(), once);
        const int64_t dims[] = {n_in, n_out * n_copies, n};
        const OperandId weight = builder_.add_weight("matrix", type_id, dims, bytes);
        if (type_id == PONDER_TYPE_F8_E4M3) builder_.set_scales(weight, factors(n_in, n_out * n_copies, n));
        return weight;
    }

    // Factors of FP8, which are the same in all rows, so that copies of rows have equal ones.
    OperandId factors(int64_t n_in, int64_t n_out, int64_t n) {
        const int64_t dims[] = {f8_blocks(n_in), f8_blocks(n_out), n};
        std::vector<float> row(static_cast<size_t>(dims[0]));
        for (float& v : row) v = 1.0f + 0.25f * normal_(random_);
        std::vector<std::byte>& bytes = bytes_.emplace_back();
        for (int64_t i = 0; i < dims[1] * n; i++) {
            const auto values = std::as_bytes(std::span(row));
            bytes.insert(bytes.end(), values.begin(), values.end());
        }
        return builder_.add_weight("factors", PONDER_TYPE_F32, dims, bytes);
    }

    OperandId rope() {
        const ponder_rope_params& p = subject_.op.params.rope;
        const OperandId x = input(int64_t{p.n_heads} * p.head_dim);
        std::vector<float> frequencies;
        for (int32_t i = 0; i < p.n_rot / 2; i++)
            frequencies.push_back(std::pow(1e4f, -2.0f * static_cast<float>(i) / static_cast<float>(p.n_rot)));
        builder_.rope(x, builder_.add_constant("frequencies", std::move(frequencies)), p);
        return x;
    }

    Result<OperandId> attend() {
        ponder_attention_params p = subject_.op.params.attention;
        const auto kv = builder_.kv().add_layer(int64_t{p.n_kv_heads} * p.k_head_dim, int64_t{p.n_kv_heads} * p.v_head_dim);
        if (!kv) return kv.error();
        p.kv = *kv;
        p.scale = 1.0f / std::sqrt(static_cast<float>(p.k_head_dim));
        builder_.kv_write(input(p.kv.k_width), input(p.kv.v_width), p.kv);
        return builder_.attention(input(int64_t{p.n_heads} * p.k_head_dim), p);
    }

    Result<OperandId> attend_latents() {
        ponder_mla_attention_params p = subject_.op.params.mla_attention;
        p.n_heads = std::min(p.n_heads, kHeads);
        const auto kv = builder_.kv().add_layer(int64_t{p.n_latent} + p.n_rope, 0);
        if (!kv) return kv.error();
        p.kv = *kv;
        p.scale = 1.0f / std::sqrt(static_cast<float>(p.n_latent * p.n_nope));
        builder_.kv_write(input(p.kv.k_width), kNoOperand, p.kv);
        const OperandId queries = input(int64_t{p.n_heads} * (p.n_nope + p.n_rope));
        if (subject_.op.src[2] < 0) {
            const int64_t n_out = int64_t{p.n_heads} * (p.n_nope + p.v_head_dim);
            return builder_.mla_attention(queries, matrix(subject_.types[0], p.n_latent, n_out), kNoOperand, p);
        }
        const OperandId keys = matrix(subject_.types[0], p.n_nope, p.n_latent, p.n_heads);
        return builder_.mla_attention(queries, keys, matrix(subject_.types[1], p.n_latent, p.v_head_dim, p.n_heads), p);
    }

    OperandId mix_experts() {
        const bool is_fused = subject_.op.src[4] < 0;
        const ponder_moe_route_params& own = subject_.route;
        const bool has_groups = own.n_groups > 1;
        const OperandId bias = subject_.route_has_bias ? numbers(kExperts) : kNoOperand;
        const auto route = builder_.moe_route(input(kExperts), bias,
                                              {.n_used = 2,
                                               .n_groups = has_groups ? 4 : 1,
                                               .n_groups_used = has_groups ? 2 : 1,
                                               .gating = own.gating,
                                               .is_normalised = own.is_normalised,
                                               .scale = own.scale});
        const OperandId gate = matrix(subject_.types[0], kWidth, is_fused ? 2 * kWidth : kWidth, kExperts);
        const OperandId up = is_fused ? kNoOperand : matrix(subject_.types[1], kWidth, kWidth, kExperts);
        return builder_.moe_ffn(input(kWidth), route, {gate, up, matrix(subject_.types[2], kWidth, kWidth, kExperts)});
    }

    const Subject& subject_;
    const int64_t n_copies_;
    ProgramBuilder builder_;
    std::mt19937 random_{1};
    std::normal_distribution<float> normal_;
    std::deque<std::vector<std::byte>> bytes_;
};

// Runs once more and asks for the likeliest tokens. Logits that a device that selects should have found are then those that it found.
Result<void> select(const CompiledPlan& plan, ponder_run run, int64_t n_vocab) {
    constexpr float kReach = 40.0f;  // about half of the spread of these problems
    struct Row {
        std::span<float> logits;

        static int32_t take(void* user_data, const ponder_candidate* candidates, int32_t n, int32_t n_rest, float cut) {
            const std::span<float> logits = static_cast<Row*>(user_data)->logits;
            const double largest = *std::max_element(logits.begin(), logits.end()), all = n_rest > 0 ? cut : kReach;
            for (float& logit : logits) logit = largest - logit < all ? NAN : logit;
            for (const ponder_candidate& c : std::span(candidates, static_cast<size_t>(n))) {
                if (c.token >= 0 && static_cast<size_t>(c.token) < logits.size()) logits[static_cast<size_t>(c.token)] = c.logit;
            }
            return 1;
        }
    };
    std::vector<Row> rows;
    for (int32_t o = 0; o < run.n_outputs; o++) rows.push_back({{run.logits + o * n_vocab, static_cast<size_t>(n_vocab)}});
    std::vector<ponder_selection> selections;
    for (Row& row : rows) selections.push_back({kReach, 0, Row::take, &row});
    run.selections = selections.data();
    return plan.run(run);
}

// Logits of all rows; the first row is also run on its own, and then comes twice.
Result<std::vector<float>> compute(const Device& device, Program& program, int32_t n_rows, bool selects) {
    std::vector<Buffer> buffers;
    for (ponder_operand& operand : program.operands()) {
        if (operand.role != PONDER_OPERAND_WEIGHT) continue;
        auto buffer = device.place(operand.host_data, operand.n_bytes);
        if (!buffer) return buffer.error();
        buffers.push_back(std::move(*buffer));
        operand.buffer = buffers.back().get();
        operand.offset = 0;
    }
    const ponder_program& view = program.view();
    if (auto supported = device.check_support(view); !supported) return supported.error();
    auto plan = device.prepare(view, n_rows, n_rows);
    if (!plan) return plan.error();

    std::vector<int32_t> rows, tokens, pages, sequences(n_rows, 0);
    for (int32_t r = 0; r < n_rows; r++) {
        rows.push_back(r);
        tokens.push_back(static_cast<int32_t>((r * 7 + 3) % kTokens));
    }
    for (int32_t i = 0; i * view.kv_page_tokens < n_rows; i++) pages.push_back(i);
    auto arena = device.allocate(std::max<uint64_t>(4096, view.kv_page_bytes * pages.size()));
    if (!arena) return arena.error();
    ponder_buffer* const arenas[] = {arena->get()};
    const ponder_kv_sequence kv{pages.data(), static_cast<int32_t>(pages.size())};
    std::vector<float> logits(static_cast<size_t>(n_rows + 1) * static_cast<size_t>(view.n_vocab), NAN);
    for (const int32_t n : {1, n_rows}) {
        const ponder_run run{.struct_size = sizeof run,
                             .n_rows = n,
                             .tokens = tokens.data(),
                             .positions = rows.data(),
                             .sequences = sequences.data(),
                             .kv = &kv,
                             .n_sequences = 1,
                             .n_outputs = n,
                             .output_rows = rows.data(),
                             .logits = logits.data() + (n == 1 ? 0 : view.n_vocab),
                             .arenas = arenas,
                             .n_arenas = 1,
                             .pages_per_arena = static_cast<int32_t>(pages.size())};
        if (auto done = plan->run(run); !done) return done.error();
        if (!selects) continue;
        if (auto done = select(*plan, run, view.n_vocab); !done) return done.error();
    }
    return logits;
}

// n_got outputs a row, which repeat the expected ones.
double relative_error(const std::vector<float>& got, size_t n_got, const std::vector<float>& expected, size_t n_expected) {
    double error = 0.0, power = 0.0;
    for (size_t i = 0; i < got.size(); i++) {
        const double want = double{expected[i / n_got * n_expected + i % n_got % n_expected]}, difference = double{got[i]} - want;
        error += difference * difference;
        power += want * want;
    }
    return power > 0.0 ? error / power : error;
}

// False if a weight's type is not known.
bool set_types(const ponder_program& program, std::initializer_list<int32_t> weights, Subject& subject) {
    size_t i = 0;
    for (const int32_t id : weights) {
        if (id >= 0) {
            const QuantType* type = find_quant_type(program.operands[id].type);
            if (type == nullptr || type->decode == nullptr) return false;
            subject.types[i] = type->id;
        }
        i++;
    }
    return true;
}

// The last operator before `reader` that makes an operand, if it is of this kind.
const ponder_op* find_maker(const ponder_program& program, int32_t operand, const ponder_op& reader, ponder_op_kind kind) {
    for (ptrdiff_t i = &reader - program.ops; operand >= 0 && i-- > 0;) {
        const ponder_op& op = program.ops[i];
        if (std::find(std::begin(op.dst), std::end(op.dst), operand) != std::end(op.dst)) return op.kind == kind ? &op : nullptr;
    }
    return nullptr;
}

// Columns and rows of a problem that stands for products of all sizes like these: long rows are taken in pieces, and matrices of many rows
// give each team of lanes several.
int64_t columns_like(int64_t n) { return n > 4096 ? 4352 : n >= 1024 ? 1024 : kWidth; }
int64_t rows_like(int64_t n) { return n >= 8192 ? 8192 : n >= 2048 ? 2048 : kOutputs; }

// False for what is not tested, or only as a part of another test: a cache through attention, a route through experts.
bool make_subject(const ponder_program& program, const ponder_op& op, Subject& subject) {
    subject.op = op;
    const auto maker = [&](int32_t operand, ponder_op_kind kind) { return find_maker(program, operand, op, kind); };
    switch (op.kind) {
        case PONDER_OP_LOGITS:
        case PONDER_OP_MATMUL: {
            const ponder_operand& weight = program.operands[op.src[1]];
            subject.op.src[2] = -1;
            subject.n_in = columns_like(weight.dims[0]);
            subject.n_out = rows_like(weight.dims[1]);
            subject.has_norm = maker(op.src[0], PONDER_OP_RMS_NORM) != nullptr;
            return set_types(program, {op.src[1]}, subject);
        }
        case PONDER_OP_MLA_ATTENTION:
            subject.kv_type = program.kv_type;
            return set_types(program, {op.src[1], op.src[2]}, subject);
        case PONDER_OP_MOE_FFN:
            if (const ponder_op* route = maker(op.src[1], PONDER_OP_MOE_ROUTE)) {
                subject.route = route->params.moe_route;
                subject.route_has_bias = route->src[1] >= 0;
            } else {
                subject.route = {.n_groups = 1, .gating = PONDER_MOE_SOFTMAX, .is_normalised = 1, .scale = 1.0f};
            }
            return set_types(program, {op.src[3], op.src[4], op.src[5]}, subject);
        case PONDER_OP_ATTENTION:
            subject.kv_type = program.kv_type;
            return true;
        case PONDER_OP_RMS_NORM: {
            const ponder_op* added = maker(op.src[2], PONDER_OP_MATMUL);
            subject.op.src[2] = -1;
            if (added == nullptr || !set_types(program, {added->src[1]}, subject)) subject.types[0] = kNoType;
            return true;
        }
        case PONDER_OP_SWIGLU: {
            const ponder_op *gate = maker(op.src[0], PONDER_OP_MATMUL), *up = maker(op.src[1], PONDER_OP_MATMUL);
            if (gate == nullptr || up == nullptr || !set_types(program, {gate->src[1], up->src[1]}, subject)) subject.types[0] = kNoType;
            subject.has_norm = gate != nullptr && find_maker(program, gate->src[0], *gate, PONDER_OP_RMS_NORM) != nullptr;
            return true;
        }
        case PONDER_OP_ROPE:
        case PONDER_OP_ADD:
            return true;
        default:
            return false;
    }
}

std::vector<Subject> list_subjects(const Device& device, const ponder_program& program) {
    std::vector<Subject> subjects;
    std::vector<uint64_t> keys;
    for (int32_t i = 0; i < program.n_ops; i++) {
        Subject subject;
        if (!make_subject(program, program.ops[i], subject)) continue;
        const uint64_t key = subject.key();
        if (std::find(keys.begin(), keys.end(), key) != keys.end() || device.has_passed(key)) continue;
        keys.push_back(key);
        subjects.push_back(subject);
    }
    return subjects;
}

}  // namespace

Result<void> test_operators(Device& device, const ponder_program& program) {
    const std::vector<Subject> subjects = list_subjects(device, program);
    if (subjects.empty()) return {};
    const auto slot = choose_device({.backend = "reference"});
    if (!slot) return slot.error();
    const auto reference = Device::open(*slot, 1);
    if (!reference) return reference.error();
    const ponder_device_info info = device.describe();
    const auto begin = std::chrono::steady_clock::now();
    for (const Subject& subject : subjects) {
        const int64_t n_copies = subject.n_out / kOutputs;
        Problem problem(subject, n_copies), once(subject);
        auto own = problem.build();
        if (!own) return own.error();
        std::optional<Program> without_copies;
        if (n_copies > 1) {
            auto built = once.build();
            if (!built) return built.error();
            without_copies.emplace(std::move(*built));
        }
        Program& small = without_copies ? *without_copies : *own;
        const bool selects = subject.op.kind == PONDER_OP_LOGITS;
        const int32_t n_rows = subject.n_in * subject.n_out > kWidth * kOutputs ? kFewerRows : kRows;
        const auto expected = compute(**reference, small, n_rows, false);
        if (!expected) return expected.error();
        const std::string where = "self-test of " + subject.name() + " on " + info.name;
        const auto got = compute(device, *own, n_rows, selects);
        if (!got) return with_context(got.error(), where);
        const double error =
            relative_error(*got, static_cast<size_t>(own->view().n_vocab), *expected, static_cast<size_t>(small.view().n_vocab));
        if (!(error <= kLimit)) {
            return make_error(PONDER_STATUS_DEVICE, "%s (%s): its results are off by %g of their power, %g is allowed", where.c_str(),
                              info.description, error, kLimit);
        }
        device.set_passed(subject.key());
    }
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    log_message(PONDER_LOG_INFO, "%s: %zu operators passed their self-test in %.0f ms", info.name, subjects.size(), took.count());
    return {};
}

}  // namespace ponder
