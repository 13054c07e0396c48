// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package arm64

import (
	"fmt"

	"example.org/logsoftmax/_gen/numbers"
)

// columnBytes is how many bytes a row of a panel is.
const columnBytes = "const_Width*8"

func (g *generator) panelRaiseMax() {
	g.function("panelRaiseMax", "func(c *Panel, x *float64, stride, n, groups int)",
		"does what Panel.raiseMaxGo does for n > 0 and groups > 0, except that of two zeros either may be the largest.")
	g.pointToNumbers()
	g.loadArguments("c", "x", "stride", "n", "groups")
	g.raw("LSL $3, R2")
	m := g.pin(16)
	part := func(label string, groups int, done string) {
		n := 4 * groups
		g.raw(fmt.Sprintf("SUBS $%d, R4\nBLT %s", groups, done))
		g.label(label)
		g.loadPinned(m[:n], panel+"_Max", "R0")
		g.raw("MOVD R1, R5\nMOVD R3, R6")
		g.label(label + "Row")
		for i := 0; i < n; i += 4 {
			g.binary(m[i:i+4], "FMAX2D", m[i:i+4], g.load(4, displaced("", 16*i), "R5"))
		}
		g.raw("ADD R2, R5\nSUBS $1, R6\nBNE " + label + "Row")
		for i := range n {
			g.store(g.where(g.equal(m[i:i+1], m[i:i+1]), m[i:i+1], g.number(g.constant("nan"))), displaced(panel+"_Max", 16*i), "R0")
		}
		g.raw(fmt.Sprintf(`
			ADD $%[2]d, R0
			ADD $%[2]d, R1
			SUBS $%[1]d, R4
			BGE %[3]s`, groups, 64*groups, label))
	}
	part("fourGroups", 4, "less")
	g.label("less")
	g.raw("ADD $4, R4")
	part("oneGroup", 1, "done")
	g.raw("done:\nRET")
}

// eachFour begins a loop over four slices at a time, whose numbers are at fields
// of R0, and of other pointers, for as many groups as a register says. What it
// returns ends the loop and the function.
func (g *generator) eachFour(groups string, others ...string) (end func()) {
	g.raw("LSL $1, " + groups)
	g.label("four")
	return func() {
		for _, p := range append([]string{"R0"}, others...) {
			g.raw("ADD $32, " + p)
		}
		g.raw(`
			SUBS $1, ` + groups + `
			BNE four
			RET`)
	}
}

// lane returns the field of a lane.
func lane(name string, l int) string { return fmt.Sprintf("%s+%d*%s", name, l, columnBytes) }

func (g *generator) panelSetFrames() {
	g.function("panelSetFrames", "func(c *Panel, groups int)",
		"does what Panel.setFramesGo does, for groups > 0.")
	g.pointToNumbers()
	g.loadArguments("c", "groups")
	end := g.eachFour("R1")
	shift, top := numbers.Frame(g, g.Field("Max"))
	g.SetField("shift", shift)
	g.SetField("magic", numbers.FrameMagic(g, top))
	g.SetField("lower", numbers.FrameLower(g, top))
	zero := g.number(g.constant("zero"))
	zeros := append(append(vector{}, zero...), zero...)
	g.SetField("Count", zeros)
	for l := range 8 {
		g.SetField(lane("Hi", l), zeros)
		g.SetField(lane("Lo", l), zeros)
	}
	end()
}

func (g *generator) panelAddExp() {
	g.panelSum("panelAddExp", "does what Panel.addExpGo does, for 0 < n ≤ 64 and groups > 0, on slices whose maximum is finite. "+
		"For each lane of a group of slices in turn it goes through the lane's entries, of eight slices at a time.", true)
}

func (g *generator) panelTotal() {
	g.panelSum("panelTotal", "does what Panel.totalGo does, for n > 0 and groups > 0, on slices whose maximum is finite and whose "+
		"frames and sums panelSetFrames has set. It goes through eight entries after another, of eight slices at a time.", false)
}

// panelSum is a kernel that adds the entries of lane after lane, or else
// eight entries after another to lane 0. Either is a run.
func (g *generator) panelSum(name, does string, byLane bool) {
	g.function(name, "func(c *Panel, dst *float64, dstStride int, x *float64, stride, n, groups int)", does)
	g.pointToNumbers()
	g.loadArguments("c", "dst", "dstStride", "x", "stride", "n", "groups")
	g.keepTermConstants()
	sum, low, count := g.pin(4), g.pin(4), g.pin(4)
	// R2 and R4 are the strides in bytes, R15 and R17 eight times that. A step
	// is from one entry of a run to the next, next from a run to the next.
	g.raw(`
		LSL $3, R2
		LSL $3, R4
		LSL $3, R2, R15
		LSL $3, R4, R17`)
	step, dstStep, next, dstNext := "R4", "R2", "R17", "R15"
	if byLane {
		step, dstStep, next, dstNext = "R17", "R15", "R4", "R2"
	}
	g.label("group")
	// R7 is how many entries there are from the run's first, R8 where its sums
	// are, R9 and R10 its first entries. R14 counts the lanes.
	g.raw(`
		MOVD $const_Lanes, R14
		MOVD R5, R7
		MOVD R0, R8
		MOVD R3, R9
		MOVD R1, R10`)
	g.clear(count)
	g.label("run")
	// R11 and R13 go through the run's entries. R12 counts them, by eight in
	// a lane.
	g.raw(`
		MOVD R9, R11
		MOVD R10, R13
		MOVD R7, R12`)
	counted := "$8"
	if !byLane {
		counted = "$1"
		g.raw(`
			CMP $8, R12
			BLE runLength
			MOVD $8, R12
			runLength:`)
	}
	g.loadPinned(sum, panel+"_Hi", "R8")
	g.clear(low)
	g.label("entry")
	field := func(name string) vector { return g.load(4, panel+"_"+name, "R0") }
	s, q := g.parts(g.clamp(g.sub(g.load(4, "", "R11"), field("shift")), field("lower")), func() vector { return field("magic") })
	largest := g.equal(g.load(4, "", "R11"), field("Max"))
	g.storeTerms(s, q, "R13", dstStep)
	g.integer(count, "VSUB", count, largest)
	g.addParts(sum, low, g.without(s, largest), q)
	g.raw(`
		ADD ` + step + `, R11
		SUBS ` + counted + `, R12
		BGT entry`)
	g.store(sum, panel+"_Hi", "R8")
	g.store(g.add(g.load(4, panel+"_Lo", "R8"), low), panel+"_Lo", "R8")
	if byLane {
		g.raw(`
			SUBS $1, R7
			BEQ counted
			ADD $` + columnBytes + `, R8`)
	} else {
		g.raw(`
			SUBS $8, R7
			BLE counted`)
	}
	g.raw(`
		ADD ` + next + `, R9
		CBZ R10, next
		ADD ` + dstNext + `, R10
		next:`)
	if byLane {
		g.raw("SUBS $1, R14\nBNE run")
	} else {
		g.raw("B run")
	}
	g.label("counted")
	g.store(g.add(g.load(4, panel+"_Count", "R0"), g.unary("SCVTF2D", count)), panel+"_Count", "R0")
	g.raw(`
		ADD $64, R0
		ADD $64, R3
		CBZ R1, further
		ADD $64, R1
		further:
		SUBS $1, R6
		BNE group
		RET`)
}

func (g *generator) panelJoinLanes() {
	g.function("panelJoinLanes", "func(c *Panel, groups int)",
		"does what Panel.joinLanesGo does, for groups > 0.")
	g.loadArguments("c", "groups")
	end := g.eachFour("R1")
	g.joinLanes(8)
	end()
}

// joinLanes joins so many lanes of four slices.
func (g *generator) joinLanes(lanes int) {
	sum := numbers.JoinLanes(g.joinWords, lanes, func(l int) words {
		return words{g.Field(lane("Hi", l)), g.Field(lane("Lo", l))}
	})
	g.SetField("Hi", sum[0])
	g.SetField("Lo", sum[1])
}

// words are the two or three of a sum in lanes.
type words []vector

// joinWords is a step of joinLanes, or of CoefficientSum.joined.
func (g *generator) joinWords(a, b words) words {
	hi, rest := numbers.TwoSum(g, a[0], b[0])
	if len(a) == 2 {
		return words{hi, g.add(g.add(a[1], b[1]), rest)}
	}
	mid, ofLanes := numbers.TwoSum(g, a[1], b[1])
	mid, ofRest := numbers.TwoSum(g, mid, rest)
	return words{hi, mid, g.add(g.add(a[2], b[2]), g.add(ofLanes, ofRest))}
}

func (g *generator) panelConclude(what string, conclude func(numbers.Machine[vector, vector], numbers.Panel[vector])) {
	g.function("panelConclude"+what, "func(c *Panel, groups int)", "does what Panel.conclude"+what+"Go does, for groups > 0.")
	g.pointToNumbers()
	g.loadArguments("c", "groups")
	end := g.eachFour("R1")
	conclude(g, g)
	end()
}

// eachRow begins two loops, over the n entries of slices in groups, eight
// slices at a time: c in R0, the destination in R1, its stride in R2, the
// source in R3, its stride in R4, n in R5 and groups in R6. In it R7 is the
// place in c, R8 that in the source and R9 that in the destination. What it
// returns ends the loops and the function.
func (g *generator) eachRow() (end func()) {
	g.raw("LSL $3, R2\nLSL $3, R4")
	g.label("row")
	g.raw(`
		MOVD R0, R7
		MOVD R3, R8
		MOVD R1, R9
		MOVD R6, R10`)
	g.label("group")
	return func() {
		g.raw(`
			ADD $64, R7
			ADD $64, R8
			ADD $64, R9
			SUBS $1, R10
			BNE group
			ADD R4, R3
			ADD R2, R1
			SUBS $1, R5
			BNE row
			RET`)
	}
}

func (g *generator) panelShift() {
	g.function("panelShift", "func(c *Panel, dst *float64, dstStride int, x *float64, stride, n, groups int)",
		"does what Panel.shiftGo does, for n > 0 and groups > 0.")
	g.pointToNumbers()
	g.loadArguments("c", "dst", "dstStride", "x", "stride", "n", "groups")
	nan := g.keep(g.constant("nan"))
	end := g.eachRow()
	y := g.sub(g.load(4, "", "R8"), g.load(4, panel+"_Max", "R7"))
	s := g.load(4, panel+"_NegLogSum", "R7")
	g.store(g.where(g.equal(s, s), g.add(s, y), nan), "", "R9")
	end()
}

func (g *generator) panelScale() {
	g.function("panelScale", "func(c *Panel, dst *float64, dstStride int, x *float64, stride, n, groups int)",
		"does what Panel.scaleGo does, for n > 0 and groups > 0, from x to dst, which may be x.")
	g.pointToNumbers()
	g.loadArguments("c", "dst", "dstStride", "x", "stride", "n", "groups")
	nan, zero := g.keep(g.constant("nan")), g.keep(g.constant("zero"))
	end := g.eachRow()
	f := g.load(4, panel+"_Factor", "R7")
	y := g.add(g.mul(g.load(4, "", "R8"), f), zero)
	g.store(g.where(g.equal(f, f), y, nan), "", "R9")
	end()
}

// transpose returns the transpose of a matrix of two columns, whose rows are
// the vector's registers: its two rows.
func (g *generator) transpose(v vector) (first, second vector) {
	for i := 0; i < len(v); i += 2 {
		first = append(first, g.low(v[i:i+1], v[i+1:i+2])...)
		second = append(second, g.high(v[i:i+1], v[i+1:i+2])...)
	}
	return first, second
}

// eightRows sets R5 to R12 to the places of eight rows from R1 on that lie R2
// bytes apart.
func (g *generator) eightRows() {
	g.raw("MOVD R1, R5")
	for i := 6; i <= 12; i++ {
		g.raw(fmt.Sprintf("ADD R2, R%d, R%d", i-1, i))
	}
}

func (g *generator) pack() {
	g.function("pack", "func(dst, x *float64, stride, cols, groups, dstStride int)",
		"does what packGo does, for groups > 0.")
	g.loadArguments("dst", "x", "stride", "cols", "groups")
	g.raw("MOVD " + g.place("dstStride") + ", R15\nLSL $3, R15\nLSL $3, R2")
	g.label("group")
	g.eightRows()
	g.raw("MOVD R0, R13\nSUBS $2, R3, R14\nBLT one")
	g.label("two")
	var v vector
	for i := range 8 {
		v = append(v, g.read(fmt.Sprintf("FMOVQ.P 16(R%d), F%%[1]d", 5+i)))
	}
	first, second := g.transpose(v)
	g.store(first, "", "R13")
	g.raw("ADD R15, R13")
	g.store(second, "", "R13")
	g.raw("ADD R15, R13\nSUBS $2, R14\nBGE two")
	g.label("one")
	g.raw("TBZ $0, R3, next")
	v = nil
	for i := range 8 {
		v = append(v, g.read(fmt.Sprintf("FMOVD (R%d), F%%[1]d", 5+i)))
	}
	first = nil
	for i := 0; i < 8; i += 2 {
		first = append(first, g.low(v[i:i+1], v[i+1:i+2])...)
	}
	g.store(first, "", "R13")
	g.label("next")
	g.raw(`
		ADD $64, R0
		ADD R2<<3, R1
		SUBS $1, R4
		BNE group
		RET`)
}

func (g *generator) unpack() {
	g.function("unpack", "func(x, dst *float64, stride, cols, groups, xStride int)",
		"does what unpackGo does, for groups > 0.")
	g.loadArguments("x", "dst", "stride", "cols", "groups")
	g.raw("MOVD " + g.place("xStride") + ", R19\nLSL $3, R19\nLSL $3, R2")
	g.label("group")
	g.unpackGroup(func(v vector) vector { return v })
}

func (g *generator) panelUnpackScaled() {
	g.function("panelUnpackScaled", "func(tile, dst *float64, stride, cols, groups int, c *Panel)",
		"does what Panel.unpackScaledGo does, for groups > 0, and leaves the tile as it is.")
	g.pointToNumbers()
	g.loadArguments("tile", "dst", "stride", "cols", "groups")
	g.raw("MOVD " + g.place("c") + ", R15\nMOVD $" + columnBytes + ", R19\nLSL $3, R2")
	zero, nan := g.keep(g.constant("zero")), g.keep(g.constant("nan"))
	factor, none, good := g.pin(4), g.pin(4), g.pin(4)
	g.label("group")
	g.loadPinned(factor, panel+"_Factor", "R15")
	g.emit(none, "FCMEQ2DZERO(%[2]d, %[1]d)", false, factor)
	g.binary(good, "FCMEQ2D", factor, factor)
	g.raw("ADD $64, R15")
	g.unpackGroup(func(v vector) vector {
		v = g.without(g.add(g.mul(v, factor), zero), none)
		return g.nanUnless(good, v, nan)
	})
}

// unpackGroup ends a loop over the R4 groups of columns at R0, R19 bytes apart, in
// which it sets eight rows of R3 entries at R1, R2 bytes apart, to a function of
// the entries of four vectors.
func (g *generator) unpackGroup(f func(v vector) vector) {
	g.eightRows()
	g.raw("MOVD R0, R13\nSUBS $2, R3, R14\nBLT one")
	g.label("two")
	g.raw("ADD R19, R13, R20")
	first, second := f(g.load(4, "", "R13")), f(g.load(4, "", "R20"))
	for i := range first {
		g.consume(fmt.Sprintf("FMOVQ.P F%%[2]d, 16(R%d)", 5+2*i), g.low(first[i:i+1], second[i:i+1])[0])
		g.consume(fmt.Sprintf("FMOVQ.P F%%[2]d, 16(R%d)", 6+2*i), g.high(first[i:i+1], second[i:i+1])[0])
	}
	g.raw("ADD R19, R20, R13\nSUBS $2, R14\nBGE two")
	g.label("one")
	g.raw("TBZ $0, R3, next")
	for i, v := range f(g.load(4, "", "R13")) {
		g.consume(fmt.Sprintf("FMOVD F%%[2]d, (R%d)", 5+2*i), v)
		g.consume(fmt.Sprintf("FMOVD F%%[2]d, (R%d)", 6+2*i), g.high(vector{v}, vector{v})[0])
	}
	g.label("next")
	g.raw(`
		ADD $64, R0
		ADD R2<<3, R1
		SUBS $1, R4
		BNE group
		RET`)
}
