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
	"example.org/logsoftmax/internal/exact"
)

// drawing has what tests draw for a batch.
type drawing struct {
	rnd        *rand.Rand
	rows, cols int
}

func (d drawing) normal(sd float64) *mat.Dense {
	x := mat.NewDense(d.rows, d.cols, nil)
	for i := range d.rows {
		normal(sd)(d.rnd, x.RawRowView(i))
	}
	return x
}

// labels draws classes, and -100 for one row in eight.
func (d drawing) labels() []int {
	target := make([]int, d.rows)
	for i := range target {
		target[i] = d.rnd.IntN(d.cols)
		if d.rnd.IntN(8) == 0 {
			target[i] = -100
		}
	}
	return target
}

// distribution draws a distribution over the classes for each row, with some
// probabilities 0.
func (d drawing) distribution() *mat.Dense {
	p := mat.NewDense(d.rows, d.cols, nil)
	for i := range d.rows {
		row := p.RawRowView(i)
		sum := 0.0
		for j := range row {
			if d.rnd.IntN(4) > 0 {
				row[j] = d.rnd.ExpFloat64()
				sum += row[j]
			}
		}
		for j := range row {
			if sum > 0 {
				row[j] /= sum
			}
		}
	}
	return p
}

func (d drawing) vector(n int, draw func(*rand.Rand) float64) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = draw(d.rnd)
	}
	return v
}

// What weights are drawn from. Some are 0.
func positiveOrZero(rnd *rand.Rand) float64 { return max(0, rnd.ExpFloat64()-0.2) }

func anySign(rnd *rand.Rand) float64 { return rnd.NormFloat64() * float64(min(rnd.IntN(5), 1)) }

// eachOptions calls f with every combination of options, each reduction with
// what it allows.
func (d drawing) eachOptions(f func(name string, opts *logsoftmax.Options)) {
	for _, smoothing := range []float64{0, 0.1, 1} {
		for _, weight := range []string{"none", "positive", "zeros"} {
			for _, sampleWeight := range []string{"none", "positive", "any sign"} {
				for _, ignore := range [][]int{nil, {0, -100}, {-100, d.cols - 1, 1 << 30}} {
					for _, reduction := range []logsoftmax.Reduction{logsoftmax.Mean, logsoftmax.Sum} {
						o := &logsoftmax.Options{LabelSmoothing: smoothing, Ignore: ignore, Reduction: reduction}
						switch weight {
						case "positive":
							o.Weight = d.vector(d.cols, func(rnd *rand.Rand) float64 { return 0.1 + rnd.ExpFloat64() })
						case "zeros":
							o.Weight = d.vector(d.cols, positiveOrZero)
						}
						switch sampleWeight {
						case "positive":
							o.SampleWeight = d.vector(d.rows, positiveOrZero)
						case "any sign":
							if reduction == logsoftmax.Mean {
								continue
							}
							o.SampleWeight = d.vector(d.rows, anySign)
						}
						f(fmt.Sprintf("smoothing %v, weight %s, sample weight %s, ignore %v, reduction %v",
							smoothing, weight, sampleWeight, ignore, reduction), o)
					}
				}
			}
		}
	}
}

func TestGradientsAreDifferences(t *testing.T) {
	const (
		h   = 0x1p-16
		tol = 3e-9
	)
	d := drawing{rand.New(rand.NewPCG(1, 20)), 4, 5}
	x := d.normal(2)
	target := []int{3, -100, 0, 4}
	var logp mat.Dense
	logsoftmax.LogSoftmax(&logp, x, 1)
	kinds := []struct {
		name  string
		x     *mat.Dense
		funcs lossFuncs
	}{
		{"NLL", &logp, nllFuncs(target)},
		{"CrossEntropy", x, crossEntropyFuncs(target)},
		{"SoftCrossEntropy", x, softCrossEntropyFuncs(d.distribution())},
	}
	for _, k := range kinds {
		d.eachOptions(func(name string, opts *logsoftmax.Options) {
			value := func(x mat.Matrix) float64 {
				l, err := k.funcs.loss(x, opts)
				if err != nil {
					t.Fatalf("%s, %s: %v", k.name, name, err)
				}
				if opts.Reduction == logsoftmax.Mean {
					return l.Mean()
				}
				return l.Sum
			}
			var grad mat.Dense
			l, err := k.funcs.grad(&grad, k.x, opts)
			if err != nil {
				t.Fatalf("%s, %s: %v", k.name, name, err)
			}
			if l.Weight == 0 && opts.Reduction == logsoftmax.Mean {
				return
			}
			differences(t, k.name+", "+name, k.x, &grad, value, h, tol)
		})
	}
	for _, dim := range []int{0, 1} {
		upstream := d.normal(1)
		var logp, grad mat.Dense
		logsoftmax.LogSoftmax(&logp, x, dim)
		logsoftmax.LogSoftmaxGrad(&grad, &logp, upstream, dim)
		differences(t, fmt.Sprintf("LogSoftmaxGrad, dim %d", dim), x, &grad, func(x mat.Matrix) float64 {
			var y mat.Dense
			logsoftmax.LogSoftmax(&y, x, dim)
			y.MulElem(&y, upstream)
			return mat.Sum(&y)
		}, h, tol)
	}
}

// differences compares grad with central differences of value at x.
func differences(t *testing.T, what string, x, grad *mat.Dense, value func(mat.Matrix) float64, h, tol float64) {
	t.Helper()
	r, c := x.Dims()
	for i := range r {
		for j := range c {
			y := mat.DenseCopyOf(x)
			y.Set(i, j, x.At(i, j)+h)
			above := value(y)
			y.Set(i, j, x.At(i, j)-h)
			below := value(y)
			want := (above - below) / (2 * h)
			if got := grad.At(i, j); !(math.Abs(got-want) <= tol*(1+math.Abs(want))) {
				t.Errorf("%s: gradient (%d, %d) is %v, by differences %v", what, i, j, got, want)
			}
		}
	}
}

func TestShiftInvariance(t *testing.T) {
	// The logits are multiples of 2^-20, so that the shifts are exact.
	rnd := rand.New(rand.NewPCG(2, 20))
	for _, cols := range []int{1, 2, 7, 33, 200} {
		x := mat.NewDense(20, cols, nil)
		for i := range 20 {
			for j := range cols {
				x.Set(i, j, math.Round(rnd.NormFloat64()*10*0x1p20)*0x1p-20)
			}
		}
		var want mat.Dense
		logsoftmax.LogSoftmax(&want, x, 1)
		lse := logsoftmax.LogSumExp(nil, x, 1)
		for _, shift := range []float64{1, -1, 100, -1000, 1599, 1601, -1 << 20, 1 << 32} {
			var shifted, got mat.Dense
			shifted.Apply(func(_, _ int, v float64) float64 { return v + shift }, x)
			logsoftmax.LogSoftmax(&got, &shifted, 1)
			for i := range 20 {
				for j, g := range got.RawRowView(i) {
					w := want.At(i, j)
					if ulps := exact.Error(g, exact.Float(w), exact.Float(w)); !(ulps <= 2*maxUlpLogProb) {
						t.Errorf("%d classes, shift %v: %v, without %v", cols, shift, g, w)
					}
				}
			}
			for i, g := range logsoftmax.LogSumExp(nil, &shifted, 1) {
				w := lse[i] + shift
				if !(math.Abs(g-w) <= 4e-16*(math.Abs(w)+math.Abs(shift)+40)) {
					t.Errorf("%d classes, shift %v: LogSumExp %v, want %v", cols, shift, g, w)
				}
			}
		}
	}
}

func TestProbabilities(t *testing.T) {
	for _, cols := range []int{1, 2, 10, 100, 3000} {
		d := drawing{rand.New(rand.NewPCG(3, 20)), 10, cols}
		x := d.normal(3)
		var p, logp mat.Dense
		logsoftmax.Softmax(&p, x, 1)
		logsoftmax.LogSoftmax(&logp, x, 1)
		for i := range d.rows {
			sum := exact.New()
			for j, v := range p.RawRowView(i) {
				sum.Add(sum, exact.Float(v))
				if w := math.Exp(logp.At(i, j)); math.Abs(v-w) > 1e-14*w {
					t.Errorf("%d classes: probability %v, exp of the log-probability %v", cols, v, w)
				}
			}
			one := exact.Float(1)
			if ulps := exact.Error(1, sum, one); !(ulps <= maxUlpProb) {
				t.Errorf("%d classes: probabilities add up to %v", cols, sum)
			}
		}
	}
}

// oneHotMatrix has the labels as distributions.
func oneHotMatrix(target []int, cols int) *mat.Dense {
	m := mat.NewDense(len(target), cols, nil)
	for i, y := range target {
		m.Set(i, y, 1)
	}
	return m
}

func TestLabelsAreOneHotDistributions(t *testing.T) {
	for _, cols := range []int{1, 2, 3, 5, 8, 10, 17, 33, 100, 2049} {
		for _, sd := range []float64{0.1, 1, 10, 100} {
			rows := 40
			if cols > 200 {
				rows = 5
			}
			d := drawing{rand.New(rand.NewPCG(uint64(cols), 21)), rows, cols}
			x := d.normal(sd)
			target := make([]int, rows)
			for i := range target {
				target[i] = d.rnd.IntN(cols)
				if i%2 == 0 {
					// Confident, and right.
					row := x.RawRowView(i)
					target[i] = slices.Index(row, slices.Max(row))
					row[target[i]] += 40 * d.rnd.Float64()
				}
			}
			hot := oneHotMatrix(target, cols)
			for _, o := range []*logsoftmax.Options{
				nil,
				{SampleWeight: d.vector(rows, positiveOrZero)},
				{LabelSmoothing: 0.1},
				{LabelSmoothing: 1, SampleWeight: d.vector(rows, positiveOrZero)},
				{Weight: d.vector(cols, positiveOrZero)},
				{Weight: d.vector(cols, positiveOrZero), LabelSmoothing: 0.3, SampleWeight: d.vector(rows, positiveOrZero)},
			} {
				o := o
				if o == nil {
					o = &logsoftmax.Options{}
				}
				name := fmt.Sprintf("%d classes, sd %v, smoothing %v, weight %v, sample weight %v",
					cols, sd, o.LabelSmoothing, o.Weight != nil, o.SampleWeight != nil)
				l, err := logsoftmax.CrossEntropy(x, target, o)
				ls, errs := logsoftmax.SoftCrossEntropy(x, hot, o)
				if err != nil || errs != nil {
					t.Fatal(name, err, errs)
				}
				near := func(what string, got, want float64) {
					t.Helper()
					if got != want && !(math.Abs(got-want) <= 1e-15*math.Abs(want)) {
						t.Errorf("%s: %s is %v for distributions, %v for labels", name, what, got, want)
					}
				}
				near("Sum", ls.Sum, l.Sum)
				if l.Rows != ls.Rows || l.Ignored != ls.Ignored {
					t.Errorf("%s: %+v for distributions, %+v for labels", name, ls, l)
				}
				if o.Weight == nil {
					near("Weight", ls.Weight, l.Weight)
					near("Mean", ls.Mean(), l.Mean())
				}
				each, _ := logsoftmax.CrossEntropyEach(nil, x, target, o)
				eachSoft, _ := logsoftmax.SoftCrossEntropyEach(nil, x, hot, o)
				for i := range each {
					near(fmt.Sprintf("loss %d", i), eachSoft[i], each[i])
				}
				sum := *o
				sum.Reduction = logsoftmax.Sum
				var g, gs mat.Dense
				_, _ = logsoftmax.CrossEntropyGrad(&g, x, target, &sum)
				_, _ = logsoftmax.SoftCrossEntropyGrad(&gs, x, hot, &sum)
				exact := o.Weight == nil && o.LabelSmoothing == 0
				for i := range rows {
					for j, w := range g.RawRowView(i) {
						v := gs.At(i, j)
						// Terms may cancel where there is more than one of them.
						tol := 4e-15 * math.Abs(w)
						if !exact {
							tol += 1e-16 * slices.Max(append([]float64{1}, o.Weight...)) * 10
						}
						if v != w && !(math.Abs(v-w) <= tol) {
							t.Errorf("%s: gradient (%d, %d) is %v for distributions, %v for labels", name, i, j, v, w)
						}
					}
				}
				if o.Weight == nil && o.SampleWeight == nil && o.LabelSmoothing == 0 {
					if !sameBits(each, eachSoft) || l.Sum != ls.Sum || l.Mean() != ls.Mean() {
						t.Errorf("%s: losses of labels and one-hot distributions differ in the last digits", name)
					}
					if !sameMatrix(&g, &gs) {
						t.Errorf("%s: gradients of labels and one-hot distributions differ at %s", name, firstDifference(&gs, &g))
					}
				}
			}
		}
	}
}

func TestLossesAddUp(t *testing.T) {
	const rows, cols = 1000, 3
	d := drawing{rand.New(rand.NewPCG(4, 20)), rows, cols}
	x := d.normal(5)
	target := d.labels()
	dist := d.distribution()
	for _, signed := range []bool{false, true} {
		weights := d.vector(rows, positiveOrZero)
		classWeights := d.vector(cols, positiveOrZero)
		if signed {
			weights = d.vector(rows, anySign)
		}
		part := func(kind string, i, j int) logsoftmax.Loss {
			t.Helper()
			o := &logsoftmax.Options{Weight: classWeights, SampleWeight: weights[i:j]}
			xs := x.Slice(i, j, 0, cols)
			var l logsoftmax.Loss
			var err error
			switch kind {
			case "CrossEntropy":
				l, err = logsoftmax.CrossEntropy(xs, target[i:j], o)
			case "NLL":
				l, err = logsoftmax.NLL(xs, target[i:j], o)
			case "SoftCrossEntropy":
				l, err = logsoftmax.SoftCrossEntropy(xs, dist.Slice(i, j, 0, cols), o)
			}
			if err != nil {
				t.Fatal(err)
			}
			return l
		}
		for _, kind := range []string{"CrossEntropy", "NLL", "SoftCrossEntropy"} {
			whole := part(kind, 0, rows)
			for _, parts := range []int{1, 2, 3, 10, 100, rows} {
				cuts := []int{0, rows}
				for range parts - 1 {
					cuts = append(cuts, 1+d.rnd.IntN(rows-1))
				}
				if parts == rows {
					cuts = cuts[:0]
					for i := range rows + 1 {
						cuts = append(cuts, i)
					}
				}
				slices.Sort(cuts)
				cuts = slices.Compact(cuts)
				var pieces []logsoftmax.Loss
				for k := range len(cuts) - 1 {
					pieces = append(pieces, part(kind, cuts[k], cuts[k+1]))
				}
				d.rnd.Shuffle(len(pieces), func(i, j int) { pieces[i], pieces[j] = pieces[j], pieces[i] })
				var total logsoftmax.Loss
				for _, p := range pieces {
					total.Add(p)
				}
				for _, v := range []struct {
					name      string
					got, want float64
				}{{"Sum", total.Sum, whole.Sum}, {"Weight", total.Weight, whole.Weight}, {"Mean", total.Mean(), whole.Mean()}} {
					if ulps := exact.Error(v.got, exact.Float(v.want), exact.Float(v.want)); !(ulps <= 1) {
						t.Errorf("%s in %d parts, weights of any sign %v: %s is %v, of the whole %v", kind, len(pieces), signed, v.name, v.got, v.want)
					}
				}
				if total.Rows != whole.Rows || total.Ignored != whole.Ignored || total.Correct != whole.Correct {
					t.Errorf("%s in %d parts: %+v, the whole is %+v", kind, len(pieces), total, whole)
				}
			}
		}
	}
}

// TestCrossEntropyIsNLLOfLogSoftmax is the identity of the package, for every
// option and whatever the logits hold.
func TestCrossEntropyIsNLLOfLogSoftmax(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, shape := range [][2]int{{1, 1}, {1, 2}, {7, 3}, {20, 2}, {33, 10}, {9, 64}, {5, 100}, {3, 2049}} {
		d := drawing{rand.New(rand.NewPCG(uint64(shape[1]), 22)), shape[0], shape[1]}
		for _, special := range []bool{false, true} {
			x := d.normal(4)
			if special {
				for i := range d.rows {
					row := x.RawRowView(i)
					switch i % 6 {
					case 0:
						row[d.rnd.IntN(d.cols)] += 40
					case 1:
						row[d.rnd.IntN(d.cols)] = -inf
					case 2:
						row[d.rnd.IntN(d.cols)] = nan
					case 3:
						row[d.rnd.IntN(d.cols)] = inf
					case 4:
						for j := range row {
							row[j] = -inf
						}
					case 5:
						row[d.rnd.IntN(d.cols)] = -1e308
						row[d.rnd.IntN(d.cols)] = 1e308
					}
				}
			}
			target := d.labels()
			var logp mat.Dense
			logsoftmax.LogSoftmax(&logp, x, 1)
			d.eachOptions(func(name string, o *logsoftmax.Options) {
				name = fmt.Sprintf("%d×%d, special %v, %s", d.rows, d.cols, special, name)
				ce, err1 := logsoftmax.CrossEntropy(x, target, o)
				nll, err2 := logsoftmax.NLL(&logp, target, o)
				if err1 != nil || err2 != nil {
					t.Fatal(name, err1, err2)
				}
				if !sameBits([]float64{ce.Sum, ce.Weight, ce.Mean()}, []float64{nll.Sum, nll.Weight, nll.Mean()}) ||
					ce.Rows != nll.Rows || ce.Ignored != nll.Ignored {
					t.Errorf("%s: CrossEntropy %+v, NLL %+v", name, ce, nll)
				}
				each, err1 := logsoftmax.CrossEntropyEach(nil, x, target, o)
				eachNLL, err2 := logsoftmax.NLLEach(nil, &logp, target, o)
				if err1 != nil || err2 != nil {
					t.Fatal(name, err1, err2)
				}
				if !sameBits(each, eachNLL) {
					t.Errorf("%s: CrossEntropyEach %v, NLLEach %v", name, each, eachNLL)
				}
				noMinusZero(t, name, each)
				var g, gNLL mat.Dense
				lossG, err1 := logsoftmax.CrossEntropyGrad(&g, x, target, o)
				lossNLL, err2 := logsoftmax.NLLGrad(&gNLL, &logp, target, o)
				if err1 != nil || err2 != nil {
					t.Fatal(name, err1, err2)
				}
				// The loss beside the gradient is the loss.
				if !sameBits([]float64{lossG.Sum, lossG.Weight}, []float64{ce.Sum, ce.Weight}) || lossG.Correct != ce.Correct ||
					!sameBits([]float64{lossNLL.Sum, lossNLL.Weight}, []float64{nll.Sum, nll.Weight}) {
					t.Errorf("%s: beside the gradient CrossEntropy %+v, NLL %+v, without %+v", name, lossG, lossNLL, ce)
				}
				noMinusZero(t, name, g.RawMatrix().Data)
				noMinusZero(t, name, gNLL.RawMatrix().Data)
				if special {
					return
				}
				// The chain rule.
				var chain mat.Dense
				logsoftmax.LogSoftmaxGrad(&chain, &logp, &gNLL, 1)
				noMinusZero(t, name, chain.RawMatrix().Data)
				for i := range d.rows {
					scale := 0.0
					for _, v := range gNLL.RawRowView(i) {
						scale += math.Abs(v)
					}
					for j, v := range chain.RawRowView(i) {
						if w := g.At(i, j); !(math.Abs(v-w) <= 2e-14*scale) {
							t.Errorf("%s: gradient (%d, %d) is %v by NLLGrad and LogSoftmaxGrad, %v by CrossEntropyGrad", name, i, j, v, w)
						}
					}
				}
			})
		}
	}
}

// TestConfidentChain: by NLLGrad and LogSoftmaxGrad a confident row keeps its
// digits as well.
func TestConfidentChain(t *testing.T) {
	for gap := 0.0; gap < 740; gap += 7.3 {
		x := mat.NewDense(1, 3, []float64{0, gap, -1})
		var logp, gNLL, chain, g mat.Dense
		logsoftmax.LogSoftmax(&logp, x, 1)
		if _, err := logsoftmax.NLLGrad(&gNLL, &logp, []int{1}, nil); err != nil {
			t.Fatal(err)
		}
		logsoftmax.LogSoftmaxGrad(&chain, &logp, &gNLL, 1)
		if _, err := logsoftmax.CrossEntropyGrad(&g, x, []int{1}, nil); err != nil {
			t.Fatal(err)
		}
		for j := range 3 {
			// The log-probabilities are rounded, and exp magnifies that.
			v, w := chain.At(0, j), g.At(0, j)
			if !(math.Abs(v-w) <= (4e-16*(4+gap))*math.Abs(w)+2e-323) {
				t.Errorf("gap %v: gradient %d is %v by the chain rule, %v fused", gap, j, v, w)
			}
		}
	}
}

// TestLossDefinitions holds Loss and Each to their definitions, row by row.
func TestLossDefinitions(t *testing.T) {
	for _, shape := range [][2]int{{9, 4}, {30, 2}, {11, 17}} {
		d := drawing{rand.New(rand.NewPCG(uint64(shape[1]), 23)), shape[0], shape[1]}
		x := d.normal(3)
		target := d.labels()
		dist := d.distribution()
		for i := range d.rows {
			// Some ties for the largest, of which the first is the prediction.
			if i%3 == 0 {
				row := x.RawRowView(i)
				m := slices.Max(row)
				row[d.rnd.IntN(d.cols)] = m
				row[d.rnd.IntN(d.cols)] = m
			}
		}
		d.eachOptions(func(name string, o *logsoftmax.Options) {
			name = fmt.Sprintf("%d×%d, %s", d.rows, d.cols, name)
			for _, soft := range []bool{false, true} {
				var l logsoftmax.Loss
				var each []float64
				var err error
				if soft {
					l, err = logsoftmax.SoftCrossEntropy(x, dist, o)
					each, _ = logsoftmax.SoftCrossEntropyEach(make([]float64, d.rows), x, dist, o)
				} else {
					l, err = logsoftmax.CrossEntropy(x, target, o)
					each, _ = logsoftmax.CrossEntropyEach(make([]float64, d.rows), x, target, o)
				}
				if err != nil || len(each) != d.rows {
					t.Fatal(name, err)
				}
				ignore := o.Ignore
				if ignore == nil {
					ignore = []int{-100}
				}
				weight, ignored, correct := exact.New(), 0, 0
				for i := range d.rows {
					s := 1.0
					if o.SampleWeight != nil {
						s = o.SampleWeight[i]
					}
					if s == 0 || !soft && slices.Contains(ignore, target[i]) {
						ignored++
						if math.Float64bits(each[i]) != 0 {
							t.Errorf("%s: the loss of ignored row %d is %v", name, i, each[i])
						}
						continue
					}
					row := x.RawRowView(i)
					e := exact.NewRow(row)
					tw := 1.0
					tg := dist.RawRowView(i)
					if !soft {
						tg = exact.OneHot(d.cols, target[i])
						if o.Weight != nil {
							tw = o.Weight[target[i]]
						}
						if slices.Index(row, slices.Max(row)) == target[i] {
							correct++
						}
					}
					weight.Add(weight, exact.New().Mul(exact.Float(tw), exact.Float(s)))
					want, _ := e.Loss(exact.Coefficients(tg, o.Weight, o.LabelSmoothing)).Float64()
					want *= s
					if !(math.Abs(each[i]-want) <= 3e-15*math.Abs(want)) {
						t.Errorf("%s, soft %v: loss %d is %v, want %v", name, soft, i, each[i], want)
					}
				}
				w, _ := weight.Float64()
				if math.Abs(l.Weight-w) > 1e-14 || l.Rows != d.rows || l.Ignored != ignored || l.Correct != correct {
					t.Errorf("%s, soft %v: %+v, want weight %v, ignored %d, correct %d", name, soft, l, w, ignored, correct)
				}
				accuracy := math.NaN()
				if n := l.Rows - l.Ignored; n > 0 && !soft {
					accuracy = float64(correct) / float64(n)
				}
				if got := l.Accuracy(); got != accuracy && !(math.IsNaN(got) && math.IsNaN(accuracy)) {
					t.Errorf("%s: Accuracy %v of %+v", name, l.Accuracy(), l)
				}
				if m := l.Mean(); l.Weight == 0 && !math.IsNaN(m) ||
					l.Weight != 0 && math.Abs(l.Perplexity()-math.Exp(m)) > 1e-14*math.Exp(m) {
					t.Errorf("%s: Mean %v, Perplexity %v", name, m, l.Perplexity())
				}
			}
		})
	}
}
