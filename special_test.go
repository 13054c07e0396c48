// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax_test

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"example.org/logsoftmax"
	"example.org/logsoftmax/internal/exact"
	"example.org/logsoftmax/internal/kernel"
	"example.org/logsoftmax/internal/testkit"
	"gonum.org/v1/gonum/mat"
)

// NaN of every kind: quiet and signaling, of both signs, with payloads.
var nans = []float64{
	math.NaN(),
	math.Float64frombits(0xfff8_0000_0000_0000),
	math.Float64frombits(0x7ff0_0000_0000_0001),
	math.Float64frombits(0xfff4_dead_beef_cafe),
}

// specialRows are rows of n entries with NaN, +Inf and -Inf in every position,
// alone and with others.
func specialRows(rnd *rand.Rand, n int) *mat.Dense {
	inf := math.Inf(1)
	var data []float64
	add := func(change func(row []float64)) {
		row := make([]float64, n)
		normal(3)(rnd, row)
		change(row)
		data = append(data, row...)
	}
	for p := range n {
		for _, v := range []float64{nans[p%len(nans)], inf, -inf} {
			add(func(row []float64) { row[p] = v })
		}
		add(func([]float64) {})
		// A second one, in every distance over the positions.
		second := (p*p + 1) % n
		for _, v := range [][2]float64{{nans[0], inf}, {inf, nans[1]}, {-inf, nans[2]}, {inf, -inf}, {-inf, -inf}, {inf, inf}} {
			if p%3 == 0 {
				add(func(row []float64) { row[p], row[second] = v[0], v[1] })
			}
		}
		// One possible class, and one besides.
		add(func(row []float64) {
			for j := range row {
				if j != p {
					row[j] = -inf
				}
			}
		})
		if p%3 == 1 {
			add(func(row []float64) {
				for j := range row {
					if j != p {
						row[j] = -inf
					}
				}
				row[second] = nans[3]
			})
		}
	}
	add(func(row []float64) {
		for j := range row {
			row[j] = -inf
		}
	})
	return mat.NewDense(len(data)/n, n, data)
}

// kindOf says what a row holds.
func kindOf(row []float64) (nan, posInf, finite bool) {
	for _, v := range row {
		switch {
		case math.IsNaN(v):
			nan = true
		case math.IsInf(v, 1):
			posInf = true
		case !math.IsInf(v, -1):
			finite = true
		}
	}
	return nan, posInf, finite
}

// allNaN reports whether every value is the NaN that the package writes.
func allNaN(x []float64) bool {
	for _, v := range x {
		if math.Float64bits(v) != math.Float64bits(math.NaN()) {
			return false
		}
	}
	return true
}

// TestSpecialValues sweeps NaN and infinities through every position of every
// length.
func TestSpecialValues(t *testing.T) {
	for n := 1; n <= 130; n++ {
		if testkit.Long() == 0 && n > 18 && n%8 != 0 && n%64 != 1 && n%64 != 7 {
			continue
		}
		rnd := rand.New(rand.NewPCG(uint64(n), 40))
		x := specialRows(rnd, n)
		rows, _ := x.Dims()
		target := make([]int, rows)
		for i := range target {
			// A special entry in two of three rows, if there is one.
			target[i] = rnd.IntN(n)
			row := x.RawRowView(i)
			if j := slices.IndexFunc(row, func(v float64) bool { return math.IsInf(v, 0) || math.IsNaN(v) }); j >= 0 && i%3 != 0 {
				target[i] = j
			}
		}
		opts := &logsoftmax.Options{Reduction: logsoftmax.Sum}
		dist := oneHotMatrix(target, n)
		for _, dim := range []int{1, 0} {
			in := mat.Matrix(x)
			if dim == 0 {
				in = mat.DenseCopyOf(x.T())
			}
			var logp, prob mat.Dense
			logsoftmax.LogSoftmax(&logp, in, dim)
			logsoftmax.Softmax(&prob, in, dim)
			lse := logsoftmax.LogSumExp(nil, in, dim)
			if dim == 0 {
				logp.CloneFrom(mat.DenseCopyOf(logp.T()))
				prob.CloneFrom(mat.DenseCopyOf(prob.T()))
				in = in.T() // the losses take rows
			}
			var grad, softGrad mat.Dense
			each, err1 := logsoftmax.CrossEntropyEach(nil, in, target, opts)
			loss, err2 := logsoftmax.CrossEntropyGrad(&grad, in, target, opts)
			softEach, err3 := logsoftmax.SoftCrossEntropyEach(nil, in, dist, opts)
			_, err4 := logsoftmax.SoftCrossEntropyGrad(&softGrad, in, dist, opts)
			if err1 != nil || err2 != nil || err3 != nil || err4 != nil {
				t.Fatal(err1, err2, err3, err4)
			}
			correct := 0
			for i := range rows {
				row := x.RawRowView(i)
				if isCorrect(row, target[i]) {
					correct++
				}
				err := checkSpecialRow(row, target[i], logp.RawRowView(i), prob.RawRowView(i), lse[i], each[i], grad.RawRowView(i))
				if err == nil && (!sameBits(each[i:i+1], softEach[i:i+1]) || !sameBits(grad.RawRowView(i), softGrad.RawRowView(i))) {
					err = fmt.Errorf("one-hot distribution: loss %v and gradient %v, label: %v and %v", softEach[i], softGrad.RawRowView(i), each[i], grad.RawRowView(i))
				}
				if err != nil {
					t.Errorf("%d entries, dim %d, row %v, target %d: %v", n, dim, row, target[i], err)
				}
				if t.Failed() && i > 20 {
					t.FailNow()
				}
			}
			if loss.Correct != correct {
				t.Errorf("%d entries, dim %d: Correct is %d, want %d", n, dim, loss.Correct, correct)
			}
		}
	}
}

// isCorrect reports whether the lowest-indexed largest logit is the target's.
func isCorrect(row []float64, target int) bool {
	best := 0
	for j, v := range row {
		if math.IsNaN(v) {
			return false
		}
		if v > row[best] {
			best = j
		}
	}
	return best == target
}

func checkSpecialRow(row []float64, y int, logp, prob []float64, lse, loss float64, grad []float64) error {
	nan, posInf, finite := kindOf(row)
	wantLSE := math.Inf(-1)
	switch {
	case nan:
		wantLSE = math.NaN()
	case posInf:
		wantLSE = math.Inf(1)
	}
	if nan || posInf || !finite {
		if !allNaN(logp) || !allNaN(prob) || !allNaN(grad) || !allNaN([]float64{loss}) {
			return fmt.Errorf("want NaN, got log-probabilities %v, probabilities %v, loss %v, gradient %v", logp, prob, loss, grad)
		}
		if math.Float64bits(lse) != math.Float64bits(wantLSE) {
			return fmt.Errorf("LogSumExp is %v (%#x), want %v", lse, math.Float64bits(lse), wantLSE)
		}
		return nil
	}
	var e ddRow
	e.set(row)
	m := measurer{row: e}
	if ulps, _ := m.logSumExpError(lse); !(ulps <= 4) {
		return fmt.Errorf("LogSumExp is %v, off by %v ulp", lse, ulps)
	}
	for j, v := range row {
		if math.IsInf(v, -1) {
			if !math.IsInf(logp[j], -1) || math.Float64bits(prob[j]) != 0 {
				return fmt.Errorf("-Inf in %d: log-probability %v, probability %v, want -Inf, 0", j, logp[j], prob[j])
			}
			want := 0.0
			if j == y {
				want = -1
			}
			if math.Float64bits(grad[j]) != math.Float64bits(want) {
				return fmt.Errorf("-Inf in %d: gradient %v, want %v", j, grad[j], want)
			}
			continue
		}
		if ulps := m.logProbError(logp[j], j); !(ulps <= maxUlpLogProb) {
			return fmt.Errorf("log-probability %d is %v, off by %v ulp", j, logp[j], ulps)
		}
		if ulps := m.probError(prob[j], j); !(ulps <= maxUlpProb) {
			return fmt.Errorf("probability %d is %v, off by %v ulp", j, prob[j], ulps)
		}
		if ulps := m.labelGradError(grad[j], j, y); !(ulps <= maxUlpLabelGrad) {
			return fmt.Errorf("gradient %d is %v, off by %v ulp", j, grad[j], ulps)
		}
		if grad[j] == 0 && math.Signbit(grad[j]) {
			return fmt.Errorf("gradient %d is -0", j)
		}
	}
	if math.IsInf(row[y], -1) {
		if !math.IsInf(loss, 1) {
			return fmt.Errorf("loss is %v, want +Inf", loss)
		}
	} else if loss != -logp[y] || loss == 0 && math.Signbit(loss) {
		return fmt.Errorf("loss is %v, log-probability %v", loss, logp[y])
	}
	return nil
}

// TestIgnoredRowsAreNotRead: whatever an ignored row holds, it has no part in
// anything, and its loss and gradient are +0.
func TestIgnoredRowsAreNotRead(t *testing.T) {
	inf := math.Inf(1)
	for _, shape := range [][2]int{{1, 1}, {6, 2}, {24, 3}, {16, 10}, {9, 33}, {5, 100}, {3, 2049}} {
		d := drawing{rand.New(rand.NewPCG(uint64(shape[1]), 41)), shape[0], shape[1]}
		for _, by := range []string{"label", "sample weight 0", "sample weight -0"} {
			x := d.normal(2)
			dist := d.distribution()
			target := make([]int, d.rows)
			o := &logsoftmax.Options{Reduction: logsoftmax.Sum, LabelSmoothing: 0.1 * float64(d.rows%2)}
			o.SampleWeight = d.vector(d.rows, func(rnd *rand.Rand) float64 { return 1 + rnd.Float64() })
			ignored := make([]bool, d.rows)
			kept := &logsoftmax.Options{Reduction: o.Reduction, LabelSmoothing: o.LabelSmoothing, SampleWeight: []float64{}}
			var xKept, distKept []float64
			var targetKept []int
			for i := range d.rows {
				target[i] = d.rnd.IntN(d.cols)
				if i%3 != 1 {
					xKept = append(xKept, x.RawRowView(i)...)
					distKept = append(distKept, dist.RawRowView(i)...)
					targetKept = append(targetKept, target[i])
					kept.SampleWeight = append(kept.SampleWeight, o.SampleWeight[i])
					continue
				}
				ignored[i] = true
				for j := range d.cols {
					x.Set(i, j, []float64{math.NaN(), inf, -inf, 1e308}[(i+j)%4])
				}
				switch by {
				case "label":
					target[i] = -100
				case "sample weight 0":
					o.SampleWeight[i] = 0
				case "sample weight -0":
					o.SampleWeight[i] = math.Copysign(0, -1)
				}
			}
			for _, k := range []struct {
				name        string
				funcs, rest lossFuncs
			}{
				{"NLL", nllFuncs(target), nllFuncs(targetKept)},
				{"CrossEntropy", crossEntropyFuncs(target), crossEntropyFuncs(targetKept)},
				{"SoftCrossEntropy", softCrossEntropyFuncs(dist), lossFuncs{}},
			} {
				if k.name == "SoftCrossEntropy" {
					if by == "label" {
						continue
					}
					k.rest = softCrossEntropyFuncs(mat.NewDense(len(targetKept), d.cols, distKept))
				}
				name := fmt.Sprintf("%v %s by %s", shape, k.name, by)
				for _, reduction := range []logsoftmax.Reduction{logsoftmax.Sum, logsoftmax.Mean} {
					o.Reduction, kept.Reduction = reduction, reduction
					l, err := k.funcs.loss(x, o)
					if err != nil {
						t.Fatal(name, err)
					}
					each, _ := k.funcs.each(nil, x, o)
					// What was in dst does not matter.
					grad := mat.NewDense(d.rows, d.cols, nil)
					grad.Apply(func(_, _ int, _ float64) float64 { return math.NaN() }, grad)
					lg, err := k.funcs.grad(grad, x, o)
					if err != nil || lg != l {
						t.Errorf("%s: %+v beside the gradient, %v, want %+v", name, lg, err, l)
					}
					inPlace := mat.DenseCopyOf(x)
					_, _ = k.funcs.grad(inPlace, inPlace, o)
					if !sameMatrix(inPlace, grad) {
						t.Errorf("%s: in place %s", name, firstDifference(inPlace, grad))
					}
					xRest := mat.NewDense(len(targetKept), d.cols, xKept)
					want, err := k.rest.loss(xRest, kept)
					if err != nil {
						t.Fatal(name, err)
					}
					if !sameBits([]float64{l.Sum, l.Weight}, []float64{want.Sum, want.Weight}) || l.Correct != want.Correct ||
						l.Rows != d.rows || l.Ignored != d.rows-len(targetKept) {
						t.Errorf("%s: %+v, without the ignored rows %+v", name, l, want)
					}
					var gradRest mat.Dense
					_, _ = k.rest.grad(&gradRest, xRest, kept)
					r := 0
					for i := range d.rows {
						got := grad.RawRowView(i)
						if ignored[i] {
							if !sameBits(got, make([]float64, d.cols)) || math.Float64bits(each[i]) != 0 {
								t.Errorf("%s: ignored row %d has loss %v and gradient %v", name, i, each[i], got)
							}
							continue
						}
						if !sameBits(got, gradRest.RawRowView(r)) {
							t.Errorf("%s: row %d has gradient %v, without the ignored rows %v", name, i, got, gradRest.RawRowView(r))
						}
						r++
					}
				}
			}
		}
	}
}

// TestNoWeight: with no weight at all there is no mean and nothing to learn.
func TestNoWeight(t *testing.T) {
	x := mat.NewDense(2, 3, []float64{1, 2, math.NaN(), 4, 5, 6})
	dist := mat.NewDense(2, 3, []float64{1, 0, 0, 0.5, 0.5, 0})
	finite := mat.NewDense(2, 3, []float64{1, 2, 3, 4, 5, 6})
	for _, c := range []struct {
		name  string
		x     *mat.Dense
		funcs []lossFuncs
		opts  logsoftmax.Options
	}{
		{"all ignored", x, []lossFuncs{nllFuncs([]int{-100, -100}), crossEntropyFuncs([]int{-100, -100})}, logsoftmax.Options{}},
		{"class ignored", x, []lossFuncs{nllFuncs([]int{1, 1}), crossEntropyFuncs([]int{1, 1})}, logsoftmax.Options{Ignore: []int{1}}},
		{
			"sample weights 0", x,
			[]lossFuncs{nllFuncs([]int{1, 2}), crossEntropyFuncs([]int{1, 2}), softCrossEntropyFuncs(dist)},
			logsoftmax.Options{SampleWeight: []float64{0, 0}},
		},
		{
			"class weights 0", finite,
			[]lossFuncs{nllFuncs([]int{1, 2}), crossEntropyFuncs([]int{1, 2})},
			logsoftmax.Options{Weight: []float64{1, 0, 0}},
		},
		{
			"all class weights 0", finite,
			[]lossFuncs{nllFuncs([]int{1, 2}), crossEntropyFuncs([]int{1, 2})},
			logsoftmax.Options{Weight: []float64{0, 0, 0}, LabelSmoothing: 0.1},
		},
	} {
		for _, f := range c.funcs {
			l, err := f.loss(c.x, &c.opts)
			if err != nil || l.Weight != 0 || math.Float64bits(l.Sum) != 0 || !math.IsNaN(l.Mean()) || !math.IsNaN(l.Perplexity()) || l.Rows != 2 {
				t.Errorf("%s: %+v, mean %v, %v", c.name, l, l.Mean(), err)
			}
			each, err := f.each(nil, c.x, &c.opts)
			if err != nil || !sameBits(each, []float64{0, 0}) {
				t.Errorf("%s: each %v, %v", c.name, each, err)
			}
			var grad mat.Dense
			lg, err := f.grad(&grad, c.x, &c.opts)
			if err != nil || lg != l || !sameBits(grad.RawMatrix().Data, make([]float64, 6)) {
				t.Errorf("%s: gradient %v, %+v, %v", c.name, grad.RawMatrix().Data, lg, err)
			}
		}
	}
}

// TestZeroTimesAnything: a zero class weight or target probability cancels an
// infinite loss.
func TestZeroTimesAnything(t *testing.T) {
	inf := math.Inf(1)
	x := mat.NewDense(1, 3, []float64{1, -inf, 2})
	logp := mat.NewDense(1, 3, []float64{-1, -inf, -2})
	plain := func(f lossFuncs, x mat.Matrix, o logsoftmax.Options) float64 {
		t.Helper()
		l, err := f.loss(x, &o)
		each, err2 := f.each(nil, x, &o)
		if err != nil || err2 != nil || math.Float64bits(each[0]) != math.Float64bits(l.Sum) {
			t.Errorf("%v, %v: %v and each %v", err, err2, l.Sum, each)
		}
		return l.Sum
	}
	lse := 2 + math.Log1p(math.Exp(-1))
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"label at -Inf", plain(crossEntropyFuncs([]int{1}), x, logsoftmax.Options{}), inf},
		{"its weight 0", plain(crossEntropyFuncs([]int{1}), x, logsoftmax.Options{Weight: []float64{1, 0, 1}}), 0},
		{"NLL, its weight 0", plain(nllFuncs([]int{1}), logp, logsoftmax.Options{Weight: []float64{1, 0, 1}}), 0},
		{"smoothing", plain(crossEntropyFuncs([]int{0}), x, logsoftmax.Options{LabelSmoothing: 0.1}), inf},
		{"smoothing, its weight 0", plain(crossEntropyFuncs([]int{0}), x, logsoftmax.Options{LabelSmoothing: 1, Weight: []float64{1, 0, 1}}), (2*lse - 3) / 3},
		{"smoothing 1, label at -Inf, its weight 0", plain(crossEntropyFuncs([]int{1}), x, logsoftmax.Options{LabelSmoothing: 1, Weight: []float64{3, 0, 3}}), 2*lse - 3},
		{"probability 0", plain(softCrossEntropyFuncs(mat.NewDense(1, 3, []float64{0.5, 0, 0.5})), x, logsoftmax.Options{}), lse - 1.5},
		{"probability above 0", plain(softCrossEntropyFuncs(mat.NewDense(1, 3, []float64{0.5, 1e-300, 0.5})), x, logsoftmax.Options{}), inf},
		{"its weight 0, soft", plain(softCrossEntropyFuncs(mat.NewDense(1, 3, []float64{0.5, 1e-300, 0.5})), x, logsoftmax.Options{Weight: []float64{1, 0, 1}}), lse - 1.5},
		{"negative sample weight", plain(crossEntropyFuncs([]int{1}), x, logsoftmax.Options{SampleWeight: []float64{-2}}), -inf},
		{"no probabilities", plain(softCrossEntropyFuncs(mat.NewDense(1, 3, nil)), x, logsoftmax.Options{SampleWeight: []float64{-2}}), 0},
	} {
		if c.got != c.want && !(math.Abs(c.got-c.want) <= 1e-15*math.Abs(c.want)) || c.got == 0 && math.Signbit(c.got) {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
}

// TestNoMinusZero: no loss and no gradient is -0, whatever the signs of the
// weights.
func TestNoMinusZero(t *testing.T) {
	inf := math.Inf(1)
	rows := []float64{
		0, -800, -inf,
		-800, 0, -inf,
		1e308, -1e308, 0,
		-inf, 5, -inf,
		0, 0, -1000,
	}
	for _, sign := range []float64{1, -1, 1e-300, -1e-300} {
		for y := range 3 {
			for _, cols := range []int{1, 3} {
				x := mat.NewDense(5, cols, rows[:5*cols])
				if cols == 1 {
					x = mat.NewDense(5, 1, []float64{0, 1, -1, 1e308, math.Copysign(0, -1)})
				}
				target := []int{y % cols, y % cols, y % cols, y % cols, y % cols}
				dist := oneHotMatrix(target, cols)
				o := &logsoftmax.Options{Reduction: logsoftmax.Sum, SampleWeight: []float64{sign, sign, sign, sign, sign}}
				for _, smoothing := range []float64{0, 1} {
					o.LabelSmoothing = smoothing
					var logp mat.Dense
					logsoftmax.LogSoftmax(&logp, x, 1)
					for name, k := range map[string]lossFuncs{
						"NLL": nllFuncs(target), "CrossEntropy": crossEntropyFuncs(target), "SoftCrossEntropy": softCrossEntropyFuncs(dist),
					} {
						in := x
						if name == "NLL" {
							in = &logp
						}
						name = fmt.Sprintf("%s, sample weight %v, target %d of %d, smoothing %v", name, sign, y, cols, smoothing)
						each, err := k.each(nil, in, o)
						if err != nil {
							t.Fatal(err)
						}
						noMinusZero(t, name, each)
						var grad mat.Dense
						l, err := k.grad(&grad, in, o)
						if err != nil {
							t.Fatal(err)
						}
						noMinusZero(t, name, []float64{l.Sum, l.Mean()})
						noMinusZero(t, name+", gradient", grad.RawMatrix().Data)
						up := mat.NewDense(5, cols, nil)
						up.Apply(func(i, j int, _ float64) float64 { return sign * float64((i+j)%2) }, up)
						var vjp mat.Dense
						logsoftmax.LogSoftmaxGrad(&vjp, &logp, up, 1)
						noMinusZero(t, name+", LogSoftmaxGrad", vjp.RawMatrix().Data)
					}
				}
			}
		}
	}
}

// TestNLLReadsOnlyWhatItNeeds: without smoothing that is one entry of a row,
// and the gradient needs none.
func TestNLLReadsOnlyWhatItNeeds(t *testing.T) {
	nan := math.NaN()
	logp := mat.NewDense(3, 3, []float64{nan, -1, math.Inf(1), -2, nan, nan, nan, nan, nan})
	target := []int{1, 0, -100}
	l, err := logsoftmax.NLL(logp, target, nil)
	if err != nil || l.Sum != 3 || l.Weight != 2 || l.Ignored != 1 || l.Correct != 0 {
		t.Errorf("%+v, %v", l, err)
	}
	var grad mat.Dense
	if _, err := logsoftmax.NLLGrad(&grad, logp, target, nil); err != nil ||
		!sameBits(grad.RawMatrix().Data, []float64{0, -0.5, 0, -0.5, 0, 0, 0, 0, 0}) {
		t.Errorf("%v, %v", grad.RawMatrix().Data, err)
	}
	// Log-probabilities need not be normalized, nor negative.
	l, err = logsoftmax.NLL(mat.NewDense(1, 2, []float64{3, 4}), []int{1}, nil)
	if err != nil || l.Sum != -4 {
		t.Errorf("%+v, %v", l, err)
	}
}

// TestProbabilityAtMostOne has largest entries whose probability is next to 1
// along rows and columns of every length that is worked on differently.
func TestProbabilityAtMostOne(t *testing.T) {
	r := rand.New(rand.NewPCG(61, 62))
	for _, s := range []struct{ rows, cols int }{
		{1, 1}, {300, 1}, {300, 2}, {200, 3}, {100, 10}, {100, 64}, {200, 65}, {100, 700}, {40, 2048}, {40, 2049}, {60, 5000},
	} {
		x := mat.NewDense(s.rows, s.cols, nil)
		for i := range s.rows {
			row := x.RawRowView(i)
			for j := range row {
				row[j] = 5 * r.NormFloat64()
			}
			row[r.IntN(s.cols)] += 20 + 60*r.Float64()
			if i%4 == 0 && s.cols > 1 {
				// Two of them.
				first := r.IntN(s.cols)
				row[first], row[(first+1+r.IntN(s.cols-1))%s.cols] = 200, 200
			}
		}
		for dim := range 2 {
			var p mat.Dense
			if dim == 1 {
				logsoftmax.Softmax(&p, x, 1)
			} else {
				logsoftmax.Softmax(&p, x.T(), 0)
			}
			if dim == 0 {
				p = *mat.DenseCopyOf(p.T())
			}
			for i := 0; i < s.rows && s.cols > 1; i += 4 {
				if v := mat.Max(p.RowView(i)); math.Abs(v-0.5) > 0x1p-50 {
					t.Errorf("%d×%d, dim %d: of two equal logits the probability is %v", s.rows, s.cols, dim, v)
				}
			}
			if v := mat.Max(&p); v > 1 {
				t.Errorf("%d×%d, dim %d: a probability is 1 + %v", s.rows, s.cols, dim, v-1)
			}
			if s.cols == 1 && mat.Min(&p) != 1 {
				t.Errorf("dim %d: the probability of one class is %v", dim, mat.Min(&p))
			}
		}
	}
}

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
		{"the same, smoothed", 3, some, nil, distributions(1e308), logsoftmax.Options{Weight: []float64{1e-300, 2e-300, 3e-300}, LabelSmoothing: 1e-14}},
		{"small weights and a smaller smoothing", 3, some, three, nil, logsoftmax.Options{Weight: []float64{1e-15, 2e-15, 5e-15}, LabelSmoothing: 1e-300}},
		{"the smallest smoothing", 3, some, three, nil, logsoftmax.Options{LabelSmoothing: 5e-324}},
		{"large weights, small sample weights", 3, some, three, nil, logsoftmax.Options{Weight: []float64{1e307, 1e306, 5e307}, SampleWeight: []float64{1e-4, 1e-3, 1e-3}, LabelSmoothing: 0.5}},
		{"large weights of distributions", 3, some, nil, distributions(0.5), logsoftmax.Options{Weight: []float64{1e307, 1e306, 1.5e308}, SampleWeight: []float64{1e-4, 1e-3, 1e-3}}},
		{"weights far apart", 3, some, three, nil, logsoftmax.Options{Weight: []float64{1e-300, 1, 1e300}}},
		{"weights far apart, smoothed", 3, some, three, nil, logsoftmax.Options{Weight: []float64{1e-200, 1, 1e200}, LabelSmoothing: 1e-10}},
		{"small sample weights and a smaller smoothing", 3, [][]float64{{1, -2, -700}, {0, 3, -710}}, []int{0, 0}, nil, logsoftmax.Options{SampleWeight: []float64{1e-130, 3e-130}, LabelSmoothing: 1e-200}},
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
		var target []float64
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
		"LabelSmoothing ": func() error {
			_, err := logsoftmax.NLL(x, []int{0, 1}, &logsoftmax.Options{Weight: []float64{1e300, 1e300}, LabelSmoothing: 1e-300})
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
	for _, weight := range [][]float64{nil, {1e100, 1e100}} {
		loss, err := logsoftmax.CrossEntropy(x, []int{0, 1}, &logsoftmax.Options{Weight: weight, LabelSmoothing: 5e-324})
		if err != nil || !math.IsInf(loss.Sum, 1) {
			t.Errorf("a logit of -Inf with the smallest smoothing and weights %v: %v, %v", weight, loss, err)
		}
	}
}

// TestNLLGradBeyondRange has a loss that overflows, and a gradient of the mean
// that does not.
func TestNLLGradBeyondRange(t *testing.T) {
	var grad mat.Dense
	opts := &logsoftmax.Options{Weight: []float64{1, 1e250}, SampleWeight: []float64{1e100}, LabelSmoothing: 0.5}
	if _, err := logsoftmax.NLLGrad(&grad, mat.NewDense(1, 2, []float64{-1, -1}), []int{0}, opts); err != nil {
		t.Fatal(err)
	}
	if got := grad.RawRowView(0); got[0] != -0.75 || got[1] != -0.25e250 {
		t.Errorf("the gradient is %v", got)
	}
}

// TestOverflowingCoefficients has distributions of which a coefficient, or their
// sum, is too large for a float64 and the loss is not, on every route that rows
// take, with a gradient and without.
func TestOverflowingCoefficients(t *testing.T) {
	defer logsoftmax.BufferAtMost(2 * kernel.ChunkLen)()
	for _, classes := range []int{1, 2, 70, 2100, 5000} {
		for _, rows := range []int{1, 20} {
			x, target, weight := mat.NewDense(rows, classes, nil), mat.NewDense(rows, classes, nil), make([]float64, classes)
			for i := range rows {
				x.Set(i, 0, 30)
				target.Set(i, 0, 1e308)
			}
			for c := range weight {
				weight[c] = 1
			}
			weight[0] = 2
			for _, smoothing := range []float64{0, 0.1} {
				opts := &logsoftmax.Options{Weight: weight, LabelSmoothing: smoothing, Reduction: logsoftmax.Sum}
				row := exact.NewRow(x.RawRowView(0))
				want := row.Loss(exact.Coefficients(target.RawRowView(0), weight, smoothing))
				each, err := logsoftmax.SoftCrossEntropyEach(nil, x, target, opts)
				if err != nil {
					t.Fatal(err)
				}
				for i, l := range each {
					if ulps := exact.Error(l, want, want); !(ulps <= 8) {
						t.Errorf("%d×%d, smoothing %v: the loss of row %d is %v, want %.17g", rows, classes, smoothing, i, l, want)
						break
					}
				}
				loss, err := logsoftmax.SoftCrossEntropy(x, target, opts)
				if err != nil {
					t.Fatal(err)
				}
				var grad mat.Dense
				if l, err := logsoftmax.SoftCrossEntropyGrad(&grad, x, target, opts); err != nil || l != loss {
					t.Errorf("%d×%d, smoothing %v: the loss is %v, with a gradient %v, %v", rows, classes, smoothing, loss, l, err)
				}
			}
			if classes == 1 {
				continue
			}
			// A logit of -Inf makes it infinite all the same.
			for i := range rows {
				for c := range classes {
					x.Set(i, c, math.Inf(-1))
					target.Set(i, c, 1e308)
				}
				x.Set(i, 0, 0)
			}
			for _, smoothing := range []float64{0, 0.1} {
				opts := &logsoftmax.Options{LabelSmoothing: smoothing}
				loss, err := logsoftmax.SoftCrossEntropy(x, target, opts)
				if err != nil || !math.IsInf(loss.Sum, 1) {
					t.Errorf("%d×%d, smoothing %v: a logit of -Inf makes the loss %v, %v", rows, classes, smoothing, loss, err)
				}
			}
		}
	}
}

// TestOverflowingSum has distributions whose loss before a small sample weight is
// too large for a float64, though neither of the two parts that make it up is,
// beside others and alone.
func TestOverflowingSum(t *testing.T) {
	const weight = 1e-20
	for _, classes := range []int{2, 3, 10, 33, 64, 65} {
		// Two classes of some 0.4 the largest float64 each: log Σ is about the
		// number that makes their sum times it nearly as large, and the second is
		// as far behind as to make up for what is missing, and more.
		row := make([]float64, classes)
		target := make([]float64, classes)
		row[1] = -0.7
		target[0], target[1] = 1.1e308, 0.6e308
		for c := 2; c < classes; c++ {
			row[c] = -0.2 - math.Log(float64(classes))
		}
		r := exact.NewRow(row)
		want := r.Loss(exact.Coefficients(target, nil, 0))
		want.Mul(want, big.NewFloat(weight))
		for _, rows := range []int{1, 3, 8, 70} {
			x, q, s := mat.NewDense(rows, classes, nil), mat.NewDense(rows, classes, nil), make([]float64, rows)
			for i := range rows {
				x.SetRow(i, row)
				q.SetRow(i, target)
				s[i] = weight
			}
			opts := &logsoftmax.Options{SampleWeight: s, Reduction: logsoftmax.Sum}
			each, err := logsoftmax.SoftCrossEntropyEach(nil, x, q, opts)
			if err != nil {
				t.Fatal(err)
			}
			for i, l := range each {
				if ulps := exact.Error(l, want, want); !(ulps <= 8) {
					t.Errorf("%d×%d: the loss of row %d is %v, want %.17g", rows, classes, i, l, want)
					break
				}
			}
			var grad mat.Dense
			l, err := logsoftmax.SoftCrossEntropyGrad(&grad, x, q, opts)
			if loss, _ := logsoftmax.SoftCrossEntropy(x, q, opts); err != nil || l != loss || !(l.Sum < math.Inf(1)) {
				t.Errorf("%d×%d: the loss is %v, with a gradient %v, %v", rows, classes, loss, l, err)
			}
		}
	}
}
