// SPDX-License-Identifier: Apache-2.0
// Embeddings are decoded by the host: a table of which a token reads one row has no place in device memory. So are angles, in double.
#include "vk_run_data.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "host/run_check.hpp"

namespace ponder::vk {

namespace {

uint64_t align(uint64_t n) { return (n + 63) / 64 * 64; }

bool shares_angles(const ponder_op& a, const ponder_op& b) {
    return a.src[1] == b.src[1] && a.params.rope.n_rot == b.params.rope.n_rot && a.params.rope.magnitude == b.params.rope.magnitude;
}

}  // namespace

RunData::~RunData() {
    device_.memory().free(memory_);
    device_.memory().free(pages_);
    device_.memory().free(sent_);
}

RunData::Places RunData::find_places(const ponder_program& program, const Layout& layout, int32_t max_rows, int32_t max_outputs) {
    Places places;
    uint64_t at = 64;  // the header
    const auto take = [&](uint64_t n_bytes) {
        const uint64_t place = at;
        at += align(n_bytes);
        return place;
    };
    const auto rows = static_cast<uint64_t>(max_rows);
    places.positions = take(rows * 4);
    places.first_pages = take(rows * 4);
    places.output_rows = take(static_cast<uint64_t>(std::max(max_outputs, 1)) * 4);
    places.reaches = take(static_cast<uint64_t>(std::max(max_outputs, 1)) * 4);
    for (int32_t i = 0; i < program.n_ops; i++) {
        const ponder_op& op = program.ops[i];
        if (op.kind == PONDER_OP_EMBED) places.embeddings[i] = take(rows * layout.strides[static_cast<size_t>(op.dst[0])] * 4);
        if (op.kind != PONDER_OP_ROPE) continue;
        const auto same = std::find_if(places.angles.begin(), places.angles.end(),
                                       [&](const auto& other) { return shares_angles(op, program.ops[other.first]); });
        places.angles[i] = same != places.angles.end() ? same->second : take(rows * static_cast<uint64_t>(op.params.rope.n_rot) * 4);
    }
    places.slots_begin = at;
    for (int32_t i = 0; i < program.n_ops; i++) {
        const ponder_op& op = program.ops[i];
        if ((op.kind != PONDER_OP_RECEIVE && op.kind != PONDER_OP_SEND) || places.slots.contains(op.params.transfer.slot)) continue;
        const int64_t width = program.operands[op.kind == PONDER_OP_SEND ? op.src[0] : op.dst[0]].dims[0];
        places.slots[op.params.transfer.slot] = take(rows * static_cast<uint64_t>((width + 3) / 4 * 4) * 4);
    }
    places.n_bytes = at;
    return places;
}

uint64_t RunData::bytes(const ponder_program& program, const Layout& layout, int32_t max_rows, int32_t max_outputs, int64_t n_context) {
    const Places places = find_places(program, layout, max_rows, max_outputs);
    return places.n_bytes + (places.n_bytes - places.slots_begin) + static_cast<uint64_t>(n_context / program.kv_page_tokens + 1) * 8;
}

Result<void> RunData::start(const Layout& layout, int32_t max_rows, int32_t max_outputs) {
    strides_ = layout.strides;
    places_ = find_places(program_, layout, max_rows, max_outputs);
    auto memory = device_.memory().allocate(places_.n_bytes, MemoryKind::kRunData);
    if (!memory) return memory.error();
    memory_ = *memory;
    std::memset(memory_.mapped, 0, places_.n_bytes);
    if (!places_.slots.empty()) {
        // As long as what is received, so that both have their slots at the same offsets from slots_begin.
        auto sent = device_.memory().allocate(places_.n_bytes - places_.slots_begin, MemoryKind::kReadback);
        if (!sent) return sent.error();
        sent_ = *sent;
    }
    for (const auto& [op, place] : places_.embeddings) {
        const ponder_operand& table = program_.operands[program_.ops[op].src[0]];
        Buffer* buffer = own(table.slices != nullptr ? table.slices[0].buffer : table.buffer);
        if (buffer == nullptr) return make_error(PONDER_STATUS_INVALID_ARGUMENT, "table '%s' has no buffer", table.name);
        if (buffer->host != nullptr || buffer->has_shadow) continue;
        buffer->shadow.resize(buffer->n_bytes);
        if (auto read = device_.read(buffer->memory, 0, buffer->shadow.data(), buffer->n_bytes); !read) return read;
        buffer->has_shadow = true;
    }
    for (const auto& [op, place] : places_.angles) {
        const ponder_operand& table = program_.operands[program_.ops[op].src[1]];
        const Buffer* buffer = own(table.buffer);
        if (buffer == nullptr || buffer->n_bytes < table.offset + table.n_bytes)
            return make_error(PONDER_STATUS_INVALID_ARGUMENT, "table '%s' lies outside of its buffer", table.name);
        std::vector<float>& frequencies = frequencies_[op];
        frequencies.resize(static_cast<size_t>(program_.ops[op].params.rope.n_rot / 2));
        const uint64_t n_bytes = frequencies.size() * sizeof(float);
        if (buffer->host != nullptr) {
            std::memcpy(frequencies.data(), buffer->host + table.offset, n_bytes);
        } else if (auto read = device_.read(buffer->memory, table.offset, frequencies.data(), n_bytes); !read) {
            return read;
        }
    }
    return {};
}

Result<void> RunData::fill_pages(const ponder_run& run) {
    if (program_.kv_page_bytes == 0) return {};
    uint64_t n_pages = 0;
    for (int32_t s = 0; s < run.n_sequences; s++) n_pages += static_cast<uint64_t>(run.kv[s].n_pages);
    if (n_pages * 8 > pages_.n_bytes) {
        auto memory = device_.memory().allocate(std::max<uint64_t>(n_pages * 8, 2 * pages_.n_bytes), MemoryKind::kRunData);
        if (!memory) return memory.error();
        device_.memory().free(pages_);
        pages_ = *memory;
        std::memcpy(memory_.mapped, &pages_.address, 8);
    }
    std::vector<uint32_t> firsts;
    std::vector<uint64_t> addresses;
    addresses.reserve(n_pages);
    for (int32_t s = 0; s < run.n_sequences; s++) {
        firsts.push_back(static_cast<uint32_t>(addresses.size()));
        for (int32_t i = 0; i < run.kv[s].n_pages; i++) {
            const int32_t page = run.kv[s].pages[i];
            if (page < 0 || page / run.pages_per_arena >= run.n_arenas)
                return make_error(PONDER_STATUS_INVALID_ARGUMENT, "cache page %d lies in no arena", page);
            const Buffer* arena = own(static_cast<const ponder_buffer*>(run.arenas[page / run.pages_per_arena]));
            addresses.push_back(arena->memory.address + static_cast<uint64_t>(page % run.pages_per_arena) * program_.kv_page_bytes);
        }
    }
    if (!addresses.empty()) std::memcpy(pages_.mapped, addresses.data(), addresses.size() * 8);
    std::vector<uint32_t> row_firsts(static_cast<size_t>(run.n_rows));
    for (int32_t r = 0; r < run.n_rows; r++) row_firsts[static_cast<size_t>(r)] = firsts[static_cast<size_t>(run.sequences[r])];
    std::memcpy(memory_.mapped + places_.first_pages, row_firsts.data(), row_firsts.size() * 4);
    return {};
}

void RunData::fill_angles(const ponder_run& run, int32_t op, uint64_t place) {
    const std::vector<float>& frequencies = frequencies_.at(op);
    const float magnitude = program_.ops[op].params.rope.magnitude;
    std::vector<float> row(2 * frequencies.size());
    for (int32_t r = 0; r < run.n_rows; r++) {
        for (size_t i = 0; i < frequencies.size(); i++) {
            const double angle = double{frequencies[i]} * run.positions[r];
            row[2 * i] = static_cast<float>(std::cos(angle)) * magnitude;
            row[2 * i + 1] = static_cast<float>(std::sin(angle)) * magnitude;
        }
        std::memcpy(memory_.mapped + place + static_cast<uint64_t>(r) * row.size() * 4, row.data(), row.size() * 4);
    }
}

void RunData::fill_embedding(const ponder_run& run, int32_t op, uint64_t place) {
    const ponder_operand& table = program_.operands[program_.ops[op].src[0]];
    const QuantType& type = *find_quant_type(table.type);
    const auto base = [](const ponder_operand& weight) {
        const Buffer* buffer = own(static_cast<const ponder_buffer*>(weight.slices != nullptr ? weight.slices[0].buffer : weight.buffer));
        return (buffer->has_shadow ? buffer->shadow.data() : buffer->host) +
               (weight.slices != nullptr ? weight.slices[0].offset : weight.offset);
    };
    const std::byte* rows = base(table);
    const std::byte* factors = table.scales >= 0 ? base(program_.operands[table.scales]) : nullptr;
    const int64_t n_cols = table.dims[0];
    const uint64_t row_size = static_cast<uint64_t>(n_cols / type.block_len) * type.block_bytes;
    const uint64_t stride = strides_[static_cast<size_t>(program_.ops[op].dst[0])] * uint64_t{4};
    std::vector<float> decoded(static_cast<size_t>(n_cols));  // first here: memory behind the bus is written once and in order
    for (int32_t r = 0; r < run.n_rows; r++) {
        type.decode(rows + static_cast<uint64_t>(run.tokens[r]) * row_size, decoded.data(), n_cols / type.block_len);
        if (factors != nullptr) scale_f8_rows(decoded.data(), n_cols, run.tokens[r], 1, factors);
        std::memcpy(memory_.mapped + place + static_cast<uint64_t>(r) * stride, decoded.data(), decoded.size() * 4);
    }
}

// Rows come packed; on the device each begins at a multiple of its stride.
void RunData::fill_received(const ponder_run& run, const ponder_op& op) {
    const uint64_t row_bytes = static_cast<uint64_t>(program_.operands[op.dst[0]].dims[0]) * 4,
                   stride = strides_[static_cast<size_t>(op.dst[0])] * uint64_t{4};
    const auto* rows = reinterpret_cast<const std::byte*>(run.transfers[op.params.transfer.slot]);
    for (uint64_t r = 0; r < static_cast<uint64_t>(run.n_rows); r++)
        std::memcpy(memory_.mapped + slot(op) + r * stride, rows + r * row_bytes, row_bytes);
}

void RunData::deliver(const ponder_run& run) const {
    const host::RunPart part = host::part_of(program_, run);
    for (int32_t i = part.begin; i < part.end; i++) {
        const ponder_op& op = program_.ops[i];
        if (op.kind != PONDER_OP_SEND) continue;
        const uint64_t row_bytes = static_cast<uint64_t>(program_.operands[op.src[0]].dims[0]) * 4,
                       stride = strides_[static_cast<size_t>(op.src[0])] * uint64_t{4};
        auto* rows = reinterpret_cast<std::byte*>(run.transfers[op.params.transfer.slot]);
        for (uint64_t r = 0; r < static_cast<uint64_t>(run.n_rows); r++)
            std::memcpy(rows + r * row_bytes, sent_.mapped + sent_place(op) + r * stride, row_bytes);
    }
}

Result<void> RunData::fill(const ponder_run& run) {
    const host::RunPart part = host::part_of(program_, run);
    for (int32_t i = part.begin; i < part.end; i++) {
        if (program_.ops[i].kind == PONDER_OP_RECEIVE) fill_received(run, program_.ops[i]);
    }
    if (part.begin > 0) return {};
    if (auto filled = fill_pages(run); !filled) return filled;
    const auto n_rows = static_cast<size_t>(run.n_rows);
    std::memcpy(memory_.mapped + places_.positions, run.positions, n_rows * 4);
    if (run.n_outputs > 0) std::memcpy(memory_.mapped + places_.output_rows, run.output_rows, static_cast<size_t>(run.n_outputs) * 4);
    if (const ponder_selection* selections = host::selections_of(run)) {
        for (int32_t o = 0; o < run.n_outputs; o++)
            std::memcpy(memory_.mapped + places_.reaches + static_cast<uint64_t>(o) * 4, &selections[o].reach, 4);
    }
    std::set<uint64_t> done;
    for (const auto& [op, place] : places_.angles) {
        if (done.insert(place).second) fill_angles(run, op, place);
    }
    for (const auto& [op, place] : places_.embeddings) fill_embedding(run, op, place);
    return {};
}

}  // namespace ponder::vk
