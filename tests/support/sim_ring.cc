#include "tests/support/sim_ring.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "codec/base/check.h"
#include "codec/base/checksum.h"
#include "server/store/io/disk_files.h"
#include "server/store/io/transfer_progress.h"

namespace spolia::test {
namespace {

constexpr size_t kSector = 512;
constexpr std::chrono::nanoseconds kLook = std::chrono::microseconds(20);

}  // namespace

bool SimDisk::planned(Failing what) {
  if (!planned_ || planned_->what != what) return false;
  if (planned_->left-- > 0) return false;
  planned_.reset();
  return true;
}

bool SimDisk::alive() {
  if (dead()) return false;
  ++operations_;
  if (operationsLeft_) --*operationsLeft_;
  return true;
}

void SimDisk::note(uint64_t kind, uint64_t offset, uint64_t length, int error) {
  const uint64_t event[] = {trace_, kind, offset, length, static_cast<uint64_t>(error)};
  trace_ = xxh3(std::as_bytes(std::span(event)));
}

bool SimDisk::damage(const std::string& name, uint64_t offset) {
  const auto it = files_.find(name);
  if (it == files_.end() || offset + kSector > it->second->durable.size()) return false;
  for (size_t i = 0; i < kSector; ++i) {
    it->second->durable[offset + i] = static_cast<std::byte>(random_());
  }
  it->second->visible = it->second->durable;
  return true;
}

void SimDisk::flipBit(const std::string& name, uint64_t offset, int bit) {
  File& file = *files_.at(name);
  for (Bytes* bytes : {&file.durable, &file.visible}) {
    bytes->at(offset) ^= static_cast<std::byte>(1 << bit);
  }
}

void SimDisk::swap(const std::string& name, uint64_t a, uint64_t b, size_t length) {
  File& file = *files_.at(name);
  for (Bytes* bytes : {&file.durable, &file.visible}) {
    std::swap_ranges(bytes->begin() + static_cast<ptrdiff_t>(a),
                     bytes->begin() + static_cast<ptrdiff_t>(a + length),
                     bytes->begin() + static_cast<ptrdiff_t>(b));
  }
}

void SimDisk::place(const std::string& name, ByteSpan bytes) {
  auto file = std::make_shared<File>();
  file->name = name;
  file->durable = file->visible = toBytes(bytes);
  files_[name] = file;
}

std::map<std::string, Bytes> SimDisk::contents() const {
  std::map<std::string, Bytes> out;
  for (const auto& [name, file] : files_) out.emplace(name, file->durable);
  return out;
}

int SimDisk::write(File& file, uint64_t offset, ByteSpan data) {
  if (!alive()) return EIO;
  if (offset + data.size() > file.visible.size()) return EIO;
  if (planned(Failing::kSpace) || chance(faults_.noSpace)) return ENOSPC;
  if (chance(faults_.misdirected)) {
    const uint64_t blocks = (file.visible.size() - data.size()) / store::kDiskBlock;
    offset = random_() % (blocks + 1) * store::kDiskBlock;
  }
  if (planned(Failing::kWrite) || chance(faults_.writeError)) {
    // Some sectors were written before it failed, and read as what they hold.
    for (size_t at = 0; at < data.size(); at += kSector) {
      if (random_() % 2 == 0) continue;
      apply(file, offset + at, data.subspan(at, std::min(kSector, data.size() - at)));
    }
    return EIO;
  }
  apply(file, offset, data);
  return 0;
}

void SimDisk::apply(File& file, uint64_t offset, ByteSpan data) {
  std::memcpy(file.visible.data() + offset, data.data(), data.size());
  file.unsynced.push_back({file.writes++, offset, toBytes(data)});
}

int SimDisk::read(File& file, uint64_t offset, MutableByteSpan out) {
  if (dead()) return EIO;
  if (chance(faults_.readError) || offset + out.size() > file.visible.size()) return EIO;
  std::memcpy(out.data(), file.visible.data() + offset, out.size());
  if (chance(faults_.flippedBit)) {
    out[random_() % out.size()] ^= static_cast<std::byte>(1 << random_() % 8);
  }
  return 0;
}

int SimDisk::sync(File& file, uint64_t upTo) {
  if (!alive()) return EIO;
  if (planned(Failing::kSync) || chance(faults_.syncError)) {
    // The kernel forgets that the pages were dirty: they stay readable, and may or may not be on
    // the disk.
    for (const Write& w : file.unsynced) settle(file, w);
    file.unsynced.clear();
    return EIO;
  }
  const auto end = std::ranges::lower_bound(file.unsynced, upTo, {}, &Write::number);
  for (auto w = file.unsynced.begin(); w != end; ++w) {
    std::memcpy(file.durable.data() + w->offset, w->data.data(), w->data.size());
  }
  file.unsynced.erase(file.unsynced.begin(), end);
  return 0;
}

// Whole, nothing, or some sectors.
void SimDisk::settle(File& file, const Write& write) {
  const uint64_t kind = random_() % 3;
  if (kind == 0) return;
  for (size_t at = 0; at < write.data.size(); at += kSector) {
    if (kind == 2 && random_() % 2 == 0) continue;
    std::memcpy(file.durable.data() + write.offset + at, write.data.data() + at,
                std::min(kSector, write.data.size() - at));
  }
}

void SimDisk::crash() {
  operationsLeft_.reset();
  for (auto& [name, file] : files_) {
    for (const Write& w : file->unsynced) settle(*file, w);
    file->unsynced.clear();
    file->syncFailed = false;
    file->visible = file->durable;
  }
}

void SimRing::submit(const store::RingRequest& request) {
  const SimDisk::File& file = at(request.file);
  if (request.op == store::RingOp::kSync) disk_.syncAsked(file);
  const bool slow = request.op == store::RingOp::kRead && disk_.chance(disk_.faults_.slowRead);
  const auto readyAt = slow ? disk_.now_ + disk_.faults_.slowReadTime : disk_.now_;
  queue_.push_back({request, file.writes, readyAt});
}

int SimRing::perform(const Queued& queued) {
  const store::RingRequest& r = queued.request;
  SimDisk::File& file = at(r.file);
  const bool sync = r.op == store::RingOp::kSync;
  const int error = sync ? disk_.sync(file, queued.writesBefore) : transfer(r);
  disk_.note(static_cast<uint64_t>(r.op), r.offset, r.length, error);
  return error;
}

// Whole, or in parts as real rings do it.
int SimRing::transfer(const store::RingRequest& r) {
  using Next = store::TransferProgress::Next;
  store::TransferProgress progress(r.length);
  for (;;) {
    const bool shortened = disk_.chance(disk_.faults_.shortTransfer);
    const size_t count = shortened ? 1 + disk_.random_() % progress.left() : progress.left();
    std::byte* const data = r.data + progress.done();
    const uint64_t offset = r.offset + progress.done();
    const int error = r.op == store::RingOp::kRead ? disk_.read(at(r.file), offset, {data, count})
                                                   : disk_.write(at(r.file), offset, {data, count});
    if (error != 0) return error;
    const Next next = progress.moved(count);
    if (next != Next::kAgain) return next == Next::kDone ? 0 : EIO;
  }
}

void SimRing::cancel(uint64_t tag) {
  for (Queued& queued : queue_) {
    if (queued.request.tag != tag || disk_.random_() % 2 == 0) continue;
    queued.cancelled = true;
    queued.readyAt = disk_.now_;
  }
}

std::vector<size_t> SimRing::ready() const {
  std::vector<size_t> out;
  for (size_t i = 0; i < queue_.size(); ++i) {
    if (queue_[i].readyAt <= disk_.now_) out.push_back(i);
  }
  return out;
}

// What a ring that waits lets pass.
void SimRing::sleep(std::chrono::nanoseconds atMost) {
  if (woken_ || failedSync_ || !ready().empty()) return;
  const auto next = std::ranges::min_element(queue_, {}, &Queued::readyAt);
  const auto until = next == queue_.end() ? kForever : next->readyAt - disk_.now_;
  disk_.now_ += std::min(until, atMost);
}

void SimRing::wait(Wait mode, std::chrono::nanoseconds atMost,
                   std::vector<store::RingCompletion>& out) {
  SPOLIA_CHECK(mode == Wait::kPoll || woken_ || failedSync_ || atMost != kForever ||
               !queue_.empty());
  disk_.now_ += kLook;
  if (mode == Wait::kBlock) sleep(atMost);
  woken_ = false;
  if (failedSync_) {
    at(failedSync_->request.file).syncFailed = true;
    out.push_back({failedSync_->request.tag, EIO});
    failedSync_.reset();
    return;
  }
  std::vector<size_t> places = ready();
  if (places.empty()) return;
  const size_t count = 1 + disk_.random_() % places.size();
  for (size_t i = 0; i < count; ++i) {
    const size_t pick = disk_.random_() % places.size();
    const Queued queued = queue_[places[pick]];
    queue_.erase(queue_.begin() + static_cast<ptrdiff_t>(places[pick]));
    places = ready();
    const int error = queued.cancelled ? ECANCELED : perform(queued);
    if (error != 0 && queued.request.op == store::RingOp::kSync) {
      failedSync_ = queued;
      return;
    }
    out.push_back({queued.request.tag, error});
  }
}

Result<std::vector<std::string>> SimRing::list() {
  std::vector<std::string> names;
  for (const auto& [name, file] : disk_.files_) names.push_back(name);
  return names;
}

Result<store::FileHandle> SimRing::open(const std::string& name) {
  const auto it = disk_.files_.find(name);
  if (it == disk_.files_.end()) return Status(ErrorCode::kNotFound, name);
  open_.push_back(it->second);
  return store::FileHandle{static_cast<int32_t>(open_.size() - 1)};
}

Result<uint64_t> SimRing::size(store::FileHandle file) {
  return at(file).visible.size();
}

Result<store::FileHandle> SimRing::create(const std::string& name, uint64_t bytes, ByteSpan first) {
  if (!disk_.alive()) return store::statusOfErrno(EIO, name);
  if (disk_.planned(SimDisk::Failing::kSpace) || disk_.chance(disk_.faults_.noSpace)) {
    return store::statusOfErrno(ENOSPC, name);
  }
  auto file = std::make_shared<SimDisk::File>();
  file->name = name;
  file->durable.resize(bytes);
  std::memcpy(file->durable.data(), first.data(), first.size());
  file->visible = file->durable;
  disk_.files_[name] = file;
  return open(name);
}

Status SimRing::remove(store::FileHandle file) {
  if (!disk_.alive()) return store::statusOfErrno(EIO, at(file).name);
  disk_.files_.erase(at(file).name);
  return Status();
}

Status SimRing::readNow(store::FileHandle file, uint64_t offset, MutableByteSpan out) {
  const int error = disk_.read(at(file), offset, out);
  return error ? store::statusOfErrno(error, at(file).name) : Status();
}

Status SimRing::writeNow(store::FileHandle file, uint64_t offset, ByteSpan data) {
  const int error = disk_.write(at(file), offset, data);
  return error ? store::statusOfErrno(error, at(file).name) : Status();
}

Status SimRing::syncNow(store::FileHandle file) {
  SimDisk::File& synced = at(file);
  disk_.syncAsked(synced);
  const int error = disk_.sync(synced, synced.writes);
  synced.syncFailed |= error != 0;
  return error ? store::statusOfErrno(error, at(file).name) : Status();
}

}  // namespace spolia::test
