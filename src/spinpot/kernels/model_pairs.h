// Selects the pairs of a cluster from the caller's candidates.

#pragma once

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "guard.h"
#include "model.h"

namespace spinpot {

class ClusterPairFinder {
 public:
  // The caller keeps `sight`.
  explicit ClusterPairFinder(const Sight& sight) : sight_(sight), types_(sight.virtual_scale.size()) {
    for (int64_t t = 0; t < types_; ++t)
      for (int64_t j = types_; j < 2 * types_; ++j) with_virtual_ |= sight.seen[2 * types_ * t + j] != 0;
  }

  // The pairs of all centres for spins (A, 3), valid until the next call. The caller has checked the cluster except for its
  // candidates, which are checked here.
  const ClusterPairs& find(const spinpot_cluster& cluster, const double* spin) {
    return find(cluster, spin, 0, cluster.centres);
  }

  // The pairs of the centres first … end − 1.
  const ClusterPairs& find(const spinpot_cluster& cluster, const double* spin, int64_t first, int64_t end) {
    const int64_t count = end - first, parts = parts_of(count, GRAIN);
    if (int64_t(found_.size()) < parts) found_.resize(parts);
    start_.assign(cluster.atoms + 1, 0);
    counts_.resize(2 * types_ * cluster.centres);
    std::fill(counts_.begin() + 2 * types_ * first, counts_.begin() + 2 * types_ * end, 0);
    for (Found& found : found_) found.count = 0;
    parallel_parts(count, GRAIN, [&](int64_t begin, int64_t part_end, int64_t part) {
      for (int64_t i = first + begin; i < first + part_end; ++i) {
        start_[i] = found_[part].count;  // index within this part; `join` makes it an index among all pairs
        with_virtual_ ? see<true>(cluster, spin, i, found_[part]) : see<false>(cluster, spin, i, found_[part]);
      }
    });
    join(first, end, parts);
    sort(cluster, first, end);
    const Found& all = parts == 1 ? found_[0] : joined_;
    pairs_ = {types_,          cluster.atoms, cluster.centres,  start_.back(),   cluster.types,
              spin,            order_.data(), sizes_.data(),    start_.data(),   all.neighbour.data(),
              all.type.data(), all.vector.data(), counts_.data()};
    return pairs_;
  }

 private:
  static constexpr int64_t GRAIN = 64;

  struct Found {
    int64_t count = 0;
    std::vector<int64_t> neighbour, type;
    std::vector<double> vector;

    void make_room(int64_t more) {
      if (int64_t(type.size()) >= count + more) return;
      const int64_t size = 2 * (count + more);
      neighbour.resize(size), type.resize(size), vector.resize(3 * size);
    }
  };

  // Adds the neighbours of centre i. Each candidate is written, and overwritten by the next one if it is no neighbour. This
  // avoids unpredictable branches.
  template <bool VIRTUAL>
  void see(const spinpot_cluster& cluster, const double* spin, int64_t i, Found& found) {
    const int64_t n = cluster.n_candidates[i];
    require(n >= 0 && n <= MOST_CANDIDATES, "candidates of each centre, and not too many");
    found.make_room(2 * n + 2);
    const uint8_t *real = sight_.seen.data() + 2 * types_ * cluster.types[i], *virtual_ = real + types_;
    const double *here = cluster.coord + 3 * i, square = sight_.cutoff * sight_.cutoff;
    int64_t *neighbour = found.neighbour.data(), *type_of = found.type.data(), count = found.count;
    int64_t* counts = counts_.data() + 2 * types_ * i;
    double* vector = found.vector.data() + 3 * count;
    const auto look = [&](int64_t j, int64_t type, bool seen, double x, double y, double z) {
      neighbour[count] = j;
      type_of[count] = type;
      vector[0] = x, vector[1] = y, vector[2] = z;
      const int64_t one = int64_t(seen) & int64_t(x * x + y * y + z * z < square);
      counts[type] += one, count += one, vector += 3 * one;
    };
    const auto look_at = [&](int64_t j, int64_t type, bool seen) {
      const double* there = cluster.coord + 3 * j;
      const double x = there[0] - here[0], y = there[1] - here[1], z = there[2] - here[2];
      look(j, type, seen, x, y, z);
      if (!VIRTUAL || !virtual_[type]) return;
      const double *S = spin + 3 * j, scale = sight_.virtual_scale[type];
      look(j, types_ + type, true, x + scale * S[0], y + scale * S[1], z + scale * S[2]);
    };
    for (int64_t k = 0; k < n; ++k) {
      const int64_t j = cluster.candidates[i][k] & cluster.mask;
      require(0 <= j && j < cluster.atoms, "candidates that are atoms of the cluster");
      if (j != i) look_at(j, cluster.types[j], real[cluster.types[j]] != 0);
    }
    look_at(i, cluster.types[i], false);
    found.count = count;
  }

  // Concatenates the pairs of the parts, and completes start_.
  void join(int64_t begin, int64_t end, int64_t parts) {
    std::vector<int64_t> first{0};
    for (int64_t part = 0; part < parts; ++part) first.push_back(first.back() + found_[part].count);
    std::fill(start_.begin() + end, start_.end(), first.back());
    if (parts < 2) return;
    joined_.make_room(first.back());
    parallel_parts(end - begin, GRAIN, [&](int64_t part_begin, int64_t part_end, int64_t part) {
      const Found& own = found_[part];
      for (int64_t i = begin + part_begin; i < begin + part_end; ++i) start_[i] += first[part];
      std::copy_n(own.neighbour.data(), own.count, joined_.neighbour.data() + first[part]);
      std::copy_n(own.type.data(), own.count, joined_.type.data() + first[part]);
      std::copy_n(own.vector.data(), 3 * own.count, joined_.vector.data() + 3 * first[part]);
    });
  }

  void sort(const spinpot_cluster& cluster, int64_t first, int64_t end) {
    sizes_.assign(types_, 0);
    for (int64_t i = first; i < end; ++i) ++sizes_[cluster.types[i]];
    next_.assign(types_, 0);
    std::partial_sum(sizes_.begin(), sizes_.end() - 1, next_.begin() + 1);
    order_.resize(end - first);
    for (int64_t i = first; i < end; ++i) order_[next_[cluster.types[i]]++] = i;
  }

  static constexpr int64_t MOST_CANDIDATES = int64_t(1) << 26;

  const Sight& sight_;
  int64_t types_;
  bool with_virtual_ = false;  // whether any centre has virtual neighbours
  std::vector<Found> found_;  // one for each part
  Found joined_;
  std::vector<int64_t> start_, counts_, order_, sizes_, next_;
  ClusterPairs pairs_ = {};
};

}  // namespace spinpot
