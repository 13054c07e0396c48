// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import "fmt"

// This file writes what math.go of the package says, in the same order.

// termNumbers are multipliers that loops over many terms keep in registers,
// two to a register. What is added to is destroyed by that, and loading it
// again costs less than copying it: loads do not compete with arithmetic.
type termNumbers struct{ sixteenthsAndExp6, sixteenth vector }

func (g *generator) keepTermNumbers() *termNumbers {
	return &termNumbers{
		g.keep(g.constants("sixteenthsPerLn2", "exp6")),
		g.keep(g.constants("sixteenthHi", "sixteenthLo")),
	}
}

// parts is frame.parts; magic loads the frame's.
func (g *generator) parts(t *termNumbers, y vector, magic func() vector) (s, q vector) {
	n := g.fmaLane(y, t.sixteenthsAndExp6, 0, magic())
	k := g.sub(n, magic())
	r := g.fnmaLane(k, t.sixteenth, 0, y)
	r = g.fnmaLane(k, t.sixteenth, 1, r)
	power, rest := g.lookup(n)
	s = g.addInts(power, g.shiftLeft(n, 48))
	q = g.fmaLane(r, t.sixteenthsAndExp6, 1, g.copies(len(r), g.constant("exp5")))
	q = g.polynomial(q, r, "exp4", "exp3", "exp2")
	q = g.fma(q, r, g.copies(len(r), float(1)))
	return s, g.fma(q, r, rest)
}

// copies loads n copies of a number.
func (g *generator) copies(n int, x number) vector {
	var v vector
	for range n {
		v = append(v, g.number(x)...)
	}
	return v
}

// polynomial goes on with Horner's rule from p.
func (g *generator) polynomial(p, x vector, names ...string) vector {
	for _, name := range names {
		p = g.fma(p, x, g.copies(len(x), g.constant(name)))
	}
	return p
}

// lookup returns power[i] and powerRest[i] for i = n mod 16.
func (g *generator) lookup(n vector) (power, rest vector) {
	for i, v := range n {
		a, b := fmt.Sprintf("R%d", 19+2*(i%2)), fmt.Sprintf("R%d", 20+2*(i%2))
		g.consume("VMOV V%[2]d.D[0], "+a, v)
		g.consume("VMOV V%[2]d.D[1], "+b, v)
		g.raw("AND $15, " + a + "\nAND $15, " + b)
		x := vector{g.read("LDRQ(" + a[1:] + ", " + numbers[1:] + ", %[1]d)")}
		y := vector{g.read("LDRQ(" + b[1:] + ", " + numbers[1:] + ", %[1]d)")}
		power = append(power, g.low(x, y)...)
		rest = append(rest, g.high(x, y)...)
	}
	return power, rest
}

func (g *generator) expTail(r vector) vector {
	return g.polynomial(g.number(g.constant("exp6")), r, "exp5", "exp4", "exp3", "exp2")
}

func (g *generator) twoSum(x, y vector) (sum, rest vector) {
	sum = g.add(x, y)
	c := g.sub(sum, x)
	return sum, g.add(g.sub(x, g.sub(sum, c)), g.sub(y, c))
}

func (g *generator) fastTwoSum(x, y vector) (sum, rest vector) {
	sum = g.add(x, y)
	return sum, g.sub(y, g.sub(sum, x))
}

// isFinite returns a mask: |x| < Inf.
func (g *generator) isFinite(x vector) vector {
	return g.moreThan(g.number(infinity), g.abs(x))
}

var infinity = bits(0x7ff0000000000000, "+Inf")

// frame is newFrame without what follows from top.
func (g *generator) frame(m vector) (shift, top vector) {
	m = g.and(m, g.isFinite(m))
	shift = g.and(m, g.atLeast(g.abs(m), g.number(g.constant("shiftFrom"))))
	return shift, g.sub(m, shift)
}

func (g *generator) exponentMagic(top vector) vector {
	n := g.fma(top, g.number(g.constant("sixteenthsPerLn2")), g.number(g.constant("magic")))
	return g.without(n, g.number(bits(15, "15")))
}

// expPair is the function of that name, for zLow = 0.
func (g *generator) expPair(z, base vector) (hi, lo vector) {
	n := g.fma(z, g.number(g.constant("sixteenthsPerLn2")), base)
	k := g.sub(n, base)
	r := g.fnma(k, g.number(g.constant("sixteenthHi")), z)
	low := g.fnma(k, g.number(g.constant("sixteenthLo")), g.number(float(0)))
	power, rest := g.lookup(n)
	s := g.addInts(power, g.shiftLeft(n, 48))
	sum := g.add(r, low)
	low = g.fma(g.expTail(sum), g.mul(sum, sum), g.add(low, rest))
	q, qLow := g.fastTwoSum(r, low)
	p := g.mul(s, q)
	pLow := g.fma(s, q, g.neg(p))
	pLow = g.fma(s, qLow, pLow)
	hi, lo = g.fastTwoSum(s, p)
	return hi, g.add(lo, pLow)
}

// A logarithm is the type of that name.
type logarithm struct{ k, f, fLow, d, dLow vector }

// It is given sum+rest = 1+u+uLow.
func (g *generator) newLogarithm(sum, rest, u, uLow vector) logarithm {
	exponent := g.shiftRight(g.subInts(sum, g.number(g.constant("sqrtHalf"))), 52)
	k := g.sub(g.addInts(exponent, g.number(float(0x1p52))), g.number(float(0x1p52)))
	power := g.shiftLeft(g.subInts(g.number(bits(1023, "1023")), exponent), 52)
	f := g.fma(sum, power, g.number(float(-1)))
	fLow := g.mul(rest, power)
	none := g.equalInts(exponent, g.number(float(0)))
	f, fLow = g.where(none, u, f), g.where(none, uLow, fLow)
	two := g.number(float(2))
	d := g.add(f, two)
	return logarithm{k, f, fLow, d, g.add(g.sub(f, g.sub(d, two)), fLow)}
}

// logarithmValue is the method value of l.
func (g *generator) logarithmValue(l logarithm) (hi, lo vector) {
	reciprocal := g.div(g.number(float(1)), l.d)
	f2 := g.add(l.f, l.f)
	w := g.mul(f2, reciprocal)
	wLow := g.fnma(w, l.d, f2)
	wLow = g.add(wLow, g.fnma(w, l.dLow, g.add(l.fLow, l.fLow)))
	wLow = g.mul(wLow, reciprocal)

	t := g.mul(w, w)
	p := g.polynomial(g.number(g.constant("log15")), t, "log13", "log11", "log9", "log7", "log5", "log3")
	low := g.fma(g.mul(t, w), p, wLow)

	hi, lo = g.fastTwoSum(g.mul(l.k, g.number(g.constant("ln2Hi"))), w)
	low = g.fma(l.k, g.number(g.constant("ln2Lo")), low)
	return g.fastTwoSum(hi, g.add(lo, low))
}

// quotient is the function of that name.
func (g *generator) quotient(x, xLow, y, yLow, reciprocal vector) (hi, lo vector) {
	q := g.mul(x, reciprocal)
	r := g.fnma(q, y, x)
	r = g.add(r, g.fnma(q, yLow, xLow))
	hi = g.fma(r, reciprocal, q)
	return hi, g.fma(r, reciprocal, g.sub(q, hi))
}
