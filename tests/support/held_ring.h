// A real ring that holds reads back for as long as a test says, as a disk does that has trouble.
#pragma once

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/store/io/pread_ring.h"
#include "server/store/io/ring.h"

namespace spolia::test {

// What a test does to the ring of a store that has been opened with it. Any thread.
class HeldRingFactory final : public store::RingFactory {
 public:
  // Reads submitted from now on wait. They end when they are given up if `mayCancel`, else with
  // release() only.
  void hold(bool mayCancel) {
    mayCancel_ = mayCancel;
    holding_ = true;
  }
  void release() {
    holding_ = false;
    ring_->wake();
  }
  uint64_t held() const { return held_; }
  uint64_t cancelled() const { return cancelled_; }

  Result<std::unique_ptr<store::Ring>> make(const std::filesystem::path& directory,
                                            uint32_t queueDepth) override {
    SPOLIA_ASSIGN_OR_RETURN(auto inner, store::makePreadRing(directory, queueDepth));
    auto ring = std::make_unique<HeldRing>(*this, std::move(inner));
    ring_ = ring.get();
    return std::unique_ptr<store::Ring>(std::move(ring));
  }

 private:
  class HeldRing final : public store::Ring {
   public:
    HeldRing(HeldRingFactory& factory, std::unique_ptr<store::Ring> inner)
        : factory_(factory), inner_(std::move(inner)) {}

    std::string_view name() const override { return "held"; }
    void submit(const store::RingRequest& request) override {
      if (!factory_.holding_ || request.op != store::RingOp::kRead) return inner_->submit(request);
      waiting_.push_back(request);
      ++factory_.held_;
    }
    void cancel(uint64_t tag) override {
      const auto at = std::ranges::find(waiting_, tag, &store::RingRequest::tag);
      if (at == waiting_.end()) return inner_->cancel(tag);
      ++factory_.cancelled_;
      if (!factory_.mayCancel_) return;
      waiting_.erase(at);
      given_.push_back(tag);
    }
    void wait(Wait mode, std::chrono::nanoseconds atMost,
              std::vector<store::RingCompletion>& out) override {
      if (!factory_.holding_) {
        for (const auto& request : std::exchange(waiting_, {})) inner_->submit(request);
      }
      for (const uint64_t tag : std::exchange(given_, {})) out.push_back({tag, ECANCELED});
      inner_->wait(out.empty() ? mode : Wait::kPoll, atMost, out);
    }
    void wake() override { inner_->wake(); }

    Result<std::vector<std::string>> list() override { return inner_->list(); }
    Result<store::FileHandle> open(const std::string& name) override { return inner_->open(name); }
    Result<uint64_t> size(store::FileHandle file) override { return inner_->size(file); }
    Result<store::FileHandle> create(const std::string& name, uint64_t bytes,
                                     ByteSpan first) override {
      return inner_->create(name, bytes, first);
    }
    Status remove(store::FileHandle file) override { return inner_->remove(file); }
    Status readNow(store::FileHandle file, uint64_t offset, MutableByteSpan out) override {
      return inner_->readNow(file, offset, out);
    }
    Status writeNow(store::FileHandle file, uint64_t offset, ByteSpan data) override {
      return inner_->writeNow(file, offset, data);
    }
    Status syncNow(store::FileHandle file) override { return inner_->syncNow(file); }

   private:
    HeldRingFactory& factory_;
    const std::unique_ptr<store::Ring> inner_;
    std::vector<store::RingRequest> waiting_;
    std::vector<uint64_t> given_;  // tags of what was given up
  };

  std::atomic<bool> holding_{false}, mayCancel_{false};
  std::atomic<uint64_t> held_{0}, cancelled_{0};
  HeldRing* ring_ = nullptr;
};

}  // namespace spolia::test
