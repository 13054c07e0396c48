// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax_test

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"example.org/logsoftmax"
	"example.org/logsoftmax/internal/testkit"
	"gonum.org/v1/gonum/mat"
)

// A linearCase is a call of PyTorch's linear_cross_entropy and what it returned.
// testdata/linear.py, which wrote the cases, says what the fields mean.
type linearCase struct {
	Seed, Rows, Features, Classes int
	Scale, Smoothing              float64
	Bias, Weight, Ignore          bool
	Reduction                     string
	Loss                          number
	Each                          []number
	GradX                         []number `json:"grad_x"`
	GradW                         []number `json:"grad_w"`
	GradB                         []number `json:"grad_b"`
}

// numbers are the inputs of the cases.
func (c *linearCase) numbers(seed, n int, scale float64) []float64 {
	x := make([]float64, n)
	for k := range x {
		v := (int64(k)*2654435761 + int64(c.Seed+seed)*40503) % (1 << 20)
		x[k] = float64(v)/(1<<19)*scale - scale
	}
	return x
}

// TestLinearConformance holds the functions to PyTorch's.
func TestLinearConformance(t *testing.T) {
	f, err := os.Open("testdata/linear.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var cases []linearCase
	if err := json.NewDecoder(z).Decode(&cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) != 63 {
		t.Errorf("%d cases", len(cases))
	}
	for _, c := range cases {
		if c.Features > 700 && testkit.Long() == 0 {
			continue
		}
		t.Run(fmt.Sprintf("%d-%dx%dx%d", c.Seed, c.Rows, c.Features, c.Classes), c.run)
	}
}

func (c *linearCase) run(t *testing.T) {
	x := mat.NewDense(c.Rows, c.Features, c.numbers(0, c.Rows*c.Features, 1))
	w := mat.NewDense(c.Classes, c.Features, c.numbers(1, c.Classes*c.Features, c.Scale))
	var b []float64
	if c.Bias {
		b = c.numbers(2, c.Classes, 1)
	}
	target := make([]int, c.Rows)
	for i := range target {
		target[i] = (i*7919 + c.Seed*31) % c.Classes
		if c.Ignore && i%3 == 0 {
			target[i] = -100
		}
	}
	opts := &logsoftmax.Options{LabelSmoothing: c.Smoothing}
	if c.Weight {
		opts.Weight = c.numbers(3, c.Classes, 0.5)
		for k := range opts.Weight {
			opts.Weight[k] += 0.5
		}
	}
	each, err := logsoftmax.LinearCrossEntropyEach(nil, x, w, b, target, opts)
	if err != nil {
		t.Fatal(err)
	}
	if c.Reduction != "mean" {
		opts.Reduction = logsoftmax.Sum
	}
	if c.Reduction == "none" {
		opts.SampleWeight = c.numbers(4, c.Rows, 1)
	}
	var dx, dw mat.Dense
	db := make([]float64, c.Classes)
	loss, err := logsoftmax.LinearCrossEntropyGrad(logsoftmax.LinearGrad{X: &dx, W: &dw, B: db}, x, w, b, target, opts)
	if err != nil {
		t.Fatal(err)
	}
	value := loss.Sum
	if c.Reduction == "mean" {
		value = loss.Mean()
	}
	c.compare(t, "the loss", []float64{value}, []number{c.Loss})
	c.compare(t, "the losses", each, c.Each)
	c.compare(t, "the gradient of x", dx.RawMatrix().Data, c.GradX)
	c.compare(t, "the gradient of w", dw.RawMatrix().Data, c.GradW)
	if c.Bias {
		c.compare(t, "the gradient of b", db, c.GradB)
	}
}

// compare compares the elements of got that a case has with it. PyTorch's
// roundings are those of sums of so many terms.
func (c *linearCase) compare(t *testing.T, what string, got []float64, want []number) {
	t.Helper()
	stride := (len(got) + 599) / 600
	if n := (len(got) + stride - 1) / stride; n != len(want) {
		t.Fatalf("%s has %d numbers, want %d", what, n, len(want))
	}
	const tolerance = 2e-14
	worst := 0.0
	for k, v := range want {
		v, g := float64(v), got[k*stride]
		if diff := math.Abs(g - v); !(diff <= tolerance*max(1, math.Abs(v))) {
			t.Errorf("%s: element %d is %v, want %v", what, k*stride, g, v)
			return
		} else {
			worst = max(worst, diff/max(1, math.Abs(v)))
		}
	}
	t.Logf("%s: off by %.1e", what, worst)
}
