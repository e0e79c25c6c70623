// A part of a model file: DeepSPIN, as DeepSpin.inference in spinpot.models.deepspin.potential writes it.

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "deepspin.h"
#include "deepspin_pairs.h"
#include "guard.h"
#include "model.h"

namespace spinpot {

namespace {

// Limits on the memory that a file can request: nodes of a pair of types, and numbers of the nets at all nodes.
constexpr int64_t MOST_NODES = 10000, MOST_NUMBERS = int64_t(1) << 28;
constexpr double INFINITE = std::numeric_limits<double>::infinity();

// The nodes of spinpot.models.deepspin.collocation for all elements, in the layout of Descriptor.make_grid and Grid.
class NodeGrid {
 public:
  // width: of the embedding nets' output.
  NodeGrid(const FilePart& part, const spinpot_deepspin& in, int64_t width)
      : types_(in.types),
        rcut_(in.rcut),
        rcut_smth_(in.rcut_smth),
        protection_(in.protection),
        scale_(in.scale),
        rounding_(part.number("rounding", 0.0, 1.0)),
        chunk_(part.integer("chunk", STENCIL, 1024)),
        beyond_(part.integer("beyond", 0, 1024)),
        one_side_(part.truth("type_one_side")),
        magnetic_(part.magnetic()),
        covered_(part.numbers("closest")),
        last_(part.array<int64_t>("numbers", {types_, 2 * types_})),
        davg_(static_cast<const double*>(in.davg)),
        dstd_(static_cast<const double*>(in.dstd)) {
    part.require(int64_t(covered_.size()) == types_, "closest is not of each element");
    for (int64_t t = 0; t < types_; ++t) {
      part.require(dstd_[4 * t] > 0.0, "dstd is not above zero");
      low.push_back(-davg_[4 * t] / dstd_[4 * t]);
      const double reach = this->reach(t, covered_[t]);
      for (int64_t j = 0; j < 2 * types_; ++j) {
        int64_t& last = last_[2 * types_ * t + j];
        part.require(2 <= last && last <= MOST_NODES, "numbers of nodes are out of range");
        step.push_back(reach / double(--last));
        part.require(std::isfinite(step.back()) && step.back() > 0.0, "closest is not within rcut");
      }
    }
    int64_t numbers = 0;
    for (int64_t place = 0; place < 2 * types_ * types_; ++place) numbers += chunks(place) * chunk_ * width;
    part.require(numbers <= MOST_NUMBERS, "there are too many nodes");
    lay_out();
  }

  // Adds nodes so that neighbours may be as close as `closest` (T,; by centre element), Å. Existing nodes do not move.
  // Returns whether any were added.
  bool cover(const std::vector<double>& closest) {
    bool grown = false;
    for (int64_t t = 0; t < types_; ++t) {
      if (!(closest[t] < covered_[t])) continue;
      for (int64_t j = 0; j < 2 * types_; ++j) {
        const int64_t place = 2 * types_ * t + j;
        const double needed = std::ceil(reach(t, closest[t]) / step[place] - rounding_);
        if (!(needed <= double(MOST_NODES))) refuse_distance(closest[t]);
        if (int64_t(needed) <= last_[place]) continue;
        const int64_t before = chunks(place);
        last_[place] = int64_t(needed);
        grown |= chunks(place) > before;
      }
      covered_[t] = closest[t];
    }
    if (grown) lay_out();
    return grown;
  }

  void set(spinpot_deepspin& in) const {
    in.chunks = nets.size(), in.chunk = chunk_;
    in.low = low.data(), in.step = step.data();
    in.n_nodes = n_nodes.data(), in.column = column.data(), in.columns = columns.data();
    in.points = points.data(), in.first = first.data(), in.nets = nets.data();
  }

 private:
  // The position of a distance r among the nodes, measured from s = 0 on the scale on which nodes are equidistant.
  double reach(int64_t type, double r) const {
    const double u = std::min(std::max((r - rcut_smth_) / (rcut_ - rcut_smth_), 0.0), 1.0);
    const double weight = u * u * u * ((-6.0 * u + 15.0) * u - 10.0) + 1.0;
    return std::log1p(weight / (r + protection_) / dstd_[4 * type] / scale_);
  }

  [[noreturn]] static void refuse_distance(double closest) {
    throw std::invalid_argument("two atoms, or an atom and a virtual atom (its own, if its moment vanishes), are " +
                                std::to_string(closest) + " Å apart: too close for this model");
  }

  int64_t chunks(int64_t place) const { return (last_[place] + 1 + beyond_ + chunk_ - 1) / chunk_; }
  bool occurs(int64_t neighbour) const { return neighbour < types_ || magnetic_[neighbour - types_]; }

  // The layout of Grid.chunks: the columns of all centre elements, then one chunk for each neighbour type that does not
  // occur.
  void lay_out() {
    const int64_t neighbours = 2 * types_;
    for (auto* numbers : {&n_nodes, &column, &first}) numbers->assign(types_ * neighbours, 0);
    columns.assign(types_, 0);
    points.clear(), nets.clear();
    for (bool occurring : {true, false})
      for (int64_t t = 0; t < types_; ++t)
        for (int64_t j = 0; j < neighbours; ++j) {
          const int64_t place = neighbours * t + j;
          if (occurs(j) != occurring) continue;
          n_nodes[place] = chunk_ * chunks(place);
          column[place] = occurring ? columns[t] : 0;
          columns[t] += occurring ? n_nodes[place] : 0;
          add_chunks(place, occurring ? chunks(place) : 1, (one_side_ ? 0 : neighbours * t) + j);
        }
  }

  void add_chunks(int64_t place, int64_t count, int64_t net) {
    first[place] = nets.size();
    nets.insert(nets.end(), count, net);
    for (int64_t m = 0; m < chunk_ * count; ++m)
      points.push_back(low[place / (2 * types_)] + scale_ * std::expm1(step[place] * double(m)));
  }

  int64_t types_;
  double rcut_, rcut_smth_, protection_, scale_, rounding_;
  int64_t chunk_, beyond_;
  bool one_side_;
  std::vector<uint8_t> magnetic_;
  std::vector<double> covered_;  // Å, by centre element, the smallest distance that the nodes cover
  std::vector<int64_t> last_;    // (T, 2T), the node at this distance
  const double *davg_, *dstd_;

 public:
  // The arrays of spinpot_deepspin.
  std::vector<double> low, step, points;
  std::vector<int64_t> n_nodes, column, columns, first, nets;
};

class DeepSpinPart final : public ModelPart {
 public:
  explicit DeepSpinPart(const FilePart& part)
      : types_(part.types()),
        activations_{part.text("embedding_activation"), part.text("fitting_activation")},
        embedding_(part, "embedding", 2 * types_ * (part.truth("type_one_side") ? 1 : types_)),
        fitting_(part, "fitting", types_) {
    read_settings(part);
    read_arrays(part);
    read_nets(part);
    grid_ = std::make_unique<NodeGrid>(part, in_, embedding_.widths().back());
    in_.n_sel = std::accumulate(sel_.begin(), sel_.end(), 0.0);
    part.require(in_.n_sel >= 1.0, "sel is zero");
    prepare();
  }

  const Sight& sight() const override { return sight_; }

  void add(const ClusterPairs& pairs, const Sums& sums) override {
    if (grid_->cover(closest(pairs))) prepare();
    set_batch(pairs, sums, threads_here(), in_);
    prepared_->evaluate(in_, output_.of(pairs, sums));
    output_.add_to(sums);
  }

 private:
  using Reals = std::vector<double>;

  void read_settings(const FilePart& part) {
    in_.types = types_;
    in_.rcut = part.number("rcut", 1e-3, 1e3);
    in_.rcut_smth = part.number("rcut_smth", 0.0, in_.rcut);
    part.require(in_.rcut_smth < in_.rcut, "rcut_smth is not below rcut");
    in_.protection = part.number("protection", 0.0, 1e3);
    in_.axis = part.integer("axis", 1, 100000);
    in_.scale = part.number("scale", 1e-6, 1e6);
    in_.embedding_threshold = part.number("embedding_threshold", 0.0, 1e9);
    in_.fitting_threshold = part.number("fitting_threshold", 0.0, 1e9);
    in_.embedding_activation = activations_[0].c_str();
    in_.fitting_activation = activations_[1].c_str();
  }

  void read_arrays(const FilePart& part) {
    for (const auto& [name, shape, to] : {std::tuple{"davg", std::vector<int64_t>{types_, 4}, &davg_},
                                          {"dstd", {types_, 4}, &dstd_},
                                          {"sel", {2 * types_}, &sel_},
                                          {"eta", {2 * types_}, &eta_},
                                          {"polynomials", {STENCIL, STENCIL}, &polynomials_}})
      *to = part.array<double>(name, shape);
    part.require(std::all_of(eta_.begin(), eta_.begin() + types_, [](double eta) { return eta == 0.0; }),
                 "eta of real atoms is not zero");
    in_.davg = davg_.data(), in_.dstd = dstd_.data(), in_.sel = sel_.data(), in_.eta = eta_.data();
    in_.polynomials = polynomials_.data();
    sight_ = {in_.rcut, part.array<uint8_t>("seen", {types_, 2 * types_}), Reals(eta_.begin() + types_, eta_.end())};
    for (int64_t t = 0; t < types_; ++t)
      for (int64_t j = 0; j < types_; ++j)
        part.require(part.magnetic()[j] || !sight_.seen[(2 * t + 1) * types_ + j],
                     "an element that is not magnetic has virtual atoms");
  }

  void read_nets(const FilePart& part) {
    part.require(embedding_.layers() > 0 && fitting_.layers() > 0, "its nets have no layers");
    const int64_t width = embedding_.widths().back();
    part.require(embedding_.widths()[0] == 1 && in_.axis <= width && fitting_.widths()[0] == width * in_.axis,
                 "its nets do not fit to each other");
    last_weight_ = part.array<double>("last_weight", {types_, fitting_.widths().back()});
    last_bias_ = part.array<double>("last_bias", {types_});
    in_.embedding_nets = 2 * types_ * (part.truth("type_one_side") ? 1 : types_);
    in_.embedding_layers = embedding_.layers(), in_.fitting_layers = fitting_.layers();
    in_.embedding_widths = embedding_.widths().data(), in_.fitting_widths = fitting_.widths().data();
    in_.embedding = embedding_.pointers(), in_.fitting = fitting_.pointers();
    in_.last_weight = last_weight_.data(), in_.last_bias = last_bias_.data();
  }

  // Recomputes everything that depends on the nodes.
  void prepare() {
    grid_->set(in_);
    prepared_ = prepare_deepspin(in_);
  }

  // The distance of the closest neighbour, Å, by centre element.
  Reals closest(const ClusterPairs& pairs) const {
    Reals squares(types_, INFINITE);
    for (int64_t i = 0; i < pairs.centres; ++i) {
      double& least = squares[pairs.atom_type[i]];
      for (int64_t p = pairs.start[i]; p < pairs.start[i + 1]; ++p) {
        const double* d = pairs.vector + 3 * p;
        least = std::min(least, d[0] * d[0] + d[1] * d[1] + d[2] * d[2]);
      }
    }
    for (double& square : squares) square = std::sqrt(square);
    return squares;
  }

  int64_t types_;
  std::string activations_[2];
  FileNets embedding_, fitting_;
  Reals davg_, dstd_, sel_, eta_, polynomials_, last_weight_, last_bias_;
  spinpot_deepspin in_ = {};
  Sight sight_;
  std::unique_ptr<NodeGrid> grid_;
  std::unique_ptr<const PreparedDeepSpin> prepared_;
  KernelOutput output_;
};

}  // namespace

std::unique_ptr<ModelPart> read_deepspin(const FilePart& part) { return std::make_unique<DeepSpinPart>(part); }

}  // namespace spinpot
