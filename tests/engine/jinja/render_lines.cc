// What golden/engine/jinja/compare_templates.mjs asks for texts. Each line of stdin is an object
// with "template" and "variables"; each line of stdout one with "text", and "content", the parts of
// it that came from the variables, or with "error".
#include <ctime>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/jinja/jinja_template.h"

namespace spolia::engine::jinja {
namespace {

using Json = nlohmann::ordered_json;

Result<MarkedText> render(const Json& request) {
  SPOLIA_ASSIGN_OR_RETURN(const Template parsed,
                          Template::parse(request.at("template").get<std::string>()));
  Variables variables;
  for (const auto& [name, json] : request.at("variables").items()) {
    SPOLIA_ASSIGN_OR_RETURN(Value value, valueOf(json));
    variables.emplace_back(name, std::move(value));
  }
  std::tm now{};
  const std::time_t seconds = request.value("now", std::time_t{0});
  gmtime_r(&seconds, &now);
  return parsed.render(variables, now);
}

Json answer(const std::string& line) {
  const Result<MarkedText> text = render(Json::parse(line));
  if (!text.ok()) return {{"error", text.status().message()}};
  Json content = Json::array();
  for (const OriginRange& range : text->ranges()) {
    content.push_back(text->bytes().substr(range.begin, range.end - range.begin));
  }
  return {{"text", text->bytes()}, {"content", content}};
}

}  // namespace
}  // namespace spolia::engine::jinja

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << spolia::engine::jinja::answer(line).dump(-1, ' ', false,
                                                          nlohmann::json::error_handler_t::replace)
              << "\n";
  }
  return 0;
}
