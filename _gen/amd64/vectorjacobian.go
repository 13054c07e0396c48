// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package amd64

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// A jacobianLoop is the kernel of vector-Jacobian products: what it has in
// registers, and what it has on the stack, a vector for each of the chains.
//
// Entries are formed as if nothing were special about them, which log-probabilities
// are not that are positive, and results that are not finite. Both are then
// formed anew, a vector after the other, with all cases that there are.
type jacobianLoop struct {
	*chains
	dst, logp, u, left reg.GPVirtual
	hi, lo             reg.GPVirtual // the sums of the entries in work
	unscales           reg.GPVirtual // exponential.unscale of them

	y, upstream, p, pLow, complement, complementLow, made []reg.VecVirtual

	rowHi, rowLo, mixed Mem
}

func (g *generator) vectorJacobian() {
	g.function("vectorJacobian", "func(dst, logp, u *float64, dstStride, stride, uStride, rows, n int, hi, lo *float64, step int, ahead *[3]int)",
		"is vectorJacobianRowsGo, or vectorJacobianColumnsGo where step is 1 and not 0, for n > 0 entries of rows > 0. ahead is nil or says where memory is to be prefetched, in bytes from the entry of dst, logp and u in work.")
	count := 1
	if g.wide {
		count = 2
		g.keep("sixteenthsPerLn2", "sixteenthHi", "sixteenthLo", "scaledMagic", "Unscale", "one", "zero", "minusFarthest")
	} else {
		g.keep("zero")
	}
	j := &jacobianLoop{chains: &chains{generator: g, n: count, tables: g.newTables()}}
	bytes := 8 * g.width() * count
	for _, at := range []*Mem{&j.rowHi, &j.rowLo, &j.mixed} {
		*at = g.AllocLocal(bytes)
	}
	for _, v := range []*[]reg.VecVirtual{&j.y, &j.upstream, &j.p, &j.pLow, &j.complement, &j.complementLow, &j.made} {
		for range count {
			*v = append(*v, g.vec())
		}
	}
	j.dst, j.logp, j.u, j.left = g.GP64(), g.GP64(), g.GP64(), g.GP64()
	j.hi, j.lo, j.unscales = g.GP64(), g.GP64(), g.GP64()

	param := func(name string) Mem { return address(g.Param(name)) }
	var words []uint64
	for range 2 * 8 {
		words = append(words, g.bits("Unscale"))
	}
	ordinary := g.table("unscales", words...)
	// How far ahead memory is prefetched, in bytes: along a row, or so many rows.
	ahead := map[string]Mem{"stride": g.AllocLocal(8), "uStride": g.AllocLocal(8), "dstStride": g.AllocLocal(8)}
	for _, name := range []string{"dstStride", "stride", "uStride"} {
		stride, along := g.GP64(), g.GP64()
		g.MOVQ(param(name), stride)
		g.SHLQ(Imm(3), stride)
		g.MOVQ(stride, param(name))
		g.SHLQ(Imm(2), stride)
		g.MOVQ(U32(farAhead), along)
		g.CMPQ(param("step"), Imm(0))
		g.CMOVQEQ(along, stride)
		g.MOVQ(stride, ahead[name])
	}
	given := g.GP64()
	g.MOVQ(param("ahead"), given)
	g.TESTQ(given, given)
	g.JZ(LabelRef("row"))
	for i, name := range []string{"dstStride", "stride", "uStride"} {
		bytes := g.GP64()
		g.MOVQ(Mem{Base: given, Disp: 8 * i}, bytes)
		g.MOVQ(bytes, ahead[name])
	}

	g.Label("row")
	g.MOVQ(param("dst"), j.dst)
	g.MOVQ(param("logp"), j.logp)
	g.MOVQ(param("u"), j.u)
	g.MOVQ(param("n"), j.left)
	g.MOVQ(param("hi"), j.hi)
	g.MOVQ(param("lo"), j.lo)
	g.CMPQ(param("step"), Imm(0))
	g.JNE(LabelRef("entries"))
	for _, s := range []struct {
		from reg.GPVirtual
		to   Mem
		name string
	}{{j.hi, j.rowHi, "hi"}, {j.lo, j.rowLo, "lo"}} {
		v := g.broadcast(Mem{Base: s.from})
		for i := range count {
			g.store(v, s.to.Offset(8*g.width()*i))
		}
		g.LEAQ(s.to, s.from)
		g.ADDQ(imm(8), param(s.name))
	}

	g.Label("entries")
	g.CMPQ(j.left, imm(g.width()*count))
	g.JLT(LabelRef("someIn"))
	for i := range count {
		g.VMOVUPD(j.at(j.logp, i), j.y[i])
		g.VMOVUPD(j.at(j.u, i), j.upstream[i])
	}
	g.Label("in")
	g.LEAQ(ordinary, j.unscales)
	positive := g.compare(lessThan, g.loaded("zero"), j.y[0])
	for _, y := range j.y[1:] {
		g.or(positive, g.compare(lessThan, g.loaded("zero"), y))
	}
	g.test(positive)
	g.JNZ(LabelRef("positive"))
	j.setExponential()
	g.Label("powers")
	sum := j.products()
	for i := range sum {
		g.VADDPD(g.loaded("zero"), sum[i], j.made[i])
	}
	// Infinite or NaN: a product may have overflowed of which the entry does not.
	rest := each2(g.sub, sum, sum)
	g.test(g.compare(unordered, rest[0], rest[count-1]))
	g.JNZ(LabelRef("special"))
	g.Label("made")
	g.CMPQ(j.left, imm(g.width()*count))
	g.JLT(LabelRef("someOut"))
	for i := range count {
		g.store(j.made[i], j.at(j.dst, i))
	}
	for _, p := range []struct {
		base   reg.GPVirtual
		stride string
	}{{j.dst, "dstStride"}, {j.logp, "stride"}, {j.u, "uStride"}} {
		bytes := g.GP64()
		g.MOVQ(ahead[p.stride], bytes)
		for i := 0; i < 8*g.width()*count; i += 64 {
			g.PREFETCHT0(Mem{Base: p.base, Index: bytes, Scale: 1, Disp: i})
		}
		g.ADDQ(imm(8*g.width()*count), p.base)
	}
	// The sums of columns go along.
	g.CMPQ(param("step"), Imm(0))
	g.JEQ(LabelRef("on"))
	g.ADDQ(imm(8*g.width()*count), j.hi)
	g.ADDQ(imm(8*g.width()*count), j.lo)
	g.Label("on")
	g.SUBQ(imm(g.width()*count), j.left)
	g.JNZ(LabelRef("entries"))

	g.Label("nextRow")
	g.nextRow("dst", "dstStride")
	g.nextRow("logp", "stride")
	g.nextRow("u", "uStride")
	g.DECQ(param("rows"))
	g.JNZ(LabelRef("row"))
	g.finish()

	g.Label("someIn")
	masks := j.some()
	for i, m := range masks {
		g.VMOVAPD(g.loadMasked(j.at(j.logp, i), m, g.loaded("zero")), j.y[i])
		g.VMOVAPD(g.loadMasked(j.at(j.u, i), m, g.loaded("zero")), j.upstream[i])
	}
	g.CMPQ(param("step"), Imm(0))
	g.JEQ(LabelRef("in"))
	for _, s := range []struct {
		from reg.GPVirtual
		to   Mem
	}{{j.hi, j.rowHi}, {j.lo, j.rowLo}} {
		for i, m := range masks {
			g.store(g.loadMasked(j.at(s.from, i), m, g.loaded("zero")), s.to.Offset(8*g.width()*i))
		}
		g.LEAQ(s.to, s.from)
	}
	g.JMP(LabelRef("in"))

	g.Label("someOut")
	for i, m := range j.some() {
		g.storeMasked(j.made[i], m, j.at(j.dst, i))
	}
	g.JMP(LabelRef("nextRow"))

	g.Label("positive")
	j.setPositive()
	g.JMP(LabelRef("powers"))

	g.Label("special")
	j.setSpecial()
	g.JMP(LabelRef("made"))
}

// at is chain i's vector at base.
func (j *jacobianLoop) at(base reg.GPVirtual, i int) Mem {
	return Mem{Base: base, Disp: 8 * j.width() * i}
}

// some are the masks of the entries that are left, less than there are lanes.
func (j *jacobianLoop) some() (masks []mask) {
	for i := range j.n {
		n := j.GP64()
		j.MOVQ(j.left, n)
		if i > 0 {
			none := j.GP64()
			j.XORQ(none, none)
			j.SUBQ(imm(j.width()*i), n)
			j.CMOVQLT(none, n)
		}
		masks = append(masks, j.remaining(n))
	}
	return masks
}

// setExponential is newExponential for y that are not positive.
func (j *jacobianLoop) setExponential() {
	base := func() multi { return j.Constant("scaledMagic") }
	floor := j.Constant("minusFarthest")
	alive := j.AtLeast(multiOf(j.y), floor)
	// The second operand is what a NaN gives.
	y := each2(j.maximum, j.all(j.loaded("minusFarthest")), multiOf(j.y))
	n := j.FMA(y, j.Constant("sixteenthsPerLn2"), base())
	end := j.constant("minusSeriesEnd")
	for i := range n {
		n[i] = j.choose(j.compare(lessThan, j.inRegister(end), y[i]), n[i], j.constant("scaledMagic"))
	}
	j.fromReduced(y, n, base(), alive, j.Constant("Unscale"), j.p, j.pLow, j.complement, j.complementLow)
}

// fromReduced is newExponential from k on; s is 0 unless y is alive.
func (j *jacobianLoop) fromReduced(y, n, base multi, alive []mask, unscale multi, p, pLow, complement, complementLow []reg.VecVirtual) {
	k := j.Sub(n, base)
	r := j.FNMA(k, j.Constant("sixteenthHi"), y)
	r = j.Diminish(r, k, j.Constant("sixteenthLo"))
	power, rest := j.LookUp(n)
	s := j.ZeroUnless(alive, j.AddInts(power, j.ShiftLeft(n, 48)))
	tail := j.NewConstant("factorial8")
	for _, name := range []string{"factorial7", "factorial6", "factorial5", "factorial4", "factorial3", "half"} {
		tail = j.Horner(tail, r, name)
	}
	part := j.Mul(s, j.Add(r, j.Accumulate(rest, tail, j.Mul(r, r))))
	for i := range s {
		j.VADDPD(part[i], s[i], p[i])
		j.VSUBPD(s[i], p[i], pLow[i])
		j.VSUBPD(pLow[i], part[i], pLow[i])
	}
	s, part = j.Mul(s, unscale), j.Mul(part, unscale)
	left := each2(j.sub, j.all(j.loaded("one")), s)
	for i := range left {
		j.VSUBPD(part[i], left[i], complement[i])
		j.VSUBPD(complement[i], left[i], complementLow[i])
		j.VSUBPD(part[i], complementLow[i], complementLow[i])
	}
}

// products is exponential.vectorJacobian, and the sum of its two words, where
// nothing is special.
func (j *jacobianLoop) products() multi {
	u, p, pLow := multiOf(j.upstream), multiOf(j.p), multiOf(j.pLow)
	var hi, lo, unscale multi
	for i := range j.n {
		hi, lo = append(hi, j.at(j.hi, i)), append(lo, j.at(j.lo, i))
		unscale = append(unscale, j.at(j.unscales, i))
	}
	others := each2(j.sub, each1(j.load, hi), u)
	product := j.Mul(p, others)
	productLow := j.FMA(pLow, others, j.FMS(p, others, product))
	productLow = j.Accumulate(productLow, p, lo)
	v := j.FMS(u, multiOf(j.complement), j.Mul(product, unscale))
	return j.Add(v, j.FMS(u, multiOf(j.complementLow), j.Mul(productLow, unscale)))
}

func multiOf(v []reg.VecVirtual) (m multi) {
	for _, x := range v {
		m = append(m, x)
	}
	return m
}

// eachChain runs body for one chain after the other. It is given the place of the
// chain's vectors in those of all; in registers it finds them in those of the
// first, which are swapped.
func (j *jacobianLoop) eachChain(label string, swapped [][]reg.VecVirtual, body func(place reg.GPVirtual)) {
	place := j.GP64()
	j.XORQ(place, place)
	j.Label(label)
	body(place)
	if j.n == 1 {
		return
	}
	for _, v := range swapped {
		first := j.copyOf(v[0])
		j.VMOVAPD(v[1], v[0])
		j.VMOVAPD(first, v[1])
	}
	j.ADDQ(imm(8*j.width()), place)
	j.CMPQ(place, imm(8*j.width()*j.n))
	j.JLT(LabelRef(label))
}

// setPositive is newExponential for any y.
func (j *jacobianLoop) setPositive() {
	results := [][]reg.VecVirtual{j.p, j.pLow, j.complement, j.complementLow}
	j.eachChain("power", append(results, j.y), func(place reg.GPVirtual) {
		j.store(j.setAny(), j.mixed.Idx(place, 1))
	})
	j.LEAQ(j.mixed, j.unscales)
}

// setAny is newExponential for any y of the first chain, and returns its unscale.
func (j *jacobianLoop) setAny() (unscale reg.VecVirtual) {
	g := j.generator
	y, p, pLow, complement, complementLow := j.y[0], j.p[0], j.pLow[0], j.complement[0], j.complementLow[0]
	above := g.compare(lessThan, g.loaded("zero"), y)
	base := g.choose(above, g.loaded("scaledMagic"), g.constant("halvedMagic"))
	unscale = g.choose(above, g.loaded("Unscale"), g.constant("two"))
	alive := g.compare(greaterEqual, y, g.constant("minusFarthest"))
	inRange := g.compare(notGreater, y, g.constant("mostExponent"))
	// The second operand is what a NaN gives.
	clamped := g.maximum(g.loaded("minusFarthest"), g.minimum(g.loaded("mostExponent"), y))
	n := g.fma(clamped, g.constant("sixteenthsPerLn2"), base)
	near := g.compare(greaterEqual, g.constant("minusSeriesEnd"), g.xor(g.and(clamped, g.constant("absMask")), g.constant("signMask")))
	n = g.choose(near, base, n)
	of := &jacobianLoop{chains: &chains{generator: g, n: 1, tables: j.tables}}
	of.fromReduced(multi{clamped}, multi{n}, multi{base}, []mask{alive}, multi{unscale}, j.p, j.pLow, j.complement, j.complementLow)
	g.VMOVAPD(g.choose(inRange, g.loaded("inf"), p), p)
	g.VMOVAPD(g.zeroUnless(inRange, pLow), pLow)
	g.VMOVAPD(g.choose(inRange, g.loaded("minusInf"), complement), complement)
	g.VMOVAPD(g.zeroUnless(inRange, complementLow), complementLow)
	return g.choose(inRange, g.loaded("one"), unscale)
}

// setSpecial is vectorJacobianEntry for any entries.
func (j *jacobianLoop) setSpecial() {
	g := j.generator
	zero := g.loaded("zero")
	isFinite := func(x Op) mask {
		rest := g.sub(x, x)
		return g.compare(equal, rest, rest)
	}
	taken := [][]reg.VecVirtual{j.p, j.pLow, j.complement, j.complementLow, j.upstream, j.made}
	j.eachChain("entry", taken, func(place reg.GPVirtual) {
		p, pLow, complement, complementLow, result := j.p[0], j.pLow[0], j.complement[0], j.complementLow[0], j.made[0]
		products := func(u, hi, lo reg.VecVirtual) (v, low reg.VecVirtual) {
			unscale := Mem{Base: j.unscales, Index: place, Scale: 1}
			others := g.sub(hi, u)
			counts := g.compare(notEqual, others, zero)
			g.or(counts, g.compare(notEqual, lo, zero))
			counts = g.both(counts, g.compare(notEqual, p, zero))
			product := g.mul(p, others)
			productLow := g.fma(p, lo, g.fma(pLow, others, g.fms(p, others, product)))
			product, productLow = g.zeroUnless(counts, product), g.zeroUnless(counts, productLow)
			own := g.compare(notEqual, u, zero)
			g.or(own, g.compare(unordered, complement, complement))
			own = g.both(own, g.compare(notEqual, complement, zero))
			u = g.zeroUnless(own, u)
			v = g.fms(u, g.zeroUnless(own, complement), g.mul(product, unscale))
			return v, g.fms(u, g.zeroUnless(own, complementLow), g.mul(productLow, unscale))
		}
		hi, lo := Mem{Base: j.hi, Index: place, Scale: 1}, Mem{Base: j.lo, Index: place, Scale: 1}
		u := j.upstream[0]
		v, low := products(u, g.load(hi), g.load(lo))
		g.VMOVAPD(g.choose(isFinite(low), v, g.add(v, low)), result)
		rest := g.sub(low, low)
		scaled := g.compare(unordered, rest, rest)
		scaled = g.both(scaled, isFinite(u))
		scaled = g.both(scaled, isFinite(g.load(hi)))
		g.test(scaled)
		g.JZ(LabelRef("unscaled"))
		down := g.loaded("jacobianDown")
		v, low = products(g.mul(u, down), g.mul(down, hi), g.mul(down, lo))
		v = g.mul(g.choose(isFinite(low), v, g.add(v, low)), g.loaded("jacobianUp"))
		g.VMOVAPD(g.choose(scaled, result, v), result)
		g.Label("unscaled")
		v = g.add(result, zero)
		g.VMOVAPD(g.choose(g.compare(unordered, v, v), v, g.loaded("nan")), result)
	})
}
