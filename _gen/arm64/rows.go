// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package arm64

import (
	"fmt"
	"slices"

	"example.org/logsoftmax/_gen/numbers"
)

func (g *generator) maxOf() {
	g.function("maxOf", "func(x *float64, n int) (max float64)",
		"returns the largest of n entries, -Inf for none. If there is a NaN it returns a NaN, of any bits; of two zeros either may be the largest.")
	g.pointToNumbers()
	g.loadArguments("x", "n")
	var m vector
	for range 8 {
		m = append(m, g.keep(g.constant("minusInf"))...)
	}
	g.raw(`
		SUBS $16, R1
		BLT less`)
	g.label("sixteen")
	g.binary(m, "FMAX2D", m, g.load(8, "", "R0"))
	g.raw(`
		ADD $128, R0
		SUBS $16, R1
		BGE sixteen`)
	g.label("less")
	g.raw(`
		ADD $16, R1
		SUBS $4, R1
		BLT pair`)
	g.label("four")
	g.binary(m[:2], "FMAX2D", m[:2], g.load(2, "", "R0"))
	g.raw(`
		ADD $32, R0
		SUBS $4, R1
		BGE four`)
	g.label("pair")
	g.raw("TBZ $1, R1, one")
	g.binary(m[:1], "FMAX2D", m[:1], g.load(1, "", "R0"))
	g.raw("ADD $16, R0")
	g.label("one")
	g.raw("TBZ $0, R1, done")
	g.binary(m[:1], "FMAX2D", m[:1], vector{g.read("VLD1R (R0), [V%[1]d.D2]")})
	g.label("done")
	for len(m) > 1 {
		half := len(m) / 2
		g.binary(m[:half], "FMAX2D", m[:half], m[half:])
		m = m[:half]
	}
	g.consume("FMOVD F%[2]d, "+g.place("max"), g.unary("FMAXP2D", m)[0])
	g.raw("RET")
}

// expSum works on eight entries at a time, one of each lane.
func (g *generator) expSum() {
	g.function("expSum", "func(s *rowSums, dst, x *float64, n int)",
		"adds the terms of n entries, a multiple of 8 and not 0, to the sums of the frame s, and those equal to s.max to its count only. Blocks begin at x. Where dst is not nil it receives the terms of all entries; it may be x. It does what expSumGo does, if s.max is finite.")
	g.pointToNumbers()
	g.loadArguments("s", "dst", "x", "n")
	g.keepTermConstants()
	magic := g.pin(1)
	g.loadPinned(magic, "rowSums_magic", "R0")
	frame := func(field string) vector { return g.load(1, "rowSums_"+field, "R0") }
	sum, low, count := g.pin(4), g.pin(4), g.pin(1)
	g.loadPinned(sum, "rowSums_sum", "R0")
	g.clear(count)

	g.label("block")
	g.clear(low)
	g.raw("MOVD $const_BlockLen, R4")
	g.label("eight")
	s, q := g.parts(g.clamp(g.sub(g.load(4, "", "R2"), frame("shift")), frame("lower")), func() vector { return magic })
	largest := g.equal(g.load(4, "", "R2"), frame("max"))
	g.storeTerms(s, q, "R1", "$64")
	for i := range largest {
		g.integer(count, "VSUB", count, largest[i:i+1])
	}
	g.addParts(sum, low, g.without(s, largest), q)
	g.raw(`
		ADD $64, R2
		SUBS $8, R3
		BEQ added
		SUBS $8, R4
		BNE eight`)
	g.label("added")
	g.store(g.add(g.load(4, "rowSums_rest", "R0"), low), "rowSums_rest", "R0")
	g.raw("CBNZ R3, block")
	g.store(sum, "rowSums_sum", "R0")
	g.consume("VMOV V%[2]d.D[0], R4", count[0])
	g.consume("VMOV V%[2]d.D[1], R5", count[0])
	g.raw(`
		MOVD rowSums_count(R0), R6
		ADD R4, R6
		ADD R5, R6
		MOVD R6, rowSums_count(R0)
		RET`)
}

// laneTotal works on two entries at a time, whose parts it adds one after the other
// in the lower lanes: what the upper ones hold is nothing.
func (g *generator) laneTotal() {
	g.function("laneTotal", "func(dst, x *float64, n int, shift, magic, lower, max float64) (count int, hi, lo float64)",
		"is laneTotalGo for n > 0 entries in the frame of max, which is finite.")
	g.pointToNumbers()
	g.loadArguments("dst", "x", "n")
	g.keepTermConstants()
	shift, magic, lower, max := g.argument("shift"), g.argument("magic"), g.argument("lower"), g.argument("max")
	sum, low, rest, count := g.pin(1), g.pin(1), g.pin(1), g.pin(1)
	for _, v := range []vector{sum, low, rest, count} {
		g.clear(v)
	}
	entries := func(n int) {
		load := []string{1: "FMOVD", 2: "FMOVQ"}[n]
		x := vector{g.read(load + " (R1), F%[1]d")}
		s, q := g.parts(g.clamp(g.sub(x, shift), lower), func() vector { return magic })
		largest := g.equal(x, max)
		g.raw(fmt.Sprintf("CBZ R0, silent%d", n))
		g.consume(load+" F%[2]d, (R0)", g.FMA(s, q, s)[0])
		g.raw(fmt.Sprintf("ADD $16, R0\nsilent%d:", n))
		s = g.without(s, largest)
		g.addParts(sum, low, s, q)
		if n == 2 {
			g.addParts(sum, low, g.high(s, s), g.high(q, q))
		} else {
			largest = g.low(largest, g.number(g.constant("zero")))
		}
		g.integer(count, "VSUB", count, largest)
	}
	g.raw("MOVD $const_Lanes, R4\nSUBS $2, R2\nBLT last")
	g.label("two")
	entries(2)
	g.raw(`
		ADD $16, R1
		SUBS $2, R4
		BNE within
		MOVD $const_Lanes, R4`)
	g.binary(rest, "FADD2D", rest, low)
	g.clear(low)
	g.label("within")
	g.raw("SUBS $2, R2\nBGE two")
	g.label("last")
	g.raw("TBZ $0, R2, added")
	entries(1)
	g.label("added")
	g.consume("FMOVD F%[2]d, "+g.place("hi"), sum[0])
	g.consume("FMOVD F%[2]d, "+g.place("lo"), g.add(rest, low)[0])
	g.consume("VMOV V%[2]d.D[0], R4", count[0])
	g.consume("VMOV V%[2]d.D[1], R5", count[0])
	g.raw("ADD R5, R4\nMOVD R4, " + g.place("count") + "\nRET")
}

// clear sets pinned values to +0.
func (g *generator) clear(v vector) {
	for i := range v {
		g.emit(v[i:i+1], "VEOR V%[1]d.B16, V%[1]d.B16, V%[1]d.B16", false)
	}
}

// clamp returns the larger of y and lower, and lower for NaN, which must be
// quiet.
func (g *generator) clamp(y, lower vector) vector { return g.binary(nil, "FMAXNM2D", y, lower) }

// storeTerms stores s+s·q where a register points, unless that is 0, and adds
// step to it.
func (g *generator) storeTerms(s, q vector, at, step string) {
	g.raw("CBZ " + at + ", silent")
	g.store(g.FMA(s, q, s), "", at)
	g.raw("ADD " + step + ", " + at + "\nsilent:")
}

// addParts adds s+s·q to lanes, where s is +0 to leave a term out: neither sum
// nor low is ever -0, so that adding 0 leaves them as they are.
func (g *generator) addParts(sum, low, s, q vector) {
	for i := range low {
		l := low[i : i+1]
		g.emit(l, "VFMLA V%[3]d.D2, V%[2]d.D2, V%[1]d.D2", true, l, s[i:i+1], q[i:i+1])
	}
	newSum, rest := numbers.TwoSum(g, sum, s)
	g.binary(low, "FADD2D", low, rest)
	g.assign(sum, newSum)
}

func (g *generator) shiftBy() {
	g.function("shiftBy", "func(dst, x *float64, n int, max, negLogSum float64)",
		"sets n entries of dst to negLogSum+(x[j]-max), where negLogSum is not a NaN. dst may be x.")
	g.loadArguments("dst", "x", "n")
	max := g.argument("max")
	negLogSum := g.argument("negLogSum")
	g.eachEntry([]string{"R0"}, []string{"R1"}, "R2", []int{8, 2, 1}, func(of []vector) []vector {
		return []vector{g.add(negLogSum, g.sub(of[0], max))}
	}, "RET")
}

func (g *generator) scaleBy() {
	g.function("scaleBy", "func(dst, x *float64, n int, factor float64)",
		"sets n entries of dst to x[j]*factor+0, where factor is not a NaN. dst may be x.")
	g.loadArguments("dst", "x", "n")
	factor := g.argument("factor")
	zero := g.pin(1)
	g.clear(zero)
	g.eachEntry([]string{"R0"}, []string{"R1"}, "R2", []int{8, 2, 1}, func(of []vector) []vector {
		return []vector{g.add(g.mul(of[0], factor), zero)}
	}, "RET")
}

// eachEntry sets entries at dst to functions of those at from, as many as n says,
// in turn so many registers at a time, and ends the function with what end says.
func (g *generator) eachEntry(dst, from []string, n string, registers []int, f func(of []vector) []vector, end string) {
	pointers := slices.Concat(dst, from)
	slices.Sort(pointers)
	pointers = slices.Compact(pointers)
	advance := func(bytes int) {
		for _, p := range pointers {
			g.raw(fmt.Sprintf("ADD $%d, %s", bytes, p))
		}
	}
	for _, r := range registers {
		label := fmt.Sprintf("by%d", 2*r)
		g.raw(fmt.Sprintf("SUBS $%d, %s\nBLT %sDone", 2*r, n, label))
		g.label(label)
		var of []vector
		for _, p := range from {
			of = append(of, g.load(r, "", p))
		}
		for i, v := range f(of) {
			g.store(v, "", dst[i])
		}
		advance(16 * r)
		g.raw(fmt.Sprintf("SUBS $%d, %s\nBGE %s", 2*r, n, label))
		g.label(label + "Done")
		g.raw(fmt.Sprintf("ADD $%d, %s", 2*r, n))
	}
	g.raw("CBZ " + n + ", end")
	var of []vector
	for _, p := range from {
		of = append(of, vector{g.read("VLD1R (" + p + "), [V%[1]d.D2]")})
	}
	for i, v := range f(of) {
		g.consume("FMOVD F%[2]d, ("+dst[i]+")", v[0])
	}
	advance(8)
	g.label("end")
	g.raw(end)
}
