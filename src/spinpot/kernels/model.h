// Declarations for the evaluation of model files: a cluster with its pairs, the sums, the parts of a model.

#pragma once

#include <memory>
#include <vector>

#include "expected_errors.h"
#include "interface.h"
#include "model_part.h"

namespace spinpot {

// A cluster of A atoms of T elements, and P pairs sorted by centre. The first C atoms are centres; the pairs are those of
// some centres, the selected ones. Neighbours are real atoms and virtual atoms (types T … 2T − 1) within the cutoff,
// including the centre's own virtual atom.
struct ClusterPairs {
  int64_t types, atoms, centres, pairs;
  const int64_t* atom_type;         // (A,)
  const double* spin;               // (A, 3), μ_B; ignored for elements that are not magnetic
  const int64_t* order;             // the selected centres, sorted by element
  const int64_t* type_sizes;        // (T,) number of selected centres of each element
  const int64_t* start;             // (A + 1,) index of the first pair of each atom; other atoms have no pairs
  const int64_t *neighbour, *type;  // (P,) index of the neighbour (for a virtual atom, of its atom); (P,) of 2T types
  const double* vector;             // (P, 3), Å, from the centre to the neighbour
  const int64_t* counts;            // (C, 2T) number of neighbours of each type
};

// Sums to which the parts of a model add: the centres' energies and their derivatives. A pair of two centres is listed
// twice, once for each centre; a pair of a centre and another atom is listed once. If only energies are requested, the
// other arrays are null.
struct Sums {
  double* energy;             // (C,), eV
  double *force, *force_mag;  // (A, 3), −∂E/∂R and −∂E/∂S
  double* virial;             // (V, 3, 3), −Σ ∂E/∂d ⊗ d, d between real atoms
  const int64_t* virial_of;   // (A,) index of the virial that a centre adds to: one for all, or one for each centre
  int64_t virials;            // V
};

// Which neighbours a model has: cutoff, Å; seen (T, 2T), the neighbour types of each centre element; virtual_scale (T,), η
// of virtual atoms at coord + η S.
struct Sight {
  double cutoff;
  std::vector<uint8_t> seen;
  std::vector<double> virtual_scale;
};

// A part of a model that is prepared for evaluations.
class ModelPart {
 public:
  virtual ~ModelPart() = default;
  virtual const Sight& sight() const = 0;
  // Adds energies and derivatives, on threads_here() threads. The pairs are those of sight().
  virtual void add(const ClusterPairs& pairs, const Sums& sums) = 0;
  // Null if the model has no expected errors.
  virtual const ExpectedErrors* expected_errors() const { return nullptr; }
  // Fills the rows from which expected errors are computed. Does nothing without expected errors.
  virtual void fill_rows(const ClusterPairs&, const spinpot_rows&) {}
};

std::unique_ptr<ModelPart> read_deepspin(const FilePart& part);
std::unique_ptr<ModelPart> read_native_spin(const FilePart& part);
std::unique_ptr<ModelPart> read_exchange(const FilePart& part);

// The output arrays of a kernel's call, which are then added to the sums.
class KernelOutput {
 public:
  // The arrays to write to, with the sizes of the sums.
  const spinpot_derivatives& of(const ClusterPairs& pairs, const Sums& sums);
  void add_to(const Sums& sums) const;

 private:
  std::vector<double> energy_, force_, force_mag_, virial_;
  spinpot_derivatives to_ = {};
  int64_t centres_ = 0;
};

// Throws an exception with the kernel's error text if the code is not 0.
void check_code(int code);

// Fills those fields of a kernel's struct that describe a batch.
template <typename In>
void set_batch(const ClusterPairs& pairs, const Sums& sums, int64_t threads, In& in) {
  in.threads = threads;
  in.types = pairs.types, in.atoms = pairs.atoms, in.frames = sums.virials, in.pairs = pairs.pairs;
  in.atom_order = pairs.order, in.frame = sums.virial_of, in.pair_start = pairs.start;
  in.pair_neighbour = pairs.neighbour, in.pair_type = pairs.type, in.neighbour_counts = pairs.counts;
  in.vector = pairs.vector, in.spin = pairs.spin, in.type_sizes = pairs.type_sizes;
}

}  // namespace spinpot
