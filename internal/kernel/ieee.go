// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

// TwoSum returns a+b rounded and what the rounding lost, exactly (Knuth). For
// infinities and NaN, sum is theirs and rest is NaN.
func TwoSum(a, b float64) (sum, rest float64) {
	sum = a + b
	c := sum - a
	return sum, (a - (sum - c)) + (b - c)
}

// fastTwoSum is TwoSum for |a| ≥ |b| or a = 0 (Dekker).
func fastTwoSum(a, b float64) (sum, rest float64) {
	sum = a + b
	return sum, b - (sum - a)
}

// IsFinite reports whether x is neither infinite nor NaN.
func IsFinite(x float64) bool {
	return x-x == 0
}

// Canonical returns x, with the package's one NaN for any NaN and +0 for -0.
func Canonical(x float64) float64 {
	switch {
	case x != x:
		return NaN
	case x == 0:
		return 0
	}
	return x
}
