// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

// Package exact has the definitions of the documentation of logsoftmax,
// evaluated as they stand in math/big with digits to spare: what tests and
// benchmarks measure errors against. It shares no code and no idea with what
// it judges, and its only virtue is that it is easy to believe. Its own tests
// hold it to digits from tables.
package exact

import (
	"math"
	"math/big"
)

// Prec is the working precision in bits. Exp loses some 30 of them, the rest a
// handful.
const Prec = 448

// Float returns x.
func Float(x float64) *big.Float { return New().SetFloat64(x) }

// New returns 0.
func New() *big.Float { return new(big.Float).SetPrec(Prec) }

// Ln2 is log 2, the sum of 1/(n·2^n).
var Ln2 = func() *big.Float {
	sum := New()
	for n := 1; n <= Prec+8; n++ {
		term := New().SetMantExp(Float(1), -n)
		sum.Add(sum, term.Quo(term, Float(float64(n))))
	}
	return sum
}()

// Exp returns e^x for x below 2^20, and 0 where that is less than
// 2^-1000000.
func Exp(x *big.Float) *big.Float {
	if x.IsInf() || x.Sign() == 0 {
		if x.Signbit() && x.IsInf() {
			return New()
		}
		return Float(1)
	}
	near, _ := x.Float64()
	switch {
	case near > 1<<20:
		panic("exact: exponential out of range")
	case near < -1<<20:
		return New()
	}
	// e^x = 2^k · (e^(r/2^halvings))^(2^halvings)
	const halvings = 20
	k := int(math.Round(near / math.Ln2))
	r := New().Mul(Float(float64(k)), Ln2)
	r.Sub(x, r)
	r.SetMantExp(r, -halvings)
	sum, term := Float(1), Float(1)
	for n := 1; term.Sign() != 0 && term.MantExp(nil) > -Prec-8; n++ {
		term.Mul(term, r)
		term.Quo(term, Float(float64(n)))
		sum.Add(sum, term)
	}
	for range halvings {
		sum.Mul(sum, sum)
	}
	return sum.SetMantExp(sum, k)
}

// Expm1 returns e^x - 1, with a small relative error, for x that Exp
// takes.
func Expm1(x *big.Float) *big.Float {
	if x.Sign() == 0 {
		return New()
	}
	if x.IsInf() || x.MantExp(nil) > -8 {
		e := Exp(x)
		return e.Sub(e, Float(1))
	}
	sum, term := New(), Float(1)
	for n := 1; n == 1 || term.MantExp(nil) > sum.MantExp(nil)-Prec-8; n++ {
		term.Mul(term, x)
		term.Quo(term, Float(float64(n)))
		sum.Add(sum, term)
	}
	return sum
}

// Log returns log y for y > 0, with a small absolute error: it has no
// relative accuracy for y next to 1.
func Log(y *big.Float) *big.Float {
	m := New()
	e := y.MantExp(m)
	near, _ := m.Float64()
	l := New().Mul(Float(float64(e)), Ln2)
	l.Add(l, Float(math.Log(near)))
	// Halley's iteration triples the correct digits.
	for range 2 {
		ex := Exp(l)
		num := New().Sub(y, ex)
		den := New().Add(y, ex)
		num.Quo(num, den)
		l.Add(l, num.Add(num, num))
	}
	return l
}

// Log1p returns log(1+t) for t >= 0, with a small relative error.
func Log1p(t *big.Float) *big.Float {
	if t.Sign() == 0 {
		return New()
	}
	one := Float(1)
	if t.MantExp(nil) > -8 {
		return Log(one.Add(one, t))
	}
	// 2 atanh z = 2 (z + z³/3 + z⁵/5 + …), z = t/(2+t)
	z := New().Add(Float(2), t)
	z.Quo(t, z)
	z2 := New().Mul(z, z)
	sum, power := New(), New().Set(z)
	for n := 1; ; n += 2 {
		term := New().Quo(power, Float(float64(n)))
		sum.Add(sum, term)
		if term.MantExp(nil) < sum.MantExp(nil)-Prec-8 {
			break
		}
		power.Mul(power, z2)
	}
	return sum.Add(sum, sum)
}
