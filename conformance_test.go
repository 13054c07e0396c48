// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax_test

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"example.org/logsoftmax"
	"example.org/logsoftmax/internal/exact"
	"example.org/logsoftmax/internal/testkit"
)

// The conformance cases: what ONNX, PyTorch, scikit-learn and mpmath say, see
// testdata/README.md. Every case runs, and every case runs again on each of
// the layouts of layouts_test.go, for the same bits.

// conformanceCounts is how many cases each file holds. A case that is not run
// is a failure.
var conformanceCounts = map[string]int{
	"torch":   629,
	"precise": 229,
	"onnx":    26,
	"weights": 81,
}

type conformanceCase struct {
	Name        string
	Op          string
	Edge        string
	ExpectError bool `json:"expect_error"`

	Dim            int
	Input          *conformanceMatrix
	InputLCG       *conformanceLCG `json:"input_lcg"`
	Target         []int
	TargetProb     *conformanceMatrix `json:"target_prob"`
	Weight         []number
	Reduction      string
	IgnoreIndex    int    `json:"ignore_index"`
	LabelSmoothing number `json:"label_smoothing"`
	Upstream       json.RawMessage

	Labels       []int
	Classes      []int
	Counts       []number
	Beta         number
	Prob         *conformanceMatrix
	Logits       *conformanceMatrix
	SampleWeight []number `json:"sample_weight"`
	ClassWeight  []number `json:"class_weight"`
	Normalize    bool
	Eps          number

	conformanceWant
	Alt *struct {
		Loss []number
		Grad *conformanceMatrix
	}

	Tol           *tolerance
	TolGrad       *tolerance `json:"tol_grad"`
	TolStrict     *tolerance `json:"tol_strict"`
	TolGradStrict *tolerance `json:"tol_grad_strict"`
}

type conformanceWant struct {
	Loss     []number
	Grad     *conformanceMatrix
	Output   *conformanceMatrix
	LogProb  *conformanceMatrix `json:"log_prob"`
	LSE      numbers
	OutputAt *conformanceSample `json:"output_at"`
	GradAt   *conformanceSample `json:"grad_at"`
	Weights  []number
}

type tolerance struct{ Rel, Abs number }

// number is a double written as a string, or as a JSON integer.
type number float64

func (n *number) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	*n = number(v)
	return err
}

// numbers is a list of numbers, or one.
type numbers []number

func (n *numbers) UnmarshalJSON(b []byte) error {
	if b[0] == '[' {
		return json.Unmarshal(b, (*[]number)(n))
	}
	*n = make(numbers, 1)
	return json.Unmarshal(b, &(*n)[0])
}

type conformanceMatrix struct {
	Rows, Cols int
	Data       []number
	Hex        []string
}

func (m *conformanceMatrix) dense() *mat.Dense {
	return mat.NewDense(m.Rows, m.Cols, floatsOf(m.Data))
}

type conformanceSample struct {
	Index []int
	Value []number
}

type conformanceLCG struct {
	Cols        int
	Seed        string
	Mul, Add    string
	Shift       uint
	Bias        int64
	Pow2        int
	First, Last []number
	ArgMax      int
	ArgMin      int
	Rows        int
}

// row returns the row that the generator makes, checked against what is known
// of it.
func (g *conformanceLCG) row(t *testing.T) []float64 {
	parse := func(s string) uint64 {
		v, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	s, mul, add := parse(g.Seed), parse(g.Mul), parse(g.Add)
	x := make([]float64, g.Cols)
	for j := range x {
		s = s*mul + add
		x[j] = math.Ldexp(float64(int64(s>>g.Shift)-g.Bias), g.Pow2)
	}
	first, last := floatsOf(g.First), floatsOf(g.Last)
	if !slices.Equal(x[:len(first)], first) || !slices.Equal(x[len(x)-len(last):], last) ||
		x[g.ArgMax] != slices.Max(x) || x[g.ArgMin] != slices.Min(x) {
		t.Fatal("the generator of the logits is wrong")
	}
	return x
}

func floatsOf(n []number) []float64 {
	if n == nil {
		return nil
	}
	x := make([]float64, len(n))
	for i, v := range n {
		x[i] = float64(v)
	}
	return x
}

func conformanceCases(t *testing.T, file string) []conformanceCase {
	f, err := os.Open("testdata/" + file + ".json.gz")
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
	var cases []conformanceCase
	if err := json.NewDecoder(z).Decode(&cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

// tolFor returns the tolerances for losses and outputs, and for gradients. The
// strict ones are those that a relative accuracy needs.
func (c *conformanceCase) tolFor() (value, grad tolerance) {
	value = *c.Tol
	grad = value
	if c.TolGrad != nil {
		grad = *c.TolGrad
	}
	if c.TolStrict != nil {
		value = *c.TolStrict
	}
	if c.TolGradStrict != nil {
		grad = *c.TolGradStrict
	}
	return value, grad
}

// compare says which values are outside the tolerance.
func compare(t *testing.T, what string, got []float64, want []number, tol tolerance) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	for i, w := range floatsOf(want) {
		g := got[i]
		switch {
		case math.IsNaN(w) && math.IsNaN(g), g == w:
		case math.IsInf(w, 0) || math.IsInf(g, 0) || !(math.Abs(g-w) <= float64(tol.Abs)+float64(tol.Rel)*math.Abs(w)):
			t.Errorf("%s: value %d of %d is %v, want %v (off by %.3g, tolerance %g + %g·|want|)",
				what, i, len(want), g, w, g-w, tol.Abs, tol.Rel)
		}
	}
}

func TestConformance(t *testing.T) {
	for file, count := range conformanceCounts {
		t.Run(file, func(t *testing.T) {
			cases := conformanceCases(t, file)
			run := 0
			for i := range cases {
				c := &cases[i]
				t.Run(strings.TrimPrefix(c.Name, file+"/"), func(t *testing.T) {
					run++
					c.run(t)
				})
			}
			if selected := len(cases); run != selected || run != count {
				// A -run pattern that goes into the names selects fewer.
				if run == 0 || !strings.Contains(testRunPattern(), "/") {
					t.Errorf("%d cases run of %d in the file, which should hold %d", run, selected, count)
				}
			}
		})
	}
}

// run runs one case.
func (c *conformanceCase) run(t *testing.T) {
	if c.Alt != nil {
		if c.Alt.Loss != nil {
			c.Loss = c.Alt.Loss
		}
		if c.Alt.Grad != nil {
			c.Grad = c.Alt.Grad
		}
	}
	if strings.HasPrefix(c.Edge, "zero_weight_sum_mean") {
		// There is no weight at all: no mean, and nothing to learn.
		c.Loss = []number{number(math.NaN())}
		clear(c.Grad.Data)
	}
	switch c.Op {
	case "log_softmax":
		c.logSoftmax(t)
	case "log_softmax_lcg":
		c.logSoftmaxLCG(t)
	case "nll_loss", "cross_entropy", "cross_entropy_prob":
		c.loss(t)
	case "balanced_weights":
		c.balancedWeights(t)
	case "effective_number_weights":
		c.effectiveNumberWeights(t)
	case "log_loss":
		c.logLoss(t)
	default:
		t.Errorf("unknown operation %q", c.Op)
	}
}

func (c *conformanceCase) logSoftmax(t *testing.T) {
	tol, tolGrad := c.tolFor()
	x := c.Input.dense()
	var out mat.Dense
	logsoftmax.LogSoftmax(&out, x, c.Dim)
	compare(t, "LogSoftmax", out.RawMatrix().Data, c.Output.Data, tol)
	if c.LSE != nil {
		compare(t, "LogSumExp", logsoftmax.LogSumExp(nil, x, c.Dim), c.LSE, tol)
	}
	eachLayout(t, x, &out, func(dst *mat.Dense, x mat.Matrix) []float64 {
		logsoftmax.LogSoftmax(dst, x, c.Dim)
		return nil
	})
	eachLayout(t, x, nil, func(_ *mat.Dense, x mat.Matrix) []float64 {
		return logsoftmax.LogSumExp(nil, x, c.Dim)
	})
	if c.Grad == nil {
		return
	}
	var u conformanceMatrix
	if err := json.Unmarshal(c.Upstream, &u); err != nil {
		t.Fatal(err)
	}
	upstream := u.dense()
	var grad mat.Dense
	logsoftmax.LogSoftmaxGrad(&grad, &out, upstream, c.Dim)
	compare(t, "LogSoftmaxGrad", grad.RawMatrix().Data, c.Grad.Data, tolGrad)
	eachLayout(t, &out, &grad, func(dst *mat.Dense, logp mat.Matrix) []float64 {
		logsoftmax.LogSoftmaxGrad(dst, logp, upstream, c.Dim)
		return nil
	})
	eachLayout(t, upstream, &grad, func(dst *mat.Dense, upstream mat.Matrix) []float64 {
		logsoftmax.LogSoftmaxGrad(dst, &out, upstream, c.Dim)
		return nil
	})
}

func (c *conformanceCase) logSoftmaxLCG(t *testing.T) {
	tol, tolGrad := c.tolFor()
	row := c.InputLCG.row(t)
	x := mat.NewDense(1, len(row), row)
	at := func(m *mat.Dense, index []int) []float64 {
		var v []float64
		for _, j := range index {
			v = append(v, m.At(0, j))
		}
		return v
	}
	var out mat.Dense
	logsoftmax.LogSoftmax(&out, x, 1)
	compare(t, "LogSoftmax", at(&out, c.OutputAt.Index), c.OutputAt.Value, tol)
	compare(t, "LogSumExp", logsoftmax.LogSumExp(nil, x, 1), c.LSE, tol)
	eachLayout(t, x, &out, func(dst *mat.Dense, x mat.Matrix) []float64 {
		logsoftmax.LogSoftmax(dst, x, 1)
		return nil
	})
	var grad mat.Dense
	loss, err := logsoftmax.CrossEntropyGrad(&grad, x, c.Target, nil)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "loss", []float64{loss.Mean()}, c.Loss, tol)
	compare(t, "gradient", at(&grad, c.GradAt.Index), c.GradAt.Value, tolGrad)
	eachLayout(t, x, &grad, func(dst *mat.Dense, x mat.Matrix) []float64 {
		_, _ = logsoftmax.CrossEntropyGrad(dst, x, c.Target, nil)
		return nil
	})
}

// lossFuncs are the three functions of a kind of loss, with the target bound.
type lossFuncs struct {
	loss func(x mat.Matrix, o *logsoftmax.Options) (logsoftmax.Loss, error)
	each func(dst []float64, x mat.Matrix, o *logsoftmax.Options) ([]float64, error)
	grad func(dst *mat.Dense, x mat.Matrix, o *logsoftmax.Options) (logsoftmax.Loss, error)
}

func nllFuncs(target []int) lossFuncs {
	return lossFuncs{
		func(x mat.Matrix, o *logsoftmax.Options) (logsoftmax.Loss, error) {
			return logsoftmax.NLL(x, target, o)
		},
		func(dst []float64, x mat.Matrix, o *logsoftmax.Options) ([]float64, error) {
			return logsoftmax.NLLEach(dst, x, target, o)
		},
		func(dst *mat.Dense, x mat.Matrix, o *logsoftmax.Options) (logsoftmax.Loss, error) {
			return logsoftmax.NLLGrad(dst, x, target, o)
		},
	}
}

func crossEntropyFuncs(target []int) lossFuncs {
	return lossFuncs{
		func(x mat.Matrix, o *logsoftmax.Options) (logsoftmax.Loss, error) {
			return logsoftmax.CrossEntropy(x, target, o)
		},
		func(dst []float64, x mat.Matrix, o *logsoftmax.Options) ([]float64, error) {
			return logsoftmax.CrossEntropyEach(dst, x, target, o)
		},
		func(dst *mat.Dense, x mat.Matrix, o *logsoftmax.Options) (logsoftmax.Loss, error) {
			return logsoftmax.CrossEntropyGrad(dst, x, target, o)
		},
	}
}

func softCrossEntropyFuncs(target mat.Matrix) lossFuncs {
	return lossFuncs{
		func(x mat.Matrix, o *logsoftmax.Options) (logsoftmax.Loss, error) {
			return logsoftmax.SoftCrossEntropy(x, target, o)
		},
		func(dst []float64, x mat.Matrix, o *logsoftmax.Options) ([]float64, error) {
			return logsoftmax.SoftCrossEntropyEach(dst, x, target, o)
		},
		func(dst *mat.Dense, x mat.Matrix, o *logsoftmax.Options) (logsoftmax.Loss, error) {
			return logsoftmax.SoftCrossEntropyGrad(dst, x, target, o)
		},
	}
}

func (c *conformanceCase) loss(t *testing.T) {
	x := c.Input.dense()
	opts := &logsoftmax.Options{
		Weight:         floatsOf(c.Weight),
		LabelSmoothing: float64(c.LabelSmoothing),
	}
	if c.Op != "cross_entropy_prob" && c.IgnoreIndex != -100 {
		opts.Ignore = []int{c.IgnoreIndex}
	}
	var funcs lossFuncs
	switch c.Op {
	case "nll_loss":
		funcs = nllFuncs(c.Target)
	case "cross_entropy":
		funcs = crossEntropyFuncs(c.Target)
	case "cross_entropy_prob":
		funcs = softCrossEntropyFuncs(c.TargetProb.dense())
	}
	gradOpts := *opts
	switch c.Reduction {
	case "sum":
		gradOpts.Reduction = logsoftmax.Sum
	case "none":
		gradOpts.Reduction = logsoftmax.Sum
		if c.Grad != nil {
			var u []number
			if err := json.Unmarshal(c.Upstream, &u); err != nil {
				t.Fatal(err)
			}
			gradOpts.SampleWeight = floatsOf(u)
		}
	}
	if c.ExpectError {
		c.refused(t, "loss", func() ([]float64, logsoftmax.Loss, error) {
			l, err := funcs.loss(x, opts)
			return nil, l, err
		})
		c.refused(t, "each", func() ([]float64, logsoftmax.Loss, error) {
			each, err := funcs.each(nil, x, opts)
			return each, logsoftmax.Loss{}, err
		})
		c.refused(t, "gradient", func() ([]float64, logsoftmax.Loss, error) {
			var dst mat.Dense
			l, err := funcs.grad(&dst, x, &gradOpts)
			return dst.RawMatrix().Data, l, err
		})
		return
	}

	tol, tolGrad := c.tolFor()
	// value reduces the loss of x as the case says.
	value := func(t *testing.T, x mat.Matrix) []float64 {
		if c.Reduction == "none" {
			each, err := funcs.each(nil, x, opts)
			if err != nil {
				t.Error(err)
			}
			return each
		}
		l, err := funcs.loss(x, opts)
		if err != nil {
			t.Error(err)
		}
		if c.Reduction == "sum" {
			return []float64{l.Sum}
		}
		return []float64{l.Mean()}
	}
	compare(t, "loss", value(t, x), c.Loss, tol)
	eachLayout(t, x, nil, func(_ *mat.Dense, x mat.Matrix) []float64 { return value(t, x) })

	if c.LogProb != nil {
		var out mat.Dense
		logsoftmax.LogSoftmax(&out, x, 1)
		compare(t, "LogSoftmax", out.RawMatrix().Data, c.LogProb.Data, tol)
	}
	if c.Op == "cross_entropy" {
		// By way of the log-probabilities it is the same loss.
		var out mat.Dense
		logsoftmax.LogSoftmax(&out, x, 1)
		want, err1 := logsoftmax.CrossEntropy(x, c.Target, opts)
		got, err2 := logsoftmax.NLL(&out, c.Target, opts)
		if err1 != nil || err2 != nil || !sameBits([]float64{got.Sum, got.Weight}, []float64{want.Sum, want.Weight}) {
			t.Errorf("NLL of LogSoftmax: %+v, %v, CrossEntropy: %+v, %v", got, err2, want, err1)
		}
	}
	if c.Grad == nil {
		return
	}
	var grad mat.Dense
	l, err := funcs.grad(&grad, x, &gradOpts)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "gradient", grad.RawMatrix().Data, c.Grad.Data, tolGrad)
	noMinusZero(t, "gradient", grad.RawMatrix().Data)
	switch c.Reduction {
	case "sum":
		compare(t, "loss beside the gradient", []float64{l.Sum}, c.Loss, tol)
	case "mean":
		compare(t, "loss beside the gradient", []float64{l.Mean()}, c.Loss, tol)
	}
	lossOf := func(l logsoftmax.Loss, err error) []float64 {
		if err != nil {
			t.Error(err)
		}
		return []float64{l.Sum, l.Weight, float64(l.Rows), float64(l.Ignored), float64(l.Correct)}
	}
	eachLayout(t, x, &grad, func(dst *mat.Dense, x mat.Matrix) []float64 {
		return lossOf(funcs.grad(dst, x, &gradOpts))
	})
	if c.TargetProb != nil {
		eachLayout(t, c.TargetProb.dense(), &grad, func(dst *mat.Dense, target mat.Matrix) []float64 {
			return lossOf(logsoftmax.SoftCrossEntropyGrad(dst, x, target, &gradOpts))
		})
	}
}

// refused checks how a call is refused: shapes and lengths by a panic that
// mat.Maybe catches, values by a typed error, with nothing returned.
func (c *conformanceCase) refused(t *testing.T, what string, call func() ([]float64, logsoftmax.Loss, error)) {
	t.Helper()
	var values []float64
	var l logsoftmax.Loss
	var err error
	panicked := panicOf(func() { values, l, err = call() })
	if values != nil || l != (logsoftmax.Loss{}) {
		t.Errorf("%s: refused, but got %v, %+v", what, values, l)
	}
	kind := strings.Split(c.Name, "/")[2]
	switch kind {
	case "weight_length", "target_length":
		if panicked != mat.ErrShape {
			t.Errorf("%s: panic %v and error %v, want panic %v", what, panicked, err, mat.ErrShape)
		}
	case "label_smoothing_above_1":
		var v *logsoftmax.ValueError
		if panicked != nil || !errors.As(err, &v) || v.Value != float64(c.LabelSmoothing) || v.Row != -1 || v.Col != -1 {
			t.Errorf("%s: panic %v and error %#v, want a ValueError for %v", what, panicked, err, c.LabelSmoothing)
		}
	case "target_negative", "target_too_high", "target_is_default_but_other_ignore_index":
		row := slices.IndexFunc(c.Target, func(y int) bool {
			return y != c.IgnoreIndex && (y < 0 || y >= c.Input.Cols)
		})
		var e *logsoftmax.TargetError
		if panicked != nil || !errors.As(err, &e) || *e != (logsoftmax.TargetError{Row: row, Target: c.Target[row], Classes: c.Input.Cols}) {
			t.Errorf("%s: panic %v and error %#v, want a TargetError for row %d", what, panicked, err, row)
		}
	default:
		t.Errorf("unknown kind of error %q", kind)
	}
}

func (c *conformanceCase) balancedWeights(t *testing.T) {
	target := make([]int, len(c.Labels))
	for i, label := range c.Labels {
		target[i] = slices.Index(c.Classes, label)
	}
	counts, err := logsoftmax.ClassCounts(target, len(c.Classes), &logsoftmax.Options{Ignore: []int{}})
	if slices.Contains(target, -1) {
		var e *logsoftmax.TargetError
		if !c.ExpectError || !errors.As(err, &e) || e.Row != slices.Index(target, -1) || counts != nil {
			t.Errorf("ClassCounts: %v, %v, want a TargetError", counts, err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	for k, label := range c.Classes {
		n := 0
		for _, l := range c.Labels {
			if l == label {
				n++
			}
		}
		if counts[k] != float64(n) {
			t.Errorf("ClassCounts: %v of class %d, want %d", counts[k], k, n)
		}
	}
	weights, err := logsoftmax.BalancedWeights(counts)
	if c.ExpectError {
		var e *logsoftmax.ValueError
		if !errors.As(err, &e) || e.Value != 0 || weights != nil {
			t.Errorf("BalancedWeights: %v, %v, want a ValueError for the class without samples", weights, err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "BalancedWeights", weights, c.Weights, *c.Tol)
}

func (c *conformanceCase) effectiveNumberWeights(t *testing.T) {
	weights, err := logsoftmax.EffectiveNumberWeights(floatsOf(c.Counts), float64(c.Beta))
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "EffectiveNumberWeights", weights, c.Weights, *c.TolStrict)
}

func (c *conformanceCase) logLoss(t *testing.T) {
	opts := &logsoftmax.Options{SampleWeight: floatsOf(c.SampleWeight)}
	reduce := func(what string, l logsoftmax.Loss, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
			return
		}
		got := l.Sum
		if c.Normalize {
			got = l.Mean()
		}
		compare(t, what, []float64{got}, c.Loss, *c.Tol)
	}

	// The logarithms of the probabilities, clipped and normalized.
	eps := float64(c.Eps)
	logp := c.Prob.dense()
	rows, _ := logp.Dims()
	for i := range rows {
		row := logp.RawRowView(i)
		sum := 0.0
		for j, p := range row {
			row[j] = min(max(p, eps), 1-eps)
			sum += row[j]
		}
		for j, p := range row {
			row[j] = math.Log(p / sum)
		}
	}
	l, err := logsoftmax.NLL(logp, c.Target, opts)
	reduce("NLL", l, err)
	eachLayout(t, logp, nil, func(_ *mat.Dense, logp mat.Matrix) []float64 {
		l, _ := logsoftmax.NLL(logp, c.Target, opts)
		return []float64{l.Sum, l.Weight}
	})

	if c.Logits == nil {
		return
	}
	logits := c.Logits.dense()
	l, err = logsoftmax.CrossEntropy(logits, c.Target, opts)
	reduce("CrossEntropy", l, err)
	if c.ClassWeight != nil {
		opts = &logsoftmax.Options{Weight: floatsOf(c.ClassWeight)}
		l, err = logsoftmax.CrossEntropy(logits, c.Target, opts)
		reduce("CrossEntropy with class weights", l, err)
	}
	eachLayout(t, logits, nil, func(_ *mat.Dense, logits mat.Matrix) []float64 {
		l, _ := logsoftmax.CrossEntropy(logits, c.Target, opts)
		return []float64{l.Sum, l.Weight, float64(l.Correct)}
	})
}

// TestExactAgainstConformance holds the exact functions, which judge the
// package, to mpmath's: rounded, they are the same doubles.
func TestExactAgainstConformance(t *testing.T) {
	checked := 0
	check := func(t *testing.T, what string, got *big.Float, want number) {
		t.Helper()
		g := math.Inf(1)
		if got != nil {
			g, _ = got.Float64()
		}
		if g != float64(want) {
			t.Errorf("%s = %v, want %v", what, g, float64(want))
		}
		checked++
	}
	for _, c := range conformanceCases(t, "precise") {
		if c.Input == nil || c.Input.Rows*c.Input.Cols > 1000 && testkit.Long() == 0 {
			continue
		}
		t.Run(strings.TrimPrefix(c.Name, "precise/"), func(t *testing.T) {
			x := c.Input.dense()
			for i, h := range c.Input.Hex {
				if v, err := strconv.ParseFloat(h, 64); err != nil || v != float64(c.Input.Data[i]) {
					t.Fatalf("input %d is %v, and %s in hexadecimal", i, c.Input.Data[i], h)
				}
			}
			rows, cols := x.Dims()
			if c.Op == "log_softmax" {
				slices := rows
				at := func(i, j int) int { return i*cols + j }
				if c.Dim == 0 {
					slices = cols
					at = func(i, j int) int { return j*cols + i }
				}
				for i := range slices {
					var row []float64
					if c.Dim == 0 {
						row = mat.Col(nil, i, x)
					} else {
						row = mat.Row(nil, i, x)
					}
					e := exact.NewRow(row)
					check(t, fmt.Sprintf("log-sum-exp of %d", i), e.LogSumExp, c.LSE[i])
					for j, lp := range e.LogProb {
						if lp == nil {
							lp = exact.New().SetInf(true)
						}
						check(t, fmt.Sprintf("log-probability %d, %d", i, j), lp, c.Output.Data[at(i, j)])
					}
				}
				return
			}
			w := floatsOf(c.Weight)
			loss, weight := exact.New(), exact.New()
			infinite := false
			var grad []*big.Float
			for i := range rows {
				e := exact.NewRow(x.RawRowView(i))
				var q []*big.Float
				if c.TargetProb != nil {
					q = exact.Coefficients(c.TargetProb.dense().RawRowView(i), w, float64(c.LabelSmoothing))
					weight.Add(weight, exact.Float(1))
				} else {
					q = exact.Coefficients(exact.OneHot(cols, c.Target[i]), w, float64(c.LabelSmoothing))
					if w != nil {
						weight.Add(weight, exact.Float(w[c.Target[i]]))
					} else {
						weight.Add(weight, exact.Float(1))
					}
				}
				if l := e.Loss(q); l != nil {
					loss.Add(loss, l)
				} else {
					infinite = true
				}
				g, _ := e.Grad(q)
				grad = append(grad, g...)
			}
			if c.Reduction == "mean" {
				loss.Quo(loss, weight)
				for _, g := range grad {
					g.Quo(g, weight)
				}
			}
			if infinite {
				loss = nil
			}
			check(t, "loss", loss, c.Loss[0])
			for i, g := range grad {
				check(t, fmt.Sprintf("gradient %d", i), g, c.Grad.Data[i])
			}
		})
	}
	t.Logf("%d values", checked)
}
