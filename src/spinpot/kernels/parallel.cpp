#include "parallel.h"

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

namespace spinpot {

namespace {

thread_local int64_t threads_of_call = 1;

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

// Loops follow each other within microseconds: a thread that waits looks for work so often before it sleeps.
constexpr int LOOKS = 20000;

// Threads that share the parts of one loop at a time.
class Pool {
 public:
  void run(int64_t parts, void (*body)(void*, int64_t), void* context) {
    const std::unique_lock<std::mutex> only(one_loop_, std::try_to_lock);
    if (!only.owns_lock()) {  // another thread's loop is at work
      for (int64_t part = 0; part < parts; ++part) alone(body, context, part);
      return;
    }
    while (workers_ + 1 < parts) start();
    body_ = body;
    context_ = context;
    parts_ = parts;
    error_ = nullptr;
    unfinished_.store(workers_, std::memory_order_relaxed);
    round_.fetch_add(1, std::memory_order_seq_cst);
    if (sleeping_.load(std::memory_order_seq_cst) > 0) {
      { const std::lock_guard<std::mutex> seen(sleep_); }
      wake_.notify_all();
    }
    work(0);
    for (int looks = 0; unfinished_.load(std::memory_order_acquire) > 0; ++looks)
      looks < LOOKS ? pause() : std::this_thread::yield();
    if (error_) std::rethrow_exception(error_);
  }

 private:
  static void alone(void (*body)(void*, int64_t), void* context, int64_t part) {
    const ThreadsOfCall one(1);
    body(context, part);
  }

  void work(int64_t part) {
    try {
      if (part < parts_) alone(body_, context_, part);
    } catch (...) {
      const std::lock_guard<std::mutex> one(sleep_);
      if (!error_) error_ = std::current_exception();
    }
  }

  void start() {
    const int64_t part = ++workers_;
    const uint64_t seen = round_.load();
    std::thread([this, part, seen] { serve(part, seen); }).detach();
  }

  void serve(int64_t part, uint64_t seen) {
    for (;;) {
      for (int looks = 0; round_.load(std::memory_order_acquire) == seen && looks < LOOKS; ++looks) pause();
      if (round_.load(std::memory_order_acquire) == seen) {
        std::unique_lock<std::mutex> lock(sleep_);
        sleeping_.fetch_add(1, std::memory_order_seq_cst);
        wake_.wait(lock, [&] { return round_.load(std::memory_order_seq_cst) != seen; });
        sleeping_.fetch_sub(1, std::memory_order_relaxed);
      }
      ++seen;
      work(part);
      unfinished_.fetch_sub(1, std::memory_order_release);
    }
  }

  std::mutex one_loop_, sleep_;
  std::condition_variable wake_;
  std::atomic<uint64_t> round_{0};
  std::atomic<int64_t> unfinished_{0};
  std::atomic<int> sleeping_{0};
  int64_t workers_ = 0, parts_ = 0;
  void (*body_)(void*, int64_t) = nullptr;
  void* context_ = nullptr;
  std::exception_ptr error_;
};

// Never destroyed, since its threads outlive every destructor. A forked process has none of them, so it begins anew.
Pool*& pool() {
  static Pool* own = [] {
    pthread_atfork(nullptr, nullptr, [] { pool() = new Pool; });
    return new Pool;
  }();
  return own;
}

}  // namespace

ThreadsOfCall::ThreadsOfCall(int64_t threads) : before_(threads_of_call) {
  threads_of_call = std::max<int64_t>(1, threads);
}

ThreadsOfCall::~ThreadsOfCall() { threads_of_call = before_; }

int64_t threads_here() { return threads_of_call; }

void run_parts(int64_t parts, void (*body)(void*, int64_t), void* context) { pool()->run(parts, body, context); }

}  // namespace spinpot
