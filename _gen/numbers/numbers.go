// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

// Package numbers says what the package's math.go says, operation by operation
// and in the same order, for the vectors of any instruction set: the frame of a
// slice, the exponential, the logarithm, the quotient and what follows from a
// sum. The loops around them are each instruction set's own.
package numbers

import "fmt"

// A Machine has the operations that the numbers are made of, each rounded once.
// A V is one vector or several side by side, to all of which the same is done
// so that their instructions overlap. An M are masks, of the lanes of a V.
//
// An operation leaves its operands as they are, but for those that its comment
// says it uses up: these may not be used again.
type Machine[V, M any] interface {
	// Constant is a Number in every lane; NewConstant is one that may be used
	// up.
	Constant(name string) V
	NewConstant(name string) V

	Add(x, y V) V
	Sub(x, y V) V
	Mul(x, y V) V
	Div(x, y V) V
	Neg(x V) V
	Abs(x V) V

	// FMA is x·y + z, FNMA z - x·y and FMS x·y - z.
	FMA(x, y, z V) V
	FNMA(x, y, z V) V
	FMS(x, y, z V) V

	// Accumulate is z + x·y and Diminish z - x·y; both use z up. Horner is
	// q·x + c with the Constant c, and uses q up.
	Accumulate(z, x, y V) V
	Diminish(z, x, y V) V
	Horner(q, x V, c string) V

	// The bits of the lanes, as integers of 64. ShiftLeft and ShiftRight use x
	// up. Without is x less the bits of the Constant c.
	AddInts(x, y V) V
	SubInts(x, y V) V
	ShiftLeft(x V, by int) V
	ShiftRight(x V, by int) V
	Without(x V, c string) V

	// The comparisons are false where there is a NaN.
	Equal(x, y V) M
	Less(x, y V) M
	AtLeast(x, y V) M
	// ZeroUnless is x where m is set, else +0. Choose is y where m is set, else
	// x.
	ZeroUnless(m M, x V) V
	Choose(m M, x, y V) V

	// LookUp is power[i] and powerRest[i] for the i that the low four bits of n
	// are.
	LookUp(n V) (power, rest V)
}

// expTail is (e^r - 1 - r)/r².
func expTail[V, M any](m Machine[V, M], r V) V {
	q := m.NewConstant("exp6")
	for _, c := range []string{"exp5", "exp4", "exp3", "exp2"} {
		q = m.Horner(q, r, c)
	}
	return q
}

// Parts is frame.parts, which uses y up: s and q, whose term is s + s·q. base
// gives the frame's magic, each time that it is wanted. What s is made of, the
// bits of power and those of exponent, scaled adds up.
func Parts[V, M any](m Machine[V, M], y V, base func() V, scaled func(power, exponent V) V) (s, q V) {
	n := m.FMA(y, m.Constant("sixteenthsPerLn2"), base())
	k := m.Sub(n, base())
	r := m.Diminish(y, k, m.Constant("sixteenthHi"))
	r = m.Diminish(r, k, m.Constant("sixteenthLo"))
	power, rest := m.LookUp(n)
	s = scaled(power, m.ShiftLeft(n, 48))
	q = m.Horner(expTail(m, r), r, "one")
	return s, m.Accumulate(rest, q, r)
}

// TwoSum is the function twoSum.
func TwoSum[V, M any](m Machine[V, M], a, b V) (sum, rest V) {
	sum = m.Add(a, b)
	c := m.Sub(sum, a)
	return sum, m.Add(m.Sub(a, m.Sub(sum, c)), m.Sub(b, c))
}

// FastTwoSum is the function fastTwoSum.
func FastTwoSum[V, M any](m Machine[V, M], a, b V) (sum, rest V) {
	sum = m.Add(a, b)
	return sum, m.Sub(b, m.Sub(sum, a))
}

// JoinLanes joins the first so many lanes, in the order of the function joinLanes:
// depth first, to have few sums at a time.
func JoinLanes[T any](join func(a, b T) T, count int, lane func(l int) T) T {
	var tree func(l, step int) T
	tree = func(l, step int) T {
		if step == count {
			return lane(l)
		}
		a := tree(l, 2*step)
		return join(a, tree(l+step, 2*step))
	}
	return tree(0, 1)
}

// isFinite is the mask of |x| < +Inf.
func isFinite[V, M any](m Machine[V, M], x V) M { return m.Less(m.Abs(x), m.Constant("inf")) }

// Frame is newFrame but for what follows from top.
func Frame[V, M any](m Machine[V, M], max V) (shift, top V) {
	max = m.ZeroUnless(isFinite(m, max), max)
	shift = m.ZeroUnless(m.AtLeast(m.Abs(max), m.Constant("shiftFrom")), max)
	return shift, m.Sub(max, shift)
}

// FrameMagic is the field magic of newFrame, FrameLower the field lower.
func FrameMagic[V, M any](m Machine[V, M], top V) V {
	return m.Sub(m.Constant("frameMagic"), exponentMagic(m, top))
}

func FrameLower[V, M any](m Machine[V, M], top V) V { return m.Sub(top, m.Constant("farthest")) }

// exponentMagic is the function of that name.
func exponentMagic[V, M any](m Machine[V, M], top V) V {
	return m.Without(m.FMA(top, m.Constant("sixteenthsPerLn2"), m.Constant("magic")), "low4")
}

// expPair is the function of that name, for a zLow of 0.
func expPair[V, M any](m Machine[V, M], z, base V) (hi, lo V) {
	n := m.FMA(z, m.Constant("sixteenthsPerLn2"), base)
	k := m.Sub(n, base)
	r := m.FNMA(k, m.Constant("sixteenthHi"), z)
	low := m.Diminish(m.NewConstant("zero"), k, m.Constant("sixteenthLo"))
	power, rest := m.LookUp(n)
	s := m.AddInts(power, m.ShiftLeft(n, 48))
	sum := m.Add(r, low)
	low = m.Accumulate(m.Add(low, rest), expTail(m, sum), m.Mul(sum, sum))
	q, qLow := FastTwoSum(m, r, low)
	p := m.Mul(s, q)
	pLow := m.Accumulate(m.FMS(s, q, p), s, qLow)
	hi, lo = FastTwoSum(m, s, p)
	return hi, m.Add(lo, pLow)
}

// A logarithm is the type of that name.
type logarithm[V any] struct{ k, f, fLow, d, dLow V }

// newLogarithm is the function of that name, for sum+rest = 1+u+uLow.
func newLogarithm[V, M any](m Machine[V, M], sum, rest, u, uLow V) logarithm[V] {
	exponent := m.ShiftRight(m.SubInts(sum, m.Constant("sqrtHalf")), 52)
	two52 := m.Constant("two52")
	k := m.Sub(m.AddInts(exponent, two52), two52)
	power := m.ShiftLeft(m.SubInts(m.Constant("bias"), exponent), 52)
	f := m.FMA(sum, power, m.Constant("minusOne"))
	fLow := m.Mul(rest, power)
	none := m.Equal(k, m.Constant("zero"))
	f, fLow = m.Choose(none, f, u), m.Choose(none, fLow, uLow)
	two := m.Constant("two")
	d := m.Add(f, two)
	return logarithm[V]{k, f, fLow, d, m.Add(m.Sub(f, m.Sub(d, two)), fLow)}
}

// logarithmValue is logarithm.value.
func logarithmValue[V, M any](m Machine[V, M], l logarithm[V]) (hi, lo V) {
	reciprocal := m.Div(m.Constant("one"), l.d)
	f2 := m.Add(l.f, l.f)
	w := m.Mul(f2, reciprocal)
	wLow := m.FNMA(w, l.d, f2)
	wLow = m.Add(wLow, m.Diminish(m.Add(l.fLow, l.fLow), w, l.dLow))
	wLow = m.Mul(wLow, reciprocal)

	t := m.Mul(w, w)
	p := m.NewConstant("log15")
	for j := 13; j >= 3; j -= 2 {
		p = m.Horner(p, t, fmt.Sprintf("log%d", j))
	}
	low := m.Accumulate(wLow, m.Mul(t, w), p)

	hi, lo = FastTwoSum(m, m.Mul(l.k, m.Constant("ln2Hi")), w)
	low = m.Accumulate(low, l.k, m.Constant("ln2Lo"))
	return FastTwoSum(m, hi, m.Add(lo, low))
}

// quotient is the function of that name.
func quotient[V, M any](m Machine[V, M], a, aLow, b, bLow, reciprocal V) (hi, lo V) {
	q := m.Mul(a, reciprocal)
	r := m.FNMA(q, b, a)
	r = m.Add(r, m.FNMA(q, bLow, aLow))
	hi = m.FMA(r, reciprocal, q)
	return hi, m.Accumulate(m.Sub(q, hi), r, reciprocal)
}

// A Panel has the fields of the panel's slices that a V is of.
type Panel[V any] interface {
	Field(name string) V
	SetField(name string, x V)
}

// ConcludeSums is Panel.concludeSumsGo.
func ConcludeSums[V, M any](m Machine[V, M], p Panel[V]) {
	_, top := Frame(m, p.Field("Max"))
	g, gLow := expPair(m, m.Neg(top), exponentMagic(m, top))
	p.SetField("Inverse", g)
	p.SetField("InverseLow", gLow)
	hi, lo := p.Field("Hi"), p.Field("Lo")
	u := m.Mul(hi, g)
	uLow := m.FMS(hi, g, u)
	uLow = m.Add(uLow, m.Accumulate(m.Mul(lo, g), hi, gLow))
	u, uLow = FastTwoSum(m, u, uLow)

	unscale := m.Constant("Unscale")
	u, uLow = m.Mul(u, unscale), m.Mul(uLow, unscale)
	p.SetField("Complement", u)
	p.SetField("ComplementLow", uLow)
	others, othersLow := TwoSum(m, m.Sub(p.Field("Count"), m.Constant("one")), u)
	othersLow = m.Add(othersLow, uLow)
	sum, sumLow := TwoSum(m, m.Constant("one"), others)
	p.SetField("sum", sum)
	p.SetField("sumLow", m.Add(sumLow, othersLow))
}

// ConcludeLogs is Panel.concludeLogsGo.
func ConcludeLogs[V, M any](m Machine[V, M], p Panel[V]) {
	l := newLogarithm(m, p.Field("sum"), p.Field("sumLow"), p.Field("Complement"), p.Field("ComplementLow"))
	logSum, logSumLow := logarithmValue(m, l)
	setFinite(m, p, "NegLogSum", m.Neg(logSum), "LogSumLow", logSumLow)
}

// ConcludeProbabilities is Panel.concludeProbabilitiesGo.
func ConcludeProbabilities[V, M any](m Machine[V, M], p Panel[V]) {
	sum, sumLow := p.Field("sum"), p.Field("sumLow")
	reciprocal := m.Div(m.Constant("one"), sum)
	complement, complementLow := quotient(m, p.Field("Complement"), p.Field("ComplementLow"), sum, sumLow, reciprocal)
	setFinite(m, p, "Complement", complement, "ComplementLow", complementLow)
	inverse, inverseLow := quotient(m, p.Field("Inverse"), p.Field("InverseLow"), sum, sumLow, reciprocal)
	setFinite(m, p, "Inverse", m.Mul(inverse, m.Constant("Unscale")), "InverseLow", m.Mul(inverseLow, m.Constant("Unscale")))
}

// setFinite sets two fields, to NaN where the maximum is not finite.
func setFinite[V, M any](m Machine[V, M], p Panel[V], hi string, x V, lo string, xLow V) {
	finite, nan := isFinite(m, p.Field("Max")), m.Constant("nan")
	p.SetField(hi, m.Choose(finite, nan, x))
	p.SetField(lo, m.Choose(finite, nan, xLow))
}
