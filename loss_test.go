// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package logsoftmax

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"example.org/logsoftmax/internal/kernel"
)

// exactSum returns the sum of x and that of its magnitudes.
func exactSum(x ...float64) (sum, magnitude *big.Float) {
	sum = new(big.Float).SetPrec(4000)
	magnitude = new(big.Float).SetPrec(4000)
	for _, v := range x {
		sum.Add(sum, big.NewFloat(v))
		magnitude.Add(magnitude, big.NewFloat(math.Abs(v)))
	}
	return sum, magnitude
}

// sumError returns the error of hi+lo as a sum, relative to the sum of the
// magnitudes.
func sumError(hi, lo float64, sum, magnitude *big.Float) float64 {
	d, _ := exactSum(hi, lo)
	d.Sub(d, sum)
	if d.Sign() == 0 {
		return 0
	}
	e, _ := d.Quo(d, magnitude).Float64()
	return math.Abs(e)
}

// sumCases returns sequences that plain additions add up badly.
func sumCases(rng *rand.Rand) map[string][]float64 {
	equal := make([]float64, 100000)
	wide := make([]float64, 20000)
	signed := make([]float64, 20000)
	for i := range equal {
		equal[i] = 0.1
	}
	for i := range wide {
		wide[i] = math.Ldexp(rng.Float64(), rng.IntN(200)-100)
		signed[i] = rng.NormFloat64() * 1e10
	}
	return map[string][]float64{
		"equal":  equal,
		"wide":   wide,
		"signed": signed,
		"cancel": {1e100, 1, -1e100, 0x1p-60},
		"tiny":   {5e-324, 1e-310, -5e-324, 3e-300},
		"empty":  {},
	}
}

func TestAccumulator(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for name, x := range sumCases(rng) {
		sum, magnitude := exactSum(x...)
		want, _ := sum.Float64()

		var one kernel.Accumulator
		for _, v := range x {
			one.Add(v)
		}
		hi, lo := one.Split()
		if e := sumError(hi, lo, sum, magnitude); e > 0x1p-90 {
			t.Errorf("%s: relative error %.3g", name, e)
		}
		if got := one.Value(); got != hi || got != want || hi+lo != hi {
			t.Errorf("%s: value %v, hi %v, lo %v, want %v", name, got, hi, lo, want)
		}

		var parts kernel.Accumulator
		for i := 0; i < len(x); {
			n := min(1+rng.IntN(50), len(x)-i)
			var part kernel.Accumulator
			for _, v := range x[i : i+n] {
				part.Add(v)
			}
			parts.Merge(part)
			i += n
		}
		hi, lo = parts.Split()
		if e := sumError(hi, lo, sum, magnitude); e > 0x1p-98 {
			t.Errorf("%s: relative error %.3g in parts", name, e)
		}
		if got := parts.Value(); got != want {
			t.Errorf("%s: value %v in parts, want %v", name, got, want)
		}
	}
}

// TestAccumulatorSpecial holds that a sum is infinite or NaN where plain
// additions are.
func TestAccumulatorSpecial(t *testing.T) {
	values := []float64{0, math.Copysign(0, -1), 1, -1, math.MaxFloat64, -math.MaxFloat64, math.Inf(1), math.Inf(-1), math.NaN()}
	same := func(a, b float64) bool { return math.Float64bits(kernel.Canonical(a)) == math.Float64bits(b) }
	for _, a := range values {
		for _, b := range values {
			for _, c := range values {
				plain := a + b + c
				var s kernel.Accumulator
				s.Add(a)
				s.Add(b)
				s.Add(c)
				if got := s.Value(); !kernel.IsFinite(plain) && !same(plain, got) || kernel.IsFinite(plain) && !kernel.IsFinite(got) {
					t.Errorf("%v + %v + %v = %v, want %v", a, b, c, got, plain)
				}
				var left, right kernel.Accumulator
				left.Add(a)
				left.Add(b)
				right.Add(c)
				left.Merge(right)
				if got := left.Value(); !kernel.IsFinite(plain) && !same(plain, got) || kernel.IsFinite(plain) && !kernel.IsFinite(got) {
					t.Errorf("(%v + %v) + %v = %v, want %v", a, b, c, got, plain)
				}
				if hi, lo := left.Split(); !kernel.IsFinite(hi) && lo != 0 || !kernel.IsFinite(lo) {
					t.Errorf("(%v + %v) + %v: words %v, %v", a, b, c, hi, lo)
				}
				if got := s.Value(); got == 0 && math.Signbit(got) {
					t.Errorf("%v + %v + %v = -0", a, b, c)
				}
			}
		}
	}
}

func TestLossAdd(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for name, x := range sumCases(rng) {
		sum, _ := exactSum(x...)
		want, _ := sum.Float64()
		for range 5 {
			var whole Loss
			for i := 0; i < len(x); {
				n := min(1+rng.IntN(1000), len(x)-i)
				var s, w kernel.Accumulator
				for _, v := range x[i : i+n] {
					s.Add(v)
					w.Add(math.Abs(v))
				}
				part := newLoss(s, w, n, n/3)
				part.Correct = n / 2
				if rng.IntN(2) == 0 {
					whole.Add(part)
				} else {
					part.Add(whole)
					whole = part
				}
				i += n
			}
			if whole.Sum != want || whole.Rows != len(x) {
				t.Errorf("%s: Sum %v, Rows %d, want %v, %d", name, whole.Sum, whole.Rows, want, len(x))
			}
			if whole.Sum+whole.sumLo != whole.Sum || whole.Weight+whole.weightLo != whole.Weight {
				t.Errorf("%s: %+v is not rounded", name, whole)
			}
		}
	}

	a := Loss{Sum: 1, Weight: 2, Rows: 3, Ignored: 1, Correct: 2}
	a.Add(Loss{Sum: 10, Weight: 20, Rows: 30, Ignored: 10, Correct: 20})
	if want := (Loss{Sum: 11, Weight: 22, Rows: 33, Ignored: 11, Correct: 22}); a != want {
		t.Errorf("got %+v, want %+v", a, want)
	}
	a.Add(a)
	if want := (Loss{Sum: 22, Weight: 44, Rows: 66, Ignored: 22, Correct: 44}); a != want {
		t.Errorf("got %+v, want %+v", a, want)
	}
}

// TestLossByHand holds that the exported fields count for what they are in a
// Loss that was decoded or changed by hand.
func TestLossByHand(t *testing.T) {
	var sum, weight kernel.Accumulator
	for range 1000 {
		sum.Add(0.1)
		weight.Add(1.0 / 3)
	}
	loss := newLoss(sum, weight, 1000, 0)
	if loss.sumLo == 0 || loss.weightLo == 0 {
		t.Fatal("no low words to lose")
	}
	plain := Loss{Sum: loss.Sum, Weight: loss.Weight, Rows: loss.Rows}

	var viaJSON, viaGob Loss
	text, err := json.Marshal(loss)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &viaJSON); err != nil || viaJSON != plain {
		t.Errorf("JSON: %+v, %v, want %+v", viaJSON, err, plain)
	}
	var stream bytes.Buffer
	if err := gob.NewEncoder(&stream).Encode(loss); err != nil {
		t.Fatal(err)
	}
	if err := gob.NewDecoder(&stream).Decode(&viaGob); err != nil || viaGob != plain {
		t.Errorf("gob: %+v, %v, want %+v", viaGob, err, plain)
	}
	if got, want := plain.Mean(), loss.Sum/loss.Weight; got != want {
		t.Errorf("Mean of decoded words %v, want %v", got, want)
	}

	changed := loss
	changed.Sum, changed.Weight = 0x1p-70, 0x1p-100
	if got := changed.Mean(); got != 0x1p30 {
		t.Errorf("Mean after a change by hand: %v", got)
	}
	var total Loss
	total.Add(changed)
	if total.Sum != 0x1p-70 {
		t.Errorf("Sum after a change by hand: %v", total.Sum)
	}
}

func TestLossMean(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	wrong := 0
	const tries = 20000
	for range tries {
		var sum, weight kernel.Accumulator
		for range 1 + rng.IntN(10) {
			sum.Add(math.Ldexp(rng.NormFloat64(), rng.IntN(40)-20))
			weight.Add(math.Ldexp(rng.Float64(), rng.IntN(10)))
		}
		loss := newLoss(sum, weight, 1, 0)
		s, _ := exactSum(loss.Sum, loss.sumLo)
		w, _ := exactSum(loss.Weight, loss.weightLo)
		want, _ := s.Quo(s, w).Float64()
		got := loss.Mean()
		if got != want {
			wrong++
			if got != math.Nextafter(want, got) {
				t.Errorf("Mean of %+v = %v, want %v", loss, got, want)
			}
		}
	}
	// A result half-way between two doubles to 50 digits more does not occur
	// by chance.
	if wrong > 0 {
		t.Errorf("%d of %d means are not correctly rounded", wrong, tries)
	}

	nan, inf := math.NaN(), math.Inf(1)
	for _, test := range []struct {
		loss Loss
		want float64
	}{
		{Loss{}, nan},
		{Loss{Sum: 3}, nan},
		{Loss{Sum: inf}, nan},
		{Loss{Sum: 3, Weight: 2}, 1.5},
		{Loss{Sum: 3, Weight: -2}, -1.5},
		{Loss{Sum: 0, Weight: -2}, 0},
		{Loss{Sum: inf, Weight: 2}, inf},
		{Loss{Sum: -inf, Weight: 2}, -inf},
		{Loss{Sum: nan, Weight: 2}, nan},
		{Loss{Sum: 1, Weight: inf}, 0},
		{Loss{Sum: 1e308, Weight: 1e-5}, inf},
		{Loss{Sum: math.MaxFloat64, Weight: 1}, math.MaxFloat64},
		{Loss{Sum: 5e-324, Weight: 1}, 5e-324},
		{Loss{Sum: 3e-310, Weight: 3}, 1e-310},
		{Loss{Sum: 1e-300, Weight: 10}, 1e-301},
	} {
		if got := test.loss.Mean(); math.Float64bits(got) != math.Float64bits(kernel.Canonical(test.want)) {
			t.Errorf("Mean of %+v = %v, want %v", test.loss, got, test.want)
		}
	}
}

func TestLossPerplexityAccuracy(t *testing.T) {
	for _, test := range []struct {
		loss                 Loss
		perplexity, accuracy float64
	}{
		{Loss{Sum: 0, Weight: 4, Rows: 4, Correct: 3}, 1, 0.75},
		{Loss{Sum: 4, Weight: 4, Rows: 5, Ignored: 1}, math.E, 0},
		{Loss{Sum: 7 * math.Ln10, Weight: 7, Rows: 7, Correct: 7}, 10, 1},
		{Loss{Rows: 3, Ignored: 3}, math.NaN(), math.NaN()},
		{Loss{Sum: math.Inf(1), Weight: 1, Rows: 1}, math.Inf(1), 0},
		{Loss{Sum: 1000, Weight: 1, Rows: 1}, math.Inf(1), 0},
		{Loss{Sum: -1000, Weight: 1, Rows: 1}, 0, 0},
		{Loss{}, math.NaN(), math.NaN()},
	} {
		close := func(a, b float64) bool {
			return a == b || math.Abs(a-b) <= 1e-15*math.Abs(b) || a != a && b != b
		}
		if got := test.loss.Perplexity(); !close(got, test.perplexity) {
			t.Errorf("Perplexity of %+v = %v, want %v", test.loss, got, test.perplexity)
		}
		if got := test.loss.Accuracy(); !close(got, test.accuracy) {
			t.Errorf("Accuracy of %+v = %v, want %v", test.loss, got, test.accuracy)
		}
	}
}

func TestGroupRows(t *testing.T) {
	for classes := 1; classes < 40000; classes += 1 + classes/10 {
		n := groupRows(classes)
		if n < 1 || n*classes > max(unitEntries(classes), classes) || n > 8 && n%8 != 0 {
			t.Errorf("groupRows(%d) = %d", classes, n)
		}
	}
}
