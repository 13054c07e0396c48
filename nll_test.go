// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"example.org/logsoftmax/internal/kernel"
	"gonum.org/v1/gonum/mat"
)

// nllCase is the arguments of a call.
type nllCase struct {
	logp   *mat.Dense
	target []int
	opts   *Options
}

// randomNLL returns log-probabilities, labels and options of all kinds.
func randomNLL(rng *rand.Rand) nllCase {
	rows, cols := 1+rng.IntN(30), 1+rng.IntN(30)
	if rng.IntN(10) == 0 {
		rows = 2000
	}
	c := nllCase{logp: mat.NewDense(rows, cols, nil), target: make([]int, rows), opts: new(Options)}
	for i := range rows {
		c.target[i] = rng.IntN(cols)
		if rng.IntN(6) == 0 {
			c.target[i] = -100
		}
		for j := range cols {
			c.logp.Set(i, j, -rng.ExpFloat64())
		}
	}
	if rng.IntN(2) == 0 {
		c.opts.Weight = make([]float64, cols)
		for j := range c.opts.Weight {
			c.opts.Weight[j] = float64(rng.IntN(4)) * rng.Float64()
		}
	}
	if rng.IntN(2) == 0 {
		c.opts.SampleWeight = make([]float64, rows)
		for i := range c.opts.SampleWeight {
			c.opts.SampleWeight[i] = float64(rng.IntN(3)) * rng.Float64()
		}
	}
	if rng.IntN(3) == 0 {
		c.opts.Ignore = []int{rng.IntN(cols), -100}
	}
	c.opts.LabelSmoothing = []float64{0, 0, 0.1, 1}[rng.IntN(4)]
	c.opts.Reduction = Reduction(rng.IntN(2))
	return c
}

// nllFormula evaluates the formulas of conformance tables as they stand: the
// losses of the rows, the divisor of the mean, and the coefficient of every
// -logp[i,c] in the sum of the losses.
func nllFormula(c nllCase) (each []float64, weight float64, ignored int, coef *mat.Dense) {
	rows, cols := c.logp.Dims()
	each = make([]float64, rows)
	coef = mat.NewDense(rows, cols, nil)
	e := c.opts.LabelSmoothing
	ignore := c.opts.Ignore
	if ignore == nil {
		ignore = []int{-100}
	}
	w := func(j int) float64 {
		if c.opts.Weight == nil {
			return 1
		}
		return c.opts.Weight[j]
	}
	for i, y := range c.target {
		sw := 1.0
		if c.opts.SampleWeight != nil {
			sw = c.opts.SampleWeight[i]
		}
		skip := sw == 0
		for _, v := range ignore {
			skip = skip || v == y
		}
		if skip {
			ignored++
			continue
		}
		weight += w(y) * sw
		for j := range cols {
			q := e / float64(cols) * w(j) * sw
			if j == y {
				q += (1 - e) * w(j) * sw
			}
			coef.Set(i, j, q)
			each[i] -= q * c.logp.At(i, j)
		}
	}
	return each, weight, ignored, coef
}

func within(got, want, tol float64) bool {
	return math.Abs(got-want) <= tol*(1+math.Abs(want))
}

func sum(x []float64) (s float64) {
	for _, v := range x {
		s += v
	}
	return s
}

func TestNLL(t *testing.T) {
	rng := rand.New(rand.NewPCG(19, 20))
	for range 400 {
		c := randomNLL(rng)
		rows, cols := c.logp.Dims()
		name := fmt.Sprintf("%d×%d, %+v", rows, cols, *c.opts)
		if rows > 30 {
			name = fmt.Sprintf("%d×%d", rows, cols)
		}
		wantEach, wantWeight, wantIgnored, coef := nllFormula(c)
		wantSum := sum(wantEach)

		loss, err := NLL(c.logp, c.target, c.opts)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !within(loss.Sum, wantSum, 1e-12) || !within(loss.Weight, wantWeight, 1e-12) ||
			loss.Rows != rows || loss.Ignored != wantIgnored || loss.Correct != 0 {
			t.Errorf("%s: %+v, want %v, %v, %d", name, loss, wantSum, wantWeight, wantIgnored)
		}

		each, err := NLLEach(nil, c.logp, c.target, c.opts)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		dst := make([]float64, rows)
		into, err := NLLEach(dst, c.logp, c.target, c.opts)
		if err != nil || &into[0] != &dst[0] {
			t.Errorf("%s: not the dst given, %v", name, err)
		}
		for i, want := range wantEach {
			if !within(each[i], want, 1e-14) || into[i] != each[i] || each[i] == 0 && math.Signbit(each[i]) {
				t.Errorf("%s: row %d costs %v and %v, want %v", name, i, each[i], into[i], want)
			}
		}
		if exact, _ := bigSum(each...).Float64(); exact != loss.Sum {
			t.Errorf("%s: Sum %v is not that of the rows", name, loss.Sum)
		}

		var grad mat.Dense
		gradLoss, err := NLLGrad(&grad, c.logp, c.target, c.opts)
		if err != nil || gradLoss != loss {
			t.Errorf("%s: %+v with the gradient, %+v without, %v", name, gradLoss, loss, err)
		}
		for i := range rows {
			for j := range cols {
				want := -coef.At(i, j)
				if c.opts.Reduction == Mean {
					want /= wantWeight
					if wantWeight == 0 {
						want = 0
					}
				}
				if got := grad.At(i, j); !within(got, want, 1e-14) || got == 0 && math.Signbit(got) {
					t.Errorf("%s: gradient %v at (%d, %d), want %v", name, got, i, j, want)
				}
			}
		}
	}
}

// TestNLLMatrices holds that the result has the same bits for every kind of
// matrix, and in place.
func TestNLLMatrices(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 22))
	for range 100 {
		c := randomNLL(rng)
		rows, cols := c.logp.Dims()
		wide := mat.NewDense(rows+2, cols+3, nil)
		view := wide.Slice(1, rows+1, 2, cols+2).(*mat.Dense)
		view.Copy(c.logp)
		kinds := map[string]mat.Matrix{
			"view":                 view,
			"transpose":            mat.DenseCopyOf(c.logp.T()).T(),
			"foreign":              doubled{scaledBy(0.5, c.logp)},
			"transposed foreign":   doubled{mat.DenseCopyOf(scaledBy(0.5, c.logp).T())}.T(),
			"transposed transpose": mat.Transpose{Matrix: view.T()},
		}
		if cols == 1 {
			kinds["vector"] = c.logp.ColView(0)
		}
		if rows == 1 {
			kinds["transposed vector"] = c.logp.RowView(0).T()
		}
		want, err := NLL(c.logp, c.target, c.opts)
		if err != nil {
			t.Fatal(err)
		}
		var wantGrad mat.Dense
		if _, err := NLLGrad(&wantGrad, c.logp, c.target, c.opts); err != nil {
			t.Fatal(err)
		}
		wantEach, err := NLLEach(nil, c.logp, c.target, c.opts)
		if err != nil {
			t.Fatal(err)
		}
		for name, m := range kinds {
			if got, err := NLL(m, c.target, c.opts); got != want || err != nil {
				t.Errorf("%s: %+v, %v, want %+v", name, got, err, want)
			}
			each, err := NLLEach(nil, m, c.target, c.opts)
			if err != nil {
				t.Fatal(err)
			}
			for i := range each {
				if each[i] != wantEach[i] {
					t.Errorf("%s: row %d costs %v, want %v", name, i, each[i], wantEach[i])
				}
			}
			var grad mat.Dense
			if got, err := NLLGrad(&grad, m, c.target, c.opts); got != want || err != nil || !mat.Equal(&grad, &wantGrad) {
				t.Errorf("%s: %+v, %v, want %+v", name, got, err, want)
			}
		}

		before := mat.DenseCopyOf(wide)
		if got, err := NLLGrad(view, view, c.target, c.opts); got != want || err != nil || !mat.Equal(view, &wantGrad) {
			t.Errorf("in place: %+v, %v, want %+v", got, err, want)
		}
		for i := range rows + 2 {
			for j := range cols + 3 {
				inside := i >= 1 && i < rows+1 && j >= 2 && j < cols+2
				if !inside && wide.At(i, j) != before.At(i, j) {
					t.Errorf("wrote (%d, %d), outside of dst", i, j)
				}
			}
		}
		if got, err := NLLGrad(c.logp, mat.Transpose{Matrix: c.logp.T()}, c.target, c.opts); got != want || err != nil || !mat.Equal(c.logp, &wantGrad) {
			t.Errorf("in place under two transposes: %+v, %v, want %+v", got, err, want)
		}
	}
}

// TestNLLProcs holds that the result has the same bits on any number of
// goroutines.
func TestNLLProcs(t *testing.T) {
	rng := rand.New(rand.NewPCG(25, 26))
	for _, size := range [][2]int{{3000, 40}, {40, 3000}, {3, 50257}} {
		rows, cols := size[0], size[1]
		logp := mat.NewDense(rows, cols, nil)
		target := make([]int, rows)
		for i := range rows {
			target[i] = rng.IntN(cols+1) - 1
			for j := range cols {
				logp.Set(i, j, -rng.ExpFloat64())
			}
		}
		opts := &Options{LabelSmoothing: 0.1, Ignore: []int{-1}}
		serial := func() (Loss, []float64) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			loss, err := NLL(logp, target, opts)
			if err != nil {
				t.Fatal(err)
			}
			each, err := NLLEach(nil, logp, target, opts)
			if err != nil {
				t.Fatal(err)
			}
			return loss, each
		}
		want, wantEach := serial()
		for _, procs := range []int{2, 7} {
			for _, m := range []mat.Matrix{logp, mat.DenseCopyOf(logp.T()).T()} {
				func() {
					defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
					if got, err := NLL(m, target, opts); got != want || err != nil {
						t.Errorf("%d×%d on %d: %+v, %v, want %+v", rows, cols, procs, got, err, want)
					}
					each, err := NLLEach(nil, m, target, opts)
					if err != nil || !slices.Equal(each, wantEach) {
						t.Errorf("%d×%d on %d: other losses, %v", rows, cols, procs, err)
					}
				}()
			}
		}
	}
}

// scaledBy returns f·m.
func scaledBy(f float64, m mat.Matrix) *mat.Dense {
	var d mat.Dense
	d.Scale(f, m)
	return &d
}

// watched records which elements are read.
type watched struct {
	mat.Matrix
	read map[[2]int]bool
}

func (w watched) At(i, j int) float64 {
	w.read[[2]int{i, j}] = true
	return w.Matrix.At(i, j)
}

// TestNLLReads holds that only what is needed is read.
func TestNLLReads(t *testing.T) {
	logp := scaledBy(-1, numberedDense(5, 3))
	target := []int{2, -100, 0, 1, 1}
	opts := &Options{SampleWeight: []float64{1, 1, 0, 2, 3}}
	call := func(opts *Options) int {
		w := watched{logp, make(map[[2]int]bool)}
		if _, err := NLL(w, target, opts); err != nil {
			t.Fatal(err)
		}
		for at := range w.read {
			if at[0] == 1 || at[0] == 2 || opts.LabelSmoothing == 0 && at[1] != target[at[0]] {
				t.Errorf("%+v: read %v", opts, at)
			}
		}
		return len(w.read)
	}
	if n := call(opts); n != 3 {
		t.Errorf("%d elements read", n)
	}
	opts.LabelSmoothing = 0.5
	if n := call(opts); n != 9 {
		t.Errorf("%d elements read with smoothing", n)
	}
}

func TestNLLSpecial(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	minus0 := math.Copysign(0, -1)
	for _, test := range []struct {
		name   string
		row    []float64
		target int
		opts   Options
		want   float64
	}{
		{"zero", []float64{0, -1}, 0, Options{}, 0},
		{"minus zero", []float64{minus0, -1}, 0, Options{}, 0},
		{"zero, negative sample weight", []float64{0, -1}, 0, Options{SampleWeight: []float64{-1}}, 0},
		{"zero, smoothed, negative sample weight", []float64{0, 0}, 0, Options{SampleWeight: []float64{-1}, LabelSmoothing: 0.5}, 0},
		{"-Inf", []float64{-inf, -1}, 0, Options{}, inf},
		{"-Inf elsewhere", []float64{-inf, -1}, 1, Options{}, 1},
		{"-Inf elsewhere, smoothed", []float64{-inf, -1}, 1, Options{LabelSmoothing: 0.1}, inf},
		{"-Inf, negative sample weight", []float64{-inf, -1}, 0, Options{SampleWeight: []float64{-1}}, -inf},
		{"-Inf, weight 0", []float64{-inf, -1}, 0, Options{Weight: []float64{0, 1}}, 0},
		{"-Inf elsewhere, smoothed, weight 0", []float64{-inf, -1}, 1, Options{Weight: []float64{0, 1}, LabelSmoothing: 0.5}, 0.75},
		{"all weights 0, smoothed", []float64{-inf, nan}, 1, Options{Weight: []float64{0, 0}, LabelSmoothing: 0.5}, 0},
		{"NaN", []float64{nan, -1}, 0, Options{}, nan},
		{"NaN, negative", []float64{math.Float64frombits(0xfff0000000000001), -1}, 0, Options{}, nan},
		{"NaN elsewhere", []float64{nan, -1}, 1, Options{}, 1},
		{"NaN elsewhere, smoothed", []float64{nan, -1}, 1, Options{LabelSmoothing: 0.1}, nan},
		{"NaN, weight 0", []float64{nan, -1}, 0, Options{Weight: []float64{0, 1}}, 0},
		{"NaN, sample weight 0", []float64{nan, nan}, 0, Options{SampleWeight: []float64{0}, LabelSmoothing: 0.5}, 0},
		{"NaN, ignored", []float64{nan, nan}, 0, Options{Ignore: []int{0}, LabelSmoothing: 0.5}, 0},
		{"+Inf", []float64{inf, -1}, 0, Options{}, -inf},
		{"infinities, smoothed", []float64{inf, -inf}, 0, Options{LabelSmoothing: 0.5}, nan},
		{"tiny", []float64{-5e-324, -1}, 0, Options{}, 5e-324},
		{"huge", []float64{-math.MaxFloat64, -1}, 0, Options{SampleWeight: []float64{2}}, inf},
		{"smoothing 1", []float64{-1, -3}, 0, Options{LabelSmoothing: 1}, 2},
	} {
		m := mat.NewDense(1, 2, test.row)
		each, err := NLLEach(nil, m, []int{test.target}, &test.opts)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		loss, err := NLL(m, []int{test.target}, &test.opts)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if want := math.Float64bits(test.want); math.Float64bits(each[0]) != want || math.Float64bits(loss.Sum) != want {
			t.Errorf("%s: %v and %v, want %v", test.name, each[0], loss.Sum, test.want)
		}

		// The gradient does not depend on logp.
		test.opts.Reduction = Sum
		var got, want mat.Dense
		if _, err := NLLGrad(&got, m, []int{test.target}, &test.opts); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if _, err := NLLGrad(&want, mat.NewDense(1, 2, nil), []int{test.target}, &test.opts); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if !mat.Equal(&got, &want) {
			t.Errorf("%s: gradient %v, want %v", test.name, got.RawMatrix().Data, want.RawMatrix().Data)
		}
	}
}

func TestNLLNoWeight(t *testing.T) {
	logp := mat.NewDense(2, 2, []float64{-1, math.NaN(), math.Inf(-1), -2})
	for name, opts := range map[string]*Options{
		"ignored":       {Ignore: []int{0, 1}},
		"sample weight": {SampleWeight: []float64{0, 0}},
		"class weight":  {Weight: []float64{0, 0}, LabelSmoothing: 0.3},
	} {
		grad := mat.NewDense(2, 2, []float64{9, 9, 9, 9})
		loss, err := NLLGrad(grad, logp, []int{0, 1}, opts)
		if err != nil || loss.Sum != 0 || loss.Weight != 0 || loss.Rows != 2 || !math.IsNaN(loss.Mean()) {
			t.Errorf("%s: %+v, %v", name, loss, err)
		}
		for _, v := range grad.RawMatrix().Data {
			if math.Float64bits(v) != 0 {
				t.Errorf("%s: gradient %v", name, grad.RawMatrix().Data)
			}
		}
	}
	// The labels' weights are 0, the smoothed part is not.
	opts := &Options{Weight: []float64{0, 1}, LabelSmoothing: 0.5}
	logp = mat.NewDense(1, 2, []float64{-1, -2})
	var grad mat.Dense
	loss, err := NLLGrad(&grad, logp, []int{0}, opts)
	if err != nil || loss.Sum != 0.5 || loss.Weight != 0 || !math.IsNaN(loss.Mean()) || grad.At(0, 0) != 0 || grad.At(0, 1) != 0 {
		t.Errorf("%+v, %v, %v", loss, grad.RawMatrix().Data, err)
	}
	opts.Reduction = Sum
	if _, err := NLLGrad(&grad, logp, []int{0}, opts); err != nil || grad.At(0, 0) != 0 || grad.At(0, 1) != -0.25 {
		t.Errorf("%v, %v", grad.RawMatrix().Data, err)
	}
}

func TestNLLPanics(t *testing.T) {
	m := numberedDense(3, 4)
	target := []int{0, 1, 2}
	fits := func() *mat.Dense { return mat.NewDense(3, 4, nil) }
	big := numberedDense(6, 6)
	part := func(i, j int) *mat.Dense { return big.Slice(i, i+3, j, j+4).(*mat.Dense) }
	for _, test := range []struct {
		name   string
		dst    *mat.Dense
		each   []float64
		logp   mat.Matrix
		target []int
		opts   *Options
		panic  any
		only   string // "Grad" or "Each": not of the others
	}{
		{name: "empty", logp: new(mat.Dense), panic: mat.ErrZeroLength},
		{name: "empty before shapes", dst: fits(), each: make([]float64, 9), logp: new(mat.Dense), target: target, panic: mat.ErrZeroLength},
		{name: "no target", logp: m, panic: mat.ErrShape},
		{name: "short target", logp: m, target: []int{0, 1}, panic: mat.ErrShape},
		{name: "long target", logp: m, target: []int{0, 1, 2, 3}, panic: mat.ErrShape},
		{name: "weight", logp: m, target: target, opts: &Options{Weight: []float64{1}}, panic: mat.ErrShape},
		{name: "sample weight", logp: m, target: target, opts: &Options{SampleWeight: []float64{1}}, panic: mat.ErrShape},
		{name: "panic before errors", logp: m, target: []int{-1, -1, -1}, opts: &Options{Weight: []float64{-1, 1, 1, 1}, SampleWeight: []float64{1}}, panic: mat.ErrShape},
		{name: "dst rows", dst: mat.NewDense(2, 4, nil), logp: m, target: target, panic: mat.ErrShape, only: "Grad"},
		{name: "dst cols", dst: mat.NewDense(3, 3, nil), logp: m, target: target, panic: mat.ErrShape, only: "Grad"},
		{name: "overlap", dst: part(0, 0), logp: part(1, 0), target: target, panic: "logsoftmax: NLLGrad: dst partially overlaps logp, want its region or none of it", only: "Grad"},
		{name: "overlap before options", dst: part(0, 0), logp: part(0, 1), target: target, opts: &Options{Reduction: 9}, panic: "logsoftmax: NLLGrad: dst partially overlaps logp, want its region or none of it", only: "Grad"},
		{name: "target before overlap", dst: part(0, 0), logp: part(0, 1), target: []int{1}, panic: mat.ErrShape},
		{name: "reduction", logp: m, target: target, opts: &Options{Reduction: 9}, panic: "logsoftmax: NLLGrad: opts.Reduction is 9, want Mean or Sum", only: "Grad"},
		{name: "length of dst", each: make([]float64, 2), logp: m, target: target, panic: mat.ErrShape, only: "Each"},
		{name: "empty dst", each: []float64{}, logp: m, target: target, panic: mat.ErrShape, only: "Each"},
	} {
		dst := test.dst
		if dst == nil {
			dst = fits()
		}
		for fn, f := range map[string]func(){
			"":     func() { _, _ = NLL(test.logp, test.target, test.opts) },
			"Each": func() { _, _ = NLLEach(test.each, test.logp, test.target, test.opts) },
			"Grad": func() { _, _ = NLLGrad(dst, test.logp, test.target, test.opts) },
		} {
			want := test.panic
			if test.only != "" && test.only != fn {
				want = nil
			}
			if p := panicValue(f); p != want {
				t.Errorf("NLL%s, %s: panic %v, want %v", fn, test.name, p, want)
			}
		}
	}
	// mat.Maybe catches what is a mat.Error.
	err := mat.Maybe(func() { _, _ = NLL(m, nil, nil) })
	if stack, ok := err.(mat.ErrorStack); !ok || stack.Err != mat.ErrShape {
		t.Errorf("mat.Maybe: %v", err)
	}
}

func TestNLLErrors(t *testing.T) {
	m := numberedDense(3, 4)
	target := []int{0, 1, 2}
	nan := math.NaN()
	for _, test := range []struct {
		name   string
		target []int
		opts   *Options
		want   error
		grad   bool // of the Grad function alone
	}{
		{"label", []int{0, 4, -1}, nil, &TargetError{1, 4, 4}, false},
		{"label in a row of sample weight 0", []int{0, 4, -1}, &Options{SampleWeight: []float64{0, 0, 0}}, &TargetError{1, 4, 4}, false},
		{"weight", target, &Options{Weight: []float64{1, 1, 1, -1}}, &ValueError{"Weight", -1, 3, -1}, false},
		{"sample weight", target, &Options{SampleWeight: []float64{1, math.Inf(1), nan}}, &ValueError{"SampleWeight", 1, -1, math.Inf(1)}, false},
		{"sample weight of an ignored row", []int{-100, 0, 0}, &Options{SampleWeight: []float64{math.Inf(-1), 1, 1}}, &ValueError{"SampleWeight", 0, -1, math.Inf(-1)}, false},
		{"smoothing", target, &Options{LabelSmoothing: 2}, &ValueError{"LabelSmoothing", -1, -1, 2}, false},
		{"options before labels", []int{9, 9, 9}, &Options{LabelSmoothing: 2}, &ValueError{"LabelSmoothing", -1, -1, 2}, false},
		{"negative with Mean", target, &Options{SampleWeight: []float64{1, -1, 1}}, &ValueError{"SampleWeight", 1, -1, -1}, true},
	} {
		same := func(err error) bool {
			if test.want == nil || err == nil {
				return false
			}
			var te *TargetError
			var ve *ValueError
			switch want := test.want.(type) {
			case *TargetError:
				return errors.As(err, &te) && *te == *want
			case *ValueError:
				return errors.As(err, &ve) && *ve == *want
			}
			return false
		}
		if !test.grad {
			if loss, err := NLL(m, test.target, test.opts); loss != (Loss{}) || !same(err) {
				t.Errorf("%s: NLL: %+v, %v", test.name, loss, err)
			}
			dst := []float64{7, 7, 7}
			if each, err := NLLEach(dst, m, test.target, test.opts); each != nil || !same(err) || sum(dst) != 21 {
				t.Errorf("%s: NLLEach: %v, %v, dst %v", test.name, each, err, dst)
			}
		} else if _, err := NLL(m, test.target, test.opts); err != nil {
			t.Errorf("%s: NLL: %v", test.name, err)
		}
		dst, empty := numberedDense(3, 4), new(mat.Dense)
		if loss, err := NLLGrad(dst, m, test.target, test.opts); loss != (Loss{}) || !same(err) || !mat.Equal(dst, m) {
			t.Errorf("%s: NLLGrad: %+v, %v", test.name, loss, err)
		}
		if _, err := NLLGrad(empty, m, test.target, test.opts); !same(err) || !empty.IsEmpty() {
			t.Errorf("%s: NLLGrad sizes dst", test.name)
		}
	}
}

// leastAllocs returns the least number of allocations of several calls of f:
// what it allocates every time. A sync.Pool may lose what it holds at any
// time, and under the race detector often does.
func leastAllocs(f func()) float64 {
	least := math.Inf(1)
	for range 100 {
		least = min(least, testing.AllocsPerRun(1, f))
	}
	return least
}

func TestNLLAllocations(t *testing.T) {
	m := scaledBy(-1, numberedDense(6, 5))
	grad := mat.NewDense(6, 5, nil)
	each := make([]float64, 6)
	target := []int{0, 4, -100, 2, 3, 1}
	foreign := mat.Matrix(doubled{m})
	square := mat.NewDense(5, 5, nil).T()
	for _, opts := range []*Options{
		nil,
		{LabelSmoothing: 0.1},
		{Weight: []float64{1, 2, 3, 4, 5}, SampleWeight: []float64{1, 2, 3, 4, 5, 0}, Ignore: []int{1, -100}, LabelSmoothing: 0.1},
	} {
		for name, f := range map[string]func() error{
			"NLL": func() error { _, err := NLL(m, target, opts); return err },
			"NLL, transposed": func() error {
				_, err := NLL(square, target[:5], &Options{LabelSmoothing: 0.1})
				return err
			},
			"NLL, foreign": func() error { _, err := NLL(foreign, target, opts); return err },
			"NLLEach":      func() error { _, err := NLLEach(each, m, target, opts); return err },
			"NLLGrad":      func() error { _, err := NLLGrad(grad, m, target, opts); return err },
			"NLLGrad, in place": func() error {
				_, err := NLLGrad(grad, grad, target, opts)
				return err
			},
		} {
			if n := leastAllocs(func() {
				if err := f(); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%s with %+v: %v allocations", name, opts, n)
			}
		}
	}
}

// TestWeightedLossOrder holds WeightedLoss to the order that its comment
// states, which other implementations follow.
func TestWeightedLossOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(23, 24))
	for n := range 100 {
		coef, logp := make([]float64, n), make([]float64, n)
		for c := range coef {
			coef[c] = float64(rng.IntN(3)) * math.Ldexp(rng.Float64(), rng.IntN(60))
			logp[c] = -rng.ExpFloat64()
		}
		var lane [8]kernel.Accumulator
		for c := range coef {
			term := float64(coef[c] * -logp[c])
			sum, rest := kernel.TwoSum(lane[c%8].Hi, term)
			lane[c%8].Hi = sum
			lane[c%8].Lo += rest + math.FMA(coef[c], -logp[c], -term)
		}
		for _, half := range []int{4, 2, 1} {
			for l := range half {
				s, e := kernel.TwoSum(lane[l].Hi, lane[l+half].Hi)
				lane[l] = kernel.Accumulator{Hi: s, Lo: lane[l].Lo + lane[l+half].Lo + e}
			}
		}
		if got, want := kernel.WeightedLoss(coef, logp, 0, 0).Value(), lane[0].Value(); got != want {
			t.Errorf("%d entries: %v, want %v", n, got, want)
		}
	}
}
