// Loops on several threads (parallel.h) and errors at the interface (guard.h).

#include "parallel.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "checks.h"
#include "guard.h"
#include "interface.h"

using namespace spinpot;

namespace {

// How often each of so many numbers comes up in a loop.
std::vector<int> visits(int64_t count, int64_t grain) {
  std::vector<int> seen(count, 0);
  parallel(count, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) ++seen[i];
  });
  return seen;
}

bool covers(int64_t count, int64_t grain) { return visits(count, grain) == std::vector<int>(count, 1); }

struct Part {
  int64_t begin = -1, end = -1;
  bool operator==(const Part& other) const { return begin == other.begin && end == other.end; }
};

std::vector<Part> parts(int64_t count, int64_t grain) {
  std::vector<Part> found(parts_of(count, grain));
  parallel_parts(count, grain, [&](int64_t begin, int64_t end, int64_t part) { found.at(part) = {begin, end}; });
  return found;
}

void the_parts_cover_the_range_once() {
  for (int64_t threads = 1; threads <= 8; ++threads) {
    const ThreadsOfCall own(threads);
    for (int64_t count : {0, 1, 2, 3, 7, 100, 1001})
      for (int64_t grain : {1, 3, 64, 5000}) {
        CHECK(covers(count, grain));
        const std::vector<Part> found = parts(count, grain);
        CHECK(int64_t(found.size()) <= threads);
        for (const Part& one : found) CHECK(found.size() == 1 || one.end - one.begin >= grain / 2);
        CHECK(found == parts(count, grain));
      }
  }
}

// Every part waits until all have begun, so each needs a thread of its own.
void the_parts_run_at_the_same_time() {
  for (int64_t threads : {2, 8, 3, 8}) {
    const ThreadsOfCall own(threads);
    std::atomic<int64_t> begun{0};
    parallel(threads, 1, [&](int64_t, int64_t) {
      ++begun;
      while (begun < threads) std::this_thread::yield();
    });
    CHECK(begun == threads);
  }
}

void a_loop_within_a_loop_runs_alone() {
  const ThreadsOfCall own(4);
  std::atomic<int> wrong{0};
  parallel(4, 1, [&](int64_t, int64_t) {
    if (threads_here() != 1 || parts(100, 1) != std::vector<Part>{{0, 100}}) ++wrong;
    const ThreadsOfCall more(4);  // as a call from a part does
    if (!covers(100, 1)) ++wrong;
  });
  CHECK(wrong == 0);
  CHECK(threads_here() == 4);
}

void exceptions_arrive() {
  const ThreadsOfCall own(4);
  for (int64_t failing : {0, 1, 3, -1}) {
    std::string said;
    try {
      parallel_parts(4, 1, [&](int64_t, int64_t, int64_t part) {
        if (failing < 0 || part == failing) throw std::runtime_error("it failed");
      });
    } catch (const std::runtime_error& error) {
      said = error.what();
    }
    CHECK(said == "it failed");
    CHECK(covers(100, 1));
  }
}

void errors_become_codes_and_texts() {
  CHECK(guarded(2, [] { CHECK(threads_here() == 2); }) == 0);
  CHECK(guarded(-1, [] { CHECK(threads_here() == 1); }) == 0);
  CHECK(guarded(2, [] { require(false, "numbers"); }) != 0);
  CHECK(std::string(spinpot_error()) == "expected numbers");
  CHECK(guarded(2, [] { throw 1; }) != 0);
  CHECK(std::string(spinpot_error()) == "unknown error");
  CHECK(guarded(2, [] { throw std::runtime_error(std::string(20000, 'x')); }) != 0);
  CHECK(std::string(spinpot_error()).size() < 20000);
  std::string elsewhere = "?";
  std::thread([&] { elsewhere = spinpot_error(); }).join();
  CHECK(elsewhere.empty());
}

void several_threads_call_at_once() {
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  for (int caller = 0; caller < 4; ++caller)
    callers.emplace_back([&] {
      const ThreadsOfCall own(3);
      for (int repeat = 0; repeat < 500; ++repeat)
        if (!covers(50, 1)) ++wrong;
    });
  for (auto& one : callers) one.join();
  CHECK(wrong == 0);
}

void a_forked_process_has_loops_of_its_own() {
#ifndef __SANITIZE_THREAD__  // it knows no threads of a forked process
  const ThreadsOfCall own(4);
  std::atomic<bool> ended{false};
  std::thread busy([&] {
    const ThreadsOfCall its_own(4);
    while (!ended) CHECK(covers(50, 1));
  });
  for (int repeat = 0; repeat < 10; ++repeat) {
    CHECK(covers(50, 1));
    const pid_t child = fork();
    if (child == 0) {
      the_parts_run_at_the_same_time();
      _exit(covers(50, 1) ? 0 : 1);
    }
    int status = 1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  ended = true;
  busy.join();
#endif
}

void many_tiny_loops() {
  for (int64_t threads : {2, 8}) {
    const ThreadsOfCall own(threads);
    std::vector<int64_t> sums(threads, 0);
    for (int repeat = 0; repeat < 100000; ++repeat)
      parallel_parts(threads, 1, [&](int64_t, int64_t, int64_t part) { sums[part] += part; });
    for (int64_t part = 0; part < threads; ++part) CHECK(sums[part] == 100000 * part);
  }
}

}  // namespace

int main(int argc, char** argv) {
  return run_checks(argc, argv,
                    {NAMED(the_parts_cover_the_range_once), NAMED(the_parts_run_at_the_same_time),
                     NAMED(a_loop_within_a_loop_runs_alone), NAMED(exceptions_arrive),
                     NAMED(errors_become_codes_and_texts), NAMED(several_threads_call_at_once),
                     NAMED(a_forked_process_has_loops_of_its_own), NAMED(many_tiny_loops)});
}
