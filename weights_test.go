// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"example.org/logsoftmax/internal/kernel"
	"gonum.org/v1/gonum/mat"
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
		x := -708 + rng.Float64()*(709+708)
		if rng.IntN(3) == 0 {
			x = math.Ldexp(rng.NormFloat64(), -rng.IntN(80))
		}
		if e := ulpsOff(kernel.Exponential(x), seriesExp(seriesFloat(x))); e > 0.5001 {
			t.Errorf("exponential(%v) is off by %.4f ulp", x, e)
		}
	}
	for _, test := range [][2]float64{
		{0, 1}, {math.Copysign(0, -1), 1}, {709.782712893384, 1.797693134862273e308}, {709.7827128933841, math.Inf(1)},
		{-745.1332191019411, 5e-324}, {-745.1332191019412, 0}, {-1e300, 0}, {1e300, math.Inf(1)},
		{math.Inf(1), math.Inf(1)}, {math.Inf(-1), 0},
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
		if p := panicValue(func() { ClassCounts(test.target, test.classes, test.opts) }); p != test.panic {
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
			if e := ulpsOff(w, want); e > 2 {
				t.Errorf("%v: weight %d is off by %.2f ulp", counts, c, e)
			}
		}
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

func TestWeightsRefuse(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, f := range []func([]float64) ([]float64, error){
		BalancedWeights,
		func(counts []float64) ([]float64, error) { return EffectiveNumberWeights(counts, 0.9) },
		func(counts []float64) ([]float64, error) { return EffectiveNumberWeights(counts, 0) },
	} {
		for _, empty := range [][]float64{nil, {}} {
			if p := panicValue(func() { f(empty) }); p != mat.ErrZeroLength {
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
	if p := panicValue(func() { Labels(nil, new(mat.VecDense)) }); p != mat.ErrZeroLength {
		t.Errorf("empty: panic %v", p)
	}
	for _, dst := range [][]int{{}, make([]int, 2), make([]int, 4)} {
		if p := panicValue(func() { Labels(dst, m.ColView(0)) }); p != mat.ErrShape {
			t.Errorf("dst of length %d: panic %v", len(dst), p)
		}
	}
}
