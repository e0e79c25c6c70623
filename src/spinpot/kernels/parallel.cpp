#include "parallel.h"

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace spinpot {

namespace {

constexpr int64_t MOST_THREADS = 256;

// Loops follow each other within microseconds, so a thread spins before it sleeps. It soon yields while it spins, because
// torch's threads and other processes need the same cores.
constexpr int LOOKS = 100;
constexpr int YIELDS = 1000;

thread_local int64_t threads_of_call = 1;

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Spins until ready() is true, but not for long; returns whether it became true.
template <typename Ready>
bool looked(int yields, const Ready& ready) {
  for (int look = 0; look < LOOKS; ++look, pause())
    if (ready()) return true;
  for (int look = 0; look < yields; ++look, std::this_thread::yield())
    if (ready()) return true;
  return false;
}

// One word holds a loop's number, which increases by NEXT, and its number of parts.
constexpr uint64_t PARTS = 0xffff, NEXT = PARTS + 1;

// The state of one thread. The first one belongs to the caller.
struct alignas(64) Seat {
  std::atomic<uint64_t> taken{0};  // the last loop in which some thread took the part with this thread's number
  std::atomic<bool> asleep{false};
  std::mutex sleep;
  std::condition_variable wake;
};

// A thread pool for one loop at a time; each thread takes the part with its number. The caller takes the parts that no
// thread has begun, so that it never waits for a thread that the system has not scheduled.
class Pool {
 public:
  void run(int64_t parts, void (*body)(void*, int64_t), void* context) {
    // The pool is busy with another thread's loop, or with the loop that makes this call.
    if (parts > MOST_THREADS || busy_.exchange(true, std::memory_order_acquire)) {
      for (int64_t part = 0; part < parts; ++part) alone(body, context, part);
      return;
    }
    start(parts);
    body_ = body;
    context_ = context;
    unfinished_.store(parts, std::memory_order_relaxed);
    const uint64_t loop = (loop_.load(std::memory_order_relaxed) / NEXT + 1) * NEXT + uint64_t(parts);
    loop_.store(loop, std::memory_order_seq_cst);
    for (int64_t part = 1; part < parts; ++part) wake(seats_[part]);
    work(loop, 0);
    const auto finished = [&] { return unfinished_.load(std::memory_order_acquire) == 0; };
    if (!looked(0, finished))
      for (int64_t part = 1; part < parts; ++part) work(loop, part);
    while (!looked(YIELDS, finished)) {
    }
    const std::exception_ptr error = std::exchange(error_, nullptr);
    busy_.store(false, std::memory_order_release);
    if (error) std::rethrow_exception(error);
  }

 private:
  static void alone(void (*body)(void*, int64_t), void* context, int64_t part) {
    const ThreadsOfCall one(1);
    body(context, part);
  }

  // Runs a part of a loop unless another thread has taken it.
  void work(uint64_t loop, int64_t part) {
    auto& taken = seats_[part].taken;
    uint64_t last = taken.load(std::memory_order_relaxed);
    if (last >= loop || !taken.compare_exchange_strong(last, loop, std::memory_order_acq_rel)) return;
    try {
      alone(body_, context_, part);
    } catch (...) {
      const std::lock_guard<std::mutex> one(failing_);
      if (!error_) error_ = std::current_exception();
    }
    unfinished_.fetch_sub(1, std::memory_order_release);
  }

  // Starts threads for this number of parts. If the system cannot start more, the existing threads are enough.
  void start(int64_t parts) {
    try {
      for (; threads_ < parts; ++threads_)
        std::thread([this, part = threads_] { serve(part); }).detach();
    } catch (const std::system_error&) {
    }
  }

  static void wake(Seat& seat) {
    if (!seat.asleep.load(std::memory_order_seq_cst)) return;
    {
      const std::lock_guard<std::mutex> until_it_waits(seat.sleep);
      seat.asleep.store(false, std::memory_order_relaxed);
    }
    seat.wake.notify_one();
  }

  void serve(int64_t part) {
    Seat& seat = seats_[part];
    uint64_t loop = 0;
    const auto called = [&] {
      const uint64_t last = loop_.load(std::memory_order_seq_cst);
      if (last == loop || int64_t(last & PARTS) <= part) return false;
      loop = last;
      return true;
    };
    for (;; work(loop, part)) {
      if (looked(YIELDS, called)) continue;
      std::unique_lock<std::mutex> lock(seat.sleep);
      do seat.asleep.store(true, std::memory_order_seq_cst);
      while (!called() && (seat.wake.wait(lock), !called()));
      seat.asleep.store(false, std::memory_order_relaxed);
    }
  }

  std::atomic<bool> busy_{false};
  Seat seats_[MOST_THREADS];
  int64_t threads_ = 1;
  alignas(64) std::atomic<uint64_t> loop_{0};
  void (*body_)(void*, int64_t) = nullptr;
  void* context_ = nullptr;
  alignas(64) std::atomic<int64_t> unfinished_{0};
  std::mutex failing_;
  std::exception_ptr error_;
};

// The pool is never destroyed, since its threads outlive every destructor. A forked process has no threads and makes a new
// pool.
Pool*& pool() {
  static Pool* own = [] {
    pthread_atfork(nullptr, nullptr, [] { pool() = new Pool; });
    return new Pool;
  }();
  return own;
}

}  // namespace

ThreadsOfCall::ThreadsOfCall(int64_t threads) : before_(threads_of_call) {
  threads_of_call = std::clamp<int64_t>(threads, 1, MOST_THREADS);
}

ThreadsOfCall::~ThreadsOfCall() { threads_of_call = before_; }

int64_t threads_here() { return threads_of_call; }

void run_parts(int64_t parts, void (*body)(void*, int64_t), void* context) {
  if (parts == 1) return body(context, 0);
  pool()->run(parts, body, context);
}

}  // namespace spinpot
