// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

// Package testkit is what the tests of several packages share.
package testkit

import (
	"math"
	"math/rand/v2"
	"os"
	"strconv"
)

// Identical reports whether a and b have the same bits.
func Identical(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }

// Difference returns the first index at which a and b differ in a bit, or -1.
func Difference(a, b []float64) int {
	for i, v := range a {
		if !Identical(v, b[i]) {
			return i
		}
	}
	return -1
}

// Uniform returns a number in [-1, 1) with a full mantissa.
func Uniform(r *rand.Rand) float64 { return float64(int64(r.Uint64())) * 0x1p-63 }

func FillWith(x []float64, f func() float64) {
	for i := range x {
		x[i] = f()
	}
}

// NaNs are NaNs of either sign, quiet and signalling, with and without a
// payload.
var NaNs = []float64{
	math.NaN(),
	math.Float64frombits(0x7ff8000000000000),
	math.Float64frombits(0xfff8000000000000),
	math.Float64frombits(0x7ff0000000000001),
	math.Float64frombits(0xfff4000000000000),
	math.Float64frombits(0x7fffffffffffffff),
	math.Float64frombits(0xffffffffffffffff),
}

// Long returns how long tests that search or sweep are to take: 0, for all that
// is in a second or two, unless the environment variable LOGSOFTMAX_LONG asks for
// more. 1 is minutes, as .ci/run has it; from 2 on every shape of every kernel is
// tried, and 10 searches ten times as long.
func Long() int {
	n, err := strconv.Atoi(os.Getenv("LOGSOFTMAX_LONG"))
	if err != nil {
		return 0
	}
	return n
}
