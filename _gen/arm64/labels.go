// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package arm64

import (
	"fmt"
	"math"

	"example.org/logsoftmax/_gen/numbers"
)

// labelKernels work on the state of slices at R0 and their labels at R1.
func (g *generator) labelKernels() {
	g.panelLabel(false)
	g.panelLabel(true)
	g.panelWeightedLabel(false)
	g.panelWeightedLabel(true)
	g.labelsWeigh()
}

// labelField loads a field of eight labels.
func (g *generator) labelField(name string) vector { return g.load(4, "Labels_"+name, "R1") }

// rightLabels are the fields Single and Tied of labels, whose place is R4.
type rightLabels struct{ single, tied vector }

// eachEightLabels begins a loop over R2 groups, in which labels that are right
// can be counted.
func (g *generator) eachEightLabels() *rightLabels {
	g.raw("MOVD R1, R4")
	r := &rightLabels{g.pin(4), g.pin(4)}
	g.loadPinned(r.single, "Labels_Single", "R4")
	g.loadPinned(r.tied, "Labels_Tied", "R4")
	g.label("group")
	return r
}

// endEightLabels ends the loop, with a step of its own, and the function.
func (g *generator) endEightLabels(r *rightLabels, step string) {
	g.raw(`
		ADD $64, R0
		ADD $64, R1
		` + step + `
		SUBS $1, R2
		BNE group`)
	g.store(r.single, "Labels_Single", "R4")
	g.store(r.tied, "Labels_Tied", "R4")
	g.raw("RET")
}

// count is Labels.count of eight, but that it returns false where a row does
// not count.
func (g *generator) count(r *rightLabels, one vector) (single vector) {
	largest := g.equal(g.labelField("Logit"), g.load(4, panel+"_Max", "R0"))
	largest = g.without(largest, g.unary("CMLT2DZERO", g.labelField("Class")))
	alone := g.equal(g.load(4, panel+"_Count", "R0"), one)
	g.integer(r.tied, "VSUB", r.tied, g.without(largest, alone))
	single = g.bitwise(nil, "VAND", largest, alone)
	g.integer(r.single, "VSUB", r.single, single)
	return single
}

// isZero is the mask of the zeros of v.
func (g *generator) isZero(v vector) vector { return g.unary("FCMEQ2DZERO", v) }

// timesFactor is v·factor, with the one NaN and without -0.
func (g *generator) timesFactor(v, factor, zero, nan vector) vector {
	return g.oneNaN(g.add(g.mul(v, factor), zero), nan)
}

// oneNaN returns v with nan for every NaN.
func (g *generator) oneNaN(v, nan vector) vector { return g.nanUnless(g.equal(v, v), v, nan) }

// nanUnless returns v where mask is set, and nan elsewhere.
func (g *generator) nanUnless(mask, v, nan vector) vector {
	return g.emit(nil, "VBIF V%[3]d.B16, V%[2]d.B16, V%[1]d.B16", true, v, nan, mask)
}

func (g *generator) panelLabel(gradient bool) {
	name, signature := "panelLabel", "func(c *Panel, l *Labels, groups int)"
	does, arguments, step := "is Panel.labelGo without terms, for groups > 0.", []string{"c", "l", "groups"}, ""
	if gradient {
		name, signature = "panelLabelGradient", "func(c *Panel, l *Labels, groups int, terms *float64)"
		does, arguments, step = "is Panel.labelGo with terms, for groups > 0.", append(arguments, "terms"), "ADD $64, R3"
	}
	g.function(name, signature, does)
	g.pointToNumbers()
	g.loadArguments(arguments...)
	zero, one, nan := g.keep(g.constant("zero")), g.keep(g.constant("one")), g.keep(g.constant("nan"))
	right := g.eachEightLabels()
	loss := g.sub(g.labelField("Logit"), g.load(4, panel+"_Max", "R0"))
	loss = g.sub(zero, g.add(g.load(4, panel+"_NegLogSum", "R0"), loss))
	coefficient := g.labelField("Coefficient")
	g.store(g.without(g.timesFactor(loss, coefficient, zero, nan), g.isZero(coefficient)), "Labels_Loss", "R1")
	single := g.count(right, one)
	if gradient {
		p := g.mul(g.termsOfClasses(), g.load(4, panel+"_Inverse", "R0"))
		rest := g.where(single, g.load(4, panel+"_Complement", "R0"), g.sub(one, p))
		factor := g.labelField("Gradient")
		at := g.oneNaN(g.sub(zero, g.mul(rest, factor)), nan)
		negLogSum := g.load(4, panel+"_NegLogSum", "R0")
		at = g.nanUnless(g.equal(negLogSum, negLogSum), at, nan)
		none := g.isZero(factor)
		g.store(g.without(at, none), "Labels_AtLabel", "R1")
		g.store(g.without(g.mul(g.load(4, panel+"_Inverse", "R0"), factor), none), panel+"_Factor", "R0")
	}
	g.endEightLabels(right, step)
}

// termsOfClasses loads the terms of eight rows at their classes. Whatever a class
// is, its six lowest bits are a row of the tile at R3.
func (g *generator) termsOfClasses() (terms vector) {
	const rowShift = 9
	for i := 0; i < 8; i += 2 {
		g.raw(fmt.Sprintf(`
			LDP Labels_Class+%d(R1), (R5, R6)
			UBFIZ $%[2]d, R5, $6, R5
			UBFIZ $%[2]d, R6, $6, R6
			ADD R3, R5
			ADD R3, R6`, 8*i, rowShift))
		low := vector{g.read(fmt.Sprintf("FMOVD %d(R5), F%%[1]d", 8*i))}
		high := vector{g.read(fmt.Sprintf("FMOVD %d(R6), F%%[1]d", 8*i+8))}
		terms = append(terms, g.low(low, high)...)
	}
	return terms
}

func (g *generator) panelWeightedLabel(distributions bool) {
	name, does := "panelWeightedLabel", "is Panel.weightedLabelGo for labels, for groups > 0."
	if distributions {
		name, does = "panelDistributionLabel", "is Panel.weightedLabelGo for distributions, for groups > 0."
	}
	g.function(name, "func(c *Panel, l *Labels, groups int)", does)
	g.pointToNumbers()
	g.loadArguments("c", "l", "groups")
	zero, one, nan := g.keep(g.constant("zero")), g.keep(g.constant("one")), g.keep(g.constant("nan"))
	right := g.eachEightLabels()
	g.count(right, one)
	for at := 0; at < 64; at += 32 {
		labels := func(name string) vector { return g.load(2, displaced("Labels_"+name, at), "R1") }
		slices := func(name string) vector { return g.load(2, displaced(panel+"_"+name, at), "R0") }
		hi, lo := labels("High"), labels("Low")
		if distributions {
			sum, log := slices("Hi"), g.Neg(slices("NegLogSum"))
			part := g.mul(sum, log)
			low := g.FMS(sum, log, part)
			low = g.add(low, g.mul(slices("Lo"), log))
			high, rest := numbers.TwoSum(g, part, hi)
			low = g.add(rest, g.add(low, lo))
			none := g.isZero(sum)
			hi, lo = g.where(none, hi, high), g.where(none, lo, low)
		}
		// Accumulator.Value.
		difference := g.sub(lo, lo)
		lo = g.bitwise(nil, "VAND", lo, g.equal(difference, difference))
		coefficient := labels("Coefficient")
		loss := g.timesFactor(g.add(hi, lo), coefficient, zero, nan)
		g.store(g.without(loss, g.isZero(coefficient)), displaced("Labels_Loss", at), "R1")
	}
	g.endEightLabels(right, "")
}

// labelsWeigh works on two rows at a time, and on the last of an odd number as if
// it had one beside it that has no class.
func (g *generator) labelsWeigh() {
	g.function("labelsWeigh", "func(l *Labels, weight, sample *float64, n int, divisor float64) (combine bool)",
		"is Labels.weighGo for n > 0 rows.")
	g.pointToNumbers()
	// R1 goes through the labels, which begin at R0.
	g.loadArguments("l", "l", "weight", "sample", "n")
	divisor, one, noClass := g.argument("divisor"), g.keep(g.constant("one")), g.keep(number{math.MaxUint64, math.MaxUint64, "-1"})
	least, most := g.keep(g.constant("leastCombined")), g.keep(g.constant("mostCombined"))
	undivided, combine, coefficient := g.pin(1), g.pin(1), g.pin(1)
	g.emit(undivided, "FCMEQ2DZERO(%[2]d, %[1]d)", false, divisor)
	g.assign(combine, noClass)
	rows := func(count int) {
		read := func(from string) vector {
			if count == 1 {
				return vector{g.read("FMOVD " + from + ", F%[1]d")}
			}
			return vector{g.read("FMOVQ " + from + ", F%[1]d")}
		}
		y := read("Labels_Class(R1)")
		if count == 1 {
			y = g.low(y, noClass)
		}
		weighted, sampled := fmt.Sprintf("weighted%d", count), fmt.Sprintf("sampled%d", count)
		g.assign(coefficient, one)
		g.raw("CBZ R2, " + weighted)
		var weights vector
		for i := range 2 {
			g.consume(fmt.Sprintf("VMOV V%%[2]d.D[%d], R5", i), y[0])
			g.raw("AND $(const_FewCols-1), R5")
			weights = append(weights, g.read("FMOVD (R2)(R5<<3), F%[1]d"))
		}
		g.emit(coefficient, "VZIP1 V%[3]d.D2, V%[2]d.D2, V%[1]d.D2", false, weights[:1], weights[1:])
		g.raw(weighted + ":")
		// 0 where there is no class.
		g.binary(coefficient, "BIC16B", coefficient, g.unary("CMLT2DZERO", y))
		g.store(y, "Labels_Class", "R1")
		g.raw("CBZ R3, " + sampled)
		s := read("(R3)")
		g.binary(coefficient, "FMUL2D", coefficient, s)
		g.store(g.bitwise(nil, "VORR", y, g.isZero(s)), "Labels_Class", "R1")
		g.raw("ADD $16, R3")
		g.raw(sampled + ":")
		g.store(coefficient, "Labels_Coefficient", "R1")
		gradient := g.without(g.Div(coefficient, divisor), undivided)
		g.store(gradient, "Labels_Gradient", "R1")
		// Combines.
		within := g.bitwise(nil, "VAND", g.binary(nil, "FACGE2D", gradient, least), g.binary(nil, "FACGE2D", most, gradient))
		within = g.bitwise(nil, "VORR", within, g.isZero(gradient))
		g.bitwise(combine, "VAND", combine, within)
		g.raw("ADD $16, R1")
	}
	g.raw("SUBS $2, R4\nBLT last")
	g.label("two")
	rows(2)
	g.raw("SUBS $2, R4\nBGE two")
	g.label("last")
	g.raw("TBZ $0, R4, rest")
	rows(1)
	g.label("rest")
	zero := g.number(g.constant("zero"))
	g.raw(`
		SUB R0, R1, R5
		TST $63, R5
		BEQ done`)
	g.store(noClass, "Labels_Class", "R1")
	g.store(zero, "Labels_Coefficient", "R1")
	g.store(zero, "Labels_Gradient", "R1")
	g.raw("ADD $16, R1\nB rest\ndone:")
	g.returnMask(combine, "combine")
}
