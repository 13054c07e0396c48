// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package amd64

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// width is the number of doubles in a vector.
func (g *generator) width() int {
	if g.wide {
		return 8
	}
	return 4
}

func (g *generator) vec() reg.VecVirtual {
	if g.wide {
		return g.ZMM()
	}
	return g.YMM()
}

func (g *generator) broadcast(m Op) reg.VecVirtual {
	v := g.vec()
	g.VBROADCASTSD(m, v)
	return v
}

func (g *generator) load(m Op) reg.VecVirtual {
	v := g.vec()
	g.VMOVUPD(m, v)
	return v
}

func (g *generator) store(v reg.Register, m Op) { g.VMOVUPD(v, m) }

func (g *generator) copyOf(a Op) reg.VecVirtual {
	v := g.vec()
	if _, ok := a.(Mem); ok {
		g.VMOVUPD(a, v)
	} else {
		g.VMOVAPD(a, v)
	}
	return v
}

func (g *generator) zero() reg.VecVirtual {
	v := g.vec()
	g.VXORPD(v, v, v)
	return v
}

// inRegister is a where that is a register, else a register loaded with it.
func (g *generator) inRegister(a Op) Op {
	if _, ok := a.(Mem); ok {
		return g.load(a)
	}
	return a
}

// The operations below return a new register. Only the second operand may be
// in memory.

// binary is what an instruction makes of a and b.
func (g *generator) binary(op func(...Op), a, b Op) reg.VecVirtual {
	v := g.vec()
	op(b, g.inRegister(a), v)
	return v
}

// three is an instruction that has only one form, of three operands.
func three(op func(b, a, v Op)) func(...Op) {
	return func(x ...Op) { op(x[0], x[1], x[2]) }
}

func (g *generator) add(a, b Op) reg.VecVirtual { return g.binary(g.VADDPD, a, b) }
func (g *generator) sub(a, b Op) reg.VecVirtual { return g.binary(g.VSUBPD, a, b) }
func (g *generator) mul(a, b Op) reg.VecVirtual { return g.binary(g.VMULPD, a, b) }
func (g *generator) div(a, b Op) reg.VecVirtual { return g.binary(g.VDIVPD, a, b) }

// maximum is the larger of a and b, and b where either is NaN.
func (g *generator) maximum(a, b Op) reg.VecVirtual { return g.binary(g.VMAXPD, a, b) }

// minimum is the smaller of a and b, and b where either is NaN.
func (g *generator) minimum(a, b Op) reg.VecVirtual { return g.binary(g.VMINPD, a, b) }

// fma is a·b + z.
func (g *generator) fma(a, b, z Op) reg.VecVirtual {
	v := g.copyOf(z)
	g.VFMADD231PD(b, g.inRegister(a), v)
	return v
}

// fnma is z - a·b.
func (g *generator) fnma(a, b, z Op) reg.VecVirtual {
	v := g.copyOf(z)
	g.VFNMADD231PD(b, g.inRegister(a), v)
	return v
}

// fms is a·b - z.
func (g *generator) fms(a, b, z Op) reg.VecVirtual {
	v := g.copyOf(z)
	g.VFMSUB231PD(b, g.inRegister(a), v)
	return v
}

func (g *generator) intAdd(a, b Op) reg.VecVirtual { return g.binary(g.VPADDQ, a, b) }
func (g *generator) intSub(a, b Op) reg.VecVirtual { return g.binary(g.VPSUBQ, a, b) }

func (g *generator) and(a, b Op) reg.VecVirtual {
	if g.wide {
		return g.binary(g.VPANDQ, a, b)
	}
	return g.binary(three(g.VPAND), a, b)
}

// andNot is b without the bits of a.
func (g *generator) andNot(a, b Op) reg.VecVirtual {
	if g.wide {
		return g.binary(g.VPANDNQ, a, b)
	}
	return g.binary(three(g.VPANDN), a, b)
}

func (g *generator) xor(a, b Op) reg.VecVirtual {
	if g.wide {
		return g.binary(g.VPXORQ, a, b)
	}
	return g.binary(three(g.VPXOR), a, b)
}

func (g *generator) shiftLeft(a Op, by int) reg.VecVirtual {
	v := g.vec()
	g.VPSLLQ(Imm(uint64(by)), a, v)
	return v
}

func (g *generator) shiftRight(a Op, by int) reg.VecVirtual {
	v := g.vec()
	g.VPSRLQ(Imm(uint64(by)), a, v)
	return v
}

// A mask selects lanes: a K register or, with AVX2, a vector of all ones.
type mask = reg.Register

func (g *generator) newMask() mask {
	if g.wide {
		return g.K()
	}
	return g.YMM()
}

// Predicates of compare, none of them signalling.
const (
	equal        = 0x00 // false for NaN
	unordered    = 0x03
	notEqual     = 0x04 // true for NaN
	lessThan     = 0x11 // false for NaN
	notLessEqual = 0x16 // true for NaN
	notGreater   = 0x1a // true for NaN
	greaterEqual = 0x1d // false for NaN
)

// compare is the mask of a <predicate> b.
func (g *generator) compare(predicate uint8, a, b Op) mask {
	m := g.newMask()
	g.VCMPPD(Imm(uint64(predicate)), b, g.inRegister(a), m)
	return m
}

// equalInts is the mask of the integers of a that are those of b.
func (g *generator) equalInts(a, b reg.VecVirtual) mask {
	m := g.newMask()
	g.VPCMPEQQ(b, a, m)
	return m
}

// broadcastInt is the integer n in every lane.
func (g *generator) broadcastInt(n reg.GPVirtual) reg.VecVirtual {
	v := g.vec()
	if g.wide {
		g.VPBROADCASTQ(n, v)
		return v
	}
	g.VMOVQ(n, v.AsX())
	g.VPBROADCASTQ(v.AsX(), v)
	return v
}

// or joins b into a.
func (g *generator) or(a, b mask) {
	if g.wide {
		g.KORB(a, b, a)
	} else {
		g.VORPD(a, b, a)
	}
}

// choose is b where m is set, else a.
func (g *generator) choose(m mask, a, b Op) reg.VecVirtual {
	if g.wide {
		// Not VBLENDMPD, whose result avo takes to be an operand too.
		v := g.copyOf(a)
		g.VMOVUPD(b, m, v)
		return v
	}
	v := g.vec()
	g.VBLENDVPD(m, b, g.inRegister(a), v)
	return v
}

// replace sets v to a where m is set.
func (g *generator) replace(m mask, a, v reg.VecVirtual) {
	if g.wide {
		g.VMOVAPD(a, m, v)
	} else {
		g.VBLENDVPD(m, a, v, v)
	}
}

// zeroUnless is a where m is set, else +0.
func (g *generator) zeroUnless(m mask, a Op) reg.VecVirtual {
	v := g.vec()
	if g.wide {
		g.VMOVAPD_Z(a, m, v)
	} else {
		g.VANDPD(a, m, v)
	}
	return v
}

// mulWhere is a·b where m is set, else +0.
func (g *generator) mulWhere(m mask, a, b reg.VecVirtual) reg.VecVirtual {
	if !g.wide {
		return g.zeroUnless(m, g.mul(a, b))
	}
	v := g.vec()
	g.VMULPD_Z(b, a, m, v)
	return v
}

// fmsWhere is a·b - z where m is set, else +0.
func (g *generator) fmsWhere(m mask, a, b, z reg.VecVirtual) reg.VecVirtual {
	if !g.wide {
		return g.zeroUnless(m, g.fms(a, b, z))
	}
	v := g.copyOf(z)
	g.VFMSUB231PD_Z(b, a, m, v)
	return v
}

// countUp adds 1 to the integers of n where m is set.
func (g *generator) countUp(m mask, n reg.VecVirtual) {
	if g.wide {
		g.VPADDQ(g.loaded("integerOne"), n, m, n)
	} else {
		g.VPSUBQ(m, n, n)
	}
}

// remaining returns the mask of the first n lanes, n from 1 up.
func (g *generator) remaining(n reg.GPVirtual) mask {
	m := g.newMask()
	if g.wide {
		bits := g.GP64()
		g.MOVQ(U32(0xff), bits)
		g.BZHIQ(n, bits, bits)
		g.KMOVB(bits.As32(), m)
		return m
	}
	// A window of the table that begins that many lanes before its zeros.
	i, four := g.GP64(), g.GP64()
	g.MOVQ(U32(4), four)
	g.CMPQ(n, four)
	g.MOVQ(n, i)
	g.CMOVQGT(four, i)
	g.NEGQ(i)
	masks, table := g.table("laneMasks", 1<<64-1, 1<<64-1, 1<<64-1, 1<<64-1, 0, 0, 0, 0), g.GP64()
	g.LEAQ(masks.Offset(32), table)
	g.VMOVUPD(Mem{Base: table, Index: i, Scale: 8}, m)
	return m
}

// loadMasked loads the lanes of m and takes the others from fill.
func (g *generator) loadMasked(p Mem, m mask, fill Op) reg.VecVirtual {
	if g.wide {
		v := g.copyOf(fill)
		g.VMOVUPD(p, m, v)
		return v
	}
	v := g.vec()
	g.VMASKMOVPD(p, m, v)
	return g.choose(m, fill, v)
}

func (g *generator) storeMasked(v reg.Register, m mask, p Mem) {
	if g.wide {
		g.VMOVUPD(v, m, p)
	} else {
		g.VMASKMOVPD(v, m, p)
	}
}

// gather is the doubles at base + 8·index.
func (g *generator) gather(at Mem, index reg.VecVirtual) reg.VecVirtual {
	v := g.zero()
	all := g.newMask()
	if g.wide {
		g.KXNORB(all, all, all)
	} else {
		g.VPCMPEQD(all, all, all)
	}
	at.Index, at.Scale = index, 8
	if g.wide {
		g.VGATHERQPD(at, all, v)
	} else {
		g.VGATHERQPD(all, at, v)
	}
	return v
}

// scatter stores the doubles of v at base + 8·index.
func (g *generator) scatter(v reg.VecVirtual, base reg.GPVirtual, index reg.VecVirtual) {
	if g.wide {
		all := g.newMask()
		g.KXNORB(all, all, all)
		g.VSCATTERQPD(v, all, Mem{Base: base, Index: index, Scale: 8})
		return
	}
	for half := range 2 {
		i, x := index.AsX(), v.AsX()
		if half > 0 {
			i, x = g.XMM(), g.XMM()
			g.VEXTRACTF128(Imm(1), index, i)
			g.VEXTRACTF128(Imm(1), v, x)
		}
		place := g.GP64()
		g.VMOVQ(i, place)
		g.VMOVLPD(x, Mem{Base: base, Index: place, Scale: 8})
		g.VPEXTRQ(Imm(1), i, place)
		g.VMOVHPD(x, Mem{Base: base, Index: place, Scale: 8})
	}
}
