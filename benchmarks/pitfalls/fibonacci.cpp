// Redundant work: the first 10,000 Fibonacci numbers, exactly; each computed from scratch, or from the two before.
// SPDX-License-Identifier: MIT
#include <gmpxx.h>
#include <omp.h>

#include "benchmarks/pitfalls/table.hpp"

namespace noisefloor {
namespace {

constexpr int kNumbers = 10'000;

/// What is kept of one number: both its ends and its length. Cheap, so that the additions are what is timed.
Answer digest_of(int index, const mpz_class& number) {
  const std::size_t limbs = mpz_size(number.get_mpz_t());
  if (limbs == 0) return 0;
  const Answer low = mpz_getlimbn(number.get_mpz_t(), 0);
  const Answer high = mpz_getlimbn(number.get_mpz_t(), static_cast<mp_size_t>(limbs - 1));
  return (low + 3 * high + limbs) * static_cast<Answer>(2 * index + 1);
}

// variant: scratch_all scratch_one
mpz_class from_scratch(int index) {
  mpz_class a = 0, b = 1;
  for (int i = 0; i < index; ++i) {
    a += b;
    swap(a, b);
  }
  return a;
}
// end

// variant: scratch_all
Answer scratch_all(Bench& bench) {
  Answer sum = 0;
#pragma omp parallel for num_threads(bench.workers) schedule(dynamic, 16) reduction(+ : sum)
  for (int i = 0; i < kNumbers; ++i) sum += digest_of(i, from_scratch(i));
  return sum;
}
// end

// variant: scratch_one
Answer scratch_one(Bench&) {
  Answer sum = 0;
  for (int i = 0; i < kNumbers; ++i) sum += digest_of(i, from_scratch(i));
  return sum;
}
// end

// variant: shared_prefix
Answer shared_prefix(Bench&) {
  Answer sum = 0;
  mpz_class a = 0, b = 1;
  for (int i = 0; i < kNumbers; ++i) {
    sum += digest_of(i, a);
    a += b;
    swap(a, b);
  }
  return sum;
}
// end

// variant: fast_doubling
mpz_class doubled(int index) {  // F(2k) = F(k) (2 F(k+1) - F(k)), F(2k+1) = F(k)² + F(k+1)²
  mpz_class a = 0, b = 1;
  for (int bit = 13; bit >= 0; --bit) {  // 10,000 < 2^14
    mpz_class even = a * (2 * b - a);
    mpz_class odd = a * a + b * b;
    if ((index >> bit & 1) != 0) {
      a = odd;
      b = even + odd;
    } else {
      a = even;
      b = odd;
    }
  }
  return a;
}

Answer fast_doubling(Bench&) {
  Answer sum = 0;
  for (int i = 0; i < kNumbers; ++i) sum += digest_of(i, doubled(i));
  return sum;
}
// end

constexpr Variant kVariants[] = {
    {.name = "scratch_all",
     .role = Role::bad,
     .help = "each from scratch, on all workers",
     .run = scratch_all,
     .iterations = 1},
    {.name = "scratch_one",
     .role = Role::reference,
     .help = "each from scratch, on one worker",
     .run = scratch_one,
     .iterations = 1},
    {.name = "fast_doubling",
     .role = Role::reference,
     .help = "each by itself in 14 steps, on one worker",
     .run = fast_doubling},
    {.name = "shared_prefix",
     .role = Role::good,
     .help = "each from the two before it, on one worker",
     .run = shared_prefix},
};

}  // namespace

constexpr Pitfall kFibonacci{
    .name = "fibonacci",
    .title = "Redundant work, in parallel",
    .lesson = "Sharing the work among cores divides it by their number; not doing it again divides it by thousands.",
    .harm = Harm::slow,
    .measure = "wall_ns",
    .least = 1500,
    .most = 2800,
    .source = "the same four programs with GMP, prefix against scratch on two cores and on one, 2-core Zen 5 guest",
    .advice =
        "Compare a parallel program with the best sequential one, not with its own first version: look for what tasks "
        "share, compute that once, and only then divide what is left.",
    .variants = kVariants,
    .tempting = "scratch_one",
};

}  // namespace noisefloor
