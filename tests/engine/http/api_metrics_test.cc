#include "engine/http/api_metrics.h"

#include <gtest/gtest.h>

#include <regex>
#include <sstream>

namespace spolia::engine {
namespace {

// The value of a line "NAME VALUE"; -1 where there is none.
double valueOf(const std::string& text, const std::string& name) {
  const size_t at = text.find("\n" + name + " ");
  return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
}

TEST(ApiMetrics, CountsWhatHappened) {
  ApiMetrics metrics;
  metrics.countRequest("/health", 200);
  metrics.countRequest("/health", 200);
  metrics.countRequest("other", 404);
  metrics.countAnswer({100, 80, 7, 0.03, 0.2, 5, 4, 4096});
  metrics.countAnswer({50, 0, 3, 7, 100, 2, 0, 0});
  metrics.countAbandoned();
  const std::string text = metrics.text({3, 9});
  const std::string p = "spolia_engine_";
  EXPECT_EQ(valueOf(text, p + "http_requests_total{route=\"/health\",status=\"200\"}"), 2);
  EXPECT_EQ(valueOf(text, p + "http_requests_total{route=\"other\",status=\"404\"}"), 1);
  EXPECT_EQ(valueOf(text, p + "prompt_tokens_total"), 150);
  EXPECT_EQ(valueOf(text, p + "cached_tokens_total"), 80);
  EXPECT_EQ(valueOf(text, p + "completion_tokens_total"), 10);
  EXPECT_EQ(valueOf(text, p + "chunks_total"), 7);
  EXPECT_EQ(valueOf(text, p + "chunk_hits_total"), 4);
  EXPECT_EQ(valueOf(text, p + "read_bytes_total"), 4096);
  EXPECT_EQ(valueOf(text, p + "abandoned_total"), 1);
  EXPECT_EQ(valueOf(text, p + "queue_length"), 3);
  EXPECT_EQ(valueOf(text, p + "connections"), 9);
}

TEST(ApiMetrics, BucketsAreCumulativeAndEndInAll) {
  ApiMetrics metrics;
  for (const double seconds : {0.005, 0.006, 0.3, 1000.0}) {
    AnswerFigures figures;
    figures.firstTokenSeconds = seconds;
    metrics.countAnswer(figures);
  }
  const std::string text = metrics.text({});
  const std::string name = "spolia_engine_time_to_first_token_seconds";
  const auto upTo = [&](const std::string& le) {
    return valueOf(text, name + "_bucket{le=\"" + le + "\"}");
  };
  EXPECT_EQ(upTo("0.005"), 1) << "a bucket holds its upper end";
  EXPECT_EQ(upTo("0.01"), 2);
  EXPECT_EQ(upTo("0.25"), 2);
  EXPECT_EQ(upTo("0.5"), 3);
  EXPECT_EQ(upTo("30"), 3);
  EXPECT_EQ(upTo("+Inf"), 4);
  EXPECT_EQ(valueOf(text, name + "_count"), 4);
  EXPECT_NEAR(valueOf(text, name + "_sum"), 1000.311, 1e-6);
}

// As promtool would read it: every line a comment or a sample, every sample's family declared once.
TEST(ApiMetrics, IsPrometheusText) {
  ApiMetrics metrics;
  metrics.countRequest("/metrics", 200);
  std::istringstream lines(metrics.text({1, 1}));
  const std::regex sample(R"(([a-z_]+)(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [0-9.e+-]+)");
  const std::regex type(R"(# TYPE ([a-z_]+) (counter|gauge|histogram))");
  std::string line, family;
  size_t samples = 0;
  for (std::smatch match; std::getline(lines, line);) {
    if (std::regex_match(line, match, type)) {
      family = match[1];
    } else if (!line.starts_with("# HELP ")) {
      ASSERT_TRUE(std::regex_match(line, match, sample)) << line;
      EXPECT_TRUE(match[1].str().starts_with(family)) << line;
      ++samples;
    }
  }
  EXPECT_GT(samples, 30u);
}

}  // namespace
}  // namespace spolia::engine
