// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package arm64

import (
	"strings"

	"example.org/logsoftmax/_gen/numbers"
)

// gradientKernels are those of the vector-Jacobian products of LogSoftmax and
// Softmax.
func (g *generator) gradientKernels() {
	g.vectorJacobian(false)
	g.vectorJacobian(true)
	g.momentTerms()
	g.largeMoments()
	g.softmaxGrad(false)
	g.softmaxGrad(true)
}

// stopUnless goes to the end if a lane of good is not set.
func (g *generator) stopUnless(good vector) {
	g.test("VAND", good)
	g.raw("CBZ R19, end")
}

// stopIf goes to the end if a lane of found is set.
func (g *generator) stopIf(found vector) {
	g.test("VORR", found)
	g.raw("CBNZ R19, end")
}

// test joins the lanes of a mask by VAND or VORR, in R19.
func (g *generator) test(by string, mask vector) {
	for len(mask) > 1 {
		mask = append(g.bitwise(nil, by, mask[:1], mask[1:2]), mask[2:]...)
	}
	g.consume("VMOV V%[2]d.D[0], R19", mask[0])
	g.consume("VMOV V%[2]d.D[1], R20", mask[0])
	g.raw(strings.TrimPrefix(by, "V") + " R20, R19")
}

// returnDone returns how many entries are before R0, from R17 on.
func (g *generator) returnDone() string {
	return `
		SUB R17, R0
		LSR $3, R0
		MOVD R0, ` + g.place("done") + `
		RET`
}

func (g *generator) vectorJacobian(byColumn bool) {
	name, signature := "vectorJacobian", "func(dst, logp, u *float64, n int, hi, lo float64) (done int)"
	if byColumn {
		name, signature = "columnsVectorJacobian", "func(dst, logp, u, hi, lo *float64, n int) (done int)"
	}
	g.function(name, signature, "is "+name+"Go for n > 0 entries. It returns how many it did: all, or those before some of which one is above 0, or has products that overflow. dst may be logp or u.")
	g.pointToNumbers()
	from, n := []string{"R1", "R2"}, "R3"
	var sums []vector
	if byColumn {
		g.loadArguments("dst", "logp", "u", "hi", "lo", "n")
		from, n = append(from, "R3", "R4"), "R5"
	} else {
		g.loadArguments("dst", "logp", "u", "n")
		sums = []vector{g.argument("hi"), g.argument("lo")}
	}
	g.keepTermConstants()
	zero, nan, unscale := g.keep(g.constant("zero")), g.keep(g.constant("nan")), g.keep(g.constant("Unscale"))
	g.raw("MOVD R0, R17")
	g.eachEntry([]string{"R0"}, from, n, []int{2, 1}, func(of []vector) []vector {
		of = append(of, sums...)
		y, u, hi, lo := of[0], of[1], of[2], of[3]
		y, isNumber := g.withoutNaN(y)
		e := g.exponential(y, unscale)
		// Not hi-u, for the signs to come out without changing any.
		others := g.sub(u, hi)
		product := g.mul(e.p, others)
		productLow := g.FMA(e.p, lo, g.FNMA(e.pLow, others, g.FNMA(e.p, others, product)))
		v := g.FMA(u, e.complement, g.mul(product, unscale))
		v = g.sub(v, g.FNMA(u, e.complementLow, g.mul(productLow, unscale)))
		v = g.add(v, zero)
		// Infinite or NaN: a product may have overflowed of which the entry does not.
		difference := g.sub(v, v)
		g.stopUnless(g.bitwise(nil, "VAND", g.unary("FCMLE2DZERO", y), g.equal(difference, difference)))
		return []vector{g.nanUnless(isNumber, v, nan)}
	}, g.returnDone())
}

// withoutNaN returns y with 0 for every NaN, and the mask of what is none.
func (g *generator) withoutNaN(y vector) (number, isNumber vector) {
	isNumber = g.equal(y, y)
	return g.bitwise(nil, "VAND", y, isNumber), isNumber
}

// An exponential is the type of that name, without its unscale.
type exponential struct{ p, pLow, complement, complementLow vector }

// exponential is newExponential for y ≤ 0.
func (g *generator) exponential(y, unscale vector) exponential {
	least := g.constant("minusFarthest")
	alive := g.AtLeast(y, g.number(least))
	y = g.clamp(y, g.number(least))
	base := func() vector { return g.number(g.constant("scaledMagic")) }
	n := g.FMA(y, g.Constant("sixteenthsPerLn2"), base())
	n = g.where(g.Less(g.number(g.constant("minusSeriesEnd")), y), base(), n)
	k := g.sub(n, base())
	r := g.FNMA(k, g.Constant("sixteenthLo"), g.FNMA(k, g.Constant("sixteenthHi"), y))
	power, rest := g.LookUp(n)
	s := g.ZeroUnless(alive, g.AddInts(power, g.ShiftLeft(n, 48)))

	tail := g.number(g.constant("factorial8"))
	for _, name := range []string{"factorial7", "factorial6", "factorial5", "factorial4", "factorial3", "half"} {
		tail = g.Horner(tail, r, name)
	}
	part := g.mul(s, g.add(r, g.FMA(tail, g.mul(r, r), rest)))
	var e exponential
	e.p, e.pLow = numbers.FastTwoSum(g, s, part)
	s, part = g.mul(s, unscale), g.mul(part, unscale)
	left := g.sub(g.number(g.constant("one")), s)
	e.complement = g.sub(left, part)
	e.complementLow = g.sub(g.sub(left, e.complement), part)
	return e
}

func (g *generator) momentTerms() {
	g.function("momentTerms", "func(p, terms, logp, u *float64, n int) (done int)",
		"is momentTermsGo for n > 0 entries. It returns how many it did: all, or those before some of which one is above mostLogp.")
	g.pointToNumbers()
	g.loadArguments("p", "terms", "logp", "u", "n")
	g.keepTermConstants()
	nan, unscale := g.keep(g.constant("nan")), g.keep(g.constant("Unscale"))
	g.raw("MOVD R0, R17")
	g.eachEntry([]string{"R0", "R1"}, []string{"R2", "R3"}, "R4", []int{2, 1}, func(of []vector) []vector {
		y, isNumber := g.withoutNaN(of[0])
		g.stopUnless(g.AtLeast(g.number(g.constant("mostLogp")), y))
		s, q := g.parts(g.clamp(y, g.number(g.constant("minusFarthest"))), func() vector { return g.number(g.constant("scaledMagic")) })
		p := g.nanUnless(isNumber, g.mul(g.FMA(s, q, s), unscale), nan)
		term := g.without(g.mul(p, of[1]), g.isZero(p))
		return []vector{p, g.without(term, g.Less(g.number(g.constant("dominant")), p))}
	}, g.returnDone())
}

// largeMoments adds 0 for an entry that is not dominant.
func (g *generator) largeMoments() {
	g.function("largeMoments", "func(hi, lo, p, u *float64, n, groups int)", "is largeMomentsGo for n > 0 entries of groups > 0.")
	g.pointToNumbers()
	g.loadArguments("hi", "lo", "p", "u", "n", "groups")
	least := g.keep(g.constant("dominant"))
	hi, lo := g.pin(4), g.pin(4)
	g.label("group")
	g.loadPinned(hi, "", "R0")
	g.loadPinned(lo, "", "R1")
	g.raw(`
		MOVD R2, R6
		MOVD R3, R7
		MOVD R4, R8`)
	g.label("entry")
	p := g.load(4, "", "R6")
	g.addTwoSum(hi, lo, g.ZeroUnless(g.Less(least, p), g.mul(p, g.load(4, "", "R7"))))
	g.raw(`
		ADD $` + columnBytes + `, R6
		ADD $` + columnBytes + `, R7
		SUBS $1, R8
		BNE entry`)
	g.store(hi, "", "R0")
	g.store(lo, "", "R1")
	for _, p := range []string{"R0", "R1", "R2", "R3"} {
		g.raw("ADD $64, " + p)
	}
	g.raw("SUBS $1, R5\nBNE group\nRET")
}

func (g *generator) softmaxGrad(byColumn bool) {
	name, signature, of := "softmaxGrad", "func(dst, p, u *float64, n int, hi, lo, large float64)", "softmaxGradRowGo"
	if byColumn {
		name, signature, of = "columnsSoftmaxGrad", "func(dst, p, u, hi, lo, large *float64, n int)", "softmaxGradColumnsGo"
	}
	g.function(name, signature, "is "+of+" for n > 0 entries of a row. What it sets dominant ones to is open.")
	g.pointToNumbers()
	from, n := []string{"R1", "R2"}, "R3"
	var sums []vector
	if byColumn {
		g.loadArguments("dst", "p", "u", "hi", "lo", "large", "n")
		from, n = append(from, "R3", "R4", "R5"), "R6"
	} else {
		g.loadArguments("dst", "p", "u", "n")
		sums = []vector{g.argument("hi"), g.argument("lo"), g.argument("large")}
	}
	zero, one, nan := g.keep(g.constant("zero")), g.keep(g.constant("one")), g.keep(g.constant("nan"))
	g.eachEntry([]string{"R0"}, from, n, []int{4, 1}, func(of []vector) []vector {
		of = append(of, sums...)
		p, u, hi, lo, large := of[0], of[1], of[2], of[3], of[4]
		others := g.add(g.add(g.sub(hi, g.mul(p, u)), lo), large)
		own := g.mul(u, g.sub(one, p))
		v := g.timesFactor(g.sub(own, others), p, zero, nan)
		return []vector{g.without(v, g.isZero(p))}
	}, "RET")
}
