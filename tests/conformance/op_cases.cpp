// SPDX-License-Identifier: Apache-2.0
// Operator cases with their expected results in double precision. Sizes include 1, odd numbers and one more than a block.
#include "op_cases.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "quant/quant.hpp"
#include "quant/sample_blocks.hpp"

namespace ponder_test {

using namespace ponder;

std::vector<double> product(const std::vector<double>& x, const Rows& weight) {
    std::vector<double> y;
    for (const auto& row : weight) {
        double sum = 0.0;
        for (size_t i = 0; i < row.size(); i++) sum += row[i] * x[i];
        y.push_back(sum);
    }
    return y;
}

std::vector<double> attend(const Batch& batch, size_t row, const double* q, const Rows& k, const Rows& v, int64_t kv_head, int64_t k_dim,
                           int64_t v_dim, double scale) {
    std::vector<double> weights, result(static_cast<size_t>(v_dim), 0.0);
    std::vector<size_t> visible;
    for (size_t t = 0; t < k.size(); t++) {
        if (batch.sequences[t] != batch.sequences[row] || batch.positions[t] > batch.positions[row]) continue;
        double dot = 0.0;
        for (int64_t i = 0; i < k_dim; i++) dot += q[i] * k[t][static_cast<size_t>(kv_head * k_dim + i)];
        visible.push_back(t);
        weights.push_back(scale * dot);
    }
    const double top = *std::max_element(weights.begin(), weights.end());
    double sum = 0.0;
    for (double& w : weights) sum += w = std::exp(w - top);
    for (size_t n = 0; n < visible.size(); n++) {
        for (int64_t i = 0; i < v_dim; i++)
            result[static_cast<size_t>(i)] += weights[n] / sum * v[visible[n]][static_cast<size_t>(kv_head * v_dim + i)];
    }
    return result;
}

namespace {

// float32 sums in another order: relative errors near 1e-7, so squared near 1e-14; a thousand times that leaves room for blocked sums.
constexpr double kFloatLimit = 1e-11;
// exp, sin and cos of other libraries differ by some units in the last place.
constexpr double kFunctionLimit = 1e-10;
// Weights are decoded exactly, so stored types add nothing to a float32 product.
constexpr double kCacheF16Limit = 1e-6, kCacheQ8Limit = 1e-4;

Rows decode_rows(const QuantType& type, const std::vector<std::byte>& bytes, int64_t n_in, int64_t n_out) {
    std::vector<float> row(static_cast<size_t>(n_in));
    Rows rows;
    for (int64_t i = 0; i < n_out; i++) {
        type.decode(bytes.data() + static_cast<size_t>(i) * *row_bytes(type, static_cast<uint64_t>(n_in)), row.data(),
                    n_in / type.block_len);
        rows.emplace_back(row.begin(), row.end());
    }
    return rows;
}

double power_of_terms(const std::vector<double>& x, const Rows& weight) {
    double power = 0.0;
    for (const auto& row : weight) {
        for (size_t i = 0; i < row.size(); i++) power += row[i] * x[i] * row[i] * x[i];
    }
    return power;
}

std::vector<double> normalised(const std::vector<double>& x, const std::vector<double>& weight, double epsilon) {
    std::vector<double> y(x.size());
    const size_t group = weight.size();
    for (size_t begin = 0; begin < x.size(); begin += group) {
        double sum = 0.0;
        for (size_t i = 0; i < group; i++) sum += x[begin + i] * x[begin + i];
        const double scale = 1.0 / std::sqrt(sum / static_cast<double>(group) + epsilon);
        for (size_t i = 0; i < group; i++) y[begin + i] = x[begin + i] * scale * weight[i];
    }
    return y;
}

OpCase embed_case(const QuantType& type) {
    return {std::string("embed ") + type.name, type.id == kF8E4M3 ? kFloatLimit : 0.0, PONDER_TYPE_F32,
            [&type](CaseMaker& maker, Rows& expected) {
                Rows table;
                const OperandId weight = maker.matrix(type.id, 2 * type.block_len, 64, table);
                for (const int32_t token : maker.batch.tokens) expected.push_back(table[static_cast<size_t>(token)]);
                return maker.program.embed(weight);
            }};
}

bool is_stored_float(int32_t type) { return type == PONDER_TYPE_F32 || type == PONDER_TYPE_F16 || type == PONDER_TYPE_BF16; }

OpCase matmul_case(const QuantType& type, int64_t n_blocks, int64_t n_out, bool has_bias) {
    const int64_t n_in = n_blocks * type.block_len;
    return {std::string("matmul ") + type.name + " " + std::to_string(n_in) + "x" + std::to_string(n_out) + (has_bias ? " bias" : ""),
            kFloatLimit,
            PONDER_TYPE_F32,
            [&type, n_in, n_out, has_bias](CaseMaker& maker, Rows& expected) {
                Rows x, weight;
                std::vector<double> bias(static_cast<size_t>(n_out), 0.0);
                const OperandId src = maker.input(n_in, x);
                const OperandId matrix = maker.matrix(type.id, n_in, n_out, weight);
                const OperandId added = has_bias ? maker.vector(n_out, bias) : kNoOperand;
                for (const auto& row : x) {
                    expected.push_back(product(row, weight));
                    maker.power += power_of_terms(row, weight);
                    for (size_t j = 0; j < bias.size(); j++) expected.back()[j] += bias[j];
                }
                return maker.program.matmul(src, matrix, added, "result");
            },
            0.0,
            is_stored_float(type.id)};
}

// Products of one source, of types that a device may take it for in different forms, and their sum.
OpCase products_case(const std::vector<int32_t>& types) {
    constexpr int64_t kIn = 128, kOut = 33;
    std::string name = "matmul of one source,";
    for (const int32_t type : types) name += std::string(" ") + find_quant_type(type)->name;
    return {name,
            kFloatLimit,
            PONDER_TYPE_F32,
            [types](CaseMaker& maker, Rows& expected) {
                Rows x;
                const OperandId src = maker.input(kIn, x);
                expected.assign(x.size(), std::vector<double>(kOut, 0.0));
                std::vector<OperandId> products;
                for (const int32_t type : types) {
                    Rows weight;
                    products.push_back(maker.program.matmul(src, maker.matrix(type, kIn, kOut, weight), kNoOperand, "part"));
                    for (size_t r = 0; r < x.size(); r++) {
                        const auto part = product(x[r], weight);
                        for (size_t j = 0; j < part.size(); j++) expected[r][j] += part[j];
                        maker.power += power_of_terms(x[r], weight);
                    }
                }
                for (size_t i = 1; i < products.size(); i++) maker.program.add(products[0], products[i]);
                return products[0];
            },
            0.0,
            std::all_of(types.begin(), types.end(), is_stored_float)};
}

OpCase rms_norm_case(int64_t width, int64_t group, bool has_delta) {
    return {"rms_norm " + std::to_string(width) + "/" + std::to_string(group) + (has_delta ? " residual" : ""), kFloatLimit,
            PONDER_TYPE_F32, [=](CaseMaker& maker, Rows& expected) {
                Rows x, delta;
                std::vector<double> weight;
                const OperandId src = maker.input(width, x);
                const OperandId added = has_delta ? maker.input(width, delta) : kNoOperand;
                const OperandId w = maker.vector(group, weight, 1.0f);
                for (size_t r = 0; r < x.size(); r++) {
                    for (size_t i = 0; has_delta && i < x[r].size(); i++) x[r][i] += delta[r][i];
                    expected.push_back(normalised(x[r], weight, 1e-6));
                }
                if (group != width) {
                    maker.program.rms_norm_heads(src, w, 1e-6f);
                    return src;
                }
                return maker.program.rms_norm(src, w, 1e-6f, added);
            }};
}

OpCase rms_norm_first_case(int64_t width, int64_t n_first) {
    return {"rms_norm first " + std::to_string(n_first) + " of " + std::to_string(width), kFloatLimit, PONDER_TYPE_F32,
            [=](CaseMaker& maker, Rows& expected) {
                Rows x;
                std::vector<double> weight;
                const OperandId src = maker.input(width, x);
                const OperandId w = maker.vector(n_first, weight, 1.0f);
                for (const auto& row : x) {
                    expected.push_back(row);
                    const auto first = normalised({row.begin(), row.begin() + n_first}, weight, 1e-6);
                    std::copy(first.begin(), first.end(), expected.back().begin());
                }
                maker.program.rms_norm_first(src, w, 1e-6f);
                return src;
            }};
}

OpCase rope_case(int n_heads, int head_dim, int n_rot, int n_before, ponder_rope_style style) {
    return {std::string("rope ") + (style == PONDER_ROPE_ADJACENT ? "adjacent " : "halves ") + std::to_string(head_dim) + "/" +
                std::to_string(n_rot) + " from " + std::to_string(n_before),
            kFunctionLimit, PONDER_TYPE_F32, [=](CaseMaker& maker, Rows& expected) {
                constexpr float kMagnitude = 1.25f;
                Rows x;
                std::vector<double> frequencies;
                const OperandId src = maker.input(int64_t{n_heads} * head_dim, x);
                const OperandId table = maker.vector(n_rot / 2, frequencies, 0.5f);
                for (size_t r = 0; r < x.size(); r++) {
                    std::vector<double> y = x[r];
                    for (int pair = 0; pair < n_heads * n_rot / 2; pair++) {
                        const int head = pair / (n_rot / 2), i = pair % (n_rot / 2);
                        const auto a = static_cast<size_t>(head * head_dim + n_before + (style == PONDER_ROPE_ADJACENT ? 2 * i : i));
                        const size_t b = a + (style == PONDER_ROPE_ADJACENT ? 1 : static_cast<size_t>(n_rot / 2));
                        const double angle = frequencies[static_cast<size_t>(i)] * maker.batch.positions[r];
                        y[a] = kMagnitude * (x[r][a] * std::cos(angle) - x[r][b] * std::sin(angle));
                        y[b] = kMagnitude * (x[r][a] * std::sin(angle) + x[r][b] * std::cos(angle));
                    }
                    expected.push_back(y);
                }
                maker.program.rope(src, table, {n_heads, head_dim, n_rot, style, kMagnitude, n_before});
                return src;
            }};
}

OpCase swiglu_case(int64_t width) {
    return {"swiglu " + std::to_string(width), kFunctionLimit, PONDER_TYPE_F32, [=](CaseMaker& maker, Rows& expected) {
                Rows gate, up;
                const OperandId a = maker.input(width, gate), b = maker.input(width, up);
                for (size_t r = 0; r < gate.size(); r++) {
                    expected.emplace_back();
                    for (size_t i = 0; i < gate[r].size(); i++)
                        expected.back().push_back(gate[r][i] / (1.0 + std::exp(-gate[r][i])) * up[r][i]);
                }
                return maker.program.swiglu(a, b);
            }};
}

OpCase add_case(int64_t width) {
    return {"add " + std::to_string(width), kFloatLimit, PONDER_TYPE_F32, [=](CaseMaker& maker, Rows& expected) {
                Rows x, delta;
                const OperandId a = maker.input(width, x), b = maker.input(width, delta);
                for (size_t r = 0; r < x.size(); r++) {
                    expected.push_back(x[r]);
                    for (size_t i = 0; i < x[r].size(); i++) expected.back()[i] += delta[r][i];
                }
                maker.program.add(a, b);
                return a;
            }};
}

OpCase attention_case(int n_heads, int n_kv_heads, int k_dim, int v_dim, int32_t kv_type, double limit) {
    return {"attention " + std::to_string(n_heads) + "/" + std::to_string(n_kv_heads) + " " + std::to_string(k_dim) + "," +
                std::to_string(v_dim) + " " + find_quant_type(kv_type)->name,
            limit, kv_type, [=](CaseMaker& maker, Rows& expected) {
                Rows q, k, v;
                const OperandId q_id = maker.input(int64_t{n_heads} * k_dim, q);
                const OperandId k_id = maker.input(int64_t{n_kv_heads} * k_dim, k), v_id = maker.input(int64_t{n_kv_heads} * v_dim, v);
                const double scale = 1.0 / std::sqrt(k_dim);
                for (size_t r = 0; r < q.size(); r++) {
                    expected.emplace_back();
                    for (int h = 0; h < n_heads; h++) {
                        const auto head =
                            attend(maker.batch, r, q[r].data() + h * k_dim, k, v, h / (n_heads / n_kv_heads), k_dim, v_dim, scale);
                        expected.back().insert(expected.back().end(), head.begin(), head.end());
                    }
                }
                const auto kv = maker.program.kv().add_layer(int64_t{n_kv_heads} * k_dim, int64_t{n_kv_heads} * v_dim);
                maker.program.kv_write(k_id, v_id, *kv);
                return maker.program.attention(q_id, {*kv, n_heads, n_kv_heads, k_dim, v_dim, static_cast<float>(scale)});
            }};
}

}  // namespace

OperandId CaseMaker::input(int64_t width, Rows& values) {
    Rows table;
    const OperandId weight = matrix(PONDER_TYPE_F32, width, 64, table);
    for (const int32_t token : batch.tokens) values.push_back(table[static_cast<size_t>(token)]);
    return program.embed(weight);
}

std::vector<std::byte>& CaseMaker::make_blocks(const QuantType& type, size_t n_blocks) {
    bytes_.push_back(std::make_unique<std::vector<std::byte>>(n_blocks * type.block_bytes));
    std::vector<std::byte>& bytes = *bytes_.back();
    std::normal_distribution<float> normal;
    make_sample_blocks(type, n_blocks, 1e4f, random_, normal, bytes.data());
    return bytes;
}

OperandId CaseMaker::matrices(int32_t type_id, int64_t n_in, int64_t n_out, int64_t n, bool is_sliced, Rows& values) {
    const QuantType& type = *find_quant_type(type_id);
    const auto add = [&](const char* name, int32_t id, std::span<const int64_t> dims, const std::vector<std::byte>& bytes) {
        if (!is_sliced) return program.add_weight(name, id, dims, bytes);
        std::vector<ponder_slice> slices;
        for (int64_t i = 0; i < n; i++) {
            const size_t size = bytes.size() / static_cast<size_t>(n);
            bytes_.push_back(std::make_unique<std::vector<std::byte>>(bytes.begin() + static_cast<ptrdiff_t>(size) * i,
                                                                      bytes.begin() + static_cast<ptrdiff_t>(size) * (i + 1)));
            slices.push_back({nullptr, 0, bytes_.back()->data()});
        }
        return program.add_weight(name, id, dims, std::move(slices), bytes.size());
    };
    const std::vector<std::byte>& bytes = make_blocks(type, static_cast<size_t>(n_in * n_out * n / type.block_len));
    const int64_t dims[] = {n_in, n_out, n};
    const OperandId weight = add("matrix", type_id, dims, bytes);
    values = decode_rows(type, bytes, n_in, n_out * n);
    if (type_id != kF8E4M3) return weight;
    const int64_t factor_dims[] = {f8_blocks(n_in), f8_blocks(n_out), n};
    const QuantType& f32 = *find_quant_type(PONDER_TYPE_F32);
    const std::vector<std::byte>& factors = make_blocks(f32, static_cast<size_t>(factor_dims[0] * factor_dims[1] * n));
    program.set_scales(weight, add("factors", PONDER_TYPE_F32, factor_dims, factors));
    const Rows factor_rows = decode_rows(f32, factors, factor_dims[0], factor_dims[1] * n);
    for (int64_t r = 0; r < n_out * n; r++) {
        const auto& row = factor_rows[static_cast<size_t>(r / n_out * factor_dims[1] + r % n_out / kF8ScaleBlock)];
        for (int64_t i = 0; i < n_in; i++)
            values[static_cast<size_t>(r)][static_cast<size_t>(i)] *= row[static_cast<size_t>(i / kF8ScaleBlock)];
    }
    return weight;
}

OperandId CaseMaker::vector(int64_t length, std::vector<double>& values, float offset) {
    std::normal_distribution<float> normal(offset, 0.25f);
    std::vector<float> floats(static_cast<size_t>(length));
    for (float& v : floats) v = normal(random_);
    values.assign(floats.begin(), floats.end());
    return program.add_constant("vector", floats);
}

Batch make_batch(int n_rows) {
    Batch batch;
    const int first = n_rows - n_rows / 3;
    for (int r = 0; r < n_rows; r++) {
        batch.tokens.push_back((r * 7 + 3) % 64);
        batch.sequences.push_back(r < first ? 0 : 1);
        batch.positions.push_back(r < first ? r : r - first);
    }
    batch.lengths = {first, n_rows - first};
    return batch;
}

Batch make_long_batch(const std::vector<int32_t>& lengths) {
    Batch batch;
    batch.lengths = lengths;
    const auto add = [&](size_t sequence, int32_t position) {
        batch.tokens.push_back((position * 7 + position / 64 * 5 + 3) % 64);
        batch.sequences.push_back(static_cast<int32_t>(sequence));
        batch.positions.push_back(position);
    };
    for (size_t s = 0; s < lengths.size(); s++) {
        for (int32_t i = 0; i + 1 < lengths[s]; i++) add(s, i);
    }
    for (size_t s = 0; s < lengths.size(); s++) add(s, lengths[s] - 1);
    return batch;
}

std::vector<OpCase> long_attention_cases() {
    std::vector<OpCase> cases;
    cases.push_back(attention_case(4, 2, 16, 16, PONDER_TYPE_F32, kFunctionLimit));
    cases.push_back(attention_case(6, 1, 33, 17, PONDER_TYPE_F32, kFunctionLimit));
    cases.push_back(attention_case(6, 1, 32, 48, PONDER_TYPE_F16, kCacheF16Limit));
    cases.push_back(attention_case(4, 2, 16, 48, PONDER_TYPE_Q8_0, kCacheQ8Limit));
    for (OpCase& c : long_latent_cases()) cases.push_back(std::move(c));
    return cases;
}

std::vector<OpCase> op_cases() {
    std::vector<OpCase> cases;
    for (const QuantType& type : quant_types()) {
        if (type.decode == nullptr) continue;
        cases.push_back(embed_case(type));
        cases.push_back(matmul_case(type, 1, 33, true));
        cases.push_back(matmul_case(type, 3, 1, false));
    }
    cases.push_back(matmul_case(*find_quant_type(PONDER_TYPE_F32), 257, 65, false));
    cases.push_back(matmul_case(*find_quant_type(PONDER_TYPE_BF16), 257, 65, true));
    cases.push_back(matmul_case(*find_quant_type(PONDER_TYPE_BF16), 1088, 65, true));
    cases.push_back(matmul_case(*find_quant_type(kF8E4M3), 300, 129, true));
    cases.push_back(products_case({PONDER_TYPE_BF16, PONDER_TYPE_Q8_0}));
    cases.push_back(products_case({PONDER_TYPE_Q8_0, PONDER_TYPE_BF16, PONDER_TYPE_F16}));
    cases.push_back(products_case({PONDER_TYPE_BF16, PONDER_TYPE_F16, PONDER_TYPE_BF16}));
    for (const auto& [width, group] : {std::pair{1, 1}, {33, 33}, {256, 256}, {96, 32}})
        cases.push_back(rms_norm_case(width, group, false));
    cases.push_back(rms_norm_case(65, 65, true));
    cases.push_back(rms_norm_first_case(48, 33));
    for (const auto style : {PONDER_ROPE_ADJACENT, PONDER_ROPE_HALVES}) {
        cases.push_back(rope_case(3, 16, 16, 0, style));
        cases.push_back(rope_case(1, 10, 6, 0, style));
        cases.push_back(rope_case(3, 11, 4, 7, style));
    }
    for (const int64_t width : {1, 33, 256}) {
        cases.push_back(swiglu_case(width));
        cases.push_back(add_case(width));
    }
    cases.push_back(attention_case(1, 1, 1, 1, PONDER_TYPE_F32, kFunctionLimit));
    cases.push_back(attention_case(4, 2, 16, 16, PONDER_TYPE_F32, kFunctionLimit));
    cases.push_back(attention_case(6, 1, 33, 17, PONDER_TYPE_F32, kFunctionLimit));
    cases.push_back(attention_case(4, 2, 32, 64, PONDER_TYPE_F16, kCacheF16Limit));
    cases.push_back(attention_case(4, 2, 16, 48, PONDER_TYPE_Q8_0, kCacheQ8Limit));
    for (OpCase& c : deepseek_op_cases()) cases.push_back(std::move(c));
    // Activations in int8, 32 a scale: a step is 1/127 of the largest of 32, about 2.3 standard deviations, and the error of rounding a
    // twelfth of its square, 3e-5 of the power. Some results pass two roundings, and a case with one result only has its one error: ten
    // times that.
    constexpr double kRoundedLimit = 3e-4;
    for (OpCase& c : cases) {
        for (const char* product : {"matmul ", "moe_ffn ", "mla_attention "}) {
            if (c.name.starts_with(product)) c.rounded_limit = kRoundedLimit;
        }
    }
    return cases;
}

}  // namespace ponder_test
