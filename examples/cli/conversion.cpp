// SPDX-License-Identifier: Apache-2.0
// One call of the library, and one line (or JSON object) about its result.
#include "conversion.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <vector>

#include "failure.hpp"
#include "handles.hpp"
#include "json_text.hpp"
#include "options.hpp"

namespace ponder::tool {
namespace {

struct TypeTotal {
    int64_t n_tensors = 0;
    uint64_t n_bytes = 0;
};
using TypeTotals = std::map<std::string, TypeTotal>;

struct Result {
    TypeTotals types;
    uint64_t file_bytes = 0;
    double seconds = 0;
};

void describe_output(const std::string& path, Result& result) {
    ponder_error error;
    ponder_file* opened = nullptr;
    check(ponder_file_open(path.c_str(), &opened, &error), error);
    const FileHandle file(opened);
    ponder_file_info info = PONDER_FILE_INFO_INIT;
    check(ponder_file_describe(opened, &info, &error), error);
    result.file_bytes = info.file_bytes;
    for (int64_t i = 0; i < info.n_tensors; ++i) {
        ponder_tensor_info tensor = PONDER_TENSOR_INFO_INIT;
        check(ponder_file_describe_tensor(opened, i, &tensor, &error), error);
        TypeTotal& total = result.types[tensor.type];
        ++total.n_tensors;
        total.n_bytes += tensor.n_bytes;
    }
}

// "Q4_K 169, Q6_K 29": types by the bytes they take, with their numbers of tensors.
std::string list_types(const TypeTotals& totals) {
    std::vector<const TypeTotals::value_type*> sorted;
    for (const auto& entry : totals) sorted.push_back(&entry);
    std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) { return a->second.n_bytes > b->second.n_bytes; });
    std::string text;
    for (const auto* entry : sorted) {
        text += (text.empty() ? "" : ", ") + entry->first + " " + std::to_string(entry->second.n_tensors);
    }
    return text;
}

void report_json(const Conversion& conversion, const Result& result, const ponder_convert_report& report) {
    Json types = Json::object();
    for (const auto& [name, total] : result.types) types[name] = Json{{"tensors", total.n_tensors}, {"bytes", total.n_bytes}};
    write_out(to_json_line(Json{{"in", conversion.in},
                                {"out", conversion.out},
                                {"n_tensors", report.n_tensors},
                                {"source_bytes", report.source_bytes},
                                {"written_bytes", report.written_bytes},
                                {"file_bytes", result.file_bytes},
                                {"types", types},
                                {"n_copied", report.n_copied},
                                {"n_fallbacks", report.n_fallbacks},
                                {"n_without_importance", report.n_without_importance},
                                {"seconds", result.seconds}})
                  .append("\n"));
}

void report_text(const Conversion& conversion, const Result& result, const ponder_convert_report& report) {
    std::string line = shown_text(conversion.out) + ": " + format_bytes(report.source_bytes) + " -> " + format_bytes(report.written_bytes) +
                       ", " + std::to_string(report.n_tensors) + " tensors (" + list_types(result.types) + ")";
    if (report.n_fallbacks > 0) line += ", " + std::to_string(report.n_fallbacks) + " of them in another type because of their row length";
    if (report.n_without_importance > 0) line += ", " + std::to_string(report.n_without_importance) + " without importance";
    char time[48];
    std::snprintf(time, sizeof time, ", %.1f s\n", result.seconds);
    write_out(line + time);
}

}  // namespace

void add_conversion_options(CLI::App& app, Conversion& conversion) {
    add_integer<int32_t>(app, "--threads", conversion.n_threads, 1, 1024, "Threads; default: one for each fast core of this process");
    add_json_option(app, conversion.is_json);
    add_verbose_option(app);
}

void run_conversion(const Conversion& conversion) {
    const auto start = std::chrono::steady_clock::now();
    Result result;
    ProgressBar bar;
    ponder_convert_report report = PONDER_CONVERT_REPORT_INIT;
    ponder_convert_params params = PONDER_CONVERT_PARAMS_INIT;
    params.n_threads = conversion.n_threads.value_or(0);
    params.type = conversion.type.empty() ? nullptr : conversion.type.c_str();
    params.imatrix_path = conversion.imatrix.empty() ? nullptr : conversion.imatrix.c_str();
    params.report = &report;
    params.on_progress = ProgressBar::on_progress;
    params.progress_user_data = &bar;
    ponder_error error;
    const ponder_status status = ponder_file_convert(conversion.in.c_str(), conversion.out.c_str(), &params, &error);
    bar.clear();
    check(status, error);
    result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    describe_output(conversion.out, result);
    conversion.is_json ? report_json(conversion, result, report) : report_text(conversion, result, report);
}

}  // namespace ponder::tool
