// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

// Package arm64 writes the kernels for NEON. They follow the Go functions of the
// same names operation by operation.
//
// A vector register holds two numbers; kernels work on eight at a time, in four
// registers, for their instructions to overlap. Registers are chosen here, in
// straight-line pieces of code, and instructions that Go's assembler does not
// know become macros, which the tests of this package hold to a disassembler.
package arm64

import (
	"bytes"
	"fmt"
	"go/types"
	"math"
	"strings"

	"example.org/logsoftmax/_gen/constants"
	"example.org/logsoftmax/_gen/numbers"
	"example.org/logsoftmax/_gen/source"
)

// Files returns the files of all kernels by their names, without the lines that
// all files begin with.
func Files(p *source.Package, c *constants.Constants) map[string][]byte {
	g := &generator{source: p, constants: c, bits: numbers.Constants(p)}
	g.maxOf()
	g.expSum()
	g.laneTotal()
	g.shiftBy()
	g.scaleBy()
	g.panelRaiseMax()
	g.panelSetFrames()
	g.panelAddExp()
	g.panelTotal()
	g.panelJoinLanes()
	g.panelConclude("Sums", numbers.ConcludeSums[vector, vector])
	g.panelConclude("Logs", numbers.ConcludeLogs[vector, vector])
	g.panelConclude("Probabilities", numbers.ConcludeProbabilities[vector, vector])
	g.panelShift()
	g.panelScale()
	g.pack()
	g.unpack()
	g.panelUnpackScaled()
	g.labelKernels()
	g.weightedKernels()
	g.gradientKernels()
	g.products()
	g.flush()

	const constraint = "\n//go:build arm64 && !purego && !noasm && !safe\n"
	var s strings.Builder
	s.WriteString(constraint + `
#include "go_asm.h"
#include "textflag.h"

// Instructions that the assembler does not know; operands in its order,
// sources first.
`)
	for _, e := range encodings {
		s.WriteString(e.define() + "\n")
	}
	s.WriteString(g.readOnly())
	s.WriteString(g.String())
	return map[string][]byte{
		"kernels_arm64.s":  []byte(s.String()),
		"kernels_arm64.go": []byte(constraint + "\npackage " + source.Name + "\n" + g.stubs.String()),
	}
}

// A generator writes the kernels.
type generator struct {
	assembler
	stubs     strings.Builder
	source    *source.Package
	constants *constants.Constants
	// arguments are where those of the function in work are.
	arguments map[string]int
	bits      func(name string) uint64
	// lanes are the constants that the function in work has as lanes of pinned
	// values, multipliers the values that stand for them.
	lanes       map[string]laneOf
	multipliers map[value]string
	// literals are the numbers in the data, in order.
	literals []number
}

// function begins a kernel, whose documentation is its name and what it does.
func (g *generator) function(name, signature, does string) {
	name += "NEON"
	s := g.source.Signature(signature)
	var text bytes.Buffer
	types.WriteSignature(&text, s, types.RelativeTo(g.source.Types()))
	offsets, size := g.source.Arguments(s)
	g.arguments = offsets
	g.assembler.function(name, text.String(), size)
	g.lanes, g.multipliers = map[string]laneOf{}, map[value]string{}
	g.stubs.WriteString("\n// " + strings.Join(source.Comment(name+" "+does), "\n// "))
	g.stubs.WriteString("\n//\n//go:noescape\nfunc " + name + text.String() + "\n")
}

// place is where an argument or result is.
func (g *generator) place(name string) string {
	offset, ok := g.arguments[name]
	if !ok {
		panic("no argument " + name)
	}
	return fmt.Sprintf("%s+%d(FP)", name, offset)
}

// A number is a constant for each lane.
type number struct {
	low, high uint64
	comment   string
}

// constant is a constant of the kernels, in both lanes.
func (g *generator) constant(name string) number {
	b := g.bits(name)
	return number{b, b, name}
}

// pair is two of them, one for each lane.
func (g *generator) pair(low, high string) number {
	return number{g.bits(low), g.bits(high), low + ", " + high}
}

// data is the register that points to the data.
const data = "R16"

// tableBytes is the size of what lies before the constants in the data: the
// pairs of power[i] and powerRest[i].
const tableBytes = 16 * 16

// offset returns where a number is in the data.
func (g *generator) offset(n number) int {
	for i, l := range g.literals {
		if l.low == n.low && l.high == n.high {
			return tableBytes + 16*i
		}
	}
	g.literals = append(g.literals, n)
	return tableBytes + 16*(len(g.literals)-1)
}

// number loads a number.
func (g *generator) number(n number) vector {
	return g.load(1, fmt.Sprint(g.offset(n)), data)
}

// keep loads a number into a pinned value.
func (g *generator) keep(n number) vector {
	v := g.pin(1)
	g.emit(v, fmt.Sprintf("FMOVQ %d(%s), F%%[1]d", g.offset(n), data), false)
	return v
}

// panel is the type of the state of slices side by side.
const panel = "Panel"

// pointToNumbers makes the numbers accessible in a function.
func (g *generator) pointToNumbers() { g.raw("MOVD $numbers<>(SB), " + data) }

// argument loads a float64 argument into both lanes of a pinned value.
func (g *generator) argument(name string) vector {
	v := g.pin(1)
	g.emit(v, "FMOVD "+g.place(name)+", F%[1]d", false)
	return g.emit(v, "VDUP V%[2]d.D[0], V%[1]d.D2", false, v)
}

// loadArguments loads arguments into R0 and on.
func (g *generator) loadArguments(names ...string) {
	for i, name := range names {
		g.raw(fmt.Sprintf("MOVD %s, R%d", g.place(name), i))
	}
}

// readOnly returns the read-only data.
func (g *generator) readOnly() string {
	var s strings.Builder
	s.WriteString(`
// numbers<> is power[i] and powerRest[i], pair by pair, then constants, one
// for each lane.
`)
	datum := func(offset int, bits uint64, comment string) {
		if comment != "" {
			comment = " // " + comment
		}
		fmt.Fprintf(&s, "DATA numbers<>+%d(SB)/8, $%#016x%s\n", offset, bits, comment)
	}
	for i, power := range g.constants.Power {
		datum(16*i, power, "")
		datum(16*i+8, math.Float64bits(g.constants.PowerRest[i]), "")
	}
	for i, l := range g.literals {
		datum(tableBytes+16*i, l.low, l.comment)
		datum(tableBytes+16*i+8, l.high, "")
	}
	fmt.Fprintf(&s, "GLOBL numbers<>(SB), RODATA|NOPTR, $%d\n", tableBytes+16*len(g.literals))
	return s.String()
}
