// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"math"
	"math/big"
	"testing"
)

// Decimal digits of e and of natural logarithms, from tables.
const (
	digitsE      = "2.71828182845904523536028747135266249775724709369995957496696762772407663035354759"
	digitsLn2    = "0.69314718055994530941723212145817656807550013436025525412068000949339362196969471"
	digitsLn3    = "1.09861228866810969139524523692252570464749055782274945173469433363749429321860896"
	digitsLn5by4 = "0.2231435513142097557662950903098345033746010855480072136712878724873917437682683334"
)

func parse(t *testing.T, s string) *big.Float {
	f, _, err := big.ParseFloat(s, 10, precision, big.ToNearestEven)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// near reports whether a and b agree in 75 decimal digits.
func near(a, b *big.Float) bool {
	diff := zero().Sub(a, b)
	return diff.Sign() == 0 || diff.MantExp(nil) < b.MantExp(nil)-249
}

func TestExactFunctions(t *testing.T) {
	inverse := zero().Quo(newFloat(1), parse(t, digitsE))
	if got := bigExp(newFloat(-1)); !near(got, inverse) {
		t.Errorf("exp(-1) = %.80g", got)
	}
	for _, c := range []struct {
		x    float64
		want string
	}{{1, digitsLn2}, {2, digitsLn3}, {0.25, digitsLn5by4}} {
		if got := bigLog1p(newFloat(c.x)); !near(got, parse(t, c.want)) {
			t.Errorf("log1p(%v) = %.80g, want %s", c.x, got, c.want)
		}
	}
	// exp and log1p undo each other, however small the result.
	for _, x := range []float64{-0.25, -3, -40, -700, -5000} {
		tiny := bigExp(newFloat(x))
		log := bigLog1p(tiny)
		negated := zero().Neg(log)
		product := zero().Mul(zero().Add(newFloat(1), tiny), bigExp(negated))
		if !near(product, newFloat(1)) {
			t.Errorf("(1+t)·exp(-log1p(t)) = %.80g for t = exp(%v)", product, x)
		}
		if x < -600 && !near(log, tiny) {
			t.Errorf("log1p(t) = %.80g for t = %.80g", log, tiny)
		}
	}
}

func TestExactLogSoftmax(t *testing.T) {
	third := zero().Neg(parse(t, digitsLn3))
	for _, got := range exactLogSoftmax([]float64{1e15, 1e15, 1e15}) {
		if !near(got, third) {
			t.Errorf("three equal logits: %.80g, want -log 3", got)
		}
	}
	y := exactLogSoftmax([]float64{3, 3.5, -2})
	sum := zero()
	for _, l := range y {
		sum.Add(sum, bigExp(l))
	}
	if !near(sum, newFloat(1)) {
		t.Errorf("probabilities add up to %.80g", sum)
	}
}

func TestULPs(t *testing.T) {
	for _, c := range []struct{ got, exact, want float64 }{
		{1, 1, 0},
		{1 + 0x1p-52, 1, 1},
		{1 - 0x1p-53, 1, 0.5},
		{-2, -2 + 0x1p-52, 1},
		{0x1p-1074, 0x1p-1073, 1},
		{0, 0x1p-1022, 0x1p52},
		{0, -1e-300, 0},
		{math.Inf(-1), -1, math.Inf(1)},
		{math.NaN(), -1, math.Inf(1)},
	} {
		got := ulps(c.got, newFloat(c.exact))
		if c.exact == -1e-300 { // all digits wrong: 2^52 to 2^53 ulp
			if got < 0x1p52 || got > 0x1p53 {
				t.Errorf("ulps(0, -1e-300) = %v", got)
			}
		} else if got != c.want {
			t.Errorf("ulps(%v, %v) = %v, want %v", c.got, c.exact, got, c.want)
		}
	}
	half := zero().Add(newFloat(1), newFloat(0x1p-54))
	if got := ulps(1, half); got != 0.25 {
		t.Errorf("ulps(1, 1 + 2^-54) = %v, want 0.25", got)
	}
}

func TestULPError(t *testing.T) {
	var e ulpError
	if e = e.worse(1+0x1p-52, newFloat(1)); e != 1 {
		t.Errorf("error %v, want 1", e)
	}
	if e = e.worse(1, newFloat(1)); e != 1 {
		t.Errorf("a smaller error makes it %v, want 1", e)
	}
	if e = e.worse(math.NaN(), newFloat(1)); e != -1 {
		t.Errorf("a NaN makes it %v, want -1", e)
	}
	if e = e.worse(1, newFloat(1)); e != -1 {
		t.Errorf("what is not finite is forgotten: %v", e)
	}
	for e, want := range map[ulpError]string{-1: "not finite", 0.456: "0.5", 1.96: "2.0", 123: "123", 8.1e15: "8e15"} {
		if got := e.String(); got != want {
			t.Errorf("error %v is written %q, want %q", float64(e), got, want)
		}
	}
}

func TestFirstWrong(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct {
		got, want []float64
		wrong     string
	}{
		{[]float64{nan, -inf, -1}, []float64{nan, -inf, -1 - 1e-9}, ""},
		{[]float64{-2, 0}, []float64{-2, -1.93e-22}, "0 for -1.93e-22"},
		{[]float64{-inf}, []float64{nan}, "-Inf for NaN"},
		{[]float64{nan}, []float64{-1}, "NaN for -1"},
		{[]float64{-1}, []float64{-inf}, "-1 for -Inf"},
	} {
		if got := firstWrong(c.got, c.want); got != c.wrong {
			t.Errorf("firstWrong(%v, %v) = %q, want %q", c.got, c.want, got, c.wrong)
		}
	}
}
