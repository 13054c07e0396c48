// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package kernel

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// bigSum returns the exact sum of x.
func bigSum(x ...float64) *big.Float {
	sum := new(big.Float).SetPrec(2300)
	for _, v := range x {
		sum.Add(sum, new(big.Float).SetFloat64(v))
	}
	return sum
}

// rounded returns x as a double, and +0 for 0.
func rounded(x *big.Float) float64 {
	v, _ := x.Float64()
	return v + 0
}

// hardSums returns sequences that are hard to add up.
func hardSums(r *rand.Rand) map[string][]float64 {
	random := func(n int, f func() float64) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = f()
		}
		return x
	}
	double := func() float64 {
		for {
			if v := math.Float64frombits(r.Uint64()); IsFinite(v) {
				return v
			}
		}
	}
	scaled := func(least, most int) func() float64 {
		return func() float64 { return math.Ldexp(r.NormFloat64(), least+r.IntN(most-least+1)) }
	}
	power := func(least, most int) func() float64 {
		return func() float64 { return math.Ldexp(float64(1-2*r.IntN(2)), least+r.IntN(most-least+1)) }
	}
	cancel := random(300, scaled(-300, 300))
	for _, v := range cancel {
		cancel = append(cancel, -v)
	}
	cancel = append(cancel, 0x1p-1000, 3)
	r.Shuffle(len(cancel), func(i, j int) { cancel[i], cancel[j] = cancel[j], cancel[i] })
	return map[string][]float64{
		"none":             {},
		"one":              {0.1},
		"zeros":            {0, math.Copysign(0, -1), 0},
		"equal":            random(10000, func() float64 { return 0.1 }),
		"losses":           random(1000, r.ExpFloat64),
		"confident losses": random(1000, func() float64 { return math.Exp(-100 * r.Float64()) }),
		"all doubles":      random(1000, double),
		"two doubles":      random(2, double),
		"wide":             random(500, scaled(-60, 60)),
		"wider":            random(500, scaled(-200, 200)),
		"widest":           random(500, scaled(-1074, 1022)),
		"subnormal":        random(100, scaled(-1080, -1020)),
		"large":            random(101, scaled(1015, 1021)),
		"largest":          random(7, func() float64 { return math.MaxFloat64 * float64(1-2*r.IntN(2)) }),
		"overflow":         {1e308, 1e308, 1e308, -1e308, -1e308},
		"too large":        {1e308, 1e308, -1, 0x1p-1074},
		"two of largest":   {math.MaxFloat64, math.MaxFloat64},
		"a tie at the end": {math.MaxFloat64, 0x1p970, -0x1p-1074},
		"past the end":     {math.MaxFloat64, 0x1p970},
		"below the end":    {math.MaxFloat64, 0x1p969},
		"powers":           random(9, power(-60, 60)),
		"near powers":      random(3, power(-55, 1)),
		"far powers":       random(4, power(-1074, 1023)),
		"tie":              {1, 0x1p-53},
		"above a tie":      {1, 0x1p-53, 0x1p-1074},
		"past it in parts": {math.MaxFloat64, 0x1p969, 0x1p969},
		"and a little":     {math.MaxFloat64, 0x1p969, 0x1p969, 0x1p-1074},
		"short of it":      {math.MaxFloat64, 0x1p969, 0x1p969, -0x1p-1074},
		"just above a tie": {1, 0x1p-53, 0x1p-106},
		"below and above":  {-1, -0x1p-53, -0x1.8p-107},
		"above a far tie":  {1, 0x1p-53, 0x1p-160, 0x1p-300},
		"below a tie":      {1 + 0x1p-52, 0x1p-53, -0x1p-200},
		"below one":        {1, -0x1p-54, -0x1p-300},
		"a tie below one":  {1, -0x1p-54},
		"cancel":           cancel,
		"1e30":             {1e30, 1, 1e-30, -1e30, -1},
	}
}

// TestExactSum holds exact sums to math/big, in any order and any parts.
func TestExactSum(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		for name, x := range hardSums(r) {
			if len(x) > 10 && round >= 5 {
				continue
			}
			exact := bigSum(x...)
			want := rounded(exact)
			var first ExactSum
			for _, v := range x {
				first.Add(v)
			}
			value, rest := first.Split()
			if value != want || first.Value() != want || math.Signbit(value) != math.Signbit(want) {
				t.Fatalf("%s: %x, want %x: %x", name, value, want, x)
			}
			// All of the sum.
			text, ok := new(big.Float).SetPrec(2300).SetString(first.Text())
			if !ok || text.Cmp(exact) != 0 {
				t.Fatalf("%s: text %s, want %s: %x", name, first.Text(), exact.Text('x', -1), x)
			}
			if rest.text != "" && rest.text != first.Text() {
				t.Fatalf("%s: text %s, want %s", name, rest.text, first.Text())
			}
			if rest.text == "" && bigSum(value, rest.mid, rest.low).Cmp(exact) != 0 {
				t.Fatalf("%s: words %x, %x, %x, want %s: %x", name, value, rest.mid, rest.low, exact.Text('x', -1), x)
			}
			if got, want := first.TextBeyond() != "", bigSum(want).Cmp(exact) != 0; IsFinite(value) && got != want {
				t.Fatalf("%s: beyond its value there is %q: %x", name, first.TextBeyond(), x)
			}
			p, exponent := first.Pair()
			pair := bigSum(p.Hi, p.Lo)
			pair.SetMantExp(pair, exponent)
			if pair.Sub(pair, exact); pair.Sign() != 0 && pair.MantExp(nil) > exact.MantExp(nil)-105 {
				t.Fatalf("%s: as a pair %x and %x, times 2^%d, want %s", name, p.Hi, p.Lo, exponent, exact.Text('x', -1))
			}
			if m := math.Abs(p.Hi); m != 0 && (m < 0.5 || m > 1) {
				t.Fatalf("%s: as a pair %x and %x, times 2^%d", name, p.Hi, p.Lo, exponent)
			}
			again := JoinExact(value, rest)
			if v, rest2 := again.Split(); v != value || rest2 != rest {
				t.Fatalf("%s: joined %x, %+v, want %x, %+v", name, v, rest2, value, rest)
			}
			again, err := JoinText(value, first.Text())
			if v, rest2 := again.Split(); err != nil || v != value || rest2 != rest {
				t.Fatalf("%s: of its text %x, %+v, %v, want %x, %+v", name, v, rest2, err, value, rest)
			}

			for range 3 {
				r.Shuffle(len(x), func(i, j int) { x[i], x[j] = x[j], x[i] })
				sums := make([]ExactSum, 1+r.IntN(4))
				for _, v := range x {
					sums[r.IntN(len(sums))].Add(v)
				}
				var losses LossSum
				for i := 0; i < len(x); {
					if n := min(r.IntN(Width+1), len(x)-i); r.IntN(2) == 0 {
						losses.AddPanel(x[i : i+n])
						i += n
					} else {
						losses.Add(x[i])
						i++
					}
				}
				losses.Total()
				sums = append(sums, *losses.Total())
				for i := range sums[:len(sums)-1] {
					if i > 0 {
						if r.IntN(2) == 0 {
							sums[i].Split()
						}
						sums[0].Merge(&sums[i])
					}
				}
				for _, i := range []int{0, len(sums) - 1} {
					if v, rest2 := sums[i].Split(); v != value || rest2 != rest {
						t.Fatalf("%s: in another way %x, %+v, want %x, %+v: %x", name, v, rest2, value, rest, x)
					}
				}
			}
		}
	}
}

// TestExactSumSpecial holds that a sum is infinite or NaN where plain
// additions of what is not finite are.
func TestExactSumSpecial(t *testing.T) {
	inf := math.Inf(1)
	for _, test := range []struct {
		x    []float64
		want float64
	}{
		{[]float64{inf}, inf},
		{[]float64{-inf}, -inf},
		{[]float64{inf, -inf}, NaN},
		{[]float64{inf, -math.MaxFloat64, -math.MaxFloat64, -math.MaxFloat64}, inf},
		{[]float64{math.MaxFloat64, math.MaxFloat64, -inf}, -inf},
		{[]float64{1, math.NaN(), inf}, NaN},
		{[]float64{1, 0x1p-60, 0x1p-120, 0x1p-180, inf}, inf},
	} {
		for at := range 2 * Width {
			var s, part ExactSum
			var losses LossSum
			for i, v := range test.x {
				if i%2 == 0 {
					s.Add(v)
				} else {
					part.Add(v)
				}
			}
			for range at {
				losses.Add(0.1)
			}
			for _, v := range test.x {
				losses.Add(v)
			}
			for range 2*Width - at {
				losses.Add(1e-40)
			}
			s.Merge(&part)
			total := losses.Total()
			for _, s := range []*ExactSum{&s, total} {
				value, rest := s.Split()
				if math.Float64bits(value) != math.Float64bits(test.want) || rest != (ExactRest{}) {
					t.Errorf("%v: %v, %+v, want %v", test.x, value, rest, test.want)
				}
				if p, _ := s.Pair(); math.Float64bits(p.Hi) != math.Float64bits(test.want) {
					t.Errorf("%v: as a pair %v, want %v", test.x, p.Hi, test.want)
				}
				if s.TextBeyond() != "" {
					t.Errorf("%v: beyond its value there is %q", test.x, s.TextBeyond())
				}
			}
		}
	}
}

// TestJoinExact holds that a rest counts only with the value that it is of.
func TestJoinExact(t *testing.T) {
	var s ExactSum
	for _, v := range []float64{1, 0x1p-80, 0x1p-160, 0x1p-240} {
		s.Add(v)
	}
	_, wide := s.Split()
	_, narrow := ExactSum{hi: 1, mid: 0x1p-80}.rest()
	for _, rest := range []ExactRest{wide, narrow} {
		if rest == (ExactRest{}) {
			t.Fatal("no rest")
		}
		for _, value := range []float64{0, 0x1p-100, -0x1p-80, math.Inf(1), math.NaN()} {
			joined := JoinExact(value, rest)
			got, left := joined.Split()
			if got != value && value == value || left != (ExactRest{}) {
				t.Errorf("%v and %+v: %v and %+v", value, rest, got, left)
			}
		}
	}
	for _, text := range []string{
		"", "0", "1", "0x", "0x1", "0xp1", "0x1p", "x1p1", "+0x1p1", "--0x1p1", "0x1p1 ", "0X1p1", "0xAp1", "0x1.8p1", "0x1p1.0",
		"0x1p-1075", "0x1p1070", "0x1p1102", "0x1p9223372036854775807", "0x1p-9223372036854775808", "0x1p92233720368547758070",
	} {
		joined, err := JoinText(3, text)
		if got := joined.Value(); err == nil || got != 3 {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for text, want := range map[string]float64{
		"0x3p+0": 3, "-0x30p-4": -3, "0x0p+99999": 0, "0x00000000000000000000000000000000003p0": 3,
		"0x1p-1074": 0x1p-1074, "-0x1p+1024": math.Inf(-1), "0x7fp1000": 0x7fp1000, "0x8000000000000400p0": 0x1p63,
		"0x8000000000000c00p0": 0x1.0000000000002p63, "0x8000000000000401p0": 0x1.0000000000001p63,
	} {
		joined, err := JoinText(want, text)
		if got := joined.Value(); err != nil || got != want {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
		if other, err := JoinText(1.5, text); err != nil || other.Value() != 1.5 {
			t.Errorf("%q for 1.5: %v, %v", text, other.Value(), err)
		}
	}
}

func (s ExactSum) rest() (float64, ExactRest) { return s.Split() }

// TestWideSumCarries fills the digits up to where carries are due.
func TestWideSumCarries(t *testing.T) {
	for _, x := range []float64{math.MaxFloat64, -math.MaxFloat64, 0x1.fffffffffffffp-1022, -0x1.fffffp-1000} {
		var w wideSum
		w.add(x)
		// As many terms at once.
		const times = carryAfter - 2
		for k := range w.digits {
			w.digits[k] *= times
		}
		w.terms = times
		want := bigSum(x)
		want.Mul(want, new(big.Float).SetInt64(times))
		check := func() {
			t.Helper()
			got, ok := new(big.Float).SetPrec(2300).SetString(w.text())
			if !ok || got.Cmp(want) != 0 {
				t.Errorf("%x: %s, want %s", x, w.text(), want.Text('x', -1))
			}
		}
		check()
		for range 4 {
			w.add(x)
			want.Add(want, bigSum(x))
			check()
		}
		if w.terms != 2 {
			t.Errorf("%d terms since the carry", w.terms)
		}
		v := w
		w.merge(&v)
		want.Add(want, want)
		check()
	}
}

func BenchmarkLossSum(b *testing.B) {
	const panels = 128
	for _, bench := range []struct {
		name string
		loss func(r *rand.Rand) float64
	}{
		{"losses=usual", func(r *rand.Rand) float64 { return r.ExpFloat64() }},
		{"losses=confident", func(r *rand.Rand) float64 { return math.Exp(-100 * r.Float64()) }},
		{"losses=all", func(r *rand.Rand) float64 { return math.Exp(-700 * r.Float64()) }},
	} {
		b.Run(fmt.Sprintf("rows=%d/%s", panels*Width, bench.name), func(b *testing.B) {
			r := rand.New(rand.NewPCG(3, 4))
			losses := make([]float64, panels*Width)
			for i := range losses {
				losses[i] = bench.loss(r)
			}
			var s LossSum
			b.ReportAllocs()
			b.SetBytes(int64(8 * len(losses)))
			for b.Loop() {
				s.Reset()
				for i := 0; i < len(losses); i += Width {
					s.AddPanel(losses[i:][:Width])
				}
				s.Total()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(losses)), "ns/row")
		})
	}
}
