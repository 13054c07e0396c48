// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// productKernels are the tiles of matrix products: as many rows as there are
// registers for, by one to three vectors, or by what is left of one.
func productKernels() {
	for _, rows := range productRows() {
		for vectors := 3; vectors > 0; vectors-- {
			product(rows, vectors, false)
		}
		product(rows, 1, true)
	}
}

// productRows is how many rows a tile may have.
func productRows() []int {
	if wide {
		return []int{8, 4, 2, 1}
	}
	return []int{4, 2, 1}
}

// product is the kernel of a tile of rows by vectors, or by the first entries
// of one vector.
func product(rows, vectors int, part bool) {
	name, entries, arguments := fmt.Sprintf("product%dx%d%s", rows, vectors*width(), suffix()), fmt.Sprint(vectors*width(), " entries"), ""
	if part {
		name, entries, arguments = fmt.Sprintf("product%dxPart%s", rows, suffix()), fmt.Sprintf("0 < cols < %d entries", width()), ", cols int"
	}
	TEXT(name, NOSPLIT,
		"func(dst *float64, dstStride int, a *float64, aRow int, aStep int, b *float64, bStep int, n int, plus *float64, onto int"+arguments+")")
	Doc(fmt.Sprintf("%s is productGo for %d rows of %s and n > 0 steps.", name, rows, entries))
	Pragma("noescape")
	argument := func(name string) reg.GPVirtual { return Load(Param(name), GP64()).(reg.GPVirtual) }
	bytes := func(name string) reg.GPVirtual {
		r := argument(name)
		SHLQ(Imm(3), r)
		return r
	}
	read, write := load, store
	if part {
		m := remaining(argument("cols"))
		read = func(from Op) reg.VecVirtual {
			v := vec()
			if wide {
				VMOVUPD_Z(from, m, v)
			} else {
				VMASKMOVPD(from, m, v)
			}
			return v
		}
		write = func(v reg.Register, to Op) { storeMasked(v, m, to.(Mem)) }
	}
	dst, dstStride := argument("dst"), bytes("dstStride")
	a, aRow, aStep := argument("a"), bytes("aRow"), bytes("aStep")
	b, bStep := argument("b"), bytes("bStep")

	// Three rows share a pointer.
	everyThird := func(p, stride reg.GPVirtual) []reg.GPVirtual {
		pointers := []reg.GPVirtual{p}
		for i := 3; i < rows; i += 3 {
			next := GP64()
			LEAQ(Mem{Base: pointers[len(pointers)-1], Index: stride, Scale: 2}, next)
			ADDQ(stride, next)
			pointers = append(pointers, next)
		}
		return pointers
	}
	at := func(pointers []reg.GPVirtual, stride reg.GPVirtual, row, vector int) Mem {
		m := Mem{Base: pointers[row/3], Disp: vector * 8 * width()}
		if row%3 > 0 {
			m.Index, m.Scale = stride, uint8(row%3)
		}
		return m
	}
	sums := make([][]reg.VecVirtual, rows)
	for i := range sums {
		for range vectors {
			sums[i] = append(sums[i], zero())
		}
	}
	to := everyThird(dst, dstStride)
	onto := argument("onto")
	TESTQ(onto, onto)
	JZ(LabelRef("begin"))
	for i := range sums {
		for v, sum := range sums[i] {
			VMOVAPD(read(at(to, dstStride, i, v)), sum)
		}
	}
	Label("begin")
	n, from := argument("n"), everyThird(a, aRow)
	Label("step")
	var right []reg.VecVirtual
	for v := range vectors {
		right = append(right, read(Mem{Base: b, Disp: v * 8 * width()}))
	}
	for i := range sums {
		left := broadcast(at(from, aRow, i, 0))
		for v, sum := range sums[i] {
			VFMADD231PD(right[v], left, sum)
		}
	}
	ADDQ(bStep, b)
	for _, p := range from {
		ADDQ(aStep, p)
	}
	DECQ(n)
	JNZ(LabelRef("step"))

	plus, nan := argument("plus"), broadcast(constantMem("nan"))
	for i := range sums {
		addend := broadcast(Mem{Base: plus, Disp: 8 * i})
		for v, sum := range sums[i] {
			VADDPD(addend, sum, sum)
			write(choose(compare(unordered, sum, sum), sum, nan), at(to, dstStride, i, v))
		}
	}
	finish()
}
