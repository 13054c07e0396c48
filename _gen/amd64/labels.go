// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package amd64

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// labelKernels are Panel.Label without and with a gradient.
func (g *generator) labelKernels() {
	g.panelLabel(false)
	g.panelLabel(true)
	g.panelWeightedLabel(false)
	g.panelWeightedLabel(true)
	g.labelsTake()
	g.labelsWeigh()
}

func (g *generator) panelLabel(gradient bool) {
	name, signature := "panelLabel", "func(c *Panel, l *Labels, groups int)"
	does := "is Panel.labelGo without terms."
	if gradient {
		name, signature = "panelLabelGradient", "func(c *Panel, l *Labels, groups int, terms *float64)"
		does = "is Panel.labelGo with terms."
	}
	g.function(name, signature, does)
	c, l, groups := g.param("c"), g.param("l"), g.param("groups")
	pointers := []reg.GPVirtual{l}
	var terms reg.GPVirtual
	if gradient {
		terms = g.param("terms")
		pointers = append(pointers, terms)
	}
	field := g.fieldsAt(c)
	of := func(l reg.GPVirtual, path ...string) Mem {
		return Mem{Base: l, Disp: g.source.Offset("Labels", path...)}
	}
	numbers := g.load(g.table("laneNumbers", 0, 1, 2, 3, 4, 5, 6, 7))
	begin := g.GP64()
	g.MOVQ(l, begin)
	zero, single, tied := g.zero(), g.zero(), g.zero()
	g.eachVector(c, groups, pointers, func() {
		y := g.load(of(l, "Class"))
		ignored := g.negative(y, zero)
		logit, coefficient := g.load(of(l, "Logit")), g.load(of(l, "Coefficient"))
		max, negLogSum := g.load(field("Max")), g.load(field("NegLogSum"))
		loss := g.sub(zero, g.add(negLogSum, g.sub(logit, max)))
		loss = g.zeroUnless(g.compare(notEqual, coefficient, zero), g.timesFactor(loss, coefficient))
		g.store(loss, of(l, "Loss"))
		both := g.countLabels(logit, max, field("Count"), ignored, single, tied)
		if gradient {
			inverse, factor := g.load(field("Inverse")), g.load(of(l, "Gradient"))
			// Whatever a class is, its six lowest bits are a row of a tile.
			p := g.mul(g.gather(Mem{Base: terms}, g.intAdd(g.shiftRight(g.shiftLeft(y, 58), 52), numbers)), inverse)
			rest := g.choose(both, g.sub(g.loaded("one"), p), g.load(field("Complement")))
			at := g.sub(zero, g.mul(rest, factor))
			at = g.choose(g.compare(unordered, negLogSum, negLogSum), at, g.loaded("nan"))
			wanted := g.compare(notEqual, factor, zero)
			g.store(g.zeroUnless(wanted, at), of(l, "AtLabel"))
			g.store(g.mulWhere(wanted, inverse, factor), field("Factor"))
		}
	})
	g.store(single, of(begin, "Single"))
	g.store(tied, of(begin, "Tied"))
	g.finish()
}

// countLabels is Labels.count.
func (g *generator) countLabels(logit, max reg.VecVirtual, count Mem, ignored mask, single, tied reg.VecVirtual) (both mask) {
	alone := g.compare(equal, g.loaded("one"), count)
	largest := g.without(g.compare(equal, logit, max), ignored)
	others := g.without(largest, alone)
	both = g.without(largest, others)
	g.countUp(both, single)
	g.countUp(others, tied)
	return both
}

func (g *generator) panelWeightedLabel(distributions bool) {
	name, does := "panelWeightedLabel", "is Panel.weightedLabelGo for labels."
	if distributions {
		name, does = "panelDistributionLabel", "is Panel.weightedLabelGo for distributions."
	}
	g.function(name, "func(c *Panel, l *Labels, groups int)", does)
	c, l, groups := g.param("c"), g.param("l"), g.param("groups")
	field := g.fieldsAt(c)
	of := func(l reg.GPVirtual, path ...string) Mem {
		return Mem{Base: l, Disp: g.source.Offset("Labels", path...)}
	}
	begin := g.GP64()
	g.MOVQ(l, begin)
	zero, single, tied := g.zero(), g.zero(), g.zero()
	g.eachVector(c, groups, []reg.GPVirtual{l}, func() {
		hi, lo := g.load(of(l, "High")), g.load(of(l, "Low"))
		if distributions {
			hi, lo = g.distributionLoss(field, hi, lo)
		}
		g.store(g.weightedLossValue(hi, lo, g.load(of(l, "Coefficient"))), of(l, "Loss"))
		ignored := g.negative(g.load(of(l, "Class")), zero)
		g.countLabels(g.load(of(l, "Logit")), g.load(field("Max")), field("Count"), ignored, single, tied)
	})
	g.store(single, of(begin, "Single"))
	g.store(tied, of(begin, "Tied"))
	g.finish()
}

// distributionLoss is the function DistributionLoss.
func (g *generator) distributionLoss(field func(name string) Mem, hi, lo reg.VecVirtual) (newHi, newLo reg.VecVirtual) {
	zero := g.zero()
	sum, log := g.load(field("Hi")), g.sub(zero, g.load(field("NegLogSum")))
	part := g.mul(sum, log)
	low := g.fms(sum, log, part)
	low = g.add(low, g.mul(g.load(field("Lo")), log))
	high, rest := g.twoSum(part, hi)
	low = g.add(rest, g.add(low, lo))
	some := g.compare(notEqual, sum, zero)
	return g.choose(some, hi, high), g.choose(some, lo, low)
}

// weightedLossValue is Accumulator.Value times a coefficient, 0 where that is.
func (g *generator) weightedLossValue(hi, lo, coefficient reg.VecVirtual) reg.VecVirtual {
	lo = g.zeroUnless(g.compare(lessThan, g.and(lo, g.constant("absMask")), g.constant("inf")), lo)
	loss := g.timesFactor(g.add(hi, lo), coefficient)
	return g.zeroUnless(g.compare(notEqual, coefficient, g.zero()), loss)
}

// negative is the mask of the integers of y that are less than 0.
func (g *generator) negative(y, zero reg.VecVirtual) mask {
	m := g.newMask()
	if g.wide {
		g.VPMOVQ2M(y, m)
	} else {
		g.VPCMPGTQ(y, zero, m)
	}
	return m
}

// without is the mask of the lanes of a that are not in b.
func (g *generator) without(a, b mask) mask {
	m := g.newMask()
	if g.wide {
		g.KANDNB(a, b, m)
	} else {
		g.VANDNPD(a, b, m)
	}
	return m
}

func (g *generator) labelsTake() {
	g.function("labelsTake", "func(l *Labels, tile *float64, target *int, classes uint64, groups int)",
		"is Labels.takeGo for the rows of groups > 0.")
	l, tile, target, groups := g.param("l"), g.param("tile"), g.param("target"), g.param("groups")
	field := func(name string) Mem { return Mem{Base: l, Disp: g.source.Offset("Labels", name)} }
	numbers := g.load(g.table("laneNumbers", 0, 1, 2, 3, 4, 5, 6, 7))
	classes, one := g.broadcast(address(g.Param("classes"))), g.loaded("integerOne")
	g.eachVector(l, groups, []reg.GPVirtual{tile, target}, func() {
		y := g.load(Mem{Base: target})
		bit := g.vec()
		g.VPSRLVQ(y, classes, bit)
		// -1 for what does not count.
		ignored := g.intSub(g.and(bit, one), one)
		class := g.andNot(ignored, y)
		g.store(g.gather(Mem{Base: tile}, g.intAdd(g.shiftRight(g.shiftLeft(class, 58), 52), numbers)), field("Logit"))
		g.store(g.xor(class, ignored), field("Class"))
	})
	g.finish()
}

func (g *generator) labelsWeigh() {
	g.function("labelsWeigh", "func(l *Labels, weight, sample *float64, n int, divisor float64) bool",
		"is Labels.weighGo for n > 0 rows.")
	l, weight, sample, n := g.param("l"), g.param("weight"), g.param("sample"), g.param("n")
	begin := g.GP64()
	g.MOVQ(l, begin)
	divisor := g.broadcast(address(g.Param("divisor")))
	field := func(name string) Mem { return Mem{Base: l, Disp: g.source.Offset("Labels", name)} }
	zero := g.zero()
	none, bad := g.vec(), g.newMask()
	if g.wide {
		g.VPTERNLOGQ(U8(0xff), none, none, none)
		g.KXORB(bad, bad, bad)
	} else {
		g.VPCMPEQD(none, none, none)
		g.VXORPD(bad, bad, bad)
	}
	divides := g.compare(notEqual, divisor, zero)
	ofOne := g.zeroUnless(divides, g.div(g.loaded("one"), divisor))
	options := g.GP64()
	g.MOVQ(weight, options)
	g.ORQ(sample, options)
	g.Label("vectors")
	m := g.remaining(n)
	y := g.loadMasked(field("Class"), m, none)
	coefficient := g.copyOf(g.loaded("one"))
	g.TESTQ(weight, weight)
	g.JZ(LabelRef("weighted"))
	g.VMOVAPD(g.gather(Mem{Base: weight}, g.shiftRight(g.shiftLeft(y, 58), 58)), coefficient)
	g.Label("weighted")
	// 0 where there is no class.
	ignored := g.negative(y, zero)
	coefficient = g.choose(ignored, coefficient, zero)
	g.TESTQ(sample, sample)
	g.JZ(LabelRef("sampled"))
	s := g.loadMasked(Mem{Base: sample}, m, zero)
	g.VMULPD(s, coefficient, coefficient)
	g.VMOVAPD(g.choose(g.compare(equal, s, zero), y, none), y)
	g.ADDQ(imm(8*g.width()), sample)
	g.Label("sampled")
	g.store(y, field("Class"))
	g.store(coefficient, field("Coefficient"))
	gradient := g.choose(ignored, ofOne, zero)
	g.TESTQ(options, options)
	g.JZ(LabelRef("divided"))
	g.VMOVAPD(g.zeroUnless(divides, g.div(coefficient, divisor)), gradient)
	g.Label("divided")
	g.store(gradient, field("Gradient"))
	// Not Combines.
	magnitude := g.and(gradient, g.constant("absMask"))
	small := g.both(g.compare(lessThan, magnitude, g.constant("leastCombined")), g.compare(notEqual, magnitude, zero))
	g.or(bad, small)
	g.or(bad, g.compare(lessThan, g.loaded("mostCombined"), magnitude))
	g.ADDQ(imm(8*g.width()), l)
	g.SUBQ(imm(g.width()), n)
	g.JG(LabelRef("vectors"))
	if !g.wide {
		// The other half of the last group, of which no row is.
		half := g.GP64()
		g.MOVQ(l, half)
		g.SUBQ(begin, half)
		g.TESTQ(I32(32), half)
		g.JZ(LabelRef("done"))
		g.store(none, field("Class"))
		g.store(zero, field("Coefficient"))
		g.store(zero, field("Gradient"))
		g.Label("done")
	}
	bits := g.test(bad)
	g.SETEQ(bits.As8())
	g.MOVB(bits.As8(), address(g.ReturnIndex(0)))
	g.finish()
}
