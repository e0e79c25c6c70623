// What spin dynamics needs beside the model, of any size, and the published words of Philox.

#include <cmath>
#include <limits>
#include <vector>

#include "checks.h"
#include "interface.h"
#include "philox.h"

namespace {

void published_words() {
  // kat_vectors of Random123.
  using spinpot::FourWords;
  CHECK(spinpot::philox({0, 0, 0, 0}, {0, 0}) == (FourWords{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const uint32_t all = 0xffffffff;
  CHECK(spinpot::philox({all, all, all, all}, {all, all}) ==
        (FourWords{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  CHECK(spinpot::philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        (FourWords{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

void normal_numbers_of_any_size() {
  const int64_t most = std::numeric_limits<int64_t>::max();
  for (int64_t count : {0, 1, 5})
    for (int64_t width : {0, 1, 3, 4, 5, 1024}) {
      const std::vector<int64_t> ids(count, -most);
      std::vector<double> out(count * width, NAN);
      CHECK(spinpot_normals(most, (int64_t(1) << 48) - 1, 255, ids.data(), count, width, out.data()) == 0);
      for (double number : out) CHECK(std::abs(number) < 7);
    }
  CHECK(spinpot_normals(1, -1, 0, nullptr, 0, 3, nullptr) != 0 && *spinpot_error());
  CHECK(spinpot_normals(1, 0, -1, nullptr, 0, 3, nullptr) != 0);
  CHECK(spinpot_normals(1, 0, 0, nullptr, 0, 1025, nullptr) != 0);
}

void steps_of_spins() {
  for (int64_t n : {0, 1, 33})
    for (int64_t kept = 0; kept <= SPINPOT_FIELDS; ++kept) {
      const std::vector<double> same(n * 3, 0.5), before(n * 3, 1.0);
      std::vector<double> field(n * 3), middle(before), after(before), history(n * SPINPOT_HISTORY);
      for (int64_t k = 0; k < kept; ++k)
        for (int64_t first : {1, 0})
          CHECK(spinpot_evaluated_fields(n, first, same.data(), middle.data(), history.data(), field.data()) == 0);
      CHECK(spinpot_expected_fields(n, history.data(), field.data()) == 0);
      for (double number : field) CHECK(std::abs(number - (kept ? 0.5 : 0)) < 1e-15);
      const spinpot_turn turn{n, 0.3, 0.1, before.data(), field.data(), middle.data(), after.data()};
      double change = -1, last = 0, contraction = 1;
      CHECK(spinpot_turn_spins(&turn, &change) == 0 && std::abs(change) < 1e-15);
      int64_t found = 0;
      CHECK(spinpot_spins_found(1e-6, 0.1, 0, &last, &contraction, &found) == 0 && found);
    }
  for (double kept : {-1.0, SPINPOT_FIELDS + 1.0, double(NAN)}) {
    const std::vector<double> history(SPINPOT_HISTORY, kept);
    double field[3];
    CHECK(spinpot_expected_fields(1, history.data(), field) != 0 && *spinpot_error());
  }
}

}  // namespace

int main(int argc, char** argv) {
  return run_checks(argc, argv,
                    {NAMED(published_words), NAMED(normal_numbers_of_any_size), NAMED(steps_of_spins)});
}
