// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package amd64

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// labelKernels are columnsLabel without and with a gradient.
func (g *generator) labelKernels() {
	g.columnsLabel(false)
	g.columnsLabel(true)
}

func (g *generator) columnsLabel(gradient bool) {
	name, signature := "columnsLabel", "func(c, x *float64, stride int, target *int, l *float64, groups int)"
	doc := " is columnsLabelGo without terms, for whole groups."
	if gradient {
		name, signature = "columnsLabelGrad", "func(c, x *float64, stride int, target *int, l *float64, groups int, terms *float64, factor float64)"
		doc = " is columnsLabelGo with terms, for whole groups."
	}
	g.function(name, signature, name+g.suffix()+doc)
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
	// Where the sum's lanes for the rows in work are.
	sum := g.GP64()
	g.MOVQ(begin, sum)
	g.eachVector(c, groups, pointers, func() {
		y := g.load(Mem{Base: target})
		logit := g.gather(Mem{Base: x}, g.intAdd(rows, y))
		max, negLogSum := g.load(field("Max")), g.load(field("NegLogSum"))
		loss := g.sub(zero, g.add(negLogSum, g.sub(logit, max)))
		loss = g.choose(g.compare(unordered, loss, loss), loss, g.loaded("nan"))
		g.store(loss, result(l, "Loss"))
		sumHi, sumLo := result(sum, "Sum", "Hi"), result(sum, "Sum", "Lo")
		total, rest := g.twoSum(g.load(sumHi), loss)
		g.store(total, sumHi)
		g.store(g.add(rest, sumLo), sumLo)
		if !g.wide {
			// The other four lanes.
			other := g.GP64()
			g.LEAQ(Mem{Base: begin, Disp: 32}, other)
			g.CMPQ(sum, begin)
			g.MOVQ(begin, sum)
			g.CMOVQEQ(other, sum)
		}
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
