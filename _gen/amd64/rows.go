// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package amd64

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"example.org/logsoftmax/_gen/numbers"
)

func (g *generator) rowKernels() {
	g.rowMax()
	g.expSum()
	g.laneTotal()
	g.rowMap("shiftBy", "sets dst[j], n of them, to (x[j]-max)+negLogSum. negLogSum must not be NaN.",
		[]string{"max", "negLogSum"}, func(x Op, p map[string]reg.VecVirtual) reg.VecVirtual {
			return g.add(p["negLogSum"], g.sub(x, p["max"]))
		})
	g.rowMap("scaleBy", "sets dst[j], n of them, to x[j]·factor + 0. factor must not be NaN.",
		[]string{"factor"}, func(x Op, p map[string]reg.VecVirtual) reg.VecVirtual {
			return g.add(g.mul(p["factor"], x), g.loaded("zero"))
		})
}

// rowMax: four vectors at a time, each pair of them tested for NaN at once.
func (g *generator) rowMax() {
	g.function("maxOf", "func(x *float64, n int) float64", "is maxOfGo of the n > 0 doubles at x.")
	x, n := g.param("x"), g.param("n")
	low := g.broadcast(g.constantMem("minusInf"))
	var m [4]reg.VecVirtual
	for i := range m {
		m[i] = g.copyOf(low)
	}
	nan := g.newMask()
	if g.wide {
		g.KXORB(nan, nan, nan)
	} else {
		g.VXORPD(nan, nan, nan)
	}
	w := g.width()
	at := func(i int) Mem { return Mem{Base: x, Disp: 8 * w * i} }
	g.loop("four", n, 4*w, func() {
		for i := 0; i < 4; i += 2 {
			a := g.load(at(i))
			g.VMAXPD(a, m[i], m[i])
			g.or(nan, g.compare(unordered, a, at(i+1)))
			g.VMAXPD(at(i+1), m[i+1], m[i+1])
		}
		g.ADDQ(imm(32*w), x)
	})
	g.loop("one", n, w, func() {
		a := g.load(at(0))
		g.VMAXPD(a, m[0], m[0])
		g.or(nan, g.compare(unordered, a, a))
		g.ADDQ(imm(8*w), x)
	})
	g.TESTQ(n, n)
	g.JZ(LabelRef("reduce"))
	a := g.loadMasked(at(0), g.remaining(n), low)
	g.VMAXPD(a, m[1], m[1])
	g.or(nan, g.compare(unordered, a, a))
	g.Label("reduce")
	all := g.maximum(g.maximum(m[0], m[1]), g.maximum(m[2], m[3]))
	y := all
	if g.wide {
		y = g.YMM()
		g.VEXTRACTF64X4(Imm(1), all, y)
		g.VMAXPD(y, all.AsY(), y)
	}
	high := g.XMM()
	g.VEXTRACTF128(Imm(1), y, high)
	g.VMAXPD(high, y.AsX(), high)
	other := g.XMM()
	g.VPERMILPD(Imm(1), high, other)
	g.VMAXSD(other, high, high)
	bits := g.GP32()
	if g.wide {
		g.KMOVB(nan, bits)
	} else {
		g.VMOVMSKPD(nan, bits)
	}
	g.TESTL(bits, bits)
	g.JZ(LabelRef("done"))
	g.VMOVSD(g.constantMem("nan"), high)
	g.Label("done")
	g.VMOVSD(high, address(g.ReturnIndex(0)))
	g.finish()
}

// expSum: blocks of 64 entries as eight vectors of eight lanes, or in two
// passes as eight of four. Entries beyond the end are taken for the maximum.
// The terms are written as well, if dst is not nil.
func (g *generator) expSum() {
	g.function("expSum", "func(dst, x *float64, n int, s *expState)",
		"is expSumGo for the n > 0 doubles at x in a frame without shift. max, magic, lower, next and out of s go in; less, hi and lo come out.")
	dst, x, total, s := g.param("dst"), g.param("x"), g.param("n"), g.param("s")
	state := func(field string) Mem { return Mem{Base: s, Disp: g.source.Offset("expState", field)} }
	w, together := g.width(), 1
	var next, out reg.GPVirtual
	if g.wide {
		together = 2
		g.keep(termConstants...)
		next, out = g.GP64(), g.GP64()
		g.MOVQ(state("next"), next)
		g.MOVQ(state("out"), out)
	}
	t := g.newTables()
	var max, magic, lower Op = g.broadcast(state("max")), g.broadcast(state("magic")), g.broadcast(state("lower"))

	// With half the registers the frame is kept in memory, and the first
	// pass's sums are. offset is that of the pass.
	var saved Mem
	var offset reg.GPVirtual
	if !g.wide {
		saved = g.AllocLocal(6 * 32)
		for i, v := range []*Op{&max, &magic, &lower} {
			at := saved.Offset(32 * (3 + i))
			g.store((*v).(reg.VecVirtual), at)
			*v = at
		}
		offset = g.GP64()
		g.XORQ(offset, offset)
	}
	// The number of entries that are not the maximum, or that of each lane.
	var counted reg.GPVirtual
	var less reg.VecVirtual
	if g.wide {
		counted = g.GP64()
		g.XORQ(counted, counted)
	}
	g.Label("pass")
	n, p, q := g.GP64(), g.GP64(), g.GP64()
	g.MOVQ(total, n)
	pointers := []reg.GPVirtual{p, q}
	for i, from := range []reg.GPVirtual{x, dst} {
		if g.wide {
			g.MOVQ(from, pointers[i])
		} else {
			g.LEAQ(Mem{Base: from, Index: offset, Scale: 1}, pointers[i])
		}
	}
	advance := func(bytes int) {
		for _, p := range pointers {
			g.ADDQ(imm(bytes), p)
		}
	}
	hi, lo, low := g.zero(), g.zero(), g.vec()
	if !g.wide {
		less = g.zero()
	}
	entry := func(store func(i int, e reg.VecVirtual), xs ...reg.VecVirtual) {
		entries := make([]term, len(xs))
		for i, x := range xs {
			other := g.compare(notEqual, x, max)
			if g.wide {
				// The vector units have more to do than the others.
				bits := g.GP32()
				g.KMOVB(other, bits)
				g.POPCNTL(bits, bits)
				g.ADDQ(bits.As64(), counted)
			} else {
				g.countUp(other, less)
			}
			g.VMAXPD(lower, x, x)
			entries[i] = term{x, other, laneSum{hi, low}}
		}
		g.addTerms(t, magic, g.keptIn("dst", store), entries...)
	}
	g.loop("blocks", n, 64, func() {
		g.VXORPD(low, low, low)
		left := g.GP64()
		g.MOVQ(U32(8/together), left)
		g.Label("block")
		xs := make([]reg.VecVirtual, together)
		for i := range xs {
			xs[i] = g.load(Mem{Base: p, Disp: 64 * i})
			if g.wide {
				g.PREFETCHT0(Mem{Base: p, Index: next, Scale: 1, Disp: 64 * i})
				g.PREFETCHT0(Mem{Base: p, Index: out, Scale: 1, Disp: 64 * i})
			}
		}
		entry(func(i int, e reg.VecVirtual) { g.store(e, Mem{Base: q, Disp: 64 * i}) }, xs...)
		advance(64 * together)
		g.DECQ(left)
		g.JNZ(LabelRef("block"))
		g.VADDPD(low, lo, lo)
	})
	// What is left of a block, less than 64.
	if !g.wide {
		g.SHRQ(Imm(3), offset)
		g.SUBQ(offset, n)
		g.SHLQ(Imm(3), offset)
	}
	g.CMPQ(n, imm(0))
	g.JLE(LabelRef("summed"))
	g.VXORPD(low, low, low)
	g.Label("rest")
	m := g.remaining(n)
	entry(func(_ int, e reg.VecVirtual) { g.storeMasked(e, m, Mem{Base: q}) }, g.loadMasked(Mem{Base: p}, m, max))
	advance(64)
	g.SUBQ(imm(8), n)
	g.JG(LabelRef("rest"))
	g.VADDPD(low, lo, lo)
	g.Label("summed")
	his, los := []reg.VecVirtual{hi}, []reg.VecVirtual{lo}
	if g.wide {
		g.MOVQ(counted, state("less"))
	} else {
		g.ADDQ(imm(8*w), offset)
		g.CMPQ(offset, imm(64))
		g.JE(LabelRef("passed"))
		g.store(hi, saved)
		g.store(lo, saved.Offset(32))
		g.store(less, saved.Offset(64))
		g.JMP(LabelRef("pass"))
		g.Label("passed")
		// Lanes 0 to 3 are those of the first pass.
		his, los = []reg.VecVirtual{g.load(saved), hi}, []reg.VecVirtual{g.load(saved.Offset(32)), lo}
		of := g.intAdd(less, saved.Offset(64))
		for _, step := range []func(v reg.VecVirtual) reg.VecVirtual{g.upperHalf, g.upperQuarter} {
			sum := g.XMM()
			g.VPADDQ(step(of), of.AsX(), sum)
			of = sum
		}
		g.VMOVQ(of, state("less"))
	}
	h, l := g.joinLanes(his, los)
	g.VMOVSD(h, state("hi"))
	g.VMOVSD(l, state("lo"))
	g.finish()
}

// joinLanes is joinLanes of the eight lanes of a vector of hi and one of lo or,
// with AVX2, of two of each. h and l are in the lowest lane.
func (g *generator) joinLanes(hi, lo []reg.VecVirtual) (h, l reg.VecVirtual) {
	upper := func(v []reg.VecVirtual) Op {
		if !g.wide {
			return v[1]
		}
		u := g.YMM()
		g.VEXTRACTF64X4(Imm(1), v[0], u)
		return u
	}
	h, l = g.YMM(), g.YMM()
	g.sumInto(h, l, hi[0].AsY(), lo[0].AsY(), upper(hi), upper(lo), g.YMM)
	for _, step := range []func(v reg.VecVirtual) reg.VecVirtual{g.upperHalf, g.upperQuarter} {
		uh, ul := step(h), step(l)
		sh, sl := g.XMM(), g.XMM()
		g.sumInto(sh, sl, h.AsX(), l.AsX(), uh, ul, g.XMM)
		h, l = sh, sl
	}
	return h, l
}

// upperHalf is the upper half of a vector of four lanes, upperQuarter the second
// lane.
func (g *generator) upperHalf(v reg.VecVirtual) reg.VecVirtual {
	u := g.XMM()
	g.VEXTRACTF128(Imm(1), v.AsY(), u)
	return u
}

func (g *generator) upperQuarter(v reg.VecVirtual) reg.VecVirtual {
	u := g.XMM()
	g.VPERMILPD(Imm(1), v.AsX(), u)
	return u
}

// sumInto sets h and l to the twoSum of ah+al and bh+bl.
func (g *generator) sumInto(h, l reg.VecVirtual, ah, al, bh, bl Op, fresh func() reg.VecVirtual) {
	z, left, right := fresh(), fresh(), fresh()
	g.VADDPD(bh, ah, h)
	g.VSUBPD(ah, h, z)
	g.VSUBPD(z, h, left)
	g.VSUBPD(left, ah, left)
	g.VSUBPD(z, bh, right)
	g.VADDPD(right, left, left)
	g.VADDPD(bl, al, l)
	g.VADDPD(left, l, l)
}

// laneTotal: the parts of eight entries by vectors, to the stack, and then their
// sum one by one, which is short beside them: the next eight do not wait for it.
func (g *generator) laneTotal() {
	g.function("laneTotal", "func(dst, x *float64, n int, s *expState)",
		"is laneTotalGo for 0 < n ≤ 64 doubles at x in a frame without shift. max, magic and lower of s go in; less, hi and lo come out.")
	dst, x, n, s := g.param("dst"), g.param("x"), g.param("n"), g.param("s")
	state := func(field string) Mem { return Mem{Base: s, Disp: g.source.Offset("expState", field)} }
	w := g.width()
	if g.wide {
		g.keep(termConstants...)
	}
	t := g.newTables()
	max, magic, lower := g.broadcast(state("max")), g.broadcast(state("magic")), g.broadcast(state("lower"))
	// s and q.
	local := g.AllocLocal(2 * 64)
	less := g.GP64()
	g.XORQ(less, less)
	hi, lo, low := g.XMM(), g.XMM(), g.XMM()
	for _, v := range []reg.VecVirtual{hi, lo} {
		g.VXORPD(v, v, v)
	}
	vector := func(half int) {
		m := g.remaining(n)
		v := g.loadMasked(Mem{Base: x}, m, max)
		other := g.compare(notEqual, v, max)
		bits := g.GP32()
		if g.wide {
			g.KMOVB(other, bits)
		} else {
			g.VMOVMSKPD(other, bits)
		}
		g.POPCNTL(bits, bits)
		g.ADDQ(bits.As64(), less)
		g.VMAXPD(lower, v, v)
		c := &chains{generator: g, n: 1, tables: t}
		var term reg.VecVirtual
		added, q := numbers.Parts(c, multi{v}, func() multi { return multi{magic} }, func(power, exponent multi) multi {
			sum := c.AddInts(power, exponent)
			term = sum.only()
			return c.ZeroUnless([]mask{other}, sum)
		})
		g.store(added.only(), local.Offset(32*half))
		g.store(q.only(), local.Offset(64+32*half))
		kept := fmt.Sprintf("kept%d", half)
		g.CMPQ(address(g.Param("dst")), Imm(0))
		g.JEQ(LabelRef(kept))
		g.VFMADD231PD(q.only(), term, term)
		g.storeMasked(term, m, Mem{Base: dst})
		g.Label(kept)
		g.ADDQ(imm(8*w), dst)
		g.ADDQ(imm(8*w), x)
		g.SUBQ(imm(w), n)
	}
	block := g.GP64()
	g.Label("blocks")
	g.MOVQ(n, block)
	vector(0)
	if !g.wide {
		none := g.zero()
		g.store(none, local.Offset(32))
		g.store(none, local.Offset(96))
		g.TESTQ(n, n)
		g.JLE(LabelRef("sum"))
		vector(1)
		g.Label("sum")
	}
	g.VXORPD(low, low, low)
	for j := range 8 {
		if j == 2 || j == 4 {
			// The rest of a short block would be added as 0.
			g.CMPQ(block, imm(j))
			g.JLE(LabelRef("added"))
		}
		e, large, small := g.XMM(), g.XMM(), g.XMM()
		g.VMOVSD(local.Offset(8*j), e)
		g.VFMADD231SD(local.Offset(64+8*j), e, low)
		g.VMAXSD(e, hi, large)
		g.VMINSD(e, hi, small)
		g.VADDSD(e, hi, hi)
		g.VSUBSD(large, hi, large)
		g.VSUBSD(large, small, small)
		g.VADDSD(small, low, low)
	}
	g.Label("added")
	g.VADDSD(low, lo, lo)
	g.TESTQ(n, n)
	g.JG(LabelRef("blocks"))
	g.MOVQ(less, state("less"))
	g.VMOVSD(hi, state("hi"))
	g.VMOVSD(lo, state("lo"))
	g.finish()
}

// rowMap is a kernel dst[j] = f(x[j]) with parameters that are the same for
// all j.
func (g *generator) rowMap(name, does string, params []string, f func(x Op, p map[string]reg.VecVirtual) reg.VecVirtual) {
	signature := "func(dst, x *float64, n int"
	for _, p := range params {
		signature += ", " + p + " float64"
	}
	g.function(name, signature+")", does+" dst may be x.")
	dst, x, n := g.param("dst"), g.param("x"), g.param("n")
	p := map[string]reg.VecVirtual{}
	for _, name := range params {
		p[name] = g.broadcast(address(g.Param(name)))
	}
	g.keep("zero")
	w := g.width()
	at := func(base reg.Register, i int) Mem { return Mem{Base: base, Disp: 8 * w * i} }
	step := func(count int) func() {
		return func() {
			for i := range count {
				g.store(f(g.load(at(x, i)), p), at(dst, i))
			}
			g.ADDQ(imm(8*w*count), x)
			g.ADDQ(imm(8*w*count), dst)
		}
	}
	g.loop("four", n, 4*w, step(4))
	g.loop("one", n, w, step(1))
	g.TESTQ(n, n)
	g.JZ(LabelRef("done"))
	m := g.remaining(n)
	g.storeMasked(f(g.loadMasked(at(x, 0), m, g.loaded("zero")), p), m, at(dst, 0))
	g.Label("done")
	g.finish()
}
