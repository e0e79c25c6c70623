// Neighbour pairs of frames of any size, and lists that are kept.

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "checks.h"
#include "interface.h"

namespace {

constexpr double NAN_ = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t TYPES = 2;

// Arrays of just the size that the interface names, so that a sanitizer sees what reaches past their ends.
struct Frames {
  std::vector<int64_t> n_atoms, types;
  std::vector<double> coord, box, displacement;
  std::vector<uint8_t> periodic, seen = std::vector<uint8_t>(2 * TYPES * TYPES, 1);
  double cutoff = 3.0;
  int64_t any_direction = 0;
  std::mt19937 random{1};

  // Atoms anywhere in a skewed cell of such a length, and far outside of it.
  void add(int64_t atoms, double length, bool images = true, double handed = 1.0) {
    std::uniform_real_distribution<double> in(-1.0, 2.0);
    n_atoms.push_back(atoms);
    for (double value : {length, 0.1 * length, 0.0, -0.2 * length, length, 0.0, 0.3 * length, 0.0, handed * length})
      box.push_back(value);
    for (int k = 0; k < 3; ++k) periodic.push_back(images && (k < 2 || handed > 0.0));
    for (int64_t atom = 0; atom < atoms; ++atom) {
      types.push_back(atom % TYPES);
      for (int k = 0; k < 3; ++k) {
        coord.push_back(in(random) * length + (atom % 5 == 0 ? 30.0 * length : 0.0));
        displacement.push_back(types.back() == 0 ? 0.2 * in(random) : 0.0);
      }
    }
  }

  spinpot_frames in() const {
    return {cutoff,     int64_t(n_atoms.size()), TYPES,          int64_t(types.size()), n_atoms.data(),
            types.data(), coord.data(),            box.data(),     periodic.data(),       displacement.data(),
            seen.data(), any_direction};
  }
};

class List {
 public:
  explicit List(double skin = 0.0) { CHECK(spinpot_pair_list_new(skin, &list_) == 0); }
  ~List() { spinpot_pair_list_free(list_); }
  List(const List&) = delete;
  List& operator=(const List&) = delete;

  // How many pairs there are; looks at all that is written of them.
  int64_t find(const Frames& frames, int64_t threads) {
    const spinpot_frames in = frames.in();
    const int64_t atoms = in.total_atoms;
    int64_t pairs = -1;
    CHECK(spinpot_find_pairs(list_, &in, threads, &pairs, &searches) == 0);
    std::vector<int64_t> start(atoms + 1), neighbour(pairs), type(pairs), counts(atoms * 2 * TYPES);
    std::vector<double> vector(3 * pairs), closest(TYPES);
    const spinpot_pairs out{start.data(),  neighbour.data(), type.data(),
                            vector.data(), counts.data(),    closest.data()};
    CHECK(spinpot_take_pairs(list_, &out, threads) == 0);
    CHECK(start.front() == 0 && start.back() == pairs);
    CHECK(std::accumulate(counts.begin(), counts.end(), int64_t(0)) == pairs);
    for (int64_t pair = 0; pair < pairs; ++pair) {
      CHECK(0 <= neighbour[pair] && neighbour[pair] < atoms);
      CHECK(0 <= type[pair] && type[pair] < 2 * TYPES);
      CHECK(std::hypot(vector[3 * pair], vector[3 * pair + 1], vector[3 * pair + 2]) < frames.cutoff + 2.0);
    }
    return pairs;
  }

  bool refuses(const Frames& frames) {
    const spinpot_frames in = frames.in();
    int64_t pairs = 0;
    return spinpot_find_pairs(list_, &in, 2, &pairs, &searches) != 0 && *spinpot_error();
  }

  spinpot_pair_list* own() { return list_; }
  int64_t searches = 0;

 private:
  spinpot_pair_list* list_ = nullptr;
};

// The same number by any threads, and by a list that is kept.
int64_t count(const Frames& frames) {
  const int64_t pairs = List().find(frames, 1);
  for (int64_t threads : {2, 5}) CHECK(List().find(frames, threads) == pairs);
  List kept(0.5);
  CHECK(kept.find(frames, 2) == pairs && kept.find(frames, 1) == pairs && kept.searches == 1);
  return pairs;
}

void frames_of_any_size() {
  Frames frames;
  CHECK(count(frames) == 0);
  frames.add(0, 4.0);
  CHECK(count(frames) == 0);
  frames.add(1, 4.0, false);
  frames.displacement.assign(3, 0.0);
  CHECK(count(frames) == 1);  // its own virtual atom
  frames.add(1, 2.0);
  frames.add(2, 3.0, true, -1.0);
  frames.add(0, 4.0);
  frames.add(33, 7.0);
  frames.add(300, 15.0, false);
  for (int64_t any : {0, 1}) {
    frames.any_direction = any;
    CHECK(count(frames) > 100);
  }
  frames.seen.assign(frames.seen.size(), 0);
  CHECK(count(frames) == 0);
}

void many_atoms() {
  Frames frames;
  frames.add(100000, 100.0);
  List kept(0.3);
  const int64_t pairs = kept.find(frames, 2);
  CHECK(pairs > 100000);
  for (double& x : frames.coord) x += 0.01;
  CHECK(kept.find(frames, 1) == pairs && kept.searches == 1);
}

void a_list_of_atoms_that_move_and_come_and_go() {
  List kept(0.4);
  Frames frames;
  frames.add(50, 8.0);
  for (int step = 0; step < 20; ++step) {
    for (double& x : frames.coord) x += std::uniform_real_distribution<double>(-0.05, 0.05)(frames.random);
    if (step == 10) frames.add(20, 6.0);
    CHECK(kept.find(frames, 2) == List().find(frames, 1));
  }
  CHECK(kept.searches > 1 && kept.searches < 20);
  CHECK(kept.find(Frames(), 2) == 0);
}

void wrong_input_is_refused() {
  Frames good;
  good.add(10, 5.0);
  const auto refused = [&](auto change) {
    Frames frames = good;
    change(frames);
    List list, kept(0.5);
    const bool both = list.refuses(frames) && kept.refuses(frames);
    CHECK(list.find(good, 2) == kept.find(good, 2));
    return both;
  };
  for (double value : {NAN_, HUGE_VAL, 1e300}) {
    CHECK(refused([&](Frames& f) { f.coord[29] = value; }));
    CHECK(refused([&](Frames& f) { f.displacement[0] = value; }));
    CHECK(refused([&](Frames& f) { f.box[4] = value; }));
    CHECK(refused([&](Frames& f) { f.cutoff = value; }));
  }
  for (double value : {0.0, -1.0}) CHECK(refused([&](Frames& f) { f.cutoff = value; }));
  for (int64_t type : {int64_t(-1), TYPES, std::numeric_limits<int64_t>::max()})
    CHECK(refused([&](Frames& f) { f.types[9] = type; }));
  for (int64_t atoms : {int64_t(-1), int64_t(9), int64_t(11), std::numeric_limits<int64_t>::max()})
    CHECK(refused([&](Frames& f) { f.n_atoms[0] = atoms; }));
  CHECK(refused([](Frames& f) { f.box.assign(9, 0.0); }));
  CHECK(refused([](Frames& f) { std::copy_n(f.box.begin(), 3, f.box.begin() + 3); }));
  CHECK(refused([](Frames& f) {
    for (double& x : f.box) x *= 1e-9;  // more images than any memory holds
  }));
  spinpot_pair_list* none = nullptr;
  for (double skin : {NAN_, -1.0}) CHECK(spinpot_pair_list_new(skin, &none) != 0);
  const spinpot_pairs nowhere{};
  CHECK(spinpot_take_pairs(List().own(), &nowhere, 1) != 0);
}

}  // namespace

int main(int argc, char** argv) {
  return run_checks(argc, argv,
                    {NAMED(frames_of_any_size), NAMED(many_atoms), NAMED(a_list_of_atoms_that_move_and_come_and_go),
                     NAMED(wrong_input_is_refused)});
}
