// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"example.org/logsoftmax/internal/exact"
	"example.org/logsoftmax/internal/kernel"
)

const seriesPrec = 300

func seriesFloat(x float64) *big.Float {
	return new(big.Float).SetPrec(seriesPrec).SetFloat64(x)
}

// seriesExp returns e^x by the power series of x/2^k, squared k times.
func seriesExp(x *big.Float) *big.Float {
	const prec = 2 * seriesPrec
	r := new(big.Float).SetPrec(prec).Set(x)
	k := max(0, r.MantExp(nil)+20)
	r.SetMantExp(r, -k)
	sum := big.NewFloat(1).SetPrec(prec)
	term := big.NewFloat(1).SetPrec(prec)
	for j := int64(1); j < 40; j++ {
		term.Mul(term, r)
		term.Quo(term, new(big.Float).SetInt64(j))
		sum.Add(sum, term)
	}
	for range k {
		sum.Mul(sum, sum)
	}
	return sum
}

// seriesLog returns log x, as the root of e^y = x by Newton's method.
func seriesLog(x *big.Float) *big.Float {
	const prec = 2 * seriesPrec
	m := new(big.Float)
	k := x.MantExp(m)
	f, _ := m.Float64()
	y := new(big.Float).SetPrec(prec).SetFloat64(math.Log(f) + float64(k)*math.Ln2)
	for range 5 {
		// y += x·e^-y - 1
		d := new(big.Float).SetPrec(prec).Mul(x, seriesExp(new(big.Float).Neg(y)))
		y.Add(y, d.Sub(d, big.NewFloat(1)))
	}
	return y
}

// ulpsOff returns the distance of got from want in units of the last place
// of want.
func ulpsOff(got float64, want *big.Float) float64 {
	w, _ := want.Float64()
	ulp := math.Nextafter(math.Abs(w), math.Inf(1)) - math.Abs(w)
	d := new(big.Float).SetPrec(2*seriesPrec).Sub(seriesFloat(got), want)
	e, _ := d.Quo(d, seriesFloat(ulp)).Float64()
	return math.Abs(e)
}

func TestExponential(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 3000 {
		x := -745.2 + rng.Float64()*(709+745.2)
		if rng.IntN(3) == 0 {
			x = math.Ldexp(rng.NormFloat64(), -rng.IntN(80))
		}
		if e := ulpsOff(kernel.Exponential(x), seriesExp(seriesFloat(x))); e > 0.5001 {
			t.Errorf("exponential(%v) is off by %.4f ulp", x, e)
		}
	}
	for _, test := range [][2]float64{
		{0, 1},
		{math.Copysign(0, -1), 1},
		{709.782712893384, 1.797693134862273e308},
		{709.7827128933841, math.Inf(1)},
		{-745.1332191019411, 5e-324},
		{-745.1332191019412, 0},
		{-1e300, 0},
		{1e300, math.Inf(1)},
		{math.Inf(1), math.Inf(1)},
		{math.Inf(-1), 0},
	} {
		if got := kernel.Exponential(test[0]); math.Abs(got-test[1]) > 1e-13*test[1] || got != test[1] && math.IsInf(test[1], 0) {
			t.Errorf("exponential(%v) = %v, want %v", test[0], got, test[1])
		}
	}
	if got := kernel.Exponential(math.NaN()); got == got {
		t.Errorf("exponential(NaN) = %v", got)
	}
}

func TestLogPair(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	xs := []float64{0.5, 0x1.6a09e667f3bcdp-1, 0x1.6a09e667f3bccp-1, 1 - 0x1p-53, 1 - 0x1p-40, 0.999, 5e-324, 1e-310, 0x1p-1022}
	for range 500 {
		xs = append(xs, rng.Float64(), 1-math.Ldexp(rng.Float64(), -rng.IntN(50)), math.Ldexp(rng.Float64(), -rng.IntN(1000)))
	}
	for _, x := range xs {
		if x == 0 || x == 1 {
			continue
		}
		got := kernel.LogPair(x)
		want := seriesLog(seriesFloat(x))
		d := seriesFloat(got.Hi)
		d.Add(d, seriesFloat(got.Lo)).Sub(d, want)
		e, _ := d.Quo(d, want).Float64()
		if math.Abs(e) > 0x1p-98 {
			t.Errorf("logPair(%v) has a relative error of %.3g", x, e)
		}
	}
}

func TestClassCounts(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	for range 200 {
		rows, classes := 1+rng.IntN(40), 1+rng.IntN(6)
		target := make([]int, rows)
		weight := make([]float64, rows)
		for i := range target {
			target[i] = rng.IntN(classes)
			if rng.IntN(5) == 0 {
				target[i] = -7
			}
			weight[i] = float64(rng.IntN(9) - 3)
		}
		ignored := rng.IntN(classes)
		want := make([]float64, classes)
		wantWeighted := make([]float64, classes)
		for i, y := range target {
			if y != -7 && y != ignored {
				want[y]++
				wantWeighted[y] += weight[i]
			}
		}
		ignore := []int{-7, ignored}
		// Neither of the two others is read.
		got, err := ClassCounts(target, classes, &Options{Ignore: ignore, Weight: []float64{-1}, LabelSmoothing: 3})
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
		got, err = ClassCounts(target, classes, &Options{Ignore: ignore, SampleWeight: weight})
		if err != nil || !slices.Equal(got, wantWeighted) {
			t.Errorf("got %v, %v, want %v", got, err, wantWeighted)
		}
	}
	if got, err := ClassCounts([]int{1, -100, 1}, 3, nil); err != nil || !slices.Equal(got, []float64{0, 2, 0}) {
		t.Errorf("got %v, %v", got, err)
	}
	tenths := make([]float64, 1000)
	for i := range tenths {
		tenths[i] = 0.1
	}
	if got, err := ClassCounts(make([]int, 1000), 1, &Options{SampleWeight: tenths}); err != nil || got[0] != 100 {
		t.Errorf("a thousand tenths: %v, %v", got, err)
	}
}

func TestClassCountsRefuses(t *testing.T) {
	for _, test := range []struct {
		target  []int
		classes int
		opts    *Options
		panic   any
	}{
		{nil, 3, nil, mat.ErrZeroLength},
		{[]int{1}, 0, nil, mat.ErrZeroLength},
		{[]int{1}, -1, nil, mat.ErrNegativeDimension},
		{[]int{1}, 2, &Options{SampleWeight: []float64{1, 2}}, mat.ErrShape},
		{[]int{1}, 2, &Options{SampleWeight: []float64{}}, mat.ErrShape},
	} {
		if p := panicValue(func() { _, _ = ClassCounts(test.target, test.classes, test.opts) }); p != test.panic {
			t.Errorf("%v, %d, %+v: panic %v, want %v", test.target, test.classes, test.opts, p, test.panic)
		}
	}
	got, err := ClassCounts([]int{0, 3, 9}, 3, nil)
	var bad *TargetError
	if got != nil || !errors.As(err, &bad) || *bad != (TargetError{Row: 1, Target: 3, Classes: 3}) {
		t.Errorf("got %v, %v", got, err)
	}
	got, err = ClassCounts([]int{0, 3}, 3, &Options{SampleWeight: []float64{1, math.Inf(-1)}})
	var value *ValueError
	if got != nil || !errors.As(err, &value) || *value != (ValueError{"SampleWeight", 1, -1, math.Inf(-1)}) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestBalancedWeights(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	for range 200 {
		counts := make([]float64, 1+rng.IntN(20))
		n := new(big.Float).SetPrec(4000)
		scale := []int{0, 900, -1060, 990}[rng.IntN(4)]
		for c := range counts {
			counts[c] = math.Ldexp(1+rng.Float64(), scale+rng.IntN(30))
			n.Add(n, big.NewFloat(counts[c]))
		}
		got, err := BalancedWeights(counts)
		if err != nil {
			t.Fatal(err)
		}
		for c, w := range got {
			want := new(big.Float).SetPrec(seriesPrec).Quo(n, seriesFloat(float64(len(counts))))
			want.Quo(want, seriesFloat(counts[c]))
			if e := ulpsOff(w, want); e > 0.501 {
				t.Errorf("%v: weight %d is off by %.4f ulp", counts, c, e)
			}
		}
	}
	for _, counts := range [][]float64{{1, 1e-300, 5e-324, 2}, {math.MaxFloat64, math.MaxFloat64, 0.25, 0x1p-1000}} {
		got, err := BalancedWeights(counts)
		var value *ValueError
		if got != nil || !errors.As(err, &value) || *value != (ValueError{"counts", -1, 2, counts[2]}) {
			t.Errorf("%v: %v, %v", counts, got, err)
		}
	}
	top := []float64{math.MaxFloat64, math.MaxFloat64}
	if got, err := BalancedWeights(top); err != nil || !slices.Equal(got, []float64{1, 1}) {
		t.Errorf("%v: %v, %v", top, got, err)
	}
	if got, err := BalancedWeights([]float64{1, 2, 5}); err != nil || !slices.Equal(got, []float64{8. / 3, 8. / 6, 8. / 15}) {
		t.Errorf("got %v, %v", got, err)
	}
}

// bigEffective returns the formula of EffectiveNumberWeights as it stands.
func bigEffective(counts []float64, beta float64) []*big.Float {
	const prec = 2 * seriesPrec
	one := big.NewFloat(1)
	logBeta := seriesLog(seriesFloat(beta))
	v := make([]*big.Float, len(counts))
	sum := new(big.Float).SetPrec(prec)
	for c, n := range counts {
		t := new(big.Float).SetPrec(prec).Mul(logBeta, seriesFloat(n))
		d := new(big.Float).SetPrec(prec).Sub(one, seriesExp(t))
		v[c] = new(big.Float).SetPrec(prec).Sub(one, seriesFloat(beta))
		v[c].Quo(v[c], d)
		sum.Add(sum, v[c])
	}
	for c := range v {
		v[c].Mul(v[c], seriesFloat(float64(len(counts))))
		v[c].Quo(v[c], sum)
	}
	return v
}

func TestEffectiveNumberWeights(t *testing.T) {
	rng := rand.New(rand.NewPCG(15, 16))
	betas := []float64{1e-300, 1e-9, 0.1, 0.5, 0.6, 0.70710678, 0.9, 0.99, 0.999, 0.9999, 0.99999, 1 - 1e-12, 1 - 0x1p-53, 0.99995105476971269}
	for _, beta := range betas {
		for _, span := range []int{1, 10, 40} {
			counts := make([]float64, 1+rng.IntN(8))
			for c := range counts {
				counts[c] = math.Floor(math.Exp2(rng.Float64() * float64(span)))
				if rng.IntN(4) == 0 {
					counts[c] += rng.Float64()
				}
			}
			got, err := EffectiveNumberWeights(counts, beta)
			if err != nil {
				t.Fatal(err)
			}
			for c, want := range bigEffective(counts, beta) {
				if e := ulpsOff(got[c], want); e > 0.5001 {
					t.Errorf("%v, beta %v: weight %d is off by %.4f ulp", counts, beta, c, e)
				}
			}
		}
	}

	// Counts of any size: weights of any size, or none of a double.
	check := func(counts []float64, beta float64) {
		t.Helper()
		got, err := EffectiveNumberWeights(counts, beta)
		if err != nil {
			t.Fatal(err)
		}
		logBeta := exact.Log(exact.Float(beta))
		v, sum := make([]*big.Float, len(counts)), exact.New()
		for c, n := range counts {
			d := exact.Expm1(exact.New().Mul(logBeta, exact.Float(n)))
			v[c] = exact.New().Quo(exact.Float(-1), d)
			sum.Add(sum, v[c])
		}
		for c := range v {
			want := v[c].Quo(v[c], sum)
			want.Mul(want, exact.Float(float64(len(counts))))
			if e := ulpsOff(got[c], want); e > 0.501 {
				t.Errorf("%v, beta %v: weight %d is off by %.4f ulp", counts, beta, c, e)
			}
		}
	}
	check([]float64{0x1p3, 0x1.bb8912b68c05ep-452, 0x1.30e6p16, 0x1.139d0c998d4a2p889, 0x1.bf1c039704c8cp-1008}, 1-0x1p-53)
	for range 300 {
		counts := make([]float64, 2+rng.IntN(6))
		for c := range counts {
			counts[c] = math.Ldexp(1+rng.Float64(), rng.IntN(2000)-1020)
		}
		// Weights that are just about subnormal.
		counts[0], counts[1] = math.Ldexp(1+rng.Float64(), -1000), math.Ldexp(1+rng.Float64(), rng.IntN(80))
		check(counts, 1-math.Ldexp(1+rng.Float64(), -2-rng.IntN(51)))
	}

	if got, err := EffectiveNumberWeights([]float64{1, 19238, 5}, 0); err != nil || !slices.Equal(got, []float64{1, 1, 1}) {
		t.Errorf("beta 0: %v, %v", got, err)
	}
	if got, err := EffectiveNumberWeights([]float64{7, 7}, 0.99); err != nil || !slices.Equal(got, []float64{1, 1}) {
		t.Errorf("equal counts: %v, %v", got, err)
	}
	// Far outside of what counts are, the weights are what 1/n is.
	got, err := EffectiveNumberWeights([]float64{5e-324, 1e-323, math.MaxFloat64}, 1-0x1p-53)
	if err != nil || math.Abs(got[0]-2) > 1e-15 || math.Abs(got[1]-1) > 1e-15 || got[2] != 0 {
		t.Errorf("extreme counts: %v, %v", got, err)
	}
}

// TestOccurringWeights holds that classes that do not occur change nothing.
func TestOccurringWeights(t *testing.T) {
	some := []float64{70, 76, 17, 13, 9, 29}
	want, err := BalancedWeights(some)
	if err != nil {
		t.Fatal(err)
	}
	want = slices.Insert(want, 3, 0)
	counts := slices.Insert(slices.Clone(some), 3, 0)
	if got, err := OccurringWeights(append(counts, math.Copysign(0, -1)), BalancedWeights); err != nil || !slices.Equal(got, append(want, 0)) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	effective := func(counts []float64) ([]float64, error) { return EffectiveNumberWeights(counts, 0.5) }
	if got, err := OccurringWeights([]float64{0, 1, 2, 0}, effective); err != nil || !slices.Equal(got, []float64{0, 1.2, 0.8, 0}) {
		t.Errorf("got %v, %v", got, err)
	}

	var value *ValueError
	for _, test := range []struct {
		counts []float64
		col    int
	}{
		{[]float64{0, 3, -1, math.NaN()}, 2},
		{[]float64{0, math.Inf(1)}, 1},
		{[]float64{0, math.NaN()}, 1},
		{[]float64{0, 0}, 0},
		// One that BalancedWeights refuses.
		{[]float64{0, 1, 0, 5e-324}, 3},
	} {
		got, err := OccurringWeights(test.counts, BalancedWeights)
		if got != nil || !errors.As(err, &value) || value.Name != "counts" || value.Row != -1 || value.Col != test.col {
			t.Errorf("%v: %v, %v", test.counts, got, err)
		}
	}
	mine := errors.New("mine")
	if got, err := OccurringWeights(counts, func([]float64) ([]float64, error) { return nil, mine }); got != nil || err != mine {
		t.Errorf("got %v, %v", got, err)
	}
	if p := panicValue(func() { _, _ = OccurringWeights(nil, BalancedWeights) }); p != mat.ErrZeroLength {
		t.Errorf("no counts: panic %v", p)
	}
	if p := panicValue(func() {
		_, _ = OccurringWeights(counts, func([]float64) ([]float64, error) { return counts, nil })
	}); p != mat.ErrShape {
		t.Errorf("weights of another number: panic %v", p)
	}
	_, err = BalancedWeights([]float64{1, 0})
	if err == nil || !strings.Contains(err.Error(), "OccurringWeights") {
		t.Errorf("a class that does not occur: %v", err)
	}
}

// TestSampleWeights holds that weights of the labels' classes, given to the
// rows, are class weights.
func TestSampleWeights(t *testing.T) {
	rng := rand.New(rand.NewPCG(17, 18))
	for range 200 {
		rows, classes := 1+rng.IntN(20), 1+rng.IntN(6)
		logits := mat.NewDense(rows, classes, nil)
		logits.Apply(func(_, _ int, _ float64) float64 { return rng.NormFloat64() }, logits)
		target := make([]int, rows)
		sample := make([]float64, rows)
		for i := range target {
			target[i] = rng.IntN(classes+1) - 1
			sample[i] = float64(rng.IntN(5) - 2)
		}
		weight := make([]float64, classes)
		for c := range weight {
			weight[c] = float64(rng.IntN(4))
		}
		opts := &Options{Ignore: []int{-1}, SampleWeight: sample, Weight: []float64{-1}, LabelSmoothing: 7}
		if rng.IntN(2) == 0 {
			opts.SampleWeight = nil
		}
		want := make([]float64, rows)
		for i, y := range target {
			if y >= 0 {
				want[i] = weight[y]
				if opts.SampleWeight != nil {
					want[i] *= sample[i]
				}
			}
		}
		got, err := SampleWeights(nil, target, weight, opts)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%v, %v, %+v: %v, %v, want %v", target, weight, opts, got, err, want)
		}
		a, err := CrossEntropy(logits, target, &Options{Ignore: opts.Ignore, SampleWeight: got})
		if err != nil {
			t.Fatal(err)
		}
		b, err := CrossEntropy(logits, target, &Options{Ignore: opts.Ignore, SampleWeight: opts.SampleWeight, Weight: weight})
		if err != nil || a.Sum != b.Sum || a.Weight != b.Weight {
			t.Errorf("%v, %v: %v by rows, %v by classes, %v", target, weight, a, b, err)
		}
		// In place.
		if opts.SampleWeight != nil {
			if got, err := SampleWeights(sample, target, weight, opts); err != nil || !slices.Equal(got, want) || &got[0] != &sample[0] {
				t.Errorf("in place: %v, %v, want %v", got, err, want)
			}
		}
	}
	if got, err := SampleWeights(nil, []int{1, -100, 0}, []float64{2, 3}, nil); err != nil || !slices.Equal(got, []float64{3, 0, 2}) {
		t.Errorf("no options: %v, %v", got, err)
	}

	for _, test := range []struct {
		dst    []float64
		target []int
		weight []float64
		opts   *Options
		panic  any
	}{
		{nil, nil, []float64{1}, nil, mat.ErrZeroLength},
		{nil, []int{0}, nil, nil, mat.ErrZeroLength},
		{[]float64{}, []int{0}, []float64{1}, nil, mat.ErrShape},
		{make([]float64, 2), []int{0}, []float64{1}, nil, mat.ErrShape},
		{nil, []int{0}, []float64{1}, &Options{SampleWeight: []float64{1, 1}}, mat.ErrShape},
	} {
		if p := panicValue(func() { _, _ = SampleWeights(test.dst, test.target, test.weight, test.opts) }); p != test.panic {
			t.Errorf("%+v: panic %v", test, p)
		}
	}
	for _, test := range []struct {
		target []int
		weight []float64
		sample []float64
		want   error
	}{
		{[]int{0, 2}, []float64{1, 1}, nil, &TargetError{Row: 1, Target: 2, Classes: 2}},
		{[]int{0, 1}, []float64{1, -1}, nil, &ValueError{"Weight", -1, 1, -1}},
		{[]int{0, 0}, []float64{1, math.Inf(1)}, nil, &ValueError{"Weight", -1, 1, math.Inf(1)}},
		{[]int{0, 0}, []float64{1}, []float64{1, math.Inf(1)}, &ValueError{"SampleWeight", 1, -1, math.Inf(1)}},
		{[]int{0, 1}, []float64{1, 1e200}, []float64{1, 1e200}, &ValueError{"SampleWeight", 1, -1, math.Inf(1)}},
		{[]int{0, 1}, []float64{1, 1e-200}, []float64{1, 1e-200}, &ValueError{"SampleWeight", 1, -1, 0}},
		{[]int{0, 1}, []float64{1, 1e-200}, []float64{1, -1e-200}, &ValueError{"SampleWeight", 1, -1, 0}},
	} {
		dst := []float64{7, 7}
		got, err := SampleWeights(dst, test.target, test.weight, &Options{SampleWeight: test.sample})
		if got != nil || !reflect.DeepEqual(err, test.want) || !slices.Equal(dst, []float64{7, 7}) {
			t.Errorf("%v, %v, %v: %v, %v, want %v", test.target, test.weight, test.sample, got, err, test.want)
		}
	}
}

func TestWeightsRefuse(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, f := range []func([]float64) ([]float64, error){
		BalancedWeights,
		func(counts []float64) ([]float64, error) { return EffectiveNumberWeights(counts, 0.9) },
		func(counts []float64) ([]float64, error) { return EffectiveNumberWeights(counts, 0) },
	} {
		for _, empty := range [][]float64{nil, {}} {
			if p := panicValue(func() { _, _ = f(empty) }); p != mat.ErrZeroLength {
				t.Errorf("no counts: panic %v", p)
			}
		}
		for _, bad := range []float64{0, math.Copysign(0, -1), -1, nan, inf, -inf} {
			got, err := f([]float64{3, bad, -5})
			var value *ValueError
			if got != nil || !errors.As(err, &value) || value.Name != "counts" || value.Row != -1 || value.Col != 1 {
				t.Errorf("count %v: %v, %v", bad, got, err)
			}
		}
	}
	for _, bad := range []float64{1, 1.5, -0.1, nan, inf} {
		got, err := EffectiveNumberWeights([]float64{1, 2}, bad)
		var value *ValueError
		if got != nil || !errors.As(err, &value) || value.Name != "beta" || value.Row != -1 || value.Col != -1 {
			t.Errorf("beta %v: %v, %v", bad, got, err)
		}
	}
}

func TestLabels(t *testing.T) {
	m := mat.NewDense(3, 2, []float64{1, 5, math.Copysign(0, -1), 6, -100, 7})
	got, err := Labels(nil, m.ColView(0))
	if err != nil || !slices.Equal(got, []int{1, 0, -100}) {
		t.Errorf("got %v, %v", got, err)
	}
	dst := make([]int, 2)
	got, err = Labels(dst, m.RowView(1))
	if err != nil || !slices.Equal(dst, []int{0, 6}) || &got[0] != &dst[0] {
		t.Errorf("got %v, %v", got, err)
	}
	least := float64(math.MinInt)
	if got, err = Labels(nil, mat.NewVecDense(1, []float64{least})); err != nil || got[0] != math.MinInt {
		t.Errorf("got %v, %v", got, err)
	}

	for _, bad := range []float64{0.5, -1e-300, math.NaN(), math.Inf(1), math.Inf(-1), -least, 2 * least, 1e300} {
		dst := []int{7, 7, 7}
		got, err := Labels(dst, mat.NewVecDense(3, []float64{1, bad, math.NaN()}))
		var value *ValueError
		if got != nil || !errors.As(err, &value) || value.Name != "label" || value.Row != 1 || value.Col != -1 || value.Value != bad && bad == bad {
			t.Errorf("label %v: %v, %v", bad, got, err)
		}
		if !slices.Equal(dst, []int{7, 7, 7}) {
			t.Errorf("label %v: wrote %v", bad, dst)
		}
	}
	if p := panicValue(func() { _, _ = Labels(nil, new(mat.VecDense)) }); p != mat.ErrZeroLength {
		t.Errorf("empty: panic %v", p)
	}
	for _, dst := range [][]int{{}, make([]int, 2), make([]int, 4)} {
		if p := panicValue(func() { _, _ = Labels(dst, m.ColView(0)) }); p != mat.ErrShape {
			t.Errorf("dst of length %d: panic %v", len(dst), p)
		}
	}
}
