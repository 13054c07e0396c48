// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

// Package amd64 writes the kernels for AVX-512 and for AVX2 with FMA. They
// follow the Go functions of the same names operation by operation.
package amd64

import (
	"bytes"
	"math"
	"slices"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
	"github.com/mmcloughlin/avo/reg"

	"example.org/logsoftmax/_gen/constants"
	"example.org/logsoftmax/_gen/numbers"
	"example.org/logsoftmax/_gen/source"
)

// A generator writes the kernels for one instruction set.
type generator struct {
	*build.Context
	// wide is AVX-512: vectors of eight doubles and masks in K registers. Else
	// they are of four, and a mask is a vector.
	wide bool

	source    *source.Package
	constants *constants.Constants
	bits      func(name string) uint64
	// data are the read-only data that the kernels use, in order of their use.
	data []ir.Section
	// rowBytes is the size of a field of the panel and of a row of a tile, a
	// number for each slice.
	rowBytes int
	// resident are the constants that the kernel in work keeps in registers.
	resident map[string]reg.VecVirtual
	labels   int // that addTerms has made in it
}

// Files returns the files of all kernels by their names, without the lines that
// all files begin with.
func Files(p *source.Package, c *constants.Constants) (map[string][]byte, error) {
	files := map[string][]byte{}
	for isa, wide := range map[string]bool{"avx512": true, "avx2": false} {
		g := &generator{
			Context: build.NewContext(), wide: wide, source: p, constants: c, bits: numbers.Constants(p),
			rowBytes: p.Size(panel, "Max"),
		}
		g.kernels()
		f, err := g.Result()
		if err != nil {
			return nil, err
		}
		f.Sections = append(g.data, f.Sections...)
		if err := pass.Concat(pass.Compile, pass.FunctionPass(pruneMoves)).Execute(f); err != nil {
			return nil, err
		}
		config := printer.Config{Pkg: source.Name}
		for suffix, p := range map[string]printer.Printer{".s": printer.NewGoAsm(config), ".go": printer.NewStubs(config)} {
			text, err := p.Print(f)
			if err != nil {
				return nil, err
			}
			// The first line names another program.
			_, files["kernels_"+isa+"_amd64"+suffix], _ = bytes.Cut(text, []byte("\n"))
		}
	}
	return files, nil
}

// pruneMoves leaves out moves of a vector to the register that it is in.
func pruneMoves(f *ir.Function) error {
	f.Nodes = slices.DeleteFunc(f.Nodes, func(n ir.Node) bool {
		i, ok := n.(*ir.Instruction)
		return ok && i.Opcode == "VMOVAPD" && len(i.Operands) == 2 && i.Operands[0] == i.Operands[1]
	})
	return nil
}

// kernels writes all kernels.
func (g *generator) kernels() {
	for _, tag := range []string{"!purego", "!noasm", "!safe"} {
		g.ConstraintExpr(tag)
	}
	g.rowKernels()
	g.severalRowKernels()
	g.panelKernels()
	g.packKernels()
	g.weightedKernels()
	g.labelKernels()
	if g.wide {
		g.normalizeFewRows()
		g.labelFewRows()
		g.weightedFewRows()
	}
	g.addLanes()
	g.smoothedLosses(false)
	g.smoothedLosses(true)
	g.productKernels()
	g.softmaxGradKernels()
}

// function begins a kernel, whose documentation is its name and what it does.
// Every kernel ends with finish.
func (g *generator) function(name, signature, does string) {
	if g.wide {
		name += "AVX512"
	} else {
		name += "AVX2"
	}
	g.Function(name)
	g.Attributes(attr.NOSPLIT)
	g.Signature(gotypes.NewSignature(g.source.Types(), g.source.Signature(signature)))
	g.Doc(source.Comment(name + " " + does)...)
	g.Pragma("noescape")
	g.resident, g.labels = nil, 0
}

// finish ends a kernel.
func (g *generator) finish() {
	g.VZEROUPPER()
	g.RET()
}

// param is a parameter of eight bytes in a register.
func (g *generator) param(name string) reg.GPVirtual {
	return g.Load(g.Param(name), g.GP64()).(reg.GPVirtual)
}

// address is where a parameter or result lies: avo's Load and Store would use
// instructions of SSE, which wait for the upper halves of all registers.
func address(c gotypes.Component) Mem {
	b, err := c.Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr
}

// loop counts n down by step while at least step are left.
func (g *generator) loop(label string, n reg.GPVirtual, step int, body func()) {
	done := label + "Done"
	g.Label(label)
	g.CMPQ(n, imm(step))
	g.JLT(LabelRef(done))
	body()
	g.SUBQ(imm(step), n)
	g.JMP(LabelRef(label))
	g.Label(done)
}

// imm is an immediate operand of an integer instruction.
func imm(n int) Constant {
	if n < 128 {
		return U8(uint8(n))
	}
	return U32(uint32(n))
}

// table is read-only data of that name.
func (g *generator) table(name string, words ...uint64) Mem {
	for _, s := range g.data {
		if s := s.(*ir.Global); s.Symbol.Name == name {
			return s.Base()
		}
	}
	s := ir.NewStaticGlobal(name)
	s.Attributes = attr.RODATA | attr.NOPTR
	for _, w := range words {
		s.Append(U64(w))
	}
	g.data = append(g.data, s)
	return s.Base()
}

// constantMem is where a constant is: once, or with AVX2 in all lanes of a
// vector, which may be an operand.
func (g *generator) constantMem(name string) Mem {
	bits := g.bits(name)
	if g.wide {
		return g.table(name, bits)
	}
	return g.table(name, bits, bits, bits, bits)
}

// keep loads constants into registers for the rest of the kernel.
func (g *generator) keep(names ...string) {
	g.resident = map[string]reg.VecVirtual{}
	for _, name := range names {
		g.resident[name] = g.newConstant(name)
	}
}

// newConstant is a constant in a register that may be overwritten.
func (g *generator) newConstant(name string) reg.VecVirtual {
	if name == "zero" {
		return g.zero()
	}
	return g.broadcast(g.constantMem(name))
}

// constant is a constant as an operand: its register if it has one, else memory
// where an operand may be, else a fresh register.
func (g *generator) constant(name string) Op {
	if r, ok := g.resident[name]; ok {
		return r
	}
	if g.wide || name == "zero" {
		return g.newConstant(name)
	}
	return g.constantMem(name)
}

// loaded is a constant in a register.
func (g *generator) loaded(name string) reg.VecVirtual {
	if r, ok := g.resident[name]; ok {
		return r
	}
	return g.newConstant(name)
}

// tables are 2^(i/16) and what rounding it lost, as they are looked up: in
// registers, or with AVX2 at an address as pairs.
type tables struct {
	power, rest [2]reg.VecVirtual
	pairs       reg.GPVirtual
}

func (g *generator) newTables() *tables {
	t := new(tables)
	var power, rest, pairs []uint64
	for i, p := range g.constants.Power {
		r := math.Float64bits(g.constants.PowerRest[i])
		power, rest, pairs = append(power, p), append(rest, r), append(pairs, p, r)
	}
	if !g.wide {
		t.pairs = g.GP64()
		g.LEAQ(g.table("powerPairs", pairs...), t.pairs)
		return t
	}
	p, r := g.table("power", power...), g.table("powerRest", rest...)
	for i := range 2 {
		t.power[i], t.rest[i] = g.load(p.Offset(64*i)), g.load(r.Offset(64*i))
	}
	return t
}

// lookUp is the entries of both tables for the low four bits of n. Four loads
// of pairs take less time than two gathers.
func (g *generator) lookUp(t *tables, n reg.VecVirtual) (power, rest reg.VecVirtual) {
	if g.wide {
		power, rest = g.copyOf(n), g.copyOf(n)
		g.VPERMI2PD(t.power[1], t.power[0], power)
		g.VPERMI2PD(t.rest[1], t.rest[0], rest)
		return power, rest
	}
	// The places of the pairs, in bytes.
	places := g.and(g.shiftLeft(n, 4), g.constant("low4Pairs"))
	upper := g.XMM()
	g.VEXTRACTI128(Imm(1), places, upper)
	pair := func(x reg.Register, lane int) Mem {
		place := g.GP64()
		if lane == 0 {
			g.VMOVQ(x, place)
		} else {
			g.VPEXTRQ(Imm(1), x, place)
		}
		return Mem{Base: t.pairs, Index: place, Scale: 1}
	}
	var half [2]reg.VecVirtual
	for lane := range half {
		v := g.YMM()
		g.VBROADCASTF128(pair(places.AsX(), lane), v)
		g.VINSERTF128(Imm(1), pair(upper, lane), v, v)
		half[lane] = v
	}
	power, rest = g.vec(), g.vec()
	g.VUNPCKLPD(half[1], half[0], power)
	g.VUNPCKHPD(half[1], half[0], rest)
	return power, rest
}
