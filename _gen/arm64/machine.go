// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package arm64

import (
	"fmt"

	"example.org/logsoftmax/_gen/numbers"
)

// A generator is a numbers.Machine. Which registers may be overwritten the
// assembler finds out by itself, so that nothing has to be used up.
var _ numbers.Machine[vector, vector] = (*generator)(nil)

// keepTermConstants pins the multipliers of parts for loops over many terms, two
// to a register. What is added to is destroyed by that, and loading it again
// costs less than copying it: loads do not compete with arithmetic.
func (g *generator) keepTermConstants() {
	for _, names := range [][2]string{{"sixteenthsPerLn2", "exp6"}, {"sixteenthHi", "sixteenthLo"}} {
		v := g.keep(g.pair(names[0], names[1]))
		for lane, name := range names {
			g.lanes[name] = laneOf{v, lane}
		}
	}
}

// A laneOf is a lane of a pinned value.
type laneOf struct {
	of   vector
	lane int
}

// Constant loads the constant, or is that lane of a pinned value, by which
// vectors can be multiplied.
func (g *generator) Constant(name string) vector {
	if _, ok := g.lanes[name]; ok {
		g.values++
		g.multipliers[g.values] = name
		return vector{g.values}
	}
	return g.number(g.constant(name))
}

func (g *generator) NewConstant(name string) vector { return g.Constant(name) }

func (g *generator) Add(x, y vector) vector { return g.add(x, y) }
func (g *generator) Sub(x, y vector) vector { return g.sub(x, y) }
func (g *generator) Mul(x, y vector) vector { return g.mul(x, y) }
func (g *generator) Div(x, y vector) vector { return g.binary(nil, "FDIV2D", x, y) }
func (g *generator) Neg(x vector) vector    { return g.unary("FNEG2D", x) }
func (g *generator) Abs(x vector) vector    { return g.unary("FABS2D", x) }

func (g *generator) FMA(x, y, z vector) vector {
	return g.multiply("VFMLA", "FMLA2D", x, y, z)
}

func (g *generator) FNMA(x, y, z vector) vector {
	return g.multiply("VFMLS", "FMLS2D", x, y, z)
}

func (g *generator) FMS(x, y, z vector) vector        { return g.FMA(x, y, g.Neg(z)) }
func (g *generator) Accumulate(z, x, y vector) vector { return g.FMA(x, y, z) }
func (g *generator) Diminish(z, x, y vector) vector   { return g.FNMA(x, y, z) }

// multiply adds x·y to z, or subtracts it, where one of x and y may be a lane of
// a pinned value.
func (g *generator) multiply(instruction, byLane string, x, y, z vector) vector {
	for _, order := range [][2]vector{{x, y}, {y, x}} {
		if name, ok := g.multipliers[order[1][0]]; ok {
			l := g.lanes[name]
			return g.emit(nil, fmt.Sprintf("%s%d(%%[3]d, %%[2]d, %%[1]d)", byLane, l.lane), true, z, order[0], l.of)
		}
	}
	return g.emit(nil, instruction+" V%[3]d.D2, V%[2]d.D2, V%[1]d.D2", true, z, x, y)
}

// Horner loads the constant once for every register of x.
func (g *generator) Horner(q, x vector, name string) vector {
	var c vector
	for range x {
		c = append(c, g.number(g.constant(name))...)
	}
	return g.FMA(q, x, c)
}

func (g *generator) AddInts(x, y vector) vector { return g.integer(nil, "VADD", x, y) }
func (g *generator) SubInts(x, y vector) vector { return g.integer(nil, "VSUB", x, y) }

func (g *generator) ShiftLeft(x vector, by int) vector {
	return g.emit(nil, fmt.Sprintf("VSHL $%d, V%%[2]d.D2, V%%[1]d.D2", by), false, x)
}

func (g *generator) ShiftRight(x vector, by int) vector {
	return g.emit(nil, fmt.Sprintf("VUSHR $%d, V%%[2]d.D2, V%%[1]d.D2", by), false, x)
}

func (g *generator) Without(x vector, name string) vector {
	return g.without(x, g.Constant(name))
}

func (g *generator) Equal(x, y vector) vector   { return g.equal(x, y) }
func (g *generator) Less(x, y vector) vector    { return g.binary(nil, "FCMGT2D", y, x) }
func (g *generator) AtLeast(x, y vector) vector { return g.binary(nil, "FCMGE2D", x, y) }

func (g *generator) ZeroUnless(m, x vector) vector { return g.bitwise(nil, "VAND", x, m) }
func (g *generator) Choose(m, x, y vector) vector  { return g.where(m, y, x) }

// LookUp loads the pairs of both lanes.
func (g *generator) LookUp(n vector) (power, rest vector) {
	for i, v := range n {
		a, b := fmt.Sprintf("R%d", 19+2*(i%2)), fmt.Sprintf("R%d", 20+2*(i%2))
		g.consume("VMOV V%[2]d.D[0], "+a, v)
		g.consume("VMOV V%[2]d.D[1], "+b, v)
		g.raw("AND $15, " + a + "\nAND $15, " + b)
		x := vector{g.read("LDRQ(" + a[1:] + ", " + data[1:] + ", %[1]d)")}
		y := vector{g.read("LDRQ(" + b[1:] + ", " + data[1:] + ", %[1]d)")}
		power = append(power, g.low(x, y)...)
		rest = append(rest, g.high(x, y)...)
	}
	return power, rest
}

// Field loads a field of four slices of the panel that R0 points to, SetField
// stores it.
func (g *generator) Field(name string) vector { return g.load(2, panel+"_"+name, "R0") }

func (g *generator) SetField(name string, v vector) { g.store(v, panel+"_"+name, "R0") }

// parts is numbers.Parts; base loads the frame's magic.
func (g *generator) parts(y vector, base func() vector) (s, q vector) {
	return numbers.Parts(g, y, base, g.AddInts)
}
