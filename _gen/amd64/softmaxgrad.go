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
	g.largeMoments()
	g.softmaxGrad()
}

// momentTerms: a vector with an entry above mostLogp, or a NaN, is formed with all
// cases that there are.
func (g *generator) momentTerms() {
	g.function("momentTerms", "func(p, terms, logp, u *float64, n int)", "is momentTermsGo for n > 0 entries.")
	p, terms, logp, u, n := g.param("p"), g.param("terms"), g.param("logp"), g.param("u"), g.param("n")
	if g.wide {
		g.keep(append([]string{"mostLogp", "scaledMagic", "minusFarthest", "Unscale", "dominant", "zero"}, termConstants...)...)
	} else {
		g.keep("zero")
	}
	m := g.one()
	m.tables = g.newTables()
	power := func(y, base reg.VecVirtual) reg.VecVirtual {
		s, q := numbers.Parts(m, multi{y}, func() multi { return multi{base} }, m.AddInts)
		return g.fma(s.only(), q.only(), s.only())
	}
	w := g.width()
	y, factor, of, v := g.vec(), g.vec(), g.vec(), g.vec()
	g.Label("vectors")
	g.CMPQ(n, imm(w))
	g.JLT(LabelRef("someIn"))
	g.VMOVUPD(Mem{Base: logp}, y)
	g.VMOVUPD(Mem{Base: u}, factor)
	g.Label("in")
	g.test(g.compare(notLessEqual, y, g.constant("mostLogp")))
	g.JNZ(LabelRef("special"))
	g.VMULPD(g.constant("Unscale"), power(g.maximum(y, g.constant("minusFarthest")), g.loaded("scaledMagic")), of)
	g.Label("powers")
	term := g.zeroUnless(g.compare(notEqual, of, g.constant("zero")), g.mul(of, factor))
	g.VMOVAPD(g.zeroUnless(g.compare(notGreater, of, g.constant("dominant")), term), v)
	g.CMPQ(n, imm(w))
	g.JLT(LabelRef("someOut"))
	g.store(of, Mem{Base: p})
	g.store(v, Mem{Base: terms})
	for _, x := range []reg.GPVirtual{p, terms, logp, u} {
		g.ADDQ(imm(8*w), x)
	}
	g.SUBQ(imm(w), n)
	g.JNZ(LabelRef("vectors"))
	g.finish()

	g.Label("someIn")
	some := g.remaining(n)
	g.VMOVAPD(g.loadMasked(Mem{Base: logp}, some, g.loaded("zero")), y)
	g.VMOVAPD(g.loadMasked(Mem{Base: u}, some, g.loaded("zero")), factor)
	g.JMP(LabelRef("in"))

	g.Label("someOut")
	some = g.remaining(n)
	g.storeMasked(of, some, Mem{Base: p})
	g.storeMasked(v, some, Mem{Base: terms})
	g.finish()

	g.Label("special")
	below := g.compare(notGreater, y, g.constant("mostLogp"))
	base := g.choose(below, g.loaded("halvedMagic"), g.constant("scaledMagic"))
	// A NaN gives the second operand, and then what it is chosen to.
	e := power(g.maximum(g.minimum(y, g.loaded("mostExponent")), g.constant("minusFarthest")), base)
	e = g.mul(e, g.choose(below, g.loaded("two"), g.constant("Unscale")))
	e = g.choose(g.compare(notGreater, y, g.constant("mostExponent")), g.loaded("inf"), e)
	g.VMOVAPD(g.choose(g.compare(unordered, y, y), e, g.constant("nan")), of)
	g.JMP(LabelRef("powers"))
}

// largeMoments: a vector without dominant entries adds nothing.
func (g *generator) largeMoments() {
	g.function("largeMoments", "func(hi, lo, p, u *float64, n, groups int)", "is largeMomentsGo for n > 0 entries of slices of groups > 0.")
	hi, lo, p, u, n, groups := g.param("hi"), g.param("lo"), g.param("p"), g.param("u"), g.param("n"), g.param("groups")
	g.keep("dominant", "zero")
	if !g.wide {
		g.SHLQ(Imm(1), groups)
	}
	g.Label("vectors")
	sum, low := g.load(Mem{Base: hi}), g.load(Mem{Base: lo})
	atP, atU, left := g.GP64(), g.GP64(), g.GP64()
	g.MOVQ(p, atP)
	g.MOVQ(u, atU)
	g.MOVQ(n, left)
	g.Label("entries")
	probability := g.load(Mem{Base: atP})
	large := g.compare(lessThan, g.loaded("dominant"), probability)
	g.test(large)
	g.JZ(LabelRef("next"))
	next, rest := g.twoSum(sum, g.zeroUnless(large, g.mul(probability, Mem{Base: atU})))
	// An infinite sum stays as it is, and so does what it lost.
	g.VMOVAPD(g.choose(large, sum, next), sum)
	g.VADDPD(g.zeroUnless(large, rest), low, low)
	g.Label("next")
	g.ADDQ(imm(g.rowBytes), atP)
	g.ADDQ(imm(g.rowBytes), atU)
	g.DECQ(left)
	g.JNZ(LabelRef("entries"))
	g.store(sum, Mem{Base: hi})
	g.store(low, Mem{Base: lo})
	for _, x := range []reg.GPVirtual{hi, lo, p, u} {
		g.ADDQ(imm(8*g.width()), x)
	}
	g.DECQ(groups)
	g.JNZ(LabelRef("vectors"))
	g.finish()
}

// softmaxGrad: the exponential of dominant entries is formed where a vector has
// one.
func (g *generator) softmaxGrad() {
	g.function("softmaxGrad", "func(dst, logp, p, u *float64, stride, rows, n int, hi, lo, large, largeLow *float64, step int)",
		"is softmaxGradRowGo, or softmaxGradColumnsGo where step is 1 and not 0, for n > 0 entries of rows > 0.")
	if g.wide {
		g.keep("zero", "one", "nan", "dominant", "sixteenthsPerLn2", "sixteenthHi", "sixteenthLo", "scaledMagic", "Unscale", "minusFarthest")
	} else {
		g.keep("zero")
	}
	w := g.width()
	param := func(name string) Mem { return address(g.Param(name)) }
	j := &jacobianLoop{chains: &chains{generator: g, n: 1, tables: g.newTables()}}
	for _, v := range []*[]reg.VecVirtual{&j.y, &j.p, &j.pLow, &j.complement, &j.complementLow} {
		*v = []reg.VecVirtual{g.vec()}
	}
	sums := []string{"hi", "lo", "large", "largeLow"}
	places := map[string]reg.GPVirtual{}
	for _, name := range sums {
		local := g.AllocLocal(8 * w)
		places[name] = g.GP64()
		g.MOVQ(param(name), places[name])
		g.CMPQ(param("step"), Imm(0))
		g.JNE(LabelRef(name + "OfColumns"))
		g.store(g.broadcast(Mem{Base: places[name]}), local)
		g.LEAQ(local, places[name])
		g.Label(name + "OfColumns")
	}
	dst, logp, p, u := g.GP64(), g.GP64(), g.GP64(), g.GP64()
	pointers := map[string]reg.GPVirtual{"dst": dst, "logp": logp, "p": p, "u": u}
	names := []string{"dst", "logp", "p", "u"}
	g.SHLQ(Imm(3), param("stride"))
	along := g.GP64()

	g.Label("row")
	left := g.GP64()
	for _, name := range names {
		g.MOVQ(param(name), pointers[name])
	}
	g.MOVQ(param("n"), left)
	g.XORQ(along, along)
	at := func(name string) Mem { return Mem{Base: places[name], Index: along, Scale: 1} }
	probability, upstream, made := g.vec(), g.vec(), g.vec()
	g.Label("entries")
	g.CMPQ(left, imm(w))
	g.JLT(LabelRef("someIn"))
	g.VMOVUPD(Mem{Base: p}, probability)
	g.VMOVUPD(Mem{Base: u}, upstream)
	g.Label("in")
	product := g.mul(probability, upstream)
	others := g.add(g.add(g.sub(g.load(at("hi")), product), at("lo")), at("large"))
	own := g.mul(upstream, g.sub(g.loaded("one"), probability))
	ordinary := g.mul(probability, g.sub(own, others))
	g.VMOVAPD(g.zeroUnless(g.compare(notEqual, probability, g.constant("zero")), ordinary), made)
	g.test(g.compare(lessThan, g.loaded("dominant"), probability))
	g.JNZ(LabelRef("dominant"))
	g.Label("entry")
	v := g.add(made, g.constant("zero"))
	v = g.choose(g.compare(unordered, v, v), v, g.constant("nan"))
	g.CMPQ(left, imm(w))
	g.JLT(LabelRef("someOut"))
	g.store(v, Mem{Base: dst})
	for _, name := range names {
		g.ADDQ(imm(8*w), pointers[name])
	}
	g.CMPQ(param("step"), Imm(0))
	g.JEQ(LabelRef("on"))
	g.ADDQ(imm(8*w), along)
	g.Label("on")
	g.SUBQ(imm(w), left)
	g.JNZ(LabelRef("entries"))
	g.Label("nextRow")
	for _, name := range names {
		g.nextRow(name, "stride")
	}
	g.DECQ(param("rows"))
	g.JNZ(LabelRef("row"))
	g.finish()

	// The sums of columns are there for whole groups.
	g.Label("someIn")
	some := g.remaining(left)
	g.VMOVAPD(g.loadMasked(Mem{Base: p}, some, g.loaded("zero")), probability)
	g.VMOVAPD(g.loadMasked(Mem{Base: u}, some, g.loaded("zero")), upstream)
	g.JMP(LabelRef("in"))

	g.Label("someOut")
	g.storeMasked(v, g.remaining(left), Mem{Base: dst})
	g.JMP(LabelRef("nextRow"))

	g.Label("dominant")
	g.CMPQ(left, imm(w))
	g.JLT(LabelRef("someLogp"))
	g.VMOVUPD(Mem{Base: logp}, j.y[0])
	g.JMP(LabelRef("complement"))
	g.Label("someLogp")
	g.VMOVAPD(g.loadMasked(Mem{Base: logp}, g.remaining(left), g.loaded("zero")), j.y[0])
	g.Label("complement")
	j.setAny()
	complement := g.add(j.complement[0], j.complementLow[0])
	own = g.zeroUnless(g.compare(notEqual, complement, g.constant("zero")), g.mul(upstream, complement))
	others = g.add(g.sub(g.load(at("large")), g.mul(probability, upstream)), at("largeLow"))
	others = g.add(g.add(others, at("lo")), at("hi"))
	gradient := g.mul(probability, g.sub(own, others))
	g.VMOVAPD(g.choose(g.compare(lessThan, g.loaded("dominant"), probability), made, gradient), made)
	g.JMP(LabelRef("entry"))
}
