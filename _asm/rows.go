// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"fmt"
	"strings"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func rowKernels() {
	rowMax()
	for _, terms := range []bool{false, true} {
		expSum(terms, false)
		if wide {
			expSum(terms, true)
		}
	}
	for _, stream := range []bool{false, true} {
		rowMap("shift", "sets dst[j], n of them, to (x[j]-max)+negLogSum. negLogSum must not be NaN.", stream,
			[]string{"max", "negLogSum"}, func(x Op, p map[string]reg.VecVirtual) reg.VecVirtual {
				return add(p["negLogSum"], sub(x, p["max"]))
			})
		rowMap("scale", "sets dst[j], n of them, to x[j]·factor + 0. factor must not be NaN.", stream,
			[]string{"factor"}, func(x Op, p map[string]reg.VecVirtual) reg.VecVirtual {
				return add(mul(p["factor"], x), cv("zero"))
			})
	}
}

// function begins a kernel.
func function(name, signature string, doc ...string) {
	TEXT(name+suffix(), NOSPLIT, signature)
	Doc(doc...)
	Pragma("noescape")
	resident = nil
}

func param(name string) reg.GPVirtual { return Load(Param(name), GP64()).(reg.GPVirtual) }

// address is where a parameter or result lies: avo's Load and Store would use
// instructions of SSE, which wait for the upper halves of all registers.
func address(c gotypes.Component) Mem {
	b, err := c.Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr
}

// rowMax: four vectors at a time, each pair of them tested for NaN at once.
func rowMax() {
	function("max", "func(x *float64, n int) float64", "max"+suffix()+" is maxOfGo of the n > 0 doubles at x.")
	x, n := param("x"), param("n")
	low := broadcast(constantMem("minusInf"))
	var m [4]reg.VecVirtual
	for i := range m {
		m[i] = copyOf(low)
	}
	nan := newMask()
	if wide {
		KXORB(nan, nan, nan)
	} else {
		VXORPD(nan, nan, nan)
	}
	w := width()
	at := func(i int) Mem { return Mem{Base: x, Disp: 8 * w * i} }
	loop("four", n, 4*w, func() {
		for i := 0; i < 4; i += 2 {
			a := load(at(i))
			VMAXPD(a, m[i], m[i])
			or(nan, compare(unordered, a, at(i+1)))
			VMAXPD(at(i+1), m[i+1], m[i+1])
		}
		ADDQ(imm(32*w), x)
	})
	loop("one", n, w, func() {
		a := load(at(0))
		VMAXPD(a, m[0], m[0])
		or(nan, compare(unordered, a, a))
		ADDQ(imm(8*w), x)
	})
	TESTQ(n, n)
	JZ(LabelRef("reduce"))
	a := loadMasked(at(0), remaining(n), low)
	VMAXPD(a, m[1], m[1])
	or(nan, compare(unordered, a, a))
	Label("reduce")
	all := maximum(maximum(m[0], m[1]), maximum(m[2], m[3]))
	y := all
	if wide {
		y = YMM()
		VEXTRACTF64X4(Imm(1), all, y)
		VMAXPD(y, all.AsY(), y)
	}
	high := XMM()
	VEXTRACTF128(Imm(1), y, high)
	VMAXPD(high, y.AsX(), high)
	other := XMM()
	VPERMILPD(Imm(1), high, other)
	VMAXSD(other, high, high)
	bits := GP32()
	if wide {
		KMOVB(nan, bits)
	} else {
		VMOVMSKPD(nan, bits)
	}
	TESTL(bits, bits)
	JZ(LabelRef("done"))
	VMOVSD(constantMem("nan"), high)
	Label("done")
	VMOVSD(high, address(ReturnIndex(0)))
	finish()
}

// expSum: blocks of 64 entries as eight vectors of eight lanes, or in two
// passes as eight of four. Entries beyond the end are taken for the maximum.
//
// Beside that, if asked to, it writes the result of another row past the
// caches, as many blocks as there are: memory has time for them while the
// processor is busy with exponentials.
func expSum(terms, beside bool) {
	name, signature := "expSum", "func(x *float64, n int, s *float64)"
	doc := []string{
		"expSum" + suffix() + " is expSumGo for the n > 0 doubles at x in a frame without shift. s points",
		"at an expState: max, magic, lower, next and out in; less, hi and lo out.",
	}
	if terms {
		name, signature = "expTerms", "func(dst, x *float64, n int, s *float64)"
		doc[0] = "expTerms" + suffix() + " is expSumGo for the n > 0 doubles at x in a frame without shift, whose"
		doc[1] = "terms go to dst. s points at an expState: max, magic, lower, next and out in;"
		doc = append(doc, "less, hi and lo out.")
	}
	if beside {
		parameters, as := "max, negLogSum", "shift"
		if terms {
			parameters, as = "factor", "scale"
		}
		doc[0] = strings.Replace(doc[0], name, name+"Beside", 1)
		name += "Beside"
		signature = strings.TrimSuffix(signature, ")") + ", to, from *float64, blocks int, " + parameters + " float64)"
		doc = append(doc, "Beside that it is "+as+"Stream"+suffix()+" of from to to, 64·blocks ≤ n of them, without a fence.")
	}
	function(name, signature, doc...)
	w := width()
	passes := 8 / w
	var dst reg.GPVirtual
	if terms {
		dst = param("dst")
	}
	x, total, s := param("x"), param("n"), param("s")
	var next, out reg.GPVirtual
	together := 1
	if wide {
		together = 2
		keep(expConstants...)
		next, out = GP64(), GP64()
		MOVQ(Mem{Base: s, Disp: 48}, next)
		MOVQ(Mem{Base: s, Disp: 56}, out)
	}
	var to, from, blocks reg.GPVirtual
	var result func(x reg.VecVirtual)
	if beside {
		to, from, blocks = param("to"), param("from"), param("blocks")
		// There are no registers left for parameters.
		result = func(x reg.VecVirtual) {
			if terms {
				VMULPD_BCST(address(Param("factor")), x, x)
				VADDPD(zero(), x, x)
			} else {
				VSUBPD_BCST(address(Param("max")), x, x)
				VADDPD_BCST(address(Param("negLogSum")), x, x)
			}
		}
	}
	t := newTables()
	field := func(i int) Mem { return Mem{Base: s, Disp: 8 * i} }
	var max, magic, lower Op = broadcast(field(0)), broadcast(field(1)), broadcast(field(2))

	// With half the registers the frame is kept in memory, and the first
	// pass's sums are.
	var saved Mem
	if passes == 2 {
		saved = AllocLocal(6 * 32)
		for i, v := range []*Op{&max, &magic, &lower} {
			at := saved.Offset(32 * (3 + i))
			store((*v).(reg.VecVirtual), at)
			*v = at
		}
	}
	// The number of entries that are not the maximum, or that of each lane.
	counted := GP64()
	var hi, lo, less reg.VecVirtual
	if wide {
		XORQ(counted, counted)
	}
	for pass := range passes {
		offset := 8 * w * pass
		n, p := GP64(), GP64()
		MOVQ(total, n)
		MOVQ(x, p)
		var q reg.GPVirtual
		if terms {
			q = GP64()
			MOVQ(dst, q)
		}
		hi, lo = zero(), zero()
		if !wide {
			less = zero()
		}
		at := func(base reg.GPVirtual, v int) Mem { return Mem{Base: base, Disp: 64*v + offset} }
		low := vec()
		entry := func(ordered bool, put func(i int, e reg.VecVirtual), xs ...reg.VecVirtual) {
			entries := make([]term, len(xs))
			for i, x := range xs {
				other := compare(notEqual, x, max)
				if wide {
					// The vector units have more to do than the others.
					bits := GP32()
					KMOVB(other, bits)
					POPCNTL(bits, bits)
					ADDQ(bits.As64(), counted)
				} else {
					countUp(other, less)
				}
				VMAXPD(lower, x, x)
				entries[i] = term{x, other, laneSum{hi, low}}
			}
			if !terms {
				put = nil
			}
			addTerms(t, magic, ordered, put, entries...)
		}
		clearLow := func() { VXORPD(low, low, low) }
		loop(fmt.Sprintf("blocks%d", pass), n, 64, func() {
			clearLow()
			block := func(ordered, beside bool) {
				for v := 0; v < 8; v += together {
					xs := make([]reg.VecVirtual, together)
					for i := range xs {
						xs[i] = load(at(p, v+i))
						if wide {
							PREFETCHT0(Mem{Base: p, Index: next, Scale: 1, Disp: 64 * (v + i)})
							PREFETCHT0(Mem{Base: p, Index: out, Scale: 1, Disp: 64 * (v + i)})
						}
						if beside {
							r := load(at(from, v+i))
							result(r)
							VMOVNTPD(r, at(to, v+i))
						}
					}
					entry(ordered, func(i int, e reg.VecVirtual) { store(e, at(q, v+i)) }, xs...)
				}
			}
			// Where every lane has reached what no term exceeds, the order of
			// the two in each sum is known.
			grown := compare(greaterEqual, hi, c("largestTerm"))
			bits := GP32()
			if wide {
				KMOVB(grown, bits)
				CMPB(bits.As8(), U8(0xff))
			} else {
				VMOVMSKPD(grown, bits)
				CMPB(bits.As8(), U8(0xf))
			}
			unordered, joined := fmt.Sprintf("unordered%d", pass), fmt.Sprintf("blockJoined%d", pass)
			JNE(LabelRef(unordered))
			either := func(ordered bool) {
				if beside {
					alone := fmt.Sprintf("alone%v", ordered)
					SUBQ(Imm(1), blocks)
					JLT(LabelRef(alone))
					block(ordered, true)
					ADDQ(imm(512), to)
					ADDQ(imm(512), from)
					JMP(LabelRef(joined))
					Label(alone)
				}
				block(ordered, false)
			}
			either(true)
			JMP(LabelRef(joined))
			Label(unordered)
			either(false)
			Label(joined)
			VADDPD(low, lo, lo)
			ADDQ(imm(512), p)
			if terms {
				ADDQ(imm(512), q)
			}
		})
		// What is left of a block, less than 64.
		if pass > 0 {
			SUBQ(imm(w*pass), n)
		}
		CMPQ(n, imm(0))
		end := fmt.Sprintf("joined%d", pass)
		JLE(LabelRef(end))
		clearLow()
		vectors := fmt.Sprintf("vectors%d", pass)
		Label(vectors)
		m := remaining(n)
		entry(false, func(_ int, e reg.VecVirtual) { storeMasked(e, m, at(q, 0)) }, loadMasked(at(p, 0), m, max))
		ADDQ(imm(64), p)
		if terms {
			ADDQ(imm(64), q)
		}
		SUBQ(imm(8), n)
		JG(LabelRef(vectors))
		VADDPD(low, lo, lo)
		Label(end)
		if pass == 0 && passes == 2 {
			VMOVUPD(hi, saved)
			VMOVUPD(lo, saved.Offset(32))
			VMOVUPD(less, saved.Offset(64))
		}
	}
	if wide {
		MOVQ(counted, field(3))
	}
	joinLanes(hi, lo, less, saved, field)
	finish()
}

// joinLanes adds up the lanes and writes less, with AVX2, hi and lo.
func joinLanes(hi, lo, less reg.VecVirtual, saved Mem, field func(int) Mem) {
	y := func(v reg.VecVirtual) reg.VecVirtual { return v.AsY().(reg.VecVirtual) }
	upper := func(v reg.VecVirtual) Op {
		h := YMM()
		VEXTRACTF64X4(Imm(1), v, h)
		return h
	}
	var h, l, n reg.VecVirtual
	if wide {
		uh, ul := upper(hi), upper(lo)
		h, l = YMM(), YMM()
		sumInto(h, l, y(hi), y(lo), uh, ul, YMM)
	} else {
		h, l, n = YMM(), YMM(), YMM()
		// Lanes 0 to 3 are those of the first pass.
		sumInto(h, l, load(saved), load(saved.Offset(32)), hi, lo, YMM)
		VPADDQ(saved.Offset(64), less, n)
	}
	for _, step := range []func(v reg.VecVirtual) reg.VecVirtual{
		func(v reg.VecVirtual) reg.VecVirtual { u := XMM(); VEXTRACTF128(Imm(1), v.AsY(), u); return u },
		func(v reg.VecVirtual) reg.VecVirtual { u := XMM(); VPERMILPD(Imm(1), v.AsX(), u); return u },
	} {
		uh, ul := step(h), step(l)
		sh, sl := XMM(), XMM()
		sumInto(sh, sl, h.AsX(), l.AsX(), uh, ul, XMM)
		h, l = sh, sl
		if !wide {
			un, sn := step(n), XMM()
			VPADDQ(un, n.AsX(), sn)
			n = sn
		}
	}
	if !wide {
		VMOVQ(n, field(3))
	}
	VMOVSD(h, field(4))
	VMOVSD(l, field(5))
}

// sumInto sets h and l to the twoSum of ah+al and bh+bl.
func sumInto(h, l reg.VecVirtual, ah, al, bh, bl Op, fresh func() reg.VecVirtual) {
	z, left, right := fresh(), fresh(), fresh()
	VADDPD(bh, ah, h)
	VSUBPD(ah, h, z)
	VSUBPD(z, h, left)
	VSUBPD(left, ah, left)
	VSUBPD(z, bh, right)
	VADDPD(right, left, left)
	VADDPD(bl, al, l)
	VADDPD(left, l, l)
}

// rowMap is a kernel dst[j] = f(x[j]) with parameters that are the same for
// all j. Streaming, it writes whole lines past the caches.
func rowMap(name, does string, stream bool, params []string, f func(x Op, p map[string]reg.VecVirtual) reg.VecVirtual) {
	signature := "func(dst, x *float64, n int"
	for _, p := range params {
		signature += ", " + p + " float64"
	}
	doc := []string{name + suffix() + " " + does + " dst may be x."}
	if stream {
		name += "Stream"
		doc = []string{name + suffix() + " " + does, "It writes past the caches. dst must be aligned to 64 bytes."}
	}
	function(name, signature+")", doc...)
	dst, x, n := param("dst"), param("x"), param("n")
	p := map[string]reg.VecVirtual{}
	for _, name := range params {
		p[name] = broadcast(address(Param(name)))
	}
	resident = map[string]reg.VecVirtual{"zero": zero()}
	w := width()
	at := func(base reg.Register, i int) Mem { return Mem{Base: base, Disp: 8 * w * i} }
	step := func(count int) func() {
		return func() {
			for i := range count {
				v := f(load(at(x, i)), p)
				if stream {
					VMOVNTPD(v, at(dst, i))
				} else {
					store(v, at(dst, i))
				}
			}
			ADDQ(imm(8*w*count), x)
			ADDQ(imm(8*w*count), dst)
		}
	}
	loop("four", n, 4*w, step(4))
	loop("one", n, w, step(1))
	TESTQ(n, n)
	JZ(LabelRef("done"))
	m := remaining(n)
	storeMasked(f(loadMasked(at(x, 0), m, resident["zero"]), p), m, at(dst, 0))
	Label("done")
	if stream {
		SFENCE()
	}
	finish()
}
