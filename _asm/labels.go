// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The fields of a labels, in bytes.
const (
	labelsLoss    = 0
	labelsAtLabel = 512
	labelsSingle  = 1024
	labelsTied    = 1088
	labelsSumHi   = 1152
	labelsSumLo   = 1216
)

// labelKernels are columnsLabel without and with a gradient.
func labelKernels() {
	columnsLabel(false)
	columnsLabel(true)
}

func columnsLabel(gradient bool) {
	name, signature := "columnsLabel", "func(c, x *float64, stride int, target *int, l *float64, groups int)"
	doc := " is columnsLabelGo without terms, for whole groups."
	if gradient {
		name, signature = "columnsLabelGrad", "func(c, x *float64, stride int, target *int, l *float64, groups int, terms *float64, factor float64)"
		doc = " is columnsLabelGo with terms, for whole groups."
	}
	function(name, signature, name+suffix()+doc)
	c1, x, stride, target, l, groups := param("c"), param("x"), param("stride"), param("target"), param("l"), param("groups")
	pointers := []reg.GPVirtual{x, target, l}
	var terms reg.GPVirtual
	var g reg.VecVirtual
	if gradient {
		terms = param("terms")
		g = broadcast(address(Param("factor")))
		pointers = append(pointers, terms)
	}
	field := columnField(c1)
	numbers := load(NewDataAddr(Symbol{Name: "·laneNumbers"}, 0))
	distance := XMM()
	VMOVQ(stride, distance)
	rows := vec()
	VPBROADCASTQ(distance, rows)
	VPMULUDQ(numbers, rows, rows)
	// eachVector moves x on by a vector's length; its rows are further.
	step := GP64()
	MOVQ(stride, step)
	DECQ(step)
	IMUL3Q(U8(uint8(8*width())), step, step)
	begin := GP64()
	MOVQ(l, begin)
	zero, single, tied := zero(), zero(), zero()
	// Where the sum's lanes for the rows in work are.
	sum := GP64()
	MOVQ(begin, sum)
	eachVector(c1, groups, pointers, func() {
		y := load(Mem{Base: target})
		logit := gather(Mem{Base: x}, intAdd(rows, y))
		max, negLogSum := load(field(fieldMax)), load(field(fieldNegLogSum))
		loss := sub(zero, add(negLogSum, sub(logit, max)))
		loss = choose(compare(unordered, loss, loss), loss, cv("nan"))
		store(loss, Mem{Base: l, Disp: labelsLoss})
		sumHi, sumLo := Mem{Base: sum, Disp: labelsSumHi}, Mem{Base: sum, Disp: labelsSumLo}
		total, rest := twoSum(load(sumHi), loss)
		store(total, sumHi)
		store(add(rest, sumLo), sumLo)
		if !wide {
			// The other four lanes.
			other := GP64()
			LEAQ(Mem{Base: begin, Disp: 32}, other)
			CMPQ(sum, begin)
			MOVQ(begin, sum)
			CMOVQEQ(other, sum)
		}
		largest, alone := compare(equal, logit, max), compare(equal, cv("one"), field(fieldCount))
		both, other := newMask(), newMask()
		if wide {
			KANDB(alone, largest, both)
			KANDNB(largest, alone, other)
		} else {
			VANDPD(alone, largest, both)
			VANDNPD(largest, alone, other)
		}
		countUp(both, single)
		countUp(other, tied)
		if gradient {
			inverse := load(field(fieldInverse))
			p := mul(gather(Mem{Base: terms}, intAdd(shiftLeft(y, 6), numbers)), inverse)
			rest := choose(both, sub(cv("one"), p), load(field(fieldRest)))
			at := sub(zero, mul(rest, g))
			store(choose(compare(unordered, negLogSum, negLogSum), at, cv("nan")), Mem{Base: l, Disp: labelsAtLabel})
			store(mul(inverse, g), field(fieldFactor))
		}
		ADDQ(step, x)
	})
	store(single, Mem{Base: begin, Disp: labelsSingle})
	store(tied, Mem{Base: begin, Disp: labelsTied})
	finish()
}
