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
  const std::unique_lock<std::mutex> one(pool().one, std::try_to_lock);
  if (one) pool().free.push_back(std::move(own));
}

Borrowed borrow() {
  // Never waits: in a process forked by another thread nobody may be there to unlock it.
  const std::unique_lock<std::mutex> one(pool().one, std::try_to_lock);
  auto& free = pool().free;
  if (!one || free.empty()) return Borrowed(new Workspace);
  Borrowed taken(free.back().release());
  free.pop_back();
  return taken;
}

}  // namespace spinpot
