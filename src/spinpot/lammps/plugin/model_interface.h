/* Until the kernel library's interface.h declares them. */

#pragma once

#include "interface.h"

#ifndef SPINPOT_MODELS
extern "C" {
typedef struct spinpot_model spinpot_model;

typedef struct {
  const char* kind;            /* "deepspin", "native_spin" */
  const char* const* elements; /* (n_elements,) their names */
  const uint8_t* magnetic;     /* (n_elements,) */
  const double* virtual_scale; /* (n_elements,) η, Å/μ_B; 0 without virtual atoms */
  int64_t n_elements;
  double cutoff; /* Å, between atoms or from an atom to a virtual atom */
} spinpot_model_facts;

SPINPOT_API int spinpot_model_read(const char* path, spinpot_model** model);
SPINPOT_API void spinpot_model_free(spinpot_model* model);
SPINPOT_API int spinpot_model_facts_of(const spinpot_model* model, spinpot_model_facts* facts);

typedef struct {
  int64_t atoms, centres;
  const int64_t* types;
  const double *coord, *spin;
  const int32_t* const* candidates;
  const int32_t* n_candidates;
  int32_t mask;
} spinpot_cluster;

typedef struct {
  double *energy, *force, *force_mag, *virial, *atom_virial;
} spinpot_cluster_derivatives;

SPINPOT_API int spinpot_model_evaluate(spinpot_model* model, const spinpot_cluster* cluster,
                                       const spinpot_cluster_derivatives* out, int64_t threads);

SPINPOT_API int spinpot_normals(int64_t seed, int64_t step, int64_t purpose, const int64_t* ids, int64_t count,
                                int64_t width, double* out);

typedef struct {
  int64_t count;
  double angle, damping;
  const double* before;
  const double* field;
  double *middle, *after;
} spinpot_turn;

SPINPOT_API int spinpot_turn_spins(const spinpot_turn* turn, double* change);
}
#endif
