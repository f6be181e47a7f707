// Matrices of f32, row-major. Storage (Matrix) and views (MatrixView, MutableMatrixView) are
// different types: a view never owns, storage never copies silently. Values; a view may be read
// from any thread while nobody writes what it shows.
#pragma once

#include <cstddef>
#include <cstring>

#include "codec/base/aligned_buffer.h"
#include "codec/base/check.h"

namespace spolia::engine {

// rows x columns of T; row r starts at data + r * stride (in elements).
template <typename T>
class BasicMatrixView {
 public:
  BasicMatrixView() = default;
  BasicMatrixView(T* data, size_t rows, size_t columns)
      : BasicMatrixView(data, rows, columns, columns) {}
  BasicMatrixView(T* data, size_t rows, size_t columns, size_t stride)
      : data_(data), rows_(rows), columns_(columns), stride_(stride) {
    SPOLIA_DCHECK(stride >= columns);
  }
  // A writable view can be read.
  operator BasicMatrixView<const T>() const { return {data_, rows_, columns_, stride_}; }

  T* data() const { return data_; }
  size_t rows() const { return rows_; }
  size_t columns() const { return columns_; }
  size_t stride() const { return stride_; }
  bool empty() const { return rows_ == 0 || columns_ == 0; }
  T* row(size_t index) const {
    SPOLIA_DCHECK(index < rows_);
    return data_ + index * stride_;
  }
  T& at(size_t row, size_t column) const {
    SPOLIA_DCHECK(row < rows_ && column < columns_);
    return data_[row * stride_ + column];
  }
  // `count` rows from `first`.
  BasicMatrixView rowRange(size_t first, size_t count) const {
    SPOLIA_DCHECK(first + count <= rows_);
    return {data_ + first * stride_, count, columns_, stride_};
  }
  // `count` columns from `first`.
  BasicMatrixView columnRange(size_t first, size_t count) const {
    SPOLIA_DCHECK(first + count <= columns_);
    return {data_ + first, rows_, count, stride_};
  }

 private:
  T* data_ = nullptr;
  size_t rows_ = 0;
  size_t columns_ = 0;
  size_t stride_ = 0;
};

using MatrixView = BasicMatrixView<const float>;
using MutableMatrixView = BasicMatrixView<float>;

// Owns rows x columns floats, contiguous (stride = columns), 4 KiB aligned. Moves; views of it stay
// valid when it is moved.
class Matrix {
 public:
  Matrix() = default;
  // Not initialised.
  Matrix(size_t rows, size_t columns)
      : buffer_(rows * columns * sizeof(float)), rows_(rows), columns_(columns) {}
  static Matrix zeroed(size_t rows, size_t columns) {
    Matrix matrix(rows, columns);
    if (!matrix.empty()) std::memset(matrix.data(), 0, matrix.buffer_.size());
    return matrix;
  }
  // A deep copy.
  static Matrix copyOf(const MatrixView& source) {
    Matrix matrix(source.rows(), source.columns());
    for (size_t r = 0; r < source.rows(); ++r) {
      std::memcpy(matrix.row(r), source.row(r), source.columns() * sizeof(float));
    }
    return matrix;
  }

  float* data() { return reinterpret_cast<float*>(buffer_.data()); }
  const float* data() const { return reinterpret_cast<const float*>(buffer_.data()); }
  size_t rows() const { return rows_; }
  size_t columns() const { return columns_; }
  bool empty() const { return rows_ == 0 || columns_ == 0; }
  float* row(size_t index) { return mutableView().row(index); }
  const float* row(size_t index) const { return view().row(index); }
  float& at(size_t row, size_t column) { return mutableView().at(row, column); }
  float at(size_t row, size_t column) const { return view().at(row, column); }

  MatrixView view() const { return {data(), rows_, columns_}; }
  MutableMatrixView mutableView() { return {data(), rows_, columns_}; }

 private:
  AlignedBuffer buffer_;
  size_t rows_ = 0;
  size_t columns_ = 0;
};

}  // namespace spolia::engine
