// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package amd64

import (
	"fmt"
	"slices"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"example.org/logsoftmax/_gen/numbers"
)

// weightedKernels are those of losses and gradients that have a coefficient
// for every entry; weighted.go has the Go functions that they follow.
func (g *generator) weightedKernels() {
	both := func(field string) int { return g.source.Offset("LossAndSum", field) }
	does := " for n > 0 entries, and the lanes joined."
	g.laneSums("weightedLoss", "func(sums *LaneSum, q, x *float64, n int, max, negLogSum float64) (hi, lo float64)",
		"is LaneSum.addLossGo"+does, 0, none)
	g.laneSums("weightedLossSums", "func(sums *LossAndSum, q, x *float64, n int, max, negLogSum float64) (hi, lo, sumHi, sumLo float64)",
		"is LossAndSum.addGo"+does, both("loss"), both("sum"))
	g.laneSums("coefficientSum", "func(sums *CoefficientSum, q *float64, n int) (hi, lo float64)",
		"is CoefficientSum.addGo for n > 0 entries, and the lanes joined. Where sums is nil all begin at 0.", none, 0)
	g.rowsWeightedLoss(false)
	g.rowsWeightedLoss(true)
	g.weightedGradient()
	g.areBetween()
	g.index()
	g.vectorJacobian()
	g.panelAdd()
	g.panelTakeLow()
	g.panelJoinLow()
	g.panelSumSlices()
	g.panelWeightedLoss()
	g.panelWeightedGradient()
}

// farAhead is how many bytes ahead memory is prefetched that is read in its
// order: the hardware does not go past the end of a page.
const farAhead = 2048

// sharedTwoSum is twoSum where there is hardly anything but sums to do. Half of
// them are products with 1 and a sum, which are the same numbers: processors that
// have units for sums and others for products are then busy in both.
func (g *generator) sharedTwoSum(a, b Op) (sum, rest reg.VecVirtual) {
	one := g.constant("one")
	sum = g.add(a, b)
	c := g.fms(sum, one, a)
	left := g.fnma(g.sub(sum, c), one, a)
	return sum, g.fma(left, one, g.sub(b, c))
}

// keepForSums keeps what sharedTwoSum needs, and zero.
func (g *generator) keepForSums() {
	if g.wide {
		g.keep("zero", "one")
	} else {
		g.keep("zero")
	}
}

// addLossTerm is the function of that name, and adds nothing where q is 0.
func (g *generator) addLossTerm(hi, lo, q reg.VecVirtual, x, max, negLogSum Op) (sum, rest reg.VecVirtual) {
	product, lost := g.lossTerm(q, x, max, negLogSum)
	sum, rest = g.sharedTwoSum(hi, product)
	return sum, g.add(g.add(rest, lost), lo)
}

// lossTerm is the product that addLossTerm adds, and what rounding it lost.
func (g *generator) lossTerm(q reg.VecVirtual, x, max, negLogSum Op) (product, lost reg.VecVirtual) {
	l := g.sub(g.fnma(x, g.constant("one"), max), negLogSum)
	weighted := g.compare(notEqual, q, g.loaded("zero"))
	product = g.mulWhere(weighted, q, l)
	return product, g.fmsWhere(weighted, q, l, product)
}

// A wordSum is a vector of a CoefficientSum: its first word, and the low words
// of the block in work. The others are in memory.
type wordSum struct {
	hi, block reg.VecVirtual
	mid, low  Mem
}

// takeLow adds the low words of a block.
func (g *generator) takeLow(s wordSum) {
	mid, rest := g.twoSum(g.load(s.mid), s.block)
	g.store(mid, s.mid)
	g.store(g.add(rest, s.low), s.low)
	g.VXORPD(s.block, s.block, s.block)
}

// words are the three of a sum in lanes.
type words struct{ hi, mid, low reg.VecVirtual }

// joinWords is a step of CoefficientSum.joined, of slices side by side, where there
// is hardly anything but sums to do.
func (g *generator) joinWords(a, b words) words { return g.joinWordsBy(g.sharedTwoSum, a, b) }

func (g *generator) joinWordsBy(twoSum func(a, b Op) (sum, rest reg.VecVirtual), a, b words) words {
	hi, rest := twoSum(a.hi, b.hi)
	mid, ofLanes := twoSum(a.mid, b.mid)
	mid, ofRest := twoSum(mid, rest)
	return words{hi, mid, g.add(g.add(a.low, b.low), g.add(ofLanes, ofRest))}
}

// joined is CoefficientSum.joined of the vectors of eight lanes, in the first lane of
// what it returns.
func (g *generator) joined(s []wordSum) (hi, lo reg.VecVirtual) {
	narrow := *g
	narrow.wide = false
	loaded := func(s wordSum) words { return words{s.hi, g.load(s.mid), g.load(s.low)} }
	lower := loaded(s[0])
	var upper words
	if g.wide {
		half := func(v reg.VecVirtual) reg.VecVirtual {
			u := g.YMM()
			g.VEXTRACTF64X4(Imm(1), v, u)
			return u
		}
		upper = words{half(lower.hi), half(lower.mid), half(lower.low)}
		lower = words{lower.hi.AsY().(reg.VecVirtual), lower.mid.AsY().(reg.VecVirtual), lower.low.AsY().(reg.VecVirtual)}
	} else {
		upper = loaded(s[1])
	}
	// Each waits for the one before.
	sum := narrow.joinWordsBy(narrow.twoSum, lower, upper)
	for _, step := range []func(v reg.VecVirtual) reg.VecVirtual{g.upperHalf, g.upperQuarter} {
		up := func(v reg.VecVirtual) reg.VecVirtual { return step(v).AsY().(reg.VecVirtual) }
		sum = narrow.joinWordsBy(narrow.twoSum, sum, words{up(sum.hi), up(sum.mid), up(sum.low)})
	}
	return sum.hi, narrow.add(sum.mid, sum.low)
}

// none is where there is no such sum.
const none = -1

// laneSums is a kernel that adds losses, or coefficients, or both, to sums in
// eight lanes, and joins them: to a LaneSum so many bytes from sums, and to a
// CoefficientSum.
func (g *generator) laneSums(name, signature, does string, loss, coefficients int) {
	g.function(name, signature, does)
	w := g.width()
	memory := g.param("sums")
	// The sums of all lanes, or of four and four.
	var hi, lo []reg.VecVirtual
	var sums []wordSum
	// Where their words are found, and left.
	type kept struct {
		word  reg.VecVirtual
		place Mem
	}
	var words []kept
	g.keepForSums()
	var negLogSumAside, low Mem
	if loss != none {
		negLogSumAside = g.AllocLocal(32)
	}
	if coefficients != none {
		low = g.AllocLocal(128)
	}
	word := func(at int, of, name string, i int) Mem {
		return Mem{Base: memory, Disp: at + g.source.Offset(of, name) + 8*w*i}
	}
	for i := range 8 / w {
		if loss != none {
			hi, lo = append(hi, g.zero()), append(lo, g.zero())
			words = append(words, kept{hi[i], word(loss, "LaneSum", "hi", i)}, kept{lo[i], word(loss, "LaneSum", "lo", i)})
		}
		if coefficients != none {
			part := func(name string) Mem { return word(coefficients, "CoefficientSum", name, i) }
			s := wordSum{g.zero(), g.zero(), part("mid"), part("low")}
			words = append(words, kept{s.hi, part("hi")})
			s.mid, s.low = low.Offset(8*w*i), low.Offset(64+8*w*i)
			g.store(s.block, s.mid)
			g.store(s.block, s.low)
			sums = append(sums, s)
		}
	}
	// lowWords copies the low words from where the sums are, or there.
	lowWords := func(back bool) {
		for i, s := range sums {
			for _, m := range [][2]Mem{{word(coefficients, "CoefficientSum", "mid", i), s.mid}, {word(coefficients, "CoefficientSum", "low", i), s.low}} {
				if back {
					m[0], m[1] = m[1], m[0]
				}
				g.store(g.load(m[0]), m[1])
			}
		}
	}
	if loss == none {
		g.TESTQ(memory, memory)
		g.JZ(LabelRef("begun"))
	}
	for _, k := range words {
		g.VMOVUPD(k.place, k.word)
	}
	lowWords(false)
	if loss == none {
		g.Label("begun")
	}
	base := []reg.GPVirtual{g.param("q")}
	var max, negLogSum Op
	if loss != none {
		base = append(base, g.param("x"))
		max = g.broadcast(address(g.Param("max")))
		negLogSum = g.setAside(negLogSumAside, 0, g.broadcast(address(g.Param("negLogSum"))))
	}
	n := g.param("n")
	take := func(i int, v []reg.VecVirtual) {
		if loss != none {
			sum, rest := g.addLossTerm(hi[i], lo[i], v[0], v[1], max, negLogSum)
			g.VMOVAPD(sum, hi[i])
			g.VMOVAPD(rest, lo[i])
		}
		if coefficients != none {
			sum, rest := g.sharedTwoSum(sums[i].hi, v[0])
			g.VMOVAPD(sum, sums[i].hi)
			g.VADDPD(rest, sums[i].block, sums[i].block)
		}
	}
	endBlock := func() {
		for _, s := range sums {
			g.takeLow(s)
		}
	}
	at := func(b reg.GPVirtual, i int) Mem { return Mem{Base: b, Disp: 8 * w * i} }
	untilEnd := g.GP64()
	g.MOVQ(U32(8), untilEnd)
	g.loop("eight", n, 8, func() {
		for _, b := range base {
			g.PREFETCHT0(Mem{Base: b, Disp: farAhead})
		}
		for i := range 8 / w {
			var v []reg.VecVirtual
			for _, b := range base {
				v = append(v, g.load(at(b, i)))
			}
			take(i, v)
		}
		for _, b := range base {
			g.ADDQ(imm(64), b)
		}
		if coefficients != none {
			g.DECQ(untilEnd)
			g.JNZ(LabelRef("within"))
			endBlock()
			g.MOVQ(U32(8), untilEnd)
			g.Label("within")
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
		var v []reg.VecVirtual
		for _, b := range base {
			v = append(v, g.loadMasked(at(b, i), m, g.loaded("zero")))
		}
		take(i, v)
	}
	g.Label("join")
	endBlock()
	if loss == none {
		g.TESTQ(memory, memory)
		g.JZ(LabelRef("kept"))
	}
	for _, k := range words {
		g.store(k.word, k.place)
	}
	lowWords(true)
	if loss == none {
		g.Label("kept")
	}
	result := 0
	put := func(h, l reg.VecVirtual) {
		g.VMOVSD(h.AsX(), address(g.ReturnIndex(result)))
		g.VMOVSD(l.AsX(), address(g.ReturnIndex(result+1)))
		result += 2
	}
	if loss != none {
		put(g.joinLanes(hi, lo))
	}
	if coefficients != none {
		put(g.joined(sums))
	}
	g.finish()
}

// twoSumOfPositive is twoSum of numbers of one sign, of which what the sum loses
// is known in two operations once it is known which is larger. As in
// sharedTwoSum they are products with 1: the larger and the smaller are for the
// units for sums.
func (g *generator) twoSumOfPositive(a, b Op) (sum, rest reg.VecVirtual) {
	large, small := g.maximum(a, b), g.minimum(a, b)
	sum = g.add(a, b)
	if !g.wide {
		return sum, g.sub(small, g.sub(sum, large))
	}
	one := g.constant("one")
	g.VFMSUB231PD(one, sum, large)
	g.VFNMADD231PD(one, large, small)
	return sum, small
}

// rowsWeightedLoss makes the losses of rows, and sums up their coefficients: all
// are positive. The lanes of as many rows as a vector has are joined at once.
func (g *generator) rowsWeightedLoss(coefficients bool) {
	name, does := "panelWeightedLossRows", "is Panel.weightedLossRowsGo without sums"
	if coefficients {
		name, does = "panelWeightedLossSumsRows", "is Panel.weightedLossRowsGo with sums"
	}
	g.function(name, "func(c *Panel, first int, l *Labels, s *RowLanes, q *float64, qStride int, x *float64, stride, n, rows int, negLogSum *float64)",
		does+" for n > 0 entries of rows > 0.")
	c := g.panelFrom("first")
	field := g.fieldsAt(c)
	g.SHLQ(Imm(3), address(g.Param("qStride")))
	g.SHLQ(Imm(3), address(g.Param("stride")))
	var aside, low Mem
	if !g.wide {
		aside, low = g.AllocLocal(2*32), g.AllocLocal(128)
	}
	g.keepForSums()
	w := g.width()
	vectors := 8 / w
	word := func(s reg.GPVirtual, name string, row int) Mem {
		return Mem{Base: s, Disp: g.source.Offset("RowLanes", name) + 8*8*row}
	}
	row := func(slice, lanes reg.GPVirtual) {
		max := g.setAside(aside, 0, g.broadcast(g.field(slice, "Max")))
		p := g.param("negLogSum")
		negLogSum := g.setAside(aside, 1, g.broadcast(Mem{Base: p}))
		g.ADDQ(imm(8), address(g.Param("negLogSum")))
		var hi, lo, sum, block []reg.VecVirtual
		var mid, end []reg.VecVirtual // of the sums, which with AVX2 are in memory
		for range vectors {
			hi, lo = append(hi, g.zero()), append(lo, g.zero())
			if coefficients {
				sum, block = append(sum, g.zero()), append(block, g.zero())
			}
		}
		lowWord := func(i int) (mid, end Mem) { return low.Offset(32 * i), low.Offset(64 + 32*i) }
		if coefficients {
			for i := range vectors {
				if g.wide {
					mid, end = append(mid, g.zero()), append(end, g.zero())
				} else {
					m, e := lowWord(i)
					g.store(block[i], m)
					g.store(block[i], e)
				}
			}
		}
		q, x, n := g.param("q"), g.param("x"), g.param("n")
		take := func(i int, q, x reg.VecVirtual) {
			product, lost := g.lossTerm(q, x, max, negLogSum)
			total, rest := g.twoSumOfPositive(hi[i], product)
			g.VMOVAPD(total, hi[i])
			g.VADDPD(g.add(rest, lost), lo[i], lo[i])
			if coefficients {
				total, rest := g.twoSumOfPositive(sum[i], q)
				g.VMOVAPD(total, sum[i])
				g.VADDPD(rest, block[i], block[i])
			}
		}
		endBlock := func() {
			if !coefficients {
				return
			}
			for i := range vectors {
				if g.wide {
					total, rest := g.twoSum(mid[i], block[i])
					g.VMOVAPD(total, mid[i])
					g.VADDPD(rest, end[i], end[i])
					g.VXORPD(block[i], block[i], block[i])
				} else {
					m, e := lowWord(i)
					g.takeLow(wordSum{sum[i], block[i], m, e})
				}
			}
		}
		at := func(b reg.GPVirtual, i int) Mem { return Mem{Base: b, Disp: 8 * w * i} }
		untilEnd := g.GP64()
		g.MOVQ(U32(8), untilEnd)
		g.loop("eight", n, 8, func() {
			g.PREFETCHT0(Mem{Base: q, Disp: farAhead})
			for i := range vectors {
				take(i, g.load(at(q, i)), g.load(at(x, i)))
			}
			g.ADDQ(imm(64), q)
			g.ADDQ(imm(64), x)
			if coefficients {
				g.DECQ(untilEnd)
				g.JNZ(LabelRef("within"))
				endBlock()
				g.MOVQ(U32(8), untilEnd)
				g.Label("within")
			}
		})
		// Absent entries are +0: so are their terms made, or their coefficients.
		for i := range vectors {
			g.CMPQ(n, imm(w*i))
			g.JLE(LabelRef("added"))
			if i > 0 {
				g.SUBQ(imm(w), n)
			}
			m := g.remaining(n)
			take(i, g.loadMasked(at(q, i), m, g.loaded("zero")), g.loadMasked(at(x, i), m, g.loaded("zero")))
		}
		g.Label("added")
		endBlock()
		high := g.field(lanes, "Hi")
		var sums words
		if g.wide {
			g.store(hi[0], high)
			g.store(lo[0], g.lowOf(high))
			if coefficients {
				sums = words{sum[0], mid[0], end[0]}
			}
		} else {
			total, rest := g.twoSum(hi[0], hi[1])
			g.store(total, high)
			g.store(g.add(g.add(lo[0], lo[1]), rest), g.lowOf(high))
			if coefficients {
				half := func(i int) words {
					m, e := lowWord(i)
					return words{sum[i], g.load(m), g.load(e)}
				}
				g.store(g.maximum(sum[0], sum[1]), word(g.param("s"), "Top", 0))
				sums = g.joinWords(half(0), half(1))
			}
		}
		if coefficients {
			s := g.param("s")
			g.store(sums.hi, word(s, "Hi", 0))
			g.store(sums.mid, word(s, "Mid", 0))
			g.store(sums.low, word(s, "Low", 0))
			g.ADDQ(imm(64), address(g.Param("s")))
		}
		g.nextRow("q", "qStride")
		g.nextRow("x", "stride")
	}
	// Where the losses of the batch go, and the lanes of its first row are.
	l := g.param("l")
	first := g.param("first")
	g.LEAQ(Mem{Base: l, Index: first, Scale: 8}, l)
	begin := g.AllocLocal(8)
	begun := func() {
		if coefficients {
			s := g.param("s")
			g.MOVQ(s, begin)
		}
	}
	g.eachBatch(c, begun, func() {
		loss := g.pairsAcrossRows(field)
		g.store(loss[0], Mem{Base: l, Disp: g.source.Offset("Labels", "High")})
		g.store(loss[1], Mem{Base: l, Disp: g.source.Offset("Labels", "Low")})
		g.ADDQ(imm(8*w), l)
		if !coefficients {
			return
		}
		s := g.GP64()
		g.MOVQ(begin, s)
		g.MOVQ(s, address(g.Param("s")))
		sum := g.acrossRows(
			func(row int) []reg.VecVirtual {
				return []reg.VecVirtual{g.load(word(s, "Hi", row)), g.load(word(s, "Mid", row)), g.load(word(s, "Low", row))}
			},
			func(a, b []reg.VecVirtual) []reg.VecVirtual {
				sum := g.joinWords(words{a[0], a[1], a[2]}, words{b[0], b[1], b[2]})
				return []reg.VecVirtual{sum.hi, sum.mid, sum.low}
			})
		topLanes := "Hi"
		if !g.wide {
			topLanes = "Top"
		}
		top := g.acrossRows(
			func(row int) []reg.VecVirtual { return []reg.VecVirtual{g.load(word(s, topLanes, row))} },
			func(a, b []reg.VecVirtual) []reg.VecVirtual { return []reg.VecVirtual{g.maximum(a[0], b[0])} })
		g.store(top[0], field("Top"))
		g.setSum(field, words{sum[0], sum[1], sum[2]})
	}, rowLoop{"rows", row})
	g.finish()
}

// both joins two masks into the first: where either is set is not enough.
func (g *generator) both(a, b mask) mask {
	if g.wide {
		g.KANDB(b, a, a)
	} else {
		g.VANDPD(b, a, a)
	}
	return a
}

// A weighting is the type Weighting.
type weighting struct {
	first, hi            reg.VecVirtual
	one                  Op
	none                 Op // 0 where one is 1, else NaN
	firstLow, lo, factor Op
}

// probability is Weighting.probability, where one may be nil if it is NaN.
func (g *generator) probability(w *weighting, term, q Op) (p, low reg.VecVirtual) {
	p = g.mul(term, w.first)
	low = g.fma(term, w.firstLow, g.fms(term, w.first, p))
	if w.one == nil {
		return p, low
	}
	rounded := g.both(g.compare(notEqual, q, w.one), g.compare(notEqual, q, w.none))
	return p, g.zeroUnless(rounded, low)
}

// gradientEntry is Weighting.entry before the factor.
func (g *generator) gradientEntry(w *weighting, p, low, q Op) reg.VecVirtual {
	return g.add(g.fms(p, w.hi, q), g.fma(low, w.hi, g.mul(p, w.lo)))
}

// fastTwoSum is the function of that name.
func (g *generator) fastTwoSum(a, b Op) (sum, rest reg.VecVirtual) {
	sum = g.add(a, b)
	return sum, g.sub(b, g.sub(sum, a))
}

// gradientOfLargest is what Weighting.Largest is of where 1-p counts, before the
// factor.
func (g *generator) gradientOfLargest(w *weighting, p, low, q, complement, complementLow Op) reg.VecVirtual {
	others := g.sub(w.hi, q)
	rest := g.sub(g.sub(w.hi, others), q)
	others, othersLow := g.fastTwoSum(others, g.add(rest, w.lo))
	own := g.mul(q, complement)
	ownLow := g.fms(q, complement, own)
	ownLow = g.fma(q, g.zeroUnless(g.compare(notEqual, q, w.one), g.inRegister(complementLow)), ownLow)
	return g.add(g.fms(p, others, own), g.fma(low, others, g.fms(p, othersLow, ownLow)))
}

// timesFactor is v·factor, with the one NaN and without -0.
func (g *generator) timesFactor(v, factor Op) reg.VecVirtual {
	if g.wide {
		made := g.copyOf(g.loaded("nan"))
		g.VFIXUPIMMPD(Imm(0), g.loaded("canonicalClasses"), g.mul(v, factor), made)
		return made
	}
	v = g.add(g.mul(v, factor), g.loaded("zero"))
	return g.choose(g.compare(unordered, v, v), v, g.constant("nan"))
}

// setAside is v, with AVX2 in memory: the next of the slots at local.
func (g *generator) setAside(local Mem, slot int, v reg.VecVirtual) Op {
	if g.wide {
		return v
	}
	at := local.Offset(8 * g.width() * slot)
	g.store(v, at)
	return at
}

// weightedGradient takes the last entries of a row that are not a whole vector as
// the vector that ends with them, before it writes any: a row that begins where
// a part of a vector was written would have to wait for it.
func (g *generator) weightedGradient() {
	g.function("weightedGradient", "func(dst *float64, dstStride int, terms *float64, termsStride int, q *float64, qStride, n, rows int, first, firstLow, hi, lo, factor *float64, second float64)",
		"is Panel.weightedGradientRowsGo for n > 0 entries of rows > 0, given the fields that it reads and a second factor of the terms. dst may be terms or q.")
	g.keepForFactor()
	names := []string{"dst", "terms", "q"}
	for _, name := range names {
		g.SHLQ(Imm(3), address(g.Param(name+"Stride")))
	}
	g.Label("row")
	p := func(name string) reg.VecVirtual {
		from := g.param(name)
		g.ADDQ(imm(8), address(g.Param(name)))
		return g.broadcast(Mem{Base: from})
	}
	sum, sumLow, second := p("hi"), p("lo"), g.broadcast(address(g.Param("second")))
	of := &weighting{first: p("first"), firstLow: p("firstLow"), hi: g.mul(sum, second), lo: g.mul(sumLow, second), factor: p("factor")}
	dst, terms, q, n := g.param("dst"), g.param("terms"), g.param("q"), g.param("n")
	w := g.width()
	at := func(b reg.GPVirtual, i int) Mem { return Mem{Base: b, Disp: 8 * w * i} }
	entries := func(suffix string) {
		entry := func(e, q Op) reg.VecVirtual {
			p, low := g.probability(of, e, q)
			return g.timesFactor(g.gradientEntry(of, p, low, q), of.factor)
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
		last := g.vec()
		g.CMPQ(n, imm(w))
		g.JLT(LabelRef("few" + suffix))
		ends := func(b reg.GPVirtual) Mem { return Mem{Base: b, Index: n, Scale: 8, Disp: -8 * w} }
		g.VMOVAPD(entry(g.load(ends(terms)), g.load(ends(q))), last)
		end := g.GP64()
		g.LEAQ(ends(dst), end)
		g.loop("two"+suffix, n, 2*w, step(2))
		g.loop("one"+suffix, n, w, step(1))
		g.store(last, Mem{Base: end})
		g.JMP(LabelRef("done"))
		g.Label("few" + suffix)
		m := g.remaining(n)
		g.storeMasked(entry(g.loadMasked(at(terms, 0), m, g.loaded("zero")), g.loadMasked(at(q, 0), m, g.loaded("zero"))), m, at(dst, 0))
	}
	// Most coefficients do not add up to exactly 1: none of them is looked at.
	one := g.constant("one")
	exactly := g.both(g.compare(equal, sum, one), g.compare(equal, sumLow, g.loaded("zero")))
	g.test(exactly)
	g.JNZ(LabelRef("exactlyOne"))
	entries("")
	g.JMP(LabelRef("done"))
	g.Label("exactlyOne")
	of.one, of.none = sum, sumLow
	entries("OfOne")
	g.Label("done")
	for _, name := range names {
		g.nextRow(name, name+"Stride")
	}
	g.DECQ(address(g.Param("rows")))
	g.JNZ(LabelRef("row"))
	g.finish()
}

// keepForFactor keeps what timesFactor needs.
func (g *generator) keepForFactor() {
	if g.wide {
		g.keep("nan", "zero", "canonicalClasses")
	} else {
		g.keep("nan", "zero")
	}
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

// areBetween goes by the bits, which are in the order of the numbers: the
// difference to either end has its highest bit set where a number is outside.
// Adding +0 leaves no -0.
func (g *generator) areBetween() {
	g.function("areBetween", "func(x *float64, stride, n, rows int, least, most float64) bool", "is areBetweenGo for n > 0 entries of rows > 0.")
	begin, stride, rows := g.param("x"), g.param("stride"), g.param("rows")
	g.SHLQ(Imm(3), stride)
	least := g.broadcast(address(g.Param("least")))
	width := g.intSub(g.broadcast(address(g.Param("most"))), least)
	g.keep("zero")
	signs := g.zero()
	w := g.width()
	n, odd := g.param("n"), g.GP64()
	g.MOVQ(n, odd)
	g.ANDQ(imm(w-1), odd)
	rest := g.remaining(odd)
	entry := func(v Op) {
		above := g.intSub(g.add(g.loaded("zero"), v), least)
		below := g.intSub(width, above)
		if g.wide {
			g.VPTERNLOGQ(Imm(0xfe), above, below, signs)
		} else {
			g.VORPD(above, below, below)
			g.VORPD(below, signs, signs)
		}
	}
	g.Label("row")
	x, left := g.GP64(), g.GP64()
	g.MOVQ(begin, x)
	g.MOVQ(n, left)
	g.loop("four", left, 4*w, func() {
		for i := range w / 2 {
			g.PREFETCHT0(Mem{Base: x, Disp: farAhead + 64*i})
		}
		for i := range 4 {
			entry(Mem{Base: x, Disp: 8 * w * i})
		}
		g.ADDQ(imm(32*w), x)
	})
	g.loop("one", left, w, func() {
		entry(Mem{Base: x})
		g.ADDQ(imm(8*w), x)
	})
	g.TESTQ(odd, odd)
	g.JZ(LabelRef("done"))
	entry(g.loadMasked(Mem{Base: x}, rest, least))
	g.Label("done")
	g.ADDQ(stride, begin)
	g.DECQ(rows)
	g.JNZ(LabelRef("row"))
	var bits reg.GPVirtual
	if g.wide {
		m := g.K()
		g.VPMOVQ2M(signs, m)
		bits = g.test(m)
	} else {
		bits = g.test(signs)
	}
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

// panelTakeLow goes through the lanes, which all have as many slices.
func (g *generator) panelTakeLow() {
	g.function("panelTakeLow", "func(c *Panel, s *LowSums, groups int)", "is Panel.takeLowGo.")
	c, s, groups := g.param("c"), g.param("s"), g.param("groups")
	field := g.fieldsAt(c)
	g.keep("zero")
	g.eachVector(c, groups, []reg.GPVirtual{s}, func() {
		for l := range 8 {
			low := field("Lo").Offset(g.rowBytes * l)
			mid, end := g.lowSums(s, l)
			sum, rest := g.twoSum(g.load(mid), g.load(low))
			g.store(sum, mid)
			g.store(g.add(rest, end), end)
			g.store(g.loaded("zero"), low)
		}
	})
	g.finish()
}

// lowSums are the words of lane l in a LowSums at base.
func (g *generator) lowSums(base reg.Register, l int) (mid, low Mem) {
	at := func(name string) Mem {
		return Mem{Base: base, Disp: g.source.Offset("LowSums", name) + g.rowBytes*l}
	}
	return at("mid"), at("low")
}

// panelJoinLow joins lanes whose low words are in a LowSums.
func (g *generator) panelJoinLow() {
	g.function("panelJoinLow", "func(c *Panel, s *LowSums, groups int)", "is Panel.joinLowGo.")
	c, s, groups := g.param("c"), g.param("s"), g.param("groups")
	field := g.fieldsAt(c)
	g.keepForSums()
	g.eachVector(c, groups, []reg.GPVirtual{s}, func() {
		g.setSum(field, numbers.JoinLanes(g.joinWords, 8, func(l int) words {
			mid, low := g.lowSums(s, l)
			return words{g.load(field("Hi").Offset(g.rowBytes * l)), g.load(mid), g.load(low)}
		}))
	})
	g.finish()
}

// setSum is Panel.setSum of sumAndRest.
func (g *generator) setSum(field func(name string) Mem, sum words) {
	lo := g.add(sum.mid, sum.low)
	hi, rest := g.twoSum(sum.hi, lo)
	finite := g.compare(lessThan, g.and(sum.hi, g.constant("absMask")), g.constant("inf"))
	finite = g.both(finite, g.compare(lessThan, g.and(lo, g.constant("absMask")), g.constant("inf")))
	g.store(g.choose(finite, sum.hi, hi), field("Hi"))
	g.store(g.zeroUnless(finite, rest), field("Lo"))
}

// sumLanes is the sum over the lanes of the slices of a vector, of n > 0 entries,
// joined as in joinLanes. first makes a sum of the first entry of a lane, next
// adds another to it, in place: entries are places in the tiles. Lanes that have
// none are not joined. name tells its labels from those of another in a kernel.
func (g *generator) sumLanes(name string, n reg.GPVirtual, tiles []reg.GPVirtual, first func(at []Mem) []reg.VecVirtual, next func(s []reg.VecVirtual, at []Mem), join func(a, b []reg.VecVirtual) []reg.VecVirtual) []reg.VecVirtual {
	lane := func(l int) []reg.VecVirtual {
		left := g.GP64()
		g.MOVQ(n, left)
		at := make([]Mem, len(tiles))
		for i, t := range tiles {
			p := g.GP64()
			g.LEAQ(Mem{Base: t, Disp: g.rowBytes * l}, p)
			at[i] = Mem{Base: p}
		}
		s := first(at)
		again, done := fmt.Sprintf("lane%d%s", l, name), fmt.Sprintf("done%d%s", l, name)
		g.SUBQ(imm(l+8), left)
		g.JLE(LabelRef(done))
		g.Label(again)
		for _, m := range at {
			g.ADDQ(imm(8*g.rowBytes), m.Base)
		}
		next(s, at)
		g.SUBQ(imm(8), left)
		g.JG(LabelRef(again))
		g.Label(done)
		return s
	}
	var tree func(l, step int) []reg.VecVirtual
	tree = func(l, step int) []reg.VecVirtual {
		if step == 8 {
			return lane(l)
		}
		s := tree(l, 2*step)
		absent := fmt.Sprintf("no%dFor%d%s", l+step, l, name)
		g.CMPQ(n, imm(l+step))
		g.JLE(LabelRef(absent))
		for i, v := range join(s, tree(l+step, 2*step)) {
			g.VMOVAPD(v, s[i])
		}
		g.Label(absent)
		return s
	}
	return tree(0, 1)
}

func (g *generator) panelSumSlices() {
	g.function("panelSumSlices", "func(c *Panel, x *float64, n, groups int)", "is Panel.sumSlicesGo for n > 0 entries.")
	c, x, n, groups := g.param("c"), g.param("x"), g.param("n"), g.param("groups")
	field := g.fieldsAt(c)
	g.keepForSums()
	g.eachVector(c, groups, []reg.GPVirtual{x}, func() {
		sum, top := g.sumOfSlices(x, n, g.wide)
		g.setSum(field, sum)
		if g.wide {
			g.store(top, field("Top"))
		}
	})
	g.finish()
}

// sumOfSlices is the sum of the entries, in a tile, of the slices of a vector, and
// if it is wanted the largest of them.
func (g *generator) sumOfSlices(x, n reg.GPVirtual, withTop bool) (sum words, top reg.VecVirtual) {
	s := g.sumLanes("Sum", n, []reg.GPVirtual{x}, func(at []Mem) []reg.VecVirtual {
		first := []reg.VecVirtual{g.add(g.loaded("zero"), at[0]), g.zero(), g.zero()}
		if withTop {
			first = append(first, g.load(at[0]))
		}
		return first
	}, func(s []reg.VecVirtual, at []Mem) {
		x := g.load(at[0])
		hi, rest := g.sharedTwoSum(s[0], x)
		g.VMOVAPD(hi, s[0])
		g.VADDPD(rest, s[1], s[1])
		if withTop {
			g.VMAXPD(x, s[3], s[3])
		}
	}, func(a, b []reg.VecVirtual) []reg.VecVirtual {
		sum := g.joinWords(words{a[0], a[1], a[2]}, words{b[0], b[1], b[2]})
		joined := []reg.VecVirtual{sum.hi, sum.mid, sum.low}
		if withTop {
			joined = append(joined, g.maximum(a[3], b[3]))
		}
		return joined
	})
	if withTop {
		top = s[3]
	}
	return words{s[0], s[1], s[2]}, top
}

func (g *generator) panelWeightedLoss() {
	g.function("panelWeightedLoss", "func(c *Panel, q, x *float64, n, groups int)",
		"is Panel.weightedLossGo for n > 0 entries.")
	c, q, x, n, groups := g.param("c"), g.param("q"), g.param("x"), g.param("n"), g.param("groups")
	field := g.fieldsAt(c)
	g.keepForSums()
	g.eachVector(c, groups, []reg.GPVirtual{q, x}, func() {
		hi, lo := g.lossOfSlices(q, x, n, g.load(field("Max")), g.load(field("NegLogSum")))
		g.store(hi, field("Hi"))
		g.store(lo, field("Lo"))
	})
	g.finish()
}

// lossOfSlices is the loss, in two words, of the slices of a vector, whose
// coefficients and entries are in tiles.
func (g *generator) lossOfSlices(q, x, n reg.GPVirtual, max, negLogSum reg.VecVirtual) (hi, lo reg.VecVirtual) {
	s := g.sumLanes("Loss", n, []reg.GPVirtual{q, x}, func(at []Mem) []reg.VecVirtual {
		product, lost := g.lossTerm(g.load(at[0]), g.load(at[1]), max, negLogSum)
		return []reg.VecVirtual{g.add(product, g.loaded("zero")), g.add(lost, g.loaded("zero"))}
	}, func(s []reg.VecVirtual, at []Mem) {
		hi, lo := g.addLossTerm(s[0], s[1], g.load(at[0]), g.load(at[1]), max, negLogSum)
		g.VMOVAPD(hi, s[0])
		g.VMOVAPD(lo, s[1])
	}, func(a, b []reg.VecVirtual) []reg.VecVirtual {
		hi, rest := g.sharedTwoSum(a[0], b[0])
		return []reg.VecVirtual{hi, g.add(g.add(a[1], b[1]), rest)}
	})
	return s[0], s[1]
}

// panelWeightedGradient makes all entries as if none were the only largest, and
// remembers for each slice which is, to replace it.
func (g *generator) panelWeightedGradient() {
	g.function("panelWeightedGradient", "func(c *Panel, terms, q, x *float64, n, groups int)",
		"is Panel.weightedGradientGo for n > 0 entries. A count of 1 is right.")
	c, terms, q, x, n, groups := g.param("c"), g.param("terms"), g.param("q"), g.param("x"), g.param("n"), g.param("groups")
	field := g.fieldsAt(c)
	g.keepForFactor()
	local := g.AllocLocal(4 * 32)
	g.eachVector(c, groups, []reg.GPVirtual{terms, q, x}, func() { g.gradientOfSlices(field, terms, q, x, n, local, g.wide) })
	g.finish()
}

// gradientOfSlices turns the terms of the slices of a vector, in a tile, into their
// gradients. local has room for four vectors. withTop is that Top is known.
func (g *generator) gradientOfSlices(field func(name string) Mem, terms, q, x, n reg.GPVirtual, local Mem, withTop bool) {
	lanes := g.table("laneNumbers", 0, 1, 2, 3, 4, 5, 6, 7)
	rowStep := g.table("rowStep", slices.Repeat([]uint64{uint64(g.rowBytes / 8)}, 4)...)
	of := &weighting{first: g.load(field("Inverse")), hi: g.load(field("Hi"))}
	of.firstLow, of.lo, of.factor = field("InverseLow"), field("Lo"), field("Factor")
	var step Op = rowStep
	if g.wide {
		of.firstLow, of.lo, of.factor = g.load(of.firstLow), g.load(of.lo), g.load(of.factor)
		step = g.broadcast(rowStep)
	}
	one := g.loaded("one")
	exactly := g.both(g.compare(equal, of.hi, one), g.compare(equal, g.loaded("zero"), of.lo))
	ones := g.choose(exactly, g.loaded("nan"), one)
	of.one = g.setAside(local, 0, ones)
	of.none = g.setAside(local, 1, g.sub(ones, ones))
	wanted := g.both(g.compare(notEqual, of.hi, g.loaded("zero")), g.compare(notEqual, g.loaded("zero"), of.factor))
	var aside Op
	if !g.wide {
		aside = g.setAside(local, 2, wanted.(reg.VecVirtual))
	}
	scaled := func(entry reg.VecVirtual) reg.VecVirtual {
		if g.wide {
			made := g.copyOf(g.loaded("nan"))
			g.VFIXUPIMMPD(Imm(0), g.loaded("canonicalClasses"), g.mulWhere(wanted, entry, of.factor.(reg.VecVirtual)), made)
			return made
		}
		return g.binary(g.VANDPD, g.timesFactor(entry, of.factor), aside)
	}
	// A maximum that there is more than once is nothing special.
	alone := g.compare(equal, g.constant("one"), field("Count"))
	max := g.setAside(local, 3, g.choose(alone, g.loaded("nan"), g.load(field("Max"))))
	pt, pq, px, left := g.GP64(), g.GP64(), g.GP64(), g.GP64()
	g.MOVQ(terms, pt)
	g.MOVQ(q, pq)
	g.MOVQ(x, px)
	g.MOVQ(n, left)
	var withLargest bool
	var at, largestTerm, largestQ, largestAt reg.VecVirtual
	entries := func(label string, of *weighting) {
		g.Label(label)
		term, coefficient := g.load(Mem{Base: pt}), g.load(Mem{Base: pq})
		p, low := g.probability(of, term, coefficient)
		entry := g.gradientEntry(of, p, low, coefficient)
		if !withLargest {
			g.store(scaled(entry), Mem{Base: pt})
			g.ADDQ(imm(g.rowBytes), pt)
			g.ADDQ(imm(g.rowBytes), pq)
			g.DECQ(left)
			g.JNZ(LabelRef(label))
			return
		}
		largest := g.compare(equal, g.load(Mem{Base: px}), max)
		g.replace(largest, term, largestTerm)
		g.replace(largest, coefficient, largestQ)
		g.replace(largest, at, largestAt)
		g.VPADDQ(step, at, at)
		g.store(scaled(entry), Mem{Base: pt})
		for _, b := range []reg.GPVirtual{pt, pq, px} {
			g.ADDQ(imm(g.rowBytes), b)
		}
		g.DECQ(left)
		g.JNZ(LabelRef(label))
	}
	// Most coefficients do not add up to exactly 1: none of them is looked at.
	ofOthers := *of
	ofOthers.one = nil
	if withTop {
		// Nor is anything special about most largest entries, whose probability is
		// not above one half and whose coefficient is not all of the sum. Of few
		// classes it often is.
		g.CMPQ(n, imm(16))
		g.JLT(LabelRef("special"))
		usual := g.both(g.compare(lessThan, g.loaded("aboveHalf"), g.load(field("Complement"))), g.compare(lessThan, g.load(field("Top")), of.hi))
		g.test(g.without(alone, usual))
		g.JNZ(LabelRef("special"))
		g.test(exactly)
		g.JNZ(LabelRef("usualOne"))
		entries("usual", &ofOthers)
		g.JMP(LabelRef("done"))
		g.Label("usualOne")
		entries("usualOfOne", of)
		g.JMP(LabelRef("done"))
		g.Label("special")
	}
	withLargest = true
	at, largestTerm, largestQ = g.load(lanes), g.load(Mem{Base: pt}), g.load(Mem{Base: pq})
	largestAt = g.copyOf(at)
	g.test(exactly)
	g.JNZ(LabelRef("exactlyOne"))
	entries("entries", &ofOthers)
	g.JMP(LabelRef("made"))
	g.Label("exactlyOne")
	entries("entriesOfOne", of)
	g.Label("made")
	p, low := g.probability(of, largestTerm, largestQ)
	entry := g.gradientEntry(of, p, low, largestQ)
	made := g.gradientOfLargest(of, p, low, largestQ, field("Complement"), field("ComplementLow"))
	counts := g.compare(lessThan, g.loaded("half"), p)
	g.or(counts, g.compare(equal, largestQ, of.hi))
	single := g.inRegister(max)
	counts = g.both(counts, g.compare(equal, single, single))
	g.scatter(scaled(g.choose(counts, entry, made)), terms, largestAt)
	if withTop {
		g.Label("done")
	}
}
