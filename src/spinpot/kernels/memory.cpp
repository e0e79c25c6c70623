#include "memory.h"

#include <mutex>

namespace spinpot {

namespace {

struct Pool {
  std::mutex one;
  std::vector<std::unique_ptr<Workspace>> free;
};

// Never destroyed: what is given back as the process ends still finds it.
Pool& pool() {
  static Pool* own = new Pool;
  return *own;
}

}  // namespace

void GiveBack::operator()(Workspace* workspace) const {
  std::unique_ptr<Workspace> own(workspace);
  own->rewind();
  const std::lock_guard<std::mutex> one(pool().one);
  pool().free.push_back(std::move(own));
}

Borrowed borrow() {
  const std::lock_guard<std::mutex> one(pool().one);
  auto& free = pool().free;
  if (free.empty()) return Borrowed(new Workspace);
  Borrowed taken(free.back().release());
  free.pop_back();
  return taken;
}

}  // namespace spinpot
