// SPDX-License-Identifier: Apache-2.0
#include "base/processor.hpp"

#include <doctest/doctest.h>

#include <string>
#include <thread>
#include <vector>

#include "root_folder.hpp"

using ponder::allowed_processors;
using ponder::cores_for_work;
using ponder::keep_thread_to;
using ponder::processors_to_keep_to;
using ponder_test::RootFolder;
using Numbers = std::vector<int>;

namespace {

void set_siblings(const RootFolder& root, int first, int last, const std::string& list) {
    for (int p = first; p <= last; p++)
        root.write("/sys/devices/system/cpu/cpu" + std::to_string(p) + "/topology/thread_siblings_list", list + "\n");
}

}  // namespace

TEST_CASE("processor: without a word from the system every processor is a core") {
    const RootFolder root;
    CHECK(cores_for_work(Numbers{0, 1, 5}, root.path()) == Numbers{0, 1, 5});
    CHECK(cores_for_work(Numbers{}, root.path()).empty());
}

TEST_CASE("processor: hardware threads of one core count once") {
    const RootFolder root;
    set_siblings(root, 0, 1, "0-1");
    set_siblings(root, 2, 3, "2-3");
    CHECK(cores_for_work(Numbers{0, 1, 2, 3}, root.path()) == Numbers{0, 2});
    CHECK(cores_for_work(Numbers{1, 3}, root.path()) == Numbers{1, 3});
    CHECK(cores_for_work(Numbers{1}, root.path()) == Numbers{1});
}

TEST_CASE("processor: of Intel's hybrid processors the performance cores") {
    const RootFolder root;
    root.write("/sys/devices/cpu_core/cpus", "0-3,10\n");
    root.write("/sys/devices/cpu_atom/cpus", "4-9\n");
    set_siblings(root, 0, 1, "0-1");
    set_siblings(root, 2, 3, "2-3");
    set_siblings(root, 10, 10, "10");
    for (int p = 4; p < 10; p++) set_siblings(root, p, p, std::to_string(p));
    CHECK(cores_for_work(Numbers{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, root.path()) == Numbers{0, 2, 10});
    // Where the process has been put on the others, these.
    CHECK(cores_for_work(Numbers{4, 5}, root.path()) == Numbers{4, 5});
    CHECK(cores_for_work(Numbers{3, 4, 5}, root.path()) == Numbers{3});
    // Threads for all of which there is a fast core keep to those.
    const Numbers all = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, fast = {0, 1, 2, 3, 10};
    CHECK(processors_to_keep_to(2, all, root.path()) == fast);
    CHECK(processors_to_keep_to(3, all, root.path()) == fast);
    CHECK(processors_to_keep_to(4, all, root.path()).empty());
    CHECK(processors_to_keep_to(2, fast, root.path()).empty());
    CHECK(processors_to_keep_to(2, Numbers{4, 5}, root.path()).empty());
}

TEST_CASE("processor: of Arm's processors the big and the middle cores") {
    const RootFolder root;
    const int capacities[] = {321, 321, 321, 321, 780, 780, 780, 1024};
    for (int p = 0; p < 8; p++)
        root.write("/sys/devices/system/cpu/cpu" + std::to_string(p) + "/cpu_capacity", std::to_string(capacities[p]) + "\n");
    CHECK(cores_for_work(Numbers{0, 1, 2, 3, 4, 5, 6, 7}, root.path()) == Numbers{4, 5, 6, 7});
    CHECK(cores_for_work(Numbers{0, 1}, root.path()) == Numbers{0, 1});
}

TEST_CASE("processor: a thread keeps to what it is told, and to nothing where that cannot be") {
    const Numbers before = allowed_processors();
    REQUIRE(!before.empty());
    Numbers kept, after_nothing, after_impossible;
    std::thread([&] {
        keep_thread_to(Numbers{before.back()});
        kept = allowed_processors();
        keep_thread_to(Numbers{});
        after_nothing = allowed_processors();
        keep_thread_to(Numbers{1'000});
        after_impossible = allowed_processors();
    }).join();
    CHECK(kept == Numbers{before.back()});
    CHECK(after_nothing == kept);
    CHECK(after_impossible == kept);
    CHECK(allowed_processors() == before);
}
