// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package amd64

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// productKernels are the tiles of matrix products: as many rows as there are
// registers for, by one to three vectors, or by what is left of one.
func (g *generator) productKernels() {
	for _, rows := range g.productRows() {
		for vectors := 3; vectors > 0; vectors-- {
			g.product(rows, vectors, false)
		}
		g.product(rows, 1, true)
	}
}

// productRows is how many rows a tile may have.
func (g *generator) productRows() []int {
	if g.wide {
		return []int{8, 4, 2, 1}
	}
	return []int{4, 2, 1}
}

// product is the kernel of a tile of rows by vectors, or by the first entries
// of one vector.
func (g *generator) product(rows, vectors int, part bool) {
	name, entries, arguments := fmt.Sprintf("product%dx%d", rows, vectors*g.width()), fmt.Sprint(vectors*g.width(), " entries"), ""
	if part {
		name, entries, arguments = fmt.Sprintf("product%dxPart", rows), fmt.Sprintf("0 < cols < %d entries", g.width()), ", cols int"
	}
	g.function(name, "func(dst *float64, dstStride int, a *float64, aRow int, aStep int, b *float64, bStep int, n int, plus *float64, onto int"+arguments+")",
		fmt.Sprintf("is productGo for %d rows of %s and n > 0 steps.", rows, entries))
	bytes := func(name string) reg.GPVirtual {
		r := g.param(name)
		g.SHLQ(Imm(3), r)
		return r
	}
	read, write := g.load, g.store
	if part {
		m := g.remaining(g.param("cols"))
		read = func(from Op) reg.VecVirtual {
			v := g.vec()
			if g.wide {
				g.VMOVUPD_Z(from, m, v)
			} else {
				g.VMASKMOVPD(from, m, v)
			}
			return v
		}
		write = func(v reg.Register, to Op) { g.storeMasked(v, m, to.(Mem)) }
	}
	dst, dstStride := g.param("dst"), bytes("dstStride")
	a, aRow, aStep := g.param("a"), bytes("aRow"), bytes("aStep")
	b, bStep := g.param("b"), bytes("bStep")

	// Three rows share a pointer.
	everyThird := func(p, stride reg.GPVirtual) []reg.GPVirtual {
		pointers := []reg.GPVirtual{p}
		for i := 3; i < rows; i += 3 {
			next := g.GP64()
			g.LEAQ(Mem{Base: pointers[len(pointers)-1], Index: stride, Scale: 2}, next)
			g.ADDQ(stride, next)
			pointers = append(pointers, next)
		}
		return pointers
	}
	at := func(pointers []reg.GPVirtual, stride reg.GPVirtual, row, vector int) Mem {
		m := Mem{Base: pointers[row/3], Disp: vector * 8 * g.width()}
		if row%3 > 0 {
			m.Index, m.Scale = stride, uint8(row%3)
		}
		return m
	}
	sums := make([][]reg.VecVirtual, rows)
	for i := range sums {
		for range vectors {
			sums[i] = append(sums[i], g.zero())
		}
	}
	to := everyThird(dst, dstStride)
	onto := g.param("onto")
	g.TESTQ(onto, onto)
	g.JZ(LabelRef("begin"))
	for i := range sums {
		for v, sum := range sums[i] {
			g.VMOVAPD(read(at(to, dstStride, i, v)), sum)
		}
	}
	g.Label("begin")
	n, from := g.param("n"), everyThird(a, aRow)
	g.Label("step")
	var right []reg.VecVirtual
	for v := range vectors {
		right = append(right, read(Mem{Base: b, Disp: v * 8 * g.width()}))
	}
	for i := range sums {
		left := g.broadcast(at(from, aRow, i, 0))
		for v, sum := range sums[i] {
			g.VFMADD231PD(right[v], left, sum)
		}
	}
	g.ADDQ(bStep, b)
	for _, p := range from {
		g.ADDQ(aStep, p)
	}
	g.DECQ(n)
	g.JNZ(LabelRef("step"))

	plus, nan := g.param("plus"), g.loaded("nan")
	for i := range sums {
		addend := g.broadcast(Mem{Base: plus, Disp: 8 * i})
		for v, sum := range sums[i] {
			g.VADDPD(addend, sum, sum)
			write(g.choose(g.compare(unordered, sum, sum), sum, nan), at(to, dstStride, i, v))
		}
	}
	g.finish()
}
