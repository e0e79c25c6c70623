// The pairs of a cluster, of candidates that its caller has.

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
  // sight: kept by the caller.
  explicit ClusterPairFinder(const Sight& sight) : sight_(sight), types_(sight.virtual_scale.size()) {}

  // The pairs for spins (A, 3), which hold until the next call. cluster: checked but for its candidates, of which not
  // more is looked at than they say.
  const ClusterPairs& find(const spinpot_cluster& cluster, const double* spin) {
    const int64_t centres = cluster.centres, parts = parts_of(centres, GRAIN);
    if (int64_t(found_.size()) < parts) found_.resize(parts);
    start_.resize(cluster.atoms + 1);
    counts_.assign(2 * types_ * centres, 0);
    parallel_parts(centres, GRAIN, [&](int64_t begin, int64_t end, int64_t part) {
      found_[part].count = 0;
      for (int64_t i = begin; i < end; ++i) {
        start_[i] = found_[part].count;  // among those of the part, yet
        see(cluster, spin, i, found_[part]);
      }
    });
    join(centres, centres ? parts : 0);
    sort(cluster);
    const Found& all = parts == 1 ? found_[0] : joined_;
    pairs_ = {types_,          cluster.atoms, centres,          start_.back(),   cluster.types,
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

  // Adds what centre i sees.
  void see(const spinpot_cluster& cluster, const double* spin, int64_t i, Found& found) {
    const int64_t n = cluster.n_candidates[i];
    require(n >= 0 && n <= MOST_CANDIDATES, "candidates of each centre, and not too many");
    found.make_room(2 * n + 1);
    const uint8_t *real = sight_.seen.data() + 2 * types_ * cluster.types[i], *virtual_ = real + types_;
    const double *here = cluster.coord + 3 * i, square = sight_.cutoff * sight_.cutoff;
    int64_t* counts = counts_.data() + 2 * types_ * i;
    const auto look = [&](int64_t j, int64_t type, const double* d) {
      if (!(d[0] * d[0] + d[1] * d[1] + d[2] * d[2] < square)) return;
      found.neighbour[found.count] = j;
      found.type[found.count] = type;
      std::copy_n(d, 3, found.vector.data() + 3 * found.count++);
      ++counts[type];
    };
    const auto look_at = [&](int64_t j, bool seen) {
      const int64_t type = cluster.types[j];
      const double *there = cluster.coord + 3 * j, *S = spin + 3 * j, scale = sight_.virtual_scale[type];
      const double d[3] = {there[0] - here[0], there[1] - here[1], there[2] - here[2]};
      if (seen) look(j, type, d);
      if (!virtual_[type]) return;
      const double away[3] = {d[0] + scale * S[0], d[1] + scale * S[1], d[2] + scale * S[2]};
      look(j, types_ + type, away);
    };
    for (int64_t k = 0; k < n; ++k) {
      const int64_t j = cluster.candidates[i][k] & cluster.mask;
      require(0 <= j && j < cluster.atoms, "candidates that are atoms of the cluster");
      if (j != i) look_at(j, real[cluster.types[j]]);
    }
    look_at(i, false);
  }

  // The parts' pairs one behind the other, and where those of each centre begin.
  void join(int64_t centres, int64_t parts) {
    std::vector<int64_t> first{0};
    for (int64_t part = 0; part < parts; ++part) first.push_back(first.back() + found_[part].count);
    std::fill(start_.begin() + centres, start_.end(), first.back());
    if (parts < 2) return;
    joined_.count = 0;
    joined_.make_room(first.back());
    parallel_parts(centres, GRAIN, [&](int64_t begin, int64_t end, int64_t part) {
      const Found& own = found_[part];
      for (int64_t i = begin; i < end; ++i) start_[i] += first[part];
      std::copy_n(own.neighbour.data(), own.count, joined_.neighbour.data() + first[part]);
      std::copy_n(own.type.data(), own.count, joined_.type.data() + first[part]);
      std::copy_n(own.vector.data(), 3 * own.count, joined_.vector.data() + 3 * first[part]);
    });
  }

  void sort(const spinpot_cluster& cluster) {
    sizes_.assign(types_, 0);
    for (int64_t i = 0; i < cluster.centres; ++i) ++sizes_[cluster.types[i]];
    next_.assign(types_, 0);
    std::partial_sum(sizes_.begin(), sizes_.end() - 1, next_.begin() + 1);
    order_.resize(cluster.centres);
    for (int64_t i = 0; i < cluster.centres; ++i) order_[next_[cluster.types[i]]++] = i;
  }

  static constexpr int64_t MOST_CANDIDATES = int64_t(1) << 26;

  const Sight& sight_;
  int64_t types_;
  std::vector<Found> found_;  // of the parts
  Found joined_;
  std::vector<int64_t> start_, counts_, order_, sizes_, next_;
  ClusterPairs pairs_ = {};
};

}  // namespace spinpot
