#pragma once

/// \file
/// How many threads the library works on.

namespace wengert {

/// How many threads large matrix products and the large loops of captured programs are spread over, the
/// caller's included. To begin with as many as OpenBLAS would use: OPENBLAS_NUM_THREADS where that is set,
/// else one a core. Results do not depend on it, to the bit; but the last bit of a product may where that has
/// fewer than 48 rows a thread.
int num_threads();

/// Sets that number; it holds from the next operation on, in all threads of the process. OpenBLAS itself is
/// kept at one thread, because products are cut into pieces here: two pools would fight over the cores.
/// Throws ValueError below 1.
///
///     set_num_threads(1);  // several models side by side, each in a thread of the program's own
void set_num_threads(int count);

}  // namespace wengert
