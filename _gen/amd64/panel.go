// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package amd64

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"example.org/logsoftmax/_gen/numbers"
)

// panel is the type of the state of slices side by side, whose fields are arrays
// of a number for each.
const panel = "Panel"

// field is a field of the panel at base.
func (g *generator) field(base reg.Register, name string) Mem {
	return Mem{Base: base, Disp: g.source.Offset(panel, name)}
}

// fieldsAt returns the fields of the panel at base.
func (g *generator) fieldsAt(base reg.Register) func(name string) Mem {
	return func(name string) Mem { return g.field(base, name) }
}

// lowOf is the low word in a panel's lo of what hi is of its hi.
func (g *generator) lowOf(hi Mem) Mem {
	return hi.Offset(g.source.Offset(panel, "Lo") - g.source.Offset(panel, "Hi"))
}

func (g *generator) panelKernels() {
	g.panelRaiseMax()
	g.panelSetFrames()
	g.panelAddExp()
	g.panelTotal()
	g.panelJoinLanes()
	g.panelConclude("Sums", 4, numbers.ConcludeSums[multi, []mask])
	g.panelConclude("Logs", 2, numbers.ConcludeLogs[multi, []mask])
	g.panelConclude("Probabilities", 2, numbers.ConcludeProbabilities[multi, []mask])
	g.panelLogSumExps()
	g.panelMap("panelShift", "sets n > 0 rows of dst to (x-max)+negLogSum, slice by slice.", []string{"Max", "NegLogSum"},
		func(x Op, p []Op) reg.VecVirtual { return g.add(p[1], g.sub(x, p[0])) })
	g.panelMap("panelScale", "sets n > 0 rows of dst to x·factor + 0, slice by slice.", []string{"Factor"},
		func(x Op, p []Op) reg.VecVirtual { return g.add(g.mul(p[0], x), g.loaded("zero")) })
}

// eachVector runs body for every vector of the groups, with c at the vector's
// part of each field and, for each pointer, its part of each row.
func (g *generator) eachVector(c, groups reg.GPVirtual, pointers []reg.GPVirtual, body func()) {
	if !g.wide {
		g.SHLQ(Imm(1), groups)
	}
	g.Label("vectors")
	body()
	step := imm(8 * g.width())
	g.ADDQ(step, c)
	for _, p := range pointers {
		g.ADDQ(step, p)
	}
	g.DECQ(groups)
	g.JNZ(LabelRef("vectors"))
}

// columns are those of a vector.
type columns struct {
	*generator
	// part says that there are less than a vector holds, and have is the mask of
	// those that there are: with AVX2 it is in memory, for want of registers.
	part bool
	have mask
	kept Mem
}

// eachVectorOf is eachVector for so many columns, which the last vector need not
// be full of. For that there is another body.
func (g *generator) eachVectorOf(c reg.GPVirtual, left Op, pointers []reg.GPVirtual, body func(cols columns)) {
	full, part := columns{generator: g}, columns{generator: g, part: true}
	g.Label("vectors")
	g.CMPQ(left, imm(g.width()))
	g.JLT(LabelRef("part"))
	body(full)
	for _, p := range append(pointers, c) {
		g.ADDQ(imm(8*g.width()), p)
	}
	g.SUBQ(imm(g.width()), left)
	g.JNZ(LabelRef("vectors"))
	g.JMP(LabelRef("done"))
	g.Label("part")
	n := g.GP64()
	g.MOVQ(left, n)
	part.have = g.remaining(n)
	if !g.wide {
		part.kept = g.AllocLocal(32)
		g.store(part.have, part.kept)
	}
	body(part)
	g.Label("done")
}

// label is a label in the body.
func (v columns) label(name string) string {
	if v.part {
		return name + "OfPart"
	}
	return name
}

func (v columns) mask() mask {
	if v.wide {
		return v.have
	}
	return v.generator.load(v.kept)
}

// load loads the columns, and 0 for those that are not.
func (v columns) load(p Mem) reg.VecVirtual {
	if !v.part {
		return v.generator.load(p)
	}
	x := v.vec()
	if v.wide {
		v.VMOVUPD_Z(p, v.mask(), x)
	} else {
		v.VMASKMOVPD(p, v.mask(), x)
	}
	return x
}

// operand is load, where memory will do.
func (v columns) operand(p Mem) Op {
	if !v.part {
		return p
	}
	return v.load(p)
}

// store stores the columns.
func (v columns) store(x reg.Register, p Mem) {
	if !v.part {
		v.generator.store(x, p)
		return
	}
	v.storeMasked(x, v.mask(), p)
}

func (g *generator) panelRaiseMax() {
	g.function("panelRaiseMax", "func(c *Panel, x *float64, stride, n, cols int)",
		"is Panel.raiseMaxGo for n > 0 rows, stride doubles apart.")
	c, x, stride, n, left := g.param("c"), g.param("x"), g.param("stride"), g.param("n"), g.param("cols")
	field := g.fieldsAt(c)
	g.SHLQ(Imm(3), stride)
	g.eachVectorOf(c, left, []reg.GPVirtual{x}, func(cols columns) {
		a := g.load(field("Max"))
		b := g.copyOf(a)
		nan := g.compare(unordered, a, a)
		p, left := g.GP64(), g.GP64()
		g.MOVQ(x, p)
		g.MOVQ(n, left)
		g.loop(cols.label("pairs"), left, 2, func() {
			v, next := cols.load(Mem{Base: p}), cols.operand(Mem{Base: p, Index: stride, Scale: 1})
			g.VMAXPD(v, a, a)
			g.or(nan, g.compare(unordered, v, next))
			g.VMAXPD(next, b, b)
			g.LEAQ(Mem{Base: p, Index: stride, Scale: 2}, p)
		})
		g.TESTQ(left, left)
		g.JZ(LabelRef(cols.label("joined")))
		v := cols.load(Mem{Base: p})
		g.VMAXPD(v, a, a)
		g.or(nan, g.compare(unordered, v, v))
		g.Label(cols.label("joined"))
		g.store(g.choose(nan, g.maximum(a, b), g.loaded("nan")), field("Max"))
	})
	g.finish()
}

func (g *generator) panelSetFrames() {
	g.function("panelSetFrames", "func(c *Panel, groups int)", "is Panel.setFramesGo.")
	c, groups := g.param("c"), g.param("groups")
	field := g.fieldsAt(c)
	z := g.zero()
	g.eachVector(c, groups, nil, func() {
		shift, magic, lower := g.frame(g.load(field("Max")))
		g.store(shift, field("shift"))
		g.store(magic, field("magic"))
		g.store(lower, field("lower"))
		g.store(z, field("Count"))
		for l := range 8 {
			hi := field("Hi").Offset(g.rowBytes * l)
			g.store(z, hi)
			g.store(z, g.lowOf(hi))
		}
	})
	g.finish()
}

func (g *generator) panelJoinLanes() {
	g.function("panelJoinLanes", "func(c *Panel, groups int)", "is Panel.joinLanesGo.")
	c, groups := g.param("c"), g.param("groups")
	field := g.fieldsAt(c)
	g.eachVector(c, groups, nil, func() {
		// Depth first, to have few sums at a time.
		var tree func(l, step int) (hi, lo reg.VecVirtual)
		tree = func(l, step int) (hi, lo reg.VecVirtual) {
			if step == 8 {
				return g.load(field("Hi").Offset(g.rowBytes * l)), g.load(field("Lo").Offset(g.rowBytes * l))
			}
			ah, al := tree(l, 2*step)
			bh, bl := tree(l+step, 2*step)
			sum, rest := g.twoSum(ah, bh)
			return sum, g.add(g.add(al, bl), rest)
		}
		hi, lo := tree(0, 1)
		g.store(hi, field("Hi"))
		g.store(lo, field("Lo"))
	})
	g.finish()
}

// panelConclude: vectors wait for themselves most of the time. The processor has
// the next ones in work meanwhile, more of them if some are side by side: with
// wide vectors as many as are told, else the two of a group.
func (g *generator) panelConclude(what string, together int, conclude func(numbers.Machine[multi, []mask], numbers.Panel[multi])) {
	g.function("panelConclude"+what, "func(c *Panel, groups int)", "is Panel.conclude"+what+"Go.")
	c, groups := g.param("c"), g.param("groups")
	step := func(vectors int) func() {
		return func() {
			s := &chains{generator: g, n: vectors, panel: c}
			conclude(s, s)
			g.ADDQ(imm(8*g.width()*vectors), c)
		}
	}
	if g.wide {
		g.loop("together", groups, together, step(together))
		g.loop("groups", groups, 1, step(1))
	} else {
		g.loop("groups", groups, 1, step(2))
	}
	g.finish()
}

func (g *generator) panelLogSumExps() {
	g.function("panelLogSumExps", "func(c *Panel, dst *float64, groups int)", "is Panel.logSumExpsGo for the slices of groups > 0.")
	c, dst, groups := g.param("c"), g.param("dst"), g.param("groups")
	field := g.fieldsAt(c)
	g.eachVector(c, groups, []reg.GPVirtual{dst}, func() {
		max := g.load(field("Max"))
		sum, rest := g.twoSum(max, g.xor(g.load(field("NegLogSum")), g.constant("signMask")))
		sum = g.add(sum, g.add(rest, field("LogSumLow")))
		finite := g.compare(lessThan, g.and(max, g.constant("absMask")), g.constant("inf"))
		g.store(g.choose(finite, max, sum), Mem{Base: dst})
	})
	g.finish()
}

// panelMap is a kernel dst = f(x) with parameters for each slice, for as many
// slices at a time as are four, two or one vectors, and those that are left.
func (g *generator) panelMap(name, does string, fields []string, f func(x Op, p []Op) reg.VecVirtual) {
	g.function(name, "func(c *Panel, dst *float64, dstStride int, x *float64, stride, n, cols int)", does+" dst may be x.")
	c, dst, dstStride, x, stride, n, left := g.param("c"), g.param("dst"), g.param("dstStride"), g.param("x"), g.param("stride"), g.param("n"), g.param("cols")
	g.SHLQ(Imm(3), dstStride)
	g.SHLQ(Imm(3), stride)
	g.keep("zero")
	rows := func(label string, vectors int, load func(p Mem) reg.VecVirtual, store func(v reg.Register, p Mem)) {
		params := make([][]Op, vectors)
		for v := range params {
			for _, field := range fields {
				params[v] = append(params[v], g.load(g.field(c, field).Offset(8*g.width()*v)))
			}
		}
		from, to, rows := g.GP64(), g.GP64(), g.GP64()
		g.MOVQ(x, from)
		g.MOVQ(dst, to)
		g.MOVQ(n, rows)
		g.Label(label + "Rows")
		for v, p := range params {
			place := 8 * g.width() * v
			store(f(load(Mem{Base: from, Disp: place}), p), Mem{Base: to, Disp: place})
		}
		g.ADDQ(stride, from)
		g.ADDQ(dstStride, to)
		g.DECQ(rows)
		g.JNZ(LabelRef(label + "Rows"))
	}
	for count := 4; count > 0; count /= 2 {
		label := fmt.Sprintf("vectors%d", count)
		g.loop(label, left, g.width()*count, func() {
			rows(label, count, func(p Mem) reg.VecVirtual { return g.load(p) }, func(v reg.Register, p Mem) { g.store(v, p) })
			for _, p := range []reg.GPVirtual{c, x, dst} {
				g.ADDQ(imm(8*g.width()*count), p)
			}
		})
	}
	g.TESTQ(left, left)
	g.JZ(LabelRef("done"))
	have := g.remaining(left)
	rows("part", 1, func(p Mem) reg.VecVirtual { return g.loadMasked(p, have, g.loaded("zero")) }, func(v reg.Register, p Mem) { g.storeMasked(v, have, p) })
	g.Label("done")
	g.finish()
}
