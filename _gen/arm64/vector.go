// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package arm64

import (
	"fmt"
	"slices"
	"strings"
)

// An encoding is an instruction that Go's assembler does not know, as a macro
// of its opcode and registers.
type encoding struct {
	name   string
	opcode uint32
	// fields are the macro's parameters, in the order of Go's assembler:
	// sources first.
	fields []field
	// syntax is the instruction in the syntax of Arm's manual, with the
	// parameters' names in braces.
	syntax string
}

// A field is a register's number in an opcode, from bit shift on.
type field struct {
	name  string
	shift uint
}

var (
	rm = field{"m", 16}
	rn = field{"n", 5}
	rd = field{"d", 0}
)

var encodings = []encoding{
	{"FADD2D", 0x4e60d400, []field{rm, rn, rd}, "fadd v{d}.2d, v{n}.2d, v{m}.2d"},
	{"FSUB2D", 0x4ee0d400, []field{rm, rn, rd}, "fsub v{d}.2d, v{n}.2d, v{m}.2d"},
	{"FMUL2D", 0x6e60dc00, []field{rm, rn, rd}, "fmul v{d}.2d, v{n}.2d, v{m}.2d"},
	{"FDIV2D", 0x6e60fc00, []field{rm, rn, rd}, "fdiv v{d}.2d, v{n}.2d, v{m}.2d"},
	{"FMAX2D", 0x4e60f400, []field{rm, rn, rd}, "fmax v{d}.2d, v{n}.2d, v{m}.2d"},
	{"FMAXNM2D", 0x4e60c400, []field{rm, rn, rd}, "fmaxnm v{d}.2d, v{n}.2d, v{m}.2d"},
	{"FMAXP2D", 0x7e70f800, []field{rn, rd}, "fmaxp d{d}, v{n}.2d"},
	{"FABS2D", 0x4ee0f800, []field{rn, rd}, "fabs v{d}.2d, v{n}.2d"},
	{"FNEG2D", 0x6ee0f800, []field{rn, rd}, "fneg v{d}.2d, v{n}.2d"},
	{"FCMEQ2D", 0x4e60e400, []field{rm, rn, rd}, "fcmeq v{d}.2d, v{n}.2d, v{m}.2d"},
	{"FCMGE2D", 0x6e60e400, []field{rm, rn, rd}, "fcmge v{d}.2d, v{n}.2d, v{m}.2d"},
	{"FCMGT2D", 0x6ee0e400, []field{rm, rn, rd}, "fcmgt v{d}.2d, v{n}.2d, v{m}.2d"},
	{"FACGE2D", 0x6e60ec00, []field{rm, rn, rd}, "facge v{d}.2d, v{n}.2d, v{m}.2d"},
	// Compared to 0: as numbers, and as integers.
	{"FCMEQ2DZERO", 0x4ee0d800, []field{rn, rd}, "fcmeq v{d}.2d, v{n}.2d, #0"},
	{"FCMLE2DZERO", 0x6ee0d800, []field{rn, rd}, "fcmle v{d}.2d, v{n}.2d, #0"},
	{"CMLT2DZERO", 0x4ee0a800, []field{rn, rd}, "cmlt v{d}.2d, v{n}.2d, #0"},
	{"SCVTF2D", 0x4e61d800, []field{rn, rd}, "scvtf v{d}.2d, v{n}.2d"},
	{"BIC16B", 0x4e601c00, []field{rm, rn, rd}, "bic v{d}.16b, v{n}.16b, v{m}.16b"},
	// Multiplied by one lane of m.
	{"FMLA2D0", 0x4fc01000, []field{rm, rn, rd}, "fmla v{d}.2d, v{n}.2d, v{m}.d[0]"},
	{"FMLA2D1", 0x4fc01800, []field{rm, rn, rd}, "fmla v{d}.2d, v{n}.2d, v{m}.d[1]"},
	{"FMLS2D0", 0x4fc05000, []field{rm, rn, rd}, "fmls v{d}.2d, v{n}.2d, v{m}.d[0]"},
	{"FMLS2D1", 0x4fc05800, []field{rm, rn, rd}, "fmls v{d}.2d, v{n}.2d, v{m}.d[1]"},
	// 16 bytes from Rn + 16·Rm.
	{"LDRQ", 0x3ce07800, []field{rm, rn, rd}, "ldr q{d}, [x{n},x{m},lsl #4]"},
}

// define returns the macro.
func (e encoding) define() string {
	var names []string
	word := fmt.Sprintf("%#08x", e.opcode)
	for _, f := range e.fields {
		names = append(names, f.name)
		if f.shift == 0 {
			word += " | (" + f.name + ")"
		} else {
			word += fmt.Sprintf(" | (%s)<<%d", f.name, f.shift)
		}
	}
	return fmt.Sprintf("#define %s(%s) WORD $(%s) // %s", e.name, strings.Join(names, ", "), word, e.syntax)
}

// A value is a register's contents, defined once unless it is pinned. Its
// register is chosen when the block in which it is used is complete.
type value int

// A vector is some values that the same is done to, side by side so that
// their instructions overlap. One of length 1 goes with any other.
type vector []value

// at returns the vector's value i.
func (v vector) at(i int) value {
	if len(v) == 1 {
		return v[0]
	}
	return v[i]
}

// An instruction has format verbs for its registers: %[1]d for that of its
// result, %[2]d and on for those of its operands.
type instruction struct {
	format   string
	result   value // -1: none
	operands []value
	// accumulates says that the result's register holds the first operand
	// before, as in result += a·b; that operand has no verb.
	accumulates bool
}

// An assembler writes functions whose vector registers it chooses.
type assembler struct {
	strings.Builder
	block  []instruction
	values value
	pinned map[value]int
	free   []int // registers, the next one to take last
}

// function begins a function of arguments that are so many bytes.
func (a *assembler) function(name, signature string, bytes int) {
	a.flush()
	a.pinned = map[value]int{}
	a.free = a.free[:0]
	for r := 31; r >= 0; r-- {
		a.free = append(a.free, r)
	}
	_, _ = fmt.Fprintf(a, "\n// func %s%s\nTEXT ·%s(SB), 0, $0-%d\n", name, signature, name, bytes)
}

// raw adds instructions, one a line, without vector values.
func (a *assembler) raw(lines string) {
	for line := range strings.Lines(lines) {
		if line = strings.TrimSpace(line); line != "" {
			a.block = append(a.block, instruction{format: line, result: -1})
		}
	}
}

// label begins a new block, in which only pinned values are known.
func (a *assembler) label(name string) {
	a.flush()
	a.WriteString("\n" + name + ":\n")
}

// pin returns a value that stays in its register to the end of the function
// and may be assigned to.
func (a *assembler) pin(n int) vector {
	a.flush()
	v := make(vector, n)
	for i := range v {
		a.values++
		v[i] = a.values
		a.pinned[a.values] = a.take()
	}
	return v
}

// overwriting has f use the registers of pinned values too, which are lost by it.
func (a *assembler) overwriting(pinned vector, f func()) {
	a.flush()
	var registers []int
	for _, v := range pinned {
		registers = append(registers, a.pinned[v])
	}
	a.free = append(a.free, registers...)
	f()
	a.flush()
	a.free = slices.DeleteFunc(a.free, func(r int) bool { return slices.Contains(registers, r) })
}

func (a *assembler) take() int {
	if len(a.free) == 0 {
		panic("no vector register is free")
	}
	r := a.free[len(a.free)-1]
	a.free = a.free[:len(a.free)-1]
	return r
}

// emit adds an instruction for each of the operands' values. to is the result,
// or nil for new values.
func (a *assembler) emit(to vector, format string, accumulates bool, operands ...vector) vector {
	n := len(to)
	for _, v := range operands {
		n = max(n, len(v))
	}
	result := make(vector, n)
	for i := range result {
		if to != nil {
			result[i] = to[i]
		} else {
			a.values++
			result[i] = a.values
		}
		in := instruction{format: format, result: result[i], accumulates: accumulates}
		for _, v := range operands {
			in.operands = append(in.operands, v.at(i))
		}
		a.block = append(a.block, in)
	}
	return result
}

// read adds an instruction that has a new value and no operands.
func (a *assembler) read(format string) value {
	a.values++
	a.block = append(a.block, instruction{format: format, result: a.values})
	return a.values
}

// consume adds an instruction that has no result.
func (a *assembler) consume(format string, operands ...value) {
	a.block = append(a.block, instruction{format: format, result: -1, operands: operands})
}

// sinkLoads moves each load to where its value is first used, where nothing
// without a result, such as a store, is in between. It saves registers.
func (a *assembler) sinkLoads() {
	var sunk []instruction
	var loads []instruction // not yet in sunk
	for _, in := range a.block {
		_, pinned := a.pinned[in.result]
		if strings.HasPrefix(in.format, "FMOVQ ") && in.result >= 0 && !pinned {
			loads = append(loads, in)
			continue
		}
		var kept []instruction
		for _, load := range loads {
			if in.result < 0 || slices.Contains(in.operands, load.result) {
				sunk = append(sunk, load)
			} else {
				kept = append(kept, load)
			}
		}
		loads = kept
		sunk = append(sunk, in)
	}
	a.block = append(sunk, loads...)
}

// flush chooses the block's registers and writes it.
func (a *assembler) flush() {
	a.sinkLoads()
	last := map[value]int{}
	for i, in := range a.block {
		for _, v := range in.operands {
			last[v] = i
		}
	}
	where := map[value]int{}
	register := func(v value) int {
		if r, ok := a.pinned[v]; ok {
			return r
		}
		r, ok := where[v]
		if !ok {
			panic("a value is used outside its block")
		}
		return r
	}
	for i, in := range a.block {
		release := func(v value) {
			if r, ok := where[v]; ok && last[v] <= i {
				delete(where, v)
				a.free = append(a.free, r)
			}
		}
		registers := []any{-1}
		operands := in.operands
		if in.accumulates {
			from := register(operands[0])
			operands = operands[1:]
			for _, v := range operands {
				registers = append(registers, register(v))
			}
			_, fixed := a.pinned[in.operands[0]]
			switch to, pinned := a.pinned[in.result]; {
			case pinned && to == from:
				registers[0] = to
			case !pinned && !fixed && last[in.operands[0]] == i:
				delete(where, in.operands[0])
				where[in.result] = from
				registers[0] = from
			default:
				if !pinned {
					to = a.take()
					where[in.result] = to
				}
				_, _ = fmt.Fprintf(a, "\tVMOV\tV%d.B16, V%d.B16\n", from, to)
				registers[0] = to
			}
			for _, v := range in.operands {
				release(v)
			}
		} else {
			for _, v := range operands {
				registers = append(registers, register(v))
			}
			for _, v := range operands {
				release(v)
			}
			if in.result >= 0 {
				if r, ok := a.pinned[in.result]; ok {
					registers[0] = r
				} else {
					r = a.take()
					where[in.result] = r
					registers[0] = r
				}
			}
		}
		a.write(in.format, registers)
		if in.result >= 0 {
			release(in.result) // in case nothing uses it
		}
	}
	for _, r := range where {
		a.free = append(a.free, r)
	}
	a.block = a.block[:0]
}

func (a *assembler) write(format string, registers []any) {
	line := format
	if strings.Contains(format, "%") {
		// Verbs with indices do not mind registers that have none.
		for i, r := range registers {
			line = strings.ReplaceAll(line, fmt.Sprintf("%%[%d]d", i+1), fmt.Sprint(r))
		}
	}
	if strings.HasSuffix(line, ":") {
		a.WriteString("\n" + line + "\n")
		return
	}
	if name, operands, ok := strings.Cut(line, " "); ok && !strings.Contains(name, "(") {
		line = name + "\t" + operands
	}
	a.WriteString("\t" + line + "\n")
}

// Arithmetic, each rounded once.

func (a *assembler) binary(to vector, name string, x, y vector) vector {
	return a.emit(to, name+"(%[3]d, %[2]d, %[1]d)", false, x, y)
}

func (a *assembler) unary(name string, x vector) vector {
	return a.emit(nil, name+"(%[2]d, %[1]d)", false, x)
}

func (a *assembler) add(x, y vector) vector   { return a.binary(nil, "FADD2D", x, y) }
func (a *assembler) sub(x, y vector) vector   { return a.binary(nil, "FSUB2D", x, y) }
func (a *assembler) mul(x, y vector) vector   { return a.binary(nil, "FMUL2D", x, y) }
func (a *assembler) equal(x, y vector) vector { return a.binary(nil, "FCMEQ2D", x, y) }

// Bits.

func (a *assembler) bitwise(to vector, name string, x, y vector) vector {
	return a.emit(to, name+" V%[3]d.B16, V%[2]d.B16, V%[1]d.B16", false, x, y)
}

// without returns x where mask is 0, and 0 elsewhere.
func (a *assembler) without(x, mask vector) vector { return a.binary(nil, "BIC16B", x, mask) }

// where returns x where mask is set, and y elsewhere.
func (a *assembler) where(mask, x, y vector) vector {
	return a.emit(nil, "VBIT V%[3]d.B16, V%[2]d.B16, V%[1]d.B16", true, y, x, mask)
}

func (a *assembler) integer(to vector, name string, x, y vector) vector {
	return a.emit(to, name+" V%[3]d.D2, V%[2]d.D2, V%[1]d.D2", false, x, y)
}

func (a *assembler) low(x, y vector) vector {
	return a.emit(nil, "VZIP1 V%[3]d.D2, V%[2]d.D2, V%[1]d.D2", false, x, y)
}

func (a *assembler) high(x, y vector) vector {
	return a.emit(nil, "VZIP2 V%[3]d.D2, V%[2]d.D2, V%[1]d.D2", false, x, y)
}

// Memory. An address is a constant offset and a register, as in "16(R0)".

// load loads n values of two lanes, from offset on.
func (a *assembler) load(n int, offset, base string) vector {
	v := make(vector, n)
	for i := range v {
		v[i] = a.read(fmt.Sprintf("FMOVQ %s(%s), F%%[1]d", displaced(offset, 16*i), base))
	}
	return v
}

func (a *assembler) store(v vector, offset, base string) {
	for i, x := range v {
		a.consume(fmt.Sprintf("FMOVQ F%%[2]d, %s(%s)", displaced(offset, 16*i), base), x)
	}
}

func displaced(offset string, by int) string {
	switch {
	case offset == "":
		return fmt.Sprint(by)
	case by == 0:
		return offset
	}
	return fmt.Sprintf("%s+%d", offset, by)
}
