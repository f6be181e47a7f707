// Replies of POST /v1/completions, whole or as server-sent events. Any thread.
#pragma once

#include "engine/http/replies/reply_format.h"

namespace spolia::engine {

class CompletionReplies : public ReplyFormat {
 public:
  std::string whole(const ReplyHead& head, const ApiAnswer& answer) const override;
  // A choice begins with its text.
  std::string begin(const ReplyHead&, size_t) const override { return {}; }
  std::string piece(const ReplyHead& head, size_t choice, std::string_view text,
                    const std::vector<TokenLogprob>* logprobs) const override;
  std::string end(const ReplyHead& head, const ApiAnswer& answer, size_t choice) const override;
  std::string usage(const ReplyHead& head, const ApiAnswer& answer) const override;
};

}  // namespace spolia::engine
