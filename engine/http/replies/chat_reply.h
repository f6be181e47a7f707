// Replies of POST /v1/chat/completions, whole or as server-sent events. Any thread.
#pragma once

#include "engine/http/replies/reply_format.h"

namespace spolia::engine {

class ChatReplies : public ReplyFormat {
 public:
  std::string whole(const ReplyHead& head, const ApiAnswer& answer) const override;
  // The role.
  std::string begin(const ReplyHead& head, size_t choice) const override;
  std::string piece(const ReplyHead& head, size_t choice, std::string_view text,
                    const std::vector<TokenLogprob>* logprobs) const override;
  std::string end(const ReplyHead& head, const ApiAnswer& answer, size_t choice) const override;
  std::string usage(const ReplyHead& head, const ApiAnswer& answer) const override;
};

}  // namespace spolia::engine
