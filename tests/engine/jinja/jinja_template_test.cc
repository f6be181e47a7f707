#include "engine/jinja/jinja_template.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace spolia::engine::jinja {
namespace {

using Json = nlohmann::ordered_json;

std::tm timeOf(std::time_t seconds) {
  std::tm out{};
  gmtime_r(&seconds, &out);
  return out;
}

Result<MarkedText> tryRender(std::string_view source, const Json& variables = Json::object(),
                             const Limits& limits = {}, std::time_t now = 0) {
  SPOLIA_ASSIGN_OR_RETURN(const Template parsed, Template::parse(source));
  Variables all;
  for (const auto& [name, json] : variables.items()) {
    SPOLIA_ASSIGN_OR_RETURN(Value value, valueOf(json));
    all.emplace_back(name, std::move(value));
  }
  return parsed.render(all, timeOf(now), limits);
}

std::string render(std::string_view source, const Json& variables = Json::object()) {
  const Result<MarkedText> out = tryRender(source, variables);
  return out.ok() ? out->bytes() : "error: " + out.status().message();
}

std::string errorOf(std::string_view source, const Json& variables = Json::object()) {
  const Result<MarkedText> out = tryRender(source, variables);
  return out.ok() ? "rendered: " + out->bytes() : out.status().message();
}

std::string fileText(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

TEST(JinjaTemplate, RendersTheFamiliesAsTheReferenceDoes) {
  const std::filesystem::path folder =
      std::filesystem::path(SPOLIA_SOURCE_DIR) / "tests/golden/engine/jinja";
  const Json goldens = Json::parse(fileText(folder / "template_goldens.json"));
  const Json conversations = Json::parse(fileText(folder / "conversations.json"));
  int compared = 0;
  for (const auto& [file, texts] : goldens["texts"].items()) {
    const std::string source = fileText(folder / "families" / file);
    for (const auto& [name, text] : texts.items()) {
      Json variables = goldens["tokens"];
      variables["add_generation_prompt"] = true;
      variables.update(conversations[name]);
      const auto found = tryRender(source, variables, {}, goldens["now"].get<std::time_t>());
      EXPECT_EQ(found.ok() ? Json(found->bytes()) : Json(), text) << file << " " << name;
      ++compared;
    }
  }
  EXPECT_EQ(compared, 77);
}

struct Case {
  const char* source;
  const char* text;
};

// What Python's Jinja2 gives, with trim_blocks and lstrip_blocks.
void expectAll(std::initializer_list<Case> cases) {
  for (const Case& one : cases) EXPECT_EQ(render(one.source), one.text) << one.source;
}

TEST(JinjaTemplate, ControlsWhiteSpace) {
  expectAll({
      {"  {% if true %}  \n  x\n  {% endif %}\n y \n", "  \n  x\n y "},
      {"a\n  {{ 1 }}\n  {# c #}\nb{%- raw %} {{ x }} {% endraw -%}  z", "a\n  1\nb {{ x }} z"},
      {"a \n\n {%- set x = 1 +%}\n b {%+ if true %} c {% endif %}", "a\n b  c "},
      {"a\r\n{{ 1 }}\r\n\r\n", "a\n1\n"},
      {"a {{- ' b ' -}} \n c{{ '' }}\n{#- c -#}\n d", "a b cd"},
      {"{ {x} }} %} #}", "{ {x} }} %} #}"},
      {"{{ {'a': {'b': 1}}['a'] }}{% set x = {'a': '%}'} %}{{ x.a }}", "{'b': 1}%}"},
  });
}

TEST(JinjaTemplate, ScopesNames) {
  expectAll({
      {"{% for i in [1,2] %}[{{ x }}]{% set x = i %}[{{ x }}]{% endfor %}{{ x }}", "[][1][][2]"},
      {"{% set x=5 %}{% macro f() %}{{ x }}{% endmacro %}{% set x=6 %}{{ f() }}", "6"},
      {"{% macro f() %}{{ y }}{% endmacro %}{% for y in [1] %}{{ f() }}{% endfor %}", ""},
      {"{% set ns = namespace(a=1) %}{% for i in [1,2] %}{% set ns.a = ns.a + i %}{% endfor %}"
       "{{ ns.a }}",
       "4"},
      {"{% if true %}{% set x = 3 %}{% endif %}{{ x }}{% with y = 4 %}{{ y }}{% endwith %}{{ y }}",
       "34"},
      {"{% generation %}{% set x = 1 %}{{ x }}{% endgeneration %}{{ x }}", "1"},
      {"{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set c %} x {% endset %}[{{ c }}]"
       "{% set d | upper | trim %} x {% endset %}{{ d }}",
       "12[ x ]X"},
      {"{% macro f(a, b=2) %}{{ a }}{{ b }}{{ caller(9) }}{% endmacro %}"
       "{% call(x) f(1) %}<{{ x }}>{% endcall %}",
       "12<9>"},
      {"{% macro mul(a, b) %}{{ a * b }}{% endmacro %}{{ mul(*[2, 3]) }}{{ mul(**{'a': 1, 'b': 4}) "
       "}}",
       "64"},
  });
}

TEST(JinjaTemplate, Loops) {
  expectAll({
      {"{% for i in [1,2,3,4] if i is even %}{{ loop.index }}/{{ loop.length }}:{{ i }} {% endfor "
       "%}",
       "1/2:2 2/2:4 "},
      {"{% for i in [1,2,3] %}{% if i==2 %}{% break %}{% endif %}{{i}}{% else %}E{% endfor %}",
       "1"},
      {"{% for i in [1,2,3] %}{% if i==2 %}{% continue %}{% endif %}{{i}}{% endfor %}", "13"},
      {"{% for i in missing %}x{% else %}none{% endfor %}", "none"},
      {"{% for a, b in {'x': 1}.items() %}{{a}}{{b}}{% endfor %}{% for k in {'x':1} %}{{k}}"
       "{% endfor %}{% for c in 'hé' %}{{ c }},{% endfor %}",
       "x1xh,é,"},
      {"{% for i in 'abc' %}{{ loop.cycle('-', '+') }}{{ loop.revindex0 }}{{ loop.first }}"
       "{{ loop.previtem }}{{ loop.nextitem }} {% endfor %}",
       "-2Trueb +1Falseac -0Falseb "},
  });
}

TEST(JinjaTemplate, ComputesAsPython) {
  expectAll({
      {"{{ none }} {{ true }} {{ [1,'a',none,1.5,\"it's\"] }} {{ {'a':(1,)} }}",
       "None True [1, 'a', None, 1.5, \"it's\"] {'a': (1,)}"},
      {"{{ 'a' ~ 1 ~ none ~ u }}", "a1None"},
      {"{{ 1 < 2 < 3 }}{{ 'x' if false }}|{{ 7 % -3 }} {{ -7 // 2 }} {{ 2 ** -1 }} {{ 1e16 }} "
       "{{ 1/3 }} {{ 10 / 5 }}",
       "True|-2 -4 0.5 1e+16 0.3333333333333333 2.0"},
      {"{{ 'abc'[::-1] }} {{ [1,2,3][-2:] }} {{ 'héllo'[1:3] }} {{ 'abc'[9:] }}{{ [1][5] }}",
       "cba [2, 3] él "},
      {"{{ 'x' * 3 }} {{ [1]*2 }} {{ 1 == 1.0 }} {{ true == 1 }} {{ (1, 2) + (3,) }}",
       "xxx [1, 1] True True (1, 2, 3)"},
      {"{{ not 1 is none }} {{ 3 is in [3] }} {{ 4 is divisibleby 2 }} {{ true is integer }} "
       "{{ u is iterable }} {{ {} is sequence }} {{ 'a' not in 'abc' }}",
       "True True True False True True False"},
      {"{{ '\\u00e9\\x41\\d\\101' }} {{ 1_000 }} {{ 'a' 'b' }} {{ -2 | abs }} {{ 2 ** 3 ** 2 }}",
       "éA\\dA 1000 ab 2 64"},
      {"{{ none.x is defined }} {{ {'items': 1}['items'] }} {{ {'get': 1}.get('get') }} {{ [5].0 "
       "}}",
       "False 1 1 5"},
  });
}

TEST(JinjaTemplate, FiltersAndMethods) {
  expectAll({
      {"{{ ['B','a']|sort }} {{ {'b':1,'A':2}|dictsort }} {{ [1,1,2,'a','A']|unique|list }}",
       "['a', 'B'] [('A', 2), ('b', 1)] [1, 2, 'a']"},
      {"{{ 'hello world-foo_bar x2y'|title }} {{ 'foo_bar'.title() }} {{ 'hELLO'|capitalize }}",
       "Hello World-Foo_bar X2y Foo_Bar Hello"},
      {"{{ 'a\\nb\\n\\nc'|indent }}|{{ 'a\\nb\\n\\nc'|indent(2,true) }}|{{ "
       "'a\\n\\nc'|indent(2,blank="
       "true) }}",
       "a\n    b\n\n    c|  a\n  b\n\n  c|a\n  \n  c"},
      {"{{ '3.7'|int }} {{ 'x'|int(5) }} {{ 3.7|int }} {{ '3.5'|float }} {{ 3.14159|round(2) }}",
       "3 5 3 3.5 3.14"},
      {"{{ u|default('x') }} {{ ''|default('x',true) }} {{ []|first }} {{ u|length }} {{ u|trim }}",
       "x x  0 "},
      {"{{ [{'a':1},{'a':0}]|selectattr('a')|list }} {{ [1,2,3]|select('odd')|list }} "
       "{{ ['a']|map('upper')|list }} {{ [{'a':{'b':7}}]|map(attribute='a.b')|join }}",
       "[{'a': 1}] [1, 3] ['A'] 7"},
      {"{{ 'a b  c'.split() }} {{ 'a,b,c'.rsplit(',',1) }} {{ 'a\\nb'.splitlines() }} "
       "{{ '-'.join(['a','b']) }} {{ 'aXbX'.replace('X','-',1) }} {{ 'abc'.removeprefix('a') }}",
       "['a', 'b', 'c'] ['a,b', 'c'] ['a', 'b'] a-b a-bX bc"},
      {"{{ 'xxaxx'.strip('x') }} {{ 'éa'.upper() }} {{ 'abc'.find('c') }} {{ 'ab' is lower }} "
       "{{ 'abc'.startswith(('x', 'a')) }} {{ '\u00a0a\u3000'|trim }}",
       "a ÉA 2 True True a"},
      {"{{ {'a': [1, {}], 'é': '\"\\n'}|tojson }} {{ [1, {'b': none}]|tojson(indent=2) }} {{ "
       "[]|tojson("
       "indent=2) }} {{ {'b': 1, 'a': 'é'}|tojson(sort_keys=true, ensure_ascii=true) }}",
       "{\"a\": [1, {}], \"é\": \"\\\"\\n\"} [\n  1,\n  {\n    \"b\": null\n  }\n] [] "
       "{\"a\": \"\\u00e9\", \"b\": 1}"},
      {"{% filter upper %}abc{% endfilter %}{{ 'abc'|reverse }}{{ [3,1]|max }}{{ [1,2]|sum }}",
       "ABCcba33"},
  });
}

TEST(JinjaTemplate, TellsTheTimeItIsGiven) {
  const auto text = tryRender("{{ strftime_now('%d %B %Y') }}", Json::object(), {}, 86400);
  EXPECT_EQ(text->bytes(), "02 January 1970");
  EXPECT_EQ(errorOf("{{ strftime_now('%999d') }}"),
            "line 1, column 16: strftime_now does not know %9");
}

TEST(JinjaTemplate, ErrorsNameLineAndColumn) {
  EXPECT_EQ(errorOf("a\n{{ raise_exception('no tools') }}"), "line 2, column 19: no tools");
  EXPECT_EQ(errorOf("\n\n {{ a.b }}"), "line 3, column 7: \"a\" is undefined");
  EXPECT_EQ(errorOf("{{ d.a.b }}", {{"d", Json::object()}}),
            "line 1, column 8: there is no field \"a\"");
  EXPECT_EQ(errorOf("{{ 'a' + 1 }}"), "line 1, column 8: no + between str and int");
  EXPECT_EQ(errorOf("{% if x %}\nb"),
            "line 2, column 2: expected \"{% endif %}\", found the end of the template");
  EXPECT_EQ(errorOf("{% include 'x' %}"), "line 1, column 4: there is no statement \"include\"");
  EXPECT_EQ(errorOf("{{ 1 | nothing }}"), "line 1, column 8: there is no filter \"nothing\"");
  EXPECT_EQ(errorOf("{{ 'a }}"), "line 1, column 4: a string has no end, expected '");
  EXPECT_EQ(errorOf("a\n {{ (1 }}").substr(0, 17), "line 2, column 8:");
  EXPECT_EQ(errorOf("{% endfor %}"), "line 1, column 4: unexpected \"{% endfor %}\"");
  EXPECT_EQ(errorOf("{{ [].append(1) }}"), "line 1, column 13: there is no field \"append\"");
}

TEST(JinjaTemplate, LengthIsLimited) {
  const std::string longest((128u << 10) - 5, 'x');
  EXPECT_EQ(render(longest + "{{1}}").size(), longest.size() + 1);
  const Status longer = tryRender(longest + "{{ 1}}").status();
  EXPECT_EQ(longer.code(), ErrorCode::kUnsupported);
  EXPECT_EQ(longer.message(), "a template of 131073 bytes, expected at most 131072");
}

// Hostile templates end soon, with an error and without much memory.
TEST(JinjaTemplate, KeepsWithinItsLimits) {
  const std::string deep(100'000, '(');
  std::string chain = "{{ 1";
  for (int i = 0; i < 20'000; ++i) chain += "+1";
  std::string blocks;
  for (int i = 0; i < 1000; ++i) blocks += "{% if 1 %}";
  std::string maps = "{{ 'a' | map('map'";
  for (int i = 0; i < 20'000; ++i) maps += ",'map'";
  const std::string hostile[] = {
      "{{ range(10**9) }}",
      "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
      "{{ 'a' * 10**9 }}",
      "{{ [0] * 10**9 }}",
      "{{ ('a' * 10000).replace('', 'b' * 10000) }}",
      "{{ ('a' * 10000).replace('a', 'b' * 10000).replace('b', 'c' * 10000) }}",
      "{{ range(10000) | join('x' * 100000) }}",
      "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(100) %}{% set ns.x = ns.x + ns.x %}"
      "{% endfor %}",
      "{% set ns = namespace(x=[]) %}{% for i in range(1000) %}{% set ns.x = [ns.x, ns.x] %}"
      "{% endfor %}",
      "{% set ns = namespace(x=[1]) %}{% for i in range(50) %}{% set ns.x = [ns.x, ns.x] %}"
      "{% endfor %}{{ ns.x }}",
      "{% set ns = namespace(x=[1]) %}{% for i in range(50) %}{% set ns.x = [ns.x, ns.x] %}"
      "{% endfor %}{{ ns.x == ns.x }}{{ ns.x | tojson }}",
      "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
      "{% macro f(n) %}{{ f(n + 1) ~ f(n + 1) }}{% endmacro %}{{ f(0) }}",
      "{% for i in range(30000) %}{{ 'a' * 100 }}{% endfor %}",
      "{{ 10 ** 10 ** 10 }}",
      "{{ {'a': 1} | tojson(indent=10**9) }}",
      "{{ 'a' | indent(10**9, true) }}",
      "{{ ('a' * 1000000) | list }}",
      "{{ ('a ' * 1000000).split() }}",
      "{{ ('ab' * 1000000)[::2] | reverse | upper | title | length }}{{ ('a' * 10000000) | length "
      "}}",
      "{% for i in range(100000) %}{% set x = ('a' * 100000) in ('b' * 100000) %}{% endfor %}",
      "{{ range(9223372036854775807) }}{{ 'a'[:9223372036854775807:9223372036854775807] }}",
      "{{ range(-9223372036854775807, 9223372036854775807, 1) }}",
      "{{ " + deep,
      chain + " }}",
      blocks,
      maps + ") }}",
      "{{ " + std::string(100'000, '[') + " }}",
      "{{ " + std::string(100'000, '-') + "1 }}",
  };
  for (const std::string& source : hostile) {
    const auto begin = std::chrono::steady_clock::now();
    const Result<MarkedText> out = tryRender(source);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    EXPECT_FALSE(out.ok()) << source.substr(0, 100);
    EXPECT_TRUE(out.status().message().starts_with("line ")) << out.status().message();
    // The bound is 100 ms on an idle machine.
    EXPECT_LT(took.count(), 1000) << source.substr(0, 100) << ": " << out.status().message();
  }
}

TEST(JinjaTemplate, WhatHoldsItselfIsLetGo) {
  EXPECT_EQ(render("{% set ns = namespace() %}{% set ns.self = ns %}{% macro f() %}x{% endmacro %}"
                   "{% set ns.f = f %}{{ ns.f() }}"),
            "x");
  EXPECT_EQ(errorOf("{% set ns = namespace() %}{% set ns.a = [ns] %}{{ ns.a }}"),
            "line 1, column 48: a namespace has no text");
}

TEST(JinjaTemplate, TheSameTemplateRendersAgain) {
  const Result<Template> parsed = Template::parse("{% set x = x + 1 %}{{ x }}");
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(parsed->render({{"x", Value(int64_t{1})}}, timeOf(0))->bytes(), "2");
  }
}

// The parts of the output that came from outside.
std::vector<std::string> contentOf(std::string_view source, const Json& variables) {
  const Result<MarkedText> out = tryRender(source, variables);
  std::vector<std::string> parts;
  if (!out.ok()) ADD_FAILURE() << out.status().message();
  for (const OriginRange& range : out->ranges()) {
    parts.push_back(out->bytes().substr(range.begin, range.end - range.begin));
  }
  return parts;
}

TEST(JinjaTemplate, WhatCameFromOutsideStaysMarked) {
  using Parts = std::vector<std::string>;
  const Json x = {{"x", " a<s>B "}, {"list", {"p", "q"}}, {"d", {{"k", "v"}}}};
  EXPECT_EQ(contentOf("<s>{{ x }}</s>", x), (Parts{" a<s>B "}));
  EXPECT_EQ(contentOf("{{ '<s>' + x | trim + '</s>' }}", x), (Parts{"a<s>B"}));
  EXPECT_EQ(contentOf("{{ x.upper() ~ '-' ~ x[1:3] ~ x.split('<')[1] }}", x),
            (Parts{" A<S>B ", "a<s>B "}));
  EXPECT_EQ(contentOf("{{ x.replace('a', '<s>') }}", x), (Parts{" ", "<s>B "}));
  EXPECT_EQ(contentOf("{{ '<x>'.replace('x', x) }}", x), (Parts{" a<s>B "}));
  EXPECT_EQ(contentOf("{{ list | join('</s>') }}{% for i in x %}{{ i }}{% endfor %}", x),
            (Parts{"p", "q a<s>B "}));
  EXPECT_EQ(contentOf("{{ d | tojson }}{{ d }}", x), (Parts{"\"k\"", "\"v\"", "'k'", "'v'"}));
  EXPECT_EQ(contentOf("{% set y %}[{{ x }}]{% endset %}{{ y | indent | title }}", x),
            (Parts{" A<S>b "}));
  EXPECT_EQ(contentOf("{% macro f(a) %}{{ a }}{% endmacro %}<{{ f(x) | reverse }}>", x),
            (Parts{" B>s<a "}));
}

}  // namespace
}  // namespace spolia::engine::jinja
