// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"example.org/logsoftmax"
)

// guardedRows is a matrix of which only At is known, and some rows of which must
// not be read.
type guardedRows struct {
	*mat.Dense
	t      *testing.T
	closed func(row int) bool
}

func (g guardedRows) At(i, j int) float64 {
	if g.closed(i) {
		g.t.Errorf("row %d is read", i)
	}
	return g.Dense.At(i, j)
}

// TestIgnoredRows: what a row that does not count holds is in no result, and
// nobody asks a matrix for it.
func TestIgnoredRows(t *testing.T) {
	r := rand.New(rand.NewPCG(71, 72))
	for _, size := range [][2]int{{1, 2}, {7, 2}, {70, 3}, {64, 10}, {9, 64}, {9, 65}, {5, 2100}} {
		rows, cols := size[0], size[1]
		d := drawing{r, rows, cols}
		clean, target, soft := d.normal(3), make([]int, rows), mat.NewDense(rows, cols, nil)
		sample := make([]float64, rows)
		closed := make([]bool, rows)
		dirty, dirtySoft := mat.DenseCopyOf(clean), soft
		for i := range rows {
			target[i], sample[i] = r.IntN(cols), 1+r.Float64()
			soft.Set(i, target[i], 0.75)
			switch i % 3 {
			case 0:
				target[i], closed[i] = -100, true
			case 1:
				closed[i] = r.IntN(2) == 0
			}
		}
		dirtySoft = mat.DenseCopyOf(soft)
		for i := range rows {
			if !closed[i] {
				continue
			}
			if target[i] >= 0 {
				sample[i] = 0
			}
			for j := range cols {
				bad := []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e308}[r.IntN(4)]
				dirty.Set(i, j, bad)
				dirtySoft.Set(i, j, bad)
			}
		}
		softSample := make([]float64, rows)
		for i := range rows {
			if !closed[i] {
				softSample[i] = sample[i]
			}
		}
		for _, opts := range []logsoftmax.Options{{}, {LabelSmoothing: 0.25}} {
			opts.SampleWeight = sample
			for name, f := range map[string]func(dst *mat.Dense, x, q mat.Matrix) (logsoftmax.Loss, error){
				"CrossEntropyGrad": func(dst *mat.Dense, x, _ mat.Matrix) (logsoftmax.Loss, error) {
					return logsoftmax.CrossEntropyGrad(dst, x, target, &opts)
				},
				"SoftCrossEntropyGrad": func(dst *mat.Dense, x, q mat.Matrix) (logsoftmax.Loss, error) {
					opts := opts
					opts.SampleWeight = softSample
					return logsoftmax.SoftCrossEntropyGrad(dst, x, q, &opts)
				},
			} {
				var want mat.Dense
				wantLoss, err := f(&want, clean, soft)
				if err != nil {
					t.Fatal(err)
				}
				shut := func(i int) bool { return closed[i] }
				for layout, in := range map[string][2]mat.Matrix{
					"dense":   {dirty, dirtySoft},
					"foreign": {guardedRows{dirty, t, shut}, guardedRows{dirtySoft, t, shut}},
				} {
					var got mat.Dense
					loss, err := f(&got, in[0], in[1])
					if err != nil || loss != wantLoss {
						t.Errorf("%s of %d×%d, %s: %v, %v, want %v", name, rows, cols, layout, loss, err, wantLoss)
					}
					for i := range rows {
						for j := range cols {
							v, w := got.At(i, j), want.At(i, j)
							if closed[i] {
								w = 0
							}
							if math.Float64bits(v) != math.Float64bits(w) {
								t.Fatalf("%s of %d×%d, %s: gradient (%d, %d) is %v, want %v", name, rows, cols, layout, i, j, v, w)
							}
						}
					}
				}
			}
		}
	}
}

// TestFarWeights: a weight so large or small that it cannot be joined to what
// makes probabilities of terms multiplies the probability that Softmax returns.
func TestFarWeights(t *testing.T) {
	r := rand.New(rand.NewPCG(73, 74))
	far := []float64{1, 1e300, 5e-324, -1e250, 1e-200, 0, -3e-310}
	for _, size := range [][2]int{{1, 2}, {7, 5}, {70, 3}, {16, 64}, {9, 65}} {
		rows, cols := size[0], size[1]
		x := drawing{r, rows, cols}.normal(1)
		target, sample := make([]int, rows), make([]float64, rows)
		for i := range rows {
			target[i], sample[i] = r.IntN(cols), far[r.IntN(len(far))]
			if i%4 == 0 {
				// Probabilities down to nothing.
				x.Set(i, (target[i]+1)%cols, -300)
			}
		}
		var p, dst mat.Dense
		logsoftmax.Softmax(&p, x, 1)
		if _, err := logsoftmax.CrossEntropyGrad(&dst, x, target, &logsoftmax.Options{SampleWeight: sample, Reduction: logsoftmax.Sum}); err != nil {
			t.Fatal(err)
		}
		for i := range rows {
			for j := range cols {
				want := float64(p.At(i, j)*sample[i]) + 0
				if j == target[i] || p.At(i, j) > 0.9 {
					continue
				}
				if got := dst.At(i, j); math.Float64bits(got) != math.Float64bits(want) {
					t.Errorf("%d×%d: gradient (%d, %d) with weight %v is %v, want %v", rows, cols, i, j, sample[i], got, want)
				}
			}
		}
	}
}
