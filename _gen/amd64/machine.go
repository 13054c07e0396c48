// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package amd64

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"example.org/logsoftmax/_gen/numbers"
)

// A multi is the same variable of several chains of operations side by side:
// where each waits for the one before, two take hardly longer than one.
type multi []Op

// chains is a numbers.Machine of n chains, whose vectors of a panel lie one
// behind the other, panel having been moved to them.
type chains struct {
	*generator
	n      int
	tables *tables // nil until they are wanted
	panel  reg.GPVirtual
}

var _ numbers.Machine[multi, []mask] = (*chains)(nil)

// each1, each2 and each3 apply an operation to every chain.
func each1(f func(x Op) reg.VecVirtual, x multi) multi {
	r := make(multi, len(x))
	for i := range x {
		r[i] = f(x[i])
	}
	return r
}

func each2(f func(x, y Op) reg.VecVirtual, x, y multi) multi {
	r := make(multi, len(x))
	for i := range x {
		r[i] = f(x[i], y[i])
	}
	return r
}

func each3(f func(x, y, z Op) reg.VecVirtual, x, y, z multi) multi {
	r := make(multi, len(x))
	for i := range x {
		r[i] = f(x[i], y[i], z[i])
	}
	return r
}

// all is one operand for all chains.
func (s *chains) all(x Op) multi {
	m := make(multi, s.n)
	for i := range m {
		m[i] = x
	}
	return m
}

func (s *chains) Constant(name string) multi { return s.all(s.constant(name)) }

func (s *chains) NewConstant(name string) multi {
	k := s.constant(name)
	return each1(s.copyOf, s.all(k))
}

func (s *chains) Add(x, y multi) multi     { return each2(s.add, x, y) }
func (s *chains) Sub(x, y multi) multi     { return each2(s.sub, x, y) }
func (s *chains) Mul(x, y multi) multi     { return each2(s.mul, x, y) }
func (s *chains) Div(x, y multi) multi     { return each2(s.div, x, y) }
func (s *chains) Neg(x multi) multi        { return each2(s.xor, x, s.Constant("signMask")) }
func (s *chains) Abs(x multi) multi        { return each2(s.and, x, s.Constant("absMask")) }
func (s *chains) FMA(x, y, z multi) multi  { return each3(s.fma, x, y, z) }
func (s *chains) FNMA(x, y, z multi) multi { return each3(s.fnma, x, y, z) }
func (s *chains) FMS(x, y, z multi) multi  { return each3(s.fms, x, y, z) }

func (s *chains) Accumulate(z, x, y multi) multi {
	for i := range z {
		s.VFMADD231PD(y[i], s.inRegister(x[i]), z[i])
	}
	return z
}

func (s *chains) Diminish(z, x, y multi) multi {
	for i := range z {
		s.VFNMADD231PD(y[i], s.inRegister(x[i]), z[i])
	}
	return z
}

func (s *chains) Horner(q, x multi, name string) multi {
	k := s.constant(name)
	for i := range q {
		s.VFMADD213PD(k, x[i], q[i])
	}
	return q
}

func (s *chains) AddInts(x, y multi) multi { return each2(s.intAdd, x, y) }
func (s *chains) SubInts(x, y multi) multi { return each2(s.intSub, x, y) }

func (s *chains) ShiftLeft(x multi, by int) multi {
	return each1(func(x Op) reg.VecVirtual { return s.shiftLeft(x, by) }, x)
}

func (s *chains) ShiftRight(x multi, by int) multi {
	return each1(func(x Op) reg.VecVirtual { return s.shiftRight(x, by) }, x)
}

func (s *chains) Without(x multi, name string) multi {
	return each2(s.andNot, s.all(s.loaded(name)), x)
}

func (s *chains) compares(predicate uint8, x, y multi) []mask {
	m := make([]mask, len(x))
	for i := range m {
		m[i] = s.compare(predicate, x[i], y[i])
	}
	return m
}

func (s *chains) Equal(x, y multi) []mask   { return s.compares(equal, x, y) }
func (s *chains) Less(x, y multi) []mask    { return s.compares(lessThan, x, y) }
func (s *chains) AtLeast(x, y multi) []mask { return s.compares(greaterEqual, x, y) }

func (s *chains) ZeroUnless(m []mask, x multi) multi {
	r := make(multi, len(x))
	for i := range r {
		r[i] = s.zeroUnless(m[i], x[i])
	}
	return r
}

func (s *chains) Choose(m []mask, x, y multi) multi {
	r := make(multi, len(x))
	for i := range r {
		r[i] = s.choose(m[i], x[i], y[i])
	}
	return r
}

func (s *chains) LookUp(n multi) (power, rest multi) {
	if s.tables == nil {
		s.tables = s.newTables()
	}
	for _, x := range n {
		p, r := s.lookUp(s.tables, x.(reg.VecVirtual))
		power, rest = append(power, p), append(rest, r)
	}
	return power, rest
}

// Field loads the chains' vectors of a field of the panel, SetField stores
// them.
func (s *chains) Field(name string) multi {
	return each1(s.load, s.fields(name))
}

func (s *chains) SetField(name string, x multi) {
	for i, at := range s.fields(name) {
		s.store(x[i].(reg.Register), at)
	}
}

// fields are where the chains have a field of the panel.
func (s *chains) fields(name string) multi {
	m := make(multi, s.n)
	for i := range m {
		m[i] = s.field(s.panel, name).Offset(8 * s.width() * i)
	}
	return m
}

// one is the machine of a single chain, and its only vector of x.
func (g *generator) one() *chains { return &chains{generator: g, n: 1} }

func (x multi) only() reg.VecVirtual { return x[0].(reg.VecVirtual) }

// twoSum is the function of that name.
func (g *generator) twoSum(a, b Op) (sum, rest reg.VecVirtual) {
	s, r := numbers.TwoSum(g.one(), multi{a}, multi{b})
	return s.only(), r.only()
}

// frame is the frame of a slice: newFrame, whose lanes are those of max.
func (g *generator) frame(max Op) (shift, magic, lower reg.VecVirtual) {
	s, top := numbers.Frame(g.one(), multi{max})
	return s.only(), numbers.FrameMagic(g.one(), top).only(), numbers.FrameLower(g.one(), top).only()
}

// termConstants are what addTerms wants to keep in registers.
var termConstants = []string{"sixteenthsPerLn2", "sixteenthHi", "sixteenthLo", "one", "exp2", "exp3", "exp4", "exp5", "exp6", "integerOne"}

// A laneSum is the sum of the terms of a lane: those of the blocks that are
// complete, and the low words of the one in work.
type laneSum struct{ hi, low reg.VecVirtual }

// A term is an entry on its way into a sum.
type term struct {
	y     reg.VecVirtual // the entry in its frame, used up
	other mask           // that it is not the maximum, and is added
	to    laneSum
}

// keptTerms is where terms go: nowhere where to is 0 in memory, which is looked at as
// they are there.
type keptTerms struct {
	to    Op // nil: somewhere
	store func(i int, e reg.VecVirtual)
}

// keptIn is where they go if a parameter, a pointer, is not nil.
func (g *generator) keptIn(param string, store func(i int, e reg.VecVirtual)) *keptTerms {
	return &keptTerms{address(g.Param(param)), store}
}

// addTerms is frame.parts and addParts for some entries, whose operations are
// done side by side as far as they are for different sums. The terms of all entries
// are kept, if that is not nil.
func (g *generator) addTerms(t *tables, magic Op, kept *keptTerms, entries ...term) {
	m := &chains{generator: g, n: len(entries), tables: t}
	y := make(multi, len(entries))
	for i, e := range entries {
		y[i] = e.y
	}
	base := func() multi { return m.all(magic) }
	var sums func() multi
	s, q := numbers.Parts(m, y, base, func(power, exponent multi) multi {
		// Wide, they are added up once more where they are kept.
		sums = func() multi { return m.AddInts(power, exponent) }
		if !g.wide || kept != nil && kept.to == nil {
			made := sums()
			sums = func() multi { return made }
		}
		s := make(multi, len(entries))
		for i, e := range entries {
			if g.wide {
				v := g.vec()
				g.VPADDQ_Z(exponent[i], power[i], e.other, v)
				s[i] = v
			} else {
				s[i] = g.zeroUnless(e.other, sums()[i])
			}
		}
		return s
	})
	if kept != nil {
		g.labels++
		label := fmt.Sprintf("kept%d", g.labels)
		if kept.to != nil {
			g.CMPQ(kept.to, Imm(0))
			g.JEQ(LabelRef(label))
		}
		for i, term := range sums() {
			g.VFMADD231PD(q[i], term, term)
			kept.store(i, term.(reg.VecVirtual))
		}
		g.Label(label)
	}
	for i, e := range entries {
		g.VFMADD231PD(q[i], s[i], e.to.low)
		// Of numbers of one sign, what the sum loses is known in two operations
		// once it is known which is larger.
		large, small := g.maximum(e.to.hi, s[i]), g.minimum(e.to.hi, s[i])
		g.VADDPD(s[i], e.to.hi, e.to.hi)
		g.VADDPD(g.sub(small, g.sub(e.to.hi, large)), e.to.low, e.to.low)
	}
}
