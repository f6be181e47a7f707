#include "engine/retrieval/document_ranker.h"

#include <gtest/gtest.h>

namespace spolia::engine {
namespace {

using Names = std::vector<std::string>;

class DocumentRankerTest : public ::testing::Test {
 protected:
  DocumentRankerTest() {
    put("boats.txt", "Helen enjoys sailing. Her boat is blue.");
    put("chess.txt", "Peter plays chess in the evening.");
    put("sailing.txt", "Sailing, sailing and more sailing.");
  }
  void put(const std::string& name, const std::string& text) {
    const Status status = ranker_->put(name, text);
    EXPECT_TRUE(status.ok()) << status.message();
  }
  Names best(const std::string& question, size_t count) {
    const Result<Names> out = ranker_->best(question, count);
    EXPECT_TRUE(out.ok()) << out.status().message();
    return out.ok() ? *out : Names();
  }

  Result<DocumentRanker> ranker_ = DocumentRanker::create();
};

TEST_F(DocumentRankerTest, WordsOfTheQuestionDecide) {
  EXPECT_EQ(best("Who plays CHESS?", 1), Names{"chess.txt"});
  EXPECT_EQ(best("sailing", 2), (Names{"sailing.txt", "boats.txt"}));
  EXPECT_EQ(best("What does Helen enjoy?", 1), Names{"boats.txt"});
}

TEST_F(DocumentRankerTest, DocumentsWithoutAnyWordComeLastByName) {
  EXPECT_EQ(best("chess", 10), (Names{"chess.txt", "boats.txt", "sailing.txt"}));
  EXPECT_EQ(best("?!", 2), (Names{"boats.txt", "chess.txt"}));
  EXPECT_EQ(best("", 0), Names());
}

TEST_F(DocumentRankerTest, TiesGoByName) {
  for (const char* name : {"z", "b", "y", "a"}) put(name, "the same words everywhere");
  EXPECT_EQ(best("everywhere", 4), (Names{"a", "b", "y", "z"}));
}

TEST_F(DocumentRankerTest, QuestionIsTextNotSyntax) {
  for (const char* question :
       {"\"", "chess AND", "NOT chess", "chess*", "text:chess", "^chess", "NEAR(chess boat)",
        "(chess", "chess\" OR \"boat", "{chess} -boat + a:b", "'; DROP TABLE names; --"}) {
    EXPECT_EQ(best(question, 3).size(), 3u) << question;
  }
  EXPECT_EQ(best("NOT chess", 1), Names{"chess.txt"});
  EXPECT_EQ(best("nosuchcolumn:chess", 1), Names{"chess.txt"});
  EXPECT_EQ(best(std::string("chess\0x", 7), 1), Names{"chess.txt"});
  EXPECT_EQ(best("\xff\xfe chess", 1), Names{"chess.txt"}) << "no UTF-8";
}

TEST_F(DocumentRankerTest, PutReplacesAndRemoveRemoves) {
  put("chess.txt", "About gardening.");
  EXPECT_EQ(best("gardening", 1), Names{"chess.txt"});
  EXPECT_EQ(best("chess", 3), (Names{"boats.txt", "chess.txt", "sailing.txt"}));
  EXPECT_TRUE(ranker_->remove("chess.txt").ok());
  EXPECT_TRUE(ranker_->remove("chess.txt").ok());
  EXPECT_EQ(best("gardening", 3), (Names{"boats.txt", "sailing.txt"}));
}

TEST_F(DocumentRankerTest, ThousandDocuments) {
  for (int i = 0; i < 1000; ++i) {
    put("many" + std::to_string(i),
        "Person" + std::to_string(i) + " likes thing" + std::to_string(i * 7) + " on a sunny day.");
  }
  EXPECT_EQ(best("What does person417 like?", 1), Names{"many417"});
  EXPECT_EQ(best("sunny day", 5).size(), 5u);
}

}  // namespace
}  // namespace spolia::engine
