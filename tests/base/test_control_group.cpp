// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <string>

#include "base/control_group.hpp"
#include "root_folder.hpp"

using namespace ponder;
using Root = ponder_test::RootFolder;

TEST_CASE("no control groups, no limits") {
    const Root root;
    CHECK(memory_limit_of_groups(root.path()) == UINT64_MAX);
    CHECK(std::isinf(cpu_limit_of_groups(root.path())));
}

TEST_CASE("version 2: the smallest limit of the groups around counts") {
    const Root root;
    root.write("/proc/self/cgroup", "0::/user/app\n");
    root.write("/sys/fs/cgroup/user/app/memory.max", "max\n");
    root.write("/sys/fs/cgroup/user/app/cpu.max", "max 100000\n");
    CHECK(memory_limit_of_groups(root.path()) == UINT64_MAX);
    CHECK(std::isinf(cpu_limit_of_groups(root.path())));
    root.write("/sys/fs/cgroup/user/memory.max", "4096000\n");
    root.write("/sys/fs/cgroup/user/cpu.max", "150000 100000\n");
    CHECK(memory_limit_of_groups(root.path()) == 4096000);
    CHECK(cpu_limit_of_groups(root.path()) == doctest::Approx(1.5));
    root.write("/sys/fs/cgroup/user/app/memory.max", "1000\n");
    root.write("/sys/fs/cgroup/user/app/cpu.max", "25000 50000\n");
    CHECK(memory_limit_of_groups(root.path()) == 1000);
    CHECK(cpu_limit_of_groups(root.path()) == doctest::Approx(0.5));
}

TEST_CASE("version 2: a container sees its own group as the root") {
    const Root root;
    root.write("/proc/self/cgroup", "0::/\n");
    root.write("/sys/fs/cgroup/cpu.max", "200000 100000\n");
    root.write("/sys/fs/cgroup/memory.max", "123\n");
    CHECK(cpu_limit_of_groups(root.path()) == doctest::Approx(2.0));
    CHECK(memory_limit_of_groups(root.path()) == 123);
}

TEST_CASE("version 1: a mount for each controller, which may share its line") {
    const Root root;
    root.write("/proc/self/cgroup", "9:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n3:cpuset:/other\n");
    root.write("/sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "5000\n");
    root.write("/sys/fs/cgroup/cpu/docker/x/cpu.cfs_quota_us", "300000\n");
    root.write("/sys/fs/cgroup/cpu/docker/x/cpu.cfs_period_us", "100000\n");
    CHECK(memory_limit_of_groups(root.path()) == 5000);
    CHECK(cpu_limit_of_groups(root.path()) == doctest::Approx(3.0));
    root.write("/sys/fs/cgroup/cpu/docker/x/cpu.cfs_quota_us", "-1\n");
    CHECK(std::isinf(cpu_limit_of_groups(root.path())));
}

TEST_CASE("files that say nothing sensible set no limit") {
    const Root root;
    for (const char* text : {"", "\n", "0 100000\n", "100000\n", "100000 0\n", "words words\n", "100000 \n"}) {
        CAPTURE(text);
        root.write("/proc/self/cgroup", "0::/a\nnot a line\n1:\n2:cpu:no-slash\n");
        root.write("/sys/fs/cgroup/a/cpu.max", text);
        CHECK(std::isinf(cpu_limit_of_groups(root.path())));
    }
}
