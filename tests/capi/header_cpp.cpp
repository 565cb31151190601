// SPDX-License-Identifier: Apache-2.0
// What ponder.hpp promises at compile time: each header stands alone, handles move and do not copy, generations are ranges.
#include "ponder/ponder_files.hpp"
// Out of order and twice on purpose.
#include "ponder/ponder.hpp"
#include "ponder/ponder_options.hpp"

#include <iterator>
#include <ranges>
#include <type_traits>

namespace {

template <class T>
constexpr bool kIsHandle = std::is_nothrow_move_constructible_v<T>&& std::is_nothrow_move_assignable_v<T> &&
                           !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T> && !std::is_default_constructible_v<T>;

static_assert(kIsHandle<ponder::Model> && kIsHandle<ponder::Session> && kIsHandle<ponder::Generation>);
static_assert(kIsHandle<ponder::Text> && kIsHandle<ponder::Plan> && kIsHandle<ponder::File>);
static_assert(std::input_iterator<ponder::Generation::Iterator>);
static_assert(std::ranges::input_range<ponder::Generation>);
static_assert(std::is_aggregate_v<ponder::ModelOptions> && std::is_aggregate_v<ponder::SessionOptions>);
static_assert(std::is_aggregate_v<ponder::GenerationOptions> && std::is_aggregate_v<ponder::Message>);
static_assert(std::is_base_of_v<std::runtime_error, ponder::Error>);

using namespace ponder::literals;
static_assert(6_GiB == 6442450944u && 1_MiB == 1048576u && 2_KiB == 2048u);

}  // namespace
