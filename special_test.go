// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"example.org/logsoftmax"
	"example.org/logsoftmax/internal/testkit"
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
