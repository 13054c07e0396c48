// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package amd64

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"example.org/logsoftmax/_gen/numbers"
)

// This file is a whole call of a group of rows of few classes or less, from the
// rows to what is made of them, in one kernel: with so little work it is the steps
// from one kernel to the next that take the time. What is not as it mostly is, a
// number that is not finite, a shift, ties, it leaves to the kernels that are for
// a step each, before anything is written.

// fewSlices are the fields of a panel of one vector, in registers.
type fewSlices map[string]multi

func (s fewSlices) Field(name string) multi       { return s[name] }
func (s fewSlices) SetField(name string, x multi) { s[name] = x }

// fewRows are the addresses of as many rows as a vector has lanes. What is beyond
// the last row is the first once more: it is read, worked on and written like any.
type fewRows struct {
	row [8]reg.GPVirtual
	// offset is how far into the rows, in bytes, the columns in work are.
	offset reg.GPVirtual
}

func (r *fewRows) at(i int) Mem { return Mem{Base: r.row[i], Index: r.offset, Scale: 1} }

func (g *generator) newFewRows(base, stride, n reg.GPVirtual) *fewRows {
	r := &fewRows{offset: g.GP64()}
	g.SHLQ(Imm(3), stride)
	three := g.GP64()
	g.LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, three)
	for i := range r.row {
		r.row[i] = g.GP64()
		switch {
		case i == 0:
			g.MOVQ(base, r.row[i])
		case i < 4:
			index, scale := stride, uint8(i)
			if i == 3 {
				index, scale = three, 1
			}
			g.LEAQ(Mem{Base: base, Index: index, Scale: scale}, r.row[i])
		case i == 4:
			g.LEAQ(Mem{Base: base, Index: stride, Scale: 4}, r.row[i])
		default:
			// Of the row before, which is still where it lies.
			g.LEAQ(Mem{Base: r.row[i-1], Index: stride, Scale: 1}, r.row[i])
		}
	}
	for i := 1; i < len(r.row); i++ {
		g.CMPQ(n, imm(i))
		g.CMOVQLE(base, r.row[i])
	}
	g.XORQ(r.offset, r.offset)
	return r
}

// twoColumnsOf runs body for the columns, at least two, two at a time, the last two
// once more where their number is odd; to is their place in the tile.
func (g *generator) twoColumnsOf(name string, r *fewRows, to, cols reg.GPVirtual, body func(left reg.GPVirtual)) {
	left := g.GP64()
	g.MOVQ(cols, left)
	g.Label(name)
	body(left)
	g.ADDQ(Imm(16), r.offset)
	g.ADDQ(U32(2*g.rowBytes), to)
	g.SUBQ(Imm(2), left)
	g.JZ(LabelRef(name + "Done"))
	g.CMPQ(left, Imm(1))
	g.JNE(LabelRef(name))
	g.SUBQ(Imm(8), r.offset)
	g.SUBQ(U32(g.rowBytes), to)
	g.INCQ(left)
	g.JMP(LabelRef(name))
	g.Label(name + "Done")
}

// packFew packs the rows into a tile and returns their maxima. It jumps to the
// label special if one is not finite or has a shift, or an entry is NaN.
func (g *generator) packFew(tile, x, stride, n, cols reg.GPVirtual, special string) (max reg.VecVirtual) {
	rows, to := g.newFewRows(x, stride, n), g.GP64()
	g.MOVQ(tile, to)
	var largest [2]reg.VecVirtual
	largest[0] = g.broadcast(g.constantMem("minusInf"))
	largest[1] = g.copyOf(largest[0])
	nan := g.compare(unordered, largest[0], largest[0])
	g.twoColumnsOf("pack", rows, to, cols, func(reg.GPVirtual) {
		var half [2]reg.VecVirtual
		for odd := range half {
			v := g.vec()
			g.VMOVUPD(rows.at(odd), v.AsX())
			g.VINSERTF128(Imm(1), rows.at(odd+2), v.AsY(), v.AsY())
			g.VINSERTF64X2(Imm(2), rows.at(odd+4), v, v)
			g.VINSERTF64X2(Imm(3), rows.at(odd+6), v, v)
			half[odd] = v
		}
		first, second := g.vec(), g.vec()
		g.VUNPCKLPD(half[1], half[0], first)
		g.VUNPCKHPD(half[1], half[0], second)
		g.store(first, Mem{Base: to})
		g.store(second, Mem{Base: to, Disp: g.rowBytes})
		g.VMAXPD(first, largest[0], largest[0])
		g.VMAXPD(second, largest[1], largest[1])
		g.or(nan, g.compare(unordered, first, second))
	})
	max = g.maximum(largest[0], largest[1])
	ordinary := g.compare(lessThan, g.and(max, g.constant("absMask")), g.constant("shiftFrom"))
	g.jumpUnlessAll(g.without(ordinary, nan), special)
	return max
}

// jumpUnlessAll jumps to the label unless all lanes are in the mask.
func (g *generator) jumpUnlessAll(m mask, label string) {
	bits := g.GP32()
	g.KMOVB(m, bits)
	g.CMPL(bits, U32(0xff))
	g.JNE(LabelRef(label))
}

// sumFew sums up the slices in a tile, whose terms it leaves there.
func (g *generator) sumFew(tile, cols reg.GPVirtual, max reg.VecVirtual) fewSlices {
	g.keep(termConstants...)
	t := g.newTables()
	magic := numbers.FrameMagic(g.one(), multi{max}).only()
	lower := numbers.FrameLower(g.one(), multi{max}).only()
	less, lo := g.zero(), g.zero()
	total := laneSum{g.zero(), g.vec()}
	at, left := g.GP64(), g.GP64()
	g.MOVQ(tile, at)
	g.MOVQ(cols, left)
	entries := func(count int) {
		var of []term
		for i := range count {
			entry := g.load(Mem{Base: at, Disp: g.rowBytes * i})
			other := g.compare(notEqual, entry, max)
			g.countUp(other, less)
			of = append(of, term{g.clamped(entry, nil, lower), other, total})
		}
		g.addTerms(t, magic, func(i int, e reg.VecVirtual) { g.store(e, Mem{Base: at, Disp: g.rowBytes * i}) }, of...)
		g.ADDQ(U32(uint32(g.rowBytes*count)), at)
	}
	g.eachEight("Sum", left, 2,
		func() { g.VXORPD(total.low, total.low, total.low) }, entries,
		func() { g.VADDPD(total.low, lo, lo) })
	g.resident = nil
	return fewSlices{"Max": {max}, "Count": {g.countOf(cols, less)}, "Hi": {total.hi}, "Lo": {lo}}
}

// labelFewRows is a call of losses and gradients of labels.
func (g *generator) labelFewRows() {
	g.function("labelFewRows", "func(l *Labels, tile, x *float64, stride, n, cols int, target *int, classes uint64, weight, sample *float64, divisor float64, dst *float64, dstStride int) int",
		"is Labels.labelRows for 2 ≤ cols and 0 < n ≤ 8, and weights of classes that are nil or of all. Where it does nothing it returns -1.")
	tile, n, cols := g.param("tile"), g.param("n"), g.param("cols")
	field := func(name string) Mem { return Mem{Base: g.param("l"), Disp: g.source.Offset("Labels", name)} }
	max := g.packFew(tile, g.param("x"), g.param("stride"), n, cols, "special")
	g.takeFew(tile, n, field)

	s := g.sumFew(tile, cols, max)
	c := g.one()
	numbers.ConcludeSums(c, s)
	numbers.ConcludeLogs(c, s)
	of := func(name string) reg.VecVirtual { return s[name].only() }
	coefficient, logit, zero := g.load(field("Coefficient")), g.load(field("Logit")), g.zero()
	class := g.load(field("Class"))
	loss := g.sub(zero, g.add(of("NegLogSum"), g.sub(logit, max)))
	loss = g.zeroUnless(g.compare(notEqual, coefficient, zero), g.timesFactor(loss, coefficient))
	g.store(loss, field("Loss"))
	largest := g.without(g.compare(equal, logit, max), g.negative(class, zero))
	others := g.without(largest, g.compare(equal, g.loaded("one"), of("Count")))
	g.test(others)
	g.JNZ(LabelRef("special"))
	single := g.newMask()
	g.KANDB(largest, g.remaining(n), single)
	correct := g.GP32()
	g.KMOVB(single, correct)
	g.POPCNTL(correct, correct)
	g.MOVQ(correct.As64(), address(g.ReturnIndex(0)))

	dst := g.param("dst")
	g.TESTQ(dst, dst)
	g.JZ(LabelRef("done"))
	numbers.ConcludeProbabilities(c, s)
	gradient := g.load(field("Gradient"))
	numbersOfLanes := g.load(g.table("laneNumbers", 0, 1, 2, 3, 4, 5, 6, 7))
	p := g.mul(g.gather(Mem{Base: tile}, g.intAdd(g.shiftRight(g.shiftLeft(class, 58), 52), numbersOfLanes)), of("Inverse"))
	rest := g.choose(largest, g.sub(g.loaded("one"), p), of("Complement"))
	at := g.sub(zero, g.mul(rest, gradient))
	wanted := g.compare(notEqual, gradient, zero)
	at = g.zeroUnless(wanted, at)
	factor := g.mulWhere(wanted, of("Inverse"), gradient)
	g.unpackFew(tile, dst, g.param("dstStride"), n, cols, func(v reg.VecVirtual) reg.VecVirtual {
		return g.add(g.mulWhere(wanted, factor, v), zero)
	}, class, at)
	g.JMP(LabelRef("done"))
	g.Label("special")
	g.MOVQ(I32(-1), address(g.ReturnIndex(0)))
	g.Label("done")
	g.finish()
}

// takeFew sets the classes, logits, coefficients and gradients of labels of the
// rows in a tile. It jumps to the label special if a gradient does not combine.
func (g *generator) takeFew(tile, n reg.GPVirtual, field func(name string) Mem) {
	zero, one := g.zero(), g.loaded("integerOne")
	lanes := g.remaining(n)
	// As the rows, beyond the last the first once more.
	load := func(at reg.GPVirtual) reg.VecVirtual {
		v := g.broadcast(Mem{Base: at})
		g.VMOVUPD(Mem{Base: at}, lanes, v)
		return v
	}
	y := load(g.param("target"))
	bit := g.vec()
	g.VPSRLVQ(y, g.broadcast(address(g.Param("classes"))), bit)
	// -1 for what does not count.
	none := g.intSub(g.and(bit, one), one)
	class := g.andNot(none, y)
	numbersOfLanes := g.load(g.table("laneNumbers", 0, 1, 2, 3, 4, 5, 6, 7))
	g.store(g.gather(Mem{Base: tile}, g.intAdd(g.shiftRight(g.shiftLeft(class, 58), 52), numbersOfLanes)), field("Logit"))
	weight, sample := g.param("weight"), g.param("sample")
	coefficient := g.copyOf(g.loaded("one"))
	g.TESTQ(weight, weight)
	g.JZ(LabelRef("weighted"))
	g.VMOVAPD(g.gather(Mem{Base: weight}, class), coefficient)
	g.Label("weighted")
	coefficient = g.choose(g.negative(none, zero), coefficient, zero)
	g.TESTQ(sample, sample)
	g.JZ(LabelRef("sampled"))
	v := load(sample)
	g.VMULPD(v, coefficient, coefficient)
	all := g.vec()
	g.VPTERNLOGQ(U8(0xff), all, all, all)
	g.replace(g.compare(equal, v, zero), all, none)
	g.Label("sampled")
	g.store(g.xor(g.andNot(none, y), none), field("Class"))
	g.store(coefficient, field("Coefficient"))
	divisor := g.broadcast(address(g.Param("divisor")))
	gradient := g.zeroUnless(g.compare(notEqual, divisor, zero), g.div(coefficient, divisor))
	g.store(gradient, field("Gradient"))
	magnitude := g.and(gradient, g.constant("absMask"))
	combines := g.both(g.compare(lessThan, g.loaded("leastCombined"), magnitude), g.compare(lessThan, magnitude, g.constant("mostCombined")))
	g.or(combines, g.compare(equal, magnitude, zero))
	g.jumpUnlessAll(combines, "special")
}

// unpackFew writes the columns of a tile, each made something of, as rows, with
// other numbers at their classes.
func (g *generator) unpackFew(tile, dst, stride, n, cols reg.GPVirtual, f func(v reg.VecVirtual) reg.VecVirtual, class, atClass reg.VecVirtual) {
	// How many columns are left at the class, and at the one before.
	leftThere := g.intSub(g.broadcastInt(cols), class)
	leftBefore := g.intAdd(leftThere, g.loaded("integerOne"))
	rows, from := g.newFewRows(dst, stride, n), g.GP64()
	g.MOVQ(tile, from)
	g.twoColumnsOf("unpack", rows, from, cols, func(left reg.GPVirtual) {
		first, second := f(g.load(Mem{Base: from})), f(g.load(Mem{Base: from, Disp: g.rowBytes}))
		here := g.broadcastInt(left)
		first = g.choose(g.equalInts(leftThere, here), first, atClass)
		second = g.choose(g.equalInts(leftBefore, here), second, atClass)
		for odd, v := range []reg.VecVirtual{g.vec(), g.vec()} {
			if odd == 0 {
				g.VUNPCKLPD(second, first, v)
			} else {
				g.VUNPCKHPD(second, first, v)
			}
			g.VMOVUPD(v.AsX(), rows.at(odd))
			g.VEXTRACTF128(Imm(1), v.AsY(), rows.at(odd+2))
			g.VEXTRACTF64X2(Imm(2), v, rows.at(odd+4))
			g.VEXTRACTF64X2(Imm(3), v, rows.at(odd+6))
		}
	})
}
