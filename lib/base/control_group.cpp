// SPDX-License-Identifier: Apache-2.0
// Reads /proc/self/cgroup and the limits' files below /sys/fs/cgroup.
#include "base/control_group.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <string_view>

#include "base/small_file.hpp"

namespace ponder {

namespace {

bool contains(std::string_view comma_separated, std::string_view word) {
    for (size_t begin = 0; begin <= comma_separated.size();) {
        const size_t end = std::min(comma_separated.find(',', begin), comma_separated.size());
        if (comma_separated.substr(begin, end - begin) == word) return true;
        begin = end + 1;
    }
    return false;
}

// Calls visit(folder, version) for the groups of a controller that this process is in, and for those around them. Lines of
// /proc/self/cgroup: "0::/path" (version 2), "9:memory:/path" (version 1).
template <class Visit>
void visit_groups(const std::string& root, const std::string& controller, const Visit& visit) {
    const std::string groups = read_small_file(root + "/proc/self/cgroup");
    for (std::string_view rest = groups; !rest.empty();) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(rest.size(), line.size() + 1));
        const size_t first = line.find(':'), second = line.find(':', first + 1);
        if (first == std::string_view::npos || second == std::string_view::npos || second + 1 >= line.size() || line[second + 1] != '/')
            continue;
        const std::string_view controllers = line.substr(first + 1, second - first - 1);
        const int version = controllers.empty() ? 2 : 1;
        if (version == 1 && !contains(controllers, controller)) continue;
        const std::string mount = root + "/sys/fs/cgroup" + (version == 1 ? "/" + controller : "");
        for (std::string group(line.substr(second + 1)); group.size() > 1; group.resize(group.rfind('/'))) visit(mount + group, version);
        visit(mount, version);
    }
}

// Of one group.
uint64_t memory_limit_of(const std::string& folder, int version) {
    const std::string text = read_small_file(folder + (version == 2 ? "/memory.max" : "/memory.limit_in_bytes"));
    return parse_number(text).value_or(UINT64_MAX);
}

}  // namespace

uint64_t memory_limit_of_groups(const std::string& root) {
    uint64_t limit = UINT64_MAX;
    visit_groups(root, "memory",
                 [&](const std::string& folder, int version) { limit = std::min(limit, memory_limit_of(folder, version)); });
    return limit;
}

uint64_t memory_left_in_groups(const std::string& root) {
    uint64_t left = UINT64_MAX;
    visit_groups(root, "memory", [&](const std::string& folder, int version) {
        const uint64_t limit = memory_limit_of(folder, version);
        if (limit == UINT64_MAX) return;
        const std::string use = read_small_file(folder + (version == 2 ? "/memory.current" : "/memory.usage_in_bytes"));
        const uint64_t used = parse_number(use).value_or(0),
                       cached = find_number(read_small_file(folder + "/memory.stat"), version == 2 ? "file " : "total_cache ").value_or(0),
                       held = used - std::min(used, cached);
        left = std::min(left, limit - std::min(limit, held));
    });
    return left;
}

double cpu_limit_of_groups(const std::string& root) {
    double limit = std::numeric_limits<double>::infinity();
    visit_groups(root, "cpu", [&](const std::string& folder, int version) {
        // Microseconds of processor time in every period: "quota period" (version 2), or a file each.
        const std::string text = read_small_file(folder + (version == 2 ? "/cpu.max" : "/cpu.cfs_quota_us"));
        const auto quota = parse_number(text);
        const size_t space = text.find(' ');
        if (!quota || (version == 2 && space == std::string::npos)) return;
        const auto period = parse_number(version == 2 ? text.substr(space + 1) : read_small_file(folder + "/cpu.cfs_period_us"));
        if (period && *quota > 0 && *period > 0) limit = std::min(limit, static_cast<double>(*quota) / static_cast<double>(*period));
    });
    return limit;
}

}  // namespace ponder
