// SPDX-License-Identifier: Apache-2.0
// Implementation of the terminal helpers.
#include "terminal.hpp"

#include <fcntl.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "failure.hpp"
#include "interrupt.hpp"

namespace ponder::tool {
namespace {

constexpr auto kShowAfter = std::chrono::milliseconds(250);
constexpr auto kRedrawEvery = std::chrono::milliseconds(50);
constexpr std::string_view kClearLine = "\r\033[K";

const char* stage_label(int32_t stage) {
    switch (stage) {
        case PONDER_STAGE_OPEN:
            return "opening";
        case PONDER_STAGE_PREPARE:
            return "preparing";
        case PONDER_STAGE_PREFILL:
            return "reading";
        case PONDER_STAGE_WRITE:
            return "writing";
        default:
            return "working";
    }
}

void log_to_stderr(void*, int32_t level, const char* message) {
    std::string line(stderr_is_terminal() ? kClearLine : "");
    line.append(level >= PONDER_LOG_ERROR ? "ponder: error: " : level == PONDER_LOG_WARNING ? "ponder: warning: " : "ponder: info: ");
    line.append(one_line(message)).append("\n");
    std::fputs(line.c_str(), stderr);  // one call: messages of several threads do not mix
}

}  // namespace

void occupy_standard_streams() {
    // open gives the lowest free number, so one that is closed is the one that is opened.
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (fcntl(stream, F_GETFD) >= 0) continue;
        if (open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY) != stream) fail("standard stream %d is closed", stream);
    }
}

void write_out(std::string_view text) {
    errno = 0;
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) fail("writing standard output: %s", std::strerror(errno));
}

void flush_out() {
    errno = 0;
    if (std::fflush(stdout) != 0) fail("writing standard output: %s", std::strerror(errno));
}

void print_out(const char* format, ...) {
    char text[4096];
    va_list arguments;
    va_start(arguments, format);
    const int size = std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    write_out(std::string_view(text, std::min<size_t>(size < 0 ? 0 : static_cast<size_t>(size), sizeof text - 1)));
}

bool stdin_is_terminal() { return isatty(STDIN_FILENO) == 1; }
bool stdout_is_terminal() { return isatty(STDOUT_FILENO) == 1; }
bool stderr_is_terminal() { return isatty(STDERR_FILENO) == 1; }

bool allows_style() {
    const char* no_color = std::getenv("NO_COLOR");
    const char* term = std::getenv("TERM");
    return (no_color == nullptr || *no_color == '\0') && (term == nullptr || std::strcmp(term, "dumb") != 0);
}

std::string safe_text(std::string_view text) {
    std::string safe;
    safe.reserve(text.size());
    for (size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        const bool is_c1 = byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) - 0x80U < 0x20U;
        if (is_c1) {
            // C1 controls are escape plus a letter in one code point, and terminals obey both forms.
            safe.append("^[").push_back(static_cast<char>(static_cast<unsigned char>(text[i + 1]) - 0x40));
            ++i;
        } else if ((byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f) {
            safe.append("^").push_back(static_cast<char>(byte ^ 0x40));
        } else {
            safe.push_back(text[i]);
        }
    }
    return safe;
}

std::string shown_text(std::string_view text) { return stdout_is_terminal() ? safe_text(text) : std::string(text); }

std::string format_bytes(uint64_t bytes) {
    constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    auto value = static_cast<double>(bytes);
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < std::size(kUnits)) {
        value /= 1024;
        ++unit;
    }
    char text[32];
    std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.2f %s", value, kUnits[unit]);
    return text;
}

void set_log_level(int32_t min_level) { ponder_log_set_sink(log_to_stderr, nullptr, min_level); }

int32_t ProgressBar::on_progress(void* bar, int32_t stage, double fraction) {
    static_cast<ProgressBar*>(bar)->update(stage_label(stage), fraction);
    return is_interrupted() ? 1 : 0;
}

void ProgressBar::update(std::string_view label, double fraction) {
    if (!stderr_is_terminal()) return;
    const Clock::time_point now = Clock::now();
    if (label != label_) {
        clear();
        label_ = label;
        start_ = now;
    }
    if (now - start_ < kShowAfter || now - drawn_ < kRedrawEvery) return;
    constexpr int kWidth = 32;
    const double share = std::clamp(fraction, 0.0, 1.0);
    const int filled = static_cast<int>(share * kWidth);
    std::string line(kClearLine);
    line.append(label).append(" [").append(static_cast<size_t>(filled), '#').append(static_cast<size_t>(kWidth - filled), '.');
    char percent[16];
    std::snprintf(percent, sizeof percent, "] %3.0f%%", share * 100);
    std::fputs(line.append(percent).c_str(), stderr);
    drawn_ = now;
    is_shown_ = true;
}

void ProgressBar::clear() {
    if (is_shown_) std::fwrite(kClearLine.data(), 1, kClearLine.size(), stderr);
    is_shown_ = false;
    label_.clear();
}

}  // namespace ponder::tool
