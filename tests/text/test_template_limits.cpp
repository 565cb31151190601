// SPDX-License-Identifier: Apache-2.0
// Hostile templates end with a status: in time, within the memory limit and without running out of stack.
#include <string>
#include <thread>
#include <vector>

#include "base/limits.hpp"
#include "template_fixture.hpp"

namespace {

using ponder_test::Json;
using ponder_test::render_template;

std::string repeated(const std::string& part, int count) {
    std::string out;
    for (int i = 0; i < count; ++i) out += part;
    return out;
}

ponder_status status_of(std::string_view source, const Json& context = Json::object()) {
    const auto rendered = render_template(source, context);
    return rendered ? PONDER_STATUS_OK : rendered.error().status;
}

constexpr const char* kHostile[] = {
    "{{ range(1000000000) }}",
    "{{ 'a' * 1000000000 }}",
    "{{ [0] * 1000000000 }}",
    "{{ 'a'.center(10000000000) }}",
    "{{ '%1000000000s' % 'a' }}",
    "{{ '%.1000000000f' % 1.5 }}",
    "{{ '{:>1000000000}'.format('a') }}",
    "{{ 'a' | indent(10000000000) }}",
    "{{ {} | tojson(indent=10000000000) }}",
    "{{ [[1]] | tojson(indent=100000000) }}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% macro m(n) %}{{ m(n + 1) }}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}",
    "{% set ns = namespace(s='ab') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
    "{% set ns = namespace(s='ab') %}{% for i in range(100) %}{% set ns.s = ns.s.replace('a', 'aa') %}{% endfor %}",
    "{% set ns = namespace(l=[1]) %}{% for i in range(100) %}{% set ns.l = ns.l + ns.l %}{% endfor %}",
    "{% set ns = namespace(l=[]) %}{% for i in range(100) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
    "{% set ns = namespace(l=[]) %}{% for i in range(100) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l == ns.l | list }}",
    "{% set l = [1] %}{{ l.append(l) }}{{ l }}",
    "{% set l = [1] %}{{ l.append(l) }}{{ l | tojson }}",
    "{% set l = [1] %}{% set m = [1] %}{{ l.append(m) }}{{ m.append(l) }}{{ l == m }}",
    "{% set l = [1] %}{% for i in l %}{{ l.append(i) }}{% endfor %}",
    "{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}",
    "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
    "{% for a in range(100000) %}{{ 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' * 1000 }}{% endfor %}",
    "{% for a in range(100000) %}{% set x %}{{ 'x' * 100000 }}{% endset %}{% endfor %}",
    "{% set s = 'a' * 1000000 %}{% for a in range(100000) %}{{ s.find('b') }}{% endfor %}",
    "{% set s = 'a' * 1000000 %}{% for a in range(100000) %}{{ s | upper | length }}{% endfor %}",
    "{% set s = 'a' * 2000000 %}{% set n = 'a' * 1000000 + 'b' %}{% for a in range(100) %}{{ n in s }}{% endfor %}",
    "{% set s = 'a' * 1000000 %}{% for a in range(100000) %}{{ s[500000] }}{% endfor %}",
    "{% set s = 'é' * 1000000 %}{% for a in range(100000) %}{{ s[500000] }}{% endfor %}",
    "{% set s = 'é' * 10000000 %}{{ s | list | length }}",
    "{{ ('a,' * 10000000).split(',') | length }}",
    "{% set d = dict() %}{% for a in range(100000) %}{{ d.update([[a, a]]) }}{% endfor %}",
    "{{ 9223372036854775807 + 1 }}",
    "{{ 2 ** 64 }}",
    "{{ -9223372036854775807 - 2 }}",
    "{{ (-9223372036854775807 - 1) // -1 }}",
    "{{ 10 ** 1000000000 }}",
    "{{ 1e300 | int }}",
};

}  // namespace

TEST_CASE("template: hostile templates reach a limit") {
    for (const char* source : kHostile) {
        CAPTURE(source);
        CHECK(status_of(source) == PONDER_STATUS_LIMIT);
    }
}

TEST_CASE("template: searches among many names are charged for") {
    std::string parameters, sets;
    for (int i = 0; i < 40'000; ++i) {
        const std::string name = "a" + std::to_string(i);
        parameters += name + "=1,";
        sets += "{% set " + name + "=1 %}";
    }
    CHECK(status_of("{% macro m(" + parameters + ") %}{% endmacro %}{{ m() }}") == PONDER_STATUS_LIMIT);
    CHECK(status_of("{{ dict(" + parameters + ") }}") == PONDER_STATUS_LIMIT);
    CHECK(status_of(sets) == PONDER_STATUS_LIMIT);
}

TEST_CASE("template: nesting is limited before the stack is") {
    constexpr int kMany = 100'000;
    const std::string sources[] = {
        "{{ " + repeated("(", kMany) + "1" + repeated(")", kMany) + " }}",
        "{{ " + repeated("[", kMany) + repeated("]", kMany) + " }}",
        "{{ " + repeated("{1:", kMany) + "1" + repeated("}", kMany) + " }}",
        "{{ " + repeated("not ", kMany) + "1 }}",
        "{{ " + repeated("-", kMany) + "1 }}",
        "{{ a" + repeated("[a", kMany) + repeated("]", kMany) + " }}",
        "{{ a" + repeated(".a", kMany) + " }}",
        "{{ a" + repeated("()", kMany) + " }}",
        "{{ a" + repeated("|upper", kMany) + " }}",
        "{{ a" + repeated(" is defined()", kMany) + " }}",
        "{{ " + repeated("1 if 1 else ", kMany) + "1 }}",
        "{{ 1" + repeated(" if 1", kMany) + " }}",
        repeated("{% if 1 %}", kMany) + repeated("{% endif %}", kMany),
        repeated("{% for i in [1] %}", kMany),
        "{% set " + repeated("(", kMany) + "a" + repeated(")", kMany) + " = 1 %}",
        // Chains inside chains: neither is too long by itself.
        "{{ " + repeated("a(", 60) + "1" + repeated(").b.b.b.b.b", 60) + " }}",
    };
    for (const std::string& source : sources) {
        CAPTURE(source.substr(0, 60));
        CHECK(status_of(source) == PONDER_STATUS_LIMIT);
    }
    CHECK(status_of("{{ " + repeated("1 + ", kMany) + "1 }}") == PONDER_STATUS_OK);
    CHECK(status_of("{{ " + repeated("'a' ~ ", kMany) + "1 }}") == PONDER_STATUS_OK);
    CHECK(status_of("{% if 0 %}" + repeated("{% elif 0 %}", kMany / 10) + "{% endif %}") == PONDER_STATUS_OK);
}

TEST_CASE("template: filters named by filters are limited too") {
    const std::string source = "{{ 'a' | map(" + repeated("'map', ", 10'000) + "'upper') }}";
    CHECK(status_of(source) == PONDER_STATUS_LIMIT);
}

TEST_CASE("template: sources and contexts are limited") {
    CHECK(status_of(std::string(ponder::limits::kMaxTemplateBytes + 1, 'a')) == PONDER_STATUS_LIMIT);
    CHECK(status_of("{{ x }}", Json::array()) == PONDER_STATUS_INVALID_ARGUMENT);
    CHECK(status_of("\xff") == PONDER_STATUS_TEMPLATE);
    Json deep = 1;
    for (int i = 0; i < 200; ++i) deep = Json::array({deep});
    CHECK(status_of("{{ x }}", Json{{"x", deep}}) == PONDER_STATUS_LIMIT);
}

TEST_CASE("template: a text built up piece by piece is not copied each time") {
    const Json context{{"piece", std::string(10'000, 'x')}};
    const auto rendered = render_template(
        "{% set ns = namespace(s='') %}{% for i in range(4000) %}{% set ns.s = ns.s + piece %}{% endfor %}{{ ns.s }}", context);
    REQUIRE(rendered);
    CHECK(rendered->text.size() == 40'000'000);
    CHECK(rendered->untrusted.size() == 1);
}

TEST_CASE("template: errors have the line and raise_exception's words") {
    const auto raised = render_template("a\n{% if true %}\n{{ raise_exception('no ' ~ 'tools') }}{% endif %}");
    REQUIRE_FALSE(raised);
    CHECK(raised.error().status == PONDER_STATUS_TEMPLATE);
    CHECK(raised.error().message == "chat template: line 3: no tools");
    const auto malformed = render_template("a\n\n{% if %}");
    REQUIRE_FALSE(malformed);
    CHECK(malformed.error().message == "chat template: line 3: unexpected '%}'");
    const auto missing = render_template("{{ nothing.here }}");
    REQUIRE_FALSE(missing);
    CHECK(missing.error().message == "chat template: line 1: 'nothing' is undefined");
}

TEST_CASE("template: integers of the context above 64 signed bits are kept") {
    const Json context = Json::parse(R"({"x": 18446744073709551615})");
    const auto rendered =
        render_template("{{ x }} {{ [x] | tojson }} {{ x > 9223372036854775807 }} {{ x == x }} {{ x is integer }}", context);
    REQUIRE(rendered);
    CHECK(rendered->text == "18446744073709551615 [18446744073709551615] True True True");
    CHECK(status_of("{{ x + 1 }}", context) == PONDER_STATUS_LIMIT);
}

TEST_CASE("template: the ends of the integer range wrap nowhere") {
    const char* const kSources[] = {
        "{% set low = -9223372036854775807 - 1 %}{{ range(low, 9223372036854775807, 9223372036854775807) | list }}",
        "{% set low = -9223372036854775807 - 1 %}{{ range(9223372036854775807, low, low) | list }}",
        "{% set low = -9223372036854775807 - 1 %}{{ 'ab'.center(low) }}{{ '-7'.zfill(low) }}{{ 'ab'[low:] }}{{ 'ab'[::low] }}{{ 'ab'[low] "
        "}}",
        "{% set low = -9223372036854775807 - 1 %}{{ low % -1 }}{{ low }}{{ '%d' % low }}{{ '{:x}'.format(low) }}{{ [1].insert(low, 2) }}",
        "{{ -84467431383709551615.0 | filesizeformat }}{{ 'ab'.replace('a', 'b', -9223372036854775807 - 1) }}{{ 'ab'.split('b', -9) }}",
    };
    for (const char* source : kSources) {
        CAPTURE(source);
        CHECK(status_of(source) == PONDER_STATUS_OK);
    }
    CHECK(status_of("{{ 'ab' | truncate(-9223372036854775807 - 1) }}") == PONDER_STATUS_TEMPLATE);
    CHECK(status_of("{{ 9223372036854775807 | round(-19) }}") == PONDER_STATUS_LIMIT);
}

TEST_CASE("template: many threads render one template") {
    const auto parsed =
        ponder::ChatTemplate::parse("{% set ns = namespace(n=0) %}{% for i in range(k) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}");
    REQUIRE(parsed);
    std::vector<std::thread> threads;
    std::vector<std::string> results(4);
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            const auto rendered = parsed->render(Json{{"k", 100 * (t + 1)}});
            if (rendered) results[static_cast<size_t>(t)] = rendered->text;
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(results == std::vector<std::string>{"4950", "19900", "44850", "79800"});
}
