// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Concluding is one long chain of operations, each of which waits for the one
// before. Two chains side by side take hardly longer: a multi is the same
// variable of all of them. Where an operation has a constant, they share it.
type multi []Op

// each1, each2 and each3 apply an operation to every chain.
func each1(f func(a Op) reg.VecVirtual, a multi) multi {
	r := make(multi, len(a))
	for i := range a {
		r[i] = f(a[i])
	}
	return r
}

func each2(f func(a, b Op) reg.VecVirtual, a, b multi) multi {
	r := make(multi, len(a))
	for i := range a {
		r[i] = f(a[i], b[i])
	}
	return r
}

func each3(f func(a, b, c Op) reg.VecVirtual, a, b, c multi) multi {
	r := make(multi, len(a))
	for i := range a {
		r[i] = f(a[i], b[i], c[i])
	}
	return r
}

func (a multi) add(b multi) multi { return each2(add, a, b) }
func (a multi) sub(b multi) multi { return each2(sub, a, b) }
func (a multi) mul(b multi) multi { return each2(mul, a, b) }

// mulAdd, mulSub and negMulAdd are a·b+z, a·b-z and z-a·b.
func (a multi) mulAdd(b, z multi) multi    { return each3(fma, a, b, z) }
func (a multi) mulSub(b, z multi) multi    { return each3(fms, a, b, z) }
func (a multi) negMulAdd(b, z multi) multi { return each3(fnma, a, b, z) }

// horner turns q into q·r + z.
func (q multi) horner(r, z multi) {
	for i := range q {
		VFMADD213PD(z[i], r[i], q[i])
	}
}

// chains makes the operations on so many vectors at once, whose columns begin
// at c.
type chains struct {
	n     int
	c     reg.GPVirtual
	local Mem
}

// constant is one operand for all chains.
func (s *chains) constant(name string) multi {
	k := c(name)
	m := make(multi, s.n)
	for i := range m {
		m[i] = k
	}
	return m
}

// field is the chains' vectors of a field of columns, in memory.
func (s *chains) field(f int) multi {
	m := make(multi, s.n)
	for i := range m {
		m[i] = Mem{Base: s.c, Disp: fieldBytes*f + 8*width()*i}
	}
	return m
}

// load brings what is in memory into registers.
func (a multi) load() multi { return each1(func(a Op) reg.VecVirtual { return load(a) }, a) }

// put stores a to memory.
func (a multi) put(m multi) {
	for i := range a {
		store(a[i].(reg.Register), m[i])
	}
}

// spill keeps a in slot i of the stack for later.
func (s *chains) spill(i int, a multi) multi {
	m := make(multi, s.n)
	for k := range m {
		m[k] = s.local.Offset(8 * width() * (i*s.n + k))
	}
	a.put(m)
	return m
}

func (s *chains) twoSum(a, b multi) (sum, rest multi) {
	sum = a.add(b)
	z := sum.sub(a)
	return sum, a.sub(sum.sub(z)).add(b.inRegisters().sub(z))
}

// inRegisters is a with what is in memory in registers, where an operation can have
// its first operand only there.
func (a multi) inRegisters() multi {
	return each1(func(a Op) reg.VecVirtual {
		if v, ok := a.(reg.VecVirtual); ok {
			return v
		}
		return load(a)
	}, a)
}

func (s *chains) fastTwoSum(a, b multi) (sum, rest multi) {
	sum = a.add(b)
	return sum, b.inRegisters().sub(sum.sub(a))
}

// finite is the mask of the finite numbers of a.
func (s *chains) finite(a multi) []mask {
	m := make([]mask, s.n)
	magnitude, inf := each2(and, a, s.constant("absMask")), s.constant("inf")
	for i := range m {
		m[i] = compare(lessThan, magnitude[i], inf[i])
	}
	return m
}

// top is frame.top for the maxima in work.
func (s *chains) top() multi {
	max := s.field(fieldMax).load()
	finite := s.finite(max)
	for i := range max {
		max[i] = zeroUnless(finite[i], max[i].(reg.VecVirtual))
	}
	magnitude, from := each2(and, max, s.constant("absMask")), s.constant("shiftFrom")
	top := make(multi, s.n)
	for i := range top {
		far := compare(greaterEqual, magnitude[i], from[i])
		top[i] = sub(max[i], zeroUnless(far, max[i].(reg.VecVirtual)))
	}
	return top
}

// expPair is the function of that name, for a zLow of 0.
func (s *chains) expPair(z, base multi) (hi, lo multi) {
	n := z.mulAdd(s.constant("sixteenthsPerLn2"), base)
	k := n.sub(base)
	r := k.negMulAdd(s.constant("sixteenthHi"), z)
	zero := zero()
	none := make(multi, s.n)
	for i := range none {
		none[i] = zero
	}
	low := k.negMulAdd(s.constant("sixteenthLo"), none)
	sum := r.add(low)
	power, rest := make(multi, s.n), make(multi, s.n)
	t := newTables()
	for i := range n {
		power[i], rest[i] = t.lookUp(n[i].(reg.VecVirtual))
	}
	power = each2(intAdd, power, each1(func(a Op) reg.VecVirtual { return shiftLeft(a, 48) }, n))
	q := each1(func(a Op) reg.VecVirtual { return copyOf(a) }, s.constant("exp6"))
	for _, name := range []string{"exp5", "exp4", "exp3", "exp2"} {
		q.horner(sum, s.constant(name))
	}
	low = q.mulAdd(sum.mul(sum), low.add(rest))
	q, qLow := s.fastTwoSum(r, low)
	p := power.mul(q)
	pLow := power.mulAdd(qLow, power.mulSub(q, p))
	hi, lo = s.fastTwoSum(power, p)
	return hi, lo.add(pLow)
}

// quotient is the function of that name; low is nil where it is not wanted.
func quotient(a, aLow, b, bLow, reciprocal multi, wantLow bool) (q, low multi) {
	q = a.inRegisters().mul(reciprocal)
	r := q.negMulAdd(b, a)
	r = r.add(q.negMulAdd(bLow, aLow))
	hi := r.mulAdd(reciprocal, q)
	if wantLow {
		low = r.mulAdd(reciprocal, q.sub(hi))
	}
	return hi, low
}

// The slots of the stack.
const (
	slotG = iota
	slotGLow
	slotTail
	slotTailLow
	slotSum
	slotSumLow
	slots
)

// conclude is newPartial and partial.conclude, or without all only
// partial.negLogSum.
func (s *chains) conclude(all bool) {
	top := s.top()
	magic := top.mulAdd(s.constant("sixteenthsPerLn2"), s.constant("magic"))
	base := each2(andNot, each1(func(Op) reg.VecVirtual { return cv("low4") }, magic), magic)
	g, gLow := s.expPair(each2(xor, top, s.constant("signMask")), base)
	hi, lo := s.field(fieldHi).load(), s.field(fieldLo).load()
	u := hi.mul(g)
	uLow := hi.mulSub(g, u)
	uLow = uLow.add(hi.mulAdd(gLow, lo.mul(g)))
	u, uLow = s.fastTwoSum(u, uLow)
	if all {
		g, gLow = s.spill(slotG, g), s.spill(slotGLow, gLow)
	}

	unscale := s.constant("unscale")
	tail, tailLow := u.mul(unscale), uLow.mul(unscale)
	count := s.field(fieldCount).load()
	u, uLow = s.twoSum(count.sub(s.constant("one")), tail)
	uLow = uLow.add(tailLow)
	sum, sumLow := s.twoSum(s.constant("one").inRegisters(), u)
	sumLow = sumLow.add(uLow)
	l := s.newLogarithm(sum, sumLow, u, uLow)
	if all {
		sum, sumLow = s.spill(slotSum, sum), s.spill(slotSumLow, sumLow)
		tail, tailLow = s.spill(slotTail, tail), s.spill(slotTailLow, tailLow)
	}

	finite := s.finite(s.field(fieldMax).load())
	nan := s.constant("nan")
	put := func(a multi, f int) {
		to := s.field(f)
		for i := range a {
			store(choose(finite[i], nan[i], a[i]), to[i])
		}
	}
	logSum, logSumLow := s.logarithm(l)
	put(each2(xor, logSum, s.constant("signMask")), fieldNegLogSum)
	put(logSumLow, fieldLogSumLow)
	if all {
		reciprocal := each2(div, s.constant("one").inRegisters(), sum)
		rest, _ := quotient(tail, tailLow, sum, sumLow, reciprocal, false)
		put(rest, fieldRest)
		inverse, inverseLow := quotient(g, gLow, sum, sumLow, reciprocal, true)
		put(inverse.mul(s.constant("unscale")), fieldInverse)
		put(inverseLow.mul(s.constant("unscale")), fieldInverseLow)
	}
}

// logarithm is the type of that name.
type logarithm struct{ k, f, fLow, d, dLow multi }

// newLogarithm is the function of that name, for sum+rest = 1+u+uLow.
func (s *chains) newLogarithm(sum, rest, u, uLow multi) logarithm {
	exponent := each1(func(a Op) reg.VecVirtual { return shiftRight(a, 52) }, each2(intSub, sum, s.constant("sqrtHalf")))
	two52 := s.constant("two52")
	k := each2(intAdd, exponent, two52).sub(two52)
	power := each1(func(a Op) reg.VecVirtual { return shiftLeft(a, 52) }, each2(intSub, s.constant("bias").inRegisters(), exponent))
	f := sum.mulAdd(power, s.constant("minusOne").inRegisters())
	fLow := rest.mul(power)
	zero := zero()
	for i := range f {
		small := compare(equal, k[i], zero)
		f[i], fLow[i] = choose(small, f[i], u[i]), choose(small, fLow[i], uLow[i])
	}
	two := s.constant("two")
	d := f.add(two)
	dLow := f.sub(d.sub(two)).add(fLow)
	return logarithm{k, f, fLow, d, dLow}
}

// logarithm is logarithm.value.
func (s *chains) logarithm(l logarithm) (hi, lo multi) {
	reciprocal := each2(div, s.constant("one").inRegisters(), l.d)
	f2 := l.f.add(l.f)
	w := f2.mul(reciprocal)
	wLow := w.negMulAdd(l.d, f2)
	fLow2 := l.fLow.add(l.fLow)
	wLow = wLow.add(w.negMulAdd(l.dLow, fLow2)).mul(reciprocal)

	t := w.mul(w)
	p := each1(func(a Op) reg.VecVirtual { return copyOf(a) }, s.constant("log15"))
	for i := 13; i >= 3; i -= 2 {
		p.horner(t, s.constant(fmt.Sprintf("log%d", i)))
	}
	low := t.mul(w).mulAdd(p, wLow)
	hi, lo = s.fastTwoSum(l.k.mul(s.constant("ln2Hi")), w)
	low = l.k.mulAdd(s.constant("ln2Lo"), low)
	return s.fastTwoSum(hi, lo.add(low))
}

func columnsConclude(all bool) {
	name := "columnsLog"
	if all {
		name = "columnsConclude"
	}
	function(name, "func(c *float64, groups int)", name+suffix()+" is "+name+"Go.")
	p, vectors := param("c"), param("groups")
	s := &chains{c: p}
	if all {
		s.local = AllocLocal(2 * 8 * width() * slots)
	}
	if !wide {
		SHLQ(Imm(1), vectors)
	}
	step := func(n int) func() {
		return func() {
			s.n = n
			s.conclude(all)
			ADDQ(imm(8*width()*n), p)
		}
	}
	if wide {
		loop("pairs", vectors, 2, step(2))
	}
	loop("vectors", vectors, 1, step(1))
	finish()
}
