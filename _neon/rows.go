// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import "fmt"

func (g *generator) maxOf() {
	g.function("maxNEON", "x *float64, n int) (max float64", `
maxNEON returns the largest of n entries, -Inf for none. If there is a NaN it
returns a NaN, of any bits; of two zeros either may be the largest.`, 0, 24)
	g.pointToNumbers()
	g.loadArguments("x", "n")
	var m vector
	for range 8 {
		m = append(m, g.keep(bits(0xfff0000000000000, "-Inf"))...)
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
	g.consume("FMOVD F%[2]d, max+16(FP)", g.unary("FMAXP2D", m)[0])
	g.raw("RET")
}

// expSum works on eight entries at a time, a lane of the sum each.
func (g *generator) expSum() {
	const buffer = 512
	g.function("expSumNEON", "s *rowSums, dst, x *float64, n int", `
expSumNEON adds the terms of n entries, a multiple of 8, to the sums of the
frame s, those equal to s.max to its count only. If n is not a multiple of 64,
that leaves the last block short. Where dst is not nil it receives the terms of
all entries; it may be x. It does what expSumGo does, as long as s.max is not
a NaN.`, buffer, 32)
	g.pointToNumbers()
	g.loadArguments("s", "dst", "x", "n")
	t := g.keepTermNumbers()
	shift := g.argument("rowSums_shift(R0)")
	magic := g.argument("rowSums_magic(R0)")
	lower := g.argument("rowSums_lower(R0)")
	max := g.argument("rowSums_max(R0)")
	count := g.pin(1)
	g.bitwise(count, "VEOR", count, count)
	g.raw("MOVD $terms-512(SP), R13\nADD $512, R13, R14")

	g.label("block")
	g.raw("MOVD R13, R12")
	g.label("eight")
	y := g.sub(g.load(4, "", "R2"), shift)
	// The number where y is NaN, which is quiet by now.
	y = g.binary(nil, "FMAXNM2D", y, lower)
	e := g.term(t, y, func() vector { return magic })
	g.countLargest(e, g.equal(g.load(4, "", "R2"), max), func(largest vector) {
		for _, v := range largest {
			g.integer(count, "VSUB", count, vector{v})
		}
	})
	g.raw("CBZ R1, silent")
	g.store(e, "", "R1")
	g.raw(`
		ADD $64, R1
		silent:
		ADD $64, R2
		ADD $64, R12
		SUBS $8, R3
		BLE filling
		CMP R14, R12
		BLT eight`)
	g.sumBlock("rowSums_sum", "rowSums_rest", "R0")
	g.raw("CMP $0, R3\nBGT block")
	g.consume("VMOV V%[2]d.D[0], R4", count[0])
	g.consume("VMOV V%[2]d.D[1], R5", count[0])
	g.raw(`
		MOVD rowSums_count(R0), R6
		ADD R4, R6
		ADD R5, R6
		MOVD R6, rowSums_count(R0)
		RET`)
}

// countLargest stores e at R12, +0 in place of those that are masked as
// largest, and calls count for the masks.
func (g *generator) countLargest(e, largest vector, count func(vector)) {
	count(largest)
	g.store(g.without(e, largest), "", "R12")
}

// sumBlock adds the block of terms from R13 to R12, eight vectors of eight
// with +0 from there to R14, to the sums at the given offsets from base.
func (g *generator) sumBlock(sum, rest, base string) {
	g.label("filling")
	g.raw("CMP R14, R12\nBGE adding")
	g.label("fill")
	zero := g.zero()
	g.store(append(append(append(zero, zero...), zero...), zero...), "", "R12")
	g.raw(`
		ADD $64, R12
		CMP R14, R12
		BLT fill`)
	g.label("adding")
	for i := 0; i < 64; i += 32 {
		v := func(j int) vector { return g.load(2, fmt.Sprint(64*j+i), "R13") }
		b := g.add(
			g.add(g.add(v(0), v(1)), g.add(v(2), v(3))),
			g.add(g.add(v(4), v(5)), g.add(v(6), v(7))))
		s, r := g.twoSum(g.load(2, displaced(sum, i), base), b)
		g.store(s, displaced(sum, i), base)
		g.store(g.add(g.load(2, displaced(rest, i), base), r), displaced(rest, i), base)
	}
}

// zero returns +0.
func (g *generator) zero() vector {
	return vector{g.read("VEOR V%[1]d.B16, V%[1]d.B16, V%[1]d.B16")}
}

func (g *generator) shiftBy() {
	g.function("shiftNEON", "dst, x *float64, n int, max, negLogSum float64", `
shiftNEON sets n entries of dst to negLogSum+(x[j]-max), where negLogSum is not
a NaN. dst may be x.`, 0, 40)
	g.loadArguments("dst", "x", "n")
	max := g.argument("max+24(FP)")
	negLogSum := g.argument("negLogSum+32(FP)")
	g.eachEntry(func(x vector) vector { return g.add(negLogSum, g.sub(x, max)) })
}

func (g *generator) scaleBy() {
	g.function("scaleNEON", "dst, x *float64, n int, factor float64", `
scaleNEON sets n entries of dst to x[j]*factor+0, where factor is not a NaN. dst
may be x.`, 0, 32)
	g.loadArguments("dst", "x", "n")
	factor := g.argument("factor+24(FP)")
	zero := g.pin(1)
	g.bitwise(zero, "VEOR", zero, zero)
	g.eachEntry(func(x vector) vector { return g.add(g.mul(x, factor), zero) })
}

// eachEntry sets R2 entries at R0 to a function of those at R1, and returns.
func (g *generator) eachEntry(f func(x vector) vector) {
	g.raw("SUBS $16, R2\nBLT less")
	g.label("sixteen")
	g.store(f(g.load(8, "", "R1")), "", "R0")
	g.raw(`
		ADD $128, R1
		ADD $128, R0
		SUBS $16, R2
		BGE sixteen`)
	g.label("less")
	g.raw("ADDS $16, R2\nSUBS $4, R2\nBLT pair")
	g.label("four")
	g.store(f(g.load(2, "", "R1")), "", "R0")
	g.raw(`
		ADD $32, R1
		ADD $32, R0
		SUBS $4, R2
		BGE four`)
	g.label("pair")
	g.raw("TBZ $1, R2, one")
	g.store(f(g.load(1, "", "R1")), "", "R0")
	g.raw("ADD $16, R1\nADD $16, R0")
	g.label("one")
	g.raw("TBZ $0, R2, done")
	x := vector{g.read("VLD1R (R1), [V%[1]d.D2]")}
	g.consume("FMOVD F%[2]d, (R0)", f(x)[0])
	g.raw("done:\nRET")
}
