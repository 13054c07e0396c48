// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package amd64

import (
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
