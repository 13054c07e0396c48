// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The fields of a columns, in the order of the struct: arrays of 64 doubles.
const (
	fieldMax = iota
	fieldCount
	fieldShift
	fieldMagic
	fieldLower
	fieldNegLogSum
	fieldInverse
	fieldRest
	fieldFactor
	fieldHi
	fieldLo         = fieldHi + 8
	fieldLogSumLow  = fieldLo + 8
	fieldInverseLow = fieldLogSumLow + 1
)

const fieldBytes = 512

func columnKernels() {
	columnsMax()
	columnsFrame()
	columnsExpSum(false)
	columnsExpSum(true)
	columnsTotal(false)
	columnsTotal(true)
	if wide {
		for _, stream := range []bool{false, true} {
			columnsExpSumMove(stream)
			columnsTotalMove(stream)
		}
	}
	columnsJoin()
	columnsConclude(false)
	columnsConclude(true)
	columnsCopy()
	fence()
	for _, stream := range []bool{false, true} {
		columnsMap("columnsShift", "sets n > 0 rows of dst to (x-max)+negLogSum by column.", stream, []int{fieldMax, fieldNegLogSum},
			func(x Op, p []Op) reg.VecVirtual { return add(p[1], sub(x, p[0])) })
	}
	columnsMap("columnsScale", "sets n > 0 rows of dst to x·factor + 0 by column.", false, []int{fieldFactor},
		func(x Op, p []Op) reg.VecVirtual { return add(mul(p[0], x), cv("zero")) })
}

// eachVector runs body for every vector of the groups, with c at the vector's
// part of each field and, for each pointer, its part of each row.
func eachVector(c, groups reg.GPVirtual, pointers []reg.GPVirtual, body func()) {
	if !wide {
		SHLQ(Imm(1), groups)
	}
	Label("vectors")
	body()
	step := imm(8 * width())
	ADDQ(step, c)
	for _, p := range pointers {
		ADDQ(step, p)
	}
	DECQ(groups)
	JNZ(LabelRef("vectors"))
}

func columnField(c reg.GPVirtual) func(int) Mem {
	return func(i int) Mem { return Mem{Base: c, Disp: fieldBytes * i} }
}

func columnsMax() {
	function("columnsMax", "func(c, x *float64, stride, n, groups int)",
		"columnsMax"+suffix()+" is columnsMaxGo for n > 0 rows, stride doubles apart.")
	c, x, stride, n, groups := param("c"), param("x"), param("stride"), param("n"), param("groups")
	field := columnField(c)
	SHLQ(Imm(3), stride)
	eachVector(c, groups, []reg.GPVirtual{x}, func() {
		a := load(field(fieldMax))
		b := copyOf(a)
		nan := compare(unordered, a, a)
		p, left := GP64(), GP64()
		MOVQ(x, p)
		MOVQ(n, left)
		loop("pairs", left, 2, func() {
			v := load(Mem{Base: p})
			next := Mem{Base: p, Index: stride, Scale: 1}
			VMAXPD(v, a, a)
			or(nan, compare(unordered, v, next))
			VMAXPD(next, b, b)
			LEAQ(Mem{Base: p, Index: stride, Scale: 2}, p)
		})
		TESTQ(left, left)
		JZ(LabelRef("joined"))
		v := load(Mem{Base: p})
		VMAXPD(v, a, a)
		or(nan, compare(unordered, v, v))
		Label("joined")
		store(choose(nan, maximum(a, b), cv("nan")), field(fieldMax))
	})
	finish()
}

// finiteOrZero is the vector at m, with 0 for what is not finite.
func finiteOrZero(m Op) reg.VecVirtual {
	v := load(m)
	return zeroUnless(compare(lessThan, and(v, c("absMask")), c("inf")), v)
}

// top is newFrame's: the shift, and what is left of a finite maximum.
func frameTop(max reg.VecVirtual) (shift, top reg.VecVirtual) {
	shift = zeroUnless(compare(greaterEqual, and(max, c("absMask")), c("shiftFrom")), max)
	return shift, sub(max, shift)
}

// exponentMagic is the function of that name.
func exponentMagic(top reg.VecVirtual) reg.VecVirtual {
	return andNot(cv("low4"), fma(top, c("sixteenthsPerLn2"), c("magic")))
}

func columnsFrame() {
	function("columnsFrame", "func(c *float64, groups int)", "columnsFrame"+suffix()+" is columnsFrameGo.")
	c1, groups := param("c"), param("groups")
	field := columnField(c1)
	z := zero()
	eachVector(c1, groups, nil, func() {
		shift, top := frameTop(finiteOrZero(field(fieldMax)))
		store(shift, field(fieldShift))
		store(sub(c("frameMagic"), exponentMagic(top)), field(fieldMagic))
		store(sub(top, c("farthest")), field(fieldLower))
		store(z, field(fieldCount))
		for l := range 16 {
			store(z, field(fieldHi+l))
		}
	})
	finish()
}

// clamped is an entry less the shift, if not nil, and not below lower. Of
// NaN it is lower.
func clamped(entry reg.VecVirtual, shift, lower Op) reg.VecVirtual {
	if shift != nil {
		return maximum(sub(entry, shift), lower)
	}
	return maximum(entry, lower)
}

// jumpIfShifted jumps to the label if any of the slices has a shift.
func jumpIfShifted(shift reg.VecVirtual, label string) {
	test(compare(notEqual, shift, zero()))
	JNZ(LabelRef(label))
}

// columnsExpSum: lane by lane, the up to eight entries of a lane that a block
// of up to 64 rows has. Where there are registers for it, two lanes go side by
// side that have as many entries and no shift.
func columnsExpSum(terms bool) {
	name, signature := "columnsExpSum", "func(c, x *float64, stride, n, groups int, next *float64, nextStride, out int)"
	doc := " is columnsExpSumGo without dst, for 0 < n ≤ 64. It prefetches as many rows at next and out bytes from there."
	if terms {
		name, signature = "columnsExpTerms", "func(c, dst *float64, dstStride int, x *float64, stride, n, groups int)"
		doc = " is columnsExpSumGo with dst, for 0 < n ≤ 64."
	}
	function(name, signature, name+suffix()+doc)
	c, stride, groups := param("c"), param("stride"), param("groups")
	x, n := param("x"), address(Param("n"))
	pointers := []reg.GPVirtual{x}
	var dst, dstStride reg.GPVirtual
	if terms {
		dst, dstStride = param("dst"), param("dstStride")
		SHLQ(Imm(3), dstStride)
		pointers = append(pointers, dst)
	}
	field := columnField(c)
	SHLQ(Imm(3), stride)
	if wide {
		keep(expConstants...)
	}
	t := newTables()
	var out reg.GPVirtual
	if !terms {
		out = param("out")
		SHLQ(Imm(3), address(Param("nextStride")))
	}
	eachVector(c, groups, pointers, func() {
		var max, shift, magic, lower Op = field(fieldMax), field(fieldShift), field(fieldMagic), field(fieldLower)
		if wide {
			max, magic, lower = load(max), load(magic), load(lower)
		}
		var ahead reg.GPVirtual
		if !terms {
			// In the order of the rows, whatever that of the lanes.
			ahead = GP64()
			MOVQ(address(Param("next")), ahead)
			ADDQ(imm(8*width()), address(Param("next")))
		}
		less := zero()
		lane, sums := GP64(), GP64()
		XORQ(lane, lane)
		LEAQ(field(fieldHi), sums)
		from := GP64()
		MOVQ(x, from)
		var to reg.GPVirtual
		if terms {
			to = GP64()
			MOVQ(dst, to)
		}
		lanes := func(together int, shift Op) {
			label := func(name string) string { return fmt.Sprintf("%sBy%d", name, together) }
			at := func(base, stride reg.GPVirtual, i int) Mem {
				if i == 0 {
					return Mem{Base: base}
				}
				return Mem{Base: base, Index: stride, Scale: 1}
			}
			Label(label("lanes"))
			p, left := GP64(), GP64()
			MOVQ(from, p)
			var q reg.GPVirtual
			if terms {
				q = GP64()
				MOVQ(to, q)
			}
			MOVQ(n, left)
			SUBQ(lane, left)
			var totals []laneSum
			for i := range together {
				totals = append(totals, laneSum{load(Mem{Base: sums, Disp: fieldBytes * i}), zero()})
			}
			Label(label("entries"))
			var entries []term
			for i, total := range totals {
				entry := load(at(p, stride, i))
				other := compare(notEqual, entry, max)
				countUp(other, less)
				entries = append(entries, term{clamped(entry, shift, lower), other, total})
				if !terms {
					PREFETCHT0(Mem{Base: ahead})
					PREFETCHT0(Mem{Base: ahead, Index: out, Scale: 1})
					ADDQ(address(Param("nextStride")), ahead)
				}
			}
			var put func(i int, e reg.VecVirtual)
			if terms {
				put = func(i int, e reg.VecVirtual) { store(e, at(q, dstStride, i)) }
			}
			addTerms(t, magic, false, put, entries...)
			LEAQ(Mem{Base: p, Index: stride, Scale: 8}, p)
			if terms {
				LEAQ(Mem{Base: q, Index: dstStride, Scale: 8}, q)
			}
			SUBQ(imm(8), left)
			JG(LabelRef(label("entries")))
			for i, total := range totals {
				store(total.hi, Mem{Base: sums, Disp: fieldBytes * i})
				rest := Mem{Base: sums, Disp: fieldBytes * (8 + i)}
				store(add(total.low, rest), rest)
			}
			ADDQ(I32(int32(fieldBytes*together)), sums)
			for range together {
				ADDQ(stride, from)
				if terms {
					ADDQ(dstStride, to)
				}
			}
			ADDQ(Imm(uint64(together)), lane)
			CMPQ(lane, Imm(8))
			JE(LabelRef("counted"))
			CMPQ(lane, n)
			JLT(LabelRef(label("lanes")))
		}
		if wide {
			whole := GP64()
			MOVQ(n, whole)
			ANDQ(Imm(7), whole)
			JNZ(LabelRef("single"))
			jumpIfShifted(load(shift), "single")
			lanes(2, nil)
			JMP(LabelRef("counted"))
			Label("single")
		}
		lanes(1, shift)
		Label("counted")
		// count += n - less, by way of the integers in 2^52 + n.
		rows := XMM()
		VMOVQ(n, rows)
		all := vec()
		VPBROADCASTQ(rows, all)
		equal := sub(intAdd(intSub(all, less), cOp("two52")), cOp("two52"))
		store(add(equal, field(fieldCount)), field(fieldCount))
	})
	finish()
}

// columnsTotal: eight entries after another, two at a time where there are
// registers for it.
func columnsTotal(terms bool) {
	name, signature := "columnsTotal", "func(c, x *float64, stride, n, groups int, next *float64, nextStride, out int)"
	doc := " is columnsTotalGo without dst. It prefetches as many rows at next and out bytes from there."
	if terms {
		name, signature = "columnsTotalTerms", "func(c, dst *float64, dstStride int, x *float64, stride, n, groups int)"
		doc = " is columnsTotalGo with dst."
	}
	function(name, signature, name+suffix()+doc)
	c, x, stride, n, groups := param("c"), param("x"), param("stride"), param("n"), param("groups")
	pointers := []reg.GPVirtual{x}
	var dst, dstStride, next, nextStride, out reg.GPVirtual
	if terms {
		dst, dstStride = param("dst"), param("dstStride")
		SHLQ(Imm(3), dstStride)
		pointers = append(pointers, dst)
	} else {
		next, nextStride, out = param("next"), param("nextStride"), param("out")
		SHLQ(Imm(3), nextStride)
		pointers = append(pointers, next)
	}
	field := columnField(c)
	SHLQ(Imm(3), stride)
	if wide {
		keep(expConstants...)
	}
	t := newTables()
	eachVector(c, groups, pointers, func() {
		// With half the registers the frame is in memory.
		var max, shift, magic, lower Op = field(fieldMax), field(fieldShift), field(fieldMagic), field(fieldLower)
		s, top := frameTop(finiteOrZero(max))
		m := sub(cOp("frameMagic"), exponentMagic(top))
		l := sub(top, cOp("farthest"))
		if wide {
			max, shift, magic, lower = load(max), s, m, l
		} else {
			store(s, shift.(Mem))
			store(m, magic.(Mem))
			store(l, lower.(Mem))
		}
		less, lo := zero(), zero()
		total := laneSum{zero(), zero()}
		from, left := GP64(), GP64()
		MOVQ(x, from)
		MOVQ(n, left)
		var to, ahead, aheadOut reg.GPVirtual
		if terms {
			to = GP64()
			MOVQ(dst, to)
		} else {
			ahead, aheadOut = GP64(), GP64()
			MOVQ(next, ahead)
			LEAQ(Mem{Base: next, Index: out, Scale: 1}, aheadOut)
		}
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
					entry := load(row(from, stride, i))
					other := compare(notEqual, entry, max)
					countUp(other, less)
					of = append(of, term{clamped(entry, shift, lower), other, total})
					if !terms {
						PREFETCHT0(row(ahead, nextStride, i))
						PREFETCHT0(row(aheadOut, nextStride, i))
					}
				}
				var put func(i int, e reg.VecVirtual)
				if terms {
					put = func(i int, e reg.VecVirtual) { store(e, row(to, dstStride, i)) }
				}
				addTerms(t, magic, false, put, of...)
				advance := func(p, stride reg.GPVirtual) {
					LEAQ(Mem{Base: p, Index: stride, Scale: uint8(count)}, p)
				}
				advance(from, stride)
				if terms {
					advance(to, dstStride)
				} else {
					advance(ahead, nextStride)
					advance(aheadOut, nextStride)
				}
			}
			loop("eights"+name, left, 8, func() {
				VXORPD(total.low, total.low, total.low)
				for i := 0; i < 8; i += together {
					entries(together)
				}
				VADDPD(total.low, lo, lo)
			})
			VXORPD(total.low, total.low, total.low)
			if together > 1 {
				loop("several"+name, left, together, func() { entries(together) })
			}
			loop("one"+name, left, 1, func() { entries(1) })
		}
		if wide {
			jumpIfShifted(s, "shifted")
			sum("", 2, nil)
			JMP(LabelRef("summed"))
			Label("shifted")
		}
		sum("Shifted", 1, shift)
		Label("summed")
		store(total.hi, field(fieldHi))
		store(add(total.low, lo), field(fieldLo))
		rows := XMM()
		VMOVQ(n, rows)
		every := vec()
		VPBROADCASTQ(rows, every)
		store(sub(intAdd(intSub(every, less), cOp("two52")), cOp("two52")), field(fieldCount))
	})
	finish()
}

// A mover does, a vector at a time, what has nothing to do with the
// exponentials that it is done beside: it writes the result of the last strip
// and reads the next one to the same place. Strips have n rows of so many bytes;
// rows in memory are further apart.
type mover struct {
	stream                 bool
	state                  reg.GPVirtual // a stripState
	buffer, in, out        reg.GPVirtual // the vector in work
	column                 reg.GPVirtual // its first column, in bytes
	inAhead, outAhead      reg.GPVirtual // as far ahead is prefetched
	width, inSkip, outSkip Mem           // of a strip, and what lies between its rows
	inTurn, outTurn        Mem           // from below a strip to the top of the next
	label                  int
}

const moverSignature = "before, buffer, in *float64, inStride int, out *float64, outStride, ahead, turn, rows int"

// nextMax is where stripState.next.max is.
const nextMax = (fieldInverseLow + 1) * fieldBytes

func newMover(groups reg.GPVirtual, stream bool) *mover {
	m := &mover{stream: stream, column: GP64(), inAhead: GP64(), outAhead: GP64()}
	m.state, m.buffer, m.in, m.out = param("before"), param("buffer"), param("in"), param("out")
	local := AllocLocal(5 * 8)
	m.width, m.inSkip, m.outSkip, m.inTurn, m.outTurn = local, local.Offset(8), local.Offset(16), local.Offset(24), local.Offset(32)
	width := GP64()
	MOVQ(groups, width)
	SHLQ(Imm(6), width)
	MOVQ(width, m.width)
	for _, side := range []struct {
		stride     string
		ahead      reg.GPVirtual
		skip, turn Mem
	}{{"inStride", m.inAhead, m.inSkip, m.inTurn}, {"outStride", m.outAhead, m.outSkip, m.outTurn}} {
		stride := param(side.stride)
		SHLQ(Imm(3), stride)
		MOVQ(stride, side.ahead)
		IMULQ(address(Param("ahead")), side.ahead)
		turned := GP64()
		MOVQ(stride, turned)
		IMULQ(address(Param("rows")), turned)
		NEGQ(turned)
		ADDQ(width, turned)
		MOVQ(turned, side.turn)
		SUBQ(width, stride)
		MOVQ(stride, side.skip)
	}
	XORQ(m.column, m.column)
	return m
}

// move does a vector.
func (m *mover) move() {
	at := func(disp int) Mem { return Mem{Base: m.state, Index: m.column, Scale: 1, Disp: disp} }
	buffer := Mem{Base: m.buffer}
	v := load(buffer)
	VSUBPD(at(fieldBytes*fieldMax), v, v)
	// Of two NaN the sum is the first.
	r := load(at(fieldBytes * fieldNegLogSum))
	VADDPD(v, r, r)
	if m.stream {
		VMOVNTPD(r, Mem{Base: m.out})
	} else {
		store(r, Mem{Base: m.out})
		PREFETCHT0(Mem{Base: m.out, Index: m.outAhead, Scale: 1, Disp: 56})
	}
	x := load(Mem{Base: m.in})
	PREFETCHT0(Mem{Base: m.in, Index: m.inAhead, Scale: 1, Disp: 56})
	store(x, buffer)
	largest := load(at(nextMax))
	nan := compare(unordered, x, largest)
	VMAXPD(x, largest, largest)
	VMOVUPD(cv("nan"), nan, largest)
	store(largest, at(nextMax))

	for _, p := range []reg.GPVirtual{m.buffer, m.in, m.out, m.column} {
		ADDQ(imm(64), p)
	}
	m.label++
	same := fmt.Sprintf("sameRow%d", m.label)
	CMPQ(m.column, m.width)
	JNE(LabelRef(same))
	ADDQ(m.inSkip, m.in)
	ADDQ(m.outSkip, m.out)
	XORQ(m.column, m.column)
	DECQ(address(Param("turn")))
	JNE(LabelRef(same))
	for _, side := range []struct {
		turn  Mem
		ahead reg.GPVirtual
	}{{m.inTurn, m.inAhead}, {m.outTurn, m.outAhead}} {
		ADDQ(side.turn, side.ahead)
	}
	Label(same)
}

func moverDoc(name, of, condition string, stream bool) []string {
	doc := []string{name + suffix() + " is " + of + "Go without dst, for " + condition + " and no shift.",
		"Beside that it sets n rows at out to those at buffer less before.max plus before.negLogSum,",
		"and those to rows at in, of which it raises next.max. before is in a stripState. It prefetches",
		"as many rows ahead, from row turn on those of the next strips, strips being so many rows long."}
	if stream {
		doc = append(doc, "It writes past the caches, without a fence. The rows of out must be aligned to 64 bytes.")
	}
	return doc
}

// columnsExpSumMove: two lanes side by side, as in columnsExpSum.
func columnsExpSumMove(stream bool) {
	name := "columnsExpSumMove"
	if stream {
		name += "Stream"
	}
	function(name, "func(c, x *float64, n, groups int, "+moverSignature+")", moverDoc(name, "columnsExpSum", "n a multiple of 8, at most 64,", stream)...)
	c, x, n, groups := param("c"), param("x"), address(Param("n")), param("groups")
	keep(expConstants...)
	m := newMover(groups, stream)
	t := newTables()
	field := columnField(c)
	stride := m.width
	Label("vectors")
	max, magic, lower := load(field(fieldMax)), load(field(fieldMagic)), load(field(fieldLower))
	less := zero()
	sums, from := GP64(), GP64()
	LEAQ(field(fieldHi), sums)
	MOVQ(x, from)
	Label("lanes")
	p, left := GP64(), GP64()
	MOVQ(from, p)
	MOVQ(n, left)
	var totals []laneSum
	for i := range 2 {
		totals = append(totals, laneSum{load(Mem{Base: sums, Disp: fieldBytes * i}), zero()})
	}
	Label("entries")
	rows := GP64()
	MOVQ(stride, rows)
	var entries []term
	for i, total := range totals {
		entry := load(Mem{Base: p})
		if i > 0 {
			entry = load(Mem{Base: p, Index: rows, Scale: 1})
		}
		other := compare(notEqual, entry, max)
		countUp(other, less)
		entries = append(entries, term{clamped(entry, nil, lower), other, total})
		m.move()
	}
	addTerms(t, magic, false, nil, entries...)
	LEAQ(Mem{Base: p, Index: rows, Scale: 8}, p)
	SUBQ(imm(8), left)
	JG(LabelRef("entries"))
	for i, total := range totals {
		store(total.hi, Mem{Base: sums, Disp: fieldBytes * i})
		rest := Mem{Base: sums, Disp: fieldBytes * (8 + i)}
		store(add(total.low, rest), rest)
	}
	ADDQ(I32(2*fieldBytes), sums)
	ADDQ(stride, from)
	ADDQ(stride, from)
	end := GP64()
	LEAQ(field(fieldHi+8), end)
	CMPQ(sums, end)
	JNE(LabelRef("lanes"))
	all := vec()
	VPBROADCASTQ(n, all)
	equal := sub(intAdd(intSub(all, less), cOp("two52")), cOp("two52"))
	store(add(equal, field(fieldCount)), field(fieldCount))
	ADDQ(imm(64), c)
	ADDQ(imm(64), x)
	DECQ(groups)
	JNZ(LabelRef("vectors"))
	finish()
}

// columnsTotalMove: two entries side by side, as in columnsTotal.
func columnsTotalMove(stream bool) {
	name := "columnsTotalMove"
	if stream {
		name += "Stream"
	}
	function(name, "func(c, x *float64, n, groups int, "+moverSignature+")", moverDoc(name, "columnsTotal", "n > 0", stream)...)
	c, x, n, groups := param("c"), param("x"), address(Param("n")), param("groups")
	keep(expConstants...)
	m := newMover(groups, stream)
	t := newTables()
	field := columnField(c)
	Label("vectors")
	max := load(field(fieldMax))
	_, top := frameTop(finiteOrZero(field(fieldMax)))
	magic := sub(cOp("frameMagic"), exponentMagic(top))
	lower := sub(top, cOp("farthest"))
	less, lo := zero(), zero()
	total := laneSum{zero(), zero()}
	from, left := GP64(), GP64()
	MOVQ(x, from)
	MOVQ(n, left)
	entries := func(count int) {
		var of []term
		for range count {
			entry := load(Mem{Base: from})
			ADDQ(m.width, from)
			other := compare(notEqual, entry, max)
			countUp(other, less)
			of = append(of, term{clamped(entry, nil, lower), other, total})
			m.move()
		}
		addTerms(t, magic, false, nil, of...)
	}
	loop("eights", left, 8, func() {
		VXORPD(total.low, total.low, total.low)
		for range 4 {
			entries(2)
		}
		VADDPD(total.low, lo, lo)
	})
	VXORPD(total.low, total.low, total.low)
	loop("one", left, 1, func() { entries(1) })
	store(total.hi, field(fieldHi))
	store(add(total.low, lo), field(fieldLo))
	every := vec()
	VPBROADCASTQ(n, every)
	store(sub(intAdd(intSub(every, less), cOp("two52")), cOp("two52")), field(fieldCount))
	ADDQ(imm(64), c)
	ADDQ(imm(64), x)
	DECQ(groups)
	JNZ(LabelRef("vectors"))
	finish()
}

// cOp is c, for a scope in which c is something else.
func cOp(name string) Op { return c(name) }

func columnsJoin() {
	function("columnsJoin", "func(c *float64, groups int)", "columnsJoin"+suffix()+" is columnsJoinGo.")
	c, groups := param("c"), param("groups")
	field := columnField(c)
	eachVector(c, groups, nil, func() {
		// Depth first, to have few sums at a time.
		var tree func(l, step int) (hi, lo reg.VecVirtual)
		tree = func(l, step int) (hi, lo reg.VecVirtual) {
			if step == 8 {
				return load(field(fieldHi + l)), load(field(fieldLo + l))
			}
			ah, al := tree(l, 2*step)
			bh, bl := tree(l+step, 2*step)
			sum, rest := twoSum(ah, bh)
			return sum, add(add(al, bl), rest)
		}
		hi, lo := tree(0, 1)
		store(hi, field(fieldHi))
		store(lo, field(fieldLo))
	})
	finish()
}

// columnsCopy prefetches the rows to come, which hardware does not where they
// are far apart.
func columnsCopy() {
	function("columnsCopy", "func(dst *float64, dstStride int, x *float64, stride, n, groups int)",
		"columnsCopy"+suffix()+" copies n > 0 rows of x to dst.")
	dst, dstStride, x, stride, n, groups := param("dst"), param("dstStride"), param("x"), param("stride"), param("n"), param("groups")
	SHLQ(Imm(3), dstStride)
	SHLQ(Imm(3), stride)
	SHLQ(Imm(6), groups)
	i, ahead := GP64(), GP64()
	LEAQ(Mem{Base: x, Index: stride, Scale: 8}, ahead)
	LEAQ(Mem{Base: ahead, Index: stride, Scale: 8}, ahead)
	Label("rows")
	XORQ(i, i)
	Label("lines")
	at := func(base reg.GPVirtual, v int) Mem { return Mem{Base: base, Index: i, Scale: 1, Disp: 8 * width() * v} }
	for v := range 8 / width() {
		store(load(at(x, v)), at(dst, v))
	}
	PREFETCHT0(at(ahead, 0))
	ADDQ(imm(64), i)
	CMPQ(i, groups)
	JLT(LabelRef("lines"))
	ADDQ(stride, x)
	ADDQ(stride, ahead)
	ADDQ(dstStride, dst)
	DECQ(n)
	JNZ(LabelRef("rows"))
	finish()
}

// columnsMap is a kernel dst = f(x) with parameters by column, for as many
// columns at a time as are four, two or one vectors. Streaming, it writes past
// the caches.
func columnsMap(name, does string, stream bool, fields []int, f func(x Op, p []Op) reg.VecVirtual) {
	doc := []string{name + suffix() + " " + does + " dst may be x."}
	if stream {
		name += "Stream"
		doc = []string{name + suffix() + " " + does, "It writes past the caches, without a fence. The rows of dst must be aligned to 64 bytes."}
	}
	function(name, "func(c, dst *float64, dstStride int, x *float64, stride, n, groups int)", doc...)
	c, dst, dstStride, x, stride, n, vectors := param("c"), param("dst"), param("dstStride"), param("x"), param("stride"), param("n"), param("groups")
	SHLQ(Imm(3), dstStride)
	SHLQ(Imm(3), stride)
	if !wide {
		SHLQ(Imm(1), vectors)
	}
	resident = map[string]reg.VecVirtual{"zero": zero()}
	for count := 4; count > 0; count /= 2 {
		label := fmt.Sprintf("vectors%d", count)
		loop(label, vectors, count, func() {
			params := make([][]Op, count)
			for v := range params {
				for _, field := range fields {
					params[v] = append(params[v], load(Mem{Base: c, Disp: fieldBytes*field + 8*width()*v}))
				}
			}
			from, to, left := GP64(), GP64(), GP64()
			MOVQ(x, from)
			MOVQ(dst, to)
			MOVQ(n, left)
			Label(label + "Rows")
			for v, p := range params {
				y, at := f(load(Mem{Base: from, Disp: 8 * width() * v}), p), Mem{Base: to, Disp: 8 * width() * v}
				if stream {
					VMOVNTPD(y, at)
				} else {
					store(y, at)
				}
			}
			ADDQ(stride, from)
			ADDQ(dstStride, to)
			DECQ(left)
			JNZ(LabelRef(label + "Rows"))
			for _, p := range []reg.GPVirtual{c, x, dst} {
				ADDQ(imm(8*width()*count), p)
			}
		})
	}
	finish()
}

// fence is what must follow the kernels that stream and do not do it.
func fence() {
	function("fence", "func()", "fence"+suffix()+" orders what columnsShiftStream wrote before all that is written later.")
	SFENCE()
	RET()
}

func packKernels() {
	packKernel(false)
	packKernel(true)
	if wide {
		rowsShift()
	}
	unpackKernel(false)
	unpackKernel(true)
}

// rowsOfVector are the addresses, from base on, of as many rows as a vector
// has lanes, stride bytes apart: row i is at(i).
type rowsOfVector struct{ base, middle, stride, three reg.GPVirtual }

func newRowsOfVector(base, stride reg.GPVirtual) *rowsOfVector {
	r := &rowsOfVector{base: GP64(), stride: stride, three: GP64()}
	MOVQ(base, r.base)
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, r.three)
	if wide {
		r.middle = GP64()
		LEAQ(Mem{Base: base, Index: stride, Scale: 4}, r.middle)
	}
	return r
}

func (r *rowsOfVector) at(i int) Mem {
	m := Mem{Base: r.base}
	if i >= 4 {
		m.Base = r.middle
	}
	switch i % 4 {
	case 1, 2:
		m.Index, m.Scale = r.stride, uint8(i%4)
	case 3:
		m.Index, m.Scale = r.three, 1
	}
	return m
}

// move goes on by so many bytes.
func (r *rowsOfVector) move(bytes int) {
	for _, p := range []reg.GPVirtual{r.base, r.middle} {
		if p != nil {
			ADDQ(I32(int32(bytes)), p)
		}
	}
}

// twoColumns runs body for the columns of cols ≥ 2, two at a time, the last
// two once more where their number is odd. rows and to, the place in a tile,
// move along.
func twoColumns(rows *rowsOfVector, to, cols reg.GPVirtual, body func()) {
	left := GP64()
	MOVQ(cols, left)
	Label("cols")
	body()
	rows.move(16)
	ADDQ(U32(2*fieldBytes), to)
	SUBQ(Imm(2), left)
	JZ(LabelRef("nextRows"))
	CMPQ(left, Imm(1))
	JNE(LabelRef("cols"))
	rows.move(-8)
	SUBQ(U32(fieldBytes), to)
	INCQ(left)
	JMP(LabelRef("cols"))
	Label("nextRows")
}

// eachRows runs body for every vector's worth of rows of the groups.
func eachRows(tile, x, stride, groups reg.GPVirtual, body func()) {
	SHLQ(Imm(3), stride)
	if !wide {
		SHLQ(Imm(1), groups)
	}
	Label("rows")
	body()
	LEAQ(Mem{Base: x, Index: stride, Scale: uint8(width() / 2)}, x)
	LEAQ(Mem{Base: x, Index: stride, Scale: uint8(width() / 2)}, x)
	ADDQ(imm(8*width()), tile)
	DECQ(groups)
	JNZ(LabelRef("rows"))
}

// pack: two columns of even rows and of odd ones make two vectors.
func packKernel(max bool) {
	name, signature := "pack", "func(tile, x *float64, stride, cols, groups int)"
	if max {
		name, signature = "packMax", "func(c, tile, x *float64, stride, cols, groups int)"
	}
	function(name, signature, name+suffix()+" is "+name+"Go for cols ≥ 2.")
	var state reg.GPVirtual
	if max {
		state = param("c")
	}
	tile, x, stride, cols, groups := param("tile"), param("x"), param("stride"), param("cols"), param("groups")
	eachRows(tile, x, stride, groups, func() {
		rows, to := newRowsOfVector(x, stride), GP64()
		MOVQ(tile, to)
		var largest [2]reg.VecVirtual
		var nan mask
		if max {
			largest[0] = broadcast(constantMem("minusInf"))
			largest[1] = copyOf(largest[0])
			nan = compare(unordered, largest[0], largest[0])
		}
		twoColumns(rows, to, cols, func() {
			var half [2]reg.VecVirtual
			for odd := range half {
				v := vec()
				VMOVUPD(rows.at(odd), v.AsX())
				VINSERTF128(Imm(1), rows.at(odd+2), v.AsY(), v.AsY())
				if wide {
					VINSERTF64X2(Imm(2), rows.at(odd+4), v, v)
					VINSERTF64X2(Imm(3), rows.at(odd+6), v, v)
				}
				half[odd] = v
			}
			first, second := vec(), vec()
			VUNPCKLPD(half[1], half[0], first)
			VUNPCKHPD(half[1], half[0], second)
			store(first, Mem{Base: to})
			store(second, Mem{Base: to, Disp: fieldBytes})
			if max {
				VMAXPD(first, largest[0], largest[0])
				VMAXPD(second, largest[1], largest[1])
				or(nan, compare(unordered, first, second))
			}
		})
		if max {
			store(choose(nan, maximum(largest[0], largest[1]), cv("nan")), columnField(state)(fieldMax))
			ADDQ(imm(8*width()), state)
		}
	})
	finish()
}

func unpackKernel(scaled bool) {
	name, signature := "unpack", "func(dst *float64, stride int, tile *float64, cols, groups int)"
	if scaled {
		name, signature = "unpackScaled", "func(c, dst *float64, stride int, tile *float64, cols, groups int)"
	}
	function(name, signature, name+suffix()+" is "+name+"Go for cols ≥ 2.")
	dst, stride, tile, cols, groups := param("dst"), param("stride"), param("tile"), param("cols"), param("groups")
	var c reg.GPVirtual
	if scaled {
		c = param("c")
		resident = map[string]reg.VecVirtual{"zero": zero()}
	}
	eachRows(tile, dst, stride, groups, func() {
		rows, from := newRowsOfVector(dst, stride), GP64()
		MOVQ(tile, from)
		var factor reg.VecVirtual
		if scaled {
			factor = load(columnField(c)(fieldFactor))
			ADDQ(imm(8*width()), c)
		}
		twoColumns(rows, from, cols, func() {
			first, second := load(Mem{Base: from}), load(Mem{Base: from, Disp: fieldBytes})
			if scaled {
				// Of two NaN the product is the first.
				first, second = add(mul(factor, first), cv("zero")), add(mul(factor, second), cv("zero"))
			}
			var half [2]reg.VecVirtual
			for odd := range half {
				half[odd] = vec()
			}
			VUNPCKLPD(second, first, half[0])
			VUNPCKHPD(second, first, half[1])
			for odd, v := range half {
				VMOVUPD(v.AsX(), rows.at(odd))
				VEXTRACTF128(Imm(1), v.AsY(), rows.at(odd+2))
				if wide {
					VEXTRACTF64X2(Imm(2), v, rows.at(odd+4))
					VEXTRACTF64X2(Imm(3), v, rows.at(odd+6))
				}
			}
		})
	})
	finish()
}

// rowsShift: the eight rows of a group are cols vectors, each of whose
// elements takes its row's numbers by a permutation.
func rowsShift() {
	function("rowsShift", "func(c, dst, x *float64, row *int64, cols, groups int)",
		"rowsShift"+suffix()+" is columnsShiftGo for rows, of dst and x, that lie one behind the other.",
		"row holds, for the 8·cols doubles of eight rows in order, the numbers of their rows.")
	c, dst, x, row, cols, groups := param("c"), param("dst"), param("x"), param("row"), param("cols"), param("groups")
	field := columnField(c)
	Label("groups")
	max, negLogSum := load(field(fieldMax)), load(field(fieldNegLogSum))
	from, left := GP64(), GP64()
	MOVQ(row, from)
	MOVQ(cols, left)
	Label("vectors")
	index, m, s := load(Mem{Base: from}), vec(), vec()
	VPERMPD(max, index, m)
	VPERMPD(negLogSum, index, s)
	store(add(s, sub(load(Mem{Base: x}), m)), Mem{Base: dst})
	for _, p := range []reg.GPVirtual{from, x, dst} {
		ADDQ(imm(64), p)
	}
	DECQ(left)
	JNZ(LabelRef("vectors"))
	ADDQ(imm(64), c)
	DECQ(groups)
	JNZ(LabelRef("groups"))
	finish()
}
