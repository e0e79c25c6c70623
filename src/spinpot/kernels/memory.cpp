#include "memory.h"

#include <mutex>

namespace spinpot {

namespace {

struct Pool {
  std::mutex one;
  std::vector<std::unique_ptr<Workspace>> free;
};

// The pool is never destroyed, because workspaces may be returned to it while the process exits.
Pool& pool() {
  static Pool* own = new Pool;
  return *own;
}

}  // namespace

void Workspace::rewind() {
  std::size_t all = 0;
  for (const auto& piece : pieces_) all += piece.size;
  if (pieces_.size() > 1 || LEAST_PIECE == 0) pieces_.clear();
  if (pieces_.empty() && all > 0 && LEAST_PIECE > 0) pieces_.emplace_back(all);
  used_ = 0;
}

std::byte* Workspace::bytes(std::size_t count) {
  const std::size_t whole = (count + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;
  if (pieces_.empty() || used_ + whole > pieces_.back().size) {
    const std::size_t before = pieces_.empty() ? 0 : pieces_.back().size;
    pieces_.emplace_back(LEAST_PIECE > 0 ? std::max({whole, LEAST_PIECE, before}) : count);
    used_ = 0;
  }
  std::byte* first = pieces_.back().memory.get() + used_;
  used_ += whole;
  return first;
}

void GiveBack::operator()(Workspace* workspace) const {
  std::unique_ptr<Workspace> own(workspace);
  own->rewind();
  const std::unique_lock<std::mutex> one(pool().one, std::try_to_lock);
  if (one) pool().free.push_back(std::move(own));
}

Borrowed borrow() {
  // This never waits for the lock: in a forked process, the thread that holds it may not exist.
  const std::unique_lock<std::mutex> one(pool().one, std::try_to_lock);
  auto& free = pool().free;
  if (!one || free.empty()) return Borrowed(new Workspace);
  Borrowed taken(free.back().release());
  free.pop_back();
  return taken;
}

}  // namespace spinpot
