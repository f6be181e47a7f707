// What learning a profile needs of LAPACK: eigenvectors and least squares, of symmetric matrices.
// Pure functions; any thread.
#pragma once

#include <vector>

#include "codec/base/result.h"
#include "engine/kernels/matrix.h"

namespace spolia::engine {

// The transpose.
Matrix turned(const MatrixView& in);

// Puts the eigenvectors of a symmetric matrix into its rows and gives the eigenvalues, both
// ascending. kInternal when it does not converge.
Result<std::vector<float>> decompose(Matrix& symmetric);

// Solves (a + ridge * mean diagonal of a) x = b, a symmetric and not negative definite, for each
// row of `b`, which x replaces. `a` is used up. kInternal when the matrix is singular.
Status solveRows(Matrix& a, double ridge, Matrix& b);

}  // namespace spolia::engine
