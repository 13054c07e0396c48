// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

import "math"

// A Factor is a matrix operand of Product, with entry (i, k) at
// Data[i*Row+k*Step]: of whatever order and stride.
type Factor struct {
	Data      []float64
	Row, Step int
}

// at returns the factor from entry (i, k) on.
func (a Factor) at(i, k int) Factor {
	a.Data = a.Data[i*a.Row+k*a.Step:]
	return a
}

// Rows are the rows of a matrix, of any number and length.
type Rows struct {
	Data   []float64
	Stride int
}

// row returns n entries of row i.
func (r Rows) row(i, n int) []float64 { return r.Data[i*r.Stride:][:n] }

// at returns the rows from entry (i, j) on.
func (r Rows) at(i, j int) Rows {
	r.Data = r.Data[min(i*r.Stride+j, len(r.Data)):]
	return r
}

// Product sets dst, rows by cols, to the product of a, rows by n, and b, n by
// cols, plus an addend for each row where plus is not nil. Every entry is a
// chain of fused multiply-adds in the order of k,
//
//	s = 0, or dst[i,j] with onto
//	s = a[i,k]·b[k,j] + s, rounded once, for k = 0, 1, … n-1
//	dst[i,j] = s + plus[i]
//
// so that its bits depend on what goes into it alone: however the work is
// split over rows, columns, or with onto over k, by lanes or by goroutines.
// It is the one NaN if it is any, and not -0 unless plus[i] is. The addends must
// be as many as the rows, and dst must not overlap what is read.
func Product(dst Rows, rows, cols int, a Factor, b Rows, n int, plus []float64, onto bool) {
	for j := 0; j < cols; j += PieceLen {
		width := min(PieceLen, cols-j)
		for k := 0; k == 0 || k < n; k += stepsAtOnce {
			steps, addends := min(stepsAtOnce, n-k), []float64(nil)
			if k+steps == n {
				addends = plus
			}
			productSteps(dst.at(0, j), rows, width, a.at(0, k), b.at(k, j), steps, addends, onto || k > 0)
		}
	}
}

// stepsAtOnce is how many steps of a chain a tile does before it is stored: a
// kernel cannot be preempted.
const stepsAtOnce = 1024

// productGo is Product.
func productGo(dst Rows, rows, cols int, a Factor, b Rows, n int, plus []float64, onto bool) {
	for i := range rows {
		to := dst.Data[i*dst.Stride:][:cols]
		if !onto {
			clear(to)
		}
		for k := range n {
			left := a.Data[i*a.Row+k*a.Step]
			for j, right := range b.Data[k*b.Stride:][:cols] {
				to[j] = math.FMA(left, right, to[j])
			}
		}
		addend := 0.0
		if plus != nil {
			addend = plus[i]
		}
		for j, s := range to {
			if s += addend; s != s {
				s = NaN
			}
			to[j] = s
		}
	}
}
