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

// packFew packs the rows into a tile. With largest it returns their maxima, and
// jumps to the label special if one is not finite or has a shift, or an entry is NaN.
func (g *generator) packFew(tile, x, stride, n, cols reg.GPVirtual, largest bool) (max reg.VecVirtual) {
	rows, to, name := g.newFewRows(x, stride, n), g.GP64(), "pack"
	g.MOVQ(tile, to)
	var maxima [2]reg.VecVirtual
	var nan mask
	if largest {
		name = "packMax"
		maxima[0] = g.broadcast(g.constantMem("minusInf"))
		maxima[1] = g.copyOf(maxima[0])
		nan = g.compare(unordered, maxima[0], maxima[0])
	}
	g.twoColumnsOf(name, rows, to, cols, func(reg.GPVirtual) {
		var half [2]reg.VecVirtual
		for odd := range half {
			v := g.vec()
			g.VMOVUPD(rows.at(odd), v.AsX())
			g.VINSERTF128(Imm(1), rows.at(odd+2), v.AsY(), v.AsY())
			g.VINSERTF64X2(Imm(2), rows.at(odd+4), v, v)
			g.VINSERTF64X2(Imm(3), rows.at(odd+6), v, v)
			half[odd] = v
		}
		for i, column := range []reg.VecVirtual{g.vec(), g.vec()} {
			if i == 0 {
				g.VUNPCKLPD(half[1], half[0], column)
			} else {
				g.VUNPCKHPD(half[1], half[0], column)
			}
			g.store(column, Mem{Base: to, Disp: g.rowBytes * i})
			if largest {
				g.VMAXPD(column, maxima[i], maxima[i])
				g.or(nan, g.compare(unordered, column, column))
			}
		}
	})
	if !largest {
		return nil
	}
	max = g.maximum(maxima[0], maxima[1])
	g.unlessAll(g.without(g.compare(lessThan, g.and(max, g.constant("absMask")), g.constant("shiftFrom")), nan))
	return max
}

// unlessAll jumps to the label special unless all lanes are in the mask.
func (g *generator) unlessAll(m mask) {
	bits := g.GP32()
	g.KMOVB(m, bits)
	g.CMPL(bits, U32(0xff))
	g.JNE(LabelRef("special"))
}

// sumFew sums up the slices in a tile and leaves their terms in one, which may be
// the same: none if wanted, which may be nil, is 0 in memory.
func (g *generator) sumFew(terms reg.GPVirtual, wanted Op, tile, cols reg.GPVirtual, max reg.VecVirtual) fewSlices {
	if wanted == nil {
		g.keep(termConstants...)
	} else {
		// There are registers for these.
		g.keep(termConstants[:9]...)
	}
	t := g.newTables()
	magic := numbers.FrameMagic(g.one(), multi{max}).only()
	lower := numbers.FrameLower(g.one(), multi{max}).only()
	less, lo := g.zero(), g.zero()
	total := laneSum{g.zero(), g.vec()}
	at, to, left := g.GP64(), g.GP64(), g.GP64()
	g.MOVQ(tile, at)
	g.MOVQ(cols, left)
	g.MOVQ(terms, to)
	kept := &keptTerms{wanted, func(i int, e reg.VecVirtual) { g.store(e, Mem{Base: to, Disp: g.rowBytes * i}) }}
	entries := func(count int) {
		var of []term
		for i := range count {
			entry := g.load(Mem{Base: at, Disp: g.rowBytes * i})
			other := g.compare(notEqual, entry, max)
			g.countUp(other, less)
			of = append(of, term{g.clamped(entry, nil, lower), other, total})
		}
		g.addTerms(t, magic, kept, of...)
		g.ADDQ(U32(uint32(g.rowBytes*count)), at)
		g.ADDQ(U32(uint32(g.rowBytes*count)), to)
	}
	g.eachEight("Sum", left, 2,
		func() { g.VXORPD(total.low, total.low, total.low) }, entries,
		func() { g.VADDPD(total.low, lo, lo) })
	g.resident = nil
	return fewSlices{"Max": {max}, "Count": {g.countOf(cols, less)}, "Hi": {total.hi}, "Lo": {lo}}
}

// normalizeFewRows is a call of LogSoftmax, Softmax or LogSumExp. A probability next
// to 1 is something special.
func (g *generator) normalizeFewRows() {
	g.function("normalizeFewRows", "func(tile, x *float64, stride, n, cols int, dst *float64, dstStride, softmax, logSumExp int) bool",
		"is Tile.LogSoftmaxRows for 2 ≤ cols and 0 < n ≤ 8, or where they are not 0 Tile.SoftmaxRows and Tile.LogSumExpRows.")
	tile, n, cols := g.param("tile"), g.param("n"), g.param("cols")
	softmax, logSumExp := address(g.Param("softmax")), address(g.Param("logSumExp"))
	max := g.packFew(tile, g.param("x"), g.param("stride"), n, cols, true)
	s, c := g.sumFew(tile, softmax, tile, cols, max), g.one()
	numbers.ConcludeSums(c, s)
	g.CMPQ(softmax, Imm(0))
	g.JNE(LabelRef("softmax"))
	numbers.ConcludeLogs(c, s)
	negLogSum := s["NegLogSum"].only()
	g.CMPQ(logSumExp, Imm(0))
	g.JNE(LabelRef("logSumExp"))
	g.unpackFew("unpack", tile, g.param("dst"), g.param("dstStride"), n, cols, func(_ reg.GPVirtual, first, second reg.VecVirtual) (_, _ reg.VecVirtual) {
		return g.add(negLogSum, g.sub(first, max)), g.add(negLogSum, g.sub(second, max))
	})
	g.JMP(LabelRef("written"))
	g.Label("logSumExp")
	sum, rest := g.twoSum(max, g.xor(negLogSum, g.constant("signMask")))
	g.storeMasked(g.add(sum, g.add(rest, s["LogSumLow"].only())), g.remaining(n), Mem{Base: g.param("dst")})
	g.JMP(LabelRef("written"))
	g.Label("softmax")
	numbers.ConcludeProbabilities(c, s)
	g.unlessAll(g.compare(greaterEqual, s["Complement"].only(), g.loaded("Certain")))
	inverse, zero := s["Inverse"].only(), g.zero()
	g.unpackFew("unpackScaled", tile, g.param("dst"), g.param("dstStride"), n, cols, func(_ reg.GPVirtual, first, second reg.VecVirtual) (_, _ reg.VecVirtual) {
		return g.add(g.mul(inverse, first), zero), g.add(g.mul(inverse, second), zero)
	})
	g.Label("written")
	g.MOVB(U8(1), address(g.ReturnIndex(0)))
	g.JMP(LabelRef("done"))
	g.Label("special")
	g.MOVB(U8(0), address(g.ReturnIndex(0)))
	g.Label("done")
	g.finish()
}

// labelFewRows is a call of losses and gradients of labels.
func (g *generator) labelFewRows() {
	g.function("labelFewRows", "func(l *Labels, tile, x *float64, stride, n, cols int, target *int, classes uint64, weight, sample *float64, divisor float64, dst *float64, dstStride int) int",
		"is Labels.LabelRows for 2 ≤ cols and 0 < n ≤ 8. Where that returns false it returns -1.")
	tile, n, cols := g.param("tile"), g.param("n"), g.param("cols")
	field := func(name string) Mem { return Mem{Base: g.param("l"), Disp: g.source.Offset("Labels", name)} }
	max := g.packFew(tile, g.param("x"), g.param("stride"), n, cols, true)
	g.takeFew(field, tile, g.param("target"), n, address(g.Param("classes")))
	g.weighFew(field, g.param("weight"), g.param("sample"), n, address(g.Param("divisor")))
	g.combineFew(field)

	s := g.sumFew(tile, nil, tile, cols, max)
	c := g.one()
	numbers.ConcludeSums(c, s)
	numbers.ConcludeLogs(c, s)
	of := func(name string) reg.VecVirtual { return s[name].only() }
	coefficient, zero := g.load(field("Coefficient")), g.zero()
	loss := g.sub(zero, g.add(of("NegLogSum"), g.sub(g.load(field("Logit")), max)))
	g.store(g.zeroUnless(g.compare(notEqual, coefficient, zero), g.timesFactor(loss, coefficient)), field("Loss"))
	largest := g.countFew(field, max, of("Count"), n)

	dst := g.param("dst")
	g.TESTQ(dst, dst)
	g.JZ(LabelRef("done"))
	numbers.ConcludeProbabilities(c, s)
	class, gradient := g.load(field("Class")), g.load(field("Gradient"))
	p := g.mul(g.gather(Mem{Base: tile}, g.placesOf(class)), of("Inverse"))
	rest := g.choose(largest, g.sub(g.loaded("one"), p), of("Complement"))
	wanted := g.compare(notEqual, gradient, zero)
	at := g.zeroUnless(wanted, g.sub(zero, g.mul(rest, gradient)))
	factor := g.mulWhere(wanted, of("Inverse"), gradient)
	// How many columns are left at the class, and at the one before.
	leftThere := g.intSub(g.broadcastInt(cols), class)
	leftBefore := g.intAdd(leftThere, g.loaded("integerOne"))
	g.unpackFew("unpack", tile, dst, g.param("dstStride"), n, cols, func(left reg.GPVirtual, first, second reg.VecVirtual) (_, _ reg.VecVirtual) {
		here := g.broadcastInt(left)
		scaled := func(v reg.VecVirtual) reg.VecVirtual { return g.add(g.mulWhere(wanted, factor, v), zero) }
		return g.choose(g.equalInts(leftThere, here), scaled(first), at), g.choose(g.equalInts(leftBefore, here), scaled(second), at)
	})
	g.finishFew()
}

// finishFew ends a kernel that has left a result, or at the label special has none.
func (g *generator) finishFew() {
	g.JMP(LabelRef("done"))
	g.Label("special")
	g.MOVQ(I32(-1), address(g.ReturnIndex(0)))
	g.Label("done")
	g.finish()
}

// placesOf are the places in a tile of the entries of these classes, of the slices
// of a vector. Whatever a class is, its six lowest bits are a row of a tile.
func (g *generator) placesOf(class reg.VecVirtual) reg.VecVirtual {
	numbersOfLanes := g.load(g.table("laneNumbers", 0, 1, 2, 3, 4, 5, 6, 7))
	return g.intAdd(g.shiftRight(g.shiftLeft(class, 58), 52), numbersOfLanes)
}

// eachFew loads a number for each row, beyond the last, as the rows, the first once
// more.
func (g *generator) eachFew(at, n reg.GPVirtual) reg.VecVirtual {
	v := g.broadcast(Mem{Base: at})
	g.VMOVUPD(Mem{Base: at}, g.remaining(n), v)
	return v
}

// takeFew sets the classes of the rows in a tile, and their logits.
func (g *generator) takeFew(field func(name string) Mem, tile, target, n reg.GPVirtual, classes Mem) {
	one := g.loaded("integerOne")
	y, bit := g.eachFew(target, n), g.vec()
	g.VPSRLVQ(y, g.broadcast(classes), bit)
	// -1 for what does not count.
	ignored := g.intSub(g.and(bit, one), one)
	class := g.andNot(ignored, y)
	g.store(g.gather(Mem{Base: tile}, g.placesOf(class)), field("Logit"))
	g.store(g.xor(class, ignored), field("Class"))
}

// ofClasses gathers the weights of classes; where there is none it is that of 0.
func (g *generator) ofClasses(weight, class reg.VecVirtual, base reg.GPVirtual) {
	index := g.vec()
	g.VPMAXSQ(g.zero(), class, index)
	g.VMOVAPD(g.gather(Mem{Base: base}, index), weight)
}

// weighFew sets the coefficients and gradients of rows with classes, by the weights
// of the classes, if weight is not nil, and of the rows: either may be 0.
func (g *generator) weighFew(field func(name string) Mem, weight, sample, n reg.GPVirtual, divisor Mem) {
	class, zero := g.load(field("Class")), g.zero()
	coefficient := g.copyOf(g.loaded("one"))
	ignored := g.negative(class, zero)
	if weight != nil {
		g.TESTQ(weight, weight)
		g.JZ(LabelRef("weighted"))
		g.ofClasses(coefficient, class, weight)
		g.Label("weighted")
	}
	coefficient = g.choose(ignored, coefficient, zero)
	g.TESTQ(sample, sample)
	g.JZ(LabelRef("sampled"))
	v, none := g.eachFew(sample, n), g.vec()
	g.VMULPD(v, coefficient, coefficient)
	g.VPTERNLOGQ(U8(0xff), none, none, none)
	g.replace(g.compare(equal, v, zero), none, class)
	g.store(class, field("Class"))
	g.Label("sampled")
	g.store(coefficient, field("Coefficient"))
	by := g.broadcast(divisor)
	g.store(g.zeroUnless(g.compare(notEqual, by, zero), g.div(coefficient, by)), field("Gradient"))
}

// combineFew jumps to the label special unless all gradients combine.
func (g *generator) combineFew(field func(name string) Mem) {
	magnitude := g.and(g.load(field("Gradient")), g.constant("absMask"))
	combines := g.both(g.compare(lessThan, g.loaded("leastCombined"), magnitude), g.compare(lessThan, magnitude, g.constant("mostCombined")))
	g.or(combines, g.compare(equal, magnitude, g.zero()))
	g.unlessAll(combines)
}

// countFew returns the rows that count whose label is the only largest entry, and
// sets the result to their number. It jumps to the label special if one is one of
// several.
func (g *generator) countFew(field func(name string) Mem, max, count reg.VecVirtual, n reg.GPVirtual) (largest mask) {
	largest = g.without(g.compare(equal, g.load(field("Logit")), max), g.negative(g.load(field("Class")), g.zero()))
	g.test(g.without(largest, g.compare(equal, g.loaded("one"), count)))
	g.JNZ(LabelRef("special"))
	single, correct := g.newMask(), g.GP32()
	g.KANDB(largest, g.remaining(n), single)
	g.KMOVB(single, correct)
	g.POPCNTL(correct, correct)
	g.MOVQ(correct.As64(), address(g.ReturnIndex(0)))
	return largest
}

// weightedFewRows is a call of losses and gradients of rows that have coefficients
// for all classes.
func (g *generator) weightedFewRows() {
	g.function("weightedFewRows", "func(c *Panel, l *Labels, x, q, terms *Tile, r *WeightedRows) int",
		"is Panel.WeightedRows for 2 ≤ Cols and 0 < N ≤ 8. Where that returns false it returns -1.")
	field := func(name string) Mem { return g.field(g.param("c"), name) }
	ofLabels := func(name string) Mem { return Mem{Base: g.param("l"), Disp: g.source.Offset("Labels", name)} }
	argument := func(path ...string) Mem {
		return Mem{Base: g.param("r"), Disp: g.source.Offset("WeightedRows", path...)}
	}
	word := func(path ...string) reg.GPVirtual {
		v := g.GP64()
		g.MOVQ(argument(path...), v)
		return v
	}
	g.store(g.packFew(g.param("x"), word("X", "Data"), word("X", "Stride"), word("N"), word("Cols"), true), field("Max"))
	target := word("Target")
	g.TESTQ(target, target)
	g.JZ(LabelRef("distributions"))
	g.takeFew(ofLabels, g.param("x"), target, word("N"), argument("Classes"))
	g.coefficientsFew(ofLabels, g.param("q"), word("Cols"), word("Base"), word("Weight"), argument("On"))
	g.JMP(LabelRef("taken"))
	g.Label("distributions")
	// All count, and none is equal to a logit.
	g.store(g.zero(), ofLabels("Class"))
	g.store(g.loaded("nan"), ofLabels("Logit"))
	g.packFew(g.param("q"), word("Soft", "Data"), word("Soft", "Stride"), word("N"), word("Cols"), false)
	g.Label("taken")
	g.weighFew(ofLabels, nil, word("Sample"), word("N"), argument("Divisor"))

	s := g.sumFew(g.param("terms"), nil, g.param("x"), word("Cols"), g.load(field("Max")))
	for _, name := range []string{"Count", "Hi", "Lo"} {
		g.store(s[name].only(), field(name))
	}
	panel := &chains{generator: g, n: 1, panel: g.param("c")}
	numbers.ConcludeSums(panel, panel)
	numbers.ConcludeLogs(panel, panel)

	isLabels := func(label string) {
		target := word("Target")
		g.TESTQ(target, target)
		g.JNZ(LabelRef(label))
	}
	g.keepForSums()
	negLogSum := g.load(field("NegLogSum"))
	isLabels("log")
	g.VXORPD(negLogSum, negLogSum, negLogSum)
	g.Label("log")
	hi, lo := g.lossOfSlices(g.param("q"), g.param("x"), word("Cols"), g.load(field("Max")), negLogSum)
	g.store(hi, ofLabels("High"))
	g.store(lo, ofLabels("Low"))
	g.CMPB(argument("SumKnown"), Imm(0))
	g.JNE(LabelRef("known"))
	sum, _ := g.sumOfSlices(g.param("q"), word("Cols"), false)
	g.setSum(field, sum)
	g.JMP(LabelRef("summed"))
	g.Label("known")
	g.store(g.broadcast(argument("Sum", "Hi")), field("Hi"))
	g.store(g.broadcast(argument("Sum", "Lo")), field("Lo"))
	g.Label("summed")
	g.resident = nil
	hi, lo = g.load(ofLabels("High")), g.load(ofLabels("Low"))
	isLabels("loss")
	high, low := g.distributionLoss(field, hi, lo)
	inf := g.constant("inf")
	g.unlessAll(g.both(g.compare(lessThan, high, inf), g.compare(lessThan, g.load(field("Hi")), inf)))
	g.VMOVAPD(high, hi)
	g.VMOVAPD(low, lo)
	g.Label("loss")
	g.store(g.weightedLossValue(hi, lo, g.load(ofLabels("Coefficient"))), ofLabels("Loss"))
	g.countFew(ofLabels, g.load(field("Max")), g.load(field("Count")), word("N"))

	dst := word("Dst", "Data")
	g.TESTQ(dst, dst)
	g.JZ(LabelRef("done"))
	numbers.ConcludeProbabilities(panel, panel)
	g.store(g.load(ofLabels("Gradient")), field("Factor"))
	g.keepForFactor()
	g.gradientOfSlices(field, g.param("terms"), g.param("q"), g.param("x"), word("Cols"), Mem{}, false)
	g.resident = nil
	g.unpackFew("unpack", g.param("terms"), word("Dst", "Data"), word("Dst", "Stride"), word("N"), word("Cols"), func(_ reg.GPVirtual, first, second reg.VecVirtual) (_, _ reg.VecVirtual) {
		return first, second
	})
	g.finishFew()
}

// coefficientsFew sets a tile to the coefficients of slices with classes: base of
// all, but on at the class, times its weight if weight is not 0.
func (g *generator) coefficientsFew(field func(name string) Mem, tile, cols, base, weight reg.GPVirtual, on Mem) {
	class, atClass := g.load(field("Class")), g.broadcast(on)
	g.TESTQ(weight, weight)
	g.JZ(LabelRef("alike"))
	w := g.vec()
	g.ofClasses(w, class, weight)
	g.VMULPD(w, atClass, atClass)
	g.Label("alike")
	number, one := g.zero(), g.loaded("integerOne")
	g.Label("coefficients")
	g.store(g.choose(g.equalInts(class, number), g.broadcast(Mem{Base: base}), atClass), Mem{Base: tile})
	g.VPADDQ(one, number, number)
	g.ADDQ(Imm(8), base)
	g.ADDQ(U32(uint32(g.rowBytes)), tile)
	g.DECQ(cols)
	g.JNZ(LabelRef("coefficients"))
}

// unpackFew writes the columns of a tile, two of which f makes something of, as
// rows; f is told how many columns are left.
func (g *generator) unpackFew(name string, tile, dst, stride, n, cols reg.GPVirtual, f func(left reg.GPVirtual, first, second reg.VecVirtual) (_, _ reg.VecVirtual)) {
	rows, from := g.newFewRows(dst, stride, n), g.GP64()
	g.MOVQ(tile, from)
	g.twoColumnsOf(name, rows, from, cols, func(left reg.GPVirtual) {
		first, second := f(left, g.load(Mem{Base: from}), g.load(Mem{Base: from, Disp: g.rowBytes}))
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
