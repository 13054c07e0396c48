// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// wide is AVX-512: vectors of eight doubles and masks in K registers. Else
// they are of four, and a mask is a vector.
var wide bool

// width is the number of doubles in a vector.
func width() int {
	if wide {
		return 8
	}
	return 4
}

// suffix ends the kernels' names.
func suffix() string {
	if wide {
		return "AVX512"
	}
	return "AVX2"
}

func vec() reg.VecVirtual {
	if wide {
		return ZMM()
	}
	return YMM()
}

// constants are those of kernelConstants in kernel_amd64.go, in its order,
// each four times over.
var constants = []string{
	"sixteenthsPerLn2", "sixteenthHi", "sixteenthLo",
	"exp2", "exp3", "exp4", "exp5", "exp6",
	"log3", "log5", "log7", "log9", "log11", "log13", "log15",
	"ln2Hi", "ln2Lo",
	"one", "two", "unscale", "inf", "minusInf", "nan",
	"shiftFrom", "farthest", "magic", "frameMagic", "two52",
	"absMask", "signMask", "low4", "sqrtHalf", "integerOne", "bias", "minusOne", "largestTerm",
	"minusFarthest", "scaledMagic", "minusFifty",
	"low4Pairs", "minusSeriesEnd",
	"half", "factorial3", "factorial4", "factorial5", "factorial6", "factorial7", "factorial8",
}

// resident are the constants that the kernel in work keeps in registers.
var resident map[string]reg.VecVirtual

// keep loads constants into registers for the rest of the kernel.
func keep(names ...string) {
	resident = map[string]reg.VecVirtual{}
	for _, name := range names {
		resident[name] = broadcast(constantMem(name))
	}
}

func constantMem(name string) Mem {
	for i, c := range constants {
		if c == name {
			return NewDataAddr(Symbol{Name: "·kernelConstants"}, 32*i)
		}
	}
	panic("no constant " + name)
}

// c is a constant as an operand: its register if it has one, else memory
// where an operand may be, else a fresh register.
func c(name string) Op {
	if r, ok := resident[name]; ok {
		return r
	}
	if wide {
		return broadcast(constantMem(name))
	}
	return constantMem(name)
}

// cv is a constant in a register.
func cv(name string) reg.VecVirtual {
	if r, ok := resident[name]; ok {
		return r
	}
	return broadcast(constantMem(name))
}

func broadcast(m Op) reg.VecVirtual {
	v := vec()
	VBROADCASTSD(m, v)
	return v
}

func load(m Op) reg.VecVirtual {
	v := vec()
	VMOVUPD(m, v)
	return v
}

func store(v reg.Register, m Op) { VMOVUPD(v, m) }

func copyOf(a Op) reg.VecVirtual {
	v := vec()
	if _, ok := a.(Mem); ok {
		VMOVUPD(a, v)
	} else {
		VMOVAPD(a, v)
	}
	return v
}

func zero() reg.VecVirtual {
	v := vec()
	VXORPD(v, v, v)
	return v
}

// inRegister is a where that is a register, else a register loaded with it.
func inRegister(a Op) Op {
	if _, ok := a.(Mem); ok {
		return load(a)
	}
	return a
}

// The operations below return a new register. Only the second operand may be
// in memory.

func add(a, b Op) reg.VecVirtual { v := vec(); VADDPD(b, inRegister(a), v); return v }
func sub(a, b Op) reg.VecVirtual { v := vec(); VSUBPD(b, inRegister(a), v); return v }
func mul(a, b Op) reg.VecVirtual { v := vec(); VMULPD(b, inRegister(a), v); return v }
func div(a, b Op) reg.VecVirtual { v := vec(); VDIVPD(b, inRegister(a), v); return v }

// maximum is the larger of a and b, and b where either is NaN.
func maximum(a, b Op) reg.VecVirtual { v := vec(); VMAXPD(b, inRegister(a), v); return v }

// minimum is the smaller of a and b, and b where either is NaN.
func minimum(a, b Op) reg.VecVirtual { v := vec(); VMINPD(b, inRegister(a), v); return v }

// fma is a·b + z.
func fma(a, b, z Op) reg.VecVirtual {
	v := copyOf(z)
	VFMADD231PD(b, inRegister(a), v)
	return v
}

// fnma is z - a·b.
func fnma(a, b, z Op) reg.VecVirtual {
	v := copyOf(z)
	VFNMADD231PD(b, inRegister(a), v)
	return v
}

// fms is a·b - z.
func fms(a, b, z Op) reg.VecVirtual {
	v := copyOf(z)
	VFMSUB231PD(b, inRegister(a), v)
	return v
}

// horner turns q into q·r + z.
func horner(q, r reg.VecVirtual, z Op) { VFMADD213PD(z, r, q) }

func intAdd(a, b Op) reg.VecVirtual { v := vec(); VPADDQ(b, inRegister(a), v); return v }
func intSub(a, b Op) reg.VecVirtual { v := vec(); VPSUBQ(b, inRegister(a), v); return v }

func and(a, b Op) reg.VecVirtual {
	v := vec()
	if wide {
		VPANDQ(b, inRegister(a), v)
	} else {
		VPAND(b, inRegister(a), v)
	}
	return v
}

// andNot is b without the bits of a.
func andNot(a, b Op) reg.VecVirtual {
	v := vec()
	if wide {
		VPANDNQ(b, inRegister(a), v)
	} else {
		VPANDN(b, inRegister(a), v)
	}
	return v
}

func xor(a, b Op) reg.VecVirtual {
	v := vec()
	if wide {
		VPXORQ(b, inRegister(a), v)
	} else {
		VPXOR(b, inRegister(a), v)
	}
	return v
}

func shiftLeft(a Op, n uint8) reg.VecVirtual  { v := vec(); VPSLLQ(Imm(uint64(n)), a, v); return v }
func shiftRight(a Op, n uint8) reg.VecVirtual { v := vec(); VPSRLQ(Imm(uint64(n)), a, v); return v }

// A mask selects lanes: a K register or, with AVX2, a vector of all ones.
type mask = reg.Register

func newMask() mask {
	if wide {
		return K()
	}
	return YMM()
}

// Predicates of compare, none of them signalling.
const (
	equal        = 0x00 // false for NaN
	unordered    = 0x03
	notEqual     = 0x04 // true for NaN
	lessThan     = 0x11 // false for NaN
	notLessEqual = 0x16 // true for NaN
	greaterEqual = 0x1d // false for NaN
)

// compare is the mask of a <predicate> b.
func compare(predicate uint8, a, b Op) mask {
	m := newMask()
	VCMPPD(Imm(uint64(predicate)), b, inRegister(a), m)
	return m
}

// or joins b into a.
func or(a, b mask) {
	if wide {
		KORB(a, b, a)
	} else {
		VORPD(a, b, a)
	}
}

// choose is b where m is set, else a.
func choose(m mask, a, b Op) reg.VecVirtual {
	if wide {
		// Not VBLENDMPD, whose result avo takes to be an operand too.
		v := copyOf(a)
		VMOVUPD(b, m, v)
		return v
	}
	v := vec()
	VBLENDVPD(m, b, inRegister(a), v)
	return v
}

// zeroUnless is a where m is set, else +0.
func zeroUnless(m mask, a reg.VecVirtual) reg.VecVirtual {
	v := vec()
	if wide {
		VMOVAPD_Z(a, m, v)
	} else {
		VANDPD(a, m, v)
	}
	return v
}

// countUp adds 1 to the integers of n where m is set.
func countUp(m mask, n reg.VecVirtual) {
	if wide {
		VPADDQ(cv("integerOne"), n, m, n)
	} else {
		VPSUBQ(m, n, n)
	}
}

// remaining returns the mask of the first n lanes, n from 1 up.
func remaining(n reg.GPVirtual) mask {
	m := newMask()
	if wide {
		bits := GP64()
		MOVQ(U32(0xff), bits)
		BZHIQ(n, bits, bits)
		KMOVB(bits.As32(), m)
		return m
	}
	// A window of the table that begins that many lanes before its zeros.
	i, four := GP64(), GP64()
	MOVQ(U32(4), four)
	CMPQ(n, four)
	MOVQ(n, i)
	CMOVQGT(four, i)
	NEGQ(i)
	table := GP64()
	LEAQ(NewDataAddr(Symbol{Name: "·laneMasks"}, 32), table)
	VMOVUPD(Mem{Base: table, Index: i, Scale: 8}, m)
	return m
}

// loadMasked loads the lanes of m and takes the others from fill.
func loadMasked(p Mem, m mask, fill Op) reg.VecVirtual {
	if wide {
		v := copyOf(fill)
		VMOVUPD(p, m, v)
		return v
	}
	v := vec()
	VMASKMOVPD(p, m, v)
	return choose(m, fill, v)
}

func storeMasked(v reg.Register, m mask, p Mem) {
	if wide {
		VMOVUPD(v, m, p)
	} else {
		VMASKMOVPD(v, m, p)
	}
}

// gather is the doubles at base + 8·index.
func gather(at Mem, index reg.VecVirtual) reg.VecVirtual {
	v := zero()
	all := newMask()
	if wide {
		KXNORB(all, all, all)
	} else {
		VPCMPEQD(all, all, all)
	}
	at.Index, at.Scale = index, 8
	if wide {
		VGATHERQPD(at, all, v)
	} else {
		VGATHERQPD(all, at, v)
	}
	return v
}

// tables are 2^(i/16) and what rounding it lost, as they are looked up: in
// registers, or at an address as pairs.
type tables struct {
	power, rest [2]reg.VecVirtual
	pairs       reg.GPVirtual
}

func newTables() *tables {
	t := &tables{}
	if !wide {
		t.pairs = GP64()
		LEAQ(NewDataAddr(Symbol{Name: "·kernelPairs"}, 0), t.pairs)
		return t
	}
	base := GP64()
	LEAQ(NewDataAddr(Symbol{Name: "·kernelTables"}, 0), base)
	for i := range 2 {
		t.power[i] = load(Mem{Base: base, Disp: 64 * i})
		t.rest[i] = load(Mem{Base: base, Disp: 128 + 64*i})
	}
	return t
}

// lookUp is the entries of both tables for the low four bits of n. Four loads
// of pairs take less time than two gathers.
func (t *tables) lookUp(n reg.VecVirtual) (power, rest reg.VecVirtual) {
	if wide {
		power, rest = copyOf(n), copyOf(n)
		VPERMI2PD(t.power[1], t.power[0], power)
		VPERMI2PD(t.rest[1], t.rest[0], rest)
		return power, rest
	}
	// The places of the pairs, in bytes.
	places := and(shiftLeft(n, 4), c("low4Pairs"))
	upper := XMM()
	VEXTRACTI128(Imm(1), places, upper)
	pair := func(x reg.Register, lane int) Mem {
		place := GP64()
		if lane == 0 {
			VMOVQ(x, place)
		} else {
			VPEXTRQ(Imm(1), x, place)
		}
		return Mem{Base: t.pairs, Index: place, Scale: 1}
	}
	var half [2]reg.VecVirtual
	for lane := range half {
		v := YMM()
		VBROADCASTF128(pair(places.AsX(), lane), v)
		VINSERTF128(Imm(1), pair(upper, lane), v, v)
		half[lane] = v
	}
	power, rest = vec(), vec()
	VUNPCKLPD(half[1], half[0], power)
	VUNPCKHPD(half[1], half[0], rest)
	return power, rest
}

// expConstants are what parts wants to keep in registers.
var expConstants = []string{"sixteenthsPerLn2", "sixteenthHi", "sixteenthLo", "one", "exp2", "exp3", "exp4", "exp5", "exp6", "integerOne"}

// reduce is what frame.parts begins with: n and r, which takes the place of y.
func reduce(y reg.VecVirtual, base Op) (n, r reg.VecVirtual) {
	n = fma(y, c("sixteenthsPerLn2"), base)
	k := sub(n, base)
	VFNMADD231PD(c("sixteenthHi"), k, y)
	VFNMADD231PD(c("sixteenthLo"), k, y)
	return n, y
}

// expTail is the function of that name.
func expTail(r reg.VecVirtual) reg.VecVirtual {
	q := copyOf(c("exp6"))
	for _, name := range []string{"exp5", "exp4", "exp3", "exp2"} {
		horner(q, r, c(name))
	}
	return q
}

// A laneSum is the sum of the terms of a lane: those of the blocks that are
// complete, and the low words of the one in work.
type laneSum struct{ hi, low reg.VecVirtual }

// A term is an entry on its way into a sum.
type term struct {
	y     reg.VecVirtual // the entry in its frame, used up
	other mask           // that it is not the maximum, and is added
	to    laneSum
}

// addTerms is frame.parts and addParts for some entries, whose operations are
// done side by side as far as they are for different sums. It calls put, if not
// nil, with the terms of all entries. ordered says that no entry is larger than
// its sum.
func addTerms(t *tables, base Op, ordered bool, put func(i int, e reg.VecVirtual), entries ...term) {
	n := len(entries)
	k, power, rest, s, q := make([]reg.VecVirtual, n), make([]reg.VecVirtual, n), make([]reg.VecVirtual, n), make([]reg.VecVirtual, n), make([]reg.VecVirtual, n)
	each := func(f func(i int)) {
		for i := range n {
			f(i)
		}
	}
	r := func(i int) reg.VecVirtual { return entries[i].y }
	each(func(i int) { k[i] = fma(r(i), c("sixteenthsPerLn2"), base) })
	each(func(i int) { q[i] = sub(k[i], base) })
	each(func(i int) { VFNMADD231PD(c("sixteenthHi"), q[i], r(i)) })
	each(func(i int) { VFNMADD231PD(c("sixteenthLo"), q[i], r(i)) })
	each(func(i int) { power[i], rest[i] = t.lookUp(k[i]) })
	each(func(i int) { VPSLLQ(Imm(48), k[i], k[i]) })
	each(func(i int) {
		switch {
		case put != nil:
			VPADDQ(k[i], power[i], power[i])
			s[i] = zeroUnless(entries[i].other, power[i])
		case wide:
			s[i] = vec()
			VPADDQ_Z(k[i], power[i], entries[i].other, s[i])
		default:
			s[i] = zeroUnless(entries[i].other, intAdd(power[i], k[i]))
		}
	})
	each(func(i int) { q[i] = copyOf(c("exp6")) })
	for _, name := range []string{"exp5", "exp4", "exp3", "exp2", "one"} {
		each(func(i int) { horner(q[i], r(i), c(name)) })
	}
	each(func(i int) { VFMADD213PD(rest[i], r(i), q[i]) })
	if put != nil {
		each(func(i int) {
			VFMADD231PD(q[i], power[i], power[i])
			put(i, power[i])
		})
	}
	each(func(i int) {
		a := entries[i].to
		VFMADD231PD(q[i], s[i], a.low)
		// Of numbers of one sign, what the sum loses is known in two operations
		// once it is known which is larger.
		var large, small reg.VecVirtual
		if ordered {
			large, small = copyOf(a.hi), s[i]
		} else {
			large, small = maximum(a.hi, s[i]), minimum(a.hi, s[i])
		}
		VADDPD(s[i], a.hi, a.hi)
		VADDPD(sub(small, sub(a.hi, large)), a.low, a.low)
	})
}

// twoSum is the function of that name.
func twoSum(a, b Op) (sum, rest reg.VecVirtual) {
	sum = add(a, b)
	z := sub(sum, a)
	left := sub(a, sub(sum, z))
	right := sub(b, z)
	return sum, add(left, right)
}

// loop counts n down by step while at least step are left.
func loop(label string, n reg.GPVirtual, step int, body func()) {
	done := label + "Done"
	Label(label)
	CMPQ(n, imm(step))
	JLT(LabelRef(done))
	body()
	SUBQ(imm(step), n)
	JMP(LabelRef(label))
	Label(done)
}

// finish ends a kernel.
func finish() {
	VZEROUPPER()
	RET()
}

// imm is an immediate operand of an integer instruction.
func imm(n int) Constant {
	if n < 128 {
		return U8(uint8(n))
	}
	return U32(uint32(n))
}
