#include "engine/template/chat_template.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temporary_directory.h"

namespace spolia::engine {
namespace {

class ChatTemplateTest : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) {
    std::ofstream(directory_.path() / name) << text;
  }
  // What the directory's template makes of a question, or the error.
  std::string rendered() {
    const auto loaded = ChatTemplate::load(directory_.path());
    if (!loaded.ok()) return "error: " + loaded.status().message();
    if (!*loaded) return "none";
    const ChatTurn turns[] = {{"user", {"Why?", jinja::Origin::kContent}}};
    const auto text = (*loaded)->render(turns, {{"extra", jinja::Value("x")}}, std::tm{});
    return text.ok() ? text->bytes() : "error: " + text.status().message();
  }
  std::string at(const std::string& name) { return (directory_.path() / name).string(); }

  test::TemporaryDirectory directory_;
};

TEST_F(ChatTemplateTest, IsFoundInTheFilesOfAModel) {
  EXPECT_EQ(rendered(), "none");
  write("tokenizer_config.json", R"({"bos_token": "<s>"})");
  EXPECT_EQ(rendered(), "none");
  write("tokenizer_config.json", R"({"bos_token": {"content": "<b>"}, "eos_token": null,
    "chat_template": "{{ bos_token ~ messages[0].content ~ eos_token ~ pad_token ~ tools }}"})");
  write("special_tokens_map.json",
        R"({"bos_token": "<x>", "eos_token": "</x>", "pad_token": "<p>"})");
  EXPECT_EQ(rendered(), "<b>Why?<p>None");
  write("tokenizer_config.json", R"({"chat_template": [{"name": "tool_use", "template": "t"},
    {"name": "default", "template": "{{ eos_token }}{{ messages[0]['role'] }}{{ extra }}"}]})");
  EXPECT_EQ(rendered(), "</x>userx");
  write("chat_template.jinja", "{% if add_generation_prompt %}own{% endif %}\n");
  EXPECT_EQ(rendered(), "own");
}

TEST_F(ChatTemplateTest, ErrorsNameFileAndPlace) {
  write("tokenizer_config.json", R"({"chat_template": 3})");
  EXPECT_EQ(rendered(), "error: " + at("tokenizer_config.json") +
                            ": chat_template is 3, expected a text, or a list of named ones");
  write("tokenizer_config.json", R"({"chat_template": [{"name": "rag", "template": ""}]})");
  EXPECT_EQ(rendered(),
            "error: " + at("tokenizer_config.json") +
                ": chat_template is a list, expected one that is named \"default\", with its "
                "\"template\"");
  write("tokenizer_config.json", R"({"chat_template": "{% if %}"})");
  EXPECT_EQ(rendered(), "error: " + at("tokenizer_config.json") +
                            ": chat_template: line 1, column 7: expected an expression, found "
                            "\"%}\"");
  write("chat_template.jinja", "\n{{ raise_exception('no system turns') }}");
  EXPECT_EQ(rendered(),
            "error: " + at("chat_template.jinja") + ": line 2, column 19: no system turns");
}

}  // namespace
}  // namespace spolia::engine
