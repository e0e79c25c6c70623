/* The C interface of spinpot's kernels: plain arrays in, plain arrays out.

   Every function that can fail returns 0, or after an error a number above 0: spinpot_error then returns its text. Arrays
   are contiguous, in row-major order. Integers have 64 bits unless stated otherwise. Lengths are in Å, energies in eV, spins
   in μ_B. `threads`: number of threads that a call may use, including the caller's. */

#ifndef SPINPOT_INTERFACE_H
#define SPINPOT_INTERFACE_H

#include <stdint.h>

#define SPINPOT_API __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

/* The last error of the calling thread, valid until its next call. */
SPINPOT_API const char* spinpot_error(void);

/* 0 if the numbers of `count` (float64, or float32 where `single` is not 0) are all finite, else 1. */
SPINPOT_API int spinpot_all_finite(const void* numbers, int64_t count, int single);

/* F frames with A atoms in total, of T elements, one frame after the other; and which pairs to search for.

   The virtual atom of an atom is at coord + displacement. Atoms are not wrapped into the cell. */
typedef struct {
  double cutoff; /* Å */
  int64_t n_frames, n_types, total_atoms; /* F, T, A */
  const int64_t* n_atoms;  /* (F,) */
  const int64_t* types;    /* (A,) */
  const double* coord;     /* (A, 3) */
  const double* box;       /* (F, 3, 3); rows of non-periodic directions are ignored */
  const uint8_t* periodic; /* (F, 3) */
  const double* displacement; /* (A, 3), Å */
  const uint8_t* seen;     /* (T, 2 T) whether centres of an element have neighbours of a type; T…2T−1 are virtual */
  int64_t any_direction;   /* not 0: include virtual atoms that could enter the cutoff if their spin rotates */
} spinpot_frames;

/* P pairs, sorted by centre. A centre's own virtual atom is its neighbour; the centre itself is not. */
typedef struct {
  int64_t* start;     /* (A + 1,) index of the first pair of each centre; the last entry is P */
  int64_t* neighbour; /* (P,) index of the neighbour; for a virtual atom, of its real atom */
  int64_t* type;      /* (P,) of 2 T */
  double* vector;     /* (P, 3), Å, from the centre to the neighbour */
  int64_t* counts;    /* (A, 2 T) number of neighbours of each type */
  double* closest;    /* (T,) Å, distance of the closest neighbour, by the centre's element; inf without any */
} spinpot_pairs;

/* A pair list. With a skin (Å) above 0 a new search is made only if an atom may have entered the cutoff of another. */
typedef struct spinpot_pair_list spinpot_pair_list;
SPINPOT_API int spinpot_pair_list_new(double skin, spinpot_pair_list** list);
SPINPOT_API void spinpot_pair_list_free(spinpot_pair_list* list);

/* Finds the pairs. n_pairs: their number. searches: number of searches of this list so far. */
SPINPOT_API int spinpot_find_pairs(spinpot_pair_list* list, const spinpot_frames* frames, int64_t threads,
                                   int64_t* n_pairs, int64_t* searches);

/* Writes the pairs of the last spinpot_find_pairs. */
SPINPOT_API int spinpot_take_pairs(const spinpot_pair_list* list, const spinpot_pairs* out, int64_t threads);

/* One step of Adam. places: pointers to `count` parameters, then to their gradients (not changed), to the running means
   of the gradients and of their squares (float64, or float32 where `single` is not 0), and to their step counts (one
   float32 each). */
SPINPOT_API int spinpot_adam_step(void* const* places, const int64_t* sizes, const signed char* single, int64_t count,
                                  double rate, double beta1, double beta2, double eps, int64_t threads);

/* A term of a loss. prediction (rows, width): float64, or float32 where `single` is not 0. label (rows, width): NaN if
   missing. counted (rows): whether a row enters the sum; null: all do. n_atoms (rows): divisor of an extensive quantity,
   or null. slope (rows, width): output, the derivative of the term's sum. components: divisor of the sum. */
typedef struct {
  const void* prediction;
  const double* label;
  const unsigned char* counted;
  const int64_t* n_atoms;
  void* slope;
  int64_t rows;
  int64_t width;
  int64_t single;
  double components;
} spinpot_term;

/* For each term computes totals, Σ f((prediction − label)/n_atoms^power)/components, and counts, the number of rows in the
   sum. function: 0 is Δ², 1 is |Δ|, 2 is quadratic below delta and linear above it. */
SPINPOT_API int spinpot_penalties(const spinpot_term* terms, int64_t count, int function, double delta, double power,
                                  double* totals, int64_t* counts);

/* A DeepSPIN model and a batch; names as in spinpot.models.deepspin. T elements, A atoms, F structures, P pairs sorted by
   their centres. Neighbour type T + t is the virtual atom of element t. The nodes of a centre element and neighbour type are
   low + scale (exp(m step) - 1) with m < n_nodes; all nodes are stored in C chunks. Nets are stored side by side: W, b and
   idt (or null) of each layer. Real numbers in arrays are float64, or float32 where `single` is not 0. The caller keeps all
   arrays until the call returns, or until `kept` is freed. */
typedef struct {
  int64_t single, threads, types, atoms, frames, pairs, chunks, chunk; /* chunk: number of nodes in a chunk */
  int64_t embedding_nets, embedding_layers, fitting_layers, axis;
  double rcut, rcut_smth, protection, n_sel, scale, embedding_threshold, fitting_threshold;
  const int64_t *atom_order;                 /* the centres (atoms with an energy), sorted by element */
  const int64_t *frame, *pair_start;         /* (A,), (A + 1,) */
  const int64_t *pair_neighbour, *pair_type; /* (P,) */
  const int64_t *neighbour_counts;           /* (A, 2T) */
  const void *davg, *dstd, *sel;             /* (T, 4), (T, 4), (2T,) */
  const void *low, *step, *polynomials;      /* (T,), (T, 2T), (8, 8) [power, node] */
  const int64_t *n_nodes, *column;           /* (T, 2T) number of nodes; (T, 2T) column of the first node */
  const void *vector, *spin, *eta;           /* (P, 3) from the centre to the neighbour, (A, 3), (2T,) */
  const void *points;                        /* (C, chunk) */
  const int64_t *first, *nets;               /* (T, 2T) the first chunk; (C,) the embedding net of each chunk */
  const int64_t *type_sizes, *columns;       /* (T,) centres and columns of each element */
  const int64_t *embedding_widths, *fitting_widths; /* of the input and of each layer */
  const void *const *embedding, *const *fitting;
  const void *last_weight, *last_bias;       /* (T, width), (T,) */
  const char *embedding_activation, *fitting_activation;
} spinpot_deepspin;

/* Energies of atoms (A,), force (A, 3), magnetic force (A, 3) and virial (F, 3, 3), or gradients with respect to them.
   If `kept` is null, force, force_mag and virial may all be null: then only energies are evaluated. */
typedef struct {
  void *energy, *force, *force_mag, *virial;
} spinpot_derivatives;

/* Fills `out`. If `kept` is not null, it receives the data that spinpot_deepspin_backward needs; free it with
   spinpot_deepspin_free. */
SPINPOT_API int spinpot_deepspin_forward(const spinpot_deepspin* in, const spinpot_derivatives* out, void** kept);

/* Fills the gradients with respect to the parameters, in arrays like those of spinpot_deepspin. by: the gradients with
   respect to the results of spinpot_deepspin_forward. */
SPINPOT_API int spinpot_deepspin_backward(void* kept, const spinpot_derivatives* by, void* const* embedding,
                                          void* const* fitting, void* last_weight, void* last_bias);

SPINPOT_API void spinpot_deepspin_free(void* kept);

/* A native-spin model and a batch; names as in spinpot.models.native_spin. T elements, P invariants, K radial functions,
   M channels of all kinds of sums, N terms of the table of products; A atoms, F structures. Pairs are sorted by centre;
   neighbours are real atoms. Places are indices into the numbers of a centre; sums of products come last. Nets are stored
   side by side, as in spinpot_deepspin; without nets last_weight is null. Numbers of nets are float64, or float32 where
   `single` is not 0; all others are float64. The caller keeps all arrays until the call returns, or until `kept` is
   freed. */
typedef struct {
  int64_t single, threads, types, atoms, frames, pairs, radial, invariants, terms, places, layers;
  double cutoff, closest, width, energy_scale, threshold; /* closest, width: of the radial functions, Å */
  const int64_t *atom_order, *frame, *pair_start, *pair_neighbour, *pair_type, *neighbour_counts; /* of the batch */
  const double *vector, *spin;               /* (pairs, 3) from the centre to the neighbour; (A, 3) */
  const uint8_t* magnetic;                   /* (T,) */
  const double *moment_square, *mixing;      /* (T,), (T, T K, M) */
  const double *mean, *scale;                /* (T, P) */
  const double* coefficient;                 /* (N,) */
  const int64_t *factors, *sum, *features;   /* (N, 3) places; (N,) places; (P,) places of the invariants */
  const double *linear, *centre, *nearness;  /* (T, P) */
  const int64_t *type_sizes, *channels;      /* (T,) centres of each element; (8,) channels of each kind of sum, or 0 */
  const int64_t* widths;                     /* of the input and of each hidden layer */
  const void* const* hidden;
  const void *last_weight, *last_bias;       /* (T, width), (T,) */
  const char* activation;
} spinpot_native_spin;

/* Like spinpot_deepspin_forward; arrays of `out` are float64. */
SPINPOT_API int spinpot_native_spin_forward(const spinpot_native_spin* in, const spinpot_derivatives* out, void** kept);

/* Like spinpot_deepspin_backward. linear (T, P): gradients with respect to the linear weights, or null. */
SPINPOT_API int spinpot_native_spin_backward(void* kept, const spinpot_derivatives* by, double* linear,
                                             void* const* hidden, void* last_weight, void* last_bias);

SPINPOT_API void spinpot_native_spin_free(void* kept);

/* The prediction of each linear weight alone, with energy_scale = 1: energy (F, T P), force and magnetic force
   (A, 3, T P), virial (F, 3, 3, T P). Atoms of each element are sorted by structure. */
SPINPOT_API int spinpot_native_spin_rows(const spinpot_native_spin* in, const spinpot_derivatives* out);

/* The exchange term and a batch; names as in spinpot.models.exchange. T elements, M of them magnetic; K radial functions
   of pairs, L of fields; A atoms, F structures, P pairs sorted by centre. Virtual neighbours (types T … 2T - 1) are ignored.
   Coefficients of absent terms are null. */
typedef struct {
  int64_t threads, types, magnetic_types, atoms, frames, pairs, radial, fields;
  double cutoff;
  const int64_t *atom_order, *frame, *pair_start, *pair_neighbour, *pair_type, *neighbour_counts; /* of the batch */
  const int64_t* type_sizes;                 /* (T,) centres of each element */
  const double *vector, *spin;               /* (pairs, 3) from the centre to the neighbour; (A, 3) */
  const int64_t *magnetic, *elements;        /* (T,) index among the magnetic elements, or -1; (T,) index among all, by name */
  const double* moment_squared;              /* (M,) */
  const double *bilinear, *biquadratic, *anisotropic; /* (M (M + 1)/2, K) */
  const double *single_ion, *landau;         /* (M T, K), (M, 2) */
  const double *linear, *along, *across;     /* (M, M L), and (M, M L (M L + 1)/2) twice */
} spinpot_exchange;

/* Fills `out`; its arrays are float64. */
SPINPOT_API int spinpot_exchange_forward(const spinpot_exchange* in, const spinpot_derivatives* out);

/* Standard normal random numbers (count, width) by Philox 4x32 with 10 rounds. They depend only on the seed, the step
   (0 … 2^48 - 1), the purpose (0 … 255; 0 spins, 1 atoms), the atom's id and the component. */
SPINPOT_API int spinpot_normals(int64_t seed, int64_t step, int64_t purpose, const int64_t* ids, int64_t count,
                                int64_t width, double* out);

/* Number of past steps whose fields are stored. */
#define SPINPOT_FIELDS 8

/* Size of the history of an atom: the number of stored fields, the two sums of the least squares for λ, and field and
   midpoint (6 numbers) of each step, newest first. All are zero before the first step.

   The field B of a spin depends on that spin itself (through the energy of its length, and anisotropy): B ≈ λ m + rest. The
   part λ m exerts no torque at the midpoint m. Spins therefore rotate about the rest alone, which changes less within a
   step. */
#define SPINPOT_HISTORY (3 + 6 * SPINPOT_FIELDS)

/* Predicts the rest in the next step (count, 3) by a polynomial through the fields of the previous steps. Its order is the
   one that predicted the last steps of the atom best: high for smooth fields, low for noisy ones. The prediction is zero if
   no field is stored. history: (count, SPINPOT_HISTORY). */
SPINPOT_API int spinpot_expected_fields(int64_t count, const double* history, double* out);

/* Stores the field evaluated at the midpoints `middle` in the history, updates λ, and writes the rest. first: whether this is
   the first evaluation of a step; later ones replace it. field, middle, rest: (count, 3); rest may be the array `field`. */
SPINPOT_API int spinpot_evaluated_fields(int64_t count, int64_t first, const double* field, const double* middle,
                                         double* history, double* rest);

/* One iteration of a step of n spins: S' is S rotated about the field at the midpoint of S and S' on the sphere. */
typedef struct {
  int64_t count;
  double angle, damping; /* g dt/ħ, μ_B/eV; α */
  const double* before; /* (n, 3) S, μ_B */
  const double* field;  /* (n, 3) eV/μ_B, the total field at `middle` */
  double *middle, *after; /* (n, 3) the midpoint of the field, and S'; both are updated */
} spinpot_turn;

/* change: the largest change of a component of S', μ_B. Zero spins stay zero. */
SPINPOT_API int spinpot_turn_spins(const spinpot_turn* turn, double* change);

/* found: whether the iteration for S' has converged. The error is estimated as change c/(1 - c) with c = change/last. It
   must be within the tolerance (μ_B). Without damping it must be within a fifth of the tolerance, because errors of many
   steps add up to a drift of the energy. A step's first iteration uses the c of the previous step, increased for each step
   that did not measure it. change: the largest change of any spin on any rank. last: the previous change, 0 in a step's first
   iteration. contraction: c, kept from step to step, 1 in the first step. last and contraction are updated. */
SPINPOT_API int spinpot_spins_found(double tolerance, double damping, double change, double* last, double* contraction,
                                    int64_t* found);

/* A model, read from a file that spinpot.models.model_file wrote. Only one thread at a time may use it. */
typedef struct spinpot_model spinpot_model;

/* Facts about a model. Texts and arrays live as long as the model. */
typedef struct {
  const char* kind;            /* "deepspin", "native_spin" */
  const char* const* elements; /* (n_elements,) their names */
  const uint8_t* magnetic;     /* (n_elements,) */
  const double* virtual_scale; /* (n_elements,) η, Å/μ_B; 0 without virtual atoms */
  int64_t n_elements;
  const double *least_moment, *greatest_moment; /* (n_elements,) μ_B, range of |S| in training; NaN if unknown */
  double cutoff; /* Å, between atoms or from an atom to a virtual atom */
  int64_t row_size; /* length of a row of spinpot_model_rows; 0 for a model without expected errors */
} spinpot_model_facts;

/* Reads a model. Fails if the file is missing, damaged, truncated, newer than this library, or of another kind. */
SPINPOT_API int spinpot_model_read(const char* path, spinpot_model** model);
SPINPOT_API void spinpot_model_free(spinpot_model* model);
SPINPOT_API int spinpot_model_facts_of(const spinpot_model* model, spinpot_model_facts* facts);

/* Atoms, including periodic images. The first `centres` have energies; the others are only neighbours. Atoms that may be
   within the cutoff of centre i are candidates[i][0 … n_candidates[i] − 1] & mask. */
typedef struct {
  int64_t atoms, centres;
  const int64_t* types; /* (atoms,) of the model's elements */
  const double *coord, *spin; /* (atoms, 3) */
  const int32_t* const* candidates;
  const int32_t* n_candidates;
  int32_t mask;
} spinpot_cluster;

/* Energies (centres,); force and magnetic force (atoms, 3), the derivatives of the centres' energies; virial (3, 3) of all
   centres, and of each centre (centres, 3, 3). Null: not computed. */
typedef struct {
  double *energy, *force, *force_mag, *virial, *atom_virial;
} spinpot_cluster_derivatives;

SPINPOT_API int spinpot_model_evaluate(spinpot_model* model, const spinpot_cluster* cluster,
                                       const spinpot_cluster_derivatives* out, int64_t threads);

/* The prediction of each weight of a model's linear part: the energy of all centres (row_size,), force and magnetic force
   (atoms, 3, row_size). The caller adds the rows of periodic images to those of their atoms, as for forces. */
typedef struct {
  double *energy, *force, *force_mag;
} spinpot_rows;

SPINPOT_API int spinpot_model_rows(spinpot_model* model, const spinpot_cluster* cluster, const spinpot_rows* out,
                                   int64_t threads);

/* The rows of some atoms, with those of their images added, and the energy's row of a whole structure. counts
   (n_elements,): number of the structure's atoms of each element. */
typedef struct {
  int64_t atoms;
  const int64_t *types, *counts;
  const double *energy, *force, *force_mag;
} spinpot_complete_rows;

/* As Potential.uncertainty. leverage (atoms,): distance to the training frames, about 1 within them. force_sigma,
   force_mag_sigma (atoms,): expected errors of a component, eV/Å and eV/μ_B; NaN if unknown. energy_sigma: one number,
   eV/atom, or null. */
typedef struct {
  double *leverage, *force_sigma, *force_mag_sigma, *energy_sigma;
} spinpot_uncertainty;

SPINPOT_API int spinpot_model_uncertainty(const spinpot_model* model, const spinpot_complete_rows* rows,
                                          const spinpot_uncertainty* out, int64_t threads);

#ifdef __cplusplus
}
#endif

#endif
