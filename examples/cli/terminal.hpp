// SPDX-License-Identifier: Apache-2.0
// Standard output and the terminal: checked writing, safe display of untrusted text, dimming, the progress bar, the log.
#pragma once

#include <ponder/ponder.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace ponder::tool {

// Puts something that refuses to be read or written in the place of standard streams that were closed before the program started; a
// file or pipe that it opens would otherwise get their number, and the output with it. Call first.
void occupy_standard_streams();

// Writes to stdout, which may buffer. Throws Failure if it cannot be written (a full disk).
void write_out(std::string_view text);
void flush_out();

// printf to stdout through write_out; for lines under 4 KiB.
void print_out(const char* format, ...) __attribute__((format(printf, 1, 2)));

bool stdin_is_terminal();
bool stdout_is_terminal();
bool stderr_is_terminal();
// False where NO_COLOR is set or TERM is "dumb".
bool allows_style();

constexpr std::string_view kDim = "\033[2m";
constexpr std::string_view kPlain = "\033[0m";

// Text as a terminal may safely show it: control characters other than newline and tab, which could rewrite the screen or answer back,
// appear in caret notation (^[ for escape); so do the C1 controls U+0080 to U+009F.
std::string safe_text(std::string_view text);
// safe_text if stdout is a terminal, otherwise the text itself.
std::string shown_text(std::string_view text);

// "1.50 GiB"
std::string format_bytes(uint64_t bytes);

// Sends the library's log at and above `min_level` to stderr.
void set_log_level(int32_t min_level);

// A bar on stderr for work that takes longer than a blink; shows nothing where stderr is no terminal. One thread.
class ProgressBar {
  public:
    ~ProgressBar() { clear(); }
    // A ponder_progress_fn whose user data is a ProgressBar: draws, and stops the work once a signal came.
    static int32_t on_progress(void* bar, int32_t stage, double fraction);
    void update(std::string_view label, double fraction);
    // Takes the bar off the screen, before other text is written.
    void clear();

  private:
    using Clock = std::chrono::steady_clock;

    std::string label_;
    Clock::time_point start_{};
    Clock::time_point drawn_{};
    bool is_shown_ = false;
};

}  // namespace ponder::tool
