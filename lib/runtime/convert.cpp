// SPDX-License-Identifier: Apache-2.0
// Streams a planned conversion into a file, then reads the file back before it gets its name.
#include "runtime/convert.hpp"

#include <algorithm>
#include <cinttypes>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include "base/checksum.hpp"
#include "base/limits.hpp"
#include "base/thread_pool.hpp"
#include "base/utf8.hpp"
#include "format/gguf_reader.hpp"
#include "format/gguf_writer.hpp"
#include "runtime/convert_plan.hpp"
#include "runtime/convert_rows.hpp"
#include "runtime/model_source.hpp"

namespace ponder::convert {
namespace {

constexpr size_t kCopyBytes = 8u << 20;    // between two looks at the caller's wish to stop
constexpr double kShareOfWriting = 0.9;    // of the progress; the rest is reading back
constexpr size_t kReleaseOverlap = 65536;  // covers the pages that an earlier range left half

class Stream {
  public:
    Stream(const ModelFile& source, const Plan& plan, const ImportanceMatrix* importance, const ConvertParams& params, ThreadPool& pool,
           GgufWriter& writer)
        : source_(source), plan_(plan), importance_(importance), params_(params), pool_(pool), writer_(writer) {
        scratch_.resize(static_cast<size_t>(pool.n_threads()));
        pieces_per_batch_ = std::max<int64_t>(8, 4 * pool.n_threads());
    }

    Result<void> write() {
        for (const OutputTensor& tensor : plan_.tensors) {
            Checksum checksum;
            if (auto written = tensor.is_copied ? copy(tensor, checksum) : encode(tensor, checksum); !written) return written;
            checksums_.push_back(checksum.value());
        }
        return {};
    }

    // `path`: the complete file. Errors: IO if it holds anything else than what was meant.
    Result<void> verify(const std::string& path, const Metadata& metadata) const {
        const auto written = read_gguf(path);
        if (!written) return with_context(written.error(), "the new file does not read back");
        if (auto same = compare_headers(*written, metadata); !same) return same;
        uint64_t n_read = 0;
        for (size_t i = 0; i < plan_.tensors.size(); ++i) {
            Checksum checksum;
            for (auto rest = written->tensors[i].data; !rest.empty();) {
                const auto part = rest.first(std::min(rest.size(), kCopyBytes));
                rest = rest.subspan(part.size());
                checksum.update(part);
                written->release(part);
                n_read += part.size();
                if (auto told = tell(kShareOfWriting + (1 - kShareOfWriting) * share(n_read)); !told) return told;
            }
            if (checksum.value() != checksums_[i]) return differs("data of tensor '" + printable(plan_.tensors[i].name) + "'");
        }
        return {};
    }

  private:
    static Error differs(const std::string& what) {
        return make_error(PONDER_STATUS_IO, "%s reads back differently from what was written: the disk or the memory is at fault",
                          what.c_str());
    }

    double share(uint64_t bytes) const { return plan_.n_bytes == 0 ? 1 : static_cast<double>(bytes) / static_cast<double>(plan_.n_bytes); }

    Result<void> tell(double fraction) const {
        if (!params_.on_progress || params_.on_progress(fraction)) return {};
        return make_error(PONDER_STATUS_CANCELLED, "cancelled by the caller");
    }

    Result<void> append(std::span<const std::byte> bytes, Checksum& checksum) {
        if (auto appended = writer_.append(bytes); !appended) return appended;
        checksum.update(bytes);
        n_written_ += bytes.size();
        return tell(kShareOfWriting * share(n_written_));
    }

    Result<void> copy(const OutputTensor& tensor, Checksum& checksum) {
        const StoredTensor& stored = *tensor.source;
        std::vector<std::span<const std::byte>> spans = stored.slices;
        if (spans.empty()) spans.push_back(stored.data);
        for (std::span<const std::byte> rest : spans) {
            while (!rest.empty()) {
                const auto part = rest.first(std::min(rest.size(), kCopyBytes));
                rest = rest.subspan(part.size());
                if (auto appended = append(part, checksum); !appended) return appended;
                source_.release(part);
            }
        }
        return {};
    }

    Result<void> encode(const OutputTensor& tensor, Checksum& checksum) {
        const Pieces pieces(tensor, tensor.has_importance ? importance_->values(tensor.name) : std::vector<float>());
        // Here and not in the workers, so that they need no memory.
        for (Scratch& scratch : scratch_) pieces.reserve(scratch);
        for (int64_t first = 0; first < pieces.n_pieces(); first += pieces_per_batch_) {
            const int64_t n = std::min(pieces_per_batch_, pieces.n_pieces() - first);
            const uint64_t begin = pieces.offset(first);
            encoded_.resize(pieces.offset(first + n) - begin);
            pool_.parallel_for(n, [&](int64_t i, int thread) {
                pieces.encode(first + i, scratch_[static_cast<size_t>(thread)], encoded_.data() + (pieces.offset(first + i) - begin));
            });
            if (auto appended = append(encoded_, checksum); !appended) return appended;
            release(tensor, pieces.piece(first), pieces.piece(first + n - 1));
        }
        const StoredTensor& stored = *tensor.source;
        for (int64_t i = 0; i < stored.dims[2]; ++i) source_.release(stored.slice(i));
        return {};
    }

    // Gives back what a batch has read of a tensor whose rows are in order.
    void release(const OutputTensor& tensor, const Piece& first, const Piece& last) const {
        if (tensor.layout != Layout::kAsStored) return;
        for (int64_t i = first.matrix; i <= last.matrix; ++i) {
            const auto bytes = tensor.source->slice(i);
            const size_t row_bytes = bytes.size() / static_cast<size_t>(tensor.dims[1]);
            const size_t begin = i == first.matrix ? static_cast<size_t>(first.first_row) * row_bytes : 0;
            const size_t end = i == last.matrix ? static_cast<size_t>(last.first_row + last.n_rows) * row_bytes : bytes.size();
            const size_t overlap = std::min(begin, kReleaseOverlap);
            source_.release(bytes.subspan(begin - overlap, end - begin + overlap));
        }
    }

    Result<void> compare_headers(const ModelFile& written, const Metadata& metadata) const {
        const auto& a = written.metadata.entries();
        const auto& b = metadata.entries();
        const bool has_same_keys =
            std::equal(a.begin(), a.end(), b.begin(), b.end(),
                       [](const Metadata::Entry& x, const Metadata::Entry& y) { return x.key == y.key && x.value == y.value; });
        if (!has_same_keys) return differs("metadata");
        if (written.tensors.size() != plan_.tensors.size()) return differs("the number of tensors");
        for (size_t i = 0; i < plan_.tensors.size(); ++i) {
            const StoredTensor& found = written.tensors[i];
            const OutputTensor& meant = plan_.tensors[i];
            if (found.name == meant.name && found.type == meant.type->id && found.n_dims == meant.n_dims && found.dims == meant.dims)
                continue;
            return differs("shape or type of tensor '" + printable(meant.name) + "'");
        }
        return {};
    }

    const ModelFile& source_;
    const Plan& plan_;
    const ImportanceMatrix* importance_;
    const ConvertParams& params_;
    ThreadPool& pool_;
    GgufWriter& writer_;
    int64_t pieces_per_batch_;
    uint64_t n_written_ = 0;
    std::vector<std::byte> encoded_;   // one batch
    std::vector<Scratch> scratch_;     // [n_threads]
    std::vector<uint64_t> checksums_;  // [tensors written]
};

// The new file would take the place of what it is made from, and a folder or the other parts of a model would be left with it.
Result<void> check_target(const ModelFile& source, const std::string& out) {
    for (const MappedFile& mapped : source.files) {
        std::error_code problem;
        if (!std::filesystem::equivalent(mapped.path(), out, problem) || problem) continue;
        return make_error(PONDER_STATUS_INVALID_ARGUMENT, "%s is a file of the model that would be converted; choose another name",
                          out.c_str());
    }
    return {};
}

Result<void> check_room(const std::string& out, uint64_t n_bytes) {
    std::error_code problem;
    const auto folder = std::filesystem::absolute(out, problem).parent_path();
    const auto space = std::filesystem::space(folder, problem);
    // Some file systems do not know and say 0.
    if (problem || space.capacity == 0 || space.available >= n_bytes) return {};
    return make_error(PONDER_STATUS_IO, "%s: needs %" PRIu64 " bytes, but the disk has room for %" PRIu64, out.c_str(), n_bytes,
                      static_cast<uint64_t>(space.available));
}

// Everything before the data.
Result<void> begin(const ModelFile& source, const Plan& plan, GgufWriter& writer) {
    Metadata& metadata = writer.metadata();
    writer.copy_metadata(source.metadata);
    for (const Metadata::Entry& entry : source.metadata.entries()) {
        if (entry.key.starts_with("ponder.")) metadata.erase(entry.key);
    }
    for (const auto& [key, value] : plan.keys) metadata.set(key, value);
    for (const OutputTensor& tensor : plan.tensors) {
        const std::span<const int64_t> dims(tensor.dims.data(), static_cast<size_t>(tensor.n_dims));
        if (auto added = writer.add_tensor(tensor.name, tensor.type->id, dims); !added) return added;
    }
    return writer.write_header();
}

Result<ConvertReport> run(const ModelFile& source, const std::string& out, const ConvertParams& params) {
    if (params.n_threads < 0 || params.n_threads > limits::kMaxThreads) {
        return make_error(PONDER_STATUS_INVALID_ARGUMENT, "n_threads is %d; it must lie in 0 to %d", params.n_threads, limits::kMaxThreads);
    }
    const TypeMix* mix = nullptr;
    if (!params.type.empty()) {
        const auto found = find_type_mix(params.type);
        if (!found) return found.error();
        mix = *found;
    }
    std::optional<ImportanceMatrix> importance;
    if (!params.importance_path.empty()) {
        auto read = ImportanceMatrix::read(params.importance_path);
        if (!read) return read.error();
        importance.emplace(std::move(*read));
    }
    if (auto checked = check_target(source, out); !checked) return checked.error();
    const auto plan = make_plan(source, mix, importance ? &*importance : nullptr);
    if (!plan) return plan.error();
    if (auto checked = check_room(out, plan->n_bytes); !checked) return checked.error();
    auto pool = ThreadPool::create(params.n_threads > 0 ? params.n_threads : available_cores());
    if (!pool) return pool.error();
    auto writer = GgufWriter::create(out);
    if (!writer) return writer.error();
    if (auto begun = begin(source, *plan, *writer); !begun) return begun.error();

    Stream stream(source, *plan, importance ? &*importance : nullptr, params, **pool, *writer);
    if (auto written = stream.write(); !written) return written.error();
    const auto temporary = writer->flush();
    if (!temporary) return temporary.error();
    if (auto verified = stream.verify(*temporary, writer->metadata()); !verified) return with_context(verified.error(), out);
    if (auto finished = writer->finish(); !finished) return finished.error();

    ConvertReport report = {.n_without_importance = plan->n_without_importance, .source_bytes = source.data_bytes};
    report.written_bytes = plan->n_bytes;
    for (const OutputTensor& tensor : plan->tensors) {
        ++report.n_tensors;
        report.n_copied += tensor.is_copied ? 1 : 0;
        report.n_fallbacks += tensor.type != tensor.wanted ? 1 : 0;
    }
    return report;
}

}  // namespace
}  // namespace ponder::convert

namespace ponder {

Result<ConvertReport> convert_model(const ModelFile& source, const std::string& out, const ConvertParams& params) {
    return convert::run(source, out, params);
}

Result<ConvertReport> convert_file(const std::string& in, const std::string& out, const ConvertParams& params) {
    const auto source = read_model_file(in);
    if (!source) return source.error();
    return convert::run(*source, out, params);
}

}  // namespace ponder
