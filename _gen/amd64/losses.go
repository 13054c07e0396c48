// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package amd64

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// addLanes has the sums in registers, those of a lane's eight or, with AVX2, of
// four and four.
func (g *generator) addLanes() {
	g.function("addLanes", "func(s *laneSums, x, rest *float64, groups int) bool", "is addLanesGo for 8·groups > 0 terms.")
	s, x, rest, groups := g.param("s"), g.param("x"), g.param("rest"), g.param("groups")
	w := g.width()
	at := func(base reg.GPVirtual, i int) Mem { return Mem{Base: base, Disp: 8 * w * i} }
	sum := func(i int, field string) Mem { return at(s, i).Offset(g.source.Offset("laneSums", field)) }
	z := g.zero()
	left := g.compare(notEqual, z, z)
	var hi, lo []reg.VecVirtual
	for i := range 8 / w {
		hi, lo = append(hi, g.load(sum(i, "hi"))), append(lo, g.load(sum(i, "lo")))
	}
	g.Label("groups")
	for i := range hi {
		h, r := g.twoSum(hi[i], g.load(at(x, i)))
		g.VMOVAPD(h, hi[i])
		l, r := g.twoSum(lo[i], r)
		g.VMOVAPD(l, lo[i])
		g.or(left, g.compare(notEqual, r, z))
		g.store(r, at(rest, i))
	}
	g.ADDQ(Imm(64), x)
	g.ADDQ(Imm(64), rest)
	g.DECQ(groups)
	g.JNZ(LabelRef("groups"))
	for i := range hi {
		g.store(hi[i], sum(i, "hi"))
		g.store(lo[i], sum(i, "lo"))
	}
	bits := g.test(left)
	g.SETNE(bits.As8())
	g.MOVB(bits.As8(), address(g.ReturnIndex(0)))
	g.finish()
}

// smoothedLosses adds up products with log-probabilities that are not negated, and
// negates the sums. Two rows are joined as soon as they are there.
func (g *generator) smoothedLosses(weights bool) {
	const rowsOf = "(to, x *float64, stride, n, rows int, target *int, off, on "
	const does = " for n > 0 entries of rows > 0, and sets to up to a multiple of 8. labelled is the entry of atLabel that is not 0."
	if weights {
		g.function("weightedSmoothedLosses", "func"+rowsOf+"*float64, labelled *uint64)", "is weightedSmoothedLossesGo"+does)
	} else {
		g.function("smoothedLosses", "func"+rowsOf+"float64, labelled *uint64)", "is smoothedLossesGo"+does)
	}
	s := &smoothing{
		generator: g, weights: weights, to: g.param("to"), x: g.param("x"), stride: g.param("stride"), rows: g.param("rows"), target: g.param("target"),
		n: address(g.Param("n")), full: g.GP64(), last: g.GP64(),
	}
	g.keepForSums()
	g.SHLQ(Imm(3), s.stride)
	if !weights {
		s.off, s.on = g.broadcast(address(g.Param("off"))), g.broadcast(address(g.Param("on")))
	}
	g.MOVQ(s.n, s.last)
	g.LEAQ(Mem{Base: s.last, Disp: -1}, s.full)
	g.SHRQ(Imm(3), s.full)
	eights := g.GP64()
	g.MOVQ(s.full, eights)
	g.SHLQ(Imm(3), eights)
	g.SUBQ(eights, s.last)
	if g.wide {
		s.lanes = g.remaining(s.last)
	}
	g.TESTQ(s.full, s.full)
	g.JZ(LabelRef("batchOfOne"))
	s.batches("OfSeveral", false)
	s.batches("OfOne", true)
}

// smoothing is smoothedLosses in work.
type smoothing struct {
	*generator
	weights                     bool // each class has its own coefficients
	to, x, stride, rows, target reg.GPVirtual
	n                           Mem
	// How many vectors of eight entries there are before the last, and the lanes of
	// that.
	full, last reg.GPVirtual
	lanes      mask
	off, on    reg.VecVirtual
}

// batches does all rows, of one vector or of several.
func (s *smoothing) batches(suffix string, one bool) {
	g, w := s.generator, s.width()
	join := func(a, b []reg.VecVirtual) []reg.VecVirtual {
		hi, rest := g.sharedTwoSum(a[0], b[0])
		return []reg.VecVirtual{hi, g.add(g.add(a[1], b[1]), rest)}
	}
	g.Label("batch" + suffix)
	sum := g.joinRows(suffix, s.rows, s.n, func(k int) []reg.VecVirtual {
		hi, lo := s.row(k, one, fmt.Sprintf("%sRow%d", suffix, k))
		if !g.wide {
			return join([]reg.VecVirtual{hi[0], lo[0]}, []reg.VecVirtual{hi[1], lo[1]})
		}
		return []reg.VecVirtual{hi[0], lo[0]}
	}, join)
	// Accumulator.Value, negated.
	finite := g.compare(lessThan, g.and(sum[1], g.constant("absMask")), g.constant("inf"))
	loss := g.sub(g.loaded("zero"), g.add(sum[0], g.zeroUnless(finite, sum[1])))
	loss = g.choose(g.compare(unordered, loss, loss), loss, g.loaded("nan"))
	g.store(loss, Mem{Base: s.to})
	g.ADDQ(imm(8*w), s.to)
	g.ADDQ(imm(8*w), s.target)
	g.SUBQ(imm(w), s.rows)
	g.JG(LabelRef("batch" + suffix))
	g.finish()
}

// row is the sums of row k of a batch, in lanes.
func (s *smoothing) row(k int, one bool, suffix string) (hi, lo []reg.VecVirtual) {
	g, w := s.generator, s.width()
	label := func(name string) string { return name + suffix }
	for range 8 / w {
		hi, lo = append(hi, g.zero()), append(lo, g.zero())
	}
	at := g.GP64()
	g.MOVQ(s.x, at)
	g.ADDQ(s.stride, s.x)
	pointers := []reg.GPVirtual{at}
	of := func(p reg.GPVirtual, i int) Mem { return Mem{Base: p, Disp: 8 * w * i} }
	var offs, ons, own reg.GPVirtual
	if s.weights {
		offs, ons = g.param("off"), g.param("on")
		pointers = append(pointers, offs, ons)
	}
	// labelled is off with on at the label, of part i of a vector.
	var labelled func(i int, off, on reg.VecVirtual) reg.VecVirtual
	if one {
		class := g.vec()
		g.VPBROADCASTQ(Mem{Base: s.target, Disp: 8 * k}, class)
		labelled = func(i int, off, on reg.VecVirtual) reg.VecVirtual {
			m := g.newMask()
			g.VPCMPEQQ(g.table("laneNumbers", 0, 1, 2, 3, 4, 5, 6, 7).Offset(8*w*i), class, m)
			return g.choose(m, off, on)
		}
	} else {
		// Where the row's part of atLabel begins: without its label, if that is no
		// class.
		own = g.GP64()
		none := g.GP64()
		g.MOVQ(I32(-1), none)
		g.MOVQ(Mem{Base: s.target, Disp: 8 * k}, own)
		g.CMPQ(own, s.n)
		g.CMOVQCC(none, own)
		g.SHLQ(Imm(3), own)
		g.NEGQ(own)
		g.ADDQ(address(g.Param("labelled")), own)
		pointers = append(pointers, own)
		labelled = func(i int, off, on reg.VecVirtual) reg.VecVirtual {
			if !g.wide {
				return g.choose(g.load(of(own, i)), off, on)
			}
			q := g.copyOf(off)
			g.VPTERNLOGQ(U8(0xd8), of(own, i), on, q)
			return q
		}
	}
	// term is the product of part i of a vector, and what rounding it lost.
	term := func(i int, x reg.VecVirtual) (product, lost reg.VecVirtual) {
		off, on := s.off, s.on
		if s.weights {
			off, on = g.load(of(offs, i)), g.load(of(ons, i))
		}
		q := labelled(i, off, on)
		if s.weights {
			weighted := g.compare(notEqual, q, g.loaded("zero"))
			product = g.mulWhere(weighted, q, x)
			return product, g.fmsWhere(weighted, q, x, product)
		}
		product = g.mul(q, x)
		return product, g.fms(q, x, product)
	}
	first := func(i int, x reg.VecVirtual) {
		product, lost := term(i, x)
		g.VMOVAPD(product, hi[i])
		g.VMOVAPD(lost, lo[i])
	}
	next := func(i int, x reg.VecVirtual) {
		product, lost := term(i, x)
		sum, rest := g.sharedTwoSum(hi[i], product)
		g.VMOVAPD(sum, hi[i])
		g.VADDPD(g.add(rest, lost), lo[i], lo[i])
	}
	// Rows of a few lines are too few strides at a time for what the processor fetches
	// ahead of itself.
	ahead := func() { g.PREFETCHT0(Mem{Base: at, Disp: 2048}) }
	whole := func(take func(i int, x reg.VecVirtual)) {
		ahead()
		for i := range 8 / w {
			take(i, g.load(of(at, i)))
		}
		for _, p := range pointers {
			g.ADDQ(imm(64), p)
		}
	}
	part := func(take func(i int, x reg.VecVirtual)) {
		ahead()
		for i := range 8 / w {
			x := g.vec()
			if g.wide {
				g.VMOVUPD_Z(of(at, i), s.lanes, x)
			} else {
				if i > 0 {
					g.CMPQ(s.last, imm(w))
					g.JLE(LabelRef(label("done")))
				}
				n := g.GP64()
				g.LEAQ(Mem{Base: s.last, Disp: -w * i}, n)
				g.VMASKMOVPD(of(at, i), g.remaining(n), x)
			}
			take(i, x)
		}
		g.Label(label("done"))
	}
	if one {
		part(first)
		return hi, lo
	}
	left := g.GP64()
	g.MOVQ(s.full, left)
	whole(first)
	g.DECQ(left)
	g.JZ(LabelRef(label("last")))
	g.Label(label("next"))
	whole(next)
	g.DECQ(left)
	g.JNZ(LabelRef(label("next")))
	g.Label(label("last"))
	part(next)
	return hi, lo
}

// joinRows is acrossRows for the rows in their order, rows and n being how many
// there are and how many entries they have: of rows that there are not, and of lanes
// that are empty as n is at most 4, not more is joined than must be.
func (g *generator) joinRows(suffix string, rows, n Op, row func(k int) []reg.VecVirtual, join func(a, b []reg.VecVirtual) []reg.VecVirtual) []reg.VecVirtual {
	steps := g.acrossSteps()
	var tree func(step, first int) []reg.VecVirtual
	tree = func(step, first int) []reg.VecVirtual {
		if step == len(steps) {
			return row(first)
		}
		a, half := tree(step+1, first), g.width()>>(step+1)
		b := make([]reg.VecVirtual, len(a))
		for i := range b {
			b[i] = g.zero()
		}
		label := func(name string) string { return fmt.Sprintf("%s%dTo%d%s", name, first, first+2*half-1, suffix) }
		set := func(to, v []reg.VecVirtual) {
			for i := range to {
				g.VMOVAPD(v[i], to[i])
			}
		}
		g.CMPQ(rows, imm(first+half))
		g.JLE(LabelRef(label("no")))
		set(b, tree(step+1, first+half))
		g.Label(label("no"))
		low, high := steps[step](a, b)
		if step < 2 {
			return join(low, high)
		}
		g.CMPQ(n, imm(4))
		g.JLE(LabelRef(label("few")))
		set(low, join(low, high))
		g.Label(label("few"))
		return low
	}
	sum := tree(0, 0)
	for _, v := range sum {
		if g.wide {
			g.VPERMPD(v, g.load(g.table("evenLanesFirst", 0, 2, 4, 6, 1, 3, 5, 7)), v)
		} else {
			g.VPERMPD(Imm(0xd8), v, v)
		}
	}
	return sum
}
