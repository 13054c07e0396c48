// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package amd64

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func (g *generator) packKernels() {
	g.packKernel(false)
	g.packKernel(true)
	if g.wide {
		g.panelShiftRows()
	}
	g.unpackKernel(unpackPlain)
	g.unpackKernel(unpackScaled)
	g.unpackKernel(unpackGradient)
}

// rowsOfVector are the addresses, from base on, of as many rows as a vector
// has lanes, stride bytes apart: row i is at(i).
type rowsOfVector struct{ base, middle, stride, three reg.GPVirtual }

func (g *generator) newRowsOfVector(base, stride reg.GPVirtual) *rowsOfVector {
	r := &rowsOfVector{base: g.GP64(), stride: stride, three: g.GP64()}
	g.MOVQ(base, r.base)
	g.LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, r.three)
	if g.wide {
		r.middle = g.GP64()
		g.LEAQ(Mem{Base: base, Index: stride, Scale: 4}, r.middle)
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
func (g *generator) move(r *rowsOfVector, bytes int) {
	for _, p := range []reg.GPVirtual{r.base, r.middle} {
		if p != nil {
			g.ADDQ(I32(int32(bytes)), p)
		}
	}
}

// A place is where columns are that lie side by side: those of a tile, or where
// there is a stride, so many bytes apart.
type place struct{ at, stride reg.GPVirtual }

// newPlace is the place at, whose columns are as many entries apart as stride says,
// if it is not nil.
func (g *generator) newPlace(at, stride reg.GPVirtual) *place {
	p := &place{at: g.GP64(), stride: stride}
	g.MOVQ(at, p.at)
	return p
}

// first and second are the two columns that a place is at.
func (p *place) first() Mem { return Mem{Base: p.at} }

func (g *generator) second(p *place) Mem {
	if p.stride == nil {
		return Mem{Base: p.at, Disp: g.rowBytes}
	}
	return Mem{Base: p.at, Index: p.stride, Scale: 1}
}

// moveColumns goes on by two columns, or back by one.
func (g *generator) moveColumns(p *place, by int) {
	switch {
	case p.stride == nil:
		g.ADDQ(I32(int32(by*g.rowBytes)), p.at)
	case by == 2:
		g.LEAQ(Mem{Base: p.at, Index: p.stride, Scale: 2}, p.at)
	default:
		g.SUBQ(p.stride, p.at)
	}
}

// twoColumns runs body for the columns of cols ≥ 2, two at a time, the last
// two once more where their number is odd. rows and to, the place of the
// columns, move along; left is how many columns are left.
func (g *generator) twoColumns(rows *rowsOfVector, to *place, cols reg.GPVirtual, body func(left reg.GPVirtual)) {
	left := g.GP64()
	g.MOVQ(cols, left)
	g.Label("cols")
	body(left)
	g.move(rows, 16)
	g.moveColumns(to, 2)
	g.SUBQ(Imm(2), left)
	g.JZ(LabelRef("nextRows"))
	g.CMPQ(left, Imm(1))
	g.JNE(LabelRef("cols"))
	g.move(rows, -8)
	g.moveColumns(to, -1)
	g.INCQ(left)
	g.JMP(LabelRef("cols"))
	g.Label("nextRows")
}

// eachRows runs body for every vector's worth of rows of the groups.
func (g *generator) eachRows(tile, x, stride, groups reg.GPVirtual, body func()) {
	g.SHLQ(Imm(3), stride)
	if !g.wide {
		g.SHLQ(Imm(1), groups)
	}
	g.Label("rows")
	body()
	g.LEAQ(Mem{Base: x, Index: stride, Scale: uint8(g.width() / 2)}, x)
	g.LEAQ(Mem{Base: x, Index: stride, Scale: uint8(g.width() / 2)}, x)
	g.ADDQ(imm(8*g.width()), tile)
	g.DECQ(groups)
	g.JNZ(LabelRef("rows"))
}

// pack: two columns of even rows and of odd ones make two vectors.
func (g *generator) packKernel(max bool) {
	name, of, signature := "pack", "packGo", "func(dst *float64, dstStride int, x *float64, stride, cols, groups int)"
	if max {
		name, of, signature = "panelPackMax", "Panel.packMaxGo", "func(c *Panel, tile, x *float64, stride, cols, groups int)"
	}
	g.function(name, signature, "is "+of+" for cols ≥ 2.")
	var state, tile, tileStride reg.GPVirtual
	if max {
		state, tile = g.param("c"), g.param("tile")
	} else {
		tile, tileStride = g.param("dst"), g.param("dstStride")
		g.SHLQ(Imm(3), tileStride)
	}
	x, stride, cols, groups := g.param("x"), g.param("stride"), g.param("cols"), g.param("groups")
	g.eachRows(tile, x, stride, groups, func() {
		rows, to := g.newRowsOfVector(x, stride), g.newPlace(tile, tileStride)
		if !max {
			g.prefetchRows(x, stride, cols)
		}
		var largest [2]reg.VecVirtual
		var nan mask
		if max {
			largest[0] = g.broadcast(g.constantMem("minusInf"))
			largest[1] = g.copyOf(largest[0])
			nan = g.compare(unordered, largest[0], largest[0])
		}
		g.twoColumns(rows, to, cols, func(reg.GPVirtual) {
			var half [2]reg.VecVirtual
			for odd := range half {
				v := g.vec()
				g.VMOVUPD(rows.at(odd), v.AsX())
				g.VINSERTF128(Imm(1), rows.at(odd+2), v.AsY(), v.AsY())
				if g.wide {
					g.VINSERTF64X2(Imm(2), rows.at(odd+4), v, v)
					g.VINSERTF64X2(Imm(3), rows.at(odd+6), v, v)
				}
				half[odd] = v
			}
			first, second := g.vec(), g.vec()
			g.VUNPCKLPD(half[1], half[0], first)
			g.VUNPCKHPD(half[1], half[0], second)
			g.store(first, to.first())
			g.store(second, g.second(to))
			if max {
				g.VMAXPD(first, largest[0], largest[0])
				g.VMAXPD(second, largest[1], largest[1])
				g.or(nan, g.compare(unordered, first, second))
			}
		})
		if max {
			g.store(g.choose(nan, g.maximum(largest[0], largest[1]), g.loaded("nan")), g.field(state, "Max"))
			g.ADDQ(imm(8*g.width()), state)
		}
	})
	g.finish()
}

// prefetchRows prefetches the rows that are next to those of a vector from x on, or
// if rows are so short that they are done too soon, those of the fourth vector from
// there.
func (g *generator) prefetchRows(x, stride, cols reg.GPVirtual) {
	next, left := g.GP64(), g.GP64()
	move := func(vectors int) {
		for range 2 * vectors {
			g.LEAQ(Mem{Base: next, Index: stride, Scale: uint8(g.width() / 2)}, next)
		}
	}
	g.MOVQ(x, next)
	move(1)
	g.CMPQ(cols, imm(16))
	g.JG(LabelRef("long"))
	move(3)
	g.Label("long")
	rows := g.newRowsOfVector(next, stride)
	g.MOVQ(cols, left)
	g.Label("ahead")
	for i := range g.width() {
		g.PREFETCHT0(rows.at(i))
	}
	g.move(rows, 64)
	g.SUBQ(imm(8), left)
	g.JG(LabelRef("ahead"))
}

type unpackKind int

const (
	unpackPlain unpackKind = iota
	unpackScaled
	// Scaled, and with the gradients at the labels.
	unpackGradient
)

func (g *generator) unpackKernel(kind unpackKind) {
	name, of, signature := "unpack", "unpackGo", "func("
	switch kind {
	case unpackScaled:
		name, of, signature = "panelUnpackScaled", "Panel.unpackScaledGo", "func(c *Panel, "
	case unpackGradient:
		name, of, signature = "panelUnpackGradient", "Panel.unpackGradientGo", "func(c *Panel, l *Labels, "
	}
	signature += "dst *float64, stride int, "
	if kind == unpackPlain {
		signature += "x *float64, xStride, cols, groups int)"
	} else {
		signature += "tile *float64, cols, groups int)"
	}
	g.function(name, signature, "is "+of+" for cols ≥ 2.")
	dst, stride := g.param("dst"), g.param("stride")
	var tile, tileStride reg.GPVirtual
	if kind == unpackPlain {
		tile, tileStride = g.param("x"), g.param("xStride")
		g.SHLQ(Imm(3), tileStride)
	} else {
		tile = g.param("tile")
	}
	cols, groups := g.param("cols"), g.param("groups")
	var c, l reg.GPVirtual
	if kind != unpackPlain {
		c = g.param("c")
		g.keep("zero")
	}
	if kind == unpackGradient {
		l = g.param("l")
	}
	g.eachRows(tile, dst, stride, groups, func() {
		rows, from := g.newRowsOfVector(dst, stride), g.newPlace(tile, tileStride)
		var factor reg.VecVirtual
		var wanted mask
		if kind != unpackPlain {
			factor = g.load(g.field(c, "Factor"))
			wanted = g.compare(notEqual, factor, g.constant("zero"))
			g.ADDQ(imm(8*g.width()), c)
		}
		// How many columns are left at the label's, and at the one before.
		var atLabel, leftThere, leftBefore reg.VecVirtual
		if kind == unpackGradient {
			at := func(name string) Mem { return Mem{Base: l, Disp: g.source.Offset("Labels", name)} }
			atLabel = g.load(at("AtLabel"))
			leftThere = g.intSub(g.broadcastInt(cols), g.load(at("Class")))
			leftBefore = g.intAdd(leftThere, g.loaded("integerOne"))
			g.ADDQ(imm(8*g.width()), l)
		}
		g.twoColumns(rows, from, cols, func(left reg.GPVirtual) {
			first, second := g.load(from.first()), g.load(g.second(from))
			if kind != unpackPlain {
				// Of two NaN the product is the first.
				scale := func(v reg.VecVirtual) reg.VecVirtual {
					return g.add(g.mulWhere(wanted, factor, v), g.loaded("zero"))
				}
				first, second = scale(first), scale(second)
			}
			if kind == unpackGradient {
				here := g.broadcastInt(left)
				first = g.choose(g.equalInts(leftThere, here), first, atLabel)
				second = g.choose(g.equalInts(leftBefore, here), second, atLabel)
			}
			var half [2]reg.VecVirtual
			for odd := range half {
				half[odd] = g.vec()
			}
			g.VUNPCKLPD(second, first, half[0])
			g.VUNPCKHPD(second, first, half[1])
			for odd, v := range half {
				g.VMOVUPD(v.AsX(), rows.at(odd))
				g.VEXTRACTF128(Imm(1), v.AsY(), rows.at(odd+2))
				if g.wide {
					g.VEXTRACTF64X2(Imm(2), v, rows.at(odd+4))
					g.VEXTRACTF64X2(Imm(3), v, rows.at(odd+6))
				}
			}
		})
	})
	g.finish()
}

// panelShiftRows: the eight rows of a group are cols vectors, each of whose
// elements takes its row's numbers by a permutation.
func (g *generator) panelShiftRows() {
	g.function("panelShiftRows", "func(c *Panel, dst, x *float64, row *int64, cols, groups int)",
		"is Panel.shiftGo for rows, of dst and x, that lie one behind the other. row holds, for the 8·cols doubles of eight rows in order, the numbers of their rows.")
	c, dst, x, row, cols, groups := g.param("c"), g.param("dst"), g.param("x"), g.param("row"), g.param("cols"), g.param("groups")
	field := g.fieldsAt(c)
	g.Label("groups")
	max, negLogSum := g.load(field("Max")), g.load(field("NegLogSum"))
	from, left := g.GP64(), g.GP64()
	g.MOVQ(row, from)
	g.MOVQ(cols, left)
	g.Label("vectors")
	index, m, s := g.load(Mem{Base: from}), g.vec(), g.vec()
	g.VPERMPD(max, index, m)
	g.VPERMPD(negLogSum, index, s)
	g.store(g.add(s, g.sub(g.load(Mem{Base: x}), m)), Mem{Base: dst})
	for _, p := range []reg.GPVirtual{from, x, dst} {
		g.ADDQ(imm(64), p)
	}
	g.DECQ(left)
	g.JNZ(LabelRef("vectors"))
	g.ADDQ(imm(64), c)
	g.DECQ(groups)
	g.JNZ(LabelRef("groups"))
	g.finish()
}
