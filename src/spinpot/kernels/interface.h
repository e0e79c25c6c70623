/* The C interface of spinpot's kernels: plain arrays in, plain arrays out.

   Every function that can fail returns 0, or a number above 0 and leaves a text for spinpot_error. Arrays are
   contiguous, row by row. Integers have 64 bits unless said otherwise. Lengths are in Å, energies in eV, spins in μ_B.
   `threads` is how many threads a call may use, the caller's own among them. */

#ifndef SPINPOT_INTERFACE_H
#define SPINPOT_INTERFACE_H

#include <stdint.h>

#if defined(__GNUC__)
#define SPINPOT_API __attribute__((visibility("default")))
#else
#define SPINPOT_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The last error of the calling thread, valid until its next call. */
SPINPOT_API const char* spinpot_error(void);

/* 0 if the numbers of `count` (float64, or float32 where `single` is not 0) are all finite, else 1. */
SPINPOT_API int spinpot_all_finite(const void* numbers, int64_t count, int single);

#ifdef __cplusplus
}
#endif

#endif
