// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax_test

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"example.org/logsoftmax"
	"example.org/logsoftmax/internal/exact"
	"example.org/logsoftmax/internal/testkit"
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

// softGradErrors returns the errors of the gradient for a distribution, in ulp
// of the larger of the terms that are subtracted, and with a label in place of
// target the same of the gradient for that.
func softGradErrors(t *testing.T, x, target []float64, y int, opts logsoftmax.Options) []float64 {
	t.Helper()
	opts.Reduction = logsoftmax.Sum
	var grad mat.Dense
	logits := mat.NewDense(1, len(x), x)
	var err error
	if target != nil {
		_, err = logsoftmax.SoftCrossEntropyGrad(&grad, logits, mat.NewDense(1, len(x), target), &opts)
	} else {
		_, err = logsoftmax.CrossEntropyGrad(&grad, logits, []int{y}, &opts)
		target = exact.OneHot(len(x), y)
	}
	if err != nil {
		t.Fatal(err)
	}
	row := exact.NewRow(x)
	want, larger := row.Grad(exact.Coefficients(target, opts.Weight, opts.LabelSmoothing))
	errors := make([]float64, len(x))
	for j, g := range grad.RawRowView(0) {
		errors[j] = exact.Error(g, want[j], larger[j])
	}
	return errors
}

func TestGradientOfDominantCoefficients(t *testing.T) {
	const classes = 50257
	third := rowOf(classes, float64(1./3*1e-20), 1)
	for _, c := range []struct {
		name      string
		x, target []float64
		opts      logsoftmax.Options
		bound     float64
	}{
		{"50257 classes", rowOf(classes, 0, 200), rowOf(classes, 0x1.35c5adde837d2p-70, 1), logsoftmax.Options{}, maxUlpSoftGrad},
		{"2048 classes", rowOf(2048, 0, 200), rowOf(2048, 0x1.fe7d55f485981p-70, 1), logsoftmax.Options{}, maxUlpSoftGrad},
		{"1000 classes", rowOf(1000, 0, 200), rowOf(1000, 0x1.0524dece5a96p-70, 1), logsoftmax.Options{}, maxUlpSoftGrad},
		{"64 classes", rowOf(64, 0, 200), rowOf(64, 0x1.35c5adde837d2p-70, 1), logsoftmax.Options{}, maxUlpSoftGrad},
		{"smoothed distribution", rowOf(classes, 0, 120), rowOf(classes, 0, 1), logsoftmax.Options{LabelSmoothing: 1e-14}, maxUlpSmoothGrad},
		{"smoothed distribution, 4096 classes", rowOf(4096, 0, 120), rowOf(4096, 0, 1), logsoftmax.Options{LabelSmoothing: 1e-14}, maxUlpSmoothGrad},
		{"smoothed label", rowOf(classes, 0, 120), nil, logsoftmax.Options{LabelSmoothing: 1e-14}, maxUlpSmoothGrad},
		{"smoothed label, weights", rowOf(classes, 0, 120), nil, logsoftmax.Options{LabelSmoothing: 0.1, Weight: third}, maxUlpSmoothGrad},
		{"smoothed label, weights, 60 classes", rowOf(60, 0, 120), nil, logsoftmax.Options{LabelSmoothing: 0.1, Weight: third[:60]}, maxUlpSmoothGrad},
	} {
		t.Run(c.name, func(t *testing.T) {
			worst, at := 0.0, 0
			for j, ulps := range softGradErrors(t, c.x, c.target, 0, c.opts) {
				if ulps > worst {
					worst, at = ulps, j
				}
			}
			t.Logf("%.4f ulp, entry %d", worst, at)
			if !(worst <= c.bound) {
				t.Errorf("entry %d is off by %v ulp, more than %v", at, worst, c.bound)
			}
		})
	}
}

func TestLogSoftmaxGradCases(t *testing.T) {
	for _, c := range []struct {
		name       string
		logp, x, u []float64
	}{
		{"two classes", nil, []float64{-0x1.958b0d91870aep-02, -0x1.3a7a5b019ba0ep+00}, []float64{-0x1.8a1413a44ad69p+01, 0x1.0fa452ab75413p+00}},
		{"free log-probabilities", []float64{-0x1.f7c9639775c3cp-05, -0x1.89076207fbefbp+01, -0x1.35c0b9f397bdfp-01}, nil, []float64{0x1.0610f41dc5f6p+05, -0x1.f49a8afba6f4fp+00, -0x1.3d93602397acp-03}},
		{"dominant upstream", nil, rowOf(50257, 0, 200), rowOf(50257, -0x1.35c5adde837d2p-70, -1)},
		{"dominant upstream, 64 classes", nil, rowOf(64, 0, 200), rowOf(64, -0x1.35c5adde837d2p-70, -1)},
		{"dominant upstream, 1000 classes", nil, rowOf(1000, 0, 200), rowOf(1000, -0x1.0524dece5a96p-70, -1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if testkit.Long() == 0 && len(c.u) > 10_000 {
				t.Skip("a single row that takes seconds: set LOGSOFTMAX_LONG=1")
			}
			logp := c.logp
			if logp == nil {
				var y mat.Dense
				logsoftmax.LogSoftmax(&y, mat.NewDense(1, len(c.x), c.x), 1)
				logp = y.RawRowView(0)
			}
			want, unit := exact.LogSoftmaxGrad(logp, c.u)
			for dim := range 2 {
				l, u := mat.NewDense(1, len(logp), logp), mat.NewDense(1, len(logp), c.u)
				var grad mat.Dense
				if dim == 1 {
					logsoftmax.LogSoftmaxGrad(&grad, l, u, 1)
				} else {
					logsoftmax.LogSoftmaxGrad(&grad, l.T(), u.T(), 0)
				}
				worst := 0.0
				for j := range logp {
					worst = max(worst, exact.Error(grad.RawMatrix().Data[j], want[j], unit[j]))
				}
				t.Logf("dim %d: %.4f ulp", dim, worst)
				if !(worst <= maxUlpSoftGrad) {
					t.Errorf("dim %d: off by %v ulp, more than %v", dim, worst, float64(maxUlpSoftGrad))
				}
			}
		})
	}
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

func TestLossOfDistributionCase(t *testing.T) {
	x := []float64{0x1.fec7b932b0c5fp+01, -0x1.40fb4d0d782p-06}
	target := []float64{0x1.3f68a491ed077p-07, 0x1.fb025d6db84bep-01}
	each, err := logsoftmax.SoftCrossEntropyEach(nil, mat.NewDense(1, 2, x), mat.NewDense(1, 2, target), nil)
	if err != nil {
		t.Fatal(err)
	}
	row := exact.NewRow(x)
	want := row.Loss(exact.Coefficients(target, nil, 0))
	ulps := exact.Error(each[0], want, want)
	t.Logf("%.4f ulp", ulps)
	if !(ulps <= maxUlpLogProb) {
		t.Errorf("off by %v ulp, more than %v", ulps, float64(maxUlpLogProb))
	}
}
