// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package amd64

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// clamped is an entry less the shift, if not nil, and not below lower. Of
// NaN it is lower.
func (g *generator) clamped(entry reg.VecVirtual, shift, lower Op) reg.VecVirtual {
	if shift != nil {
		return g.maximum(g.sub(entry, shift), lower)
	}
	return g.maximum(entry, lower)
}

// jumpIfShifted jumps to the label if any of the slices has a shift.
func (g *generator) jumpIfShifted(shift reg.VecVirtual, label string) {
	g.test(g.compare(notEqual, shift, g.zero()))
	g.JNZ(LabelRef(label))
}

// countOf is how many of n entries are not among the less, as a double: by way
// of the integers in 2^52 + n.
func (g *generator) countOf(n Op, less reg.VecVirtual) reg.VecVirtual {
	low, all := g.XMM(), g.vec()
	g.VMOVQ(n, low)
	g.VPBROADCASTQ(low, all)
	two52 := g.constant("two52")
	return g.sub(g.intAdd(g.intSub(all, less), two52), two52)
}

// eachEight runs body for as many entries as are left, in pieces of up to eight:
// begin, then body for so many of a piece as are together, then for one that may
// be over, then end.
func (g *generator) eachEight(name string, left reg.GPVirtual, together int, begin func(), body func(count int), end func()) {
	g.Label("eight" + name)
	begin()
	now, eight := g.GP64(), g.GP64()
	g.MOVQ(left, now)
	g.MOVQ(U32(8), eight)
	g.CMPQ(left, eight)
	g.CMOVQGT(eight, now)
	g.SUBQ(now, left)
	if together > 1 {
		g.loop("several"+name, now, together, func() { body(together) })
	}
	g.loop("one"+name, now, 1, func() { body(1) })
	end()
	g.TESTQ(left, left)
	g.JNZ(LabelRef("eight" + name))
}

// panelAddExp: lane by lane, the up to eight entries of a lane that a block
// of up to 64 rows has. Where there are registers for it, two lanes go side by
// side that have as many entries and no shift.
func (g *generator) panelAddExp() {
	g.function("panelAddExp", "func(c *Panel, dst *float64, dstStride int, x *float64, stride, n, cols int, next *float64, nextStride, out int)",
		"is Panel.addExpGo for 0 < n ≤ 64. It prefetches as many rows at next and out bytes from there.")
	c, dstStride, stride, out := g.param("c"), g.param("dstStride"), g.param("stride"), g.param("out")
	n, left := address(g.Param("n")), address(g.Param("cols"))
	g.SHLQ(Imm(3), dstStride)
	kept, begin := g.AllocLocal(8), g.param("dst")
	g.MOVQ(begin, kept)
	field := g.fieldsAt(c)
	g.SHLQ(Imm(3), stride)
	g.SHLQ(Imm(3), address(g.Param("nextStride")))
	if g.wide {
		// There are registers for these.
		g.keep(termConstants[:8]...)
	}
	t := g.newTables()
	g.eachVectorOf(c, left, nil, func(cols columns) {
		var max, shift, magic, lower Op = field("Max"), field("shift"), field("magic"), field("lower")
		if g.wide {
			max, magic, lower = g.load(max), g.load(magic), g.load(lower)
		}
		// start is where a parameter points to, and then to the next vector.
		start := func(name string) reg.GPVirtual {
			p := g.param(name)
			g.ADDQ(imm(8*g.width()), address(g.Param(name)))
			return p
		}
		// In the order of the rows, whatever that of the lanes.
		ahead := start("next")
		less := g.zero()
		lane, sums := g.GP64(), g.GP64()
		g.XORQ(lane, lane)
		g.LEAQ(field("Hi"), sums)
		from, to := start("x"), start("dst")
		lanes := func(together int, shift Op) {
			label := func(name string) string { return cols.label(fmt.Sprintf("%sBy%d", name, together)) }
			at := func(base, stride reg.GPVirtual, i int) Mem {
				if i == 0 {
					return Mem{Base: base}
				}
				return Mem{Base: base, Index: stride, Scale: 1}
			}
			g.Label(label("lanes"))
			p, q, left := g.GP64(), g.GP64(), g.GP64()
			g.MOVQ(from, p)
			g.MOVQ(to, q)
			g.MOVQ(n, left)
			g.SUBQ(lane, left)
			var totals []laneSum
			for i := range together {
				totals = append(totals, laneSum{g.load(Mem{Base: sums, Disp: g.rowBytes * i}), g.zero()})
			}
			g.Label(label("entries"))
			var entries []term
			for i, total := range totals {
				entry := cols.load(at(p, stride, i))
				other := g.compare(notEqual, entry, max)
				g.countUp(other, less)
				entries = append(entries, term{g.clamped(entry, shift, lower), other, total})
				g.PREFETCHT0(Mem{Base: ahead})
				g.PREFETCHT0(Mem{Base: ahead, Index: out, Scale: 1})
				g.ADDQ(address(g.Param("nextStride")), ahead)
			}
			store := func(i int, e reg.VecVirtual) { cols.store(e, at(q, dstStride, i)) }
			g.addTerms(t, magic, &keptTerms{kept, store}, entries...)
			g.LEAQ(Mem{Base: p, Index: stride, Scale: 8}, p)
			g.LEAQ(Mem{Base: q, Index: dstStride, Scale: 8}, q)
			g.SUBQ(imm(8), left)
			g.JG(LabelRef(label("entries")))
			for i, total := range totals {
				g.store(total.hi, Mem{Base: sums, Disp: g.rowBytes * i})
				rest := g.lowOf(Mem{Base: sums, Disp: g.rowBytes * i})
				g.store(g.add(total.low, rest), rest)
			}
			g.ADDQ(I32(int32(g.rowBytes*together)), sums)
			for range together {
				g.ADDQ(stride, from)
				g.ADDQ(dstStride, to)
			}
			g.ADDQ(Imm(uint64(together)), lane)
			g.CMPQ(lane, Imm(8))
			g.JE(LabelRef(cols.label("counted")))
			g.CMPQ(lane, n)
			g.JLT(LabelRef(label("lanes")))
		}
		if g.wide {
			whole := g.GP64()
			g.MOVQ(n, whole)
			g.ANDQ(Imm(7), whole)
			g.JNZ(LabelRef(cols.label("single")))
			g.jumpIfShifted(g.load(shift), cols.label("single"))
			lanes(2, nil)
			g.JMP(LabelRef(cols.label("counted")))
			g.Label(cols.label("single"))
		}
		lanes(1, shift)
		g.Label(cols.label("counted"))
		g.store(g.add(g.countOf(n, less), field("Count")), field("Count"))
	})
	g.finish()
}

// panelTotal: eight entries after another, two at a time where there are
// registers for it.
func (g *generator) panelTotal() {
	g.function("panelTotal", "func(c *Panel, dst *float64, dstStride int, x *float64, stride, n, cols int, next *float64, nextStride, out int)",
		"is Panel.totalGo. It prefetches as many rows at next and out bytes from there.")
	c, dst, dstStride, x, stride := g.param("c"), g.param("dst"), g.param("dstStride"), g.param("x"), g.param("stride")
	n, left := address(g.Param("n")), address(g.Param("cols"))
	next, out := g.param("next"), g.param("out")
	pointers := []reg.GPVirtual{x, next, dst}
	nextStride := address(g.Param("nextStride"))
	g.SHLQ(Imm(3), nextStride)
	g.SHLQ(Imm(3), dstStride)
	field := g.fieldsAt(c)
	g.SHLQ(Imm(3), stride)
	if g.wide {
		// There are registers for these.
		g.keep(termConstants[:9]...)
	}
	t := g.newTables()
	g.eachVectorOf(c, left, pointers, func(cols columns) {
		// With half the registers the frame is in memory.
		var max, shift, magic, lower Op = field("Max"), field("shift"), field("magic"), field("lower")
		s, m, l := g.frame(g.load(max))
		if g.wide {
			max, shift, magic, lower = g.load(max), s, m, l
		} else {
			g.store(s, shift.(Mem))
			g.store(m, magic.(Mem))
			g.store(l, lower.(Mem))
		}
		less, lo := g.zero(), g.zero()
		total := laneSum{g.zero(), g.vec()}
		from, left := g.GP64(), g.GP64()
		g.MOVQ(x, from)
		g.MOVQ(n, left)
		ahead := g.GP64()
		g.MOVQ(next, ahead)
		to := g.GP64()
		g.MOVQ(dst, to)
		row := func(base, stride reg.GPVirtual, i int) Mem {
			if i == 0 {
				return Mem{Base: base}
			}
			return Mem{Base: base, Index: stride, Scale: 1}
		}
		sum := func(name string, together int, shift Op) {
			// entries adds so many rows.
			entries := func(count int) {
				var of []term
				for i := range count {
					entry := cols.load(row(from, stride, i))
					other := g.compare(notEqual, entry, max)
					g.countUp(other, less)
					of = append(of, term{g.clamped(entry, shift, lower), other, total})
					g.PREFETCHT0(Mem{Base: ahead})
					g.PREFETCHT0(Mem{Base: ahead, Index: out, Scale: 1})
					g.ADDQ(nextStride, ahead)
				}
				store := func(i int, e reg.VecVirtual) { cols.store(e, row(to, dstStride, i)) }
				g.addTerms(t, magic, g.keptIn("dst", store), of...)
				advance := func(p, stride reg.GPVirtual) {
					g.LEAQ(Mem{Base: p, Index: stride, Scale: uint8(count)}, p)
				}
				advance(from, stride)
				advance(to, dstStride)
			}
			g.eachEight(cols.label(name), left, together,
				func() { g.VXORPD(total.low, total.low, total.low) }, entries,
				func() { g.VADDPD(total.low, lo, lo) })
		}
		if g.wide {
			g.jumpIfShifted(s, cols.label("shifted"))
			sum("", 2, nil)
			g.JMP(LabelRef(cols.label("summed")))
			g.Label(cols.label("shifted"))
		}
		sum("Shifted", 1, shift)
		g.Label(cols.label("summed"))
		g.store(total.hi, field("Hi"))
		g.store(lo, field("Lo"))
		g.store(g.countOf(n, less), field("Count"))
	})
	g.finish()
}
