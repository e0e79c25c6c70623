// Models of files, evaluated for clusters of atoms: declarations that all parts share.

#pragma once

#include <memory>
#include <vector>

#include "expected_errors.h"
#include "interface.h"
#include "model_part.h"

namespace spinpot {

// A cluster of A atoms, of T elements, whose first C are centres, and the P pairs of some of these, sorted by their
// centres: real atoms within the cutoff, and virtual ones of the types T … 2T − 1, the centre's own among them.
struct ClusterPairs {
  int64_t types, atoms, centres, pairs;
  const int64_t* atom_type;         // (A,)
  const double* spin;               // (A, 3), μ_B; an element that is not magnetic may have any
  const int64_t* order;             // those centres sorted by element
  const int64_t* type_sizes;        // (T,) of each element
  const int64_t* start;             // (A + 1,) the pairs of each of them, and none of other atoms
  const int64_t *neighbour, *type;  // (P,) the atom, or the one whose virtual atom it is; of 2T
  const double* vector;             // (P, 3), Å, from the centre to the neighbour
  const int64_t* counts;            // (C, 2T) neighbours of each type that they have
};

// Sums to which the parts of a model add: the centres' energies and their derivatives. A pair of two centres is listed
// from both ends, a pair of a centre and another atom once. If only energies are requested, the others are null.
struct Sums {
  double* energy;             // (C,), eV
  double *force, *force_mag;  // (A, 3), −∂E/∂R and −∂E/∂S
  double* virial;             // (V, 3, 3), −Σ ∂E/∂d ⊗ d, d between real atoms
  const int64_t* virial_of;   // (A,) to which of these a centre adds: the same for all, or each to its own
  int64_t virials;            // V
};

// Neighbours of centres: the types that count (T, 2T), and a cutoff, Å; a virtual atom is at coord + η S (T,).
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
  // Adds its energies and derivatives, on as many threads as threads_here() says. The pairs are those it sees.
  virtual void add(const ClusterPairs& pairs, const Sums& sums) = 0;
  // Expected errors; null if unknown.
  virtual const ExpectedErrors* expected_errors() const { return nullptr; }
  // Fills the rows that expected errors are computed from; nothing without expected errors.
  virtual void fill_rows(const ClusterPairs&, const spinpot_rows&) {}
};

std::unique_ptr<ModelPart> read_deepspin(const FilePart& part);
std::unique_ptr<ModelPart> read_native_spin(const FilePart& part);
std::unique_ptr<ModelPart> read_exchange(const FilePart& part);

// Numbers of a call of a kernel, which are added to sums.
class KernelOutput {
 public:
  // The arrays to write to, with the sizes that the sums have.
  const spinpot_derivatives& of(const ClusterPairs& pairs, const Sums& sums);
  void add_to(const Sums& sums) const;

 private:
  std::vector<double> energy_, force_, force_mag_, virial_;
  spinpot_derivatives to_ = {};
  int64_t centres_ = 0;
};

// Throws the message of a kernel's error for a code other than 0.
void check_code(int code);

// Fills the fields of the kernels' structs that describe a batch, from a cluster.
template <typename In>
void set_batch(const ClusterPairs& pairs, const Sums& sums, int64_t threads, In& in) {
  in.threads = threads;
  in.types = pairs.types, in.atoms = pairs.atoms, in.frames = sums.virials, in.pairs = pairs.pairs;
  in.atom_order = pairs.order, in.frame = sums.virial_of, in.pair_start = pairs.start;
  in.pair_neighbour = pairs.neighbour, in.pair_type = pairs.type, in.neighbour_counts = pairs.counts;
  in.vector = pairs.vector, in.spin = pairs.spin, in.type_sizes = pairs.type_sizes;
}

}  // namespace spinpot
