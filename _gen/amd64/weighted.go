// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package amd64

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"example.org/logsoftmax/_gen/numbers"
)

// weightedKernels are those of losses and gradients that have a coefficient
// for every entry; weighted.go has the Go functions that they follow.
func (g *generator) weightedKernels() {
	coefficient := func(v []Op, _ map[string]reg.VecVirtual) reg.VecVirtual { return v[0].(reg.VecVirtual) }
	term := func(v []Op, p map[string]reg.VecVirtual) reg.VecVirtual {
		return g.lossTerm(v[0], v[1], p["max"], p["negLogSum"])
	}
	g.laneSums("weightedLoss", "func(sums *LaneSum, q, x *float64, n int, max, negLogSum float64) (hi, lo float64)",
		"is LaneSum.addLossGo for n > 0 entries, and the lanes joined.", []string{"q", "x"}, []string{"max", "negLogSum"}, term)
	g.laneSums("weightedLossSums", "func(sums *LossAndSum, q, x *float64, n int, max, negLogSum float64) (hi, lo, sumHi, sumLo float64)",
		"is LossAndSum.addGo for n > 0 entries.", []string{"q", "x"}, []string{"max", "negLogSum"}, term, coefficient)
	g.laneSums("laneSum", "func(sums *LaneSum, x *float64, n int) (hi, lo float64)",
		"is LaneSum.addGo for n > 0 entries, and the lanes joined.", []string{"x"}, nil, coefficient)
	g.weightedGradient()
	g.areSoftTargets()
	g.index()
	g.vectorJacobian(false)
	g.vectorJacobian(true)
	g.panelAdd()
	g.panelWeightedLoss()
	g.panelWeightedGradient()
}

// farAhead is how many bytes ahead memory is prefetched that is read in its
// order: the hardware does not go past the end of a page.
const farAhead = 2048

// lossTerm is what weightedLossGo adds up, but for the sign of a zero.
func (g *generator) lossTerm(q, x, max, negLogSum Op) reg.VecVirtual {
	weighted := g.compare(notEqual, q, g.loaded("zero"))
	return g.zeroUnless(weighted, g.mul(q, g.sub(g.sub(max, x), negLogSum)))
}

// addTwoSum adds t to the sum hi+lo.
func (g *generator) addTwoSum(hi, lo, t reg.VecVirtual) {
	sum, rest := g.twoSum(hi, t)
	g.VMOVAPD(sum, hi)
	g.VADDPD(rest, lo, lo)
}

// laneSums is a kernel that adds terms of every entry to LaneSums, one behind
// the other, whose lanes it also joins.
func (g *generator) laneSums(name, signature, does string, pointers, params []string, terms ...func(v []Op, p map[string]reg.VecVirtual) reg.VecVirtual) {
	g.function(name, signature, does)
	w := g.width()
	sums := g.param("sums")
	var base []reg.GPVirtual
	for _, name := range pointers {
		base = append(base, g.param(name))
	}
	n := g.param("n")
	p := map[string]reg.VecVirtual{}
	for _, name := range params {
		p[name] = g.broadcast(address(g.Param(name)))
	}
	g.keep("zero")
	// The sums of each term: of all lanes, or of four and four.
	hi, lo := make([][]reg.VecVirtual, len(terms)), make([][]reg.VecVirtual, len(terms))
	word := func(t int, word string, i int) Mem {
		return Mem{Base: sums, Disp: t*g.source.Size("LaneSum") + g.source.Offset("LaneSum", word) + 8*w*i}
	}
	for t := range terms {
		for i := range 8 / w {
			hi[t], lo[t] = append(hi[t], g.load(word(t, "hi", i))), append(lo[t], g.load(word(t, "lo", i)))
		}
	}
	take := func(i int, v []Op) {
		for t, term := range terms {
			g.addTwoSum(hi[t][i], lo[t][i], term(v, p))
		}
	}
	at := func(b reg.GPVirtual, i int) Mem { return Mem{Base: b, Disp: 8 * w * i} }
	g.loop("eight", n, 8, func() {
		for _, b := range base {
			g.PREFETCHT0(Mem{Base: b, Disp: farAhead})
		}
		for i := range 8 / w {
			var v []Op
			for _, b := range base {
				v = append(v, g.load(at(b, i)))
			}
			take(i, v)
		}
		for _, b := range base {
			g.ADDQ(imm(64), b)
		}
	})
	// Absent entries are +0: so are their terms made, or their coefficients.
	for i := range 8 / w {
		g.CMPQ(n, imm(w*i))
		g.JLE(LabelRef("join"))
		if i > 0 {
			g.SUBQ(imm(w), n)
		}
		m := g.remaining(n)
		var v []Op
		for _, b := range base {
			v = append(v, g.loadMasked(at(b, i), m, g.loaded("zero")))
		}
		take(i, v)
	}
	g.Label("join")
	for t := range terms {
		for i := range 8 / w {
			g.store(hi[t][i], word(t, "hi", i))
			g.store(lo[t][i], word(t, "lo", i))
		}
		h, l := g.joinLanes(hi[t], lo[t])
		g.VMOVSD(h, address(g.ReturnIndex(2*t)))
		g.VMOVSD(l, address(g.ReturnIndex(2*t+1)))
	}
	g.finish()
}

// probability is weightedProbability without second.
func (g *generator) probability(e, first, firstLow, q, hi Op) reg.VecVirtual {
	some, notAll := g.compare(notEqual, q, g.loaded("zero")), g.compare(notEqual, q, hi)
	if g.wide {
		g.KANDB(notAll, some, some)
	} else {
		g.VANDPD(notAll, some, some)
	}
	return g.fma(e, first, g.zeroUnless(some, g.mul(e, firstLow)))
}

// gradientEntry is weightedEntry before g.
func (g *generator) gradientEntry(p, q, hi, lo Op) reg.VecVirtual {
	return g.fma(p, lo, g.fms(p, hi, q))
}

// timesFactor is v·factor, with the one NaN and without -0.
func (g *generator) timesFactor(v, factor Op) reg.VecVirtual {
	v = g.add(g.mul(v, factor), g.loaded("zero"))
	return g.choose(g.compare(unordered, v, v), v, g.loaded("nan"))
}

func (g *generator) weightedGradient() {
	g.function("weightedGradient", "func(dst, terms, q *float64, n int, first, firstLow, second, hi, lo, factor float64)",
		"is weightedGradientGo for n entries. dst may be terms or q.")
	dst, terms, q, n := g.param("dst"), g.param("terms"), g.param("q"), g.param("n")
	g.keep("nan", "zero")
	var p [6]reg.VecVirtual
	for i, name := range []string{"first", "firstLow", "second", "hi", "lo", "factor"} {
		p[i] = g.broadcast(address(g.Param(name)))
	}
	w := g.width()
	at := func(b reg.GPVirtual, i int) Mem { return Mem{Base: b, Disp: 8 * w * i} }
	entry := func(e, q Op) reg.VecVirtual {
		return g.timesFactor(g.gradientEntry(g.mul(g.probability(e, p[0], p[1], q, p[3]), p[2]), q, p[3], p[4]), p[5])
	}
	step := func(count int) func() {
		return func() {
			for i := 0; i < w*count/8; i++ {
				g.PREFETCHT0(Mem{Base: terms, Disp: farAhead + 64*i})
				g.PREFETCHT0(Mem{Base: q, Disp: farAhead + 64*i})
			}
			for i := range count {
				g.store(entry(g.load(at(terms, i)), g.load(at(q, i))), at(dst, i))
			}
			for _, b := range []reg.GPVirtual{dst, terms, q} {
				g.ADDQ(imm(8*w*count), b)
			}
		}
	}
	g.loop("two", n, 2*w, step(2))
	g.loop("one", n, w, step(1))
	g.TESTQ(n, n)
	g.JZ(LabelRef("done"))
	m := g.remaining(n)
	g.storeMasked(entry(g.loadMasked(at(terms, 0), m, g.loaded("zero")), g.loadMasked(at(q, 0), m, g.loaded("zero"))), m, at(dst, 0))
	g.Label("done")
	g.finish()
}

// test sets the flags for the lanes of m: zero where there are none.
func (g *generator) test(m mask) reg.GPVirtual {
	bits := g.GP32()
	if g.wide {
		g.KMOVB(m, bits)
	} else {
		g.VMOVMSKPD(m, bits)
	}
	g.TESTL(bits, bits)
	return bits
}

func (g *generator) areSoftTargets() {
	g.function("areSoftTargets", "func(x *float64, n int) bool", "is areSoftTargetsGo for n > 0 entries.")
	x, n := g.param("x"), g.param("n")
	g.keep("inf", "zero")
	good := g.newMask()
	if g.wide {
		g.KXNORB(good, good, good)
	} else {
		g.VPCMPEQD(good, good, good)
	}
	w := g.width()
	entry := func(v Op) {
		for _, m := range []mask{g.compare(greaterEqual, v, g.constant("zero")), g.compare(lessThan, v, g.constant("inf"))} {
			if g.wide {
				g.KANDB(m, good, good)
			} else {
				g.VANDPD(m, good, good)
			}
		}
	}
	g.loop("four", n, 4*w, func() {
		for i := range w / 2 {
			g.PREFETCHT0(Mem{Base: x, Disp: farAhead + 64*i})
		}
		for i := range 4 {
			entry(g.load(Mem{Base: x, Disp: 8 * w * i}))
		}
		g.ADDQ(imm(32*w), x)
	})
	g.loop("one", n, w, func() {
		entry(g.load(Mem{Base: x}))
		g.ADDQ(imm(8*w), x)
	})
	g.TESTQ(n, n)
	g.JZ(LabelRef("done"))
	entry(g.loadMasked(Mem{Base: x}, g.remaining(n), g.loaded("zero")))
	g.Label("done")
	bits := g.test(good)
	g.CMPB(bits.As8(), U8(1<<w-1))
	g.SETEQ(bits.As8())
	g.MOVB(bits.As8(), address(g.ReturnIndex(0)))
	g.finish()
}

func (g *generator) index() {
	g.function("indexOf", "func(x *float64, n int, v float64) int", "is indexOfGo for n entries and a v that is not NaN.")
	x, n := g.param("x"), g.param("n")
	v := g.broadcast(address(g.Param("v")))
	nan := g.broadcast(g.constantMem("nan"))
	w := g.width()
	start := g.GP64()
	g.MOVQ(x, start)
	found := func(label string, m mask) reg.GPVirtual {
		bits := g.test(m)
		g.JNZ(LabelRef(label))
		return bits
	}
	// What is found is its place in a vector and the vector's in x.
	bits := g.GP32()
	locate := func(i int) {
		g.ADDQ(imm(8*w*i), x)
		g.JMP(LabelRef("found"))
	}
	g.loop("two", n, 2*w, func() {
		a := g.compare(equal, v, Mem{Base: x})
		b := g.compare(equal, v, Mem{Base: x, Disp: 8 * w})
		both := g.newMask()
		if g.wide {
			g.KORB(a, b, both)
		} else {
			g.VORPD(a, b, both)
		}
		found("pair", both)
		g.ADDQ(imm(16*w), x)
	})
	g.CMPQ(n, imm(w))
	g.JLT(LabelRef("tail"))
	a := g.compare(equal, v, Mem{Base: x})
	g.MOVL(g.test(a), bits)
	g.JNZ(LabelRef("found"))
	g.ADDQ(imm(8*w), x)
	g.SUBQ(imm(w), n)
	g.Label("tail")
	g.TESTQ(n, n)
	g.JZ(LabelRef("none"))
	last := g.loadMasked(Mem{Base: x}, g.remaining(n), nan)
	g.MOVL(g.test(g.compare(equal, v, last)), bits)
	g.JNZ(LabelRef("found"))
	g.Label("none")
	none := g.GP64()
	g.MOVQ(I32(-1), none)
	g.MOVQ(none, address(g.ReturnIndex(0)))
	g.finish()
	g.Label("pair")
	g.MOVL(g.test(g.compare(equal, v, Mem{Base: x})), bits)
	g.JNZ(LabelRef("found"))
	g.MOVL(g.test(g.compare(equal, v, Mem{Base: x, Disp: 8 * w})), bits)
	locate(1)
	g.Label("found")
	g.SUBQ(start, x)
	g.SHRQ(Imm(3), x)
	place := g.GP32()
	g.BSFL(bits, place)
	g.ADDQ(place.As64(), x)
	g.MOVQ(x, address(g.ReturnIndex(0)))
	g.finish()
}

// vectorJacobian: entries are formed as if nothing were special about them.
// Where something is, it shows: a log-probability that is not at most 0, or a
// NaN in the result.
func (g *generator) vectorJacobian(byColumn bool) {
	name, signature := "vectorJacobian", "func(dst, logp, u *float64, n int, hi, lo float64) int"
	var ahead []reg.GPVirtual
	does := "is vectorJacobianGo for n > 0 entries."
	if byColumn {
		name, signature = "columnsVectorJacobian", "func(dst, logp, u, hi, lo *float64, n int, nextDst, nextLogp, nextU int) int"
		does = "is columnsVectorJacobianGo for n > 0 entries. It prefetches what lies so many bytes ahead."
	}
	g.function(name, signature, does+" It returns how many it did: all, or those before a vector that has a special entry. dst may be logp or u.")
	dst, logp, u, n := g.param("dst"), g.param("logp"), g.param("u"), g.param("n")
	if g.wide {
		g.keep("sixteenthsPerLn2", "sixteenthHi", "sixteenthLo", "one", "exp2", "exp3", "exp4", "exp5", "exp6",
			"minusFarthest", "scaledMagic", "Unscale", "zero")
	} else {
		g.keep("zero")
	}
	pointers := []reg.GPVirtual{dst, logp, u}
	var hi, lo Op
	if byColumn {
		h, l := g.param("hi"), g.param("lo")
		ahead = []reg.GPVirtual{g.param("nextDst"), g.param("nextLogp"), g.param("nextU")}
		pointers = append(pointers, h, l)
		hi, lo = Mem{Base: h}, Mem{Base: l}
	} else {
		hi, lo = g.broadcast(address(g.Param("hi"))), g.broadcast(address(g.Param("lo")))
	}
	t := g.newTables()
	total := g.GP64()
	g.MOVQ(n, total)
	w := g.width()
	entry := func(y, u reg.VecVirtual, hi, lo Op, stop string) reg.VecVirtual {
		special := g.compare(notLessEqual, y, g.constant("zero"))
		// The second operand is what a NaN gives.
		y = g.maximum(y, g.constant("minusFarthest"))
		m := g.one()
		m.tables = t
		parts, tail := numbers.Parts(m, multi{g.copyOf(y)}, func() multi { return m.Constant("scaledMagic") }, m.AddInts)
		s, q := parts.only(), tail.only()
		p := g.mul(g.fma(s, q, s), g.constant("Unscale"))
		s = g.mul(s, g.constant("Unscale"))
		// 1 - p, far from 1, near, and close to 0.
		near := g.fnma(s, q, g.sub(g.loaded("one"), s))
		series := m.NewConstant("factorial8")
		for _, name := range []string{"factorial7", "factorial6", "factorial5", "factorial4", "factorial3", "half"} {
			series = m.Horner(series, multi{y}, name)
		}
		close := g.sub(g.loaded("zero"), g.fma(series.only(), g.mul(y, y), y))
		rest := g.choose(g.compare(lessThan, g.constant("minusSeriesEnd"), y), near, close)
		rest = g.choose(g.compare(lessThan, y, g.constant("minusFifty")), rest, g.sub(g.loaded("one"), p))
		others := g.add(g.sub(hi, u), lo)
		v := g.add(g.sub(g.mul(u, rest), g.mul(p, others)), g.constant("zero"))
		g.or(special, g.compare(unordered, v, v))
		g.test(special)
		g.JNZ(LabelRef(stop))
		return v
	}
	g.loop("vectors", n, w, func() {
		v := entry(g.load(Mem{Base: logp}), g.load(Mem{Base: u}), hi, lo, "stop")
		g.store(v, Mem{Base: dst})
		for i, p := range pointers[:3] {
			if byColumn {
				g.PREFETCHT0(Mem{Base: p, Index: ahead[i], Scale: 1})
			} else {
				g.PREFETCHT0(Mem{Base: p, Disp: farAhead})
			}
		}
		for _, p := range pointers {
			g.ADDQ(imm(8*w), p)
		}
	})
	g.TESTQ(n, n)
	g.JZ(LabelRef("stop"))
	m := g.remaining(n)
	if byColumn {
		hi, lo = g.loadMasked(hi.(Mem), m, g.loaded("zero")), g.loadMasked(lo.(Mem), m, g.loaded("zero"))
	}
	v := entry(g.loadMasked(Mem{Base: logp}, m, g.loaded("zero")), g.loadMasked(Mem{Base: u}, m, g.loaded("zero")), hi, lo, "stop")
	g.storeMasked(v, m, Mem{Base: dst})
	g.XORQ(n, n)
	g.Label("stop")
	g.SUBQ(n, total)
	g.MOVQ(total, address(g.ReturnIndex(0)))
	g.finish()
}

// panelAdd goes row by row, with the sums in memory.
func (g *generator) panelAdd() {
	g.function("panelAdd", "func(c *Panel, x *float64, stride, n, width int)",
		"is Panel.addGo for n > 0 rows of width > 0.")
	c, x, stride, n, columns := g.param("c"), g.param("x"), g.param("stride"), g.param("n"), g.param("width")
	g.keep("zero")
	g.SHLQ(Imm(3), stride)
	w := g.width()
	lane := g.GP64()
	g.XORQ(lane, lane)
	g.Label("rows")
	sums, from, left := g.GP64(), g.GP64(), g.GP64()
	g.LEAQ(g.field(c, "Hi").Idx(lane, 1), sums)
	g.MOVQ(x, from)
	g.MOVQ(columns, left)
	low := g.lowOf(Mem{Base: sums})
	put := func(v reg.VecVirtual) {
		sum, rest := g.twoSum(g.load(Mem{Base: sums}), v)
		g.store(sum, Mem{Base: sums})
		g.store(g.add(rest, low), low)
	}
	g.loop("vectors", left, w, func() {
		// Eight rows on.
		g.PREFETCHT0(Mem{Base: from, Index: stride, Scale: 8})
		put(g.load(Mem{Base: from}))
		g.ADDQ(imm(8*w), from)
		g.ADDQ(imm(8*w), sums)
	})
	g.TESTQ(left, left)
	g.JZ(LabelRef("next"))
	// The sums of a panel are there whatever the width.
	put(g.loadMasked(Mem{Base: from}, g.remaining(left), g.loaded("zero")))
	g.Label("next")
	g.ADDQ(stride, x)
	g.ADDQ(imm(g.rowBytes), lane)
	g.ANDQ(imm(8*g.rowBytes-1), lane)
	g.DECQ(n)
	g.JNZ(LabelRef("rows"))
	g.finish()
}

func (g *generator) panelWeightedLoss() {
	g.function("panelWeightedLoss", "func(c *Panel, q, x *float64, n, groups int)",
		"is Panel.weightedLossGo for n > 0 entries.")
	c, q, x, n, groups := g.param("c"), g.param("q"), g.param("x"), g.param("n"), g.param("groups")
	field := g.fieldsAt(c)
	g.keep("zero")
	g.eachVector(c, groups, []reg.GPVirtual{q, x}, func() {
		max, negLogSum := g.load(field("Max")), g.load(field("NegLogSum"))
		for l := range 8 {
			hi := field("Hi").Offset(g.rowBytes * l)
			g.store(g.loaded("zero"), hi)
			g.store(g.loaded("zero"), g.lowOf(hi))
		}
		pq, px, left, lane := g.GP64(), g.GP64(), g.GP64(), g.GP64()
		g.MOVQ(q, pq)
		g.MOVQ(x, px)
		g.MOVQ(n, left)
		g.XORQ(lane, lane)
		g.Label("entries")
		sums := g.GP64()
		g.LEAQ(field("Hi").Idx(lane, 1), sums)
		low := g.lowOf(Mem{Base: sums})
		sum, rest := g.twoSum(g.load(Mem{Base: sums}), g.lossTerm(g.load(Mem{Base: pq}), g.load(Mem{Base: px}), max, negLogSum))
		g.store(sum, Mem{Base: sums})
		g.store(g.add(rest, low), low)
		g.ADDQ(imm(g.rowBytes), pq)
		g.ADDQ(imm(g.rowBytes), px)
		g.ADDQ(imm(g.rowBytes), lane)
		g.ANDQ(imm(8*g.rowBytes-1), lane)
		g.DECQ(left)
		g.JNZ(LabelRef("entries"))
	})
	g.finish()
}

func (g *generator) panelWeightedGradient() {
	g.function("panelWeightedGradient", "func(c *Panel, terms, q, x *float64, n, groups int)",
		"is Panel.weightedGradientGo for n > 0 entries.")
	c1, terms, q, x, n, groups := g.param("c"), g.param("terms"), g.param("q"), g.param("x"), g.param("n"), g.param("groups")
	field := g.fieldsAt(c1)
	g.keep("one", "nan", "zero")
	g.eachVector(c1, groups, []reg.GPVirtual{terms, q, x}, func() {
		max, rest := g.load(field("Max")), g.load(field("Complement"))
		inverse, inverseLow := g.load(field("Inverse")), g.load(field("InverseLow"))
		hi, lo, factor := g.load(field("Hi")), g.load(field("Lo")), g.load(field("Factor"))
		// A maximum that there is more than once is nothing special.
		alone := g.compare(equal, g.constant("one"), field("Count"))
		max = g.choose(alone, g.loaded("nan"), max)
		pt, pq, px, left := g.GP64(), g.GP64(), g.GP64(), g.GP64()
		g.MOVQ(terms, pt)
		g.MOVQ(q, pq)
		g.MOVQ(x, px)
		g.MOVQ(n, left)
		g.Label("entries")
		coefficient := g.load(Mem{Base: pq})
		p := g.probability(g.load(Mem{Base: pt}), inverse, inverseLow, coefficient, hi)
		entry := g.gradientEntry(p, coefficient, hi, lo)
		// weightedLargest.
		largest := g.fms(p, g.add(g.sub(hi, coefficient), lo), g.mul(coefficient, rest))
		single, most := g.compare(equal, max, Mem{Base: px}), g.compare(lessThan, g.loaded("half"), p)
		g.or(most, g.compare(equal, coefficient, hi))
		if g.wide {
			g.KANDB(most, single, single)
		} else {
			g.VANDPD(most, single, single)
		}
		entry = g.choose(single, entry, largest)
		g.store(g.timesFactor(entry, factor), Mem{Base: pt})
		for _, b := range []reg.GPVirtual{pt, pq, px} {
			g.ADDQ(imm(g.rowBytes), b)
		}
		g.DECQ(left)
		g.JNZ(LabelRef("entries"))
	})
	g.finish()
}
