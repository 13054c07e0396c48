// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package amd64

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// severalRowKernels are those of several rows to a call. A panel has the state
// of the rows; their lanes are joined for as many rows at once as a vector has
// lanes.
func (g *generator) severalRowKernels() {
	g.rowsMax()
	g.rowsExpSum()
	g.rowsMap("panelShiftEachRow", "is Panel.shiftEachRowGo", []string{"Max", "NegLogSum"},
		func(x Op, p []Op) reg.VecVirtual { return g.add(p[1], g.sub(x, p[0])) })
	g.rowsMap("panelScaleEachRow", "is Panel.scaleEachRowGo", []string{"Factor"},
		func(x Op, p []Op) reg.VecVirtual { return g.add(g.mul(p[0], x), g.loaded("zero")) })
}

// A rowLoop is what is done with each row of a batch. slice is at the row's part
// of the fields of a panel, lanes at row r of the batch where the fields hi and
// lo have lane r of the batch's slices.
type rowLoop struct {
	label string
	row   func(slice, lanes reg.GPVirtual)
}

// eachBatch takes rows, a parameter, in batches of as many as a vector has
// lanes, the last of those that are left: it runs begin, which may jump to any
// of the loops and else comes to the first, then that loop, then end. c is at
// the batch's part of each field of the panel.
func (g *generator) eachBatch(c reg.GPVirtual, begin func(), end func(), loops ...rowLoop) {
	rowsLeft, now := address(g.Param("rows")), g.AllocLocal(8)
	g.Label("batch")
	left, most := g.GP64(), g.GP64()
	g.MOVQ(rowsLeft, left)
	g.MOVQ(U32(uint32(g.width())), most)
	g.CMPQ(left, most)
	g.CMOVQGT(most, left)
	g.SUBQ(left, rowsLeft)
	g.MOVQ(left, now)
	begin()
	for i, l := range loops {
		slice, lanes := g.GP64(), g.GP64()
		g.Label(l.label)
		g.MOVQ(c, slice)
		g.MOVQ(c, lanes)
		g.Label(l.label + "Row")
		l.row(slice, lanes)
		g.ADDQ(imm(8), slice)
		g.ADDQ(imm(g.rowBytes), lanes)
		g.DECQ(now)
		g.JNZ(LabelRef(l.label + "Row"))
		if i < len(loops)-1 {
			g.JMP(LabelRef("end"))
		}
	}
	g.Label("end")
	end()
	g.ADDQ(imm(8*g.width()), c)
	g.CMPQ(rowsLeft, imm(0))
	g.JNE(LabelRef("batch"))
}

// acrossRows joins the lanes of as many rows as a vector has lanes: lane l with
// l+4, l+2 and l+1, or with AVX2, of whose rows the halves are joined, with l+2
// and l+1. words returns the vectors of a row, and join what two of them give.
func (g *generator) acrossRows(words func(row int) []reg.VecVirtual, join func(a, b []reg.VecVirtual) []reg.VecVirtual) []reg.VecVirtual {
	steps := g.acrossSteps()
	var tree func(step int, rows []int) []reg.VecVirtual
	tree = func(step int, rows []int) []reg.VecVirtual {
		if len(rows) == 1 {
			return words(rows[0])
		}
		var first, second []int
		for i, row := range rows {
			if step == 0 && i%2 == 0 || step > 0 && i < len(rows)/2 {
				first = append(first, row)
			} else {
				second = append(second, row)
			}
		}
		a, b := tree(step+1, first), tree(step+1, second)
		return join(steps[step](a, b))
	}
	var rows []int
	for row := range g.width() {
		rows = append(rows, row)
	}
	return tree(0, rows)
}

// acrossSteps are, last to first, the steps by which the lanes of rows are joined:
// what each returns is joined. The last is given rows 0, 2, 4… and 1, 3, 5….
func (g *generator) acrossSteps() []func(a, b []reg.VecVirtual) (low, high []reg.VecVirtual) {
	type shuffle func(a, b Op) reg.VecVirtual
	blocks := func(order uint8) shuffle {
		return func(a, b Op) reg.VecVirtual {
			v := g.vec()
			if g.wide {
				g.VSHUFF64X2(Imm(uint64(order)), b, a, v)
			} else {
				g.VPERM2F128(Imm(uint64(order)), b, a, v)
			}
			return v
		}
	}
	step := func(lower, upper shuffle) func(a, b []reg.VecVirtual) (low, high []reg.VecVirtual) {
		return func(a, b []reg.VecVirtual) (low, high []reg.VecVirtual) {
			for i := range a {
				low, high = append(low, lower(a[i], b[i])), append(high, upper(a[i], b[i]))
			}
			return low, high
		}
	}
	unpack := func(op func(...Op)) shuffle { return func(a, b Op) reg.VecVirtual { return g.binary(op, a, b) } }
	last := step(unpack(g.VUNPCKLPD), unpack(g.VUNPCKHPD))
	if !g.wide {
		return []func(a, b []reg.VecVirtual) (low, high []reg.VecVirtual){last, step(blocks(0x20), blocks(0x31))}
	}
	return []func(a, b []reg.VecVirtual) (low, high []reg.VecVirtual){last, step(blocks(0x88), blocks(0xdd)), step(blocks(0x44), blocks(0xee))}
}

// nextRow moves the parameter on by its stride, another, which is in bytes.
func (g *generator) nextRow(name, stride string) {
	bytes := g.GP64()
	g.MOVQ(address(g.Param(stride)), bytes)
	g.ADDQ(bytes, address(g.Param(name)))
}

// panelFrom is the panel c from the slice on that a parameter says.
func (g *generator) panelFrom(first string) reg.GPVirtual {
	c, slice := g.param("c"), g.param(first)
	g.LEAQ(Mem{Base: c, Index: slice, Scale: 8}, c)
	return c
}

func (g *generator) rowsMax() {
	g.function("panelMaxOfRows", "func(c *Panel, first int, x *float64, stride, n, rows int)",
		"is Panel.maxOfRowsGo for n > 0 entries of rows > 0.")
	c := g.panelFrom("first")
	field := g.fieldsAt(c)
	g.SHLQ(Imm(3), address(g.Param("stride")))
	low, w := g.loaded("minusInf"), g.width()
	row := func(_, lanes reg.GPVirtual) {
		x, n := g.param("x"), g.param("n")
		m := []reg.VecVirtual{g.copyOf(low), g.copyOf(low), g.copyOf(low), g.copyOf(low)}
		nan := g.newMask()
		if g.wide {
			g.KXORB(nan, nan, nan)
		} else {
			g.VXORPD(nan, nan, nan)
		}
		g.loop("four", n, 4*w, func() {
			for i := 0; i < 4; i += 2 {
				a, b := g.load(Mem{Base: x, Disp: 8 * w * i}), Mem{Base: x, Disp: 8 * w * (i + 1)}
				g.VMAXPD(a, m[i], m[i])
				g.or(nan, g.compare(unordered, a, b))
				g.VMAXPD(b, m[i+1], m[i+1])
			}
			g.ADDQ(imm(32*w), x)
		})
		g.loop("one", n, w, func() {
			a := g.load(Mem{Base: x})
			g.VMAXPD(a, m[0], m[0])
			g.or(nan, g.compare(unordered, a, a))
			g.ADDQ(imm(8*w), x)
		})
		g.TESTQ(n, n)
		g.JZ(LabelRef("whole"))
		a := g.loadMasked(Mem{Base: x}, g.remaining(n), low)
		g.VMAXPD(a, m[1], m[1])
		g.or(nan, g.compare(unordered, a, a))
		g.Label("whole")
		g.VMAXPD(m[1], m[0], m[0])
		g.VMAXPD(m[3], m[2], m[2])
		g.VMAXPD(m[2], m[0], m[0])
		g.test(nan)
		g.JZ(LabelRef("number"))
		g.VBROADCASTSD(g.constantMem("nan"), m[0])
		g.Label("number")
		g.store(m[0], g.field(lanes, "Hi"))
		g.nextRow("x", "stride")
	}
	g.eachBatch(c, func() {}, func() {
		max := g.acrossRows(
			func(row int) []reg.VecVirtual {
				return []reg.VecVirtual{g.load(field("Hi").Offset(g.rowBytes * row))}
			},
			func(a, b []reg.VecVirtual) []reg.VecVirtual { return []reg.VecVirtual{g.maximum(a[0], b[0])} })[0]
		shift, magic, lower := g.frame(max)
		g.store(max, field("Max"))
		g.store(shift, field("shift"))
		g.store(magic, field("magic"))
		g.store(lower, field("lower"))
	}, rowLoop{"rows", row})
	g.finish()
}

// rowsExpSum: of each row blocks of 64 entries as eight vectors of eight lanes,
// or in two passes as eight of four. Entries beyond the end are taken for the
// maximum.
func (g *generator) rowsExpSum() {
	g.function("panelExpSumRows", "func(c *Panel, first int, dst *float64, dstStride int, x *float64, stride, n, rows, next, out int)",
		"is Panel.expSumRowsGo for n > 0 entries of rows > 0. It prefetches what lies so many bytes from the entries. The stride of a dst that is nil is 0.")
	c := g.panelFrom("first")
	field := g.fieldsAt(c)
	g.SHLQ(Imm(3), address(g.Param("stride")))
	g.SHLQ(Imm(3), address(g.Param("dstStride")))
	var next, out reg.GPVirtual
	var frame Mem // with half the registers the frame is in memory
	if g.wide {
		g.keep(termConstants...)
		next, out = g.param("next"), g.param("out")
	} else {
		frame = g.AllocLocal(4 * 32)
	}
	t := g.newTables()
	row := func(suffix string, together int, shifted bool) func(slice, lanes reg.GPVirtual) {
		return func(slice, lanes reg.GPVirtual) {
			var of [4]Op
			for i, name := range []string{"Max", "magic", "lower", "shift"} {
				if name == "shift" && !shifted {
					continue
				}
				v := g.broadcast(g.field(slice, name))
				of[i] = v
				if !g.wide {
					of[i] = frame.Offset(32 * i)
					g.store(v, of[i])
				}
			}
			max, magic, lower, shift := of[0], of[1], of[2], of[3]
			counted := g.GP64()
			g.XORQ(counted, counted)
			var offset reg.GPVirtual // that of the pass
			if !g.wide {
				offset = g.GP64()
				g.XORQ(offset, offset)
				g.Label("pass" + suffix)
			}
			n, p, q := g.param("n"), g.param("x"), g.param("dst")
			pointers := []reg.GPVirtual{p, q}
			if !g.wide {
				for _, p := range pointers {
					g.ADDQ(offset, p)
				}
			}
			hi, lo, low := g.zero(), g.zero(), g.vec()
			entry := func(store func(i int, e reg.VecVirtual), xs ...reg.VecVirtual) {
				entries := make([]term, len(xs))
				for i, x := range xs {
					other := g.compare(notEqual, x, max)
					bits := g.GP32()
					if g.wide {
						g.KMOVB(other, bits)
					} else {
						g.VMOVMSKPD(other, bits)
					}
					g.POPCNTL(bits, bits)
					g.ADDQ(bits.As64(), counted)
					entries[i] = term{g.clamped(x, shift, lower), other, laneSum{hi, low}}
				}
				g.addTerms(t, magic, g.keptIn("dst", store), entries...)
			}
			advance := func(bytes int) {
				for _, p := range pointers {
					g.ADDQ(imm(bytes), p)
				}
			}
			g.loop("blocks"+suffix, n, 64, func() {
				g.VXORPD(low, low, low)
				left := g.GP64()
				g.MOVQ(U32(uint32(8/together)), left)
				g.Label("block" + suffix)
				xs := make([]reg.VecVirtual, together)
				for i := range xs {
					xs[i] = g.load(Mem{Base: p, Disp: 64 * i})
					if g.wide {
						g.PREFETCHT0(Mem{Base: p, Index: next, Scale: 1, Disp: 64 * i})
						g.PREFETCHT0(Mem{Base: p, Index: out, Scale: 1, Disp: 64 * i})
					}
				}
				entry(func(i int, e reg.VecVirtual) { g.store(e, Mem{Base: q, Disp: 64 * i}) }, xs...)
				advance(64 * together)
				g.DECQ(left)
				g.JNZ(LabelRef("block" + suffix))
				g.VADDPD(low, lo, lo)
			})
			// What is left of a block, less than 64.
			if !g.wide {
				places := g.GP64()
				g.MOVQ(offset, places)
				g.SHRQ(Imm(3), places)
				g.SUBQ(places, n)
			}
			g.CMPQ(n, imm(0))
			g.JLE(LabelRef("summed" + suffix))
			g.VXORPD(low, low, low)
			g.Label("rest" + suffix)
			m := g.remaining(n)
			x := g.loadMasked(Mem{Base: p}, m, max)
			if g.wide {
				g.PREFETCHT0(Mem{Base: p, Index: next, Scale: 1})
				g.PREFETCHT0(Mem{Base: p, Index: out, Scale: 1})
			}
			entry(func(_ int, e reg.VecVirtual) { g.storeMasked(e, m, Mem{Base: q}) }, x)
			advance(64)
			g.SUBQ(imm(8), n)
			g.JG(LabelRef("rest" + suffix))
			g.VADDPD(low, lo, lo)
			g.Label("summed" + suffix)
			high := g.field(lanes, "Hi")
			if !g.wide {
				g.CMPQ(offset, imm(0))
				g.JNE(LabelRef("passed" + suffix))
				g.store(hi, high)
				g.store(lo, g.lowOf(high))
				g.ADDQ(imm(32), offset)
				g.JMP(LabelRef("pass" + suffix))
				g.Label("passed" + suffix)
				// Lanes 0 to 3 are those of the first pass.
				sum, rest := g.twoSum(g.load(high), hi)
				hi, lo = sum, g.add(g.add(g.load(g.lowOf(high)), lo), rest)
			}
			g.store(hi, high)
			g.store(lo, g.lowOf(high))
			equal, count := g.param("n"), g.XMM()
			g.SUBQ(counted, equal)
			g.VXORPD(count, count, count)
			g.VCVTSI2SDQ(equal, count, count)
			g.VMOVSD(count, g.field(slice, "Count"))
			g.nextRow("x", "stride")
			g.nextRow("dst", "dstStride")
		}
	}
	together := 1
	if g.wide {
		together = 2
	}
	// A batch with a shift is rare.
	begin := func() { g.jumpIfShifted(g.load(field("shift")), "rowsShifted") }
	g.eachBatch(c, begin, func() {
		sum := g.pairsAcrossRows(field)
		g.store(sum[0], field("Hi"))
		g.store(sum[1], g.lowOf(field("Hi")))
	}, rowLoop{"rows", row("", together, false)}, rowLoop{"rowsShifted", row("Shifted", 1, true)})
	g.finish()
}

// pairsAcrossRows joins the lanes that each row of a batch has left as those of a
// slice, in two words.
func (g *generator) pairsAcrossRows(field func(name string) Mem) []reg.VecVirtual {
	return g.acrossRows(
		func(row int) []reg.VecVirtual {
			hi := field("Hi").Offset(g.rowBytes * row)
			return []reg.VecVirtual{g.load(hi), g.load(g.lowOf(hi))}
		},
		func(a, b []reg.VecVirtual) []reg.VecVirtual {
			sum, rest := g.twoSum(a[0], b[0])
			return []reg.VecVirtual{sum, g.add(g.add(a[1], b[1]), rest)}
		})
}

// rowsMap is a kernel dst[j] = f(x[j]) with parameters by row. What is left of a
// row is done as the vector that ends with it, before any is written: a row that
// begins where a part of a vector was written would have to wait for it.
func (g *generator) rowsMap(name, does string, fields []string, f func(x Op, p []Op) reg.VecVirtual) {
	g.function(name, "func(c *Panel, first int, dst *float64, dstStride int, x *float64, stride, n, rows int)",
		does+" for rows > 0 of a vector or more. dst may be x.")
	c := g.panelFrom("first")
	dst, dstStride, x, stride, n, rows := g.param("dst"), g.param("dstStride"), g.param("x"), g.param("stride"), g.param("n"), g.param("rows")
	g.SHLQ(Imm(3), dstStride)
	g.SHLQ(Imm(3), stride)
	g.keep("zero")
	w := g.width()
	g.Label("rows")
	var p []Op
	for _, field := range fields {
		p = append(p, g.broadcast(g.field(c, field)))
	}
	from, to, left := g.GP64(), g.GP64(), g.GP64()
	g.MOVQ(x, from)
	g.MOVQ(dst, to)
	g.MOVQ(n, left)
	end := func(b reg.GPVirtual) Mem { return Mem{Base: b, Index: n, Scale: 8, Disp: -8 * w} }
	last := f(g.load(end(x)), p)
	step := func(count int) func() {
		return func() {
			for i := range count {
				g.store(f(g.load(Mem{Base: from, Disp: 8 * w * i}), p), Mem{Base: to, Disp: 8 * w * i})
			}
			g.ADDQ(imm(8*w*count), from)
			g.ADDQ(imm(8*w*count), to)
		}
	}
	g.loop("four", left, 4*w, step(4))
	g.loop("one", left, w, step(1))
	g.store(last, end(dst))
	g.ADDQ(imm(8), c)
	g.ADDQ(stride, x)
	g.ADDQ(dstStride, dst)
	g.DECQ(rows)
	g.JNZ(LabelRef("rows"))
	g.finish()
}
