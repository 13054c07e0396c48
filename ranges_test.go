// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax_test

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"example.org/logsoftmax"
	"example.org/logsoftmax/internal/exact"
	"gonum.org/v1/gonum/mat"
)

// A rangeCase has options or targets far from 1, of which losses and gradients
// are compared with exact arithmetic.
type rangeCase struct {
	name    string
	classes int
	rows    [][]float64 // logits
	target  []int
	soft    [][]float64
	opts    logsoftmax.Options
}

func rangeCases() []rangeCase {
	zeros, two := [][]float64{{0, 0}, {0, 0}}, []int{0, 1}
	some := [][]float64{{1, -2, 0.5}, {0, 3, -700}, {-5, 2, 2}}
	three := []int{0, 2, 1}
	distributions := func(scale float64) [][]float64 {
		return [][]float64{{scale, scale, 0}, {scale, scale / 4, scale}, {0, 0, scale}}
	}
	cases := []rangeCase{
		{"sample weights whose sum overflows", 2, zeros, two, nil, logsoftmax.Options{SampleWeight: []float64{1e308, 1e308}}},
		{"the same, smoothed", 2, zeros, two, nil, logsoftmax.Options{SampleWeight: []float64{1e308, 1e308}, LabelSmoothing: 0.1}},
		{"the same of distributions", 3, [][]float64{{1, 2, 3}, {0, 0.5, -0.25}, {2, 2, 1}}, nil, distributions(0.01), logsoftmax.Options{SampleWeight: []float64{1e308, 1e308, 1e307}}},
		{"targets whose sum overflows", 2, zeros, nil, [][]float64{{1e308, 1e308}, {1, 1e308}}, logsoftmax.Options{SampleWeight: []float64{1, 1e-5}}},
		{"and their product with weights", 3, some, nil, distributions(1e308), logsoftmax.Options{Weight: []float64{2, 1e5, 3}, SampleWeight: []float64{1e-20, 1e-30, 1e-10}}},
		{"small weights and a smaller smoothing", 3, some, three, nil, logsoftmax.Options{Weight: []float64{1e-15, 2e-15, 5e-15}, LabelSmoothing: 1e-300}},
		{"the smallest smoothing", 3, some, three, nil, logsoftmax.Options{LabelSmoothing: 5e-324}},
		{"large weights, small sample weights", 3, some, three, nil, logsoftmax.Options{Weight: []float64{1e307, 1e306, 5e307}, SampleWeight: []float64{1e-4, 1e-3, 1e-3}, LabelSmoothing: 0.5}},
		{"large weights of distributions", 3, some, nil, distributions(0.5), logsoftmax.Options{Weight: []float64{1e307, 1e306, 1.5e308}, SampleWeight: []float64{1e-4, 1e-3, 1e-3}}},
		{"weights far apart", 3, some, three, nil, logsoftmax.Options{Weight: []float64{1e-300, 1, 1e300}}},
		{"weights far apart, smoothed", 3, some, three, nil, logsoftmax.Options{Weight: []float64{1e-200, 1, 1e200}, LabelSmoothing: 1e-10}},
		{"small weights of both kinds", 3, some, three, nil, logsoftmax.Options{Weight: []float64{1e-150, 1e-151, 1e-149}, SampleWeight: []float64{1e-150, 1e-152, 1e-150}, LabelSmoothing: 0.1}},
	}
	return cases
}

// exactRange returns the exact losses, Loss.Weight and gradients of a case, and
// what the errors of the last are measured by.
func (c *rangeCase) exact() (losses []*big.Float, mean *big.Float, grads, units [][]*big.Float) {
	at := func(x []float64, i int) float64 {
		if x == nil {
			return 1
		}
		return x[i]
	}
	weight, sum := exact.New(), exact.New()
	for i, x := range c.rows {
		target := exact.OneHot(c.classes, 0)
		s := exact.Float(at(c.opts.SampleWeight, i))
		if c.soft != nil {
			target = c.soft[i]
			weight.Add(weight, s)
		} else {
			target = exact.OneHot(c.classes, c.target[i])
			weight.Add(weight, exact.New().Mul(s, exact.Float(at(c.opts.Weight, c.target[i]))))
		}
		row := exact.NewRow(x)
		q := exact.Coefficients(target, c.opts.Weight, c.opts.LabelSmoothing)
		loss := row.Loss(q)
		losses = append(losses, loss.Mul(loss, s))
		sum.Add(sum, loss)
		grad, unit := row.Grad(q)
		for j := range grad {
			grad[j] = exact.New().Mul(grad[j], s)
			unit[j] = exact.New().Mul(unit[j], s)
		}
		grads, units = append(grads, grad), append(units, unit)
	}
	for i := range grads {
		for j := range grads[i] {
			grads[i][j].Quo(grads[i][j], weight)
			units[i][j].Quo(units[i][j], weight)
		}
	}
	return losses, sum.Quo(sum, weight), grads, units
}

// TestRanges holds losses and gradients where a number on the way to them would
// leave the range of a float64.
func TestRanges(t *testing.T) {
	for _, c := range rangeCases() {
		x := mat.NewDense(len(c.rows), c.classes, nil)
		for i, row := range c.rows {
			x.SetRow(i, row)
		}
		var soft *mat.Dense
		if c.soft != nil {
			soft = mat.NewDense(len(c.rows), c.classes, nil)
			for i, row := range c.soft {
				soft.SetRow(i, row)
			}
		}
		losses, mean, grads, units := c.exact()
		check := func(what string, each []float64, loss logsoftmax.Loss, grad *mat.Dense, err error) {
			t.Helper()
			if err != nil {
				t.Errorf("%s: %s: %v", c.name, what, err)
				return
			}
			for i, l := range each {
				if ulps := exact.Error(l, losses[i], losses[i]); !(ulps <= 8) {
					want, _ := losses[i].Float64()
					t.Errorf("%s: %s: the loss of row %d is %v, want %v", c.name, what, i, l, want)
				}
			}
			if ulps := exact.Error(loss.Mean(), mean, mean); !(ulps <= 8) {
				want, _ := mean.Float64()
				t.Errorf("%s: %s: the mean is %v, want %v", c.name, what, loss.Mean(), want)
			}
			for i := range grads {
				for j, want := range grads[i] {
					got := grad.At(i, j)
					if ulps := exact.Error(got, want, units[i][j]); !(ulps <= 12) {
						w, _ := want.Float64()
						t.Errorf("%s: %s: the gradient at %d, %d is %v, want %v: %v ulp", c.name, what, i, j, got, w, ulps)
					}
				}
			}
		}
		var grad mat.Dense
		if soft != nil {
			each, err := logsoftmax.SoftCrossEntropyEach(nil, x, soft, &c.opts)
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			loss, err := logsoftmax.SoftCrossEntropyGrad(&grad, x, soft, &c.opts)
			check("SoftCrossEntropy", each, loss, &grad, err)
			// In place, as one of many rows, and as columns of a transpose.
			_, err = logsoftmax.SoftCrossEntropyGrad(soft, mat.DenseCopyOf(x.T()).T(), soft, &c.opts)
			check("SoftCrossEntropy in place", each, loss, soft, err)
			continue
		}
		each, err := logsoftmax.CrossEntropyEach(nil, x, c.target, &c.opts)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		loss, err := logsoftmax.CrossEntropyGrad(&grad, x, c.target, &c.opts)
		check("CrossEntropy", each, loss, &grad, err)
		var logp, nllGrad, chained mat.Dense
		logsoftmax.LogSoftmax(&logp, x, 1)
		nllEach, err := logsoftmax.NLLEach(nil, &logp, c.target, &c.opts)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		nll, err := logsoftmax.NLLGrad(&nllGrad, &logp, c.target, &c.opts)
		logsoftmax.LogSoftmaxGrad(&chained, &logp, &nllGrad, 1)
		check("NLL", nllEach, nll, &chained, err)
		identity := mat.NewDense(c.classes, c.classes, nil)
		for k := range c.classes {
			identity.Set(k, k, 1)
		}
		var linear mat.Dense
		loss, err = logsoftmax.LinearCrossEntropyGrad(logsoftmax.LinearGrad{X: &linear}, x, identity, nil, c.target, &c.opts)
		check("LinearCrossEntropy", each, loss, &linear, err)
		x = mat.DenseCopyOf(x)
		_, err = logsoftmax.CrossEntropyGrad(x, x, c.target, &c.opts)
		check("CrossEntropy in place", each, loss, x, err)
	}
}

// TestBeyondRange has what no power of two brings into range.
func TestBeyondRange(t *testing.T) {
	x := mat.NewDense(2, 2, nil)
	for name, call := range map[string]func() error{
		"Weight": func() error {
			_, err := logsoftmax.CrossEntropy(x, []int{0, 1}, &logsoftmax.Options{Weight: []float64{1, 1e-200}, SampleWeight: []float64{1, 1e-200}})
			return err
		},
		"Weight ": func() error {
			_, err := logsoftmax.NLL(x, []int{0, 1}, &logsoftmax.Options{Weight: []float64{1, 1e200}, SampleWeight: []float64{1, 1e200}})
			return err
		},
		"Weight  ": func() error {
			_, err := logsoftmax.SoftCrossEntropy(x, mat.NewDense(2, 2, []float64{1, 1, 1, 1e200}), &logsoftmax.Options{Weight: []float64{1, 1e200}})
			return err
		},
		"LabelSmoothing": func() error {
			_, err := logsoftmax.CrossEntropy(x, []int{0, 1}, &logsoftmax.Options{Weight: []float64{1e-300, 1e300}, LabelSmoothing: 1e-100})
			return err
		},
	} {
		var bad *logsoftmax.ValueError
		if err := call(); !errors.As(err, &bad) || !(bad.Value > 0 && bad.Value <= math.MaxFloat64) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	// An ignored row and one of no weight are not looked at.
	opts := &logsoftmax.Options{Weight: []float64{1, 1e-200}, SampleWeight: []float64{1, 1e-200}, Ignore: []int{1}}
	if _, err := logsoftmax.CrossEntropy(x, []int{0, 1}, opts); err != nil {
		t.Error(err)
	}
	// A logit of -Inf that has any share of the target, however small.
	x.Set(0, 1, math.Inf(-1))
	loss, err := logsoftmax.CrossEntropy(x, []int{0, 1}, &logsoftmax.Options{LabelSmoothing: 5e-324})
	if err != nil || !math.IsInf(loss.Sum, 1) {
		t.Errorf("a logit of -Inf with the smallest smoothing: %v, %v", loss, err)
	}
}
