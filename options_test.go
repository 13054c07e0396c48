// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"errors"
	"math"
	"slices"
	"testing"

	"example.org/logsoftmax/internal/kernel"
	"gonum.org/v1/gonum/mat"
)

// panicValue returns what f panics with, or nil.
func panicValue(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}

func TestResolve(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	const rows, classes = 3, 2
	value := func(name string, row, col int, v float64) *ValueError {
		return &ValueError{Name: name, Row: row, Col: col, Value: v}
	}
	for _, test := range []struct {
		name  string
		opts  *Options
		grad  bool
		panic any
		err   *ValueError
	}{
		{name: "nil"},
		{name: "nil grad", grad: true},
		{name: "zero", opts: &Options{}, grad: true},
		{name: "all", opts: &Options{Weight: []float64{0, 5}, SampleWeight: []float64{0, 1, 2}, LabelSmoothing: 1, Ignore: []int{7}}, grad: true},

		{name: "weight short", opts: &Options{Weight: []float64{1}}, panic: mat.ErrShape},
		{name: "weight long", opts: &Options{Weight: []float64{1, 1, 1}}, panic: mat.ErrShape},
		{name: "weight empty", opts: &Options{Weight: []float64{}}, panic: mat.ErrShape},
		{name: "sample weight short", opts: &Options{SampleWeight: []float64{1, 1}}, panic: mat.ErrShape},
		{name: "sample weight empty", opts: &Options{SampleWeight: []float64{}}, panic: mat.ErrShape},
		{name: "reduction", opts: &Options{Reduction: 2}, grad: true, panic: "logsoftmax: F: opts.Reduction is 2, want Mean or Sum"},
		{name: "reduction negative", opts: &Options{Reduction: -1}, grad: true, panic: "logsoftmax: F: opts.Reduction is -1, want Mean or Sum"},
		{name: "reduction not read", opts: &Options{Reduction: 2}},

		{name: "weight negative", opts: &Options{Weight: []float64{1, -1}}, err: value("Weight", -1, 1, -1)},
		{name: "weight NaN", opts: &Options{Weight: []float64{nan, -1}}, err: value("Weight", -1, 0, nan)},
		{name: "weight Inf", opts: &Options{Weight: []float64{0, inf}}, err: value("Weight", -1, 1, inf)},
		{name: "sample weight NaN", opts: &Options{SampleWeight: []float64{-1, nan, inf}}, err: value("SampleWeight", 1, -1, nan)},
		{name: "sample weight -Inf", opts: &Options{SampleWeight: []float64{-1, 0, -inf}}, err: value("SampleWeight", 2, -1, -inf)},
		{name: "smoothing negative", opts: &Options{LabelSmoothing: -0.1}, err: value("LabelSmoothing", -1, -1, -0.1)},
		{name: "smoothing above 1", opts: &Options{LabelSmoothing: 1.5}, err: value("LabelSmoothing", -1, -1, 1.5)},
		{name: "smoothing NaN", opts: &Options{LabelSmoothing: nan}, err: value("LabelSmoothing", -1, -1, nan)},
		{name: "negative with mean", opts: &Options{SampleWeight: []float64{0, 1, -2}}, grad: true, err: value("SampleWeight", 2, -1, -2)},
		{name: "negative with sum", opts: &Options{SampleWeight: []float64{0, 1, -2}, Reduction: Sum}, grad: true},
		{name: "negative without gradient", opts: &Options{SampleWeight: []float64{0, 1, -2}}},

		// Panics before errors, each in the order of the struct.
		{name: "shape before value", opts: &Options{Weight: []float64{-1, 1}, SampleWeight: []float64{1}}, panic: mat.ErrShape},
		{name: "shape before reduction", opts: &Options{SampleWeight: []float64{1}, Reduction: 5}, grad: true, panic: mat.ErrShape},
		{name: "reduction before value", opts: &Options{Weight: []float64{-1, 1}, Reduction: 5}, grad: true, panic: "logsoftmax: F: opts.Reduction is 5, want Mean or Sum"},
		{name: "weight before sample weight", opts: &Options{Weight: []float64{1, -1}, SampleWeight: []float64{nan, 1, 1}, LabelSmoothing: 2}, err: value("Weight", -1, 1, -1)},
		{name: "sample weight before smoothing", opts: &Options{SampleWeight: []float64{1, nan, 1}, LabelSmoothing: 2}, err: value("SampleWeight", 1, -1, nan)},
		{name: "negative before smoothing", opts: &Options{SampleWeight: []float64{1, -1, 1}, LabelSmoothing: 2}, grad: true, err: value("SampleWeight", 1, -1, -1)},
		{name: "weight before negative", opts: &Options{Weight: []float64{1, -1}, SampleWeight: []float64{1, -1, 1}}, grad: true, err: value("Weight", -1, 1, -1)},
		{name: "negative before NaN", opts: &Options{SampleWeight: []float64{1, -1, nan}}, grad: true, err: value("SampleWeight", 1, -1, -1)},
		{name: "NaN before negative", opts: &Options{SampleWeight: []float64{1, nan, -1}}, grad: true, err: value("SampleWeight", 1, -1, nan)},
		{name: "smoothing with negative of a sum", opts: &Options{SampleWeight: []float64{1, -1, 1}, LabelSmoothing: 2, Reduction: Sum}, grad: true, err: value("LabelSmoothing", -1, -1, 2)},
	} {
		var s settings
		var err error
		p := panicValue(func() { err = s.resolve("F", test.opts, rows, classes, test.grad) })
		if p != test.panic {
			t.Errorf("%s: panic %v, want %v", test.name, p, test.panic)
		}
		if p != nil {
			continue
		}
		if (err == nil) != (test.err == nil) {
			t.Errorf("%s: error %v, want %v", test.name, err, test.err)
			continue
		}
		if err != nil {
			var got *ValueError
			if !errors.As(err, &got) {
				t.Errorf("%s: error of type %T", test.name, err)
			} else if got.Name != test.err.Name || got.Row != test.err.Row || got.Col != test.err.Col || math.Float64bits(kernel.Canonical(got.Value)) != math.Float64bits(kernel.Canonical(test.err.Value)) {
				t.Errorf("%s: error %+v, want %+v", test.name, got, test.err)
			}
			if s.weight != nil || s.sampleWeight != nil {
				t.Errorf("%s: settings with an error", test.name)
			}
			continue
		}
		var opts Options
		if test.opts != nil {
			opts = *test.opts
		}
		if !slices.Equal(s.weight, opts.Weight) || !slices.Equal(s.sampleWeight, opts.SampleWeight) ||
			s.smoothing != opts.LabelSmoothing || s.reduction != opts.Reduction {
			t.Errorf("%s: got %+v from %+v", test.name, s, opts)
		}
	}
}

func TestCheckTargets(t *testing.T) {
	for _, test := range []struct {
		target []int
		opts   *Options
		row    int // -1: none is bad
	}{
		{target: []int{0, 4, 2}, row: -1},
		{target: []int{0, -100, 2}, row: -1},
		{target: []int{0, 5, -1}, row: 1},
		{target: []int{0, 1, -1}, row: 2},
		{target: []int{math.MinInt, 1, math.MaxInt}, row: 0},
		{target: []int{0, -100, 2}, opts: &Options{Ignore: []int{}}, row: 1},
		{target: []int{0, -100, 2}, opts: &Options{Ignore: []int{-1}}, row: 1},
		{target: []int{-1, 9, 2}, opts: &Options{Ignore: []int{9, 2, -1}}, row: -1},
		{target: []int{1, 7, 2}, opts: &Options{SampleWeight: []float64{0, 0, 0}}, row: 1},
	} {
		err := new(ignoredLabels).check(test.target, 5, test.opts.ignore())
		var bad *TargetError
		switch {
		case test.row < 0:
			if err != nil {
				t.Errorf("%v, %+v: error %v", test.target, test.opts, err)
			}
		case !errors.As(err, &bad):
			t.Errorf("%v, %+v: error %v, want one for row %d", test.target, test.opts, err, test.row)
		case *bad != TargetError{Row: test.row, Target: test.target[test.row], Classes: 5}:
			t.Errorf("%v, %+v: error %+v, want one for row %d", test.target, test.opts, bad, test.row)
		}
	}
}

// TestIgnoredLabels compares with the list, for labels on both sides of all
// that the bits distinguish.
func TestIgnoredLabels(t *testing.T) {
	labels := []int{math.MinInt, -100, -1, 0, 1, 4, 5, 62, 63, 64, 65, 127, 128, 200, 299, 300, math.MaxInt}
	for _, classes := range []int{1, 2, 5, 63, 64, 65, 128, 300} {
		for _, ignore := range [][]int{nil, {-100}, {0}, {63}, {64}, {0, 64, 299, 300}, labels} {
			for _, y := range labels {
				var g ignoredLabels
				err := g.check([]int{0, y}, classes, ignore)
				listed, class := slices.Contains(ignore, y), y >= 0 && y < classes
				if (err != nil) != (!class && !listed) {
					t.Errorf("%d of %d classes, %v ignored: error %v", y, classes, ignore, err)
				}
				if err != nil {
					continue
				}
				if g.has(y) != listed || g.has(0) != slices.Contains(ignore, 0) {
					t.Errorf("%d of %d classes, %v ignored: %v", y, classes, ignore, g.has(y))
				}
				if g.none() && (listed || slices.Contains(ignore, 0)) {
					t.Errorf("%d of %d classes, %v ignored: none", y, classes, ignore)
				}
			}
		}
	}
}

func TestLossWeight(t *testing.T) {
	target := []int{0, -100, 2, 1, 2}
	for _, test := range []struct {
		opts    *Options
		weight  float64
		ignored int
	}{
		{nil, 4, 1},
		{&Options{Ignore: []int{2, -100}}, 2, 3},
		{&Options{Weight: []float64{1, 2, 4}}, 11, 1},
		{&Options{SampleWeight: []float64{3, 5, 0, -1, 0.5}}, 2.5, 2},
		{&Options{Weight: []float64{1, 2, 0}, SampleWeight: []float64{3, 5, 0, -1, 0.5}, LabelSmoothing: 0.3}, 1, 2},
		{&Options{Weight: []float64{1, 2, 4}, Ignore: []int{0, 1, 2, -100}}, 0, 5},
	} {
		var s settings
		err := s.resolveLabels("F", test.opts, target, len(target), 3, false)
		if err != nil {
			t.Fatal(err)
		}
		var weight kernel.ExactSum
		ignored := s.addLossWeight(&weight, target)
		if weight.Value() != test.weight || ignored != test.ignored {
			t.Errorf("%+v: %v, %d, want %v, %d", test.opts, weight.Value(), ignored, test.weight, test.ignored)
		}
	}
	s := settings{sampleWeight: []float64{1, 0, -3}}
	var weight kernel.ExactSum
	if ignored := s.addSoftLossWeight(&weight, 3); weight.Value() != -2 || ignored != 1 {
		t.Errorf("soft: %v, %d", weight.Value(), ignored)
	}
	s, weight = settings{}, kernel.ExactSum{}
	if ignored := s.addSoftLossWeight(&weight, 3); weight.Value() != 3 || ignored != 0 {
		t.Errorf("soft: %v, %d", weight.Value(), ignored)
	}
}

// Weights are ordinary from 2^-100 to 2^100, both among them, wherever they are.
func TestOrdinaryWeights(t *testing.T) {
	above, below := math.Inf(1), math.Inf(-1)
	for at := range 7 {
		for _, v := range []struct {
			number   float64
			ordinary bool
		}{
			{1, true},
			{0x1p-100, true},
			{0x1p100, true},
			{math.Nextafter(0x1p-100, below), false},
			{math.Nextafter(0x1p100, above), false},
			{0, false},
			{math.Copysign(0, -1), false},
			{math.SmallestNonzeroFloat64, false},
			{math.MaxFloat64, false},
			{-math.SmallestNonzeroFloat64, false},
			{-0x1p-100, false},
			{-1, false},
			{-0x1p100, false},
			{-math.MaxFloat64, false},
			{above, false},
			{below, false},
			{math.NaN(), false},
			{-math.NaN(), false},
			{math.Float64frombits(math.MaxUint64), false},
		} {
			x := []float64{1, 2, 3, 4, 5, 6, 7}
			x[at] = v.number
			if got := areOrdinary(x); got != v.ordinary {
				t.Errorf("%v at %d: ordinary %v", v.number, at, got)
			}
		}
	}
}
