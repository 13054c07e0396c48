// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package amd64

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"example.org/logsoftmax/_gen/numbers"
)

func (g *generator) softmaxGradKernels() {
	g.momentTerms()
	g.softmaxGrad(false)
	g.softmaxGrad(true)
}

func (g *generator) momentTerms() {
	g.function("momentTerms", "func(p, terms, logp, u *float64, n int) int",
		"is momentTermsGo for n > 0 entries. It returns how many it did: all, or those before a vector that has a special entry, a NaN or one above mostLogp.")
	p, terms, logp, u, n := g.param("p"), g.param("terms"), g.param("logp"), g.param("u"), g.param("n")
	if g.wide {
		g.keep(append([]string{"mostLogp", "scaledMagic", "minusFarthest", "Unscale", "dominant", "zero"}, termConstants...)...)
	} else {
		g.keep("zero")
	}
	t := g.newTables()
	total := g.GP64()
	g.MOVQ(n, total)
	of := func(y, u reg.VecVirtual) (p, term reg.VecVirtual) {
		special := g.compare(notLessEqual, y, g.constant("mostLogp"))
		g.test(special)
		g.JNZ(LabelRef("stop"))
		m := g.one()
		m.tables = t
		s, q := numbers.Parts(m, multi{g.maximum(y, g.constant("minusFarthest"))}, func() multi { return m.Constant("scaledMagic") }, m.AddInts)
		p = g.mul(g.fma(s.only(), q.only(), s.only()), g.constant("Unscale"))
		term = g.zeroUnless(g.compare(notEqual, p, g.constant("zero")), g.mul(p, u))
		return p, g.zeroUnless(g.compare(notGreater, p, g.constant("dominant")), term)
	}
	w := g.width()
	g.loop("vectors", n, w, func() {
		v, term := of(g.load(Mem{Base: logp}), g.load(Mem{Base: u}))
		g.store(v, Mem{Base: p})
		g.store(term, Mem{Base: terms})
		for _, x := range []reg.GPVirtual{p, terms, logp, u} {
			g.ADDQ(imm(8*w), x)
		}
	})
	g.TESTQ(n, n)
	g.JZ(LabelRef("stop"))
	m := g.remaining(n)
	v, term := of(g.loadMasked(Mem{Base: logp}, m, g.loaded("zero")), g.loadMasked(Mem{Base: u}, m, g.loaded("zero")))
	g.storeMasked(v, m, Mem{Base: p})
	g.storeMasked(term, m, Mem{Base: terms})
	g.XORQ(n, n)
	g.Label("stop")
	g.SUBQ(n, total)
	g.MOVQ(total, address(g.ReturnIndex(0)))
	g.finish()
}

func (g *generator) softmaxGrad(byColumn bool) {
	name, signature := "softmaxGrad", "func(dst, p, u *float64, n int, hi, lo, large float64)"
	if byColumn {
		name, signature = "columnsSoftmaxGrad", "func(dst, p, u, hi, lo, large *float64, n int)"
	}
	g.function(name, signature, "is "+name+"Go for n > 0 entries.")
	dst, n := g.param("dst"), g.param("n")
	from := []Mem{{Base: g.param("p")}, {Base: g.param("u")}}
	var sums []reg.VecVirtual
	for _, name := range []string{"hi", "lo", "large"} {
		if byColumn {
			from = append(from, Mem{Base: g.param(name)})
		} else {
			sums = append(sums, g.broadcast(address(g.Param(name))))
		}
	}
	g.keep("zero", "one", "nan")
	g.eachEntry(dst, n, from, func(of []reg.VecVirtual) reg.VecVirtual {
		of = append(of, sums...)
		p, u, hi, lo, large := of[0], of[1], of[2], of[3], of[4]
		others := g.add(g.add(g.sub(hi, g.mul(p, u)), lo), large)
		own := g.mul(u, g.sub(g.loaded("one"), p))
		v := g.add(g.mul(p, g.sub(own, others)), g.constant("zero"))
		v = g.choose(g.compare(unordered, v, v), v, g.constant("nan"))
		return g.zeroUnless(g.compare(notEqual, p, g.constant("zero")), v)
	})
	g.finish()
}

// eachEntry sets n entries of dst to a function of those of others.
func (g *generator) eachEntry(dst, n reg.GPVirtual, from []Mem, f func(of []reg.VecVirtual) reg.VecVirtual) {
	read := func(load func(m Mem) reg.VecVirtual) (of []reg.VecVirtual) {
		for _, m := range from {
			of = append(of, load(m))
		}
		return of
	}
	g.loop("vectors", n, g.width(), func() {
		g.store(f(read(func(m Mem) reg.VecVirtual { return g.load(m) })), Mem{Base: dst})
		g.ADDQ(imm(8*g.width()), dst)
		for _, m := range from {
			g.ADDQ(imm(8*g.width()), m.Base)
		}
	})
	g.TESTQ(n, n)
	g.JZ(LabelRef("end"))
	m := g.remaining(n)
	g.storeMasked(f(read(func(from Mem) reg.VecVirtual { return g.loadMasked(from, m, g.loaded("zero")) })), m, Mem{Base: dst})
	g.Label("end")
}
