// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package arm64

import (
	"fmt"
	"slices"

	"example.org/logsoftmax/_gen/numbers"
)

// weightedKernels are those of losses and gradients that have a coefficient
// for every entry; weighted.go has the Go functions that they follow.
func (g *generator) weightedKernels() {
	g.laneSums("weightedLoss", "func(sums *LaneSum, q, x *float64, n int, max, negLogSum float64) (hi, lo float64)",
		"is LaneSum.addLossGo for n > 0 entries, and the lanes joined.", "LaneSum", "")
	g.laneSums("weightedLossSums", "func(sums *LossAndSum, q, x *float64, n int, max, negLogSum float64) (hi, lo, sumHi, sumLo float64)",
		"is LossAndSum.addGo for n > 0 entries.", "LossAndSum_loss+LaneSum", "LossAndSum_sum+CoefficientSum")
	g.laneSums("coefficientSum", "func(sums *CoefficientSum, q *float64, n int) (sumHi, sumLo float64)",
		"is CoefficientSum.addGo for n > 0 entries, and the lanes joined.", "", "CoefficientSum")
	g.weightedGradient()
	g.areBetween()
	g.index()
	g.addLanes()
	g.panelAdd()
	g.panelTakeLow()
	g.panelJoinLow()
	g.panelSumSlices()
	g.panelWeightedLoss()
	g.panelWeightedGradient()
}

// assign sets pinned values.
func (g *generator) assign(to, v vector) {
	g.emit(to, "VMOV V%[2]d.B16, V%[1]d.B16", false, v)
}

// loadPinned loads pinned values.
func (g *generator) loadPinned(to vector, offset, base string) {
	for i := range to {
		g.emit(to[i:i+1], fmt.Sprintf("FMOVQ %s(%s), F%%[1]d", displaced(offset, 16*i), base), false)
	}
}

// addLossTerm is the function of that name on pinned sums, and adds nothing
// where q is 0.
func (g *generator) addLossTerm(hi, lo, q, x, max, negLogSum vector) {
	l := g.sub(g.sub(max, x), negLogSum)
	none := g.isZero(q)
	product := g.without(g.mul(q, l), none)
	// What rounding it lost, negated.
	lost := g.without(g.FNMA(q, l, product), none)
	sum, rest := numbers.TwoSum(g, hi, product)
	g.binary(lo, "FADD2D", lo, g.sub(rest, lost))
	g.assign(hi, sum)
}

// addTwoSum is the function of that name on pinned sums.
func (g *generator) addTwoSum(hi, lo, v vector) {
	sum, rest := numbers.TwoSum(g, hi, v)
	g.binary(lo, "FADD2D", lo, rest)
	g.assign(hi, sum)
}

// joinVectors joins the eight lanes in four vectors, in both lanes of what it
// returns.
func (g *generator) joinVectors(sums func(i int) words) words {
	sum := numbers.JoinLanes(g.joinWords, 4, sums)
	var other words
	for _, w := range sum {
		other = append(other, g.high(w, w))
	}
	return g.joinWords(sum, other)
}

// laneSums is a kernel that adds losses, or coefficients, or both, to sums in
// eight lanes, and joins them. loss and sum say where in R0 the sums are, "" for
// those that there are not.
func (g *generator) laneSums(name, signature, does, loss, sum string) {
	g.function(name, signature, does)
	from, n := []string{"R1"}, "R2"
	var max, negLogSum, hi, lo, total, block vector
	if loss != "" {
		g.loadArguments("sums", "q", "x", "n")
		from, n = []string{"R1", "R2"}, "R3"
		max, negLogSum = g.argument("max"), g.argument("negLogSum")
		hi, lo = g.pin(4), g.pin(4)
		g.loadPinned(hi, loss+"_hi", "R0")
		g.loadPinned(lo, loss+"_lo", "R0")
	} else {
		g.loadArguments("sums", "q", "n")
	}
	if sum != "" {
		total, block = g.pin(4), g.pin(4)
		g.loadPinned(total, sum+"_hi", "R0")
		g.clear(block)
	}
	// take adds entries to the lanes from the vector i on.
	take := func(i int, of []vector) {
		to := i + len(of[0])
		if loss != "" {
			g.addLossTerm(hi[i:to], lo[i:to], of[0], of[1], max, negLogSum)
		}
		if sum != "" {
			g.addTwoSum(total[i:to], block[i:to], of[0])
		}
	}
	endBlock := func() {
		for i := 0; i < 4 && sum != ""; i += 2 {
			mid, rest := numbers.TwoSum(g, g.load(2, displaced(sum+"_mid", 16*i), "R0"), block[i:i+2])
			low := g.add(g.load(2, displaced(sum+"_low", 16*i), "R0"), rest)
			g.store(mid, displaced(sum+"_mid", 16*i), "R0")
			g.store(low, displaced(sum+"_low", 16*i), "R0")
		}
	}
	g.raw("MOVD $const_BlockLen, R4\nSUBS $8, " + n + "\nBLT pairs")
	g.label("eight")
	for i := 0; i < 4; i += 2 {
		var of []vector
		for _, p := range from {
			of = append(of, g.load(2, fmt.Sprint(16*i), p))
		}
		take(i, of)
	}
	for _, p := range from {
		g.raw("ADD $64, " + p)
	}
	if sum != "" {
		g.raw("SUBS $8, R4\nBNE within")
		endBlock()
		g.clear(block)
		g.raw("MOVD $const_BlockLen, R4")
		g.label("within")
	}
	g.raw("SUBS $8, " + n + "\nBGE eight")
	g.label("pairs")
	// Absent entries are +0, or their coefficients.
	g.raw("ADD $8, " + n)
	last := make([]vector, len(from))
	for k := range last {
		last[k] = g.pin(1)
	}
	for i := range 4 {
		read := func(load string) {
			for k, p := range from {
				g.emit(last[k], fmt.Sprintf("%s %d(%s), F%%[1]d", load, 16*i, p), false)
			}
		}
		g.raw(fmt.Sprintf("SUBS $2, %[1]s\nBGE both%[2]d\nTBZ $0, %[1]s, join", n, i))
		read("FMOVD")
		g.raw(fmt.Sprintf("MOVD $0, %s\nB take%d", n, i))
		g.label(fmt.Sprintf("both%d", i))
		read("FMOVQ")
		g.label(fmt.Sprintf("take%d", i))
		take(i, last)
	}
	g.label("join")
	endBlock()
	if loss != "" {
		g.store(hi, loss+"_hi", "R0")
		g.store(lo, loss+"_lo", "R0")
		joined := g.joinVectors(func(i int) words { return words{hi[i : i+1], lo[i : i+1]} })
		g.consume("FMOVD F%[2]d, "+g.place("hi"), joined[0][0])
		g.consume("FMOVD F%[2]d, "+g.place("lo"), joined[1][0])
	}
	if sum != "" {
		g.store(total, sum+"_hi", "R0")
		joined := g.joinVectors(func(i int) words {
			return words{total[i : i+1], g.load(1, displaced(sum+"_mid", 16*i), "R0"), g.load(1, displaced(sum+"_low", 16*i), "R0")}
		})
		g.consume("FMOVD F%[2]d, "+g.place("sumHi"), joined[0][0])
		g.consume("FMOVD F%[2]d, "+g.place("sumLo"), g.add(joined[1], joined[2])[0])
	}
	g.raw("RET")
}

// A weighting is the Go type Weighting.
type weighting struct {
	first, firstLow, hi, lo, one vector
	none                         vector // 0 where one is 1, else NaN
	factor                       vector
}

// probability is Weighting.probability, with the negative of low.
func (g *generator) probability(w *weighting, term, q vector) (p, low vector) {
	p = g.mul(term, w.first)
	low = g.FNMA(term, w.firstLow, g.FNMA(term, w.first, p))
	return p, g.without(g.without(low, g.equal(q, w.one)), g.equal(q, w.none))
}

// gradientEntry is Weighting.entry before the factor, given the negative of low.
func (g *generator) gradientEntry(w *weighting, p, low, q vector) vector {
	rest := g.FNMA(low, w.hi, g.mul(p, w.lo))
	return g.sub(rest, g.FNMA(p, w.hi, q))
}

func (g *generator) weightedGradient() {
	g.function("weightedGradient", "func(dst, terms, q *float64, n int, first, firstLow, hi, lo, one, factor float64)",
		"is weightedGradientsGo of one row of n > 0 entries. dst may be terms or q.")
	g.pointToNumbers()
	g.loadArguments("dst", "terms", "q", "n")
	w := &weighting{
		g.argument("first"), g.argument("firstLow"), g.argument("hi"), g.argument("lo"), g.argument("one"),
		g.pin(1), g.argument("factor"),
	}
	g.binary(w.none, "FSUB2D", w.one, w.one)
	zero, nan := g.keep(g.constant("zero")), g.keep(g.constant("nan"))
	g.eachEntry([]string{"R0"}, []string{"R1", "R2"}, "R3", []int{4, 1}, func(of []vector) []vector {
		p, low := g.probability(w, of[0], of[1])
		return []vector{g.timesFactor(g.gradientEntry(w, p, low, of[1]), w.factor, zero, nan)}
	}, "RET")
}

func (g *generator) areBetween() {
	g.function("areBetween", "func(x *float64, n int, least, most float64) (all bool)", "is areBetweenGo for n > 0 entries.")
	g.loadArguments("x", "n")
	least, most, all := g.argument("least"), g.argument("most"), g.pin(1)
	g.emit(all, "VCMEQ V%[1]d.D2, V%[1]d.D2, V%[1]d.D2", false)
	g.eachEntry(nil, []string{"R0"}, "R1", []int{4, 1}, func(of []vector) []vector {
		for _, v := range g.bitwise(nil, "VAND", g.AtLeast(of[0], least), g.AtLeast(most, of[0])) {
			g.bitwise(all, "VAND", all, vector{v})
		}
		return nil
	}, "")
	g.returnMask(all, "all")
}

// returnMask sets a result to whether both lanes of a mask are set.
func (g *generator) returnMask(m vector, result string) {
	g.consume("VMOV V%[2]d.D[0], R5", m[0])
	g.consume("VMOV V%[2]d.D[1], R6", m[0])
	g.raw(`
		AND R6, R5
		AND $1, R5
		MOVB R5, ` + g.place(result) + `
		RET`)
}

func (g *generator) index() {
	g.function("indexOf", "func(x *float64, n int, v float64) (done int)",
		"returns how many of n > 0 entries there are before some, at most 8, of which one is v: n if there are none.")
	g.loadArguments("x", "n")
	v := g.argument("v")
	g.raw("MOVD R0, R17")
	g.eachEntry(nil, []string{"R0"}, "R1", []int{4, 1}, func(of []vector) []vector {
		g.stopIf(g.equal(of[0], v))
		return nil
	}, g.returnDone())
}

func (g *generator) addLanes() {
	g.function("addLanes", "func(s *laneSums, x, rest *float64, groups int) (nothing bool)",
		"is addLanesGo for 8·groups > 0 terms, but that it returns whether every rest is 0.")
	g.loadArguments("s", "x", "rest", "groups")
	hi, lo, none := g.pin(4), g.pin(4), g.pin(1)
	g.loadPinned(hi, "laneSums_hi", "R0")
	g.loadPinned(lo, "laneSums_lo", "R0")
	g.emit(none, "VCMEQ V%[1]d.D2, V%[1]d.D2, V%[1]d.D2", false)
	g.label("group")
	sum, rest := numbers.TwoSum(g, hi, g.load(4, "", "R1"))
	g.assign(hi, sum)
	sum, rest = numbers.TwoSum(g, lo, rest)
	g.assign(lo, sum)
	g.store(rest, "", "R2")
	for _, v := range g.isZero(rest) {
		g.bitwise(none, "VAND", none, vector{v})
	}
	g.raw(`
		ADD $64, R1
		ADD $64, R2
		SUBS $1, R3
		BNE group`)
	g.store(hi, "laneSums_hi", "R0")
	g.store(lo, "laneSums_lo", "R0")
	g.returnMask(none, "nothing")
}

// panelAdd goes row by row, with the sums in memory.
func (g *generator) panelAdd() {
	g.function("panelAdd", "func(c *Panel, x *float64, stride, n, width int)", "is Panel.addGo for n > 0 rows of width > 0.")
	g.loadArguments("c", "x", "stride", "n", "width")
	// R5 is how far from lane 0 a row's lane is.
	g.raw("LSL $3, R2\nMOVD $0, R5")
	g.label("row")
	g.raw(`
		ADD R5, R0, R7
		ADD $` + panel + `_Lo, R7, R8
		ADD $` + panel + `_Hi, R7
		MOVD R1, R9
		MOVD R4, R10`)
	g.eachEntry([]string{"R7", "R8"}, []string{"R7", "R8", "R9"}, "R10", []int{4, 1}, func(of []vector) []vector {
		hi, rest := numbers.TwoSum(g, of[0], of[2])
		return []vector{hi, g.add(of[1], rest)}
	}, `
		ADD R2, R1
		ADD $`+columnBytes+`, R5
		AND $(const_Lanes*`+columnBytes+`-1), R5
		SUBS $1, R3
		BNE row
		RET`)
}

// panelTakeLow has the lanes as rows.
func (g *generator) panelTakeLow() {
	g.function("panelTakeLow", "func(c *Panel, s *LowSums, groups int)", "is Panel.takeLowGo for groups > 0.")
	g.pointToNumbers()
	g.raw(`
		MOVD ` + g.place("c") + `, R3
		MOVD ` + g.place("s") + `, R1
		MOVD ` + g.place("groups") + `, R6
		MOVD $const_Width, R2
		MOVD R2, R4
		MOVD $const_Lanes, R5`)
	zero := g.keep(g.constant("zero"))
	end := g.eachRow()
	mid, rest := numbers.TwoSum(g, g.load(4, "LowSums_mid", "R9"), g.load(4, panel+"_Lo", "R8"))
	low := g.add(g.load(4, "LowSums_low", "R9"), rest)
	g.store(mid, "LowSums_mid", "R9")
	g.store(low, "LowSums_low", "R9")
	g.store(vector{zero[0], zero[0], zero[0], zero[0]}, panel+"_Lo", "R8")
	end()
}

// setSum is Panel.setSum of sumAndRest, of four slices.
func (g *generator) setSum(sum words) {
	hi, lo := sum[0], g.add(sum[1], sum[2])
	total, rest := numbers.TwoSum(g, hi, lo)
	difference := g.add(g.sub(hi, hi), g.sub(lo, lo))
	finite := g.equal(difference, difference)
	g.SetField("Hi", g.where(finite, total, hi))
	g.SetField("Lo", g.ZeroUnless(finite, rest))
}

// panelJoinLow joins lanes whose low words are in a LowSums.
func (g *generator) panelJoinLow() {
	g.function("panelJoinLow", "func(c *Panel, s *LowSums, groups int)", "is Panel.joinLowGo for groups > 0.")
	g.loadArguments("c", "s", "groups")
	end := g.eachFour("R2", "R1")
	g.setSum(numbers.JoinLanes(g.joinWords, 8, func(l int) words {
		low := func(name string) vector { return g.load(2, lane("LowSums_"+name, l), "R1") }
		return words{g.Field(lane("Hi", l)), low("mid"), low("low")}
	}))
	end()
}

// eachLane adds n entries, as R3 says, of groups of slices in tiles, as R4 says,
// to pinned sums of eight slices of a lane: its entries are at R11 and R12 for
// tiles at R1 and R2. The sums go to the lane's place in the panel, where join
// finds those of so many lanes, for four slices: two, if there are no more
// entries.
func (g *generator) eachLane(hi, lo vector, add func(), join func(lanes int)) {
	g.label("group")
	g.raw(`
		MOVD $const_Lanes, R5
		CMP $2, R3
		BGT lanes
		MOVD $2, R5
		lanes:
		MOVD R0, R6
		MOVD R1, R7
		MOVD R2, R8
		MOVD R3, R9`)
	g.label("lane")
	g.clear(hi)
	g.clear(lo)
	g.raw(`
		MOVD R7, R11
		MOVD R8, R12
		SUBS $0, R9, R10
		BLE added`)
	g.label("entry")
	add()
	g.raw(`
		ADD $const_Lanes*` + columnBytes + `, R11
		ADD $const_Lanes*` + columnBytes + `, R12
		SUBS $8, R10
		BGT entry`)
	g.label("added")
	g.store(hi, panel+"_Hi", "R6")
	g.store(lo, panel+"_Lo", "R6")
	for _, p := range []string{"R6", "R7", "R8"} {
		g.raw("ADD $" + columnBytes + ", " + p)
	}
	g.raw(`
		SUB $1, R9
		SUBS $1, R5
		BNE lane
		MOVD $2, R5
		CMP $2, R3
		BLE joinTwo`)
	for _, lanes := range []int{8, 2} {
		label := map[int]string{8: "joinEight", 2: "joinTwo"}[lanes]
		g.label(label)
		g.overwriting(slices.Concat(hi, lo), func() { join(lanes) })
		g.raw(`
			ADD $32, R0
			SUBS $1, R5
			BNE ` + label)
		if lanes == 8 {
			g.raw("B joined")
		}
	}
	g.label("joined")
	g.raw(`
		ADD $64, R1
		ADD $64, R2
		SUBS $1, R4
		BNE group
		RET`)
}

func (g *generator) panelSumSlices() {
	g.function("panelSumSlices", "func(c *Panel, x *float64, n, groups int)", "is Panel.sumSlicesGo for n > 0 entries.")
	g.pointToNumbers()
	g.loadArguments("c", "x", "x", "n", "groups")
	hi, lo, zero := g.pin(4), g.pin(4), g.keep(g.constant("zero"))
	g.eachLane(hi, lo, func() { g.addTwoSum(hi, lo, g.load(4, "", "R11")) }, func(lanes int) {
		g.setSum(numbers.JoinLanes(g.joinWords, lanes, func(l int) words {
			return words{g.Field(lane("Hi", l)), g.Field(lane("Lo", l)), zero}
		}))
	})
}

func (g *generator) panelWeightedLoss() {
	g.function("panelWeightedLoss", "func(c *Panel, q, x *float64, n, groups int)", "is Panel.weightedLossGo for n > 0 entries.")
	g.loadArguments("c", "q", "x", "n", "groups")
	hi, lo := g.pin(4), g.pin(4)
	g.eachLane(hi, lo, func() {
		for i := 0; i < 4; i += 2 {
			at := func(offset, base string) vector { return g.load(2, displaced(offset, 16*i), base) }
			g.addLossTerm(hi[i:i+2], lo[i:i+2], at("", "R11"), at("", "R12"), at(panel+"_Max", "R0"), at(panel+"_NegLogSum", "R0"))
		}
	}, g.joinLanes)
}

// gradientOfLargest is what Weighting.Largest is of where 1-p counts, before the
// factor, given the negative of low.
func (g *generator) gradientOfLargest(w *weighting, p, low, q, complement, complementLow vector) vector {
	others := g.sub(w.hi, q)
	rest := g.sub(g.sub(w.hi, others), q)
	others, othersLow := numbers.FastTwoSum(g, others, g.add(rest, w.lo))
	own := g.mul(q, complement)
	// The negative of what that lost.
	ownLow := g.FNMA(q, g.without(complementLow, g.equal(q, w.one)), g.FNMA(q, complement, own))
	rest = g.FNMA(low, others, g.FMA(p, othersLow, ownLow))
	return g.sub(rest, g.FNMA(p, others, own))
}

// panelWeightedGradient does four slices entry by entry.
func (g *generator) panelWeightedGradient() {
	g.function("panelWeightedGradient", "func(c *Panel, terms, q, x *float64, n, groups int)", "is Panel.weightedGradientGo for n > 0 entries.")
	g.pointToNumbers()
	g.loadArguments("c", "terms", "q", "x", "n", "groups")
	zero, nan := g.keep(g.constant("zero")), g.keep(g.constant("nan"))
	one, none, unwanted, max, entry := g.pin(2), g.pin(2), g.pin(2), g.pin(2), g.pin(2)
	end := g.eachFour("R5", "R1", "R2", "R3")
	exactly := g.bitwise(nil, "VAND", g.equal(g.Field("Hi"), g.number(g.constant("one"))), g.isZero(g.Field("Lo")))
	g.assign(one, g.where(exactly, g.number(g.constant("one")), nan))
	g.binary(none, "FSUB2D", one, one)
	g.bitwise(unwanted, "VORR", g.isZero(g.Field("Hi")), g.isZero(g.Field("Factor")))
	// A maximum that there is more than once is nothing special.
	alone := g.equal(g.Field("Count"), g.number(g.constant("one")))
	g.assign(max, g.where(alone, g.Field("Max"), nan))
	g.raw(`
		MOVD R1, R6
		MOVD R2, R7
		MOVD R3, R8
		MOVD R4, R9`)
	g.label("entry")
	q := g.load(2, "", "R7")
	w := &weighting{g.Field("Inverse"), g.Field("InverseLow"), g.Field("Hi"), g.Field("Lo"), one, none, nil}
	p, low := g.probability(w, g.load(2, "", "R6"), q)
	g.assign(entry, g.gradientEntry(w, p, low, q))
	// Of many classes most have no largest entry in any slice.
	single := g.equal(g.load(2, "", "R8"), max)
	g.test("VORR", single)
	g.raw("CBZ R19, made")
	// Loaded again, they need no registers until here.
	q, w.hi, w.lo = g.load(2, "", "R7"), g.Field("Hi"), g.Field("Lo")
	counts := g.bitwise(nil, "VORR", g.Less(g.number(g.constant("half")), p), g.equal(q, w.hi))
	counts = g.bitwise(nil, "VAND", counts, single)
	largest := g.gradientOfLargest(w, p, low, q, g.Field("Complement"), g.Field("ComplementLow"))
	g.emit(entry, "VBIT V%[3]d.B16, V%[2]d.B16, V%[1]d.B16", true, entry, largest, counts)
	g.label("made")
	g.store(g.without(g.timesFactor(entry, g.Field("Factor"), zero, nan), unwanted), "", "R6")
	for _, p := range []string{"R6", "R7", "R8"} {
		g.raw("ADD $" + columnBytes + ", " + p)
	}
	g.raw("SUBS $1, R9\nBNE entry")
	end()
}
