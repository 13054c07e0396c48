// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax_test

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"example.org/logsoftmax"
	"example.org/logsoftmax/internal/exact"
)

// Inputs that once broke a stated bound, each of a kind that the searches now
// go through.

// rowOf returns n entries, those of first and then all of the same value.
func rowOf(n int, other float64, first ...float64) []float64 {
	row := make([]float64, n)
	for j := range row {
		row[j] = other
	}
	copy(row, first)
	return row
}

func TestProbabilityBetweenChunks(t *testing.T) {
	x := rowOf(2049, math.Inf(-1), -0x1.70fb9992dae5p-08, -0x1.0a1b52acb4e37p+05)
	x[2048] = 0x1.01db776af3da1p+09
	row := exact.NewRow(x)
	var p, grad mat.Dense
	logsoftmax.Softmax(&p, mat.NewDense(1, len(x), x), 1)
	if _, err := logsoftmax.CrossEntropyGrad(&grad, mat.NewDense(1, len(x), x), []int{2048}, nil); err != nil {
		t.Fatal(err)
	}
	for j := range 2 {
		for name, got := range map[string]float64{"probability": p.At(0, j), "gradient": grad.At(0, j)} {
			ulps := exact.Error(got, row.Prob[j], row.Prob[j])
			t.Logf("%s %d: %.4f ulp", name, j, ulps)
			if !(ulps <= maxUlpProb) {
				t.Errorf("%s %d is off by %v ulp, more than %v", name, j, ulps, float64(maxUlpProb))
			}
		}
	}
}
