// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"math"
	"math/big"
)

// precision in bits of the reference: logits differ by up to 2^10 and more than
// 2^-60 of their size, and 200 bits remain beyond that.
const precision = 320

func newFloat(x float64) *big.Float { return new(big.Float).SetPrec(precision).SetFloat64(x) }
func zero() *big.Float              { return new(big.Float).SetPrec(precision) }

var ln2 = func() *big.Float {
	third := zero().Quo(newFloat(1), newFloat(3))
	return zero().Mul(newFloat(2), bigAtanh(third))
}()

// exactLogSoftmax returns log-softmax of finite logits to well beyond float64,
// however small it is: (x - max) - log1p(sum of the others' exponentials).
func exactLogSoftmax(x []float64) []*big.Float {
	at := argmax(x)
	shifted := make([]*big.Float, len(x))
	sum := zero()
	for j, v := range x {
		shifted[j] = zero().Sub(newFloat(v), newFloat(x[at]))
		if j != at {
			sum.Add(sum, bigExp(shifted[j]))
		}
	}
	log := bigLog1p(sum)
	for j := range shifted {
		shifted[j].Sub(shifted[j], log)
	}
	return shifted
}

// argmax returns the index of the first of the largest elements.
func argmax(x []float64) int {
	at := 0
	for j, v := range x {
		if v > x[at] {
			at = j
		}
	}
	return at
}

// bigExp returns exp(x) for x ≤ 0, and 0 below -1e6: x is reduced by multiples
// of ln 2, divided by 2^8, and the series of the rest squared as often.
func bigExp(x *big.Float) *big.Float {
	approx, _ := x.Float64()
	if approx < -1e6 {
		return zero()
	}
	k := math.Round(approx / math.Ln2)
	r := zero().Sub(x, zero().Mul(newFloat(k), ln2))
	r.SetMantExp(r, -8)
	sum, term := newFloat(1), newFloat(1)
	for n := 1.0; ; n++ {
		term.Mul(term, r)
		term.Quo(term, newFloat(n))
		if term.Sign() == 0 || term.MantExp(nil) < -precision {
			break
		}
		sum.Add(sum, term)
	}
	for range 8 {
		sum.Mul(sum, sum)
	}
	return sum.SetMantExp(sum, int(k))
}

// bigLog1p returns log(1+t) for t ≥ 0 with full relative precision: from
// log(a) = 2 atanh((a-1)/(a+1)), with the power of 2 taken out of a large a.
func bigLog1p(t *big.Float) *big.Float {
	two := newFloat(2)
	if t.Sign() == 0 {
		return zero()
	}
	if t.Cmp(newFloat(0.5)) < 0 {
		z := zero().Quo(t, zero().Add(two, t))
		return z.Mul(two, bigAtanh(z))
	}
	m := zero().Add(newFloat(1), t)
	k := m.MantExp(m) // m in [0.5, 1)
	z := zero().Quo(zero().Sub(m, newFloat(1)), zero().Add(m, newFloat(1)))
	z.Mul(two, bigAtanh(z))
	return z.Add(z, zero().Mul(newFloat(float64(k)), ln2))
}

// bigAtanh returns the series of atanh(z), |z| ≤ 1/3.
func bigAtanh(z *big.Float) *big.Float {
	square := zero().Mul(z, z)
	sum, power := zero().Set(z), zero().Set(z)
	for n := 3.0; power.Sign() != 0; n += 2 {
		power.Mul(power, square)
		term := zero().Quo(power, newFloat(n))
		if term.Sign() == 0 || term.MantExp(nil) < sum.MantExp(nil)-precision {
			break
		}
		sum.Add(sum, term)
	}
	return sum
}

// ulps returns how far got is from exact, in units in the last place of exact.
func ulps(got float64, exact *big.Float) float64 {
	if math.IsNaN(got) || math.IsInf(got, 0) {
		return math.Inf(1)
	}
	exponent := max(exact.MantExp(nil)-53, -1074) // of one unit
	if exact.Sign() == 0 {
		exponent = -1074
	}
	diff := zero().Sub(newFloat(got), exact)
	diff.SetMantExp(diff, -exponent)
	e, _ := diff.Abs(diff).Float64()
	return e
}
