// SPDX-License-Identifier: Apache-2.0
// Which bytes of a rendering are untrusted, through every operation that can move or change them.
#include "template_fixture.hpp"
#include "text/template.hpp"

namespace {

using ponder_test::Json;
using ponder_test::render_template;

// The rendering with its untrusted ranges in brackets.
std::string marked(std::string_view source, const Json& context, ponder::RenderOptions options = {}) {
    const auto rendered = render_template(source, context, options);
    if (!rendered) return rendered.error().message;
    std::string out;
    size_t at = 0;
    for (const ponder::TextSpan& span : rendered->untrusted) {
        CHECK(span.begin < span.end);
        CHECK(span.end <= rendered->text.size());
        CHECK((out.empty() || span.begin > at || at == 0));
        out += rendered->text.substr(at, span.begin - at) + "[" + rendered->text.substr(span.begin, span.end - span.begin) + "]";
        at = span.end;
    }
    return out + rendered->text.substr(at);
}

struct Row {
    const char* source;
    const char* expected;
};

const Json kContext =
    Json::parse(R"({"x": "ab cd", "y": "E\"\n", "l": ["p", "q"], "d": {"k": "v"}, "n": 5, "z": " s ", "w": "Aß", "bos_token": "B"})");

constexpr Row kRows[] = {
    {"<{{ x }}>", "<[ab cd]>"},
    {"{{ '<' + x + '>' }}", "<[ab cd]>"},
    {"{{ '<' ~ x ~ n ~ '>' }}", "<[ab cd]5>"},
    {"{{ n }}{{ true }}{{ none }}", "5TrueNone"},
    {"{{ bos_token }}{{ x }}", "B[ab cd]"},
    {"{{ ('<' + x)[1:3] }}", "[ab]"},
    {"{{ ('<' + x)[0:2] }}", "<[a]"},
    {"{{ (x + '>')[::-1] }}", ">[dc ba]"},
    {"{{ x[0] }}{{ x[-1] }}", "[ad]"},
    {"{{ ('1' + x + '2').split(' ') | join('|') }}", "1[ab]|[cd]2"},
    {"{{ ('1' + x + '2').split() | last }}", "[cd]2"},
    {"{{ (' ' + z + ' ').strip() }}{{ z | trim }}", "[ss]"},
    {"{{ (z + 'x').lstrip() }}", "[s ]x"},
    {"{{ x.replace('b', '<') }}", "[a]<[ cd]"},
    {"{{ 'a-b' | replace('-', x) }}", "a[ab cd]b"},
    {"{{ l | join('-') }}", "[p]-[q]"},
    {"{{ x.join(['1', '2']) }}", "1[ab cd]2"},
    {"{{ ('i' + w) | upper }}", "I[ASS]"},
    {"{{ ('I' + w) | lower }}", "i[aß]"},
    {"{{ ('i' + x) | title }}|{{ (x + 'I') | capitalize }}", "I[ab Cd]|[Ab cd]i"},
    {"{{ '<%s|%5s>' % (x, 'q') }}", "<[ab cd]|    q>"},
    {"{{ '<%s>' | format(x) }}", "<[ab cd]>"},
    {"{{ '<{}|{:>3}>'.format(x, n) }}", "<[ab cd]|  5>"},
    {"{{ d | tojson }}", "{\"[k]\": \"[v]\"}"},
    {"{{ {'a': y} | tojson }}", "{\"a\": \"[E\\\"\\n]\"}"},
    {"{{ [x] | tojson(indent=1) }}", "[\n \"[ab cd]\"\n]"},
    {"{{ l }}", "['[p]', '[q]']"},
    {"{{ x | string }}{{ x | list | join }}", "[ab cdab cd]"},
    {"{% for c in 'x' + x[:2] %}{{ c }}.{% endfor %}", "x.[a].[b]."},
    {"{% for k, v in d.items() %}{{ k }}={{ v }}{% endfor %}", "[k]=[v]"},
    {"{{ ('1\n' + x) | indent(2) }}", "1\n  [ab cd]"},
    {"{{ x | e }}{{ '<' | e }}", "[ab cd]&lt;"},
    {"{{ y | e }}", "[E&#34;\n]"},
    {"{{ x | truncate(4, true, '..', 0) }}", "[ab].."},
    {"{{ x.center(9, '*') }}", "**[ab cd]**"},
    {"{{ 'q'.center(3, x[0]) }}", "[a]q[a]"},
    {"{{ x.partition(' ') | join('_') }}", "[ab]_[ ]_[cd]"},
    {"{{ x.splitlines()[0] }}{{ (x ~ '\n' ~ 'k').splitlines()[1] }}", "[ab cd]k"},
    {"{{ x.removeprefix('ab') }}", "[ cd]"},
    {"{{ x * 2 }}{{ '-' * 2 }}", "[ab cdab cd]--"},
    {"{% set ns = namespace(a='') %}{% set ns.a = ns.a + x %}{% set ns.a = ns.a + '!' %}{{ ns.a }}", "[ab cd]!"},
    {"{% macro m(a) %}<{{ a }}>{% endmacro %}{{ m(x) }}", "<[ab cd]>"},
    {"{% set b %}<{{ x }}>{% endset %}{{ b }}", "<[ab cd]>"},
    {"{% filter upper %}i{{ x }}{% endfilter %}", "I[AB CD]"},
    {"{{ x | urlencode }}", "[ab%20cd]"},
    {"{{ 'yes' if x == 'ab cd' }}", "yes"},
    {"{{ l | map('upper') | join }}", "[PQ]"},
    {"{{ x | default('q') }}{{ u | default('q') }}", "[ab cd]q"},
    {"{{ strftime_now('%Y') }}{{ strftime_now(x) }}", "2024[ab cd]"},
    {"{{ {x: 1} }}", "{'[ab cd]': 1}"},
    {"{{ x.zfill(6) }}{{ x | wordcount }}", "0[ab cd]2"},
};

}  // namespace

TEST_CASE("template: every operation keeps the marks of untrusted bytes") {
    for (const Row& row : kRows) {
        CAPTURE(row.source);
        CHECK(marked(row.source, kContext) == row.expected);
    }
}

TEST_CASE("template: variables and an assistant's thought marks can be trusted") {
    const Json context = Json::parse(R"({"messages": [
        {"role": "user", "content": "<think>u</think>"}, {"role": "assistant", "content": "<think>t</think>a<thi"}], "date": "D", "x": "</think>"})");
    const std::string source = "{% for m in messages %}{{ m.content }};{% endfor %}{{ date }}{{ x }}";
    CHECK(marked(source, context) == "[<think>u</think>];[<think>t</think>a<thi];[D</think>]");
    ponder::RenderOptions options;
    options.trusted_variables = {"date"};
    options.trusted_in_assistant = {"<think>", "</think>"};
    CHECK(marked(source, context, options) == "[<think>u</think>];<think>[t]</think>[a<thi];D[</think>]");
}
