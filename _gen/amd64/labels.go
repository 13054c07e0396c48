// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package amd64

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// labelKernels are panelLabel without and with a gradient.
func (g *generator) labelKernels() {
	g.panelLabel(false)
	g.panelLabel(true)
}

func (g *generator) panelLabel(gradient bool) {
	name, signature := "panelLabel", "func(c *Panel, x *float64, stride int, target *int, l *Labels, groups int)"
	does := "is Panel.labelGo without terms, for whole groups."
	if gradient {
		name, signature = "panelLabelGradient", "func(c *Panel, x *float64, stride int, target *int, l *Labels, groups int, terms *float64, factor float64)"
		does = "is Panel.labelGo with terms, for whole groups."
	}
	g.function(name, signature, does)
	c, x, stride, target, l, groups := g.param("c"), g.param("x"), g.param("stride"), g.param("target"), g.param("l"), g.param("groups")
	pointers := []reg.GPVirtual{x, target, l}
	var terms reg.GPVirtual
	var factor reg.VecVirtual
	if gradient {
		terms = g.param("terms")
		factor = g.broadcast(address(g.Param("factor")))
		pointers = append(pointers, terms)
	}
	field := g.fieldsAt(c)
	result := func(l reg.GPVirtual, path ...string) Mem {
		return Mem{Base: l, Disp: g.source.Offset("Labels", path...)}
	}
	numbers := g.load(g.table("laneNumbers", 0, 1, 2, 3, 4, 5, 6, 7))
	distance := g.XMM()
	g.VMOVQ(stride, distance)
	rows := g.vec()
	g.VPBROADCASTQ(distance, rows)
	g.VPMULUDQ(numbers, rows, rows)
	// eachVector moves x on by a vector's length; its rows are further.
	step := g.GP64()
	g.MOVQ(stride, step)
	g.DECQ(step)
	g.IMUL3Q(U8(uint8(8*g.width())), step, step)
	begin := g.GP64()
	g.MOVQ(l, begin)
	zero, single, tied := g.zero(), g.zero(), g.zero()
	g.eachVector(c, groups, pointers, func() {
		y := g.load(Mem{Base: target})
		logit := g.gather(Mem{Base: x}, g.intAdd(rows, y))
		max, negLogSum := g.load(field("Max")), g.load(field("NegLogSum"))
		loss := g.sub(zero, g.add(negLogSum, g.sub(logit, max)))
		loss = g.choose(g.compare(unordered, loss, loss), loss, g.loaded("nan"))
		g.store(loss, result(l, "Loss"))
		largest, alone := g.compare(equal, logit, max), g.compare(equal, g.loaded("one"), field("Count"))
		both, other := g.newMask(), g.newMask()
		if g.wide {
			g.KANDB(alone, largest, both)
			g.KANDNB(largest, alone, other)
		} else {
			g.VANDPD(alone, largest, both)
			g.VANDNPD(largest, alone, other)
		}
		g.countUp(both, single)
		g.countUp(other, tied)
		if gradient {
			inverse := g.load(field("Inverse"))
			p := g.mul(g.gather(Mem{Base: terms}, g.intAdd(g.shiftLeft(y, 6), numbers)), inverse)
			rest := g.choose(both, g.sub(g.loaded("one"), p), g.load(field("Complement")))
			at := g.sub(zero, g.mul(rest, factor))
			g.store(g.choose(g.compare(unordered, negLogSum, negLogSum), at, g.loaded("nan")), result(l, "AtLabel"))
			g.store(g.mul(inverse, factor), field("Factor"))
		}
		g.ADDQ(step, x)
	})
	g.store(single, result(begin, "Single"))
	g.store(tied, result(begin, "Tied"))
	g.finish()
}
