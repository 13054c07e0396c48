// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"example.org/logsoftmax"
	"example.org/logsoftmax/internal/exact"
	"example.org/logsoftmax/internal/testkit"
	"gonum.org/v1/gonum/mat"
)

// maxUlpSoftmaxGrad is what the documentation of SoftmaxGrad states.
const maxUlpSoftmaxGrad = 6

// TestAccuracySoftmaxGrad measures SoftmaxGrad in ulp of the larger of
// p·|u|·(1-p) and p times the sum of the other p·|u|.
func TestAccuracySoftmaxGrad(t *testing.T) {
	overall := 0.0
	rnd := rand.New(rand.NewPCG(4, 19))
	for _, upstream := range []struct {
		name string
		draw func() float64
	}{
		{"positive", func() float64 { return rnd.Float64() }},
		{"any sign", func() float64 { return rnd.NormFloat64() }},
		{"any size", func() float64 { return rnd.NormFloat64() * math.Exp(20*rnd.NormFloat64()) }},
		{"mostly zero", func() float64 { return math.Floor(1.2 * rnd.Float64()) }},
	} {
		t.Run(upstream.name, func(t *testing.T) {
			var worst witness
			for _, sd := range []float64{1e-3, 1, 3, 10, 100} {
				for _, cols := range []int{2, 3, 7, 10, 33, 70, 100} {
					rows := max((40+160*min(1, testkit.Long()))/cols, 2)
					x, u := mat.NewDense(rows, cols, nil), mat.NewDense(rows, cols, nil)
					for i := range rows {
						normal(sd)(rnd, x.RawRowView(i))
						for j := range cols {
							u.Set(i, j, upstream.draw())
						}
					}
					var logp, grad mat.Dense
					logsoftmax.LogSoftmax(&logp, x, 1)
					logsoftmax.SoftmaxGrad(&grad, &logp, u, 1)
					for i := range rows {
						want, unit := exact.SoftmaxGrad(logp.RawRowView(i), u.RawRowView(i))
						for j, g := range grad.RawRowView(i) {
							worst.see(exact.Error(g, want[j], unit[j]), g, logp.RawRowView(i), j, 0)
						}
					}
				}
			}
			t.Logf("%6.4f ulp: %v", worst.ulps, &worst)
			if !(worst.ulps <= maxUlpSoftmaxGrad) {
				t.Errorf("%v ulp is more than %v: log-probabilities %x, entry %d: %v",
					worst.ulps, maxUlpSoftmaxGrad, worst.row, worst.column, worst.got)
			}
			overall = max(overall, worst.ulps)
		})
	}
	holdStated(t, "SoftmaxGrad", "hard", maxUlpSoftmaxGrad, overall)
}

// TestSoftmaxGradConfident has rows whose other classes are next to impossible:
// nothing is left of 1 - p but what logp says of it.
func TestSoftmaxGradConfident(t *testing.T) {
	for _, gap := range []float64{10, 40, 100, 300, 700} {
		var logp, grad mat.Dense
		logsoftmax.LogSoftmax(&logp, mat.NewDense(1, 3, []float64{gap, 0, -1}), 1)
		u := mat.NewDense(1, 3, []float64{1, 2, -1})
		logsoftmax.SoftmaxGrad(&grad, &logp, u, 1)
		// p·(1-p) - p·Σ p·u of the others, with p = 1/(1+e+third).
		e, third := math.Exp(-gap), math.Exp(-gap-1)
		want := ((e + third) - (2*e - third)) / ((1 + e + third) * (1 + e + third))
		if got := grad.At(0, 0); !(math.Abs(got-want) <= 1e-12*e) {
			t.Errorf("the gradient at the certain class, %v ahead, is %v, want %v", gap, got, want)
		}
	}
}

func TestSoftmaxGradSpecial(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, test := range []struct {
		name          string
		logp, u, want []float64
	}{
		{"impossible class", []float64{-inf, math.Log(0.5), math.Log(0.5)}, []float64{3, 1, -1}, []float64{0, 0.5, -0.5}},
		{"impossible class with a NaN upstream", []float64{-inf, 0}, []float64{nan, 7}, []float64{0, 0}},
		{"impossible class with an infinite upstream", []float64{-800, 0}, []float64{inf, 7}, []float64{0, 0}},
		{"certain class with an infinite upstream", []float64{-inf, 0}, []float64{1, -inf}, []float64{0, nan}},
		{"single class", []float64{0}, []float64{-3}, []float64{0}},
		{"single class that is not certain", []float64{math.Log(0.5)}, []float64{4}, []float64{1}},
		{"NaN upstream", []float64{-1, -2, -inf}, []float64{1, nan, 1}, []float64{nan, nan, 0}},
		{"NaN among the log-probabilities", []float64{-1, nan, -inf}, []float64{1, 0, 1}, []float64{nan, nan, 0}},
		{"two certain classes", []float64{0, 0}, []float64{1, 2}, []float64{-2, -1}},
		{"more than certain", []float64{math.Log(2), -inf}, []float64{1, 2}, []float64{-2, 0}},
		{"nothing at all", []float64{-inf, -inf}, []float64{1, 2}, []float64{0, 0}},
		{"equal upstream", []float64{math.Log(0.25), math.Log(0.75)}, []float64{1, 1}, []float64{0, 0}},
	} {
		n := len(test.logp)
		for _, pad := range []int{0, 70} {
			// Padding by impossible classes does not change the others.
			logp, u := mat.NewDense(1, n+pad, nil), mat.NewDense(1, n+pad, nil)
			for j := range n + pad {
				logp.Set(0, j, -inf)
				if j < n {
					logp.Set(0, j, test.logp[j])
					u.Set(0, j, test.u[j])
				}
			}
			for dim, in := range []func(*mat.Dense) mat.Matrix{
				func(m *mat.Dense) mat.Matrix { return mat.DenseCopyOf(m.T()) },
				func(m *mat.Dense) mat.Matrix { return m },
			} {
				var grad mat.Dense
				logsoftmax.SoftmaxGrad(&grad, in(logp), in(u), dim)
				got := grad.RawMatrix().Data
				noMinusZero(t, test.name, got)
				for j := range got {
					want := 0.0
					if j < n {
						want = test.want[j]
					}
					if math.IsNaN(want) != math.IsNaN(got[j]) || math.Abs(got[j]-want) > 1e-15 {
						t.Errorf("%s, %d classes, dim %d: the gradient is %v, want %v", test.name, n+pad, dim, got[:n], test.want)
						break
					}
				}
			}
		}
	}
}

// TestSoftmaxGradDifferences compares with differences of Softmax and of the
// gradient of the cross-entropy, of which it is the product with the Hessian.
func TestSoftmaxGradDifferences(t *testing.T) {
	const rows, cols, h = 5, 6, 1e-5
	rnd := rand.New(rand.NewPCG(4, 20))
	draw := func() *mat.Dense {
		m := mat.NewDense(rows, cols, nil)
		normal(1)(rnd, m.RawMatrix().Data)
		return m
	}
	x, u := draw(), draw()
	target := []int{0, 3, 5, -100, 1}
	opts := &logsoftmax.Options{
		Weight:       []float64{1, 2, 0.5, 1, 3, 0.25},
		SampleWeight: []float64{1, 0.5, 2, 1, 3},
		Reduction:    logsoftmax.Sum,
	}
	moved := func(by float64) *mat.Dense {
		var m mat.Dense
		m.Scale(by, u)
		m.Add(&m, x)
		return &m
	}
	var logp, product, above, below mat.Dense
	for dim := range 2 {
		logsoftmax.LogSoftmax(&logp, x, dim)
		logsoftmax.SoftmaxGrad(&product, &logp, u, dim)
		logsoftmax.Softmax(&above, moved(h), dim)
		logsoftmax.Softmax(&below, moved(-h), dim)
		above.Sub(&above, &below)
		above.Scale(1/(2*h), &above)
		if !mat.EqualApprox(&product, &above, 1e-9) {
			t.Errorf("dim %d: the product is\n%v\nthe difference\n%v", dim, mat.Formatted(&product), mat.Formatted(&above))
		}
	}
	for i, y := range target {
		coefficient := 0.0
		if y >= 0 {
			coefficient = opts.Weight[y] * opts.SampleWeight[i]
		}
		for j := range cols {
			product.Set(i, j, coefficient*product.At(i, j))
		}
	}
	for to, by := range map[*mat.Dense]float64{&above: h, &below: -h} {
		if _, err := logsoftmax.CrossEntropyGrad(to, moved(by), target, opts); err != nil {
			t.Fatal(err)
		}
	}
	above.Sub(&above, &below)
	above.Scale(1/(2*h), &above)
	if !mat.EqualApprox(&product, &above, 1e-8) {
		t.Errorf("the product with the Hessian is\n%v\nthe difference of gradients\n%v", mat.Formatted(&product), mat.Formatted(&above))
	}
}

// TestLogSoftmaxGradInfinite has upstream gradients that are infinite or NaN above
// log-probabilities of all kinds, by every route.
func TestLogSoftmaxGradInfinite(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	kinds := []float64{-1, 0, -inf, nan, -800, -1e-300, 0.5}
	want := func(logp, u, sum float64) float64 {
		switch {
		case math.IsNaN(logp):
			return nan
		case logp <= -800:
			return u
		case math.IsNaN(sum) || math.IsInf(u, 0):
			return nan
		}
		return -sum
	}
	for _, shape := range []struct{ rows, cols int }{{1, 7}, {20, 7}, {3, 40}, {3, 70}, {2, 2100}} {
		for _, special := range [][]float64{{inf}, {-inf}, {nan}, {inf, inf}, {inf, -inf}, {-inf, nan}} {
			logp, u := mat.NewDense(shape.rows, shape.cols, nil), mat.NewDense(shape.rows, shape.cols, nil)
			for i := range shape.rows {
				for j := range shape.cols {
					logp.Set(i, j, kinds[(i+j)%len(kinds)])
					u.Set(i, j, float64((i+j)%3-1))
				}
				for k, v := range special {
					u.Set(i, (5*i+3*k)%shape.cols, v)
				}
			}
			var got, across mat.Dense
			logsoftmax.LogSoftmaxGrad(&got, logp, u, 1)
			logsoftmax.LogSoftmaxGrad(&across, mat.DenseCopyOf(logp.T()), mat.DenseCopyOf(u.T()), 0)
			for i := range shape.rows {
				sum := 0.0
				for _, v := range u.RawRowView(i) {
					sum += v
				}
				for j := range shape.cols {
					w := want(logp.At(i, j), u.At(i, j), sum)
					if g := got.At(i, j); !testkit.Identical(g, w) || !testkit.Identical(across.At(j, i), w) {
						t.Errorf("%d×%d, upstream with %v: logp %v and upstream %v have the gradient %v, down columns %v, want %v",
							shape.rows, shape.cols, special, logp.At(i, j), u.At(i, j), g, across.At(j, i), w)
					}
				}
			}
		}
	}
}
