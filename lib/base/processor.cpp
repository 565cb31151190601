// SPDX-License-Identifier: Apache-2.0
// Reads /sys/devices; see Linux' Documentation/ABI/testing/sysfs-devices-system-cpu.
#include "base/processor.hpp"

#include <sched.h>

#include <algorithm>
#include <set>

#include "base/small_file.hpp"

namespace ponder {

namespace {

std::string file_of(const std::string& root, int processor, const char* name) {
    return read_small_file(root + "/sys/devices/system/cpu/cpu" + std::to_string(processor) + "/" + name);
}

// Whether a list such as "0-3,8,10-11" has a number.
bool is_in_list(std::string_view list, int number) {
    while (!list.empty()) {
        const size_t end = std::min(list.find(','), list.size()), dash = std::min(list.substr(0, end).find('-'), end);
        const auto first = parse_number(list), last = dash < end ? parse_number(list.substr(dash + 1)) : first;
        if (first && last && *first <= static_cast<uint64_t>(number) && static_cast<uint64_t>(number) <= *last) return true;
        list.remove_prefix(std::min(end + 1, list.size()));
    }
    return false;
}

std::vector<int> fast_ones(std::span<const int> allowed, const std::string& root) {
    std::vector<int> fast;
    const std::string performance = read_small_file(root + "/sys/devices/cpu_core/cpus");
    std::copy_if(allowed.begin(), allowed.end(), std::back_inserter(fast), [&](int p) { return is_in_list(performance, p); });
    if (!fast.empty()) return fast;
    // 1,024 for the fastest of the system; a LITTLE core has 250 to 450, a middle one 600 and more.
    std::vector<uint64_t> capacities;
    for (const int p : allowed) capacities.push_back(parse_number(file_of(root, p, "cpu_capacity")).value_or(0));
    const uint64_t most = capacities.empty() ? 0 : *std::max_element(capacities.begin(), capacities.end());
    for (size_t i = 0; i < allowed.size(); i++) {
        if (2 * capacities[i] >= most) fast.push_back(allowed[i]);
    }
    return fast;
}

// The first hardware thread of each core.
std::vector<int> one_a_core(std::span<const int> processors, const std::string& root) {
    std::vector<int> cores;
    std::set<std::string> seen;
    for (const int p : processors) {
        const std::string siblings = file_of(root, p, "topology/thread_siblings_list");
        if (siblings.empty() || seen.insert(siblings).second) cores.push_back(p);
    }
    return cores;
}

}  // namespace

std::vector<int> cores_for_work(std::span<const int> allowed, const std::string& root) {
    return one_a_core(fast_ones(allowed, root), root);
}

std::vector<int> processors_to_keep_to(int n_threads, std::span<const int> allowed, const std::string& root) {
    std::vector<int> fast = fast_ones(allowed, root);
    if (fast.size() == allowed.size() || static_cast<size_t>(n_threads) > one_a_core(fast, root).size()) return {};
    return fast;
}

std::vector<int> allowed_processors() {
    std::vector<int> allowed;
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0) return allowed;
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET(i, &set)) allowed.push_back(i);
    }
    return allowed;
}

void keep_thread_to(std::span<const int> processors) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const int p : processors) CPU_SET(p, &set);
    if (!processors.empty()) sched_setaffinity(0, sizeof set, &set);
}

}  // namespace ponder
