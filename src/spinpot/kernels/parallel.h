// Loops on several threads. This thread pool avoids a second OpenMP library beside torch's.

#pragma once

#include <algorithm>
#include <cstdint>

namespace spinpot {

// While it exists, calls of this thread may use this number of threads.
class ThreadsOfCall {
 public:
  explicit ThreadsOfCall(int64_t threads);
  ~ThreadsOfCall();
  ThreadsOfCall(const ThreadsOfCall&) = delete;
  ThreadsOfCall& operator=(const ThreadsOfCall&) = delete;

 private:
  int64_t before_;
};

// Number of threads for a loop that starts here: 1 within a part of another loop.
int64_t threads_here();

// Calls body(context, part) for each part, each on its own thread if these are free; rethrows the first exception. Loops
// inside a part run on one thread, unless the part is the only one. A single part is called from here, too, so that no body
// is compiled twice.
void run_parts(int64_t parts, void (*body)(void*, int64_t), void* context);

// The number of parts that `parallel` makes.
inline int64_t parts_of(int64_t count, int64_t grain) {
  return std::max<int64_t>(1, std::min(threads_here(), (count + grain - 1) / grain));
}

// Calls body(begin, end, part) for parts of [0, count). The parts depend only on count, grain and the number of threads. If
// there are several parts, each is at least grain/2 long.
template <typename Body>
void parallel_parts(int64_t count, int64_t grain, const Body& body) {
  if (count <= 0) return;
  struct Context {
    const Body& body;
    int64_t count, parts;
  } context{body, count, parts_of(count, grain)};
  run_parts(
      context.parts,
      [](void* pointer, int64_t part) {
        const auto& own = *static_cast<Context*>(pointer);
        own.body(part * own.count / own.parts, (part + 1) * own.count / own.parts, part);
      },
      &context);
}

// The same, with body(begin, end).
template <typename Body>
void parallel(int64_t count, int64_t grain, const Body& body) {
  parallel_parts(count, grain, [&](int64_t begin, int64_t end, int64_t) { body(begin, end); });
}

}  // namespace spinpot
