/* The C interface of spinpot's kernels: plain arrays in, plain arrays out.

   Every function that can fail returns 0, or a number above 0 and leaves a text for spinpot_error. Arrays are
   contiguous, row by row. Integers have 64 bits unless said otherwise. Lengths are in Å, energies in eV, spins in μ_B.
   `threads` is how many threads a call may use, the caller's own among them. */

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

/* F frames of A atoms altogether, one behind the other, of T elements; and which of their pairs are looked for.

   A virtual atom stands at coord + displacement. Atoms are taken where they are, not moved into the cell. */
typedef struct {
  double cutoff; /* Å */
  int64_t n_frames, n_types, total_atoms; /* F, T, A */
  const int64_t* n_atoms;  /* (F,) */
  const int64_t* types;    /* (A,) */
  const double* coord;     /* (A, 3) */
  const double* box;       /* (F, 3, 3); rows of directions without images may hold anything */
  const uint8_t* periodic; /* (F, 3) */
  const double* displacement; /* (A, 3), Å */
  const uint8_t* seen;     /* (T, 2 T) whether centres of an element see neighbours of a type; T…2T−1 are virtual */
  int64_t any_direction;   /* not 0: virtual atoms, too, that would be within the cutoff if displaced elsewhere */
} spinpot_frames;

/* P pairs, sorted by their centres; a centre's own virtual atom is a neighbour, the centre is none. */
typedef struct {
  int64_t* start;     /* (A + 1,) where the pairs of each centre begin, and where the last ones end */
  int64_t* neighbour; /* (P,) of all A atoms, the neighbour or the one whose virtual atom it is */
  int64_t* type;      /* (P,) of 2 T */
  double* vector;     /* (P, 3), Å, from the centre to the neighbour */
  int64_t* counts;    /* (A, 2 T) neighbours of each type */
  double* closest;    /* (T,), Å, of the centres of each element, inf without any; any_direction: in any */
} spinpot_pairs;

/* A list of pairs. With a skin (Å) above 0 it searches only where atoms may have come within the cutoff since. */
typedef struct spinpot_pair_list spinpot_pair_list;
SPINPOT_API int spinpot_pair_list_new(double skin, spinpot_pair_list** list);
SPINPOT_API void spinpot_pair_list_free(spinpot_pair_list* list);

/* Finds the pairs; n_pairs, searches: how many there are, and how often the list has searched. */
SPINPOT_API int spinpot_find_pairs(spinpot_pair_list* list, const spinpot_frames* frames, int64_t threads,
                                   int64_t* n_pairs, int64_t* searches);

/* Writes the pairs that were found last. */
SPINPOT_API int spinpot_take_pairs(const spinpot_pair_list* list, const spinpot_pairs* out, int64_t threads);

/* A step of Adam. places: of `count` parameters, then of their gradients, which stay as they are, of the running means
   of the gradients and of their squares (float64, or float32 where `single` is not 0), and of the numbers of their
   steps (one float32 each). */
SPINPOT_API int spinpot_adam_step(void* const* places, const int64_t* sizes, const signed char* single, int64_t count,
                                  double rate, double beta1, double beta2, double eps, int64_t threads);

/* A term of a loss: predictions (rows, width), float64, or float32 where `single` is not 0, and their labels, NaN where
   there is none. counted (rows): whether a row counts, or NULL; n_atoms (rows): of a quantity that grows with the
   frame, or NULL. slope (rows, width): becomes the derivative of the term's sum. */
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

/* Of each term Σ f((prediction − label)/n_atoms^power)/components, and how many rows have labels and count. function:
   0 Δ², 1 |Δ|, 2 quadratic below delta and linear above it. */
SPINPOT_API int spinpot_penalties(const spinpot_term* terms, int64_t count, int function, double delta, double power,
                                  double* totals, int64_t* counts);

/* DeepSPIN and a batch for it, as spinpot.models.deepspin has them. T elements, of which neighbour type T + t is the
   virtual atom of t; A atoms, F structures, P pairs sorted by their centres; nodes low + scale (exp(m step) - 1),
   m < n_nodes, for each centre and neighbour type, in C chunks. Nets lie side by side: W, b and idt (or null) of each
   layer. Real numbers in arrays are float64, or float32 where `single` is not 0. Arrays are read while a call, or what
   is kept of it, needs them. */
typedef struct {
  int64_t single, threads, types, atoms, frames, pairs, chunks, chunk; /* chunk: nodes of each */
  int64_t embedding_nets, embedding_layers, fitting_layers, axis;
  double rcut, rcut_smth, protection, n_sel, scale, embedding_threshold, fitting_threshold;
  const int64_t *atom_order;                 /* the centres sorted by element: the atoms that have an energy */
  const int64_t *frame, *pair_start;         /* (A,), (A + 1,) */
  const int64_t *pair_neighbour, *pair_type; /* (P,) */
  const int64_t *neighbour_counts;           /* (A, 2T) */
  const void *davg, *dstd, *sel;             /* (T, 4), (T, 4), (2T,) */
  const void *low, *step, *polynomials;      /* (T,), (T, 2T), (8, 8) [power, node] */
  const int64_t *n_nodes, *column;           /* (T, 2T) nodes and their first column */
  const void *vector, *spin, *eta;           /* (P, 3) from the centre to the neighbour, (A, 3), (2T,) */
  const void *points;                        /* (C, chunk) */
  const int64_t *first, *nets;               /* (T, 2T) the first chunk; (C,) the embedding net of each */
  const int64_t *type_sizes, *columns;       /* (T,) centres and columns of each element */
  const int64_t *embedding_widths, *fitting_widths; /* of the input and of each layer */
  const void *const *embedding, *const *fitting;
  const void *last_weight, *last_bias;       /* (T, width), (T,) */
  const char *embedding_activation, *fitting_activation;
} spinpot_deepspin;

/* Energies of atoms (A,), force (A, 3), magnetic force (A, 3) and virial (F, 3, 3), or gradients by them. Where nothing is
   kept, force, force_mag and virial may all be null: then only the energies are evaluated. */
typedef struct {
  void *energy, *force, *force_mag, *virial;
} spinpot_derivatives;

/* Fills `out`. With `kept` not null, what spinpot_deepspin_backward needs is left there, to be freed by
   spinpot_deepspin_free. */
SPINPOT_API int spinpot_deepspin_forward(const spinpot_deepspin* in, const spinpot_derivatives* out, void** kept);

/* Fills gradients by the parameters (arrays as those of spinpot_deepspin) from those by what forward gave. */
SPINPOT_API int spinpot_deepspin_backward(void* kept, const spinpot_derivatives* by, void* const* embedding,
                                          void* const* fitting, void* last_weight, void* last_bias);

SPINPOT_API void spinpot_deepspin_free(void* kept);

/* The native-spin model and a batch for it, as spinpot.models.native_spin has them. T elements, P invariants, K radial
   functions, M channels of all kinds of sums, N terms of the table of products; A atoms, F structures, pairs sorted by
   their centres, whose neighbours are real atoms. Places: of the numbers of a centre, the sums of products last. Nets
   lie side by side, as those of spinpot_deepspin; without any, last_weight is null. Their numbers are float64, or float32
   where `single` is not 0; all others are float64. Arrays are read while a call, or what is kept of it, needs them. */
typedef struct {
  int64_t single, threads, types, atoms, frames, pairs, radial, invariants, terms, places, layers;
  double cutoff, closest, width, energy_scale, threshold; /* closest, width: of the radial functions, Å */
  const int64_t *atom_order, *frame, *pair_start, *pair_neighbour, *pair_type, *neighbour_counts; /* of the batch */
  const double *vector, *spin;               /* (pairs, 3) from the centre to the neighbour; (A, 3) */
  const uint8_t* magnetic;                   /* (T,) */
  const double *moment_square, *mixing;      /* (T,), (T, T K, M) */
  const double *mean, *scale;                /* (T, P) */
  const double* coefficient;                 /* (N,) */
  const int64_t *factors, *sum, *features;   /* (N, 3) and (N,), places; (P,), places of the invariants */
  const double *linear, *centre, *nearness;  /* (T, P) */
  const int64_t *type_sizes, *channels;      /* (T,) centres of each element; (8,) channels of each kind of sum, or 0 */
  const int64_t* widths;                     /* of the input and of each hidden layer */
  const void* const* hidden;
  const void *last_weight, *last_bias;       /* (T, width), (T,) */
  const char* activation;
} spinpot_native_spin;

/* As spinpot_deepspin_forward, with float64 in `out`. */
SPINPOT_API int spinpot_native_spin_forward(const spinpot_native_spin* in, const spinpot_derivatives* out, void** kept);

/* As spinpot_deepspin_backward. linear (T, P): gradients by the weights of the invariants, or null. */
SPINPOT_API int spinpot_native_spin_backward(void* kept, const spinpot_derivatives* by, double* linear,
                                             void* const* hidden, void* last_weight, void* last_bias);

SPINPOT_API void spinpot_native_spin_free(void* kept);

/* What each weight of the invariants alone would give with an energy scale of 1: energy (F, T P), force and magnetic
   force (A, 3, T P), virial (F, 3, 3, T P). Atoms of each element are sorted by their structures. */
SPINPOT_API int spinpot_native_spin_rows(const spinpot_native_spin* in, const spinpot_derivatives* out);

/* The exchange term and a batch for it, as spinpot.models.exchange has them. T elements, M of them magnetic; K radial
   functions, L of the fields; A atoms, F structures, P pairs sorted by their centres, of which virtual neighbours (types
   T … 2T - 1) count nothing. Coefficients of terms that there are not are null. */
typedef struct {
  int64_t threads, types, magnetic_types, atoms, frames, pairs, radial, fields;
  double cutoff;
  const int64_t *atom_order, *frame, *pair_start, *pair_neighbour, *pair_type, *neighbour_counts; /* of the batch */
  const int64_t* type_sizes;                 /* (T,) centres of each element */
  const double *vector, *spin;               /* (pairs, 3) from the centre to the neighbour; (A, 3) */
  const int64_t *magnetic, *elements;        /* (T,) places among the magnetic ones, or -1, and among all */
  const double* moment_squared;              /* (M,) */
  const double *bilinear, *biquadratic, *anisotropic; /* (M (M + 1)/2, K) */
  const double *single_ion, *landau;         /* (M T, K), (M, 2) */
  const double *linear, *along, *across;     /* (M, M L), and (M, M L (M L + 1)/2) twice */
} spinpot_exchange;

/* Fills `out`, of float64. */
SPINPOT_API int spinpot_exchange_forward(const spinpot_exchange* in, const spinpot_derivatives* out);

/* Normal numbers (count, width) of mean 0 and deviation 1: functions of the seed, the step (0 … 2^48 - 1), what they are
   for (0 … 255; 0 spins, 1 atoms), each atom's id and the component alone, by Philox 4x32 with 10 rounds. */
SPINPOT_API int spinpot_normals(int64_t seed, int64_t step, int64_t purpose, const int64_t* ids, int64_t count,
                                int64_t width, double* out);

/* How many steps back fields are kept. */
#define SPINPOT_FIELDS 8

/* What is kept of an atom from step to step: how many fields are known, the two sums of the least squares for λ, and field
   and midpoint (6) of each step, newest first. All zero at the first step.

   The field of a spin depends on that spin itself (its length's energy, anisotropy): B ≈ λ m + rest, where λ m turns no
   spin whose midpoint is m. So spins turn about the rest alone, which goes less with what the present step finds. */
#define SPINPOT_HISTORY (3 + 6 * SPINPOT_FIELDS)

/* The rest of the next step (count, 3), by a polynomial through those of the last ones. Its order is that which would have
   done best for the atom in the last steps: high where the field is smooth, low where it has noise. Zero if none is
   known. history: (count, SPINPOT_HISTORY). */
SPINPOT_API int spinpot_expected_fields(int64_t count, const double* history, double* out);

/* Takes a field as evaluated at the midpoints `middle` into the history, learns λ by its change, and gives the rest. first: whether
   it is the first evaluation of a step; those that follow replace it. field, middle, rest: (count, 3); rest may be field. */
SPINPOT_API int spinpot_evaluated_fields(int64_t count, int64_t first, const double* field, const double* middle,
                                         double* history, double* rest);

/* The step of n spins that is iterated: S' is S turned about the field at their midpoint on the sphere. */
typedef struct {
  int64_t count;
  double angle, damping; /* g dt/ħ, μ_B/eV; α */
  const double* before; /* (n, 3) S, μ_B */
  const double* field;  /* (n, 3) eV/μ_B, at `middle`, with all that acts on the spins */
  double *middle, *after; /* (n, 3) where the field is, becomes the next midpoint; S', becomes the next one */
} spinpot_turn;

/* change: the largest of any component of S', μ_B. Spins of zero stay so. */
SPINPOT_API int spinpot_turn_spins(const spinpot_turn* turn, double* change);

/* Whether the S' of a step is found: its error, estimated as change c/(1 - c) with the contraction c, is within the
   tolerance (μ_B); without damping within a fifth of it, as the errors of many steps add up to a drift of the energy. last:
   the change before, 0 at a step's first; contraction: kept from step to step, 1 at the first. Both become those of this
   change: c is change/last, and at a step's first change that of the step before, which is doubted more with each step
   that does not measure it. change: the largest of all spins, on all ranks. */
SPINPOT_API int spinpot_spins_found(double tolerance, double damping, double change, double* last, double* contraction,
                                    int64_t* found);

/* A model of a file that spinpot.models.model_file wrote, to be evaluated. A model may be used by one thread at a time. */
typedef struct spinpot_model spinpot_model;

/* What is known of a model. Texts and arrays last as long as the model. */
typedef struct {
  const char* kind;            /* "deepspin", "native_spin" */
  const char* const* elements; /* (n_elements,) their names */
  const uint8_t* magnetic;     /* (n_elements,) */
  const double* virtual_scale; /* (n_elements,) η, Å/μ_B; 0 without virtual atoms */
  int64_t n_elements;
  const double *least_moment, *greatest_moment; /* (n_elements,) μ_B, |S| in the training; NaN where it is not known */
  double cutoff; /* Å, between atoms or from an atom to a virtual atom */
  int64_t row_size; /* numbers of a row of spinpot_model_rows; 0 for a model that expects no errors */
} spinpot_model_facts;

/* Fails for a file that is missing, damaged, truncated, newer than this library, or of another kind. */
SPINPOT_API int spinpot_model_read(const char* path, spinpot_model** model);
SPINPOT_API void spinpot_model_free(spinpot_model* model);
SPINPOT_API int spinpot_model_facts_of(const spinpot_model* model, spinpot_model_facts* facts);

/* Atoms, periodic images among them. The first `centres` have energies; all others are neighbours alone. Those that may
   be within reach of centre i are candidates[i][0 … n_candidates[i] − 1], of which the bits of `mask` are their number. */
typedef struct {
  int64_t atoms, centres;
  const int64_t* types; /* (atoms,) of the model's elements */
  const double *coord, *spin; /* (atoms, 3) */
  const int32_t* const* candidates;
  const int32_t* n_candidates;
  int32_t mask;
} spinpot_cluster;

/* Energies (centres,), force and magnetic force (atoms, 3), which have what the centres' energies give; virial (3, 3) of
   all centres, and of each (centres, 3, 3). What is null is not wanted; the last costs nothing if it is, nor do derivatives if all
   of them are. */
typedef struct {
  double *energy, *force, *force_mag, *virial, *atom_virial;
} spinpot_cluster_derivatives;

SPINPOT_API int spinpot_model_evaluate(spinpot_model* model, const spinpot_cluster* cluster,
                                       const spinpot_cluster_derivatives* out, int64_t threads);

/* What each weight of a model's linear part gives, row_size numbers each: of the energies of all centres (row_size), of
   force and magnetic force (atoms, 3, row_size) what the centres' energies give. Those of images are to be added to
   those of the atoms, as forces are. */
typedef struct {
  double *energy, *force, *force_mag;
} spinpot_rows;

SPINPOT_API int spinpot_model_rows(spinpot_model* model, const spinpot_cluster* cluster, const spinpot_rows* out,
                                   int64_t threads);

/* Complete rows, of some atoms; and of the energy of a whole structure, in which there are `counts` (n_elements,) atoms
   of each element. */
typedef struct {
  int64_t atoms;
  const int64_t *types, *counts;
  const double *energy, *force, *force_mag;
} spinpot_complete_rows;

/* As Potential.uncertainty: (atoms,) how far each is from the training frames, 1 for what is like them, and expected
   errors of components of its forces, eV/Å and eV/μ_B, NaN where they are not known. energy_sigma: one number, eV/atom,
   or null. */
typedef struct {
  double *leverage, *force_sigma, *force_mag_sigma, *energy_sigma;
} spinpot_uncertainty;

SPINPOT_API int spinpot_model_uncertainty(const spinpot_model* model, const spinpot_complete_rows* rows,
                                          const spinpot_uncertainty* out, int64_t threads);

#ifdef __cplusplus
}
#endif

#endif
