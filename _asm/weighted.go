// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// weightedKernels are those of losses and gradients that have a coefficient
// for every entry; weighted.go has the Go functions that they follow.
func weightedKernels() {
	coefficient := func(v []Op, _ map[string]reg.VecVirtual) reg.VecVirtual { return v[0].(reg.VecVirtual) }
	term := func(v []Op, p map[string]reg.VecVirtual) reg.VecVirtual {
		return lossTerm(v[0], v[1], p["max"], p["negLogSum"])
	}
	laneSums("weightedLoss", "func(q, x *float64, n int, max, negLogSum float64) (hi, lo float64)",
		"is weightedLossGo for n > 0 entries.", []string{"q", "x"}, []string{"max", "negLogSum"}, term)
	laneSums("weightedLossSums", "func(q, x *float64, n int, max, negLogSum float64) (hi, lo, sumHi, sumLo float64)",
		"is weightedLossSumsGo for n > 0 entries.", []string{"q", "x"}, []string{"max", "negLogSum"}, term, coefficient)
	laneSums("sum", "func(x *float64, n int) (hi, lo float64)",
		"is laneSumGo for n > 0 entries.", []string{"x"}, nil, coefficient)
	weightedGradient(false)
	weightedGradient(true)
	areSoftTargets()
	index()
	vectorJacobian(false)
	vectorJacobian(true)
	columnsAdd()
	columnsWeightedLoss()
	columnsWeightedGradient()
}

// farAhead is how many bytes ahead memory is prefetched that is read in its
// order: the hardware does not go past the end of a page.
const farAhead = 2048

// lossTerm is what weightedLossGo adds up, but for the sign of a zero.
func lossTerm(q, x, max, negLogSum Op) reg.VecVirtual {
	weighted := compare(notEqual, q, cv("zero"))
	return zeroUnless(weighted, mul(q, sub(sub(max, x), negLogSum)))
}

// addTwoSum adds t to the sum hi+lo.
func addTwoSum(hi, lo, t reg.VecVirtual) {
	sum, rest := twoSum(hi, t)
	VMOVAPD(sum, hi)
	VADDPD(rest, lo, lo)
}

// laneSums is a kernel that adds up terms of every entry, each in eight lanes.
func laneSums(name, signature, does string, pointers, params []string, terms ...func(v []Op, p map[string]reg.VecVirtual) reg.VecVirtual) {
	function(name, signature, name+suffix()+" "+does)
	w := width()
	var base []reg.GPVirtual
	for _, name := range pointers {
		base = append(base, param(name))
	}
	n := param("n")
	p := map[string]reg.VecVirtual{}
	for _, name := range params {
		p[name] = broadcast(address(Param(name)))
	}
	resident = map[string]reg.VecVirtual{"zero": zero()}
	// The sums of each term: of all lanes, or of four and four.
	hi, lo := make([][]reg.VecVirtual, len(terms)), make([][]reg.VecVirtual, len(terms))
	for t := range terms {
		for range 8 / w {
			hi[t], lo[t] = append(hi[t], zero()), append(lo[t], zero())
		}
	}
	take := func(i int, v []Op) {
		for t, term := range terms {
			addTwoSum(hi[t][i], lo[t][i], term(v, p))
		}
	}
	at := func(b reg.GPVirtual, i int) Mem { return Mem{Base: b, Disp: 8 * w * i} }
	loop("eight", n, 8, func() {
		for _, b := range base {
			PREFETCHT0(Mem{Base: b, Disp: farAhead})
		}
		for i := range 8 / w {
			var v []Op
			for _, b := range base {
				v = append(v, load(at(b, i)))
			}
			take(i, v)
		}
		for _, b := range base {
			ADDQ(imm(64), b)
		}
	})
	// Absent entries are +0: so are their terms made, or their coefficients.
	for i := range 8 / w {
		CMPQ(n, imm(w*i))
		JLE(LabelRef("join"))
		if i > 0 {
			SUBQ(imm(w), n)
		}
		m := remaining(n)
		var v []Op
		for _, b := range base {
			v = append(v, loadMasked(at(b, i), m, cv("zero")))
		}
		take(i, v)
	}
	Label("join")
	for t := range terms {
		h, l := YMM(), YMM()
		if wide {
			uh, ul := YMM(), YMM()
			VEXTRACTF64X4(Imm(1), hi[t][0], uh)
			VEXTRACTF64X4(Imm(1), lo[t][0], ul)
			sumInto(h, l, hi[t][0].AsY(), lo[t][0].AsY(), uh, ul, YMM)
		} else {
			sumInto(h, l, hi[t][0], lo[t][0], hi[t][1], lo[t][1], YMM)
		}
		uh, ul, sh, sl := XMM(), XMM(), XMM(), XMM()
		VEXTRACTF128(Imm(1), h, uh)
		VEXTRACTF128(Imm(1), l, ul)
		sumInto(sh, sl, h.AsX(), l.AsX(), uh, ul, XMM)
		uh, ul, h, l = XMM(), XMM(), XMM(), XMM()
		VPERMILPD(Imm(1), sh, uh)
		VPERMILPD(Imm(1), sl, ul)
		sumInto(h, l, sh, sl, uh, ul, XMM)
		VMOVSD(h, address(ReturnIndex(2*t)))
		VMOVSD(l, address(ReturnIndex(2*t+1)))
	}
	finish()
}

// probability is weightedProbability without second.
func probability(e, first, firstLow, q, hi Op) reg.VecVirtual {
	some, notAll := compare(notEqual, q, cv("zero")), compare(notEqual, q, hi)
	if wide {
		KANDB(notAll, some, some)
	} else {
		VANDPD(notAll, some, some)
	}
	return fma(e, first, zeroUnless(some, mul(e, firstLow)))
}

// gradientEntry is weightedEntry before g.
func gradientEntry(p, q, hi, lo Op) reg.VecVirtual { return fma(p, lo, fms(p, hi, q)) }

// timesFactor is v·g, with the one NaN and without -0.
func timesFactor(v, g Op) reg.VecVirtual {
	v = add(mul(v, g), cv("zero"))
	return choose(compare(unordered, v, v), v, cv("nan"))
}

// weightedGradient streams, if asked to, past the caches.
func weightedGradient(stream bool) {
	name := "weightedGradient"
	doc := []string{name + suffix() + " is weightedGradientGo for n entries. dst may be terms or q."}
	if stream {
		name += "Stream"
		doc = []string{name + suffix() + " is weightedGradientGo for n entries. It writes past the caches.",
			"dst must be aligned to 64 bytes."}
	}
	function(name, "func(dst, terms, q *float64, n int, first, firstLow, second, hi, lo, factor float64)", doc...)
	dst, terms, q, n := param("dst"), param("terms"), param("q"), param("n")
	keep("nan")
	resident["zero"] = zero()
	var p [6]reg.VecVirtual
	for i, name := range []string{"first", "firstLow", "second", "hi", "lo", "factor"} {
		p[i] = broadcast(address(Param(name)))
	}
	w := width()
	at := func(b reg.GPVirtual, i int) Mem { return Mem{Base: b, Disp: 8 * w * i} }
	entry := func(e, q Op) reg.VecVirtual {
		return timesFactor(gradientEntry(mul(probability(e, p[0], p[1], q, p[3]), p[2]), q, p[3], p[4]), p[5])
	}
	step := func(count int) func() {
		return func() {
			for i := 0; i < w*count/8; i++ {
				PREFETCHT0(Mem{Base: terms, Disp: farAhead + 64*i})
				PREFETCHT0(Mem{Base: q, Disp: farAhead + 64*i})
			}
			for i := range count {
				v := entry(load(at(terms, i)), load(at(q, i)))
				if stream {
					VMOVNTPD(v, at(dst, i))
				} else {
					store(v, at(dst, i))
				}
			}
			for _, b := range []reg.GPVirtual{dst, terms, q} {
				ADDQ(imm(8*w*count), b)
			}
		}
	}
	loop("two", n, 2*w, step(2))
	loop("one", n, w, step(1))
	TESTQ(n, n)
	JZ(LabelRef("done"))
	m := remaining(n)
	storeMasked(entry(loadMasked(at(terms, 0), m, cv("zero")), loadMasked(at(q, 0), m, cv("zero"))), m, at(dst, 0))
	Label("done")
	if stream {
		SFENCE()
	}
	finish()
}

// test sets the flags for the lanes of m: zero where there are none.
func test(m mask) reg.GPVirtual {
	bits := GP32()
	if wide {
		KMOVB(m, bits)
	} else {
		VMOVMSKPD(m, bits)
	}
	TESTL(bits, bits)
	return bits
}

func areSoftTargets() {
	function("areSoftTargets", "func(x *float64, n int) bool", "areSoftTargets"+suffix()+" is areSoftTargetsGo for n > 0 entries.")
	x, n := param("x"), param("n")
	keep("inf")
	resident["zero"] = zero()
	good := newMask()
	if wide {
		KXNORB(good, good, good)
	} else {
		VPCMPEQD(good, good, good)
	}
	w := width()
	entry := func(v Op) {
		for _, m := range []mask{compare(greaterEqual, v, c("zero")), compare(lessThan, v, c("inf"))} {
			if wide {
				KANDB(m, good, good)
			} else {
				VANDPD(m, good, good)
			}
		}
	}
	loop("four", n, 4*w, func() {
		for i := range w / 2 {
			PREFETCHT0(Mem{Base: x, Disp: farAhead + 64*i})
		}
		for i := range 4 {
			entry(load(Mem{Base: x, Disp: 8 * w * i}))
		}
		ADDQ(imm(32*w), x)
	})
	loop("one", n, w, func() {
		entry(load(Mem{Base: x}))
		ADDQ(imm(8*w), x)
	})
	TESTQ(n, n)
	JZ(LabelRef("done"))
	entry(loadMasked(Mem{Base: x}, remaining(n), cv("zero")))
	Label("done")
	bits := test(good)
	CMPB(bits.As8(), U8(1<<w-1))
	SETEQ(bits.As8())
	MOVB(bits.As8(), address(ReturnIndex(0)))
	finish()
}

func index() {
	function("index", "func(x *float64, n int, v float64) int", "index"+suffix()+" is indexOfGo for n entries and a v that is not NaN.")
	x, n := param("x"), param("n")
	v := broadcast(address(Param("v")))
	nan := broadcast(constantMem("nan"))
	w := width()
	start := GP64()
	MOVQ(x, start)
	found := func(label string, m mask) reg.GPVirtual {
		bits := test(m)
		JNZ(LabelRef(label))
		return bits
	}
	// What is found is its place in a vector and the vector's in x.
	bits := GP32()
	locate := func(i int) {
		ADDQ(imm(8*w*i), x)
		JMP(LabelRef("found"))
	}
	loop("two", n, 2*w, func() {
		a := compare(equal, v, Mem{Base: x})
		b := compare(equal, v, Mem{Base: x, Disp: 8 * w})
		both := newMask()
		if wide {
			KORB(a, b, both)
		} else {
			VORPD(a, b, both)
		}
		found("pair", both)
		ADDQ(imm(16*w), x)
	})
	CMPQ(n, imm(w))
	JLT(LabelRef("tail"))
	a := compare(equal, v, Mem{Base: x})
	MOVL(test(a), bits)
	JNZ(LabelRef("found"))
	ADDQ(imm(8*w), x)
	SUBQ(imm(w), n)
	Label("tail")
	TESTQ(n, n)
	JZ(LabelRef("none"))
	last := loadMasked(Mem{Base: x}, remaining(n), nan)
	MOVL(test(compare(equal, v, last)), bits)
	JNZ(LabelRef("found"))
	Label("none")
	none := GP64()
	MOVQ(I32(-1), none)
	MOVQ(none, address(ReturnIndex(0)))
	finish()
	Label("pair")
	MOVL(test(compare(equal, v, Mem{Base: x})), bits)
	JNZ(LabelRef("found"))
	MOVL(test(compare(equal, v, Mem{Base: x, Disp: 8 * w})), bits)
	locate(1)
	Label("found")
	SUBQ(start, x)
	SHRQ(Imm(3), x)
	place := GP32()
	BSFL(bits, place)
	ADDQ(place.As64(), x)
	MOVQ(x, address(ReturnIndex(0)))
	finish()
}

// vectorJacobian: entries are formed as if nothing were special about them.
// Where something is, it shows: a log-probability that is not at most 0, or a
// NaN in the result.
func vectorJacobian(byColumn bool) {
	name, signature := "vectorJacobian", "func(dst, logp, u *float64, n int, hi, lo float64) int"
	var ahead []reg.GPVirtual
	does := "is vectorJacobianGo for n > 0 entries."
	if byColumn {
		name, signature = "columnsVectorJacobian", "func(dst, logp, u, hi, lo *float64, n int, nextDst, nextLogp, nextU int) int"
		does = "is columnsVectorJacobianGo for n > 0 entries. It prefetches what lies so many bytes ahead."
	}
	function(name, signature, name+suffix()+" "+does+" It returns how many it did:",
		"all, or those before a vector that has a special entry. dst may be logp or u.")
	dst, logp, u, n := param("dst"), param("logp"), param("u"), param("n")
	if wide {
		keep("sixteenthsPerLn2", "sixteenthHi", "sixteenthLo", "one", "exp2", "exp3", "exp4", "exp5", "exp6",
			"minusFarthest", "scaledMagic", "unscale")
	} else {
		resident = map[string]reg.VecVirtual{}
	}
	resident["zero"] = zero()
	pointers := []reg.GPVirtual{dst, logp, u}
	var hi, lo Op
	if byColumn {
		h, l := param("hi"), param("lo")
		ahead = []reg.GPVirtual{param("nextDst"), param("nextLogp"), param("nextU")}
		pointers = append(pointers, h, l)
		hi, lo = Mem{Base: h}, Mem{Base: l}
	} else {
		hi, lo = broadcast(address(Param("hi"))), broadcast(address(Param("lo")))
	}
	t := newTables()
	total := GP64()
	MOVQ(n, total)
	w := width()
	entry := func(y, u reg.VecVirtual, hi, lo Op, stop string) reg.VecVirtual {
		special := compare(notLessEqual, y, c("zero"))
		// The second operand is what a NaN gives.
		y = maximum(y, c("minusFarthest"))
		k, r := reduce(copyOf(y), c("scaledMagic"))
		power, q := t.lookUp(k)
		s := intAdd(power, shiftLeft(k, 48))
		tail := expTail(r)
		horner(tail, r, c("one"))
		VFMADD231PD(tail, r, q)
		p := mul(fma(s, q, s), c("unscale"))
		s = mul(s, c("unscale"))
		// 1 - p, far from 1, near, and close to 0.
		near := fnma(s, q, sub(cv("one"), s))
		series := overwritable("factorial8")
		for _, name := range []string{"factorial7", "factorial6", "factorial5", "factorial4", "factorial3", "half"} {
			horner(series, y, c(name))
		}
		close := sub(cv("zero"), fma(series, mul(y, y), y))
		rest := choose(compare(lessThan, c("minusSeriesEnd"), y), near, close)
		rest = choose(compare(lessThan, y, c("minusFifty")), rest, sub(cv("one"), p))
		others := add(sub(hi, u), lo)
		v := add(sub(mul(u, rest), mul(p, others)), c("zero"))
		or(special, compare(unordered, v, v))
		test(special)
		JNZ(LabelRef(stop))
		return v
	}
	loop("vectors", n, w, func() {
		v := entry(load(Mem{Base: logp}), load(Mem{Base: u}), hi, lo, "stop")
		store(v, Mem{Base: dst})
		for i, p := range pointers[:3] {
			if byColumn {
				PREFETCHT0(Mem{Base: p, Index: ahead[i], Scale: 1})
			} else {
				PREFETCHT0(Mem{Base: p, Disp: farAhead})
			}
		}
		for _, p := range pointers {
			ADDQ(imm(8*w), p)
		}
	})
	TESTQ(n, n)
	JZ(LabelRef("stop"))
	m := remaining(n)
	if byColumn {
		hi, lo = loadMasked(hi.(Mem), m, cv("zero")), loadMasked(lo.(Mem), m, cv("zero"))
	}
	v := entry(loadMasked(Mem{Base: logp}, m, cv("zero")), loadMasked(Mem{Base: u}, m, cv("zero")), hi, lo, "stop")
	storeMasked(v, m, Mem{Base: dst})
	XORQ(n, n)
	Label("stop")
	SUBQ(n, total)
	MOVQ(total, address(ReturnIndex(0)))
	finish()
}

// overwritable is a constant in a register that may be overwritten.
func overwritable(name string) reg.VecVirtual { return broadcast(constantMem(name)) }

// columnsAdd goes row by row, with the sums in memory.
func columnsAdd() {
	function("columnsAdd", "func(c, x *float64, stride, n, width int)",
		"columnsAdd"+suffix()+" is columnsAddGo for n > 0 rows of width > 0.")
	c, x, stride, n, columns := param("c"), param("x"), param("stride"), param("n"), param("width")
	resident = map[string]reg.VecVirtual{"zero": zero()}
	SHLQ(Imm(3), stride)
	w := width()
	lane := GP64()
	XORQ(lane, lane)
	Label("rows")
	sums, from, left := GP64(), GP64(), GP64()
	LEAQ(Mem{Base: c, Index: lane, Scale: 1, Disp: fieldBytes * fieldHi}, sums)
	MOVQ(x, from)
	MOVQ(columns, left)
	low := Mem{Base: sums, Disp: 8 * fieldBytes}
	put := func(v reg.VecVirtual) {
		sum, rest := twoSum(load(Mem{Base: sums}), v)
		store(sum, Mem{Base: sums})
		store(add(rest, low), low)
	}
	loop("vectors", left, w, func() {
		// Eight rows on.
		PREFETCHT0(Mem{Base: from, Index: stride, Scale: 8})
		put(load(Mem{Base: from}))
		ADDQ(imm(8*w), from)
		ADDQ(imm(8*w), sums)
	})
	TESTQ(left, left)
	JZ(LabelRef("next"))
	// The sums of a columns are there whatever the width.
	put(loadMasked(Mem{Base: from}, remaining(left), cv("zero")))
	Label("next")
	ADDQ(stride, x)
	ADDQ(imm(fieldBytes), lane)
	ANDQ(imm(8*fieldBytes-1), lane)
	DECQ(n)
	JNZ(LabelRef("rows"))
	finish()
}

func columnsWeightedLoss() {
	function("columnsWeightedLoss", "func(c, q, x *float64, n, groups int)",
		"columnsWeightedLoss"+suffix()+" is columnsWeightedLossGo for n > 0 entries.")
	c, q, x, n, groups := param("c"), param("q"), param("x"), param("n"), param("groups")
	field := columnField(c)
	resident = map[string]reg.VecVirtual{"zero": zero()}
	eachVector(c, groups, []reg.GPVirtual{q, x}, func() {
		max, negLogSum := load(field(fieldMax)), load(field(fieldNegLogSum))
		for l := range 16 {
			store(cv("zero"), field(fieldHi+l))
		}
		pq, px, left, lane := GP64(), GP64(), GP64(), GP64()
		MOVQ(q, pq)
		MOVQ(x, px)
		MOVQ(n, left)
		XORQ(lane, lane)
		Label("entries")
		sums := GP64()
		LEAQ(Mem{Base: c, Index: lane, Scale: 1, Disp: fieldBytes * fieldHi}, sums)
		low := Mem{Base: sums, Disp: 8 * fieldBytes}
		sum, rest := twoSum(load(Mem{Base: sums}), lossTerm(load(Mem{Base: pq}), load(Mem{Base: px}), max, negLogSum))
		store(sum, Mem{Base: sums})
		store(add(rest, low), low)
		ADDQ(imm(fieldBytes), pq)
		ADDQ(imm(fieldBytes), px)
		ADDQ(imm(fieldBytes), lane)
		ANDQ(imm(8*fieldBytes-1), lane)
		DECQ(left)
		JNZ(LabelRef("entries"))
	})
	finish()
}

func columnsWeightedGradient() {
	function("columnsWeightedGradient", "func(c, terms, q, x *float64, n, groups int)",
		"columnsWeightedGradient"+suffix()+" is columnsWeightedGradientGo for n > 0 entries.")
	c1, terms, q, x, n, groups := param("c"), param("terms"), param("q"), param("x"), param("n"), param("groups")
	field := columnField(c1)
	keep("one", "nan")
	resident["zero"] = zero()
	eachVector(c1, groups, []reg.GPVirtual{terms, q, x}, func() {
		max, rest := load(field(fieldMax)), load(field(fieldRest))
		inverse, inverseLow := load(field(fieldInverse)), load(field(fieldInverseLow))
		hi, lo, g := load(field(fieldHi)), load(field(fieldLo)), load(field(fieldFactor))
		// A maximum that there is more than once is nothing special.
		alone := compare(equal, c("one"), field(fieldCount))
		max = choose(alone, cv("nan"), max)
		pt, pq, px, left := GP64(), GP64(), GP64(), GP64()
		MOVQ(terms, pt)
		MOVQ(q, pq)
		MOVQ(x, px)
		MOVQ(n, left)
		Label("entries")
		coefficient := load(Mem{Base: pq})
		p := probability(load(Mem{Base: pt}), inverse, inverseLow, coefficient, hi)
		entry := gradientEntry(p, coefficient, hi, lo)
		// weightedLargest.
		largest := fms(p, add(sub(hi, coefficient), lo), mul(coefficient, rest))
		single, most := compare(equal, max, Mem{Base: px}), compare(lessThan, cv("half"), p)
		or(most, compare(equal, coefficient, hi))
		if wide {
			KANDB(most, single, single)
		} else {
			VANDPD(most, single, single)
		}
		entry = choose(single, entry, largest)
		store(timesFactor(entry, g), Mem{Base: pt})
		for _, b := range []reg.GPVirtual{pt, pq, px} {
			ADDQ(imm(fieldBytes), b)
		}
		DECQ(left)
		JNZ(LabelRef("entries"))
	})
	finish()
}
