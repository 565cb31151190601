// SPDX-License-Identifier: Apache-2.0
// Result<T>: the value, or the status and message of what a file or a caller caused; no exceptions are involved.
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "ponder/ponder.h"

namespace ponder {

struct Error {
    ponder_status status = PONDER_STATUS_INTERNAL;
    std::string message;  // one sentence without a trailing period; names the file, the field and the limit
};

// printf-style message; the text is valid UTF-8 if the arguments are.
[[gnu::format(printf, 2, 3)]] Error make_error(ponder_status status, const char* format, ...);

// Prefixes a message with where it happened ("model.gguf: ..."), keeping the status.
Error with_context(Error error, const std::string& where);

template <class T>
class [[nodiscard]] Result {
  public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    explicit operator bool() const { return state_.index() == 0; }
    T& operator*() & { return std::get<0>(state_); }
    const T& operator*() const& { return std::get<0>(state_); }
    T&& operator*() && { return std::get<0>(std::move(state_)); }
    T* operator->() { return &std::get<0>(state_); }
    const T* operator->() const { return &std::get<0>(state_); }
    Error& error() { return std::get<1>(state_); }
    const Error& error() const { return std::get<1>(state_); }

  private:
    std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
  public:
    Result() = default;
    Result(Error error) : error_(std::move(error)), is_ok_(false) {}

    explicit operator bool() const { return is_ok_; }
    Error& error() { return error_; }
    const Error& error() const { return error_; }

  private:
    Error error_;
    bool is_ok_ = true;
};

}  // namespace ponder
