#include "client/protocol/limited_stream.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "codec/base/check.h"

namespace spolia::protocol {
namespace {

using capnp::word;

class HeldMessage final : public capnp::MessageReader {
 public:
  HeldMessage(capnp::ReaderOptions limits, std::vector<uint32_t> sizes, kj::Array<word> words,
              ByteBudget::Reservation reservation)
      : MessageReader(limits), reservation_(kj::mv(reservation)), words_(kj::mv(words)) {
    size_t at = 0;
    for (uint32_t size : sizes) {
      segments_.push_back(words_.slice(at, at + size));
      at += size;
    }
  }

  kj::ArrayPtr<const word> getSegment(uint id) override {
    return id < segments_.size() ? segments_[id] : nullptr;
  }

 private:
  ByteBudget::Reservation reservation_;
  kj::Array<word> words_;
  std::vector<kj::ArrayPtr<const word>> segments_;
};

kj::Exception violation(kj::String what) {
  return kj::Exception(kj::Exception::Type::FAILED, __FILE__, __LINE__, kj::mv(what));
}

uint32_t littleEndian32(const kj::byte* from) {
  uint32_t value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

size_t tableBytes(uint32_t segments) {
  return (segments / 2 + 1) * sizeof(word);
}

}  // namespace

capnp::ReaderOptions readerOptions(size_t maxMessageBytes) {
  capnp::ReaderOptions options;
  options.traversalLimitInWords = 4 * maxMessageBytes / sizeof(word);
  options.nestingLimit = 32;
  return options;
}

LimitedStream::LimitedStream(kj::AsyncIoStream& socket, kj::Timer& timer, ByteBudget& budget,
                             const StreamLimits& limits)
    : socket_(socket), timer_(timer), budget_(budget), limits_(limits), lastReceived_(timer.now()) {
  SPOLIA_CHECK(tableBytes(limits.maxSegments) <= buffer_.size());
}

kj::Promise<bool> LimitedStream::fill(size_t bytes) {
  if (end_ - begin_ >= bytes) return true;
  if (begin_ + bytes > buffer_.size() || begin_ == end_) {
    std::memmove(buffer_.begin(), buffer_.begin() + begin_, end_ - begin_);
    end_ -= std::exchange(begin_, 0);
  }
  return socket_.tryRead(buffer_.begin() + end_, bytes - (end_ - begin_), buffer_.size() - end_)
      .then([this, bytes](size_t got) {
        if (got > 0) lastReceived_ = timer_.now();
        end_ += got;
        return end_ - begin_ >= bytes;
      });
}

kj::Promise<kj::Maybe<capnp::MessageReaderAndFds>> LimitedStream::tryReadMessage(
    kj::ArrayPtr<kj::AutoCloseFd>, capnp::ReaderOptions options, kj::ArrayPtr<word>) {
  using Answer = kj::Maybe<capnp::MessageReaderAndFds>;
  return fill(1).then([this, options](bool more) -> kj::Promise<Answer> {
    if (!more) return Answer(nullptr);
    return withDeadline(timer_, limits_.messageTime, readBody(options),
                        kj::Exception::Type::DISCONNECTED,
                        "the peer began a message and did not finish it in time")
        .then([](kj::Own<capnp::MessageReader> reader) -> Answer {
          return capnp::MessageReaderAndFds{kj::mv(reader), nullptr};
        });
  });
}

kj::Promise<kj::Own<capnp::MessageReader>> LimitedStream::readBody(capnp::ReaderOptions options) {
  const auto cut = [] {
    return kj::Exception(kj::Exception::Type::DISCONNECTED, __FILE__, __LINE__,
                         kj::str("the connection ended inside a message"));
  };
  using Reader = kj::Own<capnp::MessageReader>;
  return fill(sizeof(word)).then([this, options, cut](bool more) -> kj::Promise<Reader> {
    if (!more) return cut();
    // The wire has the number of segments less one: 0xffffffff would wrap to none.
    const uint32_t last = littleEndian32(buffer_.begin() + begin_);
    if (last >= limits_.maxSegments) {
      return violation(kj::str("message of ", uint64_t{last} + 1, " segments, the limit is ",
                               limits_.maxSegments));
    }
    const uint32_t segments = last + 1;
    return fill(tableBytes(segments))
        .then([this, options, cut, segments](bool whole) -> kj::Promise<Reader> {
          if (!whole) return cut();
          std::vector<uint32_t> sizes(segments);
          uint64_t words = 0;
          for (uint32_t i = 0; i < segments; ++i) {
            sizes[i] = littleEndian32(buffer_.begin() + begin_ + 4 * (i + 1));
            words += sizes[i];
          }
          begin_ += tableBytes(segments);
          const uint64_t bytes = words * sizeof(word);
          if (bytes > limits_.maxMessageBytes) {
            return violation(
                kj::str("message of ", bytes, " bytes, the limit is ", limits_.maxMessageBytes));
          }
          return budget_.reserve(bytes).then(
              [this, options, cut, words, sizes = std::move(sizes)](
                  ByteBudget::Reservation reservation) mutable -> kj::Promise<Reader> {
                auto memory = kj::heapArray<word>(words);
                auto target = memory.asBytes();
                const size_t buffered = std::min(end_ - begin_, target.size());
                std::memcpy(target.begin(), buffer_.begin() + begin_, buffered);
                begin_ += buffered;
                const size_t rest = target.size() - buffered;
                auto read = rest == 0 ? kj::Promise<size_t>(size_t{0})
                                      : socket_.tryRead(target.begin() + buffered, rest, rest);
                return read.then(
                    [this, options, cut, rest, sizes = std::move(sizes), memory = kj::mv(memory),
                     reservation = kj::mv(reservation)](size_t got) mutable -> kj::Promise<Reader> {
                      if (got < rest) return cut();
                      lastReceived_ = timer_.now();
                      return Reader(kj::heap<HeldMessage>(options, std::move(sizes), kj::mv(memory),
                                                          kj::mv(reservation)));
                    });
              });
        });
  });
}

kj::Promise<void> LimitedStream::writeMessage(kj::ArrayPtr<const int>,
                                              kj::ArrayPtr<const Words> segments) {
  return withDeadline(timer_, limits_.writeStall, capnp::writeMessage(socket_, segments),
                      kj::Exception::Type::DISCONNECTED, "the peer does not read");
}

kj::Promise<void> LimitedStream::writeMessages(kj::ArrayPtr<kj::ArrayPtr<const Words>> messages) {
  return writeFrom(messages);
}

kj::Promise<void> LimitedStream::writeFrom(kj::ArrayPtr<kj::ArrayPtr<const Words>> messages) {
  if (messages.size() == 0) return kj::READY_NOW;
  // Small messages go out together; each deadline covers about one large message, so that a slow
  // peer with much ahead of it is not taken for a dead one.
  size_t count = 0, bytes = 0;
  while (count < messages.size() && bytes < limits_.maxMessageBytes / 4) {
    for (const Words& segment : messages[count]) bytes += segment.size() * sizeof(word);
    ++count;
  }
  auto rest = messages.slice(count, messages.size());
  return withDeadline(timer_, limits_.writeStall,
                      capnp::writeMessages(socket_, messages.slice(0, count)),
                      kj::Exception::Type::DISCONNECTED, "the peer does not read")
      .then([this, rest] { return writeFrom(rest); });
}

kj::Promise<void> LimitedStream::end() {
  socket_.shutdownWrite();
  return kj::READY_NOW;
}

}  // namespace spolia::protocol
